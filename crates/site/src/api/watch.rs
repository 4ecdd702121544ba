//! Leave to watch: passwords, tokens for players, and who is invited.

use std::net::IpAddr;

use axum::Json;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use millrace_store::{At, Error, PageRequest, User, Visibility};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::body::Body;
use super::channels::{changed, none, owned};
use super::list::Part;
use super::refusals::Refusals;
use crate::accounts::permissions::Act;
use crate::accounts::rules as account_rules;
use crate::accounts::sessions::{Actor, By};
use crate::actor::{Address, secure};
use crate::channels::Known;
use crate::channels::leave::unlock_cookie;
use crate::channels::tokens::{Bearer, LIFETIME};
use crate::source::DEFAULT_APP;
use crate::visitor::Visitor;
use crate::{ErrorCode, Problem, Site};

/// What a player watches with that carries no cookie.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlayToken {
    /// For `?token=` of any of the stream's addresses; empty where everybody may watch.
    token: String,
    /// Until when a player may ask with it.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// The HLS playlist with it; a path on this origin.
    #[schema(example = "/live/night-market.m3u8?token=…")]
    hls: String,
    /// FLV over HTTP and WebSocket with it.
    flv: String,
    /// The path for RTMP players, after `rtmp://` and host.
    rtmp: String,
}

impl PlayToken {
    fn new(site: &Site, known: &Known) -> Self {
        let channel = &known.channel;
        let tokens = site.accounts.channels.tokens();
        let (token, until) = tokens.issue(Bearer::Player, channel.id.as_str(), channel.play_epoch, At::now());
        let token = if known.is_open() { String::new() } else { token };
        let query = if token.is_empty() { String::new() } else { format!("?token={token}") };
        let path = format!("/{DEFAULT_APP}/{}", known.channel.handle);
        Self {
            hls: format!("{path}.m3u8{query}"),
            flv: format!("{path}.flv{query}"),
            rtmp: format!("{path}{query}"),
            token,
            expires_at: until.into(),
        }
    }
}

/// Get a token to watch with
///
/// For those who may watch: players that carry no cookie, such as VLC, take the addresses in the answer.
#[utoipa::path(post, path = "/api/v1/channels/{handle}/play-token", operation_id = "create_play_token", tag = "channels",
params(("handle" = String, Path, description = "The channel's handle")), responses(
    (status = 200, description = "The token", body = PlayToken),
    Refusals,
))]
pub(crate) async fn play_token(
    State(site): State<Site>,
    Address(address): Address,
    actor: Option<Actor>,
    headers: HeaderMap,
    Path(handle): Path<String>,
) -> Result<Json<PlayToken>, Problem> {
    let known = site.accounts.channels.find(&handle).await.map_err(Problem::database)?.ok_or_else(none)?;
    // Not by another token: who has one for some hours must not have it for ever.
    let ticket = Ticket { actor: actor.as_ref(), headers: &headers, address, token: None };
    if !may_watch(&site, &known, ticket).await? {
        return Err(Problem::new(ErrorCode::Forbidden, "you may not watch this channel"));
    }
    Ok(Json(PlayToken::new(&site, &known)))
}

/// What somebody who wants to watch is known by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket<'a> {
    pub(crate) actor: Option<&'a Actor>,
    /// Of the request, for its cookies.
    pub(crate) headers: &'a HeaderMap,
    pub(crate) address: IpAddr,
    /// `?token=`, where it counts.
    pub(crate) token: Option<&'a str>,
}

/// Whether somebody may watch: by who they are, by a password given before, or by a token.
pub(crate) async fn may_watch(site: &Site, known: &Known, ticket: Ticket<'_>) -> Result<bool, Problem> {
    let by_name = |actor: &Actor| match &actor.by {
        By::Session(_) => known.admits(&actor.user),
        By::Token { .. } => known.admits(&actor.user) && actor.may(Act::OwnAccount),
    };
    if known.is_open() || ticket.actor.is_some_and(by_name) {
        return Ok(true);
    }
    let cookies = ticket.headers.get(header::COOKIE).and_then(|cookies| cookies.to_str().ok()).unwrap_or_default();
    let channels = &site.accounts.channels;
    let leave = channels.leave_by(known, ticket.token, cookies, ticket.address).await.map_err(Problem::database)?;
    Ok(leave.is_some())
}

/// A channel's password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unlocking {
    password: String,
}

/// Unlock a channel by its password
///
/// The answer sets a cookie, with which the browser may watch.
#[utoipa::path(post, path = "/api/v1/channels/{handle}/unlock", operation_id = "unlock_channel", tag = "channels",
request_body = Unlocking, params(("handle" = String, Path, description = "The channel's handle")), responses(
    (status = 200, description = "The password is right", body = PlayToken),
    (status = 429, description = "Too many tries", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too busy", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn unlock(
    State(site): State<Site>,
    visitor: Visitor,
    Address(address): Address,
    Path(handle): Path<String>,
    Body(body): Body<Unlocking>,
) -> Result<Response, Problem> {
    let known = site.accounts.channels.find(&handle).await.map_err(Problem::database)?.ok_or_else(none)?;
    if known.channel.visibility != Visibility::Password {
        return Err(Problem::new(ErrorCode::BadRequest, "this channel is not watched by password"));
    }
    if body.password.len() > account_rules::MAX_PASSWORD {
        return Err(Problem::new(ErrorCode::BadRequest, "password is too long"));
    }
    site.accounts.tries.unlock(address, &handle).map_err(Problem::too_often)?;
    let hash = known.channel.password_hash.clone();
    let right = site.accounts.passwords.verify(body.password, hash).await.map_err(|busy| Problem::busy(&busy))?;
    if !right {
        return Err(Problem::new(ErrorCode::Unauthenticated, "the password is wrong"));
    }
    let channel = &known.channel;
    let tokens = site.accounts.channels.tokens();
    let (value, _) = tokens.issue(Bearer::Browser, channel.id.as_str(), channel.play_epoch, At::now());
    let cookie = unlocked(&unlock_cookie(&handle), &value, &visitor);
    Ok(([(header::SET_COOKIE, cookie)], Json(PlayToken::new(&site, &known))).into_response())
}

/// The cookie of a browser in which a password was given.
pub(super) fn unlocked(name: &str, value: &str, visitor: &Visitor) -> HeaderValue {
    let (secure, life) = (secure(visitor), LIFETIME.whole_seconds());
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={life}");
    let mut cookie = HeaderValue::from_str(&text).expect("names and tokens have plain letters");
    cookie.set_sensitive(true);
    cookie
}

/// Somebody who is invited.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Viewer {
    /// The account's handle.
    handle: String,
    /// The name that others see.
    display_name: String,
}

/// Part of the list of those who are invited.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ViewerPage {
    /// In the order in which their accounts were made.
    items: Vec<Viewer>,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
}

/// List who may watch a private channel
#[utoipa::path(get, path = "/api/v1/channels/{handle}/viewers", operation_id = "list_invited", tag = "channels", params(
    ("handle" = String, Path, description = "The channel's handle"),
    Part,
), responses(
    (status = 200, description = "A page of accounts", body = ViewerPage),
    Refusals,
))]
pub(crate) async fn viewers(
    State(site): State<Site>,
    actor: Actor,
    Path(handle): Path<String>,
    range: Result<Query<Part>, QueryRejection>,
) -> Result<Json<ViewerPage>, Problem> {
    let channel = owned(&site, &actor, &handle, Act::ManageChannels).await?;
    let page: PageRequest = Part::request(range)?;
    let page = site.accounts.store.invited_viewers(&channel.id, &page).await.map_err(Problem::database)?;
    let items = page.items.into_iter().map(|user| Viewer { handle: user.handle, display_name: user.display_name });
    Ok(Json(ViewerPage { items: items.collect(), next_cursor: page.next }))
}

/// Invite somebody to watch
#[utoipa::path(put, path = "/api/v1/channels/{handle}/viewers/{user}", operation_id = "invite_viewer", tag = "channels",
params(
    ("handle" = String, Path, description = "The channel's handle"),
    ("user" = String, Path, description = "The account's handle"),
), responses(
    (status = 204, description = "They may watch"),
    (status = 409, description = "There are as many as there may be", body = Problem,
     content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn invite(
    State(site): State<Site>,
    actor: Actor,
    Path((handle, user)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let channel = owned(&site, &actor, &handle, Act::ManageChannels).await?;
    let user = account(&site, &user).await?;
    let store = &site.accounts.store;
    if store.invited_ids(&channel.id).await.map_err(Problem::database)?.len() >= MAX_INVITED {
        return Err(Problem::new(ErrorCode::Conflict, "as many are invited as may be"));
    }
    store.invite_viewer(&channel.id, &user.id).await.map_err(Problem::database)?;
    changed(&site, &handle).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Invite somebody no longer
///
/// Who watches is cut at once, and those who still may ask again. Tokens that were handed out hold no longer.
#[utoipa::path(delete, path = "/api/v1/channels/{handle}/viewers/{user}", operation_id = "uninvite_viewer", tag = "channels",
params(
    ("handle" = String, Path, description = "The channel's handle"),
    ("user" = String, Path, description = "The account's handle"),
), responses(
    (status = 204, description = "They may no longer watch"),
    Refusals,
))]
pub(crate) async fn uninvite(
    State(site): State<Site>,
    actor: Actor,
    Path((handle, user)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let channel = owned(&site, &actor, &handle, Act::ManageChannels).await?;
    let user = account(&site, &user).await?;
    let done = site.accounts.store.uninvite_viewer(&channel.id, &user.id).await;
    done.map_err(|error| match error {
        Error::NotFound => Problem::new(ErrorCode::NotFound, "this account is not invited"),
        other => Problem::database(other),
    })?;
    changed(&site, &handle).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn account(site: &Site, handle: &str) -> Result<User, Problem> {
    let found = site.accounts.store.user_by_handle(&handle.to_lowercase()).await.map_err(Problem::database)?;
    found.ok_or_else(|| Problem::new(ErrorCode::NotFound, "there is no such account"))
}

/// Accounts that may be invited to one channel.
const MAX_INVITED: usize = 1000;
