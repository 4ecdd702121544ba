//! Fragmented MP4 (ISO/IEC 14496-12), written from media frames in the form of CMAF (ISO/IEC
//! 23000-19). No I/O, no clock.
//!
//! - [`init_segment`] writes what a decoder needs first: `ftyp` and `moov`.
//! - [`Fragmenter`] gathers the frames of one track into [`Fragment`]s, each a `moof` and an `mdat`
//!   that stand for themselves.
//! - [`init_segment_of`] and [`Moof`] are what both are written with, for those who have sample entries
//!   and samples that are to be left where they are.
//!
//! Fragments hold one track each, so that the same bytes serve every view: DASH takes them one by
//! one beside an init segment of that track alone; a muxed HLS segment is a fragment of the pictures
//! and one of the sound, one after the other, beside an init segment of both.
//!
//! **Invariants:**
//! - a frame's decoding time in the file is its time on the stream's time line and [`EPOCH`], within
//!   a tick; sound's is counted in samples ([`SampleClock`](millrace_media::SampleClock)). It is
//!   never a sum of durations, so nothing drifts;
//! - within a fragment each sample ends where the next begins, and a fragment never begins before
//!   the one before it ends;
//! - the tracks' numbers and timescales depend on nothing but kind and sampling frequency, so that
//!   an init segment and fragments of one configuration always belong together.

mod audio;
pub mod boxes;
mod fragmenter;
mod init;
mod moof;
mod video;

use millrace_media::{Timestamp, TrackKind};

pub use audio::{MAX_SAMPLE_RATE, audio_codec_string, check_audio};
pub use fragmenter::{Fragment, Fragmenter, MAX_FRAGMENT_BYTES, MAX_FRAGMENT_SAMPLES};
pub use init::{TrackHead, UNDETERMINED, UPRIGHT, init_segment, init_segment_of};
pub use millrace_media::EPOCH;
pub use moof::{Moof, Sample};
pub use video::{check_video, complete_hevc_record, video_codec_string};

/// Ticks of the pictures' clock per second.
pub const VIDEO_TIMESCALE: u32 = 90_000;

/// The track's number in init segments and fragments (`track_ID`).
#[must_use]
pub const fn track_id(track: TrackKind) -> u32 {
    match track {
        TrackKind::Video => 1,
        TrackKind::Audio => 2,
    }
}

/// Why something cannot be put into an MP4 file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// MP4, or this writer, has no form for the codec.
    #[error("MP4 cannot carry {codec}: {why}")]
    UnsupportedCodec {
        /// The codec's name.
        codec: &'static str,
        /// What stands in the way.
        why: String,
    },
    /// An init segment of neither pictures nor sound was asked for.
    #[error("an init segment needs at least one track")]
    NoTrack,
    /// A frame was given to the fragmenter of the other track. It is left out.
    #[error("{track:?} frame at {dts:?} was given to the fragmenter of the other track")]
    WrongTrack {
        /// The frame's track.
        track: TrackKind,
        /// The frame's decoding time.
        dts: Timestamp,
    },
    /// A frame's payload is not what its configuration says. It is left out.
    #[error("{track:?} frame at {dts:?}: {source}")]
    Frame {
        /// The frame's track.
        track: TrackKind,
        /// The frame's decoding time.
        dts: Timestamp,
        /// What is wrong with it.
        source: millrace_media::Error,
    },
    /// The fragment has no room for the frame, which is left out: [`MAX_FRAGMENT_BYTES`] or
    /// [`MAX_FRAGMENT_SAMPLES`] are reached.
    #[error("{track:?} frame at {dts:?}: the fragment has {bytes} bytes in {samples} samples and no room for more")]
    Full {
        /// The frame's track.
        track: TrackKind,
        /// The frame's decoding time.
        dts: Timestamp,
        /// Bytes gathered.
        bytes: usize,
        /// Samples gathered.
        samples: usize,
    },
}
