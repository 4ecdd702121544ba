//! The log, on standard error.

use std::{
    io::{self, IsTerminal},
    sync::OnceLock,
};

use tracing_subscriber::{EnvFilter, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt};

use crate::config::{Config, LogFormat};

/// Starts logging as `config` says. A second call changes nothing.
pub(crate) fn start(config: &Config) {
    let (filter, handle) = reload::Layer::new(filter(config));
    let log = fmt::layer().with_writer(io::stderr);
    let registry = Registry::default().with(filter);
    let started = match config.log.format {
        LogFormat::Text => registry.with(log.with_ansi(io::stderr().is_terminal()).with_target(false)).try_init(),
        LogFormat::Json => registry.with(log.json().flatten_event(true)).try_init(),
    };
    // Only a second call fails, and then the log runs already.
    if started.is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// From now on logs as much as `config` says.
pub(crate) fn set_level(config: &Config) {
    // It fails only where no log was started.
    let _ = FILTER.get().map(|handle| handle.reload(filter(config)));
}

fn filter(config: &Config) -> EnvFilter {
    EnvFilter::new(config.log.level.as_str())
}

static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();
