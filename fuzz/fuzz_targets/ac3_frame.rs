//! Syncframes of AC-3 and E-AC-3 are read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_media::{Ac3Config, ac3};

fuzz_target!(|bytes: &[u8]| {
    for config in [Ac3Config::parse_ac3(bytes), Ac3Config::parse_eac3(bytes)].into_iter().flatten() {
        assert!(config.sample_rate > 0 && config.channels > 0);
    }
    assert!(ac3::eac3_samples_in(bytes).is_none_or(|n| n > 0));
});
