//! Errors of the API as `application/problem+json` (RFC 9457).
//!
//! Two further members stay stable for clients: `error`, the reason in plain words, and `error_code`, a number of
//! three digits out of [`ErrorCode`].

use std::borrow::Cow;

use crate::accounts::limits::TooOften;
use crate::workers::Busy;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

/// Why a request failed, as a client can tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// 001: the request's body or a parameter is not correct.
    BadRequest,
    /// 002: user authentication failed.
    Unauthenticated,
    /// 003: a database operation failed.
    Database,
    /// 004: internal service error.
    Internal,
    /// 005: not allowed.
    Forbidden,
    /// 006: not found.
    NotFound,
    /// 007: conflict.
    Conflict,
    /// 008: the body is too large.
    TooLarge,
    /// 008: not a supported kind of file.
    UnsupportedMedia,
    /// 009: too many requests or connections.
    TooMany,
    /// 010: temporarily unavailable.
    Unavailable,
}

impl ErrorCode {
    /// The three digits of `error_code`.
    pub const fn digits(self) -> &'static str {
        match self {
            Self::BadRequest => "001",
            Self::Unauthenticated => "002",
            Self::Database => "003",
            Self::Internal => "004",
            Self::Forbidden => "005",
            Self::NotFound => "006",
            Self::Conflict => "007",
            Self::TooLarge | Self::UnsupportedMedia => "008",
            Self::TooMany => "009",
            Self::Unavailable => "010",
        }
    }

    /// The HTTP status that goes with the code.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Database | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.digits())
    }
}

impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("Stable code of three digits; see the table of error codes"))
            .pattern(Some("^[0-9]{3}$"))
            .examples(["006"])
            .into()
    }
}

impl ToSchema for ErrorCode {}

/// An error answer (RFC 9457) with the members that clients rely on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The standard phrase of the status.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The HTTP status code.
    #[schema(example = 404)]
    status: u16,
    /// What went wrong with this request, in plain words.
    error: Cow<'static, str>,
    error_code: ErrorCode,
    /// Whether it is the second factor that is missing or wrong, and not the password.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    second_factor: bool,
    /// Seconds to wait, for `Retry-After`.
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    /// A problem with the code's usual status; `error` says in plain words what is wrong with this request.
    pub fn new(code: ErrorCode, error: impl Into<Cow<'static, str>>) -> Self {
        Self::with_status(code.status(), code, error)
    }

    /// What kind of failure it is.
    pub(crate) fn code(&self) -> ErrorCode {
        self.error_code
    }

    /// Too many tries: says how long to wait.
    pub(crate) fn too_often(TooOften(wait): TooOften) -> Self {
        let seconds = wait.as_secs() + 1;
        Self::too_many(format!("too many tries; wait {seconds} s"), seconds)
    }

    /// Too much at a time: says in how many seconds to ask again.
    pub(crate) fn too_many(error: impl Into<Cow<'static, str>>, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(ErrorCode::TooMany, error) }
    }

    /// The password is right, and the second factor is not.
    pub(crate) fn second_factor(error: &'static str) -> Self {
        Self { second_factor: true, ..Self::new(ErrorCode::Unauthenticated, error) }
    }

    /// Too much to do at this moment.
    pub(crate) fn busy(error: &Busy) -> Self {
        Self { retry_after: Some(1), ..Self::new(ErrorCode::Unavailable, error.to_string()) }
    }

    /// Not now, but perhaps after so many seconds.
    pub(crate) fn later(error: &'static str, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(ErrorCode::Unavailable, error) }
    }

    /// The database failed: the reason goes to the log, not to the client.
    pub(crate) fn database(error: millrace_store::Error) -> Self {
        tracing::error!(%error, "the database failed");
        Self::new(ErrorCode::Database, "the database failed; try again later")
    }

    /// A problem with a status other than the code's usual one.
    pub fn with_status(status: StatusCode, code: ErrorCode, error: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            error: error.into(),
            error_code: code,
            second_factor: false,
            retry_after: None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("a problem has only strings and a number");
        let kind = HeaderValue::from_static("application/problem+json");
        let status = StatusCode::from_u16(self.status).expect("made from a status code");
        let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
