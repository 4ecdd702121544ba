//! How videos come: in pieces, in one go, and not at all.
#![allow(clippy::unwrap_used, missing_docs)]

mod app;

use app::clips::{PUBLIC, TUS, begin, clip, ffmpeg, patch, send, site, upload, work};
use app::{NothingLive, uploads};
use axum::body::Body;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use millrace_site::{SiteConfig, UploadConfig, router};
use millrace_store::Role;
use millrace_vod::Staging;
use serde_json::{Value, json};
use tower::ServiceExt;

#[tokio::test]
async fn an_upload_goes_on_where_it_stopped_and_becomes_a_video() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let (one, two) = clip().split_at(clip().len() / 3);
    let begun = begin(&creator, clip().len(), PUBLIC).await;
    assert_eq!((begun.status, begun.header("tus-resumable")), (StatusCode::CREATED, "1.0.0"));
    assert!(begun.header("upload-expires").ends_with("GMT"));
    let (place, id) = (begun.header("location").to_owned(), begun.header("millrace-video").to_owned());
    let sent = patch(&creator, &place, 0, one).await;
    assert_eq!((sent.status, sent.header("upload-offset")), (StatusCode::NO_CONTENT, &*one.len().to_string()));
    let state = |json: Value| json["state"].as_str().unwrap().to_owned();
    assert_eq!(state(creator.get(&format!("/api/v1/videos/{id}")).await.json), "uploading");
    let own = creator.get("/api/v1/users/me/uploads").await.json;
    assert_eq!((&own["items"][0]["received"], &own["items"][0]["video"]), (&json!(one.len()), &json!(id)));
    assert_eq!(own["items"][0]["fingerprint"], "", "its sender said nothing by which it knows the file again");
    let other = begin(&creator, 9, "fingerprint OS01LWFi").await;
    let own = creator.get("/api/v1/users/me/uploads").await.json;
    assert_eq!(own["items"][1]["fingerprint"], "9-5-ab");
    assert_eq!(send(&creator, "DELETE", other.header("location"), &[TUS], b"").await.status, StatusCode::NO_CONTENT);

    // Whoever comes back asks how far it is, also after the server was away.
    drop(creator);
    let app = app.restart().await;
    tokio::spawn(app.accounts.follow());
    let creator = app.browser("cora").await;
    let head = send(&creator, "HEAD", &place, &[TUS], b"").await;
    assert_eq!(head.header("upload-offset"), one.len().to_string());
    assert_eq!(head.header("upload-length"), clip().len().to_string());
    assert_eq!((head.header("cache-control"), head.header("upload-metadata")), ("no-store", PUBLIC));
    let elsewhere = patch(&creator, &place, 5, two).await;
    assert_eq!(elsewhere.status, StatusCode::CONFLICT);
    let sent = patch(&creator, &place, one.len(), two).await;
    assert_eq!((sent.status, sent.header("upload-offset")), (StatusCode::NO_CONTENT, &*clip().len().to_string()));

    assert_eq!(state(creator.get(&format!("/api/v1/videos/{id}")).await.json), "received");
    let head = send(&creator, "HEAD", &place, &[TUS], b"").await;
    assert_eq!(head.header("upload-offset"), clip().len().to_string(), "who did not hear it can ask");
    let again = patch(&creator, &place, clip().len(), b"").await;
    assert_eq!(again.status, StatusCode::NO_CONTENT);
    work(&app, None).await;
    let video = creator.get(&format!("/api/v1/videos/{id}")).await.json;
    assert_eq!((&video["state"], &video["title"]), (&json!("ready"), &json!("clip")));
    assert_eq!(
        (&video["width"], &video["height"], &video["media"]["frame_rate"]),
        (&json!(320), &json!(180), &json!(25000))
    );
    assert!((4.9..5.2).contains(&video["duration"].as_f64().unwrap()));
    assert_eq!(video["own"]["stored_bytes"], json!(clip().len()));
    let listed = app.anonymous().get("/api/v1/videos?channel=engine").await.json;
    assert_eq!((&listed["items"][0]["id"], listed["items"][0].get("own")), (&json!(id), None));
}

#[tokio::test]
async fn what_is_no_video_is_refused_with_the_reason() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let text = b"dear diary\n".repeat(1000);
    let zip = [b"PK\x03\x04".as_slice(), &[0; 8000]].concat();
    let playlist = b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/secret.ts\n".repeat(200);
    for (bytes, reason) in [(&text[..], "text file"), (&zip, "archive"), (&playlist, "playlist"), (&text[..50], "text")]
    {
        let begun = begin(&creator, bytes.len(), "filename dmlkZW8ubXA0").await; // video.mp4
        let sent = patch(&creator, begun.header("location"), 0, bytes).await;
        assert_eq!(sent.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert!(sent.json()["error"].as_str().unwrap().contains(reason), "{}", sent.json());
    }
    assert_eq!(begin(&creator, 0, "").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "an empty file");
    assert_eq!(creator.get("/api/v1/users/me/videos").await.json["items"], json!([]));
    assert_eq!(std::fs::read_dir(app._directory.path().join("uploads")).unwrap().count(), 0);

    // One that only begins like a video fails in words, and can be tried again.
    let cut = &clip()[..2000];
    let id = upload(&creator, cut, PUBLIC).await;
    work(&app, ffmpeg().await).await;
    let video = creator.get(&format!("/api/v1/videos/{id}")).await.json;
    assert_eq!(video["state"], "failed");
    assert!(!video["own"]["failure"].as_str().unwrap().is_empty(), "{video}");
    let again = creator.post(&format!("/api/v1/videos/{id}/retry"), Value::Null).await;
    assert_eq!((again.status, &again.json["state"]), (StatusCode::OK, &json!("received")));
}

#[tokio::test]
async fn what_is_too_much_is_refused_before_it_is_sent() {
    type Change = fn(&mut UploadConfig);
    let app = site().await;
    let creator = app.browser("cora").await;
    let cookie = creator.cookie.lock().unwrap().clone().unwrap();
    let ask = async |change: Change, length: u64| {
        let mut config = uploads(&app._directory);
        change(&mut config);
        let accounts = app.accounts.clone().with_uploads(config).unwrap();
        let request = Request::post("/api/v1/uploads")
            .header(TUS.0, TUS.1)
            .header("upload-length", length)
            .header(header::COOKIE, format!("session={cookie}"))
            .body(Body::empty())
            .unwrap();
        router(NothingLive, accounts, SiteConfig::default()).oneshot(request).await.unwrap()
    };
    let cases: [(Change, u64, StatusCode, &str); 4] = [
        (|_| (), (4 << 20) + 1, StatusCode::PAYLOAD_TOO_LARGE, "the largest that is taken has 4 MiB"),
        (|config| config.quota = Some(1 << 20), 2 << 20, StatusCode::PAYLOAD_TOO_LARGE, "1 MiB of your 1 MiB"),
        (|config| config.reserve = u64::MAX, 1000, StatusCode::SERVICE_UNAVAILABLE, "room for 0 bytes"),
        (|config| config.quota = Some(1 << 20), 1 << 20, StatusCode::CREATED, ""),
    ];
    for (change, length, status, words) in cases {
        let answer = ask(change, length).await;
        assert_eq!(answer.status(), status);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains(words), "{body:?}");
    }
    // A form that does not say how long it is may have what is left.
    let form = |file: &[u8]| {
        let head = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"clip.mp4\"\r\n\r\n";
        [head.as_bytes(), file, b"\r\n--x--\r\n"].concat()
    };
    for (quota, status) in [(1 << 20, StatusCode::PAYLOAD_TOO_LARGE), (3 << 20, StatusCode::CREATED)] {
        let accounts = app.accounts.clone();
        let accounts = accounts.with_uploads(UploadConfig { quota: Some(quota), ..uploads(&app._directory) }).unwrap();
        let request = Request::post("/api/v1/videos")
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x")
            .header(header::COOKIE, format!("session={cookie}"))
            .body(Body::from(form(clip())))
            .unwrap();
        let answer = router(NothingLive, accounts, SiteConfig::default()).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), status, "1 MiB is on its way already");
    }
    // What others were promised is no room any more.
    let room = Staging::open(&app._directory.path().join("uploads"), 0).unwrap().room(0).await.unwrap();
    let large: Change = |config| config.max_size = u64::MAX;
    assert_eq!(ask(large, room / 3 * 2).await.status(), StatusCode::CREATED);
    let second = ask(large, room / 3 * 2).await;
    assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE, "though the disk has as much as before");
    // More than was announced is not taken either.
    let begun = begin(&creator, 5000, PUBLIC).await;
    let long = patch(&creator, begun.header("location"), 0, &clip()[..6000]).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(send(&creator, "HEAD", begun.header("location"), &[TUS], b"").await.header("upload-offset"), "0");
    let viewer = app.with_role("vera", Role::Viewer).await;
    assert_eq!(begin(&viewer, 5000, PUBLIC).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_script_uploads_in_one_go() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let form = |fields: &[(&str, &str)], file: &[u8]| {
        let mut body = Vec::new();
        for (name, value) in fields {
            let part = format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        let head = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"C:\\\\my_clip.mp4\"\r\n\r\n";
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--x--\r\n");
        body
    };
    let kind = ("content-type", "multipart/form-data; boundary=x");
    let body = form(&[("title", "夜市"), ("visibility", "public"), ("channel", "engine")], clip());
    let made = send(&creator, "POST", "/api/v1/videos", &[kind], &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", String::from_utf8_lossy(&made.body));
    let video = made.json();
    assert_eq!((&video["title"], &video["state"]), (&json!("夜市"), &json!("received")));
    work(&app, None).await;
    let id = video["id"].as_str().unwrap();
    assert_eq!(creator.get(&format!("/api/v1/videos/{id}")).await.json["state"], "ready");
    let stored = send(&creator, "GET", &format!("/videos/{id}"), &[], b"").await;
    assert_eq!(stored.body, clip(), "not a byte more or less");

    let from_form =
        send(&creator, "POST", "/api/v1/videos", &[kind, ("accept", "text/html")], &form(&[], clip())).await;
    assert_eq!(from_form.status, StatusCode::SEE_OTHER);
    assert!(from_form.header("location").starts_with("/studio/videos/"));
    let late = b"\r\n--x\r\ncontent-disposition: form-data; name=\"title\"\r\n\r\nToo late\r\n--x--\r\n";
    let whole = form(&[], clip());
    let late = [&whole[..whole.len() - b"\r\n--x--\r\n".len()], late].concat();
    for (body, words) in [
        (form(&[("visibility", "secret")], clip()), "visibility"),
        (form(&[("channel", "nobodys")], clip()), "channel"),
        (b"--x--\r\n".to_vec(), "no file"),
        (form(&[], b"dear diary, this is a text and no video at all"), "text file"),
        (form(&[], clip())[..9000].to_vec(), "stopped"),
        (late, "before the file"),
    ] {
        let refused = send(&creator, "POST", "/api/v1/videos", &[kind], &body).await;
        assert!(refused.status.is_client_error());
        assert!(refused.json()["error"].as_str().unwrap().contains(words), "{words}: {}", refused.json());
    }
    assert_eq!(creator.get("/api/v1/users/me/videos").await.json["items"].as_array().unwrap().len(), 2);
    assert_eq!(std::fs::read_dir(app._directory.path().join("uploads")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_server_that_ends_while_it_receives_goes_on_later() {
    let app = site().await;
    let creator = app.browser("cora").await;
    // One of another node, whose file is there.
    let elsewhere = begin(&creator, 5000, PUBLIC).await;
    let upload: millrace_store::UploadId = elsewhere.header("location").rsplit('/').next().unwrap().parse().unwrap();
    std::fs::remove_file(app._directory.path().join("uploads").join(upload.as_str())).unwrap();
    app.store.seal_upload(&upload, millrace_objects::Key::new("mp4").as_str()).await.unwrap();
    // Whole, and not yet in its place: as a kill between two steps leaves it. Both sides of the move.
    for moved in [false, true] {
        let begun = begin(&creator, clip().len(), PUBLIC).await;
        let place = begun.header("location").to_owned();
        patch(&creator, &place, 0, &clip()[..clip().len() - 1]).await;
        let upload: millrace_store::UploadId = place.rsplit('/').next().unwrap().parse().unwrap();
        let path = app._directory.path().join("uploads").join(upload.as_str());
        std::fs::write(&path, clip()).unwrap();
        let key = millrace_objects::Key::new("mp4");
        app.store.seal_upload(&upload, key.as_str()).await.unwrap();
        if moved {
            app.accounts.vod().objects().put_file_as(&key, &path).await.unwrap();
        }
        let id = begun.header("millrace-video");
        assert_eq!(creator.get(&format!("/api/v1/videos/{id}")).await.json["state"], "received");
        let head = send(&creator, "HEAD", &place, &[TUS], b"").await;
        assert_eq!(head.header("upload-offset"), clip().len().to_string());
        app.accounts.resume_uploads().await;
        work(&app, None).await;
        assert_eq!(creator.get(&format!("/api/v1/videos/{id}")).await.json["state"], "ready", "moved: {moved}");
    }
}
