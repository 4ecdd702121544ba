//! Logging in and out.

use axum::Json;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use millrace_store::{Action, Error, NewAuditEntry, SessionId, UserState};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::body::Body;
use super::users::{Account, audit};
use crate::accounts::rules::{self, incorrect};
use crate::accounts::sessions::{Actor, By};
use crate::actor::{Address, no_session_cookie, session_cookie};
use crate::visitor::Visitor;
use crate::{ErrorCode, Problem, Site};

/// Who logs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    /// The handle, or the e-mail address.
    #[schema(example = "ada")]
    username: String,
    password: String,
    /// Whether the session lasts 30 days from its last use, and not 30 minutes.
    #[serde(default)]
    remember: bool,
    /// The second factor's code, where the account has one: of its application, or a recovery code.
    code: Option<String>,
}

/// A browser that is logged in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenSession {
    /// Its id.
    id: String,
    /// Whether it is the one that asks.
    current: bool,
    /// What the browser calls itself.
    user_agent: String,
    /// Where it was used from last.
    address: String,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it was used last, to within a minute.
    #[serde(with = "time::serde::rfc3339")]
    last_used_at: OffsetDateTime,
    /// When it ends by itself.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// The sessions of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenSessions {
    /// The newest first.
    items: Vec<OpenSession>,
}

/// Log in
///
/// The answer sets the cookie `session`. Where the account has a second factor, the answer to the right password alone
/// is a problem with `second_factor`: ask again with `code`. What is wrong, name or password, is not told.
#[utoipa::path(post, path = "/api/v1/sessions", operation_id = "log_in", tag = "sessions", request_body = Credentials,
responses(
    (status = 201, description = "Logged in", body = Account),
    (status = 400, description = "A field is not correct", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "The name or password is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The account waits for approval, or is locked", body = Problem,
     content_type = "application/problem+json"),
    (status = 429, description = "Too many tries", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too busy", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn log_in(
    State(site): State<Site>,
    visitor: Visitor,
    Address(address): Address,
    headers: HeaderMap,
    Body(body): Body<Credentials>,
) -> Result<Response, Problem> {
    let (accounts, address) = (&site.accounts, address);
    let name = body.username.trim().to_lowercase();
    if name.len() > MAX_NAME || body.password.len() > rules::MAX_PASSWORD {
        return Err(Problem::new(ErrorCode::BadRequest, "username or password is too long"));
    }
    accounts.tries.log_in(address, &name).map_err(Problem::too_often)?;
    let user = match name.contains('@') {
        true => accounts.store.user_by_email(&rules::email(&name).unwrap_or_default()).await,
        false => accounts.store.user_by_handle(&name).await,
    };
    let user = user.map_err(Problem::database)?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let right = accounts.passwords.verify(body.password, hash).await.map_err(|busy| Problem::busy(&busy))?;
    let from = address.to_string();
    let Some(user) = user.filter(|_| right) else {
        let entry =
            NewAuditEntry { actor: "", action: Action::LogInRefused, subject: &name, address: &from, details: "" };
        accounts.store.add_audit(&entry).await.map_err(Problem::database)?;
        return Err(Problem::new(ErrorCode::Unauthenticated, "the name or the password is wrong"));
    };
    match user.state {
        UserState::Active => {}
        UserState::Pending => {
            return Err(Problem::new(ErrorCode::Forbidden, "an administrator has not yet approved this account"));
        }
        UserState::Disabled => return Err(Problem::new(ErrorCode::Forbidden, "this account is locked")),
    }
    if user.totp_secret.is_some() {
        let Some(code) = body.code.as_deref().filter(|code| !code.is_empty()) else {
            return Err(Problem::second_factor("a code of the second factor is needed as well"));
        };
        if code.len() > MAX_CODE || !accounts.take_second_factor(&user, code).await.map_err(Problem::database)? {
            let (subject, from) = (&*user.handle, &*from);
            let details = "second factor";
            let entry = NewAuditEntry { actor: "", action: Action::LogInRefused, subject, address: from, details };
            accounts.store.add_audit(&entry).await.map_err(Problem::database)?;
            return Err(Problem::second_factor("the code is wrong, or was used before"));
        }
    }
    let entry = NewAuditEntry {
        actor: &user.handle,
        action: Action::LogIn,
        subject: &user.handle,
        address: &from,
        details: "",
    };
    accounts.store.add_audit(&entry).await.map_err(Problem::database)?;
    let account = Account::from(&user);
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let begun = accounts.sessions.begin(&user, body.remember, agent, &from).await;
    let (secret, _) = begun.map_err(Problem::database)?;
    let cookie = session_cookie(&secret, body.remember, &visitor);
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Json(account)).into_response())
}

/// Longest code that is looked at.
const MAX_CODE: usize = 64;

/// Log out
#[utoipa::path(delete, path = "/api/v1/sessions/current", operation_id = "log_out", tag = "sessions", responses(
    (status = 204, description = "Logged out"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not with a token", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn log_out(
    State(site): State<Site>,
    visitor: Visitor,
    Address(address): Address,
    actor: Actor,
) -> Result<Response, Problem> {
    let own = own_session(&actor)?.clone();
    end(&site, &actor, &own).await?;
    audit(&site, &actor, Action::LogOut, &actor.user.handle, address).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, no_session_cookie(&visitor))]).into_response())
}

/// List the own sessions
#[utoipa::path(get, path = "/api/v1/sessions", operation_id = "list_sessions", tag = "sessions", responses(
    (status = 200, description = "The sessions", body = OpenSessions),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not with a token", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn list(State(site): State<Site>, actor: Actor) -> Result<Json<OpenSessions>, Problem> {
    let own = own_session(&actor)?;
    let sessions = site.accounts.store.sessions_of(&actor.user.id).await.map_err(Problem::database)?;
    let items = sessions.into_iter().map(|session| OpenSession {
        current: session.id == *own,
        id: session.id.to_string(),
        user_agent: session.user_agent,
        address: session.address,
        created_at: session.created_at.into(),
        last_used_at: session.last_used_at.into(),
        expires_at: session.expires_at.into(),
    });
    Ok(Json(OpenSessions { items: items.collect() }))
}

/// End one of the own sessions
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", operation_id = "end_session", tag = "sessions",
params(("id" = String, Path, description = "The session's id")), responses(
    (status = 204, description = "It has ended"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not with a token", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such session of yours", body = Problem,
     content_type = "application/problem+json"),
))]
pub(crate) async fn end_one(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    own_session(&actor)?;
    let id: SessionId = id.parse().map_err(|_| no_such_session())?;
    end(&site, &actor, &id).await?;
    audit(&site, &actor, Action::EndSession, id.as_str(), address).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which sessions end.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Ending {
    /// Whether the one that asks ends as well.
    #[serde(default)]
    #[param(default = false)]
    current: bool,
}

/// End all other sessions
///
/// With `current=true` the one that asks ends with them: logged out everywhere.
#[utoipa::path(delete, path = "/api/v1/sessions", operation_id = "end_other_sessions", tag = "sessions", params(Ending),
responses(
    (status = 204, description = "They have ended"),
    (status = 400, description = "`current` is neither true nor false", body = Problem,
     content_type = "application/problem+json"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not with a token", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn end_others(
    State(site): State<Site>,
    visitor: Visitor,
    Address(address): Address,
    actor: Actor,
    ending: Result<Query<Ending>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Ending { current }) = ending.map_err(|_| incorrect("current must be true or false"))?;
    let own = own_session(&actor)?;
    let kept = Some(own).filter(|_| !current);
    site.accounts.store.delete_sessions_of(&actor.user.id, kept).await.map_err(Problem::database)?;
    site.accounts.sessions.forget(&actor.user.id).await;
    audit(&site, &actor, Action::EndSession, &actor.user.handle, address).await?;
    Ok(match current {
        true => (StatusCode::NO_CONTENT, [(header::SET_COOKIE, no_session_cookie(&visitor))]).into_response(),
        false => StatusCode::NO_CONTENT.into_response(),
    })
}

async fn end(site: &Site, actor: &Actor, id: &SessionId) -> Result<(), Problem> {
    let ended = site.accounts.store.delete_session(&actor.user.id, id).await;
    site.accounts.sessions.forget(&actor.user.id).await;
    ended.map_err(|error| match error {
        Error::NotFound => no_such_session(),
        other => Problem::database(other),
    })
}

fn own_session(actor: &Actor) -> Result<&SessionId, Problem> {
    match &actor.by {
        By::Session(id) => Ok(id),
        By::Token { .. } => Err(Problem::new(ErrorCode::Forbidden, "sessions are for browsers, not for tokens")),
    }
}

fn no_such_session() -> Problem {
    Problem::new(ErrorCode::NotFound, "there is no such session of yours")
}

/// Longest name that is looked up: an e-mail address (RFC 5321, 4.5.3.1.3).
const MAX_NAME: usize = 254;
