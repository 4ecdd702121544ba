//! The HTTP port beside playing: both ways to FLV, methods, handshakes.

use millrace_hub::HubConfig;

use crate::support::player::WS_HEADERS;
use crate::support::{Player, Server, Show, Via, Web, unbroken};

#[tokio::test]
async fn the_plain_and_the_long_way_give_the_same_bytes() {
    let server = Server::start(HubConfig::default());
    let mut show = Show::begin(&server.hub).await;
    let mut plain = Web::connect(&server).await;
    let plain_head = plain.ask("GET /live/movie.flv HTTP/1.1").await;
    let mut later = Web::connect(&server).await;
    assert_eq!(later.ask("HEAD /live/movie.flv HTTP/1.1").await.status, 200);
    let later_head = later.ask("GET /live/movie.flv HTTP/1.1").await;
    // A head that comes in pieces: its first is there before another connection's request is answered.
    let mut split = Web::connect(&server).await;
    split.send("GET /live/movie.flv HT").await;
    let mut other = Web::connect(&server).await;
    assert_eq!(other.ask("HEAD /live/movie.flv HTTP/1.1").await.status, 200);
    split.send("TP/1.1\r\nhost: te").await;
    assert_eq!(other.ask("HEAD /live/movie.flv HTTP/1.1").await.status, 200);
    split.send("st\r\n\r\n").await;
    let split_head = split.head().await;
    for head in [&plain_head, &later_head, &split_head] {
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), Some("video/x-flv"));
        assert_eq!(head.header("cache-control"), Some("no-store"));
        assert_eq!(head.header("access-control-allow-origin"), Some("*"));
    }
    show.pictures(10, 3000).await;
    show.finish();
    let bytes = plain.stream(&plain_head).await;
    assert!(bytes.starts_with(b"FLV\x01\x05") && bytes.len() > 30_000);
    assert!(bytes == later.stream(&later_head).await);
    assert!(bytes == split.stream(&split_head).await);
    assert!(plain.is_over().await);
    assert_eq!(later.ask("GET / HTTP/1.1").await.status, 200, "the connection goes on");
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_the_stream_until_the_connection_ends() {
    let server = Server::start(HubConfig::default());
    let mut show = Show::begin(&server.hub).await;
    let mut bodies = Vec::new();
    // The second is not plain, since it has a body's length.
    let mut webs = [Web::connect(&server).await, Web::connect(&server).await];
    webs[0].send("GET /live/movie.flv HTTP/1.0\r\n\r\n").await;
    webs[1].send("GET /live/movie.flv HTTP/1.0\r\ncontent-length: 0\r\n\r\n").await;
    let mut heads = Vec::new();
    for web in &mut webs {
        heads.push(web.head().await);
    }
    show.pictures(3, 500).await;
    show.finish();
    for (web, head) in webs.iter_mut().zip(&heads) {
        assert_eq!((head.status, head.header("transfer-encoding")), (200, None));
        bodies.push(web.stream(head).await);
    }
    assert!(bodies[0] == bodies[1]);
}

#[tokio::test]
async fn a_head_request_takes_no_place() {
    let server = Server::start(HubConfig::default());
    let _show = Show::begin(&server.hub).await;
    let mut web = Web::connect(&server).await;
    for _ in 0..2 {
        let head = web.ask("HEAD /live/movie.flv HTTP/1.1").await;
        assert_eq!((head.status, head.header("content-type")), (200, Some("video/x-flv")));
        assert_eq!(server.hub.player_count(), 0);
        assert_eq!(web.ask("HEAD /live/nobody.flv HTTP/1.1").await.status, 404);
    }
}

#[tokio::test]
async fn other_methods() {
    let server = Server::start(HubConfig::default());
    let _show = Show::begin(&server.hub).await;
    let mut web = Web::connect(&server).await;
    let head = web.ask("OPTIONS /live/movie.flv HTTP/1.1").await;
    assert_eq!((head.status, head.header("access-control-allow-origin")), (204, Some("*")));
    assert_eq!(head.header("access-control-allow-methods"), Some("GET, HEAD, OPTIONS"));
    for method in ["POST", "PUT", "DELETE", "BREW"] {
        let head = web.ask(&format!("{method} /live/movie.flv HTTP/1.1")).await;
        assert_eq!((head.status, head.header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{method}");
        assert_eq!(head.header("access-control-allow-origin"), Some("*"));
        let problem: serde_json::Value = serde_json::from_slice(&web.body(&head).await).unwrap();
        assert_eq!(problem["status"], 405);
    }
    assert_eq!(server.hub.player_count(), 0);
}

#[tokio::test]
async fn what_is_not_media_is_the_sites() {
    let server = Server::start(HubConfig::default());
    for path in ["/", "/live/movie", "/live/MOVIE.flv", "/api/v1.flv", "/live/../x.flv"] {
        let mut web = Web::connect(&server).await;
        let head = web.ask(&format!("GET {path} HTTP/1.1")).await;
        assert_eq!(web.body(&head).await, b"the site", "{path}");
    }
}

#[tokio::test]
async fn websocket_handshakes_with_mistakes() {
    let server = Server::start(HubConfig::default());
    let _show = Show::begin(&server.hub).await;
    let good = ["GET /live/movie.flv HTTP/1.1", WS_HEADERS].join("\r\n");
    for (right, wrong) in [
        ("sec-websocket-version: 13", "sec-websocket-version: 8"),
        ("sec-websocket-version: 13\r\n", ""),
        ("\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", ""),
        ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="),
        ("dGhlIHNhbXBsZSBub25jZQ==", "not base64 at all!!"),
        ("connection: Upgrade", "connection: keep-alive"),
        ("GET", "HEAD"),
    ] {
        let mut web = Web::connect(&server).await;
        let head = web.ask(&good.replace(right, wrong)).await;
        assert_eq!(head.status, 400, "{wrong:?} for {right:?}");
        assert_eq!(head.header("access-control-allow-origin"), Some("*"));
    }
    let mut web = Web::connect(&server).await;
    let head = web.ask(&good.replace("movie", "nobody")).await;
    assert_eq!((head.status, web.body(&head).await.len() > 50), (404, true));
    assert_eq!(server.hub.player_count(), 0);
    assert_eq!(Web::connect(&server).await.ask(&good.replace("1.1", "1.0")).await.status, 200, "no upgrade in 1.0");
    // Names of headers and tokens are what they are in any letters, and among others.
    let odd =
        good.replace("connection: Upgrade", "Connection: keep-alive, UPGRADE").replace("websocket\r", "WebSocket\r");
    assert_eq!(web.ask(&odd).await.status, 101);
}

#[tokio::test]
async fn players_of_one_stream_by_all_ways_get_the_same() {
    let server = Server::start(HubConfig::default());
    let mut show = Show::begin(&server.hub).await;
    let mut got = Vec::new();
    let last = show.pictures(30, 800).await;
    for via in [Via::Flv, Via::LaterFlv, Via::WsFlv, Via::Rtmp] {
        let mut player = Player::join(&server, via).await;
        player.until(last).await;
        got.push(player.got);
    }
    assert_eq!(unbroken(&got[0]), 25..last + 1);
    assert!(got.windows(2).all(|w| w[0] == w[1]), "{got:?}");
}
