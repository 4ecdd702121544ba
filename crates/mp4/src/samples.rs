//! Where the samples of a track are and when they are decoded and shown, in little memory: about 4 bytes
//! a sample, 4 more where pictures are shown in another order than decoded, 8 for each run in the file.

use std::ops::Range;

use crate::Error;

/// The samples of a track, in decoding order.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    count: u32,
    /// When the first is decoded, ticks of the media.
    start: i64,
    sizes: Sizes,
    durations: Runs,
    /// PTS less DTS; none where they are the same throughout.
    compositions: Option<Vec<i32>>,
    /// Those with which decoding can begin, in order; none where it can with all.
    sync: Option<Vec<u32>>,
    /// The first sample of each chunk: of samples that lie one after the other.
    chunks: Vec<u32>,
    /// Where each chunk is: the lower half, and the upper half where it changes.
    offsets: Vec<u32>,
    uppers: Runs,
}

/// Most samples of all tracks of a file: a day of 60 pictures a second and of sound.
pub const MAX_SAMPLES: u32 = 10_000_000;

#[derive(Debug)]
enum Sizes {
    Same(u32),
    Each(Vec<u32>),
}

impl Default for Sizes {
    fn default() -> Self {
        Self::Each(Vec::new())
    }
}

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) index: u32,
    /// Where it is in the file.
    pub(crate) offset: u64,
    pub(crate) size: u32,
    /// Ticks of the media.
    pub(crate) dts: i64,
    pub(crate) duration: u32,
    /// PTS less DTS.
    pub(crate) composition: i32,
    pub(crate) sync: bool,
}

impl Sample {
    pub(crate) fn pts(&self) -> i64 {
        self.dts + i64::from(self.composition)
    }
}

/// A value for each index, said where it changes.
#[derive(Debug, Default)]
pub(crate) struct Runs(Vec<(u32, u32)>);

impl Runs {
    /// From `index` on, which rises from call to call, it is `value`.
    fn push(&mut self, index: u32, value: u32) {
        match self.0.last_mut() {
            Some(last) if last.1 == value => {}
            Some(last) if last.0 == index => last.1 = value,
            _ => self.0.push((index, value)),
        }
    }

    /// The run that has `index`.
    fn find(&self, index: u32) -> usize {
        self.0.partition_point(|(first, _)| *first <= index).saturating_sub(1)
    }

    fn value(&self, run: usize) -> u32 {
        self.0.get(run).map_or(0, |(_, value)| *value)
    }

    /// The run of `index`, where `run` is that of the index before.
    fn follow(&self, run: usize, index: u32) -> usize {
        if self.0.get(run + 1).is_some_and(|(first, _)| *first <= index) { run + 1 } else { run }
    }
}

impl Samples {
    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        let words = match &self.sizes {
            Sizes::Same(_) => 0,
            Sizes::Each(sizes) => sizes.capacity(),
        };
        let words = words
            + self.compositions.as_ref().map_or(0, Vec::capacity)
            + self.sync.as_ref().map_or(0, Vec::capacity)
            + self.chunks.capacity()
            + self.offsets.capacity();
        4 * words + 8 * (self.durations.0.capacity() + self.uppers.0.capacity())
    }

    fn size(&self, index: u32) -> u32 {
        match &self.sizes {
            Sizes::Same(size) => *size,
            Sizes::Each(sizes) => sizes.get(index as usize).copied().unwrap_or(0),
        }
    }

    fn chunk_offset(&self, chunk: usize) -> u64 {
        let lower = self.offsets.get(chunk).copied().unwrap_or(0);
        let index = u32::try_from(chunk).unwrap_or(u32::MAX);
        u64::from(self.uppers.value(self.uppers.find(index))) << 32 | u64::from(lower)
    }

    /// These samples; the first is decoded at `dts`.
    pub(crate) fn iter(&self, range: Range<u32>, dts: i64) -> Iter<'_> {
        let index = range.start;
        let chunk = self.chunks.partition_point(|first| *first <= index).saturating_sub(1);
        let first = self.chunks.get(chunk).copied().unwrap_or(0).min(index);
        let before: u64 = match &self.sizes {
            Sizes::Same(size) => u64::from(*size) * u64::from(index - first),
            Sizes::Each(sizes) => {
                sizes.get(first as usize..index as usize).unwrap_or_default().iter().map(|s| u64::from(*s)).sum()
            }
        };
        Iter {
            samples: self,
            index,
            end: range.end.min(self.count),
            dts,
            duration: self.durations.find(index),
            chunk,
            offset: self.chunk_offset(chunk).saturating_add(before),
            sync: self.sync.as_ref().map_or(0, |sync| sync.partition_point(|s| *s < index)),
        }
    }

    /// All samples.
    pub(crate) fn all(&self) -> Iter<'_> {
        self.iter(0..self.count, self.start)
    }
}

/// Walks over samples.
#[derive(Debug)]
pub(crate) struct Iter<'a> {
    samples: &'a Samples,
    index: u32,
    end: u32,
    dts: i64,
    /// Run of durations.
    duration: usize,
    chunk: usize,
    offset: u64,
    /// Next of the sync samples.
    sync: usize,
}

impl Iterator for Iter<'_> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        let (samples, index) = (self.samples, self.index);
        if index >= self.end {
            return None;
        }
        if samples.chunks.get(self.chunk + 1) == Some(&index) {
            self.chunk += 1;
            self.offset = samples.chunk_offset(self.chunk);
        }
        self.duration = samples.durations.follow(self.duration, index);
        let sync = match &samples.sync {
            None => true,
            Some(sync) => sync.get(self.sync) == Some(&index),
        };
        self.sync += usize::from(sync);
        let sample = Sample {
            index,
            offset: self.offset,
            size: samples.size(index),
            dts: self.dts,
            duration: samples.durations.value(self.duration),
            composition: samples.compositions.as_ref().and_then(|c| c.get(index as usize)).copied().unwrap_or(0),
            sync,
        };
        self.index += 1;
        self.dts += i64::from(sample.duration);
        self.offset = self.offset.saturating_add(sample.size.into());
        Some(sample)
    }
}

/// Puts samples together, from the tables of a `stbl` or from fragments.
#[derive(Debug)]
pub(crate) struct Builder {
    samples: Samples,
    /// Where the file ends.
    file: u64,
    /// Bytes of the samples.
    bytes: u64,
    /// A sample was left out, as it is not within the file, or there are more bytes of samples than the file has; none
    /// comes after it.
    cut_off: bool,
    /// When what comes next is decoded.
    next: i64,
}

/// The tables of a `stbl` (ISO/IEC 14496-12, 8.6 and 8.7), entries as they are in the file.
#[derive(Debug, Default)]
pub(crate) struct Tables<'a> {
    pub(crate) sizes: TableOfSizes<'a>,
    /// Number of samples, duration.
    pub(crate) durations: &'a [[u8; 8]],
    /// Number of samples, offset.
    pub(crate) compositions: &'a [[u8; 8]],
    pub(crate) sync: Option<&'a [[u8; 4]]>,
    /// First chunk, samples in each, description.
    pub(crate) chunks: &'a [[u8; 12]],
    pub(crate) offsets: TableOfOffsets<'a>,
}

/// `stsz` and `stz2`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TableOfSizes<'a> {
    Same {
        size: u32,
        count: u32,
    },
    Each(&'a [[u8; 4]]),
    /// Of 4, 8 or 16 bits.
    Compact {
        bits: u8,
        count: u32,
        bytes: &'a [u8],
    },
}

impl Default for TableOfSizes<'_> {
    fn default() -> Self {
        Self::Each(&[])
    }
}

impl TableOfSizes<'_> {
    pub(crate) fn count(&self) -> u32 {
        match self {
            Self::Same { count, .. } | Self::Compact { count, .. } => *count,
            Self::Each(sizes) => u32::try_from(sizes.len()).unwrap_or(u32::MAX),
        }
    }

    fn size(&self, index: u32) -> u32 {
        let n = index as usize;
        match self {
            Self::Same { size, .. } => *size,
            Self::Each(sizes) => sizes.get(n).map_or(0, |size| u32::from_be_bytes(*size)),
            Self::Compact { bits: 4, bytes, .. } => {
                let pair = bytes.get(n / 2).copied().unwrap_or(0);
                u32::from(if n.is_multiple_of(2) { pair >> 4 } else { pair & 0x0f })
            }
            Self::Compact { bits: 8, bytes, .. } => bytes.get(n).copied().unwrap_or(0).into(),
            Self::Compact { bytes, .. } => {
                bytes.get(2 * n..).and_then(<[u8]>::first_chunk).map_or(0, |size| u16::from_be_bytes(*size).into())
            }
        }
    }
}

/// `stco` and `co64`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TableOfOffsets<'a> {
    Short(&'a [[u8; 4]]),
    Long(&'a [[u8; 8]]),
}

impl Default for TableOfOffsets<'_> {
    fn default() -> Self {
        Self::Short(&[])
    }
}

impl TableOfOffsets<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Short(offsets) => offsets.len(),
            Self::Long(offsets) => offsets.len(),
        }
    }

    fn offset(&self, chunk: usize) -> u64 {
        match self {
            Self::Short(offsets) => offsets.get(chunk).map_or(0, |offset| u32::from_be_bytes(*offset).into()),
            Self::Long(offsets) => offsets.get(chunk).map_or(0, |offset| u64::from_be_bytes(*offset)),
        }
    }
}

impl Builder {
    /// For a file of so many bytes.
    pub(crate) fn new(file: u64) -> Self {
        Self { samples: Samples::default(), file, bytes: 0, cut_off: false, next: 0 }
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.samples.memory()
    }

    /// From the tables of a `stbl`, as far as they agree.
    pub(crate) fn from_tables(tables: &Tables<'_>, file: u64) -> Result<Self, Error> {
        let mut builder = Self::new(file);
        builder.place(tables)?;
        builder.time(tables);
        let samples = &mut builder.samples;
        samples.sync = tables.sync.map(|sync| {
            let numbers = sync.iter().map(|n| u32::from_be_bytes(*n).wrapping_sub(1)); // they count from 1
            let mut numbers: Vec<u32> = numbers.filter(|n| *n < samples.count).collect();
            numbers.sort_unstable();
            numbers.dedup();
            numbers.shrink_to_fit();
            numbers
        });
        Ok(builder)
    }

    /// Sizes and chunks, up to the first sample that is not within the file.
    fn place(&mut self, tables: &Tables<'_>) -> Result<(), Error> {
        let samples = &mut self.samples;
        let count = tables.sizes.count();
        let mut sizes = match tables.sizes {
            TableOfSizes::Same { .. } => None,
            _ => Some(Vec::with_capacity(count as usize)), // each has bits in the file
        };
        let last_chunk = u32::try_from(tables.offsets.len()).unwrap_or(u32::MAX);
        let mut index = 0;
        'all: for (n, run) in tables.chunks.iter().enumerate() {
            let [first, per_chunk, _] = words(run);
            let end = tables.chunks.get(n + 1).map_or(last_chunk, |next| words::<12, 3>(next)[0].saturating_sub(1));
            if first == 0 || end < first - 1 {
                return Err(Error::Unsupported("its table of chunks (stsc) is out of order".to_owned()));
            }
            for chunk in first - 1..end.min(last_chunk) {
                if index >= count {
                    break 'all;
                }
                if per_chunk == 0 {
                    continue;
                }
                let offset = tables.offsets.offset(chunk as usize);
                let begun = index;
                let mut at = offset;
                while index < count && index - begun < per_chunk {
                    let size = tables.sizes.size(index);
                    at = at.saturating_add(size.into());
                    self.bytes += u64::from(size);
                    if at > self.file || self.bytes > self.file {
                        self.cut_off = true;
                        break;
                    }
                    if let Some(sizes) = &mut sizes {
                        sizes.push(size);
                    }
                    index += 1;
                }
                if index > begun {
                    samples.push_chunk(begun, offset);
                }
                if self.cut_off {
                    break 'all;
                }
            }
        }
        samples.count = index;
        samples.sizes = match (sizes, tables.sizes) {
            (None, TableOfSizes::Same { size, .. }) => Sizes::Same(size),
            (sizes, _) => Sizes::Each(sizes.unwrap_or_default()),
        };
        Ok(())
    }

    /// Durations and composition offsets. Where the tables end early, the last entry goes on.
    fn time(&mut self, tables: &Tables<'_>) {
        let samples = &mut self.samples;
        let mut index = 0;
        for run in tables.durations {
            let [count, duration] = words(run);
            if index >= samples.count {
                break;
            }
            if count > 0 {
                samples.durations.push(index, duration);
                self.next += i64::from(duration) * i64::from(count.min(samples.count - index));
            }
            index = index.saturating_add(count);
        }
        if index < samples.count {
            let last = samples.durations.0.last().map_or(0, |(_, duration)| *duration);
            self.next += i64::from(last) * i64::from(samples.count - index);
        }
        if tables.compositions.iter().all(|run| run[4..] == [0; 4]) {
            return;
        }
        let mut compositions = Vec::with_capacity(samples.count as usize); // as many have been found in the file
        for run in tables.compositions {
            let [count, offset] = words(run);
            let count = (count as usize).min(samples.count as usize - compositions.len());
            compositions.resize(compositions.len() + count, offset.cast_signed());
        }
        samples.compositions = Some(compositions);
    }

    /// What comes next is decoded at `dts`: the sample before lasts until then, where it can.
    pub(crate) fn seek(&mut self, dts: i64) {
        let samples = &mut self.samples;
        let Some(last) = samples.count.checked_sub(1) else {
            (samples.start, self.next) = (dts, dts);
            return;
        };
        let duration = samples.durations.value(samples.durations.find(last));
        let begun = self.next - i64::from(duration);
        if let Ok(changed) = u32::try_from(dts - begun)
            && changed != duration
        {
            samples.durations.change_last(last, changed);
            self.next = dts;
        }
    }

    /// Begins a chunk of a fragment.
    pub(crate) fn begin_chunk(&mut self, offset: u64) {
        if !self.cut_off {
            self.samples.push_chunk(self.samples.count, offset);
        }
    }

    /// Adds a sample, which lies in the file up to `end`.
    pub(crate) fn push(&mut self, size: u32, end: u64, duration: u32, composition: i32, sync: bool) {
        self.bytes += u64::from(size);
        self.cut_off |= end > self.file || self.bytes > self.file;
        if self.cut_off {
            return;
        }
        let samples = &mut self.samples;
        let index = samples.count;
        match &mut samples.sizes {
            Sizes::Each(sizes) => sizes.push(size),
            Sizes::Same(same) => {
                let mut sizes = vec![*same; index as usize];
                sizes.push(size);
                samples.sizes = Sizes::Each(sizes);
            }
        }
        samples.durations.push(index, duration);
        if composition != 0 || samples.compositions.is_some() {
            let compositions = samples.compositions.get_or_insert_default();
            compositions.resize(index as usize, 0);
            compositions.push(composition);
        }
        match (&mut samples.sync, sync) {
            (None, true) => {}
            (Some(numbers), true) => numbers.push(index),
            (Some(_), false) => {}
            (None, false) => samples.sync = Some((0..index).collect()),
        }
        samples.count += 1;
        self.next = self.next.saturating_add(duration.into());
    }

    pub(crate) fn len(&self) -> u32 {
        self.samples.count
    }

    /// The samples, and whether some were left out as the file ends before they do.
    pub(crate) fn finish(mut self) -> (Samples, bool) {
        let samples = &mut self.samples;
        if let Sizes::Each(sizes) = &mut samples.sizes {
            sizes.shrink_to_fit();
        }
        if let Some(compositions) = &mut samples.compositions {
            compositions.shrink_to_fit();
        }
        if let Some(sync) = &mut samples.sync {
            sync.shrink_to_fit();
        }
        samples.chunks.shrink_to_fit();
        samples.offsets.shrink_to_fit();
        samples.durations.0.shrink_to_fit();
        samples.uppers.0.shrink_to_fit();
        (self.samples, self.cut_off)
    }
}

impl Samples {
    fn push_chunk(&mut self, first: u32, offset: u64) {
        if self.chunks.last() == Some(&first) {
            self.chunks.pop(); // it stayed empty
            self.offsets.pop();
        }
        let chunk = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX); // no more than samples
        let [upper, lower] = [offset >> 32, offset & u64::from(u32::MAX)].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        self.chunks.push(first);
        self.offsets.push(lower);
        self.uppers.push(chunk, upper);
    }
}

impl Runs {
    /// Gives `index`, the last that there is, a value of its own.
    fn change_last(&mut self, index: u32, value: u32) {
        match self.0.last_mut() {
            Some(last) if last.0 == index => last.1 = value,
            _ => self.0.push((index, value)),
        }
    }
}

/// Big-endian words.
fn words<const N: usize, const W: usize>(bytes: &[u8; N]) -> [u32; W] {
    let (words, _) = bytes.as_chunks::<4>();
    std::array::from_fn(|n| words.get(n).map_or(0, |word| u32::from_be_bytes(*word)))
}
