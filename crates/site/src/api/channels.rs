//! Channels.

use axum::Json;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use millrace_store::{Action, Channel as Row, ChannelChange as Change, ChannelFilter, ChannelOrder, Error, Visibility};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::body::Body;
use super::refusals::Refusals;
use super::users::{audit, version};
use super::watch::{Ticket, may_watch};
use crate::accounts::permissions::Act;
use crate::accounts::rules::{self as account_rules, incorrect};
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::channels::rules;
use crate::pictures;
use crate::source::DEFAULT_APP;
use crate::{ErrorCode, LiveUrls, Problem, Site};

/// A creator's public place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Channel {
    /// Its id.
    id: String,
    /// Its name in addresses, and that of its live stream.
    #[schema(example = "night-market")]
    handle: String,
    /// Its name for people.
    #[schema(example = "Night market")]
    title: String,
    /// What it is about.
    description: String,
    /// The language spoken, as a BCP 47 tag; empty where not said.
    #[schema(example = "zh-CN")]
    language: String,
    /// What kind of thing is shown: one of those that the site lists; empty where not said.
    #[schema(example = "travel")]
    category: String,
    /// Words to be found by.
    tags: Vec<String>,
    /// Places elsewhere.
    links: Vec<rules::Link>,
    /// Path of its picture, a square; null where it has none.
    #[schema(example = "/media/0f1e2d3c4b5a69788796a5b4c3d2e1f0.jpg")]
    avatar_url: Option<String>,
    /// Path of the picture at its page's head, a strip of 4 to 1; null where it has none.
    banner_url: Option<String>,
    visibility: ChannelVisibility,
    /// Hosts that may embed the player; null where all may.
    embed_hosts: Option<Vec<String>>,
    /// Whether it is on air, for those who may watch.
    on_air: bool,
    /// Where it can be watched.
    urls: LiveUrls,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// Changes with every change; `If-Match` takes it in quotes.
    version: i64,
}

/// Who finds and watches a channel's live stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChannelVisibility {
    /// Everybody.
    Public,
    /// Who knows the address.
    Unlisted,
    /// Its owner, and whom the owner invited.
    Private,
    /// Who knows the password.
    Password,
}

impl From<ChannelVisibility> for Visibility {
    fn from(visibility: ChannelVisibility) -> Self {
        match visibility {
            ChannelVisibility::Public => Self::Public,
            ChannelVisibility::Unlisted => Self::Unlisted,
            ChannelVisibility::Private => Self::Private,
            ChannelVisibility::Password => Self::Password,
        }
    }
}

impl From<Visibility> for ChannelVisibility {
    fn from(visibility: Visibility) -> Self {
        match visibility {
            Visibility::Public => Self::Public,
            Visibility::Unlisted => Self::Unlisted,
            Visibility::Private => Self::Private,
            Visibility::Password => Self::Password,
        }
    }
}

/// Part of a list of channels.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelPage {
    /// In the order that was asked for.
    items: Vec<Channel>,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
}

/// The channels of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnChannels {
    /// The oldest first.
    items: Vec<Channel>,
}

impl Channel {
    fn new(site: &Site, row: Row, may_watch: bool) -> Self {
        let urls = LiveUrls::new(DEFAULT_APP, &row.handle);
        Self {
            on_air: may_watch && site.live.find(DEFAULT_APP, &row.handle).is_some(),
            embed_hosts: rules::hosts(&row),
            tags: rules::list(&row.tags),
            links: rules::list(&row.links),
            avatar_url: row.avatar.as_deref().map(pictures::url),
            banner_url: row.banner.as_deref().map(pictures::url),
            visibility: row.visibility.into(),
            id: row.id.to_string(),
            handle: row.handle,
            title: row.title,
            description: row.description,
            language: row.language,
            category: row.category,
            created_at: row.created_at.into(),
            version: row.version,
            urls,
        }
    }
}

/// Which channels.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Search {
    /// Words that all must be found in handle, title, description or tags; at most four are looked at.
    #[param(max_length = 200)]
    q: Option<String>,
    /// Of this category only.
    category: Option<String>,
    /// In this language only: the first part of a tag, such as `zh`, stands for all its regions and scripts.
    language: Option<String>,
    /// `newest`: the newest first; `name`: by title. By viewers, what is on air is sorted at `/api/v1/live`.
    #[serde(default)]
    #[param(inline)]
    sort: ChannelSort,
    /// How many items at most.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The order of a list of channels.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChannelSort {
    /// The newest first.
    #[default]
    Newest,
    /// By title.
    Name,
}

impl From<ChannelSort> for ChannelOrder {
    fn from(sort: ChannelSort) -> Self {
        match sort {
            ChannelSort::Newest => Self::Newest,
            ChannelSort::Name => Self::Title,
        }
    }
}

/// List and search public channels
#[utoipa::path(get, path = "/api/v1/channels", operation_id = "list_channels", tag = "channels", params(Search), responses(
    (status = 200, description = "A page of channels", body = ChannelPage),
    (status = 400, description = "A parameter is not correct", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(site): State<Site>,
    search: Result<Query<Search>, QueryRejection>,
) -> Result<Json<ChannelPage>, Problem> {
    let search = super::list::asked(search)?;
    let query = search.q.unwrap_or_default();
    if query.chars().count() > MAX_QUERY {
        return Err(incorrect("q must have at most 200 letters"));
    }
    let category = search.category.unwrap_or_default();
    rules::category(&category).map_err(incorrect)?;
    let language = search.language.unwrap_or_default().to_ascii_lowercase();
    rules::language(&language).map_err(incorrect)?;
    let words = rules::words(&query);
    let filter = ChannelFilter {
        category: &category,
        language: &language,
        words: &words,
        without: &[],
        order: search.sort.into(),
    };
    let page = super::list::request(search.limit, search.cursor)?;
    let page = site.accounts.store.public_channels(&filter, &page).await.map_err(Problem::database)?;
    let items = page.items.into_iter().map(|row| Channel::new(&site, row, true)).collect();
    Ok(Json(ChannelPage { items, next_cursor: page.next }))
}

/// List the own channels
#[utoipa::path(get, path = "/api/v1/users/me/channels", operation_id = "list_own_channels", tag = "channels", responses(
    (status = 200, description = "The channels", body = OwnChannels),
    Refusals,
))]
pub(crate) async fn mine(State(site): State<Site>, actor: Actor) -> Result<Json<OwnChannels>, Problem> {
    actor.must(Act::OwnChannels)?;
    let rows = site.accounts.store.channels_of(&actor.user.id).await.map_err(Problem::database)?;
    Ok(Json(OwnChannels { items: rows.into_iter().map(|row| Channel::new(&site, row, true)).collect() }))
}

/// A channel to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewChannel {
    /// Its name in addresses: 2 to 32 of a-z, 0-9, `_` and `-`. It stays as it is.
    #[schema(example = "night-market")]
    handle: String,
    /// Its name for people; the handle where it is left out.
    title: Option<String>,
}

/// Make a channel
///
/// It has a stream key from the beginning.
#[utoipa::path(post, path = "/api/v1/channels", operation_id = "create_channel", tag = "channels", request_body = NewChannel,
responses(
    (status = 201, description = "The channel", body = Channel),
    (status = 409, description = "The name is taken, or there are as many as there may be", body = Problem,
     content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn create(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Body(body): Body<NewChannel>,
) -> Result<Response, Problem> {
    actor.must(Act::OwnChannels)?;
    let handle = account_rules::handle(&body.handle).map_err(incorrect)?;
    if site.accounts.channels.is_taken(&handle) {
        return Err(Problem::new(ErrorCode::Conflict, "a stream of the server's configuration has this name"));
    }
    let title = rules::title(body.title.as_deref().unwrap_or(&handle)).map_err(incorrect)?;
    let (channel, _) = site.accounts.make_channel(&actor.user.id, &handle, title).await.map_err(failed)?;
    audit(&site, &actor, Action::CreateChannel, &handle, address).await?;
    Ok((StatusCode::CREATED, tagged(&site, channel)).into_response())
}

/// Get one channel
#[utoipa::path(get, path = "/api/v1/channels/{handle}", operation_id = "get_channel", tag = "channels",
params(("handle" = String, Path, description = "The channel's handle")), responses(
    (status = 200, description = "The channel", body = Channel),
    Refusals,
))]
pub(crate) async fn one(
    State(site): State<Site>,
    actor: Option<Actor>,
    headers: HeaderMap,
    Address(address): Address,
    Path(handle): Path<String>,
) -> Result<Response, Problem> {
    let known = site.accounts.channels.find(&handle).await.map_err(Problem::database)?.ok_or_else(none)?;
    let ticket = Ticket { actor: actor.as_ref(), headers: &headers, address, token: None };
    let by_cookie = may_watch(&site, &known, ticket).await?;
    if known.channel.visibility == Visibility::Private && !by_cookie {
        return Err(Problem::new(ErrorCode::Forbidden, "this channel is private"));
    }
    let mut channel = Channel::new(&site, known.channel.clone(), by_cookie);
    let tag = tag(channel.version);
    if actor.is_none_or(|actor| actor.user.id != known.channel.owner_id)
        && known.channel.visibility != Visibility::Public
    {
        channel.embed_hosts = None;
    }
    Ok(([(header::ETAG, tag)], Json(channel)).into_response())
}

/// What is changed of a channel; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChannelChange {
    /// Its name for people: 1 to 100 letters.
    title: Option<String>,
    /// What it is about: at most 5,000 letters.
    description: Option<String>,
    /// A BCP 47 tag, or empty.
    language: Option<String>,
    /// One of the site's categories, or empty.
    category: Option<String>,
    /// At most 10 words.
    tags: Option<Vec<String>>,
    /// At most 10 places elsewhere.
    links: Option<Vec<rules::Link>>,
    visibility: Option<ChannelVisibility>,
    /// The password to watch with, where `visibility` is `password`: at least 4 characters.
    #[schema(min_length = 4, max_length = 512)]
    password: Option<String>,
    /// Hosts that may embed the player: empty for none.
    embed_hosts: Option<Vec<String>>,
    /// Whether all hosts may.
    embed_anywhere: Option<bool>,
}

/// Change a channel
///
/// `If-Match` names the version that was read. Whoever may no longer watch is cut at once.
#[utoipa::path(patch, path = "/api/v1/channels/{handle}", operation_id = "update_channel", tag = "channels",
request_body = ChannelChange, params(
    ("handle" = String, Path, description = "The channel's handle"),
    ("If-Match" = String, Header, description = "The `ETag` of the channel as it was read", example = "\"1\""),
), responses(
    (status = 200, description = "The channel as it is now", body = Channel),
    (status = 409, description = "It was changed meanwhile", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too busy", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn update(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    headers: HeaderMap,
    Path(handle): Path<String>,
    Body(body): Body<ChannelChange>,
) -> Result<Response, Problem> {
    let old = owned(&site, &actor, &handle, Act::ManageChannels).await?;
    let version = version(&headers)?;
    let title = body.title.as_deref().map(rules::title).transpose().map_err(incorrect)?;
    let description = body.description.as_deref().map(rules::description).transpose().map_err(incorrect)?;
    let language = body.language.as_deref().map(rules::language).transpose().map_err(incorrect)?;
    let category = body.category.as_deref().map(rules::category).transpose().map_err(incorrect)?;
    let tags = body.tags.as_deref().map(rules::tags).transpose().map_err(incorrect)?;
    let links = body.links.as_deref().map(rules::links).transpose().map_err(incorrect)?;
    let hosts = body.embed_hosts.as_deref().map(rules::embed_hosts).transpose().map_err(incorrect)?;
    let visibility = body.visibility.map(Visibility::from);
    let password_hash = match body.password {
        Some(password) => Some(hashed(&site, password).await?),
        None => None,
    };
    if visibility == Some(Visibility::Password) && password_hash.is_none() && old.password_hash.is_none() {
        return Err(incorrect("viewers' password is missing: say which one they need"));
    }
    let search_text = rules::search_text(
        &handle,
        title.unwrap_or(&old.title),
        description.unwrap_or(&old.description),
        tags.as_deref().unwrap_or(&old.tags),
    );
    let change = Change {
        title,
        description,
        language,
        category,
        tags: tags.as_deref(),
        links: links.as_deref(),
        visibility,
        password_hash: password_hash.as_deref().map(Some),
        embed_hosts: match body.embed_anywhere {
            Some(true) => Some(None),
            _ => hosts.as_deref().map(Some),
        },
        search_text: Some(&search_text),
        ..Change::default()
    };
    let new = site.accounts.store.update_channel(&old.id, version, &change).await.map_err(failed)?;
    if new.play_epoch != old.play_epoch {
        audit(&site, &actor, Action::ChangeVisibility, &handle, address).await?;
    }
    changed(&site, &handle).await?;
    Ok(tagged(&site, new))
}

pub(super) async fn hashed(site: &Site, password: String) -> Result<String, Problem> {
    if password.chars().count() < MIN_PASSWORD || password.len() > account_rules::MAX_PASSWORD {
        return Err(incorrect("viewers' password must have at least 4 characters, and at most 512 bytes"));
    }
    site.accounts.passwords.hash(password).await.map_err(|busy| Problem::busy(&busy))
}

/// Delete a channel
///
/// Its keys, what is known of its broadcasts, and its videos in the trash go with it; whoever publishes or plays is cut. One
/// that has other videos is refused: they are put into the trash first.
#[utoipa::path(delete, path = "/api/v1/channels/{handle}", operation_id = "delete_channel", tag = "channels",
params(("handle" = String, Path, description = "The channel's handle")), responses(
    (status = 204, description = "It is gone"),
    (status = 409, description = "It has videos", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn delete(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Path(handle): Path<String>,
) -> Result<StatusCode, Problem> {
    let channel = owned(&site, &actor, &handle, Act::ManageChannels).await?;
    site.accounts.store.delete_channel(&channel.id).await.map_err(|error| match error {
        Error::InUse(1) => in_use("a video: put it".to_owned()),
        Error::InUse(videos) => in_use(format!("{videos} videos: put them")),
        other => failed(other),
    })?;
    site.accounts.pictures.discard(channel.avatar).await;
    site.accounts.pictures.discard(channel.banner).await;
    audit(&site, &actor, Action::DeleteChannel, &handle, address).await?;
    changed(&site, &handle).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn in_use(by: String) -> Problem {
    Problem::new(ErrorCode::Conflict, format!("this channel has {by} into the trash first"))
}

/// The channel of that handle as it is in the database, for its owner, and for those who may do that to others'.
pub(super) async fn owned(site: &Site, actor: &Actor, handle: &str, others: Act) -> Result<Row, Problem> {
    let found = site.accounts.store.channel_by_handle(handle).await.map_err(Problem::database)?.ok_or_else(none)?;
    match found.owner_id == actor.user.id {
        true => actor.must(Act::OwnChannels)?,
        false => actor.must(others)?,
    }
    Ok(found)
}

/// Lets everybody know that a channel has changed.
pub(super) async fn changed(site: &Site, handle: &str) -> Result<(), Problem> {
    site.accounts.channels.changed(handle).await.map_err(Problem::database)
}

pub(super) fn none() -> Problem {
    Problem::new(ErrorCode::NotFound, "there is no such channel")
}

pub(super) fn failed(error: Error) -> Problem {
    match error {
        Error::Taken(_) | Error::Changed | Error::TooMany(_) => Problem::new(ErrorCode::Conflict, error.to_string()),
        Error::NotFound => none(),
        other => Problem::database(other),
    }
}

pub(super) fn tagged(site: &Site, row: Row) -> Response {
    let tag = tag(row.version);
    ([(header::ETAG, tag)], Json(Channel::new(site, row, true))).into_response()
}

fn tag(version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("a number in quotes")
}

pub(super) const MAX_QUERY: usize = 200;
const MIN_PASSWORD: usize = 4;
