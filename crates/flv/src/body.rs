//! Tag bodies, which RTMP messages carry too.
//!
//! A body is a short prefix and the payload of a frame or a configuration. The prefix is returned
//! apart, so that whoever frames it copies the payload once.
//!
//! H.264, AAC and MP3 are written in the form of classic FLV (sections E.4.2 and E.4.3), which every
//! player reads; what has no such form as Enhanced RTMP writes it, with its FourCC.

use millrace_media::{AudioConfig, Frame, Timestamp, TrackKind, VideoConfig};

use crate::codec::{AudioCodec, FourCc, MP3_8K, VideoCodec};
use crate::enhanced;

/// The bytes before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    bytes: [u8; MAX_PREFIX],
    len: u8,
}

impl Prefix {
    /// The prefix as it is written.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn new(head: &[u8]) -> Self {
        Self { bytes: [0; MAX_PREFIX], len: 0 }.with(head)
    }

    /// No prefix is longer than [`MAX_PREFIX`]: each is put together in this file.
    fn with(mut self, more: &[u8]) -> Self {
        let at = usize::from(self.len);
        self.bytes[at..at + more.len()].copy_from_slice(more);
        self.len += u8::try_from(more.len()).unwrap_or(0); // else the copy above fails first
        self
    }
}

/// How much of Enhanced RTMP is written for codecs that have no classic form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Sequence headers and frames, which is what players in browsers read; other packets make them
    /// give up.
    Basic,
    /// Modifiers of time as well.
    Full,
}

/// The body of a sequence header: its prefix and its payload. `None` where a codec has none (MP3).
#[must_use]
pub fn video_sequence_header(config: &VideoConfig) -> Option<(Prefix, &[u8])> {
    let codec = VideoCodec::of(config)?;
    let prefix = match codec.classic_id() {
        Some(id) => Prefix::new(&[KEYFRAME << 4 | id, SEQUENCE_HEADER, 0, 0, 0]),
        None => ex_video(KEYFRAME, enhanced::SEQUENCE_START, codec.fourcc()),
    };
    Some((prefix, config.raw()))
}

/// The body of an audio sequence header; see [`video_sequence_header`].
#[must_use]
pub fn audio_sequence_header(config: &AudioConfig) -> Option<(Prefix, &[u8])> {
    let codec = AudioCodec::of(config)?;
    let prefix = match (codec, codec.classic_id()) {
        (AudioCodec::Aac, Some(id)) => Prefix::new(&[id << 4 | AAC_LAYOUT, SEQUENCE_HEADER]),
        (_, Some(_)) => return None,
        (AudioCodec::Flac, None) => ex_audio(enhanced::SEQUENCE_START, codec.fourcc()).with(FLAC_START),
        (_, None) => ex_audio(enhanced::SEQUENCE_START, codec.fourcc()),
    };
    Some((prefix, config.raw().map_or(&[], |raw| raw)))
}

/// The prefix of a frame of a track with one of these configurations. `None` where the
/// configuration of its track is missing.
///
/// What a frame's time has beyond milliseconds is written with [`Extent::Full`], in enhanced bodies
/// only.
#[must_use]
pub fn frame_prefix(
    frame: &Frame,
    video: Option<&VideoConfig>,
    audio: Option<&AudioConfig>,
    extent: Extent,
) -> Option<Prefix> {
    let nanos = if extent == Extent::Full { below_millis(frame.dts) } else { 0 };
    match frame.track {
        TrackKind::Video => {
            let codec = VideoCodec::of(video?)?;
            let kind = if frame.keyframe { KEYFRAME } else { INTER_FRAME };
            let composition = frame.pts.as_millis().saturating_sub(frame.dts.as_millis()).clamp(-0x80_0000, 0x7f_ffff);
            let [.., a, b, c] = composition.to_be_bytes(); // 24 bits, two's complement
            if let Some(id) = codec.classic_id() {
                return Some(Prefix::new(&[kind << 4 | id, CODED, a, b, c]));
            }
            let (packet, composition) = match composition {
                0 if codec.reorders() => (enhanced::CODED_FRAMES_X, &[][..]),
                _ if codec.reorders() => (enhanced::CODED_FRAMES, &[a, b, c][..]),
                _ => (enhanced::CODED_FRAMES, &[][..]),
            };
            let head = enhanced::VIDEO_EX_HEADER | kind << 4;
            Some(ex_frame(head, packet, nanos, codec.fourcc()).with(composition))
        }
        TrackKind::Audio => {
            let config = audio?;
            let codec = AudioCodec::of(config)?;
            match (config, codec.classic_id()) {
                (AudioConfig::Mp3(c), Some(id)) => {
                    let stereo = u8::from(c.channels == 2);
                    let rate = match c.sample_rate {
                        0..=8_000 => return Some(Prefix::new(&[MP3_8K << 4 | 0x2 | stereo])),
                        8_001..=16_000 => 1,
                        16_001..=32_000 => 2,
                        _ => 3,
                    };
                    Some(Prefix::new(&[id << 4 | rate << 2 | 0x2 | stereo]))
                }
                (_, Some(id)) => Some(Prefix::new(&[id << 4 | AAC_LAYOUT, CODED])),
                (_, None) => {
                    let head = enhanced::AUDIO_EX_HEADER << 4;
                    Some(ex_frame(head, enhanced::CODED_FRAMES, nanos, codec.fourcc()))
                }
            }
        }
    }
}

/// The prefix of a publisher's colour information
/// ([`Metadata::color_info`](millrace_media::Metadata::color_info)). `None` for codecs that are
/// written in classic form.
#[must_use]
pub fn color_info_prefix(config: &VideoConfig) -> Option<Prefix> {
    let codec = VideoCodec::of(config)?;
    codec.classic_id().is_none().then(|| ex_video(VIDEO_INFO, enhanced::METADATA, codec.fourcc()))
}

/// `videocodecid` of `onMetaData`: a number of classic FLV, or a FourCC as one.
#[must_use]
pub fn video_codec_id(config: &VideoConfig) -> Option<u32> {
    let codec = VideoCodec::of(config)?;
    Some(codec.classic_id().map_or(u32::from_be_bytes(codec.fourcc()), u32::from))
}

/// `audiocodecid` of `onMetaData`.
#[must_use]
pub fn audio_codec_id(config: &AudioConfig) -> Option<u32> {
    let codec = AudioCodec::of(config)?;
    Some(codec.classic_id().map_or(u32::from_be_bytes(codec.fourcc()), u32::from))
}

fn ex_video(kind: u8, packet: u8, fourcc: FourCc) -> Prefix {
    Prefix::new(&[enhanced::VIDEO_EX_HEADER | kind << 4 | packet]).with(&fourcc)
}

fn ex_audio(packet: u8, fourcc: FourCc) -> Prefix {
    Prefix::new(&[enhanced::AUDIO_EX_HEADER << 4 | packet]).with(&fourcc)
}

/// A frame's prefix, with a modifier of time in front where there are `nanos`.
fn ex_frame(head: u8, packet: u8, nanos: u32, fourcc: FourCc) -> Prefix {
    if nanos == 0 {
        return Prefix::new(&[head | packet]).with(&fourcc);
    }
    let [_, a, b, c] = nanos.to_be_bytes(); // below 2^20
    let size = 3 - 1;
    Prefix::new(&[head | enhanced::MOD_EX, size, a, b, c, enhanced::TIMESTAMP_OFFSET_NANO << 4 | packet]).with(&fourcc)
}

/// Nanoseconds beyond whole milliseconds, 0 to 999,999.
fn below_millis(at: Timestamp) -> u32 {
    u32::try_from(at.as_nanos().rem_euclid(1_000_000)).unwrap_or(0) // below 10^6
}

/// `fLaC` and the header of a last metadata block of 34 bytes, `STREAMINFO` (RFC 9639, 8).
const FLAC_START: &[u8] = b"fLaC\x80\0\0\x22";
/// A frame with a modifier and a composition time, or a FLAC sequence header.
const MAX_PREFIX: usize = 14;
pub(crate) const KEYFRAME: u8 = 1;
const INTER_FRAME: u8 = 2;
pub(crate) const VIDEO_INFO: u8 = 5;
/// Packet types of classic AVC and AAC.
pub(crate) const SEQUENCE_HEADER: u8 = 0;
pub(crate) const CODED: u8 = 1;
/// AAC is always marked as 44 kHz stereo, 16 bits; the sequence header tells the truth (E.4.2.1).
const AAC_LAYOUT: u8 = 0x0f;
