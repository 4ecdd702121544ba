//! Stream keys.

use crate::db::{rows, run};
use crate::error::found;
use crate::{At, ChannelId, Error, Hash, KeyId, Store};

/// A key to publish a channel's stream with.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct StreamKey {
    /// Its id, which is no secret.
    pub id: KeyId,
    /// The channel that it publishes.
    pub channel_id: ChannelId,
    /// What its owner calls it; empty for the channel's main key.
    pub label: String,
    /// SHA-256 of the key.
    pub key_hash: Vec<u8>,
    /// The key, sealed, since its owner may look at it.
    pub sealed_key: Vec<u8>,
    /// When it was made.
    pub created_at: At,
    /// When it ends.
    pub expires_at: Option<At>,
    /// When somebody published with it last.
    pub last_used_at: Option<At>,
}

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewStreamKey<'a> {
    /// See [`StreamKey::channel_id`].
    pub channel_id: &'a ChannelId,
    /// See [`StreamKey::label`].
    pub label: &'a str,
    /// See [`StreamKey::key_hash`].
    pub key_hash: Hash,
    /// See [`StreamKey::sealed_key`].
    pub sealed_key: &'a [u8],
    /// See [`StreamKey::expires_at`].
    pub expires_at: Option<At>,
}

const INSERT: &str = "INSERT INTO stream_keys (id, channel_id, label, key_hash, sealed_key, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *";

impl Store {
    /// Makes a key beside those that there are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_stream_key(&self, new: &NewStreamKey<'_>) -> Result<StreamKey, Error> {
        Ok(rows!(
            self.pool,
            fetch_one,
            StreamKey,
            INSERT,
            KeyId::new(),
            new.channel_id,
            new.label,
            new.key_hash.as_slice(),
            new.sealed_key,
            At::now(),
            new.expires_at,
        )?)
    }

    /// Puts another key in the place of one, which keeps its label and expiry.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the channel has no such key.
    pub async fn reset_stream_key(
        &self,
        channel: &ChannelId,
        id: &KeyId,
        key_hash: Hash,
        sealed_key: &[u8],
    ) -> Result<StreamKey, Error> {
        let sql = "UPDATE stream_keys SET key_hash = $1, sealed_key = $2, created_at = $3, last_used_at = NULL
                   WHERE id = $4 AND channel_id = $5 RETURNING *";
        let hash = key_hash.as_slice();
        let key = rows!(self.pool, fetch_optional, StreamKey, sql, hash, sealed_key, At::now(), id, channel)?;
        key.ok_or(Error::NotFound)
    }

    /// The key with that hash, over or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stream_key_by_hash(&self, hash: &Hash) -> Result<Option<StreamKey>, Error> {
        let sql = "SELECT * FROM stream_keys WHERE key_hash = $1";
        Ok(rows!(self.pool, fetch_optional, StreamKey, sql, hash.as_slice())?)
    }

    /// A channel's keys, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stream_keys_of(&self, channel: &ChannelId) -> Result<Vec<StreamKey>, Error> {
        let sql = "SELECT * FROM stream_keys WHERE channel_id = $1 ORDER BY id";
        Ok(rows!(self.pool, fetch_all, StreamKey, sql, channel)?)
    }

    /// Notes a key's use.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn touch_stream_key(&self, id: &KeyId) -> Result<(), Error> {
        run!(self.pool, "UPDATE stream_keys SET last_used_at = $1 WHERE id = $2", At::now(), id)?;
        Ok(())
    }

    /// Ends a key of that channel.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_stream_key(&self, channel: &ChannelId, id: &KeyId) -> Result<(), Error> {
        found(run!(self.pool, "DELETE FROM stream_keys WHERE id = $1 AND channel_id = $2", id, channel)?)
    }
}
