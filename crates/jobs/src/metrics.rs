//! How much there is to do, and how much was done.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use millrace_store::{At, JobCount, JobState};

/// The jobs, as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metrics {
    /// By kind, in the order of their names.
    pub kinds: Vec<KindMetrics>,
}

/// The jobs of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KindMetrics {
    /// The kind.
    pub kind: String,
    /// Jobs that wait, those that are not yet due included.
    pub waiting: u64,
    /// For how long the first of them could have been done.
    pub oldest_waiting: Duration,
    /// Jobs that run, on all nodes.
    pub running: u64,
    /// Jobs that run here.
    pub running_here: u64,
    /// Jobs that failed for good and are in the history.
    pub failed: u64,
    /// Jobs that were done here since the start.
    pub done_total: u64,
    /// Jobs that failed for good here since the start.
    pub failed_total: u64,
    /// Attempts that failed here since the start, and come again.
    pub retried_total: u64,
    /// Jobs that were cancelled here since the start, once they had begun.
    pub cancelled_total: u64,
    /// Attempts here since the start whose lease was lost.
    pub lost_total: u64,
}

/// What became of a kind's jobs in this process.
#[derive(Debug, Default)]
pub(crate) struct Tally([AtomicU64; 6]);

impl Tally {
    pub(crate) const DONE: usize = 0;
    pub(crate) const FAILED: usize = 1;
    pub(crate) const RETRIED: usize = 2;
    pub(crate) const CANCELLED: usize = 3;
    pub(crate) const LOST: usize = 4;
    const RUNNING: usize = 5;

    pub(crate) fn count(&self, what: usize) {
        self.0[what].fetch_add(1, Relaxed);
    }

    pub(crate) fn set_running(&self, running: usize) {
        self.0[Self::RUNNING].store(running as u64, Relaxed);
    }

    fn get(&self, what: usize) -> u64 {
        self.0[what].load(Relaxed)
    }
}

impl Metrics {
    pub(crate) fn new<'a>(here: impl Iterator<Item = (&'a str, &'a Tally)>, counts: &[JobCount], now: At) -> Self {
        let mut kinds: Vec<KindMetrics> = here
            .map(|(kind, tally)| KindMetrics {
                kind: kind.to_owned(),
                running_here: tally.get(Tally::RUNNING),
                done_total: tally.get(Tally::DONE),
                failed_total: tally.get(Tally::FAILED),
                retried_total: tally.get(Tally::RETRIED),
                cancelled_total: tally.get(Tally::CANCELLED),
                lost_total: tally.get(Tally::LOST),
                ..KindMetrics::default()
            })
            .collect();
        for count in counts {
            // Kinds that are done by other nodes only are told as well.
            let place = kinds.iter().position(|metrics| metrics.kind == count.kind).unwrap_or_else(|| {
                kinds.push(KindMetrics { kind: count.kind.clone(), ..KindMetrics::default() });
                kinds.len() - 1
            });
            let (metrics, jobs) = (&mut kinds[place], u64::try_from(count.jobs).unwrap_or(0));
            match count.state {
                JobState::Waiting => {
                    metrics.waiting = jobs;
                    let waited = count.first_due_at.map_or(0, |due| now.0.saturating_sub(due.0));
                    metrics.oldest_waiting = Duration::from_millis(u64::try_from(waited).unwrap_or(0));
                }
                JobState::Running => metrics.running = jobs,
                JobState::Failed => metrics.failed = jobs,
                JobState::Done | JobState::Cancelled => {}
            }
        }
        kinds.sort_by(|a, b| a.kind.cmp(&b.kind));
        Self { kinds }
    }
}
