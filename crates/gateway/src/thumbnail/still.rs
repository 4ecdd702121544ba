//! One keyframe as a file that FFmpeg of any age reads.

use bytes::BufMut;
use millrace_media::{Frame, VideoConfig};

/// FFmpeg's name of the file's format, and the file. `None` where there is no such file for the codec.
///
/// H.264 and HEVC are written as Annex B, AV1 and VP9 as IVF.
pub(super) fn file(config: &VideoConfig, keyframe: &Frame) -> Option<(&'static str, Vec<u8>)> {
    let payload = &keyframe.payload;
    Some(match config {
        VideoConfig::Avc(c) => {
            let sets = c.sps().iter().chain(c.pps()).map(|set| &set[..]);
            ("h264", annex_b(sets.chain(c.nal_units(payload).map_while(Result::ok)), payload.len()))
        }
        VideoConfig::Hevc(c) => {
            let sets = c.parameter_sets().map(|set| &set[..]);
            ("hevc", annex_b(sets.chain(c.nal_units(payload).map_while(Result::ok)), payload.len()))
        }
        // The sequence header may be in the configuration only; twice is no harm.
        VideoConfig::Av1(c) => ("ivf", ivf(*b"AV01", config, &[AV1_TEMPORAL_DELIMITER, c.config_obus(), payload])),
        VideoConfig::Vp9(_) => ("ivf", ivf(*b"VP90", config, &[payload])),
        _ => return None,
    })
}

fn annex_b<'a>(units: impl Iterator<Item = &'a [u8]>, len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 256);
    for unit in units {
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend_from_slice(unit);
    }
    out
}

/// A file of one frame. The format is libvpx's: all numbers little-endian.
fn ivf(fourcc: [u8; 4], config: &VideoConfig, parts: &[&[u8]]) -> Vec<u8> {
    let (width, height) = config.resolution().unwrap_or_default();
    let side = |pixels| u16::try_from(pixels).unwrap_or(u16::MAX);
    let frame_len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(IVF_HEADER + IVF_FRAME_HEADER + frame_len);
    out.put_slice(b"DKIF");
    out.put_u16_le(0); // version
    out.put_u16_le(IVF_HEADER as u16);
    out.put_slice(&fourcc);
    out.put_u16_le(side(width));
    out.put_u16_le(side(height));
    out.put_u32_le(1); // time scale: a frame a second
    out.put_u32_le(1);
    out.put_u32_le(1); // frames
    out.put_u32_le(0);
    out.put_u32_le(u32::try_from(frame_len).unwrap_or(u32::MAX)); // a message's limit is far below
    out.put_u64_le(0); // time
    for part in parts {
        out.put_slice(part);
    }
    out
}

const IVF_HEADER: usize = 32;
const IVF_FRAME_HEADER: usize = 12;
const AV1_TEMPORAL_DELIMITER: &[u8] = &[0x12, 0];
