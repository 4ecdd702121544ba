//! Security and caching headers of pages and API answers.

use crate::actor::COOKIE as SESSION_COOKIE;
use crate::visitor::cookie;
use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// What a page may do beyond the strictest policy; a handler puts it into its response's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum PagePolicy {
    /// Own scripts and styles only, never in a frame.
    #[default]
    Plain,
    /// Holds the player: its components style their shadow trees with `<style>` elements.
    Player,
    /// The player alone, made to be framed by other sites.
    Embed,
    /// Words that stand in a frame of another site instead of it.
    Notice,
}

/// The only hosts that may frame a page that is made to be framed, with spaces between them; none where it is empty.
#[derive(Debug, Clone)]
pub(crate) struct Ancestors(pub(crate) String);

impl PagePolicy {
    fn content_security_policy(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Plain => csp!("'self'", "'none'"),
            Self::Player => csp!("'self' 'unsafe-inline'", "'none'"),
            Self::Embed => csp!("'self' 'unsafe-inline'", "*"),
            Self::Notice => csp!("'self'", "*"),
        })
    }
}

/// Middleware: completes every answer with the headers that keep its reader safe.
pub(crate) async fn secure(request: Request, next: Next) -> Response {
    let private = is_private(&request);
    let mut response = next.run(request).await;
    let policy = response.extensions().get::<PagePolicy>().copied().unwrap_or_default();
    let ancestors = response.extensions().get::<Ancestors>().map(|Ancestors(hosts)| match hosts.as_str() {
        "" => "'none'".to_owned(),
        hosts => format!("'self' {hosts}"),
    });
    let headers = response.headers_mut();
    let mut csp = policy.content_security_policy();
    if let Some(ancestors) = ancestors
        && let Some((rest, _)) = csp.to_str().ok().and_then(|text| text.rsplit_once(' '))
        && let Ok(narrower) = HeaderValue::from_str(&format!("{rest} {ancestors}"))
    {
        csp = narrower;
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, csp);
    if !matches!(policy, PagePolicy::Embed | PagePolicy::Notice) {
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    }
    harden(headers);
    if !headers.contains_key(header::CACHE_CONTROL) {
        let private = private || headers.contains_key(header::SET_COOKIE);
        let kept = if private { "private, no-store" } else { "no-cache" };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    }
    headers.append(header::VARY, HeaderValue::from_static("accept-language, cookie"));
    response
}

/// Whether the answer may say what is meant for one alone: who asks shows who they are, or follows a link that is a secret.
/// Neither caches on the way nor the browser's own keep it, so that nobody finds it who comes after.
fn is_private(request: &Request) -> bool {
    let headers = request.headers();
    let by_link = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("token=")));
    by_link || headers.contains_key(header::AUTHORIZATION) || cookie(headers, SESSION_COOKIE).is_some()
}

/// The headers that assets carry as well as pages.
pub(crate) fn harden(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
}

/// A policy with these style sources and frame ancestors. `blob:` is what Media Source Extensions play from and what
/// the players start their workers from.
macro_rules! csp {
    ($style:literal, $ancestors:literal) => {
        concat!(
            "default-src 'none'; script-src 'self'; style-src ",
            $style,
            "; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; media-src 'self' blob:; ",
            "worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors ",
            $ancestors
        )
    };
}
use csp;

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
