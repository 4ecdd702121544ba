//! The tags of one publisher, one after another, are read or refused; frames that come out are in
//! order, and can be written again. Each tag is its kind (0 video, 1 audio, else script), its length in
//! two bytes, its clock in two, and its body.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use millrace_flv::body::{self, Extent};
use millrace_flv::Depacketizer;
use millrace_media::{TrackKind, Unit};

fuzz_target!(|bytes: &[u8]| {
    let mut input = bytes;
    let mut depacketizer = Depacketizer::new();
    let (mut video, mut audio) = (None, None);
    let mut last = [None, None];
    while let Some((&[kind, hi, lo, c1, c0], rest)) = input.split_first_chunk() {
        let (body, rest) = rest.split_at(usize::from(u16::from_be_bytes([hi, lo])).min(rest.len()));
        input = rest;
        let body = Bytes::copy_from_slice(body);
        let clock = u32::from(u16::from_be_bytes([c1, c0])) << 4;
        let units = match kind {
            0 => depacketizer.video(clock, &body),
            1 => depacketizer.audio(clock, &body),
            _ => depacketizer.script(&body),
        };
        for unit in units.into_iter().flatten() {
            match unit {
                Unit::VideoConfig(config) => {
                    let _ = (config.codec_string(), body::video_sequence_header(&config));
                    video = Some(config);
                }
                Unit::AudioConfig(config) => {
                    let _ = (config.codec_string(), body::audio_sequence_header(&config));
                    audio = Some(config);
                }
                Unit::Frame(frame) => {
                    let last = &mut last[usize::from(frame.track == TrackKind::Audio)];
                    assert!(last.is_none_or(|last| frame.dts > last) && frame.pts >= frame.dts);
                    *last = Some(frame.dts);
                    let prefix = body::frame_prefix(&frame, video.as_deref(), audio.as_deref(), Extent::Full);
                    assert!(prefix.is_some(), "a frame comes after its configuration");
                    if let (TrackKind::Audio, Some(audio)) = (frame.track, &audio) {
                        let _ = audio.samples_in(&frame.payload);
                    }
                }
                Unit::Metadata(_) | Unit::Discontinuity => {}
            }
        }
    }
});
