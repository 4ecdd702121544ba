//! Why something could not be made of a file, in words for whoever uploaded it or runs the server.

use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use crate::container::NotMedia;

/// Why a file was not probed, transcoded, remuxed or drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// FFmpeg or ffprobe is not installed, or does not start.
    #[error("{program} does not start: {source}")]
    Missing {
        /// Its name or path, as configured.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// This FFmpeg was built without something that is asked of it.
    #[error("this server's FFmpeg lacks {0}")]
    Lacks(&'static str),
    /// The file is no container of sound and pictures.
    #[error("{0}")]
    NotMedia(#[from] NotMedia),
    /// It is one, and has neither sound nor pictures that can be decoded.
    #[error("the file has neither pictures nor sound that can be played: {0}")]
    NothingToPlay(String),
    /// It has more tracks than are looked at.
    #[error("the file has more than {limit} tracks")]
    TooManyTracks {
        /// As many as it may have.
        limit: usize,
    },
    /// Its pictures have more pixels than are decoded.
    #[error("the video is too large: {width} x {height} pixels")]
    TooLarge {
        /// Pixels in a row.
        width: u64,
        /// Rows.
        height: u64,
    },
    /// It lasts, or says that it lasts, longer than is taken.
    #[error("the video is too long: more than {} hours", .limit.as_secs() / 3600)]
    TooLong {
        /// The longest that is taken.
        limit: Duration,
    },
    /// Its bytes are not what they should be.
    #[error("the file is damaged or incomplete: {0}")]
    Damaged(String),
    /// It points at other files or addresses, which are never opened.
    #[error("the file refers to other files or addresses, which are not opened")]
    Refers,
    /// There is no room for the result.
    #[error("the disk is full")]
    DiskFull,
    /// What is to stay free on the disk would not.
    #[error("the disk has no room left beyond upload.reserve")]
    Reserve,
    /// FFmpeg had no memory left.
    #[error("FFmpeg ran out of memory")]
    OutOfMemory,
    /// What was written grew far beyond what the length that the file states allows for.
    #[error("the video goes on far beyond the length that it states")]
    Outgrown,
    /// FFmpeg was ended by somebody else: the system, where memory is short, or an operator.
    #[error("FFmpeg was ended by signal {}", named(*.signal))]
    Killed {
        /// Which.
        signal: i32,
    },
    /// FFmpeg made no progress for a long time.
    #[error("FFmpeg made no progress for {} seconds", .0.as_secs())]
    Stalled(Duration),
    /// A short task took too long.
    #[error("FFmpeg took longer than {} seconds", .0.as_secs())]
    TimedOut(Duration),
    /// Whoever asked for it has asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// FFmpeg failed otherwise.
    #[error("FFmpeg failed: {0}")]
    Failed(String),
    /// A file could not be read or written by this process.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Error {
    /// Whether the file itself is at fault, so that to try again is in vain.
    #[must_use]
    pub fn is_the_files(&self) -> bool {
        matches!(
            self,
            Self::NotMedia(_)
                | Self::NothingToPlay(_)
                | Self::TooManyTracks { .. }
                | Self::TooLarge { .. }
                | Self::TooLong { .. }
                | Self::Damaged(_)
                | Self::Refers
                | Self::Outgrown
        )
    }

    /// What a program's end means, by its status and the last that it said. `file` is what it read: its path is not told.
    pub(crate) fn of_exit(status: ExitStatus, said: &str, file: &Path) -> Self {
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            // SIGXFSZ: the system's limit of a file's size.
            return if signal == 25 { Self::DiskFull } else { Self::Killed { signal } };
        }
        let has = |text: &str| said.contains(text);
        if has("No space left on device") || has("Disk quota exceeded") {
            Self::DiskFull
        } else if has("exceeds max_streams") {
            Self::TooManyTracks { limit: crate::probe::MAX_TRACKS }
        } else if has("not on whitelist") {
            Self::Refers
        } else if has("Cannot allocate memory") {
            Self::OutOfMemory
        } else if let Some(error) = monstrous(said) {
            error
        } else if let Some((_, known)) = PHRASES.iter().find(|(phrase, _)| has(phrase)) {
            Self::Damaged((*known).to_owned())
        } else {
            Self::Failed(last_words(said, file).unwrap_or_else(|| status.to_string()))
        }
    }
}

fn named(signal: i32) -> String {
    if signal == 9 { "9, as systems do where memory is short".to_owned() } else { signal.to_string() }
}

/// Whether a decoder refused a picture for its size: `Picture size 60000x60000 is invalid`.
pub(crate) fn monstrous(said: &str) -> Option<Error> {
    let (size, _) = said.split_once("Picture size ")?.1.split_once(" is invalid")?;
    let (width, height) = size.split_once('x')?;
    Some(Error::TooLarge { width: width.parse().ok()?, height: height.parse().ok()? })
}

/// The last line that says something, without addresses of memory and without the file's path.
pub(crate) fn last_words(said: &str, file: &Path) -> Option<String> {
    let line = said.lines().rev().map(str::trim).find(|line| !line.is_empty() && *line != "Conversion failed!")?;
    let path = file.to_string_lossy();
    let line = line.replace(&*format!("file:{path}"), "the file").replace(&*path, "the file");
    // `[mov,mp4 @ 0x55d0c0] words`
    let words = match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((source, words)) if source.contains(" @ 0x") => words,
        _ => &line,
    };
    Some(words.chars().take(MAX_WORDS).collect())
}

/// What FFmpeg says of files that are not as they should be, and what it means.
const PHRASES: &[(&str, &str)] = &[
    ("moov atom not found", "its index is missing, as when an upload or a recording was cut off"),
    ("EBML header parsing failed", "its beginning cannot be read"),
    ("Truncating packet", "it ends early"),
    ("Output file is empty", "nothing in it could be decoded"),
    ("Nothing was written into output file", "nothing in it could be decoded"),
    ("received no packets", "nothing in it could be decoded"),
    ("Cannot determine format of input", "nothing in it could be decoded"),
    ("Invalid data found when processing input", "its contents cannot be read"),
    ("End of file", "it ends early"),
];

const MAX_WORDS: usize = 300;

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn failed(said: &str) -> String {
        Error::of_exit(ExitStatus::from_raw(256), said, Path::new("/data/up/abc.mp4")).to_string()
    }

    #[test]
    fn the_usual_failures_are_plain_words() {
        assert_eq!(
            failed("av_interleaved_write_frame(): No space left on device\nConversion failed!"),
            "the disk is full"
        );
        assert_eq!(
            failed("[mov,mp4 @ 0x5581] moov atom not found\nfile:/data/up/abc.mp4: Invalid data found"),
            "the file is damaged or incomplete: its index is missing, as when an upload or a recording was cut off"
        );
        assert_eq!(
            Error::of_exit(ExitStatus::from_raw(9), "", Path::new("x")).to_string(),
            "FFmpeg was ended by signal 9, as systems do where memory is short"
        );
    }

    #[test]
    fn a_monstrous_picture_is_told_with_its_size() {
        let said =
            "[png @ 0x556a] [IMGUTILS @ 0x7ffc] Picture size 60000x40000 is invalid\nError while opening decoder";
        assert_eq!(failed(said), "the video is too large: 60000 x 40000 pixels");
    }

    #[test]
    fn other_words_are_passed_on_without_paths_and_addresses() {
        assert_eq!(
            failed("first\n[libx264 @ 0x5581cafe] no such preset for file:/data/up/abc.mp4\n\n"),
            "FFmpeg failed: no such preset for the file"
        );
        assert_eq!(failed(&"x".repeat(1000)).len(), "FFmpeg failed: ".len() + MAX_WORDS);
        assert_eq!(failed(""), "FFmpeg failed: exit status: 1");
    }
}
