//! `millrace backup`: a copy of the database while the server runs.

use std::path::{Path, PathBuf};
use std::{fmt, io};

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
    /// Where the pictures are, which are not part of it either.
    pictures: PathBuf,
}

/// Copies the configured database to a new file.
pub(crate) fn backup(config: &Config, file: &Path) -> Result<Done, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    runtime.block_on(millrace_store::backup(config.database.url.expose(), &config.data_dir, file))?;
    let key = config.site.key.is_none().then(|| config.data_dir.join("site.key"));
    let pictures = millrace_objects::directory(config.storage.url.as_str()).map(|path| config.data_dir.join(path))?;
    Ok(Done { file: file.to_owned(), key, pictures })
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the database as it is now", self.file.display())?;
        write!(f, "\nCopy {} as well: the pictures that people uploaded", self.pictures.display())?;
        match &self.key {
            Some(key) => {
                write!(f, "\nKeep a copy of {} as well, apart from it: it opens what is sealed", key.display())
            }
            None => write!(f, "\nKeep site.key of the configuration as well, apart from it: it opens what is sealed"),
        }
    }
}
