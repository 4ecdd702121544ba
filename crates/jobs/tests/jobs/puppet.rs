//! Jobs that do as a test tells them, and tell the test what happens to them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use millrace_jobs::{Backoff, Config, Context, Failure, GaveUp, Handler, Registry, Runner, Work};
use millrace_store::testing::fresh_postgres;
use millrace_store::{Job, JobId, Store};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Act {
    /// Succeeds at once.
    Succeed,
    /// Fails, and may be tried again.
    Fail,
    /// Fails for good.
    FailForGood,
    Panic,
    /// Succeeds when the test lets it, and fails when it is cancelled before.
    Wait,
    /// As that, and says before how far it is.
    Tell,
    /// Goes on for ever, cancelled or not.
    Deaf,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Play(pub(crate) Act);

impl Work for Play {
    const KIND: &'static str = "test.play";
    const ATTEMPTS: u32 = 3;
}

/// The same of another kind.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Other(pub(crate) Act);

impl Work for Other {
    const KIND: &'static str = "test.other";
}

/// What happened to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// That attempt began.
    Began(JobId, u32),
    /// It ended by itself or was dropped.
    Ended(JobId),
    GaveUp(JobId, GaveUp),
}

pub(crate) struct Stage {
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    /// Jobs that wait take one each.
    pub(crate) go: Arc<Semaphore>,
    /// So often nobody can be told that a job is given up.
    pub(crate) untold: Arc<AtomicU32>,
    tell: mpsc::UnboundedSender<Event>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let (tell, events) = mpsc::unbounded_channel();
        Self { events, go: Arc::new(Semaphore::new(0)), untold: Arc::default(), tell }
    }

    pub(crate) fn registry(&self) -> Registry {
        let puppet = Puppet { tell: self.tell.clone(), go: self.go.clone(), untold: self.untold.clone() };
        Registry::new().handle(puppet.clone()).handle(OtherPuppet(puppet))
    }

    pub(crate) fn runner(&self, store: &Store, config: Config) -> Runner {
        Runner::new(store.clone(), self.registry(), config)
    }

    /// What happens next.
    pub(crate) async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv()).await.expect("something happens").unwrap()
    }

    /// What happened so far and was not asked for.
    pub(crate) fn rest(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }
}

#[derive(Clone)]
struct Puppet {
    tell: mpsc::UnboundedSender<Event>,
    go: Arc<Semaphore>,
    untold: Arc<AtomicU32>,
}

impl Puppet {
    async fn play(&self, job: &Context, act: Act) -> Result<(), Failure> {
        let tell = |event| self.tell.send(event).unwrap_or(());
        tell(Event::Began(job.id().clone(), job.attempt()));
        let _ended = Ended(self.tell.clone(), job.id().clone());
        match act {
            Act::Succeed => return Ok(()),
            Act::Fail => return Err(Failure::retry("there was no room")),
            Act::FailForGood => return Err(Failure::last("it is no video")),
            Act::Panic => panic!("out of cheese"),
            Act::Deaf => std::future::pending::<()>().await,
            Act::Tell => job.progress(420, "reading"),
            Act::Wait => {}
        }
        tokio::select! {
            permit = self.go.acquire() => permit.unwrap().forget(),
            () = job.cancelled() => job.go_on()?,
        }
        Ok(())
    }

    fn gave_up(&self, job: &Context, why: &GaveUp) -> Result<(), Failure> {
        let _ = self.tell.send(Event::GaveUp(job.id().clone(), why.clone()));
        let less = |left: u32| left.checked_sub(1);
        match self.untold.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            Ok(_) => Err(Failure::retry("nobody is there")),
            Err(_) => Ok(()),
        }
    }
}

struct Ended(mpsc::UnboundedSender<Event>, JobId);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.send(Event::Ended(self.1.clone()));
    }
}

impl Handler for Puppet {
    type Work = Play;

    async fn run(&self, job: &Context, Play(act): Play) -> Result<(), Failure> {
        self.play(job, act).await
    }

    async fn gave_up(&self, job: &Context, _: Play, why: &GaveUp) -> Result<(), Failure> {
        Puppet::gave_up(self, job, why)
    }
}

struct OtherPuppet(Puppet);

impl Handler for OtherPuppet {
    type Work = Other;

    async fn run(&self, job: &Context, Other(act): Other) -> Result<(), Failure> {
        self.0.play(job, act).await
    }
}

/// Nothing happens but by being told: no heartbeat, no poll, and no wait after a failure.
pub(crate) fn patient() -> Config {
    let day = Duration::from_secs(86400);
    let backoff = Backoff { first: Duration::from_millis(1), most: Duration::from_millis(1) };
    Config { lease: day * 3, heartbeat: day, poll: day, drain: day, grace: day, backoff, ..Config::default() }
}

/// Leases are short.
pub(crate) fn brisk() -> Config {
    let (lease, heartbeat) = (Duration::from_millis(1500), Duration::from_millis(50));
    let poll = Duration::from_millis(100);
    Config { lease, heartbeat, poll, progress_every: Duration::from_millis(10), ..patient() }
}

/// A runner that runs until it is stopped.
pub(crate) struct Runs {
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Runs {
    pub(crate) fn start(runner: &Runner) -> Self {
        let (runner, stop) = (runner.clone(), CancellationToken::new());
        let task = tokio::spawn({
            let stop = stop.clone();
            async move { runner.run(&stop).await }
        });
        Self { stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.ends().await;
    }

    pub(crate) async fn ends(self) {
        timeout(PATIENCE, self.task).await.expect("it ends").unwrap();
    }
}

pub(crate) async fn enqueue(store: &Store, work: &impl Work) -> JobId {
    store.enqueue(&work.job()).await.unwrap().unwrap()
}

/// The job, once it is as wanted.
pub(crate) async fn until(store: &Store, id: &JobId, wanted: impl Fn(&Job) -> bool) -> Job {
    let found = async {
        loop {
            let job = store.job(id).await.unwrap().unwrap();
            if wanted(&job) {
                break job;
            }
            // What is written of a job is told to nobody.
            sleep(Duration::from_millis(5)).await;
        }
    };
    match timeout(PATIENCE, found).await {
        Ok(job) => job,
        Err(_) => panic!("it stays {:?}", store.job(id).await),
    }
}

/// The same database as two nodes have it: on SQLite they do not hear of each other.
pub(crate) async fn two_nodes(directory: &Path) -> (Store, Store) {
    let url = fresh_url().await;
    (Store::open(&url, directory).await.unwrap(), Store::open(&url, directory).await.unwrap())
}

/// The address of a database that is new: on PostgreSQL where there is a server for tests.
pub(crate) async fn fresh_url() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("jobs_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    fresh_postgres(&name).await.unwrap_or_else(|| format!("sqlite://{name}.db"))
}

/// Nothing that a test waits for takes so long.
const PATIENCE: Duration = Duration::from_secs(60);
