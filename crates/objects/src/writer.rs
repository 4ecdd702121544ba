use std::sync::Arc;

use bytes::Bytes;

use crate::disk::{Disk, DiskWriter};
use crate::s3::{S3, S3Writer};
use crate::{Error, Key};

/// An object that is being written. Dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub struct Writer {
    key: Key,
    written: u64,
    /// `None` once something failed.
    target: Option<Target>,
}

#[derive(Debug)]
enum Target {
    Disk(DiskWriter),
    S3(S3Writer),
}

impl Writer {
    pub(crate) async fn on_disk(disk: &Disk, key: Key) -> Result<Self, Error> {
        let target = Target::Disk(DiskWriter::new(disk, &key).await?);
        Ok(Self { key, written: 0, target: Some(target) })
    }

    pub(crate) fn on_s3(s3: &Arc<S3>, key: Key, size: Option<u64>) -> Self {
        let target = Target::S3(S3Writer::new(s3, &key, size));
        Self { key, written: 0, target: Some(target) }
    }

    /// Bytes so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Appends bytes. It waits while earlier ones are written, so that little is in memory.
    ///
    /// # Errors
    /// [`Error::Full`], or what else the storage says about these or earlier bytes. There is no going on after it.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.written += bytes.len() as u64;
        let done = match self.target.as_mut().ok_or(Error::Broken)? {
            Target::Disk(file) => file.write(bytes).await,
            Target::S3(parts) => parts.write(bytes).await,
        };
        if done.is_err() {
            self.target = None;
        }
        done
    }

    /// Makes the object appear, with all that was written.
    ///
    /// # Errors
    /// [`Error::Full`], or what else the storage says; nothing is kept then.
    pub async fn finish(self) -> Result<Key, Error> {
        match self.target.ok_or(Error::Broken)? {
            Target::Disk(file) => file.finish().await?,
            Target::S3(parts) => parts.finish().await?,
        }
        Ok(self.key)
    }

    /// Ends without an object. When it returns, nothing is left.
    pub async fn abort(self) {
        match self.target {
            Some(Target::Disk(file)) => file.abort().await,
            Some(Target::S3(parts)) => parts.abort().await,
            None => {}
        }
    }
}
