//! The client's side of a connection: publishes or plays one stream.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use millrace_flv::amf0::{self, Value};

use crate::capabilities;
use crate::chunk::{ChunkWriter, Message, MessageKind, OUT_CHUNK_SIZE};
use crate::command::{Command, code};
use crate::control::{Control, UserControl};
use crate::handshake::{ClientHandshake, Kind, Progress};
use crate::link::{Link, WINDOW};
use crate::target::RtmpUrl;
use crate::{Error, Media};

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Which handshake to open with.
    pub handshake: Kind,
    /// What the client calls itself; servers show it.
    pub flash_version: String,
    /// From the connection to the start of the stream.
    pub start_timeout: Duration,
    /// Between bytes from the server, while playing.
    pub idle_timeout: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            handshake: Kind::Simple,
            flash_version: "FMLE/3.0 (compatible; Millrace)".to_owned(),
            start_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// What the server says or sends.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The stream may be sent, or will be received.
    Started,
    /// Sound, picture or data of the stream being played.
    Media(Media),
    /// Something happened to the stream.
    Status {
        /// What, such as `NetStream.Play.PublishNotify`.
        code: String,
        /// The server's words.
        description: String,
    },
    /// The server has ended the stream. Nothing follows.
    Ended {
        /// Why, such as `NetStream.Play.UnpublishNotify`.
        code: String,
    },
}

/// The client's side of one connection, which publishes or plays one stream.
///
/// Its caller owns the socket and the clock, as that of a
/// [`ServerSession`](crate::ServerSession) does, and goes round the same loop. There is output from
/// the beginning: the client speaks first. A refusal is an error.
#[derive(Debug)]
pub struct ClientSession {
    config: ClientConfig,
    role: Role,
    url: RtmpUrl,
    stage: Stage,
    link: Link,
    writer: ChunkWriter,
    message_stream: u32,
    now: Duration,
    since: Duration,
    last_input: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Publisher,
    Player,
}

#[derive(Debug)]
enum Stage {
    Handshake(Box<ClientHandshake>),
    Connecting,
    CreatingStream,
    Requesting,
    Running,
    Ended,
}

impl ClientSession {
    /// A session that publishes under the URL's name, on a connection just opened. `seed` varies
    /// the bytes of the handshake.
    pub fn publish(url: RtmpUrl, config: ClientConfig, seed: u64, now: Duration) -> Self {
        Self::new(url, config, Role::Publisher, seed, now)
    }

    /// A session that plays the URL's stream, on a connection just opened.
    pub fn play(url: RtmpUrl, config: ClientConfig, seed: u64, now: Duration) -> Self {
        Self::new(url, config, Role::Player, seed, now)
    }

    fn new(url: RtmpUrl, config: ClientConfig, role: Role, seed: u64, now: Duration) -> Self {
        let (handshake, first) = ClientHandshake::new(config.handshake, seed);
        let mut link = Link::new();
        link.out = first.into();
        Self {
            config,
            role,
            url,
            stage: Stage::Handshake(Box::new(handshake)),
            link,
            writer: ChunkWriter::new(),
            message_stream: 0,
            now,
            since: now,
            last_input: now,
        }
    }

    /// Consumes input up to the next event and returns that, or `None` when all is consumed.
    pub fn handle_input(&mut self, input: &mut &[u8], now: Duration) -> Result<Option<Event>, Error> {
        self.now = now;
        if !input.is_empty() {
            self.last_input = now;
        }
        let length = input.len();
        let event = self.step(input);
        self.link.count(length - input.len());
        if event.is_err() {
            self.stage = Stage::Ended;
        }
        event
    }

    /// What is to be sent now.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.link.take_output()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if there is no input before. A
    /// publisher that has started waits for nothing.
    pub fn next_timeout(&self) -> Option<Duration> {
        match (&self.stage, self.role) {
            (Stage::Running | Stage::Ended, Role::Publisher) | (Stage::Ended, _) => None,
            (Stage::Running, Role::Player) => Some(self.last_input + self.config.idle_timeout),
            _ => Some(self.since + self.config.start_timeout),
        }
    }

    /// Does what is due. An error says that the server is too late.
    pub fn handle_timeout(&mut self, now: Duration) -> Result<(), Error> {
        self.now = now;
        if self.next_timeout().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        let (expected, after) = match self.stage {
            Stage::Handshake(_) => ("end of the handshake", self.config.start_timeout),
            Stage::Connecting => ("answer to connect", self.config.start_timeout),
            Stage::CreatingStream => ("answer to createStream", self.config.start_timeout),
            Stage::Requesting => ("start of the stream", self.config.start_timeout),
            Stage::Running | Stage::Ended => ("input", self.config.idle_timeout),
        };
        Err(Error::Timeout { expected, after })
    }

    /// Sends the body of an FLV audio tag, once the stream has started; before, and after its end,
    /// it is dropped, as by all three.
    pub fn send_audio(&mut self, timestamp: u32, body: &[u8]) -> Result<(), Error> {
        self.send(AUDIO_CHUNK_STREAM, timestamp, MessageKind::Audio, body)
    }

    /// Sends the body of an FLV video tag.
    pub fn send_video(&mut self, timestamp: u32, body: &[u8]) -> Result<(), Error> {
        self.send(VIDEO_CHUNK_STREAM, timestamp, MessageKind::Video, body)
    }

    /// Sends data for the players, such as `onMetaData` and an array of it.
    pub fn send_data(&mut self, timestamp: u32, values: &[Value]) -> Result<(), Error> {
        let mut body = BytesMut::new();
        Value::from("@setDataFrame").encode(&mut body);
        amf0::encode_all(values, &mut body);
        self.send(AUDIO_CHUNK_STREAM, timestamp, MessageKind::DataAmf0, &body)
    }

    /// Ends the stream. The connection can be closed once the output is sent.
    pub fn stop(&mut self) {
        if matches!(self.stage, Stage::Requesting | Stage::Running) {
            if self.role == Role::Publisher {
                let name = self.url.name.as_str();
                self.link.put_command(0, &Command::new("FCUnpublish", 6.0, [name]));
            }
            let stream = f64::from(self.message_stream);
            self.link.put_command(0, &Command::new("deleteStream", 7.0, [stream]));
        }
        self.stage = Stage::Ended;
    }

    fn send(&mut self, chunk_stream: u32, timestamp: u32, kind: MessageKind, body: &[u8]) -> Result<(), Error> {
        match self.stage {
            Stage::Running if self.role == Role::Publisher => {
                self.writer.write(&mut self.link.out, chunk_stream, self.message_stream, timestamp, kind, body)
            }
            _ => Ok(()),
        }
    }

    fn step(&mut self, input: &mut &[u8]) -> Result<Option<Event>, Error> {
        while let Stage::Handshake(handshake) = &mut self.stage {
            match handshake.handle_input(input)? {
                Progress::NeedsInput => return Ok(None),
                Progress::Send(bytes) => self.link.out.extend_from_slice(&bytes),
                Progress::Done => {
                    self.connect();
                    self.stage = Stage::Connecting;
                }
            }
        }
        while !matches!(self.stage, Stage::Ended) {
            let Some(message) = self.link.read(input)? else { return Ok(None) };
            if let Some(event) = self.handle_message(message)? {
                return Ok(Some(event));
            }
        }
        *input = &[];
        Ok(None)
    }

    fn connect(&mut self) {
        let mut properties = vec![
            ("app", Value::from(self.url.app.as_str())),
            ("flashVer", Value::from(self.config.flash_version.as_str())),
            ("tcUrl", Value::from(self.url.tc_url())),
        ];
        match self.role {
            Role::Publisher => properties.push(("type", "nonprivate".into())),
            // All sounds and pictures that players of the time could decode.
            Role::Player => properties.extend([
                ("fpad", false.into()),
                ("capabilities", 15.0.into()),
                ("audioCodecs", 4071.0.into()),
                ("videoCodecs", 252.0.into()),
                ("videoFunction", capabilities::VIDEO_FUNCTION.into()),
            ]),
        }
        properties.extend(capabilities::properties());
        let connect =
            Command { object: Value::object(properties), ..Command::new("connect", CONNECT, [Value::Null; 0]) };
        self.link.put_command(0, &connect);
    }

    fn handle_message(&mut self, message: Message) -> Result<Option<Event>, Error> {
        match message.kind {
            MessageKind::CommandAmf0 | MessageKind::CommandAmf3 => {
                let command = Command::decode(message.kind, &message.payload)?;
                self.handle_command(&command, message.payload.len())
            }
            MessageKind::Audio | MessageKind::Video | MessageKind::DataAmf0 | MessageKind::DataAmf3 => {
                match (&self.stage, self.role) {
                    (Stage::Running, Role::Player) => Ok(Media::new(message)?.map(Event::Media)),
                    _ => Ok(None),
                }
            }
            _ => match (self.link.handle_control(&message)?, &self.stage) {
                (Some(UserControl::StreamEof(_)), Stage::Running) => {
                    self.stage = Stage::Ended;
                    Ok(Some(Event::Ended { code: code::PLAY_STOP.to_owned() }))
                }
                _ => Ok(None),
            },
        }
    }

    fn handle_command(&mut self, command: &Command, length: usize) -> Result<Option<Event>, Error> {
        match (command.name.as_str(), &self.stage) {
            ("_result", Stage::Connecting) if command.transaction == CONNECT => {
                self.create_stream();
                self.stage = Stage::CreatingStream;
            }
            ("_result", Stage::CreatingStream) if command.transaction == CREATE_STREAM => {
                let Some(stream) = command.number(0).filter(|stream| *stream >= 1.0) else {
                    let expected = "the number of a message stream from createStream";
                    let kind = MessageKind::CommandAmf0;
                    return Err(Error::Malformed { kind, length, expected });
                };
                self.message_stream = stream as u32;
                self.request();
                self.stage = Stage::Requesting;
            }
            ("_error", _) => return self.handle_error(command),
            ("onStatus", _) => return self.handle_status(command),
            _ => {}
        }
        Ok(None)
    }

    fn create_stream(&mut self) {
        let name = self.url.name.as_str();
        match self.role {
            Role::Publisher => {
                self.link.announce_chunk_size();
                self.writer.set_chunk_size(OUT_CHUNK_SIZE);
                self.link.put_command(0, &Command::new("releaseStream", 2.0, [name]));
                self.link.put_command(0, &Command::new("FCPublish", 3.0, [name]));
            }
            Role::Player => self.link.announce_window(WINDOW),
        }
        let create = Command::new("createStream", CREATE_STREAM, [Value::Null; 0]);
        self.link.put_command(0, &create);
    }

    fn request(&mut self) {
        let name = Value::from(self.url.name.as_str());
        match self.role {
            Role::Publisher => {
                let publish = Command::new("publish", REQUEST, [name, "live".into()]);
                self.link.put_command(self.message_stream, &publish);
            }
            Role::Player => {
                // Live if it is on air, else a recording of it.
                let play = Command::new("play", REQUEST, [name, Value::Number(-2.0)]);
                self.link.put_command(self.message_stream, &play);
                self.link.put_control(Control::User(UserControl::SetBufferLength {
                    stream: self.message_stream,
                    milliseconds: 3000,
                }));
            }
        }
    }

    fn handle_error(&self, error: &Command) -> Result<Option<Event>, Error> {
        let command = match error.transaction {
            CONNECT => "connect",
            CREATE_STREAM => "createStream",
            REQUEST => self.request_name(),
            // Servers that do not know releaseStream or FCPublish may say so.
            _ => return Ok(None),
        };
        let (_, code, description) = status(error);
        Err(Error::Refused { command, code, description })
    }

    fn handle_status(&mut self, command: &Command) -> Result<Option<Event>, Error> {
        let (level, code, description) = status(command);
        if level == "error" {
            return Err(Error::Refused { command: self.request_name(), code, description });
        }
        let start = match self.role {
            Role::Publisher => code::PUBLISH_START,
            Role::Player => code::PLAY_START,
        };
        match self.stage {
            Stage::Requesting if code == start => {
                self.stage = Stage::Running;
                Ok(Some(Event::Started))
            }
            Stage::Running if ENDS.contains(&code.as_str()) => {
                self.stage = Stage::Ended;
                Ok(Some(Event::Ended { code }))
            }
            Stage::Running => Ok(Some(Event::Status { code, description })),
            _ => Ok(None),
        }
    }

    fn request_name(&self) -> &'static str {
        match self.role {
            Role::Publisher => "publish",
            Role::Player => "play",
        }
    }
}

/// Level, code and description of a status or an error.
fn status(command: &Command) -> (String, String, String) {
    let info = command.arguments.first();
    let text = |name| {
        let text = info.and_then(|info| info.get(name)).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    (text("level"), text("code"), text("description"))
}

/// The transactions whose answers matter.
const CONNECT: f64 = 1.0;
const CREATE_STREAM: f64 = 4.0;
const REQUEST: f64 = 5.0;

const AUDIO_CHUNK_STREAM: u32 = 4;
const VIDEO_CHUNK_STREAM: u32 = 6;

const ENDS: [&str; 4] = [code::PLAY_STOP, code::PLAY_COMPLETE, code::PLAY_UNPUBLISH_NOTIFY, code::UNPUBLISH_SUCCESS];
