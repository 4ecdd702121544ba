//! FLV over HTTP: `/{app}/{name}.flv`.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use millrace_hub::{Format, Packet, PlayError, PlayRequest, PlayerGuard, Protocol, Read, Ring, StreamId, Subscription};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::time::Instant;

use crate::http::Server;
use crate::media_path::MediaPath;
use crate::playhead::Playhead;
use crate::problem::Problem;
use crate::proxies::FORWARDED_FOR;
use crate::socket::Socket;
use crate::walker::NewPlayer;

/// A plain first request for FLV.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PlainRequest {
    stream: StreamId,
    query: String,
    cookies: String,
    /// What proxies say of who asks, by lines.
    forwarded_for: Vec<Vec<u8>>,
    /// Bytes of its head, still unread.
    len: usize,
}

impl PlainRequest {
    /// Bytes of its head.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// Looks at a connection's first bytes without reading them. `None` where they are not the whole
/// of a plain request for FLV: hyper knows better then.
pub(crate) async fn peek(socket: &Socket) -> io::Result<Option<PlainRequest>> {
    poll_fn(|context| {
        // The buffer lives no longer than this call: thousands of connections may wait here.
        let mut buffer = [0; PEEK];
        let mut buffer = ReadBuf::new(&mut buffer);
        ready!(socket.poll_peek(context, &mut buffer))?;
        Poll::Ready(Ok(recognise(buffer.filled())))
    })
    .await
}

/// Serves a plain player: its head is answered here, its packets come from a walker.
pub(crate) async fn play_plain(server: Arc<Server>, mut socket: Socket, peer: SocketAddr, request: PlainRequest) {
    let mut head = vec![0; request.len()];
    if socket.read_exact(&mut head).await.is_err() {
        return;
    }
    let PlainRequest { stream, query, cookies, forwarded_for, .. } = &request;
    let client = server.proxies.client(peer, forwarded_for.iter().map(Vec::as_slice));
    let asked = PlayRequest { stream, query, cookies, peer: client };
    let subscription = async {
        server.may_play(asked).await?;
        server.admit(asked, Format::Flv, Protocol::HttpFlv).await
    };
    match subscription.await {
        Ok(Subscription { ring, player: place }) => {
            server.answers.count(StatusCode::OK);
            let head = Bytes::from_static(HEAD.as_bytes());
            server.walkers.add(ring, NewPlayer { socket, head, place, control: None }).await;
        }
        Err(problem) => {
            server.answers.count(problem.status());
            // A peer that does not take a few hundred bytes has left.
            let _ = socket.write_all(&problem.to_http1()).await;
            let _ = socket.shutdown().await;
        }
    }
}

/// Answers a request that came through hyper.
pub(crate) async fn play(server: &Server, asked: PlayRequest<'_>, head_only: bool) -> Result<Response<Body>, Problem> {
    let mut response = Response::new(if head_only {
        server.hub.info(asked.stream).ok_or(PlayError::NotOnAir)?;
        Body::empty()
    } else {
        let subscription = server.admit(asked, Format::Flv, Protocol::HttpFlv).await?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(feed(subscription, sender, server.hub.config().stall_timeout));
        Body::new(FlvBody(receiver))
    });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/x-flv"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// What a plain player is answered. The body ends with the connection, so that packets need no
/// framing of their own.
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: video/x-flv\r\ncache-control: no-store\r\n\
                    access-control-allow-origin: *\r\nconnection: close\r\n\r\n";
/// Longest head that is recognised as plain; browsers send about 600 bytes.
const PEEK: usize = 2048;
const MAX_HEADERS: usize = 48;
/// Packets that wait for hyper, beside as many that are about to.
const QUEUE: usize = 8;

pub(crate) fn recognise(head: &[u8]) -> Option<PlainRequest> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(len) = request.parse(head).ok()? else { return None };
    let unusual = ["upgrade", "content-length", "transfer-encoding", "expect"];
    if len != head.len()
        || request.method != Some("GET")
        || request.headers.iter().any(|h| unusual.iter().any(|u| h.name.eq_ignore_ascii_case(u)))
    {
        return None;
    }
    let (path, query) = request.path.map(|p| p.split_once('?').unwrap_or((p, "")))?;
    match MediaPath::parse(path)? {
        MediaPath::Flv(stream) => {
            let cookies = request.headers.iter().find(|h| h.name.eq_ignore_ascii_case("cookie"));
            let cookies = cookies.and_then(|h| std::str::from_utf8(h.value).ok()).unwrap_or_default().to_owned();
            let lines = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(FORWARDED_FOR));
            let forwarded_for = lines.map(|h| h.value.to_vec()).collect();
            Some(PlainRequest { stream, query: query.to_owned(), cookies, forwarded_for, len })
        }
        _ => None,
    }
}

/// Passes a stream to a body until it ends, or the player leaves, stalls or is sent away.
async fn feed(subscription: Subscription, body: mpsc::Sender<Piece>, stall_timeout: Duration) {
    let Subscription { ring, player } = subscription;
    tokio::select! {
        _ = deliver(ring, &player, &body, stall_timeout) => {}
        () = kicked(&player) => {}
        () = body.closed() => {}
    }
}

/// Passes a ring's packets to a body, as fast as it takes them.
async fn deliver(
    mut ring: Ring,
    player: &PlayerGuard,
    body: &mpsc::Sender<Piece>,
    stall_timeout: Duration,
) -> Result<(), SendTimeoutError<Piece>> {
    let start = ring.join();
    let mut playhead = Playhead::new(start.join);
    let mut packets: Vec<Packet> = Vec::with_capacity(QUEUE);
    let mut next_report = Instant::now();
    let mut before = start.prologue;
    loop {
        if !before.is_empty() {
            playhead.sent(before.len());
            body.send_timeout(Piece::Bytes(std::mem::take(&mut before)), stall_timeout).await?;
        }
        let head = ring.head();
        match ring.read(playhead.next, QUEUE, &mut packets) {
            Read::Packets(0) if head.ended => return body.send_timeout(Piece::End, stall_timeout).await,
            Read::Packets(0) => {
                ring.changed().await;
            }
            Read::Packets(_) => {}
            Read::Lagged(start) => {
                playhead.skip_to(start.join);
                before = start.prologue;
            }
        }
        for packet in packets.drain(..) {
            if playhead.take(&packet) {
                playhead.sent(packet.bytes.len());
                body.send_timeout(Piece::Bytes(packet.bytes), stall_timeout).await?;
            }
        }
        if Instant::now() >= next_report {
            next_report = Instant::now() + REPORT_EVERY;
            playhead.report(Instant::now(), player);
        }
    }
}

/// Waits until the player is sent away.
async fn kicked(player: &PlayerGuard) {
    while !player.is_kicked() {
        tokio::time::sleep(KICK_EVERY).await;
    }
}

const REPORT_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether a player was sent away.
const KICK_EVERY: Duration = Duration::from_millis(500);

/// What a body is made of.
#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    /// The stream is over: the body is complete.
    End,
}

struct FlvBody(mpsc::Receiver<Piece>);

impl http_body::Body for FlvBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Cut>>> {
        Poll::Ready(match ready!(self.0.poll_recv(context)) {
            Some(Piece::Bytes(bytes)) => Some(Ok(http_body::Frame::data(bytes))),
            Some(Piece::End) => None,
            None => Some(Err(Cut)),
        })
    }
}

/// The player was cut off: the connection is not to go on as if the stream had ended.
#[derive(Debug, thiserror::Error)]
#[error("the player stalled or was sent away")]
struct Cut;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn plain_requests_are_recognised() {
        let head = b"GET /live/movie.flv?token=x HTTP/1.1\r\nHost: a\r\nRange: bytes=0-\r\nCookie: session=y\r\n\
                     X-Forwarded-For: 192.0.2.7, 10.0.0.2\r\nx-forwarded-for:10.0.0.1\r\n\r\n";
        let expected = PlainRequest {
            stream: StreamId::parse("live", "movie").unwrap(),
            query: "token=x".to_owned(),
            cookies: "session=y".to_owned(),
            forwarded_for: vec![b"192.0.2.7, 10.0.0.2".to_vec(), b"10.0.0.1".to_vec()],
            len: head.len(),
        };
        assert_eq!(recognise(head), Some(expected));
    }

    #[test]
    fn everything_else_is_left_to_hyper() {
        for head in [
            &b""[..],
            b"GET /live/movie.flv HTTP/1.1\r\nHost: a\r\n",
            b"GET /live/movie.flv HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            b"HEAD /live/movie.flv HTTP/1.1\r\n\r\n",
            b"GET /live/movie.m3u8 HTTP/1.1\r\n\r\n",
            b"GET /live/../x.flv HTTP/1.1\r\n\r\n",
            b"GET http://a/live/movie.flv HTTP/1.1\r\n\r\n",
            b"GET /live/movie.flv HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
            b"GET /live/movie.flv HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            b"\x03\x00\x00",
        ] {
            assert_eq!(recognise(head), None, "{}", head.escape_ascii());
        }
    }
}
