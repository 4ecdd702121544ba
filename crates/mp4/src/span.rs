//! Which samples of a track are played, and when, after its edit list.
//!
//! Pictures that the edit list cuts off at the beginning, but that others are decoded from, cannot be left out; without
//! an edit list they would be shown. They are put within an instant before the first picture that is to be shown.

use crate::edits::Edits;
use crate::samples::{Sample, Samples};
use crate::{Error, TrackKind};

/// What of a track is played. Times are ticks of the media.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first sample, and the one after the last.
    pub(crate) first: u32,
    pub(crate) end: u32,
    /// When the first is decoded, as the media has it.
    pub(crate) dts: i64,
    /// When the first is shown or heard.
    pub(crate) start: i64,
    /// When the last is no longer.
    pub(crate) finish: i64,
    /// From the media's time to that of the presentation.
    pub(crate) shift: i64,
    /// How much earlier than the media has it samples are decoded: so that none is shown before, which not all players
    /// take.
    ahead: i64,
    /// Samples that are only decoded, in order.
    hidden: Vec<Hidden>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hidden {
    index: u32,
    dts: i64,
    pts: i64,
}

/// Most pictures that are decoded without being shown, before the first that is.
pub const MAX_HIDDEN: usize = 1 << 14;
/// Seconds that pictures may be shown before they are decoded; such times are nonsense if it is more.
const MOST_AHEAD: u32 = 5;
/// Such pictures follow each other at least so many times a second: browsers count in microseconds.
const HIDDEN_RATE: u32 = 50_000;

impl Span {
    pub(crate) fn new(kind: TrackKind, samples: &Samples, edits: Edits, timescale: u32) -> Result<Self, Error> {
        let start = edits.start.unwrap_or(i64::MIN);
        let end = edits.end.unwrap_or(i64::MAX);
        let mut span = match kind {
            TrackKind::Video => Self::of_pictures(samples, start, end, timescale)?,
            TrackKind::Audio => Self::of_sound(samples, start, end, timescale)?,
        };
        span.shift = edits.delay - edits.start.unwrap_or(0);
        Ok(span)
    }

    /// From the sample before the one with which sound begins, as decoders need it; unless it is a long one.
    fn of_sound(samples: &Samples, start: i64, end: i64, timescale: u32) -> Result<Self, Error> {
        let mut span = Self { start: i64::MAX, ..Self::default() };
        let mut before: Option<Sample> = None;
        for sample in samples.all() {
            if sample.dts >= end {
                break;
            }
            let finish = sample.dts + i64::from(sample.duration);
            if span.start == i64::MAX && (finish > start || sample.dts >= start) {
                let first = before.filter(|s| s.duration <= timescale).unwrap_or(sample);
                (span.first, span.dts) = (first.index, first.dts);
                span.start = sample.dts.max(start);
            }
            span.end = sample.index + 1;
            span.finish = finish.min(end);
            before = Some(sample);
        }
        if span.start == i64::MAX { Err(nothing()) } else { Ok(span) }
    }

    fn of_pictures(samples: &Samples, start: i64, end: i64, timescale: u32) -> Result<Self, Error> {
        let mut span = Self { start: i64::MAX, finish: i64::MIN, ..Self::default() };
        let most_ahead = i64::from(MOST_AHEAD) * i64::from(timescale);
        // The first in the order of decoding that is shown.
        let mut shown: Option<Sample> = None;
        let mut too_many = false;
        for sample in samples.all() {
            let pts = sample.pts();
            let late = -i64::from(sample.composition);
            if late <= most_ahead {
                span.ahead = span.ahead.max(late);
            }
            if shown.is_none() && (sample.sync || sample.index == 0) {
                (span.first, span.dts) = (sample.index, sample.dts);
                span.hidden.clear();
                too_many = false;
            }
            if pts < start {
                too_many |= span.hidden.len() == MAX_HIDDEN;
                if !too_many {
                    span.hidden.push(Hidden { index: sample.index, dts: sample.dts, pts });
                }
            } else if pts < end {
                shown = shown.or(Some(sample));
                span.start = span.start.min(pts);
                span.finish = span.finish.max((pts + i64::from(sample.duration)).min(end));
                span.end = sample.index + 1;
            }
        }
        let Some(shown) = shown else { return Err(nothing()) };
        if too_many {
            let (found, most) = (MAX_HIDDEN as u64 + 1, MAX_HIDDEN as u64);
            return Err(Error::TooMuch { what: "pictures before the first that is shown", found, most });
        }
        span.hidden.retain(|hidden| hidden.index < span.end);
        span.hide(shown, timescale);
        Ok(span)
    }

    /// Puts what is not shown right before what is.
    fn hide(&mut self, shown: Sample, timescale: u32) {
        let step = i64::from((timescale / HIDDEN_RATE).max(1));
        let count = self.hidden.len();
        let back = |n: usize| i64::try_from(n).unwrap_or(i64::MAX) * step; // at most MAX_HIDDEN
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|n| self.hidden[*n].pts);
        for (rank, n) in order.into_iter().enumerate() {
            self.hidden[n].pts = self.start - back(count - rank);
        }
        // Those that are decoded before the first that is shown are decoded in a row, each before its time.
        let before = self.hidden.partition_point(|hidden| hidden.index < shown.index);
        let mut next = shown.dts.min(self.start);
        let in_row = |next: i64, n: usize| next - back(before - n);
        let late = self.hidden[..before].iter().enumerate().map(|(n, hidden)| in_row(next, n) - hidden.pts).max();
        next -= late.unwrap_or(0).max(0);
        for (n, hidden) in self.hidden[..before].iter_mut().enumerate() {
            hidden.dts = in_row(next, n);
        }
    }

    /// When the first sample is decoded.
    pub(crate) fn first_dts(&self) -> i64 {
        let hidden = self.hidden.first().filter(|hidden| hidden.index == self.first);
        hidden.map_or(self.dts, |hidden| hidden.dts) - self.ahead
    }

    /// The samples from `first` on, which is decoded at `dts` as the media has it; with when they are decoded and
    /// shown.
    pub(crate) fn play<'a>(&'a self, samples: &'a Samples, first: u32, dts: i64) -> impl Iterator<Item = Played> + 'a {
        let mut hidden = self.hidden[self.hidden.partition_point(|hidden| hidden.index < first)..].iter().peekable();
        samples.iter(first..self.end, dts).map(move |sample| {
            let times = hidden.next_if(|hidden| hidden.index == sample.index).map(|hidden| (hidden.dts, hidden.pts));
            let (dts, pts) = times.unwrap_or((sample.dts, sample.pts()));
            Played { dts: dts - self.ahead, pts, sample }
        })
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.hidden.capacity() * size_of::<Hidden>()
    }
}

/// A sample as it is played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Played {
    /// When it is decoded, ticks of the media.
    pub(crate) dts: i64,
    /// When it is shown or heard.
    pub(crate) pts: i64,
    /// As the media has it.
    pub(crate) sample: Sample,
}

fn nothing() -> Error {
    Error::Unsupported("it has no samples that are played".to_owned())
}
