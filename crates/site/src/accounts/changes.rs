//! What is kept in memory follows what other nodes change.

use std::future::Future;

use millrace_store::{Change, Error};

use super::Accounts;

impl Accounts {
    /// Follows what this and other nodes change from now on, until the database is closed: a session that was ended on
    /// one of them ends on all. To be run once, beside serving.
    pub fn follow(&self) -> impl Future<Output = ()> + Send + 'static {
        let (accounts, mut changes) = (self.clone(), self.store.changes());
        async move {
            while let Some(change) = changes.next().await {
                accounts.apply(&change).await;
            }
        }
    }

    async fn reload_settings(&self) {
        if let Err(error) = self.load_settings().await {
            tracing::warn!(%error, "the settings could not be read again; those so far stay");
        }
    }

    async fn apply(&self, change: &Change) {
        match change {
            Change::User(id) => {
                self.sessions.forget_here(Some(id));
                warn(self.channels.apply_user(id).await);
            }
            Change::Channel(handle) | Change::Keys(handle) => {
                self.videos.forget_all(Some(handle));
                warn(self.channels.apply(handle).await);
            }
            Change::Video(short_id) => self.videos.forget(short_id),
            Change::Settings => self.reload_settings().await,
            Change::Everything => {
                self.sessions.forget_here(None);
                self.videos.forget_all(None);
                self.reload_settings().await;
                warn(self.channels.apply_all().await);
            }
            _ => {}
        }
    }
}

fn warn(applied: Result<(), Error>) {
    if let Err(error) = applied {
        tracing::warn!(%error, "a change of a channel could not be applied; it holds within a minute");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use millrace_objects::Objects;
    use millrace_store::{At, NewUser, Role, Store, UserState};

    use super::*;
    use crate::SiteKey;
    use crate::settings::SettingsChange;

    fn node(store: Store) -> Accounts {
        let directory = tempfile::tempdir().unwrap(); // no picture is kept in it
        let objects = Objects::open("file://objects", directory.path()).unwrap();
        let accounts = Accounts::new(store, objects, &SiteKey::new(), 1);
        tokio::spawn(accounts.follow());
        accounts
    }

    #[tokio::test]
    async fn a_session_that_ends_on_one_node_ends_on_all() {
        let Some(url) = millrace_store::testing::fresh_postgres("two_nodes").await else { return };
        let here = node(Store::open(&url, Path::new("")).await.unwrap());
        let there = node(Store::open(&url, Path::new("")).await.unwrap());
        let new = NewUser {
            handle: "ada",
            display_name: "Ada",
            email: None,
            password_hash: "",
            role: Role::Viewer,
            state: UserState::Active,
        };
        let user = here.store.create_user(&new).await.unwrap();
        let (secret, _) = here.sessions.begin(&user, false, "", "").await.unwrap();
        let now = At::now();
        let known = async |node: &Accounts| node.sessions.by_cookie(secret.expose(), "", now).await.unwrap().is_some();
        assert!(known(&here).await && known(&there).await);

        here.store.delete_sessions_of(&user.id, None).await.unwrap();
        assert!(known(&there).await, "what is known is not asked again");
        let mut changes = there.store.changes();
        here.sessions.forget(&user.id).await;
        assert!(!known(&here).await);
        changes.next().await.unwrap();
        let ended = async {
            while known(&there).await {
                tokio::task::yield_now().await; // it was told, and takes its turn
            }
        };
        tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap();
    }

    #[tokio::test]
    async fn settings_that_are_changed_on_one_node_hold_on_all() {
        let Some(url) = millrace_store::testing::fresh_postgres("two_nodes_settings").await else { return };
        let here = node(Store::open(&url, Path::new("")).await.unwrap());
        let there = node(Store::open(&url, Path::new("")).await.unwrap());
        let change = SettingsChange { name: Some("River TV".to_owned()), ..SettingsChange::default() };
        here.settings.change(0, &change).await.unwrap();
        let heard = async {
            while there.settings.now().name.as_deref() != Some("River TV") {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), heard).await.unwrap();
    }
}
