//! HLS in parts, as a player that knows Low-Latency HLS takes it, and as one that does not.

use std::collections::BTreeMap;

use m3u8_rs::Playlist;
use millrace_e2e::{
    Clip, Program, Server,
    clip::{Recipe, Temporary},
    frames::{Frames, assert_consecutive, assert_order, probe},
    http,
    process::{current_ffmpeg, ffmpeg},
};

const PLAYLIST: &str = "/live/movie/cmaf.m3u8";

/// The media playlist as text, which an independent parser understands.
#[track_caller]
fn playlist(server: &Server, query: &str) -> String {
    let response = http::get(server.http, &format!("{PLAYLIST}{query}"));
    assert_eq!(response.status, 200, "{}", response.text());
    match m3u8_rs::parse_playlist_res(&response.body) {
        Ok(Playlist::MediaPlaylist(list)) => {
            assert!(!list.segments.is_empty());
            #[allow(clippy::cast_precision_loss)]
            let target = list.target_duration as f32;
            assert!(list.segments.iter().all(|segment| segment.duration.round() <= target), "{}", response.text());
        }
        other => panic!("{other:?}\n{}", response.text()),
    }
    response.text().to_owned()
}

#[track_caller]
fn get(server: &Server, name: &str) -> Vec<u8> {
    let response = http::get(server.http, &format!("/live/movie/{name}"));
    assert_eq!((response.status, response.header("content-type")), (200, Some("video/mp4")), "{name}");
    response.body
}

/// The names in lines that begin so.
fn named<'a>(text: &'a str, tag: &'a str) -> impl Iterator<Item = &'a str> {
    let quoted = |line: &'a str| line.split_once("URI=\"").unwrap().1.split('"').next().unwrap();
    text.lines().filter(move |line| line.starts_with(tag)).map(quoted)
}

/// Segment and part in the name of a part.
fn numbers(name: &str) -> (u64, u64) {
    let mut numbers = name.split(['-', '.']).skip(1);
    let mut number = || numbers.next().unwrap().parse().unwrap();
    (number(), number())
}

/// Panics unless these are all frames of the clip from some keyframe on, with the same offset.
#[track_caller]
fn compare(clip: &Clip, got: &Frames) {
    let source = clip.frames();
    let mut shifts = Vec::new();
    for (source, got) in [(&source.video, &got.video), (&source.audio, &got.audio)] {
        assert_order(got);
        let (first, track) = assert_consecutive(source, got);
        assert_eq!(first + got.len(), source.len(), "the end is missing");
        assert!(got.len() > 50);
        shifts.extend(track);
    }
    let (least, most) = shifts.iter().fold((f64::MAX, f64::MIN), |(a, b), s| (a.min(*s), b.max(*s)));
    assert!(most - least <= 5.0, "times are shifted by {least} to {most} ms");
}

#[test]
fn parts_taken_as_they_are_announced_are_the_whole_stream_and_so_are_segments() {
    let server = Server::start(&["hls.segment=1s", "hls.window=60"]);
    let clip = Recipe::new(10).make();
    let publisher = server.publish(&clip);
    server.wait_on_air();
    let mut text = playlist(&server, "");
    let mut parts = BTreeMap::new();
    while !text.contains("#EXT-X-ENDLIST") {
        for name in named(&text, "#EXT-X-PART:") {
            parts.entry(numbers(name)).or_insert_with(|| get(&server, name));
        }
        let hint = named(&text, "#EXT-X-PRELOAD-HINT:").next().expect("a hint").to_owned();
        let (segment, part) = numbers(&hint);
        text = playlist(&server, &format!("?_HLS_msn={segment}&_HLS_part={part}"));
        let there = named(&text, "#EXT-X-PART:").any(|name| name == hint);
        assert!(there || text.contains("#EXT-X-ENDLIST"), "what was waited for: {text}");
    }
    publisher.wait().silent();
    for name in named(&text, "#EXT-X-PART:") {
        parts.entry(numbers(name)).or_insert_with(|| get(&server, name));
    }
    let inits: Vec<_> = named(&text, "#EXT-X-MAP:").collect();
    let [init] = inits[..] else { panic!("{text}") };
    let init = get(&server, init);
    let by_parts: Vec<u8> = init.iter().copied().chain(parts.into_values().flatten()).collect();
    let segments = text.lines().filter(|line| !line.starts_with('#')).flat_map(|name| get(&server, name));
    let by_segments: Vec<u8> = init.iter().copied().chain(segments).collect();
    assert!(by_parts == by_segments, "segments are their parts");

    let file = Temporary::file("all.mp4", &by_parts);
    compare(&clip, &Frames::of(file.as_str(), clip.sound));
    let url = server.http_url(PLAYLIST);
    compare(&clip, &Frames::of(&url, clip.sound));
    for ffmpeg in [ffmpeg(), current_ffmpeg()] {
        Program::start(&ffmpeg, ["-v", "warning", "-nostats", "-i", &url, "-f", "null", "-"]).wait().silent();
    }
    let mut codecs: Vec<_> = probe(&url).iter().map(|s| s["codec_name"].as_str().unwrap().to_owned()).collect();
    codecs.sort_unstable();
    assert_eq!(codecs, ["aac", "h264"]);
}

#[test]
fn a_publisher_that_returns_with_another_picture_is_a_discontinuity_with_an_init_segment_of_its_own() {
    let server = Server::start(&["hls.segment=1s", "hls.window=60"]);
    let first = server.publish(&Recipe::new(20).make());
    server.wait_on_air();
    playlist(&server, "");
    std::thread::sleep(std::time::Duration::from_secs(2));
    first.kill();
    server.wait_for_stream("movie", "waiting for its publisher", |s| s["state"] == "reconnecting");
    let away = playlist(&server, "");
    assert!(!away.contains("CAN-BLOCK-RELOAD") && !away.contains("PRELOAD-HINT"), "nobody is to wait: {away}");
    let second = server.publish(&Recipe::new(6).size("640x360").make());
    second.wait().silent();
    let text = playlist(&server, "");
    assert!(text.contains("#EXT-X-ENDLIST"), "{text}");
    let periods: Vec<_> = text.split("#EXT-X-DISCONTINUITY\n").collect();
    assert_eq!(periods.len(), 2, "{text}");
    let mut init = String::new();
    for (period, width) in periods.iter().zip([320, 640]) {
        let map = named(period, "#EXT-X-MAP:").next().unwrap();
        assert_ne!(std::mem::replace(&mut init, map.to_owned()), map, "{text}");
        let names = period.lines().filter(|line| line.ends_with(".m4s"));
        let bytes: Vec<u8> = std::iter::once(map).chain(names).flat_map(|name| get(&server, name)).collect();
        let file = Temporary::file("period.mp4", &bytes);
        let arguments = ["-v", "error", "-nostats", "-i", file.as_str(), "-f", "null", "-"];
        Program::start(&ffmpeg(), arguments).wait().silent();
        let streams = probe(file.as_str());
        assert_eq!(streams.iter().find(|s| s["codec_type"] == "video").unwrap()["width"], width);
    }
}
