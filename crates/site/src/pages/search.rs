//! Finding channels and videos: by words, category and language.

use askama::Template;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use axum::response::Response;
use millrace_store::{At, Channel, ChannelFilter, ChannelOrder, ListedVideo, Page, PageRequest, VideoSearch};
use serde::Deserialize;

use super::{Card, ChannelRow, Shell, VideoCard, error, render, urlencode};
use crate::api::list;
use crate::api::live::{LiveOrder, in_order};
use crate::api::videos::{VideoAge, VideoLength, VideoSort};
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
    videos: Vec<VideoCard>,
    /// Whether something narrows videos alone.
    narrowed: bool,
    /// Value and message of each, and whether it is the present one.
    lengths: Vec<(&'static str, &'static str, bool)>,
    ages: Vec<(&'static str, &'static str, bool)>,
    video_orders: Vec<(&'static str, &'static str, bool)>,
    /// Address of the next page of videos.
    next_videos: Option<String>,
    /// Address of the next page of channels.
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
    /// How long, how old and in which order videos are; what is not known is as if it were not there.
    #[serde(default)]
    duration: String,
    #[serde(default)]
    since: String,
    #[serde(default)]
    order: String,
    /// Where the list of channels goes on.
    cursor: Option<String>,
    /// Where that of videos does.
    videos: Option<String>,
}

/// What a page holds: a further page of one list leaves the other out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Only {
    Both,
    Channels,
    Videos,
}

impl Wanted {
    /// What narrows and orders videos alone, by name.
    fn of_videos(&self) -> [(&'static str, &str); 3] {
        [("duration", &self.duration), ("since", &self.since), ("order", &self.order)]
    }

    /// The same as a query, without what is as usual and without the cursor; empty where nothing is left.
    fn query(&self) -> String {
        let sort = if self.sort == LiveOrder::default() { "" } else { self.sort.as_str() };
        let pairs =
            [("q", self.q.as_str()), ("language", &self.language), ("sort", sort)].into_iter().chain(self.of_videos());
        let mut query = String::new();
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
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
    let only = match (&wanted.cursor, &wanted.videos) {
        (Some(_), _) => Only::Channels,
        (None, Some(_)) => Only::Videos,
        (None, None) => Only::Both,
    };
    let request = list::request(Some(PAGE), wanted.cursor.take());
    let video_request = list::request(Some(PAGE_OF_VIDEOS), wanted.videos.take());
    let (Ok(request), Ok(video_request), Ok(_)) = (request, video_request, rules::language(&wanted.language)) else {
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
    let store = &site.accounts.store;
    let channels = async {
        match only {
            Only::Videos => Ok(Page { items: Vec::new(), next: None }),
            _ => store.public_channels(&filter, &request).await,
        }
    };
    let found = match (channels.await, videos(site, &place, &wanted, only, &video_request).await) {
        (Ok(channels), Ok(videos)) => (channels, videos),
        (Err(failure), _) | (_, Err(failure)) => {
            Problem::database(failure); // for the log
            return error::broken();
        }
    };
    let (found, videos) = found;
    let title = visitor.language.messages().get(place.heading);
    let query = wanted.query();
    let join = if query.is_empty() { '?' } else { '&' };
    let mut shell = Shell::new(site, visitor, title);
    shell.words.clone_from(&wanted.q);
    let now = time::OffsetDateTime::now_utc();
    let row = |channel: &Channel| ChannelRow::new(channel, site.live.find(DEFAULT_APP, &channel.handle).is_some());
    render(&Search {
        categories: &rules::CATEGORIES,
        languages: &rules::LANGUAGES,
        orders: LiveOrder::ALL.map(|order| (order.as_str(), order.message(), order == wanted.sort)),
        cards: live.iter().filter(|_| only == Only::Both).map(|stream| Card::new(stream, shell.t, now)).collect(),
        channels: found.items.iter().map(row).collect(),
        next: found.next.map(|cursor| format!("{}{query}{join}cursor={}", place.path, urlencode(&cursor))),
        next_videos: videos.next.map(|cursor| format!("{}{query}{join}videos={}", place.path, urlencode(&cursor))),
        videos: videos.items.iter().map(|listed| VideoCard::new(listed, shell.t)).collect(),
        lengths: chosen(&LENGTHS, &wanted.duration),
        ages: chosen(&AGES, &wanted.since),
        video_orders: chosen(&ORDERS, &wanted.order),
        narrowed: only == Only::Both && !(wanted.duration.is_empty() && wanted.since.is_empty()),
        query,
        place,
        wanted,
        shell,
    })
}

/// The videos that are looked for.
async fn videos(
    site: &Site,
    place: &Place,
    wanted: &Wanted,
    only: Only,
    request: &PageRequest,
) -> Result<Page<ListedVideo>, millrace_store::Error> {
    if only == Only::Channels {
        return Ok(Page { items: Vec::new(), next: None });
    }
    let usual = if wanted.q.is_empty() { VideoSort::Newest } else { VideoSort::Relevance };
    let order = ORDERS.iter().find(|(_, name, _)| *name == wanted.order).map_or(usual, |(order, ..)| *order);
    let search = VideoSearch {
        words: &wanted.q,
        channel: None,
        category: &place.category,
        language: &wanted.language,
        length: LENGTHS.iter().find(|(_, name, _)| *name == wanted.duration).map(|(length, ..)| (*length).into()),
        since: AGES.iter().find(|(_, name, _)| *name == wanted.since).map(|(age, ..)| age.before(At::now())),
        order: order.into(),
    };
    site.accounts.store.search_videos(&search, request).await
}

/// Options of a choice.
fn chosen<T>(all: &[(T, &'static str, &'static str)], now: &str) -> Vec<(&'static str, &'static str, bool)> {
    all.iter().map(|(_, name, message)| (*name, *message, *name == now)).collect()
}

/// Whether all words are in what is known of a stream without asking the database.
fn has(stream: &LiveStream, words: &[String]) -> bool {
    let text = format!("{} {}", stream.name, stream.title.as_deref().unwrap_or_default()).to_lowercase();
    words.iter().all(|word| text.contains(word.as_str()))
}

const LENGTHS: [(VideoLength, &str, &str); 3] = [
    (VideoLength::Short, "short", "search.short"),
    (VideoLength::Medium, "medium", "search.medium"),
    (VideoLength::Long, "long", "search.long"),
];
const AGES: [(VideoAge, &str, &str); 4] = [
    (VideoAge::Day, "day", "search.day"),
    (VideoAge::Week, "week", "search.week"),
    (VideoAge::Month, "month", "search.month"),
    (VideoAge::Year, "year", "search.year"),
];
const ORDERS: [(VideoSort, &str, &str); 3] = [
    (VideoSort::Relevance, "relevance", "search.relevance"),
    (VideoSort::Newest, "newest", "search.sort_newest"),
    (VideoSort::Views, "views", "search.most_views"),
];
const PAGE: u32 = 30;
const PAGE_OF_VIDEOS: u32 = 24;
const MAX_CARDS: usize = 24;
