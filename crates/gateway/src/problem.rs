//! Refusals on media URLs, as `application/problem+json` (RFC 9457).

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use millrace_hub::{PlayError, Refusal};
use serde_json::json;

/// A refusal with plain words and a stable code.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    words: String,
}

impl Problem {
    pub(crate) fn not_found(words: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "006", words: words.into() }
    }

    pub(crate) fn bad_request(words: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "001", words: words.into() }
    }

    pub(crate) fn forbidden(words: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, code: "005", words: words.into() }
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self { status: StatusCode::METHOD_NOT_ALLOWED, code: "001", words: "use GET or HEAD here".to_owned() }
    }

    pub(crate) fn unsupported(words: impl Into<String>) -> Self {
        Self { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, code: "008", words: words.into() }
    }

    pub(crate) fn too_many(words: impl Into<String>) -> Self {
        Self { status: StatusCode::TOO_MANY_REQUESTS, code: "009", words: words.into() }
    }

    pub(crate) fn unavailable(words: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, code: "010", words: words.into() }
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Status, head and body, for those who write to the bare socket.
    pub(crate) fn to_http1(&self) -> Vec<u8> {
        let body = self.body();
        format!(
            "HTTP/1.1 {} {}\r\ncontent-type: {TYPE}\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
             access-control-allow-origin: *\r\nconnection: close\r\n{}\r\n{body}",
            self.status.as_u16(),
            self.status.canonical_reason().unwrap_or_default(),
            body.len(),
            self.retry_after().map(|s| format!("retry-after: {s}\r\n")).unwrap_or_default(),
        )
        .into_bytes()
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response
    }

    fn retry_after(&self) -> Option<&'static str> {
        matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE).then_some("5")
    }

    fn body(&self) -> String {
        json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "error": self.words,
            "error_code": self.code,
        })
        .to_string()
    }
}

impl From<PlayError> for Problem {
    fn from(error: PlayError) -> Self {
        match error {
            PlayError::NotOnAir => Self::not_found(error.to_string()),
            PlayError::Full | PlayError::FullForAddress => Self::too_many(error.to_string()),
            _ => Self::unavailable(error.to_string()),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::not_found(refusal.to_string()),
            Refusal::Unavailable(_) => Self::unavailable(refusal.to_string()),
            _ => Self { status: StatusCode::FORBIDDEN, code: "005", words: refusal.to_string() },
        }
    }
}

const TYPE: &str = "application/problem+json";
