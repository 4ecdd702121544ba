use std::ops::Range;

use crate::boxes::{Atom, Children, Head, MAX_HEAD};
use crate::moov::Draft;
use crate::{Error, FourCc, Movie};

/// Reads the index of a file. It asks for the pieces that it needs and skips the media.
///
/// ```
/// # fn index(file: &[u8]) -> Result<millrace_mp4::Movie, millrace_mp4::Error> {
/// let mut reader = millrace_mp4::Reader::new(file.len() as u64)?;
/// while let Some(range) = reader.wants() {
///     let bytes = &file[range.start as usize..range.end as usize]; // from a disk, or from elsewhere
///     reader.feed(range.start, bytes)?;
/// }
/// reader.finish()
/// # }
/// # assert!(index(b"RIFF....").is_err());
/// ```
#[derive(Debug)]
pub struct Reader {
    size: u64,
    /// Where the next box of the file begins.
    at: u64,
    /// Bytes of the file, from `start` on.
    held: Vec<u8>,
    start: u64,
    wants: Option<Range<u64>>,
    /// Boxes that were passed.
    boxes: u32,
    draft: Option<Draft>,
    /// The kind of the box within which the file ends before it does.
    cut_off: Option<FourCc>,
}

/// Most bytes of a `moov`: 24 hours at 60 pictures a second take less.
pub const MAX_MOOV_BYTES: u64 = 64 << 20;
/// Most bytes of a `moof`.
pub const MAX_MOOF_BYTES: u64 = 4 << 20;
/// Most boxes of a file outside of any other: half an hour in fragments of single pictures, or half a year in those of
/// the usual ten seconds.
pub const MAX_BOXES: u32 = 1 << 20;
/// Most bytes that are asked for at once.
pub const MAX_PIECE: u64 = 1 << 20;
/// What is read where a box begins: a fragment's head at once, mostly.
const PROBE: u64 = 4096;

impl Reader {
    /// For a file of `size` bytes.
    ///
    /// # Errors
    /// When it is empty.
    pub fn new(size: u64) -> Result<Self, Error> {
        let mut reader =
            Self { size, at: 0, held: Vec::new(), start: 0, wants: None, boxes: 0, draft: None, cut_off: None };
        if size < 8 {
            return Err(Error::NotMp4(format!("it is {size} bytes long")));
        }
        reader.advance()?;
        Ok(reader)
    }

    /// The bytes of the file that are needed next, at most [`MAX_PIECE`]; none once all has been read.
    #[must_use]
    pub fn wants(&self) -> Option<Range<u64>> {
        self.wants.clone()
    }

    /// Takes the bytes at `offset`: those that are wanted, or the first of them.
    ///
    /// # Errors
    /// When they are not wanted, or the file cannot be played; then there is no use in going on.
    pub fn feed(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let wanted = self.wants.as_ref().is_some_and(|range| {
            range.start == offset && !bytes.is_empty() && bytes.len() as u64 <= range.end - range.start
        });
        if !wanted {
            return Err(Error::NotWanted { offset, len: bytes.len() });
        }
        self.held.extend_from_slice(bytes);
        self.advance()
    }

    /// Bytes of memory that it takes, about: what it holds of the file, and what it has made of that.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.held.capacity() + self.draft.as_ref().map_or(0, Draft::memory)
    }

    /// What was read.
    ///
    /// # Errors
    /// When bytes are still wanted, or the file has no index.
    pub fn finish(self) -> Result<Movie, Error> {
        if let Some(range) = self.wants {
            return Err(Error::Truncated { size: range.start, within: "of what was read".to_owned() });
        }
        match (self.draft, self.cut_off) {
            (Some(draft), cut_off) => draft.finish(self.size, cut_off.is_some()),
            (None, Some(kind)) => {
                let within = format!("within {kind}, before the index (moov)");
                Err(Error::Truncated { size: self.size, within })
            }
            (None, None) => Err(Error::NotMp4("it has no index (moov)".to_owned())),
        }
    }

    /// Goes on until bytes are wanted or all is known.
    fn advance(&mut self) -> Result<(), Error> {
        self.wants = None;
        while self.at < self.size {
            if self.draft.as_ref().is_some_and(|draft| !draft.is_fragmented()) {
                break;
            }
            let Some(head) = self.head()? else { break };
            let size = head.size.unwrap_or(self.size - self.at);
            let end = self.at.checked_add(size).filter(|end| *end <= self.size);
            self.boxes += 1;
            if self.boxes > MAX_BOXES {
                return Err(Error::TooMuch { what: "boxes", found: self.boxes.into(), most: MAX_BOXES.into() });
            }
            let read = match &head.kind.0 {
                b"moov" => self.draft.is_none(),
                b"moof" => self.draft.is_some(),
                _ => false,
            };
            let Some(end) = end else {
                if read && head.kind.0 == *b"moov" {
                    return Err(Error::Truncated { size: self.size, within: "within its index (moov)".to_owned() });
                }
                self.cut_off = Some(head.kind);
                break;
            };
            if read && !self.read(head, size)? {
                self.boxes -= 1; // it is looked at once more
                return Ok(());
            }
            self.at = end;
        }
        if self.wants.is_none() {
            self.held = Vec::new();
        }
        Ok(())
    }

    /// The head of the next box. None where it is wanted, or the file ends.
    fn head(&mut self) -> Result<Option<Head>, Error> {
        let held = self.held();
        match Head::read(held, self.at) {
            Ok(Some(head)) => {
                if self.at == 0 && !FIRST.contains(&&head.kind.0) {
                    return Err(Error::NotMp4(format!("it begins with {}", head.kind)));
                }
                Ok(Some(head))
            }
            Ok(None) => {
                let rest = self.size - self.at;
                if (held.len() as u64) < rest.min(MAX_HEAD) {
                    self.want(rest.min(PROBE));
                }
                Ok(None)
            }
            // What comes after the index is of no consequence.
            Err(_) if self.draft.is_some() => Ok(None),
            Err(_) if self.at == 0 => Err(Error::NotMp4("it begins with no box".to_owned())),
            Err(error) => Err(error),
        }
    }

    /// Reads a box that is of interest; false where more of it is wanted.
    fn read(&mut self, head: Head, size: u64) -> Result<bool, Error> {
        let moov = head.kind.0 == *b"moov";
        let (what, most) =
            if moov { ("bytes of index", MAX_MOOV_BYTES) } else { ("bytes of index in a fragment", MAX_MOOF_BYTES) };
        if size > most {
            return Err(Error::TooMuch { what, found: size, most });
        }
        if (self.held().len() as u64) < size {
            self.want(size);
            return Ok(false);
        }
        let len = usize::try_from(size).unwrap_or(usize::MAX); // at most MAX_MOOV_BYTES
        let from = usize::try_from(self.at - self.start).unwrap_or(usize::MAX); // within what is held
        let atom = Children::of(&self.held[from..from + len], self.at).next();
        let atom: Atom<'_> = atom.ok_or_else(|| Error::NotMp4("its index is empty".to_owned()))??;
        match &mut self.draft {
            Some(draft) => draft.add_fragment(atom, self.size)?,
            None => self.draft = Some(Draft::read(atom, self.size)?),
        }
        Ok(true)
    }

    /// What is held from the next box on.
    fn held(&self) -> &[u8] {
        let from = usize::try_from(self.at - self.start).unwrap_or(usize::MAX);
        self.held.get(from..).unwrap_or_default()
    }

    /// Asks for the rest of so many bytes of the next box, and forgets what is before it.
    fn want(&mut self, len: u64) {
        let held = self.held().len();
        self.held.drain(..self.held.len() - held);
        self.start = self.at;
        let from = self.at + held as u64;
        self.wants = Some(from..(self.at + len).min(from + MAX_PIECE));
    }
}

/// What files begin with. Old ones of QuickTime have no `ftyp`.
const FIRST: [&[u8; 4]; 10] =
    [b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid", b"sidx"];
