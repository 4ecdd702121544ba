//! A creator's videos: what became of each, what is said of it, and the trash.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use millrace_store::{PageRequest, Shelf, UserId};
use millrace_vod::jobs::{MakePictures, MakeRendition, Work};
use time::OffsetDateTime;

use super::{Cursor, enter};
use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::api::list::is_cursor;
use crate::api::videos::{
    FailedWork, OwnPart, ProcessingState, ReviewState, Video, VideoMedia, VideoVisibility, VideoWork, own_page,
};
use crate::channels::rules;
use crate::i18n::Messages;
use crate::pages::admin::dashboard::{rate, size};
use crate::pages::admin::{End, Moment};
use crate::pages::{Shell, error, render};
use crate::visitor::Visitor;
use crate::work_words::{sentence, translated};
use crate::{Makes, Problem, Site};

#[derive(Template)]
#[template(path = "studio_videos.html")]
struct List {
    shell: Shell,
    videos: Vec<Row>,
    /// Handle and title of each channel that a video may go to.
    channels: Vec<(String, String)>,
    /// Whether this server takes uploads.
    takes: bool,
    /// The largest file that is taken.
    largest: String,
    /// Message of what is not made of videos here.
    lacks: Option<&'static str>,
    /// What is stored, and how much may be.
    stored: String,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "studio_trash.html")]
struct Trash {
    shell: Shell,
    videos: Vec<Row>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "studio_video.html")]
struct Edit {
    shell: Shell,
    row: Row,
    description: String,
    language: String,
    category: String,
    tags: String,
    version: i64,
    /// When it is published by itself.
    publish_at: Option<End>,
    /// Value, and message of its name.
    categories: &'static [(&'static str, &'static str)],
    /// Value, messages of its name and of what it means, and whether it is the one.
    visibilities: [(&'static str, &'static str, &'static str, bool); 4],
    comments_open: bool,
    downloadable: bool,
    thumbnails: Vec<String>,
    captions: Vec<(String, String)>,
    /// What there is of it: message of its name, and what it is.
    facts: Vec<(&'static str, String)>,
}

/// A video as lists show it.
struct Row {
    id: String,
    title: String,
    channel: String,
    thumbnail: Option<String>,
    /// Its page for viewers; empty where there is nothing to watch yet.
    page: String,
    /// Message of its visibility.
    visibility: &'static str,
    /// What became of it, in a word or two.
    state: String,
    /// Whether its owner should do something.
    attention: bool,
    /// What more there is to say: why it failed, what moderators want, when it is published.
    notes: Vec<String>,
    /// Hundredths that are done of what is being done now.
    progress: Option<u8>,
    /// What is being done now, in words.
    work: String,
    /// Whether it will change by itself before long.
    busy: bool,
    failed: bool,
    /// Message of having it made again, where something came of it that can be mended so.
    again: Option<&'static str>,
    /// Length, bytes, views: those that there are.
    numbers: Vec<String>,
    made: Moment,
    /// When it is deleted for good, where it is in the trash.
    purge: Option<End>,
    /// Whether it is there and only others take it out.
    kept: bool,
}

pub(super) async fn list(
    State(site): State<Site>,
    Query(Cursor { cursor }): Query<Cursor>,
    visitor: Visitor,
) -> Response {
    let (actor, shell) = match enter(&site, visitor, "studio.videos").await {
        Ok(entered) => entered,
        Err(response) => return *response,
    };
    let (videos, next) = match rows(&site, &actor, Shelf::Kept, cursor, shell.t).await {
        Ok(found) => found,
        Err(problem) => return refused(&problem),
    };
    let store = &site.accounts.store;
    let (channels, stored) =
        match (store.channels_of(&actor.user.id).await, store.stored_bytes_of(&actor.user.id).await) {
            (Ok(channels), Ok(stored)) => (channels, stored),
            (Err(error), _) | (_, Err(error)) => return super::failed(error),
        };
    let limits = site.accounts.videos.intake().ok().map(|intake| &intake.config);
    let (t, stored) = (shell.t, u64::try_from(stored).unwrap_or(0));
    let words = match limits.and_then(|limits| limits.quota) {
        Some(quota) => t.with("studio.stored_of", "n", size(stored, t)).replace("{most}", &size(quota, t)),
        None => t.with("studio.stored", "n", size(stored, t)),
    };
    render(&List {
        videos,
        channels: channels.into_iter().map(|channel| (channel.handle, channel.title)).collect(),
        takes: limits.is_some(),
        lacks: limits.and_then(|limits| lacks(limits.makes)),
        largest: limits.map(|limits| size(limits.max_size, t)).unwrap_or_default(),
        stored: words,
        next,
        shell,
    })
}

pub(super) async fn trash(
    State(site): State<Site>,
    Query(Cursor { cursor }): Query<Cursor>,
    visitor: Visitor,
) -> Response {
    let (actor, shell) = match enter(&site, visitor, "studio.trash").await {
        Ok(entered) => entered,
        Err(response) => return *response,
    };
    match rows(&site, &actor, Shelf::Trash, cursor, shell.t).await {
        Ok((videos, next)) => render(&Trash { shell, videos, next }),
        Err(problem) => refused(&problem),
    }
}

pub(super) async fn one(State(site): State<Site>, Path(id): Path<String>, visitor: Visitor) -> Response {
    let again = visitor.clone();
    let (actor, shell) = match enter(&site, visitor, "studio.edit_video").await {
        Ok(entered) => entered,
        Err(response) => return *response,
    };
    let found = match site.accounts.videos.read(&id).await {
        Ok(found) => found,
        Err(error) => return super::failed(error),
    };
    let may_change = |owner: &UserId| *owner == actor.user.id || actor.may(Act::ManageVideos);
    let Some(known) = found.filter(|known| may_change(known.owner())) else {
        return error::page(&site, again, error::NOT_FOUND);
    };
    let video = match Video::own(&site, &known).await {
        Ok(video) => video,
        Err(problem) => return refused(&problem),
    };
    let (t, now) = (shell.t, OffsetDateTime::now_utc());
    let visibilities =
        [VideoVisibility::Public, VideoVisibility::Unlisted, VideoVisibility::Private, VideoVisibility::Password];
    render(&Edit {
        row: Row::new(&video, &actor, t, now),
        publish_at: video.own.as_ref().and_then(|own| own.publish_at).map(|at| End::new(at, now, t)),
        facts: facts(&video, t),
        tags: video.tags.join(", "),
        categories: &rules::CATEGORIES,
        visibilities: visibilities.map(|visibility| {
            let (value, name, hint) = visibility_words(visibility);
            (value, name, hint, visibility == video.visibility)
        }),
        comments_open: video.comments_open,
        downloadable: video.downloadable,
        version: video.version,
        description: video.description,
        language: video.language,
        category: video.category,
        thumbnails: video.media.as_ref().map(|media| media.thumbnails.clone()).unwrap_or_default(),
        captions: video
            .media
            .into_iter()
            .flat_map(|media| media.captions)
            .map(|caption| (caption.language, caption.url))
            .collect(),
        shell,
    })
}

/// A page of somebody's videos, and the cursor of the next.
async fn rows(
    site: &Site,
    actor: &Actor,
    shelf: Shelf,
    cursor: Option<String>,
    t: &'static Messages,
) -> Result<(Vec<Row>, Option<String>), Problem> {
    let after = cursor.filter(|cursor| is_cursor(cursor));
    let page = own_page(site, actor, shelf, &PageRequest { limit: VIDEOS, after }).await?;
    let now = OffsetDateTime::now_utc();
    Ok((page.items.iter().map(|video| Row::new(video, actor, t, now)).collect(), page.next_cursor))
}

impl Row {
    fn new(video: &Video, actor: &Actor, t: &'static Messages, now: OffsetDateTime) -> Self {
        let own = video.own.as_ref();
        let upload = own.and_then(|own| own.upload.as_ref());
        // What runs is told rather than what waits for it.
        let work = own.and_then(|own| own.work.iter().find(|work| work.running).or(own.work.first()));
        let progress = match (upload, work) {
            (Some(upload), _) => Some(percent(upload.received as f64 / upload.length.max(1) as f64)),
            (None, Some(work)) if work.running => Some(percent(work.progress)),
            _ => None,
        };
        let mut numbers = Vec::new();
        if video.duration > 0.0 {
            numbers.push(clock(video.duration));
        }
        if let Some(stored) = own.map(|own| own.stored_bytes).filter(|stored| *stored > 0) {
            numbers.push(size(stored, t));
        }
        let ready = video.state == ProcessingState::Ready;
        let some_failed = own.is_some_and(|own| !own.failed_work.is_empty());
        if ready {
            numbers.push(t.count("studio.views", video.views));
        }
        let (state, attention) = state(video, own, now, t);
        Self {
            id: video.id.clone(),
            title: video.title.clone(),
            channel: video.channel.title.clone(),
            // What is in the trash is on no path, its pictures included.
            thumbnail: video.thumbnail_url.clone().filter(|_| own.is_none_or(|own| own.purge_at.is_none())),
            page: if ready { video.urls.page.clone() } else { String::new() },
            visibility: visibility_words(video.visibility).1,
            state,
            attention,
            notes: own.map(|own| notes(own, work, ready, t)).unwrap_or_default(),
            progress,
            work: work.map(|work| doing(work, t)).unwrap_or_default(),
            busy: upload.is_some()
                || work.is_some()
                || matches!(video.state, ProcessingState::Received | ProcessingState::Processing)
                || own.and_then(|own| own.publish_at).is_some_and(|at| at - now < SOON),
            failed: video.state == ProcessingState::Failed,
            again: match video.state {
                ProcessingState::Failed => Some("studio.retry"),
                // It plays, and something that was to be made of it failed, or there was nobody to make its pictures.
                ProcessingState::Ready if work.is_none() && some_failed => Some("studio.retry"),
                ProcessingState::Ready if work.is_none() && video.width > 0 && video.thumbnail_url.is_none() => {
                    Some("studio.make_again")
                }
                _ => None,
            },
            numbers,
            kept: own.is_some_and(|own| own.kept_by_moderators) && !actor.may(Act::ManageVideos),
            made: Moment::new(video.created_at, now, t),
            purge: own
                .and_then(|own| own.purge_at)
                .map(|at| End { left: t.with("studio.purge", "time", until(at, now, t)), ..End::new(at, now, t) }),
        }
    }
}

fn lacks(makes: Makes) -> Option<&'static str> {
    match makes {
        Makes::All => None,
        Makes::Pictures => Some("studio.makes_pictures"),
        Makes::Nothing => Some("studio.makes_nothing"),
    }
}

/// What became of a video, and whether its owner should see to it.
fn state(video: &Video, own: Option<&OwnPart>, now: OffsetDateTime, t: &Messages) -> (String, bool) {
    let plain = |message: &'static str| t.get(message).to_owned();
    match video.state {
        ProcessingState::Uploading => {
            let upload = own.and_then(|own| own.upload.as_ref());
            let done = upload.map_or(0.0, |upload| upload.received as f64 / upload.length.max(1) as f64);
            (t.with("studio.state_uploading", "n", percent(done)), false)
        }
        ProcessingState::Received => (plain("studio.state_received"), false),
        ProcessingState::Processing => (plain("studio.state_processing"), false),
        ProcessingState::Failed => (plain("studio.state_failed"), true),
        ProcessingState::Ready => match own.map_or(ReviewState::None, |own| own.review) {
            ReviewState::Pending => (plain("studio.state_pending"), false),
            ReviewState::Changes => (plain("studio.state_changes"), true),
            ReviewState::Rejected => (plain("studio.state_rejected"), true),
            ReviewState::None | ReviewState::Approved => match own.and_then(|own| own.publish_at) {
                Some(at) => (t.with("studio.state_scheduled", "time", until(at, now, t)), false),
                None => (plain("studio.state_ready"), false),
            },
        },
    }
}

fn notes(own: &OwnPart, work: Option<&VideoWork>, ready: bool, t: &Messages) -> Vec<String> {
    let mut notes = Vec::new();
    if !own.failure.is_empty() {
        notes.push(sentence(&own.failure, t));
    }
    if !own.review_reason.is_empty() && matches!(own.review, ReviewState::Changes | ReviewState::Rejected) {
        notes.push(t.with("studio.moderators_say", "reason", &own.review_reason));
    }
    if let Some(error) = work.and_then(|work| work.error.as_ref()) {
        notes.push(t.with("studio.tried_again", "reason", translated(error, t)));
    }
    // Of one that does not play, what failed says why already.
    notes.extend(own.failed_work.iter().filter(|_| ready).map(|failed| lacking(failed, t)));
    notes
}

/// What could not be made of a video, and why, in words.
fn lacking(failed: &FailedWork, t: &Messages) -> String {
    let reason = translated(&failed.error, t);
    match (failed.kind.as_str(), &failed.size) {
        (MakeRendition::KIND, Some(size)) if size.bytes().all(|letter| letter.is_ascii_digit()) => {
            t.with("studio.lacks_size", "size", size).replace("{reason}", &reason)
        }
        (MakeRendition::KIND, _) => t.with("studio.lacks_sound", "reason", reason),
        (MakePictures::KIND, _) => t.with("studio.lacks_pictures", "reason", reason),
        _ => t.with("studio.lacks_processing", "reason", reason),
    }
}

/// What is being done with a video, in words.
fn doing(work: &VideoWork, t: &Messages) -> String {
    if !work.running {
        return t.get("studio.work_waits").to_owned();
    }
    let what = t.get(match work.kind.as_str() {
        MakePictures::KIND => "studio.work_pictures",
        MakeRendition::KIND => "studio.work_transcode",
        _ => "studio.work_process",
    });
    let percent = percent(work.progress);
    let note = match work.note.as_str() {
        "" => String::new(),
        note => format!(" · {}", translated(note, t)),
    };
    format!("{what} · {percent} %{note}")
}

/// What there is of a video.
fn facts(video: &Video, t: &Messages) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut add = |name, value: String| {
        if !value.is_empty() {
            facts.push((name, value));
        }
    };
    if let Some(own) = &video.own {
        add("studio.file", own.file_name.clone());
        add("studio.size", if own.stored_bytes > 0 { size(own.stored_bytes, t) } else { String::new() });
    }
    add("studio.length", if video.duration > 0.0 { clock(video.duration) } else { String::new() });
    let pixels = match (video.width, video.height) {
        (0, _) | (_, 0) => String::new(),
        (width, height) => format!("{width} × {height}"),
    };
    add("studio.picture", pixels);
    if let Some(media) = &video.media {
        let VideoMedia { frame_rate, bit_rate, video_codec, audio_codec, renditions, .. } = media;
        let pictures = format!("{}.{:02}", frame_rate / 1000, frame_rate % 1000 / 10);
        let pictures = pictures.trim_end_matches('0').trim_end_matches('.').to_owned();
        add("studio.frame_rate", if *frame_rate > 0 { pictures } else { String::new() });
        add("studio.bitrate", if *bit_rate > 0 { rate(bit_rate / 1000, t) } else { String::new() });
        let codecs = [video_codec.as_str(), audio_codec.as_str()];
        add("studio.codecs", codecs.into_iter().filter(|codec| !codec.is_empty()).collect::<Vec<_>>().join(" · "));
        add("studio.renditions", renditions.iter().map(|height| format!("{height}p")).collect::<Vec<_>>().join(" · "));
    }
    facts
}

fn visibility_words(visibility: VideoVisibility) -> (&'static str, &'static str, &'static str) {
    match visibility {
        VideoVisibility::Public => ("public", "visibility.public", "visibility.public_hint"),
        VideoVisibility::Unlisted => ("unlisted", "visibility.unlisted", "visibility.unlisted_hint"),
        VideoVisibility::Private => ("private", "visibility.private", "studio.private_hint"),
        VideoVisibility::Password => ("password", "visibility.password", "visibility.password_hint"),
    }
}

fn refused(problem: &Problem) -> Response {
    tracing::error!(?problem, "a page of the studio could not be made");
    error::broken()
}

fn until(at: OffsetDateTime, now: OffsetDateTime, t: &Messages) -> String {
    t.duration(u64::try_from((at - now).whole_seconds()).unwrap_or(0))
}

/// Whole hundredths: never all of them before it is done.
fn percent(fraction: f64) -> u8 {
    (fraction.clamp(0.0, 1.0) * 100.0) as u8
}

/// A length as players show it: 1:02:03.
fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Videos on a page.
const VIDEOS: u32 = 30;
/// What is published so soon is watched for.
const SOON: time::Duration = time::Duration::minutes(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_players_show_them() {
        let cases = [(0.4, "0:00"), (59.6, "1:00"), (605.0, "10:05"), (3723.0, "1:02:03"), (360_000.0, "100:00:00")];
        for (seconds, words) in cases {
            assert_eq!(clock(seconds), words);
        }
    }

    #[test]
    fn nothing_is_done_before_it_is() {
        assert_eq!([-1.0, 0.0, 0.999, 1.0, f64::NAN].map(percent), [0, 0, 99, 100, 0]);
    }
}
