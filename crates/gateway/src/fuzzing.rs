//! What fuzz targets call: parsers that are nobody else's business.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use millrace_hub::AddressRange;

use crate::http_flv;
use crate::proxies::TrustedProxies;
use crate::walker::{Control, Verdict};
use crate::ws_flv::{MAX_HELD, WsPlayer};

/// The first bytes of a connection.
pub fn request(bytes: &[u8]) {
    if let Some(request) = http_flv::recognise(bytes) {
        assert!(request.len() <= bytes.len(), "no more is read than there is");
    }
}

/// What proxies say of who asks, where everybody is one.
pub fn forwarded_for(bytes: &[u8]) {
    let all = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
    let proxies = TrustedProxies::new(all.into_iter().filter_map(|ip| AddressRange::new(ip, 0)).collect());
    let client = proxies.client(SocketAddr::from(([127, 0, 0, 1], 1)), bytes.split(|byte| *byte == b'\n'));
    assert_eq!(client.ip(), client.ip().to_canonical(), "an address has one form");
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
