use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use millrace_media::Unit;

use crate::multivariant::Variant;
use crate::playlist::{Listed, Playlist};
use crate::wall::{WallClock, unix_nanos};
use crate::{Error, HlsConfig, Segment, Segmenter, TsContainer};

/// Packages one stream as HLS with MPEG-TS segments.
///
/// It lives as long as the stream's name is on air: over publishers that come back, and over pauses
/// in which nobody watches. Owned by one task; readers get [`HlsSnapshot`]s.
#[derive(Debug)]
pub struct HlsPackager {
    segmenter: Segmenter<TsContainer>,
    playlist: Playlist,
    variant: Variant,
    wall: WallClock,
    uri: Box<str>,
    session: Arc<str>,
    next_sequence: u64,
    snapshot: Option<Arc<HlsSnapshot>>,
}

/// All that requests for a stream are answered with, as of one completed segment. Immutable.
#[derive(Debug)]
pub struct HlsSnapshot {
    /// The media playlist, for `/{app}/{name}/ts.m3u8`.
    pub media_playlist: Bytes,
    /// The multivariant playlist, for `/{app}/{name}.m3u8`.
    pub multivariant: Bytes,
    /// The stream has ended; nothing follows.
    pub ended: bool,
    /// Number of the newest segment.
    pub newest: u64,
    session: Arc<str>,
    /// In order, without gaps between their numbers.
    segments: Vec<Arc<MediaSegment>>,
}

/// A segment as players get it.
#[derive(Debug)]
pub struct MediaSegment {
    /// The last part of its path. It never names other bytes.
    pub name: String,
    /// Its number.
    pub sequence: u64,
    /// How long it plays.
    pub duration: Duration,
    /// What it consists of.
    pub bytes: Bytes,
}

/// What became of a segment that was asked for.
#[derive(Debug, Clone)]
pub enum SegmentLookup {
    /// Here it is.
    Found(Arc<MediaSegment>),
    /// It was there and has left, or is of an earlier session of the server.
    Expired,
    /// It never was.
    Unknown,
}

impl SegmentLookup {
    /// Why there is no segment, for the answer's body.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Found(_) => None,
            Self::Expired => Some("the segment has left the live window; reload the playlist"),
            Self::Unknown => Some("the stream has no such segment"),
        }
    }
}

impl HlsSnapshot {
    /// The segment with this name (the last part of the request's path).
    #[must_use]
    pub fn segment(&self, name: &str) -> SegmentLookup {
        let Some((session, sequence)) = parse_name(name) else { return SegmentLookup::Unknown };
        let Some(first) = self.segments.first() else { return SegmentLookup::Unknown };
        if session != &*self.session {
            // Sessions are named by their start, so an earlier one sorts before.
            return if session < &*self.session { SegmentLookup::Expired } else { SegmentLookup::Unknown };
        }
        match sequence.checked_sub(first.sequence).map(|i| usize::try_from(i).ok().and_then(|i| self.segments.get(i))) {
            None => SegmentLookup::Expired,
            Some(Some(segment)) => SegmentLookup::Found(segment.clone()),
            Some(None) => SegmentLookup::Unknown,
        }
    }

    /// The segments that can be had, oldest first: those listed, and some that lately were.
    #[must_use]
    pub fn segments(&self) -> &[Arc<MediaSegment>] {
        &self.segments
    }
}

impl HlsPackager {
    /// A packager for the stream `name` (without its application), which begins `now`.
    #[must_use]
    pub fn new(config: &HlsConfig, name: &str, now: SystemTime) -> Self {
        // Numbers start from the clock, so that a player which outlives a restart of the server does
        // not see them fall.
        let unix_millis = unix_nanos(now).unsigned_abs() / 1_000_000;
        let first = (unix_millis / 1000).saturating_sub(NUMBERED_FROM);
        Self {
            segmenter: Segmenter::new(config, TsContainer::default()),
            playlist: Playlist::new(config.window, first % DISCONTINUITIES),
            variant: Variant::default(),
            wall: WallClock::default(),
            uri: format!("{name}/ts.m3u8").into(),
            session: format!("{unix_millis:012x}").into(),
            next_sequence: first,
            snapshot: None,
        }
    }

    /// Takes a unit that came (or is replayed) at `now`; returns what readers get from now on,
    /// where the unit completes a segment.
    ///
    /// Malformed frames are left out and counted ([`Self::skipped_frames`]).
    ///
    /// # Errors
    /// When MPEG-TS cannot carry a configured codec.
    pub fn push(&mut self, unit: &Unit, now: SystemTime) -> Result<Option<Arc<HlsSnapshot>>, Error> {
        match unit {
            Unit::Metadata(metadata) => self.variant.describe(metadata),
            Unit::Frame(frame) => self.wall.observe(frame.dts, now),
            Unit::VideoConfig(_) | Unit::AudioConfig(_) | Unit::Discontinuity => {}
        }
        let video = self.segmenter.video().cloned();
        let segment = self.segmenter.push(unit)?;
        if self.segmenter.video() != video.as_ref() {
            self.variant.restart_frame_rate();
        }
        let snapshot = segment.map(|segment| self.add(segment));
        if matches!(unit, Unit::Discontinuity) {
            self.wall.restart();
        }
        Ok(snapshot)
    }

    /// Completes the open segment: the publisher is away. What is pushed later follows as a
    /// discontinuity, and may begin with a replay.
    pub fn pause(&mut self) -> Option<Arc<HlsSnapshot>> {
        let segment = self.segmenter.interrupt();
        let snapshot = segment.map(|segment| self.add(segment));
        self.wall.restart();
        snapshot
    }

    /// Gives back the memory of all segments: nobody watches. What is pushed later follows as a
    /// discontinuity in a playlist of its own, with numbers that go on.
    pub fn suspend(&mut self) {
        self.pause();
        self.playlist.clear();
        self.snapshot = None;
    }

    /// Completes the stream. None where it never had a segment.
    #[must_use]
    pub fn end(mut self) -> Option<Arc<HlsSnapshot>> {
        self.pause();
        (!self.playlist.is_empty()).then(|| self.publish(true))
    }

    /// What readers get now; none before the first segment.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Arc<HlsSnapshot>> {
        self.snapshot.as_ref()
    }

    /// The multivariant playlist as of now. Bit rates are estimated before the first segment.
    #[must_use]
    pub fn multivariant(&self) -> Bytes {
        self.variant.render(
            &self.uri,
            self.segmenter.video().map(AsRef::as_ref),
            self.segmenter.audio().map(AsRef::as_ref),
        )
    }

    /// Frames that are in no segment: before the first keyframe, or malformed.
    #[must_use]
    pub fn skipped_frames(&self) -> u64 {
        self.segmenter.skipped_frames()
    }

    fn add(&mut self, segment: Segment) -> Arc<HlsSnapshot> {
        let correction = self.wall.settle();
        self.playlist.correct_dates(correction);
        self.variant.add(&segment, self.target());
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.playlist.push(Listed {
            discontinuity: segment.discontinuity,
            independent: segment.independent,
            date: self.wall.at(segment.start),
            segment: Arc::new(MediaSegment {
                name: format!("{}-{sequence}.ts", self.session),
                sequence,
                duration: segment.duration,
                bytes: segment.bytes,
            }),
        });
        self.publish(false)
    }

    fn publish(&mut self, ended: bool) -> Arc<HlsSnapshot> {
        let snapshot = Arc::new(HlsSnapshot {
            media_playlist: self.playlist.render(self.target(), ended),
            multivariant: self.multivariant(),
            ended,
            newest: self.next_sequence - 1,
            session: self.session.clone(),
            segments: self.playlist.segments(),
        });
        self.snapshot = Some(snapshot.clone());
        snapshot
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

/// `{session}-{sequence}.ts`, written as this program writes it.
fn parse_name(name: &str) -> Option<(&str, u64)> {
    let (session, sequence) = name.strip_suffix(".ts")?.split_once('-')?;
    let is_session = session.len() >= 12 && session.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_number = sequence.bytes().all(|b| b.is_ascii_digit()) && (sequence == "0" || !sequence.starts_with('0'));
    if is_session && is_number { Some((session, sequence.parse().ok()?)) } else { None }
}
