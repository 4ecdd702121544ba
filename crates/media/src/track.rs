use bytes::Bytes;

use crate::{
    AacConfig, Ac3Config, Av1Config, AvcConfig, FlacConfig, HevcConfig, Mp3Config, OpusConfig, Vp9Config, ac3, opus,
};

/// Which of a stream's two tracks a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// What a decoder needs before the first picture.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VideoConfig {
    /// H.264 / AVC.
    Avc(AvcConfig),
    /// H.265 / HEVC.
    Hevc(HevcConfig),
    /// AV1.
    Av1(Av1Config),
    /// VP9.
    Vp9(Vp9Config),
}

impl VideoConfig {
    /// The codec's name for people, for example `H.264`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Avc(_) => "H.264",
            Self::Hevc(_) => "HEVC",
            Self::Av1(_) => "AV1",
            Self::Vp9(_) => "VP9",
        }
    }

    /// The codec as RFC 6381 writes it, for example `avc1.64001f`.
    #[must_use]
    pub fn codec_string(&self) -> String {
        match self {
            Self::Avc(c) => c.codec_string(),
            Self::Hevc(c) => c.codec_string(),
            Self::Av1(c) => c.codec_string(),
            Self::Vp9(c) => c.codec_string(),
        }
    }

    /// The configuration record of the codec, as MP4 and FLV carry it.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        match self {
            Self::Avc(c) => c.raw(),
            Self::Hevc(c) => c.raw(),
            Self::Av1(c) => c.raw(),
            Self::Vp9(c) => c.raw(),
        }
    }

    /// Width and height in pixels after cropping, where the configuration tells them.
    #[must_use]
    pub fn resolution(&self) -> Option<(u32, u32)> {
        let picture = match self {
            Self::Avc(c) => c.picture(),
            Self::Hevc(c) => c.picture(),
            Self::Av1(c) => c.picture(),
            Self::Vp9(c) => return c.size(),
        };
        picture.map(|p| (p.width, p.height))
    }

    /// Pictures per second, where the configuration tells them.
    #[must_use]
    pub fn frame_rate(&self) -> Option<f64> {
        let picture = match self {
            Self::Avc(c) => c.picture(),
            Self::Hevc(c) => c.picture(),
            Self::Av1(c) => c.picture(),
            Self::Vp9(_) => None,
        };
        picture.and_then(|p| p.frame_rate)
    }
}

/// What a decoder needs before the first sound.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AudioConfig {
    /// MPEG-4 AAC, raw access units.
    Aac(AacConfig),
    /// MPEG-1 or MPEG-2 audio layer III.
    Mp3(Mp3Config),
    /// Opus.
    Opus(OpusConfig),
    /// FLAC.
    Flac(FlacConfig),
    /// Dolby AC-3.
    Ac3(Ac3Config),
    /// Dolby E-AC-3.
    Eac3(Ac3Config),
}

impl AudioConfig {
    /// The codec's name for people, for example `AAC-LC`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Aac(c) => c.name(),
            Self::Mp3(_) => "MP3",
            Self::Opus(_) => "Opus",
            Self::Flac(_) => "FLAC",
            Self::Ac3(_) => "AC-3",
            Self::Eac3(_) => "E-AC-3",
        }
    }

    /// The codec as RFC 6381 writes it, for example `mp4a.40.2`.
    #[must_use]
    pub fn codec_string(&self) -> String {
        match self {
            Self::Aac(c) => c.codec_string(),
            Self::Mp3(_) => "mp4a.40.34".to_owned(),
            Self::Opus(_) => "opus".to_owned(),
            Self::Flac(_) => "fLaC".to_owned(),
            Self::Ac3(_) => "ac-3".to_owned(),
            Self::Eac3(_) => "ec-3".to_owned(),
        }
    }

    /// The configuration of the codec in its own form; `None` where frames alone tell (MP3, AC-3).
    #[must_use]
    pub fn raw(&self) -> Option<&Bytes> {
        match self {
            Self::Aac(c) => Some(c.raw()),
            Self::Opus(c) => Some(c.raw()),
            Self::Flac(c) => Some(c.raw()),
            Self::Mp3(_) | Self::Ac3(_) | Self::Eac3(_) => None,
        }
    }

    /// Samples per second that a frame's length is counted in; never 0.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        match self {
            Self::Aac(c) => c.sample_rate(),
            Self::Mp3(c) => c.sample_rate,
            Self::Opus(_) => OpusConfig::SAMPLE_RATE,
            Self::Flac(c) => c.sample_rate(),
            Self::Ac3(c) | Self::Eac3(c) => c.sample_rate,
        }
    }

    /// Samples per second at the loudspeaker (twice [`Self::sample_rate`] for HE-AAC).
    #[must_use]
    pub fn output_sample_rate(&self) -> u32 {
        match self {
            Self::Aac(c) => c.output_sample_rate(),
            other => other.sample_rate(),
        }
    }

    /// Number of channels at the loudspeaker, 0 where only the bitstream tells.
    #[must_use]
    pub fn channels(&self) -> u8 {
        match self {
            Self::Aac(c) => c.channels(),
            Self::Mp3(c) => c.channels,
            Self::Opus(c) => c.channels(),
            Self::Flac(c) => c.channels(),
            Self::Ac3(c) | Self::Eac3(c) => c.channels,
        }
    }

    /// Samples in the frame with this payload, at [`Self::sample_rate`]. `None` where the payload is
    /// no frame of the codec.
    #[must_use]
    pub fn samples_in(&self, payload: &[u8]) -> Option<u32> {
        match self {
            Self::Aac(c) => Some(c.samples_per_frame()),
            Self::Mp3(c) => Some(c.samples_per_frame),
            Self::Opus(_) => opus::samples_in(payload),
            Self::Flac(c) => c.samples_in(payload),
            Self::Ac3(_) => Some(ac3::AC3_SAMPLES),
            Self::Eac3(_) => ac3::eac3_samples_in(payload),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::test_data;

    #[test]
    fn each_video_codec_says_what_it_is() {
        let configs = [
            VideoConfig::Hevc(HevcConfig::parse(Bytes::from_static(test_data::HEVC_X265)).unwrap()),
            VideoConfig::Av1(Av1Config::parse(Bytes::from_static(test_data::AV1_SVT)).unwrap()),
            VideoConfig::Vp9(Vp9Config::parse(test_data::VP9_LIBVPX).unwrap().with_size((640, 360))),
        ];
        let said: Vec<_> = configs.iter().map(|c| (c.name(), c.codec_string(), c.resolution())).collect();
        let size = Some((640, 360));
        assert_eq!(
            said,
            [
                ("HEVC", "hvc1.1.6.L63.90".to_owned(), size),
                ("AV1", "av01.0.01M.08".to_owned(), size),
                ("VP9", "vp09.00.21.08".to_owned(), size),
            ]
        );
    }

    #[test]
    fn each_audio_codec_says_what_it_is() {
        let dolby = Ac3Config::parse_ac3(&[0x0b, 0x77, 0, 0, 0x14, 0x40, 0xe1, 0]).unwrap();
        let configs = [
            (AudioConfig::Opus(OpusConfig::parse(Bytes::from_static(test_data::OPUS_STEREO)).unwrap()), &[0xfc][..]),
            (
                AudioConfig::Flac(FlacConfig::parse(&Bytes::from_static(test_data::FLAC_STREAM_INFO)).unwrap()),
                &[0xff, 0xf8, 0xaa, 0x88],
            ),
            (AudioConfig::Ac3(dolby), &[]),
            (AudioConfig::Eac3(dolby), &[0x0b, 0x77, 0x01, 0x7f, 0x34, 0x87, 0xc0]),
        ];
        let said: Vec<_> = configs.iter().map(|(c, f)| (c.codec_string(), c.channels(), c.samples_in(f))).collect();
        assert_eq!(
            said,
            [
                ("opus".to_owned(), 2, Some(960)),
                ("fLaC".to_owned(), 2, Some(1024)),
                ("ac-3".to_owned(), 6, Some(1536)),
                ("ec-3".to_owned(), 6, Some(1536)),
            ]
        );
        assert!(configs.iter().all(|(c, _)| c.output_sample_rate() == 48_000));
    }
}
