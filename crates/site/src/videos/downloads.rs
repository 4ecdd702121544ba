//! How many files of videos may be sent at a time: in all, and to one address.
//!
//! Invariant: whoever watches is never cut by a limit. What has begun is sent to its end; who had a place for a video a while
//! ago has one again, as players ask for another range at each seek ([`Seats`]); segments of HLS are no downloads.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http_body::{Frame, SizeHint};
use millrace_hub::{AddressRange, Network};

use super::seats::{Seats, Watching};

/// How many there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadLimits {
    /// At a time, in all.
    pub total: usize,
    /// At a time, to one address that is not trusted.
    pub per_address: usize,
    /// Addresses to which the last does not apply.
    pub trusted: Vec<AddressRange>,
}

/// Why there may not be one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownloadExcess {
    /// The server sends as many as it may.
    Total,
    /// The address has as many.
    Address,
}

/// The downloads of a server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Downloads(Arc<Mutex<Counts>>);

#[derive(Debug)]
struct Counts {
    limits: DownloadLimits,
    total: usize,
    /// Those that have some, and no others.
    networks: HashMap<Network, usize>,
    seats: Seats,
    refused: [u64; DownloadExcess::ALL.len()],
}

/// A download's place; given up when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    downloads: Downloads,
    network: Network,
    /// The seat of one who watches.
    seat: Option<Watching>,
}

/// A body that keeps its place until it is sent, or nobody wants it any more.
struct Placed {
    body: Body,
    _place: Place,
}

impl DownloadExcess {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Total, Self::Address];

    /// The limit's name in the configuration, and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Total => "downloads",
            Self::Address => "downloads_per_address",
        }
    }

    /// What viewers are told.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Total => "the server sends as many files as it may; try again in a while",
            Self::Address => "too many files are being sent to this address; wait until one is done",
        }
    }
}

impl Downloads {
    /// None yet.
    #[must_use]
    pub fn new(limits: DownloadLimits) -> Self {
        let refused = [0; DownloadExcess::ALL.len()];
        let (networks, seats) = (HashMap::new(), Seats::default());
        Self(Arc::new(Mutex::new(Counts { limits, total: 0, networks, seats, refused })))
    }

    /// Puts other limits in place. They hold for those who come.
    pub fn set_limits(&self, limits: DownloadLimits) {
        self.counts().limits = limits;
    }

    /// How many there are now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.counts().total
    }

    /// How many were refused.
    #[must_use]
    pub fn refused(&self, excess: DownloadExcess) -> u64 {
        self.counts().refused[excess as usize]
    }

    /// A place for an answer with bytes of a video's file; with its short id for one who watches it.
    pub(crate) fn begin(&self, address: IpAddr, watched: Option<&str>) -> Result<Place, DownloadExcess> {
        let network = Network::from(address);
        let (seat, now) = (watched.map(|video| (network, Box::from(video))), Instant::now());
        let mut counts = self.counts();
        let has = counts.networks.get(&network).copied().unwrap_or(0);
        let excess = counts.excess(address, has, 1);
        // For those who go on there is as much room again.
        let goes_on =
            |seat: &Watching| counts.seats.goes_on(seat, now) && counts.excess(address, has, ROOM_TO_GO_ON).is_none();
        if let Some(excess) = excess
            && !seat.as_ref().is_some_and(goes_on)
        {
            counts.refused[excess as usize] += 1;
            return Err(excess);
        }
        counts.total += 1;
        counts.networks.insert(network, has + 1);
        if let Some(seat) = &seat {
            counts.seats.enter(seat, excess.is_none(), now);
        }
        Ok(Place { downloads: self.clone(), network, seat })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // They are never left half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Which limit, so many times over, there is no room below: for one more at an address that has so many.
    fn excess(&self, address: IpAddr, has: usize, times: usize) -> Option<DownloadExcess> {
        let limits = &self.limits;
        if self.total >= limits.total.saturating_mul(times) {
            return Some(DownloadExcess::Total);
        }
        let full = has >= limits.per_address.saturating_mul(times);
        (full && !limits.trusted.iter().any(|range| range.contains(address))).then_some(DownloadExcess::Address)
    }
}

impl Default for Downloads {
    /// Without limits.
    fn default() -> Self {
        Self::new(DownloadLimits { total: usize::MAX, per_address: usize::MAX, trusted: Vec::new() })
    }
}

impl Place {
    /// Keeps the place until the response's body is sent.
    pub(crate) fn hold(self, response: Response) -> Response {
        response.map(|body| Body::new(Placed { body, _place: self }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.downloads.counts();
        counts.total -= 1;
        if let Some(seat) = &self.seat {
            counts.seats.leave(seat, Instant::now());
        }
        if let Some(has) = counts.networks.get_mut(&self.network) {
            *has -= 1;
            if *has == 0 {
                counts.networks.remove(&self.network);
            }
        }
    }
}

impl http_body::Body for Placed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Those who go on may be so many times as many as those who come.
const ROOM_TO_GO_ON: usize = 2;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_address_has_so_many_and_all_have_so_many() {
        let trusted = vec![AddressRange::new("192.0.2.0".parse().unwrap(), 24).unwrap()];
        let downloads = Downloads::new(DownloadLimits { total: 5, per_address: 2, trusted });
        let begin = |address: &str, video| downloads.begin(address.parse().unwrap(), Some(video));
        let first = begin("2001:db8::1", "one").unwrap();
        let second = begin("2001:db8::2", "one").unwrap();
        assert_eq!(begin("2001:db8::3", "two").unwrap_err(), DownloadExcess::Address, "the /64 is one address");
        let others = ["192.0.2.7"; 3].map(|address| begin(address, "one").unwrap());
        assert_eq!(begin("203.0.113.1", "one").unwrap_err(), DownloadExcess::Total);
        assert_eq!(DownloadExcess::ALL.map(|excess| downloads.refused(excess)), [1, 1]);
        drop((first, second, others));
        assert_eq!((downloads.open(), downloads.counts().networks.len()), (0, 0), "all places are given up");
        begin("2001:db8::3", "two").unwrap();
    }

    #[test]
    fn who_watches_goes_on_while_the_server_is_full() {
        let downloads = Downloads::new(DownloadLimits { total: 2, per_address: 1, trusted: Vec::new() });
        let begin = |address: &str, video| downloads.begin(address.parse().unwrap(), Some(video));
        drop(begin("192.0.2.1", "one").unwrap());
        let full = [begin("192.0.2.2", "one").unwrap(), begin("192.0.2.3", "one").unwrap()];
        let paused = begin("192.0.2.1", "one").unwrap();
        let sought = begin("192.0.2.2", "one").unwrap();
        assert_eq!(downloads.open(), 4);
        for (address, video) in [("192.0.2.1", "two"), ("192.0.2.2", "two"), ("192.0.2.4", "one")] {
            assert_eq!(begin(address, video).unwrap_err(), DownloadExcess::Total, "{address} {video}: it is a new one");
        }
        drop((full, paused, sought));
        assert_eq!((downloads.open(), downloads.counts().networks.len()), (0, 0));
    }

    #[test]
    fn seats_are_for_those_who_watch_and_are_no_way_around_a_limit() {
        let downloads = Downloads::new(DownloadLimits { total: 100, per_address: 2, trusted: Vec::new() });
        let begin = |video| downloads.begin("192.0.2.1".parse().unwrap(), video);
        for video in ["one", "two", "three"] {
            drop([begin(Some(video)).unwrap(), begin(Some(video)).unwrap()]);
        }
        let full = [begin(None).unwrap(), begin(None).unwrap()];
        assert_eq!(begin(None).unwrap_err(), DownloadExcess::Address, "a copy that is taken has no seat");
        let gone_on = [begin(Some("one")).unwrap(), begin(Some("two")).unwrap()];
        assert_eq!(begin(Some("three")).unwrap_err(), DownloadExcess::Address, "all seats together have a bound, too");
        drop((full, gone_on));
        assert_eq!((downloads.open(), downloads.counts().networks.len()), (0, 0));
    }
}
