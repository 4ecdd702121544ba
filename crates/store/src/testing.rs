//! Databases for tests, of this crate and of those that use it.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, PgPool};

use crate::db::{Pool, rows_in, run};
use crate::search::index_in;
use crate::videos::create_in;
use crate::{At, Error, NewVideo, Store, Video};

/// The store of one test: on PostgreSQL where a server was given (see [`fresh_postgres`]), else SQLite in `directory`.
///
/// # Panics
/// Where it cannot be made.
#[allow(clippy::expect_used)]
pub async fn fresh_store(directory: &Path) -> Store {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let url = fresh_postgres(&name).await.unwrap_or_else(|| "sqlite://test.db".to_owned());
    Store::open(&url, directory).await.expect("a fresh database opens")
}

/// Makes a database on the PostgreSQL server that `MILLRACE_TEST_POSTGRES` names (`scripts/with-postgres` starts one), anew;
/// its address. `None` where no server was given.
///
/// # Panics
/// Where that server does not do as it is told. `name` is part of SQL: small letters, digits and `_`.
#[allow(clippy::expect_used)]
pub async fn fresh_postgres(name: &str) -> Option<String> {
    let server = std::env::var("MILLRACE_TEST_POSTGRES").ok()?;
    let admin = PgPool::connect(&server).await.expect("MILLRACE_TEST_POSTGRES names a server");
    // Statements that make databases take no parameters.
    for sql in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&admin).await.expect("databases can be made there");
    }
    admin.close().await;
    let (start, query) = server.split_once('?').map_or((&server[..], String::new()), |(s, q)| (s, format!("?{q}")));
    let (host, _) = start.rsplit_once('/').expect("it was connected to");
    Some(format!("{host}/{name}{query}"))
}

/// A video that has been there for a while.
#[derive(Debug, Clone)]
pub struct OldVideo<'a> {
    /// What is said of it.
    pub new: NewVideo<'a>,
    /// See [`Video::published_at`].
    pub published_at: At,
    /// See [`Video::duration`].
    pub duration: i64,
    /// See [`Video::views`].
    pub views: i64,
}

/// Puts many videos there at once, in one transaction, as if they had been published when it is said.
///
/// # Errors
/// When the database fails.
pub async fn put_videos(store: &Store, videos: &[OldVideo<'_>]) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    for old in videos {
        let id = create_in(&mut tx, &old.new).await?.id;
        let sql = "UPDATE videos SET state = 'ready', published_at = $1, duration = $2, views = $3 WHERE id = $4
                   RETURNING *";
        let video = rows_in!(tx, fetch_one, Video, sql, old.published_at, old.duration, old.views, id)?;
        index_in(&mut tx, &video).await?;
    }
    tx.commit().await
}

/// Brings what the database knows of its tables to where it is after a while: which videos are watched most, and on
/// PostgreSQL what its own housekeeping gathers.
///
/// # Errors
/// When the database fails.
pub async fn settle(store: &Store) -> Result<(), Error> {
    store.note_most_watched().await?;
    if let Pool::Postgres(_) = store.pool {
        run!(store.pool, "VACUUM ANALYZE")?;
    }
    Ok(())
}
