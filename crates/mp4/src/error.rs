use crate::FourCc;

/// Why a file, or a track of it, cannot be read or packaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It does not begin as MP4 or QuickTime files do.
    #[error("this is no MP4 or QuickTime file: {0}")]
    NotMp4(String),
    /// The file ends before what is needed to play it: it was not recorded or transferred to its end.
    #[error("the file is cut off: it ends at byte {size} {within}")]
    Truncated {
        /// Size of the file, bytes.
        size: u64,
        /// Within or before what.
        within: String,
    },
    /// A box is not as the specification has it.
    #[error("{kind} at byte {offset} is not valid: {why}")]
    Invalid {
        /// The box.
        kind: FourCc,
        /// Where in the file.
        offset: u64,
        /// What was found and what was expected.
        why: String,
    },
    /// There is more of something than this reader takes.
    #[error("the file has {found} {what}, at most {most} are supported")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much.
        found: u64,
        /// The bound.
        most: u64,
    },
    /// A feature of the format that this reader lacks.
    #[error("{0}")]
    Unsupported(String),
    /// A codec's configuration cannot be read.
    #[error("its codec ({kind}) cannot be read: {source}")]
    Codec {
        /// Its sample entry.
        kind: FourCc,
        /// What is wrong with it.
        source: millrace_media::Error,
    },
    /// Other bytes were fed than those that were asked for.
    #[error("{len} bytes at {offset} were fed to the reader, which does not want them")]
    NotWanted {
        /// Where they are from.
        offset: u64,
        /// How many.
        len: usize,
    },
}
