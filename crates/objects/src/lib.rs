//! Files that the site keeps beside its database: videos and pictures, under keys of its own making.
//!
//! ```text
//! bytes, one by one -> Objects::writer -.                        .-> Objects::blob -> ranges
//! bytes             -> Objects::put ----+-> key (in the database)+-> Objects::get  -> all of it
//! a finished file   -> Objects::put_file'                        '-> Objects::local, fetch_to -> a path for FFmpeg
//! ```
//!
//! Invariants:
//! - A key is made here, of random bits: nothing that a visitor says becomes part of a path.
//! - What is under a key never changes. It is there as a whole or not at all.
//! - Once a key is given out, its object outlives a loss of power.

mod blob;
mod disk;
mod error;
mod key;
mod media_type;
mod place;
mod s3;
pub mod transfer;
mod writer;

use std::iter;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::BoxStream;
use tokio::io::AsyncWriteExt;

pub use blob::{Blob, Chunks};
use disk::Disk;
pub use error::Error;
pub use key::Key;
pub use media_type::media_type;
pub use place::{Access, Bucket, Credentials, Place};
use s3::S3;
pub use writer::Writer;

/// Where a site's files are. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Objects {
    backend: Backend,
    /// Bytes that stay free on disks to which files are copied.
    reserve: u64,
}

#[derive(Debug, Clone)]
enum Backend {
    Disk(Arc<Disk>),
    S3(Arc<S3>),
}

/// A file that is read.
#[derive(Debug)]
pub struct Object {
    /// Its length in bytes.
    pub size: u64,
    /// What is in it.
    pub chunks: Chunks,
}

/// What a list says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is found by.
    pub key: Key,
    /// Its length in bytes.
    pub size: u64,
    /// When it came.
    pub modified: SystemTime,
}

/// The objects that there are, in no order.
pub struct Entries(BoxStream<'static, Result<Entry, Error>>);

impl Objects {
    /// Opens what is at `url`, a [`Place`]: a directory, below `data_dir` unless its path is absolute, which is made where it
    /// is not there; or a bucket, with the credentials of the environment.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::Directory`], and [`Error::Refused`] where a bucket needs credentials and has none.
    pub fn open(url: &str, data_dir: &Path) -> Result<Self, Error> {
        Self::open_with(url, data_dir, &Access::default())
    }

    /// As [`open`](Self::open), with what is needed beside the address. Nothing is asked of a bucket yet:
    /// [`check`](Self::check) does.
    ///
    /// # Errors
    /// As [`open`](Self::open) has.
    pub fn open_with(url: &str, data_dir: &Path, access: &Access) -> Result<Self, Error> {
        let backend = match url.parse()? {
            Place::Directory(path) => Backend::Disk(Arc::new(Disk::open(data_dir.join(path))?)),
            Place::Bucket(bucket) => Backend::S3(Arc::new(S3::open(bucket, access)?)),
        };
        Ok(Self { backend, reserve: 0 })
    }

    /// The same, which leaves so many bytes free on the disks to which it copies files.
    #[must_use]
    pub fn leaving_free(self, reserve: u64) -> Self {
        Self { reserve, ..self }
    }

    /// Whether objects can be listed, kept, read and deleted here: tries it with a small one.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn check(&self) -> Result<(), Error> {
        if let Backend::S3(s3) = &self.backend {
            s3.check().await?;
        }
        let key = self.put("txt", CHECK).await?;
        let read = self.get_range(&key, 0..CHECK.len() as u64).await;
        self.delete(&key).await?;
        read.map(drop)
    }

    /// Bytes that are free where objects are kept; `None` where the storage does not tell.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn free(&self) -> Result<Option<u64>, Error> {
        match &self.backend {
            Backend::Disk(disk) => disk.free().await.map(Some),
            Backend::S3(_) => Ok(None),
        }
    }

    /// Keeps `bytes` under a new key, whose `extension` says what they are.
    ///
    /// # Errors
    /// [`Error::Full`], or what else the storage says; nothing is kept then.
    ///
    /// # Panics
    /// Where `extension` is none: 1 to 8 of a-z and 0-9.
    pub async fn put(&self, extension: &'static str, bytes: impl Into<Bytes>) -> Result<Key, Error> {
        let (key, bytes) = (Key::new(extension), bytes.into());
        match &self.backend {
            Backend::Disk(disk) => disk.put(&key, bytes).await?,
            Backend::S3(s3) => s3.put(&key, bytes).await?,
        }
        Ok(key)
    }

    /// Begins an object that is written bit by bit. Nothing of it is there before [`Writer::finish`]. A writer to disk has
    /// 2 MiB in memory at most, one to a bucket 24 MiB; it takes up to 78 GiB there, [`put_file`](Self::put_file) more.
    ///
    /// # Errors
    /// What the storage says.
    ///
    /// # Panics
    /// As [`put`](Self::put) does.
    pub async fn writer(&self, extension: &'static str) -> Result<Writer, Error> {
        self.write_as(Key::new(extension), None).await
    }

    /// Begins the object of a key that there is, with its length where that is known.
    async fn write_as(&self, key: Key, size: Option<u64>) -> Result<Writer, Error> {
        match &self.backend {
            Backend::Disk(disk) => Writer::on_disk(disk, key).await,
            Backend::S3(s3) => Ok(Writer::on_s3(s3, key, size)),
        }
    }

    /// Takes a finished file over. On the disk that the objects are on it is moved, which takes no time; elsewhere it is
    /// copied, as it is read. In the end it is no longer at `path`; after an error it still is.
    ///
    /// # Errors
    /// [`Error::File`] where there is no file at `path`, [`Error::Reserve`], and what the storage says.
    ///
    /// # Panics
    /// As [`put`](Self::put) does.
    pub async fn put_file(&self, extension: &'static str, path: &Path) -> Result<Key, Error> {
        let key = Key::new(extension);
        self.put_file_as(&key, path).await?;
        Ok(key)
    }

    /// As [`put_file`](Self::put_file), under a key from [`Key::new`] that was noted before: whoever finds it noted after a
    /// crash knows where the file may be. What is there under that key stays.
    ///
    /// # Errors
    /// As [`put_file`](Self::put_file).
    pub async fn put_file_as(&self, key: &Key, path: &Path) -> Result<(), Error> {
        match &self.backend {
            Backend::Disk(disk) => disk.take(key, path, self.reserve).await,
            Backend::S3(s3) => {
                s3.put_file(key, &disk::open_file(path).await?).await?;
                tokio::fs::remove_file(path).await.map_err(|source| Error::file(path, source))
            }
        }
    }

    /// Opens what is under a key, to read parts of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], and what the storage says.
    pub async fn blob(&self, key: &Key) -> Result<Blob, Error> {
        match &self.backend {
            Backend::Disk(disk) => disk.blob(key).await,
            Backend::S3(s3) => s3.file(key).await.map(|(size, file)| Blob::on_s3(size, file)),
        }
    }

    /// Reads all that is under a key.
    ///
    /// # Errors
    /// [`Error::NotFound`], and what the storage says.
    pub async fn get(&self, key: &Key) -> Result<Object, Error> {
        let blob = self.blob(key).await?;
        Ok(Object { size: blob.size(), chunks: blob.stream(iter::once(0..blob.size())) })
    }

    /// Reads a part of what is under a key into memory.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Range`] where the part is not within the object, and what the storage says.
    pub async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, Error> {
        self.blob(key).await?.read(range).await
    }

    /// The length in bytes of what is under a key.
    ///
    /// # Errors
    /// [`Error::NotFound`], and what the storage says.
    pub async fn size(&self, key: &Key) -> Result<u64, Error> {
        Ok(self.blob(key).await?.size())
    }

    /// The file that an object is, for programs that read files. `None` where the storage has none: see
    /// [`fetch_to`](Self::fetch_to). Whether it is there is not looked at.
    #[must_use]
    pub fn local(&self, key: &Key) -> Option<PathBuf> {
        match &self.backend {
            Backend::Disk(disk) => Some(disk.path(key)),
            Backend::S3(_) => None,
        }
    }

    /// Copies an object to a new file, for programs that read files. Gives its length in bytes. The file is for passing
    /// use: it is not made safe against a loss of power. After an error there is none.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::File`] where it cannot be written or is there already, [`Error::Reserve`], and what the
    /// storage says.
    pub async fn fetch_to(&self, key: &Key, path: &Path) -> Result<u64, Error> {
        let object = self.get(key).await?;
        let size = object.size;
        let file = tokio::fs::File::create_new(path).await.map_err(|source| Error::file(path, source))?;
        let written = self.write_all(object.chunks, file, path).await;
        if written.is_err() {
            // What went wrong first is what is told.
            let _ = tokio::fs::remove_file(path).await;
        }
        written.map(|()| size)
    }

    async fn write_all(&self, mut chunks: Chunks, mut file: tokio::fs::File, path: &Path) -> Result<(), Error> {
        let (mut written, mut look_at) = (0, 0);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            // Others write to the same disk meanwhile.
            if written >= look_at {
                disk::leave_free(&file, path, self.reserve)?;
                look_at = written + LOOK_EVERY;
            }
            file.write_all(&chunk).await.map_err(|source| Error::file(path, source))?;
            written += chunk.len() as u64;
        }
        file.flush().await.map_err(|source| Error::file(path, source))
    }

    /// Deletes what is under a key. That there is nothing is no error.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn delete(&self, key: &Key) -> Result<(), Error> {
        self.delete_all(vec![key.clone()]).await
    }

    /// Deletes what is under many keys, at less cost than one by one. That there is nothing is no error.
    ///
    /// # Errors
    /// What the storage says; some may be gone then. It may be called again.
    pub async fn delete_all(&self, keys: Vec<Key>) -> Result<(), Error> {
        match &self.backend {
            Backend::Disk(disk) => disk.delete_all(keys).await,
            Backend::S3(s3) => s3.delete_all(keys).await,
        }
    }

    /// All objects, in no order, and nothing else that lies about. What comes or goes meanwhile may be in it or not.
    #[must_use]
    pub fn list(&self) -> Entries {
        match &self.backend {
            Backend::Disk(disk) => Entries(disk.list()),
            Backend::S3(s3) => Entries(s3.list()),
        }
    }

    /// Removes what writers left behind that were killed: what was last written to longer than `age` ago. Gives the number
    /// of files. A writer that pauses longer than `age` loses its file and fails. A bucket sees to it itself, by its rule
    /// for incomplete uploads.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn sweep(&self, age: Duration) -> Result<u64, Error> {
        match &self.backend {
            Backend::Disk(disk) => disk.sweep(age).await,
            Backend::S3(_) => Ok(0),
        }
    }

    /// An address by which whoever has it reads an object straight from the storage, for `life`, seven days at most. `None`
    /// where the storage has no address for viewers ([`Access::public_url`]). Whether the object is there is not looked at.
    ///
    /// The signature is S3's own (a presigned request): the storage checks it itself, and what lies between needs no key.
    /// Two addresses of one object differ, so that a cache on the way must leave the query out of what it looks for.
    ///
    /// # Errors
    /// [`Error::Refused`] where there are no credentials to sign with.
    pub async fn public_url(&self, key: &Key, life: Duration) -> Result<Option<String>, Error> {
        match &self.backend {
            Backend::Disk(_) => Ok(None),
            Backend::S3(s3) => s3.public_url(key, life.min(MAX_LIFE)).await,
        }
    }
}

impl std::fmt::Display for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.backend {
            Backend::Disk(disk) => write!(f, "{}", disk.root().display()),
            Backend::S3(s3) => write!(f, "{}", s3.bucket()),
        }
    }
}

impl Entries {
    /// The next object.
    pub async fn next(&mut self) -> Option<Result<Entry, Error>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for Entries {
    type Item = Result<Entry, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entries(…)")
    }
}

/// So many bytes apart one looks how full a disk is.
const LOOK_EVERY: u64 = 64 << 20;
/// What is written to see whether that can be done.
const CHECK: &str = "millrace";
/// The longest that S3 takes a signature for: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>.
const MAX_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_absolute_path_stays_as_it_is() {
        let (data, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = elsewhere.path().join("pictures");
        Objects::open(&format!("file://{}", path.display()), data.path()).unwrap();
        assert!(path.is_dir());
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Objects::open("file://below", file.path()).unwrap_err();
        assert!(error.to_string().contains("cannot be made"), "{error}");
    }
}
