//! Bodies of requests.

use std::error::Error as _;

use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use http::StatusCode;
use serde::de::DeserializeOwned;
use utoipa::openapi::{ContentBuilder, Ref, Response, ResponseBuilder};

use crate::readable::has_nul;
use crate::{ErrorCode, Problem};

/// A JSON body; one that is not correct is a problem that says why.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await;
        let bytes = bytes.map_err(|rejection| problem(rejection.status(), rejection.body_text()))?;
        if has_nul(&bytes) {
            return Err(Problem::new(ErrorCode::BadRequest, "the body has a NUL in a text"));
        }
        match axum::Json::<T>::from_request(Request::from_parts(parts, bytes.into()), state).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            // What is not as it should be is what counts, after its name; not which library says so.
            Err(JsonRejection::JsonDataError(error)) => {
                let words = error.source().map_or_else(|| error.body_text(), ToString::to_string);
                let lacks = words.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
                let lacks = lacks.map(|(name, _)| format!("{name} is missing"));
                Err(problem(error.status(), lacks.unwrap_or(words)))
            }
            Err(rejection) => Err(problem(rejection.status(), rejection.body_text())),
        }
    }
}

fn problem(status: StatusCode, words: String) -> Problem {
    let code = match status {
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMedia,
        _ => ErrorCode::BadRequest,
    };
    Problem::new(code, words)
}

/// What is said of every operation that takes a body, in the API's description.
pub(super) fn describe(document: &mut utoipa::openapi::OpenApi) {
    let refusals = [
        ("400", "The body is not correct"),
        ("413", "The body is too large"),
        ("415", "The body is not said to be JSON"),
    ];
    for path in document.paths.paths.values_mut() {
        let operations = [&mut path.post, &mut path.put, &mut path.patch, &mut path.delete];
        for operation in operations.into_iter().flatten().filter(|operation| operation.request_body.is_some()) {
            for (status, words) in refusals {
                let described = &mut operation.responses.responses;
                described.entry(status.to_owned()).or_insert_with(|| refusal(words).into());
            }
        }
    }
}

fn refusal(words: &str) -> Response {
    let problem = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(problem)).build();
    ResponseBuilder::new().description(words).content("application/problem+json", content).build()
}
