//! The server's side of a connection.

mod event;

use std::mem;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use millrace_flv::amf0::Value;

use crate::capabilities;
use crate::chunk::{MAX_MESSAGE, Message, MessageKind};
use crate::command::{Command, MAX_COMMAND, code, info};
use crate::control::{Control, UserControl};
use crate::handshake::{Progress, ServerHandshake};
use crate::link::{Link, WINDOW};
use crate::target::{Target, app_name};
use crate::{Error, Media};

pub use event::{Connect, Event, PlayRequest, PublishKind, PublishRequest};

/// The message stream of every connection: one is all that a connection may have, and the only
/// number that shared messages can carry.
pub const MESSAGE_STREAM: u32 = 1;

/// The longest application name that `connect` may give, query and instance included.
pub const MAX_APP: usize = 1024;

/// The longest name that `publish` or `play` may give, query included.
pub const MAX_NAME: usize = 4096;

/// How much input a session holds while its caller owes an answer.
pub const MAX_HELD: usize = 1024 * 1024;

/// How much time a peer gets for what. All are counted from what happened last.
#[derive(Debug, Clone, Copy)]
pub struct ServerConfig {
    /// From the connection to the end of the handshake.
    pub handshake_timeout: Duration,
    /// From there to a request to publish or play, and from the end of one to the next.
    pub request_timeout: Duration,
    /// Between bytes, whatever they say.
    pub idle_timeout: Duration,
    /// A player that has been silent for so long is sent a ping. Should be well below
    /// `idle_timeout`: most players say nothing else.
    pub ping_interval: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            ping_interval: Duration::from_secs(20),
        }
    }
}

/// The server's side of one connection.
///
/// Its caller owns the socket and the clock, and goes round this loop:
///
/// 1. Give what was read to [`handle_input`](Self::handle_input), again and again until it
///    returns `None`, and act on each event. Some ask for an answer, which may come later; until
///    then input is held, at most [`MAX_HELD`] bytes of it. After the answer call it once more,
///    with empty input if there is no other.
/// 2. Send what [`poll_output`](Self::poll_output) has. It always ends where a message ends, so
///    that shared messages may follow it, once a request to play is accepted.
/// 3. Read more, or call [`handle_timeout`](Self::handle_timeout) when
///    [`next_timeout`](Self::next_timeout) has come.
///
/// `now` is the time since a moment of the caller's choice, the same for all calls. After an error,
/// or when [`is_closing`](Self::is_closing) says so, send the output that is left and close.
#[derive(Debug)]
pub struct ServerSession {
    config: ServerConfig,
    stage: Stage,
    link: Link,
    /// Input that waits for the caller's answer.
    held: BytesMut,
    /// The application as given, for names that are resolved against it.
    app: Box<str>,
    now: Duration,
    /// When the stage began.
    since: Duration,
    last_input: Duration,
    last_ping: Duration,
}

#[derive(Debug)]
enum Stage {
    Handshake(Box<ServerHandshake>),
    /// Before `connect`.
    Opening,
    ConnectAsked {
        transaction: f64,
        object_encoding: f64,
    },
    /// Connected, and nothing asked.
    Ready,
    PublishAsked,
    Publishing,
    PlayAsked {
        reset: bool,
    },
    Playing,
    /// Refused, or at fault. Input is read so that the connection can end in order, and thrown away.
    Closing,
}

impl ServerSession {
    /// A session for a connection just accepted. `seed` varies the bytes of the handshake.
    pub fn new(config: ServerConfig, seed: u64, now: Duration) -> Self {
        let mut link = Link::new();
        link.reader.set_max_message(MAX_COMMAND);
        Self {
            config,
            stage: Stage::Handshake(Box::new(ServerHandshake::new(seed))),
            link,
            held: BytesMut::new(),
            app: Box::default(),
            now,
            since: now,
            last_input: now,
            last_ping: now,
        }
    }

    /// Consumes input up to the next event and returns that, or `None` when all is consumed.
    pub fn handle_input(&mut self, input: &mut &[u8], now: Duration) -> Result<Option<Event>, Error> {
        self.now = now;
        if !input.is_empty() {
            self.last_input = now;
        }
        let length = input.len();
        let event = self.advance(input);
        self.link.count(length - input.len());
        if event.is_err() {
            self.enter(Stage::Closing);
        }
        event
    }

    /// What is to be sent now: whole messages.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.link.take_output()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if there is no input before.
    pub fn next_timeout(&self) -> Duration {
        let deadline = self.deadline().0;
        match self.next_ping() {
            Some(ping) => deadline.min(ping),
            None => deadline,
        }
    }

    /// Does what is due. An error says that the client is too late.
    pub fn handle_timeout(&mut self, now: Duration) -> Result<(), Error> {
        self.now = now;
        let (deadline, expected, after) = self.deadline();
        if now >= deadline {
            return Err(Error::Timeout { expected, after });
        }
        if self.next_ping().is_some_and(|ping| now >= ping) {
            self.last_ping = now;
            self.link.put_control(Control::User(UserControl::PingRequest(now.as_millis() as u32)));
        }
        Ok(())
    }

    /// Whether the client was refused, or at fault. What there is to say of it is in the output; the
    /// client
    /// should be given until [`next_timeout`](Self::next_timeout) to close the connection itself,
    /// since a server that closes with input unread may take that status back.
    pub fn is_closing(&self) -> bool {
        matches!(self.stage, Stage::Closing)
    }

    /// Whether an answer is due, and input is held. A good time not to read more.
    pub fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::ConnectAsked { .. } | Stage::PublishAsked | Stage::PlayAsked { .. })
    }

    /// Tells the time before a call that does not: deadlines count from then.
    pub fn set_now(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    /// Answers [`Event::Connect`]. Without one pending it does nothing, as all answers.
    pub fn accept_connect(&mut self) {
        let Stage::ConnectAsked { transaction, object_encoding } = self.stage else { return };
        self.link.announce_window(WINDOW);
        self.link.put_control(Control::SetPeerBandwidth { window: WINDOW, limit: 2 });
        // FFmpeg takes this size for its own chunks too.
        self.link.announce_chunk_size();
        let Value::Object(mut info) = info("status", code::CONNECT_SUCCESS, "Connected.") else {
            unreachable!("the information of a status is an object")
        };
        info.push(("objectEncoding".to_owned(), Value::Number(object_encoding)));
        let known = [("fmsVer", Value::from(SERVER_VERSION)), ("capabilities", Value::Number(31.0))];
        self.link.put_command(
            0,
            &Command {
                object: Value::object(known.into_iter().chain(capabilities::properties())),
                ..Command::new("_result", transaction, [Value::Object(info)])
            },
        );
        self.enter(Stage::Ready);
    }

    /// Answers [`Event::Connect`] with a refusal, such as [`code::CONNECT_REJECTED`].
    pub fn reject_connect(&mut self, code: &str, description: &str) {
        let Stage::ConnectAsked { transaction, .. } = self.stage else { return };
        self.put_error(transaction, code, description);
        self.enter(Stage::Closing);
    }

    /// Answers [`Event::Publish`]: media may come.
    pub fn accept_publish(&mut self) {
        if !matches!(self.stage, Stage::PublishAsked) {
            return;
        }
        self.put_event(UserControl::StreamBegin(MESSAGE_STREAM));
        self.put_status("status", code::PUBLISH_START, "Publishing.");
        self.link.reader.set_max_message(MAX_MESSAGE);
        self.enter(Stage::Publishing);
    }

    /// Answers [`Event::Publish`] with a refusal, such as [`code::PUBLISH_BAD_NAME`].
    pub fn reject_publish(&mut self, code: &str, description: &str) {
        if matches!(self.stage, Stage::PublishAsked) {
            self.refuse(code, description);
        }
    }

    /// Answers [`Event::Play`]: from here on shared messages may be sent between the outputs.
    pub fn accept_play(&mut self) {
        let Stage::PlayAsked { reset } = self.stage else { return };
        self.put_event(UserControl::StreamBegin(MESSAGE_STREAM));
        if reset {
            self.put_status("status", code::PLAY_RESET, "Playing and resetting.");
        }
        self.put_status("status", code::PLAY_START, "Playing.");
        self.enter(Stage::Playing);
    }

    /// Answers [`Event::Play`] with a refusal, such as [`code::PLAY_STREAM_NOT_FOUND`].
    pub fn reject_play(&mut self, code: &str, description: &str) {
        if matches!(self.stage, Stage::PlayAsked { .. }) {
            self.refuse(code, description);
        }
    }

    /// Tells a publisher or player why it is cut off, as a refusal would have.
    pub fn close_stream(&mut self, code: &str, description: &str) {
        if matches!(self.stage, Stage::Publishing | Stage::Playing) {
            self.refuse(code, description);
        }
    }

    /// Tells a player that its stream is over. Players end by themselves then.
    pub fn stream_eof(&mut self) {
        if matches!(self.stage, Stage::Playing) {
            self.put_event(UserControl::StreamEof(MESSAGE_STREAM));
            self.put_status("status", code::PLAY_UNPUBLISH_NOTIFY, "The stream is over.");
            self.put_status("status", code::PLAY_STOP, "Stopped.");
            self.enter(Stage::Ready);
        }
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.since = self.now;
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Event>, Error> {
        loop {
            if self.is_waiting() {
                let length = self.held.len() + input.len();
                if length > MAX_HELD {
                    return Err(Error::TooMuchHeld { length, limit: MAX_HELD });
                }
                self.held.extend_from_slice(input);
                *input = &[];
                return Ok(None);
            }
            let event = if self.held.is_empty() {
                self.step(input)?
            } else {
                let mut held = mem::take(&mut self.held);
                let mut bytes = &held[..];
                let event = self.step(&mut bytes)?;
                let consumed = held.len() - bytes.len();
                held.advance(consumed);
                if !held.is_empty() {
                    self.held = held;
                }
                event
            };
            if event.is_some() || (input.is_empty() && self.held.is_empty()) {
                return Ok(event);
            }
        }
    }

    /// Consumes input up to an event, an answer that is due, or its end.
    fn step(&mut self, input: &mut &[u8]) -> Result<Option<Event>, Error> {
        while let Stage::Handshake(handshake) = &mut self.stage {
            match handshake.handle_input(input)? {
                Progress::NeedsInput => return Ok(None),
                Progress::Send(bytes) => self.link.out.extend_from_slice(&bytes),
                Progress::Done => self.enter(Stage::Opening),
            }
        }
        while !self.is_waiting() {
            if self.is_closing() {
                *input = &[];
                return Ok(None);
            }
            let Some(message) = self.link.read(input)? else { return Ok(None) };
            if let Some(event) = self.handle_message(message)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn handle_message(&mut self, message: Message) -> Result<Option<Event>, Error> {
        match message.kind {
            MessageKind::CommandAmf0 | MessageKind::CommandAmf3 => {
                let command = Command::decode(message.kind, &message.payload)?;
                self.handle_command(command)
            }
            MessageKind::Audio | MessageKind::Video | MessageKind::DataAmf0 | MessageKind::DataAmf3 => match self.stage
            {
                Stage::Publishing => Ok(Media::new(message)?.map(Event::Media)),
                _ => Ok(None),
            },
            _ => {
                // The events that are left are for players to get, not to send, or say how much
                // a player buffers, which a live stream cannot heed.
                self.link.handle_control(&message)?;
                Ok(None)
            }
        }
    }

    fn handle_command(&mut self, command: Command) -> Result<Option<Event>, Error> {
        let Command { transaction, .. } = command;
        match command.name.as_str() {
            "connect" if matches!(self.stage, Stage::Opening) => return self.connect(&command),
            // Answers to what was never asked.
            "_result" | "_error" | "onStatus" => {}
            _ if matches!(self.stage, Stage::Opening) => {
                self.put_error(transaction, code::CALL_FAILED, "Connect first.");
            }
            "createStream" => self.put_result(transaction, f64::from(MESSAGE_STREAM).into()),
            "publish" => return self.publish(&command),
            "play" => return self.play(&command),
            "deleteStream" | "closeStream" => return Ok(self.stop()),
            "releaseStream" | "_checkbw" => self.put_result(transaction, Value::Undefined),
            "getStreamLength" => self.put_result(transaction, 0.0.into()),
            "FCPublish" => {
                self.put_notice("onFCPublish", code::PUBLISH_START, &command);
                self.put_result(transaction, Value::Undefined);
            }
            "FCUnpublish" => {
                self.put_notice("onFCUnpublish", code::UNPUBLISH_SUCCESS, &command);
                self.put_result(transaction, Value::Undefined);
                if matches!(self.stage, Stage::Publishing) {
                    return Ok(self.stop());
                }
            }
            "FCSubscribe" => self.put_notice("onFCSubscribe", code::PLAY_START, &command),
            "pause" | "pauseRaw" => {
                let on = command.flag(0).unwrap_or(true);
                let code = if on { code::PAUSE_NOTIFY } else { code::UNPAUSE_NOTIFY };
                self.put_status("status", code, if on { "Paused." } else { "Not paused." });
                return Ok(self.while_playing(Event::Pause(on)));
            }
            "receiveAudio" => {
                return Ok(self.while_playing(Event::ReceiveAudio(command.flag(0).unwrap_or(true))));
            }
            "receiveVideo" => {
                return Ok(self.while_playing(Event::ReceiveVideo(command.flag(0).unwrap_or(true))));
            }
            "seek" => self.put_status("error", code::SEEK_FAILED, "A live stream has no seeking."),
            "play2" => self.put_status("error", code::PLAY_FAILED, "A stream cannot be switched."),
            _ => {
                self.put_error(transaction, code::CALL_FAILED, "There is no such command.");
                let mut name = command.name;
                name.truncate(name.floor_char_boundary(SHOWN_NAME));
                return Ok(Some(Event::UnknownCommand(name)));
            }
        }
        Ok(None)
    }

    fn connect(&mut self, command: &Command) -> Result<Option<Event>, Error> {
        let text = |name| command.object.get(name).and_then(Value::as_str);
        let app = text("app").filter(|app| app.len() <= MAX_APP);
        let Some(app) = app else {
            self.put_error(command.transaction, code::CONNECT_INVALID_APP, "Not an application.");
            self.enter(Stage::Closing);
            let expected = "an application of at most 1024 bytes of text";
            return Err(Error::BadRequest { command: "connect", expected });
        };
        // What was asked for is said to be granted, though AMF3 never is sent: clients that ask
        // for it understand AMF0, and some give up when told 0.
        let encoding = command.object.get("objectEncoding").and_then(Value::as_f64);
        let object_encoding = if encoding == Some(3.0) { 3.0 } else { 0.0 };
        self.app = app.into();
        self.enter(Stage::ConnectAsked { transaction: command.transaction, object_encoding });
        Ok(Some(Event::Connect(Box::new(Connect {
            app: app_name(app).to_owned(),
            tc_url: text("tcUrl").unwrap_or_default().to_owned(),
            flash_version: text("flashVer").unwrap_or_default().to_owned(),
            object_encoding,
        }))))
    }

    fn publish(&mut self, command: &Command) -> Result<Option<Event>, Error> {
        // Flash stops publishing by `publish(false)`.
        if command.flag(0) == Some(false) {
            return Ok(self.stop());
        }
        let Some(target) = self.target(command) else {
            self.refuse(code::PUBLISH_BAD_NAME, "Not a stream name.");
            let expected = "a stream name of at most 4096 bytes of text";
            return Err(Error::BadRequest { command: "publish", expected });
        };
        if !matches!(self.stage, Stage::Ready) {
            self.put_status("error", code::PUBLISH_BAD_NAME, "This connection has its stream.");
            return Ok(None);
        }
        let kind = match command.text(1) {
            Some("record") => PublishKind::Record,
            Some("append") => PublishKind::Append,
            _ => PublishKind::Live,
        };
        self.enter(Stage::PublishAsked);
        Ok(Some(Event::Publish(Box::new(PublishRequest { target, kind }))))
    }

    fn play(&mut self, command: &Command) -> Result<Option<Event>, Error> {
        if command.flag(0) == Some(false) {
            return Ok(self.stop());
        }
        let Some(target) = self.target(command) else {
            self.refuse(code::PLAY_FAILED, "Not a stream name.");
            let expected = "a stream name of at most 4096 bytes of text";
            return Err(Error::BadRequest { command: "play", expected });
        };
        if !matches!(self.stage, Stage::Ready) {
            self.put_status("error", code::PLAY_FAILED, "This connection has its stream.");
            return Ok(None);
        }
        let reset = command.flag(3).unwrap_or(true);
        self.enter(Stage::PlayAsked { reset });
        Ok(Some(Event::Play(Box::new(PlayRequest {
            target,
            start: command.number(1).unwrap_or(-2.0),
            duration: command.number(2).unwrap_or(-1.0),
            reset,
        }))))
    }

    /// What `publish` or `play` names. A name left out is as good as an empty one.
    fn target(&self, command: &Command) -> Option<Target> {
        let name = match command.arguments.first() {
            None | Some(Value::Null | Value::Undefined) => "",
            Some(name) => name.as_str()?,
        };
        (name.len() <= MAX_NAME).then(|| Target::new(&self.app, name))
    }

    fn stop(&mut self) -> Option<Event> {
        match self.stage {
            Stage::Publishing => {
                self.put_status("status", code::UNPUBLISH_SUCCESS, "Not publishing any more.");
                self.enter(Stage::Ready);
                Some(Event::StopPublish)
            }
            Stage::Playing => {
                self.enter(Stage::Ready);
                Some(Event::StopPlay)
            }
            _ => None,
        }
    }

    fn while_playing(&self, event: Event) -> Option<Event> {
        matches!(self.stage, Stage::Playing).then_some(event)
    }

    fn refuse(&mut self, code: &str, description: &str) {
        self.put_status("error", code, description);
        self.enter(Stage::Closing);
    }

    fn put_event(&mut self, event: UserControl) {
        self.link.put_control(Control::User(event));
    }

    fn put_status(&mut self, level: &str, code: &str, description: &str) {
        self.link.put_command(MESSAGE_STREAM, &Command::status(level, code, description));
    }

    /// Tells in the manner of Flash Media Server what a command of its encoder led to.
    fn put_notice(&mut self, notice: &str, code: &str, command: &Command) {
        let name = command.text(0).unwrap_or_default();
        let name = &name[..name.floor_char_boundary(MAX_NAME)];
        self.link.put_command(0, &Command::new(notice, 0.0, [info("status", code, name)]));
    }

    /// Answers a call, if it asked for an answer: GStreamer numbers most of its calls 0.
    fn put_result(&mut self, transaction: f64, result: Value) {
        if transaction != 0.0 {
            self.link.put_command(0, &Command::new("_result", transaction, [result]));
        }
    }

    fn put_error(&mut self, transaction: f64, code: &str, description: &str) {
        if transaction != 0.0 {
            let info = info("error", code, description);
            self.link.put_command(0, &Command::new("_error", transaction, [info]));
        }
    }

    /// When the client will be too late, with what, and how long it had.
    fn deadline(&self) -> (Duration, &'static str, Duration) {
        let config = &self.config;
        let idle = (self.last_input + config.idle_timeout, "input", config.idle_timeout);
        let stage = |expected, after| (self.since + after, expected, after);
        match self.stage {
            Stage::Handshake(_) => stage("end of the handshake", config.handshake_timeout),
            Stage::Opening => stage("connect", config.request_timeout),
            Stage::Ready => stage("request to publish or play", config.request_timeout),
            Stage::Closing => stage("end of a refused connection", LINGER),
            Stage::ConnectAsked { .. }
            | Stage::PublishAsked
            | Stage::PlayAsked { .. }
            | Stage::Publishing
            | Stage::Playing => idle,
        }
    }

    /// A publisher's input shows that it lives; a player has to be asked.
    fn next_ping(&self) -> Option<Duration> {
        let plays = matches!(self.stage, Stage::Playing | Stage::PlayAsked { .. });
        plays.then(|| self.last_input.max(self.last_ping) + self.config.ping_interval)
    }
}

/// What the server calls itself. Flash-based encoders look for a version of Flash Media Server that
/// they know.
const SERVER_VERSION: &str = "FMS/3,5,7,7009";

/// How much of an unknown command's name is worth a log.
const SHOWN_NAME: usize = 64;

/// How long a refused client has to close the connection.
const LINGER: Duration = Duration::from_secs(3);
