//! Boxes (ISO/IEC 14496-12, 4.2) as they are read: heads, what is in them, and fields.

use std::fmt;

use crate::Error;

/// Four characters that name a box, a codec, or a kind of track.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{self}'")
    }
}

/// What a box begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: FourCc,
    /// Of the head, bytes.
    pub(crate) len: u64,
    /// Of the whole box, bytes; none where it goes on to the end of what it is in.
    pub(crate) size: Option<u64>,
}

/// The longest head, bytes.
pub(crate) const MAX_HEAD: u64 = 16;

impl Head {
    /// Reads a head at `offset` in the file. None where `bytes` end before it does.
    pub(crate) fn read(bytes: &[u8], offset: u64) -> Result<Option<Self>, Error> {
        let Some((size, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
        let Some((kind, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let kind = FourCc(*kind);
        let (len, size) = match u32::from_be_bytes(*size) {
            0 => (8, None),
            1 => match rest.first_chunk::<8>() {
                Some(size) => (16, Some(u64::from_be_bytes(*size))),
                None => return Ok(None),
            },
            size => (8, Some(size.into())),
        };
        match size {
            Some(size) if size < len => {
                Err(Error::Invalid { kind, offset, why: format!("it says that it is {size} bytes long") })
            }
            _ => Ok(Some(Self { kind, len, size })),
        }
    }
}

/// A box that is in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Atom<'a> {
    pub(crate) kind: FourCc,
    /// Where its content begins in the file.
    pub(crate) offset: u64,
    pub(crate) content: &'a [u8],
    /// With its head.
    pub(crate) whole: &'a [u8],
}

impl<'a> Atom<'a> {
    /// The first box in `bytes`, which lie at `offset` in the file and end where what it is in does.
    fn first(bytes: &'a [u8], offset: u64) -> Result<Option<Self>, Error> {
        let Some(head) = Head::read(bytes, offset)? else { return Ok(None) };
        let size = head.size.unwrap_or(bytes.len() as u64);
        let whole = usize::try_from(size).ok().and_then(|size| bytes.get(..size)).ok_or_else(|| Error::Invalid {
            kind: head.kind,
            offset,
            why: format!("it says that it is {size} bytes long, and has room for {}", bytes.len()),
        })?;
        let len = if head.len == 8 { 8 } else { 16 };
        Ok(Some(Self { kind: head.kind, offset: offset + head.len, content: &whole[len..], whole }))
    }

    /// What is in it, as boxes.
    pub(crate) fn children(&self) -> Children<'a> {
        Children { rest: self.content, offset: self.offset }
    }

    /// The first box of a kind in it.
    pub(crate) fn find(&self, kind: &[u8; 4]) -> Result<Option<Atom<'a>>, Error> {
        for child in self.children() {
            let child = child?;
            if child.kind.0 == *kind {
                return Ok(Some(child));
            }
        }
        Ok(None)
    }

    /// The first box of a kind in it, which must be there.
    pub(crate) fn need(&self, kind: &[u8; 4]) -> Result<Atom<'a>, Error> {
        self.find(kind)?.ok_or_else(|| self.invalid(format!("it has no {}", FourCc(*kind))))
    }

    pub(crate) fn fields(&self) -> Fields<'a> {
        Fields { kind: self.kind, rest: self.content, offset: self.offset }
    }

    pub(crate) fn invalid(&self, why: String) -> Error {
        Error::Invalid { kind: self.kind, offset: self.offset, why }
    }
}

/// Boxes one after the other; ends at the first that is not valid. What is too short for a box at the
/// end, such as the zeros of QuickTime, is passed over.
#[derive(Debug, Clone)]
pub(crate) struct Children<'a> {
    rest: &'a [u8],
    offset: u64,
}

impl<'a> Children<'a> {
    pub(crate) fn of(rest: &'a [u8], offset: u64) -> Self {
        Self { rest, offset }
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = Result<Atom<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let child = Atom::first(self.rest, self.offset).transpose()?;
        match &child {
            Ok(atom) => {
                self.rest = &self.rest[atom.whole.len()..];
                self.offset += atom.whole.len() as u64;
            }
            Err(_) => self.rest = &[],
        }
        Some(child)
    }
}

/// Reads the fields of a box; running out of them is an error that says where.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    kind: FourCc,
    rest: &'a [u8],
    offset: u64,
}

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or_else(|| self.short(n as u64))?;
        self.rest = rest;
        self.offset += n as u64;
        Ok(taken)
    }

    pub(crate) fn skip(&mut self, n: usize) -> Result<(), Error> {
        self.take(n).map(drop)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N).map(|taken| *taken.first_chunk().expect("N bytes were taken"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Error> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_be_bytes)
    }

    /// 64 bits where `long`, otherwise 32.
    pub(crate) fn u32_or_u64(&mut self, long: bool) -> Result<u64, Error> {
        if long { self.u64() } else { self.u32().map(u64::from) }
    }

    /// The version and the flags that a full box begins with.
    pub(crate) fn version(&mut self) -> Result<(u8, u32), Error> {
        let [version, flags @ ..] = self.array::<4>()?;
        Ok((version, u32::from_be_bytes([0, flags[0], flags[1], flags[2]])))
    }

    /// A count, and as many entries of `N` bytes, which must be there.
    pub(crate) fn table<const N: usize>(&mut self) -> Result<&'a [[u8; N]], Error> {
        let count = self.u32()?;
        self.entries(count)
    }

    /// So many entries of `N` bytes, which must be there.
    pub(crate) fn entries<const N: usize>(&mut self, count: u32) -> Result<&'a [[u8; N]], Error> {
        let (entries, _) = self.rest.as_chunks::<N>();
        let entries = usize::try_from(count).ok().and_then(|count| entries.get(..count));
        let entries = entries.ok_or_else(|| self.short(u64::from(count) * N as u64))?;
        self.skip(entries.len() * N)?;
        Ok(entries)
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn invalid(&self, why: String) -> Error {
        Error::Invalid { kind: self.kind, offset: self.offset, why }
    }

    fn short(&self, needed: u64) -> Error {
        self.invalid(format!("{needed} bytes needed, {} there", self.rest.len()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_all_sizes() {
        let read = |bytes: &[u8]| Head::read(bytes, 0).unwrap().map(|h| (h.kind.to_string(), h.len, h.size));
        assert_eq!(read(b"\0\0\0\x10moov"), Some(("moov".to_owned(), 8, Some(16))));
        assert_eq!(read(b"\0\0\0\0mdat"), Some(("mdat".to_owned(), 8, None)));
        assert_eq!(read(b"\0\0\0\x01mdat\0\0\0\x01\0\0\0\0"), Some(("mdat".to_owned(), 16, Some(1 << 32))));
        assert_eq!((read(b"\0\0\0\x10moo"), read(b"\0\0\0\x01mdat\0\0\0\x01\0\0\0")), (None, None));
        for short in [&b"\0\0\0\x07free"[..], b"\0\0\0\x01free\0\0\0\0\0\0\0\x0f"] {
            assert!(Head::read(short, 9).unwrap_err().to_string().contains("free at byte 9"), "{short:?}");
        }
    }

    #[test]
    fn children_end_at_what_is_no_box() {
        let kinds =
            |bytes: &[u8]| Children::of(bytes, 0).map(|c| c.map(|a| a.kind.to_string())).collect::<Result<Vec<_>, _>>();
        assert_eq!(kinds(b"\0\0\0\x08aaaa\0\0\0\x09bbbb!\0\0\0\0").unwrap(), ["aaaa", "bbbb"]);
        assert_eq!(kinds(b"\0\0\0\x08aaaa\0\0\0\0bbbb!!").unwrap(), ["aaaa", "bbbb"], "to the end");
        assert!(kinds(b"\0\0\0\x08aaaa\0\0\0\x0abbbb!").unwrap_err().to_string().contains("bbbb at byte 8"));
    }

    #[test]
    fn tables_are_there_as_declared_or_refused() {
        let fields = |content| Fields { kind: FourCc(*b"stss"), rest: content, offset: 0 };
        assert_eq!(fields(b"\0\0\0\x02\0\x01\0\x02").table::<2>().unwrap(), [[0, 1], [0, 2]]);
        assert!(fields(b"\0\0\0\x03\0\x01\0\x02").table::<2>().is_err());
        assert!(fields(b"\xff\xff\xff\xff\0\x01").table::<8>().is_err());
    }
}
