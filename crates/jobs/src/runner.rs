//! Takes jobs while there is room for them, and sees them through.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use millrace_store::{At, Change, Claim, Error, Job, JobId, Store};
use tokio::sync::Notify;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::attempt::Attempt;
use crate::metrics::Tally;
use crate::registry::AnyHandler;
use crate::{Backoff, Metrics, Registry, timers};

/// How jobs are run.
#[derive(Debug, Clone)]
pub struct Config {
    /// The name of this worker, for people: unique among those of a database.
    pub worker: String,
    /// Jobs that run here at once, of all kinds.
    pub slots: usize,
    /// Jobs that run here at once, by kind. None of a kind with 0.
    pub kind_slots: BTreeMap<String, usize>,
    /// The same for kinds that are not named there.
    pub other_slots: usize,
    /// A job whose worker is not heard of for so long is taken up by another. Clocks of nodes must agree far better.
    pub lease: Duration,
    /// How often a worker is heard of; at least three times in a lease.
    pub heartbeat: Duration,
    /// Progress is written at most so often.
    pub progress_every: Duration,
    /// At least so often a look is taken for jobs, should nobody have been told of them.
    pub poll: Duration,
    /// Waits after attempts that failed.
    pub backoff: Backoff,
    /// When the runner stops, jobs have so long to come to their end.
    pub drain: Duration,
    /// Jobs that are cancelled have so long to end by themselves.
    pub grace: Duration,
}

impl Default for Config {
    /// A job of each kind and eight in all; a lease of a minute, renewed every 15 seconds.
    fn default() -> Self {
        Self {
            worker: format!("{}-{:08x}", std::process::id(), getrandom::u32().unwrap_or(0)),
            slots: 8,
            kind_slots: BTreeMap::new(),
            other_slots: 1,
            lease: Duration::from_secs(60),
            heartbeat: Duration::from_secs(15),
            progress_every: Duration::from_secs(1),
            poll: Duration::from_secs(5),
            backoff: Backoff::default(),
            drain: Duration::from_secs(10),
            grace: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Between two renewals of a lease.
    pub(crate) fn beat(&self) -> Duration {
        self.heartbeat.min(self.lease / 3)
    }
}

/// Runs the jobs of a database. Cheap to clone; clones are the same worker.
#[derive(Clone)]
pub struct Runner(Arc<Shared>);

/// What all attempts of a runner share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) config: Config,
    registry: Registry,
    tallies: BTreeMap<&'static str, Tally>,
}

impl Shared {
    /// What became of jobs of a kind that is done here.
    pub(crate) fn tally(&self, kind: &str) -> &Tally {
        self.tallies.get(kind).expect("jobs are taken of kinds that have handlers")
    }
}

impl Runner {
    /// For the jobs of that database.
    #[must_use]
    pub fn new(store: Store, registry: Registry, config: Config) -> Self {
        let tallies = registry.kinds().map(|kind| (kind, Tally::default())).collect();
        Self(Arc::new(Shared { store, config, registry, tallies }))
    }

    /// Does jobs and fires timers until `stop`. Then none is taken any more, those that run have [`Config::drain`] to come to
    /// their end, and what is left is cancelled and given back.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut dispatcher = Dispatcher::new(&self.0);
        tokio::join!(dispatcher.run(stop), timers::run(&self.0.store, &self.0.registry.timers, stop));
    }

    /// Does the jobs that are due, and those that they enqueue, until none is. Fires no timers.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_until_idle(&self) -> Result<(), Error> {
        Dispatcher::new(&self.0).run_until_idle().await
    }

    /// How much there is to do, and how much was done here.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn metrics(&self) -> Result<Metrics, Error> {
        let counts = self.0.store.job_counts().await?;
        Ok(Metrics::new(self.0.tallies.iter().map(|(kind, tally)| (*kind, tally)), &counts, At::now()))
    }
}

/// Takes jobs, so many of each kind, and hands each to a task of its own.
struct Dispatcher {
    shared: Arc<Shared>,
    kinds: Vec<Kind>,
    /// The kind whose turn it is where there is not room for all.
    turn: usize,
    tasks: JoinSet<()>,
    running: HashMap<task::Id, Running>,
    draining: CancellationToken,
}

struct Kind {
    name: &'static str,
    handler: Arc<dyn AnyHandler>,
    slots: usize,
    running: usize,
}

struct Running {
    kind: usize,
    job: JobId,
    look: Arc<Notify>,
}

impl Dispatcher {
    fn new(shared: &Arc<Shared>) -> Self {
        let config = &shared.config;
        let slots = |kind: &str| config.kind_slots.get(kind).copied().unwrap_or(config.other_slots);
        let kinds = shared.registry.handlers.iter().map(|(name, handler)| Kind {
            name,
            handler: handler.clone(),
            slots: slots(name),
            running: 0,
        });
        Self {
            kinds: kinds.collect(),
            shared: shared.clone(),
            turn: 0,
            tasks: JoinSet::new(),
            running: HashMap::new(),
            draining: CancellationToken::new(),
        }
    }

    async fn run(&mut self, stop: &CancellationToken) {
        let mut changes = self.shared.store.changes();
        while !stop.is_cancelled() {
            let look_at = self.take(stop).await.unwrap_or_else(|error| {
                warn!(%error, "jobs cannot be taken");
                Instant::now() + self.shared.config.poll
            });
            loop {
                tokio::select! {
                    () = stop.cancelled() => break,
                    Some(ended) = self.tasks.join_next_with_id() => {
                        self.ended(ended);
                        break;
                    }
                    change = changes.next() => match change {
                        Some(Change::Jobs) => break,
                        Some(Change::CancelJob(id)) => self.look(|running| running.job == id),
                        Some(Change::Everything) => {
                            self.look(|_| true);
                            break;
                        }
                        Some(_) => {}
                        None => return,
                    },
                    () = sleep_until(look_at) => break,
                }
            }
        }
        self.drain().await;
    }

    async fn run_until_idle(&mut self) -> Result<(), Error> {
        loop {
            self.take(&CancellationToken::new()).await?;
            match self.tasks.join_next_with_id().await {
                Some(ended) => self.ended(ended),
                None => return Ok(()),
            }
        }
    }

    /// Takes what is due while there is room, from kind after kind in turn; when to look again.
    async fn take(&mut self, stop: &CancellationToken) -> Result<Instant, Error> {
        let shared = self.shared.clone();
        let config = &shared.config;
        let mut wait = config.poll;
        // Kinds in a row of which none could be taken.
        let mut without = 0;
        while without < self.kinds.len() && self.running.len() < config.slots && !stop.is_cancelled() {
            let turn = self.turn % self.kinds.len();
            self.turn = turn + 1;
            let kind = &self.kinds[turn];
            if kind.running >= kind.slots {
                without += 1;
                continue;
            }
            let (taken, now) = (Instant::now(), At::now());
            // Not to be dropped midway: a job that was taken would be left to its lease.
            let claim = shared.store.claim_job(kind.name, &config.worker, now, as_lease(config.lease)).await?;
            match claim {
                Claim::Job(job) => {
                    self.start(turn, *job, taken);
                    without = 0;
                }
                Claim::NotBefore(at) => {
                    wait = wait.min(Duration::from_millis(u64::try_from(at.0.saturating_sub(now.0)).unwrap_or(0)));
                    without += 1;
                }
                Claim::Nothing => without += 1,
            }
        }
        Ok(Instant::now() + wait)
    }

    fn start(&mut self, place: usize, job: Job, taken: Instant) {
        let kind = &mut self.kinds[place];
        let (id, look) = (job.id.clone(), Arc::new(Notify::new()));
        let attempt =
            Attempt::new(self.shared.clone(), kind.handler.clone(), job, taken, look.clone(), self.draining.clone());
        let task = self.tasks.spawn(attempt.run());
        self.running.insert(task.id(), Running { kind: place, job: id, look });
        kind.running += 1;
        self.shared.tally(kind.name).set_running(kind.running);
    }

    fn ended(&mut self, ended: Result<(task::Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => {
                error!(%error, "an attempt at a job ended by a fault of the program; its lease will run out");
                error.id()
            }
        };
        if let Some(running) = self.running.remove(&id) {
            let kind = &mut self.kinds[running.kind];
            kind.running -= 1;
            self.shared.tally(kind.name).set_running(kind.running);
        }
    }

    /// Has those that pass look at once whether they are cancelled.
    fn look(&self, passes: impl Fn(&Running) -> bool) {
        self.running.values().filter(|running| passes(running)).for_each(|running| running.look.notify_one());
    }

    /// Lets jobs come to their end for a while, and has the others given back.
    async fn drain(&mut self) {
        let over = sleep(self.shared.config.drain);
        tokio::pin!(over);
        loop {
            tokio::select! {
                ended = self.tasks.join_next_with_id() => match ended {
                    Some(ended) => self.ended(ended),
                    None => return,
                },
                () = &mut over, if !self.draining.is_cancelled() => {
                    info!(jobs = self.running.len(), "jobs that are not done are given back");
                    self.draining.cancel();
                }
            }
        }
    }
}

fn as_lease(lease: Duration) -> time::Duration {
    lease.try_into().unwrap_or(time::Duration::MAX)
}
