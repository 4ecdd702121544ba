//! What viewers do with videos: watch them, like them, unlock them.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use millrace_store::{At, Visibility};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::body::Body;
use super::refusals::Refusals;
use super::videos::{failed, none, watchable};
use super::watch::{Ticket, unlocked};
use crate::accounts::permissions::Act;
use crate::accounts::rules as account_rules;
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::channels::tokens::Bearer;
use crate::videos::{KnownVideo, VideoLeave, unlock_cookie};
use crate::visitor::Visitor;
use crate::{ErrorCode, Problem, Site};

/// What a player watches a video with that carries no cookie.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VideoToken {
    /// For `?token=` of any of the video's addresses; empty where everybody may watch.
    token: String,
    /// Until when a player may ask with it.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// The HLS playlist with it; a path on this origin.
    #[schema(example = "/videos/q7RbT2mXv0K/index.m3u8?token=…")]
    hls: String,
    /// The file with it.
    file: String,
}

impl VideoToken {
    fn new(site: &Site, known: &KnownVideo, open: bool) -> Self {
        let video = known.video();
        let tokens = site.accounts.videos.tokens();
        let (token, until) = tokens.issue(Bearer::Player, video.id.as_str(), video.play_epoch, At::now());
        let token = if open { String::new() } else { token };
        let query = if open { String::new() } else { format!("?token={token}") };
        let path = format!("/videos/{}", video.short_id);
        Self {
            hls: format!("{path}/index.m3u8{query}"),
            file: format!("{path}{query}"),
            token,
            expires_at: until.into(),
        }
    }
}

/// Get a token to watch a video with
///
/// For those who may watch: players that carry no cookie take the addresses in the answer.
#[utoipa::path(post, path = "/api/v1/videos/{id}/play-token", operation_id = "create_video_token", tag = "videos",
params(("id" = String, Path, description = "The video's id")), responses(
    (status = 200, description = "The token", body = VideoToken),
    Refusals,
))]
pub(crate) async fn play_token(
    State(site): State<Site>,
    Address(address): Address,
    actor: Option<Actor>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<VideoToken>, Problem> {
    // Not by another token: who has one for some hours must not have it for ever.
    let ticket = Ticket { actor: actor.as_ref(), headers: &headers, address, token: None };
    let (known, leave) = watchable(&site, &id, ticket).await?;
    Ok(Json(VideoToken::new(&site, &known, leave == VideoLeave::Anybody)))
}

/// A video's password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VideoPassword {
    password: String,
}

/// Unlock a video by its password
///
/// The answer sets a cookie, with which the browser may watch.
#[utoipa::path(post, path = "/api/v1/videos/{id}/unlock", operation_id = "unlock_video", tag = "videos",
request_body = VideoPassword, params(("id" = String, Path, description = "The video's id")), responses(
    (status = 200, description = "The password is right", body = VideoToken),
    (status = 429, description = "Too many tries", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too busy", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn unlock(
    State(site): State<Site>,
    visitor: Visitor,
    Address(address): Address,
    Path(id): Path<String>,
    Body(body): Body<VideoPassword>,
) -> Result<Response, Problem> {
    let known = site.accounts.videos.find(&id).await.map_err(Problem::database)?;
    let known = known.filter(|known| known.video().is_out()).ok_or_else(none)?;
    match known.video().visibility {
        Visibility::Password => {}
        Visibility::Private => return Err(none()),
        _ => return Err(Problem::new(ErrorCode::BadRequest, "this video is not watched by password")),
    }
    if body.password.len() > account_rules::MAX_PASSWORD {
        return Err(Problem::new(ErrorCode::BadRequest, "password is too long"));
    }
    site.accounts.tries.unlock(address, &id).map_err(Problem::too_often)?;
    let hash = known.video().password_hash.clone();
    let right = site.accounts.passwords.verify(body.password, hash).await.map_err(|busy| Problem::busy(&busy))?;
    if !right {
        return Err(Problem::new(ErrorCode::Unauthenticated, "the password is wrong"));
    }
    let video = known.video();
    let tokens = site.accounts.videos.tokens();
    let (value, _) = tokens.issue(Bearer::Browser, video.id.as_str(), video.play_epoch, At::now());
    let cookie = unlocked(&unlock_cookie(&id), &value, &visitor);
    Ok(([(header::SET_COOKIE, cookie)], Json(VideoToken::new(&site, &known, false))).into_response())
}

/// Say that a video is being watched
///
/// To be said once some of it was. Each viewer counts once a day; programs that read the web do not count.
#[utoipa::path(post, path = "/api/v1/videos/{id}/views", operation_id = "count_view", tag = "videos",
params(("id" = String, Path, description = "The video's id")), responses(
    (status = 204, description = "It is noted, or does not count"),
    (status = 429, description = "Too many views from one address", body = Problem,
     content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn count_view(
    State(site): State<Site>,
    Address(address): Address,
    actor: Option<Actor>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let ticket = Ticket { actor: actor.as_ref(), headers: &headers, address, token: None };
    let (known, _) = watchable(&site, &id, ticket).await?;
    let program = headers.get(header::USER_AGENT).and_then(|program| program.to_str().ok()).unwrap_or_default();
    if !known.video().is_out() || is_bot(program) {
        return Ok(StatusCode::NO_CONTENT);
    }
    site.accounts.tries.view(address).map_err(Problem::too_often)?;
    let viewer = match &actor {
        Some(actor) => site.accounts.videos.viewer(&["user", actor.user.id.as_str()]),
        None => site.accounts.videos.viewer(&["address", &address.to_string(), program]),
    };
    let day = At::now().0 / DAY_MILLIS;
    site.accounts.store.note_view(&known.video().id, &viewer, day).await.map_err(Problem::database)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether a program that says so of itself reads the web by itself.
fn is_bot(program: &str) -> bool {
    let program = program.to_ascii_lowercase();
    program.is_empty() || BOTS.iter().any(|bot| program.contains(bot))
}

/// How a video is liked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Likes {
    /// Accounts that like it.
    likes: u64,
    /// Whether who asks is one of them.
    liked: bool,
}

/// Like a video
#[utoipa::path(put, path = "/api/v1/videos/{id}/like", operation_id = "like_video", tag = "videos",
params(("id" = String, Path, description = "The video's id")), responses(
    (status = 200, description = "It is liked", body = Likes),
    Refusals,
))]
pub(crate) async fn like(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Likes>, Problem> {
    set_like(&site, &actor, (address, &headers), &id, true).await
}

/// Like a video no longer
#[utoipa::path(delete, path = "/api/v1/videos/{id}/like", operation_id = "unlike_video", tag = "videos",
params(("id" = String, Path, description = "The video's id")), responses(
    (status = 200, description = "It is not liked", body = Likes),
    Refusals,
))]
pub(crate) async fn unlike(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Likes>, Problem> {
    set_like(&site, &actor, (address, &headers), &id, false).await
}

async fn set_like(
    site: &Site,
    actor: &Actor,
    (address, headers): (std::net::IpAddr, &HeaderMap),
    id: &str,
    liked: bool,
) -> Result<Json<Likes>, Problem> {
    actor.must(Act::OwnAccount)?;
    let ticket = Ticket { actor: Some(actor), headers, address, token: None };
    let (known, _) = watchable(site, id, ticket).await?;
    let likes = site.accounts.store.like_video(&known.video().id, &actor.user.id, liked).await.map_err(failed)?;
    site.accounts.videos.changed(id).await.map_err(Problem::database)?;
    Ok(Json(Likes { likes: u64::try_from(likes).unwrap_or(0), liked }))
}

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Words by which programs that read the web name themselves, in small letters.
const BOTS: [&str; 12] = [
    "bot",
    "crawl",
    "spider",
    "slurp",
    "preview",
    "facebookexternalhit",
    "curl/",
    "wget/",
    "python",
    "go-http-client",
    "httpclient",
    "monitor",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_count_and_bots_do_not() {
        let browsers = [
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0",
            "VLC/3.0.21 LibVLC/3.0.21",
        ];
        for browser in browsers {
            assert!(!is_bot(browser), "{browser}");
        }
        for bot in ["", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "curl/8.1"] {
            assert!(is_bot(bot), "{bot}");
        }
    }
}
