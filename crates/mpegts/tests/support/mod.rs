//! What the integration tests of transport streams share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test program uses a part

pub mod ffmpeg;
pub mod flv;
pub mod monitor;
