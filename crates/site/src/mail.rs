//! Sends letters by e-mail, through a mail server (SMTP, RFC 5321).
//!
//! A letter is tried a few times. It waits in memory meanwhile: what waits when the server ends is lost, and whoever
//! wanted it asks again.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{AsyncSmtpTransport, Error as SmtpError};
use lettre::{AsyncTransport, Message, Tokio1Executor};
use tokio::sync::Semaphore;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// The mail server that letters are handed to: `smtp://` or `smtps://`, with name and password where it asks for them.
#[derive(Clone, PartialEq, Eq)]
pub struct MailServer(String);

/// Not the address of a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the address of a mail server")]
pub struct NoMailServer;

impl FromStr for MailServer {
    type Err = NoMailServer;

    fn from_str(text: &str) -> Result<Self, NoMailServer> {
        let ours = text.starts_with("smtp://") || text.starts_with("smtps://");
        match Transport::from_url(text) {
            Ok(_) if ours => Ok(Self(text.to_owned())),
            _ => Err(NoMailServer),
        }
    }
}

impl std::fmt::Debug for MailServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MailServer(…)") // it may hold a password
    }
}

/// Whom letters are from: an address, or a name and an address in angle brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSender(Mailbox);

/// Not an address to send from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct NoMailSender;

impl FromStr for MailSender {
    type Err = NoMailSender;

    fn from_str(text: &str) -> Result<Self, NoMailSender> {
        text.parse().map(Self).map_err(|_| NoMailSender)
    }
}

/// Sends letters. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mail {
    transport: Transport,
    from: Mailbox,
    origin: Arc<str>,
    /// Letters that may wait at a time.
    places: Arc<Semaphore>,
    /// How long to wait before each further try.
    pauses: &'static [Duration],
}

impl Mail {
    /// Through `server`, in the name of `from`; links in letters begin with `origin`, scheme and host of the site as
    /// visitors reach it: never with what a request says of the host, for that would be anybody's to choose.
    #[must_use]
    pub fn new(server: &MailServer, from: &MailSender, origin: &str) -> Self {
        let transport = Transport::from_url(&server.0).expect("a mail server's address was tried when it was read");
        Self {
            transport: transport.hello_name(client_id(origin)).timeout(Some(ANSWER_TIMEOUT)).build(),
            from: from.0.clone(),
            origin: origin.into(),
            places: Arc::new(Semaphore::new(MAX_WAITING)),
            pauses: &PAUSES,
        }
    }

    /// Connects to the mail server and logs in, without a letter.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub async fn probe(&self) -> Result<(), String> {
        match self.transport.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err("it answers, and then closes the connection".to_owned()),
            Err(error) => Err(reason(&error)),
        }
    }

    /// The absolute address of a path of the site.
    pub(crate) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Sends a letter of plain text, soon; what becomes of it is told in the log.
    pub(crate) fn send(&self, to: &str, subject: &str, text: String) {
        let Ok(to) = to.parse() else {
            return tracing::warn!("a letter is not sent: its address is not one that mail servers take");
        };
        let letter = Message::builder().from(self.from.clone()).to(Mailbox::new(None, to)).subject(subject);
        let letter = match letter.header(ContentType::TEXT_PLAIN).body(text) {
            Ok(letter) => letter,
            Err(error) => return tracing::warn!(%error, "a letter cannot be written"),
        };
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return tracing::warn!(waiting = MAX_WAITING, "a letter is not sent: too many wait for the mail server");
        };
        let mail = self.clone();
        tokio::spawn(async move {
            let _place = place;
            mail.deliver(letter).await;
        });
    }

    async fn deliver(&self, letter: Message) {
        for pause in self.pauses {
            match self.transport.send(letter.clone()).await {
                Ok(_) => return,
                Err(error) if error.is_permanent() => return lost(&error),
                Err(error) => {
                    let again_in_s = pause.as_secs();
                    tracing::warn!(error = reason(&error), again_in_s, "the mail server did not take a letter");
                }
            }
            tokio::time::sleep(*pause).await;
        }
        if let Err(error) = self.transport.send(letter).await {
            lost(&error);
        }
    }
}

fn lost(error: &SmtpError) {
    tracing::error!(error = reason(error), "a letter is lost: the mail server does not take it; see [mail]");
}

/// An error with what is behind it.
fn reason(error: &SmtpError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = error.source();
    }
    text
}

/// How the site names itself to the mail server (RFC 5321, 4.1.1.1): by its host, or as a literal where that is an
/// address.
fn client_id(origin: &str) -> ClientId {
    let uri = origin.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(v4) = bare.parse::<Ipv4Addr>() {
        ClientId::Ipv4(v4)
    } else if let Ok(v6) = bare.parse::<Ipv6Addr>() {
        ClientId::Ipv6(v6)
    } else {
        ClientId::Domain(host.to_owned())
    }
}

/// Before the second, third and fourth try.
const PAUSES: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(60), Duration::from_secs(600)];
/// So long a mail server may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Letters that wait at a time, at some kilobytes each.
const MAX_WAITING: usize = 1000;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "../tests/app/mailbox.rs"]
mod mailbox;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    use super::mailbox::Mailbox as Inbox;

    fn impatient(inbox: &Inbox, login: &str) -> Mail {
        const AT_ONCE: [Duration; 2] = [Duration::ZERO; 2];
        let server = format!("smtp://{login}{}", inbox.address).parse().unwrap();
        Mail { pauses: &AT_ONCE, ..Mail::new(&server, &"noreply@video.example".parse().unwrap(), "http://localhost") }
    }

    #[tokio::test]
    async fn a_letter_that_is_not_taken_is_brought_again() {
        let mut inbox = Inbox::refusing("451 later", 2).await;
        impatient(&inbox, "ada%40x:secret@").send("eve@example.org", "Hello", "there".to_owned());
        let letter = inbox.letter().await;
        assert_eq!((letter.to.as_str(), inbox.tries()), ("eve@example.org", 3));
        assert_eq!(letter.login, "AGFkYUB4AHNlY3JldA==", "\0ada@x\0secret");
    }

    #[tokio::test]
    async fn a_letter_that_is_refused_for_good_is_not() {
        let mut inbox = Inbox::refusing("550 no such sender", 1).await;
        let mail = impatient(&inbox, "");
        let letter = |subject: &str| {
            let letter = Message::builder().from(mail.from.clone()).to("eve@example.org".parse().unwrap());
            letter.subject(subject).body(String::new()).unwrap()
        };
        mail.deliver(letter("First")).await;
        mail.deliver(letter("Second")).await;
        assert!(inbox.letter().await.text.contains("Subject: Second"));
        assert_eq!((inbox.tries(), inbox.left()), (2, 0));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_of() {
        let inbox = Inbox::open().await;
        assert_eq!(impatient(&inbox, "").probe().await, Ok(()));
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let server = format!("smtp://{gone}").parse().unwrap();
        let mail = Mail::new(&server, &"noreply@video.example".parse().unwrap(), "http://localhost");
        let words = mail.probe().await.unwrap_err();
        assert!(words.contains("refused"), "{words}");
    }

    #[test]
    fn addresses_that_are_taken_and_refused() {
        for good in ["smtp://localhost:2525", "smtps://me%40x:secret@mail.example", "smtp://m.example?tls=required"] {
            assert!(good.parse::<MailServer>().is_ok(), "{good}");
        }
        for bad in ["", "mail.example", "http://mail.example", "smtp://", "smtp://m.example?tls=perhaps"] {
            assert!(bad.parse::<MailServer>().is_err(), "{bad}");
        }
        let server: MailServer = "smtps://me:secret@mail.example".parse().unwrap();
        assert!(!format!("{server:?}").contains("secret"));
        for good in ["noreply@video.example", "River TV <noreply@video.example>"] {
            assert!(good.parse::<MailSender>().is_ok(), "{good}");
        }
        for bad in ["", "noreply", "River TV", "a@b.example\r\nBcc: c@d.example"] {
            assert!(bad.parse::<MailSender>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_site_is_named_as_the_standard_has_it() {
        assert_eq!(client_id("https://video.example:8443").to_string(), "video.example");
        assert_eq!(client_id("http://192.0.2.1:8080").to_string(), "[192.0.2.1]");
        assert_eq!(client_id("http://[2001:db8::1]:8080").to_string(), "[IPv6:2001:db8::1]");
    }
}
