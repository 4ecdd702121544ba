//! The site as a visitor and as an API client get it, over a made-up source of streams.
#![allow(clippy::unwrap_used)]

use std::{fs, path::PathBuf};

use axum::{Router, body::Body};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use millrace_objects::Objects;
use millrace_site::{
    Accounts, Language, LiveAudio, LiveSource, LiveState, LiveStream, LiveUrls, LiveVideo, SiteConfig, SiteKey,
    openapi, router,
};
use millrace_store::testing::fresh_store;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, macros::datetime};
use tower::ServiceExt;

const NOON: OffsetDateTime = datetime!(2026-01-02 12:00 UTC);

// --- API

#[tokio::test]
async fn lists_live_streams_page_by_page() {
    let site = Visit::to(streams(5)).await;
    let mut names = Vec::new();
    let mut path = "/api/v1/live?limit=2".to_owned();
    loop {
        let page = site.api(&path, "/api/v1/live", 200).await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/live?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(names, ["s4", "s3", "s2", "s1", "s0"], "the latest first, each once");
}

#[tokio::test]
async fn lists_live_streams_by_language_category_and_order() {
    let mut all = streams(4);
    for (stream, (title, viewers, language, category)) in all.iter_mut().zip([
        ("b", 5, Some("zh-CN"), Some("music")),
        ("A.", 9, Some("zh"), None),
        ("c", 5, Some("en"), Some("music")),
        ("a", 0, None, None),
    ]) {
        (stream.title, stream.viewers) = (Some(title.to_owned()), viewers);
        (stream.language, stream.category) = (language.map(str::to_owned), category.map(str::to_owned));
    }
    let site = Visit::to(all).await;
    for (query, expected) in [
        ("sort=newest", &["s3", "s2", "s1", "s0"][..]),
        ("sort=viewers", &["s1", "s0", "s2", "s3"]),
        ("sort=name", &["s3", "s1", "s0", "s2"]),
        ("language=ZH", &["s1", "s0"]),
        ("language=zh-cn", &["s0"]),
        ("category=music&sort=name", &["s0", "s2"]),
        ("category=music&language=de", &[]),
    ] {
        for limit in [1, 3, 100] {
            let (mut names, mut cursor) = (Vec::new(), String::new());
            loop {
                let path = format!("/api/v1/live?{query}&limit={limit}{cursor}");
                let page = site.api(&path, "/api/v1/live", 200).await;
                names.extend(
                    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()),
                );
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={}", next.replace(' ', "%20"));
            }
            assert_eq!(names, expected, "{query} {limit}");
        }
    }
    for wrong in ["sort=age", "language=%25", "category=x", "sort=name&cursor=live.s0", "sort=viewers&cursor=live.s0.x"]
    {
        site.api(&format!("/api/v1/live?{wrong}"), "/api/v1/live", 400).await;
    }
}

#[tokio::test]
async fn an_empty_list_is_a_list() {
    let page = Visit::to(vec![]).await.api("/api/v1/live", "/api/v1/live", 200).await;
    assert_eq!(page, json!({ "items": [], "next_cursor": null }));
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let site = Visit::to(streams(1)).await;
    let wrong = [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("cursor=1.x", "cursor")];
    for (query, word) in wrong {
        let problem = site.api(&format!("/api/v1/live?{query}"), "/api/v1/live", 400).await;
        assert_eq!(problem["error_code"], "001");
        assert!(problem["error"].as_str().unwrap().contains(word), "{query}: {problem}");
    }
    site.api("/api/v1/live?limit=100", "/api/v1/live", 200).await;
}

#[tokio::test]
async fn a_size_that_is_not_known_is_not_made_up() {
    let mut stream = stream(0);
    let video = stream.video.as_mut().unwrap();
    (video.width, video.height) = (None, None);
    let site = Visit::to(vec![stream]).await;
    let video = &site.api("/api/v1/live/live/s0", "/api/v1/live/{app}/{name}", 200).await["video"];
    assert_eq!((&video["width"], &video["height"]), (&Value::Null, &Value::Null));
    for path in ["/", "/@s0"] {
        let (_, _, body) = site.get(path, &[]).await;
        assert!(body.contains(r#"<span data-field="quality"></span>"#), "{path}: {body}");
    }
}

#[tokio::test]
async fn describes_one_stream() {
    let stream = Visit::to(streams(1)).await.api("/api/v1/live/live/s0", "/api/v1/live/{app}/{name}", 200).await;
    assert_eq!(
        stream,
        json!({
            "app": "live",
            "name": "s0",
            "title": null,
            "avatar_url": null,
            "category": null,
            "language": null,
            "state": "live",
            "started_at": "2026-01-02T12:00:00Z",
            "viewers": 1,
            "video": { "codec": "avc1.64001f", "width": 1280, "height": 720, "frame_rate": 30.0, "kbit_s": 2000 },
            "audio": { "codec": "mp4a.40.2", "sample_rate": 48000, "channels": 2, "kbit_s": 128 },
            "damaged_frames": 0,
            "gop_seconds": 2.0,
            "urls": {
                "page": "/@s0",
                "thumbnail": "/live/s0.jpg",
                "flv": "/live/s0.flv",
                "hls": "/live/s0.m3u8",
            },
        })
    );
}

#[tokio::test]
async fn an_unknown_stream_is_a_problem_with_a_code() {
    let site = Visit::to(streams(1)).await;
    for path in ["/api/v1/live/live/nobody", "/api/v1/live/live/%2e%2e", "/api/v1/live/live/S0"] {
        let problem = site.api(path, "/api/v1/live/{app}/{name}", 404).await;
        assert_eq!(problem["error_code"], "006", "{path}");
        assert_eq!(problem["status"], 404);
    }
}

#[tokio::test]
async fn the_api_answers_problems_for_what_it_does_not_know() {
    let site = Visit::to(vec![]).await;
    for path in ["/api/v1/nothing", "/api/v2", "/api/"] {
        let (status, headers, body) = site.get(path, &[]).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json", "{path}");
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["error_code"], "006");
    }
    let request = Request::delete("/api/v1/live").body(Body::empty()).unwrap();
    let (status, headers, _) = site.send(request).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
}

#[tokio::test]
async fn the_site_tells_where_to_publish() {
    let site = Visit::to(vec![]).await;
    let (_, _, body) = site.get("/api/v1/site", &[("host", "video.example:8080")]).await;
    let info: Value = serde_json::from_str(&body).unwrap();
    validate(&info, "/api/v1/site", 200);
    assert_eq!(info["rtmp"]["url"], "rtmp://video.example:1935/live");
    assert_eq!(info["languages"], json!(["en", "zh-CN"]));
    // A header that could mislead is not believed.
    let (_, _, body) = site.get("/api/v1/site", &[("host", "a\"><script>")]).await;
    assert!(body.contains("rtmp://localhost:1935/live"), "{body}");
}

#[tokio::test]
async fn a_public_url_beats_the_host_header() {
    let config = SiteConfig { public_url: Some("https://tv.example".to_owned()), ..SiteConfig::default() };
    let site = Visit::of(Made(streams(1)), config).await;
    let (_, _, body) = site.get("/@s0", &[("host", "10.0.0.1:8080")]).await;
    assert!(body.contains(r#"<link rel="canonical" href="https://tv.example/@s0">"#));
    assert!(body.replace("<wbr>", "").contains("rtmp://tv.example:1935/live/s0"));
    assert!(!body.contains("10.0.0.1"));
}

#[tokio::test]
async fn the_description_is_as_committed() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&path, openapi()).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == openapi(), "docs/openapi.json is out of date: run the tests once with UPDATE_OPENAPI=1");
    let (status, _, served) = Visit::to(vec![]).await.get("/api/openapi.json", &[]).await;
    assert_eq!((status, served), (StatusCode::OK, committed));
    assert_eq!(description()["openapi"].as_str().unwrap().split('.').take(2).collect::<Vec<_>>(), ["3", "1"]);
}

// --- Pages

#[tokio::test]
async fn home_shows_what_is_on_air() {
    let (status, _, body) = Visit::to(streams(2)).await.get("/", &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.find("data-stream=\"live/s1\"").unwrap() < body.find("data-stream=\"live/s0\"").unwrap());
    assert!(body.contains("href=\"/@s1\""));
    assert!(body.contains("src=\"/live/s1.jpg\""));
}

#[tokio::test]
async fn an_empty_home_tells_how_to_go_live() {
    let (_, _, body) = Visit::to(vec![]).await.get("/", &[("host", "[::1]:8080")]).await;
    assert!(body.contains("Nobody is live yet"));
    assert!(body.replace("<wbr>", "").contains("<code data-copy-text>rtmp://[::1]:1935/live</code>"));
}

#[tokio::test]
async fn a_channel_brings_what_its_player_needs() {
    let site = Visit::to(streams(1)).await;
    let (_, _, body) = site.get("/@s0", &[]).await;
    assert!(body.contains("data-state=\"connecting\""));
    assert!(body.contains("avc1.64001f"));
    assert!(
        body.contains(r#"data-label="Live video of s0""#)
            && body.contains("<code>http://localhost/live/s0.m3u8</code>")
    );
    assert!(body.contains(r#"<meta property="og:image" content="http://localhost/live/s0.jpg">"#));
    let (status, _, body) = site.get("/@offline", &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("data-state=\"offline\""));
    assert!(body.contains("data-last-on=\"2026-01-01T12:00:00Z\""));
    assert!(body.contains(r#"<meta name="robots" content="noindex">"#));
}

#[tokio::test]
async fn a_stream_of_another_app_has_its_page() {
    let mut other = stream(0);
    other.app = "stage".to_owned();
    other.urls = LiveUrls::new("stage", "s0");
    let site = Visit::to(vec![other]).await;
    let (_, _, body) = site.get("/", &[]).await;
    assert!(body.contains("href=\"/@s0?app=stage\""));
    let (_, _, body) = site.get("/@s0?app=stage", &[]).await;
    assert!(body.contains("data-app=\"stage\""));
    assert!(body.contains("data-state=\"connecting\""));
}

#[tokio::test]
async fn names_that_cannot_be_are_not_found() {
    let site = Visit::to(vec![]).await;
    let long = format!("/@{}", "a".repeat(65));
    for path in ["/@A", "/@%3Cscript%3E", "/@a.b", long.as_str(), "/@a?app=%2e%2e", "/embed/@A", "/no/such/page", "/@"]
    {
        let (status, headers, body) = site.get(path, &[]).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        assert!(body.contains("There is nothing here"), "{path}");
        assert!(!body.contains("<script>"), "{path}");
    }
}

#[tokio::test]
async fn speaks_the_language_of_the_visitor() {
    let site = Visit::to(vec![]).await;
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(&str, Headers, &str); 6] = [
        ("/", &[], "en"),
        ("/", &[("accept-language", "zh-CN,zh;q=0.9,en;q=0.8")], "zh-CN"),
        ("/", &[("accept-language", "fr")], "en"),
        ("/", &[("accept-language", "zh"), ("cookie", "a=b; lang=en")], "en"),
        ("/?lang=zh-CN", &[("cookie", "lang=en")], "zh-CN"),
        ("/?lang=tlh", &[("cookie", "lang=zh-CN")], "zh-CN"),
    ];
    for (path, headers, language) in cases {
        let (_, _, body) = site.get(path, headers).await;
        assert!(body.contains(&format!("<html lang=\"{language}\"")), "{path} {headers:?}");
    }
    let config = SiteConfig { default_language: Language::ZhCn, ..SiteConfig::default() };
    let (_, _, body) = Visit::of(Made(vec![]), config).await.get("/", &[]).await;
    assert!(body.contains("<html lang=\"zh-CN\""));
}

#[tokio::test]
async fn choices_are_kept_and_lead_back_to_the_same_page() {
    let site = Visit::to(vec![]).await;
    let (_, headers, body) = site.get("/@x?app=stage&lang=zh-CN&theme=dark", &[]).await;
    let cookies: Vec<_> = headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(cookies.len(), 2);
    assert!(cookies[0].starts_with("lang=zh-CN; Path=/; ") && cookies[1].starts_with("theme=dark; Path=/; "));
    assert!(body.contains("data-theme=\"dark\""));
    assert!(body.contains("href=\"/@x?app=stage&#38;lang=en\""), "the switch keeps the rest of the query");
    let (_, headers, _) = site.get("/?lang=tlh&theme=%0d%0aSet-Cookie:a=b", &[]).await;
    assert!(!headers.contains_key(header::SET_COOKIE));
}

#[tokio::test]
async fn the_name_of_the_site_is_text() {
    let config = SiteConfig { name: "<b>Tom & \"Co\"</b>".to_owned(), ..SiteConfig::default() };
    let (_, _, body) = Visit::of(Made(vec![]), config).await.get("/", &[]).await;
    assert!(!body.contains("<b>Tom"));
}

// --- Headers

#[tokio::test]
async fn every_answer_carries_the_headers_that_protect_its_reader() {
    let site = Visit::to(streams(1)).await;
    for path in ["/", "/@s0", "/embed/@s0", "/nothing", "/api/v1/live", "/api/v1/nothing", "/about"] {
        let (_, headers, body) = site.get(path, &[]).await;
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}");
        let framed = path.starts_with("/embed/");
        assert_eq!(policy.ends_with("frame-ancestors *"), framed, "{path}");
        assert_eq!(headers.contains_key(header::X_FRAME_OPTIONS), !framed, "{path}");
        let player = framed || path.starts_with("/@");
        assert_eq!(policy.contains("unsafe-inline"), player, "{path}: only for the player's styles");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[header::REFERRER_POLICY], "strict-origin-when-cross-origin");
        assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
        let vary: Vec<_> = headers.get_all(header::VARY).iter().map(|v| v.to_str().unwrap()).collect();
        assert!(vary.iter().any(|v| v.contains("accept-language")), "{path}: {vary:?}");
        for script in body.split("<script").skip(1) {
            let tag = script.split('>').next().unwrap();
            assert!(tag.contains("src=") || tag.contains("application/json"), "{path}: inline script");
        }
        assert!(!body.contains(" style=") && !body.contains(" onclick="), "{path}: inline style or handler");
    }
}

#[tokio::test]
async fn text_is_compressed_where_that_is_understood() {
    let site = Visit::to(streams(3)).await;
    let (_, headers, _) = site.get("/", &[("accept-encoding", "gzip")]).await;
    assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
    let (_, headers, _) = site.get("/", &[("accept-encoding", "br, gzip")]).await;
    assert_eq!(headers[header::CONTENT_ENCODING], "br");
    let (_, headers, _) = site.get("/", &[]).await;
    assert!(!headers.contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn a_handler_that_breaks_is_explained() {
    let site = Visit::of(Broken, SiteConfig::default()).await;
    let (status, headers, body) = site.get("/", &[]).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(body.contains("Something broke on our side"));
    assert!(headers.contains_key(header::CONTENT_SECURITY_POLICY));
    let problem = site.api("/api/v1/live", "/api/v1/live", 500).await;
    assert_eq!(problem["error_code"], "004");
}

#[tokio::test]
async fn missing_assets_are_not_cached() {
    let site = Visit::to(vec![]).await;
    for path in ["/assets/nothing.js", "/assets/../package.json", "/assets/%2e%2e/package.json"] {
        let (status, headers, _) = site.get(path, &[]).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store", "{path}");
    }
}

// --- Support

struct Visit {
    router: Router,
    /// Holds the database.
    _directory: tempfile::TempDir,
}

impl Visit {
    async fn to(streams: Vec<LiveStream>) -> Self {
        Self::of(Made(streams), SiteConfig::default()).await
    }

    async fn of(live: impl LiveSource, config: SiteConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = fresh_store(directory.path()).await;
        let objects = Objects::open("file://objects", directory.path()).unwrap();
        Self { router: router(live, Accounts::new(store, objects, &SiteKey::new(), 1), config), _directory: directory }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, String::from_utf8_lossy(&body).into_owned())
    }

    /// The JSON answer of an operation, checked against its schema.
    async fn api(&self, path: &str, operation: &str, status: u16) -> Value {
        let (got, _, body) = self.get(path, &[]).await;
        assert_eq!(got.as_u16(), status, "{path}: {body}");
        let answer = serde_json::from_str(&body).unwrap();
        validate(&answer, operation, status);
        answer
    }
}

/// Checks an answer against the schema that the OpenAPI document gives for it.
fn validate(answer: &Value, operation: &str, status: u16) {
    let document = description();
    let contents = &document["paths"][operation]["get"]["responses"][status.to_string()]["content"];
    let content = contents.as_object().and_then(|kinds| kinds.values().next());
    let mut schema = content.unwrap_or_else(|| panic!("{operation} does not describe {status}"))["schema"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(answer).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{operation} {status}: {errors:?}\n{answer}");
}

fn description() -> Value {
    serde_json::from_str(&openapi()).unwrap()
}

fn streams(count: u32) -> Vec<LiveStream> {
    (0..count).map(stream).collect()
}

fn stream(index: u32) -> LiveStream {
    let name = format!("s{index}");
    LiveStream {
        app: "live".to_owned(),
        title: None,
        category: None,
        language: None,
        avatar_url: None,
        state: LiveState::Live,
        started_at: NOON + Duration::minutes(index.into()) + Duration::nanoseconds(7),
        viewers: 1,
        video: Some(LiveVideo {
            codec: "avc1.64001f".to_owned(),
            width: Some(1280),
            height: Some(720),
            frame_rate: Some(30.0),
            kbit_s: 2_000,
        }),
        audio: Some(LiveAudio { codec: "mp4a.40.2".to_owned(), sample_rate: 48_000, channels: 2, kbit_s: 128 }),
        damaged_frames: 0,
        gop_seconds: Some(2.0),
        urls: LiveUrls::new("live", &name),
        name,
    }
}

struct Made(Vec<LiveStream>);

impl LiveSource for Made {
    fn on_air(&self) -> Vec<LiveStream> {
        self.0.clone()
    }

    fn find(&self, app: &str, name: &str) -> Option<LiveStream> {
        self.0.iter().find(|stream| stream.app == app && stream.name == name).cloned()
    }

    fn last_on_air(&self, _: &str, _: &str) -> Option<OffsetDateTime> {
        Some(NOON - Duration::days(1))
    }
}

struct Broken;

impl LiveSource for Broken {
    fn on_air(&self) -> Vec<LiveStream> {
        panic!("broken on purpose")
    }

    fn find(&self, _: &str, _: &str) -> Option<LiveStream> {
        panic!("broken on purpose")
    }
}
