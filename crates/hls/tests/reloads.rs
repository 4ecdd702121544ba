//! What a player sees that reloads the list of a Low-Latency stream, whatever its publisher sends: every list follows
//! from those before it, and what one of them named can be had.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::time::Duration;

use millrace_hls::{HlsConfig, HlsSnapshot, Turn};
use millrace_media::{TrackKind, Unit};
use proptest::prelude::*;
use support::*;

/// A segment as it is listed; without `duration` it is still in the making.
#[derive(Debug, Clone, Default, PartialEq)]
struct Entry {
    duration: Option<f64>,
    name: String,
    parts: Vec<(String, f64)>,
    map: String,
    /// Date and discontinuity.
    others: Vec<String>,
}

/// Segments by number.
type Entries = Vec<(u64, Entry)>;

/// What is listed, and the part that is hinted at.
fn read(list: &str) -> (Entries, Option<String>) {
    update(&[], list)
}

/// What a player makes of an update and what it has.
fn update(before: &[(u64, Entry)], list: &str) -> (Entries, Option<String>) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let mut number = value(list, "#EXT-X-MEDIA-SEQUENCE:") as u64;
    let (mut entries, mut entry, mut hint) = (Vec::new(), Entry::default(), None);
    let quoted = |line: &str| line.split('"').nth(1).unwrap().to_owned();
    for line in list.lines() {
        if let Some(skipped) = line.strip_prefix("#EXT-X-SKIP:SKIPPED-SEGMENTS=") {
            let skipped = number..number + skipped.parse::<u64>().unwrap();
            entries.extend(before.iter().filter(|(number, _)| skipped.contains(number)).cloned());
            assert_eq!(entries.len() as u64, skipped.end - skipped.start, "the player has them all");
            number = skipped.end;
            entry.map.clone_from(&entries[entries.len() - 1].1.map);
        } else if line.starts_with("#EXT-X-PART:") {
            entry.parts.push((quoted(line), value(line, "DURATION=")));
        } else if line.starts_with("#EXT-X-MAP:") {
            entry.map = quoted(line);
        } else if line.starts_with("#EXT-X-PROGRAM-DATE-TIME:") || line == "#EXT-X-DISCONTINUITY" {
            entry.others.push(line.to_owned());
        } else if line.starts_with("#EXTINF:") {
            entry.duration = Some(value(line, "#EXTINF:"));
        } else if line.starts_with("#EXT-X-PRELOAD-HINT:") {
            hint = Some(quoted(line));
        } else if !line.starts_with('#') {
            entry.name = line.to_owned();
            let next = Entry { map: entry.map.clone(), ..Entry::default() };
            entries.push((number, std::mem::replace(&mut entry, next)));
            number += 1;
        }
    }
    if !entry.parts.is_empty() {
        entries.push((number, entry));
    }
    (entries, hint)
}

/// The same without the parts of whole segments, which leave the list before these do.
fn without_parts(mut entries: Entries) -> Entries {
    entries.iter_mut().filter(|(_, entry)| entry.duration.is_some()).for_each(|(_, entry)| entry.parts.clear());
    entries
}

/// Number of a part in its segment.
fn numbers(name: &str) -> (u64, u64) {
    let mut numbers = name.split(['-', '.']).skip(1).map(|n| n.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// All bytes of what is named; none where it is waited for.
fn bytes(s: &HlsSnapshot, name: &str) -> Option<Vec<u8>> {
    match s.resource(millrace_hls::ResourceName::parse(name).unwrap()) {
        Turn::Now(content) => Some(content.to_vec()),
        Turn::Wait => None,
        Turn::Never(why) => panic!("{name}: {why}"),
    }
}

/// Follows a stream's lists as they come.
#[derive(Default)]
struct Follower {
    /// What was seen of each segment.
    seen: HashMap<u64, Entry>,
    /// Bytes of each part that was listed.
    parts: HashMap<String, Vec<u8>>,
    before: Option<(Entries, (u64, usize))>,
    deltas: usize,
}

impl Follower {
    fn look(&mut self, s: &HlsSnapshot) {
        let list = text(s);
        let (entries, hint) = read(&list);
        for (number, entry) in &entries {
            self.check_entry(s, *number, entry);
        }
        // What the last list named, and some lists before it, has not gone.
        let (oldest, (newest, last)) = (entries[0].0, entries[entries.len() - 1].clone());
        for (name, known) in self.parts.iter().filter(|(name, _)| numbers(name).0 + 1 >= oldest) {
            assert!(bytes(s, name).as_ref() == Some(known), "{name} is what it was");
        }
        // The hint is the part after the last, or the first of the next segment.
        let open = last.duration.is_none();
        let next = if open { (newest, last.parts.len() as u64) } else { (newest + 1, 0) };
        if let Some(hint) = hint {
            assert_eq!(numbers(&hint), next);
            assert!(bytes(s, &hint).is_none(), "it is waited for");
            // Whoever has this list and asks for the next does not get the same again.
            assert_eq!(ask(s, &format!("_HLS_msn={}&_HLS_part={}", next.0, next.1)), Turn::Wait);
            assert_eq!(ask(s, &format!("_HLS_msn={}", if open { newest } else { newest + 1 })), Turn::Wait);
        }
        let reached = (next.0, usize::try_from(next.1).unwrap());
        if let Some((before, was)) = self.before.take() {
            // A publisher that goes away is news as well.
            assert!(reached > was || !list.contains("CAN-BLOCK-RELOAD"), "{reached:?} is new after {was:?}");
            // A player that waited for the first that was not there has it now.
            assert_eq!(ask(s, &format!("_HLS_msn={}&_HLS_part={}", was.0, was.1)), Turn::Now(list.clone()));
            if let Some(delta) = &s.delta {
                let delta = String::from_utf8(delta.to_vec()).unwrap();
                let (updated, _) = update(&before, &delta);
                assert_eq!(without_parts(updated), without_parts(entries.clone()));
                self.deltas += 1;
            }
        }
        self.before = Some((entries, reached));
    }

    fn check_entry(&mut self, s: &HlsSnapshot, number: u64, entry: &Entry) {
        for (name, _) in &entry.parts {
            let bytes = bytes(s, name).unwrap();
            assert!(!bytes.is_empty());
            assert!(*self.parts.entry(name.clone()).or_insert_with(|| bytes.clone()) == bytes);
        }
        let seen = self.seen.entry(number).or_default();
        if !entry.parts.is_empty() {
            assert!(entry.parts.starts_with(&seen.parts), "parts are added to, never changed: {seen:?} {entry:?}");
            seen.parts.clone_from(&entry.parts);
        }
        if let Some(duration) = entry.duration {
            assert!(seen.duration.is_none_or(|before| before == duration), "{seen:?} {entry:?}");
            seen.duration = Some(duration);
            let parts: Vec<_> = seen.parts.iter().flat_map(|(name, _)| self.parts[name].clone()).collect();
            assert!(bytes(s, &entry.name).unwrap() == parts, "segment {number} is its parts");
        }
    }

    /// By how much the durations of a segment's parts are less than its own, but for the first, which is short.
    fn missing(&self) -> impl Iterator<Item = f64> {
        let whole = self.seen.iter().filter(|(number, _)| **number > FIRST);
        whole.filter_map(|(_, entry)| Some(entry.duration? - entry.parts.iter().map(|(_, d)| d).sum::<f64>()))
    }
}

/// What rounding to milliseconds makes of the sum of many durations.
const ROUNDING: f64 = 0.03;

fn follow(s: &Stream) -> Follower {
    let mut follower = Follower::default();
    s.snapshots.iter().for_each(|s| follower.look(s));
    follower
}

/// Pictures without sound, a keyframe at the first after each two seconds.
fn pictures(s: &mut Stream, times: impl IntoIterator<Item = i64>) {
    let mut keyframe = 0;
    for ms in times {
        s.push(&frame(TrackKind::Video, ms, ms >= keyframe), ms);
        keyframe = if ms >= keyframe { ms / 2000 * 2000 + 2000 } else { keyframe };
    }
}

fn video_only() -> Stream {
    let config = HlsConfig { longest_gop: Some(Duration::from_secs(2)), ..HlsConfig::default() };
    Stream::new(&config, &[avc(30)])
}

#[test]
fn a_window_that_is_shared_at_a_picture_a_second() {
    let mut s = video_only();
    pictures(&mut s, (0..60).map(|n| n * 1000));
    assert!((value(&text(s.last()), "PART-TARGET=") - 1.1).abs() < 0.001);
    let follower = follow(&s);
    assert!(follower.seen.len() > 25 && follower.missing().all(|missing| missing.abs() < ROUNDING));
}

#[test]
fn a_picture_that_stays_is_made_up_for_by_the_parts_after_it() {
    // The screen moves, stands still for a while, and moves on.
    for still in [300, 700, 1000] {
        let mut s = video_only();
        pictures(&mut s, (0..60_000).step_by(40).filter(|ms| !(200..200 + still).contains(&(ms % 4000))));
        let follower = follow(&s);
        let missing: Vec<_> = follower.missing().collect();
        assert!(missing.len() > 20 && missing.iter().all(|missing| missing.abs() < ROUNDING), "{still}: {missing:?}");
    }
}

#[test]
fn a_picture_that_stays_to_the_end_of_its_segment_is_in_the_segments_duration() {
    let mut s = video_only();
    pictures(&mut s, (0..60_000).step_by(40).filter(|ms| ms % 4000 < 1000 || ms % 4000 >= 2000));
    let follower = follow(&s);
    for missing in follower.missing() {
        assert!(missing > -ROUNDING && missing < 1.0, "{missing}");
    }
    let total: f64 = follower.seen.values().filter_map(|entry| entry.duration).sum();
    let first = text(&s.snapshots[0]);
    assert!((58.0..=60.0).contains(&total) && !text(s.last()).contains("#EXT-X-DISCONTINUITY\n"), "{total} {first}");
}

#[test]
fn a_pause_of_five_seconds_is_in_no_segment() {
    let mut s = video_only();
    pictures(&mut s, (0..60_000).step_by(40).filter(|ms| ms % 10_000 < 5000));
    let follower = follow(&s);
    let total: f64 = follower.seen.values().filter_map(|entry| entry.duration).sum();
    assert!((28.0..=30.0).contains(&total), "{total}");
    assert!(follower.missing().all(|missing| missing.abs() < ROUNDING));
}

#[test]
fn a_calendar_that_is_set_back_makes_no_delta_update_wrong() {
    let mut s = Stream::usual(12);
    s.live(0, 40_040);
    let before = follow(&s).deltas;
    for ms in (40_040..100_040).step_by(40) {
        // The server's clock was a second fast.
        s.push(&frame(TrackKind::Video, ms, ms % 2000 == 0), ms - 1000);
        s.push(&frame(TrackKind::Audio, ms, true), ms - 1000);
    }
    let follower = follow(&s);
    assert!(before > 50 && follower.deltas > before + 50, "{before} {}", follower.deltas);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_list_follows_from_those_before_it(
        steps in proptest::collection::vec(
            (prop_oneof![30 => 15i64..45, 3 => 40i64..250, 1 => 0i64..6000], 0u8..200), 200..900),
        sound in any::<bool>(),
        apart in prop_oneof![2 => Just(0i64), 1 => -4000i64..4000],
        wanted in 100u64..600,
        window in 3usize..14,
    ) {
        let config = HlsConfig { part: Duration::from_millis(wanted), window, ..HlsConfig::default() };
        let tracks = if sound { vec![avc(30), aac()] } else { vec![avc(30)] };
        let mut s = Stream::new(&config, &tracks);
        let (mut ms, mut heard) = (5000, 5000);
        for (step, kind) in steps {
            ms += step;
            while sound && heard < ms {
                s.push(&frame(TrackKind::Audio, heard + apart, true), heard);
                heard += 21;
            }
            match kind {
                0 => s.push(&Unit::Discontinuity, ms),
                1 => s.push(&avc(30 + u8::try_from(ms % 3).unwrap()), ms),
                2 if s.packager.pause() => s.snapshots.extend(s.packager.publish()),
                3..8 => s.push(&frame(TrackKind::Video, ms, true), ms),
                _ => s.push(&frame(TrackKind::Video, ms, false), ms),
            }
        }
        let follower = follow(&s);
        for missing in follower.missing() {
            prop_assert!(missing > -ROUNDING, "{}", missing);
        }
    }
}
