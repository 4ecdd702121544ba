//! `millrace backup`: a copy of the database while the server runs.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use millrace_objects::Place;
use millrace_store::BackupError;

use crate::config::{Config, ConfigError};

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system gave no thread.
    #[error("the runtime does not start: {0}")]
    Runtime(io::Error),
    /// The copy cannot be made.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The place for files is none.
    #[error("storage.url: {0}")]
    Storage(#[from] millrace_objects::Error),
}

/// What was done. It prints as words for the operator.
#[derive(Debug)]
pub(crate) struct Done {
    file: PathBuf,
    /// Where the site's key is, which is not part of the copy.
    key: Option<PathBuf>,
    /// Where files are that people uploaded, which are not part of it either.
    files: Place,
}

/// Copies the configured database to a new file.
pub(crate) fn backup(config: &Config, file: &Path) -> Result<Done, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    runtime.block_on(millrace_store::backup(config.database.url.expose(), &config.data_dir, file))?;
    let key = config.site.key.is_none().then(|| config.data_dir.join("site.key"));
    let files = match config.storage.url.as_str().parse()? {
        Place::Directory(path) => Place::Directory(config.data_dir.join(path)),
        bucket => bucket,
    };
    Ok(Done { file: file.to_owned(), key, files })
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the database as it is now", self.file.display())?;
        match &self.files {
            Place::Directory(path) => write!(f, "\nCopy {} as well: the files that people uploaded", path.display())?,
            Place::Bucket(bucket) => {
                write!(f, "\nThe files that people uploaded are in {bucket}, and need a copy as well")?;
            }
        }
        match &self.key {
            Some(key) => {
                write!(f, "\nKeep a copy of {} as well, apart from it: it opens what is sealed", key.display())
            }
            None => write!(f, "\nKeep site.key of the configuration as well, apart from it: it opens what is sealed"),
        }
    }
}
