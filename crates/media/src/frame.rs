use std::sync::Arc;

use bytes::Bytes;

use crate::{AudioConfig, Timestamp, TrackKind, VideoConfig};

/// One coded access unit of one track.
///
/// The payload is in the form that FLV and MP4 share: H.264 and HEVC as length-prefixed NAL units
/// (the prefix's size is in [`AvcConfig::nal_length_size`](crate::AvcConfig::nal_length_size) and
/// its like), AV1 as OBUs that tell their size, AAC without ADTS header, the others as their
/// encoders write them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The track that it belongs to.
    pub track: TrackKind,
    /// Decoding can begin here. Always true for audio.
    pub keyframe: bool,
    /// When it is decoded.
    pub dts: Timestamp,
    /// When it is shown.
    pub pts: Timestamp,
    /// The coded bytes.
    pub payload: Bytes,
}

impl Frame {
    /// True for a picture with which decoding can begin.
    #[must_use]
    pub fn is_video_keyframe(&self) -> bool {
        self.track == TrackKind::Video && self.keyframe
    }
}

/// What a publisher says about its stream (`onMetaData`), as far as players are told.
///
/// Codecs, resolution and frame rate come from the bitstream instead: publishers are often wrong.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    /// The encoder's name and version.
    pub encoder: Option<String>,
    /// Declared video bit rate, kbit/s.
    pub video_kbit_s: Option<f64>,
    /// Declared audio bit rate, kbit/s.
    pub audio_kbit_s: Option<f64>,
    /// Declared pictures per second.
    pub frame_rate: Option<f64>,
    /// Declared width, pixels.
    pub width: Option<f64>,
    /// Declared height, pixels.
    pub height: Option<f64>,
    /// Colours and light levels beyond what the bitstream tells: the `colorInfo` object of Enhanced
    /// RTMP, in AMF0. Absent where it is empty.
    pub color_info: Option<Bytes>,
}

/// What passes between protocols.
#[derive(Debug, Clone)]
pub enum Unit {
    /// The publisher described its stream.
    Metadata(Arc<Metadata>),
    /// The video track begins or changes its configuration.
    VideoConfig(Arc<VideoConfig>),
    /// The audio track begins or changes its configuration.
    AudioConfig(Arc<AudioConfig>),
    /// A coded frame.
    Frame(Frame),
    /// Time does not continue from the frames before: the publisher came back, or its clock
    /// jumped. Timestamps still rise.
    Discontinuity,
}
