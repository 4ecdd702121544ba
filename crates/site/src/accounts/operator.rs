//! What the operator does with accounts at the command line, while the server runs or not.

use millrace_store::{
    Action, At, Channel, Error, LinkKind, NewAuditEntry, NewChannel, NewLink, NewUser, PageRequest, Role, User, UserId,
    UserState,
};
use time::Duration;

use super::Accounts;
use super::rules;
use super::secret::Secret;
use crate::channels::{keys, rules as channel_rules};

/// A link to set a new password with. Whoever has it has the account.
pub struct ResetLink {
    /// Path and query on the site. A secret.
    pub path: String,
    /// When it no longer works.
    pub expires_at: At,
}

/// Why the operator's wish was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// There is no account of that name.
    #[error("there is no account {0:?}; `millrace user list` shows all")]
    NoSuchUser(String),
    /// What was given is not correct.
    #[error("{0}")]
    Incorrect(&'static str),
    /// The database failed, or refused.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Accounts {
    /// Makes a channel with its first stream key, which is a secret.
    pub(crate) async fn make_channel(
        &self,
        owner_id: &UserId,
        handle: &str,
        title: &str,
    ) -> Result<(Channel, String), Error> {
        let search_text = channel_rules::search_text(handle, title, "", "[]");
        let most = channel_rules::MAX_CHANNELS;
        let new = NewChannel { owner_id, handle, title, search_text: &search_text, most };
        let channel = self.store.create_channel(&new).await?;
        let (_, key) = keys::add(&self.store, &self.sealer, &channel.id, "", None).await?;
        self.channels.changed(handle).await?;
        Ok((channel, key))
    }

    /// Makes a link for that account, which works for so long; earlier ones work no more.
    pub(crate) async fn reset_link(
        &self,
        user: &UserId,
        by: Option<&UserId>,
        lifetime: Duration,
    ) -> Result<ResetLink, Error> {
        self.store.delete_links(LinkKind::PasswordReset, Some(user)).await?;
        let secret = Secret::new();
        let new = NewLink {
            kind: LinkKind::PasswordReset,
            token_hash: secret.hash(),
            user_id: Some(user),
            created_by: by,
            subject: "",
            expires_at: At::now().plus(lifetime),
        };
        let link = self.store.create_link(&new).await?;
        Ok(ResetLink { path: format!("/reset?token={}", secret.expose()), expires_at: link.expires_at })
    }

    /// Makes an account, and a link with which its owner sets the password.
    ///
    /// # Errors
    /// When the name is not one, or taken, or the database fails.
    pub async fn add_user(&self, handle: &str, role: Role) -> Result<ResetLink, OperatorError> {
        let handle = rules::handle(handle).map_err(OperatorError::Incorrect)?;
        let new = NewUser {
            handle: &handle,
            display_name: &handle,
            email: None,
            // No password has this hash.
            password_hash: "!",
            role,
            state: UserState::Active,
        };
        let user = self.store.create_user(&new).await?;
        self.note(Action::Register, &handle).await?;
        Ok(self.reset_link(&user.id, None, RESET_LIFETIME).await?)
    }

    /// Makes an administrator's account with that password, and takes the link to set up away.
    ///
    /// # Errors
    /// When name or password are not good, the name is taken, or the database fails.
    pub async fn add_administrator(&self, handle: &str, password: &str) -> Result<(), OperatorError> {
        rules::password(password).map_err(OperatorError::Incorrect)?;
        let handle = rules::handle(handle).map_err(OperatorError::Incorrect)?;
        let hash = self.passwords.hash(password.to_owned()).await;
        let hash = hash.map_err(|_| OperatorError::Incorrect("passwords cannot be hashed at present"))?;
        let new = NewUser {
            handle: &handle,
            display_name: &handle,
            email: None,
            password_hash: &hash,
            role: Role::Admin,
            state: UserState::Active,
        };
        self.store.create_user(&new).await?;
        self.store.delete_links(LinkKind::Setup, None).await?;
        self.note(Action::Setup, &handle).await?;
        Ok(())
    }

    /// A key to publish with to the channel of an account that has the account's handle. What there is not yet is made.
    ///
    /// # Errors
    /// When there is no account of that name, or the channel is another's, or the database fails.
    pub async fn key_of_channel(&self, handle: &str, title: &str) -> Result<String, OperatorError> {
        let user = self.find(handle).await?;
        let Some(channel) = self.store.channel_by_handle(&user.handle).await? else {
            let (_, key) = self.make_channel(&user.id, &user.handle, title).await?;
            self.note(Action::CreateChannel, &user.handle).await?;
            return Ok(key);
        };
        if channel.owner_id != user.id {
            return Err(OperatorError::Incorrect("the channel of this name is another account's"));
        }
        let keys = self.store.stream_keys_of(&channel.id).await?;
        let usable = keys.iter().filter(|key| key.expires_at.is_none());
        if let Some(key) = usable.filter_map(|key| keys::read(&self.sealer, key)).next() {
            return Ok(key);
        }
        let (_, key) = keys::add(&self.store, &self.sealer, &channel.id, "", None).await?;
        self.note(Action::ResetKey, &user.handle).await?;
        Ok(key)
    }

    /// Makes a link with which the owner of that account sets a new password.
    ///
    /// # Errors
    /// When there is none of that name, or the database fails.
    pub async fn reset_password(&self, handle: &str) -> Result<ResetLink, OperatorError> {
        let user = self.find(handle).await?;
        self.note(Action::ResetPassword, &user.handle).await?;
        Ok(self.reset_link(&user.id, None, RESET_LIFETIME).await?)
    }

    /// Takes the second factor of an account away, where it has one.
    ///
    /// # Errors
    /// When there is no account of that name, or the database fails.
    pub async fn take_second_factor_away(&self, handle: &str) -> Result<(), OperatorError> {
        let user = self.find(handle).await?;
        self.store.delete_totp(&user.id).await?;
        self.note(Action::ChangeSecondFactor, &user.handle).await?;
        self.sessions.forget(&user.id).await;
        Ok(())
    }

    /// Gives an account another role.
    ///
    /// # Errors
    /// When there is none of that name, it is the last administrator's, or the database fails.
    pub async fn set_role(&self, handle: &str, role: Role) -> Result<(), OperatorError> {
        let user = self.find(handle).await?;
        self.store.set_standing(&user.id, role, user.state).await?;
        self.note(Action::ChangeStanding, &user.handle).await?;
        self.sessions.forget(&user.id).await;
        Ok(())
    }

    /// All accounts, in the order in which they were made.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_users(&self) -> Result<Vec<User>, OperatorError> {
        let mut all = Vec::new();
        let mut page = PageRequest { limit: 100, after: None };
        loop {
            let found = self.store.users(None, &page).await?;
            all.extend(found.items);
            match found.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }

    /// Writes down what the operator did.
    async fn note(&self, action: Action, subject: &str) -> Result<(), Error> {
        let entry = NewAuditEntry { actor: "", action, subject, address: "", details: "command line" };
        self.store.add_audit(&entry).await
    }

    async fn find(&self, handle: &str) -> Result<User, OperatorError> {
        let handle = handle.trim().trim_start_matches('@').to_lowercase();
        self.store.user_by_handle(&handle).await?.ok_or(OperatorError::NoSuchUser(handle))
    }
}

/// A link that an administrator or the operator hands over.
pub(crate) const RESET_LIFETIME: Duration = Duration::hours(24);
