//! What tests share.

/// Makes a database of PostgreSQL, named for the test, anew. `None` where no server was given (`scripts/with-postgres`).
#[allow(clippy::unwrap_used)]
pub(crate) async fn fresh_postgres(name: &str) -> Option<String> {
    let server = std::env::var("MILLRACE_TEST_POSTGRES").ok()?;
    let admin = sqlx::PgPool::connect(&server).await.unwrap();
    for sql in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&admin).await.unwrap();
    }
    admin.close().await;
    let (start, query) = server.split_once('?').map_or((&server[..], String::new()), |(s, q)| (s, format!("?{q}")));
    let (host, _) = start.rsplit_once('/').unwrap();
    Some(format!("{host}/{name}{query}"))
}
