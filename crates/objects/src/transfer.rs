//! Moves all objects from one storage to another, while the site uses them.
//!
//! ```text
//! list -> what the ledger does not have -> copy, read back, compare -> ledger -> list again, until nothing is new
//! ```
//!
//! Since what is under a key never changes, what was compared once is done with: the [`Ledger`] says so across runs. What
//! the site deletes meanwhile may stay in the new storage, where reconciliation finds it.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};

use crate::{Blob, Entry, Error, Key, Objects, Writer};

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Objects that are done with in this round, whatever became of them.
    pub done: u64,
    /// Objects of this round.
    pub of: u64,
    /// Bytes that were copied or compared so far.
    pub bytes: u64,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Copied {
    /// Objects that were copied, and compared.
    pub copied: u64,
    /// Objects that were there already. Those that the ledger does not have were compared.
    pub found: u64,
    /// What could not be copied, and why. It may work another time.
    pub failed: Vec<(Key, Error)>,
}

/// The objects that were copied and compared, kept in a file.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    path: PathBuf,
    compared: HashSet<Key>,
}

type Hash = [u8; 32];

/// What became of an object.
enum Outcome {
    Copied(Hash),
    Found(Hash),
    /// It was deleted meanwhile.
    Gone,
}

/// Copies all objects of `from` to `to`, under the keys that they have, and compares them by what is read back. It may be
/// called again, and goes on where it was.
///
/// # Errors
/// What is wrong with a storage as a whole. What is wrong with an object is in [`Copied::failed`].
pub async fn copy_all(
    from: &Objects,
    to: &Objects,
    ledger: &mut Ledger,
    mut progress: impl FnMut(Progress),
) -> Result<Copied, Error> {
    let there = &sizes(to).await?;
    let (mut copied, mut bytes, mut first) = (Copied::default(), 0, true);
    let mut failed = HashSet::new();
    loop {
        let mut round = Vec::new();
        let mut entries = from.list();
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            let known = ledger.compared.contains(&entry.key);
            if known && first && there.get(&entry.key) == Some(&entry.size) {
                copied.found += 1;
            } else if (first || !known) && !failed.contains(&entry.key) {
                round.push(entry);
            }
        }
        if round.is_empty() {
            return Ok(copied);
        }
        first = false;
        let of = round.len() as u64;
        let mut copies = stream::iter(round)
            .map(|entry| async move { (copy(from, to, &entry, there.get(&entry.key).copied()).await, entry) })
            .buffer_unordered(AT_ONCE);
        let mut done = 0;
        while let Some((outcome, entry)) = copies.next().await {
            match outcome {
                Ok(Outcome::Copied(hash)) => {
                    copied.copied += 1;
                    ledger.add(&entry, &hash)?;
                }
                Ok(Outcome::Found(hash)) => {
                    copied.found += 1;
                    ledger.add(&entry, &hash)?;
                }
                Ok(Outcome::Gone) => {}
                Err(error) if concerns_all(&error) || copied.failed.len() == MAX_FAILURES => return Err(error),
                Err(error) => {
                    failed.insert(entry.key.clone());
                    copied.failed.push((entry.key, error));
                }
            }
            (done, bytes) = (done + 1, bytes + entry.size);
            progress(Progress { done, of, bytes });
        }
    }
}

/// Deletes what the ledger has from `from`, as far as it is in `to`. Gives the number of objects. Nothing may use `from`
/// any more.
///
/// # Errors
/// What a storage says; some may be gone then. It may be called again.
pub async fn delete_copied(from: &Objects, to: &Objects, ledger: &Ledger) -> Result<u64, Error> {
    let there = sizes(to).await?;
    let (mut batch, mut deleted) = (Vec::new(), 0);
    let mut entries = from.list();
    while let Some(entry) = entries.next().await {
        let Entry { key, size, .. } = entry?;
        if ledger.compared.contains(&key) && there.get(&key) == Some(&size) {
            batch.push(key);
            deleted += 1;
        }
        if batch.len() == BATCH {
            from.delete_all(std::mem::take(&mut batch)).await?;
        }
    }
    from.delete_all(batch).await?;
    Ok(deleted)
}

impl Ledger {
    /// Opens the ledger of a move between two storages, or begins one. That of another move is given up.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(path: &Path, from: &Objects, to: &Objects) -> Result<Self, Error> {
        let wrong = |source| Error::file(path, source);
        let title = format!("From {from} to {to}");
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.map_err(wrong)?,
        };
        let mut lines = text.lines();
        if lines.next() == Some(&title) {
            // The end of a line may be missing, of which the next one then is a new beginning.
            let compared = lines.filter_map(compared).collect();
            let mut file = File::options().append(true).open(path).map_err(wrong)?;
            if !text.ends_with('\n') {
                writeln!(file).map_err(wrong)?;
            }
            return Ok(Self { file, path: path.to_owned(), compared });
        }
        let mut file = File::create(path).map_err(wrong)?;
        writeln!(file, "{title}").map_err(wrong)?;
        Ok(Self { file, path: path.to_owned(), compared: HashSet::new() })
    }

    fn add(&mut self, entry: &Entry, hash: &Hash) -> Result<(), Error> {
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let line = format!("{hash}  {}  {}\n", entry.key, entry.size);
        self.file.write_all(line.as_bytes()).map_err(|source| Error::file(&self.path, source))?;
        self.compared.insert(entry.key.clone());
        Ok(())
    }
}

/// The object of a line, where the line is whole.
fn compared(line: &str) -> Option<Key> {
    let mut parts = line.split("  ");
    let (hash, key, size) = (parts.next()?, Key::parse(parts.next()?)?, parts.next()?);
    (hash.len() == 64 && size.parse::<u64>().is_ok()).then_some(key)
}

async fn sizes(objects: &Objects) -> Result<HashMap<Key, u64>, Error> {
    let mut sizes = HashMap::new();
    let mut entries = objects.list();
    while let Some(entry) = entries.next().await {
        let entry = entry?;
        sizes.insert(entry.key, entry.size);
    }
    Ok(sizes)
}

async fn copy(from: &Objects, to: &Objects, entry: &Entry, there: Option<u64>) -> Result<Outcome, Error> {
    let original = match from.blob(&entry.key).await {
        Err(Error::NotFound) => return Ok(Outcome::Gone),
        original => original?,
    };
    if there == Some(original.size()) {
        let hash = hash(&original, None).await?;
        if self::hash(&to.blob(&entry.key).await?, None).await? == hash {
            return Ok(Outcome::Found(hash));
        }
    }
    let mut writer = to.write_as(entry.key.clone(), Some(original.size())).await?;
    let hash = hash(&original, Some(&mut writer)).await?;
    writer.finish().await?;
    if self::hash(&to.blob(&entry.key).await?, None).await? != hash {
        to.delete(&entry.key).await?;
        return Err(Error::Differs { key: entry.key.clone() });
    }
    Ok(Outcome::Copied(hash))
}

/// The hash of what is in an object, which is copied meanwhile.
async fn hash(blob: &Blob, mut copy: Option<&mut Writer>) -> Result<Hash, Error> {
    let mut hash = Sha256::new();
    let mut chunks = blob.stream(std::iter::once(0..blob.size()));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        hash.update(&chunk);
        if let Some(writer) = &mut copy {
            writer.write(chunk).await?;
        }
    }
    Ok(hash.finalize().into())
}

/// Whether no other object would fare better.
fn concerns_all(error: &Error) -> bool {
    matches!(error, Error::Full | Error::NoBucket { .. } | Error::Refused { .. })
}

/// Objects that are copied at a time.
const AT_ONCE: usize = 4;
/// Objects that may fail before it is given up.
const MAX_FAILURES: usize = 20;
/// Objects that are deleted at a time.
const BATCH: usize = 1000;
