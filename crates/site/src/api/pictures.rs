//! Pictures of accounts and channels.
//!
//! A picture replaces the one before as a whole, and nothing else: it needs no `If-Match`.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use millrace_objects::Key;
use millrace_store::{Action, Channel as Row, ChannelChange, Profile, UserId};

use super::admin::users::{find, not_theirs};
use super::channels::{self, Channel};
use super::refusals::Refusals;
use super::users::{self, Account};
use crate::accounts::permissions::{Act, may_change};
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::pictures::{MAX_UPLOAD, Shape, Unfit};
use crate::{ErrorCode, Problem, Site};

/// The bytes of a picture's file.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code)] // described, never made: handlers read the body within bounds
pub(crate) struct PictureFile(Vec<u8>);

/// Answers of every operation that takes a picture.
#[derive(utoipa::IntoResponses)]
#[allow(dead_code)] // described, never made: handlers answer with a `Problem`
pub(crate) enum Unsuited {
    /// It was changed by somebody else at the same moment
    #[response(status = 409, content_type = "application/problem+json")]
    Changed(Problem),
    /// The file has more than 5 MiB, or the picture too many pixels
    #[response(status = 413, content_type = "application/problem+json")]
    Large(Problem),
    /// It is not JPEG, PNG, WebP or GIF
    #[response(status = 415, content_type = "application/problem+json")]
    Kind(Problem),
    /// Too many pictures within an hour
    #[response(status = 429, content_type = "application/problem+json")]
    Many(Problem),
    /// Too busy
    #[response(status = 503, content_type = "application/problem+json")]
    Busy(Problem),
}

/// Set the own picture
///
/// JPEG, PNG, WebP or GIF, of at most 5 MiB and 8192 pixels a side. The site keeps its middle as a square, and nothing
/// else that the file holds.
#[utoipa::path(put, path = "/api/v1/users/me/avatar", operation_id = "set_avatar", tag = "users",
request_body(content = PictureFile, content_type = "image/*"), responses(
    (status = 200, description = "The account as it is now", body = Account),
    Unsuited, Refusals,
))]
pub(crate) async fn set_avatar(State(site): State<Site>, actor: Actor, body: Body) -> Result<Response, Problem> {
    actor.must(Act::OwnAccount)?;
    let key = keep(&site, &actor, body, Shape::Avatar).await?;
    show_user(&site, &actor.user.id, Some(key)).await
}

/// Take the own picture away
#[utoipa::path(delete, path = "/api/v1/users/me/avatar", operation_id = "delete_avatar", tag = "users", responses(
    (status = 200, description = "The account as it is now", body = Account),
    (status = 409, description = "It was changed at the same moment", body = Problem,
     content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn delete_avatar(State(site): State<Site>, actor: Actor) -> Result<Response, Problem> {
    actor.must(Act::OwnAccount)?;
    show_user(&site, &actor.user.id, None).await
}

/// Take somebody's picture away
///
/// Moderators do so with those of viewers and creators, administrators with all.
#[utoipa::path(delete, path = "/api/v1/users/{handle}/avatar", operation_id = "delete_avatar_of_user", tag = "admin",
params(("handle" = String, Path, description = "The account's handle")), responses(
    (status = 200, description = "The account as it is now", body = Account),
    (status = 409, description = "It was changed at the same moment", body = Problem,
     content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn delete_avatar_of_user(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Path(handle): Path<String>,
) -> Result<Response, Problem> {
    actor.must(Act::ManageUsers)?;
    let user = find(&site, &handle).await?;
    if !may_change(actor.user.role, user.role, user.role) {
        return Err(not_theirs());
    }
    let answer = show_user(&site, &user.id, None).await?;
    users::audit(&site, &actor, Action::ChangePicture, &user.handle, address).await?;
    Ok(answer)
}

/// Set a channel's picture
///
/// As the own picture is set.
#[utoipa::path(put, path = "/api/v1/channels/{handle}/avatar", operation_id = "set_channel_avatar", tag = "channels",
params(("handle" = String, Path, description = "The channel's handle")),
request_body(content = PictureFile, content_type = "image/*"), responses(
    (status = 200, description = "The channel as it is now", body = Channel),
    Unsuited, Refusals,
))]
pub(crate) async fn set_channel_avatar(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Path(handle): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    set_of_channel(&site, &actor, address, &handle, Place::Avatar, Some(body)).await
}

/// Take a channel's picture away
#[utoipa::path(delete, path = "/api/v1/channels/{handle}/avatar", operation_id = "delete_channel_avatar", tag = "channels",
params(("handle" = String, Path, description = "The channel's handle")), responses(
    (status = 200, description = "The channel as it is now", body = Channel),
    (status = 409, description = "It was changed at the same moment", body = Problem,
     content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn delete_channel_avatar(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Path(handle): Path<String>,
) -> Result<Response, Problem> {
    set_of_channel(&site, &actor, address, &handle, Place::Avatar, None).await
}

/// Set the picture at the head of a channel's page
///
/// As the own picture is set; the site keeps a strip of 4 to 1, at most 1600 pixels wide.
#[utoipa::path(put, path = "/api/v1/channels/{handle}/banner", operation_id = "set_channel_banner", tag = "channels",
params(("handle" = String, Path, description = "The channel's handle")),
request_body(content = PictureFile, content_type = "image/*"), responses(
    (status = 200, description = "The channel as it is now", body = Channel),
    Unsuited, Refusals,
))]
pub(crate) async fn set_channel_banner(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Path(handle): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    set_of_channel(&site, &actor, address, &handle, Place::Banner, Some(body)).await
}

/// Take the picture at the head of a channel's page away
#[utoipa::path(delete, path = "/api/v1/channels/{handle}/banner", operation_id = "delete_channel_banner", tag = "channels",
params(("handle" = String, Path, description = "The channel's handle")), responses(
    (status = 200, description = "The channel as it is now", body = Channel),
    (status = 409, description = "It was changed at the same moment", body = Problem,
     content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn delete_channel_banner(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Path(handle): Path<String>,
) -> Result<Response, Problem> {
    set_of_channel(&site, &actor, address, &handle, Place::Banner, None).await
}

async fn show_user(site: &Site, user: &UserId, key: Option<Key>) -> Result<Response, Problem> {
    let accounts = &site.accounts;
    let shown = async {
        let old = accounts.store.user(user).await?.ok_or(millrace_store::Error::NotFound)?;
        let change = Profile { avatar: Some(key.as_ref().map(Key::as_str)), ..Profile::default() };
        let new = accounts.store.update_profile(&old.id, old.version, &change).await?;
        Ok((old.avatar, new))
    };
    match shown.await {
        Ok((before, user)) => {
            accounts.sessions.forget(&user.id).await;
            accounts.pictures.discard(before).await;
            Ok(users::tagged(&user))
        }
        Err(error) => {
            accounts.pictures.discard(key.map(|key| key.to_string())).await;
            Err(users::failed(error))
        }
    }
}

/// Where a channel has a picture.
#[derive(Debug, Clone, Copy)]
enum Place {
    Avatar,
    Banner,
}

impl Place {
    const fn shape(self) -> Shape {
        match self {
            Self::Avatar => Shape::Avatar,
            Self::Banner => Shape::Banner,
        }
    }
}

async fn set_of_channel(
    site: &Site,
    actor: &Actor,
    address: IpAddr,
    handle: &str,
    place: Place,
    body: Option<Body>,
) -> Result<Response, Problem> {
    // Who may not change it need not send the picture.
    channels::owned(site, actor, handle, Act::ManageChannels).await?;
    let key = match body {
        Some(body) => Some(keep(site, actor, body, place.shape()).await?),
        None => None,
    };
    match show_channel(site, actor, handle, place, key.as_ref()).await {
        Ok((before, channel)) => {
            channels::changed(site, handle).await?;
            site.accounts.pictures.discard(before).await;
            if channel.owner_id != actor.user.id {
                users::audit(site, actor, Action::ChangePicture, handle, address).await?;
            }
            Ok(channels::tagged(site, channel))
        }
        Err(problem) => {
            site.accounts.pictures.discard(key.map(|key| key.to_string())).await;
            Err(problem)
        }
    }
}

/// Changes the channel, and tells which picture it had before.
async fn show_channel(
    site: &Site,
    actor: &Actor,
    handle: &str,
    place: Place,
    key: Option<&Key>,
) -> Result<(Option<String>, Row), Problem> {
    let old = channels::owned(site, actor, handle, Act::ManageChannels).await?;
    let to = Some(key.map(Key::as_str));
    let (before, change) = match place {
        Place::Avatar => (old.avatar, ChannelChange { avatar: to, ..ChannelChange::default() }),
        Place::Banner => (old.banner, ChannelChange { banner: to, ..ChannelChange::default() }),
    };
    let new = site.accounts.store.update_channel(&old.id, old.version, &change).await.map_err(channels::failed)?;
    Ok((before, new))
}

/// Keeps the picture that a request brings.
pub(super) async fn keep(site: &Site, actor: &Actor, body: Body, shape: Shape) -> Result<Key, Problem> {
    site.accounts.tries.picture(actor.user.id.as_str()).map_err(Problem::too_often)?;
    let upload = axum::body::to_bytes(body, MAX_UPLOAD).await.map_err(|error| {
        // The other reason is that the client went away, who hears of nothing.
        tracing::debug!(%error, "a picture did not arrive");
        Problem::new(ErrorCode::TooLarge, "a picture may have at most 5 MiB")
    })?;
    site.accounts.pictures.keep(upload.into(), shape).await.map_err(|unfit| match unfit {
        Unfit::Kind => Problem::new(ErrorCode::UnsupportedMedia, unfit.to_string()),
        Unfit::Large => Problem::new(ErrorCode::TooLarge, unfit.to_string()),
        Unfit::Damaged => Problem::new(ErrorCode::BadRequest, unfit.to_string()),
        Unfit::Busy(busy) => Problem::busy(&busy),
        Unfit::Objects(error) => {
            tracing::error!(%error, "a picture could not be stored");
            Problem::with_status(
                StatusCode::INTERNAL_SERVER_ERROR,
                ErrorCode::Internal,
                "the picture could not be stored",
            )
        }
    })
}
