//! Sample entries (ISO/IEC 14496-12, 12.1.3 and 12.2.3; QuickTime File Format, "Sample Description
//! Atoms"): which codec a track has, and the entry as an init segment carries it.

use bytes::Bytes;
use millrace_fmp4::boxes::{put_u16, put_u32, put_zeros, write_box, write_descriptor, write_full_box};
use millrace_fmp4::complete_hevc_record;
use millrace_media::{AacConfig, Av1Config, AvcConfig, Error as MediaError, FlacConfig, HevcConfig, Vp9Config};

use crate::boxes::{Atom, Children, Fields};
use crate::{Error, FourCc};

/// What a sample entry says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// As an init segment has it: that of the file, in the form of MP4 where it is QuickTime's.
    pub(crate) bytes: Bytes,
    /// RFC 6381, or the entry's name where there is nothing better.
    pub(crate) codec: String,
    /// Width and height in pixels, of pictures.
    pub(crate) size: (u32, u32),
    /// Width and height of a pixel.
    pub(crate) pixel_aspect: (u32, u32),
    /// Of sound.
    pub(crate) channels: u8,
    /// Of sound, Hz.
    pub(crate) sample_rate: u32,
    /// Samples that must be decoded before a point of access, negated.
    pub(crate) roll_distance: Option<i16>,
    /// Brightness beyond the usual, as HLS calls it.
    pub(crate) video_range: Option<&'static str>,
}

/// Most bytes of a sample entry. Parameter sets take a few hundred.
pub const MAX_SAMPLE_ENTRY: usize = 64 << 10;

/// Reads the entry of pictures.
pub(crate) fn read_video(atom: Atom<'_>) -> Result<Entry, Error> {
    let mut fields = check(atom)?;
    fields.skip(8 + 16)?;
    let size = (fields.u16()?.into(), fields.u16()?.into());
    fields.skip(50)?;
    let head_len = atom.content.len() - fields.rest().len();
    let children = valid_children(&fields, atom.offset + head_len as u64);
    let child = |kind: &[u8; 4]| children.iter().find(|c| c.kind.0 == *kind);
    let need = |kind: &[u8; 4]| {
        let record = child(kind).map(|c| Bytes::copy_from_slice(c.content));
        record.ok_or_else(|| atom.invalid(format!("it has no {}", FourCc(*kind))))
    };
    let broken = |source: MediaError| Error::Codec { kind: atom.kind, source };
    let mut kind = atom.kind;
    let mut complete = None;
    let mut said = None;
    let codec = match &atom.kind.0 {
        b"avc1" | b"avc3" => {
            let config = AvcConfig::parse(need(b"avcC")?).map_err(broken)?;
            said = config.picture().map(|p| (p.width, p.height));
            config.codec_string().replace("avc1", &atom.kind.to_string())
        }
        b"hvc1" | b"hev1" => {
            // The record has all parameter sets, or could not be read: the one name that all players know will do.
            let config = HevcConfig::parse(need(b"hvcC")?).map_err(broken)?;
            kind = FourCc(*b"hvc1");
            complete = Some(complete_hevc_record(&config));
            said = config.picture().map(|p| (p.width, p.height));
            config.codec_string()
        }
        b"av01" => {
            let config = Av1Config::parse(need(b"av1C")?).map_err(broken)?;
            said = config.picture().map(|p| (p.width, p.height));
            config.codec_string()
        }
        b"vp09" => Vp9Config::parse(&need(b"vpcC")?).map_err(broken)?.with_size(size).codec_string(),
        _ => name(atom.kind),
    };
    let mut bytes = Vec::with_capacity(atom.whole.len());
    write_box(&mut bytes, &kind.0, |out| {
        out.extend_from_slice(&atom.content[..head_len]);
        for child in &children {
            match &complete {
                Some(record) if child.kind.0 == *b"hvcC" => {
                    write_box(out, b"hvcC", |out| out.extend_from_slice(record));
                }
                _ => out.extend_from_slice(child.whole),
            }
        }
    });
    Ok(Entry {
        bytes: bytes.into(),
        codec,
        size: Some(size).filter(|(w, h)| *w > 0 && *h > 0).or(said).unwrap_or_default(),
        pixel_aspect: child(b"pasp").and_then(pixel_aspect).unwrap_or((1, 1)),
        channels: 0,
        sample_rate: 0,
        roll_distance: None,
        video_range: child(b"colr").and_then(video_range),
    })
}

/// Reads the entry of sound. `version` is that of the `stsd` that it is in.
pub(crate) fn read_audio(atom: Atom<'_>, version: u8) -> Result<Entry, Error> {
    let mut fields = check(atom)?;
    fields.skip(8)?;
    let form = fields.u16()?;
    fields.skip(6)?;
    let (mut channels, _bits) = (u32::from(fields.u16()?), fields.u16()?);
    fields.skip(4)?;
    let mut sample_rate = fields.u32()? >> 16;
    let quicktime = version == 0 && form > 0;
    match form {
        1 if quicktime => fields.skip(16)?,
        2 if quicktime => {
            fields.skip(4)?;
            sample_rate = whole_rate(fields.u64()?);
            channels = fields.u32()?;
            fields.skip(20)?;
        }
        _ => {}
    }
    let head_len = atom.content.len() - fields.rest().len();
    let mut children = valid_children(&fields, atom.offset + head_len as u64);
    if let Some(wave) = children.iter().position(|c| c.kind.0 == *b"wave") {
        let wave = children.swap_remove(wave);
        children.extend(Children::of(wave.content, wave.offset).map_while(Result::ok));
    }
    let config = children.iter().find(|c| CONFIGURATIONS.contains(&&c.kind.0));
    let sound = match (&atom.kind.0, config) {
        (b".mp3" | b"ms\0U", _) => Sound::mpeg(if sample_rate >= 32_000 { MPEG1_AUDIO } else { MPEG2_AUDIO }),
        (b"mp4a" | b"Opus" | b"fLaC" | b"ac-3" | b"ec-3", Some(config)) => Sound::read(*config)?,
        _ => Sound { codec: name(atom.kind), ..Sound::default() },
    };
    let channels = sound.channels.unwrap_or(u8::try_from(channels).unwrap_or(u8::MAX));
    let sample_rate = sound.sample_rate.unwrap_or(sample_rate);
    let bytes = if let Some(object_type) = sound.without_configuration {
        write_entry(b"mp4a", channels, sample_rate, |out| write_esds(out, object_type))
    } else if quicktime {
        write_entry(&atom.kind.0, channels, sample_rate, |out| {
            let kept = children.iter().filter(|c| CONFIGURATIONS.contains(&&c.kind.0));
            kept.for_each(|c| out.extend_from_slice(c.whole));
        })
    } else {
        atom.whole.to_vec()
    };
    let roll_distance = sound.roll_distance;
    Ok(Entry {
        bytes: bytes.into(),
        codec: sound.codec,
        size: (0, 0),
        pixel_aspect: (1, 1),
        channels,
        sample_rate,
        roll_distance,
        video_range: None,
    })
}

/// Boxes that tell a decoder of sound what it needs.
const CONFIGURATIONS: [&[u8; 4]; 5] = [b"esds", b"dOps", b"dfLa", b"dac3", b"dec3"];

/// What the configuration of sound says.
#[derive(Debug, Default)]
struct Sound {
    codec: String,
    channels: Option<u8>,
    sample_rate: Option<u32>,
    roll_distance: Option<i16>,
    /// The object type of a codec that needs no configuration, where the file has none.
    without_configuration: Option<u8>,
}

impl Sound {
    fn mpeg(object_type: u8) -> Self {
        let codec = format!("mp4a.{object_type:02X}");
        Self { codec, without_configuration: Some(object_type), ..Self::default() }
    }

    fn read(config: Atom<'_>) -> Result<Self, Error> {
        let broken = |source: MediaError| Error::Codec { kind: config.kind, source };
        let mut fields = config.fields();
        match &config.kind.0 {
            b"esds" => {
                fields.version()?;
                let (object_type, specific) = read_esds(fields)?;
                if object_type != MPEG4_AUDIO {
                    return Ok(Self { codec: format!("mp4a.{object_type:02X}"), ..Self::default() });
                }
                let aac = AacConfig::parse(Bytes::copy_from_slice(specific)).map_err(broken)?;
                Ok(Self {
                    codec: aac.codec_string(),
                    channels: Some(aac.channels()).filter(|n| *n > 0),
                    sample_rate: Some(aac.output_sample_rate()),
                    ..Self::default()
                })
            }
            b"dOps" => {
                let [_, channels] = [fields.u8()?, fields.u8()?];
                let roll_distance = Some(-OPUS_ROLL);
                let sample_rate = Some(48_000);
                Ok(Self {
                    codec: "opus".to_owned(),
                    channels: Some(channels),
                    sample_rate,
                    roll_distance,
                    ..Self::default()
                })
            }
            b"dfLa" => {
                fields.version()?;
                let flac = FlacConfig::parse(&Bytes::copy_from_slice(fields.rest())).map_err(broken)?;
                let (channels, sample_rate) = (Some(flac.channels()), Some(flac.sample_rate()));
                Ok(Self { codec: "fLaC".to_owned(), channels, sample_rate, ..Self::default() })
            }
            b"dac3" => Ok(Self { codec: "ac-3".to_owned(), ..Self::default() }),
            _ => Ok(Self { codec: "ec-3".to_owned(), ..Self::default() }),
        }
    }
}

/// 80 ms in the shortest packets, of 2.5 ms.
const OPUS_ROLL: i16 = 32;

/// `objectTypeIndication` of ISO/IEC 14496-1, table 5.
const MPEG4_AUDIO: u8 = 0x40;
const MPEG2_AUDIO: u8 = 0x69;
const MPEG1_AUDIO: u8 = 0x6b;

/// The object type and the decoder's configuration of an `esds` (ISO/IEC 14496-1, 7.2.6.5).
fn read_esds(mut fields: Fields<'_>) -> Result<(u8, &[u8]), Error> {
    const ES: u8 = 3;
    const DECODER_CONFIG: u8 = 4;
    const DECODER_SPECIFIC: u8 = 5;
    descriptor(&mut fields, ES)?;
    fields.skip(2)?;
    let flags = fields.u8()?;
    if flags & 0x80 != 0 {
        fields.skip(2)?; // the stream that it depends on
    }
    if flags & 0x40 != 0 {
        let len = fields.u8()?;
        fields.skip(len.into())?; // an address
    }
    if flags & 0x20 != 0 {
        fields.skip(2)?; // the stream of its clock
    }
    descriptor(&mut fields, DECODER_CONFIG)?;
    let object_type = fields.u8()?;
    fields.skip(12)?;
    if object_type != MPEG4_AUDIO {
        return Ok((object_type, &[]));
    }
    let len = descriptor(&mut fields, DECODER_SPECIFIC)?;
    Ok((object_type, fields.take(len)?))
}

/// The head of a descriptor (8.3.3); returns the length of what is in it.
fn descriptor(fields: &mut Fields<'_>, expected: u8) -> Result<usize, Error> {
    let tag = fields.u8()?;
    if tag != expected {
        return Err(fields.invalid(format!("descriptor {expected} expected, {tag} found")));
    }
    let mut len = 0;
    for _ in 0..4 {
        let byte = fields.u8()?;
        len = len << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(len)
}

fn write_entry(kind: &[u8; 4], channels: u8, sample_rate: u32, codec: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write_box(&mut out, kind, |out| {
        put_zeros(out, 6);
        put_u16(out, 1); // data reference
        put_zeros(out, 8);
        put_u16(out, u16::from(channels));
        put_u16(out, 16);
        put_zeros(out, 4);
        put_u32(out, u16::try_from(sample_rate).map_or(0, u32::from) << 16);
        codec(out);
    });
    out
}

fn write_esds(out: &mut Vec<u8>, object_type: u8) {
    write_full_box(out, b"esds", 0, 0, |out| {
        write_descriptor(out, 3, |out| {
            put_zeros(out, 3);
            write_descriptor(out, 4, |out| {
                out.extend_from_slice(&[object_type, 5 << 2 | 1]);
                put_zeros(out, 11);
            });
            write_descriptor(out, 6, |out| out.push(2));
        });
    });
}

/// The entry's fields, if it is not too long and not encrypted.
fn check(atom: Atom<'_>) -> Result<Fields<'_>, Error> {
    if matches!(&atom.kind.0, b"encv" | b"enca" | b"drmi" | b"drms") {
        return Err(Error::Unsupported(format!("its media is encrypted ({})", atom.kind)));
    }
    if atom.whole.len() > MAX_SAMPLE_ENTRY {
        let (found, most) = (atom.whole.len() as u64, MAX_SAMPLE_ENTRY as u64);
        return Err(Error::TooMuch { what: "bytes of codec configuration", found, most });
    }
    Ok(atom.fields())
}

/// The boxes in an entry. What follows them in QuickTime's files is left out.
fn valid_children<'a>(fields: &Fields<'a>, offset: u64) -> Vec<Atom<'a>> {
    Children::of(fields.rest(), offset).map_while(Result::ok).collect()
}

fn name(kind: FourCc) -> String {
    kind.to_string().trim().to_owned()
}

fn pixel_aspect(pasp: &Atom<'_>) -> Option<(u32, u32)> {
    let mut fields = pasp.fields();
    let aspect = (fields.u32().ok()?, fields.u32().ok()?);
    Some(aspect).filter(|(w, h)| *w > 0 && *h > 0)
}

/// By the transfer function of ISO/IEC 23091-2.
fn video_range(colr: &Atom<'_>) -> Option<&'static str> {
    let mut fields = colr.fields();
    let kind = fields.take(4).ok()?;
    fields.skip(2).ok()?;
    match (kind, fields.u16().ok()?) {
        (b"nclx" | b"nclc", 16) => Some("PQ"),
        (b"nclx" | b"nclc", 18) => Some("HLG"),
        _ => None,
    }
}

/// A sampling frequency that is a binary64, where it is credible.
fn whole_rate(bits: u64) -> u32 {
    let rate = f64::from_bits(bits);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within bounds
    let whole = if (1.0..=1e6).contains(&rate) { rate.round() as u32 } else { 0 };
    whole
}
