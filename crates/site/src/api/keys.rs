//! Stream keys.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use millrace_store::{Action, At, Error, KeyId, StreamKey as Row};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::body::Body;
use super::channels::{changed, owned};
use super::refusals::Refusals;
use super::users::audit;
use crate::accounts::permissions::Act;
use crate::accounts::rules::incorrect;
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::channels::{keys, rules};
use crate::{ErrorCode, Problem, Site};

/// A key to publish a channel's live stream with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamKey {
    /// Its id, which is no secret.
    id: String,
    /// What its owner calls it; empty for the channel's first.
    label: String,
    /// The key itself; null where the site has lost what it was sealed with, and it has to be reset.
    #[schema(example = "mrk_…")]
    key: Option<String>,
    /// When it was made, or reset last.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it ends.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// When somebody published with it last.
    #[serde(with = "time::serde::rfc3339::option")]
    last_used_at: Option<OffsetDateTime>,
}

/// The keys of a channel.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamKeys {
    /// The oldest first.
    items: Vec<StreamKey>,
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// What to call it: 1 to 50 letters.
    #[schema(example = "Phone")]
    label: String,
    /// When it is to end: in the future; never where it is left out.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
}

impl StreamKey {
    fn new(site: &Site, row: &Row) -> Self {
        Self {
            id: row.id.to_string(),
            label: row.label.clone(),
            key: keys::read(&site.accounts.sealer, row),
            created_at: row.created_at.into(),
            expires_at: row.expires_at.map(Into::into),
            last_used_at: row.last_used_at.map(Into::into),
        }
    }
}

/// List a channel's stream keys
#[utoipa::path(get, path = "/api/v1/channels/{handle}/keys", operation_id = "list_stream_keys", tag = "channels",
params(("handle" = String, Path, description = "The channel's handle")), responses(
    (status = 200, description = "The keys", body = StreamKeys),
    Refusals,
))]
pub(crate) async fn list(
    State(site): State<Site>,
    actor: Actor,
    Path(handle): Path<String>,
) -> Result<Json<StreamKeys>, Problem> {
    let channel = owned(&site, &actor, &handle, Act::ManageKeys).await?;
    let rows = site.accounts.store.stream_keys_of(&channel.id).await.map_err(Problem::database)?;
    Ok(Json(StreamKeys { items: rows.iter().map(|row| StreamKey::new(&site, row)).collect() }))
}

/// Make a further stream key
#[utoipa::path(post, path = "/api/v1/channels/{handle}/keys", operation_id = "create_stream_key", tag = "channels",
request_body = NewKey, params(("handle" = String, Path, description = "The channel's handle")), responses(
    (status = 201, description = "The key", body = StreamKey),
    (status = 409, description = "There are as many as there may be", body = Problem,
     content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn create(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Path(handle): Path<String>,
    Body(body): Body<NewKey>,
) -> Result<(StatusCode, Json<StreamKey>), Problem> {
    let channel = owned(&site, &actor, &handle, Act::ManageKeys).await?;
    let label = rules::label(&body.label).map_err(incorrect)?;
    let expires_at = body.expires_at.map(At::from);
    if expires_at.is_some_and(|end| end <= At::now()) {
        return Err(incorrect("expires_at is in the past"));
    }
    let store = &site.accounts.store;
    if store.stream_keys_of(&channel.id).await.map_err(Problem::database)?.len() >= rules::MAX_KEYS {
        return Err(Problem::new(ErrorCode::Conflict, "there are as many keys as there may be; delete one"));
    }
    let added = keys::add(store, &site.accounts.sealer, &channel.id, label, expires_at).await;
    let (row, key) = added.map_err(Problem::database)?;
    audit(&site, &actor, Action::ResetKey, &handle, address).await?;
    Ok((StatusCode::CREATED, Json(StreamKey { key: Some(key), ..StreamKey::new(&site, &row) })))
}

/// Reset a stream key
///
/// The old one stops at once, and its publisher is cut.
#[utoipa::path(post, path = "/api/v1/channels/{handle}/keys/{id}/reset", operation_id = "reset_stream_key", tag = "channels",
params(
    ("handle" = String, Path, description = "The channel's handle"),
    ("id" = String, Path, description = "The key's id"),
), responses(
    (status = 200, description = "The new key", body = StreamKey),
    Refusals,
))]
pub(crate) async fn reset(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Path((handle, id)): Path<(String, String)>,
) -> Result<Json<StreamKey>, Problem> {
    let channel = owned(&site, &actor, &handle, Act::ManageKeys).await?;
    let id: KeyId = id.parse().map_err(|_| none())?;
    let made = keys::make(&site.accounts.sealer, &channel.id);
    let reset = site.accounts.store.reset_stream_key(&channel.id, &id, made.hash, &made.sealed).await;
    let row = reset.map_err(failed)?;
    audit(&site, &actor, Action::ResetKey, &handle, address).await?;
    changed(&site, &handle).await?;
    Ok(Json(StreamKey { key: Some(made.key), ..StreamKey::new(&site, &row) }))
}

/// Delete a stream key
///
/// It stops at once, and its publisher is cut.
#[utoipa::path(delete, path = "/api/v1/channels/{handle}/keys/{id}", operation_id = "delete_stream_key", tag = "channels",
params(
    ("handle" = String, Path, description = "The channel's handle"),
    ("id" = String, Path, description = "The key's id"),
), responses(
    (status = 204, description = "It is gone"),
    Refusals,
))]
pub(crate) async fn delete(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Path((handle, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let channel = owned(&site, &actor, &handle, Act::ManageKeys).await?;
    let id: KeyId = id.parse().map_err(|_| none())?;
    site.accounts.store.delete_stream_key(&channel.id, &id).await.map_err(failed)?;
    audit(&site, &actor, Action::DeleteKey, &handle, address).await?;
    changed(&site, &handle).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn none() -> Problem {
    Problem::new(ErrorCode::NotFound, "the channel has no such key")
}

fn failed(error: Error) -> Problem {
    match error {
        Error::NotFound => none(),
        other => Problem::database(other),
    }
}
