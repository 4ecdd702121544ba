//! Clients behind a trusted proxy: each is known by its own address, on every path.

use std::net::SocketAddr;

use bytes::BytesMut;
use millrace_hub::{HubConfig, Protocol};

use crate::hls::Radio;
use crate::support::player::WS_HEADERS;
use crate::support::server::{PROXY, connect_from, movie};
use crate::support::{Player, Server, Web, eventually};

/// A connection that the proxy makes.
async fn proxy(server: &Server) -> Web {
    Web { socket: connect_from(PROXY, server.http).await, buffer: BytesMut::new() }
}

async fn who(web: &mut Web, headers: &str) -> String {
    let head = web.ask(&format!("GET /who HTTP/1.1{headers}")).await;
    String::from_utf8(web.body(&head).await).unwrap()
}

/// Who plays, by protocol.
fn peers(server: &Server, protocol: Protocol) -> Vec<SocketAddr> {
    let players = server.hub.players(&movie()).into_iter().filter(|player| player.protocol == protocol);
    let mut peers: Vec<_> = players.map(|player| player.peer).collect();
    peers.sort_unstable();
    peers
}

#[tokio::test]
async fn the_site_is_told_who_asks_request_by_request() {
    let server = Server::start(HubConfig::default());
    let mut web = proxy(&server).await;
    assert_eq!(who(&mut web, "\r\nx-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: https").await, "192.0.2.7 https");
    assert_eq!(who(&mut web, "\r\nX-Forwarded-For: 198.51.100.9, 2001:db8::7").await, "2001:db8::7 http");
    assert_eq!(who(&mut web, "").await, "127.0.0.80 http");
    let mut stranger = Web::connect(&server).await;
    let forged = "\r\nx-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: https";
    assert_eq!(who(&mut stranger, forged).await, "127.0.0.1 http");
}

#[tokio::test]
async fn players_are_their_own_address_on_every_path() {
    let server = Server::start(HubConfig::default());
    let mut radio = Radio::begin(&server.hub, &movie()).await;
    let forwarded = |n: u8| format!("x-forwarded-for: 10.9.9.9, 192.0.2.{n}");
    let mut kept = Vec::new();
    for n in 1..3 {
        // The first request of a connection is not read by the same hands as a later one.
        let mut first = proxy(&server).await;
        assert_eq!(first.ask(&format!("GET /live/movie.flv HTTP/1.1\r\n{}", forwarded(n))).await.status, 200);
        let mut later = proxy(&server).await;
        assert_eq!(later.ask("HEAD /live/movie.flv HTTP/1.1").await.status, 200);
        assert_eq!(later.ask(&format!("GET /live/movie.flv HTTP/1.1\r\n{}", forwarded(n + 10))).await.status, 200);
        let mut ws = proxy(&server).await;
        assert_eq!(
            ws.ask(&format!("GET /live/movie.flv HTTP/1.1\r\n{}\r\n{WS_HEADERS}", forwarded(n))).await.status,
            101
        );
        kept.push([first, later, ws]);
    }
    let mut hls = proxy(&server).await;
    drop(server.hub.hls(&movie(), millrace_hub::HlsFormat::Cmaf).await.unwrap());
    radio.frames(120).await;
    for n in 1..3 {
        let head =
            hls.ask(&format!("GET /live/movie/cmaf.m3u8 HTTP/1.1\r\nuser-agent: same\r\n{}", forwarded(n))).await;
        assert_eq!(head.status, 200);
        hls.body(&head).await;
    }
    let at = |hosts: &[u8]| hosts.iter().map(|n| SocketAddr::from(([192, 0, 2, *n], 0))).collect::<Vec<_>>();
    assert_eq!(peers(&server, Protocol::HttpFlv), at(&[1, 2, 11, 12]));
    assert_eq!(peers(&server, Protocol::WsFlv), at(&[1, 2]));
    assert_eq!(peers(&server, Protocol::Hls), at(&[1, 2]), "two of a kind behind one proxy are two");
}

#[tokio::test]
async fn rtmp_has_no_such_header() {
    let server = Server::start(HubConfig::default());
    let _radio = Radio::begin(&server.hub, &movie()).await;
    let player = Player::join(&server, crate::support::Via::Rtmp).await;
    let peer = player.address();
    eventually(|| peers(&server, Protocol::Rtmp) == [peer]).await;
}
