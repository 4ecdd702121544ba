//! Captions are read or refused; what is written of them is read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_transcode::captions::Captions;

fuzz_target!(|bytes: &[u8]| {
    let Ok(captions) = Captions::parse(bytes) else { return };
    let Ok(again) = Captions::parse(captions.to_webvtt().as_bytes()) else { panic!("it does not read what it writes") };
    assert_eq!(again.cues, captions.cues);
});
