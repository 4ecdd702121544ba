//! The audit log.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use millrace_store::{Action, AuditEntry, AuditFilter, PageRequest};
use serde::Deserialize;
use time::OffsetDateTime;

use super::super::{Shell, render};
use super::{Moment, Rail, enter, failed};
use crate::accounts::permissions::Act;
use crate::api::list::is_cursor;
use crate::{Site, visitor::Visitor};

#[derive(Template)]
#[template(path = "admin_audit.html")]
struct Audit {
    shell: Shell,
    rail: Rail,
    actor: String,
    action: String,
    actions: Vec<(&'static str, String)>,
    entries: Vec<Row>,
    next: Option<String>,
}

struct Row {
    at: Moment,
    actor: String,
    what: String,
    subject: String,
    address: String,
    details: String,
}

#[derive(Default, Deserialize)]
pub(super) struct Which {
    actor: Option<String>,
    action: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn page(State(site): State<Site>, visitor: Visitor, Query(which): Query<Which>) -> Response {
    let (_, shell, rail) = match enter(&site, visitor, Act::RunSite, "admin.audit").await {
        Ok(entered) => entered,
        Err(instead) => return *instead,
    };
    let actor = which.actor.unwrap_or_default().trim().trim_start_matches('@').to_lowercase();
    let action = which.action.and_then(|action| Action::try_from(action).ok());
    let filter = AuditFilter { actor: Some(actor.as_str()).filter(|actor| !actor.is_empty()), action };
    let after = which.cursor.filter(|cursor| is_cursor(cursor));
    let page = match site.accounts.store.find_audit(&filter, &PageRequest { limit: 100, after }).await {
        Ok(page) => page,
        Err(error) => return failed(error),
    };
    let now = OffsetDateTime::now_utc();
    render(&Audit {
        entries: page.items.into_iter().map(|entry| Row::new(entry, now, &shell)).collect(),
        next: page.next,
        actions: Action::ALL.iter().map(|action| (action.as_str(), said(action.as_str(), &shell))).collect(),
        action: action.map_or("", Action::as_str).to_owned(),
        actor,
        shell,
        rail,
    })
}

impl Row {
    fn new(entry: AuditEntry, now: OffsetDateTime, shell: &Shell) -> Self {
        Self {
            at: Moment::new(entry.at.into(), now, shell.t),
            what: said(&entry.action, shell),
            actor: entry.actor,
            subject: entry.subject,
            address: entry.address,
            details: entry.details,
        }
    }
}

/// An action in words; one of a newer version as it is.
fn said(action: &str, shell: &Shell) -> String {
    let message = MESSAGES.iter().find(|(known, _)| *known == action);
    message.map_or_else(|| action.to_owned(), |(_, message)| shell.t.get(message).to_owned())
}

/// The message of each action.
const MESSAGES: &[(&str, &str)] = &[
    ("setup", "audit.setup"),
    ("log-in", "audit.log_in"),
    ("log-in-refused", "audit.log_in_refused"),
    ("log-out", "audit.log_out"),
    ("end-session", "audit.end_session"),
    ("register", "audit.register"),
    ("change-password", "audit.change_password"),
    ("reset-password", "audit.reset_password"),
    ("change-email", "audit.change_email"),
    ("change-second-factor", "audit.change_second_factor"),
    ("create-token", "audit.create_token"),
    ("delete-token", "audit.delete_token"),
    ("change-standing", "audit.change_standing"),
    ("delete-user", "audit.delete_user"),
    ("invite", "audit.invite"),
    ("uninvite", "audit.uninvite"),
    ("create-channel", "audit.create_channel"),
    ("delete-channel", "audit.delete_channel"),
    ("change-visibility", "audit.change_visibility"),
    ("change-picture", "audit.change_picture"),
    ("change-video", "audit.change_video"),
    ("trash-video", "audit.trash_video"),
    ("restore-video", "audit.restore_video"),
    ("review-video", "audit.review_video"),
    ("delete-comment", "audit.delete_comment"),
    ("close-reports", "audit.close_reports"),
    ("retry-job", "audit.retry_job"),
    ("cancel-job", "audit.cancel_job"),
    ("run-timer", "audit.run_timer"),
    ("reset-key", "audit.reset_key"),
    ("delete-key", "audit.delete_key"),
    ("kick", "audit.kick"),
    ("change-settings", "audit.change_settings"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_its_words() {
        let known: Vec<_> = MESSAGES.iter().map(|(action, _)| *action).collect();
        let all: Vec<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(known, all);
    }
}
