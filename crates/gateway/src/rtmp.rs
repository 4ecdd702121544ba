//! RTMP on sockets: a task per connection, until a player's connection goes to a walker.

mod connection;
mod player;
mod publish;

use std::sync::Arc;
use std::time::Duration;

use millrace_hub::{Authorizer, Hub};
use millrace_rtmp::server::ServerConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::accept::accept;
use crate::walker::Walkers;
use connection::Connection;

/// Deadlines of RTMP connections.
#[derive(Debug, Clone, Copy)]
pub struct RtmpConfig {
    /// From the connection to the end of the handshake.
    pub handshake_timeout: Duration,
    /// A connection whose peer sends nothing for so long is closed. Players that take their stream
    /// need not send.
    pub idle_timeout: Duration,
}

impl Default for RtmpConfig {
    fn default() -> Self {
        Self { handshake_timeout: Duration::from_secs(10), idle_timeout: Duration::from_secs(60) }
    }
}

/// Serves RTMP until `shutdown`, and then until the last connection is closed. Players stay until
/// their streams end: shut the hub down as well.
pub async fn serve(
    listener: TcpListener,
    hub: Hub,
    authorizer: Arc<dyn Authorizer>,
    config: RtmpConfig,
    shutdown: CancellationToken,
) {
    let stall_timeout = hub.config().stall_timeout;
    let server = Arc::new(Server {
        walkers: Walkers::new(stall_timeout),
        session: ServerConfig {
            handshake_timeout: config.handshake_timeout,
            idle_timeout: config.idle_timeout,
            ping_interval: config.idle_timeout / 3,
            ..ServerConfig::default()
        },
        hub,
        authorizer,
        shutdown: shutdown.clone(),
    });
    accept(listener, stall_timeout, shutdown, |socket, peer| {
        Connection::new(Arc::clone(&server), socket, peer).run(Vec::new())
    })
    .await;
    server.walkers.finish().await;
}

/// What all connections share.
struct Server {
    hub: Hub,
    authorizer: Arc<dyn Authorizer>,
    walkers: Arc<Walkers>,
    session: ServerConfig,
    shutdown: CancellationToken,
}
