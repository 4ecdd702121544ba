//! What no handler and no database has to see: addresses that are no text, and NUL, which PostgreSQL cannot keep.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::pages::error;
use crate::visitor::Visitor;
use crate::{ErrorCode, Problem, Site, api::is_api};

/// Middleware: lets through what can be read.
pub(crate) async fn only_readable(
    State(site): State<Site>,
    visitor: Visitor,
    request: Request,
    next: Next,
) -> Response {
    let path = decoded(request.uri().path());
    let named = !path.contains(&0) && str::from_utf8(&path).is_ok();
    if named && !decoded(request.uri().query().unwrap_or_default()).contains(&0) {
        return next.run(request).await;
    }
    match (is_api(request.uri().path()), named) {
        (false, _) => error::page(&site, visitor, error::NOT_FOUND),
        (true, false) => Problem::new(ErrorCode::NotFound, "the address is no text").into_response(),
        (true, true) => Problem::new(ErrorCode::BadRequest, "a parameter has a NUL").into_response(),
    }
}

/// Whether a JSON text has a NUL in one of its strings.
pub(crate) fn has_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let escape = &rest[at + 1..];
        if escape.starts_with(b"u0000") {
            return true;
        }
        rest = escape.get(1..).unwrap_or_default();
    }
    false
}

/// `text` with its `%xx` as the bytes that they stand for.
fn decoded(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = digit(bytes.get(at + 1)).zip(digit(bytes.get(at + 2)));
        match pair.and_then(|(high, low)| u8::try_from(high << 4 | low).ok()).filter(|_| byte == b'%') {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_decoded_as_the_router_does() {
        for (text, bytes) in
            [("/a%2Fb", &b"/a/b"[..]), ("%e4%00", b"\xe4\0"), ("%", b"%"), ("%0", b"%0"), ("%zz1", b"%zz1")]
        {
            assert_eq!(decoded(text), bytes, "{text}");
        }
    }

    #[test]
    fn nul_is_found_in_strings_and_nothing_else() {
        for with in [r#"{"a":"\u0000"}"#, r#""\\\u0000""#, r#""\"\u0000""#] {
            assert!(has_nul(with.as_bytes()), "{with}");
        }
        for without in
            [r#"{"a":"\\u0000"}"#, r#""\u00001""#.replace("\\u00001", "\\u0001").as_str(), "", "\\", r#""u0000""#]
        {
            assert!(!has_nul(without.as_bytes()), "{without}");
        }
    }
}
