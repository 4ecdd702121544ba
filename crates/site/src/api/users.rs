//! Accounts.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use millrace_store::{Action, Error, LinkKind, NewAuditEntry, NewUser, Profile, Role, User, UserState};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::body::Body;
use crate::accounts::permissions::Act;
use crate::accounts::rules::incorrect;
use crate::accounts::sessions::{Actor, By};
use crate::accounts::{rules, secret};
use crate::actor::{Address, session_cookie};
use crate::pictures;
use crate::settings::{self, RegistrationMode, SettingsChange};
use crate::visitor::Visitor;
use crate::{ErrorCode, Problem, Site};

/// An account, as its owner and administrators see it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Account {
    /// Its id.
    id: String,
    /// The name to log in with.
    #[schema(example = "ada")]
    handle: String,
    /// The name that others see.
    #[schema(example = "Ada Lovelace")]
    display_name: String,
    /// Where to write to.
    email: Option<String>,
    /// Whether that address was confirmed.
    email_verified: bool,
    role: AccountRole,
    state: AccountState,
    /// A few words about the person.
    bio: String,
    /// Path of the picture, a square; null where there is none.
    #[schema(example = "/media/0f1e2d3c4b5a69788796a5b4c3d2e1f0.jpg")]
    avatar_url: Option<String>,
    /// Whether logging in asks for a second factor.
    second_factor: bool,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// Changes with every change of the account; `If-Match` takes it in quotes.
    version: i64,
}

/// What somebody may do, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AccountRole {
    /// Watches.
    Viewer,
    /// Has channels.
    Creator,
    /// Keeps order.
    Moderator,
    /// Runs the site.
    Admin,
}

/// Whether an account can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AccountState {
    /// It can.
    Active,
    /// It waits for an administrator.
    Pending,
    /// It was locked.
    Disabled,
}

impl From<AccountRole> for Role {
    fn from(role: AccountRole) -> Self {
        match role {
            AccountRole::Viewer => Self::Viewer,
            AccountRole::Creator => Self::Creator,
            AccountRole::Moderator => Self::Moderator,
            AccountRole::Admin => Self::Admin,
        }
    }
}

impl From<AccountState> for UserState {
    fn from(state: AccountState) -> Self {
        match state {
            AccountState::Active => Self::Active,
            AccountState::Pending => Self::Pending,
            AccountState::Disabled => Self::Disabled,
        }
    }
}

impl From<&User> for Account {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            handle: user.handle.clone(),
            display_name: user.display_name.clone(),
            email: user.email.clone(),
            email_verified: user.email_verified_at.is_some(),
            role: match user.role {
                Role::Viewer => AccountRole::Viewer,
                Role::Creator => AccountRole::Creator,
                Role::Moderator => AccountRole::Moderator,
                Role::Admin => AccountRole::Admin,
            },
            state: match user.state {
                UserState::Active => AccountState::Active,
                UserState::Pending => AccountState::Pending,
                UserState::Disabled => AccountState::Disabled,
            },
            bio: user.bio.clone(),
            avatar_url: user.avatar.as_deref().map(pictures::url),
            second_factor: user.totp_secret.is_some(),
            created_at: user.created_at.into(),
            version: user.version,
        }
    }
}

/// Somebody who registers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    /// The name to log in with: 2 to 32 of a-z, 0-9, `_` and `-`.
    #[schema(example = "ada")]
    handle: String,
    /// At least 10 characters.
    #[schema(example = "a long sentence of mine")]
    password: String,
    /// The name that others see; the handle where it is left out.
    display_name: Option<String>,
    /// Where to write to.
    email: Option<String>,
    /// The token of an invitation, or of the link with which a new site is set up.
    token: Option<String>,
    /// The name of a new site that is set up.
    #[schema(example = "River TV")]
    site_name: Option<String>,
}

/// Register
///
/// Who comes with the link of a new site becomes its administrator. Others come as the site's settings allow, which
/// `/api/v1/site` tells: everybody, everybody who is then let in, or who has an invitation. Who is let in by an
/// administrator has to wait; all others are logged in.
#[utoipa::path(post, path = "/api/v1/users", operation_id = "create_user", tag = "users", request_body = Registration,
responses(
    (status = 201, description = "The account was made, and is logged in", body = Account),
    (status = 202, description = "The account was made, and waits to be let in", body = Account),
    (status = 400, description = "A field is not correct", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Registration is closed, or the token no good", body = Problem,
     content_type = "application/problem+json"),
    (status = 409, description = "The name or address is taken", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many tries", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too busy, or too many wait to be let in", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn create(
    State(site): State<Site>,
    visitor: Visitor,
    Address(address): Address,
    headers: HeaderMap,
    Body(body): Body<Registration>,
) -> Result<Response, Problem> {
    let handle = rules::handle(&body.handle).map_err(incorrect)?;
    rules::password(&body.password).map_err(incorrect)?;
    let site_name = body.site_name.as_deref().map(settings::site_name).transpose().map_err(incorrect)?;
    let display_name = rules::display_name(body.display_name.as_deref().unwrap_or(&handle)).map_err(incorrect)?;
    let email = body.email.as_deref().map(rules::email).transpose().map_err(incorrect)?;
    site.accounts.tries.register(address).map_err(Problem::too_often)?;
    let (store, sessions) = (&site.accounts.store, &site.accounts.sessions);
    // The hash first: a link that was taken is spent, and must not be spent on one who is told to come back.
    let password_hash = site.accounts.passwords.hash(body.password).await.map_err(|busy| Problem::busy(&busy))?;
    let token = body.token.filter(|token| secret::is_secret(token)).map(|token| secret::hash(&token));
    let link = match token {
        Some(hash) => match store.take_link(LinkKind::Setup, &hash).await.map_err(Problem::database)? {
            Some(link) => Some(link),
            None => store.take_link(LinkKind::Invitation, &hash).await.map_err(Problem::database)?,
        },
        None => None,
    };
    let (role, state) = match place_of(&site, link.as_ref().map(|link| link.kind)).await {
        Ok(place) => place,
        Err(problem) => {
            if let Some(link) = &link {
                store.restore_link(link).await.map_err(Problem::database)?;
            }
            return Err(problem);
        }
    };
    let new =
        NewUser { handle: &handle, display_name, email: email.as_deref(), password_hash: &password_hash, role, state };
    let user = match store.create_user(&new).await {
        Ok(user) => user,
        Err(error) => {
            // The link is good for another try.
            if let Some(link) = &link {
                store.restore_link(link).await.map_err(Problem::database)?;
            }
            return Err(failed(error));
        }
    };
    let entry = NewAuditEntry {
        actor: &handle,
        action: if role == Role::Admin { Action::Setup } else { Action::Register },
        subject: &handle,
        address: &address.to_string(),
        details: "",
    };
    store.add_audit(&entry).await.map_err(Problem::database)?;
    if let Some(name) = site_name.filter(|_| role == Role::Admin) {
        let settings = &site.accounts.settings;
        let change = SettingsChange { name: Some(name.to_owned()), ..SettingsChange::default() };
        settings.change(settings.now().version, &change).await.map_err(failed)?;
    }
    if email.as_deref().is_some_and(|email| site.accounts.tries.write_to(email).is_ok()) {
        site.send_confirmation(&user, visitor.language).await.map_err(Problem::database)?;
    }
    let account = Account::from(&user);
    if state != UserState::Active {
        return Ok((StatusCode::ACCEPTED, Json(account)).into_response());
    }
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let begun = sessions.begin(&user, false, agent, &address.to_string()).await;
    let (secret, _) = begun.map_err(Problem::database)?;
    let cookie = session_cookie(&secret, false, &visitor);
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Json(account)).into_response())
}

/// What somebody who registers with a link of that kind becomes, as the settings have it.
async fn place_of(site: &Site, link: Option<LinkKind>) -> Result<(Role, UserState), Problem> {
    let refused = |words| Err(Problem::new(ErrorCode::Forbidden, words));
    let settings = site.accounts.settings.now();
    match (link, settings.registration) {
        (Some(LinkKind::Setup), _) => Ok((Role::Admin, UserState::Active)),
        (_, RegistrationMode::Closed) => refused("registration is closed"),
        (Some(LinkKind::Invitation), _) => Ok((Role::Creator, UserState::Active)),
        (_, RegistrationMode::Open) => Ok((settings.default_role.into(), UserState::Active)),
        (_, RegistrationMode::Approval) => {
            let waiting = site.accounts.store.count_pending_users().await.map_err(Problem::database)?;
            if waiting >= MAX_PENDING {
                return Err(Problem::new(ErrorCode::Unavailable, "too many wait to be let in; try again another day"));
            }
            Ok((settings.default_role.into(), UserState::Pending))
        }
        (_, RegistrationMode::Invitation) => {
            refused("registration is by invitation; this link is not or no longer good")
        }
    }
}

/// Get the own account
#[utoipa::path(get, path = "/api/v1/users/me", operation_id = "get_me", tag = "users", responses(
    (status = 200, description = "The account", body = Account),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not with this token", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn me(actor: Actor) -> Result<Response, Problem> {
    actor.must(Act::OwnAccount)?;
    Ok(tagged(&actor.user))
}

/// What is changed of an account; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountChange {
    /// The name to log in with.
    handle: Option<String>,
    /// The name that others see.
    display_name: Option<String>,
    /// A few words about the person.
    bio: Option<String>,
}

/// Change the own account
///
/// `If-Match` names the version that was read, so that nothing is overwritten that somebody changed meanwhile.
#[utoipa::path(patch, path = "/api/v1/users/me", operation_id = "update_me", tag = "users", request_body = AccountChange,
params(("If-Match" = String, Header, description = "The `ETag` of the account as it was read", example = "\"1\"")),
responses(
    (status = 200, description = "The account as it is now", body = Account),
    (status = 400, description = "A field is not correct", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not with this token", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "The name is taken, or the account was changed meanwhile", body = Problem,
     content_type = "application/problem+json"),
))]
pub(crate) async fn update_me(
    State(site): State<Site>,
    actor: Actor,
    headers: HeaderMap,
    Body(body): Body<AccountChange>,
) -> Result<Response, Problem> {
    actor.must(Act::OwnAccount)?;
    let version = version(&headers)?;
    let handle = body.handle.as_deref().map(rules::handle).transpose().map_err(incorrect)?;
    let display_name = body.display_name.as_deref().map(rules::display_name).transpose().map_err(incorrect)?;
    let bio = body.bio.as_deref().map(rules::bio).transpose().map_err(incorrect)?;
    let change = Profile { handle: handle.as_deref(), display_name, bio, ..Profile::default() };
    let user = site.accounts.store.update_profile(&actor.user.id, version, &change).await.map_err(failed)?;
    site.accounts.sessions.forget(&user.id).await;
    Ok(tagged(&user))
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    /// The password so far.
    current_password: String,
    /// At least 10 characters.
    new_password: String,
}

/// Change the own password
///
/// All other sessions end.
#[utoipa::path(put, path = "/api/v1/users/me/password", operation_id = "change_password", tag = "users",
request_body = PasswordChange, responses(
    (status = 204, description = "It was changed"),
    (status = 400, description = "The new password is not good", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "Not logged in, or the password is wrong", body = Problem,
     content_type = "application/problem+json"),
    (status = 403, description = "Not with a token", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many tries", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too busy", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn change_password(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Body(body): Body<PasswordChange>,
) -> Result<StatusCode, Problem> {
    let By::Session(session) = &actor.by else {
        return Err(Problem::new(ErrorCode::Forbidden, "a password is changed in a session, not with a token"));
    };
    rules::password(&body.new_password).map_err(incorrect)?;
    confirm(&site, &actor, address, body.current_password).await?;
    let accounts = &site.accounts;
    let hash = accounts.passwords.hash(body.new_password).await.map_err(|busy| Problem::busy(&busy))?;
    accounts.store.set_password(&actor.user.id, &hash).await.map_err(failed)?;
    accounts.store.delete_sessions_of(&actor.user.id, Some(session)).await.map_err(failed)?;
    accounts.sessions.forget(&actor.user.id).await;
    audit(&site, &actor, Action::ChangePassword, &actor.user.handle, address).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The password, for what cannot be undone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirmation {
    /// The own password.
    pub(super) password: String,
}

/// Delete the own account
///
/// Its sessions and tokens, its channels and their keys go with it.
#[utoipa::path(delete, path = "/api/v1/users/me", operation_id = "delete_me", tag = "users", request_body = Confirmation,
responses(
    (status = 204, description = "It is gone"),
    (status = 401, description = "Not logged in, or the password is wrong", body = Problem,
     content_type = "application/problem+json"),
    (status = 403, description = "Not with a token", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "It is the last administrator's", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many tries", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too busy", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn delete_me(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Body(body): Body<Confirmation>,
) -> Result<StatusCode, Problem> {
    if !matches!(actor.by, By::Session(_)) {
        return Err(Problem::new(ErrorCode::Forbidden, "an account is deleted in a session, not with a token"));
    }
    confirm(&site, &actor, address, body.password).await?;
    site.accounts.delete_user(&actor.user.id).await.map_err(failed)?;
    audit(&site, &actor, Action::DeleteUser, &actor.user.handle, address).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds an entry to the audit log.
pub(super) async fn audit(
    site: &Site,
    actor: &Actor,
    action: Action,
    subject: &str,
    address: std::net::IpAddr,
) -> Result<(), Problem> {
    audit_with(site, actor, action, subject, address, "").await
}

/// Adds an entry to the audit log, with what else is to be known.
pub(super) async fn audit_with(
    site: &Site,
    actor: &Actor,
    action: Action,
    subject: &str,
    address: std::net::IpAddr,
    details: &str,
) -> Result<(), Problem> {
    let address = address.to_string();
    let entry = NewAuditEntry { actor: &actor.user.handle, action, subject, address: &address, details };
    site.accounts.store.add_audit(&entry).await.map_err(Problem::database)
}

pub(super) async fn confirm(
    site: &Site,
    actor: &Actor,
    address: std::net::IpAddr,
    password: String,
) -> Result<(), Problem> {
    site.accounts.tries.log_in(address, &actor.user.handle).map_err(Problem::too_often)?;
    let hash = actor.user.password_hash.clone();
    let right = site.accounts.passwords.verify(password, Some(hash)).await.map_err(|busy| Problem::busy(&busy))?;
    if right { Ok(()) } else { Err(Problem::new(ErrorCode::Unauthenticated, "the password is wrong")) }
}

/// The version that `If-Match` holds.
pub(super) fn version(headers: &HeaderMap) -> Result<i64, Problem> {
    let given = headers.get(header::IF_MATCH).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
    given
        .trim_matches('"')
        .parse()
        .map_err(|_| Problem::new(ErrorCode::BadRequest, "If-Match must hold the ETag of what you read"))
}

pub(super) fn tagged(user: &User) -> Response {
    ([(header::ETAG, etag(user.version))], Json(Account::from(user))).into_response()
}

/// The tag of a version.
pub(super) fn etag(version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("a number in quotes")
}

pub(super) fn failed(error: Error) -> Problem {
    match error {
        Error::Taken(_) | Error::Changed | Error::LastAdministrator => {
            Problem::new(ErrorCode::Conflict, error.to_string())
        }
        Error::NotFound => Problem::new(ErrorCode::NotFound, "there is no such account"),
        other => Problem::database(other),
    }
}

/// Registrations that wait at a time.
const MAX_PENDING: u64 = 1000;
