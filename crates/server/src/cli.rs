//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{Flag, Sources};

/// Live streaming: publish over RTMP, watch in a browser.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve.
    Serve(Settings),
    /// Serve, with a synthetic live channel to look at.
    Demo(Settings),
    /// Do work in the background alone, for a server that runs elsewhere: same database, same files.
    Worker(Settings),
    /// Say whether all is well for serving: configuration, ports, FFmpeg, disk, limits.
    Check(Settings),
    /// Copy the database to a new file, also while the server runs (SQLite).
    Backup {
        /// The file to be made.
        file: PathBuf,
        /// Where the database is.
        #[command(flatten)]
        settings: Settings,
    },
    /// See to the files that people uploaded.
    Storage {
        /// What to do.
        #[command(subcommand)]
        command: StorageCommand,
    },
    /// See to accounts, while the server runs or not.
    User {
        /// What to do.
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Bring the database to this version's form. Serving does it as well.
    Migrate(Settings),
    /// Print the OpenAPI description of the JSON API.
    Openapi,
    /// Print the reference page of the configuration.
    #[command(hide = true)]
    ConfigReference,
}

/// What to do with files.
#[derive(Debug, Subcommand)]
pub(crate) enum StorageCommand {
    /// Copy all files to another storage and compare them, while the server runs or not. Run again, it goes on where it was.
    Move(MoveArguments),
}

/// From where to where.
#[derive(Debug, Args)]
pub(crate) struct MoveArguments {
    /// Where the files are, as storage.url says it.
    #[arg(long, value_name = "URL")]
    pub(crate) from: String,
    /// Where they are to be, likewise.
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    /// Afterwards delete what was copied where it was. Not while storage.url still says that place.
    #[arg(long)]
    pub(crate) delete: bool,
    /// File with the access key of --from where it is not that of the configuration: its id and its secret, a line each.
    #[arg(long, value_name = "FILE")]
    pub(crate) from_credentials: Option<PathBuf>,
    /// Where the data directory is, and the access key.
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make an account; prints a link to set its password.
    Add {
        /// Name to log in with.
        handle: String,
        /// What it may do.
        #[arg(long, value_enum, default_value = "creator")]
        role: UserRole,
        /// Where the database is.
        #[command(flatten)]
        settings: Settings,
    },
    /// List all accounts.
    List(Settings),
    /// Give an account another role.
    SetRole {
        /// Name of the account.
        handle: String,
        /// What it may do.
        #[arg(value_enum)]
        role: UserRole,
        /// Where the database is.
        #[command(flatten)]
        settings: Settings,
    },
    /// Print a link with which an account's password is set anew.
    ResetPassword {
        /// Name of the account.
        handle: String,
        /// Also take the second factor away, for who has lost the application and the recovery codes.
        #[arg(long)]
        second_factor: bool,
        /// Where the database is.
        #[command(flatten)]
        settings: Settings,
    },
}

impl UserCommand {
    pub(crate) fn settings(&self) -> &Settings {
        match self {
            Self::Add { settings, .. }
            | Self::List(settings)
            | Self::SetRole { settings, .. }
            | Self::ResetPassword { settings, .. } => settings,
        }
    }
}

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum UserRole {
    /// Watches.
    Viewer,
    /// Has channels.
    Creator,
    /// Keeps order.
    Moderator,
    /// Runs the site.
    Admin,
}

/// Options that set configuration keys. Environment: MILLRACE_SECTION__KEY for each key.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Configuration file. Without it: ./millrace.toml, if there is one.
    #[arg(long, value_name = "FILE", env = "MILLRACE_CONFIG")]
    config: Option<PathBuf>,
    /// Directory for everything that is written (data_dir).
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Where browsers and players connect (http.listen).
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    /// Where encoders and RTMP players connect (rtmp.listen).
    #[arg(long, value_name = "ADDRESS")]
    rtmp: Option<String>,
    /// Where diagnostics answer (ops.listen).
    #[arg(long, value_name = "ADDRESS")]
    ops: Option<String>,
    /// Sets any other key, as in --set hls.window=8. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

impl Settings {
    /// The sources of the configuration, with `environment` as the environment.
    pub(crate) fn sources(&self, environment: impl Iterator<Item = (String, String)>) -> Sources {
        let default_file = PathBuf::from(DEFAULT_FILE);
        let file = self.config.clone().or_else(|| default_file.exists().then_some(default_file));
        let flag = |shown, path: &str, value: &Option<String>| {
            value.clone().map(|value| Flag { shown, path: path.to_owned(), value })
        };
        let own = [
            flag("--data-dir", "data_dir", &self.data_dir),
            flag("--http", "http.listen", &self.http),
            flag("--rtmp", "rtmp.listen", &self.rtmp),
            flag("--ops", "ops.listen", &self.ops),
        ];
        let set =
            self.set.iter().map(|(path, value)| Flag { shown: "--set", path: path.clone(), value: value.clone() });
        Sources { file, environment: environment.collect(), flags: own.into_iter().flatten().chain(set).collect() }
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (path, value) = text.split_once('=').ok_or("expected KEY=VALUE, such as hls.window=8")?;
    Ok((path.trim().to_owned(), value.trim().to_owned()))
}

/// Read where no other file is named.
pub(crate) const DEFAULT_FILE: &str = "millrace.toml";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_become_settings_and_leave_the_rest_unset() {
        let cli = Cli::try_parse_from(["millrace", "serve", "--rtmp", "[::1]:1", "--set", "hls.window = 8"]).unwrap();
        let Command::Serve(settings) = cli.command else { panic!("serve was asked for") };
        let flags: Vec<_> = settings.sources(std::iter::empty()).flags;
        let flags: Vec<_> = flags.iter().map(|flag| (flag.shown, flag.path.as_str(), flag.value.as_str())).collect();
        assert_eq!(flags, [("--rtmp", "rtmp.listen", "[::1]:1"), ("--set", "hls.window", "8")]);
    }

    #[test]
    fn what_is_no_assignment_is_refused() {
        let error = Cli::try_parse_from(["millrace", "serve", "--set", "hls.window"]).unwrap_err().to_string();
        assert!(error.contains("expected KEY=VALUE"), "{error}");
    }
}
