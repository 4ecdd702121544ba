//! Secrets that have to be read back: encrypted with AES-256-GCM under the site's key.
//!
//! What a secret belongs to is authenticated with it, so that one row's cannot be put into another.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

/// Seals and opens.
pub(crate) struct Sealer(RandomizedNonceKey);

/// Why a sealed secret cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was sealed with another key, for something else, or changed since")]
pub(crate) struct Unreadable;

impl Sealer {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(RandomizedNonceKey::new(&AES_256_GCM, key).expect("the key has the cipher's length"))
    }

    /// Seals `secret` of `owner`, such as a row's id.
    pub(crate) fn seal(&self, owner: &str, secret: &[u8]) -> Vec<u8> {
        let mut text = secret.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(owner.as_bytes()), &mut text)
            .expect("a short text can be encrypted");
        [&[FORM][..], nonce.as_ref(), &text].concat()
    }

    /// Opens what was sealed for `owner`.
    pub(crate) fn open(&self, owner: &str, sealed: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let (&[FORM], rest) = sealed.split_first_chunk::<1>().ok_or(Unreadable)? else { return Err(Unreadable) };
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Unreadable)?;
        let mut text = text.to_vec();
        let open = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(owner.as_bytes()), &mut text);
        open.map(|secret| secret.to_vec()).map_err(|_| Unreadable)
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(…)")
    }
}

/// The first byte: which form of sealing it is.
const FORM: u8 = 1;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_owner_open_it() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal("channel-1", b"stream key");
        assert_eq!(sealer.open("channel-1", &sealed).unwrap(), b"stream key");
        assert_eq!(sealer.open("channel-2", &sealed), Err(Unreadable));
        assert_eq!(Sealer::new(&[8; 32]).open("channel-1", &sealed), Err(Unreadable));
        assert_ne!(sealer.seal("channel-1", b"stream key"), sealed, "no two are equal");
    }

    #[test]
    fn what_was_cut_or_changed_is_refused() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal("x", b"secret");
        for end in 0..sealed.len() {
            assert_eq!(sealer.open("x", &sealed[..end]), Err(Unreadable));
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(sealer.open("x", &changed), Err(Unreadable));
        }
    }
}
