use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on a stream's time line, in nanoseconds since the stream's start.
///
/// Nanoseconds hold the milliseconds of RTMP, the nanosecond offsets of Enhanced RTMP and (within
/// half a tick) the 90 kHz clock of MPEG without a scale per track. Negative values are legal: a
/// composition offset may point before the start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The stream's start.
    pub const ZERO: Timestamp = Timestamp(0);

    /// From nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds, saturating at about ±292 years.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(NANOS_PER_MILLI))
    }

    /// Nanoseconds since the stream's start.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(NANOS_PER_MILLI)
    }

    /// Ticks of the 90 kHz clock of MPEG systems, rounded to the nearest; not wrapped to 33 bits.
    #[must_use]
    pub const fn as_90khz(self) -> i64 {
        self.as_ticks(90_000)
    }

    /// Ticks of a clock that counts `timescale` to the second, below 10^9, rounded to the nearest.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // fewer ticks than nanoseconds, which fit
    pub const fn as_ticks(self, timescale: u32) -> i64 {
        (self.0 as i128 * timescale as i128 + NANOS_PER_SEC / 2).div_euclid(NANOS_PER_SEC) as i64
    }

    /// Seconds, for people.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Time from `earlier` to `self`, zero where `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        u64::try_from(self.0.saturating_sub(earlier.0)).map_or(Duration::ZERO, Duration::from_nanos)
    }

    /// `self - other` in nanoseconds, signed.
    #[must_use]
    pub const fn signed_nanos_since(self, other: Timestamp) -> i64 {
        self.0.saturating_sub(other.0)
    }

    /// Moves by a signed number of milliseconds.
    #[must_use]
    pub const fn offset_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis.saturating_mul(NANOS_PER_MILLI)))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, d: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, d: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.as_secs_f64())
    }
}

const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_SEC: i128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn negative_milliseconds_round_down() {
        assert_eq!(Timestamp::from_nanos(-1).as_millis(), -1);
        assert_eq!(Timestamp::from_nanos(999_999).as_millis(), 0);
    }

    #[test]
    fn a_millisecond_is_ninety_ticks() {
        assert_eq!(Timestamp::from_millis(1).as_90khz(), 90);
        assert_eq!(Timestamp::from_millis(-40).as_90khz(), -3600);
    }

    #[test]
    fn extremes_saturate_instead_of_wrapping() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end + Duration::MAX, end);
        assert_eq!(Timestamp::ZERO.since(end), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn milliseconds_survive(ms in -(1i64 << 40)..(1i64 << 40)) {
            prop_assert_eq!(Timestamp::from_millis(ms).as_millis(), ms);
            prop_assert_eq!(Timestamp::from_millis(ms).as_90khz(), ms * 90);
        }
    }
}
