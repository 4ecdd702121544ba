//! What is on air, told by the hub in the words of the site.

use millrace_hub::{Hub, StreamId, StreamInfo, StreamState};
use millrace_site::{LiveAudio, LiveSource, LiveState, LiveStream, LiveUrls, LiveVideo};

/// The hub as the site's source.
#[derive(Debug, Clone)]
pub(crate) struct Live(pub(crate) Hub);

impl LiveSource for Live {
    fn on_air(&self) -> Vec<LiveStream> {
        self.0.on_air().iter().map(describe).collect()
    }

    fn find(&self, app: &str, name: &str) -> Option<LiveStream> {
        let id = StreamId::parse(app, name).ok()?;
        self.0.info(&id).as_ref().map(describe)
    }
}

fn describe(info: &StreamInfo) -> LiveStream {
    let (app, name) = (info.id.app.as_str(), info.id.name.as_str());
    LiveStream {
        app: app.to_owned(),
        name: name.to_owned(),
        state: match info.state {
            StreamState::Live => LiveState::Live,
            StreamState::Reconnecting | StreamState::Waiting => LiveState::Reconnecting,
        },
        started_at: info.started_at.into(),
        viewers: u32::try_from(info.viewers).unwrap_or(u32::MAX),
        video: info.video.as_ref().map(|video| {
            let (width, height) = video.config.resolution().unwrap_or_default();
            LiveVideo {
                codec: video.config.codec_string(),
                width,
                height,
                frame_rate: video.frame_rate,
                kbit_s: info.rates.video_kbit_s,
            }
        }),
        audio: info.audio.as_ref().map(|audio| LiveAudio {
            codec: audio.config.codec_string(),
            sample_rate: audio.config.output_sample_rate(),
            channels: audio.config.channels().into(),
            kbit_s: info.rates.audio_kbit_s,
        }),
        gop_seconds: info.gop.map(|gop| gop.as_secs_f64()),
        urls: LiveUrls::new(app, name),
    }
}
