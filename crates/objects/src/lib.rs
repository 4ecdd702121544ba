//! Files that the site keeps beside its database: pictures, under keys of its own making.
//!
//! ```text
//! bytes -> Objects::put -> key (in the database) -> Objects::get -> bytes
//! ```
//!
//! Invariants:
//! - A key is made here, of random bits: nothing that a visitor says becomes part of a path.
//! - What is under a key never changes. It is there as a whole or not at all.

mod key;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt};

pub use key::Key;

/// Where a site's files are. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
}

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
        source: std::io::Error,
    },
    /// There is none of that key.
    #[error("there is no such object")]
    NotFound,
    /// The storage failed.
    #[error("{0}")]
    Storage(#[source] object_store::Error),
}

/// A file that is read.
#[derive(Debug)]
pub struct Object {
    /// Its length in bytes.
    pub size: u64,
    /// What is in it.
    pub chunks: Chunks,
}

/// The bytes of a file, as they are read.
pub struct Chunks(BoxStream<'static, Result<Bytes, object_store::Error>>);

impl Objects {
    /// Opens what is at `url`: `file://` and a directory, below `data_dir` unless its path is absolute. It is made where it
    /// is not there.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::Directory`].
    pub fn open(url: &str, data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join(directory(url)?);
        std::fs::create_dir_all(&path).map_err(|source| Error::Directory { path: path.clone(), source })?;
        // A picture outlives a loss of power once its key is in the database.
        let files = LocalFileSystem::new_with_prefix(&path)?.with_fsync(true);
        Ok(Self { store: Arc::new(files) })
    }

    /// Keeps `bytes` under a new key, whose `extension` says what they are.
    ///
    /// # Errors
    /// [`Error::Storage`]; nothing is kept then.
    ///
    /// # Panics
    /// Where `extension` is none: 1 to 8 of a-z and 0-9.
    pub async fn put(&self, extension: &'static str, bytes: Vec<u8>) -> Result<Key, Error> {
        let key = Key::new(extension);
        self.store.put(&key.path(), bytes.into()).await?;
        Ok(key)
    }

    /// Reads what is under a key.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn get(&self, key: &Key) -> Result<Object, Error> {
        let found = self.store.get(&key.path()).await?;
        Ok(Object { size: found.meta.size, chunks: Chunks(found.into_stream()) })
    }

    /// Deletes what is under a key. That there is nothing is no error.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn delete(&self, key: &Key) -> Result<(), Error> {
        match self.store.delete(&key.path()).await.map_err(Error::from) {
            Err(Error::NotFound) => Ok(()),
            done => done,
        }
    }
}

/// The directory that an address names.
///
/// # Errors
/// [`Error::Address`] in words for the operator.
pub fn directory(url: &str) -> Result<&Path, Error> {
    let path =
        url.strip_prefix("file://").ok_or(Error::Address("only file:// and a directory can be used as storage"))?;
    if path.is_empty() || path.contains(['?', '#', '%', '\0']) {
        return Err(Error::Address("file:// wants the path of a directory"));
    }
    Ok(Path::new(path))
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::NotFound,
            other => Self::Storage(other),
        }
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context).map_err(Error::from)
    }
}

impl std::fmt::Debug for Chunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chunks(…)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn read(objects: &Objects, key: &Key) -> Vec<u8> {
        let mut object = objects.get(key).await.unwrap();
        let mut all = Vec::new();
        while let Some(chunk) = poll_fn(|context| Pin::new(&mut object.chunks).poll_next(context)).await {
            all.extend_from_slice(&chunk.unwrap());
        }
        assert_eq!(object.size, all.len() as u64);
        all
    }

    #[tokio::test]
    async fn what_is_put_is_there_until_it_is_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let objects = Objects::open("file://objects", directory.path()).unwrap();
        let large = vec![7; 100_000];
        let (one, other) =
            (objects.put("jpg", large.clone()).await.unwrap(), objects.put("jpg", large.clone()).await.unwrap());
        assert_ne!(one, other, "each has a key of its own");
        assert_eq!(read(&objects, &one).await, large);
        assert!(directory.path().join("objects").join(one.as_str()).is_file());

        let reopened = Objects::open("file://objects", directory.path()).unwrap();
        assert_eq!(read(&reopened, &other).await, large);
        reopened.delete(&one).await.unwrap();
        reopened.delete(&one).await.unwrap();
        assert!(matches!(objects.get(&one).await, Err(Error::NotFound)));
        let left = std::fs::read_dir(directory.path().join("objects")).unwrap().count();
        assert_eq!(left, 1, "nothing is left of what is gone, nor of the writing");
    }

    #[test]
    fn an_absolute_path_stays_as_it_is() {
        let (data, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = elsewhere.path().join("pictures");
        Objects::open(&format!("file://{}", path.display()), data.path()).unwrap();
        assert!(path.is_dir());
    }

    #[test]
    fn other_addresses_are_refused_in_words() {
        for url in ["s3://bucket", "objects", "", "file://", "file://a?b", "FILE://a"] {
            let error = Objects::open(url, Path::new("/nonexistent")).unwrap_err().to_string();
            assert!(error.contains("file://"), "{url}: {error}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Objects::open("file://below", file.path()).unwrap_err();
        assert!(error.to_string().contains("cannot be made"), "{error}");
    }
}
