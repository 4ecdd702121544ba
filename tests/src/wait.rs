//! Waiting for what happens in another process.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Far beyond what anything here takes, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until there is something, and panics when there is nothing for too long.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for: {what}");
        thread::sleep(LOOK_EVERY);
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(20);
