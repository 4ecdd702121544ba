//! Pictures: which codecs MP4 carries, how it names and describes them.

use std::borrow::Cow;

use millrace_media::hevc::{NAL_PPS, NAL_SPS, NAL_VPS};
use millrace_media::{Error as MediaError, HevcConfig, VideoConfig};

use crate::Error;
use crate::boxes::{put_u16, put_u32, put_zeros, write_box};

/// Says whether MP4 can carry the pictures.
///
/// # Errors
/// When it cannot, with the reason.
pub fn check_video(config: &VideoConfig) -> Result<(), Error> {
    write_sample_entry(&mut Vec::new(), config)
}

/// The codec as RFC 6381 writes it for MP4, for example `avc1.64001f`.
#[must_use]
pub fn video_codec_string(config: &VideoConfig) -> String {
    config.codec_string()
}

/// Appends the sample entry (ISO/IEC 14496-12, 12.1.3) with the codec's record: ISO/IEC 14496-15, 5.4.2
/// and 8.4.1; AV1 Codec ISO Media File Format Binding, 2.2; VP Codec ISO Media File Format Binding.
pub(crate) fn write_sample_entry(out: &mut Vec<u8>, config: &VideoConfig) -> Result<(), Error> {
    let (kind, codec, record) = match config {
        VideoConfig::Avc(avc) => (b"avc1", b"avcC", Cow::Borrowed(&avc.raw()[..])),
        VideoConfig::Hevc(hevc) => (b"hvc1", b"hvcC", Cow::Owned(complete_hevc_record(hevc))),
        VideoConfig::Av1(av1) => (b"av01", b"av1C", Cow::Borrowed(&av1.raw()[..])),
        VideoConfig::Vp9(vp9) => (b"vp09", b"vpcC", Cow::Borrowed(&vp9.raw()[..])),
        other => {
            let why = "this program has no form for it".to_owned();
            return Err(Error::UnsupportedCodec { codec: other.name(), why });
        }
    };
    write_visual(out, kind, config, |out| write_box(out, codec, |out| out.extend_from_slice(&record)));
    Ok(())
}

/// The record as `hvc1` wants it: of version 1, and with all parameter sets declared to be in it
/// (`array_completeness`), which publishers over FLV seldom say.
#[must_use]
pub fn complete_hevc_record(hevc: &HevcConfig) -> Vec<u8> {
    const VERSION: u8 = 1;
    const HEAD: usize = 22;
    const COMPLETE: u8 = 0x80;
    let mut record = hevc.raw().to_vec();
    record[0] = VERSION;
    let mut at = HEAD + 1;
    for _ in 0..record[HEAD] {
        let Some(&[kind, hi, lo]) = record.get(at..).and_then(<[u8]>::first_chunk) else { break };
        if matches!(kind & 0x3f, NAL_VPS | NAL_SPS | NAL_PPS) {
            record[at] |= COMPLETE;
        }
        at += 3;
        for _ in 0..u16::from_be_bytes([hi, lo]) {
            let Some(&[hi, lo]) = record.get(at..).and_then(<[u8]>::first_chunk) else { break };
            at += 2 + usize::from(u16::from_be_bytes([hi, lo]));
        }
    }
    record
}

/// Looks through a frame's payload for what would make a decoder fail for good.
pub(crate) fn check_frame(config: &VideoConfig, payload: &[u8]) -> Result<(), MediaError> {
    match config {
        VideoConfig::Avc(avc) => avc.nal_units(payload).try_for_each(|nal| nal.map(drop)),
        VideoConfig::Hevc(hevc) => hevc.nal_units(payload).try_for_each(|nal| nal.map(drop)),
        _ => Ok(()),
    }
}

/// Width and height as the file says them: 0 where the configuration does not tell.
pub(crate) fn dimensions(config: &VideoConfig) -> (u16, u16) {
    let (width, height) = config.resolution().unwrap_or_default();
    (u16::try_from(width).unwrap_or(u16::MAX), u16::try_from(height).unwrap_or(u16::MAX))
}

fn write_visual(out: &mut Vec<u8>, kind: &[u8; 4], config: &VideoConfig, codec: impl FnOnce(&mut Vec<u8>)) {
    let (width, height) = dimensions(config);
    write_box(out, kind, |out| {
        put_zeros(out, 6);
        put_u16(out, 1); // data reference
        put_zeros(out, 16);
        put_u16(out, width);
        put_u16(out, height);
        put_u32(out, 0x0048_0000); // 72 dots per inch
        put_u32(out, 0x0048_0000);
        put_zeros(out, 4);
        put_u16(out, 1); // pictures per sample
        put_zeros(out, 32); // no name of the compressor
        put_u16(out, 0x0018); // colour without alpha
        put_u16(out, 0xffff);
        codec(out);
    });
}
