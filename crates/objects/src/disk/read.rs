use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};

use super::blocking;
use crate::Error;

/// A file that is read at any place.
///
/// What the page cache has is read at once, on the caller's thread: it costs no more than the copying. Only where the disk
/// would be waited for, another thread waits. So chunks can be small, and with them the memory of each player.
#[derive(Debug, Clone)]
pub(crate) struct OpenFile {
    file: Arc<File>,
    path: Arc<PathBuf>,
}

impl OpenFile {
    pub(super) fn new(file: File, path: PathBuf) -> Self {
        Self { file: Arc::new(file), path: Arc::new(path) }
    }

    pub(crate) fn get(&self) -> &Arc<File> {
        &self.file
    }

    /// Reads a range that is within the file.
    pub(crate) async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let size = usize::try_from(range.end - range.start).map_err(|_| self.wrong(ErrorKind::FileTooLarge.into()))?;
        self.fill(vec![range].into(), size).await.map(|(bytes, _)| bytes)
    }

    /// Reads ranges that are within the file.
    pub(crate) fn stream(&self, ranges: Vec<Range<u64>>) -> BoxStream<'static, Result<Bytes, Error>> {
        stream::try_unfold((self.clone(), VecDeque::from(ranges)), async |(file, ranges)| {
            if ranges.is_empty() {
                return Ok(None);
            }
            let (bytes, ranges) = file.fill(ranges, CHUNK).await?;
            Ok(Some((bytes, (file, ranges))))
        })
        .boxed()
    }

    /// The first bytes of the ranges, `most` where they have as many, and what is left of the ranges.
    async fn fill(
        &self,
        mut ranges: VecDeque<Range<u64>>,
        most: usize,
    ) -> Result<(Bytes, VecDeque<Range<u64>>), Error> {
        let mut buffer = Buffer::new(&ranges, most);
        buffer.fill(&mut ranges, |bytes, offset| read_cached(&self.file, bytes, offset)).map_err(|e| self.wrong(e))?;
        if !buffer.is_full() {
            let file = self.clone();
            (buffer, ranges) = blocking(move || {
                let read = |bytes: &mut [u8], offset| file.file.read_at(bytes, offset).map(Some);
                buffer.fill(&mut ranges, read).map_err(|e| file.wrong(e))?;
                Ok((buffer, ranges))
            })
            .await?;
        }
        Ok((buffer.bytes.into(), ranges))
    }

    fn wrong(&self, source: io::Error) -> Error {
        Error::file(&self.path, source)
    }
}

/// Bytes, of which the first are read.
struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    fn new(ranges: &VecDeque<Range<u64>>, most: usize) -> Self {
        let all: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        Self { bytes: vec![0; usize::try_from(all).map_or(most, |all| all.min(most))], filled: 0 }
    }

    fn is_full(&self) -> bool {
        self.filled == self.bytes.len()
    }

    /// Reads from the start of the ranges, and takes it off them, until the buffer is full or `read` has no more for now.
    fn fill(
        &mut self,
        ranges: &mut VecDeque<Range<u64>>,
        mut read: impl FnMut(&mut [u8], u64) -> io::Result<Option<usize>>,
    ) -> io::Result<()> {
        while let (false, Some(range)) = (self.is_full(), ranges.front_mut()) {
            let room = self.bytes.len() - self.filled;
            let wanted = usize::try_from(range.end - range.start).map_or(room, |wanted| wanted.min(room));
            let got = match read(&mut self.bytes[self.filled..][..wanted], range.start) {
                Ok(None) => return Ok(()),
                Ok(Some(0)) if wanted > 0 => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(Some(got)) => got,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.filled += got;
            range.start += got as u64;
            if range.is_empty() {
                ranges.pop_front();
            }
        }
        Ok(())
    }
}

/// Reads what the page cache has. `None` where it has nothing of it.
#[cfg(target_os = "linux")]
fn read_cached(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    match preadv2(file, &mut [io::IoSliceMut::new(bytes)], offset, ReadWriteFlags::NOWAIT) {
        Ok(read) => Ok(Some(read)),
        // Not all file systems can tell.
        Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Nothing is known of the page cache.
#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, _: &mut [u8], _: u64) -> io::Result<Option<usize>> {
    Ok(None)
}

/// Bytes of a chunk of a stream: a player in memory. Larger ones are not quicker.
const CHUNK: usize = 128 << 10;
