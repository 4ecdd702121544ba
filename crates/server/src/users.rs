//! `millrace user` and `millrace migrate`: the operator's hand on accounts and database, while the server runs or not.

use std::{fmt, io};

use millrace_site::{Accounts, OperatorError, ResetLink};
use millrace_store::{Role, Store};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    cli::{UserCommand, UserRole},
    config::{Config, ConfigError},
    greeting::as_host,
    serve::{ServeError, site_key},
    storage,
};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system gave no thread.
    #[error("the runtime does not start: {0}")]
    Runtime(io::Error),
    /// The site's key cannot be had.
    #[error(transparent)]
    Key(#[from] ServeError),
    /// The database cannot be used.
    #[error("database.url: {0}")]
    Database(#[from] millrace_store::Error),
    /// The place for files cannot be used.
    #[error("storage: {0}")]
    Storage(#[from] millrace_objects::Error),
    /// It cannot be done.
    #[error(transparent)]
    Operator(#[from] OperatorError),
}

/// Does what was asked; words for the operator.
pub(crate) fn user(config: &Config, command: &UserCommand) -> Result<String, Error> {
    with_accounts(config, async |accounts| match command {
        UserCommand::Add { handle, role, .. } => {
            let link = accounts.add_user(handle, role.role()).await?;
            Ok(format!("{handle} is made. To set the password, open\n{}", Shown { config, link }))
        }
        UserCommand::List(_) => {
            let mut text = format!("{:<32} {:<10} {:<9} {}", "NAME", "ROLE", "STATE", "LAST LOG IN");
            for user in accounts.list_users().await? {
                let last = user.last_login_at.map(|at| date(at.into())).unwrap_or_else(|| "never".to_owned());
                let (role, state) = (user.role.as_str(), user.state.as_str());
                text.push_str(&format!("\n{:<32} {role:<10} {state:<9} {last}", user.handle));
            }
            Ok(text)
        }
        UserCommand::SetRole { handle, role, .. } => {
            accounts.set_role(handle, role.role()).await?;
            Ok(format!("{handle} is {} now", role.role().as_str()))
        }
        UserCommand::ResetPassword { handle, second_factor, .. } => {
            if *second_factor {
                accounts.take_second_factor_away(handle).await?;
            }
            let link = accounts.reset_password(handle).await?;
            Ok(format!("To set a new password, open\n{}", Shown { config, link }))
        }
    })
}

/// Brings the database's tables to this version's form.
pub(crate) fn migrate(config: &Config) -> Result<String, Error> {
    with_accounts(config, async |_| Ok("the database has this version's form".to_owned()))
}

fn with_accounts(config: &Config, act: impl AsyncFnOnce(Accounts) -> Result<String, Error>) -> Result<String, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    runtime.block_on(async {
        crate::serve::make_data_directory(config)?;
        let store = Store::open(config.database.url.expose(), &config.data_dir).await?;
        let objects = storage::open(config)?;
        let accounts = Accounts::new(store.clone(), objects, &site_key(config)?, 1);
        let done = act(accounts).await;
        store.close().await;
        done
    })
}

/// A link with where the site is, as far as the configuration says.
struct Shown<'a> {
    config: &'a Config,
    link: ResetLink,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = || format!("http://{}", as_host(self.config.http.listen));
        let origin = self.config.site.public_url.as_ref().map_or_else(own, |url| url.as_str().to_owned());
        write!(f, "\n    {origin}{}\n\nIt works once, until {}.", self.link.path, date(self.link.expires_at.into()))
    }
}

fn date(at: OffsetDateTime) -> String {
    at.truncate_to_second().format(&Rfc3339).unwrap_or_default()
}

impl UserRole {
    fn role(self) -> Role {
        match self {
            Self::Viewer => Role::Viewer,
            Self::Creator => Role::Creator,
            Self::Moderator => Role::Moderator,
            Self::Admin => Role::Admin,
        }
    }
}
