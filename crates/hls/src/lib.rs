//! HTTP Live Streaming (RFC 8216, and its revision draft-pantos-hls-rfc8216bis for parts): from media
//! units to segments and playlists. No I/O, no clock.
//!
//! - [`Segmenter`] decides where segments and their parts begin. It knows nothing of their form:
//! - a [`Container`] writes it: [`TsContainer`] MPEG-TS, [`CmafContainer`] fragmented MP4.
//! - [`HlsPackager`] drives both for one stream and keeps the playlist. After each part or segment
//!   it hands out an immutable [`HlsSnapshot`], which says what any request gets now.
//!   Where tracks are kept apart it has the manifest of MPEG-DASH as well: another view of the same
//!   segments.
//! - [`Multivariant`] lists the formats that can carry a stream.
//!
//! **Invariants:**
//! - the target duration is fixed before the first playlist, and no segment exceeds it
//!   ([`segmenter`] says how that can be promised to a publisher whose keyframes are not known);
//!   the same goes for the part target and parts;
//! - media and discontinuity sequence numbers rise over the stream's whole life, over publishers
//!   that come and go, pauses, and restarts of the server;
//! - a name never names other bytes, so what it names may be cached for ever;
//! - a segment's bytes are those of its parts, which exist once.

mod cmaf;
mod container;
mod content;
mod dash;
mod hand_on;
mod lead;
mod multivariant;
mod name;
mod packager;
mod parts;
mod playlist;
mod query;
pub mod segmenter;
mod snapshot;
mod text;
mod wall;

use std::time::Duration;

pub use cmaf::CmafContainer;
pub use container::{Chunk, Container, ContainerError, InitSegment, TsContainer};
pub use content::Content;
pub use dash::{CLOCK, clock};
pub use hand_on::{manifest_with, playlist_with};
pub use multivariant::{Measured, Multivariant};
pub use name::{HlsFormat, ResourceName};
pub use packager::HlsPackager;
pub use query::{PlaylistQuery, QueryError};
pub use segmenter::{Cut, LONGEST_SEGMENT, MAX_SEGMENT_BYTES, Part, Segment, Segmenter};
pub use snapshot::{HlsSnapshot, Init, MediaSegment, Refused, Turn};

/// How a stream is cut and listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HlsConfig {
    /// Segments are cut on the first keyframe after this much.
    pub segment: Duration,
    /// How long parts come near to be, where the format has them.
    pub part: Duration,
    /// Number of segments in the playlist.
    pub window: usize,
    /// The longest distance between keyframes that is known of the stream, so that the target
    /// duration holds for what is yet to come; without it, the first segment is all there is to go by.
    pub longest_gop: Option<Duration>,
}

impl Default for HlsConfig {
    fn default() -> Self {
        Self { segment: Duration::from_secs(2), part: Duration::from_millis(200), window: 6, longest_gop: None }
    }
}

/// Why a stream cannot be packaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The container has no form for one of the stream's codecs. That track is left out if units
    /// go on to be pushed.
    #[error("HLS is not available for this stream: {0}")]
    Unsupported(#[source] ContainerError),
}
