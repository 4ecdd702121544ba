//! Videos that are made, changed, and tried again.

use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use millrace_store::{
    Action, At, Error, NewUpload, NewVideo as New, Review, Upload as UploadRow, Video as Row, VideoChange as Change,
    Visibility,
};
use millrace_vod::jobs::OpenVideo;
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::view::{Video, VideoVisibility};
use super::{changeable, failed, show};
use crate::accounts::permissions::{Act, may};
use crate::accounts::rules::incorrect;
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::api::body::Body;
use crate::api::channels;
use crate::api::refusals::Refusals;
use crate::api::users::{audit, version};
use crate::channels::rules as channel_rules;
use crate::settings::ReviewMode;
use crate::videos::rules;
use crate::{ErrorCode, Problem, Site};

/// What is said of a video that is to be uploaded.
#[derive(Debug, Default)]
pub(crate) struct NewVideo {
    channel: Option<String>,
    title: Option<String>,
    description: Option<String>,
    language: Option<String>,
    category: Option<String>,
    visibility: Option<VideoVisibility>,
    file_name: String,
}

impl NewVideo {
    /// Takes one thing that is said of it, by its name.
    pub(in crate::api) fn say(&mut self, name: &str, value: String) -> Result<(), Problem> {
        match name {
            "channel" => self.channel = Some(value),
            "title" => self.title = Some(value),
            "description" => self.description = Some(value),
            "language" => self.language = Some(value),
            "category" => self.category = Some(value),
            "filename" => self.file_name = rules::file_name(&value),
            "visibility" => {
                self.visibility = Some(match value.as_str() {
                    "public" => VideoVisibility::Public,
                    "unlisted" => VideoVisibility::Unlisted,
                    "private" => VideoVisibility::Private,
                    _ => return Err(incorrect("visibility of a new video must be public, unlisted or private")),
                });
            }
            _ => {} // what other programs say of their files harms nobody
        }
        Ok(())
    }
}

/// Makes a video whose file is still to come, and its upload.
pub(in crate::api) async fn make(
    site: &Site,
    actor: &Actor,
    new: &NewVideo,
    upload: &NewUpload<'_>,
) -> Result<(Row, UploadRow), Problem> {
    let store = &site.accounts.store;
    let channel = match &new.channel {
        Some(handle) => channels::owned(site, actor, &handle.to_lowercase(), Act::ManageVideos).await?,
        None => {
            let own = store.channels_of(&actor.user.id).await.map_err(Problem::database)?;
            own.into_iter().next().ok_or_else(|| Problem::new(ErrorCode::Conflict, "make a channel first"))?
        }
    };
    let title = new.title.clone().unwrap_or_else(|| rules::title_of_file(&new.file_name));
    let title = channel_rules::title(&title).map_err(incorrect)?;
    let description = new.description.as_deref().unwrap_or_default();
    let description = channel_rules::description(description).map_err(incorrect)?;
    let language = channel_rules::language(new.language.as_deref().unwrap_or_default()).map_err(incorrect)?;
    let category = channel_rules::category(new.category.as_deref().unwrap_or_default()).map_err(incorrect)?;
    let search_text = channel_rules::search_text(&channel.handle, title, description, "[]");
    let short_id = rules::new_short_id();
    let video = New {
        short_id: &short_id,
        channel_id: &channel.id,
        title,
        description,
        language,
        category,
        tags: "[]",
        search_text: &search_text,
        visibility: new.visibility.map_or(Visibility::Private, Into::into),
        password_hash: None,
        publish_at: None,
        review: review_of(site, actor).await?,
        file_name: &new.file_name,
    };
    store.create_upload(&video, upload).await.map_err(failed)
}

/// Whether a new video of somebody waits for moderators.
async fn review_of(site: &Site, actor: &Actor) -> Result<Review, Problem> {
    let trusted = may(actor.user.role, Act::ManageVideos);
    let needed = match site.accounts.settings.now().review {
        _ if trusted => false,
        ReviewMode::Off => false,
        ReviewMode::All => true,
        ReviewMode::New => {
            let approved = site.accounts.store.approved_videos_of(&actor.user.id).await;
            approved.map_err(Problem::database)? == 0
        }
    };
    Ok(if needed { Review::Pending } else { Review::None })
}

/// What is changed of a video; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VideoChange {
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
    visibility: Option<VideoVisibility>,
    /// The password to watch with, where `visibility` is `password`: at least 4 characters.
    #[schema(min_length = 4, max_length = 512)]
    password: Option<String>,
    /// When it is to be published: until then only its owner watches.
    #[serde(default, with = "time::serde::rfc3339::option")]
    publish_at: Option<OffsetDateTime>,
    /// Whether a time to be published is forgotten: it is published at once, as `visibility` says.
    publish_now: Option<bool>,
    /// Whether viewers may keep a copy.
    downloadable: Option<bool>,
    /// Whether viewers may comment.
    comments_open: Option<bool>,
}

/// Change a video
///
/// `If-Match` names the version that was read. One that moderators sent back for changes waits for them anew.
#[utoipa::path(patch, path = "/api/v1/videos/{id}", operation_id = "update_video", tag = "videos",
request_body = VideoChange, params(
    ("id" = String, Path, description = "The video's id"),
    ("If-Match" = String, Header, description = "The `ETag` of the video as it was read", example = "\"1\""),
), responses(
    (status = 200, description = "The video as it is now", body = Video),
    (status = 409, description = "It was changed meanwhile", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too busy", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn update(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<String>,
    Body(body): Body<VideoChange>,
) -> Result<Response, Problem> {
    let known = changeable(&site, &actor, &id).await?;
    let old = known.video();
    let version = version(&headers)?;
    let title = body.title.as_deref().map(channel_rules::title).transpose().map_err(incorrect)?;
    let description = body.description.as_deref().map(channel_rules::description).transpose().map_err(incorrect)?;
    let language = body.language.as_deref().map(channel_rules::language).transpose().map_err(incorrect)?;
    let category = body.category.as_deref().map(channel_rules::category).transpose().map_err(incorrect)?;
    let tags = body.tags.as_deref().map(channel_rules::tags).transpose().map_err(incorrect)?;
    let visibility = body.visibility.map(Visibility::from);
    let password_hash = match body.password {
        Some(password) => Some(channels::hashed(&site, password).await?),
        None => None,
    };
    if visibility == Some(Visibility::Password) && password_hash.is_none() && old.password_hash.is_none() {
        return Err(incorrect("viewers' password is missing: say which one they need"));
    }
    let publish_at = match (body.publish_at, body.publish_now) {
        (Some(_), Some(true)) => return Err(incorrect("publish_at and publish_now exclude each other")),
        (Some(at), _) => Some(Some(rules::publish_at(at.into(), At::now()).map_err(incorrect)?)),
        (None, Some(true)) => Some(None),
        (None, _) => None,
    };
    let search_text = channel_rules::search_text(
        &known.channel.handle,
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
        search_text: Some(&search_text),
        visibility,
        password_hash: password_hash.as_deref().map(Some),
        publish_at,
        downloadable: body.downloadable,
        comments_open: body.comments_open,
        review: (old.review == Review::Changes && actor.user.id == *known.owner()).then_some(Review::Pending),
        ..Change::default()
    };
    site.accounts.store.update_video(&old.id, version, &change).await.map_err(failed)?;
    if actor.user.id != *known.owner() {
        audit(&site, &actor, Action::ChangeVideo, &id, address).await?;
    }
    show(&site, &id).await
}

/// Make a video again
///
/// One that failed is tried again from its beginning. Of one that is ready, what it lacks is made: pictures, and sizes that the
/// site has.
#[utoipa::path(post, path = "/api/v1/videos/{id}/retry", operation_id = "retry_video", tag = "videos",
params(("id" = String, Path, description = "The video's id")), responses(
    (status = 200, description = "The video as it is now", body = Video),
    (status = 409, description = "It is being worked on, still on its way, or in the trash", body = Problem,
     content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn retry(State(site): State<Site>, actor: Actor, Path(id): Path<String>) -> Result<Response, Problem> {
    let known = changeable(&site, &actor, &id).await?;
    let done = site.accounts.store.retry_video(&known.video().id, &OpenVideo::of(&id)).await;
    done.map_err(|error| match error {
        Error::Changed => {
            Problem::new(ErrorCode::Conflict, "this video is being worked on, still on its way, or in the trash")
        }
        other => failed(other),
    })?;
    show(&site, &id).await
}
