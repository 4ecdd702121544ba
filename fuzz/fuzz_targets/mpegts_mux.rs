//! Any configuration and any frames become whole packets of known PIDs with gapless continuity
//! counters, or are refused; and tables begin every segment.
#![no_main]

use std::collections::HashMap;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use millrace_media::{AacConfig, AudioConfig, AvcConfig, Frame, Timestamp, TrackKind, VideoConfig};
use millrace_mpegts::{Muxer, PACKET_LEN};

fuzz_target!(|bytes: &[u8]| {
    let mut input = bytes;
    let mut muxer = Muxer::new();
    if let Ok(config) = AvcConfig::parse(take(&mut input).to_vec().into()) {
        muxer.set_video(Arc::new(VideoConfig::Avc(config))).expect("H.264 is carried");
    }
    if let Ok(config) = AacConfig::parse(take(&mut input).to_vec().into()) {
        let _ = muxer.set_audio(Arc::new(AudioConfig::Aac(config)));
    }
    let mut out = Vec::new();
    let mut clock = 0i64;
    while let Some((&[kind, step], rest)) = input.split_first_chunk::<2>() {
        input = rest;
        clock += i64::from(step) << (kind >> 4); // up to eight seconds
        match kind & 7 {
            0 => muxer.discontinuity(&mut out),
            1 => {
                muxer.flush(&mut out);
                muxer.begin_segment();
                let start = out.len();
                let at = Timestamp::from_millis(clock);
                let payload = vec![0, 0, 0, 1, 0x65].into();
                let frame = Frame { track: TrackKind::Video, keyframe: true, dts: at, pts: at, payload };
                if muxer.push(&frame, &mut out).is_ok() && out.len() > start {
                    assert_eq!(out[start + 1..start + 3], [0x40, 0], "a segment begins with the tables");
                }
            }
            kind => {
                let payload = take(&mut input).to_vec();
                let track = if kind & 1 == 0 { TrackKind::Video } else { TrackKind::Audio };
                let dts = Timestamp::from_millis(if kind == 7 { -clock } else { clock });
                let pts = dts.offset_millis(i64::from(step) - 40);
                let _ =
                    muxer.push(&Frame { track, keyframe: kind & 2 != 0, dts, pts, payload: payload.into() }, &mut out);
            }
        }
    }
    muxer.flush(&mut out);
    check(&out);
});

/// A field of up to 64 KiB: its length in two bytes, then as much as there is.
fn take<'a>(input: &mut &'a [u8]) -> &'a [u8] {
    let Some((&len, rest)) = input.split_first_chunk::<2>() else { return std::mem::take(input) };
    let (field, rest) = rest.split_at(usize::from(u16::from_be_bytes(len)).min(rest.len()));
    *input = rest;
    field
}

fn check(ts: &[u8]) {
    assert_eq!(ts.len() % PACKET_LEN, 0);
    let mut counters = HashMap::new();
    for packet in ts.chunks(PACKET_LEN) {
        assert_eq!(packet[0], 0x47);
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        assert!(matches!(pid, 0 | 0x100 | 0x101 | 0x1000));
        let step = packet[3] >> 4 & 1; // packets without payload do not count
        if let Some(last) = counters.insert(pid, packet[3] & 0x0f) {
            assert_eq!(packet[3] & 0x0f, (last + step) & 0x0f);
        }
        assert!(packet[3] & 0x20 == 0 || packet[4] <= 183);
    }
}
