//! Real FFmpeg over sources that it makes itself, judged by ffprobe.
#![allow(clippy::unwrap_used)]

mod ends;
mod hostile;
mod pictures;
mod probing;
mod remuxing;
mod support;
mod transcoding;
