//! Channels: their keys, and who publishes and watches their live streams.
//!
//! A channel's live stream is `live/{handle}`. What playback asks again and again, whether somebody may watch, is
//! answered from memory; what is asked once a broadcast, whether a key is good, from the database.

pub(crate) mod keys;
pub(crate) mod leave;
pub(crate) mod rules;
pub(crate) mod tokens;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use millrace_store::{At, Change, Channel, ChannelFilter, Error, Hash, PageRequest, Store, User, UserId, Visibility};
use time::Duration;

use crate::LiveSource;
use crate::accounts::permissions::{Act, may};
use crate::accounts::sessions::Sessions;
use crate::cache::Cache;
use crate::source::{DEFAULT_APP, is_name};

/// The channels of a site. Cheap to clone; decides for the live core who publishes and who plays.
#[derive(Clone)]
pub struct Channels {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    sessions: Arc<Sessions>,
    known: Cache<String, Option<Arc<Known>>>,
    newest: Cache<(), Arc<[Channel]>>,
    pub(crate) tokens: tokens::PlayTokens,
    /// The hash of the key by which each channel's newest publisher here came.
    publishing: Mutex<HashMap<String, Hash>>,
    /// The epoch of each channel under which its players were let in.
    epochs: Mutex<HashMap<String, i64>>,
    /// Names that are no channel's: the configuration has streams of them.
    taken: OnceLock<Box<Taken>>,
    /// The live streams, once the site serves them.
    live: OnceLock<Arc<dyn LiveSource>>,
}

/// Whether the stream of that name stands in the configuration.
type Taken = dyn Fn(&str) -> bool + Send + Sync;

/// A channel, and who may watch it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) channel: Channel,
    /// Of a private one.
    invited: HashSet<UserId>,
}

impl Known {
    /// Whether anybody may watch.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.channel.visibility, Visibility::Public | Visibility::Unlisted)
    }

    /// Whether it is shown to those who do not know of it.
    pub(crate) fn is_listed(&self) -> bool {
        self.channel.visibility == Visibility::Public
    }

    /// Whether somebody may watch by who they are.
    pub(crate) fn admits(&self, user: &User) -> bool {
        self.is_open()
            || self.channel.owner_id == user.id
            || self.invited.contains(&user.id)
            || may(user.role, Act::WatchAnything)
    }
}

impl std::fmt::Debug for Channels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Channels(…)")
    }
}

impl Channels {
    pub(crate) fn new(store: Store, sessions: Arc<Sessions>, token_key: [u8; 32]) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                sessions,
                known: Cache::new(MAX_KNOWN),
                newest: Cache::new(1),
                tokens: tokens::PlayTokens::new(token_key),
                publishing: Mutex::default(),
                epochs: Mutex::default(),
                taken: OnceLock::new(),
                live: OnceLock::new(),
            }),
        }
    }

    /// What is handed out to watch with.
    pub(crate) fn tokens(&self) -> &tokens::PlayTokens {
        &self.inner.tokens
    }

    /// The channel of that handle.
    pub(crate) async fn find(&self, handle: &str) -> Result<Option<Arc<Known>>, Error> {
        if !is_name(handle) || self.is_taken(handle) {
            return Ok(None);
        }
        let now = At::now();
        let missed = match self.inner.known.get(handle, now) {
            Ok(known) => return Ok(known),
            Err(missed) => missed,
        };
        let known = match self.inner.store.channel_by_handle(handle).await? {
            None => None,
            Some(channel) => {
                let invited = match channel.visibility {
                    Visibility::Private => self.inner.store.invited_ids(&channel.id).await?.into_iter().collect(),
                    _ => HashSet::new(),
                };
                self.let_in_under(&channel);
                Some(Arc::new(Known { channel, invited }))
            }
        };
        self.inner.known.keep(handle.to_owned(), known.clone(), now.plus(FRESH), missed);
        Ok(known)
    }

    /// The channel of a stream, where it is one's.
    pub(crate) async fn of_stream(&self, app: &str, name: &str) -> Result<Option<Arc<Known>>, Error> {
        if app == DEFAULT_APP { self.find(name).await } else { Ok(None) }
    }

    /// The newest public channels, [`NEWEST`] at most, as they were some seconds ago at the latest.
    pub(crate) async fn newest(&self) -> Result<Arc<[Channel]>, Error> {
        let now = At::now();
        let missed = match self.inner.newest.get(&(), now) {
            Ok(newest) => return Ok(newest),
            Err(missed) => missed,
        };
        let page = PageRequest { limit: NEWEST, after: None };
        let found = self.inner.store.public_channels(&ChannelFilter::default(), &page).await?;
        let newest: Arc<[Channel]> =
            found.items.into_iter().filter(|channel| !self.is_taken(&channel.handle)).collect();
        self.inner.newest.keep((), Arc::clone(&newest), now.plus(NEWEST_FRESH), missed);
        Ok(newest)
    }

    /// Leaves those names to others: a channel of one of them is as if it were not there, and none can be made. To be said
    /// once, before serving.
    pub fn leave_out(&self, taken: impl Fn(&str) -> bool + Send + Sync + 'static) {
        let _ = self.inner.taken.set(Box::new(taken));
    }

    /// Whether a stream of the configuration has that name.
    pub(crate) fn is_taken(&self, handle: &str) -> bool {
        self.inner.taken.get().is_some_and(|taken| taken(handle))
    }

    /// Cuts publishers and players of these streams from now on, when they lose leave.
    pub(crate) fn attach(&self, live: Arc<dyn LiveSource>) {
        // A site serves one set of streams; a second router of the same accounts shares them.
        let _ = self.inner.live.set(live);
    }

    /// Takes note that a channel has changed, and tells other nodes.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn changed(&self, handle: &str) -> Result<(), Error> {
        self.apply(handle).await?;
        self.inner.store.tell(&Change::Channel(handle.to_owned())).await
    }

    /// Takes note that a channel has changed: it is read again; a publisher whose key is no longer good is cut, and where
    /// somebody lost leave to watch, all players have to ask for it again.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn apply(&self, handle: &str) -> Result<(), Error> {
        self.inner.known.forget(|known, _| known == handle);
        self.inner.newest.forget(|(), _| true);
        let epoch = self.inner.store.channel_by_handle(handle).await?.map(|channel| channel.play_epoch);
        let before = match epoch {
            Some(epoch) => self.epochs().insert(handle.to_owned(), epoch),
            None => self.epochs().remove(handle),
        };
        let publishes_still = self.may_publish_still(handle).await?;
        let Some(live) = self.inner.live.get() else { return Ok(()) };
        if !publishes_still {
            live.cut_publisher(DEFAULT_APP, handle).await;
        }
        if before.is_some() && before != epoch {
            live.cut_players(DEFAULT_APP, handle);
        }
        Ok(())
    }

    /// As [`Self::apply`], for all channels that are on air here: anything may have changed.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn apply_all(&self) -> Result<(), Error> {
        self.inner.known.forget(|_, _| true);
        self.inner.newest.forget(|(), _| true);
        let mut handles: HashSet<String> = self.publishing().keys().cloned().collect();
        handles.extend(self.epochs().keys().cloned());
        for handle in handles {
            self.apply(&handle).await?;
        }
        Ok(())
    }

    /// Takes note that an account has changed, or its sessions: it may no longer watch what is not open to everybody, nor
    /// publish.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn apply_user(&self, user: &UserId) -> Result<(), Error> {
        if let Some(live) = self.inner.live.get() {
            live.cut_user(user.as_str());
        }
        let handles: Vec<String> = self.publishing().keys().cloned().collect();
        for handle in handles {
            if !self.may_publish_still(&handle).await?
                && let Some(live) = self.inner.live.get()
            {
                live.cut_publisher(DEFAULT_APP, &handle).await;
            }
        }
        Ok(())
    }

    fn let_in_under(&self, channel: &Channel) {
        let mut epochs = self.epochs();
        if epochs.len() >= MAX_KNOWN {
            epochs.clear();
        }
        epochs.entry(channel.handle.clone()).or_insert(channel.play_epoch);
    }

    fn epochs(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        self.inner.epochs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the key is still good by which the channel's newest publisher here came.
    async fn may_publish_still(&self, handle: &str) -> Result<bool, Error> {
        let Some(hash) = self.publishing().get(handle).copied() else { return Ok(true) };
        let key = self.inner.store.stream_key_by_hash(&hash).await?;
        let good = match key {
            Some(key) => self.refusal_of(&key).await?.is_none(),
            None => false,
        };
        if !good {
            self.publishing().retain(|of, by| of != handle || *by != hash);
        }
        Ok(good)
    }

    fn publishing(&self) -> MutexGuard<'_, HashMap<String, Hash>> {
        // It is never left half changed.
        self.inner.publishing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So long the database is not asked again: what another node changed is known here by then, at the latest.
const FRESH: Duration = Duration::seconds(60);
/// The same for the list of the newest ones, which every visit of the home page needs.
const NEWEST_FRESH: Duration = Duration::seconds(10);
/// Newest channels that are known: enough to show some where many of them are on air.
const NEWEST: u32 = 124;
/// Channels known at a time, those included that are known not to be there.
const MAX_KNOWN: usize = 50_000;
