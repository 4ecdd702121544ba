//! Length-prefixed NAL units, as H.264 and HEVC have them in FLV and MP4 (ISO/IEC 14496-15, 4.2).

use crate::Error;

/// The NAL units of one frame's payload, without their lengths of `length_size` bytes.
///
/// A length that reaches beyond the payload yields one error and ends the walk; empty units are
/// passed over.
pub(crate) fn units(payload: &[u8], length_size: usize) -> NalUnits<'_> {
    NalUnits { rest: payload, total: payload.len(), length_size }
}

/// The first `most` NAL units of a frame's payload of which `is` holds. What comes after a malformed one
/// is not looked at.
pub(crate) fn units_that(payload: &[u8], length_size: usize, most: usize, is: impl Fn(&[u8]) -> bool) -> Vec<&[u8]> {
    units(payload, length_size).map_while(Result::ok).filter(|nal| is(nal)).take(most).collect()
}

/// Appends a NAL unit after its length of 16 bits. None where it is longer.
pub(crate) fn put(out: &mut Vec<u8>, nal: &[u8]) -> Option<()> {
    out.extend(u16::try_from(nal.len()).ok()?.to_be_bytes());
    out.extend_from_slice(nal);
    Some(())
}

pub(crate) struct NalUnits<'a> {
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

/// Reads big-endian fields of a decoder configuration record.
pub(crate) struct Fields<'a> {
    what: &'static str,
    data: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(what: &'static str, data: &'a [u8]) -> Self {
        Self { what, data, at: 0 }
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        let part = self.data.get(self.at..self.at + n).ok_or(Error::Truncated {
            what: self.what,
            offset: self.at,
            needed: n,
            present: self.data.len().saturating_sub(self.at),
        })?;
        self.at += n;
        Ok(part)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Error> {
        self.take(N).map(|part| part.first_chunk().expect("take returns N bytes"))
    }

    /// A NAL unit after its length of 16 bits.
    pub(crate) fn nal(&mut self) -> Result<&'a [u8], Error> {
        let length = u16::from_be_bytes(*self.array()?);
        self.take(usize::from(length))
    }
}
