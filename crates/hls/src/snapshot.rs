//! What requests are answered from, and when: pure functions of one moment's state.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use millrace_fmp4::{Fragment, init_segment};
use millrace_media::{Timestamp, TrackKind};

use crate::dash::{self, Period};
use crate::multivariant::Measured;
use crate::name::Item;
use crate::query::Wanted;
use crate::{Content, HlsFormat, InitSegment, Part, PlaylistQuery, ResourceName};

/// All that requests for one format of a stream are answered with, as of one completed part or
/// segment. Immutable.
#[derive(Debug)]
pub struct HlsSnapshot {
    /// The media playlist.
    pub playlist: Content,
    /// The media playlist without what players have (RFC 8216bis, 6.2.5.1), where that is less.
    pub delta: Option<Content>,
    /// The stream has ended; nothing follows.
    pub ended: bool,
    /// What no segment exceeds when rounded to seconds.
    pub target: Duration,
    /// Number of the newest segment that is complete.
    pub newest: u64,
    /// What was measured of the stream.
    pub measured: Measured,
    pub(crate) format: HlsFormat,
    pub(crate) session: u64,
    /// The publisher is away: nothing follows for now.
    pub(crate) away: bool,
    /// What no part exceeds, where there are parts.
    pub(crate) part_target: Option<Duration>,
    /// In order, without gaps between their numbers.
    pub(crate) segments: Vec<Arc<MediaSegment>>,
    /// Parts of the segment after the newest.
    pub(crate) open: Vec<Arc<Part>>,
    pub(crate) open_init: Option<Arc<Init>>,
    /// How many of `segments`, of the newest, are listed.
    pub(crate) listed: usize,
    /// The manifest of DASH, once somebody asked for it.
    pub(crate) mpd: OnceLock<Option<Content>>,
}

/// A segment as players get it.
#[derive(Debug)]
pub struct MediaSegment {
    /// The last part of its path. It never names other bytes.
    pub name: ResourceName,
    /// Its number.
    pub sequence: u64,
    /// How long it plays.
    pub duration: Duration,
    /// When it ends, on the stream's time line.
    pub(crate) end: Timestamp,
    /// Its time does not go on from the segment before.
    pub discontinuity: bool,
    /// Its parts, at least one, in order.
    pub parts: Vec<Arc<Part>>,
    /// All its bytes: those of its parts.
    pub content: Content,
    /// What a decoder needs first, where that is kept apart.
    pub init: Option<Arc<Init>>,
    /// The stretch of time that it lies in.
    pub(crate) period: Arc<Period>,
}

/// What a decoder needs before the segments of one configuration.
#[derive(Debug)]
pub struct Init {
    pub(crate) number: u32,
    pub(crate) segment: InitSegment,
}

impl MediaSegment {
    /// The fragments of one track, where the format keeps tracks apart.
    pub(crate) fn fragments(&self, track: TrackKind) -> impl Iterator<Item = &Fragment> {
        self.parts.iter().filter_map(move |part| part.chunk.fragment(track))
    }
}

impl Init {
    /// Of one track alone.
    fn of_track(&self, track: TrackKind) -> Option<Bytes> {
        let (video, audio) = (self.segment.video.as_deref(), self.segment.audio.as_deref());
        match track {
            TrackKind::Video => init_segment(Some(video?), None).ok(),
            TrackKind::Audio => init_segment(None, Some(audio?)).ok(),
        }
    }
}

/// What a request gets now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn<T> {
    /// This.
    Now(T),
    /// Nothing yet: it has to be looked again when the stream has gone on.
    Wait,
    /// Nothing, and why.
    Never(Refused),
}

/// Why a request gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// What was asked for was there and has left, or is of an earlier session of the server.
    #[error("the segment has left the live window; reload the playlist")]
    Expired,
    /// It never was.
    #[error("the stream has no such segment")]
    Unknown,
    /// A playlist of a time that is far away (RFC 8216bis, 6.2.5.2).
    #[error("_HLS_msn and _HLS_part are too far ahead: the newest segment is {newest}, with {parts} parts after it")]
    TooFarAhead {
        /// Number of the newest segment that is complete.
        newest: u64,
        /// Parts of the one after it.
        parts: usize,
    },
}

impl HlsSnapshot {
    /// What a request for the media playlist gets.
    #[must_use]
    pub fn playlist(&self, query: &PlaylistQuery) -> Turn<Content> {
        // Without parts nothing of this is offered, and a list that has its end has all.
        let asks = query.wanted.filter(|_| self.part_target.is_some() && !self.ended);
        match asks.map_or(Ok(true), |wanted| self.has(wanted)) {
            Err(refused) => Turn::Never(refused),
            // Whoever waited for a publisher that is away would take the silence for a failure.
            Ok(false) if !self.away => Turn::Wait,
            Ok(_) => Turn::Now(self.delta.as_ref().filter(|_| query.skip).unwrap_or(&self.playlist).clone()),
        }
    }

    /// Whether a player that begins with the oldest segment has enough to play until the next is there.
    ///
    /// Players of whole segments begin three from the end (RFC 8216, 6.3.3), or with what there is: of one segment they
    /// are at the end just when the next is complete, and stall before they have learnt of it. Parts come in time.
    #[must_use]
    pub fn suffices(&self) -> bool {
        self.listed > 1 || self.part_target.is_some() || self.ended || self.away
    }

    /// Whether the playlist has what is wanted of it.
    fn has(&self, wanted: Wanted) -> Result<bool, Refused> {
        let (newest, parts) = (self.newest, self.open.len());
        let too_far = Err(Refused::TooFarAhead { newest, parts });
        let ahead = wanted.sequence.saturating_sub(newest);
        if ahead > MAX_SEGMENTS_AHEAD {
            return too_far;
        }
        let Some(part) = wanted.part else { return Ok(ahead == 0) };
        let part = usize::try_from(part).unwrap_or(usize::MAX);
        match ahead {
            // A part beyond a segment's last is the next segment's first.
            0 => Ok(wanted.sequence < newest || part < self.parts_of_newest() || parts > 0),
            1 if part >= parts.saturating_add(self.max_parts_ahead()) => too_far,
            1 => Ok(part < parts),
            _ if part >= self.max_parts_ahead() => too_far,
            _ => Ok(false),
        }
    }

    /// The "Advance Part Limit".
    fn max_parts_ahead(&self) -> usize {
        let millis = self.part_target.map_or(1000, |target| target.as_millis().clamp(1, 1000));
        usize::try_from(3000u128.div_ceil(millis)).unwrap_or(usize::MAX)
    }

    fn parts_of_newest(&self) -> usize {
        self.segments.last().map_or(0, |segment| segment.parts.len())
    }

    /// What a request for something that the playlist names gets.
    #[must_use]
    pub fn resource(&self, name: ResourceName) -> Turn<Content> {
        if name.format != self.format || name.item == Item::Other {
            return Turn::Never(Refused::Unknown);
        }
        if name.session != self.session {
            return Turn::Never(if name.session < self.session { Refused::Expired } else { Refused::Unknown });
        }
        match name.item {
            Item::Segment(sequence) => {
                self.segment(sequence).map_or_else(Turn::Never, |s| Turn::Now(s.content.clone()))
            }
            Item::Part(sequence, part) => self.part(sequence, part),
            Item::Init(number) => {
                self.init(number).map_or_else(Turn::Never, |i| Turn::Now(i.segment.bytes.clone().into()))
            }
            Item::Track(track, time) => self.track(track, time).map_or_else(Turn::Never, Turn::Now),
            Item::TrackInit(track, number) => {
                let init = self.init(number).and_then(|init| init.of_track(track).ok_or(Refused::Unknown));
                init.map_or_else(Turn::Never, |bytes| Turn::Now(bytes.into()))
            }
            Item::Other => Turn::Never(Refused::Unknown),
        }
    }

    fn segment(&self, sequence: u64) -> Result<&Arc<MediaSegment>, Refused> {
        let first = self.segments.first().ok_or(Refused::Unknown)?.sequence;
        let index = sequence.checked_sub(first).ok_or(Refused::Expired)?;
        usize::try_from(index).ok().and_then(|index| self.segments.get(index)).ok_or(Refused::Unknown)
    }

    fn part(&self, sequence: u64, part: u32) -> Turn<Content> {
        let index = usize::try_from(part).unwrap_or(usize::MAX);
        let open = sequence == self.newest + 1;
        let parts = match open {
            true => &self.open,
            false => match self.segment(sequence) {
                Ok(segment) => &segment.parts,
                Err(refused) => return Turn::Never(refused),
            },
        };
        match parts.get(index) {
            Some(part) => Turn::Now(part.content.clone()),
            // The one that the playlist hints at.
            None if open && index == parts.len() && !self.ended && self.part_target.is_some() => Turn::Wait,
            None => Turn::Never(Refused::Unknown),
        }
    }

    fn init(&self, number: u32) -> Result<&Init, Refused> {
        let mut inits = self.segments.iter().map(|s| &s.init).chain([&self.open_init]).flatten();
        match inits.find(|init| init.number == number) {
            Some(init) => Ok(init),
            None if self.open_init.as_ref().is_some_and(|init| number < init.number) => Err(Refused::Expired),
            None => Err(Refused::Unknown),
        }
    }

    /// The segment of one track that begins at `time`, in its ticks.
    fn track(&self, track: TrackKind, time: u64) -> Result<Content, Refused> {
        let mut starts = self.segments.iter().filter_map(|s| Some((s, s.fragments(track).next()?.start))).peekable();
        if starts.peek().is_some_and(|(_, first)| time < *first) {
            return Err(Refused::Expired);
        }
        let (segment, _) = starts.find(|(_, start)| *start == time).ok_or(Refused::Unknown)?;
        Ok(segment.fragments(track).map(|fragment| fragment.bytes.clone()).collect())
    }

    /// The manifest of DASH for the stream `name`; none where the format does not keep tracks apart.
    /// It is written once, for all who ask.
    #[must_use]
    pub fn mpd(&self, name: &str) -> Option<Content> {
        self.mpd.get_or_init(|| dash::render(self, name)).clone()
    }

    /// The segments that are listed, oldest first.
    pub(crate) fn listed(&self) -> &[Arc<MediaSegment>] {
        &self.segments[self.segments.len().saturating_sub(self.listed)..]
    }

    /// The segments that can be had, oldest first: those listed, and some that lately were.
    #[must_use]
    pub fn segments(&self) -> &[Arc<MediaSegment>] {
        &self.segments
    }
}

/// By how much the segment asked for may be ahead of the newest one.
const MAX_SEGMENTS_AHEAD: u64 = 2;
