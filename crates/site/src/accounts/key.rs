//! The site's own key, from which those are derived that seal and sign.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The site's own key: 256 random bits. What was sealed with it is lost without it.
#[derive(Clone)]
pub struct SiteKey([u8; LENGTH]);

impl SiteKey {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let mut key = [0; LENGTH];
        getrandom::fill(&mut key).expect("the operating system gives random bytes");
        Self(key)
    }

    /// One that is written as 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.trim().as_bytes();
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut key = [0; LENGTH];
        if text.len() != 2 * LENGTH {
            return None;
        }
        for (byte, pair) in key.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(key))
    }

    /// The one kept in a file that only its owner may read. Made where there is none.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn in_file(path: &Path) -> io::Result<Self> {
        match Self::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Self::make(path),
            other => other,
        }
    }

    fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        let words = "64 hexadecimal digits were expected; put the site's key back from its backup";
        Self::from_hex(&text).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, words))
    }

    /// Whole or not at all; where another process was faster, its key is the one.
    fn make(path: &Path) -> io::Result<Self> {
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        writeln!(file, "{}", Self::new().0.iter().map(|byte| format!("{byte:02x}")).collect::<String>())?;
        file.sync_all()?;
        let linked = fs::hard_link(&temporary, path);
        fs::remove_file(&temporary)?;
        match linked {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Self::read(path),
        }
    }

    /// A key for one purpose, which tells nothing of the others.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; LENGTH] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl Default for SiteKey {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SiteKey(…)")
    }
}

const LENGTH: usize = 32;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.key");
        let made = SiteKey::in_file(&path).unwrap();
        assert_eq!(SiteKey::in_file(&path).unwrap().0, made.0);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left");
        assert_ne!(made.derive("a"), made.derive("b"));
        assert_eq!(made.derive("a"), SiteKey::in_file(&path).unwrap().derive("a"));
    }

    #[test]
    fn a_file_that_was_cut_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.key");
        for text in ["", "0011", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66)] {
            fs::write(&path, text).unwrap();
            assert_eq!(SiteKey::in_file(&path).unwrap_err().kind(), ErrorKind::InvalidData, "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::write(&path, "0A".repeat(32) + "\n").unwrap();
        assert_eq!(SiteKey::in_file(&path).unwrap().0, [10; 32]);
    }
}
