//! Files that are put together box by box.

use millrace_fmp4::boxes::{put_u16, put_u32, put_u64, put_zeros, write_box, write_full_box};

/// A sample of a track; its bytes are its own.
#[derive(Debug, Clone)]
pub struct Sample {
    pub size: usize,
    pub duration: u32,
    pub composition: i32,
    pub sync: bool,
}

/// A track of pictures in VP9, or of sound in Opus, as far as an index goes.
#[derive(Debug, Clone)]
pub struct Track {
    pub video: bool,
    pub timescale: u32,
    pub samples: Vec<Sample>,
    /// Samples in each chunk, over and over.
    pub per_chunk: Vec<usize>,
    /// Duration in milliseconds, time.
    pub edits: Vec<(u32, i32)>,
}

impl Track {
    pub fn new(video: bool, timescale: u32, samples: Vec<Sample>) -> Self {
        Self { video, timescale, samples, per_chunk: vec![3], edits: vec![] }
    }
}

/// How boxes are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    IndexFirst,
    IndexLast,
    /// Offsets and the size of `mdat` in 64 bits.
    Long,
}

/// The bytes of a sample.
pub fn payload(track: usize, sample: usize, size: usize) -> Vec<u8> {
    (0..size).map(|n| (track * 101 + sample * 7 + n) as u8).collect()
}

/// A file whose tracks' chunks take turns.
pub fn file(tracks: &[Track], form: Form) -> Vec<u8> {
    let mut out = Vec::new();
    write_box(&mut out, b"ftyp", |out| out.extend_from_slice(b"isom\0\0\0\0isom"));
    let (media, chunks) = media(tracks);
    let mdat = |out: &mut Vec<u8>| {
        put_u32(out, if form == Form::Long { 1 } else { media.len() as u32 + 8 });
        out.extend_from_slice(b"mdat");
        if form == Form::Long {
            put_u64(out, media.len() as u64 + 16);
        }
        out.extend_from_slice(&media);
    };
    let moov_len = moov(tracks, &chunks, 0, form).len();
    match form {
        Form::IndexFirst => {
            let start = out.len() + moov_len + 8;
            out.extend(moov(tracks, &chunks, start, form));
            mdat(&mut out);
        }
        Form::IndexLast | Form::Long => {
            let start = out.len() + if form == Form::Long { 16 } else { 8 };
            mdat(&mut out);
            out.extend(moov(tracks, &chunks, start, form));
        }
    }
    out
}

/// The bytes of all samples; and of each track the chunks: offset and number of samples.
fn media(tracks: &[Track]) -> (Vec<u8>, Vec<Vec<(usize, usize)>>) {
    let mut media = Vec::new();
    let mut chunks = vec![vec![]; tracks.len()];
    let mut done = vec![0; tracks.len()];
    while done.iter().zip(tracks).any(|(done, track)| *done < track.samples.len()) {
        for (n, track) in tracks.iter().enumerate() {
            let count = track.per_chunk[chunks[n].len() % track.per_chunk.len()].min(track.samples.len() - done[n]);
            if count == 0 {
                continue;
            }
            chunks[n].push((media.len(), count));
            for index in done[n]..done[n] + count {
                media.extend(payload(n, index, track.samples[index].size));
            }
            done[n] += count;
        }
    }
    (media, chunks)
}

fn moov(tracks: &[Track], chunks: &[Vec<(usize, usize)>], start: usize, form: Form) -> Vec<u8> {
    let mut out = Vec::new();
    write_box(&mut out, b"moov", |out| {
        mvhd(out, 1000);
        for (n, (track, chunks)) in tracks.iter().zip(chunks).enumerate() {
            write_box(out, b"trak", |out| trak(out, n, track, chunks, start, form));
        }
    });
    out
}

pub fn mvhd(out: &mut Vec<u8>, timescale: u32) {
    write_full_box(out, b"mvhd", 0, 0, |out| {
        put_zeros(out, 8);
        put_u32(out, timescale);
        put_zeros(out, 84);
    });
}

fn trak(out: &mut Vec<u8>, n: usize, track: &Track, chunks: &[(usize, usize)], start: usize, form: Form) {
    tkhd(out, n as u32 + 1);
    if !track.edits.is_empty() {
        write_box(out, b"edts", |out| {
            write_full_box(out, b"elst", 0, 0, |out| {
                put_u32(out, track.edits.len() as u32);
                for (duration, time) in &track.edits {
                    put_u32(out, *duration);
                    put_u32(out, time.cast_unsigned());
                    put_u32(out, 0x0001_0000);
                }
            });
        });
    }
    write_box(out, b"mdia", |out| {
        mdhd(out, track.timescale);
        hdlr(out, if track.video { b"vide" } else { b"soun" });
        write_box(out, b"minf", |out| {
            write_box(out, b"stbl", |out| {
                stsd(out, track.video);
                tables(out, track, chunks, start, form);
            });
        });
    });
}

pub fn tkhd(out: &mut Vec<u8>, id: u32) {
    write_full_box(out, b"tkhd", 0, 1, |out| {
        put_zeros(out, 8);
        put_u32(out, id);
        put_zeros(out, 24);
        millrace_fmp4::UPRIGHT.iter().for_each(|n| put_u32(out, *n));
        put_zeros(out, 8);
    });
}

pub fn mdhd(out: &mut Vec<u8>, timescale: u32) {
    write_full_box(out, b"mdhd", 0, 0, |out| {
        put_zeros(out, 8);
        put_u32(out, timescale);
        put_zeros(out, 8);
    });
}

pub fn hdlr(out: &mut Vec<u8>, kind: &[u8; 4]) {
    write_full_box(out, b"hdlr", 0, 0, |out| {
        put_u32(out, 0);
        out.extend_from_slice(kind);
        put_zeros(out, 13);
    });
}

pub fn stsd(out: &mut Vec<u8>, video: bool) {
    write_full_box(out, b"stsd", 0, 0, |out| {
        put_u32(out, 1);
        if video { vp09(out) } else { opus(out) }
    });
}

fn vp09(out: &mut Vec<u8>) {
    write_box(out, b"vp09", |out| {
        put_zeros(out, 6);
        put_u16(out, 1);
        put_zeros(out, 16);
        put_u16(out, 320);
        put_u16(out, 180);
        put_zeros(out, 50);
        write_full_box(out, b"vpcC", 1, 0, |out| out.extend_from_slice(&[0, 10, 0x82, 1, 1, 1, 0, 0]));
    });
}

fn opus(out: &mut Vec<u8>) {
    write_box(out, b"Opus", |out| {
        put_zeros(out, 6);
        put_u16(out, 1);
        put_zeros(out, 8);
        put_u16(out, 2);
        put_u16(out, 16);
        put_zeros(out, 4);
        put_u32(out, 48_000 << 16);
        write_box(out, b"dOps", |out| out.extend_from_slice(&[0, 2, 0, 0, 0, 0, 0xbb, 0x80, 0, 0, 0]));
    });
}

fn tables(out: &mut Vec<u8>, track: &Track, chunks: &[(usize, usize)], start: usize, form: Form) {
    let samples = &track.samples;
    let runs = |values: Vec<u32>| {
        let mut runs: Vec<(u32, u32)> = vec![];
        for value in values {
            match runs.last_mut() {
                Some((count, last)) if *last == value => *count += 1,
                _ => runs.push((1, value)),
            }
        }
        runs
    };
    let mut table = |kind: &[u8; 4], version: u8, runs: Vec<(u32, u32)>| {
        write_full_box(out, kind, version, 0, |out| {
            put_u32(out, runs.len() as u32);
            runs.iter().for_each(|(count, value)| [*count, *value].iter().for_each(|n| put_u32(out, *n)));
        });
    };
    table(b"stts", 0, runs(samples.iter().map(|s| s.duration).collect()));
    if samples.iter().any(|s| s.composition != 0) {
        table(b"ctts", 1, runs(samples.iter().map(|s| s.composition.cast_unsigned()).collect()));
    }
    if samples.iter().any(|s| !s.sync) {
        write_full_box(out, b"stss", 0, 0, |out| {
            let sync: Vec<u32> = (1..).zip(samples).filter(|(_, s)| s.sync).map(|(n, _)| n).collect();
            put_u32(out, sync.len() as u32);
            sync.iter().for_each(|n| put_u32(out, *n));
        });
    }
    write_full_box(out, b"stsc", 0, 0, |out| {
        put_u32(out, chunks.len() as u32);
        for (n, (_, count)) in (1..).zip(chunks) {
            [n, *count as u32, 1].iter().for_each(|n| put_u32(out, *n));
        }
    });
    write_full_box(out, b"stsz", 0, 0, |out| {
        let same = samples.windows(2).all(|pair| pair[0].size == pair[1].size) && samples.iter().all(|s| s.size > 0);
        put_u32(out, if same { samples.first().map_or(0, |s| s.size as u32) } else { 0 });
        put_u32(out, samples.len() as u32);
        samples.iter().filter(|_| !same).for_each(|s| put_u32(out, s.size as u32));
    });
    let kind = if form == Form::Long { b"co64" } else { b"stco" };
    write_full_box(out, kind, 0, 0, |out| {
        put_u32(out, chunks.len() as u32);
        for (offset, _) in chunks {
            if form == Form::Long {
                put_u64(out, (start + offset) as u64);
            } else {
                put_u32(out, (start + offset) as u32);
            }
        }
    });
}
