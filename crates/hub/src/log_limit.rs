use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Network;

/// A kind of log line that peers can cause, so that it is written only so often for each address:
/// a few at once, then one in 10 seconds.
///
/// ```
/// use millrace_hub::LogLimit;
///
/// static REFUSED: LogLimit = LogLimit::new(2);
/// let peer = "192.0.2.1".parse().unwrap();
/// assert!(REFUSED.allow(peer).is_some());
/// assert!(REFUSED.allow(peer).is_some());
/// assert!(REFUSED.allow(peer).is_none());
/// ```
#[derive(Debug)]
pub struct LogLimit {
    /// Lines that an address may cause at once.
    burst: u32,
    state: Mutex<State>,
}

/// Leave to write a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// How many lines of the kind were left out for this address since the last one. Worth a field
    /// of the line; none where none was.
    pub unsaid: Option<u64>,
}

/// An address that has used up its burst may cause another line after so long.
const EVERY: Duration = Duration::from_secs(10);

/// Addresses that are told apart, for each kind. Those beyond share one place.
const MAX_NETWORKS: usize = 1024;

#[derive(Debug)]
struct State {
    networks: BTreeMap<Network, Entry>,
    others: Entry,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// When the last line of the burst that was used will be given back.
    free_at: Option<Instant>,
    unsaid: u64,
}

impl Entry {
    const NEW: Self = Self { free_at: None, unsaid: 0 };

    fn take(&mut self, burst: u32, now: Instant) -> Option<Allowed> {
        let free_at = self.free_at.map_or(now, |at| at.max(now)) + EVERY;
        if free_at.duration_since(now) > EVERY * burst {
            self.unsaid += 1;
            return None;
        }
        self.free_at = Some(free_at);
        let unsaid = std::mem::take(&mut self.unsaid);
        Some(Allowed { unsaid: (unsaid > 0).then_some(unsaid) })
    }
}

impl LogLimit {
    /// A kind of which an address may cause `burst` lines at once.
    #[must_use]
    pub const fn new(burst: u32) -> Self {
        Self { burst, state: Mutex::new(State { networks: BTreeMap::new(), others: Entry::NEW }) }
    }

    /// Whether a line that `peer` causes may be written now.
    pub fn allow(&self, peer: IpAddr) -> Option<Allowed> {
        self.allow_at(peer, Instant::now())
    }

    fn allow_at(&self, peer: IpAddr, now: Instant) -> Option<Allowed> {
        // The state is never left half changed.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { networks, others } = &mut *state;
        let network = Network::from(peer);
        if networks.len() >= MAX_NETWORKS && !networks.contains_key(&network) {
            if others.free_at.is_some_and(|at| at > now) {
                // Asked before the sweep below, which takes its time: once per EVERY is enough.
                return others.take(self.burst, now);
            }
            networks.retain(|_, entry| entry.free_at.is_some_and(|at| at > now));
            if networks.len() >= MAX_NETWORKS {
                return others.take(self.burst, now);
            }
        }
        networks.entry(network).or_insert(Entry::NEW).take(self.burst, now)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()
    }

    #[test]
    fn a_burst_then_one_line_per_interval_that_tells_of_the_rest() {
        let limit = LogLimit::new(3);
        let start = Instant::now();
        let allowed = |after: u64| limit.allow_at(address(1), start + Duration::from_secs(after));
        let at_once: Vec<_> = (0..10).map(|_| allowed(0)).collect();
        assert_eq!(at_once.iter().flatten().count(), 3);
        assert_eq!(allowed(9), None);
        assert_eq!(allowed(10), Some(Allowed { unsaid: Some(8) }));
        assert_eq!(allowed(11), None);
        assert_eq!(limit.allow_at(address(2), start), Some(Allowed { unsaid: None }), "another address");
        assert_eq!((0..10).filter_map(|_| allowed(1000)).count(), 3, "a whole burst again, and no more");
    }

    #[test]
    fn addresses_without_end_take_neither_memory_nor_log() {
        let limit = LogLimit::new(1);
        let start = Instant::now();
        let count = |at: Instant| (0..5000).filter_map(|n| limit.allow_at(address(n), at)).count();
        assert_eq!(count(start), MAX_NETWORKS + 1);
        assert_eq!(limit.state.lock().unwrap().networks.len(), MAX_NETWORKS);
        assert_eq!(count(start + 2 * EVERY), MAX_NETWORKS + 1, "those of before are forgotten");
    }
}
