//! What stands for somebody, or for a channel, beside the name.

use std::fmt;

use askama::filters::HtmlSafe;

/// The picture, or the first letter of the name where there is none. For the eye only: the name stands beside it.
#[derive(Debug, Clone, Default)]
pub(super) struct Avatar {
    /// Address of the picture.
    url: Option<String>,
    initial: String,
}

impl Avatar {
    /// That of `name`, whose picture is at `url`.
    pub(super) fn new(name: &str, url: Option<String>) -> Self {
        Self { url, initial: initial(name) }
    }

    /// That of `name`, whose picture has that key.
    pub(super) fn of(name: &str, key: Option<&str>) -> Self {
        Self::new(name, key.map(crate::pictures::url))
    }

    /// Whether there is a picture.
    pub(super) fn is_picture(&self) -> bool {
        self.url.is_some()
    }
}

impl fmt::Display for Avatar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.url {
            Some(url) => write!(f, r#"<img src="{url}" alt="" width="256" height="256" decoding="async">"#),
            None => f.write_str(&self.initial),
        }
    }
}

/// An address of a picture and a letter hold nothing that HTML would take for its own.
impl HtmlSafe for Avatar {}

fn initial(name: &str) -> String {
    name.chars()
        .find(|letter| letter.is_alphanumeric())
        .map(|letter| letter.to_uppercase().to_string())
        .unwrap_or_default()
}
