//! Running the site, as administrators, moderators and those who may not meet it.
#![allow(clippy::unwrap_used, missing_docs)]

mod app;

use app::{Answer, App, Client, PASSWORD, code, registration, token_of};
use axum::body::Body;
use http::{HeaderValue, Method, Request, StatusCode, header};
use millrace_site::{CorsOrigins, SiteConfig};
use millrace_store::{NewApiToken, Role, UserState};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

fn tag(answer: &Answer) -> String {
    answer.headers[header::ETAG].to_str().unwrap().to_owned()
}

async fn set(ada: &Client<'_>, change: Value) -> Answer {
    let read = ada.get(SETTINGS).await;
    ada.send(Method::PATCH, SETTINGS, &[("if-match", &tag(&read))], Some(change)).await
}

const SETTINGS: &str = "/api/v1/admin/settings";

// --- Settings

#[tokio::test]
async fn administrators_set_what_the_site_says_of_itself() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    let read = ada.get(SETTINGS).await;
    assert_eq!((&read.json["registration"], &read.json["site_name"]), (&json!("invitation"), &json!("Millrace")));
    let change = json!({ "site_name": " River <TV> ", "description": "Boats & weirs", "registration": "open" });
    let changed = ada.send(Method::PATCH, SETTINGS, &[("if-match", &tag(&read))], Some(change)).await;
    assert_eq!((changed.status, &changed.json["site_name"]), (StatusCode::OK, &json!("River <TV>")));
    let site = app.anonymous().get("/api/v1/site").await.json;
    assert_eq!(
        (&site["name"], &site["description"], &site["registration"]),
        (&json!("River <TV>"), &json!("Boats & weirs"), &json!("open"))
    );
    let (_, _, page) = app.anonymous().page("/").await;
    assert!(page.contains("River &#60;TV&#62;") && page.contains("Boats &#38; weirs"), "{page}");
    let late = ada.send(Method::PATCH, SETTINGS, &[("if-match", &tag(&read))], Some(json!({}))).await;
    assert_eq!((late.status, code(&late)), (StatusCode::CONFLICT, "007"));
    assert_eq!(code(&ada.patch(SETTINGS, json!({})).await), "001", "If-Match is missing");
    let log = ada.get("/api/v1/admin/audit?action=change-settings").await;
    assert_eq!(log.json["items"][0]["details"], "site_name=\"River <TV>\" description registration=open");
}

#[tokio::test]
async fn settings_that_are_not_correct_change_nothing() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    let wrong = [
        json!({ "site_name": " " }),
        json!({ "site_name": "x".repeat(61) }),
        json!({ "description": "x".repeat(501) }),
        json!({ "registration": "by-lot" }),
        json!({ "default_role": "admin" }),
        json!({ "other": 1 }),
    ];
    for change in wrong {
        assert_eq!(code(&set(&ada, change.clone()).await), "001", "{change}");
    }
    assert_eq!(ada.get(SETTINGS).await.json["version"], 0);
}

#[tokio::test]
async fn settings_outlive_a_restart() {
    let app = App::set_up().await;
    set(&app.browser("ada").await, json!({ "site_name": "River TV", "registration": "closed" })).await;
    let restarted = app.restart().await;
    let site = restarted.anonymous().get("/api/v1/site").await.json;
    assert_eq!((&site["name"], &site["registration"]), (&json!("River TV"), &json!("closed")));
}

#[tokio::test]
async fn the_one_who_sets_up_names_the_site() {
    let app = App::new().await;
    let link = app.accounts.setup_link().await.unwrap().unwrap();
    let mut body = registration("ada", Some(token_of(link.expose())));
    body["site_name"] = json!("");
    assert_eq!(code(&app.anonymous().post("/api/v1/users", body.clone()).await), "001");
    body["site_name"] = json!("River TV");
    assert_eq!(app.anonymous().post("/api/v1/users", body).await.status, StatusCode::CREATED);
    assert_eq!(app.anonymous().get("/api/v1/site").await.json["name"], "River TV");
    let token = app.invitation().await;
    let mut body = registration("eve", Some(&token));
    body["site_name"] = json!("Eve TV");
    assert_eq!(app.anonymous().post("/api/v1/users", body).await.status, StatusCode::CREATED);
    assert_eq!(app.anonymous().get("/api/v1/site").await.json["name"], "River TV", "nobody else does");
}

// --- Registration

#[tokio::test]
async fn everybody_registers_where_registration_is_open() {
    let app = App::set_up().await;
    set(&app.browser("ada").await, json!({ "registration": "open", "default_role": "viewer" })).await;
    let eve = app.anonymous();
    let made = eve.post("/api/v1/users", registration("eve", None)).await;
    assert_eq!((made.status, &made.json["role"]), (StatusCode::CREATED, &json!("viewer")));
    assert_eq!(eve.get("/api/v1/users/me").await.json["handle"], "eve", "and is logged in");
    let (_, _, page) = app.anonymous().page("/register").await;
    assert!(page.contains("name=\"password\""), "the page has the form");
    assert!(
        app.anonymous().page("/login").await.2.contains("href=\"/register\""),
        "and who has no account is led there"
    );
}

#[tokio::test]
async fn who_registers_by_approval_waits_and_is_let_in_or_not() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    set(&ada, json!({ "registration": "approval" })).await;
    let eve = app.anonymous();
    let made = eve.post("/api/v1/users", registration("eve", None)).await;
    assert_eq!((made.status, &made.json["state"]), (StatusCode::ACCEPTED, &json!("pending")));
    assert_eq!(*eve.cookie.lock().unwrap(), None, "nobody is logged in");
    assert_eq!(code(&eve.log_in("eve", PASSWORD).await), "005");
    app.anonymous().post("/api/v1/users", registration("bob", None)).await;
    let max = app.with_role("max", Role::Moderator).await;
    let waiting = max.get("/api/v1/users?state=pending").await;
    let names: Vec<_> = waiting.json["items"].as_array().unwrap().iter().map(|user| &user["handle"]).collect();
    assert_eq!(names, ["bob", "eve"]);
    let let_in = max.patch("/api/v1/users/eve", json!({ "state": "active" })).await;
    assert_eq!((let_in.status, &let_in.json["role"]), (StatusCode::OK, &json!("creator")));
    assert_eq!(eve.log_in("eve", PASSWORD).await.status, StatusCode::CREATED);
    assert_eq!(max.delete("/api/v1/users/bob").await.status, StatusCode::NO_CONTENT, "turned down");
    assert_eq!(code(&max.delete("/api/v1/users/eve").await), "005", "who is in is for administrators to delete");
    let token = app.invitation().await;
    let invited = app.anonymous().post("/api/v1/users", registration("ida", Some(&token))).await;
    assert_eq!(invited.status, StatusCode::CREATED, "who is invited does not wait");
}

#[tokio::test]
async fn nobody_registers_where_registration_is_closed() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    let token = app.invitation().await;
    set(&ada, json!({ "registration": "closed" })).await;
    for token in [None, Some(token.as_str())] {
        let refused = app.anonymous().post("/api/v1/users", registration("eve", token)).await;
        assert_eq!((refused.status, code(&refused)), (StatusCode::FORBIDDEN, "005"));
    }
    assert_eq!(code(&ada.post("/api/v1/invitations", json!({})).await), "007");
    let (_, _, page) = app.anonymous().page(&format!("/register?token={token}")).await;
    assert!(!page.contains("name=\"password\""), "the page has no form");
    set(&ada, json!({ "registration": "invitation" })).await;
    let made = app.anonymous().post("/api/v1/users", registration("eve", Some(&token))).await;
    assert_eq!(made.status, StatusCode::CREATED, "the invitation was not spent");
}

// --- Accounts of others

#[tokio::test]
async fn accounts_are_listed_found_and_filtered() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    for handle in ["bob", "cyd", "dan"] {
        app.with_role(handle, Role::Creator).await;
    }
    let page = ada.get("/api/v1/users?limit=3").await.json;
    assert_eq!(page["items"][0]["handle"], "dan");
    let rest = ada.get(&format!("/api/v1/users?cursor={}", page["next_cursor"].as_str().unwrap())).await.json;
    assert_eq!((&rest["items"][0]["handle"], &rest["next_cursor"]), (&json!("ada"), &Value::Null));
    let found = ada.get("/api/v1/users?search=CY&role=creator&state=active").await.json;
    assert_eq!((found["items"].as_array().unwrap().len(), &found["items"][0]["handle"]), (1, &json!("cyd")));
    assert_eq!(ada.get("/api/v1/users?role=moderator").await.json["items"], json!([]));
    let long = format!("search={}", "x".repeat(101));
    for wrong in ["limit=0", "limit=101", "role=king", "state=gone", long.as_str(), "cursor=%00"] {
        assert_eq!(code(&ada.get(&format!("/api/v1/users?{wrong}")).await), "001", "{wrong}");
    }
    let one = ada.get("/api/v1/users/cyd").await;
    assert_eq!((one.status, one.json["second_factor"].clone()), (StatusCode::OK, json!(false)));
    assert!(!one.json.to_string().contains("argon2"));
    assert_eq!(code(&ada.get("/api/v1/users/nobody").await), "006");
}

#[tokio::test]
async fn one_who_is_locked_is_out_at_once_and_comes_back_only_by_logging_in() {
    let app = App::set_up().await;
    let (ada, eve) = (app.browser("ada").await, app.with_role("eve", Role::Creator).await);
    assert_eq!(eve.get("/api/v1/users/me").await.status, StatusCode::OK);
    let read = ada.get("/api/v1/users/eve").await;
    let locked = ada.patch("/api/v1/users/eve", json!({ "state": "disabled" })).await;
    assert_eq!(locked.json["state"], "disabled");
    assert_eq!(code(&eve.get("/api/v1/users/me").await), "002");
    let path = "/api/v1/users/eve";
    let late = ada.send(Method::PATCH, path, &[("if-match", &tag(&read))], Some(json!({ "state": "active" }))).await;
    assert_eq!((late.status, code(&late)), (StatusCode::CONFLICT, "007"));
    let now = [("if-match", tag(&locked))];
    let now = now.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>();
    let back = ada.send(Method::PATCH, path, &now, Some(json!({ "state": "active" }))).await;
    assert_eq!(back.status, StatusCode::OK);
    assert_eq!(code(&eve.get("/api/v1/users/me").await), "002", "the session has ended");
    assert_eq!(eve.log_in("eve", PASSWORD).await.status, StatusCode::CREATED);
    let log = ada.get("/api/v1/admin/audit?actor=ada&action=change-standing").await.json;
    assert_eq!(log["items"][1]["details"], "role=creator state=disabled");
}

#[tokio::test]
async fn moderators_have_no_say_over_their_own_kind_nor_over_administrators() {
    let app = App::set_up().await;
    let max = app.with_role("max", Role::Moderator).await;
    app.with_role("mia", Role::Moderator).await;
    app.with_role("eve", Role::Viewer).await;
    for handle in ["ada", "mia", "max"] {
        let path = format!("/api/v1/users/{handle}");
        for change in [json!({ "state": "disabled" }), json!({ "role": "viewer" }), json!({})] {
            let refused = max.patch(&path, change).await;
            assert_eq!((refused.status, code(&refused)), (StatusCode::FORBIDDEN, "005"), "{handle}");
        }
        if handle != "max" {
            assert_eq!(code(&max.delete(&path).await), "005");
        }
        assert_eq!(code(&max.delete(&format!("{path}/sessions")).await), "005");
    }
    for role in ["moderator", "admin"] {
        assert_eq!(code(&max.patch("/api/v1/users/eve", json!({ "role": role })).await), "005", "{role}");
    }
    assert_eq!(max.patch("/api/v1/users/eve", json!({ "role": "creator" })).await.json["role"], "creator");
    for admins in [SETTINGS, "/api/v1/admin/audit"] {
        assert_eq!(code(&max.get(admins).await), "005", "{admins}");
    }
}

#[tokio::test]
async fn the_last_administrator_cannot_be_taken_away() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    for change in [json!({ "role": "creator" }), json!({ "state": "disabled" })] {
        let kept = ada.patch("/api/v1/users/ada", change).await;
        assert_eq!((kept.status, code(&kept)), (StatusCode::CONFLICT, "007"));
    }
    assert_eq!(code(&ada.delete("/api/v1/users/ada").await), "007");
    let eve = app.with_role("eve", Role::Admin).await;
    assert_eq!(eve.patch("/api/v1/users/ada", json!({ "role": "creator" })).await.status, StatusCode::OK);
    assert_eq!(code(&ada.get(SETTINGS).await), "005", "at once");
}

#[tokio::test]
async fn an_account_is_deleted_and_its_sessions_are_ended_by_an_administrator() {
    let app = App::set_up().await;
    let (ada, eve) = (app.browser("ada").await, app.with_role("eve", Role::Creator).await);
    assert_eq!(ada.delete("/api/v1/users/eve/sessions").await.status, StatusCode::NO_CONTENT);
    assert_eq!(code(&eve.get("/api/v1/users/me").await), "002");
    eve.log_in("eve", PASSWORD).await;
    assert_eq!(ada.delete("/api/v1/users/eve").await.status, StatusCode::NO_CONTENT);
    assert_eq!(code(&eve.get("/api/v1/users/me").await), "002");
    assert_eq!(code(&ada.delete("/api/v1/users/eve").await), "006");
    assert_eq!(code(&ada.patch("/api/v1/users/eve", json!({})).await), "006");
    assert_eq!(code(&ada.delete("/api/v1/users/eve/sessions").await), "006");
}

#[tokio::test]
async fn only_those_who_run_the_site_are_heard() {
    let app = App::set_up().await;
    app.with_role("bob", Role::Viewer).await;
    let eve = app.with_role("eve", Role::Creator).await;
    let anonymous = app.anonymous();
    let asked = [
        (Method::GET, "/api/v1/users"),
        (Method::GET, "/api/v1/users/bob"),
        (Method::PATCH, "/api/v1/users/bob"),
        (Method::DELETE, "/api/v1/users/bob"),
        (Method::DELETE, "/api/v1/users/bob/sessions"),
        (Method::GET, "/api/v1/admin/audit"),
        (Method::GET, "/api/v1/admin/overview"),
        (Method::GET, SETTINGS),
        (Method::PATCH, SETTINGS),
    ];
    for (method, path) in asked {
        let body = (method == Method::PATCH).then(|| json!({}));
        let refused = eve.send(method.clone(), path, &[("if-match", "\"0\"")], body.clone()).await;
        assert_eq!((refused.status, code(&refused)), (StatusCode::FORBIDDEN, "005"), "{method} {path}");
        let unknown = anonymous.send(method.clone(), path, &[("if-match", "\"0\"")], body).await;
        assert_eq!((unknown.status, code(&unknown)), (StatusCode::UNAUTHORIZED, "002"), "{method} {path}");
    }
    assert_eq!(app.store.user_by_handle("bob").await.unwrap().unwrap().state, UserState::Active);
}

// --- The audit log

#[tokio::test]
async fn the_log_is_read_by_who_and_what() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    app.anonymous().log_in("eve", "a secret guess").await;
    let all = ada.get("/api/v1/admin/audit?limit=2").await.json;
    assert_eq!((&all["items"][0]["action"], &all["items"][0]["subject"]), (&json!("log-in-refused"), &json!("eve")));
    let rest = ada.get(&format!("/api/v1/admin/audit?cursor={}", all["next_cursor"].as_str().unwrap())).await.json;
    assert_eq!((&rest["items"][0]["action"], &rest["next_cursor"]), (&json!("setup"), &Value::Null));
    let by_ada = ada.get("/api/v1/admin/audit?actor=ada&action=log-in").await.json;
    assert_eq!(by_ada["items"].as_array().unwrap().len(), 1);
    for wrong in ["action=magic", "limit=0"] {
        assert_eq!(code(&ada.get(&format!("/api/v1/admin/audit?{wrong}")).await), "001", "{wrong}");
    }
}

// --- Pages

#[tokio::test]
async fn the_pages_are_for_those_who_run_the_site() {
    let app = App::set_up().await;
    let (status, headers, _) = app.anonymous().page("/admin/settings").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers[header::LOCATION], "/login?next=/admin/settings");
    let eve = app.with_role("eve", Role::Creator).await;
    let (status, _, page) = eve.page("/admin/settings").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(!page.contains("href=\"/admin\""), "nothing leads there");
    let (status, _, page) = app.browser("ada").await.page("/admin/settings").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("aria-current=\"page\"") && page.contains("href=\"/admin\""), "{page}");
}

// --- The overview

#[tokio::test]
async fn moderators_see_how_the_server_is_doing() {
    let directory = tempfile::tempdir().unwrap();
    let config = SiteConfig { data_dir: Some(directory.path().to_owned()), ..SiteConfig::default() };
    let app = App::set_up().await.configured(config);
    let max = app.with_role("max", Role::Moderator).await;
    let seen = max.get("/api/v1/admin/overview").await.json;
    assert_eq!((&seen["users"], &seen["channels"], &seen["viewers"]), (&json!(2), &json!(0), &json!(0)));
    assert_eq!(&seen["samples"], &json!([]));
    assert!(seen["disk"]["total_bytes"].as_u64().unwrap() > 0);
    assert_eq!(max.get("/api/v1/admin/overview?after=2026-01-02T03:04:05.678Z").await.status, StatusCode::OK);
    assert_eq!(code(&max.get("/api/v1/admin/overview?after=yesterday").await), "001");
    let (status, _, page) = max.page("/admin").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("data-chart=\"viewers\"") && !page.contains("/admin/audit"), "{page}");
}

// --- What no database takes

#[tokio::test]
async fn what_is_no_text_is_refused_before_it_reaches_the_database() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    for path in ["users/%00", "users/a%ff"] {
        assert_eq!(code(&ada.get(&format!("/api/v1/{path}")).await), "006", "{path}");
    }
    for path in ["users?search=%00", "admin/audit?actor=a%00b", "users?cursor=%00"] {
        assert_eq!(code(&ada.get(&format!("/api/v1/{path}")).await), "001", "{path}");
    }
    for path in ["/admin/users/%00", "/admin/users?search=%00", "/@%ff"] {
        assert_eq!(ada.page(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(ada.page("/?utm=%b5%e3").await.0, StatusCode::OK, "another encoding in a query is no harm");
    let change = json!({ "bio": "a\0b" });
    let read = ada.get("/api/v1/users/me").await;
    let changed = ada.send(Method::PATCH, "/api/v1/users/me", &[("if-match", &tag(&read))], Some(change)).await;
    assert_eq!(code(&changed), "001");
    assert_eq!(code(&app.anonymous().log_in("a\0", PASSWORD).await), "001");
}

// --- Pages of other sites

const APP: &str = "https://app.example";

fn with_cors(cors: CorsOrigins) -> SiteConfig {
    SiteConfig { cors, ..SiteConfig::default() }
}

#[tokio::test]
async fn another_sites_page_uses_the_api_where_it_may_and_only_by_a_token_of_its_own() {
    let app = App::set_up().await.configured(with_cors(CorsOrigins::These(vec![APP.to_owned()])));
    let browser = app.browser("ada").await;
    let from = [("origin", APP), ("sec-fetch-site", "cross-site")];
    let site = browser.send(Method::GET, "/api/v1/site", &from, None).await;
    assert_eq!(
        (site.status, &site.headers["access-control-allow-origin"]),
        (StatusCode::OK, &HeaderValue::from_static(APP))
    );
    assert!(!site.headers.contains_key("access-control-allow-credentials"));
    assert!(site.headers.get_all(header::VARY).iter().any(|vary| vary == "origin"));
    for (method, path) in [(Method::GET, "/api/v1/users/me"), (Method::DELETE, "/api/v1/sessions/current")] {
        let refused = browser.send(method, path, &from, None).await;
        assert_eq!(code(&refused), "002", "the visitor's cookie counts for nothing: {path}");
        assert!(refused.headers.contains_key("access-control-allow-origin"), "the page may read why");
    }
    assert_eq!(browser.get("/api/v1/users/me").await.status, StatusCode::OK, "and is still logged in");

    let secret = "t".repeat(43);
    let ada = app.store.user_by_handle("ada").await.unwrap().unwrap();
    let token_hash = Sha256::digest(secret.as_bytes()).into();
    let new = NewApiToken { user_id: &ada.id, name: "app", token_hash, scopes: "moderate", expires_at: None };
    app.store.create_token(&new, 50).await.unwrap();
    let bearer = format!("Bearer mrt_{secret}");
    let from = [from[0], from[1], ("authorization", bearer.as_str())];
    let made = browser.send(Method::POST, "/api/v1/invitations", &from, Some(json!({}))).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
}

#[tokio::test]
async fn a_browser_that_asks_is_told_what_another_sites_page_may_send() {
    let ask = async |cors: CorsOrigins, origin: &str| {
        let app = App::set_up().await.configured(with_cors(cors));
        let request = Request::options("/api/v1/users/me")
            .header(header::HOST, "video.example")
            .header(header::ORIGIN, origin)
            .header("sec-fetch-site", "cross-site")
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "authorization, if-match")
            .body(Body::empty())
            .unwrap();
        let answer = app.router.clone().oneshot(request).await.unwrap();
        let allowed = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        (allowed("access-control-allow-origin"), allowed("access-control-allow-headers"))
    };
    let these = || CorsOrigins::These(vec![APP.to_owned()]);
    let (origin, headers) = ask(these(), APP).await;
    assert_eq!(origin.as_deref(), Some(APP));
    assert!(headers.is_some_and(|headers| headers.contains("authorization") && headers.contains("if-match")));
    assert_eq!(ask(CorsOrigins::All, "https://any.example").await.0.as_deref(), Some("*"));
    assert_eq!(ask(these(), "https://evil.example").await, (None, None));
    assert_eq!(ask(these(), "https://app.example.evil.example").await, (None, None));
    assert_eq!(ask(CorsOrigins::Own, APP).await, (None, None));
}

#[tokio::test]
async fn the_sites_own_pages_keep_their_cookies_where_all_may_use_the_api() {
    let app = App::set_up().await.configured(with_cors(CorsOrigins::All));
    let browser = app.browser("ada").await;
    for own in [("sec-fetch-site", "same-origin"), ("origin", "http://video.example")] {
        let me = browser.send(Method::GET, "/api/v1/users/me", &[("origin", "http://video.example"), own], None).await;
        assert_eq!(me.status, StatusCode::OK, "{own:?}");
    }
    let (_, headers, _) = browser.page("/").await;
    assert!(!headers.contains_key("access-control-allow-origin"), "pages are no API");
}

// --- What caches keep

#[tokio::test]
async fn what_is_for_one_alone_is_kept_by_no_cache() {
    let app = App::set_up().await;
    let (ada, anonymous) = (app.browser("ada").await, app.anonymous());
    for path in ["/", "/settings", "/admin/users", "/about", "/nothing"] {
        let (_, headers, _) = ada.page(path).await;
        assert_eq!(headers[header::CACHE_CONTROL], "private, no-store", "{path}");
    }
    for path in ["/api/v1/users/me", "/api/v1/users", "/api/v1/sessions", "/api/v1/site"] {
        assert_eq!(ada.get(path).await.headers[header::CACHE_CONTROL], "private, no-store", "{path}");
    }
    let logged_in = app.anonymous().log_in("ada", PASSWORD).await;
    assert_eq!(logged_in.headers[header::CACHE_CONTROL], "private, no-store");
    let with_secret = anonymous.page(&format!("/register?token={}", "i".repeat(43))).await;
    assert_eq!(with_secret.1[header::CACHE_CONTROL], "private, no-store");
    for path in ["/", "/about", "/login"] {
        assert_eq!(anonymous.page(path).await.1[header::CACHE_CONTROL], "no-cache", "{path}");
    }
}
