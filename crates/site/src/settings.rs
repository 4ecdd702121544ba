//! What administrators decide while the server runs: kept in the database, read from memory.
//!
//! Invariant: a value that the database holds and this version does not understand counts as not set.

use std::sync::Arc;

use arc_swap::ArcSwap;
use millrace_store::{Change, Error, Role, Store, StoredSettings};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The settings as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    /// Rises with every change.
    pub(crate) version: i64,
    /// The site's name; where none was set, the configuration's.
    pub(crate) name: Option<String>,
    /// What the site is about, in a sentence or two; may be empty.
    pub(crate) description: String,
    pub(crate) registration: RegistrationMode,
    pub(crate) default_role: DefaultRole,
    pub(crate) review: ReviewMode,
}

/// Whose new videos wait for moderators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReviewMode {
    /// Nobody's.
    #[default]
    Off,
    /// Those of accounts of which none is out yet.
    New,
    /// Everybody's but moderators'.
    All,
}

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RegistrationMode {
    /// Everybody.
    Open,
    /// Everybody; an administrator or moderator then lets them in.
    Approval,
    /// Who has an invitation.
    #[default]
    Invitation,
    /// Nobody.
    Closed,
}

/// What those become who register without an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DefaultRole {
    /// They watch.
    Viewer,
    /// They have channels.
    #[default]
    Creator,
}

/// What is to be changed; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub(crate) struct SettingsChange {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) registration: Option<RegistrationMode>,
    pub(crate) default_role: Option<DefaultRole>,
    pub(crate) review: Option<ReviewMode>,
}

/// The settings in the database, and in memory as they were read last.
#[derive(Debug)]
pub(crate) struct KeptSettings {
    store: Store,
    now: ArcSwap<Settings>,
}

impl KeptSettings {
    /// Those of a new site, until they are read.
    pub(crate) fn new(store: Store) -> Self {
        Self { store, now: ArcSwap::default() }
    }

    pub(crate) fn now(&self) -> Arc<Settings> {
        self.now.load_full()
    }

    /// Reads them.
    pub(crate) async fn load(&self) -> Result<(), Error> {
        self.keep(&self.store.settings().await?);
        Ok(())
    }

    /// Changes them where they are still at `version`, and tells other nodes.
    pub(crate) async fn change(&self, version: i64, change: &SettingsChange) -> Result<Arc<Settings>, Error> {
        let values: Vec<(&str, &str)> = [
            (NAME, change.name.as_deref()),
            (DESCRIPTION, change.description.as_deref()),
            (REGISTRATION, change.registration.map(RegistrationMode::as_str)),
            (DEFAULT_ROLE, change.default_role.map(DefaultRole::as_str)),
            (REVIEW, change.review.map(ReviewMode::as_str)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        self.keep(&self.store.change_settings(version, &values).await?);
        if let Err(error) = self.store.tell(&Change::Settings).await {
            tracing::warn!(%error, "other nodes were not told that the settings have changed");
        }
        Ok(self.now())
    }

    /// Of two that were read at once the newer one stays.
    fn keep(&self, stored: &StoredSettings) {
        let read = Arc::new(Settings::from(stored));
        self.now.rcu(|now| if now.version > read.version { Arc::clone(now) } else { Arc::clone(&read) });
    }
}

impl From<&StoredSettings> for Settings {
    fn from(stored: &StoredSettings) -> Self {
        let text = |name: &str| stored.values.get(name).map(String::as_str);
        Self {
            version: stored.version,
            name: text(NAME).filter(|name| !name.is_empty()).map(str::to_owned),
            description: text(DESCRIPTION).unwrap_or_default().to_owned(),
            registration: known(&RegistrationMode::ALL, RegistrationMode::as_str, text(REGISTRATION)),
            default_role: known(&DefaultRole::ALL, DefaultRole::as_str, text(DEFAULT_ROLE)),
            review: known(&ReviewMode::ALL, ReviewMode::as_str, text(REVIEW)),
        }
    }
}

fn known<T: Copy + Default>(all: &[T], as_str: fn(T) -> &'static str, text: Option<&str>) -> T {
    all.iter().copied().find(|value| Some(as_str(*value)) == text).unwrap_or_default()
}

impl RegistrationMode {
    pub(crate) const ALL: [Self; 4] = [Self::Open, Self::Approval, Self::Invitation, Self::Closed];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approval => "approval",
            Self::Invitation => "invitation",
            Self::Closed => "closed",
        }
    }
}

impl DefaultRole {
    pub(crate) const ALL: [Self; 2] = [Self::Viewer, Self::Creator];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Creator => "creator",
        }
    }
}

impl ReviewMode {
    pub(crate) const ALL: [Self; 3] = [Self::Off, Self::New, Self::All];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::New => "new",
            Self::All => "all",
        }
    }
}

impl From<DefaultRole> for Role {
    fn from(role: DefaultRole) -> Self {
        match role {
            DefaultRole::Viewer => Self::Viewer,
            DefaultRole::Creator => Self::Creator,
        }
    }
}

/// A name for the site, or what is wrong with it.
pub(crate) fn site_name(text: &str) -> Result<&str, &'static str> {
    let text = text.trim();
    match text.chars().count() {
        1..=MAX_NAME if !text.chars().any(char::is_control) => Ok(text),
        _ => Err("site_name must have 1 to 60 letters, and no control characters"),
    }
}

/// A description of the site, or what is wrong with it.
pub(crate) fn description(text: &str) -> Result<&str, &'static str> {
    let text = text.trim();
    if text.chars().count() > MAX_DESCRIPTION || text.chars().any(|c| c.is_control() && c != '\n' && c != '\r') {
        return Err("description must have at most 500 letters");
    }
    Ok(text)
}

const NAME: &str = "site.name";
const DESCRIPTION: &str = "site.description";
const REGISTRATION: &str = "registration.mode";
const DEFAULT_ROLE: &str = "registration.default_role";
const REVIEW: &str = "review.mode";
const MAX_NAME: usize = 60;
const MAX_DESCRIPTION: usize = 500;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use millrace_store::testing::fresh_store;

    use super::*;

    #[tokio::test]
    async fn what_is_not_understood_counts_as_not_set() {
        let directory = tempfile::tempdir().unwrap();
        let store = fresh_store(directory.path()).await;
        store.change_settings(0, &[(REGISTRATION, "by-lot"), (NAME, ""), ("other", "x")]).await.unwrap();
        let kept = KeptSettings::new(store);
        kept.load().await.unwrap();
        assert_eq!(*kept.now(), Settings { version: 1, ..Settings::default() });
    }

    #[tokio::test]
    async fn what_was_read_late_does_not_undo_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let store = fresh_store(directory.path()).await;
        let kept = KeptSettings::new(store.clone());
        let old = store.settings().await.unwrap();
        let change = SettingsChange { registration: Some(RegistrationMode::Open), ..SettingsChange::default() };
        kept.change(0, &change).await.unwrap();
        kept.keep(&old);
        assert_eq!(kept.now().registration, RegistrationMode::Open);
        assert!(matches!(kept.change(0, &change).await, Err(Error::Changed)));
    }

    #[test]
    fn names_and_descriptions_are_bounded() {
        assert_eq!(site_name("  River TV "), Ok("River TV"));
        assert!(site_name(&"字".repeat(MAX_NAME)).is_ok());
        for bad in ["", " ", "a\nb", &"a".repeat(MAX_NAME + 1)] {
            assert!(site_name(bad).is_err(), "{bad:?}");
        }
        assert!(description("Two\nlines").is_ok() && description(&"a".repeat(MAX_DESCRIPTION)).is_ok());
        assert!(description(&"a".repeat(MAX_DESCRIPTION + 1)).is_err() && description("\0").is_err());
    }
}
