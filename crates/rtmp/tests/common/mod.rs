//! What the tests of sessions share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use millrace_flv::amf0::Value;
use millrace_rtmp::chunk::{ChunkReader, Message, MessageKind, write_shared};
use millrace_rtmp::command::Command;
use millrace_rtmp::handshake::{ClientHandshake, Kind};
use millrace_rtmp::server::{Event, ServerConfig};
use millrace_rtmp::{Error, ServerSession};

pub const HANDSHAKE: usize = 1 + 2 * 1536;

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Gives a session input and returns the events, each after `answer` has seen it.
pub fn feed_with(
    session: &mut ServerSession,
    mut input: &[u8],
    now: Duration,
    mut answer: impl FnMut(&mut ServerSession, &Event),
) -> Result<Vec<Event>, Error> {
    let mut events = Vec::new();
    while let Some(event) = session.handle_input(&mut input, now)? {
        answer(session, &event);
        events.push(event);
    }
    assert!(input.is_empty(), "input is consumed to its end");
    Ok(events)
}

/// Accepts whatever is asked.
pub fn accept(session: &mut ServerSession, event: &Event) {
    match event {
        Event::Connect(_) => session.accept_connect(),
        Event::Publish(_) => session.accept_publish(),
        Event::Play(_) => session.accept_play(),
        _ => {}
    }
}

/// A client made by hand: what it sends is put together message by message, and what it gets is
/// read as messages.
pub struct Peer {
    pub session: ServerSession,
    pub now: Duration,
    reader: ChunkReader,
    transaction: f64,
}

impl Peer {
    /// A peer whose handshake is over.
    pub fn new() -> Self {
        Self::with(ServerConfig::default())
    }

    pub fn with(config: ServerConfig) -> Self {
        let mut session = ServerSession::new(config, 1, Duration::ZERO);
        let (_, packet) = ClientHandshake::new(Kind::Simple, 2);
        let first = [&packet[..], &[0; 1536]].concat();
        feed_with(&mut session, &first, Duration::ZERO, |_, _| {}).unwrap();
        assert_eq!(session.poll_output().unwrap().len(), HANDSHAKE);
        Self { session, now: Duration::ZERO, reader: ChunkReader::new(), transaction: 0.0 }
    }

    /// A peer that is connected to the application `live`.
    pub fn connected() -> Self {
        let mut peer = Self::new();
        let events = peer.send(&connect("live"));
        assert!(matches!(&events[..], [Event::Connect(_)]));
        peer.session.accept_connect();
        peer.received();
        peer
    }

    /// A peer that publishes.
    pub fn publishing() -> Self {
        let mut peer = Self::connected();
        peer.call("publish", ["key"]);
        peer.session.accept_publish();
        peer.received();
        peer
    }

    /// A peer that plays.
    pub fn playing() -> Self {
        let mut peer = Self::connected();
        peer.call("play", ["movie"]);
        peer.session.accept_play();
        peer.received();
        peer
    }

    pub fn try_feed(&mut self, input: &[u8]) -> Result<Vec<Event>, Error> {
        feed_with(&mut self.session, input, self.now, |_, _| {})
    }

    pub fn feed(&mut self, input: &[u8]) -> Vec<Event> {
        self.try_feed(input).unwrap()
    }

    pub fn send(&mut self, command: &Command) -> Vec<Event> {
        self.feed(&command_bytes(command))
    }

    /// Sends a command with the next transaction number.
    pub fn call<A: Into<Value>>(&mut self, name: &str, arguments: impl IntoIterator<Item = A>) -> Vec<Event> {
        self.transaction += 1.0;
        self.send(&Command::new(name, self.transaction, arguments))
    }

    /// What the session has sent since the last time.
    pub fn received(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(bytes) = self.session.poll_output() {
            let mut input = &bytes[..];
            while let Some(message) = self.reader.read(&mut input).unwrap() {
                messages.push(message);
            }
            // Shared messages may follow: the next byte must be the first of a header.
            assert_eq!(self.reader.allocated(), 0, "output ends where a message ends");
        }
        messages
    }

    /// The commands among those, each as `name code`.
    pub fn statuses(&mut self) -> Vec<String> {
        let messages = self.received();
        messages.iter().filter_map(command_of).map(|command| summary(&command)).collect()
    }
}

pub fn command_of(message: &Message) -> Option<Command> {
    (message.kind == MessageKind::CommandAmf0).then(|| Command::decode(message.kind, &message.payload).unwrap())
}

/// A command as `name code`, or `name` where it has no code.
pub fn summary(command: &Command) -> String {
    let code = command.arguments.first().and_then(|info| info.get("code")).and_then(|code| code.as_str());
    match code {
        Some(code) => format!("{} {code}", command.name),
        None => command.name.clone(),
    }
}

pub fn connect(app: &str) -> Command {
    Command {
        object: Value::object([("app", app), ("tcUrl", "rtmp://host/live")]),
        ..Command::new("connect", 1.0, [""; 0])
    }
}

pub fn command_bytes(command: &Command) -> Bytes {
    message_bytes(MessageKind::CommandAmf0, 0, &command.encode())
}

/// A message in chunks of 128 bytes.
pub fn message_bytes(kind: MessageKind, timestamp: u32, payload: &[u8]) -> Bytes {
    write_shared(3, 1, timestamp, kind, &[payload], 128).unwrap()
}

/// Cuts bytes into pieces of lengths that differ, the same each time.
pub fn ragged(bytes: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut state = seed | 1;
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let length = match state % 4 {
            0 => 1,
            1 => 1 + (state >> 8) % 20,
            _ => 1 + (state >> 8) % 3000,
        };
        let (piece, after) = rest.split_at(rest.len().min(length as usize));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
