//! H.264's record is read or refused, and so are the NAL units of a frame behind it,
//! and parameter sets within one.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use millrace_media::AvcConfig;

fuzz_target!(|bytes: &[u8]| {
    let _ = AvcConfig::in_band(None, bytes);
    let Ok(config) = AvcConfig::parse(Bytes::copy_from_slice(bytes)) else { return };
    assert!(!config.sps().is_empty() && !config.pps().is_empty());
    let _ = (config.codec_string(), config.picture());
    assert!(config.nal_units(bytes).count() <= bytes.len());
    let _ = AvcConfig::in_band(Some(&config), bytes);
});
