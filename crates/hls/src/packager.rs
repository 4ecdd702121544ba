use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use millrace_media::{Timestamp, Unit};

use crate::dash::Periods;
use crate::multivariant::Meter;
use crate::name::Item;
use crate::playlist::{Listed, Playlist};
use crate::snapshot::Init;
use crate::text::{MediaText, OpenText};
use crate::wall::{WallClock, unix_nanos};
use crate::{
    Container, Cut, Error, HlsConfig, HlsSnapshot, InitSegment, MediaSegment, ResourceName, Segment, Segmenter,
};

/// Packages one stream as HLS in one format.
///
/// It lives as long as the stream's name is on air: over publishers that come back, and over pauses
/// in which nobody watches. Owned by one task; readers get [`HlsSnapshot`]s.
#[derive(Debug)]
pub struct HlsPackager<C> {
    segmenter: Segmenter<C>,
    playlist: Playlist,
    meter: Meter,
    wall: WallClock,
    session: u64,
    next_sequence: u64,
    /// The newest configuration that a segment had, where the format keeps it apart.
    init: Option<Arc<Init>>,
    periods: Periods,
    /// When the open segment begins by the calendar, once that was said.
    open_date: Option<i64>,
    /// The publisher is away.
    away: bool,
}

impl<C: Container> HlsPackager<C> {
    /// A packager that begins `now`.
    #[must_use]
    pub fn new(config: &HlsConfig, container: C, now: SystemTime) -> Self {
        // Numbers start from the clock, so that a player which outlives a restart of the server does
        // not see them fall.
        let unix_millis = unix_nanos(now).unsigned_abs() / 1_000_000;
        let first = (unix_millis / 1000).saturating_sub(NUMBERED_FROM);
        Self {
            segmenter: Segmenter::new(config, container),
            playlist: Playlist::new(config.window, first % DISCONTINUITIES),
            meter: Meter::default(),
            wall: WallClock::default(),
            session: unix_millis,
            next_sequence: first,
            init: None,
            periods: Periods::default(),
            open_date: None,
            away: false,
        }
    }

    /// A packager for the same stream that begins `now` with a list of its own. Its numbers go on,
    /// also where segments were so short that the clock is behind them.
    #[must_use]
    pub fn start_over(&self, config: &HlsConfig, container: C, now: SystemTime) -> Self {
        let new = Self::new(config, container, now);
        Self {
            next_sequence: new.next_sequence.max(self.next_sequence),
            session: new.session.max(self.session + 1),
            ..new
        }
    }

    /// Takes a unit that came (or is replayed) at `now`. True where readers are to be shown
    /// something new by [`Self::publish`].
    ///
    /// Malformed frames are left out and counted ([`Self::skipped_frames`]).
    ///
    /// # Errors
    /// When the format cannot carry a configured codec.
    pub fn push(&mut self, unit: &Unit, now: SystemTime) -> Result<bool, Error> {
        if let Unit::Frame(frame) = unit {
            self.wall.observe(frame.dts, now);
            self.away = false;
        }
        let video = self.segmenter.video().cloned();
        let cut = self.segmenter.push(unit)?;
        if self.segmenter.video() != video.as_ref() {
            self.meter.restart_frame_rate();
        }
        let new = !matches!(cut, Cut::None);
        if let Cut::Segment(segment) = cut {
            self.add(segment);
        }
        if matches!(unit, Unit::Discontinuity) {
            self.wall.restart();
        }
        Ok(new)
    }

    /// Completes the open segment: the publisher is away. What is pushed later follows as a
    /// discontinuity, and may begin with a replay. True where readers are to be shown something new.
    pub fn pause(&mut self) -> bool {
        if let Some(segment) = self.segmenter.interrupt() {
            self.add(segment);
        }
        self.wall.restart();
        self.away = true;
        !self.playlist.is_empty()
    }

    /// Gives back the memory of all segments: nobody watches. What is pushed later follows as a
    /// discontinuity in a playlist of its own, with numbers that go on.
    pub fn suspend(&mut self) {
        self.pause();
        self.playlist.clear();
        self.segmenter.start_anew();
        self.away = false;
    }

    /// Completes the stream. None where it never had a segment.
    #[must_use]
    pub fn end(mut self) -> Option<Arc<HlsSnapshot>> {
        self.pause();
        (!self.playlist.is_empty()).then(|| self.snapshot(true))
    }

    /// What readers get from now on; none before the first segment.
    #[must_use]
    pub fn publish(&mut self) -> Option<Arc<HlsSnapshot>> {
        (!self.playlist.is_empty()).then(|| self.snapshot(false))
    }

    /// Frames that are in no segment: before the first keyframe, or malformed.
    #[must_use]
    pub fn skipped_frames(&self) -> u64 {
        self.segmenter.skipped_frames()
    }

    fn add(&mut self, segment: Segment) {
        let correction = self.wall.settle();
        self.playlist.correct_dates(correction);
        let date = self.open_date.take().map_or_else(|| self.wall.at(segment.start), |said| said + correction);
        if correction > 0 {
            self.periods.end();
        }
        let period = self.periods.of(&segment, date);
        let content = segment.content();
        self.meter.add(content.len() as u64, segment.pictures, segment.duration, self.target());
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let end = segment.end();
        let init = self.init_of(segment.init);
        self.playlist.push(Listed {
            independent: segment.independent,
            date,
            segment: Arc::new(MediaSegment {
                name: ResourceName { format: C::FORMAT, session: self.session, item: Item::Segment(sequence) },
                sequence,
                duration: segment.duration,
                end,
                discontinuity: segment.discontinuity,
                parts: segment.parts,
                content,
                init,
                period,
            }),
        });
    }

    /// A configuration that differs from the one before has another number.
    fn init_of(&mut self, segment: Option<InitSegment>) -> Option<Arc<Init>> {
        let segment = segment?;
        let number = match &self.init {
            Some(init) if init.segment == segment => return self.init.clone(),
            Some(init) => init.number + 1,
            None => 0,
        };
        self.init = Some(Arc::new(Init { number, segment }));
        self.init.clone()
    }

    fn snapshot(&mut self, ended: bool) -> Arc<HlsSnapshot> {
        let (start, independent, discontinuity) =
            self.segmenter.open_segment().unwrap_or((Timestamp::ZERO, true, false));
        let open_init = match self.segmenter.open_parts() {
            [] => self.init.clone(),
            _ => self.init_of(self.segmenter.init()),
        };
        let date = match self.open_date {
            Some(date) => date,
            None if self.segmenter.open_parts().is_empty() => 0,
            None => *self.open_date.insert(self.wall.begin_at(start)),
        };
        let parts = self.segmenter.open_parts();
        let (target, part_target) = (self.target(), self.segmenter.part_target());
        let text = MediaText {
            format: C::FORMAT,
            session: self.session,
            playlist: &self.playlist,
            target,
            part_target,
            open: OpenText {
                sequence: self.next_sequence,
                parts,
                discontinuity,
                independent,
                date,
                init: open_init.as_ref(),
            },
            away: self.away,
            ended,
        };
        Arc::new(HlsSnapshot {
            playlist: text.full(),
            delta: text.delta(),
            ended,
            target,
            newest: self.next_sequence - 1,
            measured: self.meter.measured(),
            format: C::FORMAT,
            session: self.session,
            away: self.away,
            part_target,
            segments: self.playlist.segments(),
            open: parts.to_vec(),
            listed: self.playlist.listed().len(),
            mpd: OnceLock::new(),
            open_init,
        })
    }

    fn target(&self) -> Duration {
        self.segmenter.target_duration().unwrap_or_default() // set with the first segment
    }
}

/// 2025-01-01T00:00:00Z: keeps the numbers in 31 bits for this century's first half and well beyond.
const NUMBERED_FROM: u64 = 1_735_689_600;

/// Discontinuities are numbered from the clock as well, so that a player which outlives a restart of the server does not
/// take the new time line for the old one; but within this, since hls.js walks an array as long as the number at every
/// reload.
const DISCONTINUITIES: u64 = 1 << 16;
