//! The player alone, for frames in other sites; or why it is not there, in words that any site may frame.

use askama::Template;
use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use serde::Deserialize;

use super::{Shell, channel::Seed, error, render};
use crate::{
    LiveUrls, Site,
    actor::Address,
    api::watch::Ticket,
    channels::rules::may_embed,
    headers::{Ancestors, PagePolicy},
    visitor::Visitor,
};

#[derive(Template)]
#[template(path = "embed.html")]
struct Embed {
    shell: Shell,
    app: String,
    name: String,
    /// Its name for people.
    heading: String,
    urls: LiveUrls,
    token: Option<String>,
    hls_elsewhere: String,
    live_json: Option<String>,
    last_on: Option<String>,
}

/// Why the player is not there.
#[derive(Template)]
#[template(path = "embed_refused.html")]
struct Refused {
    shell: Shell,
    heading: &'static str,
    text: &'static str,
    /// Message and path of the page that has it; none where there is no such page.
    page: Option<(&'static str, String)>,
}

/// Which stream, and with what.
#[derive(Deserialize)]
pub(super) struct Which {
    app: Option<String>,
    /// To watch with: frames of other sites have no cookies.
    token: Option<String>,
}

pub(super) async fn page(
    State(site): State<Site>,
    Path(name): Path<String>,
    which: Result<Query<Which>, QueryRejection>,
    visitor: Visitor,
    Address(address): Address,
    headers: HeaderMap,
) -> Response {
    let Ok(Query(Which { app, token })) = which else { return refused(&site, visitor, error::NOT_FOUND, None) };
    let ticket = Ticket { actor: visitor.user.as_ref(), headers: &headers, address, token: token.as_deref() };
    let seed = match Seed::find(&site, &name, app, ticket).await {
        Ok(Some(seed)) => seed,
        Ok(None) => return refused(&site, visitor, error::NOT_FOUND, None),
        Err(_) => return error::page(&site, visitor, error::INTERNAL),
    };
    let channel = Some(("embed.visit", LiveUrls::new(&seed.app, &name).page));
    if !seed.allowed {
        return refused(&site, visitor, LOCKED, channel);
    }
    let Seed { app, urls, token, elsewhere, live_json, last_on, channel: known, .. } = seed;
    let hosts = known.as_ref().and_then(|known| known.channel.embed_hosts.clone());
    if hosts.as_ref().is_some_and(|hosts| refuses(hosts, &headers, &visitor)) {
        return refused(&site, visitor, NOT_HERE, channel);
    }
    let heading = known.as_ref().map_or_else(|| name.clone(), |known| known.channel.title.clone());
    let title = visitor.language.messages().with("channel.title", "name", &heading);
    let mut shell = Shell::new(&site, visitor, &title).with_player();
    shell.canonical = format!("{}{}", shell.visitor.origin, urls.page);
    let hls_elsewhere = elsewhere.hls;
    let mut response = render(&Embed { shell, app, name, heading, urls, token, hls_elsewhere, live_json, last_on });
    response.extensions_mut().insert(PagePolicy::Embed);
    if let Some(hosts) = hosts {
        response.extensions_mut().insert(Ancestors(hosts));
        response.headers_mut().append(header::VARY, HeaderValue::from_static("referer, sec-fetch-dest"));
    }
    response
}

/// Whether `hosts` leave out the page that frames this one, as far as can be known of it here.
///
/// A browser says whether it fills a frame (`Sec-Fetch-Dest`, not to plain HTTP), and of which page (`Referer`, unless
/// that page hides itself). This is for the words alone: where it cannot be known the player is answered, and the browser,
/// which knows, keeps to the policy.
pub(super) fn refuses(hosts: &str, headers: &HeaderMap, visitor: &Visitor) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let framed = text(DESTINATION).map(|destination| FRAMES.contains(&destination));
    let from = text(header::REFERER).and_then(|referer| referer.parse::<Uri>().ok());
    let from = from.as_ref().and_then(|uri| Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?)));
    match (framed, from) {
        (Some(false), _) | (None, None) => false,
        (Some(true), None) => hosts.is_empty(),
        (_, Some(from)) => hosts.is_empty() || from != visitor.origin && !may_embed(hosts, &from),
    }
}

pub(super) fn refused(
    site: &Site,
    visitor: Visitor,
    (status, heading, text): error::Kind,
    page: Option<(&'static str, String)>,
) -> Response {
    let title = visitor.language.messages().get(heading);
    let shell = Shell::new(site, visitor, title).unlisted();
    let mut response = render(&Refused { shell, heading, text, page });
    *response.status_mut() = status;
    response.extensions_mut().insert(PagePolicy::Notice);
    response.headers_mut().append(header::VARY, HeaderValue::from_static("referer, sec-fetch-dest"));
    response
}

pub(super) const NOT_HERE: error::Kind = (StatusCode::FORBIDDEN, "embed.refused_title", "embed.refused_text");
pub(super) const LOCKED: error::Kind = (StatusCode::FORBIDDEN, "embed.locked_title", "embed.locked_text");
pub(super) const VIDEO_LOCKED: error::Kind = (StatusCode::FORBIDDEN, "embed.locked_title", "embed.video_locked_text");
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");
/// What a browser calls the places that a page is framed in (Fetch, 2.2.5).
const FRAMES: [&str; 5] = ["iframe", "frame", "embed", "object", "fencedframe"];
