//! MP4 and QuickTime files (ISO/IEC 14496-12; QuickTime File Format): their index, and their media as HLS segments in
//! the form of CMAF, made when they are asked for. No I/O, no clock.
//!
//! - [`Reader`] asks for the pieces of a file that it needs and makes a [`Movie`] of them: tracks with their codecs,
//!   sizes and times, and where each sample is, in some 10 bytes of memory a sample. The media itself is not read.
//!   Files with their index at the end, in fragments, or cut off are read as well.
//! - [`Plan`] cuts a movie into segments, one track for itself. [`Packaged`] is a track of it: it writes the media
//!   playlist, the init segment and each [`Segment`], which is a head and *ranges of the file*: the media's bytes are
//!   sent as they are stored.
//! - [`Multivariant`] lists the playlists of a video: those of its file, and of renditions beside it.
//! - [`playback`] tells which codecs browsers play.
//!
//! ```
//! # use std::sync::Arc;
//! # use millrace_mp4::{AudioRendition, Multivariant, Movie, Plan, TARGET_DURATION, VideoVariant};
//! # fn show(movie: Movie) -> Result<(), millrace_mp4::Error> {
//! let plan = Plan::new(Arc::new(movie), TARGET_DURATION)?;
//! let text = Multivariant {
//!     video: plan.video().map(|track| VideoVariant::of(track, "original/video.m3u8".to_owned())).into_iter().collect(),
//!     audio: plan.audio().map(|track| AudioRendition::of(track, "original/audio.m3u8".to_owned())).into_iter().collect(),
//!     subtitles: vec![],
//! }
//! .render("?token=T");
//! let track = plan.track("video").expect("the playlist has it"); // the names in addresses: video, audio, audio1, …
//! let (playlist, init) = (track.media_playlist("?token=T"), track.init_segment());
//! let segment = track.segment(0).expect("there is at least one");
//! // Sent: segment.head, then each of segment.ranges of the file; segment.size bytes.
//! # Ok(())
//! # }
//! ```
//!
//! # Times
//! A movie begins when the first of its pictures and sound is seen or heard; [`Packaged::boundaries`] and
//! [`Track::begins`] count from there. In segments that instant is [`EPOCH`], 10 s, for all tracks of all files, so that
//! renditions of a video match, and so that what is decoded before it is shown has times that are not negative. WebVTT
//! segments beside them need `X-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000`.
//!
//! Edit lists are applied, not handed on: a delay and a cut at either end. Tracks whose list does more than that cannot
//! be played ([`Track::defect`] says so), nor can encrypted ones, or those whose configuration changes.
//!
//! **Invariants:**
//! - all samples of a movie are within the file, whatever the file says;
//! - segments hold each sample of a track that is played exactly once, in the order of decoding;
//! - a sample's times are those of the file moved by a constant, but for pictures that are decoded and not shown;
//! - nothing is allocated for what a file declares but does not have; what it has is bounded by [`MAX_MOOV_BYTES`],
//!   [`MAX_MOOF_BYTES`], [`MAX_BOXES`], [`MAX_TRACKS`], [`MAX_SAMPLES`], [`MAX_SAMPLE_ENTRY`],
//!   [`MAX_DURATION`] and [`MAX_SEGMENTS`]. Boxes
//!   are read as deep as the specification nests them, so that no depth can be declared.

mod boxes;
mod edits;
mod entry;
mod error;
mod fragments;
mod moov;
mod movie;
mod multivariant;
mod plan;
mod playback;
mod playlist;
mod rate;
mod reader;
mod samples;
mod span;

pub use boxes::FourCc;
pub use entry::MAX_SAMPLE_ENTRY;
pub use error::Error;
pub use millrace_media::{EPOCH, TrackKind};
pub use moov::MAX_TRACKS;
pub use movie::{MAX_DURATION, Movie, Track};
pub use multivariant::{AudioRendition, Multivariant, Subtitles, VideoVariant};
pub use plan::{
    LONGEST_SEGMENT, MAX_SEGMENT_BYTES, MAX_SEGMENT_SAMPLES, MAX_SEGMENTS, Packaged, Plan, Segment, TARGET_DURATION,
};
pub use playback::{Playback, playback};
pub use rate::BitRate;
pub use reader::{MAX_BOXES, MAX_MOOF_BYTES, MAX_MOOV_BYTES, MAX_PIECE, Reader};
pub use samples::MAX_SAMPLES;
pub use span::MAX_HIDDEN;
