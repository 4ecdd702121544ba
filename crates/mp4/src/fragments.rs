//! Movie fragments (ISO/IEC 14496-12, 8.8): `moof` with its `traf`s and `trun`s, read into the same
//! tables that files without fragments have.

use crate::boxes::Atom;
use crate::edits::MAX_TICKS;
use crate::moov::{Draft, Media, TrackDraft};
use crate::samples::MAX_SAMPLES;
use crate::{Error, TrackKind};

/// What holds where a fragment says nothing else: `trex`, and then `tfhd`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Defaults {
    description: u32,
    duration: u32,
    size: u32,
    flags: u32,
}

impl Defaults {
    /// Reads a `trex`; returns the track's number as well.
    pub(crate) fn read(trex: Atom<'_>) -> Result<(u32, Self), Error> {
        let mut fields = trex.fields();
        fields.version()?;
        let id = fields.u32()?;
        let (description, duration) = (fields.u32()?, fields.u32()?);
        Ok((id, Self { description, duration, size: fields.u32()?, flags: fields.u32()? }))
    }
}

impl Draft {
    /// Adds the samples of a `moof` of a file of `size` bytes.
    pub(crate) fn add_fragment(&mut self, moof: Atom<'_>, size: u64) -> Result<(), Error> {
        let head = (moof.whole.len() - moof.content.len()) as u64;
        // Offsets count from the fragment, or go on from those of the track before (8.8.7.1).
        let start = moof.offset - head;
        let mut end = start;
        for traf in moof.children() {
            let traf = traf?;
            if traf.kind.0 == *b"traf" {
                end = self.add_traf(traf, start, end, size)?;
            }
        }
        Ok(())
    }

    fn add_traf(&mut self, traf: Atom<'_>, moof: u64, before: u64, size: u64) -> Result<u64, Error> {
        let tfhd = traf.need(b"tfhd")?;
        let mut fields = tfhd.fields();
        let (_, flags) = fields.version()?;
        let id = fields.u32()?;
        let mut present: u64 =
            self.tracks.iter().filter_map(|t| t.media.as_ref().ok()).map(|m| u64::from(m.samples.len())).sum();
        let Some(track) = self.tracks.iter_mut().find(|t| t.head.id == id) else { return Ok(before) };
        let mut defaults = track.defaults;
        let base = match flags {
            f if f & 0x01 != 0 => fields.u64()?,
            f if f & 0x02_0000 != 0 => moof,
            _ => before,
        };
        let mut say = |flag, field: &mut u32| {
            if flags & flag != 0 {
                *field = fields.u32()?;
            }
            Ok::<_, Error>(())
        };
        say(0x02, &mut defaults.description)?;
        say(0x08, &mut defaults.duration)?;
        say(0x10, &mut defaults.size)?;
        say(0x20, &mut defaults.flags)?;
        let TrackDraft { head, media: state, .. } = track;
        let Ok(media) = state else { return Ok(base) };
        if media.description == 0 {
            media.description = defaults.description;
        }
        if media.description != defaults.description || defaults.description > 1 && media.samples.len() == 0 {
            *state = Err(Error::Unsupported("its codec configuration changes within it".to_owned()));
            return Ok(base);
        }
        if let Some(tfdt) = traf.find(b"tfdt")? {
            let mut fields = tfdt.fields();
            let (version, _) = fields.version()?;
            let time = i64::try_from(fields.u32_or_u64(version == 1)?).ok().filter(|t| *t <= MAX_TICKS);
            let time = time.ok_or_else(|| tfdt.invalid("a time that no clock has".to_owned()))?;
            media.samples.seek(time);
        }
        let mut at = base;
        for trun in traf.children() {
            let trun = trun?;
            if trun.kind.0 == *b"trun" {
                let run = Run { defaults, sound: head.kind == Some(TrackKind::Audio), size };
                at = run.add(trun, media, base, at, &mut present)?;
            }
        }
        Ok(at)
    }
}

/// What a `trun` is read with.
struct Run {
    defaults: Defaults,
    sound: bool,
    /// Of the file.
    size: u64,
}

impl Run {
    /// Adds the samples of a `trun`; returns where their bytes end.
    fn add(&self, trun: Atom<'_>, media: &mut Media, base: u64, after: u64, present: &mut u64) -> Result<u64, Error> {
        const NON_SYNC: u32 = 1 << 16;
        let mut fields = trun.fields();
        let (_, flags) = fields.version()?;
        let count = fields.u32()?;
        *present += u64::from(count);
        if *present > MAX_SAMPLES.into() {
            return Err(Error::TooMuch { what: "samples", found: *present, most: MAX_SAMPLES.into() });
        }
        let mut at = after;
        if flags & 0x001 != 0 {
            let offset = i64::from(fields.i32()?);
            at = base.checked_add_signed(offset).ok_or_else(|| trun.invalid(format!("data at {base}{offset:+}")))?;
        }
        let mut first_flags = if flags & 0x004 != 0 { Some(fields.u32()?) } else { None };
        if flags & 0x200 == 0 && self.defaults.size == 0 {
            return Ok(at); // samples without bytes
        }
        media.samples.begin_chunk(at);
        let mut field = |flag, default| if flags & flag != 0 { fields.u32() } else { Ok(default) };
        for _ in 0..count {
            let duration = field(0x100, self.defaults.duration)?;
            let size = field(0x200, self.defaults.size)?;
            let sample_flags = field(0x400, self.defaults.flags)?;
            let composition = field(0x800, 0)?.cast_signed();
            let sample_flags = first_flags.take().unwrap_or(sample_flags);
            at = at.saturating_add(size.into());
            let (composition, sync) = if self.sound { (0, true) } else { (composition, sample_flags & NON_SYNC == 0) };
            media.samples.push(size, at, duration, composition, sync);
            if at > self.size {
                break; // nothing comes after what the file lacks
            }
        }
        Ok(at)
    }
}
