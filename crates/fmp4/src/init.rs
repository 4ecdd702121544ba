use bytes::Bytes;
use millrace_media::{AudioConfig, TrackKind, VideoConfig};

use crate::boxes::{put_u16, put_u32, put_zeros, write_box, write_full_box};
use crate::{Error, VIDEO_TIMESCALE, audio, track_id, video};

/// `ftyp` and `moov` for these tracks. Either may be absent, not both.
///
/// # Errors
/// When MP4 cannot carry a codec, or there is no track.
pub fn init_segment(video: Option<&VideoConfig>, audio: Option<&AudioConfig>) -> Result<Bytes, Error> {
    let tracks: Vec<_> = [video.map(Track::Video), audio.map(Track::Audio)].into_iter().flatten().collect();
    if tracks.is_empty() {
        return Err(Error::NoTrack);
    }
    // Written first, as it alone can be refused.
    let entries = tracks.iter().map(Track::sample_entry).collect::<Result<Vec<_>, _>>()?;
    let mut out = Vec::with_capacity(1024);
    write_ftyp(&mut out, &tracks);
    write_box(&mut out, b"moov", |out| {
        write_mvhd(out);
        for (track, entry) in tracks.iter().zip(&entries) {
            write_trak(out, track, entry);
        }
        write_box(out, b"mvex", |out| tracks.iter().for_each(|track| write_trex(out, track)));
    });
    out.shrink_to_fit();
    Ok(out.into())
}

enum Track<'a> {
    Video(&'a VideoConfig),
    Audio(&'a AudioConfig),
}

impl Track<'_> {
    fn id(&self) -> u32 {
        track_id(match self {
            Self::Video(_) => TrackKind::Video,
            Self::Audio(_) => TrackKind::Audio,
        })
    }

    fn timescale(&self) -> u32 {
        match self {
            Self::Video(_) => VIDEO_TIMESCALE,
            Self::Audio(config) => config.sample_rate(),
        }
    }

    fn sample_entry(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        match self {
            Self::Video(config) => video::write_sample_entry(&mut out, config)?,
            Self::Audio(config) => audio::write_sample_entry(&mut out, config)?,
        }
        Ok(out)
    }
}

/// A CMAF track is alone in its file; both together are of the same form otherwise.
fn write_ftyp(out: &mut Vec<u8>, tracks: &[Track<'_>]) {
    write_box(out, b"ftyp", |out| {
        out.extend_from_slice(b"iso6\0\0\0\0iso6mp41");
        if tracks.iter().any(|track| matches!(track, Track::Video(VideoConfig::Av1(_)))) {
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
        write_matrix(out);
        put_zeros(out, 24);
        put_u32(out, track_id(TrackKind::Audio) + 1); // the next track's number
    });
}

fn write_trak(out: &mut Vec<u8>, track: &Track<'_>, sample_entry: &[u8]) {
    const ENABLED_IN_MOVIE: u32 = 3;
    let (volume, (width, height)) = match track {
        Track::Video(config) => (0, video::dimensions(config)),
        Track::Audio(_) => (0x0100, (0, 0)),
    };
    write_box(out, b"trak", |out| {
        write_full_box(out, b"tkhd", 0, ENABLED_IN_MOVIE, |out| {
            put_zeros(out, 8);
            put_u32(out, track.id());
            put_zeros(out, 4 + 4 + 8 + 2 + 2); // no duration; layer and alternate group 0
            put_u16(out, volume);
            put_zeros(out, 2);
            write_matrix(out);
            put_u32(out, u32::from(width) << 16);
            put_u32(out, u32::from(height) << 16);
        });
        write_box(out, b"mdia", |out| {
            write_full_box(out, b"mdhd", 0, 0, |out| {
                put_zeros(out, 8);
                put_u32(out, track.timescale());
                put_u32(out, 0);
                put_u16(out, 0x55c4); // language "und"
                put_u16(out, 0);
            });
            write_hdlr(out, track);
            write_box(out, b"minf", |out| write_minf(out, track, sample_entry));
        });
    });
}

fn write_hdlr(out: &mut Vec<u8>, track: &Track<'_>) {
    let (kind, name) = match track {
        Track::Video(_) => (b"vide", &b"VideoHandler\0"[..]),
        Track::Audio(_) => (b"soun", &b"SoundHandler\0"[..]),
    };
    write_full_box(out, b"hdlr", 0, 0, |out| {
        put_u32(out, 0);
        out.extend_from_slice(kind);
        put_zeros(out, 12);
        out.extend_from_slice(name);
    });
}

fn write_minf(out: &mut Vec<u8>, track: &Track<'_>, sample_entry: &[u8]) {
    match track {
        Track::Video(_) => write_full_box(out, b"vmhd", 0, 1, |out| put_zeros(out, 8)),
        Track::Audio(_) => write_full_box(out, b"smhd", 0, 0, |out| put_zeros(out, 4)),
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
            out.extend_from_slice(sample_entry);
        });
        // The fragments have the samples.
        write_full_box(out, b"stts", 0, 0, |out| put_u32(out, 0));
        write_full_box(out, b"stsc", 0, 0, |out| put_u32(out, 0));
        write_full_box(out, b"stsz", 0, 0, |out| put_zeros(out, 8));
        write_full_box(out, b"stco", 0, 0, |out| put_u32(out, 0));
        if let Track::Audio(config) = track
            && let Some(distance) = audio::roll_distance(config)
        {
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
fn write_trex(out: &mut Vec<u8>, track: &Track<'_>) {
    write_full_box(out, b"trex", 0, 0, |out| {
        put_u32(out, track.id());
        put_u32(out, 1); // sample description
        put_zeros(out, 12); // duration, size, flags
    });
}

/// The unity matrix: pictures are shown as they are.
fn write_matrix(out: &mut Vec<u8>) {
    for n in [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000] {
        put_u32(out, n);
    }
}
