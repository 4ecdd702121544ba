//! A channel: the live player first, then who it is and what else is on.

use askama::Template;
use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{Card, Shell, error, initial, render, rfc3339};
use crate::{
    LiveState, LiveUrls, Site,
    api::live::in_order,
    headers::PagePolicy,
    source::{DEFAULT_APP, is_name},
    visitor::Visitor,
};

#[derive(Template)]
#[template(path = "channel.html")]
struct Channel {
    shell: Shell,
    app: String,
    name: String,
    initial: String,
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
    others: Vec<Card>,
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
}

impl Seed {
    /// `None` where the names cannot be those of a stream.
    pub(super) fn find(site: &Site, name: &str, which: Result<Query<Which>, QueryRejection>) -> Option<Self> {
        let app = which.ok()?.0.app.unwrap_or_else(|| DEFAULT_APP.to_owned());
        if !is_name(&app) || !is_name(name) {
            return None;
        }
        let live = site.live.find(&app, name);
        Some(Self {
            urls: LiveUrls::new(&app, name),
            live_json: live.as_ref().and_then(|live| serde_json::to_string(live).ok()),
            last_on: site.live.last_on_air(&app, name).filter(|_| live.is_none()).map(rfc3339),
            live,
            app,
        })
    }
}

pub(super) async fn page(
    State(site): State<Site>,
    Path(name): Path<String>,
    which: Result<Query<Which>, QueryRejection>,
    visitor: Visitor,
) -> Response {
    let Some(seed) = Seed::find(&site, &name, which) else {
        return error::page(&site, visitor, error::NOT_FOUND);
    };
    let t = visitor.language.messages();
    let now = OffsetDateTime::now_utc();
    let title = if seed.live.is_some() { "channel.title" } else { "channel.title_offline" };
    let media = |path: &str| format!("{}{path}", visitor.origin);
    let elsewhere = [
        ("channel.url_rtmp", format!("rtmp://{}:{}/{}/{name}", visitor.host, site.config.rtmp_public_port, seed.app)),
        ("channel.url_flv", media(&seed.urls.flv)),
        ("channel.url_hls", media(&seed.urls.hls)),
    ];
    let label = t.with("channel.title", "name", &name);
    let embed = format!(
        r#"<iframe src="{}/embed{}" title="{label}" width="640" height="360" allow="autoplay; fullscreen; picture-in-picture" frameborder="0"></iframe>"#,
        visitor.origin, seed.urls.page
    );
    let link = media(&seed.urls.page);
    let image = media(&seed.urls.thumbnail);
    let others = in_order(site.live.on_air())
        .iter()
        .filter(|other| other.name != name || other.app != seed.app)
        .take(MAX_OTHERS)
        .map(|other| Card::new(other, t, now))
        .collect();

    let mut shell = Shell::new(&site, visitor, &t.with(title, "name", &name)).with_player();
    shell.description = t.with("channel.description", "name", &name).replace("{site}", &site.name());
    shell.kind = "video.other";
    shell.indexed = seed.live.is_some();
    if seed.live.is_some() {
        shell.image = image;
    }
    let mut response = render(&Channel {
        initial: initial(&name),
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
        others,
        shell,
    });
    response.extensions_mut().insert(PagePolicy::Player);
    response.into_response()
}

/// Other streams shown below the player.
const MAX_OTHERS: usize = 8;
