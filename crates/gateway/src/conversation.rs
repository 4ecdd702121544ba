//! HTTP on one connection, through hyper: how long a peer may take, and how it ends when the server does.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::debug;

use crate::answers::SentBytes;
use crate::file_body::{FileSocket, Outbox};
use crate::paced::Paced;
use crate::socket::Socket;

/// What hyper writes to.
pub(crate) type Io = TokioIo<Paced<FileSocket>>;

/// How a connection is treated.
#[derive(Debug)]
pub(crate) struct Manners<'a> {
    /// When the head of the first request has to be there.
    pub(crate) first_head_by: Instant,
    /// How long those of later ones may take, from the end of the request before.
    pub(crate) head_timeout: Duration,
    /// How long a peer may take nothing of an answer.
    pub(crate) stall_timeout: Duration,
    /// Whether more than one request is answered.
    pub(crate) keep_alive: bool,
    pub(crate) shutdown: &'a CancellationToken,
}

/// Answers a connection's requests until it is over, or the server is.
pub(crate) async fn converse<F>(
    socket: Socket,
    peer: SocketAddr,
    manners: Manners<'_>,
    respond: impl Fn(Request<Incoming>) -> F,
) where
    F: Future<Output = Response<Body>>,
{
    let answering = TaskTracker::new();
    let asked = AtomicBool::new(false);
    let outbox = Outbox::default();
    let service = service_fn(|request| {
        asked.store(true, Relaxed);
        let (answering, answer) = (answering.token(), respond(request));
        let outbox = outbox.clone();
        async move {
            let mut answer = outbox.take_over(answer.await);
            let sent = answer.extensions_mut().remove();
            Ok::<_, Infallible>(answer.map(|body| Answer { body, sent, _answering: answering }))
        }
    });
    let socket = Paced::new(FileSocket::new(socket, outbox.clone()), manners.stall_timeout);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(manners.head_timeout)
        .keep_alive(manners.keep_alive)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // The library's own time for a head begins with its first poll, which is not the connection's beginning.
    let nothing_asked = async {
        tokio::time::sleep_until(manners.first_head_by).await;
        if asked.load(Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = nothing_asked => return debug!(%peer, "HTTP connection closed: no whole request came"),
        () = manners.shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = quiet(&answering) => return debug!(%peer, "HTTP connection closed: no whole request came"),
            }
        }
    };
    if let Err(error) = ended {
        debug!(%peer, %error, "HTTP connection ended");
    }
}

/// Waits until there has been nothing to answer for a while: what is still to come is at most a
/// request of which a part was sent.
async fn quiet(answering: &TaskTracker) {
    answering.close();
    loop {
        answering.wait().await;
        tokio::time::sleep(LAST_REQUEST).await;
        if answering.is_empty() {
            return;
        }
    }
}

/// A body that shows for as long as it is being sent that a request is being answered.
struct Answer {
    body: Body,
    sent: Option<SentBytes>,
    _answering: TaskTrackerToken,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let (Some(sent), Some(Ok(frame))) = (&self.sent, &frame) {
            sent.add(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// At the server's end a request of which a part was sent may take so long to become whole, and an
/// answer's last bytes to be taken.
const LAST_REQUEST: Duration = Duration::from_secs(2);
/// Longest head of a request, and largest buffer of a connection, bytes.
const MAX_HEAD: usize = 64 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// A conversation in which all but the first head may take long.
    async fn begin(first_head_by: Instant, keep_alive: bool) -> (TcpStream, JoinHandle<()>) {
        begin_with(first_head_by, keep_alive, LONG, "hello".into()).await
    }

    async fn begin_with(
        first_head_by: Instant,
        keep_alive: bool,
        stall_timeout: Duration,
        answer: Bytes,
    ) -> (TcpStream, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, peer) = listener.accept().await.unwrap();
        let server = tokio::spawn(async move {
            let shutdown = &CancellationToken::new();
            let manners = Manners { first_head_by, head_timeout: LONG, stall_timeout, keep_alive, shutdown };
            let respond = |_| std::future::ready(Response::new(Body::from(answer.clone())));
            converse(Socket::new(socket, None), peer, manners, respond).await;
        });
        (client, server)
    }

    async fn ask(client: &mut TcpStream) {
        client.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(b"\r\n\r\nhello") {
            assert!(client.read_buf(&mut got).await.unwrap() > 0, "{}", got.escape_ascii());
        }
    }

    #[tokio::test]
    async fn a_first_head_that_is_late_ends_it_however_it_began() {
        let (mut client, server) = begin(Instant::now() + Duration::from_millis(50), true).await;
        client.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
        assert_eq!(client.read(&mut [0; 16]).await.unwrap(), 0);
        server.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_taken_of_an_answer_is_counted_where_that_is_wanted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, peer) = listener.accept().await.unwrap();
        let sent = SentBytes::default();
        let respond = |_| {
            let mut answer = Response::new(Body::from("hello"));
            answer.extensions_mut().insert(sent.clone());
            std::future::ready(answer)
        };
        let (first_head_by, shutdown) = (Instant::now() + LONG, &CancellationToken::new());
        let manners = Manners { first_head_by, head_timeout: LONG, stall_timeout: LONG, keep_alive: true, shutdown };
        let asking = async {
            ask(&mut client).await;
            ask(&mut client).await;
            drop(client);
        };
        tokio::join!(converse(Socket::new(socket, None), peer, manners, respond), asking);
        assert_eq!(sent.get(), 10);
    }

    #[tokio::test]
    async fn once_something_was_asked_the_first_deadline_is_no_matter() {
        let first_head_by = Instant::now() + Duration::from_millis(500);
        let (mut client, server) = begin(first_head_by, true).await;
        ask(&mut client).await;
        tokio::time::sleep_until(first_head_by + Duration::from_millis(50)).await;
        ask(&mut client).await;
        drop(client);
        server.await.unwrap();
    }

    #[tokio::test]
    async fn where_one_request_is_answered_a_second_is_not() {
        let (mut client, server) = begin(Instant::now() + LONG, false).await;
        ask(&mut client).await;
        let _ = client.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
        assert!(matches!(client.read(&mut [0; 16]).await, Ok(0) | Err(_)));
        server.await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_waits_much_longer_than_a_peer_may_take_nothing() {
        const ANSWER: usize = 32 << 20;
        let stall_timeout = Duration::from_secs(1);
        let (mut client, server) =
            begin_with(Instant::now() + LONG, false, stall_timeout, vec![7; ANSWER].into()).await;
        client.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
        let (begun, mut got, mut buffer) = (Instant::now(), 0, vec![0; 64 * 1024]);
        while begun.elapsed() < 2 * stall_timeout {
            tokio::time::sleep(Duration::from_millis(10)).await;
            got += client.read(&mut buffer).await.unwrap();
        }
        assert!(got < ANSWER / 2, "most of it still waits");
        loop {
            match client.read(&mut buffer).await.unwrap() {
                0 => break,
                n => got += n,
            }
        }
        assert!(got > ANSWER, "with its head it is whole: {got}");
        server.await.unwrap();
    }
}
