//! The nouns that every protocol of Millrace shares.
//!
//! A publisher's protocol turns its bytes into [`Unit`]s, a packager turns units into one output
//! format; nothing else passes between protocols. This crate does no I/O and reads no clock.
//!
//! - [`Timestamp`]: nanoseconds on a stream's own time line.
//! - [`Frame`]: one coded access unit of one track.
//! - [`VideoConfig`], [`AudioConfig`]: what a decoder needs before the first frame.
//! - [`SampleClock`]: a sound track's time, counted in samples.
//! - [`Timeline`]: maps a publisher's 32-bit millisecond clock to monotonic timestamps.
//!
//! **Invariant:** timestamps inside units never run backwards within a track.

pub mod aac;
pub mod ac3;
pub mod av1;
pub mod avc;
mod bits;
mod clock;
pub mod flac;
mod frame;
pub mod hevc;
pub mod mp3;
mod nal;
pub mod opus;
mod picture;
#[cfg(test)]
mod test_data;
mod time;
mod timeline;
mod track;
pub mod vp9;

pub use aac::AacConfig;
pub use ac3::Ac3Config;
pub use av1::Av1Config;
pub use avc::AvcConfig;
pub use clock::{RESYNC_FROM, SLEW_FROM, SampleClock};
pub use flac::FlacConfig;
pub use frame::{Frame, Metadata, Unit};
pub use hevc::HevcConfig;
pub use mp3::Mp3Config;
pub use opus::OpusConfig;
pub use picture::Picture;
pub use time::Timestamp;
pub use timeline::{
    MAX_APART, MAX_BACKWARD, MAX_COMPOSITION, MAX_FORWARD, MAX_LEAD, STANDING, STANDING_FRAMES, Timeline, TimelineTimes,
};
pub use track::{AudioConfig, TrackKind, VideoConfig};
pub use vp9::Vp9Config;

/// Where a stream's zero lies in formats whose times cannot be negative: room for pictures that are shown before they are
/// decoded, and for a track that begins before the stream does. The same in all of them, since the variants of an HLS
/// stream must have matching timestamps (RFC 8216, 6.2.4).
pub const EPOCH: std::time::Duration = std::time::Duration::from_secs(10);

/// Why a codec configuration or a coded frame could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The structure ends before a field that it needs.
    #[error("{what} is cut short: {needed} bytes needed at offset {offset}, {present} present")]
    Truncated {
        /// The structure that was being read.
        what: &'static str,
        /// Byte offset of the missing field.
        offset: usize,
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes that were left.
        present: usize,
    },
    /// A field has a value that the specification does not allow here.
    #[error("{what} is not valid: {why}")]
    Invalid {
        /// The structure that was being read.
        what: &'static str,
        /// What was found and what was expected.
        why: String,
    },
    /// A field is valid but this program cannot carry it.
    #[error("{what} is not supported: {why}")]
    Unsupported {
        /// The structure that was being read.
        what: &'static str,
        /// What was found.
        why: String,
    },
}
