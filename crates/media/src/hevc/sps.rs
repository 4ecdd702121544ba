//! Sequence parameter sets of HEVC (ISO/IEC 23008-2, 7.3.2.2 and E.2.1): size and rate of pictures.

use crate::bits::Bits;
use crate::picture::credible_rate;
use crate::{Error, Picture};

/// What a sequence parameter set says that a configuration record repeats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sps {
    pub(super) picture: Picture,
    /// The general part of `profile_tier_level`, as it is written.
    pub(super) profile_tier_level: [u8; 12],
    pub(super) sub_layers: u8,
    pub(super) nested: bool,
    /// `chroma_format_idc`.
    pub(super) chroma: u8,
    /// `bit_depth_luma_minus8` and `bit_depth_chroma_minus8`; none where the set ends before them.
    pub(super) depths: Option<[u8; 2]>,
}

/// Reads the size, and the rate where it is told. `nal` includes its header.
pub(super) fn read(nal: &[u8]) -> Result<Sps, Error> {
    let rbsp = unescape(nal);
    let mut bits = Bits::new(WHAT, &rbsp);
    bits.skip(NAL_HEADER_BITS + 4)?; // sps_video_parameter_set_id
    let sub_layers_minus1 = bits.byte(3)?;
    let nested = bits.flag()?;
    let general = rbsp.get(3..15).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
    profile_tier_level(&mut bits, sub_layers_minus1)?;
    bits.ue_max("sps_seq_parameter_set_id", 15)?;
    let chroma = bits.ue_byte("chroma_format_idc", 3)?;
    if chroma == 3 {
        bits.skip(1)?; // separate_colour_plane_flag
    }
    let width = bits.ue_max("width", MAX_SIDE)?;
    let height = bits.ue_max("height", MAX_SIDE)?;
    let (mut crop_x, mut crop_y) = (0, 0);
    if bits.flag()? {
        let [left, right, top, bottom] = [(); 4].map(|()| bits.ue_max("conformance window", MAX_SIDE));
        let (unit_x, unit_y) = match chroma {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        crop_x = (left? + right?) * unit_x;
        crop_y = (top? + bottom?) * unit_y;
    }
    let (Some(width), Some(height)) = (width.checked_sub(crop_x), height.checked_sub(crop_y)) else {
        return Err(bits.invalid(format!("a window that crops {crop_x}x{crop_y} off {width}x{height}")));
    };
    if width == 0 || height == 0 {
        return Err(bits.invalid(format!("pictures of {width}x{height}")));
    }
    // A size is of use without depths or a rate, so what follows may fail.
    let depths = depths(&mut bits).ok();
    let frame_rate = depths.and_then(|_| rate(bits, sub_layers_minus1).ok()).flatten().and_then(credible_rate);
    Ok(Sps {
        picture: Picture { width, height, frame_rate },
        profile_tier_level: general,
        sub_layers: sub_layers_minus1 + 1,
        nested,
        chroma,
        depths,
    })
}

fn depths(bits: &mut Bits<'_>) -> Result<[u8; 2], Error> {
    Ok([bits.ue_byte("bit_depth_luma_minus8", 8)?, bits.ue_byte("bit_depth_chroma_minus8", 8)?])
}

/// Longest side of a picture that is believed, pixels: level 6.2 ends at 16,888.
const MAX_SIDE: u32 = 65_535;
const NAL_HEADER_BITS: usize = 16;
const WHAT: &str = "HEVC sequence parameter set";

/// Removes the emulation prevention bytes (7.3.1.1).
fn unescape(nal: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &b in nal {
        if zeros >= 2 && b == 3 {
            zeros = 0;
            continue;
        }
        zeros = if b == 0 { zeros + 1 } else { 0 };
        out.push(b);
    }
    out
}

/// 7.3.3, passed over.
fn profile_tier_level(bits: &mut Bits<'_>, sub_layers_minus1: u8) -> Result<(), Error> {
    bits.skip(88 + 8)?;
    let mut sub_bits = 0;
    for _ in 0..sub_layers_minus1 {
        let (profile, level) = (bits.flag()?, bits.flag()?);
        sub_bits += if profile { 88 } else { 0 } + if level { 8 } else { 0 };
    }
    if sub_layers_minus1 > 0 {
        bits.skip(2 * (8 - usize::from(sub_layers_minus1)))?;
    }
    bits.skip(sub_bits)
}

/// Pictures per second, from what follows the depths.
fn rate(mut bits: Bits<'_>, sub_layers_minus1: u8) -> Result<Option<f64>, Error> {
    let bits = &mut bits;
    let poc_bits = bits.ue_max("log2_max_pic_order_cnt_lsb_minus4", 12)? as usize + 4;
    let first = if bits.flag()? { 0 } else { sub_layers_minus1 };
    for _ in first..=sub_layers_minus1 {
        skip_ue(bits, 3)?; // buffering, reordering, latency
    }
    skip_ue(bits, 6)?; // sizes and depths of blocks
    if bits.flag()? && bits.flag()? {
        scaling_lists(bits)?;
    }
    bits.skip(2)?; // asymmetric motion partitions, sample adaptive offset
    if bits.flag()? {
        bits.skip(8)?; // depths of PCM samples
        skip_ue(bits, 2)?;
        bits.skip(1)?;
    }
    short_term_sets(bits)?;
    if bits.flag()? {
        let n = bits.ue_max("num_long_term_ref_pics_sps", 32)? as usize;
        bits.skip(n * (poc_bits + 1))?;
    }
    bits.skip(2)?; // temporal motion vectors, strong intra smoothing
    if bits.flag()? { vui_rate(bits) } else { Ok(None) }
}

fn skip_ue(bits: &mut Bits<'_>, n: usize) -> Result<(), Error> {
    (0..n).try_for_each(|_| bits.ue().map(drop))
}

/// 7.3.4, passed over.
fn scaling_lists(bits: &mut Bits<'_>) -> Result<(), Error> {
    for size in 0..4 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !bits.flag()? {
                bits.ue()?; // copied from another list
                continue;
            }
            if size > 1 {
                bits.se()?;
            }
            for _ in 0..64.min(1 << (4 + 2 * size)) {
                bits.se()?;
            }
        }
    }
    Ok(())
}

/// Pictures before and after the current one that a set refers to, as distances (7.4.8).
#[derive(Default)]
struct ShortTermSet {
    before: Vec<i64>,
    after: Vec<i64>,
}

/// 7.3.7. A set may be told as a difference to the one before, so all have to be understood.
fn short_term_sets(bits: &mut Bits<'_>) -> Result<(), Error> {
    let count = bits.ue_max("num_short_term_ref_pic_sets", 64)?;
    let mut last = ShortTermSet::default();
    for i in 0..count {
        last = if i > 0 && bits.flag()? { predicted_set(bits, &last)? } else { explicit_set(bits)? };
    }
    Ok(())
}

fn explicit_set(bits: &mut Bits<'_>) -> Result<ShortTermSet, Error> {
    let before = bits.ue_max("num_negative_pics", MAX_REFERENCES)?;
    let after = bits.ue_max("num_positive_pics", MAX_REFERENCES)?;
    let mut run = |n, sign: i64| {
        let mut at = 0;
        (0..n)
            .map(|_| {
                at += sign * (i64::from(bits.ue()?) + 1);
                bits.skip(1)?; // used by the current picture
                Ok(at)
            })
            .collect::<Result<Vec<_>, Error>>()
    };
    Ok(ShortTermSet { before: run(before, -1)?, after: run(after, 1)? })
}

/// 7.4.8, equations 7-61 and 7-62.
fn predicted_set(bits: &mut Bits<'_>, from: &ShortTermSet) -> Result<ShortTermSet, Error> {
    let sign = if bits.flag()? { -1 } else { 1 };
    let delta = sign * (i64::from(bits.ue()?) + 1);
    // A flag for each picture of `from`, and one for the picture that `from` belonged to.
    let kept = (0..=from.before.len() + from.after.len())
        .map(|_| Ok(bits.flag()? || bits.flag()?))
        .collect::<Result<Vec<_>, Error>>()?;
    let mut set = ShortTermSet::default();
    let moved = from.before.iter().chain(&from.after).map(|d| d + delta).chain([delta]);
    for distance in moved.zip(kept).filter_map(|(d, kept)| kept.then_some(d)) {
        match distance.signum() {
            -1 => set.before.push(distance),
            1 => set.after.push(distance),
            _ => {}
        }
    }
    set.before.sort_unstable_by_key(|d| -d);
    set.after.sort_unstable();
    if set.before.len() + set.after.len() > MAX_REFERENCES as usize {
        return Err(bits.invalid("a set of more than 16 reference pictures".to_owned()));
    }
    Ok(set)
}

/// `MaxDpbSize` (A.4.2): no set refers to more pictures.
const MAX_REFERENCES: u32 = 16;

/// The time scale of the video usability information (E.2.1).
fn vui_rate(bits: &mut Bits<'_>) -> Result<Option<f64>, Error> {
    if bits.flag()? && bits.take(8)? == EXTENDED_SAR {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.skip(1)?; // overscan
    }
    if bits.flag()? {
        bits.skip(4)?; // format and range
        if bits.flag()? {
            bits.skip(24)?; // colours
        }
    }
    if bits.flag()? {
        skip_ue(bits, 2)?; // where chroma samples lie
    }
    bits.skip(3)?; // neutral chroma, fields as pictures, what is told of them
    if bits.flag()? {
        skip_ue(bits, 4)?; // default display window
    }
    if !bits.flag()? {
        return Ok(None);
    }
    let (tick, scale) = (bits.take(32)?, bits.take(32)?);
    Ok(Some(f64::from(scale) / f64::from(tick)))
}

const EXTENDED_SAR: u32 = 255;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn emulation_prevention_bytes_are_removed() {
        assert_eq!(unescape(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3]), [0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(unescape(&[0, 3, 0, 0, 1]), [0, 3, 0, 0, 1]);
    }

    #[test]
    fn sets_of_x265() {
        let cropped = read(crate::test_data::HEVC_X265_1080).unwrap();
        assert_eq!(cropped.picture, Picture { width: 1920, height: 1080, frame_rate: Some(30_000.0 / 1001.0) });
        assert_eq!((cropped.sub_layers, cropped.nested, cropped.chroma, cropped.depths), (1, true, 1, Some([0, 0])));
        for (set, width, height, rate) in [
            // many references
            (
                "420101016000000300900000030000030078a00280802d1659d8a9246ed780b404000003000400000300c820",
                1280,
                720,
                50.0,
            ),
            // 4:2:2, an odd window
            ("4201010408000003009d0800000300005db006b201e1c96d96566924caf0168080000003008000001e04", 850, 478, 60.0),
            // temporal layers
            (
                "42010401600000030090000003000003003f0000a005020169659594aca565924caf016808000003000800000300f040",
                640,
                360,
                30.0,
            ),
            // an extended sample aspect ratio, colours
            (
                "42010101600000030090000003000003005aa005a201e16595952930bc15a81010302000007d20000ea60c0292cdc001e848003d0910",
                720,
                480,
                30_000.0 / 1001.0,
            ),
        ] {
            let nal: Vec<_> =
                (0..set.len()).step_by(2).map(|i| u8::from_str_radix(&set[i..i + 2], 16).unwrap()).collect();
            assert_eq!(read(&nal).unwrap().picture, Picture { width, height, frame_rate: Some(rate) });
        }
    }

    #[test]
    fn a_set_told_as_a_difference_moves_the_one_before() {
        let from = ShortTermSet { before: vec![-1, -2], after: vec![] };
        // Back by one; the first is used, the second kept, the picture itself dropped.
        let set = predicted_set(&mut Bits::new("test", &[0b1110_1000]), &from).unwrap();
        assert_eq!((set.before, set.after), (vec![-2, -3], vec![]));
        // Forward by one, all used: what falls on the picture itself is none.
        let set = predicted_set(&mut Bits::new("test", &[0b0111_1000]), &from).unwrap();
        assert_eq!((set.before, set.after), (vec![-1], vec![1]));
        let full = ShortTermSet { before: (1..=16).map(|d| -d).collect(), after: vec![] };
        assert!(predicted_set(&mut Bits::new("test", &[0xff; 4]), &full).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Ok(Sps { picture: p, .. }) = read(&bytes) {
                prop_assert!(p.width > 0 && p.height > 0);
                prop_assert!(p.frame_rate.is_none_or(|r| r > 0.0));
            }
        }
    }
}
