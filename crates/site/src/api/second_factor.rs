//! The second factor of the own account.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use millrace_store::{Action, Error};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Body;
use super::refusals::Refusals;
use super::users::{Confirmation, audit, confirm};
use crate::accounts::rules::incorrect;
use crate::accounts::sessions::{Actor, By};
use crate::actor::Address;
use crate::{ErrorCode, Problem, Site};

/// A second factor that is being set up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FactorSetup {
    /// For who types it into the application, in base32.
    secret: String,
    /// For applications that take an address.
    #[schema(example = "otpauth://totp/…")]
    url: String,
    /// The same to be scanned: an SVG.
    qr: String,
    /// To be given back with the first code.
    setup: String,
}

/// The first code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirstCode {
    /// As it was given.
    setup: String,
    /// The application's code at this moment.
    #[schema(example = "123456")]
    code: String,
}

/// Codes for who has lost the application.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecoveryCodes {
    /// Each is good once. They are shown this once.
    codes: Vec<String>,
}

/// Begin to set up a second factor
///
/// Nothing changes until a first code is given. One that is set has to be taken away first.
#[utoipa::path(post, path = "/api/v1/users/me/second-factor", operation_id = "begin_second_factor", tag = "users", responses(
    (status = 200, description = "What the application needs", body = FactorSetup),
    (status = 409, description = "There is one", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn begin(State(site): State<Site>, actor: Actor) -> Result<Json<FactorSetup>, Problem> {
    in_session(&actor)?;
    not_set(&actor)?;
    let begun = site.accounts.begin_second_factor(&actor.user, &site.name());
    let begun = begun.ok_or_else(|| Problem::new(ErrorCode::Internal, "a second factor could not be made"))?;
    Ok(Json(FactorSetup { secret: begun.secret, url: begun.url, qr: begun.qr, setup: begun.setup }))
}

/// Set the second factor
///
/// From now on logging in asks for a code.
#[utoipa::path(put, path = "/api/v1/users/me/second-factor", operation_id = "set_second_factor", tag = "users",
request_body = FirstCode, responses(
    (status = 200, description = "It is set", body = RecoveryCodes),
    (status = 409, description = "There is one", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many tries", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn set(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Body(body): Body<FirstCode>,
) -> Result<Json<RecoveryCodes>, Problem> {
    in_session(&actor)?;
    not_set(&actor)?;
    site.accounts.tries.log_in(address, &actor.user.handle).map_err(Problem::too_often)?;
    let set = site.accounts.confirm_second_factor(&actor.user, &body.setup, &body.code).await;
    let codes = set
        .map_err(|error| match error {
            Error::Changed => is_set(),
            other => Problem::database(other),
        })?
        .ok_or_else(|| {
            incorrect("code is wrong; the clock of the application may be. After half an hour begin anew")
        })?;
    site.accounts.sessions.forget(&actor.user.id).await;
    audit(&site, &actor, Action::ChangeSecondFactor, &actor.user.handle, address).await?;
    Ok(Json(RecoveryCodes { codes }))
}

/// Take the second factor away
#[utoipa::path(delete, path = "/api/v1/users/me/second-factor", operation_id = "delete_second_factor", tag = "users",
request_body = Confirmation, responses(
    (status = 204, description = "Logging in asks for the password only"),
    (status = 429, description = "Too many tries", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too busy", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn delete(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Body(body): Body<Confirmation>,
) -> Result<StatusCode, Problem> {
    in_session(&actor)?;
    confirm(&site, &actor, address, body.password).await?;
    site.accounts.store.delete_totp(&actor.user.id).await.map_err(Problem::database)?;
    site.accounts.sessions.forget(&actor.user.id).await;
    audit(&site, &actor, Action::ChangeSecondFactor, &actor.user.handle, address).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One that is set is taken away first, which asks for the password.
fn not_set(actor: &Actor) -> Result<(), Problem> {
    match actor.user.totp_secret {
        None => Ok(()),
        Some(_) => Err(is_set()),
    }
}

fn is_set() -> Problem {
    Problem::new(ErrorCode::Conflict, "there is a second factor; take it away first")
}

fn in_session(actor: &Actor) -> Result<(), Problem> {
    match actor.by {
        By::Session(_) => Ok(()),
        By::Token { .. } => Err(Problem::new(ErrorCode::Forbidden, "this is done in a session, not with a token")),
    }
}
