//! Video on demand.
//!
//! ```text
//! upload -> Staging (a file that grows) -> Objects, under a key -> Vod: playlists, segments, ranges of that very file
//!                                                            '--> jobs: probe, remux, pictures, renditions, deletion
//! ```
//!
//! Invariants:
//! - What has arrived is safe: a file is told to be received once it is on disk, and nothing that fails later changes that.
//! - A video plays from its one stored file. Segments are heads that are written when they are asked for, and ranges of
//!   that file's bytes.
//! - A row names an object only once the object is whole; an object that no row names is garbage, and is collected.

mod checksum;
pub mod jobs;
mod library;
mod ranges;
mod staging;
mod title;
mod workshop;

pub use checksum::{Checksum, UnknownChecksum};
pub use library::{TitleError, Vod};
pub use ranges::Wanted;
pub use staging::{AppendError, Staging};
pub use title::{Part, PartBytes, Title, Variant, multivariant};
pub use workshop::Workshop;
