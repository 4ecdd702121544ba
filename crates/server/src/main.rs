//! The `millrace` binary: command line, configuration, and the wiring of hub, gateway and site.
//!
//! This is the only crate that knows all others. [`config`] is read once into types; [`serve`] binds every port before
//! anything starts, so that what is wrong is told at once and in words; [`wire`] puts the parts together.

mod backup;
mod check;
mod cli;
mod config;
mod demo;
mod ffmpeg;
mod greeting;
mod health;
mod limits;
mod log;
mod mail;
mod metrics;
mod notify;
mod ops;
mod ports;
mod secrets;
mod serve;
mod storage;
mod streams;
mod tls;
mod users;
mod videos;
mod wire;
mod work;

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

use crate::{
    cli::{Cli, Command, Settings, StorageCommand},
    config::{Config, ConfigError, Sources},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(settings) => finish(serve::serve(|| load(&settings), false)),
        Command::Demo(settings) => finish(serve::serve(|| load_for_demo(&settings), true)),
        Command::Worker(settings) => finish(load_for_worker(&settings).map_err(Into::into).and_then(work::work)),
        Command::Check(settings) => {
            let report = check::Report::new(&sources(&settings));
            print(&report);
            if report.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Command::Backup { file, settings } => {
            match load(&settings).map_err(Into::into).and_then(|config| backup::backup(&config, &file)) {
                Ok(done) => print(&done),
                Err(error) => finish(Err(error)),
            }
        }
        Command::Storage { command: StorageCommand::Move(arguments) } => {
            match load(&arguments.settings)
                .map_err(Into::into)
                .and_then(|config| storage::move_all(&config, &arguments))
            {
                Ok(done) => print(&done),
                Err(error) => finish(Err(error)),
            }
        }
        Command::User { command } => {
            tell(load(command.settings()).map_err(Into::into).and_then(|config| users::user(&config, &command)))
        }
        Command::Migrate(settings) => {
            tell(load(&settings).map_err(Into::into).and_then(|config| users::migrate(&config)))
        }
        Command::Openapi => print(&millrace_site::openapi()),
        Command::ConfigReference => print(&config::reference()),
    }
}

fn tell(done: Result<String, users::Error>) -> ExitCode {
    match done {
        Ok(words) => print(&words),
        Err(error) => finish(Err(error)),
    }
}

fn sources(settings: &Settings) -> Sources {
    let utf8 =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    settings.sources(utf8)
}

fn load(settings: &Settings) -> Result<Config, ConfigError> {
    sources(settings).load()
}

/// The demonstration keeps its data apart, unless told where.
fn load_for_demo(settings: &Settings) -> Result<Config, ConfigError> {
    let mut config = load(settings)?;
    if config.data_dir == Config::default().data_dir {
        config.data_dir.push("demo");
    }
    Ok(config)
}

/// A worker listens where it is told to, and nowhere else: the default is the server's.
fn load_for_worker(settings: &Settings) -> Result<Config, ConfigError> {
    let mut defaults = Config::default();
    defaults.ops.listen = None;
    sources(settings).load_over(defaults)
}

fn finish(result: Result<(), impl Display>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "millrace: {}", error.to_string().replace('\n', "\nmillrace: "));
            ExitCode::FAILURE
        }
    }
}

fn print(text: &impl Display) -> ExitCode {
    // A reader that has gone, as `head` does, is no failure.
    let _ = writeln!(io::stdout().lock(), "{}", text.to_string().trim_end());
    ExitCode::SUCCESS
}
