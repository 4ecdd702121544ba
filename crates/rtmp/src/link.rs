//! What both sides of a connection do alike: chunks in and out, windows, pings.

use bytes::{Bytes, BytesMut};

use crate::Error;
use crate::chunk::{ChunkReader, DEFAULT_CHUNK_SIZE, Message, MessageKind, OUT_CHUNK_SIZE, put_whole};
use crate::command::Command;
use crate::control::{Control, UserControl};

/// The window that this side announces, and the peer's until it announces its own.
pub(crate) const WINDOW: u32 = 2_500_000;

/// The smallest window of a peer that is heeded, lest every byte be acknowledged.
pub(crate) const MIN_WINDOW: u32 = 1024;

/// How many bytes of answers may wait to be taken. A peer provokes at most some ten times what it
/// sends, so this is much for one read.
pub const MAX_OUTPUT: usize = 1024 * 1024;

/// Chunk streams for what is not media. The hub's packager uses others for media.
pub(crate) const CONTROL_CHUNK_STREAM: u32 = 2;
pub(crate) const COMMAND_CHUNK_STREAM: u32 = 3;

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) reader: ChunkReader,
    pub(crate) out: BytesMut,
    /// How much of the output answers the peer.
    answers: usize,
    out_chunk_size: u32,
    received: u64,
    acknowledged: u64,
    peer_window: u32,
    window: u32,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            reader: ChunkReader::new(),
            out: BytesMut::new(),
            answers: 0,
            out_chunk_size: DEFAULT_CHUNK_SIZE,
            received: 0,
            acknowledged: 0,
            peer_window: WINDOW,
            window: 0,
        }
    }

    /// What is to be sent, and no memory kept for more.
    pub(crate) fn take_output(&mut self) -> Option<Bytes> {
        self.answers = 0;
        (!self.out.is_empty()).then(|| std::mem::take(&mut self.out).freeze())
    }

    pub(crate) fn put(&mut self, stream: u32, message_stream: u32, kind: MessageKind, body: &[u8]) {
        let before = self.out.len();
        put_whole(&mut self.out, stream, message_stream, kind, body, self.out_chunk_size);
        self.answers += self.out.len() - before;
    }

    pub(crate) fn put_command(&mut self, message_stream: u32, command: &Command) {
        let payload = command.encode();
        self.put(COMMAND_CHUNK_STREAM, message_stream, MessageKind::CommandAmf0, &payload);
    }

    pub(crate) fn put_control(&mut self, control: Control) {
        let mut payload = BytesMut::new();
        control.encode(&mut payload);
        self.put(CONTROL_CHUNK_STREAM, 0, control.kind(), &payload);
    }

    pub(crate) fn announce_chunk_size(&mut self) {
        self.put_control(Control::SetChunkSize(OUT_CHUNK_SIZE));
        self.out_chunk_size = OUT_CHUNK_SIZE;
    }

    pub(crate) fn announce_window(&mut self, window: u32) {
        self.window = window;
        self.put_control(Control::WindowAckSize(window));
    }

    /// Counts bytes received, and acknowledges them when a window is full.
    pub(crate) fn count(&mut self, received: usize) {
        self.received += received as u64;
        if self.received - self.acknowledged >= u64::from(self.peer_window) {
            self.acknowledged = self.received;
            self.put_control(Control::Acknowledgement(self.received as u32));
        }
    }

    /// The next message in the input. Fails too if the answers to those before have become too
    /// many.
    pub(crate) fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        match self.answers {
            0..=MAX_OUTPUT => self.reader.read(input),
            length => Err(Error::TooMuchOutput { length, limit: MAX_OUTPUT }),
        }
    }

    /// Does what a control message asks for, if the message is one. Returns the events of streams.
    pub(crate) fn handle_control(&mut self, message: &Message) -> Result<Option<UserControl>, Error> {
        match Control::decode(message)? {
            Some(Control::WindowAckSize(window)) => self.peer_window = window.max(MIN_WINDOW),
            Some(Control::SetPeerBandwidth { window, .. }) if window != self.window => {
                self.announce_window(window);
            }
            Some(Control::User(UserControl::PingRequest(number))) => {
                self.put_control(Control::User(UserControl::PingResponse(number)));
            }
            Some(Control::User(event)) => return Ok(Some(event)),
            _ => {}
        }
        Ok(None)
    }
}
