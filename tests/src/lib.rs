//! Helpers of the end-to-end tests, which run the real binary on real sockets with real FFmpeg.
//!
//! Each test has a [`Server`] of its own: a process on ports of the system's choice, with a
//! directory that goes with it. Nothing here uses the project's own code for reading what the
//! server sends, but for RTMP, where other programs read it as well: a judge should not share the
//! mistakes of the judged.

#![allow(clippy::unwrap_used)]

pub mod certificate;
pub mod clip;
pub mod flv;
pub mod frames;
pub mod hls;
pub mod http;
pub mod process;
pub mod rtmp;
pub mod s3;
pub mod server;
pub mod site;
pub mod wait;
pub mod websocket;

pub use certificate::Certificate;
pub use clip::{Clip, Temporary};
pub use process::Program;
pub use server::Server;
pub use wait::{PATIENCE, eventually};
