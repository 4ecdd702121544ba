//! A whole server session. The input is all that a client sends, so the recordings in
//! `crates/rtmp/tests/data` are good seeds. Bytes of the handshake, which otherwise mean nothing,
//! say in what pieces it comes and what the answers are.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use millrace_rtmp::ServerSession;
use millrace_rtmp::chunk::ChunkReader;
use millrace_rtmp::command::code;
use millrace_rtmp::server::{Event, ServerConfig};

fuzz_target!(|bytes: &[u8]| {
    let choice = |place: usize| bytes.get(place).copied().unwrap_or_default();
    let piece = usize::from(choice(1000)).max(1) * 4;
    let mut now = Duration::ZERO;
    let mut session = ServerSession::new(ServerConfig::default(), 1, now);
    let mut reader = ChunkReader::new();
    let mut handshake = 1 + 2 * 1536;
    for (index, mut input) in bytes.chunks(piece).enumerate() {
        loop {
            match session.handle_input(&mut input, now) {
                Ok(Some(event)) => answer(&mut session, &event, choice(1001 + index % 8)),
                Ok(None) => break assert!(input.is_empty()),
                Err(_) => return,
            }
        }
        now += Duration::from_secs(u64::from(choice(1010) % 8));
        if session.handle_timeout(now).is_err() {
            return;
        }
        while let Some(output) = session.poll_output() {
            let (_, mut output) = output.split_at(output.len().min(handshake));
            handshake = 0;
            while reader.read(&mut output).expect("output is well formed").is_some() {}
            assert_eq!(reader.allocated(), 0, "output ends where a message ends");
        }
    }
});

/// Accepts most requests, and refuses or leaves open some.
fn answer(session: &mut ServerSession, event: &Event, choice: u8) {
    match (event, choice % 8) {
        (_, 6) => {}
        (Event::Connect(_), 7) => session.reject_connect(code::CONNECT_REJECTED, ""),
        (Event::Publish(_), 7) => session.reject_publish(code::PUBLISH_BAD_NAME, ""),
        (Event::Play(_), 7) => session.reject_play(code::PLAY_STREAM_NOT_FOUND, ""),
        (Event::Pause(_), 7) => session.stream_eof(),
        _ => {
            session.accept_connect();
            session.accept_publish();
            session.accept_play();
        }
    }
}
