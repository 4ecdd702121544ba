use bytes::Bytes;
use millrace_media::{AudioConfig, TrackKind, VideoConfig};

use crate::boxes::{put_u16, put_u32, put_zeros, write_box, write_full_box};
use crate::{Error, VIDEO_TIMESCALE, audio, track_id, video};

/// `ftyp` and `moov` for these tracks. Either may be absent, not both.
///
/// # Errors
/// When MP4 cannot carry a codec, or there is no track.
pub fn init_segment(video: Option<&VideoConfig>, audio: Option<&AudioConfig>) -> Result<Bytes, Error> {
    let (mut video_entry, mut audio_entry) = (Vec::new(), Vec::new());
    let mut tracks = Vec::new();
    if let Some(config) = video {
        video::write_sample_entry(&mut video_entry, config)?;
        let (width, height) = video::dimensions(config);
        tracks.push(TrackHead {
            kind: TrackKind::Video,
            timescale: VIDEO_TIMESCALE,
            language: UNDETERMINED,
            matrix: UPRIGHT,
            size: (u32::from(width) << 16, u32::from(height) << 16),
            sample_entry: &video_entry,
            roll_distance: None,
        });
    }
    if let Some(config) = audio {
        audio::write_sample_entry(&mut audio_entry, config)?;
        tracks.push(TrackHead {
            kind: TrackKind::Audio,
            timescale: config.sample_rate(),
            language: UNDETERMINED,
            matrix: UPRIGHT,
            size: (0, 0),
            sample_entry: &audio_entry,
            roll_distance: audio::roll_distance(config),
        });
    }
    if tracks.is_empty() { Err(Error::NoTrack) } else { Ok(init_segment_of(&tracks)) }
}

/// A track as an init segment describes it.
#[derive(Debug, Clone, Copy)]
pub struct TrackHead<'a> {
    /// Tells its number, [`track_id`]: one track of each kind.
    pub kind: TrackKind,
    /// Ticks per second.
    pub timescale: u32,
    /// Three letters of ISO 639-2 in five bits each (8.4.2); [`UNDETERMINED`] where it is not known.
    pub language: u16,
    /// How pictures are turned (8.3.2); [`UPRIGHT`] where they are not.
    pub matrix: [u32; 9],
    /// Width and height at which pictures are shown, in 65536ths of a pixel.
    pub size: (u32, u32),
    /// The whole box with the codec's configuration (12.1.3, 12.2.3).
    pub sample_entry: &'a [u8],
    /// Samples before a point of access that must be decoded for what is there to be right, negated (10.1).
    pub roll_distance: Option<i16>,
}

/// The language of a track that does not say it: `und`.
pub const UNDETERMINED: u16 = 0x55c4;

/// The unity matrix: pictures are shown as they are.
pub const UPRIGHT: [u32; 9] = [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000];

/// `ftyp` and `moov` of tracks whose sample entries are at hand, at most one of each kind.
#[must_use]
pub fn init_segment_of(tracks: &[TrackHead<'_>]) -> Bytes {
    let mut out = Vec::with_capacity(1024);
    write_ftyp(&mut out, tracks);
    write_box(&mut out, b"moov", |out| {
        write_mvhd(out);
        tracks.iter().for_each(|track| write_trak(out, track));
        write_box(out, b"mvex", |out| tracks.iter().for_each(|track| write_trex(out, track)));
    });
    out.shrink_to_fit();
    out.into()
}

/// A CMAF track is alone in its file; both together are of the same form otherwise.
fn write_ftyp(out: &mut Vec<u8>, tracks: &[TrackHead<'_>]) {
    write_box(out, b"ftyp", |out| {
        out.extend_from_slice(b"iso6\0\0\0\0iso6mp41");
        if tracks.iter().any(|track| track.sample_entry.get(4..8) == Some(b"av01")) {
            out.extend_from_slice(b"av01");
        }
        if tracks.len() == 1 {
            out.extend_from_slice(b"cmfc");
        }
    });
}

fn write_mvhd(out: &mut Vec<u8>) {
    write_full_box(out, b"mvhd", 0, 0, |out| {
        put_zeros(out, 8); // times of creation and change
        put_u32(out, 1000);
        put_u32(out, 0); // the fragments have the duration
        put_u32(out, 0x0001_0000); // rate 1
        put_u16(out, 0x0100); // volume 1
        put_zeros(out, 10);
        write_matrix(out, &UPRIGHT);
        put_zeros(out, 24);
        put_u32(out, track_id(TrackKind::Audio) + 1); // the next track's number
    });
}

fn write_trak(out: &mut Vec<u8>, track: &TrackHead<'_>) {
    const ENABLED_IN_MOVIE: u32 = 3;
    let volume = match track.kind {
        TrackKind::Video => 0,
        TrackKind::Audio => 0x0100,
    };
    write_box(out, b"trak", |out| {
        write_full_box(out, b"tkhd", 0, ENABLED_IN_MOVIE, |out| {
            put_zeros(out, 8);
            put_u32(out, track_id(track.kind));
            put_zeros(out, 4 + 4 + 8 + 2 + 2); // no duration; layer and alternate group 0
            put_u16(out, volume);
            put_zeros(out, 2);
            write_matrix(out, &track.matrix);
            put_u32(out, track.size.0);
            put_u32(out, track.size.1);
        });
        write_box(out, b"mdia", |out| {
            write_full_box(out, b"mdhd", 0, 0, |out| {
                put_zeros(out, 8);
                put_u32(out, track.timescale);
                put_u32(out, 0);
                put_u16(out, track.language);
                put_u16(out, 0);
            });
            write_hdlr(out, track);
            write_box(out, b"minf", |out| write_minf(out, track));
        });
    });
}

fn write_hdlr(out: &mut Vec<u8>, track: &TrackHead<'_>) {
    let (kind, name) = match track.kind {
        TrackKind::Video => (b"vide", &b"VideoHandler\0"[..]),
        TrackKind::Audio => (b"soun", &b"SoundHandler\0"[..]),
    };
    write_full_box(out, b"hdlr", 0, 0, |out| {
        put_u32(out, 0);
        out.extend_from_slice(kind);
        put_zeros(out, 12);
        out.extend_from_slice(name);
    });
}

fn write_minf(out: &mut Vec<u8>, track: &TrackHead<'_>) {
    match track.kind {
        TrackKind::Video => write_full_box(out, b"vmhd", 0, 1, |out| put_zeros(out, 8)),
        TrackKind::Audio => write_full_box(out, b"smhd", 0, 0, |out| put_zeros(out, 4)),
    }
    write_box(out, b"dinf", |out| {
        write_full_box(out, b"dref", 0, 0, |out| {
            put_u32(out, 1);
            write_full_box(out, b"url ", 0, 1, |_| {}); // the media is in this file
        });
    });
    write_box(out, b"stbl", |out| {
        write_full_box(out, b"stsd", 0, 0, |out| {
            put_u32(out, 1);
            out.extend_from_slice(track.sample_entry);
        });
        // The fragments have the samples.
        write_full_box(out, b"stts", 0, 0, |out| put_u32(out, 0));
        write_full_box(out, b"stsc", 0, 0, |out| put_u32(out, 0));
        write_full_box(out, b"stsz", 0, 0, |out| put_zeros(out, 8));
        write_full_box(out, b"stco", 0, 0, |out| put_u32(out, 0));
        if let Some(distance) = track.roll_distance {
            write_sgpd(out, distance);
        }
    });
}

/// All samples are of one group (8.9.3): decoding begins so many of them earlier.
fn write_sgpd(out: &mut Vec<u8>, roll_distance: i16) {
    write_full_box(out, b"sgpd", 2, 0, |out| {
        out.extend_from_slice(b"roll");
        put_u32(out, 2); // bytes of an entry
        put_u32(out, 1); // the group of samples that say nothing else
        put_u32(out, 1);
        out.extend_from_slice(&roll_distance.to_be_bytes());
    });
}

/// Fragments say themselves what differs from this.
fn write_trex(out: &mut Vec<u8>, track: &TrackHead<'_>) {
    write_full_box(out, b"trex", 0, 0, |out| {
        put_u32(out, track_id(track.kind));
        put_u32(out, 1); // sample description
        put_zeros(out, 12); // duration, size, flags
    });
}

fn write_matrix(out: &mut Vec<u8>, matrix: &[u32; 9]) {
    matrix.iter().for_each(|n| put_u32(out, *n));
}
