//! Who asks: language, theme and the address under which the visitor reached the site.
//!
//! A choice by query (`?lang=zh-CN`, `?theme=dark`) wins, shows at once and is kept in a cookie; so the switches work
//! without JavaScript.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderValue, Uri, header, request::Parts, uri::Scheme};

use crate::accounts::sessions::Actor;
use crate::actor::{COOKIE as SESSION_COOKIE, address_of};
use crate::{Language, Problem, Site};

/// What a page needs to know of its visitor.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) language: Language,
    pub(crate) theme: Theme,
    /// Host without port, as the visitor wrote it; IPv6 in brackets.
    pub(crate) host: String,
    /// Scheme, host and port, for absolute links.
    pub(crate) origin: String,
    /// Who has logged in, by the session's cookie.
    pub(crate) user: Option<Actor>,
    /// Path of the request, and its query without the choices made here.
    pub(crate) path: String,
    pub(crate) query: String,
}

impl Visitor {
    /// The address of this very page with one choice made.
    pub(crate) fn choosing(&self, name: &str, value: &str) -> String {
        let join = if self.query.is_empty() { "" } else { "&" };
        format!("{}?{}{join}{name}={value}", self.path, self.query)
    }

    /// The address of this very page with no choice made.
    pub(crate) fn choosing_nothing(&self) -> String {
        let join = if self.query.is_empty() { "" } else { "?" };
        format!("{}{join}{}", self.path, self.query)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().expect("the visitor layer wraps every page"))
    }
}

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the visitor's system has it.
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(crate) const fn icon(self) -> &'static str {
        match self {
            Self::Auto => "monitor",
            Self::Light => "sun",
            Self::Dark => "moon",
        }
    }

    /// The key of its name in the message files.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Auto => "theme.auto",
            Self::Light => "theme.light",
            Self::Dark => "theme.dark",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.name() == name)
    }
}

/// Middleware: recognises the visitor for the handlers inside, and keeps choices made by query.
pub(crate) async fn recognise(State(site): State<Site>, mut request: Request, next: Next) -> Response {
    let chosen_language = query_value(request.uri(), "lang").and_then(Language::from_tag);
    let chosen_theme = query_value(request.uri(), "theme").and_then(Theme::from_name);
    let headers = request.headers();
    let language = chosen_language
        .or_else(|| cookie(headers, "lang").and_then(Language::from_tag))
        .or_else(|| header_text(headers, header::ACCEPT_LANGUAGE).and_then(Language::negotiate))
        .unwrap_or(site.config.default_language);
    let theme = chosen_theme.or_else(|| cookie(headers, "theme").and_then(Theme::from_name)).unwrap_or(Theme::Auto);
    let authority = header_text(headers, header::HOST).filter(|host| is_authority(host)).unwrap_or("localhost");
    let scheme = request.extensions().get::<Scheme>().map_or("http", Scheme::as_str);
    let origin = site.config.public_url.clone().unwrap_or_else(|| format!("{scheme}://{authority}"));
    let public = origin.split_once("://").map_or(authority, |(_, authority)| authority);
    let user = match cookie(request.headers(), SESSION_COOKIE) {
        Some(text) => user(&site, text, request.extensions()).await,
        None => None,
    };
    let visitor = Visitor {
        user,
        language,
        theme,
        host: without_port(public).to_owned(),
        path: request.uri().path().to_owned(),
        query: other_pairs(request.uri()),
        origin,
    };
    request.extensions_mut().insert(visitor);

    let mut response = next.run(request).await;
    let choices = [("lang", chosen_language.map(Language::tag)), ("theme", chosen_theme.map(Theme::name))];
    for (name, value) in choices {
        if let Some(value) = value {
            let cookie = format!("{name}={value}; Path=/; Max-Age={COOKIE_SECONDS}; SameSite=Lax");
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
    }
    response
}

async fn user(site: &Site, cookie: &str, extensions: &http::Extensions) -> Option<Actor> {
    let address = address_of(extensions).to_string();
    let user = site.accounts.sessions.by_cookie(cookie, &address, millrace_store::At::now()).await;
    // A page is shown even where the database fails: to one who seems to be unknown.
    user.map_err(Problem::database).ok().flatten()
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

fn query_value<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    pairs(uri).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn other_pairs(uri: &Uri) -> String {
    let kept: Vec<&str> = pairs(uri).filter(|pair| !matches!(pair.split('=').next(), Some("lang" | "theme"))).collect();
    kept.join("&")
}

fn pairs(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty())
}

/// Whether a `Host` header holds a host and perhaps a port, and nothing that could mislead in an address.
fn is_authority(host: &str) -> bool {
    (1..=MAX_HOST).contains(&host.len())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']'))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    }
}

/// Longest `Host` header that is believed: a DNS name (RFC 1035 §2.3.4) and a port.
const MAX_HOST: usize = 253 + 6;
const COOKIE_SECONDS: u32 = 365 * 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_loses_its_port_and_keeps_its_brackets() {
        let cases = [
            ("video.example", "video.example"),
            ("video.example:8080", "video.example"),
            ("10.0.0.1:80", "10.0.0.1"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
        ];
        for (authority, host) in cases {
            assert_eq!(without_port(authority), host);
        }
    }

    #[test]
    fn strange_hosts_are_not_believed() {
        for bad in ["", "a/b", "a b", "a\"b", "user@host", "<script>", &"a".repeat(MAX_HOST + 1)] {
            assert!(!is_authority(bad), "{bad}");
        }
        assert!(is_authority(&"a".repeat(MAX_HOST)));
    }
}
