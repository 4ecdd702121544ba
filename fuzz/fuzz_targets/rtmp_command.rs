//! A command is read or refused, and what was read survives being written. The first byte says of
//! which of the two kinds it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_rtmp::chunk::MessageKind;
use millrace_rtmp::command::Command;

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, payload)) = bytes.split_first() else { return };
    let kind = if kind & 1 == 0 { MessageKind::CommandAmf0 } else { MessageKind::CommandAmf3 };
    let Ok(command) = Command::decode(kind, payload) else { return };
    for place in 0..command.arguments.len() {
        let _ = (command.text(place), command.number(place), command.flag(place));
    }
    let first = command.encode();
    // What was read from several references to one object may be longer than what may be read.
    let Ok(again) = Command::decode(MessageKind::CommandAmf0, &first) else { return };
    // As bytes, since a decoded NaN is not equal to itself.
    assert_eq!(again.encode(), first);
});
