use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use millrace_hub::{
    AppName, CutReason, Format, LogLimit, PlayError, PlayRequest, Protocol, PublishError, PublishRequest,
    PublisherMeta, Refusal, StreamId, StreamName, Subscription,
};
use millrace_rtmp::command::code;
use millrace_rtmp::server::{Connect, Event, ServerSession};
use millrace_rtmp::{Media, Target};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use super::Server;
use super::player::RtmpPlayer;
use super::publish::{Publishing, Uncarried};
use crate::socket::Socket;
use crate::walker::NewPlayer;

/// One RTMP connection.
pub(super) struct Connection {
    server: Arc<Server>,
    socket: Socket,
    peer: SocketAddr,
    session: ServerSession,
    /// The session's clock counts from here.
    epoch: Instant,
    encoder: Option<String>,
    role: Role,
    /// Why it may not connect.
    refusal: Option<&'static str>,
}

enum Role {
    Undecided,
    Publishing(Box<Publishing>),
    /// Until there is a publisher.
    Waiting {
        wanted: Wanted,
        player: AbortOnDropHandle<Result<Subscription, String>>,
    },
}

/// What a player asked for while it waits.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) paused: bool,
    pub(super) audio: bool,
    pub(super) video: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { paused: false, audio: true, video: true }
    }
}

/// Why a connection's task is over.
enum Over {
    /// The peer closed, or the connection broke.
    Lost(io::Error),
    /// The peer did what it may not, or was too late.
    Fault(millrace_rtmp::Error),
    /// All that had to be said is said.
    Done,
}

impl Connection {
    pub(super) fn new(server: Arc<Server>, socket: Socket, peer: SocketAddr) -> Self {
        // Not a secret: it varies the filler bytes of the handshake.
        let seed = getrandom::u64().unwrap_or_default();
        let session = ServerSession::new(server.session, seed, Duration::ZERO);
        Self {
            server,
            socket,
            peer,
            session,
            epoch: Instant::now(),
            encoder: None,
            role: Role::Undecided,
            refusal: None,
        }
    }

    /// A connection that a walker gives back.
    pub(super) fn resume(
        server: Arc<Server>,
        socket: Socket,
        peer: SocketAddr,
        session: ServerSession,
        epoch: Instant,
    ) -> Self {
        Self { server, socket, peer, session, epoch, encoder: None, role: Role::Undecided, refusal: None }
    }

    /// The same connection, which is only to be told why it may not connect.
    pub(super) fn refusing(self, words: &'static str) -> Self {
        Self { refusal: Some(words), ..self }
    }

    /// Runs until the connection ends, or goes to a walker. `events` are those that its session
    /// has given already.
    pub(super) async fn run(mut self, events: Vec<Event>) {
        match self.converse(events).await {
            Ok(Some(handover)) => {
                let Handover { subscription, wanted } = handover;
                let Subscription { ring, player: place } = subscription;
                let (server, peer) = (Arc::clone(&self.server), self.peer);
                forget_waker(&self.socket);
                let control = RtmpPlayer::new(server, peer, self.session, self.epoch, wanted);
                let player =
                    NewPlayer { socket: self.socket, head: Bytes::new(), place, control: Some(Box::new(control)) };
                self.server.walkers.add(ring, player).await;
            }
            Ok(None) | Err(Over::Done) => {}
            Err(Over::Lost(error)) => debug!(peer = %self.peer, %error, "RTMP connection lost"),
            // Who has nothing more to ask, or never had, is let go without much ado.
            Err(Over::Fault(error @ millrace_rtmp::Error::Timeout { .. })) if matches!(self.role, Role::Undecided) => {
                debug!(peer = %self.peer, %error, "RTMP connection closed");
                let _ = self.send_output().await;
            }
            Err(Over::Fault(error)) => {
                if let Some(allowed) = FAULTS.allow(self.peer.ip()) {
                    info!(peer = %self.peer, %error, unsaid = allowed.unsaid, "RTMP connection closed");
                }
                // What the session still has to say may explain it.
                let _ = self.send_output().await;
            }
        }
    }

    /// Runs the conversation until the connection ends, or plays.
    async fn converse(&mut self, events: Vec<Event>) -> Result<Option<Handover>, Over> {
        for event in events {
            self.handle(event).await?;
        }
        self.release().await?;
        let server = Arc::clone(&self.server);
        let mut shutdown = pin!(server.shutdown.cancelled());
        // Until when whoever is told something at the server's end may read it: a connection that is closed over unread
        // input is reset, and the words would be lost.
        let mut last_words = None;
        // One timer for all messages: moved only where it would ring too late. Where it rings too early, it is set anew.
        let mut alarm = pin!(tokio::time::sleep_until(self.epoch + self.session.next_timeout()));
        loop {
            self.session.set_now(self.epoch.elapsed());
            self.send_output().await.map_err(Over::Lost)?;
            let closing = self.session.is_closing();
            let deadline = self.epoch + self.session.next_timeout();
            let deadline = last_words.into_iter().chain(self.sound_due()).fold(deadline, Instant::min);
            if deadline < alarm.deadline() {
                alarm.as_mut().reset(deadline);
            }
            tokio::select! {
                biased;
                // Reading is asked for without a place in the socket's list of those who wait: there is one reader.
                ready = poll_fn(|context| self.socket.poll_read_ready(context)) => {
                    ready.map_err(Over::Lost)?;
                    self.read().await?;
                }
                news = news(&mut self.role) => match news {
                    News::Cut(reason) => self.publisher_cut(reason),
                    News::Play(answer) => {
                        if let Some(handover) = self.play_answer(answer) {
                            return Ok(Some(handover));
                        }
                    }
                },
                () = &mut shutdown, if last_words.is_none() && matches!(self.role, Role::Undecided) => {
                    if !closing {
                        return Err(Over::Done);
                    }
                    last_words = Some(Instant::now() + LAST_WORDS);
                }
                () = &mut alarm => {
                    if Instant::now() < deadline {
                        alarm.as_mut().reset(deadline);
                        continue;
                    }
                    if closing {
                        return Err(Over::Done);
                    }
                    self.deliver().await;
                    let now = self.epoch.elapsed();
                    self.session.handle_timeout(now).map_err(Over::Fault)?;
                }
            }
        }
    }

    async fn send_output(&mut self) -> io::Result<()> {
        while let Some(output) = self.session.poll_output() {
            // Answers are short: who does not take them does not listen.
            tokio::time::timeout(SEND_TIMEOUT, self.socket.write_all(&output))
                .await
                .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the peer takes no answer"))??;
        }
        Ok(())
    }

    /// Reads what is there, and does what it says.
    async fn read(&mut self) -> Result<(), Over> {
        let mut events = Vec::new();
        let now = self.epoch.elapsed();
        let (socket, session) = (&self.socket, &mut self.session);
        let outcome = SCRATCH.with_borrow_mut(|scratch| {
            let n = match read_all(socket, scratch) {
                Ok(0) => return Err(Over::Lost(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => n,
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return Ok(()),
                Err(e) => return Err(Over::Lost(e)),
            };
            let mut input = &scratch[..n];
            while let Some(event) = session.handle_input(&mut input, now).map_err(Over::Fault)? {
                events.push(event);
            }
            Ok(())
        });
        // What came before a fault is played.
        for event in events {
            self.handle(event).await?;
        }
        self.deliver().await;
        outcome?;
        self.release().await
    }

    /// Goes on with what the session held back until an answer was given.
    async fn release(&mut self) -> Result<(), Over> {
        while !self.session.is_waiting() {
            let now = self.epoch.elapsed();
            match self.session.handle_input(&mut &[][..], now).map_err(Over::Fault)? {
                Some(event) => self.handle(event).await?,
                None => break,
            }
        }
        Ok(())
    }

    async fn handle(&mut self, event: Event) -> Result<(), Over> {
        match event {
            Event::Connect(connect) => self.connect(&connect),
            Event::Publish(request) => self.publish(&request.target).await,
            Event::Play(request) => self.play(&request.target).await,
            Event::Media(media) => self.media(media).await,
            Event::StopPublish => {
                if let Role::Publishing(publishing) = std::mem::replace(&mut self.role, Role::Undecided) {
                    publishing.finish().await;
                }
            }
            Event::StopPlay => self.stop_waiting(),
            Event::Pause(_) | Event::ReceiveAudio(_) | Event::ReceiveVideo(_) => {
                if let Role::Waiting { wanted, .. } = &mut self.role {
                    wanted.hear(&event);
                }
            }
            Event::UnknownCommand(name) => {
                debug!(peer = %self.peer, command = %printable(&name), "unknown RTMP command");
            }
            other => debug!(peer = %self.peer, event = ?other, "RTMP event passed over"),
        }
        Ok(())
    }

    fn connect(&mut self, connect: &Connect) {
        if let Some(words) = self.refusal {
            self.session.reject_connect(code::CONNECT_REJECTED, words);
            return;
        }
        if connect.app.parse::<AppName>().is_err() {
            let words = "the application's name may have a-z, 0-9, '_' and '-' only";
            self.refused("connect", words);
            self.session.reject_connect(code::CONNECT_REJECTED, words);
            return;
        }
        let name = printable(&connect.flash_version);
        self.encoder = (!name.is_empty()).then_some(name);
        self.session.accept_connect();
    }

    async fn publish(&mut self, target: &Target) {
        match self.try_publish(target).await {
            Ok(publishing) => {
                self.session.accept_publish();
                self.role = Role::Publishing(Box::new(publishing));
            }
            Err((code, words)) => {
                self.refused("publish", &words);
                self.session.reject_publish(code, &words);
            }
        }
    }

    async fn try_publish(&mut self, target: &Target) -> Result<Publishing, (&'static str, String)> {
        let app: AppName = target.app.parse().map_err(|e| (code::PUBLISH_BAD_NAME, format!("application: {e}")))?;
        let query = target.query.as_deref().unwrap_or_default();
        let request = PublishRequest { app: &app, key: target.key(), query, peer: self.peer };
        let refused = |refusal| match refusal {
            // The code of which OBS logs the words, and after which it does not wait for more.
            Refusal::NotFound => (code::PUBLISH_DENIED, "the stream key is not known".to_owned()),
            other => (code::PUBLISH_DENIED, other.to_string()),
        };
        let grant = self.server.authorizer.publish(request).await.map_err(refused)?;
        let id = StreamId { app: app.clone(), name: grant.name };
        let meta = PublisherMeta { peer: self.peer, encoder: self.encoder.clone(), takeover: grant.takeover };
        let publisher = self.server.hub.publish(&id, meta).await.map_err(|error| match error {
            PublishError::Busy => (code::PUBLISH_BAD_NAME, error.to_string()),
            _ => (code::PUBLISH_DENIED, error.to_string()),
        })?;
        // A key that was reset before this publisher had its place cut nobody: leave is asked for again.
        self.server.authorizer.publish(request).await.map_err(refused)?;
        Ok(Publishing::new(publisher, self.peer))
    }

    async fn play(&mut self, target: &Target) {
        self.stop_waiting();
        let id = match self.may_play(target).await {
            Ok(id) => id,
            Err((code, words)) => {
                self.refused("play", &words);
                self.session.reject_play(code, &words);
                return;
            }
        };
        // The answer comes first, since clients throw away what comes before it; and they wait
        // then, however long the publisher takes.
        self.session.accept_play();
        let (server, peer) = (Arc::clone(&self.server), self.peer);
        let query = target.query.clone().unwrap_or_default();
        let play = async move {
            let subscription = server.hub.play(&id, Format::Rtmp, Protocol::Rtmp, peer, true).await;
            let subscription = subscription.map_err(|error| error.to_string())?;
            // It may have waited for long: leave is asked for again now that it has its place.
            let asked = PlayRequest { stream: &id, query: &query, cookies: "", peer };
            server.authorizer.play(asked).await.map_err(|refusal| refusal.to_string())?;
            Ok(subscription)
        };
        let player = AbortOnDropHandle::new(tokio::spawn(play));
        self.role = Role::Waiting { wanted: Wanted::default(), player };
    }

    async fn may_play(&self, target: &Target) -> Result<StreamId, (&'static str, String)> {
        let not_found = |words: String| (code::PLAY_STREAM_NOT_FOUND, words);
        let app: AppName = target.app.parse().map_err(|e| not_found(format!("application: {e}")))?;
        let name: StreamName = target.name.parse().map_err(|e| not_found(format!("stream: {e}")))?;
        let stream = StreamId { app, name };
        let query = target.query.as_deref().unwrap_or_default();
        let request = PlayRequest { stream: &stream, query, cookies: "", peer: self.peer };
        self.server.authorizer.play(request).await.map_err(|refusal| match refusal {
            Refusal::NotFound => not_found(refusal.to_string()),
            other => (code::PLAY_FAILED, other.to_string()),
        })?;
        Ok(stream)
    }

    fn play_answer(&mut self, answer: Result<Subscription, String>) -> Option<Handover> {
        let Role::Waiting { wanted, .. } = std::mem::replace(&mut self.role, Role::Undecided) else { return None };
        match answer {
            Ok(subscription) => Some(Handover { subscription, wanted }),
            Err(words) => {
                self.refused("play", &words);
                self.session.close_stream(code::PLAY_FAILED, &words);
                None
            }
        }
    }

    async fn media(&mut self, media: Media) {
        let Role::Publishing(publishing) = &mut self.role else { return };
        if let Err(Uncarried(words)) = publishing.media(media).await {
            if let Some(allowed) = UNCARRIED.allow(self.peer.ip()) {
                warn!(peer = %self.peer, reason = %words, unsaid = allowed.unsaid, "publisher refused");
            }
            self.session.close_stream(code::PUBLISH_DENIED, &words);
            self.role = Role::Undecided;
        }
    }

    /// Hands over what a publisher sent.
    async fn deliver(&mut self) {
        if let Role::Publishing(publishing) = &mut self.role
            && let Err(reason) = publishing.deliver().await
        {
            self.publisher_cut(reason);
        }
    }

    /// When a publisher's sound goes without a picture.
    fn sound_due(&self) -> Option<Instant> {
        match &self.role {
            Role::Publishing(publishing) => publishing.due(),
            _ => None,
        }
    }

    fn publisher_cut(&mut self, reason: CutReason) {
        let code = match reason {
            CutReason::ShuttingDown => code::UNPUBLISH_SUCCESS,
            // One that is not wanted any more: OBS logs the words of this code.
            CutReason::TakenOver | CutReason::Kicked => code::PUBLISH_DENIED,
        };
        self.session.close_stream(code, &reason.to_string());
        self.role = Role::Undecided;
    }

    fn stop_waiting(&mut self) {
        if matches!(self.role, Role::Waiting { .. }) {
            self.role = Role::Undecided;
        }
    }

    fn refused(&self, what: &'static str, reason: &str) {
        if let Some(allowed) = REFUSED.allow(self.peer.ip()) {
            info!(peer = %self.peer, what, reason, unsaid = allowed.unsaid, "RTMP request refused");
        }
    }
}

impl Wanted {
    /// Keeps what a player says of its wishes.
    pub(super) fn hear(&mut self, event: &Event) {
        match event {
            Event::Pause(on) => self.paused = *on,
            Event::ReceiveAudio(on) => self.audio = *on,
            Event::ReceiveVideo(on) => self.video = *on,
            _ => {}
        }
    }
}

/// A connection that is to be played to.
struct Handover {
    subscription: Subscription,
    wanted: Wanted,
}

static FAULTS: LogLimit = LogLimit::new(5);
static REFUSED: LogLimit = LogLimit::new(5);
static UNCARRIED: LogLimit = LogLimit::new(5);

/// Longest time that a peer may take for one answer.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that are read at a time.
const READ: usize = 64 * 1024;

thread_local! {
    /// One for all connections of a thread: nobody keeps it across an await.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// Reads what has come. Less than there is room for is all that there is: the runtime is told so at once, which saves
/// asking the kernel a second time for each message.
fn read_all(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = None;
    let outcome = socket.try_io(Interest::READABLE, || {
        let n = rustix::io::read(&**socket, &mut *buffer)?;
        read = Some(n);
        if (1..buffer.len()).contains(&n) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(n) }
    });
    read.map_or(outcome, Ok)
}

/// Has the runtime let go of the task that waited last: it keeps a finished one's memory as long as the socket is open.
fn forget_waker(socket: &Socket) {
    // Where there is something to read already, it has let go.
    let _ = socket.poll_read_ready(&mut Context::from_waker(Waker::noop()));
}

/// What the hub tells a connection.
enum News {
    Cut(CutReason),
    Play(Result<Subscription, String>),
}

async fn news(role: &mut Role) -> News {
    match role {
        Role::Undecided => std::future::pending().await,
        Role::Publishing(publishing) => News::Cut(publishing.cut().await),
        // A task that was aborted has nothing to wait for any more.
        Role::Waiting { player, .. } => {
            News::Play(player.await.unwrap_or_else(|_| Err(PlayError::NotOnAir.to_string())))
        }
    }
}

/// Of the server's end, so much is left to those who are told that it comes.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A peer's text for logs: short, without control characters.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
