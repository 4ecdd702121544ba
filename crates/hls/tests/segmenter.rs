//! Where segments begin, with a container that only counts.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_hls::segmenter::GOPS_KEPT;
use millrace_hls::{
    Chunk, Container, ContainerError, Cut, Error, HlsConfig, HlsFormat, LONGEST_SEGMENT, MAX_SEGMENT_BYTES, Segment,
    Segmenter,
};
use millrace_media::{AacConfig, AudioConfig, AvcConfig, Frame, Mp3Config, Timestamp, TrackKind, Unit, VideoConfig};
use millrace_mpegts::Error as TsError;
use proptest::prelude::*;

/// Writes `v`, `k` (keyframe) or `a` for each frame; refuses MP3, and frames that begin with 0xff.
#[derive(Debug, Default)]
struct Counter {
    text: Vec<u8>,
    len: usize,
}

impl Container for Counter {
    const FORMAT: HlsFormat = HlsFormat::Ts;

    fn set_video(&mut self, _: &Arc<VideoConfig>) -> Result<(), ContainerError> {
        Ok(())
    }

    fn set_audio(&mut self, config: &Arc<AudioConfig>) -> Result<(), ContainerError> {
        match &**config {
            AudioConfig::Mp3(_) => {
                Err(TsError::UnsupportedCodec { codec: "MP3", why: "for the test".to_owned() }.into())
            }
            _ => Ok(()),
        }
    }

    fn begin_segment(&mut self, _: bool) {
        assert!(self.text.is_empty());
    }

    fn push(&mut self, frame: &Frame) -> Result<(), ContainerError> {
        if frame.payload.first() == Some(&0xff) {
            return Err(ContainerError::NoTrack);
        }
        self.len += frame.payload.len();
        self.text.push(match (frame.track, frame.keyframe) {
            (TrackKind::Audio, _) => b'a',
            (TrackKind::Video, true) => b'k',
            (TrackKind::Video, false) => b'v',
        });
        Ok(())
    }

    fn part_len(&self) -> usize {
        self.len
    }

    fn end_part(&mut self, _: Option<&Frame>) -> Option<Chunk> {
        self.len = 0;
        let text = std::mem::take(&mut self.text);
        (!text.is_empty()).then(|| Chunk::Ts(text.into()))
    }
}

fn segmenter(seconds: u64) -> Segmenter<Counter> {
    let config = HlsConfig { segment: Duration::from_secs(seconds), ..HlsConfig::default() };
    Segmenter::new(&config, Counter::default())
}

fn avc(level: u8) -> Unit {
    let record = vec![1, 100, 0, level, 0xff, 0xe1, 0, 2, 0x67, 0x64, 1, 0, 1, 0x68];
    Unit::VideoConfig(Arc::new(VideoConfig::Avc(AvcConfig::parse(record.into()).unwrap())))
}

fn aac(config: [u8; 2]) -> Unit {
    Unit::AudioConfig(Arc::new(AudioConfig::Aac(AacConfig::parse(Bytes::copy_from_slice(&config)).unwrap())))
}

const STEREO: [u8; 2] = [0x11, 0x90];
const MONO: [u8; 2] = [0x11, 0x88];

fn frame(track: TrackKind, keyframe: bool, ms: i64) -> Unit {
    let at = Timestamp::from_millis(ms);
    Unit::Frame(Frame { track, keyframe, dts: at, pts: at, payload: Bytes::from_static(&[1; 100]) })
}

fn picture(ms: i64, keyframe: bool) -> Unit {
    frame(TrackKind::Video, keyframe, ms)
}

fn sound(ms: i64) -> Unit {
    frame(TrackKind::Audio, true, ms)
}

/// 25 pictures a second from `from` to `to`, keyframes at the given times.
fn pictures(from: i64, to: i64, keyframes: &[i64]) -> Vec<Unit> {
    (from..to).step_by(40).map(|ms| picture(ms, keyframes.contains(&ms))).collect()
}

fn every(ms: i64, until: i64) -> Vec<i64> {
    (0..until).step_by(usize::try_from(ms).unwrap()).collect()
}

fn run(s: &mut Segmenter<Counter>, units: impl IntoIterator<Item = Unit>) -> Vec<Segment> {
    units.into_iter().filter_map(|u| push(s, &u)).collect()
}

fn push(s: &mut Segmenter<Counter>, unit: &Unit) -> Option<Segment> {
    match s.push(unit).unwrap() {
        Cut::Segment(segment) => Some(segment),
        Cut::None => None,
        Cut::Part => panic!("there are no parts"),
    }
}

fn text(segment: &Segment) -> Vec<u8> {
    segment.content().to_vec()
}

fn millis(segments: &[Segment]) -> Vec<u128> {
    segments.iter().map(|s| s.duration.as_millis()).collect()
}

#[test]
fn segments_begin_at_the_first_keyframe_after_the_duration() {
    for (gop, expected, target) in
        [(2000, 2000, 2), (1000, 2000, 2), (800, 2400, 3), (5000, 5000, 5), (10_000, 10_000, 11)]
    {
        let mut s = segmenter(2);
        s.push(&avc(31)).unwrap();
        let segments = run(&mut s, pictures(0, 60_000, &every(gop, 60_000)));
        assert!(segments.len() >= 5);
        assert!(
            segments.iter().all(|s| s.duration.as_millis() == expected && s.independent && !s.discontinuity),
            "{gop}"
        );
        assert!(segments.iter().all(|s| text(s)[0] == b'k'));
        assert_eq!(s.target_duration(), Some(Duration::from_secs(target)));
    }
}

#[test]
fn sound_alone_is_cut_by_duration() {
    let mut s = segmenter(2);
    s.push(&aac(STEREO)).unwrap();
    let segments = run(&mut s, (0..500).map(|n| sound(n * 1024 / 48)));
    assert_eq!(millis(&segments), [2005, 2005, 2006, 2005, 2005]);
    assert!(segments.iter().all(|s| s.independent && s.pictures == 0));
    assert_eq!(s.target_duration(), Some(Duration::from_secs(2)));
}

#[test]
fn pictures_announced_but_never_sent_do_not_stop_the_sound() {
    let mut s = segmenter(2);
    run(&mut s, [avc(31), aac(STEREO)]);
    let segments = run(&mut s, (0..1000).map(|n| sound(n * 20)));
    assert_eq!(millis(&segments), [2000, 2000, 2000], "after a wait for the keyframe");
    assert!(segments[0].start.as_millis() > i64::try_from(LONGEST_SEGMENT.as_millis()).unwrap());
}

#[test]
fn irregular_keyframes_keep_segments_independent_and_the_target() {
    let mut s = segmenter(2);
    s.push(&avc(31)).unwrap();
    // A keyframe every two seconds, and at scene cuts, from which the encoder counts anew.
    let keyframes = [0, 2000, 4000, 5800, 7800, 9800, 10_200, 12_200, 14_200, 14_600, 15_600, 17_600, 19_600];
    let segments = run(&mut s, pictures(0, 20_000, &keyframes));
    assert!(segments.iter().all(|s| s.independent), "{:?}", millis(&segments));
    assert_eq!(s.target_duration(), Some(Duration::from_secs(2)));
    assert!(segments.iter().all(|s| s.duration <= Duration::from_millis(2499)));
}

#[test]
fn without_keyframes_it_is_cut_before_the_target_is_exceeded() {
    let mut s = segmenter(2);
    s.push(&avc(31)).unwrap();
    let mut segments = run(&mut s, pictures(0, 10_000, &[0, 2000, 4000]));
    segments.extend(run(&mut s, pictures(10_000, 16_000, &[10_800, 12_800, 14_800])));
    let independent: Vec<_> = segments.iter().map(|s| s.independent).collect();
    // Cut at 6.48 and 8.96 for lack of a keyframe; at 10.8 there is one again.
    assert_eq!(millis(&segments), [2000, 2000, 2480, 2480, 1840, 2000, 2000]);
    assert_eq!(independent, [true, true, true, false, false, true, true]);
    assert!(segments.iter().all(|s| !s.discontinuity));
}

#[test]
fn a_stream_without_any_keyframe_begins_after_a_wait() {
    let mut s = segmenter(2);
    s.push(&avc(31)).unwrap();
    let segments = run(&mut s, pictures(0, 40_000, &[]));
    assert!(segments[0].start.as_millis() > 12_000 && !segments[0].independent);
    assert_eq!(s.skipped_frames(), 301);
    assert!(segments[0].duration <= LONGEST_SEGMENT);
}

#[test]
fn the_known_keyframe_distance_sets_the_target() {
    let config = HlsConfig { longest_gop: Some(Duration::from_secs(4)), ..HlsConfig::default() };
    let mut s = Segmenter::new(&config, Counter::default());
    s.push(&avc(31)).unwrap();
    let segments = run(&mut s, pictures(0, 20_000, &[0, 2000, 6000, 10_000, 14_000, 18_000]));
    assert_eq!(millis(&segments), [2000, 4000, 4000, 4000, 4000]);
    assert_eq!(s.target_duration(), Some(Duration::from_secs(4)));
}

#[test]
fn the_first_segment_has_a_limit() {
    let limit = i64::try_from(LONGEST_SEGMENT.as_millis()).unwrap();
    let first = |keyframe: i64| {
        let mut s = segmenter(2);
        s.push(&avc(31)).unwrap();
        let units = (0..20_000).step_by(20).map(|ms| picture(ms, ms == 0 || ms == keyframe));
        run(&mut s, units).remove(0).duration.as_millis()
    };
    assert_eq!(first(limit - 20), 11_980);
    assert_eq!(first(limit), 12_000);
    assert_eq!(first(limit + 20), 12_000, "cut without a keyframe");
}

#[test]
fn a_hole_is_in_no_segment() {
    let mut s = segmenter(2);
    s.push(&avc(31)).unwrap();
    let mut segments = run(&mut s, pictures(0, 5000, &every(2000, 5000)));
    segments.extend(run(&mut s, pictures(9000, 15_000, &[9000, 11_000, 13_000])));
    assert_eq!(millis(&segments), [2000, 2000, 1000, 2000, 2000]);
    assert_eq!(segments.iter().map(|s| s.discontinuity).collect::<Vec<_>>(), [false, false, false, true, false]);
}

/// Pictures with a keyframe every two seconds, and sound `apart` ms later than those that it comes with; it comes in
/// bursts of so many frames.
fn apart(from: i64, to: i64, apart: i64, burst: usize) -> Vec<Unit> {
    let times: Vec<i64> = (from..to).step_by(20).collect();
    let burst_of = |times: &[i64]| {
        let pictures = times.iter().filter(|ms| *ms % 40 == 0).map(|ms| picture(*ms, ms % 2000 == 0));
        let sounds = times.iter().map(|ms| sound(ms + apart));
        pictures.chain(sounds).collect::<Vec<_>>()
    };
    times.chunks(burst).flat_map(burst_of).collect()
}

#[test]
fn segments_keep_to_the_pictures_however_far_sound_is_from_them() {
    for ms in [-9000, -3000, -300, 0, 300, 3000, 9000] {
        for burst in [2, 50] {
            let mut s = segmenter(2);
            run(&mut s, [avc(31), aac(STEREO)]);
            let mut segments = run(&mut s, apart(20_000, 40_000, ms, burst));
            segments.extend(s.interrupt());
            segments.extend(run(&mut s, apart(50_000, 60_000, ms, burst)));
            let lengths = millis(&segments);
            assert_eq!(lengths, vec![2000; lengths.len()], "{ms} ms apart");
            assert!(lengths.len() == 14 && segments.iter().all(|s| s.independent && text(s).contains(&b'a')));
            let marks: Vec<_> = (0..).zip(&segments).filter(|(_, s)| s.discontinuity).map(|(n, _)| n).collect();
            assert_eq!(marks, [10], "{ms} ms apart: where it was interrupted, and nowhere else");
        }
    }
}

#[test]
fn where_pictures_fail_to_come_sound_that_is_far_from_them_makes_the_segments() {
    for ms in [-9000, -3000, 0, 3000, 9000] {
        let mut s = segmenter(2);
        run(&mut s, [avc(31), aac(STEREO)]);
        let mut segments = run(&mut s, apart(20_000, 25_000, ms, 2));
        segments.extend(run(&mut s, (25_000..40_000).step_by(20).map(|at| sound(at + ms))));
        segments.extend(run(&mut s, apart(40_000, 50_000, ms, 2)));
        assert!(segments.iter().all(|s| !s.discontinuity), "{ms} ms apart");
        assert!(segments.len() > 12 && segments.iter().all(|s| s.duration.as_millis() <= 2499), "{ms} ms apart");
        let (first, last) = (segments[0].start, segments[segments.len() - 1].end());
        assert_eq!(last.signed_nanos_since(first) / 1_000_000, 28_000, "{ms} ms apart: no time is lost");
    }
}

#[test]
fn sound_that_began_a_segment_before_it_was_known_to_be_ahead_gives_way_to_the_pictures() {
    let mut s = segmenter(2);
    run(&mut s, [avc(31), aac(STEREO)]);
    run(&mut s, apart(0, 3000, 4000, 2));
    s.interrupt();
    let mut segments = run(&mut s, (3000..9000).step_by(20).map(|ms| sound(ms + 4000)));
    segments.extend(run(&mut s, apart(10_000, 15_000, 4000, 2)));
    let marks: Vec<_> = segments.iter().map(|s| (s.discontinuity, s.pictures > 0)).collect();
    assert_eq!(marks, [(true, false), (false, false), (true, true), (false, true)]);
    assert_eq!(millis(&segments[2..]), [2000, 2000]);
}

#[test]
fn a_returning_publisher_is_a_discontinuity_that_begins_with_a_keyframe() {
    let mut s = segmenter(2);
    run(&mut s, [avc(31), aac(STEREO)]);
    run(&mut s, pictures(0, 3000, &every(2000, 3000)));
    let ended = push(&mut s, &Unit::Discontinuity).unwrap();
    assert_eq!((ended.duration.as_millis(), ended.pictures), (1000, 25));
    assert!(push(&mut s, &Unit::Discontinuity).is_none(), "nothing is open");
    let mut units = vec![avc(31), aac(STEREO), sound(6000), picture(6010, false)];
    units.extend(pictures(6050, 9000, &[6050, 8050]));
    let segments = run(&mut s, units);
    assert!(segments[0].discontinuity && segments[0].independent);
    assert_eq!((segments[0].start.as_millis(), segments[0].duration.as_millis()), (6050, 2000));
    assert_eq!(s.skipped_frames(), 2);
}

#[test]
fn a_pause_may_be_followed_by_a_replay() {
    let mut s = segmenter(2);
    s.push(&avc(31)).unwrap();
    run(&mut s, pictures(0, 3000, &every(2000, 3000)));
    assert!(s.interrupt().is_some());
    assert!(s.interrupt().is_none());
    let segments = run(&mut s, pictures(2000, 5000, &[2000, 4000]));
    assert_eq!((segments[0].start.as_millis(), segments[0].discontinuity), (2000, true));
}

#[test]
fn a_changed_configuration_begins_a_segment_at_the_next_keyframe() {
    let mut s = segmenter(2);
    run(&mut s, [avc(31), aac(STEREO)]);
    let mut units = vec![picture(0, true), sound(0), avc(31), aac(STEREO), aac(MONO)];
    units.extend((1..50).flat_map(|n| [picture(n * 20, false), sound(n * 20)]));
    units.extend([picture(1000, true), sound(1000), avc(40), picture(1020, true), sound(1020), picture(3100, true)]);
    let segments = run(&mut s, units);
    assert_eq!(millis(&segments), [1000, 20, 2080]);
    assert_eq!(segments.iter().map(|s| s.discontinuity).collect::<Vec<_>>(), [false, true, true]);
    assert!(text(&segments[0]).starts_with(b"kavv"), "sound of the new configuration waits");
    assert_eq!(text(&segments[1]), b"ka");
}

#[test]
fn sound_that_comes_later_waits_for_a_keyframe_where_the_form_needs_it() {
    let mut s = segmenter(2);
    let mut units = vec![avc(31), picture(0, true), aac(STEREO), sound(0), picture(40, false), sound(40)];
    units.extend([picture(2000, true), sound(2000), picture(2040, false), picture(4000, true)]);
    let segments = run(&mut s, units);
    assert_eq!(segments.iter().map(text).collect::<Vec<_>>(), [&b"kv"[..], b"kav"]);
    assert!(segments[1].discontinuity);
}

#[test]
fn a_changed_configuration_of_sound_alone_takes_effect_at_once() {
    let mut s = segmenter(2);
    let mut units = vec![aac(STEREO)];
    units.extend((0..50).map(|n| sound(n * 20)));
    units.push(aac(MONO));
    units.extend((50..200).map(|n| sound(n * 20)));
    let segments = run(&mut s, units);
    assert_eq!(millis(&segments), [1000, 2000]);
    assert!(segments[1].discontinuity);
}

#[test]
fn a_codec_that_does_not_fit_is_refused_and_left_out() {
    let mut s = segmenter(2);
    s.push(&avc(31)).unwrap();
    let mp3 = Mp3Config { sample_rate: 44_100, channels: 2, samples_per_frame: 1152, kbit_s: 128 };
    let e = s.push(&Unit::AudioConfig(Arc::new(AudioConfig::Mp3(mp3)))).unwrap_err();
    assert!(matches!(e, Error::Unsupported(_)));
    assert!(e.to_string().contains("cannot carry MP3"), "{e}");
    let segments = run(&mut s, (0..150).flat_map(|n| [picture(n * 40, n % 50 == 0), sound(n * 40)]));
    assert!(segments.iter().all(|s| !text(s).contains(&b'a')));
}

#[test]
fn malformed_frames_are_left_out_and_do_not_pass_for_keyframes() {
    let mut s = segmenter(2);
    s.push(&avc(31)).unwrap();
    let at = Timestamp::ZERO;
    let broken = Frame { track: TrackKind::Video, keyframe: true, dts: at, pts: at, payload: vec![0xff].into() };
    s.push(&Unit::Frame(broken.clone())).unwrap();
    let segments = run(&mut s, pictures(40, 5000, &[2000, 4000]));
    assert_eq!(segments.iter().map(|s| s.independent).collect::<Vec<_>>(), [false, true]);
    assert_eq!(s.skipped_frames(), 1);
    let mut s = segmenter(2);
    s.push(&avc(31)).unwrap();
    s.push(&Unit::Frame(broken)).unwrap();
    assert!(s.interrupt().is_none(), "a segment without content is none");
}

#[test]
fn a_segment_has_a_limit_in_bytes() {
    let cut = |total: usize| {
        let mut s = segmenter(2);
        s.push(&avc(31)).unwrap();
        let big = |ms, keyframe, len: usize| {
            let at = Timestamp::from_millis(ms);
            Unit::Frame(Frame { track: TrackKind::Video, keyframe, dts: at, pts: at, payload: vec![1; len].into() })
        };
        s.push(&big(0, true, 100)).unwrap();
        push(&mut s, &big(40, false, total - 100)).is_some()
    };
    assert!(!cut(MAX_SEGMENT_BYTES));
    assert!(cut(MAX_SEGMENT_BYTES + 1));
}

#[test]
fn an_old_long_distance_is_forgotten() {
    let mut s = segmenter(2);
    s.push(&avc(31)).unwrap();
    let mut keyframes = vec![0, 2000, 4400];
    keyframes.extend((5400..40_000).step_by(1000));
    let segments = run(&mut s, pictures(0, 40_000, &keyframes));
    let lengths = millis(&segments);
    assert_eq!(lengths[..4], [2000, 2400, 1000, 1000], "careful while the long one is remembered");
    assert_eq!(lengths[GOPS_KEPT + 2..], vec![2000; lengths.len() - GOPS_KEPT - 2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever comes: the target never changes and is never exceeded, every frame is in one segment
    /// in its order, and time between segments without a discontinuity adds up.
    #[test]
    fn promises_hold_for_any_stream(
        steps in proptest::collection::vec((prop_oneof![8 => 1i64..120, 1 => 100i64..3000, 1 => 0i64..9000], any::<bool>(), 0u8..60), 50..600),
        segment in 1u64..6,
        skew in -80i64..80,
    ) {
        let mut s = segmenter(segment);
        run(&mut s, [avc(31), aac(STEREO)]);
        let (mut ms, mut segments, mut target, mut given) = (100, vec![], None, 0);
        for (step, audio, kind) in steps {
            ms += step;
            let unit = match kind {
                0 => Unit::Discontinuity,
                _ if audio => sound(ms + skew),
                1..=3 => picture(ms, true),
                _ => picture(ms, false),
            };
            given += u64::from(matches!(unit, Unit::Frame(_)));
            segments.extend(push(&mut s, &unit));
            if let Some(target) = target {
                prop_assert_eq!(s.target_duration(), Some(target));
            }
            target = s.target_duration();
        }
        segments.extend(s.interrupt());
        let held: u64 = segments.iter().map(|s| s.content().len() as u64).sum();
        prop_assert_eq!(held + s.skipped_frames(), given);
        let target = s.target_duration().unwrap_or_default();
        for s in &segments {
            prop_assert!((s.duration.as_millis() + 500) / 1000 <= u128::from(target.as_secs()), "{:?} {:?}", s, target);
            prop_assert!(s.duration >= Duration::from_millis(1) && !s.content().is_empty());
            let first_picture = text(s).into_iter().find(|b| *b != b'a');
            prop_assert_eq!(s.independent, first_picture != Some(b'v'));
        }
        for pair in segments.windows(2).filter(|p| !p[1].discontinuity) {
            prop_assert_eq!(pair[0].start + pair[0].duration, pair[1].start);
        }
    }
}
