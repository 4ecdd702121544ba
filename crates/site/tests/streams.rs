//! Publishers and players as those who operate the site meet them.
#![allow(clippy::unwrap_used)]

mod app;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use app::{App, code};
use bytes::Bytes;
use http::StatusCode;
use millrace_hub::{
    Format, Hub, HubConfig, Protocol, Publisher, PublisherMeta, Rates, StreamId, Subscription, Traffic,
};
use millrace_media::{AacConfig, AudioConfig, Frame, Timestamp, TrackKind, Unit};
use millrace_store::Role;

const PUBLISHER: &str = "/api/v1/live/live/radio/publisher";
const PLAYERS: &str = "/api/v1/live/live/radio/players";

fn id() -> StreamId {
    StreamId::parse("live", "radio").unwrap()
}

/// A site with sound on air at `live/radio`.
async fn on_air() -> (App, Hub, Publisher) {
    let hub = Hub::new(HubConfig::default());
    let app = App::with(hub.clone()).await.with_administrator().await;
    let meta =
        PublisherMeta { peer: "192.0.2.1:4000".parse().unwrap(), encoder: Some("obs".to_owned()), takeover: true };
    let mut publisher = hub.publish(&id(), meta).await.unwrap();
    let config = AacConfig::parse(Bytes::from_static(&[0x12, 0x10])).unwrap();
    publisher.send(Unit::AudioConfig(Arc::new(AudioConfig::Aac(config)))).await.unwrap();
    let mut ms = 0;
    while hub.info(&id()).is_none() {
        let t = Timestamp::from_millis(ms);
        let payload = Bytes::from_static(&[1; 100]);
        let frame = Frame { track: TrackKind::Audio, keyframe: true, dts: t, pts: t, payload };
        publisher.send(Unit::Frame(frame)).await.unwrap();
        ms += 23;
        tokio::time::sleep(Duration::from_millis(23)).await;
    }
    (app, hub, publisher)
}

async fn play(hub: &Hub, port: u16) -> Subscription {
    let peer = SocketAddr::from(([192, 0, 2, 7], port));
    hub.play(&id(), Format::Flv, Protocol::HttpFlv, peer, false).await.unwrap()
}

#[tokio::test]
async fn a_moderator_sees_who_publishes_and_cuts_them() {
    let (app, hub, mut publisher) = on_air().await;
    let moderator = app.with_role("mo", Role::Moderator).await;
    let seen = moderator.get(PUBLISHER).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.json);
    let field = |name: &str| &seen.json[name];
    assert_eq!((field("address"), field("encoder")), (&"192.0.2.1:4000".into(), &"obs".into()));
    assert_eq!((field("state"), field("protocol")), (&"live".into(), &"rtmp".into()));
    assert_eq!((&seen.json["audio"]["codec"], field("video")), (&"mp4a.40.2".into(), &serde_json::Value::Null));
    assert!(seen.json["received"]["audio_frames"].is_u64());

    assert_eq!(moderator.delete(PUBLISHER).await.status, StatusCode::NO_CONTENT);
    assert_eq!(publisher.cut().await, millrace_hub::CutReason::Kicked);
    while hub.info(&id()).is_some() {
        tokio::task::yield_now().await;
    }
    for answer in [moderator.get(PUBLISHER).await, moderator.delete(PUBLISHER).await, moderator.get(PLAYERS).await] {
        assert_eq!((answer.status, code(&answer)), (StatusCode::NOT_FOUND, "006"));
    }
    let log = app.browser("ada").await.get("/api/v1/admin/audit?action=kick").await.json;
    let entry = &log["items"][0];
    assert_eq!((&entry["actor"], &entry["subject"]), (&"mo".into(), &"live/radio".into()));
    assert_eq!(entry["details"], "publisher 192.0.2.1:4000");
}

#[tokio::test]
async fn a_moderator_sees_who_plays_and_sends_one_away() {
    let (app, hub, _publisher) = on_air().await;
    let moderator = app.with_role("mo", Role::Moderator).await;
    let players = [play(&hub, 1).await, play(&hub, 2).await, play(&hub, 3).await];
    let traffic = Traffic { audio_bytes: 900, audio_frames: 9, ..Traffic::default() };
    players[1].player.update(1_000, traffic, Rates { audio_kbit_s: 64, ..Rates::default() }, 1, 2);

    let first = moderator.get(&format!("{PLAYERS}?limit=2")).await.json;
    let second = moderator.get(&format!("{PLAYERS}?cursor={}", first["next_cursor"].as_str().unwrap())).await.json;
    let addresses: Vec<_> = [&first, &second].iter().flat_map(|page| page["items"].as_array().unwrap()).collect();
    let ports: Vec<_> = addresses.iter().map(|player| player["address"].as_str().unwrap()).collect();
    assert_eq!(ports, ["192.0.2.7:1", "192.0.2.7:2", "192.0.2.7:3"]);
    assert_eq!(second["next_cursor"], serde_json::Value::Null);
    let busy = &first["items"][1];
    assert_eq!((&busy["bytes"], &busy["sent"]["audio_bytes"]), (&1_000.into(), &900.into()));
    assert_eq!((&busy["audio_kbit_s"], &busy["dropped_frames"]), (&64.into(), &2.into()));

    let path = format!("{PLAYERS}/{}", busy["id"]);
    assert_eq!(moderator.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(players.iter().map(|player| player.player.is_kicked()).collect::<Vec<_>>(), [false, true, false]);
    drop(players);
    assert_eq!(code(&moderator.delete(&path).await), "006");
    let log = app.browser("ada").await.get("/api/v1/admin/audit?action=kick").await.json;
    assert!(log["items"][0]["details"].as_str().unwrap().ends_with("http-flv 192.0.2.7:2"));
}

#[tokio::test]
async fn nobody_else_sees_or_cuts_anybody() {
    let (app, hub, _publisher) = on_air().await;
    let player = play(&hub, 1).await;
    let one = format!("{PLAYERS}/1");
    let clients = [
        (app.anonymous(), 401),
        (app.with_role("vi", Role::Viewer).await, 403),
        (app.with_role("cr", Role::Creator).await, 403),
    ];
    for (client, status) in &clients {
        for path in [PUBLISHER, PLAYERS] {
            assert_eq!(client.get(path).await.status, *status, "{path}");
        }
        for path in [PUBLISHER, &one] {
            assert_eq!(client.delete(path).await.status, *status, "{path}");
        }
    }
    assert!(hub.info(&id()).is_some() && !player.player.is_kicked());
}

#[tokio::test]
async fn what_is_not_correct_is_named() {
    let (app, _hub, _publisher) = on_air().await;
    let moderator = app.with_role("mo", Role::Moderator).await;
    for query in ["limit=0", "limit=101", "cursor=x", "cursor=-1"] {
        let refused = moderator.get(&format!("{PLAYERS}?{query}")).await;
        assert_eq!((refused.status, code(&refused)), (StatusCode::BAD_REQUEST, "001"), "{query}");
    }
    assert_eq!(code(&moderator.delete(&format!("{PLAYERS}/x")).await), "001");
    assert_eq!(code(&moderator.delete(&format!("{PLAYERS}/0")).await), "006");
    assert_eq!(code(&moderator.get("/api/v1/live/LIVE/..%2f/publisher").await), "006");
}

#[tokio::test]
async fn moderators_have_a_page_of_who_publishes_and_plays() {
    let (app, hub, _publisher) = on_air().await;
    let moderator = app.with_role("mo", Role::Moderator).await;
    let player = play(&hub, 2).await;
    player.player.update(5 << 20, Traffic::default(), Rates { audio_kbit_s: 64, ..Rates::default() }, 0, 0);
    let segments = hub.attach(&id(), Protocol::Hls, "192.0.2.9:3".parse().unwrap()).unwrap();
    let (status, _, page) = moderator.page("/admin/streams").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let players = moderator.get(PLAYERS).await.json;
    for shown in
        ["192.0.2.1:4000 · obs", "192.0.2.7:2", "5 MiB", "64 kbit/s", "HTTP-FLV", "192.0.2.9<", "href=\"/@radio"]
    {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let numbers = players["items"].as_array().unwrap().iter().map(|player| format!("{PLAYERS}/{}", player["id"]));
    for acts in numbers.chain([PUBLISHER.to_owned()]) {
        assert!(page.contains(&format!("data-api=\"DELETE {acts}\"")), "{acts}: {page}");
    }
    drop(segments);
    assert_eq!(app.with_role("cr", Role::Creator).await.page("/admin/streams").await.0, StatusCode::FORBIDDEN);
    assert_eq!(app.anonymous().page("/admin/streams").await.0, StatusCode::SEE_OTHER);
    let idle = App::set_up().await;
    let (_, _, page) = idle.browser("ada").await.page("/admin/streams").await;
    assert!(page.contains("Nobody publishes at present."), "{page}");
}
