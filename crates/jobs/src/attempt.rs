//! One attempt at a job: the handler's task, and what keeps the lease while it works.

use std::sync::Arc;
use std::time::Duration;

use millrace_store::{At, Beat, Job, JobOutcome};
use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use crate::metrics::Tally;
use crate::registry::AnyHandler;
use crate::runner::Shared;
use crate::{Backoff, Context, Failure, GaveUp};

/// An attempt that is under way.
pub(crate) struct Attempt {
    shared: Arc<Shared>,
    handler: Arc<dyn AnyHandler>,
    context: Arc<Context>,
    /// The lease holds until then, by this process's clock.
    held_until: Instant,
    /// When the lease was last renewed, or last could not be.
    renewed: Instant,
    look: Arc<Notify>,
    draining: CancellationToken,
}

/// Why a task is not to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// Somebody cancelled the job.
    Asked,
    /// The runner ends.
    Draining,
    /// The job is somebody else's, or may be.
    Lost,
}

/// How a task ended, and whether it was to be stopped.
struct Ended<T>(Result<T, JoinError>, Option<Stop>);

impl Attempt {
    /// Of a job that was taken at `taken`. Where `look` is told, somebody may have cancelled it.
    pub(crate) fn new(
        shared: Arc<Shared>,
        handler: Arc<dyn AnyHandler>,
        job: Job,
        taken: Instant,
        look: Arc<Notify>,
        draining: CancellationToken,
    ) -> Self {
        let held_until = taken + shared.config.lease;
        Self { shared, handler, context: Arc::new(Context::new(job)), held_until, renewed: taken, look, draining }
    }

    /// Does the job and settles what came of it.
    pub(crate) async fn run(mut self) {
        let job = self.context.job();
        let (id, kind, attempt) = (job.id.clone(), job.kind.clone(), job.attempts);
        debug!(job = %id, kind, attempt, "a job begins");
        let outcome = self.outcome().await;
        match &outcome {
            None => info!(job = %id, kind, attempt, "a job was taken up by another worker, or ended"),
            Some(JobOutcome::Done) => debug!(job = %id, kind, attempt, "a job is done"),
            Some(JobOutcome::Failed(reason)) => warn!(job = %id, kind, attempt, reason, "a job failed for good"),
            Some(JobOutcome::Again(reason, _)) => info!(job = %id, kind, attempt, reason, "a job is tried again later"),
            Some(JobOutcome::Cancelled) => info!(job = %id, kind, attempt, "a job was cancelled"),
            Some(JobOutcome::GivenBack) => info!(job = %id, kind, attempt, "a job was given back"),
        }
        let settled = match &outcome {
            Some(outcome) => {
                self.tell_last_words(outcome).await;
                self.settle(outcome).await
            }
            None => false,
        };
        let tally = self.shared.tally(&kind);
        match outcome.filter(|_| settled) {
            None => tally.count(Tally::LOST),
            Some(JobOutcome::Done) => tally.count(Tally::DONE),
            Some(JobOutcome::Failed(_)) => tally.count(Tally::FAILED),
            Some(JobOutcome::Again(..)) => tally.count(Tally::RETRIED),
            Some(JobOutcome::Cancelled) => tally.count(Tally::CANCELLED),
            Some(JobOutcome::GivenBack) => {}
        }
    }

    /// What came of it; `None` where that is not ours to say.
    async fn outcome(&mut self) -> Option<JobOutcome> {
        let job = self.context.job();
        if job.cancel_requested {
            return self.give_up(GaveUp::Cancelled).await;
        }
        if job.attempts > job.max_attempts {
            let words =
                format!("whoever worked on it was lost in the middle of it, the last of {} times", job.max_attempts);
            return self.give_up(GaveUp::Failed(words)).await;
        }
        let (handler, context) = (self.handler.clone(), self.context.clone());
        let Ended(result, stop) = self.watch(tokio::spawn(async move { handler.run(&context).await }), true).await;
        let failure = match (result, stop) {
            (_, Some(Stop::Lost)) => return None,
            (Ok(Ok(())), _) => return Some(JobOutcome::Done),
            (_, Some(Stop::Asked)) => return self.give_up(GaveUp::Cancelled).await,
            (_, Some(Stop::Draining)) => return Some(JobOutcome::GivenBack),
            (Ok(Err(failure)), None) => failure,
            (Err(error), None) => Failure::retry(fault(error)),
        };
        if !failure.again || self.context.is_last_attempt() {
            return self.give_up(GaveUp::Failed(failure.words)).await;
        }
        let wait = self.shared.config.backoff.after(self.context.attempt());
        Some(JobOutcome::Again(failure.words, later(At::now(), wait)))
    }

    /// Lets the handler tell of it, before it is written: should this worker die in between, it is told again. Where nobody
    /// can be told, such as while the database is away, it is tried until the lease is lost; then it is the next worker's.
    async fn give_up(&mut self, why: GaveUp) -> Option<JobOutcome> {
        let (handler, context, told) = (self.handler.clone(), self.context.clone(), why.clone());
        let backoff = Backoff { most: TELL_AGAIN, ..self.shared.config.backoff };
        let telling = async move {
            for tried in 1.. {
                match handler.gave_up(&context, &told).await {
                    Err(Failure { words, again: true }) => {
                        warn!(job = %context.id(), kind = context.kind(), reason = words, "nobody could be told yet");
                        sleep(backoff.after(tried)).await;
                    }
                    told => return told,
                }
            }
            Ok(())
        };
        // That it is to be cancelled is of no use any more: it ends as it is.
        let Ended(result, stop) = self.watch(tokio::spawn(telling), false).await;
        let untold = match (result, stop) {
            (_, Some(Stop::Lost)) => return None,
            (Err(_), Some(Stop::Draining)) => return Some(JobOutcome::GivenBack),
            (Err(error), _) => Some(fault(error)),
            (Ok(told), _) => told.err().map(|failure| failure.words),
        };
        if let Some(reason) = untold {
            warn!(job = %self.context.id(), kind = self.context.kind(), reason, "nobody was told");
        }
        Some(match why {
            GaveUp::Failed(words) => JobOutcome::Failed(words),
            GaveUp::Cancelled => JobOutcome::Cancelled,
        })
    }

    /// Keeps the lease, and writes progress, until a task ends. One that is to stop is told so, and a while later is dropped;
    /// that somebody asks for it counts where it is `cancellable`.
    async fn watch<T>(&mut self, task: tokio::task::JoinHandle<T>, cancellable: bool) -> Ended<T> {
        let shared = self.shared.clone();
        let config = &shared.config;
        let mut task = AbortOnDropHandle::new(task);
        let mut progress = self.context.follow_progress();
        let mut news = false;
        let mut stop = None;
        let mut dropped_at = None;
        loop {
            let renew_at = self.renewed + if news { config.progress_every.min(config.beat()) } else { config.beat() };
            let mut must = None;
            tokio::select! {
                biased;
                result = &mut task => return Ended(result, stop),
                () = sleep_until(dropped_at.unwrap_or(renew_at)), if dropped_at.is_some() => {
                    dropped_at = None;
                    task.abort();
                }
                () = self.draining.cancelled(), if stop.is_none() => must = Some(Stop::Draining),
                Ok(()) = progress.changed(), if !news => news = true,
                () = self.look.notified(), if stop != Some(Stop::Lost) => must = self.renew(None).await,
                () = sleep_until(renew_at), if stop != Some(Stop::Lost) => {
                    let said = news.then(|| progress.borrow_and_update().clone());
                    news = false;
                    must = self.renew(said.as_ref().map(|(permille, note)| (*permille, note.as_str()))).await;
                }
            }
            if must == Some(Stop::Asked) && !cancellable {
                must = None;
            }
            if must.is_some() && (stop.is_none() || must == Some(Stop::Lost)) {
                stop = must;
                self.context.cancellation().cancel();
                dropped_at.get_or_insert_with(|| Instant::now() + config.grace);
            }
        }
    }

    /// Renews the lease; why to stop, where that is needed.
    async fn renew(&mut self, progress: Option<(u16, &str)>) -> Option<Stop> {
        let (start, now) = (Instant::now(), At::now());
        let until = later(now, self.shared.config.lease);
        let lease = self.context.lease();
        let beat = timeout_at(self.held_until, self.shared.store.renew_job(&lease, now, until, progress)).await;
        self.renewed = start;
        match beat {
            Ok(Ok(beat)) => {
                self.held_until = start + self.shared.config.lease;
                match beat {
                    Beat::Held => None,
                    Beat::Cancel => Some(Stop::Asked),
                    Beat::Lost => Some(Stop::Lost),
                }
            }
            Ok(Err(error)) => {
                warn!(job = %self.context.id(), %error, "a job's lease could not be renewed");
                (Instant::now() >= self.held_until).then_some(Stop::Lost)
            }
            Err(_) => Some(Stop::Lost),
        }
    }

    /// Writes what a handler that is done said last: what came of the work stays to be read.
    async fn tell_last_words(&mut self, outcome: &JobOutcome) {
        let (permille, note) = self.context.follow_progress().borrow().clone();
        if *outcome == JobOutcome::Done && !note.is_empty() {
            // Whether the lease still holds is found when the outcome is written.
            let _ = self.renew(Some((permille, &note))).await;
        }
    }

    /// Writes what came of it, while the lease holds; whether that was done.
    async fn settle(&self, outcome: &JobOutcome) -> bool {
        loop {
            match self.shared.store.settle_job(&self.context.lease(), outcome).await {
                Ok(settled) => return settled,
                Err(error) => {
                    warn!(job = %self.context.id(), %error, "what came of a job could not be written");
                    if Instant::now() + AGAIN >= self.held_until {
                        return false;
                    }
                    sleep(AGAIN).await;
                }
            }
        }
    }
}

/// That much later.
pub(crate) fn later(at: At, wait: Duration) -> At {
    at.plus(wait.try_into().unwrap_or(time::Duration::MAX))
}

/// What a task that did not return says, in words.
fn fault(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "it was stopped".to_owned() };
    let said = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(said), _) => said,
        (None, Some(said)) => said.as_str(),
        (None, None) => "it says nothing",
    };
    format!("a fault of the program: {said}")
}

/// Between two tries to write what came of a job.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two tries to tell whoever waits for a job that it is given up, at most: the job keeps its place meanwhile.
const TELL_AGAIN: Duration = Duration::from_secs(30);
