//! Where parts begin.
//!
//! RFC 8216bis (4.4.4.9) wants no part longer than the part target, and none but a segment's last
//! shorter than 85 % of it. Pictures do not come in steps of the configured duration, and their times
//! have been rounded to milliseconds on their way; so the part target is chosen to suit the stream:
//!
//! - a part has as many pictures as come nearest to the configured duration; where there are none,
//!   frames of sound;
//! - the part target is that much and a tenth, which leaves room for frames that come a little late
//!   or early; it is fixed with the first part;
//! - a keyframe begins a part where the one before it is long enough to end;
//! - where pictures fail to come, or are further apart than parts are long, sound ends the part;
//! - without sound a picture may stay for longer than any part can be. The part ends on paper before
//!   it does, and the parts after it, of a picture each, take over the rest, so that durations add
//!   up. What is left when the segment ends is in its own duration only.

use std::time::Duration;

use millrace_media::{Frame, Timestamp, TrackKind};

/// The clock by which a segment is cut into parts.
#[derive(Debug)]
pub(crate) struct PartClock {
    /// As configured.
    wanted: i64,
    /// Chosen once enough is known of the stream.
    length: Option<Length>,
    /// When the open part begins.
    start: Timestamp,
    /// The newest frame of the track that leads: pictures where there are any.
    lead: Option<Timestamp>,
    /// The last distances between its frames.
    steps: [i64; STEPS_KEPT],
    count: usize,
}

#[derive(Debug, Clone, Copy)]
struct Length {
    /// What parts come near to.
    usual: i64,
    /// What none exceeds: `PART-TARGET`.
    target: i64,
}

impl PartClock {
    pub(crate) fn new(wanted: Duration) -> Self {
        Self {
            wanted: i64::try_from(wanted.as_nanos()).unwrap_or(i64::MAX / 4).max(SHORTEST_PART),
            length: None,
            start: Timestamp::ZERO,
            lead: None,
            steps: [0; STEPS_KEPT],
            count: 0,
        }
    }

    /// What no part exceeds.
    pub(crate) fn target(&self) -> Option<Duration> {
        self.length.map(|length| nanos(length.target))
    }

    /// A part begins at `start`.
    pub(crate) fn begin(&mut self, start: Timestamp) {
        self.start = start;
    }

    /// How long the open part is, where it ends at `end`.
    pub(crate) fn duration(&self, end: Timestamp) -> Duration {
        let most = self.length.map_or(i64::MAX, |length| length.target);
        nanos(end.signed_nanos_since(self.start).clamp(NANOS_PER_MILLI, most))
    }

    /// When a part begins that the frame is the first of, which comes at `at` by the time of the track that leads; none
    /// where it belongs to the open one.
    pub(crate) fn boundary_before(
        &mut self,
        frame: &Frame,
        at: Timestamp,
        video: bool,
        audio: bool,
    ) -> Option<Timestamp> {
        let elapsed = at.signed_nanos_since(self.start);
        if video && frame.track == TrackKind::Audio {
            let target = self.length?.target;
            return (elapsed >= target).then(|| self.start + nanos(target));
        }
        let step = self.usual_step().or_else(|| Some(at.signed_nanos_since(self.lead?)))?.max(1);
        if self.length.is_none() {
            self.length = self.choose(elapsed, step, video && audio);
        }
        let Length { usual, target } = self.length?;
        let long_enough = elapsed >= target * LEAST_PERCENT / 100;
        let due = frame.is_video_keyframe() || elapsed + step / 2 >= usual || elapsed + step > target;
        (long_enough && due).then(|| at.min(self.start + nanos(target)))
    }

    /// A segment ends: with it the part target is said, whatever is known.
    pub(crate) fn settle(&mut self, sound_too: bool) {
        if self.length.is_none() {
            self.length = self.choose(i64::MAX / 2, self.usual_step().unwrap_or(self.wanted).max(1), sound_too);
        }
    }

    /// A frame is in the open part.
    pub(crate) fn observe(&mut self, frame: &Frame, video: bool) {
        if video && frame.track == TrackKind::Audio {
            return;
        }
        let step = self.lead.map_or(0, |lead| frame.dts.signed_nanos_since(lead));
        if step > 0 {
            self.steps[self.count % STEPS_KEPT] = step;
            self.count += 1;
        }
        self.lead = Some(frame.dts);
    }

    /// Time does not go on from the frames before.
    pub(crate) fn interrupt(&mut self) {
        self.lead = None;
    }

    /// The median of the last distances.
    fn usual_step(&self) -> Option<i64> {
        let mut steps = self.steps;
        let known = &mut steps[..self.count.min(STEPS_KEPT)];
        known.sort_unstable();
        known.get(known.len() / 2).copied()
    }

    /// None while it is too early.
    fn choose(&self, elapsed: i64, step: i64, sound_too: bool) -> Option<Length> {
        let usual = match ((self.wanted + step / 2) / step).max(1) * step {
            // Pictures are so far apart that sound must make the parts.
            usual if sound_too && usual > self.wanted * 3 / 2 => self.wanted,
            usual => usual.min(self.wanted.max(LONGEST_PART)),
        };
        let target = (usual + usual / 10 + NANOS_PER_MILLI - 1) / NANOS_PER_MILLI * NANOS_PER_MILLI;
        (elapsed + step / 2 >= usual).then_some(Length { usual, target })
    }
}

fn nanos(n: i64) -> Duration {
    Duration::from_nanos(n.unsigned_abs())
}

/// Parts but a segment's last are at least so long, percent of the part target.
const LEAST_PERCENT: i64 = 85;
/// Number of distances between frames that the next one is guessed from.
const STEPS_KEPT: usize = 8;
const NANOS_PER_MILLI: i64 = 1_000_000;
const SHORTEST_PART: i64 = 50 * NANOS_PER_MILLI;
/// Pictures that are further apart, in a stream without sound, do not make parts longer.
const LONGEST_PART: i64 = 1000 * NANOS_PER_MILLI;
