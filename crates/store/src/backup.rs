//! A copy of the database while it is used.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use crate::db::sqlite_path;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A server's database is copied by the server's own tools.
    #[error("the database is PostgreSQL's: copy it with pg_dump")]
    Postgres,
    /// The address of the database is not one that is known.
    #[error("{0}")]
    Address(#[from] crate::Error),
    /// There is a file of that name already.
    #[error("{}: there is such a file already", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The database cannot be read.
    #[error("the database cannot be copied: {0}")]
    Database(#[from] sqlx::Error),
}

/// Copies the SQLite database at `url` into the new file `to`, whole and as it was at one moment, while others use it.
/// Only the file's owner may read the copy.
///
/// # Errors
/// See [`BackupError`]; the file is then not there.
pub async fn backup(url: &str, directory: &Path, to: &Path) -> Result<(), BackupError> {
    if url.starts_with("postgres") {
        return Err(BackupError::Postgres);
    }
    let from = directory.join(sqlite_path(url)?);
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::File { path, source }
    };
    // Whole or not at all under its name.
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part).map_err(file(&part))?;
    let copied = copy(&from, &part).await;
    let done = match copied {
        Ok(()) => File::open(&part).and_then(|file| file.sync_all()).and_then(|()| fs::rename(&part, to)),
        Err(error) => {
            let _ = fs::remove_file(&part);
            return Err(error.into());
        }
    };
    done.map_err(file(to))
}

async fn copy(from: &Path, to: &Path) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(from).busy_timeout(std::time::Duration::from_secs(10));
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    let copied = sqlx::query("VACUUM INTO $1").bind(to.to_string_lossy().into_owned()).execute(&pool).await;
    pool.close().await;
    copied.map(|_| ())
}
