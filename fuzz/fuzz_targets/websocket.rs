//! Whatever a WebSocket player sends, in whatever pieces, takes bounded memory. The first byte says
//! how long the pieces are.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece, bytes)) = bytes.split_first() else { return };
    millrace_gateway::fuzzing::websocket(bytes, usize::from(piece).max(1));
});
