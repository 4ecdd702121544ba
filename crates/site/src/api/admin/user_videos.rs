//! All videos of an account at once.

use std::net::IpAddr;

use axum::Json;
use axum::extract::{Path, State};
use millrace_store::{Action, At, User};
use serde::Serialize;
use utoipa::ToSchema;

use super::users::{find, not_theirs};
use crate::accounts::permissions::{Act, may_change};
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::api::refusals::Refusals;
use crate::api::users::audit_with;
use crate::{Problem, Site};

/// How many videos that was done with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VideoCount {
    videos: u64,
}

/// Put all videos of somebody into the trash
///
/// Nobody sees them any more, at once and on every path; their owner cannot bring them back, nor what they threw away before.
#[utoipa::path(delete, path = "/api/v1/admin/users/{handle}/videos", operation_id = "trash_videos_of_user", tag = "admin",
params(("handle" = String, Path, description = "The account's handle", example = "ada")), responses(
    (status = 200, description = "They are in the trash", body = VideoCount),
    Refusals,
))]
pub(crate) async fn trash(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Path(handle): Path<String>,
) -> Result<Json<VideoCount>, Problem> {
    let owner = in_charge_of(&site, &actor, &handle).await?;
    let purge_at = At::now().plus(site.config.trash_keep());
    let trashed = site.accounts.store.trash_videos_of(&owner.id, &actor.user.id, purge_at).await;
    tell(&site, &actor, (Action::TrashVideo, &owner, address), &trashed.map_err(Problem::database)?).await
}

/// Take all videos of somebody out of the trash
///
/// Those that were put there at once, whose time in the trash is not over. What their owner threw away before is theirs to bring
/// back again.
#[utoipa::path(post, path = "/api/v1/admin/users/{handle}/videos/restore", operation_id = "restore_videos_of_user",
tag = "admin", params(("handle" = String, Path, description = "The account's handle", example = "ada")), responses(
    (status = 200, description = "They are as they were before", body = VideoCount),
    Refusals,
))]
pub(crate) async fn restore(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Path(handle): Path<String>,
) -> Result<Json<VideoCount>, Problem> {
    let owner = in_charge_of(&site, &actor, &handle).await?;
    let restored = site.accounts.store.restore_videos_of(&owner.id, At::now()).await;
    tell(&site, &actor, (Action::RestoreVideo, &owner, address), &restored.map_err(Problem::database)?).await
}

/// The account of that handle, for moderators who have a say over it.
async fn in_charge_of(site: &Site, actor: &Actor, handle: &str) -> Result<User, Problem> {
    actor.must(Act::ManageVideos)?;
    let owner = find(site, handle).await?;
    match may_change(actor.user.role, owner.role, owner.role) {
        true => Ok(owner),
        false => Err(not_theirs()),
    }
}

/// Tells every node that these videos have changed, and the log.
async fn tell(
    site: &Site,
    actor: &Actor,
    (action, owner, address): (Action, &User, IpAddr),
    short_ids: &[String],
) -> Result<Json<VideoCount>, Problem> {
    for short_id in short_ids {
        site.accounts.videos.changed(short_id).await.map_err(Problem::database)?;
    }
    if !short_ids.is_empty() {
        let details = format!("videos={}", short_ids.len());
        audit_with(site, actor, action, &owner.handle, address, &details).await?;
    }
    Ok(Json(VideoCount { videos: short_ids.len() as u64 }))
}
