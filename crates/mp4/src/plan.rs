use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_fmp4::{MAX_FRAGMENT_SAMPLES, Moof, TrackHead, init_segment_of, track_id};

use crate::movie::{Content, nanos, ticks};
use crate::rate::{BitRate, Meter, RUN_BYTES};
use crate::span::Played;
use crate::{EPOCH, Error, Movie, Track, TrackKind, playlist};

/// How a movie is cut into segments: each track for itself, at the times at which its pictures can be cut.
///
/// A plan is small, and made in one pass over the index; segments are written when they are asked for.
#[derive(Debug)]
pub struct Plan {
    movie: Arc<Movie>,
    tracks: Vec<TrackPlan>,
}

#[derive(Debug)]
struct TrackPlan {
    name: String,
    /// Its place among the movie's tracks.
    track: usize,
    kind: TrackKind,
    cuts: Vec<Cut>,
    /// Decoding can begin with each segment.
    independent: bool,
    rate: BitRate,
}

/// Where a segment begins. Times are ticks of the media.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// Its first sample.
    first: u32,
    /// When that is decoded, as the media has it.
    dts: i64,
    /// When it is shown or heard.
    time: i64,
}

/// A segment: bytes to send, and then bytes of the file to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// `moof`, and the head of `mdat`.
    pub head: Bytes,
    /// What of the file comes after it, in this order. Adjacent ranges are one, and so are such with little between them: that is
    /// sent as well, and belongs to no sample.
    pub ranges: Vec<Range<u64>>,
    /// Bytes of the whole segment.
    pub size: u64,
}

/// How long segments are to be, where nothing else is asked for.
pub const TARGET_DURATION: Duration = Duration::from_secs(4);
/// Segments end after so long, keyframe or not.
pub const LONGEST_SEGMENT: Duration = Duration::from_secs(60);
/// Segments end before they are of more bytes, keyframe or not; one of a single sample may be longer.
pub const MAX_SEGMENT_BYTES: u64 = 128 << 20;
/// Most samples of a segment.
pub const MAX_SEGMENT_SAMPLES: usize = MAX_FRAGMENT_SAMPLES;
/// Most segments of a track: three days of those of four seconds.
pub const MAX_SEGMENTS: usize = 1 << 16;

/// What a keyframe may come early and still end a segment: it is put there by others' clocks.
const EARLY: Duration = Duration::from_millis(5);
/// Longer gaps are not sent: a call costs about as much as so many bytes.
const MAX_GAP: u64 = 2 << 10;
/// For each byte of gaps there are so many of samples.
const SAMPLES_PER_GAP: u64 = 50;
const MIN_TARGET: Duration = Duration::from_secs(1);

impl Plan {
    /// Segments that end at the first keyframe after `target`, which is taken to be between a second and
    /// [`LONGEST_SEGMENT`]. Sound is cut at the pictures' times.
    ///
    /// # Errors
    /// When the movie has neither pictures nor sound that can be read, or is too long.
    pub fn new(movie: Arc<Movie>, target: Duration) -> Result<Self, Error> {
        movie.check()?;
        let target = target.clamp(MIN_TARGET, LONGEST_SEGMENT);
        let mut tracks = Vec::new();
        let mut boundaries = None;
        if let Some(track) = movie.video() {
            let video = TrackPlan::of_pictures(&movie, track, target)?;
            boundaries = Some(video.times(track).collect::<Vec<_>>());
            tracks.push(video);
        }
        for (n, track) in movie.audio_tracks().enumerate() {
            let name = if n == 0 { "audio".to_owned() } else { format!("audio{n}") };
            tracks.push(TrackPlan::of_sound(&movie, track, name, target, boundaries.as_deref())?);
        }
        Ok(Self { movie, tracks })
    }

    /// What it is a plan of.
    #[must_use]
    pub fn movie(&self) -> &Arc<Movie> {
        &self.movie
    }

    /// The track of this name: `video`, `audio`, and `audio1`, `audio2`, … for what further sound there is.
    #[must_use]
    pub fn track(&self, name: &str) -> Option<Packaged<'_>> {
        self.tracks().find(|track| track.name() == name)
    }

    /// The pictures.
    #[must_use]
    pub fn video(&self) -> Option<Packaged<'_>> {
        self.track("video")
    }

    /// The sound that is played unless another is chosen.
    #[must_use]
    pub fn audio(&self) -> Option<Packaged<'_>> {
        self.track("audio")
    }

    /// All tracks, pictures first.
    pub fn tracks(&self) -> impl Iterator<Item = Packaged<'_>> {
        self.tracks.iter().filter_map(|plan| {
            let track = self.movie.tracks().get(plan.track)?;
            Some(Packaged { plan, track, content: track.content()? })
        })
    }

    /// Bytes of memory that it takes, about, without the movie.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.tracks.iter().map(|t| size_of::<TrackPlan>() + t.cuts.capacity() * size_of::<Cut>()).sum()
    }
}

/// A track as a plan cuts it.
#[derive(Debug, Clone, Copy)]
pub struct Packaged<'a> {
    plan: &'a TrackPlan,
    track: &'a Track,
    content: &'a Content,
}

impl<'a> Packaged<'a> {
    /// Its name in addresses.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.plan.name
    }

    /// The track itself.
    #[must_use]
    pub fn track(&self) -> &'a Track {
        self.track
    }

    /// Number of segments, at least one.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.plan.cuts.len()
    }

    /// Whether decoding can begin with each segment.
    #[must_use]
    pub fn is_independent(&self) -> bool {
        self.plan.independent
    }

    /// What it needs to be sent, bits per second.
    #[must_use]
    pub fn bit_rate(&self) -> BitRate {
        self.plan.rate
    }

    /// When each segment begins, counted from the beginning of the movie, in rising order; the first is zero.
    pub fn boundaries(&self) -> impl Iterator<Item = Duration> {
        self.plan.times(self.track).map(|nanos| Duration::from_nanos(nanos.max(0).unsigned_abs()))
    }

    /// How long each segment is.
    pub fn durations(&self) -> impl Iterator<Item = Duration> {
        let timescale = self.track.timescale();
        let cuts = &self.plan.cuts;
        let ends = cuts.iter().skip(1).map(|cut| cut.time).chain([self.content.span.finish]);
        cuts.iter().zip(ends).map(move |(cut, end)| {
            Duration::from_nanos(nanos((end - cut.time).max(1), timescale).max(1).unsigned_abs())
        })
    }

    /// The media playlist (RFC 8216, 4.3.3). Its addresses begin with [`Self::name`]: `video/init.mp4`, and
    /// `video/0.m4s` and so on; `query`, empty or with its question mark, is put behind each of them.
    #[must_use]
    pub fn media_playlist(&self, query: &str) -> String {
        playlist::media(self.name(), query, self.durations(), self.plan.independent)
    }

    /// The init segment: `ftyp` and `moov`, with the codec's configuration as it is in the file.
    #[must_use]
    pub fn init_segment(&self) -> Bytes {
        let (head, entry) = (self.track.head(), &self.content.entry);
        init_segment_of(&[TrackHead {
            kind: self.plan.kind,
            timescale: head.timescale,
            language: head.language_code,
            matrix: head.matrix,
            size: head.size,
            sample_entry: &entry.bytes,
            roll_distance: entry.roll_distance,
        }])
    }

    /// A segment, counted from 0; none where there is no such.
    #[must_use]
    pub fn segment(&self, n: usize) -> Option<Segment> {
        let cut = self.plan.cuts.get(n)?;
        let span = &self.content.span;
        let next = self.plan.cuts.get(n + 1).map_or(span.end, |next| next.first);
        let offset = span.shift.saturating_add(epoch(self.track.timescale()));
        let mut samples = Vec::with_capacity((next - cut.first) as usize); // at most MAX_SEGMENT_SAMPLES
        let mut ranges: Vec<Range<u64>> = Vec::new();
        let mut pieces = Pieces::default();
        let mut end = 0;
        for Played { dts, pts, sample } in span.play(&self.content.samples, cut.first, cut.dts) {
            if sample.index >= next {
                end = dts + offset;
                break;
            }
            end = dts + offset + i64::from(sample.duration);
            let range = sample.offset..sample.offset + u64::from(sample.size);
            let gap = pieces.add(&range);
            match ranges.last_mut() {
                _ if range.is_empty() => {}
                Some(last) if gap.is_some() => last.end = range.end,
                _ => ranges.push(range),
            }
            samples.push(millrace_fmp4::Sample {
                dts: dts + offset,
                composition: in_i32(pts - dts),
                keyframe: sample.sync,
                size: sample.size,
                gap: gap.unwrap_or(0),
            });
        }
        let sequence = u32::try_from(n + 1).unwrap_or(u32::MAX); // at most MAX_SEGMENTS
        let head = Bytes::from(Moof { track_id: track_id(self.plan.kind), sequence, samples: &samples, end }.head());
        let size = head.len() as u64 + ranges.iter().map(|range| range.end - range.start).sum::<u64>();
        Some(Segment { head, ranges, size })
    }
}

/// Where a segment's samples lie in the file. Where the sound lies between the pictures, each of them would be sent by a call
/// of its own; so what is between two is sent as well where it is little.
#[derive(Debug, Default)]
struct Pieces {
    /// Where the last one ends.
    end: u64,
    /// Bytes of samples, and of what is between them.
    sent: u64,
    between: u64,
}

impl Pieces {
    /// Adds the next sample; how far it is from the end of the last one where that is sent with it, and none where it begins a
    /// piece.
    fn add(&mut self, range: &Range<u64>) -> Option<u32> {
        if range.is_empty() {
            return Some(0);
        }
        let most = MAX_GAP.min((self.sent / SAMPLES_PER_GAP).saturating_sub(self.between));
        let gap = range.start.checked_sub(self.end).filter(|gap| self.sent > 0 && *gap <= most);
        self.end = range.end;
        self.sent += range.end - range.start;
        self.between += gap.unwrap_or(0);
        gap.map(|gap| gap as u32) // at most MAX_GAP
    }
}

impl TrackPlan {
    fn of_pictures(movie: &Movie, track: &Track, target: Duration) -> Result<Self, Error> {
        let timescale = track.timescale();
        let target_ticks = in_ticks(target.saturating_sub(EARLY), timescale);
        Self::cut(movie, track, "video".to_owned(), target, |begun, played| {
            played.sample.sync && played.pts - begun >= target_ticks
        })
    }

    /// Segments begin with the sound that is heard at the `boundaries` of the pictures, so that a player that begins
    /// there has sound from the first picture on; and where there are no pictures, after each `target`.
    fn of_sound(
        movie: &Movie,
        track: &Track,
        name: String,
        target: Duration,
        boundaries: Option<&[i64]>,
    ) -> Result<Self, Error> {
        let timescale = track.timescale();
        let step = in_ticks(target, timescale).max(1);
        let shift = track.content().map_or(0, |content| content.span.shift);
        let mut boundaries =
            boundaries.unwrap_or_default().iter().map(|nanos| ticks(*nanos, timescale) - shift).peekable();
        // After the last boundary of the pictures there is one after each target.
        Self::cut(movie, track, name, target, move |begun, played| {
            while boundaries.next_if(|boundary| *boundary <= begun).is_some() {}
            let boundary = boundaries.peek().copied().unwrap_or(begun + step);
            played.pts + i64::from(played.sample.duration) > boundary
        })
    }

    /// Cuts where `is_boundary` says so, given when the segment began and what comes next; and where a segment would
    /// be too long.
    fn cut(
        movie: &Movie,
        track: &Track,
        name: String,
        target: Duration,
        mut is_boundary: impl FnMut(i64, &Played) -> bool,
    ) -> Result<Self, Error> {
        let kind = track.kind().unwrap_or(TrackKind::Audio);
        let place = movie.tracks().iter().position(|t| std::ptr::eq(t, track)).unwrap_or_default();
        let content = track.content().ok_or_else(|| Error::Unsupported("the track cannot be played".to_owned()))?;
        let (span, timescale) = (&content.span, track.timescale());
        let longest = in_ticks(LONGEST_SEGMENT, timescale);
        let mut cuts = Vec::new();
        let mut independent = true;
        let mut meter = Meter::new(target);
        let (mut begun, mut bytes, mut count) = (span.start.min(-span.shift), 0, 0);
        let mut pieces = Pieces::default();
        for played in span.play(&content.samples, span.first, span.dts) {
            let sample = played.sample;
            let first = cuts.is_empty();
            let full = count == MAX_SEGMENT_SAMPLES
                || count > 0 && bytes + u64::from(sample.size) > MAX_SEGMENT_BYTES
                || played.pts - begun >= longest;
            if first || full || is_boundary(begun, &played) {
                if !first {
                    let time = played.pts.max(begun + 1);
                    meter.add(bytes, count, Duration::from_nanos(nanos(time - begun, timescale).unsigned_abs()));
                    begun = time;
                }
                if cuts.len() == MAX_SEGMENTS {
                    return Err(too_long(MAX_SEGMENTS));
                }
                cuts.push(Cut { first: sample.index, dts: sample.dts, time: begun });
                independent &= sample.sync;
                (bytes, count, pieces) = (0, 0, Pieces::default());
            }
            let gap = pieces.add(&(sample.offset..sample.offset + u64::from(sample.size)));
            bytes += u64::from(sample.size) + gap.map_or(0, |gap| u64::from(gap) + RUN_BYTES * u64::from(gap > 0));
            count += 1;
        }
        let last = nanos((span.finish - begun).max(1), timescale);
        meter.add(bytes, count, Duration::from_nanos(last.unsigned_abs()));
        cuts.shrink_to_fit();
        Ok(Self { name, track: place, kind, cuts, independent, rate: meter.rate() })
    }

    /// When each segment begins in the presentation, nanoseconds.
    fn times(&self, track: &Track) -> impl Iterator<Item = i64> {
        let shift = track.content().map_or(0, |content| content.span.shift);
        let timescale = track.timescale();
        self.cuts.iter().map(move |cut| nanos(cut.time + shift, timescale))
    }
}

fn too_long(most: usize) -> Error {
    Error::TooMuch { what: "segments", found: most as u64 + 1, most: most as u64 }
}

fn in_ticks(duration: Duration, timescale: u32) -> i64 {
    ticks(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX), timescale)
}

fn epoch(timescale: u32) -> i64 {
    in_ticks(EPOCH, timescale)
}

fn in_i32(n: i64) -> i32 {
    i32::try_from(n).unwrap_or(if n < 0 { i32::MIN } else { i32::MAX })
}
