//! RTMP: handshake, chunk stream, commands; server and client sessions, sans-IO

pub mod chunk;
mod error;
pub mod handshake;

pub use error::Error;
