//! HTTP Live Streaming (RFC 8216): from media units to segments and playlists. No I/O, no clock.
//!
//! - [`Segmenter`] decides where segments begin. It knows nothing of their form:
//! - a [`Container`] writes it; [`TsContainer`] writes MPEG-TS.
//! - [`HlsPackager`] drives both for one stream and keeps the playlist. After each segment it hands
//!   out an immutable [`HlsSnapshot`] that any number of readers answer requests from.
//!
//! **Invariants:**
//! - the target duration is fixed when the first segment is complete, and no segment exceeds it
//!   ([`segmenter`] says how that can be promised to a publisher whose keyframes are not known);
//! - media and discontinuity sequence numbers rise over the stream's whole life, over publishers
//!   that come and go, pauses, and restarts of the server;
//! - the name of a segment never names other bytes, so it may be cached for ever.

mod container;
mod content;
mod multivariant;
mod packager;
mod playlist;
pub mod segmenter;
mod wall;

use std::time::Duration;

pub use container::{Container, TsContainer};
pub use content::Content;
pub use packager::{HlsPackager, HlsSnapshot, MediaSegment, SegmentLookup};
pub use segmenter::{LONGEST_SEGMENT, MAX_SEGMENT_BYTES, Segment, Segmenter};

/// How a stream is cut and listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HlsConfig {
    /// Segments are cut on the first keyframe after this much.
    pub segment: Duration,
    /// Number of segments in the playlist.
    pub window: usize,
    /// The longest distance between keyframes that is known of the stream, so that the target
    /// duration holds for what is yet to come; without it, the first segment is all there is to go by.
    pub longest_gop: Option<Duration>,
}

impl Default for HlsConfig {
    fn default() -> Self {
        Self { segment: Duration::from_secs(2), window: 6, longest_gop: None }
    }
}

/// Why a stream cannot be packaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The container has no form for one of the stream's codecs. That track is left out if units
    /// go on to be pushed.
    #[error("HLS is not available for this stream: {0}")]
    Unsupported(#[source] millrace_mpegts::Error),
}
