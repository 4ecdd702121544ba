//! What is told to those who listen.
#![allow(clippy::unwrap_used)]

mod app;

use std::sync::atomic::Ordering::Relaxed;

use axum::body::{Body, Bytes};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use millrace_store::Role;
use serde_json::{Value, json};
use tower::ServiceExt;

use app::{App, Stage, stream};

/// One who listens.
struct Listener(Body);

impl Listener {
    async fn to(app: &App, query: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(format!("/api/v1/events{query}")).header(header::HOST, "video.example");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = app.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/event-stream");
        Self(answer.into_body())
    }

    /// The next event as it is sent, without comments; `None` at the end.
    async fn bytes(&mut self) -> Option<Bytes> {
        loop {
            let bytes = self.0.frame().await?.unwrap().into_data().unwrap();
            if bytes.starts_with(b"event:") {
                return Some(bytes);
            }
        }
    }

    /// Kind, id and data of the next event.
    async fn event(&mut self) -> (String, String, Value) {
        let text = String::from_utf8(self.bytes().await.unwrap().to_vec()).unwrap();
        let lines: Vec<_> = text.trim_end().lines().collect();
        let field = |n: usize, name: &str| lines[n].strip_prefix(name).unwrap().to_owned();
        assert_eq!(lines.len(), 3);
        (field(0, "event: "), field(1, "id: "), serde_json::from_str(&field(2, "data: ")).unwrap())
    }
}

async fn on_stage() -> (App, Stage) {
    let stage = Stage::default();
    (App::with(stage.clone()).await.with_administrator().await, stage)
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn whoever_listens_is_told_all_and_then_what_changes() {
    let (app, stage) = on_stage().await;
    stage.set(&[stream("one", 1, 0), stream("three", 3, 0)]);
    let mut listener = Listener::to(&app, "", None).await;
    let (kind, _, list) = listener.event().await;
    assert_eq!((kind.as_str(), names(&list["items"])), ("list", vec!["three", "one"]), "the latest first");

    // That its rate is another is nothing to tell of: the next event is that of the viewers.
    stage.set(&[stream("one", 1, 900), stream("three", 3, 0)]);
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    stage.set(&[stream("one", 1, 900), stream("three", 4, 0)]);
    let (kind, _, change) = listener.event().await;
    assert_eq!((kind.as_str(), names(&change["changed"]), &change["gone"]), ("change", vec!["three"], &json!([])));
    assert_eq!(change["changed"][0]["viewers"], 4);

    stage.set(&[stream("one", 1, 0), stream("seven", 0, 0)]);
    let (_, _, change) = listener.event().await;
    assert_eq!((names(&change["changed"]), &change["gone"]), (vec!["seven"], &json!(["live/three"])));
}

#[tokio::test]
async fn events_are_made_once_for_all() {
    let (app, stage) = on_stage().await;
    let (mut first, mut second) = (Listener::to(&app, "", None).await, Listener::to(&app, "", None).await);
    let mut same = async || {
        let (first, second) = (first.bytes().await.unwrap(), second.bytes().await.unwrap());
        assert_eq!(first.as_ptr(), second.as_ptr());
    };
    same().await;
    stage.set(&[stream("one", 1, 0)]);
    same().await;
}

#[tokio::test]
async fn one_stream_is_told_of_when_it_comes_changes_and_goes() {
    let (app, stage) = on_stage().await;
    let mut listener = Listener::to(&app, "?stream=live%2Fone", None).await;
    assert_eq!(listener.event().await.2, Value::Null);
    stage.set(&[stream("one", 1, 0), stream("other", 1, 0)]);
    assert_eq!(listener.event().await.2["viewers"], 1);
    stage.set(&[stream("one", 1, 0), stream("other", 2, 0)]);
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    stage.set(&[stream("one", 5, 0), stream("other", 2, 0)]);
    assert_eq!(listener.event().await.2["viewers"], 5, "that of the other is none of its own");
    stage.set(&[]);
    assert_eq!(listener.event().await.2, Value::Null);
}

#[tokio::test]
async fn who_comes_back_and_missed_nothing_is_told_what_is_new() {
    let (app, stage) = on_stage().await;
    stage.set(&[stream("one", 1, 0)]);
    let mut stays = Listener::to(&app, "", None).await;
    let (_, id, _) = stays.event().await;
    let mut back = Listener::to(&app, "", Some(&id)).await;
    let mut stale = Listener::to(&app, "", Some("1-1")).await;
    assert_eq!(stale.event().await.0, "list", "of another process");
    stage.set(&[stream("one", 2, 0)]);
    for listener in [&mut stays, &mut back, &mut stale] {
        assert_eq!(listener.event().await.0, "change");
    }
    // Nobody listens for a while, and then everything is told again.
    let (_, id, _) = {
        drop((stays, back, stale));
        Listener::to(&app, "", None).await.event().await
    };
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    stage.set(&[stream("one", 3, 0)]);
    assert_eq!(Listener::to(&app, "", Some(&id)).await.event().await.2["items"][0]["viewers"], 3);
}

#[tokio::test]
async fn what_is_not_for_everybody_is_told_to_nobody_else() {
    let (app, stage) = on_stage().await;
    stage.set(&[stream("engine", 1, 0), stream("open", 1, 0)]);
    let creator = app.with_role("cleo", Role::Creator).await;
    let made = creator.post("/api/v1/channels", json!({ "handle": "engine", "title": "Engine" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
    let etag = made.headers[header::ETAG].to_str().unwrap();
    let mut listener = Listener::to(&app, "", None).await;
    let mut watcher = Listener::to(&app, "?stream=live/engine", None).await;
    assert_eq!(names(&listener.event().await.2["items"]), ["engine", "open"]);
    assert_eq!(watcher.event().await.2["title"], "Engine");

    let path = "/api/v1/channels/engine";
    let private =
        creator.send(http::Method::PATCH, path, &[("if-match", etag)], Some(json!({ "visibility": "private" }))).await;
    assert_eq!(private.status, StatusCode::OK, "{}", private.json);
    assert_eq!(listener.event().await.2["gone"], json!(["live/engine"]));
    assert!(watcher.bytes().await.is_none(), "they have to ask for leave again");
    let refused = app.anonymous().get("/api/v1/events?stream=live/engine").await;
    assert_eq!((refused.status, app::code(&refused)), (StatusCode::FORBIDDEN, "005"));
}

#[tokio::test]
async fn what_is_no_stream_is_refused() {
    let (app, _) = on_stage().await;
    for wrong in ["engine", "live/", "live/a/b", "LIVE/a", ""] {
        let refused = app.anonymous().get(&format!("/api/v1/events?stream={wrong}")).await;
        assert_eq!((refused.status, app::code(&refused)), (StatusCode::BAD_REQUEST, "001"), "{wrong}");
    }
}

#[tokio::test]
async fn a_server_that_stops_lets_its_listeners_go_and_takes_no_more() {
    let (app, stage) = on_stage().await;
    let mut listener = Listener::to(&app, "", None).await;
    assert_eq!(listener.event().await.0, "list");
    stage.closing.store(true, Relaxed);
    assert!(listener.bytes().await.is_none());
    let refused = app.anonymous().get("/api/v1/events").await;
    assert_eq!((refused.status, app::code(&refused)), (StatusCode::SERVICE_UNAVAILABLE, "010"));
    assert_eq!(refused.headers[header::RETRY_AFTER], "10");
}

#[tokio::test]
async fn so_many_listen_and_no_more() {
    let (app, _) = on_stage().await;
    let mut listeners = Vec::new();
    for _ in 0..10_000 {
        listeners.push(Listener::to(&app, "", None).await);
    }
    let refused = app.anonymous().get("/api/v1/events").await;
    assert_eq!((refused.status, app::code(&refused)), (StatusCode::SERVICE_UNAVAILABLE, "010"));
    listeners.pop();
    Listener::to(&app, "", None).await;
}
