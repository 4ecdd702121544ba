//! Personal tokens for the API.

use crate::db::{rows, rows_in, run, run_in};
use crate::error::found;
use crate::{At, Error, Hash, Store, TokenId, UserId};

/// A token with which a program acts for its user.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ApiToken {
    /// Its id, which is no secret.
    pub id: TokenId,
    /// Whose it is.
    pub user_id: UserId,
    /// What its owner calls it.
    pub name: String,
    /// SHA-256 of the token.
    pub token_hash: Vec<u8>,
    /// What it may be used for: names with spaces between them.
    pub scopes: String,
    /// When it was made.
    pub created_at: At,
    /// When it was used last, to within a minute.
    pub last_used_at: Option<At>,
    /// When it ends.
    pub expires_at: Option<At>,
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewApiToken<'a> {
    /// See [`ApiToken::user_id`].
    pub user_id: &'a UserId,
    /// See [`ApiToken::name`].
    pub name: &'a str,
    /// See [`ApiToken::token_hash`].
    pub token_hash: Hash,
    /// See [`ApiToken::scopes`].
    pub scopes: &'a str,
    /// See [`ApiToken::expires_at`].
    pub expires_at: Option<At>,
}

impl Store {
    /// Makes a token for a user who has fewer than `limit`; `None` where there are as many.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such user.
    pub async fn create_token(&self, new: &NewApiToken<'_>, limit: u32) -> Result<Option<ApiToken>, Error> {
        let mut tx = self.begin().await?;
        // Two at once go one after the other.
        found(run_in!(tx, "UPDATE users SET version = version WHERE id = $1", new.user_id)?)?;
        let sql = "SELECT COUNT(*) FROM api_tokens WHERE user_id = $1";
        let (there,): (i64,) = rows_in!(tx, fetch_one, (i64,), sql, new.user_id)?;
        if there >= i64::from(limit) {
            return Ok(None);
        }
        let token = rows_in!(
            tx,
            fetch_one,
            ApiToken,
            "INSERT INTO api_tokens (id, user_id, name, token_hash, scopes, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *",
            TokenId::new(),
            new.user_id,
            new.name,
            new.token_hash.as_slice(),
            new.scopes,
            At::now(),
            new.expires_at,
        )?;
        tx.commit().await?;
        Ok(Some(token))
    }

    /// The token with that hash, over or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn token_by_hash(&self, hash: &Hash) -> Result<Option<ApiToken>, Error> {
        let sql = "SELECT * FROM api_tokens WHERE token_hash = $1";
        Ok(rows!(self.pool, fetch_optional, ApiToken, sql, hash.as_slice())?)
    }

    /// A user's tokens, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tokens_of(&self, user: &UserId) -> Result<Vec<ApiToken>, Error> {
        let sql = "SELECT * FROM api_tokens WHERE user_id = $1 ORDER BY id DESC";
        Ok(rows!(self.pool, fetch_all, ApiToken, sql, user)?)
    }

    /// Notes a token's use.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn touch_token(&self, id: &TokenId, used: At) -> Result<(), Error> {
        run!(self.pool, "UPDATE api_tokens SET last_used_at = $1 WHERE id = $2", used, id)?;
        Ok(())
    }

    /// Ends a token of that user.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is not there, or somebody else's.
    pub async fn delete_token(&self, user: &UserId, id: &TokenId) -> Result<(), Error> {
        found(run!(self.pool, "DELETE FROM api_tokens WHERE id = $1 AND user_id = $2", id, user)?)
    }
}
