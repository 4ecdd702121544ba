//! Boxes (ISO/IEC 14496-12, 4.2) and descriptors (ISO/IEC 14496-1, 8.3.3) as bytes.

/// Appends a box with what `body` appends.
///
/// # Panics
/// When it is of 4 GiB or more.
pub fn write_box(out: &mut Vec<u8>, kind: &[u8; 4], body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put_u32(out, 0);
    out.extend_from_slice(kind);
    body(out);
    // Init segments are of kilobytes; what is in a fragment has a bound of its own.
    let size = u32::try_from(out.len() - start).expect("boxes are below 4 GiB");
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// Appends a box that begins with a version and 24 bits of flags.
pub fn write_full_box(out: &mut Vec<u8>, kind: &[u8; 4], version: u8, flags: u32, body: impl FnOnce(&mut Vec<u8>)) {
    write_box(out, kind, |out| {
        put_u32(out, u32::from(version) << 24 | flags);
        body(out);
    });
}

/// Appends a descriptor; its length goes before it in groups of seven bits.
pub fn write_descriptor(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    body(&mut content);
    let len = content.len();
    out.push(tag);
    for shift in [21, 14, 7] {
        if len >> shift > 0 {
            out.push(0x80 | low_byte(len >> shift & 0x7f));
        }
    }
    out.push(low_byte(len & 0x7f));
    out.extend_from_slice(&content);
}

fn low_byte(n: usize) -> u8 {
    n.to_le_bytes()[0]
}

/// Appends 16 bits.
pub fn put_u16(out: &mut Vec<u8>, n: u16) {
    out.extend_from_slice(&n.to_be_bytes());
}

/// Appends 32 bits.
pub fn put_u32(out: &mut Vec<u8>, n: u32) {
    out.extend_from_slice(&n.to_be_bytes());
}

/// Appends 64 bits.
pub fn put_u64(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&n.to_be_bytes());
}

/// Appends zeros: fields that are reserved, or that say nothing.
pub fn put_zeros(out: &mut Vec<u8>, n: usize) {
    out.resize(out.len() + n, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_hold_boxes() {
        let mut out = vec![9];
        write_box(&mut out, b"moov", |out| write_full_box(out, b"test", 1, 0x20, |out| put_u16(out, 7)));
        assert_eq!(out, b"\x09\0\0\0\x16moov\0\0\0\x0etest\x01\0\0\x20\0\x07");
    }

    #[test]
    fn long_descriptors_have_longer_lengths() {
        for (len, head) in [(127, &[3, 127][..]), (128, &[3, 0x81, 0]), (16_384, &[3, 0x81, 0x80, 0])] {
            let mut out = vec![];
            write_descriptor(&mut out, 3, |out| put_zeros(out, len));
            assert_eq!(&out[..head.len()], head);
            assert_eq!(out.len(), head.len() + len);
        }
    }
}
