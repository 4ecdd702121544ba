//! Databases for tests, of this crate and of those that use it.

use sqlx::{AssertSqlSafe, PgPool};

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
