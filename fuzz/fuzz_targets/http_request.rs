//! The first bytes of an HTTP connection are recognised as a player's request or left alone, and a
//! path is of media only where its names are sound. What proxies say of who asks is taken or left.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_gateway::{MediaPath, fuzzing};

fuzz_target!(|bytes: &[u8]| {
    fuzzing::request(bytes);
    fuzzing::forwarded_for(bytes);
    if let Ok(path) = std::str::from_utf8(bytes)
        && let Some(media) = MediaPath::parse(path)
    {
        let id = media.stream();
        let sound = |name: &str| {
            (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
        };
        assert!(sound(id.app.as_str()) && sound(id.name.as_str()), "{path:?}");
    }
});
