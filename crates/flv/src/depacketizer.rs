mod audio;
mod video;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_media::{Frame, Metadata, Timeline, TrackKind, Unit};

use crate::codec::{self, AudioCodec, FourCc, VideoCodec};
use crate::enhanced::{self, Packet, PacketType};
use crate::{Error, body, script};
use audio::AudioTrack;
use video::VideoTrack;

/// Turns the tag bodies of one publisher into units.
///
/// Holds what the bodies refer back to: the clock, and which configurations have come.
/// A body with an error yields no unit and leaves the state as it was, so that a caller may go on
/// with the next one.
#[derive(Debug, Default)]
pub struct Depacketizer {
    timeline: Timeline,
    video: VideoTrack,
    audio: AudioTrack,
    metadata: Arc<Metadata>,
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
        let Some(&head) = data.first() else { return Ok(Units::new()) };
        if head & enhanced::VIDEO_EX_HEADER != 0 {
            let keyframe = head >> 4 & 7 == body::KEYFRAME;
            return match enhanced::read(TrackKind::Video, data)? {
                Some(packet) => self.enhanced_video(clock, keyframe, &packet),
                None => Ok(Units::new()),
            };
        }
        let (kind, id) = (head >> 4, head & 0x0f);
        if kind == body::VIDEO_INFO {
            return Ok(Units::new()); // a command to the player, not a picture
        }
        let codec = VideoCodec::from_classic_id(id).ok_or_else(|| Error::Codec {
            track: "video",
            id: id.to_string(),
            name: codec::classic_video_name(id),
            expected: VideoCodec::NAMES,
        })?;
        let truncated = || Error::Truncated { what: "video tag", present: data.len() };
        let &[_, packet, a, b, c] = data.first_chunk::<5>().ok_or_else(truncated)?;
        let payload = data.slice(5..);
        match packet {
            // Some encoders send an empty sequence header before they know.
            body::SEQUENCE_HEADER if !payload.is_empty() => self.video_start(codec, payload),
            body::CODED => {
                let composition = signed_24(a, b, c);
                self.picture(clock, 0, codec, kind == body::KEYFRAME, composition, payload)
            }
            _ => Ok(Units::new()), // end of sequence
        }
    }

    /// Reads an audio body that came with `clock`, ms.
    ///
    /// # Errors
    /// As [`Self::video`].
    pub fn audio(&mut self, clock: u32, data: &Bytes) -> Result<Units, Error> {
        let Some(&head) = data.first() else { return Ok(Units::new()) };
        let id = head >> 4;
        if id == enhanced::AUDIO_EX_HEADER {
            return match enhanced::read(TrackKind::Audio, data)? {
                Some(packet) => self.enhanced_audio(clock, &packet),
                None => Ok(Units::new()),
            };
        }
        match AudioCodec::from_classic_id(id) {
            Some(AudioCodec::Aac) => {
                let truncated = || Error::Truncated { what: "audio tag", present: data.len() };
                let &packet = data.get(1).ok_or_else(truncated)?;
                let payload = data.slice(2..);
                if packet == body::SEQUENCE_HEADER {
                    return self.audio_start(AudioCodec::Aac, &payload);
                }
                self.sound(clock, 0, AudioCodec::Aac, payload)
            }
            Some(codec) => self.sound(clock, 0, codec, data.slice(1..)),
            None => Err(Error::Codec {
                track: "audio",
                id: id.to_string(),
                name: codec::classic_audio_name(id),
                expected: AudioCodec::NAMES,
            }),
        }
    }

    /// Reads script data: `onMetaData`, or nothing that matters here.
    ///
    /// # Errors
    /// When the values are not AMF0.
    pub fn script(&mut self, data: &[u8]) -> Result<Units, Error> {
        let Some(said) = script::parse(data)? else { return Ok(Units::new()) };
        Ok(self.say(Metadata { color_info: self.metadata.color_info.clone(), ..said }))
    }

    fn enhanced_video(&mut self, clock: u32, keyframe: bool, packet: &Packet) -> Result<Units, Error> {
        if packet.kind == PacketType::Metadata {
            let Some(color_info) = script::color_info(&packet.payload)? else { return Ok(Units::new()) };
            if color_info == self.metadata.color_info {
                return Ok(Units::new());
            }
            return Ok(self.say(Metadata { color_info, ..Metadata::clone(&self.metadata) }));
        }
        let codec = VideoCodec::from_fourcc(packet.fourcc)
            .ok_or_else(|| unsupported("video", packet.fourcc, VideoCodec::NAMES))?;
        let payload = packet.payload.clone();
        match packet.kind {
            PacketType::SequenceStart if !payload.is_empty() => self.video_start(codec, payload),
            PacketType::TsSequenceStart if codec == VideoCodec::Av1 => {
                let config = self.video.start_av1_of_ts(&payload)?;
                Ok(config.map(Unit::VideoConfig).into_iter().collect())
            }
            PacketType::CodedFrames if codec.reorders() => {
                let &[a, b, c] = payload
                    .first_chunk::<3>()
                    .ok_or(Error::Truncated { what: "enhanced video tag", present: payload.len() })?;
                self.picture(clock, packet.nanos, codec, keyframe, signed_24(a, b, c), payload.slice(3..))
            }
            PacketType::CodedFrames | PacketType::CodedFramesX => {
                self.picture(clock, packet.nanos, codec, keyframe, 0, payload)
            }
            _ => Ok(Units::new()),
        }
    }

    fn enhanced_audio(&mut self, clock: u32, packet: &Packet) -> Result<Units, Error> {
        let codec = AudioCodec::from_fourcc(packet.fourcc)
            .ok_or_else(|| unsupported("audio", packet.fourcc, AudioCodec::NAMES))?;
        match packet.kind {
            PacketType::SequenceStart => self.audio_start(codec, &packet.payload),
            PacketType::CodedFrames => self.sound(clock, packet.nanos, codec, packet.payload.clone()),
            PacketType::MultichannelConfig => {
                self.audio.multichannel(&packet.payload);
                Ok(Units::new())
            }
            _ => Ok(Units::new()), // silence, or end of sequence
        }
    }

    fn video_start(&mut self, codec: VideoCodec, record: Bytes) -> Result<Units, Error> {
        Ok(self.video.start(codec, record)?.map(Unit::VideoConfig).into_iter().collect())
    }

    fn audio_start(&mut self, codec: AudioCodec, record: &Bytes) -> Result<Units, Error> {
        Ok(self.audio.start(codec, record)?.map(Unit::AudioConfig).into_iter().collect())
    }

    fn picture(
        &mut self,
        clock: u32,
        nanos: u32,
        codec: VideoCodec,
        keyframe: bool,
        composition: i32,
        mut payload: Bytes,
    ) -> Result<Units, Error> {
        if codec == VideoCodec::Av1 && payload.starts_with(&AV1_TEMPORAL_DELIMITER) {
            payload = payload.slice(AV1_TEMPORAL_DELIMITER.len()..); // MP4 has none (AV1 in ISOBMFF, 2.4)
        }
        let (config, follows) = self.video.frame(codec, keyframe, &payload)?;
        let mut units: Units = config.map(Unit::VideoConfig).into_iter().collect();
        if follows && !payload.is_empty() {
            self.frame(TrackKind::Video, keyframe, clock, nanos, composition, payload, &mut units);
        }
        Ok(units)
    }

    fn sound(&mut self, clock: u32, nanos: u32, codec: AudioCodec, payload: Bytes) -> Result<Units, Error> {
        if payload.is_empty() {
            return Ok(Units::new());
        }
        let config = self.audio.frame(codec, &payload)?;
        let mut units: Units = config.map(Unit::AudioConfig).into_iter().collect();
        self.frame(TrackKind::Audio, true, clock, nanos, 0, payload, &mut units);
        Ok(units)
    }

    #[allow(clippy::too_many_arguments)] // the fields of a frame
    fn frame(
        &mut self,
        track: TrackKind,
        keyframe: bool,
        clock: u32,
        nanos: u32,
        composition: i32,
        payload: Bytes,
        units: &mut Units,
    ) {
        let times = self.timeline.map(track, clock, nanos, composition);
        if times.discontinuity {
            units.push(Unit::Discontinuity);
        }
        units.push(Unit::Frame(Frame { track, keyframe, dts: times.dts, pts: times.pts, payload }));
    }

    fn say(&mut self, metadata: Metadata) -> Units {
        self.metadata = Arc::new(metadata);
        [Unit::Metadata(Arc::clone(&self.metadata))].into_iter().collect()
    }
}

/// An OBU of type 2 without content.
const AV1_TEMPORAL_DELIMITER: [u8; 2] = [0x12, 0];

fn signed_24(a: u8, b: u8, c: u8) -> i32 {
    i32::from_be_bytes([a, b, c, 0]) >> 8
}

fn unsupported(track: &'static str, fourcc: FourCc, expected: &'static str) -> Error {
    let id = fourcc.escape_ascii().to_string();
    Error::Codec { track, id, name: codec::fourcc_name(fourcc), expected }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use millrace_media::{AudioConfig, VideoConfig};
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
    fn parameter_sets_within_pictures_configure_and_an_outdated_header_does_not_undo_that() {
        let record = millrace_media::AvcConfig::parse(Bytes::from_static(AVC_RECORD)).unwrap();
        let keyframe = |sps: &[u8]| {
            let units = [sps, &record.pps()[0], &[0x65, 1, 2]];
            let payload = units.iter().flat_map(|unit| [&[0, 0, 0, unit.len() as u8], *unit].concat());
            [0x17, 1, 0, 0, 0].into_iter().chain(payload).collect::<Bytes>()
        };
        let mut d = Depacketizer::new();
        let first = d.video(0, &keyframe(&record.sps()[0])).unwrap();
        assert!(matches!(&first[..], [Unit::VideoConfig(c), Unit::Frame(_)] if c.resolution() == Some((640, 360))));
        assert_eq!(d.video(40, &keyframe(&record.sps()[0])).unwrap().len(), 1);
        let changed = d.video(80, &keyframe(&[0x67, 0x64, 0, 0x1f, 0xac])).unwrap();
        assert!(matches!(&changed[..], [Unit::VideoConfig(c), Unit::Frame(_)] if c.codec_string() == "avc1.64001f"));
        let header = [&[0x17, 0, 0, 0, 0], AVC_RECORD].concat();
        assert!(d.video(120, &header.into()).unwrap().is_empty());
        assert_eq!(d.video(120, &keyframe(&[0x67, 0x64, 0, 0x1f, 0xac])).unwrap().len(), 1);
    }

    #[test]
    fn codecs_that_are_not_carried_are_named() {
        let mut d = Depacketizer::new();
        let e = d.video(0, &Bytes::from_static(&[0x22, 0])).unwrap_err();
        assert_eq!(e.to_string(), "video codec 2 (Sorenson H.263) is not supported: H.264, HEVC, AV1 or VP9 expected");
        let e = d.audio(0, &Bytes::from_static(&[0xb2, 0])).unwrap_err();
        assert_eq!(
            e.to_string(),
            "audio codec 11 (Speex) is not supported: AAC, MP3, Opus, FLAC, AC-3 or E-AC-3 expected"
        );
        let e = d.video(0, &Bytes::from_static(b"\x90vp08\x01")).unwrap_err();
        assert_eq!(e.to_string(), "video codec vp08 (VP8) is not supported: H.264, HEVC, AV1 or VP9 expected");
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
            let prefix = body::frame_prefix(&written, Some(&v), Some(&a), body::Extent::Full).unwrap();
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
