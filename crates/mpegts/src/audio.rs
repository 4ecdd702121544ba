//! Audio in transport streams: times counted in samples, several frames to a PES packet.
//!
//! Publishers stamp audio in whole milliseconds, which no frame length of AAC or MP3 is a multiple
//! of: used as they are, such stamps make a decoder hear a gap or an overlap at every frame. So
//! time is counted in samples from an anchor instead. Where the count and the stamps part by more
//! than [`SLEW_FROM`] (two clocks that differ by some millionths), the anchor follows by one tick a
//! frame, which nobody hears; where they part by more than [`RESYNC_FROM`] (frames are missing, or
//! the source jumped) a new anchor is set.

use std::sync::Arc;
use std::time::Duration;

use millrace_media::{AudioConfig, Frame, TrackKind};

use crate::Error;

/// Deviation of counted from stamped time above which the count follows slowly.
pub const SLEW_FROM: Duration = Duration::from_millis(10);
/// Deviation of counted from stamped time above which the count starts anew.
pub const RESYNC_FROM: Duration = Duration::from_millis(60);
/// Longest sound in one PES packet of more than one frame: three of AAC at 48 kHz.
pub const MAX_GROUP: Duration = Duration::from_millis(65);
/// Longest payload of one audio PES packet, bytes: its length field has 16 bits, and must not be 0.
pub const MAX_PES_PAYLOAD: usize = 65_535 - 8;

/// The audio track's configuration and clock.
#[derive(Debug)]
pub(crate) struct AudioTrack {
    config: Arc<AudioConfig>,
    clock: SampleClock,
}

impl AudioTrack {
    pub(crate) fn new(config: Arc<AudioConfig>) -> Result<Self, Error> {
        let unsupported = |why: String| Error::UnsupportedCodec { codec: config.name(), why };
        match &*config {
            AudioConfig::Aac(aac) => {
                aac.adts_header(0).map_err(|e| unsupported(e.to_string()))?;
                if aac.samples_per_frame() != 1024 {
                    return Err(unsupported(format!(
                        "frames of {} samples have no ADTS form",
                        aac.samples_per_frame()
                    )));
                }
            }
            AudioConfig::Mp3(mp3) => {
                if mp3.sample_rate == 0 || mp3.samples_per_frame == 0 {
                    return Err(unsupported("no sampling frequency".to_owned()));
                }
            }
            _ => return Err(unsupported("this program writes AAC and MP3 only".to_owned())),
        }
        let clock = SampleClock { rate: config.sample_rate(), anchor: None, samples: 0 };
        Ok(Self { config, clock })
    }

    pub(crate) fn config(&self) -> &Arc<AudioConfig> {
        &self.config
    }

    /// ISO/IEC 13818-1, table 2-34.
    pub(crate) fn stream_type(&self) -> u8 {
        match &*self.config {
            AudioConfig::Mp3(mp3) if mp3.sample_rate >= 32_000 => 0x03, // ISO/IEC 11172-3
            AudioConfig::Mp3(_) => 0x04,                                // ISO/IEC 13818-3
            _ => 0x0f,                                                  // ADTS
        }
    }

    /// The bytes that go before the frame's payload.
    pub(crate) fn header(&self, frame: &Frame) -> Result<Header, Error> {
        match &*self.config {
            AudioConfig::Aac(aac) => match aac.adts_header(frame.payload.len()) {
                Ok(header) => Ok(Header(Some(header))),
                Err(source) => Err(Error::Frame { track: TrackKind::Audio, dts: frame.dts, source }),
            },
            _ if frame.payload.len() > MAX_PES_PAYLOAD => {
                Err(Error::FrameTooLong { dts: frame.dts, len: frame.payload.len(), max: MAX_PES_PAYLOAD })
            }
            _ => Ok(Header(None)),
        }
    }

    /// Samples in a frame, where its codec's frames tell: `new` refuses those of other codecs.
    fn samples_in(&self, frame: &Frame) -> u32 {
        self.config.samples_in(&frame.payload).unwrap_or(0)
    }

    /// Ticks of 90 kHz that the frame lasts, rounded up.
    pub(crate) fn frame_ticks(&self, frame: &Frame) -> i64 {
        (i64::from(self.samples_in(frame)) * 90_000 + i64::from(self.clock.rate) - 1) / i64::from(self.clock.rate)
    }

    /// Where a frame stamped `stamp` lies, in ticks of 90 kHz, and whether that follows from the
    /// frame before it.
    pub(crate) fn place(&mut self, frame: &Frame, stamp: i64) -> (i64, bool) {
        let samples = self.samples_in(frame);
        self.clock.place(stamp, samples)
    }

    /// Forgets the time of the frames before.
    pub(crate) fn reset_clock(&mut self) {
        self.clock.anchor = None;
    }
}

/// What goes before an audio frame's payload: an ADTS header, or nothing.
pub(crate) struct Header(Option<[u8; 7]>);

impl Header {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |h| &h[..])
    }
}

/// Frames that wait to fill a PES packet.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) bytes: Vec<u8>,
    /// Of the first frame; not meaningful while `bytes` is empty.
    pub(crate) pts: i64,
}

/// Time counted in samples. See the module's documentation.
#[derive(Debug)]
struct SampleClock {
    rate: u32,
    anchor: Option<i64>,
    /// Samples since the anchor.
    samples: u64,
}

impl SampleClock {
    fn place(&mut self, stamp: i64, samples: u32) -> (i64, bool) {
        let mut follows = false;
        let at = match self.anchor {
            None => {
                self.set_anchor(stamp);
                stamp
            }
            Some(anchor) => {
                let counted = anchor + self.elapsed();
                let deviation = stamp - counted;
                if deviation.abs() > ticks(RESYNC_FROM) {
                    // Never before the frame that was sent last, whatever the stamp says.
                    let last = counted - self.frame_ticks(samples);
                    let at = stamp.max(last + 1);
                    self.set_anchor(at);
                    at
                } else {
                    follows = true;
                    let slew = if deviation.abs() > ticks(SLEW_FROM) { deviation.signum() } else { 0 };
                    self.anchor = Some(anchor + slew);
                    counted + slew
                }
            }
        };
        self.samples += u64::from(samples);
        (at, follows)
    }

    fn set_anchor(&mut self, at: i64) {
        self.anchor = Some(at);
        self.samples = 0;
    }

    #[allow(clippy::cast_possible_wrap, clippy::cast_possible_truncation)] // centuries of samples fit
    fn elapsed(&self) -> i64 {
        let rate = u128::from(self.rate);
        ((u128::from(self.samples) * 90_000 + rate / 2) / rate) as i64
    }

    fn frame_ticks(&self, samples: u32) -> i64 {
        i64::from(samples) * 90_000 / i64::from(self.rate)
    }
}

pub(crate) const fn ticks(d: Duration) -> i64 {
    (d.as_nanos() * 9 / 100_000) as i64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use millrace_media::{AacConfig, Mp3Config};
    use proptest::prelude::*;

    fn clock(rate: u32) -> SampleClock {
        SampleClock { rate, anchor: None, samples: 0 }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn rounded_stamps_give_no_jitter_and_no_drift(rate in prop::sample::select(vec![44_100u32, 48_000, 32_000, 22_050, 11_025]), start in 0u64..100_000) {
            let mut c = clock(rate);
            let mut last = None;
            for n in 0..20_000u64 {
                let exact_ns = start * 1_000_000 + n * 1024 * 1_000_000_000 / u64::from(rate);
                let stamp = (exact_ns / 1_000_000) as i64 * 90; // as FLV rounds
                let (at, _) = c.place(stamp, 1024);
                prop_assert!((at - stamp).abs() <= 90);
                if let Some(last) = last {
                    let step = at - last;
                    let exact = 1024 * 90_000 / i64::from(rate);
                    prop_assert!(step == exact || step == exact + 1, "step {}", step);
                }
                last = Some(at);
            }
        }
    }

    #[test]
    fn a_clock_that_runs_fast_is_followed_without_a_jump() {
        let mut c = clock(48_000);
        let mut last = -1920;
        for n in 0..500_000i64 {
            // The publisher's stamps run 200 millionths faster than its samples: 2.1 s in three hours.
            let stamp = n * 1920 + n * 1920 / 5000;
            let (at, follows) = c.place(stamp, 1024);
            assert!(follows || n == 0);
            assert!((1919..=1921).contains(&(at - last)));
            assert!((at - stamp).abs() <= ticks(SLEW_FROM) + 2);
            last = at;
        }
    }

    #[test]
    fn missing_frames_set_a_new_anchor() {
        let mut c = clock(48_000);
        assert_eq!(c.place(0, 1024), (0, false));
        assert_eq!(c.place(1900, 1024), (1920, true));
        assert_eq!(c.place(3840 + 5400, 1024), (3841, true), "exactly the limit is followed");
        assert_eq!(c.place(5761 + 5401, 1024), (5761 + 5401, false));
    }

    #[test]
    fn a_source_that_lags_never_sends_time_backwards() {
        let mut c = clock(48_000);
        let mut last = -1;
        for n in 0..500 {
            let (at, _) = c.place(n, 1024); // stamps stand nearly still
            assert!(at > last);
            last = at;
        }
        assert!(last < ticks(RESYNC_FROM) + 3 * 1920);
    }

    #[test]
    fn stream_types() {
        let mp3 = |sample_rate| {
            let config = Mp3Config { sample_rate, channels: 2, samples_per_frame: 1152, kbit_s: 128 };
            AudioTrack::new(Arc::new(AudioConfig::Mp3(config))).unwrap().stream_type()
        };
        assert_eq!((mp3(44_100), mp3(24_000)), (3, 4));
    }

    #[test]
    fn what_adts_cannot_say_is_refused_with_words() {
        // Object type 23 (ER AAC LD), and LC with frames of 960 samples.
        for (config, words) in [(&[0xb9, 0x90, 0x00][..], "audio object type 23"), (&[0x12, 0x14], "960 samples")] {
            let config = AacConfig::parse(Bytes::copy_from_slice(config)).unwrap();
            let e = AudioTrack::new(Arc::new(AudioConfig::Aac(config))).unwrap_err();
            assert!(e.to_string().contains(words), "{e}");
        }
    }
}
