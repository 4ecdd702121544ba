//! Videos through FFmpeg and ffprobe, which run as child processes.
//!
//! ```text
//! file -> Container::of -> Ffmpeg::probe -> Probe -+-> verdict    play it as it is, remux it, or transcode it
//!                                                  +-> ladder     what renditions to make of it
//! Ffmpeg::{remux, transcode, thumbnails, storyboard}: a file, or pictures, or an error in plain words
//! captions: SubRip and WebVTT, without FFmpeg
//! ```
//!
//! Invariants:
//! - A file is what its bytes say, never what its name says: FFmpeg is told the format, and reads that file and nothing
//!   else. A playlist or a script in a video's clothes opens neither files nor connections.
//! - A child process ends with whoever started it: on cancelling, on dropping the future, and where the whole process is
//!   killed.
//! - A result is under its name as a whole, or it is not there and nothing is left of it.
//! - Everything that a file controls is bounded: tracks, sizes, lengths, what FFmpeg says, how long it may say nothing.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod captions;
mod container;
mod error;
mod ladder;
mod make;
mod pictures;
mod probe;
mod process;
mod progress;
mod remux;
mod storyboard;
#[cfg(test)]
mod test_data;
mod tools;
mod transcode;
mod verdict;

pub use container::{Container, HEAD_BYTES, NotMedia};
pub use error::Error;
pub use ladder::{AudioCodec, AudioSettings, LadderConfig, Rung, Speed, VideoCodec, VideoSettings, ladder};
pub use make::Made;
pub use probe::{Audio, Kind, Limits, Probe, Ratio, Track, Transfer, Video};
pub use progress::Progress;
pub use remux::Remux;
pub use storyboard::{Layout, Storyboard, storyboard_vtt};
pub use tools::{Ffmpeg, FfmpegConfig};
pub use transcode::{Keyframes, Transcode};
pub use verdict::{AudioHandling, Verdict, verdict};
