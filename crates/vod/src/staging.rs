//! Files that are on their way: each grows in a directory of this machine until it is whole.
//!
//! How much of a file has come is its length, so that nothing has to be written elsewhere as bytes come, and what is known
//! after a crash is what is there.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::future::poll_fn;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use millrace_store::UploadId;
use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::checksum::{Checksum, Summing};

/// The directory of files that are on their way. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Staging {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    /// How long a sender may send nothing.
    quiet: Duration,
}

/// Whose turn it is to write to one file.
#[derive(Debug, Default)]
struct Slot {
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Ends the one who writes.
    writing: Mutex<CancellationToken>,
}

/// Why bytes were not taken, or not all of them. What came before stays, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// There is no such file.
    #[error("there is no such upload")]
    NotFound,
    /// The bytes begin elsewhere than where the file ends.
    #[error("the upload has {received} bytes, and what was sent begins at another place")]
    Offset {
        /// Bytes that are there.
        received: u64,
    },
    /// More came than was announced. None of it is kept.
    #[error("more bytes came than the upload's length")]
    TooLong,
    /// The bytes are not those that the sender meant. None of them are kept.
    #[error("the bytes do not agree with their checksum")]
    Checksum,
    /// Another request took over.
    #[error("another request goes on with this upload")]
    TakenOver,
    /// Nothing more came for a while, or the connection broke.
    #[error("the sender stopped")]
    Stopped,
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// The disk failed.
    #[error("the upload cannot be written: {0}")]
    Disk(#[from] io::Error),
}

impl Staging {
    /// Opens a directory, which is made where it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let inner = Inner { directory: directory.to_owned(), slots: Mutex::default(), quiet: QUIET };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Begins a file.
    ///
    /// # Errors
    /// When it cannot be made, or is there already.
    pub async fn begin(&self, id: &UploadId) -> io::Result<()> {
        let (path, directory) = (self.path(id), self.inner.directory.clone());
        blocking(move || {
            OpenOptions::new().write(true).create_new(true).open(path)?;
            // An upload that was promised is there after a loss of power.
            File::open(directory)?.sync_all()
        })
        .await
    }

    /// Bytes that have come; `None` where there is no such file.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn received(&self, id: &UploadId) -> io::Result<Option<u64>> {
        match tokio::fs::metadata(self.path(id)).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for the one who writes to a file, after it was told to stop: what it wrote is there then.
    pub async fn interrupt(&self, id: &UploadId) {
        let slot = self.slot(id);
        slot.stop_writing();
        drop(slot.turn.lock().await);
    }

    /// Adds what `body` brings to the end of a file, which is at `offset`, up to `length`. Whoever was writing to it is
    /// stopped first: the newest request is the one that somebody waits for. The bytes that are there now, and are safe.
    ///
    /// # Errors
    /// [`AppendError`]. Where this is given up in between, what came is kept.
    pub async fn append<E>(
        &self,
        id: &UploadId,
        offset: u64,
        length: u64,
        checksum: Option<Checksum>,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<u64, AppendError> {
        let slot = self.slot(id);
        slot.stop_writing();
        let turn = Arc::clone(&slot.turn).lock_owned().await;
        let stopped = slot.begin_writing();
        let received = self.received(id).await?.ok_or(AppendError::NotFound)?;
        if received != offset {
            return Err(AppendError::Offset { received });
        }
        let file = OpenOptions::new().append(true).open(self.path(id))?;
        let (parts, incoming) = mpsc::channel(QUEUE);
        let writer = Writer { file, offset, room: length.saturating_sub(offset), sum: checksum.map(Checksum::summing) };
        let writing = tokio::task::spawn_blocking(move || writer.run(incoming, turn));

        let mut body = pin!(body);
        let ended = loop {
            let next = timeout(self.inner.quiet, poll_fn(|context| body.as_mut().poll_next(context)));
            let next = tokio::select! {
                biased;
                () = stopped.cancelled() => break Err(AppendError::TakenOver),
                next = next => next,
            };
            let part = match next {
                Ok(Some(Ok(bytes))) => Part::Bytes(bytes),
                Ok(None) => break Ok(()),
                Ok(Some(Err(_))) | Err(_) => break Err(AppendError::Stopped),
            };
            if parts.send(part).await.is_err() {
                break Ok(()); // the writer says why it stopped
            }
        };
        if ended.is_ok() {
            let _ = parts.send(Part::End).await;
        }
        drop(parts);
        let written = writing.await.map_err(|_| AppendError::Stopped)?;
        written.and_then(|written| ended.map(|()| written))
    }

    /// Where a file is. Nobody may be writing to it.
    #[must_use]
    pub fn path(&self, id: &UploadId) -> PathBuf {
        self.inner.directory.join(id.as_str())
    }

    /// Deletes a file. That there is none is no error.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn remove(&self, id: &UploadId) -> io::Result<()> {
        self.interrupt(id).await;
        self.slots().remove(id.as_str());
        match tokio::fs::remove_file(self.path(id)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The uploads whose files are there.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn all(&self) -> io::Result<Vec<UploadId>> {
        let directory = self.inner.directory.clone();
        blocking(move || {
            let entries = std::fs::read_dir(directory)?;
            let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
            let names = names.collect::<io::Result<Vec<_>>>()?;
            Ok(names.into_iter().flatten().filter_map(|name| name.parse().ok()).collect())
        })
        .await
    }

    /// Bytes that are free on the disk for others than its administrator.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn free(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(&self.inner.directory)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn slot(&self, id: &UploadId) -> Arc<Slot> {
        let mut slots = self.slots();
        if slots.len() >= MAX_SLOTS {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.turn.try_lock().is_err());
        }
        Arc::clone(slots.entry(id.as_str().to_owned()).or_default())
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Slot>>> {
        // It is never left half changed.
        self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn stop_writing(&self) {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner).cancel();
    }

    fn begin_writing(&self) -> CancellationToken {
        let token = CancellationToken::new();
        self.writing.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&token);
        token
    }
}

enum Part {
    Bytes(Bytes),
    /// That was all: without it, something broke.
    End,
}

/// Writes what comes, on a thread where waiting for the disk holds up nobody.
struct Writer {
    file: File,
    offset: u64,
    room: u64,
    sum: Option<Summing>,
}

impl Writer {
    fn run(mut self, mut incoming: mpsc::Receiver<Part>, turn: OwnedMutexGuard<()>) -> Result<u64, AppendError> {
        let outcome = self.write_all(&mut incoming);
        let synced = self.file.sync_data();
        drop(turn);
        let written = outcome.map_err(full)?;
        synced.map_err(full)?;
        written
    }

    fn write_all(&mut self, incoming: &mut mpsc::Receiver<Part>) -> io::Result<Result<u64, AppendError>> {
        let (mut written, mut ended) = (0, false);
        while let Some(part) = incoming.blocking_recv() {
            let Part::Bytes(bytes) = part else {
                ended = true;
                break;
            };
            if bytes.len() as u64 > self.room - written {
                self.undo()?;
                return Ok(Err(AppendError::TooLong));
            }
            self.file.write_all(&bytes)?;
            written += bytes.len() as u64;
            if let Some(sum) = &mut self.sum {
                sum.add(&bytes);
            }
        }
        // What is to agree as a whole is good for nothing in parts.
        if let Some(sum) = self.sum.take()
            && !(ended && sum.agrees())
        {
            self.undo()?;
            return Ok(Err(if ended { AppendError::Checksum } else { AppendError::Stopped }));
        }
        Ok(Ok(self.offset + written))
    }

    fn undo(&self) -> io::Result<()> {
        self.file.set_len(self.offset)
    }
}

fn full(error: io::Error) -> AppendError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => AppendError::Full,
        _ => AppendError::Disk(error),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Parts of a body between network and disk. Each is as large as a connection's buffer, at most some hundred KiB.
const QUEUE: usize = 2;
/// A sender may be quiet for so long.
const QUIET: Duration = Duration::from_secs(60);
/// Files that are known to have been written to; those at rest are forgotten beyond that.
const MAX_SLOTS: usize = 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "staging_tests.rs"]
mod tests;
