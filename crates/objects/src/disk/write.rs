use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{Disk, Part, blocking};
use crate::{Error, Key};

/// Writes a file bit by bit: while some bytes are written, the next are collected. Two times [`BATCH`] are in memory at
/// most, and what the caller's last bytes exceed that by.
#[derive(Debug)]
pub(crate) struct DiskWriter {
    part: Part,
    file: Arc<File>,
    pending: Vec<Bytes>,
    pending_bytes: usize,
    flight: Option<JoinHandle<io::Result<()>>>,
}

impl DiskWriter {
    pub(crate) async fn new(disk: &Disk, key: &Key) -> Result<Self, Error> {
        let part = disk.part(key);
        let (part, file) = blocking(move || part.create().map(|file| (part, file))).await?;
        Ok(Self { part, file: Arc::new(file), pending: Vec::new(), pending_bytes: 0, flight: None })
    }

    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.pending_bytes += bytes.len();
        self.pending.push(bytes);
        if self.pending_bytes >= BATCH || self.pending.len() >= MAX_PIECES { self.take_off().await } else { Ok(()) }
    }

    pub(crate) async fn finish(mut self) -> Result<(), Error> {
        self.take_off().await?;
        self.land().await?;
        let Self { part, file, .. } = self;
        blocking(move || part.publish(&file)).await
    }

    pub(crate) async fn abort(mut self) {
        // Nobody asks any more what became of it.
        let _ = self.land().await;
        let part = self.part;
        let _ = blocking(move || part.remove()).await;
    }

    /// Waits until what is under way is written, and begins with what is pending. A caller that waits no longer loses
    /// nothing.
    async fn take_off(&mut self) -> Result<(), Error> {
        self.land().await?;
        let (file, pending) = (Arc::clone(&self.file), std::mem::take(&mut self.pending));
        self.pending_bytes = 0;
        self.flight =
            Some(tokio::task::spawn_blocking(move || pending.iter().try_for_each(|bytes| (&*file).write_all(bytes))));
        Ok(())
    }

    async fn land(&mut self) -> Result<(), Error> {
        let Some(flight) = &mut self.flight else { return Ok(()) };
        let landed = flight.await;
        self.flight = None;
        // It does not panic; a task that is cancelled means that the runtime ends.
        landed.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|e| Error::file(self.part.path(), e))
    }
}

/// Bytes that are written at a time.
const BATCH: usize = 1 << 20;
/// Pieces that are written at a time, so that many small ones cost no more memory than their bytes.
const MAX_PIECES: usize = 1024;
