use std::io::Write;
use std::time::Duration;

use http::{HeaderMap, Method, Request};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::conversation::{self, Manners};

const LONG: Duration = Duration::from_secs(3600);

/// A server that answers with parts of one file, on one connection.
struct Server {
    client: TcpStream,
    task: JoinHandle<()>,
    shutdown: CancellationToken,
}

/// A file of which each byte tells its place.
fn file(size: usize) -> (Arc<File>, Vec<u8>) {
    let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
    let mut file = tempfile();
    file.write_all(&bytes).unwrap();
    (Arc::new(file), bytes)
}

/// A file without a name.
fn tempfile() -> File {
    let name = format!("millrace-file-body-{}-{:?}", std::process::id(), Instant::now());
    let path = std::env::temp_dir().join(name);
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

fn answer(body: FileBody) -> Response<Body> {
    let size = body.head.len() as u64 + body.ranges.iter().map(|range| range.end - range.start).sum::<u64>();
    let mut response = Response::new(Body::from("the body that is read"));
    response.headers_mut().insert(header::CONTENT_LENGTH, size.into());
    response.extensions_mut().insert(body);
    response
}

async fn serve(
    stall_timeout: Duration,
    respond: impl Fn(Request<Incoming>) -> Response<Body> + Send + Sync + 'static,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, peer) = listener.accept().await.unwrap();
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let task = tokio::spawn(async move {
        let first_head_by = Instant::now() + LONG;
        let manners = Manners { first_head_by, head_timeout: LONG, stall_timeout, keep_alive: true, shutdown: &stop };
        let respond = |request| std::future::ready(respond(request));
        conversation::converse(Socket::new(socket, None), peer, manners, respond).await;
    });
    Server { client, task, shutdown }
}

/// Serves the ranges that a path lists (`/head/0-10/90-100`), after its first part's bytes, and says `plain` elsewhere.
async fn serve_ranges(file: Arc<File>) -> Server {
    serve(LONG, move |request| {
        let mut parts = request.uri().path().split('/').skip(1);
        let head = Bytes::copy_from_slice(parts.next().unwrap().as_bytes());
        let ranges = parts.map(|part| {
            let (start, end) = part.split_once('-').unwrap();
            start.parse().unwrap()..end.parse().unwrap()
        });
        let ranges: Vec<_> = ranges.collect();
        if ranges.is_empty() {
            return Response::new(Body::from("plain"));
        }
        answer(FileBody { head, file: Arc::clone(&file), ranges })
    })
    .await
}

impl Server {
    async fn ask(&mut self, path: &str) -> (HeaderMap, Vec<u8>) {
        self.client.write_all(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await.unwrap();
        self.answer(&Method::GET).await
    }

    async fn answer(&mut self, method: &Method) -> (HeaderMap, Vec<u8>) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.client.read_u8().await.unwrap());
        }
        let mut headers = HeaderMap::new();
        for line in String::from_utf8(head).unwrap().lines().skip(1) {
            if let Some((name, value)) = line.split_once(": ") {
                headers.insert(header::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
            }
        }
        let length = headers[header::CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
        let mut body = vec![0; if method == Method::HEAD { 0 } else { length }];
        self.client.read_exact(&mut body).await.unwrap();
        (headers, body)
    }
}

#[tokio::test]
async fn ranges_come_in_their_order_and_the_connection_goes_on() {
    let (file, bytes) = file(3 * PIECE + 17);
    let mut server = serve_ranges(file).await;
    let all = format!("/head/0-{}", bytes.len());
    for _ in 0..2 {
        assert!(server.ask(&all).await.1 == [b"head", &bytes[..]].concat());
        assert!(server.ask("//5-6").await.1 == bytes[5..6], "no head, one byte");
        assert!(server.ask("/plain").await.1 == b"plain");
        // Backwards, next to each other, across the largest piece, and an empty one.
        let pieces = [200..300, 10..20, 20..20, 20..100_000, 7..PIECE + 70_000, bytes.len() - 1..bytes.len()];
        let path: String = pieces.iter().map(|range| format!("/{}-{}", range.start, range.end)).collect();
        let expected = pieces.iter().map(|range| &bytes[range.clone()]).collect::<Vec<_>>().concat();
        assert!(server.ask(&format!("/{path}")).await.1 == expected);
    }
}

#[tokio::test]
async fn many_short_ranges_come_in_their_order_among_long_ones() {
    let (file, bytes) = file(3 * PIECE);
    let mut server = serve_ranges(file).await;
    let short = SHORT as usize;
    let few = (0..MANY - 1).map(|n| n * 999..n * 999 + 7);
    let many = (0..5 * MANY).map(|n| n * 5000 + 3..n * 5000 + 3 + short);
    let long = std::iter::once(10..PIECE + 20);
    let pieces: Vec<_> =
        few.clone().chain(long.clone()).chain(many.clone()).chain(few).chain(long).chain(many).collect();
    let path: String = pieces.iter().map(|range| format!("/{}-{}", range.start, range.end)).collect();
    let expected = pieces.iter().map(|range| &bytes[range.clone()]).collect::<Vec<_>>().concat();
    for _ in 0..2 {
        assert!(server.ask(&format!("/head{path}")).await.1 == [b"head", &expected[..]].concat());
    }
}

#[tokio::test]
async fn requests_that_are_sent_ahead_are_answered_in_their_order() {
    let (file, bytes) = file(2 * PIECE);
    let mut server = serve_ranges(file).await;
    let asked = ["/a/0-100000", "/plain", "/b/7-8/9-10/100000-500000", "/c/1-2"];
    let requests: String = asked.iter().map(|path| format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).collect();
    server.client.write_all(requests.as_bytes()).await.unwrap();
    assert!(server.answer(&Method::GET).await.1 == [b"a", &bytes[..100_000]].concat());
    assert!(server.answer(&Method::GET).await.1 == b"plain");
    assert!(
        server.answer(&Method::GET).await.1 == [b"b", &bytes[7..8], &bytes[9..10], &bytes[100_000..500_000]].concat()
    );
    assert!(server.answer(&Method::GET).await.1 == [b"c", &bytes[1..2]].concat());
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_it_and_the_end() {
    let (file, bytes) = file(PIECE + 1);
    let mut server = serve_ranges(file).await;
    let request = format!("GET /x/0-{} HTTP/1.0\r\n\r\n", bytes.len());
    server.client.write_all(request.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    server.client.read_to_end(&mut got).await.unwrap();
    assert!(got.ends_with(&[b"\r\n\r\nx", &bytes[..]].concat()));
    server.task.await.unwrap();
}

#[tokio::test]
async fn an_answer_of_another_length_is_its_own_body() {
    let (file, _) = file(10);
    let mut server = serve(LONG, move |_| {
        let body = FileBody { head: Bytes::new(), file: Arc::clone(&file), ranges: std::iter::once(0..10).collect() };
        let mut response = Response::new(Body::from("packed"));
        response.headers_mut().insert(header::CONTENT_LENGTH, 6.into());
        response.extensions_mut().insert(body);
        response
    })
    .await;
    assert_eq!(server.ask("/").await.1, b"packed");
}

#[tokio::test]
async fn a_head_alone_is_that_of_the_whole() {
    let (file, bytes) = file(PIECE);
    let mut server = serve_ranges(file).await;
    server.client.write_all(b"HEAD //0-1000 HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    assert_eq!(server.answer(&Method::HEAD).await.0[header::CONTENT_LENGTH], "1000");
    assert!(server.ask("//0-1000").await.1 == bytes[..1000]);
}

#[tokio::test]
async fn one_that_takes_it_slowly_gets_all_of_it() {
    let (file, bytes) = file(16 << 20);
    let mut server = serve_ranges(file).await;
    server
        .client
        .write_all(format!("GET //0-{} HTTP/1.1\r\nhost: test\r\n\r\n", bytes.len()).as_bytes())
        .await
        .unwrap();
    // The server meets a full socket many times.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert!(server.answer(&Method::GET).await.1 == bytes);
    assert!(server.ask("//3-9").await.1 == bytes[3..9]);
}

#[tokio::test]
async fn one_that_takes_nothing_is_cut() {
    let (file, bytes) = file(32 << 20);
    let stall_timeout = Duration::from_millis(100);
    let length = bytes.len() as u64;
    let body = move |_| answer(FileBody { head: Bytes::new(), file: Arc::clone(&file), ranges: vec![0..length; 64] });
    let mut server = serve(stall_timeout, body).await;
    server.client.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    // It is not asked to wait for the few seconds that what the kernel took is worth.
    tokio::time::timeout(Duration::from_secs(3600), async {
        tokio::time::pause();
        server.task.await.unwrap();
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_file_that_is_cut_short_ends_the_connection_before_its_length() {
    let (file, bytes) = file(64 << 20);
    let cut = Arc::clone(&file);
    let mut server = serve_ranges(file).await;
    let request = format!("GET //0-{} HTTP/1.1\r\nhost: test\r\n\r\n", bytes.len());
    server.client.write_all(request.as_bytes()).await.unwrap();
    let mut got = vec![0; 1 << 20];
    server.client.read_exact(&mut got).await.unwrap();
    cut.set_len(1000).unwrap();
    let _ = server.client.read_to_end(&mut got).await; // its end, or a reset
    assert!(got.len() < bytes.len());
    server.task.await.unwrap();
}

#[tokio::test]
async fn an_answer_that_was_begun_is_finished_when_the_server_ends() {
    let (file, bytes) = file(32 << 20);
    let mut server = serve_ranges(file).await;
    let request = format!("GET //0-{} HTTP/1.1\r\nhost: test\r\n\r\n", bytes.len());
    server.client.write_all(request.as_bytes()).await.unwrap();
    let mut begun = [0; 5];
    server.client.peek(&mut begun).await.unwrap();
    server.shutdown.cancel();
    assert!(server.answer(&Method::GET).await.1 == bytes);
    assert_eq!(server.client.read(&mut begun).await.unwrap(), 0);
    server.task.await.unwrap();
}

#[tokio::test]
async fn where_the_kernel_cannot_it_is_copied() {
    let (file, bytes) = file(3 * COPIED);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    socket.writable().await.unwrap();
    let copied = copy(&socket, &file, 5, bytes.len()).unwrap();
    assert!((1..=COPIED).contains(&copied));
    let mut got = vec![0; copied];
    client.read_exact(&mut got).await.unwrap();
    assert!(got == bytes[5..5 + copied]);
    assert_eq!(copy(&socket, &file, bytes.len() as u64, 10).unwrap(), 0, "there is nothing behind its end");
}

/// A file of which the page cache has nothing. `None`, with words, where its file system keeps all of it there.
#[cfg(target_os = "linux")]
fn cold_file(size: usize) -> Option<(Arc<File>, Vec<u8>)> {
    use rustix::fs::{Advice, fadvise};

    let (file, bytes) = file(size);
    file.sync_all().unwrap();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    if is_cached(&file, &(0..1)) {
        // Not by `eprintln!`, whose output is hidden where a test passes.
        let _ = writeln!(io::stderr(), "SKIPPED: the file system of {:?} forgets nothing", std::env::temp_dir());
        return None;
    }
    Some((file, bytes))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_on_the_disk_alone_comes_as_well() {
    let size = 5 * PIECE + 17;
    let short = |n| n * PIECE / 8 + 100..n * PIECE / 8 + 200;
    let many: Vec<_> = (0..40).map(short).collect();
    for pieces in [&[0..size, 0..0], &[PIECE - 3..3 * PIECE + 5, 7..9], &[size - 1..size, 0..PIECE], &many[..]] {
        let Some((file, bytes)) = cold_file(size) else { return };
        let mut server = serve_ranges(file).await;
        let path: String = pieces.iter().map(|range| format!("/{}-{}", range.start, range.end)).collect();
        let expected = pieces.iter().map(|range| &bytes[range.clone()]).collect::<Vec<_>>().concat();
        for _ in 0..2 {
            assert!(server.ask(&format!("/head{path}")).await.1 == [b"head", &expected[..]].concat());
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_was_cut_short_before_it_is_read_ends_the_connection() {
    let Some((file, bytes)) = cold_file(5 * PIECE) else { return };
    file.set_len(1000).unwrap();
    let mut server = serve_ranges(file).await;
    let request = format!("GET //0-{} HTTP/1.1\r\nhost: test\r\n\r\n", bytes.len());
    server.client.write_all(request.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    let _ = server.client.read_to_end(&mut got).await; // its end, or a reset
    assert!(got.len() < bytes.len());
    server.task.await.unwrap();
}

#[test]
fn what_is_not_there_cannot_be_read() {
    let (file, _) = file(100);
    assert_eq!(read_all(&file, 10..100).unwrap(), 10..100);
    assert_eq!(read_all(&file, 10..101).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}
