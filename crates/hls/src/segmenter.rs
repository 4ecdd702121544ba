//! Where segments begin.
//!
//! RFC 8216 asks for a target duration that never changes and that no segment's duration, rounded,
//! exceeds (4.3.3.1, 6.2.1). Players wait for three target durations before they start, so it should
//! be no greater than needed; but keyframes come when the publisher pleases. Hence:
//!
//! - A segment begins at the first keyframe after `segment`; streams without pictures are cut by
//!   duration alone. Time is that of the pictures: sound is cut where they are, however far its
//!   clock is from theirs.
//! - The target duration is fixed when the first segment is complete (no playlist exists before),
//!   from that segment, the configured duration, and the keyframe distance that is known of the
//!   stream; with [`MARGIN`] for frames that come late. With parts it is fixed as soon as the
//!   keyframe distance is known, or the wait for it has been too long, since the first segment is
//!   short: whoever comes first gets what there is after [`FIRST_SEGMENT`].
//! - A segment is cut at an earlier keyframe where, judged by the longest of the last
//!   [`GOPS_KEPT`] distances between keyframes, the one after it may come too late. So keyframes at
//!   irregular places (scene cuts) do no harm.
//! - Where no keyframe comes in time (the distance has grown, or there are none), the segment is cut
//!   at any frame before the target would be exceeded. The next segment is then not
//!   [independent](Segment::independent), which the playlist does not hide, and the next keyframe
//!   begins a segment again.
//! - Where no frame at all comes in time, the segment ends with its last frame and the next is a
//!   discontinuity: the hole is in no segment.
//!
//! A changed configuration takes effect at the next boundary, a keyframe's in a stream with pictures;
//! frames coded under it are left out until then. So a segment has one configuration.

use std::sync::Arc;
use std::time::Duration;

use millrace_media::{AudioConfig, Frame, Timestamp, TrackKind, Unit, VideoConfig};

use crate::lead::Lead;
use crate::parts::PartClock;
use crate::{Chunk, Container, Content, Error, HlsConfig, HlsFormat, InitSegment};

/// A piece of a stream.
#[derive(Debug, Clone)]
pub struct Segment {
    /// When its first frame is decoded.
    pub start: Timestamp,
    /// From its start to that of the next, or to its own end where none follows directly.
    pub duration: Duration,
    /// Decoding can begin with it.
    pub independent: bool,
    /// Its time or its configuration does not go on from the segment before.
    pub discontinuity: bool,
    /// Number of pictures in it.
    pub pictures: u32,
    /// What it consists of, at least one; without parts there is one, the whole.
    pub parts: Vec<Arc<Part>>,
    /// What a decoder needs first, where the container keeps it apart.
    pub init: Option<InitSegment>,
}

/// A piece of a segment that can be had before the segment is complete.
#[derive(Debug)]
pub struct Part {
    /// From its start to that of the next.
    pub duration: Duration,
    /// It begins with a keyframe, or is of a stream without pictures.
    pub independent: bool,
    /// The bytes, in the container's form.
    pub chunk: Chunk,
    /// The same, as requests are answered with it.
    pub content: Content,
}

impl Segment {
    /// When it ends.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.start + self.duration
    }

    /// All its bytes.
    #[must_use]
    pub fn content(&self) -> Content {
        self.parts.iter().flat_map(|part| part.content.pieces()).cloned().collect()
    }
}

/// What a unit completed.
#[derive(Debug)]
pub enum Cut {
    /// Nothing.
    None,
    /// A part of the open segment.
    Part,
    /// A segment.
    Segment(Segment),
}

/// Cuts a stream into segments.
#[derive(Debug)]
pub struct Segmenter<C> {
    container: C,
    segment: i64,
    longest_gop: Option<Duration>,
    target: Option<Duration>,
    /// Where there are parts.
    parts: Option<PartClock>,
    lead: Lead,
    /// No segment is listed: the first may be short.
    first: bool,
    video: Option<Arc<VideoConfig>>,
    audio: Option<Arc<AudioConfig>>,
    /// Tracks whose configuration in force is not that of the open segment.
    changed: [bool; 2],
    open: Option<Open>,
    /// When the wait for a keyframe began.
    waiting: Option<Timestamp>,
    /// The next segment does not follow.
    discontinuity: bool,
    /// There are segments already.
    begun: bool,
    gops: Gops,
    skipped: u64,
}

/// The longest segment while the target duration is open. At the 250 frames that encoders choose by
/// themselves, keyframes are 10.4 seconds apart at 24 frames per second.
pub const LONGEST_SEGMENT: Duration = Duration::from_secs(12);
/// The most bytes in a segment; it is cut before a frame that would exceed them.
pub const MAX_SEGMENT_BYTES: usize = 64 << 20;
/// Number of distances between keyframes that the next one is guessed from.
pub const GOPS_KEPT: usize = 8;
/// By how much segments may outlast the first before they no longer fit the target duration,
/// thousandths.
pub const MARGIN: u64 = 50;
/// With parts, the first segment ends with the first part that ends after so much.
pub const FIRST_SEGMENT: Duration = Duration::from_secs(1);

impl<C: Container> Segmenter<C> {
    /// A segmenter without tracks.
    pub fn new(config: &HlsConfig, container: C) -> Self {
        Self {
            container,
            segment: nanos(config.segment.max(SHORTEST_SEGMENT)),
            longest_gop: config.longest_gop.filter(|gop| *gop <= LONGEST_SEGMENT),
            target: None,
            parts: (C::FORMAT == HlsFormat::Cmaf).then(|| PartClock::new(config.part)),
            lead: Lead::default(),
            first: true,
            video: None,
            audio: None,
            changed: [false; 2],
            open: None,
            waiting: None,
            discontinuity: false,
            begun: false,
            gops: Gops::default(),
            skipped: 0,
        }
    }

    /// Takes a unit; returns what it completes.
    ///
    /// # Errors
    /// When the container cannot carry a configured codec.
    pub fn push(&mut self, unit: &Unit) -> Result<Cut, Error> {
        match unit {
            Unit::Metadata(_) => Ok(Cut::None),
            Unit::VideoConfig(config) => self.set_video(config).map(|()| Cut::None),
            Unit::AudioConfig(config) => self.set_audio(config).map(|()| Cut::None),
            Unit::Frame(frame) => Ok(self.push_frame(frame)),
            Unit::Discontinuity => Ok(self.interrupt().map_or(Cut::None, Cut::Segment)),
        }
    }

    /// Completes the open segment. What comes later is a discontinuity, and begins at a keyframe.
    pub fn interrupt(&mut self) -> Option<Segment> {
        self.waiting = None;
        self.gops = Gops::default();
        self.lead = Lead::default();
        let segment = self.close(None);
        self.discontinuity = self.begun;
        if let Some(parts) = &mut self.parts {
            parts.interrupt();
        }
        segment
    }

    /// As [`Self::interrupt`], and forgets what was listed: the next segment is again a first one.
    pub fn start_anew(&mut self) {
        self.interrupt();
        self.first = true;
    }

    /// The parts of the open segment that are complete.
    pub fn open_parts(&self) -> &[Arc<Part>] {
        self.open.as_ref().map_or(&[], |open| &open.parts)
    }

    /// When the open segment begins, and whether it is independent and a discontinuity, as far as
    /// is known.
    pub fn open_segment(&self) -> Option<(Timestamp, bool, bool)> {
        self.open.as_ref().map(|open| (open.start, open.independent, open.discontinuity))
    }

    /// What no part exceeds; known once the first is complete.
    pub fn part_target(&self) -> Option<Duration> {
        self.parts.as_ref().and_then(PartClock::target)
    }

    /// What a decoder needs before the open segment, where the container keeps it apart.
    pub fn init(&self) -> Option<InitSegment> {
        self.container.init()
    }

    /// What no segment exceeds when rounded to seconds; known once the first is complete.
    pub fn target_duration(&self) -> Option<Duration> {
        self.target
    }

    /// The video track's configuration.
    pub fn video(&self) -> Option<&Arc<VideoConfig>> {
        self.video.as_ref()
    }

    /// The audio track's configuration.
    pub fn audio(&self) -> Option<&Arc<AudioConfig>> {
        self.audio.as_ref()
    }

    /// Frames that are in no segment: before the first keyframe, or malformed.
    pub fn skipped_frames(&self) -> u64 {
        self.skipped
    }

    fn set_video(&mut self, config: &Arc<VideoConfig>) -> Result<(), Error> {
        if self.video.as_ref().is_some_and(|v| v == config) {
            return Ok(());
        }
        self.video = None;
        self.container.set_video(config).map_err(Error::Unsupported)?;
        self.video = Some(config.clone());
        self.configuration_changed(TrackKind::Video);
        Ok(())
    }

    fn set_audio(&mut self, config: &Arc<AudioConfig>) -> Result<(), Error> {
        if self.audio.as_ref().is_some_and(|a| a == config) {
            return Ok(());
        }
        let first = self.audio.take().is_none() && !self.begun && self.changed == [false; 2];
        self.container.set_audio(config).map_err(Error::Unsupported)?;
        self.audio = Some(config.clone());
        // Publishers may announce sound after the first picture (MP3 is announced by its first
        // frame). Before there is a playlist, nobody needs to be told.
        if self.open.is_none() || !(first && self.container.join_audio()) {
            self.configuration_changed(TrackKind::Audio);
        }
        Ok(())
    }

    fn configuration_changed(&mut self, track: TrackKind) {
        self.changed[track as usize] = self.open.is_some();
        self.discontinuity |= self.begun || self.open.is_some();
    }

    fn push_frame(&mut self, frame: &Frame) -> Cut {
        let configured = match frame.track {
            TrackKind::Video => self.video.is_some(),
            TrackKind::Audio => self.audio.is_some(),
        };
        if !configured {
            self.skipped += 1;
            return Cut::None;
        }
        if frame.is_video_keyframe() {
            self.gops.keyframe(frame.dts);
        }
        let next = Next { frame, at: self.lead.place(frame, self.video.is_some()) };
        let mut cut = Cut::None;
        if self.open.is_some() {
            let part = self.part_begins_before(next);
            if self.must_cut_before(next) || (part.is_some() && self.first_may_end_before(next)) {
                cut = self.close(Some(next)).map_or(Cut::None, Cut::Segment);
                self.begin(next.at);
            } else if let Some(start) = part {
                if self.end_part(start, Some(frame)) {
                    cut = Cut::Part;
                }
                self.begin_part(start);
            }
        } else if self.may_begin_with(next) {
            self.begin(next.at);
        }
        self.write(next);
        cut
    }

    /// When the part begins of which the frame is the first.
    fn part_begins_before(&mut self, Next { frame, at }: Next<'_>) -> Option<Timestamp> {
        // What is left out begins no part: the one that players are told to expect would not come.
        if self.changed[frame.track as usize] {
            return None;
        }
        let (video, audio) = (self.video.is_some(), self.audio.is_some());
        let boundary = self.parts.as_mut()?.boundary_before(frame, at, video, audio)?;
        if self.target.is_none() {
            self.target = self.early_target(at);
        }
        Some(boundary)
    }

    fn first_may_end_before(&self, next: Next<'_>) -> bool {
        let least = nanos(FIRST_SEGMENT).min(self.segment);
        let enough = self.open.as_ref().is_some_and(|open| next.at.signed_nanos_since(open.start) >= least);
        self.first && self.target.is_some() && enough
    }

    /// True where a segment can begin with the frame, which a keyframe is waited for.
    fn may_begin_with(&mut self, Next { frame, at }: Next<'_>) -> bool {
        let waiting = *self.waiting.get_or_insert(at);
        frame.is_video_keyframe() || self.video.is_none() || at.signed_nanos_since(waiting) > self.limit()
    }

    fn must_cut_before(&self, Next { frame, at }: Next<'_>) -> bool {
        let Some(open) = &self.open else { return false };
        let keyframe = frame.is_video_keyframe();
        if self.changed.contains(&true) && (keyframe || self.video.is_none()) {
            return true;
        }
        let elapsed = at.signed_nanos_since(open.start);
        if elapsed <= 0 {
            // Sound began the segment before a picture told how far ahead it is.
            return keyframe && open.pictures == 0 && elapsed < -self.segment / 4;
        }
        if keyframe && elapsed >= self.segment / 4 {
            let next_too_late = elapsed + self.gops.longest() > self.limit();
            if elapsed >= self.segment || !open.independent || next_too_late {
                return true;
            }
        }
        let step = at.signed_nanos_since(open.newest).max(0);
        (open.pictures == 0 && elapsed >= self.segment)
            || elapsed + step > self.limit()
            || open.bytes + self.container.part_len() + frame.payload.len() > MAX_SEGMENT_BYTES
    }

    fn begin(&mut self, start: Timestamp) {
        let discontinuity = std::mem::take(&mut self.discontinuity);
        self.container.begin_segment(discontinuity);
        self.open = Some(Open {
            start,
            newest: start,
            step: 0,
            pictures: 0,
            independent: true,
            discontinuity,
            parts: Vec::new(),
            bytes: 0,
            part: OpenPart::default(),
        });
        self.changed = [false; 2];
        self.waiting = None;
        self.begin_part(start);
    }

    fn begin_part(&mut self, start: Timestamp) {
        if let Some(parts) = &mut self.parts {
            parts.begin(start);
        }
        if let Some(open) = &mut self.open {
            open.part = OpenPart::default();
        }
    }

    fn write(&mut self, Next { frame, at }: Next<'_>) {
        let Some(open) = self.open.as_mut().filter(|_| !self.changed[frame.track as usize]) else {
            self.skipped += 1;
            return;
        };
        let step = at.signed_nanos_since(open.newest);
        if step > 0 {
            open.step = step;
            open.newest = at;
        }
        if self.container.push(frame).is_err() {
            self.skipped += 1;
            return;
        }
        if frame.track == TrackKind::Video {
            open.independent &= open.pictures > 0 || frame.keyframe;
            open.pictures += 1;
            open.part.first_picture.get_or_insert(frame.keyframe);
        }
        if let Some(parts) = &mut self.parts {
            parts.observe(frame, self.video.is_some());
        }
    }

    /// Ends the open part where the next begins at `end`. False where it has nothing.
    fn end_part(&mut self, end: Timestamp, next: Option<&Frame>) -> bool {
        let (Some(open), Some(chunk)) = (&mut self.open, self.container.end_part(next)) else { return false };
        let content: Content = chunk.pieces().cloned().collect();
        open.bytes += content.len();
        let duration = match &self.parts {
            Some(parts) => parts.duration(end),
            None => end.since(open.start),
        };
        let independent = open.part.first_picture.unwrap_or(self.video.is_none());
        open.parts.push(Arc::new(Part { duration, independent, chunk, content }));
        true
    }

    /// Ends the open segment where the next begins with the frame `next`.
    fn close(&mut self, next: Option<Next<'_>>) -> Option<Segment> {
        let limit = self.limit();
        let open = self.open.as_ref()?;
        let own = (open.newest.signed_nanos_since(open.start) + open.step).clamp(NANOS_PER_MILLI, limit);
        let until_next = next.map(|next| next.at.signed_nanos_since(open.start));
        let follows = until_next.filter(|d| (0..=limit).contains(d)).map(|d| d.max(NANOS_PER_MILLI));
        if follows.is_none() {
            self.discontinuity = true; // a hole, or nothing, follows
        }
        let duration = Duration::from_nanos(follows.unwrap_or(own).unsigned_abs());
        let end = open.start + duration;
        if let Some(parts) = &mut self.parts {
            parts.settle(self.video.is_some() && self.audio.is_some());
        }
        self.end_part(end, next.filter(|_| follows.is_some()).map(|next| next.frame));
        let open = self.open.take()?;
        if open.parts.is_empty() {
            self.discontinuity = open.discontinuity || self.begun;
            return None;
        }
        self.begun = true;
        self.first = false;
        if self.target.is_none() {
            self.target = Some(self.choose_target(duration));
        }
        Some(Segment {
            start: open.start,
            duration,
            independent: open.independent,
            discontinuity: open.discontinuity,
            pictures: open.pictures,
            parts: open.parts,
            init: self.container.init(),
        })
    }

    /// The target duration before the first segment is complete, where it can be told at `now`.
    fn early_target(&self, now: Timestamp) -> Option<Duration> {
        let known = self.video.is_none() || self.longest_gop.is_some() || self.gops.count > 0;
        if known {
            return Some(self.choose_target(Duration::ZERO));
        }
        let waited = now.signed_nanos_since(self.open.as_ref()?.start);
        (waited > self.segment * 2 + 500 * NANOS_PER_MILLI).then(|| self.choose_target(ASSUMED_GOP))
    }

    fn choose_target(&self, first: Duration) -> Duration {
        let segment = Duration::from_nanos(self.segment.unsigned_abs());
        let seen = Some(self.gops.longest()).filter(|seen| (1..=nanos(LONGEST_SEGMENT)).contains(seen));
        let gop = self.longest_gop.map(nanos).max(seen.filter(|_| self.parts.is_some()));
        let by_gop = gop.map_or(Duration::ZERO, |gop| {
            let gop = gop.max(1);
            Duration::from_nanos((self.segment.unsigned_abs()).div_ceil(gop.unsigned_abs()) * gop.unsigned_abs())
        });
        let millis = u64::try_from(first.max(by_gop).as_millis()).unwrap_or(u64::MAX / 2000); // seconds at most
        let rounded = (millis + millis * MARGIN / 1000 + 500) / 1000;
        Duration::from_secs(rounded.max(segment.as_millis().div_ceil(1000).try_into().unwrap_or(rounded)))
    }

    /// The longest segment now, nanoseconds.
    fn limit(&self) -> i64 {
        match self.target {
            Some(target) => nanos(target) + 499 * NANOS_PER_MILLI,
            None => nanos(LONGEST_SEGMENT).max(self.segment + self.segment / 2),
        }
    }
}

/// A frame that is yet in no segment.
#[derive(Debug, Clone, Copy)]
struct Next<'a> {
    frame: &'a Frame,
    /// When it comes, by the time of the pictures.
    at: Timestamp,
}

/// A segment in the making.
#[derive(Debug)]
struct Open {
    start: Timestamp,
    /// When the newest frame of either track came, and its distance from the one before.
    newest: Timestamp,
    step: i64,
    pictures: u32,
    independent: bool,
    discontinuity: bool,
    /// Those that are complete, and their bytes.
    parts: Vec<Arc<Part>>,
    bytes: usize,
    part: OpenPart,
}

/// A part in the making.
#[derive(Debug, Default)]
struct OpenPart {
    /// Whether its first picture is a keyframe; none where it has no picture yet.
    first_picture: Option<bool>,
}

/// The last distances between keyframes.
#[derive(Debug, Default)]
struct Gops {
    last: Option<Timestamp>,
    lengths: [i64; GOPS_KEPT],
    count: usize,
}

impl Gops {
    fn keyframe(&mut self, at: Timestamp) {
        if let Some(last) = self.last.replace(at) {
            self.lengths[self.count % GOPS_KEPT] = at.signed_nanos_since(last);
            self.count += 1;
        }
    }

    /// 0 while nothing is known.
    fn longest(&self) -> i64 {
        self.lengths.iter().copied().max().unwrap_or(0)
    }
}

/// The keyframe distance of a stream that shows none for long: encoders left to themselves choose
/// 250 frames, at 24 a second.
const ASSUMED_GOP: Duration = Duration::from_millis(10_417);
const NANOS_PER_MILLI: i64 = 1_000_000;
const SHORTEST_SEGMENT: Duration = Duration::from_millis(200);

/// Saturating; configured durations are far below the limit.
fn nanos(d: Duration) -> i64 {
    i64::try_from(d.as_nanos()).unwrap_or(i64::MAX / 4)
}
