//! Work in the background. Jobs are rows of the database (`millrace_store::Job`); this crate runs them.
//!
//! ```text
//! site, timers --enqueue--> database <--claim, renew, settle-- Runner: dispatcher -> attempts (a task each) -> Handler
//! ```
//!
//! - [`Work`] is what a kind of job is given, [`Handler`] does it, the [`Registry`] knows all handlers and timers.
//! - [`Runner`] has a dispatcher that takes jobs while there is room for their kind, and an attempt for each that runs: it
//!   renews the lease, writes progress, hears of cancellation, and settles what came of it.
//! - Timers enqueue jobs by cron expressions, in UTC, each time once, whatever the number of runners.
//!
//! Invariants:
//! - A job is done at least once, and by one worker at a time as far as clocks and leases go: whoever lost its lease is
//!   stopped and can write no outcome. Handlers must therefore be repeatable: what an attempt leaves behind, the next one finds.
//! - Nothing is remembered here alone: a process that dies at any point leaves jobs that others take up.
//! - A runner that stops gives back what it could not end, and that attempt does not count.

mod attempt;
mod backoff;
mod context;
mod handler;
mod housekeeping;
mod metrics;
mod registry;
mod runner;
mod schedule;
mod timers;

pub use backoff::Backoff;
pub use context::Context;
pub use handler::{Failure, GaveUp, Handler, Work};
pub use housekeeping::{BackUpDatabase, DatabaseBackup, JobsPrune, PruneJobs};
pub use metrics::{KindMetrics, Metrics};
pub use registry::Registry;
pub use runner::{Config, Runner};
pub use schedule::{Schedule, ScheduleError};
