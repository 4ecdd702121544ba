use std::fmt;

use millrace_media::TrackKind;

/// In which form a stream is handed out over HLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HlsFormat {
    /// MPEG-TS segments: `ts.m3u8`.
    Ts,
    /// Fragmented MP4, in parts: `cmaf.m3u8`.
    Cmaf,
}

impl HlsFormat {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ts, Self::Cmaf];

    /// The last part of its media playlist's path.
    #[must_use]
    pub fn playlist(self) -> &'static str {
        match self {
            Self::Ts => "ts.m3u8",
            Self::Cmaf => "cmaf.m3u8",
        }
    }

    /// Which format's media playlist has this name.
    #[must_use]
    pub fn of_playlist(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.playlist() == name)
    }

    /// The media type of its segments.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Ts => "video/mp2t",
            Self::Cmaf => "video/mp4",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Ts => "ts",
            Self::Cmaf => "m4s",
        }
    }
}

/// The last part of the path of something that a media playlist names. It never names other bytes.
///
/// It begins with the session, by which what was made by another life of the stream is told apart:
/// `019b76daa800-31536000.m4s`, `019b76daa800-31536000.4.m4s`, `019b76daa800-init0.mp4`; of one track,
/// `019b76daa800-v1080000.m4s`, `019b76daa800-ainit0.mp4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceName {
    pub(crate) format: HlsFormat,
    /// When the session began, milliseconds since 1970: an earlier one is less.
    pub(crate) session: u64,
    pub(crate) item: Item,
}

/// What a playlist names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item {
    /// By its media sequence number.
    Segment(u64),
    /// By its segment's number and its place in it.
    Part(u64, u32),
    /// What a decoder needs first, by the number of the configuration.
    Init(u32),
    /// The segment of one track that begins at this time, in the track's ticks.
    Track(TrackKind, u64),
    /// What a decoder of one track needs first.
    TrackInit(TrackKind, u32),
    /// Nothing that was written here.
    Other,
}

impl ResourceName {
    /// Reads a name. None where its extension belongs to no format.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        let format = match extension {
            "ts" => HlsFormat::Ts,
            "m4s" | "mp4" => HlsFormat::Cmaf,
            _ => return None,
        };
        let other = Self { format, session: 0, item: Item::Other };
        // As it is written here, and in no other way: one resource has one name.
        Some(read(format, stem).filter(|read| read.is(name)).unwrap_or(other))
    }

    /// The format that it belongs to.
    #[must_use]
    pub fn format(&self) -> HlsFormat {
        self.format
    }

    fn is(&self, name: &str) -> bool {
        struct Rest<'a>(&'a str);
        impl fmt::Write for Rest<'_> {
            fn write_str(&mut self, part: &str) -> fmt::Result {
                self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
                Ok(())
            }
        }
        let mut rest = Rest(name);
        fmt::write(&mut rest, format_args!("{self}")).is_ok() && rest.0.is_empty()
    }
}

fn read(format: HlsFormat, stem: &str) -> Option<ResourceName> {
    let (session, item) = stem.split_once('-')?;
    let session = u64::from_str_radix(session, 16).ok()?;
    let track = [TrackKind::Video, TrackKind::Audio].into_iter().find(|track| item.starts_with(letter(*track)));
    let item = if let Some(track) = track {
        match item[1..].strip_prefix("init") {
            Some(number) => Item::TrackInit(track, number.parse().ok()?),
            None => Item::Track(track, item[1..].parse().ok()?),
        }
    } else if let Some(number) = item.strip_prefix("init") {
        Item::Init(number.parse().ok()?)
    } else if let Some((sequence, part)) = item.split_once('.') {
        Item::Part(sequence.parse().ok()?, part.parse().ok()?)
    } else {
        Item::Segment(item.parse().ok()?)
    };
    Some(ResourceName { format, session, item })
}

/// By which names of one track alone begin.
fn letter(track: TrackKind) -> char {
    match track {
        TrackKind::Video => 'v',
        TrackKind::Audio => 'a',
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (session, extension) = (self.session, self.format.extension());
        match self.item {
            Item::Segment(sequence) => write!(f, "{session:012x}-{sequence}.{extension}"),
            Item::Part(sequence, part) => write!(f, "{session:012x}-{sequence}.{part}.{extension}"),
            Item::Init(number) => write!(f, "{session:012x}-init{number}.mp4"),
            Item::Track(track, time) => write!(f, "{session:012x}-{}{time}.{extension}", letter(track)),
            Item::TrackInit(track, number) => write!(f, "{session:012x}-{}init{number}.mp4", letter(track)),
            Item::Other => f.write_str("?"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_as_they_are_written() {
        let session = 0x019b_76da_a800;
        for (text, format, item) in [
            ("019b76daa800-31536000.ts", HlsFormat::Ts, Item::Segment(31_536_000)),
            ("019b76daa800-31536000.m4s", HlsFormat::Cmaf, Item::Segment(31_536_000)),
            ("019b76daa800-31536000.0.m4s", HlsFormat::Cmaf, Item::Part(31_536_000, 0)),
            ("019b76daa800-init7.mp4", HlsFormat::Cmaf, Item::Init(7)),
            ("019b76daa800-v1080000.m4s", HlsFormat::Cmaf, Item::Track(TrackKind::Video, 1_080_000)),
            ("019b76daa800-a0.m4s", HlsFormat::Cmaf, Item::Track(TrackKind::Audio, 0)),
            ("019b76daa800-vinit7.mp4", HlsFormat::Cmaf, Item::TrackInit(TrackKind::Video, 7)),
            ("019b76daa800-ainit7.mp4", HlsFormat::Cmaf, Item::TrackInit(TrackKind::Audio, 7)),
        ] {
            let name = ResourceName { format, session, item };
            assert_eq!(ResourceName::parse(text), Some(name));
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn other_ways_to_write_a_name_name_nothing() {
        for text in [
            ".ts",
            "-.ts",
            "x-1.ts",
            "19b76daa800-1.ts",
            "0019b76daa800-1.ts",
            "019B76DAA800-1.ts",
            "019b76daa800-01.ts",
            "019b76daa800-+1.ts",
            "019b76daa800-1.01.m4s",
            "019b76daa800-1.m4s.ts",
            "019b76daa800-1.mp4",
            "019b76daa800-init0.m4s",
            "019b76daa800-v01.m4s",
            "019b76daa800-v1.mp4",
            "019b76daa800-x1.m4s",
            "019b76daa800-vinit0.m4s",
            "019b76daa800-99999999999999999999999.ts",
            "é-1.ts",
        ] {
            assert_eq!(ResourceName::parse(text).map(|name| name.item), Some(Item::Other), "{text}");
        }
        for text in ["", "ts", "019b76daa800-1", "019b76daa800-1.jpg"] {
            assert_eq!(ResourceName::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in "\\PC{0,40}") {
            if let Some(name) = ResourceName::parse(&text) && name.item != Item::Other {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
