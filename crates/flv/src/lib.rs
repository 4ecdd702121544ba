//! FLV: tags, tag bodies, script data, sans-IO (Adobe Flash Video File Format Specification 10.1).
//!
//! RTMP carries the same tag bodies as FLV files, so both protocols read and write them here:
//!
//! - [`Depacketizer`]: tag bodies of one publisher in, [`Unit`](millrace_media::Unit)s out.
//! - [`body`]: units in, tag bodies out.
//! - [`tag`]: file header and tag framing.
//! - [`script`]: `onMetaData` both ways.
//! - [`amf0`]: the values that script data and RTMP commands are made of.

pub mod amf0;
pub mod body;
mod depacketizer;
pub mod script;
pub mod tag;

pub use depacketizer::{Depacketizer, Units};

/// Why a tag could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The body ends before a field that it needs.
    #[error("{what} is cut short at {present} bytes")]
    Truncated {
        /// The kind of tag.
        what: &'static str,
        /// Bytes that were present.
        present: usize,
    },
    /// The codec is one that this program does not carry.
    #[error("{track} codec {id} ({name}) is not supported: {expected} expected")]
    Codec {
        /// `video` or `audio`.
        track: &'static str,
        /// The identifier in the tag.
        id: u8,
        /// Its name in the specification.
        name: &'static str,
        /// What would be carried.
        expected: &'static str,
    },
    /// The decoder configuration cannot be read.
    #[error(transparent)]
    Configuration(#[from] millrace_media::Error),
    /// A frame came before the configuration that it needs.
    #[error("a {track} frame came before its sequence header")]
    NoSequenceHeader {
        /// `video` or `audio`.
        track: &'static str,
    },
    /// The script data cannot be read.
    #[error("script data: {0}")]
    Script(#[from] amf0::Amf0Error),
}
