//! What names, passwords and other things of an account may look like. Each says in words what is wrong.

use crate::source::is_name;
use crate::{ErrorCode, Problem};

/// What is wrong with a field, as an answer.
pub(crate) fn incorrect(words: &'static str) -> Problem {
    Problem::new(ErrorCode::BadRequest, words)
}

/// A name to log in with: given in any case, kept in lower case.
pub(crate) fn handle(text: &str) -> Result<String, &'static str> {
    let handle = text.trim().to_lowercase();
    if !is_name(&handle) || !(MIN_HANDLE..=MAX_HANDLE).contains(&handle.len()) {
        return Err("handle must have 2 to 32 of the letters a-z, the digits, '_' and '-'");
    }
    if RESERVED.contains(&handle.as_str()) {
        return Err("handle is reserved; choose another");
    }
    Ok(handle)
}

/// A name for people.
pub(crate) fn display_name(text: &str) -> Result<&str, &'static str> {
    let text = text.trim();
    let length = text.chars().count();
    if (1..=MAX_DISPLAY_NAME).contains(&length) && !text.chars().any(char::is_control) {
        Ok(text)
    } else {
        Err("display_name must have 1 to 80 letters, and no control characters")
    }
}

/// A new password. Its length is what makes it hard to guess; nothing else is asked of it.
pub(crate) fn password(text: &str) -> Result<(), &'static str> {
    if text.chars().count() < MIN_PASSWORD {
        return Err("password must have at least 10 characters");
    }
    if text.len() > MAX_PASSWORD {
        return Err("password must have at most 512 bytes");
    }
    Ok(())
}

/// A few words about a person.
pub(crate) fn bio(text: &str) -> Result<&str, &'static str> {
    if text.chars().count() > MAX_BIO { Err("bio must have at most 1,000 letters") } else { Ok(text) }
}

/// An address to write to, kept in lower case: one may log in with it in any. Whether it is right is known once it is
/// confirmed.
pub(crate) fn email(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let plain = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control() || c == '@');
    match text.rsplit_once('@') {
        Some((name, host)) if text.len() <= MAX_EMAIL && plain(name) && plain(host) && host.contains('.') => {
            Ok(text.to_lowercase())
        }
        _ => Err("email is no e-mail address"),
    }
}

/// Longest password that is looked at when somebody logs in.
pub(crate) const MAX_PASSWORD: usize = 512;

const MIN_PASSWORD: usize = 10;
const MIN_HANDLE: usize = 2;
const MAX_HANDLE: usize = 32;
const MAX_DISPLAY_NAME: usize = 80;
const MAX_BIO: usize = 1000;
/// RFC 5321, 4.5.3.1.3.
const MAX_EMAIL: usize = 254;
/// Names that could be mistaken for the site itself, and pages of the studio, which has channels beside them.
const RESERVED: [&str; 12] = [
    "admin",
    "administrator",
    "moderator",
    "system",
    "support",
    "millrace",
    "official",
    "root",
    "me",
    "videos",
    "comments",
    "trash",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_and_what_is_refused() {
        assert_eq!(handle(" Ada_L "), Ok("ada_l".to_owned()));
        for bad in ["", "a", "a b", "ädä", "../x", "admin", "Root", &"a".repeat(33)] {
            assert!(handle(bad).is_err(), "{bad}");
        }
        assert_eq!(display_name(" Ada 李 "), Ok("Ada 李"));
        for bad in ["", "  ", "a\nb", "\u{0}", &"a".repeat(81)] {
            assert!(display_name(bad).is_err(), "{bad:?}");
        }
        assert!(password("ten letter").is_ok() && password("密码密码密码密码密码").is_ok());
        assert!(password("nine char").is_err() && password(&"a".repeat(513)).is_err());
        assert_eq!(email(" Ada@Example.ORG "), Ok("ada@example.org".to_owned()));
        for bad in ["", "ada", "@example.org", "ada@", "ada@host", "a b@example.org", "a@b@example.org", "a\r\n@b.c"] {
            assert!(email(bad).is_err(), "{bad:?}");
        }
        assert!(bio(&"字".repeat(1000)).is_ok() && bio(&"字".repeat(1001)).is_err());
    }
}
