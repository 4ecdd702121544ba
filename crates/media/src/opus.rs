//! Opus configuration: the identification header (RFC 7845, 5.1) and packets (RFC 6716, 3).

use bytes::{BufMut, Bytes, BytesMut};

use crate::Error;

/// A parsed identification header, `OpusHead`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpusConfig {
    raw: Bytes,
    channels: u8,
    pre_skip: u16,
    input_sample_rate: u32,
    output_gain: i16,
    mapping_family: u8,
}

impl OpusConfig {
    /// Samples per second in which Opus counts, whatever was recorded.
    pub const SAMPLE_RATE: u32 = 48_000;

    /// Reads an identification header.
    ///
    /// # Errors
    /// When it is cut short, longer than [`MAX_CONFIG`], of another major version, or its channels
    /// and their mapping do not fit together.
    pub fn parse(raw: Bytes) -> Result<Self, Error> {
        if raw.len() > MAX_CONFIG {
            return Err(invalid(format!("{} bytes long, at most {MAX_CONFIG} expected", raw.len())));
        }
        let truncated = |needed| Error::Truncated { what: WHAT, offset: 0, needed, present: raw.len() };
        let head = raw.first_chunk::<HEAD_LEN>().ok_or_else(|| truncated(HEAD_LEN))?;
        if !head.starts_with(MAGIC) {
            return Err(invalid("it does not begin with OpusHead".to_owned()));
        }
        let &[version, channels, skip0, skip1, r0, r1, r2, r3, gain0, gain1, mapping_family] = &head[MAGIC.len()..]
        else {
            return Err(truncated(HEAD_LEN)); // not reached: the head has that many bytes
        };
        if version > 15 {
            return Err(invalid(format!("version {version}, at most 15 expected")));
        }
        if mapping_family == 0 {
            if !matches!(channels, 1 | 2) {
                return Err(invalid(format!("{channels} channels without a mapping, 1 or 2 expected")));
            }
        } else {
            let table = raw.get(HEAD_LEN..HEAD_LEN + 2 + usize::from(channels));
            let table = table.ok_or_else(|| truncated(HEAD_LEN + 2 + usize::from(channels)))?;
            let (streams, coupled) = (table[0], table[1]);
            if channels == 0 || streams == 0 || coupled > streams || u16::from(streams) + u16::from(coupled) > 255 {
                return Err(invalid(format!("{channels} channels from {streams} streams, {coupled} of them coupled")));
            }
        }
        Ok(Self {
            channels,
            pre_skip: u16::from_le_bytes([skip0, skip1]),
            input_sample_rate: u32::from_le_bytes([r0, r1, r2, r3]),
            output_gain: i16::from_le_bytes([gain0, gain1]),
            mapping_family,
            raw,
        })
    }

    /// The configuration of a publisher that sends none: mono or stereo, nothing to skip.
    #[must_use]
    pub fn plain(mono: bool) -> Self {
        let mut raw = BytesMut::with_capacity(HEAD_LEN);
        let channels = if mono { 1 } else { 2 };
        raw.put_slice(MAGIC);
        raw.put_slice(&[1, channels, 0, 0]);
        raw.put_u32_le(Self::SAMPLE_RATE);
        raw.put_slice(&[0, 0, 0]);
        Self {
            raw: raw.freeze(),
            channels,
            pre_skip: 0,
            input_sample_rate: Self::SAMPLE_RATE,
            output_gain: 0,
            mapping_family: 0,
        }
    }

    /// The identification header as it came.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Number of channels, at least 1.
    #[must_use]
    pub fn channels(&self) -> u8 {
        self.channels
    }

    /// Samples that a decoder throws away at the start, at [`Self::SAMPLE_RATE`].
    #[must_use]
    pub fn pre_skip(&self) -> u16 {
        self.pre_skip
    }

    /// Samples per second of what was recorded, for information; 0 where it is not known.
    #[must_use]
    pub fn input_sample_rate(&self) -> u32 {
        self.input_sample_rate
    }

    /// Gain to be applied by the decoder, in 1/256 dB.
    #[must_use]
    pub fn output_gain(&self) -> i16 {
        self.output_gain
    }

    /// How channels are mapped: 0 is mono or stereo, 1 the order of Vorbis.
    #[must_use]
    pub fn mapping_family(&self) -> u8 {
        self.mapping_family
    }

    /// Number of streams, of coupled streams, and the stream of each channel; empty where
    /// [`Self::mapping_family`] is 0.
    #[must_use]
    pub fn mapping_table(&self) -> &[u8] {
        match self.mapping_family {
            0 => &[],
            _ => &self.raw[HEAD_LEN..HEAD_LEN + 2 + usize::from(self.channels)],
        }
    }
}

/// Samples at [`OpusConfig::SAMPLE_RATE`] that a packet holds (RFC 6716, 3.1 and 3.2). `None` where
/// it is empty, or holds no frame or more than 120 ms.
#[must_use]
pub fn samples_in(packet: &[u8]) -> Option<u32> {
    let &toc = packet.first()?;
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(*packet.get(1)? & 0x3f),
    };
    let config = usize::from(toc >> 3);
    let frame = match config {
        0..12 => [480, 960, 1920, 2880][config % 4], // SILK: 10 to 60 ms
        12..16 => [480, 960][config % 2],            // hybrid
        _ => [120, 240, 480, 960][config % 4],       // CELT: 2.5 to 20 ms
    };
    let samples = frames * frame;
    (samples > 0 && samples <= MAX_PACKET_SAMPLES).then_some(samples)
}

/// Longest identification header that is read, bytes: one of 255 channels has 276.
pub const MAX_CONFIG: usize = 512;

const WHAT: &str = "Opus configuration";
const MAGIC: &[u8] = b"OpusHead";
const HEAD_LEN: usize = 19;
/// 120 ms (RFC 6716, 3.2.5).
const MAX_PACKET_SAMPLES: u32 = 5760;

fn invalid(why: String) -> Error {
    Error::Invalid { what: WHAT, why }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::test_data::OPUS_STEREO;
    use proptest::prelude::*;

    #[test]
    fn header_of_libopus() {
        let c = OpusConfig::parse(Bytes::from_static(OPUS_STEREO)).unwrap();
        assert_eq!((c.channels(), c.pre_skip(), c.input_sample_rate(), c.output_gain()), (2, 312, 48_000, 0));
        assert!(c.mapping_table().is_empty());
    }

    #[test]
    fn surround_has_a_mapping_table() {
        let mut v = OPUS_STEREO.to_vec();
        v[9] = 6;
        v[18] = 1;
        v.extend([4, 2, 0, 4, 1, 2, 3, 5]);
        let c = OpusConfig::parse(v.clone().into()).unwrap();
        assert_eq!((c.channels(), c.mapping_table()), (6, &[4, 2, 0, 4, 1, 2, 3, 5][..]));
        v.pop();
        assert!(matches!(OpusConfig::parse(v.into()), Err(Error::Truncated { needed: 27, .. })));
    }

    #[test]
    fn a_publisher_without_a_header_has_a_plain_one() {
        let c = OpusConfig::plain(true);
        assert_eq!(OpusConfig::parse(c.raw().clone()).unwrap(), c);
        assert_eq!((c.channels(), OpusConfig::plain(false).channels()), (1, 2));
    }

    #[test]
    fn what_is_not_a_header_is_refused() {
        for n in 0..OPUS_STEREO.len() {
            assert!(OpusConfig::parse(Bytes::from_static(&OPUS_STEREO[..n])).is_err(), "{n} bytes");
        }
        for (at, value) in [(0, b'X'), (8, 16), (9, 3), (9, 0)] {
            let mut v = OPUS_STEREO.to_vec();
            v[at] = value;
            assert!(OpusConfig::parse(v.into()).is_err(), "{value} at {at}");
        }
        let mut v = OPUS_STEREO.to_vec();
        v.resize(MAX_CONFIG, 0);
        assert!(OpusConfig::parse(v.clone().into()).is_ok());
        v.push(0);
        assert!(OpusConfig::parse(v.into()).is_err());
    }

    #[test]
    fn lengths_of_packets() {
        // RFC 6716, tables 2 and 3.
        assert_eq!(samples_in(&[0x00]), Some(480), "SILK, 10 ms");
        assert_eq!(samples_in(&[3 << 3]), Some(2880), "SILK, 60 ms");
        assert_eq!(samples_in(&[13 << 3]), Some(960), "hybrid, 20 ms");
        assert_eq!(samples_in(&[16 << 3]), Some(120), "CELT, 2.5 ms");
        assert_eq!(samples_in(&[0xfc, 0x7e, 0x02]), Some(960), "as libopus writes them by default");
        assert_eq!(samples_in(&[0xfd]), Some(1920), "two frames");
        assert_eq!(samples_in(&[0xff, 6]), Some(5760), "the longest");
        assert_eq!(samples_in(&[0xff, 7]), None);
        assert_eq!(samples_in(&[0xff, 0]), None);
        assert_eq!(samples_in(&[0xff]), None);
        assert_eq!(samples_in(&[]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40), magic in any::<bool>()) {
            let _ = samples_in(&bytes);
            let head = if magic { [MAGIC, &bytes].concat() } else { bytes };
            if let Ok(c) = OpusConfig::parse(head.into()) {
                prop_assert!(c.channels() > 0);
                let _ = c.mapping_table();
            }
        }
    }
}
