//! One set of tests for both databases.

/// A fresh database of each kind, for one test.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let directory = tempfile::tempdir().unwrap();
                super::$name(millrace_store::Store::open("sqlite://test.db", directory.path()).await.unwrap()).await;
            })*
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                let Some(url) = millrace_store::testing::fresh_postgres(stringify!($name)).await else { return };
                super::$name(millrace_store::Store::open(&url, std::path::Path::new("")).await.unwrap()).await;
            })*
        }
    };
}
