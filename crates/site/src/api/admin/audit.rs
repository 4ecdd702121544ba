//! The audit log.

use axum::Json;
use axum::extract::{Query, State, rejection::QueryRejection};
use millrace_store::{Action, AuditEntry, AuditFilter};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::api::list;
use crate::{ErrorCode, Problem, Site};

/// Something that was done and concerns security.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogEntry {
    id: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// Who: a handle, or empty for one who is not known.
    #[schema(example = "ada")]
    actor: String,
    /// What.
    #[schema(example = "log-in")]
    action: String,
    /// To whom or what.
    subject: String,
    /// From which address.
    #[schema(example = "192.0.2.1")]
    address: String,
    /// Further words.
    details: String,
}

/// Part of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogPage {
    /// The newest first.
    items: Vec<LogEntry>,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
}

/// Which entries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only what this account did, by its handle.
    actor: Option<String>,
    /// Only this action, such as `log-in-refused`.
    action: Option<String>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Read the audit log
#[utoipa::path(get, path = "/api/v1/admin/audit", operation_id = "list_audit", tag = "admin", params(Which), responses(
    (status = 200, description = "A page of the log", body = LogPage),
    (status = 400, description = "A parameter is not correct", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not allowed", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(site): State<Site>,
    actor: Actor,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<LogPage>, Problem> {
    actor.must(Act::RunSite)?;
    let which = list::asked(which)?;
    let page = list::request(which.limit, which.cursor)?;
    let action = match which.action {
        Some(text) => Some(Action::try_from(text).map_err(|_| {
            Problem::new(ErrorCode::BadRequest, "action is none that the log knows, such as log-in or reset-key")
        })?),
        None => None,
    };
    let filter = AuditFilter { actor: which.actor.as_deref(), action };
    let page = site.accounts.store.find_audit(&filter, &page).await.map_err(Problem::database)?;
    Ok(Json(LogPage { items: page.items.into_iter().map(LogEntry::from).collect(), next_cursor: page.next }))
}

impl From<AuditEntry> for LogEntry {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            at: entry.at.into(),
            actor: entry.actor,
            action: entry.action,
            subject: entry.subject,
            address: entry.address,
            details: entry.details,
        }
    }
}
