//! A video: the player first, then what it is and what else there is.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use millrace_store::{FileKind, PageRequest, Review, Store, UserId, Video, VideoFilter, VideoState, Visibility};
use serde::{Deserialize, Serialize};

use super::comments::{CommentsQuery, CommentsView};
use super::frame::Frame;
use super::oembed::discovery;
use super::{Avatar, Shell, VideoCard, When, error, render};
use crate::accounts::permissions::Act;
use crate::actor::Address;
use crate::api::watch::Ticket;
use crate::channels::rules::{category_message, language_of, list};
use crate::headers::{Ancestors, PagePolicy};
use crate::i18n::Messages;
use crate::rich_text::{Piece, RichText, pieces};
use crate::videos::{KnownVideo, VideoLeave};
use crate::visitor::Visitor;
use crate::work_words::sentence;
use crate::{Problem, Site};

#[derive(Template)]
#[template(path = "watch.html")]
struct Watch {
    shell: Shell,
    player: Player,
    title: String,
    channel: Channel,
    views: String,
    published: Option<When>,
    likes: String,
    liked: bool,
    /// Where those who have not logged in do so before they like it.
    log_in: Option<String>,
    description: RichText,
    category: Option<(String, &'static str)>,
    tags: Vec<String>,
    /// Why others do not see it.
    notice: Option<Notice>,
    /// Path of its page in the studio, for those who may change it.
    edit: Option<String>,
    /// For moderators, where it is not in the trash.
    moderation: Option<Moderation>,
    download: Option<String>,
    /// Path of this page.
    page: String,
    link: String,
    /// HTML that puts the player on another page.
    embed: String,
    /// What other sites are told of the player, where everybody may watch.
    preview: Option<Preview>,
    related: Vec<VideoCard>,
    /// None where it is in the trash.
    comments: Option<CommentsView>,
}

/// The player for the previews of other sites (Open Graph).
struct Preview {
    player: String,
    width: i64,
    height: i64,
    seconds: i64,
}

/// What those are told who see what others do not.
struct Notice {
    message: &'static str,
    /// What moderators or the work on it said.
    text: String,
    at: Option<When>,
}

/// What moderators are told of the review, and need to know to decide.
struct Moderation {
    state: &'static str,
    /// Whether there is something to approve.
    approves: bool,
    version: i64,
}

impl Moderation {
    fn of(video: &Video) -> Self {
        let state = match video.review {
            Review::None => "admin.review_none",
            Review::Pending => "admin.review_waiting",
            Review::Approved => "admin.review_approved",
            Review::Rejected => "admin.review_rejected",
            Review::Changes => "admin.review_changes",
        };
        let held_back = !matches!(video.review, Review::None | Review::Approved);
        Self { state, approves: held_back && video.state == VideoState::Ready, version: video.version }
    }
}

#[derive(Template)]
#[template(path = "watch_embed.html")]
struct Embed {
    shell: Shell,
    player: Player,
    title: String,
    page: String,
}

#[derive(Template)]
#[template(path = "watch_locked.html")]
struct Locked {
    shell: Shell,
    id: String,
    title: String,
    next: String,
}

/// What the player needs to know, and what plays where there is none.
struct Player {
    id: String,
    /// For the island, as JSON.
    seed: String,
    /// For the browser's own player, with the place where it begins.
    file: String,
    poster: Option<String>,
    captions: Vec<Caption>,
    /// Whether there is something to play.
    ready: bool,
}

#[derive(Serialize)]
struct Seed<'a> {
    id: &'a str,
    label: &'a str,
    poster: Option<&'a str>,
    hls: String,
    file: &'a str,
    captions: &'a [Caption],
    storyboard: Option<String>,
    /// Pictures per second; 0 where it is not known.
    frame_rate: f64,
    next: Option<Next<'a>>,
}

/// The video that follows.
#[derive(Serialize)]
struct Next<'a> {
    title: &'a str,
    page: &'a str,
    thumbnail: Option<&'a str>,
}

#[derive(Serialize)]
struct Caption {
    language: String,
    label: String,
    url: String,
}

struct Channel {
    handle: String,
    title: String,
    avatar: Avatar,
}

/// With what, and from when.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Which {
    token: Option<String>,
    t: Option<String>,
}

impl Which {
    /// Where it begins, in seconds: `?t=62` or `?t=1:02`.
    pub(super) fn start(&self) -> Option<u32> {
        let text = self.t.as_deref()?;
        match pieces(text)[..] {
            [Piece::Time(_, seconds)] => Some(seconds),
            _ => text.parse().ok(),
        }
    }
}

impl Player {
    fn new(known: &KnownVideo, which: &Which, next: Option<&VideoCard>, t: &Messages) -> Self {
        let (video, token) = (known.video(), which.token.as_deref());
        let path = format!("/videos/{}", video.short_id);
        let with = token.map(|token| format!("?token={}", super::urlencode(token))).unwrap_or_default();
        let captions: Vec<_> = known
            .files_of(FileKind::Caption)
            .map(|file| Caption {
                label: language_of(&file.name).map_or_else(|| file.name.clone(), |(_, name)| t.get(name).to_owned()),
                url: format!("{path}/captions/{}.vtt{with}", file.name),
                language: file.name.clone(),
            })
            .collect();
        let poster = known.file(FileKind::Poster, "").map(|_| format!("{path}/thumbnail.jpg{with}"));
        let file = format!("{path}{with}");
        let seed = Seed {
            id: &video.short_id,
            label: &video.title,
            poster: poster.as_deref(),
            hls: format!("{path}/index.m3u8{with}"),
            file: &file,
            captions: &captions,
            storyboard: known.file(FileKind::StoryboardIndex, "").map(|_| format!("{path}/storyboard.vtt{with}")),
            #[expect(clippy::cast_precision_loss, reason = "rates are small")]
            frame_rate: video.frame_rate as f64 / 1000.0,
            next: next.map(|card| Next { title: &card.title, page: &card.page, thumbnail: card.thumbnail.as_deref() }),
        };
        Self {
            id: video.short_id.clone(),
            seed: serde_json::to_string(&seed).unwrap_or_default(),
            file: which.start().map_or_else(|| file.clone(), |start| format!("{file}#t={start}")),
            poster,
            captions,
            ready: video.state == VideoState::Ready && video.trashed_at.is_none(),
        }
    }
}

pub(super) async fn page(
    State(site): State<Site>,
    Path(id): Path<String>,
    which: Result<Query<Which>, QueryRejection>,
    comments: Result<Query<CommentsQuery>, QueryRejection>,
    visitor: Visitor,
    Address(address): Address,
    headers: HeaderMap,
) -> Response {
    let which = which.map(|Query(which)| which).unwrap_or_default();
    let ticket = Ticket { actor: visitor.user.as_ref(), headers: &headers, address, token: which.token.as_deref() };
    let (known, leave) = match find(&site, &id, ticket).await {
        Ok(Found::Open(known, leave)) => (known, leave),
        Ok(Found::InTrash(known)) => (known, VideoLeave::Own),
        Ok(Found::ByPassword(known)) => return locked(&site, visitor, &known),
        Ok(Found::None) => return error::page(&site, visitor, error::NOT_FOUND),
        Err(_) => return error::page(&site, visitor, error::INTERNAL),
    };
    let t = visitor.language.messages();
    let video = known.video();
    let path = page_of(&known);
    let link = format!("{}{path}", visitor.origin);
    let (store, user) = (&site.accounts.store, visitor.user.as_ref().map(|actor| actor.user.id.clone()));
    // What is around the video is no reason to go without it.
    let liked = liked(store, &known, user.as_ref()).await.unwrap_or(false);
    let related = related(&site, &known, t).await.unwrap_or_default();
    let comments = match video.trashed_at {
        Some(_) => None,
        None => {
            let query = comments.map(|Query(query)| query).unwrap_or_default();
            match CommentsView::of(&site, &known, visitor.user.as_ref(), &query, t).await {
                Ok(comments) => Some(comments),
                Err(failure) => {
                    Problem::database(failure); // for the log
                    return error::page(&site, visitor, error::INTERNAL);
                }
            }
        }
    };
    let title = video.title.clone();
    let frame = format!("{}/embed/{}", visitor.origin, video.short_id);
    let (width, height) = Frame::SIZE;
    let embed = Frame { src: &frame, title: &title, width, height, begins: false }.html();
    let own = user.as_ref() == Some(known.owner());
    // Their own, which nobody holds back, they see to in the studio.
    let moderates = visitor.user.as_ref().is_some_and(|actor| actor.may(Act::ManageVideos))
        && video.trashed_at.is_none()
        && !(own && video.review == Review::None);
    let mut shell = Shell::new(&site, visitor, &title).with_video();
    shell.description = match video.description.lines().find(|line| !line.trim().is_empty()) {
        Some(first) => first.chars().take(MAX_SUMMARY).collect(),
        None => {
            let channel = &known.listed.channel_title;
            t.with("video.summary", "site", &shell.name).replace("{channel}", channel)
        }
    };
    shell.kind = "video.other";
    shell.canonical.clone_from(&link);
    shell.indexed = video.listed;
    let open = leave == VideoLeave::Anybody;
    if let Some(poster) = known.listed.thumbnail.as_ref().filter(|_| open) {
        shell.image = format!("{}{}", shell.visitor.origin, super::thumbnail_of(&video.short_id, poster));
    }
    let player = Player::new(&known, &which, related.first(), t);
    if open && player.ready {
        shell.oembed = Some(discovery(&shell.visitor.origin, &link));
    }
    let copies = player.ready && (video.downloadable || leave == VideoLeave::Own);
    let mut response = render(&Watch {
        channel: Channel {
            avatar: Avatar::of(&known.listed.channel_title, known.listed.channel_avatar.as_deref()),
            handle: known.listed.channel_handle.clone(),
            title: known.listed.channel_title.clone(),
        },
        views: t.count("video.views", u64::try_from(video.views).unwrap_or(0)),
        published: video.published_at.map(|at| When::ago(at, t)),
        likes: t.abbreviate(u64::try_from(video.likes).unwrap_or(0)),
        liked,
        log_in: user.is_none().then(|| format!("/login?next={path}")),
        description: RichText::new(video.description.trim(), &path),
        category: category_message(&video.category).map(|message| (video.category.clone(), message)),
        tags: list(&video.tags),
        notice: notice(&known, t),
        edit: own.then(|| format!("/studio/videos/{}", video.short_id)),
        moderation: moderates.then(|| Moderation::of(video)),
        download: copies.then(|| match &which.token {
            Some(token) => format!("/videos/{}?download&token={}", video.short_id, super::urlencode(token)),
            None => format!("/videos/{}?download", video.short_id),
        }),
        preview: (open && player.ready).then(|| Preview {
            player: frame,
            width: video.width,
            height: video.height,
            seconds: (video.duration + 500) / 1000,
        }),
        page: path,
        link,
        embed,
        related,
        comments,
        title,
        player,
        shell,
    });
    response.extensions_mut().insert(PagePolicy::Player);
    keep_private(&mut response, leave);
    response
}

pub(super) async fn embed(
    State(site): State<Site>,
    Path(id): Path<String>,
    which: Result<Query<Which>, QueryRejection>,
    visitor: Visitor,
    Address(address): Address,
    headers: HeaderMap,
) -> Response {
    let which = which.map(|Query(which)| which).unwrap_or_default();
    let ticket = Ticket { actor: visitor.user.as_ref(), headers: &headers, address, token: which.token.as_deref() };
    let (known, leave) = match find(&site, &id, ticket).await {
        // What is not there yet, or no longer, is shown on its own page alone.
        Ok(Found::Open(known, leave)) if known.video().state == VideoState::Ready => (known, leave),
        Ok(Found::ByPassword(known)) => {
            return super::embed::refused(&site, visitor, super::embed::VIDEO_LOCKED, Some(to_page(&known)));
        }
        Ok(Found::Open(..) | Found::InTrash(_) | Found::None) => {
            return super::embed::refused(&site, visitor, error::NOT_FOUND, None);
        }
        Err(_) => return error::page(&site, visitor, error::INTERNAL),
    };
    let hosts = known.channel.embed_hosts.clone();
    if hosts.as_ref().is_some_and(|hosts| super::embed::refuses(hosts, &headers, &visitor)) {
        return super::embed::refused(&site, visitor, super::embed::NOT_HERE, Some(to_page(&known)));
    }
    let title = known.video().title.clone();
    let player = Player::new(&known, &which, None, visitor.language.messages());
    let mut shell = Shell::new(&site, visitor, &title).with_video();
    let page = format!("{}{}", shell.visitor.origin, page_of(&known));
    shell.canonical.clone_from(&page);
    let mut response = render(&Embed { shell, player, title, page });
    response.extensions_mut().insert(PagePolicy::Embed);
    if let Some(hosts) = hosts {
        response.extensions_mut().insert(Ancestors(hosts));
        response.headers_mut().append(header::VARY, HeaderValue::from_static("referer, sec-fetch-dest"));
    }
    keep_private(&mut response, leave);
    response
}

/// What is not for everybody is kept nowhere, also where a password opened it and no session.
fn keep_private(response: &mut Response, leave: VideoLeave) {
    if leave != VideoLeave::Anybody {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    }
}

/// The way from an embedded player to the page.
fn to_page(known: &KnownVideo) -> (&'static str, String) {
    ("embed.visit_video", page_of(known))
}

fn page_of(known: &KnownVideo) -> String {
    format!("/w/{}", known.video().short_id)
}

/// What there is to watch, for who asks.
pub(super) enum Found {
    Open(Arc<KnownVideo>, VideoLeave),
    /// It is in the trash, which those are told who could take it out.
    InTrash(Arc<KnownVideo>),
    ByPassword(Arc<KnownVideo>),
    None,
}

pub(super) async fn find(site: &Site, id: &str, ticket: Ticket<'_>) -> Result<Found, Problem> {
    let videos = &site.accounts.videos;
    let Some(known) = videos.find(id).await.map_err(Problem::database)? else { return Ok(Found::None) };
    let (leave, video) = (videos.leave(&known, ticket).await.map_err(Problem::database)?, known.video());
    if let Some(leave) = leave {
        return Ok(Found::Open(known, leave));
    }
    if video.is_out() && video.visibility == Visibility::Password {
        return Ok(Found::ByPassword(known));
    }
    let in_trash = video.trashed_at.is_some() && videos.is_own(&known, ticket).await.map_err(Problem::database)?;
    Ok(if in_trash { Found::InTrash(known) } else { Found::None })
}

async fn liked(store: &Store, known: &KnownVideo, user: Option<&UserId>) -> Result<bool, Problem> {
    match user {
        Some(user) => store.likes_video(&known.video().id, user).await.map_err(Problem::database),
        None => Ok(false),
    }
}

/// Others of the channel, then the newest of all.
async fn related(site: &Site, known: &KnownVideo, t: &Messages) -> Result<Vec<VideoCard>, Problem> {
    let page = PageRequest { limit: RELATED + 1, after: None };
    let of_channel = VideoFilter { channel: Some(&known.video().channel_id), ..VideoFilter::default() };
    let store = &site.accounts.store;
    let mut found = store.listed_videos(&of_channel, &page).await.map_err(Problem::database)?.items;
    for other in site.accounts.videos.newest().await.map_err(Problem::database)?.iter() {
        if found.iter().all(|one| one.video.id != other.video.id) {
            found.push(other.clone());
        }
    }
    found.retain(|one| one.video.id != known.video().id);
    found.truncate(RELATED as usize);
    Ok(found.iter().map(|listed| VideoCard::new(listed, t)).collect())
}

/// Why others do not see it, where they do not.
fn notice(known: &KnownVideo, t: &Messages) -> Option<Notice> {
    let video = known.video();
    let failure = sentence(&video.failure, t);
    let (message, text, at) = match (video.state, video.review) {
        _ if video.trashed_at.is_some() => ("video.notice_trash", "", video.purge_at),
        (VideoState::Failed, _) => ("video.notice_failed", failure.as_str(), None),
        (VideoState::Uploading, _) => ("video.notice_uploading", "", None),
        (VideoState::Received | VideoState::Processing, _) => ("video.notice_processing", "", None),
        (_, Review::Pending) => ("video.notice_pending", "", None),
        (_, Review::Rejected) => ("video.notice_rejected", video.review_reason.as_str(), None),
        (_, Review::Changes) => ("video.notice_changes", video.review_reason.as_str(), None),
        _ if video.publish_at.is_some() => ("video.notice_scheduled", "", video.publish_at),
        _ if video.visibility == Visibility::Private => ("video.notice_private", "", None),
        _ => return None,
    };
    Some(Notice { message, text: text.to_owned(), at: at.map(When::on) })
}

fn locked(site: &Site, visitor: Visitor, known: &KnownVideo) -> Response {
    let title = known.video().title.clone();
    let next = visitor.choosing_nothing();
    let shell = Shell::new(site, visitor, &title).unlisted();
    let mut response = render(&Locked { shell, id: known.video().short_id.clone(), title, next });
    *response.status_mut() = StatusCode::OK;
    response
}

/// Videos beside the one that is watched.
const RELATED: u32 = 12;
/// Letters of a description that stand for the page elsewhere.
const MAX_SUMMARY: usize = 200;
