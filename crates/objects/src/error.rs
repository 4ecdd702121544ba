use std::io;
use std::path::{Path, PathBuf};

use crate::Key;

/// Why a file cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is none, or of a kind that is not known.
    #[error("{0}")]
    Address(&'static str),
    /// The directory cannot be made.
    #[error("{path}: the directory cannot be made: {source}", path = .path.display())]
    Directory {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is none of that key.
    #[error("there is no such object")]
    NotFound,
    /// A part was asked for that is not within the object.
    #[error("the range is not within the {size} bytes of the object")]
    Range {
        /// The object's length in bytes.
        size: u64,
    },
    /// There is no room left.
    #[error("the storage is full")]
    Full,
    /// What is to stay free on a disk would not.
    #[error("the disk has no room left beyond upload.reserve")]
    Reserve,
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// Where it is.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is no bucket of that name.
    #[error("there is no bucket {bucket}, or not at this endpoint")]
    NoBucket {
        /// Its name.
        bucket: String,
    },
    /// The storage does not know the credentials, or they do not suffice.
    #[error("bucket {bucket}: the credentials are refused: {says}")]
    Refused {
        /// The bucket's name.
        bucket: String,
        /// The storage's own words.
        says: String,
    },
    /// The storage cannot be reached, or fails.
    #[error("bucket {bucket}: {says}")]
    Remote {
        /// The bucket's name.
        bucket: String,
        /// What happened, in the storage's words or the client's.
        says: String,
    },
    /// An object is larger than the storage takes.
    #[error("an object that is written without its length being known may have {most} bytes at most here")]
    TooLarge {
        /// The most bytes.
        most: u64,
    },
    /// What was copied is not what it was copied from.
    #[error("the copy of {key} has other bytes than the original")]
    Differs {
        /// The object.
        key: Key,
    },
    /// A writer failed before, and so has no object to give.
    #[error("what was written before this failed")]
    Broken,
}

impl Error {
    /// What the operating system says about a file that is there, or should be.
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::File { path: path.to_owned(), source },
        }
    }
}
