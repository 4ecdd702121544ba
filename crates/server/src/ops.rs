//! Diagnostics of streams for operators: publishers and players with their statistics, as JSON.

use axum::{Json, Router, extract::State, routing::get};
use millrace_hub::{Hub, PlayerInfo, PublisherInfo, Rates, StreamInfo, StreamState, Traffic};
use serde::Serialize;
use time::{OffsetDateTime, serde::rfc3339};

/// `GET /streams`.
pub(crate) fn streams(hub: Hub) -> Router {
    Router::new().route("/streams", get(list)).with_state(hub)
}

async fn list(State(hub): State<Hub>) -> Json<Streams> {
    let streams = hub.on_air().into_iter().map(|info| {
        let players = hub.players(&info.id).into_iter().map(Player::from).collect();
        Stream::new(info, players)
    });
    let streams: Vec<_> = streams.collect();
    Json(Streams { players: streams.iter().map(|stream| stream.players.len()).sum(), streams })
}

#[derive(Serialize)]
struct Streams {
    players: usize,
    streams: Vec<Stream>,
}

#[derive(Serialize)]
struct Stream {
    app: String,
    name: String,
    state: StreamState,
    #[serde(with = "rfc3339")]
    started_at: OffsetDateTime,
    uptime_seconds: f64,
    publisher: Option<Publisher>,
    video: Option<Video>,
    audio: Option<Audio>,
    gop_seconds: Option<f64>,
    received: Traffic,
    rates: Rates,
    damaged_frames: u64,
    sent_bytes: u64,
    players: Vec<Player>,
}

#[derive(Serialize)]
struct Publisher {
    peer: String,
    encoder: Option<String>,
    #[serde(with = "rfc3339")]
    since: OffsetDateTime,
}

#[derive(Serialize)]
struct Video {
    codec: String,
    width: Option<u32>,
    height: Option<u32>,
    frame_rate: Option<f64>,
}

#[derive(Serialize)]
struct Audio {
    codec: String,
    sample_rate: u32,
    channels: u8,
}

#[derive(Serialize)]
struct Player {
    id: u64,
    protocol: millrace_hub::Protocol,
    peer: String,
    #[serde(with = "rfc3339")]
    since: OffsetDateTime,
    bytes: u64,
    traffic: Traffic,
    rates: Rates,
    skips: u64,
    dropped_frames: u64,
}

impl Stream {
    fn new(info: StreamInfo, players: Vec<Player>) -> Self {
        let started_at = OffsetDateTime::from(info.started_at);
        Self {
            app: info.id.app.to_string(),
            name: info.id.name.to_string(),
            state: info.state,
            started_at,
            uptime_seconds: (OffsetDateTime::now_utc() - started_at).as_seconds_f64().max(0.0),
            publisher: info.publisher.map(Publisher::from),
            video: info.video.map(|video| Video {
                codec: video.config.codec_string(),
                width: video.config.resolution().map(|(width, _)| width),
                height: video.config.resolution().map(|(_, height)| height),
                frame_rate: video.frame_rate,
            }),
            audio: info.audio.map(|audio| Audio {
                codec: audio.config.codec_string(),
                sample_rate: audio.config.output_sample_rate(),
                channels: audio.config.channels(),
            }),
            gop_seconds: info.gop.map(|gop| gop.as_secs_f64()),
            received: info.received,
            rates: info.rates,
            damaged_frames: info.damaged_frames,
            sent_bytes: info.sent_bytes,
            players,
        }
    }
}

impl From<PublisherInfo> for Publisher {
    fn from(info: PublisherInfo) -> Self {
        Self { peer: info.peer.to_string(), encoder: info.encoder, since: info.since.into() }
    }
}

impl From<PlayerInfo> for Player {
    fn from(info: PlayerInfo) -> Self {
        Self {
            id: info.id,
            protocol: info.protocol,
            peer: info.peer.to_string(),
            since: info.since.into(),
            bytes: info.bytes,
            traffic: info.traffic,
            rates: info.rates,
            skips: info.skips,
            dropped_frames: info.dropped_frames,
        }
    }
}
