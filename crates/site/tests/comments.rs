//! Comments as those who write, read and keep order meet them: by the API and on the page.
#![allow(clippy::unwrap_used, missing_docs)]

mod app;

use app::{Answer, App, Client, code};
use http::{Method, StatusCode};
use millrace_store::{NewVideo, PageRequest, Review, Role, UserState, VideoState, Visibility};
use serde_json::{Value, json};

const VIDEO: &str = "aaaaaaaaaaa";
const COMMENTS: &str = "/api/v1/videos/aaaaaaaaaaa/comments";

/// A site with the administrator `ada`, and the video of a creator, `eve`, in her browser.
async fn site() -> App {
    App::set_up().await
}

async fn creator(app: &App) -> Client<'_> {
    let client = app.with_role("eve", Role::Creator).await;
    let made = client.post("/api/v1/channels", json!({ "handle": "engine", "title": "Engine room" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
    video(app, VIDEO, Visibility::Public).await;
    client
}

async fn video(app: &App, short_id: &str, visibility: Visibility) {
    let channel = app.store.channel_by_handle("engine").await.unwrap().unwrap();
    let new = NewVideo {
        short_id,
        channel_id: &channel.id,
        title: "A video",
        description: "",
        language: "",
        category: "",
        tags: "[]",
        search_text: "a video",
        visibility,
        password_hash: None,
        publish_at: None,
        review: Review::None,
        file_name: "",
    };
    let made = app.store.create_video(&new).await.unwrap();
    app.store.set_video_state(&made.id, VideoState::Ready, "").await.unwrap();
}

async fn say(client: &Client<'_>, text: &str) -> String {
    reply(client, Value::Null, text).await
}

async fn reply(client: &Client<'_>, parent: impl Into<Value>, text: &str) -> String {
    let made = client.post(COMMENTS, json!({ "text": text, "parent": parent.into() })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
    made.json["id"].as_str().unwrap().to_owned()
}

fn texts(answer: &Answer) -> Vec<&str> {
    answer.json["items"].as_array().unwrap().iter().map(|item| item["text"].as_str().unwrap()).collect()
}

fn of(id: &str, rest: &str) -> String {
    format!("/api/v1/comments/{id}{rest}")
}

async fn put(client: &Client<'_>, path: &str) -> Answer {
    client.send(Method::PUT, path, &[], None).await
}

#[tokio::test]
async fn viewers_talk_below_a_video() {
    let app = site().await;
    let (creator, viewer) = (creator(&app).await, app.with_role("vic", Role::Viewer).await);
    let first = say(&viewer, " First!\nOn two lines ").await;
    let second = say(&creator, "Second").await;
    for n in 0..4 {
        reply(&creator, &*first, &format!("reply {n}")).await;
    }
    let all = app.anonymous().get(&format!("{COMMENTS}?sort=oldest&limit=1")).await;
    assert_eq!(texts(&all), ["First!\nOn two lines"]);
    assert_eq!((&all.json["count"], &all.json["items"][0]["replies"]), (&json!(6), &json!(4)));
    let replies = all.json["items"][0]["first_replies"].as_array().unwrap();
    assert_eq!(replies.iter().map(|reply| &reply["text"]).collect::<Vec<_>>(), ["reply 0", "reply 1", "reply 2"]);
    assert_eq!(replies[0]["author"]["owner"], true);
    assert_eq!(all.json["items"][0]["author"]["handle"], "vic");
    let next = all.json["next_cursor"].as_str().unwrap();
    let rest = app.anonymous().get(&format!("{COMMENTS}?sort=oldest&limit=1&cursor={next}")).await;
    assert_eq!((texts(&rest), &rest.json["next_cursor"]), (vec!["Second"], &Value::Null));
    let page = app.anonymous().get(&of(&first, "/replies?limit=3")).await;
    let next = page.json["next_cursor"].as_str().unwrap();
    assert_eq!(texts(&app.anonymous().get(&of(&first, &format!("/replies?cursor={next}"))).await), ["reply 3"]);

    for _ in 0..2 {
        let liked = put(&viewer, &of(&second, "/like")).await;
        assert_eq!((&liked.json["likes"], &liked.json["liked"]), (&json!(1), &json!(true)));
    }
    assert_eq!(texts(&app.anonymous().get(COMMENTS).await), ["Second", "First!\nOn two lines"]);
    assert_eq!(viewer.delete(&of(&second, "/like")).await.json["likes"], 0);
    assert_eq!(creator.get(&format!("/api/v1/videos/{VIDEO}")).await.json["comments"], 6);

    let unknown = app.anonymous().post(COMMENTS, json!({ "text": "hello" })).await;
    assert_eq!(code(&unknown), "002");
    for bad in ["", " \n", &"a".repeat(2001), "bell\u{7}", &"http://a.example ".repeat(4)] {
        assert_eq!(code(&viewer.post(COMMENTS, json!({ "text": bad })).await), "001", "{bad}");
    }
    let replies = viewer.get(&of(&first, "/replies")).await;
    let deep = json!({ "text": "third level", "parent": replies.json["items"][0]["id"] });
    assert_eq!(code(&viewer.post(COMMENTS, deep).await), "006");
    assert_eq!(code(&viewer.post(COMMENTS, json!({ "text": "lost", "parent": "none" })).await), "006");
    assert_eq!(code(&viewer.get("/api/v1/comments/none/replies").await), "006");
}

#[tokio::test]
async fn who_may_change_and_delete_a_comment() {
    let app = site().await;
    let (creator, viewer) = (creator(&app).await, app.with_role("vic", Role::Viewer).await);
    let (other, moderator) = (app.with_role("oli", Role::Creator).await, app.with_role("mod", Role::Moderator).await);
    let id = say(&viewer, "Frist").await;
    for stranger in [&creator, &other, &moderator] {
        assert_eq!(code(&stranger.patch(&of(&id, ""), json!({ "text": "mine" })).await), "005");
    }
    let changed = viewer.patch(&of(&id, ""), json!({ "text": "First" })).await;
    assert!(changed.json["text"] == "First" && changed.json["edited_at"].is_string(), "{}", changed.json);
    assert_eq!(code(&other.delete(&of(&id, "")).await), "005");
    assert_eq!(code(&app.anonymous().delete(&of(&id, "")).await), "002");
    reply(&creator, &*id, "kept").await;
    assert_eq!(viewer.delete(&of(&id, "")).await.status, StatusCode::NO_CONTENT);
    let left = app.anonymous().get(COMMENTS).await.json;
    let place = &left["items"][0];
    assert_eq!((&place["deleted"], &place["author"], &place["text"]), (&json!(true), &Value::Null, &json!("")));
    assert_eq!((&left["count"], &place["first_replies"][0]["text"]), (&json!(1), &json!("kept")));
    assert_eq!(code(&viewer.delete(&of(&id, "")).await), "005", "it is nobody's now");

    for (keeper, logged) in [(&creator, false), (&moderator, true)] {
        let id = say(&viewer, "rude").await;
        assert_eq!(keeper.delete(&of(&id, "")).await.status, StatusCode::NO_CONTENT);
        let log = app.store.audit_log(&PageRequest { limit: 100, after: None }).await.unwrap().items;
        let entry = log.iter().find(|entry| entry.action == "delete-comment");
        assert_eq!(
            entry.map(|entry| (&*entry.actor, &*entry.subject, &*entry.details)),
            logged.then_some(("mod", VIDEO, "vic"))
        );
    }
}

#[tokio::test]
async fn one_comment_stands_above_the_others() {
    let app = site().await;
    let (creator, viewer) = (creator(&app).await, app.with_role("vic", Role::Viewer).await);
    let (first, second) = (say(&viewer, "first").await, say(&viewer, "second").await);
    let under = reply(&viewer, &*first, "reply").await;
    say(&viewer, "third").await;
    assert_eq!(code(&put(&viewer, &of(&first, "/pin")).await), "005");
    assert_eq!(code(&put(&creator, &of(&under, "/pin")).await), "007");
    for id in [&second, &first] {
        assert_eq!(put(&creator, &of(id, "/pin")).await.status, StatusCode::NO_CONTENT);
    }
    let page = viewer.get(&format!("{COMMENTS}?sort=newest&limit=1")).await;
    assert_eq!((texts(&page), &page.json["items"][0]["pinned"]), (vec!["first", "third"], &json!(true)));
    let next = page.json["next_cursor"].as_str().unwrap();
    assert_eq!(texts(&viewer.get(&format!("{COMMENTS}?sort=newest&cursor={next}")).await), ["second"]);
    assert_eq!(creator.delete(&of(&first, "/pin")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(texts(&viewer.get(&format!("{COMMENTS}?sort=newest")).await), ["third", "second", "first"]);
}

#[tokio::test]
async fn links_of_new_accounts_wait_for_the_owner() {
    let app = site().await;
    let (creator, viewer) = (creator(&app).await, app.with_role("vic", Role::Viewer).await);
    let spam = viewer.post(COMMENTS, json!({ "text": "see https://spam.example/" })).await;
    assert_eq!((spam.status, &spam.json["held"]), (StatusCode::CREATED, &json!(true)));
    let id = spam.json["id"].as_str().unwrap();
    assert!(texts(&app.anonymous().get(COMMENTS).await).is_empty());
    assert_eq!(texts(&viewer.get(COMMENTS).await), ["see https://spam.example/"], "its author sees it");
    assert_eq!(code(&app.anonymous().get(&of(id, "/replies")).await), "006");
    let held = format!("{COMMENTS}/held");
    assert_eq!(code(&viewer.get(&held).await), "005");
    assert_eq!(code(&viewer.send(Method::POST, &of(id, "/approve"), &[], None).await), "005");
    assert_eq!(texts(&creator.get(&held).await), ["see https://spam.example/"]);
    let approved = creator.send(Method::POST, &of(id, "/approve"), &[], None).await;
    assert_eq!((approved.status, &approved.json["held"]), (StatusCode::OK, &json!(false)));
    assert!(texts(&creator.get(&held).await).is_empty());
    assert_eq!(app.anonymous().get(COMMENTS).await.json["count"], 1);

    // What everybody sees gets no links behind their back; those that were approved may stay.
    let plain = say(&viewer, "no links").await;
    assert_eq!(code(&viewer.patch(&of(&plain, ""), json!({ "text": "https://spam.example/" })).await), "005");
    let kept = viewer.patch(&of(id, ""), json!({ "text": "do see https://spam.example/" })).await;
    assert_eq!((kept.status, &kept.json["held"]), (StatusCode::OK, &json!(false)));
    assert_eq!(creator.post(COMMENTS, json!({ "text": "https://mine.example/" })).await.json["held"], false);
}

#[tokio::test]
async fn what_waits_is_listed_for_owners_and_moderators_over_all_videos() {
    let app = site().await;
    let (creator, viewer) = (creator(&app).await, app.with_role("vic", Role::Viewer).await);
    let (moderator, other) = (app.with_role("mia", Role::Moderator).await, app.with_role("otto", Role::Creator).await);
    video(&app, "bbbbbbbbbbb", Visibility::Private).await;
    video(&app, "ccccccccccc", Visibility::Public).await;
    let mut ids = Vec::new();
    for (video, words) in [(VIDEO, "one http://a.example"), ("ccccccccccc", "two http://b.example")] {
        let path = format!("/api/v1/videos/{video}/comments");
        let made = viewer.post(&path, json!({ "text": words })).await;
        assert_eq!(made.json["held"], true, "{}", made.json);
        ids.push(made.json["id"].as_str().unwrap().to_owned());
    }
    let (own, all) = ("/api/v1/users/me/held-comments", "/api/v1/admin/held-comments");
    assert_eq!((code(&viewer.get(own).await), code(&creator.get(all).await)), ("005", "005"));
    assert_eq!(other.get(own).await.json, json!({ "items": [], "next_cursor": null, "count": 0 }));
    for (client, path) in [(&creator, own), (&moderator, all)] {
        let first = client.get(&format!("{path}?limit=1")).await;
        assert_eq!((texts(&first), &first.json["count"]), (vec!["one http://a.example"], &json!(2)));
        let item = &first.json["items"][0];
        assert_eq!((&item["video"], &item["video_title"]), (&json!(VIDEO), &json!("A video")));
        assert_eq!((&item["author"]["handle"], &item["held"]), (&json!("vic"), &json!(true)));
        let next = first.json["next_cursor"].as_str().unwrap();
        let second = client.get(&format!("{path}?limit=1&cursor={next}")).await;
        assert_eq!((texts(&second), &second.json["next_cursor"]), (vec!["two http://b.example"], &Value::Null));
    }

    // By pages as well, wherever in the studio one is.
    let badge = "<span class=\"badge badge-attention\">2</span>";
    assert!(creator.page("/studio/videos").await.2.contains(badge));
    for (client, path) in [(&creator, "/studio/comments"), (&moderator, "/admin/review")] {
        let (status, _, page) = client.page(path).await;
        assert!(status == StatusCode::OK && page.contains("2 comments wait for approval"), "{page}");
        for words in ["http://a.example", "href=\"/w/ccccccccccc\"", &format!("POST {}", of(&ids[0], "/approve"))] {
            assert!(page.contains(words), "{path} lacks {words}: {page}");
        }
    }
    assert_eq!(viewer.page("/studio/comments").await.0, StatusCode::FORBIDDEN);

    assert_eq!(moderator.send(Method::POST, &of(&ids[0], "/approve"), &[], None).await.status, StatusCode::OK);
    assert_eq!(creator.delete(&of(&ids[1], "")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(creator.get(own).await.json["count"], 0);
    let (_, _, page) = creator.page("/studio/comments").await;
    assert!(page.contains("No comment waits for you") && !page.contains("badge-attention"), "{page}");
    assert!(moderator.page("/admin/review").await.2.contains("No comment waits for approval"));
}

#[tokio::test]
async fn who_may_not_watch_does_not_read_or_write() {
    let app = site().await;
    let (creator, viewer) = (creator(&app).await, app.with_role("vic", Role::Viewer).await);
    let own = say(&viewer, "seen").await;
    let other = say(&creator, "seen as well").await;
    let version = creator.get(&format!("/api/v1/videos/{VIDEO}")).await.json["version"].as_i64().unwrap();
    let tag = format!("\"{version}\"");
    let path = format!("/api/v1/videos/{VIDEO}");
    let hidden =
        creator.send(Method::PATCH, &path, &[("if-match", &tag)], Some(json!({ "visibility": "private" }))).await;
    assert_eq!(hidden.status, StatusCode::OK, "{}", hidden.json);
    for refused in [
        viewer.get(COMMENTS).await,
        viewer.post(COMMENTS, json!({ "text": "hello" })).await,
        viewer.get(&of(&other, "/replies")).await,
        viewer.patch(&of(&own, ""), json!({ "text": "changed" })).await,
        put(&viewer, &of(&other, "/like")).await,
        viewer.delete(&of(&other, "")).await,
    ] {
        assert_eq!((refused.status, code(&refused)), (StatusCode::NOT_FOUND, "006"), "{}", refused.json);
    }
    assert_eq!(viewer.page(&format!("/w/{VIDEO}/comments")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(viewer.delete(&of(&own, "")).await.status, StatusCode::NO_CONTENT, "what they said is theirs");
    assert_eq!(texts(&creator.get(COMMENTS).await), ["seen as well"]);
}

#[tokio::test]
async fn closed_comments_are_read_and_not_written() {
    let app = site().await;
    let creator = creator(&app).await;
    let id = say(&creator, "before").await;
    let path = format!("/api/v1/videos/{VIDEO}");
    let change = json!({ "comments_open": false });
    assert_eq!(creator.send(Method::PATCH, &path, &[("if-match", "\"1\"")], Some(change)).await.status, StatusCode::OK);
    assert_eq!(code(&creator.post(COMMENTS, json!({ "text": "after" })).await), "005");
    assert_eq!(code(&creator.patch(&of(&id, ""), json!({ "text": "after" })).await), "005");
    assert_eq!(texts(&app.anonymous().get(COMMENTS).await), ["before"]);
    let (_, _, page) = creator.page(&format!("/w/{VIDEO}/comments")).await;
    assert!(page.contains("Comments on this video are closed.") && !page.contains("data-act=\"write\""), "{page}");
}

#[tokio::test]
async fn a_flood_is_dammed() {
    let app = site().await;
    let (_creator, viewer) = (creator(&app).await, app.with_role("vic", Role::Viewer).await);
    for n in 0..10 {
        say(&viewer, &format!("{n}")).await;
    }
    let refused = viewer.post(COMMENTS, json!({ "text": "eleven" })).await;
    assert_eq!((refused.status, code(&refused)), (StatusCode::TOO_MANY_REQUESTS, "009"));
    assert!(refused.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn the_page_reads_without_scripts() {
    let app = site().await;
    let (creator, viewer) = (creator(&app).await, app.with_role("vic", Role::Viewer).await);
    let id = say(&viewer, "<b>bold</b> at 1:02 & https://example.org/a?b=c&d.\nnext line").await;
    creator.send(Method::POST, &of(&id, "/approve"), &[], None).await;
    for n in 0..4 {
        reply(&creator, &*id, &format!("reply {n}")).await;
    }
    let path = format!("/w/{VIDEO}/comments");
    let (status, _, page) = app.anonymous().page(&path).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("&lt;b&gt;bold&lt;/b&gt; at ") && !page.contains("<b>bold"), "{page}");
    assert!(page.contains(&format!(r#"<a class="link" href="/w/{VIDEO}?t=62" data-seek="62">1:02</a>"#)), "{page}");
    assert!(page.contains(r#"rel="nofollow ugc noopener" target="_blank" href="https://example.org/a?b=c&amp;d">"#));
    assert!(page.contains("5 comments") && page.contains("reply 2") && !page.contains("reply 3"));
    assert!(page.contains("Log in to comment") && !page.contains("<form"));
    let more = page.split("href=\"").find(|part| part.contains("data-replies-more")).unwrap();
    let more = more.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&");
    let query = more.split_once('?').unwrap().1.trim_end_matches("#comments");
    let (_, _, page) = app.anonymous().page(&format!("{path}?{query}")).await;
    assert!(page.contains("reply 3") && !page.contains("reply 2"), "{page}");

    let (_, _, page) = viewer.page(&path).await;
    let acts = |page: &str, act: &str| page.matches(&format!("data-act=\"{act}\"")).count();
    assert_eq!(["write", "edit", "delete", "pin"].map(|act| acts(&page, act)), [1, 1, 1, 0]);
    let (_, _, page) = creator.page(&path).await;
    assert_eq!(["write", "edit", "delete", "pin"].map(|act| acts(&page, act)), [1, 3, 4, 1]);
    let held = viewer.post(COMMENTS, json!({ "text": "https://spam.example/" })).await;
    let (_, _, page) = creator.page(&path).await;
    assert!(page.contains("1 comment waits for approval") && acts(&page, "approve") == 1, "{page}");
    for (client, seen) in [(&viewer, true), (&creator, true), (&app.anonymous(), false)] {
        let (_, _, page) = client.page(&format!("{path}?thread={}", held.json["id"].as_str().unwrap())).await;
        assert_eq!(page.contains("spam.example"), seen);
    }
}

#[tokio::test]
async fn what_a_deleted_account_said_is_gone() {
    let app = site().await;
    let (creator, viewer) = (creator(&app).await, app.with_role("vic", Role::Viewer).await);
    let id = say(&viewer, "mine").await;
    reply(&creator, &*id, "kept").await;
    let user = app.store.user_by_handle("vic").await.unwrap().unwrap();
    app.store.set_standing(&user.id, Role::Viewer, UserState::Active).await.unwrap();
    app.store.delete_user(&user.id).await.unwrap();
    let left = creator.get(COMMENTS).await.json;
    assert_eq!((&left["count"], &left["items"][0]["deleted"]), (&json!(1), &json!(true)));
}
