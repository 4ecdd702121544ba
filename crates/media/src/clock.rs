use std::time::Duration;

/// The time of a track counted in samples instead of read from stamps.
///
/// Publishers stamp audio in whole milliseconds, which no frame length of AAC or MP3 is a multiple
/// of: used as they are, such stamps make a decoder hear a gap or an overlap at every frame. So
/// time is counted in samples from an anchor instead. Where the count and the stamps part by more
/// than [`SLEW_FROM`] (two clocks that differ by some millionths), the anchor follows by one tick a
/// frame, which nobody hears; where they part by more than [`RESYNC_FROM`] (frames are missing, or
/// the source jumped) a new anchor is set.
#[derive(Debug, Clone)]
pub struct SampleClock {
    rate: u32,
    timescale: u32,
    anchor: Option<Anchor>,
}

#[derive(Debug, Clone)]
struct Anchor {
    at: i64,
    /// Samples since then.
    samples: u64,
    /// Where the newest frame was placed.
    last: i64,
}

/// Deviation of counted from stamped time above which the count follows slowly.
pub const SLEW_FROM: Duration = Duration::from_millis(10);
/// Deviation of counted from stamped time above which the count starts anew.
pub const RESYNC_FROM: Duration = Duration::from_millis(60);

impl SampleClock {
    /// A clock of `rate` samples per second whose times are in ticks, `timescale` to the second.
    /// None where either is zero.
    #[must_use]
    pub fn new(rate: u32, timescale: u32) -> Option<Self> {
        (rate > 0 && timescale > 0).then_some(Self { rate, timescale, anchor: None })
    }

    /// Where a frame of so many `samples`, stamped `stamp`, lies, in ticks, and whether that follows
    /// from the frame before it. Times rise from frame to frame, until [`Self::reset`].
    pub fn place(&mut self, stamp: i64, samples: u32) -> (i64, bool) {
        let (anchor, at, follows) = self.next(stamp);
        self.anchor = Some(Anchor { samples: anchor.samples + u64::from(samples), last: at, ..anchor });
        (at, follows)
    }

    /// Where the next frame will lie, if it is stamped `stamp`.
    #[must_use]
    pub fn foresee(&self, stamp: i64) -> i64 {
        self.next(stamp).1
    }

    /// Forgets the time of the frames before: the next one sets a new anchor.
    pub fn reset(&mut self) {
        self.anchor = None;
    }

    fn next(&self, stamp: i64) -> (Anchor, i64, bool) {
        let anew = |at| (Anchor { at, samples: 0, last: at }, at, false);
        let Some(anchor) = &self.anchor else { return anew(stamp) };
        let counted = anchor.at + self.elapsed(anchor.samples);
        let deviation = stamp.saturating_sub(counted);
        if deviation.saturating_abs() > self.ticks(RESYNC_FROM) {
            // Never before the frame that was placed last, whatever the stamp says.
            return anew(stamp.max(anchor.last + 1));
        }
        let slew = if deviation.abs() > self.ticks(SLEW_FROM) { deviation.signum() } else { 0 };
        (Anchor { at: anchor.at + slew, ..*anchor }, counted + slew, true)
    }

    #[allow(clippy::cast_possible_wrap, clippy::cast_possible_truncation)] // centuries of samples fit
    fn elapsed(&self, samples: u64) -> i64 {
        let rate = u128::from(self.rate);
        ((u128::from(samples) * u128::from(self.timescale) + rate / 2) / rate) as i64
    }

    fn ticks(&self, d: Duration) -> i64 {
        i64::from(self.timescale) * i64::try_from(d.as_millis()).unwrap_or(i64::MAX >> 32) / 1000
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clock(rate: u32) -> SampleClock {
        SampleClock::new(rate, 90_000).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn rounded_stamps_give_no_jitter_and_no_drift(rate in prop::sample::select(vec![44_100u32, 48_000, 32_000, 22_050, 11_025]), start in 0u64..100_000) {
            let mut c = clock(rate);
            let mut last = None;
            for n in 0..20_000u64 {
                let exact_ns = start * 1_000_000 + n * 1024 * 1_000_000_000 / u64::from(rate);
                let stamp = (exact_ns / 1_000_000) as i64 * 90; // as FLV rounds
                let (at, _) = c.place(stamp, 1024);
                prop_assert!((at - stamp).abs() <= 90);
                if let Some(last) = last {
                    let step = at - last;
                    let exact = 1024 * 90_000 / i64::from(rate);
                    prop_assert!(step == exact || step == exact + 1, "step {}", step);
                }
                last = Some(at);
            }
        }
    }

    #[test]
    fn a_clock_that_runs_fast_is_followed_without_a_jump() {
        let mut c = clock(48_000);
        let mut last = -1920;
        for n in 0..500_000i64 {
            // The publisher's stamps run 200 millionths faster than its samples: 2.1 s in three hours.
            let stamp = n * 1920 + n * 1920 / 5000;
            let (at, follows) = c.place(stamp, 1024);
            assert!(follows || n == 0);
            assert!((1919..=1921).contains(&(at - last)));
            assert!((at - stamp).abs() <= 900 + 2);
            last = at;
        }
    }

    #[test]
    fn missing_frames_set_a_new_anchor() {
        let mut c = clock(48_000);
        assert_eq!(c.place(0, 1024), (0, false));
        assert_eq!(c.place(1900, 1024), (1920, true));
        assert_eq!(c.place(3840 + 5400, 1024), (3841, true), "exactly the limit is followed");
        assert_eq!(c.place(5761 + 5401, 1024), (5761 + 5401, false));
    }

    #[test]
    fn a_source_that_lags_never_sends_time_backwards() {
        let mut c = clock(48_000);
        let mut last = -1;
        for n in 0..500 {
            let (at, _) = c.place(n, 1024); // stamps stand nearly still
            assert!(at > last);
            last = at;
        }
        assert!(last < 5400 + 3 * 1920);
    }

    #[test]
    fn the_foreseen_place_is_the_place() {
        let mut c = clock(48_000);
        for stamp in [0, 1900, 3800, 30_000, 31_000, 0, 33_000] {
            let foreseen = c.foresee(stamp);
            assert_eq!(c.place(stamp, 1024).0, foreseen);
        }
    }

    #[test]
    fn ticks_that_are_samples_are_counted_exactly() {
        let mut c = SampleClock::new(44_100, 44_100).unwrap();
        for n in 0..100_000i64 {
            let stamp = n * 1024 / 441 * 441; // whole hundredths of a second
            assert_eq!(c.place(stamp, 1024).0, n * 1024);
        }
    }

    #[test]
    fn a_clock_without_a_rate_is_none() {
        assert!(SampleClock::new(0, 90_000).is_none() && SampleClock::new(48_000, 0).is_none());
    }
}
