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
use crate::{LiveUrls, Site, headers::PagePolicy, visitor::Visitor};

#[derive(Template)]
#[template(path = "embed.html")]
struct Embed {
    shell: Shell,
    app: String,
    name: String,
    urls: LiveUrls,
    live_json: Option<String>,
    last_on: Option<String>,
}

pub(super) async fn page(
    State(site): State<Site>,
    Path(name): Path<String>,
    which: Result<Query<Which>, QueryRejection>,
    visitor: Visitor,
) -> Response {
    let Some(Seed { app, urls, live_json, last_on, .. }) = Seed::find(&site, &name, which) else {
        return error::page(&site, visitor, error::NOT_FOUND);
    };
    let title = visitor.language.messages().with("channel.title", "name", &name);
    let mut shell = Shell::new(&site, visitor, &title).with_player();
    shell.canonical = format!("{}{}", shell.visitor.origin, urls.page);
    let mut response = render(&Embed { shell, app, name, urls, live_json, last_on });
    response.extensions_mut().insert(PagePolicy::Embed);
    response
}
