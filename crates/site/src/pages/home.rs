//! Home: who is on air, or how to be the first; then who else is here.

use std::collections::HashSet;

use askama::Template;
use axum::{extract::State, response::Response};
use time::OffsetDateTime;

use super::{Card, ChannelRow, Shell, VideoCard, guide, render};
use crate::source::DEFAULT_APP;
use crate::{Problem, Site, api::site::publish_url, visitor::Visitor};

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    shell: Shell,
    cards: Vec<Card>,
    /// Cards of streams that start later are made from this one in the browser.
    blank: Card,
    /// The newest channels that are not on air.
    further: Vec<ChannelRow>,
    videos: Vec<VideoCard>,
    publish_url: String,
    ffmpeg_command: String,
}

pub(super) async fn page(State(site): State<Site>, visitor: Visitor) -> Response {
    let publish_url = publish_url(&visitor, site.config.rtmp_public_port);
    let shell = Shell::new(&site, visitor, "");
    let now = OffsetDateTime::now_utc();
    let live = site.listed().await;
    let cards = live.iter().take(MAX_CARDS).map(|live| Card::new(live, shell.t, now)).collect();
    let on_air: HashSet<&str> =
        live.iter().filter(|live| live.app == DEFAULT_APP).map(|live| live.name.as_str()).collect();
    // What is on air is shown even where the database fails.
    let newest = site.accounts.channels.newest().await.map_err(Problem::database).unwrap_or_default();
    let further = newest.iter().filter(|channel| !on_air.contains(channel.handle.as_str()));
    let further = further.take(MAX_FURTHER).map(|channel| ChannelRow::new(channel, false)).collect();
    let videos = site.accounts.videos.newest().await.map_err(Problem::database).unwrap_or_default();
    let videos = videos.iter().take(MAX_VIDEOS).map(|listed| VideoCard::new(listed, shell.t)).collect();
    let ffmpeg_command = guide::ffmpeg_command(&publish_url, shell.t);
    render(&Home { shell, cards, blank: Card::default(), further, videos, publish_url, ffmpeg_command })
}

/// Cards on the home page; as many as the island asks the API for.
const MAX_CARDS: usize = 100;
const MAX_FURTHER: usize = 24;
const MAX_VIDEOS: usize = 24;
