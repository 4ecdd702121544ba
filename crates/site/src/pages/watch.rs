//! A video: the player first, then what it is and what else there is.

use std::net::IpAddr;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use millrace_store::{FileKind, PageRequest, Review, Store, UserId, VideoFilter, VideoState, Visibility};
use serde::{Deserialize, Serialize};

use super::comments::{CommentsQuery, CommentsView};
use super::{Avatar, Shell, VideoCard, error, render, rfc3339};
use crate::actor::Address;
use crate::api::watch::Ticket;
use crate::channels::rules::{category_message, language_of, list};
use crate::headers::{Ancestors, PagePolicy};
use crate::i18n::Messages;
use crate::rich_text::RichText;
use crate::videos::{KnownVideo, VideoLeave};
use crate::visitor::Visitor;
use crate::{Problem, Site};

#[derive(Template)]
#[template(path = "watch.html")]
struct Watch {
    shell: Shell,
    player: Player,
    title: String,
    channel: Channel,
    views: String,
    published: Option<String>,
    likes: u64,
    liked: bool,
    /// Where those who have not logged in do so before they like it.
    log_in: Option<String>,
    description: RichText,
    category: Option<(String, &'static str)>,
    tags: Vec<String>,
    /// Message of why others do not see it, and what else there is to say.
    notice: Option<(&'static str, String)>,
    /// Path of its page in the studio, for those who may change it.
    edit: Option<String>,
    download: Option<String>,
    link: String,
    embed: String,
    related: Vec<VideoCard>,
    comments: CommentsView,
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
    file: String,
    poster: Option<String>,
    captions: Vec<Caption>,
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
}

impl Player {
    fn new(known: &KnownVideo, token: Option<&str>, t: &Messages) -> Self {
        let video = known.video();
        let path = format!("/videos/{}", video.short_id);
        let with = token.map(|token| format!("?token={token}")).unwrap_or_default();
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
        };
        Self {
            id: video.short_id.clone(),
            seed: serde_json::to_string(&seed).unwrap_or_default(),
            file,
            poster,
            captions,
            ready: video.state == VideoState::Ready,
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
    let token = which.ok().and_then(|Query(which)| which.token);
    let found = find(&site, &id, &visitor, address, &headers, token.as_deref()).await;
    let (known, leave) = match found {
        Ok(Found::Open(known, leave)) => (known, leave),
        Ok(Found::ByPassword(known)) => return locked(&site, visitor, &known),
        Ok(Found::None) => return error::page(&site, visitor, error::NOT_FOUND),
        Err(_) => return error::page(&site, visitor, error::INTERNAL),
    };
    let t = visitor.language.messages();
    let video = known.video();
    let path = format!("/w/{}", video.short_id);
    let link = format!("{}{path}", visitor.origin);
    let (store, user) = (&site.accounts.store, visitor.user.as_ref().map(|actor| actor.user.id.clone()));
    // What is around the video is no reason to go without it.
    let liked = liked(store, &known, user.as_ref()).await.unwrap_or(false);
    let related = related(&site, &known, t).await.unwrap_or_default();
    let comments = comments.map(|Query(query)| query).unwrap_or_default();
    let comments = match CommentsView::of(&site, &known, visitor.user.as_ref(), &comments).await {
        Ok(comments) => comments,
        Err(failure) => {
            Problem::database(failure); // for the log
            return error::page(&site, visitor, error::INTERNAL);
        }
    };
    let title = video.title.clone();
    let label = title.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;");
    let embed = format!(
        r#"<iframe src="{}/embed/{}" title="{label}" width="640" height="360" allow="fullscreen; picture-in-picture" frameborder="0"></iframe>"#,
        visitor.origin, video.short_id
    );
    let own = user.as_ref() == Some(known.owner());
    let mut shell = Shell::new(&site, visitor, &title).with_video();
    if let Some(first) = video.description.lines().find(|line| !line.trim().is_empty()) {
        shell.description = first.chars().take(MAX_SUMMARY).collect();
    }
    shell.kind = "video.other";
    shell.canonical.clone_from(&link);
    shell.indexed = video.listed;
    if let Some(poster) = known.listed.thumbnail.as_ref().filter(|_| leave == VideoLeave::Anybody) {
        let version = &poster[..poster.len().min(8)];
        shell.image = format!("{}/videos/{}/thumbnail.jpg?v={version}", shell.visitor.origin, video.short_id);
    }
    let player = Player::new(&known, token.as_deref(), t);
    let mut response = render(&Watch {
        channel: Channel {
            avatar: Avatar::of(&known.listed.channel_title, known.listed.channel_avatar.as_deref()),
            handle: known.listed.channel_handle.clone(),
            title: known.listed.channel_title.clone(),
        },
        views: t.count("video.views", u64::try_from(video.views).unwrap_or(0)),
        published: video.published_at.map(|at| rfc3339(at.into())),
        likes: u64::try_from(video.likes).unwrap_or(0),
        liked,
        log_in: user.is_none().then(|| format!("/login?next={path}")),
        description: RichText::new(video.description.trim(), &path),
        category: category_message(&video.category).map(|message| (video.category.clone(), message)),
        tags: list(&video.tags),
        notice: notice(&known),
        edit: own.then(|| format!("/studio/videos/{}", video.short_id)),
        download: (video.downloadable || leave == VideoLeave::Own)
            .then(|| format!("/videos/{}?download", video.short_id)),
        link,
        embed,
        related,
        comments,
        title,
        player,
        shell,
    });
    response.extensions_mut().insert(PagePolicy::Player);
    if leave != VideoLeave::Anybody {
        // It holds what is not for everybody, also where a password opened it and no session.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    }
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
    let token = which.ok().and_then(|Query(which)| which.token);
    let found = find(&site, &id, &visitor, address, &headers, token.as_deref()).await;
    let known = match found {
        Ok(Found::Open(known, _)) => known,
        Ok(Found::ByPassword(known)) => {
            return super::embed::refused(&site, visitor, super::embed::LOCKED, Some(page_of(&known)));
        }
        Ok(Found::None) => return super::embed::refused(&site, visitor, error::NOT_FOUND, None),
        Err(_) => return error::page(&site, visitor, error::INTERNAL),
    };
    let hosts = known.channel.embed_hosts.clone();
    if hosts.as_ref().is_some_and(|hosts| super::embed::refuses(hosts, &headers, &visitor)) {
        return super::embed::refused(&site, visitor, super::embed::NOT_HERE, Some(page_of(&known)));
    }
    let title = known.video().title.clone();
    let player = Player::new(&known, token.as_deref(), visitor.language.messages());
    let mut shell = Shell::new(&site, visitor, &title).with_video();
    let page = format!("{}{}", shell.visitor.origin, page_of(&known));
    shell.canonical.clone_from(&page);
    let mut response = render(&Embed { shell, player, title, page });
    response.extensions_mut().insert(PagePolicy::Embed);
    if let Some(hosts) = hosts {
        response.extensions_mut().insert(Ancestors(hosts));
        response.headers_mut().append(header::VARY, HeaderValue::from_static("referer, sec-fetch-dest"));
    }
    response
}

fn page_of(known: &KnownVideo) -> String {
    format!("/w/{}", known.video().short_id)
}

enum Found {
    Open(Arc<KnownVideo>, VideoLeave),
    ByPassword(Arc<KnownVideo>),
    None,
}

async fn find(
    site: &Site,
    id: &str,
    visitor: &Visitor,
    address: IpAddr,
    headers: &HeaderMap,
    token: Option<&str>,
) -> Result<Found, Problem> {
    let videos = &site.accounts.videos;
    let Some(known) = videos.find(id).await.map_err(Problem::database)? else { return Ok(Found::None) };
    let ticket = Ticket { actor: visitor.user.as_ref(), headers, address, token };
    Ok(match videos.leave(&known, ticket).await.map_err(Problem::database)? {
        Some(leave) => Found::Open(known, leave),
        None if known.video().is_out() && known.video().visibility == Visibility::Password => Found::ByPassword(known),
        None => Found::None,
    })
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

/// Why others do not see it: a message, and what else there is to say.
fn notice(known: &KnownVideo) -> Option<(&'static str, String)> {
    let video = known.video();
    let plain = |message| Some((message, String::new()));
    match (video.state, video.review) {
        (VideoState::Failed, _) => Some(("video.notice_failed", video.failure.clone())),
        (VideoState::Uploading, _) => plain("video.notice_uploading"),
        (VideoState::Received | VideoState::Processing, _) => plain("video.notice_processing"),
        (_, Review::Pending) => plain("video.notice_pending"),
        (_, Review::Rejected) => Some(("video.notice_rejected", video.review_reason.clone())),
        (_, Review::Changes) => Some(("video.notice_changes", video.review_reason.clone())),
        _ if video.publish_at.is_some() => {
            Some(("video.notice_scheduled", video.publish_at.map(|at| rfc3339(at.into())).unwrap_or_default()))
        }
        _ if video.visibility == Visibility::Private => plain("video.notice_private"),
        _ => None,
    }
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
