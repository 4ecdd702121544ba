//! What holds for the whole site.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::super::{Shell, render};
use super::{Rail, enter};
use crate::accounts::permissions::Act;
use crate::settings::{DefaultRole, RegistrationMode, ReviewMode, Settings};
use crate::{Site, visitor::Visitor};

#[derive(Template)]
#[template(path = "admin_settings.html")]
struct SettingsPage {
    shell: Shell,
    rail: Rail,
    settings: Arc<Settings>,
    /// Value, message and explanation of each way to register.
    modes: [(RegistrationMode, &'static str, &'static str); 4],
    roles: [(DefaultRole, &'static str); 2],
    reviews: [(ReviewMode, &'static str); 3],
}

pub(super) async fn page(State(site): State<Site>, visitor: Visitor) -> Response {
    let (_, shell, rail) = match enter(&site, visitor, Act::RunSite, "admin.settings").await {
        Ok(entered) => entered,
        Err(instead) => return *instead,
    };
    let settings = site.accounts.settings.now();
    let modes = [
        (RegistrationMode::Open, "admin.mode_open", "admin.mode_open_text"),
        (RegistrationMode::Approval, "admin.mode_approval", "admin.mode_approval_text"),
        (RegistrationMode::Invitation, "admin.mode_invitation", "admin.mode_invitation_text"),
        (RegistrationMode::Closed, "admin.mode_closed", "admin.mode_closed_text"),
    ];
    let roles = [(DefaultRole::Viewer, "role.viewer"), (DefaultRole::Creator, "role.creator")];
    let reviews = [
        (ReviewMode::Off, "admin.review_off"),
        (ReviewMode::New, "admin.review_new"),
        (ReviewMode::All, "admin.review_all"),
    ];
    render(&SettingsPage { shell, rail, settings, modes, roles, reviews })
}
