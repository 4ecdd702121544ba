//! rml_rtmp, an implementation that knows nothing of this one, as client and as server.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::accept;
use millrace_flv::amf0::{self, Value};
use millrace_rtmp::chunk::{MessageKind, OUT_CHUNK_SIZE, write_shared};
use millrace_rtmp::client::{self, ClientConfig};
use millrace_rtmp::handshake::Kind;
use millrace_rtmp::server::{Event, MESSAGE_STREAM, ServerConfig};
use millrace_rtmp::{ClientSession, Media, ServerSession};
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::sessions::{
    ClientSession as RmlClient, ClientSessionConfig, ClientSessionEvent, ClientSessionResult, PublishRequestType,
    ServerSession as RmlServer, ServerSessionConfig, ServerSessionEvent, ServerSessionResult, StreamMetadata,
};
use rml_rtmp::time::RtmpTimestamp;

/// Our server, with all that it has heard.
struct Server {
    session: ServerSession,
    events: Vec<Event>,
}

impl Server {
    fn new() -> Self {
        let session = ServerSession::new(ServerConfig::default(), 3, Duration::ZERO);
        Self { session, events: Vec::new() }
    }

    /// Takes input and gives back what there is to send.
    fn take(&mut self, input: &[u8]) -> Vec<u8> {
        self.events.extend(common::feed_with(&mut self.session, input, Duration::ZERO, accept).unwrap());
        std::iter::from_fn(|| self.session.poll_output()).flatten().collect()
    }
}

/// rml's handshake as `peer`, against ours behind `take`. Returns what our side sent after it.
fn handshake(peer: PeerType, first: &[u8], mut take: impl FnMut(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut theirs = Handshake::new(peer);
    let opening = theirs.generate_outbound_p0_and_p1().unwrap();
    let mut input = first.to_vec();
    input.extend(take(&opening));
    loop {
        match theirs.process_bytes(&input).unwrap() {
            HandshakeProcessResult::InProgress { response_bytes } => {
                assert!(!response_bytes.is_empty(), "both wait");
                input = take(&response_bytes);
            }
            HandshakeProcessResult::Completed { response_bytes, mut remaining_bytes } => {
                remaining_bytes.extend(take(&response_bytes));
                return remaining_bytes;
            }
        }
    }
}

/// rml's client against our server.
struct TheirClient {
    client: RmlClient,
    events: Vec<ClientSessionEvent>,
    server: Server,
}

impl TheirClient {
    fn connected() -> Self {
        let mut server = Server::new();
        let rest = handshake(PeerType::Client, &[], |bytes| server.take(bytes));
        let (client, results) = RmlClient::new(ClientSessionConfig::new()).unwrap();
        let mut pair = Self { client, events: Vec::new(), server };
        pair.carry(results);
        pair.give(&rest);
        let result = pair.client.request_connection("live".to_owned()).unwrap();
        pair.carry(vec![result]);
        assert_eq!(pair.events, [ClientSessionEvent::ConnectionRequestAccepted]);
        pair.events.clear();
        pair
    }

    fn give(&mut self, bytes: &[u8]) {
        let results = self.client.handle_input(bytes).unwrap();
        self.carry(results);
    }

    fn carry(&mut self, results: Vec<ClientSessionResult>) {
        for result in results {
            match result {
                ClientSessionResult::OutboundResponse(packet) => {
                    let answer = self.server.take(&packet.bytes);
                    self.give(&answer);
                }
                ClientSessionResult::RaisedEvent(event) => self.events.push(event),
                // It does not know Set Peer Bandwidth.
                ClientSessionResult::UnhandleableMessageReceived(message) => assert_eq!(message.type_id, 6),
            }
        }
    }
}

#[test]
fn their_client_publishes_to_our_server() {
    let mut pair = TheirClient::connected();
    let result = pair.client.request_publishing("key".to_owned(), PublishRequestType::Live).unwrap();
    pair.carry(vec![result]);
    assert_eq!(pair.events.pop(), Some(ClientSessionEvent::PublishRequestAccepted));
    assert!(
        matches!(&pair.server.events[..], [Event::Connect(_), Event::Publish(publish)] if publish.target.key() == "key")
    );
    pair.server.events.clear();

    let mut metadata = StreamMetadata::new();
    metadata.video_width = Some(160);
    let picture = Bytes::from(vec![7; 10_000]);
    let sound = Bytes::from_static(b"sound");
    let at = RtmpTimestamp::new;
    let results = [
        pair.client.publish_metadata(&metadata).unwrap(),
        pair.client.publish_video_data(picture.clone(), at(40), false).unwrap(),
        pair.client.publish_audio_data(sound.clone(), at(60), false).unwrap(),
        pair.client.publish_video_data(picture.clone(), at(0x0100_0000), false).unwrap(),
    ];
    pair.carry(results.into());
    let [Event::Media(Media::Data { payload, .. }), media @ ..] = &pair.server.events[..] else { panic!("no data") };
    let values = amf0::decode_all(payload).unwrap();
    assert_eq!(values[0], Value::from("onMetaData"));
    assert_eq!(values[1].get("width"), Some(&Value::Number(160.0)));
    assert_eq!(
        media,
        [
            Event::Media(Media::Video { timestamp: 40, payload: picture.clone() }),
            Event::Media(Media::Audio { timestamp: 60, payload: sound }),
            Event::Media(Media::Video { timestamp: 0x0100_0000, payload: picture }),
        ]
    );
    pair.server.events.clear();
    let results = pair.client.stop_publishing().unwrap();
    pair.carry(results);
    assert_eq!(pair.server.events, [Event::StopPublish]);
}

#[test]
fn their_client_plays_shared_messages_of_ours() {
    let mut pair = TheirClient::connected();
    let result = pair.client.request_playback("movie".to_owned()).unwrap();
    pair.carry(vec![result]);
    assert!(pair.events.contains(&ClientSessionEvent::PlaybackRequestAccepted), "{:?}", pair.events);
    pair.events.clear();
    let picture = vec![7; 70_000];
    for (kind, timestamp, payload) in
        [(MessageKind::Video, 0x0100_0000, &picture[..]), (MessageKind::Audio, 0x00ff_ffff, &b"sound"[..])]
    {
        let shared = write_shared(6, MESSAGE_STREAM, timestamp, kind, &[payload], OUT_CHUNK_SIZE).unwrap();
        pair.give(&shared);
    }
    let at = RtmpTimestamp::new;
    assert_eq!(
        pair.events,
        [
            ClientSessionEvent::VideoDataReceived { timestamp: at(0x0100_0000), data: picture.into() },
            ClientSessionEvent::AudioDataReceived { timestamp: at(0x00ff_ffff), data: b"sound"[..].into() },
        ]
    );
}

/// Our client against rml's server, which accepts everything.
struct TheirServer {
    client: ClientSession,
    started: bool,
    media: Vec<Media>,
    server: RmlServer,
    events: Vec<ServerSessionEvent>,
}

impl TheirServer {
    fn new(mut client: ClientSession) -> Self {
        let first = client.poll_output().unwrap();
        let rest = handshake(PeerType::Server, &first, |bytes| {
            let mut bytes = bytes;
            assert_eq!(client.handle_input(&mut bytes, Duration::ZERO), Ok(None));
            std::iter::from_fn(|| client.poll_output()).flatten().collect()
        });
        let (server, results) = RmlServer::new(ServerSessionConfig::new()).unwrap();
        let mut pair = Self { client, started: false, media: Vec::new(), server, events: Vec::new() };
        pair.carry(results);
        pair.give(&rest);
        pair
    }

    fn give(&mut self, bytes: &[u8]) {
        let results = self.server.handle_input(bytes).unwrap();
        self.carry(results);
    }

    fn send(&mut self) {
        while let Some(bytes) = self.client.poll_output() {
            self.give(&bytes);
        }
    }

    fn carry(&mut self, results: Vec<ServerSessionResult>) {
        for result in results {
            match result {
                ServerSessionResult::OutboundResponse(packet) => {
                    let mut bytes = &packet.bytes[..];
                    while let Some(event) = self.client.handle_input(&mut bytes, Duration::ZERO).unwrap() {
                        match event {
                            client::Event::Started => self.started = true,
                            client::Event::Media(media) => self.media.push(media),
                            event => panic!("{event:?}"),
                        }
                    }
                    self.send();
                }
                ServerSessionResult::RaisedEvent(event) => {
                    let request = match &event {
                        ServerSessionEvent::ConnectionRequested { request_id, .. }
                        | ServerSessionEvent::ReleaseStreamRequested { request_id, .. }
                        | ServerSessionEvent::PublishStreamRequested { request_id, .. }
                        | ServerSessionEvent::PlayStreamRequested { request_id, .. } => Some(*request_id),
                        _ => None,
                    };
                    self.events.push(event);
                    if let Some(request) = request {
                        let results = self.server.accept_request(request).unwrap();
                        self.carry(results);
                    }
                }
                ServerSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
    }
}

fn client_config(handshake: Kind) -> ClientConfig {
    ClientConfig { handshake, ..ClientConfig::default() }
}

#[test]
fn our_client_publishes_to_their_server() {
    for handshake in [Kind::Simple, Kind::Digest] {
        let url = "rtmp://host/live/key".parse().unwrap();
        let client = ClientSession::publish(url, client_config(handshake), 4, Duration::ZERO);
        let mut pair = TheirServer::new(client);
        assert!(pair.started, "{:?}", pair.events);
        pair.events.clear();
        let picture = vec![7; 10_000];
        pair.client.send_video(40, &picture).unwrap();
        pair.client.send_audio(60, b"sound").unwrap();
        pair.client.send_video(80, &picture).unwrap();
        pair.send();
        let media: Vec<_> = pair
            .events
            .iter()
            .filter_map(|event| match event {
                ServerSessionEvent::VideoDataReceived { timestamp, data, .. }
                | ServerSessionEvent::AudioDataReceived { timestamp, data, .. } => Some((timestamp.value, data.len())),
                _ => None,
            })
            .collect();
        assert_eq!(media, [(40, 10_000), (60, 5), (80, 10_000)]);
    }
}

#[test]
fn our_client_plays_from_their_server() {
    let url = "rtmp://host/live/movie".parse().unwrap();
    let client = ClientSession::play(url, client_config(Kind::Digest), 4, Duration::ZERO);
    let mut pair = TheirServer::new(client);
    assert!(pair.started, "{:?}", pair.events);
    let stream = pair.events.iter().find_map(|event| match event {
        ServerSessionEvent::PlayStreamRequested { stream_id, stream_key, .. } if stream_key == "movie" => {
            Some(*stream_id)
        }
        _ => None,
    });
    let stream = stream.expect("a request to play");
    let picture = Bytes::from(vec![7; 10_000]);
    for timestamp in [40, 80, 0x0100_0000] {
        let packet =
            pair.server.send_video_data(stream, picture.clone(), RtmpTimestamp::new(timestamp), false).unwrap();
        pair.carry(vec![ServerSessionResult::OutboundResponse(packet)]);
    }
    let expected = [40, 80, 0x0100_0000].map(|timestamp| Media::Video { timestamp, payload: picture.clone() });
    // Before them it sends `|RtmpSampleAccess` and `onStatus` as data.
    pair.media.retain(|media| !matches!(media, Media::Data { .. }));
    assert_eq!(pair.media, expected);
}
