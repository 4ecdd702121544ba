use std::collections::VecDeque;
use std::time::Duration;

/// What a track needs to be sent, bits per second, with what its segments add to the media.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BitRate {
    /// Of any run of segments of about a target duration (RFC 8216, 4.1).
    pub peak: u64,
    /// Of all.
    pub average: u64,
}

/// Measures segments.
#[derive(Debug)]
pub(crate) struct Meter {
    target: Duration,
    total: (u64, Duration),
    /// The newest segments, and their sum.
    recent: VecDeque<(u64, Duration)>,
    run: (u64, Duration),
    peak: u64,
}

/// Of a segment's head, and of what it says of each sample.
const HEAD_BYTES: u64 = 120;
const SAMPLE_BYTES: u64 = 16;
/// And of each run of samples after a gap.
pub(crate) const RUN_BYTES: u64 = 20;

impl Meter {
    pub(crate) fn new(target: Duration) -> Self {
        Self { target, total: Default::default(), recent: VecDeque::new(), run: Default::default(), peak: 0 }
    }

    pub(crate) fn add(&mut self, payload: u64, samples: usize, duration: Duration) {
        let bytes = payload + HEAD_BYTES + SAMPLE_BYTES * samples as u64;
        self.total = (self.total.0 + bytes, self.total.1 + duration);
        self.run = (self.run.0 + bytes, self.run.1 + duration);
        self.recent.push_back((bytes, duration));
        // Runs of half a target duration to one and a half count.
        while self.run.1 > self.target * 3 / 2 && self.recent.len() > 1 {
            if let Some((bytes, duration)) = self.recent.pop_front() {
                self.run = (self.run.0 - bytes, self.run.1 - duration);
            }
        }
        for (bytes, run) in [self.run, (bytes, duration)] {
            if run >= self.target / 2 {
                self.peak = self.peak.max(bits(bytes, run));
            }
        }
    }

    pub(crate) fn rate(&self) -> BitRate {
        let average = bits(self.total.0, self.total.1);
        BitRate { peak: self.peak.max(average), average }
    }
}

fn bits(bytes: u64, duration: Duration) -> u64 {
    let bits = u128::from(bytes) * 8_000_000_000 / duration.as_nanos().max(1);
    u64::try_from(bits).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_segment_at_the_end_makes_no_peak() {
        let mut meter = Meter::new(Duration::from_secs(4));
        for (payload, millis) in [(1_000_000, 4000), (2_000_000, 4000), (1_000_000, 4000), (500_000, 100)] {
            meter.add(payload, 0, Duration::from_millis(millis));
        }
        let rate = meter.rate();
        assert!((4_000_000..4_001_000).contains(&rate.peak), "{rate:?}");
        assert!((2_900_000..3_000_000).contains(&rate.average), "{rate:?}");
    }
}
