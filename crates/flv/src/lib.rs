//! FLV: tags, tag bodies, script data, sans-IO (Adobe Flash Video File Format Specification 10.1, and
//! Enhanced RTMP, veovera, versions 1 and 2).
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
pub mod codec;
mod depacketizer;
mod enhanced;
pub mod script;
pub mod tag;

use millrace_media::TrackKind;

pub use depacketizer::{Depacketizer, Units};
pub use enhanced::{MAX_MODIFIERS, MAX_TRACKS};

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
        /// The identifier in the tag: a number, or a FourCC.
        id: String,
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
    /// An enhanced tag is of a kind that is not specified.
    #[error("an enhanced {track} tag has packet type {kind}, which is unknown")]
    PacketType {
        /// `video` or `audio`.
        track: &'static str,
        /// The type.
        kind: u8,
    },
    /// An enhanced tag holds several tracks in a way that is not specified.
    #[error("an enhanced {track} tag has multitrack type {mode}, at most 2 expected")]
    MultitrackType {
        /// `video` or `audio`.
        track: &'static str,
        /// The type.
        mode: u8,
    },
    /// An enhanced tag has more modifiers than [`MAX_MODIFIERS`].
    #[error("an enhanced {track} tag has more than {MAX_MODIFIERS} modifiers")]
    TooManyModifiers {
        /// `video` or `audio`.
        track: &'static str,
    },
    /// The colours of an enhanced tag take more than [`script::MAX_COLOR_INFO`] bytes.
    #[error("colour information of {len} bytes, at most {} expected", script::MAX_COLOR_INFO)]
    ColorInfoTooLong {
        /// Their length.
        len: usize,
    },
    /// The script data cannot be read.
    #[error("script data: {0}")]
    Script(#[from] amf0::Amf0Error),
}

fn track_name(track: TrackKind) -> &'static str {
    match track {
        TrackKind::Video => "video",
        TrackKind::Audio => "audio",
    }
}
