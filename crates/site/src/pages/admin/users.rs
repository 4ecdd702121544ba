//! Accounts of others, and those who wait to be let in.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use millrace_store::{Error, PageRequest, Role, User, UserFilter, UserState};
use serde::Deserialize;
use time::OffsetDateTime;

use super::super::{Avatar, Shell, error, render};
use super::{Moment, Rail, enter, failed};
use crate::accounts::permissions::{Act, may_change};
use crate::api::list::is_cursor;
use crate::{Site, visitor::Visitor};

#[derive(Template)]
#[template(path = "admin_users.html")]
struct Users {
    shell: Shell,
    rail: Rail,
    search: String,
    role: String,
    state: String,
    roles: &'static [Role],
    states: &'static [UserState],
    users: Vec<Row>,
    next: Option<String>,
    /// Whether anything narrows the list.
    narrowed: bool,
}

#[derive(Template)]
#[template(path = "admin_registrations.html")]
struct Registrations {
    shell: Shell,
    rail: Rail,
    users: Vec<Row>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "admin_user.html")]
struct Account {
    shell: Shell,
    rail: Rail,
    user: Row,
    bio: String,
    email_verified: bool,
    second_factor: bool,
    sessions: usize,
    /// Handles of the channels.
    channels: Vec<String>,
    version: i64,
    /// Roles that the visitor can give; none where nothing can be changed.
    roles: Vec<Role>,
    /// Whether the visitor can delete it here.
    can_delete: bool,
    own: bool,
}

/// An account as lists show it.
struct Row {
    handle: String,
    display_name: String,
    avatar: Avatar,
    email: Option<String>,
    role: Role,
    state: UserState,
    created: Moment,
    last_login: Option<Moment>,
}

#[derive(Default, Deserialize)]
pub(super) struct Which {
    search: Option<String>,
    role: Option<String>,
    state: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn list(State(site): State<Site>, visitor: Visitor, Query(which): Query<Which>) -> Response {
    let (_, shell, rail) = match enter(&site, visitor, Act::ManageUsers, "admin.users").await {
        Ok(entered) => entered,
        Err(instead) => return *instead,
    };
    let search = which.search.unwrap_or_default();
    let role = which.role.and_then(|role| Role::try_from(role).ok());
    let state = which.state.and_then(|state| UserState::try_from(state).ok());
    let filter = UserFilter { words: &search, role, state };
    let page = match site.accounts.store.find_users(&filter, &page_from(which.cursor)).await {
        Ok(page) => page,
        Err(error) => return failed(error),
    };
    render(&Users {
        users: rows(&page.items, &shell),
        next: page.next,
        narrowed: !search.is_empty() || role.is_some() || state.is_some(),
        role: role.map_or("", Role::as_str).to_owned(),
        state: state.map_or("", UserState::as_str).to_owned(),
        search,
        roles: Role::ALL,
        states: UserState::ALL,
        shell,
        rail,
    })
}

pub(super) async fn registrations(State(site): State<Site>, visitor: Visitor, Query(which): Query<Which>) -> Response {
    let (_, shell, rail) = match enter(&site, visitor, Act::ManageUsers, "admin.registrations").await {
        Ok(entered) => entered,
        Err(instead) => return *instead,
    };
    match site.accounts.store.users(Some(UserState::Pending), &page_from(which.cursor)).await {
        Ok(page) => render(&Registrations { users: rows(&page.items, &shell), next: page.next, shell, rail }),
        Err(error) => failed(error),
    }
}

pub(super) async fn one(State(site): State<Site>, visitor: Visitor, Path(handle): Path<String>) -> Response {
    let not_there = visitor.clone();
    let (actor, mut shell, rail) = match enter(&site, visitor, Act::ManageUsers, "admin.users").await {
        Ok(entered) => entered,
        Err(instead) => return *instead,
    };
    let read = async {
        let Some(user) = site.accounts.store.user_by_handle(&handle).await? else { return Ok(None) };
        let sessions = site.accounts.store.sessions_of(&user.id).await?.len();
        let channels = site.accounts.store.channels_of(&user.id).await?;
        Ok::<_, Error>(Some((user, sessions, channels)))
    };
    let (user, sessions, channels) = match read.await {
        Ok(Some(found)) => found,
        Ok(None) => return error::page(&site, not_there, error::NOT_FOUND),
        Err(error) => return failed(error),
    };
    let mine = actor.user.role;
    let roles = Role::ALL.iter().copied().filter(|into| may_change(mine, user.role, *into)).collect();
    let own = user.id == actor.user.id;
    let waits = user.state == UserState::Pending && may_change(mine, user.role, user.role);
    shell.title = format!("@{} · {}", user.handle, shell.name);
    render(&Account {
        user: Row::new(&user, &shell),
        email_verified: user.email_verified_at.is_some(),
        second_factor: user.totp_secret.is_some(),
        sessions,
        channels: channels.into_iter().map(|channel| channel.handle).collect(),
        version: user.version,
        roles,
        can_delete: !own && (waits || actor.may(Act::RunSite)),
        own,
        bio: user.bio,
        shell,
        rail,
    })
}

fn page_from(cursor: Option<String>) -> PageRequest {
    PageRequest { limit: ROWS, after: cursor.filter(|cursor| is_cursor(cursor)) }
}

fn rows(users: &[User], shell: &Shell) -> Vec<Row> {
    users.iter().map(|user| Row::new(user, shell)).collect()
}

impl Row {
    fn new(user: &User, shell: &Shell) -> Self {
        let now = OffsetDateTime::now_utc();
        Self {
            handle: user.handle.clone(),
            display_name: user.display_name.clone(),
            avatar: Avatar::of(&user.display_name, user.avatar.as_deref()),
            email: user.email.clone(),
            role: user.role,
            state: user.state,
            created: Moment::new(user.created_at.into(), now, shell.t),
            last_login: user.last_login_at.map(|at| Moment::new(at.into(), now, shell.t)),
        }
    }
}

/// The message of a role.
fn role_message(role: &Role) -> &'static str {
    match role {
        Role::Viewer => "role.viewer",
        Role::Creator => "role.creator",
        Role::Moderator => "role.moderator",
        Role::Admin => "role.admin",
    }
}

/// The message of a state.
fn state_message(state: &UserState) -> &'static str {
    match state {
        UserState::Active => "state.active",
        UserState::Pending => "state.pending",
        UserState::Disabled => "state.disabled",
    }
}

/// Rows of a page.
const ROWS: u32 = 50;
