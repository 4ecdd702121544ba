//! AAC's configuration is read or refused, and has an ADTS header or a reason against it.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use millrace_media::AacConfig;

fuzz_target!(|bytes: &[u8]| {
    let Ok(config) = AacConfig::parse(Bytes::copy_from_slice(bytes)) else { return };
    assert!(config.sample_rate() > 0 && config.output_sample_rate() > 0);
    let _ = (config.codec_string(), config.channels());
    if let Ok(header) = config.adts_header(bytes.len()) {
        assert_eq!(header[..2], [0xff, 0xf1]);
    }
});
