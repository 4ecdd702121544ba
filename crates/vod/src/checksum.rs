//! What a sender says that its bytes add up to (tus 1.0, Checksum).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use sha2::Sha256;

/// A checksum as it was sent: an algorithm's name, a space, and base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Checksum {
    algorithm: Algorithm,
    expected: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Sha1,
    Sha256,
}

/// The algorithm is not one of [`Checksum::ALGORITHMS`], or what follows is not its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Upload-Checksum must be sha1 or sha256, a space, and the checksum in base64")]
pub struct UnknownChecksum;

impl Checksum {
    /// The names of those that are known, as `Tus-Checksum-Algorithm` has them.
    pub const ALGORITHMS: &str = "sha1,sha256";

    /// Reads the value of `Upload-Checksum`.
    ///
    /// # Errors
    /// [`UnknownChecksum`].
    pub fn parse(text: &str) -> Result<Self, UnknownChecksum> {
        let (name, value) = text.split_once(' ').ok_or(UnknownChecksum)?;
        let (algorithm, length) = match name {
            "sha1" => (Algorithm::Sha1, 20),
            "sha256" => (Algorithm::Sha256, 32),
            _ => return Err(UnknownChecksum),
        };
        let expected = STANDARD.decode(value).map_err(|_| UnknownChecksum)?;
        if expected.len() == length { Ok(Self { algorithm, expected }) } else { Err(UnknownChecksum) }
    }

    /// What adds up bytes to be compared with it.
    pub(crate) fn summing(self) -> Summing {
        let sum = match self.algorithm {
            Algorithm::Sha1 => Sum::Sha1(Sha1::new()),
            Algorithm::Sha256 => Sum::Sha256(Sha256::new()),
        };
        Summing { sum, expected: self.expected }
    }
}

impl std::fmt::Debug for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checksum({:?})", self.algorithm)
    }
}

/// Adds bytes up.
pub(crate) struct Summing {
    sum: Sum,
    expected: Vec<u8>,
}

enum Sum {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Summing {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        match &mut self.sum {
            Sum::Sha1(sum) => sum.update(bytes),
            Sum::Sha256(sum) => sum.update(bytes),
        }
    }

    /// Whether the bytes were those that were meant.
    pub(crate) fn agrees(self) -> bool {
        match self.sum {
            Sum::Sha1(sum) => sum.finalize()[..] == self.expected[..],
            Sum::Sha256(sum) => sum.finalize()[..] == self.expected[..],
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn bytes_agree_with_their_checksum_alone() {
        // FIPS 180-2, the message "abc".
        let known = ["sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", "sha256 ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="];
        for text in known {
            let sum = |bytes: &[&[u8]]| {
                let mut summing = Checksum::parse(text).unwrap().summing();
                bytes.iter().for_each(|bytes| summing.add(bytes));
                summing.agrees()
            };
            assert!(sum(&[b"a", b"bc"]), "{text}");
            assert!(!sum(&[b"abd"]) && !sum(&[]), "{text}");
        }
        for text in ["", "sha1", "sha1 ", "sha1 AAAA", "md5 kAFQmDzST7DWlj99KOF/cg==", "sha1 ?", "SHA1  qZk+"] {
            assert_eq!(Checksum::parse(text), Err(UnknownChecksum), "{text}");
        }
    }
}
