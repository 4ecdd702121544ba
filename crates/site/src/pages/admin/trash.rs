//! What is in the trash, whoever it is of, with a way back.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use millrace_store::PageRequest;
use serde::Deserialize;
use time::OffsetDateTime;

use super::super::{Shell, render};
use super::{End, Moment, Rail, enter, failed};
use crate::accounts::permissions::Act;
use crate::api::admin::trash::{TrashPage, TrashedVideo};
use crate::api::list::is_cursor;
use crate::i18n::Messages;
use crate::{Site, visitor::Visitor};

#[derive(Template)]
#[template(path = "admin_trash.html")]
struct Trash {
    shell: Shell,
    rail: Rail,
    videos: Vec<Row>,
    next: Option<String>,
}

struct Row {
    id: String,
    title: String,
    channel: String,
    channel_title: String,
    /// Who put it there, in words.
    by: String,
    since: Moment,
    /// When it is deleted for good.
    end: End,
}

#[derive(Default, Deserialize)]
pub(super) struct Which {
    cursor: Option<String>,
}

pub(super) async fn page(State(site): State<Site>, visitor: Visitor, Query(which): Query<Which>) -> Response {
    let (_, shell, rail) = match enter(&site, visitor, Act::ManageVideos, "admin.trash").await {
        Ok(entered) => entered,
        Err(instead) => return *instead,
    };
    let after = which.cursor.filter(|cursor| is_cursor(cursor));
    let page = match TrashPage::of(&site, &PageRequest { limit: VIDEOS, after }).await {
        Ok(page) => page,
        Err(error) => return failed(error),
    };
    let now = OffsetDateTime::now_utc();
    let videos = page.items.into_iter().map(|video| Row::new(video, now, shell.t)).collect();
    render(&Trash { videos, next: page.next_cursor, shell, rail })
}

impl Row {
    fn new(video: TrashedVideo, now: OffsetDateTime, t: &Messages) -> Self {
        let end = End::new(video.purge_at, now, t);
        let left = t.duration(u64::try_from((video.purge_at - now).whole_seconds()).unwrap_or(0));
        Self {
            by: match video.trashed_by {
                _ if video.by_owner => t.get("admin.trashed_by_owner").to_owned(),
                Some(handle) => t.with("admin.trashed_by", "name", handle),
                None => t.get("admin.trashed_by_gone").to_owned(),
            },
            id: video.id,
            title: video.title,
            channel: video.channel,
            channel_title: video.channel_title,
            since: Moment::new(video.trashed_at, now, t),
            end: End { left: t.with("studio.purge", "time", left), ..end },
        }
    }
}

/// Videos of a page.
const VIDEOS: u32 = 30;
