//! Videos in tests: a clip, how it comes to the site, and the work that waits then.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use millrace_jobs::{Config, Registry, Runner};
use millrace_store::Role;
use millrace_transcode::{Ffmpeg, FfmpegConfig, LadderConfig};
use millrace_vod::{Workshop, jobs};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{App, Client};

/// Five seconds of picture and sound that every browser plays, with keyframes each second.
pub(crate) fn clip() -> &'static [u8] {
    static CLIP: OnceLock<Vec<u8>> = OnceLock::new();
    CLIP.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clip.mp4");
        let inputs = "-f lavfi -i testsrc2=s=320x180:r=25 -f lavfi -i sine=440:r=48000 -t 5";
        let coding = "-c:v libx264 -preset ultrafast -g 25 -bf 2 -pix_fmt yuv420p -c:a aac -b:a 64k";
        let arguments = format!("-v error {inputs} {coding}");
        let made = Command::new("ffmpeg").args(arguments.split(' ')).arg(&path).status().unwrap();
        assert!(made.success());
        std::fs::read(path).unwrap()
    })
}

pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Sends what need not be JSON.
pub(crate) async fn send(client: &Client<'_>, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Got {
    let (parts, body) = ask(client, method, path, headers, body).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Got { status: parts.status, headers: parts.headers, body }
}

/// The same, before the answer's body is read.
pub(crate) async fn ask(
    client: &Client<'_>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "video.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(cookie) = &*client.cookie.lock().unwrap() {
        request = request.header(header::COOKIE, format!("session={cookie}"));
    }
    if !body.is_empty() {
        request = request.header(header::CONTENT_LENGTH, body.len());
    }
    let peer: SocketAddr = (client.address, 5000).into();
    let request = request.extension(ConnectInfo(peer)).body(Body::from(body.to_vec())).unwrap();
    client.app.router.clone().oneshot(request).await.unwrap()
}

pub(crate) const TUS: (&str, &str) = ("tus-resumable", "1.0.0");
pub(crate) const STREAM: (&str, &str) = ("content-type", "application/offset+octet-stream");

pub(crate) async fn begin(client: &Client<'_>, length: usize, metadata: &str) -> Got {
    let length = length.to_string();
    let headers = [TUS, ("upload-length", length.as_str()), ("upload-metadata", metadata)];
    send(client, "POST", "/api/v1/uploads", &headers, b"").await
}

pub(crate) async fn patch(client: &Client<'_>, place: &str, offset: usize, bytes: &[u8]) -> Got {
    let offset = offset.to_string();
    send(client, "PATCH", place, &[TUS, STREAM, ("upload-offset", &offset)], bytes).await
}

/// Asks how far an upload is.
pub(crate) async fn head(client: &Client<'_>, place: &str) -> Got {
    send(client, "HEAD", place, &[TUS], b"").await
}

/// Files that are on their way.
pub(crate) fn on_their_way(app: &App) -> usize {
    std::fs::read_dir(app._directory.path().join("uploads")).unwrap().count()
}

/// Uploads a file; the video's id.
pub(crate) async fn upload(client: &Client<'_>, bytes: &[u8], metadata: &str) -> String {
    let begun = begin(client, bytes.len(), metadata).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{:?}", String::from_utf8_lossy(&begun.body));
    let sent = patch(client, begun.header("location"), 0, bytes).await;
    assert_eq!(sent.status, StatusCode::NO_CONTENT, "{:?}", String::from_utf8_lossy(&sent.body));
    begun.header("millrace-video").to_owned()
}

/// `visibility public` and `filename clip.mp4`.
pub(crate) const PUBLIC: &str = "visibility cHVibGlj,filename Y2xpcC5tcDQ=";

/// Does all work that waits, without FFmpeg unless it is given.
pub(crate) async fn work(app: &App, ffmpeg: Option<Arc<Ffmpeg>>) {
    work_with(app, ffmpeg, vec![144]).await;
}

/// The same, with renditions of those heights.
pub(crate) async fn work_with(app: &App, ffmpeg: Option<Arc<Ffmpeg>>, heights: Vec<u32>) {
    let workshop = Workshop {
        store: app.store.clone(),
        vod: app.accounts.vod(),
        ffmpeg,
        ladder: Arc::new(LadderConfig { heights, ..LadderConfig::default() }),
        scratch: app._directory.path().join("scratch"),
        staging: app.accounts.staging(),
    };
    // Timers are left out: each test says what is due.
    let registry = jobs::register(Registry::new(), &workshop);
    Runner::new(app.store.clone(), registry, Config::default()).run_until_idle().await.unwrap();
    app.accounts.store().tell(&millrace_store::Change::Everything).await.unwrap();
}

pub(crate) async fn ffmpeg() -> Option<Arc<Ffmpeg>> {
    Some(Arc::new(Ffmpeg::find(FfmpegConfig::default()).await.unwrap()))
}

/// A site with a creator who has a channel.
pub(crate) async fn site() -> App {
    let app = App::set_up().await;
    tokio::spawn(app.accounts.follow());
    let creator = app.with_role("cora", Role::Creator).await;
    let made = creator.post("/api/v1/channels", json!({ "handle": "engine", "title": "Engine room" })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    app
}

/// The same with a video that everybody may watch.
pub(crate) async fn with_video() -> (App, String) {
    let app = site().await;
    let id = upload(&app.browser("cora").await, clip(), PUBLIC).await;
    work(&app, None).await;
    (app, id)
}
