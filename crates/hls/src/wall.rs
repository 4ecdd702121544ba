use std::time::{Duration, SystemTime};

use millrace_media::Timestamp;

/// Relates a stream's time to the calendar.
///
/// A frame arrives some time after it was made, never before; so the frame that arrived with the
/// least delay tells most. The relation follows two clocks that drift apart by at most
/// [`MAX_SLEW`] a segment, and at once where frames prove to be younger than was thought, as they do
/// after a replay of older frames. Frames that come late may have been held up on their way; but where
/// [`STEP_SHOWN`] segments in a row are late by more than [`STEP`], the server's clock was set.
#[derive(Debug, Default)]
pub(crate) struct WallClock {
    /// Calendar minus stream time, nanoseconds.
    offset: Option<i64>,
    /// The least such difference since the segment before.
    least: Option<i64>,
    /// Segments in a row that were late by more than [`STEP`].
    late: u32,
}

impl WallClock {
    /// A frame came.
    pub(crate) fn observe(&mut self, dts: Timestamp, now: SystemTime) {
        let difference = unix_nanos(now).saturating_sub(dts.as_nanos());
        self.least = Some(self.least.map_or(difference, |least| least.min(difference)));
    }

    /// A segment is complete. Returns by how many nanoseconds what was said since the last restart
    /// was wrong.
    pub(crate) fn settle(&mut self) -> i64 {
        let Some(least) = self.least.take() else { return 0 };
        let Some(offset) = self.offset else {
            self.offset = Some(least);
            return 0;
        };
        let correction = least.saturating_sub(offset);
        self.late = if correction > STEP { self.late + 1 } else { 0 };
        if correction < -SNAP || self.late == STEP_SHOWN {
            self.late = 0;
            self.offset = Some(least);
            return correction;
        }
        self.offset = Some(offset + correction.clamp(-MAX_SLEW, MAX_SLEW));
        0
    }

    /// The calendar's time of a point of the stream, nanoseconds since 1970. Only after `settle`.
    pub(crate) fn at(&self, t: Timestamp) -> i64 {
        t.as_nanos().saturating_add(self.offset.unwrap_or(0))
    }

    /// As [`Self::at`] for a point from which on segments are shown before they are complete.
    pub(crate) fn begin_at(&mut self, t: Timestamp) -> i64 {
        if self.offset.is_none() {
            self.settle();
        }
        self.at(t)
    }

    /// What comes has another relation.
    pub(crate) fn restart(&mut self) {
        *self = Self::default();
    }
}

const MAX_SLEW: i64 = 5_000_000;
const SNAP: i64 = 200_000_000;
/// Publishers hold less than this back when their network is slow, nanoseconds.
const STEP: i64 = 10_000_000_000;
const STEP_SHOWN: u32 = 3;

/// 0 for times before 1970.
pub(crate) fn unix_nanos(t: SystemTime) -> i64 {
    let since = t.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_000_000 + ms)
    }

    fn date(w: &WallClock, ms: i64) -> i64 {
        w.at(Timestamp::from_millis(ms)) / 1_000_000 - 1_000_000_000_000
    }

    #[test]
    fn jitter_of_arrival_does_not_show() {
        let mut w = WallClock::default();
        for s in 0..50u64 {
            for (ms, late) in [(0, 30), (500, 0), (1000, 80), (1500, 12)] {
                w.observe(Timestamp::from_millis((s * 2000 + ms) as i64), at(s * 2000 + ms + late));
            }
            assert_eq!(w.settle(), 0);
            assert_eq!(date(&w, (s * 2000) as i64), (s * 2000) as i64);
        }
    }

    #[test]
    fn a_replay_is_corrected_by_the_first_fresh_frames() {
        let mut w = WallClock::default();
        w.observe(Timestamp::from_millis(0), at(5000));
        w.observe(Timestamp::from_millis(2000), at(5000));
        w.settle();
        assert_eq!(date(&w, 0), 3000, "as far as one can know");
        w.observe(Timestamp::from_millis(5000), at(5000));
        assert_eq!(w.settle(), -3_000_000_000);
        assert_eq!(date(&w, 5000), 5000);
    }

    #[test]
    fn a_clock_that_was_set_is_followed_once_it_is_sure() {
        let mut w = WallClock::default();
        let mut segment = |s: u64, late: u64| {
            w.observe(Timestamp::from_millis((s * 2000) as i64), at(s * 2000 + late));
            (w.settle(), date(&w, (s * 2000) as i64) - (s * 2000) as i64)
        };
        let hour = 3_600_000;
        assert_eq!(segment(0, 0), (0, 0));
        // Held up on the way, twice: no more than drift is believed.
        assert_eq!([segment(1, hour), segment(2, hour), segment(3, 5), segment(4, 9000)].map(|s| s.0), [0; 4]);
        assert_eq!([segment(5, hour), segment(6, hour)].map(|s| s.0), [0; 2]);
        let (correction, date) = segment(7, hour);
        assert!((3_599_000_000_000..3_600_000_000_000).contains(&correction), "{correction}");
        assert_eq!(date, 3_600_000);
        assert_eq!(segment(8, hour), (0, 3_600_000));
    }

    #[test]
    fn a_clock_that_runs_slow_is_followed_in_small_steps() {
        let mut w = WallClock::default();
        for s in 0..1000u64 {
            // The publisher's clock loses a millisecond in a second.
            w.observe(Timestamp::from_millis((s * 1998) as i64), at(s * 2000));
            w.settle();
        }
        assert!((date(&w, 999 * 1998) - 999 * 2000).abs() <= 5);
    }
}
