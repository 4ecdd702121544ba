//! `/healthz` says that the process runs, `/readyz` that it wants to be sent viewers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use axum::{Router, http::StatusCode, routing::get};

/// Whether the server is draining. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health {
    draining: Arc<AtomicBool>,
}

impl Health {
    /// From now on not ready: the server ends.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    /// Both routes.
    pub(crate) fn routes(&self) -> Router {
        let health = self.clone();
        let ready = move || async move {
            if health.draining.load(Relaxed) {
                (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            } else {
                (StatusCode::OK, "ready\n")
            }
        };
        Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready))
    }
}
