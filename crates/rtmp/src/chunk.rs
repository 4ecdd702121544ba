//! The chunk stream: messages cut into chunks, so that a long one need not hold up a short one.
//!
//! Specification: Adobe, *RTMP 1.0*, sections 5.3 (chunks) and 6.1 (message header).
//!
//! Invariants:
//! - A [`ChunkReader`] allocates as bytes come, never from a declared length, and holds no more
//!   than [`MAX_UNFINISHED`] bytes in no more than [`MAX_CHUNK_STREAMS`] unfinished messages.
//! - What [`write_shared`] makes can be understood by any peer in any state, as long as the chunk
//!   size is in force: one encoding serves all players of a stream.

mod reader;
mod writer;

use bytes::Bytes;

pub use reader::ChunkReader;
pub(crate) use writer::put_whole;
pub use writer::{ChunkWriter, write_shared};

/// The chunk size in force until a side announces another.
pub const DEFAULT_CHUNK_SIZE: u32 = 128;

/// The chunk size that a server session announces, and with which shared messages are written.
pub const OUT_CHUNK_SIZE: u32 = 65_536;

/// The longest message there can be: its length has 24 bits.
pub const MAX_MESSAGE: usize = 0xff_ffff;

/// The longest aggregate message: each of its 16 bytes may be a message of its own.
pub const MAX_AGGREGATE: usize = 1024 * 1024;

/// How many chunk streams a peer may use on one connection. Encoders use about five.
pub const MAX_CHUNK_STREAMS: usize = 64;

/// How many bytes of unfinished messages, over all chunk streams, a reader holds.
pub const MAX_UNFINISHED: usize = 32 * 1024 * 1024;

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// 1: the sender's chunk size from here on.
    SetChunkSize,
    /// 2: the unfinished message of a chunk stream will not be finished.
    Abort,
    /// 3: how many bytes the sender has received.
    Acknowledgement,
    /// 4: stream events and pings.
    UserControl,
    /// 5: how many bytes the sender sends before it expects an acknowledgement.
    WindowAckSize,
    /// 6: how many bytes the receiver may send before it waits for an acknowledgement.
    SetPeerBandwidth,
    /// 8: the body of an FLV audio tag.
    Audio,
    /// 9: the body of an FLV video tag.
    Video,
    /// 15: data in AMF3; in practice a zero byte, then AMF0.
    DataAmf3,
    /// 16: a shared object in AMF3.
    SharedObjectAmf3,
    /// 17: a command in AMF3; in practice a zero byte, then AMF0.
    CommandAmf3,
    /// 18: data in AMF0, such as `onMetaData`.
    DataAmf0,
    /// 19: a shared object in AMF0.
    SharedObjectAmf0,
    /// 20: a command in AMF0.
    CommandAmf0,
    /// 22: several messages in one, laid out as FLV tags.
    Aggregate,
    /// A number the specification does not have.
    Other(u8),
}

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it carries.
    pub kind: MessageKind,
    /// Milliseconds, absolute, wrapping every 49.7 days.
    pub timestamp: u32,
    /// The message stream; 0 is the connection itself.
    pub stream_id: u32,
    /// Its content.
    pub payload: Bytes,
}

impl From<u8> for MessageKind {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::SetChunkSize,
            2 => Self::Abort,
            3 => Self::Acknowledgement,
            4 => Self::UserControl,
            5 => Self::WindowAckSize,
            6 => Self::SetPeerBandwidth,
            8 => Self::Audio,
            9 => Self::Video,
            15 => Self::DataAmf3,
            16 => Self::SharedObjectAmf3,
            17 => Self::CommandAmf3,
            18 => Self::DataAmf0,
            19 => Self::SharedObjectAmf0,
            20 => Self::CommandAmf0,
            22 => Self::Aggregate,
            other => Self::Other(other),
        }
    }
}

impl From<MessageKind> for u8 {
    fn from(kind: MessageKind) -> Self {
        match kind {
            MessageKind::SetChunkSize => 1,
            MessageKind::Abort => 2,
            MessageKind::Acknowledgement => 3,
            MessageKind::UserControl => 4,
            MessageKind::WindowAckSize => 5,
            MessageKind::SetPeerBandwidth => 6,
            MessageKind::Audio => 8,
            MessageKind::Video => 9,
            MessageKind::DataAmf3 => 15,
            MessageKind::SharedObjectAmf3 => 16,
            MessageKind::CommandAmf3 => 17,
            MessageKind::DataAmf0 => 18,
            MessageKind::SharedObjectAmf0 => 19,
            MessageKind::CommandAmf0 => 20,
            MessageKind::Aggregate => 22,
            MessageKind::Other(other) => other,
        }
    }
}

impl std::fmt::Display for MessageKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Other(number) => write!(f, "type {number}"),
            kind => write!(f, "{kind:?} (type {})", u8::from(*kind)),
        }
    }
}

/// The 24-bit timestamp that says that the timestamp follows in 32 bits.
const EXTENDED: u32 = 0xff_ffff;
