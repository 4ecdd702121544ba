//! Pages for what went wrong. Under `/api/` the same answers are problem+json.

use std::any::Any;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Shell, render};
use crate::{ErrorCode, Problem, Site, api::is_api, visitor::Visitor};

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    shell: Shell,
    status: u16,
    heading: &'static str,
    text: &'static str,
    /// Whether the same request may well go better later.
    again: bool,
}

/// A kind of error page: status, and the keys of heading and text.
pub(crate) type Kind = (StatusCode, &'static str, &'static str);

/// Nothing at this address.
pub(crate) const NOT_FOUND: Kind = (StatusCode::NOT_FOUND, "error.not_found_title", "error.not_found_text");
/// Not for this visitor.
pub(crate) const FORBIDDEN: Kind = (StatusCode::FORBIDDEN, "error.forbidden_title", "error.forbidden_text");
/// Not for one who has no channels.
pub(crate) const NO_CREATOR: Kind = (StatusCode::FORBIDDEN, "error.no_creator_title", "error.no_creator_text");
const METHOD: Kind = (StatusCode::METHOD_NOT_ALLOWED, "error.method_title", "error.method_text");
/// The server failed.
pub(crate) const INTERNAL: Kind = (StatusCode::INTERNAL_SERVER_ERROR, "error.internal_title", "error.internal_text");

/// The page of an error.
pub(crate) fn page(site: &Site, visitor: Visitor, (status, heading, text): Kind) -> Response {
    let title = visitor.language.messages().get(heading);
    let mut shell = Shell::new(site, visitor, title);
    shell.indexed = false;
    let mut response =
        render(&ErrorPage { shell, status: status.as_u16(), heading, text, again: status.is_server_error() });
    *response.status_mut() = status;
    response
}

/// The answer where no route matches.
pub(crate) async fn not_found(State(site): State<Site>, uri: Uri, visitor: Visitor) -> Response {
    if is_api(uri.path()) {
        let error = "there is no such address in this API; see /api/openapi.json";
        return Problem::new(ErrorCode::NotFound, error).into_response();
    }
    page(&site, visitor, NOT_FOUND)
}

/// The answer where a route does not know the method.
pub(crate) async fn method_not_allowed(State(site): State<Site>, uri: Uri, visitor: Visitor) -> Response {
    if is_api(uri.path()) {
        let error = "this address does not know that method";
        return Problem::with_status(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::BadRequest, error).into_response();
    }
    page(&site, visitor, METHOD)
}

/// What a panicking handler answers; [`explain_panic`] makes a page or a problem of it.
pub(crate) fn on_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let reason = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given");
    tracing::error!(reason, "a request handler panicked: this is a bug");
    broken()
}

/// An answer that [`explain_panic`] will replace.
pub(super) fn broken() -> Response {
    let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    response.extensions_mut().insert(Broken);
    response
}

/// Middleware: replaces the bare answer of a handler that broke.
pub(crate) async fn explain_panic(
    State(site): State<Site>,
    visitor: Visitor,
    request: Request,
    next: Next,
) -> Response {
    let for_program = is_api(request.uri().path());
    let response = next.run(request).await;
    match response.extensions().get::<Broken>() {
        None => response,
        Some(Broken) if for_program => {
            Problem::new(ErrorCode::Internal, "something broke inside the server; its log has the details")
                .into_response()
        }
        Some(Broken) => page(&site, visitor, INTERNAL),
    }
}

#[derive(Debug, Clone, Copy)]
struct Broken;
