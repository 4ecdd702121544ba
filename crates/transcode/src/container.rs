//! What a file is, by its first bytes.
//!
//! The kinds are those that FFmpeg is let read; its name for each is passed with `-f`, so that it guesses nothing. What is
//! plainly something else is named, since "not a video" helps nobody who has taken the wrong file.

use std::fmt;

/// How many of a file's first bytes [`Container::of`] looks at, at most.
pub const HEAD_BYTES: usize = 4096;

/// A container of sound and pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Container {
    /// MP4, QuickTime, 3GP and fragmented MP4 (ISO/IEC 14496-12).
    Mp4,
    /// Matroska and WebM (RFC 9559).
    Matroska,
    /// MPEG transport stream, of 188 or 192 bytes a packet (ISO/IEC 13818-1).
    MpegTs,
    /// MPEG program stream (ISO/IEC 13818-1).
    MpegPs,
    /// Flash video.
    Flv,
    /// Audio Video Interleave.
    Avi,
    /// Windows Media (ASF).
    Asf,
    /// Ogg (RFC 3533).
    Ogg,
    /// Material Exchange Format.
    Mxf,
    /// Waveform audio.
    Wav,
    /// FLAC (RFC 9639).
    Flac,
    /// MPEG audio, layer 3 mostly.
    Mp3,
    /// AAC in ADTS frames.
    Adts,
}

/// Why a file is no container of sound and pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotMedia {
    /// It has no bytes.
    #[error("the file is empty")]
    Empty,
    /// It names other files, which are never opened.
    #[error("this is a playlist, not a video: upload the video itself")]
    Playlist,
    /// It is text.
    #[error("this is a text file, not a video")]
    Text,
    /// It is a picture.
    #[error("this is a picture, not a video")]
    Picture,
    /// It is a document.
    #[error("this is a document, not a video")]
    Document,
    /// It is an archive, which is not unpacked.
    #[error("this is an archive: unpack it and upload the video in it")]
    Archive,
    /// It is a program.
    #[error("this is a program, not a video")]
    Program,
    /// It is none that is known.
    #[error("this is no kind of video that is known here, or it is damaged at its beginning")]
    Unknown,
}

impl Container {
    /// What begins with `head`: the first [`HEAD_BYTES`] of a file, or all of a shorter one.
    ///
    /// # Errors
    /// What it is instead.
    pub fn of(head: &[u8]) -> Result<Self, NotMedia> {
        if head.is_empty() {
            return Err(NotMedia::Empty);
        }
        if let Some(other) = something_else(head) {
            return Err(other);
        }
        let at = |offset: usize, bytes: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(bytes));
        if is_mp4(head) {
            return Ok(Self::Mp4);
        }
        for (magic, container) in MAGIC {
            if at(0, magic) {
                return Ok(*container);
            }
        }
        if at(0, b"RIFF") && at(8, b"AVI ") {
            return Ok(Self::Avi);
        }
        if (at(0, b"RIFF") || at(0, b"RF64")) && at(8, b"WAVE") {
            return Ok(Self::Wav);
        }
        if is_ts(head) {
            return Ok(Self::MpegTs);
        }
        match head {
            // Layer 0 of MPEG audio's frame header is ADTS (ISO/IEC 13818-7, 6.2.1).
            [0xff, b, ..] if b & 0xf6 == 0xf0 => Ok(Self::Adts),
            [0xff, b, ..] if b & 0xe0 == 0xe0 && b & 0x18 != 0x08 && b & 0x06 != 0 => Ok(Self::Mp3),
            _ if is_text(head) => Err(NotMedia::Text),
            _ => Err(NotMedia::Unknown),
        }
    }

    /// What the names of such files end in, by their first bytes: of MP4 and Matroska there are two each.
    #[must_use]
    pub fn extension(self, head: &[u8]) -> &'static str {
        match self {
            Self::Mp4 if is_quicktime(head) => "mov",
            Self::Mp4 => "mp4",
            Self::Matroska if is_webm(head) => "webm",
            Self::Matroska => "mkv",
            Self::MpegTs => "ts",
            Self::MpegPs => "mpg",
            Self::Flv => "flv",
            Self::Avi => "avi",
            Self::Asf => "wmv",
            Self::Ogg => "ogg",
            Self::Mxf => "mxf",
            Self::Wav => "wav",
            Self::Flac => "flac",
            Self::Mp3 => "mp3",
            Self::Adts => "aac",
        }
    }

    /// FFmpeg's name for its reader.
    #[must_use]
    pub fn demuxer(self) -> &'static str {
        match self {
            Self::Mp4 => "mov",
            Self::Matroska => "matroska",
            Self::MpegTs => "mpegts",
            Self::MpegPs => "mpeg",
            Self::Flv => "flv",
            Self::Avi => "avi",
            Self::Asf => "asf",
            Self::Ogg => "ogg",
            Self::Mxf => "mxf",
            Self::Wav => "wav",
            Self::Flac => "flac",
            Self::Mp3 => "mp3",
            Self::Adts => "aac",
        }
    }
}

/// As people call it.
impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mp4 => "MP4",
            Self::Matroska => "Matroska",
            Self::MpegTs => "MPEG-TS",
            Self::MpegPs => "MPEG-PS",
            Self::Flv => "FLV",
            Self::Avi => "AVI",
            Self::Asf => "Windows Media",
            Self::Ogg => "Ogg",
            Self::Mxf => "MXF",
            Self::Wav => "WAV",
            Self::Flac => "FLAC",
            Self::Mp3 => "MP3",
            Self::Adts => "AAC",
        })
    }
}

/// Whether an MP4 is of the older kind that it was made after: its brand says so, or it has none.
fn is_quicktime(head: &[u8]) -> bool {
    match head.get(4..8) {
        Some(b"ftyp") => head.get(8..12) == Some(b"qt  "),
        Some(kind) => matches!(kind, b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot"),
        None => false,
    }
}

/// Whether Matroska says in its head (RFC 8794, 11.2.6) that it is WebM.
fn is_webm(head: &[u8]) -> bool {
    const DOC_TYPE: &[u8] = b"\x42\x82\x84webm";
    head[..head.len().min(64)].windows(DOC_TYPE.len()).any(|bytes| bytes == DOC_TYPE)
}

/// A box of the kinds that a file begins with, of a size that a box has.
fn is_mp4(head: &[u8]) -> bool {
    let (Some(size), Some(kind)) = (head.first_chunk::<4>(), head.get(4..8)) else { return false };
    let size = u32::from_be_bytes(*size);
    // 0: to the end of the file; 1: a 64-bit size follows.
    FIRST_BOXES.contains(&kind) && (size <= 1 || size >= 8)
}

/// A sync byte at each of the packets that are there, at least two.
fn is_ts(head: &[u8]) -> bool {
    let packets = |first: usize, size: usize| {
        let mut sync = head.iter().skip(first).step_by(size).take(5);
        head.len() > first + size && sync.all(|&byte| byte == 0x47)
    };
    packets(0, 188) || packets(4, 192)
}

fn something_else(head: &[u8]) -> Option<NotMedia> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if PLAYLISTS.iter().any(|start| starts_with_ignoring_case(text, start)) {
        return Some(NotMedia::Playlist);
    }
    if head.get(4..8) == Some(b"ftyp") && head.get(8..12).is_some_and(|brand| STILL_BRANDS.contains(&brand)) {
        return Some(NotMedia::Picture);
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return Some(NotMedia::Picture);
    }
    OTHERS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what)
}

fn starts_with_ignoring_case(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len()).is_some_and(|s| s.eq_ignore_ascii_case(start))
}

/// UTF-8 (the last character may be cut) without the controls that text does not have.
fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(_) => head,
        Err(e) if e.error_len().is_none() => &head[..e.valid_up_to()],
        Err(_) => return false,
    };
    !valid.is_empty() && !valid.iter().any(|&b| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b))
}

const FIRST_BOXES: &[&[u8]] =
    &[b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof", b"sidx", b"uuid"];

/// Brands of pictures in MP4's clothes: HEIF and AVIF.
const STILL_BRANDS: &[&[u8]] = &[b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"];

const MAGIC: &[(&[u8], Container)] = &[
    (&[0x1a, 0x45, 0xdf, 0xa3], Container::Matroska),
    (b"FLV\x01", Container::Flv),
    (&[0x00, 0x00, 0x01, 0xba], Container::MpegPs),
    (b"OggS", Container::Ogg),
    (&[0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11], Container::Asf),
    (&[0x06, 0x0e, 0x2b, 0x34, 0x02, 0x05, 0x01, 0x01], Container::Mxf),
    (b"fLaC", Container::Flac),
    (b"ID3", Container::Mp3),
];

const PLAYLISTS: &[&[u8]] = &[b"#EXTM3U", b"ffconcat", b"[playlist]", b"<MPD", b"<smil", b"<asx"];

const OTHERS: &[(&[u8], NotMedia)] = &[
    (&[0xff, 0xd8, 0xff], NotMedia::Picture),
    (b"\x89PNG", NotMedia::Picture),
    (b"GIF8", NotMedia::Picture),
    (b"II*\0", NotMedia::Picture),
    (b"MM\0*", NotMedia::Picture),
    (b"%PDF", NotMedia::Document),
    (&[0xd0, 0xcf, 0x11, 0xe0], NotMedia::Document),
    (b"PK\x03\x04", NotMedia::Archive),
    (b"Rar!", NotMedia::Archive),
    (b"7z\xbc\xaf\x27\x1c", NotMedia::Archive),
    (&[0x1f, 0x8b], NotMedia::Archive),
    (b"\xfd7zXZ", NotMedia::Archive),
    (b"BZh", NotMedia::Archive),
    (&[0x28, 0xb5, 0x2f, 0xfd], NotMedia::Archive),
    (b"MZ", NotMedia::Program),
    (b"\x7fELF", NotMedia::Program),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn containers_are_known_by_their_bytes() {
        let mut ts = vec![0; 188 * 3];
        ts.iter_mut().step_by(188).for_each(|b| *b = 0x47);
        assert_eq!(Container::of(&ts), Ok(Container::MpegTs));
        let mut m2ts = vec![0; 192 * 3];
        m2ts.iter_mut().skip(4).step_by(192).for_each(|b| *b = 0x47);
        assert_eq!(Container::of(&m2ts), Ok(Container::MpegTs));
        assert_eq!(Container::of(b"\0\0\0\x20ftypisom"), Ok(Container::Mp4));
        assert_eq!(Container::of(b"\0\0\0\x01mdat\0\0\0\x01"), Ok(Container::Mp4));
        assert_eq!(Container::of(b"RIFF\x10\0\0\0AVI LIST"), Ok(Container::Avi));
        assert_eq!(Container::of(b"RIFF\x10\0\0\0WAVEfmt "), Ok(Container::Wav));
        assert_eq!(Container::of(&[0xff, 0xfb, 0x90, 0x64]), Ok(Container::Mp3));
        assert_eq!(Container::of(&[0xff, 0xf1, 0x50, 0x80]), Ok(Container::Adts));
    }

    #[test]
    fn files_are_called_what_they_are() {
        let cases: [(&[u8], &str); 6] = [
            (b"\0\0\0\x20ftypisom", "mp4"),
            (b"\0\0\0\x14ftypqt  ", "mov"),
            (b"\0\0\0\x08wide\0\0\0\x01mdat", "mov"),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm\x42\x87", "webm"),
            (b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x88matroska\x42\x87", "mkv"),
            (b"FLV\x01", "flv"),
        ];
        for (head, extension) in cases {
            assert_eq!(Container::of(head).unwrap().extension(head), extension);
        }
    }

    #[test]
    fn what_is_no_video_is_named() {
        assert_eq!(Container::of(b""), Err(NotMedia::Empty));
        assert_eq!(Container::of(b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/\n"), Err(NotMedia::Playlist));
        assert_eq!(Container::of(b"\xef\xbb\xbf\n#extm3u\n"), Err(NotMedia::Playlist));
        assert_eq!(Container::of(b"ffconcat version 1.0\nfile '/etc/passwd'\n"), Err(NotMedia::Playlist));
        assert_eq!(Container::of("你好，这不是视频".as_bytes()), Err(NotMedia::Text));
        assert_eq!(Container::of(b"\0\0\0\x18ftypheic"), Err(NotMedia::Picture));
        assert_eq!(Container::of(b"PK\x03\x04..."), Err(NotMedia::Archive));
        assert_eq!(Container::of(&[0; 100]), Err(NotMedia::Unknown));
        // A single sync byte is no transport stream.
        assert_eq!(Container::of(b"G"), Err(NotMedia::Text));
    }

    proptest! {
        #[test]
        fn anything_is_told_without_a_panic(head in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = Container::of(&head);
        }
    }
}
