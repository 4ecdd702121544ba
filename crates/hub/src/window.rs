//! A bounded run of the newest items of a stream, and where a player may begin in it.

use std::collections::VecDeque;
use std::ops::Range;

use millrace_media::Timestamp;

use crate::HubConfig;

/// What a window must know of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// Configuration or metadata: every player needs it.
    Header,
    /// Sound.
    Audio,
    /// A picture that needs others.
    Inter,
    /// A picture with which decoding can begin.
    Keyframe,
}

/// What a window must know of what it holds.
pub(crate) trait Item {
    /// What it carries.
    fn kind(&self) -> ItemKind;
    /// When it is decoded.
    fn dts(&self) -> Timestamp;
    /// The bytes that it takes.
    fn bytes(&self) -> usize;
}

/// The newest items of a stream, numbered without gaps.
///
/// Serves as the GOP cache and as the room in which players may lag. **Invariant:** never more
/// than the limits' bytes, items and duration, whatever the publisher sends: where a GOP is larger
/// than that, nobody can join before the next keyframe.
#[derive(Debug)]
pub(crate) struct Window<T> {
    items: VecDeque<T>,
    first: u64,
    bytes: usize,
    /// Numbers of the keyframes at which a player may begin, oldest first.
    keyframes: VecDeque<u64>,
    /// Nobody may begin before this number.
    barrier: u64,
    has_video: bool,
    limits: Limits,
}

/// Bounds of a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    gop_count: usize,
    max_bytes: usize,
    max_items: usize,
    max_nanos: i64,
    lag_nanos: i64,
}

impl Limits {
    /// As the configuration has them.
    #[must_use]
    pub(crate) fn new(config: &HubConfig) -> Self {
        let nanos = |d: std::time::Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        Self {
            gop_count: config.gop_count.min(crate::config::MAX_GOP_COUNT),
            max_bytes: config.gop_max_bytes,
            max_items: config.gop_max_frames,
            max_nanos: nanos(config.gop_max_duration),
            lag_nanos: nanos(config.play_window),
        }
    }

    /// For frames that only joining players need: nobody lags in them.
    #[must_use]
    pub(crate) fn without_lag(self) -> Self {
        Self { lag_nanos: 0, ..self }
    }
}

/// Where a new player begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Join {
    /// The first item that it gets.
    pub at: u64,
    /// It gets no picture before the next keyframe.
    pub await_keyframe: bool,
}

impl<T: Item> Window<T> {
    /// An empty window.
    #[must_use]
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            items: VecDeque::new(),
            first: 0,
            bytes: 0,
            keyframes: VecDeque::new(),
            barrier: 0,
            has_video: false,
            limits,
        }
    }

    /// Adds the newest item and lets go of what is no longer needed.
    pub(crate) fn push(&mut self, item: T) {
        let kind = item.kind();
        if kind == ItemKind::Keyframe {
            self.keyframes.push_back(self.end());
        }
        self.has_video |= matches!(kind, ItemKind::Keyframe | ItemKind::Inter);
        self.bytes += item.bytes();
        if self.items.len() == self.items.capacity() {
            self.items.reserve_exact(self.items.len() / 4 + 16); // doubling would leave much of it unused, in each stream
        }
        self.items.push_back(item);
        self.trim();
    }

    /// The tracks changed: nobody may begin before the next item.
    pub(crate) fn set_barrier(&mut self, has_video: bool) {
        self.keyframes.clear();
        self.barrier = self.end();
        self.has_video = has_video;
    }

    /// Numbers of the items that are here.
    #[must_use]
    pub(crate) fn range(&self) -> Range<u64> {
        self.first..self.end()
    }

    /// The items from number `from` on.
    pub(crate) fn since(&self, from: u64) -> impl Iterator<Item = &T> {
        let skip = self.index(from).min(self.items.len());
        self.items.range(skip..)
    }

    /// As [`Self::since`], to change them. Their size must stay.
    pub(crate) fn since_mut(&mut self, from: u64) -> impl Iterator<Item = &mut T> {
        let skip = self.index(from).min(self.items.len());
        self.items.range_mut(skip..)
    }

    /// The time of an item, or of the newest one where the item has not come yet.
    #[must_use]
    pub(crate) fn dts(&self, number: u64) -> Timestamp {
        self.items.get(self.index(number)).or_else(|| self.items.back()).map_or(Timestamp::ZERO, T::dts)
    }

    /// Where a new player begins: up to the configured number of GOPs back.
    #[must_use]
    pub(crate) fn join(&self) -> Join {
        if !self.has_video {
            return Join { at: self.audio_only_join().max(self.barrier), await_keyframe: false };
        }
        match self.keyframes.len().checked_sub(self.limits.gop_count.max(1)) {
            _ if self.limits.gop_count == 0 || self.keyframes.is_empty() => {
                Join { at: self.end(), await_keyframe: true }
            }
            oldest => Join { at: self.keyframes[oldest.unwrap_or(0)], await_keyframe: false },
        }
    }

    /// Where a player that lagged too far goes on: at the newest keyframe.
    #[must_use]
    pub(crate) fn skip(&self) -> Join {
        match self.keyframes.back() {
            Some(&at) => Join { at, await_keyframe: false },
            None => Join { at: self.end(), await_keyframe: self.has_video },
        }
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn index(&self, number: u64) -> usize {
        usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX)
    }

    fn end(&self) -> u64 {
        self.first + self.items.len() as u64
    }

    fn audio_only_join(&self) -> u64 {
        let Some(newest) = self.items.back() else { return self.end() };
        if self.limits.gop_count == 0 {
            return self.end();
        }
        let recent = |item: &&T| newest.dts().signed_nanos_since(item.dts()) <= AUDIO_JOIN_NANOS;
        self.end() - self.items.iter().rev().take_while(recent).count() as u64
    }

    fn trim(&mut self) {
        let Some(newest) = self.items.back().map(T::dts) else { return };
        let needed_from = self.join().at;
        while let Some(oldest) = self.items.front() {
            let age = newest.signed_nanos_since(oldest.dts());
            let over = self.bytes > self.limits.max_bytes
                || self.items.len() > self.limits.max_items
                || age > self.limits.max_nanos;
            let needed = self.first >= needed_from || age <= self.limits.lag_nanos;
            if needed && !over {
                break;
            }
            self.bytes -= oldest.bytes();
            if oldest.kind() == ItemKind::Keyframe && self.keyframes.front() == Some(&self.first) {
                self.keyframes.pop_front();
            }
            self.items.pop_front();
            self.first += 1;
        }
    }
}

/// Sound that a player of an audio-only stream gets at once.
const AUDIO_JOIN_NANOS: i64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use ItemKind::{Audio, Header, Inter, Keyframe};
    use proptest::prelude::*;
    use std::time::Duration;

    /// An item that knows its number.
    #[derive(Debug)]
    struct Numbered {
        n: u64,
        kind: ItemKind,
        dts: Timestamp,
        bytes: usize,
    }

    impl Item for Numbered {
        fn kind(&self) -> ItemKind {
            self.kind
        }
        fn dts(&self) -> Timestamp {
            self.dts
        }
        fn bytes(&self) -> usize {
            self.bytes
        }
    }

    fn item(n: u64, kind: ItemKind, millis: i64, bytes: usize) -> Numbered {
        Numbered { n, kind, dts: Timestamp::from_millis(millis), bytes }
    }

    fn limits(gop_count: usize) -> Limits {
        Limits::new(&HubConfig {
            gop_count,
            gop_max_bytes: 10_000,
            gop_max_frames: 1000,
            gop_max_duration: Duration::from_secs(10),
            play_window: Duration::from_secs(1),
            ..HubConfig::default()
        })
    }

    /// Pictures every 40 ms, a keyframe every `gop` of them.
    fn play(w: &mut Window<Numbered>, gop: u64, from: u64, to: u64) {
        for n in from..to {
            let kind = if n % gop == 0 { Keyframe } else { Inter };
            w.push(item(n, kind, n as i64 * 40, 10));
        }
    }

    #[test]
    fn a_player_begins_at_the_newest_keyframe_or_as_many_gops_back_as_configured() {
        for (count, at) in [(1, 50), (2, 25), (8, 0)] {
            let mut w = Window::new(limits(count));
            play(&mut w, 25, 0, 60);
            assert_eq!(w.join(), Join { at, await_keyframe: false }, "gop.count {count}");
            assert_eq!(w.since(at).next().map(|i| i.n), Some(at));
        }
    }

    #[test]
    fn without_gop_cache_a_player_waits_for_the_next_keyframe() {
        let mut w = Window::new(limits(0));
        play(&mut w, 25, 0, 60);
        assert_eq!(w.join(), Join { at: 60, await_keyframe: true });
    }

    #[test]
    fn room_to_lag_stays_when_a_new_gop_begins() {
        let mut w = Window::new(limits(1));
        play(&mut w, 25, 0, 51);
        assert_eq!(w.range(), 25..51, "one second behind");
        let mut w = Window::new(limits(1).without_lag());
        play(&mut w, 25, 0, 51);
        assert_eq!(w.range(), 50..51);
    }

    #[test]
    fn a_publisher_without_keyframes_does_not_fill_memory() {
        let mut w = Window::new(limits(1));
        play(&mut w, 1_000_000, 0, 5000);
        assert!(w.range().count() <= 1000 && w.bytes() <= 10_000, "{:?}", w.range());
        assert_eq!(w.join(), Join { at: 5000, await_keyframe: true });
        assert_eq!(w.skip(), Join { at: 5000, await_keyframe: true });
    }

    #[test]
    fn an_audio_only_player_gets_the_last_second() {
        let mut w = Window::new(limits(1));
        for n in 0..200u64 {
            w.push(item(n, Audio, n as i64 * 20, 1));
        }
        assert_eq!(w.join(), Join { at: 149, await_keyframe: false });
    }

    #[test]
    fn nobody_joins_before_a_change_of_configuration() {
        let mut w = Window::new(limits(8));
        play(&mut w, 25, 0, 60);
        w.set_barrier(true);
        w.push(item(60, Header, 2400, 10));
        assert_eq!(w.join(), Join { at: 61, await_keyframe: true });
        play(&mut w, 1, 61, 62);
        assert_eq!(w.join(), Join { at: 61, await_keyframe: false });
    }

    proptest! {
        #[test]
        fn bounds_hold_and_joins_lie_inside(items in proptest::collection::vec((0u8..4, 0i64..3000, 0usize..6000), 1..400), gop_count in 0usize..9) {
            let mut w = Window::new(limits(gop_count));
            let mut dts = 0;
            for (n, (kind, step, bytes)) in items.into_iter().enumerate() {
                dts += step;
                let kind = [Header, Audio, Inter, Keyframe][usize::from(kind)];
                w.push(item(n as u64, kind, dts, bytes));
                prop_assert!(w.bytes() <= 10_000);
                prop_assert!(w.range().count() <= 1000);
                let range = w.range();
                for join in [w.join(), w.skip()] {
                    prop_assert!(range.start <= join.at && join.at <= range.end);
                    if !join.await_keyframe && join.at < range.end {
                        prop_assert_eq!(w.since(join.at).next().map(|i| i.n), Some(join.at));
                    }
                }
            }
        }
    }
}
