//! The HTTP port: media paths here, everything else to the site.
//!
//! A plain HTTP-FLV player, recognised by peeking at its first request, is given to a walker before
//! the HTTP library takes the connection. All other requests go through hyper.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use millrace_hub::{Authorizer, Credentials, Format, Hub, Leave, PlayRequest, Protocol, Subscription};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::debug;

use crate::accept::{Door, accept};
use crate::admission::{Admission, Excess, Port, Refusing};
use crate::answers::Answers;
use crate::conversation::{self, Manners};
use crate::hls::{Audience, Viewer};
use crate::media_path::MediaPath;
use crate::problem::Problem;
use crate::proxies::{TrustedProxies, forwarded_for, is_over_tls};
use crate::socket::Socket;
use crate::thumbnail::{ThumbnailConfig, Thumbnails};
use crate::walker::Walkers;
use crate::{hls, http_flv, ws_flv};

/// How the HTTP port behaves.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// From the connection, or the end of the request before, to the end of a request's head.
    pub head_timeout: Duration,
    /// How the live picture is made.
    pub thumbnails: ThumbnailConfig,
    /// Where answers are counted.
    pub answers: Answers,
    /// Proxies in front.
    pub proxies: TrustedProxies,
    /// Who watches what the site serves.
    pub watching: Watching,
}

/// Tells whether an address watches something that the site serves: by requests that stand alone, so that it may come back to
/// a full server.
#[derive(Clone)]
pub struct Watching(Arc<dyn Fn(IpAddr) -> bool + Send + Sync>);

impl Watching {
    /// As this says.
    #[must_use]
    pub fn new(watches: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(watches))
    }
}

impl Default for Watching {
    /// Nobody does.
    fn default() -> Self {
        Self::new(|_| false)
    }
}

impl std::fmt::Debug for Watching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watching(…)")
    }
}

/// Serves HTTP until `shutdown`, and then until the last connection is closed. Players stay until
/// their streams end: shut the hub down as well. Requests that are not for media go to `site`, with
/// the client's address as `ConnectInfo<SocketAddr>`, and [`Scheme::HTTPS`] beside it where a trusted proxy says so.
pub async fn serve(
    listener: TcpListener,
    hub: Hub,
    authorizer: Arc<dyn Authorizer>,
    site: Router,
    config: HttpConfig,
    admission: Arc<Admission>,
    shutdown: CancellationToken,
) {
    let refusals = Excess::ALL.map(|excess| Bytes::from(Problem::too_many(excess.words()).to_http1()));
    let stall_timeout = hub.config().stall_timeout;
    let server = Arc::new(Server {
        walkers: Walkers::new(stall_timeout),
        thumbnails: Thumbnails::new(config.thumbnails),
        audience: Audience::default(),
        head_timeout: config.head_timeout,
        answers: config.answers,
        proxies: config.proxies,
        hub,
        authorizer,
        site,
        refusals: refusals.clone(),
        shutdown: shutdown.clone(),
    });
    let sweeper = {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(SWEEP);
            loop {
                tick.tick().await;
                server.audience.sweep();
            }
        })
    };
    let door = Door { admission, port: Port::Http, stall_timeout, hurried: refusals };
    let Watching(watches_files) = config.watching;
    let watches = |address| server.audience.watches(address) || watches_files(address);
    accept(listener, door, shutdown, watches, |socket, peer, refusing| {
        connection(Arc::clone(&server), socket, peer, refusing)
    })
    .await;
    server.walkers.finish().await;
    sweeper.abort();
}

/// What all connections share.
pub(crate) struct Server {
    pub(crate) hub: Hub,
    pub(crate) walkers: Arc<Walkers>,
    pub(crate) thumbnails: Thumbnails,
    pub(crate) audience: Audience,
    pub(crate) answers: Answers,
    pub(crate) proxies: TrustedProxies,
    authorizer: Arc<dyn Authorizer>,
    site: Router,
    head_timeout: Duration,
    /// What those are told who may not connect, by [`Excess`].
    refusals: [Bytes; Excess::ALL.len()],
    shutdown: CancellationToken,
}

impl Server {
    /// Asks whether this player may play that stream.
    pub(crate) async fn may_play(&self, request: PlayRequest<'_>) -> Result<Leave, Problem> {
        self.authorizer.play(request).await.map_err(Problem::from)
    }

    /// A place among the stream's players, for one who has leave. Leave is asked for again once the place is taken: who
    /// loses it from then on is sent away with all others.
    pub(crate) async fn admit(
        &self,
        request: PlayRequest<'_>,
        format: Format,
        protocol: Protocol,
    ) -> Result<Subscription, Problem> {
        let subscription = self.hub.play(request.stream, format, protocol, request.peer, false).await?;
        if let Leave::User(user) = self.may_play(request).await? {
            subscription.player.has_leave_by(user);
            self.may_play(request).await?;
        }
        Ok(subscription)
    }
}

async fn connection(server: Arc<Server>, socket: Socket, peer: SocketAddr, refusing: Option<Refusing>) {
    if let Some(refusing) = refusing {
        return refuse(server, socket, peer, refusing.excess).await;
    }
    let first_head_by = Instant::now() + server.head_timeout;
    let first = tokio::select! {
        first = tokio::time::timeout_at(first_head_by, http_flv::peek(&socket)) => first,
        () = server.shutdown.cancelled() => return,
    };
    match first {
        Ok(Ok(Some(request))) => http_flv::play_plain(server, socket, peer, request).await,
        Ok(Ok(None)) => converse(server, socket, peer, first_head_by, None).await,
        Ok(Err(error)) => debug!(%peer, %error, "HTTP connection lost"),
        Err(_) => debug!(%peer, "HTTP connection closed: no request came"),
    }
}

/// Tells a connection why it may not come in. Whoever asks after the server's health, or runs it, is answered.
async fn refuse(server: Arc<Server>, mut socket: Socket, peer: SocketAddr, excess: Excess) {
    let mut first = [0; 32];
    let n = match tokio::time::timeout(FIRST_WORDS, socket.peek(&mut first)).await {
        Ok(Ok(n)) => n,
        Ok(Err(_)) => return, // it is gone
        Err(_) => 0,
    };
    // Who does not take what it is told in time is closed.
    if Exempt::looks_so(&first[..n]) {
        let first_head_by = Instant::now() + server.head_timeout.min(REFUSAL);
        let _ = tokio::time::timeout(EXEMPT, converse(server, socket, peer, first_head_by, Some(excess))).await;
        return;
    }
    server.answers.count(StatusCode::TOO_MANY_REQUESTS);
    let refused = async {
        if socket.write_all(&server.refusals[excess as usize]).await.is_ok() && socket.shutdown().await.is_ok() {
            // A connection that is closed over unread input is reset, and the answer would be lost.
            let mut unread = [0; 1024];
            while socket.read(&mut unread).await.is_ok_and(|n| n > 0) {}
        }
    };
    let _ = tokio::time::timeout(REFUSAL, refused).await;
}

/// Answers requests through hyper. A connection that may not come in has no place among the others: one request is
/// answered, and no further one.
async fn converse(
    server: Arc<Server>,
    socket: Socket,
    peer: SocketAddr,
    first_head_by: Instant,
    refusing: Option<Excess>,
) {
    let manners = Manners {
        first_head_by,
        head_timeout: server.head_timeout,
        stall_timeout: server.hub.config().stall_timeout,
        keep_alive: refusing.is_none(),
        shutdown: &server.shutdown,
    };
    let respond = |request| {
        let server = Arc::clone(&server);
        async move {
            let answer = match refusing {
                Some(excess) if !is_exempt(&server, peer, &request).await => {
                    Problem::too_many(excess.words()).into_response()
                }
                _ => respond(Arc::clone(&server), peer, request).await,
            };
            server.answers.count(answer.status());
            answer
        }
    };
    conversation::converse(socket, peer, manners, respond).await;
}

/// A connection that may not come in has so long to say what it wants.
const FIRST_WORDS: Duration = Duration::from_secs(1);
/// So long to take its refusal, or to say the rest of what it wants that is answered all the same.
const REFUSAL: Duration = Duration::from_secs(3);
/// And so long for that, with the answer: a server that is full may be slow.
const EXEMPT: Duration = Duration::from_secs(15);

/// What is answered to connections that may not come in, as long as there is room to refuse them politely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exempt {
    /// To anybody: the server's health, and what it takes to log in.
    Open,
    /// To whoever runs the server.
    Administration,
}

impl Exempt {
    const PATHS: [(&str, Self); 7] = [
        ("/healthz", Self::Open),
        ("/readyz", Self::Open),
        ("/login", Self::Open),
        ("/api/v1/sessions", Self::Open),
        ("/assets", Self::Open),
        ("/admin", Self::Administration),
        // Whoever runs the server ends streams, and locks accounts, by paths of which it is not said who takes them.
        ("/api/v1", Self::Administration),
    ];

    /// Whether a request that begins so may be exempt; [`Self::of`] its path decides.
    fn looks_so(first: &[u8]) -> bool {
        let mut words = first.splitn(2, |byte| *byte == b' ').skip(1);
        words.next().is_some_and(|path| Self::PATHS.iter().any(|(exempt, _)| path.starts_with(exempt.as_bytes())))
    }

    fn of(path: &str) -> Option<Self> {
        let below = |of: &str| path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        Self::PATHS.iter().find(|(exempt, _)| below(exempt)).map(|(_, exempt)| *exempt)
    }
}

async fn is_exempt(server: &Server, peer: SocketAddr, request: &Request<Incoming>) -> bool {
    match Exempt::of(request.uri().path()) {
        None => false,
        Some(Exempt::Open) => true,
        Some(Exempt::Administration) => {
            let headers = request.headers();
            let credentials = Credentials {
                cookies: text(headers.get(header::COOKIE)),
                authorization: text(headers.get(header::AUTHORIZATION)),
                peer: server.proxies.client(peer, forwarded_for(headers)),
            };
            server.authorizer.administers(credentials).await
        }
    }
}

/// How often viewers that only stopped asking are let go.
const SWEEP: Duration = Duration::from_secs(5);

async fn respond(server: Arc<Server>, peer: SocketAddr, mut request: Request<Incoming>) -> Response<Body> {
    // From here on it is the client that asks, however many proxies stand between.
    let client = server.proxies.client(peer, forwarded_for(request.headers()));
    let Some(path) = MediaPath::parse(request.uri().path()) else {
        if server.proxies.trusts(peer.ip()) && is_over_tls(request.headers()) {
            request.extensions_mut().insert(Scheme::HTTPS);
        }
        request.extensions_mut().insert(ConnectInfo(client));
        // A Router does not fail: its error type is Infallible.
        return server.site.clone().oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {});
    };
    let origin_allowed = |mut response: Response<Body>| {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        response
    };
    origin_allowed(match *request.method() {
        Method::GET | Method::HEAD => media(server, client, request, path).await.unwrap_or_else(Problem::into_response),
        Method::OPTIONS => preflight(),
        _ => {
            let mut response = Problem::method_not_allowed().into_response();
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
            response
        }
    })
}

async fn media(
    server: Arc<Server>,
    client: SocketAddr,
    mut request: Request<Incoming>,
    path: MediaPath,
) -> Result<Response<Body>, Problem> {
    let upgrade =
        (matches!(path, MediaPath::Flv(_)) && ws_flv::is_upgrade(&request)).then(|| hyper::upgrade::on(&mut request));
    let head = request.headers();
    let (query, cookies) = (request.uri().query().unwrap_or_default(), text(head.get(header::COOKIE)));
    let asked = PlayRequest { stream: path.stream(), query, cookies, peer: client };
    let leave = server.may_play(asked).await?;
    let head_only = request.method() == Method::HEAD;
    let viewer = Viewer::new(client, head.get(header::USER_AGENT).map(HeaderValue::as_bytes));
    let mut response = match &path {
        MediaPath::Flv(_) => {
            return match upgrade {
                Some(upgrade) => ws_flv::play(&server, asked, &request, upgrade).await,
                None => http_flv::play(&server, asked, head_only).await,
            };
        }
        MediaPath::Multivariant(id) => hls::multivariant(&server, id)?.handing_on(query).into_response(),
        MediaPath::MediaPlaylist(id, format) => {
            hls::media_playlist(&server, id, *format, query, viewer).await?.handing_on(query).into_response()
        }
        MediaPath::Resource(id, name) => hls::resource(&server, id, *name, viewer, head_only).await?.into_response(),
        MediaPath::Manifest(id) => hls::manifest(&server, id, viewer).await?.handing_on(query).into_response(),
        MediaPath::Clock(_) => hls::clock().into_response(),
        MediaPath::Thumbnail(id) => server.thumbnails.get(&server.hub, id).await?,
    };
    if leave != Leave::Anybody {
        keep_private(&mut response);
    }
    Ok(response)
}

fn text(value: Option<&HeaderValue>) -> &str {
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Caches that many share must not keep what is for one.
fn keep_private(response: &mut Response<Body>) {
    if let Some(value) = response.headers_mut().get_mut(header::CACHE_CONTROL)
        && let Some(rest) = text(Some(value)).strip_prefix("public").map(|rest| format!("private{rest}"))
    {
        *value = HeaderValue::from_str(&rest).expect("what was a header is one still");
    }
}

fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("range"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}
