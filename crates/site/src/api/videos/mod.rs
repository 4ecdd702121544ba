//! Videos: what there is, what is said of it, the trash.

pub(crate) mod changed;
pub(crate) mod shown;
pub(crate) mod trash;
pub(crate) mod view;

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use millrace_store::Error;

pub(super) use changed::{NewVideo, make};
pub(crate) use shown::{VideoAge, VideoLength, VideoSort, own_page};
pub(crate) use view::*;

use super::watch::Ticket;
use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::videos::{KnownVideo, VideoLeave};
use crate::{ErrorCode, Problem, Site};

/// The video of that id as it is in the database, for those who may change it.
pub(crate) async fn changeable(site: &Site, actor: &Actor, id: &str) -> Result<KnownVideo, Problem> {
    let known = site.accounts.videos.read(id).await.map_err(Problem::database)?.ok_or_else(none)?;
    may_change(actor, &known)?;
    Ok(known)
}

/// Whether somebody may change a video: its owner, and moderators.
fn may_change(actor: &Actor, known: &KnownVideo) -> Result<(), Problem> {
    match actor.user.id == *known.owner() {
        true => actor.must(Act::OwnChannels),
        false => actor.must(Act::ManageVideos).map_err(|_| none()),
    }
}

/// Tells every node that a video has changed, and gives it as it is now.
pub(crate) async fn show(site: &Site, id: &str) -> Result<Response, Problem> {
    site.accounts.videos.changed(id).await.map_err(Problem::database)?;
    let known = site.accounts.videos.read(id).await.map_err(Problem::database)?.ok_or_else(none)?;
    Ok(tagged(known.video().version, &Video::own(site, &known).await?))
}

/// The video that somebody may watch.
pub(super) async fn watchable(
    site: &Site,
    id: &str,
    ticket: Ticket<'_>,
) -> Result<(Arc<KnownVideo>, VideoLeave), Problem> {
    let known = site.accounts.videos.find(id).await.map_err(Problem::database)?.ok_or_else(none)?;
    let leave = site.accounts.videos.leave(&known, ticket).await.map_err(Problem::database)?.ok_or_else(none)?;
    Ok((known, leave))
}

pub(super) fn none() -> Problem {
    Problem::new(ErrorCode::NotFound, "there is no such video")
}

pub(crate) fn failed(error: Error) -> Problem {
    match error {
        Error::Taken(_) | Error::Changed | Error::TooMany(_) => Problem::new(ErrorCode::Conflict, error.to_string()),
        Error::NotFound => none(),
        Error::OverQuota => {
            let words = "more would be stored than you may store; delete videos for good to make room";
            Problem::new(ErrorCode::TooLarge, words)
        }
        other => Problem::database(other),
    }
}

fn tagged(version: i64, video: &Video) -> Response {
    let tag = HeaderValue::from_str(&format!("\"{version}\"")).expect("a number in quotes");
    ([(header::ETAG, tag)], Json(video)).into_response()
}
