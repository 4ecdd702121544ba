//! AC-3 and E-AC-3 syncframe headers (ETSI TS 102 366, 4.3 and E.1.2).

use crate::Error;
use crate::bits::Bits;

/// What the first syncframe of a frame says. AC-3 has no configuration apart from its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ac3Config {
    /// Samples per second.
    pub sample_rate: u32,
    /// Number of channels, the one for low frequencies included; those of dependent substreams
    /// (E-AC-3 with more than 5.1 channels) are not counted.
    pub channels: u8,
}

impl Ac3Config {
    /// Reads the header of an AC-3 syncframe at the start of `frame`.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse_ac3(frame: &[u8]) -> Result<Self, Error> {
        let mut bits = Bits::new("AC-3 syncframe", frame);
        sync(&mut bits)?;
        bits.skip(16)?; // CRC
        let rate_code = bits.take(2)?;
        bits.skip(6)?; // length
        let id = bits.take(5)?;
        if id > LAST_AC3_ID {
            return Err(bits.invalid(format!("bit stream identification {id}, at most {LAST_AC3_ID} expected")));
        }
        bits.skip(3)?; // mode
        let layout = bits.take(3)? as usize;
        if layout & 1 == 1 && layout != 1 {
            bits.skip(2)?; // mix level of the centre
        }
        if layout & 4 != 0 {
            bits.skip(2)?; // mix level of the surround
        }
        if layout == 2 {
            bits.skip(2)?; // Dolby Surround
        }
        let channels = CHANNELS[layout] + u8::from(bits.flag()?);
        let Some(rate) = SAMPLE_RATES.get(rate_code as usize) else {
            return Err(bits.invalid("sampling frequency code 3 is reserved".to_owned()));
        };
        // Identifications 9 and 10 are of encoders that halve and quarter the rate.
        Ok(Self { sample_rate: rate >> id.saturating_sub(8), channels })
    }

    /// Reads the header of an E-AC-3 syncframe at the start of `frame`.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse_eac3(frame: &[u8]) -> Result<Self, Error> {
        eac3_header(frame).map(|h| h.config)
    }
}

/// Samples in a frame of AC-3.
pub const AC3_SAMPLES: u32 = 1536;

/// Samples in a frame of E-AC-3: those of its first substream, which may come in several syncframes.
/// `None` where the first one cannot be read.
#[must_use]
pub fn eac3_samples_in(frame: &[u8]) -> Option<u32> {
    let mut samples = 0;
    let mut rest = frame;
    for _ in 0..MAX_SYNCFRAMES {
        let Ok(header) = eac3_header(rest) else { break };
        if header.first_substream {
            samples += header.samples;
        }
        let Some(after) = rest.get(header.len..) else { break };
        rest = after;
    }
    (samples > 0).then_some(samples)
}

/// Most syncframes of one frame that are looked through: six blocks one by one, of eight
/// independent and eight dependent substreams each.
pub const MAX_SYNCFRAMES: usize = 96;

struct Eac3Header {
    config: Ac3Config,
    first_substream: bool,
    /// Bytes of the syncframe, at least 2.
    len: usize,
    samples: u32,
}

fn eac3_header(frame: &[u8]) -> Result<Eac3Header, Error> {
    let mut bits = Bits::new("E-AC-3 syncframe", frame);
    sync(&mut bits)?;
    let (kind, substream) = (bits.take(2)?, bits.take(3)?);
    let len = (bits.take(11)? as usize + 1) * 2;
    let (sample_rate, blocks) = match bits.take(2)? {
        3 => {
            let Some(rate) = SAMPLE_RATES.get(bits.take(2)? as usize) else {
                return Err(bits.invalid("halved sampling frequency code 3 is reserved".to_owned()));
            };
            (rate / 2, 6)
        }
        code => (SAMPLE_RATES[code as usize], [1, 2, 3, 6][bits.take(2)? as usize]),
    };
    let layout = bits.take(3)? as usize;
    let channels = CHANNELS[layout] + u8::from(bits.flag()?);
    let id = bits.take(5)?;
    if !EAC3_IDS.contains(&id) {
        return Err(bits.invalid(format!("bit stream identification {id}, 11 to 16 expected")));
    }
    Ok(Eac3Header {
        config: Ac3Config { sample_rate, channels },
        first_substream: kind != DEPENDENT && substream == 0,
        len,
        samples: blocks * 256,
    })
}

fn sync(bits: &mut Bits<'_>) -> Result<(), Error> {
    match bits.take(16)? {
        SYNC_WORD => Ok(()),
        found => Err(bits.invalid(format!("sync word 0b77 expected, {found:04x} found"))),
    }
}

const SYNC_WORD: u32 = 0x0b77;
const LAST_AC3_ID: u32 = 10;
const EAC3_IDS: std::ops::RangeInclusive<u32> = 11..=16;
const DEPENDENT: u32 = 1;
const SAMPLE_RATES: [u32; 3] = [48_000, 44_100, 32_000];
/// Full channels of each `acmod` (4.4.2.3).
const CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The first bytes of frames as FFmpeg's encoders write them, 48 kHz, stereo.
    const AC3: &[u8] = &[0x0b, 0x77, 0xfe, 0x95, 0x14, 0x40, 0x43, 0xe1, 0x06, 0xf4];
    const EAC3: &[u8] = &[0x0b, 0x77, 0x01, 0x7f, 0x34, 0x87, 0xc0, 0x00, 0x20, 0x84];

    #[test]
    fn headers_as_ffmpeg_writes_them() {
        let stereo = Ac3Config { sample_rate: 48_000, channels: 2 };
        assert_eq!(Ac3Config::parse_ac3(AC3).unwrap(), stereo);
        assert_eq!(Ac3Config::parse_eac3(EAC3).unwrap(), stereo);
        assert!(Ac3Config::parse_ac3(EAC3).unwrap_err().to_string().contains("identification 16"));
        assert!(Ac3Config::parse_eac3(AC3).is_err());
    }

    #[test]
    fn surround_and_halved_rates() {
        // acmod 7 with mix levels, then lfeon.
        let five_one = [0x0b, 0x77, 0, 0, 0x14, 0x40, 0xe1, 0];
        assert_eq!(Ac3Config::parse_ac3(&five_one).unwrap(), Ac3Config { sample_rate: 48_000, channels: 6 });
        let quartered = [0x0b, 0x77, 0, 0, 0x14, 0x50, 0x40, 0];
        assert_eq!(Ac3Config::parse_ac3(&quartered).unwrap().sample_rate, 12_000);
        let halved = [0x0b, 0x77, 0x01, 0x7f, 0xd4, 0x87, 0xc0];
        assert_eq!(Ac3Config::parse_eac3(&halved).unwrap().sample_rate, 22_050);
    }

    #[test]
    fn samples_of_all_syncframes_of_the_first_substream() {
        let mut whole = EAC3.to_vec();
        whole.resize(768, 0);
        assert_eq!(eac3_samples_in(&whole), Some(1536));
        let mut dependent = whole.clone();
        dependent[2] |= 0x40;
        assert_eq!(eac3_samples_in(&[&whole[..], &dependent].concat()), Some(1536));
        // One block each: a frame has six syncframes.
        let mut block = whole;
        block[4] = 0x04;
        assert_eq!(eac3_samples_in(&block.repeat(6)), Some(1536));
        assert_eq!(eac3_samples_in(&block.repeat(MAX_SYNCFRAMES + 1)), Some(96 * 256), "no more are looked at");
        assert_eq!(eac3_samples_in(b"nothing"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let frame = [&[0x0b, 0x77], &bytes[..]].concat();
            for f in [&bytes, &frame] {
                if let Ok(c) = Ac3Config::parse_ac3(f) {
                    prop_assert!(c.sample_rate > 0 && c.channels > 0);
                }
                if let Ok(c) = Ac3Config::parse_eac3(f) {
                    prop_assert!(c.sample_rate > 0 && eac3_samples_in(f).is_none_or(|n| n > 0));
                }
            }
        }
    }
}
