//! Who is on air.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, Guard};
use millrace_hls::{Content, HlsFormat};
use millrace_media::{Frame, VideoConfig};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use crate::events::{Events, Exchange};
use crate::format::Format;
use crate::hls::{EndedHls, HlsReader};
use crate::info::{StreamInfo, StreamState};
use crate::places::{Most, Place, Places, Taker};
use crate::player::{PlayerGuard, PlayerInfo, Protocol};
use crate::publisher::{CutReason, PublishError, Publisher, PublisherMeta};
use crate::ring::Ring;
use crate::stream::{Command, Shared, StreamHandle};
use crate::totals::{HubTotals, Totals};
use crate::{HubConfig, HubLimits, StreamId};

/// All live streams of a server. Clones are handles on the same streams.
#[derive(Debug, Clone)]
pub struct Hub {
    registry: Arc<Registry>,
}

/// A place among a stream's players.
#[derive(Debug)]
pub struct Subscription {
    /// What to send.
    pub ring: Ring,
    /// Where to count; leaving is dropping it.
    pub player: PlayerGuard,
}

/// Why a stream cannot be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlayError {
    /// Nobody publishes it.
    #[error("the stream is not on air")]
    NotOnAir,
    /// The server has as many players or streams as it may have.
    #[error("the server has as many players as it may have")]
    Full,
    /// The address has as many players as it may have.
    #[error("your address has as many players as it may have")]
    FullForAddress,
    /// The server stops.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl From<Taker> for PlayError {
    fn from(taker: Taker) -> Self {
        match taker {
            Taker::All => Self::Full,
            Taker::Address => Self::FullForAddress,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) config: HubConfig,
    pub(crate) tasks: TaskTracker,
    limits: ArcSwap<HubLimits>,
    pub(crate) totals: Arc<Totals>,
    pub(crate) events: Exchange,
    streams: RwLock<HashMap<StreamId, StreamHandle>>,
    /// HLS of streams that have ended, until they are forgotten.
    ended: RwLock<HashMap<StreamId, (Instant, EndedHls)>>,
    /// When streams that are off air were last on.
    last_on_air: RwLock<HashMap<StreamId, SystemTime>>,
    players: Arc<Places>,
    publishers: Arc<Places>,
    closing: AtomicBool,
}

impl Hub {
    /// A hub without streams.
    #[must_use]
    pub fn new(config: HubConfig) -> Self {
        Self {
            registry: Arc::new(Registry {
                limits: ArcSwap::from_pointee(config.limits.clone()),
                totals: Arc::default(),
                events: Exchange::new(),
                config,
                tasks: TaskTracker::new(),
                streams: RwLock::default(),
                ended: RwLock::default(),
                last_on_air: RwLock::default(),
                players: Arc::default(),
                publishers: Arc::default(),
                closing: AtomicBool::new(false),
            }),
        }
    }

    /// How streams are kept and handed out.
    #[must_use]
    pub fn config(&self) -> &HubConfig {
        &self.registry.config
    }

    /// Puts other limits in place. They hold for what comes: nobody is cut by them.
    pub fn set_limits(&self, limits: HubLimits) {
        self.registry.limits.store(Arc::new(limits));
    }

    /// Puts a publisher on a stream.
    ///
    /// # Errors
    /// When another publisher has it, or a limit is reached, or the server stops.
    pub async fn publish(&self, id: &StreamId, meta: PublisherMeta) -> Result<Publisher, PublishError> {
        // An owner that ends at this moment drops the question: ask its successor.
        for _ in 0..ATTEMPTS {
            let handle = self.registry.get_or_start(id, self.registry.limits().streams).map_err(|_| {
                match self.registry.is_closing() {
                    true => PublishError::ShuttingDown,
                    false => {
                        self.registry.publishers.no_stream();
                        PublishError::Full
                    }
                }
            })?;
            let (reply, answer) = oneshot::channel();
            if handle.commands.send(Command::Publish { meta: Box::new(meta.clone()), reply }).await.is_ok()
                && let Ok(answer) = answer.await
            {
                return answer;
            }
            self.registry.remove(&handle.shared);
        }
        Err(PublishError::ShuttingDown)
    }

    /// Takes a place among the players of a stream. With `wait`, it waits until somebody
    /// publishes; drop the future to give up.
    ///
    /// # Errors
    /// When the stream is not on air, or a limit is reached, or the server stops.
    pub async fn play(
        &self,
        id: &StreamId,
        format: Format,
        protocol: Protocol,
        peer: std::net::SocketAddr,
        wait: bool,
    ) -> Result<Subscription, PlayError> {
        for _ in 0..ATTEMPTS {
            let handle = match wait {
                // Those who only wait leave room for those who publish.
                true => {
                    let started = self.registry.get_or_start(id, self.registry.limits().streams.div_ceil(2));
                    started.inspect_err(|error| {
                        if *error == PlayError::Full {
                            self.registry.players.no_stream();
                        }
                    })?
                }
                false => self.registry.get(id).ok_or(PlayError::NotOnAir)?,
            };
            let place = self.registry.player_place(peer.ip())?;
            let (reply, answer) = oneshot::channel();
            if handle.commands.send(Command::Play { format, wait, reply }).await.is_ok() {
                let answer = match wait {
                    true => answer.await,
                    // The publisher is there, and has not sent enough to begin with.
                    false => timeout(OPENING, answer).await.unwrap_or(Ok(Err(PlayError::NotOnAir))),
                };
                if let Ok(answer) = answer {
                    // Who only waits has a place, and does not watch yet.
                    let enter = || handle.shared.players.enter(protocol, peer, Some(place));
                    return answer.map(|ring| Subscription { ring, player: enter() });
                }
            }
            self.registry.remove(&handle.shared);
        }
        Err(PlayError::NotOnAir)
    }

    /// Counts a player that has no connection of its own, such as of HLS, among those of a stream.
    ///
    /// # Errors
    /// When the stream is not on air.
    pub fn attach(
        &self,
        id: &StreamId,
        protocol: Protocol,
        peer: std::net::SocketAddr,
    ) -> Result<PlayerGuard, PlayError> {
        let handle = self.registry.get(id).ok_or(PlayError::NotOnAir)?;
        Ok(handle.shared.players.enter(protocol, peer, None))
    }

    /// Whether a player still counts on the stream of that name. One of a stream that has ended
    /// does not, though another may have its name.
    #[must_use]
    pub fn is_attached(&self, id: &StreamId, player: &PlayerGuard) -> bool {
        self.registry.get(id).is_some_and(|handle| player.is_among(&handle.shared.players))
    }

    /// What requests for a stream in a format of HLS are answered from. The first request begins the
    /// format, and has to wait for something to be there. A stream that has ended can be had for a
    /// while.
    ///
    /// # Errors
    /// When the stream is not on air.
    pub async fn hls(&self, id: &StreamId, format: HlsFormat) -> Result<HlsReader, PlayError> {
        let ended = || {
            let ended = self.registry.ended_hls(id)?;
            ended.view(format).cloned().map(HlsReader::ended)
        };
        let Some(handle) = self.registry.get(id) else { return ended().ok_or(PlayError::NotOnAir) };
        if let Some(reader) = handle.shared.hls.reader(format) {
            return Ok(reader);
        }
        let (reply, answer) = oneshot::channel();
        // An owner that is gone answers nothing.
        let _ = handle.commands.send(Command::Hls { format, reply }).await;
        match answer.await {
            Ok(Ok(reader)) => Ok(reader),
            // It may have ended a moment ago, and somebody wait for its return already.
            _ => ended().ok_or(PlayError::NotOnAir),
        }
    }

    /// The multivariant playlist of a stream, or why no format of HLS can carry it. No format is
    /// begun by it.
    ///
    /// # Errors
    /// When the stream is not on air.
    pub fn hls_multivariant(&self, id: &StreamId) -> Result<Result<Content, Arc<str>>, PlayError> {
        let handle = self.registry.get(id);
        let live = handle.as_ref().and_then(|handle| {
            let info = handle.shared.info.load_full().filter(|info| info.state != StreamState::Waiting)?;
            Some(handle.shared.hls.multivariant(&info))
        });
        live.or_else(|| self.registry.ended_hls(id).map(|ended| ended.multivariant)).ok_or(PlayError::NotOnAir)
    }

    /// What happens to streams from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.registry.events.listen()
    }

    /// Whether the server stops: nothing comes on air any more.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.registry.is_closing()
    }

    /// The streams that are on air, by name, those whose publisher may return included.
    #[must_use]
    pub fn on_air(&self) -> Vec<StreamInfo> {
        let mut list: Vec<_> = self.registry.handles().iter().filter_map(|h| on_air(&h.shared)).collect();
        list.sort_by(|a, b| a.id.cmp(&b.id));
        list
    }

    /// The streams that somebody publishes, or may return to: those that are on air, and those of which no
    /// frame has come yet.
    #[must_use]
    pub fn published(&self) -> Vec<StreamId> {
        let published = |info: &StreamInfo| info.publisher.is_some() || info.state != StreamState::Waiting;
        let handles = self.registry.handles().into_iter();
        handles
            .filter(|h| h.shared.info.load().as_deref().is_some_and(published))
            .map(|h| h.shared.id.clone())
            .collect()
    }

    /// A stream that is on air.
    #[must_use]
    pub fn info(&self, id: &StreamId) -> Option<StreamInfo> {
        on_air(&self.registry.get(id)?.shared)
    }

    /// When a stream that is off air was last on, as far as this process remembers.
    #[must_use]
    pub fn last_on_air(&self, id: &StreamId) -> Option<SystemTime> {
        self.registry.last_on_air.read().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    /// The players of a stream.
    #[must_use]
    pub fn players(&self, id: &StreamId) -> Vec<PlayerInfo> {
        self.registry.get(id).map(|h| h.shared.players.list()).unwrap_or_default()
    }

    /// All players of all streams.
    #[must_use]
    pub fn player_count(&self) -> usize {
        self.registry.players.len()
    }

    /// What the hub is doing, and has done since it began.
    #[must_use]
    pub fn totals(&self) -> HubTotals {
        let totals = &self.registry.totals;
        let mut all = HubTotals {
            publishers: self.registry.publishers.len(),
            refused_publishers: self.registry.publishers.refused(),
            refused_players: self.registry.players.refused(),
            received: totals.received.traffic(),
            damaged_frames: totals.received.damaged(),
            sent: std::array::from_fn(|n| totals.sent[n].read()),
            ..HubTotals::default()
        };
        for handle in self.registry.handles() {
            match handle.shared.info.load().as_ref().map(|info| info.state) {
                Some(StreamState::Live) => all.live += 1,
                Some(StreamState::Reconnecting) => all.reconnecting += 1,
                Some(StreamState::Waiting) | None => all.waiting += 1,
            }
        }
        all
    }

    /// Asks a player to go; false where there is none with this number. One of HLS is refused for a while, since its
    /// requests stand alone, and it would ask again.
    #[must_use]
    pub fn kick_player(&self, id: &StreamId, player: u64) -> bool {
        self.registry.get(id).is_some_and(|h| h.shared.players.kick(player))
    }

    /// Asks all players of a stream to go, but for those of HLS, who have to ask for leave each time anyway.
    pub fn kick_players(&self, id: &StreamId) {
        if let Some(handle) = self.registry.get(id) {
            handle.shared.players.kick_all();
        }
    }

    /// Asks all players to go that have leave by that account ([`Leave::User`](crate::Leave::User)), whatever they play.
    pub fn kick_user(&self, user: &str) {
        for handle in self.registry.handles() {
            handle.shared.players.kick_user(user);
        }
    }

    /// Cuts a stream's publisher and ends the stream. False where there is no such stream.
    pub async fn kick_publisher(&self, id: &StreamId) -> bool {
        match self.registry.get(id) {
            Some(handle) => handle.commands.send(Command::End { reason: CutReason::Kicked }).await.is_ok(),
            None => false,
        }
    }

    /// The newest keyframe of a stream, for a thumbnail.
    #[must_use]
    pub fn keyframe(&self, id: &StreamId) -> Option<(Arc<VideoConfig>, Frame)> {
        let handle = self.registry.get(id)?;
        handle.shared.keyframe.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends all streams and waits until their owners are done. Nothing can be published or played
    /// after.
    pub async fn shutdown(&self) {
        self.registry.closing.store(true, Relaxed);
        self.registry.tasks.close();
        for handle in self.registry.handles() {
            // An owner that is gone has ended already.
            let _ = handle.commands.send(Command::End { reason: CutReason::ShuttingDown }).await;
        }
        self.registry.tasks.wait().await;
    }
}

impl Registry {
    fn limits(&self) -> Guard<Arc<HubLimits>> {
        self.limits.load()
    }

    /// A publisher's place, where one is free.
    pub(crate) fn publisher_place(&self, address: IpAddr) -> Result<Place, Taker> {
        let limits = self.limits();
        let of_address = (!limits.trusts(address)).then_some(limits.publishers_per_address);
        self.publishers.take(address, Most { total: limits.publishers, of_address })
    }

    fn player_place(&self, address: IpAddr) -> Result<Place, Taker> {
        let limits = self.limits();
        let of_address = (!limits.trusts(address)).then_some(limits.players_per_address);
        self.players.take(address, Most { total: limits.players, of_address })
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// Takes a stream out, unless another has its name already.
    pub(crate) fn remove(&self, shared: &Arc<Shared>) {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        if streams.get(&shared.id).is_some_and(|h| Arc::ptr_eq(&h.shared, shared)) {
            streams.remove(&shared.id);
        }
    }

    /// Keeps the HLS of a stream that has ended, for as long as configured, in place of what was kept of
    /// an earlier one of its name.
    pub(crate) fn keep_hls(self: &Arc<Self>, id: &StreamId, last: Option<EndedHls>) {
        let now = Instant::now();
        let until = now + self.config.hls_keep_after_end;
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        ended.remove(id);
        let Some(last) = last else { return };
        if ended.len() >= self.limits().streams {
            ended.retain(|_, (until, _)| *until > now);
        }
        if ended.len() >= self.limits().streams {
            return; // what is over is the first to be without
        }
        ended.insert(id.clone(), (until, last));
        drop(ended);
        let registry = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep_until(until).await;
            if let Some(registry) = registry.upgrade() {
                let now = Instant::now();
                registry.ended.write().unwrap_or_else(PoisonError::into_inner).retain(|_, (until, _)| *until > now);
            }
        });
    }

    /// Remembers that a stream was on air until now.
    pub(crate) fn went_off_air(&self, id: &StreamId) {
        let mut last = self.last_on_air.write().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= self.limits().streams && !last.contains_key(id) {
            // Names that anyone may use must not fill memory: the oldest is forgotten.
            let oldest = last.iter().min_by_key(|(_, at)| **at).map(|(id, _)| id.clone());
            oldest.map(|id| last.remove(&id));
        }
        last.insert(id.clone(), SystemTime::now());
    }

    fn ended_hls(&self, id: &StreamId) -> Option<EndedHls> {
        let ended = self.ended.read().unwrap_or_else(PoisonError::into_inner);
        ended.get(id).filter(|(until, _)| *until > Instant::now()).map(|(_, last)| last.clone())
    }

    fn get(&self, id: &StreamId) -> Option<StreamHandle> {
        self.streams.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn handles(&self) -> Vec<StreamHandle> {
        self.streams.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The stream, started where there are fewer than `most`.
    fn get_or_start(self: &Arc<Self>, id: &StreamId, most: usize) -> Result<StreamHandle, PlayError> {
        if let Some(handle) = self.get(id) {
            return Ok(handle);
        }
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = streams.get(id) {
            return Ok(handle.clone());
        }
        // Asked under the lock: whoever closes looks at the list afterwards.
        if self.is_closing() {
            return Err(PlayError::ShuttingDown);
        }
        if streams.len() >= most {
            return Err(PlayError::Full);
        }
        let handle = StreamHandle::start(id.clone(), Arc::clone(self));
        streams.insert(id.clone(), handle.clone());
        Ok(handle)
    }
}

fn on_air(shared: &Shared) -> Option<StreamInfo> {
    let info = shared.info.load_full().filter(|i| i.state != StreamState::Waiting)?;
    Some(StreamInfo { viewers: shared.players.len(), ..(*info).clone() })
}

/// A player that does not want to wait for a publisher waits so long for one that is about to begin.
const OPENING: Duration = Duration::from_secs(5);
/// How often a question is put to a stream's next owner. More than two owners ending under one
/// question does not happen but in a storm.
const ATTEMPTS: usize = 3;
