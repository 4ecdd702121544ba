//! Any frames, read back by another reader of MP4.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use millrace_fmp4::{
    EPOCH, Error, Fragment, Fragmenter, MAX_FRAGMENT_BYTES, MAX_FRAGMENT_SAMPLES, VIDEO_TIMESCALE, init_segment,
};
use millrace_media::{AacConfig, AudioConfig, AvcConfig, Frame, Mp3Config, Timestamp, TrackKind, VideoConfig};
use proptest::prelude::*;
use shiguredo_mp4::demux::Fmp4SegmentDemuxer;

fn avc() -> Arc<VideoConfig> {
    const X264: &[u8] = &[
        0x01, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x4d, 0x40, 0x1e, 0xec, 0xa0, 0x50, 0x17, 0xfc, 0xb8,
        0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x07, 0x8b, 0x16, 0xcb, 0x01, 0x00, 0x05, 0x68,
        0xeb, 0xe3, 0xcb, 0x20,
    ];
    Arc::new(VideoConfig::Avc(AvcConfig::parse(Bytes::from_static(X264)).unwrap()))
}

fn aac(rate: u32) -> Arc<AudioConfig> {
    let config: &'static [u8] = match rate {
        48_000 => &[0x11, 0x90],
        44_100 => &[0x12, 0x10],
        _ => &[0x13, 0x90],
    };
    Arc::new(AudioConfig::Aac(AacConfig::parse(Bytes::from_static(config)).unwrap()))
}

fn picture(dts: Timestamp, pts: Timestamp, keyframe: bool, size: usize) -> Frame {
    let mut payload = u32::try_from(size + 1).unwrap().to_be_bytes().to_vec();
    payload.push(if keyframe { 0x65 } else { 0x41 });
    payload.resize(size + 5, 0xa5);
    Frame { track: TrackKind::Video, keyframe, dts, pts, payload: payload.into() }
}

fn sound(at: Timestamp, size: usize) -> Frame {
    Frame { track: TrackKind::Audio, keyframe: true, dts: at, pts: at, payload: vec![0x21; size].into() }
}

/// A sample as the other reader sees it.
#[derive(Debug, PartialEq)]
struct Sample {
    dts: u64,
    duration: u64,
    composition: i64,
    keyframe: bool,
    payload: Vec<u8>,
}

struct Reader(Fmp4SegmentDemuxer);

impl Reader {
    fn new(init: &[u8]) -> Self {
        let mut demuxer = Fmp4SegmentDemuxer::new();
        demuxer.handle_init_segment(init).unwrap();
        Self(demuxer)
    }

    fn read(&mut self, bytes: &[u8]) -> Vec<Sample> {
        let samples = self.0.handle_media_segment(bytes).unwrap();
        let samples = samples.iter().map(|s| Sample {
            dts: s.timestamp,
            duration: u64::from(s.duration),
            composition: s.composition_time_offset.unwrap_or(0),
            keyframe: s.keyframe,
            payload: bytes[usize::try_from(s.data_offset).unwrap()..][..s.data_size].to_vec(),
        });
        samples.collect()
    }
}

/// The fragment's own figures are those of its bytes; returns its samples.
fn assert_consistent(reader: &mut Reader, fragment: &Fragment) -> Vec<Sample> {
    let samples = reader.read(&fragment.bytes);
    let payload: usize = samples.iter().map(|s| s.payload.len()).sum();
    let moof = u32::from_be_bytes(*fragment.bytes.first_chunk().unwrap()) as usize;
    assert_eq!(&fragment.bytes[4..8], b"moof");
    assert_eq!(&fragment.bytes[moof + 4..moof + 8], b"mdat");
    assert_eq!(fragment.bytes.len(), moof + 8 + payload, "no byte besides");
    assert_eq!(samples.len(), fragment.samples as usize);
    assert_eq!(samples[0].dts, fragment.start);
    assert_eq!(samples[0].keyframe, fragment.independent);
    assert_eq!(samples.iter().map(|s| s.duration).sum::<u64>(), fragment.duration);
    for pair in samples.windows(2) {
        assert_eq!(pair[0].dts + pair[0].duration, pair[1].dts);
    }
    assert!(samples.iter().all(|s| s.duration > 0));
    samples
}

/// What happens to a fragmenter: a frame after so many nanoseconds, or an end.
#[derive(Debug, Clone)]
enum Step {
    Frame { after: i64, composition: i64, keyframe: bool, size: usize },
    End { exact: bool },
    Discontinuity,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let after = prop_oneof![
        8 => Just(40_000_000i64),
        4 => 1i64..100_000_000,
        1 => 0i64..1000,
        1 => 1i64..20_000_000_000,
        1 => 1i64..40_000_000_000_000, // eleven hours: a sample can last no longer than thirteen
    ];
    let frame = (after, -200_000_000i64..200_000_000, any::<bool>(), 1usize..300)
        .prop_map(|(after, composition, keyframe, size)| Step::Frame { after, composition, keyframe, size });
    let step = prop_oneof![
        12 => frame,
        2 => any::<bool>().prop_map(|exact| Step::End { exact }),
        1 => Just(Step::Discontinuity),
    ];
    proptest::collection::vec(step, 1..200)
}

/// Runs the steps over one track; returns the samples of all fragments, with what was given.
fn run(track: TrackKind, steps: &[Step]) -> Vec<(Sample, Frame)> {
    let (mut fragmenter, init) = match track {
        TrackKind::Video => (Fragmenter::video(avc()).unwrap(), init_segment(Some(&avc()), None).unwrap()),
        TrackKind::Audio => (Fragmenter::audio(aac(44_100)).unwrap(), init_segment(None, Some(&aac(44_100))).unwrap()),
    };
    let mut reader = Reader::new(&init);
    let (mut given, mut found) = (vec![], vec![]);
    let mut at = Timestamp::from_nanos(0);
    let mut last_end = 0;
    let mut end = |fragmenter: &mut Fragmenter, next: Option<Timestamp>| {
        let Some(fragment) = fragmenter.end(next, 7) else { return };
        assert!(fragmenter.is_empty());
        assert_eq!(fragmenter.len(), 0);
        let samples = assert_consistent(&mut reader, &fragment);
        assert!(fragment.start >= last_end, "it begins at {}, the one before ended at {last_end}", fragment.start);
        last_end = fragment.start + fragment.duration;
        found.extend(samples);
    };
    for (n, step) in steps.iter().enumerate() {
        match *step {
            Step::Frame { after, composition, keyframe, size } => {
                at = Timestamp::from_nanos(at.as_nanos() + after);
                let frame = match track {
                    TrackKind::Video => picture(at, Timestamp::from_nanos(at.as_nanos() + composition), keyframe, size),
                    TrackKind::Audio => sound(at, size),
                };
                let len = fragmenter.len();
                fragmenter.push(&frame).unwrap();
                assert_eq!(fragmenter.len(), len + frame.payload.len());
                given.push(frame);
            }
            Step::End { exact } => {
                let after = steps[n..].iter().find_map(|s| match s {
                    Step::Frame { after, .. } => Some(*after),
                    _ => None,
                });
                let next = after.filter(|_| exact).map(|after| Timestamp::from_nanos(at.as_nanos() + after));
                end(&mut fragmenter, next);
            }
            Step::Discontinuity => {
                end(&mut fragmenter, None);
                fragmenter.discontinuity();
            }
        }
    }
    end(&mut fragmenter, None);
    assert_eq!(found.len(), given.len());
    found.into_iter().zip(given).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_pictures_are_found_whole_and_shown_at_their_time(steps in steps()) {
        // A guess may put off the decoding of what follows, as may pictures of less than a tick.
        let exact = steps.iter().all(|s| match s {
            Step::Frame { after, .. } => *after > 20_000,
            Step::End { exact } => *exact,
            Step::Discontinuity => false,
        });
        for (sample, frame) in run(TrackKind::Video, &steps) {
            let (dts, pts) = ((frame.dts + EPOCH).as_90khz(), (frame.pts + EPOCH).as_90khz());
            let found = sample.dts as i64;
            prop_assert!(found == dts || (!exact && found > dts), "{} for {}", found, dts);
            prop_assert_eq!(found + sample.composition, pts);
            prop_assert_eq!(sample.keyframe, frame.keyframe);
            prop_assert_eq!(&sample.payload[..], &frame.payload[..]);
        }
    }

    #[test]
    fn any_sounds_are_found_whole_and_not_far_from_their_stamp(steps in steps()) {
        for (sample, frame) in run(TrackKind::Audio, &steps) {
            prop_assert_eq!(&sample.payload[..], &frame.payload[..]);
            prop_assert_eq!(sample.composition, 0);
            prop_assert!(sample.keyframe);
            let stamp = (frame.dts + EPOCH).as_ticks(44_100);
            // Stamps may come faster than the sound lasts, never slower.
            prop_assert!(sample.dts as i64 >= stamp - 44_100 * 60 / 1000 - 1, "{:?} {}", sample, stamp);
        }
    }

    #[test]
    fn any_bytes_as_pictures_are_carried_or_refused(payload in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut fragmenter = Fragmenter::video(avc()).unwrap();
        let frame = Frame { payload: payload.clone().into(), ..picture(Timestamp::ZERO, Timestamp::ZERO, true, 1) };
        match fragmenter.push(&frame) {
            Ok(()) => prop_assert_eq!(fragmenter.len(), payload.len()),
            Err(e) => {
                let malformed = matches!(e, Error::Frame { .. });
                prop_assert!(malformed && fragmenter.is_empty());
            }
        }
    }
}

#[test]
fn six_hours_of_sound_stamped_in_milliseconds_do_not_drift() {
    for rate in [48_000u32, 44_100, 22_050] {
        let config = aac(rate);
        let mut reader = Reader::new(&init_segment(None, Some(&config)).unwrap());
        let mut fragmenter = Fragmenter::audio(config).unwrap();
        let stamp = |n: u64| Timestamp::from_millis((n * 1024 * 1000 / u64::from(rate)) as i64);
        let frames = 6 * 3600 * u64::from(rate) / 1024;
        let mut next = 10 * u64::from(rate);
        for n in 0..frames {
            fragmenter.push(&sound(stamp(n), 1)).unwrap();
            if n % 90 == 89 {
                let fragment = fragmenter.end(Some(stamp(n + 1)), n as u32).unwrap();
                assert_consistent(&mut reader, &fragment);
                assert_eq!(fragment.start, next, "{rate} Hz, frame {n}");
                assert_eq!(fragment.duration, 90 * 1024);
                next = fragment.start + fragment.duration;
            }
        }
    }
}

#[test]
fn pictures_of_a_rate_that_milliseconds_do_not_fit_keep_their_stamps_for_hours() {
    let mut fragmenter = Fragmenter::video(avc()).unwrap();
    // 29.97 a second, for three hours, in fragments of two seconds.
    let stamp = |n: i64| Timestamp::from_millis(n * 1001 / 30);
    let mut end = None;
    for n in 0..3 * 3600 * 30 {
        if n > 0 && n % 60 == 0 {
            let fragment = fragmenter.end(Some(stamp(n)), 1).unwrap();
            assert_eq!(fragment.start as i64, (stamp(n - 60) + EPOCH).as_90khz());
            assert!(end.is_none_or(|end| end == fragment.start));
            end = Some(fragment.start + fragment.duration);
        }
        fragmenter.push(&picture(stamp(n), stamp(n), n % 60 == 0, 1)).unwrap();
    }
}

#[test]
fn a_picture_after_hours_without_one_does_not_put_off_what_follows() {
    let at =
        |seconds: i64| picture(Timestamp::from_millis(seconds * 1000), Timestamp::from_millis(seconds * 1000), true, 1);
    let mut fragmenter = Fragmenter::video(avc()).unwrap();
    fragmenter.push(&at(0)).unwrap();
    fragmenter.push(&at(7 * 3600)).unwrap();
    let first = fragmenter.end(None, 1).unwrap();
    fragmenter.discontinuity();
    fragmenter.push(&at(7 * 3600 + 2)).unwrap();
    let second = fragmenter.end(None, 2).unwrap();
    assert_eq!(second.start - first.start, (7 * 3600 + 2) * u64::from(VIDEO_TIMESCALE));
}

#[test]
fn tracks_that_begin_apart_keep_their_distance() {
    let mut video = Fragmenter::video(avc()).unwrap();
    let mut audio = Fragmenter::audio(aac(48_000)).unwrap();
    video.push(&picture(Timestamp::from_millis(730), Timestamp::from_millis(770), true, 9)).unwrap();
    audio.push(&sound(Timestamp::from_millis(0), 9)).unwrap();
    let (video, audio) = (video.end(None, 1).unwrap(), audio.end(None, 1).unwrap());
    assert_eq!(video.start * 48_000 / u64::from(VIDEO_TIMESCALE) - audio.start, 730 * 48);
}

#[test]
fn sound_after_a_gap_is_where_its_stamp_says() {
    let mut fragmenter = Fragmenter::audio(aac(48_000)).unwrap();
    let mut reader = Reader::new(&init_segment(None, Some(&aac(48_000))).unwrap());
    for ms in [0, 21, 43, 1000, 1021] {
        fragmenter.push(&sound(Timestamp::from_millis(ms), 1)).unwrap();
    }
    let samples = assert_consistent(&mut reader, &fragmenter.end(Some(Timestamp::from_millis(3000)), 1).unwrap());
    let epoch = 480_000;
    let times: Vec<_> = samples.iter().map(|s| (s.dts - epoch, s.duration)).collect();
    // What was heard last before a gap lasts until what comes after it, within fragments and between.
    assert_eq!(times, [(0, 1024), (1024, 1024), (2048, 48_000 - 2048), (48_000, 1024), (49_024, 144_000 - 49_024)]);
    fragmenter.push(&sound(Timestamp::from_millis(3000), 1)).unwrap();
    assert_eq!(fragmenter.end(None, 2).unwrap().start, epoch + 144_000);
}

#[test]
fn after_a_gap_longer_than_a_sample_can_last_the_next_fragment_is_in_time() {
    let mut fragmenter = Fragmenter::video(avc()).unwrap();
    let day = Timestamp::from_millis(86_400_000);
    fragmenter.push(&picture(Timestamp::ZERO, Timestamp::ZERO, true, 1)).unwrap();
    fragmenter.push(&picture(day, day, false, 1)).unwrap();
    let fragment = fragmenter.end(Some(day.offset_millis(40)), 1).unwrap();
    let mut reader = Reader::new(&init_segment(Some(&avc()), None).unwrap());
    let samples = assert_consistent(&mut reader, &fragment);
    assert_eq!(samples[0].duration, u64::from(u32::MAX));
    fragmenter.push(&picture(day.offset_millis(40), day.offset_millis(40), true, 1)).unwrap();
    assert_eq!(fragmenter.end(None, 2).unwrap().start, (86_400 + 10) * 90_000 + 3600);
}

#[test]
fn a_discontinuity_sets_sounds_clock_anew() {
    let mut fragmenter = Fragmenter::audio(aac(48_000)).unwrap();
    fragmenter.push(&sound(Timestamp::ZERO, 1)).unwrap();
    fragmenter.end(None, 1).unwrap();
    fragmenter.discontinuity();
    // 30 ms later than counted: without the discontinuity, the count would go on.
    fragmenter.push(&sound(Timestamp::from_millis(51), 1)).unwrap();
    assert_eq!(fragmenter.end(None, 2).unwrap().start, 480_000 + 51 * 48);
}

#[test]
fn without_the_next_picture_known_the_guess_errs_towards_a_gap() {
    let mut fragmenter = Fragmenter::video(avc()).unwrap();
    let at = Timestamp::from_millis;
    for ms in [0, 40, 80, 1080] {
        fragmenter.push(&picture(at(ms), at(ms), ms == 0, 1)).unwrap();
    }
    let fragment = fragmenter.end(None, 1).unwrap();
    assert!((1120 * 90..1140 * 90).contains(&fragment.duration), "{}", fragment.duration);
}

#[test]
fn most_fields_are_said_once() {
    let mut fragmenter = Fragmenter::audio(aac(48_000)).unwrap();
    for n in 0..10 {
        fragmenter.push(&sound(Timestamp::from_millis(n * 64 / 3), 100)).unwrap();
    }
    let fragment = fragmenter.end(Some(Timestamp::from_millis(640 / 3)), 1).unwrap();
    assert_eq!(fragment.bytes.len() - 10 * 100, 8 + 16 + 8 + 28 + 20 + 20 + 8);
}

#[test]
fn the_keyframe_may_be_anywhere() {
    let mut reader = Reader::new(&init_segment(Some(&avc()), None).unwrap());
    for keyframes in [[true; 3], [true, false, false], [false, true, false], [false; 3], [false, false, true]] {
        let mut fragmenter = Fragmenter::video(avc()).unwrap();
        for (n, keyframe) in keyframes.into_iter().enumerate() {
            let at = Timestamp::from_millis(40 * n as i64);
            fragmenter.push(&picture(at, at, keyframe, n)).unwrap();
        }
        let samples = assert_consistent(&mut reader, &fragmenter.end(None, 1).unwrap());
        assert_eq!(samples.iter().map(|s| s.keyframe).collect::<Vec<_>>(), keyframes);
    }
}

#[test]
fn a_fragment_is_full_at_its_limits() {
    let mut fragmenter = Fragmenter::audio(aac(48_000)).unwrap();
    let huge = Frame { payload: Bytes::from(vec![0; MAX_FRAGMENT_BYTES - 1]), ..sound(Timestamp::ZERO, 1) };
    fragmenter.push(&huge).unwrap();
    fragmenter.push(&sound(Timestamp::from_millis(21), 1)).unwrap();
    let full = fragmenter.push(&sound(Timestamp::from_millis(42), 1)).unwrap_err();
    assert!(matches!(full, Error::Full { bytes: MAX_FRAGMENT_BYTES, samples: 2, .. }), "{full}");
    assert_eq!(fragmenter.end(None, 1).unwrap().samples, 2);

    for n in 0..MAX_FRAGMENT_SAMPLES {
        fragmenter.push(&sound(Timestamp::from_millis(1000 + n as i64), 1)).unwrap();
    }
    assert!(matches!(fragmenter.push(&sound(Timestamp::from_millis(1_000_000), 1)), Err(Error::Full { .. })));
    assert_eq!(fragmenter.end(None, 1).unwrap().samples as usize, MAX_FRAGMENT_SAMPLES);
}

#[test]
fn what_does_not_belong_is_refused() {
    assert_eq!(init_segment(None, None), Err(Error::NoTrack));
    let mut fragmenter = Fragmenter::audio(aac(48_000)).unwrap();
    let frame = picture(Timestamp::ZERO, Timestamp::ZERO, true, 3);
    assert!(matches!(fragmenter.push(&frame), Err(Error::WrongTrack { .. })));
    assert!(fragmenter.is_empty() && fragmenter.end(None, 1).is_none());
    let rate_less = Mp3Config { sample_rate: 0, channels: 2, samples_per_frame: 1152, kbit_s: 128 };
    assert!(Fragmenter::audio(Arc::new(AudioConfig::Mp3(rate_less))).unwrap_err().to_string().contains("0 samples"));
}

#[test]
fn an_init_segment_has_the_tracks_that_were_given() {
    for (video, audio) in [(true, true), (true, false), (false, true)] {
        let (v, a) = (video.then(avc), audio.then(|| aac(44_100)));
        let reader = Reader::new(&init_segment(v.as_deref(), a.as_deref()).unwrap());
        let tracks: Vec<_> = reader.0.tracks().unwrap().iter().map(|t| (t.track_id, t.timescale.get())).collect();
        let expected: Vec<_> = video.then_some((1, 90_000)).into_iter().chain(audio.then_some((2, 44_100))).collect();
        assert_eq!(tracks, expected);
    }
}
