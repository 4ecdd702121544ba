//! Uploads that can go on where they stopped: tus 1.0 (<https://tus.io/protocols/resumable-upload>) with its extensions
//! creation, creation-with-upload, expiration, checksum and termination.

use std::collections::HashSet;

use axum::Json;
use axum::body::Body;
use axum::extract::multipart::{MultipartError, MultipartRejection};
use axum::extract::{DefaultBodyLimit, Multipart, Path, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use millrace_store::{At, NewUpload, Upload as Row, UploadId};
use millrace_vod::{AppendError, Checksum};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::refusals::Refusals;
use super::videos::{NewVideo, Video, make};
use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::videos::intake::no_upload;
use crate::{ErrorCode, Problem, Site};

/// Bytes of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code)] // described, never made: handlers read the body as it comes
pub(crate) struct FileBytes(Vec<u8>);

/// Refusals of uploads, beside those of everything.
#[derive(utoipa::IntoResponses)]
#[allow(dead_code)] // described, never made: handlers answer with a `Problem`
pub(crate) enum NotTaken {
    /// The sender stopped in between; what came is kept
    #[response(status = 408, content_type = "application/problem+json")]
    Stopped(Problem),
    /// What was sent begins elsewhere than where the upload ends, or there are as many uploads as there may be
    #[response(status = 409, content_type = "application/problem+json")]
    Place(Problem),
    /// The request is not of tus 1.0.0
    #[response(status = 412, content_type = "application/problem+json")]
    Version(Problem),
    /// The file is larger than is taken, or than what is left of the account's quota
    #[response(status = 413, content_type = "application/problem+json")]
    Large(Problem),
    /// It is not a video
    #[response(status = 415, content_type = "application/problem+json")]
    Kind(Problem),
    /// The bytes do not agree with their checksum; none of them are kept
    #[response(status = 460, content_type = "application/problem+json")]
    Checksum(Problem),
    /// The disk is full
    #[response(status = 503, content_type = "application/problem+json")]
    Full(Problem),
}

/// The operations of uploads.
pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(options, create))
        .routes(routes!(head, patch, delete))
        // What is not known is said in tus as well.
        .route("/api/v1/uploads", any(async || not_known("uploads take POST and OPTIONS")))
        .route("/api/v1/uploads/{id}", any(overridden))
        .layer(from_fn(speak_tus))
        // A file is as large as it is: bytes are counted as they come.
        .merge(
            OpenApiRouter::new()
                .routes(routes!(super::videos::shown::list, create_video))
                .layer(DefaultBodyLimit::disable()),
        )
}

/// What this server knows of tus
#[utoipa::path(options, path = "/api/v1/uploads", operation_id = "upload_options", tag = "videos", responses(
    (status = 204, description = "`Tus-Version`, `Tus-Extension`, `Tus-Max-Size`, `Tus-Checksum-Algorithm`"),
    (status = 503, description = "No uploads are taken", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn options(State(site): State<Site>) -> Result<Response, Problem> {
    let most = site.accounts.videos.intake()?.config.max_size;
    let extensions = "creation,creation-with-upload,expiration,checksum,termination";
    let headers = [(EXTENSION, extensions), (ALGORITHMS, Checksum::ALGORITHMS), (VERSION, TUS)];
    let mut response = (StatusCode::NO_CONTENT, headers).into_response();
    response.headers_mut().insert(MAX_SIZE, most.into());
    Ok(response)
}

/// Begin an upload
///
/// By tus 1.0. `Upload-Metadata` may have, each in base64: `filename`, `channel` (a handle; the only or oldest channel where
/// it is left out), `title`, `description`, `language`, `category`, `visibility` (`private` where it is left out), and
/// `fingerprint`, which is kept for the sender. A body of `application/offset+octet-stream` is its first bytes. `Location` is where the rest goes, `Millrace-Video` the id of the
/// video that it becomes.
#[utoipa::path(post, path = "/api/v1/uploads", operation_id = "create_upload", tag = "videos",
request_body(content = Option<FileBytes>, content_type = "application/offset+octet-stream"), params(
    ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
    ("Upload-Length" = u64, Header, description = "Bytes of the whole file"),
    ("Upload-Metadata" = Option<String>, Header, description = "Names and values of what is said of it"),
), responses(
    (status = 201, description = "It may come: see `Location`"),
    NotTaken, Refusals,
))]
pub(crate) async fn create(
    State(site): State<Site>,
    actor: Actor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    actor.must(Act::OwnChannels)?;
    of_this_version(&headers)?;
    if headers.contains_key("upload-concat") {
        return Err(incorrect("parts are not put together here: send one piece after the other"));
    }
    let videos = &site.accounts.videos;
    let length = number(&headers, &LENGTH)?.ok_or_else(|| incorrect("Upload-Length is missing: say how many bytes"))?;
    let with_bytes = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == OFFSET_STREAM.as_bytes());
    let metadata = headers.get(METADATA).map(HeaderValue::to_str).transpose();
    let metadata = metadata.map_err(|_| incorrect("Upload-Metadata must be names and base64"))?.unwrap_or_default();
    let (new, checksum) = (described(metadata)?, checksum(&headers)?);
    videos.admit(&actor.user, Some(length)).await?;
    if length == 0 {
        return Err(Problem::new(ErrorCode::UnsupportedMedia, "the file is empty"));
    }
    if with_bytes {
        fits(&headers, 0, length)?;
    }
    let (upload, short_id) = begin(&site, &actor, &new, length, metadata).await?;
    let received = match with_bytes {
        true => match videos.take(&upload, 0, checksum, body.into_data_stream()).await {
            Ok(received) => received,
            // Nobody is told where it is: what begins anew would leave this behind.
            Err(problem) => {
                videos.give_up(&upload.id).await?;
                return Err(problem);
            }
        },
        false => 0,
    };
    let mut response = StatusCode::CREATED.into_response();
    let answer = response.headers_mut();
    answer.insert(header::LOCATION, text(&format!("/api/v1/uploads/{}", upload.id)));
    answer.insert(VIDEO, text(&short_id));
    answer.insert(OFFSET, received.into());
    answer.insert(EXPIRES, http_date(upload.expires_at));
    Ok(response)
}

/// Begins an upload of `length` bytes, with the video that it becomes.
pub(super) async fn begin(
    site: &Site,
    actor: &Actor,
    new: &NewVideo,
    length: u64,
    metadata: &str,
) -> Result<(Row, String), Problem> {
    let intake = site.accounts.videos.intake()?;
    let upload = NewUpload {
        user_id: &actor.user.id,
        length: i64::try_from(length).unwrap_or(i64::MAX),
        metadata,
        expires_at: intake.expires_at(At::now()),
        most: MAX_UPLOADS,
        quota: intake.config.quota.map_or(i64::MAX, |quota| i64::try_from(quota).unwrap_or(i64::MAX)),
    };
    let (video, upload) = make(site, actor, new, &upload).await?;
    if let Err(error) = intake.staging.begin(&upload.id).await {
        tracing::error!(%error, "an upload cannot be begun");
        site.accounts.store.delete_upload(&upload.id).await.map_err(Problem::database)?;
        return Err(Problem::new(ErrorCode::Unavailable, "uploads cannot be kept at present; try again later"));
    }
    Ok((upload, video.short_id))
}

/// Ask how far an upload is
///
/// By tus 1.0. `Upload-Offset` is where to go on; once it is `Upload-Length`, the file is received and safe. Whoever sends the
/// same upload at that moment is stopped, so that it holds.
#[utoipa::path(head, path = "/api/v1/uploads/{id}", operation_id = "get_upload", tag = "videos",
params(("id" = String, Path, description = "The upload's id")), responses(
    (status = 200, description = "`Upload-Offset` and `Upload-Length`"),
    NotTaken, Refusals,
))]
pub(crate) async fn head(
    State(site): State<Site>,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    of_this_version(&headers)?;
    let upload = own(&site, &actor, &id).await?;
    // Bytes of a connection that broke may still be on their way to the disk.
    site.accounts.videos.intake()?.staging.interrupt(&upload.id).await;
    let received = received(&site, &upload).await?;
    let mut response = [(header::CACHE_CONTROL, "no-store")].into_response();
    let answer = response.headers_mut();
    answer.insert(OFFSET, received.into());
    answer.insert(LENGTH, u64::try_from(upload.length).unwrap_or(0).into());
    answer.insert(EXPIRES, http_date(upload.expires_at));
    if let Ok(metadata) = HeaderValue::from_str(&upload.metadata)
        && !metadata.is_empty()
    {
        answer.insert(METADATA, metadata);
    }
    Ok(response)
}

/// Send more of an upload
///
/// By tus 1.0, from `Upload-Offset` on. Whoever sends the same upload at that moment is stopped. `Upload-Checksum` (`sha1` or
/// `sha256`) is compared with what comes.
#[utoipa::path(patch, path = "/api/v1/uploads/{id}", operation_id = "continue_upload", tag = "videos",
request_body(content = FileBytes, content_type = "application/offset+octet-stream"), params(
    ("id" = String, Path, description = "The upload's id"),
    ("Upload-Offset" = u64, Header, description = "Where the bytes begin: as many as have come"),
    ("Upload-Checksum" = Option<String>, Header, description = "`sha1 ` or `sha256 `, and base64"),
), responses(
    (status = 204, description = "They are kept: `Upload-Offset` is where to go on"),
    NotTaken, Refusals,
))]
pub(crate) async fn patch(
    State(site): State<Site>,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    of_this_version(&headers)?;
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes() != OFFSET_STREAM.as_bytes()) {
        let words = "the body's Content-Type must be application/offset+octet-stream";
        return Err(Problem::new(ErrorCode::UnsupportedMedia, words));
    }
    let offset = number(&headers, &OFFSET)?.ok_or_else(|| incorrect("Upload-Offset is missing: say where to go on"))?;
    let checksum = checksum(&headers)?;
    let upload = own(&site, &actor, &id).await?;
    let length = u64::try_from(upload.length).unwrap_or(0);
    fits(&headers, offset, length)?;
    let videos = &site.accounts.videos;
    let received = if upload.done_at.is_some() || upload.object_key.is_some() {
        // All of it is here: whoever did not hear that asks once more.
        if offset != length {
            let words = format!("the upload has {length} bytes, and what was sent begins at another place");
            return Err(Problem::new(ErrorCode::Conflict, words));
        }
        length
    } else {
        videos.take(&upload, offset, checksum, body.into_data_stream()).await?
    };
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(OFFSET, received.into());
    response.headers_mut().insert(EXPIRES, http_date(videos.intake()?.expires_at(At::now())));
    Ok(response)
}

/// A video and its file.
#[derive(ToSchema)]
#[allow(dead_code)] // described, never made: the handler reads the parts as they come
pub(crate) struct VideoForm {
    /// The channel's handle; the only or oldest one where it is left out.
    channel: Option<String>,
    /// Its name for people; its file's name where it is left out.
    title: Option<String>,
    /// What it is about.
    description: Option<String>,
    /// `public`, `unlisted` or `private`, which it is where it is left out.
    visibility: Option<String>,
    /// The file, after all others.
    #[schema(format = Binary)]
    file: String,
}

/// Upload a video in one go
///
/// For scripts and forms, on lines that do not break: `file` comes last, and a field after it is refused. A browser's form is led
/// to the video's page in the studio.
#[utoipa::path(post, path = "/api/v1/videos", operation_id = "create_video", tag = "videos",
request_body(content = VideoForm, content_type = "multipart/form-data"), responses(
    (status = 201, description = "It is received", body = Video),
    (status = 303, description = "It is received, and seen to in the studio"),
    NotTaken, Refusals,
))]
pub(crate) async fn create_video(
    State(site): State<Site>,
    actor: Actor,
    headers: HeaderMap,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    actor.must(Act::OwnChannels)?;
    let mut form = form.map_err(|rejection| incorrect(&rejection.body_text()))?;
    let videos = &site.accounts.videos;
    // What comes around the file is little: it is the file's own length that counts where it comes near the limit.
    let largest = videos.intake()?.config.max_size;
    let length = number(&headers, &header::CONTENT_LENGTH)?.map(|length| match length.checked_sub(largest) {
        Some(..=AROUND_A_FILE) => largest,
        _ => length,
    });
    let length = videos.admit(&actor.user, length).await?;
    let broken = |error: MultipartError| incorrect(&error.body_text());
    let mut new = NewVideo::default();
    while let Some(mut field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name != "file" {
            let mut text = Vec::new();
            while let Some(bytes) = field.chunk().await.map_err(broken)? {
                text.extend_from_slice(&bytes);
                if text.len() > MAX_METADATA {
                    return Err(incorrect("a field of the form has more than 16 KiB"));
                }
            }
            let text = String::from_utf8(text).map_err(|_| incorrect("the form's fields must be UTF-8"))?;
            if text.contains('\0') {
                return Err(incorrect("the form has a NUL in a text"));
            }
            if !text.is_empty() {
                new.say(&name, text)?;
            }
            continue;
        }
        new.say("filename", field.file_name().unwrap_or_default().to_owned())?;
        let (upload, short_id) = begin(&site, &actor, &new, length, "").await?;
        let received = videos.take_whole(&upload, field).await?;
        // The video is there: what is said of it only now would be lost, so that it is refused.
        let late = match form.next_field().await {
            Ok(late) => late.map(|late| after_the_file(late.name().unwrap_or_default())),
            Err(error) => Some(broken(error)),
        };
        if let Some(problem) = late {
            videos.give_up(&upload.id).await?;
            return Err(problem);
        }
        videos.receive_taken(&upload, received).await?;
        let known = videos.read(&short_id).await.map_err(Problem::database)?.ok_or_else(super::videos::none)?;
        let accepts = headers.get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok()).unwrap_or_default();
        if accepts.contains("text/html") {
            let place = [(header::LOCATION, format!("/studio/videos/{short_id}"))];
            return Ok((StatusCode::SEE_OTHER, place).into_response());
        }
        return Ok((StatusCode::CREATED, Json(Video::own(&site, &known).await?)).into_response());
    }
    Err(incorrect("the form has no file: send it as `file`, after the other fields"))
}

fn after_the_file(name: &str) -> Problem {
    incorrect(&format!("fields come before the file: send {name:?} before `file`"))
}

/// Give an upload up
///
/// What came of it is deleted, and so is the video that it was to become. One that was received stays.
#[utoipa::path(delete, path = "/api/v1/uploads/{id}", operation_id = "delete_upload", tag = "videos",
params(("id" = String, Path, description = "The upload's id")), responses(
    (status = 204, description = "It is gone"),
    (status = 409, description = "It was received a moment ago, and is on its way to its place", body = Problem,
     content_type = "application/problem+json"),
    (status = 412, description = "The request is not of tus 1.0.0", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn delete(
    State(site): State<Site>,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    of_this_version(&headers)?;
    let upload = own(&site, &actor, &id).await?;
    match site.accounts.videos.give_up(&upload.id).await? {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(Problem::new(ErrorCode::Conflict, "the upload was received; delete its video instead")),
    }
}

/// Takes the place of other methods for those who can send none but POST (tus 1.0, X-HTTP-Method-Override).
pub(crate) async fn overridden(
    state: State<Site>,
    actor: Actor,
    method: Method,
    headers: HeaderMap,
    path: Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    // What browsers take for harmless stays so.
    let meant = headers.get("x-http-method-override").filter(|_| method == Method::POST);
    match meant.map(HeaderValue::as_bytes) {
        Some(b"PATCH") => patch(state, actor, headers, path, body).await,
        Some(b"DELETE") => delete(state, actor, headers, path).await,
        Some(b"HEAD") => head(state, actor, headers, path).await,
        _ => Err(not_known("an upload takes PATCH, HEAD and DELETE; POST with X-HTTP-Method-Override")),
    }
}

fn not_known(words: &'static str) -> Problem {
    Problem::with_status(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::BadRequest, words)
}

/// An upload that is on its way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Upload {
    /// Its id: it goes on at `/api/v1/uploads/{id}`.
    id: String,
    /// Bytes that are here.
    pub(crate) received: u64,
    /// Bytes of the whole file.
    pub(crate) length: u64,
    /// When it is given up unless more comes.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

impl Upload {
    pub(super) async fn of(site: &Site, row: &Row) -> Result<Self, Problem> {
        Ok(Self {
            id: row.id.to_string(),
            received: received(site, row).await?,
            length: u64::try_from(row.length).unwrap_or(0),
            expires_at: row.expires_at.into(),
        })
    }
}

/// The own uploads.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnUploads {
    /// The oldest first.
    items: Vec<OwnUpload>,
}

/// An own upload, with its video.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnUpload {
    #[serde(flatten)]
    upload: Upload,
    /// What the file is called where it comes from.
    file_name: String,
    /// The video that it becomes.
    video: String,
    /// What `Upload-Metadata` said under `fingerprint`, by which the sender knows the file again; empty where it said nothing.
    fingerprint: String,
}

/// List the own uploads that are on their way
#[utoipa::path(get, path = "/api/v1/users/me/uploads", operation_id = "list_own_uploads", tag = "videos", responses(
    (status = 200, description = "The uploads", body = OwnUploads),
    Refusals,
))]
pub(crate) async fn mine(State(site): State<Site>, actor: Actor) -> Result<Json<OwnUploads>, Problem> {
    actor.must(Act::OwnChannels)?;
    let store = &site.accounts.store;
    let mut items = Vec::new();
    for row in store.uploads_of(&actor.user.id).await.map_err(Problem::database)? {
        let Some(video) = store.video(&row.video_id).await.map_err(Problem::database)? else { continue };
        let upload = Upload::of(&site, &row).await?;
        // What an older version took may be said otherwise than is taken now: then it is not known again, and no more.
        let said = said(&row.metadata).unwrap_or_default().into_iter().find(|(name, _)| *name == "fingerprint");
        let fingerprint = said.map(|(_, value)| value).unwrap_or_default();
        items.push(OwnUpload { upload, file_name: video.file_name, video: video.short_id, fingerprint });
    }
    Ok(Json(OwnUploads { items }))
}

async fn own(site: &Site, actor: &Actor, id: &str) -> Result<Row, Problem> {
    actor.must(Act::OwnChannels)?;
    let id: UploadId = id.parse().map_err(|_| no_upload())?;
    let upload = site.accounts.store.upload(&id).await.map_err(Problem::database)?;
    upload.filter(|upload| upload.user_id == actor.user.id).ok_or_else(no_upload)
}

async fn received(site: &Site, upload: &Row) -> Result<u64, Problem> {
    if upload.done_at.is_some() || upload.object_key.is_some() {
        return Ok(u64::try_from(upload.length).unwrap_or(0));
    }
    let staging = &site.accounts.videos.intake()?.staging;
    let received = staging.received(&upload.id).await.map_err(|error| {
        tracing::error!(%error, "an upload cannot be read");
        Problem::new(ErrorCode::Internal, "the upload cannot be read at present; try again later")
    })?;
    received.ok_or_else(no_upload)
}

/// Refuses a body that goes beyond the upload's end, where it says how long it is: before it is sent.
fn fits(headers: &HeaderMap, offset: u64, length: u64) -> Result<(), Problem> {
    let coming = number(headers, &header::CONTENT_LENGTH)?.unwrap_or(0);
    if offset > length || coming <= length - offset {
        return Ok(());
    }
    Err(Problem::new(ErrorCode::TooLarge, AppendError::TooLong.to_string()))
}

/// What `Upload-Metadata` says of the video: pairs of a name and base64, which may be left out.
fn described(metadata: &str) -> Result<NewVideo, Problem> {
    if metadata.len() > MAX_METADATA {
        return Err(incorrect("Upload-Metadata has more than 16 KiB"));
    }
    let mut new = NewVideo::default();
    for (name, value) in said(metadata)? {
        new.say(name, value)?;
    }
    Ok(new)
}

/// Names and values of an `Upload-Metadata`.
fn said(metadata: &str) -> Result<Vec<(&str, String)>, Problem> {
    let mut names = HashSet::new();
    let pairs = metadata.split(',').map(str::trim).filter(|_| !metadata.trim().is_empty());
    let read = |pair| {
        let (name, value) = str::split_once(pair, ' ').unwrap_or((pair, ""));
        if name.is_empty() || !names.insert(name) {
            return Err(incorrect("Upload-Metadata must say each name once"));
        }
        let value = STANDARD.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let value = value.ok_or_else(|| incorrect("Upload-Metadata must be names and base64 of UTF-8"))?;
        if value.contains('\0') {
            return Err(incorrect("Upload-Metadata has a NUL in a text"));
        }
        Ok((name, value))
    };
    pairs.map(read).collect()
}

fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Problem> {
    let Some(value) = headers.get("upload-checksum") else { return Ok(None) };
    let checksum = value.to_str().ok().and_then(|text| Checksum::parse(text).ok());
    checksum.map(Some).ok_or_else(|| incorrect(&millrace_vod::UnknownChecksum.to_string()))
}

fn of_this_version(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(RESUMABLE).is_some_and(|version| version == TUS) {
        return Ok(());
    }
    let words = "Tus-Resumable must be 1.0.0";
    Err(Problem::with_status(StatusCode::PRECONDITION_FAILED, ErrorCode::BadRequest, words))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let digits = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let digits = value.to_str().ok().filter(digits);
    let digits = digits.ok_or_else(|| incorrect(&format!("{name} must be a number of bytes")))?;
    // What is more than can be counted is too much, as any number that is too large.
    Ok(Some(digits.parse().unwrap_or(u64::MAX)))
}

/// Middleware: says in every answer which tus is spoken.
async fn speak_tus(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let refused = response.status() == StatusCode::PRECONDITION_FAILED;
    let answer = response.headers_mut();
    answer.insert(RESUMABLE, HeaderValue::from_static(TUS));
    if refused {
        answer.insert(VERSION, HeaderValue::from_static(TUS));
    }
    response
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("ids have plain letters")
}

/// A date as HTTP writes it (RFC 9110 §5.6.7).
fn http_date(at: At) -> HeaderValue {
    let time = OffsetDateTime::from(at);
    let (day, month) = (time.weekday().to_string(), time.month().to_string());
    let date = format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        &day[..3],
        time.day(),
        &month[..3],
        time.year(),
        time.hour(),
        time.minute(),
        time.second()
    );
    text(&date)
}

fn incorrect(words: &str) -> Problem {
    Problem::new(ErrorCode::BadRequest, words.to_owned())
}

/// The version of tus that is spoken.
const TUS: &str = "1.0.0";
const OFFSET_STREAM: &str = "application/offset+octet-stream";
const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const VERSION: HeaderName = HeaderName::from_static("tus-version");
const EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const ALGORITHMS: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const VIDEO: HeaderName = HeaderName::from_static("millrace-video");
/// Uploads that an account may have on their way.
const MAX_UPLOADS: i64 = 50;
const MAX_METADATA: usize = 16 * 1024;
/// Bytes of a form beside its file, at most as many as are overlooked.
const AROUND_A_FILE: u64 = 64 * 1024;
