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
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
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
    /// Bytes of the disk that stay free.
    reserve: u64,
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
    /// Opens a directory, which is made where it is not there. On its disk `reserve` bytes stay free.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(directory: &Path, reserve: u64) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let inner = Inner { directory: directory.to_owned(), reserve, slots: Mutex::default(), quiet: QUIET };
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
    /// [`AppendError`]. Where this is given up in between, what was written is kept, unless it was to agree with a checksum.
    pub async fn append<E>(
        &self,
        id: &UploadId,
        offset: u64,
        length: u64,
        checksum: Option<Checksum>,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<u64, AppendError> {
        // Whoever is mistaken about the place stops nobody.
        let received = self.received(id).await?.ok_or(AppendError::NotFound)?;
        if received > offset {
            return Err(AppendError::Offset { received });
        }
        let slot = self.slot(id);
        slot.stop_writing();
        let turn = Arc::clone(&slot.turn).lock_owned().await;
        let stopped = slot.begin_writing();
        let received = self.received(id).await?.ok_or(AppendError::NotFound)?;
        if received != offset {
            return Err(AppendError::Offset { received });
        }
        let mut idle = Some(Writer {
            file: OpenOptions::new().append(true).open(self.path(id))?,
            offset,
            written: 0,
            most: length.saturating_sub(offset),
            reserve: self.inner.reserve,
            sum: checksum.map(Checksum::summing),
            _turn: turn,
        });

        let mut body = pin!(body);
        let (mut came, mut ended) = (Vec::new(), None);
        // What came is written while more comes, by a thread that is lent for that alone: senders may be many and slow.
        let mut writing: Option<JoinHandle<Result<_, AppendError>>> = None;
        loop {
            if let Some(mut writer) = idle.take_if(|_| !came.is_empty()) {
                let parts = std::mem::take(&mut came);
                writing = Some(tokio::task::spawn_blocking(move || writer.write(&parts).map(|()| (writer, parts))));
            }
            tokio::select! {
                biased;
                written = async { writing.as_mut().expect("the branch is on while it is there").await },
                    if writing.is_some() =>
                {
                    // Parts are let go of where they came from: the connection reads into their buffers again.
                    let (writer, _parts) = written.map_err(io::Error::other)??;
                    idle = Some(writer);
                    writing = None;
                }
                () = stopped.cancelled(), if ended.is_none() => ended = Some(Err(AppendError::TakenOver)),
                next = timeout(self.inner.quiet, poll_fn(|context| body.as_mut().poll_next(context))),
                    if ended.is_none() && came.len() < BATCH =>
                {
                    match next {
                        Ok(Some(Ok(bytes))) => came.push(bytes),
                        Ok(None) => ended = Some(Ok(())),
                        Ok(Some(Err(_))) | Err(_) => ended = Some(Err(AppendError::Stopped)),
                    }
                }
                else => if came.is_empty() { break },
            }
        }
        let (writer, ended) = (idle.ok_or(AppendError::Stopped)?, ended.unwrap_or(Err(AppendError::Stopped)));
        tokio::task::spawn_blocking(move || writer.finish(ended)).await.map_err(io::Error::other)?
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

    /// Bytes that uploads have before their disk is as full as it may be: `promised` is what all that are on their way have
    /// announced, and what of it has come is on the disk already.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn room(&self, promised: u64) -> io::Result<u64> {
        let mut came = 0;
        for id in self.all().await? {
            came += self.received(&id).await?.unwrap_or(0);
        }
        Ok(self.free()?.saturating_sub(self.inner.reserve).saturating_sub(promised.saturating_sub(came)))
    }

    /// Bytes that are free on the disk for others than its administrator.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn free(&self) -> io::Result<u64> {
        free(File::open(&self.inner.directory)?)
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

/// Writes what comes, on threads where waiting for the disk holds up nobody. It has its turn until it is dropped.
struct Writer {
    file: File,
    offset: u64,
    written: u64,
    most: u64,
    /// Bytes of the disk that stay free.
    reserve: u64,
    /// Adds up what is to agree as a whole, and is good for nothing in parts.
    sum: Option<Summing>,
    _turn: OwnedMutexGuard<()>,
}

impl Writer {
    fn write(&mut self, parts: &[Bytes]) -> Result<(), AppendError> {
        for bytes in parts {
            let before = self.written;
            self.written += bytes.len() as u64;
            if self.written > self.most {
                self.undo()?;
                return Err(AppendError::TooLong);
            }
            if before / LOOK_EVERY != self.written / LOOK_EVERY && free(&self.file)? < self.reserve {
                return Err(AppendError::Full);
            }
            self.file.write_all(bytes).map_err(full)?;
            if let Some(sum) = &mut self.sum {
                sum.add(bytes);
            }
        }
        Ok(())
    }

    /// Sees to it that what came is safe, where it is as it was meant.
    fn finish(mut self, ended: Result<(), AppendError>) -> Result<u64, AppendError> {
        if let Some(sum) = self.sum.take()
            && (ended.is_err() || !sum.agrees())
        {
            self.undo()?;
            return Err(ended.err().unwrap_or(AppendError::Checksum));
        }
        self.file.sync_data().map_err(full)?;
        ended.map(|()| self.offset + self.written)
    }

    fn undo(&self) -> io::Result<()> {
        self.file.set_len(self.offset)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.sum.is_some() {
            // It was given up in between. Where this fails, so does the sender's next request.
            let _ = self.undo();
        }
    }
}

fn free(disk: impl std::os::fd::AsFd) -> io::Result<u64> {
    let disk = rustix::fs::fstatvfs(disk)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn full(error: io::Error) -> AppendError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => AppendError::Full,
        _ => AppendError::Disk(error),
    }
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Parts that wait while others are written. Each keeps the buffer that it came in, of some hundred KiB.
const BATCH: usize = 1;
/// So many bytes apart one looks how full the disk is.
const LOOK_EVERY: u64 = 64 << 20;
/// A sender may be quiet for so long.
const QUIET: Duration = Duration::from_secs(60);
/// Files that are known to have been written to; those at rest are forgotten beyond that.
const MAX_SLOTS: usize = 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "staging_tests.rs"]
mod tests;
