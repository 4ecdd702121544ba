use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};

use crate::MediaSegment;

/// The media playlist of one stream, and the segments that are, or lately were, in it.
#[derive(Debug)]
pub(crate) struct Playlist {
    window: usize,
    listed: VecDeque<Listed>,
    kept: VecDeque<Kept>,
    discontinuity_sequence: u64,
    /// Duration of all segments that ever were listed.
    total: Duration,
    longest: Duration,
}

/// An entry of the playlist.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) segment: Arc<MediaSegment>,
    pub(crate) discontinuity: bool,
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
            total: Duration::ZERO,
            longest: Duration::ZERO,
        }
    }

    /// Lists a segment; those that no longer fit leave, and are kept for players that are about to
    /// ask for them: for their own duration and that of the longest playlist that had them
    /// (RFC 8216, 6.2.2). After a long pause all leave, so that nobody who joins begins with what is
    /// long past.
    pub(crate) fn push(&mut self, entry: Listed) {
        let pause =
            self.listed.back().filter(|_| entry.discontinuity).map_or(0, |last| entry.date.saturating_sub(last.end()));
        let listed = if pause > STALE_AFTER { self.listed.len() } else { 0 };
        self.total += entry.segment.duration;
        self.listed.push_back(entry);
        let leaving = self.listed.len().saturating_sub(self.window).max(listed);
        self.longest = self.longest.max(self.listed.iter().skip(leaving).map(|l| l.segment.duration).sum());
        for left in self.listed.drain(..leaving) {
            self.discontinuity_sequence += u64::from(left.discontinuity);
            let until = self.total + left.segment.duration + self.longest;
            self.kept.push_back(Kept { segment: left.segment, until });
        }
        while self.kept.front().is_some_and(|k| k.until <= self.total) || self.kept.len() > self.window + MAX_EXTRA {
            self.kept.pop_front();
        }
    }

    /// Moves the dates of the segments since the last discontinuity.
    pub(crate) fn correct_dates(&mut self, nanos: i64) {
        for entry in self.listed.iter_mut().rev() {
            entry.date = entry.date.saturating_add(nanos);
            if entry.discontinuity {
                break;
            }
        }
    }

    /// Lists nothing, and keeps nothing. Numbers go on.
    pub(crate) fn clear(&mut self) {
        self.discontinuity_sequence += self.listed.iter().map(|l| u64::from(l.discontinuity)).sum::<u64>();
        self.listed.clear();
        self.kept.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// All segments that can be had, in order, without gaps between their numbers.
    pub(crate) fn segments(&self) -> Vec<Arc<MediaSegment>> {
        self.kept.iter().map(|k| &k.segment).chain(self.listed.iter().map(|l| &l.segment)).cloned().collect()
    }

    pub(crate) fn render(&self, target: Duration, ended: bool) -> Bytes {
        let mut text = String::with_capacity(160 + self.listed.len() * 120);
        self.write(&mut text, target, ended).unwrap_or_default(); // writing to a string does not fail
        text.into()
    }

    fn write(&self, text: &mut String, target: Duration, ended: bool) -> std::fmt::Result {
        let sequence = self.listed.front().map_or(0, |l| l.segment.sequence);
        writeln!(text, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{}", target.as_secs())?;
        writeln!(text, "#EXT-X-MEDIA-SEQUENCE:{sequence}")?;
        writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", self.discontinuity_sequence)?;
        if self.listed.iter().all(|l| l.independent) {
            writeln!(text, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        }
        for entry in &self.listed {
            if entry.discontinuity {
                writeln!(text, "#EXT-X-DISCONTINUITY")?;
            }
            if let Some(date) = rfc3339(entry.date) {
                writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{date}")?;
            }
            let millis = (entry.segment.duration.as_nanos() + 500_000) / 1_000_000;
            writeln!(text, "#EXTINF:{}.{:03},\n{}", millis / 1000, millis % 1000, entry.segment.name)?;
        }
        if ended {
            writeln!(text, "#EXT-X-ENDLIST")?;
        }
        Ok(())
    }
}

/// How many more segments than are listed are kept at most after they left, whatever their duration.
const MAX_EXTRA: usize = 8;

/// A pause of more than this, in nanoseconds, makes what is before it stale.
const STALE_AFTER: i64 = 30_000_000_000;

const MILLISECONDS: EncodedConfig =
    Config::DEFAULT.set_time_precision(TimePrecision::Second { decimal_digits: std::num::NonZeroU8::new(3) }).encode();

fn rfc3339(unix_nanos: i64) -> Option<String> {
    let date = OffsetDateTime::from_unix_timestamp_nanos(unix_nanos.into()).ok()?;
    date.format(&Iso8601::<MILLISECONDS>).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(sequence: u64, millis: u64) -> Listed {
        let duration = Duration::from_millis(millis);
        let segment = MediaSegment { name: sequence.to_string(), sequence, duration, bytes: Bytes::new() };
        Listed { segment: Arc::new(segment), discontinuity: false, independent: true, date: 0 }
    }

    #[test]
    fn long_segments_that_left_do_not_keep_many_short_ones() {
        let mut p = Playlist::new(3, 0);
        (0..4).for_each(|n| p.push(listed(n, 10_000)));
        let mut most = 0;
        for n in 4..200 {
            p.push(listed(n, 100));
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
            p.push(Listed { discontinuity: n == 2, ..listed(n, 2000) });
        }
        p.correct_dates(-7);
        assert_eq!(p.listed.iter().map(|l| l.date).collect::<Vec<_>>(), [0, 0, -7, -7]);
    }
}
