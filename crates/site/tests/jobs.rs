//! Work in the background, as those who run the site see and steer it.
#![allow(clippy::unwrap_used, missing_docs)]

mod app;

use app::{App, Client, code};
use http::StatusCode;
use millrace_store::{
    At, ChannelId, Claim, Job, JobOutcome, NewJob, NewVideo, Review, Role, Video, VideoState, Visibility,
};
use serde_json::{Value, json};
use time::Duration;

const JOBS: &str = "/api/v1/admin/jobs";

/// A job of a kind about something.
fn job(kind: &'static str, subject: &str) -> NewJob {
    NewJob::new(kind, "{}".to_owned()).about(subject).only(format!("{kind}:{subject}"))
}

/// Takes the job of a kind, as a worker does.
async fn take(app: &App, kind: &str) -> Job {
    match app.store.claim_job(kind, "worker-1", At::now(), Duration::minutes(1)).await.unwrap() {
        Claim::Job(job) => *job,
        other => panic!("{other:?}"),
    }
}

/// A video whose file was received.
async fn video(app: &App, short_id: &str) -> Video {
    let new = NewVideo {
        short_id,
        channel_id: &channel(app).await,
        title: "Night market",
        description: "",
        language: "",
        category: "",
        tags: "[]",
        search_text: "",
        visibility: Visibility::Public,
        password_hash: None,
        publish_at: None,
        review: Review::None,
        file_name: "market.mp4",
    };
    let video = app.store.create_video(&new).await.unwrap();
    app.store.set_video_state(&video.id, VideoState::Received, "").await.unwrap()
}

async fn channel(app: &App) -> ChannelId {
    if let Some(found) = app.store.channel_by_handle("engine").await.unwrap() {
        return found.id;
    }
    let creator = app.with_role("cora", Role::Creator).await;
    let made = creator.post("/api/v1/channels", json!({ "handle": "engine", "title": "Engine room" })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    app.store.channel_by_handle("engine").await.unwrap().unwrap().id
}

async fn listed(client: &Client<'_>, query: &str) -> Vec<Value> {
    let answer = client.get(&format!("{JOBS}{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json);
    answer.json["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn administrators_see_jobs_by_state_and_kind_page_by_page() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    for subject in ["a", "b", "c"] {
        app.store.enqueue(&job("video.pictures", subject)).await.unwrap();
    }
    app.store.enqueue(&job("video.transcode", "d")).await.unwrap();
    let running = take(&app, "video.transcode").await;
    app.store
        .renew_job(&running.lease(), At::now(), At::now().plus(Duration::minutes(1)), Some((420, "making 720p")))
        .await
        .unwrap();
    let shown = &listed(&ada, "?state=running").await[0];
    assert_eq!(
        (&shown["kind"], &shown["subject"], &shown["progress"], &shown["note"], &shown["worker"]),
        (&json!("video.transcode"), &json!("d"), &json!(0.42), &json!("making 720p"), &json!("worker-1"))
    );
    let first = ada.get(&format!("{JOBS}?kind=video.pictures&state=waiting&limit=2")).await.json;
    let subjects = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|job| job["subject"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(subjects(&first), ["c", "b"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = ada.get(&format!("{JOBS}?kind=video.pictures&state=waiting&limit=2&cursor={cursor}")).await.json;
    assert_eq!((subjects(&second), &second["next_cursor"]), (vec!["a".to_owned()], &Value::Null));
    assert_eq!(code(&ada.get(&format!("{JOBS}?state=resting")).await), "001");
    let (_, _, page) = ada.page("/admin/jobs").await;
    assert!(page.contains("making 720p") && page.contains("value=\"42\"") && page.contains("href=\"/w/d\""), "{page}");
    let (_, _, page) = ada.page("/admin/jobs?state=waiting&kind=video.pictures").await;
    assert!(page.contains("href=\"/w/a\"") && !page.contains("href=\"/w/d\""), "{page}");
}

#[tokio::test]
async fn a_job_that_failed_is_done_again_and_its_video_with_it() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    let video = video(&app, "AAAAAAAAAAA").await;
    let id = app.store.enqueue(&job("video.process", "AAAAAAAAAAA")).await.unwrap().unwrap();
    let path = format!("{JOBS}/{id}/retry");
    let taken = take(&app, "video.process").await;
    assert_eq!(code(&ada.post(&path, json!({})).await), "007", "it runs");
    app.store.settle_job(&taken.lease(), &JobOutcome::Failed("the file is no video".to_owned())).await.unwrap();
    app.store.set_video_state(&video.id, VideoState::Failed, "the file is no video").await.unwrap();
    assert_eq!(listed(&ada, "?state=failed").await[0]["error"], "the file is no video");
    let (_, _, page) = ada.page("/admin/jobs").await;
    assert!(page.contains("The file is no video") && page.contains(&format!("data-api=\"POST {path}\"")), "{page}");

    let again = ada.post(&path, json!({})).await;
    assert_eq!((again.status, &again.json["state"]), (StatusCode::OK, &json!("waiting")));
    assert_eq!(app.store.video(&video.id).await.unwrap().unwrap().state, VideoState::Received);
    let log = ada.get("/api/v1/admin/audit?action=retry-job").await.json;
    assert_eq!(
        (&log["items"][0]["subject"], &log["items"][0]["details"]),
        (&json!("AAAAAAAAAAA"), &json!("video.process"))
    );
    let taken = take(&app, "video.process").await;
    app.store.settle_job(&taken.lease(), &JobOutcome::Done).await.unwrap();
    assert_eq!(code(&ada.post(&path, json!({})).await), "007", "it is done");
}

#[tokio::test]
async fn a_job_whose_place_is_taken_is_not_done_twice() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    let id = app.store.enqueue(&job("video.pictures", "a")).await.unwrap().unwrap();
    assert_eq!(ada.post(&format!("{JOBS}/{id}/cancel"), json!({})).await.json["state"], "cancelled");
    app.store.enqueue(&job("video.pictures", "a")).await.unwrap().unwrap();
    assert_eq!(code(&ada.post(&format!("{JOBS}/{id}/retry"), json!({})).await), "007");
}

#[tokio::test]
async fn a_video_whose_work_is_cancelled_before_it_began_says_so() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    let (waits, ready) = (video(&app, "AAAAAAAAAAA").await, video(&app, "BBBBBBBBBBB").await);
    app.store.set_video_state(&ready.id, VideoState::Ready, "").await.unwrap();
    for subject in ["AAAAAAAAAAA", "BBBBBBBBBBB"] {
        let id = app.store.enqueue(&job("video.process", subject)).await.unwrap().unwrap();
        let path = format!("{JOBS}/{id}/cancel");
        assert_eq!(ada.post(&path, json!({})).await.json["state"], "cancelled");
        assert_eq!(code(&ada.post(&path, json!({})).await), "007", "it has ended");
    }
    let waits = app.store.video(&waits.id).await.unwrap().unwrap();
    assert_eq!((waits.state, waits.failure.as_str()), (VideoState::Failed, "its processing was cancelled"));
    assert_eq!(app.store.video(&ready.id).await.unwrap().unwrap().state, VideoState::Ready, "it plays as before");
    assert_eq!(ada.get("/api/v1/admin/audit?action=cancel-job").await.json["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_job_that_runs_is_asked_to_end() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    let id = app.store.enqueue(&job("video.transcode", "a")).await.unwrap().unwrap();
    take(&app, "video.transcode").await;
    let asked = ada.post(&format!("{JOBS}/{id}/cancel"), json!({})).await.json;
    assert_eq!((&asked["state"], &asked["cancelling"]), (&json!("running"), &json!(true)));
}

#[tokio::test]
async fn timers_say_when_they_fire() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    app.store.set_timer("storage.reconcile", "23 4 * * *", At::now().plus(Duration::hours(2))).await.unwrap();
    let timer = &ada.get("/api/v1/admin/timers").await.json["items"][0];
    assert_eq!((&timer["name"], &timer["schedule"]), (&json!("storage.reconcile"), &json!("23 4 * * *")));
    assert_eq!(timer["last_at"], Value::Null);
    let (_, _, page) = ada.page("/admin/jobs").await;
    assert!(page.contains("Check what is stored") && page.contains("in 1 h 59 min"), "{page}");

    // Run now, it is due; and the log knows who wanted that.
    let moderator = app.with_role("tim", Role::Moderator).await;
    let run = "/api/v1/admin/timers/storage.reconcile/run";
    assert_eq!(code(&moderator.post(run, json!({})).await), "005");
    assert_eq!(ada.post(run, json!({})).await.status, StatusCode::OK);
    assert!(app.store.timers().await.unwrap()[0].next_at <= At::now());
    assert_eq!(code(&ada.post("/api/v1/admin/timers/none/run", json!({})).await), "006");
    let log = ada.get("/api/v1/admin/audit?action=run-timer").await.json;
    assert_eq!((&log["items"][0]["subject"], &log["items"][0]["actor"]), (&json!("storage.reconcile"), &json!("ada")));
}

#[tokio::test]
async fn the_storage_page_says_what_is_stored_for_whom() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    let nothing = ada.get("/api/v1/admin/storage").await.json;
    assert_eq!((&nothing["total_bytes"], &nothing["reconciled"]), (&json!(0), &Value::Null));
    let video = video(&app, "AAAAAAAAAAA").await;
    let file = |kind, name: &'static str, object_key: &'static str, size| millrace_store::NewFile {
        kind,
        name,
        object_key,
        size,
        media_type: "video/mp4",
        width: 0,
        height: 0,
        details: "",
    };
    let files = [
        file(millrace_store::FileKind::Original, "", "a", 3 << 20),
        file(millrace_store::FileKind::Rendition, "720", "b", 2 << 20),
        file(millrace_store::FileKind::Rendition, "480", "c", 2 << 20),
    ];
    app.store.put_files(&video.id, &files).await.unwrap();
    app.store.add_garbage("d").await.unwrap();
    app.store.add_garbage_later("e").await.unwrap();
    app.store.enqueue(&job("storage.reconcile", "")).await.unwrap();
    let lease = take(&app, "storage.reconcile").await.lease();
    let until = At::now().plus(Duration::minutes(1));
    app.store.renew_job(&lease, At::now(), until, Some((1000, "5 objects: 0 orphans removed"))).await.unwrap();
    app.store.settle_job(&lease, &JobOutcome::Done).await.unwrap();
    let stored = ada.get("/api/v1/admin/storage").await.json;
    assert_eq!(stored["total_bytes"], 7 << 20);
    assert_eq!(stored["kinds"][0], json!({ "kind": "rendition", "files": 2, "bytes": 4 << 20 }));
    assert_eq!(stored["users"], json!([{ "handle": "cora", "display_name": "cora", "videos": 1, "bytes": 7 << 20 }]));
    assert_eq!(stored["garbage"], 1, "what may still be used does not count");
    assert_eq!(stored["reconciled"]["note"], "5 objects: 0 orphans removed");
    let (_, _, page) = ada.page("/admin/storage").await;
    assert!(
        page.contains("7 MiB")
            && page.contains("2 files")
            && page.contains("5 objects: 0 orphans removed")
            && page.contains("@cora"),
        "{page}"
    );
    assert!(!page.contains("Missing files"));

    app.store.set_missing_files(&["b".to_owned(), "gone since".to_owned()]).await.unwrap();
    let missing = async || ada.get("/api/v1/admin/storage").await.json["missing"].clone();
    let file =
        json!({ "video": "AAAAAAAAAAA", "title": "Night market", "kind": "rendition", "name": "720", "key": "b" });
    assert_eq!(missing().await, json!([file]));
    let (_, _, page) = ada.page("/admin/storage").await;
    assert!(page.contains("Missing files") && page.contains("/studio/videos/AAAAAAAAAAA"), "{page}");
    let cora = app.store.user_by_handle("cora").await.unwrap().unwrap();
    app.store.trash_video(&video.id, &cora.id, At::now()).await.unwrap();
    assert_eq!(missing().await, json!([]), "it was thrown away");
}

#[tokio::test]
async fn nobody_but_administrators_sees_work_and_storage() {
    let app = App::set_up().await;
    let id = app.store.enqueue(&job("video.pictures", "a")).await.unwrap().unwrap();
    let (retry, cancel) = (format!("{JOBS}/{id}/retry"), format!("{JOBS}/{id}/cancel"));
    let max = app.with_role("max", Role::Moderator).await;
    let anonymous = app.anonymous();
    for path in [JOBS, "/api/v1/admin/timers", "/api/v1/admin/storage"] {
        assert_eq!(max.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(anonymous.get(path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in [&retry, &cancel] {
        assert_eq!(max.post(path, json!({})).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(anonymous.post(path, json!({})).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/admin/jobs", "/admin/storage"] {
        assert_eq!(max.page(path).await.0, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(anonymous.page(path).await.0, StatusCode::SEE_OTHER, "{path}");
    }
    let (_, _, page) = max.page("/admin/review").await;
    assert!(page.contains("href=\"/admin/review\"") && !page.contains("href=\"/admin/jobs\""), "{page}");
    let ada = app.browser("ada").await;
    for unknown in ["nothing", "01890a5d-ac96-774b-bcce-b302099a8057"] {
        assert_eq!(code(&ada.post(&format!("{JOBS}/{unknown}/cancel"), json!({})).await), "006", "{unknown}");
    }
}
