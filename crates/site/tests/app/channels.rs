//! A channel in tests: its creator, its keys, who publishes to it and who plays it.

use std::sync::Arc;

use axum::body::Bytes;
use http::{Method, StatusCode};
use millrace_hub::{
    Authorizer, Grant, Hub, HubConfig, Leave, PlayRequest, PublishRequest, Publisher, PublisherMeta, Refusal, StreamId,
};
use millrace_media::{AacConfig, AudioConfig, Frame, Timestamp, TrackKind, Unit};
use millrace_store::Role;
use serde_json::{Value, json};

use super::{Answer, App, Client, Stage, stream};

/// A site with its streams, its administrator `ada`, and a creator's browser with the channel `engine`.
pub(crate) async fn site() -> (App, Hub) {
    let hub = Hub::new(HubConfig::default());
    let app = App::with(hub.clone()).await.with_administrator().await;
    tokio::spawn(app.accounts.follow());
    (app, hub)
}

/// The same, with the stream `engine` on air.
pub(crate) async fn on_stage() -> (App, Stage) {
    let stage = Stage::default();
    stage.set(&[stream("engine", 1, 0)]);
    (App::with(stage.clone()).await.with_administrator().await, stage)
}

pub(crate) async fn creator(app: &App) -> Client<'_> {
    let client = app.with_role("eve", Role::Creator).await;
    let made = client.post("/api/v1/channels", json!({ "handle": "engine", "title": "Engine room" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
    client
}

/// The key with that label.
pub(crate) async fn key(client: &Client<'_>, label: &str) -> (String, String) {
    let keys = client.get("/api/v1/channels/engine/keys").await.json;
    let key = keys["items"].as_array().unwrap().iter().find(|key| key["label"] == label).unwrap();
    (key["id"].as_str().unwrap().to_owned(), key["key"].as_str().unwrap().to_owned())
}

pub(crate) async fn publish(app: &App, name: &str, key: &str) -> Result<Grant, Refusal> {
    let peer = "192.0.2.1:4000".parse().unwrap();
    app.accounts.channels().publish(PublishRequest { app: &name.parse().unwrap(), key, query: "", peer }).await
}

/// A publisher that is on the stream.
pub(crate) async fn publisher(app: &App, hub: &Hub, key: &str) -> Publisher {
    let grant = publish(app, "live", key).await.unwrap();
    let id = StreamId { app: "live".parse().unwrap(), name: grant.name };
    let meta = PublisherMeta { peer: "192.0.2.1:4000".parse().unwrap(), encoder: None, takeover: grant.takeover };
    hub.publish(&id, meta).await.unwrap()
}

/// Publishes sound as long as that is wanted.
pub(crate) async fn sound(publisher: &mut Publisher, wanted: impl Fn() -> bool) {
    let config = AacConfig::parse(Bytes::from_static(&[0x12, 0x10])).unwrap();
    publisher.send(Unit::AudioConfig(Arc::new(AudioConfig::Aac(config)))).await.unwrap();
    for n in 0.. {
        if !wanted() {
            break;
        }
        let at = Timestamp::from_millis(n * 23);
        let payload = Bytes::from_static(&[1; 100]);
        let frame = Frame { track: TrackKind::Audio, keyframe: true, dts: at, pts: at, payload };
        publisher.send(Unit::Frame(frame)).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(23)).await;
    }
}

pub(crate) async fn play(app: &App, query: &str, cookies: &str) -> Result<Leave, Refusal> {
    let stream = StreamId::parse("live", "engine").unwrap();
    let request = PlayRequest { stream: &stream, query, cookies, peer: "192.0.2.2:4000".parse().unwrap() };
    app.accounts.channels().play(request).await
}

pub(crate) fn cookies(client: &Client<'_>) -> String {
    format!("lang=en; session={}", client.cookie.lock().unwrap().clone().unwrap_or_default())
}

pub(crate) async fn patch(client: &Client<'_>, version: i64, change: Value) -> Answer {
    let tag = format!("\"{version}\"");
    client.send(Method::PATCH, "/api/v1/channels/engine", &[("if-match", &tag)], Some(change)).await
}

pub(crate) async fn set(client: &Client<'_>, change: Value) -> Answer {
    let version = client.get("/api/v1/channels/engine").await.json["version"].as_i64().unwrap();
    let changed = patch(client, version, change).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.json);
    changed
}
