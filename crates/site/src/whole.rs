//! What changes something is done to its end, though whoever asked for it goes away meanwhile: between what the database has
//! taken and what is told of it, nothing stops.

use std::panic::resume_unwind;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;
use http_body::Body as _;

use crate::{ErrorCode, Problem};

/// Middleware. What is sent for long, such as a file, ends with its sender, as it has to.
pub(crate) async fn done_whole(request: Request, next: Next) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let is_short = request.body().size_hint().upper().is_some_and(|size| size <= SHORT);
    if !(changes && is_short) {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request)).await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(response) => response,
        Err(Ok(panic)) => resume_unwind(panic),
        Err(Err(_)) => Problem::new(ErrorCode::Unavailable, "the server is ending; try again").into_response(),
    }
}

/// Bytes of a form, or of what the API takes.
const SHORT: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use axum::body::Body;
    use axum::routing::any;
    use axum::{Router, middleware};
    use tokio::sync::{Notify, mpsc};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn only_what_reads_or_is_long_ends_with_who_asked() {
        for (method, length, is_done) in [
            (Method::POST, 10, true),
            (Method::DELETE, 0, true),
            (Method::GET, 0, false),
            (Method::PATCH, 1 << 20, false),
        ] {
            let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let (done, mut told) = mpsc::unbounded_channel();
            let (begins, goes) = (Arc::clone(&begun), Arc::clone(&go));
            let handler = move || async move {
                begins.notify_one();
                goes.notified().await;
                done.send(()).unwrap();
            };
            let router: Router = Router::new().route("/", any(handler)).layer(middleware::from_fn(done_whole));
            let request = Request::builder().method(method.clone()).uri("/").body(Body::from(vec![0; length])).unwrap();
            let asked = tokio::spawn(router.oneshot(request));
            begun.notified().await;
            asked.abort();
            assert!(asked.await.unwrap_err().is_cancelled());
            go.notify_one();
            assert_eq!(told.recv().await.is_some(), is_done, "{method} {length}");
        }
    }
}
