//! Accepting connections.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::admission::{Admission, Entrance, Excess, Port, Refusing};
use crate::socket::Socket;

/// How a port lets connections in.
pub(crate) struct Door {
    pub(crate) admission: Arc<Admission>,
    pub(crate) port: Port,
    /// How long the kernel waits for a peer that takes nothing.
    pub(crate) stall_timeout: Duration,
    /// What is told to those for whom there is no time: by [`Excess`], perhaps nothing. It is lost
    /// where the peer has spoken already, since the connection is closed at once.
    pub(crate) hurried: [Bytes; Excess::ALL.len()],
}

/// Accepts connections and runs `serve` for each, until `shutdown`; then waits for all of them.
/// Those that may not come in are served with what they are to be told. `watches` says whether an
/// address watches already.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    door: Door,
    shutdown: CancellationToken,
    watches: impl Fn(IpAddr) -> bool,
    serve: impl Fn(Socket, SocketAddr, Option<Refusing>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let tasks = TaskTracker::new();
    let mut arrivals = Arrivals::new(listener);
    loop {
        let (socket, peer) = tokio::select! {
            arrival = arrivals.next() => arrival,
            () = shutdown.cancelled() => break,
        };
        let (permit, refusing) = match door.admission.admit(peer.ip(), door.port, || watches(peer.ip())) {
            Entrance::Admitted(permit) => (Some(permit), None),
            Entrance::Refused(refusing) => (None, Some(refusing)),
            Entrance::Dropped(excess) => {
                // A peer that does not get it has lost a courtesy.
                let _ = SockRef::from(&socket).send(&door.hurried[excess as usize]);
                continue;
            }
        };
        if let Err(error) = prepare(&socket, door.stall_timeout) {
            // The peer is gone already.
            debug!(%peer, %error, "connection lost at once");
            continue;
        }
        tasks.spawn(serve(Socket::new(socket, permit), peer, refusing));
    }
    drop(arrivals);
    tasks.close();
    tasks.wait().await;
}

/// A listener's connections, one by one.
#[derive(Debug)]
pub(crate) struct Arrivals {
    listener: TcpListener,
    /// When it was last said that descriptors are exhausted.
    said: Option<Instant>,
}

impl Arrivals {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self { listener, said: None }
    }

    /// The next connection. May be dropped and asked again: none is lost.
    pub(crate) async fn next(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(arrival) => return arrival,
                // Out of file descriptors: those that are open go on, new ones wait in the backlog.
                Err(error) if is_exhausted(&error) => {
                    if self.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
                        self.said = Some(Instant::now());
                        warn!(%error, "cannot accept connections for now; raise the limit of open files (ulimit -n)");
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => debug!(%error, "connection lost before it was accepted"),
            }
        }
    }
}

/// Sets the options of a connection's socket.
pub(crate) fn prepare(socket: &TcpStream, stall_timeout: Duration) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    // A peer that vanished is noticed by the kernel: where nobody writes by the first, else by the second.
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    socket.set_tcp_user_timeout(Some(stall_timeout))
}

/// While there are no descriptors left, it is said so often.
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// A connection is asked for a sign of life after so long a silence.
const KEEPALIVE: Duration = Duration::from_secs(60);

fn is_exhausted(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    const ENOMEM: i32 = 12;
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE | ENOBUFS | ENOMEM))
}
