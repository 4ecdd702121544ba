//! A mail server for tests: it takes every letter, or refuses as it was told to.
#![allow(dead_code)] // not every test needs every part

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

pub(crate) struct Mailbox {
    pub(crate) address: SocketAddr,
    letters: mpsc::UnboundedReceiver<Letter>,
    tries: Arc<AtomicU32>,
}

/// A letter that came.
#[derive(Debug)]
pub(crate) struct Letter {
    /// How the sender named itself.
    pub(crate) greeting: String,
    /// What it said for its user and password, in base64.
    pub(crate) login: String,
    pub(crate) to: String,
    /// Head and body, with what quoted-printable (RFC 2045, 6.7) made of a long line undone.
    pub(crate) text: String,
}

impl Letter {
    /// The path of the link that it holds.
    pub(crate) fn link(&self, origin: &str) -> String {
        let at = self.text.find(origin).unwrap_or_else(|| panic!("no link: {}", self.text)) + origin.len();
        self.text[at..].split_whitespace().next().unwrap().to_owned()
    }
}

impl Mailbox {
    /// One that takes every letter.
    pub(crate) async fn open() -> Self {
        Self::refusing("", 0).await
    }

    /// One that answers the first `times` letters with `refusal`.
    pub(crate) async fn refusing(refusal: &'static str, times: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (letter, letters) = mpsc::unbounded_channel();
        let tries = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&tries);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(converse(socket, refusal, times, Arc::clone(&counted), letter.clone()));
            }
        });
        Self { address, letters, tries }
    }

    /// Its address, as the configuration has it.
    pub(crate) fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// The next letter.
    pub(crate) async fn letter(&mut self) -> Letter {
        self.letters.recv().await.unwrap()
    }

    /// Letters that nobody has taken out.
    pub(crate) fn left(&mut self) -> usize {
        self.letters.len()
    }

    /// How many letters were brought, taken or refused.
    pub(crate) fn tries(&self) -> u32 {
        self.tries.load(Ordering::SeqCst)
    }
}

async fn converse(
    socket: TcpStream,
    refusal: &str,
    times: u32,
    tries: Arc<AtomicU32>,
    letters: mpsc::UnboundedSender<Letter>,
) {
    let mut socket = BufReader::new(socket);
    let (mut greeting, mut login, mut to) = (String::new(), String::new(), String::new());
    let mut answer = "220 mailbox".to_owned();
    loop {
        if socket.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            return;
        }
        let mut line = String::new();
        if socket.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end();
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        answer = match command {
            "EHLO" => {
                greeting = rest.to_owned();
                "250-mailbox\r\n250 AUTH PLAIN".to_owned()
            }
            "AUTH" => {
                login = rest.strip_prefix("PLAIN ").unwrap_or_default().to_owned();
                "235 welcome".to_owned()
            }
            "MAIL" if tries.fetch_add(1, Ordering::SeqCst) < times => refusal.to_owned(),
            "RCPT" => {
                to = rest.trim_start_matches("TO:<").trim_end_matches('>').to_owned();
                "250 good".to_owned()
            }
            "DATA" => {
                socket.write_all(b"354 go on\r\n").await.unwrap();
                let mut text = String::new();
                while !text.ends_with("\r\n.\r\n") {
                    if socket.read_line(&mut text).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let (greeting, login, to) = (greeting.clone(), login.clone(), to.clone());
                let text = text.replace("=\r\n", "").replace("=3D", "=");
                let _ = letters.send(Letter { greeting, login, to, text });
                "250 taken".to_owned()
            }
            _ => "250 good".to_owned(),
        };
    }
}
