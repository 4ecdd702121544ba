//! A channel: the live player first, then who it is and what else is on.

use std::net::IpAddr;
use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use millrace_store::{At, Channel as Row, Visibility};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{Avatar, Card, Shell, error, render, rfc3339};
use crate::{
    LiveState, LiveUrls, Problem, Site,
    actor::Address,
    channels::Known,
    channels::rules::{Link, category_message, list},
    headers::PagePolicy,
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
    /// Whether those addresses are good for some hours only.
    for_hours: bool,
    about: Option<About>,
    others: Vec<Card>,
}

/// What a channel says of itself.
struct About {
    /// Address of the picture at the head.
    banner: Option<String>,
    handle: String,
    first: String,
    more: String,
    category: Option<(String, &'static str)>,
    tags: Vec<String>,
    links: Vec<Link>,
}

impl About {
    fn new(channel: &Row) -> Self {
        let (first, more) = channel.description.trim().split_once('\n').unwrap_or((channel.description.trim(), ""));
        Self {
            banner: channel.banner.as_deref().map(crate::pictures::url),
            handle: channel.handle.clone(),
            first: first.trim().to_owned(),
            more: more.trim().to_owned(),
            category: category_message(&channel.category).map(|message| (channel.category.clone(), message)),
            tags: list(&channel.tags),
            links: list(&channel.links),
        }
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
    app: Option<String>,
}

/// A stream as the player needs it at once, so that it does not have to ask first.
pub(super) struct Seed {
    pub(super) app: String,
    pub(super) urls: LiveUrls,
    pub(super) live: Option<crate::LiveStream>,
    pub(super) live_json: Option<String>,
    pub(super) last_on: Option<String>,
    pub(super) channel: Option<Arc<Known>>,
    pub(super) allowed: bool,
}

impl Seed {
    /// A stream for one who may watch it.
    pub(super) fn of(site: &Site, app: &str, name: &str) -> Self {
        let live = site.live.find(app, name);
        Self::new(site, app.to_owned(), name, Sight { channel: None, allowed: true, live })
    }

    fn new(site: &Site, app: String, name: &str, Sight { channel, allowed, live }: Sight) -> Self {
        Self {
            urls: LiveUrls::new(&app, name),
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
        visitor: &Visitor,
        headers: &HeaderMap,
        address: IpAddr,
        name: &str,
        which: Result<Query<Which>, QueryRejection>,
    ) -> Result<Option<Self>, Problem> {
        let Ok(Query(which)) = which else { return Ok(None) };
        let app = which.app.unwrap_or_else(|| DEFAULT_APP.to_owned());
        let sight = site.sight(&app, name, visitor.user.as_ref(), headers, address).await?;
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
    let seed = match Seed::find(&site, &visitor, &headers, address, &name, which).await {
        Ok(Some(seed)) if seed.allowed => seed,
        Ok(Some(seed)) => return locked(&site, visitor, &name, &seed),
        Ok(None) => return error::page(&site, visitor, error::NOT_FOUND),
        Err(_) => return error::page(&site, visitor, error::INTERNAL),
    };
    let about = seed.channel.as_ref().map(|known| About::new(&known.channel));
    let picture = seed.channel.as_ref().and_then(|known| known.channel.avatar.clone());
    let token = seed.channel.as_ref().filter(|known| !known.is_open());
    let token = token.map(|known| site.accounts.channels.tokens().issue(&known.channel, At::now()).0);
    let with = token.as_ref().map(|token| format!("?token={token}")).unwrap_or_default();
    let t = visitor.language.messages();
    let heading = seed.channel.as_ref().map_or_else(|| name.clone(), |known| known.channel.title.clone());
    let now = OffsetDateTime::now_utc();
    let title = if seed.live.is_some() { "channel.title" } else { "channel.title_offline" };
    let media = |path: &str| format!("{}{path}", visitor.origin);
    let elsewhere = [
        (
            "channel.url_rtmp",
            format!("rtmp://{}:{}/{}/{name}{with}", visitor.host, site.config.rtmp_public_port, seed.app),
        ),
        ("channel.url_flv", media(&seed.urls.flv) + &with),
        ("channel.url_hls", media(&seed.urls.hls) + &with),
    ];
    let label = escaped(&t.with("channel.title", "name", &heading));
    let embed = format!(
        r#"<iframe src="{}/embed{}" title="{label}" width="640" height="360" allow="autoplay; fullscreen; picture-in-picture" frameborder="0"></iframe>"#,
        visitor.origin, seed.urls.page
    );
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
    if let Some(about) = about.as_ref().filter(|about| !about.first.is_empty()) {
        shell.description = about.first.clone();
    }
    if listed && seed.live.is_some() {
        shell.image = image;
    }
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
        app: seed.app,
        name,
        elsewhere,
        for_hours: !with.is_empty(),
        about,
        others,
        shell,
    });
    response.extensions_mut().insert(PagePolicy::Player);
    if token.is_some() {
        // It holds what this visitor alone may watch with, also where a password opened it and no session.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    }
    response.into_response()
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

/// For an attribute of HTML that is shown to be copied.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Other streams shown below the player.
const MAX_OTHERS: usize = 8;
