//! Which kinds of jobs there are and who does them, and which timers enqueue some.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use millrace_store::NewJob;

use crate::{Context, Failure, GaveUp, Handler, Schedule, Work};

/// All handlers and timers.
#[derive(Default)]
pub struct Registry {
    pub(crate) handlers: BTreeMap<&'static str, Arc<dyn AnyHandler>>,
    pub(crate) timers: Vec<Timer>,
}

pub(crate) struct Timer {
    pub(crate) name: &'static str,
    pub(crate) schedule: Schedule,
    pub(crate) job: NewJob,
}

impl Registry {
    /// Without any.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what does the jobs of a kind, in place of what did so before.
    #[must_use]
    pub fn handle(mut self, handler: impl Handler) -> Self {
        self.add(handler);
        self
    }

    fn add<H: Handler>(&mut self, handler: H) {
        self.handlers.insert(H::Work::KIND, Arc::new(handler));
    }

    /// Adds a timer, in place of one of the same name: at each time of `schedule` it enqueues `work`, unless what it enqueued
    /// before still waits or runs. Times at which no process ran are made up for by one job at the next start.
    #[must_use]
    pub fn every(mut self, name: &'static str, schedule: Schedule, work: &impl Work) -> Self {
        self.timers.retain(|timer| timer.name != name);
        self.timers.push(Timer { name, schedule, job: work.job().only(format!("timer:{name}")) });
        self
    }

    /// The kinds that are done.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.handlers.keys().copied()
    }
}

/// A handler whatever its work.
pub(crate) trait AnyHandler: Send + Sync {
    fn run<'a>(&'a self, job: &'a Context) -> Boxed<'a, Result<(), Failure>>;
    fn gave_up<'a>(&'a self, job: &'a Context, why: &'a GaveUp) -> Boxed<'a, Result<(), Failure>>;
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl<H: Handler> AnyHandler for H {
    fn run<'a>(&'a self, job: &'a Context) -> Boxed<'a, Result<(), Failure>> {
        Box::pin(async move {
            let work = read::<H::Work>(job).map_err(|error| {
                Failure::last(format!("this version does not understand what it is asked to do: {error}"))
            })?;
            Handler::run(self, job, work).await
        })
    }

    fn gave_up<'a>(&'a self, job: &'a Context, why: &'a GaveUp) -> Boxed<'a, Result<(), Failure>> {
        Box::pin(async move {
            match read::<H::Work>(job) {
                Ok(work) => Handler::gave_up(self, job, work, why).await,
                // Who does not understand the work cannot know whom to tell.
                Err(_) => Ok(()),
            }
        })
    }
}

fn read<W: Work>(job: &Context) -> Result<W, serde_json::Error> {
    serde_json::from_str(job.payload())
}
