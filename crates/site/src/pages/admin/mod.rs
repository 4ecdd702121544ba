//! Running the site: what moderators and administrators see. Every page has the same rail; [`enter`] lets in who may.

mod audit;
pub(super) mod dashboard;
mod invitations;
mod settings;
mod streams;
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
        .route("/admin/settings", get(settings::page))
        .route("/admin/audit", get(audit::page))
}

/// The rail's entries, from the top: path, message, icon, and what one must be allowed to do to see it.
const ENTRIES: &[(&str, &str, &str, Act)] = &[
    ("/admin", "admin.dashboard", "layout-dashboard", Act::ManageUsers),
    ("/admin/streams", "admin.streams", "radio-tower", Act::ManageStreams),
    ("/admin/users", "admin.users", "users", Act::ManageUsers),
    (REGISTRATIONS, "admin.registrations", "user-check", Act::ManageUsers),
    ("/admin/invitations", "admin.invitations", "mail-plus", Act::ManageUsers),
    ("/admin/settings", "admin.settings", "sliders-horizontal", Act::RunSite),
    ("/admin/audit", "admin.audit", "scroll-text", Act::RunSite),
];
const REGISTRATIONS: &str = "/admin/registrations";

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

    fn new(actor: &Actor, path: &str, pending: u64) -> Self {
        let entries = ENTRIES.iter().filter(|(.., act)| actor.may(*act)).map(|&(entry, message, icon, _)| {
            let below = path.strip_prefix(entry).is_some_and(|rest| rest.starts_with('/') && entry != "/admin");
            let waiting = if entry == REGISTRATIONS { pending } else { 0 };
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
    let pending = match actor.may(Act::ManageUsers) {
        true => site.accounts.store.count_pending_users().await.map_err(|error| Box::new(failed(error)))?,
        false => 0,
    };
    let rail = Rail::new(&actor, &visitor.path, pending);
    let title = visitor.language.messages().get(title);
    Ok((actor, Shell::new(site, visitor, title).unlisted(), rail))
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
}
