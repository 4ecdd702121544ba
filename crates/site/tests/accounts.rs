//! Accounts as clients of the API meet them.
#![allow(clippy::unwrap_used, missing_docs)]

mod app;

use app::{App, Client, NothingLive, PASSWORD, code, registration, token_of};
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use millrace_site::{Accounts, SiteConfig, SiteKey, router};
use millrace_store::{At, NewApiToken, Role, UserState};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::Duration;
use tower::ServiceExt;

// --- Setting up, registering

#[tokio::test]
async fn the_link_of_a_new_site_makes_its_administrator_once() {
    let app = App::new().await;
    let old = app.accounts.setup_link().await.unwrap().unwrap();
    let link = app.accounts.setup_link().await.unwrap().unwrap();
    let browser = app.anonymous();
    let late = browser.post("/api/v1/users", registration("ada", Some(token_of(old.expose())))).await;
    assert_eq!((late.status, code(&late)), (StatusCode::FORBIDDEN, "005"), "an earlier link works no more");
    let made = browser.post("/api/v1/users", registration("Ada", Some(token_of(link.expose())))).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
    assert_eq!((&made.json["handle"], &made.json["role"]), (&json!("ada"), &json!("admin")));
    assert_eq!(browser.get("/api/v1/users/me").await.json["handle"], "ada", "and is logged in");
    let again = app.anonymous().post("/api/v1/users", registration("eve", Some(token_of(link.expose())))).await;
    assert_eq!(code(&again), "005");
    assert!(app.accounts.setup_link().await.unwrap().is_none(), "the site is set up");
}

#[tokio::test]
async fn who_is_invited_registers_and_others_do_not() {
    let app = App::set_up().await;
    for token in [None, Some("x".repeat(43)), Some("'; DROP TABLE users; --".to_owned())] {
        let refused = app.anonymous().post("/api/v1/users", registration("eve", token.as_deref())).await;
        assert_eq!(code(&refused), "005", "{token:?}");
    }
    let token = app.invitation().await;
    let taken = app.anonymous().post("/api/v1/users", registration("ada", Some(&token))).await;
    assert_eq!((taken.status, code(&taken)), (StatusCode::CONFLICT, "007"));
    let made = app.anonymous().post("/api/v1/users", registration("eve", Some(&token))).await;
    assert_eq!(made.status, StatusCode::CREATED, "the invitation was not spent on a name that is taken");
    assert_eq!(made.json["role"], "creator");
}

#[tokio::test]
async fn what_is_wrong_with_a_registration_is_named() {
    let app = App::new().await;
    let cases = [
        (json!({ "handle": "a b", "password": PASSWORD }), "handle"),
        (json!({ "handle": "admin", "password": PASSWORD }), "reserved"),
        (json!({ "handle": "ada", "password": "short" }), "password"),
        (json!({ "handle": "ada", "password": PASSWORD, "display_name": "\u{7}" }), "display_name"),
        (json!({ "handle": "ada", "password": PASSWORD, "email": "ada" }), "email"),
        (json!({ "handle": "ada" }), "password"),
        (json!({ "handle": "ada", "password": PASSWORD, "role": "admin" }), "role"),
        (json!({ "handle": 7, "password": PASSWORD }), "handle"),
    ];
    for (body, word) in cases {
        let answer = app.anonymous().post("/api/v1/users", body).await;
        assert_eq!((answer.status, code(&answer)), (StatusCode::BAD_REQUEST, "001"));
        let words = answer.json["error"].as_str().unwrap();
        assert!(words.starts_with(word) || words.starts_with("handle is reserved"), "{words}");
    }
}

#[tokio::test]
async fn one_address_registers_only_so_often() {
    let app = App::new().await;
    let client = app.anonymous();
    for _ in 0..10 {
        client.post("/api/v1/users", registration("ada", None)).await;
    }
    let refused = client.post("/api/v1/users", registration("ada", None)).await;
    assert_eq!((refused.status, code(&refused)), (StatusCode::TOO_MANY_REQUESTS, "009"));
    assert!(refused.headers[header::RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() > 0);
    let other = Client { address: [10, 0, 0, 2], ..app.anonymous() };
    assert_eq!(code(&other.post("/api/v1/users", registration("ada", None)).await), "005");
}

#[tokio::test]
async fn invitations_are_made_seen_and_taken_back_by_who_may() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    let made = ada.post("/api/v1/invitations", json!({ "note": "Eve" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
    let second = ada.post("/api/v1/invitations", json!({ "note": "Bob", "days": 1 })).await;
    let list = ada.get("/api/v1/invitations?limit=1").await.json;
    assert_eq!((list["items"].as_array().unwrap().len(), &list["items"][0]["note"]), (1, &json!("Bob")));
    let rest = ada.get(&format!("/api/v1/invitations?cursor={}", list["next_cursor"].as_str().unwrap())).await.json;
    assert_eq!((&rest["items"][0]["note"], &rest["next_cursor"]), (&json!("Eve"), &Value::Null));
    let id = second.json["id"].as_str().unwrap();
    assert_eq!(ada.delete(&format!("/api/v1/invitations/{id}")).await.status, StatusCode::NO_CONTENT);
    let log = ada.get("/api/v1/admin/audit?action=uninvite").await.json;
    assert_eq!((&log["items"][0]["actor"], &log["items"][0]["subject"]), (&json!("ada"), &json!(id)));
    assert_eq!(code(&ada.delete(&format!("/api/v1/invitations/{id}")).await), "006");
    let token =
        |made: &app::Answer| made.json["path"].as_str().unwrap().strip_prefix("/register?token=").unwrap().to_owned();
    let late = app.anonymous().post("/api/v1/users", registration("bob", Some(&token(&second)))).await;
    assert_eq!(code(&late), "005", "it was taken back");
    let page = async |token: &str| app.anonymous().page(&format!("/register?token={token}")).await.2;
    let good = page(&token(&made)).await;
    assert!(good.contains("You have been invited") && good.contains("name=\"password\""), "{good}");
    for dead in [token(&second), "x".repeat(43), "bogus".to_owned()] {
        let page = page(&dead).await;
        assert!(page.contains("This link no longer works") && !page.contains("name=\"password\""), "{page}");
    }
    let eve = app.anonymous();
    let registered = eve.post("/api/v1/users", registration("eve", Some(&token(&made)))).await;
    assert_eq!(registered.status, StatusCode::CREATED);
    let (_, _, users) = ada.page("/admin/users?search=eve").await;
    assert!(users.contains("@eve") && !users.contains("never logged in"), "who registers is logged in: {users}");
    for refused in [
        eve.post("/api/v1/invitations", json!({})).await,
        eve.get("/api/v1/invitations").await,
        eve.delete(&format!("/api/v1/invitations/{id}")).await,
    ] {
        assert_eq!((refused.status, code(&refused)), (StatusCode::FORBIDDEN, "005"));
    }
    assert_eq!(code(&app.anonymous().get("/api/v1/invitations").await), "002");
    for wrong in [json!({ "days": 0 }), json!({ "days": 91 }), json!({ "note": "x".repeat(101) })] {
        assert_eq!(code(&ada.post("/api/v1/invitations", wrong).await), "001");
    }
    assert_eq!(code(&ada.get("/api/v1/invitations?limit=0").await), "001");
}

// --- Logging in and out

#[tokio::test]
async fn a_browser_logs_in_and_out() {
    let app = App::set_up().await;
    let browser = app.anonymous();
    let before = browser.get("/api/v1/users/me").await;
    assert_eq!((before.status, code(&before)), (StatusCode::UNAUTHORIZED, "002"));
    let answer = browser.log_in(" ADA ", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Max-Age"), "it ends with the browser");
    assert!(!answer.json.to_string().contains("argon2"), "{}", answer.json);
    let kept = browser.cookie.lock().unwrap().clone();
    assert_eq!(browser.get("/api/v1/users/me").await.status, StatusCode::OK);
    assert_eq!(browser.delete("/api/v1/sessions/current").await.status, StatusCode::NO_CONTENT);
    assert_eq!(*browser.cookie.lock().unwrap(), None, "the cookie is taken away");
    *browser.cookie.lock().unwrap() = kept;
    assert_eq!(browser.get("/api/v1/users/me").await.status, StatusCode::UNAUTHORIZED, "and worth nothing");
}

#[tokio::test]
async fn whether_a_name_exists_is_not_told() {
    let app = App::set_up().await;
    let wrong = app.anonymous().log_in("ada", "wrong password").await;
    let unknown = app.anonymous().log_in("nobody", "wrong password").await;
    assert_eq!((wrong.status, code(&wrong)), (StatusCode::UNAUTHORIZED, "002"));
    assert_eq!((wrong.status, &wrong.json), (unknown.status, &unknown.json));
}

#[tokio::test]
async fn an_account_is_tried_only_so_often_and_from_wherever() {
    let app = App::set_up().await;
    for n in 0..10 {
        let client = Client { address: [10, 1, 0, n], ..app.anonymous() };
        assert_eq!(code(&client.log_in("ada", "wrong password").await), "002");
    }
    let client = Client { address: [10, 1, 0, 99], ..app.anonymous() };
    let refused = client.log_in("ada", PASSWORD).await;
    assert_eq!((refused.status, code(&refused)), (StatusCode::TOO_MANY_REQUESTS, "009"));
    assert!(refused.headers.contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn one_who_is_locked_or_waits_is_told_so_only_with_the_right_password() {
    let app = App::set_up().await;
    let token = app.invitation().await;
    app.anonymous().post("/api/v1/users", registration("eve", Some(&token))).await;
    let eve = app.store.user_by_handle("eve").await.unwrap().unwrap();
    for state in [UserState::Pending, UserState::Disabled] {
        app.store.set_standing(&eve.id, Role::Creator, state).await.unwrap();
        assert_eq!(code(&app.anonymous().log_in("eve", PASSWORD).await), "005", "{state:?}");
        assert_eq!(code(&app.anonymous().log_in("eve", "wrong password").await), "002", "{state:?}");
    }
}

#[tokio::test]
async fn who_ticks_remember_is_remembered_for_a_month() {
    let app = App::set_up().await;
    let body = json!({ "username": "ada", "password": PASSWORD, "remember": true });
    let answer = app.anonymous().post("/api/v1/sessions", body).await;
    assert!(answer.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=2592000"));
    let ada = app.store.user_by_handle("ada").await.unwrap().unwrap();
    let sessions = app.store.sessions_of(&ada.id).await.unwrap();
    // To the second: the clock is read for each.
    let lives = |session: &millrace_store::Session| (session.expires_at.0 - session.created_at.0 + 500) / 1000;
    assert!(sessions.iter().any(|session| lives(session) == 30 * 24 * 3600), "{sessions:?}");
    assert!(sessions.iter().any(|session| lives(session) == 30 * 60), "that of the setup ends in 30 minutes");
}

#[tokio::test]
async fn sessions_are_seen_and_ended_one_by_one_or_all() {
    let app = App::set_up().await;
    let (here, there, third) = (app.browser("ada").await, app.browser("ada").await, app.browser("ada").await);
    let list = here.get("/api/v1/sessions").await;
    let items = list.json["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), 4, "with that of the setup");
    assert_eq!(items.iter().filter(|item| item["current"] == true).count(), 1);
    // The newest comes first: the third browser's.
    let newest = items[0]["id"].as_str().unwrap();
    assert_eq!(here.delete(&format!("/api/v1/sessions/{newest}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(third.get("/api/v1/users/me").await.status, StatusCode::UNAUTHORIZED, "at once");
    let gone = here.delete(&format!("/api/v1/sessions/{newest}")).await;
    assert_eq!((gone.status, code(&gone)), (StatusCode::NOT_FOUND, "006"));
    assert_eq!(code(&here.delete("/api/v1/sessions/x").await), "006");
    assert_eq!(here.delete("/api/v1/sessions").await.status, StatusCode::NO_CONTENT);
    assert_eq!(there.get("/api/v1/users/me").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(here.get("/api/v1/users/me").await.status, StatusCode::OK);
    assert_eq!(code(&here.delete("/api/v1/sessions?current=perhaps").await), "001");
    let other = app.browser("ada").await;
    let all = here.delete("/api/v1/sessions?current=true").await;
    assert_eq!(all.status, StatusCode::NO_CONTENT);
    assert!(all.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"), "the browser forgets it");
    for browser in [here, other] {
        assert_eq!(browser.get("/api/v1/users/me").await.status, StatusCode::UNAUTHORIZED, "everywhere");
    }
}

#[tokio::test]
async fn nobody_ends_anothers_session() {
    let app = App::set_up().await;
    let token = app.invitation().await;
    app.anonymous().post("/api/v1/users", registration("eve", Some(&token))).await;
    let (ada, eve) = (app.browser("ada").await, app.browser("eve").await);
    let id = ada.get("/api/v1/sessions").await.json["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(code(&eve.delete(&format!("/api/v1/sessions/{id}")).await), "006");
    assert_eq!(ada.get("/api/v1/users/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_session_outlives_a_restart() {
    let app = App::set_up().await;
    let cookie = app.browser("ada").await.cookie.into_inner().unwrap();
    let pictures = app::objects(&app._directory);
    let accounts = Accounts::new(app.store.clone(), pictures, &SiteKey::new(), 1);
    let restarted = App {
        router: router(NothingLive, accounts, SiteConfig::default()),
        accounts: app.accounts.clone(),
        store: app.store.clone(),
        _directory: tempfile::tempdir().unwrap(),
    };
    let client = restarted.anonymous();
    *client.cookie.lock().unwrap() = cookie;
    assert_eq!(client.get("/api/v1/users/me").await.json["handle"], "ada");
}

#[tokio::test]
async fn another_sites_page_changes_nothing() {
    let app = App::set_up().await;
    let browser = app.browser("ada").await;
    let foreign = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ];
    for header in foreign {
        let answer = browser.send(Method::DELETE, "/api/v1/sessions/current", &[header], None).await;
        assert_eq!((answer.status, code(&answer)), (StatusCode::FORBIDDEN, "005"), "{header:?}");
    }
    for header in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let answer = browser.send(Method::GET, "/api/v1/users/me", &[header], None).await;
        assert_eq!(answer.status, StatusCode::OK, "looking changes nothing: {header:?}");
    }
    let own = [("origin", "http://video.example")];
    let answer = browser.send(Method::DELETE, "/api/v1/sessions/current", &own, None).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
}

// --- Tokens

#[tokio::test]
async fn a_program_has_what_its_tokens_scopes_allow() {
    let app = App::set_up().await;
    let ada = app.store.user_by_handle("ada").await.unwrap().unwrap();
    let make = async |letter: &str, scopes: &str, expires_at| {
        let secret = letter.repeat(43);
        let token_hash = Sha256::digest(secret.as_bytes()).into();
        let new = NewApiToken { user_id: &ada.id, name: "script", token_hash, scopes, expires_at };
        app.store.create_token(&new, 50).await.unwrap();
        Client { headers: vec![("authorization", format!("Bearer mrt_{secret}"))], ..app.anonymous() }
    };
    let good = make("a", "account channels", None).await;
    assert_eq!(good.get("/api/v1/users/me").await.json["handle"], "ada");
    assert_eq!(code(&good.get("/api/v1/sessions").await), "005", "sessions are for browsers");
    let narrow = make("b", "channels", None).await;
    assert_eq!(code(&narrow.get("/api/v1/users/me").await), "005");
    let over = make("c", "account", Some(At::now().plus(Duration::seconds(-1)))).await;
    assert_eq!(code(&over.get("/api/v1/users/me").await), "002");
    for wrong in ["Bearer mrt_x", "Bearer ", "Basic YWRhOmFkYQ==", "mrt_"] {
        let client = Client { headers: vec![("authorization", wrong.to_owned())], ..app.anonymous() };
        assert_eq!(code(&client.get("/api/v1/users/me").await), "002", "{wrong}");
    }
}

// --- The own account

#[tokio::test]
async fn a_profile_is_changed_by_who_has_read_it() {
    let app = App::set_up().await;
    let browser = app.browser("ada").await;
    let read = browser.get("/api/v1/users/me").await;
    let tag = read.headers[header::ETAG].to_str().unwrap().to_owned();
    let body = || Some(json!({ "display_name": "Ada Lovelace", "bio": "数学 <script>" }));
    let path = "/api/v1/users/me";
    let without = browser.send(Method::PATCH, path, &[], body()).await;
    assert_eq!(code(&without), "001");
    let changed = browser.send(Method::PATCH, path, &[("if-match", &tag)], body()).await;
    assert_eq!((changed.status, &changed.json["bio"]), (StatusCode::OK, &json!("数学 <script>")));
    assert_eq!(browser.get(path).await.json["display_name"], "Ada Lovelace", "and is not kept as it was");
    let late = browser.send(Method::PATCH, path, &[("if-match", &tag)], body()).await;
    assert_eq!((late.status, code(&late)), (StatusCode::CONFLICT, "007"));
}

#[tokio::test]
async fn an_address_is_changed_with_the_password() {
    let app = App::set_up().await;
    let browser = app.browser("ada").await;
    let path = "/api/v1/users/me/email";
    let change = |email: &str, password: &str| Some(json!({ "email": email, "password": password }));
    let wrong = browser.send(Method::PUT, path, &[], change("ada@example.org", "wrong password")).await;
    assert_eq!(code(&wrong), "002");
    let none = browser.send(Method::PUT, path, &[], change("ada", PASSWORD)).await;
    assert_eq!(code(&none), "001");
    let set = browser.send(Method::PUT, path, &[], change("Ada@Example.org", PASSWORD)).await;
    assert_eq!((set.status, &set.json["email"]), (StatusCode::OK, &json!("ada@example.org")));
    assert!(app.browser("ADA@example.ORG").await.get("/api/v1/users/me").await.status.is_success(), "logs in by it");
    let eve = app.with_role("eve", Role::Viewer).await;
    let taken = eve.send(Method::PUT, path, &[], change("ada@example.org", PASSWORD)).await;
    assert_eq!(code(&taken), "007");
    let gone = browser.send(Method::PUT, path, &[], change("", PASSWORD)).await;
    assert_eq!(gone.json["email"], Value::Null);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let app = App::set_up().await;
    let (here, there) = (app.browser("ada").await, app.browser("ada").await);
    let change = |current: &str, new: &str| json!({ "current_password": current, "new_password": new });
    let path = "/api/v1/users/me/password";
    let wrong = here.send(Method::PUT, path, &[], Some(change("wrong password", "another sentence"))).await;
    assert_eq!(code(&wrong), "002");
    let short = here.send(Method::PUT, path, &[], Some(change(PASSWORD, "short"))).await;
    assert_eq!(code(&short), "001");
    let changed = here.send(Method::PUT, path, &[], Some(change(PASSWORD, "another sentence"))).await;
    assert_eq!(changed.status, StatusCode::NO_CONTENT);
    assert_eq!(here.get("/api/v1/users/me").await.status, StatusCode::OK);
    assert_eq!(there.get("/api/v1/users/me").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(code(&app.anonymous().log_in("ada", PASSWORD).await), "002");
    assert_eq!(app.anonymous().log_in("ada", "another sentence").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_account_is_deleted_by_its_owner_but_the_last_administrators_is_not() {
    let app = App::set_up().await;
    let token = app.invitation().await;
    app.anonymous().post("/api/v1/users", registration("eve", Some(&token))).await;
    let delete = |password: &str| Some(json!({ "password": password }));
    let path = "/api/v1/users/me";
    let ada = app.browser("ada").await;
    let kept = ada.send(Method::DELETE, path, &[], delete(PASSWORD)).await;
    assert_eq!((kept.status, code(&kept)), (StatusCode::CONFLICT, "007"));
    let eve = app.browser("eve").await;
    assert_eq!(code(&eve.send(Method::DELETE, path, &[], delete("wrong password")).await), "002");
    assert_eq!(eve.send(Method::DELETE, path, &[], delete(PASSWORD)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(eve.get(path).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(code(&app.anonymous().log_in("eve", PASSWORD).await), "002");
}

#[tokio::test]
async fn what_concerns_security_is_logged_without_secrets() {
    let app = App::set_up().await;
    let browser = app.browser("ada").await;
    app.anonymous().log_in("eve", "a secret guess").await;
    browser.delete("/api/v1/sessions/current").await;
    let log = app.store.audit_log(&millrace_store::PageRequest { limit: 20, after: None }).await.unwrap().items;
    let said: Vec<_> = log.iter().rev().map(|entry| (entry.action.as_str(), entry.actor.as_str())).collect();
    assert_eq!(said, [("setup", "ada"), ("log-in", "ada"), ("log-in-refused", ""), ("log-out", "ada")]);
    assert!(log.iter().all(|entry| entry.address == "10.0.0.1"));
    assert!(!format!("{log:?}").contains("a secret guess"));
}

#[tokio::test]
async fn a_body_that_is_too_long_or_no_json_is_refused() {
    let app = App::set_up().await;
    let long = app.anonymous().log_in("ada", &"x".repeat(513)).await;
    assert_eq!((long.status, code(&long)), (StatusCode::BAD_REQUEST, "001"));
    let send = async |kind: &str, body: String| {
        let request = Request::post("/api/v1/sessions").header(header::CONTENT_TYPE, kind).body(Body::from(body));
        app.router.clone().oneshot(request.unwrap()).await.unwrap().status()
    };
    assert_eq!(send("text/plain", "{}".to_owned()).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(send("application/json", "{".to_owned()).await, StatusCode::BAD_REQUEST);
    assert_eq!(send("application/json", "x".repeat(3 << 20)).await, StatusCode::PAYLOAD_TOO_LARGE);
}

// --- Tokens and lost passwords

#[tokio::test]
async fn a_token_is_made_in_a_session_shown_once_and_ended() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    let made = ada.post("/api/v1/tokens", json!({ "name": "Script", "scopes": ["account", "account"] })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
    let token = made.json["token"].as_str().unwrap();
    let mut program = app.anonymous();
    program.headers.push(("authorization", format!("Bearer {token}")));
    assert_eq!(program.get("/api/v1/users/me").await.json["handle"], "ada");
    assert_eq!(code(&program.get("/api/v1/users/me/channels").await), "005", "it is not for that");
    assert_eq!(code(&program.post("/api/v1/tokens", json!({ "name": "x", "scopes": ["admin"] })).await), "005");
    let list = ada.get("/api/v1/tokens").await;
    assert_eq!(list.json["items"][0]["scopes"], json!(["account"]));
    assert!(!list.json.to_string().contains(token));
    for wrong in [
        json!({ "name": "", "scopes": ["account"] }),
        json!({ "name": "x", "scopes": [] }),
        json!({ "name": "x", "scopes": ["everything"] }),
        json!({ "name": "x", "scopes": ["account"], "expires_at": "2020-01-01T00:00:00Z" }),
    ] {
        assert_eq!(code(&ada.post("/api/v1/tokens", wrong.clone()).await), "001", "{wrong}");
    }
    let path = format!("/api/v1/tokens/{}", made.json["id"].as_str().unwrap());
    assert_eq!(code(&app.with_role("eve", Role::Admin).await.delete(&path).await), "006", "it is another's");
    assert_eq!(ada.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(code(&program.get("/api/v1/users/me").await), "002", "it stops at once");
    assert_eq!(code(&app.anonymous().get("/api/v1/tokens").await), "002");
}

#[tokio::test]
async fn a_lost_password_is_set_anew_by_a_link_that_works_once() {
    let app = App::set_up().await;
    let admin = app.browser("ada").await;
    let eve = app.with_role("eve", Role::Creator).await;
    let first = admin.post("/api/v1/users/eve/reset-link", json!({})).await.json;
    let made = admin.post("/api/v1/users/eve/reset-link", json!({})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
    let token = |made: &Value| made["path"].as_str().unwrap().strip_prefix("/reset?token=").unwrap().to_owned();
    let reset = async |token: &str, password: &str| {
        let body = json!({ "token": token, "password": password });
        app.anonymous().send(Method::PUT, "/api/v1/password-resets", &[], Some(body)).await
    };
    let new = "another long sentence";
    assert_eq!(code(&reset(&token(&made.json), "short").await), "001", "the link is not spent by it");
    assert_eq!(code(&reset(&token(&first), new).await), "005", "an earlier link works no more");
    assert_eq!(code(&reset("x", new).await), "005");
    assert_eq!(reset(&token(&made.json), new).await.status, StatusCode::NO_CONTENT);
    assert_eq!(code(&reset(&token(&made.json), new).await), "005", "it works once");
    assert_eq!(code(&eve.get("/api/v1/users/me").await), "002", "all sessions have ended");
    assert_eq!(code(&app.anonymous().log_in("eve", PASSWORD).await), "002");
    assert_eq!(app.anonymous().log_in("eve", new).await.status, StatusCode::CREATED);

    let moderator = app.with_role("mod", Role::Moderator).await;
    assert_eq!(code(&moderator.post("/api/v1/users/ada/reset-link", json!({})).await), "005");
    assert_eq!(code(&moderator.post("/api/v1/users/nobody/reset-link", json!({})).await), "006");
    let token = admin.post("/api/v1/tokens", json!({ "name": "x", "scopes": ["moderate", "admin"] })).await.json;
    let mut program = app.anonymous();
    program.headers.push(("authorization", format!("Bearer {}", token["token"].as_str().unwrap())));
    for of in ["eve", "ada"] {
        let refused = program.post(&format!("/api/v1/users/{of}/reset-link"), json!({})).await;
        assert_eq!(code(&refused), "005", "a token does not become a session");
    }
}

#[tokio::test]
async fn the_operator_makes_accounts_without_a_password_and_lets_the_locked_out_in() {
    let app = App::set_up().await;
    let link = app.accounts.add_user("Bob", Role::Moderator).await.unwrap();
    for password in ["", "!", "anything at all"] {
        assert_eq!(code(&app.anonymous().log_in("bob", password).await), "002", "no password is the right one");
    }
    let token = link.path.strip_prefix("/reset?token=").unwrap();
    let body = json!({ "token": token, "password": "a sentence of bob" });
    let set = app.anonymous().send(Method::PUT, "/api/v1/password-resets", &[], Some(body)).await;
    assert_eq!(set.status, StatusCode::NO_CONTENT, "{}", set.json);
    assert_eq!(app.anonymous().log_in("bob", "a sentence of bob").await.json["role"], "moderator");
    app.accounts.set_role("@bob", Role::Viewer).await.unwrap();
    assert!(app.accounts.set_role("ada", Role::Viewer).await.is_err(), "the last administrator stays");
    let names: Vec<_> = app.accounts.list_users().await.unwrap().into_iter().map(|user| user.handle).collect();
    assert_eq!(names, ["ada", "bob"]);
    for wrong in ["a b", "ada", "admin"] {
        assert!(app.accounts.add_user(wrong, Role::Viewer).await.is_err(), "{wrong}");
    }
    let log = app.store.audit_log(&millrace_store::PageRequest { limit: 50, after: None });
    let log = log.await.unwrap().items;
    for action in ["register", "change-standing"] {
        assert!(
            log.iter().any(|e| e.action == action && e.details == "command line" && e.subject == "bob"),
            "{action}"
        );
    }
    assert!(app.accounts.reset_password("nobody").await.is_err());
    assert!(app.accounts.reset_password("ada").await.is_ok());
}

// --- The second factor

/// The code of an application at this moment.
fn code_of(url: &str) -> String {
    totp_rs::Totp::from_url(url).unwrap().generate_current().to_string()
}

#[tokio::test]
async fn with_a_second_factor_a_password_alone_is_not_enough() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    let path = "/api/v1/users/me/second-factor";
    let begun = ada.post(path, json!({})).await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.json);
    assert!(begun.json["qr"].as_str().unwrap().contains("<svg"));
    let (url, setup) = (begun.json["url"].as_str().unwrap(), begun.json["setup"].as_str().unwrap());
    // Tries are limited: there are no more than ten of an account here.
    assert_eq!(ada.get("/api/v1/users/me").await.json["second_factor"], false, "it is not set yet");
    let put = async |setup: &str, code: &str| {
        ada.send(Method::PUT, path, &[], Some(json!({ "setup": setup, "code": code }))).await
    };
    assert_eq!(code(&put("AAAA", &code_of(url)).await), "001", "only what was given is taken");
    let first = code_of(url);
    let set = put(setup, &first).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.json);
    let again = put(setup, &first).await;
    assert_eq!((again.status, code(&again)), (StatusCode::CONFLICT, "007"), "one that is set is taken away first");
    assert_eq!(code(&ada.post(path, json!({})).await), "007");
    let recovery = set.json["codes"].as_array().unwrap().clone();
    assert_eq!(recovery.len(), 10);

    let log_in = async |code: Option<&str>| {
        let body = json!({ "username": "ada", "password": PASSWORD, "code": code });
        app.anonymous().post("/api/v1/sessions", body).await
    };
    for refused in [log_in(None).await, log_in(Some(&first)).await] {
        assert_eq!((code(&refused), &refused.json["second_factor"]), ("002", &json!(true)), "{}", refused.json);
    }
    let wrong = app.anonymous().log_in("ada", "wrong password").await;
    assert_eq!(wrong.json["second_factor"], Value::Null, "who has not the password is told nothing");
    let once = recovery[0].as_str().unwrap().to_uppercase().replace('-', " ");
    assert_eq!(log_in(Some(&once)).await.status, StatusCode::CREATED);
    assert_eq!(code(&log_in(Some(&once)).await), "002", "a recovery code is good once");
    assert_eq!(ada.get("/api/v1/users/me").await.json["second_factor"], true);

    let off = async |password: &str| ada.send(Method::DELETE, path, &[], Some(json!({ "password": password }))).await;
    assert_eq!(code(&off("wrong password").await), "002");
    assert_eq!(off(PASSWORD).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ada.get("/api/v1/users/me").await.json["second_factor"], false);
}

#[tokio::test]
async fn the_operator_lets_in_who_has_lost_all_codes() {
    let app = App::set_up().await;
    let ada = app.browser("ada").await;
    let path = "/api/v1/users/me/second-factor";
    let begun = ada.post(path, json!({})).await.json;
    let code = code_of(begun["url"].as_str().unwrap());
    let set = ada.send(Method::PUT, path, &[], Some(json!({ "setup": begun["setup"], "code": code }))).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.json);
    assert_eq!(app.anonymous().log_in("ada", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    app.accounts.take_second_factor_away("ada").await.unwrap();
    assert_eq!(app.anonymous().log_in("ada", PASSWORD).await.status, StatusCode::CREATED);
}
