//! One way to run a query on either database.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Postgres, Sqlite, Transaction};

use crate::Error;
use crate::changes::Exchange;

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) pool: Pool,
    pub(crate) exchange: Exchange,
}

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Embedded, one file.
    Sqlite,
    /// A server.
    Postgres,
}

impl Kind {
    /// That of an address.
    pub(crate) fn of(url: &str) -> Result<Self, Error> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            _ => Err(Error::Address("the database's address begins with sqlite:// or postgres://".to_owned())),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// Runs a query that gives rows: `rows!(self.pool, fetch_optional, User, "SELECT …", id)`.
macro_rules! rows {
    ($pool:expr, $fetch:ident, $row:ty, $sql:expr $(, $value:expr)* $(,)?) => {
        match &$pool {
            $crate::db::Pool::Sqlite(pool) => sqlx::query_as::<_, $row>($sql)$(.bind($value))*.$fetch(pool).await,
            $crate::db::Pool::Postgres(pool) => sqlx::query_as::<_, $row>($sql)$(.bind($value))*.$fetch(pool).await,
        }
    };
}

/// Runs a query that gives none; the number of rows that it changed.
macro_rules! run {
    ($pool:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        match &$pool {
            $crate::db::Pool::Sqlite(pool) => {
                sqlx::query($sql)$(.bind($value))*.execute(pool).await.map(|done| done.rows_affected())
            }
            $crate::db::Pool::Postgres(pool) => {
                sqlx::query($sql)$(.bind($value))*.execute(pool).await.map(|done| done.rows_affected())
            }
        }
    };
}

/// As [`rows`], within a transaction.
macro_rules! rows_in {
    ($tx:expr, $fetch:ident, $row:ty, $sql:expr $(, $value:expr)* $(,)?) => {
        match &mut $tx {
            $crate::db::Tx::Sqlite(tx) => sqlx::query_as::<_, $row>($sql)$(.bind($value))*.$fetch(&mut **tx).await,
            $crate::db::Tx::Postgres(tx) => sqlx::query_as::<_, $row>($sql)$(.bind($value))*.$fetch(&mut **tx).await,
        }
    };
}

/// As [`run`], within a transaction.
macro_rules! run_in {
    ($tx:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        match &mut $tx {
            $crate::db::Tx::Sqlite(tx) => {
                sqlx::query($sql)$(.bind($value))*.execute(&mut **tx).await.map(|done| done.rows_affected())
            }
            $crate::db::Tx::Postgres(tx) => {
                sqlx::query($sql)$(.bind($value))*.execute(&mut **tx).await.map(|done| done.rows_affected())
            }
        }
    };
}

pub(crate) use {rows, rows_in, run, run_in};

impl Store {
    /// Opens `sqlite://path` or `postgres://…`, and brings its tables to this version's form. A file that is not there is
    /// made; a path that is not absolute is below `directory`.
    ///
    /// # Errors
    /// When the address is of neither kind, the database cannot be reached, or was made by a newer version.
    pub async fn open(url: &str, directory: &Path) -> Result<Self, Error> {
        let pool = match Kind::of(url)? {
            Kind::Sqlite => Pool::Sqlite(open_sqlite(url, directory).await?),
            Kind::Postgres => Pool::Postgres(open_postgres(url).await?),
        };
        match &pool {
            Pool::Sqlite(pool) => SQLITE.run(pool).await?,
            Pool::Postgres(pool) => POSTGRES.run(pool).await?,
        }
        let exchange = Exchange::start(&pool).await?;
        Ok(Self { pool, exchange })
    }

    /// Which database it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.pool {
            Pool::Sqlite(_) => Kind::Sqlite,
            Pool::Postgres(_) => Kind::Postgres,
        }
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        run!(self.pool, "SELECT 1")?;
        Ok(())
    }

    /// Lets go of its connections, once they are done.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    /// A transaction that may write: on SQLite it takes its turn now, and not at the first change, where it could fail.
    pub(crate) async fn begin(&self) -> Result<Tx, Error> {
        Ok(match &self.pool {
            Pool::Sqlite(pool) => Tx::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Pool::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }
}

impl Tx {
    pub(crate) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

async fn open_sqlite(url: &str, directory: &Path) -> Result<SqlitePool, Error> {
    let path = sqlite_path(url)?;
    let options = SqliteConnectOptions::new()
        .filename(directory.join(path))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // What somebody was told is done outlasts a loss of power.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10));
    Ok(SqlitePoolOptions::new().max_connections(SQLITE_CONNECTIONS).connect_with(options).await?)
}

/// The path in an address of SQLite.
pub(crate) fn sqlite_path(url: &str) -> Result<&str, Error> {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    if path.is_empty() || path.contains(['?', '#']) {
        return Err(Error::Address("sqlite:// wants the path of a file".to_owned()));
    }
    Ok(path)
}

pub(crate) fn postgres_options(url: &str) -> Result<PgConnectOptions, Error> {
    // Queries take milliseconds: nothing is won by compiling one, or by other processes that help with it. And what is asked
    // for often lies in memory, where one page is as near as the next.
    let options = [("jit", "off"), ("max_parallel_workers_per_gather", "0"), ("random_page_cost", "1.1")];
    Ok(PgConnectOptions::from_str(url)?.application_name("millrace").options(options))
}

async fn open_postgres(url: &str) -> Result<PgPool, Error> {
    let options = postgres_options(url)?;
    let pool = PgPoolOptions::new().max_connections(POSTGRES_CONNECTIONS).acquire_timeout(Duration::from_secs(10));
    Ok(pool.connect_with(options).await?)
}

/// Readers beside the one that writes.
const SQLITE_CONNECTIONS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 16;

pub(crate) static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
pub(crate) static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// How SQLite goes about a query, step by step.
    #[allow(clippy::unwrap_used)]
    pub(crate) async fn plan(sql: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open("sqlite://test.db", directory.path()).await.unwrap();
        let Pool::Sqlite(pool) = &store.pool else { unreachable!("it was opened so") };
        let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(pool).await.unwrap();
        plan.into_iter().map(|(.., step)| step).collect()
    }
}
