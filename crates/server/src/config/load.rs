//! Loading: the sources one after another over the defaults, and words for what is wrong in them.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    keys::{Config, KEYS, Key, Raw, SECTIONS},
    streams::{self, unknown},
};

/// Where the configuration comes from, weakest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// The file, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// Environment variables. Those that do not start with `MILLRACE_` are passed over.
    pub(crate) environment: Vec<(String, String)>,
    /// Settings from the command line, in its order.
    pub(crate) flags: Vec<Flag>,
}

/// A setting from the command line.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    /// As the user knows it: `--http`, `--set`.
    pub(crate) shown: &'static str,
    /// The key that it sets.
    pub(crate) path: String,
    /// The value, as text.
    pub(crate) value: String,
}

/// Everything that is wrong with the configuration, a line each.
#[derive(Debug, thiserror::Error)]
pub(crate) struct ConfigError {
    problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl Sources {
    /// Reads and checks all sources.
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        self.load_over(Config::default())
    }

    /// The same with other defaults.
    pub(crate) fn load_over(&self, defaults: Config) -> Result<Config, ConfigError> {
        let mut loader = Loader { config: defaults, problems: Vec::new() };
        if let Some(path) = &self.file {
            loader.file(path);
        }
        for (name, value) in &self.environment {
            loader.variable(name, value);
        }
        for flag in &self.flags {
            loader.flag(flag);
        }
        if loader.problems.is_empty() { Ok(loader.config) } else { Err(ConfigError { problems: loader.problems }) }
    }
}

impl Config {
    /// The keys in which `self` and `other` differ, those of `[[streams]]` left out.
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
        KEYS.iter().filter(|key| !(key.same)(self, other)).map(|key| key.path).collect()
    }
}

/// The valid name that looks most like `wrong`.
pub(super) fn nearest<'a>(wrong: &str, valid: impl Iterator<Item = &'a str>) -> &'a str {
    valid.min_by_key(|name| strsim::damerau_levenshtein(wrong, name)).expect("there is always a valid name")
}

struct Loader {
    config: Config,
    problems: Vec<String>,
}

impl Loader {
    fn file(&mut self, path: &Path) {
        let shown = path.display();
        match read(path) {
            Err(error) => self.problems.push(format!("{shown}: cannot be read: {error}")),
            Ok(text) => match DeTable::parse(&text) {
                Ok(table) => {
                    let mut found = Vec::new();
                    self.root(table.get_ref(), &mut found);
                    found.sort_by_key(|(at, _)| *at);
                    let placed =
                        found.iter().map(|(at, problem)| format!("{shown}:{}: {problem}", line_of(&text, *at)));
                    self.problems.extend(placed);
                }
                Err(error) => {
                    // The parser's own rendering repeats the line, and with it perhaps a key.
                    let line = line_of(&text, error.span().map_or(0, |span| span.start));
                    self.problems.push(format!("{shown}:{line}: {}", error.message().replace('\n', ", ")));
                }
            },
        }
    }

    fn root(&mut self, root: &DeTable<'_>, found: &mut Vec<streams::Complaint>) {
        for (name, value) in root {
            let at = name.span().start;
            let name = name.get_ref().as_ref();
            if name == STREAMS {
                self.config.streams = streams::read(value, found);
            } else if SECTIONS.iter().any(|(section, _)| *section == name) {
                match value.get_ref().as_table() {
                    Some(table) => self.section(name, table, found),
                    None => found.push((at, format!("{name}: expected a section, written [{name}]"))),
                }
            } else if find(name).is_some() {
                self.key(name, value, at, found);
            } else if value.get_ref().is_table() || value.get_ref().is_array() {
                let sections = SECTIONS.iter().map(|(section, _)| *section).chain([STREAMS]);
                let nearest = nearest(name, sections);
                let nearest = if nearest == STREAMS { "[[streams]]".to_owned() } else { format!("[{nearest}]") };
                found.push((at, format!("unknown section [{name}]; did you mean {nearest}?")));
            } else {
                found.push((at, unknown(name, nearest_key(name))));
            }
        }
    }

    fn section(&mut self, section: &str, table: &DeTable<'_>, found: &mut Vec<streams::Complaint>) {
        for (name, value) in table {
            self.key(&format!("{section}.{}", name.get_ref()), value, name.span().start, found);
        }
    }

    fn key(&mut self, path: &str, value: &Spanned<DeValue<'_>>, at: usize, found: &mut Vec<streams::Complaint>) {
        match find(path) {
            None => found.push((at, unknown(path, nearest_key(path)))),
            Some(key) => {
                if !(key.set)(&mut self.config, &Raw::Toml(value.get_ref())) {
                    let wrong = describe(value.get_ref());
                    found.push((value.span().start, format!("{path}: expected {}, found {wrong}", (key.expected)())));
                }
            }
        }
    }

    fn variable(&mut self, name: &str, value: &str) {
        let Some(rest) = name.strip_prefix(PREFIX) else { return };
        if rest == "STREAMS" {
            return self.streams_variable(name, value);
        }
        match KEYS.iter().find(|key| variable_name(key.path) == name) {
            Some(key) => self.text(key, name, value),
            None => {
                let all = KEYS.iter().map(|key| variable_name(key.path)).chain(OTHER_VARIABLES.map(str::to_owned));
                let near = all.min_by_key(|valid| strsim::damerau_levenshtein(name, valid)).expect("there are keys");
                // Without "__" it may be somebody else's: Kubernetes sets MILLRACE_PORT and the like for a service of
                // this name. Only what is all but ours is taken for a slip.
                let slip = rest.contains("__") || strsim::damerau_levenshtein(name, &near) <= SLIP;
                if slip && !OTHER_VARIABLES.contains(&name) {
                    self.problems.push(format!("environment: {}", unknown(name, near)));
                }
            }
        }
    }

    /// `MILLRACE_STREAMS` holds the array as the file would.
    fn streams_variable(&mut self, name: &str, value: &str) {
        let mut found = Vec::new();
        match DeValue::parse(value) {
            Ok(value) => self.config.streams = streams::read(&value, &mut found),
            Err(_) => found.push((0, STREAMS_EXPECTED.to_owned())),
        }
        self.problems.extend(found.into_iter().map(|(_, problem)| format!("environment {name}: {problem}")));
    }

    fn flag(&mut self, flag: &Flag) {
        match find(&flag.path) {
            Some(key) if flag.shown == SET => self.text(key, &format!("{SET} {}", flag.path), &flag.value),
            Some(key) => self.text(key, flag.shown, &flag.value),
            None if flag.path.split('.').next() == Some(STREAMS) => self.problems.push(format!(
                "{SET}: keys on the command line can be read by every user of the machine; \
                 put {STREAMS} into the file or MILLRACE_STREAMS"
            )),
            None => self.problems.push(format!("{SET}: {}", unknown(&flag.path, nearest_key(&flag.path)))),
        }
    }

    fn text(&mut self, key: &Key, place: &str, value: &str) {
        if !(key.set)(&mut self.config, &Raw::Text(value)) {
            self.problems.push(format!("{place}: expected {}, found {value:?}", (key.expected)()));
        }
    }
}

/// The environment variable of a key: `http.listen` is `MILLRACE_HTTP__LISTEN`.
pub(super) fn variable_name(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_uppercase())
}

fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The valid key most like `wrong`. A right name in the wrong section counts as near.
fn nearest_key(wrong: &str) -> &'static str {
    let split =
        |path: &str| path.rsplit_once('.').map_or((String::new(), path.to_owned()), |(s, n)| (s.into(), n.into()));
    let (section, name): (String, String) = split(wrong);
    let distance = |path: &str| {
        let (other_section, other_name) = split(path);
        2 * strsim::damerau_levenshtein(&name, &other_name) + strsim::damerau_levenshtein(&section, &other_section)
    };
    KEYS.iter().map(|key| key.path).min_by_key(|path| distance(path)).expect("there are keys")
}

fn read(path: &Path) -> io::Result<String> {
    let size = std::fs::metadata(path)?.len();
    if size > FILE_MAX {
        return Err(io::Error::other(format!("{size} bytes are no configuration")));
    }
    std::fs::read_to_string(path)
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count()
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

const PREFIX: &str = "MILLRACE_";
const STREAMS: &str = "streams";
const STREAMS_EXPECTED: &str = r#"expected an array such as [{app = "live", name = "movie", key = "…"}]"#;
const SET: &str = "--set";
/// Variables that are read elsewhere.
const OTHER_VARIABLES: [&str; 2] = ["MILLRACE_CONFIG", "MILLRACE_STREAMS"];
/// So many letters off is a slip of the pen.
const SLIP: usize = 3;
/// A configuration beyond this size is a mistake: somebody gave the wrong file.
const FILE_MAX: u64 = 1 << 20;

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
