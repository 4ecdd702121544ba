//! Which bytes of a file a request asks for (RFC 9110 §14).

use std::ops::Range;

/// What is answered to a request for a file of some size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All of it, with 200.
    Whole,
    /// These bytes, at least one, with 206.
    Part(Range<u64>),
    /// Nothing, with 416: none of them is in the file.
    Beyond,
}

impl Wanted {
    /// What the value of a `Range` header asks of a file of `size` bytes. What is not understood is as if it were not said,
    /// and so are several ranges at once: a server may answer them with the whole (§14.2).
    #[must_use]
    pub fn of(header: Option<&str>, size: u64) -> Self {
        let Some((unit, ranges)) = header.and_then(|header| header.trim().split_once('=')) else { return Self::Whole };
        let mut ranges = ranges.split(',').map(str::trim).filter(|range| !range.is_empty());
        let (Some(range), None, true) = (ranges.next(), ranges.next(), unit.trim().eq_ignore_ascii_case("bytes"))
        else {
            return Self::Whole;
        };
        let Some((first, last)) = range.split_once('-') else { return Self::Whole };
        match (position(first), position(last)) {
            (Some(None), Some(Some(0))) => Self::Beyond,
            (Some(None), Some(Some(suffix))) => Self::within(size.saturating_sub(suffix)..size),
            (Some(Some(first)), Some(None)) => Self::within(first..size),
            (Some(Some(first)), Some(Some(last))) if first <= last => {
                Self::within(first..size.min(last.saturating_add(1)))
            }
            _ => Self::Whole,
        }
    }

    fn within(range: Range<u64>) -> Self {
        if range.is_empty() { Self::Beyond } else { Self::Part(range) }
    }
}

/// A position, or none where nothing is said. `None` where it is not understood.
#[allow(clippy::option_option)] // said, not said, not understood
fn position(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true if text.is_empty() => Some(None),
        // A number beyond all files is beyond this one.
        true => Some(Some(text.parse().unwrap_or(u64::MAX))),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_of_the_standard() {
        // RFC 9110 §14.1.2, for a file of 10,000 bytes.
        let cases = [
            ("bytes=0-499", Wanted::Part(0..500)),
            ("bytes=500-999", Wanted::Part(500..1000)),
            ("bytes=-500", Wanted::Part(9500..10000)),
            ("bytes=9500-", Wanted::Part(9500..10000)),
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes= 0 - 499 ", Wanted::Part(0..500)),
            ("Bytes=9999-99999999999999999999999", Wanted::Part(9999..10000)),
            ("bytes=-99999", Wanted::Part(0..10000)),
            ("bytes=10000-", Wanted::Beyond),
            ("bytes=99999999999999999999999-", Wanted::Beyond),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=5-4", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=1-2,3-4", Wanted::Whole),
            ("seconds=0-1", Wanted::Whole),
            ("bytes=0-+4", Wanted::Whole),
            ("0-499", Wanted::Whole),
        ];
        for (header, wanted) in cases {
            assert_eq!(Wanted::of(Some(header), 10_000), wanted, "{header}");
        }
        assert_eq!(Wanted::of(None, 10_000), Wanted::Whole);
        assert_eq!(Wanted::of(Some("bytes=0-"), 0), Wanted::Beyond, "an empty file has no bytes");
    }

    proptest! {
        #[test]
        fn a_part_is_within_the_file(header in "bytes=[0-9]{0,20}-[0-9]{0,20}", size in any::<u64>()) {
            if let Wanted::Part(range) = Wanted::of(Some(&header), size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }

        #[test]
        fn nothing_that_is_said_is_too_much(header in ".{0,60}", size in any::<u64>()) {
            let _ = Wanted::of(Some(&header), size);
        }

        #[test]
        fn what_is_asked_for_is_given(first in 0_u64..10_000, length in 1_u64..10_000) {
            let header = format!("bytes={first}-{}", first + length - 1);
            prop_assert_eq!(Wanted::of(Some(&header), 10_000), Wanted::Part(first..10_000.min(first + length)));
        }
    }
}
