//! A file's kind is told by its first bytes, or what it is instead.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_transcode::Container;

fuzz_target!(|head: &[u8]| {
    if let Ok(container) = Container::of(head) {
        assert!(!container.demuxer().is_empty());
    }
});
