//! What the site writes to people, and what they do with it.
#![allow(clippy::unwrap_used, missing_docs)]

mod app;

use app::mailbox::{Letter, Mailbox};
use app::{App, Client, PASSWORD, code, registration};
use http::{Method, StatusCode};
use millrace_site::Mail;
use millrace_store::{Action, AuditFilter, PageRequest, Role};
use serde_json::{Value, json};

const ORIGIN: &str = "https://video.example";

/// A site that writes to a mailbox.
async fn mailing() -> (App, Mailbox) {
    let mailbox = Mailbox::open().await;
    let sender = "River TV <noreply@video.example>".parse().unwrap();
    let mail = Mail::new(&mailbox.url().parse().unwrap(), &sender, ORIGIN);
    (App::set_up().await.mailing(mail), mailbox)
}

fn token(letter: &Letter, page: &str) -> Value {
    let link = letter.link(ORIGIN);
    let token = link.strip_prefix(page).and_then(|rest| rest.strip_prefix("?token="));
    json!({ "token": token.unwrap_or_else(|| panic!("{link}")) })
}

async fn set_address(browser: &Client<'_>, email: &str) -> app::Answer {
    let body = json!({ "email": email, "password": PASSWORD });
    browser.send(Method::PUT, "/api/v1/users/me/email", &[], Some(body)).await
}

async fn confirm(client: &Client<'_>, token: &Value) -> app::Answer {
    client.send(Method::PUT, "/api/v1/email-confirmations", &[], Some(token.clone())).await
}

/// Ada's browser, with that address confirmed.
async fn confirmed<'a>(app: &'a App, mailbox: &mut Mailbox, email: &str) -> Client<'a> {
    let browser = app.browser("ada").await;
    assert_eq!(set_address(&browser, email).await.status, StatusCode::OK);
    let letter = mailbox.letter().await;
    assert_eq!(confirm(&app.anonymous(), &token(&letter, "/confirm")).await.status, StatusCode::NO_CONTENT);
    browser
}

async fn lost(client: &Client<'_>, email: &str) -> StatusCode {
    client.post("/api/v1/password-resets", json!({ "email": email })).await.status
}

#[tokio::test]
async fn an_address_is_confirmed_by_the_link_that_was_sent_to_it() {
    let (app, mut mailbox) = mailing().await;
    let browser = app.browser("ada").await;
    let set = set_address(&browser, "Ada@Example.org").await;
    assert_eq!((&set.json["email"], &set.json["email_verified"]), (&json!("ada@example.org"), &json!(false)));
    let letter = mailbox.letter().await;
    assert_eq!(letter.to, "ada@example.org");
    assert_eq!(letter.greeting, "video.example");
    assert!(letter.text.contains("From: \"River TV\" <noreply@video.example>\r\n"), "{}", letter.text);
    assert!(letter.text.contains("Subject: Millrace: confirm your e-mail address\r\n"), "{}", letter.text);
    assert!(letter.text.contains("@ada"), "{}", letter.text);
    let wrong = confirm(&app.anonymous(), &json!({ "token": "x".repeat(43) })).await;
    assert_eq!(code(&wrong), "005");
    let token = token(&letter, "/confirm");
    assert_eq!(confirm(&app.anonymous(), &token).await.status, StatusCode::NO_CONTENT, "in any browser");
    assert_eq!(browser.get("/api/v1/users/me").await.json["email_verified"], true);
    assert_eq!(code(&confirm(&app.anonymous(), &token).await), "005", "a link works once");
    let again = browser.post("/api/v1/users/me/email-confirmation", json!({})).await;
    assert_eq!(code(&again), "007", "it is confirmed");
    let filter = AuditFilter { action: Some(Action::ChangeEmail), ..AuditFilter::default() };
    let log = app.store.find_audit(&filter, &PageRequest { limit: 10, after: None }).await.unwrap();
    assert_eq!(log.items.len(), 2, "set, and confirmed");
}

#[tokio::test]
async fn another_link_can_be_had_and_ends_the_one_before() {
    let (app, mut mailbox) = mailing().await;
    let browser = app.browser("ada").await;
    let none = browser.post("/api/v1/users/me/email-confirmation", json!({})).await;
    assert_eq!(code(&none), "007", "there is no address");
    set_address(&browser, "ada@example.org").await;
    let first = token(&mailbox.letter().await, "/confirm");
    let again = browser.post("/api/v1/users/me/email-confirmation", json!({})).await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
    let second = token(&mailbox.letter().await, "/confirm");
    assert_eq!(code(&confirm(&browser, &first).await), "005");
    assert_eq!(confirm(&browser, &second).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_mailbox_is_written_to_only_so_often() {
    let (app, _mailbox) = mailing().await;
    let browser = app.browser("ada").await;
    set_address(&browser, "ada@example.org").await;
    let mut last = StatusCode::ACCEPTED;
    for _ in 0..5 {
        last = browser.post("/api/v1/users/me/email-confirmation", json!({})).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn an_address_that_is_replaced_is_told_and_its_links_end() {
    let (app, mut mailbox) = mailing().await;
    let browser = confirmed(&app, &mut mailbox, "ada@example.org").await;
    assert_eq!(lost(&app.anonymous(), "ada@example.org").await, StatusCode::ACCEPTED);
    let reset = token(&mailbox.letter().await, "/reset");
    set_address(&browser, "lovelace@example.org").await;
    let mut letters = [mailbox.letter().await, mailbox.letter().await];
    letters.sort_by(|a, b| a.to.cmp(&b.to));
    let [told, asked] = letters;
    assert_eq!((told.to.as_str(), asked.to.as_str()), ("ada@example.org", "lovelace@example.org"));
    assert!(told.text.contains("Subject: Millrace: your e-mail address was changed\r\n"), "{}", told.text);
    assert_eq!(browser.get("/api/v1/users/me").await.json["email_verified"], false);
    let body = json!({ "token": reset["token"], "password": "another sentence" });
    let late = app.anonymous().send(Method::PUT, "/api/v1/password-resets", &[], Some(body)).await;
    assert_eq!(code(&late), "005", "what was sent to the old address works no more");
    assert_eq!(lost(&app.anonymous(), "lovelace@example.org").await, StatusCode::ACCEPTED);
    assert_eq!(confirm(&browser, &token(&asked, "/confirm")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(mailbox.left(), 0, "an address that is not confirmed gets no link to a password");
}

#[tokio::test]
async fn a_lost_password_is_set_anew_by_the_link_that_was_sent() {
    let (app, mut mailbox) = mailing().await;
    let browser = confirmed(&app, &mut mailbox, "ada@example.org").await;
    assert_eq!(lost(&app.anonymous(), " ADA@example.org").await, StatusCode::ACCEPTED);
    let letter = mailbox.letter().await;
    assert!(letter.text.contains("Subject: Millrace: a new password\r\n"), "{}", letter.text);
    let body = json!({ "token": token(&letter, "/reset")["token"], "password": "another sentence" });
    let set = app.anonymous().send(Method::PUT, "/api/v1/password-resets", &[], Some(body)).await;
    assert_eq!(set.status, StatusCode::NO_CONTENT);
    assert_eq!(browser.get("/api/v1/users/me").await.status, StatusCode::UNAUTHORIZED, "sessions have ended");
    assert_eq!(app.anonymous().log_in("ada@example.org", "another sentence").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn nobody_learns_whether_there_is_an_account() {
    let (app, mut mailbox) = mailing().await;
    let browser = app.browser("ada").await;
    set_address(&browser, "unconfirmed@example.org").await;
    mailbox.letter().await;
    for email in ["nobody@example.org", "unconfirmed@example.org"] {
        assert_eq!(lost(&app.anonymous(), email).await, StatusCode::ACCEPTED);
    }
    // What was asked before is dealt with before: a letter that does come comes last.
    confirmed(&app, &mut mailbox, "ada@example.org").await;
    assert_eq!(lost(&app.anonymous(), "ada@example.org").await, StatusCode::ACCEPTED);
    assert_eq!(mailbox.letter().await.to, "ada@example.org");
    assert_eq!(mailbox.left(), 0);
    let bad = app.anonymous().post("/api/v1/password-resets", json!({ "email": "ada" })).await;
    assert_eq!(code(&bad), "001");
}

#[tokio::test]
async fn who_asks_again_and_again_has_to_wait() {
    let (app, _mailbox) = mailing().await;
    let mut last = StatusCode::ACCEPTED;
    for _ in 0..6 {
        last = lost(&app.anonymous(), "nobody@example.org").await;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS, "for an address that nobody has, as well");
}

#[tokio::test]
async fn who_registers_with_an_address_is_asked_to_confirm_it() {
    let (app, mut mailbox) = mailing().await;
    let mut eve = registration("eve", Some(&app.invitation().await));
    eve["email"] = json!("eve@example.org");
    let mut chinese = app.anonymous();
    chinese.headers.push(("accept-language", "zh-CN".to_owned()));
    let made = chinese.post("/api/v1/users", eve).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
    let letter = mailbox.letter().await;
    assert_eq!(letter.to, "eve@example.org");
    assert!(letter.text.contains("Content-Type: text/plain; charset=utf-8\r\n"), "{}", letter.text);
    assert!(letter.text.contains("Subject: Millrace=?utf-8?") || letter.text.contains("=?utf-8?b?"), "{}", letter.text);
}

#[tokio::test]
async fn a_token_neither_changes_the_address_nor_confirms_another() {
    let (app, _mailbox) = mailing().await;
    let ada = app.browser("ada").await;
    let made = ada.post("/api/v1/tokens", json!({ "name": "script", "scopes": ["account"] })).await;
    let mut program = app.anonymous();
    program.headers.push(("authorization", format!("Bearer {}", made.json["token"].as_str().unwrap())));
    assert_eq!(code(&set_address(&program, "eve@example.org").await), "005");
}

#[tokio::test]
async fn the_pages_lead_there_where_the_site_sends_mail() {
    let (app, _mailbox) = mailing().await;
    let (_, _, log_in) = app.anonymous().page("/login").await;
    assert!(log_in.contains("href=\"/forgot\""));
    let (_, _, forgot) = app.anonymous().page("/forgot").await;
    assert!(forgot.contains("POST /api/v1/password-resets"));
    let (status, _, page) = app.anonymous().page("/confirm?token=%22%3E%3Cscript%3E").await;
    assert!(status.is_success() && !page.contains("\"><script>"));
    assert_eq!(app.anonymous().get("/api/v1/site").await.json["mail"], true);
    let browser = app.browser("ada").await;
    set_address(&browser, "ada@example.org").await;
    let (_, _, settings) = browser.page("/settings").await;
    assert!(settings.contains("POST /api/v1/users/me/email-confirmation"));
}

#[tokio::test]
async fn a_site_without_mail_says_so() {
    let app = App::set_up().await;
    assert_eq!(lost(&app.anonymous(), "ada@example.org").await, StatusCode::NOT_FOUND);
    let browser = app.with_role("eve", Role::Viewer).await;
    set_address(&browser, "eve@example.org").await;
    let again = browser.post("/api/v1/users/me/email-confirmation", json!({})).await;
    assert_eq!(code(&again), "006");
    assert!(!app.anonymous().page("/login").await.2.contains("/forgot"));
    assert!(app.anonymous().page("/forgot").await.2.contains("Ask an administrator"));
    assert_eq!(app.anonymous().get("/api/v1/site").await.json["mail"], false);
}
