//! What is behind the address of a page, for sites that link to it (oEmbed 1.0, <https://oembed.com>): the player to show
//! there, and what it shows.
//!
//! The answer is for everybody who reads the other site: what one may watch by a cookie or a token is not in it.

use std::num::NonZeroU32;

use axum::Json;
use axum::extract::{Query, State, rejection::QueryRejection};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use millrace_objects::Key;
use millrace_store::{FileKind, VideoState};
use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::{channel, watch};
use crate::actor::Address;
use crate::api::watch::Ticket;
use crate::pictures;
use crate::videos::VideoLeave;
use crate::visitor::Visitor;
use crate::{ErrorCode, Problem, Site};

/// What is asked (2.2).
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    url: String,
    maxwidth: Option<NonZeroU32>,
    maxheight: Option<NonZeroU32>,
    format: Option<String>,
}

/// What is answered (2.3.4).
#[derive(Debug, Serialize)]
struct Answer {
    version: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    author_name: String,
    author_url: String,
    provider_name: String,
    provider_url: String,
    #[serde(flatten)]
    player: Option<Player>,
    #[serde(flatten)]
    thumbnail: Option<Thumbnail>,
}

#[derive(Debug, Serialize)]
struct Player {
    html: String,
    width: u32,
    height: u32,
}

#[derive(Debug, Serialize)]
struct Thumbnail {
    thumbnail_url: String,
    thumbnail_width: u32,
    thumbnail_height: u32,
}

/// A page that has a player.
#[derive(Debug, PartialEq, Eq)]
enum Page<'a> {
    Video { id: &'a str, start: Option<u32> },
    Channel { name: &'a str, app: Option<String> },
}

/// The room that the other site has.
#[derive(Debug, Clone, Copy)]
struct Room {
    width: u32,
    height: u32,
}

pub(super) async fn answer(
    State(site): State<Site>,
    asked: Result<Query<Asked>, QueryRejection>,
    visitor: Visitor,
    Address(address): Address,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::new(ErrorCode::BadRequest, error.body_text()))?;
    if asked.format.as_deref().is_some_and(|format| format != "json") {
        let words = "there are no answers in this format; ask for format=json";
        return Err(Problem::with_status(StatusCode::NOT_IMPLEMENTED, ErrorCode::BadRequest, words));
    }
    let address_of_page: Uri = asked.url.parse().map_err(|_| nothing())?;
    let page = Page::parse(&address_of_page, &visitor.origin).ok_or_else(nothing)?;
    let pixels = |most: Option<NonZeroU32>| most.map_or(u32::MAX, NonZeroU32::get);
    let room = Room { width: pixels(asked.maxwidth), height: pixels(asked.maxheight) };
    let no_cookies = HeaderMap::new();
    let anybody = Ticket { actor: None, headers: &no_cookies, address, token: None };
    let answer = match page {
        Page::Video { id, start } => video(&site, &visitor, (id, start), room, anybody).await?,
        Page::Channel { name, app } => channel(&site, &visitor, (name, app), room, anybody).await?,
    };
    let mut response = Json(answer).into_response();
    // It says the same to everybody, so that scripts of any page may read it.
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok(response)
}

/// Where a page says what it holds.
pub(super) fn discovery(origin: &str, page: &str) -> String {
    format!("{origin}/oembed?url={}", super::urlencode(page))
}

async fn video(
    site: &Site,
    visitor: &Visitor,
    (id, start): (&str, Option<u32>),
    room: Room,
    ticket: Ticket<'_>,
) -> Result<Answer, Problem> {
    let known = match watch::find(site, id, ticket).await? {
        watch::Found::Open(known, VideoLeave::Anybody) if known.video().state == VideoState::Ready => known,
        watch::Found::ByPassword(_) => return Err(closed()),
        _ => return Err(nothing()),
    };
    let (video, origin) = (known.video(), &visitor.origin);
    let start = start.map(|start| format!("?t={start}")).unwrap_or_default();
    let src = format!("{origin}/embed/{id}{start}");
    let (width, height) = room.fit((video.width, video.height));
    let frame = Frame { src: &src, title: &video.title, width, height, begins: false };
    let player = embeddable(&known.channel).then(|| Player { html: frame.html(), width, height });
    let poster = known.file(FileKind::Poster, "").map(|file| file.object_key.as_str());
    let thumbnail = match poster {
        Some(key) => room.thumbnail(site, key, format!("{origin}{}", super::thumbnail_of(id, key))).await,
        None => None,
    };
    Ok(Answer {
        version: VERSION,
        kind: if player.is_some() { "video" } else { "link" },
        title: video.title.clone(),
        author_name: known.channel.title.clone(),
        author_url: format!("{origin}/@{}", known.channel.handle),
        provider_name: site.name(),
        provider_url: origin.clone(),
        player,
        thumbnail,
    })
}

async fn channel(
    site: &Site,
    visitor: &Visitor,
    (name, app): (&str, Option<String>),
    room: Room,
    ticket: Ticket<'_>,
) -> Result<Answer, Problem> {
    let seed = channel::Seed::find(site, name, app, ticket).await?.ok_or_else(nothing)?;
    let known = seed.channel.as_ref().map(|known| &known.channel);
    if !seed.allowed {
        return Err(closed());
    }
    if known.is_none() && seed.live.is_none() {
        return Err(nothing());
    }
    let origin = &visitor.origin;
    let title = known.map_or_else(|| name.to_owned(), |channel| channel.title.clone());
    let label = visitor.language.messages().with("channel.title", "name", &title);
    let src = format!("{origin}/embed{}", seed.urls.page);
    let (width, height) = room.fit((0, 0));
    let frame = Frame { src: &src, title: &label, width, height, begins: true };
    let player = known.is_none_or(embeddable).then(|| Player { html: frame.html(), width, height });
    let thumbnail = match known.and_then(|channel| channel.avatar.as_deref()) {
        Some(key) => room.thumbnail(site, key, format!("{origin}{}", pictures::url(key))).await,
        None => None,
    };
    Ok(Answer {
        version: VERSION,
        // What it shows changes, and may be nothing.
        kind: if player.is_some() { "rich" } else { "link" },
        author_name: title.clone(),
        title,
        author_url: format!("{origin}{}", seed.urls.page),
        provider_name: site.name(),
        provider_url: origin.clone(),
        player,
        thumbnail,
    })
}

/// Whether any other site may show the channel's players. Where some may, it is the browser that knows which.
fn embeddable(channel: &millrace_store::Channel) -> bool {
    channel.embed_hosts.as_deref() != Some("")
}

impl<'a> Page<'a> {
    /// The page at an address of this site, by whichever scheme.
    fn parse(address: &'a Uri, origin: &str) -> Option<Self> {
        let (_, host) = origin.split_once("://")?;
        let here = matches!(address.scheme_str(), Some("http" | "https"))
            && address.authority().is_some_and(|authority| authority.as_str().eq_ignore_ascii_case(host));
        let path = address.path();
        let channel = path.strip_prefix("/@").or_else(|| path.strip_prefix("/%40"));
        let page = match (channel, path.strip_prefix("/w/")) {
            (Some(name), _) => {
                let Query(which) = Query::<channel::Which>::try_from_uri(address).ok()?;
                Self::Channel { name, app: which.app }
            }
            (None, Some(id)) => {
                let start = Query::<watch::Which>::try_from_uri(address).ok().and_then(|Query(which)| which.start());
                Self::Video { id, start }
            }
            (None, None) => return None,
        };
        here.then_some(page)
    }
}

impl Room {
    /// How large a player of pictures of that size is, or of none.
    fn fit(self, picture: (i64, i64)) -> (u32, u32) {
        let side = |pixels: i64| u32::try_from(pixels).ok().filter(|side| (1..=MAX_SIDE).contains(side));
        let (width, height) = side(picture.0).zip(side(picture.1)).unwrap_or(Frame::SIZE);
        let (most_wide, most_high) = (self.width.min(LONGER_SIDE), self.height.min(LONGER_SIDE));
        let scaled = |side: u32, by: u32, of: u32| (side * by / of).max(1); // below 2^32
        let high = scaled(height, most_wide, width);
        if high <= most_high { (most_wide, high) } else { (scaled(width, most_high, height), most_high) }
    }

    /// The picture under a key, where there is room for it: a larger one may not be told (2.3.4).
    async fn thumbnail(self, site: &Site, key: &str, url: String) -> Option<Thumbnail> {
        let blob = site.accounts.videos.vod().objects().blob(&Key::parse(key)?).await.ok()?;
        let head = blob.read(0..blob.size().min(MAX_HEAD)).await.ok()?;
        let (width, height) = pictures::size_of(&head)?;
        let fits = width <= self.width && height <= self.height;
        fits.then_some(Thumbnail { thumbnail_url: url, thumbnail_width: width, thumbnail_height: height })
    }
}

/// Not everybody may watch: the other site is to show the link alone (2.3.5).
fn closed() -> Problem {
    Problem::new(ErrorCode::Unauthenticated, "not everybody may watch what is at this address")
}

fn nothing() -> Problem {
    Problem::new(ErrorCode::NotFound, "there is nothing to watch at this address")
}

const VERSION: &str = "1.0";
/// Of a player, in pixels.
const LONGER_SIDE: u32 = Frame::SIZE.0;
/// Of a picture that says how large it is, in pixels.
const MAX_SIDE: u32 = 65_535;
/// Of a picture's file, in which it says how large it is: bytes.
const MAX_HEAD: u64 = 64 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_site_with_a_player_are_known() {
        let origin = "https://video.example";
        let page = |address: &'static str| {
            let address = Box::leak(Box::new(address.parse::<Uri>().unwrap()));
            Page::parse(address, origin)
        };
        let video = |start| Some(Page::Video { id: "aaaaaaaaaaa", start });
        let channel = |app: Option<&str>| Some(Page::Channel { name: "engine", app: app.map(str::to_owned) });
        for (address, expected) in [
            ("https://video.example/w/aaaaaaaaaaa", video(None)),
            ("http://VIDEO.example/w/aaaaaaaaaaa?lang=en&t=1:02", video(Some(62))),
            ("https://video.example/@engine", channel(None)),
            ("https://video.example/%40engine?app=other", channel(Some("other"))),
            ("https://video.example:8443/w/aaaaaaaaaaa", None),
            ("https://video.example.evil.example/w/aaaaaaaaaaa", None),
            ("https://video.example@evil.example/w/aaaaaaaaaaa", None),
            ("ftp://video.example/w/aaaaaaaaaaa", None),
            ("/w/aaaaaaaaaaa", None),
            ("https://video.example/", None),
            ("https://video.example/embed/aaaaaaaaaaa", None),
        ] {
            assert_eq!(page(address), expected, "{address}");
        }
    }

    #[test]
    fn a_player_has_the_proportions_of_its_pictures_and_the_room_that_there_is() {
        let all = u32::MAX;
        for (room, picture, expected) in [
            ((all, all), (1920, 1080), (640, 360)),
            ((all, all), (1080, 1920), (360, 640)),
            ((all, all), (0, 0), (640, 360)),
            ((all, all), (100_000, -1), (640, 360)),
            ((320, all), (1920, 1080), (320, 180)),
            ((all, 180), (1920, 1080), (320, 180)),
            ((320, 100), (1920, 1080), (177, 100)),
            ((1, 1), (1920, 1080), (1, 1)),
            ((all, all), (65_535, 1), (640, 1)),
            ((all, all), (1, 65_535), (1, 640)),
        ] {
            assert_eq!(Room { width: room.0, height: room.1 }.fit(picture), expected, "{room:?} {picture:?}");
        }
    }
}
