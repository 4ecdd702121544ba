//! How much is stored: of what, and for whom.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use millrace_store::PageRequest;
use serde::Deserialize;
use time::OffsetDateTime;

use super::super::{Shell, render};
use super::dashboard::size;
use super::{Moment, Rail, enter, failed};
use crate::accounts::permissions::Act;
use crate::api::admin::storage::stored;
use crate::api::list::is_cursor;
use crate::work_words::translated;
use crate::{Site, visitor::Visitor};

#[derive(Template)]
#[template(path = "admin_storage.html")]
struct StoragePage {
    shell: Shell,
    rail: Rail,
    address: String,
    total: String,
    disk: String,
    garbage: String,
    /// When what is stored was last checked, and what came of it.
    reconciled: Option<(Moment, String)>,
    missing: Vec<Missing>,
    /// Message, how many, how much.
    kinds: Vec<(&'static str, String, String)>,
    users: Vec<UserRow>,
    next: Option<String>,
}

#[derive(Default, Deserialize)]
pub(super) struct Which {
    cursor: Option<String>,
}

/// A file that is missing.
struct Missing {
    video: String,
    title: String,
    /// Message of its kind.
    kind: &'static str,
    name: String,
    key: String,
}

struct UserRow {
    handle: String,
    name: String,
    videos: String,
    size: String,
}

pub(super) async fn page(State(site): State<Site>, visitor: Visitor, Query(which): Query<Which>) -> Response {
    let (_, shell, rail) = match enter(&site, visitor, Act::RunSite, "admin.storage").await {
        Ok(entered) => entered,
        Err(instead) => return *instead,
    };
    let after = which.cursor.filter(|cursor| is_cursor(cursor));
    let stored = match stored(&site, &PageRequest { limit: ACCOUNTS, after }).await {
        Ok(stored) => stored,
        Err(error) => return failed(error),
    };
    let (t, now) = (shell.t, OffsetDateTime::now_utc());
    let kinds = stored.kinds.iter().map(|of| (message(of.kind), t.count("admin.files", of.files), size(of.bytes, t)));
    let missing = stored.missing.into_iter().map(|file| Missing {
        video: file.video,
        title: file.title,
        kind: message(file.kind),
        name: file.name,
        key: file.key,
    });
    let users = stored.users.into_iter().map(|of| UserRow {
        handle: of.handle,
        name: of.display_name,
        videos: t.count("admin.videos", of.videos),
        size: size(of.bytes, t),
    });
    render(&StoragePage {
        address: stored.address,
        next: stored.next_cursor,
        total: size(stored.total_bytes, t),
        disk: stored.disk.map_or_else(
            || "–".to_owned(),
            |disk| {
                t.with("admin.free_of", "free", size(disk.free_bytes, t)).replace("{total}", &size(disk.total_bytes, t))
            },
        ),
        garbage: t.abbreviate(stored.garbage),
        reconciled: stored.reconciled.map(|last| (Moment::new(last.at, now, t), translated(&last.note, t))),
        missing: missing.collect(),
        kinds: kinds.collect(),
        users: users.collect(),
        shell,
        rail,
    })
}

/// The message of a kind of file.
fn message(kind: &'static str) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or(kind, |(_, message)| message)
}

/// Accounts of a page.
const ACCOUNTS: u32 = 20;
/// The message of each kind of file.
const KINDS: &[(&str, &str)] = &[
    ("original", "stored.original"),
    ("remux", "stored.remux"),
    ("rendition", "stored.rendition"),
    ("thumbnail", "stored.thumbnail"),
    ("poster", "stored.poster"),
    ("storyboard", "stored.storyboard"),
    ("storyboard-index", "stored.storyboard_index"),
    ("caption", "stored.caption"),
];

#[cfg(test)]
mod tests {
    use millrace_store::FileKind;

    use super::*;

    #[test]
    fn every_kind_has_its_words() {
        let known: Vec<_> = KINDS.iter().map(|(kind, _)| *kind).collect();
        let all: Vec<_> = FileKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(known, all);
    }
}
