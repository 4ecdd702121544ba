//! Both sides of the handshake end, ask for more or say what is wrong, whatever comes in whatever
//! pieces. The first byte says how long the pieces are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_rtmp::handshake::{ClientHandshake, Kind, Progress, ServerHandshake};

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece, bytes)) = bytes.split_first() else { return };
    let piece = usize::from(piece).max(1) * 8;
    let mut server = ServerHandshake::new(1);
    let (mut client, _) = ClientHandshake::new(Kind::Digest, 1);
    run(|input| server.handle_input(input).ok(), bytes, piece);
    run(|input| client.handle_input(input).ok(), bytes, piece);
});

fn run(mut step: impl FnMut(&mut &[u8]) -> Option<Progress>, bytes: &[u8], piece: usize) {
    for mut input in bytes.chunks(piece) {
        loop {
            match step(&mut input) {
                Some(Progress::Send(_)) => {}
                Some(Progress::NeedsInput) => break assert!(input.is_empty()),
                Some(Progress::Done) | None => return,
            }
        }
    }
}
