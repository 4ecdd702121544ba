//! Channels as their owners and their viewers meet them.
#![allow(clippy::unwrap_used, missing_docs)]

mod app;

use app::channels::{creator, on_stage, patch, set, site};
use app::{code, stream};
use http::{Method, StatusCode, header};
use millrace_store::{NewChannel, NewVideo, Review, Role, Visibility};
use serde_json::{Value, json};

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
