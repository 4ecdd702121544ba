//! Databases that earlier versions left are brought to this one's form, and keep what is in them.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;

use millrace_store::testing::fresh_postgres;
use millrace_store::{At, Found, Kind, PageRequest, Role, Store, VideoLength, VideoSearch, look};
use sqlx::migrate::{Migration, Migrator};
use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

/// What every version so far could hold.
const ROWS: [&str; 6] = [
    "INSERT INTO users (id, handle, display_name, password_hash, role, state, created_at)
     VALUES ('u1', 'ada', 'Ada 李', 'x', 'admin', 'active', 1000)",
    "INSERT INTO sessions (id, user_id, token_hash, remember, user_agent, address, created_at, last_used_at, expires_at)
     VALUES ('s1', 'u1', $1, TRUE, 'agent', '10.0.0.1', 1000, 1000, 9000000000000)",
    "INSERT INTO channels (id, owner_id, handle, title, created_at) VALUES ('c1', 'u1', 'engine', 'Engine room', 1000)",
    "INSERT INTO stream_keys (id, channel_id, label, key_hash, sealed_key, created_at)
     VALUES ('k1', 'c1', '', $1, $1, 1000)",
    "INSERT INTO live_sessions (id, channel_id, started_at, ended_at, end_reason) VALUES ('l1', 'c1', 1000, 2000, 'lost')",
    "INSERT INTO audit_log (id, at, actor, action, subject, address, details)
     VALUES ('a1', 1000, 'ada', 'log-in', 'ada', '10.0.0.1', '')",
];

/// A hash, where a row holds one.
const HASH: [u8; 32] = [7; 32];

/// Brings a database to the form that a list of migrations gives, and fills it.
macro_rules! leave_behind {
    ($pool:expr, $migrations:expr $(, $more:expr)?) => {
        Migrator::with_migrations($migrations).run(&$pool).await.unwrap();
        for row in ROWS.into_iter()$(.chain($more))? {
            let query = sqlx::query(row);
            let query = if row.contains("$1") { query.bind(HASH.as_slice()) } else { query };
            query.execute(&$pool).await.unwrap();
        }
        $pool.close().await;
    };
}

async fn all(folder: &str) -> Vec<Migration> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
    Migrator::new(folder).await.unwrap().iter().cloned().collect()
}

async fn everything_is_there(store: Store, version: usize) {
    let user = store.user_by_handle("ada").await.unwrap().unwrap();
    assert_eq!((user.display_name.as_str(), user.role), ("Ada 李", Role::Admin), "left by version {version}");
    assert!(store.session_by_token(&HASH).await.unwrap().is_some_and(|session| session.remember));
    let channel = store.channel_by_handle("engine").await.unwrap().unwrap();
    assert_eq!((channel.title.as_str(), channel.play_epoch), ("Engine room", 0));
    assert_eq!(store.stream_key_by_hash(&HASH).await.unwrap().unwrap().channel_id, channel.id);
    let page = PageRequest { limit: 10, after: None };
    let broadcasts = store.live_sessions(&channel.id, &page).await.unwrap().items;
    assert_eq!((broadcasts.len(), broadcasts[0].end_reason.as_deref()), (1, Some("lost")));
    if version == 1 {
        assert!(channel.search_text.contains("engine"), "channels of before are found as well");
    }
    store.close().await;
}

#[tokio::test]
async fn what_earlier_versions_left_on_sqlite() {
    let migrations = all("sqlite").await;
    assert!(migrations.len() > 1, "there are earlier versions");
    for version in 1..=migrations.len() {
        let directory = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new().filename(directory.path().join("left.db")).create_if_missing(true);
        let pool = SqlitePool::connect_with(options).await.unwrap();
        assert_eq!(look("sqlite://left.db", directory.path()).await.unwrap(), Found::Nothing(Kind::Sqlite));
        leave_behind!(pool, migrations[..version].to_vec());
        let earlier = if version < migrations.len() { Found::Earlier } else { Found::Current };
        let found = look("sqlite://left.db", directory.path()).await.unwrap();
        assert_eq!(found, earlier(Kind::Sqlite), "a look changes nothing: {version}");
        everything_is_there(Store::open("sqlite://left.db", directory.path()).await.unwrap(), version).await;
        let found = look("sqlite://left.db", directory.path()).await.unwrap();
        assert_eq!(found, Found::Current(Kind::Sqlite));
    }
}

#[tokio::test]
async fn what_earlier_versions_left_on_postgres() {
    let migrations = all("postgres").await;
    for version in 1..=migrations.len() {
        let Some(url) = fresh_postgres(&format!("left_by_{version}")).await else { return };
        let pool = PgPool::connect(&url).await.unwrap();
        assert_eq!(look(&url, Path::new("")).await.unwrap(), Found::Nothing(Kind::Postgres));
        leave_behind!(pool, migrations[..version].to_vec());
        let earlier = if version < migrations.len() { Found::Earlier } else { Found::Current };
        assert_eq!(look(&url, Path::new("")).await.unwrap(), earlier(Kind::Postgres));
        everything_is_there(Store::open(&url, Path::new("")).await.unwrap(), version).await;
    }
}

/// A video as version 11 left it, and what found it.
const FOUND: [&str; 2] = [
    "INSERT INTO videos (id, short_id, channel_id, title, language, category, duration, visibility, published_at, state,
                         created_at)
     VALUES ('v1', 'abcdefghijk', 'c1', 'Tea', 'zh-TW', 'music', 300000, 'public', 1700000000000, 'ready', 1000)",
    "INSERT INTO video_terms (video_id, title, words) VALUES ('v1', 'tea', 'engine')",
];

macro_rules! found_as_before {
    ($pool:expr, $migrations:expr, $store:expr) => {
        let migrations: Vec<Migration> = $migrations.into_iter().filter(|one| one.version <= 11).collect();
        leave_behind!($pool, migrations, FOUND);
        let store = $store;
        let page = PageRequest { limit: 10, after: None };
        let all = VideoSearch { words: "tea", category: "music", language: "zh", ..VideoSearch::default() };
        let at = At(1_700_000_000_000);
        for (search, count) in [
            (VideoSearch { length: Some(VideoLength::Medium), since: Some(at), ..all }, 1),
            (VideoSearch { words: "", language: "zh-tw", ..all }, 1),
            (VideoSearch { since: Some(At(at.0 + 1)), ..all }, 0),
            (VideoSearch { language: "en", ..all }, 0),
        ] {
            assert_eq!(store.search_videos(&search, &page).await.unwrap().items.len(), count, "{search:?}");
        }
        store.close().await;
    };
}

#[tokio::test]
async fn what_was_found_before_is_found_by_what_it_is_of() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(directory.path().join("left.db")).create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    found_as_before!(pool, all("sqlite").await, Store::open("sqlite://left.db", directory.path()).await.unwrap());
    let Some(url) = fresh_postgres("found_before").await else { return };
    let pool = PgPool::connect(&url).await.unwrap();
    found_as_before!(pool, all("postgres").await, Store::open(&url, Path::new("")).await.unwrap());
}

#[tokio::test]
async fn what_a_newer_version_made_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    drop(Store::open("sqlite://left.db", directory.path()).await.unwrap());
    let options = SqliteConnectOptions::new().filename(directory.path().join("left.db"));
    let pool = SqlitePool::connect_with(options).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         SELECT version + 1000, description, success, checksum, execution_time FROM _sqlx_migrations LIMIT 1",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
    assert!(look("sqlite://left.db", directory.path()).await.is_err());
    assert!(Store::open("sqlite://left.db", directory.path()).await.is_err());
}

#[tokio::test]
async fn what_another_text_made_is_refused_at_the_first_look() {
    let directory = tempfile::tempdir().unwrap();
    Store::open("sqlite://left.db", directory.path()).await.unwrap().close().await;
    let options = SqliteConnectOptions::new().filename(directory.path().join("left.db"));
    let pool = SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET checksum = $1 WHERE version = 1")
        .bind(&HASH[..])
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    assert!(look("sqlite://left.db", directory.path()).await.is_err());
    assert!(Store::open("sqlite://left.db", directory.path()).await.is_err(), "as the start does");
}
