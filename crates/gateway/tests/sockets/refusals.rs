//! What those are told who may not, or who are one too many.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use millrace_hub::{HubConfig, HubLimits};
use millrace_rtmp::client::{ClientConfig, Event};
use millrace_rtmp::{ClientSession, Error, RtmpUrl};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::server::connect;
use crate::support::{Player, Server, Show, Via, Web, eventually, soon};

/// What our own client makes of the server's answer: the stream has started, or it was refused, by
/// which command's answer and with which code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Started,
    Refused(&'static str, String),
}

pub(crate) struct Client {
    socket: TcpStream,
    session: ClientSession,
    buffer: BytesMut,
}

impl Client {
    async fn publish(server: &Server, path: &str) -> Self {
        let make = |url| ClientSession::publish(url, ClientConfig::default(), 7, Duration::ZERO);
        Self::connect(server, path, make).await
    }

    pub(crate) async fn play(server: &Server, path: &str) -> Self {
        let make = |url| ClientSession::play(url, ClientConfig::default(), 7, Duration::ZERO);
        Self::connect(server, path, make).await
    }

    async fn connect(server: &Server, path: &str, make: impl FnOnce(RtmpUrl) -> ClientSession) -> Self {
        let url = format!("rtmp://{}/{path}", server.rtmp).parse().unwrap();
        Self { socket: connect(server.rtmp).await, session: make(url), buffer: BytesMut::new() }
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        loop {
            let mut input = &self.buffer[..];
            let event = self.session.handle_input(&mut input, Duration::ZERO);
            let rest = input.len();
            self.buffer.advance(self.buffer.len() - rest);
            while let Some(output) = self.session.poll_output() {
                self.socket.write_all(&output).await.unwrap();
            }
            match event {
                Ok(Some(Event::Started)) => return Answer::Started,
                Ok(Some(_)) => {}
                Ok(None) => {
                    let n = soon(self.socket.read_buf(&mut self.buffer)).await.unwrap();
                    assert!(n > 0, "closed without an answer");
                }
                Err(Error::Refused { command, code, .. }) => return Answer::Refused(command, code),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[tokio::test]
async fn publishers_are_told_by_the_codes_that_encoders_know() {
    let in_all = HubLimits { publishers: 1, ..HubLimits::default() };
    let of_address = HubLimits { publishers_per_address: 1, ..HubLimits::default() };
    for limits in [in_all, of_address] {
        publishers_are_told(limits).await;
    }
}

async fn publishers_are_told(limits: HubLimits) {
    let server = Server::start(HubConfig { limits, ..HubConfig::default() });
    for (path, command, code) in [
        ("Live!/movie-key", "connect", "NetConnection.Connect.Rejected"),
        ("live/wrong-key", "publish", "NetStream.Publish.Denied"),
        ("live/movie", "publish", "NetStream.Publish.Denied"),
        ("live/expired-key", "publish", "NetStream.Publish.Denied"),
    ] {
        let answer = Client::publish(&server, path).await.answer().await;
        assert_eq!(answer, Answer::Refused(command, code.to_owned()), "{path}");
    }
    let mut first = Client::publish(&server, "live/movie-key").await;
    assert_eq!(first.answer().await, Answer::Started);
    let second = Client::publish(&server, "live/other-key").await.answer().await;
    assert_eq!(second, Answer::Refused("publish", "NetStream.Publish.Denied".to_owned()));
    // The same key takes over, and the one before is told.
    let mut again = Client::publish(&server, "live/movie-key").await;
    assert_eq!(again.answer().await, Answer::Started);
    assert_eq!(first.answer().await, Answer::Refused("publish", "NetStream.Publish.Denied".to_owned()));
}

#[tokio::test]
async fn players_are_told_by_the_codes_that_players_know() {
    let server =
        Server::start(HubConfig { limits: HubLimits { players: 1, ..HubLimits::default() }, ..HubConfig::default() });
    for (path, command, code) in [
        ("Live!/movie", "connect", "NetConnection.Connect.Rejected"),
        ("live/unheard-of", "play", "NetStream.Play.StreamNotFound"),
        ("live/Not%20a%20name", "play", "NetStream.Play.StreamNotFound"),
        ("live/secret", "play", "NetStream.Play.Failed"),
        ("live/secret?token=2", "play", "NetStream.Play.Failed"),
        ("live/later", "play", "NetStream.Play.Failed"),
    ] {
        let answer = Client::play(&server, path).await.answer().await;
        assert_eq!(answer, Answer::Refused(command, code.to_owned()), "{path}");
    }
    let mut first = Client::play(&server, "live/secret?token=1").await;
    assert_eq!(first.answer().await, Answer::Started);
    let mut second = Client::play(&server, "live/movie").await;
    assert_eq!(second.answer().await, Answer::Started, "clients want an answer before there is a stream");
    assert_eq!(second.answer().await, Answer::Refused("play", "NetStream.Play.Failed".to_owned()));
}

#[tokio::test]
async fn one_player_too_many_is_told_so_on_every_way() {
    let in_all = HubLimits { players: 1, ..HubLimits::default() };
    let of_address = HubLimits { players_per_address: 1, ..HubLimits::default() };
    for (limits, words) in [(in_all, "the server has"), (of_address, "your address has")] {
        players_are_told(limits, words).await;
    }
}

async fn players_are_told(limits: HubLimits, words: &str) {
    let server = Server::start(HubConfig { limits, ..HubConfig::default() });
    let _show = Show::begin(&server.hub).await;
    let mut first = Player::join(&server, Via::Flv).await;
    first.until(0).await;
    let mut plain = Web::connect(&server).await;
    let mut later = Web::connect(&server).await;
    assert_eq!(later.ask("HEAD /live/movie.flv HTTP/1.1").await.status, 200);
    let mut bodies = Vec::new();
    for web in [&mut plain, &mut later] {
        let head = web.ask("GET /live/movie.flv HTTP/1.1").await;
        assert_eq!((head.status, head.header("retry-after")), (429, Some("5")));
        bodies.push(web.body(&head).await);
    }
    assert_eq!(bodies[0], bodies[1]);
    let problem: serde_json::Value = serde_json::from_slice(&bodies[0]).unwrap();
    assert_eq!((&problem["status"], &problem["error_code"]), (&429.into(), &"009".into()));
    let error = problem["error"].as_str().unwrap();
    assert!(error.starts_with(words), "{error}");
    let refused = server.hub.totals().refused_players;
    assert_eq!(refused.total + refused.of_address, 2);
    let mut ws = Web::connect(&server).await;
    let upgrade = ["GET /live/movie.flv HTTP/1.1", crate::support::player::WS_HEADERS].join("\r\n");
    assert_eq!(ws.ask(&upgrade).await.status, 429);
    // Once the first is gone, each of them may.
    first.leave(false);
    eventually(|| server.hub.player_count() == 0).await;
    assert_eq!(later.ask("GET /live/movie.flv HTTP/1.1").await.status, 200);
}

#[tokio::test]
async fn http_players_are_told_the_same_on_the_plain_and_the_long_way() {
    let server = Server::start(HubConfig::default());
    for (path, status, code) in [
        ("/live/nobody.flv", 404, "006"),
        ("/live/unheard-of.flv", 404, "006"),
        ("/live/secret.flv", 403, "005"),
        ("/live/secret.flv?token=2", 403, "005"),
        ("/live/secret.flv?token=1", 404, "006"), // it may, and there is nothing
        ("/live/later.flv", 503, "010"),
    ] {
        let mut plain = Web::connect(&server).await;
        let mut later = Web::connect(&server).await;
        assert_eq!(later.ask("GET / HTTP/1.1").await.status, 200);
        assert_eq!(later.buffer.split()[..], *b"the site");
        let mut answers = Vec::new();
        for web in [&mut plain, &mut later] {
            let head = web.ask(&format!("GET {path} HTTP/1.1")).await;
            assert_eq!(head.status, status, "{path}");
            let names =
                ["content-type", "content-length", "cache-control", "access-control-allow-origin", "retry-after"];
            let headers = names.map(|name| head.header(name).map(str::to_owned));
            answers.push((headers, web.body(&head).await));
        }
        assert_eq!(answers[0], answers[1], "{path}");
        let (headers, body) = &answers[0];
        assert_eq!(headers[0].as_deref(), Some("application/problem+json"));
        assert_eq!(headers[3].as_deref(), Some("*"), "pages of other sites may read why");
        let problem: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!((&problem["status"], &problem["error_code"]), (&status.into(), &code.into()), "{path}");
        assert!(!problem["error"].as_str().unwrap().is_empty());
        assert!(plain.is_over().await);
        assert_eq!(later.ask("GET / HTTP/1.1").await.status, 200, "the connection goes on");
    }
}
