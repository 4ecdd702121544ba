//! Accounts of others.

use axum::Json;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use millrace_store::{Action, Role, User, UserFilter, UserState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::accounts::permissions::{Act, may_change};
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::api::body::Body;
use crate::api::list;
use crate::api::users::{Account, AccountRole, AccountState, audit, audit_with, failed, tagged, version};
use crate::{ErrorCode, Problem, Site};

/// Part of the list of accounts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountPage {
    /// The newest first.
    items: Vec<Account>,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
}

/// Which accounts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Words in the handle, the name that others see, or the e-mail address.
    search: Option<String>,
    /// Only those of this role.
    role: Option<AccountRole>,
    /// Only those in this state: `pending` are registrations that wait.
    state: Option<AccountState>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What is changed of somebody's standing; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StandingChange {
    role: Option<AccountRole>,
    state: Option<NewState>,
}

/// What an account's state can be set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NewState {
    /// It can be used: one that waited is let in, one that was locked is unlocked.
    Active,
    /// It is locked: its sessions end, its tokens do not work.
    Disabled,
}

/// List accounts
#[utoipa::path(get, path = "/api/v1/users", operation_id = "list_users", tag = "admin", params(Which), responses(
    (status = 200, description = "A page of accounts", body = AccountPage),
    (status = 400, description = "A parameter is not correct", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not allowed", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(site): State<Site>,
    actor: Actor,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<AccountPage>, Problem> {
    actor.must(Act::ManageUsers)?;
    let which = list::asked(which)?;
    let words = which.search.as_deref().unwrap_or_default();
    if words.chars().count() > MAX_SEARCH {
        return Err(Problem::new(ErrorCode::BadRequest, "search must have at most 100 letters"));
    }
    let page = list::request(which.limit, which.cursor)?;
    let filter = UserFilter { words, role: which.role.map(Role::from), state: which.state.map(UserState::from) };
    let page = site.accounts.store.find_users(&filter, &page).await.map_err(Problem::database)?;
    Ok(Json(AccountPage { items: page.items.iter().map(Account::from).collect(), next_cursor: page.next }))
}

/// Get somebody's account
#[utoipa::path(get, path = "/api/v1/users/{handle}", operation_id = "get_user", tag = "admin",
params(("handle" = String, Path, description = "The account's handle", example = "ada")), responses(
    (status = 200, description = "The account", body = Account),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not allowed", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn one(
    State(site): State<Site>,
    actor: Actor,
    Path(handle): Path<String>,
) -> Result<Response, Problem> {
    actor.must(Act::ManageUsers)?;
    Ok(tagged(&find(&site, &handle).await?))
}

/// Change somebody's role or state
///
/// Lets in who waits, locks and unlocks. Moderators change viewers and creators, administrators everybody; the last
/// administrator stays one. With `If-Match`, only an account that is still as it was read is changed.
#[utoipa::path(patch, path = "/api/v1/users/{handle}", operation_id = "update_user", tag = "admin",
request_body = StandingChange, params(
    ("handle" = String, Path, description = "The account's handle", example = "ada"),
    ("If-Match" = Option<String>, Header, description = "The ETag of the account as it was read"),
), responses(
    (status = 200, description = "The account from now on", body = Account),
    (status = 400, description = "A field is not correct", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not allowed", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "It is the last administrator's, or was changed meanwhile", body = Problem,
     content_type = "application/problem+json"),
))]
pub(crate) async fn update(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Path(handle): Path<String>,
    headers: HeaderMap,
    Body(body): Body<StandingChange>,
) -> Result<Response, Problem> {
    actor.must(Act::ManageUsers)?;
    let user = find(&site, &handle).await?;
    let role = body.role.map_or(user.role, Role::from);
    let state = match body.state {
        Some(NewState::Active) => UserState::Active,
        Some(NewState::Disabled) => UserState::Disabled,
        None => user.state,
    };
    if !may_change(actor.user.role, user.role, role) {
        return Err(not_theirs());
    }
    let read = if headers.contains_key(header::IF_MATCH) { version(&headers)? } else { user.version };
    let store = &site.accounts.store;
    let changed = store.change_standing(&user.id, read, role, state).await.map_err(failed)?;
    if state == UserState::Disabled {
        store.delete_sessions_of(&user.id, None).await.map_err(Problem::database)?;
    }
    site.accounts.sessions.forget(&user.id).await;
    let details = format!("role={} state={}", role.as_str(), state.as_str());
    audit_with(&site, &actor, Action::ChangeStanding, &user.handle, address, &details).await?;
    Ok(tagged(&changed))
}

/// Delete somebody's account
///
/// Its sessions and tokens, its channels and their keys go with it. Moderators may do so with registrations that wait,
/// which turns them down.
#[utoipa::path(delete, path = "/api/v1/users/{handle}", operation_id = "delete_user", tag = "admin",
params(("handle" = String, Path, description = "The account's handle", example = "ada")), responses(
    (status = 204, description = "It is gone"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not allowed", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "It is the own one", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn delete(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Path(handle): Path<String>,
) -> Result<StatusCode, Problem> {
    actor.must(Act::ManageUsers)?;
    let user = find(&site, &handle).await?;
    if user.id == actor.user.id {
        return Err(Problem::new(ErrorCode::Conflict, "the own account is deleted in its settings, with its password"));
    }
    let turned_down = user.state == UserState::Pending && may_change(actor.user.role, user.role, user.role);
    if !turned_down && !actor.may(Act::RunSite) {
        return Err(not_theirs());
    }
    site.accounts.delete_user(&user.id).await.map_err(failed)?;
    audit(&site, &actor, Action::DeleteUser, &user.handle, address).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End all sessions of somebody
#[utoipa::path(delete, path = "/api/v1/users/{handle}/sessions", operation_id = "end_sessions_of_user", tag = "admin",
params(("handle" = String, Path, description = "The account's handle", example = "ada")), responses(
    (status = 204, description = "They have ended, on every node"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not allowed", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn end_sessions(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Path(handle): Path<String>,
) -> Result<StatusCode, Problem> {
    actor.must(Act::ManageUsers)?;
    let user = find(&site, &handle).await?;
    if !may_change(actor.user.role, user.role, user.role) {
        return Err(not_theirs());
    }
    site.accounts.store.delete_sessions_of(&user.id, None).await.map_err(Problem::database)?;
    site.accounts.sessions.forget(&user.id).await;
    audit(&site, &actor, Action::EndSession, &user.handle, address).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn find(site: &Site, handle: &str) -> Result<User, Problem> {
    let user = site.accounts.store.user_by_handle(handle).await.map_err(Problem::database)?;
    user.ok_or_else(|| Problem::new(ErrorCode::NotFound, "there is no such account"))
}

pub(crate) fn not_theirs() -> Problem {
    Problem::new(ErrorCode::Forbidden, "this takes an administrator")
}

/// Longest words that are searched for, in letters.
const MAX_SEARCH: usize = 100;
