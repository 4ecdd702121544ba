//! Places of publishers and of players: so many in all, and so many of one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Network;

/// The places of one kind.
#[derive(Debug, Default)]
pub(crate) struct Places {
    taken: Mutex<Taken>,
    streams_refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    /// Those who have some, and no others.
    networks: HashMap<Network, usize>,
    refused: RefusedTotals,
}

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) total: usize,
    /// Of one address; none is said of those that are trusted.
    pub(crate) of_address: Option<usize>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taker {
    /// All are taken.
    All,
    /// The address has as many as it may have.
    Address,
}

/// How many were refused, by what there were too many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RefusedTotals {
    /// Streams.
    pub streams: u64,
    /// Those of the kind that was refused, in all.
    pub total: u64,
    /// Those of one address.
    pub of_address: u64,
}

/// One of a limited number, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    network: Network,
}

impl Places {
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr, most: Most) -> Result<Place, Taker> {
        let network = Network::from(address);
        let mut taken = self.taken();
        let has = taken.networks.get(&network).copied().unwrap_or(0);
        if taken.total >= most.total {
            taken.refused.total += 1;
            return Err(Taker::All);
        }
        if most.of_address.is_some_and(|most| has >= most) {
            taken.refused.of_address += 1;
            return Err(Taker::Address);
        }
        taken.total += 1;
        taken.networks.insert(network, has + 1);
        drop(taken);
        Ok(Place { places: Arc::clone(self), network })
    }

    /// Takes note of one who was refused because there are too many streams.
    pub(crate) fn no_stream(&self) {
        self.streams_refused.fetch_add(1, Relaxed);
    }

    /// How many are taken.
    pub(crate) fn len(&self) -> usize {
        self.taken().total
    }

    pub(crate) fn refused(&self) -> RefusedTotals {
        RefusedTotals { streams: self.streams_refused.load(Relaxed), ..self.taken().refused }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // It is never left half changed.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn leave(&mut self, network: Network) {
        if let Some(has) = self.networks.get_mut(&network) {
            *has -= 1;
            if *has == 0 {
                self.networks.remove(&network);
            }
        }
    }
}

impl Place {
    /// Hands it on to another address, whatever that has.
    pub(crate) fn hand_on(&mut self, address: IpAddr) {
        let network = Network::from(address);
        let mut taken = self.places.taken();
        taken.leave(self.network);
        *taken.networks.entry(network).or_default() += 1;
        drop(taken);
        self.network = network;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.total -= 1;
        taken.leave(self.network);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_all_and_so_many_of_an_address() {
        let places = Arc::<Places>::default();
        let take = |address: &str, of_address| {
            places
                .take(address.parse().unwrap(), Most { total: 4, of_address })
                .map_err(|taker| (taker, places.refused()))
        };
        let first = take("2001:db8::1", Some(1)).unwrap();
        let refused = RefusedTotals { of_address: 1, ..RefusedTotals::default() };
        assert_eq!(take("2001:db8::2", Some(1)).unwrap_err(), (Taker::Address, refused), "the /64 is one address");
        let others = [take("2001:db8::2", None).unwrap(), take("192.0.2.1", Some(1)).unwrap()];
        let mut last = take("192.0.2.2", Some(1)).unwrap();
        let refused = RefusedTotals { total: 1, ..refused };
        assert_eq!(take("192.0.2.3", Some(1)).unwrap_err(), (Taker::All, refused));
        last.hand_on("192.0.2.1".parse().unwrap());
        drop(others);
        assert_eq!(take("192.0.2.1", Some(1)).unwrap_err().0, Taker::Address, "it was handed on to it");
        drop((first, last));
        assert_eq!((places.len(), places.taken().networks.len()), (0, 0));
    }
}
