//! Who asks where a proxy stands in front: `X-Forwarded-For` and `X-Forwarded-Proto`.
//!
//! Each proxy appends the address that it was asked from. So the list is believed from its end, as far as trusted
//! proxies wrote it; what stands before that is whatever the client liked to send.
//!
//! `Forwarded` (RFC 7239) is not read. A proxy that writes one of the two headers passes the other on as the client sent
//! it, so that a server that reads both believes the client; and every proxy can write this one.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Once};

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderValue};
use millrace_hub::AddressRange;
use tracing::warn;

/// The addresses of proxies that say truly who asks through them. Handles share what is [set](Self::set).
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    ranges: Arc<ArcSwap<Vec<AddressRange>>>,
}

impl TrustedProxies {
    /// Trusts these, and nobody else.
    #[must_use]
    pub fn new(ranges: Vec<AddressRange>) -> Self {
        Self { ranges: Arc::new(ArcSwap::from_pointee(ranges)) }
    }

    /// Puts others in place, for requests that come from now on.
    pub fn set(&self, ranges: Vec<AddressRange>) {
        self.ranges.store(Arc::new(ranges));
    }

    /// Whether a proxy is there.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.ranges.load().iter().any(|range| range.contains(address))
    }

    /// Where a request really comes from: the last address of `forwarded_for` that is no trusted proxy's, if `peer` is
    /// one. An entry that is no address says nothing, nor does what stands before it: then it is the proxy that wrote it.
    /// The port is 0 where a proxy does not tell it.
    pub(crate) fn client<'a>(
        &self,
        peer: SocketAddr,
        mut forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> SocketAddr {
        if !self.trusts(peer.ip()) {
            if forwarded_for.next().is_some() {
                warn_of_proxy(peer.ip());
            }
            return peer;
        }
        let mut client = peer;
        let entries = forwarded_for.rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        for entry in entries.take(MAX_PROXIES) {
            let Some(before) = address(entry).filter(|_| self.trusts(client.ip())) else { break };
            client = before;
        }
        client
    }
}

/// What a request's head says of those who passed it on.
pub(crate) fn forwarded_for(headers: &HeaderMap) -> impl DoubleEndedIterator<Item = &[u8]> {
    headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes)
}

/// Whether the nearest proxy was asked over TLS.
pub(crate) fn is_over_tls(headers: &HeaderMap) -> bool {
    let said = headers.get_all("x-forwarded-proto").iter().next_back();
    said.is_some_and(|said| said.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// The header's name.
pub(crate) const FORWARDED_FOR: &str = "x-forwarded-for";

/// Proxies that a request may have passed through.
const MAX_PROXIES: usize = 16;
/// The longest entry: an IPv6 address that ends as an IPv4 one does, its brackets, and a port.
const MAX_ENTRY: usize = 45 + 2 + 6;

/// Reads an entry: an address, perhaps with a port, that of IPv6 perhaps in brackets.
fn address(entry: &[u8]) -> Option<SocketAddr> {
    let entry = entry.trim_ascii();
    let text = std::str::from_utf8(entry).ok().filter(|text| text.len() <= MAX_ENTRY)?;
    let bare = || {
        let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from);
        text.parse().ok().or_else(bracketed).map(|ip| SocketAddr::new(ip, 0))
    };
    let read: SocketAddr = text.parse().ok().or_else(bare)?;
    Some(SocketAddr::new(read.ip().to_canonical(), read.port()))
}

/// Says once that somebody nearby passes requests on and is not believed: it is likely a proxy that was forgotten.
fn warn_of_proxy(peer: IpAddr) {
    static SAID: Once = Once::new();
    let nearby = match peer.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    };
    if nearby {
        SAID.call_once(|| {
            warn!(
                %peer,
                "a proxy that is not trusted passes requests on: all who come through it count as one; \
                 name its address in http.trusted_proxies"
            );
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trusted() -> TrustedProxies {
        let range = |address: &str, bits| AddressRange::new(address.parse().unwrap(), bits).unwrap();
        TrustedProxies::new(vec![range("127.0.0.0", 8), range("::1", 128), range("10.0.0.0", 8)])
    }

    /// Who asks, of a request that came from `peer` with these header lines.
    fn client(peer: &str, lines: &[&str]) -> String {
        let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
        let client = trusted().client(peer, lines.iter().map(|line| line.as_bytes()));
        if client == peer { "the peer".to_owned() } else { client.to_string() }
    }

    #[test]
    fn a_trusted_proxy_says_who_asks() {
        for (peer, line, expected) in [
            ("127.0.0.1", "192.0.2.7", "192.0.2.7:0"),
            ("::1", "192.0.2.7:5000", "192.0.2.7:5000"),
            ("::ffff:127.0.0.1", "2001:db8::7", "[2001:db8::7]:0"),
            ("127.0.0.1", "[2001:db8::7]", "[2001:db8::7]:0"),
            ("127.0.0.1", " [2001:db8::7]:5000 ", "[2001:db8::7]:5000"),
            ("127.0.0.1", "::ffff:192.0.2.7", "192.0.2.7:0"),
            ("127.0.0.1", "[::ffff:192.0.2.7]:5000", "192.0.2.7:5000"),
        ] {
            assert_eq!(client(peer, &[line]), expected, "{peer} {line}");
        }
    }

    #[test]
    fn nobody_else_does() {
        for peer in ["192.0.2.1", "2001:db8::1", "128.0.0.1", "::2"] {
            assert_eq!(client(peer, &["198.51.100.9"]), "the peer", "{peer}");
        }
        assert_eq!(client("127.0.0.1", &[]), "the peer");
    }

    #[test]
    fn what_a_client_sent_itself_stands_before_and_is_not_believed() {
        assert_eq!(client("127.0.0.1", &["198.51.100.9, 192.0.2.7"]), "192.0.2.7:0");
        assert_eq!(client("127.0.0.1", &["127.0.0.1, 10.0.0.1, 192.0.2.7"]), "192.0.2.7:0");
        assert_eq!(client("127.0.0.1", &["198.51.100.9", "192.0.2.7"]), "192.0.2.7:0", "lines are one list");
        assert_eq!(client("127.0.0.1", &["\u{e9}t\u{e9}, <script>,,, 192.0.2.7"]), "192.0.2.7:0");
        let mut bytes = vec![0xff; 1000];
        bytes.extend(b",192.0.2.7");
        let peer = "127.0.0.1:1".parse().unwrap();
        assert_eq!(trusted().client(peer, [&bytes[..]].into_iter()).to_string(), "192.0.2.7:0");
    }

    #[test]
    fn several_proxies_are_passed_over() {
        assert_eq!(client("127.0.0.1", &["198.51.100.9, 192.0.2.7, 10.0.0.2,10.0.0.1"]), "192.0.2.7:0");
        assert_eq!(client("127.0.0.1", &["192.0.2.7, 10.0.0.2", "10.0.0.1"]), "192.0.2.7:0");
        assert_eq!(client("127.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3:0", "where all are trusted, the first");
    }

    #[test]
    fn what_is_no_address_ends_it_at_who_wrote_it() {
        let long = "1".repeat(MAX_ENTRY + 1);
        for garbage in ["", "unknown", "_hidden", "192.0.2.7:", "192.0.2.7:99999", "[::1", "[192.0.2.7]", "a:b", &long]
        {
            assert_eq!(client("127.0.0.1", &[&format!("192.0.2.7, {garbage}")]), "the peer", "{garbage}");
            assert_eq!(client("127.0.0.1", &[&format!("192.0.2.7, {garbage}, 10.0.0.1")]), "10.0.0.1:0", "{garbage}");
        }
        let longest = "[0000:0000:0000:0000:0000:ffff:255.255.255.255]:65535";
        assert_eq!(longest.len(), MAX_ENTRY);
        assert_eq!(client("127.0.0.1", &[longest]), "255.255.255.255:65535");
    }

    #[test]
    fn a_chain_has_an_end() {
        let chain = |proxies: usize| format!("192.0.2.7{}", ",10.0.0.1".repeat(proxies));
        // The peer is one of them.
        assert_eq!(client("127.0.0.1", &[&chain(MAX_PROXIES - 1)]), "192.0.2.7:0");
        assert_eq!(client("127.0.0.1", &[&chain(MAX_PROXIES)]), "10.0.0.1:0");
    }

    #[test]
    fn others_can_be_put_in_place() {
        let proxies = trusted();
        let handle = proxies.clone();
        handle.set(Vec::new());
        assert!(!proxies.trusts("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn the_nearest_proxy_says_whether_it_was_asked_over_tls() {
        let headers = |values: &[&'static str]| {
            let pair = |value: &&'static str| {
                (http::HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static(value))
            };
            values.iter().map(pair).collect::<HeaderMap>()
        };
        assert!(is_over_tls(&headers(&["https"])));
        assert!(is_over_tls(&headers(&["http", "HTTPS"])));
        for other in [&[][..], &["http"], &["https", "http"], &["httpsx"]] {
            assert!(!is_over_tls(&headers(other)), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_sends_changes_who_it_is(sent in proptest::collection::vec(any::<u8>(), 0..300)) {
            let peer = "127.0.0.1:1".parse().unwrap();
            let appended = [&sent[..], b", 192.0.2.7"].concat();
            for lines in [vec![&appended[..]], vec![&sent[..], b"192.0.2.7"]] {
                prop_assert_eq!(trusted().client(peer, lines.into_iter()).to_string(), "192.0.2.7:0");
            }
        }
    }
}
