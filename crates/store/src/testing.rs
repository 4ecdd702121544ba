//! Databases for tests, of this crate and of those that use it.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, PgPool};

use crate::Store;

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
