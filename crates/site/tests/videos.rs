//! Videos once they are uploaded, to their end, as clients of the API and players meet them.
#![allow(clippy::unwrap_used, missing_docs)]

mod app;

use std::process::Command;

use app::clips::{PUBLIC, ask, clip, ffmpeg, send, site, upload, with_video, work, work_with};
use app::{App, Client, NothingLive, code};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use millrace_jobs::Work;
use millrace_objects::{Access, Credentials, Key, Objects};
use millrace_site::{Accounts, DownloadLimits, SiteConfig, SiteKey, router};
use millrace_store::{At, FileKind, NewFile, Role};
use millrace_vod::jobs;
use serde_json::{Value, json};

#[tokio::test]
async fn what_browsers_do_not_play_fails_in_words_where_nothing_else_is_made_of_it() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let path = app._directory.path().join("old.avi");
    let made = "-v error -f lavfi -i testsrc2=s=160x90:r=10 -t 1 -c:v mpeg4";
    assert!(Command::new("ffmpeg").args(made.split(' ')).arg(&path).status().unwrap().success());
    let file = std::fs::read(path).unwrap();
    let id = upload(&creator, &file, PUBLIC).await;
    let video = async || creator.get(&format!("/api/v1/videos/{id}")).await.json;
    work_with(&app, None, Vec::new()).await;
    assert_ne!(video().await["state"], "failed", "a process that has FFmpeg may come yet");
    work_with(&app, ffmpeg().await, Vec::new()).await;
    let video = video().await;
    assert_eq!(video["state"], "failed", "{video}");
    assert!(video["own"]["failure"].as_str().unwrap().contains("no other sizes are made"), "{video}");
    // What they play needs neither.
    let id = upload(&creator, clip(), PUBLIC).await;
    work_with(&app, ffmpeg().await, Vec::new()).await;
    assert_eq!(creator.get(&format!("/api/v1/videos/{id}")).await.json["state"], "ready");
}

/// Every path below a video that gives something.
fn paths(id: &str) -> Vec<String> {
    let below = [
        "",
        "/index.m3u8",
        "/original/video.m3u8",
        "/original/audio.m3u8",
        "/original/video/init.mp4",
        "/original/video/0.m4s",
        "/original/audio/0.m4s",
        "/thumbnail.jpg",
        "/thumbnails/0.jpg",
        "/storyboard.vtt",
        "/storyboard/0.jpg",
        "/captions/en.vtt",
    ];
    below.iter().map(|path| format!("/videos/{id}{path}")).collect()
}

#[tokio::test]
async fn every_byte_is_for_those_alone_who_may_watch() {
    let (app, id) = with_video().await;
    let creator = app.browser("cora").await;
    let (moderator, viewer) = (app.with_role("mo", Role::Moderator).await, app.with_role("vera", Role::Viewer).await);
    give_small_files(&app, &id).await;
    let all = async |client: &Client<'_>, query: &str| {
        let mut statuses = Vec::new();
        for path in paths(&id) {
            statuses.push(send(client, "GET", &format!("{path}{query}"), &[], b"").await.status.as_u16());
        }
        statuses.sort_unstable();
        statuses.dedup();
        assert_eq!(statuses.len(), 1, "one path is not like the others: {statuses:?}");
        statuses[0]
    };
    let api = format!("/api/v1/videos/{id}");
    let change = async |body: Value| {
        let version = creator.get(&api).await.json["version"].to_string();
        let tag = format!("\"{version}\"");
        let done = creator.send(Method::PATCH, &api, &[("if-match", &tag)], Some(body)).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.json);
    };
    let anonymous = app.anonymous();
    assert_eq!([all(&anonymous, "").await, all(&viewer, "").await, all(&creator, "").await], [200; 3]);
    // Pictures of accounts and channels are among the same objects: by that way nothing else comes out.
    let video = app.store.video_by_short_id(&id).await.unwrap().unwrap().video;
    for file in app.store.files(&video.id).await.unwrap() {
        let other = send(&anonymous, "GET", &format!("/media/{}", file.object_key), &[], b"").await;
        assert_eq!(other.status, StatusCode::NOT_FOUND, "{:?}", file.kind);
    }

    change(json!({ "visibility": "unlisted" })).await;
    assert_eq!(all(&anonymous, "").await, 200);
    assert_eq!(anonymous.get("/api/v1/videos").await.json["items"], json!([]));

    change(json!({ "visibility": "private" })).await;
    assert_eq!([all(&anonymous, "").await, all(&viewer, "").await], [404; 2]);
    assert_eq!([all(&creator, "").await, all(&moderator, "").await], [200; 2]);
    assert_eq!(anonymous.get(&api).await.status, StatusCode::NOT_FOUND);
    let kept = send(&creator, "GET", &format!("/videos/{id}/index.m3u8"), &[], b"").await;
    assert!(kept.header("cache-control").starts_with("private"), "{}", kept.header("cache-control"));
    let token = creator.post(&format!("{api}/play-token"), Value::Null).await.json;
    let query = format!("?token={}", token["token"].as_str().unwrap());
    assert_eq!(all(&anonymous, &query).await, 200);
    let playlist = send(&anonymous, "GET", &format!("/videos/{id}/index.m3u8{query}"), &[], b"").await;
    let playlist = String::from_utf8(playlist.body).unwrap();
    assert!(playlist.contains(&format!("original/video.m3u8{query}")), "it is handed on: {playlist}");

    let cookie = ("cookie", &*format!("unlock_v_{id}={}", token["token"].as_str().unwrap()));
    let renewed = send(&anonymous, "POST", &format!("{api}/play-token"), &[cookie], b"").await;
    assert_eq!(renewed.status, StatusCode::NOT_FOUND, "who was given a token gets no other by it");

    change(json!({ "visibility": "password", "password": "open sesame" })).await;
    assert_eq!([all(&anonymous, "").await, all(&anonymous, &query).await], [404; 2], "the token holds no longer");
    assert_eq!(anonymous.get(&api).await.status, StatusCode::FORBIDDEN);
    let wrong = anonymous.post(&format!("{api}/unlock"), json!({ "password": "guess" })).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let right = anonymous.post(&format!("{api}/unlock"), json!({ "password": "open sesame" })).await;
    let cookie = right.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly"));
    let cookie = ("cookie", cookie.split(';').next().unwrap());
    assert_eq!(send(&anonymous, "GET", &paths(&id)[1], &[cookie], b"").await.status, StatusCode::OK);
    let token = send(&anonymous, "POST", &format!("{api}/play-token"), &[cookie], b"").await.json();
    assert_eq!(all(&anonymous, &format!("?token={}", token["token"].as_str().unwrap())).await, 200);
    assert_eq!(all(&anonymous, &format!("?token={}", right.json["token"].as_str().unwrap())).await, 200);

    change(json!({ "visibility": "public", "publish_at": "2027-01-01T00:00:00Z" })).await;
    assert_eq!([all(&anonymous, "").await, all(&viewer, "").await, all(&creator, "").await], [404, 404, 200]);
    change(json!({ "publish_now": true })).await;
    assert_eq!(all(&anonymous, "").await, 200);

    let trashed = creator.delete(&api).await;
    assert!(trashed.json["own"]["purge_at"].is_string());
    let everybody =
        [all(&anonymous, "").await, all(&viewer, "").await, all(&creator, "").await, all(&moderator, "").await];
    assert_eq!(everybody, [404; 4]);
    assert_eq!(anonymous.get(&api).await.status, StatusCode::NOT_FOUND);
    let trash = creator.get("/api/v1/users/me/videos?trash=true").await.json;
    assert_eq!(trash["items"][0]["id"], json!(id));
    let back = creator.post(&format!("{api}/restore"), Value::Null).await;
    assert_eq!(back.status, StatusCode::OK);
    assert_eq!(all(&anonymous, "").await, 200);
    let twice = creator.post(&format!("{api}/restore"), Value::Null).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
}

/// Pictures and captions, without FFmpeg.
async fn give_small_files(app: &App, id: &str) {
    let video = app.store.video_by_short_id(id).await.unwrap().unwrap().video;
    let kinds = [
        (FileKind::Poster, "", "jpg"),
        (FileKind::Thumbnail, "0", "jpg"),
        (FileKind::Storyboard, "0", "jpg"),
        (FileKind::StoryboardIndex, "", "vtt"),
        (FileKind::Caption, "en", "vtt"),
    ];
    for (kind, name, extension) in kinds {
        let key = app.accounts.vod().objects().put(extension, format!("{name} 0.jpg#xywh").into_bytes()).await.unwrap();
        let (object_key, media_type) = (key.as_str(), "text/plain");
        let file = NewFile { kind, name, object_key, size: 12, media_type, width: 0, height: 0, details: "" };
        app.store.put_files(&video.id, &[file]).await.unwrap();
    }
    app.accounts.store().tell(&millrace_store::Change::Everything).await.unwrap();
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn a_file_is_given_by_ranges() {
    let (app, id) = with_video().await;
    give_small_files(&app, &id).await;
    let (client, path, size) = (app.anonymous(), format!("/videos/{id}"), clip().len());
    let whole = send(&client, "GET", &path, &[], b"").await;
    assert_eq!((whole.status, whole.header("accept-ranges")), (StatusCode::OK, "bytes"));
    assert_eq!((whole.header("content-type"), whole.body.len()), ("video/mp4", size));
    let tag = whole.header("etag").to_owned();
    for (range, part) in [("bytes=0-99", 0..100), ("bytes=-100", size - 100..size), ("bytes=5000-", 5000..size)] {
        let got = send(&client, "GET", &path, &[("range", range)], b"").await;
        assert_eq!((got.status, &got.body[..]), (StatusCode::PARTIAL_CONTENT, &clip()[part.clone()]), "{range}");
        let said = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        assert_eq!((got.header("content-range"), got.header("content-length")), (&*said, &*part.len().to_string()));
    }
    let beyond = send(&client, "GET", &path, &[("range", &format!("bytes={size}-"))], b"").await;
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (StatusCode::RANGE_NOT_SATISFIABLE, &*format!("bytes */{size}"))
    );
    let many = send(&client, "GET", &path, &[("range", "bytes=0-1,5-6")], b"").await;
    assert_eq!((many.status, many.body.len()), (StatusCode::OK, size));
    let same = send(&client, "GET", &path, &[("range", "bytes=0-9"), ("if-range", &tag)], b"").await;
    assert_eq!((same.status, same.body.len()), (StatusCode::PARTIAL_CONTENT, 10));
    let other = send(&client, "GET", &path, &[("range", "bytes=0-9"), ("if-range", "\"other\"")], b"").await;
    assert_eq!((other.status, other.body.len()), (StatusCode::OK, size));
    let known = send(&client, "GET", &path, &[("if-none-match", &tag)], b"").await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let head = send(&client, "HEAD", &path, &[("range", "bytes=0-9")], b"").await;
    let length = size.to_string();
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (StatusCode::OK, &*length, 0));
    // Caches ask before they give anything on, and are told in a few bytes that they may.
    for path in paths(&id).into_iter().filter(|path| !path.contains("m3u8")) {
        let first = send(&client, "GET", &path, &[], b"").await;
        assert_eq!(first.status, StatusCode::OK, "{path}");
        let tag = first.header("etag").to_owned();
        let kept = if path.ends_with(".jpg") { "public, max-age=300, s-maxage=0" } else { "public, no-cache" };
        assert!(first.header("cache-control") == kept && !tag.is_empty(), "{path}");
        for tags in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let again = send(&client, "GET", &path, &[("if-none-match", &tags)], b"").await;
            assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path} {tags}");
        }
        let other = send(&client, "GET", &path, &[("if-none-match", "\"x\"")], b"").await;
        assert_eq!((other.status, other.body.len()), (StatusCode::OK, first.body.len()), "{path}");
    }
    assert_eq!(whole.header("access-control-allow-origin"), "*");

    // A copy is for those to keep whom the owner lets.
    let refused = send(&client, "GET", &format!("{path}?download"), &[], b"").await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    let creator = app.browser("cora").await;
    let version = creator.get(&format!("/api/v1/videos/{id}")).await.json["version"].to_string();
    let body = json!({ "downloadable": true, "title": "Nacht \"markt\" 夜" });
    let tag = format!("\"{version}\"");
    creator.send(Method::PATCH, &format!("/api/v1/videos/{id}"), &[("if-match", &tag)], Some(body)).await;
    let given = send(&client, "GET", &format!("{path}?download"), &[], b"").await;
    assert_eq!((given.status, given.body.len()), (StatusCode::OK, size));
    let name = given.header("content-disposition");
    assert!(name.starts_with("attachment; filename=\"Nacht _markt_ _.mp4\""), "{name}");
    assert!(name.ends_with("filename*=UTF-8''Nacht%20%22markt%22%20%E5%A4%9C.mp4"), "{name}");
}

#[tokio::test]
async fn so_many_files_are_sent_at_a_time() {
    let (app, id) = with_video().await;
    let another = upload(&app.browser("cora").await, clip(), PUBLIC).await;
    work(&app, None).await;
    let downloads = app.accounts.downloads();
    downloads.set_limits(DownloadLimits { total: 3, per_address: 2, trusted: Vec::new() });
    let at = |last| Client { address: [10, 0, 0, last], ..app.anonymous() };
    let (client, path) = (at(1), format!("/videos/{id}"));
    let first = ask(&client, "GET", &path, &[], b"").await;
    let second = ask(&client, "GET", &path, &[("range", "bytes=0-9")], b"").await;
    // Whoever watches goes on, by further ranges of the same; it is others that are refused.
    let mut sought = Vec::new();
    for from in [20, 30] {
        sought.push(ask(&client, "GET", &path, &[("range", &format!("bytes={from}-"))], b"").await);
        assert_eq!(sought.last().unwrap().status(), StatusCode::PARTIAL_CONTENT);
    }
    let further = send(&client, "GET", &path, &[], b"").await;
    assert_eq!((further.status, further.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "5"));
    drop(sought);
    let third = send(&client, "GET", &format!("/videos/{another}"), &[], b"").await;
    assert_eq!((third.status, third.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "5"));
    assert!(String::from_utf8_lossy(&third.body).contains("too many files are being sent to this address"));
    // What a page needs to go on watching is no download.
    for more in ["/index.m3u8", "/original/video.m3u8", "/original/video/0.m4s"] {
        assert_eq!(send(&client, "GET", &format!("{path}{more}"), &[], b"").await.status, StatusCode::OK, "{more}");
    }
    assert_eq!(send(&client, "HEAD", &path, &[], b"").await.status, StatusCode::OK);

    let other = ask(&at(2), "GET", &path, &[], b"").await;
    let full = send(&at(3), "GET", &path, &[], b"").await;
    assert_eq!((full.status, full.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "5"));
    assert_eq!(downloads.open(), 3);
    let sought = send(&at(2), "GET", &path, &[("range", "bytes=9-")], b"").await;
    assert_eq!(sought.status, StatusCode::PARTIAL_CONTENT, "who watches goes on while the server is full");
    // One that ended makes room, be it that all was sent or that nobody wants the rest.
    assert_eq!(first.into_body().collect().await.unwrap().to_bytes(), clip());
    drop(second);
    assert_eq!(downloads.open(), 1);
    assert_eq!(send(&client, "GET", &path, &[], b"").await.status, StatusCode::OK);
    drop(other);
}

#[tokio::test]
async fn where_the_storage_has_an_address_of_its_own_files_come_from_there() {
    let (app, id) = with_video().await;
    let directory = tempfile::tempdir().unwrap();
    let access = Access {
        credentials: Some(Credentials { access_key_id: "key".to_owned(), secret_access_key: "hush".to_owned() }),
        public_url: Some("https://objects.example".to_owned()),
    };
    let bucket = Objects::open_with("s3://media?endpoint=http://127.0.0.1:9", directory.path(), &access).unwrap();
    let accounts = Accounts::new(app.store.clone(), bucket, &SiteKey::new(), 1);
    let app = App { router: router(NothingLive, accounts.clone(), SiteConfig::default()), accounts, ..app };
    let (client, path) = (app.anonymous(), format!("/videos/{id}"));
    let led = send(&client, "GET", &path, &[("range", "bytes=0-9"), ("sec-fetch-site", "cross-site")], b"").await;
    assert_eq!((led.status, led.header("cache-control")), (StatusCode::FOUND, "no-store"));
    let place = led.header("location");
    assert!(place.starts_with("https://objects.example/media/") && place.contains("X-Amz-Signature="), "{place}");
    // The bucket is not there: who is answered from it meets that.
    let here = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(send(&client, "GET", &path, &[("sec-fetch-site", "same-origin")], b"").await.status, here);
    assert_eq!(send(&client, "HEAD", &path, &[], b"").await.status, here);

    let creator = app.browser("cora").await;
    let video = creator.get(&format!("/api/v1/videos/{id}")).await.json;
    let tag = format!("\"{}\"", video["version"]);
    let body = json!({ "visibility": "private" });
    let changed = creator.send(Method::PATCH, &format!("/api/v1/videos/{id}"), &[("if-match", &tag)], Some(body)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.json);
    assert_eq!(send(&client, "GET", &path, &[], b"").await.status, StatusCode::NOT_FOUND);
    assert_eq!(send(&creator, "GET", &path, &[], b"").await.status, here, "no link for what is for some alone");
}

#[tokio::test]
async fn playlists_and_segments_are_the_file_again() {
    let (app, id) = with_video().await;
    let client = app.anonymous();
    let text = async |path: &str| String::from_utf8(send(&client, "GET", path, &[], b"").await.body).unwrap();
    let multivariant = text(&format!("/videos/{id}/index.m3u8")).await;
    assert!(multivariant.contains("RESOLUTION=320x180"), "{multivariant}");
    let playlist = text(&format!("/videos/{id}/original/video.m3u8")).await;
    let segments = playlist.lines().filter(|line| line.ends_with(".m4s")).count();
    assert!(segments >= 2 && playlist.contains("#EXT-X-ENDLIST"), "{playlist}");
    for (path, status) in [
        ("original/video/99.m4s", 404),
        ("original/video/00.m4s", 404),
        ("original/video/-1.m4s", 404),
        ("original/other/0.m4s", 404),
        ("720/video.m3u8", 404),
        ("original/video/0.m4s/x", 404),
        ("nothing", 404),
        ("original/video/init.mp4", 200),
        ("original/audio.m3u8", 200),
    ] {
        let got = send(&client, "GET", &format!("/videos/{id}/{path}"), &[], b"").await;
        assert_eq!(got.status.as_u16(), status, "{path}");
    }
    let segment = send(&client, "GET", &format!("/videos/{id}/original/video/0.m4s"), &[], b"").await;
    assert_eq!(segment.header("content-length"), segment.body.len().to_string());
    let head = send(&client, "HEAD", &format!("/videos/{id}/original/video/0.m4s"), &[], b"").await;
    assert_eq!((head.header("content-length"), head.body.len()), (segment.header("content-length"), 0));
    assert_eq!(send(&client, "GET", "/videos/00000000000/index.m3u8", &[], b"").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn with_ffmpeg_there_are_pictures_and_other_sizes() {
    let (app, id) = {
        let app = site().await;
        let id = upload(&app.browser("cora").await, clip(), PUBLIC).await;
        work(&app, ffmpeg().await).await;
        (app, id)
    };
    let creator = app.browser("cora").await;
    let video = creator.get(&format!("/api/v1/videos/{id}")).await.json;
    assert_eq!(video["media"]["renditions"], json!(["144"]));
    assert_eq!(video["own"]["work"], json!([]));
    let multivariant = send(&creator, "GET", &format!("/videos/{id}/index.m3u8"), &[], b"").await;
    let multivariant = String::from_utf8(multivariant.body).unwrap();
    assert!(multivariant.contains("original/video.m3u8") && multivariant.contains("144/video.m3u8"), "{multivariant}");
    // Players change where both begin a segment.
    let durations = async |file: &str| {
        let got = send(&creator, "GET", &format!("/videos/{id}/{file}/video.m3u8"), &[], b"").await;
        let text = String::from_utf8(got.body).unwrap();
        text.lines().filter(|line| line.starts_with("#EXTINF")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(durations("original").await, durations("144").await);
    let thumbnails = video["media"]["thumbnails"].as_array().unwrap();
    assert_eq!(thumbnails.len(), 3);
    for path in thumbnails.iter().chain([&video["thumbnail_url"], &video["media"]["storyboard_url"]]) {
        assert_eq!(send(&creator, "GET", path.as_str().unwrap(), &[], b"").await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(
        std::fs::read_dir(app._directory.path().join("scratch")).unwrap().count(),
        0,
        "nothing is left of the work"
    );

    // Another of them, an own one, and one that is none.
    let api = format!("/api/v1/videos/{id}/thumbnail");
    let chosen = creator.send(Method::PUT, &api, &[], Some(json!({ "choice": 0 }))).await;
    assert_ne!(chosen.json["thumbnail_url"], video["thumbnail_url"]);
    let bytes = async |path: &Value| send(&creator, "GET", path.as_str().unwrap(), &[], b"").await.body;
    assert_eq!(bytes(&chosen.json["thumbnail_url"]).await, bytes(&thumbnails[0]).await);
    let own = creator.upload(&api, &bytes(&thumbnails[2]).await).await;
    assert_eq!(own.status, StatusCode::OK, "{}", own.json);
    assert_eq!(creator.upload(&api, b"no picture").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let none = creator.send(Method::PUT, &api, &[], Some(json!({ "choice": 9 }))).await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn captions_are_taken_in_either_form() {
    let (app, id) = with_video().await;
    let creator = app.browser("cora").await;
    let api = format!("/api/v1/videos/{id}/captions");
    let srt = "1\r\n00:00:01,000 --> 00:00:02,500\r\nHello <b>there</b>\r\n";
    let set = creator.upload(&format!("{api}/en"), srt.as_bytes()).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.json);
    assert_eq!(
        set.json["media"]["captions"],
        json!([{ "language": "en", "url": format!("/videos/{id}/captions/en.vtt") }])
    );
    let got = send(&app.anonymous(), "GET", &format!("/videos/{id}/captions/en.vtt"), &[], b"").await;
    let text = String::from_utf8(got.body.clone()).unwrap();
    assert!(got.header("content-type").starts_with("text/vtt") && text.starts_with("WEBVTT"), "{text}");
    assert!(text.contains("00:00:01.000 --> 00:00:02.500"), "{text}");
    let wrong = creator.upload(&format!("{api}/de"), b"WEBVTT\n\nno time at all\nwords\n").await;
    assert!(wrong.status.is_client_error() || wrong.json["media"]["captions"].as_array().unwrap().len() == 2);
    let binary = creator.upload(&format!("{api}/de"), &[0xff, 0xd8, 0xff, 0xe0, 0, 1, 2, 3]).await;
    assert_eq!(binary.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(creator.upload(&format!("{api}/e!"), srt.as_bytes()).await.status, StatusCode::BAD_REQUEST);
    let viewer = app.with_role("vera", Role::Viewer).await;
    assert_eq!(viewer.upload(&format!("{api}/en"), srt.as_bytes()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(creator.delete(&format!("{api}/en")).await.status, StatusCode::OK);
    assert_eq!(creator.delete(&format!("{api}/en")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_deleted_for_good_leaves_nothing() {
    let (app, id) = with_video().await;
    let app = app.configured(SiteConfig { trash_keep: std::time::Duration::ZERO, ..SiteConfig::default() });
    give_small_files(&app, &id).await;
    let creator = app.browser("cora").await;
    let objects = || {
        std::fs::read_dir(app._directory.path().join("objects"))
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_file())
            .count()
    };
    assert_eq!(objects(), 6);
    creator.delete(&format!("/api/v1/videos/{id}")).await;
    app.store.enqueue(&jobs::PurgeVideos {}.job()).await.unwrap();
    work(&app, None).await;
    assert_eq!(objects(), 0);
    assert_eq!(creator.get("/api/v1/users/me/videos?trash=true").await.json["items"], json!([]));
    assert!(app.store.garbage(At::now(), 10).await.unwrap().is_empty());
    let back = creator.post(&format!("/api/v1/videos/{id}/restore"), Value::Null).await;
    assert_eq!(back.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn files_that_are_missing_are_named() {
    let (app, id) = with_video().await;
    let ada = app.browser("ada").await;
    let check = async || {
        app.store.enqueue(&jobs::Reconcile {}.job()).await.unwrap();
        work(&app, None).await;
        ada.get("/api/v1/admin/storage").await.json
    };
    assert_eq!(check().await["missing"], json!([]));
    let video = app.store.video_by_short_id(&id).await.unwrap().unwrap().video;
    let file = app.store.files(&video.id).await.unwrap().remove(0);
    let vod = app.accounts.vod();
    vod.objects().delete_all(vec![Key::parse(&file.object_key).unwrap()]).await.unwrap();
    let stored = check().await;
    let named = json!([{
        "video": id, "title": "clip", "kind": "original", "name": "", "key": file.object_key,
    }]);
    assert_eq!(stored["missing"], named);
    assert!(stored["reconciled"]["note"].as_str().unwrap().ends_with("1 videos lack files"), "{stored}");
    let (_, _, page) = ada.page("/admin/storage").await;
    for words in ["Missing files", &format!("href=\"/studio/videos/{id}\""), "Uploaded files", &file.object_key] {
        assert!(page.contains(words), "{words} is not there: {page}");
    }
    app.store.delete_file(&video.id, FileKind::Original, &file.name).await.unwrap();
    assert_eq!(ada.get("/api/v1/admin/storage").await.json["missing"], json!([]), "nobody misses it any more");
}

#[tokio::test]
async fn views_count_viewers_and_likes_accounts() {
    let (app, id) = with_video().await;
    let browser = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0 Safari/537.36");
    let view = format!("/api/v1/videos/{id}/views");
    let anonymous = app.anonymous();
    for program in [browser, browser, ("user-agent", "Googlebot/2.1"), ("user-agent", "")] {
        assert_eq!(send(&anonymous, "POST", &view, &[program], b"").await.status, StatusCode::NO_CONTENT);
    }
    let viewer = app.with_role("vera", Role::Viewer).await;
    send(&viewer, "POST", &view, &[browser], b"").await;
    app.store.enqueue(&jobs::RollUpViews {}.job()).await.unwrap();
    work(&app, None).await;
    let like = format!("/api/v1/videos/{id}/like");
    assert_eq!(viewer.send(Method::PUT, &like, &[], None).await.json, json!({ "likes": 1, "liked": true }));
    assert_eq!(anonymous.send(Method::PUT, &like, &[], None).await.status, StatusCode::UNAUTHORIZED);
    let video = anonymous.get(&format!("/api/v1/videos/{id}")).await.json;
    assert_eq!((&video["views"], &video["likes"]), (&json!(2), &json!(1)));
    assert_eq!(viewer.delete(&like).await.json, json!({ "likes": 0, "liked": false }));
}

#[tokio::test]
async fn who_may_change_a_video() {
    let (app, id) = with_video().await;
    let api = format!("/api/v1/videos/{id}");
    let (creator, other) = (app.browser("cora").await, app.with_role("otto", Role::Creator).await);
    let moderator = app.with_role("mo", Role::Moderator).await;
    let change = |title: &str| Some(json!({ "title": title }));
    let tag = [("if-match", "\"1\"")];
    assert_eq!(other.send(Method::PATCH, &api, &tag, change("Mine")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(other.delete(&api).await.status, StatusCode::NOT_FOUND);
    assert_eq!(creator.send(Method::PATCH, &api, &tag, change("One")).await.json["title"], "One");
    let stale = creator.send(Method::PATCH, &api, &tag, change("Two")).await;
    assert_eq!((stale.status, code(&stale)), (StatusCode::CONFLICT, "007"));
    for wrong in [json!({ "title": "" }), json!({ "publish_at": "2001-01-01T00:00:00Z" }), json!({ "colour": "red" })] {
        let refused = creator.send(Method::PATCH, &api, &[("if-match", "\"2\"")], Some(wrong)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(moderator.delete(&api).await.status, StatusCode::OK);
    let back = creator.post(&format!("{api}/restore"), Value::Null).await;
    assert_eq!(back.status, StatusCode::FORBIDDEN, "what moderators took away its owner does not bring back");
    assert_eq!(moderator.post(&format!("{api}/restore"), Value::Null).await.status, StatusCode::OK);
    let log = app.browser("ada").await.get("/api/v1/admin/audit?action=trash-video").await.json;
    assert_eq!((&log["items"][0]["actor"], &log["items"][0]["subject"]), (&json!("mo"), &json!(id)));
}
