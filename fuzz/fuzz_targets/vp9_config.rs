//! VP9's record and the header of its keyframes are read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_media::{Vp9Config, vp9};

fuzz_target!(|bytes: &[u8]| {
    let size = vp9::keyframe_size(bytes);
    let Ok(config) = Vp9Config::parse(bytes) else { return };
    assert_eq!(Vp9Config::parse(config.raw()).as_ref(), Ok(&config));
    let _ = config.with_size(size.unwrap_or((1, 1))).codec_string();
});
