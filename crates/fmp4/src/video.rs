//! Pictures: which codecs MP4 carries, how it names and describes them.

use millrace_media::{AvcConfig, Error as MediaError, VideoConfig};

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

/// Appends the sample entry (ISO/IEC 14496-12, 12.1.3; ISO/IEC 14496-15, 5.4.2).
pub(crate) fn write_sample_entry(out: &mut Vec<u8>, config: &VideoConfig) -> Result<(), Error> {
    let (kind, codec, record) = match config {
        VideoConfig::Avc(avc) => (b"avc1", b"avcC", avc.raw()),
        other => {
            let why = "this program has no form for it".to_owned();
            return Err(Error::UnsupportedCodec { codec: other.name(), why });
        }
    };
    write_visual(out, kind, config, |out| write_box(out, codec, |out| out.extend_from_slice(record)));
    Ok(())
}

/// Looks through a frame's payload for what would make a decoder fail for good.
pub(crate) fn check_frame(config: &VideoConfig, payload: &[u8]) -> Result<(), MediaError> {
    match config {
        VideoConfig::Avc(avc) => check_nal_units(avc, payload),
        _ => Ok(()),
    }
}

fn check_nal_units(avc: &AvcConfig, payload: &[u8]) -> Result<(), MediaError> {
    avc.nal_units(payload).try_for_each(|nal| nal.map(drop))
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
