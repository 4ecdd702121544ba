//! How many connections there may be, and what those are told who are too many.

use std::time::Duration;

use bytes::BytesMut;
use millrace_gateway::admission::{ConnectionLimits, Excess, Port, reserve};
use millrace_hub::{AddressRange, HubConfig};
use millrace_rtmp::client::{ClientConfig, Event};
use millrace_rtmp::{ClientSession, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::server::{VIEWER, connect, connect_from};
use crate::support::{Player, Server, Show, Via, Web, eventually, soon, unbroken};

fn limits() -> ConnectionLimits {
    ConnectionLimits { total: 1000, per_address: 1000, per_second: 1000, trusted: Vec::new() }
}

/// What an RTMP client on that connection is told when it connects.
async fn rtmp_answer(mut socket: TcpStream) -> Option<(String, String)> {
    let url = "rtmp://test/live/movie".parse().unwrap();
    let mut session = ClientSession::play(url, ClientConfig::default(), 7, Duration::ZERO);
    let mut buffer = BytesMut::new();
    loop {
        while let Some(output) = session.poll_output() {
            socket.write_all(&output).await.unwrap();
        }
        if soon(socket.read_buf(&mut buffer)).await.unwrap() == 0 {
            return None;
        }
        let input = buffer.split();
        match session.handle_input(&mut &input[..], Duration::ZERO) {
            Ok(Some(Event::Started)) => return None,
            Ok(_) => {}
            Err(Error::Refused { code, description, .. }) => return Some((code, description)),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_those_who_watch_go_on() {
    let server = Server::start_with(HubConfig::default(), ConnectionLimits { total: 3, ..limits() });
    let mut show = Show::begin(&server.hub).await;
    let mut flv = Player::join(&server, Via::Flv).await;
    let mut ws = Player::join(&server, Via::WsFlv).await;
    let mut rtmp = Player::join(&server, Via::Rtmp).await;
    // A player's place is its own as long as it plays.
    assert_eq!((server.admission.open(Port::Http), server.admission.open(Port::Rtmp)), (2, 1));

    for request in ["GET /live/movie.flv HTTP/1.1", "GET / HTTP/1.1", "POST /api/v1/anything HTTP/1.1"] {
        let mut web = Web::connect(&server).await;
        let head = web.ask(request).await;
        assert_eq!((head.status, head.header("retry-after")), (429, Some("5")), "{request}");
        assert_eq!(head.header("content-type"), Some("application/problem+json"));
        let problem: serde_json::Value = serde_json::from_slice(&web.body(&head).await).unwrap();
        assert_eq!((&problem["status"], &problem["error_code"]), (&429.into(), &"009".into()));
        assert_eq!(problem["error"], "the server has as many connections as it may have");
        assert!(web.is_over().await);
    }
    // Who says nothing is told as well.
    let mut silent = Web::connect(&server).await;
    assert_eq!(silent.head().await.status, 429);
    for path in ["/healthz", "/readyz"] {
        let mut web = Web::connect(&server).await;
        // The second request would be for a place that it has not.
        let later = "GET /live/movie.flv HTTP/1.1\r\nhost: test\r\n\r\n";
        web.send(&format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n{later}")).await;
        let head = web.head().await;
        assert_eq!(head.status, 200, "{path}");
        web.body(&head).await;
        assert!(web.is_over().await, "{path}");
    }
    let answer = rtmp_answer(connect(server.rtmp).await).await.unwrap();
    assert_eq!(answer.0, "NetConnection.Connect.Rejected");
    assert_eq!(answer.1, "the server has as many connections as it may have");
    assert_eq!(server.admission.refused(Excess::Total), 7);

    let last = show.pictures(30, 500).await;
    for player in [&mut flv, &mut ws, &mut rtmp] {
        player.until(last).await;
        assert_eq!(unbroken(&player.got), 0..last + 1);
    }
    // Once one has left, another may come.
    flv.leave(false);
    eventually(|| server.admission.open(Port::Http) == 1).await;
    Player::join(&server, Via::Rtmp).await.until(last).await;
}

#[tokio::test]
async fn whoever_runs_the_server_can_work_while_it_is_full() {
    let server = Server::start_with(HubConfig::default(), ConnectionLimits { total: 1, ..limits() });
    let _full = connect(server.http).await;
    eventually(|| server.admission.open(Port::Http) == 1).await;
    let admin = "cookie: who=admin";
    let somebody = "cookie: who=somebody";
    for (request, credentials, status) in [
        ("GET /admin", admin, 200),
        ("GET /api/v1/admin/jobs", "authorization: Bearer admin", 200),
        ("GET /api/v1/admin/jobs", "authorization: Bearer somebody", 429),
        ("GET /admin/users?page=2", admin, 200),
        ("DELETE /api/v1/admin/x", admin, 200),
        ("DELETE /api/v1/live/movie/publisher", admin, 200),
        ("GET /api/v1/videos", somebody, 429),
        ("GET /admin", somebody, 429),
        ("POST /api/v1/admin/x", somebody, 429),
        // Others may log in, and be somebody who runs it then.
        ("GET /login?next=/admin", somebody, 200),
        ("POST /api/v1/sessions", somebody, 200),
        ("GET /assets/site.js", somebody, 200),
        ("GET /", admin, 429),
        ("GET /administration", admin, 429),
        ("GET /admin/../live/movie.flv", somebody, 429),
        ("GET /live/movie.flv", admin, 429),
    ] {
        let mut web = Web::connect(&server).await;
        let head = web.ask(&format!("{request} HTTP/1.1\r\n{credentials}")).await;
        assert_eq!(head.status, status, "{request} {credentials}");
        assert_eq!(head.header("retry-after").is_some(), status == 429, "{request} {credentials}");
        web.body(&head).await;
        assert!(web.is_over().await, "the connection has no place: {request}");
    }
    assert_eq!(server.admission.open(Port::Http), 1);
}

#[tokio::test]
async fn an_address_may_have_so_many_connections_and_others_are_not_concerned() {
    let server = Server::start_with(HubConfig::default(), ConnectionLimits { per_address: 2, ..limits() });
    let kept = [connect_from([127, 0, 0, 2], server.http).await, connect_from([127, 0, 0, 2], server.rtmp).await];
    eventually(|| server.admission.open(Port::Http) + server.admission.open(Port::Rtmp) == 2).await;
    let answer = rtmp_answer(connect_from([127, 0, 0, 2], server.rtmp).await).await.unwrap();
    assert_eq!(answer.1, "your address has as many connections as it may have");
    assert_eq!(Web::connect(&server).await.ask("GET / HTTP/1.1").await.status, 200);
    drop(kept);
    eventually(|| server.admission.open(Port::Http) + server.admission.open(Port::Rtmp) == 0).await;
    let mut web = Web { socket: connect_from([127, 0, 0, 2], server.http).await, buffer: BytesMut::new() };
    assert_eq!(web.ask("GET / HTTP/1.1").await.status, 200);
}

#[tokio::test]
async fn there_is_always_room_for_whom_the_operator_trusts() {
    let trusted = vec![AddressRange::new("127.0.0.1".parse().unwrap(), 32).unwrap()];
    let limits = ConnectionLimits { total: 2, per_address: 1, per_second: 1, trusted };
    let server = Server::start_with(HubConfig::default(), limits);
    let mut kept = Vec::new();
    for n in 10..12 {
        kept.push(connect_from([127, 0, 0, n], server.http).await);
    }
    eventually(|| server.admission.open(Port::Http) == 2).await;
    for _ in 0..reserve(2) {
        let mut web = Web::connect(&server).await;
        assert_eq!(web.ask("GET / HTTP/1.1").await.status, 200);
        kept.push(web.socket);
    }
    assert_eq!(Web::connect(&server).await.ask("GET / HTTP/1.1").await.status, 429, "the reserve has an end");
}

#[tokio::test]
async fn who_watches_what_the_site_serves_comes_back_to_a_full_server() {
    let server = Server::start_with(HubConfig::default(), ConnectionLimits { total: 1, ..limits() });
    let _full = connect(server.http).await;
    eventually(|| server.admission.open(Port::Http) == 1).await;
    for (address, status) in [(VIEWER, 200), ([127, 0, 0, 5], 429)] {
        let mut web = Web { socket: connect_from(address, server.http).await, buffer: BytesMut::new() };
        assert_eq!(web.ask("GET /videos/x HTTP/1.1").await.status, status, "{address:?}");
    }
}

/// Whoever watches by requests that stand alone has to come back all the time.
#[tokio::test]
async fn a_viewer_of_hls_comes_back_to_a_full_server() {
    let config = HubConfig { hls_segment: Duration::from_millis(500), ..HubConfig::default() };
    let server = Server::start_with(config, ConnectionLimits { total: 1, ..limits() });
    let mut show = Show::begin(&server.hub).await;
    let viewer = async || Web { socket: connect_from([127, 0, 0, 5], server.http).await, buffer: BytesMut::new() };
    let mut web = viewer().await;
    web.send("GET /live/movie/ts.m3u8 HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let head = tokio::select! {
        head = web.head() => head,
        () = async { loop {
            show.pictures(25, 500).await; // another segment, for whenever the question has come
            tokio::time::sleep(Duration::from_millis(20)).await;
        } } => unreachable!(),
    };
    assert_eq!(head.status, 200);
    drop(web);
    eventually(|| server.admission.open(Port::Http) == 0).await;
    let _full = Player::join(&server, Via::Flv).await;
    assert_eq!(Web::connect(&server).await.ask("GET / HTTP/1.1").await.status, 429);
    assert_eq!(viewer().await.ask("GET /live/movie/ts.m3u8 HTTP/1.1").await.status, 200);
}

#[tokio::test]
async fn a_storm_from_one_address_is_turned_away_and_the_rest_goes_on() {
    let server = Server::start_with(HubConfig::default(), ConnectionLimits { per_second: 5, ..limits() });
    let mut show = Show::begin(&server.hub).await;
    let mut players = Player::one_of_each(&server).await;
    let storm = tokio::spawn({
        let (http, rtmp) = (server.http, server.rtmp);
        async move {
            for n in 0..2000 {
                let to = if n % 2 == 0 { http } else { rtmp };
                drop(connect_from([127, 0, 0, 9], to).await);
            }
        }
    });
    let mut last = 0;
    while !storm.is_finished() {
        last = show.pictures(5, 500).await;
        for player in &mut players {
            player.until(last).await;
        }
        assert_eq!(Web::connect(&server).await.ask("GET /healthz HTTP/1.1").await.status, 200);
    }
    storm.await.unwrap();
    for player in &players {
        assert_eq!(unbroken(&player.got), 0..last + 1);
    }
    // Ten seconds' worth at once, and five for each second that it took.
    eventually(|| server.admission.refused(Excess::Rate) >= 1000).await;
}
