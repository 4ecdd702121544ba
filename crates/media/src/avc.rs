//! H.264 configuration: `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1) and NAL units.

use bytes::Bytes;
use h264_reader::nal::sps::{ChromaFormat, SeqParameterSet};
use h264_reader::rbsp::{BitReader, decode_nal};

use crate::nal::{self, Fields};
use crate::picture::credible_rate;
use crate::{Error, Picture};

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
        let mut fields = Fields::new("AVC configuration", &raw);
        let &[version, profile, compatibility, level, sizes] = fields.array()?;
        if version != 1 {
            return Err(invalid(format!("version 1 expected, {version} found")));
        }
        let nal_length_size = usize::from(sizes & 3) + 1;
        if nal_length_size == 3 {
            return Err(invalid("NAL lengths of 3 bytes are not allowed".to_owned()));
        }
        let &[n] = fields.array()?;
        let sps = parameter_sets(&raw, &mut fields, n & 0x1f)?;
        let &[n] = fields.array()?;
        let pps = parameter_sets(&raw, &mut fields, n)?;
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

    /// The configuration that the parameter sets within a keyframe ask for, where they are there and
    /// `current` is another.
    ///
    /// Some encoders say it nowhere else, or change their pictures' size without a new record. Picture
    /// parameter sets alone change nothing that a decoder cannot take in passing.
    #[must_use]
    pub fn in_band(current: Option<&Self>, keyframe: &[u8]) -> Option<Self> {
        // Where nothing is said of their size, lengths have 4 bytes, as all encoders write them.
        let length_size = current.map_or(4, Self::nal_length_size);
        let known = |set: &[u8]| current.is_some_and(|c| c.sps.iter().any(|known| known == set));
        let is_sps = |nal: &[u8]| nal[0] & 0x1f == NAL_SPS && nal.len() >= 4;
        let sps = nal::units_that(keyframe, length_size, MAX_IN_BAND, is_sps);
        if sps.iter().all(|set| known(set)) {
            return None;
        }
        let mut pps = nal::units_that(keyframe, length_size, MAX_IN_BAND, |nal| nal[0] & 0x1f == NAL_PPS);
        if pps.is_empty() {
            pps = current.map(|c| c.pps.iter().map(AsRef::as_ref).collect()).unwrap_or_default();
        }
        let mut raw = vec![1, sps[0][1], sps[0][2], sps[0][3], 0xfc | u8::try_from(length_size - 1).ok()?];
        for (mask, sets) in [(0xe0, &sps), (0, &pps)] {
            raw.push(mask | u8::try_from(sets.len()).ok()?);
            for set in sets {
                nal::put(&mut raw, set)?;
            }
        }
        raw.extend(chroma(sps[0]).into_iter().flatten());
        Self::parse(raw.into()).ok()
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
        nal::units(payload, self.nal_length_size)
    }
}

/// Longest record that is read, bytes.
pub const MAX_CONFIG: usize = 64 * 1024;

/// Most parameter sets of a kind that are taken from one keyframe.
const MAX_IN_BAND: usize = 16;

/// What a record of the high profiles has at its end: format and depth of colours, and no extensions.
fn chroma(sps: &[u8]) -> Option<[u8; 4]> {
    let rbsp = decode_nal(sps).ok()?;
    let sps = SeqParameterSet::from_bits(BitReader::new(&*rbsp)).ok()?;
    let format = match sps.chroma_info.chroma_format {
        ChromaFormat::Monochrome => 0,
        ChromaFormat::YUV420 => 1,
        ChromaFormat::YUV422 => 2,
        ChromaFormat::YUV444 => 3,
        ChromaFormat::Invalid(_) => return None,
    };
    let (luma, chroma) = (sps.chroma_info.bit_depth_luma_minus8, sps.chroma_info.bit_depth_chroma_minus8);
    sps.profile_idc.has_chroma_info().then_some([0xfc | format, 0xf8 | luma, 0xf8 | chroma, 0])
}

fn invalid(why: String) -> Error {
    Error::Invalid { what: "AVC configuration", why }
}

fn parameter_sets(raw: &Bytes, fields: &mut Fields<'_>, n: u8) -> Result<Vec<Bytes>, Error> {
    (0..n).map(|_| Ok(raw.slice_ref(fields.nal()?))).filter(|set| !matches!(set, Ok(set) if set.is_empty())).collect()
}

fn read_sps(nal: &[u8]) -> Option<Picture> {
    let rbsp = decode_nal(nal).ok()?;
    let sps = SeqParameterSet::from_bits(BitReader::new(&*rbsp)).ok()?;
    let (width, height) = sps.pixel_dimensions().ok()?;
    let frame_rate = sps.fps().and_then(credible_rate);
    Some(Picture { width, height, frame_rate })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::test_data::lengths;
    use proptest::prelude::*;

    /// Written by x264 for 640x360 at 25 pictures a second, profile Main, level 3.0.
    const X264: &[u8] = &[
        0x01, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x4d, 0x40, 0x1e, 0xec, 0xa0, 0x50, 0x17, 0xfc, 0xb8,
        0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x07, 0x8b, 0x16, 0xcb, 0x01, 0x00, 0x05, 0x68,
        0xeb, 0xe3, 0xcb, 0x20,
    ];

    #[test]
    fn parameter_sets_that_come_in_band_only() {
        let record = AvcConfig::parse(Bytes::from_static(X264)).unwrap();
        let keyframe = lengths(&[&[0x09, 0xf0], &record.sps()[0], &record.pps()[0], &[0x65, 1, 2]]);
        let config = AvcConfig::in_band(None, &keyframe).unwrap();
        assert_eq!(config, record);
        assert_eq!(AvcConfig::in_band(Some(&config), &keyframe), None, "nothing new");
        assert_eq!(AvcConfig::in_band(None, &lengths(&[&[0x65, 1, 2]])), None);
        assert_eq!(AvcConfig::in_band(None, &lengths(&[&record.sps()[0], &[0x65, 1]])), None, "half of it");
    }

    #[test]
    fn parameter_sets_that_change_in_band() {
        let record = AvcConfig::parse(Bytes::from_static(X264)).unwrap();
        let other = [0x67, 0x64, 0x00, 0x1f, 0xac];
        let config = AvcConfig::in_band(Some(&record), &lengths(&[&other, &[0x65, 1, 2]])).unwrap();
        assert_eq!((config.sps()[0].as_ref(), config.pps()), (&other[..], record.pps()));
        assert_eq!(config.codec_string(), "avc1.64001f");
        let pps = lengths(&[&[0x68, 0xee, 1], &[0x65, 1, 2]]);
        assert_eq!(AvcConfig::in_band(Some(&record), &pps), None, "decoders take these in passing");
    }

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
        fn any_keyframe_is_looked_through(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = AvcConfig::in_band(None, &bytes);
            let _ = AvcConfig::in_band(None, &lengths(&[&[&[0x67], &bytes[..]].concat(), &[0x68, 1]]));
        }

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
