//! FLAC configuration: `STREAMINFO` (RFC 9639, 8.2) and frame headers (9.1).

use bytes::Bytes;

use crate::Error;
use crate::bits::Bits;

/// A parsed `STREAMINFO` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlacConfig {
    raw: Bytes,
    min_block: u16,
    max_block: u16,
    sample_rate: u32,
    channels: u8,
    bits_per_sample: u8,
}

impl FlacConfig {
    /// Reads the start of a FLAC stream (`fLaC` and its first metadata block), the block with its
    /// header, or its content alone, as all are sent.
    ///
    /// # Errors
    /// When it is cut short, longer than [`MAX_CONFIG`], or tells no sampling frequency.
    pub fn parse(data: &Bytes) -> Result<Self, Error> {
        if data.len() > MAX_CONFIG {
            return Err(invalid(format!("{} bytes long, at most {MAX_CONFIG} expected", data.len())));
        }
        let block = data.strip_prefix(MAGIC).unwrap_or(data);
        let content = match block {
            [0 | 0x80, 0, 0, STREAM_INFO_LEN_BYTE, content @ ..] => content, // the last block, or not
            content => content,
        };
        let raw = content.get(..STREAM_INFO_LEN).ok_or(Error::Truncated {
            what: WHAT,
            offset: 0,
            needed: STREAM_INFO_LEN,
            present: content.len(),
        })?;
        let mut bits = Bits::new(WHAT, raw);
        let mut block = || Ok((bits.byte(8)?, bits.byte(8)?));
        let ((a, b), (c, d)) = (block()?, block()?);
        let (min_block, max_block) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        bits.skip(24 + 24)?; // sizes of frames
        let sample_rate = bits.take(20)?;
        let (channels, bits_per_sample) = (bits.byte(3)? + 1, bits.byte(5)? + 1);
        if sample_rate == 0 {
            return Err(invalid("a sampling frequency of 0 Hz".to_owned()));
        }
        let mut raw = raw.to_vec();
        raw[4..10].fill(0);
        raw[13] &= 0xf0;
        raw[14..].fill(0);
        Ok(Self { raw: raw.into(), min_block, max_block, sample_rate, channels, bits_per_sample })
    }

    /// The content of the `STREAMINFO` block, 34 bytes. What can be known of a whole file only (sizes
    /// of frames, number of samples, digest) is marked as unknown: encoders send it at the end, when
    /// it is no news to a decoder.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// `STREAMINFO` as the only metadata block of a stream: its header and its content.
    #[must_use]
    pub fn metadata_block(&self) -> Vec<u8> {
        [&[0x80, 0, 0, STREAM_INFO_LEN_BYTE], &self.raw[..]].concat()
    }

    /// The start of a FLAC stream: `fLaC`, and [`Self::metadata_block`].
    #[must_use]
    pub fn stream_start(&self) -> Vec<u8> {
        [MAGIC, &self.metadata_block()].concat()
    }

    /// Samples per second.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Number of channels, 1 to 8.
    #[must_use]
    pub fn channels(&self) -> u8 {
        self.channels
    }

    /// Bits of one sample.
    #[must_use]
    pub fn bits_per_sample(&self) -> u8 {
        self.bits_per_sample
    }

    /// Samples that a frame holds, from its header; `None` where it has none.
    #[must_use]
    pub fn samples_in(&self, frame: &[u8]) -> Option<u32> {
        let samples = block_size(frame).ok()?;
        // A stream of one block size says so; the last frame of a file may be shorter.
        (self.max_block == 0 || samples <= u32::from(self.max_block.max(self.min_block))).then_some(samples)
    }
}

/// The number of samples in a frame's header (RFC 9639, 9.1.1 and 9.1.6).
fn block_size(frame: &[u8]) -> Result<u32, Error> {
    let mut bits = Bits::new("FLAC frame header", frame);
    if bits.take(15)? != SYNC {
        return Err(bits.invalid("sync code fff8 or fff9 expected".to_owned()));
    }
    bits.skip(1)?; // whether block sizes vary
    let code = bits.take(4)?;
    match code {
        0 => return Err(bits.invalid("block size code 0 is reserved".to_owned())),
        1 => return Ok(192),
        2..=5 => return Ok(144 << code),
        8..=15 => return Ok(1 << code),
        _ => {} // told after the number of the frame
    }
    bits.skip(12)?; // rate, channels, depth
    let more = match bits.byte(8)?.leading_ones() {
        0 => 0,
        n @ 2..=7 => n as usize - 1,
        _ => return Err(bits.invalid("a frame number that is no UTF-8".to_owned())),
    };
    bits.skip(8 * more)?;
    Ok(bits.take(if code == 6 { 8 } else { 16 })? + 1)
}

/// Longest start of a stream that is read, bytes; whatever follows `STREAMINFO` is passed over.
pub const MAX_CONFIG: usize = 64 * 1024;

const WHAT: &str = "FLAC configuration";
const MAGIC: &[u8] = b"fLaC";
const STREAM_INFO_LEN: usize = 34;
const STREAM_INFO_LEN_BYTE: u8 = 34;
/// Fourteen bits and a reserved zero.
const SYNC: u32 = 0x7ffc;

fn invalid(why: String) -> Error {
    Error::Invalid { what: WHAT, why }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::test_data::FLAC_STREAM_INFO;
    use proptest::prelude::*;

    fn config() -> FlacConfig {
        FlacConfig::parse(&Bytes::from_static(FLAC_STREAM_INFO)).unwrap()
    }

    #[test]
    fn all_forms_of_the_header_are_the_same() {
        let c = config();
        assert_eq!((c.sample_rate(), c.channels(), c.bits_per_sample()), (48_000, 2, 16));
        assert_eq!(FlacConfig::parse(&c.metadata_block().into()).unwrap(), c);
        assert_eq!(FlacConfig::parse(&c.stream_start().into()).unwrap(), c);
        let with_more = [&c.stream_start()[..], &[4, 0, 0, 1, 0]].concat();
        assert_eq!(FlacConfig::parse(&with_more.into()).unwrap(), c);
    }

    #[test]
    fn what_is_known_at_the_end_only_makes_no_difference() {
        let mut v = FLAC_STREAM_INFO.to_vec();
        v[4..10].fill(7);
        v[13] |= 1;
        v[14..].fill(7);
        assert_eq!(FlacConfig::parse(&v.into()).unwrap(), config());
    }

    #[test]
    fn cut_short_or_without_a_rate_is_refused() {
        let whole = config().stream_start();
        for n in 0..whole.len() {
            assert!(FlacConfig::parse(&Bytes::copy_from_slice(&whole[..n])).is_err(), "{n} bytes");
        }
        let mut v = FLAC_STREAM_INFO.to_vec();
        v[10..13].fill(0);
        assert!(FlacConfig::parse(&v.into()).unwrap_err().to_string().contains("0 Hz"));
        let mut v = whole;
        v.resize(MAX_CONFIG, 0);
        assert!(FlacConfig::parse(&v.clone().into()).is_ok());
        v.push(0);
        assert!(FlacConfig::parse(&v.into()).is_err());
    }

    #[test]
    fn block_sizes_of_each_code() {
        // The first frame of FFmpeg's encoder with 1024 samples.
        assert_eq!(config().samples_in(&[0xff, 0xf8, 0xaa, 0x88, 0x00, 0x5b, 0x4c]), Some(1024));
        assert_eq!(block_size(&[0xff, 0xf8, 0x1a]).unwrap(), 192);
        assert_eq!(block_size(&[0xff, 0xf8, 0x5a]).unwrap(), 4608);
        assert_eq!(block_size(&[0xff, 0xf9, 0xca]).unwrap(), 4096);
        assert_eq!(block_size(&[0xff, 0xf8, 0x6a, 0x88, 5, 99]).unwrap(), 100);
        assert_eq!(block_size(&[0xff, 0xf8, 0x7a, 0x88, 0xc3, 0x80, 1, 0]).unwrap(), 257, "frame 192 has two bytes");
        assert!(block_size(&[0xff, 0xf8, 0x0a]).is_err());
        assert!(block_size(&[0xff, 0xf8, 0x6a, 0x88, 0x80, 1]).is_err());
        assert!(block_size(&[0xff, 0xfb, 0x90, 0x44]).is_err(), "MP3");
    }

    #[test]
    fn a_block_beyond_what_the_stream_declares_is_not_believed() {
        assert_eq!(config().samples_in(&[0xff, 0xf8, 0xfa, 0x88, 0]), None, "32,768 samples");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let bytes = Bytes::from(bytes);
            if let Ok(c) = FlacConfig::parse(&bytes) {
                prop_assert!(c.sample_rate() > 0 && (1..=8).contains(&c.channels()));
            }
            let _ = config().samples_in(&bytes);
            let mut frame = vec![0xff, 0xf8];
            frame.extend(&bytes);
            if let Some(n) = config().samples_in(&frame) {
                prop_assert!(n > 0);
            }
        }
    }
}
