//! A worker that is killed in the middle of a job.

use std::path::PathBuf;
use std::process::Stdio;

use millrace_jobs::{Context, Failure, Handler, Registry, Runner, Work};
use millrace_store::{JobState, Store};
use serde::{Deserialize, Serialize};
use tempfile::tempdir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::puppet::{Runs, brisk, enqueue, fresh_url, until};

/// Writes a file, of which half is there when the first attempt is killed.
#[derive(Serialize, Deserialize)]
struct WriteFile {
    path: PathBuf,
}

impl Work for WriteFile {
    const KIND: &'static str = "test.write";
}

struct Writer {
    /// Where it is to be killed.
    halfway: Option<fn()>,
}

impl Handler for Writer {
    type Work = WriteFile;

    async fn run(&self, _: &Context, work: WriteFile) -> Result<(), Failure> {
        let part = work.path.with_extension("part");
        std::fs::write(&part, "first half, ").unwrap();
        if let Some(halfway) = self.halfway {
            halfway();
            std::future::pending::<()>().await;
        }
        std::fs::write(&part, "first half, second half").unwrap();
        std::fs::rename(&part, &work.path).unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn a_worker_that_is_killed_is_replaced_and_the_result_is_right() {
    let directory = tempdir().unwrap();
    let url = fresh_url().await;
    let store = Store::open(&url, directory.path()).await.unwrap();
    let path = directory.path().join("result");
    let id = enqueue(&store, &WriteFile { path: path.clone() }).await;

    let mut worker = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::a_worker_to_be_killed", "--ignored", "--nocapture"])
        .env(DATABASE, &url)
        .env(DIRECTORY, directory.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().expect("it begins the job").contains(HALFWAY) {}
    worker.kill().await.unwrap(); // SIGKILL
    let left = store.job(&id).await.unwrap().unwrap();
    assert_eq!((left.state, left.attempts), (JobState::Running, 1), "it could tell nobody");
    assert!(!path.exists() && path.with_extension("part").exists());

    let registry = Registry::new().handle(Writer { halfway: None });
    let runs = Runs::start(&Runner::new(store.clone(), registry, brisk()));
    let done = until(&store, &id, |job| job.state == JobState::Done).await;
    assert_eq!((done.attempts, done.error), (2, None));
    assert_ne!(done.worker, left.worker);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "first half, second half");
    assert!(!path.with_extension("part").exists(), "nothing else is left");
    runs.stop().await;
}

/// The process that is killed.
#[tokio::test]
#[ignore = "run by another test"]
#[allow(clippy::print_stdout)] // what the other test waits for
async fn a_worker_to_be_killed() {
    let Ok(url) = std::env::var(DATABASE) else { return };
    let directory = PathBuf::from(std::env::var_os(DIRECTORY).unwrap());
    let store = Store::open(&url, &directory).await.unwrap();
    let registry = Registry::new().handle(Writer { halfway: Some(|| println!("{HALFWAY}")) });
    Runner::new(store, registry, brisk()).run(&Default::default()).await;
}

const DATABASE: &str = "MILLRACE_TEST_DATABASE";
const DIRECTORY: &str = "MILLRACE_TEST_DIRECTORY";
const HALFWAY: &str = "half is written";
