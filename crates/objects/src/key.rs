use std::fmt;

/// The name of an object: 32 hexadecimal digits, a point, and an extension that says what it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// A key of 128 random bits, which nobody guesses.
    ///
    /// # Panics
    /// Where `extension` is none: 1 to 8 of a-z and 0-9.
    #[must_use]
    pub fn new(extension: &str) -> Self {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).expect("the operating system gives random bytes");
        let digits = u128::from_be_bytes(bits);
        Self::parse(&format!("{digits:032x}.{extension}")).expect("the extension is one")
    }

    /// Reads a key. `None` where the text is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, extension) = text.split_once('.')?;
        let is_key = digits.len() == DIGITS
            && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            && (1..=MAX_EXTENSION).contains(&extension.len())
            && extension.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z'));
        is_key.then(|| Self(text.to_owned()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the point.
    #[must_use]
    pub fn extension(&self) -> &str {
        &self.0[DIGITS + 1..]
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const DIGITS: usize = 32;
/// Letters of an extension.
const MAX_EXTENSION: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_else_is_a_key() {
        let key = Key::new("webp");
        assert_eq!(Key::parse(key.as_str()).as_ref(), Some(&key));
        assert_eq!(key.extension(), "webp");
        let digits = "0".repeat(32);
        for text in [
            "",
            ".",
            "a.jpg",
            &digits,
            &format!("{digits}."),
            &format!("{digits}.JPG"),
            &format!("{digits}.jpg.jpg"),
            &format!("{digits}.toolongext"),
            &format!("../{}.jpg", &digits[3..]),
            &format!("{digits}0.jpg"),
            &format!("{}é.jpg", &digits[2..]),
            &format!("{}G.jpg", &digits[1..]),
            &format!("{digits}./a"),
        ] {
            assert_eq!(Key::parse(text), None, "{text}");
        }
    }
}
