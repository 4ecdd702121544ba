//! RTMP: handshake, chunk stream, commands; server and client sessions, sans-IO

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
pub use media::{MAX_DATA, Media};
pub use server::ServerSession;
pub use target::{RtmpUrl, Target};
