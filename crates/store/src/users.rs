//! Accounts.

use crate::comments::forget_comments_of;
use crate::db::{rows, rows_in, run, run_in};
use crate::error::found;
use crate::texts::texts;
use crate::{At, Error, Hash, LinkKind, Page, PageRequest, Store, UserId};

/// What somebody may do, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Watches, follows, comments.
    Viewer,
    /// Has channels.
    Creator,
    /// Keeps order.
    Moderator,
    /// Runs the site.
    Admin,
}

/// Whether an account can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserState {
    /// It can.
    Active,
    /// It waits for an administrator's approval.
    Pending,
    /// An administrator has locked it.
    Disabled,
}

/// An account.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The name to log in with, and shown with `@`; lower case.
    pub handle: String,
    /// The name that others see.
    pub display_name: String,
    /// Where to write to.
    pub email: Option<String>,
    /// When that address was confirmed.
    pub email_verified_at: Option<At>,
    /// Argon2id, in PHC form.
    pub password_hash: String,
    /// What it may do.
    #[sqlx(try_from = "String")]
    pub role: Role,
    /// Whether it can be used.
    #[sqlx(try_from = "String")]
    pub state: UserState,
    /// A few words about the person.
    pub bio: String,
    /// Name of the picture.
    pub avatar: Option<String>,
    /// The secret of the second factor, sealed.
    pub totp_secret: Option<Vec<u8>>,
    /// The newest step of time whose code was taken: no code is good twice.
    pub totp_step: i64,
    /// Rises with every change of the profile.
    pub version: i64,
    /// When it was made.
    pub created_at: At,
    /// When somebody logged in last.
    pub last_login_at: Option<At>,
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewUser<'a> {
    /// See [`User::handle`].
    pub handle: &'a str,
    /// See [`User::display_name`].
    pub display_name: &'a str,
    /// See [`User::email`].
    pub email: Option<&'a str>,
    /// See [`User::password_hash`].
    pub password_hash: &'a str,
    /// See [`User::role`].
    pub role: Role,
    /// See [`User::state`].
    pub state: UserState,
}

/// What its owner changes of an account; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Profile<'a> {
    /// See [`User::handle`].
    pub handle: Option<&'a str>,
    /// See [`User::display_name`].
    pub display_name: Option<&'a str>,
    /// See [`User::bio`].
    pub bio: Option<&'a str>,
    /// See [`User::avatar`].
    pub avatar: Option<Option<&'a str>>,
}

/// Which accounts.
#[derive(Debug, Clone, Copy, Default)]
pub struct UserFilter<'a> {
    /// In the handle, the name that others see, or the address; all where it is empty.
    pub words: &'a str,
    /// Those of this role.
    pub role: Option<Role>,
    /// Those in this state.
    pub state: Option<UserState>,
}

impl Store {
    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::Taken`] where the handle or the address is somebody else's.
    pub async fn create_user(&self, new: &NewUser<'_>) -> Result<User, Error> {
        rows!(
            self.pool,
            fetch_one,
            User,
            "INSERT INTO users (id, handle, display_name, email, password_hash, role, state, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *",
            UserId::new(),
            new.handle,
            new.display_name,
            new.email,
            new.password_hash,
            new.role.as_str(),
            new.state.as_str(),
            At::now(),
        )
        .map_err(taken)
    }

    /// One account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user(&self, id: &UserId) -> Result<Option<User>, Error> {
        Ok(rows!(self.pool, fetch_optional, User, "SELECT * FROM users WHERE id = $1", id)?)
    }

    /// The account with that handle.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user_by_handle(&self, handle: &str) -> Result<Option<User>, Error> {
        Ok(rows!(self.pool, fetch_optional, User, "SELECT * FROM users WHERE handle = $1", handle)?)
    }

    /// The account with that confirmed or unconfirmed address.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>, Error> {
        Ok(rows!(self.pool, fetch_optional, User, "SELECT * FROM users WHERE email = $1", email)?)
    }

    /// The accounts, the newest first; only those in `state` where it is given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn users(&self, state: Option<UserState>, page: &PageRequest) -> Result<Page<User>, Error> {
        self.find_users(&UserFilter { state, ..UserFilter::default() }, page).await
    }

    /// The accounts that `filter` lets through, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_users(&self, filter: &UserFilter<'_>, page: &PageRequest) -> Result<Page<User>, Error> {
        let (role, state) = (filter.role.map_or("", Role::as_str), filter.state.map_or("", UserState::as_str));
        let pattern = contains(filter.words);
        let (below, count) = (page.below(), page.rows());
        // A state narrows most, and has an index.
        let found = match filter.state {
            Some(_) => rows!(
                self.pool,
                fetch_all,
                User,
                "SELECT * FROM users
                 WHERE state = $1 AND ($2 = '' OR role = $2) AND id < $4
                   AND (lower(handle) LIKE $3 ESCAPE '!' OR lower(display_name) LIKE $3 ESCAPE '!'
                        OR lower(email) LIKE $3 ESCAPE '!')
                 ORDER BY id DESC LIMIT $5",
                state,
                role,
                &pattern,
                below,
                count,
            ),
            None => rows!(
                self.pool,
                fetch_all,
                User,
                "SELECT * FROM users
                 WHERE ($1 = '' OR role = $1) AND id < $3
                   AND (lower(handle) LIKE $2 ESCAPE '!' OR lower(display_name) LIKE $2 ESCAPE '!'
                        OR lower(email) LIKE $2 ESCAPE '!')
                 ORDER BY id DESC LIMIT $4",
                role,
                &pattern,
                below,
                count,
            ),
        };
        Ok(page.page(found?, |user| user.id.as_str()))
    }

    /// Whether there is any account: a site without one is to be set up.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_users(&self) -> Result<bool, Error> {
        Ok(rows!(self.pool, fetch_optional, (i64,), "SELECT CAST(1 AS BIGINT) FROM users LIMIT 1")?.is_some())
    }

    /// Changes a profile that is still at `version`.
    ///
    /// # Errors
    /// [`Error::Changed`] where it no longer is, [`Error::NotFound`], [`Error::Taken`].
    pub async fn update_profile(&self, id: &UserId, version: i64, change: &Profile<'_>) -> Result<User, Error> {
        let mut tx = self.begin().await?;
        let user = rows_in!(tx, fetch_optional, User, "SELECT * FROM users WHERE id = $1", id)?;
        let user = user.ok_or(Error::NotFound)?;
        let changed = rows_in!(
            tx,
            fetch_optional,
            User,
            "UPDATE users SET handle = $1, display_name = $2, bio = $3, avatar = $4, version = version + 1
             WHERE id = $5 AND version = $6 RETURNING *",
            change.handle.unwrap_or(&user.handle),
            change.display_name.unwrap_or(&user.display_name),
            change.bio.unwrap_or(&user.bio),
            change.avatar.unwrap_or(user.avatar.as_deref()),
            id,
            version,
        )
        .map_err(taken)?;
        let changed = changed.ok_or(Error::Changed)?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Sets another password by a link for that, and all at once: the link and all others of the kind are spent, the
    /// sessions and personal tokens of the account end, for whoever had the password may have them. The account; `None`,
    /// and nothing is changed, where the link is not or no longer good.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reset_password(&self, link: &Hash, password_hash: &str) -> Result<Option<User>, Error> {
        let mut tx = self.begin().await?;
        let sql = "SELECT user_id FROM links WHERE token_hash = $1 AND kind = $2 AND expires_at > $3";
        let (kind, now) = (LinkKind::PasswordReset.as_str(), At::now());
        let found = rows_in!(tx, fetch_optional, (Option<String>,), sql, link.as_slice(), kind, now)?;
        let Some((Some(id),)) = found else { return Ok(None) };
        // The account first: two of its links at once go one after the other, and the second finds its own spent.
        let sql = "UPDATE users SET password_hash = $1 WHERE id = $2 RETURNING *";
        let user = rows_in!(tx, fetch_optional, User, sql, password_hash, &id)?;
        let sql = "DELETE FROM links WHERE token_hash = $1 AND kind = $2";
        if run_in!(tx, sql, link.as_slice(), kind)? == 0 {
            return Ok(None);
        }
        run_in!(tx, "DELETE FROM links WHERE user_id = $1 AND kind = $2", &id, kind)?;
        run_in!(tx, "DELETE FROM sessions WHERE user_id = $1", &id)?;
        run_in!(tx, "DELETE FROM api_tokens WHERE user_id = $1", &id)?;
        tx.commit().await?;
        Ok(user)
    }

    /// Sets another password.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn set_password(&self, id: &UserId, hash: &str) -> Result<(), Error> {
        found(run!(self.pool, "UPDATE users SET password_hash = $1 WHERE id = $2", hash, id)?)
    }

    /// Notes that somebody logged in.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn logged_in(&self, id: &UserId) -> Result<(), Error> {
        run!(self.pool, "UPDATE users SET last_login_at = $1 WHERE id = $2", At::now(), id)?;
        Ok(())
    }

    /// Sets another address, or none: it is not confirmed. Links that were sent to the one before work no more.
    ///
    /// # Errors
    /// [`Error::Taken`] where it is somebody else's, [`Error::NotFound`].
    pub async fn set_email(&self, id: &UserId, email: Option<&str>) -> Result<User, Error> {
        let mut tx = self.begin().await?;
        let sql =
            "UPDATE users SET email = $1, email_verified_at = NULL, version = version + 1 WHERE id = $2 RETURNING *";
        let user = rows_in!(tx, fetch_optional, User, sql, email, id).map_err(taken)?.ok_or(Error::NotFound)?;
        let sql = "DELETE FROM links WHERE user_id = $1 AND kind IN ($2, $3)";
        run_in!(tx, sql, id, LinkKind::Email.as_str(), LinkKind::PasswordReset.as_str())?;
        tx.commit().await?;
        Ok(user)
    }

    /// The address `email` of an account is confirmed; false where it has another one by now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn confirm_email(&self, id: &UserId, email: &str) -> Result<bool, Error> {
        let sql = "UPDATE users SET email_verified_at = $1, version = version + 1 WHERE id = $2 AND email = $3";
        Ok(run!(self.pool, sql, At::now(), id, email)? > 0)
    }

    /// Gives an account another role or state. The site keeps at least one administrator that can log in.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::LastAdministrator`].
    pub async fn set_standing(&self, id: &UserId, role: Role, state: UserState) -> Result<User, Error> {
        self.standing(id, None, role, state).await
    }

    /// As [`Store::set_standing`], for an account that is still at `version`.
    ///
    /// # Errors
    /// [`Error::Changed`] where it no longer is, or is gone; [`Error::LastAdministrator`].
    pub async fn change_standing(
        &self,
        id: &UserId,
        version: i64,
        role: Role,
        state: UserState,
    ) -> Result<User, Error> {
        self.standing(id, Some(version), role, state).await
    }

    async fn standing(&self, id: &UserId, version: Option<i64>, role: Role, state: UserState) -> Result<User, Error> {
        let mut tx = self.begin().await?;
        hold_administrators(&mut tx).await?;
        let user = rows_in!(
            tx,
            fetch_optional,
            User,
            "UPDATE users SET role = $1, state = $2, version = version + 1
             WHERE id = $3 AND ($4 = 0 OR version = $4) RETURNING *",
            role.as_str(),
            state.as_str(),
            id,
            version.unwrap_or(0),
        )?;
        let user = user.ok_or(if version.is_some() { Error::Changed } else { Error::NotFound })?;
        has_administrator(&mut tx).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// Deletes an account with its sessions, tokens, comments, channels and their keys.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::LastAdministrator`].
    pub async fn delete_user(&self, id: &UserId) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        hold_administrators(&mut tx).await?;
        run_in!(
            tx,
            "INSERT INTO garbage (object_key, added_at)
             SELECT object_key, $1 FROM files JOIN videos ON videos.id = files.video_id
             JOIN channels ON channels.id = videos.channel_id
             WHERE channels.owner_id = $2 ON CONFLICT DO NOTHING",
            At::now(),
            id,
        )?;
        forget_comments_of(&mut tx, id).await?;
        found(run_in!(tx, "DELETE FROM users WHERE id = $1", id)?)?;
        has_administrator(&mut tx).await?;
        tx.commit().await
    }

    /// Sets the second factor, sealed, of an account that has none: with its recovery codes and the step of time whose
    /// code was taken.
    ///
    /// # Errors
    /// [`Error::Changed`] where it has one, [`Error::NotFound`] where there is no such account.
    pub async fn set_totp(&self, id: &UserId, sealed: &[u8], step: i64, recovery: &[Hash]) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE users SET totp_secret = $1, totp_step = $2 WHERE id = $3 AND totp_secret IS NULL";
        if run_in!(tx, sql, sealed, step, id)? == 0 {
            let there = rows_in!(tx, fetch_optional, (String,), "SELECT id FROM users WHERE id = $1", id)?;
            return Err(if there.is_some() { Error::Changed } else { Error::NotFound });
        }
        for code in recovery {
            run_in!(tx, "INSERT INTO recovery_codes (user_id, code_hash) VALUES ($1, $2)", id, code.as_slice())?;
        }
        tx.commit().await
    }

    /// Takes the second factor and its recovery codes away.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_totp(&self, id: &UserId) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE users SET totp_secret = NULL, totp_step = 0 WHERE id = $1";
        found(run_in!(tx, sql, id)?)?;
        run_in!(tx, "DELETE FROM recovery_codes WHERE user_id = $1", id)?;
        tx.commit().await
    }

    /// Takes the code of a step of time; false where it, or a later one, was taken before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_totp_step(&self, id: &UserId, step: i64) -> Result<bool, Error> {
        Ok(run!(self.pool, "UPDATE users SET totp_step = $1 WHERE id = $2 AND totp_step < $1", step, id)? > 0)
    }

    /// Takes a recovery code; false where there is none such, or not any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_recovery_code(&self, id: &UserId, code: &Hash) -> Result<bool, Error> {
        let sql = "DELETE FROM recovery_codes WHERE user_id = $1 AND code_hash = $2";
        Ok(run!(self.pool, sql, id, code.as_slice())? > 0)
    }
}

/// Two who take each other's role away at once go one after the other, so that one of them stays.
async fn hold_administrators(tx: &mut crate::db::Tx) -> Result<(), Error> {
    run_in!(*tx, "UPDATE users SET version = version WHERE role = 'admin'")?;
    Ok(())
}

async fn has_administrator(tx: &mut crate::db::Tx) -> Result<(), Error> {
    let sql = "SELECT CAST(1 AS BIGINT) FROM users WHERE role = 'admin' AND state = 'active' LIMIT 1";
    match rows_in!(*tx, fetch_optional, (i64,), sql)? {
        Some(_) => Ok(()),
        None => Err(Error::LastAdministrator),
    }
}

/// A pattern for LIKE that finds `words` within lower-case text.
fn contains(words: &str) -> String {
    let mut pattern = "%".to_owned();
    for letter in words.trim().to_lowercase().chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

fn taken(error: sqlx::Error) -> Error {
    Error::taken(error, |named| if named.contains("email") { "the e-mail address" } else { "the name" })
}

texts!(Role { Viewer = "viewer", Creator = "creator", Moderator = "moderator", Admin = "admin" });
texts!(UserState { Active = "active", Pending = "pending", Disabled = "disabled" });
