//! What was read from the database, kept for a while.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

use millrace_store::At;

/// Values by key, each until a time. Bounded: when it is full, all is forgotten, and read again.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    kept: RwLock<Kept<K, V>>,
    most: usize,
}

#[derive(Debug)]
struct Kept<K, V> {
    entries: HashMap<K, (V, At)>,
    /// How often something was forgotten: what was read from the database before that may no longer hold.
    forgotten: u64,
}

/// When something was looked for and not found: what is read then is kept only if nothing was forgotten since.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Missed(u64);

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self { kept: RwLock::new(Kept { entries: HashMap::new(), forgotten: 0 }), most }
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q, now: At) -> Result<V, Missed>
    where
        K: Borrow<Q>,
    {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        match kept.entries.get(key) {
            Some((value, until)) if now < *until => Ok(value.clone()),
            _ => Err(Missed(kept.forgotten)),
        }
    }

    pub(crate) fn keep(&self, key: K, value: V, until: At, Missed(forgotten): Missed) {
        // Nothing is ever left half changed.
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.forgotten != forgotten {
            return;
        }
        if kept.entries.len() >= self.most && !kept.entries.contains_key(&key) {
            kept.entries.clear();
        }
        kept.entries.insert(key, (value, until));
    }

    /// Forgets those entries.
    pub(crate) fn forget(&self, mut which: impl FnMut(&K, &V) -> bool) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.forgotten += 1;
        kept.entries.retain(|key, (value, _)| !which(key, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_something_was_forgotten_is_not_kept() {
        let cache = Cache::new(2);
        let missed = cache.get("a", At(0)).map(|value: u8| value).expect_err("it is empty");
        cache.forget(|_: &String, _| false);
        cache.keep("a".to_owned(), 1, At(10), missed);
        let missed = cache.get("a", At(0)).expect_err("it may be old");
        cache.keep("a".to_owned(), 2, At(10), missed);
        assert_eq!(cache.get("a", At(9)).ok(), Some(2));
        assert!(cache.get("a", At(10)).is_err(), "its time is over");
    }

    #[test]
    fn it_is_bounded() {
        let cache = Cache::new(2);
        for key in ["a", "b", "c"] {
            let missed = cache.get(key, At(0)).map(|value: u8| value).expect_err("each is new");
            cache.keep(key.to_owned(), 0, At(10), missed);
        }
        assert!(cache.get("a", At(0)).is_err() && cache.get("c", At(0)).is_ok());
    }
}
