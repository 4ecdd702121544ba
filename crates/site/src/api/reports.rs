//! Reports: what viewers tell moderators of a video.

use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use millrace_store::{NewReport, ReportReason};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Body;
use super::refusals::Refusals;
use super::videos::watchable;
use super::watch::Ticket;
use crate::accounts::permissions::Act;
use crate::accounts::rules::incorrect;
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::videos::rules;
use crate::{Problem, Site};

/// Why a video is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reason {
    /// Advertising, fraud, what has nothing to do with its title.
    Spam,
    /// Hatred, threats, cruelty.
    Abuse,
    /// Not for everybody's eyes.
    Sexual,
    /// It is somebody else's.
    Rights,
    /// Something else, which the words say.
    Other,
}

impl From<Reason> for ReportReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Spam => Self::Spam,
            Reason::Abuse => Self::Abuse,
            Reason::Sexual => Self::Sexual,
            Reason::Rights => Self::Rights,
            Reason::Other => Self::Other,
        }
    }
}

impl From<ReportReason> for Reason {
    fn from(reason: ReportReason) -> Self {
        match reason {
            ReportReason::Spam => Self::Spam,
            ReportReason::Abuse => Self::Abuse,
            ReportReason::Sexual => Self::Sexual,
            ReportReason::Rights => Self::Rights,
            ReportReason::Other => Self::Other,
        }
    }
}

/// A report of a video.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VideoReport {
    reason: Reason,
    /// What else moderators should know: at most 1,000 letters. It is needed where the reason is `other`.
    #[serde(default)]
    words: String,
}

/// Report a video to the moderators
///
/// It takes the place of an earlier report of the same video by the same account.
#[utoipa::path(post, path = "/api/v1/videos/{id}/reports", operation_id = "report_video", tag = "videos",
request_body = VideoReport, params(("id" = String, Path, description = "The video's id")), responses(
    (status = 204, description = "It is noted"),
    (status = 429, description = "Too many reports by one account", body = Problem,
     content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn create(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<String>,
    Body(body): Body<VideoReport>,
) -> Result<StatusCode, Problem> {
    actor.must(Act::OwnAccount)?;
    let ticket = Ticket { actor: Some(&actor), headers: &headers, address, token: None };
    let (known, _) = watchable(&site, &id, ticket).await?;
    let words = rules::report_words(&body.words).map_err(incorrect)?;
    if body.reason == Reason::Other && words.is_empty() {
        return Err(incorrect("words are missing: say what is wrong with it"));
    }
    site.accounts.tries.report(actor.user.id.as_str()).map_err(Problem::too_often)?;
    let report =
        NewReport { video_id: &known.video().id, reporter_id: &actor.user.id, reason: body.reason.into(), words };
    site.accounts.store.report_video(&report).await.map_err(Problem::database)?;
    Ok(StatusCode::NO_CONTENT)
}
