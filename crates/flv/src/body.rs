//! Tag bodies of classic FLV (sections E.4.2 and E.4.3), which RTMP messages carry too.
//!
//! A body is a short prefix and the payload of a frame or a configuration. The prefix is returned
//! apart, so that whoever frames it copies the payload once.

use millrace_media::{AudioConfig, Frame, TrackKind, VideoConfig};

/// The bytes before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    bytes: [u8; 5],
    len: u8,
}

impl Prefix {
    /// The prefix as it is written.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn new(head: &[u8]) -> Self {
        let mut bytes = [0; 5];
        bytes[..head.len()].copy_from_slice(head);
        Self { bytes, len: u8::try_from(head.len()).unwrap_or(5) } // at most 5, else the copy above fails first
    }
}

/// The body of a sequence header: its prefix and its payload. `None` where a codec has none (MP3).
#[must_use]
pub fn video_sequence_header(config: &VideoConfig) -> Option<(Prefix, &[u8])> {
    match config {
        VideoConfig::Avc(c) => Some((Prefix::new(&[KEYFRAME << 4 | AVC, AVC_SEQUENCE_HEADER, 0, 0, 0]), c.raw())),
        _ => None,
    }
}

/// The body of an audio sequence header; see [`video_sequence_header`].
#[must_use]
pub fn audio_sequence_header(config: &AudioConfig) -> Option<(Prefix, &[u8])> {
    match config {
        AudioConfig::Aac(c) => Some((Prefix::new(&[AAC_PREFIX, AAC_SEQUENCE_HEADER]), c.raw())),
        _ => None,
    }
}

/// The prefix of a frame of a track with one of these configurations. `None` where the
/// configuration of its track is missing, or its codec has no classic form.
#[must_use]
pub fn frame_prefix(frame: &Frame, video: Option<&VideoConfig>, audio: Option<&AudioConfig>) -> Option<Prefix> {
    match frame.track {
        TrackKind::Video => match video? {
            VideoConfig::Avc(_) => {
                let kind = if frame.keyframe { KEYFRAME } else { INTER_FRAME };
                let composition =
                    frame.pts.as_millis().saturating_sub(frame.dts.as_millis()).clamp(-0x80_0000, 0x7f_ffff);
                let [.., a, b, c] = composition.to_be_bytes(); // 24 bits, two's complement
                Some(Prefix::new(&[kind << 4 | AVC, AVC_NALU, a, b, c]))
            }
            _ => None,
        },
        TrackKind::Audio => match audio? {
            AudioConfig::Aac(_) => Some(Prefix::new(&[AAC_PREFIX, AAC_RAW])),
            AudioConfig::Mp3(c) => {
                let rate = match c.sample_rate {
                    0..=8_000 => return Some(Prefix::new(&[MP3_8K << 4 | 0x2 | u8::from(c.channels == 2)])),
                    8_001..=16_000 => 1,
                    16_001..=32_000 => 2,
                    _ => 3,
                };
                Some(Prefix::new(&[MP3 << 4 | rate << 2 | 0x2 | u8::from(c.channels == 2)]))
            }
            _ => None,
        },
    }
}

/// `codecid` of `onMetaData`.
#[must_use]
pub fn video_codec_id(config: &VideoConfig) -> Option<u8> {
    match config {
        VideoConfig::Avc(_) => Some(AVC),
        _ => None,
    }
}

/// `audiocodecid` of `onMetaData`.
#[must_use]
pub fn audio_codec_id(config: &AudioConfig) -> Option<u8> {
    match config {
        AudioConfig::Aac(_) => Some(AAC),
        AudioConfig::Mp3(_) => Some(MP3),
        _ => None,
    }
}

pub(crate) const KEYFRAME: u8 = 1;
const INTER_FRAME: u8 = 2;
pub(crate) const VIDEO_INFO: u8 = 5;
pub(crate) const AVC: u8 = 7;
pub(crate) const AVC_SEQUENCE_HEADER: u8 = 0;
pub(crate) const AVC_NALU: u8 = 1;
pub(crate) const MP3: u8 = 2;
pub(crate) const AAC: u8 = 10;
pub(crate) const MP3_8K: u8 = 14;
pub(crate) const AAC_SEQUENCE_HEADER: u8 = 0;
pub(crate) const AAC_RAW: u8 = 1;
/// AAC is always marked as 44 kHz stereo, 16 bits; the sequence header tells the truth (E.4.2.1).
const AAC_PREFIX: u8 = AAC << 4 | 0x0f;
