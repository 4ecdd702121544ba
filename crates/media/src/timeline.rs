//! From a publisher's clock to a stream's own time line.
//!
//! RTMP clocks count milliseconds in 32 bits, begin anywhere, wrap after 49.7 days, and jump, stand
//! or restart when an encoder does. A [`Timeline`] turns them into timestamps that count from the
//! session's start, rise within each track, and keep sound and picture together.
//!
//! A stretch in which the clock is continuous is an epoch. A step of the clock is believed where it
//! is small, or where as much time has passed since the frame before came; any other step is a jump
//! and begins another epoch, which goes on where the one before has ended. Two tracks whose clocks
//! are further apart than [`MAX_APART`] have an epoch each: they are put together as they come.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::{Timestamp, TrackKind};

/// Maps the clock of one publisher's session.
///
/// **Invariants:** `dts` rises by at least a millisecond from frame to frame of one track;
/// `dts <= pts <= dts + MAX_COMPOSITION`; both tracks of an epoch share one offset, so their
/// distance is kept.
#[derive(Debug, Default)]
pub struct Timeline {
    /// When the frames came that are mapped now, on any steady clock.
    now: i64,
    epoch: Option<Epoch>,
    /// The epoch before the last jump: frames of the other track may still come from it.
    previous: Option<Epoch>,
    pace: [Pace; 2],
    last_dts: [Option<Timestamp>; 2],
    /// When the last frame of any track came.
    arrived: i64,
    /// How far pictures are decoded before their clock, so that none is shown before it is decoded.
    lead: i64,
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

/// A step of the clock forwards by more than this, and by more than this beyond the time that
/// passed, is a jump.
pub const MAX_FORWARD: Duration = Duration::from_secs(10);
/// A step of one track's clock backwards by more than this is a jump; less is disorder, and clamped.
pub const MAX_BACKWARD: Duration = Duration::from_secs(1);
/// Longest distance of the two tracks' clocks that is believed: an encoder may take so long.
pub const MAX_APART: Duration = Duration::from_secs(10);
/// Longest distance from decoding to showing that is believed.
pub const MAX_COMPOSITION: Duration = Duration::from_secs(10);
/// Longest distance from showing back to decoding (a negative composition offset) that is mended by
/// decoding earlier; beyond it, pictures are shown later.
pub const MAX_LEAD: Duration = Duration::from_secs(1);
/// A clock that shows one time for so long, and for [`STANDING_FRAMES`], does not run; the time at
/// which frames come takes its place.
pub const STANDING: Duration = Duration::from_secs(1);
/// See [`STANDING`].
pub const STANDING_FRAMES: u32 = 8;

impl Timeline {
    /// A time line that begins with the next frame.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The frames that are mapped next came at `now`, on any steady clock. A caller without a clock
    /// says nothing: then all steps are judged as if no time passed.
    pub fn set_now(&mut self, now: Duration) {
        self.now = millis(now);
    }

    /// Places a frame with the publisher's `clock` (DTS, ms), `nanos` (what the clock leaves out of
    /// both times, 0 to 999,999 ns; more is taken for the most) and `composition` (PTS - DTS, ms).
    pub fn map(&mut self, track: TrackKind, clock: u32, nanos: u32, composition: i32) -> TimelineTimes {
        let clock = self.pace[track as usize].running(clock, self.now);
        let (mapped, discontinuity) = self.place(track, clock);
        self.arrived = self.now;
        let mapped = Timestamp::from_millis(mapped) + Duration::from_nanos(u64::from(nanos.min(999_999)));
        let composition = i64::from(composition);
        if track == TrackKind::Video {
            self.lead = self.lead.max(-composition).min(millis(MAX_LEAD));
        }
        let lead = if track == TrackKind::Video { self.lead } else { 0 };
        let last = &mut self.last_dts[track as usize];
        // Where a track lies before the stream's start, or before the frame before, it is held there.
        let earliest = last.map_or(Timestamp::ZERO, |last| last + MIN_STEP);
        let dts = mapped.offset_millis(-lead).max(earliest);
        *last = Some(dts);
        let pts = mapped.offset_millis(composition).clamp(dts, dts + MAX_COMPOSITION);
        TimelineTimes { dts, pts, discontinuity }
    }

    fn place(&mut self, track: TrackKind, clock: u32) -> (i64, bool) {
        // After a jump the other track comes from the old clock for a while.
        let straggles = self.epoch.as_ref().is_some_and(|e| e.last[track as usize].is_none());
        if straggles && let Some(at) = self.previous.as_mut().and_then(|e| e.follow(track, clock, self.now)) {
            return (at, false);
        }
        for epoch in [&mut self.epoch, &mut self.previous].into_iter().flatten() {
            if let Some(at) = epoch.place(track, clock, self.now) {
                return (at, false);
            }
        }
        let before = self.last_dts[track as usize].map(Timestamp::as_millis);
        let start = match self.last_dts.iter().flatten().max().map(|t| t.as_millis()) {
            None => i64::from(clock).min(millis(MAX_APART)),
            Some(end) => (end + self.now - self.arrived).max(before.map_or(0, |before| before + JUMP_GAP_MS)),
        };
        self.previous = self.epoch.replace(Epoch::new(track, clock, start, self.now));
        (start, before.is_some())
    }
}

/// Least distance of two frames of one track, so that clocks of milliseconds rise too.
const MIN_STEP: Duration = Duration::from_millis(1);
/// Distance between the last frame of a track before a jump and its first one after it, unless more
/// time has passed.
const JUMP_GAP_MS: i64 = 40;

/// A stretch in which the publisher's clock is continuous.
#[derive(Debug)]
struct Epoch {
    /// The last clock, and the same without the wrap.
    clock: u32,
    unwrapped: i64,
    offset: i64,
    last: [Option<i64>; 2],
    /// When its last frame came.
    arrived: i64,
}

impl Epoch {
    fn new(track: TrackKind, clock: u32, start: i64, now: i64) -> Self {
        let unwrapped = i64::from(clock);
        let mut last = [None; 2];
        last[track as usize] = Some(unwrapped);
        Self { clock, unwrapped, offset: start - unwrapped, last, arrived: now }
    }

    /// Where the frame lies, if its clock continues this epoch.
    fn place(&mut self, track: TrackKind, clock: u32, now: i64) -> Option<i64> {
        let newest = self.last.iter().flatten().max().copied().unwrap_or(self.unwrapped);
        let apart = newest - millis(MAX_APART);
        let from = self.last[track as usize].map_or(apart, |last| apart.max(last - millis(MAX_BACKWARD)));
        let to = newest + millis(MAX_FORWARD) + (now - self.arrived).max(0);
        self.place_within(track, clock, from..=to, now)
    }

    /// The same, only for the very next frame of a track that is in this epoch.
    fn follow(&mut self, track: TrackKind, clock: u32, now: i64) -> Option<i64> {
        let last = self.last[track as usize]?;
        self.place_within(track, clock, last - millis(MAX_BACKWARD)..=last + millis(MAX_BACKWARD), now)
    }

    fn place_within(&mut self, track: TrackKind, clock: u32, range: RangeInclusive<i64>, now: i64) -> Option<i64> {
        #[allow(clippy::cast_possible_wrap)] // the signed distance of two wrapping clocks
        let unwrapped = self.unwrapped + i64::from(clock.wrapping_sub(self.clock) as i32);
        if !range.contains(&unwrapped) {
            return None;
        }
        (self.clock, self.unwrapped, self.arrived) = (clock, unwrapped, now);
        self.last[track as usize] = Some(unwrapped);
        Some(unwrapped + self.offset)
    }
}

/// Whether a track's clock runs at all.
#[derive(Debug, Default)]
struct Pace {
    clock: u32,
    /// When that clock came first, and how many frames had it since.
    since: i64,
    frames: u32,
}

impl Pace {
    /// The clock, or one that runs in its place.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // it wraps as the clock does
    fn running(&mut self, clock: u32, now: i64) -> u32 {
        if self.frames == 0 || clock != self.clock {
            *self = Self { clock, since: now, frames: 0 };
        }
        self.frames = self.frames.saturating_add(1);
        let stood = now - self.since;
        match self.frames > STANDING_FRAMES && stood >= millis(STANDING) {
            true => clock.wrapping_add(stood as u32),
            false => clock,
        }
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

    /// Frames of sound and picture every 40 ms that come when their time has; `clock` gives the
    /// clocks at a moment. How far sound is from picture at the end, and the number of jumps.
    fn play(t: &mut Timeline, ms: std::ops::Range<u32>, clock: impl Fn(u32) -> (u32, u32)) -> (i64, usize) {
        let mut apart = 0;
        let mut jumps = 0;
        for now in ms.step_by(40) {
            t.set_now(Duration::from_millis(now.into()));
            let (video, audio) = clock(now);
            let (v, a) = (t.map(Video, video, 0, 0), t.map(Audio, audio, 0, 0));
            jumps += usize::from(v.discontinuity) + usize::from(a.discontinuity);
            apart = a.dts.as_millis() - v.dts.as_millis();
        }
        (apart, jumps)
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
        assert_eq!(dts(&mut t, Video, 7_200_000), 10_000);
        assert_eq!(dts(&mut t, Audio, 7_199_500), 9500);
    }

    #[test]
    fn clocks_that_start_a_little_apart_stay_as_far_apart() {
        for apart in [300, 3000] {
            for (video, audio) in [(0, apart), (apart, 0)] {
                let mut t = Timeline::new();
                let (found, jumps) = play(&mut t, 0..20_000, |now| (now + video, now + audio));
                assert_eq!((found, jumps), (i64::from(audio) - i64::from(video), 0));
            }
        }
    }

    #[test]
    fn clocks_that_start_absurdly_apart_are_put_together_as_they_come() {
        for (video, audio) in [(0u32, 30_000u32), (30_000, 0), (0, 3_000_000_000)] {
            let mut t = Timeline::new();
            let (found, jumps) = play(&mut t, 0..20_000, |now| (video.wrapping_add(now), audio + now));
            assert!(found.abs() <= 40 && jumps == 0, "{video} {audio}: {found} ms apart, {jumps} jumps");
        }
    }

    #[test]
    fn the_32_bit_wrap_is_not_a_jump() {
        let mut t = Timeline::new();
        let begin = u32::MAX - 10_000;
        let (apart, jumps) = play(&mut t, 0..20_000, |now| (begin.wrapping_add(now), begin.wrapping_add(now + 7)));
        assert_eq!((apart, jumps), (7, 0));
        assert_eq!(t.last_dts[0], Some(Timestamp::from_millis(10_000 + 19_960)));
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
        assert_eq!(v.dts.as_millis(), 59_980 + 40);
        let a = t.map(Audio, 10, 0, 0);
        assert!(!a.discontinuity);
        assert_eq!(a.dts.signed_nanos_since(v.dts), 10_000_000);
    }

    #[test]
    fn a_straggler_of_the_other_track_after_a_reset_is_no_second_jump() {
        // As far back as the clocks may be apart, and further.
        for back in [3000, 100_000] {
            let mut t = Timeline::new();
            dts(&mut t, Video, 100_000);
            dts(&mut t, Audio, 100_000);
            let reset = 100_000 - back;
            assert!(t.map(Video, reset, 0, 0).discontinuity);
            let straggler = t.map(Audio, 100_021, 0, 0);
            assert_eq!((straggler.dts.as_millis(), straggler.discontinuity), (10_021, false));
            assert_eq!(t.map(Video, reset + 40, 0, 0).dts.as_millis(), 10_080);
            let audio = t.map(Audio, reset + 42, 0, 0);
            assert_eq!((audio.dts.as_millis(), audio.discontinuity), (10_082, false), "back by {back}");
        }
    }

    #[test]
    fn a_forward_jump_of_hours_is_closed() {
        let mut t = Timeline::new();
        dts(&mut t, Video, 0);
        let far = t.map(Video, 3_600_000, 0, 0);
        assert_eq!((far.dts.as_millis(), far.discontinuity), (40, true));
        let (apart, jumps) = play(&mut Timeline::new(), 0..20_000, |now| {
            let jumped = now + if now < 10_000 { 0 } else { 7_200_000 };
            (jumped, jumped + 5)
        });
        assert_eq!((apart, jumps), (5, 1));
    }

    #[test]
    fn a_pause_that_was_a_pause_is_no_jump() {
        let mut t = Timeline::new();
        dts(&mut t, Video, 0);
        t.set_now(Duration::from_secs(60));
        let x = t.map(Video, 60_000, 0, 0);
        assert_eq!((x.dts.as_millis(), x.discontinuity), (60_000, false));
    }

    #[test]
    fn a_jump_after_a_pause_leaves_the_pause() {
        let mut t = Timeline::new();
        dts(&mut t, Video, 50_000);
        t.set_now(Duration::from_secs(5));
        let x = t.map(Video, 0, 0, 0);
        assert_eq!((x.dts.as_millis(), x.discontinuity), (15_000, true));
    }

    #[test]
    fn pictures_seconds_apart_are_no_jumps_with_sound_or_without() {
        let mut t = Timeline::new();
        for now in (0..120_000).step_by(20) {
            t.set_now(Duration::from_millis(now.into()));
            if now % 15_000 == 0 {
                let x = t.map(Video, now, 0, 0);
                assert_eq!((x.dts.as_millis(), x.discontinuity), (now.into(), false));
            }
            let x = t.map(Audio, now, 0, 0);
            assert_eq!((x.dts.as_millis(), x.discontinuity), (now.into(), false));
        }
        let mut t = Timeline::new();
        for now in (0..120_000).step_by(15_000) {
            t.set_now(Duration::from_millis(now.into()));
            assert_eq!(dts(&mut t, Video, now), now.into());
        }
    }

    #[test]
    fn pictures_at_a_varying_rate_keep_their_times() {
        let mut t = Timeline::new();
        let mut clock = 0;
        for step in [16, 17, 500, 1, 33, 2000, 40, 40, 4999] {
            clock += step;
            assert_eq!(dts(&mut t, Video, clock), i64::from(clock));
        }
    }

    #[test]
    fn a_track_that_begins_late_or_returns_is_where_the_other_is() {
        for (begins, clock) in [("with the other's clock", 3_600_000), ("with a clock of its own", 0)] {
            let mut t = Timeline::new();
            play(&mut t, 0..1000, |now| (now, now));
            for now in (1000..3_600_000).step_by(1000) {
                t.set_now(Duration::from_millis(now.into()));
                dts(&mut t, Video, now);
            }
            let (apart, _) = play(&mut t, 3_600_000..3_610_000, |now| (now, now - 3_600_000 + clock));
            assert!((-40..=1000).contains(&apart), "{begins}: {apart} ms apart");
        }
    }

    #[test]
    fn a_publisher_whose_timestamps_are_all_zero_runs_at_the_pace_of_its_frames() {
        let mut t = Timeline::new();
        let (apart, jumps) = play(&mut t, 0..60_000, |_| (0, 0));
        assert!(apart.abs() <= 1 && jumps == 0, "{apart} ms apart, {jumps} jumps");
        assert_eq!(t.last_dts[0], Some(Timestamp::from_millis(59_960)));
    }

    #[test]
    fn a_clock_that_stands_for_a_while_goes_on() {
        let mut t = Timeline::new();
        let (apart, _) = play(&mut t, 0..30_000, |now| {
            let clock = if (10_000..20_000).contains(&now) { 10_000 } else { now };
            (clock, clock + 3)
        });
        assert_eq!(apart, 3);
        let end = t.last_dts[0].unwrap_or_default().as_millis();
        assert!((29_960..31_000).contains(&end), "{end}");
    }

    #[test]
    fn frames_that_share_a_time_are_not_a_standing_clock() {
        let mut t = Timeline::new();
        dts(&mut t, Video, 1000);
        t.set_now(Duration::from_secs(3));
        assert_eq!(dts(&mut t, Video, 1000), 1001, "two slices, a stall between them");
        assert!(!t.map(Video, 1040, 0, 0).discontinuity);
    }

    #[test]
    fn dts_beyond_pts_is_clamped_not_fatal() {
        let mut t = Timeline::new();
        let x = t.map(Video, 100, 0, -50);
        assert_eq!((x.dts, x.pts), (Timestamp::from_millis(50), Timestamp::from_millis(50)));
        let y = t.map(Video, 140, 0, i32::MAX);
        assert_eq!(y.pts.since(y.dts), MAX_COMPOSITION);
        let z = t.map(Video, 180, 0, i32::MIN);
        assert_eq!(z.pts, z.dts);
    }

    #[test]
    fn negative_composition_offsets_keep_pictures_in_their_order_and_with_their_sound() {
        let mut t = Timeline::new();
        let mut shown = Vec::new();
        for n in 0..50u32 {
            // I or P, then two pictures that are shown before it.
            let composition = if n % 3 == 1 {
                80
            } else if n == 0 {
                0
            } else {
                -40
            };
            let x = t.map(Video, n * 40, 0, composition);
            assert!(x.dts <= x.pts);
            shown.push((x.pts.as_millis(), i64::from(n) * 40 + i64::from(composition)));
            assert_eq!(dts(&mut t, Audio, n * 40), i64::from(n) * 40);
        }
        for (pts, wanted) in &shown {
            assert!((pts - wanted).abs() <= 1, "shown at {pts} in place of {wanted}");
        }
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
    fn small_steps_backwards_are_clamped() {
        let mut t = Timeline::new();
        dts(&mut t, Audio, 500);
        assert_eq!(
            t.map(Audio, 480, 0, 0),
            TimelineTimes { dts: Timestamp::from_millis(501), pts: Timestamp::from_millis(501), discontinuity: false }
        );
        assert_eq!(dts(&mut t, Audio, 520), 520);
        let (apart, jumps) = play(&mut Timeline::new(), 0..20_000, |now| {
            let clock = if now < 10_000 { now } else { now - 900 };
            (clock, clock + 5)
        });
        assert_eq!((apart, jumps), (5, 0));
    }

    proptest! {
        #[test]
        fn each_track_rises_whatever_comes(frames in proptest::collection::vec((any::<bool>(), any::<u32>(), any::<u32>(), any::<i32>(), 0u64..100_000), 1..200)) {
            let mut t = Timeline::new();
            let mut last = [None; 2];
            let mut now = 0;
            for (audio, clock, nanos, composition, step) in frames {
                let track = if audio { Audio } else { Video };
                now += step;
                t.set_now(Duration::from_millis(now));
                let x = t.map(track, clock, nanos, composition);
                prop_assert!(last[track as usize].is_none_or(|l| x.dts > l));
                prop_assert!(x.pts >= x.dts && x.pts.since(x.dts) <= MAX_COMPOSITION);
                last[track as usize] = Some(x.dts);
            }
        }

        /// However the clocks jump, sound and picture that jump together are together again.
        #[test]
        fn sound_stays_with_picture_over_jumps(jumps in proptest::collection::vec(any::<u32>(), 1..20), apart in 0u32..2000) {
            let mut t = Timeline::new();
            let mut found = 0;
            for (n, jump) in (0u32..).zip(jumps) {
                let begin = n * 15_000;
                (found, _) = play(&mut t, begin..begin + 15_000, |now| (jump.wrapping_add(now), jump.wrapping_add(now + apart)));
            }
            prop_assert_eq!(found, i64::from(apart));
        }
    }
}
