use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::StatusCode;

/// How many requests the HTTP port has answered, by class of status. Clones share the counters.
#[derive(Debug, Clone, Default)]
pub struct Answers(Arc<[AtomicU64; 5]>);

/// Counts the bytes of those answers among whose extensions it is, as connections take them. Clones share the counter.
#[derive(Debug, Clone, Default)]
pub struct SentBytes(Arc<AtomicU64>);

impl SentBytes {
    pub(crate) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Relaxed);
    }

    /// Bytes so far, heads not among them.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Answers {
    /// Counts an answer.
    pub(crate) fn count(&self, status: StatusCode) {
        // A status is from 100 to 999, those that are sent below 600.
        if let Some(class) = self.0.get(usize::from(status.as_u16() / 100).wrapping_sub(1)) {
            class.fetch_add(1, Relaxed);
        }
    }

    /// The answers so far: class (`2` for 200 to 299) and count.
    pub fn by_class(&self) -> impl Iterator<Item = (u16, u64)> {
        (1..).zip(self.0.iter().map(|class| class.load(Relaxed)))
    }
}
