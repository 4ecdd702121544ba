//! A look at a database before it is served from, which changes nothing.

use std::path::Path;

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

/// Looks at the database that [`Store::open`](crate::Store::open) would open.
///
/// # Errors
/// Where that would fail: the address is of no known kind, the database cannot be reached or read, or was made by a newer
/// version.
pub async fn look(url: &str, directory: &Path) -> Result<Found, Error> {
    match Kind::of(url)? {
        Kind::Sqlite => {
            let file = directory.join(sqlite_path(url)?);
            if !file.exists() {
                return Ok(Found::Nothing(Kind::Sqlite));
            }
            let mut connection = SqliteConnectOptions::new().filename(file).connect().await?;
            let table = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'";
            let (tables,): (i64,) = sqlx::query_as(table).fetch_one(&mut connection).await?;
            let applied = match tables {
                0 => Vec::new(),
                _ => sqlx::query_as(APPLIED).fetch_all(&mut connection).await?,
            };
            connection.close().await?;
            judge(Kind::Sqlite, SQLITE.iter().map(|migration| migration.version), &applied)
        }
        Kind::Postgres => {
            let mut connection = postgres_options(url)?.connect().await?;
            let table = "SELECT COUNT(*) FROM information_schema.tables
                         WHERE table_schema = current_schema() AND table_name = '_sqlx_migrations'";
            let (tables,): (i64,) = sqlx::query_as(table).fetch_one(&mut connection).await?;
            let applied = match tables {
                0 => Vec::new(),
                _ => sqlx::query_as(APPLIED).fetch_all(&mut connection).await?,
            };
            connection.close().await?;
            judge(Kind::Postgres, POSTGRES.iter().map(|migration| migration.version), &applied)
        }
    }
}

fn judge(kind: Kind, known: impl Iterator<Item = i64>, applied: &[(i64, bool)]) -> Result<Found, Error> {
    use sqlx::migrate::MigrateError;
    let known: Vec<i64> = known.collect();
    if let Some((version, _)) = applied.iter().find(|(_, done)| !done) {
        return Err(MigrateError::Dirty(*version).into());
    }
    if let Some((version, _)) = applied.iter().find(|(version, _)| !known.contains(version)) {
        return Err(MigrateError::VersionMissing(*version).into());
    }
    Ok(match applied.len() {
        0 => Found::Nothing(kind),
        some if some < known.len() => Found::Earlier(kind),
        _ => Found::Current(kind),
    })
}

const APPLIED: &str = "SELECT version, success FROM _sqlx_migrations ORDER BY version";
