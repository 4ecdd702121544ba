use std::sync::Arc;

use bytes::Bytes;
use millrace_media::{Av1Config, AvcConfig, HevcConfig, VideoConfig, Vp9Config, vp9};

use crate::Error;
use crate::codec::VideoCodec;

/// What is known of the pictures' configuration.
///
/// VP9's record does not tell the size, and AV1's need not: such a configuration waits for the
/// keyframe that does, so that players get one that is complete.
#[derive(Debug, Default)]
pub(super) struct VideoTrack {
    /// What was said last.
    config: Option<Arc<VideoConfig>>,
    /// What waits for a keyframe.
    waiting: Option<VideoConfig>,
    /// The record that parameter sets within pictures have replaced: it may come again and again.
    outdated: Option<Bytes>,
}

impl VideoTrack {
    /// A sequence begins. The configuration to be said now, if it is complete.
    pub(super) fn start(&mut self, codec: VideoCodec, record: Bytes) -> Result<Option<Arc<VideoConfig>>, Error> {
        if self.outdated.as_ref() == Some(&record) {
            return Ok(None);
        }
        self.outdated = None;
        Ok(self.begin(match codec {
            VideoCodec::Avc => VideoConfig::Avc(AvcConfig::parse(record)?),
            VideoCodec::Hevc => VideoConfig::Hevc(HevcConfig::parse(record)?),
            VideoCodec::Av1 => VideoConfig::Av1(Av1Config::parse(record)?),
            VideoCodec::Vp9 => VideoConfig::Vp9(Vp9Config::parse(&record)?),
        }))
    }

    /// A sequence begins as in MPEG-TS, which AV1 alone has.
    pub(super) fn start_av1_of_ts(&mut self, descriptor: &[u8]) -> Result<Option<Arc<VideoConfig>>, Error> {
        Ok(self.begin(VideoConfig::Av1(Av1Config::from_ts_descriptor(descriptor)?)))
    }

    /// A frame of `codec` comes. The configuration to be said before it, and whether the frame may
    /// follow: what refers to pictures before the first complete configuration is of no use.
    pub(super) fn frame(
        &mut self,
        codec: VideoCodec,
        keyframe: bool,
        payload: &[u8],
    ) -> Result<(Option<Arc<VideoConfig>>, bool), Error> {
        if keyframe {
            self.take_in_band(codec, payload);
        }
        let known = self.waiting.as_ref().or(self.config.as_deref());
        if known.and_then(VideoCodec::of) != Some(codec) {
            return Err(Error::NoSequenceHeader { track: "video" });
        }
        if !keyframe {
            return Ok((None, self.waiting.is_none()));
        }
        let told = match known {
            Some(VideoConfig::Vp9(c)) => vp9::keyframe_size(payload)
                .filter(|size| c.size() != Some(*size))
                .map(|size| VideoConfig::Vp9(c.with_size(size))),
            Some(VideoConfig::Av1(c)) if self.waiting.is_some() => {
                c.with_sequence_header(payload).map(VideoConfig::Av1)
            }
            _ => None,
        };
        // A keyframe that does not tell is not waited beyond.
        let config = told.or_else(|| self.waiting.take());
        Ok((config.map(|c| self.say(c)), true))
    }

    /// H.264 and HEVC may bring their parameter sets with their keyframes.
    fn take_in_band(&mut self, codec: VideoCodec, keyframe: &[u8]) {
        let current = self.config.as_deref().filter(|current| VideoCodec::of(current) == Some(codec));
        let config = match (codec, current) {
            (VideoCodec::Avc, Some(VideoConfig::Avc(avc))) => {
                AvcConfig::in_band(Some(avc), keyframe).map(VideoConfig::Avc)
            }
            (VideoCodec::Avc, _) => AvcConfig::in_band(None, keyframe).map(VideoConfig::Avc),
            (VideoCodec::Hevc, Some(VideoConfig::Hevc(hevc))) => {
                HevcConfig::in_band(Some(hevc), keyframe).map(VideoConfig::Hevc)
            }
            (VideoCodec::Hevc, _) => HevcConfig::in_band(None, keyframe).map(VideoConfig::Hevc),
            _ => None,
        };
        if config.is_some() {
            if let Some(replaced) = current {
                self.outdated.get_or_insert(replaced.raw().clone());
            }
            self.waiting = config;
        }
    }

    fn begin(&mut self, config: VideoConfig) -> Option<Arc<VideoConfig>> {
        if config.resolution().is_none() && matches!(config, VideoConfig::Av1(_) | VideoConfig::Vp9(_)) {
            if self.config.as_deref().is_some_and(|said| completes(said, &config)) {
                return self.config.clone();
            }
            self.waiting = Some(config);
            return None;
        }
        Some(self.say(config))
    }

    fn say(&mut self, config: VideoConfig) -> Arc<VideoConfig> {
        self.waiting = None;
        Arc::clone(self.config.insert(Arc::new(config)))
    }
}

/// `said` is what became of the same record.
fn completes(said: &VideoConfig, record: &VideoConfig) -> bool {
    match (said, record) {
        (VideoConfig::Vp9(a), VideoConfig::Vp9(b)) => a.raw() == b.raw(),
        (VideoConfig::Av1(a), VideoConfig::Av1(b)) => a.raw().starts_with(b.raw()),
        _ => false,
    }
}
