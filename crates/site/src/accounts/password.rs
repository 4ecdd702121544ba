//! Passwords: Argon2id, off the async threads, and only so many at a time.

use std::sync::LazyLock;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::workers::{Busy, Workers};

/// Hashes and compares passwords.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    workers: Workers,
}

impl Passwords {
    /// Uses so many threads at a time.
    pub(crate) fn new(threads: usize) -> Self {
        Self { workers: Workers::new(threads, QUEUE) }
    }

    /// The hash to store for a password, in PHC form.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Busy> {
        self.workers
            .work(move || hasher().hash_password(password.as_bytes()).expect("any password can be hashed").to_string())
            .await
    }

    /// Whether the password is the one of `hash`. Without one it is not, and that takes as long to say.
    pub(crate) async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Busy> {
        self.workers
            .work(move || {
                let known = hash.is_some();
                let hash = hash.unwrap_or_else(|| NOBODY.clone());
                let hash = PasswordHash::new(&hash);
                hash.is_ok_and(|hash| hasher().verify_password(password.as_bytes(), &hash).is_ok()) && known
            })
            .await
    }
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are allowed ones");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Memory of one hash, KiB: OWASP's recommendation for Argon2id.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Those who are served or wait; a hash takes some 20 ms.
const QUEUE: usize = 64;

/// The hash of a password that nobody has, to compare with where there is no account.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    let nobody = super::secret::Secret::new();
    hasher().hash_password(nobody.expose().as_bytes()).expect("any password can be hashed").to_string()
});

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other() {
        let passwords = Passwords::new(2);
        let hash = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(passwords.hash("correct horse".to_owned()).await.unwrap(), hash, "each has its salt");
        assert!(passwords.verify("correct horse".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("Correct horse".to_owned(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("anything".to_owned(), None).await.unwrap());
        assert!(!passwords.verify("anything".to_owned(), Some("no hash".to_owned())).await.unwrap());
    }
}
