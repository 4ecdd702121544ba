//! The pages, rendered on the server by askama; they read without JavaScript.

mod about;
mod account;
mod admin;
mod avatar;
mod channel;
mod comments;
mod device;
mod embed;
pub(crate) mod error;
mod frame;
mod guide;
mod held;
mod home;
mod oembed;
mod search;
mod shell;
mod studio;
mod watch;
mod when;

use askama::Template;
use axum::{
    Router,
    response::{Html, IntoResponse, Response},
    routing::get,
};

use millrace_store::{Channel, ListedVideo, Visibility};

use crate::channels::rules;
use crate::{LiveState, LiveStream, Site, i18n::Messages};

use self::avatar::Avatar;
use self::shell::Shell;
use self::when::When;

/// The pages' routes.
pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/", get(home::page))
        .route("/go-live", get(guide::page))
        .route("/@{name}", get(channel::page))
        .route("/w/{id}/comments", get(comments::alone))
        .route("/embed/@{name}", get(embed::page))
        .route("/w/{id}", get(watch::page))
        .route("/embed/{id}", get(watch::embed))
        .route("/oembed", get(oembed::answer))
        .route("/login", get(account::log_in))
        .route("/register", get(account::register))
        .route("/setup", get(account::set_up))
        .route("/forgot", get(account::forgot))
        .route("/reset", get(account::reset))
        .route("/confirm", get(account::confirm))
        .route("/settings", get(account::settings))
        .route("/search", get(search::by_words))
        .route("/browse", get(search::browse))
        .route("/browse/{category}", get(search::by_category))
        .route("/about", get(about::page))
        .route("/about/api", get(about::api))
        .merge(studio::routes())
        .merge(admin::routes())
}

/// `template` as an answer. A template writes into memory, so only a defect in it can fail.
fn render(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            error::broken()
        }
    }
}

/// A live stream as a card shows it.
#[derive(Debug, Default)]
struct Card {
    id: String,
    name: String,
    avatar: Avatar,
    page: String,
    thumbnail: String,
    started_at: String,
    uptime: String,
    viewers: String,
    /// Empty where the picture's size is not known.
    quality: String,
    badge: String,
    sound_only: bool,
    /// Whether the publisher is away and may return.
    waiting: bool,
}

impl Card {
    fn new(stream: &LiveStream, t: &Messages, now: time::OffsetDateTime) -> Self {
        let waiting = stream.state == LiveState::Reconnecting;
        let seconds = u64::try_from((now - stream.started_at).whole_seconds()).unwrap_or(0);
        Self {
            id: format!("{}/{}", stream.app, stream.name),
            name: stream.title.clone().unwrap_or_else(|| stream.name.clone()),
            avatar: Avatar::new(stream.title.as_deref().unwrap_or(&stream.name), stream.avatar_url.clone()),
            page: stream.urls.page.clone(),
            thumbnail: stream.urls.thumbnail.clone(),
            started_at: rfc3339(stream.started_at),
            uptime: t.duration(seconds),
            viewers: t.count("script.viewers", u64::from(stream.viewers)),
            quality: match &stream.video {
                Some(video) => {
                    let size = video.width.zip(video.height);
                    size.map(|(width, height)| format!("{}p", width.min(height))).unwrap_or_default()
                }
                None => t.get("script.audio_only").to_owned(),
            },
            badge: t.get(if waiting { "script.waiting" } else { "script.live" }).to_owned(),
            sound_only: stream.video.is_none(),
            waiting,
        }
    }
}

/// A video as a card shows it.
#[derive(Debug)]
struct VideoCard {
    page: String,
    title: String,
    thumbnail: Option<String>,
    /// Empty where it is not known.
    duration: String,
    channel: String,
    avatar: Avatar,
    views: String,
    published: Option<When>,
}

impl VideoCard {
    fn new(listed: &ListedVideo, t: &Messages) -> Self {
        let video = &listed.video;
        Self {
            page: format!("/w/{}", video.short_id),
            title: video.title.clone(),
            thumbnail: listed.thumbnail.as_ref().map(|key| thumbnail_of(&video.short_id, key)),
            duration: if video.duration > 0 { clock(video.duration) } else { String::new() },
            channel: listed.channel_title.clone(),
            avatar: Avatar::of(&listed.channel_title, listed.channel_avatar.as_deref()),
            views: t.count("video.views", u64::try_from(video.views).unwrap_or(0)),
            published: video.published_at.map(|at| When::ago(at, t)),
        }
    }
}

/// The path of the picture under that key, which stands for a video.
fn thumbnail_of(id: &str, key: &str) -> String {
    format!("/videos/{id}/thumbnail.jpg?v={}", &key[..key.len().min(8)])
}

/// The message of who may watch.
fn visibility_message(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => "visibility.public",
        Visibility::Unlisted => "visibility.unlisted",
        Visibility::Private => "visibility.private",
        Visibility::Password => "visibility.password",
    }
}

/// Milliseconds as a clock shows them: `2:03`, `1:02:03`.
fn clock(millis: i64) -> String {
    let seconds = (millis + 500) / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A channel as lists show it.
struct ChannelRow {
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
    fn new(channel: &Channel, on_air: bool) -> Self {
        Self {
            on_air,
            category: rules::category_message(&channel.category),
            text: channel.description.lines().next().unwrap_or_default().chars().take(MAX_TEXT).collect(),
            avatar: Avatar::of(&channel.title, channel.avatar.as_deref()),
            handle: channel.handle.clone(),
            title: channel.title.clone(),
        }
    }
}

fn rfc3339(time: time::OffsetDateTime) -> String {
    time.truncate_to_millisecond().format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
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

/// Letters of a description in a list.
const MAX_TEXT: usize = 200;
