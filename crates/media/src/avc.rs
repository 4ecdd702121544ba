//! H.264 configuration: `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1) and NAL units.

use bytes::Bytes;
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::rbsp::{BitReader, decode_nal};

use crate::Error;

/// A parsed `AVCDecoderConfigurationRecord`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvcConfig {
    raw: Bytes,
    profile: u8,
    compatibility: u8,
    level: u8,
    nal_length_size: usize,
    sps: Vec<Bytes>,
    pps: Vec<Bytes>,
    picture: Option<Picture>,
}

/// What a sequence parameter set says about the pictures.
#[derive(Debug, Clone, Copy)]
pub struct Picture {
    /// Width in pixels after cropping.
    pub width: u32,
    /// Height in pixels after cropping.
    pub height: u32,
    /// Pictures per second, where timing is present and credible.
    pub frame_rate: Option<f64>,
}

/// `nal_unit_type` of a slice of an IDR picture.
pub const NAL_IDR: u8 = 5;
/// `nal_unit_type` of a sequence parameter set.
pub const NAL_SPS: u8 = 7;
/// `nal_unit_type` of a picture parameter set.
pub const NAL_PPS: u8 = 8;
/// `nal_unit_type` of an access unit delimiter.
pub const NAL_AUD: u8 = 9;

impl AvcConfig {
    /// Reads an `AVCDecoderConfigurationRecord`.
    ///
    /// A sequence parameter set that cannot be understood does not fail the record: the picture's
    /// size is unknown then, and the stream is carried all the same.
    ///
    /// # Errors
    /// When the record is cut short, longer than [`MAX_CONFIG`], of another version, has NAL
    /// lengths of 3 bytes, or has no sequence or picture parameter set.
    pub fn parse(raw: Bytes) -> Result<Self, Error> {
        if raw.len() > MAX_CONFIG {
            return Err(invalid(format!("{} bytes long, at most {MAX_CONFIG} expected", raw.len())));
        }
        let mut at = 0;
        let &[version, profile, compatibility, level, sizes] = chunk::<5>(&raw, &mut at)?;
        if version != 1 {
            return Err(invalid(format!("version 1 expected, {version} found")));
        }
        let nal_length_size = usize::from(sizes & 3) + 1;
        if nal_length_size == 3 {
            return Err(invalid("NAL lengths of 3 bytes are not allowed".to_owned()));
        }
        let &[n] = chunk::<1>(&raw, &mut at)?;
        let sps = parameter_sets(&raw, &mut at, n & 0x1f)?;
        let &[n] = chunk::<1>(&raw, &mut at)?;
        let pps = parameter_sets(&raw, &mut at, n)?;
        if sps.is_empty() || pps.is_empty() {
            return Err(invalid(format!(
                "{} sequence and {} picture parameter sets, one of each needed",
                sps.len(),
                pps.len()
            )));
        }
        let picture = read_sps(&sps[0]);
        Ok(Self { profile, compatibility, level, nal_length_size, sps, pps, picture, raw })
    }

    /// The record as it came.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Bytes of the length before each NAL unit of a frame's payload: 1, 2 or 4.
    #[must_use]
    pub fn nal_length_size(&self) -> usize {
        self.nal_length_size
    }

    /// Sequence parameter sets, NAL header included; at least one.
    #[must_use]
    pub fn sps(&self) -> &[Bytes] {
        &self.sps
    }

    /// Picture parameter sets, NAL header included; at least one.
    #[must_use]
    pub fn pps(&self) -> &[Bytes] {
        &self.pps
    }

    /// `profile_idc`, for example 100 for High.
    #[must_use]
    pub fn profile(&self) -> u8 {
        self.profile
    }

    /// `level_idc`: ten times the level.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Size and rate of the pictures, where the first parameter set could be read.
    #[must_use]
    pub fn picture(&self) -> Option<Picture> {
        self.picture
    }

    /// The codec as RFC 6381 writes it, for example `avc1.64001f`.
    #[must_use]
    pub fn codec_string(&self) -> String {
        format!("avc1.{:02x}{:02x}{:02x}", self.profile, self.compatibility, self.level)
    }

    /// The NAL units of one frame's payload, without their lengths.
    ///
    /// A length that reaches beyond the payload yields one error and ends the walk; empty units
    /// are passed over.
    pub fn nal_units<'a>(&self, payload: &'a [u8]) -> impl Iterator<Item = Result<&'a [u8], Error>> + use<'a> {
        NalUnits { rest: payload, total: payload.len(), length_size: self.nal_length_size }
    }
}

/// Longest record that is read, bytes.
pub const MAX_CONFIG: usize = 64 * 1024;

/// Pictures of more than this many per second are taken for a wrong clock.
const MAX_FRAME_RATE: f64 = 1000.0;

impl PartialEq for Picture {
    fn eq(&self, other: &Self) -> bool {
        (self.width, self.height, self.frame_rate.map(f64::to_bits))
            == (other.width, other.height, other.frame_rate.map(f64::to_bits))
    }
}
impl Eq for Picture {}

fn invalid(why: String) -> Error {
    Error::Invalid { what: "AVC configuration", why }
}

fn take<'a>(raw: &'a [u8], at: &mut usize, n: usize) -> Result<&'a [u8], Error> {
    let part = raw.get(*at..*at + n).ok_or(Error::Truncated {
        what: "AVC configuration",
        offset: *at,
        needed: n,
        present: raw.len().saturating_sub(*at),
    })?;
    *at += n;
    Ok(part)
}

fn chunk<'a, const N: usize>(raw: &'a [u8], at: &mut usize) -> Result<&'a [u8; N], Error> {
    // `take` returned exactly N bytes, so the conversion cannot fail.
    take(raw, at, N).map(|part| part.first_chunk().expect("take returns N bytes"))
}

fn parameter_sets(raw: &Bytes, at: &mut usize, n: u8) -> Result<Vec<Bytes>, Error> {
    (0..n)
        .map(|_| {
            let &[hi, lo] = chunk::<2>(raw, at)?;
            let part = take(raw, at, usize::from(u16::from_be_bytes([hi, lo])))?;
            Ok(raw.slice_ref(part))
        })
        .filter(|set| !matches!(set, Ok(set) if set.is_empty()))
        .collect()
}

fn read_sps(nal: &[u8]) -> Option<Picture> {
    let rbsp = decode_nal(nal).ok()?;
    let sps = SeqParameterSet::from_bits(BitReader::new(&*rbsp)).ok()?;
    let (width, height) = sps.pixel_dimensions().ok()?;
    let frame_rate = sps.fps().filter(|r| r.is_finite() && *r > 0.0 && *r <= MAX_FRAME_RATE);
    Some(Picture { width, height, frame_rate })
}

struct NalUnits<'a> {
    rest: &'a [u8],
    total: usize,
    length_size: usize,
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = Result<&'a [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let offset = self.total - self.rest.len();
            let truncated = |needed, present| Some(Err(Error::Truncated { what: "NAL unit", offset, needed, present }));
            let Some((length, rest)) = self.rest.split_at_checked(self.length_size) else {
                let present = self.rest.len();
                self.rest = &[];
                return truncated(self.length_size, present);
            };
            let length = length.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
            let Some((nal, rest)) = rest.split_at_checked(length) else {
                self.rest = &[];
                return truncated(length, rest.len());
            };
            self.rest = rest;
            if !nal.is_empty() {
                return Some(Ok(nal));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Written by x264 for 640x360 at 25 pictures a second, profile Main, level 3.0.
    const X264: &[u8] = &[
        0x01, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x4d, 0x40, 0x1e, 0xec, 0xa0, 0x50, 0x17, 0xfc, 0xb8,
        0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x07, 0x8b, 0x16, 0xcb, 0x01, 0x00, 0x05, 0x68,
        0xeb, 0xe3, 0xcb, 0x20,
    ];

    #[test]
    fn record_of_x264() {
        let c = AvcConfig::parse(Bytes::from_static(X264)).unwrap();
        assert_eq!(c.codec_string(), "avc1.4d401e");
        assert_eq!(c.nal_length_size(), 4);
        assert_eq!((c.sps().len(), c.pps().len()), (1, 1));
        let p = c.picture().unwrap();
        assert_eq!((p.width, p.height, p.frame_rate), (640, 360, Some(25.0)));
    }

    #[test]
    fn every_cut_is_an_error() {
        for n in 0..X264.len() {
            assert!(AvcConfig::parse(Bytes::from_static(&X264[..n])).is_err(), "{n} bytes");
        }
    }

    #[test]
    fn an_unreadable_parameter_set_is_carried_without_a_size() {
        let c = AvcConfig::parse(Bytes::from_static(&[1, 100, 0, 31, 0xff, 0xe1, 0, 2, 0x67, 0x64, 1, 0, 1, 0x68]))
            .unwrap();
        assert_eq!(c.picture(), None);
        assert_eq!(c.codec_string(), "avc1.64001f");
    }

    #[test]
    fn config_length_limit() {
        let mut v = X264.to_vec();
        v.resize(MAX_CONFIG, 0); // what follows the picture parameter sets is an extension
        assert!(AvcConfig::parse(v.clone().into()).is_ok());
        v.push(0);
        assert!(AvcConfig::parse(v.into()).is_err());
    }

    #[test]
    fn nal_units_of_a_payload() {
        let c = AvcConfig::parse(Bytes::from_static(X264)).unwrap();
        let good: Vec<_> =
            c.nal_units(&[0, 0, 0, 1, 0x65, 0, 0, 0, 0, 0, 0, 0, 2, 0x41, 7]).map(Result::unwrap).collect();
        assert_eq!(good, [&[0x65][..], &[0x41, 7]]);
        let cut: Vec<_> = c.nal_units(&[0, 0, 0, 1, 0x65, 0, 0, 0, 9, 1]).collect();
        assert_eq!(cut.len(), 2);
        assert_eq!(cut[1], Err(Error::Truncated { what: "NAL unit", offset: 5, needed: 9, present: 1 }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80), cut in 0usize..40) {
            let _ = AvcConfig::parse(bytes.clone().into());
            let mut mixed = X264[..cut.min(X264.len())].to_vec();
            mixed.extend(&bytes);
            let _ = AvcConfig::parse(mixed.into());
            let c = AvcConfig::parse(Bytes::from_static(X264)).unwrap();
            prop_assert!(c.nal_units(&bytes).count() <= bytes.len());
        }
    }
}
