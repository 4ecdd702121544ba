//! How long to wait after an attempt that failed.

use std::time::Duration;

/// Each wait is twice the one before, give or take a quarter, so that jobs that failed together do not return together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first attempt.
    pub first: Duration,
    /// At most, but for the quarter.
    pub most: Duration,
}

impl Default for Backoff {
    /// From 10 seconds to an hour.
    fn default() -> Self {
        Self { first: Duration::from_secs(10), most: Duration::from_secs(3600) }
    }
}

impl Backoff {
    /// The wait after that attempt, counted from 1.
    pub(crate) fn after(&self, attempt: u32) -> Duration {
        self.with(attempt, random())
    }

    fn with(&self, attempt: u32, random: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let wait = self.first.saturating_mul(doubled).min(self.most);
        wait.mul_f64(0.75 + 0.5 * f64::from(random) / f64::from(u32::MAX))
    }
}

/// Any number: without randomness all wait equally long, which is no harm.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_give_or_take_a_quarter() {
        let backoff = Backoff { first: Duration::from_secs(8), most: Duration::from_secs(100) };
        for (attempt, seconds) in [(1, 8), (2, 16), (3, 32), (4, 64), (5, 100), (6, 100), (u32::MAX, 100)] {
            let wait = Duration::from_secs(seconds);
            assert_eq!(backoff.with(attempt, 0), wait.mul_f64(0.75), "attempt {attempt}");
            assert_eq!(backoff.with(attempt, u32::MAX), wait.mul_f64(1.25), "attempt {attempt}");
        }
        let waits: std::collections::HashSet<_> = (0..20).map(|_| backoff.after(1)).collect();
        assert!(waits.len() > 1, "they differ");
    }
}
