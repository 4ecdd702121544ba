//! Who may publish and play, and what the others are told.

use millrace_e2e::{
    Clip, Program, Server, Temporary, eventually,
    flv::read_file,
    http,
    process::installed,
    rtmp::{Client, Over},
    server::publish,
    websocket::{KEY, WebSocket},
};

const TRACE: &str = "log.level=trace";

/// The status and the words of a refusal.
fn refused_publisher(server: &Server, app: &str, key: &str) -> (String, String) {
    match Client::publish(server.rtmp, app, key).started() {
        Err(Over::Error(millrace_rtmp::Error::Refused { code, description, .. })) => (code, description),
        other => panic!("{other:?} in place of a refusal"),
    }
}

/// Panics where the server has said one of these keys, anywhere.
#[track_caller]
fn assert_unsaid(server: &Server, keys: &[&str]) {
    let said = [server.process().stdout(), server.process().stderr()].concat();
    assert!(said.iter().any(|line| line.contains(r#""level":"DEBUG""#)), "the log is at its loudest: {said:#?}");
    for key in keys {
        let lines: Vec<_> = said.iter().filter(|line| line.contains(key)).collect();
        assert!(lines.is_empty(), "{lines:#?}");
    }
}

#[test]
fn only_the_key_publishes_and_no_key_is_ever_logged() {
    let server = Server::start(&[TRACE]);
    let wrong = "a-wr0ng-key-0f-n0b0dy";
    let words = [
        (wrong, "the stream key is wrong"),
        ("movie", "this is the stream's public name; publish with its key"),
        ("movie?key=a-wr0ng-key-0f-n0b0dy", "the stream key is wrong"),
        (&server.key[..server.key.len() - 1], "the stream key is wrong"),
    ];
    for (n, (key, words)) in words.iter().enumerate() {
        let refusal = refused_publisher(&server, "live", key);
        assert_eq!((&*refusal.0, &*refusal.1), ("NetStream.Publish.Denied", *words));
        let lines = eventually("a line of the log", || {
            Some(server.logged("RTMP request refused")).filter(|lines| lines.len() > n)
        });
        assert_eq!(lines.len(), n + 1, "one line each");
        assert_eq!((&lines[n]["what"], &lines[n]["reason"]), (&"publish".into(), &(*words).into()));
        assert!(lines[n]["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    }
    let (code, _) = refused_publisher(&server, "studio", &server.key);
    assert_eq!(code, "NetStream.Publish.Denied", "the key of another app");
    let (code, _) = refused_publisher(&server, "Live%20App", &server.key);
    assert_eq!(code, "NetConnection.Connect.Rejected", "no app has such a name");
    assert_eq!(server.diagnostics()["streams"].as_array().unwrap().len(), 0);

    // Both ways to give the key, by another program, too.
    for url in [server.publish_url(), format!("rtmp://{}/live/movie?key={}", server.rtmp, server.key)] {
        let publisher = publish(&Clip::standard(), &url);
        server.wait_on_air();
        publisher.kill();
        server.wait_for_stream("movie", "waiting for its publisher", |s| s["state"] == "reconnecting");
    }
    assert_unsaid(&server, &[&server.key, wrong]);
}

#[test]
fn ffmpeg_is_told_why_it_may_not_publish() {
    let server = Server::start(&[TRACE]);
    let url = format!("rtmp://{}/live/a-wr0ng-key-0f-n0b0dy", server.rtmp);
    let ended = publish(&Clip::standard(), &url).wait();
    assert!(!ended.status.success());
    assert!(ended.stderr.iter().any(|line| line.contains("the stream key is wrong")), "{:#?}", ended.stderr);
    assert_unsaid(&server, &["a-wr0ng-key-0f-n0b0dy"]);
}

#[test]
fn unknown_streams_are_refused() {
    let server = Server::start(&[]);
    for (app, name) in [("live", "nothing"), ("other", "movie"), ("live", "MOVIE"), ("live", &*server.key)] {
        let refusal = Client::play(server.rtmp, app, name).started().unwrap_err();
        assert_eq!(refusal.refusal(), "NetStream.Play.StreamNotFound", "{app}/{name}");
    }
    for path in [
        "/live/nothing.flv",
        "/live/nothing.m3u8",
        "/live/nothing/ts.m3u8",
        "/live/nothing/01a2-3.ts",
        "/live/nothing.jpg",
        "/other/movie.flv",
    ] {
        let words = http::get(server.http, path).problem(404, "006");
        assert!(!words.is_empty());
        let answer = http::request(server.http, "GET", path, &["Connection: keep-alive", "Content-Length: 0"]);
        answer.problem(404, "006");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let (head, _) = WebSocket::handshake(
        server.http,
        "/live/nothing.flv",
        &[
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            &format!("Sec-WebSocket-Key: {}", KEY.0),
        ],
    );
    assert_eq!((head.status, head.header("content-type")), (404, Some("application/problem+json")));
}

#[test]
fn a_stream_that_is_known_but_off_air_is_not_found_over_http() {
    let server = Server::start(&[]);
    for path in ["/live/movie.flv", "/live/movie.m3u8", "/live/movie/ts.m3u8"] {
        assert_eq!(http::get(server.http, path).problem(404, "006"), "the stream is not on air");
    }
}

#[test]
fn rtmpdump_is_told_that_there_is_no_such_stream() {
    if !installed("rtmpdump") {
        return;
    }
    let server = Server::start(&[]);
    let file = Temporary::new("nothing.flv");
    let url = format!("rtmp://{}/live/nothing", server.rtmp);
    let ended = Program::start("rtmpdump", ["--live", "-r", &url, "-o", file.as_str()]).wait();
    assert!(!ended.status.success());
    assert!(ended.stderr.iter().any(|line| line.contains("NetStream.Play.StreamNotFound")), "{:#?}", ended.stderr);
}

#[test]
fn an_open_server_takes_anyone_by_name_but_only_one() {
    let server = Server::start(&["publish.open=true"]);
    let url = format!("rtmp://{}/live/camera-1", server.rtmp);
    let _first = publish(&Clip::standard(), &url);
    server.wait_for_stream("camera-1", "on air", |s| s["state"] == "live");
    let (code, words) = refused_publisher(&server, "live", "camera-1");
    assert_eq!((&*code, &*words), ("NetStream.Publish.BadName", "the stream is being published already"));
    let (code, _) = refused_publisher(&server, "live", "Camera 1");
    assert_eq!(code, "NetStream.Publish.Denied");
    assert_eq!(server.stream("camera-1").unwrap()["state"], "live", "the first one goes on");
}

#[test]
fn the_same_key_takes_over_from_its_ghost_at_once() {
    let server = Server::start(&[]);
    let tags = read_file(&Clip::standard().path);
    let mut ghost = Client::publish(server.rtmp, "live", &server.key);
    ghost.started().unwrap();
    for tag in &tags[..100] {
        ghost.send(tag, tag.timestamp).unwrap();
    }
    server.wait_on_air();
    // The ghost neither sends nor closes any more, as one whose network is gone.
    let publisher = server.publish(&Clip::standard());
    server.wait_for_log("publisher cut");
    let end = loop {
        match ghost.event() {
            Ok(_) => {}
            Err(over) => break over,
        }
    };
    // As an error that says so, so that it does not come back at once to take over in its turn.
    match end {
        Over::Error(millrace_rtmp::Error::Refused { code, description, .. }) => {
            assert_eq!(code, "NetStream.Publish.Denied");
            assert_eq!(description, "another publisher with the same key took over");
        }
        other => panic!("{other:?}"),
    }
    server.wait_for_stream("movie", "published by FFmpeg", |s| {
        s["state"] == "live" && s["received"]["video_frames"].as_u64() >= Some(60)
    });
    publisher.wait().silent();
    server.wait_off_air("movie");
}
