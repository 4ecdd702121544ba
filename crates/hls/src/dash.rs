//! The manifest of MPEG-DASH (ISO/IEC 23009-1, profile "ISO base media file format live") over the
//! segments that HLS has.
//!
//! A segment's fragments of one track make a segment of DASH, beside an init segment of that track
//! alone; it is named by its time (`$Time$`), so that a track may be missing from a segment. Where
//! HLS has a discontinuity there is a new [`Period`], and where the server's clock was set forward. The presentation begins with the packager's
//! first segment; periods begin where the calendar has them, so that players know the live edge, and
//! within a period time is the stream's own.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use millrace_fmp4::{EPOCH, VIDEO_TIMESCALE, audio_codec_string, video_codec_string};
use millrace_media::{AudioConfig, Timestamp, TrackKind, VideoConfig};

use crate::name::Item;
use crate::snapshot::Init;
use crate::text::{Seconds, rfc3339};
use crate::wall::unix_nanos;
use crate::{Content, HlsFormat, HlsSnapshot, MediaSegment, ResourceName, Segment};

/// A stretch in which time and configuration go on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Period {
    /// Rises from period to period.
    number: u64,
    /// Where it begins on the stream's time line.
    base: Timestamp,
    /// When that is by the calendar, nanoseconds since 1970; never before the end of the period before.
    date: i64,
    /// When the presentation's first period begins.
    origin: i64,
}

/// The periods of a stream. What was said of one is never changed.
#[derive(Debug, Default)]
pub(crate) struct Periods {
    newest: Option<Arc<Period>>,
    /// When the newest segment ends by its period.
    end: i64,
    /// The newest period has ended.
    ended: bool,
}

impl Periods {
    /// The period of the next segment, which begins at `date` as far as is known now.
    pub(crate) fn of(&mut self, segment: &Segment, date: i64) -> Arc<Period> {
        let period = match &self.newest {
            Some(newest) if !segment.discontinuity && !self.ended => Arc::clone(newest),
            before => {
                let date = before.as_ref().map_or(date, |_| date.max(self.end));
                let (number, origin) = before.as_ref().map_or((0, date), |before| (before.number + 1, before.origin));
                Arc::new(Period { number, base: segment.start, date, origin })
            }
        };
        self.end = period.date.saturating_add(segment.end().signed_nanos_since(period.base));
        self.newest = Some(Arc::clone(&period));
        self.ended = false;
        period
    }

    /// The calendar has moved on from what the newest period says, which stays as it was said: the
    /// next segment begins another.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }
}

impl Period {
    /// When a point of the stream is shown, since the presentation's beginning.
    fn at(&self, t: Timestamp) -> Duration {
        let nanos = self.date.saturating_add(t.signed_nanos_since(self.base)).saturating_sub(self.origin);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

/// The last part of the path at which players ask for the server's time, below the stream's name.
pub const CLOCK: &str = "clock";

/// What they are answered: an `xs:dateTime`.
#[must_use]
pub fn clock(now: SystemTime) -> Content {
    Bytes::from(rfc3339(unix_nanos(now)).unwrap_or_default()).into()
}

/// The manifest as of one moment; none where tracks are not kept apart.
pub(crate) fn render(snapshot: &HlsSnapshot, name: &str) -> Option<Content> {
    if snapshot.format != HlsFormat::Cmaf {
        return None;
    }
    let mut text = String::with_capacity(4096);
    Mpd { snapshot, name }.write(&mut text).unwrap_or_default(); // writing to a string does not fail
    Some(Bytes::from(text).into())
}

struct Mpd<'a> {
    snapshot: &'a HlsSnapshot,
    name: &'a str,
}

impl Mpd<'_> {
    fn write(&self, text: &mut String) -> fmt::Result {
        let (listed, target) = (self.snapshot.listed(), self.snapshot.target);
        let (Some(first), Some(last)) = (listed.first(), listed.last()) else { return Ok(()) };
        writeln!(text, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
        write!(text, r#"<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="{PROFILE}""#)?;
        write!(
            text,
            r#" minBufferTime="PT{}S" maxSegmentDuration="PT{}S""#,
            Seconds(target),
            Seconds(target + ROUNDED)
        )?;
        // Of an ended stream all stays as it was said, so that whoever still plays it goes on.
        if let Some(date) = rfc3339(first.period.origin) {
            write!(text, r#" availabilityStartTime="{date}""#)?;
        }
        let end = last.period.at(last.end);
        if self.snapshot.ended {
            writeln!(text, r#" type="static" mediaPresentationDuration="PT{}S">"#, Seconds(end))?;
        } else {
            let published = last.period.origin.saturating_add(i64::try_from(end.as_nanos()).unwrap_or(i64::MAX));
            if let Some(date) = rfc3339(published) {
                write!(text, r#" publishTime="{date}""#)?;
            }
            let window: Duration = listed.iter().map(|segment| segment.duration).sum();
            write!(text, r#" type="dynamic" minimumUpdatePeriod="PT{}S""#, Seconds(target / 2))?;
            write!(text, r#" timeShiftBufferDepth="PT{}S""#, Seconds(window.max(target)))?;
            writeln!(text, r#" suggestedPresentationDelay="PT{}S">"#, Seconds(target * DELAY))?;
        }
        for period in listed.chunk_by(|a, b| a.period.number == b.period.number) {
            self.write_period(text, period)?;
        }
        if !self.snapshot.ended {
            let scheme = "urn:mpeg:dash:utc:http-xsdate:2014";
            writeln!(text, r#"  <UTCTiming schemeIdUri="{scheme}" value="{}/{CLOCK}"/>"#, self.name)?;
        }
        writeln!(text, "</MPD>")
    }

    fn write_period(&self, text: &mut String, segments: &[Arc<MediaSegment>]) -> fmt::Result {
        let Some(first) = segments.first() else { return Ok(()) };
        let Some(init) = &first.init else { return Ok(()) };
        let period = &first.period;
        writeln!(
            text,
            r#"  <Period id="{:012x}-{}" start="PT{}S">"#,
            self.snapshot.session,
            period.number,
            Seconds(period.at(period.base))
        )?;
        if let Some(video) = &init.segment.video
            && let Some(timeline) = Timeline::of(segments, TrackKind::Video)
        {
            self.write_video(text, video, &timeline)?;
            self.write_template(text, TrackKind::Video, VIDEO_TIMESCALE, init, period, &timeline)?;
        }
        if let Some(audio) = &init.segment.audio
            && let Some(timeline) = Timeline::of(segments, TrackKind::Audio)
        {
            write_audio(text, audio, &timeline)?;
            self.write_template(text, TrackKind::Audio, audio.sample_rate(), init, period, &timeline)?;
        }
        writeln!(text, "  </Period>")
    }

    fn write_video(&self, text: &mut String, video: &VideoConfig, timeline: &Timeline) -> fmt::Result {
        write_adaptation_set(text, TrackKind::Video, timeline)?;
        write!(text, r#" codecs="{}""#, video_codec_string(video))?;
        if let Some((width, height)) = video.resolution() {
            write!(text, r#" width="{width}" height="{height}""#)?;
        }
        if let Some(rate) = video.frame_rate().or(self.snapshot.measured.frame_rate) {
            write!(text, r#" frameRate="{}""#, frame_rate(rate))?;
        }
        writeln!(text, ">")
    }

    /// What follows from here is the same for both tracks.
    fn write_template(
        &self,
        text: &mut String,
        track: TrackKind,
        timescale: u32,
        init: &Init,
        period: &Period,
        timeline: &Timeline,
    ) -> fmt::Result {
        let name = |item| ResourceName { format: HlsFormat::Cmaf, session: self.snapshot.session, item };
        let initialization = name(Item::TrackInit(track, init.number));
        // A name with any time, in which the time is left open.
        let media = name(Item::Track(track, 0)).to_string().replace("0.m4s", "$Time$.m4s");
        let offset = (period.base + EPOCH).as_ticks(timescale);
        write!(text, r#"      <SegmentTemplate timescale="{timescale}" presentationTimeOffset="{offset}""#)?;
        write!(text, r#" initialization="{0}/{initialization}" media="{0}/{media}""#, self.name)?;
        writeln!(text, ">\n        <SegmentTimeline>")?;
        timeline.write(text)?;
        writeln!(text, "        </SegmentTimeline>\n      </SegmentTemplate>")?;
        let id = letter(track);
        writeln!(text, r#"      <Representation id="{id}" bandwidth="{}"/>"#, timeline.bandwidth(timescale))?;
        writeln!(text, "    </AdaptationSet>")
    }
}

/// Begins the element, up to attributes that depend on the track.
fn write_adaptation_set(text: &mut String, track: TrackKind, timeline: &Timeline) -> fmt::Result {
    let (id, kind) = match track {
        TrackKind::Video => (0, "video"),
        TrackKind::Audio => (1, "audio"),
    };
    write!(text, r#"    <AdaptationSet id="{id}" contentType="{kind}" mimeType="{kind}/mp4" segmentAlignment="true""#)?;
    if timeline.independent {
        write!(text, r#" startWithSAP="1""#)?;
    }
    Ok(())
}

fn write_audio(text: &mut String, audio: &AudioConfig, timeline: &Timeline) -> fmt::Result {
    write_adaptation_set(text, TrackKind::Audio, timeline)?;
    write!(text, r#" codecs="{}""#, audio_codec_string(audio))?;
    writeln!(text, r#" audioSamplingRate="{}">"#, audio.output_sample_rate())?;
    // ISO/IEC 23091-3: up to six channels, the usual layout has the number of its channels.
    if let channels @ 1..=6 = audio.channels() {
        let scheme = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011";
        writeln!(text, r#"      <AudioChannelConfiguration schemeIdUri="{scheme}" value="{channels}"/>"#)?;
    }
    Ok(())
}

/// When the segments of one track begin and how long they last, in its ticks.
struct Timeline {
    entries: Vec<Entry>,
    independent: bool,
}

struct Entry {
    start: u64,
    duration: u64,
    bytes: u64,
}

impl Timeline {
    /// None where no segment has anything of the track.
    fn of(segments: &[Arc<MediaSegment>], track: TrackKind) -> Option<Self> {
        let mut timeline = Self { entries: Vec::with_capacity(segments.len()), independent: true };
        for segment in segments {
            let mut fragments = segment.fragments(track);
            let Some(first) = fragments.next() else { continue };
            let mut entry = Entry { start: first.start, duration: first.duration, bytes: first.bytes.len() as u64 };
            for fragment in fragments {
                entry.duration = fragment.start + fragment.duration - entry.start;
                entry.bytes += fragment.bytes.len() as u64;
            }
            timeline.independent &= first.independent;
            timeline.entries.push(entry);
        }
        (!timeline.entries.is_empty()).then_some(timeline)
    }

    /// Entries of one duration, one after the other, are written as one.
    fn write(&self, text: &mut String) -> fmt::Result {
        let mut end = None;
        for run in self.entries.chunk_by(|a, b| a.duration == b.duration && a.start + a.duration == b.start) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            text.push_str("          <S");
            if end != Some(first.start) {
                write!(text, r#" t="{}""#, first.start)?;
            }
            write!(text, r#" d="{}""#, first.duration)?;
            if run.len() > 1 {
                write!(text, r#" r="{}""#, run.len() - 1)?;
            }
            writeln!(text, "/>")?;
            end = Some(last.start + last.duration);
        }
        Ok(())
    }

    /// Bits a second of the segment that has most.
    fn bandwidth(&self, timescale: u32) -> u64 {
        let rate = |e: &Entry| u128::from(e.bytes) * 8 * u128::from(timescale) / u128::from(e.duration.max(1));
        let most = self.entries.iter().map(rate).max().unwrap_or(0);
        u64::try_from(most).unwrap_or(u64::MAX).max(1)
    }
}

fn letter(track: TrackKind) -> char {
    match track {
        TrackKind::Video => 'v',
        TrackKind::Audio => 'a',
    }
}

/// A whole number, or a fraction: that of NTSC where it is meant.
fn frame_rate(rate: f64) -> String {
    let near = |r: f64| (r - r.round()).abs() < 0.005 && r.round() > 0.0;
    if near(rate) {
        format!("{rate:.0}")
    } else if near(rate * 1.001) {
        format!("{:.0}/1001", (rate * 1.001).round() * 1000.0)
    } else {
        format!("{:.0}/1000", (rate * 1000.0).max(1.0))
    }
}

const PROFILE: &str = "urn:mpeg:dash:profile:isoff-live:2011";
/// Rounded to seconds, a segment is not longer than the target: it is up to so much longer.
const ROUNDED: Duration = Duration::from_millis(500);
/// Players stay so many target durations behind the live edge: as those of HLS do.
const DELAY: u32 = 3;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn segment(start_ms: i64, millis: u64, discontinuity: bool) -> Segment {
        Segment {
            start: Timestamp::from_millis(start_ms),
            duration: Duration::from_millis(millis),
            independent: true,
            discontinuity,
            pictures: 1,
            parts: Vec::new(),
            init: None,
        }
    }

    #[test]
    fn periods_begin_by_the_calendar_and_never_before_the_one_before_ends() {
        let second = 1_000_000_000;
        let mut periods = Periods::default();
        let first = periods.of(&segment(5000, 2000, false), 100 * second);
        assert_eq!((first.number, first.at(first.base)), (0, Duration::ZERO));
        let same = periods.of(&segment(7000, 2000, false), 103 * second);
        assert_eq!(same.at(Timestamp::from_millis(9000)), Duration::from_secs(4), "time is the stream's own");
        let later = periods.of(&segment(12_000, 2000, true), 109 * second);
        assert_eq!((later.number, later.at(later.base)), (1, Duration::from_secs(9)));
        let early = periods.of(&segment(14_000, 2000, true), 50 * second);
        assert_eq!((early.number, early.at(early.base)), (2, Duration::from_secs(11)));
    }

    #[test]
    fn frame_rates_are_whole_or_fractions() {
        for (rate, text) in [
            (25.0, "25"),
            (29.97, "30000/1001"),
            (59.94005994, "60000/1001"),
            (23.976, "24000/1001"),
            (12.5, "12500/1000"),
        ] {
            assert_eq!(frame_rate(rate), text);
        }
    }

    #[test]
    fn runs_of_one_duration_are_written_once_and_gaps_are_said() {
        let entry = |start, duration| Entry { start, duration, bytes: 1000 };
        let entries = vec![entry(10, 5), entry(15, 5), entry(20, 5), entry(25, 4), entry(30, 4)];
        let timeline = Timeline { entries, independent: true };
        let mut text = String::new();
        timeline.write(&mut text).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        assert_eq!(lines, [r#"<S t="10" d="5" r="2"/>"#, r#"<S d="4"/>"#, r#"<S t="30" d="4"/>"#]);
        assert_eq!(timeline.bandwidth(5), 10_000);
    }
}
