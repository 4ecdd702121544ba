//! Personal tokens, with which programs act for their user.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use millrace_store::{Action, ApiToken as Row, At, Error, NewApiToken, TokenId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::body::Body;
use super::refusals::Refusals;
use super::users::audit;
use crate::accounts::permissions::{Act, SCOPES};
use crate::accounts::rules::incorrect;
use crate::accounts::secret::{self, Secret};
use crate::accounts::sessions::{Actor, By, TOKEN_PREFIX};
use crate::actor::Address;
use crate::{ErrorCode, Problem, Site};

/// A personal token.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiToken {
    /// Its id, which is no secret.
    id: String,
    /// What its owner calls it.
    #[schema(example = "Backup script")]
    name: String,
    /// What it may be used for.
    scopes: Vec<String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it was used last, to within a minute.
    #[serde(with = "time::serde::rfc3339::option")]
    last_used_at: Option<OffsetDateTime>,
    /// When it ends.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

/// A token that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeToken {
    /// Its id, to end it by.
    id: String,
    /// The token, for `Authorization: Bearer`. It is shown this once.
    #[schema(example = "mrt_…")]
    token: String,
}

/// The tokens of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiTokens {
    /// The newest first.
    items: Vec<ApiToken>,
}

/// A token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// What to call it: 1 to 50 letters.
    name: String,
    /// What it may be used for: `account`, the own account; `channels`, the own channels; `moderate` and `admin`, what
    /// its owner's role lets do.
    #[schema(example = json!(["channels"]))]
    scopes: Vec<String>,
    /// When it is to end: in the future; never where it is left out.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
}

impl From<Row> for ApiToken {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name,
            scopes: row.scopes.split(' ').map(str::to_owned).collect(),
            created_at: row.created_at.into(),
            last_used_at: row.last_used_at.map(Into::into),
            expires_at: row.expires_at.map(Into::into),
        }
    }
}

/// List the own tokens
#[utoipa::path(get, path = "/api/v1/tokens", operation_id = "list_tokens", tag = "sessions", responses(
    (status = 200, description = "The tokens", body = ApiTokens),
    Refusals,
))]
pub(crate) async fn list(State(site): State<Site>, actor: Actor) -> Result<Json<ApiTokens>, Problem> {
    actor.must(Act::OwnAccount)?;
    let rows = site.accounts.store.tokens_of(&actor.user.id).await.map_err(Problem::database)?;
    Ok(Json(ApiTokens { items: rows.into_iter().map(Into::into).collect() }))
}

/// Make a token
///
/// In a session only: a token makes no others.
#[utoipa::path(post, path = "/api/v1/tokens", operation_id = "create_token", tag = "sessions", request_body = NewToken, responses(
    (status = 201, description = "The token", body = MadeToken),
    (status = 409, description = "There are as many as there may be", body = Problem,
     content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn create(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Body(body): Body<NewToken>,
) -> Result<(StatusCode, Json<MadeToken>), Problem> {
    if !matches!(actor.by, By::Session(_)) {
        return Err(Problem::new(ErrorCode::Forbidden, "a token is made in a session, not with a token"));
    }
    let name = body.name.trim();
    if !(1..=MAX_NAME).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(incorrect("name must have 1 to 50 letters"));
    }
    if body.scopes.is_empty() || !body.scopes.iter().all(|scope| SCOPES.contains(&scope.as_str())) {
        return Err(incorrect("scopes must be one or more of account, channels, moderate, admin"));
    }
    let scopes: Vec<&str> = SCOPES.into_iter().filter(|known| body.scopes.iter().any(|scope| scope == known)).collect();
    let expires_at = body.expires_at.map(At::from);
    if expires_at.is_some_and(|end| end <= At::now()) {
        return Err(incorrect("expires_at is in the past"));
    }
    let secret = Secret::new();
    let new = NewApiToken {
        user_id: &actor.user.id,
        name,
        token_hash: secret::hash(secret.expose()),
        scopes: &scopes.join(" "),
        expires_at,
    };
    let row = site.accounts.store.create_token(&new, MAX_TOKENS).await.map_err(Problem::database)?;
    let full = || Problem::new(ErrorCode::Conflict, "there are as many tokens as there may be; end one");
    let row = row.ok_or_else(full)?;
    audit(&site, &actor, Action::CreateToken, name, address).await?;
    let token = format!("{TOKEN_PREFIX}{}", secret.expose());
    Ok((StatusCode::CREATED, Json(MadeToken { id: row.id.to_string(), token })))
}

/// End a token
///
/// It stops at once.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", operation_id = "delete_token", tag = "sessions",
params(("id" = String, Path, description = "The token's id")), responses(
    (status = 204, description = "It works no more"),
    Refusals,
))]
pub(crate) async fn delete(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    actor.must(Act::OwnAccount)?;
    let none = || Problem::new(ErrorCode::NotFound, "there is no such token");
    let id: TokenId = id.parse().map_err(|_| none())?;
    site.accounts.store.delete_token(&actor.user.id, &id).await.map_err(|error| match error {
        Error::NotFound => none(),
        other => Problem::database(other),
    })?;
    site.accounts.sessions.forget(&actor.user.id).await;
    audit(&site, &actor, Action::DeleteToken, id.as_str(), address).await?;
    Ok(StatusCode::NO_CONTENT)
}

const MAX_NAME: usize = 50;
/// Tokens of one account.
const MAX_TOKENS: u32 = 50;
