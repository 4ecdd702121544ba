//! Finding channels: by words, and by category.

use askama::Template;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use axum::response::Response;
use millrace_store::{Channel, ChannelFilter};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{Avatar, Card, Shell, error, render};
use crate::api::list;
use crate::channels::rules;
use crate::source::DEFAULT_APP;
use crate::visitor::Visitor;
use crate::{LiveStream, Problem, Site};

#[derive(Template)]
#[template(path = "search.html")]
struct Search {
    shell: Shell,
    heading: &'static str,
    /// What was searched.
    words: String,
    category: String,
    categories: &'static [(&'static str, &'static str)],
    /// What is on air of it, on the first page.
    cards: Vec<Card>,
    channels: Vec<ChannelRow>,
    /// Address of the next page.
    next: Option<String>,
}

/// A channel as lists show it.
#[derive(Clone)]
pub(super) struct ChannelRow {
    handle: String,
    title: String,
    avatar: Avatar,
    /// Message of its category.
    category: Option<&'static str>,
    /// The beginning of its description.
    text: String,
    on_air: bool,
}

impl ChannelRow {
    pub(super) fn new(site: &Site, channel: Channel) -> Self {
        Self {
            on_air: site.live.find(DEFAULT_APP, &channel.handle).is_some(),
            category: rules::category_message(&channel.category),
            text: channel.description.lines().next().unwrap_or_default().chars().take(MAX_TEXT).collect(),
            avatar: Avatar::of(&channel.title, channel.avatar.as_deref()),
            handle: channel.handle,
            title: channel.title,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Words {
    #[serde(default)]
    q: String,
    cursor: Option<String>,
}

pub(super) async fn by_words(
    State(site): State<Site>,
    words: Result<Query<Words>, QueryRejection>,
    visitor: Visitor,
) -> Response {
    let Ok(Query(Words { q, cursor })) = words else { return error::page(&site, visitor, error::NOT_FOUND) };
    let heading = "search.title";
    let path = format!("/search?q={}&", urlencode(&q));
    let found = rules::words(&q);
    let lively = |stream: &LiveStream| {
        let text = format!("{} {}", stream.name, stream.title.as_deref().unwrap_or_default()).to_lowercase();
        !found.is_empty() && found.iter().all(|word| text.contains(word.as_str()))
    };
    let filter = ChannelFilter { category: None, words: &found };
    let place = Place { heading, words: &q, category: "", path: &path };
    page(&site, visitor, place, &filter, cursor, lively).await
}

pub(super) async fn browse(
    State(site): State<Site>,
    words: Result<Query<Words>, QueryRejection>,
    visitor: Visitor,
) -> Response {
    let cursor = words.ok().and_then(|Query(words)| words.cursor);
    let place = Place { heading: "search.browse", words: "", category: "", path: "/browse?" };
    page(&site, visitor, place, &ChannelFilter::default(), cursor, |_| true).await
}

pub(super) async fn by_category(
    State(site): State<Site>,
    Path(category): Path<String>,
    words: Result<Query<Words>, QueryRejection>,
    visitor: Visitor,
) -> Response {
    let Some(heading) = rules::category_message(&category) else {
        return error::page(&site, visitor, error::NOT_FOUND);
    };
    let cursor = words.ok().and_then(|Query(words)| words.cursor);
    let filter = ChannelFilter { category: Some(&category), words: &[] };
    let of_it = |stream: &LiveStream| stream.category.as_deref() == Some(&*category);
    let place = Place { heading, words: "", category: &category, path: &format!("/browse/{category}?") };
    page(&site, visitor, place, &filter, cursor, of_it).await
}

/// One of the addresses of the page.
struct Place<'a> {
    heading: &'static str,
    words: &'a str,
    category: &'a str,
    /// To which the cursor of the next page is added.
    path: &'a str,
}

async fn page(
    site: &Site,
    visitor: Visitor,
    Place { heading, words, category, path }: Place<'_>,
    filter: &ChannelFilter<'_>,
    cursor: Option<String>,
    on_air: impl Fn(&LiveStream) -> bool,
) -> Response {
    let first = cursor.is_none();
    let Ok(request) = list::request(Some(PAGE), cursor) else { return error::page(site, visitor, error::NOT_FOUND) };
    let found = match site.accounts.store.public_channels(filter, &request).await {
        Ok(found) => found,
        Err(failure) => {
            Problem::database(failure); // for the log
            return error::broken();
        }
    };
    let title = visitor.language.messages().get(heading);
    let shell = Shell::new(site, visitor, title);
    let now = OffsetDateTime::now_utc();
    let live = if first { site.listed().await } else { Vec::new() };
    let cards = live.iter().filter(|stream| on_air(stream)).take(MAX_CARDS);
    let cards = cards.map(|stream| Card::new(stream, shell.t, now)).collect();
    let next = found.next.map(|cursor| format!("{path}cursor={}", urlencode(&cursor)));
    let channels = found.items.into_iter().map(|channel| ChannelRow::new(site, channel)).collect();
    let (category, words) = (category.to_owned(), words.to_owned());
    render(&Search { shell, heading, words, category, categories: &rules::CATEGORIES, cards, channels, next })
}

/// For a value of a query (RFC 3986, 2.1).
fn urlencode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

const PAGE: u32 = 30;
const MAX_CARDS: usize = 24;
const MAX_TEXT: usize = 200;
