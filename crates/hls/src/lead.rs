use millrace_media::{Frame, Timestamp, TrackKind};

/// The time by which a stream is cut: that of its pictures, where it has any.
///
/// Sound may lie seconds from the pictures that it comes with. It is cut where they are; and where no picture comes, it
/// tells how much time has passed since. How far it lies from them is judged by the most that it has been ahead when a
/// picture came, since a publisher may send each track in bursts; so it never tells too much.
#[derive(Debug, Default)]
pub(crate) struct Lead {
    /// The newest picture.
    picture: Option<Timestamp>,
    sound: Option<Sound>,
    /// By how much sound is ahead of the pictures, nanoseconds; none before a picture came after it.
    ahead: Option<i64>,
}

#[derive(Debug)]
struct Sound {
    /// The first, and the newest.
    first: Timestamp,
    newest: Timestamp,
    /// How long a frame is, nanoseconds.
    step: i64,
}

impl Lead {
    /// When the frame comes by the time of the pictures, of which there are some with `video`.
    pub(crate) fn place(&mut self, frame: &Frame, video: bool) -> Timestamp {
        match frame.track {
            TrackKind::Video => self.picture(frame.dts),
            TrackKind::Audio if video => return self.sound(frame.dts),
            TrackKind::Audio => {}
        }
        frame.dts
    }

    fn picture(&mut self, dts: Timestamp) {
        self.picture = Some(dts);
        if let Some(sound) = &self.sound {
            let ahead = sound.newest.signed_nanos_since(dts) + sound.step;
            self.ahead = Some(self.ahead.map_or(ahead, |most| most.max(ahead)));
        }
    }

    fn sound(&mut self, dts: Timestamp) -> Timestamp {
        let sound = self.sound.get_or_insert(Sound { first: dts, newest: dts, step: 0 });
        sound.step = dts.signed_nanos_since(sound.newest).clamp(0, LONGEST_STEP);
        sound.newest = dts;
        match (self.ahead, self.picture) {
            (Some(ahead), _) => later(dts, -ahead),
            (None, Some(picture)) => dts.min(later(picture, dts.signed_nanos_since(sound.first))),
            (None, None) => dts,
        }
    }
}

fn later(t: Timestamp, nanos: i64) -> Timestamp {
    Timestamp::from_nanos(t.as_nanos().saturating_add(nanos))
}

/// Frames of sound are not longer: a gap between two is none of them.
const LONGEST_STEP: i64 = 150_000_000;
