//! Tag headers of Enhanced RTMP, versions 1 and 2 (veovera, "Enhanced Audio" and "Enhanced Video").
//!
//! Behind the first byte: any number of modifiers (`ModEx`), then either one packet with its FourCC,
//! or the packets of several tracks. Of several, the default track (0) is taken.

use bytes::Bytes;
use millrace_media::TrackKind;

use crate::codec::FourCc;
use crate::{Error, track_name};

/// What a packet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PacketType {
    SequenceStart,
    /// A frame; its composition time goes before it where the codec reorders pictures.
    CodedFrames,
    SequenceEnd,
    /// A frame with a composition time of zero.
    CodedFramesX,
    Metadata,
    TsSequenceStart,
    MultichannelConfig,
}

/// The packet of one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) kind: PacketType,
    pub(crate) fourcc: FourCc,
    /// Nanoseconds on top of the message's time.
    pub(crate) nanos: u32,
    pub(crate) payload: Bytes,
}

/// Most modifiers before one packet. One exists, so one is sent.
pub const MAX_MODIFIERS: usize = 8;
/// Most tracks in one message that are looked through for the default one.
pub const MAX_TRACKS: usize = 256;

/// Bit of a video tag's first byte: what follows is enhanced.
pub(crate) const VIDEO_EX_HEADER: u8 = 0x80;
/// Sound format of an audio tag's first byte: what follows is enhanced.
pub(crate) const AUDIO_EX_HEADER: u8 = 9;

pub(crate) const SEQUENCE_START: u8 = 0;
pub(crate) const CODED_FRAMES: u8 = 1;
const SEQUENCE_END: u8 = 2;
pub(crate) const CODED_FRAMES_X: u8 = 3;
/// In video tags.
pub(crate) const METADATA: u8 = 4;
/// In audio tags.
const MULTICHANNEL_CONFIG: u8 = 4;
const TS_SEQUENCE_START: u8 = 5;
pub(crate) const MOD_EX: u8 = 7;
/// The modifier that refines the time.
pub(crate) const TIMESTAMP_OFFSET_NANO: u8 = 0;

const VIDEO_MULTITRACK: u8 = 6;
const AUDIO_MULTITRACK: u8 = 5;
const ONE_TRACK: u8 = 0;
const MANY_TRACKS: u8 = 1;
const MANY_TRACKS_MANY_CODECS: u8 = 2;

/// Reads an enhanced tag body. `None` where it says nothing of the default track.
pub(crate) fn read(track: TrackKind, data: &Bytes) -> Result<Option<Packet>, Error> {
    let mut reader = Reader { track, data, at: 0 };
    let head = reader.u8()?;
    let mut kind = head & 0x0f;
    let mut nanos = 0;
    let mut modifiers = 0;
    while kind == MOD_EX {
        modifiers += 1;
        if modifiers > MAX_MODIFIERS {
            return Err(Error::TooManyModifiers { track: track_name(track) });
        }
        let len = match reader.u8()? {
            255 => usize::from(reader.u8()?) << 8 | usize::from(reader.u8()?),
            len => usize::from(len),
        };
        let modifier = reader.take(len + 1)?;
        let next = reader.u8()?;
        if let (TIMESTAMP_OFFSET_NANO, &[a, b, c, ..]) = (next >> 4, modifier) {
            nanos = u32::from_be_bytes([0, a, b, c]);
        }
        kind = next & 0x0f;
    }
    let multitrack = match track {
        TrackKind::Video => VIDEO_MULTITRACK,
        TrackKind::Audio => AUDIO_MULTITRACK,
    };
    let is_command = track == TrackKind::Video && head >> 4 & 7 == crate::body::VIDEO_INFO;
    if is_command && kind != METADATA {
        return Ok(None); // to the player
    }
    if kind != multitrack {
        let fourcc = reader.fourcc()?;
        return Ok(Some(Packet { kind: packet_type(track, kind)?, fourcc, nanos, payload: reader.rest() }));
    }
    let next = reader.u8()?;
    let (mode, kind) = (next >> 4, next & 0x0f);
    let mut fourcc = match mode {
        ONE_TRACK | MANY_TRACKS => reader.fourcc()?,
        MANY_TRACKS_MANY_CODECS => FourCc::default(), // each track has its own
        mode => return Err(Error::MultitrackType { track: track_name(track), mode }),
    };
    for _ in 0..MAX_TRACKS {
        if reader.at == data.len() {
            break;
        }
        if mode == MANY_TRACKS_MANY_CODECS {
            fourcc = reader.fourcc()?;
        }
        let id = reader.u8()?;
        let payload = if mode == ONE_TRACK {
            reader.rest()
        } else {
            let len = usize::from(reader.u8()?) << 16 | usize::from(reader.u8()?) << 8 | usize::from(reader.u8()?);
            let payload = reader.take(len)?;
            data.slice_ref(payload)
        };
        if id == DEFAULT_TRACK {
            return Ok(Some(Packet { kind: packet_type(track, kind)?, fourcc, nanos, payload }));
        }
        if mode == ONE_TRACK {
            break;
        }
    }
    Ok(None)
}

const DEFAULT_TRACK: u8 = 0;

fn packet_type(track: TrackKind, kind: u8) -> Result<PacketType, Error> {
    Ok(match (track, kind) {
        (_, SEQUENCE_START) => PacketType::SequenceStart,
        (_, CODED_FRAMES) => PacketType::CodedFrames,
        (_, SEQUENCE_END) => PacketType::SequenceEnd,
        (TrackKind::Video, CODED_FRAMES_X) => PacketType::CodedFramesX,
        (TrackKind::Video, METADATA) => PacketType::Metadata,
        (TrackKind::Video, TS_SEQUENCE_START) => PacketType::TsSequenceStart,
        (TrackKind::Audio, MULTICHANNEL_CONFIG) => PacketType::MultichannelConfig,
        (_, kind) => return Err(Error::PacketType { track: track_name(track), kind }),
    })
}

struct Reader<'a> {
    track: TrackKind,
    data: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        let part = self.data.get(self.at..self.at + n).ok_or(Error::Truncated {
            what: match self.track {
                TrackKind::Video => "enhanced video tag",
                TrackKind::Audio => "enhanced audio tag",
            },
            present: self.data.len(),
        })?;
        self.at += n;
        Ok(part)
    }

    fn u8(&mut self) -> Result<u8, Error> {
        self.take(1).map(|part| part[0])
    }

    fn fourcc(&mut self) -> Result<FourCc, Error> {
        self.take(4).map(|part| [part[0], part[1], part[2], part[3]])
    }

    fn rest(&mut self) -> Bytes {
        let rest = self.data.slice(self.at..);
        self.at = self.data.len();
        rest
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use PacketType::{CodedFrames, CodedFramesX, MultichannelConfig, SequenceStart};
    use TrackKind::{Audio, Video};
    use proptest::prelude::*;

    fn packet(track: TrackKind, data: &[u8]) -> Option<Packet> {
        read(track, &Bytes::copy_from_slice(data)).unwrap()
    }

    fn parts(p: Option<Packet>) -> (PacketType, FourCc, u32, Vec<u8>) {
        p.map(|p| (p.kind, p.fourcc, p.nanos, p.payload.to_vec())).unwrap()
    }

    #[test]
    fn one_packet() {
        assert_eq!(parts(packet(Video, b"\x91hvc1\0\0\x50xy")), (CodedFrames, *b"hvc1", 0, b"\0\0\x50xy".to_vec()));
        assert_eq!(parts(packet(Video, b"\xa3hvc1xy")), (CodedFramesX, *b"hvc1", 0, b"xy".to_vec()));
        assert_eq!(parts(packet(Audio, b"\x90OpusHead")), (SequenceStart, *b"Opus", 0, b"Head".to_vec()));
        assert_eq!(parts(packet(Audio, b"\x94mp4a\x01")), (MultichannelConfig, *b"mp4a", 0, b"\x01".to_vec()));
        assert_eq!(packet(Video, b"\xd1\0"), None, "a command to the player");
    }

    #[test]
    fn nanoseconds() {
        // Three bytes of data, then the modifier's type and the packet's.
        assert_eq!(
            parts(packet(Audio, b"\x97\x02\x05\x16\x15\x01Opusxy")),
            (CodedFrames, *b"Opus", 333_333, b"xy".to_vec())
        );
        // A long unknown modifier before it is passed over.
        let mut long = vec![0x97, 255, 1, 0];
        long.extend([7; 257]);
        long.extend(b"\x17\x02\x05\x16\x15\x01Opusxy");
        assert_eq!(parts(packet(Audio, &long)).2, 333_333);
        // Fewer bytes than a time has are no time.
        assert_eq!(parts(packet(Audio, b"\x97\x01\x05\x16\x01Opusxy")).2, 0);
    }

    #[test]
    fn the_default_track_of_several() {
        let one = |id| [b"\x96\x01avc1", &[id][..], b"xy"].concat();
        assert_eq!(parts(packet(Video, &one(0))), (CodedFrames, *b"avc1", 0, b"xy".to_vec()));
        assert_eq!(packet(Video, &one(1)), None);
        let many = b"\x95\x11mp4a\x01\0\0\x01a\0\0\0\x02bc\x02\0\0\x01d";
        assert_eq!(parts(packet(Audio, many)), (CodedFrames, *b"mp4a", 0, b"bc".to_vec()));
        let codecs = b"\x95\x21mp4a\x01\0\0\x01aOpus\0\0\0\x02bc";
        assert_eq!(parts(packet(Audio, codecs)), (CodedFrames, *b"Opus", 0, b"bc".to_vec()));
        assert_eq!(packet(Audio, b"\x95\x11mp4a\x01\0\0\x01a"), None, "the default track is not in it");
        assert_eq!(packet(Video, b"\x96\x07avc1\x01xy"), None, "what another track is for is not asked");
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        for (track, data) in [
            (Video, &b"\x98hvc1"[..]),           // a packet type beyond those specified
            (Audio, b"\x93Opus"),                // one that video alone has
            (Video, b"\x96\x06avc1\0"),          // several tracks within several
            (Video, b"\x96\x31avc1\0"),          // a way of several tracks beyond those specified
            (Video, b"\x91hvc"),                 // cut short
            (Audio, b"\x95\x11mp4a\0\0\0\x03a"), // a track longer than its message
            (Audio, b"\x97\xff\xff\xff"),        // a modifier longer than its message
        ] {
            assert!(read(track, &Bytes::from_static(data)).is_err(), "{data:02x?}");
        }
    }

    #[test]
    fn limits() {
        let modified = |n: usize| {
            let mut v = vec![0x97];
            for i in 0..n {
                v.extend([0, 0, if i + 1 == n { 0x11 } else { 0x17 }]);
            }
            v.extend(b"Opus");
            read(Audio, &v.into())
        };
        assert!(modified(MAX_MODIFIERS).is_ok());
        assert!(matches!(modified(MAX_MODIFIERS + 1), Err(Error::TooManyModifiers { .. })));
        let tracks = |n: usize| {
            let mut v = b"\x95\x11mp4a".to_vec();
            v.extend([1, 0, 0, 0].repeat(n - 1));
            v.extend([0, 0, 0, 1, 9]);
            packet(Audio, &v)
        };
        assert!(tracks(MAX_TRACKS).is_some());
        assert!(tracks(MAX_TRACKS + 1).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 1..64), audio in any::<bool>()) {
            bytes[0] = bytes[0] & 7 | 0x90;
            let track = if audio { Audio } else { Video };
            if let Ok(Some(p)) = read(track, &Bytes::from(bytes.clone())) {
                prop_assert!(p.payload.len() < bytes.len());
            }
        }
    }
}
