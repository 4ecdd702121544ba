//! HEVC's record is read or refused, and so are the NAL units of a frame behind it,
//! and parameter sets within one.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use millrace_media::HevcConfig;

fuzz_target!(|bytes: &[u8]| {
    let _ = HevcConfig::in_band(None, bytes);
    let Ok(config) = HevcConfig::parse(Bytes::copy_from_slice(bytes)) else { return };
    assert!(config.parameter_sets().count() >= 3);
    let _ = (config.codec_string(), config.picture());
    assert!(config.nal_units(bytes).count() <= bytes.len());
    let _ = HevcConfig::in_band(Some(&config), bytes);
});
