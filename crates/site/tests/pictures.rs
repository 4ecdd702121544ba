//! Pictures of accounts and channels: set, shown, replaced, taken away; and what is refused.
#![allow(clippy::unwrap_used)]

mod app;

use std::io::Cursor;

use app::{App, Client, PASSWORD, code};
use axum::body::{Body, Bytes};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use image::{ImageFormat, Rgb, RgbImage};
use millrace_store::Role;
use serde_json::{Value, json};
use tower::ServiceExt;

fn picture(colour: [u8; 3]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(400, 300, Rgb(colour)).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

async fn get(app: &App, path: &str) -> (StatusCode, HeaderMap, Bytes) {
    let request = Request::get(path).header(header::ACCEPT_ENCODING, "br").body(Body::empty()).unwrap();
    let (parts, body) = app.router.clone().oneshot(request).await.unwrap().into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

fn kept(app: &App) -> usize {
    let entries = std::fs::read_dir(app._directory.path().join("objects")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_file()).count()
}

fn url(json: &Value, field: &str) -> String {
    json[field].as_str().unwrap_or_else(|| panic!("{field} of {json}")).to_owned()
}

async fn with_channel(app: &App) -> Client<'_> {
    let eve = app.with_role("eve", Role::Creator).await;
    let made = eve.post("/api/v1/channels", json!({ "handle": "river" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
    assert_eq!((&made.json["avatar_url"], &made.json["banner_url"]), (&Value::Null, &Value::Null));
    eve
}

#[tokio::test]
async fn ones_own_picture_is_set_replaced_and_taken_away() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    let set = ada.upload("/api/v1/users/me/avatar", &picture([200, 0, 0])).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.json);
    let first = url(&set.json, "avatar_url");
    let me = ada.get("/api/v1/users/me").await;
    assert_eq!((url(&me.json, "avatar_url"), &me.headers[header::ETAG]), (first.clone(), &set.headers[header::ETAG]));

    let (status, headers, bytes) = get(&app, &first).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CONTENT_TYPE], "image/jpeg");
    assert_eq!(headers[header::CONTENT_LENGTH], bytes.len().to_string());
    assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert!(headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("sandbox"));
    assert!(!headers.contains_key(header::SET_COOKIE) && !headers.contains_key(header::VARY));
    let shown = image::load_from_memory(&bytes).unwrap();
    assert_eq!((shown.width(), shown.height()), (256, 256));

    let again = ada.upload("/api/v1/users/me/avatar", &picture([0, 0, 200])).await;
    let second = url(&again.json, "avatar_url");
    assert_ne!(first, second, "what is cached for ever changes its address");
    assert_eq!(get(&app, &first).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&app, &second).await.0, StatusCode::OK);

    let gone = ada.delete("/api/v1/users/me/avatar").await;
    assert_eq!((gone.status, &gone.json["avatar_url"]), (StatusCode::OK, &Value::Null));
    let nothing = get(&app, &second).await;
    assert_eq!((nothing.0, &nothing.1[header::CACHE_CONTROL]), (StatusCode::NOT_FOUND, &"no-store".parse().unwrap()));
    assert_eq!(ada.delete("/api/v1/users/me/avatar").await.status, StatusCode::OK, "there is none already");
    assert_eq!(kept(&app), 0);
}

#[tokio::test]
async fn a_channel_has_an_avatar_and_a_banner() {
    let app = App::set_up().await;
    let eve = with_channel(&app).await;
    let avatar = eve.upload("/api/v1/channels/river/avatar", &picture([1, 2, 3])).await;
    let banner = eve.upload("/api/v1/channels/river/banner", &picture([4, 5, 6])).await;
    assert_eq!((avatar.status, banner.status), (StatusCode::OK, StatusCode::OK), "{}", banner.json);
    let channel = app.anonymous().get("/api/v1/channels/river").await.json;
    assert_eq!(channel, banner.json);
    let (_, _, bytes) = get(&app, &url(&channel, "banner_url")).await;
    let shown = image::load_from_memory(&bytes).unwrap();
    assert_eq!((shown.width(), shown.height()), (400, 100));
    assert_eq!(get(&app, &url(&channel, "avatar_url")).await.0, StatusCode::OK);

    let gone = eve.delete("/api/v1/channels/river/banner").await;
    assert_eq!((&gone.json["banner_url"], &gone.json["avatar_url"]), (&Value::Null, &channel["avatar_url"]));
    assert_eq!(eve.delete("/api/v1/channels/river/avatar").await.json["avatar_url"], Value::Null);
    assert_eq!(kept(&app), 0);
}

#[tokio::test]
async fn pictures_go_with_channel_and_account() {
    let app = App::set_up().await;
    let eve = with_channel(&app).await;
    let all = ["/api/v1/users/me/avatar", "/api/v1/channels/river/avatar", "/api/v1/channels/river/banner"];
    for path in all {
        assert_eq!(eve.upload(path, &picture([1, 2, 3])).await.status, StatusCode::OK);
    }
    assert_eq!(kept(&app), 3);
    assert_eq!(eve.delete("/api/v1/channels/river").await.status, StatusCode::NO_CONTENT);
    assert_eq!(kept(&app), 1);
    assert_eq!(eve.post("/api/v1/channels", json!({ "handle": "sea" })).await.status, StatusCode::CREATED);
    assert_eq!(eve.upload("/api/v1/channels/sea/banner", &picture([1, 2, 3])).await.status, StatusCode::OK);
    let deleted = eve.send(Method::DELETE, "/api/v1/users/me", &[], Some(json!({ "password": PASSWORD }))).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(kept(&app), 0);
}

#[tokio::test]
async fn only_those_who_may_set_pictures() {
    let app = App::set_up().await;
    let _eve = with_channel(&app).await;
    let (of_user, of_channel) = ("/api/v1/users/me/avatar", "/api/v1/channels/river/avatar");
    let (nobody, file) = (app.anonymous(), picture([1, 2, 3]));
    for path in [of_user, of_channel, "/api/v1/channels/river/banner"] {
        assert_eq!(nobody.upload(path, &file).await.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(nobody.delete(path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let other = app.with_role("bob", Role::Creator).await;
    assert_eq!(code(&other.upload(of_channel, &file).await), "005");
    assert_eq!(code(&other.delete(of_channel).await), "005");
    assert_eq!(code(&other.upload("/api/v1/channels/nothing/banner", &file).await), "006");
    assert_eq!(code(&other.delete("/api/v1/channels/nothing/banner").await), "006");
    let viewer = app.with_role("vic", Role::Viewer).await;
    assert_eq!(viewer.upload(of_user, &file).await.status, StatusCode::OK);
    let moderator = app.with_role("mod", Role::Moderator).await;
    assert_eq!(moderator.upload(of_channel, &file).await.status, StatusCode::OK);
    assert_eq!(moderator.delete(of_channel).await.status, StatusCode::OK);
    assert_eq!(kept(&app), 1);
    let of_viewer = "/api/v1/users/vic/avatar";
    assert!(moderator.page("/admin/users/vic").await.2.contains("DELETE /api/v1/users/vic/avatar"));
    assert_eq!(code(&other.delete(of_viewer).await), "005");
    assert_eq!(code(&moderator.delete("/api/v1/users/ada/avatar").await), "005", "an administrator's");
    assert_eq!(code(&moderator.delete("/api/v1/users/none/avatar").await), "006");
    assert_eq!(moderator.delete(of_viewer).await.json["avatar_url"], Value::Null);
    assert_eq!(kept(&app), 0);
    assert!(!moderator.page("/admin/users/vic").await.2.contains("DELETE /api/v1/users/vic/avatar"));
    let log = app.browser("ada").await.get("/api/v1/admin/audit?action=change-picture").await.json;
    let subjects: Vec<_> = log["items"].as_array().unwrap().iter().map(|entry| entry["subject"].as_str()).collect();
    assert_eq!(subjects, [Some("vic"), Some("river"), Some("river")], "what is not one's own is noted: {log}");

    let token = other.post("/api/v1/tokens", json!({ "name": "x", "scopes": ["channels"] })).await;
    let mut program = app.anonymous();
    program.headers.push(("authorization", format!("Bearer {}", token.json["token"].as_str().unwrap())));
    assert_eq!(code(&program.upload(of_user, &file).await), "005", "the token is for channels only");
}

#[tokio::test]
async fn what_is_no_fit_picture_is_refused_and_nothing_kept() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    let path = "/api/v1/users/me/avatar";
    let before = url(&ada.upload(path, &picture([9, 9, 9])).await.json, "avatar_url");
    let png = picture([1, 2, 3]);
    let cases = [
        (Vec::new(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (b"just text".to_vec(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (png[..png.len() / 2].to_vec(), StatusCode::BAD_REQUEST),
        ([&png[..], &vec![0; 5 << 20]].concat(), StatusCode::PAYLOAD_TOO_LARGE),
    ];
    for (file, status) in cases {
        let refused = ada.upload(path, &file).await;
        assert_eq!(refused.status, status, "{}", refused.json);
    }
    let mut wide = Cursor::new(Vec::new());
    RgbImage::new(8193, 1).write_to(&mut wide, ImageFormat::Png).unwrap();
    assert_eq!(ada.upload(path, wide.get_ref()).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let large = [&png[..], &vec![0; (5 << 20) - png.len()]].concat();
    assert_eq!(ada.upload("/api/v1/users/me/avatar", &large).await.status, StatusCode::OK, "5 MiB are allowed");
    assert_eq!(get(&app, &before).await.0, StatusCode::NOT_FOUND);
    assert_eq!(kept(&app), 1);
}

#[tokio::test]
async fn nothing_but_pictures_is_under_media() {
    let app = App::set_up().await;
    std::fs::write(app._directory.path().join("objects").join("notes.txt"), "x").unwrap();
    let digits = "0".repeat(32);
    for key in
        ["notes.txt", "..%2fsite.db", "%2e%2e%2fsite.db", &digits, &format!("{digits}.jpg"), &format!("{digits}.txt")]
    {
        let (status, _, body) = get(&app, &format!("/media/{key}")).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_FOUND, 0), "{key}");
    }
}
