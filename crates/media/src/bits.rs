//! Bits of codec configurations, most significant first.

use crate::Error;

/// Reads bits of one structure; running out of them is an error that names the structure.
#[derive(Debug, Clone)]
pub(crate) struct Bits<'a> {
    what: &'static str,
    data: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(what: &'static str, data: &'a [u8]) -> Self {
        Self { what, data, at: 0 }
    }

    /// Up to 32 bits.
    pub(crate) fn take(&mut self, n: usize) -> Result<u32, Error> {
        debug_assert!(n <= 32, "{n} bits do not fit");
        self.need(n)?;
        let mut v = 0;
        for i in self.at..self.at + n {
            v = v << 1 | u32::from(self.data[i / 8] >> (7 - i % 8) & 1);
        }
        self.at += n;
        Ok(v)
    }

    /// Up to 8 bits.
    pub(crate) fn byte(&mut self, n: usize) -> Result<u8, Error> {
        debug_assert!(n <= 8, "{n} bits do not fit");
        self.take(n).map(|v| u8::try_from(v).unwrap_or(u8::MAX)) // at most 8 bits
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Error> {
        Ok(self.take(1)? == 1)
    }

    pub(crate) fn skip(&mut self, n: usize) -> Result<(), Error> {
        self.need(n)?;
        self.at += n;
        Ok(())
    }

    /// An unsigned Exp-Golomb code, `ue(v)` of ISO/IEC 23008-2, 9.2, and `uvlc` of AV1: below 2^32 - 1.
    pub(crate) fn ue(&mut self) -> Result<u32, Error> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(self.invalid("an Exp-Golomb code of more than 32 bits".to_owned()));
            }
        }
        Ok((1u32 << zeros) - 1 + self.take(zeros)?)
    }

    /// A signed Exp-Golomb code, `se(v)`.
    pub(crate) fn se(&mut self) -> Result<i64, Error> {
        let k = i64::from(self.ue()?);
        Ok(if k % 2 == 1 { (k + 1) / 2 } else { -(k / 2) })
    }

    /// An unsigned Exp-Golomb code that must not exceed `max`.
    pub(crate) fn ue_max(&mut self, name: &str, max: u32) -> Result<u32, Error> {
        let v = self.ue()?;
        if v > max {
            return Err(self.invalid(format!("{name} is {v}, at most {max} expected")));
        }
        Ok(v)
    }

    /// The same for a `max` of a byte.
    pub(crate) fn ue_byte(&mut self, name: &str, max: u8) -> Result<u8, Error> {
        self.ue_max(name, max.into()).map(|v| u8::try_from(v).unwrap_or(max)) // it is no more than `max`
    }

    pub(crate) fn invalid(&self, why: String) -> Error {
        Error::Invalid { what: self.what, why }
    }

    fn need(&self, n: usize) -> Result<(), Error> {
        if n > self.data.len() * 8 - self.at {
            return Err(Error::Truncated {
                what: self.what,
                offset: self.at / 8,
                needed: n.div_ceil(8),
                present: self.data.len() - self.at / 8,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_as_the_standard_lists_them() {
        // ISO/IEC 23008-2, table 9-2: 1, 010, 011, 00100, 00101.
        let mut b = Bits::new("test", &[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!((0..5).map(|_| b.ue().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        let mut b = Bits::new("test", &[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!((0..5).map(|_| b.se().unwrap()).collect::<Vec<_>>(), [0, 1, -1, 2, -2]);
    }

    #[test]
    fn exp_golomb_limits() {
        let longest = [0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe];
        assert_eq!(Bits::new("test", &longest).ue().unwrap(), u32::MAX - 1);
        assert!(Bits::new("test", &[0, 0, 0, 0, 0x80, 0, 0, 0, 0]).ue().unwrap_err().to_string().contains("32 bits"));
    }

    #[test]
    fn running_out_says_where() {
        let mut b = Bits::new("test", &[0xff, 0]);
        b.skip(9).unwrap();
        assert_eq!(b.take(8), Err(Error::Truncated { what: "test", offset: 1, needed: 1, present: 1 }));
        assert_eq!(b.take(7), Ok(0), "an error takes nothing");
    }
}
