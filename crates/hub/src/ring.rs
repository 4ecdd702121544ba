//! One format's packets, shared by all players of a stream.
//!
//! The stream's owner writes through a [`RingWriter`]; every [`Ring`] handle reads. A packet is
//! made once and never copied: readers take handles on its bytes.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use millrace_media::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::format::{Format, Tracks};
use crate::window::{Item, ItemKind, Join, Limits, Window};

/// A piece of one format: one FLV tag, or one RTMP message in chunks. Players may begin and leave
/// off only between packets.
#[derive(Debug, Clone)]
pub struct Packet {
    /// The bytes on the wire.
    pub bytes: Bytes,
    /// What they carry.
    pub kind: ItemKind,
    /// When it is decoded.
    pub dts: Timestamp,
}

impl Item for Packet {
    fn kind(&self) -> ItemKind {
        self.kind
    }

    fn dts(&self) -> Timestamp {
        self.dts
    }

    fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// Where a player begins or goes on.
#[derive(Debug, Clone)]
pub struct Start {
    /// The first packet that it gets.
    pub join: Join,
    /// What it gets before: metadata and sequence headers, after the file's header where a new
    /// player begins. Their timestamps are those of the first packet.
    pub prologue: Bytes,
}

/// A read handle on a ring.
#[derive(Debug, Clone)]
pub struct Ring {
    shared: Arc<Shared>,
    /// The state that was read last.
    seen: u64,
}

/// What readers wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Packets below this number are there to be sent.
    pub end: u64,
    /// No packet will follow.
    pub ended: bool,
}

/// The stream owner's side.
#[derive(Debug)]
pub(crate) struct RingWriter {
    shared: Arc<Shared>,
    unseen: bool,
    last_used: Instant,
}

/// What a reader that asked for packets from a number on gets.
#[derive(Debug)]
pub enum Read {
    /// This many packets were appended.
    Packets(usize),
    /// The number has left the window: go on there.
    Lagged(Start),
}

/// What becomes of the packets that were made under another configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// They can be played under the new one.
    Fit,
    /// Nobody may begin with them.
    Unfit,
}

#[derive(Debug)]
struct Shared {
    id: u64,
    format: Format,
    state: Mutex<State>,
    /// What readers wait for: twice the number of packets, and one more once no more will follow.
    head: AtomicU64,
    moved: Notify,
}

#[derive(Debug)]
struct State {
    window: Window<Packet>,
    tracks: Tracks,
}

impl Ring {
    /// Where a new player begins.
    #[must_use]
    pub fn join(&self) -> Start {
        let state = self.shared.lock();
        let join = state.window.join();
        let (tracks, at) = (state.tracks.clone(), state.window.dts(join.at));
        drop(state);
        Start { join, prologue: self.shared.format.prologue(&tracks, at) }
    }

    /// Where a player goes on that has fallen behind.
    #[must_use]
    pub fn skip(&self) -> Start {
        let state = self.shared.lock();
        let join = state.window.skip();
        let (tracks, at) = (state.tracks.clone(), state.window.dts(join.at));
        drop(state);
        Start { join, prologue: self.shared.format.headers(&tracks, at) }
    }

    /// Appends up to `most` packets from number `from` on to `out`.
    pub fn read(&self, from: u64, most: usize, out: &mut impl Extend<Packet>) -> Read {
        let state = self.shared.lock();
        let range = state.window.range();
        if from < range.start {
            drop(state);
            return Read::Lagged(self.skip());
        }
        let n = usize::try_from(range.end.saturating_sub(from)).unwrap_or(usize::MAX).min(most);
        out.extend(state.window.since(from).take(n).cloned());
        Read::Packets(n)
    }

    /// Number of the oldest packet that can still be read.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.shared.lock().window.range().start
    }

    /// The newest state.
    #[must_use]
    pub fn head(&mut self) -> Head {
        self.seen = self.shared.head.load(Acquire);
        Head { end: self.seen >> 1, ended: self.seen & 1 == 1 }
    }

    /// Waits until the head has moved since [`Self::head`] or this was called last. The end is told as often as asked.
    pub async fn changed(&mut self) -> Head {
        loop {
            let moved = self.shared.moved.notified(); // from here on no move is missed
            let head = self.shared.head.load(Acquire);
            if head != self.seen || head & 1 == 1 {
                drop(moved);
                return self.head();
            }
            moved.await;
        }
    }

    /// Tells rings apart: players with the same number can be served together.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.shared.id
    }
}

impl RingWriter {
    pub(crate) fn new(format: Format, limits: Limits, tracks: Tracks, now: Instant) -> Self {
        let mut window = Window::new(limits);
        window.set_barrier(tracks.video.is_some());
        let shared = Arc::new(Shared {
            id: NEXT_ID.fetch_add(1, Relaxed),
            format,
            state: Mutex::new(State { window, tracks }),
            head: AtomicU64::new(0),
            moved: Notify::new(),
        });
        Self { shared, unseen: false, last_used: now }
    }

    pub(crate) fn reader(&self) -> Ring {
        Ring { shared: Arc::clone(&self.shared), seen: self.shared.head.load(Acquire) }
    }

    /// Adds a packet. Readers are told with the next [`Self::flush`].
    pub(crate) fn push(&mut self, bytes: Bytes, kind: ItemKind, dts: Timestamp) {
        self.shared.lock().window.push(Packet { bytes, kind, dts });
        self.unseen = true;
    }

    pub(crate) fn flush(&mut self) {
        if std::mem::take(&mut self.unseen) {
            self.move_head(false);
        }
    }

    /// Another configuration from `at` on: the players that are here get its headers in their
    /// stream, those that join or skip from now on begin after it where what came before is unfit.
    pub(crate) fn set_tracks(&mut self, tracks: &Tracks, at: Timestamp, earlier: Earlier) {
        let headers = self.shared.format.headers(tracks, at);
        let mut state = self.shared.lock();
        if earlier == Earlier::Unfit {
            state.window.set_barrier(tracks.video.is_some());
        }
        state.tracks = tracks.clone();
        drop(state);
        self.push(headers, ItemKind::Header, at);
    }

    /// Other metadata, for those who join from now on; other colours, for those who are here as well.
    pub(crate) fn set_metadata(&mut self, tracks: &Tracks, at: Timestamp) {
        let before = std::mem::replace(&mut self.shared.lock().tracks.metadata, Arc::clone(&tracks.metadata));
        if before.color_info != tracks.metadata.color_info
            && let Some(colors) = self.shared.format.colors(tracks, at)
        {
            self.push(colors, ItemKind::Header, at);
        }
    }

    pub(crate) fn format(&self) -> Format {
        self.shared.format
    }

    /// Whether nobody has read here for `idle`.
    pub(crate) fn is_idle(&mut self, now: Instant, idle: Duration) -> bool {
        if Arc::strong_count(&self.shared) > 1 {
            self.last_used = now;
        }
        now.duration_since(self.last_used) >= idle
    }

    pub(crate) fn end(&mut self) {
        self.move_head(true);
    }

    fn move_head(&self, ended: bool) {
        let end = self.shared.lock().window.range().end;
        self.shared.head.store(end << 1 | u64::from(ended), Release);
        self.shared.moved.notify_waiters();
    }
}

impl Drop for RingWriter {
    fn drop(&mut self) {
        self.end(); // however the writer goes
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held cannot leave the window half changed in a way that
        // matters more than losing the stream.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::HubConfig;
    use millrace_media::{AvcConfig, VideoConfig};

    fn ring(config: &HubConfig) -> RingWriter {
        let avc = Bytes::from_static(&[1, 100, 0, 31, 0xff, 0xe1, 0, 2, 0x67, 0x64, 1, 0, 1, 0x68]);
        let video = VideoConfig::Avc(AvcConfig::parse(avc).unwrap());
        let tracks = Tracks { video: Some(Arc::new(video)), ..Tracks::default() };
        RingWriter::new(Format::Flv, Limits::new(config), tracks, Instant::now())
    }

    fn push(w: &mut RingWriter, n: i64, kind: ItemKind) {
        w.push(Bytes::from(vec![0; 100]), kind, Timestamp::from_millis(n * 40));
    }

    #[test]
    fn readers_share_the_bytes() {
        let mut w = ring(&HubConfig::default());
        push(&mut w, 0, ItemKind::Keyframe);
        let (mut a, mut b) = (Vec::new(), Vec::new());
        w.reader().read(0, 10, &mut a);
        w.reader().read(0, 10, &mut b);
        assert_eq!(a[0].bytes.as_ptr(), b[0].bytes.as_ptr());
    }

    #[test]
    fn a_reader_that_lags_is_sent_to_the_newest_keyframe_with_the_headers() {
        let mut w = ring(&HubConfig { gop_max_frames: 50, ..HubConfig::default() });
        let r = w.reader();
        for n in 0..120 {
            push(&mut w, n, if n % 25 == 0 { ItemKind::Keyframe } else { ItemKind::Inter });
        }
        match r.read(3, 10, &mut Vec::new()) {
            Read::Lagged(start) => {
                assert_eq!(start.join.at, 100);
                assert_eq!(start.prologue[0], 18, "script data first, no file header again");
                let header = start.prologue.windows(8).find(|w| w[0] == 9 && w[1..4] == [0, 0, 19]).unwrap();
                assert_eq!(header[4..7], 4000u32.to_be_bytes()[1..], "a sequence header with the keyframe's time");
            }
            Read::Packets(n) => panic!("{n} packets that should be gone"),
        }
    }

    #[test]
    fn a_new_player_gets_the_file_header_and_the_configuration_in_force() {
        let mut w = ring(&HubConfig::default());
        push(&mut w, 0, ItemKind::Keyframe);
        assert_eq!(w.reader().join().join, Join { at: 0, await_keyframe: false });
        w.set_tracks(&Tracks::default(), Timestamp::from_millis(40), Earlier::Unfit);
        let start = w.reader().join();
        assert_eq!(&start.prologue[..5], b"FLV\x01\x00");
        assert!(start.join.at >= 1, "nothing from before the change: {start:?}");
    }

    #[tokio::test]
    async fn readers_wake_on_flush_and_at_the_end() {
        let mut w = ring(&HubConfig::default());
        let mut r = w.reader();
        push(&mut w, 0, ItemKind::Keyframe);
        assert_eq!(r.head(), Head { end: 0, ended: false });
        w.flush();
        assert_eq!(r.changed().await, Head { end: 1, ended: false });
        w.end();
        assert_eq!(r.changed().await, Head { end: 1, ended: true });
    }

    #[tokio::test]
    async fn a_vanished_writer_is_an_end() {
        let w = ring(&HubConfig::default());
        let mut r = w.reader();
        drop(w);
        assert!(r.changed().await.ended && r.head().ended);
    }

    #[test]
    fn a_ring_is_idle_only_without_readers() {
        let now = Instant::now();
        let mut w = ring(&HubConfig::default());
        let r = w.reader();
        assert!(!w.is_idle(now + Duration::from_secs(60), Duration::from_secs(10)));
        drop(r);
        assert!(!w.is_idle(now + Duration::from_secs(65), Duration::from_secs(10)));
        assert!(w.is_idle(now + Duration::from_secs(70), Duration::from_secs(10)));
    }
}
