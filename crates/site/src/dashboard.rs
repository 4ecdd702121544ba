//! What the server did in the last hour, for administrators: a sample every ten seconds, kept in memory.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::statvfs;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::LiveSource;

/// What the live side does now, and has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveLoad {
    /// Streams on air.
    pub on_air: u32,
    /// Players that watch.
    pub viewers: u32,
    /// Bytes that came from publishers since the start.
    pub received_bytes: u64,
    /// Bytes that went to players since the start.
    pub sent_bytes: u64,
}

/// What the server did in ten seconds.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Sample {
    /// When they were over.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
    /// Streams on air at that time.
    pub(crate) on_air: u32,
    /// Players that watched at that time.
    pub(crate) viewers: u32,
    /// Kilobits per second from publishers.
    pub(crate) received_kbit_s: u64,
    /// Kilobits per second to players.
    pub(crate) sent_kbit_s: u64,
    /// Percent of one core that the server used.
    pub(crate) cpu_percent: u32,
    /// Memory that it had at that time, in bytes; 0 where the system does not tell.
    pub(crate) memory_bytes: u64,
}

/// Room on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Disk {
    /// Bytes that can be written.
    pub(crate) free_bytes: u64,
    /// Its size in bytes.
    pub(crate) total_bytes: u64,
}

/// The samples of the last hour.
#[derive(Debug)]
pub(crate) struct Dashboard {
    pub(crate) started: Instant,
    samples: Mutex<VecDeque<Sample>>,
}

impl Dashboard {
    /// Begins to take samples, where there is a runtime to do so, for as long as somebody has it.
    pub(crate) fn start(live: Arc<dyn LiveSource>) -> Arc<Self> {
        let dashboard = Arc::new(Self { started: Instant::now(), samples: Mutex::default() });
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let kept = Arc::downgrade(&dashboard);
            runtime.spawn(async move {
                let mut ticks = tokio::time::interval(INTERVAL);
                ticks.tick().await;
                let mut before = Reading::now(&*live);
                loop {
                    ticks.tick().await;
                    let Some(dashboard) = kept.upgrade() else { return };
                    let now = Reading::now(&*live);
                    dashboard.keep(now.since(&before));
                    before = now;
                }
            });
        }
        dashboard
    }

    /// The samples later than `after`, the oldest first.
    pub(crate) fn samples(&self, after: Option<OffsetDateTime>) -> Vec<Sample> {
        self.lock().iter().filter(|sample| after.is_none_or(|after| sample.at > after)).cloned().collect()
    }

    fn keep(&self, sample: Sample) {
        let mut samples = self.lock();
        if samples.len() >= KEPT {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Sample>> {
        // The list is never left half changed.
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counters at one time.
struct Reading {
    at: Instant,
    cpu: Duration,
    load: LiveLoad,
}

impl Reading {
    fn now(live: &dyn LiveSource) -> Self {
        Self { at: Instant::now(), cpu: cpu_time(), load: live.load() }
    }

    fn since(&self, before: &Self) -> Sample {
        let span = (self.at - before.at).as_secs_f64().max(0.001);
        let kbit_s = |now: u64, before: u64| whole(now.saturating_sub(before) as f64 * 8.0 / 1000.0 / span);
        let cpu = self.cpu.saturating_sub(before.cpu).as_secs_f64() / span * 100.0;
        Sample {
            at: OffsetDateTime::now_utc().truncate_to_millisecond(),
            on_air: self.load.on_air,
            viewers: self.load.viewers,
            received_kbit_s: kbit_s(self.load.received_bytes, before.load.received_bytes),
            sent_kbit_s: kbit_s(self.load.sent_bytes, before.load.sent_bytes),
            cpu_percent: u32::try_from(whole(cpu)).unwrap_or(u32::MAX),
            memory_bytes: memory().unwrap_or(0),
        }
    }
}

/// A figure that is not negative, to the next whole number.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a float that is too large becomes the largest
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// How long this process has kept cores busy.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Memory that this process has, in bytes, where the system tells.
pub(crate) fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// Room on the disk that holds `path`.
pub(crate) fn disk(path: &Path) -> Option<Disk> {
    let disk = statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Some(Disk { free_bytes: bytes(disk.f_bavail), total_bytes: bytes(disk.f_blocks) })
}

/// Between two samples.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);
/// An hour of samples.
const KEPT: usize = 360;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;
    use crate::LiveStream;

    /// Sends a megabit a second, by the number of times it was asked.
    #[derive(Default)]
    struct Steady(AtomicU64);

    impl LiveSource for Steady {
        fn on_air(&self) -> Vec<LiveStream> {
            Vec::new()
        }
        fn find(&self, _: &str, _: &str) -> Option<LiveStream> {
            None
        }
        fn load(&self) -> LiveLoad {
            let seconds = self.0.fetch_add(INTERVAL.as_secs(), Relaxed);
            LiveLoad { on_air: 1, viewers: 7, received_bytes: seconds * 125_000, sent_bytes: seconds * 875_000 }
        }
    }

    #[test]
    fn rates_are_those_of_the_time_between() {
        let start = Instant::now();
        let reading = |seconds: u64, received_bytes, cpu| Reading {
            at: start + Duration::from_secs(seconds),
            cpu: Duration::from_millis(cpu),
            load: LiveLoad { on_air: 2, viewers: 3, received_bytes, sent_bytes: 0 },
        };
        let sample = reading(10, 1_250_000, 6_500).since(&reading(0, 0, 500));
        assert_eq!((sample.received_kbit_s, sample.sent_kbit_s, sample.cpu_percent), (1_000, 0, 60));
        assert_eq!((sample.on_air, sample.viewers), (2, 3));
        let restarted = reading(20, 0, 6_500).since(&reading(10, 1_250_000, 6_500));
        assert_eq!((restarted.received_kbit_s, restarted.cpu_percent), (0, 0), "counters that began anew");
    }

    #[test]
    fn an_hour_is_kept() {
        let dashboard = Dashboard { started: Instant::now(), samples: Mutex::default() };
        let sample = |viewers| Sample {
            at: OffsetDateTime::UNIX_EPOCH + Duration::from_secs(u64::from(viewers)),
            viewers,
            on_air: 0,
            received_kbit_s: 0,
            sent_kbit_s: 0,
            cpu_percent: 0,
            memory_bytes: 0,
        };
        for n in 0..=u32::try_from(KEPT).unwrap() {
            dashboard.keep(sample(n));
        }
        let all = dashboard.samples(None);
        assert_eq!((all.len(), all[0].viewers), (KEPT, 1));
        assert_eq!(dashboard.samples(Some(all[KEPT - 3].at)).len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn samples_come_by_themselves_until_nobody_has_the_dashboard() {
        let live = Arc::new(Steady::default());
        let dashboard = Dashboard::start(Arc::clone(&live) as Arc<dyn LiveSource>);
        while dashboard.samples(None).len() < 3 {
            tokio::time::sleep(INTERVAL).await;
        }
        assert_eq!(dashboard.samples(None)[2].viewers, 7);
        drop(dashboard);
        while Arc::strong_count(&live) > 1 {
            tokio::time::sleep(INTERVAL).await;
        }
    }

    #[test]
    fn the_system_tells() {
        assert!(memory().is_some_and(|bytes| bytes > 1 << 20));
        let disk = disk(Path::new("/")).unwrap();
        assert!(disk.total_bytes >= disk.free_bytes && disk.total_bytes > 0);
        assert_eq!(super::disk(Path::new("/no/such/path")), None);
    }
}
