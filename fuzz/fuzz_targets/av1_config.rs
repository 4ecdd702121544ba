//! AV1's record, its descriptor in MPEG-TS and the sequence header of a keyframe are read or refused.
//! The first byte says how long the record is; the keyframe follows.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use millrace_media::Av1Config;

fuzz_target!(|bytes: &[u8]| {
    let Some((&len, rest)) = bytes.split_first() else { return };
    let (record, keyframe) = rest.split_at(usize::from(len).min(rest.len()));
    let configs = [Av1Config::parse(Bytes::copy_from_slice(record)), Av1Config::from_ts_descriptor(record)];
    for config in configs.into_iter().flatten() {
        let _ = (config.codec_string(), config.picture());
        if let Some(full) = config.with_sequence_header(keyframe) {
            assert!(full.picture().is_some());
            assert_eq!(Av1Config::parse(full.raw().clone()), Ok(full), "what was put together is a record");
        }
    }
});
