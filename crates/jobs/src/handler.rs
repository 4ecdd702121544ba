//! What does the jobs of a kind.

use std::future::Future;

use millrace_store::NewJob;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Context;

/// What a kind of job is given: its payload. It is kept as JSON, so that a field that a later version adds needs
/// `#[serde(default)]`.
pub trait Work: Serialize + DeserializeOwned + Send + 'static {
    /// The name of the kind: a noun, a full stop, a verb.
    const KIND: &'static str;
    /// How often it is tried at most.
    const ATTEMPTS: u32 = NewJob::ATTEMPTS;
    /// Those with more are done before others of their kind.
    const PRIORITY: i64 = 0;

    /// The job that does it, to be enqueued.
    fn job(&self) -> NewJob {
        let payload = serde_json::to_string(self).expect("work is made of plain data with text for keys");
        NewJob { priority: Self::PRIORITY, max_attempts: Self::ATTEMPTS, ..NewJob::new(Self::KIND, payload) }
    }
}

/// Does the jobs of a kind.
pub trait Handler: Send + Sync + 'static {
    /// What the kind is given.
    type Work: Work;

    /// Does one job. It is repeated where it fails, or where its worker dies at any point. When `job` is
    /// [cancelled](Context::cancelled) it should end soon, with any failure; a while later the future is dropped, so that
    /// child processes should be killed on drop.
    ///
    /// # Errors
    /// Why it is not done, in plain words that are shown to people.
    fn run(&self, job: &Context, work: Self::Work) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Called when the job is given up after it was begun, before that is written: to tell whoever waits for it. It may be
    /// called more than once. Not called for jobs that are cancelled while they wait: who cancels one sees that it ended.
    ///
    /// # Errors
    /// Why nobody could be told. It is called again, and the job does not end before, unless that would never work.
    fn gave_up(
        &self,
        job: &Context,
        work: Self::Work,
        why: &GaveUp,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = (job, work, why);
        async { Ok(()) }
    }
}

/// Why a job is not tried any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GaveUp {
    /// It failed, in plain words.
    Failed(String),
    /// Somebody cancelled it.
    Cancelled,
}

/// Why an attempt failed, in plain words for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Failure {
    pub(crate) words: String,
    pub(crate) again: bool,
}

impl Failure {
    /// It may work another time.
    pub fn retry(words: impl Into<String>) -> Self {
        Self { words: words.into(), again: true }
    }

    /// It will never work.
    pub fn last(words: impl Into<String>) -> Self {
        Self { words: words.into(), again: false }
    }
}

/// The database may work another time.
impl From<millrace_store::Error> for Failure {
    fn from(error: millrace_store::Error) -> Self {
        Self::retry(error.to_string())
    }
}
