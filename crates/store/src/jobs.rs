//! Work in the background: a durable queue.
//!
//! A job waits until it is due; a worker takes it with a lease, renews that while it works, and tells the outcome. `due_at`
//! is when it may be taken: one that waits from then on, and one that runs if its lease was not renewed by then.
//!
//! Invariants:
//! - A job is run by one worker at a time: whoever lost its lease can write nothing more about it, since each claim has a
//!   number of its own ([`Lease`]).
//! - Workers of several nodes compare times, so their clocks must agree to well within a lease.

use time::Duration;

use crate::changes::Change;
use crate::db::{Tx, rows, rows_in, run};
use crate::error::found;
use crate::texts::texts;
use crate::{At, Error, JobId, Page, PageRequest, Store};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It is to be done, now or later.
    Waiting,
    /// A worker has it.
    Running,
    /// It was done.
    Done,
    /// It could not be done, and is not tried again.
    Failed,
    /// Somebody did not want it any more.
    Cancelled,
}

texts!(JobState {
    Waiting = "waiting",
    Running = "running",
    Done = "done",
    Failed = "failed",
    Cancelled = "cancelled",
});

/// A unit of work.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What is to be done.
    pub kind: String,
    /// With what: JSON, in the form of its kind.
    pub payload: String,
    /// What it is about: a video's id, say.
    pub subject: Option<String>,
    /// Of those that have the same one, at most one waits or runs.
    pub unique_key: Option<String>,
    /// Of its kind, those with more are taken first.
    pub priority: i64,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: JobState,
    /// When it may be taken: waiting, from then on; running, if its lease was not renewed by then. None once it has ended.
    pub due_at: Option<At>,
    /// How often it was begun, this time included. Attempts that were given back do not count.
    pub attempts: i64,
    /// How often it is tried at most.
    pub max_attempts: i64,
    /// How often it was taken.
    claims: i64,
    /// Who has it, or had it last.
    pub worker: Option<String>,
    /// When its worker was last heard of.
    pub heartbeat_at: Option<At>,
    /// How far it is: 0 to 1000.
    pub progress: i64,
    /// What is being done, in plain words; may be empty.
    pub progress_note: String,
    /// Whether somebody wants it to end.
    pub cancel_requested: bool,
    /// Why the last attempt failed, in plain words.
    pub error: Option<String>,
    /// When it was enqueued.
    pub created_at: At,
    /// When it was last taken.
    pub started_at: Option<At>,
    /// When it ended.
    pub ended_at: Option<At>,
}

impl Job {
    /// The lease under which it was taken.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease { job: self.id.clone(), number: self.claims }
    }
}

/// The right to work on a job, until somebody else takes it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    job: JobId,
    number: i64,
}

impl Lease {
    /// On which job.
    #[must_use]
    pub fn job(&self) -> &JobId {
        &self.job
    }

    /// Which of the job's claims it is of: the last has the highest.
    #[must_use]
    pub fn number(&self) -> i64 {
        self.number
    }
}

/// A job to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// See [`Job::kind`].
    pub kind: &'static str,
    /// See [`Job::payload`].
    pub payload: String,
    /// See [`Job::subject`].
    pub subject: Option<String>,
    /// See [`Job::unique_key`].
    pub unique_key: Option<String>,
    /// See [`Job::priority`].
    pub priority: i64,
    /// See [`Job::max_attempts`]; at least 1.
    pub max_attempts: u32,
    /// Not before; at once where it is not said.
    pub due_at: Option<At>,
}

/// What came of the wish to take a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// This one is to be done now.
    Job(Box<Job>),
    /// None is due before then.
    NotBefore(At),
    /// There is none.
    Nothing,
}

/// What a worker hears when it renews its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Go on.
    Held,
    /// The job is still the worker's, who is asked to end it.
    Cancel,
    /// The job is somebody else's now, or has ended: what is being done is of no use.
    Lost,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOutcome {
    /// It is done.
    Done,
    /// It failed, in plain words, and is tried again then.
    Again(String, At),
    /// It failed for good, in plain words.
    Failed(String),
    /// It was ended as asked.
    Cancelled,
    /// Its worker stops before it is done: another may take it at once, and the attempt does not count.
    GivenBack,
}

/// Which jobs.
#[derive(Debug, Clone, Copy, Default)]
pub struct JobFilter<'a> {
    /// Those in this state.
    pub state: Option<JobState>,
    /// Those of this kind.
    pub kind: Option<&'a str>,
    /// Those about this.
    pub subject: Option<&'a str>,
}

/// How many jobs of a kind are in a state.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct JobCount {
    /// The kind.
    pub kind: String,
    /// The state.
    #[sqlx(try_from = "String")]
    pub state: JobState,
    /// How many.
    pub jobs: i64,
    /// Of those that wait, since when the first could have been taken; of those that run, when the first lease ends.
    pub first_due_at: Option<At>,
}

impl NewJob {
    /// A job of that kind with that payload, to be done at once, with [`ATTEMPTS`](Self::ATTEMPTS).
    #[must_use]
    pub fn new(kind: &'static str, payload: String) -> Self {
        let (priority, max_attempts) = (0, Self::ATTEMPTS);
        Self { kind, payload, subject: None, unique_key: None, priority, max_attempts, due_at: None }
    }

    /// What it is about.
    #[must_use]
    pub fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }

    /// At most one with this key waits or runs.
    #[must_use]
    pub fn only(self, unique_key: impl Into<String>) -> Self {
        Self { unique_key: Some(unique_key.into()), ..self }
    }

    /// Not before.
    #[must_use]
    pub fn at(self, due: At) -> Self {
        Self { due_at: Some(due), ..self }
    }

    /// Attempts where nothing else is said.
    pub const ATTEMPTS: u32 = 5;
}

impl Store {
    /// Enqueues a job and wakes who may do it; `None` where one with its unique key waits or runs already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enqueue(&self, new: &NewJob) -> Result<Option<JobId>, Error> {
        let mut tx = self.begin().await?;
        let id = enqueue_in(&mut tx, new).await?;
        tx.commit().await?;
        self.wake_workers(id.is_some()).await;
        Ok(id)
    }

    /// Wakes those who do jobs, once one that was enqueued within a transaction is there. They look by themselves now and
    /// then, so that it is no error where they cannot be told.
    pub(crate) async fn wake_workers(&self, needed: bool) {
        if needed {
            let _ = self.tell(&Change::Jobs).await;
        }
    }

    /// Takes the next job of a kind that is due, for `worker` until `now` + `lease`: the one with most priority, then the one
    /// that is due longest. One whose worker was lost counts as due. So that they can be ended properly, those come as well
    /// that are to be cancelled, and those whose worker was lost in their last attempt: they have more attempts than they may.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_job(&self, kind: &str, worker: &str, now: At, lease: Duration) -> Result<Claim, Error> {
        loop {
            // A look first: where nothing is due, nobody who writes has to wait.
            let sql = "SELECT MIN(due_at) FROM jobs WHERE kind = $1 AND due_at IS NOT NULL";
            match rows!(self.pool, fetch_one, (Option<At>,), sql, kind)? {
                (None,) => return Ok(Claim::Nothing),
                (Some(at),) if at > now => return Ok(Claim::NotBefore(at)),
                (Some(_),) => {}
            }
            let job = rows!(
                self.pool,
                fetch_optional,
                Job,
                // `+` keeps SQLite to the index that has them in order. The last condition is looked at again where two
                // chose the same job at once: it is no longer due for the second.
                "UPDATE jobs SET state = 'running', due_at = $1, attempts = attempts + 1, claims = claims + 1, worker = $2,
                        heartbeat_at = $3, started_at = $3, progress = 0, progress_note = ''
                 WHERE id = (SELECT id FROM jobs WHERE kind = $4 AND due_at IS NOT NULL AND +due_at <= $3
                             ORDER BY priority DESC, due_at LIMIT 1)
                   AND due_at <= $3
                 RETURNING *",
                now.plus(lease),
                worker,
                now,
                kind,
            )?;
            if let Some(job) = job {
                return Ok(Claim::Job(Box::new(job)));
            }
        }
    }

    /// Says that the worker is still at it, so that nobody else takes the job before `until`, and how far it is: from 0 to
    /// 1000, with what is being done. `None` leaves that as it was.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew_job(
        &self,
        lease: &Lease,
        now: At,
        until: At,
        progress: Option<(u16, &str)>,
    ) -> Result<Beat, Error> {
        let held = rows!(
            self.pool,
            fetch_optional,
            (bool,),
            "UPDATE jobs SET due_at = $1, heartbeat_at = $2, progress = COALESCE($3, progress),
                    progress_note = COALESCE($4, progress_note)
             WHERE id = $5 AND claims = $6 AND state = 'running' RETURNING cancel_requested",
            until,
            now,
            progress.map(|(permille, _)| i64::from(permille.min(1000))),
            progress.map(|(_, note)| words(note, MAX_NOTE)),
            &lease.job,
            lease.number,
        )?;
        Ok(match held {
            Some((false,)) => Beat::Held,
            Some((true,)) => Beat::Cancel,
            None => Beat::Lost,
        })
    }

    /// Writes what came of an attempt; whether it was still the worker's to write. One that is to be cancelled does not wait
    /// for long: it is due at once, so that a worker ends it properly.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settle_job(&self, lease: &Lease, outcome: &JobOutcome) -> Result<bool, Error> {
        let now = At::now();
        let (state, due, error, uncounted) = match outcome {
            JobOutcome::Done => (JobState::Done, None, None, 0),
            JobOutcome::Again(error, at) => (JobState::Waiting, Some(*at), Some(error), 0),
            JobOutcome::Failed(error) => (JobState::Failed, None, Some(error), 0),
            JobOutcome::Cancelled => (JobState::Cancelled, None, None, 0),
            JobOutcome::GivenBack => (JobState::Waiting, Some(now), None, 1),
        };
        let changed = run!(
            self.pool,
            "UPDATE jobs SET state = $1,
                    due_at = CASE WHEN $1 = 'waiting' AND cancel_requested THEN $3 ELSE $2 END,
                    ended_at = CASE WHEN $1 = 'waiting' THEN NULL ELSE $3 END,
                    error = CASE WHEN $1 = 'done' THEN NULL ELSE COALESCE($4, error) END, attempts = attempts - $5,
                    progress = CASE WHEN $1 = 'done' THEN 1000 ELSE progress END
             WHERE id = $6 AND claims = $7 AND state = 'running'",
            state.as_str(),
            due,
            now,
            error.map(|error| words(error, MAX_ERROR)),
            uncounted,
            &lease.job,
            lease.number,
        )?;
        self.wake_workers(changed > 0 && *outcome == JobOutcome::GivenBack).await;
        Ok(changed > 0)
    }

    /// Ends a job that waits; asks the worker of one that runs to end it. As it is then.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::Changed`] where it has ended already.
    pub async fn cancel_job(&self, id: &JobId) -> Result<Job, Error> {
        let job = rows!(
            self.pool,
            fetch_optional,
            Job,
            concat!(cancel!(), "WHERE id = $2 AND due_at IS NOT NULL RETURNING *"),
            At::now(),
            id
        )?;
        let Some(job) = job else { return Err(self.not_so(id).await?) };
        self.tell_of_cancelled(std::slice::from_ref(&job)).await?;
        Ok(job)
    }

    /// As [`cancel_job`](Self::cancel_job), for all that wait or run about a subject; those that there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cancel_jobs_about(&self, subject: &str) -> Result<Vec<Job>, Error> {
        let sql = concat!(cancel!(), "WHERE subject = $2 AND due_at IS NOT NULL RETURNING *");
        let jobs = rows!(self.pool, fetch_all, Job, sql, At::now(), subject)?;
        self.tell_of_cancelled(&jobs).await?;
        Ok(jobs)
    }

    async fn tell_of_cancelled(&self, jobs: &[Job]) -> Result<(), Error> {
        for job in jobs.iter().filter(|job| job.state == JobState::Running) {
            self.tell(&Change::CancelJob(job.id.clone())).await?;
        }
        Ok(())
    }

    /// Has a job that failed or was cancelled, or that waits for its next attempt, done now, with all its attempts again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Changed`] where it runs or is done, and [`Error::Taken`] where another one took its place.
    pub async fn retry_job(&self, id: &JobId) -> Result<Job, Error> {
        let job = rows!(
            self.pool,
            fetch_optional,
            Job,
            "UPDATE jobs SET state = 'waiting', due_at = $1, attempts = 0, cancel_requested = FALSE, progress = 0,
                    progress_note = '', ended_at = NULL
             WHERE id = $2 AND state IN ('waiting', 'failed', 'cancelled') RETURNING *",
            At::now(),
            id,
        )
        .map_err(|error| Error::taken(error, |_| "the job's place"))?;
        let Some(job) = job else { return Err(self.not_so(id).await?) };
        self.wake_workers(true).await;
        Ok(job)
    }

    /// Why a job that should have changed did not.
    async fn not_so(&self, id: &JobId) -> Result<Error, Error> {
        Ok(self.job(id).await?.map_or(Error::NotFound, |_| Error::Changed))
    }

    /// One job.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job(&self, id: &JobId) -> Result<Option<Job>, Error> {
        Ok(rows!(self.pool, fetch_optional, Job, "SELECT * FROM jobs WHERE id = $1", id)?)
    }

    /// The jobs that `filter` lets through, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn jobs(&self, filter: &JobFilter<'_>, page: &PageRequest) -> Result<Page<Job>, Error> {
        let (state, kind) = (filter.state.map_or("", JobState::as_str), filter.kind.unwrap_or(""));
        let (below, count) = (page.below(), page.rows());
        let jobs = match (filter.subject, filter.kind, filter.state) {
            (Some(subject), ..) => {
                let sql = "SELECT * FROM jobs WHERE subject = $1 AND ($2 = '' OR kind = $2) AND ($3 = '' OR state = $3)
                           AND id < $4 ORDER BY id DESC LIMIT $5";
                rows!(self.pool, fetch_all, Job, sql, subject, kind, state, below, count)?
            }
            (None, Some(_), Some(_)) => {
                let sql = "SELECT * FROM jobs WHERE kind = $1 AND state = $2 AND id < $3 ORDER BY id DESC LIMIT $4";
                rows!(self.pool, fetch_all, Job, sql, kind, state, below, count)?
            }
            (None, Some(_), None) => {
                let sql = "SELECT * FROM jobs WHERE kind = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
                rows!(self.pool, fetch_all, Job, sql, kind, below, count)?
            }
            (None, None, Some(_)) => {
                let sql = "SELECT * FROM jobs WHERE state = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
                rows!(self.pool, fetch_all, Job, sql, state, below, count)?
            }
            (None, None, None) => {
                let sql = "SELECT * FROM jobs WHERE id < $1 ORDER BY id DESC LIMIT $2";
                rows!(self.pool, fetch_all, Job, sql, below, count)?
            }
        };
        Ok(page.page(jobs, |job| job.id.as_str()))
    }

    /// How many jobs of each kind wait, run, or failed. Those that ended otherwise are history, and not counted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_counts(&self) -> Result<Vec<JobCount>, Error> {
        let sql = "SELECT kind, state, COUNT(*) AS jobs, MIN(due_at) AS first_due_at FROM jobs
                   WHERE state IN ('waiting', 'running', 'failed') GROUP BY kind, state ORDER BY kind, state";
        Ok(rows!(self.pool, fetch_all, JobCount, sql)?)
    }

    /// Removes jobs that ended before `before`, at most `most`; how many there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune_jobs(&self, before: At, most: u32) -> Result<u64, Error> {
        let sql = "DELETE FROM jobs WHERE id IN
                   (SELECT id FROM jobs WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)";
        Ok(run!(self.pool, sql, before, i64::from(most))?)
    }

    /// Removes a job that has ended.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none, or it has not ended.
    pub async fn delete_job(&self, id: &JobId) -> Result<(), Error> {
        found(run!(self.pool, "DELETE FROM jobs WHERE id = $1 AND ended_at IS NOT NULL", id)?)
    }
}

/// Enqueues a job within a transaction, so that it is there exactly if what it follows from is. Once that is committed, call
/// [`Store::wake_workers`]. `None` where one with its unique key waits or runs already.
pub(crate) async fn enqueue_in(tx: &mut Tx, new: &NewJob) -> Result<Option<JobId>, Error> {
    let now = At::now();
    let id = rows_in!(
        *tx,
        fetch_optional,
        (JobId,),
        "INSERT INTO jobs (id, kind, payload, subject, unique_key, priority, due_at, max_attempts, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING id",
        JobId::new(),
        new.kind,
        &new.payload,
        &new.subject,
        &new.unique_key,
        new.priority,
        new.due_at.unwrap_or(now),
        i64::from(new.max_attempts.max(1)),
        now,
    )?;
    Ok(id.map(|(id,)| id))
}

/// The beginning of what cancels jobs, at $1.
macro_rules! cancel {
    () => {
        "UPDATE jobs SET state = CASE WHEN state = 'waiting' THEN 'cancelled' ELSE state END,
                due_at = CASE WHEN state = 'waiting' THEN NULL ELSE due_at END,
                ended_at = CASE WHEN state = 'waiting' THEN $1 ELSE ended_at END, cancel_requested = TRUE "
    };
}
use cancel;

/// What a database can hold of what a program said: so many characters at most, and no NUL, which PostgreSQL refuses.
fn words(text: &str, most: usize) -> String {
    text.chars().filter(|letter| *letter != '\0').take(most).collect()
}

/// Characters of a note on progress.
const MAX_NOTE: usize = 200;
/// Characters of an error.
const MAX_ERROR: usize = 2000;
