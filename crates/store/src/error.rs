/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody else has it already.
    #[error("{0} is taken")]
    Taken(&'static str),
    /// There are as many as there may be.
    #[error("there are as many {0} as there may be")]
    TooMany(&'static str),
    /// More would be stored for an account than may be.
    #[error("more would be stored than may be")]
    OverQuota,
    /// It holds so many of something that would be lost with it.
    #[error("{0} of it would be lost")]
    InUse(i64),
    /// It was changed since it was read.
    #[error("it was changed meanwhile")]
    Changed,
    /// There is none.
    #[error("there is none")]
    NotFound,
    /// The last administrator cannot be taken away.
    #[error("this is the last administrator")]
    LastAdministrator,
    /// The address of the database is not one that is known.
    #[error("{0}")]
    Address(String),
    /// A row holds what this version does not know: it was written by a newer one.
    #[error("the database holds {0:?}, which this version does not know")]
    Unknown(String),
    /// The tables could not be brought to this version's form.
    #[error("the database could not be migrated: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The database itself failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

impl Error {
    /// A violated UNIQUE says that `what` is taken; anything else stays what it is.
    pub(crate) fn taken(error: sqlx::Error, what: impl FnOnce(&str) -> &'static str) -> Self {
        match &error {
            sqlx::Error::Database(cause) if cause.is_unique_violation() => {
                // SQLite names the columns in its message, PostgreSQL the constraint.
                let named = format!("{} {}", cause.message(), cause.constraint().unwrap_or_default());
                Self::Taken(what(&named))
            }
            _ => Self::Database(error),
        }
    }
}

/// A change that found no row.
pub(crate) fn found(changed: u64) -> Result<(), Error> {
    if changed == 0 { Err(Error::NotFound) } else { Ok(()) }
}
