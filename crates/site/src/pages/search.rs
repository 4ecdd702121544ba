//! Finding channels: by words, category and language.

use askama::Template;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use axum::response::Response;
use millrace_store::{Channel, ChannelFilter, ChannelOrder};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{Card, ChannelRow, Shell, error, render, urlencode};
use crate::api::list;
use crate::api::live::{LiveOrder, in_order};
use crate::channels::rules;
use crate::source::DEFAULT_APP;
use crate::visitor::Visitor;
use crate::{LiveStream, Problem, Site};

#[derive(Template)]
#[template(path = "search.html")]
struct Search {
    shell: Shell,
    place: Place,
    wanted: Wanted,
    /// The same as a query.
    query: String,
    categories: &'static [(&'static str, &'static str)],
    /// Value, and message of its name.
    languages: &'static [(&'static str, &'static str)],
    orders: [(&'static str, &'static str, bool); 3],
    /// What of it is on air, on the first page.
    cards: Vec<Card>,
    channels: Vec<ChannelRow>,
    /// Address of the next page.
    next: Option<String>,
}

/// What is looked for, by the query.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    q: String,
    /// The first part of a tag; all where it is empty.
    #[serde(default)]
    language: String,
    #[serde(default)]
    sort: LiveOrder,
    cursor: Option<String>,
}

impl Wanted {
    /// The same as a query, without what is as usual and without the cursor; empty where nothing is left.
    fn query(&self) -> String {
        let sort = if self.sort == LiveOrder::default() { "" } else { self.sort.as_str() };
        let pairs = [("q", self.q.as_str()), ("language", &self.language), ("sort", sort)];
        let mut query = String::new();
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            let join = if query.is_empty() { '?' } else { '&' };
            query.push_str(&format!("{join}{name}={}", urlencode(value)));
        }
        query
    }
}

/// Where it is looked for: one of the page's addresses.
struct Place {
    heading: &'static str,
    path: String,
    /// Of this one only, where it is not empty.
    category: String,
}

/// The query as the extractor gives it.
type Asked = Result<Query<Wanted>, QueryRejection>;

pub(super) async fn by_words(State(site): State<Site>, wanted: Asked, visitor: Visitor) -> Response {
    let place = Place { heading: "search.title", path: "/search".to_owned(), category: String::new() };
    page(&site, visitor, place, wanted).await
}

pub(super) async fn browse(State(site): State<Site>, wanted: Asked, visitor: Visitor) -> Response {
    let place = Place { heading: "search.browse", path: "/browse".to_owned(), category: String::new() };
    page(&site, visitor, place, wanted).await
}

pub(super) async fn by_category(
    State(site): State<Site>,
    Path(category): Path<String>,
    wanted: Asked,
    visitor: Visitor,
) -> Response {
    let Some(heading) = rules::category_message(&category) else {
        return error::page(&site, visitor, error::NOT_FOUND);
    };
    let place = Place { heading, path: format!("/browse/{category}"), category };
    page(&site, visitor, place, wanted).await
}

async fn page(site: &Site, visitor: Visitor, place: Place, wanted: Asked) -> Response {
    let Ok(Query(mut wanted)) = wanted else { return error::page(site, visitor, error::NOT_FOUND) };
    let first = wanted.cursor.is_none();
    let request = list::request(Some(PAGE), wanted.cursor.take());
    let (Ok(request), Ok(_)) = (request, rules::language(&wanted.language)) else {
        return error::page(site, visitor, error::NOT_FOUND);
    };
    wanted.language.make_ascii_lowercase();
    let words = rules::words(&wanted.q);
    let mut live = in_order(site.listed().await, wanted.sort);
    live.retain(|stream| stream.is_of(&place.category, &wanted.language) && has(stream, &words));
    live.truncate(MAX_CARDS);
    // What is on air stands at the head of the first page, and on no other.
    let shown: Vec<&str> =
        live.iter().filter(|stream| stream.app == DEFAULT_APP).map(|stream| stream.name.as_str()).collect();
    let filter = ChannelFilter {
        category: &place.category,
        language: &wanted.language,
        words: &words,
        without: &shown,
        order: if wanted.sort == LiveOrder::Name { ChannelOrder::Title } else { ChannelOrder::Newest },
    };
    let found = match site.accounts.store.public_channels(&filter, &request).await {
        Ok(found) => found,
        Err(failure) => {
            Problem::database(failure); // for the log
            return error::broken();
        }
    };
    let title = visitor.language.messages().get(place.heading);
    let query = wanted.query();
    let join = if query.is_empty() { '?' } else { '&' };
    let mut shell = Shell::new(site, visitor, title);
    shell.words.clone_from(&wanted.q);
    let now = OffsetDateTime::now_utc();
    let row = |channel: &Channel| ChannelRow::new(channel, site.live.find(DEFAULT_APP, &channel.handle).is_some());
    render(&Search {
        categories: &rules::CATEGORIES,
        languages: &rules::LANGUAGES,
        orders: LiveOrder::ALL.map(|order| (order.as_str(), order.message(), order == wanted.sort)),
        cards: live.iter().filter(|_| first).map(|stream| Card::new(stream, shell.t, now)).collect(),
        channels: found.items.iter().map(row).collect(),
        next: found.next.map(|cursor| format!("{}{query}{join}cursor={}", place.path, urlencode(&cursor))),
        query,
        place,
        wanted,
        shell,
    })
}

/// Whether all words are in what is known of a stream without asking the database.
fn has(stream: &LiveStream, words: &[String]) -> bool {
    let text = format!("{} {}", stream.name, stream.title.as_deref().unwrap_or_default()).to_lowercase();
    words.iter().all(|word| text.contains(word.as_str()))
}

const PAGE: u32 = 30;
const MAX_CARDS: usize = 24;
