//! The studio's pages of videos, as their owner and others meet them.
#![allow(clippy::unwrap_used, missing_docs)]

mod app;

use std::net::SocketAddr;

use app::{App, NothingLive, code, uploads};
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use millrace_site::{Makes, SiteConfig, UploadConfig, router};
use millrace_store::{
    Action, At, Claim, JobOutcome, NewAuditEntry, NewJob, NewUpload, NewVideo, Review, Role, Video, VideoChange,
    VideoFacts, VideoState, Visibility,
};
use serde_json::{Value, json};
use time::Duration;
use tower::ServiceExt;

/// A site with a creator, `cora`, who has a channel.
async fn site() -> App {
    let app = App::set_up().await;
    let creator = app.with_role("cora", Role::Creator).await;
    let made = creator.post("/api/v1/channels", json!({ "handle": "engine", "title": "Engine room" })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    app
}

/// A video of the channel in that state.
async fn video(app: &App, short_id: &str, title: &str, state: VideoState, failure: &str) -> Video {
    let channel = app.store.channel_by_handle("engine").await.unwrap().unwrap();
    let new = NewVideo {
        short_id,
        channel_id: &channel.id,
        title,
        description: "",
        language: "",
        category: "",
        tags: "[]",
        search_text: "",
        visibility: Visibility::Unlisted,
        password_hash: None,
        publish_at: None,
        review: Review::None,
        file_name: "clip.mp4",
    };
    let upload = NewUpload {
        user_id: &channel.owner_id,
        length: 200,
        metadata: "",
        expires_at: At::now().plus(Duration::hours(1)),
        most: 50,
        quota: i64::MAX,
    };
    let (video, upload) = app.store.create_upload(&new, &upload).await.unwrap();
    let staging = app.accounts.staging().unwrap();
    staging.begin(&upload.id).await.unwrap();
    if state != VideoState::Uploading {
        app.store.set_video_state(&video.id, state, failure).await.unwrap();
    }
    app.store.video(&video.id).await.unwrap().unwrap()
}

async fn change(app: &App, video: &Video, change: &VideoChange<'_>) {
    app.store.update_video(&video.id, video.version, change).await.unwrap();
}

#[tokio::test]
async fn the_list_says_in_words_what_became_of_each() {
    let app = site().await;
    video(&app, "AAAAAAAAAA1", "On its way", VideoState::Uploading, "").await;
    video(&app, "AAAAAAAAAA2", "Here", VideoState::Received, "").await;
    video(&app, "AAAAAAAAAA3", "At work", VideoState::Processing, "").await;
    video(&app, "AAAAAAAAAA4", "Broken", VideoState::Failed, "there is <no> index in the file").await;
    let scheduled = video(&app, "AAAAAAAAAA5", "Later", VideoState::Ready, "").await;
    let publish_at = Some(Some(At::now().plus(Duration::minutes(125) + Duration::seconds(30))));
    change(&app, &scheduled, &VideoChange { publish_at, ..VideoChange::default() }).await;
    let sent_back = video(&app, "AAAAAAAAAA6", "Sent back", VideoState::Ready, "").await;
    let entry = NewAuditEntry { actor: "ada", action: Action::ReviewVideo, subject: "", address: "", details: "" };
    let reason = "name the music";
    app.store.review_video(&sent_back.id, sent_back.version, Review::Changes, reason, &entry).await.unwrap();
    video(&app, "AAAAAAAAAA7", "Done", VideoState::Ready, "").await;

    let (status, _, page) = app.browser("cora").await.page("/studio/videos").await;
    assert_eq!(status, StatusCode::OK);
    let row = |id: &str| {
        let from = page.find(&format!("id=\"video-{id}\"")).unwrap_or_else(|| panic!("{id} is not listed"));
        page[from..].split("</li>").next().unwrap()
    };
    for (id, words) in [
        ("AAAAAAAAAA1", "Uploading, 0 %"),
        ("AAAAAAAAAA2", "Received"),
        ("AAAAAAAAAA3", "Being made playable"),
        ("AAAAAAAAAA4", "Failed"),
        ("AAAAAAAAAA4", "There is &#60;no&#62; index in the file"),
        ("AAAAAAAAAA4", "POST /api/v1/videos/AAAAAAAAAA4/retry"),
        ("AAAAAAAAAA5", "To be published in 2 h 5 min"),
        ("AAAAAAAAAA6", "Changes wanted"),
        ("AAAAAAAAAA6", "Moderators say: name the music"),
        ("AAAAAAAAAA7", ">Ready<"),
        ("AAAAAAAAAA7", "href=\"/w/AAAAAAAAAA7\""),
        ("AAAAAAAAAA7", "Unlisted"),
        ("AAAAAAAAAA7", "0 views"),
    ] {
        assert!(row(id).contains(words), "{id} does not say {words}: {}", row(id));
    }
    for (id, busy) in [("AAAAAAAAAA1", true), ("AAAAAAAAAA3", true), ("AAAAAAAAAA4", false), ("AAAAAAAAAA7", false)] {
        assert_eq!(row(id).contains("data-busy"), busy, "{id}");
    }
    assert!(!row("AAAAAAAAAA3").contains("href=\"/w/"), "there is nothing to watch yet");
    let places = ["AAAAAAAAAA7", "AAAAAAAAAA1"].map(|id| page.find(&format!("id=\"video-{id}\"")).unwrap());
    assert!(places[0] < places[1], "the newest first");
}

#[tokio::test]
async fn why_a_video_failed_is_told_in_the_readers_language() {
    let app = site().await;
    let words = "the file is damaged or incomplete: it ends early";
    video(&app, "AAAAAAAAAA1", "Broken", VideoState::Failed, words).await;
    video(&app, "AAAAAAAAAA2", "Of another version", VideoState::Failed, "the moon is not full").await;
    let creator = app.browser("cora").await;
    for path in ["/studio/videos", "/studio/videos/AAAAAAAAAA1", "/w/AAAAAAAAAA1"] {
        let (english, chinese) = (creator.page(path).await.2, creator.page(&format!("{path}?lang=zh-CN")).await.2);
        assert!(english.contains("The file is damaged or incomplete: it ends early"), "{path}: {english}");
        assert!(
            chinese.contains("文件已损坏或不完整：提前结束") && !chinese.contains(&words[4..]),
            "{path}: {chinese}"
        );
    }
    assert!(creator.page("/studio/videos?lang=zh-CN").await.2.contains("The moon is not full"), "as it was written");
}

#[tokio::test]
async fn what_is_not_made_of_videos_here_is_said_where_they_are_uploaded() {
    let app = site().await;
    let cookie = app.browser("cora").await.cookie.lock().unwrap().clone().unwrap();
    let cases = [
        (Makes::All, ""),
        (Makes::Pictures, "Other sizes are off on this server: viewers watch what you upload"),
        (Makes::Nothing, "This server has no FFmpeg. Other sizes, pictures and conversions are off"),
    ];
    for (makes, words) in cases {
        let config = UploadConfig { makes, ..uploads(&app._directory) };
        let accounts = app.accounts.clone().with_uploads(config).unwrap();
        let request = Request::get("/studio/videos")
            .header(header::COOKIE, format!("session={cookie}"))
            .extension(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 5000))))
            .body(Body::empty())
            .unwrap();
        let answer = router(NothingLive, accounts, SiteConfig::default()).oneshot(request).await.unwrap();
        let page = answer.into_body().collect().await.unwrap().to_bytes();
        let page = String::from_utf8_lossy(&page);
        assert!(page.contains(words), "{page}");
        let any = ["no FFmpeg", "are off"].iter().any(|words| page.contains(words));
        assert_eq!(any, makes != Makes::All);
    }
}

#[tokio::test]
async fn what_a_video_lacks_is_made_when_its_owner_asks() {
    let app = site().await;
    let made = video(&app, "AAAAAAAAAA1", "A film", VideoState::Ready, "").await;
    let facts = VideoFacts { width: 320, height: 180, duration: 5000, ..VideoFacts::default() };
    app.store.set_video_facts(&made.id, &facts).await.unwrap();
    let cora = app.browser("cora").await;
    let retry = "/api/v1/videos/AAAAAAAAAA1/retry";
    let (_, _, page) = cora.page("/studio/videos/AAAAAAAAAA1").await;
    assert!(page.contains(&format!("POST {retry}")) && page.contains("Make pictures and sizes"), "{page}");
    let api = "/api/v1/videos/AAAAAAAAAA1";
    assert_eq!(cora.send(Method::DELETE, api, &[], None).await.status, StatusCode::OK);
    let (_, _, page) = cora.page("/studio/videos/AAAAAAAAAA1").await;
    assert!(!page.contains(retry), "nothing is made of it in the trash: {page}");
    assert_eq!(code(&cora.post(retry, json!({})).await), "007");
    assert_eq!(cora.post(&format!("{api}/restore"), json!({})).await.status, StatusCode::OK);
    for _ in 0..2 {
        let again = cora.post(retry, json!({})).await;
        assert_eq!((again.status, &again.json["state"]), (StatusCode::OK, &json!("ready")));
        let work = again.json["own"]["work"].as_array().unwrap();
        assert_eq!((work.len(), &work[0]["kind"]), (1, &json!("video.open")), "however often it is pressed");
    }
    let (_, _, page) = cora.page("/studio/videos/AAAAAAAAAA1").await;
    assert!(!page.contains(retry), "it is on its way: {page}");
    let on_its_way = video(&app, "AAAAAAAAAA2", "Another", VideoState::Processing, "").await;
    let path = format!("/api/v1/videos/{}/retry", on_its_way.short_id);
    assert_eq!(code(&cora.post(&path, json!({})).await), "007");
}

#[tokio::test]
async fn what_could_not_be_made_of_a_video_that_plays_is_told_until_it_is_tried_again() {
    let app = site().await;
    video(&app, "AAAAAAAAAA1", "A film", VideoState::Ready, "").await;
    let cora = app.browser("cora").await;
    let work = |kind, size: &str| {
        let payload = json!({ "video": "AAAAAAAAAA1", "name": size }).to_string();
        NewJob::new(kind, payload).about("AAAAAAAAAA1").only(format!("{kind}:{size}"))
    };
    let end = async |work: NewJob, outcome: JobOutcome| {
        app.store.enqueue(&work).await.unwrap();
        let now = At::now();
        let Claim::Job(job) = app.store.claim_job(work.kind, "worker", now, Duration::MINUTE).await.unwrap() else {
            panic!("there is no {}", work.kind);
        };
        assert!(app.store.settle_job(&job.lease(), &outcome).await.unwrap());
    };
    let failed = |why: &str| JobOutcome::Failed(why.to_owned());
    let told = async || {
        let own = cora.get("/api/v1/videos/AAAAAAAAAA1").await.json["own"]["failed_work"].take();
        let words = |work: &Value| (work["kind"].to_string(), work["size"].to_string(), work["error"].to_string());
        own.as_array().unwrap().iter().map(words).collect::<Vec<_>>()
    };
    let said = |kind: &str, size: Value, why: &str| (json!(kind).to_string(), size.to_string(), json!(why).to_string());

    end(work("video.process", ""), JobOutcome::Done).await;
    end(work("video.transcode", "480"), JobOutcome::Done).await;
    end(work("video.transcode", "720"), failed("FFmpeg failed: no space")).await;
    end(work("video.transcode", "720"), failed("its file is not there")).await;
    end(work("video.pictures", ""), failed("its file is not there")).await;
    let both = [
        said("video.pictures", Value::Null, "its file is not there"),
        said("video.transcode", json!("720"), "its file is not there"),
    ];
    assert_eq!(told().await, both, "the last attempt at each");
    for path in ["/studio/videos", "/studio/videos/AAAAAAAAAA1"] {
        let (_, _, page) = cora.page(path).await;
        for words in [
            "720p could not be made: its file is not there",
            "Its pictures could not be made: its file is not there",
            "POST /api/v1/videos/AAAAAAAAAA1/retry",
            "Try again",
        ] {
            assert!(page.contains(words), "{path}: {page}");
        }
        assert!(cora.page(&format!("{path}?lang=zh-CN")).await.2.contains("无法生成 720p：文件不存在"), "{path}");
    }

    end(work("video.pictures", ""), JobOutcome::Done).await;
    assert_eq!(told().await, both[1..], "what was done after all is no failure");
    assert_eq!(cora.post("/api/v1/videos/AAAAAAAAAA1/retry", json!({})).await.status, StatusCode::OK);
    assert_eq!(told().await, [], "it is on its way");
    let (_, _, page) = cora.page("/studio/videos/AAAAAAAAAA1").await;
    assert!(!page.contains("could not be made") && !page.contains("/retry"), "{page}");
    end(work("video.transcode", "720"), failed("its file is not there")).await;
    assert_eq!(told().await, both[1..], "and failed again");
}

#[tokio::test]
async fn the_list_has_pages_that_need_no_script() {
    let app = site().await;
    for number in 0..31 {
        video(&app, &format!("AAAAAAAAA{number:02}"), "One of many", VideoState::Received, "").await;
    }
    let creator = app.browser("cora").await;
    let count = |page: &str| page.matches("class=\"row video\"").count();
    let (_, _, first) = creator.page("/studio/videos").await;
    assert_eq!(count(&first), 30);
    let link = first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (status, _, second) = creator.page(&link).await;
    assert_eq!((status, count(&second)), (StatusCode::OK, 1));
    assert!(!second.contains("rel=\"next\""));
    let (status, ..) = creator.page("/studio/videos?cursor=nonsense").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn only_its_owner_and_moderators_edit_a_video() {
    let app = site().await;
    video(&app, "AAAAAAAAAA1", "Engine <room>", VideoState::Ready, "").await;
    let path = "/studio/videos/AAAAAAAAAA1";
    let (status, _, page) = app.browser("cora").await.page(path).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("value=\"Engine &#60;room&#62;\"") && page.contains("data-version=\""));
    assert_eq!(app.browser("ada").await.page(path).await.0, StatusCode::OK, "who runs the site");
    app.with_role("otto", Role::Creator).await;
    let other = app.browser("otto").await;
    assert_eq!(other.page(path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(other.page("/studio/videos/AAAAAAAAAA9").await.0, StatusCode::NOT_FOUND);
    for path in [path, "/studio/videos", "/studio/trash"] {
        let (status, headers, _) = app.anonymous().page(path).await;
        assert_eq!(
            (status, headers["location"].to_str().unwrap()),
            (StatusCode::SEE_OTHER, &*format!("/login?next={path}"))
        );
    }
    let (_, _, empty) = other.page("/studio/videos").await;
    assert!(empty.contains("you have none yet"), "without a channel there is nowhere to upload to");
}

#[tokio::test]
async fn what_is_deleted_is_in_the_trash_until_it_is_restored() {
    let app = site().await;
    video(&app, "AAAAAAAAAA1", "Engine room", VideoState::Ready, "").await;
    let creator = app.browser("cora").await;
    assert_eq!(creator.delete("/api/v1/videos/AAAAAAAAAA1").await.status, StatusCode::OK);
    let (_, _, list) = creator.page("/studio/videos").await;
    assert!(!list.contains("AAAAAAAAAA1"));
    let (_, _, trash) = creator.page("/studio/trash").await;
    assert!(trash.contains("Engine room") && trash.contains("Deleted for good in "), "{trash}");
    let (_, _, one) = creator.page("/studio/videos/AAAAAAAAAA1").await;
    assert!(one.contains("This video is in the trash") && !one.contains("href=\"/w/"));
    assert_eq!(creator.post("/api/v1/videos/AAAAAAAAAA1/restore", json!(null)).await.status, StatusCode::OK);
    assert!(!creator.page("/studio/trash").await.2.contains("AAAAAAAAAA1"));

    // What a moderator threw away is for moderators to restore; nothing else is offered.
    let (moderator, restore) = (app.browser("ada").await, "/api/v1/videos/AAAAAAAAAA1/restore");
    let gone = moderator.delete("/api/v1/videos/AAAAAAAAAA1").await;
    assert_eq!((gone.status, &gone.json["own"]["kept_by_moderators"]), (StatusCode::OK, &json!(true)));
    for path in ["/studio/trash", "/studio/videos/AAAAAAAAAA1"] {
        let (_, _, page) = creator.page(path).await;
        assert!(page.contains("Put here by a moderator") && !page.contains(restore), "{path}: {page}");
    }
    assert!(moderator.page("/studio/videos/AAAAAAAAAA1").await.2.contains(restore));
    let back = moderator.post(restore, json!(null)).await;
    assert_eq!((back.status, &back.json["own"]["kept_by_moderators"]), (StatusCode::OK, &json!(false)));
    assert!(creator.page("/studio/videos").await.2.contains("video-AAAAAAAAAA1"));
}
