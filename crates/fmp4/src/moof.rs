//! The head of a fragment (ISO/IEC 14496-12, 8.8): `moof`, and what begins its `mdat`.

use crate::boxes::{put_u32, put_u64, write_box, write_full_box};

/// A sample as a fragment describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Decoding time, ticks of the track: not below 0, and none below that of the sample before.
    pub dts: i64,
    /// Presentation time less [`Self::dts`], ticks.
    pub composition: i32,
    /// Decoding can begin with it.
    pub keyframe: bool,
    /// Bytes.
    pub size: u32,
    /// Bytes of the `mdat` between the sample before and this one that are none of the track's.
    pub gap: u32,
}

/// A fragment of one track, whose samples lie one after the other behind its head, but for gaps.
#[derive(Debug, Clone, Copy)]
pub struct Moof<'a> {
    /// The track's number in the init segment.
    pub track_id: u32,
    /// Number of the fragment.
    pub sequence: u32,
    /// In decoding order; at most [`MAX_FRAGMENT_SAMPLES`](crate::MAX_FRAGMENT_SAMPLES).
    pub samples: &'a [Sample],
    /// Where the last sample ends, ticks.
    pub end: i64,
}

impl Moof<'_> {
    /// The `moof`, and the head of the `mdat`: the samples' bytes, and those of the gaps, come after it.
    #[must_use]
    pub fn head(&self) -> Vec<u8> {
        let layout = Layout::new(self);
        let payload = self.samples.iter().map(Sample::reach).sum::<u64>();
        let short = u32::try_from(payload + 8).ok();
        let mdat_head = if short.is_some() { 8 } else { 16 };
        let len = layout.len() + mdat_head;
        let mut out = Vec::with_capacity(len);
        layout.write(&mut out, len);
        put_u32(&mut out, short.unwrap_or(1)); // 1: the size is in 64 bits
        out.extend_from_slice(b"mdat");
        if short.is_none() {
            put_u64(&mut out, payload + 16);
        }
        debug_assert_eq!(out.len(), len);
        out
    }

    /// Samples without a gap between them: each has a `trun`.
    fn runs(&self) -> impl Iterator<Item = &[Sample]> {
        self.samples.chunk_by(|_, next| next.gap == 0)
    }

    /// From each sample to the next, and of the last to the end.
    fn durations(&self) -> impl Iterator<Item = u32> {
        let ends = self.samples.iter().skip(1).map(|s| s.dts).chain(std::iter::once(self.end));
        self.samples.iter().zip(ends).map(|(s, end)| u32::try_from(end - s.dts).unwrap_or(u32::MAX))
    }
}

impl Sample {
    /// Bytes of the `mdat` up to its end, from that of the sample before.
    fn reach(&self) -> u64 {
        u64::from(self.gap) + u64::from(self.size)
    }

    /// `sample_flags` of ISO/IEC 14496-12, 8.8.3.1.
    fn flags(&self) -> u32 {
        if self.keyframe { DEPENDS_ON_NONE } else { DEPENDS_ON_OTHERS }
    }
}

const DEPENDS_ON_NONE: u32 = 2 << 24;
const DEPENDS_ON_OTHERS: u32 = 1 << 24 | NON_SYNC;
const NON_SYNC: u32 = 1 << 16;

/// Which fields the boxes of a fragment have: what is the same for all samples is said once.
struct Layout<'a> {
    moof: &'a Moof<'a>,
    duration: Shared,
    size: Shared,
    flags: Shared,
    /// All but the first have the same flags.
    first_flags: Option<u32>,
    compositions: bool,
}

/// A field of the samples.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shared {
    Same(u32),
    Differs,
}

impl Shared {
    fn of(mut values: impl Iterator<Item = u32>) -> Self {
        match values.next() {
            Some(first) if values.all(|v| v == first) => Self::Same(first),
            _ => Self::Differs,
        }
    }

    fn flag(self, if_same: u32) -> u32 {
        if self == Self::Differs { 0 } else { if_same }
    }

    fn put(self, out: &mut Vec<u8>) {
        if let Self::Same(v) = self {
            put_u32(out, v);
        }
    }
}

impl<'a> Layout<'a> {
    fn new(moof: &'a Moof<'a>) -> Self {
        let samples = moof.samples;
        let all = Shared::of(samples.iter().map(Sample::flags));
        let rest = match samples {
            [_] => all,
            [_, rest @ ..] => Shared::of(rest.iter().map(Sample::flags)),
            [] => Shared::Differs,
        };
        let first_flags = samples.first().filter(|_| all != rest).map(Sample::flags);
        Self {
            moof,
            duration: Shared::of(moof.durations()),
            size: Shared::of(samples.iter().map(|s| s.size)),
            flags: rest,
            first_flags,
            compositions: samples.iter().any(|s| s.composition != 0),
        }
    }

    /// `tf_flags` of ISO/IEC 14496-12, 8.8.7.1: offsets count from the `moof`.
    fn tfhd_flags(&self) -> u32 {
        0x02_0000 | self.duration.flag(0x08) | self.size.flag(0x10) | self.flags.flag(0x20)
    }

    /// `tr_flags` of 8.8.8.1: the data's offset is present. The first sample's flags are in the first `trun` alone.
    fn trun_flags(&self, first_flags: Option<u32>) -> u32 {
        let differing = |field: Shared, flag| if field == Shared::Differs { flag } else { 0 };
        0x001
            | if first_flags.is_some() { 0x004 } else { 0 }
            | differing(self.duration, 0x100)
            | differing(self.size, 0x200)
            | differing(self.flags, 0x400)
            | if self.compositions { 0x800 } else { 0 }
    }

    /// Of the `moof`, bytes.
    fn len(&self) -> usize {
        const FIELDS: u32 = 0x38; // of a `tfhd`
        const PER_SAMPLE: u32 = 0xf00; // of a `trun`
        let tfhd = 16 + 4 * (self.tfhd_flags() & FIELDS).count_ones() as usize;
        let first = if self.first_flags.is_some() { 4 } else { 0 };
        let sample = 4 * (self.trun_flags(None) & PER_SAMPLE).count_ones() as usize;
        let truns = 20 * self.moof.runs().count() + first + sample * self.moof.samples.len();
        8 + 16 + 8 + tfhd + 20 + truns
    }

    fn write(&self, out: &mut Vec<u8>, data_offset: usize) {
        write_box(out, b"moof", |out| {
            write_full_box(out, b"mfhd", 0, 0, |out| put_u32(out, self.moof.sequence));
            write_box(out, b"traf", |out| self.write_traf(out, data_offset));
        });
    }

    fn write_traf(&self, out: &mut Vec<u8>, data_offset: usize) {
        write_full_box(out, b"tfhd", 0, self.tfhd_flags(), |out| {
            put_u32(out, self.moof.track_id);
            self.duration.put(out);
            self.size.put(out);
            self.flags.put(out);
        });
        let start = self.moof.samples.first().map_or(0, |s| s.dts.unsigned_abs());
        write_full_box(out, b"tfdt", 1, 0, |out| put_u64(out, start));
        let (mut durations, mut first_flags) = (self.moof.durations(), self.first_flags);
        let mut offset = data_offset as u64;
        for run in self.moof.runs() {
            offset += run.first().map_or(0, |sample| u64::from(sample.gap));
            self.write_trun(out, offset, first_flags.take(), run, &mut durations);
            offset += run.iter().map(|sample| u64::from(sample.size)).sum::<u64>();
        }
    }

    fn write_trun(
        &self,
        out: &mut Vec<u8>,
        data_offset: u64,
        first_flags: Option<u32>,
        run: &[Sample],
        durations: &mut impl Iterator<Item = u32>,
    ) {
        write_full_box(out, b"trun", 1, self.trun_flags(first_flags), |out| {
            put_u32(out, u32::try_from(run.len()).expect("at most MAX_FRAGMENT_SAMPLES"));
            put_u32(out, u32::try_from(data_offset).expect("gaps are in fragments of less than 2 GiB"));
            if let Some(flags) = first_flags {
                put_u32(out, flags);
            }
            for (sample, duration) in run.iter().zip(durations) {
                if self.duration == Shared::Differs {
                    put_u32(out, duration);
                }
                if self.size == Shared::Differs {
                    put_u32(out, sample.size);
                }
                if self.flags == Shared::Differs {
                    put_u32(out, sample.flags());
                }
                if self.compositions {
                    out.extend_from_slice(&sample.composition.to_be_bytes());
                }
            }
        });
    }
}
