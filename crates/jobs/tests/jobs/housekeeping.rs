//! The jobs that keep the database in order.

use std::fs;
use std::path::Path;
use std::time::Duration;

use millrace_jobs::{BackUpDatabase, Config, DatabaseBackup, JobsPrune, PruneJobs, Registry, Runner};
use millrace_store::testing::fresh_store;
use millrace_store::{JobFilter, JobState, PageRequest, Store};
use tempfile::tempdir;

use crate::puppet::enqueue;

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn old_jobs_are_removed() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    for (keep, left) in [(Duration::from_secs(3600), 1), (Duration::ZERO, 1)] {
        let registry = Registry::new().handle(JobsPrune { store: store.clone(), keep });
        enqueue(&store, &PruneJobs {}).await;
        Runner::new(store.clone(), registry, Config::default()).run_until_idle().await.unwrap();
        let page = PageRequest { limit: 10, after: None };
        let jobs = store.jobs(&JobFilter::default(), &page).await.unwrap().items;
        assert_eq!(jobs.len(), left, "the one that removed others is left: {keep:?}");
    }
}

#[tokio::test]
async fn the_database_is_copied_and_the_newest_copies_are_kept() {
    let directory = tempdir().unwrap();
    let url = "sqlite://site.db";
    let store = Store::open(url, directory.path()).await.unwrap();
    let copies = directory.path().join("backups");
    fs::create_dir(&copies).unwrap();
    for old in ["millrace-2001-01-01T040000Z.db", "millrace-2001-01-02T040000Z.db", "millrace-x.db.part", "mine.txt"] {
        fs::write(copies.join(old), "").unwrap();
    }
    let (data_dir, directory) = (directory.path().to_owned(), copies.clone());
    let handler = DatabaseBackup { url: url.to_owned(), data_dir, directory, keep: 2 };
    let id = enqueue(&store, &BackUpDatabase {}).await;
    let runner = Runner::new(store.clone(), Registry::new().handle(handler), Config::default());
    runner.run_until_idle().await.unwrap();
    let job = store.job(&id).await.unwrap().unwrap();
    assert_eq!((job.state, job.error), (JobState::Done, None));
    let names = names(&copies);
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.contains(&"mine.txt".to_owned()) && names.contains(&"millrace-2001-01-02T040000Z.db".to_owned()));
    let copy = format!(
        "sqlite://{}",
        names.iter().find(|name| name.starts_with("millrace-20") && !name.contains("2001")).unwrap()
    );
    let copied = Store::open(&copy, &copies).await.unwrap().job(&id).await.unwrap().unwrap();
    assert_eq!(copied.state, JobState::Running, "as it was at that moment");
}

#[tokio::test]
async fn a_server_s_database_is_left_to_its_own_tools() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let (data_dir, copies) = (directory.path().to_owned(), directory.path().join("backups"));
    let handler = DatabaseBackup { url: "postgres://db/site".to_owned(), data_dir, directory: copies, keep: 2 };
    let id = enqueue(&store, &BackUpDatabase {}).await;
    Runner::new(store.clone(), Registry::new().handle(handler), Config::default()).run_until_idle().await.unwrap();
    let job = store.job(&id).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Failed, 1));
    assert!(job.error.as_ref().unwrap().contains("pg_dump"), "{:?}", job.error);
}
