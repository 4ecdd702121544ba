//! Sequence parameter sets of H.264 and HEVC, in a record that is otherwise good. The first byte says
//! which of the two.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_media::{AvcConfig, HevcConfig};

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, set)) = bytes.split_first() else { return };
    let Ok(len) = u16::try_from(set.len()) else { return };
    if len == 0 {
        return;
    }
    let set = [&len.to_be_bytes(), set].concat();
    let picture = if kind & 1 == 0 {
        let record = [&[1, 100, 0, 31, 0xff, 0xe1], &set[..], &[1, 0, 1, 0x68]].concat();
        AvcConfig::parse(record.into()).ok().and_then(|c| c.picture())
    } else {
        let mut record = [&[1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 63], &[0; 8][..], &[3, 3]].concat();
        record.extend([0x20, 0, 1, 0, 2, 0x40, 1]);
        record.extend([0x21, 0, 1]);
        record.extend(set);
        record.extend([0x22, 0, 1, 0, 2, 0x44, 1]);
        HevcConfig::parse(record.into()).expect("the rest is good").picture()
    };
    if let Some(picture) = picture {
        assert!(picture.frame_rate.is_none_or(|rate| rate > 0.0 && rate.is_finite()));
    }
});
