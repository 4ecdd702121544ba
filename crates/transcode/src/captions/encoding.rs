//! Bytes as text. UTF-8 is known by being valid; the others are guessed where their bytes speak for them.

use encoding_rs::{Encoding, GB18030, UTF_16BE, UTF_16LE};

/// The text and how it was encoded; None where that is not known.
pub(super) fn decode(bytes: &[u8]) -> Option<(String, &'static str)> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return strict(encoding, &bytes[mark..]);
    }
    if let Some(encoding) = utf16(bytes) {
        return strict(encoding, bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Some((text.to_owned(), encoding_rs::UTF_8.name()));
    }
    looks_chinese(bytes).then(|| strict(GB18030, bytes)).flatten()
}

fn strict(encoding: &'static Encoding, bytes: &[u8]) -> Option<(String, &'static str)> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    Some((text.into_owned(), encoding.name()))
}

/// Times and line ends are ASCII: each second byte of them is 0.
fn utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(LOOK)];
    let zeros = |first: usize| head.iter().skip(first).step_by(2).filter(|b| **b == 0).count() * 4;
    let (even, odd) = (zeros(0), zeros(1));
    match head.len() / 2 {
        pairs if odd > pairs && even == 0 => Some(UTF_16LE),
        pairs if even > pairs && odd == 0 => Some(UTF_16BE),
        _ => None,
    }
}

/// Whether nearly all bytes beyond ASCII come in pairs of the common characters (GB 2312's rows). In the languages that are
/// written with Latin letters they stand alone, and in Big5 every other pair has an ASCII byte.
fn looks_chinese(bytes: &[u8]) -> bool {
    let (mut pairs, mut common) = (0usize, 0usize);
    let mut rest = bytes.iter();
    while let Some(&first) = rest.next() {
        if first < 0x80 {
            continue;
        }
        pairs += 1;
        let second = rest.next().copied().unwrap_or(0);
        common += usize::from((0xa1..=0xf7).contains(&first) && second >= 0xa1);
    }
    common * 5 >= pairs * 4
}

/// Bytes that tell UTF-16.
const LOOK: usize = 4096;
