//! What moderators decide on videos, and what viewers report to them.
#![allow(clippy::unwrap_used, missing_docs)]

mod app;

use app::{Answer, App, Client, code};
use http::{Method, StatusCode, header};
use millrace_store::{NewVideo, Review, Role, Video, VideoState, Visibility};
use serde_json::{Value, json};

const REVIEW: &str = "/api/v1/admin/review";
const REPORTS: &str = "/api/v1/admin/reports";
const ONE: &str = "AAAAAAAAAAA";
const TWO: &str = "BBBBBBBBBBB";

/// A site with a creator, who has a channel.
async fn site() -> App {
    let app = App::set_up().await;
    let creator = app.with_role("cora", Role::Creator).await;
    let made = creator.post("/api/v1/channels", json!({ "handle": "engine", "title": "Engine room" })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    app
}

/// A video of that creator, which is ready.
async fn video(app: &App, short_id: &str, review: Review) -> Video {
    let channel = app.store.channel_by_handle("engine").await.unwrap().unwrap();
    let new = NewVideo {
        short_id,
        channel_id: &channel.id,
        title: "Night <market>",
        description: "Lanterns & boats",
        language: "",
        category: "",
        tags: "[]",
        search_text: "",
        visibility: Visibility::Public,
        password_hash: None,
        publish_at: None,
        review,
        file_name: "market.mp4",
    };
    let video = app.store.create_video(&new).await.unwrap();
    app.store.set_video_state(&video.id, VideoState::Ready, "").await.unwrap()
}

async fn decide(client: &Client<'_>, id: &str, decision: &str, reason: &str, version: i64) -> Answer {
    let body = json!({ "decision": decision, "reason": reason, "version": version });
    client.post(&format!("{REVIEW}/{id}"), body).await
}

async fn report(client: &Client<'_>, id: &str, reason: &str, words: &str) -> Answer {
    client.post(&format!("/api/v1/videos/{id}/reports"), json!({ "reason": reason, "words": words })).await
}

fn ids(answer: &Answer) -> Vec<&str> {
    answer.json["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn moderators_see_the_trash_of_all_and_restore_from_it() {
    let app = site().await;
    let (cora, mia) = (app.browser("cora").await, app.with_role("mia", Role::Moderator).await);
    for id in [ONE, TWO] {
        video(&app, id, Review::None).await;
    }
    assert_eq!(cora.delete(&format!("/api/v1/videos/{ONE}")).await.status, StatusCode::OK);
    assert_eq!(mia.delete(&format!("/api/v1/videos/{TWO}")).await.status, StatusCode::OK);
    let trash = "/api/v1/admin/trash";
    assert_eq!(code(&cora.get(trash).await), "005");
    let all = mia.get(trash).await;
    let says = |id: &str, key: &str| {
        let items = all.json["items"].as_array().unwrap();
        items.iter().find(|item| item["id"] == id).unwrap()[key].clone()
    };
    assert_eq!((says(ONE, "trashed_by"), says(ONE, "by_owner")), (json!("cora"), json!(true)));
    assert_eq!((says(TWO, "trashed_by"), says(TWO, "by_owner")), (json!("mia"), json!(false)));
    assert_eq!((says(TWO, "title"), says(TWO, "channel")), (json!("Night <market>"), json!("engine")));
    let first = mia.get(&format!("{trash}?limit=1")).await;
    let next = first.json["next_cursor"].as_str().unwrap();
    let second = mia.get(&format!("{trash}?limit=1&cursor={next}")).await;
    assert_eq!([ids(&first), ids(&second)].concat(), ids(&all));

    let (_, _, page) = mia.page("/admin/trash").await;
    for words in [
        "by its owner",
        "by @mia",
        "Engine room",
        "Night &#60;market&#62;",
        "Deleted for good in ",
        "POST /api/v1/videos/BBBBBBBBBBB/restore",
    ] {
        assert!(page.contains(words), "{words} is not there: {page}");
    }
    assert_eq!(cora.page("/admin/trash").await.0, StatusCode::FORBIDDEN);
    for id in [ONE, TWO] {
        assert_eq!(mia.post(&format!("/api/v1/videos/{id}/restore"), json!(null)).await.status, StatusCode::OK);
    }
    assert!(mia.page("/admin/trash").await.2.contains("The trash is empty"));
}

async fn status_for_others(app: &App, id: &str) -> StatusCode {
    app.anonymous().get(&format!("/api/v1/videos/{id}")).await.status
}

// --- Review

#[tokio::test]
async fn a_video_waits_until_a_moderator_approves_it() {
    let app = site().await;
    let max = app.with_role("max", Role::Moderator).await;
    let waiting = video(&app, ONE, Review::Pending).await;
    video(&app, TWO, Review::None).await;
    assert_eq!(status_for_others(&app, ONE).await, StatusCode::NOT_FOUND);
    assert_eq!(ids(&max.get(REVIEW).await), [ONE]);
    let (_, _, page) = max.page("/admin/review").await;
    assert!(page.contains("Night &#60;market&#62;") && page.contains("Lanterns &#38; boats"), "{page}");
    assert!(page.contains("href=\"/w/AAAAAAAAAAA\"") && page.contains("href=\"/@engine\""), "{page}");
    assert!(page.contains("waiting for ") && page.contains("Public"), "{page}");
    assert!(page.contains("badge-attention\">1<"), "the way there says that one waits: {page}");

    let approved = decide(&max, ONE, "approve", "", waiting.version).await;
    assert_eq!((approved.status, &approved.json["own"]["review"]), (StatusCode::OK, &json!("approved")));
    assert_eq!(status_for_others(&app, ONE).await, StatusCode::OK, "at once");
    assert!(ids(&max.get(REVIEW).await).is_empty());
    let log = app.browser("ada").await.get("/api/v1/admin/audit?action=review-video").await.json;
    let entry = &log["items"][0];
    assert_eq!(
        (&entry["actor"], &entry["subject"], &entry["details"]),
        (&json!("max"), &json!(ONE), &json!("approve"))
    );
}

#[tokio::test]
async fn the_owner_reads_why_changes_it_and_it_waits_anew() {
    let app = site().await;
    let (max, cora) = (app.with_role("max", Role::Moderator).await, app.browser("cora").await);
    let waiting = video(&app, ONE, Review::Pending).await;
    assert_eq!(code(&decide(&max, ONE, "changes", "  ", waiting.version).await), "001", "without a reason");
    assert_eq!(code(&decide(&max, ONE, "changes", &"x".repeat(1001), waiting.version).await), "001");
    assert_eq!(decide(&max, ONE, "changes", "Name the singer.", waiting.version).await.status, StatusCode::OK);
    assert!(ids(&max.get(REVIEW).await).is_empty());
    let path = format!("/api/v1/videos/{ONE}");
    let own = cora.get(&path).await;
    assert_eq!(
        (&own.json["own"]["review"], &own.json["own"]["review_reason"]),
        (&json!("changes"), &json!("Name the singer."))
    );
    let tag = own.headers[header::ETAG].to_str().unwrap();
    let change = Some(json!({ "description": "Sung by Lin" }));
    assert_eq!(cora.send(Method::PATCH, &path, &[("if-match", tag)], change).await.status, StatusCode::OK);
    assert_eq!(ids(&max.get(REVIEW).await), [ONE]);
}

#[tokio::test]
async fn what_was_changed_meanwhile_is_looked_at_again() {
    let app = site().await;
    let max = app.with_role("max", Role::Moderator).await;
    let waiting = video(&app, ONE, Review::Pending).await;
    assert_eq!(code(&decide(&max, ONE, "approve", "", waiting.version + 1).await), "007");
    assert_eq!(status_for_others(&app, ONE).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_video_that_is_out_is_rejected_at_once() {
    let app = site().await;
    let max = app.with_role("max", Role::Moderator).await;
    let out = video(&app, ONE, Review::None).await;
    assert_eq!(status_for_others(&app, ONE).await, StatusCode::OK);
    assert_eq!(decide(&max, ONE, "reject", "Not here.", out.version).await.status, StatusCode::OK);
    assert_eq!(status_for_others(&app, ONE).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn moderators_decide_on_the_page_of_a_video_as_well() {
    let app = site().await;
    let (max, vera) = (app.with_role("max", Role::Moderator).await, app.with_role("vera", Role::Viewer).await);
    let out = video(&app, ONE, Review::None).await;
    let (path, forms) = (format!("/w/{ONE}"), format!("{REVIEW}/{ONE}"));
    let approves = r#"name="decision" value="approve""#;
    let (_, _, page) = max.page(&path).await;
    assert!(page.contains("Not reviewed") && page.contains(&forms) && !page.contains(approves), "{page}");
    for client in [&vera, &app.browser("cora").await, &app.anonymous()] {
        let (status, _, page) = client.page(&path).await;
        assert_eq!((status, page.contains(&forms)), (StatusCode::OK, false), "it is for moderators");
    }
    let rejected = decide(&max, ONE, "reject", "Not here.", out.version).await;
    let (_, _, page) = max.page(&path).await;
    assert!(page.contains(">Rejected<") && page.contains("Not here.") && page.contains(approves), "{page}");
    let version = rejected.json["version"].as_i64().unwrap();
    assert!(page.contains(&format!(r#"name="version" value="{version}""#)), "of what is looked at: {page}");
    assert_eq!(decide(&max, ONE, "approve", "", version).await.status, StatusCode::OK);
    assert_eq!(status_for_others(&app, ONE).await, StatusCode::OK, "after all");
    assert_eq!(max.delete(&format!("/api/v1/videos/{ONE}")).await.status, StatusCode::OK);
    assert!(!max.page(&path).await.2.contains(&forms), "in the trash there is nothing to decide");
}

#[tokio::test]
async fn what_nobody_can_have_watched_is_not_approved() {
    let app = site().await;
    let max = app.with_role("max", Role::Moderator).await;
    let waiting = video(&app, ONE, Review::Pending).await;
    for state in [VideoState::Uploading, VideoState::Received, VideoState::Processing, VideoState::Failed] {
        app.store.set_video_state(&waiting.id, state, "").await.unwrap();
        assert!(ids(&max.get(REVIEW).await).is_empty(), "{state:?}");
        assert_eq!(code(&decide(&max, ONE, "approve", "", waiting.version).await), "007", "{state:?}");
    }
}

#[tokio::test]
async fn only_moderators_decide() {
    let app = site().await;
    let (cora, vera) = (app.browser("cora").await, app.with_role("vera", Role::Viewer).await);
    let waiting = video(&app, ONE, Review::Pending).await;
    for client in [&cora, &vera] {
        assert_eq!(client.get(REVIEW).await.status, StatusCode::FORBIDDEN);
        assert_eq!(client.get(REPORTS).await.status, StatusCode::FORBIDDEN);
        assert_eq!(decide(client, ONE, "approve", "", waiting.version).await.status, StatusCode::FORBIDDEN);
        assert_eq!(client.post(&format!("{REPORTS}/{ONE}/close"), json!({})).await.status, StatusCode::FORBIDDEN);
        assert_eq!(client.page("/admin/review").await.0, StatusCode::FORBIDDEN);
    }
    assert_eq!(app.anonymous().get(REVIEW).await.status, StatusCode::UNAUTHORIZED);
    let max = app.with_role("max", Role::Moderator).await;
    assert_eq!(code(&decide(&max, TWO, "approve", "", 1).await), "006", "there is no such video");
}

#[tokio::test]
async fn administrators_say_whose_videos_wait() {
    let app = site().await;
    let ada = app.browser("ada").await;
    let read = ada.get("/api/v1/admin/settings").await;
    let tag = read.headers[header::ETAG].to_str().unwrap();
    let change = Some(json!({ "review": "new" }));
    let changed = ada.send(Method::PATCH, "/api/v1/admin/settings", &[("if-match", tag)], change).await;
    assert_eq!(changed.json["review"], "new");
    let log = ada.get("/api/v1/admin/audit?action=change-settings").await.json;
    assert_eq!(log["items"][0]["details"], "review=new");
    let (_, _, page) = ada.page("/admin/settings").await;
    assert!(page.contains("<option value=\"new\" selected>"), "{page}");
}

// --- Reports

#[tokio::test]
async fn what_viewers_report_moderators_see_and_close() {
    let app = site().await;
    video(&app, ONE, Review::None).await;
    let (vera, max) = (app.with_role("vera", Role::Viewer).await, app.with_role("max", Role::Moderator).await);
    let path = format!("POST /api/v1/videos/{ONE}/reports");
    assert!(vera.page(&format!("/w/{ONE}")).await.2.contains(&path));
    assert!(!app.browser("cora").await.page(&format!("/w/{ONE}")).await.2.contains(&path), "not the own one");
    let (_, _, page) = app.anonymous().page(&format!("/w/{ONE}")).await;
    assert!(!page.contains(&path) && page.contains(&format!("/login?next=/w/{ONE}")), "{page}");
    assert_eq!(report(&vera, ONE, "spam", "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(report(&vera, ONE, "rights", "It is <mine>.").await.status, StatusCode::NO_CONTENT);
    assert_eq!(report(&app.browser("cora").await, ONE, "abuse", "").await.status, StatusCode::NO_CONTENT);
    let reports = max.get(REPORTS).await.json;
    let said: Vec<[&Value; 3]> =
        reports["items"].as_array().unwrap().iter().map(|r| [&r["reporter"], &r["reason"], &r["words"]]).collect();
    assert_eq!(
        said,
        [[&json!("vera"), &json!("rights"), &json!("It is <mine>.")], [&json!("cora"), &json!("abuse"), &json!("")]],
        "the latest of each account"
    );
    let (_, _, page) = max.page("/admin/review").await;
    assert!(page.contains("It is &#60;mine&#62;.") && page.contains("It belongs to somebody else"), "{page}");
    assert_eq!(page.matches(&format!("POST {REPORTS}/{ONE}/close")).count(), 1, "video by video");

    let closed = max.post(&format!("{REPORTS}/{ONE}/close"), json!({})).await;
    assert_eq!((closed.status, &closed.json["closed"]), (StatusCode::OK, &json!(2)));
    assert_eq!(max.get(REPORTS).await.json["items"], json!([]));
    assert_eq!(max.post(&format!("{REPORTS}/{ONE}/close"), json!({})).await.json["closed"], 0);
    let log = app.browser("ada").await.get("/api/v1/admin/audit?action=close-reports").await.json;
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "what changes nothing is not noted");
}

#[tokio::test]
async fn a_video_in_the_trash_needs_no_decision() {
    let app = site().await;
    video(&app, ONE, Review::Pending).await;
    video(&app, TWO, Review::None).await;
    let max = app.with_role("max", Role::Moderator).await;
    report(&max, TWO, "spam", "").await;
    for id in [ONE, TWO] {
        assert_eq!(max.delete(&format!("/api/v1/videos/{id}")).await.status, StatusCode::OK);
    }
    assert!(ids(&max.get(REVIEW).await).is_empty() && ids(&max.get(REPORTS).await).is_empty());
    assert!(!max.page("/admin/review").await.2.contains("badge-attention"));
    max.post(&format!("/api/v1/videos/{TWO}/restore"), json!({})).await;
    assert_eq!(max.get(REPORTS).await.json["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_may_not_watch_a_video_does_not_report_it() {
    let app = site().await;
    video(&app, ONE, Review::Pending).await;
    video(&app, TWO, Review::None).await;
    let vera = app.with_role("vera", Role::Viewer).await;
    assert_eq!(report(&vera, ONE, "spam", "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(report(&app.anonymous(), TWO, "spam", "").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(code(&report(&vera, TWO, "dull", "").await), "001");
    assert_eq!(code(&report(&vera, TWO, "other", " ").await), "001", "other than what");
    assert_eq!(code(&report(&vera, TWO, "other", &"x".repeat(1001)).await), "001");
    for _ in 0..20 {
        assert_eq!(report(&vera, TWO, "other", &"x".repeat(1000)).await.status, StatusCode::NO_CONTENT);
    }
    let often = report(&vera, TWO, "spam", "").await;
    assert_eq!(often.status, StatusCode::TOO_MANY_REQUESTS);
}

// --- All videos of an account

#[tokio::test]
async fn all_videos_of_an_account_go_and_come_back() {
    let app = site().await;
    video(&app, ONE, Review::None).await;
    video(&app, TWO, Review::None).await;
    let (max, cora) = (app.with_role("max", Role::Moderator).await, app.browser("cora").await);
    let path = "/api/v1/admin/users/cora/videos";
    assert_eq!(status_for_others(&app, ONE).await, StatusCode::OK);
    let trashed = max.delete(path).await;
    assert_eq!((trashed.status, &trashed.json["videos"]), (StatusCode::OK, &json!(2)));
    for id in [ONE, TWO] {
        assert_eq!(status_for_others(&app, id).await, StatusCode::NOT_FOUND, "at once");
        let restored = cora.post(&format!("/api/v1/videos/{id}/restore"), json!({})).await;
        assert_eq!(restored.status, StatusCode::FORBIDDEN, "what a moderator took away");
    }
    assert_eq!(max.delete(path).await.json["videos"], 0);
    let restored = max.post(&format!("{path}/restore"), json!({})).await;
    assert_eq!((restored.status, &restored.json["videos"]), (StatusCode::OK, &json!(2)));
    assert_eq!(status_for_others(&app, TWO).await, StatusCode::OK);
    let ada = app.browser("ada").await;
    for action in ["trash-video", "restore-video"] {
        let log = ada.get(&format!("/api/v1/admin/audit?action={action}")).await.json;
        let entries = log["items"].as_array().unwrap();
        assert_eq!((entries.len(), &entries[0]["subject"]), (1, &json!("cora")), "{action}");
        assert_eq!(entries[0]["details"], "videos=2");
    }
    let (_, _, page) = max.page("/admin/users/cora").await;
    assert!(page.contains("DELETE /api/v1/admin/users/cora/videos"), "{page}");
}

#[tokio::test]
async fn moderators_have_no_say_over_the_videos_of_their_own_kind() {
    let app = site().await;
    let max = app.with_role("max", Role::Moderator).await;
    let cora = app.browser("cora").await;
    let videos = |handle: &str| format!("/api/v1/admin/users/{handle}/videos");
    assert_eq!(max.delete(&videos("ada")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(max.post(&format!("{}/restore", videos("ada")), json!({})).await.status, StatusCode::FORBIDDEN);
    assert_eq!(cora.delete(&videos("cora")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(max.delete(&videos("nobody")).await.status, StatusCode::NOT_FOUND);
}
