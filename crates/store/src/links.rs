//! Links that work once.

use crate::db::{rows, run};
use crate::error::found;
use crate::texts::texts;
use crate::{At, Error, Hash, LinkId, Page, PageRequest, Store, UserId};

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// The first administrator's account.
    Setup,
    /// Somebody may register.
    Invitation,
    /// Its user may set a new password.
    PasswordReset,
    /// Its user has the address that is the link's subject.
    Email,
}

texts!(LinkKind { Setup = "setup", Invitation = "invitation", PasswordReset = "password-reset", Email = "email" });

/// A link that was given out.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Link {
    /// Its id, which is no secret.
    pub id: LinkId,
    /// What it is for.
    #[sqlx(try_from = "String")]
    pub kind: LinkKind,
    /// SHA-256 of its token.
    pub token_hash: Vec<u8>,
    /// Whose account it is about.
    pub user_id: Option<UserId>,
    /// Who made it.
    pub created_by: Option<UserId>,
    /// What it is about beside that: an address, or a note.
    pub subject: String,
    /// When it was made.
    pub created_at: At,
    /// When it no longer works.
    pub expires_at: At,
}

/// A link to be made.
#[derive(Debug, Clone)]
pub struct NewLink<'a> {
    /// See [`Link::kind`].
    pub kind: LinkKind,
    /// See [`Link::token_hash`].
    pub token_hash: Hash,
    /// See [`Link::user_id`].
    pub user_id: Option<&'a UserId>,
    /// See [`Link::created_by`].
    pub created_by: Option<&'a UserId>,
    /// See [`Link::subject`].
    pub subject: &'a str,
    /// See [`Link::expires_at`].
    pub expires_at: At,
}

impl Store {
    /// Makes a link.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_link(&self, new: &NewLink<'_>) -> Result<Link, Error> {
        Ok(rows!(
            self.pool,
            fetch_one,
            Link,
            "INSERT INTO links (id, kind, token_hash, user_id, created_by, subject, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *",
            LinkId::new(),
            new.kind.as_str(),
            new.token_hash.as_slice(),
            new.user_id,
            new.created_by,
            new.subject,
            At::now(),
            new.expires_at,
        )?)
    }

    /// A link that works, without using it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn link(&self, kind: LinkKind, hash: &Hash) -> Result<Option<Link>, Error> {
        let sql = "SELECT * FROM links WHERE token_hash = $1 AND kind = $2 AND expires_at > $3";
        Ok(rows!(self.pool, fetch_optional, Link, sql, hash.as_slice(), kind.as_str(), At::now())?)
    }

    /// Uses a link, which then works no more. Of several who try at once, one gets it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_link(&self, kind: LinkKind, hash: &Hash) -> Result<Option<Link>, Error> {
        let sql = "DELETE FROM links WHERE token_hash = $1 AND kind = $2 AND expires_at > $3 RETURNING *";
        Ok(rows!(self.pool, fetch_optional, Link, sql, hash.as_slice(), kind.as_str(), At::now())?)
    }

    /// Gives back a link that was taken for nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn restore_link(&self, link: &Link) -> Result<(), Error> {
        run!(
            self.pool,
            "INSERT INTO links (id, kind, token_hash, user_id, created_by, subject, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &link.id,
            link.kind.as_str(),
            link.token_hash.as_slice(),
            link.user_id.as_ref(),
            link.created_by.as_ref(),
            &link.subject,
            link.created_at,
            link.expires_at,
        )?;
        Ok(())
    }

    /// The links of a kind that work, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn links(&self, kind: LinkKind, page: &PageRequest) -> Result<Page<Link>, Error> {
        let sql = "SELECT * FROM links WHERE kind = $1 AND expires_at > $2 AND id < $3 ORDER BY id DESC LIMIT $4";
        let links = rows!(self.pool, fetch_all, Link, sql, kind.as_str(), At::now(), page.below(), page.rows())?;
        Ok(page.page(links, |link| link.id.as_str()))
    }

    /// Takes a link back.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_link(&self, kind: LinkKind, id: &LinkId) -> Result<(), Error> {
        found(run!(self.pool, "DELETE FROM links WHERE id = $1 AND kind = $2", id, kind.as_str())?)
    }

    /// Takes back all links of a kind: those for a user where it is given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_links(&self, kind: LinkKind, user: Option<&UserId>) -> Result<(), Error> {
        match user {
            Some(user) => run!(self.pool, "DELETE FROM links WHERE kind = $1 AND user_id = $2", kind.as_str(), user)?,
            None => run!(self.pool, "DELETE FROM links WHERE kind = $1", kind.as_str())?,
        };
        Ok(())
    }

    /// Removes the links that no longer work; how many there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_expired_links(&self, now: At) -> Result<u64, Error> {
        Ok(run!(self.pool, "DELETE FROM links WHERE expires_at <= $1", now)?)
    }
}
