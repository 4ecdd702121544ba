//! A stream in CMAF, and what its players make of it.
#![allow(dead_code)] // each test takes what it needs

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use millrace_hls::{CmafContainer, HlsConfig, HlsPackager, HlsSnapshot, PlaylistQuery, ResourceName, Turn};
use millrace_media::{AacConfig, AudioConfig, AvcConfig, Frame, Timestamp, TrackKind, Unit, VideoConfig};

/// 2026-01-01T00:00:00Z
pub(crate) const START: u64 = 1_767_225_600_000;
pub(crate) const FIRST: u64 = 31_536_000;

pub(crate) fn wall(ms: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(START.checked_add_signed(ms).unwrap())
}

pub(crate) fn avc(level: u8) -> Unit {
    let mut x264 = vec![
        0x01, 0x4d, 0x40, level, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x4d, 0x40, 0x1e, 0xec, 0xa0, 0x50, 0x17, 0xfc, 0xb8,
        0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x07, 0x8b, 0x16, 0xcb, 0x01, 0x00, 0x05, 0x68,
        0xeb, 0xe3, 0xcb, 0x20,
    ];
    x264[11] = level;
    Unit::VideoConfig(Arc::new(VideoConfig::Avc(AvcConfig::parse(x264.into()).unwrap())))
}

pub(crate) fn aac() -> Unit {
    let config = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap();
    Unit::AudioConfig(Arc::new(AudioConfig::Aac(config)))
}

pub(crate) fn frame(track: TrackKind, ms: i64, keyframe: bool) -> Unit {
    let at = Timestamp::from_millis(ms);
    let payload = match track {
        TrackKind::Video => vec![0, 0, 0, 4, if keyframe { 0x65 } else { 0x41 }, 0xa5, 0xa5, 0xa5],
        TrackKind::Audio => vec![0x21; 20],
    };
    Unit::Frame(Frame { track, keyframe, dts: at, pts: at, payload: payload.into() })
}

pub(crate) struct Stream {
    pub(crate) packager: HlsPackager<CmafContainer>,
    pub(crate) snapshots: Vec<Arc<HlsSnapshot>>,
}

impl Stream {
    pub(crate) fn new(config: &HlsConfig, tracks: &[Unit]) -> Self {
        let mut packager = HlsPackager::new(config, CmafContainer::default(), wall(0));
        for track in tracks {
            packager.push(track, wall(0)).unwrap();
        }
        Self { packager, snapshots: Vec::new() }
    }

    /// One whose keyframe distance is known, as it is to the hub.
    pub(crate) fn usual(window: usize) -> Self {
        let config = HlsConfig { window, longest_gop: Some(Duration::from_secs(2)), ..HlsConfig::default() };
        Self::new(&config, &[avc(30), aac()])
    }

    pub(crate) fn push(&mut self, unit: &Unit, ms: i64) {
        if self.packager.push(unit, wall(ms)).unwrap() {
            self.snapshots.extend(self.packager.publish());
        }
    }

    /// 25 pictures a second with a keyframe every two, and sound.
    pub(crate) fn live(&mut self, from: i64, to: i64) {
        for ms in (from..to).step_by(40) {
            self.push(&frame(TrackKind::Video, ms, (ms - from) % 2000 == 0), ms);
            self.push(&frame(TrackKind::Audio, ms, true), ms);
            self.push(&frame(TrackKind::Audio, ms + 20, true), ms + 20);
        }
    }

    pub(crate) fn last(&self) -> &HlsSnapshot {
        self.snapshots.last().unwrap()
    }
}

pub(crate) fn text(s: &HlsSnapshot) -> String {
    String::from_utf8(s.playlist.to_vec()).unwrap()
}

/// Durations and independence of the parts that are listed.
pub(crate) fn parts(text: &str) -> Vec<(f64, bool)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("#EXT-X-PART:DURATION="));
    lines.map(|line| (line.split(',').next().unwrap().parse().unwrap(), line.contains("INDEPENDENT=YES"))).collect()
}

pub(crate) fn value(text: &str, before: &str) -> f64 {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("{before} in {text}")).1;
    rest.split([',', '\n']).next().unwrap().parse().unwrap()
}

pub(crate) fn ask(s: &HlsSnapshot, query: &str) -> Turn<String> {
    match s.playlist(&PlaylistQuery::parse(query).unwrap()) {
        Turn::Now(content) => Turn::Now(String::from_utf8(content.to_vec()).unwrap()),
        Turn::Wait => Turn::Wait,
        Turn::Never(why) => Turn::Never(why),
    }
}

pub(crate) fn get(s: &HlsSnapshot, name: &str) -> Turn<usize> {
    match s.resource(ResourceName::parse(name).unwrap()) {
        Turn::Now(content) => Turn::Now(content.len()),
        Turn::Wait => Turn::Wait,
        Turn::Never(why) => Turn::Never(why),
    }
}
