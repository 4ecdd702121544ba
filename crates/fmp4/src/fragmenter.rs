use std::sync::Arc;

use bytes::Bytes;
use millrace_media::{AudioConfig, Error as MediaError, Frame, SampleClock, Timestamp, TrackKind, VideoConfig};

use crate::boxes::{put_u32, put_u64, write_box, write_full_box};
use crate::{EPOCH, Error, VIDEO_TIMESCALE, audio, track_id, video};

/// Gathers the frames of one track into fragments.
///
/// Payloads are held as they came and copied once, into the fragment.
#[derive(Debug)]
pub struct Fragmenter {
    codec: Codec,
    timescale: u32,
    samples: Vec<Sample>,
    /// Bytes of the samples' payloads.
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
        Self { codec, timescale, samples: Vec::new(), payload: 0, end: 0 }
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
        let sample = match &mut self.codec {
            Codec::Video { config, step } => {
                video::check_frame(config, &frame.payload).map_err(|source| Error::Frame { track, dts, source })?;
                let at = stamp.clamp(self.end, latest);
                if let Some(last) = self.samples.last() {
                    *step = Some(shorter_step(*step, at - last.dts));
                }
                Sample { dts: at, composition: 0, keyframe: frame.keyframe, payload: frame.payload.clone() }
            }
            Codec::Audio { config, clock, newest } => {
                let Some(samples) = config.samples_in(&frame.payload) else {
                    let source = MediaError::Invalid { what: "frame", why: format!("no frame of {}", config.name()) };
                    return Err(Error::Frame { track, dts, source });
                };
                let (at, _) = clock.place(stamp, samples);
                *newest = samples;
                let at = at.clamp(self.end, latest);
                Sample { dts: at, composition: 0, keyframe: true, payload: frame.payload.clone() }
            }
        };
        let composition = match track {
            TrackKind::Video => in_i32(self.in_file(frame.pts).max(0) - sample.dts),
            TrackKind::Audio => 0,
        };
        self.end = sample.dts + 1;
        self.payload += sample.payload.len();
        self.samples.push(Sample { composition, ..sample });
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
        let layout = Layout::new(self.codec.track(), &self.samples, self.end, sequence);
        let fragment = Fragment {
            bytes: layout.write(self.payload),
            start: first.dts.unsigned_abs(), // not below zero, as `end` never is
            duration: (self.end - first.dts).unsigned_abs(),
            samples: layout.count(),
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

#[derive(Debug)]
struct Sample {
    dts: i64,
    /// PTS - DTS.
    composition: i32,
    keyframe: bool,
    payload: Bytes,
}

impl Sample {
    /// `sample_flags` of ISO/IEC 14496-12, 8.8.3.1.
    fn flags(&self) -> u32 {
        if self.keyframe { DEPENDS_ON_NONE } else { DEPENDS_ON_OTHERS }
    }
}

const DEPENDS_ON_NONE: u32 = 2 << 24;
const DEPENDS_ON_OTHERS: u32 = 1 << 24 | NON_SYNC;
const NON_SYNC: u32 = 1 << 16;

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

/// Which fields the boxes of a fragment have: what is the same for all samples is said once.
struct Layout<'a> {
    track: TrackKind,
    samples: &'a [Sample],
    /// Where the last sample ends.
    end: i64,
    sequence: u32,
    duration: Shared,
    size: Shared,
    flags: Shared,
    /// All but the first have the same flags.
    first_flags: Option<u32>,
    compositions: bool,
}

/// A field of the samples.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shared {
    Same(u32),
    Differs,
}

impl Shared {
    fn of(mut values: impl Iterator<Item = u32>) -> Self {
        match values.next() {
            Some(first) if values.all(|v| v == first) => Self::Same(first),
            _ => Self::Differs,
        }
    }

    fn flag(self, if_same: u32) -> u32 {
        if self == Self::Differs { 0 } else { if_same }
    }

    fn put(self, out: &mut Vec<u8>) {
        if let Self::Same(v) = self {
            put_u32(out, v);
        }
    }
}

impl<'a> Layout<'a> {
    fn new(track: TrackKind, samples: &'a [Sample], end: i64, sequence: u32) -> Self {
        let all = Shared::of(samples.iter().map(Sample::flags));
        let rest = match samples {
            [_] => all,
            [_, rest @ ..] => Shared::of(rest.iter().map(Sample::flags)),
            [] => Shared::Differs,
        };
        let first_flags = samples.first().filter(|_| all != rest).map(Sample::flags);
        Self {
            track,
            samples,
            end,
            sequence,
            duration: Shared::of(durations(samples, end)),
            size: Shared::of(samples.iter().map(size)),
            flags: rest,
            first_flags,
            compositions: samples.iter().any(|s| s.composition != 0),
        }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.samples.len()).expect("at most MAX_FRAGMENT_SAMPLES")
    }

    /// `tf_flags` of ISO/IEC 14496-12, 8.8.7.1: offsets count from the `moof`.
    fn tfhd_flags(&self) -> u32 {
        0x02_0000 | self.duration.flag(0x08) | self.size.flag(0x10) | self.flags.flag(0x20)
    }

    /// `tr_flags` of 8.8.8.1: the data's offset is present.
    fn trun_flags(&self) -> u32 {
        let differing = |field: Shared, flag| if field == Shared::Differs { flag } else { 0 };
        0x001
            | if self.first_flags.is_some() { 0x004 } else { 0 }
            | differing(self.duration, 0x100)
            | differing(self.size, 0x200)
            | differing(self.flags, 0x400)
            | if self.compositions { 0x800 } else { 0 }
    }

    fn moof_len(&self) -> usize {
        const FIELDS: u32 = 0x38; // of a `tfhd`
        const PER_SAMPLE: u32 = 0xf00; // of a `trun`
        let tfhd = 16 + 4 * (self.tfhd_flags() & FIELDS).count_ones() as usize;
        let first = if self.first_flags.is_some() { 4 } else { 0 };
        let trun = 20 + first + 4 * (self.trun_flags() & PER_SAMPLE).count_ones() as usize * self.samples.len();
        8 + 16 + 8 + tfhd + 20 + trun
    }

    fn write(&self, payload: usize) -> Bytes {
        let moof_len = self.moof_len();
        let len = moof_len + 8 + payload;
        let mut out = Vec::with_capacity(len);
        write_box(&mut out, b"moof", |out| {
            write_full_box(out, b"mfhd", 0, 0, |out| put_u32(out, self.sequence));
            write_box(out, b"traf", |out| self.write_traf(out, moof_len + 8));
        });
        write_box(&mut out, b"mdat", |out| self.samples.iter().for_each(|s| out.extend_from_slice(&s.payload)));
        debug_assert_eq!(out.len(), len);
        out.into()
    }

    fn write_traf(&self, out: &mut Vec<u8>, data_offset: usize) {
        write_full_box(out, b"tfhd", 0, self.tfhd_flags(), |out| {
            put_u32(out, track_id(self.track));
            self.duration.put(out);
            self.size.put(out);
            self.flags.put(out);
        });
        let start = self.samples.first().map_or(0, |s| s.dts.unsigned_abs());
        write_full_box(out, b"tfdt", 1, 0, |out| put_u64(out, start));
        write_full_box(out, b"trun", 1, self.trun_flags(), |out| {
            put_u32(out, self.count());
            put_u32(out, u32::try_from(data_offset).expect("16 bytes a sample, at most MAX_FRAGMENT_SAMPLES"));
            if let Some(flags) = self.first_flags {
                put_u32(out, flags);
            }
            for (sample, duration) in self.samples.iter().zip(durations(self.samples, self.end)) {
                if self.duration == Shared::Differs {
                    put_u32(out, duration);
                }
                if self.size == Shared::Differs {
                    put_u32(out, size(sample));
                }
                if self.flags == Shared::Differs {
                    put_u32(out, sample.flags());
                }
                if self.compositions {
                    out.extend_from_slice(&sample.composition.to_be_bytes());
                }
            }
        });
    }
}

/// From each sample to the next, and of the last to `end`.
fn durations(samples: &[Sample], end: i64) -> impl Iterator<Item = u32> {
    let ends = samples.iter().skip(1).map(|s| s.dts).chain(std::iter::once(end));
    samples.iter().zip(ends).map(|(s, end)| u32::try_from(end - s.dts).unwrap_or(u32::MAX))
}

fn size(sample: &Sample) -> u32 {
    u32::try_from(sample.payload.len()).expect("at most MAX_FRAGMENT_BYTES")
}
