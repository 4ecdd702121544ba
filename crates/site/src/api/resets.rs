//! New passwords by a link, for those who have lost theirs.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use millrace_store::{Action, NewAuditEntry};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::admin::users::{find, not_theirs};
use super::body::Body;
use super::refusals::Refusals;
use super::users::audit;
use crate::accounts::operator::RESET_LIFETIME;
use crate::accounts::permissions::{Act, may_change};
use crate::accounts::rules::{self, incorrect};
use crate::accounts::secret;
use crate::accounts::sessions::{Actor, By};
use crate::actor::Address;
use crate::visitor::Visitor;
use crate::{ErrorCode, Problem, Site};

/// A link with which somebody sets a new password.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResetLink {
    /// The path to send to whom it is for, on this site. It is shown this once, and works once.
    #[schema(example = "/reset?token=…")]
    path: String,
    /// When it no longer works.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// Make a link to set a new password
///
/// Earlier ones of the account work no more. Whoever has the link has the account.
#[utoipa::path(post, path = "/api/v1/users/{handle}/reset-link", operation_id = "create_reset_link", tag = "admin",
params(("handle" = String, Path, description = "The account's handle")), responses(
    (status = 201, description = "The link", body = ResetLink),
    Refusals,
))]
pub(crate) async fn create(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Path(handle): Path<String>,
) -> Result<(StatusCode, Json<ResetLink>), Problem> {
    actor.must(Act::ManageUsers)?;
    // Whoever has the link has the account: a token must not become a session by it.
    if !matches!(actor.by, By::Session(_)) {
        return Err(Problem::new(ErrorCode::Forbidden, "a reset link is made in a session, not with a token"));
    }
    let user = find(&site, &handle).await?;
    if !may_change(actor.user.role, user.role, user.role) {
        return Err(not_theirs());
    }
    let link =
        site.accounts.reset_link(&user.id, Some(&actor.user.id), RESET_LIFETIME).await.map_err(Problem::database)?;
    audit(&site, &actor, Action::ResetPassword, &user.handle, address).await?;
    Ok((StatusCode::CREATED, Json(ResetLink { path: link.path, expires_at: link.expires_at.into() })))
}

/// Whose password is lost.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LostPassword {
    /// The address of the account, which must have been confirmed.
    #[schema(example = "ada@example.org")]
    email: String,
}

/// Ask for a link to set a new password
///
/// It is sent by mail, where the address is the confirmed one of an account, and works once, for an hour. The answer does
/// not tell whether it is.
#[utoipa::path(post, path = "/api/v1/password-resets", operation_id = "ask_for_reset", tag = "sessions",
request_body = LostPassword, responses(
    (status = 202, description = "If there is such an account, the link is on its way"),
    (status = 400, description = "It is no address", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "This site sends no mail", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many tries", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn ask(
    State(site): State<Site>,
    visitor: Visitor,
    Address(address): Address,
    Body(body): Body<LostPassword>,
) -> Result<StatusCode, Problem> {
    let email = rules::email(&body.email).map_err(incorrect)?;
    sends_mail(&site)?;
    site.accounts.tries.register(address).map_err(Problem::too_often)?;
    site.accounts.tries.write_to(&email).map_err(Problem::too_often)?;
    site.send_password_link(email, address, visitor.language);
    Ok(StatusCode::ACCEPTED)
}

/// Refuses what takes a letter, where none can be sent.
pub(super) fn sends_mail(site: &Site) -> Result<(), Problem> {
    let none = || Problem::new(ErrorCode::NotFound, "this site sends no mail; ask an administrator");
    site.accounts.mail.as_ref().map(|_| ()).ok_or_else(none)
}

/// A new password, by a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordReset {
    /// The link's token.
    token: String,
    /// At least 10 characters.
    password: String,
}

/// Set a new password by a link
///
/// All sessions and personal tokens of the account end.
#[utoipa::path(put, path = "/api/v1/password-resets", operation_id = "reset_password", tag = "sessions",
request_body = PasswordReset, responses(
    (status = 204, description = "It was set"),
    (status = 429, description = "Too many tries", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too busy", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn reset(
    State(site): State<Site>,
    Address(address): Address,
    Body(body): Body<PasswordReset>,
) -> Result<StatusCode, Problem> {
    let (accounts, store) = (&site.accounts, &site.accounts.store);
    rules::password(&body.password).map_err(incorrect)?;
    accounts.tries.register(address).map_err(Problem::too_often)?;
    let refused = || Problem::new(ErrorCode::Forbidden, "this link is not or no longer good; ask for another");
    let hash = Some(&body.token).filter(|token| secret::is_secret(token)).map(|token| secret::hash(token));
    let password = accounts.passwords.hash(body.password).await.map_err(|busy| Problem::busy(&busy))?;
    let user = match hash {
        Some(hash) => store.reset_password(&hash, &password).await.map_err(Problem::database)?,
        None => None,
    };
    let user = user.ok_or_else(refused)?;
    accounts.sessions.forget(&user.id).await;
    let from = address.to_string();
    let entry = NewAuditEntry {
        actor: &user.handle,
        action: Action::ChangePassword,
        subject: &user.handle,
        address: &from,
        details: "by a link",
    };
    store.add_audit(&entry).await.map_err(Problem::database)?;
    Ok(StatusCode::NO_CONTENT)
}
