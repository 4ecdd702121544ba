//! RTMP as a pair of state machines: bytes and the time in, bytes and events out.
//!
//! Specification: Adobe, *Real-Time Messaging Protocol (RTMP) 1.0* (2012), veovera's *Enhanced RTMP*
//! for what is said of codecs, and what encoders and
//! players made of it, which the tests hold on to: they are named after the program whose habit
//! they keep working, and `tests/data` has what the real programs sent.
//!
//! | module | what it does |
//! |---|---|
//! | [`handshake`] | the opening, simple and with digests, both sides |
//! | [`chunk`] | bytes to messages and back; one encoding for many players |
//! | [`control`], [`command`] | the messages that are not media, typed |
//! | [`server`], [`client`] | whole connections |
//!
//! ```
//! use std::time::Duration;
//! use millrace_rtmp::server::{Event, ServerConfig};
//! use millrace_rtmp::{Media, ServerSession};
//!
//! # fn main() -> Result<(), millrace_rtmp::Error> {
//! # let (seed, now) = (0, Duration::ZERO);
//! # let (read, mut write) = (|| &[3_u8, 0, 0][..], |_bytes: bytes::Bytes| {});
//! let mut session = ServerSession::new(ServerConfig::default(), seed, now);
//! let mut input = read();
//! while let Some(event) = session.handle_input(&mut input, now)? {
//!     match event {
//!         Event::Connect(_) => session.accept_connect(),
//!         Event::Publish(request) if request.target.key() == "secret" => session.accept_publish(),
//!         Event::Publish(_) => session.reject_publish("NetStream.Publish.BadName", "Wrong key."),
//!         Event::Media(Media::Video { timestamp, payload }) => drop((timestamp, payload)),
//!         _ => {}
//!     }
//! }
//! while let Some(bytes) = session.poll_output() {
//!     write(bytes);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Invariants:
//! - No I/O, no clock, no randomness: a session is a function of what it is given.
//! - A peer's bytes can end its session with an [`Error`], and nothing else. A panic is a bug.
//! - Everything that a peer controls has a limit with a name: [`chunk::MAX_MESSAGE`],
//!   [`chunk::MAX_CHUNK_STREAMS`], [`chunk::MAX_UNFINISHED`], [`command::MAX_COMMAND`],
//!   [`server::MAX_APP`], [`server::MAX_NAME`], [`server::MAX_HELD`], [`MAX_DATA`],
//!   [`MAX_OUTPUT`]. Memory follows what has come, never what was announced.
//! - Only a publisher that was accepted may send messages longer than a command.
//! - Names, keys and queries do not appear in `Debug` output or errors.

mod capabilities;
pub mod chunk;
pub mod client;
pub mod command;
pub mod control;
mod error;
pub mod handshake;
mod link;
mod media;
pub mod server;
mod target;

pub use client::ClientSession;
pub use error::Error;
pub use link::MAX_OUTPUT;
pub use media::{MAX_DATA, Media};
pub use server::ServerSession;
pub use target::{RtmpUrl, Target};
