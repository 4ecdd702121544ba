//! The site as clients of its API meet it: somebody unknown, a browser with its cookie, a program with its token.
#![allow(dead_code)] // not every test needs every part

pub(crate) mod channels;
pub(crate) mod clips;
pub(crate) mod mailbox;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use millrace_objects::Objects;
use millrace_site::{
    Accounts, LiveSource, LiveState, LiveStream, LiveUrls, LiveVideo, Mail, Makes, SiteConfig, SiteKey, UploadConfig,
    openapi, router,
};
use millrace_store::testing::fresh_store;
use millrace_store::{At, LinkKind, NewLink, Role, Store, UserState};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use tower::ServiceExt;

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) accounts: Accounts,
    pub(crate) store: Store,
    pub(crate) _directory: tempfile::TempDir,
}

pub(crate) struct NothingLive;

impl LiveSource for NothingLive {
    fn on_air(&self) -> Vec<LiveStream> {
        Vec::new()
    }
    fn find(&self, _: &str, _: &str) -> Option<LiveStream> {
        None
    }
}

/// Streams that a test puts on air.
#[derive(Clone, Default)]
pub(crate) struct Stage {
    streams: Arc<Mutex<Vec<LiveStream>>>,
    pub(crate) closing: Arc<AtomicBool>,
}

impl LiveSource for Stage {
    fn on_air(&self) -> Vec<LiveStream> {
        self.streams.lock().unwrap().clone()
    }
    fn find(&self, app: &str, name: &str) -> Option<LiveStream> {
        self.on_air().into_iter().find(|stream| stream.app == app && stream.name == name)
    }
    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}

impl Stage {
    pub(crate) fn set(&self, streams: &[LiveStream]) {
        *self.streams.lock().unwrap() = streams.to_vec();
    }
}

/// A stream of the app `live`; those with longer names came later.
pub(crate) fn stream(name: &str, viewers: u32, kbit_s: u32) -> LiveStream {
    LiveStream {
        app: "live".to_owned(),
        name: name.to_owned(),
        title: None,
        category: None,
        language: None,
        avatar_url: None,
        state: LiveState::Live,
        started_at: OffsetDateTime::UNIX_EPOCH + Duration::hours(name.len().try_into().unwrap()),
        viewers,
        video: Some(LiveVideo {
            codec: "avc1.64001f".to_owned(),
            width: None,
            height: None,
            frame_rate: Some(f64::from(kbit_s)),
            kbit_s,
        }),
        audio: None,
        damaged_frames: 0,
        gop_seconds: None,
        urls: LiveUrls::new("live", name),
    }
}

/// Somebody who asks: keeps the cookie, as a browser does.
pub(crate) struct Client<'a> {
    pub(crate) app: &'a App,
    pub(crate) address: [u8; 4],
    pub(crate) cookie: Mutex<Option<String>>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl App {
    pub(crate) async fn new() -> Self {
        Self::with(NothingLive).await
    }

    /// One with these live streams.
    pub(crate) async fn with(live: impl LiveSource) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = fresh_store(directory.path()).await;
        let accounts = Accounts::new(store.clone(), objects(&directory), &SiteKey::new(), 2);
        let accounts = accounts.with_uploads(uploads(&directory)).unwrap();
        let router = router(live, accounts.clone(), SiteConfig::default());
        Self { router, accounts, store, _directory: directory }
    }

    /// One with an administrator, `ada`.
    pub(crate) async fn set_up() -> Self {
        Self::new().await.with_administrator().await
    }

    /// Makes the administrator, `ada`.
    pub(crate) async fn with_administrator(self) -> Self {
        let app = self;
        let link = app.accounts.setup_link().await.unwrap().unwrap();
        let made = app.anonymous().post("/api/v1/users", registration("ada", Some(token_of(link.expose())))).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
        app
    }

    /// The same site with another configuration.
    pub(crate) fn configured(self, config: SiteConfig) -> Self {
        Self { router: router(NothingLive, self.accounts.clone(), config), ..self }
    }

    /// The same site, which sends mail.
    pub(crate) fn mailing(self, mail: Mail) -> Self {
        let accounts = self.accounts.with_mail(Some(mail));
        Self { router: router(NothingLive, accounts.clone(), SiteConfig::default()), accounts, ..self }
    }

    /// The same site after a restart, with nothing in memory.
    pub(crate) async fn restart(self) -> Self {
        let accounts = Accounts::new(self.store.clone(), objects(&self._directory), &SiteKey::new(), 1);
        let accounts = accounts.with_uploads(uploads(&self._directory)).unwrap();
        accounts.load_settings().await.unwrap();
        Self { router: router(NothingLive, accounts.clone(), SiteConfig::default()), accounts, ..self }
    }

    pub(crate) fn anonymous(&self) -> Client<'_> {
        Client { app: self, address: [10, 0, 0, 1], cookie: Mutex::new(None), headers: Vec::new() }
    }

    /// A browser in which somebody has logged in.
    pub(crate) async fn browser(&self, username: &str) -> Client<'_> {
        let client = self.anonymous();
        let answer = client.log_in(username, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json);
        client
    }

    /// Somebody with that role, logged in.
    pub(crate) async fn with_role(&self, handle: &str, role: Role) -> Client<'_> {
        let token = self.invitation().await;
        let client = self.anonymous();
        let made = client.post("/api/v1/users", registration(handle, Some(&token))).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
        let user = self.store.user_by_handle(handle).await.unwrap().unwrap();
        self.store.set_standing(&user.id, role, UserState::Active).await.unwrap();
        self.browser(handle).await
    }

    /// An invitation's token.
    pub(crate) async fn invitation(&self) -> String {
        let token = "i".repeat(43);
        let new = NewLink {
            kind: LinkKind::Invitation,
            token_hash: Sha256::digest(token.as_bytes()).into(),
            user_id: None,
            created_by: None,
            subject: "",
            expires_at: At::now().plus(Duration::hours(1)),
        };
        self.store.create_link(&new).await.unwrap();
        token
    }
}

impl Client<'_> {
    pub(crate) async fn log_in(&self, username: &str, password: &str) -> Answer {
        self.post("/api/v1/sessions", json!({ "username": username, "password": password })).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, &[], Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], None).await
    }

    /// A page: its status, headers and text.
    pub(crate) async fn page(&self, path: &str) -> (StatusCode, HeaderMap, String) {
        self.framed(path, None, "").await
    }

    /// A page in the place that the browser says, asked for by the page of that address where it says so.
    pub(crate) async fn framed(
        &self,
        path: &str,
        destination: Option<&str>,
        referer: &str,
    ) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::get(path).header(header::HOST, "video.example");
        if let Some(destination) = destination {
            request = request.header("sec-fetch-dest", destination);
        }
        if !referer.is_empty() {
            request = request.header(header::REFERER, referer);
        }
        if let Some(cookie) = &*self.cookie.lock().unwrap() {
            request = request.header(header::COOKIE, format!("lang=en; session={cookie}"));
        }
        let request = request.body(Body::empty()).unwrap();
        let (parts, body) = self.app.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, String::from_utf8(body.into()).unwrap())
    }

    /// Sends, and checks the answer against the document.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut headers = headers.to_vec();
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        self.exchange(method, path, &headers, body.map(|body| body.to_string().into()).unwrap_or_default()).await
    }

    /// Puts a file there.
    pub(crate) async fn upload(&self, path: &str, file: &[u8]) -> Answer {
        self.exchange(Method::PUT, path, &[("content-type", "image/*")], file.to_vec()).await
    }

    async fn exchange(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut request = Request::builder().method(method.clone()).uri(path).header(header::HOST, "video.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(cookie) = &*self.cookie.lock().unwrap() {
            request = request.header(header::COOKIE, format!("lang=en; session={cookie}"));
        }
        let peer: SocketAddr = (self.address, 5000).into();
        let request = request.extension(ConnectInfo(peer)).body(Body::from(body)).unwrap();
        let (parts, body) = self.app.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let set = parts.headers.get(header::SET_COOKIE).and_then(|set| set.to_str().unwrap().strip_prefix("session="));
        if let Some(set) = set {
            let value = set.split(';').next().unwrap();
            *self.cookie.lock().unwrap() = (!value.is_empty()).then(|| value.to_owned());
        }
        let json = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        validate(&method, path, parts.status, &json);
        Answer { status: parts.status, headers: parts.headers, json }
    }
}

/// The pictures of a site whose files are there.
pub(crate) fn objects(directory: &tempfile::TempDir) -> Objects {
    Objects::open("file://objects", directory.path()).unwrap()
}

/// What may be uploaded: files of at most 4 MiB, kept beside those.
pub(crate) fn uploads(directory: &tempfile::TempDir) -> UploadConfig {
    UploadConfig {
        directory: directory.path().join("uploads"),
        max_size: 4 << 20,
        quota: None,
        reserve: 0,
        keep: std::time::Duration::from_secs(3600),
        makes: Makes::All,
    }
}

/// Checks an answer against what the document says of it. Answers of whole layers are described nowhere.
fn validate(method: &Method, path: &str, status: StatusCode, answer: &Value) {
    let document: Value = serde_json::from_str(&openapi()).unwrap();
    let path = path.split('?').next().unwrap();
    let path = template(&document, path);
    let responses = &document["paths"][path][method.as_str().to_lowercase()]["responses"];
    let described = &responses[status.as_str()];
    assert!(described.is_object(), "{method} {path} does not describe {status}: {answer}");
    let Some(content) = described["content"].as_object().and_then(|kinds| kinds.values().next()) else {
        assert_eq!(*answer, Value::Null, "{method} {path} {status}");
        return;
    };
    let mut schema = content["schema"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(answer).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{method} {path} {status}: {errors:?}\n{answer}");
}

/// The path of the document that `path` is one of: that with the fewest parameters.
fn template<'a>(document: &'a Value, path: &str) -> &'a str {
    let parts: Vec<_> = path.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<_> = template.split('/').collect();
        wanted.len() == parts.len() && wanted.iter().zip(&parts).all(|(w, part)| w.starts_with('{') || w == part)
    };
    let paths = document["paths"].as_object().unwrap().keys().filter(|template| fits(template));
    paths.min_by_key(|template| template.matches('{').count()).unwrap_or_else(|| panic!("{path} is not described"))
}

pub(crate) fn registration(handle: &str, token: Option<&str>) -> Value {
    json!({ "handle": handle, "password": PASSWORD, "token": token })
}

pub(crate) fn token_of(link: &str) -> &str {
    link.strip_prefix("/setup?token=").unwrap()
}

pub(crate) fn code(answer: &Answer) -> &str {
    answer.json["error_code"].as_str().unwrap_or_else(|| panic!("{} {}", answer.status, answer.json))
}
