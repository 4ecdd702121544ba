//! The files of videos, as players and browsers ask for them below `/videos/{id}`.
//!
//! Invariant: every answer here is behind [`Videos::leave`](super::Videos::leave).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use millrace_objects::{Blob, Key};
use millrace_store::{File, FileKind};
use millrace_vod::{Part, TitleError, Variant, Wanted, multivariant};

use super::{DownloadExcess, KnownVideo, VideoLeave};
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::api::watch::Ticket;
use crate::{Problem, Site, headers};

/// Where the files of videos are.
pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/videos/{id}", get(original).options(preflight))
        .route("/videos/{id}/{*rest}", get(below).options(preflight))
}

/// Why a file is not given.
enum Refusal {
    /// There is none, or it is not for this visitor.
    NotFound,
    /// None of the bytes that were asked for are in it.
    Beyond(u64),
    /// It cannot be had at present.
    Unavailable,
    /// Too many are being sent.
    TooMany(DownloadExcess),
}

/// Who asks for what.
struct Asked {
    method: Method,
    headers: HeaderMap,
    query: String,
    address: IpAddr,
    actor: Option<Actor>,
}

impl Asked {
    fn value(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    fn has(&self, name: &str) -> bool {
        self.query.split('&').any(|pair| pair.split('=').next() == Some(name))
    }

    /// What addresses in playlists end in, so that whoever watches by a token goes on with it.
    fn handed_on(&self) -> String {
        self.value("token").map(|token| format!("?token={token}")).unwrap_or_default()
    }

    /// Whether whoever asks has what that tag stands for (RFC 9110 §13.1.2).
    fn has_tag(&self, tag: &str) -> bool {
        let mut tags = self.header(header::IF_NONE_MATCH).unwrap_or_default().split(',').map(str::trim);
        tags.any(|one| one == "*" || one.trim_start_matches("W/") == tag)
    }

    fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

async fn original(
    State(site): State<Site>,
    Address(address): Address,
    actor: Option<Actor>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let query = uri.query().unwrap_or_default().to_owned();
    let asked = Asked { method, headers, query, address, actor };
    answer(&site, &id, "", &asked).await
}

async fn below(
    State(site): State<Site>,
    Address(address): Address,
    actor: Option<Actor>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Path((id, rest)): Path<(String, String)>,
) -> Response {
    let query = uri.query().unwrap_or_default().to_owned();
    let asked = Asked { method, headers, query, address, actor };
    answer(&site, &id, &rest, &asked).await
}

async fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("range"));
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

async fn answer(site: &Site, id: &str, rest: &str, asked: &Asked) -> Response {
    let mut response = match find(site, id, rest, asked).await {
        Ok((mut response, leave)) => {
            if leave != VideoLeave::Anybody {
                keep_private(response.headers_mut());
            }
            response
        }
        Err(Refusal::TooMany(excess)) => Problem::too_many(excess.words(), RETRY_AFTER).into_response(),
        Err(refusal) => {
            let (status, size) = match refusal {
                Refusal::NotFound => (StatusCode::NOT_FOUND, None),
                Refusal::Beyond(size) => (StatusCode::RANGE_NOT_SATISFIABLE, Some(size)),
                Refusal::Unavailable | Refusal::TooMany(_) => (StatusCode::SERVICE_UNAVAILABLE, None),
            };
            let mut response = (status, [(header::CACHE_CONTROL, "no-store")]).into_response();
            if let Some(size) = size {
                response.headers_mut().insert(header::CONTENT_RANGE, value(&format!("bytes */{size}")));
            }
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let exposed = HeaderValue::from_static("content-length, content-range, accept-ranges, etag");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    // A file that is opened by itself runs nothing.
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers::harden(headers);
    response
}

async fn find(site: &Site, id: &str, rest: &str, asked: &Asked) -> Result<(Response, VideoLeave), Refusal> {
    let videos = &site.accounts.videos;
    let known = videos.find(id).await.map_err(database)?.ok_or(Refusal::NotFound)?;
    let ticket = Ticket {
        actor: asked.actor.as_ref(),
        headers: &asked.headers,
        address: asked.address,
        token: asked.value("token"),
    };
    let leave = videos.leave(&known, ticket).await.map_err(database)?.ok_or(Refusal::NotFound)?;
    let mut parts = rest.split('/');
    let path = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
    if parts.next().is_some() {
        return Err(Refusal::NotFound);
    }
    let response = match path {
        ["", "", ""] => whole_file(site, &known, leave, asked).await?,
        ["index.m3u8", "", ""] => playlists(site, &known, asked).await?,
        ["thumbnail.jpg", "", ""] => small(site, &known, FileKind::Poster, "", asked).await?,
        ["thumbnails", name, ""] => small(site, &known, FileKind::Thumbnail, stem(name, ".jpg")?, asked).await?,
        ["storyboard.vtt", "", ""] => storyboard(site, &known, asked).await?,
        ["storyboard", name, ""] => small(site, &known, FileKind::Storyboard, stem(name, ".jpg")?, asked).await?,
        ["captions", name, ""] => small(site, &known, FileKind::Caption, stem(name, ".vtt")?, asked).await?,
        [file, playlist, ""] => {
            let title = title(site, &known, file).await?;
            let text = title.playlist(stem(playlist, ".m3u8")?, &asked.handed_on()).ok_or(Refusal::NotFound)?;
            playlist_answer(text)
        }
        [file, track, name] => part(site, &known, (file, track, name), asked).await?,
    };
    Ok((response, leave))
}

fn stem<'a>(name: &'a str, extension: &str) -> Result<&'a str, Refusal> {
    name.strip_suffix(extension).filter(|stem| !stem.is_empty()).ok_or(Refusal::NotFound)
}

/// The file as it was uploaded, or what is played in its place.
async fn whole_file(site: &Site, known: &KnownVideo, leave: VideoLeave, asked: &Asked) -> Result<Response, Refusal> {
    let download = asked.has("download");
    let file = if download {
        if !known.video().downloadable && leave != VideoLeave::Own {
            return Err(Refusal::NotFound);
        }
        known.file(FileKind::Original, "")
    } else {
        known.main_file()
    };
    let file = file.ok_or(Refusal::NotFound)?;
    if !download
        && leave == VideoLeave::Anybody
        && let Some(address) = elsewhere(site, file, asked).await?
    {
        let headers = [(header::LOCATION, address), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        return Ok((StatusCode::FOUND, headers).into_response());
    }
    let mut response = file_answer(site, file, asked).await?;
    if asked.method == Method::GET && response.status() != StatusCode::NOT_MODIFIED {
        let downloads = site.accounts.videos.downloads();
        let watched = (!download).then_some(known.video().short_id.as_str());
        let place = downloads.begin(asked.address, watched).map_err(Refusal::TooMany)?;
        response = place.hold(response);
    }
    if download {
        let disposition = attachment(&known.video().title, &file.object_key);
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// Where the storage itself gives the file, for programs other than this site's pages: those play from this origin alone.
/// An address is for one method, so that HEAD is answered here.
async fn elsewhere(site: &Site, file: &File, asked: &Asked) -> Result<Option<HeaderValue>, Refusal> {
    let own_page = asked.headers.get("sec-fetch-site").is_some_and(|from| from == "same-origin");
    if own_page || asked.method != Method::GET {
        return Ok(None);
    }
    let key = Key::parse(&file.object_key).ok_or(Refusal::NotFound)?;
    let address = site.accounts.videos.vod().objects().public_url(&key, LINK_LIFE).await.map_err(storage)?;
    Ok(address.and_then(|address| HeaderValue::from_str(&address).ok()))
}

async fn playlists(site: &Site, known: &KnownVideo, asked: &Asked) -> Result<Response, Refusal> {
    let mut variants = Vec::new();
    let renditions = known.files_of(FileKind::Rendition).map(|file| (file.name.as_str(), file));
    let main = known.main_file().map(|file| ("original", file));
    for (name, file) in main.into_iter().chain(renditions) {
        let Ok(title) = title_of(site, file).await else { continue };
        if title.is_playable() {
            variants.push(Variant { name: name.to_owned(), title });
        }
    }
    if variants.is_empty() {
        return Err(Refusal::NotFound);
    }
    Ok(playlist_answer(multivariant(&variants, &asked.handed_on())))
}

/// The index of the small pictures. The addresses in it are relative to it.
async fn storyboard(site: &Site, known: &KnownVideo, asked: &Asked) -> Result<Response, Refusal> {
    let file = known.file(FileKind::StoryboardIndex, "").ok_or(Refusal::NotFound)?;
    // A token is a part of the address already.
    let tag = format!("\"{}\"", file.id);
    let mut response = if asked.has_tag(&tag) {
        not_modified()
    } else {
        let blob = open(site, file).await?;
        let text = blob.read(0..blob.size()).await.map_err(storage)?;
        let text = String::from_utf8_lossy(&text).replace(".jpg#", &format!(".jpg{}#", asked.handed_on()));
        ([(header::CONTENT_TYPE, "text/vtt; charset=utf-8")], text).into_response()
    };
    response.headers_mut().insert(header::ETAG, value(&tag));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(ASK_FIRST));
    Ok(response)
}

async fn small(
    site: &Site,
    known: &KnownVideo,
    kind: FileKind,
    name: &str,
    asked: &Asked,
) -> Result<Response, Refusal> {
    let mut response = file_answer(site, known.file(kind, name).ok_or(Refusal::NotFound)?, asked).await?;
    if matches!(kind, FileKind::Poster | FileKind::Thumbnail | FileKind::Storyboard) {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(PICTURES));
    }
    Ok(response)
}

/// A piece of a track: its beginning, or a segment.
async fn part(
    site: &Site,
    known: &KnownVideo,
    (file, track, name): (&str, &str, &str),
    asked: &Asked,
) -> Result<Response, Refusal> {
    let file = played(known, file)?;
    let title = title_of(site, file).await?;
    let part = match name {
        "init.mp4" => title.init(track),
        name => {
            let number = stem(name, ".m4s")?;
            // One way to write a number: others would be other addresses of the same bytes.
            let canonical = number.parse::<usize>().ok().filter(|parsed| parsed.to_string() == number);
            title.segment(track, canonical.ok_or(Refusal::NotFound)?)
        }
    }
    .ok_or(Refusal::NotFound)?;
    // The same file is cut the same way for as long as the program does not change.
    let tag = format!("\"{}-{}-{track}-{name}\"", file.id, env!("CARGO_PKG_VERSION"));
    let mut response = if asked.has_tag(&tag) { not_modified() } else { sent(part, asked) };
    let headers = response.headers_mut();
    let media_type = if track == "video" { "video/mp4" } else { "audio/mp4" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::ETAG, value(&tag));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(ASK_FIRST));
    Ok(response)
}

/// A stored file, by ranges. What a file has never changes, so that its id is its tag: not its key, by which those would find
/// it who know that.
async fn file_answer(site: &Site, file: &File, asked: &Asked) -> Result<Response, Refusal> {
    let blob = open(site, file).await?;
    let size = blob.size();
    let tag = format!("\"{}\"", file.id);
    // Of HEAD no ranges are asked (RFC 9110 §14.2). With another tag, or with a date, the whole is wanted (§13.1.5).
    let range = asked.header(header::RANGE).filter(|_| asked.method == Method::GET);
    let range = range.filter(|_| asked.header(header::IF_RANGE).is_none_or(|wanted| wanted.trim() == tag));
    let (status, range) = match Wanted::of(range, size) {
        _ if asked.has_tag(&tag) => (StatusCode::NOT_MODIFIED, 0..0),
        Wanted::Whole => (StatusCode::OK, 0..size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Beyond => return Err(Refusal::Beyond(size)),
    };
    let mut response = match status {
        StatusCode::NOT_MODIFIED => not_modified(),
        _ => sent(Part { head: Bytes::new(), blob, ranges: vec![range.clone()] }, asked),
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, value(&tag));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(ASK_FIRST));
    if status != StatusCode::NOT_MODIFIED {
        headers.insert(header::CONTENT_TYPE, value(&file.media_type));
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        headers.insert(header::CONTENT_RANGE, value(&text));
        *response.status_mut() = status;
    }
    Ok(response)
}

fn not_modified() -> Response {
    StatusCode::NOT_MODIFIED.into_response()
}

/// An answer of what is stored, with its length. The part is among the response's extensions where it pays to send it out
/// of its file rather than to read it.
fn sent(part: Part, asked: &Asked) -> Response {
    let size = part.size();
    let mut response = match asked.method {
        Method::HEAD => Response::new(Body::empty()),
        _ => Response::new(Body::from_stream(part.chunks())),
    };
    response.headers_mut().insert(header::CONTENT_LENGTH, size.into());
    let ranges = part.ranges.len() as u64;
    if asked.method != Method::HEAD && ranges > 0 && size >= WORTH_SENDING * ranges {
        response.extensions_mut().insert(part);
    }
    response
}

async fn open(site: &Site, file: &File) -> Result<Blob, Refusal> {
    let key = Key::parse(&file.object_key).ok_or(Refusal::NotFound)?;
    site.accounts.videos.vod().objects().blob(&key).await.map_err(storage)
}

/// The tracks of a file of a video, by its name in addresses.
async fn title(site: &Site, known: &KnownVideo, name: &str) -> Result<Arc<millrace_vod::Title>, Refusal> {
    title_of(site, played(known, name)?).await
}

/// What is played by that name in addresses.
fn played<'a>(known: &'a KnownVideo, name: &str) -> Result<&'a File, Refusal> {
    let file = match name {
        "original" => known.main_file(),
        name => known.file(FileKind::Rendition, name),
    };
    file.ok_or(Refusal::NotFound)
}

async fn title_of(site: &Site, file: &File) -> Result<Arc<millrace_vod::Title>, Refusal> {
    let key = Key::parse(&file.object_key).ok_or(Refusal::NotFound)?;
    site.accounts.videos.vod().title(&key).await.map_err(|error| match error {
        error if error.is_the_files() => Refusal::NotFound,
        TitleError::Storage(error) => storage(error),
        _ => Refusal::Unavailable,
    })
}

fn playlist_answer(text: String) -> Response {
    let kind = (header::CONTENT_TYPE, "application/vnd.apple.mpegurl");
    // Renditions are added one by one.
    ([kind, (header::CACHE_CONTROL, "public, max-age=10")], text).into_response()
}

/// Caches that many share must not keep what is for one.
fn keep_private(headers: &mut HeaderMap) {
    let kept = headers.get(header::CACHE_CONTROL).and_then(|kept| kept.to_str().ok());
    if let Some(rest) = kept.and_then(|kept| kept.strip_prefix("public")).map(|rest| format!("private{rest}")) {
        headers.insert(header::CACHE_CONTROL, value(&rest));
    }
}

/// The name under which a copy is kept (RFC 6266, RFC 8187).
fn attachment(title: &str, object_key: &str) -> HeaderValue {
    let extension = object_key.rsplit_once('.').map_or("mp4", |(_, extension)| extension);
    let name = format!("{title}.{extension}");
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || " .-_()".contains(c) { c } else { '_' }).collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    value(&format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"))
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

/// Bytes that ranges of a file have on average, at least, where the kernel is told of each: for less, reading them costs less.
const WORTH_SENDING: u64 = 8 << 10;

fn database(error: millrace_store::Error) -> Refusal {
    tracing::error!(%error, "the database failed");
    Refusal::Unavailable
}

fn storage(error: millrace_objects::Error) -> Refusal {
    if matches!(error, millrace_objects::Error::NotFound) {
        return Refusal::NotFound;
    }
    tracing::error!(%error, "a file of a video could not be read");
    Refusal::Unavailable
}

/// Whoever keeps a copy asks first whether it may be given still: what is taken away is gone at once, from caches as well.
const ASK_FIRST: &str = "public, no-cache";
/// Lists show many pictures: a browser that has just shown one shows it without asking; caches that many share ask.
const PICTURES: &str = "public, max-age=300, s-maxage=0";
/// Seconds after which those ask again who were too many.
const RETRY_AFTER: u64 = 5;
/// How long an address of the storage itself is good for: long enough to watch a film by ranges. Whoever has it may read so
/// long, even where the video is taken away meanwhile.
const LINK_LIFE: Duration = Duration::from_secs(3 * 3600);
