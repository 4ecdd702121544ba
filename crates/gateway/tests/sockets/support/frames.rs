use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use millrace_hub::{Hub, Publisher, PublisherMeta};
use millrace_media::{AacConfig, AudioConfig, AvcConfig, Frame, Timestamp, TrackKind, Unit, VideoConfig};

use super::server::movie;

/// A publisher of the test's stream: picture `n` at `n` × 40 ms, a keyframe every 25, and after each
/// picture its sound, 7 ms later.
pub(crate) struct Show {
    publisher: Publisher,
    next: u32,
}

/// A message as a player got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) what: What,
    pub(crate) timestamp: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Metadata,
    VideoHeader,
    AudioHeader,
    Picture(u32),
    Sound(u32),
}

pub(crate) const GOP: u32 = 25;
/// The numbers of FLV tags and RTMP messages.
pub(crate) const AUDIO: u8 = 8;
pub(crate) const VIDEO: u8 = 9;
pub(crate) const SCRIPT: u8 = 18;

impl Show {
    /// Goes on air with the first picture and its sound.
    pub(crate) async fn begin(hub: &Hub) -> Self {
        let peer = "127.0.0.1:9".parse().unwrap();
        let mut publisher = hub.publish(&movie(), PublisherMeta { peer, encoder: None, takeover: true }).await.unwrap();
        let video = AvcConfig::parse(Bytes::from_static(AVC_CONFIG)).unwrap();
        let audio = AacConfig::parse(Bytes::from_static(AAC_CONFIG)).unwrap();
        publisher.send(Unit::VideoConfig(Arc::new(VideoConfig::Avc(video)))).await.unwrap();
        publisher.send(Unit::AudioConfig(Arc::new(AudioConfig::Aac(audio)))).await.unwrap();
        let mut show = Self { publisher, next: 0 };
        show.pictures(1, 1000).await;
        show
    }

    /// Sends so many pictures of that size, with their sound; returns the number of the last.
    pub(crate) async fn pictures(&mut self, count: u32, size: usize) -> u32 {
        for n in self.next..self.next + count {
            self.publisher.send(frame(TrackKind::Video, n, size)).await.unwrap();
            self.publisher.send(frame(TrackKind::Audio, n, 100)).await.unwrap();
        }
        self.next += count;
        self.next - 1
    }

    /// Ends the stream.
    pub(crate) fn finish(self) {
        self.publisher.finish();
    }
}

impl Item {
    /// Reads the body of an FLV tag or RTMP message, which must be one that the show sent, to the byte.
    #[track_caller]
    pub(crate) fn read(kind: u8, timestamp: u32, body: &[u8]) -> Self {
        let what = match (kind, body) {
            (SCRIPT, [2, 0, 10, rest @ ..]) if rest.starts_with(b"onMetaData") => What::Metadata,
            (VIDEO, [0x17, 0, 0, 0, 0, config @ ..]) if config == AVC_CONFIG => What::VideoHeader,
            (AUDIO, [0xaf, 0, config @ ..]) if config == AAC_CONFIG => What::AudioHeader,
            (VIDEO, [first, 1, 0, 0, 0, payload @ ..]) => {
                let n = number(payload);
                assert_eq!(*first, if n.is_multiple_of(GOP) { 0x17 } else { 0x27 }, "picture {n}");
                assert_eq!(timestamp, n * STEP, "picture {n}");
                assert_eq!(payload, bytes(n, payload.len()), "picture {n}");
                What::Picture(n)
            }
            (AUDIO, [0xaf, 1, payload @ ..]) => {
                let n = number(payload);
                assert_eq!(timestamp, n * STEP + SOUND_AFTER, "sound {n}");
                assert_eq!(payload, bytes(n, 100), "sound {n}");
                What::Sound(n)
            }
            _ => panic!("nobody sent this: kind {kind}, {} bytes {:02x?}", body.len(), &body[..body.len().min(16)]),
        };
        Self { what, timestamp }
    }
}

/// Fails unless a player could show what it got: metadata and sequence headers first, time rises, every
/// picture follows the one that it needs, and where some are left out, headers and a keyframe are next.
/// Returns the runs of pictures without gaps.
#[track_caller]
pub(crate) fn examine(items: &[Item]) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    let mut headers = Vec::new();
    let mut time = 0;
    for Item { what, timestamp } in items {
        if *what == What::Metadata {
            assert_eq!(*timestamp, 0, "the time of metadata");
        } else {
            assert!(*timestamp >= time, "{what:?}: {timestamp} ms after {time} ms");
            time = *timestamp;
        }
        match *what {
            What::Picture(n) => match runs.last_mut() {
                Some(run) if run.end == n && headers.is_empty() => run.end += 1,
                _ => {
                    let complete = [What::Metadata, What::VideoHeader, What::AudioHeader];
                    assert_eq!(headers, complete, "before picture {n}, where a run begins after {runs:?}");
                    assert_eq!(n % GOP, 0, "picture {n} without its keyframe after {runs:?}");
                    runs.push(n..n + 1);
                    headers.clear();
                }
            },
            What::Sound(n) => assert!(runs.last().is_some_and(|run| run.end == n + 1), "sound {n} after {runs:?}"),
            header => headers.push(header),
        }
    }
    runs
}

/// The pictures of a player that lost none.
#[track_caller]
pub(crate) fn unbroken(items: &[Item]) -> Range<u32> {
    let runs = examine(items);
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].clone()
}

const STEP: u32 = 40;
const SOUND_AFTER: u32 = 7;
const AVC_CONFIG: &[u8] = &[1, 100, 0, 31, 0xff, 0xe1, 0, 2, 0x67, 31, 1, 0, 1, 0x68];
const AAC_CONFIG: &[u8] = &[0x12, 0x10];

fn frame(track: TrackKind, n: u32, size: usize) -> Unit {
    let (keyframe, after) = match track {
        TrackKind::Video => (n.is_multiple_of(GOP), 0),
        TrackKind::Audio => (true, SOUND_AFTER),
    };
    let time = Timestamp::from_millis((n * STEP + after).into());
    Unit::Frame(Frame { track, keyframe, dts: time, pts: time, payload: bytes(n, size).into() })
}

/// The number, then filler that differs from frame to frame and does not repeat with a chunk.
fn bytes(n: u32, size: usize) -> Vec<u8> {
    let mut bytes = n.to_be_bytes().to_vec();
    bytes.extend((4..size).map(|i| (i % 251) as u8 ^ n as u8));
    bytes
}

fn number(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().unwrap())
}
