//! Stream keys: secrets of 256 bits, which their owner may look at again.

use millrace_store::{At, ChannelId, Error, Hash, NewStreamKey, Store, StreamKey};

use crate::accounts::seal::Sealer;
use crate::accounts::secret::{self, Secret};

/// A key that was just made.
pub(crate) struct Made {
    /// The key itself. A secret.
    pub(crate) key: String,
    pub(crate) hash: Hash,
    pub(crate) sealed: Vec<u8>,
}

/// Makes a further key for a channel, and tells what it is, which is a secret.
pub(crate) async fn add(
    store: &Store,
    sealer: &Sealer,
    channel: &ChannelId,
    label: &str,
    expires_at: Option<At>,
) -> Result<(StreamKey, String), Error> {
    let made = make(sealer, channel);
    let new = NewStreamKey { channel_id: channel, label, key_hash: made.hash, sealed_key: &made.sealed, expires_at };
    Ok((store.create_stream_key(&new).await?, made.key))
}

/// Makes a key for a channel.
pub(crate) fn make(sealer: &Sealer, channel: &ChannelId) -> Made {
    let key = format!("{PREFIX}{}", Secret::new().expose());
    Made { hash: secret::hash(&key), sealed: sealer.seal(channel.as_str(), key.as_bytes()), key }
}

/// The key itself, for its owner. None where it was sealed with a key that the site no longer has.
pub(crate) fn read(sealer: &Sealer, key: &StreamKey) -> Option<String> {
    let opened = sealer.open(key.channel_id.as_str(), &key.sealed_key).ok()?;
    String::from_utf8(opened).ok()
}

/// The hash of what a publisher gave, where it has the form of a key.
pub(super) fn hash_of(given: &str) -> Option<Hash> {
    given.strip_prefix(PREFIX).filter(|rest| secret::is_secret(rest)).map(|_| secret::hash(given))
}

/// How keys begin, so that one that leaked is recognised. It keeps them from being stream names as well: a secret has
/// capital letters.
const PREFIX: &str = "mrk_";
