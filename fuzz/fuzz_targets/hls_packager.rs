//! Whatever units come and however they are interrupted, in either format: the target duration never
//! changes and is never exceeded, numbers rise, and everything that is listed can be had.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use millrace_hls::{CmafContainer, Container, HlsConfig, HlsPackager, HlsSnapshot, ResourceName, TsContainer, Turn};
use millrace_media::{AacConfig, AudioConfig, AvcConfig, Frame, Timestamp, TrackKind, Unit, VideoConfig};

fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((format, steps)) if format & 1 == 0 => run(TsContainer::default(), steps),
        Some((_, steps)) => run(CmafContainer::default(), steps),
        None => {}
    }
});

fn run(container: impl Container, steps: &[u8]) {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let mut packager = HlsPackager::new(&HlsConfig { window: 3, ..HlsConfig::default() }, container, start);
    let mut seen = Seen::default();
    let mut clock = 0i64;
    for &[kind, step] in steps.as_chunks::<2>().0 {
        clock += i64::from(step) << (kind >> 5);
        let now = start + Duration::from_millis(clock.unsigned_abs());
        let unit = match kind & 15 {
            0 => Unit::Discontinuity,
            1 => video(step),
            2 => audio(step),
            3 => {
                if packager.pause() {
                    seen.check(packager.publish().as_deref());
                }
                continue;
            }
            4 if step == 0 => {
                packager.suspend();
                continue;
            }
            kind @ 4..=9 => frame(TrackKind::Audio, true, clock + i64::from(kind) * 5),
            10 => frame(TrackKind::Video, true, clock),
            _ => frame(TrackKind::Video, false, clock),
        };
        if packager.push(&unit, now) == Ok(true) {
            seen.check(packager.publish().as_deref());
        }
    }
    if let Some(last) = packager.end() {
        seen.check(Some(&last));
        assert!(last.ended && last.playlist.to_vec().ends_with(b"#EXT-X-ENDLIST\n"));
    }
}

/// What the snapshots said so far.
#[derive(Default)]
struct Seen {
    target: Option<u64>,
    newest: u64,
}

impl Seen {
    fn check(&mut self, snapshot: Option<&HlsSnapshot>) {
        let Some(snapshot) = snapshot else { return };
        let text = String::from_utf8(snapshot.playlist.to_vec()).expect("UTF-8");
        let value = |tag: &str| text.lines().find_map(|l| l.strip_prefix(tag)).map(|v| v.parse::<u64>().expect(tag));
        let target = value("#EXT-X-TARGETDURATION:").expect("a target duration");
        assert_eq!(*self.target.get_or_insert(target), target);
        let names: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        let listed = &snapshot.segments()[snapshot.segments().len() - names.len()..];
        for (name, segment) in names.iter().zip(listed) {
            assert_eq!(*name, segment.name.to_string());
            assert!((segment.duration.as_millis() + 500) / 1000 <= u128::from(target));
        }
        let uris = text.lines().filter(|line| !line.starts_with("#EXT-X-PRELOAD-HINT"));
        let uris = uris.filter_map(|line| line.split("URI=\"").nth(1)?.split('"').next());
        for name in names.iter().copied().chain(uris) {
            let name = ResourceName::parse(name).expect("a name of a format");
            let Turn::Now(content) = snapshot.resource(name) else { panic!("{name} is listed") };
            assert!(!content.to_vec().is_empty());
        }
        let first = value("#EXT-X-MEDIA-SEQUENCE:").expect("a number");
        assert!(names.is_empty() || first + names.len() as u64 == snapshot.newest + 1);
        assert!(snapshot.newest >= self.newest);
        self.newest = snapshot.newest;
    }
}

fn video(level: u8) -> Unit {
    let record = vec![1, 100, 0, level, 0xff, 0xe1, 0, 2, 0x67, 0x64, 1, 0, 1, 0x68];
    Unit::VideoConfig(Arc::new(VideoConfig::Avc(AvcConfig::parse(record.into()).expect("a record"))))
}

fn audio(choice: u8) -> Unit {
    // AAC LC at 48 kHz, stereo or mono, and ER AAC LD, which is refused.
    let config = [&[0x11, 0x90][..], &[0x11, 0x88], &[0xb9, 0x90, 0x00]][usize::from(choice % 3)];
    Unit::AudioConfig(Arc::new(AudioConfig::Aac(AacConfig::parse(config.to_vec().into()).expect("a configuration"))))
}

fn frame(track: TrackKind, keyframe: bool, ms: i64) -> Unit {
    let at = Timestamp::from_millis(ms);
    Unit::Frame(Frame { track, keyframe, dts: at, pts: at, payload: vec![0, 0, 0, 2, 0x41, 0].into() })
}
