use std::time::Duration;

use millrace_media::{Frame, Timestamp};

/// Joins the time lines of the publishers that follow each other on one stream.
///
/// **Invariant:** DTS rises from frame to frame of one track, over all publishers.
#[derive(Debug, Default)]
pub(crate) struct Splice {
    offset: i64,
    pending_gap: Option<Duration>,
    last: [Option<Timestamp>; 2],
}

impl Splice {
    /// Another publisher begins, this long after the last frame of the one before.
    pub(crate) fn next_publisher(&mut self, gap: Duration) {
        self.pending_gap = Some(gap.max(MIN_GAP));
    }

    /// Moves a frame to the stream's time line.
    pub(crate) fn apply(&mut self, frame: &mut Frame) {
        if let Some(gap) = self.pending_gap.take() {
            self.offset = self.end().map_or(0, |end| (end + gap).signed_nanos_since(frame.dts));
        }
        let moved = |t: Timestamp| Timestamp::from_nanos(t.as_nanos().saturating_add(self.offset));
        let last = &mut self.last[frame.track as usize];
        let dts = moved(frame.dts);
        frame.pts = moved(frame.pts);
        frame.dts = last.map_or(dts, |last| dts.max(last.offset_millis(1)));
        frame.pts = frame.pts.max(frame.dts);
        *last = Some(frame.dts);
    }

    /// The newest DTS of both tracks.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        self.last.iter().flatten().max().copied()
    }
}

/// Least distance between the frames of two publishers.
const MIN_GAP: Duration = Duration::from_millis(40);

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use millrace_media::TrackKind;

    fn dts(s: &mut Splice, track: TrackKind, ms: i64) -> i64 {
        let t = Timestamp::from_millis(ms);
        let mut f = Frame { track, keyframe: true, dts: t, pts: t, payload: Bytes::new() };
        s.apply(&mut f);
        assert!(f.pts >= f.dts);
        f.dts.as_millis()
    }

    #[test]
    fn a_returning_publisher_continues_after_the_gap_with_sound_and_picture_together() {
        let mut s = Splice::default();
        dts(&mut s, TrackKind::Video, 5000);
        dts(&mut s, TrackKind::Audio, 5010);
        s.next_publisher(Duration::from_secs(3));
        assert_eq!(dts(&mut s, TrackKind::Video, 80), 8010);
        assert_eq!(dts(&mut s, TrackKind::Audio, 100), 8030);
    }

    #[test]
    fn a_takeover_without_a_gap_still_rises() {
        let mut s = Splice::default();
        dts(&mut s, TrackKind::Video, 5000);
        s.next_publisher(Duration::ZERO);
        assert_eq!(dts(&mut s, TrackKind::Video, 900_000), 5040);
    }
}
