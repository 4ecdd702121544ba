//! Publishing and playing through the hub, without sockets.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use millrace_hub::{
    AddressRange, CutReason, EndReason, Ended, Event, Events, Format, HlsFormat, HlsSnapshot, HlsView, Hub, HubConfig,
    HubLimits, ItemKind, Packet, PlayError, PlaylistQuery, Protocol, PublishError, Publisher, PublisherMeta, Read,
    RefusedTotals, ResourceName, Ring, StreamId, StreamState, Subscription, Turn,
};
use millrace_media::{AacConfig, AudioConfig, AvcConfig, Frame, Timestamp, TrackKind, Unit, VideoConfig};
use tokio::task::JoinSet;

fn id() -> StreamId {
    StreamId::parse("live", "movie").unwrap()
}

fn peer() -> SocketAddr {
    "127.0.0.1:4000".parse().unwrap()
}

fn meta(takeover: bool) -> PublisherMeta {
    PublisherMeta { peer: peer(), encoder: None, takeover }
}

fn video_config(level: u8) -> Unit {
    let record = vec![1, 100, 0, level, 0xff, 0xe1, 0, 2, 0x67, level, 1, 0, 1, 0x68];
    Unit::VideoConfig(Arc::new(VideoConfig::Avc(AvcConfig::parse(record.into()).unwrap())))
}

fn audio_config() -> Unit {
    Unit::AudioConfig(Arc::new(AudioConfig::Aac(AacConfig::parse(Bytes::from_static(&[0x12, 0x10])).unwrap())))
}

fn frame(track: TrackKind, keyframe: bool, ms: i64) -> Unit {
    let t = Timestamp::from_millis(ms);
    Unit::Frame(Frame { track, keyframe, dts: t, pts: t, payload: Bytes::from_static(&[0, 0, 0, 1, 0x65]) })
}

/// Sound and picture every 40 ms, a keyframe every 25 pictures.
async fn send(publisher: &mut Publisher, pictures: std::ops::Range<i64>) {
    for n in pictures {
        publisher.send(frame(TrackKind::Video, n % 25 == 0, n * 40)).await.unwrap();
        publisher.send(frame(TrackKind::Audio, true, n * 40 + 7)).await.unwrap();
    }
}

async fn begin(hub: &Hub) -> Publisher {
    let mut publisher = hub.publish(&id(), meta(true)).await.unwrap();
    publisher.send(video_config(31)).await.unwrap();
    publisher.send(audio_config()).await.unwrap();
    publisher
}

async fn play(hub: &Hub, format: Format) -> Result<Subscription, PlayError> {
    hub.play(&id(), format, Protocol::HttpFlv, peer(), false).await
}

/// Waits until the ring has `count` packets after where a new player begins.
async fn packets(ring: &mut Ring, count: usize) -> Vec<Packet> {
    let from = ring.join().join.at;
    loop {
        let head = ring.head();
        let mut out = Vec::new();
        if head.end >= from + count as u64 {
            assert!(matches!(ring.read(from, usize::MAX, &mut out), Read::Packets(_)));
            return out;
        }
        ring.changed().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_joiner_begins_at_the_keyframe_with_its_sound() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..60).await;
    let mut player = play(&hub, Format::Flv).await.unwrap();
    let got = packets(&mut player.ring, 20).await;
    assert_eq!(got.len(), 20, "ten pictures and ten frames of sound since the keyframe");
    assert_eq!(got[0].kind, ItemKind::Keyframe);
    assert_eq!(got.iter().filter(|p| p.kind == ItemKind::Audio).count(), 10);
    let start = player.ring.join();
    assert_eq!(&start.prologue[..5], b"FLV\x01\x05");
}

#[tokio::test(start_paused = true)]
async fn both_formats_run_beside_each_other_and_players_of_one_share_a_ring() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..30).await;
    let flv = play(&hub, Format::Flv).await.unwrap();
    let again = play(&hub, Format::Flv).await.unwrap();
    let rtmp = play(&hub, Format::Rtmp).await.unwrap();
    assert_eq!(flv.ring.id(), again.ring.id());
    assert_ne!(flv.ring.id(), rtmp.ring.id());
    assert_eq!(hub.info(&id()).unwrap().viewers, 3);
    assert_eq!(&rtmp.ring.join().prologue[..1], &[5], "an RTMP chunk of the data chunk stream");
}

#[tokio::test(start_paused = true)]
async fn a_player_that_comes_first_is_attached_when_the_publisher_comes() {
    let hub = Hub::new(HubConfig::default());
    let waiting = tokio::spawn({
        let hub = hub.clone();
        async move { hub.play(&id(), Format::Rtmp, Protocol::Rtmp, peer(), true).await }
    });
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(!waiting.is_finished());
    assert!(hub.on_air().is_empty(), "a stream that is only waited for is not on air");
    assert!(hub.published().is_empty());
    let watching = || hub.totals().sent[Protocol::Rtmp as usize].players;
    assert_eq!((watching(), hub.player_count()), (0, 1), "it takes a place, and watches nothing");
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..1).await;
    let mut player = waiting.await.unwrap().unwrap();
    assert_eq!(watching(), 1);
    assert_eq!(packets(&mut player.ring, 1).await[0].kind, ItemKind::Keyframe);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_where_nobody_publishes_and_the_player_does_not_want_to() {
    let hub = Hub::new(HubConfig::default());
    assert_eq!(play(&hub, Format::Flv).await.unwrap_err(), PlayError::NotOnAir);
    assert_eq!(hub.player_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn audio_only_goes_on_air_without_waiting_for_a_picture_for_ever() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = hub.publish(&id(), meta(true)).await.unwrap();
    publisher.send(audio_config()).await.unwrap();
    for n in 0..70 {
        publisher.send(frame(TrackKind::Audio, true, n * 20)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut player = play(&hub, Format::Flv).await.unwrap();
    assert_eq!(player.ring.join().prologue[4], 4, "the header says: sound only");
    assert!(packets(&mut player.ring, 40).await.len() <= 51, "one second of sound at once");
}

#[tokio::test(start_paused = true)]
async fn a_lost_publisher_may_return_and_players_stay() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..30).await;
    let mut player = play(&hub, Format::Flv).await.unwrap();
    drop(publisher);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(hub.info(&id()).unwrap().state, StreamState::Reconnecting);
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..30).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let head = player.ring.head();
    assert!(!head.ended);
    let mut out = Vec::new();
    player.ring.read(player.ring.join().join.at, 1, &mut out);
    let b = &out[0].bytes;
    let ms = u32::from_be_bytes([b[7], b[4], b[5], b[6]]);
    assert!((11_000..13_000).contains(&ms), "time goes on after the gap: {ms} ms");
    assert_eq!(hub.info(&id()).unwrap().state, StreamState::Live);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_does_not_return_ends_the_stream() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..30).await;
    let mut player = play(&hub, Format::Flv).await.unwrap();
    drop(publisher);
    assert_eq!(hub.last_on_air(&id()), None);
    while !player.ring.changed().await.ended {}
    while hub.info(&id()).is_some() {
        tokio::task::yield_now().await;
    }
    assert!(hub.last_on_air(&id()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_finishes_ends_the_stream_at_once_after_its_last_frame() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..10).await;
    let mut player = play(&hub, Format::Flv).await.unwrap();
    send(&mut publisher, 10..12).await;
    publisher.finish();
    let begun = tokio::time::Instant::now();
    let mut head = player.ring.head();
    while !head.ended {
        head = player.ring.changed().await;
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(head.end, 24);
}

#[tokio::test(start_paused = true)]
async fn the_same_key_takes_over_from_its_ghost_and_a_stranger_does_not() {
    let hub = Hub::new(HubConfig::default());
    let mut ghost = begin(&hub).await;
    send(&mut ghost, 0..3).await;
    let stranger = hub.publish(&id(), meta(false)).await;
    assert_eq!(stranger.unwrap_err(), PublishError::Busy);
    let _owner = hub.publish(&id(), meta(true)).await.unwrap();
    assert_eq!(ghost.cut().await, CutReason::TakenOver);
    assert_eq!(ghost.send(frame(TrackKind::Audio, true, 0)).await, Err(CutReason::TakenOver));
}

#[tokio::test(start_paused = true)]
async fn a_changed_configuration_reaches_players_that_are_there_and_those_that_come() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..30).await;
    let player = play(&hub, Format::Flv).await.unwrap();
    publisher.send(video_config(40)).await.unwrap();
    send(&mut publisher, 50..55).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut out = Vec::new();
    player.ring.read(player.ring.start(), 1000, &mut out);
    assert_eq!(out.iter().filter(|p| p.kind == ItemKind::Header).count(), 1);
    let start = player.ring.join();
    let mut out = Vec::new();
    player.ring.read(start.join.at, 1000, &mut out);
    assert_eq!(out.len(), 10, "from the keyframe after the change");
    assert!(start.prologue.windows(2).any(|w| w == [0x67, 40]), "with the new parameter set");
}

#[tokio::test(start_paused = true)]
async fn limits_refuse_and_give_back() {
    let hub = Hub::new(HubConfig {
        limits: HubLimits { publishers: 1, players: 1, streams: 2, ..HubLimits::default() },
        ..HubConfig::default()
    });
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..3).await;
    let other = StreamId::parse("live", "other").unwrap();
    assert_eq!(hub.publish(&other, meta(true)).await.unwrap_err(), PublishError::Full);
    let first = play(&hub, Format::Flv).await.unwrap();
    assert_eq!(play(&hub, Format::Flv).await.unwrap_err(), PlayError::Full);
    drop(first);
    play(&hub, Format::Flv).await.unwrap();
    publisher.finish();
    while hub.info(&id()).is_some() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let publisher = hub.publish(&other, meta(true)).await.unwrap();
    hub.set_limits(HubLimits { streams: 1, ..HubLimits::default() });
    assert_eq!(hub.publish(&id(), meta(true)).await.unwrap_err(), PublishError::Full);
    assert_eq!(hub.play(&id(), Format::Rtmp, Protocol::Rtmp, peer(), true).await.unwrap_err(), PlayError::Full);
    let totals = hub.totals();
    let once = RefusedTotals { streams: 1, total: 1, of_address: 0 };
    assert_eq!((totals.refused_publishers, totals.refused_players), (once, once));
    drop(publisher);
}

#[tokio::test(start_paused = true)]
async fn an_address_has_so_many_publishers_and_players() {
    let limits = HubLimits { publishers_per_address: 1, players_per_address: 1, ..HubLimits::default() };
    let hub = Hub::new(HubConfig { limits: limits.clone(), ..HubConfig::default() });
    let from = |last| PublisherMeta { peer: ([192, 0, 2, last], 1).into(), ..meta(true) };
    let name = |name| StreamId::parse("live", name).unwrap();
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..3).await;
    assert_eq!(hub.publish(&name("other"), meta(true)).await.unwrap_err(), PublishError::FullForAddress);
    let _other = hub.publish(&name("other"), from(1)).await.unwrap();
    // A takeover is no new one: it is counted where it comes from, and the address that was left may have another.
    let mut moved = hub.publish(&id(), from(1)).await.unwrap();
    send(&mut moved, 3..6).await;
    assert_eq!(hub.publish(&name("third"), from(1)).await.unwrap_err(), PublishError::FullForAddress);
    hub.publish(&name("third"), meta(true)).await.unwrap();

    let first = play(&hub, Format::Flv).await.unwrap();
    assert_eq!(play(&hub, Format::Flv).await.unwrap_err(), PlayError::FullForAddress);
    let elsewhere = ([192, 0, 2, 1], 1).into();
    hub.play(&id(), Format::Flv, Protocol::HttpFlv, elsewhere, false).await.unwrap();
    let totals = hub.totals();
    let refused = |of_address| RefusedTotals { of_address, ..RefusedTotals::default() };
    assert_eq!((totals.refused_publishers, totals.refused_players), (refused(2), refused(1)));
    let trusted = vec![AddressRange::new(peer().ip(), 32).unwrap()];
    hub.set_limits(HubLimits { trusted, ..limits });
    play(&hub, Format::Flv).await.unwrap();
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_every_stream_and_lets_nobody_in() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..3).await;
    let mut player = play(&hub, Format::Flv).await.unwrap();
    hub.shutdown().await;
    assert!(player.ring.changed().await.ended);
    assert_eq!(publisher.cut().await, CutReason::ShuttingDown);
    assert_eq!(hub.publish(&id(), meta(true)).await.unwrap_err(), PublishError::ShuttingDown);
}

#[tokio::test(start_paused = true)]
async fn statistics_say_what_comes_in() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub).await;
    for n in 0..160 {
        send(&mut publisher, n..n + 1).await;
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    let info = hub.info(&id()).unwrap();
    let received = info.received.audio_frames;
    assert!((140..=160).contains(&received), "up to the last second: {received}");
    assert_eq!((info.received.video_frames, info.received.audio_bytes), (received, received * 5));
    assert_eq!(info.gop, Some(Duration::from_secs(1)));
    assert!((24.0..26.5).contains(&info.rates.frame_rate), "{}", info.rates.frame_rate);
}

/// What a request for a format is answered from.
async fn snapshot(hub: &Hub, format: HlsFormat) -> Result<Arc<HlsSnapshot>, PlayError> {
    hub.hls(&id(), format).await?.until(|view| view.snapshot.clone()).await
}

#[tokio::test(start_paused = true)]
async fn the_multivariant_playlist_begins_no_format() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..30).await;
    while hub.info(&id()).is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let text = hub.hls_multivariant(&id()).unwrap().unwrap();
    assert!(String::from_utf8(text.to_vec()).unwrap().contains("cmaf.m3u8\n"));
    publisher.finish();
    while hub.info(&id()).is_some() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(hub.hls_multivariant(&id()).is_err(), "nothing was made that could be kept");
}

#[tokio::test(start_paused = true)]
async fn the_first_viewer_of_cmaf_gets_what_the_gop_cache_has_at_once() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub).await;
    // Keyframes are a second apart, so that a second and a bit is there.
    send(&mut publisher, 0..110).await;
    let mut reader = hub.hls(&id(), HlsFormat::Cmaf).await.unwrap();
    let first = reader.until(|view| Some(view.snapshot.clone())).await.unwrap();
    let playlist = first.map(|s| String::from_utf8(s.playlist.to_vec()).unwrap()).unwrap_or_default();
    assert!(playlist.is_empty(), "the cache has less than a second: {playlist}");
    send(&mut publisher, 110..128).await;
    let playlist = String::from_utf8(snapshot(&hub, HlsFormat::Cmaf).await.unwrap().playlist.to_vec()).unwrap();
    assert_eq!(playlist.matches("#EXTINF:1.000,").count(), 1, "{playlist}");
}

#[tokio::test(start_paused = true)]
async fn whoever_has_begun_to_publish_is_listed_before_the_first_frame() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub).await;
    assert_eq!((hub.on_air().len(), hub.published()), (0, vec![id()]));
    assert!(hub.kick_publisher(&id()).await);
    assert_eq!(publisher.cut().await, CutReason::Kicked);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_after_the_end_is_of_the_last_stream_of_that_name() {
    let limits = HubLimits { streams: 1, ..HubLimits::default() };
    let config = HubConfig { limits, hls_segment: Duration::from_secs(1), ..HubConfig::default() };
    let hub = Hub::new(config);
    let mut kept = Vec::new();
    // Of different lengths: both may begin within a millisecond, and so with the same names.
    for (watched, pictures) in [(true, 60), (true, 70), (false, 60)] {
        let mut publisher = begin(&hub).await;
        send(&mut publisher, 0..30).await;
        if watched {
            let asked = tokio::spawn({
                let hub = hub.clone();
                async move { snapshot(&hub, HlsFormat::Ts).await }
            });
            tokio::time::sleep(Duration::from_millis(10)).await;
            send(&mut publisher, 30..pictures).await;
            assert!(!asked.await.unwrap().unwrap().ended);
        }
        while hub.info(&id()).is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        publisher.finish();
        while hub.info(&id()).is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let last = snapshot(&hub, HlsFormat::Ts).await;
        kept.push(last.ok().map(|last| String::from_utf8(last.playlist.to_vec()).unwrap()));
    }
    assert!(kept[0].is_some() && kept[1].is_some() && kept[0] != kept[1], "{kept:#?}");
    assert_eq!(kept[2], None, "nobody asked for it");
}

#[tokio::test(start_paused = true)]
async fn hls_begins_with_its_first_request_and_ends_with_the_stream() {
    let hub = Hub::new(HubConfig { hls_segment: Duration::from_secs(1), ..HubConfig::default() });
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..30).await;
    let asked = tokio::spawn({
        let hub = hub.clone();
        async move { snapshot(&hub, HlsFormat::Ts).await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(!asked.is_finished(), "no segment is complete");
    send(&mut publisher, 30..60).await;
    let snapshot_then = asked.await.unwrap().unwrap();
    let playlist = String::from_utf8(snapshot_then.playlist.to_vec()).unwrap();
    assert!(playlist.contains("#EXTINF:1.0"), "{playlist}");
    publisher.finish();
    while hub.info(&id()).is_some() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(snapshot(&hub, HlsFormat::Ts).await.unwrap().ended);
    assert!(hub.hls(&id(), HlsFormat::Cmaf).await.is_err(), "nobody asked for it");
    assert!(hub.hls_multivariant(&id()).unwrap().is_ok());
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(hub.hls(&id(), HlsFormat::Ts).await.unwrap_err(), PlayError::NotOnAir);
}

#[tokio::test(start_paused = true)]
async fn five_thousand_who_wait_for_a_part_are_woken_once_and_share_one_answer() {
    const PLAYERS: usize = 5000;
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..50).await;
    drop(hub.hls(&id(), HlsFormat::Cmaf).await.unwrap());
    // Each fifth picture completes the part of those before it.
    send(&mut publisher, 50..61).await;
    tokio::time::sleep(Duration::from_millis(10)).await; // all of it has been taken
    let now = snapshot(&hub, HlsFormat::Cmaf).await.unwrap();
    let text = String::from_utf8(now.playlist.to_vec()).unwrap();
    let hinted = text.rsplit("TYPE=PART,URI=\"").next().unwrap().trim_end_matches("\"\n");
    let mut numbers = hinted.split(['-', '.']).skip(1);
    let query = format!("_HLS_msn={}&_HLS_part={}", numbers.next().unwrap(), numbers.next().unwrap());
    let (query, part) = (PlaylistQuery::parse(&query).unwrap(), ResourceName::parse(hinted).unwrap());

    let looks = Arc::new(AtomicUsize::new(0));
    let mut players = JoinSet::new();
    for n in 0..PLAYERS {
        let mut reader = hub.hls(&id(), HlsFormat::Cmaf).await.unwrap();
        let looks = Arc::clone(&looks);
        players.spawn(async move {
            let look = |view: &HlsView| {
                looks.fetch_add(1, Relaxed);
                let snapshot = view.snapshot.as_ref().unwrap();
                // Half of them wait for the list, half for the part itself.
                match if n % 2 == 0 { snapshot.playlist(&query) } else { snapshot.resource(part) } {
                    Turn::Now(content) => Some((n % 2, content, Arc::clone(snapshot))),
                    Turn::Wait => None,
                    Turn::Never(why) => panic!("{why}"),
                }
            };
            reader.until(look).await.unwrap()
        });
    }
    while looks.load(Relaxed) < PLAYERS {
        tokio::task::yield_now().await;
    }
    send(&mut publisher, 61..66).await;
    let answers = players.join_all().await;
    assert_eq!(looks.load(Relaxed), 2 * PLAYERS, "each looked when it came, and when the part was there");
    let after = &answers[0].2;
    for (which, content, snapshot) in &answers {
        assert!(Arc::ptr_eq(snapshot, after), "the list was written once");
        let first = answers.iter().find(|other| other.0 == *which).unwrap();
        let pieces = content.pieces().iter().zip(first.1.pieces());
        assert!(
            !content.is_empty() && pieces.into_iter().all(|(one, other)| one.as_ptr() == other.as_ptr()),
            "no copy"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn hls_that_nobody_asks_for_pauses_and_begins_anew_with_rising_numbers() {
    let hub = Hub::new(HubConfig { hls_segment: Duration::from_secs(1), ..HubConfig::default() });
    let mut publisher = begin(&hub).await;
    let mut pace = async |from: i64, to: i64| {
        for n in from..to {
            send(&mut publisher, n..n + 1).await;
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    };
    pace(0, 30).await;
    drop(hub.hls(&id(), HlsFormat::Ts).await.unwrap());
    pace(30, 90).await;
    let first = snapshot(&hub, HlsFormat::Ts).await.unwrap();
    pace(90, 1800).await;
    let (again, ()) = tokio::join!(snapshot(&hub, HlsFormat::Ts), pace(1800, 1850));
    let again = again.unwrap();
    assert!(again.newest > first.newest);
    assert!(again.newest < first.newest + 70, "it paused in between");
}

#[tokio::test(start_paused = true)]
async fn a_player_that_does_not_wait_is_answered_when_the_publisher_leaves_before_its_first_frame() {
    let hub = Hub::new(HubConfig::default());
    let publisher = hub.publish(&id(), meta(true)).await.unwrap();
    let asked = tokio::spawn({
        let hub = hub.clone();
        async move { play(&hub, Format::Flv).await.map(drop) }
    });
    tokio::task::yield_now().await;
    drop(publisher);
    assert_eq!(asked.await.unwrap(), Err(PlayError::NotOnAir));
    let silent = hub.publish(&id(), meta(true)).await.unwrap();
    assert_eq!(
        play(&hub, Format::Flv).await.unwrap_err(),
        PlayError::NotOnAir,
        "nor does a silent one keep it for ever"
    );
    assert_eq!(hub.player_count(), 0);
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn a_takeover_needs_no_second_place() {
    let hub =
        Hub::new(HubConfig { limits: HubLimits { publishers: 1, ..HubLimits::default() }, ..HubConfig::default() });
    let mut ghost = begin(&hub).await;
    send(&mut ghost, 0..3).await;
    let _owner = hub.publish(&id(), meta(true)).await.unwrap();
    assert_eq!(ghost.cut().await, CutReason::TakenOver);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_may_return_keeps_its_place() {
    let hub =
        Hub::new(HubConfig { limits: HubLimits { publishers: 1, ..HubLimits::default() }, ..HubConfig::default() });
    let other = StreamId::parse("live", "other").unwrap();
    let mut lost = begin(&hub).await;
    send(&mut lost, 0..30).await;
    let _player = play(&hub, Format::Flv).await.unwrap();
    drop(lost);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(hub.info(&id()).unwrap().state, StreamState::Reconnecting);
    assert_eq!(hub.publish(&other, meta(true)).await.unwrap_err(), PublishError::Full);
    let returned = begin(&hub).await;
    assert_eq!(hub.publish(&other, meta(true)).await.unwrap_err(), PublishError::Full);
    drop(returned);
    while hub.info(&id()).is_some() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    hub.publish(&other, meta(true)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_returns_within_a_gop_is_not_seen_before_its_keyframe() {
    let hub = Hub::new(HubConfig::default());
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..10).await;
    let mut player = play(&hub, Format::Flv).await.unwrap();
    drop(publisher);
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 20..30).await;
    let mut out = Vec::new();
    while out.len() < 20 + 10 + 5 {
        out.clear();
        player.ring.changed().await;
        player.ring.read(player.ring.start(), usize::MAX, &mut out);
    }
    let returned: Vec<_> = out[20..].iter().map(|p| p.kind).filter(|k| *k != ItemKind::Audio).collect();
    assert_eq!(returned[0], ItemKind::Keyframe);
    assert_eq!(returned.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_silent_publisher_does_not_hold_a_name_that_anyone_may_use() {
    let hub = Hub::new(HubConfig::default());
    let mut squatter = hub.publish(&id(), meta(false)).await.unwrap();
    assert_eq!(hub.publish(&id(), meta(false)).await.unwrap_err(), PublishError::Busy);
    tokio::time::sleep(Duration::from_secs(6)).await;
    hub.publish(&id(), meta(false)).await.unwrap();
    assert_eq!(squatter.cut().await, CutReason::TakenOver);
}

#[tokio::test(start_paused = true)]
async fn players_that_only_wait_leave_room_for_publishers() {
    let hub = Hub::new(HubConfig { limits: HubLimits { streams: 2, ..HubLimits::default() }, ..HubConfig::default() });
    for name in ["a", "b"] {
        let hub = hub.clone();
        let id = StreamId::parse("live", name).unwrap();
        tokio::spawn(async move { hub.play(&id, Format::Rtmp, Protocol::Rtmp, peer(), true).await.map(drop) });
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    begin(&hub).await;
}

#[tokio::test(start_paused = true)]
async fn hls_viewers_take_no_place_and_are_told_from_those_of_an_earlier_stream() {
    let hub = Hub::new(HubConfig { limits: HubLimits { players: 1, ..HubLimits::default() }, ..HubConfig::default() });
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..3).await;
    let viewer = hub.attach(&id(), Protocol::Hls, peer()).unwrap();
    play(&hub, Format::Flv).await.unwrap();
    assert!(hub.is_attached(&id(), &viewer));
    publisher.finish();
    while hub.info(&id()).is_some() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    begin(&hub).await;
    assert!(!hub.is_attached(&id(), &viewer));
}

/// The end that is told next, after a stream came on air.
async fn on_air_and_ended(events: &mut Events) -> Arc<Ended> {
    let Some(Event::OnAir(begun)) = events.next().await else { panic!("not on air") };
    let Some(Event::Ended(ended)) = events.next().await else { panic!("not ended") };
    assert_eq!((&begun.id, begun.started_at), (&ended.stream.id, ended.stream.started_at));
    ended
}

#[tokio::test(start_paused = true)]
async fn whoever_listens_is_told_of_each_stream_once_and_why_it_ended() {
    let hub = Hub::new(HubConfig::default());
    let mut events = hub.events();
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..60).await;
    // A publisher that is lost and returns is the same broadcast.
    drop(publisher);
    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..60).await;
    let _player = play(&hub, Format::Flv).await.unwrap();
    publisher.finish();
    let ended = on_air_and_ended(&mut events).await;
    assert_eq!(ended.reason, EndReason::Finished);
    assert_eq!((ended.stream.received.video_frames, ended.stream.received.audio_frames), (120, 120));
    assert_eq!((ended.stream.received.video_bytes, ended.stream.viewers), (600, 1));
    assert_eq!(ended.stream.video.as_ref().unwrap().config.codec_string(), "avc1.64001f");
    assert!(hub.on_air().is_empty(), "who is told finds it gone");

    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..30).await;
    drop(publisher);
    assert_eq!(on_air_and_ended(&mut events).await.reason, EndReason::Lost);

    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..30).await;
    assert!(hub.kick_publisher(&id()).await);
    assert_eq!(on_air_and_ended(&mut events).await.reason, EndReason::Kicked);

    let mut publisher = begin(&hub).await;
    send(&mut publisher, 0..30).await;
    hub.shutdown().await;
    assert_eq!(on_air_and_ended(&mut events).await.reason, EndReason::ShuttingDown);
    assert!(events.try_next().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_came_on_air_does_not_end() {
    let hub = Hub::new(HubConfig::default());
    let mut events = hub.events();
    begin(&hub).await.finish();
    hub.shutdown().await;
    assert!(events.try_next().is_none());
}
