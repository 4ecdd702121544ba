//! What its owner adds to a video: the picture that stands for it, and captions.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, header};
use millrace_objects::Key;
use millrace_store::{Error, FileKind, NewFile, VideoId};
use millrace_transcode::captions::{Captions, CaptionsError};
use serde::Deserialize;
use utoipa::ToSchema;

use super::pictures::{PictureFile, Unsuited, keep};
use super::refusals::Refusals;
use super::uploads::FileBytes;
use super::videos::{Video, changeable, failed, show};
use crate::accounts::rules::incorrect;
use crate::accounts::sessions::Actor;
use crate::channels::rules as channel_rules;
use crate::pictures::Shape;
use crate::{ErrorCode, Problem, Site};

/// One of the pictures that were taken from a video.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ThumbnailChoice {
    /// Its number in `media.thumbnails`, from 0.
    #[schema(maximum = 15)]
    choice: u8,
}

/// Set the picture that stands for a video
///
/// One of those that were taken from it, or a file: JPEG, PNG, WebP or GIF, of at most 5 MiB and 8192 pixels a side, of
/// which the site keeps the middle in 16 to 9.
#[utoipa::path(put, path = "/api/v1/videos/{id}/thumbnail", operation_id = "set_thumbnail", tag = "videos",
params(("id" = String, Path, description = "The video's id")),
request_body(content((ThumbnailChoice = "application/json"), (PictureFile = "image/*"))), responses(
    (status = 200, description = "The video as it is now", body = Video),
    Unsuited, Refusals,
))]
pub(crate) async fn set_thumbnail(
    State(site): State<Site>,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let known = changeable(&site, &actor, &id).await?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (key, size) = if kind.starts_with("application/json") {
        let bytes = axum::body::to_bytes(body, MAX_CHOICE).await.map_err(|_| incorrect("the body is too large"))?;
        let chosen: ThumbnailChoice =
            serde_json::from_slice(&bytes).map_err(|error| Problem::new(ErrorCode::BadRequest, error.to_string()))?;
        let file = known.file(FileKind::Thumbnail, &chosen.choice.to_string());
        let file = file.ok_or_else(|| incorrect("choice is not one of the video's pictures"))?;
        let key = Key::parse(&file.object_key).ok_or_else(|| incorrect("this picture cannot be read"))?;
        copy(&site, &key).await?
    } else {
        let key = keep(&site, &actor, body, Shape::Thumbnail).await?;
        let size = site.accounts.videos.vod().objects().size(&key).await.map_err(storage)?;
        (key, size)
    };
    let media_type = if key.extension() == "webp" { "image/webp" } else { "image/jpeg" };
    put(&site, &known.video().id, FileKind::Poster, "", (&key, size, media_type)).await?;
    show(&site, &id).await
}

async fn copy(site: &Site, key: &Key) -> Result<(Key, u64), Problem> {
    let objects = site.accounts.videos.vod().objects();
    let blob = objects.blob(key).await.map_err(storage)?;
    let bytes = blob.read(0..blob.size()).await.map_err(storage)?;
    let copied = objects.put("jpg", bytes).await.map_err(storage)?;
    Ok((copied, blob.size()))
}

/// Answers of operations that take captions.
#[derive(utoipa::IntoResponses)]
#[allow(dead_code)] // described, never made: handlers answer with a `Problem`
pub(crate) enum Unreadable {
    /// There are captions in as many languages as there may be
    #[response(status = 409, content_type = "application/problem+json")]
    Many(Problem),
    /// The file is too large
    #[response(status = 413, content_type = "application/problem+json")]
    Large(Problem),
    /// It is neither WebVTT nor SubRip: says what is wrong, and in which line
    #[response(status = 415, content_type = "application/problem+json")]
    Kind(Problem),
}

/// Set a video's captions in one language
///
/// WebVTT or SubRip (`.srt`), in UTF-8, UTF-16 or GB18030. The site keeps WebVTT.
#[utoipa::path(put, path = "/api/v1/videos/{id}/captions/{language}", operation_id = "set_captions", tag = "videos",
params(
    ("id" = String, Path, description = "The video's id"),
    ("language" = String, Path, description = "A BCP 47 tag"),
), request_body(content = FileBytes, content_type = "text/vtt"), responses(
    (status = 200, description = "The video as it is now", body = Video),
    Unreadable, Refusals,
))]
pub(crate) async fn set_captions(
    State(site): State<Site>,
    actor: Actor,
    Path((id, language)): Path<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    let known = changeable(&site, &actor, &id).await?;
    let language = spoken(&language)?;
    let others = known.files_of(FileKind::Caption).filter(|file| file.name != language).count();
    if others >= MAX_CAPTIONS {
        return Err(Problem::new(ErrorCode::Conflict, "there are captions in as many languages as there may be"));
    }
    let bytes = axum::body::to_bytes(body, MAX_CAPTION_BYTES).await.map_err(|_| too_large())?;
    let captions = Captions::parse(&bytes).map_err(|error| match error {
        CaptionsError::TooLarge => too_large(),
        other => Problem::new(ErrorCode::UnsupportedMedia, other.to_string()),
    })?;
    let text = captions.to_webvtt();
    let size = text.len() as u64;
    let key = site.accounts.videos.vod().objects().put("vtt", text).await.map_err(storage)?;
    let file = (&key, size, "text/vtt; charset=utf-8");
    put(&site, &known.video().id, FileKind::Caption, language, file).await?;
    show(&site, &id).await
}

/// Take a video's captions in one language away
#[utoipa::path(delete, path = "/api/v1/videos/{id}/captions/{language}", operation_id = "delete_captions", tag = "videos",
params(
    ("id" = String, Path, description = "The video's id"),
    ("language" = String, Path, description = "A BCP 47 tag"),
), responses(
    (status = 200, description = "The video as it is now", body = Video),
    Refusals,
))]
pub(crate) async fn delete_captions(
    State(site): State<Site>,
    actor: Actor,
    Path((id, language)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let known = changeable(&site, &actor, &id).await?;
    let deleted = site.accounts.store.delete_file(&known.video().id, FileKind::Caption, spoken(&language)?).await;
    deleted.map_err(|error| match error {
        Error::NotFound => Problem::new(ErrorCode::NotFound, "there are no captions in that language"),
        other => Problem::database(other),
    })?;
    show(&site, &id).await
}

/// A language that is said. It becomes part of an address.
fn spoken(language: &str) -> Result<&str, Problem> {
    match channel_rules::language(language).map_err(incorrect)? {
        "" => Err(incorrect("language must be a language tag such as en or zh-CN")),
        language => Ok(language),
    }
}

async fn put(
    site: &Site,
    video: &VideoId,
    kind: FileKind,
    name: &str,
    (key, size, media_type): (&Key, u64, &str),
) -> Result<(), Problem> {
    let object_key = key.as_str();
    let file = NewFile { kind, name, object_key, size, media_type, width: 0, height: 0, details: "" };
    site.accounts.store.put_files(video, &[file]).await.map_err(failed)
}

fn too_large() -> Problem {
    Problem::new(ErrorCode::TooLarge, "the captions are too large")
}

fn storage(error: millrace_objects::Error) -> Problem {
    tracing::error!(%error, "a file of a video could not be kept or read");
    Problem::new(ErrorCode::Unavailable, "files cannot be kept at present; try again later")
}

const MAX_CHOICE: usize = 1024;
/// Larger than any that is read, which is told in words.
const MAX_CAPTION_BYTES: usize = 16 << 20;
/// Languages of captions of one video.
const MAX_CAPTIONS: usize = 50;
