//! Objects as files of one directory.
//!
//! The directory is flat: ext4 and XFS index millions of names in one directory, and an object is where its key says.
//! What is not finished is in [`PARTS`] below it, under the name that it will have: on the same file system, so that
//! finishing is a rename, and apart, so that leftovers are found without a walk through all objects.

mod read;
mod write;

use std::fs::{self, File, ReadDir};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use rustix::fs::{Mode, OFlags, StatVfs};

use crate::{Blob, Entry, Error, Key, LOOK_EVERY};

pub(crate) use read::OpenFile;
pub(crate) use write::DiskWriter;

/// A directory of objects.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
}

impl Disk {
    /// Makes the directory where it is not there.
    pub(crate) fn open(root: PathBuf) -> Result<Self, Error> {
        let parts = root.join(PARTS);
        fs::create_dir_all(&parts).map_err(|source| Error::Directory { path: root.clone(), source })?;
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Bytes that are free on its disk for others than the administrator.
    pub(crate) async fn free(&self) -> Result<u64, Error> {
        let root = self.root.clone();
        blocking(move || {
            let disk = rustix::fs::statvfs(&root).map_err(|error| Error::file(&root, error.into()))?;
            Ok(room(&disk))
        })
        .await
    }

    pub(crate) fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    pub(crate) async fn put(&self, key: &Key, bytes: Bytes) -> Result<(), Error> {
        let part = self.part(key);
        blocking(move || {
            let mut file = part.create()?;
            file.write_all(&bytes).map_err(|source| Error::file(part.path(), source))?;
            part.publish(&file)
        })
        .await
    }

    /// Takes a file over. Where it has to be copied, `reserve` bytes stay free.
    pub(crate) async fn take(&self, key: &Key, path: &Path, reserve: u64) -> Result<(), Error> {
        let (part, path) = (self.part(key), path.to_owned());
        blocking(move || take(part, &path, reserve)).await
    }

    pub(crate) async fn blob(&self, key: &Key) -> Result<Blob, Error> {
        open_file(&self.path(key)).await.map_err(|error| match error {
            Error::File { source, .. } if source.kind() == ErrorKind::NotFound => Error::NotFound,
            error => error,
        })
    }

    pub(crate) async fn delete_all(&self, keys: Vec<Key>) -> Result<(), Error> {
        let root = self.root.clone();
        blocking(move || {
            for key in keys {
                let path = root.join(key.as_str());
                match fs::remove_file(&path) {
                    Err(source) if source.kind() != ErrorKind::NotFound => return Err(Error::file(&path, source)),
                    _ => {}
                }
            }
            sync_directory(&root)
        })
        .await
    }

    pub(crate) fn list(&self) -> BoxStream<'static, Result<Entry, Error>> {
        let root = self.root.clone();
        let batches = stream::try_unfold(None, move |names| {
            let root = root.clone();
            async move {
                let (batch, names) = blocking(move || batch(&root, names)).await?;
                Ok::<_, Error>((!batch.is_empty()).then_some((batch, Some(names))))
            }
        });
        batches.map_ok(|batch| stream::iter(batch.into_iter().flatten().map(Ok))).try_flatten().boxed()
    }

    pub(crate) async fn sweep(&self, age: Duration) -> Result<u64, Error> {
        let parts = self.root.join(PARTS);
        blocking(move || {
            let now = SystemTime::now();
            let mut swept = 0;
            let wrong = |source| Error::file(&parts, source);
            for part in fs::read_dir(&parts).map_err(wrong)? {
                let part = part.map_err(wrong)?;
                // A part that is finished meanwhile is gone, which is well.
                let Ok(modified) = part.metadata().and_then(|metadata| metadata.modified()) else { continue };
                let is_part = part.file_name().to_str().is_some_and(|name| Key::parse(name).is_some());
                if is_part && now.duration_since(modified).is_ok_and(|since| since >= age) {
                    swept += u64::from(fs::remove_file(part.path()).is_ok());
                }
            }
            Ok(swept)
        })
        .await
    }

    fn part(&self, key: &Key) -> Part {
        let path = self.root.join(PARTS).join(key.as_str());
        Part { root: self.root.clone(), target: self.path(key), path, settled: false }
    }
}

/// A file on its way to be an object. It is removed where it does not become one.
#[derive(Debug)]
struct Part {
    root: PathBuf,
    target: PathBuf,
    path: PathBuf,
    /// There is nothing left to remove.
    settled: bool,
}

impl Part {
    fn path(&self) -> &Path {
        &self.path
    }

    /// A killed process that copied the same object may have left a file, which goes.
    fn create(&self) -> Result<File, Error> {
        File::create(&self.path).map_err(|source| Error::file(&self.path, source))
    }

    /// Makes the object appear, with all that was written to its file. It outlives a loss of power from here on.
    fn publish(mut self, file: &File) -> Result<(), Error> {
        file.sync_all().map_err(|source| Error::file(&self.path, source))?;
        fs::rename(&self.path, &self.target).map_err(|source| Error::file(&self.path, source))?;
        self.settled = true;
        sync_directory(&self.root).inspect_err(|_| drop(fs::remove_file(&self.target)))
    }

    /// Leaves nothing to remove.
    fn settle(mut self) {
        self.settled = true;
    }

    /// Removes the file.
    fn remove(mut self) -> Result<(), Error> {
        self.settled = true;
        fs::remove_file(&self.path).map_err(|source| Error::file(&self.path, source))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        // To remove a large file takes a while. There may be none: it was not created, or it was swept.
        let path = std::mem::take(&mut self.path);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || fs::remove_file(path))),
            Err(_) => drop(fs::remove_file(path)),
        }
    }
}

/// Opens a file, wherever it is, to read parts of it. Where nothing has to be waited for, it is opened at once.
pub(crate) async fn open_file(path: &Path) -> Result<Blob, Error> {
    opened(path.to_owned(), open_known(path)?).await
}

/// The same, with what could be opened at once.
async fn opened(path: PathBuf, known: Option<File>) -> Result<Blob, Error> {
    let blob = |file: File, path: PathBuf| {
        let size = file.metadata().map_err(|source| Error::file(&path, source))?.len();
        Ok(Blob::on_disk(size, OpenFile::new(file, path)))
    };
    match known {
        Some(file) => blob(file, path),
        None => blocking(move || blob(open_regular(&path)?, path)).await,
    }
}

/// Opens what is a file, and not a directory, a pipe or a link to elsewhere.
fn open_regular(path: &Path) -> Result<File, Error> {
    let opened = rustix::fs::open(path, OPEN, Mode::empty());
    regular(opened.map_err(io::Error::from).map_err(|source| Error::file(path, source))?.into(), path)
}

/// The same, where the kernel has the names and what they stand for in memory. `None` where it has not.
#[cfg(target_os = "linux")]
fn open_known(path: &Path) -> Result<Option<File>, Error> {
    use rustix::fs::{CWD, ResolveFlags, openat2};

    // What goes wrong is told by whoever may wait. Older kernels, and those of some sandboxes, do not know this.
    match openat2(CWD, path, OPEN, Mode::empty(), ResolveFlags::CACHED) {
        Ok(file) => regular(file.into(), path).map(Some),
        Err(_) => Ok(None),
    }
}

/// Nothing is known of what the kernel has in memory.
#[cfg(not(target_os = "linux"))]
fn open_known(_: &Path) -> Result<Option<File>, Error> {
    Ok(None)
}

fn regular(file: File, path: &Path) -> Result<File, Error> {
    let wrong = |source| Error::file(path, source);
    if !file.metadata().map_err(wrong)?.is_file() {
        return Err(wrong(io::Error::new(ErrorKind::InvalidInput, "it is not a file")));
    }
    Ok(file)
}

/// To read, through no link at the end of the path, and without waiting for who writes to a pipe.
const OPEN: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK);

fn take(part: Part, path: &Path, reserve: u64) -> Result<(), Error> {
    let wrong = |source| Error::file(path, source);
    let mut file = open_regular(path)?;
    file.sync_all().map_err(wrong)?;
    match fs::rename(path, &part.target) {
        Ok(()) => {
            sync_directory(&part.root).inspect_err(|_| drop(fs::rename(&part.target, path)))?;
            part.settle();
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            let mut copy = part.create()?;
            loop {
                leave_free(&copy, part.path(), reserve)?;
                let copied = io::copy(&mut (&mut file).take(LOOK_EVERY), &mut copy);
                if copied.map_err(|source| Error::file(part.path(), source))? == 0 {
                    break;
                }
            }
            part.publish(&copy)?;
            fs::remove_file(path).map_err(wrong)
        }
        Err(error) => Err(wrong(error)),
    }
}

/// Sees to it that the disk of a file, whose path is for errors, has more than so many bytes that are free.
pub(crate) fn leave_free(file: impl AsFd, path: &Path, reserve: u64) -> Result<(), Error> {
    let disk = rustix::fs::fstatvfs(file).map_err(|error| Error::file(path, error.into()))?;
    if reserve > 0 && room(&disk) <= reserve { Err(Error::Reserve) } else { Ok(()) }
}

/// Bytes that are free on a disk for others than the administrator.
fn room(disk: &StatVfs) -> u64 {
    disk.f_bavail.saturating_mul(disk.f_frsize)
}

/// The next objects of a directory, `None` for what is none. Empty at its end.
fn batch(root: &Path, names: Option<ReadDir>) -> Result<(Vec<Option<Entry>>, ReadDir), Error> {
    let wrong = |source| Error::file(root, source);
    let mut names = names.map_or_else(|| fs::read_dir(root).map_err(wrong), Ok)?;
    let batch = names.by_ref().take(BATCH).map(|entry| match entry {
        Ok(entry) => listed(&entry).map_err(wrong),
        Err(error) => Err(wrong(error)),
    });
    Ok((batch.collect::<Result<_, _>>()?, names))
}

fn listed(entry: &fs::DirEntry) -> io::Result<Option<Entry>> {
    let Some(key) = entry.file_name().to_str().and_then(Key::parse) else { return Ok(None) };
    let metadata = match entry.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let entry = || Ok(Entry { key, size: metadata.len(), modified: metadata.modified()? });
    metadata.is_file().then(entry).transpose()
}

/// Makes names that appeared in a directory, or went, outlive a loss of power.
fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|source| Error::file(path, source))
}

/// Runs what waits for the disk where it holds up nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and whoever waits with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Directory of what is not finished.
const PARTS: &str = ".parts";
/// Names of a directory that are read at a time.
const BATCH: usize = 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What is at a path, opened at once where the kernel can do so, and as where it cannot.
    async fn open_both(path: &Path) -> [Result<Blob, Error>; 2] {
        [open_file(path).await, opened(path.to_owned(), None).await]
    }

    #[tokio::test]
    async fn a_file_is_the_same_whoever_opens_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let bytes: Vec<u8> = (0..300_000).map(|n| (n % 251) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        for blob in open_both(&path).await {
            let blob = blob.unwrap();
            assert_eq!(blob.size(), 300_000);
            assert!(blob.read(0..300_000).await.unwrap() == bytes);
        }
    }

    #[tokio::test]
    async fn what_is_no_file_is_refused_whoever_opens_it() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name| directory.path().join(name);
        fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), Mode::RWXU).unwrap();
        for name in ["link", "directory", "pipe", "nothing"] {
            for blob in open_both(&at(name)).await {
                assert!(matches!(blob, Err(Error::File { .. })), "{name}: {blob:?}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_is_on_the_disk_alone_is_read_from_there() {
        use rustix::fs::{Advice, fadvise};

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let bytes: Vec<u8> = (0..3 << 20).map(|n| (n % 251) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        let blob = open_file(&path).await.unwrap();
        let file = File::open(&path).unwrap();
        // Where its file system keeps all of it in memory, it is read from there.
        let forget = || {
            file.sync_all().unwrap();
            fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        };
        forget();
        assert!(blob.read(0..3 << 20).await.unwrap() == bytes);
        forget();
        let mut chunks = blob.stream([5..1 << 20, 0..5, (3 << 20) - 1..3 << 20]);
        let mut streamed = Vec::new();
        while let Some(chunk) = chunks.next().await {
            streamed.extend_from_slice(&chunk.unwrap());
        }
        assert!(streamed == [&bytes[5..1 << 20], &bytes[..5], &bytes[(3 << 20) - 1..]].concat());
    }
}
