//! The site's settings.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use millrace_store::{Action, Error};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::api::body::Body;
use crate::api::users::{audit_with, etag, version};
use crate::settings::{self, DefaultRole, RegistrationMode, ReviewMode, Settings, SettingsChange};
use crate::{ErrorCode, Problem, Site};

/// What holds for the whole site.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SiteSettings {
    /// The site's name.
    #[schema(example = "River TV")]
    site_name: String,
    /// What it is about, in a sentence or two; may be empty.
    description: String,
    registration: RegistrationMode,
    default_role: DefaultRole,
    review: ReviewMode,
    /// Changes with every change; `If-Match` takes it in quotes.
    version: i64,
}

/// What is changed of the settings; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SiteSettingsChange {
    /// 1 to 60 letters.
    site_name: Option<String>,
    /// At most 500 letters.
    description: Option<String>,
    registration: Option<RegistrationMode>,
    default_role: Option<DefaultRole>,
    review: Option<ReviewMode>,
}

/// Get the site's settings
#[utoipa::path(get, path = "/api/v1/admin/settings", operation_id = "get_settings", tag = "admin", responses(
    (status = 200, description = "The settings", body = SiteSettings),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not allowed", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn get(State(site): State<Site>, actor: Actor) -> Result<Response, Problem> {
    actor.must(Act::RunSite)?;
    Ok(tagged(&site, &site.accounts.settings.now()))
}

/// Change the site's settings
#[utoipa::path(patch, path = "/api/v1/admin/settings", operation_id = "update_settings", tag = "admin",
request_body = SiteSettingsChange,
params(("If-Match" = String, Header, description = "The ETag of the settings as they were read")), responses(
    (status = 200, description = "The settings from now on", body = SiteSettings),
    (status = 400, description = "A field is not correct, or If-Match is missing", body = Problem,
     content_type = "application/problem+json"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not allowed", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "They were changed meanwhile", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn update(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    headers: HeaderMap,
    Body(body): Body<SiteSettingsChange>,
) -> Result<Response, Problem> {
    actor.must(Act::RunSite)?;
    let version = version(&headers)?;
    let incorrect = |words| Problem::new(ErrorCode::BadRequest, words);
    let change = SettingsChange {
        name: body.site_name.as_deref().map(settings::site_name).transpose().map_err(incorrect)?.map(str::to_owned),
        description: match body.description.as_deref() {
            Some(text) => Some(settings::description(text).map_err(incorrect)?.to_owned()),
            None => None,
        },
        registration: body.registration,
        default_role: body.default_role,
        review: body.review,
    };
    let changed = site.accounts.settings.change(version, &change).await.map_err(|error| match error {
        Error::Changed => Problem::new(ErrorCode::Conflict, "the settings were changed meanwhile"),
        other => Problem::database(other),
    })?;
    audit_with(&site, &actor, Action::ChangeSettings, "", address, &said(&change)).await?;
    Ok(tagged(&site, &changed))
}

fn tagged(site: &Site, settings: &Settings) -> Response {
    let body = SiteSettings {
        site_name: site.name(),
        description: settings.description.clone(),
        registration: settings.registration,
        default_role: settings.default_role,
        review: settings.review,
        version: settings.version,
    };
    ([(header::ETAG, etag(settings.version))], Json(body)).into_response()
}

/// What was changed, for the log.
fn said(change: &SettingsChange) -> String {
    let name = change.name.as_ref().map(|name| format!("site_name={name:?}"));
    let description = change.description.as_ref().map(|_| "description".to_owned());
    let registration = change.registration.map(|mode| format!("registration={}", mode.as_str()));
    let role = change.default_role.map(|role| format!("default_role={}", role.as_str()));
    let review = change.review.map(|mode| format!("review={}", mode.as_str()));
    [name, description, registration, role, review].into_iter().flatten().collect::<Vec<_>>().join(" ")
}
