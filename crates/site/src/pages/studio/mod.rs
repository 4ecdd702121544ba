//! The studio: a creator's channels, how to go live, what arrives, and what was on air; and their videos.

mod videos;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use millrace_store::{Channel, LiveSession, PageRequest, StreamKey, Visibility};
use serde::Deserialize;
use time::OffsetDateTime;

use super::admin::{End, Moment};
use super::channel::Seed;
use super::held::Held;
use super::{Avatar, Shell, error, render, visibility_message};
use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::api::broadcasts::mean_viewers;
use crate::api::list::is_cursor;
use crate::api::site::publish_url;
use crate::channels::{keys, rules};
use crate::headers::PagePolicy;
use crate::i18n::Messages;
use crate::pictures;
use crate::source::DEFAULT_APP;
use crate::visitor::Visitor;
use crate::{LiveUrls, Problem, Site};

/// The pages' routes.
pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/studio", get(page))
        .route("/studio/videos", get(videos::list))
        .route("/studio/videos/{id}", get(videos::one))
        .route("/studio/comments", get(comments))
        .route("/studio/trash", get(videos::trash))
        .route("/studio/{handle}", get(channel))
        .route("/studio/{handle}/settings", get(settings))
}

#[derive(Template)]
#[template(path = "studio.html")]
struct Studio {
    shell: Shell,
    channels: Vec<Own>,
}

/// A channel in the list of one's own.
struct Own {
    handle: String,
    title: String,
    avatar: Avatar,
    on_air: bool,
    visibility: &'static str,
}

#[derive(Template)]
#[template(path = "studio_channel.html")]
struct GoLive {
    shell: Shell,
    handle: String,
    /// Its name for people.
    heading: String,
    publish_url: String,
    keys: Vec<Key>,
    on_air: bool,
    /// Pictures, and kilobits per second that suit them.
    advice: [(&'static str, String); 4],
    /// What the player needs.
    app: &'static str,
    name: String,
    urls: LiveUrls,
    token: Option<String>,
    hls_elsewhere: String,
    live_json: Option<String>,
    last_on: Option<String>,
    broadcasts: Vec<Broadcast>,
    /// The cursor of the broadcasts before these.
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "studio_comments.html")]
struct Comments {
    shell: Shell,
    held: Held,
}

struct Key {
    id: String,
    label: String,
    key: Option<String>,
    ends: Option<End>,
    last_used: Option<Moment>,
}

struct Broadcast {
    started: Moment,
    /// How long it was on air; empty while it is.
    length: String,
    why: &'static str,
    peak: i64,
    mean: String,
    received: String,
    sent: String,
    format: String,
}

#[derive(Template)]
#[template(path = "studio_settings.html")]
struct Settings {
    shell: Shell,
    channel: Channel,
    /// Addresses of its pictures; empty without one.
    avatar: String,
    banner: String,
    tags: String,
    links: String,
    /// Value, and message of its name.
    categories: &'static [(&'static str, &'static str)],
    visibilities: [(&'static str, &'static str, &'static str, bool); 4],
    embed_anywhere: bool,
    embed_hosts: String,
    viewers: Vec<(String, String)>,
    more_viewers: bool,
}

impl Settings {
    /// Where the API takes one of the channel's pictures.
    fn path_of(&self, picture: &str) -> String {
        format!("/api/v1/channels/{}/{picture}", self.channel.handle)
    }
}

#[derive(Deserialize)]
struct Cursor {
    cursor: Option<String>,
}

async fn page(State(site): State<Site>, visitor: Visitor) -> Response {
    let (actor, shell) = match enter(&site, visitor, "studio.title").await {
        Ok(entered) => entered,
        Err(response) => return *response,
    };
    let channels = match site.accounts.store.channels_of(&actor.user.id).await {
        Ok(channels) => channels,
        Err(error) => return failed(error),
    };
    let channels = channels.into_iter().map(|channel| Own {
        on_air: site.live.find(DEFAULT_APP, &channel.handle).is_some(),
        visibility: visibility_message(channel.visibility),
        avatar: Avatar::of(&channel.title, channel.avatar.as_deref()),
        handle: channel.handle,
        title: channel.title,
    });
    render(&Studio { channels: channels.collect(), shell })
}

/// What waits for a creator below their videos.
async fn comments(State(site): State<Site>, Query(Cursor { cursor }): Query<Cursor>, visitor: Visitor) -> Response {
    let (actor, shell) = match enter(&site, visitor, "studio.comments").await {
        Ok(entered) => entered,
        Err(response) => return *response,
    };
    match Held::of(&site.accounts.store, Some(&actor.user.id), cursor, shell.t).await {
        Ok(held) => render(&Comments { shell, held }),
        Err(error) => failed(error),
    }
}

async fn channel(
    State(site): State<Site>,
    Path(handle): Path<String>,
    Query(Cursor { cursor }): Query<Cursor>,
    visitor: Visitor,
) -> Response {
    let publish_url = publish_url(&visitor, site.config.rtmp_public_port);
    let (channel, shell) = match own(&site, visitor, &handle).await {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let store = &site.accounts.store;
    let page = PageRequest { limit: BROADCASTS, after: cursor.filter(|cursor| is_cursor(cursor)) };
    let (keys, broadcasts) =
        match (store.stream_keys_of(&channel.id).await, store.live_sessions(&channel.id, &page).await) {
            (Ok(keys), Ok(broadcasts)) => (keys, broadcasts),
            (Err(error), _) | (_, Err(error)) => return failed(error),
        };
    let (t, now) = (shell.t, OffsetDateTime::now_utc());
    let Seed { urls, elsewhere, live, live_json, last_on, .. } = match Seed::own(&site, &handle).await {
        Ok(seed) => seed,
        Err(error) => return failed(error),
    };
    let mut response = render(&GoLive {
        keys: keys.iter().map(|key| Key::new(&site, key, t, now)).collect(),
        broadcasts: broadcasts.items.iter().map(|row| Broadcast::new(row, t, now)).collect(),
        next: broadcasts.next,
        on_air: live.is_some(),
        advice: ADVICE.map(|(picture, rate)| (picture, t.with("script.unit_kbit", "n", rate))),
        app: DEFAULT_APP,
        name: handle,
        heading: channel.title,
        handle: channel.handle,
        publish_url,
        urls,
        token: None,
        hls_elsewhere: elsewhere.hls,
        live_json,
        last_on,
        shell: shell.with_player(),
    });
    response.extensions_mut().insert(PagePolicy::Player);
    response
}

async fn settings(State(site): State<Site>, Path(handle): Path<String>, visitor: Visitor) -> Response {
    let (channel, shell) = match own(&site, visitor, &handle).await {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let all = PageRequest { limit: VIEWERS, after: None };
    let viewers = match site.accounts.store.invited_viewers(&channel.id, &all).await {
        Ok(viewers) => viewers,
        Err(error) => return failed(error),
    };
    let links = rules::list::<rules::Link>(&channel.links);
    let hosts = rules::hosts(&channel);
    let visibilities = [Visibility::Public, Visibility::Unlisted, Visibility::Private, Visibility::Password];
    render(&Settings {
        tags: rules::list::<String>(&channel.tags).join(", "),
        links: links.iter().map(|link| format!("{} {}", link.url, link.title)).collect::<Vec<_>>().join("\n"),
        categories: &rules::CATEGORIES,
        visibilities: visibilities.map(|visibility| {
            let message = visibility_message(visibility);
            (visibility.as_str(), message, visibility_hint(visibility), visibility == channel.visibility)
        }),
        embed_anywhere: hosts.is_none(),
        embed_hosts: hosts.unwrap_or_default().join(" "),
        avatar: channel.avatar.as_deref().map(pictures::url).unwrap_or_default(),
        banner: channel.banner.as_deref().map(pictures::url).unwrap_or_default(),
        more_viewers: viewers.next.is_some(),
        viewers: viewers.items.into_iter().map(|user| (user.handle, user.display_name)).collect(),
        channel,
        shell,
    })
}

/// Who may see the studio; or what others get instead.
async fn enter(site: &Site, visitor: Visitor, title: &str) -> Result<(Actor, Shell), Box<Response>> {
    let Some(actor) = visitor.user.clone() else {
        return Err(Box::new(Redirect::to(&format!("/login?next={}", visitor.path)).into_response()));
    };
    if !actor.may(Act::OwnChannels) {
        return Err(Box::new(error::page(site, visitor, error::NO_CREATOR)));
    }
    let held_comments = site.accounts.store.count_held_comments(Some(&actor.user.id)).await;
    let held_comments = held_comments.map_err(|error| Box::new(failed(error)))?;
    let title = visitor.language.messages().get(title);
    let mut shell = Shell::new(site, visitor, title).unlisted();
    shell.held_comments = held_comments;
    Ok((actor, shell))
}

/// One's own channel, or what others get instead.
async fn own(site: &Site, visitor: Visitor, handle: &str) -> Result<(Channel, Shell), Box<Response>> {
    let again = visitor.clone();
    let (actor, shell) = enter(site, visitor, "studio.title").await?;
    let found = site.accounts.store.channel_by_handle(handle).await.map_err(|error| Box::new(failed(error)))?;
    match found.filter(|channel| channel.owner_id == actor.user.id) {
        Some(channel) => Ok((channel, shell)),
        None => Err(Box::new(error::page(site, again, error::NOT_FOUND))),
    }
}

fn failed(error: millrace_store::Error) -> Response {
    Problem::database(error); // for the log
    error::broken()
}

impl Key {
    fn new(site: &Site, key: &StreamKey, t: &Messages, now: OffsetDateTime) -> Self {
        Self {
            id: key.id.to_string(),
            label: key.label.clone(),
            key: keys::read(&site.accounts.sealer, key),
            ends: key.expires_at.map(|end| End::new(end.into(), now, t)),
            last_used: key.last_used_at.map(|at| Moment::new(at.into(), now, t)),
        }
    }
}

impl Broadcast {
    fn new(row: &LiveSession, t: &'static Messages, now: OffsetDateTime) -> Self {
        let length = |end: i64| t.duration(u64::try_from((end - row.started_at.0) / 1000).unwrap_or(0));
        let size = match (row.width, row.height) {
            (1.., 1..) => format!("{}p", row.width.min(row.height)),
            _ => String::new(),
        };
        let codecs = [size, row.video_codec.clone(), row.audio_codec.clone()];
        Self {
            started: Moment::new(row.started_at.into(), now, t),
            length: row.ended_at.map(|end| length(end.0)).unwrap_or_default(),
            why: end_message(row.end_reason.as_deref()).map(|message| t.get(message)).unwrap_or_default(),
            peak: row.peak_viewers,
            mean: mean_viewers(row).map(|mean| mean.to_string()).unwrap_or_default(),
            received: megabytes(row.received_bytes),
            sent: megabytes(row.sent_bytes),
            format: codecs.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · "),
        }
    }
}

/// The message of why a broadcast ended.
fn end_message(reason: Option<&str>) -> Option<&'static str> {
    match reason? {
        "finished" => Some("ended.finished"),
        "lost" => Some("ended.lost"),
        "kicked" => Some("ended.kicked"),
        "stopped" => Some("ended.stopped"),
        "crashed" => Some("ended.crashed"),
        _ => None,
    }
}

fn megabytes(bytes: i64) -> String {
    format!("{} MB", (bytes + 500_000) / 1_000_000)
}

fn visibility_hint(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => "visibility.public_hint",
        Visibility::Unlisted => "visibility.unlisted_hint",
        Visibility::Private => "visibility.private_hint",
        Visibility::Password => "visibility.password_hint",
    }
}

/// Size and pictures a second, with the kilobits per second that suit them.
const ADVICE: [(&str, &str); 4] =
    [("1920 × 1080, 60", "6000"), ("1920 × 1080, 30", "4500"), ("1280 × 720, 30", "2500"), ("854 × 480, 30", "1200")];
/// Broadcasts on a page.
const BROADCASTS: u32 = 20;
/// Accounts that are listed as invited.
const VIEWERS: u32 = 100;
