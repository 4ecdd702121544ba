//! A whole client session against any server. The input is all that a server sends; the recordings
//! of servers in `crates/rtmp/tests/data` are good seeds. Bytes of the handshake, which otherwise
//! mean nothing, say in what pieces it comes and what the client wants.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use millrace_rtmp::ClientSession;
use millrace_rtmp::client::{ClientConfig, Event};

fuzz_target!(|bytes: &[u8]| {
    let choice = |place: usize| bytes.get(place).copied().unwrap_or_default();
    let url = "rtmp://host/live/name".parse().expect("a URL");
    let new = if choice(1001) & 1 == 0 { ClientSession::play } else { ClientSession::publish };
    let mut session = new(url, ClientConfig::default(), 1, Duration::ZERO);
    for mut input in bytes.chunks(usize::from(choice(1000)).max(1) * 4) {
        loop {
            match session.handle_input(&mut input, Duration::ZERO) {
                Ok(Some(Event::Started)) => session.send_video(0, b"picture").expect("a short message"),
                Ok(Some(_)) => {}
                Ok(None) => break assert!(input.is_empty()),
                Err(_) => return,
            }
        }
        session.poll_output();
    }
});
