//! Finding videos by the API and on the page of results.
#![allow(clippy::unwrap_used, missing_docs)]

mod app;

use app::{App, code};
use http::StatusCode;
use millrace_store::{NewVideo, Review, Role, VideoFacts, VideoState, Visibility};
use serde_json::json;

/// A site with three videos: `river00000a`, a short one; `market0000a`, Chinese and long; `private000a`.
async fn site() -> App {
    let app = App::set_up().await;
    let creator = app.with_role("eve", Role::Creator).await;
    let made = creator.post("/api/v1/channels", json!({ "handle": "engine", "title": "Engine room" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
    let channel = app.store.channel_by_handle("engine").await.unwrap().unwrap();
    for (short_id, title, language, category, minutes, visibility) in [
        ("river00000a", "Down the river <b>", "en", "outdoors", 2, Visibility::Public),
        ("market0000a", "台北的夜市美食", "zh-TW", "travel", 65, Visibility::Public),
        ("private000a", "The river, again", "en", "outdoors", 2, Visibility::Private),
    ] {
        let new = NewVideo {
            short_id,
            channel_id: &channel.id,
            title,
            description: "",
            language,
            category,
            tags: "[]",
            search_text: "",
            visibility,
            password_hash: None,
            publish_at: None,
            review: Review::None,
            file_name: "",
        };
        let video = app.store.create_video(&new).await.unwrap();
        let facts = VideoFacts { duration: minutes * 60_000, ..VideoFacts::default() };
        app.store.set_video_facts(&video.id, &facts).await.unwrap();
        app.store.set_video_state(&video.id, VideoState::Ready, "").await.unwrap();
    }
    app
}

#[tokio::test]
async fn videos_are_found_by_the_api() {
    let app = site().await;
    for (query, found) in [
        ("q=river", &["river00000a"][..]),
        ("q=%E5%A4%9C%E5%B8%82", &["market0000a"]),
        ("q=engine", &["market0000a", "river00000a"]),
        ("q=engine&sort=newest&category=outdoors", &["river00000a"]),
        ("language=zh", &["market0000a"]),
        ("duration=short", &["river00000a"]),
        ("duration=long&since=day&q=engine", &["market0000a"]),
        ("duration=medium", &[]),
        ("q=%22%20OR%20*", &[]),
        ("", &["market0000a", "river00000a"]),
        ("sort=relevance", &["market0000a", "river00000a"]),
    ] {
        let answer = app.anonymous().get(&format!("/api/v1/videos?{query}")).await;
        let items = answer.json["items"].as_array().unwrap_or_else(|| panic!("{query}: {}", answer.json));
        assert_eq!(items.iter().map(|item| item["id"].as_str().unwrap()).collect::<Vec<_>>(), found, "{query}");
    }
    let page = app.anonymous().get("/api/v1/videos?q=engine&limit=1").await.json;
    let next = format!("/api/v1/videos?q=engine&limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = app.anonymous().get(&next).await.json;
    assert_eq!((&rest["items"][0]["id"], &rest["next_cursor"]), (&json!("river00000a"), &json!(null)));
    for bad in ["duration=tiny", "since=ever", "sort=best", "language=x", &format!("q={}", "a".repeat(201))] {
        assert_eq!(code(&app.anonymous().get(&format!("/api/v1/videos?{bad}")).await), "001", "{bad}");
    }
}

#[tokio::test]
async fn the_page_of_results_shows_videos_beside_channels() {
    let app = site().await;
    let (status, _, page) = app.anonymous().page("/search?q=engine").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("href=\"/w/river00000a\"") && page.contains("href=\"/w/market0000a\""), "{page}");
    assert!(page.contains("href=\"/@engine\"") && page.contains("1:05:00") && page.contains("0 views"), "{page}");
    assert!(!page.contains("private000a") && !page.contains("river <b>"));
    let (_, _, page) = app.anonymous().page("/search?q=engine&duration=short&order=newest").await;
    assert!(page.contains("river00000a") && !page.contains("market0000a"));
    assert!(page.contains("value=\"short\" selected") && page.contains("search-filters\" open"), "{page}");
    let (_, _, page) = app.anonymous().page("/browse/travel").await;
    assert!(page.contains("market0000a") && !page.contains("river00000a"));
    let (_, _, page) = app.anonymous().page("/search?q=nothing&duration=unheard-of").await;
    assert!(page.contains("Nothing was found"), "{page}");
    let (_, _, page) = app.anonymous().page("/browse?duration=medium").await;
    assert!(page.contains("No video is so long") && page.contains("href=\"/@engine\""), "{page}");
}
