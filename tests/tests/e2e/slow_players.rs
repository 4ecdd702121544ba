//! Players that do not take what they are sent.

use std::{
    io::Read,
    net::{SocketAddr, TcpStream},
    thread,
};

use millrace_e2e::{
    Server,
    clip::Recipe,
    eventually,
    flv::{FlvReader, Kind, Tag, read_file},
    frames::{Reading, assert_consecutive},
    http::{self, Body},
};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

/// A stream too fat for the buffers of a socket.
fn heavy() -> Recipe {
    Recipe::new(14).video_kbit_s(8000)
}

/// How a player asks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Request {
    /// For the stream at once.
    Plain,
    /// For something else before, on the same connection.
    Second,
}

/// Asks for the stream on a connection that takes little.
fn open_narrow(address: SocketAddr, request: Request) -> FlvReader<Body> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Before connecting, so that the window is never larger.
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut connection = http::Connection::new(TcpStream::from(socket));
    if request == Request::Second {
        connection.send("GET", "/healthz", &[]);
        connection.response(true);
    }
    connection.send("GET", "/live/movie.flv", &[]);
    FlvReader::new(connection.streaming().1)
}

fn player(server: &Server, port: u16) -> Option<Value> {
    let peer = format!("127.0.0.1:{port}");
    server.stream("movie")?["players"].as_array().unwrap().iter().find(|p| p["peer"] == *peer).cloned()
}

/// Panics unless pictures are missing, and each gap ends with a keyframe, headers before it.
#[track_caller]
fn assert_skipped_to_keyframes(tags: &[Tag]) {
    let mut gaps = 0;
    let mut last: Option<&Tag> = None;
    let mut headers = false;
    for tag in tags {
        headers |= tag.is_sequence_header();
        if tag.kind != Kind::Video || !tag.is_frame() {
            continue;
        }
        if let Some(last) = last {
            assert!(last.timestamp < tag.timestamp);
            if tag.timestamp - last.timestamp > 40 {
                gaps += 1;
                assert!(tag.is_keyframe(), "at {} ms, after {} ms", tag.timestamp, last.timestamp);
                assert!(headers, "the configuration comes first");
            }
        }
        last = Some(tag);
        headers = false;
    }
    assert!(gaps > 0, "nothing was skipped");
}

#[test]
fn a_player_that_stops_reading_skips_to_a_keyframe_and_disturbs_nobody() {
    skips_to_a_keyframe(Request::Plain);
}

#[test]
fn so_does_one_on_a_connection_that_was_kept() {
    skips_to_a_keyframe(Request::Second);
}

fn skips_to_a_keyframe(request: Request) {
    let server = Server::start(&["play.window=1s"]);
    let clip = heavy().make();
    let publisher = server.publish(&clip);
    server.wait_on_air();
    let other = Reading::start(&server.http_url("/live/movie.flv"), clip.sound);
    let mut slow = open_narrow(server.http, request);
    let port = slow.source().socket().local_addr().unwrap().port();
    let mut tags: Vec<Tag> = std::iter::from_fn(|| slow.tag()).take(10).collect();
    // It reads no more for about eight seconds, then all that it is given.
    server.wait_for_stream("movie", "eight seconds old", |s| s["received"]["video_frames"].as_u64() >= Some(200));
    let reader = thread::spawn(move || {
        tags.extend(slow.rest());
        tags
    });
    let caught_up = eventually("a player that has caught up", || {
        let caught_up = |s: &Value| s["received"]["video_frames"].as_u64() >= Some(300);
        server.stream("movie").filter(caught_up).and_then(|_| player(&server, port))
    });
    publisher.wait().silent();
    let tags = reader.join().unwrap();
    assert_skipped_to_keyframes(&tags);

    // What it has lost is what was counted.
    let source = read_file(&clip.path);
    let frames: Vec<_> = tags.iter().filter(|tag| tag.is_frame()).collect();
    let first = source.iter().position(|tag| tag.body == frames[0].body).unwrap();
    let missing = source[first..].iter().filter(|tag| tag.is_frame()).count() - frames.len();
    assert_eq!(caught_up["dropped_frames"], missing, "{caught_up:#}");
    assert!(caught_up["skips"].as_u64() >= Some(1));

    // The other player has had all of it.
    let (source, got) = (clip.frames(), other.finish());
    for (source, got) in [(&source.video, &got.video), (&source.audio, &got.audio)] {
        let (first, _) = assert_consecutive(source, got);
        assert_eq!(first + got.len(), source.len());
    }
}

#[test]
fn a_player_that_takes_nothing_is_disconnected() {
    is_disconnected(Request::Plain);
}

#[test]
fn so_is_one_on_a_connection_that_was_kept() {
    is_disconnected(Request::Second);
}

fn is_disconnected(request: Request) {
    let server = Server::start(&["play.stall_timeout=2s"]);
    let _publisher = server.publish(&heavy().make());
    server.wait_on_air();
    let mut slow = open_narrow(server.http, request);
    let port = slow.source().socket().local_addr().unwrap().port();
    slow.frame().unwrap();
    eventually("the player", || player(&server, port));
    eventually("the player's end", || player(&server, port).is_none().then_some(()));
    let stream = server.stream("movie").expect("the stream goes on");
    // What is left in the kernel's buffers still comes, whole or not; then the connection is over.
    let mut rest = Vec::new();
    let _ = slow.source().read_to_end(&mut rest);
    assert!(Some(rest.len() as u64) < stream["received"]["video_bytes"].as_u64());
}
