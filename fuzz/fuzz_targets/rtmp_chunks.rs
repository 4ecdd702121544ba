//! The same bytes give the same messages in one piece and in many, and take no more memory than
//! three times what has come: twice for each message, and once for what is at hand.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_rtmp::Error;
use millrace_rtmp::chunk::{ChunkReader, Message};

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece, bytes)) = bytes.split_first() else { return };
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(read(bytes, usize::from(piece).max(1)), whole);
});

fn read(bytes: &[u8], piece: usize) -> (Vec<Message>, Option<Error>) {
    let mut reader = ChunkReader::new();
    let mut messages = Vec::new();
    for mut input in bytes.chunks(piece) {
        loop {
            match reader.read(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break assert!(input.is_empty()),
                Err(error) => return (messages, Some(error)),
            }
        }
        assert!(reader.allocated() <= 3 * bytes.len());
    }
    (messages, None)
}
