//! Fresh secrets.

use crate::config::Secret;

/// A stream key of 124 random bits, in groups that one can compare by eye: `k3v9xa-0q7f2m-…`.
pub(crate) fn stream_key() -> Secret {
    let group = || (0..GROUP).map(|_| random_letter()).collect::<String>();
    Secret::new([group(), group(), group(), group()].join("-"))
}

fn random_letter() -> char {
    // Bytes beyond the last whole multiple would make the first letters likelier.
    let fair = 256 / ALPHABET.len() * ALPHABET.len();
    loop {
        let mut random = [0];
        getrandom::fill(&mut random).expect("the operating system gives random bytes");
        let index = usize::from(random[0]);
        if index < fair {
            return char::from(ALPHABET[index % ALPHABET.len()]);
        }
    }
}

const ALPHABET: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const GROUP: usize = 6;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_are_whole_and_differ() {
        let keys: HashSet<_> = (0..100).map(|_| stream_key().expose().to_owned()).collect();
        assert_eq!(keys.len(), 100);
        for key in keys {
            let groups: Vec<_> = key.split('-').map(str::len).collect();
            assert_eq!(groups, [GROUP; 4], "{key}");
        }
    }
}
