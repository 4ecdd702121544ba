//! CMAF in parts: what is listed when, and what requests get.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use millrace_hls::{CmafContainer, HlsConfig, Refused, Turn};
use millrace_media::{TrackKind, Unit};
use proptest::prelude::*;
use support::*;

#[test]
fn a_playlist_to_the_letter() {
    let mut s = Stream::usual(6);
    s.live(0, 2640);
    let part = |n: u64, p: u64, independent: &str| {
        format!("#EXT-X-PART:DURATION=0.200,URI=\"019b76daa800-{n}.{p}.m4s\"{independent}\n")
    };
    let mut expected = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
        #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.000,HOLD-BACK=6.000,PART-HOLD-BACK=0.880\n\
        #EXT-X-PART-INF:PART-TARGET=0.220\n#EXT-X-MEDIA-SEQUENCE:31536000\n#EXT-X-DISCONTINUITY-SEQUENCE:13184\n\
        #EXT-X-MAP:URI=\"019b76daa800-init0.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z\n"
        .to_owned();
    // The first is short: whoever comes first is not to wait. The keyframe puts it right.
    for (sequence, length, from) in [(FIRST, 5, 0), (FIRST + 1, 5, 1), (FIRST + 2, 3, 2)] {
        if from > 0 {
            expected += &format!("#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:0{from}.000Z\n");
        }
        for p in 0..length {
            expected += &part(sequence, p, if p == 0 && from != 1 { ",INDEPENDENT=YES" } else { "" });
        }
        if length == 5 {
            expected += &format!("#EXTINF:1.000,\n019b76daa800-{sequence}.m4s\n");
        }
    }
    expected += "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"019b76daa800-31536002.3.m4s\"\n";
    assert_eq!(text(s.last()), expected);
}

#[test]
fn parts_suit_the_stream() {
    for (step, video, longest, shortest, target) in [
        (40.0, true, 0.2, 0.2, 0.220),
        (1000.0 / 30.0, true, 0.201, 0.199, 0.220),
        (1000.0 / 24.0, true, 0.209, 0.207, 0.230),
        (1001.0 / 60.0, true, 0.201, 0.198, 0.222),
        (500.0, true, 0.5, 0.5, 0.550),
        (1024.0 / 48.0, false, 0.214, 0.212, 0.231),
    ] {
        let config = HlsConfig { longest_gop: Some(Duration::from_secs(2)), ..HlsConfig::default() };
        let mut s = Stream::new(&config, &[if video { avc(30) } else { aac() }]);
        let track = if video { TrackKind::Video } else { TrackKind::Audio };
        #[allow(clippy::cast_possible_truncation)]
        for n in 0..1000 {
            let ms = (f64::from(n) * step) as i64;
            let keyframe = !video || ms / 2000 != ((f64::from(n - 1) * step) as i64) / 2000 || n == 0;
            s.push(&frame(track, ms, keyframe), ms);
        }
        let text = text(s.last());
        assert!((value(&text, "PART-TARGET=") - target).abs() < 0.004, "{step}: {text}");
        let mut whole = 0;
        for segment in text.split("#EXTINF") {
            let parts = parts(segment);
            for (n, (duration, _)) in parts.iter().enumerate() {
                assert!(*duration <= longest, "{step}: {segment}");
                assert!(*duration >= shortest || n + 1 == parts.len(), "{step}: {segment}");
                whole += usize::from(*duration >= shortest);
            }
        }
        assert!(whole >= 8, "{step}: {text}");
    }
}

#[test]
fn sound_whose_clock_is_seconds_away_changes_neither_segments_nor_parts() {
    for apart in [-3000, 3000] {
        let mut s = Stream::usual(6);
        for ms in (10_000..30_040).step_by(40) {
            s.push(&frame(TrackKind::Video, ms, ms % 2000 == 0), ms);
            s.push(&frame(TrackKind::Audio, ms + apart, true), ms);
            s.push(&frame(TrackKind::Audio, ms + apart + 20, true), ms + 20);
        }
        let list = text(s.last());
        assert!(!list.contains("#EXT-X-DISCONTINUITY\n"), "{apart} ms apart: {list}");
        assert_eq!(list.matches("#EXTINF:2.000").count(), 6, "{apart} ms apart: {list}");
        let parts = parts(&list);
        assert!(parts.len() >= 20 && parts.iter().all(|(duration, _)| *duration == 0.2), "{apart} ms apart: {list}");
    }
}

#[test]
fn a_part_is_had_by_its_name_and_the_hinted_one_is_waited_for() {
    let mut s = Stream::usual(6);
    s.live(0, 2640);
    let s = s.last();
    let name = |rest: &str| format!("019b76daa800-{rest}");
    let length = |rest: &str| match get(s, &name(rest)) {
        Turn::Now(length) => length,
        other => panic!("{rest}: {other:?}"),
    };
    let parts: usize = (0..5).map(|part| length(&format!("31536000.{part}.m4s"))).sum();
    assert_eq!(length("31536000.m4s"), parts, "a segment is its parts");
    assert!(length("31536002.2.m4s") > 0 && length("init0.mp4") > 0);
    assert_eq!(get(s, &name("31536002.3.m4s")), Turn::Wait);
    for unknown in ["31536002.4.m4s", "31536003.0.m4s", "31536002.m4s", "31536000.5.m4s", "init1.mp4", "31536000.ts"] {
        assert_eq!(get(s, &name(unknown)), Turn::Never(Refused::Unknown), "{unknown}");
    }
    assert_eq!(get(s, &name("31535999.0.m4s")), Turn::Never(Refused::Expired));
    assert_eq!(get(s, "019b76daa7ff-31536000.0.m4s"), Turn::Never(Refused::Expired));
    assert_eq!(get(s, "019b76daa801-init0.mp4"), Turn::Never(Refused::Unknown));
}

#[test]
fn fragments_of_a_segment_are_numbered_in_order() {
    let mut stream = Stream::usual(6);
    stream.live(0, 6000);
    let segment = stream.last().segments()[1].content.to_vec();
    // The number follows the box's type, version and flags (ISO/IEC 14496-12, 8.8.5).
    let numbers: Vec<_> = segment
        .windows(12)
        .filter(|w| w.starts_with(b"mfhd"))
        .map(|w| u32::from_be_bytes([w[8], w[9], w[10], w[11]]))
        .collect();
    assert!(numbers.len() >= 4, "of several parts, with both tracks");
    assert!(numbers.windows(2).all(|w| w[0] < w[1]), "{numbers:?}");
}

#[test]
fn a_playlist_is_waited_for_until_it_has_what_is_asked_for() {
    let mut s = Stream::usual(6);
    s.live(0, 2640);
    // The newest segment is FIRST + 1, of five parts; of the next there are three.
    let last = s.last();
    let all = Turn::Now(text(last));
    for (query, expected) in [
        (String::new(), &all),
        (format!("_HLS_msn={}", FIRST - 9), &all),
        (format!("_HLS_msn={}", FIRST + 1), &all),
        (format!("_HLS_msn={}&_HLS_part=4", FIRST + 1), &all),
        // Beyond the last part is the next segment's first.
        (format!("_HLS_msn={}&_HLS_part=5", FIRST + 1), &all),
        (format!("_HLS_msn={}&_HLS_part=2", FIRST + 2), &all),
        (format!("_HLS_msn={}&_HLS_part=3", FIRST + 2), &Turn::Wait),
        (format!("_HLS_msn={}", FIRST + 2), &Turn::Wait),
        (format!("_HLS_msn={}&_HLS_part=0", FIRST + 3), &Turn::Wait),
        (format!("_HLS_msn={}", FIRST + 3), &Turn::Wait),
    ] {
        assert_eq!(&ask(last, &query), expected, "{query}");
    }
    // Three seconds of parts ahead are 14; nothing is two segments ahead but one.
    let refused = Turn::Never(Refused::TooFarAhead { newest: FIRST + 1, parts: 3 });
    assert_eq!(ask(last, &format!("_HLS_msn={}&_HLS_part=16", FIRST + 2)), Turn::Wait);
    for query in ["31536002&_HLS_part=17", "31536004", "31536004&_HLS_part=0", "31536003&_HLS_part=14", "9999999999"] {
        assert_eq!(ask(last, &format!("_HLS_msn={query}")), refused, "{query}");
    }
    let end = s.packager.end().unwrap();
    let list = Turn::Now(text(&end));
    assert!(text(&end).ends_with("#EXT-X-ENDLIST\n") && !text(&end).contains("PRELOAD-HINT"));
    for query in ["_HLS_msn=31536002&_HLS_part=9", "_HLS_msn=9999999999"] {
        assert_eq!(ask(&end, query), list, "nothing follows that could be waited for");
    }
}

#[test]
fn while_the_publisher_is_away_nobody_waits() {
    let mut s = Stream::usual(6);
    s.live(0, 2640);
    assert!(s.packager.pause());
    let away = s.packager.publish().unwrap();
    let list = text(&away);
    assert!(
        !list.contains("CAN-BLOCK-RELOAD") && !list.contains("PRELOAD-HINT") && !list.contains("ENDLIST"),
        "{list}"
    );
    assert_eq!(ask(&away, &format!("_HLS_msn={}&_HLS_part=0", FIRST + 3)), Turn::Now(list));
    s.push(&Unit::Discontinuity, 5000);
    s.push(&avc(31), 5000);
    s.live(5000, 5400);
    let back = text(s.last());
    let (_, after) = back.split_once("#EXT-X-DISCONTINUITY\n").unwrap();
    assert!(
        after.starts_with("#EXT-X-MAP:URI=\"019b76daa800-init1.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:05")
    );
    assert_eq!(parts(after)[0], (0.2, true));
    assert!(back.contains("CAN-BLOCK-RELOAD=YES"));
    assert!(matches!(get(s.last(), "019b76daa800-init0.mp4"), Turn::Now(_)), "it is still listed");
}

#[test]
fn a_changed_configuration_has_another_init_segment_and_the_old_one_stays_as_long_as_its_segments() {
    let mut s = Stream::usual(3);
    s.live(0, 4000);
    s.push(&avc(31), 4000);
    s.live(4000, 30_000);
    let list = text(s.last());
    assert_eq!(list.matches("#EXT-X-MAP").count(), 1);
    assert!(list.contains("init1.mp4"));
    assert_eq!(get(s.last(), "019b76daa800-init0.mp4"), Turn::Never(Refused::Expired));
    let both = s.snapshots.iter().find(|s| text(s).contains("init1.mp4")).unwrap();
    let list = text(both);
    let (before, after) = list.split_once("#EXT-X-DISCONTINUITY\n").unwrap();
    assert!(before.contains("init0.mp4") && after.starts_with("#EXT-X-MAP:URI=\"019b76daa800-init1.mp4\"\n"), "{list}");
}

#[test]
fn a_list_that_begins_anew_has_higher_numbers_and_other_names() {
    let config = HlsConfig { segment: Duration::from_millis(500), ..HlsConfig::default() };
    let mut s = Stream::new(&config, &[aac()]);
    for ms in (0..20_000).step_by(20) {
        s.push(&frame(TrackKind::Audio, ms, true), ms);
    }
    let before = s.last();
    assert!(before.newest > FIRST + 30, "two segments a second are faster than the clock");
    let mut packager = s.packager.start_over(&config, CmafContainer::default(), wall(20_000));
    packager.push(&aac(), wall(20_000)).unwrap();
    for ms in (20_000..21_000).step_by(20) {
        packager.push(&frame(TrackKind::Audio, ms, true), wall(ms)).unwrap();
    }
    let after = packager.publish().unwrap();
    assert!(after.newest > before.newest);
    let name = before.segments().last().unwrap().name;
    assert_eq!(get(&after, &name.to_string()), Turn::Never(Refused::Expired));
}

#[test]
fn parts_are_listed_of_what_is_new_only() {
    let mut s = Stream::usual(6);
    s.live(0, 20_040);
    let list = text(s.last());
    let with_parts = list.split("#EXTINF").filter(|segment| segment.contains("#EXT-X-PART:")).count();
    assert_eq!(with_parts, 3, "three target durations: {list}");
    assert!(matches!(get(s.last(), &format!("019b76daa800-{}.0.m4s", FIRST + 4)), Turn::Now(_)), "it can still be had");
}

/// What a player makes of a delta update and the playlist that it has.
fn merged(before: &str, delta: &str) -> String {
    let (head, rest) = delta.split_once("#EXT-X-SKIP:SKIPPED-SEGMENTS=").unwrap();
    let (skipped, rest) = rest.split_once('\n').unwrap();
    let sequence = |text: &str| value(text, "#EXT-X-MEDIA-SEQUENCE:");
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let gone = (sequence(delta) - sequence(before)) as usize;
    let lines: Vec<_> = before.split_inclusive('\n').collect();
    let ends: Vec<_> = (0..lines.len()).filter(|i| !lines[*i].starts_with('#')).collect();
    let header = |line: &&&str| {
        [
            "EXTM3U",
            "EXT-X-VERSION",
            "EXT-X-TARGET",
            "EXT-X-SERVER",
            "EXT-X-PART-INF",
            "EXT-X-MEDIA-S",
            "EXT-X-DISCONTINUITY-S",
            "EXT-X-INDEP",
        ]
        .iter()
        .any(|name| line[1..].starts_with(name))
    };
    let map = lines[..=ends[gone]].iter().rfind(|line| line.starts_with("#EXT-X-MAP")).unwrap();
    let first = gone.checked_sub(1).map_or_else(|| lines.iter().take_while(header).count(), |last| ends[last] + 1);
    let skipped: usize = skipped.parse().unwrap();
    // Parts of what is old have left the list.
    let kept = lines[first..=ends[gone + skipped - 1]].iter().filter(|line| !line.starts_with("#EXT-X-PART:"));
    let kept: String = kept.filter(|line| !line.starts_with("#EXT-X-MAP")).copied().collect();
    format!("{head}{map}{kept}{rest}")
}

#[test]
fn a_delta_update_merged_is_the_whole_playlist() {
    let mut s = Stream::usual(12);
    s.live(0, 60_040);
    let mut deltas = 0;
    for pair in s.snapshots.windows(2) {
        let Some(delta) = &pair[1].delta else { continue };
        let delta = String::from_utf8(delta.to_vec()).unwrap();
        assert!(delta.len() < text(&pair[1]).len());
        assert_eq!(merged(&text(&pair[0]), &delta), text(&pair[1]));
        assert_eq!(ask(&pair[1], "_HLS_skip=YES"), Turn::Now(delta));
        deltas += 1;
    }
    assert!(deltas > 150, "{deltas}");
    let short = s.snapshots.iter().find(|s| s.delta.is_none()).unwrap();
    assert_eq!(ask(short, "_HLS_skip=YES"), Turn::Now(text(short)), "there is nothing to leave out");
}

#[test]
fn a_stream_whose_keyframe_distance_is_not_known_is_waited_for_but_not_for_ever() {
    let first = |gop: i64| {
        let mut s = Stream::new(&HlsConfig::default(), &[avc(30), aac()]);
        for ms in (0..20_000).step_by(40) {
            s.push(&frame(TrackKind::Video, ms, ms % gop == 0), ms);
            if let Some(first) = s.snapshots.first() {
                return (ms, value(&text(first), "TARGETDURATION:"));
            }
        }
        panic!("no playlist");
    };
    assert_eq!(first(1000), (1000, 2.0));
    assert_eq!(first(2000), (2000, 2.0));
    assert_eq!(first(4000), (4000, 4.0));
    let (at, target) = first(10_000);
    assert!((4500..5000).contains(&at) && (target - 11.0).abs() < 0.1, "{at} {target}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever comes: parts keep the part target, which never changes, and what is listed can be had.
    #[test]
    fn promises_hold_for_any_stream(
        steps in proptest::collection::vec((prop_oneof![12 => 15i64..45, 2 => 40i64..200, 1 => 0i64..4000], 0u8..90), 100..300),
        sound in any::<bool>(),
        wanted in 100u64..600,
    ) {
        let config = HlsConfig { part: Duration::from_millis(wanted), ..HlsConfig::default() };
        let tracks = if sound { vec![avc(30), aac()] } else { vec![avc(30)] };
        let mut s = Stream::new(&config, &tracks);
        let (mut ms, mut heard) = (0, 0);
        for (step, kind) in steps {
            ms += step;
            while sound && heard < ms {
                s.push(&frame(TrackKind::Audio, heard, true), heard);
                heard += 21;
            }
            match kind {
                0 => s.push(&Unit::Discontinuity, ms),
                _ => s.push(&frame(TrackKind::Video, ms, kind < 4), ms),
            }
        }
        let mut promised = None;
        for s in &s.snapshots {
            let text = text(s);
            let target = value(&text, "PART-TARGET=");
            prop_assert_eq!(*promised.get_or_insert(target), target);
            let total = value(&text, "TARGETDURATION:");
            for segment in text.split("#EXTINF:") {
                if let Some(length) = segment.split(',').next().and_then(|n| n.parse::<f64>().ok()) {
                    prop_assert!(length.round() <= total, "{}", text);
                }
                let parts = parts(segment);
                for (n, (duration, _)) in parts.iter().enumerate() {
                    prop_assert!(*duration <= target, "{}", text);
                    prop_assert!(*duration >= target * 0.85 - 0.0011 || n + 1 == parts.len(), "{}", text);
                }
            }
            for quoted in text.split("URI=\"").skip(1) {
                let name = quoted.split('"').next().unwrap();
                let hint = text.contains(&format!("TYPE=PART,URI=\"{name}\""));
                match get(s, name) {
                    Turn::Now(length) => prop_assert!(!hint && length > 0),
                    other => prop_assert!(hint && other == Turn::Wait, "{} {:?}", name, other),
                }
            }
        }
    }
}
