//! A strict reader of FLV (Adobe, *Video File Format Specification*, version 10.1, annex E).

use std::io::{self, Read};

/// Reads tags from a stream.
#[derive(Debug)]
pub struct FlvReader<R> {
    source: R,
    /// The header's flags: there is sound, there are pictures.
    pub flags: (bool, bool),
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// What it carries.
    pub kind: Kind,
    /// Milliseconds.
    pub timestamp: u32,
    /// Its body.
    pub body: Vec<u8>,
}

/// What a tag carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sound.
    Audio,
    /// A picture.
    Video,
    /// Metadata.
    Script,
}

impl<R: Read> FlvReader<R> {
    /// Reads the file's header.
    #[track_caller]
    pub fn new(mut source: R) -> Self {
        let mut header = [0; 13];
        source.read_exact(&mut header).unwrap();
        assert_eq!(header[..4], *b"FLV\x01");
        assert_eq!(header[4] & !5, 0, "reserved flags");
        assert_eq!(header[5..], [0, 0, 0, 9, 0, 0, 0, 0], "length of the header, and of no tag before");
        Self { source, flags: (header[4] & 4 != 0, header[4] & 1 != 0) }
    }

    /// The next tag, or none where the stream ends after a whole one.
    #[track_caller]
    pub fn tag(&mut self) -> Option<Tag> {
        self.try_tag().unwrap()
    }

    /// The same; an error where the connection breaks.
    pub fn try_tag(&mut self) -> io::Result<Option<Tag>> {
        let mut header = [0; 11];
        let mut n = 0;
        while n < header.len() {
            match self.source.read(&mut header[n..])? {
                0 if n == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => n += more,
            }
        }
        let kind = match header[0] {
            8 => Kind::Audio,
            9 => Kind::Video,
            18 => Kind::Script,
            other => panic!("a tag of type {other}"),
        };
        assert_eq!(header[8..], [0, 0, 0], "the stream's number is always 0");
        let length = u32::from_be_bytes([0, header[1], header[2], header[3]]);
        let mut body = vec![0; length as usize];
        self.source.read_exact(&mut body)?;
        let mut size = [0; 4];
        self.source.read_exact(&mut size)?;
        assert_eq!(u32::from_be_bytes(size), length + 11, "size of the tag before");
        let timestamp = u32::from_be_bytes([header[7], header[4], header[5], header[6]]);
        Ok(Some(Tag { kind, timestamp, body }))
    }

    /// The stream below.
    pub fn source(&mut self) -> &mut R {
        &mut self.source
    }

    /// Skips to the next picture or frame of sound.
    #[track_caller]
    pub fn frame(&mut self) -> Option<Tag> {
        loop {
            let tag = self.tag()?;
            if tag.is_frame() {
                return Some(tag);
            }
        }
    }

    /// All tags to the end.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<Tag> {
        std::iter::from_fn(|| self.tag()).collect()
    }
}

impl Tag {
    /// Whether it is a picture or a frame of sound, rather than configuration.
    pub fn is_frame(&self) -> bool {
        match self.kind {
            Kind::Video => self.body.len() > 5 && (self.body[0] & 0x0f != 7 || self.body[1] == 1),
            Kind::Audio => self.body.len() > 2 && (self.body[0] >> 4 != 10 || self.body[1] == 1),
            Kind::Script => false,
        }
    }

    /// Whether decoding of pictures can begin here.
    pub fn is_keyframe(&self) -> bool {
        self.kind == Kind::Video && self.is_frame() && self.body[0] >> 4 == 1
    }

    /// Whether it is a decoder's configuration.
    pub fn is_sequence_header(&self) -> bool {
        match self.kind {
            Kind::Video => self.body.len() > 5 && self.body[0] & 0x0f == 7 && self.body[1] == 0,
            Kind::Audio => self.body.len() > 2 && self.body[0] >> 4 == 10 && self.body[1] == 0,
            Kind::Script => false,
        }
    }
}

/// Reads a file.
#[track_caller]
pub fn read_file(path: &std::path::Path) -> Vec<Tag> {
    FlvReader::new(std::fs::File::open(path).unwrap()).rest()
}
