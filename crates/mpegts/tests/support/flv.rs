//! FLV files as units.

use bytes::Bytes;
use millrace_flv::Depacketizer;
use millrace_media::{Frame, TrackKind, Unit};

/// The units of a whole file.
pub fn read(file: Vec<u8>) -> Vec<Unit> {
    let file = Bytes::from(file);
    let mut depacketizer = Depacketizer::new();
    let mut units = Vec::new();
    let mut at = 9 + 4;
    while at + 11 <= file.len() {
        let size = usize::from(file[at + 1]) << 16 | usize::from(file[at + 2]) << 8 | usize::from(file[at + 3]);
        let clock = u32::from_be_bytes([file[at + 7], file[at + 4], file[at + 5], file[at + 6]]);
        let body = file.slice(at + 11..at + 11 + size);
        units.extend(match file[at] {
            8 => depacketizer.audio(clock, &body).unwrap(),
            9 => depacketizer.video(clock, &body).unwrap(),
            _ => depacketizer.script(&body).unwrap(),
        });
        at += 11 + size + 4;
    }
    units
}

/// A file among the test data of the FLV crate.
pub fn fixture(name: &str) -> Vec<Unit> {
    let path = format!("{}/../flv/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    read(std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}")))
}

pub fn frames(units: &[Unit], track: TrackKind) -> Vec<&Frame> {
    units
        .iter()
        .filter_map(|unit| match unit {
            Unit::Frame(frame) if frame.track == track => Some(frame),
            _ => None,
        })
        .collect()
}
