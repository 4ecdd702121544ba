use std::time::Duration;

use crate::edits::Edits;
use crate::entry::Entry;
use crate::moov::TrackHead;
use crate::samples::Samples;
use crate::span::Span;
use crate::{EPOCH, Error, FourCc, Playback, TrackKind, playback};

/// What a file has: its tracks, and where their samples are.
#[derive(Debug)]
pub struct Movie {
    size: u64,
    fragmented: bool,
    truncated: bool,
    tracks: Vec<Track>,
}

/// A track of a file.
#[derive(Debug)]
pub struct Track {
    head: TrackHead,
    content: Result<Content, Error>,
}

/// A track that can be played.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) entry: Entry,
    pub(crate) samples: Samples,
    pub(crate) span: Span,
}

/// Longest that a movie may last. Some files say that they last for ever.
pub const MAX_DURATION: Duration = Duration::from_secs(100 * 24 * 60 * 60);

impl Movie {
    pub(crate) fn new(size: u64, fragmented: bool, truncated: bool, tracks: Vec<Track>) -> Self {
        let mut movie = Self { size, fragmented, truncated, tracks };
        // The first that is seen or heard is at zero.
        let start = movie.playing().filter_map(Track::start).min().unwrap_or(0);
        movie.tracks.iter_mut().for_each(|track| track.begin_at(start));
        movie
    }

    /// Size of the file, bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Samples are in movie fragments.
    #[must_use]
    pub fn is_fragmented(&self) -> bool {
        self.fragmented
    }

    /// Not all samples that the file speaks of are in it, as it was not recorded or transferred to its end; those that are
    /// there can be played.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// All tracks, those that cannot be played among them.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The pictures: of the tracks that can be read the first that is enabled, one that browsers play before any other.
    #[must_use]
    pub fn video(&self) -> Option<&Track> {
        self.first(TrackKind::Video)
    }

    /// The sound that is played unless another is chosen.
    #[must_use]
    pub fn audio(&self) -> Option<&Track> {
        self.first(TrackKind::Audio)
    }

    /// All sound that can be read, [`Self::audio`] first.
    pub fn audio_tracks(&self) -> impl Iterator<Item = &Track> {
        let first = self.audio();
        let id = first.map(Track::id);
        let others = self
            .tracks
            .iter()
            .filter(move |t| t.kind() == Some(TrackKind::Audio) && t.content.is_ok() && Some(t.id()) != id);
        first.into_iter().chain(others)
    }

    /// Why a file without [`Self::video`] and [`Self::audio`] has neither.
    ///
    /// # Errors
    /// When it has neither: the first reason that there is.
    pub fn check(&self) -> Result<(), Error> {
        if self.video().is_some() || self.audio().is_some() {
            return Ok(());
        }
        let media = self.tracks.iter().filter(|track| track.kind().is_some());
        let defect = media.filter_map(Track::defect).next();
        Err(defect.cloned().unwrap_or_else(|| Error::Unsupported("the file has neither pictures nor sound".to_owned())))
    }

    /// Whether pictures can be read where there are any, and sound where there is any.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        [TrackKind::Video, TrackKind::Audio].into_iter().all(|kind| {
            let mut of = self.tracks.iter().filter(|track| track.kind() == Some(kind)).peekable();
            of.peek().is_none() || of.any(|track| track.content.is_ok())
        })
    }

    /// From the first that is seen or heard to the last.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let ends = self.playing().filter_map(|track| Some(track.begins()? + track.duration()?));
        ends.max().unwrap_or_default()
    }

    /// Bytes of memory that it takes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.tracks.iter().map(Track::memory).sum::<usize>()
    }

    /// The pictures and all sound.
    fn playing(&self) -> impl Iterator<Item = &Track> {
        self.video().into_iter().chain(self.audio_tracks())
    }

    fn first(&self, kind: TrackKind) -> Option<&Track> {
        let tracks = self.tracks.iter().filter(|t| t.kind() == Some(kind) && t.content.is_ok());
        // The first of equals is wanted, where `max_by_key` takes the last.
        tracks.rev().max_by_key(|t| (t.head.enabled, t.playback() > Playback::Nowhere))
    }
}

impl Track {
    pub(crate) fn new(head: TrackHead, media: Result<(Entry, Samples, Edits), Error>) -> Self {
        let content = media.and_then(|(entry, samples, edits)| {
            let kind = head.kind.unwrap_or(TrackKind::Audio); // others have no samples
            let span = Span::new(kind, &samples, edits, head.timescale)?;
            Ok(Content { entry, samples, span })
        });
        Self { head, content }
    }

    /// Its number in the file.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.head.id
    }

    /// Pictures or sound; none for anything else.
    #[must_use]
    pub fn kind(&self) -> Option<TrackKind> {
        self.head.kind
    }

    /// What the file says of its kind: `vide`, `soun`, `text`, `tmcd`, …
    #[must_use]
    pub fn handler(&self) -> FourCc {
        self.head.handler
    }

    /// It is played unless another is chosen.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.head.enabled
    }

    /// Why it cannot be played; none where it can.
    #[must_use]
    pub fn defect(&self) -> Option<&Error> {
        self.content.as_ref().err()
    }

    /// Its codec as RFC 6381 writes it for MP4, such as `avc1.64001f`; or the name that it has in the file where the
    /// codec is not known here, or the track cannot be played.
    #[must_use]
    pub fn codec(&self) -> String {
        match (&self.content, self.head.format) {
            (Ok(content), _) => content.entry.codec.clone(),
            (Err(_), Some(format)) => format.to_string().trim().to_owned(),
            (Err(_), None) => String::new(),
        }
    }

    /// Where it can be expected to be played.
    #[must_use]
    pub fn playback(&self) -> Playback {
        self.content.as_ref().map_or(Playback::Nowhere, |content| playback(&content.entry.codec))
    }

    /// Ticks per second of its clock; 0 where it cannot be read.
    #[must_use]
    pub fn timescale(&self) -> u32 {
        self.head.timescale
    }

    /// Its language: three letters of ISO 639-2, or as BCP 47 has it.
    #[must_use]
    pub fn language(&self) -> Option<&str> {
        self.head.language.as_deref()
    }

    /// Width and height in pixels as they are coded.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        self.content.as_ref().map_or((0, 0), |content| content.entry.size)
    }

    /// Width and height of a pixel, (1, 1) mostly.
    #[must_use]
    pub fn pixel_aspect(&self) -> (u32, u32) {
        self.content.as_ref().map_or((1, 1), |content| content.entry.pixel_aspect)
    }

    /// Degrees by which pictures are turned clockwise to be shown: 0, 90, 180 or 270.
    #[must_use]
    pub fn rotation(&self) -> u16 {
        let [a, b, _, c, d, ..] = self.head.matrix.map(|n| n.cast_signed().signum());
        match (a, b, c, d) {
            (0, 1, -1, 0) => 90,
            (-1, 0, 0, -1) => 180,
            (0, -1, 1, 0) => 270,
            _ => 0,
        }
    }

    /// Width and height in pixels as they are shown: pixels squared, pictures turned.
    #[must_use]
    pub fn display_size(&self) -> (u32, u32) {
        let ((width, height), (x, y)) = (self.size(), self.pixel_aspect());
        let squared = (u64::from(width) * u64::from(x) + u64::from(y) / 2) / u64::from(y.max(1));
        let width = u32::try_from(squared).ok().filter(|w| *w <= width.saturating_mul(8)).unwrap_or(width);
        if self.rotation().is_multiple_of(180) { (width, height) } else { (height, width) }
    }

    /// How bright pictures are, as HLS calls it: `PQ` or `HLG`; none for the usual.
    #[must_use]
    pub fn video_range(&self) -> Option<&'static str> {
        self.content.as_ref().ok().and_then(|content| content.entry.video_range)
    }

    /// Number of channels of sound, 0 where it is not known.
    #[must_use]
    pub fn channels(&self) -> u8 {
        self.content.as_ref().map_or(0, |content| content.entry.channels)
    }

    /// Samples per second of sound, 0 where it is not known.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.content.as_ref().map_or(0, |content| content.entry.sample_rate)
    }

    /// Number of samples: of pictures, or frames of sound.
    #[must_use]
    pub fn samples(&self) -> u32 {
        self.content.as_ref().map_or(0, |content| content.samples.len())
    }

    /// Pictures a second, on average.
    #[must_use]
    pub fn frame_rate(&self) -> Option<f64> {
        let content = self.content.as_ref().ok().filter(|_| self.head.kind == Some(TrackKind::Video))?;
        let span = &content.span;
        let duration = span.finish - span.start;
        #[allow(clippy::cast_precision_loss)]
        let rate = f64::from(span.end - span.first) * f64::from(self.head.timescale) / duration as f64;
        (duration > 0 && rate <= 1000.0).then_some(rate)
    }

    /// When its first picture is seen or its sound begins, counted from the beginning of the movie.
    #[must_use]
    pub fn begins(&self) -> Option<Duration> {
        self.start().map(|nanos| Duration::from_nanos(nanos.max(0).unsigned_abs()))
    }

    /// How long it is seen or heard; none where it cannot be played.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        let span = &self.content.as_ref().ok()?.span;
        Some(Duration::from_nanos(nanos(span.finish - span.start, self.head.timescale).max(0).unsigned_abs()))
    }

    pub(crate) fn content(&self) -> Option<&Content> {
        self.content.as_ref().ok()
    }

    pub(crate) fn head(&self) -> &TrackHead {
        &self.head
    }

    /// When it begins, nanoseconds.
    fn start(&self) -> Option<i64> {
        let span = &self.content.as_ref().ok()?.span;
        Some(nanos(span.start + span.shift, self.head.timescale))
    }

    /// Moves the movie's beginning to `start`, nanoseconds. What does not fit on its time line is not played.
    fn begin_at(&mut self, start: i64) {
        let timescale = self.head.timescale;
        let Ok(content) = &mut self.content else { return };
        let span = &mut content.span;
        let room = i128::from(EPOCH.as_secs()) * i128::from(timescale);
        let shift = i128::from(span.shift) - i128::from(ticks(start, timescale));
        let end = i128::from(span.finish) + shift;
        if i128::from(span.first_dts()) + shift < -room {
            let why = "it is decoded more than 10 seconds before it is seen or heard".to_owned();
            self.content = Err(Error::Unsupported(why));
        } else if end > i128::from(MAX_DURATION.as_secs()) * i128::from(timescale) {
            let (found, most) = (u64::try_from(end / i128::from(timescale.max(1))), MAX_DURATION.as_secs());
            self.content = Err(Error::TooMuch { what: "seconds", found: found.unwrap_or(u64::MAX), most });
        } else {
            span.shift = i64::try_from(shift).unwrap_or_default(); // sums of it and times of the media are small
        }
    }

    fn memory(&self) -> usize {
        let content = self.content.as_ref().ok();
        let tables = content.map_or(0, |c| c.samples.memory() + c.span.memory() + c.entry.bytes.len());
        size_of::<Self>() + tables
    }
}

/// Ticks as nanoseconds, to the nearest.
pub(crate) fn nanos(ticks: i64, timescale: u32) -> i64 {
    let nanos = (i128::from(ticks) * 1_000_000_000).div_euclid(i128::from(timescale.max(1)));
    i64::try_from(nanos).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX })
}

/// Nanoseconds as ticks, to the nearest.
pub(crate) fn ticks(nanos: i64, timescale: u32) -> i64 {
    let ticks = (i128::from(nanos) * i128::from(timescale) + 500_000_000).div_euclid(1_000_000_000);
    i64::try_from(ticks).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}
