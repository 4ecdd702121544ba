//! What waits for moderators: videos to decide on, what viewers reported, and comments that nobody approved yet.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use millrace_store::{Error, ListedVideo, PageRequest, Report, ReportReason};
use serde::Deserialize;
use time::OffsetDateTime;

use super::super::held::Held;
use super::super::{Shell, clock, render, visibility_message};
use super::{Moment, Rail, enter, failed};
use crate::accounts::permissions::Act;
use crate::api::list::is_cursor;
use crate::headers::PagePolicy;
use crate::{Site, i18n::Messages, visitor::Visitor};

#[derive(Template)]
#[template(path = "admin_review.html")]
struct ReviewPage {
    shell: Shell,
    rail: Rail,
    videos: Vec<Waiting>,
    next: Option<String>,
    reported: Vec<Reported>,
    next_reports: Option<String>,
    held: Held,
}

/// A video that waits.
struct Waiting {
    id: String,
    title: String,
    channel: String,
    channel_title: String,
    description: String,
    /// Path of its picture; empty where it has none.
    picture: String,
    since: Moment,
    /// Message of who may watch it once it is out.
    visibility: &'static str,
    /// Empty where it is not known.
    duration: String,
    version: i64,
}

/// A video that was reported.
struct Reported {
    id: String,
    title: String,
    reports: Vec<ReportRow>,
}

struct ReportRow {
    reason: &'static str,
    words: String,
    reporter: Option<String>,
    at: Moment,
}

#[derive(Default, Deserialize)]
pub(super) struct Which {
    cursor: Option<String>,
    reports: Option<String>,
    comments: Option<String>,
}

pub(super) async fn page(State(site): State<Site>, visitor: Visitor, Query(which): Query<Which>) -> Response {
    let (_, shell, rail) = match enter(&site, visitor, Act::ManageVideos, "admin.review").await {
        Ok(entered) => entered,
        Err(instead) => return *instead,
    };
    let part = |cursor: Option<String>, limit| PageRequest { limit, after: cursor.filter(|cursor| is_cursor(cursor)) };
    let store = &site.accounts.store;
    let read = async {
        let videos = store.videos_in_review(&part(which.cursor, VIDEOS)).await?;
        let reports = store.open_reports(&part(which.reports, REPORTS)).await?;
        Ok::<_, Error>((videos, reports, Held::of(store, None, which.comments, shell.t).await?))
    };
    let (videos, reports, held) = match read.await {
        Ok(read) => read,
        Err(error) => return failed(error),
    };
    let now = OffsetDateTime::now_utc();
    let mut response = render(&ReviewPage {
        videos: videos.items.into_iter().map(|video| Waiting::new(video, now, shell.t)).collect(),
        next: videos.next,
        reported: by_video(reports.items, now, shell.t),
        next_reports: reports.next,
        held,
        shell,
        rail,
    });
    // Each video can be watched in its place.
    response.extensions_mut().insert(PagePolicy::Player);
    response
}

impl Waiting {
    fn new(listed: ListedVideo, now: OffsetDateTime, t: &Messages) -> Self {
        let video = listed.video;
        let cut = video.description.chars().count() > MAX_TEXT;
        let mut description: String = video.description.chars().take(MAX_TEXT).collect();
        if cut {
            description.push('…');
        }
        Self {
            picture: match listed.thumbnail {
                Some(_) => format!("/videos/{}/thumbnail.jpg", video.short_id),
                None => String::new(),
            },
            id: video.short_id,
            title: video.title,
            channel: listed.channel_handle,
            channel_title: listed.channel_title,
            description,
            since: Moment::new(video.created_at.into(), now, t),
            visibility: visibility_message(video.visibility),
            duration: if video.duration > 0 { clock(video.duration) } else { String::new() },
            version: video.version,
        }
    }
}

/// Reports of the same video together, in the order of the first of each.
fn by_video(reports: Vec<Report>, now: OffsetDateTime, t: &Messages) -> Vec<Reported> {
    let mut videos: Vec<Reported> = Vec::new();
    for report in reports {
        let row = ReportRow {
            reason: reason_message(report.reason),
            words: report.words,
            reporter: report.reporter,
            at: Moment::new(report.created_at.into(), now, t),
        };
        match videos.iter_mut().find(|video| video.id == report.short_id) {
            Some(video) => video.reports.push(row),
            None => videos.push(Reported { id: report.short_id, title: report.title, reports: vec![row] }),
        }
    }
    videos
}

/// The message of a reason.
fn reason_message(reason: ReportReason) -> &'static str {
    match reason {
        ReportReason::Spam => "report.spam",
        ReportReason::Abuse => "report.abuse",
        ReportReason::Sexual => "report.sexual",
        ReportReason::Rights => "report.rights",
        ReportReason::Other => "report.other",
    }
}

/// Letters of a description.
const MAX_TEXT: usize = 600;
/// Videos of a page.
const VIDEOS: u32 = 20;
/// Reports of a page.
const REPORTS: u32 = 100;
