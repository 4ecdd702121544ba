//! Invitations: making them, copying their links, taking them back.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use millrace_store::{LinkKind, PageRequest};
use serde::Deserialize;
use time::OffsetDateTime;

use super::super::{Shell, render};
use super::{End, Moment, Rail, enter, failed};
use crate::accounts::permissions::Act;
use crate::api::list::is_cursor;
use crate::settings::RegistrationMode;
use crate::{Site, visitor::Visitor};

#[derive(Template)]
#[template(path = "admin_invitations.html")]
struct Invitations {
    shell: Shell,
    rail: Rail,
    /// Whether registration is closed, so that none would work.
    closed: bool,
    invitations: Vec<Row>,
    next: Option<String>,
}

struct Row {
    id: String,
    note: String,
    created: Moment,
    ends: End,
}

#[derive(Default, Deserialize)]
pub(super) struct Which {
    cursor: Option<String>,
}

pub(super) async fn page(State(site): State<Site>, visitor: Visitor, Query(which): Query<Which>) -> Response {
    let (_, shell, rail) = match enter(&site, visitor, Act::ManageUsers, "admin.invitations").await {
        Ok(entered) => entered,
        Err(instead) => return *instead,
    };
    let after = which.cursor.filter(|cursor| is_cursor(cursor));
    let page = match site.accounts.store.links(LinkKind::Invitation, &PageRequest { limit: 50, after }).await {
        Ok(page) => page,
        Err(error) => return failed(error),
    };
    let now = OffsetDateTime::now_utc();
    let invitations = page.items.into_iter().map(|link| Row {
        id: link.id.to_string(),
        note: link.subject,
        created: Moment::new(link.created_at.into(), now, shell.t),
        ends: End::new(link.expires_at.into(), now, shell.t),
    });
    let invitations = invitations.collect();
    let closed = site.accounts.settings.now().registration == RegistrationMode::Closed;
    render(&Invitations { invitations, next: page.next, closed, shell, rail })
}
