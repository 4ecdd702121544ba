//! Who publishes and who plays, with figures, and each with a way to disconnect them.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use time::OffsetDateTime;

use super::super::{Shell, render};
use super::dashboard::{rate, size};
use super::{Moment, Rail, enter};
use crate::accounts::permissions::Act;
use crate::i18n::Messages;
use crate::{LivePlayer, LivePublisher, LiveState, LiveStream, Site, visitor::Visitor};

#[derive(Template)]
#[template(path = "admin_streams.html")]
struct Streams {
    shell: Shell,
    rail: Rail,
    streams: Vec<Stream>,
    /// Streams that are not shown.
    more: usize,
}

/// One stream with those who are connected to it.
struct Stream {
    app: String,
    name: String,
    title: String,
    page: String,
    state: &'static str,
    /// Whether the publisher is away and may return.
    waiting: bool,
    peers: Vec<Peer>,
    /// Players that are not shown.
    more: usize,
}

/// A publisher or a player.
struct Peer {
    /// The number of a player; none of a publisher.
    player: Option<u64>,
    protocol: &'static str,
    address: String,
    program: String,
    since: Moment,
    bytes: String,
    rate: String,
}

pub(super) async fn page(State(site): State<Site>, visitor: Visitor) -> Response {
    let (_, shell, rail) = match enter(&site, visitor, Act::ManageStreams, "admin.streams").await {
        Ok(entered) => entered,
        Err(instead) => return *instead,
    };
    let now = OffsetDateTime::now_utc();
    let mut all: Vec<LiveStream> = site.all_on_air().await.into_iter().map(|(stream, _)| stream).collect();
    // Not the latest first: what stands here must not move while somebody is about to press a button.
    all.sort_by(|a, b| (&a.app, &a.name).cmp(&(&b.app, &b.name)));
    let more = all.len().saturating_sub(MAX_STREAMS);
    let streams = all.into_iter().take(MAX_STREAMS).map(|live| Stream::new(&site, live, shell.t, now)).collect();
    render(&Streams { streams, more, shell, rail })
}

impl Stream {
    fn new(site: &Site, live: LiveStream, t: &'static Messages, now: OffsetDateTime) -> Self {
        let publisher = site.live.publisher(&live.app, &live.name).map(|publisher| Peer::publisher(publisher, t, now));
        let mut players = site.live.players(&live.app, &live.name).unwrap_or_default();
        players.sort_by_key(|player| player.id);
        let more = players.len().saturating_sub(MAX_PLAYERS);
        let players = players.into_iter().take(MAX_PLAYERS).map(|player| Peer::player(player, t, now));
        let waiting = live.state == LiveState::Reconnecting;
        Self {
            peers: publisher.into_iter().chain(players).collect(),
            more,
            state: t.get(if waiting { "script.waiting" } else { "script.live" }),
            waiting,
            title: live.title.unwrap_or_else(|| live.name.clone()),
            page: live.urls.page,
            app: live.app,
            name: live.name,
        }
    }
}

impl Peer {
    fn publisher(publisher: LivePublisher, t: &Messages, now: OffsetDateTime) -> Self {
        let video = publisher.video.map_or(0, |video| video.kbit_s);
        let audio = publisher.audio.map_or(0, |audio| audio.kbit_s);
        Self {
            player: None,
            protocol: written(publisher.protocol),
            address: publisher.address,
            program: publisher.encoder.unwrap_or_default(),
            since: Moment::new(publisher.connected_at, now, t),
            bytes: size(publisher.received.video_bytes.saturating_add(publisher.received.audio_bytes), t),
            rate: rate(u64::from(video) + u64::from(audio), t),
        }
    }

    fn player(player: LivePlayer, t: &Messages, now: OffsetDateTime) -> Self {
        // What is fetched in segments comes at no rate of its own.
        let kbit_s =
            (player.protocol != "hls").then(|| u64::from(player.video_kbit_s) + u64::from(player.audio_kbit_s));
        Self {
            player: Some(player.id),
            protocol: written(player.protocol),
            address: player.address,
            program: String::new(),
            since: Moment::new(player.connected_at, now, t),
            bytes: size(player.bytes, t),
            rate: kbit_s.map_or_else(|| "–".to_owned(), |kbit_s| rate(kbit_s, t)),
        }
    }
}

/// A protocol as people write it.
fn written(protocol: &'static str) -> &'static str {
    match protocol {
        "rtmp" => "RTMP",
        "http-flv" => "HTTP-FLV",
        "ws-flv" => "WebSocket-FLV",
        "hls" => "HLS",
        other => other,
    }
}

/// Streams shown on the page.
const MAX_STREAMS: usize = 100;
/// Players shown of each.
const MAX_PLAYERS: usize = 100;
