//! MPEG transport streams (ISO/IEC 13818-1), written from media frames. No I/O, no clock.
//!
//! [`Muxer`] turns [`Frame`](millrace_media::Frame)s into 188-byte packets appended to a buffer of
//! the caller: H.264 and HEVC as Annex B with access unit delimiters, AAC as ADTS, MP3, AC-3 and E-AC-3
//! as they are. One program, one video and one audio stream at most.
//!
//! **Invariants** (what a TR 101 290 monitor looks at):
//! - the output is whole packets; continuity counters go on over segments and discontinuities;
//! - every segment begins with PAT and PMT, and both come again at most every [`MAX_INTERVAL`];
//! - the program clock comes at most every [`MAX_INTERVAL`], rises, and is [`LEAD`] behind the DTS
//!   of the frame that it accompanies; only a discontinuity, announced as such, moves it otherwise;
//! - DTS rises in each stream, and audio's is counted in samples ([`audio`] says how).

pub mod audio;
mod muxer;
mod packet;
mod psi;
mod video;

use millrace_media::{Timestamp, TrackKind};

pub use muxer::{LEAD, MAX_AHEAD, MAX_FILL, MAX_INTERVAL, Muxer};
pub use packet::PACKET_LEN;

/// Why something cannot be put into a transport stream. The muxer goes on as if it had not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Transport streams, or this muxer, have no form for the codec.
    #[error("MPEG-TS cannot carry {codec}: {why}")]
    UnsupportedCodec {
        /// The codec's name.
        codec: &'static str,
        /// What stands in the way.
        why: String,
    },
    /// A frame came before its track's configuration.
    #[error("{track:?} frame at {dts:?} came before its track's configuration")]
    NoConfig {
        /// The frame's track.
        track: TrackKind,
        /// The frame's decoding time.
        dts: Timestamp,
    },
    /// A frame's payload is not what its configuration says.
    #[error("{track:?} frame at {dts:?}: {source}")]
    Frame {
        /// The frame's track.
        track: TrackKind,
        /// The frame's decoding time.
        dts: Timestamp,
        /// What is wrong with it.
        source: millrace_media::Error,
    },
    /// An audio frame is longer than a PES packet can say.
    #[error("audio frame at {dts:?} has {len} bytes, at most {max} fit a PES packet")]
    FrameTooLong {
        /// The frame's decoding time.
        dts: Timestamp,
        /// Its length.
        len: usize,
        /// The greatest length.
        max: usize,
    },
}
