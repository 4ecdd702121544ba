//! What a handler knows of the job that it does, and tells of it.

use millrace_store::{Job, JobId, Lease};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Failure;

/// A job that is being done.
#[derive(Debug)]
pub struct Context {
    job: Job,
    progress: watch::Sender<Progress>,
    cancelled: CancellationToken,
}

/// How far a job is: 0 to 1000, and what is being done.
pub(crate) type Progress = (u16, String);

impl Context {
    pub(crate) fn new(job: Job) -> Self {
        Self { job, progress: watch::Sender::default(), cancelled: CancellationToken::new() }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &JobId {
        &self.job.id
    }

    /// Of which kind it is.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.job.kind
    }

    /// What it is about, where that was said.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.job.subject.as_deref()
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        u32::try_from(self.job.attempts).unwrap_or(u32::MAX)
    }

    /// Whether there is no other attempt after this one.
    #[must_use]
    pub fn is_last_attempt(&self) -> bool {
        self.job.attempts >= self.job.max_attempts
    }

    /// The right to work on it.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.job.lease()
    }

    /// Its row, as it was when it was taken.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.job
    }

    pub(crate) fn payload(&self) -> &str {
        &self.job.payload
    }

    /// Says how far it is, from 0 to 1000, and what is being done, in plain words. It costs next to nothing: it is written now
    /// and then.
    pub fn progress(&self, permille: u16, note: impl Into<String>) {
        self.progress.send_replace((permille, note.into()));
    }

    /// Waits until the job is no longer wanted here: it was cancelled, the server stops, or its lease is lost.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// The same as a token, to be handed on.
    #[must_use]
    pub fn cancellation(&self) -> CancellationToken {
        self.cancelled.clone()
    }

    /// Whether the job is still wanted here: for loops, with `?`.
    ///
    /// # Errors
    /// Where it is not; what is written is why, and not this failure.
    pub fn go_on(&self) -> Result<(), Failure> {
        if self.cancelled.is_cancelled() { Err(Failure::retry("it was stopped")) } else { Ok(()) }
    }

    pub(crate) fn follow_progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }
}
