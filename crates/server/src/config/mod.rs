//! The configuration: `millrace.toml`, the environment and the command line, in rising order of precedence.
//!
//! [`keys`] declares every key once; loading, messages and the reference page follow from it. Each source sets only
//! the keys that it names, so a source can never reset what a weaker one has set. All problems are reported at once,
//! each with its place.

mod keys;
mod load;
mod reference;
mod streams;
mod value;

pub(crate) use keys::Config;
pub(crate) use load::{ConfigError, Flag, Sources};
pub(crate) use reference::reference;
#[cfg(test)]
pub(crate) use streams::StreamEntry;
pub(crate) use value::{Language, LogFormat, Secret};
