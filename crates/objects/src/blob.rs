use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::BoxStream;

use crate::Error;
use crate::disk::OpenFile;
use crate::s3::RemoteFile;

/// An object that is open: any part of it can be read, by many at once. Cheap to clone. On disk it stays readable after it
/// is deleted.
#[derive(Debug, Clone)]
pub struct Blob {
    size: u64,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Disk(OpenFile),
    S3(RemoteFile),
}

/// The bytes of an object, as they are read.
pub struct Chunks(BoxStream<'static, Result<Bytes, Error>>);

impl Blob {
    pub(crate) fn on_disk(size: u64, file: OpenFile) -> Self {
        Self { size, source: Source::Disk(file) }
    }

    pub(crate) fn on_s3(size: u64, file: RemoteFile) -> Self {
        Self { size, source: Source::S3(file) }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The open file, for those who hand it to the kernel. `None` where the storage has none.
    #[must_use]
    pub fn file(&self) -> Option<&Arc<File>> {
        match &self.source {
            Source::Disk(file) => Some(file.get()),
            Source::S3(_) => None,
        }
    }

    /// Reads a part into memory, as a whole.
    ///
    /// # Errors
    /// [`Error::Range`] where it is not within the object, and what the storage says.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        self.check(&range)?;
        match &self.source {
            Source::Disk(file) => file.read(range).await,
            Source::S3(file) => file.read(range).await,
        }
    }

    /// Reads parts, one after the other, in chunks of a size that suits sending. A part that is not within the object is
    /// the stream's error, [`Error::Range`], before any byte.
    pub fn stream(&self, ranges: impl IntoIterator<Item = Range<u64>>) -> Chunks {
        let ranges: Vec<_> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        if let Some(error) = ranges.iter().find_map(|range| self.check(range).err()) {
            return Chunks(Box::pin(futures_util::stream::iter([Err(error)])));
        }
        match &self.source {
            Source::Disk(file) => Chunks(file.stream(ranges)),
            Source::S3(file) => Chunks(file.stream(ranges)),
        }
    }

    fn check(&self, range: &Range<u64>) -> Result<(), Error> {
        if range.start <= range.end && range.end <= self.size { Ok(()) } else { Err(Error::Range { size: self.size }) }
    }
}

impl Chunks {
    /// The next bytes, at least one.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chunks(…)")
    }
}
