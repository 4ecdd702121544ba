//! Edit lists (ISO/IEC 14496-12, 8.6.6): which part of the media is shown, and when.

use crate::Error;
use crate::boxes::Atom;

/// What an edit list says, as far as it is one part of the media, shown after a pause or at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Edits {
    /// Before the media begins, ticks of the media.
    pub(crate) delay: i64,
    /// Where the media begins, where that is said, ticks of the media.
    pub(crate) start: Option<i64>,
    /// Where it ends, where that is not the end of the media.
    pub(crate) end: Option<i64>,
}

impl Edits {
    /// Reads an `elst`, where there is one.
    pub(crate) fn read(elst: Option<Atom<'_>>, movie_timescale: u32, timescale: u32) -> Result<Self, Error> {
        let Some(elst) = elst else { return Ok(Self::default()) };
        let mut fields = elst.fields();
        let (version, _) = fields.version()?;
        let count = fields.u32()?;
        let mut edits = Self::default();
        for _ in 0..count {
            let (duration, time) = if version == 1 {
                (fields.u64()?, fields.u64()?.cast_signed())
            } else {
                (fields.u32()?.into(), fields.i32()?.into())
            };
            let rate = fields.u32()?;
            let length = ticks(duration, movie_timescale, timescale)
                .ok_or_else(|| elst.invalid(format!("an edit of {duration} ticks")))?;
            if time == EMPTY {
                // At the end it says nothing.
                if edits.start.is_none() {
                    edits.delay = edits.delay.checked_add(length).filter(|d| *d <= MAX_TICKS).unwrap_or(MAX_TICKS);
                }
                continue;
            }
            if !(0..=MAX_TICKS).contains(&time) {
                return Err(elst.invalid(format!("an edit at {time}")));
            }
            if rate != NORMAL {
                return Err(Error::Unsupported("its edit list changes the speed".to_owned()));
            }
            let end = Some(time + length).filter(|_| duration > 0);
            if edits.start.is_none() {
                (edits.start, edits.end) = (Some(time), end);
            } else {
                // Parts that follow each other are one; the movie's ticks may be coarser than the media's.
                let slack = i64::from(timescale / movie_timescale) + 1;
                if edits.end.is_none_or(|before| (before - time).abs() > slack) {
                    return Err(Error::Unsupported("its edit list puts several parts together".to_owned()));
                }
                edits.end = end;
            }
        }
        Ok(edits)
    }
}

/// No time or length in a file is taken to be more: 2^60 ticks leave room for sums.
pub(crate) const MAX_TICKS: i64 = 1 << 60;
const EMPTY: i64 = -1;
/// 1 in 16.16.
const NORMAL: u32 = 0x0001_0000;

/// From one timescale to another, to the nearest.
fn ticks(n: u64, from: u32, to: u32) -> Option<i64> {
    let (n, from, to) = (u128::from(n), u128::from(from), u128::from(to));
    i64::try_from((n * to + from / 2) / from).ok().filter(|t| *t <= MAX_TICKS)
}
