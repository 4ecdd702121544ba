//! HTTP beyond the plain request that succeeds.

use std::io::Read;

use millrace_e2e::{
    Program, Server,
    clip::Recipe,
    eventually,
    flv::FlvReader,
    hls,
    http::{self, Connection},
    websocket::{KEY, WebSocket},
};

const PLAYLIST: &str = "/live/movie/ts.m3u8";

fn on_air(settings: &[&str]) -> (Server, Program) {
    let server = Server::start(settings);
    let publisher = server.publish(&Recipe::new(20).make());
    server.wait_on_air();
    (server, publisher)
}

#[test]
fn answers_carry_the_right_headers() {
    let (server, _publisher) = on_air(&["hls.segment=1s"]);
    let playlist = hls::media(server.http, PLAYLIST);
    let segment = format!("/live/movie/{}", playlist.segments[0].uri);
    let mpegurl = "application/vnd.apple.mpegurl";
    for (path, content_type, cache) in [
        ("/live/movie.m3u8", mpegurl, "public, max-age=1"),
        (PLAYLIST, mpegurl, "public, max-age=1"),
        (&*segment, "video/mp2t", "public, max-age=31536000, immutable"),
        ("/live/movie.flv", "video/x-flv", "no-store"),
    ] {
        let head = http::request(server.http, "HEAD", path, &[]);
        assert_eq!(head.status, 200, "{path}");
        assert_eq!(head.header("content-type"), Some(content_type), "{path}");
        assert_eq!(head.header("cache-control"), Some(cache), "{path}");
        assert_eq!(head.header("access-control-allow-origin"), Some("*"), "{path}");
        assert!(head.body.is_empty());

        let options = ["Origin: https://example.com", "Access-Control-Request-Method: GET"];
        let preflight = http::request(server.http, "OPTIONS", path, &options);
        assert_eq!(preflight.status, 204, "{path}");
        assert_eq!(preflight.header("access-control-allow-origin"), Some("*"), "{path}");
        assert!(preflight.header("access-control-allow-methods").is_some_and(|m| m.contains("GET")), "{path}");

        let post = http::request(server.http, "POST", path, &["Content-Length: 0"]);
        post.problem(405, "001");
        assert_eq!(post.header("allow"), Some("GET, HEAD, OPTIONS"), "{path}");
    }
    // A HEAD says how long the body of a GET is.
    let (head, get) = (http::request(server.http, "HEAD", &segment, &[]), http::get(server.http, &segment));
    assert_eq!(head.header("content-length"), Some(&*get.body.len().to_string()));
    assert_eq!(get.body.len() % 188, 0);
    assert!(get.body.chunks(188).all(|packet| packet[0] == 0x47));
}

#[test]
fn a_segment_that_has_left_is_explained() {
    let (server, _publisher) = on_air(&["hls.segment=1s", "hls.window=3"]);
    let old = hls::media(server.http, PLAYLIST).segments[0].uri.clone();
    let gone = eventually("the first segment's end", || {
        let answer = hls::segment(server.http, PLAYLIST, &old);
        (answer.status != 200).then_some(answer)
    });
    assert_eq!(gone.problem(404, "006"), "the segment has left the live window; reload the playlist");
    assert!(hls::media(server.http, PLAYLIST).segments.iter().all(|segment| segment.uri != old));
    let (session, number) = old.trim_end_matches(".ts").split_once('-').unwrap();
    let coming = format!("{session}-{}.ts", number.parse::<u64>().unwrap() + 1000);
    for never in [&*coming, "x.ts", "-.ts"] {
        let answer = hls::segment(server.http, PLAYLIST, never);
        assert_eq!(answer.problem(404, "006"), "the stream has no such segment");
    }
}

#[test]
fn flv_comes_by_every_form_of_request() {
    let (server, _publisher) = on_air(&[]);
    let first_frame = |mut body: http::Body| assert!(FlvReader::new(&mut body).frame().is_some());

    // HTTP/1.0, whose clients know no chunks.
    let mut connection = Connection::open(server.http);
    connection.send_raw(b"GET /live/movie.flv HTTP/1.0\r\n\r\n");
    let (head, body) = connection.streaming();
    assert_eq!((head.status, head.header("transfer-encoding")), (200, None));
    first_frame(body);

    // The second request of a connection.
    let mut connection = Connection::open(server.http);
    connection.send("GET", "/live/movie.m3u8", &[]);
    assert_eq!(connection.response(true).status, 200);
    connection.send("GET", "/live/movie.flv?token=x", &[]);
    let (head, body) = connection.streaming();
    assert_eq!((head.status, head.header("content-type")), (200, Some("video/x-flv")));
    assert_eq!(head.header("access-control-allow-origin"), Some("*"));
    first_frame(body);

    // A head that comes in pieces.
    let mut connection = Connection::open(server.http);
    for piece in [&b"GET /live/movie.flv HT"[..], b"TP/1.1\r\nHost: a\r\n", b"Range: bytes=0-\r\n\r\n"] {
        connection.send_raw(piece);
        // So that they are read one by one.
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
    let (head, body) = connection.streaming();
    assert_eq!(head.status, 200);
    first_frame(body);
}

#[test]
fn websocket_handshakes_that_are_wrong_are_refused() {
    let (server, _publisher) = on_air(&[]);
    let key = format!("Sec-WebSocket-Key: {}", KEY.0);
    for headers in [
        &["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 8", &key][..],
        &["Upgrade: websocket", "Connection: Upgrade", &key],
        &["Upgrade: websocket", "Sec-WebSocket-Version: 13", &key],
        &["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"],
    ] {
        let answer = http::request(server.http, "GET", "/live/movie.flv", headers);
        answer.problem(400, "001");
        if !headers.contains(&"Sec-WebSocket-Version: 13") {
            assert_eq!(answer.header("sec-websocket-version"), Some("13"), "what would be understood");
        }
    }
    // One that is right goes on to work: pings are answered, and a goodbye is understood.
    let mut websocket = WebSocket::open(server.http, "/live/movie.flv");
    websocket.send(9, b"still there?");
    let pong = std::iter::from_fn(|| websocket.frame().ok()).find(|(opcode, _)| *opcode == 10).unwrap();
    assert_eq!(pong.1, b"still there?");
    websocket.send(8, &1000u16.to_be_bytes());
    while websocket.frame().is_ok() {}
    server.wait_for_stream("movie", "without players", |s| s["players"].as_array().unwrap().is_empty());
}

#[test]
fn garbage_is_refused_and_survived() {
    let (server, _publisher) = on_air(&[]);
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET /live/movie.flv HTTP/9.9\r\n\r\n",
        b"GET /live/movie.flv HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET /live/movie.flv HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
    ] {
        let answer = http::raw(server.http, garbage);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{}: {answer:?}", garbage.escape_ascii());
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100_000));
    let answer = String::from_utf8_lossy(&http::raw(server.http, long.as_bytes())).into_owned();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer:?}");
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(5000));
    let answer = String::from_utf8_lossy(&http::raw(server.http, many.as_bytes())).into_owned();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer:?}");
    // The other ports get the same.
    assert!(String::from_utf8_lossy(&http::raw(server.ops, b"GET\r\n\r\n")).starts_with("HTTP/1.1 400 "));
    http::raw(server.rtmp, &[b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..].to_vec(), vec![0xff; 4000]].concat());
    http::raw(server.rtmp, &[vec![3], vec![0; 1536 * 2], vec![0xff; 4000]].concat());

    assert_eq!(server.stream("movie").unwrap()["state"], "live");
    assert!(FlvReader::new(http::open(server.http, "/live/movie.flv").1).frame().is_some());
}

#[test]
fn paths_that_lead_elsewhere_lead_nowhere() {
    let server = Server::start(&[]);
    for path in [
        "/live/../millrace.toml",
        "/../../../../etc/passwd",
        "/live/%2e%2e/%2e%2e/etc/passwd",
        "/live/%2e%2e%2fmillrace.toml.flv",
        "/live/movie/..%2f..%2fmillrace.toml.ts",
        "/live/movie/../../millrace.toml.ts",
        "/live/movie/%00.ts",
        "/assets/../millrace.toml",
        "/assets/%2e%2e/millrace.toml",
        "/assets/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/live/./movie.flv",
    ] {
        let answer = http::get(server.http, path);
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        let body = String::from_utf8_lossy(&answer.body);
        assert!(!body.contains("root:") && !body.contains(&server.key) && !body.contains("[[streams]]"), "{path}");
    }
}

#[test]
fn an_idle_connection_is_closed() {
    let server = Server::start(&["http.header_timeout=1s", "rtmp.handshake_timeout=1s"]);
    for address in [server.http, server.rtmp] {
        assert!(http::raw(address, b"").is_empty(), "nothing said, nothing answered");
    }
    // Slow on purpose: a byte now and then.
    let mut connection = Connection::open(server.http);
    connection.send_raw(b"GET /live/movie.flv HTTP/1.1\r\nHo");
    let mut rest = Vec::new();
    let _ = connection.into_inner().read_to_end(&mut rest);
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{}", rest.escape_ascii());
}
