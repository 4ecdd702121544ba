//! Accounts: passwords, sessions, tokens, and what who may do.
//!
//! Invariants:
//! - A secret that somebody holds (a cookie, a token, a link) is stored as its hash; one that has to be read back is
//!   sealed with the site's own key.
//! - Whether an account exists is not told by an answer's words or time.
//! - [`permissions`] is the only place that says what a role may do.

mod changes;
mod key;
pub(crate) mod limits;
pub(crate) mod operator;
pub(crate) mod password;
pub(crate) mod permissions;
pub(crate) mod rules;
pub(crate) mod seal;
mod second_factor;
pub(crate) mod secret;
pub(crate) mod sessions;
mod setup;

use std::sync::Arc;

use millrace_objects::Objects;
use millrace_store::{At, Error, Store, UserId};
use millrace_vod::{Staging, Vod};

use crate::channels::Channels;
use crate::mail::Mail;
use crate::pictures::Pictures;
use crate::settings::KeptSettings;
use crate::videos::{Downloads, UploadConfig, Videos};

pub use key::SiteKey;
pub use operator::{OperatorError, ResetLink};
pub use setup::SetupLink;

/// The accounts of a site. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Accounts {
    pub(crate) store: Store,
    pub(crate) sessions: Arc<sessions::Sessions>,
    pub(crate) passwords: password::Passwords,
    pub(crate) tries: Arc<limits::Tries>,
    pub(crate) settings: Arc<KeptSettings>,
    /// For secrets that have to be read back.
    pub(crate) sealer: Arc<seal::Sealer>,
    pub(crate) channels: Channels,
    pub(crate) pictures: Pictures,
    pub(crate) videos: Videos,
    /// Where the site can write to people.
    pub(crate) mail: Option<Mail>,
}

impl Accounts {
    /// Those in `store` of the site with that key, whose pictures are among `objects`. Passwords are hashed on so many
    /// threads at a time.
    #[must_use]
    pub fn new(store: Store, objects: Objects, key: &SiteKey, hashing_threads: usize) -> Self {
        let sessions = Arc::new(sessions::Sessions::new(store.clone()));
        Self {
            channels: Channels::new(store.clone(), Arc::clone(&sessions), key.derive("play")),
            videos: Videos::new(store.clone(), Arc::clone(&sessions), Vod::new(objects.clone()), key.derive("video")),
            pictures: Pictures::new(objects),
            sessions,
            passwords: password::Passwords::new(hashing_threads),
            tries: Arc::default(),
            settings: Arc::new(KeptSettings::new(store.clone())),
            sealer: Arc::new(seal::Sealer::new(&key.derive("seal"))),
            store,
            mail: None,
        }
    }

    /// The same, who can be written to.
    #[must_use]
    pub fn with_mail(self, mail: Option<Mail>) -> Self {
        Self { mail, ..self }
    }

    /// The same, who may upload videos. What was whole when the server ended is gone on with by
    /// [`Self::resume_uploads`].
    ///
    /// # Errors
    /// When the directory of uploads cannot be made.
    pub fn with_uploads(self, config: UploadConfig) -> std::io::Result<Self> {
        Ok(Self { videos: self.videos.with_uploads(config)?, ..self })
    }

    /// Goes on with uploads that are whole and could not be put into their place, since the server ended or the storage was
    /// away: to be called once it serves, and every minute or so.
    pub async fn resume_uploads(&self) {
        // What went wrong is in the log, and is tried again with the next call.
        let _ = self.videos.resume().await;
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// What of the files of videos is being sent.
    #[must_use]
    pub fn downloads(&self) -> Downloads {
        self.videos.downloads().clone()
    }

    /// What plays videos here.
    #[must_use]
    pub fn vod(&self) -> Vod {
        self.videos.vod().clone()
    }

    /// Where uploads are while they come, where any are taken.
    #[must_use]
    pub fn staging(&self) -> Option<Staging> {
        self.videos.intake().ok().map(|intake| intake.staging.clone())
    }

    /// Reads the settings that administrators made: to be done once, before serving.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load_settings(&self) -> Result<(), Error> {
        self.settings.load().await
    }

    /// Deletes an account with all that is its own, and tells every node.
    pub(crate) async fn delete_user(&self, id: &UserId) -> Result<(), Error> {
        let channels = self.store.channels_of(id).await?;
        let avatar = self.store.user(id).await?.and_then(|user| user.avatar);
        let videos = self.store.short_ids_of(id).await?;
        self.store.delete_user(id).await?;
        for video in videos {
            self.store.cancel_jobs_about(&video).await?;
        }
        self.sessions.forget(id).await;
        self.pictures.discard(avatar).await;
        for channel in channels {
            self.pictures.discard(channel.avatar).await;
            self.pictures.discard(channel.banner).await;
            self.channels.changed(&channel.handle).await?;
        }
        Ok(())
    }

    /// The channels of these accounts, which decide who publishes and who plays.
    #[must_use]
    pub fn channels(&self) -> Channels {
        self.channels.clone()
    }

    /// Removes what is over: for now and then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tidy(&self) -> Result<(), Error> {
        let now = At::now();
        self.store.delete_expired_sessions(now).await?;
        self.store.delete_expired_links(now).await?;
        self.store.trim_audit(now.plus(-LOG_IS_KEPT), REFUSED_LOG_INS_KEPT).await?;
        Ok(())
    }
}

/// So long the audit log goes back.
const LOG_IS_KEPT: time::Duration = time::Duration::days(365);
/// Refused log ins that the audit log holds, at some 200 bytes each: strangers make them.
const REFUSED_LOG_INS_KEPT: u32 = 100_000;
