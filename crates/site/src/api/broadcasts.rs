//! Past and present broadcasts of a channel.

use axum::Json;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use millrace_store::LiveSession;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::channels::owned;
use super::list::Part;
use super::refusals::Refusals;
use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::{Problem, Site};

/// A broadcast.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Broadcast {
    /// Its id.
    id: String,
    /// When it came on air.
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
    /// When it went off air; null while it is on.
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
    /// Why it ended: `finished` by its publisher; `lost`, the publisher did not return; `kicked` by an operator or a key
    /// that was reset; `stopped` or `crashed`, the server.
    #[schema(example = "finished")]
    end_reason: Option<String>,
    /// Most who watched at one time.
    peak_viewers: i64,
    /// How many watched on average; null before it has ended.
    mean_viewers: Option<f64>,
    /// Bytes that came from the publisher.
    received_bytes: i64,
    /// Bytes that went to players.
    sent_bytes: i64,
    /// RFC 6381 name of the video codec; null where there is no picture.
    #[schema(example = "avc1.64001f")]
    video_codec: Option<String>,
    /// RFC 6381 name of the audio codec; null where there is no sound.
    #[schema(example = "mp4a.40.2")]
    audio_codec: Option<String>,
    /// Width of the picture in pixels, where it is known.
    width: Option<i64>,
    /// Height of the picture in pixels, where it is known.
    height: Option<i64>,
}

/// Part of the list of a channel's broadcasts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BroadcastPage {
    /// The newest first.
    items: Vec<Broadcast>,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
}

impl From<LiveSession> for Broadcast {
    fn from(row: LiveSession) -> Self {
        let words = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            mean_viewers: mean_viewers(&row),
            id: row.id.to_string(),
            started_at: row.started_at.into(),
            ended_at: row.ended_at.map(Into::into),
            end_reason: row.end_reason,
            peak_viewers: row.peak_viewers,
            received_bytes: row.received_bytes,
            sent_bytes: row.sent_bytes,
            video_codec: words(row.video_codec),
            audio_codec: words(row.audio_codec),
            width: Some(row.width).filter(|width| *width > 0),
            height: Some(row.height).filter(|height| *height > 0),
        }
    }
}

/// How many watched a broadcast on average, once it has ended; to a tenth.
pub(crate) fn mean_viewers(row: &LiveSession) -> Option<f64> {
    let seconds = (row.ended_at?.0 - row.started_at.0).max(1000) / 1000;
    #[allow(clippy::cast_precision_loss)] // seconds that people watch are far below 2^52
    let mean = row.viewer_seconds as f64 / seconds as f64;
    Some((mean * 10.0).round() / 10.0)
}

/// List a channel's broadcasts
#[utoipa::path(get, path = "/api/v1/channels/{handle}/broadcasts", operation_id = "list_broadcasts", tag = "channels", params(
    ("handle" = String, Path, description = "The channel's handle"),
    Part,
), responses(
    (status = 200, description = "A page of broadcasts", body = BroadcastPage),
    Refusals,
))]
pub(crate) async fn list(
    State(site): State<Site>,
    actor: Actor,
    Path(handle): Path<String>,
    range: Result<Query<Part>, QueryRejection>,
) -> Result<Json<BroadcastPage>, Problem> {
    let channel = owned(&site, &actor, &handle, Act::ManageChannels).await?;
    let page = Part::request(range)?;
    let page = site.accounts.store.live_sessions(&channel.id, &page).await.map_err(Problem::database)?;
    Ok(Json(BroadcastPage { items: page.items.into_iter().map(Into::into).collect(), next_cursor: page.next }))
}
