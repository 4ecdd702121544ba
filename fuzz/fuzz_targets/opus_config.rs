//! The identification header and the packets of Opus are read or refused.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use millrace_media::{OpusConfig, opus};

fuzz_target!(|bytes: &[u8]| {
    assert!(opus::samples_in(bytes).is_none_or(|n| (1..=5760).contains(&n)));
    let Ok(config) = OpusConfig::parse(Bytes::copy_from_slice(bytes)) else { return };
    assert!(config.channels() > 0);
    let _ = config.mapping_table();
});
