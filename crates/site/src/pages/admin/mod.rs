//! Running the site: what moderators and administrators see. Every page has the same rail; [`enter`] lets in who may.

mod settings;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::{Shell, error};
use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::{Site, visitor::Visitor};

/// The pages' routes.
pub(super) fn routes() -> Router<Site> {
    Router::new().route("/admin", get(first)).route("/admin/settings", get(settings::page))
}

/// To the first page that they may see.
async fn first(State(site): State<Site>, visitor: Visitor) -> Response {
    let first = visitor.user.as_ref().and_then(|actor| ENTRIES.iter().find(|(.., act)| actor.may(*act)));
    match first {
        Some((path, ..)) => Redirect::to(path).into_response(),
        None => {
            enter(&site, visitor, Act::ManageUsers, "admin.title").map_or_else(|instead| *instead, |_| error::broken())
        }
    }
}

/// The rail's entries, from the top: path, message, icon, and what one must be allowed to do to see it.
const ENTRIES: &[(&str, &str, &str, Act)] =
    &[("/admin/settings", "admin.settings", "sliders-horizontal", Act::RunSite)];

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
}

impl Rail {
    /// Whether there is any page for them.
    pub(super) fn leads_somewhere(actor: &Actor) -> bool {
        ENTRIES.iter().any(|(.., act)| actor.may(*act))
    }

    fn new(actor: &Actor, path: &str) -> Self {
        let entries = ENTRIES.iter().filter(|(.., act)| actor.may(*act)).map(|&(entry, message, icon, _)| {
            let below = path.strip_prefix(entry).is_some_and(|rest| rest.starts_with('/') && entry != "/admin");
            RailEntry { path: entry, message, icon, current: path == entry || below }
        });
        Self { entries: entries.collect() }
    }
}

/// Who may see a page of administration, with what all these pages share; or what others get instead: the page to log in
/// where they are not known, or the one that says that this is not theirs.
///
/// `title` is a message.
pub(super) fn enter(
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
    let rail = Rail::new(&actor, &visitor.path);
    let title = visitor.language.messages().get(title);
    Ok((actor, Shell::new(site, visitor, title).unlisted(), rail))
}
