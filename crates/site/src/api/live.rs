//! What is on air.

use std::cmp::Reverse;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use http::HeaderMap;
use serde::{Deserialize, Serialize, Serializer};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::watch::Ticket;
use crate::accounts::rules::incorrect;
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::channels::rules;
use crate::{ErrorCode, Problem, Site, source::is_name};

/// A stream that is on air.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LiveStream {
    /// The app it was published to.
    #[schema(example = "live")]
    pub app: String,
    /// Its public name.
    #[schema(example = "movie")]
    pub name: String,
    /// Its channel's name for people; null where it is no channel's.
    #[schema(example = "Night market")]
    pub title: Option<String>,
    /// What kind of thing its channel shows, where that is said.
    #[schema(example = "travel")]
    pub category: Option<String>,
    /// The language spoken, as a BCP 47 tag, where its channel says so.
    #[schema(example = "zh-CN")]
    pub language: Option<String>,
    /// Path of its channel's picture, where it has one.
    #[schema(example = "/media/0f1e2d3c4b5a69788796a5b4c3d2e1f0.jpg")]
    pub avatar_url: Option<String>,
    /// Whether pictures arrive now.
    pub state: LiveState,
    /// When it went on air.
    #[serde(serialize_with = "rfc3339_millis")]
    pub started_at: OffsetDateTime,
    /// How many watch it now, by whatever protocol.
    pub viewers: u32,
    /// The video track; absent on an audio-only stream.
    pub video: Option<LiveVideo>,
    /// The audio track; absent on a silent stream.
    pub audio: Option<LiveAudio>,
    /// Frames of the publisher that could not be read, since it went on air.
    pub damaged_frames: u64,
    /// Seconds between keyframes, once two have been seen.
    pub gop_seconds: Option<f64>,
    /// Where to watch it; paths on this origin.
    pub urls: LiveUrls,
}

/// Whether a stream's pictures arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LiveState {
    /// The publisher is connected.
    Live,
    /// The publisher has gone a moment ago and may return; players stay.
    Reconnecting,
}

/// A live video track.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LiveVideo {
    /// Codec string (RFC 6381).
    #[schema(example = "avc1.64001f")]
    pub codec: String,
    /// Width of the picture in pixels, where its codec's configuration tells.
    pub width: Option<u32>,
    /// Height of the picture in pixels, where that tells.
    pub height: Option<u32>,
    /// Pictures per second, once known.
    pub frame_rate: Option<f64>,
    /// Kilobits per second over the last seconds.
    pub kbit_s: u32,
}

/// A live audio track.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LiveAudio {
    /// Codec string (RFC 6381).
    #[schema(example = "mp4a.40.2")]
    pub codec: String,
    /// Samples per second.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u32,
    /// Kilobits per second over the last seconds.
    pub kbit_s: u32,
}

/// Where a stream can be watched; paths on this origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LiveUrls {
    /// The page with the player.
    #[schema(example = "/@movie")]
    pub page: String,
    /// A recent picture; not found where none can be made.
    #[schema(example = "/live/movie.jpg")]
    pub thumbnail: String,
    /// FLV over HTTP, and over WebSocket on the same path.
    #[schema(example = "/live/movie.flv")]
    pub flv: String,
    /// HLS multivariant playlist.
    #[schema(example = "/live/movie.m3u8")]
    pub hls: String,
}

impl LiveUrls {
    /// The addresses of stream `name` of `app`.
    pub fn new(app: &str, name: &str) -> Self {
        let page = match app {
            crate::source::DEFAULT_APP => format!("/@{name}"),
            app => format!("/@{name}?app={app}"),
        };
        let media = |extension: &str| format!("/{app}/{name}.{extension}");
        Self { page, thumbnail: media("jpg"), flv: media("flv"), hls: media("m3u8") }
    }

    /// The same with a token to watch with, where there is one.
    pub(crate) fn with(self, token: Option<&str>) -> Self {
        let Some(token) = token else { return self };
        let with = |url: String| format!("{url}?token={token}");
        Self { page: self.page, thumbnail: with(self.thumbnail), flv: with(self.flv), hls: with(self.hls) }
    }
}

/// One page of the list of live streams.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LivePage {
    /// The streams, in the order that was asked for.
    pub items: Vec<LiveStream>,
    /// Where the next page starts; `null` on the last one.
    pub next_cursor: Option<String>,
}

/// Which streams are asked for, and in which order.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Of channels of this category only.
    category: Option<String>,
    /// Of channels in this language only: the first part of a tag, such as `zh`, stands for all its regions and scripts.
    language: Option<String>,
    /// `newest`: the latest to go on air first; `viewers`: what most watch first; `name`: by title.
    #[serde(default)]
    #[param(inline)]
    sort: LiveOrder,
    /// How many items at most.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The order of a list of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LiveOrder {
    /// The latest to go on air first.
    #[default]
    Newest,
    /// What most watch first.
    Viewers,
    /// By title.
    Name,
}

impl LiveOrder {
    pub(crate) const ALL: [Self; 3] = [Self::Newest, Self::Viewers, Self::Name];

    /// As queries have it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Viewers => "viewers",
            Self::Name => "name",
        }
    }

    /// The message of its name.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Newest => "search.sort_newest",
            Self::Viewers => "search.sort_viewers",
            Self::Name => "search.sort_name",
        }
    }
}

/// List what is on air
///
/// Numbers of viewers change while one walks through the pages: sorted by them, a stream may come twice or not at all.
#[utoipa::path(get, path = "/api/v1/live", operation_id = "list_live", tag = "live", params(Wanted), responses(
    (status = 200, description = "A page of live streams", body = LivePage),
    (status = 400, description = "A parameter is not correct", body = Problem, content_type = "application/problem+json"),
    (status = 500, description = "Internal service error", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(site): State<Site>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<LivePage>, Problem> {
    let wanted = super::list::asked(wanted)?;
    let category = wanted.category.as_deref().unwrap_or_default();
    rules::category(category).map_err(incorrect)?;
    let language = wanted.language.as_deref().unwrap_or_default();
    rules::language(language).map_err(incorrect)?;
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let error = format!("limit is {limit}, but must be between 1 and {MAX_LIMIT}");
        return Err(Problem::new(ErrorCode::BadRequest, error));
    }
    let after = match wanted.cursor.as_deref() {
        None => None,
        Some(text) => Some(Position::parse(text, wanted.sort).ok_or_else(|| {
            Problem::new(
                ErrorCode::BadRequest,
                "cursor is not one that this list handed out; leave it out to start over",
            )
        })?),
    };
    let mut streams = site.listed().await;
    streams.retain(|stream| stream.is_of(category, language));
    Ok(Json(page(streams, wanted.sort, after.as_ref(), limit as usize)))
}

/// With what a stream is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct With {
    /// A token to watch with (see `create_play_token`); the addresses in the answer then hold it.
    token: Option<String>,
}

/// Get one live stream
#[utoipa::path(get, path = "/api/v1/live/{app}/{name}", operation_id = "get_live", tag = "live", params(
    ("app" = String, Path, description = "The app", example = "live"),
    ("name" = String, Path, description = "The stream's public name", example = "movie"),
    With,
), responses(
    (status = 200, description = "The stream is on air", body = LiveStream),
    (status = 400, description = "A parameter is not correct", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "The token is no good", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not for everybody", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "No such stream is on air", body = Problem, content_type = "application/problem+json"),
    (status = 500, description = "Internal service error", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn one(
    State(site): State<Site>,
    actor: Option<Actor>,
    Address(address): Address,
    headers: HeaderMap,
    Path((app, name)): Path<(String, String)>,
    with: Result<Query<With>, QueryRejection>,
) -> Result<Json<LiveStream>, Problem> {
    let With { token } = super::list::asked(with)?;
    let ticket = Ticket { actor: actor.as_ref(), headers: &headers, address, token: token.as_deref() };
    let sight = site.sight(&app, &name, ticket).await?;
    if sight.as_ref().is_some_and(|sight| !sight.allowed) {
        return Err(Problem::new(ErrorCode::Forbidden, "you may not watch this stream"));
    }
    sight
        .and_then(|sight| sight.live)
        .map(Json)
        .ok_or_else(|| Problem::new(ErrorCode::NotFound, "no stream of this name is on air"))
}

impl LiveStream {
    /// Whether it is of that category and in that language; of all and in all where they are empty.
    pub(crate) fn is_of(&self, category: &str, language: &str) -> bool {
        let of = self.category.as_deref().unwrap_or_default();
        let spoken = self.language.as_deref().unwrap_or_default();
        (category.is_empty() || of == category) && (language.is_empty() || rules::speaks(spoken, language))
    }
}

/// `streams` in that order; where it does not say, by name.
pub(crate) fn in_order(mut streams: Vec<LiveStream>, order: LiveOrder) -> Vec<LiveStream> {
    streams.sort_by_cached_key(|stream| Position::of(stream, order));
    streams
}

/// Whole milliseconds are enough for people and programs.
fn rfc3339_millis<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    time::serde::rfc3339::serialize(&time.truncate_to_millisecond(), serializer)
}

fn page(streams: Vec<LiveStream>, order: LiveOrder, after: Option<&Position>, limit: usize) -> LivePage {
    let mut items = in_order(streams, order);
    items.retain(|stream| after.is_none_or(|after| Position::of(stream, order) > *after));
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(|last| Position::of(last, order).to_string());
    LivePage { items, next_cursor }
}

/// A stream's place in a list. Sorted by start or name it stays the same as long as the stream is on air, so that walking
/// through the pages neither skips nor repeats a stream that was there all the time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    by: Key,
    app: String,
    name: String,
}

/// What a list is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// The greatest first.
    Number(Reverse<i64>),
    Title(String),
}

impl Position {
    fn of(stream: &LiveStream, order: LiveOrder) -> Self {
        let millis = stream.started_at.unix_timestamp_nanos() / 1_000_000;
        let by = match order {
            LiveOrder::Newest => Key::Number(Reverse(i64::try_from(millis).unwrap_or(i64::MAX))),
            LiveOrder::Viewers => Key::Number(Reverse(stream.viewers.into())),
            LiveOrder::Name => Key::Title(stream.title.as_ref().unwrap_or(&stream.name).to_lowercase()),
        };
        Self { by, app: stream.app.clone(), name: stream.name.clone() }
    }

    fn parse(text: &str, order: LiveOrder) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (app, name, by) = (parts.next()?, parts.next()?, parts.next()?);
        let by = match order {
            LiveOrder::Newest | LiveOrder::Viewers => Key::Number(Reverse(by.parse().ok()?)),
            LiveOrder::Name => Key::Title(by.to_owned()),
        };
        (is_name(app) && is_name(name)).then(|| Self { by, app: app.to_owned(), name: name.to_owned() })
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.", self.app, self.name)?;
        match &self.by {
            Key::Number(Reverse(number)) => write!(f, "{number}"),
            Key::Title(title) => f.write_str(title),
        }
    }
}

const DEFAULT_LIMIT: u32 = 50;
/// Most items in one page of a list.
const MAX_LIMIT: u32 = 100;
