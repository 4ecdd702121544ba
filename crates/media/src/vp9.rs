//! VP9 configuration: `VPCodecConfigurationRecord` (VP Codec ISO Media File Format Binding, 2.2) and
//! the uncompressed header of keyframes (VP9 bitstream specification, 6.2).

use bytes::{BufMut, Bytes, BytesMut};

use crate::Error;
use crate::bits::Bits;

/// A parsed `VPCodecConfigurationRecord`, and the size of the pictures once a keyframe told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vp9Config {
    raw: Bytes,
    profile: u8,
    level: u8,
    bit_depth: u8,
    size: Option<(u32, u32)>,
}

impl Vp9Config {
    /// Reads a `VPCodecConfigurationRecord`, with or without the version and flags of its MP4 box,
    /// as both are sent.
    ///
    /// # Errors
    /// When the record is cut short, longer than [`MAX_CONFIG`], or of a profile that VP9 lacks.
    pub fn parse(raw: &[u8]) -> Result<Self, Error> {
        if raw.len() > MAX_CONFIG {
            return Err(invalid(format!("{} bytes long, at most {MAX_CONFIG} expected", raw.len())));
        }
        let record = raw.strip_prefix(&BOX_VERSION).filter(|r| r.len() >= RECORD_LEN).unwrap_or(raw);
        let mut bits = Bits::new(WHAT, record);
        let (profile, level, bit_depth) = (bits.byte(8)?, bits.byte(8)?, bits.byte(4)?);
        bits.skip(3 + 1 + 8 + 8 + 8 + 16)?; // chroma, range, colours, length of initialisation data
        if profile > 3 {
            return Err(invalid(format!("profile {profile}, at most 3 expected")));
        }
        let mut whole = BytesMut::with_capacity(BOX_VERSION.len() + RECORD_LEN);
        whole.put_slice(&BOX_VERSION);
        whole.put_slice(&record[..RECORD_LEN - 2]); // the bits above were all there
        whole.put_u16(0); // length of initialisation data
        Ok(Self { raw: whole.freeze(), profile, level, bit_depth, size: None })
    }

    /// The same configuration for pictures of this size.
    #[must_use]
    pub fn with_size(&self, size: (u32, u32)) -> Self {
        Self { size: Some(size), ..self.clone() }
    }

    /// The record with the version and flags of its MP4 box in front; without initialisation data,
    /// which VP9 has none of.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Width and height in pixels, once [`Self::with_size`] has told them.
    #[must_use]
    pub fn size(&self) -> Option<(u32, u32)> {
        self.size
    }

    /// The codec as the binding, section "Codecs Parameter String" writes it, for example
    /// `vp09.00.21.08`.
    ///
    /// Where the record leaves the level open, the lowest one that the size allows is written, as
    /// players refuse level 0.
    #[must_use]
    pub fn codec_string(&self) -> String {
        let level = if self.level == 0 { self.least_level() } else { self.level };
        format!("vp09.{:02}.{level:02}.{:02}", self.profile, self.bit_depth)
    }

    fn least_level(&self) -> u8 {
        let pixels = self.size.map_or(0, |(w, h)| u64::from(w) * u64::from(h));
        LEVELS.iter().find(|(_, most)| pixels <= *most).map_or(62, |(level, _)| *level)
    }
}

/// Width and height in pixels that a keyframe's uncompressed header tells. `None` where the frame is
/// no keyframe of VP9.
#[must_use]
pub fn keyframe_size(frame: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits::new("VP9 frame header", frame);
    read_keyframe_size(&mut bits).ok().flatten()
}

fn read_keyframe_size(bits: &mut Bits<'_>) -> Result<Option<(u32, u32)>, Error> {
    if bits.take(2)? != FRAME_MARKER {
        return Ok(None);
    }
    let profile = bits.take(1)? | bits.take(1)? << 1;
    if profile == 3 {
        bits.skip(1)?;
    }
    let (show_existing, inter) = (bits.flag()?, bits.flag()?);
    bits.skip(2)?; // shown, resilient
    if show_existing || inter || bits.take(24)? != SYNC_CODE {
        return Ok(None);
    }
    if profile >= 2 {
        bits.skip(1)?; // 10 or 12 bits
    }
    let odd = profile & 1 == 1;
    if bits.take(3)? == CS_RGB {
        bits.skip(usize::from(odd))?;
    } else {
        bits.skip(if odd { 4 } else { 1 })?; // range, subsampling
    }
    Ok(Some((bits.take(16)? + 1, bits.take(16)? + 1)))
}

/// Longest record that is read, bytes. Real ones have 8; initialisation data is not used by VP9.
pub const MAX_CONFIG: usize = 512;

const WHAT: &str = "VP9 configuration";
const RECORD_LEN: usize = 8;
/// Version 1 of the `vpcC` box, and no flags.
const BOX_VERSION: [u8; 4] = [1, 0, 0, 0];
const FRAME_MARKER: u32 = 2;
const SYNC_CODE: u32 = 0x49_8342;
const CS_RGB: u32 = 7;
/// Ten times the level, and the most pixels of a picture that it allows (VP9 levels).
const LEVELS: [(u8, u64); 9] = [
    (10, 36_864),
    (11, 73_728),
    (20, 122_880),
    (21, 245_760),
    (30, 552_960),
    (31, 983_040),
    (40, 2_228_224),
    (50, 8_912_896),
    (60, 35_651_584),
];

fn invalid(why: String) -> Error {
    Error::Invalid { what: WHAT, why }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::test_data::VP9_LIBVPX;
    use proptest::prelude::*;

    #[test]
    fn the_record_of_libvpx_with_and_without_its_box() {
        let c = Vp9Config::parse(VP9_LIBVPX).unwrap();
        assert_eq!((c.codec_string().as_str(), c.size()), ("vp09.00.21.08", None));
        assert_eq!(&c.raw()[..], VP9_LIBVPX);
        assert_eq!(Vp9Config::parse(&VP9_LIBVPX[4..]).unwrap(), c);
        assert_eq!(c.with_size((640, 360)).size(), Some((640, 360)));
    }

    #[test]
    fn a_keyframe_tells_its_size() {
        // The first bytes of a frame by libvpx, 640x360.
        assert_eq!(keyframe_size(&[0x82, 0x49, 0x83, 0x42, 0x00, 0x27, 0xf0, 0x16, 0x76, 0x06]), Some((640, 360)));
        assert_eq!(keyframe_size(&[0x86, 0, 0x40, 0x92]), None, "an inter frame");
        assert_eq!(keyframe_size(&[0x82, 0x49, 0x83]), None);
    }

    #[test]
    fn a_level_left_open_is_the_least_that_fits() {
        let c = Vp9Config::parse(&[0, 0, 0x82, 2, 2, 2, 0, 0]).unwrap();
        assert_eq!(c.codec_string(), "vp09.00.10.08");
        assert_eq!(c.with_size((1920, 1080)).codec_string(), "vp09.00.40.08");
        assert_eq!(c.with_size((65_536, 65_536)).codec_string(), "vp09.00.62.08");
    }

    #[test]
    fn cut_short_or_unknown_is_refused() {
        for n in 0..8 {
            assert!(Vp9Config::parse(&VP9_LIBVPX[4..4 + n]).is_err(), "{n} bytes");
        }
        assert!(Vp9Config::parse(&[4, 10, 0x82, 2, 2, 2, 0, 0]).unwrap_err().to_string().contains("profile 4"));
        let mut v = VP9_LIBVPX.to_vec();
        v.resize(MAX_CONFIG, 0);
        let c = Vp9Config::parse(&v[4..]).unwrap();
        assert_eq!(Vp9Config::parse(c.raw()), Ok(c), "what is kept is a record again");
        assert!(Vp9Config::parse(&v).is_ok());
        let with_data = Vp9Config::parse(&[0, 0, 0x82, 2, 2, 2, 0, 3, 1, 2, 3]).unwrap();
        assert_eq!(&with_data.raw()[..], [1, 0, 0, 0, 0, 0, 0x82, 2, 2, 2, 0, 0], "the length is of what is there");
        v.push(0);
        assert!(Vp9Config::parse(&v).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(c) = Vp9Config::parse(&bytes) {
                prop_assert_eq!(Vp9Config::parse(c.raw()), Ok(c.clone()));
                let _ = c.codec_string();
            }
            let _ = keyframe_size(&bytes);
        }
    }
}
