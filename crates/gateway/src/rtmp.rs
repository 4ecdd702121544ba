//! RTMP on sockets: a task per connection, until a player's connection goes to a walker.

mod connection;
mod player;
mod publish;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use millrace_hub::{Authorizer, Hub};
use millrace_rtmp::server::ServerConfig;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::accept::{Door, accept};
use crate::admission::{Admission, Port, Refusing};
use crate::socket::Socket;
use crate::tls::Tls;
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

/// Where RTMP comes in.
#[derive(Debug)]
pub struct RtmpListeners {
    /// In the clear.
    pub plain: TcpListener,
    /// Over TLS (RTMPS).
    pub tls: Option<(TcpListener, Tls)>,
}

/// Serves RTMP until `shutdown`, and then until the last connection is closed. Players stay until
/// their streams end: shut the hub down as well.
pub async fn serve(
    listeners: RtmpListeners,
    hub: Hub,
    authorizer: Arc<dyn Authorizer>,
    config: RtmpConfig,
    admission: Arc<Admission>,
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
    // To tell why, one has to shake hands first: those for whom there is no time are told nothing.
    let door = |port| Door { admission: Arc::clone(&admission), port, stall_timeout, hurried: Default::default() };
    let plain = accept(
        listeners.plain,
        door(Port::Rtmp),
        shutdown.clone(),
        |_| false,
        |socket, peer, refusing| plain(Arc::clone(&server), socket, peer, refusing),
    );
    let tls = async {
        let Some((listener, tls)) = listeners.tls else { return };
        accept(
            listener,
            door(Port::Rtmps),
            shutdown,
            |_| false,
            |socket, peer, refusing| over_tls(Arc::clone(&server), tls.clone(), socket, peer, refusing),
        )
        .await;
    };
    tokio::join!(plain, tls);
    server.walkers.finish().await;
}

async fn plain(server: Arc<Server>, socket: Socket, peer: SocketAddr, refusing: Option<Refusing>) {
    let connection = Connection::new(server, socket, peer);
    match refusing {
        None => connection.run(Vec::new()).await,
        // Who does not take the refusal in time is closed.
        Some(refusing) => {
            _ = timeout(REFUSAL, connection.refusing(refusing.excess.words()).run(Vec::new())).await;
        }
    }
}

async fn over_tls(server: Arc<Server>, tls: Tls, socket: Socket, peer: SocketAddr, refusing: Option<Refusing>) {
    if refusing.is_some() {
        return; // a handshake of TLS is too dear to say no
    }
    let stall_timeout = server.hub.config().stall_timeout;
    let accepted = tokio::select! {
        accepted = tls.accept(socket, peer, server.session.handshake_timeout, stall_timeout) => accepted,
        () = server.shutdown.cancelled() => return,
    };
    if let Some((socket, pump)) = accepted {
        tokio::join!(pump, Connection::new(server, socket, peer).run(Vec::new()));
    }
}

/// A connection that is refused may take so long.
const REFUSAL: Duration = Duration::from_secs(3);

/// What all connections share.
struct Server {
    hub: Hub,
    authorizer: Arc<dyn Authorizer>,
    walkers: Arc<Walkers>,
    session: ServerConfig,
    shutdown: CancellationToken,
}
