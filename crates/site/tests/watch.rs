//! Pages of videos: who sees what, and what is made of what people wrote.
#![allow(clippy::unwrap_used, missing_docs)]

mod app;

use app::{App, Client};
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use millrace_store::{
    At, Channel, ChannelChange, FileKind, NewFile, NewVideo, Review, Role, VideoChange, VideoFacts, VideoState,
    Visibility,
};
use serde_json::{Value, json};
use time::Duration;
use tower::ServiceExt;

/// A site with a creator and her channel. Videos are put there ready, without files, which no page looks into.
struct Site {
    app: App,
    channel: Channel,
}

impl Site {
    async fn new() -> Self {
        let app = App::set_up().await;
        let creator = app.with_role("cora", Role::Creator).await;
        let made = creator.post("/api/v1/channels", json!({ "handle": "engine", "title": "Engine room" })).await;
        assert_eq!(made.status, StatusCode::CREATED);
        drop(creator);
        let channel = app.store.channel_by_handle("engine").await.unwrap().unwrap();
        Self { app, channel }
    }

    fn new_video<'a>(&'a self, short_id: &'a str, title: &'a str) -> NewVideo<'a> {
        NewVideo {
            short_id,
            channel_id: &self.channel.id,
            title,
            description: "",
            language: "",
            category: "",
            tags: "[]",
            search_text: "",
            visibility: Visibility::Public,
            password_hash: None,
            publish_at: None,
            review: Review::None,
            file_name: "video.mp4",
        }
    }

    async fn put(&self, new: &NewVideo<'_>) {
        let video = self.app.store.create_video(new).await.unwrap();
        let facts =
            VideoFacts { duration: 3_723_000, width: 1280, height: 720, frame_rate: 25_000, ..VideoFacts::default() };
        self.app.store.set_video_facts(&video.id, &facts).await.unwrap();
        self.app.store.set_video_state(&video.id, VideoState::Ready, "").await.unwrap();
    }

    async fn change(&self, short_id: &str, change: &VideoChange<'_>) {
        let video = self.app.store.video_by_short_id(short_id).await.unwrap().unwrap().video;
        self.app.store.update_video(&video.id, video.version, change).await.unwrap();
    }
}

/// A page as a browser with these cookies, besides that of the session, gets it.
async fn with_cookies(client: &Client<'_>, path: &str, cookies: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(path).header(header::HOST, "video.example").header(header::COOKIE, cookies);
    let answer = client.app.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.into()).unwrap())
}

fn kept(headers: &HeaderMap) -> &str {
    headers[header::CACHE_CONTROL].to_str().unwrap()
}

fn policy(headers: &HeaderMap) -> &str {
    headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap()
}

const ID: &str = "aaaaaaaaaaa";

#[tokio::test]
async fn everybody_sees_a_public_video_with_all_that_is_said_of_it() {
    let site = Site::new().await;
    let description = "First line\n\n0:00 intro 1:02:03 the end https://example.org/a?b=1&c=2";
    let tags = r#"["river","水车"]"#;
    let new = NewVideo { description, tags, category: "travel", ..site.new_video(ID, "The mill 水车") };
    site.put(&new).await;
    let (status, headers, page) = site.app.anonymous().page(&format!("/w/{ID}")).await;
    assert_eq!((status, kept(&headers)), (StatusCode::OK, "no-cache"));
    assert!(policy(&headers).ends_with("frame-ancestors 'none'"), "{}", policy(&headers));
    for part in [
        "<title>The mill 水车 · ",
        r#"<meta name="description" content="First line">"#,
        r#"<meta property="og:type" content="video.other">"#,
        r#"<meta property="og:video" content="http://video.example/embed/aaaaaaaaaaa">"#,
        r#"<meta property="og:video:height" content="720">"#,
        r#"<meta property="video:duration" content="3723">"#,
        r#"<link rel="canonical" href="http://video.example/w/aaaaaaaaaaa">"#,
        // Without JavaScript the file plays.
        r#"<video controls playsinline preload="metadata" src="/videos/aaaaaaaaaaa">"#,
        r#"href="/w/aaaaaaaaaaa?t=3723" data-seek="3723">1:02:03</a>"#,
        r#"rel="nofollow ugc noopener" target="_blank" href="https://example.org/a?b=1&amp;c=2""#,
        r#"href="/@engine""#,
        r#"href="/browse/travel""#,
        "#水车",
        "0 views",
        "just now",
        // Who likes it has to log in, and comes back.
        r#"href="/login?next=/w/aaaaaaaaaaa""#,
        "Log in to report it",
        "&lt;iframe src=&quot;http:",
    ] {
        // askama writes `"` in text as a number.
        let page = page.replace("&#34;", "&quot;").replace("&#60;", "&lt;").replace("&#38;", "&amp;");
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    assert!(!page.contains("noindex") && !page.contains("?download"), "copies are for those whom the owner lets");
    let (_, _, at) = site.app.anonymous().page(&format!("/w/{ID}?t=1:02")).await;
    assert!(at.contains(r#"src="/videos/aaaaaaaaaaa#t=62""#), "it begins there without JavaScript, too");
    for wrong in ["", "x", "-1", "99999999999", "1:99", "%FF"] {
        let (status, _, page) = site.app.anonymous().page(&format!("/w/{ID}?t={wrong}")).await;
        assert_eq!((status, page.contains("#t=")), (StatusCode::OK, false), "{wrong}");
    }

    let creator = site.app.browser("cora").await;
    let (_, headers, page) = creator.page(&format!("/w/{ID}")).await;
    assert_eq!(kept(&headers), "private, no-store");
    assert!(page.contains(r#"data-like="/api/v1/videos/aaaaaaaaaaa/like" aria-pressed="false""#));
    assert!(page.contains(r#"href="/studio/videos/aaaaaaaaaaa""#));
    assert!(!page.contains("/aaaaaaaaaaa/reports"), "nobody reports a video of their own");
    let viewer = site.app.with_role("vera", Role::Viewer).await;
    let (_, _, page) = viewer.page(&format!("/w/{ID}")).await;
    assert!(page.contains(r#"data-api="POST /api/v1/videos/aaaaaaaaaaa/reports""#));
}

#[tokio::test]
async fn nothing_that_people_write_is_markup() {
    let site = Site::new().await;
    let hostile = r#""><script>alert(1)</script><img src=x onerror='a'>{{ title }}"#;
    let tags = serde_json::to_string(&[hostile]).unwrap();
    site.put(&NewVideo { description: hostile, tags: &tags, ..site.new_video(ID, hostile) }).await;
    let other = "bbbbbbbbbbb";
    site.put(&site.new_video(other, hostile)).await;
    let title = ChannelChange { title: Some(hostile), ..ChannelChange::default() };
    site.app.store.update_channel(&site.channel.id, site.channel.version, &title).await.unwrap();
    for path in [format!("/w/{ID}"), format!("/embed/{ID}"), "/".to_owned(), "/@engine".to_owned()] {
        let (status, headers, page) = site.app.anonymous().page(&path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "{path}: {page}");
        assert!(page.contains("alert(1)"), "{path} shows what was written");
        assert!(policy(&headers).contains("script-src 'self'"), "{path}");
    }
    // What is shown to be copied is HTML in which the title is text.
    let (_, _, page) = site.app.anonymous().page(&format!("/w/{ID}")).await;
    let copied = page.split("data-copy-text>").find(|part| part.contains("iframe")).unwrap();
    let copied = copied.split("</code>").next().unwrap();
    let copied = copied.replace("<wbr>", "").replace("&#38;", "&").replace("&amp;", "&");
    assert!(copied.contains("&quot;&gt;&lt;script&gt;"), "{copied}");
}

#[tokio::test]
async fn what_is_not_out_is_not_there_but_for_its_owner_and_moderators() {
    let site = Site::new().await;
    let later = Some(At::now().plus(Duration::days(7)));
    let cases = [
        ("private0000", NewVideo { visibility: Visibility::Private, ..site.new_video("private0000", "T") }, "private."),
        ("pending0000", NewVideo { review: Review::Pending, ..site.new_video("pending0000", "T") }, "in review"),
        ("rejected000", NewVideo { review: Review::Rejected, ..site.new_video("rejected000", "T") }, "do not let"),
        ("changes0000", NewVideo { review: Review::Changes, ..site.new_video("changes0000", "T") }, "ask for changes"),
        ("later000000", NewVideo { publish_at: later, ..site.new_video("later000000", "T") }, "scheduled for <time"),
        ("trash000000", site.new_video("trash000000", "T"), "It is deleted for good on"),
    ];
    for (_, new, _) in &cases {
        site.put(new).await;
    }
    for (id, state) in [
        ("failed00000", VideoState::Failed),
        ("received000", VideoState::Received),
        ("processing0", VideoState::Processing),
    ] {
        let video = site.app.store.create_video(&site.new_video(id, "T")).await.unwrap();
        site.app.store.set_video_state(&video.id, state, "it has no picture <b>").await.unwrap();
    }
    let trashed = site.app.store.video_by_short_id("trash000000").await.unwrap().unwrap();
    let purge_at = At::now().plus(Duration::days(30));
    site.app.store.trash_video(&trashed.video.id, &trashed.owner_id, purge_at).await.unwrap();

    let (viewer, moderator) =
        (site.app.with_role("vera", Role::Viewer).await, site.app.with_role("mo", Role::Moderator).await);
    let creator = site.app.browser("cora").await;
    let (_, _, unknown) = site.app.anonymous().page("/w/00000000000").await;
    let all = cases.iter().map(|(id, _, words)| (*id, *words)).chain([
        ("failed00000", "It has no picture &#60;b&#62;"),
        ("received000", "being processed"),
        ("processing0", "being processed"),
    ]);
    for (id, words) in all {
        for client in [&site.app.anonymous(), &viewer] {
            for place in ["w", "embed"] {
                let (status, _, page) = client.page(&format!("/{place}/{id}")).await;
                assert_eq!(status, StatusCode::NOT_FOUND, "{place} {id}");
                assert!(!page.contains(">T<") && !page.contains(words), "{place} {id}");
            }
        }
        let (_, _, page) = site.app.anonymous().page(&format!("/w/{id}")).await;
        assert_eq!(page.replace(id, ""), unknown.replace("00000000000", ""), "it is not told that {id} is there");
        for client in [&creator, &moderator] {
            let (status, headers, page) = client.page(&format!("/w/{id}")).await;
            assert_eq!((status, kept(&headers)), (StatusCode::OK, "private, no-store"), "{id}");
            assert!(page.contains(words), "{words} is missing for {id}: {page}");
            assert!(page.contains("noindex") && !page.contains("og:video\""), "{id}");
        }
    }
    // There is nothing to play in the trash, nor before it is ready.
    for id in ["trash000000", "failed00000", "processing0"] {
        let (_, _, page) = creator.page(&format!("/w/{id}")).await;
        assert!(!page.contains("<video") && !page.contains("?download"), "{id}");
        assert_eq!(creator.page(&format!("/embed/{id}")).await.0, StatusCode::NOT_FOUND, "{id}");
    }
    let (_, _, page) = creator.page("/w/private0000").await;
    assert!(page.contains("<video") && page.contains("/videos/private0000?download"));
}

#[tokio::test]
async fn a_password_opens_the_page() {
    let site = Site::new().await;
    site.put(&site.new_video(ID, "Secret garden")).await;
    let (_, _, silent) = site.app.anonymous().page(&format!("/w/{ID}")).await;
    let said = r#"<meta property="og:description" content="A video by Engine room on "#;
    assert!(silent.contains(said), "nothing is said about it: {silent}");
    let creator = site.app.browser("cora").await;
    let api = format!("/api/v1/videos/{ID}");
    let tag = format!("\"{}\"", creator.get(&api).await.json["version"]);
    let body = json!({ "visibility": "password", "password": "open sesame" });
    let done = creator.send(Method::PATCH, &api, &[("if-match", &tag)], Some(body)).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.json);
    let anonymous = site.app.anonymous();
    let (_, headers, page) = anonymous.page(&format!("/w/{ID}?t=62")).await;
    assert!(page.contains("Secret garden") && !page.contains("<video"), "{page}");
    assert!(page.contains(&format!(r#"data-api="POST {api}/unlock""#)));
    assert!(page.contains(&format!(r#"data-next="/w/{ID}?t=62""#)), "who gave it goes on where they were");
    assert!(page.contains("noindex") && !headers.contains_key(header::SET_COOKIE));
    let (status, headers, embed) = anonymous.page(&format!("/embed/{ID}")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(embed.contains("needs the password") && embed.contains("Go to the video"), "{embed}");
    assert!(policy(&headers).ends_with("frame-ancestors *"), "any site may show why");

    let opened = anonymous.post(&format!("{api}/unlock"), json!({ "password": "open sesame" })).await;
    let cookie = opened.headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
    for place in ["w", "embed"] {
        let (status, headers, page) = with_cookies(&anonymous, &format!("/{place}/{ID}"), cookie).await;
        assert_eq!((status, kept(&headers)), (StatusCode::OK, "private, no-store"), "{place}");
        assert!(page.contains(&format!(r#"src="/videos/{ID}""#)), "{place}");
        assert!(!page.contains("og:video\""), "previews do not get in");
    }
    // A token is handed on to all that the player loads.
    let token = opened.json["token"].as_str().unwrap();
    let (status, headers, page) = anonymous.page(&format!("/embed/{ID}?token={token}")).await;
    assert_eq!((status, kept(&headers)), (StatusCode::OK, "private, no-store"));
    assert!(page.contains(&format!(r#"src="/videos/{ID}?token={token}""#)), "{page}");
    assert!(page.contains(&format!("/videos/{ID}/index.m3u8?token={token}")));
    assert_eq!(anonymous.page(&format!("/embed/{ID}?token=x{token}")).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn copies_and_captions_are_offered_where_they_are() {
    let site = Site::new().await;
    site.put(&site.new_video(ID, "T")).await;
    site.change(ID, &VideoChange { downloadable: Some(true), ..VideoChange::default() }).await;
    let video = site.app.store.video_by_short_id(ID).await.unwrap().unwrap().video;
    let file = |kind, name, object_key| NewFile {
        kind,
        name,
        object_key,
        size: 1,
        media_type: "",
        width: 0,
        height: 0,
        details: "",
    };
    let files = [
        file(FileKind::Caption, "zh-CN", "k1"),
        file(FileKind::Caption, "en", "k2"),
        file(FileKind::Poster, "", "k3456789abc"),
        file(FileKind::StoryboardIndex, "", "k4"),
    ];
    site.app.store.put_files(&video.id, &files).await.unwrap();
    let (_, _, page) = site.app.anonymous().page(&format!("/w/{ID}")).await;
    assert!(page.contains(&format!(r#"href="/videos/{ID}?download""#)));
    for (language, label) in [("zh-CN", "Chinese"), ("en", "English")] {
        let track = format!(r#"srclang="{language}" label="{label}"#);
        assert!(page.contains(&track), "{track} is missing in {page}");
    }
    assert!(page.contains(&format!("/videos/{ID}/storyboard.vtt")));
    assert!(
        page.contains(&format!(r#"og:image" content="http://video.example/videos/{ID}/thumbnail.jpg?v=k3456789""#))
    );
}

#[tokio::test]
async fn frames_are_for_the_sites_that_a_channel_lets() {
    let site = Site::new().await;
    site.put(&site.new_video(ID, "T")).await;
    let path = format!("/embed/{ID}");
    let (status, headers, page) = site.app.anonymous().page(&path).await;
    assert_eq!(status, StatusCode::OK);
    assert!(policy(&headers).ends_with("frame-ancestors *") && !headers.contains_key(header::X_FRAME_OPTIONS));
    assert!(page.contains(&format!(r#"href="http://video.example/w/{ID}""#)), "a way to the page itself");
    // A second site, since what is known of a video is remembered.
    let site = Site::new().await;
    site.put(&site.new_video(ID, "T")).await;
    let only = ChannelChange { embed_hosts: Some(Some("example.org")), ..ChannelChange::default() };
    site.app.store.update_channel(&site.channel.id, site.channel.version, &only).await.unwrap();
    let client = site.app.anonymous();
    let (status, headers, _) = client.framed(&path, Some("iframe"), "https://example.org/page").await;
    assert_eq!(status, StatusCode::OK);
    assert!(policy(&headers).ends_with("frame-ancestors 'self' example.org"), "{}", policy(&headers));
    let (status, _, page) = client.framed(&path, Some("iframe"), "https://example.com/page").await;
    assert_eq!((status, page.contains("<video")), (StatusCode::FORBIDDEN, false));
}

#[tokio::test]
async fn lists_lead_to_the_videos_that_everybody_may_see() {
    let site = Site::new().await;
    let ids: Vec<String> = (0..26).map(|n| format!("listed{n:05}")).collect();
    for id in &ids {
        site.put(&site.new_video(id, id)).await;
    }
    site.put(&NewVideo { visibility: Visibility::Unlisted, ..site.new_video("unlisted000", "Unlisted one") }).await;
    let favourite = site.app.store.video_by_short_id(&ids[3]).await.unwrap().unwrap().video;
    site.app.store.note_view(&favourite.id, &[7; 32], At::now().0 / 86_400_000).await.unwrap();
    site.app.store.roll_up_views(0).await.unwrap();
    let client = site.app.anonymous();
    let found = |page: &str| -> Vec<String> {
        let links = page.split(r#"<h3 class="card-title"><a href="/w/"#).skip(1);
        links.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let newest: Vec<&String> = ids.iter().rev().collect();

    let (_, _, home) = client.page("/").await;
    assert_eq!(found(&home).iter().collect::<Vec<_>>(), newest[..24]);
    assert!(home.contains("1:02:03") && home.contains("Engine room"), "how long they are, and whose");
    let live = home.find("live-now").unwrap();
    assert!(live < home.find("New videos").unwrap(), "what is live stands first");
    let (_, _, first) = client.page("/@engine").await;
    assert_eq!(found(&first).iter().collect::<Vec<_>>(), newest[..24]);
    let more = first.split(r#"href="/@engine?videos="#).nth(1).unwrap().split('"').next().unwrap();
    let (_, _, second) = client.page(&format!("/@engine?videos={}", more.trim_end_matches("#videos"))).await;
    assert_eq!(found(&second).iter().collect::<Vec<_>>(), newest[24..], "the page goes on without a script");
    let (_, _, by_views) = client.page("/@engine?sort=views").await;
    assert_eq!(found(&by_views)[0], ids[3]);
    assert!(
        by_views.contains(r#"href="/@engine?sort=views&#38;videos="#) || by_views.contains("?sort=views&amp;videos=")
    );
    let (status, _, odd) = client.page("/@engine?sort=x&videos=%2B").await;
    assert_eq!((status, found(&odd).len()), (StatusCode::OK, 0), "no list goes on there");

    let (_, _, beside) = client.page(&format!("/w/{}", ids[25])).await;
    let beside = found(&beside);
    assert_eq!(beside.iter().collect::<Vec<_>>(), newest[1..13], "others of the channel, and not itself");
    let seed: Value = {
        let (_, _, page) = client.page(&format!("/w/{}", ids[25])).await;
        let seed = page.split(r#"data-video=""#).nth(1).unwrap().split('"').next().unwrap();
        serde_json::from_str(&seed.replace("&#34;", "\"").replace("&quot;", "\"").replace("&#38;", "&")).unwrap()
    };
    assert_eq!((&seed["next"]["page"], &seed["frame_rate"]), (&json!(format!("/w/{}", ids[24])), &json!(25.0)));
}

/// The answer to a site that links to a page (oEmbed).
async fn oembed(client: &Client<'_>, query: &str) -> (StatusCode, Value) {
    let (status, headers, text) = client.page(&format!("/oembed?{query}")).await;
    let kind = if status == StatusCode::OK { "application/json" } else { "application/problem+json" };
    assert_eq!(headers[header::CONTENT_TYPE], kind, "{query}");
    assert_eq!(headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), status == StatusCode::OK, "{query}");
    (status, serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn other_sites_learn_how_to_show_a_video() {
    let site = Site::new().await;
    site.put(&site.new_video(ID, r#"The "mill" & <b>"#)).await;
    let anonymous = site.app.anonymous();
    let (_, _, page) = anonymous.page(&format!("/w/{ID}")).await;
    let query = format!("url=http%3A%2F%2Fvideo.example%2Fw%2F{ID}");
    let link =
        format!(r#"<link rel="alternate" type="application/json+oembed" href="http://video.example/oembed?{query}""#);
    assert!(page.contains(&link), "{page}");

    let frame = |size: &str| {
        format!(
            r#"<iframe src="http://video.example/embed/{ID}" title="The &quot;mill&quot; &amp; &lt;b&gt;" {size} allow="fullscreen; picture-in-picture" frameborder="0"></iframe>"#
        )
    };
    let (status, answer) = oembed(&anonymous, &query).await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!({
        "version": "1.0",
        "type": "video",
        "title": r#"The "mill" & <b>"#,
        "author_name": "Engine room",
        "author_url": "http://video.example/@engine",
        "provider_name": "Millrace",
        "provider_url": "http://video.example",
        "html": frame(r#"width="640" height="360""#),
        "width": 640,
        "height": 360,
    });
    assert_eq!(answer, expected);
    let (_, small) = oembed(&anonymous, &format!("{query}&maxwidth=400&maxheight=180&format=json")).await;
    assert_eq!(small["html"], frame(r#"width="320" height="180""#));
    assert_eq!((&small["width"], &small["height"]), (&json!(320), &json!(180)));
    let (_, later) = oembed(&anonymous, &format!("{query}%3Ft%3D1:02")).await;
    assert!(later["html"].as_str().unwrap().contains(&format!("/embed/{ID}?t=62\"")), "{later}");

    // A picture is told with its size, and only where there is room for it.
    let creator = site.app.browser("cora").await;
    let mut png = Vec::new();
    let picture = image::DynamicImage::new_rgb8(320, 180);
    picture.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    let put = creator.upload(&format!("/api/v1/videos/{ID}/thumbnail"), &png).await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.json);
    let (_, pictured) = oembed(&anonymous, &query).await;
    let start = format!("http://video.example/videos/{ID}/thumbnail.jpg?v=");
    assert!(pictured["thumbnail_url"].as_str().unwrap().starts_with(&start), "{pictured}");
    assert_eq!((&pictured["thumbnail_width"], &pictured["thumbnail_height"]), (&json!(320), &json!(180)));
    let (_, small) = oembed(&anonymous, &format!("{query}&maxwidth=319")).await;
    assert!(small.get("thumbnail_url").is_none() && small.get("thumbnail_width").is_none(), "{small}");

    // Where no other site may show it there is a link alone.
    let nowhere = ChannelChange { embed_hosts: Some(Some("")), ..ChannelChange::default() };
    let channel = site.app.store.channel_by_handle("engine").await.unwrap().unwrap();
    site.app.store.update_channel(&channel.id, channel.version, &nowhere).await.unwrap();
    let site = Site { app: site.app.restart().await, ..site };
    let (_, link) = oembed(&site.app.anonymous(), &query).await;
    assert_eq!((&link["type"], link.get("html")), (&json!("link"), None));
}

#[tokio::test]
async fn other_sites_learn_nothing_of_what_is_not_for_everybody() {
    let site = Site::new().await;
    for (id, visibility, review) in [
        ("private0000", Visibility::Private, Review::None),
        ("password000", Visibility::Password, Review::None),
        ("unlisted000", Visibility::Unlisted, Review::None),
        ("pending0000", Visibility::Public, Review::Pending),
    ] {
        site.put(&NewVideo { visibility, review, ..site.new_video(id, "Secret garden") }).await;
    }
    let creator = site.app.browser("cora").await;
    let unknown = oembed(&site.app.anonymous(), "url=http://video.example/w/00000000000").await;
    assert_eq!((unknown.0, &unknown.1["error_code"]), (StatusCode::NOT_FOUND, &json!("006")));
    for client in [&site.app.anonymous(), &creator] {
        for id in ["private0000", "pending0000"] {
            assert_eq!(oembed(client, &format!("url=http://video.example/w/{id}")).await, unknown, "{id}");
        }
        let (status, answer) = oembed(client, "url=http://video.example/w/password000").await;
        assert_eq!((status, &answer["error_code"]), (StatusCode::UNAUTHORIZED, &json!("002")));
        assert!(!answer.to_string().contains("Secret"));
        let (status, answer) = oembed(client, "url=http://video.example/w/unlisted000").await;
        assert_eq!((status, &answer["title"]), (StatusCode::OK, &json!("Secret garden")), "who has the link may watch");
    }
    let (_, _, page) = creator.page("/w/private0000").await;
    assert!(!page.contains("oembed"));

    let (anonymous, known) = (site.app.anonymous(), "url=http://video.example/w/unlisted000");
    for (query, status, code) in [
        (String::new(), StatusCode::BAD_REQUEST, "001"),
        (format!("{known}&maxwidth=0"), StatusCode::BAD_REQUEST, "001"),
        (format!("{known}&maxheight=-1"), StatusCode::BAD_REQUEST, "001"),
        (format!("{known}&format=xml"), StatusCode::NOT_IMPLEMENTED, "001"),
        ("url=http://other.example/w/unlisted000".to_owned(), StatusCode::NOT_FOUND, "006"),
        ("url=http://video.example/login".to_owned(), StatusCode::NOT_FOUND, "006"),
        ("url=:".to_owned(), StatusCode::NOT_FOUND, "006"),
    ] {
        let (got, answer) = oembed(&anonymous, &query).await;
        assert_eq!((got, &answer["error_code"]), (status, &json!(code)), "{query}");
    }
}

#[tokio::test]
async fn other_sites_learn_how_to_show_a_channel() {
    let site = Site::new().await;
    let (anonymous, query) = (site.app.anonymous(), "url=http%3A%2F%2Fvideo.example%2F%40engine");
    let (_, _, page) = anonymous.page("/@engine").await;
    assert!(page.contains(&format!(r#"href="http://video.example/oembed?{query}""#)), "{page}");
    let (status, answer) = oembed(&anonymous, query).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&answer["type"], &answer["title"]), (&json!("rich"), &json!("Engine room")));
    let start = r#"<iframe src="http://video.example/embed/@engine" title=""#;
    assert!(answer["html"].as_str().unwrap().starts_with(start), "{answer}");
    assert_eq!((&answer["width"], &answer["height"]), (&json!(640), &json!(360)));
    for unknown in ["@nobody", "@engine?app=other", "@", "@a/b"] {
        let (status, _) = oembed(&anonymous, &format!("url=http://video.example/{unknown}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{unknown}");
    }
    let (_, _, page) = anonymous.page("/@nobody").await;
    assert!(!page.contains("oembed"), "there is no such channel");

    let closed = ChannelChange { visibility: Some(Visibility::Private), ..ChannelChange::default() };
    site.app.store.update_channel(&site.channel.id, site.channel.version, &closed).await.unwrap();
    let site = Site { app: site.app.restart().await, ..site };
    let (status, answer) = oembed(&site.app.anonymous(), query).await;
    assert_eq!((status, &answer["error_code"]), (StatusCode::UNAUTHORIZED, &json!("002")));
}
