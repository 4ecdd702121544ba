//! What was done that concerns security: who, what, to whom, whence, when.

use crate::db::{Tx, rows, run, run_in};
use crate::texts::texts;
use crate::{At, AuditId, Error, Page, PageRequest, Store};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// The site was set up.
    Setup,
    /// Somebody logged in.
    LogIn,
    /// A log in was refused.
    LogInRefused,
    /// Somebody logged out.
    LogOut,
    /// A session was ended, or all of a user's.
    EndSession,
    /// Somebody registered.
    Register,
    /// A password was changed.
    ChangePassword,
    /// A link to set a new password was made.
    ResetPassword,
    /// An e-mail address was set, taken away or confirmed.
    ChangeEmail,
    /// A second factor was set or taken away.
    ChangeSecondFactor,
    /// A token for the API was made.
    CreateToken,
    /// A token for the API was ended.
    DeleteToken,
    /// A role or state was changed.
    ChangeStanding,
    /// An account was deleted.
    DeleteUser,
    /// An invitation was made.
    Invite,
    /// An invitation was taken back.
    Uninvite,
    /// A channel was made.
    CreateChannel,
    /// A channel was deleted.
    DeleteChannel,
    /// A channel's visibility was changed.
    ChangeVisibility,
    /// A moderator changed or took away a picture of somebody else.
    ChangePicture,
    /// A moderator changed a video of somebody else.
    ChangeVideo,
    /// A video was put into the trash.
    TrashVideo,
    /// A video was taken out of the trash.
    RestoreVideo,
    /// A moderator decided on a video.
    ReviewVideo,
    /// A moderator deleted a comment of somebody else.
    DeleteComment,
    /// Reports of a video were closed.
    CloseReports,
    /// A job was to be done again.
    RetryJob,
    /// A job was cancelled.
    CancelJob,
    /// A timer was run out of its time.
    RunTimer,
    /// A stream key was made or reset.
    ResetKey,
    /// A stream key was deleted.
    DeleteKey,
    /// A publisher or player was disconnected.
    Kick,
    /// The site's settings were changed.
    ChangeSettings,
}

texts!(Action {
    Setup = "setup",
    LogIn = "log-in",
    LogInRefused = "log-in-refused",
    LogOut = "log-out",
    EndSession = "end-session",
    Register = "register",
    ChangePassword = "change-password",
    ResetPassword = "reset-password",
    ChangeEmail = "change-email",
    ChangeSecondFactor = "change-second-factor",
    CreateToken = "create-token",
    DeleteToken = "delete-token",
    ChangeStanding = "change-standing",
    DeleteUser = "delete-user",
    Invite = "invite",
    Uninvite = "uninvite",
    CreateChannel = "create-channel",
    DeleteChannel = "delete-channel",
    ChangeVisibility = "change-visibility",
    ChangePicture = "change-picture",
    ChangeVideo = "change-video",
    TrashVideo = "trash-video",
    RestoreVideo = "restore-video",
    ReviewVideo = "review-video",
    DeleteComment = "delete-comment",
    CloseReports = "close-reports",
    RetryJob = "retry-job",
    CancelJob = "cancel-job",
    RunTimer = "run-timer",
    ResetKey = "reset-key",
    DeleteKey = "delete-key",
    Kick = "kick",
    ChangeSettings = "change-settings",
});

/// An entry of the log. It stays when those whom it names are gone, so it holds their names and not their ids.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditId,
    /// When.
    pub at: At,
    /// Who: a handle, or empty for one who is not known.
    pub actor: String,
    /// What: the text of an [`Action`], perhaps of a newer version.
    pub action: String,
    /// To whom or what.
    pub subject: String,
    /// Whence.
    pub address: String,
    /// Further words; no secrets.
    pub details: String,
}

/// An entry to be made.
#[derive(Debug, Clone)]
pub struct NewAuditEntry<'a> {
    /// See [`AuditEntry::actor`].
    pub actor: &'a str,
    /// See [`AuditEntry::action`].
    pub action: Action,
    /// See [`AuditEntry::subject`].
    pub subject: &'a str,
    /// See [`AuditEntry::address`].
    pub address: &'a str,
    /// See [`AuditEntry::details`].
    pub details: &'a str,
}

/// Which entries of the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditFilter<'a> {
    /// Those of this actor.
    pub actor: Option<&'a str>,
    /// Those of this action.
    pub action: Option<Action>,
}

impl Store {
    /// Adds an entry.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_audit(&self, new: &NewAuditEntry<'_>) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        add_in(&mut tx, new).await?;
        tx.commit().await
    }

    /// The whole log, the newest entry first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit_log(&self, page: &PageRequest) -> Result<Page<AuditEntry>, Error> {
        self.find_audit(&AuditFilter::default(), page).await
    }

    /// The entries that `filter` lets through, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_audit(&self, filter: &AuditFilter<'_>, page: &PageRequest) -> Result<Page<AuditEntry>, Error> {
        let action = filter.action.map_or("", Action::as_str);
        let (below, count) = (page.below(), page.rows());
        let entries = match (filter.actor, filter.action) {
            (Some(actor), _) => {
                let sql = "SELECT * FROM audit_log WHERE actor = $1 AND ($2 = '' OR action = $2) AND id < $3
                           ORDER BY id DESC LIMIT $4";
                rows!(self.pool, fetch_all, AuditEntry, sql, actor, action, below, count)?
            }
            (None, Some(_)) => {
                let sql = "SELECT * FROM audit_log WHERE action = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
                rows!(self.pool, fetch_all, AuditEntry, sql, action, below, count)?
            }
            (None, None) => {
                let sql = "SELECT * FROM audit_log WHERE id < $1 ORDER BY id DESC LIMIT $2";
                rows!(self.pool, fetch_all, AuditEntry, sql, below, count)?
            }
        };
        Ok(page.page(entries, |entry| entry.id.as_str()))
    }

    /// Removes entries from before `before`, and of refused log ins, which strangers can make many of, all but the newest
    /// `refused`; how many there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trim_audit(&self, before: At, refused: u32) -> Result<u64, Error> {
        let old = run!(self.pool, "DELETE FROM audit_log WHERE at < $1", before)?;
        let sql = "DELETE FROM audit_log WHERE action = $1 AND id <=
                   (SELECT id FROM audit_log WHERE action = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)";
        Ok(old + run!(self.pool, sql, Action::LogInRefused.as_str(), i64::from(refused))?)
    }
}

/// Adds an entry together with what it tells of: both are there, or neither.
pub(crate) async fn add_in(tx: &mut Tx, new: &NewAuditEntry<'_>) -> Result<(), Error> {
    run_in!(
        *tx,
        "INSERT INTO audit_log (id, at, actor, action, subject, address, details) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        AuditId::new(),
        At::now(),
        new.actor,
        new.action.as_str(),
        new.subject,
        new.address,
        new.details,
    )?;
    Ok(())
}
