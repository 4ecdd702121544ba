//! Fires timers when their time has come.

use std::time::Duration;

use millrace_store::{At, Change, Changes, Error, Store};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::Schedule;
use crate::registry::Timer;

/// Fires `timers` until `stop`. Several nodes may do so at once: each time of each timer is fired by one of them. Where they
/// give a timer different schedules, that of the one which started last holds.
pub(crate) async fn run(store: &Store, timers: &[Timer], stop: &CancellationToken) {
    if timers.is_empty() {
        return;
    }
    let mut planned = false;
    let mut changes = store.changes();
    while !stop.is_cancelled() {
        let now = At::now();
        if !planned {
            planned = plan(store, timers, now).await.map_err(|error| warn!(%error, "timers cannot be planned")).is_ok();
        }
        let wait = match fire(store, timers, now).await {
            Ok(next) => Duration::from_millis(u64::try_from(next.0.saturating_sub(now.0)).unwrap_or(0)).min(LOOK),
            Err(error) => {
                warn!(%error, "timers cannot be fired");
                LOOK
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(wait) => {}
            () = earlier(&mut changes) => {}
        }
    }
}

/// Waits until a timer may be due earlier than it was.
async fn earlier(changes: &mut Changes) {
    loop {
        match changes.next().await {
            Some(Change::Timers | Change::Everything) => return,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

/// Writes down when each timer fires first, and removes those that are no more.
async fn plan(store: &Store, timers: &[Timer], now: At) -> Result<(), Error> {
    let names: Vec<&str> = timers.iter().map(|timer| timer.name).collect();
    store.keep_timers(&names).await?;
    for timer in timers {
        store.set_timer(timer.name, &timer.schedule.to_string(), timer.schedule.after(now)).await?;
    }
    Ok(())
}

/// Fires what is due; when the next one is.
async fn fire(store: &Store, timers: &[Timer], now: At) -> Result<At, Error> {
    let rows = store.timers().await?;
    let mut first = At(i64::MAX);
    for timer in timers {
        let next = match rows.iter().find(|row| row.name == timer.name) {
            // One that an earlier version removed when it started is there again.
            None => {
                let next = timer.schedule.after(now);
                store.set_timer(timer.name, &timer.schedule.to_string(), next).await?;
                next
            }
            Some(row) if row.next_at > now => row.next_at,
            Some(row) => {
                let schedule: Schedule = row.schedule.parse().unwrap_or_else(|_| timer.schedule.clone());
                let next = schedule.after(now);
                if store.fire_timer(row, now, next, &timer.job).await? {
                    debug!(timer = timer.name, late_ms = now.0 - row.next_at.0, "a timer fired");
                }
                next
            }
        };
        first = first.min(next);
    }
    Ok(first)
}

/// At least so often the timers are looked at, since clocks are set and other nodes change what is planned.
const LOOK: Duration = Duration::from_secs(30);
