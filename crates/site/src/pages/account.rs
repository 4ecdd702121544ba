//! Setting up, registering, logging in, and the own account.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use millrace_store::{LinkKind, User};
use serde::Deserialize;

use super::admin::End;
use super::{Shell, device, render, rfc3339};
use crate::accounts::secret;
use crate::accounts::sessions::By;
use crate::settings::RegistrationMode;
use crate::visitor::Visitor;
use crate::{Problem, Site};

#[derive(Template)]
#[template(path = "log_in.html")]
struct LogIn {
    shell: Shell,
    next: String,
    /// Whether one can register without an invitation.
    registers: bool,
    /// Whether a lost password is helped with by mail.
    mail: bool,
}

#[derive(Template)]
#[template(path = "register.html")]
struct Register {
    shell: Shell,
    heading: &'static str,
    text: &'static str,
    /// The token of the link that the visitor followed; empty without one.
    token: String,
    /// Whether the visitor can register now; otherwise the text says why not.
    open: bool,
    /// Whether the site gets its name here.
    names_site: bool,
    /// Whether who registers has to wait to be let in.
    waits: bool,
    /// Whether an address is of use, since the site sends mail.
    mail: bool,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct Settings {
    shell: Shell,
    handle: String,
    display_name: String,
    bio: String,
    email: String,
    email_verified: bool,
    /// Whether the site sends mail, by which an address is confirmed.
    mail: bool,
    /// Address of the picture; empty without one.
    avatar: String,
    version: i64,
    sessions: Vec<OpenSession>,
    second_factor: bool,
    tokens: Vec<PersonalToken>,
    /// Scopes of tokens, with their messages.
    scopes: &'static [(&'static str, &'static str)],
}

/// A personal token.
struct PersonalToken {
    id: String,
    name: String,
    scopes: String,
    last_used: Option<String>,
    ends: Option<End>,
}

#[derive(Template)]
#[template(path = "forgot.html")]
struct Forgot {
    shell: Shell,
    /// Whether the site sends mail.
    mail: bool,
}

#[derive(Template)]
#[template(path = "reset.html")]
struct Reset {
    shell: Shell,
    token: String,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm {
    shell: Shell,
    token: String,
}

struct OpenSession {
    id: String,
    current: bool,
    /// Browser and system.
    device: String,
    user_agent: String,
    address: String,
    last_used: String,
    last_used_at: String,
}

#[derive(Deserialize)]
pub(super) struct Next {
    next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Token {
    token: Option<String>,
}

pub(super) async fn log_in(State(site): State<Site>, visitor: Visitor, Query(query): Query<Next>) -> Response {
    let next = query.next.filter(|next| is_own_path(next)).unwrap_or_else(|| "/".to_owned());
    if visitor.user.is_some() {
        return Redirect::to(&next).into_response();
    }
    let title = visitor.language.messages().get("account.log_in");
    let mode = site.accounts.settings.now().registration;
    let registers = matches!(mode, RegistrationMode::Open | RegistrationMode::Approval);
    let mail = site.accounts.mail.is_some();
    render(&LogIn { shell: Shell::new(&site, visitor, title).unlisted(), next, registers, mail })
}

pub(super) async fn register(State(site): State<Site>, visitor: Visitor, Query(query): Query<Token>) -> Response {
    let asked = query.token.unwrap_or_default();
    let token = match is_good(&site, &asked).await {
        Ok(true) => asked.clone(),
        Ok(false) => String::new(), // as if it had none
        Err(error) => {
            Problem::database(error); // for the log
            return super::error::broken();
        }
    };
    let (text, open, waits) = match (site.accounts.settings.now().registration, token.is_empty()) {
        (RegistrationMode::Closed, _) => ("account.register_closed", false, false),
        (RegistrationMode::Invitation, true) if !asked.is_empty() => ("account.dead_link", false, false),
        (_, false) => ("account.register_text", true, false),
        (RegistrationMode::Open, true) => ("account.register_open", true, false),
        (RegistrationMode::Approval, true) => ("account.register_approval", true, true),
        (RegistrationMode::Invitation, true) => ("account.no_link", false, false),
    };
    let heading = "account.register";
    let title = visitor.language.messages().get(heading);
    let (shell, mail) = (Shell::new(&site, visitor, title).unlisted(), site.accounts.mail.is_some());
    render(&Register { shell, heading, text, token, open, names_site: false, waits, mail })
}

/// Whether the token is of an invitation that works.
async fn is_good(site: &Site, token: &str) -> Result<bool, millrace_store::Error> {
    if !secret::is_secret(token) {
        return Ok(false);
    }
    Ok(site.accounts.store.link(LinkKind::Invitation, &secret::hash(token)).await?.is_some())
}

pub(super) async fn set_up(State(site): State<Site>, visitor: Visitor, Query(query): Query<Token>) -> Response {
    let token = query.token.unwrap_or_default();
    let open = !token.is_empty();
    let (heading, text) = ("account.set_up", if open { "account.set_up_text" } else { "account.no_link" });
    let title = visitor.language.messages().get(heading);
    let (shell, mail) = (Shell::new(&site, visitor, title).unlisted(), site.accounts.mail.is_some());
    render(&Register { shell, heading, text, token, open, names_site: true, waits: false, mail })
}

pub(super) async fn settings(State(site): State<Site>, visitor: Visitor) -> Response {
    let Some(actor) = visitor.user.clone() else { return Redirect::to("/login?next=/settings").into_response() };
    let sessions = match site.accounts.store.sessions_of(&actor.user.id).await {
        Ok(sessions) => sessions,
        Err(error) => {
            Problem::database(error); // for the log
            return super::error::broken();
        }
    };
    let t = visitor.language.messages();
    let now = time::OffsetDateTime::now_utc();
    let sessions = sessions.into_iter().map(|session| {
        let last_used = time::OffsetDateTime::from(session.last_used_at);
        OpenSession {
            current: actor.by == By::Session(session.id.clone()),
            id: session.id.to_string(),
            device: device::name(&session.user_agent),
            user_agent: session.user_agent,
            address: session.address,
            last_used: t.duration(u64::try_from((now - last_used).whole_seconds()).unwrap_or(0)),
            last_used_at: rfc3339(last_used),
        }
    });
    let sessions = sessions.collect();
    let tokens = match site.accounts.store.tokens_of(&actor.user.id).await {
        Ok(tokens) => tokens,
        Err(error) => {
            Problem::database(error); // for the log
            return super::error::broken();
        }
    };
    let ago = |at: time::OffsetDateTime| t.duration(u64::try_from((now - at).whole_seconds()).unwrap_or(0));
    let tokens = tokens.into_iter().map(|token| PersonalToken {
        id: token.id.to_string(),
        name: token.name,
        scopes: token.scopes,
        last_used: token.last_used_at.map(|at| ago(at.into())),
        ends: token.expires_at.map(|at| End::new(at.into(), now, t)),
    });
    let tokens = tokens.collect();
    let User { handle, display_name, bio, email, email_verified_at, avatar, version, .. } = (*actor.user).clone();
    let (shell, mail) =
        (Shell::new(&site, visitor, t.get("account.settings")).unlisted(), site.accounts.mail.is_some());
    render(&Settings {
        shell,
        handle,
        display_name,
        bio,
        email: email.unwrap_or_default(),
        email_verified: email_verified_at.is_some(),
        mail,
        avatar: avatar.as_deref().map(crate::pictures::url).unwrap_or_default(),
        version,
        sessions,
        tokens,
        second_factor: actor.user.totp_secret.is_some(),
        scopes: SCOPES,
    })
}

pub(super) async fn forgot(State(site): State<Site>, visitor: Visitor) -> Response {
    let title = visitor.language.messages().get("account.forgot_title");
    let mail = site.accounts.mail.is_some();
    render(&Forgot { shell: Shell::new(&site, visitor, title).unlisted(), mail })
}

pub(super) async fn reset(State(site): State<Site>, visitor: Visitor, Query(query): Query<Token>) -> Response {
    let title = visitor.language.messages().get("account.reset_title");
    let shell = Shell::new(&site, visitor, title).unlisted();
    render(&Reset { shell, token: query.token.unwrap_or_default() })
}

/// A page with a button: programs that look at each link of a letter before it is read must not confirm anything.
pub(super) async fn confirm(State(site): State<Site>, visitor: Visitor, Query(query): Query<Token>) -> Response {
    let title = visitor.language.messages().get("account.confirm_title");
    let shell = Shell::new(&site, visitor, title).unlisted();
    render(&Confirm { shell, token: query.token.unwrap_or_default() })
}

const SCOPES: &[(&str, &str)] = &[
    ("account", "account.scope_account"),
    ("channels", "account.scope_channels"),
    ("moderate", "account.scope_moderate"),
    ("admin", "account.scope_admin"),
];

/// Whether a redirect to it stays on this site: `//host` and `/\host` would not.
fn is_own_path(path: &str) -> bool {
    path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for good in ["/", "/settings", "/@movie?lang=en"] {
            assert!(is_own_path(good), "{good}");
        }
        for bad in ["", "https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "javascript:x"]
        {
            assert!(!is_own_path(bad), "{bad:?}");
        }
    }
}
