//! From a publisher's clock to a stream's own time line.
//!
//! RTMP clocks count milliseconds in 32 bits, begin anywhere, wrap after 49.7 days, and jump or
//! restart when an encoder does. A [`Timeline`] turns them into timestamps that count from the
//! session's start, rise within each track, and keep sound and picture together.

use std::time::Duration;

use crate::{Timestamp, TrackKind};

/// Maps the clock of one publisher's session.
///
/// **Invariants:** `dts` rises by at least a millisecond from frame to frame of one track;
/// `dts <= pts <= dts + MAX_COMPOSITION`; both tracks share one offset, so their distance is kept.
#[derive(Debug, Default)]
pub struct Timeline {
    epoch: Option<Epoch>,
    /// The epoch before the last jump: frames of the other track may still come from it.
    previous: Option<Epoch>,
    last_dts: [Option<Timestamp>; 2],
}

/// Where a frame stands on the stream's time line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineTimes {
    /// When the frame is decoded.
    pub dts: Timestamp,
    /// When the frame is shown.
    pub pts: Timestamp,
    /// Time does not continue from the frames before this one.
    pub discontinuity: bool,
}

/// A step of one track's clock forwards by more than this is a jump.
pub const MAX_FORWARD: Duration = Duration::from_secs(10);
/// A step of one track's clock backwards by more than this is a jump; less is disorder, and clamped.
pub const MAX_BACKWARD: Duration = Duration::from_secs(1);
/// Longest distance from decoding to showing that is believed.
pub const MAX_COMPOSITION: Duration = Duration::from_secs(10);

impl Timeline {
    /// A time line that begins with the next frame.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Places a frame with the publisher's `clock` (DTS, ms), `nanos` (what the clock leaves out of
    /// both times, 0 to 999,999 ns; more is taken for the most) and `composition` (PTS - DTS, ms).
    pub fn map(&mut self, track: TrackKind, clock: u32, nanos: u32, composition: i32) -> TimelineTimes {
        let (mapped, discontinuity) = self.place(track, clock);
        let mapped = Timestamp::from_millis(mapped) + Duration::from_nanos(u64::from(nanos.min(999_999)));
        let last = &mut self.last_dts[track as usize];
        // The other track may begin so much earlier that it lies before the stream's start.
        let dts = last.map_or(mapped.max(Timestamp::ZERO), |last| mapped.max(last + MIN_STEP));
        *last = Some(dts);
        let pts = mapped.offset_millis(i64::from(composition)).clamp(dts, dts + MAX_COMPOSITION);
        TimelineTimes { dts, pts, discontinuity }
    }

    fn place(&mut self, track: TrackKind, clock: u32) -> (i64, bool) {
        if let Some(at) = self.epoch.as_mut().and_then(|e| e.place(track, clock)) {
            return (at, false);
        }
        if let Some(at) = self.previous.as_mut().and_then(|e| e.place(track, clock)) {
            return (at, false);
        }
        let end = self.last_dts.iter().flatten().max().map(|t| t.as_millis());
        let start = match end {
            None => i64::from(clock).min(HEADROOM_MS),
            Some(end) => end + JUMP_GAP_MS,
        };
        self.previous = self.epoch.replace(Epoch::new(track, clock, start));
        (start, end.is_some())
    }
}

/// A first frame keeps up to this much of its clock, so that a track that began a little earlier
/// still lies after the stream's start.
const HEADROOM_MS: i64 = 1000;
/// Least distance of two frames of one track, so that clocks of milliseconds rise too.
const MIN_STEP: Duration = Duration::from_millis(1);
/// Distance between the last frame before a jump and the first one after it.
const JUMP_GAP_MS: i64 = 40;

/// A stretch in which the publisher's clock is continuous.
#[derive(Debug)]
struct Epoch {
    clock: u32,
    unwrapped: i64,
    offset: i64,
    last: [Option<i64>; 2],
}

impl Epoch {
    fn new(track: TrackKind, clock: u32, start: i64) -> Self {
        let mut last = [None; 2];
        last[track as usize] = Some(i64::from(clock));
        Self { clock, unwrapped: i64::from(clock), offset: start - i64::from(clock), last }
    }

    /// Where the frame lies, if its clock continues this epoch.
    fn place(&mut self, track: TrackKind, clock: u32) -> Option<i64> {
        #[allow(clippy::cast_possible_wrap)] // the signed distance of two wrapping clocks
        let unwrapped = self.unwrapped + i64::from(clock.wrapping_sub(self.clock) as i32);
        let (from, backward) = match self.last[track as usize] {
            Some(last) => (last, MAX_BACKWARD),
            None => (self.unwrapped, MAX_FORWARD), // the tracks may begin apart
        };
        if unwrapped < from - millis(backward) || unwrapped > from + millis(MAX_FORWARD) {
            return None;
        }
        self.clock = clock;
        self.unwrapped = unwrapped;
        self.last[track as usize] = Some(unwrapped);
        Some(unwrapped + self.offset)
    }
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use TrackKind::{Audio, Video};
    use proptest::prelude::*;

    fn dts(t: &mut Timeline, track: TrackKind, clock: u32) -> i64 {
        t.map(track, clock, 0, 0).dts.as_millis()
    }

    #[test]
    fn a_fresh_encoder_keeps_its_clock() {
        let mut t = Timeline::new();
        assert_eq!(dts(&mut t, Video, 0), 0);
        assert_eq!(dts(&mut t, Audio, 21), 21);
        assert_eq!(dts(&mut t, Video, 40), 40);
    }

    #[test]
    fn an_hours_old_clock_begins_near_zero_with_room_for_the_other_track() {
        let mut t = Timeline::new();
        assert_eq!(dts(&mut t, Video, 7_200_000), 1000);
        assert_eq!(dts(&mut t, Audio, 7_199_500), 500);
    }

    #[test]
    fn a_track_that_began_long_before_the_first_frame_is_held_at_the_start() {
        let mut t = Timeline::new();
        assert_eq!(dts(&mut t, Video, 3000), 1000);
        assert_eq!(dts(&mut t, Audio, 0), 0);
        assert_eq!(dts(&mut t, Audio, 2900), 900);
    }

    #[test]
    fn the_32_bit_wrap_is_not_a_jump() {
        let mut t = Timeline::new();
        let a = t.map(Video, u32::MAX - 19, 0, 0);
        let b = t.map(Video, 20, 0, 0);
        assert_eq!(b.dts.since(a.dts), Duration::from_millis(40));
        assert!(!b.discontinuity);
    }

    #[test]
    fn a_clock_reset_goes_on_and_keeps_sound_with_picture() {
        let mut t = Timeline::new();
        for ms in (0..60_000).step_by(20) {
            dts(&mut t, Video, ms);
            dts(&mut t, Audio, ms + 5);
        }
        let v = t.map(Video, 0, 0, 0);
        assert!(v.discontinuity);
        assert_eq!(v.dts.as_millis(), 59_985 + 40);
        let a = t.map(Audio, 10, 0, 0);
        assert!(!a.discontinuity);
        assert_eq!(a.dts.signed_nanos_since(v.dts), 10_000_000);
    }

    #[test]
    fn a_straggler_of_the_other_track_after_a_reset_is_no_second_jump() {
        let mut t = Timeline::new();
        dts(&mut t, Video, 100_000);
        dts(&mut t, Audio, 100_000);
        assert!(t.map(Video, 0, 0, 0).discontinuity);
        let straggler = t.map(Audio, 100_021, 0, 0);
        assert_eq!((straggler.dts.as_millis(), straggler.discontinuity), (1021, false));
        assert!(!t.map(Video, 40, 0, 0).discontinuity);
        assert!(!t.map(Audio, 0, 0, 0).discontinuity);
    }

    #[test]
    fn a_jump_forwards_is_closed() {
        let mut t = Timeline::new();
        dts(&mut t, Video, 0);
        let far = t.map(Video, 3_600_000, 0, 0);
        assert_eq!((far.dts.as_millis(), far.discontinuity), (40, true));
    }

    #[test]
    fn dts_beyond_pts_is_clamped_not_fatal() {
        let mut t = Timeline::new();
        let x = t.map(Video, 100, 0, -50);
        assert_eq!(x.pts, x.dts);
        let y = t.map(Video, 140, 0, i32::MAX);
        assert_eq!(y.pts.since(y.dts), MAX_COMPOSITION);
    }

    #[test]
    fn nanoseconds_of_modex_are_kept_in_both_times() {
        let mut t = Timeline::new();
        let a = t.map(Audio, 21, 333_333, 0);
        assert_eq!((a.dts.as_nanos(), a.pts.as_nanos()), (21_333_333, 21_333_333));
        let b = t.map(Video, 40, 999_999, 80);
        assert_eq!((b.dts.as_nanos(), b.pts.as_nanos()), (40_999_999, 120_999_999));
        let c = t.map(Audio, 42, 1_048_575, 0);
        assert_eq!(c.dts.as_nanos(), 42_999_999, "more than a millisecond is not one");
        assert_eq!(t.map(Audio, 43, 0, 0).dts.as_nanos(), 43_999_999, "each frame at least a millisecond on");
    }

    #[test]
    fn small_disorder_is_clamped() {
        let mut t = Timeline::new();
        dts(&mut t, Audio, 500);
        assert_eq!(
            t.map(Audio, 480, 0, 0),
            TimelineTimes { dts: Timestamp::from_millis(501), pts: Timestamp::from_millis(501), discontinuity: false }
        );
        assert_eq!(dts(&mut t, Audio, 520), 520);
    }

    proptest! {
        #[test]
        fn each_track_rises_whatever_comes(frames in proptest::collection::vec((any::<bool>(), any::<u32>(), any::<u32>(), any::<i32>()), 1..200)) {
            let mut t = Timeline::new();
            let mut last = [None; 2];
            for (audio, clock, nanos, composition) in frames {
                let track = if audio { Audio } else { Video };
                let x = t.map(track, clock, nanos, composition);
                prop_assert!(last[track as usize].is_none_or(|l| x.dts > l));
                prop_assert!(x.pts >= x.dts);
                last[track as usize] = Some(x.dts);
            }
        }
    }
}
