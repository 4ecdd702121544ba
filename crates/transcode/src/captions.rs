//! Captions: SubRip and WebVTT in, WebVTT out. No FFmpeg, no I/O.
//!
//! What comes out is WebVTT that each player reads the same way (<https://www.w3.org/TR/webvtt1/>): UTF-8, sorted, without
//! styles, regions and notes, with the tags for italics, bold, underlined, ruby and voices, each closed.

mod encoding;
mod markup;

use std::fmt::Write;
use std::time::Duration;

use markup::Markup;

/// A file of captions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captions {
    /// What they say, by the time at which they begin.
    pub cues: Vec<Cue>,
    /// How the file was encoded: `UTF-8`, `UTF-16LE`, `UTF-16BE` or `gb18030`. The last is guessed.
    pub encoding: &'static str,
}

/// What is shown for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cue {
    /// From when.
    pub start: Duration,
    /// Until when: later than `start`.
    pub end: Duration,
    /// WebVTT's cue settings, such as `line:0`, or nothing.
    pub settings: String,
    /// WebVTT's cue text: one or more lines, none of them empty.
    pub text: String,
}

/// Why a file has no captions that can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaptionsError {
    /// It is too large.
    #[error("the file is larger than {} KiB", MAX_BYTES / 1024)]
    TooLarge,
    /// It is no text, or of an unknown encoding.
    #[error("the file is not text in UTF-8, UTF-16 or GB18030: save it as UTF-8")]
    Encoding,
    /// It has nothing to show.
    #[error("there are no captions in the file")]
    Empty,
    /// It has too many captions.
    #[error("line {line}: there are more than {MAX_CUES} captions")]
    TooMany {
        /// Where the first too many is, from 1.
        line: usize,
    },
    /// A line is not as it should be.
    #[error("line {line}: {problem}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// There is something else before the first caption.
    #[error("a time such as 00:00:01,000 --> 00:00:04,000 should stand here")]
    NoTime,
    /// A time is none.
    #[error("this is no time: it should look like 00:00:01,000 --> 00:00:04,000")]
    Time,
    /// The end comes first.
    #[error("the caption ends before it begins")]
    Backwards,
    /// More in it than a screen shows.
    #[error("the caption is longer than {MAX_TEXT} bytes")]
    Long,
}

impl Captions {
    /// Reads SubRip or WebVTT, whichever it is.
    ///
    /// # Errors
    /// What is wrong with it, and in which line.
    pub fn parse(bytes: &[u8]) -> Result<Self, CaptionsError> {
        if bytes.len() > MAX_BYTES {
            return Err(CaptionsError::TooLarge);
        }
        let (text, encoding) = encoding::decode(bytes).ok_or(CaptionsError::Encoding)?;
        let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}");
        let lines: Vec<_> = text.split('\n').collect();
        let first = lines.iter().position(|line| !line.trim().is_empty()).ok_or(CaptionsError::Empty)?;
        let is_vtt =
            lines[first].strip_prefix("WEBVTT").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        let mut cues = if is_vtt { vtt(&lines, first)? } else { subrip(&lines)? };
        if cues.is_empty() {
            return Err(CaptionsError::Empty);
        }
        cues.sort_by_key(|cue| cue.start);
        Ok(Self { cues, encoding })
    }

    /// As a WebVTT file.
    #[must_use]
    pub fn to_webvtt(&self) -> String {
        let mut text = String::from("WEBVTT\n");
        for cue in &self.cues {
            let (start, end) = (timestamp(cue.start), timestamp(cue.end));
            let space = if cue.settings.is_empty() { "" } else { " " };
            // Writing to a string does not fail.
            let _ = write!(text, "\n{start} --> {end}{space}{}\n{}\n", cue.settings, cue.text);
        }
        text
    }
}

/// `HH:MM:SS.mmm`, with more digits of hours where it takes them.
pub(crate) fn timestamp(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, time.subsec_millis())
}

/// Blocks between empty lines: a header, notes, styles and regions, which are passed over, and cues with or without a name.
fn vtt(lines: &[&str], first: usize) -> Result<Vec<Cue>, CaptionsError> {
    let mut cues = Vec::new();
    let mut at = first;
    // The header goes on to the first empty line.
    at += lines[at..].iter().take_while(|line| !line.trim().is_empty()).count();
    while at < lines.len() {
        if lines[at].trim().is_empty() {
            at += 1;
            continue;
        }
        let length = lines[at..].iter().take_while(|line| !line.trim().is_empty()).count();
        let block = &lines[at..at + length];
        let keyword = block[0].split([' ', '\t']).next().unwrap_or_default();
        let named = usize::from(!is_timing(block[0]));
        if block.get(named).is_some_and(|line| is_timing(line)) {
            let text = markup::vtt(&block[named + 1..]);
            push(&mut cues, block[named], at + named, text, true)?;
        } else if !matches!(keyword, "NOTE" | "STYLE" | "REGION") {
            return Err(CaptionsError::Line { line: at + 1, problem: Problem::NoTime });
        }
        at += length;
    }
    Ok(cues)
}

/// A number, a time, then text up to the next number and time. An empty line in between is as good as none: files that are
/// written by hand have them where they should not, and lack them where they should.
fn subrip(lines: &[&str]) -> Result<Vec<Cue>, CaptionsError> {
    let mut cues = Vec::new();
    let begins = |at: usize| {
        let number = |line: &str| !line.is_empty() && line.len() <= 9 && line.bytes().all(|b| b.is_ascii_digit());
        let timing = |at: usize| lines.get(at).is_some_and(|line| is_timing(line));
        if timing(at) {
            Some(at)
        } else {
            lines.get(at).filter(|line| number(line.trim())).and_then(|_| timing(at + 1).then_some(at + 1))
        }
    };
    let mut at = lines.iter().position(|line| !line.trim().is_empty()).unwrap_or(lines.len());
    while at < lines.len() {
        let Some(timing) = begins(at) else {
            return Err(CaptionsError::Line { line: at + 1, problem: Problem::NoTime });
        };
        let length = (timing + 1..lines.len()).take_while(|line| begins(*line).is_none()).count();
        let text = &lines[timing + 1..timing + 1 + length];
        push(&mut cues, lines[timing], timing, markup::subrip(text), false)?;
        at = timing + 1 + length;
    }
    Ok(cues)
}

/// Takes a cue. One without text or time is passed over.
fn push(cues: &mut Vec<Cue>, timing: &str, at: usize, text: Markup, vtt: bool) -> Result<(), CaptionsError> {
    let line = at + 1;
    let wrong = |problem| CaptionsError::Line { line, problem };
    let (start, end, rest) = times(timing).ok_or_else(|| wrong(Problem::Time))?;
    if end < start {
        return Err(wrong(Problem::Backwards));
    }
    if text.text.len() > MAX_TEXT {
        return Err(wrong(Problem::Long));
    }
    if end == start || text.text.is_empty() {
        return Ok(());
    }
    if cues.len() == MAX_CUES {
        return Err(CaptionsError::TooMany { line });
    }
    let settings = match (vtt, text.top) {
        (true, _) => settings(rest),
        (false, true) => "line:0".to_owned(),
        (false, false) => String::new(),
    };
    cues.push(Cue { start, end, settings, text: text.text });
    Ok(())
}

/// A line that is meant to be one: its time may still be none.
fn is_timing(line: &str) -> bool {
    line.trim_start().starts_with(|c: char| c.is_ascii_digit()) && line.contains("-->")
}

/// The two times, and what follows them.
fn times(line: &str) -> Option<(Duration, Duration, &str)> {
    let (start, rest) = line.split_once("-->")?;
    let rest = rest.trim_start();
    let (end, rest) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    Some((time(start.trim())?, time(end.trim())?, rest))
}

/// `HH:MM:SS,mmm`, with a comma or a point, with or without hours and thousandths.
fn time(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once([',', '.']).unwrap_or((text, ""));
    let number = |digits: &str, most: usize| {
        let fits = (1..=most).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let mut parts = whole.rsplit(':');
    let (seconds, minutes) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let hours = parts.next().map_or(Some(0), |hours| number(hours, MAX_HOUR_DIGITS))?;
    if parts.next().is_some() || seconds > 59 || minutes > 59 {
        return None;
    }
    let millis = if fraction.is_empty() { 0 } else { number(fraction, 3)? * [100, 10, 1][fraction.len() - 1] };
    Some(Duration::from_secs(hours * 3600 + minutes * 60 + seconds) + Duration::from_millis(millis))
}

/// WebVTT's settings of place, as far as they are such.
fn settings(text: &str) -> String {
    let plain = |value: &str| value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-,.%".contains(&b));
    let known = |setting: &&str| {
        let (name, value) = setting.split_once(':').unwrap_or_default();
        SETTINGS.contains(&name) && (1..=MAX_SETTING).contains(&value.len()) && plain(value)
    };
    text.split_ascii_whitespace().filter(known).take(SETTINGS.len()).collect::<Vec<_>>().join(" ")
}

/// Files of captions for a long film have some 150 KiB.
pub const MAX_BYTES: usize = 2 << 20;
/// A caption a second for more than five hours.
pub const MAX_CUES: usize = 20_000;
/// Bytes of a caption's text, with its tags.
const MAX_TEXT: usize = 4096;
const MAX_HOUR_DIGITS: usize = 3;
const SETTINGS: [&str; 5] = ["vertical", "line", "position", "size", "align"];
const MAX_SETTING: usize = 32;

#[cfg(test)]
mod tests;
