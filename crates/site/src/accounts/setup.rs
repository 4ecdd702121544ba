//! The first start: a link that makes the administrator.

use millrace_store::{At, Error, LinkKind, NewLink};
use time::Duration;

use super::Accounts;
use super::secret::Secret;

/// The path and query of a link that makes the administrator's account. Whoever has it can take the site over: it is
/// shown once, to the operator.
pub struct SetupLink(String);

impl SetupLink {
    /// Its text, such as `/setup?token=…`.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SetupLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SetupLink(…)")
    }
}

impl Accounts {
    /// A link to set the site up with, while it has no account. Earlier ones work no more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn setup_link(&self) -> Result<Option<SetupLink>, Error> {
        if self.store.has_users().await? {
            return Ok(None);
        }
        self.store.delete_links(LinkKind::Setup, None).await?;
        let secret = Secret::new();
        let new = NewLink {
            kind: LinkKind::Setup,
            token_hash: secret.hash(),
            user_id: None,
            created_by: None,
            subject: "",
            expires_at: At::now().plus(Duration::days(7)),
        };
        self.store.create_link(&new).await?;
        Ok(Some(SetupLink(format!("/setup?token={}", secret.expose()))))
    }
}
