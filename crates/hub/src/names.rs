use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest application or stream name, bytes.
pub const MAX_NAME: usize = 64;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no character.
    #[error("a name may not be empty")]
    Empty,
    /// It is too long.
    #[error("a name may have at most {MAX_NAME} characters, {0} found")]
    Long(usize),
    /// It has a character that names may not have.
    #[error("a name may have a-z, 0-9, '_' and '-' only, {0:?} found")]
    Character(char),
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Matches `[a-z0-9_-]{1,64}`, so that it is safe in URLs, logs and file names.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(s: &str) -> Result<Self, NameError> {
                check(s).map(|()| Self(s.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name! {
    /// The name of an RTMP application, `live` by custom.
    AppName
}
name! {
    /// The public name of a stream.
    StreamName
}

/// What a stream is called: application and name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// The application.
    pub app: AppName,
    /// The stream's public name.
    pub name: StreamName,
}

impl StreamId {
    /// Both parts, checked.
    ///
    /// # Errors
    /// When one of them is not a name.
    pub fn parse(app: &str, name: &str) -> Result<Self, NameError> {
        Ok(Self { app: app.parse()?, name: name.parse()? })
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.name)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn check(s: &str) -> Result<(), NameError> {
    if s.is_empty() {
        return Err(NameError::Empty);
    }
    if s.len() > MAX_NAME {
        return Err(NameError::Long(s.chars().count()));
    }
    match s.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '_' | '-')) {
        Some(c) => Err(NameError::Character(c)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_pass_and_names_that_do_not() {
        assert!(StreamId::parse("live", "a-b_0").is_ok());
        for bad in ["", "..", "a/b", "Movie", "a b", "a%2fb", "é", "a.flv", "\0"] {
            assert!(bad.parse::<StreamName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn name_length_limit() {
        assert!("a".repeat(MAX_NAME).parse::<AppName>().is_ok());
        assert!("a".repeat(MAX_NAME + 1).parse::<AppName>().is_err());
    }
}
