//! Any configurations and any frames become an init segment and fragments whose boxes nest exactly
//! and whose times rise, or are refused.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use millrace_fmp4::{Fragmenter, audio_codec_string, init_segment, video_codec_string};
use millrace_media::{
    AacConfig, Ac3Config, AudioConfig, Av1Config, AvcConfig, FlacConfig, Frame, HevcConfig, Mp3Config, OpusConfig,
    Timestamp, TrackKind, VideoConfig, Vp9Config,
};

fuzz_target!(|bytes: &[u8]| {
    let mut input = bytes;
    let Some((&[kinds], rest)) = input.split_first_chunk::<1>() else { return };
    input = rest;
    let video = video_config(kinds & 3, take(&mut input)).map(Arc::new);
    let audio = audio_config(kinds >> 2 & 7, take(&mut input)).map(Arc::new);
    if let Ok(init) = init_segment(video.as_deref(), audio.as_deref()) {
        assert_boxes(&init, &["ftyp", "moov"]);
    }
    let mut tracks = [
        video.and_then(|c| {
            assert!(video_codec_string(&c).is_ascii());
            Fragmenter::video(c).ok()
        }),
        audio.and_then(|c| {
            assert!(audio_codec_string(&c).is_ascii());
            Fragmenter::audio(c).ok()
        }),
    ];
    let mut clock = if kinds & 0x80 != 0 { i64::MAX } else { 0 };
    let mut ends = [0u64; 2];
    while let Some((&[kind, step], rest)) = input.split_first_chunk::<2>() {
        input = rest;
        let nanos = i64::from(step) << (kind >> 2 & 0x3f) % 56;
        clock = if kind & 3 == 3 { clock.saturating_sub(nanos) } else { clock.saturating_add(nanos) };
        let n = usize::from(step & 1);
        let Some(fragmenter) = &mut tracks[n] else { continue };
        match kind & 3 {
            0 => {
                let next = (step & 2 != 0).then_some(Timestamp::from_nanos(clock));
                if let Some(fragment) = fragmenter.end(next, clock as u32) {
                    assert_boxes(&fragment.bytes, &["moof", "mdat"]);
                    assert!(fragment.start >= ends[n] && fragment.duration > 0);
                    ends[n] = fragment.start + fragment.duration;
                }
                if step & 4 != 0 {
                    fragmenter.discontinuity();
                }
            }
            _ => {
                let track = if n == 0 { TrackKind::Video } else { TrackKind::Audio };
                let (dts, payload) = (Timestamp::from_nanos(clock), Bytes::copy_from_slice(take(&mut input)));
                let pts = dts.offset_millis(i64::from(step) - 40);
                let _ = fragmenter.push(&Frame { track, keyframe: step & 2 != 0, dts, pts, payload });
            }
        }
    }
});

fn video_config(kind: u8, record: &[u8]) -> Option<VideoConfig> {
    let raw = Bytes::copy_from_slice(record);
    Some(match kind {
        0 => VideoConfig::Avc(AvcConfig::parse(raw).ok()?),
        1 => VideoConfig::Hevc(HevcConfig::parse(raw).ok()?),
        2 => VideoConfig::Av1(Av1Config::parse(raw).ok()?),
        _ => VideoConfig::Vp9(Vp9Config::parse(record).ok()?.with_size((u32::MAX, 1))),
    })
}

fn audio_config(kind: u8, record: &[u8]) -> Option<AudioConfig> {
    let raw = Bytes::copy_from_slice(record);
    Some(match kind {
        0 => AudioConfig::Aac(AacConfig::parse(raw).ok()?),
        1 => AudioConfig::Mp3(Mp3Config::parse(record).ok()?),
        2 => AudioConfig::Opus(OpusConfig::parse(raw).ok()?),
        3 => AudioConfig::Flac(FlacConfig::parse(&raw).ok()?),
        4 => AudioConfig::Ac3(Ac3Config::parse_ac3(record).ok()?),
        5 => AudioConfig::Eac3(Ac3Config::parse_eac3(record).ok()?),
        _ => return None,
    })
}

/// A field of up to 64 KiB: its length in two bytes, then as much as there is.
fn take<'a>(input: &mut &'a [u8]) -> &'a [u8] {
    let Some((&len, rest)) = input.split_first_chunk::<2>() else { return std::mem::take(input) };
    let (field, rest) = rest.split_at(usize::from(u16::from_be_bytes(len)).min(rest.len()));
    *input = rest;
    field
}

/// The boxes are those named, one after the other to the last byte; so are the boxes in them.
fn assert_boxes(mut bytes: &[u8], names: &[&str]) {
    for name in names {
        let content = take_box(&mut bytes, name);
        if matches!(*name, "moov" | "moof") {
            assert_nested(content);
        }
    }
    assert!(bytes.is_empty());
}

fn assert_nested(mut content: &[u8]) {
    while !content.is_empty() {
        let name = String::from_utf8_lossy(&content[4..8]).into_owned();
        let inner = take_box(&mut content, &name);
        if matches!(&*name, "trak" | "mdia" | "minf" | "dinf" | "stbl" | "mvex" | "traf") {
            assert_nested(inner);
        }
    }
}

fn take_box<'a>(bytes: &mut &'a [u8], name: &str) -> &'a [u8] {
    let size = u32::from_be_bytes(*bytes.first_chunk().expect("a box begins")) as usize;
    assert_eq!(&bytes[4..8], name.as_bytes());
    let (whole, rest) = bytes.split_at(size);
    *bytes = rest;
    &whole[8..]
}
