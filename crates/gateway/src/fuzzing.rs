//! What fuzz targets call: parsers that are nobody else's business.

use crate::http_flv;
use crate::walker::{Control, Verdict};
use crate::ws_flv::{MAX_HELD, WsPlayer};

/// The first bytes of a connection.
pub fn request(bytes: &[u8]) {
    if let Some(request) = http_flv::recognise(bytes) {
        assert!(request.len() <= bytes.len(), "no more is read than there is");
    }
}

/// What a WebSocket player sends, in pieces of that length.
pub fn websocket(bytes: &[u8], piece: usize) {
    let mut player = WsPlayer::default();
    for piece in bytes.chunks(piece) {
        if player.input(piece) != Verdict::Stay {
            return;
        }
        assert!(player.held() <= MAX_HELD, "{}", player.held());
    }
    while player.poll_output().is_some() {}
}
