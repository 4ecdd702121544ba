//! Who may connect: connections in all and per address, and how fast an address may make them.
//!
//! Addresses are counted by [`Network`]: an IPv4 address, or the /64 of an IPv6 address.
//!
//! **Invariants**
//! - Who is connected is never cut by a limit.
//! - What is kept of addresses without a connection is bounded by [`MAX_NETWORKS`], however many come.
//! - Refusing politely takes [`MAX_REFUSING`] sockets at most, and so leaves those for others alone.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use millrace_hub::{AddressRange, LogLimit, Network};
use tracing::warn;

/// How many connections there may be. One that takes several file descriptors counts as several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at a time, of all protocols. Trusted addresses, and those that watch already,
    /// may have a few more, by [`reserve`].
    pub total: usize,
    /// Connections at a time from one address that is not trusted.
    pub per_address: usize,
    /// Connections that such an address may make per second, over ten seconds.
    pub per_second: u32,
    /// Addresses to which the last two do not apply: this machine, a proxy in front.
    pub trusted: Vec<AddressRange>,
}

/// Connections beyond `total` that are kept for trusted addresses, and for those that watch already.
#[must_use]
pub fn reserve(total: usize) -> usize {
    total / 16 + 32
}

/// Where connections come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// HTTP.
    Http,
    /// RTMP.
    Rtmp,
    /// RTMP over TLS.
    Rtmps,
}

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// The server has as many connections as it may have.
    Total,
    /// The address has as many.
    Address,
    /// The address makes them too fast.
    Rate,
}

/// Lets connections in, and counts them.
#[derive(Debug)]
pub struct Admission {
    limits: ArcSwap<ConnectionLimits>,
    networks: Mutex<Networks>,
    /// File descriptors of the connections.
    total: AtomicUsize,
    refusing: AtomicUsize,
    open: [AtomicUsize; Port::ALL.len()],
    refused: [AtomicU64; Excess::ALL.len()],
    start: Instant,
}

#[derive(Debug)]
struct Networks {
    entries: HashMap<Network, Entry>,
    /// So many, and those without a connection are forgotten.
    most: usize,
}

/// What is known of an address.
#[derive(Debug, Default)]
struct Entry {
    open: usize,
    refusing: usize,
    /// When the address will have its whole allowance again, microseconds from the start.
    rested_at: u64,
}

/// What becomes of a connection that was accepted.
#[derive(Debug)]
pub(crate) enum Entrance {
    /// It comes in.
    Admitted(Permit),
    /// It is told why it may not.
    Refused(Refusing),
    /// It is closed: there are too many to tell each.
    Dropped(Excess),
}

/// A connection's place; given up when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    network: Network,
    port: Port,
}

/// A place among those that are refused; given up when dropped.
#[derive(Debug)]
pub(crate) struct Refusing {
    admission: Arc<Admission>,
    network: Network,
    pub(crate) excess: Excess,
}

impl Admission {
    /// Nobody is connected yet.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            limits: ArcSwap::from_pointee(limits),
            networks: Mutex::new(Networks { entries: HashMap::new(), most: MAX_NETWORKS }),
            total: AtomicUsize::new(0),
            refusing: AtomicUsize::new(0),
            open: Default::default(),
            refused: Default::default(),
            start: Instant::now(),
        })
    }

    /// Puts other limits in place. They hold for those who come.
    pub fn set_limits(&self, limits: ConnectionLimits) {
        self.limits.store(Arc::new(limits));
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open(&self, port: Port) -> usize {
        self.open[port as usize].load(Relaxed)
    }

    /// Connections that were refused so far.
    #[must_use]
    pub fn refused(&self, excess: Excess) -> u64 {
        self.refused[excess as usize].load(Relaxed)
    }

    /// Decides on a connection. `watches` says whether its address watches already, by requests that
    /// stand alone.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr, port: Port, watches: impl FnOnce() -> bool) -> Entrance {
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.admit_at(peer, port, watches, now)
    }

    fn admit_at(self: &Arc<Self>, peer: IpAddr, port: Port, watches: impl FnOnce() -> bool, now: u64) -> Entrance {
        let limits = self.limits.load();
        let network = Network::from(peer);
        let trusted = limits.trusted.iter().any(|range| range.contains(peer));
        let mut networks = self.networks();
        let entry = networks.entry(network);
        let total = self.total.load(Relaxed) + port.descriptors();
        let most = limits.total + if trusted || watches() { reserve(limits.total) } else { 0 };
        let excess = if !trusted && !entry.pace(limits.per_second, now) {
            Excess::Rate
        } else if !trusted && entry.open >= limits.per_address {
            Excess::Address
        } else if total > most {
            Excess::Total
        } else {
            entry.open += 1;
            drop(networks);
            self.total.fetch_add(port.descriptors(), Relaxed);
            self.open[port as usize].fetch_add(1, Relaxed);
            return Entrance::Admitted(Permit { admission: Arc::clone(self), network, port });
        };
        let of_address = if trusted { MAX_REFUSING_OF_TRUSTED } else { MAX_REFUSING_OF_ADDRESS };
        let polite = entry.refusing < of_address && self.refusing.load(Relaxed) < MAX_REFUSING;
        if polite {
            entry.refusing += 1;
            self.refusing.fetch_add(1, Relaxed);
        }
        drop(networks);
        self.refused[excess as usize].fetch_add(1, Relaxed);
        if let Some(allowed) = REFUSED[excess as usize].allow(peer) {
            warn!(%peer, port = port.as_str(), reason = excess.words(), unsaid = allowed.unsaid, "connection refused");
        }
        match polite {
            true => Entrance::Refused(Refusing { admission: Arc::clone(self), network, excess }),
            false => Entrance::Dropped(excess),
        }
    }

    fn networks(&self) -> MutexGuard<'_, Networks> {
        // The map is never left half changed.
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, network: Network, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.networks().entries.get_mut(&network) {
            change(entry);
        }
    }
}

impl Networks {
    fn entry(&mut self, network: Network) -> &mut Entry {
        if self.entries.len() >= self.most && !self.entries.contains_key(&network) {
            self.entries.retain(|_, entry| entry.open > 0 || entry.refusing > 0);
            // Where few could be forgotten, it is not tried again at once.
            self.most = MAX_NETWORKS.max(2 * self.entries.len());
        }
        self.entries.entry(network).or_default()
    }
}

impl Entry {
    /// Counts a connection against the address's allowance. False where that is used up.
    fn pace(&mut self, per_second: u32, now: u64) -> bool {
        let rested_at = self.rested_at.max(now) + 1_000_000 / u64::from(per_second.clamp(1, 1_000_000));
        let in_time = rested_at <= now + ALLOWANCE;
        if in_time {
            self.rested_at = rested_at;
        }
        in_time
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.total.fetch_sub(self.port.descriptors(), Relaxed);
        self.admission.open[self.port as usize].fetch_sub(1, Relaxed);
        self.admission.update(self.network, |entry| entry.open -= 1);
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        self.admission.refusing.fetch_sub(1, Relaxed);
        self.admission.update(self.network, |entry| entry.refusing -= 1);
    }
}

impl Port {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Http, Self::Rtmp, Self::Rtmps];

    /// File descriptors that a connection takes: over TLS its socket, and the two ends between the pump
    /// and the session.
    #[must_use]
    pub fn descriptors(self) -> usize {
        match self {
            Self::Http | Self::Rtmp => 1,
            Self::Rtmps => 3,
        }
    }

    /// Its name, for logs and statistics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Rtmp => "rtmp",
            Self::Rtmps => "rtmps",
        }
    }
}

impl Excess {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Total, Self::Address, Self::Rate];

    /// Its name, for statistics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Total => "connections",
            Self::Address => "connections_per_address",
            Self::Rate => "connects_per_second",
        }
    }

    /// What the peer is told.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Total => "the server has as many connections as it may have",
            Self::Address => "your address has as many connections as it may have",
            Self::Rate => "your address makes connections too fast",
        }
    }
}

/// Connections that are being refused politely at a time. Each takes a socket for three seconds at most.
const MAX_REFUSING: usize = 128;
/// Of these from one address, so that a flood from one leaves room for others.
const MAX_REFUSING_OF_ADDRESS: usize = 8;
/// The same of one that is trusted: a proxy's clients are many, and one of them may run the server.
const MAX_REFUSING_OF_TRUSTED: usize = 64;
/// Addresses of which something is remembered. Those that have no connection are forgotten beyond it.
const MAX_NETWORKS: usize = 65_536;
/// The time over which an address may spread its connections, microseconds.
const ALLOWANCE: u64 = 10_000_000;

/// One line per reason and address, then one now and then.
static REFUSED: [LogLimit; Excess::ALL.len()] = [LogLimit::new(1), LogLimit::new(1), LogLimit::new(1)];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn limits() -> ConnectionLimits {
        let loopback = AddressRange::new("127.0.0.0".parse().unwrap(), 8).unwrap();
        ConnectionLimits { total: 100, per_address: 3, per_second: 10, trusted: vec![loopback] }
    }

    fn ask(admission: &Arc<Admission>, peer: &str, watches: bool, now: u64) -> Result<Permit, Excess> {
        match admission.admit_at(peer.parse().unwrap(), Port::Http, || watches, now) {
            Entrance::Admitted(permit) => Ok(permit),
            Entrance::Refused(refusing) => Err(refusing.excess),
            Entrance::Dropped(_) => panic!("there is room to refuse"),
        }
    }

    #[test]
    fn an_address_may_have_so_many() {
        let admission = Admission::new(limits());
        let mut kept: Vec<_> = (0..3).map(|_| ask(&admission, "2001:db8::1", false, 0).unwrap()).collect();
        assert_eq!(ask(&admission, "2001:db8::2", false, 0).unwrap_err(), Excess::Address, "of the same house");
        assert!(ask(&admission, "2001:db8:0:1::2", false, 0).is_ok());
        kept.pop();
        assert!(ask(&admission, "2001:db8::2", false, 0).is_ok());
        assert_eq!((admission.open(Port::Http), admission.refused(Excess::Address)), (2, 1));
    }

    #[test]
    fn beyond_the_total_only_who_is_trusted_or_watches_comes_in() {
        let admission = Admission::new(limits());
        let address = |n: usize| format!("10.0.0.{n}");
        let _full: Vec<_> = (0..100).map(|n| ask(&admission, &address(n), false, 0).unwrap()).collect();
        assert_eq!(ask(&admission, "10.0.1.1", false, 0).unwrap_err(), Excess::Total);
        let reserve = reserve(100);
        let _more: Vec<_> = (0..reserve - 1).map(|_| ask(&admission, "127.0.0.1", false, 0).unwrap()).collect();
        let _last = ask(&admission, "10.0.1.1", true, 0).unwrap();
        assert_eq!(ask(&admission, "127.0.0.1", false, 0).unwrap_err(), Excess::Total, "the reserve has an end");
        admission.set_limits(ConnectionLimits { total: 1000, ..limits() });
        assert!(ask(&admission, "10.0.1.1", false, 0).is_ok());
    }

    #[test]
    fn a_connection_over_tls_counts_as_the_descriptors_that_it_takes() {
        let admission = Admission::new(limits());
        let come = |n: usize, port| match admission.admit_at(format!("10.0.0.{n}").parse().unwrap(), port, || false, 0)
        {
            Entrance::Admitted(permit) => Ok(permit),
            Entrance::Refused(refusing) => Err(refusing.excess),
            Entrance::Dropped(_) => panic!("there is room to refuse"),
        };
        let mut full: Vec<_> = (0..33).map(|n| come(n, Port::Rtmps).unwrap()).collect();
        assert_eq!(admission.open(Port::Rtmps), 33);
        assert_eq!(come(100, Port::Rtmps).unwrap_err(), Excess::Total, "99 of 100 are taken");
        full.push(come(100, Port::Rtmp).unwrap());
        assert_eq!(come(101, Port::Rtmp).unwrap_err(), Excess::Total);
        drop(full);
        assert_eq!(admission.total.load(Relaxed), 0);
    }

    #[test]
    fn a_flood_from_many_addresses_keeps_no_trusted_probe_out() {
        let admission = Admission::new(limits());
        let come = |n: u32| admission.admit_at(std::net::Ipv4Addr::from_bits(n).into(), Port::Http, || false, 0);
        let _flood: Vec<_> = (0..10_000).map(|n| come(0x0a00_0000 + n)).collect();
        assert!(matches!(come(0x0b00_0000), Entrance::Dropped(Excess::Total)), "not even refused with words");
        assert!(ask(&admission, "127.0.0.1", false, 0).is_ok());
    }

    #[test]
    fn an_address_may_connect_so_fast() {
        let admission = Admission::new(ConnectionLimits { per_address: 1000, ..limits() });
        let count = |now| (0..1000).filter(|_| ask(&admission, "192.0.2.1", false, now).is_ok()).count();
        assert_eq!(count(0), 100, "ten seconds' worth at once");
        assert_eq!(count(1_000_000), 10);
        assert!(ask(&admission, "127.0.0.1", false, 1_000_000).is_ok());
        assert_eq!(count(60_000_000), 100);
        admission.set_limits(ConnectionLimits { per_address: 10_000, per_second: 400, ..limits() });
        let count = |now| (0..10_000).filter(|_| ask(&admission, "192.0.2.2", false, now).is_ok()).count();
        assert_eq!(count(0), 4000);
        assert_eq!(count(1_000_000), 400, "whatever does not divide a millisecond");
    }

    #[test]
    fn politeness_and_memory_have_bounds() {
        let admission = Admission::new(ConnectionLimits { total: 0, ..limits() });
        let mut refusing = Vec::new();
        let mut come =
            |bits: u32| match admission.admit_at(std::net::Ipv4Addr::from_bits(bits).into(), Port::Rtmp, || false, 0) {
                Entrance::Refused(one) => refusing.push(one),
                Entrance::Dropped(_) => {}
                Entrance::Admitted(_) => panic!("there is no room"),
            };
        (0..20).for_each(|_| come(7));
        (0..2 * MAX_NETWORKS as u32).for_each(|n| come(0x0a00_0000 + n));
        assert_eq!(refusing.len(), MAX_REFUSING);
        assert_eq!(refusing.iter().filter(|r| r.network == refusing[0].network).count(), MAX_REFUSING_OF_ADDRESS);
        assert!(admission.networks().entries.len() <= MAX_NETWORKS);
        drop(refusing);
        assert_eq!(admission.refusing.load(Relaxed), 0);
    }
}
