//! Timers: when each is next due. What they enqueue, and by which rule, is known to those who run them.
//!
//! Invariant: of all who see that a timer is due, one fires it: the next time is set, and the job enqueued, in one
//! transaction, by whoever finds the time that it saw.

use crate::changes::Change;
use crate::db::{rows, rows_in, run, run_in};
use crate::jobs::enqueue_in;
use crate::{At, Error, NewJob, Store};

/// A timer.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Timer {
    /// Its name.
    pub name: String,
    /// When it fires: a cron expression, in UTC.
    pub schedule: String,
    /// When it fires next.
    pub next_at: At,
    /// When it last fired.
    pub last_at: Option<At>,
}

impl Store {
    /// All timers, that which fires next first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn timers(&self) -> Result<Vec<Timer>, Error> {
        Ok(rows!(self.pool, fetch_all, Timer, "SELECT * FROM timers ORDER BY next_at, name")?)
    }

    /// Adds a timer, or gives one that is there another schedule. One whose schedule is this already stays as it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_timer(&self, name: &str, schedule: &str, next: At) -> Result<(), Error> {
        let sql = "INSERT INTO timers (name, schedule, next_at) VALUES ($1, $2, $3)
                   ON CONFLICT (name) DO UPDATE SET schedule = excluded.schedule, next_at = excluded.next_at
                   WHERE timers.schedule <> excluded.schedule";
        run!(self.pool, sql, name, schedule, next)?;
        Ok(())
    }

    /// Fires a timer that is due at `timer.next_at`, unless somebody else did: enqueues `job` and sets when it fires next.
    /// Whether it was fired here. No job is enqueued while one with the same unique key waits or runs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fire_timer(&self, timer: &Timer, now: At, next: At, job: &NewJob) -> Result<bool, Error> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE timers SET last_at = $1, next_at = $2 WHERE name = $3 AND schedule = $4 AND next_at = $5";
        if run_in!(tx, sql, now, next, &timer.name, &timer.schedule, timer.next_at)? == 0 {
            return Ok(false);
        }
        let id = enqueue_in(&mut tx, job).await?;
        tx.commit().await?;
        self.wake_workers(id.is_some()).await;
        Ok(true)
    }

    /// Has a timer fire now, and from then on as before. It enqueues nothing where what it enqueued last still waits or runs.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn hurry_timer(&self, name: &str) -> Result<Timer, Error> {
        let sql = "UPDATE timers SET next_at = $1 WHERE name = $2 RETURNING *";
        let timer = rows!(self.pool, fetch_optional, Timer, sql, At::now(), name)?.ok_or(Error::NotFound)?;
        self.tell(&Change::Timers).await?;
        Ok(timer)
    }

    /// Removes the timers that are not named: those that nobody runs any more. How many there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_timers(&self, names: &[&str]) -> Result<u64, Error> {
        let mut tx = self.begin().await?;
        let all = rows_in!(tx, fetch_all, (String,), "SELECT name FROM timers")?;
        let mut removed = 0;
        for (name,) in all.iter().filter(|(name,)| !names.contains(&name.as_str())) {
            removed += run_in!(tx, "DELETE FROM timers WHERE name = $1", name)?;
        }
        tx.commit().await?;
        Ok(removed)
    }
}
