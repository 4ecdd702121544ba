//! AMF0 is decoded or refused, and what was decoded survives being encoded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_flv::amf0;

fuzz_target!(|bytes: &[u8]| {
    let Ok(values) = amf0::decode_all(bytes) else { return };
    let mut first = Vec::new();
    amf0::encode_all(&values, &mut first);
    let mut second = Vec::new();
    amf0::encode_all(&amf0::decode_all(&first).expect("our own encoding"), &mut second);
    // As bytes, since a decoded NaN is not equal to itself.
    assert_eq!(first, second);
});
