//! The port for the operator: a router of its own, which neither limits nor players keep from answering.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::debug;

use crate::accept::{Arrivals, prepare};
use crate::conversation::{Manners, converse};
use crate::socket::Socket;

/// How long a client of the port may take.
#[derive(Debug, Clone, Copy)]
pub struct OpsConfig {
    /// From the connection, or the end of the request before, to the end of a request's head.
    pub head_timeout: Duration,
    /// For taking nothing of an answer.
    pub stall_timeout: Duration,
}

/// Serves `router` until `shutdown`, and then until what was asked is answered.
pub async fn serve(listener: TcpListener, router: Router, config: OpsConfig, shutdown: CancellationToken) {
    let mut arrivals = Arrivals::new(listener);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let tasks = TaskTracker::new();
    loop {
        let arrival = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, arrivals.next().await)
        };
        let (place, (socket, peer)) = tokio::select! {
            arrival = arrival => arrival,
            () = shutdown.cancelled() => break,
        };
        if let Err(error) = prepare(&socket, config.stall_timeout) {
            debug!(%peer, %error, "connection lost at once");
            continue;
        }
        let (router, shutdown) = (router.clone(), shutdown.clone());
        tasks.spawn(async move {
            let _place = place;
            let manners = Manners {
                first_head_by: Instant::now() + config.head_timeout,
                head_timeout: config.head_timeout,
                stall_timeout: config.stall_timeout,
                keep_alive: true,
                shutdown: &shutdown,
            };
            let respond = |request: Request<Incoming>| async {
                let answer = router.clone().oneshot(request.map(Body::new)).await;
                answer.unwrap_or_else(|never| match never {}) // a Router does not fail: its error type is Infallible
            };
            converse(Socket::new(socket, None), peer, manners, respond).await;
        });
    }
    drop(arrivals);
    tasks.close();
    tasks.wait().await;
}

/// Connections at a time; further ones wait. An operator's tools need few, and the rest of the descriptors
/// belongs to those who watch.
const MAX_CONNECTIONS: usize = 64;
