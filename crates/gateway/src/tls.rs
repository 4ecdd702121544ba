//! TLS in front of a protocol that works on bare sockets.
//!
//! TLS is ended by a task of its own, a *pump*, between the peer's connection and one end of a pair
//! of local sockets. The session has the other end and does not know of TLS: the walker writes to it
//! as it writes to all others.
//!
//! **Invariants**
//! - A pump holds one buffer of [`BUFFER`] bytes for each direction, beside those of the sockets and of
//!   TLS itself: where the one side does not take more, the other is not read.
//! - What ends on one side ends on the other, after all that came before it.
//! - Handshakes under way are bounded in number, in all and per address, and in time.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use millrace_hub::{LogLimit, Network};
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::info;

use crate::socket::Socket;

/// A server's certificate and key. Clones share them.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ArcSwap<ServerConfig>>,
    handshakes: Arc<Mutex<Handshakes>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(…)") // it holds a key
    }
}

impl Tls {
    /// TLS as `config` says.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self { config: Arc::new(ArcSwap::new(config)), handshakes: Arc::default() }
    }

    /// Puts another certificate in place. It holds for those who come.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        self.config.store(config);
    }

    /// Shakes hands. Gives the session's socket, and the pump that must run as long as it is used and
    /// ends after it; or nothing where the peer does not get so far.
    pub(crate) async fn accept(
        &self,
        socket: Socket,
        peer: SocketAddr,
        within: Duration,
        stall_timeout: Duration,
    ) -> Option<(Socket, impl Future<Output = ()> + use<>)> {
        let failed = |reason: &dyn fmt::Display| {
            if let Some(allowed) = FAILED.allow(peer.ip()) {
                info!(%peer, %reason, unsaid = allowed.unsaid, "TLS handshake failed");
            }
        };
        let Some(place) = Place::take(&self.handshakes, peer.ip()) else {
            failed(&"too many are under way");
            return None;
        };
        let acceptor = TlsAcceptor::from(self.config.load_full());
        let stream = match timeout(within, acceptor.accept(socket)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                failed(&error);
                return None;
            }
            Err(_) => {
                failed(&"it took too long");
                return None;
            }
        };
        drop(place);
        match pair() {
            Ok((session, local)) => Some((session, pump(stream, local, stall_timeout))),
            Err(error) => {
                failed(&error);
                None
            }
        }
    }
}

/// Two ends of a local connection: for the session and for the pump.
fn pair() -> io::Result<(Socket, tokio::net::UnixStream)> {
    let (session, local) = UnixStream::pair()?;
    for end in [&session, &local] {
        end.set_nonblocking(true)?;
        let end = SockRef::from(end);
        // The peer's own connection has buffers enough.
        end.set_send_buffer_size(LOCAL_BUFFER)?;
        end.set_recv_buffer_size(LOCAL_BUFFER)?;
    }
    // A socket of another family under the type that sessions know: reading, writing and shutting down
    // are the same calls on both. Its address, and what is TCP's own, nobody asks it for.
    let session = std::net::TcpStream::from(OwnedFd::from(session));
    Ok((Socket::new(TcpStream::from_std(session)?, None), tokio::net::UnixStream::from_std(local)?))
}

async fn pump(stream: TlsStream<Socket>, local: tokio::net::UnixStream, stall_timeout: Duration) {
    let (mut from_peer, mut to_peer) = tokio::io::split(stream);
    let (mut from_session, mut to_session) = local.into_split();
    {
        // Where the peer's side ends, by whatever failure, the session sees that and ends in its turn.
        let up = async {
            let _ = carry(&mut from_peer, &mut to_session, Duration::MAX).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = up => {}
            _ = carry(&mut from_session, &mut to_peer, stall_timeout) => {}
        }
    }
    // The session is over, and the peer told so. A connection that is closed over unread input is reset,
    // and what is under way to the peer would be lost.
    let mut unread = [0; 1024];
    let _ = timeout(LINGER, async { while from_peer.read(&mut unread).await.is_ok_and(|n| n > 0) {} }).await;
}

/// Passes on what comes until it ends, and then the end.
async fn carry(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    stall_timeout: Duration,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        // A session that closes over unread input ends with an error: that is an end, too.
        let n = from.read(&mut buffer).await.unwrap_or(0);
        let pass = async {
            match n {
                0 => to.shutdown().await,
                n => {
                    to.write_all(&buffer[..n]).await?;
                    to.flush().await
                }
            }
        };
        timeout(stall_timeout, pass).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if n == 0 {
            return Ok(());
        }
    }
}

/// How many handshakes are under way.
#[derive(Debug, Default)]
struct Handshakes {
    total: usize,
    of_network: HashMap<Network, usize>,
}

/// One of the handshakes under way; over when dropped.
struct Place {
    handshakes: Arc<Mutex<Handshakes>>,
    network: Network,
}

impl Place {
    fn take(handshakes: &Arc<Mutex<Handshakes>>, peer: IpAddr) -> Option<Self> {
        let network = Network::from(peer);
        let mut counts = lock(handshakes);
        let of_network = counts.of_network.get(&network).copied().unwrap_or_default();
        if counts.total >= MAX_HANDSHAKES || of_network >= MAX_HANDSHAKES_OF_ADDRESS {
            return None;
        }
        counts.total += 1;
        counts.of_network.insert(network, of_network + 1);
        drop(counts);
        Some(Self { handshakes: Arc::clone(handshakes), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.handshakes);
        counts.total -= 1;
        match counts.of_network.get_mut(&self.network) {
            Some(1) | None => _ = counts.of_network.remove(&self.network),
            Some(n) => *n -= 1,
        }
    }
}

fn lock(handshakes: &Mutex<Handshakes>) -> MutexGuard<'_, Handshakes> {
    // The counts are never left half changed.
    handshakes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a pump carries at a time, in each direction, bytes: a record of TLS.
const BUFFER: usize = 16 * 1024;
/// Each of the four buffers between pump and session, bytes; the kernel doubles it.
const LOCAL_BUFFER: usize = 64 * 1024;
/// How long a peer may take for the end.
const LINGER: Duration = Duration::from_secs(2);
/// Handshakes under way at a time. Each takes some 40 KiB.
const MAX_HANDSHAKES: usize = 512;
/// Of these from one address.
const MAX_HANDSHAKES_OF_ADDRESS: usize = 64;

static FAILED: LogLimit = LogLimit::new(1);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_are_bounded_in_all_and_per_address() {
        let handshakes = Arc::default();
        let take = |n: u32| Place::take(&handshakes, std::net::Ipv4Addr::from_bits(n).into());
        let mut places: Vec<_> = (0..MAX_HANDSHAKES_OF_ADDRESS).map(|_| take(1).unwrap()).collect();
        assert!(take(1).is_none());
        places.extend((MAX_HANDSHAKES_OF_ADDRESS..MAX_HANDSHAKES).map(|n| take(n as u32 + 2).unwrap()));
        assert!(take(0).is_none());
        places.clear();
        assert!(take(1).is_some());
        assert!(lock(&handshakes).of_network.is_empty());
    }

    #[tokio::test]
    async fn the_two_ends_are_connected_and_an_end_is_seen() {
        let (mut session, mut local) = pair().unwrap();
        session.write_all(b"hello").await.unwrap();
        local.write_all(b"unread").await.unwrap();
        drop(session);
        let mut got = Vec::new();
        while let Ok(1..) = local.read_buf(&mut got).await {}
        assert_eq!(got, b"hello", "closing over unread input loses nothing of what was said");
    }
}
