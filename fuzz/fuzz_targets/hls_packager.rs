//! Whatever units come and however they are interrupted: the target duration never changes and is
//! never exceeded, numbers rise, and every listed segment can be had and is whole packets.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use millrace_hls::{HlsConfig, HlsPackager, HlsSnapshot, SegmentLookup};
use millrace_media::{AacConfig, AudioConfig, AvcConfig, Frame, Timestamp, TrackKind, Unit, VideoConfig};

fuzz_target!(|bytes: &[u8]| {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let mut packager = HlsPackager::new(&HlsConfig { window: 3, ..HlsConfig::default() }, "name", start);
    let (mut clock, mut target, mut newest) = (0i64, None, 0);
    let mut check = |snapshot: &HlsSnapshot| {
        let text = std::str::from_utf8(&snapshot.media_playlist).expect("UTF-8");
        let value = |tag: &str| text.lines().find_map(|l| l.strip_prefix(tag)).map(|v| v.parse::<u64>().expect(tag));
        let this = value("#EXT-X-TARGETDURATION:").expect("a target duration");
        assert_eq!(*target.get_or_insert(this), this);
        let names: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        for name in &names {
            let SegmentLookup::Found(segment) = snapshot.segment(name) else { panic!("{name} is listed") };
            assert!((segment.duration.as_millis() + 500) / 1000 <= u128::from(this));
            assert!(!segment.bytes.is_empty() && segment.bytes.len().is_multiple_of(188));
        }
        let first = value("#EXT-X-MEDIA-SEQUENCE:").expect("a number");
        assert_eq!(first + names.len() as u64, snapshot.newest + 1);
        assert!(snapshot.newest >= newest);
        newest = snapshot.newest;
    };
    for &[kind, step] in bytes.as_chunks::<2>().0 {
        clock += i64::from(step) << (kind >> 5);
        let now = start + Duration::from_millis(clock.unsigned_abs());
        let unit = match kind & 15 {
            0 => Unit::Discontinuity,
            1 => video(step),
            2 => audio(step),
            3 => {
                if let Some(snapshot) = packager.pause() {
                    check(&snapshot);
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
        if let Ok(Some(snapshot)) = packager.push(&unit, now) {
            check(&snapshot);
        }
    }
    if let Some(snapshot) = packager.end() {
        check(&snapshot);
        assert!(snapshot.media_playlist.ends_with(b"#EXT-X-ENDLIST\n"));
    }
});

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
