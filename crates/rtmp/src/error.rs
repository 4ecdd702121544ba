//! What can go wrong on a connection.

use std::time::Duration;

use millrace_flv::amf0::Amf0Error;

use crate::chunk::MessageKind;

/// Why a connection cannot go on.
///
/// Every error is final for its session: send what `poll_output` still has (often the status that
/// tells the peer why), then close the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first byte is not RTMP's version. Usually another protocol on the wrong port, such as
    /// HTTP (0x47) or TLS (0x16), or RTMPE (0x06).
    #[error("handshake: the first byte is {version:#04x}, expected 0x03 (plain RTMP)")]
    Version {
        /// The byte.
        version: u8,
    },

    /// A chunk that repeats fields of an earlier chunk, in a chunk stream that had none. Usually
    /// the sign of a lost position in the stream.
    #[error(
        "byte {position}: chunk of type {format} opens chunk stream {chunk_stream}, \
         expected type 0 or 1"
    )]
    NoPreviousHeader {
        /// Where the chunk begins, in bytes after the handshake.
        position: u64,
        /// Its chunk stream.
        chunk_stream: u32,
        /// Its header type.
        format: u8,
    },

    /// More chunk streams than [`MAX_CHUNK_STREAMS`](crate::chunk::MAX_CHUNK_STREAMS).
    #[error("byte {position}: chunk stream {chunk_stream} is one more than the 64 allowed")]
    TooManyChunkStreams {
        /// Where the chunk begins, in bytes after the handshake.
        position: u64,
        /// Its chunk stream.
        chunk_stream: u32,
    },

    /// A message that came whole, or is to be sent, longer than what it may hold.
    #[error("{kind} message of {length} bytes, expected at most {limit}")]
    PayloadTooLong {
        /// What message.
        kind: MessageKind,
        /// The length of its payload.
        length: usize,
        /// The greatest length.
        limit: usize,
    },

    /// A message that announces itself longer than allowed here and now.
    #[error("byte {position}: {kind} message of {length} bytes, expected at most {limit}")]
    MessageTooLong {
        /// Where its first chunk begins, in bytes after the handshake.
        position: u64,
        /// What message.
        kind: MessageKind,
        /// Its declared length.
        length: usize,
        /// The limit in force.
        limit: usize,
    },

    /// More bytes in unfinished messages than
    /// [`MAX_UNFINISHED`](crate::chunk::MAX_UNFINISHED).
    #[error("byte {position}: more than 32 MiB in unfinished messages")]
    TooMuchUnfinished {
        /// Where it became too much, in bytes after the handshake.
        position: u64,
    },

    /// A message whose payload is not what its type asks for.
    #[error("{kind} message of {length} bytes: expected {expected}")]
    Malformed {
        /// What message.
        kind: MessageKind,
        /// The length of its payload.
        length: usize,
        /// What was expected.
        expected: &'static str,
    },

    /// A command or data message that does not begin with AMF0 as expected.
    #[error("{kind} message: {source}")]
    Amf0 {
        /// What message.
        kind: MessageKind,
        /// What is wrong with it.
        source: Amf0Error,
    },

    /// More input than a session holds while its caller owes an answer.
    #[error("{length} bytes sent without waiting for an answer, expected at most {limit}")]
    TooMuchHeld {
        /// How much there was.
        length: usize,
        /// The limit.
        limit: usize,
    },

    /// More answers waiting to be sent than there could be if the peer took them, or the caller.
    #[error("{length} bytes of answers not sent, expected at most {limit}")]
    TooMuchOutput {
        /// How much there was.
        length: usize,
        /// The limit.
        limit: usize,
    },

    /// The peer did not do in time what it had to do.
    #[error("no {expected} within {} s", after.as_secs())]
    Timeout {
        /// What was expected of the peer.
        expected: &'static str,
        /// How long it had.
        after: Duration,
    },

    /// A request to which there can be no other answer than a refusal, which has been sent.
    #[error("{command} refused: expected {expected}")]
    BadRequest {
        /// The command.
        command: &'static str,
        /// What was expected.
        expected: &'static str,
    },

    /// The server refused what this client asked for.
    #[error("the server refused {command}: {code} ({description})")]
    Refused {
        /// The command that was refused.
        command: &'static str,
        /// The server's code, such as `NetStream.Publish.BadName`.
        code: String,
        /// The server's words.
        description: String,
    },

    /// Not an RTMP URL.
    #[error("not an RTMP URL: expected {expected}")]
    Url {
        /// What was expected.
        expected: &'static str,
    },
}
