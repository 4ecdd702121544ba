//! Who asks, as a handler gets it: from the session's cookie, or a personal token.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, header};
use millrace_store::At;

use crate::accounts::permissions::{Act, may};
use crate::accounts::secret::Secret;
use crate::accounts::sessions::{Actor, By};
use crate::cors::Foreign;
use crate::visitor::{Visitor, cookie};
use crate::{ErrorCode, Problem, Site};

/// Where the request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address(pub(crate) IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(address_of(&parts.extensions)))
    }
}

/// Where a request comes from.
pub(crate) fn address_of(extensions: &http::Extensions) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(peer)| peer.ip().to_canonical())
}

impl Actor {
    /// Whether they may do that: by role, and by the scope of the token where it is one.
    pub(crate) fn may(&self, act: Act) -> bool {
        let by_scope = match &self.by {
            By::Session(_) => true,
            By::Token { scopes } => scopes.split(' ').any(|scope| scope == act.scope()),
        };
        by_scope && may(self.user.role, act)
    }

    /// Refuses where they may not.
    pub(crate) fn must(&self, act: Act) -> Result<(), Problem> {
        if self.may(act) { Ok(()) } else { Err(Problem::new(ErrorCode::Forbidden, "you may not do this")) }
    }
}

impl FromRequestParts<Site> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        who(parts, site).await?.ok_or_else(|| Problem::new(ErrorCode::Unauthenticated, "log in first"))
    }
}

impl axum::extract::OptionalFromRequestParts<Site> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Option<Self>, Problem> {
        who(parts, site).await
    }
}

async fn who(parts: &mut Parts, site: &Site) -> Result<Option<Actor>, Problem> {
    let (sessions, now) = (&site.accounts.sessions, At::now());
    if let Some(given) = parts.headers.get(header::AUTHORIZATION) {
        let text = given.to_str().unwrap_or_default();
        let actor = sessions.by_authorization(text, now).await.map_err(Problem::database)?;
        // A token that is no good is no visit of somebody unknown.
        let wrong = || Problem::new(ErrorCode::Unauthenticated, "the token is wrong or no longer valid");
        return actor.map(Some).ok_or_else(wrong);
    }
    let Some(text) = cookie(&parts.headers, COOKIE) else { return Ok(None) };
    sessions.by_cookie(text, &address_of(&parts.extensions).to_string(), now).await.map_err(Problem::database)
}

/// Middleware: what changes something comes from this site's own pages, from a program, or from a page that may use the
/// API and has no cookies here.
///
/// Browsers say where a request comes from (`Sec-Fetch-Site`, or `Origin` where they are old); programs say nothing.
pub(crate) async fn own_pages_only(State(site): State<Site>, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let allowed = safe || request.extensions().get::<Foreign>().is_some();
    if allowed || is_own(request.headers(), request.extensions().get::<Visitor>(), &site) {
        return next.run(request).await;
    }
    Problem::new(ErrorCode::Forbidden, "this request comes from another site").into_response()
}

/// Whether a request comes from this site's own pages, or from no browser.
pub(crate) fn is_own(headers: &HeaderMap, visitor: Option<&Visitor>, site: &Site) -> bool {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        Some(b"same-origin" | b"none") => return true,
        Some(_) => return false,
        None => {}
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let same_host = origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host);
    same_host
        || visitor.is_some_and(|visitor| visitor.origin == origin)
        || site.config.public_url.as_deref() == Some(origin)
}

/// The cookie of a session that begins.
pub(crate) fn session_cookie(secret: &Secret, remember: bool, visitor: &Visitor) -> HeaderValue {
    let age = if remember { "; Max-Age=2592000" } else { "" }; // 30 days; or as long as the browser runs
    let text = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax{}{age}", secret.expose(), secure(visitor));
    let mut value = HeaderValue::from_str(&text).expect("a secret's letters may stand in a header");
    value.set_sensitive(true);
    value
}

/// The cookie that takes it away.
pub(crate) fn no_session_cookie(visitor: &Visitor) -> HeaderValue {
    let text = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax{}; Max-Age=0", secure(visitor));
    HeaderValue::from_str(&text).expect("plain letters")
}

pub(crate) fn secure(visitor: &Visitor) -> &'static str {
    if visitor.origin.starts_with("https://") { "; Secure" } else { "" }
}

pub(crate) const COOKIE: &str = "session";
