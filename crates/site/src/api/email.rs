//! The address to write to.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use millrace_store::{Action, LinkKind, NewAuditEntry};
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::Body;
use super::refusals::Refusals;
use super::resets::sends_mail;
use super::users::{Account, audit, confirm as confirm_password, failed, tagged};
use crate::accounts::permissions::Act;
use crate::accounts::rules::{self, incorrect};
use crate::accounts::secret;
use crate::accounts::sessions::{Actor, By};
use crate::actor::Address;
use crate::visitor::Visitor;
use crate::{ErrorCode, Problem, Site};

/// Another address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmailChange {
    /// Where to write to; empty to take it away.
    #[schema(example = "ada@example.org")]
    email: String,
    /// The own password: whoever has the mailbox can come to have the account.
    password: String,
}

/// Change the own e-mail address
///
/// Where the site sends mail, the new address gets a link that confirms it, and a confirmed one that it replaces is told.
/// Links that were sent before work no more.
#[utoipa::path(put, path = "/api/v1/users/me/email", operation_id = "set_email", tag = "users", request_body = EmailChange,
responses(
    (status = 200, description = "The account as it is now", body = Account),
    (status = 400, description = "It is no address", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "Not logged in, or the password is wrong", body = Problem,
     content_type = "application/problem+json"),
    (status = 403, description = "Not with a token", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "It is somebody else's", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many tries", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too busy", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn set(
    State(site): State<Site>,
    visitor: Visitor,
    actor: Actor,
    Address(address): Address,
    Body(body): Body<EmailChange>,
) -> Result<Response, Problem> {
    if !matches!(actor.by, By::Session(_)) {
        return Err(Problem::new(ErrorCode::Forbidden, "an address is changed in a session, not with a token"));
    }
    let email = match body.email.as_str() {
        "" => None,
        email => Some(rules::email(email).map_err(incorrect)?),
    };
    confirm_password(&site, &actor, address, body.password).await?;
    if email == actor.user.email {
        return Ok(tagged(&actor.user));
    }
    if let Some(email) = &email {
        site.accounts.tries.write_to(email).map_err(Problem::too_often)?;
    }
    let user = site.accounts.store.set_email(&actor.user.id, email.as_deref()).await.map_err(failed)?;
    site.accounts.sessions.forget(&user.id).await;
    audit(&site, &actor, Action::ChangeEmail, &user.handle, address).await?;
    if let (Some(old), Some(_)) = (&actor.user.email, actor.user.email_verified_at) {
        site.send_address_changed(&user.handle, old, visitor.language);
    }
    site.send_confirmation(&user, visitor.language).await.map_err(Problem::database)?;
    Ok(tagged(&user))
}

/// Ask for another link that confirms the own address
#[utoipa::path(post, path = "/api/v1/users/me/email-confirmation", operation_id = "ask_for_confirmation", tag = "users",
responses(
    (status = 202, description = "The link is on its way"),
    (status = 409, description = "There is no address, or it is confirmed", body = Problem,
     content_type = "application/problem+json"),
    (status = 429, description = "Too many letters", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn ask(State(site): State<Site>, visitor: Visitor, actor: Actor) -> Result<StatusCode, Problem> {
    actor.must(Act::OwnAccount)?;
    sends_mail(&site)?;
    let Some(email) = actor.user.email.as_deref().filter(|_| actor.user.email_verified_at.is_none()) else {
        return Err(Problem::new(ErrorCode::Conflict, "the account has no address, or it is confirmed already"));
    };
    site.accounts.tries.write_to(email).map_err(Problem::too_often)?;
    site.send_confirmation(&actor.user, visitor.language).await.map_err(Problem::database)?;
    Ok(StatusCode::ACCEPTED)
}

/// What a letter's link holds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmailConfirmation {
    /// The link's token.
    token: String,
}

/// Confirm an address by a link
#[utoipa::path(put, path = "/api/v1/email-confirmations", operation_id = "confirm_email", tag = "users",
request_body = EmailConfirmation, responses(
    (status = 204, description = "It is confirmed"),
    Refusals,
))]
pub(crate) async fn confirm(
    State(site): State<Site>,
    Address(address): Address,
    Body(body): Body<EmailConfirmation>,
) -> Result<StatusCode, Problem> {
    let store = &site.accounts.store;
    let refused = || Problem::new(ErrorCode::Forbidden, "this link is not or no longer good; ask for another");
    let hash = Some(&body.token).filter(|token| secret::is_secret(token)).map(|token| secret::hash(token));
    let link = match hash {
        Some(hash) => store.take_link(LinkKind::Email, &hash).await.map_err(Problem::database)?,
        None => None,
    };
    let link = link.ok_or_else(refused)?;
    let id = link.user_id.ok_or_else(refused)?;
    if !store.confirm_email(&id, &link.subject).await.map_err(Problem::database)? {
        return Err(refused());
    }
    site.accounts.sessions.forget(&id).await;
    if let Some(user) = store.user(&id).await.map_err(Problem::database)? {
        let from = address.to_string();
        let entry = NewAuditEntry {
            actor: &user.handle,
            action: Action::ChangeEmail,
            subject: &user.handle,
            address: &from,
            details: "confirmed by a link",
        };
        store.add_audit(&entry).await.map_err(Problem::database)?;
    }
    Ok(StatusCode::NO_CONTENT)
}
