//! Who watches which video by ranges of its file, or did a while ago: each range is a request of its own, and between two
//! there may be a pause.
//!
//! Invariant: what is kept of those who left is bounded by [`MAX_SEATS`], whoever comes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use millrace_hub::Network;

/// An address, and the short id of a video.
pub(super) type Watching = (Network, Box<str>);

/// The seats of those who watch.
#[derive(Debug)]
pub(super) struct Seats {
    seats: HashMap<Watching, Seat>,
    /// So many, and those are forgotten that were left longest ago.
    most: usize,
}

#[derive(Debug)]
struct Seat {
    /// Places that are held now.
    open: usize,
    /// The most that were held at a time within the limits.
    most: usize,
    used: Instant,
}

impl Seats {
    /// Whether there may be one more beyond a limit. A seek's request comes before the one that it takes the place of has
    /// ended, so that for a moment there are twice as many as watch.
    pub(super) fn goes_on(&self, watching: &Watching, now: Instant) -> bool {
        self.seats.get(watching).is_some_and(|seat| seat.is_kept(now, KEPT) && seat.open < 2 * seat.most)
    }

    /// Takes note of one more, who came within the limits or [goes on](Self::goes_on).
    pub(super) fn enter(&mut self, watching: &Watching, joins: bool, now: Instant) {
        if self.seats.len() >= self.most && !self.seats.contains_key(watching) {
            self.forget(now);
        }
        let fresh = Seat { open: 0, most: 0, used: now };
        let seat = self.seats.entry(watching.clone()).or_insert(fresh);
        if !seat.is_kept(now, KEPT) {
            seat.most = 0;
        }
        seat.open += 1;
        if joins {
            seat.most = seat.most.max(seat.open);
        }
        seat.used = now;
    }

    /// Takes note of one less.
    pub(super) fn leave(&mut self, watching: &Watching, now: Instant) {
        if let Some(seat) = self.seats.get_mut(watching) {
            seat.open -= 1;
            seat.used = now;
        }
    }

    fn forget(&mut self, now: Instant) {
        let mut age = KEPT;
        while self.seats.len() > MAX_SEATS / 2 && !age.is_zero() {
            self.seats.retain(|_, seat| seat.is_kept(now, age));
            age /= 4;
        }
        // Where few could be forgotten, it is not tried again at once.
        self.most = MAX_SEATS.max(2 * self.seats.len());
    }
}

impl Default for Seats {
    fn default() -> Self {
        Self { seats: HashMap::new(), most: MAX_SEATS }
    }
}

impl Seat {
    fn is_kept(&self, now: Instant, age: Duration) -> bool {
        self.open > 0 || now.saturating_duration_since(self.used) < age
    }
}

/// So long a seat is kept for whoever left it: for a pause, or to look at another page.
const KEPT: Duration = Duration::from_secs(10 * 60);
/// Seats that are remembered. Those where nobody sits are forgotten beyond it.
const MAX_SEATS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn watching(address: u32, video: &str) -> Watching {
        (Network::V4(address.into()), Box::from(video))
    }

    #[test]
    fn a_seat_is_kept_for_a_while_and_each_use_renews_it() {
        let (mut seats, start) = (Seats::default(), Instant::now());
        let at = |minutes: u64| start + Duration::from_secs(60 * minutes);
        let one = watching(1, "film");
        assert!(!seats.goes_on(&one, start));
        seats.enter(&one, true, start);
        seats.leave(&one, at(30));
        assert!(seats.goes_on(&one, at(39)));
        seats.enter(&one, false, at(39));
        seats.leave(&one, at(39));
        assert!(seats.goes_on(&one, at(48)));
        assert!(!seats.goes_on(&one, at(49)), "it was left for too long");
        for other in [watching(1, "other"), watching(2, "film")] {
            assert!(!seats.goes_on(&other, at(39)), "the seat is of that address and that video");
        }
    }

    #[test]
    fn a_seek_overlaps_with_what_it_leaves_but_a_seat_is_not_for_many() {
        let (mut seats, now) = (Seats::default(), Instant::now());
        let one = watching(1, "film");
        seats.enter(&one, true, now);
        seats.enter(&one, true, now);
        for _ in 0..2 {
            assert!(seats.goes_on(&one, now));
            seats.enter(&one, false, now);
        }
        assert!(!seats.goes_on(&one, now), "twice as many as joined");
        seats.leave(&one, now);
        assert!(seats.goes_on(&one, now));
    }

    #[test]
    fn memory_has_a_bound_and_who_sits_is_not_forgotten() {
        let (mut seats, start) = (Seats::default(), Instant::now());
        let sits = watching(0, "film");
        seats.enter(&sits, true, start);
        let at = |n: u32| start + Duration::from_millis(u64::from(n));
        for n in 1..=3 * MAX_SEATS as u32 {
            seats.enter(&watching(n, "film"), true, at(n));
            seats.leave(&watching(n, "film"), at(n));
        }
        let end = at(3 * MAX_SEATS as u32);
        assert!(seats.seats.len() <= MAX_SEATS);
        assert!(seats.goes_on(&sits, end) && seats.goes_on(&watching(3 * MAX_SEATS as u32, "film"), end));
    }
}
