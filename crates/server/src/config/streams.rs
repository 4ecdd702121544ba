//! `[[streams]]`: which stream is published with which key.

use std::{collections::HashMap, fmt};

use millrace_gateway::RESERVED_APPS;
use millrace_hub::{StreamId, StreamName};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::value::Secret;

/// One entry of `[[streams]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamEntry {
    /// Application and public name.
    pub(crate) id: StreamId,
    /// What its publisher uses in place of the name.
    pub(crate) key: Secret,
}

/// The keys of an entry: name, default and meaning, for the loader and the reference page.
pub(crate) const STREAM_KEYS: &[(&str, Option<&str>, &str)] = &[
    (
        "app",
        Some("\"live\""),
        "RTMP application: the first part of the path. 1 to 64 of `a-z 0-9 _ -`, and not a path of the site such as `api`.",
    ),
    ("name", None, "Public name, under which it plays and is shown. 1 to 64 of `a-z 0-9 _ -`."),
    (
        "key",
        None,
        "Secret that its publisher uses in place of the name. 16 to 128 of `A-Z a-z 0-9 . _ ~ -`, not a name. \
         `millrace serve` without any stream prints a fresh one in a terminal.",
    ),
];

/// Something wrong in an entry: where in the text, and what.
pub(super) type Complaint = (usize, String);

/// Reads the array `streams`, collecting everything that is wrong with it.
pub(super) fn read(value: &Spanned<DeValue<'_>>, complaints: &mut Vec<Complaint>) -> Vec<StreamEntry> {
    let at = value.span().start;
    let Some(array) = value.get_ref().as_array() else {
        complaints.push((at, "streams: expected entries, each headed [[streams]]".to_owned()));
        return Vec::new();
    };
    let mut entries: Vec<(usize, StreamEntry)> = Vec::new();
    for item in array {
        let at = item.span().start;
        match item.get_ref().as_table() {
            Some(table) => entries.extend(read_entry(at, table, complaints).map(|entry| (at, entry))),
            None => complaints.push((at, "streams: expected a table with app, name and key".to_owned())),
        }
    }
    check_together(&entries, complaints);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn read_entry(at: usize, table: &DeTable<'_>, complaints: &mut Vec<Complaint>) -> Option<StreamEntry> {
    let before = complaints.len();
    for key in table.keys() {
        let known = STREAM_KEYS.iter().map(|(name, ..)| *name);
        if !known.clone().any(|name| name == key.get_ref()) {
            let nearest = format!("streams.{}", super::load::nearest(key.get_ref(), known));
            complaints.push((key.span().start, unknown(&format!("streams.{}", key.get_ref()), nearest)));
        }
    }
    let mut field = |name: &str, valid: fn(&str) -> bool, expected: &str| match table.get(name) {
        Some(value) => {
            let text = value.get_ref().as_str().filter(|text| valid(text));
            if text.is_none() {
                // What was found is not repeated: a key, or part of one, may stand in the wrong place.
                complaints.push((value.span().start, format!("streams.{name}: expected {expected}")));
            }
            text.map(str::to_owned)
        }
        None if name == "app" => Some(DEFAULT_APP.to_owned()),
        None => {
            complaints.push((at, format!("streams.{name} is missing: expected {expected}")));
            None
        }
    };
    let app = field("app", is_app, APP_EXPECTED);
    let name = field("name", is_name, NAME_EXPECTED);
    let key = field("key", is_key, KEY_EXPECTED).map(Secret::new);
    let id = StreamId::parse(&app?, &name?).ok()?;
    (complaints.len() == before).then_some(StreamEntry { id, key: key? })
}

/// What one entry alone cannot tell: two with one name, one key for two, a key that is somebody's public name.
fn check_together(entries: &[(usize, StreamEntry)], complaints: &mut Vec<Complaint>) {
    let mut names = HashMap::new();
    let mut keys = HashMap::new();
    for (at, entry) in entries {
        if names.insert(&entry.id, *at).is_some() {
            complaints.push((*at, format!("streams: {entry} is already configured")));
        }
        if let Some(other) = keys.insert(entry.key.expose(), entry) {
            complaints.push((*at, format!("streams: {entry} has the same key as {other}; give each its own")));
        }
    }
    for (at, entry) in entries {
        if let Some((_, other)) = entries.iter().find(|(_, other)| other.id.name.as_str() == entry.key.expose()) {
            complaints
                .push((*at, format!("streams: the key of {entry} is the public name of {other}; make it a secret")));
        }
    }
}

impl fmt::Display for StreamEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

/// The words for an unknown key.
pub(super) fn unknown(key: &str, nearest: impl fmt::Display) -> String {
    format!("unknown key {key}; did you mean {nearest}?")
}

/// The site's own paths come first, so an application of such a name could not be watched.
fn is_app(text: &str) -> bool {
    is_name(text) && !RESERVED_APPS.contains(&text)
}

fn is_name(text: &str) -> bool {
    text.parse::<StreamName>().is_ok()
}

/// Keys stand in URLs and encoder settings, so they keep to the characters that need no escape there.
fn is_key(text: &str) -> bool {
    (KEY_MIN..=KEY_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-'))
}

const DEFAULT_APP: &str = "live";
const APP_EXPECTED: &str = "1 to 64 of a-z 0-9 _ -, and not the first part of a path of the site such as api";
const NAME_EXPECTED: &str = "1 to 64 of a-z 0-9 _ -";
/// Shorter keys can be guessed.
const KEY_MIN: usize = 16;
const KEY_MAX: usize = 128;
const KEY_EXPECTED: &str = "a secret of 16 to 128 characters of A-Z a-z 0-9 . _ ~ -";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hold_at_their_limits() {
        assert!(is_key(&"k".repeat(16)) && is_key(&"K".repeat(128)));
        assert!(!is_key(&"k".repeat(15)) && !is_key(&"k".repeat(129)) && !is_key("a-key-with-a?query"));
    }
}
