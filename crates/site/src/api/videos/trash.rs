//! Videos that are thrown away and brought back.

use axum::extract::{Path, State};
use axum::response::Response;
use millrace_store::{Action, At, Error};

use super::view::Video;
use super::{changeable, failed, show};
use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::api::refusals::Refusals;
use crate::api::users::audit;
use crate::{ErrorCode, Problem, Site};

/// Put a video into the trash
///
/// Nobody sees it any more, at once and on every path. Until its time there is over it can be restored whole; then it is
/// deleted for good.
#[utoipa::path(delete, path = "/api/v1/videos/{id}", operation_id = "delete_video", tag = "videos",
params(("id" = String, Path, description = "The video's id")), responses(
    (status = 200, description = "The video as it is now: `own.purge_at` is when it is deleted for good", body = Video),
    Refusals,
))]
pub(crate) async fn delete(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let known = changeable(&site, &actor, &id).await?;
    let purge_at = At::now().plus(site.config.trash_keep());
    site.accounts.store.trash_video(&known.video().id, &actor.user.id, purge_at).await.map_err(failed)?;
    audit(&site, &actor, Action::TrashVideo, &id, address).await?;
    show(&site, &id).await
}

/// Take a video out of the trash
///
/// It is as it was before.
#[utoipa::path(post, path = "/api/v1/videos/{id}/restore", operation_id = "restore_video", tag = "videos",
params(("id" = String, Path, description = "The video's id")), responses(
    (status = 200, description = "The video as it is now", body = Video),
    (status = 409, description = "It is not in the trash", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn restore(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let known = changeable(&site, &actor, &id).await?;
    // What a moderator took away its owner does not bring back, not even where that account is no more.
    let trashed_by = known.video().trashed_by.as_ref();
    if known.video().trashed_at.is_some() && trashed_by != Some(known.owner()) {
        actor.must(Act::ManageVideos)?;
    }
    let restored = site.accounts.store.restore_video(&known.video().id, trashed_by, At::now()).await;
    restored.map_err(|error| match error {
        Error::NotFound => Problem::new(ErrorCode::Conflict, "this video is not in the trash"),
        other => Problem::database(other),
    })?;
    audit(&site, &actor, Action::RestoreVideo, &id, address).await?;
    show(&site, &id).await
}
