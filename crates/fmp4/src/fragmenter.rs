use std::sync::Arc;

use bytes::Bytes;
use millrace_media::{AudioConfig, Error as MediaError, Frame, SampleClock, Timestamp, TrackKind, VideoConfig};

use crate::moof::{Moof, Sample};
use crate::{EPOCH, Error, VIDEO_TIMESCALE, audio, track_id, video};

/// Gathers the frames of one track into fragments.
///
/// Payloads are held as they came and copied once, into the fragment.
#[derive(Debug)]
pub struct Fragmenter {
    codec: Codec,
    timescale: u32,
    samples: Vec<Sample>,
    /// Of each sample.
    payloads: Vec<Bytes>,
    /// Bytes of all payloads.
    payload: usize,
    /// Where the newest sample ends at the earliest: what follows begins there or later.
    end: i64,
}

/// A `moof` and its `mdat`, of one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Both boxes.
    pub bytes: Bytes,
    /// When the first sample is decoded, ticks of the track (`tfdt`): the stream's time line and
    /// [`EPOCH`].
    pub start: u64,
    /// Sum of the samples' durations, ticks.
    pub duration: u64,
    /// Number of samples, at least one.
    pub samples: u32,
    /// Decoding can begin with it. Always true for sound.
    pub independent: bool,
}

/// Most bytes of payload in one fragment.
pub const MAX_FRAGMENT_BYTES: usize = 64 << 20;
/// Most samples in one fragment: a thousand a second for a minute.
pub const MAX_FRAGMENT_SAMPLES: usize = 1 << 16;

impl Fragmenter {
    /// For pictures.
    ///
    /// # Errors
    /// When MP4 cannot carry the codec.
    pub fn video(config: Arc<VideoConfig>) -> Result<Self, Error> {
        video::check_video(&config)?;
        Ok(Self::new(Codec::Video { config, step: None }, VIDEO_TIMESCALE))
    }

    /// For sound.
    ///
    /// # Errors
    /// When MP4 cannot carry the codec.
    pub fn audio(config: Arc<AudioConfig>) -> Result<Self, Error> {
        audio::check_audio(&config)?;
        let timescale = config.sample_rate();
        let clock = SampleClock::new(timescale, timescale).expect("a sampling frequency of zero was refused");
        Ok(Self::new(Codec::Audio { config, clock, newest: 0 }, timescale))
    }

    fn new(codec: Codec, timescale: u32) -> Self {
        Self { codec, timescale, samples: Vec::new(), payloads: Vec::new(), payload: 0, end: 0 }
    }

    /// Ticks per second: [`VIDEO_TIMESCALE`] for pictures, the sampling frequency for sound.
    #[must_use]
    pub fn timescale(&self) -> u32 {
        self.timescale
    }

    /// Adds a frame to the fragment. One without payload is passed over.
    ///
    /// # Errors
    /// When the frame is of the other track or malformed, or the fragment is full; it goes on
    /// without the frame.
    pub fn push(&mut self, frame: &Frame) -> Result<(), Error> {
        let (track, dts) = (frame.track, frame.dts);
        if track != self.codec.track() {
            return Err(Error::WrongTrack { track, dts });
        }
        if frame.payload.is_empty() {
            return Ok(());
        }
        let (bytes, samples) = (self.payload, self.samples.len());
        if frame.payload.len() > MAX_FRAGMENT_BYTES - bytes || samples == MAX_FRAGMENT_SAMPLES {
            return Err(Error::Full { track, dts, bytes, samples });
        }
        let stamp = self.in_file(dts);
        let latest = self.samples.last().map_or(i64::MAX, |last| last.dts + i64::from(u32::MAX));
        let at = match &mut self.codec {
            Codec::Video { config, step } => {
                video::check_frame(config, &frame.payload).map_err(|source| Error::Frame { track, dts, source })?;
                let at = stamp.clamp(self.end, latest);
                if let Some(last) = self.samples.last() {
                    *step = Some(shorter_step(*step, at - last.dts));
                }
                at
            }
            Codec::Audio { config, clock, newest } => {
                let Some(samples) = config.samples_in(&frame.payload) else {
                    let source = MediaError::Invalid { what: "frame", why: format!("no frame of {}", config.name()) };
                    return Err(Error::Frame { track, dts, source });
                };
                let (at, _) = clock.place(stamp, samples);
                *newest = samples;
                at.clamp(self.end, latest)
            }
        };
        let (composition, keyframe) = match track {
            TrackKind::Video => (in_i32(self.in_file(frame.pts).max(0) - at), frame.keyframe),
            TrackKind::Audio => (0, true),
        };
        let size = u32::try_from(frame.payload.len()).expect("at most MAX_FRAGMENT_BYTES");
        self.end = at + 1;
        self.payload += frame.payload.len();
        self.samples.push(Sample { dts: at, composition, keyframe, size, gap: 0 });
        self.payloads.push(frame.payload.clone());
        Ok(())
    }

    /// True while no frame waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Bytes that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.payload
    }

    /// Ends the fragment; none where it has no frame.
    ///
    /// `next` is the decoding time of the track's next frame, where it is known and time goes on
    /// until then: the last sample lasts that long. Otherwise a picture is taken to last as long as
    /// the ones before, and sound as long as it plays.
    pub fn end(&mut self, next: Option<Timestamp>, sequence: u32) -> Option<Fragment> {
        let (first, last) = (self.samples.first()?, self.samples.last()?);
        let next = next.map(|next| self.in_file(next));
        let end = match (&self.codec, next) {
            (Codec::Video { .. }, Some(next)) => next,
            (Codec::Video { step, .. }, None) => last.dts + step.unwrap_or(ASSUMED_STEP).min(LONGEST_GUESS),
            (Codec::Audio { clock, .. }, Some(next)) => clock.foresee(next),
            (Codec::Audio { newest, .. }, None) => last.dts + i64::from(*newest),
        };
        self.end = end.clamp(self.end, last.dts + i64::from(u32::MAX));
        let moof = Moof { track_id: track_id(self.codec.track()), sequence, samples: &self.samples, end: self.end };
        let mut bytes = moof.head();
        bytes.reserve_exact(self.payload);
        self.payloads.drain(..).for_each(|payload| bytes.extend_from_slice(&payload));
        let fragment = Fragment {
            bytes: bytes.into(),
            start: first.dts.unsigned_abs(), // not below zero, as `end` never is
            duration: (self.end - first.dts).unsigned_abs(),
            samples: u32::try_from(self.samples.len()).expect("at most MAX_FRAGMENT_SAMPLES"),
            independent: first.keyframe,
        };
        self.samples.clear();
        self.payload = 0;
        Some(fragment)
    }

    /// Time does not go on from the frames before: sound is counted from a new anchor.
    pub fn discontinuity(&mut self) {
        if let Codec::Audio { clock, .. } = &mut self.codec {
            clock.reset();
        }
    }

    fn in_file(&self, t: Timestamp) -> i64 {
        (t + EPOCH).as_ticks(self.timescale)
    }
}

#[derive(Debug)]
enum Codec {
    Video {
        config: Arc<VideoConfig>,
        /// Distance of pictures, ticks: the shortest lately, so that a guess errs towards a gap.
        step: Option<i64>,
    },
    Audio {
        config: Arc<AudioConfig>,
        clock: SampleClock,
        /// Samples in the newest frame.
        newest: u32,
    },
}

impl Codec {
    fn track(&self) -> TrackKind {
        match self {
            Self::Video { .. } => TrackKind::Video,
            Self::Audio { .. } => TrackKind::Audio,
        }
    }
}

/// Distance of pictures while nothing is known, ticks: 25 a second.
const ASSUMED_STEP: i64 = VIDEO_TIMESCALE as i64 / 25;

/// Longest that the last picture is taken to last where that is not known, ticks: after hours
/// without a picture the next need not be put off for hours.
const LONGEST_GUESS: i64 = VIDEO_TIMESCALE as i64;

/// Follows a shorter step at once, a longer one slowly.
fn shorter_step(before: Option<i64>, step: i64) -> i64 {
    before.map_or(step, |before| step.min(before + before / 8 + 1))
}

fn in_i32(n: i64) -> i32 {
    i32::try_from(n).unwrap_or(if n < 0 { i32::MIN } else { i32::MAX })
}
