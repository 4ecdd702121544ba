//! Real programs, as recorded (see `data/README.md`), against a server session that accepts
//! whatever they ask.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use common::{accept, command_of, feed_with, ragged, summary};
use millrace_flv::amf0::{self, Value};
use millrace_rtmp::chunk::ChunkReader;
use millrace_rtmp::server::{Event, ServerConfig};
use millrace_rtmp::{Error, Media, ServerSession};
use proptest::prelude::*;

/// What a client did, and what it was told.
#[derive(Debug, Default, PartialEq)]
struct Story {
    app: String,
    flash_version: String,
    publishes: Option<String>,
    plays: Option<(String, f64)>,
    query: Option<String>,
    audio: usize,
    video: usize,
    data: Vec<String>,
    first: Option<u32>,
    last: u32,
    stopped: bool,
    unknown: Vec<String>,
    replies: Vec<String>,
    error: Option<Error>,
}

fn tell<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Story {
    let mut story = Story::default();
    let mut session = ServerSession::new(ServerConfig::default(), 1, Duration::ZERO);
    let mut output = Vec::new();
    for piece in pieces {
        let events = feed_with(&mut session, piece, Duration::ZERO, accept);
        while let Some(bytes) = session.poll_output() {
            output.extend_from_slice(&bytes);
        }
        match events {
            Ok(events) => events.into_iter().for_each(|event| story.hear(event)),
            Err(error) => {
                story.error = Some(error);
                break;
            }
        }
    }
    if let Some(mut output) = output.get(common::HANDSHAKE..) {
        let mut reader = ChunkReader::new();
        while let Some(message) = reader.read(&mut output).unwrap() {
            story.replies.extend(command_of(&message).as_ref().map(summary));
        }
    }
    story
}

impl Story {
    fn hear(&mut self, event: Event) {
        match event {
            Event::Connect(connect) => {
                self.app = connect.app;
                self.flash_version = connect.flash_version;
            }
            Event::Publish(request) => {
                self.publishes = Some(request.target.name);
                self.query = request.target.query;
            }
            Event::Play(request) => {
                self.plays = Some((request.target.name, request.start));
                self.query = request.target.query;
            }
            Event::Media(media) => {
                let timestamp = match media {
                    Media::Audio { timestamp, .. } => {
                        self.audio += 1;
                        timestamp
                    }
                    Media::Video { timestamp, .. } => {
                        self.video += 1;
                        timestamp
                    }
                    Media::Data { timestamp, payload } => {
                        let values = amf0::decode_all(&payload).unwrap();
                        assert!(matches!(values[1], Value::Object(_) | Value::EcmaArray(_)));
                        self.data.push(values[0].as_str().unwrap().to_owned());
                        timestamp
                    }
                };
                self.first.get_or_insert(timestamp);
                self.last = timestamp;
            }
            Event::StopPublish | Event::StopPlay => self.stopped = true,
            Event::UnknownCommand(name) => self.unknown.push(name),
            other => panic!("{other:?}"),
        }
    }
}

/// The recordings of clients, by name.
fn recordings() -> BTreeMap<String, Vec<u8>> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut recordings = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if let Some(name) = name.strip_suffix(".bin").filter(|name| !name.ends_with(".server")) {
            recordings.insert(name.to_owned(), std::fs::read(&path).unwrap());
        }
    }
    assert!(!recordings.is_empty());
    recordings
}

fn recording(name: &str) -> Vec<u8> {
    recordings().remove(name).unwrap()
}

fn story(name: &str) -> Story {
    tell([&recording(name)[..]])
}

#[test]
fn every_recording_is_the_same_story_in_any_pieces() {
    for (name, bytes) in recordings() {
        let whole = tell([&bytes[..]]);
        assert!(whole.error.is_none() || name == "rtmpdump-2.4-rtmpe", "{name}: {:?}", whole.error);
        assert_eq!(tell(bytes.chunks(1)), whole, "{name}");
        for seed in 1..20 {
            assert_eq!(tell(ragged(&bytes, seed)), whole, "{name}, seed {seed}");
        }
    }
}

#[test]
fn publishers_publish() {
    // Counts of messages as data/README.md has them.
    for (name, audio, video) in [
        ("ffmpeg-5.1-publish-h264-aac", 89, 32),
        ("ffmpeg-5.1-publish-audio-aac", 89, 0),
        ("ffmpeg-5.1-publish-video-h264", 0, 32),
        ("ffmpeg-5.1-publish-h264-mp3", 78, 32),
        ("ffmpeg-5.1-publish-query", 46, 0),
        ("ffmpeg-5.1-publish-extended-timestamps", 46, 17),
        ("ffmpeg-9.0-publish-h264-aac", 89, 32),
        ("ffmpeg-9.0-publish-hevc-aac", 46, 17),
        ("gstreamer-1.22-rtmp2sink-h264-aac", 88, 32),
        ("librtmp-2.4-rtmpsink-h264-aac", 88, 32),
        ("librtmp-2.4-rtmpsink-extended-timestamps", 46, 17),
        ("obs-29.0-publish-h264-aac", 180, 66),
    ] {
        let story = story(name);
        assert_eq!(story.app, "live", "{name}");
        assert_eq!(story.publishes.as_deref(), Some("secret-key"), "{name}");
        assert_eq!((story.audio, story.video), (audio, video), "{name}");
        assert!(story.data.iter().all(|handler| handler == "onMetaData"), "{name}: {:?}", story.data);
        assert!(!story.data.is_empty(), "{name}");
        assert!(story.stopped, "{name}");
        assert_eq!(story.unknown, [""; 0], "{name}");
        for reply in ["_result NetConnection.Connect.Success", "onStatus NetStream.Publish.Start"] {
            assert!(story.replies.iter().any(|sent| sent == reply), "{name}: {:?}", story.replies);
        }
    }
}

#[test]
fn ffmpeg_leaves_the_query_in_the_name() {
    assert_eq!(story("ffmpeg-5.1-publish-query").query.as_deref(), Some("user=alice&token=1"));
}

#[test]
fn ffmpeg_and_librtmp_repeat_extended_timestamps() {
    for name in ["ffmpeg-5.1-publish-extended-timestamps", "librtmp-2.4-rtmpsink-extended-timestamps"] {
        let story = story(name);
        assert_eq!(story.first, Some(0), "{name}");
        assert!((16_800_000..16_802_000).contains(&story.last), "{name}: {}", story.last);
    }
}

#[test]
fn gstreamer_wants_no_results_for_its_transaction_0() {
    let replies = story("gstreamer-1.22-rtmp2sink-h264-aac").replies;
    let results = replies.iter().filter(|reply| reply.starts_with("_result")).count();
    assert_eq!(results, 2, "{replies:?}");
}

#[test]
fn gstreamer_deletes_its_stream_by_name() {
    let story = story("gstreamer-1.22-rtmp2sink-h264-aac");
    assert!(story.stopped);
    assert!(story.replies.contains(&"onStatus NetStream.Unpublish.Success".to_owned()));
}

#[test]
fn obs_hears_what_it_waits_for() {
    let story = story("obs-29.0-publish-h264-aac");
    assert!(story.flash_version.starts_with("FMLE/3.0"), "{}", story.flash_version);
    assert_eq!(
        story.replies[..6],
        [
            "_result NetConnection.Connect.Success",
            "_result",
            "onFCPublish NetStream.Publish.Start",
            "_result",
            "_result",
            "onStatus NetStream.Publish.Start",
        ]
    );
}

#[test]
fn players_play() {
    // Units of the start differ: seconds for GStreamer and librtmp, milliseconds for FFmpeg.
    for (name, stream, start, stops) in [
        ("ffmpeg-5.1-play", "movie", -2000.0, true),
        ("ffmpeg-5.1-play-live", "movie", -1000.0, true),
        ("ffmpeg-5.1-play-acks", "noise", -2000.0, true),
        ("ffmpeg-9.0-play", "movie", -2000.0, true),
        ("vlc-3.0-play", "movie", -2000.0, false),
        ("gstreamer-1.22-rtmp2src-play-acks", "noise", -2.0, false),
        ("librtmp-2.4-rtmpsrc-play", "movie", 0.0, true),
        ("rtmpdump-2.4-play", "movie", 0.0, true),
        ("rtmpdump-2.4-play-live-acks", "noise", -1000.0, true),
        ("rtmpdump-2.4-play-digest", "movie", -1000.0, true),
    ] {
        let story = story(name);
        assert_eq!(story.app, "live", "{name}");
        assert_eq!(story.plays, Some((stream.to_owned(), start)), "{name}");
        assert_eq!(story.stopped, stops, "{name}");
        assert_eq!(story.unknown, [""; 0], "{name}");
        assert!(story.replies.contains(&"onStatus NetStream.Play.Start".to_owned()), "{name}: {:?}", story.replies);
    }
}

#[test]
fn ffmpeg_and_rtmpdump_subscribe_to_live_streams() {
    for name in ["ffmpeg-5.1-play-live", "rtmpdump-2.4-play-live-acks"] {
        assert!(story(name).replies.contains(&"onFCSubscribe NetStream.Play.Start".to_owned()), "{name}");
    }
}

#[test]
fn rtmpe_is_refused_at_its_first_byte() {
    assert_eq!(story("rtmpdump-2.4-rtmpe").error, Some(Error::Version { version: 6 }));
}

/// The digest handshakes that nginx-rtmp and the clients carried out, checked with the client side
/// of ours: it finds the digest of what the server sent.
#[test]
fn digest_servers_are_understood() {
    use millrace_rtmp::handshake::{ClientHandshake, Kind, Progress};
    for name in ["ffmpeg-5.1-play.server", "rtmpdump-2.4-play-digest.server"] {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{name}.bin"));
        let bytes = std::fs::read(path).unwrap();
        let (mut client, _) = ClientHandshake::new(Kind::Digest, 1);
        let mut input = &bytes[..];
        let Progress::Send(answer) = client.handle_input(&mut input).unwrap() else { panic!("an answer") };
        assert_ne!(answer, bytes[1..][..1536], "{name}: signed, not echoed");
        assert_eq!(client.handle_input(&mut input), Ok(Progress::Done));
        assert_eq!(input.len(), bytes.len() - common::HANDSHAKE);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is changed in a recording, the session goes on or says what is wrong.
    #[test]
    fn damaged_recordings_do_no_harm(
        choice in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        seed in any::<u64>(),
    ) {
        let recordings: Vec<_> = recordings().into_values().collect();
        let mut bytes = choice.get(&recordings).clone();
        for (place, value) in damage {
            // Most of the damage where the commands are.
            let end = bytes.len().min(common::HANDSHAKE + 1500);
            let place = place.index(end);
            bytes[place] = value;
        }
        tell_or_fail(ragged(&bytes, seed));
    }
}

fn tell_or_fail(pieces: Vec<&[u8]>) {
    let mut session = ServerSession::new(ServerConfig::default(), 1, Duration::ZERO);
    for piece in pieces {
        if feed_with(&mut session, piece, Duration::ZERO, accept).is_err() {
            return;
        }
        session.poll_output();
    }
}
