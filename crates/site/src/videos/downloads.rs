//! How many files of videos may be sent at a time: in all, and to one address.
//!
//! Invariant: one that has begun is never cut by a limit. Segments of HLS are no downloads: whoever watches goes on.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http_body::{Frame, SizeHint};
use millrace_hub::{AddressRange, Network};

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
    refused: [u64; DownloadExcess::ALL.len()],
}

/// A download's place; given up when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    downloads: Downloads,
    network: Network,
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
        Self(Arc::new(Mutex::new(Counts { limits, total: 0, networks: HashMap::new(), refused })))
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

    pub(crate) fn begin(&self, address: IpAddr) -> Result<Place, DownloadExcess> {
        let network = Network::from(address);
        let mut counts = self.counts();
        let has = counts.networks.get(&network).copied().unwrap_or(0);
        let trusted = || counts.limits.trusted.iter().any(|range| range.contains(address));
        let excess = if counts.total >= counts.limits.total {
            Some(DownloadExcess::Total)
        } else if has >= counts.limits.per_address && !trusted() {
            Some(DownloadExcess::Address)
        } else {
            None
        };
        if let Some(excess) = excess {
            counts.refused[excess as usize] += 1;
            return Err(excess);
        }
        counts.total += 1;
        counts.networks.insert(network, has + 1);
        Ok(Place { downloads: self.clone(), network })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // They are never left half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_address_has_so_many_and_all_have_so_many() {
        let trusted = vec![AddressRange::new("192.0.2.0".parse().unwrap(), 24).unwrap()];
        let downloads = Downloads::new(DownloadLimits { total: 5, per_address: 2, trusted });
        let begin = |address: &str| downloads.begin(address.parse().unwrap());
        let first = begin("2001:db8::1").unwrap();
        let second = begin("2001:db8::2").unwrap();
        assert_eq!(begin("2001:db8::3").unwrap_err(), DownloadExcess::Address, "the /64 is one address");
        let others = ["192.0.2.7"; 3].map(|address| begin(address).unwrap());
        assert_eq!(begin("203.0.113.1").unwrap_err(), DownloadExcess::Total);
        assert_eq!(DownloadExcess::ALL.map(|excess| downloads.refused(excess)), [1, 1]);
        drop((first, second, others));
        assert_eq!((downloads.open(), downloads.counts().networks.len()), (0, 0), "nothing is remembered");
        begin("2001:db8::3").unwrap();
    }
}
