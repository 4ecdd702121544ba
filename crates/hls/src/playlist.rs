//! Which segments are listed, and for how long they can be had.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::MediaSegment;

/// The media playlist of one stream, and the segments that are, or lately were, in it.
#[derive(Debug)]
pub(crate) struct Playlist {
    window: usize,
    listed: VecDeque<Listed>,
    kept: VecDeque<Kept>,
    discontinuity_sequence: u64,
    /// Number of the newest segment whose date was said, and then was corrected.
    corrected: Option<u64>,
    /// Every segment that ever was listed is independent.
    independent: bool,
    /// Duration of all segments that ever were listed.
    total: Duration,
    longest: Duration,
}

/// An entry of the playlist.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) segment: Arc<MediaSegment>,
    pub(crate) independent: bool,
    /// Nanoseconds since 1970.
    pub(crate) date: i64,
}

impl Listed {
    fn end(&self) -> i64 {
        self.date.saturating_add(i64::try_from(self.segment.duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

#[derive(Debug)]
struct Kept {
    segment: Arc<MediaSegment>,
    /// What `total` must reach before it may go.
    until: Duration,
}

impl Playlist {
    pub(crate) fn new(window: usize, discontinuity_sequence: u64) -> Self {
        Self {
            window: window.max(1),
            listed: VecDeque::new(),
            kept: VecDeque::new(),
            discontinuity_sequence,
            corrected: None,
            independent: true,
            total: Duration::ZERO,
            longest: Duration::ZERO,
        }
    }

    /// Lists a segment; those that no longer fit leave, and are kept for players that are about to
    /// ask for them: for their own duration and that of the longest playlist that had them
    /// (RFC 8216, 6.2.2). After a long pause all leave, so that nobody who joins begins with what is
    /// long past.
    pub(crate) fn push(&mut self, entry: Listed) {
        let follows = !entry.segment.discontinuity;
        let pause = self.listed.back().filter(|_| !follows).map_or(0, |last| entry.date.saturating_sub(last.end()));
        let listed = if pause > STALE_AFTER { self.listed.len() } else { 0 };
        self.total += entry.segment.duration;
        self.independent &= entry.independent;
        self.listed.push_back(entry);
        let leaving = self.listed.len().saturating_sub(self.window).max(listed);
        self.longest = self.longest.max(self.listed.iter().skip(leaving).map(|l| l.segment.duration).sum());
        for left in self.listed.drain(..leaving) {
            self.discontinuity_sequence += u64::from(left.segment.discontinuity);
            let until = self.total + left.segment.duration + self.longest;
            self.kept.push_back(Kept { segment: left.segment, until });
        }
        while self.kept.front().is_some_and(|k| k.until <= self.total) || self.kept.len() > self.window + MAX_EXTRA {
            self.kept.pop_front();
        }
    }

    /// Moves the dates of the segments since the last discontinuity.
    pub(crate) fn correct_dates(&mut self, nanos: i64) {
        if nanos == 0 {
            return;
        }
        self.corrected = self.listed.back().map(|last| last.segment.sequence);
        for entry in self.listed.iter_mut().rev() {
            entry.date = entry.date.saturating_add(nanos);
            if entry.segment.discontinuity {
                break;
            }
        }
    }

    /// Whether all that is listed is as it always was.
    pub(crate) fn is_settled(&self) -> bool {
        self.listed.front().is_none_or(|first| self.corrected.is_none_or(|last| last < first.segment.sequence))
    }

    /// Whether every segment that ever was listed is independent. What a playlist says of itself must
    /// not change with each segment (RFC 8216, 6.2.1): so it is no more, once it was not.
    pub(crate) fn is_independent(&self) -> bool {
        self.independent
    }

    /// Lists nothing, and keeps nothing. Numbers go on.
    pub(crate) fn clear(&mut self) {
        self.discontinuity_sequence += self.listed.iter().map(|l| u64::from(l.segment.discontinuity)).sum::<u64>();
        self.listed.clear();
        self.kept.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// What is listed, oldest first.
    pub(crate) fn listed(&self) -> &VecDeque<Listed> {
        &self.listed
    }

    /// Discontinuities before the oldest that is listed.
    pub(crate) fn discontinuity_sequence(&self) -> u64 {
        self.discontinuity_sequence
    }

    /// All segments that can be had, in order, without gaps between their numbers.
    pub(crate) fn segments(&self) -> Vec<Arc<MediaSegment>> {
        self.kept.iter().map(|k| &k.segment).chain(self.listed.iter().map(|l| &l.segment)).cloned().collect()
    }
}

/// How many more segments than are listed are kept at most after they left, whatever their duration.
const MAX_EXTRA: usize = 8;

/// A pause of more than this, in nanoseconds, makes what is before it stale.
const STALE_AFTER: i64 = 30_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Item;
    use crate::{HlsFormat, ResourceName};

    fn listed(sequence: u64, millis: u64, discontinuity: bool) -> Listed {
        let segment = MediaSegment {
            name: ResourceName { format: HlsFormat::Ts, session: 0, item: Item::Segment(sequence) },
            sequence,
            duration: Duration::from_millis(millis),
            end: millrace_media::Timestamp::ZERO,
            discontinuity,
            parts: Vec::new(),
            content: crate::Content::default(),
            init: None,
            period: Arc::default(),
        };
        Listed { segment: Arc::new(segment), independent: true, date: 0 }
    }

    #[test]
    fn long_segments_that_left_do_not_keep_many_short_ones() {
        let mut p = Playlist::new(3, 0);
        (0..4).for_each(|n| p.push(listed(n, 10_000, false)));
        let mut most = 0;
        for n in 4..200 {
            p.push(listed(n, 100, false));
            most = most.max(p.kept.len());
            let numbers: Vec<_> = p.segments().iter().map(|s| s.sequence).collect();
            assert!(numbers.windows(2).all(|w| w[1] == w[0] + 1));
        }
        assert_eq!(most, 3 + MAX_EXTRA);
    }

    #[test]
    fn corrections_stop_at_a_discontinuity() {
        let mut p = Playlist::new(6, 0);
        for n in 0..4 {
            p.push(listed(n, 2000, n == 2));
        }
        p.correct_dates(-7);
        assert_eq!(p.listed.iter().map(|l| l.date).collect::<Vec<_>>(), [0, 0, -7, -7]);
        (4..9).for_each(|n| p.push(listed(n, 2000, false)));
        assert!(!p.is_settled(), "number 3 is listed");
        p.push(listed(9, 2000, false));
        assert!(p.is_settled());
    }
}
