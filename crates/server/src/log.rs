//! The log, on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Config, LogFormat};

/// Starts logging as `config` says. A second call changes nothing.
pub(crate) fn start(config: &Config) {
    let filter = EnvFilter::new(config.log.level.as_str());
    let log = fmt().with_env_filter(filter).with_writer(io::stderr);
    // Only a second call fails, and then the log runs already.
    let _ = match config.log.format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
