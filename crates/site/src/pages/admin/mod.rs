//! Running the site: what moderators and administrators see. Every page has the same rail; [`enter`] lets in who may.

mod audit;
pub(super) mod dashboard;
mod invitations;
mod jobs;
mod review;
mod settings;
mod storage;
mod streams;
mod trash;
mod users;

use axum::Router;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use time::OffsetDateTime;

use super::{Shell, error, rfc3339};
use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::{Problem, Site, i18n::Messages, visitor::Visitor};

/// The pages' routes.
pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/admin", get(dashboard::page))
        .route("/admin/streams", get(streams::page))
        .route("/admin/users", get(users::list))
        .route("/admin/users/{handle}", get(users::one))
        .route("/admin/registrations", get(users::registrations))
        .route("/admin/invitations", get(invitations::page))
        .route("/admin/review", get(review::page))
        .route("/admin/trash", get(trash::page))
        .route("/admin/jobs", get(jobs::page))
        .route("/admin/storage", get(storage::page))
        .route("/admin/settings", get(settings::page))
        .route("/admin/audit", get(audit::page))
}

/// The rail's entries, from the top: path, message, icon, and what one must be allowed to do to see it.
const ENTRIES: &[(&str, &str, &str, Act)] = &[
    ("/admin", "admin.dashboard", "layout-dashboard", Act::ManageUsers),
    ("/admin/streams", "admin.streams", "radio-tower", Act::ManageStreams),
    (REVIEW, "admin.review", "flag", Act::ManageVideos),
    ("/admin/trash", "admin.trash", "trash-2", Act::ManageVideos),
    ("/admin/users", "admin.users", "users", Act::ManageUsers),
    (REGISTRATIONS, "admin.registrations", "user-check", Act::ManageUsers),
    ("/admin/invitations", "admin.invitations", "mail-plus", Act::ManageUsers),
    ("/admin/jobs", "admin.jobs", "list-checks", Act::RunSite),
    ("/admin/storage", "admin.storage", "hard-drive", Act::RunSite),
    ("/admin/settings", "admin.settings", "sliders-horizontal", Act::RunSite),
    ("/admin/audit", "admin.audit", "scroll-text", Act::RunSite),
];
const REGISTRATIONS: &str = "/admin/registrations";
const REVIEW: &str = "/admin/review";

/// The way between the pages.
pub(super) struct Rail {
    pub(super) entries: Vec<RailEntry>,
}

/// One page of the rail.
pub(super) struct RailEntry {
    pub(super) path: &'static str,
    pub(super) message: &'static str,
    pub(super) icon: &'static str,
    pub(super) current: bool,
    /// What waits there to be done.
    pub(super) waiting: u64,
}

impl Rail {
    /// Whether there is any page for them.
    pub(super) fn leads_somewhere(actor: &Actor) -> bool {
        ENTRIES.iter().any(|(.., act)| actor.may(*act))
    }

    /// `waiting` tells for pages how much waits there.
    fn new(actor: &Actor, path: &str, waiting: &[(&str, u64)]) -> Self {
        let entries = ENTRIES.iter().filter(|(.., act)| actor.may(*act)).map(|&(entry, message, icon, _)| {
            let below = path.strip_prefix(entry).is_some_and(|rest| rest.starts_with('/') && entry != "/admin");
            let waiting = waiting.iter().find(|(page, _)| *page == entry).map_or(0, |(_, waiting)| *waiting);
            RailEntry { path: entry, message, icon, current: path == entry || below, waiting }
        });
        Self { entries: entries.collect() }
    }
}

/// Who may see a page of administration, with what all these pages share; or what others get instead: the page to log in
/// where they are not known, or the one that says that this is not theirs.
///
/// `title` is a message.
pub(super) async fn enter(
    site: &Site,
    visitor: Visitor,
    act: Act,
    title: &str,
) -> Result<(Actor, Shell, Rail), Box<Response>> {
    let Some(actor) = visitor.user.clone() else {
        let next = format!("/login?next={}", visitor.path);
        return Err(Box::new(Redirect::to(&next).into_response()));
    };
    if !actor.may(act) {
        return Err(Box::new(error::page(site, visitor, error::FORBIDDEN)));
    }
    let waiting = waiting(site, &actor).await.map_err(|error| Box::new(failed(error)))?;
    let rail = Rail::new(&actor, &visitor.path, &waiting);
    let title = visitor.language.messages().get(title);
    Ok((actor, Shell::new(site, visitor, title).unlisted(), rail))
}

/// How much waits for somebody to be done, page by page.
async fn waiting(site: &Site, actor: &Actor) -> Result<Vec<(&'static str, u64)>, millrace_store::Error> {
    let (store, mut waiting) = (&site.accounts.store, Vec::new());
    if actor.may(Act::ManageUsers) {
        waiting.push((REGISTRATIONS, store.count_pending_users().await?));
    }
    if actor.may(Act::ManageVideos) {
        waiting.push((REVIEW, store.count_for_moderators().await?));
    }
    Ok(waiting)
}

/// The database failed: the reason goes to the log, the visitor gets the page that says so.
fn failed(error: millrace_store::Error) -> Response {
    Problem::database(error);
    error::broken()
}

/// A point in time for people and programs.
pub(super) struct Moment {
    /// RFC 3339.
    pub(super) at: String,
    /// How long before now, as a span of time.
    pub(super) span: String,
    /// The same in words.
    pub(super) ago: String,
}

impl Moment {
    pub(super) fn new(at: OffsetDateTime, now: OffsetDateTime, t: &Messages) -> Self {
        let span = t.duration(u64::try_from((now - at).whole_seconds()).unwrap_or(0));
        Self { at: rfc3339(at), ago: t.with("admin.ago", "time", &span), span }
    }
}

/// When something is to happen, for people and programs.
pub(super) struct Due {
    /// RFC 3339.
    pub(super) at: String,
    /// In how much time, in words, or that it is due.
    pub(super) left: String,
}

impl Due {
    pub(super) fn new(at: OffsetDateTime, now: OffsetDateTime, t: &Messages) -> Self {
        let left = match u64::try_from((at - now).whole_seconds()) {
            Ok(seconds @ 1..) => t.with("admin.in_time", "time", t.duration(seconds)),
            _ => t.get("admin.due").to_owned(),
        };
        Self { at: rfc3339(at), left }
    }
}

/// When something ends, for people and programs.
pub(super) struct End {
    /// RFC 3339.
    pub(super) at: String,
    /// How much time is left, in words, or that it is over.
    pub(super) left: String,
}

impl End {
    pub(super) fn new(at: OffsetDateTime, now: OffsetDateTime, t: &Messages) -> Self {
        let left = match u64::try_from((at - now).whole_seconds()) {
            Ok(seconds @ 1..) => t.with("site.ends_in", "time", t.duration(seconds)),
            _ => t.get("site.is_over").to_owned(),
        };
        Self { at: rfc3339(at), left }
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::i18n::Language;

    #[test]
    fn what_ends_says_how_much_is_left() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let left = |seconds| End::new(now + Duration::seconds(seconds), now, Language::En.messages()).left;
        assert_eq!(left(7_500), "ends in 2 h 5 min");
        assert_eq!([left(0), left(-7_500)], ["ended", "ended"]);
    }

    #[test]
    fn what_is_to_happen_says_in_how_much_time() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let left = |seconds| Due::new(now + Duration::seconds(seconds), now, Language::En.messages()).left;
        assert_eq!([left(90), left(0), left(-5)], ["in 1 min", "due now", "due now"]);
    }
}
