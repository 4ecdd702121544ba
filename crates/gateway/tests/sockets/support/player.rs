use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use millrace_flv::amf0::Value;
use millrace_rtmp::chunk::{ChunkReader, ChunkWriter, Message, MessageKind};
use millrace_rtmp::command::Command;
use millrace_rtmp::control::{Control, UserControl};
use millrace_rtmp::handshake::{ClientHandshake, Kind, Progress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::frames::{AUDIO, Item, SCRIPT, VIDEO, What};
use super::server::{Server, connect, soon};
use super::web::{Web, next_chunk};

/// The ways to play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// HTTP-FLV by the first request of a connection.
    Flv,
    /// HTTP-FLV by the second.
    LaterFlv,
    WsFlv,
    Rtmp,
}

pub(crate) const ALL: [Via; 4] = [Via::Flv, Via::LaterFlv, Via::WsFlv, Via::Rtmp];

/// A player that reads in odd amounts, and fails on anything that is not whole.
pub(crate) struct Player {
    socket: TcpStream,
    buffer: BytesMut,
    wire: Wire,
    reads: usize,
    /// What it got so far.
    pub(crate) got: Vec<Item>,
    /// What it was told beside, in words.
    pub(crate) heard: Vec<String>,
}

enum Wire {
    Flv { begun: bool },
    Chunked { begun: bool, body: BytesMut, ended: bool },
    WsFlv { begun: bool },
    Rtmp(Box<Rtmp>),
}

#[derive(Default)]
struct Rtmp {
    reader: ChunkReader,
    writer: ChunkWriter,
}

/// What the next bytes are.
enum Step {
    Item(Item),
    Heard(String),
    /// The stream is over, and the connection goes on.
    End,
    /// Not all is here.
    Incomplete,
}

impl Player {
    /// Comes in by each way, in the order of [`ALL`].
    pub(crate) async fn one_of_each(server: &Server) -> Vec<Self> {
        let mut players = Vec::new();
        for via in ALL {
            players.push(Self::join(server, via).await);
        }
        players
    }

    /// Joins the stream, and reads nothing of it yet.
    pub(crate) async fn join(server: &Server, via: Via) -> Self {
        match via {
            Via::Flv => {
                let mut web = Web::connect(server).await;
                let head = web.ask("GET /live/movie.flv HTTP/1.1").await;
                assert_eq!((head.status, head.header("content-type")), (200, Some("video/x-flv")));
                Self::new(web.socket, web.buffer, Wire::Flv { begun: false })
            }
            Via::LaterFlv => {
                let mut web = Web::connect(server).await;
                assert_eq!(web.ask("HEAD /live/movie.flv HTTP/1.1").await.status, 200);
                let head = web.ask("GET /live/movie.flv HTTP/1.1").await;
                assert_eq!((head.status, head.header("transfer-encoding")), (200, Some("chunked")));
                Self::new(web.socket, web.buffer, Wire::Chunked { begun: false, body: BytesMut::new(), ended: false })
            }
            Via::WsFlv => {
                let mut web = Web::connect(server).await;
                let head = web.ask(&["GET /live/movie.flv HTTP/1.1", WS_HEADERS].join("\r\n")).await;
                assert_eq!(head.status, 101);
                // The answer to the key of RFC 6455, 1.3.
                assert_eq!(head.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
                Self::new(web.socket, web.buffer, Wire::WsFlv { begun: false })
            }
            Via::Rtmp => {
                let mut player = Self::rtmp(server).await;
                player.play("movie").await;
                player.until_heard("NetStream.Play.Start").await;
                player
            }
        }
    }

    /// An RTMP client that is connected, and has asked for nothing.
    pub(crate) async fn rtmp(server: &Server) -> Self {
        let mut socket = connect(server.rtmp).await;
        shake_hands(&mut socket).await;
        let mut player = Self::new(socket, BytesMut::new(), Wire::Rtmp(Box::default()));
        let object = Value::object([("app", "live"), ("tcUrl", "rtmp://test/live")]);
        player.command(Command { object, ..Command::new("connect", 1.0, [Value::Null; 0]) }).await;
        player.until_heard("_result 1").await;
        player.command(Command::new("createStream", 2.0, [Value::Null; 0])).await;
        player.until_heard("_result 2").await;
        player
    }

    fn new(socket: TcpStream, buffer: BytesMut, wire: Wire) -> Self {
        Self { socket, buffer, wire, reads: 0, got: Vec::new(), heard: Vec::new() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// The next message, or none where the stream ends in order, after a whole one.
    pub(crate) async fn next(&mut self) -> Option<Item> {
        loop {
            match self.step() {
                Step::Item(item) => {
                    self.got.push(item);
                    return Some(item);
                }
                Step::Heard(words) => {
                    let stop = words.contains("NetStream.Play.Stop");
                    self.heard.push(words);
                    if stop {
                        return None;
                    }
                }
                Step::End => return None,
                Step::Incomplete => {
                    if self.fill().await == 0 {
                        assert!(self.buffer.is_empty(), "cut off within a message: {} bytes", self.buffer.len());
                        return None;
                    }
                }
            }
        }
    }

    /// Reads up to a picture's sound.
    pub(crate) async fn until(&mut self, n: u32) {
        loop {
            match self.next().await {
                Some(item) if item.what == What::Sound(n) => return,
                Some(_) => {}
                None => panic!("the stream ended before {n}; heard {:?}", self.heard),
            }
        }
    }

    /// Reads until the stream ends.
    pub(crate) async fn until_over(&mut self) {
        while self.next().await.is_some() {}
    }

    /// Reads until the server has said that, and takes what comes before.
    pub(crate) async fn until_heard(&mut self, words: &str) {
        while !self.heard.iter().any(|w| w.contains(words)) {
            match self.step() {
                Step::Item(item) => self.got.push(item),
                Step::Heard(words) => self.heard.push(words),
                Step::End => panic!("no {words}; heard {:?}", self.heard),
                Step::Incomplete => assert!(self.fill().await > 0, "no {words}; heard {:?}", self.heard),
            }
        }
    }

    /// Waits until the server has closed the connection, one way or another.
    pub(crate) async fn until_closed(&mut self) {
        let mut scratch = vec![0; 4096];
        while matches!(soon(self.socket.read(&mut scratch)).await, Ok(1..)) {}
    }

    /// Closes the connection, or resets it.
    pub(crate) fn leave(self, reset: bool) {
        if reset {
            socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }

    /// Says something in the player's protocol.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Sends a masked WebSocket frame.
    pub(crate) async fn frame(&mut self, opcode: u8, payload: &[u8]) {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let mut frame = vec![0x80 | opcode, 0x80 | payload.len() as u8];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        self.send(&frame).await;
    }

    /// Asks to play a stream.
    pub(crate) async fn play(&mut self, name: &str) {
        self.command(Command::new("play", 0.0, [Value::from(name), Value::Number(-2.0)])).await;
    }

    /// Sends an RTMP command.
    pub(crate) async fn command(&mut self, command: Command) {
        self.message(3, 1, MessageKind::CommandAmf0, &command.encode()).await;
    }

    /// Sends an RTMP control message.
    pub(crate) async fn control(&mut self, control: Control) {
        let mut payload = BytesMut::new();
        control.encode(&mut payload);
        self.message(2, 0, control.kind(), &payload).await;
    }

    async fn message(&mut self, chunk_stream: u32, message_stream: u32, kind: MessageKind, payload: &[u8]) {
        let Wire::Rtmp(rtmp) = &mut self.wire else { panic!("not an RTMP player") };
        let mut out = BytesMut::new();
        rtmp.writer.write(&mut out, chunk_stream, message_stream, 0, kind, payload).unwrap();
        self.send(&out).await;
    }

    async fn fill(&mut self) -> usize {
        let size = ODD[self.reads % ODD.len()];
        self.reads += 1;
        let mut some = (&mut self.buffer).limit(size);
        soon(self.socket.read_buf(&mut some)).await.expect("the connection broke")
    }

    fn step(&mut self) -> Step {
        match &mut self.wire {
            Wire::Flv { begun } => flv(begun, &mut self.buffer),
            Wire::Chunked { begun, body, ended } => {
                while let Some(chunk) = next_chunk(&mut self.buffer) {
                    *ended = chunk.is_empty();
                    body.put(chunk);
                }
                match flv(begun, body) {
                    Step::Incomplete if *ended => {
                        assert!(body.is_empty(), "the body ends within a tag");
                        Step::End
                    }
                    step => step,
                }
            }
            Wire::WsFlv { begun } => ws(begun, &mut self.buffer),
            Wire::Rtmp(rtmp) => {
                let mut input = &self.buffer[..];
                let message = rtmp.reader.read(&mut input).unwrap();
                let rest = input.len();
                self.buffer.advance(self.buffer.len() - rest);
                message.map_or(Step::Incomplete, rtmp_message)
            }
        }
    }
}

/// Shakes hands as a client.
pub(crate) async fn shake_hands(socket: &mut TcpStream) {
    let (mut handshake, first) = ClientHandshake::new(Kind::Simple, 7);
    socket.write_all(&first).await.unwrap();
    // The server's packet, and its answer to ours; nothing else comes before we speak.
    let mut answer = vec![0; 1 + 2 * 1536];
    soon(socket.read_exact(&mut answer)).await.unwrap();
    let mut input = &answer[..];
    loop {
        match handshake.handle_input(&mut input).unwrap() {
            Progress::Send(bytes) => socket.write_all(&bytes).await.unwrap(),
            Progress::Done => return,
            Progress::NeedsInput => panic!("the handshake is not complete"),
        }
    }
}

/// What a WebSocket's handshake needs, with the key of RFC 6455, 1.3.
pub(crate) const WS_HEADERS: &str = "connection: Upgrade\r\nupgrade: websocket\r\n\
     sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";

/// How much is read at a time.
const ODD: [usize; 8] = [1, 3, 7, 333, 1021, 4099, 2, 16_411];

/// The next FLV tag, after the file's header.
fn flv(begun: &mut bool, buffer: &mut BytesMut) -> Step {
    if !*begun && buffer.len() >= FLV_HEADER.len() {
        assert_eq!(buffer.split_to(FLV_HEADER.len())[..], FLV_HEADER);
        *begun = true;
    }
    if !*begun || buffer.len() < 11 {
        return Step::Incomplete;
    }
    let len = u32::from_be_bytes([0, buffer[1], buffer[2], buffer[3]]) as usize;
    if buffer.len() < 11 + len + 4 {
        return Step::Incomplete;
    }
    let tag = buffer.split_to(11 + len + 4);
    assert_eq!(tag[8..11], [0; 3], "stream number");
    assert_eq!(tag[11 + len..], (11 + len as u32).to_be_bytes(), "length after the tag");
    let timestamp = u32::from_be_bytes([tag[7], tag[4], tag[5], tag[6]]);
    Step::Item(Item::read(tag[0], timestamp, &tag[11..11 + len]))
}

/// With sound and pictures.
const FLV_HEADER: [u8; 13] = [b'F', b'L', b'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0];

/// The next WebSocket frame, which is one FLV tag, or the file's header.
fn ws(begun: &mut bool, buffer: &mut BytesMut) -> Step {
    let Some(&[first, second]) = buffer.first_chunk() else { return Step::Incomplete };
    let (header, len) = match second {
        126 if buffer.len() >= 4 => (4, usize::from(u16::from_be_bytes([buffer[2], buffer[3]]))),
        127 if buffer.len() >= 10 => (10, u64::from_be_bytes(buffer[2..10].try_into().unwrap()) as usize),
        126 | 127 => return Step::Incomplete,
        short => (2, usize::from(short)), // with a mask it would be longer than there is
    };
    assert!(len < 1 << 24, "a frame of {len} bytes");
    if buffer.len() < header + len {
        return Step::Incomplete;
    }
    buffer.advance(header);
    let mut payload = buffer.split_to(len);
    match first {
        0x82 if !*begun => {
            assert_eq!(payload[..], FLV_HEADER);
            *begun = true;
            ws(begun, buffer)
        }
        0x82 => {
            let tag = flv(begun, &mut payload);
            assert!(matches!(tag, Step::Item(_)) && payload.is_empty(), "a message is one tag");
            tag
        }
        0x88 => {
            let (status, reason) = payload.split_at(2);
            let words = format!("close {} {}", u16::from_be_bytes(status.try_into().unwrap()), reason.escape_ascii());
            Step::Heard(words.trim_end().to_owned())
        }
        0x8a => Step::Heard(format!("pong {}", payload.escape_ascii())),
        other => panic!("a frame that begins with {other:#04x}"),
    }
}

fn rtmp_message(message: Message) -> Step {
    let kind = match message.kind {
        MessageKind::Audio => AUDIO,
        MessageKind::Video => VIDEO,
        MessageKind::DataAmf0 => SCRIPT,
        MessageKind::CommandAmf0 => {
            let command = Command::decode(message.kind, &message.payload).unwrap();
            let code = command.arguments.first().and_then(|info| info.get("code")).and_then(Value::as_str);
            let words = [command.name, command.transaction.to_string(), code.unwrap_or_default().to_owned()];
            return Step::Heard(words.join(" ").trim_end().to_owned());
        }
        _ => {
            return Step::Heard(match Control::decode(&message).unwrap() {
                Some(Control::User(UserControl::PingResponse(n))) => format!("PingResponse {n}"),
                Some(Control::User(UserControl::StreamEof(n))) => format!("StreamEof {n}"),
                Some(Control::User(UserControl::StreamBegin(n))) => format!("StreamBegin {n}"),
                Some(control) => format!("{:?}", control.kind()),
                None => panic!("a message of kind {}", message.kind),
            });
        }
    };
    assert_eq!(message.stream_id, 1);
    Step::Item(Item::read(kind, message.timestamp, &message.payload))
}
