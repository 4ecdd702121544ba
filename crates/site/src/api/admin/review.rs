//! What moderators decide on videos, and what is reported to them.

use axum::Json;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use axum::response::Response;
use millrace_store::{Action, NewAuditEntry, Report as ReportRow, Review, VideoState};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::accounts::permissions::Act;
use crate::accounts::rules::incorrect;
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::api::body::Body;
use crate::api::list::Part;
use crate::api::refusals::Refusals;
use crate::api::reports::Reason;
use crate::api::videos::{Video, VideoPage, changeable, failed, show};
use crate::videos::rules;
use crate::{ErrorCode, Problem, Site};

/// What a moderator decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// It may be shown.
    Approve,
    /// It may not be shown.
    Reject,
    /// It may be shown once its owner has changed something; then it waits anew.
    Changes,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Changes => "changes",
        }
    }
}

/// A decision on a video.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    decision: Verdict,
    /// Why, for the owner: at most 1,000 letters. Without one a video is approved, and nothing else.
    #[serde(default)]
    reason: String,
    /// The video's version as it was looked at.
    version: i64,
}

/// A report that moderators are not done with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Report {
    id: String,
    video: ReportedVideo,
    reason: Reason,
    /// What else was said; may be empty.
    words: String,
    /// Who reports, by their handle; null where the account is gone.
    reporter: Option<String>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// The video that a report is about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportedVideo {
    /// Its name in addresses.
    #[schema(example = "q7RbT2mXv0K")]
    id: String,
    /// Its name for people.
    title: String,
    /// Path of its page.
    #[schema(example = "/w/q7RbT2mXv0K")]
    page: String,
}

/// Part of the list of reports.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportPage {
    /// The oldest first.
    items: Vec<Report>,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
}

/// How many reports were closed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Closed {
    closed: u64,
}

impl From<ReportRow> for Report {
    fn from(row: ReportRow) -> Self {
        Self {
            id: row.id.to_string(),
            video: ReportedVideo { page: format!("/w/{}", row.short_id), id: row.short_id, title: row.title },
            reason: row.reason.into(),
            words: row.words,
            reporter: row.reporter,
            created_at: row.created_at.into(),
        }
    }
}

/// List the videos that wait for moderators
///
/// Those that can be watched, the longest waiting first.
#[utoipa::path(get, path = "/api/v1/admin/review", operation_id = "list_review", tag = "admin", params(Part), responses(
    (status = 200, description = "A page of videos", body = VideoPage),
    Refusals,
))]
pub(crate) async fn list(
    State(site): State<Site>,
    actor: Actor,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<VideoPage>, Problem> {
    actor.must(Act::ManageVideos)?;
    let page = Part::request(part)?;
    let page = site.accounts.store.videos_in_review(&page).await.map_err(Problem::database)?;
    Ok(Json(VideoPage { items: page.items.into_iter().map(Video::new).collect(), next_cursor: page.next }))
}

/// Decide on a video
///
/// Any video can be decided on, whether it waits or not: one that was out is out no longer once it is rejected, on every
/// path and at once.
#[utoipa::path(post, path = "/api/v1/admin/review/{id}", operation_id = "review_video", tag = "admin",
request_body = Decision, params(("id" = String, Path, description = "The video's id")), responses(
    (status = 200, description = "The video as it is now", body = Video),
    (status = 409, description = "It was changed meanwhile, or cannot be watched yet", body = Problem,
     content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn decide(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Path(id): Path<String>,
    Body(body): Body<Decision>,
) -> Result<Response, Problem> {
    actor.must(Act::ManageVideos)?;
    let known = changeable(&site, &actor, &id).await?;
    let reason = rules::reason(&body.reason).map_err(incorrect)?;
    let review = match body.decision {
        Verdict::Approve => Review::Approved,
        Verdict::Reject => Review::Rejected,
        Verdict::Changes => Review::Changes,
    };
    if review != Review::Approved && reason.is_empty() {
        return Err(incorrect("reason is missing: say why, so that its owner knows"));
    }
    if review == Review::Approved && known.video().state != VideoState::Ready {
        return Err(Problem::new(ErrorCode::Conflict, "nobody can have watched this video yet: it is not ready"));
    }
    let (actor, address) = (&actor.user.handle, &address.to_string());
    let details = body.decision.as_str();
    let entry = NewAuditEntry { actor, action: Action::ReviewVideo, subject: &id, address, details };
    site.accounts.store.review_video(&known.video().id, body.version, review, reason, &entry).await.map_err(failed)?;
    show(&site, &id).await
}

/// List open reports
///
/// Those of videos in the trash are left out.
#[utoipa::path(get, path = "/api/v1/admin/reports", operation_id = "list_reports", tag = "admin", params(Part), responses(
    (status = 200, description = "A page of reports", body = ReportPage),
    Refusals,
))]
pub(crate) async fn reports(
    State(site): State<Site>,
    actor: Actor,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<ReportPage>, Problem> {
    actor.must(Act::ManageVideos)?;
    let page = Part::request(part)?;
    let page = site.accounts.store.open_reports(&page).await.map_err(Problem::database)?;
    Ok(Json(ReportPage { items: page.items.into_iter().map(Report::from).collect(), next_cursor: page.next }))
}

/// Close the reports of a video
///
/// All that are open: moderators are done with them. The video stays as it is.
#[utoipa::path(post, path = "/api/v1/admin/reports/{id}/close", operation_id = "close_reports", tag = "admin",
params(("id" = String, Path, description = "The video's id")), responses(
    (status = 200, description = "They are closed", body = Closed),
    Refusals,
))]
pub(crate) async fn close_reports(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<Closed>, Problem> {
    actor.must(Act::ManageVideos)?;
    let known = changeable(&site, &actor, &id).await?;
    let (actor, address) = (&actor.user.handle, &address.to_string());
    let entry = NewAuditEntry { actor, action: Action::CloseReports, subject: &id, address, details: "" };
    let closed = site.accounts.store.close_reports(&known.video().id, &entry).await.map_err(Problem::database)?;
    Ok(Json(Closed { closed }))
}
