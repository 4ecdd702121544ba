//! What changes on air, as server-sent events.

use axum::body::Body;
use axum::extract::{Query, State, rejection::QueryRejection};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::api::watch::Ticket;
use crate::feed::{Feed, Full, Subject};
use crate::{ErrorCode, Problem, Site};

/// What one listens to.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// One stream, as `app/name`; else all that is shown to everybody.
    #[param(example = "live/movie")]
    stream: Option<String>,
}

/// An event, by its fields.
#[derive(ToSchema)]
#[allow(dead_code)] // described, never made: events are written as text
pub(crate) struct LiveEvent {
    /// `list`, `change` or `stream`.
    #[schema(example = "change")]
    event: String,
    /// To come back with.
    id: String,
    /// What there is to tell, as JSON.
    #[schema(example = r#"{"changed": [], "gone": ["live/movie"]}"#)]
    data: String,
}

/// Listen to what changes on air
///
/// Server-sent events, as `EventSource` reads them. Without `stream`: a `list` first, `{"items": [LiveStream]}`, the latest
/// 100 to go on air; then a `change` at most once a second, `{"changed": [LiveStream], "gone": ["app/name"]}`. With
/// `stream`: a `stream` first and whenever it changes, a LiveStream, or `null` while it is off air. Bit rates and frame
/// rates alone make no change. Comments keep the connection alive. The answer ends now and then; one who comes back with
/// `Last-Event-ID` is told what is new.
#[utoipa::path(get, path = "/api/v1/events", operation_id = "listen", tag = "live", params(Which,
    ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event, as `EventSource` sends it"),
), responses(
    (status = 200, description = "Events, without end", body = LiveEvent, content_type = "text/event-stream"),
    (status = 400, description = "A parameter is not correct", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "The token is no good", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not for everybody", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "As many listen as may, or the server stops", body = Problem,
     content_type = "application/problem+json"),
))]
pub(crate) async fn listen(
    State(site): State<Site>,
    actor: Option<Actor>,
    Address(address): Address,
    headers: HeaderMap,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Response, Problem> {
    let which = super::list::asked(which)?;
    let subject = match which.stream {
        None => Subject::List,
        Some(id) => {
            let incorrect = || Problem::new(ErrorCode::BadRequest, "stream is not of the form app/name");
            let ticket = Ticket { actor: actor.as_ref(), headers: &headers, address, token: None };
            let (app, name) = id.split_once('/').ok_or_else(incorrect)?;
            let sight = site.sight(app, name, ticket).await?.ok_or_else(incorrect)?;
            if !sight.allowed {
                return Err(Problem::new(ErrorCode::Forbidden, "you may not watch this stream"));
            }
            let epoch = sight.channel.map(|known| known.channel.play_epoch);
            Subject::Stream { id, epoch }
        }
    };
    if site.live.is_closing() {
        return Err(Problem::later("the server stops", RETRY_S));
    }
    let last = headers.get("last-event-id").and_then(|last| last.to_str().ok());
    let body = Feed::listen(&site, subject, last).map_err(|Full| Problem::later("as many listen as may", RETRY_S))?;
    Ok(answer(body))
}

fn answer(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies that gather answers pass on events at once.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

/// Seconds after which one who was refused may ask again.
const RETRY_S: u64 = 10;
