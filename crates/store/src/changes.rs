//! What changed, told to all who keep something of it in memory: within this process on SQLite, on every node of the same
//! database on PostgreSQL (LISTEN and NOTIFY).
//!
//! Invariant: who follows hears of each change that was told since, or that everything may have changed.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::broadcast::{Receiver, Sender, error::RecvError};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::db::Pool;
use crate::{Error, JobId, Store, UserId};

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// An account, or one of its sessions or tokens.
    User(UserId),
    /// A channel, by its handle: what it says, or who may watch.
    Channel(String),
    /// A channel's stream keys, by its handle.
    Keys(String),
    /// A video, by its short id: what it says, what there is of it, or who may watch.
    Video(String),
    /// The site's settings.
    Settings,
    /// There is a job to take up.
    Jobs,
    /// A timer is due earlier than it was.
    Timers,
    /// A job that runs is to be cancelled.
    CancelJob(JobId),
    /// Something was missed: whatever is kept may be out of date.
    Everything,
}

/// Changes as they are told.
#[derive(Debug)]
pub struct Changes(Receiver<Change>);

impl Changes {
    /// Waits for the next one; `None` once the store is no more.
    pub async fn next(&mut self) -> Option<Change> {
        match self.0.recv().await {
            Ok(change) => Some(change),
            Err(RecvError::Lagged(_)) => Some(Change::Everything),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Store {
    /// Tells of a change: to be called once it is in the database.
    ///
    /// # Errors
    /// When the database fails, so that other nodes were not told.
    pub async fn tell(&self, change: &Change) -> Result<(), Error> {
        match &self.pool {
            Pool::Sqlite(_) => self.exchange.send(change.clone()),
            // It comes back to this node as well.
            Pool::Postgres(pool) => {
                let sql = "SELECT pg_notify($1, $2)";
                sqlx::query(sql).bind(CHANNEL).bind(change.to_text()).execute(pool).await?;
            }
        }
        Ok(())
    }

    /// Changes that are told from now on.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes(self.exchange.sender.subscribe())
    }
}

/// Passes changes on to those who follow.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    sender: Sender<Change>,
    /// Lives as long as somebody has the store.
    _listening: Option<Arc<Listening>>,
}

impl Exchange {
    /// Begins to pass on; on PostgreSQL the other nodes are heard once this returns.
    pub(crate) async fn start(pool: &Pool) -> Result<Self, Error> {
        let sender = Sender::new(KEPT);
        let listening = match pool {
            Pool::Sqlite(_) => None,
            Pool::Postgres(pool) => {
                let listener = listener(pool).await?;
                let task = tokio::spawn(listen(listener, pool.clone(), sender.clone()));
                Some(Arc::new(Listening(task)))
            }
        };
        Ok(Self { sender, _listening: listening })
    }

    fn send(&self, change: Change) {
        // Nobody need follow.
        let _ = self.sender.send(change);
    }
}

#[derive(Debug)]
struct Listening(JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn listener(pool: &PgPool) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    // A connection that is lost is replaced here, where it is known that something may have been missed.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// Passes on what the database tells, until the pool is closed.
async fn listen(mut listener: PgListener, pool: PgPool, sender: Sender<Change>) {
    loop {
        let alive = match timeout(QUIET, listener.try_recv()).await {
            Ok(Ok(Some(notification))) => {
                let _ = sender.send(Change::from_text(notification.payload()));
                true
            }
            Ok(Ok(None) | Err(_)) => false,
            // One that was cut without a word, as firewalls do, is found by asking.
            Err(_) => {
                let answer = timeout(ANSWER, sqlx::query("SELECT 1").execute(&mut listener)).await;
                matches!(answer, Ok(Ok(_)))
            }
        };
        if alive {
            continue;
        }
        drop(listener);
        listener = loop {
            if pool.is_closed() {
                return;
            }
            match self::listener(&pool).await {
                Ok(listener) => break listener,
                Err(_) => sleep(AGAIN).await,
            }
        };
        let _ = sender.send(Change::Everything);
    }
}

impl Change {
    fn to_text(&self) -> String {
        match self {
            Self::User(id) => format!("user {}", id.as_str()),
            Self::Channel(handle) => format!("channel {handle}"),
            Self::Keys(handle) => format!("keys {handle}"),
            Self::Video(short_id) => format!("video {short_id}"),
            Self::Settings => "settings".to_owned(),
            Self::Jobs => "jobs".to_owned(),
            Self::Timers => "timers".to_owned(),
            Self::CancelJob(id) => format!("cancel-job {}", id.as_str()),
            Self::Everything => "everything".to_owned(),
        }
    }

    /// What a newer version tells and this one does not know may be anything.
    fn from_text(text: &str) -> Self {
        match text.split_once(' ').unwrap_or((text, "")) {
            ("user", id) => id.parse().map_or(Self::Everything, Self::User),
            ("channel", handle) => Self::Channel(handle.to_owned()),
            ("keys", handle) => Self::Keys(handle.to_owned()),
            ("video", short_id) => Self::Video(short_id.to_owned()),
            ("settings", _) => Self::Settings,
            ("jobs", _) => Self::Jobs,
            ("timers", _) => Self::Timers,
            ("cancel-job", id) => id.parse().map_or(Self::Everything, Self::CancelJob),
            _ => Self::Everything,
        }
    }
}

/// The name under which PostgreSQL passes changes on.
const CHANNEL: &str = "millrace_changes";
/// Changes kept for one who is slow to take them, who then hears that everything may have changed.
const KEPT: usize = 1024;
/// After so long without a word the connection is asked whether it still works.
const QUIET: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(10);
/// Between two tries to reach a database that is away.
const AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_as_text() {
        let changes = [
            Change::User(UserId::new()),
            Change::Channel("a-b".to_owned()),
            Change::Keys("movie".to_owned()),
            Change::Settings,
            Change::Video("dQw4w9WgXcQ".to_owned()),
            Change::Jobs,
            Change::Timers,
            Change::CancelJob(JobId::new()),
            Change::Everything,
        ];
        for change in changes {
            assert_eq!(Change::from_text(&change.to_text()), change);
        }
        for unknown in ["", "user", "user x", "from a newer version"] {
            assert_eq!(Change::from_text(unknown), Change::Everything, "{unknown:?}");
        }
    }

    #[tokio::test]
    async fn who_is_slow_hears_that_everything_may_have_changed() {
        let sender = Sender::new(KEPT);
        let mut slow = Changes(sender.subscribe());
        let mut quick = Changes(sender.subscribe());
        for _ in 0..KEPT {
            let _ = sender.send(Change::Settings);
        }
        assert_eq!(quick.next().await, Some(Change::Settings));
        let _ = sender.send(Change::Settings);
        assert_eq!(slow.next().await, Some(Change::Everything));
        assert_eq!(quick.next().await, Some(Change::Settings));
        drop(sender);
        while slow.next().await.is_some() {}
    }
}
