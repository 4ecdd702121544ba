//! Channels as their owners, their publishers and their viewers meet them.
#![allow(clippy::unwrap_used, missing_docs)]

mod app;

use std::sync::Arc;

use app::{Answer, App, Client, PASSWORD, Stage, code, stream};
use axum::body::Bytes;
use http::{Method, StatusCode, header};
use millrace_hub::{
    Authorizer, CutReason, Format, Grant, Hub, HubConfig, Leave, PlayRequest, Protocol, PublishRequest, Publisher,
    PublisherMeta, Refusal, StreamId, Subscription,
};
use millrace_media::{AacConfig, AudioConfig, Frame, Timestamp, TrackKind, Unit};
use millrace_store::{NewChannel, NewVideo, Review, Role, Visibility};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

/// A site with its streams, its administrator `ada`, and a creator's browser with the channel `engine`.
async fn site() -> (App, Hub) {
    let hub = Hub::new(HubConfig::default());
    let app = App::with(hub.clone()).await.with_administrator().await;
    tokio::spawn(app.accounts.follow());
    (app, hub)
}

/// The same, with the stream `engine` on air.
async fn on_stage() -> (App, Stage) {
    let stage = Stage::default();
    stage.set(&[stream("engine", 1, 0)]);
    (App::with(stage.clone()).await.with_administrator().await, stage)
}

async fn creator(app: &App) -> Client<'_> {
    let client = app.with_role("eve", Role::Creator).await;
    let made = client.post("/api/v1/channels", json!({ "handle": "engine", "title": "Engine room" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
    client
}

/// The key with that label.
async fn key(client: &Client<'_>, label: &str) -> (String, String) {
    let keys = client.get("/api/v1/channels/engine/keys").await.json;
    let key = keys["items"].as_array().unwrap().iter().find(|key| key["label"] == label).unwrap();
    (key["id"].as_str().unwrap().to_owned(), key["key"].as_str().unwrap().to_owned())
}

async fn publish(app: &App, name: &str, key: &str) -> Result<Grant, Refusal> {
    let peer = "192.0.2.1:4000".parse().unwrap();
    app.accounts.channels().publish(PublishRequest { app: &name.parse().unwrap(), key, query: "", peer }).await
}

/// A publisher that is on the stream.
async fn publisher(app: &App, hub: &Hub, key: &str) -> Publisher {
    let grant = publish(app, "live", key).await.unwrap();
    let id = StreamId { app: "live".parse().unwrap(), name: grant.name };
    let meta = PublisherMeta { peer: "192.0.2.1:4000".parse().unwrap(), encoder: None, takeover: grant.takeover };
    hub.publish(&id, meta).await.unwrap()
}

/// Publishes sound as long as that is wanted.
async fn sound(publisher: &mut Publisher, wanted: impl Fn() -> bool) {
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

async fn play(app: &App, query: &str, cookies: &str) -> Result<Leave, Refusal> {
    let stream = StreamId::parse("live", "engine").unwrap();
    let request = PlayRequest { stream: &stream, query, cookies, peer: "192.0.2.2:4000".parse().unwrap() };
    app.accounts.channels().play(request).await
}

fn cookies(client: &Client<'_>) -> String {
    format!("lang=en; session={}", client.cookie.lock().unwrap().clone().unwrap_or_default())
}

async fn patch(client: &Client<'_>, version: i64, change: Value) -> Answer {
    let tag = format!("\"{version}\"");
    client.send(Method::PATCH, "/api/v1/channels/engine", &[("if-match", &tag)], Some(change)).await
}

async fn set(client: &Client<'_>, change: Value) -> Answer {
    let version = client.get("/api/v1/channels/engine").await.json["version"].as_i64().unwrap();
    let changed = patch(client, version, change).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.json);
    changed
}

// --- Channels

#[tokio::test]
async fn a_creator_has_channels_and_a_viewer_has_none() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    let mine = creator.get("/api/v1/users/me/channels").await;
    assert_eq!(mine.json["items"][0]["title"], "Engine room");
    let again = creator.post("/api/v1/channels", json!({ "handle": "Engine" })).await;
    assert_eq!((again.status, code(&again)), (StatusCode::CONFLICT, "007"));
    let viewer = app.with_role("vic", Role::Viewer).await;
    for refused in [
        viewer.post("/api/v1/channels", json!({ "handle": "mine" })).await,
        viewer.get("/api/v1/users/me/channels").await,
        viewer.get("/api/v1/channels/engine/keys").await,
        patch(&viewer, 1, json!({ "title": "Mine" })).await,
        viewer.delete("/api/v1/channels/engine").await,
        viewer.get("/api/v1/channels/engine/viewers").await,
    ] {
        assert_eq!((refused.status, code(&refused)), (StatusCode::FORBIDDEN, "005"), "{}", refused.json);
    }
    let unknown = app.anonymous().post("/api/v1/channels", json!({ "handle": "mine" })).await;
    assert_eq!(code(&unknown), "002");
    assert_eq!(code(&creator.get("/api/v1/channels/none").await), "006");
    assert_eq!(creator.delete("/api/v1/channels/engine").await.status, StatusCode::NO_CONTENT);
    assert_eq!(code(&creator.get("/api/v1/channels/engine").await), "006");
}

#[tokio::test]
async fn a_channel_that_has_videos_is_not_deleted() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    let channel = app.store.channel_by_handle("engine").await.unwrap().unwrap();
    let video = NewVideo {
        short_id: "aaaaaaaaaaa",
        channel_id: &channel.id,
        title: "Steam",
        description: "",
        language: "",
        category: "",
        tags: "[]",
        search_text: "",
        visibility: Visibility::Private,
        password_hash: None,
        publish_at: None,
        review: Review::None,
        file_name: "",
    };
    app.store.create_video(&video).await.unwrap();
    let refused = creator.delete("/api/v1/channels/engine").await;
    assert_eq!((refused.status, code(&refused)), (StatusCode::CONFLICT, "007"), "{}", refused.json);
    assert!(refused.json["error"].as_str().unwrap().contains("a video: put it into the trash first"));
    assert_eq!(creator.delete("/api/v1/videos/aaaaaaaaaaa").await.status, StatusCode::OK);
    assert_eq!(creator.delete("/api/v1/channels/engine").await.status, StatusCode::NO_CONTENT);
    assert_eq!(creator.get("/api/v1/videos/aaaaaaaaaaa").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_channel_is_changed_by_who_has_read_it() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    let read = creator.get("/api/v1/channels/engine").await;
    assert_eq!(read.headers[header::ETAG], "\"1\"");
    let change = json!({
        "title": "机房", "description": "<script>alert(1)</script>", "language": "zh-CN", "category": "technology",
        "tags": ["#Steam", "蒸汽"], "links": [{ "title": "Site", "url": "https://example.org/" }],
        "embed_hosts": ["example.org"],
    });
    let changed = patch(&creator, 1, change).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.json);
    assert_eq!(changed.json["tags"], json!(["steam", "蒸汽"]));
    assert_eq!(changed.json["embed_hosts"], json!(["example.org"]));
    let late = patch(&creator, 1, json!({ "title": "Late" })).await;
    assert_eq!((late.status, code(&late)), (StatusCode::CONFLICT, "007"));
    for (wrong, named) in [
        (json!({ "title": "" }), "title"),
        (json!({ "category": "nonsense" }), "category"),
        (json!({ "language": "<b>" }), "language"),
        (json!({ "links": [{ "title": "x", "url": "javascript:alert(1)" }] }), "url"),
        (json!({ "embed_hosts": ["a; script-src *"] }), "embed_hosts"),
        (json!({ "visibility": "password" }), "password"),
        (json!({ "visibility": "password", "password": "abc" }), "password"),
        (json!({ "visibility": "nobody" }), "visibility"),
        (json!({ "owner_id": "x" }), "owner_id"),
    ] {
        let refused = patch(&creator, 2, wrong.clone()).await;
        assert_eq!((refused.status, code(&refused)), (StatusCode::BAD_REQUEST, "001"), "{wrong}");
        assert!(refused.json["error"].as_str().unwrap().contains(named), "{}", refused.json);
    }
    let without = creator.send(Method::PATCH, "/api/v1/channels/engine", &[], Some(json!({ "title": "x" }))).await;
    assert_eq!(code(&without), "001", "If-Match is missing");
}

#[tokio::test]
async fn public_channels_are_listed_and_found() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    let titles = async |query: &str| {
        let page = app.anonymous().get(&format!("/api/v1/channels{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{query} {}", page.json);
        page.json["items"].as_array().unwrap().iter().map(|c| c["handle"].clone()).collect::<Vec<_>>()
    };
    creator.post("/api/v1/channels", json!({ "handle": "market", "title": "夜市直播" })).await;
    assert_eq!(titles("").await, ["market", "engine"]);
    assert_eq!(titles("?q=ENGINE%20room").await, ["engine"]);
    assert_eq!(titles("?q=%E5%A4%9C%E5%B8%82").await, ["market"], "two Chinese letters");
    assert_eq!(titles("?q=%25").await, Vec::<Value>::new());
    set(&creator, json!({ "category": "music" })).await;
    assert_eq!(titles("?category=music").await, ["engine"]);
    assert_eq!(titles("?limit=1").await, ["market"]);
    let first = app.anonymous().get("/api/v1/channels?limit=1").await.json;
    assert_eq!(titles(&format!("?limit=1&cursor={}", first["next_cursor"].as_str().unwrap())).await, ["engine"]);
    for wrong in ["?category=x", "?limit=0", "?limit=x", &format!("?q={}", "a".repeat(201))] {
        assert_eq!(code(&app.anonymous().get(&format!("/api/v1/channels{wrong}")).await), "001", "{wrong}");
    }
    set(&creator, json!({ "language": "en-GB" })).await;
    assert_eq!(titles("?language=EN").await, ["engine"]);
    assert_eq!(titles("?language=en-gb&category=music&q=room").await, ["engine"]);
    assert_eq!(titles("?language=en-US").await, Vec::<Value>::new());
    assert_eq!(titles("?sort=name").await, ["engine", "market"]);
    assert_eq!(titles("?sort=newest").await, ["market", "engine"]);
    for wrong in ["?sort=age", "?sort=viewers", "?language=%25"] {
        assert_eq!(code(&app.anonymous().get(&format!("/api/v1/channels{wrong}")).await), "001", "{wrong}");
    }
    for hidden in ["unlisted", "private"] {
        set(&creator, json!({ "visibility": hidden })).await;
        assert_eq!(titles("?q=engine").await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn an_owner_has_only_so_many() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    for n in 1..20 {
        let made = creator.post("/api/v1/channels", json!({ "handle": format!("c{n}") })).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
    }
    assert_eq!(code(&creator.post("/api/v1/channels", json!({ "handle": "one-more" })).await), "007");
}

// --- Keys

#[tokio::test]
async fn the_key_and_only_the_key_publishes() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    let (_, main) = key(&creator, "").await;
    let grant = publish(&app, "live", &main).await.unwrap();
    assert_eq!((grant.name.as_str(), grant.takeover), ("engine", true));
    assert!(matches!(publish(&app, "other", &main).await, Err(Refusal::NotAllowed(_))));
    for strange in ["engine", "", "mrk_x", &main[..main.len() - 1], &main.to_lowercase()] {
        assert!(publish(&app, "live", strange).await.is_err(), "{strange}");
    }
    let keys = creator.get("/api/v1/channels/engine/keys").await.json;
    assert!(keys["items"][0]["last_used_at"].is_string());

    let path = "/api/v1/channels/engine/keys";
    let at = |after: Duration| (OffsetDateTime::now_utc() + after).format(&Rfc3339).unwrap();
    let phone = creator.post(path, json!({ "label": "Phone", "expires_at": at(Duration::hours(1)) })).await;
    assert_eq!(phone.status, StatusCode::CREATED, "{}", phone.json);
    assert!(publish(&app, "live", phone.json["key"].as_str().unwrap()).await.is_ok());
    for wrong in [json!({ "label": "" }), json!({ "label": "x", "expires_at": at(-Duration::hours(1)) }), json!({})] {
        assert_eq!(code(&creator.post(path, wrong).await), "001");
    }
    // An administrator may see to it; a moderator not.
    assert_eq!(app.browser("ada").await.get(path).await.status, StatusCode::OK);
    assert_eq!(code(&app.with_role("mod", Role::Moderator).await.get(path).await), "005");
    let log = app.store.audit_log(&millrace_store::PageRequest { limit: 50, after: None });
    assert!(!format!("{:?}", log.await.unwrap()).contains(&main), "keys are never logged");
}

#[tokio::test]
async fn a_key_that_has_expired_is_told_so() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    let soon = (OffsetDateTime::now_utc() + Duration::milliseconds(300)).format(&Rfc3339).unwrap();
    let made = creator.post("/api/v1/channels/engine/keys", json!({ "label": "x", "expires_at": soon })).await;
    let given = made.json["key"].as_str().unwrap();
    let refused = loop {
        match publish(&app, "live", given).await {
            Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refused, Refusal::NotAllowed("the stream key has expired"));
}

#[tokio::test]
async fn a_reset_cuts_the_publisher_of_that_key_at_once() {
    let (app, hub) = site().await;
    let creator = creator(&app).await;
    let path = "/api/v1/channels/engine/keys";
    let other = creator.post(path, json!({ "label": "Phone" })).await.json;
    let (id, main) = key(&creator, "").await;
    let mut publishing = publisher(&app, &hub, &main).await;
    assert_eq!(
        creator.delete(&format!("{path}/{}", other["id"].as_str().unwrap())).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(hub.published().len(), 1, "it came by another key");

    let reset = creator.post(&format!("{path}/{id}/reset"), json!({})).await;
    assert_eq!(reset.status, StatusCode::OK, "{}", reset.json);
    assert_eq!(publishing.cut().await, CutReason::Kicked);
    assert!(publish(&app, "live", &main).await.is_err());
    let new = reset.json["key"].as_str().unwrap();
    let mut publishing = publisher(&app, &hub, new).await;
    assert_eq!(creator.delete(&format!("{path}/{id}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(publishing.cut().await, CutReason::Kicked);
    for gone in
        [creator.delete(&format!("{path}/{id}")).await, creator.post(&format!("{path}/x/reset"), json!({})).await]
    {
        assert_eq!(code(&gone), "006");
    }
}

#[tokio::test]
async fn an_account_that_goes_takes_its_publisher_along() {
    let (app, hub) = site().await;
    let creator = creator(&app).await;
    let mut publishing = publisher(&app, &hub, &key(&creator, "").await.1).await;
    let gone = creator.send(Method::DELETE, "/api/v1/users/me", &[], Some(json!({ "password": PASSWORD }))).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.json);
    assert_eq!(publishing.cut().await, CutReason::Kicked);
    assert_eq!(play(&app, "", "").await, Err(Refusal::NotFound));
}

// --- Leave to watch

#[tokio::test]
async fn who_may_watch_what() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    let friend = app.with_role("fred", Role::Viewer).await;
    let stranger = app.with_role("sam", Role::Viewer).await;
    let moderator = app.with_role("mod", Role::Moderator).await;
    let invited = creator.send(Method::PUT, "/api/v1/channels/engine/viewers/fred", &[], None).await;
    assert_eq!(invited.status, StatusCode::NO_CONTENT, "{}", invited.json);
    #[rustfmt::skip]
    let table = [
        //                                                       anybody stranger friend owner moderator
        (json!({ "visibility": "public" }),                       [true,  true,   true,  true, true]),
        (json!({ "visibility": "unlisted" }),                     [true,  true,   true,  true, true]),
        (json!({ "visibility": "private" }),                      [false, false,  true,  true, true]),
        (json!({ "visibility": "password", "password": "sesame" }), [false, false,  false, true, true]),
    ];
    for (change, row) in table {
        set(&creator, change.clone()).await;
        let anonymous = app.anonymous();
        let open = row[0];
        for (who, may) in [&anonymous, &stranger, &friend, &creator, &moderator].into_iter().zip(row) {
            let leave = play(&app, "", &cookies(who)).await;
            let by_account = matches!(leave, Ok(Leave::User(_)));
            assert_eq!(if open { leave == Ok(Leave::Anybody) } else { by_account }, may, "{change} {leave:?}");
            let token = who.post("/api/v1/channels/engine/play-token", json!({})).await;
            assert_eq!(token.status == StatusCode::OK, may, "{change} {}", token.json);
            if may && !open {
                let query = format!("token={}", token.json["token"].as_str().unwrap());
                assert_eq!(play(&app, &query, "").await, Ok(Leave::Bearer), "players without cookies take a token");
                assert!(token.json["rtmp"].as_str().unwrap().ends_with(&query));
            }
            let live = who.get("/api/v1/live/live/engine").await.status;
            assert_eq!(live, if may { StatusCode::NOT_FOUND } else { StatusCode::FORBIDDEN }, "off air, or not told");
        }
    }
    assert_eq!(code(&app.anonymous().get("/api/v1/channels/none").await), "006");
}

#[tokio::test]
async fn who_loses_leave_to_watch_is_sent_away() {
    let (app, hub) = site().await;
    let (admin, creator) = (app.browser("ada").await, creator(&app).await);
    set(&creator, json!({ "visibility": "private" })).await;
    let (_, key) = key(&creator, "").await;
    let mut publishing = publisher(&app, &hub, &key).await;
    let stream = StreamId::parse("live", "engine").unwrap();
    sound(&mut publishing, || hub.info(&stream).is_none()).await;
    let peer = "192.0.2.2:4000".parse().unwrap();
    let watch = async |who: &Client<'_>| {
        let Ok(Leave::User(user)) = play(&app, "", &cookies(who)).await else { panic!("may watch") };
        let playing = hub.play(&stream, Format::Flv, Protocol::WsFlv, peer, false).await.unwrap();
        playing.player.has_leave_by(user);
        playing
    };
    let demoted = app.with_role("max", Role::Moderator).await;
    let left = app.with_role("mia", Role::Moderator).await;
    let (demoted_plays, left_plays, owner_plays) = (watch(&demoted).await, watch(&left).await, watch(&creator).await);
    let sent_away = async |playing: &Subscription| {
        let gone = async {
            while !playing.player.is_kicked() {
                tokio::task::yield_now().await; // it is told, and takes its turn
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.unwrap();
    };
    let changed = admin.patch("/api/v1/users/max", json!({ "role": "viewer" })).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.json);
    sent_away(&demoted_plays).await;
    assert!(play(&app, "", &cookies(&demoted)).await.is_err());
    assert!(!left_plays.player.is_kicked());
    assert_eq!(left.delete("/api/v1/sessions/current").await.status, StatusCode::NO_CONTENT);
    sent_away(&left_plays).await;
    assert!(!owner_plays.player.is_kicked());
}

#[tokio::test]
async fn a_password_opens_a_channel_until_it_is_changed() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    let unlock = async |password: &str| {
        app.anonymous().post("/api/v1/channels/engine/unlock", json!({ "password": password })).await
    };
    assert_eq!(code(&unlock("sesame").await), "001", "there is none");
    set(&creator, json!({ "visibility": "password", "password": "sesame" })).await;
    let wrong = unlock("simsim").await;
    assert_eq!((wrong.status, code(&wrong)), (StatusCode::UNAUTHORIZED, "002"));
    let right = unlock("sesame").await;
    assert_eq!(right.status, StatusCode::OK, "{}", right.json);
    let set_cookie = right.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(set_cookie.contains("; HttpOnly; SameSite=Lax"), "{set_cookie}");
    let cookie = set_cookie.split(';').next().unwrap();
    assert_eq!(play(&app, "", &format!("a=b; {cookie}")).await, Ok(Leave::Bearer));
    set(&creator, json!({ "title": "Other words" })).await;
    assert_eq!(play(&app, "", cookie).await, Ok(Leave::Bearer));
    set(&creator, json!({ "password": "another" })).await;
    assert!(play(&app, "", cookie).await.is_err());
    let cookie = unlock("another").await.headers[header::SET_COOKIE].to_str().unwrap().to_owned();
    let request = http::Request::get("/@engine").header(header::HOST, "video.example").header(header::COOKIE, cookie);
    let request = request.body(axum::body::Body::empty()).unwrap();
    let page = tower::ServiceExt::oneshot(app.router.clone(), request).await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()[header::CACHE_CONTROL], "private, no-store", "it holds a token");
    for _ in 0..30 {
        if unlock("guess").await.status == StatusCode::TOO_MANY_REQUESTS {
            return;
        }
    }
    panic!("passwords may be guessed without end");
}

#[tokio::test]
async fn who_is_no_longer_invited_loses_leave_at_once() {
    let (app, hub) = site().await;
    let creator = creator(&app).await;
    let friend = app.with_role("fred", Role::Viewer).await;
    set(&creator, json!({ "visibility": "private" })).await;
    let path = "/api/v1/channels/engine/viewers";
    creator.send(Method::PUT, &format!("{path}/fred"), &[], None).await;
    assert_eq!(creator.get(path).await.json["items"][0]["handle"], "fred");
    let token = friend.post("/api/v1/channels/engine/play-token", json!({})).await.json;
    let query = format!("token={}", token["token"].as_str().unwrap());
    assert_eq!(play(&app, &query, "").await, Ok(Leave::Bearer));
    let (_, main) = key(&creator, "").await;
    let _publishing = publisher(&app, &hub, &main).await;
    let id = StreamId::parse("live", "engine").unwrap();
    let player = hub.attach(&id, millrace_hub::Protocol::HttpFlv, "192.0.2.2:4000".parse().unwrap()).unwrap();

    assert_eq!(creator.delete(&format!("{path}/fred")).await.status, StatusCode::NO_CONTENT);
    assert!(play(&app, &query, "").await.is_err(), "its token holds no longer");
    assert!(play(&app, "", &cookies(&friend)).await.is_err());
    assert!(player.is_kicked(), "whoever watches has to ask again");
    for gone in [creator.delete(&format!("{path}/fred")).await, creator.delete(&format!("{path}/nobody")).await] {
        assert_eq!(code(&gone), "006");
    }
}

// --- Pages

#[tokio::test]
async fn a_page_shows_what_a_channel_says_as_text() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    let hostile = "<script>alert('x')</script>";
    set(
        &creator,
        json!({
            "title": hostile, "description": format!("{hostile}\nmore {hostile}"), "tags": [hostile], "category": "music",
            "links": [{ "title": hostile, "url": "https://example.org/?a='b'&c" }],
        }),
    )
    .await;
    for path in
        ["/@engine", "/embed/@engine", "/browse", "/browse/music", "/search?q=script", "/studio", "/studio/engine"]
    {
        let (status, _, body) = creator.page(path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(!body.contains("<script>alert") && body.contains("alert("), "{path}: {body}");
    }
    let (_, _, body) = app.anonymous().page("/@engine").await;
    assert!(body.contains(r#"rel="noopener nofollow ugc""#), "{body}");
    let (_, _, body) = app.anonymous().page("/search?q=%22%3E%3Cscript%3E").await;
    assert!(!body.contains("\"><script>"), "{body}");
    assert_eq!(app.anonymous().page("/browse/nonsense").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_page_of_a_private_channel_tells_nothing_and_that_of_a_password_asks_for_it() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    set(&creator, json!({ "visibility": "private" })).await;
    for path in ["/@engine", "/embed/@engine"] {
        let (status, _, body) = app.anonymous().page(path).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        assert!(!body.contains("Engine room") && !body.contains("engine.flv"), "{path}: {body}");
    }
    let (status, _, body) = creator.page("/@engine").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("engine.m3u8?token="), "what is copied into another player works: {body}");
    assert!(body.contains(r#"content="noindex""#));
    set(&creator, json!({ "visibility": "password", "password": "sesame" })).await;
    let (status, _, body) = app.anonymous().page("/@engine").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("POST /api/v1/channels/engine/unlock") && !body.contains("data-player"), "{body}");
}

#[tokio::test]
async fn a_channel_says_who_may_embed_it() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    let policy = async || {
        let (_, headers, _) = app.anonymous().page("/embed/@engine").await;
        ancestors(&headers)
    };
    assert_eq!(policy().await, "*");
    set(&creator, json!({ "embed_hosts": ["example.org", "*.example.net:8080"] })).await;
    assert_eq!(policy().await, "'self' example.org *.example.net:8080");
    set(&creator, json!({ "embed_hosts": [] })).await;
    assert_eq!(policy().await, "'none'");
    set(&creator, json!({ "embed_anywhere": true })).await;
    assert_eq!(policy().await, "*");
}

#[tokio::test]
async fn a_frame_where_the_player_may_not_be_says_so() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    // A frame of that page, as browsers ask for it; the player's policy where it is answered, None where it is refused.
    let framed = async |referer: &str| {
        let (status, headers, body) = app.anonymous().framed("/embed/@engine", Some("iframe"), referer).await;
        assert_eq!(body.contains("data-player"), status == StatusCode::OK);
        assert!(!headers.contains_key("x-frame-options"));
        assert!(headers.get_all(header::VARY).iter().any(|vary| vary.to_str().unwrap().contains("referer")));
        if status == StatusCode::OK {
            return Some(ancestors(&headers));
        }
        assert_eq!((status, ancestors(&headers).as_str()), (StatusCode::FORBIDDEN, "*"));
        assert!(body.contains("does not allow this site"), "{body}");
        assert!(body.contains(r#"<a class="button" href="http://video.example/@engine" target="_blank""#), "{body}");
        None
    };
    set(&creator, json!({ "embed_hosts": ["example.org", "*.example.net:8080"] })).await;
    let policy = Some("'self' example.org *.example.net:8080".to_owned());
    for allowed in [
        "http://example.org/",
        "https://example.org/a?b",
        "https://a.b.example.net:8080/",
        "http://video.example/",
        "", // a site that hides itself: the browser decides
    ] {
        assert_eq!(framed(allowed).await, policy, "{allowed}");
    }
    for refused in [
        "https://evil.example/",
        "https://www.example.org/",
        "https://example.org:8443/",
        "https://example.org.evil.example/",
        "https://evil-example.org/",
        "https://example.net:8080/",
        "https://a.example.net/",
    ] {
        assert_eq!(framed(refused).await, None, "{refused}");
    }
    let evil = "https://evil.example/";
    let asked = async |destination| app.anonymous().framed("/embed/@engine", destination, evil).await.0;
    assert_eq!(asked(Some("document")).await, StatusCode::OK, "a link that was followed is no frame");
    assert_eq!(asked(None).await, StatusCode::FORBIDDEN, "to plain HTTP no browser says what it fills");
    set(&creator, json!({ "embed_hosts": [] })).await;
    for anywhere in ["", "https://example.org/", "http://video.example/"] {
        assert_eq!(framed(anywhere).await, None, "{anywhere}");
    }
    set(&creator, json!({ "embed_anywhere": true })).await;
    assert_eq!(app.anonymous().framed("/embed/@engine", Some("iframe"), evil).await.0, StatusCode::OK);
    for (path, status) in [("/embed/@none", StatusCode::OK), ("/embed/@A", StatusCode::NOT_FOUND)] {
        let (got, headers, _) = app.anonymous().framed(path, Some("iframe"), evil).await;
        assert_eq!((got, ancestors(&headers).as_str()), (status, "*"), "{path}: what may be framed everywhere");
    }
}

#[tokio::test]
async fn a_token_opens_the_player_of_a_private_channel_on_another_site() {
    let (app, _) = on_stage().await;
    let creator = creator(&app).await;
    let open = app.anonymous().page("/embed/@engine?token=x").await;
    assert!(open.0 == StatusCode::OK && !open.2.contains("token="), "an open one needs none: {}", open.2);
    set(&creator, json!({ "visibility": "private" })).await;
    let token = creator.post("/api/v1/channels/engine/play-token", json!({})).await.json;
    let token = token["token"].as_str().unwrap();
    let embed = format!("/embed/@engine?token={token}");
    let (status, headers, body) = app.anonymous().page(&embed).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(headers[header::CACHE_CONTROL], "private, no-store");
    for carried in [
        format!(r#"data-token="{token}""#),
        format!(r#"data-flv="/live/engine.flv?token={token}""#),
        format!(r#"data-poster="/live/engine.jpg?token={token}""#),
        format!("<code>http://video.example/live/engine.m3u8?token={token}</code>"),
    ] {
        assert!(body.contains(&carried), "{carried} in {body}");
    }
    let answer = app.anonymous().get(&format!("/api/v1/live/live/engine?token={token}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json);
    assert_eq!(answer.json["urls"]["hls"], format!("/live/engine.m3u8?token={token}"));
    assert_eq!(answer.json["urls"]["page"], "/@engine");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "private, no-store");

    // It opens nothing else, and makes no other that would last longer.
    assert_eq!(app.anonymous().page(&format!("/@engine?token={token}")).await.0, StatusCode::FORBIDDEN);
    let further = app.anonymous().post(&format!("/api/v1/channels/engine/play-token?token={token}"), json!({})).await;
    assert_eq!(code(&further), "005");
    for wrong in ["", "x", "%22%3E%3Cscript%3E", &token[1..]] {
        assert_eq!(code(&app.anonymous().get(&format!("/api/v1/live/live/engine?token={wrong}")).await), "005");
        let (status, headers, body) = app.anonymous().page(&format!("/embed/@engine?token={wrong}")).await;
        assert_eq!((status, ancestors(&headers).as_str()), (StatusCode::FORBIDDEN, "*"));
        assert!(body.contains("chooses who may watch") && !body.contains("Engine room"), "{body}");
    }
    // Its owner's browser has a cookie; what is copied out of the page has none.
    let (_, _, body) = creator.page("/embed/@engine").await;
    assert!(body.contains(r#"data-flv="/live/engine.flv""#) && !body.contains("data-token"), "{body}");
    assert!(body.contains("<code>http://video.example/live/engine.m3u8?token="), "{body}");
    set(&creator, json!({ "visibility": "public" })).await;
    set(&creator, json!({ "visibility": "private" })).await;
    assert_eq!(app.anonymous().page(&embed).await.0, StatusCode::FORBIDDEN, "what was handed out before is over");
}

#[tokio::test]
async fn a_channels_page_tells_what_it_is_about() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    let (_, _, body) = app.anonymous().page("/@engine").await;
    assert!(body.contains(r##"<a href="#about">"##) && body.contains("has not said anything about itself"), "{body}");
    assert!(!body.contains("/browse?language="), "{body}");
    let about = json!({
        "description": "Steam.\nEvery day.", "language": "zh-Hant-TW", "tags": ["brass"], "category": "technology",
        "links": [{ "title": "Site", "url": "https://example.org/" }],
    });
    set(&creator, about).await;
    let (_, _, body) = app.anonymous().page("/@engine").await;
    assert!(body.contains(r#"<meta name="description" content="Steam.">"#), "{body}");
    let about = &body[body.find(r#"<section id="about""#).unwrap()..];
    for told in
        ["Steam.\nEvery day.", r#"<a class="link" href="/browse?language=zh">Chinese</a>"#, "#brass", "Site", "Since"]
    {
        assert!(about.contains(told), "{told} in {about}");
    }
    let (_, _, body) = app.anonymous().page("/@engine?lang=zh-CN").await;
    assert!(body.contains(r#"<a class="link" href="/browse?language=zh">中文</a>"#), "{body}");
    set(&creator, json!({ "language": "tlh-XX" })).await;
    assert!(app.anonymous().page("/@engine").await.2.contains("<dd>tlh-XX</dd>"), "a tag whose name is not known");
    assert!(!app.anonymous().page("/@movie").await.2.contains("data-tabs"), "a stream that is no channel's");
}

#[tokio::test]
async fn a_channel_is_listed_once() {
    let (app, stage) = on_stage().await;
    stage.set(&[]);
    let creator = creator(&app).await;
    for n in 0..3 {
        let market = json!({ "handle": format!("market{n}"), "title": format!("Market {n}") });
        assert_eq!(creator.post("/api/v1/channels", market).await.status, StatusCode::CREATED);
    }
    let paths =
        ["/", "/browse", "/browse/travel", "/search?q=engine", "/search?language=en&sort=name", "/browse?sort=viewers"];
    set(&creator, json!({ "category": "travel", "language": "en" })).await;
    let count = async |path: &str| app.anonymous().page(path).await.2.matches(r#"href="/@engine""#).count();
    for path in paths {
        assert_eq!(count(path).await, 1, "{path}");
    }
    stage.set(&[stream("engine", 1, 0)]);
    for path in paths {
        let (_, _, body) = app.anonymous().page(path).await;
        assert!(
            body.contains(r#"data-stream="live/engine""#) && !body.contains(r#"data-channel="live/engine""#),
            "{path}"
        );
        assert_eq!(count(path).await, 1, "{path}");
    }
    let (_, _, home) = app.anonymous().page("/").await;
    let places: Vec<_> = (0..3).map(|n| home.find(&format!("data-channel=\"live/market{n}\"")).unwrap()).collect();
    assert!(places[0] > places[1] && places[1] > places[2], "the newest first");
    for path in ["/browse/music", "/search?q=boiler", "/search?language=de"] {
        assert_eq!(count(path).await, 0, "{path}");
    }
    // What one may not know of is nowhere, at once.
    for hidden in ["private", "unlisted"] {
        set(&creator, json!({ "visibility": hidden })).await;
        for path in paths {
            assert_eq!(count(path).await, 0, "{path} {hidden}");
        }
    }
}

#[tokio::test]
async fn a_search_is_kept_in_the_fields_and_on_the_next_page() {
    let (app, _) = site().await;
    creator(&app).await;
    let owner = app.store.user_by_handle("eve").await.unwrap().unwrap();
    for n in 0..40 {
        let (handle, title) = (format!("lathe{n}"), format!("Lathe {n:02}"));
        let new = NewChannel {
            owner_id: &owner.id,
            handle: &handle,
            title: &title,
            search_text: &title.to_lowercase(),
            most: 99,
        };
        app.store.create_channel(&new).await.unwrap();
    }
    let (_, _, body) = app.anonymous().page("/search?q=%22lathe&sort=name").await;
    assert_eq!(
        body.matches(r#"name="q" maxlength="200" value="&#34;lathe""#).count(),
        2,
        "at the top, and in the page"
    );
    assert!(body.contains(r#"<option value="name" selected>"#), "{body}");
    assert!(!body.contains("autofocus"));
    assert!(app.anonymous().page("/search").await.2.contains("autofocus"), "where one comes to write");
    let (mut path, mut found) = ("/search?q=LATHE&sort=name".to_owned(), Vec::new());
    loop {
        let (status, _, body) = app.anonymous().page(&path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        found.extend(body.split(r#"data-channel="live/"#).skip(1).map(|row| row.split('"').next().unwrap().to_owned()));
        let Some(next) = body.split(r#"rel="next" href=""#).nth(1) else { break };
        path = next.split('"').next().unwrap().replace("&#38;", "&");
        assert!(path.starts_with("/search?q=LATHE&sort=name&cursor="), "{path}");
    }
    assert_eq!(found, (0..40).map(|n| format!("lathe{n}")).collect::<Vec<_>>());
    for wrong in ["/search?sort=age", "/browse?language=%25", "/browse?cursor=%00"] {
        assert_eq!(app.anonymous().page(wrong).await.0, StatusCode::NOT_FOUND, "{wrong}");
    }
}

/// Who may frame the page with those headers.
fn ancestors(headers: &http::HeaderMap) -> String {
    let policy = headers["content-security-policy"].to_str().unwrap();
    policy.rsplit_once("frame-ancestors ").unwrap().1.to_owned()
}

#[tokio::test]
async fn the_studio_is_for_who_has_channels() {
    let (app, _) = site().await;
    creator(&app).await;
    let (status, headers, _) = app.anonymous().page("/studio").await;
    assert_eq!((status, &headers["location"]), (StatusCode::SEE_OTHER, &"/login?next=/studio".parse().unwrap()));
    assert_eq!(app.with_role("vic", Role::Viewer).await.page("/studio").await.0, StatusCode::FORBIDDEN);
    let other = app.with_role("oda", Role::Creator).await;
    for path in ["/studio/engine", "/studio/engine/settings", "/studio/none"] {
        assert_eq!(other.page(path).await.0, StatusCode::NOT_FOUND, "{path}: it is another's");
    }
}

#[tokio::test]
async fn broadcasts_are_listed_for_their_owner() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    let path = "/api/v1/channels/engine/broadcasts";
    assert_eq!(creator.get(path).await.json["items"], json!([]));
    assert_eq!(code(&app.anonymous().get(path).await), "002");
    assert_eq!(code(&app.with_role("vic", Role::Viewer).await.get(path).await), "005");
}

#[tokio::test]
async fn a_name_of_the_configuration_is_no_channels() {
    let (app, _) = site().await;
    let creator = creator(&app).await;
    let (_, main) = key(&creator, "").await;
    app.accounts.channels().leave_out(|name| name == "movie");
    let refused = creator.post("/api/v1/channels", json!({ "handle": "movie" })).await;
    assert_eq!((refused.status, code(&refused)), (StatusCode::CONFLICT, "007"));
    assert!(publish(&app, "live", &main).await.is_ok(), "others are channels still");

    // One that was there before its name was configured.
    let (app, _) = site().await;
    let creator = self::creator(&app).await;
    app.accounts.channels().leave_out(|name| name == "engine");
    set_private(&app).await;
    assert_eq!(play(&app, "", "").await, Err(Refusal::NotFound), "it decides nothing about the other stream");
    assert_eq!(creator.page("/@engine").await.0, StatusCode::OK);
}

async fn set_private(app: &App) {
    let channel = app.store.channel_by_handle("engine").await.unwrap().unwrap();
    let change = millrace_store::ChannelChange {
        visibility: Some(millrace_store::Visibility::Private),
        ..millrace_store::ChannelChange::default()
    };
    app.store.update_channel(&channel.id, channel.version, &change).await.unwrap();
}
