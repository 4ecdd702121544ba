//! The index: `moov` (ISO/IEC 14496-12, 8.2 to 8.7). Its boxes nest as deep as is written here, and no
//! deeper ones are looked for.

use crate::boxes::{Atom, FourCc};
use crate::edits::Edits;
use crate::entry::{self, Entry};
use crate::fragments::Defaults;
use crate::samples::{Builder, MAX_SAMPLES, TableOfOffsets, TableOfSizes, Tables};
use crate::{Error, Movie, Track, TrackKind};

/// A movie in the making.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) tracks: Vec<TrackDraft>,
    fragmented: bool,
}

/// A track in the making.
#[derive(Debug)]
pub(crate) struct TrackDraft {
    pub(crate) head: TrackHead,
    /// What is in it, or why it cannot be played.
    pub(crate) media: Result<Media, Error>,
    pub(crate) defaults: Defaults,
}

/// What is known of any track.
#[derive(Debug)]
pub(crate) struct TrackHead {
    pub(crate) id: u32,
    pub(crate) enabled: bool,
    pub(crate) handler: FourCc,
    pub(crate) kind: Option<TrackKind>,
    /// Ticks per second; 0 where the media cannot be read.
    pub(crate) timescale: u32,
    /// As the file has it.
    pub(crate) language_code: u16,
    pub(crate) language: Option<String>,
    pub(crate) matrix: [u32; 9],
    /// In 65536ths of a pixel.
    pub(crate) size: (u32, u32),
    /// Name of its sample entry.
    pub(crate) format: Option<FourCc>,
}

/// Samples, and what is said of them.
#[derive(Debug)]
pub(crate) struct Media {
    pub(crate) entry: Entry,
    /// Number of the entry.
    pub(crate) description: u32,
    pub(crate) samples: Builder,
    pub(crate) edits: Edits,
}

/// Most tracks of a file.
pub const MAX_TRACKS: usize = 64;
/// Most entries of a `stsd` that are looked at.
const MAX_DESCRIPTIONS: usize = 16;
/// Most bytes of a language's name.
const MAX_LANGUAGE: usize = 35;

impl Draft {
    /// Reads a `moov` of a file of `size` bytes.
    pub(crate) fn read(moov: Atom<'_>, size: u64) -> Result<Self, Error> {
        if moov.find(b"cmov")?.is_some() {
            return Err(Error::Unsupported("its index is compressed (cmov)".to_owned()));
        }
        let timescale = movie_timescale(moov.need(b"mvhd")?)?;
        let mut tracks: Vec<TrackDraft> = Vec::new();
        let mut mvex = None;
        let mut left = MAX_SAMPLES;
        let mut found = 0;
        for child in moov.children() {
            let child = child?;
            match &child.kind.0 {
                b"trak" => {
                    found += 1;
                    if tracks.len() < MAX_TRACKS {
                        tracks.push(read_trak(child, timescale, size, &mut left)?);
                    }
                }
                b"mvex" => mvex = Some(child),
                _ => {}
            }
        }
        if found > MAX_TRACKS as u64 {
            return Err(Error::TooMuch { what: "tracks", found, most: MAX_TRACKS as u64 });
        }
        if let Some(mvex) = mvex {
            for child in mvex.children() {
                let child = child?;
                if child.kind.0 == *b"trex" {
                    let (id, defaults) = Defaults::read(child)?;
                    tracks.iter_mut().filter(|t| t.head.id == id).for_each(|t| t.defaults = defaults);
                }
            }
        }
        Ok(Self { tracks, fragmented: mvex.is_some() })
    }

    /// Samples are, or may be, in fragments as well.
    pub(crate) fn is_fragmented(&self) -> bool {
        self.fragmented
    }

    /// Bytes of memory of its samples.
    pub(crate) fn memory(&self) -> usize {
        self.tracks.iter().filter_map(|track| track.media.as_ref().ok()).map(|media| media.samples.memory()).sum()
    }

    /// The movie; `cut_off` where the file ends within a box.
    pub(crate) fn finish(self, size: u64, cut_off: bool) -> Result<Movie, Error> {
        let mut truncated = cut_off;
        let tracks = self.tracks.into_iter().map(|draft| {
            let media = draft.media.map(|media| {
                let (samples, cut_off) = media.samples.finish();
                truncated |= cut_off;
                (media.entry, samples, media.edits)
            });
            Track::new(draft.head, media)
        });
        let tracks = tracks.collect();
        Ok(Movie::new(size, self.fragmented, truncated, tracks))
    }
}

fn movie_timescale(mvhd: Atom<'_>) -> Result<u32, Error> {
    let mut fields = mvhd.fields();
    let (version, _) = fields.version()?;
    fields.skip(if version == 1 { 16 } else { 8 })?;
    match fields.u32()? {
        0 => Err(mvhd.invalid("its timescale is 0".to_owned())),
        timescale => Ok(timescale),
    }
}

/// Reads a track. What is wrong with its media is kept as its defect: other tracks may be played.
fn read_trak(trak: Atom<'_>, movie_timescale: u32, size: u64, left: &mut u32) -> Result<TrackDraft, Error> {
    let mut head = TrackHead {
        id: 0,
        enabled: false,
        handler: FourCc(*b"    "),
        kind: None,
        timescale: 0,
        language_code: millrace_fmp4::UNDETERMINED,
        language: None,
        matrix: millrace_fmp4::UPRIGHT,
        size: (0, 0),
        format: None,
    };
    read_tkhd(trak.need(b"tkhd")?, &mut head)?;
    let mdia = trak.need(b"mdia")?;
    let media = read_mdia(mdia, &mut head).and_then(|()| {
        let elst = trak.find(b"edts")?.map(|edts| edts.find(b"elst")).transpose()?.flatten();
        let edits = Edits::read(elst, movie_timescale, head.timescale)?;
        read_minf(mdia.need(b"minf")?, &mut head, edits, size, left)
    });
    Ok(TrackDraft { head, media, defaults: Defaults::default() })
}

fn read_tkhd(tkhd: Atom<'_>, head: &mut TrackHead) -> Result<(), Error> {
    let mut fields = tkhd.fields();
    let (version, flags) = fields.version()?;
    head.enabled = flags & 1 != 0;
    fields.skip(if version == 1 { 16 } else { 8 })?;
    head.id = fields.u32()?;
    fields.skip(4 + if version == 1 { 8 } else { 4 } + 8 + 8)?;
    for n in &mut head.matrix {
        *n = fields.u32()?;
    }
    head.size = (fields.u32()?, fields.u32()?);
    Ok(())
}

/// Kind, timescale and language.
fn read_mdia(mdia: Atom<'_>, head: &mut TrackHead) -> Result<(), Error> {
    let mut fields = mdia.need(b"hdlr")?.fields();
    fields.skip(8)?;
    head.handler = FourCc(*fields.take(4)?.first_chunk().expect("four bytes were taken"));
    head.kind = match &head.handler.0 {
        b"vide" => Some(TrackKind::Video),
        b"soun" => Some(TrackKind::Audio),
        _ => None,
    };
    let mdhd = mdia.need(b"mdhd")?;
    let mut fields = mdhd.fields();
    let (version, _) = fields.version()?;
    fields.skip(if version == 1 { 16 } else { 8 })?;
    let timescale = fields.u32()?;
    fields.skip(if version == 1 { 8 } else { 4 })?;
    let code = fields.u16()?;
    head.language = mdia.find(b"elng")?.and_then(extended_language).or_else(|| {
        let letters = [code >> 10 & 31, code >> 5 & 31, code & 31].map(|n| char::from_u32(0x60 + u32::from(n)));
        let letters: Option<String> = letters.into_iter().collect();
        letters.filter(|l| code < 0x8000 && l.bytes().all(|b| b.is_ascii_lowercase()) && l != "und")
    });
    if head.language.is_some() {
        head.language_code = code;
    }
    if timescale == 0 {
        return Err(mdhd.invalid("its timescale is 0".to_owned()));
    }
    head.timescale = timescale;
    Ok(())
}

/// A language as BCP 47 writes it (8.4.6).
fn extended_language(elng: Atom<'_>) -> Option<String> {
    let mut fields = elng.fields();
    fields.version().ok()?;
    let text = fields.rest().split(|b| *b == 0).next()?;
    let valid =
        (1..=MAX_LANGUAGE).contains(&text.len()) && text.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    String::from_utf8(text.to_vec()).ok().filter(|_| valid)
}

fn read_minf(minf: Atom<'_>, head: &mut TrackHead, edits: Edits, size: u64, left: &mut u32) -> Result<Media, Error> {
    let Some(kind) = head.kind else {
        return Err(Error::Unsupported(format!("its kind is neither pictures nor sound ({})", head.handler)));
    };
    let stbl = minf.need(b"stbl")?;
    let stsd = stbl.need(b"stsd")?;
    let mut fields = stsd.fields();
    let (version, _) = fields.version()?;
    fields.skip(4)?;
    let offset = stsd.offset + 8;
    let entries = crate::boxes::Children::of(fields.rest(), offset).take(MAX_DESCRIPTIONS);
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    head.format = entries.first().map(|e| e.kind);
    let mut tables = Tables::default();
    let description = read_tables(stbl, &mut tables)?;
    // Fragments say theirs, which must be the same.
    let entry = entries.get(description.unwrap_or(1).saturating_sub(1) as usize);
    let entry = *entry.ok_or_else(|| stsd.invalid("it has no such entry as the samples have".to_owned()))?;
    head.format = Some(entry.kind);
    if let Some(dref) = minf.find(b"dinf")?.map(|dinf| dinf.find(b"dref")).transpose()?.flatten() {
        check_reference(dref, entry)?;
    }
    let entry = match kind {
        TrackKind::Video => entry::read_video(entry)?,
        TrackKind::Audio => entry::read_audio(entry, version)?,
    };
    let count = tables.sizes.count();
    if count > *left {
        return Err(Error::TooMuch { what: "samples", found: count.into(), most: MAX_SAMPLES.into() });
    }
    *left -= count;
    if kind == TrackKind::Audio {
        (tables.compositions, tables.sync) = (&[], None);
    }
    let samples = Builder::from_tables(&tables, size)?;
    Ok(Media { entry, description: description.unwrap_or(0), samples, edits })
}

/// Finds the tables of samples; returns the number of their description, where there are samples.
fn read_tables<'a>(stbl: Atom<'a>, tables: &mut Tables<'a>) -> Result<Option<u32>, Error> {
    for child in stbl.children() {
        let child = child?;
        let mut fields = child.fields();
        match &child.kind.0 {
            b"stts" => {
                fields.version()?;
                tables.durations = fields.table()?;
            }
            b"ctts" => {
                fields.version()?;
                tables.compositions = fields.table()?;
            }
            b"stss" => {
                fields.version()?;
                tables.sync = Some(fields.table()?);
            }
            b"stsc" => {
                fields.version()?;
                tables.chunks = fields.table()?;
            }
            b"stsz" => {
                fields.version()?;
                let (size, count) = (fields.u32()?, fields.u32()?);
                tables.sizes = match size {
                    0 => TableOfSizes::Each(fields.entries(count)?),
                    size => TableOfSizes::Same { size, count },
                };
            }
            b"stz2" => {
                fields.version()?;
                let (bits, count) = (fields.u32()? & 0xff, fields.u32()?);
                let bytes = (u64::from(count) * u64::from(bits)).div_ceil(8);
                let bytes = fields.take(usize::try_from(bytes).unwrap_or(usize::MAX))?;
                tables.sizes = match bits {
                    4 => TableOfSizes::Compact { bits: 4, count, bytes },
                    8 => TableOfSizes::Compact { bits: 8, count, bytes },
                    16 => TableOfSizes::Compact { bits: 16, count, bytes },
                    _ => return Err(child.invalid(format!("sizes of {bits} bits"))),
                };
            }
            b"stco" => {
                fields.version()?;
                tables.offsets = TableOfOffsets::Short(fields.table()?);
            }
            b"co64" => {
                fields.version()?;
                tables.offsets = TableOfOffsets::Long(fields.table()?);
            }
            _ => {}
        }
    }
    let descriptions = || tables.chunks.iter().map(|run| u32::from_be_bytes([run[8], run[9], run[10], run[11]]));
    let first = descriptions().next();
    if descriptions().any(|other| Some(other) != first) {
        return Err(Error::Unsupported("its codec configuration changes within it".to_owned()));
    }
    Ok(first)
}

/// The media must be in the same file (8.7.2).
fn check_reference(dref: Atom<'_>, entry: Atom<'_>) -> Result<(), Error> {
    const IN_THIS_FILE: u32 = 1;
    let mut fields = entry.fields();
    fields.skip(6)?;
    let index = usize::from(fields.u16()?);
    let mut fields = dref.fields();
    fields.skip(8)?;
    let references = crate::boxes::Children::of(fields.rest(), dref.offset + 8);
    match references.take(index).last() {
        Some(Ok(reference)) if reference.fields().version()?.1 & IN_THIS_FILE == 0 && reference.kind.0 != *b"imdt" => {
            Err(Error::Unsupported("its media is in another file".to_owned()))
        }
        _ => Ok(()),
    }
}
