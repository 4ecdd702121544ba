//! Jobs that need nothing but the database.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use millrace_store::{At, BackupError, Store};
use serde::{Deserialize, Serialize};
use tokio::fs;

use crate::{Context, Failure, Handler, Work};

/// Removes jobs that ended long ago.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct PruneJobs {}

impl Work for PruneJobs {
    const KIND: &'static str = "jobs.prune";
}

/// Does [`PruneJobs`].
#[derive(Debug, Clone)]
pub struct JobsPrune {
    /// The database.
    pub store: Store,
    /// For how long jobs are kept once they have ended.
    pub keep: Duration,
}

impl Handler for JobsPrune {
    type Work = PruneJobs;

    async fn run(&self, job: &Context, _: PruneJobs) -> Result<(), Failure> {
        let keep = time::Duration::try_from(self.keep).unwrap_or(time::Duration::MAX);
        let before = At::now().plus(-keep);
        while self.store.prune_jobs(before, BATCH).await? > 0 {
            job.go_on()?;
        }
        Ok(())
    }
}

/// Copies the database into a directory.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct BackUpDatabase {}

impl Work for BackUpDatabase {
    const KIND: &'static str = "database.backup";
}

/// Does [`BackUpDatabase`], for SQLite.
#[derive(Debug, Clone)]
pub struct DatabaseBackup {
    /// The database's address.
    pub url: String,
    /// Where its file is, if the address has no absolute path.
    pub data_dir: PathBuf,
    /// Where the copies go; it is made where it is not there.
    pub directory: PathBuf,
    /// How many copies are kept: the newest ones.
    pub keep: usize,
}

impl Handler for DatabaseBackup {
    type Work = BackUpDatabase;

    async fn run(&self, job: &Context, _: BackUpDatabase) -> Result<(), Failure> {
        fs::create_dir_all(&self.directory).await.map_err(failed(&self.directory))?;
        // Another attempt has the same name, so that what the one before left is found, and replaced where it is not whole.
        let file = self.directory.join(file_name(job.job().created_at));
        match millrace_store::backup(&self.url, &self.data_dir, &file).await {
            Ok(()) | Err(BackupError::Exists(_)) => {}
            Err(error @ (BackupError::Postgres | BackupError::Address(_))) => {
                return Err(Failure::last(error.to_string()));
            }
            Err(error) => return Err(Failure::retry(error.to_string())),
        }
        self.remove_old().await.map_err(failed(&self.directory))
    }
}

impl DatabaseBackup {
    /// Removes all copies but the newest, and what attempts that were given up left of others.
    async fn remove_old(&self) -> io::Result<()> {
        let mut entries = fs::read_dir(&self.directory).await?;
        let mut copies = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            match entry.file_name().to_str().and_then(|name| name.strip_prefix(PREFIX)) {
                Some(name) if name.ends_with(SUFFIX) => copies.push(entry.path()),
                Some(name) if name.ends_with(PART) => remove(&entry.path()).await?,
                _ => {}
            }
        }
        copies.sort_unstable();
        for old in copies.iter().rev().skip(self.keep.max(1)) {
            remove(old).await?;
        }
        Ok(())
    }
}

async fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::retry(format!("{}: {error}", path.display()))
}

/// The copy's name: it sorts by when its job was enqueued.
fn file_name(at: At) -> String {
    let at = time::OffsetDateTime::from(at);
    let (date, time) = (at.date(), at.time());
    format!("{PREFIX}{date}T{:02}{:02}{:02}Z{SUFFIX}", time.hour(), time.minute(), time.second())
}

/// Jobs that are removed at a time: others write in between.
const BATCH: u32 = 1000;
const PREFIX: &str = "millrace-";
const SUFFIX: &str = ".db";
/// A copy that is being written.
const PART: &str = ".db.part";
