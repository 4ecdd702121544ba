//! What the site writes to its users, where it can send mail: each letter is in the language of who caused it.

use std::net::IpAddr;

use millrace_store::{Action, At, Error, LinkKind, NewAuditEntry, NewLink, User};
use time::Duration;

use crate::accounts::secret::Secret;
use crate::i18n::Messages;
use crate::{Language, Site};

impl Site {
    /// Writes to whoever has that confirmed address, with a link to set a new password; to nobody where nobody has it.
    ///
    /// The caller does not wait, and learns nothing: neither words nor time tell whether there is such an account.
    pub(crate) fn send_password_link(&self, mailbox: String, from: IpAddr, language: Language) {
        let site = self.clone();
        tokio::spawn(async move {
            if let Err(error) = site.find_and_send_password_link(&mailbox, from, language).await {
                tracing::error!(%error, "the database failed; a lost password's link is not sent");
            }
        });
    }

    async fn find_and_send_password_link(&self, mailbox: &str, from: IpAddr, language: Language) -> Result<(), Error> {
        let Some(mail) = &self.accounts.mail else { return Ok(()) };
        let user = self.accounts.store.user_by_email(mailbox).await?;
        // Only a confirmed address is known to be theirs: one with a slip in it may be somebody else's.
        let Some(user) = user.filter(|user| user.email_verified_at.is_some()) else { return Ok(()) };
        let link = self.accounts.reset_link(&user.id, None, PASSWORD_LINK_LIFETIME).await?;
        let t = language.messages();
        let text = self.text(t, "mail.reset_text", &user.handle, &mail.link(&link.path));
        mail.send(mailbox, &self.subject(t, "mail.reset_subject"), text);
        let entry = NewAuditEntry {
            actor: "",
            action: Action::ResetPassword,
            subject: &user.handle,
            address: &from.to_string(),
            details: "by mail",
        };
        self.accounts.store.add_audit(&entry).await
    }

    /// Writes to a user's address with a link that confirms it. Earlier ones work no more.
    pub(crate) async fn send_confirmation(&self, user: &User, language: Language) -> Result<(), Error> {
        let (Some(mail), Some(address)) = (&self.accounts.mail, &user.email) else { return Ok(()) };
        let store = &self.accounts.store;
        store.delete_links(LinkKind::Email, Some(&user.id)).await?;
        let secret = Secret::new();
        let new = NewLink {
            kind: LinkKind::Email,
            token_hash: secret.hash(),
            user_id: Some(&user.id),
            created_by: None,
            subject: address,
            expires_at: At::now().plus(CONFIRMATION_LIFETIME),
        };
        store.create_link(&new).await?;
        let t = language.messages();
        let link = mail.link(&format!("/confirm?token={}", secret.expose()));
        let text = self.text(t, "mail.confirm_text", &user.handle, &link);
        mail.send(address, &self.subject(t, "mail.confirm_subject"), text);
        Ok(())
    }

    /// Tells the address that a user had confirmed that it no longer is theirs.
    pub(crate) fn send_address_changed(&self, handle: &str, address: &str, language: Language) {
        let Some(mail) = &self.accounts.mail else { return };
        let t = language.messages();
        let text = self.text(t, "mail.changed_text", handle, &mail.link("/"));
        mail.send(address, &self.subject(t, "mail.changed_subject"), text);
    }

    fn subject(&self, t: &Messages, key: &str) -> String {
        t.with(key, "site", self.name())
    }

    fn text(&self, t: &Messages, key: &str, handle: &str, link: &str) -> String {
        t.with(key, "name", handle).replace("{link}", link).replace("{site}", &self.name())
    }
}

/// A link that travels by mail: shorter than one that an administrator hands over.
const PASSWORD_LINK_LIFETIME: Duration = Duration::hours(1);
const CONFIRMATION_LIFETIME: Duration = Duration::hours(24);
