//! Leave to publish to a channel, by its keys, and to watch it.
#![allow(clippy::unwrap_used, missing_docs)]

mod app;

use app::channels::{cookies, creator, key, play, publish, publisher, set, site, sound};
use app::{App, Client, PASSWORD, code};
use http::{Method, StatusCode, header};
use millrace_hub::{Authorizer, Credentials, CutReason, Format, Leave, Protocol, Refusal, StreamId, Subscription};
use millrace_store::Role;
use serde_json::json;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

#[tokio::test]
async fn who_runs_the_site_is_known_by_a_session_or_a_token_of_theirs() {
    let (app, _) = site().await;
    let (channels, peer) = (app.accounts.channels(), "192.0.2.2:4000".parse().unwrap());
    let by = async |cookies: &str, authorization: &str| {
        channels.administers(Credentials { cookies, authorization, peer }).await
    };
    let administers = async |cookies: &str| by(cookies, "").await;
    let moderator = app.with_role("mod", Role::Moderator).await;
    assert!(administers(&cookies(&app.browser("ada").await)).await);
    let (moderator_session, creator) = (cookies(&moderator), creator(&app).await);
    assert!(administers(&moderator_session).await);
    assert!(!administers(&cookies(&creator)).await);
    for strange in ["", "session=", "session=x", "ada=1"] {
        assert!(!administers(strange).await, "{strange}");
    }
    let token = async |client: &Client<'_>| {
        let made = client.post("/api/v1/tokens", json!({ "name": "x", "scopes": ["account"] })).await;
        format!("Bearer {}", made.json["token"].as_str().unwrap())
    };
    assert!(by("", &token(&moderator).await).await);
    assert!(!by("", &token(&creator).await).await);
    for strange in ["Bearer", "Bearer ", "Bearer x", "Basic x"] {
        assert!(!by(&moderator_session, strange).await, "{strange}");
    }
    moderator.send(Method::DELETE, "/api/v1/sessions/current", &[], None).await;
    assert!(!administers(&moderator_session).await, "it has ended");
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
