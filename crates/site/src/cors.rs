//! Pages of other sites that use the API (CORS), where the operator allows it.
//!
//! Invariant: a foreign page never acts for the visitor in whose browser it is. Its requests lose their cookies here; it
//! shows who it is by a token of its own.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::{Site, actor::is_own, api::is_api};

/// Origins whose pages may use the API.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CorsOrigins {
    /// None but the site's own.
    #[default]
    Own,
    /// These, such as `https://app.example`, beside the site's own.
    These(Vec<String>),
    /// All.
    All,
}

impl CorsOrigins {
    /// What the answer to a page of that origin allows; `None` where nothing is.
    fn allow(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match self {
            Self::Own => None,
            Self::These(these) => these.iter().any(|one| one.as_bytes() == origin.as_bytes()).then(|| origin.clone()),
            Self::All => Some(HeaderValue::from_static("*")),
        }
    }
}

/// A request from a page of another site that may use the API; it has no cookies any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Foreign;

/// Middleware: answers browsers that ask whether another site's page may use the API, and lets it.
pub(crate) async fn allow_foreign(State(site): State<Site>, mut request: Request, next: Next) -> Response {
    if site.config.cors == CorsOrigins::Own || !is_api(request.uri().path()) {
        return next.run(request).await;
    }
    let mut response = match foreign(&site, &request) {
        None => next.run(request).await,
        Some(allowed) => {
            let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
            let mut response = if request.method() == Method::OPTIONS && asks {
                preflight()
            } else {
                request.headers_mut().remove(header::COOKIE);
                request.extensions_mut().insert(Foreign);
                next.run(request).await
            };
            let headers = response.headers_mut();
            headers.remove(header::SET_COOKIE);
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
            response
        }
    };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    response
}

/// What is allowed to the other site's page that sends this; `None` where it comes from none, or from one that may not.
fn foreign(site: &Site, request: &Request) -> Option<HeaderValue> {
    let origin = request.headers().get(header::ORIGIN)?;
    if is_own(request.headers(), None, site) {
        return None;
    }
    site.config.cors.allow(origin)
}

fn preflight() -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// What another site's page may send, that of tus with it.
const ALLOWED: &str = "accept, authorization, content-type, if-match, last-event-id, tus-resumable, upload-checksum, \
                       upload-length, upload-metadata, upload-offset, x-http-method-override";
/// What it may read of an answer.
const EXPOSED: &str = "etag, location, millrace-video, retry-after, tus-checksum-algorithm, tus-extension, tus-max-size, \
                       tus-resumable, tus-version, upload-expires, upload-length, upload-metadata, upload-offset";
