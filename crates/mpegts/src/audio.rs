//! Audio in transport streams: times counted in samples, several frames to a PES packet.
//!
//! [`SampleClock`] says why they are counted.

use std::sync::Arc;
use std::time::Duration;

use millrace_media::{AudioConfig, Frame, SampleClock, TrackKind};

use crate::Error;

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
                if mp3.samples_per_frame == 0 {
                    return Err(unsupported("frames without samples".to_owned()));
                }
            }
            AudioConfig::Ac3(_) | AudioConfig::Eac3(_) => {}
            _ => {
                let why = "this program writes AAC, MP3, AC-3 and E-AC-3 only, as players read no others";
                return Err(unsupported(why.to_owned()));
            }
        }
        let clock = SampleClock::new(config.sample_rate(), TIMESCALE)
            .ok_or_else(|| unsupported("no sampling frequency".to_owned()))?;
        Ok(Self { config, clock })
    }

    pub(crate) fn config(&self) -> &Arc<AudioConfig> {
        &self.config
    }

    /// ISO/IEC 13818-1, table 2-34; those of AC-3 are ATSC's, which HLS took over.
    pub(crate) fn stream_type(&self) -> u8 {
        match &*self.config {
            AudioConfig::Mp3(mp3) if mp3.sample_rate >= 32_000 => 0x03, // ISO/IEC 11172-3
            AudioConfig::Mp3(_) => 0x04,                                // ISO/IEC 13818-3
            AudioConfig::Ac3(_) => 0x81,                                // ATSC A/53-3, table 6.1
            AudioConfig::Eac3(_) => 0x87,
            _ => 0x0f, // ADTS
        }
    }

    /// The format identifier of a registration descriptor (2.6.8), for types that others use too.
    pub(crate) fn registration(&self) -> Option<[u8; 4]> {
        match &*self.config {
            AudioConfig::Ac3(_) => Some(*b"AC-3"),
            AudioConfig::Eac3(_) => Some(*b"EAC3"),
            _ => None,
        }
    }

    /// `stream_id` of PES packets (table 2-22).
    pub(crate) fn stream_id(&self) -> u8 {
        match &*self.config {
            AudioConfig::Ac3(_) | AudioConfig::Eac3(_) => 0xbd, // private stream 1
            _ => 0xc0,
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
        let rate = i64::from(self.config.sample_rate());
        (i64::from(self.samples_in(frame)) * i64::from(TIMESCALE) + rate - 1) / rate
    }

    /// Where a frame stamped `stamp` lies, in ticks of 90 kHz, and whether that follows from the
    /// frame before it.
    pub(crate) fn place(&mut self, frame: &Frame, stamp: i64) -> (i64, bool) {
        let samples = self.samples_in(frame);
        self.clock.place(stamp, samples)
    }

    /// Forgets the time of the frames before.
    pub(crate) fn reset_clock(&mut self) {
        self.clock.reset();
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
    /// Of the first frame; not meaningful while `bytes` is empty, as the next.
    pub(crate) pts: i64,
    /// `stream_id` of the packet.
    pub(crate) stream_id: u8,
}

/// The clock of MPEG systems, ticks per second.
const TIMESCALE: u32 = 90_000;

pub(crate) const fn ticks(d: Duration) -> i64 {
    (d.as_nanos() * 9 / 100_000) as i64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use millrace_media::{AacConfig, Ac3Config, Mp3Config, OpusConfig};

    #[test]
    fn stream_types() {
        let mp3 = |sample_rate| {
            let config = Mp3Config { sample_rate, channels: 2, samples_per_frame: 1152, kbit_s: 128 };
            AudioTrack::new(Arc::new(AudioConfig::Mp3(config))).unwrap().stream_type()
        };
        assert_eq!((mp3(44_100), mp3(24_000)), (3, 4));
        let ac3 = Ac3Config::parse_ac3(&[0x0b, 0x77, 0, 0, 0x14, 0x40, 0x43, 0xe1]).unwrap();
        let eac3 = Ac3Config::parse_eac3(&[0x0b, 0x77, 0x01, 0x7f, 0x34, 0x87, 0xc0, 0]).unwrap();
        for (config, kind) in [(AudioConfig::Ac3(ac3), 0x81), (AudioConfig::Eac3(eac3), 0x87)] {
            assert_eq!(AudioTrack::new(Arc::new(config)).unwrap().stream_type(), kind);
        }
    }

    #[test]
    fn what_players_do_not_read_is_refused_with_words() {
        let e = AudioTrack::new(Arc::new(AudioConfig::Opus(OpusConfig::plain(false)))).unwrap_err();
        assert!(e.to_string().starts_with("MPEG-TS cannot carry Opus: this program writes AAC"), "{e}");
    }

    #[test]
    fn what_adts_cannot_say_is_refused_with_words() {
        // Object type 23 (ER AAC LD), LC with frames of 960 samples, and with channels that are told elsewhere.
        for (config, words) in [
            (&[0xb9, 0x90, 0x00][..], "audio object type 23"),
            (&[0x12, 0x14], "960 samples"),
            (&[0x12, 0x00], "channel configuration 0"),
        ] {
            let config = AacConfig::parse(Bytes::copy_from_slice(config)).unwrap();
            let e = AudioTrack::new(Arc::new(AudioConfig::Aac(config))).unwrap_err();
            assert!(e.to_string().contains(words), "{e}");
        }
    }
}
