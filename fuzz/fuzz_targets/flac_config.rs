//! The start of a FLAC stream and its frames are read or refused.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use millrace_media::FlacConfig;

fuzz_target!(|bytes: &[u8]| {
    let Ok(config) = FlacConfig::parse(&Bytes::copy_from_slice(bytes)) else { return };
    assert!(config.sample_rate() > 0);
    assert_eq!(FlacConfig::parse(&config.stream_start().into()).as_ref(), Ok(&config));
    assert!(config.samples_in(bytes).is_none_or(|n| n > 0));
});
