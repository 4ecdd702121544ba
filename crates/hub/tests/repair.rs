//! Publishers that stall, return, fight, or change what they send, seen by those who play.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_hub::{
    Format, HlsFormat, Hub, HubConfig, HubLimits, ItemKind, Packet, PlayError, Protocol, PublishError, Publisher,
    PublisherMeta, Read, ResourceName, Ring, StreamId, StreamState, Subscription, Turn,
};
use millrace_media::{AacConfig, AudioConfig, AvcConfig, Frame, HevcConfig, Timestamp, TrackKind, Unit, VideoConfig};
use tokio::time::sleep;

const PICTURE: Duration = Duration::from_millis(40);

fn id() -> StreamId {
    StreamId::parse("live", "movie").unwrap()
}

fn peer() -> SocketAddr {
    "127.0.0.1:4000".parse().unwrap()
}

async fn publish(hub: &Hub, takeover: bool) -> Result<Publisher, PublishError> {
    hub.publish(&id(), PublisherMeta { peer: peer(), encoder: None, takeover }).await
}

fn video_config(level: u8) -> Unit {
    let record = vec![1, 100, 0, level, 0xff, 0xe1, 0, 2, 0x67, level, 1, 0, 1, 0x68];
    Unit::VideoConfig(Arc::new(VideoConfig::Avc(AvcConfig::parse(record.into()).unwrap())))
}

/// Of level 3.1. Its parameter sets cannot be understood, as nobody needs to.
fn hevc_config() -> Unit {
    let mut record = [&[1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93][..], &[0; 8], &[3, 3]].concat();
    for set in [&[0x40, 1][..], &[0x42, 1], &[0x44, 1]] {
        record.extend([set[0] >> 1, 0, 1, 0, 2]);
        record.extend(set);
    }
    Unit::VideoConfig(Arc::new(VideoConfig::Hevc(HevcConfig::parse(record.into()).unwrap())))
}

fn audio_config(rate_index: u8) -> Unit {
    let bits = 2u16 << 11 | u16::from(rate_index) << 7 | 2 << 3;
    let config = AacConfig::parse(Bytes::copy_from_slice(&bits.to_be_bytes())).unwrap();
    Unit::AudioConfig(Arc::new(AudioConfig::Aac(config)))
}

/// A picture carries the level of its configuration, so that one can tell whose it is.
fn frame(track: TrackKind, n: i64, level: u8) -> Unit {
    let t = Timestamp::from_millis(n * 40);
    let keyframe = track == TrackKind::Audio || n % 25 == 0;
    Unit::Frame(Frame { track, keyframe, dts: t, pts: t, payload: Bytes::copy_from_slice(&[0, 0, 0, 2, 0x65, level]) })
}

/// Sends pictures, sound or both in real time.
async fn send(publisher: &mut Publisher, pictures: std::ops::Range<i64>, level: u8, tracks: &[TrackKind]) {
    for n in pictures {
        for track in tracks {
            publisher.send(frame(*track, n, level)).await.unwrap();
        }
        sleep(PICTURE).await;
    }
}

const BOTH: &[TrackKind] = &[TrackKind::Video, TrackKind::Audio];
const VIDEO: &[TrackKind] = &[TrackKind::Video];
const AUDIO: &[TrackKind] = &[TrackKind::Audio];

async fn begin(hub: &Hub, level: u8) -> Publisher {
    let mut publisher = publish(hub, true).await.unwrap();
    publisher.send(video_config(level)).await.unwrap();
    publisher.send(audio_config(4)).await.unwrap();
    publisher
}

async fn play(hub: &Hub) -> Result<Subscription, PlayError> {
    hub.play(&id(), Format::Flv, Protocol::HttpFlv, peer(), false).await
}

/// What a player that joins now gets at once.
fn joins(ring: &Ring) -> (Bytes, Vec<Packet>) {
    let start = ring.join();
    let mut packets = Vec::new();
    assert!(matches!(ring.read(start.join.at, usize::MAX, &mut packets), Read::Packets(_)));
    (start.prologue, packets)
}

fn millis(packet: &Packet) -> u32 {
    let b = &packet.bytes;
    u32::from_be_bytes([b[7], b[4], b[5], b[6]])
}

/// The tracks that the stream has: pictures, sound.
fn tracks(hub: &Hub) -> (bool, bool) {
    let info = hub.info(&id()).unwrap();
    (info.video.is_some(), info.audio.is_some())
}

#[tokio::test(start_paused = true)]
async fn a_track_that_stops_is_given_up_and_taken_up_again_when_it_returns() {
    for (missing, rest, without) in [(AUDIO, VIDEO, (true, false)), (VIDEO, AUDIO, (false, true))] {
        let hub = Hub::new(HubConfig::default());
        let mut publisher = begin(&hub, 31).await;
        send(&mut publisher, 0..100, 31, BOTH).await;
        let player = play(&hub).await.unwrap();
        send(&mut publisher, 100..400, 31, rest).await;
        assert_eq!(tracks(&hub), without, "without {missing:?}");
        let (prologue, packets) = joins(&player.ring);
        assert_eq!(prologue[4], u8::from(without.1) << 2 | u8::from(without.0), "the flags in the file's header");
        assert!(!packets.is_empty());
        // It has announced it long ago, and does not again.
        send(&mut publisher, 400..450, 31, BOTH).await;
        assert_eq!(tracks(&hub), (true, true));
        let (prologue, packets) = joins(&player.ring);
        assert_eq!(prologue[4], 5);
        assert_eq!(packets[0].kind, ItemKind::Keyframe);
    }
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_returns_with_fewer_tracks_and_with_more() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = publish(&hub, true).await.unwrap();
    publisher.send(audio_config(4)).await.unwrap();
    send(&mut publisher, 0..100, 31, AUDIO).await;
    let player = play(&hub).await.unwrap();
    assert_eq!(tracks(&hub), (false, true));
    drop(publisher);
    sleep(Duration::from_secs(2)).await;
    let mut publisher = begin(&hub, 31).await;
    send(&mut publisher, 0..60, 31, BOTH).await;
    assert_eq!(tracks(&hub), (true, true), "sound only, then both");
    drop(publisher);
    let mut publisher = publish(&hub, true).await.unwrap();
    publisher.send(audio_config(4)).await.unwrap();
    send(&mut publisher, 0..150, 31, AUDIO).await;
    assert_eq!(tracks(&hub), (false, true), "and back");
    let (_, packets) = joins(&player.ring);
    assert!(packets.iter().all(|p| p.kind != ItemKind::Inter && p.kind != ItemKind::Keyframe));
}

#[tokio::test(start_paused = true)]
async fn sound_that_begins_late_keeps_nobody_from_joining() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = publish(&hub, true).await.unwrap();
    publisher.send(video_config(31)).await.unwrap();
    send(&mut publisher, 0..60, 31, VIDEO).await;
    let player = play(&hub).await.unwrap();
    publisher.send(audio_config(4)).await.unwrap();
    send(&mut publisher, 60..62, 31, BOTH).await;
    let (prologue, packets) = joins(&player.ring);
    assert_eq!(prologue[4], 5);
    assert_eq!(packets[0].kind, ItemKind::Keyframe, "the one from before the sound");
    assert_eq!(packets.iter().filter(|p| p.kind == ItemKind::Audio).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_stalls_in_silence_is_shown_as_away_and_keeps_its_players() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub, 31).await;
    send(&mut publisher, 0..60, 31, BOTH).await;
    let mut player = play(&hub).await.unwrap();
    assert_eq!(hub.info(&id()).unwrap().state, StreamState::Live);
    sleep(Duration::from_secs(8)).await;
    assert_eq!(hub.info(&id()).unwrap().state, StreamState::Reconnecting);
    assert_eq!(tracks(&hub), (true, true));
    assert!(!player.ring.head().ended);
    send(&mut publisher, 260..300, 31, BOTH).await;
    assert_eq!(hub.info(&id()).unwrap().state, StreamState::Live);
}

#[tokio::test(start_paused = true)]
async fn a_takeover_storm_leaves_the_last_publisher_and_every_player() {
    let hub =
        Hub::new(HubConfig { limits: HubLimits { publishers: 1, ..HubLimits::default() }, ..HubConfig::default() });
    let mut ghosts = vec![begin(&hub, 31).await];
    send(&mut ghosts[0], 0..30, 31, BOTH).await;
    let player = play(&hub).await.unwrap();
    let mut from = player.ring.join().join.at;
    let mut last = [0; 2];
    for _ in 0..100 {
        let mut publisher = begin(&hub, 31).await;
        send(&mut publisher, 0..3, 31, BOTH).await;
        ghosts.push(publisher);
        let mut packets = Vec::new();
        assert!(matches!(player.ring.read(from, usize::MAX, &mut packets), Read::Packets(_)));
        from += packets.len() as u64;
        for packet in packets.iter().filter(|p| p.kind != ItemKind::Header) {
            let track = usize::from(packet.kind == ItemKind::Audio);
            assert!(last[track] == 0 || millis(packet) > last[track], "time rises");
            last[track] = millis(packet);
        }
    }
    let mut newest = ghosts.pop().unwrap();
    for mut ghost in ghosts {
        assert!(ghost.send(frame(TrackKind::Audio, 0, 31)).await.is_err());
    }
    send(&mut newest, 3..10, 31, BOTH).await;
    assert_eq!(hub.info(&id()).unwrap().state, StreamState::Live);
    drop(newest);
    sleep(Duration::from_secs(1)).await;
    begin(&hub, 31).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_publisher_without_the_key_never_disturbs() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub, 31).await;
    send(&mut publisher, 0..30, 31, BOTH).await;
    let player = play(&hub).await.unwrap();
    let before = player.ring.join().join.at;
    for n in 0..100 {
        assert_eq!(publish(&hub, false).await.unwrap_err(), PublishError::Busy);
        send(&mut publisher, 30 + n..31 + n, 31, BOTH).await;
    }
    let mut packets = Vec::new();
    player.ring.read(before, usize::MAX, &mut packets);
    assert!(packets.iter().all(|p| p.kind != ItemKind::Header), "no configuration again");
    let pictures: Vec<_> = packets.iter().filter(|p| p.kind != ItemKind::Audio).map(millis).collect();
    assert!(pictures.windows(2).all(|w| w[1] == w[0] + 40), "{pictures:?}");
}

#[tokio::test(start_paused = true)]
async fn the_gop_cache_never_mixes_configurations() {
    // In mid-stream, and by a publisher that returns; pictures, and sound.
    for returns in [false, true] {
        let play_window = Duration::from_secs(20);
        let hub = Hub::new(HubConfig { gop_count: 8, play_window, ..HubConfig::default() });
        let mut publisher = begin(&hub, 31).await;
        send(&mut publisher, 0..60, 31, BOTH).await;
        let early = play(&hub).await.unwrap();
        let from = early.ring.join().join.at;
        if returns {
            drop(publisher);
            sleep(Duration::from_secs(3)).await;
            publisher = publish(&hub, true).await.unwrap();
            publisher.send(audio_config(3)).await.unwrap();
        }
        publisher.send(video_config(40)).await.unwrap();
        // Within a GOP: what comes before the keyframe is of no use to anybody.
        send(&mut publisher, 60..90, 40, BOTH).await;
        let (prologue, packets) = joins(&early.ring);
        assert!(prologue.windows(2).any(|w| w == [0x67, 40]), "the header that fits");
        assert_eq!(packets[0].kind, ItemKind::Keyframe);
        let pictures = |packets: &[Packet]| -> Vec<u8> {
            let is_picture = |p: &&Packet| matches!(p.kind, ItemKind::Keyframe | ItemKind::Inter);
            packets.iter().filter(is_picture).map(|p| p.bytes[p.bytes.len() - 5]).collect()
        };
        assert!(pictures(&packets).iter().all(|level| *level == 40));
        // Who was there gets the header before the first picture that needs it.
        let mut packets = Vec::new();
        early.ring.read(from, usize::MAX, &mut packets);
        let header = packets.iter().rposition(|p| p.kind == ItemKind::Header).unwrap();
        assert!(pictures(&packets[..header]).iter().all(|level| *level == 31));
        let after = pictures(&packets[header..]);
        assert_eq!(after.len(), 15, "from the keyframe on");
        assert!(after.iter().all(|level| *level == 40));
    }
}

#[tokio::test(start_paused = true)]
async fn a_publisher_of_h264_that_returns_within_the_grace_time_with_hevc() {
    let hub = Hub::new(HubConfig { play_window: Duration::from_secs(20), ..HubConfig::default() });
    let mut publisher = begin(&hub, 31).await;
    send(&mut publisher, 0..60, 31, BOTH).await;
    let player = play(&hub).await.unwrap();
    let from = player.ring.join().join.at;
    for format in HlsFormat::ALL {
        hub.hls(&id(), format).await.unwrap();
    }
    send(&mut publisher, 60..110, 31, BOTH).await;
    drop(publisher);
    sleep(Duration::from_secs(3)).await;
    let mut publisher = publish(&hub, true).await.unwrap();
    publisher.send(hevc_config()).await.unwrap();
    publisher.send(audio_config(4)).await.unwrap();
    send(&mut publisher, 0..110, 93, BOTH).await;

    // Players by FLV go on, and get the other header before the first picture that needs it.
    let mut packets = Vec::new();
    assert!(matches!(player.ring.read(from, usize::MAX, &mut packets), Read::Packets(_)));
    let says_hevc = |header: &[u8]| header.windows(4).any(|w| w == b"hvc1");
    let is_hevc = |p: &Packet| p.bytes.len() > 16 && p.bytes[12..16] == *b"hvc1";
    let header = packets.iter().position(|p| p.kind == ItemKind::Header && says_hevc(&p.bytes)).unwrap();
    let pictures = |packets: &[Packet]| -> Vec<Packet> {
        packets.iter().filter(|p| matches!(p.kind, ItemKind::Keyframe | ItemKind::Inter)).cloned().collect()
    };
    assert!(pictures(&packets[..header]).iter().all(|p| !is_hevc(p)));
    let after = pictures(&packets[header..]);
    assert!(after.len() == 110 && after[0].kind == ItemKind::Keyframe && after.iter().all(is_hevc));
    assert!(packets.iter().filter(|p| p.kind == ItemKind::Audio).map(millis).is_sorted_by(|a, b| a < b));
    let (prologue, packets) = joins(&player.ring);
    assert!(says_hevc(&prologue) && packets[0].kind == ItemKind::Keyframe);

    // Players by HLS get one discontinuity, and in fMP4 another init segment after it.
    for format in HlsFormat::ALL {
        let mut reader = hub.hls(&id(), format).await.unwrap();
        let snapshot = reader.until(|view| view.snapshot.clone()).await.unwrap();
        let playlist = String::from_utf8(snapshot.playlist.to_vec()).unwrap();
        let parts: Vec<_> = playlist.split("#EXT-X-DISCONTINUITY\n").collect();
        let [before, after] = parts[..] else { panic!("{playlist}") };
        assert!(before.contains("#EXTINF") && after.contains("#EXTINF"));
        if format == HlsFormat::Cmaf {
            let inits = [before, after].map(|part| {
                let name = part.split("#EXT-X-MAP:URI=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
                match snapshot.resource(ResourceName::parse(name).unwrap()) {
                    Turn::Now(init) => init.to_vec(),
                    other => panic!("{other:?} in place of {name}"),
                }
            });
            let has = |init: &[u8], kind| init.windows(4).any(|w| w == kind);
            assert!(has(&inits[0], b"avc1") && has(&inits[1], b"hvc1") && !has(&inits[1], b"avc1"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_return_after_the_grace_time_is_a_new_stream() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub, 31).await;
    send(&mut publisher, 0..30, 31, BOTH).await;
    let mut player = play(&hub).await.unwrap();
    drop(publisher);
    while !player.ring.changed().await.ended {}
    let mut publisher = begin(&hub, 40).await;
    send(&mut publisher, 0..30, 40, BOTH).await;
    let player = play(&hub).await.unwrap();
    let (_, packets) = joins(&player.ring);
    assert_eq!(millis(&packets[0]), 1000, "its time begins anew");
}
