//! AC-3 and E-AC-3 syncframe headers (ETSI TS 102 366, 4.3 and E.1.2).

use crate::Error;
use crate::bits::Bits;

/// What the first syncframe of a frame says. AC-3 has no configuration apart from its frames. Two are
/// equal where a decoder need not be told of the change: the bit rate may differ.
#[derive(Debug, Clone, Copy)]
pub struct Ac3Config {
    /// Samples per second.
    pub sample_rate: u32,
    /// Number of channels, the one for low frequencies included; those of dependent substreams
    /// (E-AC-3 with more than 5.1 channels) are not counted.
    pub channels: u8,
    /// `bsid`.
    id: u8,
    /// `bsmod`: 0 where it is not said.
    service: u8,
    /// `acmod`.
    layout: u8,
    /// `lfeon`.
    low_frequencies: bool,
    /// `bit_rate_code` of AC-3, kbit/s of E-AC-3.
    rate: u16,
    /// Dependent substreams of E-AC-3: their number, and the places of their channels (`chan_loc`).
    dependent: (u8, u16),
}

impl PartialEq for Ac3Config {
    fn eq(&self, other: &Self) -> bool {
        let layout = |c: &Self| (c.sample_rate, c.channels, c.id, c.service, c.layout, c.low_frequencies, c.dependent);
        layout(self) == layout(other)
    }
}

impl Eq for Ac3Config {}

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
        let length_code = bits.byte(6)?;
        let id = bits.byte(5)?;
        if id > LAST_AC3_ID {
            return Err(bits.invalid(format!("bit stream identification {id}, at most {LAST_AC3_ID} expected")));
        }
        let service = bits.byte(3)?;
        let layout = bits.byte(3)?;
        if layout & 1 == 1 && layout != 1 {
            bits.skip(2)?; // mix level of the centre
        }
        if layout & 4 != 0 {
            bits.skip(2)?; // mix level of the surround
        }
        if layout == 2 {
            bits.skip(2)?; // Dolby Surround
        }
        let low_frequencies = bits.flag()?;
        let channels = CHANNELS[usize::from(layout)] + u8::from(low_frequencies);
        let Some(rate) = SAMPLE_RATES.get(rate_code as usize) else {
            return Err(bits.invalid("sampling frequency code 3 is reserved".to_owned()));
        };
        // Identifications 9 and 10 are of encoders that halve and quarter the rate.
        Ok(Self {
            sample_rate: rate >> id.saturating_sub(8),
            channels,
            id,
            service,
            layout,
            low_frequencies,
            rate: u16::from(length_code >> 1),
            dependent: (0, 0),
        })
    }

    /// Reads the header of an E-AC-3 syncframe at the start of `frame`.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse_eac3(frame: &[u8]) -> Result<Self, Error> {
        let first = eac3_header(frame)?;
        let mut config = first.config;
        let (mut samples, mut rest) = (first.samples, frame.get(first.len..).unwrap_or_default());
        for _ in 1..MAX_SYNCFRAMES {
            let Ok(header) = eac3_header(rest) else { break };
            if let Some(places) = header.dependent {
                // Syncframes of fewer than six blocks repeat the substreams.
                let (count, all) = config.dependent;
                config.dependent = (count.max(header.substream + 1), all | places);
            } else if header.first_substream() {
                samples += header.samples;
            }
            rest = rest.get(header.len..).unwrap_or_default();
        }
        let bits_per_second = frame.len() as u64 * 8 * u64::from(config.sample_rate) / u64::from(samples);
        config.rate = u16::try_from(bits_per_second / 1000).unwrap_or(u16::MAX).min((1 << 13) - 1);
        Ok(config)
    }

    /// `AC3SpecificBox` of MP4, without its header (ETSI TS 102 366, F.4).
    #[must_use]
    pub fn ac3_record(&self) -> [u8; 3] {
        let bits = u32::from(self.rate_code()) << 22
            | u32::from(self.id) << 17
            | u32::from(self.service) << 14
            | u32::from(self.layout) << 11
            | u32::from(self.low_frequencies) << 10
            | u32::from(self.rate & 0x1f) << 5;
        let [_, record @ ..] = bits.to_be_bytes();
        record
    }

    /// `EC3SpecificBox` of MP4, without its header (ETSI TS 102 366, F.6): one independent substream
    /// and those that depend on it.
    #[must_use]
    pub fn eac3_record(&self) -> Vec<u8> {
        let (dependents, places) = self.dependent;
        let substream = u32::from(self.rate_code()) << 22
            | u32::from(self.id) << 17
            | u32::from(self.service) << 12
            | u32::from(self.layout) << 9
            | u32::from(self.low_frequencies) << 8
            | u32::from(dependents & 0x0f) << 1;
        let mut record = (self.rate << 3).to_be_bytes().to_vec();
        if dependents == 0 {
            record.extend_from_slice(&substream.to_be_bytes()[1..]);
        } else {
            record.extend_from_slice(&(substream << 8 | u32::from(places)).to_be_bytes());
        }
        record
    }

    /// `fscod`: 3 for the halved rates of E-AC-3.
    fn rate_code(&self) -> u8 {
        let rate =
            if self.id <= LAST_AC3_ID { self.sample_rate << self.id.saturating_sub(8) } else { self.sample_rate };
        SAMPLE_RATES.iter().zip(0..).find(|(r, _)| **r == rate).map_or(3, |(_, code)| code)
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
        if header.first_substream() {
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
    substream: u8,
    /// The places of its channels (`chan_loc`), where it depends on the substream before.
    dependent: Option<u16>,
    /// Bytes of the syncframe, at least 2.
    len: usize,
    samples: u32,
}

impl Eac3Header {
    /// True where it goes on with the substream that a player plays.
    fn first_substream(&self) -> bool {
        self.dependent.is_none() && self.substream == 0
    }
}

fn eac3_header(frame: &[u8]) -> Result<Eac3Header, Error> {
    let mut bits = Bits::new("E-AC-3 syncframe", frame);
    sync(&mut bits)?;
    let (kind, substream) = (bits.take(2)?, bits.byte(3)?);
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
    let layout = bits.byte(3)?;
    let low_frequencies = bits.flag()?;
    let id = bits.byte(5)?;
    if !EAC3_IDS.contains(&id) {
        return Err(bits.invalid(format!("bit stream identification {id}, 11 to 16 expected")));
    }
    let dependent = (kind == DEPENDENT).then(|| channel_places(&mut bits, layout).unwrap_or(0));
    let channels = CHANNELS[usize::from(layout)] + u8::from(low_frequencies);
    let config = Ac3Config {
        sample_rate,
        channels,
        id,
        service: 0,
        layout,
        low_frequencies,
        rate: 0, // told by whole frames
        dependent: (0, 0),
    };
    Ok(Eac3Header { config, substream, dependent, len, samples: blocks * 256 })
}

/// `chan_loc` (F.6.2.13) from the channel map of a dependent substream (E.1.3.1.8), which goes on
/// after `bsid`.
fn channel_places(bits: &mut Bits<'_>, layout: u8) -> Result<u16, Error> {
    for _ in 0..if layout == 0 { 2 } else { 1 } {
        bits.skip(5)?; // loudness of dialogue
        if bits.flag()? {
            bits.skip(8)?; // compression
        }
    }
    if !bits.flag()? {
        return Ok(0);
    }
    let map = bits.take(16)?;
    let pairs = (0..8).filter(|k| map >> (10 - k) & 1 == 1).fold(0, |places, k| places | 1 << k);
    Ok(pairs | if map >> 1 & 1 == 1 { 1 << 8 } else { 0 })
}

fn sync(bits: &mut Bits<'_>) -> Result<(), Error> {
    match bits.take(16)? {
        SYNC_WORD => Ok(()),
        found => Err(bits.invalid(format!("sync word 0b77 expected, {found:04x} found"))),
    }
}

const SYNC_WORD: u32 = 0x0b77;
const LAST_AC3_ID: u8 = 10;
const EAC3_IDS: std::ops::RangeInclusive<u8> = 11..=16;
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
        for c in [Ac3Config::parse_ac3(AC3).unwrap(), Ac3Config::parse_eac3(EAC3).unwrap()] {
            assert_eq!((c.sample_rate, c.channels), (48_000, 2));
        }
        assert!(Ac3Config::parse_ac3(EAC3).unwrap_err().to_string().contains("identification 16"));
        assert!(Ac3Config::parse_eac3(AC3).is_err());
    }

    #[test]
    fn surround_and_halved_rates() {
        // acmod 7 with mix levels, then lfeon.
        let five_one = [0x0b, 0x77, 0, 0, 0x14, 0x40, 0xe1, 0];
        let c = Ac3Config::parse_ac3(&five_one).unwrap();
        assert_eq!((c.sample_rate, c.channels), (48_000, 6));
        let quartered = [0x0b, 0x77, 0, 0, 0x14, 0x50, 0x40, 0];
        assert_eq!(Ac3Config::parse_ac3(&quartered).unwrap().sample_rate, 12_000);
        let halved = [0x0b, 0x77, 0x01, 0x7f, 0xd4, 0x87, 0xc0];
        assert_eq!(Ac3Config::parse_eac3(&halved).unwrap().sample_rate, 22_050);
    }

    #[test]
    fn records_as_ffmpeg_writes_them() {
        // `dac3` and `dec3` of FFmpeg's MP4 for the streams above, 192 kbit/s.
        assert_eq!(Ac3Config::parse_ac3(AC3).unwrap().ac3_record(), [0x10, 0x11, 0x40]);
        let mut whole = EAC3.to_vec();
        whole.resize(768, 0);
        assert_eq!(Ac3Config::parse_eac3(&whole).unwrap().eac3_record(), [0x06, 0x00, 0x20, 0x04, 0x00]);
    }

    #[test]
    fn seven_one_is_five_one_and_a_dependent_substream() {
        let mut main = vec![0x0b, 0x77, 0x01, 0x7f, 0x3f, 0x87, 0xc0];
        main.resize(768, 0);
        // Stereo without compression, mapped to the pair of rear surrounds, the seventh of the map.
        let mut dependent = vec![0x0b, 0x77, 0x41, 0x7f, 0x34, 0x87, 0xc0, 0, 0];
        let flag = 16 + 5 + 11 + 4 + 4 + 5 + 5 + 1;
        for bit in [flag, flag + 7] {
            dependent[bit / 8] |= 0x80 >> (bit % 8);
        }
        dependent.resize(768, 0);
        let c = Ac3Config::parse_eac3(&[&main[..], &dependent].concat()).unwrap();
        assert_eq!(c.dependent, (1, 1 << 1));
        assert_eq!(c.eac3_record(), [0x0c, 0x00, 0x20, 0x0f, 0x02, 0x02]);
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
                    prop_assert!(c.sample_rate > 0 && c.eac3_record().len() >= 5 && eac3_samples_in(f).is_none_or(|n| n > 0));
                }
            }
        }
    }
}
