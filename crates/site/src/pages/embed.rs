//! The player alone, for frames in other sites.

use askama::Template;
use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
};

use super::{
    Shell,
    channel::{Seed, Which},
    error, render,
};
use http::HeaderMap;

use crate::{
    LiveUrls, Site,
    actor::Address,
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
    live_json: Option<String>,
    last_on: Option<String>,
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
        Ok(Some(_)) => return error::page(&site, visitor, error::FORBIDDEN),
        Ok(None) => return error::page(&site, visitor, error::NOT_FOUND),
        Err(_) => return error::page(&site, visitor, error::INTERNAL),
    };
    let Seed { app, urls, live_json, last_on, channel, .. } = seed;
    let heading = channel.as_ref().map_or_else(|| name.clone(), |known| known.channel.title.clone());
    let title = visitor.language.messages().with("channel.title", "name", &heading);
    let mut shell = Shell::new(&site, visitor, &title).with_player();
    shell.canonical = format!("{}{}", shell.visitor.origin, urls.page);
    let mut response = render(&Embed { shell, app, name, heading, urls, live_json, last_on });
    response.extensions_mut().insert(PagePolicy::Embed);
    if let Some(hosts) = channel.and_then(|known| known.channel.embed_hosts.clone()) {
        response.extensions_mut().insert(Ancestors(hosts));
    }
    response
}
