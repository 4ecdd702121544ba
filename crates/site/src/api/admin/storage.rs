//! How much is stored: of what, and for whom.

use axum::Json;
use axum::extract::{Query, State, rejection::QueryRejection};
use millrace_store::{At, Error, JobFilter, JobState, PageRequest};
use millrace_vod::jobs::{Reconcile, Work};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::api::list::Part;
use crate::api::refusals::Refusals;
use crate::dashboard::{Disk, disk};
use crate::{Problem, Site};

/// How much is stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Storage {
    /// Where files are: a directory, or a bucket.
    #[schema(example = "/var/lib/millrace/objects")]
    pub(crate) address: String,
    /// Bytes of all files of videos, trash included.
    pub(crate) total_bytes: u64,
    /// The disk that holds this node's data, where the system tells.
    pub(crate) disk: Option<Disk>,
    /// By kind of file, the most first.
    pub(crate) kinds: Vec<StoredKind>,
    /// The accounts whose videos take most, page by page.
    pub(crate) users: Vec<StoredOfUser>,
    /// The `cursor` of the next accounts; null on the last page.
    pub(crate) next_cursor: Option<String>,
    /// Files that are to be deleted, which happens within minutes.
    pub(crate) garbage: u64,
    /// The last time that what is stored was compared with what is known of it; null where that was not yet.
    pub(crate) reconciled: Option<Reconciled>,
    /// Files that were missing or cut off then, at most 50; those that were replaced or deleted since are left out.
    pub(crate) missing: Vec<MissingFile>,
}

/// How much is stored of a kind.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoredKind {
    /// The kind of file.
    #[schema(example = "rendition")]
    pub(crate) kind: &'static str,
    /// How many.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// How much is stored for an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoredOfUser {
    /// Its handle.
    #[schema(example = "ada")]
    pub(crate) handle: String,
    /// Its name for people.
    pub(crate) display_name: String,
    /// Its videos, trash included.
    pub(crate) videos: u64,
    /// Bytes of all their files.
    pub(crate) bytes: u64,
}

/// A file that is missing where files are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MissingFile {
    /// The id of the video whose it is.
    #[schema(example = "q7RbT2mXv0K")]
    pub(crate) video: String,
    /// What the video is called.
    pub(crate) title: String,
    /// The kind of file.
    #[schema(example = "rendition")]
    pub(crate) kind: &'static str,
    /// Which of its kind; may be empty.
    #[schema(example = "720")]
    pub(crate) name: String,
    /// Its name where files are.
    pub(crate) key: String,
}

/// A comparison of what is stored with what is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reconciled {
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
    /// What came of it, in plain words.
    pub(crate) note: String,
}

/// See how much is stored
#[utoipa::path(get, path = "/api/v1/admin/storage", operation_id = "get_storage", tag = "admin", params(Part), responses(
    (status = 200, description = "The numbers", body = Storage),
    Refusals,
))]
pub(crate) async fn get(
    State(site): State<Site>,
    actor: Actor,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<Storage>, Problem> {
    actor.must(Act::RunSite)?;
    let page = Part::request(part)?;
    stored(&site, &page).await.map(Json).map_err(Problem::database)
}

/// The numbers, with a page of accounts.
pub(crate) async fn stored(site: &Site, page: &PageRequest) -> Result<Storage, Error> {
    let store = &site.accounts.store;
    let number = |number: i64| u64::try_from(number).unwrap_or(0);
    let kinds = store.stored_by_kind().await?.into_iter().map(|of| StoredKind {
        kind: of.kind.as_str(),
        files: number(of.files),
        bytes: number(of.bytes),
    });
    let kinds: Vec<StoredKind> = kinds.collect();
    let page = store.stored_by_user(page).await?;
    let users = page.items.into_iter().map(|of| StoredOfUser {
        handle: of.handle,
        display_name: of.display_name,
        videos: number(of.videos),
        bytes: number(of.bytes),
    });
    let missing = store.missing_files().await?.into_iter().map(|file| MissingFile {
        video: file.short_id,
        title: file.title,
        kind: file.kind.as_str(),
        name: file.name,
        key: file.object_key,
    });
    let done = JobFilter { state: Some(JobState::Done), kind: Some(Reconcile::KIND), subject: None };
    let last = store.jobs(&done, &PageRequest { limit: 1, after: None }).await?.items.into_iter().next();
    Ok(Storage {
        total_bytes: kinds.iter().map(|kind| kind.bytes).sum(),
        disk: site.config.data_dir.as_deref().and_then(disk),
        kinds,
        missing: missing.collect(),
        users: users.collect(),
        next_cursor: page.next,
        address: site.accounts.videos.vod().objects().to_string(),
        garbage: store.count_garbage(At::now()).await?,
        reconciled: last.and_then(|job| Some(Reconciled { at: job.ended_at?.into(), note: job.progress_note })),
    })
}
