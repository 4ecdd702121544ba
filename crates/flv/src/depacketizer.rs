use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_media::{AacConfig, AudioConfig, AvcConfig, Frame, Mp3Config, Timeline, TrackKind, Unit, VideoConfig};

use crate::{Error, body, script};

/// Turns the tag bodies of one publisher into units.
///
/// Holds what the bodies refer back to: the clock, and which configurations have come.
/// A body with an error yields no unit and leaves the state as it was, so that a caller may go on
/// with the next one.
#[derive(Debug, Default)]
pub struct Depacketizer {
    timeline: Timeline,
    has_video: bool,
    has_aac: bool,
    mp3: Option<Mp3Config>,
}

/// The units of one body: none, one, or a frame with what must go before it.
pub type Units = smallvec::SmallVec<[Unit; 2]>;

impl Depacketizer {
    /// For a publisher that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The bodies that are read next came at `now`, on any steady clock: what the publisher's clock
    /// says is judged by it.
    pub fn set_now(&mut self, now: Duration) {
        self.timeline.set_now(now);
    }

    /// Reads a video body that came with `clock`, ms.
    ///
    /// # Errors
    /// When the codec is not carried, the body is cut short, its configuration cannot be read, or
    /// a frame comes before the sequence header.
    pub fn video(&mut self, clock: u32, data: &Bytes) -> Result<Units, Error> {
        let truncated = || Error::Truncated { what: "video tag", present: data.len() };
        let Some(&head) = data.first() else { return Ok(Units::new()) };
        let (kind, codec) = (head >> 4, head & 0x0f);
        if kind == body::VIDEO_INFO {
            return Ok(Units::new()); // a command to the player, not a picture
        }
        if head & ENHANCED != 0 || codec != body::AVC {
            return Err(unsupported_video(head));
        }
        let &[_, packet, a, b, c] = data.first_chunk::<5>().ok_or_else(truncated)?;
        let payload = data.slice(5..);
        match packet {
            body::AVC_SEQUENCE_HEADER => {
                if payload.is_empty() {
                    return Ok(Units::new()); // some encoders send an empty one before they know
                }
                let config = VideoConfig::Avc(AvcConfig::parse(payload)?);
                self.has_video = true;
                Ok(one(Unit::VideoConfig(Arc::new(config))))
            }
            body::AVC_NALU => {
                if !self.has_video {
                    return Err(Error::NoSequenceHeader { track: "video" });
                }
                if payload.is_empty() {
                    return Ok(Units::new());
                }
                let composition = i32::from_be_bytes([a, b, c, 0]) >> 8; // sign-extended 24 bits
                Ok(self.frame(TrackKind::Video, kind == body::KEYFRAME, clock, composition, payload))
            }
            _ => Ok(Units::new()), // end of sequence
        }
    }

    /// Reads an audio body that came with `clock`, ms.
    ///
    /// # Errors
    /// As [`Self::video`].
    pub fn audio(&mut self, clock: u32, data: &Bytes) -> Result<Units, Error> {
        let truncated = || Error::Truncated { what: "audio tag", present: data.len() };
        let Some(&head) = data.first() else { return Ok(Units::new()) };
        match head >> 4 {
            body::AAC => {
                let &packet = data.get(1).ok_or_else(truncated)?;
                let payload = data.slice(2..);
                if payload.is_empty() {
                    return Ok(Units::new());
                }
                if packet == body::AAC_SEQUENCE_HEADER {
                    let config = AudioConfig::Aac(AacConfig::parse(payload)?);
                    self.has_aac = true;
                    self.mp3 = None;
                    return Ok(one(Unit::AudioConfig(Arc::new(config))));
                }
                if !self.has_aac {
                    return Err(Error::NoSequenceHeader { track: "audio" });
                }
                Ok(self.frame(TrackKind::Audio, true, clock, 0, payload))
            }
            body::MP3 | body::MP3_8K => {
                let payload = data.slice(1..);
                if payload.is_empty() {
                    return Ok(Units::new());
                }
                let config = Mp3Config::parse(&payload)?;
                let frame = self.frame(TrackKind::Audio, true, clock, 0, payload);
                let mut units = Units::new();
                if self.mp3 != Some(config) {
                    self.mp3 = Some(config);
                    self.has_aac = false;
                    units.push(Unit::AudioConfig(Arc::new(AudioConfig::Mp3(config))));
                }
                units.extend(frame);
                Ok(units)
            }
            // FFmpeg describes more than two channels in an enhanced tag beside its classic ones.
            ENHANCED_AUDIO if head & 0x0f == MULTICHANNEL_CONFIG => Ok(Units::new()),
            id => Err(Error::Codec { track: "audio", id, name: audio_codec_name(id), expected: "AAC or MP3" }),
        }
    }

    /// Reads script data: `onMetaData`, or nothing that matters here.
    ///
    /// # Errors
    /// When the values are not AMF0.
    pub fn script(&mut self, data: &[u8]) -> Result<Units, Error> {
        Ok(script::parse(data)?.map(|m| one(Unit::Metadata(Arc::new(m)))).unwrap_or_default())
    }

    fn frame(&mut self, track: TrackKind, keyframe: bool, clock: u32, composition: i32, payload: Bytes) -> Units {
        let times = self.timeline.map(track, clock, 0, composition);
        let mut units = Units::new();
        if times.discontinuity {
            units.push(Unit::Discontinuity);
        }
        units.push(Unit::Frame(Frame { track, keyframe, dts: times.dts, pts: times.pts, payload }));
        units
    }
}

/// `IsExHeader` of Enhanced RTMP: the codec is a FourCC behind it.
const ENHANCED: u8 = 0x80;
/// `ExHeader` of Enhanced RTMP in place of a sound format.
const ENHANCED_AUDIO: u8 = 9;
/// A packet type of [`ENHANCED_AUDIO`].
const MULTICHANNEL_CONFIG: u8 = 4;

fn one(unit: Unit) -> Units {
    let mut units = Units::new();
    units.push(unit);
    units
}

fn unsupported_video(head: u8) -> Error {
    let (id, name) = match (head & ENHANCED, head & 0x0f) {
        (0, id) => (id, video_codec_name(id)),
        (_, packet) => (packet, "Enhanced RTMP"),
    };
    Error::Codec { track: "video", id, name, expected: "H.264" }
}

fn video_codec_name(id: u8) -> &'static str {
    match id {
        2 => "Sorenson H.263",
        3 => "Screen video",
        4 => "On2 VP6",
        5 => "On2 VP6 with alpha",
        6 => "Screen video 2",
        12 => "HEVC without Enhanced RTMP",
        _ => "unknown",
    }
}

fn audio_codec_name(id: u8) -> &'static str {
    match id {
        0 | 3 => "PCM",
        1 => "ADPCM",
        4..=6 => "Nellymoser",
        7 => "G.711 A-law",
        8 => "G.711 mu-law",
        9 => "Enhanced RTMP",
        11 => "Speex",
        13 => "Opus without Enhanced RTMP",
        _ => "unknown",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Written by x264 for 640x360 at 25 pictures a second.
    const AVC_RECORD: &[u8] = &[
        0x01, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x4d, 0x40, 0x1e, 0xec, 0xa0, 0x50, 0x17, 0xfc, 0xb8,
        0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x07, 0x8b, 0x16, 0xcb, 0x01, 0x00, 0x05, 0x68,
        0xeb, 0xe3, 0xcb, 0x20,
    ];

    fn with_sequence_headers() -> (Depacketizer, VideoConfig, AudioConfig) {
        let mut d = Depacketizer::new();
        let header = |prefix: &[u8], record: &[u8]| Bytes::from([prefix, record].concat());
        let video = match &d.video(0, &header(&[0x17, 0, 0, 0, 0], AVC_RECORD)).unwrap()[0] {
            Unit::VideoConfig(c) => (**c).clone(),
            other => panic!("{other:?}"),
        };
        let audio = match &d.audio(0, &header(&[0xaf, 0], &[0x12, 0x10])).unwrap()[0] {
            Unit::AudioConfig(c) => (**c).clone(),
            other => panic!("{other:?}"),
        };
        (d, video, audio)
    }

    fn frame(units: &Units) -> Frame {
        match units.last() {
            Some(Unit::Frame(f)) => f.clone(),
            other => panic!("a frame expected, {other:?} found"),
        }
    }

    #[test]
    fn a_frame_before_its_sequence_header_is_refused_and_the_next_ones_are_not_harmed() {
        let mut d = Depacketizer::new();
        let e = d.video(0, &Bytes::from_static(&[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65])).unwrap_err();
        assert_eq!(e.to_string(), "a video frame came before its sequence header");
        assert!(d.audio(0, &Bytes::from_static(&[0xaf, 1, 1])).is_err());
    }

    #[test]
    fn codecs_that_are_not_carried_are_named() {
        let mut d = Depacketizer::new();
        let e = d.video(0, &Bytes::from_static(&[0x22, 0])).unwrap_err();
        assert_eq!(e.to_string(), "video codec 2 (Sorenson H.263) is not supported: H.264 expected");
        let e = d.audio(0, &Bytes::from_static(&[0xb2, 0])).unwrap_err();
        assert_eq!(e.to_string(), "audio codec 11 (Speex) is not supported: AAC or MP3 expected");
        assert!(d.video(0, &Bytes::from_static(b"\x91hvc1")).unwrap_err().to_string().contains("Enhanced RTMP"));
    }

    #[test]
    fn mp3_brings_its_configuration_with_the_first_frame_only() {
        let mut d = Depacketizer::new();
        let body = Bytes::from_static(&[0x2f, 0xff, 0xfb, 0x90, 0x44, 0, 0]);
        let first = d.audio(0, &body).unwrap();
        assert!(matches!(&first[..], [Unit::AudioConfig(_), Unit::Frame(_)]), "{first:?}");
        assert_eq!(d.audio(26, &body).unwrap().len(), 1);
    }

    #[test]
    fn empty_bodies_and_commands_are_passed_over() {
        let (mut d, ..) = with_sequence_headers();
        for body in [&[][..], &[0x57, 0], &[0x17, 2, 0, 0, 0], &[0x17, 1, 0, 0, 0], &[0x17, 0, 0, 0, 0]] {
            assert!(d.video(0, &Bytes::from_static(body)).unwrap().is_empty(), "{body:02x?}");
        }
        assert!(d.audio(0, &Bytes::from_static(&[0xaf, 1])).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn a_written_frame_is_read_back(audio: bool, keyframe: bool, clock in 0u32..500, composition in 0i32..5000, payload in proptest::collection::vec(any::<u8>(), 1..50)) {
            let (mut d, v, a) = with_sequence_headers();
            let track = if audio { TrackKind::Audio } else { TrackKind::Video };
            let payload = Bytes::from(payload);
            let dts = millrace_media::Timestamp::from_millis(i64::from(clock));
            let written = Frame {
                track,
                keyframe: keyframe || audio,
                dts,
                pts: if audio { dts } else { dts.offset_millis(i64::from(composition)) },
                payload: payload.clone(),
            };
            let prefix = body::frame_prefix(&written, Some(&v), Some(&a)).unwrap();
            let tag = Bytes::from([prefix.as_slice(), &payload].concat());
            let units = if audio { d.audio(clock, &tag) } else { d.video(clock, &tag) };
            prop_assert_eq!(frame(&units.unwrap()), written);
        }

        #[test]
        fn any_body_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let (mut d, ..) = with_sequence_headers();
            let bytes = Bytes::from(bytes);
            let _ = (d.video(0, &bytes), d.audio(0, &bytes), d.script(&bytes));
        }
    }
}
