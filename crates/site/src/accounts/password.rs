//! Passwords: Argon2id, off the async threads, and only so many at a time.

use std::sync::{Arc, LazyLock};

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

/// Hashes and compares passwords.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

/// So many wait already that another had better come back later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many log in at this moment")]
pub(crate) struct Busy;

impl Passwords {
    /// Uses so many threads at a time.
    pub(crate) fn new(threads: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(threads.max(1))), queue: Arc::new(Semaphore::new(QUEUE)) }
    }

    /// The hash to store for a password, in PHC form.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Busy> {
        self.work(move || hasher().hash_password(password.as_bytes()).expect("any password can be hashed").to_string())
            .await
    }

    /// Whether the password is the one of `hash`. Without one it is not, and that takes as long to say.
    pub(crate) async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Busy> {
        self.work(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODY.clone());
            let hash = PasswordHash::new(&hash);
            hash.is_ok_and(|hash| hasher().verify_password(password.as_bytes(), &hash).is_ok()) && known
        })
        .await
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let _waits = self.queue.try_acquire().map_err(|_| Busy)?;
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let _place = place; // kept until the work is done, even if nobody waits for it any more
            work()
        });
        done.await.map_err(|_| Busy) // a server that ends takes its work along
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
    use std::future::{Future, poll_fn};
    use std::task::Poll;

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

    #[tokio::test]
    async fn a_crowd_is_told_to_come_back() {
        let passwords = Passwords::new(1);
        let verify = || passwords.verify("x".to_owned(), Some("no hash".to_owned()));
        let taken = Arc::clone(&passwords.places).acquire_owned().await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..QUEUE {
            let mut one = Box::pin(verify());
            let waits = poll_fn(|context| Poll::Ready(one.as_mut().poll(context).is_pending())).await;
            assert!(waits);
            waiting.push(one);
        }
        assert_eq!(verify().await, Err(Busy));
        drop(taken);
        for one in waiting {
            assert_eq!(one.await, Ok(false));
        }
        assert_eq!(verify().await, Ok(false), "there is room again");
    }
}
