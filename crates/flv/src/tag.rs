//! File header and tag framing (sections E.2 to E.4).

use bytes::{BufMut, Bytes, BytesMut};

/// What a tag carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum TagKind {
    /// Sound.
    Audio = 8,
    /// Pictures.
    Video = 9,
    /// AMF0 values, `onMetaData` above all.
    Script = 18,
}

/// Bytes that frame a tag's body: the tag header before it and the tag's size after it.
pub const TAG_OVERHEAD: usize = TAG_HEADER + TAG_TRAILER;
/// Bytes of the tag's size after it.
pub const TAG_TRAILER: usize = 4;

/// The file header with the first back pointer, 13 bytes.
#[must_use]
pub fn file_header(has_audio: bool, has_video: bool) -> [u8; 13] {
    let flags = u8::from(has_audio) << 2 | u8::from(has_video);
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// Appends one tag, its size after it; the body is `prefix` and `payload` together.
///
/// `timestamp` is in milliseconds and wraps at 32 bits as the format does. Bodies beyond 24 bits
/// of length cannot be framed; publishers are held to 16 MiB long before.
pub fn write(kind: TagKind, timestamp: u32, prefix: &[u8], payload: &[u8], out: &mut BytesMut) {
    let len = prefix.len() + payload.len();
    debug_assert!(len < 1 << 24, "a tag of {len} bytes");
    #[allow(clippy::cast_possible_truncation)] // the length field has 24 bits, stated above
    let len = len as u32;
    out.reserve(TAG_OVERHEAD + len as usize);
    out.put_u32(u32::from(kind as u8) << 24 | len & 0x00ff_ffff);
    let [high, a, b, c] = timestamp.to_be_bytes();
    out.put_slice(&[a, b, c, high]);
    out.put_slice(&[0, 0, 0]); // stream id
    out.put_slice(prefix);
    out.put_slice(payload);
    out.put_u32(len + TAG_HEADER as u32);
}

/// One tag on its own.
#[must_use]
pub fn to_bytes(kind: TagKind, timestamp: u32, prefix: &[u8], payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(TAG_OVERHEAD + prefix.len() + payload.len());
    write(kind, timestamp, prefix, payload, &mut out);
    out.freeze()
}

const TAG_HEADER: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_flags() {
        assert_eq!(file_header(true, true)[4], 5);
        assert_eq!(file_header(true, false)[4], 4);
        assert_eq!(file_header(false, true)[4], 1);
    }

    #[test]
    fn a_tag_to_the_byte() {
        let tag = to_bytes(TagKind::Video, 0x0102_0304, &[0x17, 1], &[9]);
        assert_eq!(&tag[..], [9, 0, 0, 3, 2, 3, 4, 1, 0, 0, 0, 0x17, 1, 9, 0, 0, 0, 14]);
    }
}
