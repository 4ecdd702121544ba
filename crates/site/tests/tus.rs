//! Uploads as tus 1.0.0 says them (<https://tus.io/protocols/resumable-upload>): what a server must do, in its order.
#![allow(clippy::unwrap_used, missing_docs)]

mod app;

use std::net::SocketAddr;
use std::time::Duration;

use app::clips::{Got, PUBLIC, STREAM, TUS, begin, clip, head, on_their_way, patch, send, site, work};
use app::{App, Client, uploads};
use http::StatusCode;
use millrace_jobs::Work;
use millrace_site::{CorsOrigins, SiteConfig, UploadConfig};
use millrace_store::{Role, UploadId};
use millrace_vod::jobs;
use serde_json::{Value, json};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const UPLOADS: &str = "/api/v1/uploads";

/// An upload of the clip that has begun; its place.
async fn begun(client: &Client<'_>) -> String {
    let begun = begin(client, clip().len(), PUBLIC).await;
    assert_eq!(begun.status, StatusCode::CREATED);
    begun.header("location").to_owned()
}

/// How far an upload is.
async fn offset(client: &Client<'_>, place: &str) -> usize {
    let head = head(client, place).await;
    assert_eq!(head.status, StatusCode::OK);
    head.header("upload-offset").parse().unwrap()
}

/// A request with the bytes of a PATCH from `offset` on, and these headers beside those that it needs.
async fn patch_with(client: &Client<'_>, place: &str, offset: &str, more: &[(&str, &str)], bytes: &[u8]) -> Got {
    send(client, "PATCH", place, &[&[TUS, STREAM, ("upload-offset", offset)], more].concat(), bytes).await
}

/// Begins an upload with the first bytes of it.
async fn begin_with(client: &Client<'_>, length: usize, more: &[(&str, &str)], bytes: &[u8]) -> Got {
    let length = length.to_string();
    send(client, "POST", UPLOADS, &[&[TUS, STREAM, ("upload-length", &length)], more].concat(), bytes).await
}

async fn own_videos(client: &Client<'_>) -> Vec<Value> {
    client.get("/api/v1/users/me/videos").await.json["items"].as_array().unwrap().clone()
}

/// A date as RFC 9110 §5.6.7 has it.
fn date(text: &str) -> OffsetDateTime {
    let form =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    PrimitiveDateTime::parse(text, form).unwrap_or_else(|error| panic!("{text:?}: {error}")).assume_utc()
}

// --- Core protocol

#[tokio::test]
async fn options_tell_what_is_spoken() {
    let app = site().await;
    // Whoever asks need not be known, nor speak the same version.
    for headers in [&[][..], &[("tus-resumable", "0.2.2")]] {
        let options = send(&app.anonymous(), "OPTIONS", UPLOADS, headers, b"").await;
        assert_eq!((options.status, options.body.len()), (StatusCode::NO_CONTENT, 0));
        assert_eq!((options.header("tus-version"), options.header("tus-resumable")), ("1.0.0", "1.0.0"));
        assert_eq!(options.header("tus-max-size"), (4 << 20).to_string());
        let mut extensions: Vec<_> = options.header("tus-extension").split(',').collect();
        extensions.sort_unstable();
        assert_eq!(extensions, ["checksum", "creation", "creation-with-upload", "expiration", "termination"]);
        assert_eq!(options.header("tus-checksum-algorithm"), "sha1,sha256");
    }
}

#[tokio::test]
async fn another_version_is_refused_and_does_nothing() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let place = begun(&creator).await;
    patch(&creator, &place, 0, &clip()[..4000]).await;
    for version in [None, Some("0.2.2"), Some("1.0.1"), Some("1.0"), Some("")] {
        let mut headers = vec![STREAM, ("upload-offset", "4000"), ("upload-length", "5000")];
        headers.extend(version.map(|version| ("tus-resumable", version)));
        for (method, path) in [("POST", UPLOADS), ("HEAD", &place), ("PATCH", &place), ("DELETE", &place)] {
            let refused = send(&creator, method, path, &headers, b"more").await;
            assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED, "{method} {version:?}");
            assert_eq!((refused.header("tus-version"), refused.header("tus-resumable")), ("1.0.0", "1.0.0"));
            assert_eq!(refused.header("upload-offset"), "");
        }
    }
    assert_eq!(offset(&creator, &place).await, 4000);
    assert_eq!(own_videos(&creator).await.len(), 1);
}

#[tokio::test]
async fn every_answer_says_the_version() {
    let app = site().await;
    let (creator, anonymous) = (app.browser("cora").await, app.anonymous());
    let place = begun(&creator).await;
    let unknown = format!("{UPLOADS}/{}", UploadId::new());
    let long = vec![0; clip().len() + 1];
    type Case<'a> = (&'a Client<'a>, &'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8], u16);
    let cases: [Case<'_>; 14] = [
        (&creator, "OPTIONS", UPLOADS, &[], b"", 204),
        (&creator, "POST", UPLOADS, &[TUS, ("upload-length", "9000")], b"", 201),
        (&creator, "POST", UPLOADS, &[TUS], b"", 400),
        (&creator, "POST", UPLOADS, &[TUS, ("upload-length", "9000000")], b"", 413),
        (&anonymous, "POST", UPLOADS, &[TUS, ("upload-length", "9000")], b"", 401),
        (&creator, "PUT", UPLOADS, &[TUS], b"", 405),
        (&creator, "HEAD", &place, &[TUS], b"", 200),
        (&creator, "HEAD", &unknown, &[TUS], b"", 404),
        (&creator, "GET", &place, &[TUS], b"", 405),
        (&creator, "PATCH", &place, &[TUS, ("upload-offset", "0")], b"", 415),
        (&creator, "PATCH", &place, &[TUS, STREAM, ("upload-offset", "1")], b"", 409),
        (&creator, "PATCH", &place, &[TUS, STREAM, ("upload-offset", "0")], &long, 413),
        (&creator, "PATCH", &place, &[TUS, STREAM, ("upload-offset", "0")], &clip()[..10], 204),
        (&creator, "DELETE", &place, &[TUS], b"", 204),
    ];
    for (client, method, path, headers, body, status) in cases {
        let got = send(client, method, path, headers, body).await;
        assert_eq!(
            (got.status.as_u16(), got.header("tus-resumable")),
            (status, "1.0.0"),
            "{method} {path} {headers:?}"
        );
    }
}

#[tokio::test]
async fn head_tells_how_far_it_is() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let place = begun(&creator).await;
    let size = clip().len().to_string();
    for (sent, upto) in [(0, 0), (0, 7000), (7000, clip().len())] {
        let got = patch(&creator, &place, sent, &clip()[sent..upto]).await;
        assert_eq!((got.status, got.header("upload-offset")), (StatusCode::NO_CONTENT, &*upto.to_string()));
        let head = head(&creator, &place).await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
        assert_eq!((head.header("upload-offset"), head.header("upload-length")), (&*upto.to_string(), &*size));
        assert_eq!((head.header("cache-control"), head.header("upload-metadata")), ("no-store", PUBLIC));
    }
}

#[tokio::test]
async fn what_is_not_there_has_no_offset() {
    let app = site().await;
    let (creator, other) = (app.browser("cora").await, app.with_role("otto", Role::Creator).await);
    let (place, ended) = (begun(&creator).await, begun(&creator).await);
    assert_eq!(send(&creator, "DELETE", &ended, &[TUS], b"").await.status, StatusCode::NO_CONTENT);
    let unknown = format!("{UPLOADS}/{}", UploadId::new());
    let no_id = format!("{UPLOADS}/..%2Fmillrace.db");
    for (client, path) in [(&creator, &ended), (&creator, &unknown), (&creator, &no_id), (&other, &place)] {
        for got in [
            head(client, path).await,
            patch(client, path, 0, b"bytes").await,
            send(client, "DELETE", path, &[TUS], b"").await,
        ] {
            assert_eq!((got.status, got.header("upload-offset")), (StatusCode::NOT_FOUND, ""), "{path}");
        }
    }
    assert_eq!(head(&app.anonymous(), &place).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(offset(&creator, &place).await, 0, "what others ask does nothing to it");
}

#[tokio::test]
async fn a_patch_that_is_not_right_changes_nothing() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let place = begun(&creator).await;
    patch(&creator, &place, 0, &clip()[..4000]).await;
    let kind = |kind| [TUS, ("upload-offset", "4000"), ("content-type", kind)];
    for headers in [
        &kind("application/octet-stream")[..],
        &kind("application/offset+octet-stream-2"),
        &kind("multipart/form-data; boundary=x"),
        &[TUS, ("upload-offset", "4000")],
    ] {
        let refused = send(&creator, "PATCH", &place, headers, b"more").await;
        assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{headers:?}");
    }
    let beyond = (u128::from(u64::MAX) + 1).to_string();
    for (offset, status) in [
        ("0", StatusCode::CONFLICT),
        ("3999", StatusCode::CONFLICT),
        ("4001", StatusCode::CONFLICT),
        (&beyond, StatusCode::CONFLICT),
        ("-1", StatusCode::BAD_REQUEST),
        ("+4000", StatusCode::BAD_REQUEST),
        ("4000.0", StatusCode::BAD_REQUEST),
        ("0x10", StatusCode::BAD_REQUEST),
        ("", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(patch_with(&creator, &place, offset, &[], b"more").await.status, status, "{offset:?}");
    }
    let none = send(&creator, "PATCH", &place, &[TUS, STREAM], b"more").await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    assert_eq!(offset(&creator, &place).await, 4000);
    let sent = patch(&creator, &place, 4000, &clip()[4000..]).await;
    assert_eq!(sent.header("upload-offset"), clip().len().to_string(), "and it goes on");
}

#[tokio::test]
async fn what_goes_beyond_the_length_is_not_taken() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let place = begun(&creator).await;
    patch(&creator, &place, 0, &clip()[..4000]).await;
    let long = [&clip()[4000..], b"!"].concat();
    let refused = patch(&creator, &place, 4000, &long).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(offset(&creator, &place).await, 4000);
    patch(&creator, &place, 4000, &clip()[4000..]).await;
    // It is whole: there is no more to send, and whoever did not hear so asks with nothing.
    let (end, size) = (clip().len().to_string(), clip().len());
    let again = patch(&creator, &place, size, b"").await;
    assert_eq!((again.status, again.header("upload-offset")), (StatusCode::NO_CONTENT, &*end));
    assert_eq!(patch(&creator, &place, size, b"more").await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(patch(&creator, &place, 4000, &clip()[4000..]).await.status, StatusCode::CONFLICT);
    assert_eq!(offset(&creator, &place).await, size);
}

#[tokio::test]
async fn another_method_takes_the_place_of_post() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let place = begun(&creator).await;
    let as_if = async |actual: &str, method: &str, more: &[(&str, &str)], body: &[u8]| {
        let headers = [&[TUS, ("x-http-method-override", method)], more].concat();
        send(&creator, actual, &place, &headers, body).await
    };
    let sent = as_if("POST", "PATCH", &[STREAM, ("upload-offset", "0")], &clip()[..5000]).await;
    assert_eq!((sent.status, sent.header("upload-offset")), (StatusCode::NO_CONTENT, "5000"));
    let asked = as_if("POST", "HEAD", &[], b"").await;
    assert_eq!((asked.status, asked.header("upload-offset")), (StatusCode::OK, "5000"));
    for (actual, method) in [("POST", "GET"), ("POST", "patch"), ("POST", ""), ("GET", "DELETE")] {
        assert_eq!(as_if(actual, method, &[], b"").await.status, StatusCode::METHOD_NOT_ALLOWED, "{actual} {method}");
    }
    assert_eq!(send(&creator, "POST", &place, &[TUS], b"").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(as_if("POST", "DELETE", &[], b"").await.status, StatusCode::NO_CONTENT);
    assert_eq!(head(&creator, &place).await.status, StatusCode::NOT_FOUND);
}

// --- Creation

#[tokio::test]
async fn an_upload_is_made_with_its_length() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let most = begin(&creator, 4 << 20, PUBLIC).await;
    assert_eq!((most.status, most.header("upload-offset")), (StatusCode::CREATED, "0"));
    let asked = head(&creator, most.header("location")).await;
    assert_eq!((asked.header("upload-offset"), asked.header("upload-length")), ("0", &*(4 << 20).to_string()));

    let beyond = (u128::from(u64::MAX) + 1).to_string();
    let above = ((4 << 20) + 1).to_string();
    for (length, status) in [
        (Some(&*above), StatusCode::PAYLOAD_TOO_LARGE),
        (Some(&beyond), StatusCode::PAYLOAD_TOO_LARGE),
        (Some("-1"), StatusCode::BAD_REQUEST),
        (Some("1e3"), StatusCode::BAD_REQUEST),
        (Some(""), StatusCode::BAD_REQUEST),
        (None, StatusCode::BAD_REQUEST),
        // A site of videos has no empty files.
        (Some("0"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let mut headers = vec![TUS];
        headers.extend(length.map(|length| ("upload-length", length)));
        let refused = send(&creator, "POST", UPLOADS, &headers, b"").await;
        assert_eq!((refused.status, refused.header("location")), (status, ""), "{length:?}");
    }
    // That the length is told later, and parts that are put together, are not offered.
    for headers in [&[("upload-defer-length", "1")][..], &[("upload-length", "5000"), ("upload-concat", "partial")]] {
        let refused = send(&creator, "POST", UPLOADS, &[&[TUS], headers].concat(), b"").await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{headers:?}");
    }
    assert_eq!((own_videos(&creator).await.len(), on_their_way(&app)), (1, 1), "what is refused leaves nothing");
}

#[tokio::test]
async fn metadata_are_names_and_base64() {
    let app = site().await;
    let creator = app.browser("cora").await;
    // `Nacht` and `夜`; names that are unknown, with a value that is empty or not there.
    for metadata in [
        "title TmFjaHQ=",
        "title TmFjaHQ=,filename 5aSc",
        "is_confidential,title TmFjaHQ=,filetype ,also",
        "title TmFjaHQ= , filename 5aSc",
        "description,title TmFjaHQ=",
    ] {
        let begun = begin(&creator, 5000, metadata).await;
        assert_eq!(begun.status, StatusCode::CREATED, "{metadata}: {:?}", String::from_utf8_lossy(&begun.body));
        let place = begun.header("location");
        assert_eq!(head(&creator, place).await.header("upload-metadata"), metadata, "it is given back as it was said");
        let video = creator.get(&format!("/api/v1/videos/{}", begun.header("millrace-video"))).await.json;
        assert_eq!(video["title"], "Nacht", "{metadata}");
        send(&creator, "DELETE", place, &[TUS], b"").await;
    }
    let bare = send(&creator, "POST", UPLOADS, &[TUS, ("upload-length", "5000")], b"").await;
    let asked = head(&creator, bare.header("location")).await;
    assert!(!asked.headers.contains_key("upload-metadata"), "nothing was said");
    send(&creator, "DELETE", bare.header("location"), &[TUS], b"").await;

    let long = format!("title {}", "QUFB".repeat(4096));
    for metadata in [
        "title Nacht!",
        "title TmFjaHQ",
        "title TmFjaHQ= extra",
        "title TmFjaHQ=,title TmFjaHQ=",
        "title TmFjaHQ=,",
        ",",
        "title TmFj,,filename 5aSc",
        "title gICA", // no UTF-8
        "title AA==", // NUL
        "visibility c2VjcmV0",
        &long,
    ] {
        let refused = begin(&creator, 5000, metadata).await;
        assert_eq!((refused.status, refused.header("location")), (StatusCode::BAD_REQUEST, ""), "{metadata}");
    }
    assert_eq!((own_videos(&creator).await.len(), on_their_way(&app)), (0, 0));
}

// --- Creation with upload

#[tokio::test]
async fn the_first_bytes_may_come_at_once() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let size = clip().len();
    let begun = begin_with(&creator, size, &[], &clip()[..5000]).await;
    assert_eq!((begun.status, begun.header("upload-offset")), (StatusCode::CREATED, "5000"));
    let sent = patch(&creator, begun.header("location"), 5000, &clip()[5000..]).await;
    assert_eq!(sent.header("upload-offset"), size.to_string());
    // All of it, and nothing.
    let all = begin_with(&creator, size, &[], clip()).await;
    assert_eq!((all.status, all.header("upload-offset")), (StatusCode::CREATED, &*size.to_string()));
    assert_eq!(offset(&creator, all.header("location")).await, size);
    let none = begin_with(&creator, size, &[], b"").await;
    assert_eq!((none.status, none.header("upload-offset")), (StatusCode::CREATED, "0"));
    // What does not say that it is part of the upload is none of it.
    let headers = [TUS, ("upload-length", "5000"), ("content-type", "text/plain")];
    let other = send(&creator, "POST", UPLOADS, &headers, b"dear diary").await;
    assert_eq!((other.status, other.header("upload-offset")), (StatusCode::CREATED, "0"));
    work(&app, None).await;
    let states: Vec<_> = own_videos(&creator).await.iter().map(|video| video["state"].clone()).collect();
    assert_eq!(states.iter().filter(|state| *state == "ready").count(), 2, "{states:?}");
}

#[tokio::test]
async fn what_does_not_begin_leaves_nothing() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let size = clip().len();
    let abc = ("upload-checksum", "sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
    let text = b"dear diary\n".repeat(1000);
    for (length, more, bytes, status) in [
        (size, &[][..], &[clip(), b"!"].concat()[..], 413),
        (size, &[abc], &clip()[..9000], 460),
        (size, &[("upload-checksum", "crc32 AAAA")], &clip()[..9000], 400),
        (text.len(), &[], &text, 415),
    ] {
        let refused = begin_with(&creator, length, more, bytes).await;
        assert_eq!((refused.status.as_u16(), refused.header("location")), (status, ""));
        assert_eq!((own_videos(&creator).await.len(), on_their_way(&app)), (0, 0), "{status}");
    }
}

// --- Expiration

#[tokio::test]
async fn it_is_told_until_when_it_is_kept() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let hour = |from: OffsetDateTime, text: &str| {
        let seconds = (date(text) - from).whole_seconds();
        assert!((3590..3900).contains(&seconds), "an hour from then on: {seconds} s");
    };
    let now = OffsetDateTime::now_utc();
    let begun = begin(&creator, clip().len(), PUBLIC).await;
    let place = begun.header("location");
    hour(now, begun.header("upload-expires"));
    hour(now, patch(&creator, place, 0, &clip()[..5000]).await.header("upload-expires"));
    hour(now, head(&creator, place).await.header("upload-expires"));
}

#[tokio::test]
async fn what_has_expired_is_gone() {
    let mut app = site().await;
    // Nothing is kept for longer than it takes.
    let config = UploadConfig { keep: Duration::ZERO, ..uploads(&app._directory) };
    app.accounts = app.accounts.clone().with_uploads(config).unwrap();
    let app = app.configured(SiteConfig::default());
    let creator = app.browser("cora").await;
    let (place, received) = (begun(&creator).await, begun(&creator).await);
    patch(&creator, &place, 0, &clip()[..5000]).await;
    patch(&creator, &received, 0, clip()).await;
    app.store.enqueue(&jobs::ExpireUploads {}.job()).await.unwrap();
    work(&app, None).await;
    for place in [&place, &received] {
        for got in [head(&creator, place).await, patch(&creator, place, 5000, b"more").await] {
            assert_eq!((got.status, got.header("upload-offset")), (StatusCode::NOT_FOUND, ""));
        }
    }
    let left = own_videos(&creator).await;
    assert_eq!((left.len(), &left[0]["state"]), (1, &json!("ready")), "what was received stays");
    assert_eq!(on_their_way(&app), 0);
}

// --- Checksum

#[tokio::test]
async fn bytes_that_do_not_agree_are_not_kept() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let place = begun(&creator).await;
    patch(&creator, &place, 0, &clip()[..6000]).await;
    // Of "abc" (FIPS 180-2).
    let sums = ["sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", "sha256 ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="];
    for sum in sums {
        for bytes in [&b"abd"[..], b"ab", b"abcd", b""] {
            let wrong = patch_with(&creator, &place, "6000", &[("upload-checksum", sum)], bytes).await;
            assert_eq!((wrong.status.as_u16(), wrong.header("upload-offset")), (460, ""), "{sum}");
        }
    }
    for sum in [
        "crc32 AAAA",
        "md5 kAFQmDzST7DWlj99KOF/cg==",
        "SHA1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
        "sha1",
        "sha1 ?",
        "sha1 AAAA",
    ] {
        let unknown = patch_with(&creator, &place, "6000", &[("upload-checksum", sum)], b"abc").await;
        assert_eq!(unknown.status, StatusCode::BAD_REQUEST, "{sum}");
    }
    assert_eq!(offset(&creator, &place).await, 6000);
    // The last piece as well: nothing is received by a wrong one.
    let last = patch_with(&creator, &place, "6000", &[("upload-checksum", sums[0])], &clip()[6000..]).await;
    assert_eq!((last.status.as_u16(), offset(&creator, &place).await), (460, 6000));
    for (sum, at) in sums.into_iter().zip(["6000", "6003"]) {
        let right = patch_with(&creator, &place, at, &[("upload-checksum", sum)], b"abc").await;
        assert_eq!(right.status, StatusCode::NO_CONTENT, "{sum}");
    }
    assert_eq!(offset(&creator, &place).await, 6006);
}

// --- Termination

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing_and_one_that_was_received_its_video() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let (unfinished, whole) = (begun(&creator).await, begun(&creator).await);
    patch(&creator, &unfinished, 0, &clip()[..5000]).await;
    patch(&creator, &whole, 0, clip()).await;
    for place in [&unfinished, &whole] {
        assert_eq!(send(&creator, "DELETE", place, &[TUS], b"").await.status, StatusCode::NO_CONTENT);
        assert_eq!(head(&creator, place).await.status, StatusCode::NOT_FOUND);
        assert_eq!(send(&creator, "DELETE", place, &[TUS], b"").await.status, StatusCode::NOT_FOUND);
    }
    work(&app, None).await;
    let left = own_videos(&creator).await;
    assert_eq!((left.len(), &left[0]["state"]), (1, &json!("ready")));
    assert_eq!(on_their_way(&app), 0);
}

#[tokio::test]
async fn an_upload_that_was_received_is_neither_offered_nor_given_up_before_its_file_is_in_its_place() {
    let app = site().await;
    let creator = app.browser("cora").await;
    let begun = begin(&creator, clip().len(), PUBLIC).await;
    let place = begun.header("location");
    patch(&creator, place, 0, &clip()[..5000]).await;
    // As it is while its file is moved.
    let upload: UploadId = place.rsplit('/').next().unwrap().parse().unwrap();
    app.store.seal_upload(&upload, millrace_objects::Key::new("mp4").as_str()).await.unwrap();
    assert_eq!(creator.get("/api/v1/users/me/uploads").await.json["items"], json!([]));
    assert_eq!(send(&creator, "DELETE", place, &[TUS], b"").await.status, StatusCode::CONFLICT);
    assert_eq!(own_videos(&creator).await[0]["state"], "received");
    assert_eq!(on_their_way(&app), 1, "nor is its file");
}

// --- What is seen on a connection alone

/// A server with the site, for as long as the test.
async fn serve(app: &App) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = app.router.clone().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// Connects, and sends a PATCH with these headers and bytes.
async fn send_raw(server: SocketAddr, creator: &Client<'_>, place: &str, headers: &str, bytes: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(server).await.unwrap();
    let cookie = creator.cookie.lock().unwrap().clone().unwrap();
    let head = format!(
        "PATCH {place} HTTP/1.1\r\nHost: localhost\r\nCookie: session={cookie}\r\nTus-Resumable: 1.0.0\r\n\
         Content-Type: application/offset+octet-stream\r\n{headers}\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    socket
}

/// The first line of the next answer, up to the end of its head.
async fn status(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().lines().next().unwrap().to_owned()
}

/// Waits until so many bytes of the only upload are here; who sends them is left alone.
async fn until(creator: &Client<'_>, wanted: usize) {
    let arrived = async {
        while creator.get("/api/v1/users/me/uploads").await.json["items"][0]["received"] != json!(wanted) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let timeout = tokio::time::timeout(Duration::from_secs(30), arrived).await;
    timeout.unwrap_or_else(|_| panic!("the upload never has {wanted} bytes"));
}

#[tokio::test]
async fn what_came_before_a_connection_broke_is_kept() {
    let app = site().await;
    let (server, creator) = (serve(&app).await, app.browser("cora").await);
    let place = begun(&creator).await;
    let rest = format!("Upload-Offset: 0\r\nContent-Length: {}\r\n", clip().len());
    drop(send_raw(server, &creator, &place, &rest, &clip()[..5000]).await);
    until(&creator, 5000).await;

    // In pieces whose number is not known before, and the last of them is missing.
    let chunk = [b"400\r\n", &clip()[5000..5000 + 0x400], b"\r\n", b"400\r\n", &clip()[6024..6100]].concat();
    let chunked = "Upload-Offset: 5000\r\nTransfer-Encoding: chunked\r\n";
    drop(send_raw(server, &creator, &place, chunked, &chunk).await);
    until(&creator, 6100).await;

    // What is to agree as a whole is good for nothing in parts.
    let sum = "Upload-Checksum: sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\r\n";
    let rest = format!("{sum}Upload-Offset: 6100\r\nContent-Length: {}\r\n", clip().len() - 6100);
    let sender = send_raw(server, &creator, &place, &rest, &clip()[6100..9000]).await;
    until(&creator, 9000).await;
    drop(sender);
    until(&creator, 6100).await;

    assert_eq!(patch(&creator, &place, 6100, &clip()[6100..]).await.status, StatusCode::NO_CONTENT);
    work(&app, None).await;
    let id = own_videos(&creator).await[0]["id"].as_str().unwrap().to_owned();
    assert!(send(&creator, "GET", &format!("/videos/{id}"), &[], b"").await.body == clip());
}

#[tokio::test]
async fn whoever_comes_back_need_not_wait_for_a_connection_that_hangs() {
    let app = site().await;
    let (server, creator) = (serve(&app).await, app.browser("cora").await);
    let place = begun(&creator).await;
    let all = format!("Upload-Offset: 0\r\nContent-Length: {}\r\n", clip().len());
    let mut hanging = send_raw(server, &creator, &place, &all, &clip()[..5000]).await;
    until(&creator, 5000).await;
    let sent = patch(&creator, &place, 5000, &clip()[5000..9000]).await;
    assert_eq!((sent.status, sent.header("upload-offset")), (StatusCode::NO_CONTENT, "9000"));
    assert_eq!(status(&mut hanging).await, "HTTP/1.1 409 Conflict");

    // Whoever asks where to go on goes on there, whatever still comes of what was sent before.
    let rest = format!("Upload-Offset: 9000\r\nContent-Length: {}\r\n", clip().len() - 9000);
    let mut hanging = send_raw(server, &creator, &place, &rest, &clip()[9000..9500]).await;
    until(&creator, 9500).await;
    assert_eq!(offset(&creator, &place).await, 9500);
    assert_eq!(status(&mut hanging).await, "HTTP/1.1 409 Conflict");
    let sent = patch(&creator, &place, 9500, &clip()[9500..]).await;
    assert_eq!((sent.status, sent.header("upload-offset")), (StatusCode::NO_CONTENT, &*clip().len().to_string()));
}

#[tokio::test]
async fn what_will_be_refused_need_not_be_sent() {
    let app = site().await;
    let (server, creator) = (serve(&app).await, app.browser("cora").await);
    let place = begun(&creator).await;
    let size = clip().len();
    for (headers, answer) in [
        (format!("Upload-Offset: 0\r\nContent-Length: {}\r\n", size + 1), "HTTP/1.1 413 Payload Too Large"),
        (format!("Upload-Offset: 9\r\nContent-Length: {}\r\n", size - 9), "HTTP/1.1 409 Conflict"),
        (
            format!("Upload-Checksum: crc32 A\r\nUpload-Offset: 0\r\nContent-Length: {size}\r\n"),
            "HTTP/1.1 400 Bad Request",
        ),
    ] {
        let headers = format!("Expect: 100-continue\r\n{headers}");
        let mut socket = send_raw(server, &creator, &place, &headers, b"").await;
        assert_eq!(status(&mut socket).await, answer);
    }
    let headers = format!("Expect: 100-continue\r\nUpload-Offset: 0\r\nContent-Length: {size}\r\n");
    let mut socket = send_raw(server, &creator, &place, &headers, b"").await;
    assert_eq!(status(&mut socket).await, "HTTP/1.1 100 Continue");
    socket.write_all(clip()).await.unwrap();
    assert_eq!(status(&mut socket).await, "HTTP/1.1 204 No Content");
    assert_eq!(offset(&creator, &place).await, size);
}

// --- Pages of other sites

#[tokio::test]
async fn a_client_in_another_sites_page_may_send_and_read_what_it_needs() {
    let app = site().await.configured(SiteConfig { cors: CorsOrigins::All, ..SiteConfig::default() });
    let from = [("origin", "https://app.example"), ("sec-fetch-site", "cross-site")];
    let asks = [from[0], from[1], ("access-control-request-method", "PATCH")];
    let preflight = send(&app.anonymous(), "OPTIONS", UPLOADS, &asks, b"").await;
    let allowed: Vec<_> = preflight.header("access-control-allow-headers").split(", ").collect();
    for name in ["tus-resumable", "upload-length", "upload-metadata", "upload-offset", "upload-checksum"] {
        assert!(allowed.contains(&name), "{name}: {allowed:?}");
    }
    let options = send(&app.anonymous(), "OPTIONS", UPLOADS, &from, b"").await;
    assert_eq!(options.header("tus-version"), "1.0.0");
    let exposed: Vec<_> = options.header("access-control-expose-headers").split(", ").collect();
    for name in ["location", "upload-offset", "upload-length", "upload-expires", "tus-resumable", "tus-version"] {
        assert!(exposed.contains(&name), "{name}: {exposed:?}");
    }
}
