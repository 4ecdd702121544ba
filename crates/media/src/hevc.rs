//! HEVC configuration: `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 8.3.3.1) and NAL units.

mod sps;

use std::fmt::Write;

use bytes::Bytes;

use crate::nal::{self, Fields};
use crate::{Error, Picture};

/// A parsed `HEVCDecoderConfigurationRecord`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HevcConfig {
    raw: Bytes,
    profile: ProfileTierLevel,
    nal_length_size: usize,
    vps: Vec<Bytes>,
    sps: Vec<Bytes>,
    pps: Vec<Bytes>,
    picture: Option<Picture>,
}

/// The general part of `profile_tier_level` (ISO/IEC 23008-2, 7.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ProfileTierLevel {
    space: u8,
    high_tier: bool,
    idc: u8,
    compatibility: u32,
    constraints: [u8; 6],
    level: u8,
}

/// `nal_unit_type` of the first and last kind of slice with which decoding can begin (IRAP).
pub const NAL_IRAP: std::ops::RangeInclusive<u8> = 16..=23;
/// `nal_unit_type` of slices: what is above is no picture.
pub const NAL_SLICE: std::ops::RangeInclusive<u8> = 0..=31;
/// `nal_unit_type` of a video parameter set.
pub const NAL_VPS: u8 = 32;
/// `nal_unit_type` of a sequence parameter set.
pub const NAL_SPS: u8 = 33;
/// `nal_unit_type` of a picture parameter set.
pub const NAL_PPS: u8 = 34;
/// `nal_unit_type` of an access unit delimiter.
pub const NAL_AUD: u8 = 35;

/// `nal_unit_type` of a NAL unit; 63 (not specified) where it is empty.
#[must_use]
pub fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(63, |b| b >> 1 & 0x3f)
}

impl HevcConfig {
    /// Reads an `HEVCDecoderConfigurationRecord`.
    ///
    /// A sequence parameter set that cannot be understood does not fail the record: the picture's
    /// size is unknown then, and the stream is carried all the same. Arrays of other NAL units
    /// (SEI) stay in [`Self::raw`] only.
    ///
    /// # Errors
    /// When the record is cut short, longer than [`MAX_CONFIG`], of another version, has NAL
    /// lengths of 3 bytes, more than [`MAX_NAL_UNITS`] NAL units, or lacks a parameter set.
    pub fn parse(raw: Bytes) -> Result<Self, Error> {
        if raw.len() > MAX_CONFIG {
            return Err(invalid(format!("{} bytes long, at most {MAX_CONFIG} expected", raw.len())));
        }
        let mut fields = Fields::new(WHAT, &raw);
        let &[version, general] = fields.array()?;
        if version > 1 {
            return Err(invalid(format!("version 1 expected, {version} found"))); // 0 is an old draft's
        }
        let compatibility = u32::from_be_bytes(*fields.array()?);
        let constraints = *fields.array::<6>()?;
        let &[level] = fields.array()?;
        let &[.., sizes] = fields.array::<9>()?; // segmentation, parallelism, chroma, depths, rate
        let nal_length_size = usize::from(sizes & 3) + 1;
        if nal_length_size == 3 {
            return Err(invalid("NAL lengths of 3 bytes are not allowed".to_owned()));
        }
        let (mut vps, mut sps, mut pps) = (Vec::new(), Vec::new(), Vec::new());
        let mut count = 0;
        let &[arrays] = fields.array()?;
        for _ in 0..arrays {
            let &[kind, hi, lo] = fields.array()?;
            count += usize::from(u16::from_be_bytes([hi, lo]));
            if count > MAX_NAL_UNITS {
                return Err(invalid(format!("{count} NAL units, at most {MAX_NAL_UNITS} expected")));
            }
            for _ in 0..u16::from_be_bytes([hi, lo]) {
                let nal = raw.slice_ref(fields.nal()?);
                match kind & 0x3f {
                    _ if nal.is_empty() => {}
                    NAL_VPS => vps.push(nal),
                    NAL_SPS => sps.push(nal),
                    NAL_PPS => pps.push(nal),
                    _ => {}
                }
            }
        }
        if vps.is_empty() || sps.is_empty() || pps.is_empty() {
            return Err(invalid(format!(
                "{} video, {} sequence and {} picture parameter sets, one of each needed",
                vps.len(),
                sps.len(),
                pps.len()
            )));
        }
        let profile = ProfileTierLevel {
            space: general >> 6,
            high_tier: general & 0x20 != 0,
            idc: general & 0x1f,
            compatibility,
            constraints,
            level,
        };
        let picture = sps::read(&sps[0]).ok().map(|sps| sps.picture);
        Ok(Self { profile, nal_length_size, vps, sps, pps, picture, raw })
    }

    /// The configuration that the parameter sets within a keyframe ask for, where they are there and
    /// `current` is another.
    ///
    /// What it lacks of the other kinds is taken from `current`. Video and picture parameter sets alone
    /// change nothing that a decoder cannot take in passing. A sequence parameter set that cannot be
    /// understood makes no record.
    #[must_use]
    pub fn in_band(current: Option<&Self>, keyframe: &[u8]) -> Option<Self> {
        // Where nothing is said of their size, lengths have 4 bytes, as all encoders write them.
        let length_size = current.map_or(4, Self::nal_length_size);
        let of_type = |kind| nal::units_that(keyframe, length_size, MAX_IN_BAND, |nal| nal_type(nal) == kind);
        let known = |set: &[u8]| current.is_some_and(|c| c.sps.iter().any(|known| known == set));
        let sps = of_type(NAL_SPS);
        if sps.iter().all(|set| known(set)) {
            return None;
        }
        let said = sps::read(sps[0]).ok()?;
        let or_current = |sets: Vec<&[u8]>, of: fn(&Self) -> &[Bytes]| -> Vec<Bytes> {
            match current {
                Some(current) if sets.is_empty() => of(current).to_vec(),
                _ => sets.into_iter().map(Bytes::copy_from_slice).collect(),
            }
        };
        let arrays = [
            (NAL_VPS, or_current(of_type(NAL_VPS), Self::vps)),
            (NAL_SPS, or_current(sps, Self::sps)),
            (NAL_PPS, or_current(of_type(NAL_PPS), Self::pps)),
        ];
        let [luma, chroma] = said.depths?;
        let mut raw = vec![1];
        raw.extend(said.profile_tier_level);
        // Nothing is said of segmentation, parallelism and rate.
        raw.extend([0xf0, 0, 0xfc, 0xfc | said.chroma, 0xf8 | luma, 0xf8 | chroma, 0, 0]);
        raw.push(said.sub_layers << 3 | u8::from(said.nested) << 2 | u8::try_from(length_size - 1).ok()?);
        raw.push(u8::try_from(arrays.len()).ok()?);
        for (kind, sets) in &arrays {
            raw.push(*kind);
            raw.extend(u16::try_from(sets.len()).ok()?.to_be_bytes());
            sets.iter().try_for_each(|set| nal::put(&mut raw, set))?;
        }
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

    /// Video parameter sets, NAL header included; at least one.
    #[must_use]
    pub fn vps(&self) -> &[Bytes] {
        &self.vps
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

    /// All parameter sets in the order in which a decoder needs them.
    pub fn parameter_sets(&self) -> impl Iterator<Item = &Bytes> {
        self.vps.iter().chain(&self.sps).chain(&self.pps)
    }

    /// Size and rate of the pictures, where the first parameter set could be read.
    #[must_use]
    pub fn picture(&self) -> Option<Picture> {
        self.picture
    }

    /// The codec as ISO/IEC 14496-15, annex E writes it, for example `hvc1.1.6.L93.90`.
    #[must_use]
    pub fn codec_string(&self) -> String {
        let p = &self.profile;
        let space = ["", "A", "B", "C"][usize::from(p.space & 3)];
        let tier = if p.high_tier { 'H' } else { 'L' };
        let mut text = format!("hvc1.{space}{}.{:x}.{tier}{}", p.idc, p.compatibility.reverse_bits(), p.level);
        let used = p.constraints.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
        for byte in &p.constraints[..used] {
            let _ = write!(text, ".{byte:X}"); // a String takes everything
        }
        text
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
/// Most NAL units in a record: 16 video, 16 sequence and 64 picture parameter sets exist, and some SEI.
pub const MAX_NAL_UNITS: usize = 128;

/// Most parameter sets of a kind that are taken from one keyframe.
const MAX_IN_BAND: usize = 16;

const WHAT: &str = "HEVC configuration";

fn invalid(why: String) -> Error {
    Error::Invalid { what: WHAT, why }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::test_data::{HEVC_X265, HEVC_X265_1080, lengths};
    use proptest::prelude::*;

    #[test]
    fn record_of_x265() {
        let c = HevcConfig::parse(Bytes::from_static(HEVC_X265)).unwrap();
        assert_eq!(c.codec_string(), "hvc1.1.6.L63.90");
        assert_eq!(c.nal_length_size(), 4);
        assert_eq!((c.vps().len(), c.sps().len(), c.pps().len()), (1, 1, 1));
        assert_eq!(c.parameter_sets().map(|s| nal_type(s)).collect::<Vec<_>>(), [NAL_VPS, NAL_SPS, NAL_PPS]);
        let p = c.picture().unwrap();
        assert_eq!((p.width, p.height, p.frame_rate), (640, 360, Some(25.0)));
    }

    const SLICE: &[u8] = &[0x26, 1, 7];

    #[test]
    fn parameter_sets_that_come_in_band_only() {
        let record = HevcConfig::parse(Bytes::from_static(HEVC_X265)).unwrap();
        let sets: Vec<&[u8]> = record.parameter_sets().map(AsRef::as_ref).collect();
        let keyframe = lengths(&[&sets[..], &[SLICE]].concat());
        let config = HevcConfig::in_band(None, &keyframe).unwrap();
        // But for the spatial segmentation, which x265 takes from elsewhere, it is what x265 writes.
        assert_eq!(config.raw()[..13], record.raw()[..13]);
        assert_eq!(config.raw()[15..22], record.raw()[15..22]);
        assert!(config.parameter_sets().eq(record.parameter_sets()));
        assert_eq!((config.codec_string(), config.picture()), (record.codec_string(), record.picture()));
        assert_eq!(HevcConfig::in_band(Some(&config), &keyframe), None, "nothing new");
        assert_eq!(HevcConfig::in_band(None, &lengths(&[SLICE])), None);
        assert_eq!(HevcConfig::in_band(None, &lengths(&[sets[1], SLICE])), None, "a third of it");
        assert_eq!(HevcConfig::in_band(None, &lengths(&[sets[0], &[0x42, 1, 1], sets[2], SLICE])), None, "half a set");
    }

    #[test]
    fn parameter_sets_that_change_in_band() {
        let record = HevcConfig::parse(Bytes::from_static(HEVC_X265)).unwrap();
        let config = HevcConfig::in_band(Some(&record), &lengths(&[HEVC_X265_1080, SLICE])).unwrap();
        assert_eq!(config.picture().map(|p| (p.width, p.height)), Some((1920, 1080)));
        assert_eq!(config.codec_string(), "hvc1.1.6.L120.90");
        assert_eq!((config.vps(), config.pps()), (record.vps(), record.pps()));
        let pps = lengths(&[&[0x44, 1, 9], SLICE]);
        assert_eq!(HevcConfig::in_band(Some(&record), &pps), None, "decoders take these in passing");
        let many = lengths(&[&[HEVC_X265_1080][..], &[&[0x44, 1, 9][..]; MAX_IN_BAND + 1]].concat());
        assert_eq!(HevcConfig::in_band(Some(&record), &many).unwrap().pps().len(), MAX_IN_BAND);
    }

    #[test]
    fn every_cut_is_an_error() {
        for n in 0..HEVC_X265.len() {
            assert!(HevcConfig::parse(Bytes::from_static(&HEVC_X265[..n])).is_err(), "{n} bytes");
        }
    }

    #[test]
    fn an_unreadable_parameter_set_is_carried_without_a_size() {
        let mut record = HEVC_X265.to_vec();
        let sps = record.windows(2).position(|w| w == [0x42, 0x01]).unwrap();
        record[sps + 15..sps + 20].fill(0); // where the size is
        let c = HevcConfig::parse(record.into()).unwrap();
        assert_eq!(c.picture(), None);
    }

    #[test]
    fn limits() {
        let mut v = HEVC_X265.to_vec();
        v.resize(MAX_CONFIG, 0);
        assert!(HevcConfig::parse(v.clone().into()).is_ok());
        v.push(0);
        assert!(HevcConfig::parse(v.into()).is_err());

        let many = |n: usize| {
            let mut v = HEVC_X265.to_vec();
            v[22] += 1;
            v.extend([39, (n >> 8) as u8, n as u8]);
            v.extend([0, 1, 0x4e].repeat(n));
            HevcConfig::parse(v.into())
        };
        assert!(many(MAX_NAL_UNITS - 3).is_ok(), "beside three parameter sets");
        assert!(many(MAX_NAL_UNITS - 2).unwrap_err().to_string().contains("129 NAL units"));
    }

    #[test]
    fn codec_strings_of_other_profiles() {
        // ISO/IEC 14496-15, annex E.3: Main, Main tier, level 3.1, only progressive_source_flag set.
        let mut c = HevcConfig::parse(Bytes::from_static(HEVC_X265)).unwrap();
        c.profile = ProfileTierLevel {
            space: 0,
            high_tier: false,
            idc: 1,
            compatibility: 6u32.reverse_bits(),
            constraints: [0x80, 0, 0, 0, 0, 0],
            level: 93,
        };
        assert_eq!(c.codec_string(), "hvc1.1.6.L93.80");
        c.profile = ProfileTierLevel { space: 1, high_tier: true, idc: 4, constraints: [0; 6], ..c.profile };
        assert_eq!(c.codec_string(), "hvc1.A4.6.H93");
    }

    proptest! {
        #[test]
        fn any_keyframe_is_looked_through(bytes in proptest::collection::vec(any::<u8>(), 0..100), cut in 0usize..41) {
            let _ = HevcConfig::in_band(None, &bytes);
            let sps = [&HEVC_X265_1080[..cut.min(HEVC_X265_1080.len())], &bytes].concat();
            let _ = HevcConfig::in_band(None, &lengths(&[&[0x40, 1], &sps, &[0x44, 1]]));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..120), cut in 0usize..120) {
            let _ = HevcConfig::parse(bytes.clone().into());
            let mut mixed = HEVC_X265[..cut.min(HEVC_X265.len())].to_vec();
            mixed.extend(&bytes);
            if let Ok(c) = HevcConfig::parse(mixed.into()) {
                let _ = c.codec_string();
            }
            let c = HevcConfig::parse(Bytes::from_static(HEVC_X265)).unwrap();
            prop_assert!(c.nal_units(&bytes).count() <= bytes.len());
        }
    }
}
