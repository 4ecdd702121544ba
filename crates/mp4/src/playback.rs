/// Where a codec can be expected to be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Playback {
    /// In no browser.
    Nowhere,
    /// In some browsers, or on some devices.
    Somewhere,
    /// In the browsers of today, but for some on older devices.
    Widely,
    /// In any browser.
    Everywhere,
}

/// Where a codec in segments of MP4 can be expected to be played, by its string of RFC 6381.
///
/// ```
/// # use millrace_mp4::{Playback, playback};
/// assert_eq!(playback("avc1.640028"), Playback::Everywhere);
/// assert_eq!(playback("avc1.7a0028"), Playback::Nowhere); // 4:2:2
/// assert!(playback("hvc1.1.6.L93.B0") < Playback::Widely);
/// assert!(playback("vp09.00.31.08") >= Playback::Widely);
/// ```
#[must_use]
pub fn playback(codec: &str) -> Playback {
    let mut parts = codec.split('.');
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let rest: Vec<&str> = parts.collect();
    match (&*kind, &*rest) {
        // Baseline, Main, Extended and High; others have more than 8 bits or finer colours.
        ("avc1", [level]) => match level.get(..2).and_then(|p| u8::from_str_radix(p, 16).ok()) {
            Some(66 | 77 | 88 | 100) => Playback::Everywhere,
            Some(110) => Playback::Somewhere,
            _ => Playback::Nowhere,
        },
        ("avc3" | "hvc1" | "hev1", _) => Playback::Somewhere,
        ("av01" | "vp09", ["0" | "00", ..]) => Playback::Widely,
        ("av01" | "vp09", _) => Playback::Somewhere,
        ("mp4a", ["40", "2" | "02" | "5" | "05" | "29"] | ["67"]) => Playback::Everywhere,
        ("opus" | "flac", []) => Playback::Widely,
        // MP3 is played out of its own files everywhere, out of segments in MP4 not by Chromium.
        ("mp4a", ["40", "34" | "42"] | ["6B" | "6b" | "69"]) | ("ac-3" | "ec-3", []) => Playback::Somewhere,
        _ => Playback::Nowhere,
    }
}
