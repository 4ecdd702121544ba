//! Both sessions of this crate against each other, in memory.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{accept, message_bytes, ragged, seconds};
use millrace_flv::amf0::{self, Value};
use millrace_rtmp::chunk::{MessageKind, OUT_CHUNK_SIZE, write_shared};
use millrace_rtmp::client::{self, ClientConfig};
use millrace_rtmp::command::code;
use millrace_rtmp::handshake::Kind;
use millrace_rtmp::server::{self, Event, MESSAGE_STREAM, ServerConfig};
use millrace_rtmp::{ClientSession, Error, Media, RtmpUrl, ServerSession};
use proptest::prelude::*;

fn url() -> RtmpUrl {
    "rtmp://host/live/movie?user=me".parse().unwrap()
}

fn config(handshake: Kind) -> ClientConfig {
    ClientConfig { handshake, ..ClientConfig::default() }
}

/// A client and a server, and the wires between them, which cut what they carry as `seed` says.
struct Pair {
    client: ClientSession,
    server: ServerSession,
    seed: u64,
    client_events: Vec<client::Event>,
    server_events: Vec<server::Event>,
}

impl Pair {
    fn new(client: ClientSession, seed: u64) -> Self {
        let server = ServerSession::new(ServerConfig::default(), 2, Duration::ZERO);
        Self { client, server, seed, client_events: Vec::new(), server_events: Vec::new() }
    }

    fn publisher(handshake: Kind, seed: u64) -> Self {
        Self::new(ClientSession::publish(url(), config(handshake), seed, Duration::ZERO), seed)
    }

    fn player(handshake: Kind, seed: u64) -> Self {
        Self::new(ClientSession::play(url(), config(handshake), seed, Duration::ZERO), seed)
    }

    /// Carries bytes both ways until there are none.
    fn run(&mut self, mut answer: impl FnMut(&mut ServerSession, &Event)) -> Result<(), Error> {
        loop {
            let mut idle = true;
            while let Some(bytes) = self.client.poll_output() {
                idle = false;
                for mut piece in ragged(&bytes, self.seed) {
                    while let Some(event) = self.server.handle_input(&mut piece, Duration::ZERO)? {
                        answer(&mut self.server, &event);
                        self.server_events.push(event);
                    }
                }
            }
            while let Some(bytes) = self.server.poll_output() {
                idle = false;
                self.carry(&bytes)?;
            }
            if idle {
                return Ok(());
            }
        }
    }

    /// Carries bytes to the client.
    fn carry(&mut self, bytes: &[u8]) -> Result<(), Error> {
        for mut piece in ragged(bytes, self.seed) {
            while let Some(event) = self.client.handle_input(&mut piece, Duration::ZERO)? {
                self.client_events.push(event);
            }
        }
        Ok(())
    }
}

fn metadata() -> [Value; 2] {
    [Value::from("onMetaData"), Value::EcmaArray(vec![("width".into(), 160.0.into())])]
}

fn metadata_bytes() -> Bytes {
    let mut bytes = Vec::new();
    amf0::encode_all(&metadata(), &mut bytes);
    bytes.into()
}

#[test]
fn publishing_with_both_handshakes() {
    for handshake in [Kind::Simple, Kind::Digest] {
        let mut pair = Pair::publisher(handshake, 5);
        pair.run(accept).unwrap();
        assert_eq!(pair.client_events, [client::Event::Started]);
        let [Event::Connect(connect), Event::Publish(publish)] = &pair.server_events[..] else {
            panic!("{:?}", pair.server_events)
        };
        assert_eq!((connect.app.as_str(), connect.tc_url.as_str()), ("live", "rtmp://host/live"));
        assert_eq!((publish.target.key(), publish.target.parameter("user")), ("movie", Some("me")));

        pair.server_events.clear();
        let picture = vec![7; 200_000];
        pair.client.send_data(0, &metadata()).unwrap();
        pair.client.send_video(40, &picture).unwrap();
        pair.client.send_audio(0x0100_0000, b"sound").unwrap();
        pair.client.stop();
        pair.run(accept).unwrap();
        assert_eq!(
            pair.server_events,
            [
                Event::Media(Media::Data { timestamp: 0, payload: metadata_bytes() }),
                Event::Media(Media::Video { timestamp: 40, payload: picture.into() }),
                Event::Media(Media::Audio { timestamp: 0x0100_0000, payload: b"sound"[..].into() }),
                Event::StopPublish,
            ]
        );
    }
}

#[test]
fn playing_shared_messages_with_both_handshakes() {
    for handshake in [Kind::Simple, Kind::Digest] {
        let mut pair = Pair::player(handshake, 6);
        pair.run(accept).unwrap();
        assert_eq!(pair.client_events, [client::Event::Started]);
        assert!(matches!(&pair.server_events[1], Event::Play(play) if play.target.name == "movie"));

        pair.client_events.clear();
        let picture = vec![7; 200_000];
        for (kind, timestamp, payload) in [
            (MessageKind::DataAmf0, 0, &metadata_bytes()[..]),
            (MessageKind::Video, 0x0100_0000, &picture),
            (MessageKind::Audio, 0x00ff_ffff, b"sound"),
        ] {
            let shared = write_shared(6, MESSAGE_STREAM, timestamp, kind, &[payload], OUT_CHUNK_SIZE).unwrap();
            pair.carry(&shared).unwrap();
        }
        // Other servers say more than ours.
        let about =
            vec![("code".into(), "NetStream.Play.PublishNotify".into()), ("description".into(), "On air.".into())];
        let mut status = Vec::new();
        amf0::encode_all(&["onStatus".into(), 0.0.into(), Value::Null, Value::Object(about)], &mut status);
        let status = write_shared(3, MESSAGE_STREAM, 0, MessageKind::CommandAmf0, &[&status], OUT_CHUNK_SIZE).unwrap();
        pair.carry(&status).unwrap();
        pair.server.stream_eof();
        pair.run(accept).unwrap();
        assert_eq!(
            pair.client_events,
            [
                client::Event::Media(Media::Data { timestamp: 0, payload: metadata_bytes() }),
                client::Event::Media(Media::Video { timestamp: 0x0100_0000, payload: picture.into() }),
                client::Event::Media(Media::Audio { timestamp: 0x00ff_ffff, payload: b"sound"[..].into() }),
                client::Event::Status { code: "NetStream.Play.PublishNotify".into(), description: "On air.".into() },
                client::Event::Ended { code: code::PLAY_STOP.into() },
            ]
        );
    }
}

#[test]
fn refusals_reach_the_client_with_their_words() {
    let refused = |command, code: &str| {
        Err(Error::Refused { command, code: code.to_owned(), description: "Because.".to_owned() })
    };
    let mut pair = Pair::publisher(Kind::Simple, 1);
    let outcome = pair.run(|server, _| server.reject_connect(code::CONNECT_REJECTED, "Because."));
    assert_eq!(outcome, refused("connect", code::CONNECT_REJECTED));

    let answer = |server: &mut ServerSession, event: &Event| match event {
        Event::Publish(_) => server.reject_publish(code::PUBLISH_BAD_NAME, "Because."),
        Event::Play(_) => server.reject_play(code::PLAY_STREAM_NOT_FOUND, "Because."),
        event => accept(server, event),
    };
    let outcome = Pair::publisher(Kind::Simple, 1).run(answer);
    assert_eq!(outcome, refused("publish", code::PUBLISH_BAD_NAME));
    let outcome = Pair::player(Kind::Simple, 1).run(answer);
    assert_eq!(outcome, refused("play", code::PLAY_STREAM_NOT_FOUND));
}

#[test]
fn a_publisher_that_is_cut_off_learns_why() {
    let mut pair = Pair::publisher(Kind::Simple, 1);
    pair.run(accept).unwrap();
    pair.server.close_stream(code::PUBLISH_DENIED, "The key has been reset.");
    let error = pair.run(accept).unwrap_err();
    assert_eq!(error.to_string(), "the server refused publish: NetStream.Publish.Denied (The key has been reset.)");
}

#[test]
fn media_before_the_start_and_after_the_end_is_dropped() {
    let mut pair = Pair::publisher(Kind::Simple, 1);
    pair.client.send_video(0, b"early").unwrap();
    pair.run(accept).unwrap();
    pair.client.stop();
    pair.client.send_video(0, b"late").unwrap();
    pair.run(accept).unwrap();
    assert!(!pair.server_events.iter().any(|event| matches!(event, Event::Media(_))));
}

#[test]
fn a_publisher_may_be_ahead_of_its_connection() {
    let mut pair = Pair::publisher(Kind::Simple, 1);
    pair.run(accept).unwrap();
    pair.client.send_video(0, &vec![7; 2 * millrace_rtmp::MAX_OUTPUT]).unwrap();
    pair.carry(&message_bytes(MessageKind::Other(99), 0, b"")).unwrap();
    pair.run(accept).unwrap();
    assert!(matches!(pair.server_events.last(), Some(Event::Media(_))));
}

#[test]
fn a_player_keeps_its_connection_by_answering_pings() {
    let mut pair = Pair::player(Kind::Simple, 1);
    pair.run(accept).unwrap();
    let before = pair.server.next_timeout();
    pair.server.handle_timeout(before).unwrap();
    let ping = pair.server.poll_output().unwrap();
    pair.carry(&ping).unwrap();
    let pong = pair.client.poll_output().unwrap();
    assert_eq!(pair.server.handle_input(&mut &pong[..], before), Ok(None));
    assert_eq!(pair.server.next_timeout(), before + ServerConfig::default().ping_interval);
}

#[test]
fn a_server_that_says_nothing_is_too_late() {
    let mut client = ClientSession::play(url(), config(Kind::Simple), 1, seconds(5));
    assert_eq!(client.next_timeout(), Some(seconds(15)));
    assert_eq!(client.handle_timeout(seconds(14)), Ok(()));
    let after = seconds(10);
    assert_eq!(client.handle_timeout(seconds(15)), Err(Error::Timeout { expected: "end of the handshake", after }));

    let mut pair = Pair::player(Kind::Simple, 1);
    pair.run(accept).unwrap();
    assert_eq!(pair.client.next_timeout(), Some(seconds(30)));
    let error = pair.client.handle_timeout(seconds(30));
    assert_eq!(error, Err(Error::Timeout { expected: "input", after: seconds(30) }));

    let mut pair = Pair::publisher(Kind::Simple, 1);
    pair.run(accept).unwrap();
    assert_eq!(pair.client.next_timeout(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_published_arrives(
        seed in any::<u64>(),
        digest in any::<bool>(),
        messages in prop::collection::vec((any::<bool>(), 0..0x200_0000_u32, 1..3000_usize, any::<u8>()), 0..30),
    ) {
        let mut pair = Pair::publisher(if digest { Kind::Digest } else { Kind::Simple }, seed);
        pair.run(accept).unwrap();
        pair.server_events.clear();
        let mut expected = Vec::new();
        for (audio, timestamp, length, fill) in messages {
            let payload = Bytes::from(vec![fill; length]);
            if audio {
                pair.client.send_audio(timestamp, &payload).unwrap();
                expected.push(Event::Media(Media::Audio { timestamp, payload }));
            } else {
                pair.client.send_video(timestamp, &payload).unwrap();
                expected.push(Event::Media(Media::Video { timestamp, payload }));
            }
        }
        pair.run(accept).unwrap();
        prop_assert_eq!(pair.server_events, expected);
    }

    #[test]
    fn any_bytes_from_a_server_do_no_harm(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..10),
    ) {
        let mut pair = Pair::player(Kind::Simple, 1);
        pair.run(accept).unwrap();
        for piece in pieces {
            if pair.carry(&piece).is_err() {
                break;
            }
        }
    }
}
