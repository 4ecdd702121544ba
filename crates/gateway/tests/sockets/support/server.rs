use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use ::http::uri::Scheme;
use axum::extract::ConnectInfo;
use axum::routing::get;
use axum::{Extension, Router};
use millrace_gateway::admission::{Admission, ConnectionLimits};
use millrace_gateway::{Answers, ThumbnailConfig, TrustedProxies, http, rtmp};
use millrace_hub::{
    AddressRange, Authorizer, BoxFuture, Credentials, Grant, Hub, HubConfig, Leave, PlayRequest, PublishRequest,
    Refusal, StreamId,
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Both ports over one hub. Its sockets have small buffers, so that a player that does not read is
/// blocked after some 100 KiB, in the middle of a packet.
pub(crate) struct Server {
    pub(crate) hub: Hub,
    pub(crate) admission: Arc<Admission>,
    pub(crate) http: SocketAddr,
    pub(crate) rtmp: SocketAddr,
    shutdown: CancellationToken,
    serving: Vec<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(config: HubConfig) -> Self {
        Self::start_with(config, ConnectionLimits { total: 1000, per_address: 1000, per_second: 1000, trusted: vec![] })
    }

    pub(crate) fn start_with(config: HubConfig, limits: ConnectionLimits) -> Self {
        let admission = Admission::new(limits);
        let hub = Hub::new(config);
        let shutdown = CancellationToken::new();
        let (http_listener, rtmp_listener) = (listen(), listen());
        let (http, rtmp) = (http_listener.local_addr().unwrap(), rtmp_listener.local_addr().unwrap());
        let thumbnails = ThumbnailConfig { enabled: false, ..ThumbnailConfig::default() };
        let proxy = AddressRange::new(PROXY.into(), 32).unwrap();
        let proxies = TrustedProxies::new(vec![proxy]);
        let watching = http::Watching::new(|address| address == IpAddr::from(VIEWER));
        let config =
            http::HttpConfig { head_timeout: LONG, thumbnails, answers: Answers::default(), proxies, watching };
        let site = Router::new().route("/who", get(who)).fallback(|| async { "the site" });
        let web = http::serve(
            http_listener,
            hub.clone(),
            Arc::new(Rules::default()),
            site,
            config,
            Arc::clone(&admission),
            shutdown.clone(),
        );
        let config = rtmp::RtmpConfig { handshake_timeout: LONG, idle_timeout: LONG };
        let listeners = rtmp::RtmpListeners { plain: rtmp_listener, tls: None };
        let media = rtmp::serve(
            listeners,
            hub.clone(),
            Arc::new(Rules::default()),
            config,
            Arc::clone(&admission),
            shutdown.clone(),
        );
        let serving = vec![tokio::spawn(web), tokio::spawn(media)];
        Self { hub, admission, http, rtmp, shutdown, serving }
    }

    /// Ends as the program does, and waits until both ports are done.
    pub(crate) async fn shut_down(self) {
        self.shutdown.cancel();
        self.hub.shutdown().await;
        for port in self.serving {
            port.await.unwrap();
        }
    }

    /// What the hub knows of the player on that connection.
    pub(crate) fn info(&self, peer: SocketAddr) -> millrace_hub::PlayerInfo {
        let players = self.hub.players(&movie());
        players.into_iter().find(|p| p.peer == peer).expect("the player is on the stream")
    }
}

/// The stream that is played.
pub(crate) fn movie() -> StreamId {
    StreamId::parse("live", "movie").unwrap()
}

/// A connection that takes in little before it is read.
pub(crate) async fn connect(to: SocketAddr) -> TcpStream {
    connect_from([127, 0, 0, 1], to).await
}

/// The same from another of this machine's addresses.
pub(crate) async fn connect_from(address: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(BUFFER).unwrap();
    socket.bind((address, 0).into()).unwrap();
    let socket = socket.connect(to).await.unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// Fails where something that must happen soon does not.
#[track_caller]
pub(crate) fn soon<T>(what: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let outcome = tokio::time::timeout(PATIENCE, what).await;
        outcome.unwrap_or_else(|_| panic!("waited in vain, at {caller}"))
    }
}

/// Waits for what no event tells of.
#[track_caller]
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    soon(async move {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
}

/// Where a trusted proxy is.
pub(crate) const PROXY: [u8; 4] = [127, 0, 0, 80];

/// Where somebody watches what the site serves.
pub(crate) const VIEWER: [u8; 4] = [127, 0, 0, 81];

/// The site's page that says who asks, and over what.
async fn who(ConnectInfo(client): ConnectInfo<SocketAddr>, scheme: Option<Extension<Scheme>>) -> String {
    format!("{} {}", client.ip(), scheme.map_or("http".to_owned(), |Extension(scheme)| scheme.to_string()))
}

const PATIENCE: Duration = Duration::from_secs(8);
/// Deadlines that no test comes to.
const LONG: Duration = Duration::from_secs(120);
const BUFFER: u32 = 16 * 1024;

fn listen() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(BUFFER).unwrap(); // connections inherit it
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket.listen(128).unwrap()
}

/// Who may publish and play: by name.
#[derive(Default)]
struct Rules {
    /// How often `fickle` was asked for: leave is given once.
    fickle: AtomicUsize,
}

impl Authorizer for Rules {
    fn publish<'a>(&'a self, request: PublishRequest<'a>) -> BoxFuture<'a, Result<Grant, Refusal>> {
        Box::pin(async move {
            match request.key {
                "movie-key" => Ok(Grant { name: movie().name, takeover: true }),
                "other-key" => Ok(Grant { name: "other".parse().unwrap(), takeover: true }),
                "expired-key" => Err(Refusal::NotAllowed("the stream key has expired")),
                _ => Err(Refusal::NotFound),
            }
        })
    }

    fn play<'a>(&'a self, request: PlayRequest<'a>) -> BoxFuture<'a, Result<Leave, Refusal>> {
        Box::pin(async move {
            match request.stream.name.as_str() {
                "unheard-of" => Err(Refusal::NotFound),
                "fickle" if self.fickle.fetch_add(1, Relaxed) > 0 => Err(Refusal::NotAllowed("no more")),
                "secret" if request.query.contains("token=1") => Ok(Leave::Bearer),
                "secret" if request.cookies == "who=1" => Ok(Leave::User("1".into())),
                "secret" => Err(Refusal::NotAllowed("not for you")),
                "later" => Err(Refusal::Unavailable("ask again later")),
                _ => Ok(Leave::Anybody),
            }
        })
    }

    fn administers<'a>(&'a self, credentials: Credentials<'a>) -> BoxFuture<'a, bool> {
        let known = credentials.cookies == "who=admin" || credentials.authorization == "Bearer admin";
        Box::pin(std::future::ready(known))
    }
}
