//! Secrets that are given out once, and kept as hashes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use millrace_store::Hash;
use sha2::{Digest, Sha256};

/// A secret of 256 random bits. Shown to its holder, never stored or logged.
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new() -> Self {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Its text: [`LENGTH`] letters, digits, `-` and `_`.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> Hash {
        hash(&self.0)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The hash under which a given secret is stored. It needs no salt: nobody can try 2^256 of them.
pub(crate) fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// Whether a text has the form of a secret: anything else need not be looked up.
pub(crate) fn is_secret(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Length of a secret's text: 32 bytes in base64 without padding.
pub(crate) const LENGTH: usize = 43;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_equal_and_none_is_shown() {
        let (one, other) = (Secret::new(), Secret::new());
        assert_ne!(one.expose(), other.expose());
        assert_ne!(one.hash(), other.hash());
        assert_eq!(one.hash(), hash(one.expose()));
        assert!(is_secret(one.expose()) && !is_secret("short") && !is_secret(&"ä".repeat(22)[..LENGTH + 1]));
        assert!(!format!("{one:?}").contains(one.expose()));
    }
}
