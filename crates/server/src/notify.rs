//! What systemd is told (`Type=notify-reload`, see sd_notify(3)). Without systemd nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Serving, or serving again after a reload.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The configuration is being read again.
pub(crate) fn reloading() {
    // The time is what tells systemd that this is the answer to its signal.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
}

/// Ending.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Tells a watchdog, where there is one, that the server goes round.
pub(crate) struct Watchdog(Option<Interval>);

impl Watchdog {
    /// As often as the service's `WatchdogSec=` asks for.
    pub(crate) fn new() -> Self {
        Self(sd_notify::watchdog_enabled().map(|within| {
            let mut ticks = interval((within / 2).max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        }))
    }

    /// Waits until it is time, and tells it. To be called again and again.
    pub(crate) async fn tick(&mut self) {
        match &mut self.0 {
            Some(ticks) => ticks.tick().await,
            None => std::future::pending().await,
        };
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd is not told");
    }
}
