use std::sync::Arc;

use bytes::Bytes;
use millrace_media::{AacConfig, Ac3Config, AudioConfig, FlacConfig, Mp3Config, OpusConfig};

use crate::Error;
use crate::codec::AudioCodec;

/// What is known of the sound's configuration.
#[derive(Debug, Default)]
pub(super) struct AudioTrack {
    /// What was said last.
    config: Option<Arc<AudioConfig>>,
    /// Opus of a publisher that sends no identification header: its channels, if it told them.
    opus_without_header: bool,
    channels: Option<u8>,
}

impl AudioTrack {
    /// A sequence begins. The configuration to be said now; `None` where frames tell it.
    pub(super) fn start(&mut self, codec: AudioCodec, record: &Bytes) -> Result<Option<Arc<AudioConfig>>, Error> {
        self.opus_without_header = codec == AudioCodec::Opus && record.is_empty();
        if record.is_empty() {
            return Ok(None);
        }
        let config = match codec {
            AudioCodec::Aac => AudioConfig::Aac(AacConfig::parse(record.clone())?),
            AudioCodec::Opus => AudioConfig::Opus(OpusConfig::parse(record.clone())?),
            AudioCodec::Flac => AudioConfig::Flac(FlacConfig::parse(record)?),
            AudioCodec::Mp3 | AudioCodec::Ac3 | AudioCodec::Eac3 => return Ok(None),
        };
        Ok(Some(self.say(config)))
    }

    /// The publisher tells how channels are laid out (`MultichannelConfig`): order, then their number.
    /// Codecs say it themselves, but for Opus without a header.
    pub(super) fn multichannel(&mut self, config: &[u8]) {
        self.channels = config.get(1).copied();
    }

    /// A frame of `codec` comes. The configuration to be said before it.
    pub(super) fn frame(&mut self, codec: AudioCodec, payload: &[u8]) -> Result<Option<Arc<AudioConfig>>, Error> {
        let told = match codec {
            AudioCodec::Mp3 => AudioConfig::Mp3(Mp3Config::parse(payload)?),
            AudioCodec::Ac3 => AudioConfig::Ac3(Ac3Config::parse_ac3(payload)?),
            AudioCodec::Eac3 => AudioConfig::Eac3(Ac3Config::parse_eac3(payload)?),
            AudioCodec::Opus if self.opus_without_header => {
                AudioConfig::Opus(OpusConfig::plain(self.channels == Some(1)))
            }
            AudioCodec::Aac | AudioCodec::Opus | AudioCodec::Flac => {
                let known = self.config.as_deref().and_then(AudioCodec::of);
                return if known == Some(codec) { Ok(None) } else { Err(Error::NoSequenceHeader { track: "audio" }) };
            }
        };
        let is_new = self.config.as_deref() != Some(&told);
        Ok(is_new.then(|| self.say(told)))
    }

    fn say(&mut self, config: AudioConfig) -> Arc<AudioConfig> {
        Arc::clone(self.config.insert(Arc::new(config)))
    }
}
