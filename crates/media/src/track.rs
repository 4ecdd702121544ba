use crate::{AacConfig, AvcConfig, Mp3Config};

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
}

impl VideoConfig {
    /// The codec's name for people, for example `H.264`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Avc(_) => "H.264",
        }
    }

    /// The codec as RFC 6381 writes it, for example `avc1.64001f`.
    #[must_use]
    pub fn codec_string(&self) -> String {
        match self {
            Self::Avc(c) => c.codec_string(),
        }
    }

    /// Width and height in pixels after cropping, where the configuration tells them.
    #[must_use]
    pub fn resolution(&self) -> Option<(u32, u32)> {
        match self {
            Self::Avc(c) => c.picture().map(|p| (p.width, p.height)),
        }
    }

    /// Pictures per second, where the configuration tells them.
    #[must_use]
    pub fn frame_rate(&self) -> Option<f64> {
        match self {
            Self::Avc(c) => c.picture().and_then(|p| p.frame_rate),
        }
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
}

impl AudioConfig {
    /// The codec's name for people, for example `AAC-LC`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Aac(c) => c.name(),
            Self::Mp3(_) => "MP3",
        }
    }

    /// The codec as RFC 6381 writes it, for example `mp4a.40.2`.
    #[must_use]
    pub fn codec_string(&self) -> String {
        match self {
            Self::Aac(c) => c.codec_string(),
            Self::Mp3(_) => "mp4a.40.34".to_owned(),
        }
    }

    /// Samples per second that a frame's length is counted in.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        match self {
            Self::Aac(c) => c.sample_rate(),
            Self::Mp3(c) => c.sample_rate,
        }
    }

    /// Samples per second at the loudspeaker (twice [`Self::sample_rate`] for HE-AAC).
    #[must_use]
    pub fn output_sample_rate(&self) -> u32 {
        match self {
            Self::Aac(c) => c.output_sample_rate(),
            Self::Mp3(c) => c.sample_rate,
        }
    }

    /// Number of channels at the loudspeaker, 0 where only the bitstream tells.
    #[must_use]
    pub fn channels(&self) -> u8 {
        match self {
            Self::Aac(c) => c.channels(),
            Self::Mp3(c) => c.channels,
        }
    }

    /// Samples in one frame, at [`Self::sample_rate`].
    #[must_use]
    pub fn samples_per_frame(&self) -> u32 {
        match self {
            Self::Aac(c) => c.samples_per_frame(),
            Self::Mp3(c) => c.samples_per_frame,
        }
    }
}
