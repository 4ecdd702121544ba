//! How often somebody may try: by address and by account. How often somebody is written to.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

/// Counts tries to log in and to register, letters, pictures, views, comments and reports.
#[derive(Debug)]
pub(crate) struct Tries {
    clock: DefaultClock,
    by_address: DefaultKeyedRateLimiter<IpAddr>,
    by_account: DefaultKeyedRateLimiter<String>,
    registrations: DefaultKeyedRateLimiter<IpAddr>,
    letters: DefaultKeyedRateLimiter<String>,
    pictures: DefaultKeyedRateLimiter<String>,
    views: DefaultKeyedRateLimiter<IpAddr>,
    comments: DefaultKeyedRateLimiter<String>,
    comments_for_long: DefaultKeyedRateLimiter<String>,
    reports: DefaultKeyedRateLimiter<String>,
    since_tidied: AtomicU32,
}

/// Too often: how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooOften(pub(crate) Duration);

impl Default for Tries {
    fn default() -> Self {
        let per_minute = |n| Quota::per_minute(NonZeroU32::new(n).expect("a quota is not zero"));
        let per_hour = |n| Quota::per_hour(NonZeroU32::new(n).expect("a quota is not zero"));
        Self {
            clock: DefaultClock::default(),
            by_address: DefaultKeyedRateLimiter::keyed(per_minute(LOG_INS_PER_ADDRESS_AND_MINUTE)),
            by_account: DefaultKeyedRateLimiter::keyed(per_minute(LOG_INS_PER_ACCOUNT_AND_MINUTE)),
            registrations: DefaultKeyedRateLimiter::keyed(per_hour(REGISTRATIONS_PER_ADDRESS_AND_HOUR)),
            letters: DefaultKeyedRateLimiter::keyed(per_hour(LETTERS_PER_MAILBOX_AND_HOUR)),
            pictures: DefaultKeyedRateLimiter::keyed(per_hour(PICTURES_PER_ACCOUNT_AND_HOUR)),
            views: DefaultKeyedRateLimiter::keyed(per_hour(VIEWS_PER_ADDRESS_AND_HOUR)),
            comments: DefaultKeyedRateLimiter::keyed(per_minute(COMMENTS_PER_ACCOUNT_AND_MINUTE)),
            comments_for_long: DefaultKeyedRateLimiter::keyed(per_hour(COMMENTS_PER_ACCOUNT_AND_HOUR)),
            reports: DefaultKeyedRateLimiter::keyed(per_hour(REPORTS_PER_ACCOUNT_AND_HOUR)),
            since_tidied: AtomicU32::new(0),
        }
    }
}

impl Tries {
    /// Counts a try to log in to `account`, which need not exist.
    pub(crate) fn log_in(&self, address: IpAddr, account: &str) -> Result<(), TooOften> {
        self.tidy();
        let now = self.clock.now();
        let wait = |until: governor::NotUntil<_>| TooOften(until.wait_time_from(now));
        self.by_address.check_key(&network(address)).map_err(wait)?;
        self.by_account.check_key(&account.to_owned()).map_err(wait)
    }

    /// Counts a try to watch a channel by its password.
    pub(crate) fn unlock(&self, address: IpAddr, channel: &str) -> Result<(), TooOften> {
        self.log_in(address, &format!("@{channel}"))
    }

    /// Counts a try to register.
    pub(crate) fn register(&self, address: IpAddr) -> Result<(), TooOften> {
        self.tidy();
        let now = self.clock.now();
        self.registrations.check_key(&network(address)).map_err(|until| TooOften(until.wait_time_from(now)))
    }

    /// Counts a letter to `mailbox`, which need not be anybody's.
    pub(crate) fn write_to(&self, mailbox: &str) -> Result<(), TooOften> {
        self.tidy();
        let now = self.clock.now();
        self.letters.check_key(&mailbox.to_owned()).map_err(|until| TooOften(until.wait_time_from(now)))
    }

    /// Counts a picture that an account brings.
    pub(crate) fn picture(&self, account: &str) -> Result<(), TooOften> {
        self.tidy();
        let now = self.clock.now();
        self.pictures.check_key(&account.to_owned()).map_err(|until| TooOften(until.wait_time_from(now)))
    }

    /// Counts a view from an address.
    pub(crate) fn view(&self, address: IpAddr) -> Result<(), TooOften> {
        self.tidy();
        let now = self.clock.now();
        self.views.check_key(&network(address)).map_err(|until| TooOften(until.wait_time_from(now)))
    }

    /// Counts a comment that an account writes or changes.
    pub(crate) fn comment(&self, account: &str) -> Result<(), TooOften> {
        self.tidy();
        let now = self.clock.now();
        let wait = |until: governor::NotUntil<_>| TooOften(until.wait_time_from(now));
        self.comments.check_key(&account.to_owned()).map_err(wait)?;
        self.comments_for_long.check_key(&account.to_owned()).map_err(wait)
    }

    /// Counts a report that an account makes.
    pub(crate) fn report(&self, account: &str) -> Result<(), TooOften> {
        self.tidy();
        let now = self.clock.now();
        self.reports.check_key(&account.to_owned()).map_err(|until| TooOften(until.wait_time_from(now)))
    }

    /// Lets go of those who have not tried for long, now and then.
    fn tidy(&self) {
        if self.since_tidied.fetch_add(1, Relaxed) >= TIDY_AFTER {
            self.since_tidied.store(0, Relaxed);
            self.by_address.retain_recent();
            self.by_account.retain_recent();
            self.registrations.retain_recent();
            self.letters.retain_recent();
            self.pictures.retain_recent();
            self.views.retain_recent();
            self.comments.retain_recent();
            self.comments_for_long.retain_recent();
            self.reports.retain_recent();
        }
    }
}

/// One who has IPv6 has a whole network of it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

const LOG_INS_PER_ADDRESS_AND_MINUTE: u32 = 20;
const LOG_INS_PER_ACCOUNT_AND_MINUTE: u32 = 10;
const REGISTRATIONS_PER_ADDRESS_AND_HOUR: u32 = 10;
const LETTERS_PER_MAILBOX_AND_HOUR: u32 = 5;
const VIEWS_PER_ADDRESS_AND_HOUR: u32 = 600;
const PICTURES_PER_ACCOUNT_AND_HOUR: u32 = 60;
const COMMENTS_PER_ACCOUNT_AND_MINUTE: u32 = 10;
const COMMENTS_PER_ACCOUNT_AND_HOUR: u32 = 60;
const REPORTS_PER_ACCOUNT_AND_HOUR: u32 = 20;
const TIDY_AFTER: u32 = 1000;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_account_and_an_address_are_tried_only_so_often() {
        let tries = Tries::default();
        let address = |n: u8| IpAddr::from([10, 0, 0, n]);
        for n in 0..LOG_INS_PER_ACCOUNT_AND_MINUTE as u8 {
            tries.log_in(address(n), "ada").unwrap();
        }
        let TooOften(wait) = tries.log_in(address(99), "ada").unwrap_err();
        assert!(wait <= Duration::from_secs(60) && !wait.is_zero());
        tries.log_in(address(99), "eve").unwrap();
        for n in 0..LOG_INS_PER_ADDRESS_AND_MINUTE {
            tries.log_in(address(200), &format!("user{n}")).unwrap();
        }
        assert!(tries.log_in(address(200), "another").is_err());
    }

    #[test]
    fn a_mailbox_is_not_flooded() {
        let tries = Tries::default();
        for _ in 0..LETTERS_PER_MAILBOX_AND_HOUR {
            tries.write_to("ada@example.org").unwrap();
        }
        assert!(tries.write_to("ada@example.org").is_err());
        tries.write_to("eve@example.org").unwrap();
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let tries = Tries::default();
        for n in 0..u16::try_from(REGISTRATIONS_PER_ADDRESS_AND_HOUR).unwrap() {
            tries.register(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n])).unwrap();
        }
        assert!(tries.register(IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9])).is_err());
        assert!(tries.register(IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1])).is_ok());
        tries.register("::ffff:10.0.0.1".parse().unwrap()).unwrap();
    }
}
