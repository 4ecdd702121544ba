//! The codecs that tags name: by a number in classic FLV (sections E.4.2.1 and E.4.3.1), by a FourCC
//! in Enhanced RTMP.

use millrace_media::{AudioConfig, VideoConfig};

/// A codec's name in Enhanced RTMP, four ASCII characters.
pub type FourCc = [u8; 4];

/// A video codec that is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoCodec {
    /// H.264.
    Avc,
    /// H.265.
    Hevc,
    /// AV1.
    Av1,
    /// VP9.
    Vp9,
}

/// An audio codec that is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioCodec {
    /// MPEG-4 AAC.
    Aac,
    /// MPEG audio layer III.
    Mp3,
    /// Opus.
    Opus,
    /// FLAC.
    Flac,
    /// AC-3.
    Ac3,
    /// E-AC-3.
    Eac3,
}

impl VideoCodec {
    /// All that are carried.
    pub const ALL: [Self; 4] = [Self::Avc, Self::Hevc, Self::Av1, Self::Vp9];
    /// Their names for people.
    pub const NAMES: &str = "H.264, HEVC, AV1 or VP9";

    /// The name in Enhanced RTMP.
    #[must_use]
    pub const fn fourcc(self) -> FourCc {
        match self {
            Self::Avc => *b"avc1",
            Self::Hevc => *b"hvc1",
            Self::Av1 => *b"av01",
            Self::Vp9 => *b"vp09",
        }
    }

    /// The number in classic FLV, for those that every player knows by it.
    #[must_use]
    pub const fn classic_id(self) -> Option<u8> {
        match self {
            Self::Avc => Some(AVC),
            _ => None,
        }
    }

    /// `hev1`, MP4's name of HEVC whose parameter sets come within pictures, is no name of Enhanced RTMP, but
    /// can mean only one thing.
    pub(crate) fn from_fourcc(fourcc: FourCc) -> Option<Self> {
        match &fourcc {
            b"hev1" => Some(Self::Hevc),
            _ => Self::ALL.into_iter().find(|c| c.fourcc() == fourcc),
        }
    }

    /// HEVC has no number in the specification; 12 is what encoders and players in China agreed on.
    pub(crate) fn from_classic_id(id: u8) -> Option<Self> {
        match id {
            AVC => Some(Self::Avc),
            HEVC => Some(Self::Hevc),
            _ => None,
        }
    }

    /// Pictures are shown in another order than decoded, so frames carry a composition time.
    pub(crate) fn reorders(self) -> bool {
        matches!(self, Self::Avc | Self::Hevc)
    }

    pub(crate) fn of(config: &VideoConfig) -> Option<Self> {
        Some(match config {
            VideoConfig::Avc(_) => Self::Avc,
            VideoConfig::Hevc(_) => Self::Hevc,
            VideoConfig::Av1(_) => Self::Av1,
            VideoConfig::Vp9(_) => Self::Vp9,
            _ => return None,
        })
    }
}

impl AudioCodec {
    /// All that are carried.
    pub const ALL: [Self; 6] = [Self::Aac, Self::Mp3, Self::Opus, Self::Flac, Self::Ac3, Self::Eac3];
    /// Their names for people.
    pub const NAMES: &str = "AAC, MP3, Opus, FLAC, AC-3 or E-AC-3";

    /// The name in Enhanced RTMP.
    #[must_use]
    pub const fn fourcc(self) -> FourCc {
        match self {
            Self::Aac => *b"mp4a",
            Self::Mp3 => *b".mp3",
            Self::Opus => *b"Opus",
            Self::Flac => *b"fLaC",
            Self::Ac3 => *b"ac-3",
            Self::Eac3 => *b"ec-3",
        }
    }

    /// The number in classic FLV, where it has one.
    #[must_use]
    pub const fn classic_id(self) -> Option<u8> {
        match self {
            Self::Aac => Some(AAC),
            Self::Mp3 => Some(MP3),
            _ => None,
        }
    }

    pub(crate) fn from_fourcc(fourcc: FourCc) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.fourcc() == fourcc)
    }

    pub(crate) fn from_classic_id(id: u8) -> Option<Self> {
        match id {
            AAC => Some(Self::Aac),
            MP3 | MP3_8K => Some(Self::Mp3),
            _ => None,
        }
    }

    pub(crate) fn of(config: &AudioConfig) -> Option<Self> {
        Some(match config {
            AudioConfig::Aac(_) => Self::Aac,
            AudioConfig::Mp3(_) => Self::Mp3,
            AudioConfig::Opus(_) => Self::Opus,
            AudioConfig::Flac(_) => Self::Flac,
            AudioConfig::Ac3(_) => Self::Ac3,
            AudioConfig::Eac3(_) => Self::Eac3,
            _ => return None,
        })
    }
}

const AVC: u8 = 7;
const HEVC: u8 = 12;
const MP3: u8 = 2;
const AAC: u8 = 10;
pub(crate) const MP3_8K: u8 = 14;

pub(crate) fn classic_video_name(id: u8) -> &'static str {
    match id {
        2 => "Sorenson H.263",
        3 => "Screen video",
        4 => "On2 VP6",
        5 => "On2 VP6 with alpha",
        6 => "Screen video 2",
        13 => "AV1 without Enhanced RTMP",
        _ => "unknown",
    }
}

pub(crate) fn classic_audio_name(id: u8) -> &'static str {
    match id {
        0 | 3 => "PCM",
        1 => "ADPCM",
        4..=6 => "Nellymoser",
        7 => "G.711 A-law",
        8 => "G.711 mu-law",
        11 => "Speex",
        13 => "Opus without Enhanced RTMP",
        _ => "unknown",
    }
}

pub(crate) fn fourcc_name(fourcc: FourCc) -> &'static str {
    match &fourcc {
        b"vp08" => "VP8",
        b"vvc1" => "VVC",
        _ => "unknown",
    }
}
