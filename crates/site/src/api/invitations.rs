//! Invitations: links with which others register.

use axum::Json;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use http::StatusCode;
use millrace_store::{Action, At, Error, Link, LinkId, LinkKind, NewLink};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use super::body::Body;
use super::list::Part;
use super::users::audit;
use crate::accounts::permissions::Act;
use crate::accounts::secret::Secret;
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::settings::RegistrationMode;
use crate::{ErrorCode, Problem, Site};

/// An invitation to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInvitation {
    /// For whom it is, to tell it from others; at most 100 letters.
    #[serde(default)]
    note: String,
    /// Days that it is good for: 1 to 90; 7 where it is left out.
    #[schema(minimum = 1, maximum = 90)]
    days: Option<u8>,
}

/// An invitation that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeInvitation {
    /// Its id, to take it back by.
    id: String,
    /// The path to send to whom it is for, on this site. It is shown this once.
    #[schema(example = "/register?token=…")]
    path: String,
    /// When it no longer works.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// An invitation that nobody has used yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Invitation {
    /// Its id.
    id: String,
    /// For whom it is.
    note: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it no longer works.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// Part of the list of invitations.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvitationPage {
    /// The newest first.
    items: Vec<Invitation>,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
}

/// Invite somebody
#[utoipa::path(post, path = "/api/v1/invitations", operation_id = "create_invitation", tag = "users",
request_body = NewInvitation, responses(
    (status = 201, description = "The invitation", body = MadeInvitation),
    (status = 400, description = "A field is not correct", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not allowed", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "Registration is closed", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn create(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Body(body): Body<NewInvitation>,
) -> Result<(StatusCode, Json<MadeInvitation>), Problem> {
    actor.must(Act::ManageUsers)?;
    if site.accounts.settings.now().registration == RegistrationMode::Closed {
        return Err(Problem::new(ErrorCode::Conflict, "registration is closed, so that an invitation would not work"));
    }
    let days = body.days.unwrap_or(DEFAULT_DAYS);
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(Problem::new(ErrorCode::BadRequest, "days must be between 1 and 90"));
    }
    let note = body.note.trim();
    if note.chars().count() > MAX_NOTE || note.chars().any(char::is_control) {
        return Err(Problem::new(
            ErrorCode::BadRequest,
            "note must have at most 100 letters, and no control characters",
        ));
    }
    let secret = Secret::new();
    let new = NewLink {
        kind: LinkKind::Invitation,
        token_hash: secret.hash(),
        user_id: None,
        created_by: Some(&actor.user.id),
        subject: note,
        expires_at: At::now().plus(Duration::days(days.into())),
    };
    let link = site.accounts.store.create_link(&new).await.map_err(Problem::database)?;
    audit(&site, &actor, Action::Invite, note, address).await?;
    let made = MadeInvitation {
        id: link.id.to_string(),
        path: format!("/register?token={}", secret.expose()),
        expires_at: link.expires_at.into(),
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// List invitations that nobody has used yet
#[utoipa::path(get, path = "/api/v1/invitations", operation_id = "list_invitations", tag = "users", params(Part), responses(
    (status = 200, description = "A page of invitations", body = InvitationPage),
    (status = 400, description = "A parameter is not correct", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not allowed", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(site): State<Site>,
    actor: Actor,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<InvitationPage>, Problem> {
    actor.must(Act::ManageUsers)?;
    let page = Part::request(part)?;
    let page = site.accounts.store.links(LinkKind::Invitation, &page).await.map_err(Problem::database)?;
    Ok(Json(InvitationPage { items: page.items.into_iter().map(Invitation::from).collect(), next_cursor: page.next }))
}

impl From<Link> for Invitation {
    fn from(link: Link) -> Self {
        Self {
            id: link.id.to_string(),
            note: link.subject,
            created_at: link.created_at.into(),
            expires_at: link.expires_at.into(),
        }
    }
}

/// Take an invitation back
#[utoipa::path(delete, path = "/api/v1/invitations/{id}", operation_id = "delete_invitation", tag = "users",
params(("id" = String, Path, description = "The invitation's id")), responses(
    (status = 204, description = "It works no more"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not allowed", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such invitation", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn delete(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    actor.must(Act::ManageUsers)?;
    let none = || Problem::new(ErrorCode::NotFound, "there is no such invitation");
    let id: LinkId = id.parse().map_err(|_| none())?;
    let deleted = site.accounts.store.delete_link(LinkKind::Invitation, &id).await;
    deleted.map_err(|error| match error {
        Error::NotFound => none(),
        other => Problem::database(other),
    })?;
    audit(&site, &actor, Action::Uninvite, id.as_str(), address).await?;
    Ok(StatusCode::NO_CONTENT)
}

const DEFAULT_DAYS: u8 = 7;
const MAX_DAYS: u8 = 90;
const MAX_NOTE: usize = 100;
