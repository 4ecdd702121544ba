use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt};
use tokio::task::JoinSet;

use super::S3;
use crate::{Error, Key};

/// Writes an object part by part. [`AT_ONCE`] parts are under way at most while the next is collected. All but the last
/// are of one size, as some storages demand. What is smaller than a part is written with one request.
#[derive(Debug)]
pub(crate) struct S3Writer {
    s3: Arc<S3>,
    path: Path,
    part_size: usize,
    part: Vec<u8>,
    upload: Option<Upload>,
}

/// Parts that were sent. They are taken away again where this is dropped before its end.
#[derive(Debug)]
struct Upload {
    /// `None` at the end.
    parts: Option<Box<dyn MultipartUpload>>,
    count: u64,
    flights: JoinSet<object_store::Result<()>>,
}

impl S3Writer {
    /// A writer of `size` bytes, or of up to [`MAX_PARTS`] times [`MIN_PART`] where it is not known.
    pub(crate) fn new(s3: &Arc<S3>, key: &Key, size: Option<u64>) -> Self {
        let part_size = part_size(size.unwrap_or_default());
        Self { s3: Arc::clone(s3), path: s3.path(key), part_size, part: Vec::new(), upload: None }
    }

    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        while !bytes.is_empty() {
            if self.part.len() == self.part_size {
                self.send().await?;
            }
            let room = self.part_size - self.part.len();
            self.part.extend_from_slice(&bytes.split_to(bytes.len().min(room)));
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<(), Error> {
        if self.upload.is_none() {
            let whole = std::mem::take(&mut self.part);
            self.s3.store.put(&self.path, whole.into()).await.map_err(|error| self.s3.wrong(error))?;
            return Ok(());
        }
        self.send().await?;
        let Some(upload) = &mut self.upload else { return Err(Error::Broken) };
        upload.complete().await.map_err(|error| self.s3.wrong(error))
    }

    pub(crate) async fn abort(mut self) {
        if let Some(upload) = &mut self.upload {
            upload.abort().await;
        }
    }

    /// Sends the part that is collected. A caller that waits no longer loses nothing.
    async fn send(&mut self) -> Result<(), Error> {
        let upload = match &mut self.upload {
            Some(upload) => upload,
            None => {
                let parts = self.s3.store.put_multipart(&self.path).await.map_err(|error| self.s3.wrong(error))?;
                self.upload.insert(Upload { parts: Some(parts), count: 0, flights: JoinSet::new() })
            }
        };
        if upload.count == MAX_PARTS {
            return Err(Error::TooLarge { most: MAX_PARTS * self.part_size as u64 });
        }
        while upload.flights.len() >= AT_ONCE {
            upload.land().await.map_err(|error| self.s3.wrong(error))?;
        }
        upload.take_off(std::mem::take(&mut self.part));
        Ok(())
    }
}

impl Upload {
    fn take_off(&mut self, part: Vec<u8>) {
        if let Some(parts) = &mut self.parts {
            self.count += 1;
            self.flights.spawn(parts.put_part(part.into()));
        }
    }

    async fn land(&mut self) -> object_store::Result<()> {
        match self.flights.join_next().await {
            Some(landed) => landed?,
            None => Ok(()),
        }
    }

    async fn complete(&mut self) -> object_store::Result<()> {
        while !self.flights.is_empty() {
            self.land().await?;
        }
        if let Some(parts) = &mut self.parts {
            parts.complete().await?;
        }
        self.parts = None;
        Ok(())
    }

    async fn abort(&mut self) {
        // A part that arrives after the end would stay.
        self.flights.shutdown().await;
        if let Some(parts) = self.parts.take() {
            give_up(parts).await;
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (Some(parts), Ok(runtime)) = (self.parts.take(), tokio::runtime::Handle::try_current()) {
            let mut flights = std::mem::take(&mut self.flights);
            runtime.spawn(async move {
                flights.shutdown().await;
                give_up(parts).await;
            });
        }
    }
}

async fn give_up(mut parts: Box<dyn MultipartUpload>) {
    given_up(parts.abort().await);
}

/// Says where parts of an upload stay that nobody wants. There may be none: it was put together, and the answer was lost.
pub(super) fn given_up(result: object_store::Result<()>) {
    if let Err(error) = result
        && !matches!(error, object_store::Error::NotFound { .. })
    {
        tracing::warn!(%error, "the parts of an upload that was given up could not be taken away");
    }
}

/// Bytes of a part, so that `size` bytes fit into what may be sent.
pub(super) fn part_size(size: u64) -> usize {
    let needed = size.div_ceil(MAX_PARTS).next_multiple_of(1 << 20);
    usize::try_from(needed).map_or(usize::MAX, |needed| needed.max(MIN_PART))
}

/// Bytes of a part, except the last. Storages ask for 5 MiB at least.
const MIN_PART: usize = 8 << 20;
/// Parts that are under way at a time.
const AT_ONCE: usize = 2;
/// The most parts of an object: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
const MAX_PARTS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_where_there_would_be_too_many() {
        let most = MIN_PART as u64 * MAX_PARTS;
        assert_eq!(part_size(0), MIN_PART);
        assert_eq!(part_size(most), MIN_PART);
        assert_eq!(part_size(most + 1), MIN_PART + (1 << 20));
        assert!(part_size(5 << 40) as u64 * MAX_PARTS >= 5 << 40);
    }
}
