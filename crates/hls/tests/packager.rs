//! Playlists and snapshots, read by `m3u8-rs`.
#![allow(clippy::unwrap_used)]

#[path = "../../mpegts/tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use m3u8_rs::{MasterPlaylist, MediaPlaylist};
use millrace_hls::{
    Error, HlsConfig, HlsSnapshot, Measured, MediaSegment, Multivariant, ResourceName, TsContainer, Turn,
};
use millrace_media::{
    AacConfig, AudioConfig, AvcConfig, Frame, Metadata, Mp3Config, Timestamp, TrackKind, Unit, VideoConfig,
};
use support::monitor;

/// 2026-01-01T00:00:00Z
const START: u64 = 1_767_225_600_000;

fn wall(ms: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(START.checked_add_signed(ms).unwrap())
}

fn avc() -> Unit {
    const X264: &[u8] = &[
        0x01, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x4d, 0x40, 0x1e, 0xec, 0xa0, 0x50, 0x17, 0xfc, 0xb8,
        0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x07, 0x8b, 0x16, 0xcb, 0x01, 0x00, 0x05, 0x68,
        0xeb, 0xe3, 0xcb, 0x20,
    ];
    Unit::VideoConfig(Arc::new(VideoConfig::Avc(AvcConfig::parse(Bytes::from_static(X264)).unwrap())))
}

fn aac() -> Unit {
    let config = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap();
    Unit::AudioConfig(Arc::new(AudioConfig::Aac(config)))
}

fn picture(ms: i64, keyframe: bool) -> Unit {
    let at = Timestamp::from_millis(ms);
    let mut payload = vec![0, 0, 4, 0, if keyframe { 0x65 } else { 0x41 }];
    payload.resize(1028, 0xa5);
    Unit::Frame(Frame { track: TrackKind::Video, keyframe, dts: at, pts: at, payload: payload.into() })
}

fn sound(ms: i64) -> Unit {
    let at = Timestamp::from_millis(ms);
    Unit::Frame(Frame { track: TrackKind::Audio, keyframe: true, dts: at, pts: at, payload: vec![0x21; 200].into() })
}

type HlsPackager = millrace_hls::HlsPackager<TsContainer>;

fn packager(window: usize) -> HlsPackager {
    let config = HlsConfig { window, ..HlsConfig::default() };
    let mut p = HlsPackager::new(&config, TsContainer::default(), wall(0));
    for unit in [avc(), aac()] {
        p.push(&unit, wall(0)).unwrap();
    }
    p
}

/// What readers get by the unit, where that is something new.
fn push(p: &mut HlsPackager, unit: &Unit, now: SystemTime) -> Option<Arc<HlsSnapshot>> {
    p.push(unit, now).unwrap().then(|| p.publish().unwrap())
}

fn pause(p: &mut HlsPackager) -> Arc<HlsSnapshot> {
    assert!(p.pause());
    p.publish().unwrap()
}

/// What a request for a name gets.
fn get(s: &HlsSnapshot, name: impl std::fmt::Display) -> Result<Arc<MediaSegment>, String> {
    let name = ResourceName::parse(&name.to_string()).ok_or("not a name of HLS")?;
    match s.resource(name) {
        Turn::Now(_) => Ok(s.segments().iter().find(|segment| segment.name == name).unwrap().clone()),
        Turn::Wait => panic!("there are no parts"),
        Turn::Never(why) => Err(why.to_string()),
    }
}

const EXPIRED: &str = "the segment has left the live window; reload the playlist";
const UNKNOWN: &str = "the stream has no such segment";

/// Sends 25 pictures a second with a keyframe every two, and sound, as they come; returns the
/// snapshots.
fn live(p: &mut HlsPackager, from: i64, to: i64) -> Vec<Arc<HlsSnapshot>> {
    let mut snapshots = vec![];
    for ms in (from..to).step_by(40) {
        snapshots.extend(push(p, &picture(ms, (ms - from) % 2000 == 0), wall(ms)));
        snapshots.extend(push(p, &sound(ms), wall(ms)));
        snapshots.extend(push(p, &sound(ms + 20), wall(ms + 20)));
    }
    snapshots
}

fn media(s: &HlsSnapshot) -> MediaPlaylist {
    m3u8_rs::parse_media_playlist_res(&s.playlist.to_vec()).unwrap()
}

fn multivariant_text(tracks: &[Unit], metadata: &Metadata, measured: &[Measured]) -> String {
    let (mut video, mut audio) = (None, None);
    for track in tracks {
        match track {
            Unit::VideoConfig(config) => video = Some(config),
            Unit::AudioConfig(config) => audio = Some(config),
            _ => {}
        }
    }
    let text = Multivariant { name: "movie", metadata, video, audio, measured }.render().unwrap();
    String::from_utf8(text.to_vec()).unwrap()
}

fn multivariant(bytes: &[u8]) -> MasterPlaylist {
    m3u8_rs::parse_master_playlist_res(bytes).unwrap()
}

#[test]
fn the_first_playlist_to_the_letter() {
    let s = live(&mut packager(6), 0, 2080).remove(0);
    let text = String::from_utf8(s.playlist.to_vec()).unwrap();
    assert_eq!(
        text,
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:31536000\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:13184\n#EXT-X-INDEPENDENT-SEGMENTS\n\
         #EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z\n#EXTINF:2.000,\n019b76daa800-31536000.ts\n"
    );
}

#[test]
fn the_multivariant_playlist_to_the_letter() {
    let s = live(&mut packager(6), 0, 2080).remove(0);
    let bits = s.segments()[0].content.len() * 8 / 2;
    let said = format!(
        "#EXT-X-STREAM-INF:BANDWIDTH={bits},AVERAGE-BANDWIDTH={bits},CODECS=\"avc1.4d401e,mp4a.40.2\",\
         RESOLUTION=640x360,FRAME-RATE=25.000\n"
    );
    let text = multivariant_text(&[avc(), aac()], &Metadata::default(), &[s.measured]);
    assert_eq!(text, format!("#EXTM3U\n#EXT-X-VERSION:3\n{said}movie/cmaf.m3u8\n{said}movie/ts.m3u8\n"));
}

#[test]
fn each_stream_is_offered_in_what_can_carry_it_the_better_first() {
    let uris = |tracks: &[Unit]| -> Vec<_> {
        let list = multivariant(multivariant_text(tracks, &Metadata::default(), &[]).as_bytes());
        list.variants.into_iter().map(|v| (v.uri, v.codecs.unwrap())).collect()
    };
    let named =
        |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
    let (cmaf, ts) = ("movie/cmaf.m3u8", "movie/ts.m3u8");
    assert_eq!(uris(&[aac()]), named(&[(cmaf, "mp4a.40.2"), (ts, "mp4a.40.2")]));
    let mp3 = Mp3Config { sample_rate: 44_100, channels: 2, samples_per_frame: 1152, kbit_s: 128 };
    let mp3 = Unit::AudioConfig(Arc::new(AudioConfig::Mp3(mp3)));
    assert_eq!(uris(&[avc(), mp3]), named(&[(ts, "avc1.4d401e,mp4a.40.34"), (cmaf, "avc1.4d401e,mp4a.6B")]));
}

#[test]
fn the_window_moves_and_what_left_it_can_still_be_had() {
    let mut p = packager(3);
    let snapshots = live(&mut p, 0, 40_040);
    assert_eq!(snapshots.len(), 20);
    for (n, s) in snapshots.iter().enumerate() {
        let list = media(s);
        let first = list.media_sequence;
        assert_eq!(list.segments.len(), (n + 1).min(3));
        assert_eq!(first + list.segments.len() as u64 - 1, s.newest);
        assert_eq!(list.target_duration, 2);
        assert_eq!(list.discontinuity_sequence, 31_536_000 % 65_536, "no discontinuity ever");
        for (i, segment) in list.segments.iter().enumerate() {
            let found = get(s, &segment.uri).unwrap();
            assert_eq!(found.sequence, first + i as u64);
            assert!((f64::from(segment.duration) - found.duration.as_secs_f64()).abs() < 0.001);
            let date = segment.program_date_time.unwrap().timestamp_millis();
            assert_eq!(date, START as i64 + (found.sequence - 31_536_000) as i64 * 2000);
        }
    }
    // A player that read the playlist as a segment was about to leave it has the time of that
    // playlist and the segment to fetch it: four segments' here.
    let last = snapshots.last().unwrap();
    assert_eq!(last.segments().len(), 3 + 4);
    let name = |n: u64| format!("019b76daa800-{n}.ts");
    assert!(get(last, name(last.newest - 6)).is_ok());
    assert_eq!(get(last, name(last.newest - 7)).unwrap_err(), EXPIRED);
    assert_eq!(get(last, name(last.newest + 1)).unwrap_err(), UNKNOWN);
}

#[test]
fn names_that_are_not_ours_are_told_apart() {
    let s = live(&mut packager(6), 0, 2080).remove(0);
    assert!(get(&s, "019b76daa800-31536000.ts").is_ok());
    assert_eq!(get(&s, "019b00000000-31530000.ts").unwrap_err(), EXPIRED);
    for name in [
        ".ts",
        "-.ts",
        "019b76daa800-31536000.m4s",
        "019b76daa800-31536000.0.m4s",
        "019b76daa800-031536000.ts",
        "019b76daa800-+31536000.ts",
        "019B76DAA800-31536000.ts",
        "019c00000000-31536000.ts",
        "019b76daa800-99999999999999999999999.ts",
        "../019b76daa800-31536000.ts",
    ] {
        assert_eq!(get(&s, name).unwrap_err(), UNKNOWN, "{name}");
    }
}

#[test]
fn reconnects_keep_sequences_and_time() {
    let mut p = packager(3);
    live(&mut p, 0, 5000);
    let away = pause(&mut p);
    assert!(!media(&away).end_list);
    assert!((media(&away).segments.last().unwrap().duration - 1.0).abs() < 0.03, "what was there is not lost");
    // Back after three seconds; the wall clock went on.
    p.push(&Unit::Discontinuity, wall(8000)).unwrap();
    for unit in [avc(), aac()] {
        p.push(&unit, wall(8000)).unwrap();
    }
    let back = live(&mut p, 8000, 18_040);
    let flags = |s: &HlsSnapshot| media(s).segments.iter().map(|s| s.discontinuity).collect::<Vec<_>>();
    let sequences =
        |s: &HlsSnapshot| (media(s).media_sequence - 31_536_000, media(s).discontinuity_sequence - 31_536_000 % 65_536);
    assert_eq!((flags(&back[0]), sequences(&back[0])), (vec![false, false, true], (1, 0)));
    assert_eq!((flags(&back[2]), sequences(&back[2])), (vec![true, false, false], (3, 0)));
    assert_eq!((flags(&back[3]), sequences(&back[3])), (vec![false, false, false], (4, 1)));
    let dates: Vec<_> = media(&back[0])
        .segments
        .iter()
        .map(|s| s.program_date_time.unwrap().timestamp_millis() - START as i64)
        .collect();
    assert_eq!(dates, [2000, 4000, 8000]);
}

#[test]
fn after_a_long_pause_nobody_begins_with_what_is_long_past() {
    let back_after = |pause: i64| {
        let mut p = packager(6);
        let before = live(&mut p, 0, 6000).pop().unwrap();
        p.pause();
        let after = live(&mut p, 6000 + pause, 6000 + pause + 2080).remove(0);
        for segment in before.segments() {
            assert!(get(&after, segment.name).is_ok(), "it can still be had");
        }
        let list = media(&after);
        assert!(list.segments.last().unwrap().discontinuity);
        (list.media_sequence - 31_536_000, list.segments.len())
    };
    assert_eq!(back_after(30_000), (0, 4));
    assert_eq!(back_after(30_040), (3, 1));
}

#[test]
fn a_suspended_stream_holds_no_segments_and_goes_on_with_its_numbers() {
    let mut p = packager(6);
    live(&mut p, 0, 3000);
    p.pause();
    let old = live(&mut p, 3000, 6000).pop().unwrap();
    p.suspend();
    assert!(p.publish().is_none());
    let weak = Arc::downgrade(&old.segments()[0]);
    let name = old.segments()[0].name;
    drop(old);
    assert!(weak.upgrade().is_none());
    let again = live(&mut p, 10_000, 12_080).remove(0);
    let list = media(&again);
    assert_eq!((list.media_sequence - 31_536_000, list.segments.len()), (4, 1));
    assert_eq!(list.discontinuity_sequence - 31_536_000 % 65_536, 1);
    assert!(list.segments[0].discontinuity);
    assert_eq!(get(&again, name).unwrap_err(), EXPIRED);
    p.suspend();
    assert!(p.end().is_none());
}

#[test]
fn a_restarted_server_goes_on_with_higher_numbers_and_other_names() {
    let first = live(&mut packager(3), 0, 60_040).pop().unwrap();
    let mut again = HlsPackager::new(&HlsConfig::default(), TsContainer::default(), wall(61_000));
    again.push(&avc(), wall(61_000)).unwrap();
    let mut second = None;
    for ms in (0..4000).step_by(40) {
        second = push(&mut again, &picture(ms, ms % 2000 == 0), wall(61_000 + ms)).or(second);
    }
    let second = second.unwrap();
    assert!(media(&second).media_sequence > first.newest);
    assert!(media(&second).discontinuity_sequence > media(&first).discontinuity_sequence);
    for segment in first.segments() {
        assert_eq!(get(&second, segment.name).unwrap_err(), EXPIRED);
    }
}

#[test]
fn a_replay_before_live_frames_has_the_right_dates() {
    let mut p = packager(6);
    // The cache of keyframe groups comes at once, at 5 s; then it is live.
    let mut snapshots = vec![];
    for ms in (0..5000).step_by(40) {
        snapshots.extend(push(&mut p, &picture(ms, ms % 2000 == 0), wall(5000)));
    }
    for ms in (5000..9000).step_by(40) {
        snapshots.extend(push(&mut p, &picture(ms, ms % 2000 == 0), wall(ms)));
    }
    let last = media(snapshots.last().unwrap());
    let dates: Vec<_> =
        last.segments.iter().map(|s| s.program_date_time.unwrap().timestamp_millis() - START as i64).collect();
    assert_eq!(dates, [0, 2000, 4000, 6000]);
}

#[test]
fn the_end_is_announced_with_the_last_segment() {
    let mut p = packager(6);
    live(&mut p, 0, 5000);
    let end = p.end().unwrap();
    let list = media(&end);
    assert!(list.end_list && end.ended);
    assert_eq!(list.segments.len(), 3);
    assert!(packager(6).end().is_none(), "there is no playlist without segments");
}

#[test]
fn a_segment_without_keyframe_is_not_passed_for_independent() {
    let mut p = packager(3);
    live(&mut p, 0, 4000);
    let mut snapshots = vec![];
    for ms in (4000..9000).step_by(40) {
        snapshots.extend(push(&mut p, &picture(ms, ms == 4000), wall(ms)));
    }
    snapshots.extend(live(&mut p, 9000, 18_000));
    let independent: Vec<_> = snapshots
        .iter()
        .map(|s| String::from_utf8_lossy(&s.playlist.to_vec()).contains("#EXT-X-INDEPENDENT-SEGMENTS\n"))
        .collect();
    let lengths: Vec<_> = snapshots.iter().map(|s| s.segments().last().unwrap().duration.as_millis()).collect();
    assert_eq!(lengths[..4], [2000, 2480, 2480, 2040], "{lengths:?}");
    assert_eq!(independent[..2], [true, true]);
    assert!(independent.len() > 6 && independent[2..].iter().all(|i| !i), "what was taken back is not said again");
}

#[test]
fn bit_rates_before_and_after() {
    let variant = |metadata: &Metadata, measured: &[Measured]| {
        let list = multivariant(multivariant_text(&[avc(), aac()], metadata, measured).as_bytes());
        assert!(list.variants.iter().all(|v| v.bandwidth == list.variants[0].bandwidth), "no reason to change");
        list.variants[0].clone()
    };
    let nothing = Metadata::default();
    let before = variant(&nothing, &[]);
    assert_eq!(before.bandwidth, (640 * 360 * 25 / 10 + 160_000) * 11 / 10, "a tenth of a bit per pixel");
    assert_eq!(before.average_bandwidth, None);
    let declared = Metadata { video_kbit_s: Some(3000.0), audio_kbit_s: Some(128.0), ..Metadata::default() };
    assert_eq!(variant(&declared, &[]).bandwidth, 3_440_800);
    let mut p = packager(6);
    // Two seconds with large pictures among quiet ones make the peak, not the average.
    live(&mut p, 0, 4000);
    for ms in (4000..6000).step_by(40) {
        let mut payload = vec![0, 0, 0x40, 0, if ms == 4000 { 0x65 } else { 0x41 }];
        payload.resize(4 + 0x4000, 0xa5);
        let at = Timestamp::from_millis(ms);
        let frame = Frame { track: TrackKind::Video, keyframe: ms == 4000, dts: at, pts: at, payload: payload.into() };
        p.push(&Unit::Frame(frame), wall(ms)).unwrap();
    }
    let last = live(&mut p, 6000, 16_080).pop().unwrap();
    let after = variant(&declared, &[last.measured]);
    let sizes: Vec<_> = last.segments().iter().map(|s| s.content.len() as u64 * 4).collect();
    assert_eq!(after.bandwidth, sizes.iter().copied().max().unwrap());
    assert_eq!(after.average_bandwidth, Some(sizes.iter().sum::<u64>() / sizes.len() as u64));
    assert!(after.bandwidth > 3 * after.average_bandwidth.unwrap());
    let other = Measured { peak: after.bandwidth + 1, ..Measured::default() };
    assert_eq!(variant(&declared, &[other, last.measured]).bandwidth, after.bandwidth + 1, "the most of both");
}

#[test]
fn sound_alone_has_no_picture_in_its_description() {
    let mut p = HlsPackager::new(&HlsConfig::default(), TsContainer::default(), wall(0));
    p.push(&aac(), wall(0)).unwrap();
    let mut snapshots = vec![];
    for n in 0..500 {
        snapshots.extend(push(&mut p, &sound(n * 1024 / 48), wall(n * 1024 / 48)));
    }
    assert_eq!(snapshots.len(), 5);
    let variant = multivariant(multivariant_text(&[aac()], &Metadata::default(), &[snapshots[4].measured]).as_bytes())
        .variants
        .remove(0);
    assert_eq!((variant.codecs.as_deref(), variant.resolution, variant.frame_rate), (Some("mp4a.40.2"), None, None));
    let joined: Vec<u8> = snapshots[4].segments().iter().flat_map(|s| s.content.to_vec()).collect();
    let report = monitor::check(&joined);
    report.assert_in_time();
    assert_eq!(report.adts_frames(), 470);
}

#[test]
fn a_counted_frame_rate_overrules_a_wrong_one() {
    let mut p = packager(6); // its parameter sets say 25
    let mut last = None;
    for n in 0..200 {
        last = push(&mut p, &picture(n * 20, n % 100 == 0), wall(n * 20)).or(last);
    }
    let variant =
        multivariant(multivariant_text(&[avc(), aac()], &Metadata::default(), &[last.unwrap().measured]).as_bytes())
            .variants
            .remove(0);
    assert_eq!(variant.frame_rate, Some(50.0));
}

#[test]
fn a_codec_that_does_not_fit_is_an_error_with_words() {
    let mut p = packager(6);
    // ER AAC LD
    let config = AacConfig::parse(Bytes::from_static(&[0xb9, 0x90, 0x00])).unwrap();
    let e = p.push(&Unit::AudioConfig(Arc::new(AudioConfig::Aac(config))), wall(0)).unwrap_err();
    assert!(matches!(e, Error::Unsupported(_)));
    let words = e.to_string();
    assert!(words.starts_with("HLS is not available for this stream: MPEG-TS cannot carry AAC"), "{words}");
}

#[test]
fn segments_join_into_one_stream_and_stand_alone() {
    let mut p = packager(20);
    let mut snapshots = live(&mut p, 0, 6000);
    p.push(&Unit::Discontinuity, wall(10_000)).unwrap();
    snapshots.extend(live(&mut p, 10_000, 16_080));
    let last = snapshots.pop().unwrap();
    assert_eq!(last.segments().len(), 6);
    let joined: Vec<u8> = last.segments().iter().flat_map(|s| s.content.to_vec()).collect();
    let report = monitor::check(&joined);
    report.assert_in_time();
    assert_eq!(report.video.len(), 300);
    assert_eq!(report.clocks.iter().filter(|c| c.1).count(), 1);
    for segment in last.segments() {
        let alone = monitor::check(&segment.content.to_vec());
        assert!(alone.video[0].random_access);
        assert_eq!(alone.video.len(), 50);
    }
}
