//! AAC configuration: `AudioSpecificConfig` (ISO/IEC 14496-3, 1.6.2.1) and ADTS headers (1.A.2.2).

use bytes::Bytes;

use crate::Error;
use crate::bits::Bits;

/// A parsed `AudioSpecificConfig`.
///
/// HE-AAC is read from explicit hierarchical signalling (object types 5 and 29) and from the
/// backward-compatible sync extension; implicit signalling can be seen in the bitstream only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AacConfig {
    raw: Bytes,
    object_type: u8,
    sbr: bool,
    ps: bool,
    sample_rate: u32,
    output_sample_rate: u32,
    channel_configuration: u8,
    short_frames: bool,
}

impl AacConfig {
    /// Reads an `AudioSpecificConfig`.
    ///
    /// # Errors
    /// When it is cut short, longer than [`MAX_CONFIG`], or names a reserved sampling frequency.
    pub fn parse(raw: Bytes) -> Result<Self, Error> {
        if raw.len() > MAX_CONFIG {
            return Err(invalid(format!("{} bytes long, at most {MAX_CONFIG} expected", raw.len())));
        }
        let mut bits = Bits::new("AAC configuration", &raw);
        let mut object_type = read_object_type(&mut bits)?;
        let sample_rate = read_sample_rate(&mut bits)?;
        let channel_configuration = bits.byte(4)?;
        let (mut sbr, mut ps) = (false, false);
        let mut output_sample_rate = sample_rate;
        if matches!(object_type, SBR | PS) {
            sbr = true;
            ps = object_type == PS;
            output_sample_rate = read_sample_rate(&mut bits)?;
            object_type = read_object_type(&mut bits)?;
        }
        if object_type == 0 {
            return Err(invalid("audio object type 0 is reserved".to_owned()));
        }
        // GASpecificConfig (4.4.1): frameLengthFlag, then dependsOnCoreCoder and an extension flag.
        // ELDSpecificConfig (4.6.20) begins with the same flag.
        let short_frames = matches!(object_type, 1..=4 | 6 | 7 | 17 | 19..=LD | ELD) && bits.take(1).unwrap_or(0) == 1;
        if !sbr && !matches!(object_type, PS | ELD) {
            // The sync extension (1.6.2.1) is optional, so running out of bits ends the search.
            let ga_flags = bits.take(1).and_then(|depends| {
                if depends == 1 {
                    bits.take(14)?;
                }
                bits.take(1)
            });
            if ga_flags.is_ok()
                && channel_configuration != 0
                && bits.take(11) == Ok(0x2b7)
                && read_object_type(&mut bits) == Ok(SBR)
                && bits.take(1) == Ok(1)
                && let Ok(rate) = read_sample_rate(&mut bits)
            {
                sbr = true;
                output_sample_rate = rate;
                ps = bits.take(11) == Ok(0x548) && bits.take(1) == Ok(1);
            }
        }
        if output_sample_rate == 0 || sample_rate == 0 {
            return Err(invalid("a sampling frequency of 0 Hz".to_owned()));
        }
        Ok(Self { object_type, sbr, ps, sample_rate, output_sample_rate, channel_configuration, short_frames, raw })
    }

    /// The `AudioSpecificConfig` as it came.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The core's audio object type (2 is LC).
    #[must_use]
    pub fn object_type(&self) -> u8 {
        self.object_type
    }

    /// Samples per second of the core, in which frames are counted.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Samples per second after spectral band replication.
    #[must_use]
    pub fn output_sample_rate(&self) -> u32 {
        self.output_sample_rate
    }

    /// Channels after parametric stereo; 0 where a program config element in the stream tells.
    #[must_use]
    pub fn channels(&self) -> u8 {
        match self.channel_configuration {
            1 if self.ps => 2,
            n @ 1..=6 => n,
            7 | 12 | 14 => 8,
            11 => 7,
            13 => 24,
            _ => 0,
        }
    }

    /// Samples of one access unit at [`Self::sample_rate`]: 1024, or 960 with short frames; half of
    /// it where the delay is low.
    #[must_use]
    pub fn samples_per_frame(&self) -> u32 {
        let samples = if self.short_frames { 960 } else { 1024 };
        if matches!(self.object_type, LD | ELD) { samples / 2 } else { samples }
    }

    /// `AAC-LC`, `HE-AAC`, …
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (self.ps, self.sbr, self.object_type) {
            (true, _, _) => "HE-AAC v2",
            (_, true, _) => "HE-AAC",
            (_, _, 2) => "AAC-LC",
            _ => "AAC",
        }
    }

    /// The codec as RFC 6381 writes it: `mp4a.40.` and the object type.
    #[must_use]
    pub fn codec_string(&self) -> String {
        let object_type = if self.ps {
            PS
        } else if self.sbr {
            SBR
        } else {
            self.object_type
        };
        format!("mp4a.40.{object_type}")
    }

    /// The ADTS header for one raw access unit of `payload_len` bytes.
    ///
    /// HE-AAC is written with its core's object type and rate, as ADTS has no room for more.
    ///
    /// # Errors
    /// When the unit is longer than ADTS can say (8191 bytes with the header), or the
    /// configuration has no ADTS form (object types above 4, rates outside the table, channels that
    /// a program config element tells: it is not in the units).
    pub fn adts_header(&self, payload_len: usize) -> Result<[u8; 7], Error> {
        let unsupported = |why| Error::Unsupported { what: "ADTS header", why };
        let len = payload_len + ADTS_LEN;
        if len > 0x1fff {
            return Err(unsupported(format!(
                "an access unit of {payload_len} bytes, at most {} fit",
                0x1fff - ADTS_LEN
            )));
        }
        if !(1..=4).contains(&self.object_type) {
            return Err(unsupported(format!("audio object type {}", self.object_type)));
        }
        let Some(index) = SAMPLE_RATES.iter().position(|r| *r == self.sample_rate) else {
            return Err(unsupported(format!("sampling frequency {} Hz", self.sample_rate)));
        };
        if !(1..=7).contains(&self.channel_configuration) {
            return Err(unsupported(format!("channel configuration {}", self.channel_configuration)));
        }
        #[allow(clippy::cast_possible_truncation)] // index < 13, len < 8192; each shift keeps the low byte only
        let header = [
            0xff,
            0xf1, // MPEG-4, layer 0, no CRC
            ((self.object_type - 1) << 6) | ((index as u8) << 2) | (self.channel_configuration >> 2),
            ((self.channel_configuration & 3) << 6) | ((len >> 11) as u8),
            (len >> 3) as u8,
            (((len & 7) << 5) as u8) | 0x1f, // buffer fullness 0x7ff: variable bit rate
            0xfc,
        ];
        Ok(header)
    }
}

/// Longest `AudioSpecificConfig` that is read, bytes. Real ones have 2 to 5; program config
/// elements make them longer.
pub const MAX_CONFIG: usize = 512;

const ADTS_LEN: usize = 7;
const SBR: u8 = 5;
const PS: u8 = 29;
const LD: u8 = 23;
const ELD: u8 = 39;
const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

fn invalid(why: String) -> Error {
    Error::Invalid { what: "AAC configuration", why }
}

fn read_object_type(bits: &mut Bits<'_>) -> Result<u8, Error> {
    match bits.byte(5)? {
        31 => Ok(32 + bits.byte(6)?),
        v => Ok(v),
    }
}

fn read_sample_rate(bits: &mut Bits<'_>) -> Result<u32, Error> {
    match bits.take(4)? {
        15 => bits.take(24),
        i => SAMPLE_RATES
            .get(i as usize)
            .copied()
            .ok_or_else(|| invalid(format!("sampling frequency index {i} is reserved"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8]) -> AacConfig {
        AacConfig::parse(Bytes::copy_from_slice(bytes)).unwrap()
    }

    #[test]
    fn lc_stereo_as_ffmpeg_and_obs_write_it() {
        let c = parse(&[0x12, 0x10]);
        assert_eq!((c.name(), c.sample_rate(), c.channels(), c.samples_per_frame()), ("AAC-LC", 44_100, 2, 1024));
        assert_eq!(c.codec_string(), "mp4a.40.2");
        // FFmpeg appends a sync extension that says "no SBR".
        let c = parse(&[0x11, 0x90, 0x56, 0xe5, 0x00]);
        assert_eq!((c.name(), c.sample_rate(), c.output_sample_rate()), ("AAC-LC", 48_000, 48_000));
    }

    #[test]
    fn he_aac_explicit_and_backward_compatible() {
        // Object type 5, 24 kHz core, stereo, extension rate 48 kHz, core LC.
        let c = parse(&[0x2b, 0x11, 0x88, 0x00]);
        assert_eq!((c.name(), c.sample_rate(), c.output_sample_rate(), c.channels()), ("HE-AAC", 24_000, 48_000, 2));
        assert_eq!(c.codec_string(), "mp4a.40.5");
        // LC 22.05 kHz with a sync extension that announces SBR at 44.1 kHz.
        let c = parse(&[0x13, 0x90, 0x56, 0xe5, 0xa0]);
        assert_eq!((c.name(), c.sample_rate(), c.output_sample_rate()), ("HE-AAC", 22_050, 44_100));
    }

    #[test]
    fn he_aac_v2_mono_core_is_stereo() {
        // Object type 29, 22.05 kHz core, mono, extension rate 44.1 kHz, core LC.
        let c = parse(&[0xeb, 0x8a, 0x08, 0x00]);
        assert_eq!((c.name(), c.channels(), c.codec_string().as_str()), ("HE-AAC v2", 2, "mp4a.40.29"));
    }

    #[test]
    fn frames_of_low_delay_are_half_as_long() {
        // 48 kHz stereo of object types 23 and 39, without and with frameLengthFlag.
        for (config, name, samples) in [
            (&[0xb9, 0x90, 0x00][..], "mp4a.40.23", 512),
            (&[0xb9, 0x94, 0x00], "mp4a.40.23", 480),
            (&[0xf8, 0xe6, 0x40, 0x00], "mp4a.40.39", 512),
            (&[0xf8, 0xe6, 0x50, 0x00], "mp4a.40.39", 480),
        ] {
            let c = parse(config);
            assert_eq!((c.codec_string().as_str(), c.samples_per_frame()), (name, samples));
            assert_eq!((c.sample_rate(), c.channels()), (48_000, 2));
        }
        assert_eq!(parse(&[0x12, 0x14]).samples_per_frame(), 960);
    }

    #[test]
    fn cut_short_and_reserved_are_errors() {
        assert!(matches!(AacConfig::parse(Bytes::from_static(&[0x12])), Err(Error::Truncated { .. })));
        assert!(AacConfig::parse(Bytes::new()).is_err());
        let reserved_rate = AacConfig::parse(Bytes::from_static(&[0x16, 0x90])).unwrap_err();
        assert!(reserved_rate.to_string().contains("index 13"), "{reserved_rate}");
    }

    #[test]
    fn config_length_limit() {
        let mut v = vec![0x12, 0x10];
        v.resize(MAX_CONFIG, 0);
        assert!(AacConfig::parse(v.clone().into()).is_ok());
        v.push(0);
        assert!(AacConfig::parse(v.into()).is_err());
    }

    #[test]
    fn adts_header_fields() {
        // ISO/IEC 14496-3, 1.A.2.2.1: LC, 44.1 kHz (index 4), stereo, 100 + 7 bytes.
        let h = parse(&[0x12, 0x10]).adts_header(100).unwrap();
        assert_eq!(h, [0xff, 0xf1, 0x50, 0x80, 0x0d, 0x7f, 0xfc]);
    }

    #[test]
    fn adts_limits() {
        let c = parse(&[0x12, 0x10]);
        assert!(c.adts_header(8191 - 7).is_ok());
        assert!(c.adts_header(8192 - 7).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(c) = AacConfig::parse(bytes.into()) {
                prop_assert!(c.sample_rate() > 0);
                let _ = (c.codec_string(), c.channels(), c.adts_header(100));
            }
        }
    }
}
