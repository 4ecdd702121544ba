//! Where files are that people upload: opening it as it is configured, and `millrace storage move`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fmt, fs};

use millrace_objects::transfer::{self, Copied, Ledger, Progress};
use millrace_objects::{Access, Credentials, Objects, Place};

use crate::cli::MoveArguments;
use crate::config::{Config, ConfigError};

/// Why files are not where they should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system gave no thread.
    #[error("the runtime does not start: {0}")]
    Runtime(io::Error),
    /// Both are the same.
    #[error("--from and --to are the same place")]
    Same,
    /// The site would lose its files.
    #[error(
        "--delete is for a storage that is no longer used: set storage.url to where --to is, restart, and say it then"
    )]
    InUse,
    /// The file with an access key is none.
    #[error("{path}: expected the id of an access key and its secret, a line each", path = .0.display())]
    Credentials(PathBuf),
    /// A storage cannot be used.
    #[error("{which} {source}")]
    Storage {
        /// Which of the two.
        which: &'static str,
        /// Why not.
        source: millrace_objects::Error,
    },
    /// It ended before its end.
    #[error("{0}\nWhat was copied so far is not lost: the same command goes on where it was")]
    Broken(millrace_objects::Error),
    /// Some files were not copied.
    #[error("{0}")]
    Incomplete(Incomplete),
}

/// Opens the configured storage.
pub(crate) fn open(config: &Config) -> Result<Objects, millrace_objects::Error> {
    let objects = Objects::open_with(config.storage.url.as_str(), &config.data_dir, &access(config)?)?;
    Ok(objects.leaving_free(config.upload.reserve.get() as u64))
}

/// Says in the log where files cannot be kept. The server starts all the same: live streams need none, and a bucket that
/// does not answer now may do so later.
pub(crate) async fn try_out(objects: Objects) {
    if let Err(error) = objects.check().await {
        tracing::error!(%error, storage = %objects, "files cannot be kept");
    }
}

fn access(config: &Config) -> Result<Access, millrace_objects::Error> {
    let credentials = match (&config.storage.access_key_id, &config.storage.secret_access_key) {
        (Some(id), Some(secret)) => {
            Some(Credentials { access_key_id: id.expose().to_owned(), secret_access_key: secret.expose().to_owned() })
        }
        (None, None) => None,
        _ => {
            let words = "storage.access_key_id and storage.secret_access_key belong together: set both or none";
            return Err(millrace_objects::Error::Address(words));
        }
    };
    let public_url = config.storage.public_url.as_ref().map(|url| url.as_str().to_owned());
    Ok(Access { credentials, public_url })
}

/// What was moved. It prints as words for the operator.
#[derive(Debug)]
pub(crate) struct Moved {
    from: Objects,
    to: Objects,
    copied: Copied,
    deleted: Option<u64>,
}

/// What was not copied. It prints as words for the operator.
#[derive(Debug)]
pub(crate) struct Incomplete(Copied);

/// Copies all files from one storage to another.
pub(crate) fn move_all(config: &Config, arguments: &MoveArguments) -> Result<Moved, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::Runtime)?;
    runtime.block_on(async {
        let source = || -> Result<Place, Error> { arguments.from.parse().map_err(storage("--from:")) };
        let (from_place, to_place): (_, Place) = (source()?, arguments.to.parse().map_err(storage("--to:"))?);
        if is_same(config, &from_place, &to_place) {
            return Err(Error::Same);
        }
        let used = config.storage.url.as_str().parse().map_err(storage("storage.url:"))?;
        if arguments.delete && is_same(config, &from_place, &used) {
            return Err(Error::InUse);
        }
        let access = access(config).map_err(storage("configuration:"))?;
        let from_access = match &arguments.from_credentials {
            Some(path) => Access { credentials: Some(credentials(path)?), public_url: None },
            None => access.clone(),
        };
        let from = Objects::open_with(&arguments.from, &config.data_dir, &from_access).map_err(storage("--from:"))?;
        let to = Objects::open_with(&arguments.to, &config.data_dir, &access).map_err(storage("--to:"))?;
        to.check().await.map_err(storage("--to:"))?;
        let mut ledger = Ledger::open(&config.data_dir.join(LEDGER), &from, &to).map_err(Error::Broken)?;
        let copied = transfer::copy_all(&from, &to, &mut ledger, tell()).await.map_err(Error::Broken)?;
        if !copied.failed.is_empty() {
            return Err(Error::Incomplete(Incomplete(copied)));
        }
        let deleted = match arguments.delete {
            true => Some(transfer::delete_copied(&from, &to, &ledger).await.map_err(Error::Broken)?),
            false => None,
        };
        Ok(Moved { from, to, copied, deleted })
    })
}

fn storage(which: &'static str) -> impl Fn(millrace_objects::Error) -> Error {
    move |source| Error::Storage { which, source }
}

fn is_same(config: &Config, one: &Place, other: &Place) -> bool {
    let whole = |path: &PathBuf| {
        let path = config.data_dir.join(path);
        fs::canonicalize(&path).or_else(|_| std::path::absolute(&path)).unwrap_or(path)
    };
    match (one, other) {
        (Place::Directory(one), Place::Directory(other)) => whole(one) == whole(other),
        (Place::Bucket(one), Place::Bucket(other)) => one.is_same(other),
        _ => false,
    }
}

fn credentials(path: &PathBuf) -> Result<Credentials, Error> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines[..] {
        [id, secret] => Ok(Credentials { access_key_id: id.to_owned(), secret_access_key: secret.to_owned() }),
        _ => Err(Error::Credentials(path.clone())),
    }
}

/// Says from time to time how far it is.
fn tell() -> impl FnMut(Progress) {
    let mut told = Instant::now();
    move |now| {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            // Who does not read it does not need it.
            let _ = writeln!(io::stderr().lock(), "{} of {} files, {} MiB", now.done, now.of, now.bytes >> 20);
        }
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, copied: Copied { copied, found, .. }, deleted } = self;
        writeln!(f, "{to} has all files of {from}: {copied} copied, {found} there before")?;
        match deleted {
            Some(deleted) => write!(f, "{deleted} deleted from {from}"),
            None => write!(f, "Every copy was read back and compared. Nothing was deleted from {from}"),
        }
    }
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, error) in &self.0.failed {
            writeln!(f, "{key}: {error}")?;
        }
        let Copied { copied, found, failed } = &self.0;
        write!(
            f,
            "{} not copied, {copied} copied, {found} there before. Nothing was deleted; the same command tries again",
            failed.len()
        )
    }
}

/// File below the data directory that says what was copied.
const LEDGER: &str = "storage-move";
const TELL_EVERY: Duration = Duration::from_secs(5);
