//! A channel: the live player first, then who it is and what else is on.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use millrace_store::{At, Channel as Row, Error, VideoFilter, VideoOrder, Visibility};
use serde::Deserialize;
use time::OffsetDateTime;

use super::frame::Frame;
use super::oembed::discovery;
use super::{Avatar, Card, Shell, VideoCard, error, render, rfc3339};
use crate::api::watch::Ticket;
use crate::channels::tokens::Bearer;
use crate::{
    LiveState, LiveUrls, Problem, Site,
    actor::Address,
    channels::Known,
    channels::rules::{self, Link, category_message, list},
    headers::PagePolicy,
    i18n::Messages,
    listing::Sight,
    source::DEFAULT_APP,
    visitor::Visitor,
};

#[derive(Template)]
#[template(path = "channel.html")]
struct Channel {
    shell: Shell,
    app: String,
    name: String,
    /// Its name for people.
    heading: String,
    avatar: Avatar,
    urls: LiveUrls,
    token: Option<String>,
    live: Option<Card>,
    live_json: Option<String>,
    last_on: Option<String>,
    /// Whether the publisher is away and may return.
    waiting: bool,
    /// Absolute address of this page.
    link: String,
    /// HTML that puts the player on another page.
    embed: String,
    /// Message key of the kind, and address.
    elsewhere: [(&'static str, String); 3],
    /// The last of these as the player's page has it.
    hls_elsewhere: String,
    /// Whether those addresses are good for some hours only.
    for_hours: bool,
    about: Option<About>,
    others: Vec<Card>,
    videos: Vec<VideoCard>,
    /// Whether they are in the order of views.
    most_watched: bool,
    /// Path of the next page of videos.
    more_videos: Option<String>,
}

/// What a channel says of itself.
struct About {
    /// Address of the picture at the head.
    banner: Option<String>,
    handle: String,
    description: String,
    category: Option<(String, &'static str)>,
    tags: Vec<String>,
    links: Vec<Link>,
    /// The language and the message of its name, where it is one of those that have one.
    language: Option<(&'static str, &'static str)>,
    /// Its tag.
    language_tag: String,
    /// When it was made.
    since: String,
}

impl About {
    fn new(channel: &Row) -> Self {
        Self {
            banner: channel.banner.as_deref().map(crate::pictures::url),
            handle: channel.handle.clone(),
            description: channel.description.trim().to_owned(),
            category: category_message(&channel.category).map(|message| (channel.category.clone(), message)),
            tags: list(&channel.tags),
            links: list(&channel.links),
            language: rules::language_of(&channel.language),
            language_tag: channel.language.clone(),
            since: rfc3339(channel.created_at.into()),
        }
    }

    /// The first line of the description.
    fn first(&self) -> &str {
        self.description.lines().next().unwrap_or_default()
    }
}

/// A channel that this visitor may not watch.
#[derive(Template)]
#[template(path = "channel_locked.html")]
struct Locked {
    shell: Shell,
    name: String,
    heading: String,
    by_password: bool,
    /// Where one goes after.
    next: String,
}

/// The part of the query that says which stream is meant.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Which {
    pub(super) app: Option<String>,
    /// Where the list of videos goes on.
    videos: Option<String>,
    /// Its order: `views`, or the newest first.
    sort: Option<String>,
}

/// A stream as the player needs it at once, so that it does not have to ask first.
pub(super) struct Seed {
    pub(super) app: String,
    /// The addresses that the page's player takes.
    pub(super) urls: LiveUrls,
    /// The token that they hold, where the visitor brought one.
    pub(super) token: Option<String>,
    /// The addresses for players that carry no cookie.
    pub(super) elsewhere: LiveUrls,
    /// What RTMP players add to theirs.
    pub(super) with: String,
    pub(super) live: Option<crate::LiveStream>,
    pub(super) live_json: Option<String>,
    pub(super) last_on: Option<String>,
    pub(super) channel: Option<Arc<Known>>,
    pub(super) allowed: bool,
}

impl Seed {
    /// A channel's stream, for its owner.
    pub(super) async fn own(site: &Site, handle: &str) -> Result<Self, Error> {
        let channel = site.accounts.channels.find(handle).await?;
        let live = site.live.find(DEFAULT_APP, handle);
        let sight = Sight { channel, allowed: true, token: None, live };
        Ok(Self::new(site, DEFAULT_APP.to_owned(), handle, sight))
    }

    fn new(site: &Site, app: String, name: &str, Sight { channel, allowed, token, live }: Sight) -> Self {
        // A token is not made of another, so that it ends.
        let closed = channel.as_ref().filter(|known| allowed && !known.is_open());
        let issue = |known: &Arc<Known>| {
            let channel = &known.channel;
            site.accounts.channels.tokens().issue(Bearer::Player, channel.id.as_str(), channel.play_epoch, At::now()).0
        };
        let elsewhere = token.clone().or_else(|| closed.map(issue));
        Self {
            urls: LiveUrls::new(&app, name).with(token.as_deref()),
            with: elsewhere.as_ref().map(|token| format!("?token={token}")).unwrap_or_default(),
            elsewhere: LiveUrls::new(&app, name).with(elsewhere.as_deref()),
            token,
            live_json: live.as_ref().and_then(|live| serde_json::to_string(live).ok()),
            last_on: site.live.last_on_air(&app, name).filter(|_| live.is_none()).map(rfc3339),
            live,
            app,
            channel,
            allowed,
        }
    }

    /// `None` where the names cannot be those of a stream.
    pub(super) async fn find(
        site: &Site,
        name: &str,
        app: Option<String>,
        ticket: Ticket<'_>,
    ) -> Result<Option<Self>, Problem> {
        let app = app.unwrap_or_else(|| DEFAULT_APP.to_owned());
        let sight = site.sight(&app, name, ticket).await?;
        Ok(sight.map(|sight| Self::new(site, app, name, sight)))
    }
}

pub(super) async fn page(
    State(site): State<Site>,
    Path(name): Path<String>,
    which: Result<Query<Which>, QueryRejection>,
    visitor: Visitor,
    Address(address): Address,
    headers: HeaderMap,
) -> Response {
    let Ok(Query(Which { app, videos, sort })) = which else { return error::page(&site, visitor, error::NOT_FOUND) };
    let ticket = Ticket { actor: visitor.user.as_ref(), headers: &headers, address, token: None };
    let seed = match Seed::find(&site, &name, app, ticket).await {
        Ok(Some(seed)) if seed.allowed => seed,
        Ok(Some(seed)) => return locked(&site, visitor, &name, &seed),
        Ok(None) => return error::page(&site, visitor, error::NOT_FOUND),
        Err(_) => return error::page(&site, visitor, error::INTERNAL),
    };
    let picture = seed.channel.as_ref().and_then(|known| known.channel.avatar.clone());
    let t = visitor.language.messages();
    let heading = seed.channel.as_ref().map_or_else(|| name.clone(), |known| known.channel.title.clone());
    let now = OffsetDateTime::now_utc();
    let about = seed.channel.as_ref().map(|known| About::new(&known.channel));
    let title = if seed.live.is_some() { "channel.title" } else { "channel.title_offline" };
    let media = |path: &str| format!("{}{path}", visitor.origin);
    let elsewhere = [
        (
            "channel.url_rtmp",
            format!("rtmp://{}:{}/{}/{name}{}", visitor.host, site.config.rtmp_public_port, seed.app, seed.with),
        ),
        ("channel.url_flv", media(&seed.elsewhere.flv)),
        ("channel.url_hls", media(&seed.elsewhere.hls)),
    ];
    let (label, src) =
        (t.with("channel.title", "name", &heading), format!("{}/embed{}", visitor.origin, seed.urls.page));
    let (width, height) = Frame::SIZE;
    let embed = Frame { src: &src, title: &label, width, height, begins: true }.html();
    let link = media(&seed.urls.page);
    let image = media(&seed.urls.thumbnail);
    let others = site
        .listed()
        .await
        .iter()
        .filter(|other| other.name != name || other.app != seed.app)
        .take(MAX_OTHERS)
        .map(|other| Card::new(other, t, now))
        .collect();

    let mut shell = Shell::new(&site, visitor, &t.with(title, "name", &heading)).with_player();
    shell.description = t.with("channel.description", "name", &heading).replace("{site}", &site.name());
    shell.kind = "video.other";
    let listed = seed.channel.as_ref().is_none_or(|known| known.is_listed());
    shell.indexed = listed && (seed.live.is_some() || seed.channel.is_some());
    if let Some(about) = about.as_ref().filter(|about| !about.first().is_empty()) {
        about.first().clone_into(&mut shell.description);
    }
    if seed.channel.as_ref().map_or(seed.live.is_some(), |known| known.is_open()) {
        shell.oembed = Some(discovery(&shell.visitor.origin, &link));
    }
    if listed && seed.live.is_some() {
        shell.image = image;
    }
    let most_watched = sort.as_deref() == Some(BY_VIEWS);
    let (videos, more_videos) = match &seed.channel {
        // What is on air is shown even where the database fails.
        Some(known) => videos_of(&site, known, videos, most_watched, t).await.unwrap_or_default(),
        None => (Vec::new(), None),
    };
    let for_hours = !seed.with.is_empty();
    let mut response = render(&Channel {
        avatar: Avatar::of(&heading, picture.as_deref()),
        heading,
        waiting: seed.live.as_ref().is_some_and(|live| live.state == LiveState::Reconnecting),
        link,
        embed,
        live: seed.live.as_ref().map(|live| Card::new(live, t, now)),
        live_json: seed.live_json,
        last_on: seed.last_on,
        urls: seed.urls,
        token: seed.token,
        app: seed.app,
        name,
        elsewhere,
        hls_elsewhere: seed.elsewhere.hls,
        for_hours,
        about,
        others,
        videos,
        most_watched,
        more_videos,
        shell,
    });
    response.extensions_mut().insert(PagePolicy::Player);
    if for_hours {
        // It holds what this visitor alone may watch with, also where a password opened it and no session.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    }
    response.into_response()
}

/// A page of the channel's videos, and the path of the next.
async fn videos_of(
    site: &Site,
    known: &Known,
    after: Option<String>,
    most_watched: bool,
    t: &Messages,
) -> Result<(Vec<VideoCard>, Option<String>), Problem> {
    let page = crate::api::list::request(Some(VIDEOS), after)?;
    let order = if most_watched { VideoOrder::Views } else { VideoOrder::Newest };
    let filter = VideoFilter { channel: Some(&known.channel.id), order, ..VideoFilter::default() };
    let found = site.accounts.store.listed_videos(&filter, &page).await.map_err(Problem::database)?;
    let more = found.next.map(|cursor| {
        let sort = if most_watched { format!("sort={BY_VIEWS}&") } else { String::new() };
        format!("/@{}?{sort}videos={}#videos", known.channel.handle, super::urlencode(&cursor))
    });
    Ok((found.items.iter().map(|listed| VideoCard::new(listed, t)).collect(), more))
}

/// What one gets who may not watch: a place for the password, or nothing but that it is private.
fn locked(site: &Site, visitor: Visitor, name: &str, seed: &Seed) -> Response {
    let t = visitor.language.messages();
    let channel = seed.channel.as_ref().map(|known| &known.channel);
    let by_password = channel.is_some_and(|channel| channel.visibility == Visibility::Password);
    let heading = channel.filter(|_| by_password).map(|channel| channel.title.clone()).unwrap_or_default();
    let title = if by_password { heading.clone() } else { t.get("channel.private_title").to_owned() };
    let next = visitor.choosing_nothing();
    let shell = Shell::new(site, visitor, &title).unlisted();
    let mut response = render(&Locked { shell, name: name.to_owned(), heading, by_password, next });
    if !by_password {
        *response.status_mut() = http::StatusCode::FORBIDDEN;
    }
    response
}

/// Other streams shown below the player.
const MAX_OTHERS: usize = 8;

/// The value of `?sort=` for the most watched first.
const BY_VIEWS: &str = "views";
/// Videos on one page of a channel.
const VIDEOS: u32 = 24;
