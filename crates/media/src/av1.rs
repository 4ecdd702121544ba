//! AV1 configuration: `AV1CodecConfigurationRecord` (AV1 in ISOBMFF, 2.3.3) and sequence headers
//! (AV1 bitstream specification, 5.5).

use bytes::{BufMut, Bytes, BytesMut};

use crate::bits::Bits;
use crate::picture::credible_rate;
use crate::{Error, Picture};

/// A parsed `AV1CodecConfigurationRecord`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Av1Config {
    raw: Bytes,
    profile: u8,
    level: u8,
    high_tier: bool,
    bit_depth: u8,
    picture: Option<Picture>,
}

impl Av1Config {
    /// Reads an `AV1CodecConfigurationRecord`.
    ///
    /// The size of the pictures is in the sequence header that the record may end with; see
    /// [`Self::with_sequence_header`] for records without one.
    ///
    /// # Errors
    /// When the record is cut short, longer than [`MAX_CONFIG`], or of another version.
    pub fn parse(raw: Bytes) -> Result<Self, Error> {
        if raw.len() > MAX_CONFIG {
            return Err(invalid(format!("{} bytes long, at most {MAX_CONFIG} expected", raw.len())));
        }
        let mut bits = Bits::new(WHAT, &raw);
        let version = bits.byte(8)?;
        if version != MARKER_AND_VERSION {
            return Err(invalid(format!("marker and version 81 expected, {version:02x} found")));
        }
        let (profile, level) = (bits.byte(3)?, bits.byte(5)?);
        let (high_tier, high_bit_depth, twelve) = (bits.flag()?, bits.flag()?, bits.flag()?);
        bits.skip(5 + 8)?; // chroma, initial presentation delay
        let bit_depth = match (high_bit_depth, twelve) {
            (false, _) => 8,
            (true, false) => 10,
            (true, true) => 12,
        };
        let picture = sequence_header(&raw[RECORD_LEN..]).and_then(|obu| read_sequence_header(obu).ok());
        Ok(Self { raw, profile, level, high_tier, bit_depth, picture })
    }

    /// Reads the descriptor with which MPEG-TS begins a stream (Carriage of AV1 in MPEG-2 TS, 2.1):
    /// tag, length, and the record's own fields.
    ///
    /// # Errors
    /// As [`Self::parse`], or when it is another descriptor.
    pub fn from_ts_descriptor(descriptor: &[u8]) -> Result<Self, Error> {
        match descriptor {
            &[TS_DESCRIPTOR, length, version, profile_and_level, depth_and_chroma, rest, ..] if length >= 4 => {
                Self::parse(Bytes::from(vec![version, profile_and_level, depth_and_chroma, rest & 0x1f]))
            }
            [tag, length, ..] => {
                Err(invalid(format!("descriptor 80 of 4 bytes expected, {tag:02x} of {length} found")))
            }
            _ => Err(Error::Truncated { what: WHAT, offset: 0, needed: 6, present: descriptor.len() }),
        }
    }

    /// The same configuration with the sequence header of a keyframe's `payload`, where it has one.
    #[must_use]
    pub fn with_sequence_header(&self, payload: &[u8]) -> Option<Self> {
        let obu = sequence_header(payload).filter(|obu| obu.len() <= MAX_SEQUENCE_HEADER)?;
        let picture = read_sequence_header(obu).ok()?;
        let mut raw = BytesMut::from(&self.raw[..RECORD_LEN]);
        raw.put_u8(OBU_SEQUENCE_HEADER << 3 | 2); // with a size
        put_leb128(obu.len(), &mut raw);
        raw.extend_from_slice(obu);
        Some(Self { raw: raw.freeze(), picture: Some(picture), ..*self })
    }

    /// The record as it came.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The OBUs after the record's own fields: a sequence header and metadata, or nothing.
    #[must_use]
    pub fn config_obus(&self) -> &[u8] {
        &self.raw[RECORD_LEN..]
    }

    /// Size and rate of the pictures, where the record has a sequence header.
    #[must_use]
    pub fn picture(&self) -> Option<Picture> {
        self.picture
    }

    /// The codec as AV1 in ISOBMFF, section 5 writes it, for example `av01.0.04M.08`.
    #[must_use]
    pub fn codec_string(&self) -> String {
        let tier = if self.high_tier { 'H' } else { 'M' };
        format!("av01.{}.{:02}{tier}.{:02}", self.profile, self.level, self.bit_depth)
    }
}

/// Longest record that is read, bytes.
pub const MAX_CONFIG: usize = 64 * 1024;
/// Longest sequence header that is taken from a keyframe, bytes. Real ones have about 11.
pub const MAX_SEQUENCE_HEADER: usize = 1024;
/// Most OBUs of a payload that are looked through for a sequence header, which comes among the first.
pub const MAX_OBUS: usize = 16;

const WHAT: &str = "AV1 configuration";
const RECORD_LEN: usize = 4;
const MARKER_AND_VERSION: u8 = 0x81;
const TS_DESCRIPTOR: u8 = 0x80;
const OBU_SEQUENCE_HEADER: u8 = 1;

fn invalid(why: String) -> Error {
    Error::Invalid { what: WHAT, why }
}

/// The content of the first sequence header among OBUs (5.3.1).
fn sequence_header(obus: &[u8]) -> Option<&[u8]> {
    let mut rest = obus;
    for _ in 0..MAX_OBUS {
        let (&header, after) = rest.split_first()?;
        if header & 0x80 != 0 {
            return None; // the forbidden bit
        }
        rest = if header & 4 != 0 { after.get(1..)? } else { after };
        let size = if header & 2 != 0 { take_leb128(&mut rest)? } else { rest.len() };
        let (content, after) = rest.split_at_checked(size)?;
        if header >> 3 & 15 == OBU_SEQUENCE_HEADER {
            return Some(content);
        }
        rest = after;
    }
    None
}

/// 4.10.5: at most eight bytes of seven bits, and below 2^32.
fn take_leb128(data: &mut &[u8]) -> Option<usize> {
    let mut value = 0u64;
    for i in 0..8 {
        let (&b, rest) = data.split_first()?;
        *data = rest;
        value |= u64::from(b & 0x7f) << (7 * i);
        if b & 0x80 == 0 {
            return u32::try_from(value).ok().and_then(|v| usize::try_from(v).ok());
        }
    }
    None
}

fn put_leb128(mut value: usize, out: &mut BytesMut) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.put_u8(low);
        }
        out.put_u8(low | 0x80);
    }
}

/// 5.5.1 as far as the size of the pictures.
fn read_sequence_header(obu: &[u8]) -> Result<Picture, Error> {
    let mut bits = Bits::new("AV1 sequence header", obu);
    bits.skip(4)?; // profile, still picture
    let mut frame_rate = None;
    if bits.flag()? {
        bits.skip(5)?; // reduced header: the level only
    } else {
        let mut model_bits = None;
        if bits.flag()? {
            let (tick, scale) = (bits.take(32)?, bits.take(32)?);
            if bits.flag()? {
                let ticks_per_picture = f64::from(bits.ue()?) + 1.0;
                frame_rate = credible_rate(f64::from(scale) / (f64::from(tick) * ticks_per_picture));
            }
            if bits.flag()? {
                model_bits = Some(bits.take(5)? as usize + 1);
                bits.skip(32 + 5 + 5)?;
            }
        }
        let has_display_delay = bits.flag()?;
        for _ in 0..=bits.take(5)? {
            bits.skip(12)?;
            if bits.take(5)? > 7 {
                bits.skip(1)?; // the tier
            }
            if let Some(n) = model_bits
                && bits.flag()?
            {
                bits.skip(2 * n + 1)?;
            }
            if has_display_delay && bits.flag()? {
                bits.skip(4)?;
            }
        }
    }
    let (width_bits, height_bits) = (bits.take(4)? as usize + 1, bits.take(4)? as usize + 1);
    Ok(Picture { width: bits.take(width_bits)? + 1, height: bits.take(height_bits)? + 1, frame_rate })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::test_data::{AV1_AOM, AV1_SVT};
    use proptest::prelude::*;

    fn parse(bytes: &[u8]) -> Result<Av1Config, Error> {
        Av1Config::parse(Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn records_of_svt_av1_and_libaom() {
        for record in [AV1_SVT, AV1_AOM] {
            let c = parse(record).unwrap();
            assert_eq!(c.codec_string(), "av01.0.01M.08");
            let p = c.picture().unwrap();
            assert_eq!((p.width, p.height), (640, 360));
        }
    }

    #[test]
    fn a_record_without_a_sequence_header_takes_that_of_the_keyframe() {
        let c = parse(&AV1_SVT[..4]).unwrap();
        assert_eq!(c.picture(), None);
        let mut keyframe = vec![0x12, 0]; // a temporal delimiter, then the sequence header
        keyframe.extend(&AV1_SVT[4..]);
        keyframe.extend([0x32, 1, 0]);
        let full = c.with_sequence_header(&keyframe).unwrap();
        assert_eq!(&full.raw()[..], AV1_SVT);
        assert_eq!(full, parse(AV1_SVT).unwrap());
        assert_eq!(c.with_sequence_header(&[0x12, 0, 0x32, 1, 0]), None);
    }

    #[test]
    fn the_descriptor_of_transport_streams() {
        let c = Av1Config::from_ts_descriptor(&[0x80, 4, 0x81, 0x01, 0x0c, 0xc0]).unwrap();
        assert_eq!((c.codec_string().as_str(), &c.raw()[..]), ("av01.0.01M.08", &[0x81, 0x01, 0x0c, 0][..]));
        let e = Av1Config::from_ts_descriptor(&[0x05, 4, 0x81, 0, 0, 0]).unwrap_err();
        assert!(e.to_string().contains("descriptor 80"), "{e}");
        assert!(Av1Config::from_ts_descriptor(&[0x80, 4, 0x81]).is_err());
    }

    #[test]
    fn other_depths_tiers_and_versions() {
        assert_eq!(parse(&[0x81, 0x4c, 0xe0, 0]).unwrap().codec_string(), "av01.2.12H.12");
        assert_eq!(parse(&[0x81, 0x08, 0x4c, 0]).unwrap().codec_string(), "av01.0.08M.10");
        assert!(parse(&[0x82, 0, 0, 0]).is_err());
        assert!(parse(&[0x81, 0, 0]).is_err());
    }

    #[test]
    fn limits() {
        let mut v = AV1_SVT.to_vec();
        v.resize(MAX_CONFIG, 0);
        assert!(parse(&v).is_ok());
        v.push(0);
        assert!(parse(&v).is_err());

        let padded = |len: usize| {
            let mut keyframe = BytesMut::from(&[0x0a][..]);
            put_leb128(len, &mut keyframe);
            keyframe.extend_from_slice(&AV1_SVT[6..]);
            keyframe.resize(keyframe.len() + len - (AV1_SVT.len() - 6), 0);
            parse(&AV1_SVT[..4]).unwrap().with_sequence_header(&keyframe)
        };
        assert!(padded(MAX_SEQUENCE_HEADER).is_some());
        assert!(padded(MAX_SEQUENCE_HEADER + 1).is_none());

        let after = |n| sequence_header(&[[0x12, 0].repeat(n), AV1_SVT[4..].to_vec()].concat()).is_some();
        assert!(after(MAX_OBUS - 1));
        assert!(!after(MAX_OBUS));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60), cut in 0usize..20) {
            let _ = (parse(&bytes), sequence_header(&bytes).map(read_sequence_header), Av1Config::from_ts_descriptor(&bytes));
            let mixed = [&AV1_SVT[..cut.min(AV1_SVT.len())], &bytes].concat();
            if let Ok(c) = parse(&mixed) {
                let _ = (c.codec_string(), c.with_sequence_header(&bytes));
            }
        }
    }
}
