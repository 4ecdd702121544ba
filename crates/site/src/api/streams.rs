//! Who publishes and who plays a live stream, for those who operate the site: with figures, and to be disconnected.

use axum::Json;
use axum::extract::{Path, Query, State, rejection::PathRejection, rejection::QueryRejection};
use http::StatusCode;
use millrace_store::Action;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::api::list::Part;
use crate::api::live::{LiveAudio, LiveState, LiveVideo};
use crate::api::refusals::Refusals;
use crate::api::users::audit_with;
use crate::{ErrorCode, Problem, Site};

/// Who publishes a stream, and what comes.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LivePublisher {
    /// Whether it is connected now, or was lost a moment ago.
    pub state: LiveState,
    /// How it publishes.
    #[schema(example = "rtmp")]
    pub protocol: &'static str,
    /// Where it connects from.
    #[schema(example = "192.0.2.1:49152")]
    pub address: String,
    /// The program, as it calls itself.
    #[schema(example = "obs-output module (libobs version 30.2.0)")]
    pub encoder: Option<String>,
    /// When it came.
    #[serde(with = "time::serde::rfc3339")]
    pub connected_at: OffsetDateTime,
    /// Seconds since then.
    pub uptime_seconds: u64,
    /// What came since the stream went on air, also from those who published it before.
    pub received: LiveTraffic,
    /// Frames that could not be read, since the stream went on air.
    pub damaged_frames: u64,
    /// The video track: codec, size, frame rate, bit rate.
    pub video: Option<LiveVideo>,
    /// The audio track: codec, sample rate, channels, bit rate.
    pub audio: Option<LiveAudio>,
    /// Seconds between keyframes, once two have been seen.
    pub gop_seconds: Option<f64>,
    /// How many watch.
    pub viewers: u32,
    /// Bytes that went to all players since the stream went on air.
    pub sent_bytes: u64,
}

/// Bytes and frames by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct LiveTraffic {
    /// Bytes of coded pictures.
    pub video_bytes: u64,
    /// Bytes of coded sound.
    pub audio_bytes: u64,
    /// Pictures.
    pub video_frames: u64,
    /// Frames of sound.
    pub audio_frames: u64,
}

/// Somebody who plays a stream.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LivePlayer {
    /// Its number, unique while the server runs.
    pub id: u64,
    /// How it plays: `rtmp`, `http-flv`, `ws-flv` or `hls`.
    #[schema(example = "http-flv")]
    pub protocol: &'static str,
    /// Where it connects from; without a port for HLS, whose requests come over any.
    #[schema(example = "192.0.2.7:50412")]
    pub address: String,
    /// When it came.
    #[serde(with = "time::serde::rfc3339")]
    pub connected_at: OffsetDateTime,
    /// Seconds since then.
    pub uptime_seconds: u64,
    /// Bytes that were sent, framing included.
    pub bytes: u64,
    /// What of that is media; zero for HLS, whose segments hold both kinds.
    pub sent: LiveTraffic,
    /// Video, kilobits per second over the last seconds; zero for HLS.
    pub video_kbit_s: u32,
    /// Audio, kilobits per second over the last seconds; zero for HLS.
    pub audio_kbit_s: u32,
    /// How often it fell behind and went on at a keyframe.
    pub skips: u64,
    /// Frames that it lost by that.
    pub dropped_frames: u64,
}

/// Part of a stream's players.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlayerPage {
    /// Who came first is first.
    items: Vec<LivePlayer>,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
}

/// Get a stream's publisher
///
/// Needs the role of a moderator.
#[utoipa::path(get, path = "/api/v1/live/{app}/{name}/publisher", operation_id = "get_publisher", tag = "live", params(
    ("app" = String, Path, description = "The app", example = "live"),
    ("name" = String, Path, description = "The stream's public name", example = "movie"),
), responses((status = 200, description = "Who publishes, and what comes", body = LivePublisher), Refusals))]
pub(crate) async fn publisher(
    State(site): State<Site>,
    actor: Actor,
    Path((app, name)): Path<(String, String)>,
) -> Result<Json<LivePublisher>, Problem> {
    actor.must(Act::ManageStreams)?;
    site.live.publisher(&app, &name).map(Json).ok_or_else(off_air)
}

/// Disconnect a stream's publisher
///
/// The stream ends. The publisher may come back unless its key is reset. Needs the role of a moderator.
#[utoipa::path(delete, path = "/api/v1/live/{app}/{name}/publisher", operation_id = "disconnect_publisher", tag = "live",
params(
    ("app" = String, Path, description = "The app", example = "live"),
    ("name" = String, Path, description = "The stream's public name", example = "movie"),
), responses((status = 204, description = "It is cut, and the stream ended"), Refusals))]
pub(crate) async fn disconnect_publisher(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Path((app, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    actor.must(Act::ManageStreams)?;
    let publisher = site.live.publisher(&app, &name).ok_or_else(off_air)?;
    if !site.live.cut_publisher(&app, &name).await {
        return Err(off_air());
    }
    let details = format!("publisher {}", publisher.address);
    audit_with(&site, &actor, Action::Kick, &format!("{app}/{name}"), address, &details).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List a stream's players
///
/// Needs the role of a moderator.
#[utoipa::path(get, path = "/api/v1/live/{app}/{name}/players", operation_id = "list_players", tag = "live", params(
    ("app" = String, Path, description = "The app", example = "live"),
    ("name" = String, Path, description = "The stream's public name", example = "movie"),
    Part,
), responses((status = 200, description = "A page of players", body = PlayerPage), Refusals))]
pub(crate) async fn players(
    State(site): State<Site>,
    actor: Actor,
    Path((app, name)): Path<(String, String)>,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<PlayerPage>, Problem> {
    actor.must(Act::ManageStreams)?;
    let page = Part::request(part)?;
    let after = match page.after.as_deref().map(str::parse::<u64>) {
        None => None,
        Some(Ok(after)) => Some(after),
        Some(Err(_)) => return Err(Problem::new(ErrorCode::BadRequest, "cursor is not one that this list handed out")),
    };
    let mut items = site.live.players(&app, &name).ok_or_else(off_air)?;
    items.retain(|player| after.is_none_or(|after| player.id > after));
    items.sort_by_key(|player| player.id);
    let limit = page.limit as usize;
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(Json(PlayerPage { items, next_cursor }))
}

/// Disconnect a player
///
/// One that plays over a connection may come back at once. One of HLS is refused this stream for five minutes, and with it
/// whoever comes from the same address with the same program, as its requests stand alone. Needs the role of a moderator.
#[utoipa::path(delete, path = "/api/v1/live/{app}/{name}/players/{id}", operation_id = "disconnect_player", tag = "live",
params(
    ("app" = String, Path, description = "The app", example = "live"),
    ("name" = String, Path, description = "The stream's public name", example = "movie"),
    ("id" = u64, Path, description = "The player's number"),
), responses((status = 204, description = "It is asked to go"), Refusals))]
pub(crate) async fn disconnect_player(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    path: Result<Path<(String, String, u64)>, PathRejection>,
) -> Result<StatusCode, Problem> {
    actor.must(Act::ManageStreams)?;
    let Path((app, name, id)) = path.map_err(|rejection| Problem::new(ErrorCode::BadRequest, rejection.body_text()))?;
    let gone = || Problem::new(ErrorCode::NotFound, "the stream has no player of this number");
    let players = site.live.players(&app, &name).unwrap_or_default();
    let player = players.into_iter().find(|player| player.id == id).ok_or_else(gone)?;
    if !site.live.cut_player(&app, &name, id) {
        return Err(gone());
    }
    let details = format!("player {id} {} {}", player.protocol, player.address);
    audit_with(&site, &actor, Action::Kick, &format!("{app}/{name}"), address, &details).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn off_air() -> Problem {
    Problem::new(ErrorCode::NotFound, "no stream of this name is on air")
}
