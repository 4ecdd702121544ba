//! How much there is of everything.

use crate::db::rows;
use crate::{Error, Store};

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Accounts.
    pub users: u64,
    /// Of these, those who wait for approval.
    pub pending: u64,
    /// Channels.
    pub channels: u64,
}

impl Store {
    /// How much there is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn counts(&self) -> Result<Counts, Error> {
        let sql = "SELECT (SELECT COUNT(*) FROM users), (SELECT COUNT(*) FROM users WHERE state = 'pending'),
                          (SELECT COUNT(*) FROM channels)";
        let (users, pending, channels) = rows!(self.pool, fetch_one, (i64, i64, i64), sql)?;
        let number = |n: i64| u64::try_from(n).unwrap_or(0);
        Ok(Counts { users: number(users), pending: number(pending), channels: number(channels) })
    }

    /// How many accounts wait for approval.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_pending_users(&self) -> Result<u64, Error> {
        let sql = "SELECT COUNT(*) FROM users WHERE state = 'pending'";
        let (count,) = rows!(self.pool, fetch_one, (i64,), sql)?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}
