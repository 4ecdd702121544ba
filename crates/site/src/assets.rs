//! The built front-end: files of `web/dist`, embedded in release builds and read from disk in debug builds.
//!
//! Vite names each file after its content, so every answer under `/assets/` may be cached for ever. The manifest that
//! Vite writes beside them leads from source names to those names.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rust_embed::RustEmbed;
use serde::Deserialize;

use crate::{Site, headers};

/// The files below `/assets/`, and the icon that browsers ask for by its old name.
pub(crate) fn routes() -> Router<Site> {
    Router::new().route("/assets/{*path}", get(asset)).route("/favicon.ico", get(favicon))
}

/// Whether the front-end has been built into this program.
pub(crate) fn are_built() -> bool {
    !manifest().is_empty()
}

/// The address of a source file of the front-end (`src/site.ts`); empty where it has not been built.
pub(crate) fn url(source: &str) -> String {
    manifest().get(source).map(|chunk| format!("/assets/{}", chunk.file)).unwrap_or_default()
}

/// The style sheets that a script brings along, its shared parts included.
pub(crate) fn styles(source: &str) -> Vec<String> {
    let manifest = manifest();
    let mut found = Vec::new();
    let mut seen = Vec::new();
    let mut waiting = vec![source];
    while let Some(chunk) = waiting.pop() {
        let Some(entry) = manifest.get(chunk) else { continue };
        seen.push(chunk);
        found.extend(entry.css.iter().map(|file| format!("/assets/{file}")));
        waiting.extend(entry.imports.iter().map(String::as_str).filter(|import| !seen.contains(import)));
    }
    found
}

/// The further scripts that a script imports at once, so that a page can ask for all of them together.
pub(crate) fn imports(source: &str) -> Vec<String> {
    let manifest = manifest();
    let imports = manifest.get(source).map(|chunk| chunk.imports.as_slice()).unwrap_or_default();
    imports.iter().map(|import| url(import)).filter(|url| !url.is_empty()).collect()
}

async fn asset(Path(path): Path<String>, request: HeaderMap) -> Response {
    let accepted = request.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some((file, encoding)) = best_file(&path, accepted) else {
        return (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, "no-store")]).into_response();
    };
    let body = match file.data {
        Cow::Borrowed(bytes) => axum::body::Body::from(bytes),
        Cow::Owned(bytes) => axum::body::Body::from(bytes),
    };
    let mut response = body.into_response();
    let answer = response.headers_mut();
    headers::harden(answer);
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(&path)));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

async fn favicon() -> Response {
    match url("src/images/mark.svg") {
        mark if mark.is_empty() => StatusCode::NOT_FOUND.into_response(),
        mark => Redirect::temporary(&mark).into_response(),
    }
}

/// The file in the best encoding that is both stored and accepted.
fn best_file(path: &str, accepted: &str) -> Option<(rust_embed::EmbeddedFile, Option<&'static str>)> {
    let plain = Dist::get(path)?;
    for (encoding, suffix) in [("br", ".br"), ("gzip", ".gz")] {
        if accepts(accepted, encoding)
            && let Some(file) = Dist::get(&format!("{path}{suffix}"))
        {
            return Some((file, Some(encoding)));
        }
    }
    Some((plain, None))
}

fn accepts(header: &str, encoding: &str) -> bool {
    header.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        parts.next() == Some(encoding) && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg") => "image/jpeg",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../web/dist"]
struct Dist;

/// One line of Vite's manifest.
#[derive(Debug, Deserialize)]
struct Chunk {
    file: String,
    #[serde(default)]
    css: Vec<String>,
    #[serde(default)]
    imports: Vec<String>,
}

type Manifest = HashMap<String, Chunk>;

/// The manifest. Debug builds read it anew each time, as they do the files, so that a rebuilt front-end shows at once.
fn manifest() -> Arc<Manifest> {
    static EMBEDDED: LazyLock<Arc<Manifest>> = LazyLock::new(|| Arc::new(read_manifest()));
    if cfg!(debug_assertions) { Arc::new(read_manifest()) } else { Arc::clone(&EMBEDDED) }
}

/// Empty where the front-end has not been built.
fn read_manifest() -> Manifest {
    let Some(file) = Dist::get("manifest.json") else { return Manifest::new() };
    serde_json::from_slice(&file.data).unwrap_or_else(|error| {
        tracing::error!(%error, "the front-end's manifest cannot be read");
        Manifest::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_taken_only_where_accepted() {
        assert!(accepts("gzip, deflate, br", "br"));
        assert!(accepts("br;q=1.0", "br"));
        assert!(!accepts("gzip, br;q=0", "br"));
        assert!(!accepts("brotli", "br"));
        assert!(!accepts("", "gzip"));
    }

    #[test]
    fn nothing_outside_the_folder_is_served() {
        for path in ["../package.json", "/etc/passwd", "..%2fpackage.json", "a/../../package.json"] {
            assert!(best_file(path, "").is_none(), "{path}");
        }
    }
}
