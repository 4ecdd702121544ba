//! A look at a database before it is served from, which changes nothing.

use std::path::Path;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::db::{POSTGRES, SQLITE, postgres_options, sqlite_path};
use crate::{Error, Kind};

/// What is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing yet: the first start makes the tables.
    Nothing(Kind),
    /// Tables of an earlier version: the next start brings them to this one's form.
    Earlier(Kind),
    /// Tables of this version.
    Current(Kind),
}

/// The migrations that were applied, where the query counts the table that tells them.
macro_rules! applied {
    ($options:expr, $table:expr) => {{
        let mut connection = $options.connect().await?;
        let (tables,): (i64,) = sqlx::query_as($table).fetch_one(&mut connection).await?;
        let applied = match tables {
            0 => Vec::new(),
            _ => sqlx::query_as(APPLIED).fetch_all(&mut connection).await?,
        };
        connection.close().await?;
        applied
    }};
}
/// Looks at the database that [`Store::open`](crate::Store::open) would open.
///
/// # Errors
/// Where that would fail: the address is of no known kind, the database cannot be reached or read, or was made by a newer
/// version, or its tables otherwise than by this one.
pub async fn look(url: &str, directory: &Path) -> Result<Found, Error> {
    match Kind::of(url)? {
        Kind::Sqlite => {
            let file = directory.join(sqlite_path(url)?);
            if !file.exists() {
                return Ok(Found::Nothing(Kind::Sqlite));
            }
            let options = SqliteConnectOptions::new().filename(file);
            let table = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'";
            judge(Kind::Sqlite, &SQLITE, &applied!(options, table))
        }
        Kind::Postgres => {
            let table = "SELECT COUNT(*) FROM information_schema.tables
                         WHERE table_schema = current_schema() AND table_name = '_sqlx_migrations'";
            judge(Kind::Postgres, &POSTGRES, &applied!(postgres_options(url)?, table))
        }
    }
}

/// A migration that was applied: its version, whether it came to its end, and the hash of its text.
type Applied = (i64, bool, Vec<u8>);

fn judge(kind: Kind, migrator: &Migrator, applied: &[Applied]) -> Result<Found, Error> {
    for (version, done, checksum) in applied {
        let known = migrator.iter().find(|migration| migration.version == *version);
        match known {
            _ if !done => return Err(MigrateError::Dirty(*version).into()),
            None => return Err(MigrateError::VersionMissing(*version).into()),
            Some(known) if known.checksum[..] != checksum[..] => {
                return Err(MigrateError::VersionMismatch(*version).into());
            }
            Some(_) => {}
        }
    }
    Ok(match applied.len() {
        0 => Found::Nothing(kind),
        some if some < migrator.iter().count() => Found::Earlier(kind),
        _ => Found::Current(kind),
    })
}

const APPLIED: &str = "SELECT version, success, checksum FROM _sqlx_migrations ORDER BY version";
