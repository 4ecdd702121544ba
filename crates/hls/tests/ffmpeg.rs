//! Whole streams through the packager, judged by FFmpeg.
#![allow(clippy::unwrap_used)]

#[path = "../../mpegts/tests/support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use millrace_hls::{HlsConfig, HlsPackager, HlsSnapshot, TsContainer};
use millrace_media::{TrackKind, Unit};
use support::ffmpeg::{self, TempFile};
use support::{flv, monitor};

fn package(units: &[Unit]) -> HlsSnapshot {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let config = HlsConfig { window: 100, ..HlsConfig::default() };
    let mut packager = HlsPackager::new(&config, TsContainer::default(), start);
    for unit in units {
        let now = match unit {
            Unit::Frame(f) => start + Duration::from_nanos(f.dts.as_nanos().unsigned_abs()),
            _ => start,
        };
        packager.push(unit, now).unwrap();
    }
    assert_eq!(packager.skipped_frames(), 0);
    std::sync::Arc::into_inner(packager.end().unwrap()).unwrap()
}

/// A directory with the playlist and its segments, which goes when it is dropped.
struct Site(PathBuf);

impl Site {
    fn new(name: &str, snapshot: &HlsSnapshot) -> Self {
        let dir = std::env::temp_dir().join(format!("millrace-hls-{}-{name}", std::process::id()));
        std::fs::create_dir_all(dir.join("movie")).unwrap();
        std::fs::write(dir.join("movie/ts.m3u8"), snapshot.playlist.to_vec()).unwrap();
        for segment in snapshot.segments() {
            std::fs::write(dir.join("movie").join(segment.name.to_string()), segment.content.to_vec()).unwrap();
        }
        Self(dir)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_frame_is_in_one_segment_at_its_time() {
    for (name, segments, arguments) in [
        (
            "film",
            5,
            "-f lavfi -i testsrc2=size=640x360:rate=30 -f lavfi -i sine=sample_rate=44100 -t 10 \
             -c:v libx264 -preset veryfast -bf 3 -g 60 -sc_threshold 0 -pix_fmt yuv420p -c:a aac",
        ),
        (
            "variable-rate",
            4,
            "-f lavfi -i testsrc2=size=320x180:rate=30 -f lavfi -i sine=sample_rate=48000 -t 8 \
             -vf select='not(mod(n\\,7))+gt(random(1)\\,0.4)' -fps_mode vfr \
             -c:v libx264 -preset veryfast -bf 2 -force_key_frames expr:gte(t,n_forced*2) -pix_fmt yuv420p -c:a libmp3lame",
        ),
    ] {
        let units = ffmpeg::encode(name, arguments);
        let snapshot = package(&units);
        assert_eq!(snapshot.segments().len(), segments, "{name}");
        let joined: Vec<u8> = snapshot.segments().iter().flat_map(|s| s.content.to_vec()).collect();
        let report = monitor::check(&joined);
        report.assert_in_time();
        assert!(report.tables_interval <= 100.0, "{name}: {}", report.tables_interval);
        let file = TempFile::with(&format!("{name}-joined.ts"), &joined);
        let packets = ffmpeg::packets(file.path());
        for track in [TrackKind::Video, TrackKind::Audio] {
            let given = flv::frames(&units, track);
            let found: Vec<_> = packets.iter().filter(|p| p.video == (track == TrackKind::Video)).collect();
            assert_eq!(found.len(), given.len(), "{name} {track:?}");
            for (found, given) in found.iter().zip(&given) {
                // One offset for both tracks.
                let off = (found.pts - millrace_media::EPOCH.as_secs_f64() - given.pts.as_secs_f64()).abs();
                assert!(off < 0.0015, "{name}: {found:?} {given:?}");
            }
        }
        let site = Site::new(name, &snapshot);
        let (pictures, samples) = ffmpeg::decode(&site.0.join("movie/ts.m3u8"));
        assert_eq!(pictures, flv::frames(&units, TrackKind::Video).len(), "{name}");
        assert!(samples > 44_100 * 7, "{name}");
    }
}

#[test]
fn a_radio_is_cut_by_duration_without_a_gap() {
    let units = ffmpeg::encode("radio", "-f lavfi -i sine=sample_rate=44100 -t 9 -c:a aac -b:a 64k");
    let snapshot = package(&units);
    assert_eq!(snapshot.segments().len(), 5);
    let site = Site::new("radio", &snapshot);
    let (_, samples) = ffmpeg::decode(&site.0.join("movie/ts.m3u8"));
    assert_eq!(samples, flv::frames(&units, TrackKind::Audio).len() * 1024);
    let total: f64 = snapshot.segments().iter().map(|s| s.duration.as_secs_f64()).sum();
    assert!((total - 9.0).abs() < 0.06, "{total}");
}
