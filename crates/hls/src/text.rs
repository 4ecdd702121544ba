//! Media playlists as text.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};

use crate::name::Item;
use crate::playlist::Playlist;
use crate::snapshot::Init;
use crate::{Content, HlsFormat, Part, ResourceName};

/// A media playlist at one moment.
#[derive(Debug)]
pub(crate) struct MediaText<'a> {
    pub(crate) format: HlsFormat,
    pub(crate) session: u64,
    pub(crate) playlist: &'a Playlist,
    pub(crate) target: Duration,
    /// Where there are parts.
    pub(crate) part_target: Option<Duration>,
    /// The segment in the making.
    pub(crate) open: OpenText<'a>,
    /// Nothing follows for now.
    pub(crate) away: bool,
    pub(crate) ended: bool,
}

/// The segment in the making.
#[derive(Debug)]
pub(crate) struct OpenText<'a> {
    pub(crate) sequence: u64,
    pub(crate) parts: &'a [Arc<Part>],
    pub(crate) discontinuity: bool,
    pub(crate) independent: bool,
    pub(crate) date: i64,
    pub(crate) init: Option<&'a Arc<Init>>,
}

impl MediaText<'_> {
    /// The whole playlist.
    pub(crate) fn full(&self) -> Content {
        self.render(0)
    }

    /// The playlist without the segments that are older than the skip boundary; none where all are
    /// newer, or players may have another date of an older one.
    pub(crate) fn delta(&self) -> Option<Content> {
        self.part_target.filter(|_| self.playlist.is_settled())?;
        let boundary = self.skip_boundary();
        let mut age = self.open.parts.iter().map(|part| part.duration).sum::<Duration>();
        let mut within = 0;
        for entry in self.playlist.listed().iter().rev() {
            age += entry.segment.duration;
            if age > boundary {
                break;
            }
            within += 1;
        }
        let skipped = self.playlist.listed().len() - within;
        (skipped > 0).then(|| self.render(skipped))
    }

    fn render(&self, skipped: usize) -> Content {
        let lines = self.playlist.listed().len() - skipped;
        let mut text = String::with_capacity(400 + lines * 140 + self.open.parts.len() * 80);
        self.write(&mut text, skipped).unwrap_or_default(); // writing to a string does not fail
        bytes::Bytes::from(text).into()
    }

    fn write(&self, text: &mut String, skipped: usize) -> fmt::Result {
        let listed = self.playlist.listed();
        let open = Some(&self.open).filter(|open| !open.parts.is_empty());
        writeln!(text, "#EXTM3U\n#EXT-X-VERSION:{}", if self.part_target.is_some() { 9 } else { 3 })?;
        writeln!(text, "#EXT-X-TARGETDURATION:{}", self.target.as_secs())?;
        if let Some(part) = self.part_target {
            self.write_control(text, part)?;
        }
        let sequence = listed.front().map_or(self.open.sequence, |l| l.segment.sequence);
        writeln!(text, "#EXT-X-MEDIA-SEQUENCE:{sequence}")?;
        writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", self.playlist.discontinuity_sequence())?;
        if self.playlist.is_independent() && open.is_none_or(|open| open.independent) {
            writeln!(text, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        }
        if skipped > 0 {
            writeln!(text, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")?;
        }
        let mut init = skipped.checked_sub(1).and_then(|last| listed[last].segment.init.as_ref());
        for entry in listed.iter().skip(skipped) {
            let segment = &entry.segment;
            self.write_beginning(text, segment.discontinuity, &mut init, segment.init.as_ref(), entry.date)?;
            if self.has_parts_listed(segment.sequence) {
                self.write_parts(text, segment.sequence, &segment.parts)?;
            }
            writeln!(text, "#EXTINF:{},\n{}", Seconds(segment.duration), segment.name)?;
        }
        if self.ended {
            return writeln!(text, "#EXT-X-ENDLIST");
        }
        if let Some(open) = open {
            self.write_beginning(text, open.discontinuity, &mut init, open.init, open.date)?;
            self.write_parts(text, open.sequence, open.parts)?;
        }
        if self.part_target.is_some() && !self.away {
            let next = u32::try_from(self.open.parts.len()).unwrap_or(u32::MAX);
            let name = self.name(Item::Part(self.open.sequence, next));
            writeln!(text, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{name}\"")?;
        }
        Ok(())
    }

    /// While the publisher is away nobody is invited to wait: an answer might take as long as it
    /// stays away.
    fn write_control(&self, text: &mut String, part: Duration) -> fmt::Result {
        let block = if self.away { "" } else { "CAN-BLOCK-RELOAD=YES," };
        writeln!(
            text,
            "#EXT-X-SERVER-CONTROL:{block}CAN-SKIP-UNTIL={},HOLD-BACK={},PART-HOLD-BACK={}",
            Seconds(self.skip_boundary()),
            Seconds(self.target * HOLD_BACK),
            Seconds(part * PART_HOLD_BACK)
        )?;
        writeln!(text, "#EXT-X-PART-INF:PART-TARGET={}", Seconds(part))
    }

    fn skip_boundary(&self) -> Duration {
        self.target * SKIP_BOUNDARY
    }

    fn write_beginning<'a>(
        &self,
        text: &mut String,
        discontinuity: bool,
        before: &mut Option<&'a Arc<Init>>,
        init: Option<&'a Arc<Init>>,
        date: i64,
    ) -> fmt::Result {
        if discontinuity {
            writeln!(text, "#EXT-X-DISCONTINUITY")?;
        }
        if let Some(init) = init
            && before.is_none_or(|before| before.number != init.number)
        {
            writeln!(text, "#EXT-X-MAP:URI=\"{}\"", self.name(Item::Init(init.number)))?;
            *before = Some(init);
        }
        match rfc3339(date) {
            Some(date) => writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{date}"),
            None => Ok(()),
        }
    }

    fn write_parts(&self, text: &mut String, sequence: u64, parts: &[Arc<Part>]) -> fmt::Result {
        for (number, part) in (0..).zip(parts) {
            let name = self.name(Item::Part(sequence, number));
            let independent = if part.independent { ",INDEPENDENT=YES" } else { "" };
            writeln!(text, "#EXT-X-PART:DURATION={},URI=\"{name}\"{independent}", Seconds(part.duration))?;
        }
        Ok(())
    }

    /// Parts are listed of what is at most three target durations from the end (RFC 8216bis, 6.2.2).
    fn has_parts_listed(&self, sequence: u64) -> bool {
        let after = self.playlist.listed().iter().rev().take_while(|l| l.segment.sequence > sequence);
        let age: Duration = after.map(|l| l.segment.duration).sum();
        self.part_target.is_some() && age < self.target * PARTS_LISTED
    }

    fn name(&self, item: Item) -> ResourceName {
        ResourceName { format: self.format, session: self.session, item }
    }
}

/// Target durations from the end within which parts are listed.
const PARTS_LISTED: u32 = 3;
/// `CAN-SKIP-UNTIL` in target durations: the least that is allowed.
const SKIP_BOUNDARY: u32 = 6;
/// `HOLD-BACK` in target durations: the least that is allowed.
const HOLD_BACK: u32 = 3;
/// `PART-HOLD-BACK` in part targets. Three are recommended at least; one more lets a part be late.
const PART_HOLD_BACK: u32 = 4;

/// Seconds with milliseconds, rounded to the nearest.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = (self.0.as_nanos() + 500_000) / 1_000_000;
        write!(f, "{}.{:03}", millis / 1000, millis % 1000)
    }
}

const MILLISECONDS: EncodedConfig =
    Config::DEFAULT.set_time_precision(TimePrecision::Second { decimal_digits: std::num::NonZeroU8::new(3) }).encode();

/// A point of time, given in nanoseconds since 1970, with milliseconds.
pub(crate) fn rfc3339(unix_nanos: i64) -> Option<String> {
    let date = OffsetDateTime::from_unix_timestamp_nanos(unix_nanos.into()).ok()?;
    date.format(&Iso8601::<MILLISECONDS>).ok()
}
