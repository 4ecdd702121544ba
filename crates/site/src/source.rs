//! Where the site learns what is on air.

use std::time::SystemTime;

use millrace_hub::{BoxFuture, Hub, PlayerInfo, Protocol, StreamId, StreamInfo, StreamState, Traffic};
use time::OffsetDateTime;

use crate::{LiveAudio, LiveLoad, LivePlayer, LivePublisher, LiveState, LiveStream, LiveTraffic, LiveUrls, LiveVideo};

/// The live streams as the site needs them; the hub implements it.
///
/// The site asks only for names of the allowed form (`[a-z0-9_-]{1,64}`).
pub trait LiveSource: Send + Sync + 'static {
    /// Every stream on air, in any order.
    fn on_air(&self) -> Vec<LiveStream>;

    /// One stream, where it is on air.
    fn find(&self, app: &str, name: &str) -> Option<LiveStream>;

    /// When a stream that is off air was last on, where that is known.
    fn last_on_air(&self, app: &str, name: &str) -> Option<OffsetDateTime> {
        let _ = (app, name);
        None
    }

    /// What it does now, and has done so far. Traffic is known to those alone that count it.
    fn load(&self) -> LiveLoad {
        let on_air = self.on_air();
        LiveLoad {
            on_air: u32::try_from(on_air.len()).unwrap_or(u32::MAX),
            viewers: on_air.iter().map(|stream| stream.viewers).fold(0, u32::saturating_add),
            ..LiveLoad::default()
        }
    }

    /// Whether the server stops, so that nothing comes on air any more.
    fn is_closing(&self) -> bool {
        false
    }

    /// Cuts the publisher of a stream, and ends the stream. False where nobody publishes it.
    fn cut_publisher<'a>(&'a self, app: &'a str, name: &'a str) -> BoxFuture<'a, bool> {
        let _ = (app, name);
        Box::pin(std::future::ready(false))
    }

    /// Who publishes a stream that is on air, or did a moment ago.
    fn publisher(&self, app: &str, name: &str) -> Option<LivePublisher> {
        let _ = (app, name);
        None
    }

    /// Who plays a stream that is on air; none where it is not.
    fn players(&self, app: &str, name: &str) -> Option<Vec<LivePlayer>> {
        let _ = (app, name);
        None
    }

    /// Sends one player away. False where there is none of that number.
    fn cut_player(&self, app: &str, name: &str, player: u64) -> bool {
        let _ = (app, name, player);
        false
    }

    /// Sends all players of a stream away, who may ask again.
    fn cut_players(&self, app: &str, name: &str) {
        let _ = (app, name);
    }

    /// Sends all players away that watch by an account's session, who may ask again.
    fn cut_user(&self, user: &str) {
        let _ = user;
    }
}

impl LiveSource for Hub {
    fn load(&self) -> LiveLoad {
        let totals = self.totals();
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        LiveLoad {
            on_air: small(totals.live + totals.reconnecting),
            viewers: small(totals.sent.iter().map(|sent| sent.players).sum()),
            received_bytes: totals.received.video_bytes + totals.received.audio_bytes,
            sent_bytes: totals.sent.iter().map(|sent| sent.bytes).sum(),
        }
    }

    fn is_closing(&self) -> bool {
        Hub::is_closing(self)
    }

    fn on_air(&self) -> Vec<LiveStream> {
        Hub::on_air(self).iter().filter_map(described).collect()
    }

    fn find(&self, app: &str, name: &str) -> Option<LiveStream> {
        let id = StreamId::parse(app, name).ok()?;
        described(&self.info(&id)?)
    }

    fn last_on_air(&self, app: &str, name: &str) -> Option<OffsetDateTime> {
        let id = StreamId::parse(app, name).ok()?;
        Hub::last_on_air(self, &id).map(OffsetDateTime::from)
    }

    fn cut_publisher<'a>(&'a self, app: &'a str, name: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            match StreamId::parse(app, name) {
                Ok(id) => self.kick_publisher(&id).await,
                Err(_) => false,
            }
        })
    }

    fn publisher(&self, app: &str, name: &str) -> Option<LivePublisher> {
        let info = self.info(&StreamId::parse(app, name).ok()?)?;
        let publisher = info.publisher.as_ref()?;
        let stream = described(&info)?;
        Some(LivePublisher {
            state: stream.state,
            protocol: "rtmp", // the only way in
            address: publisher.peer.to_string(),
            encoder: publisher.encoder.clone(),
            connected_at: publisher.since.into(),
            uptime_seconds: seconds_since(publisher.since),
            received: traffic(info.received),
            damaged_frames: info.damaged_frames,
            video: stream.video,
            audio: stream.audio,
            gop_seconds: stream.gop_seconds,
            viewers: stream.viewers,
            sent_bytes: info.sent_bytes,
        })
    }

    fn players(&self, app: &str, name: &str) -> Option<Vec<LivePlayer>> {
        let id = StreamId::parse(app, name).ok()?;
        self.info(&id)?;
        let shown = |player: PlayerInfo| LivePlayer {
            id: player.id,
            protocol: player.protocol.as_str(),
            address: match player.protocol {
                Protocol::Hls => player.peer.ip().to_string(),
                _ => player.peer.to_string(),
            },
            connected_at: player.since.into(),
            uptime_seconds: seconds_since(player.since),
            bytes: player.bytes,
            sent: traffic(player.traffic),
            video_kbit_s: player.rates.video_kbit_s,
            audio_kbit_s: player.rates.audio_kbit_s,
            skips: player.skips,
            dropped_frames: player.dropped_frames,
        };
        Some(Hub::players(self, &id).into_iter().map(shown).collect())
    }

    fn cut_player(&self, app: &str, name: &str, player: u64) -> bool {
        StreamId::parse(app, name).is_ok_and(|id| self.kick_player(&id, player))
    }

    fn cut_players(&self, app: &str, name: &str) {
        if let Ok(id) = StreamId::parse(app, name) {
            self.kick_players(&id);
        }
    }

    fn cut_user(&self, user: &str) {
        self.kick_user(user);
    }
}

fn seconds_since(time: SystemTime) -> u64 {
    time.elapsed().unwrap_or_default().as_secs() // none where the clock was set back
}

fn traffic(traffic: Traffic) -> LiveTraffic {
    let Traffic { video_bytes, audio_bytes, video_frames, audio_frames } = traffic;
    LiveTraffic { video_bytes, audio_bytes, video_frames, audio_frames }
}

/// A stream of the hub as visitors see it; `None` while nobody has published.
fn described(info: &StreamInfo) -> Option<LiveStream> {
    let state = match info.state {
        StreamState::Waiting => return None,
        StreamState::Live => LiveState::Live,
        StreamState::Reconnecting => LiveState::Reconnecting,
    };
    let video = info.video.as_ref().map(|video| {
        let size = video.config.resolution();
        LiveVideo {
            codec: video.config.codec_string(),
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            frame_rate: video.frame_rate,
            kbit_s: info.rates.video_kbit_s,
        }
    });
    let audio = info.audio.as_ref().map(|audio| LiveAudio {
        codec: audio.config.codec_string(),
        sample_rate: audio.config.output_sample_rate(),
        channels: audio.config.channels().into(),
        kbit_s: info.rates.audio_kbit_s,
    });
    let (app, name) = (info.id.app.as_str(), info.id.name.as_str());
    Some(LiveStream {
        app: app.to_owned(),
        name: name.to_owned(),
        title: None,
        category: None,
        language: None,
        avatar_url: None,
        state,
        started_at: info.started_at.into(),
        viewers: u32::try_from(info.viewers).unwrap_or(u32::MAX),
        video,
        audio,
        damaged_frames: info.damaged_frames,
        gop_seconds: info.gop.map(|gop| gop.as_secs_f64()),
        urls: LiveUrls::new(app, name),
    })
}

/// Whether `text` can name an app or a stream: `[a-z0-9_-]{1,64}`.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// The app of streams that name none.
pub(crate) const DEFAULT_APP: &str = "live";

/// Longest name of an app or a stream, in bytes.
const MAX_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "movie-1_x", &"a".repeat(MAX_NAME)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "Movie", "a b", "a/b", "..", "é", "%2f", &"a".repeat(MAX_NAME + 1)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
