//! MPEG audio frame headers (ISO/IEC 11172-3, 2.4.1.3; ISO/IEC 13818-3, 2.4.2.3).

use crate::Error;

/// What the header of an MPEG audio layer III frame says. Two are equal where a decoder need not
/// be told of the change: the bit rate may differ.
#[derive(Debug, Clone, Copy)]
pub struct Mp3Config {
    /// Samples per second.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
    /// 1152 for MPEG-1, 576 for the lower rates of MPEG-2 and 2.5.
    pub samples_per_frame: u32,
    /// Bit rate, kbit/s; it may change from frame to frame.
    pub kbit_s: u32,
}

impl PartialEq for Mp3Config {
    fn eq(&self, other: &Self) -> bool {
        let layout = |c: &Self| (c.sample_rate, c.channels, c.samples_per_frame);
        layout(self) == layout(other)
    }
}

impl Eq for Mp3Config {}

impl Mp3Config {
    /// Reads the four-byte header at the start of `frame`.
    ///
    /// # Errors
    /// When there is no layer III frame header.
    pub fn parse(frame: &[u8]) -> Result<Self, Error> {
        let Some(&[a, b, c, d]) = frame.first_chunk::<4>() else {
            return Err(Error::Truncated { what: "MP3 frame header", offset: 0, needed: 4, present: frame.len() });
        };
        let invalid = |why: String| Error::Invalid { what: "MP3 frame header", why };
        if a != 0xff || b & 0xe0 != 0xe0 {
            return Err(invalid(format!("sync word ff e0 expected, {a:02x} {b:02x} found")));
        }
        if b >> 1 & 3 != 1 {
            return Err(invalid(format!("layer III expected, layer code {} found", b >> 1 & 3)));
        }
        let (shift, mpeg1) = match b >> 3 & 3 {
            3 => (0, true),
            2 => (1, false),
            0 => (2, false),
            _ => return Err(invalid("MPEG version code 1 is reserved".to_owned())),
        };
        let base = match c >> 2 & 3 {
            0 => 44_100,
            1 => 48_000,
            2 => 32_000,
            _ => return Err(invalid("sampling frequency code 3 is reserved".to_owned())),
        };
        let table = if mpeg1 { &KBIT_S_MPEG1 } else { &KBIT_S_MPEG2 };
        let Some(&kbit_s) = table.get(usize::from(c >> 4)) else {
            return Err(invalid("bit rate code 15 is forbidden".to_owned()));
        };
        Ok(Self {
            sample_rate: base >> shift,
            channels: if d >> 6 == 3 { 1 } else { 2 },
            samples_per_frame: if mpeg1 { 1152 } else { 576 },
            kbit_s,
        })
    }
}

/// ISO/IEC 11172-3, table of 2.4.2.3, layer III; 0 is "free format".
const KBIT_S_MPEG1: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
/// ISO/IEC 13818-3, 2.4.2.3, layer III.
const KBIT_S_MPEG2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn headers_as_lame_writes_them() {
        let c = Mp3Config::parse(&[0xff, 0xfb, 0x90, 0x44]).unwrap();
        assert_eq!((c.sample_rate, c.channels, c.samples_per_frame, c.kbit_s), (44_100, 2, 1152, 128));
        let c = Mp3Config::parse(&[0xff, 0xf3, 0x84, 0xc4]).unwrap(); // MPEG-2, 24 kHz, mono
        assert_eq!((c.sample_rate, c.channels, c.samples_per_frame, c.kbit_s), (24_000, 1, 576, 64));
    }

    #[test]
    fn what_is_not_layer_three_is_refused() {
        for bad in [
            &[0xff, 0xfb, 0x90][..],
            &[0, 0, 0, 0],
            &[0xff, 0xfd, 0x90, 0],
            &[0xff, 0xfb, 0xf0, 0],
            &[0xff, 0xfb, 0x9c, 0],
            &[0xff, 0xeb, 0x90, 0],
        ] {
            assert!(Mp3Config::parse(bad).is_err(), "{bad:02x?}");
        }
    }
}
