//! Streams that not everybody may play: on each path, by what comes with the request.

use millrace_hub::{HubConfig, StreamId};

use crate::hls::Radio;
use crate::refusals::{Answer, Client};
use crate::support::player::WS_HEADERS;
use crate::support::web::Head;
use crate::support::{Server, Web, eventually};

fn secret() -> StreamId {
    StreamId::parse("live", "secret").unwrap()
}

async fn get(web: &mut Web, path: &str, headers: &str) -> (Head, String) {
    let head = web.ask(&format!("GET /live/{path} HTTP/1.1{headers}")).await;
    let body = web.body(&head).await;
    (head, String::from_utf8_lossy(&body).into_owned())
}

/// A broadcast with HLS, and the name of a segment.
async fn on_air(server: &Server) -> (Radio, String) {
    let mut radio = Radio::begin(&server.hub, &secret()).await;
    drop(server.hub.hls(&secret(), millrace_hub::HlsFormat::Cmaf).await.unwrap());
    radio.frames(120).await;
    let (_, text) = get(&mut Web::connect(server).await, "secret/cmaf.m3u8?token=1", "").await;
    let segment = text.lines().find(|line| line.contains(".m4s") && !line.starts_with('#')).unwrap();
    (radio, segment.split('?').next().unwrap().to_owned())
}

#[tokio::test]
async fn without_leave_no_path_gives_anything() {
    let server = Server::start(HubConfig::default());
    let (_radio, segment) = on_air(&server).await;
    let mut web = Web::connect(&server).await;
    let segment = format!("secret/{segment}");
    for path in
        ["secret.m3u8", "secret/ts.m3u8", "secret/cmaf.m3u8", "secret.mpd", "secret.jpg", "secret/clock", &segment]
    {
        for (query, cookie) in [("", ""), ("?token=2", ""), ("?_HLS_msn=1", "\r\ncookie: who=2")] {
            let (head, body) = get(&mut web, &format!("{path}{query}"), cookie).await;
            let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!((head.status, &problem["error_code"]), (403, &"005".into()), "{path}{query}");
            assert_eq!(head.header("cache-control"), Some("no-store"), "{path}");
        }
    }
    for headers in [String::new(), format!("\r\n{WS_HEADERS}")] {
        let mut web = Web::connect(&server).await;
        assert_eq!(web.ask(&format!("GET /live/secret.flv HTTP/1.1{headers}")).await.status, 403);
    }
}

#[tokio::test]
async fn a_token_goes_with_every_address_of_its_playlists() {
    let server = Server::start(HubConfig::default());
    let _on_air = on_air(&server).await;
    let mut web = Web::connect(&server).await;
    let (_, multivariant) = get(&mut web, "secret.m3u8?x=y&token=1", "").await;
    let playlists: Vec<_> = multivariant.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(playlists, ["secret/cmaf.m3u8?token=1", "secret/ts.m3u8?token=1"]);
    let (head, text) = get(&mut web, playlists[0], "").await;
    assert_eq!(head.header("cache-control"), Some("private, max-age=1"));
    let quoted = text.lines().filter_map(|line| Some(line.split_once("URI=\"")?.1.split('"').next().unwrap()));
    let named: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).chain(quoted).collect();
    assert!(named.len() > 10, "{text}");
    for name in named.iter().filter(|name| !text.contains(&format!("PRELOAD-HINT:TYPE=PART,URI=\"{name}"))) {
        let (head, _) = get(&mut web, &format!("secret/{name}"), "").await;
        assert_eq!(head.status, 200, "{name}");
        assert_eq!(head.header("cache-control"), Some("private, max-age=31536000, immutable"));
    }
    let (_, manifest) = get(&mut web, "secret.mpd?token=1", "").await;
    assert_eq!(manifest.matches("?token=1\"").count(), 3, "{manifest}");
    let (_, strange) = get(&mut web, "secret.m3u8?token=1%22%0a#EXT", "").await;
    assert!(!strange.contains("token"), "what could be mistaken for a playlist's own is not repeated: {strange}");
}

#[tokio::test]
async fn a_cookie_opens_what_a_token_does() {
    let server = Server::start(HubConfig::default());
    let _on_air = on_air(&server).await;
    let mut web = Web::connect(&server).await;
    let (head, text) = get(&mut web, "secret/cmaf.m3u8", "\r\ncookie: who=1").await;
    assert_eq!((head.status, text.contains("token")), (200, false), "cookies need no handing on");
    for headers in ["cookie: who=1".to_owned(), format!("cookie: who=1\r\n{WS_HEADERS}")] {
        let mut web = Web::connect(&server).await;
        let status = web.ask(&format!("GET /live/secret.flv HTTP/1.1\r\n{headers}")).await.status;
        assert_eq!(status, if headers.contains("pgrade") { 101 } else { 200 });
    }
}

#[tokio::test]
async fn leave_that_was_lost_while_waiting_is_lost() {
    let server = Server::start(HubConfig::default());
    let mut player = Client::play(&server, "live/fickle").await;
    assert_eq!(player.answer().await, Answer::Started, "it waits");
    let id = StreamId::parse("live", "fickle").unwrap();
    let _radio = Radio::begin(&server.hub, &id).await;
    assert_eq!(player.answer().await, Answer::Refused("play", "NetStream.Play.Failed".to_owned()));
    eventually(|| server.hub.player_count() == 0).await;
}

#[tokio::test]
async fn all_players_of_a_stream_can_be_sent_away() {
    let server = Server::start(HubConfig::default());
    let mut radio = Radio::begin(&server.hub, &secret()).await;
    let mut players = Vec::new();
    for headers in [String::new(), format!("\r\n{WS_HEADERS}")] {
        let mut web = Web::connect(&server).await;
        assert!(web.ask(&format!("GET /live/secret.flv?token=1 HTTP/1.1{headers}")).await.status < 300);
        players.push(web);
    }
    eventually(|| server.hub.players(&secret()).len() == 2).await;
    server.hub.kick_players(&secret());
    radio.plays_until(eventually(|| server.hub.players(&secret()).is_empty())).await;
}

#[tokio::test]
async fn who_watches_by_an_account_goes_with_it() {
    let server = Server::start(HubConfig::default());
    let mut radio = Radio::begin(&server.hub, &secret()).await;
    let mut players = Vec::new();
    for headers in ["\r\ncookie: who=1".to_owned(), format!("\r\ncookie: who=1\r\n{WS_HEADERS}"), String::new()] {
        let mut web = Web::connect(&server).await;
        let token = if headers.is_empty() { "?token=1" } else { "" };
        assert!(web.ask(&format!("GET /live/secret.flv{token} HTTP/1.1{headers}")).await.status < 300);
        players.push(web);
    }
    eventually(|| server.hub.players(&secret()).len() == 3).await;
    server.hub.kick_user("2");
    server.hub.kick_user("1");
    radio.plays_until(eventually(|| server.hub.players(&secret()).len() == 1)).await;
    radio.frames(10).await;
    assert_eq!(server.hub.players(&secret()).len(), 1, "who has a token stays");
}
