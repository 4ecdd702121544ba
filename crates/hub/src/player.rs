//! Who plays a stream.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use crate::places::Place;
use crate::stats::{Rates, Traffic};
use crate::totals::Totals;

/// How a player takes the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// RTMP play.
    Rtmp,
    /// FLV over HTTP.
    HttpFlv,
    /// FLV over a WebSocket.
    WsFlv,
    /// HLS; counted by address, as its requests stand alone.
    Hls,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rtmp, Self::HttpFlv, Self::WsFlv, Self::Hls];

    /// Its name, as statistics have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::HttpFlv => "http-flv",
            Self::WsFlv => "ws-flv",
            Self::Hls => "hls",
        }
    }
}

/// One player's live counters. Its connection writes them about once a second.
#[derive(Debug)]
pub struct PlayerStats {
    id: u64,
    protocol: Protocol,
    peer: SocketAddr,
    since: SystemTime,
    bytes: AtomicU64,
    video_bytes: AtomicU64,
    audio_bytes: AtomicU64,
    video_frames: AtomicU64,
    audio_frames: AtomicU64,
    kbit_s: AtomicU64,
    frame_rate: AtomicU64,
    skips: AtomicU64,
    dropped: AtomicU64,
    kicked: AtomicBool,
    /// The account by which it has leave, where it is by one.
    user: OnceLock<Arc<str>>,
}

/// What is known of one player.
#[derive(Debug, Clone)]
pub struct PlayerInfo {
    /// Number of the player, unique while the server runs.
    pub id: u64,
    /// How it takes the stream.
    pub protocol: Protocol,
    /// Where it connects from.
    pub peer: SocketAddr,
    /// When it came.
    pub since: SystemTime,
    /// Bytes sent, framing included.
    pub bytes: u64,
    /// What was sent, by kind.
    pub traffic: Traffic,
    /// How fast it was sent.
    pub rates: Rates,
    /// How often it fell behind and skipped to a keyframe.
    pub skips: u64,
    /// Frames that it lost by that.
    pub dropped_frames: u64,
}

/// A player's place in its stream; given up when dropped.
#[derive(Debug)]
pub struct PlayerGuard {
    stats: Arc<PlayerStats>,
    players: Arc<Players>,
    _place: Option<Place>,
}

/// The players of one stream.
#[derive(Debug, Default)]
pub(crate) struct Players {
    totals: Arc<Totals>,
    list: Mutex<HashMap<u64, Arc<PlayerStats>>>,
    count: AtomicUsize,
    bytes_of_past: AtomicU64,
}

impl PlayerGuard {
    /// Takes over counters from the connection.
    pub fn update(&self, bytes: u64, traffic: Traffic, rates: Rates, skips: u64, dropped: u64) {
        let old = self.stats.info();
        let sent = &self.players.totals.sent[self.stats.protocol as usize];
        sent.bytes.fetch_add(bytes.saturating_sub(old.bytes), Relaxed);
        sent.frames.fetch_add(traffic.frames().saturating_sub(old.traffic.frames()), Relaxed);
        sent.skips.fetch_add(skips.saturating_sub(old.skips), Relaxed);
        sent.dropped_frames.fetch_add(dropped.saturating_sub(old.dropped_frames), Relaxed);
        self.stats.update(bytes, traffic, rates, skips, dropped);
    }
}

impl PlayerStats {
    fn update(&self, bytes: u64, traffic: Traffic, rates: Rates, skips: u64, dropped: u64) {
        self.bytes.store(bytes, Relaxed);
        self.video_bytes.store(traffic.video_bytes, Relaxed);
        self.audio_bytes.store(traffic.audio_bytes, Relaxed);
        self.video_frames.store(traffic.video_frames, Relaxed);
        self.audio_frames.store(traffic.audio_frames, Relaxed);
        self.kbit_s.store(u64::from(rates.video_kbit_s) << 32 | u64::from(rates.audio_kbit_s), Relaxed);
        self.frame_rate.store(u64::from(rates.frame_rate.to_bits()), Relaxed);
        self.skips.store(skips, Relaxed);
        self.dropped.store(dropped, Relaxed);
    }

    /// Whether an administrator wants this player gone.
    #[must_use]
    pub fn is_kicked(&self) -> bool {
        self.kicked.load(Relaxed)
    }

    /// Notes the account by which it has leave: once. It then goes when that account loses leave.
    pub fn has_leave_by(&self, user: Arc<str>) {
        let _ = self.user.set(user);
    }

    /// Where it connects from.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn info(&self) -> PlayerInfo {
        let kbit_s = self.kbit_s.load(Relaxed);
        #[allow(clippy::cast_possible_truncation)] // packed so in `update`
        let rates = Rates {
            video_kbit_s: (kbit_s >> 32) as u32,
            audio_kbit_s: kbit_s as u32,
            frame_rate: f32::from_bits(self.frame_rate.load(Relaxed) as u32),
        };
        PlayerInfo {
            id: self.id,
            protocol: self.protocol,
            peer: self.peer,
            since: self.since,
            bytes: self.bytes.load(Relaxed),
            traffic: Traffic {
                video_bytes: self.video_bytes.load(Relaxed),
                audio_bytes: self.audio_bytes.load(Relaxed),
                video_frames: self.video_frames.load(Relaxed),
                audio_frames: self.audio_frames.load(Relaxed),
            },
            rates,
            skips: self.skips.load(Relaxed),
            dropped_frames: self.dropped.load(Relaxed),
        }
    }
}

impl PlayerGuard {
    pub(crate) fn is_among(&self, players: &Arc<Players>) -> bool {
        Arc::ptr_eq(&self.players, players)
    }
}

impl std::ops::Deref for PlayerGuard {
    type Target = PlayerStats;
    fn deref(&self) -> &PlayerStats {
        &self.stats
    }
}

impl Drop for PlayerGuard {
    fn drop(&mut self) {
        self.players.lock().remove(&self.stats.id);
        self.players.count.fetch_sub(1, Relaxed);
        self.players.totals.sent[self.stats.protocol as usize].players.fetch_sub(1, Relaxed);
        self.players.bytes_of_past.fetch_add(self.stats.bytes.load(Relaxed), Relaxed);
    }
}

impl Players {
    /// Nobody yet; what they get counts in `totals` as well.
    pub(crate) fn new(totals: Arc<Totals>) -> Self {
        Self { totals, ..Self::default() }
    }

    /// Adds a player. One that has a connection of its own has a place on the server.
    pub(crate) fn enter(self: &Arc<Self>, protocol: Protocol, peer: SocketAddr, place: Option<Place>) -> PlayerGuard {
        let stats = Arc::new(PlayerStats {
            id: NEXT_ID.fetch_add(1, Relaxed),
            protocol,
            peer,
            since: SystemTime::now(),
            bytes: AtomicU64::new(0),
            video_bytes: AtomicU64::new(0),
            audio_bytes: AtomicU64::new(0),
            video_frames: AtomicU64::new(0),
            audio_frames: AtomicU64::new(0),
            kbit_s: AtomicU64::new(0),
            frame_rate: AtomicU64::new(0),
            skips: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            kicked: AtomicBool::new(false),
            user: OnceLock::new(),
        });
        self.lock().insert(stats.id, Arc::clone(&stats));
        self.count.fetch_add(1, Relaxed);
        self.totals.sent[protocol as usize].players.fetch_add(1, Relaxed);
        PlayerGuard { stats, players: Arc::clone(self), _place: place }
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    pub(crate) fn list(&self) -> Vec<PlayerInfo> {
        let mut all: Vec<_> = self.lock().values().map(|s| s.info()).collect();
        all.sort_by_key(|p| p.id);
        all
    }

    /// Bytes sent to all players, those that left included.
    pub(crate) fn bytes(&self) -> u64 {
        let now: u64 = self.lock().values().map(|s| s.bytes.load(Relaxed)).sum();
        now + self.bytes_of_past.load(Relaxed)
    }

    /// Asks a player to go. False where there is none with this number.
    pub(crate) fn kick(&self, id: u64) -> bool {
        self.lock().get(&id).map(|s| s.kicked.store(true, Relaxed)).is_some()
    }

    pub(crate) fn kick_all(&self) {
        let list = self.lock();
        let connected = list.values().filter(|player| player.protocol != Protocol::Hls);
        connected.for_each(|player| player.kicked.store(true, Relaxed));
    }

    pub(crate) fn kick_user(&self, user: &str) {
        let list = self.lock();
        let theirs = list.values().filter(|player| player.user.get().is_some_and(|by| **by == *user));
        theirs.for_each(|player| player.kicked.store(true, Relaxed));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<PlayerStats>>> {
        // The map is never left half changed.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::places::{Most, Places};

    #[test]
    fn a_player_counts_until_it_leaves_and_its_bytes_stay() {
        let players = Arc::new(Players::default());
        let places = Arc::<Places>::default();
        let peer: SocketAddr = "127.0.0.1:5000".parse().unwrap();
        let take = || places.take(peer.ip(), Most { total: 2, of_address: None }).ok();
        let a = players.enter(Protocol::HttpFlv, peer, take());
        let _b = players.enter(Protocol::Rtmp, peer, take());
        assert!(take().is_none(), "the limit holds");
        let traffic = Traffic { video_bytes: 900, video_frames: 9, ..Traffic::default() };
        a.update(1000, traffic, Rates { video_kbit_s: 7, audio_kbit_s: 3, frame_rate: 25.0 }, 1, 2);
        let info = &players.list()[0];
        assert_eq!((info.bytes, info.traffic, info.rates.audio_kbit_s, info.dropped_frames), (1000, traffic, 3, 2));
        let totals = || players.totals.sent[Protocol::HttpFlv as usize].read();
        assert_eq!((totals().players, totals().bytes, totals().frames, totals().dropped_frames), (1, 1000, 9, 2));
        drop(a);
        assert_eq!((players.len(), players.bytes()), (1, 1000));
        assert_eq!((totals().players, totals().bytes), (0, 1000), "what was sent stays sent");
        assert!(take().is_some());
    }
}
