//! Any index that makes sense: every sample that is played is found once, with its bytes and at its time, by a reader that
//! others wrote.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use millrace_mp4::{EPOCH, Packaged};
use proptest::prelude::*;
use shiguredo_mp4::demux::Fmp4SegmentDemuxer;
use support::build::{Form, Sample, Track, file, payload};
use support::{plan, segment};

/// A sample as a player has it.
#[derive(Debug, PartialEq)]
struct Found {
    dts: i64,
    pts: i64,
    sync: bool,
    bytes: Vec<u8>,
}

/// All samples of a track, out of its segments.
fn found(track: Packaged<'_>, file: &[u8]) -> Vec<Found> {
    let mut demuxer = Fmp4SegmentDemuxer::new();
    demuxer.handle_init_segment(&track.init_segment()).unwrap();
    let mut found: Vec<Found> = vec![];
    let mut end = None;
    for n in 0..track.segments() {
        let bytes = segment(track, n, file);
        let samples = demuxer.handle_media_segment(&bytes).unwrap();
        assert!(!samples.is_empty(), "no segment is empty");
        for sample in samples {
            let dts = sample.timestamp as i64;
            assert_eq!(end.unwrap_or(dts), dts, "each sample ends where the next begins, over segments as well");
            end = Some(dts + i64::from(sample.duration));
            let at = sample.data_offset as usize;
            found.push(Found {
                dts,
                pts: dts + sample.composition_time_offset.unwrap_or(0),
                sync: sample.keyframe,
                bytes: bytes[at..at + sample.data_size].to_vec(),
            });
        }
    }
    found
}

/// A sample as the file has it, and whether it is shown.
fn given(track: &Track, n: usize) -> Vec<(Found, bool)> {
    let start = track.edits.iter().find(|(_, time)| *time >= 0).map(|(_, time)| i64::from(*time));
    let mut dts = 0;
    let samples = track.samples.iter().enumerate().map(|(index, sample)| {
        let pts = dts + i64::from(sample.composition);
        let bytes = payload(n, index, sample.size);
        let found = Found { dts, pts, sync: sample.sync, bytes };
        dts += i64::from(sample.duration);
        (found, start.is_none_or(|start| pts >= start))
    });
    samples.collect()
}

fn check_pictures(video: Packaged<'_>, file: &[u8], track: &Track) -> i64 {
    let given = given(track, 0);
    let first = given.iter().position(|(_, shown)| *shown).unwrap();
    // From the keyframe that the first is decoded from.
    let from = given[..=first].iter().rposition(|(g, _)| g.sync).unwrap_or(0);
    // What comes after all that is shown is not needed.
    let end = given.iter().rposition(|(_, shown)| *shown).unwrap() + 1;
    let given = &given[from..end];
    let found = found(video, file);
    assert_eq!(found.len(), given.len(), "every sample once");
    let shown = || found.iter().zip(given).filter(|(_, (_, shown))| *shown);
    let (f, (g, _)) = shown().next().unwrap();
    let moved = f.pts - g.pts;
    let start = shown().map(|(f, _)| f.pts).min().unwrap();
    for (f, (g, is_shown)) in found.iter().zip(given) {
        assert_eq!((&f.bytes, f.sync), (&g.bytes, g.sync));
        assert!(f.pts >= f.dts, "none is shown before it is decoded: {f:?}");
        if *is_shown {
            assert_eq!(f.pts - moved, g.pts);
        } else {
            assert!(f.pts < start, "what is cut off comes before: {f:?}");
            assert!(
                start - f.pts <= found.len() as i64 * i64::from((track.timescale / 50_000).max(1)),
                "and takes no time"
            );
        }
    }
    // Within a segment that is independent nothing is decoded from what is before it.
    if video.is_independent() {
        let mut at = 0;
        for n in 0..video.segments() {
            assert!(found[at].sync, "segment {n}");
            at += usize::try_from(samples_of(video, n)).unwrap();
        }
    }
    moved
}

/// Number of samples of a segment.
fn samples_of(track: Packaged<'_>, n: usize) -> u32 {
    let head = track.segment(n).unwrap().head;
    let truns = head.windows(4).enumerate().filter(|(_, name)| name == b"trun");
    truns.map(|(at, _)| u32::from_be_bytes(*head[at + 8..].first_chunk().unwrap())).sum()
}

fn check_sound(audio: Packaged<'_>, file: &[u8], track: &Track, n: usize) -> i64 {
    let given = given(track, n);
    let found = found(audio, file);
    let from = given.len() - found.len();
    let moved = found[0].pts - given[from].0.pts;
    for (f, (g, _)) in found.iter().zip(&given[from..]) {
        assert_eq!((&f.bytes, f.pts - moved, f.dts), (&g.bytes, g.pts, f.pts));
    }
    // All that is heard is there, and one more, that the decoder needs; none where samples are of more than a second.
    let heard = given.iter().position(|(_, heard)| *heard).unwrap();
    let more = heard > 0 && track.samples[heard - 1].duration <= track.timescale;
    assert!(from <= heard - usize::from(more) && from + 2 >= heard, "{from} {heard}");
    moved
}

fn sample(video: bool) -> impl Strategy<Value = Sample> {
    let compositions = if video { -2000..5000 } else { 0..1 };
    (0usize..40, 1u32..4000, compositions, proptest::bool::weighted(0.15)).prop_map(
        move |(size, duration, composition, sync)| Sample { size, duration, composition, sync: sync || !video },
    )
}

prop_compose! {
    fn track(video: bool)(
        samples in prop::collection::vec(sample(video), 1..120),
        timescale in prop::sample::select(vec![if video { 900 } else { 600 }, 1000, 12_800, 48_000, 90_000, 1_000_000]),
        per_chunk in prop::collection::vec(1usize..7, 1..4),
        delay in prop::option::of(0u32..3000),
        cut in prop::option::of(0.0..0.9f64),
    ) -> Track {
        let mut track = Track { per_chunk, ..Track::new(video, timescale, samples) };
        let length: u32 = track.samples.iter().map(|s| s.duration).sum();
        let most = track.samples.iter().scan(0, |dts, s| {
            let pts = *dts + i64::from(s.composition);
            *dts += i64::from(s.duration);
            Some(pts)
        }).max().unwrap_or(0);
        if let Some(delay) = delay {
            track.edits.push((delay, -1));
        }
        if delay.is_some() || cut.is_some() {
            let start = (f64::from(length) * cut.unwrap_or(0.0)) as i64;
            track.edits.push((0, start.min(most.max(0)) as i32));
        }
        track
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_sample_is_found_once_at_its_time(
        video in track(true),
        audio in track(false),
        form in prop::sample::select(vec![Form::IndexFirst, Form::IndexLast, Form::Long]),
        target in 1u64..5,
    ) {
        let start = |t: &Track| t.edits.iter().find(|e| e.1 >= 0).map(|e| i64::from(e.1));
        prop_assume!(given(&video, 0).iter().any(|(g, _)| start(&video).is_none_or(|s| g.pts >= s)));
        // More than five seconds are taken for nonsense.
        let late = video.samples.iter().map(|s| -s.composition).max().unwrap_or(0);
        prop_assume!(i64::from(late) <= 5 * i64::from(video.timescale));
        let bytes = file(&[video.clone(), audio.clone()], form);
        let plan = plan(&bytes, Duration::from_secs(target));
        let (v, a) = (plan.video().unwrap(), plan.audio().unwrap());
        let moved_video = check_pictures(v, &bytes, &video);
        let moved_audio = check_sound(a, &bytes, &audio, 1);
        // Both tracks are moved by what their edit lists say and the same instant.
        let seconds = |track: &Track, moved: i64| {
            let delay: u32 = track.edits.iter().filter(|e| e.1 < 0).map(|e| e.0).sum();
            let cut = start(track).unwrap_or(0);
            (moved + cut) as f64 / f64::from(track.timescale) - f64::from(delay) / 1000.0
        };
        let (by_video, by_audio) = (seconds(&video, moved_video), seconds(&audio, moved_audio));
        let ticks = 1.0 / f64::from(video.timescale) + 1.0 / f64::from(audio.timescale);
        prop_assert!((by_video - by_audio).abs() <= ticks + 1e-6, "{by_video} {by_audio}");
        // What is seen or heard first is at the epoch.
        let first = [v, a].map(|t| t.track().begins().unwrap()).into_iter().min().unwrap();
        prop_assert!(first < Duration::from_millis(2), "{first:?}");
        for track in [v, a] {
            let durations: Duration = track.durations().sum();
            let whole = track.track().begins().unwrap() + track.track().duration().unwrap();
            prop_assert!(durations.abs_diff(whole) < Duration::from_micros(1 + 2 * track.segments() as u64), "{durations:?} {whole:?}");
            let boundaries: Vec<_> = track.boundaries().collect();
            prop_assert!(boundaries.windows(2).all(|pair| pair[0] < pair[1]), "{boundaries:?}");
        }
    }
}

#[test]
fn segments_end_at_keyframes_and_sound_at_the_same_times() {
    let pictures = (0..300).map(|n| Sample { size: 10, duration: 1000, composition: 0, sync: n % 45 == 0 }).collect();
    let sounds = (0..500).map(|_| Sample { size: 3, duration: 960, composition: 0, sync: true }).collect();
    let bytes = file(&[Track::new(true, 30_000, pictures), Track::new(false, 48_000, sounds)], Form::IndexLast);
    let plan = plan(&bytes, Duration::from_secs(2));
    let of = |name| plan.track(name).unwrap().boundaries().map(|b| b.as_millis()).collect::<Vec<_>>();
    assert_eq!(of("video"), [0, 3000, 6000, 9000]);
    assert_eq!(of("audio"), [0, 3000, 6000, 9000]);
    let playlist = plan.video().unwrap().media_playlist("");
    assert!(
        playlist.contains("#EXT-X-TARGETDURATION:3\n") && playlist.contains("#EXTINF:1.000000,\nvideo/3.m4s\n"),
        "{playlist}"
    );
    let first = plan.video().unwrap().segment(0).unwrap();
    assert_eq!(first.ranges.len(), 29, "three pictures lie together, and two such are as good as together");
    // The epoch is where the first segment begins.
    let tfdt = first.head.windows(4).position(|w| w == b"tfdt").unwrap();
    let time = u64::from_be_bytes(*first.head[tfdt + 8..].first_chunk().unwrap());
    assert_eq!(time, EPOCH.as_secs() * 30_000);
}

#[test]
fn what_lies_between_pictures_is_sent_with_them_where_it_is_little() {
    for (picture, sound, together) in [(10_000, 50_usize, true), (10_000, 300, false), (200_000, 1000, false)] {
        let pictures =
            (0..60).map(|n| Sample { size: picture, duration: 1000, composition: 0, sync: n == 0 }).collect();
        let sounds = (0..100).map(|_| Sample { size: sound, duration: 960, composition: 0, sync: true }).collect();
        let tracks = [Track::new(true, 30_000, pictures), Track::new(false, 48_000, sounds)];
        let bytes = file(&tracks, Form::IndexFirst);
        let plan = plan(&bytes, Duration::from_secs(2));
        let video = plan.video().unwrap();
        check_pictures(video, &bytes, &tracks[0]);
        let (first, media) = (video.segment(0).unwrap(), 60 * picture as u64);
        let sent: u64 = first.ranges.iter().map(|range| range.end - range.start).sum();
        assert!(sent <= media + media / 50, "{sent} bytes for {media} of media");
        let rate = video.bit_rate().peak;
        assert!(rate >= first.size * 4 && rate < first.size * 4 * 101 / 100, "{rate} for {} in 2 s", first.size);
        assert_eq!(first.ranges.len() < 3, together, "{:?}", first.ranges);
        // Sound is little beside the pictures that lie between.
        check_sound(plan.audio().unwrap(), &bytes, &tracks[1], 1);
        let sound = plan.audio().unwrap().segment(0).unwrap();
        assert!(sound.ranges.len() >= 20, "{:?}", sound.ranges);
    }
}

#[test]
fn sound_that_goes_on_without_pictures_is_cut_all_the_same() {
    let pictures = (0..60).map(|_| Sample { size: 10, duration: 1000, composition: 0, sync: true }).collect();
    let sounds = (0..1000).map(|_| Sample { size: 3, duration: 960, composition: 0, sync: true }).collect();
    let bytes = file(&[Track::new(true, 30_000, pictures), Track::new(false, 48_000, sounds)], Form::IndexFirst);
    let plan = plan(&bytes, Duration::from_secs(2));
    assert_eq!(plan.video().unwrap().segments(), 1);
    let audio: Vec<_> = plan.audio().unwrap().boundaries().map(|b| b.as_secs_f64().round() as u64).collect();
    assert_eq!(audio, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
}

#[test]
fn the_index_of_a_long_film_is_small() {
    // Two hours of 60 pictures a second and of sound, each chunk of one sample, as muxers that interleave finely write it.
    let pictures = (0..432_000u32).map(|n| {
        let composition = [1024, 2560, 1024, 512][n as usize % 4];
        Sample { size: 100 + n as usize % 3, duration: 512, composition, sync: n % 120 == 0 }
    });
    let sounds = (0..337_500).map(|n| Sample { size: 4 + n % 2, duration: 1024, composition: 0, sync: true });
    let video = Track { per_chunk: vec![1], ..Track::new(true, 30_720, pictures.collect()) };
    let audio = Track { per_chunk: vec![1], ..Track::new(false, 48_000, sounds.collect()) };
    let plan = plan(&file(&[video, audio], Form::Long), Duration::from_secs(4));
    let memory = plan.movie().memory() + plan.memory();
    assert!(memory < 12 << 20, "{memory}");
    assert_eq!(plan.movie().duration().as_secs(), 7200);
    assert_eq!(plan.video().unwrap().segments(), 1800);
}
