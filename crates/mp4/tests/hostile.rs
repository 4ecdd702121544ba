//! Files that lie, that are cut off, or that are meant to do harm: they are refused in words, and take no more memory than
//! is said.
#![allow(clippy::unwrap_used)]

mod support;

use std::ops::Range;

use millrace_fmp4::boxes::{put_u32, put_u64, put_zeros, write_box, write_full_box};
use millrace_mp4::{
    Error, MAX_BOXES, MAX_DURATION, MAX_HIDDEN, MAX_MOOF_BYTES, MAX_MOOV_BYTES, MAX_SAMPLE_ENTRY, MAX_SAMPLES,
    MAX_SEGMENTS, MAX_TRACKS, Movie, Plan, Reader, TARGET_DURATION,
};
use proptest::prelude::*;
use support::build::{self, Form, Sample, Track, file, hdlr, mdhd, mvhd, stsd, tkhd};
use support::{exercise, read};

fn samples(count: usize) -> Vec<Sample> {
    (0..count).map(|n| Sample { size: 5 + n % 3, duration: 1000, composition: 500, sync: n % 7 == 0 }).collect()
}

fn small(form: Form) -> Vec<u8> {
    let sound = (0..30).map(|_| Sample { size: 2, duration: 960, composition: 0, sync: true }).collect();
    file(&[Track::new(true, 30_000, samples(40)), Track::new(false, 48_000, sound)], form)
}

/// In fragments, out of what is packaged of another.
fn fragmented() -> Vec<u8> {
    let whole = small(Form::IndexFirst);
    let plan = support::plan(&whole, TARGET_DURATION);
    support::joined(plan.video().unwrap(), &whole)
}

/// Where the content of the `n`th box of a kind is.
fn at(file: &[u8], kind: &[u8; 4], n: usize) -> usize {
    file.windows(4).enumerate().filter(|(_, w)| w == kind).nth(n).unwrap().0 + 4
}

fn patch(file: &mut [u8], kind: &[u8; 4], offset: usize, bytes: &[u8]) {
    let at = at(file, kind, 0) + offset;
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// What is said of the pictures of a file that is patched.
fn defect(kind: &[u8; 4], offset: usize, bytes: &[u8]) -> String {
    let mut file = small(Form::IndexFirst);
    patch(&mut file, kind, offset, bytes);
    let movie = read(&file).unwrap();
    assert!(movie.video().is_none() && movie.audio().is_some(), "the sound is played all the same");
    movie.tracks()[0].defect().unwrap().to_string()
}

fn refusal(file: &[u8]) -> String {
    read(file).unwrap_err().to_string()
}

#[test]
fn what_is_no_mp4_is_told_from_its_first_bytes() {
    assert!(Reader::new(0).unwrap_err().to_string().contains("0 bytes long"));
    for bytes in [&b"RIFF\0\0\0\0AVI LIST"[..], b"\x1a\x45\xdf\xa3 matroska", b"<html><body></body></html>", &[0; 99]] {
        assert!(refusal(bytes).starts_with("this is no MP4 or QuickTime file"), "{}", refusal(bytes));
    }
    assert!(refusal(b"\0\0\0\x08ftyp").contains("no index"));
}

#[test]
fn the_reader_takes_what_it_asked_for_and_no_more() {
    let file = small(Form::IndexLast);
    let mut reader = Reader::new(file.len() as u64).unwrap();
    let Range { start, end } = reader.wants().unwrap();
    for (offset, bytes) in [(start + 1, &file[..4]), (start, &[]), (start, &[0; 9000])] {
        assert!(matches!(reader.feed(offset, bytes), Err(Error::NotWanted { .. })));
    }
    assert_eq!(reader.wants(), Some(start..end));
    assert!(reader.finish().is_err());
    // Bytes may come one by one.
    let mut reader = Reader::new(file.len() as u64).unwrap();
    while let Some(range) = reader.wants() {
        reader.feed(range.start, &file[range.start as usize..=range.start as usize]).unwrap();
    }
    assert_eq!(reader.finish().unwrap().video().unwrap().samples(), 40);
}

#[test]
fn cut_off_anywhere() {
    for (file, name) in [(small(Form::IndexFirst), "first"), (small(Form::Long), "last"), (fragmented(), "fragments")] {
        let mut played = 0;
        for len in 0..file.len() {
            let part = &file[..len];
            match read_of(part) {
                Ok(movie) => {
                    assert!(movie.is_truncated() || movie.is_fragmented(), "{name}: {len}");
                    played += 1;
                    exercise(movie);
                }
                Err(error) => {
                    let said = error.to_string();
                    assert!(said.contains("cut off") || said.contains("no MP4"), "{name}: {len}: {said}");
                }
            }
        }
        assert_eq!(played > 0, name != "last", "{name}");
    }
}

fn read_of(part: &[u8]) -> Result<Movie, Error> {
    let mut reader = Reader::new(part.len() as u64)?;
    while let Some(range) = reader.wants() {
        reader.feed(range.start, &part[range.start as usize..range.end as usize])?;
    }
    reader.finish()
}

#[test]
fn counts_that_lie() {
    for kind in [b"stts", b"ctts", b"stss", b"stsc", b"stco"] {
        let said = defect(kind, 4, &u32::MAX.to_be_bytes());
        assert!(said.contains(&*String::from_utf8_lossy(kind)) && said.contains("bytes needed"), "{said}");
    }
    let said = defect(b"stsz", 8, &41u32.to_be_bytes());
    assert!(said.contains("164 bytes needed, 160 there"), "{said}");
    // A run of more samples than there are ends with them.
    let mut file = small(Form::IndexFirst);
    patch(&mut file, b"stts", 8, &u32::MAX.to_be_bytes());
    patch(&mut file, b"ctts", 8, &u32::MAX.to_be_bytes());
    let movie = read(&file).unwrap();
    assert_eq!((movie.video().unwrap().samples(), movie.memory() < 4096), (40, true));
    exercise(movie);
}

#[test]
fn nonsense_is_refused_in_words() {
    assert!(defect(b"mdhd", 12, &[0; 4]).contains("timescale is 0"));
    assert!(defect(b"stsc", 8, &[0; 4]).contains("out of order"));
    assert!(defect(b"stsc", 16, &2u32.to_be_bytes()).contains("changes within it"));
    assert!(defect(b"stsd", 12, b"encv").contains("encrypted"));
    assert!(defect(b"vpcC", 4, &[9]).contains("profile 9"));
    let mut file = small(Form::IndexFirst);
    patch(&mut file, b"mvhd", 12, &[0; 4]);
    assert!(refusal(&file).contains("timescale is 0"));
    let mut file = small(Form::IndexFirst);
    patch(&mut file, b"mvhd", 0, &[0; 4]);
    let at = at(&file, b"mvhd", 0);
    file[at - 4..at].copy_from_slice(b"cmov");
    assert!(refusal(&file).contains("compressed"));
    // A box that is larger than what it is in, one that has no room for its head, and one that goes on to the end.
    for (size, said) in [(u32::MAX, "has room for"), (7, "7 bytes long"), (0, "no hdlr")] {
        let mut file = small(Form::IndexFirst);
        patch(&mut file, b"mdia", 0, &size.to_be_bytes());
        let movie = read(&file).unwrap();
        assert!(
            movie.tracks()[0].defect().unwrap().to_string().contains(said),
            "{size}: {:?}",
            movie.tracks()[0].defect()
        );
    }
}

#[test]
fn samples_are_within_the_file_and_may_lie_over_each_other() {
    let mut file = small(Form::Long);
    patch(&mut file, b"co64", 8, &u64::MAX.to_be_bytes());
    let movie = read(&file).unwrap();
    assert!(movie.is_truncated() && movie.video().is_none());
    let mut file = small(Form::IndexFirst);
    let offsets = [0u8, 0, 0, 40].repeat(10);
    patch(&mut file, b"stco", 8, &offsets);
    exercise(read(&file).unwrap());
    // But there are no more bytes of them than the file has.
    let mut file = of_one_byte(600, 1);
    patch(&mut file, b"stsz", 4, &[0, 0, 1, 0]);
    patch(&mut file, b"stsc", 12, &[0, 0, 0, 1]);
    let chunks = at(&file, b"stco", 0) + 4;
    file[chunks..chunks + 4].copy_from_slice(&[0, 0, 0, 50]);
    for kind in [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stco"] {
        let at = at(&file, kind, 0) - 8;
        let grown = u32::from_be_bytes(*file[at..].first_chunk().unwrap()) + 49 * 4;
        file[at..at + 4].copy_from_slice(&grown.to_be_bytes());
    }
    file.splice(chunks + 8..chunks + 8, [0; 49 * 4]);
    let movie = read(&file).unwrap();
    assert_eq!(movie.video().unwrap().samples() as usize, file.len() / 256);
    assert!(movie.is_truncated());
}

/// A file of tracks without samples.
fn with_tracks(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    write_box(&mut out, b"moov", |out| {
        mvhd(out, 1000);
        for id in 0..count as u32 {
            write_box(out, b"trak", |out| {
                tkhd(out, id);
                write_box(out, b"mdia", |out| {
                    mdhd(out, 1000);
                    hdlr(out, b"text");
                });
            });
        }
    });
    out
}

#[test]
fn as_many_tracks_as_are_read() {
    let movie = read(&with_tracks(MAX_TRACKS)).unwrap();
    assert_eq!(movie.tracks().len(), MAX_TRACKS);
    assert!(movie.check().unwrap_err().to_string().contains("neither pictures nor sound"));
    assert_eq!(refusal(&with_tracks(MAX_TRACKS + 1)), "the file has 65 tracks, at most 64 are supported");
    assert_eq!(refusal(&with_tracks(10_000)), "the file has 10000 tracks, at most 64 are supported");
}

#[test]
fn as_long_an_index_as_is_read() {
    for (size, read) in [(MAX_MOOV_BYTES, true), (MAX_MOOV_BYTES + 1, false)] {
        let mut reader = Reader::new(1 << 40).unwrap();
        let mut head = vec![];
        [1, u32::from_be_bytes(*b"moov")].iter().for_each(|n| put_u32(&mut head, *n));
        put_u64(&mut head, size);
        let fed = reader.feed(0, &head);
        assert_eq!(fed.is_ok(), read, "{fed:?}");
        assert!(!read || reader.wants().unwrap() == (16..16 + millrace_mp4::MAX_PIECE));
    }
    for (size, read) in [(MAX_MOOF_BYTES, true), (MAX_MOOF_BYTES + 1, false)] {
        let mut file = fragmented();
        let moof = at(&file, b"moof", 0) - 8;
        file[moof..moof + 4].copy_from_slice(&u32::try_from(size).unwrap().to_be_bytes());
        let mut reader = Reader::new(1 << 40).unwrap();
        let fed = reader.feed(0, &file[..moof + 8]);
        assert_eq!(fed.is_ok(), read, "{fed:?}");
    }
}

#[test]
fn as_many_boxes_as_are_passed() {
    let fill = |boxes: usize| {
        let index = with_tracks(1);
        let mut file = b"\0\0\0\x08free".repeat(boxes - 1);
        file.extend(index);
        read(&file).map(|movie| movie.tracks().len())
    };
    assert_eq!(fill(MAX_BOXES as usize), Ok(1));
    assert!(matches!(fill(MAX_BOXES as usize + 1), Err(Error::TooMuch { what: "boxes", .. })));
}

/// Pictures of so many samples of a byte, which lie over each other, with one entry in each table.
fn of_one_byte(count: u32, duration: u32) -> Vec<u8> {
    let mut out = Vec::new();
    write_box(&mut out, b"moov", |out| {
        mvhd(out, 1000);
        write_box(out, b"trak", |out| {
            tkhd(out, 1);
            write_box(out, b"mdia", |out| {
                mdhd(out, 1000);
                hdlr(out, b"vide");
                write_box(out, b"minf", |out| {
                    write_box(out, b"stbl", |out| {
                        stsd(out, true);
                        let mut table = |kind: &[u8; 4], numbers: &[u32]| {
                            write_full_box(out, kind, 0, 0, |out| numbers.iter().for_each(|n| put_u32(out, *n)));
                        };
                        table(b"stts", &[1, u32::MAX, duration]);
                        table(b"ctts", &[1, u32::MAX, 7]);
                        table(b"stsc", &[1, 1, count, 1]);
                        table(b"stsz", &[1, count]);
                        table(b"stco", &[1, 0]);
                    });
                });
            });
        });
    });
    out.resize(out.len().max(count as usize), 0);
    out
}

#[test]
fn as_many_samples_as_are_read() {
    let movie = read(&of_one_byte(MAX_SAMPLES, 1)).unwrap();
    assert_eq!(movie.video().unwrap().samples(), MAX_SAMPLES);
    assert!(movie.memory() < 4 * MAX_SAMPLES as usize + 4096);
    let movie = read(&of_one_byte(MAX_SAMPLES + 1, 1)).unwrap();
    let said = movie.check().unwrap_err().to_string();
    assert_eq!(said, "the file has 10000001 samples, at most 10000000 are supported");
}

#[test]
fn as_many_samples_as_fragments_have() {
    let with = |count: u32| {
        let mut file = fragmented();
        let mut moof = Vec::new();
        write_box(&mut moof, b"moof", |out| {
            write_box(out, b"traf", |out| {
                write_full_box(out, b"tfhd", 0, 0x02_0010, |out| [1, 1].iter().for_each(|n| put_u32(out, *n)));
                write_full_box(out, b"trun", 0, 1, |out| [count, 0].iter().for_each(|n| put_u32(out, *n)));
            });
        });
        file.extend(moof);
        let len = file.len() + MAX_SAMPLES as usize;
        write_box(&mut file, b"mdat", |out| out.resize(len, 0));
        read(&file).map(|movie| movie.video().unwrap().samples())
    };
    assert_eq!(with(MAX_SAMPLES - 40), Ok(MAX_SAMPLES));
    assert!(matches!(with(MAX_SAMPLES - 39), Err(Error::TooMuch { what: "samples", .. })));
    assert!(with(u32::MAX).is_err());
}

#[test]
fn as_many_segments_as_are_planned() {
    let plan = |count: usize| {
        let movie = read(&of_one_byte(count as u32, 10_000)).unwrap();
        Plan::new(movie.into(), TARGET_DURATION).map(|plan| plan.video().unwrap().segments())
    };
    assert_eq!(plan(MAX_SEGMENTS), Ok(MAX_SEGMENTS));
    assert!(matches!(plan(MAX_SEGMENTS + 1), Err(Error::TooMuch { what: "segments", .. })));
}

#[test]
fn as_long_as_a_movie_may_last() {
    let with = |count: u32, duration| read(&of_one_byte(count, duration)).unwrap();
    let days = 24 * 60 * 60;
    let movie = with(100, days * 1000);
    assert_eq!(movie.duration(), MAX_DURATION);
    exercise(movie);
    for (count, duration) in [(101, days * 1000), (60_000, u32::MAX), (MAX_SAMPLES, u32::MAX)] {
        let movie = with(count, duration);
        assert!(movie.check().unwrap_err().to_string().contains("seconds, at most 8640000 are supported"));
        exercise(movie);
    }
}

#[test]
fn as_many_pictures_as_are_hidden() {
    let with = |hidden: usize| {
        let pictures = (0..hidden + 5).map(|n| Sample { size: 1, duration: 1, composition: 0, sync: n == 0 }).collect();
        let mut track = Track::new(true, 90_000, pictures);
        track.edits.push((0, hidden as i32));
        let movie = read(&file(&[track], Form::IndexFirst)).unwrap();
        movie.check().map(|()| exercise(movie))
    };
    assert_eq!(with(MAX_HIDDEN), Ok(()));
    assert!(with(MAX_HIDDEN + 1).unwrap_err().to_string().contains("pictures before the first"));
}

#[test]
fn as_long_a_configuration_as_is_kept() {
    let with = |size: usize| {
        let mut file = small(Form::IndexLast);
        // The entry grows at its end, and all boxes around it.
        let entry = at(&file, b"vp09", 0) - 8;
        let len = u32::from_be_bytes(*file[entry..].first_chunk().unwrap()) as usize;
        let more = size - len;
        for kind in [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"vp09"] {
            let at = at(&file, kind, 0) - 8;
            let grown = u32::from_be_bytes(*file[at..].first_chunk().unwrap()) + more as u32;
            file[at..at + 4].copy_from_slice(&grown.to_be_bytes());
        }
        let mut free = vec![];
        write_box(&mut free, b"free", |out| put_zeros(out, more - 8));
        file.splice(entry + len..entry + len, free);
        read(&file).unwrap().tracks()[0].defect().map(ToString::to_string)
    };
    assert_eq!(with(MAX_SAMPLE_ENTRY), None);
    assert!(with(MAX_SAMPLE_ENTRY + 1).unwrap().contains("bytes of codec configuration"));
}

#[test]
fn edit_lists_that_are_not_understood_are_told() {
    let with = |edits: &[(u32, i32)]| {
        let mut track = Track::new(true, 30_000, samples(200));
        track.edits = edits.to_vec();
        let movie = read(&file(&[track], Form::IndexFirst)).unwrap();
        movie.check().map(|()| movie.duration().as_millis()).map_err(|error| error.to_string())
    };
    let whole = with(&[]).unwrap();
    assert_eq!(with(&[(0, 500)]).unwrap(), whole);
    assert_eq!(with(&[(1000, 500), (2000, 30_500)]).unwrap(), 3000, "parts that follow each other are one");
    assert_eq!(with(&[(2000, 15_500), (700, -1)]).unwrap(), 2000);
    assert!(with(&[(1000, 500), (2000, 90_500)]).unwrap_err().contains("several parts"));
    assert!(with(&[(1000, -2)]).unwrap_err().contains("an edit at -2"));
    assert!(with(&[(1000, i32::MAX)]).unwrap_err().contains("no samples that are played"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_change_of_an_index_is_read_or_refused(
        form in prop::sample::select(vec![0usize, 1, 2]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(vec![0u8, 1, 2, 0x7f, 0x80, 0xff])), 1..6),
    ) {
        let mut file = match form {
            0 => small(Form::IndexFirst),
            1 => small(Form::Long),
            _ => fragmented(),
        };
        for (index, byte) in changes {
            let at = index.index(file.len());
            file[at] = byte;
        }
        if let Ok(movie) = read(&file) {
            prop_assert!(movie.memory() < 1 << 20);
            exercise(movie);
        }
    }
}

#[test]
fn of_two_ways_to_say_a_size_both_are_read() {
    // `stz2` of 4, 8 and 16 bits in place of `stsz`.
    for (bits, sizes) in [(4u32, vec![0x56, 0x70]), (8, vec![5, 6, 7]), (16, vec![0, 5, 0, 6, 0, 7])] {
        let mut file = build::file(&[Track::new(true, 30_000, samples(3))], Form::IndexFirst);
        let start = at(&file, b"stsz", 0);
        file[start - 4..start].copy_from_slice(b"stz2");
        let mut fields = vec![];
        [0, bits, 3].iter().for_each(|n| put_u32(&mut fields, *n));
        fields.extend(sizes);
        file[start..start + fields.len()].copy_from_slice(&fields);
        let movie = read(&file).unwrap();
        let plan = Plan::new(movie.into(), TARGET_DURATION).unwrap();
        assert_eq!(plan.video().unwrap().segment(0).unwrap().ranges[0].end, file.len() as u64, "{bits}");
    }
}
