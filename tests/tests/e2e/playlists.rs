//! HLS playlists as they slide.

use std::collections::BTreeMap;

use m3u8_rs::MediaPlaylist;
use millrace_e2e::{
    Program, Server,
    clip::{Recipe, Temporary},
    frames::{Frames, assert_consecutive, assert_order},
    hls, http,
    process::ffmpeg,
};

const PLAYLIST: &str = "/live/movie/ts.m3u8";
const WINDOW: usize = 4;

#[test]
fn the_window_slides_and_segments_join_without_a_seam() {
    let server = Server::start(&["hls.segment=1s", &format!("hls.window={WINDOW}")]);
    let clip = Recipe::new(16).make();
    let publisher = server.publish(&clip);
    server.wait_on_air();

    let master = hls::multivariant(server.http, "/live/movie.m3u8");
    let uris: Vec<_> = master.variants.iter().map(|variant| &*variant.uri).collect();
    assert_eq!(uris, ["movie/cmaf.m3u8", "movie/ts.m3u8"]);
    for variant in &master.variants {
        assert_eq!(variant.codecs.as_deref(), Some("avc1.64000c,mp4a.40.2"));
        assert_eq!(variant.resolution.map(|r| (r.width, r.height)), Some((320, 180)));
        assert_eq!(variant.frame_rate, Some(25.0));
        assert_eq!(variant.bandwidth, master.variants[0].bandwidth, "no reason to go from one to the other");
    }

    let mut segments = BTreeMap::new();
    let mut last: Option<MediaPlaylist> = None;
    while !last.as_ref().is_some_and(|p| p.end_list) {
        let playlist = hls::media(server.http, PLAYLIST);
        if let Some(last) = &last {
            assert_slides(last, &playlist);
        }
        if last.as_ref() != Some(&playlist) {
            for (n, segment) in playlist.segments.iter().enumerate() {
                segments.entry(playlist.media_sequence + n as u64).or_insert_with(|| {
                    let answer = hls::segment(server.http, PLAYLIST, &segment.uri);
                    assert_eq!(answer.status, 200);
                    (segment.clone(), answer.body)
                });
            }
        }
        last = Some(playlist);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    publisher.wait().silent();
    let last = last.unwrap();
    assert!(last.independent_segments);
    assert_eq!(last.target_duration, 1);
    assert!(segments.len() >= 12, "{}", segments.len());
    let numbers: Vec<_> = segments.keys().copied().collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
    assert!(segments.values().all(|(segment, _)| !segment.discontinuity));

    // Each is what the playlist says of it, and begins with a keyframe.
    let mut dates = segments.values().map(|(segment, _)| segment.program_date_time.unwrap());
    let mut before = dates.next().unwrap();
    for (date, (segment, _)) in dates.zip(segments.values()) {
        let distance = (date - before).num_milliseconds();
        #[allow(clippy::cast_possible_truncation)]
        let duration = (segment.duration * 1000.0) as i64;
        assert!((distance - duration).abs() < 200, "{distance} ms after a segment of {duration} ms");
        before = date;
    }
    // Sound may outlast the pictures of the last.
    for (segment, bytes) in segments.values().take(segments.len() - 1) {
        let file = Temporary::file("segment.ts", bytes);
        let frames = Frames::of(file.as_str(), clip.sound);
        #[allow(clippy::cast_precision_loss)]
        let pictures = frames.video.len() as f32;
        assert!((pictures * 0.04 - segment.duration).abs() < 0.05, "{pictures} pictures, {}", segment.duration);
    }
    let all: Vec<u8> = segments.values().flat_map(|(_, bytes)| bytes.clone()).collect();
    let file = Temporary::file("all.ts", &all);
    let file = file.as_str();
    Program::start(&ffmpeg(), ["-v", "warning", "-nostats", "-i", file, "-f", "null", "-"]).wait().silent();
    let (source, got) = (clip.frames(), Frames::of(file, clip.sound));
    for (source, got) in [(&source.video, &got.video), (&source.audio, &got.audio)] {
        assert_order(got);
        let (first, _) = assert_consecutive(source, got);
        assert_eq!(first + got.len(), source.len());
    }

    // The multivariant playlist knows better now.
    let master = hls::multivariant(server.http, "/live/movie.m3u8");
    let peak =
        segments.values().map(|(segment, bytes)| bytes.len() as f32 * 8.0 / segment.duration).fold(0.0, f32::max);
    #[allow(clippy::cast_precision_loss)]
    let bandwidth = master.variants[0].bandwidth as f32;
    assert!(bandwidth >= peak * 0.99 && bandwidth < peak * 2.0, "{bandwidth} for a peak of {peak}");
}

/// Panics unless a playlist follows another of the same stream (RFC 8216, 6.2.2).
#[track_caller]
fn assert_slides(before: &MediaPlaylist, after: &MediaPlaylist) {
    assert!(after.segments.len() <= WINDOW);
    assert_eq!(before.target_duration, after.target_duration);
    let gone = usize::try_from(after.media_sequence - before.media_sequence).unwrap();
    assert!(gone <= before.segments.len());
    let crossed = before.segments[..gone].iter().filter(|segment| segment.discontinuity).count();
    assert_eq!(before.discontinuity_sequence + crossed as u64, after.discontinuity_sequence);
    for (old, new) in before.segments[gone..].iter().zip(&after.segments) {
        assert_eq!((&old.uri, old.duration, old.discontinuity), (&new.uri, new.duration, new.discontinuity));
    }
    assert!(before.segments.len() - gone <= after.segments.len(), "none leaves from the end");
}

#[test]
fn keyframes_that_come_late_neither_break_nor_change_the_target_duration() {
    let server = Server::start(&["hls.segment=500ms", "hls.window=60"]);
    let clip = Recipe::new(12).gop(75).make();
    let publisher = server.publish(&clip);
    server.wait_on_air();
    let first = hls::media(server.http, PLAYLIST);
    publisher.wait().silent();
    let last = hls::media(server.http, PLAYLIST);
    assert_eq!((first.target_duration, last.target_duration), (3, 3));
    assert!(last.segments.iter().rev().skip(1).all(|segment| (segment.duration - 3.0).abs() < 0.1), "{last:#?}");
}

#[test]
fn the_first_request_waits_for_the_first_segment() {
    let server = Server::start(&["hls.segment=2s"]);
    let _publisher = server.publish(&Recipe::new(12).make());
    server.wait_on_air();
    let answer = http::get(server.http, PLAYLIST);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().contains("ENDLIST"));
}
