//! What is in the trash, whoever it is of.

use axum::Json;
use axum::extract::{Query, State, rejection::QueryRejection};
use millrace_store::{At, Error, PageRequest};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::api::list::Part;
use crate::api::refusals::Refusals;
use crate::{Problem, Site};

/// A video in the trash.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrashedVideo {
    /// Its name in addresses.
    #[schema(example = "q7RbT2mXv0K")]
    pub(crate) id: String,
    /// Its name for people.
    pub(crate) title: String,
    /// The handle of its channel.
    pub(crate) channel: String,
    /// The channel's name for people.
    pub(crate) channel_title: String,
    /// The handle of who put it there; null where that account is no more.
    pub(crate) trashed_by: Option<String>,
    /// Whether that was its owner, who can restore it then.
    pub(crate) by_owner: bool,
    /// When it was put there.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) trashed_at: OffsetDateTime,
    /// When it is deleted for good.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) purge_at: OffsetDateTime,
}

/// Part of the trash.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrashPage {
    /// What was put there last first.
    pub(crate) items: Vec<TrashedVideo>,
    /// The `cursor` of the next page; null on the last.
    pub(crate) next_cursor: Option<String>,
}

impl TrashPage {
    pub(crate) async fn of(site: &Site, page: &PageRequest) -> Result<Self, Error> {
        let found = site.accounts.store.trashed_videos(At::now(), page).await?;
        let items = found.items.into_iter().filter_map(|found| {
            let (listed, trasher) = (found.listed, found.trasher);
            let video = listed.video;
            Some(TrashedVideo {
                id: video.short_id,
                title: video.title,
                channel: listed.channel_handle,
                channel_title: listed.channel_title,
                by_owner: video.trashed_by == Some(listed.owner_id),
                trashed_by: trasher,
                trashed_at: video.trashed_at?.into(),
                purge_at: video.purge_at?.into(),
            })
        });
        Ok(Self { items: items.collect(), next_cursor: found.next })
    }
}

/// List the videos of all in the trash
///
/// For moderators, who can restore each.
#[utoipa::path(get, path = "/api/v1/admin/trash", operation_id = "list_trash", tag = "admin", params(Part), responses(
    (status = 200, description = "A page of videos", body = TrashPage),
    Refusals,
))]
pub(crate) async fn all(
    State(site): State<Site>,
    actor: Actor,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<TrashPage>, Problem> {
    actor.must(Act::ManageVideos)?;
    let page = Part::request(part)?;
    TrashPage::of(&site, &page).await.map(Json).map_err(Problem::database)
}
