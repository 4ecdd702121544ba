//! Sessions of browsers.

use crate::db::{rows, run};
use crate::error::found;
use crate::{At, Error, Hash, SessionId, Store, UserId};

/// A browser that is logged in.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Session {
    /// Its id, which is no secret.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// SHA-256 of the cookie's token.
    pub token_hash: Vec<u8>,
    /// Whether it outlives the browser.
    pub remember: bool,
    /// What the browser calls itself.
    pub user_agent: String,
    /// Where it was used from last.
    pub address: String,
    /// When it began.
    pub created_at: At,
    /// When it was used last, to within a minute.
    pub last_used_at: At,
    /// When it ends by itself.
    pub expires_at: At,
}

/// A session to be made.
#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    /// See [`Session::user_id`].
    pub user_id: &'a UserId,
    /// See [`Session::token_hash`].
    pub token_hash: Hash,
    /// See [`Session::remember`].
    pub remember: bool,
    /// See [`Session::user_agent`].
    pub user_agent: &'a str,
    /// See [`Session::address`].
    pub address: &'a str,
    /// See [`Session::expires_at`].
    pub expires_at: At,
}

impl Store {
    /// Makes a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_session(&self, new: &NewSession<'_>) -> Result<Session, Error> {
        let now = At::now();
        Ok(rows!(
            self.pool,
            fetch_one,
            Session,
            "INSERT INTO sessions (id, user_id, token_hash, remember, user_agent, address, created_at, last_used_at,
                                   expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8) RETURNING *",
            SessionId::new(),
            new.user_id,
            new.token_hash.as_slice(),
            new.remember,
            new.user_agent,
            new.address,
            now,
            new.expires_at,
        )?)
    }

    /// The session with that token, over or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session_by_token(&self, hash: &Hash) -> Result<Option<Session>, Error> {
        let sql = "SELECT * FROM sessions WHERE token_hash = $1";
        Ok(rows!(self.pool, fetch_optional, Session, sql, hash.as_slice())?)
    }

    /// The sessions of a user that are not over, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sessions_of(&self, user: &UserId) -> Result<Vec<Session>, Error> {
        let sql = "SELECT * FROM sessions WHERE user_id = $1 AND expires_at > $2 ORDER BY id DESC";
        Ok(rows!(self.pool, fetch_all, Session, sql, user, At::now())?)
    }

    /// Notes a session's use, and until when it lives on. One that has been ended stays ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn touch_session(&self, id: &SessionId, used: At, expires: At, address: &str) -> Result<(), Error> {
        let sql = "UPDATE sessions SET last_used_at = $1, expires_at = $2, address = $3 WHERE id = $4";
        run!(self.pool, sql, used, expires, address, id)?;
        Ok(())
    }

    /// Ends a session of that user.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is not there, or somebody else's.
    pub async fn delete_session(&self, user: &UserId, id: &SessionId) -> Result<(), Error> {
        found(run!(self.pool, "DELETE FROM sessions WHERE id = $1 AND user_id = $2", id, user)?)
    }

    /// Ends the sessions of a user, but for the one to be kept; how many there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_sessions_of(&self, user: &UserId, but: Option<&SessionId>) -> Result<u64, Error> {
        let but = but.map_or("", SessionId::as_str);
        Ok(run!(self.pool, "DELETE FROM sessions WHERE user_id = $1 AND id <> $2", user, but)?)
    }

    /// Removes the sessions that are over; how many there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_expired_sessions(&self, now: At) -> Result<u64, Error> {
        Ok(run!(self.pool, "DELETE FROM sessions WHERE expires_at <= $1", now)?)
    }
}
