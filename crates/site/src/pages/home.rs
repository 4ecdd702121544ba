//! Home: who is on air, or how to be the first.

use askama::Template;
use axum::{extract::State, response::Response};
use time::OffsetDateTime;

use super::{Card, Shell, guide, render};
use crate::{Site, api::site::publish_url, visitor::Visitor};

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    shell: Shell,
    cards: Vec<Card>,
    /// Cards of streams that start later are made from this one in the browser.
    blank: Card,
    publish_url: String,
    ffmpeg_command: String,
}

pub(super) async fn page(State(site): State<Site>, visitor: Visitor) -> Response {
    let publish_url = publish_url(&visitor, site.config.rtmp_public_port);
    let shell = Shell::new(&site, visitor, "");
    let now = OffsetDateTime::now_utc();
    let cards = site.listed().await.iter().take(MAX_CARDS).map(|live| Card::new(live, shell.t, now)).collect();
    let ffmpeg_command = guide::ffmpeg_command(&publish_url, shell.t);
    render(&Home { shell, cards, blank: Card::default(), publish_url, ffmpeg_command })
}

/// Cards on the home page; as many as the island asks the API for.
const MAX_CARDS: usize = 100;
