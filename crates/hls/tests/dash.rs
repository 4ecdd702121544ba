//! The manifest of MPEG-DASH, as FFmpeg plays it.
#![allow(clippy::unwrap_used)]

#[path = "../../mpegts/tests/support/mod.rs"]
mod support;

#[path = "support/mod.rs"]
mod hls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use millrace_hls::{CmafContainer, HlsConfig, HlsPackager, HlsSnapshot, ResourceName, Turn, clock};
use millrace_media::{Frame, TrackKind, Unit};
use support::ffmpeg::{self, encode};
use support::flv;

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600) // 2026-01-01
}

fn packager() -> HlsPackager<CmafContainer> {
    let config = HlsConfig { window: 100, ..HlsConfig::default() };
    HlsPackager::new(&config, CmafContainer::default(), start())
}

/// Pushes units as they come from a publisher, `after` the packager began.
fn push(packager: &mut HlsPackager<CmafContainer>, units: &[Unit], after: Duration) {
    for unit in units {
        let now = match unit {
            Unit::Frame(f) => start() + Duration::from_nanos(f.dts.as_nanos().unsigned_abs()),
            _ => start() + after,
        };
        packager.push(unit, now).unwrap();
    }
}

/// The stream as if its publisher had come back with it, `gap` later.
fn later(units: &[Unit], gap: Duration) -> Vec<Unit> {
    let moved = |frame: &Frame| Frame { dts: frame.dts + gap, pts: frame.pts + gap, ..frame.clone() };
    let units = units.iter().map(|unit| match unit {
        Unit::Frame(frame) => Unit::Frame(moved(frame)),
        other => other.clone(),
    });
    std::iter::once(Unit::Discontinuity).chain(units).collect()
}

fn text(snapshot: &HlsSnapshot) -> String {
    String::from_utf8(snapshot.mpd("movie").unwrap().to_vec()).unwrap()
}

/// The values of an attribute, in order.
fn values<'a>(mpd: &'a str, attribute: &str) -> Vec<&'a str> {
    let begin = format!(" {attribute}=\"");
    mpd.split(&begin).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

/// The names of all segments of all tracks, as a player makes them of the manifest.
fn names(mpd: &str) -> Vec<String> {
    let mut names = vec![];
    let mut media = "";
    let mut next = 0u64;
    for line in mpd.lines().map(str::trim) {
        if line.starts_with("<SegmentTemplate") {
            media = values(line, "media")[0];
            names.push(values(line, "initialization")[0].to_owned());
        } else if line.starts_with("<S ") {
            next = values(line, "t").first().map_or(next, |t| t.parse().unwrap());
            let repeat: u64 = values(line, "r").first().map_or(0, |r| r.parse().unwrap());
            for _ in 0..=repeat {
                names.push(media.replace("$Time$", &next.to_string()));
                next += values(line, "d")[0].parse::<u64>().unwrap();
            }
        }
    }
    names
}

fn fetch(snapshot: &HlsSnapshot, name: &str) -> Vec<u8> {
    let name = ResourceName::parse(name.strip_prefix("movie/").unwrap()).unwrap();
    match snapshot.resource(name) {
        Turn::Now(content) => content.to_vec(),
        other => panic!("{name}: {other:?}"),
    }
}

/// A directory with the manifest and what it names, which goes when it is dropped.
struct Site(PathBuf);

impl Site {
    fn new(name: &str, snapshot: &HlsSnapshot) -> Self {
        let dir = std::env::temp_dir().join(format!("millrace-dash-{}-{name}", std::process::id()));
        std::fs::create_dir_all(dir.join("movie")).unwrap();
        std::fs::write(dir.join("movie.mpd"), text(snapshot)).unwrap();
        for name in names(&text(snapshot)) {
            std::fs::write(dir.join(&name), fetch(snapshot, &name)).unwrap();
        }
        Self(dir)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const FILM: &str = "-f lavfi -i testsrc2=size=320x180:rate=30 -f lavfi -i sine=sample_rate=44100 -t 9 \
                    -c:v libx264 -preset veryfast -bf 3 -g 60 -sc_threshold 0 -pix_fmt yuv420p -c:a aac";

#[test]
fn ffmpeg_plays_every_frame_of_both_tracks() {
    for (name, arguments) in [
        ("film", FILM),
        ("silent", "-f lavfi -i testsrc2=size=320x180:rate=25 -t 5 -c:v libx264 -g 50 -pix_fmt yuv420p"),
        ("radio", "-f lavfi -i sine=sample_rate=48000 -t 7 -c:a libmp3lame"),
    ] {
        let units = encode(&format!("dash-{name}"), arguments);
        let mut packager = packager();
        push(&mut packager, &units, Duration::ZERO);
        let snapshot = packager.end().unwrap();
        let site = Site::new(name, &snapshot);
        let (pictures, samples) = ffmpeg::decode(&site.0.join("movie.mpd"));
        assert_eq!(pictures, flv::frames(&units, TrackKind::Video).len(), "{name}");
        let sounds = flv::frames(&units, TrackKind::Audio).len();
        let of_frame = if name == "radio" { 1152 } else { 1024 };
        // FFmpeg's MP3 decoder is silent for the encoder's delay.
        let missing = sounds * of_frame - samples;
        assert!(missing <= if name == "radio" { 2 * 1152 } else { 0 }, "{name}: {missing} samples are missing");
    }
}

#[test]
fn the_manifest_says_what_the_stream_is() {
    let units = encode("dash-says", FILM);
    let mut packager = packager();
    push(&mut packager, &units, Duration::ZERO);
    let mpd = text(&packager.publish().unwrap());
    let one = |attribute: &str| {
        let found = values(&mpd, attribute);
        assert_eq!(found.len(), 1, "{attribute}: {mpd}");
        found[0]
    };
    assert_eq!(one("profiles"), "urn:mpeg:dash:profile:isoff-live:2011");
    assert_eq!(one("type"), "dynamic");
    assert!(one("availabilityStartTime").starts_with("2026-01-01T00:00:00"), "{mpd}");
    assert!(one("publishTime").starts_with("2026-01-01T00:00:08"), "{mpd}");
    assert_eq!((one("minimumUpdatePeriod"), one("suggestedPresentationDelay")), ("PT1.000S", "PT6.000S"));
    assert_eq!(one("frameRate"), "30");
    assert_eq!((one("width"), one("height"), one("audioSamplingRate")), ("320", "180", "44100"));
    assert_eq!(values(&mpd, "codecs"), ["avc1.64000d", "mp4a.40.2"]);
    assert_eq!(values(&mpd, "mimeType"), ["video/mp4", "audio/mp4"]);
    assert_eq!(values(&mpd, "startWithSAP"), ["1", "1"]);
    assert_eq!(values(&mpd, "timescale"), ["90000", "44100"]);
    assert_eq!(values(&mpd, "start"), ["PT0.000S"]);
    assert!(mpd.contains(r#"<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-xsdate:2014" value="movie/clock"/>"#));
    let bandwidths: Vec<u64> = values(&mpd, "bandwidth").iter().map(|b| b.parse().unwrap()).collect();
    assert!(bandwidths[0] > 50_000 && (50_000..200_000).contains(&bandwidths[1]), "{bandwidths:?}");

    let ended = text(&packager.end().unwrap());
    assert_eq!(values(&ended, "type"), ["static"]);
    assert!(values(&ended, "mediaPresentationDuration")[0].starts_with("PT9.0"), "{ended}");
    for gone in ["minimumUpdatePeriod", "timeShiftBufferDepth", "suggestedPresentationDelay"] {
        assert!(values(&ended, gone).is_empty(), "{ended}");
    }
    assert_eq!(values(&ended, "availabilityStartTime"), values(&mpd, "availabilityStartTime"));
    assert!(!ended.contains("UTCTiming"));
}

#[test]
fn a_publisher_that_comes_back_begins_a_period_which_stays_as_it_was_said() {
    let units = encode("dash-back", FILM);
    let mut packager = packager();
    push(&mut packager, &units, Duration::ZERO);
    assert!(packager.pause());
    let gap = Duration::from_secs(14);
    push(&mut packager, &later(&units, gap), gap);
    let snapshot = packager.publish().unwrap();
    let mpd = text(&snapshot);
    let ids = values(&mpd, "id").into_iter().filter(|id| id.contains('-')).collect::<Vec<_>>();
    assert_eq!(ids.len(), 2, "{mpd}");
    assert!(ids[0].ends_with("-0") && ids[1].ends_with("-1"));
    let starts = values(&mpd, "start");
    assert_eq!(starts[0], "PT0.000S");
    let second: f64 = starts[1][2..starts[1].len() - 1].parse().unwrap();
    assert!((second - 14.0).abs() < 0.1, "{starts:?}");
    for name in names(&mpd) {
        assert!(!fetch(&snapshot, &name).is_empty());
    }
    // The offset is the time of the period's first picture, and sound's is the same moment.
    let offsets: Vec<f64> = values(&mpd, "presentationTimeOffset").iter().map(|o| o.parse().unwrap()).collect();
    assert!((offsets[0] / 90_000.0 - offsets[1] / 44_100.0).abs() < 0.0001);
    assert!((offsets[2] / 90_000.0 - offsets[0] / 90_000.0 - 14.0).abs() < 0.0001);
    let ended = text(&packager.end().unwrap());
    assert_eq!(values(&ended, "start"), starts);
    assert_eq!(values(&ended, "presentationTimeOffset"), values(&mpd, "presentationTimeOffset"));
}

#[test]
fn a_server_clock_that_is_set_forward_moves_what_comes_not_what_was_said() {
    let mut packager = packager();
    let mut mpds = vec![];
    packager.push(&hls::avc(30), start()).unwrap();
    for ms in (0..30_000).step_by(40) {
        let set = if ms < 10_000 { 0 } else { 3_600_000 };
        let unit = hls::frame(TrackKind::Video, ms, ms % 2000 == 0);
        if packager.push(&unit, start() + Duration::from_millis((ms + set).unsigned_abs())).unwrap() {
            mpds.extend(packager.publish().map(|snapshot| text(&snapshot)));
        }
    }
    let last = mpds.last().unwrap();
    let starts = values(last, "start");
    assert_eq!((starts.len(), starts[0]), (2, "PT0.000S"), "{last}");
    let second: f64 = starts[1][2..starts[1].len() - 1].parse().unwrap();
    assert!((3614.0..3618.0).contains(&second), "after three segments: {starts:?}");
    assert!(mpds.iter().all(|mpd| values(mpd, "availabilityStartTime") == values(last, "availabilityStartTime")));
}

#[test]
fn what_has_left_and_what_never_was_are_told_apart() {
    let units = encode("dash-left", FILM);
    let config = HlsConfig { window: 1, segment: Duration::from_millis(500), ..HlsConfig::default() };
    let mut packager = HlsPackager::new(&config, CmafContainer::default(), start());
    let mut first = None;
    for unit in &units {
        packager.push(unit, start()).unwrap();
        first = first.or_else(|| packager.publish().map(|snapshot| names(&text(&snapshot))));
    }
    let snapshot: Arc<HlsSnapshot> = packager.publish().unwrap();
    let look = |name: &str| snapshot.resource(ResourceName::parse(name.strip_prefix("movie/").unwrap()).unwrap());
    let first = first.unwrap();
    let gone = first.iter().find(|name| name.contains("-v") && name.ends_with(".m4s")).unwrap();
    assert!(matches!(look(gone), Turn::Never(why) if why.to_string().contains("left the live window")));
    let never = gone.replace(".m4s", "0.m4s");
    assert!(matches!(look(&never), Turn::Never(why) if why.to_string().contains("no such segment")));
    assert!(matches!(look(&first[0]), Turn::Now(_)), "the configuration is still in force");
}

#[test]
fn the_clock_is_a_date_of_xml_schema() {
    assert_eq!(clock(start() + Duration::from_millis(1234)).to_vec(), b"2026-01-01T00:00:01.234Z".to_vec());
}
