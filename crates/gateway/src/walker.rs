//! The plain case of playing: one task walks its players on bare sockets.
//!
//! A walker has the newest packets of one ring at hand, and writes to each player what it lacks,
//! many packets with one vectored write. There is no task, timer or wake-up per player. While a
//! walk takes long, packets gather, and the next walk sends more with each write: merging grows
//! with the load by itself, and not by a fixed delay.
//!
//! **Invariants**
//! - A player that is blocked is passed over; nothing waits for it.
//! - The bytes of a packet are sent whole: whoever skips or leaves does so between packets.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use millrace_hub::{BoxFuture, Packet, PlayerGuard, Read, Ring};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::playhead::Playhead;
use crate::socket::Socket;

/// All walkers of a server.
#[derive(Debug)]
pub(crate) struct Walkers {
    by_ring: Mutex<HashMap<u64, Vec<Handle>>>,
    stall_timeout: Duration,
    per_ring: usize,
    tasks: TaskTracker,
}

/// A player that is ready to get packets.
pub(crate) struct NewPlayer {
    /// Its connection, all input so far consumed.
    pub(crate) socket: Socket,
    /// What it gets before the format's own beginning, such as an HTTP head.
    pub(crate) head: Bytes,
    /// Its place in the stream.
    pub(crate) place: PlayerGuard,
    /// What it says and is told beside the packets.
    pub(crate) control: Option<Box<dyn Control>>,
}

/// A protocol's conversation with a player, beside the packets.
pub(crate) trait Control: Send {
    /// The player said something.
    fn input(&mut self, bytes: &[u8]) -> Verdict;

    /// Time passes: about twice a second.
    fn tick(&mut self) -> Verdict {
        Verdict::Stay
    }

    /// What is to be said to the player, between packets.
    fn poll_output(&mut self) -> Option<Bytes>;

    /// Whether it wants sound and pictures.
    fn wants(&self) -> (bool, bool) {
        (true, true)
    }

    /// The player is seen off.
    fn end(&mut self, farewell: Farewell);

    /// Goes on with the connection, on which `unsent` must be sent first.
    fn take_back(self: Box<Self>, socket: Socket, unsent: Bytes) -> BoxFuture<'static, ()>;
}

/// Why a player is seen off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// The stream is over.
    Over,
    /// It is sent away, and told why.
    Dismissed(&'static str),
}

/// What becomes of a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    Stay,
    /// Its connection is closed.
    Leave(&'static str),
    /// Its protocol goes on without packets.
    TakeBack,
}

impl Walkers {
    pub(crate) fn new(stall_timeout: Duration) -> Arc<Self> {
        let per_ring = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self { by_ring: Mutex::default(), stall_timeout, per_ring, tasks: TaskTracker::new() })
    }

    /// Gives a player to a walker of the ring, starting one where needed.
    pub(crate) async fn add(self: &Arc<Self>, ring: Ring, player: NewPlayer) {
        self.take_in(ring, Box::new(player)).await;
    }

    async fn take_in(self: &Arc<Self>, ring: Ring, mut player: Box<NewPlayer>) {
        loop {
            let sender = self.pick(&ring);
            match sender.send(player).await {
                Ok(()) => return,
                // The walker was about to end, and has taken itself out of the list.
                Err(mpsc::error::SendError(returned)) => player = returned,
            }
        }
    }

    /// Runs what a player's connection has still to do after its walker.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits until the last player is seen off: for after the last stream has ended.
    pub(crate) async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn pick(self: &Arc<Self>, ring: &Ring) -> mpsc::Sender<Box<NewPlayer>> {
        let mut by_ring = self.by_ring.lock().unwrap_or_else(PoisonError::into_inner);
        let walkers = by_ring.entry(ring.id()).or_default();
        let count = walkers.len();
        let least = walkers.iter().min_by_key(|h| h.load.load(Relaxed));
        if let Some(handle) = least.filter(|h| h.load.load(Relaxed) < SPREAD || count >= self.per_ring) {
            handle.load.fetch_add(1, Relaxed);
            return handle.sender.clone();
        }
        let (sender, players) = mpsc::channel(JOINING);
        let load = Arc::new(AtomicUsize::new(1));
        walkers.push(Handle { sender: sender.clone(), load: Arc::clone(&load) });
        let walker = Walker {
            window: Window { packets: VecDeque::new(), first: ring.start() },
            ring: ring.clone(),
            players: Vec::new(),
            blocked: 0,
            load,
            owner: Arc::clone(self),
        };
        self.tasks.spawn(walker.run(players));
        sender
    }

    fn remove(&self, ring: u64, load: &Arc<AtomicUsize>) {
        let mut by_ring = self.by_ring.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(walkers) = by_ring.get_mut(&ring) {
            walkers.retain(|h| !Arc::ptr_eq(&h.load, load));
            if walkers.is_empty() {
                by_ring.remove(&ring);
            }
        }
    }
}

/// Players per walker before another core gets one.
const SPREAD: usize = 256;
/// Players that may wait to be taken in.
const JOINING: usize = 256;
/// Most buffers of one write; the kernel takes up to 1024.
const MAX_SLICES: usize = 64;
/// Players that are served before other tasks of the same core get a turn.
const TURN: usize = 32;
/// How often players whose sockets were full are tried again.
const RETRY: Duration = Duration::from_millis(10);
/// How often every player is looked at, packets or not.
const SWEEP: Duration = Duration::from_millis(500);
/// A walker without players ends after so many sweeps.
const IDLE_SWEEPS: u32 = 20;
/// Players get so long to take what is left when their stream has ended.
const DRAIN: Duration = Duration::from_secs(5);
/// What a player is told that an administrator sends away.
const KICKED: &str = "disconnected by the administrator";
/// Bytes that are read from a player at a time.
const SCRATCH: usize = 2048;

#[derive(Debug)]
struct Handle {
    sender: mpsc::Sender<Box<NewPlayer>>,
    load: Arc<AtomicUsize>,
}

struct Walker {
    ring: Ring,
    window: Window,
    players: Vec<Player>,
    blocked: usize,
    load: Arc<AtomicUsize>,
    owner: Arc<Walkers>,
}

/// The walker's own handles on the packets that its players lack, so that walking needs no lock.
struct Window {
    packets: VecDeque<Packet>,
    first: u64,
}

struct Player {
    socket: Socket,
    place: PlayerGuard,
    head: Playhead,
    /// Sent before the next packet.
    pending: Bytes,
    /// What its protocol says next, after `pending`.
    answer: Bytes,
    blocked: bool,
    progress: Instant,
    /// The last time that nothing was pending: a packet of which a part was sent is kept in memory.
    whole: Instant,
    control: Option<Box<dyn Control>>,
    /// The protocol has heard something, or time has passed: it may have something to say, or want something else.
    /// Otherwise its memory is left alone, since touching that of thousands takes longer than sending to them.
    stirred: bool,
}

impl Walker {
    async fn run(mut self, mut joining: mpsc::Receiver<Box<NewPlayer>>) {
        let mut sweeps = 0u32;
        let mut idle = 0;
        let mut next_sweep = pin!(tokio::time::sleep(SWEEP));
        loop {
            // Under full load there is always something to walk for: those who join and the sweep
            // get their turn after each walk.
            while let Ok(player) = joining.try_recv() {
                self.enter(*player);
            }
            if Instant::now() >= next_sweep.deadline() {
                next_sweep.as_mut().reset(Instant::now() + SWEEP);
                sweeps = sweeps.wrapping_add(1);
                self.sweep(sweeps.is_multiple_of(2)).await;
                idle = if self.players.is_empty() && joining.is_empty() { idle + 1 } else { 0 };
                if idle >= IDLE_SWEEPS {
                    break;
                }
            }
            tokio::select! {
                biased;
                head = self.ring.changed() => {
                    self.walk(false).await;
                    if head.ended {
                        self.drain().await;
                        break;
                    }
                }
                Some(player) = joining.recv() => self.enter(*player),
                () = tokio::time::sleep(RETRY), if self.blocked > 0 => self.walk(true).await,
                () = &mut next_sweep => {}
            }
        }
        self.owner.remove(self.ring.id(), &self.load);
        joining.close();
        while let Some(player) = joining.recv().await {
            // A ring that has ended has nothing for those that came too late.
            if self.ring.head().ended {
                self.enter(*player);
                self.drain().await;
            } else {
                let (owner, ring) = (Arc::clone(&self.owner), self.ring.clone());
                Box::pin(async move { owner.take_in(ring, player).await }).await;
            }
        }
    }

    fn enter(&mut self, new: NewPlayer) {
        let start = self.ring.join();
        self.window.begin_by(start.join.at);
        self.window.refresh(&self.ring);
        let pending =
            if new.head.is_empty() { start.prologue } else { [&new.head[..], &start.prologue].concat().into() };
        let mut player = Player {
            socket: new.socket,
            place: new.place,
            head: Playhead::new(start.join),
            pending,
            answer: Bytes::new(),
            blocked: false,
            progress: Instant::now(),
            whole: Instant::now(),
            control: new.control,
            stirred: true,
        };
        let verdict = player.serve(&self.window, &self.ring);
        self.blocked += usize::from(player.blocked);
        self.players.push(player);
        if verdict != Verdict::Stay {
            self.leave(self.players.len() - 1, verdict);
        }
    }

    /// Serves every player, or only those that were blocked.
    async fn walk(&mut self, only_blocked: bool) {
        self.window.refresh(&self.ring);
        self.blocked = 0;
        let mut served = 0;
        let mut i = 0;
        while i < self.players.len() {
            let player = &mut self.players[i];
            if only_blocked && !player.blocked {
                i += 1;
                continue;
            }
            let mut verdict = match player.control {
                Some(_) => player.listen(),
                None => Verdict::Stay,
            };
            if verdict == Verdict::Stay {
                verdict = player.serve(&self.window, &self.ring);
            }
            if verdict == Verdict::Stay {
                self.blocked += usize::from(player.blocked);
                i += 1;
            } else {
                self.leave(i, verdict);
            }
            served += 1;
            if served % TURN == 0 {
                tokio::task::yield_now().await;
                // What came meanwhile goes out with this walk already, to those who are still to be served: a picture then
                // waits for half a walk on average, not for a whole one.
                self.window.refresh(&self.ring);
            }
        }
        let needed = self.players.iter().map(|player| player.head.next).min();
        self.window.release(needed.unwrap_or(u64::MAX));
    }

    /// Looks at every player: has it left, does it stall, was it sent away?
    async fn sweep(&mut self, report: bool) {
        let now = Instant::now();
        let mut i = 0;
        let mut seen = 0;
        while i < self.players.len() {
            let player = &mut self.players[i];
            let mut verdict = player.listen();
            if verdict == Verdict::Stay {
                verdict = match &mut player.control {
                    Some(control) => control.tick(),
                    None => Verdict::Stay,
                };
                player.stirred = true;
            }
            if verdict == Verdict::Stay && player.control.is_some() {
                verdict = player.serve(&self.window, &self.ring);
            }
            if player.place.is_kicked() {
                verdict = player.dismiss(KICKED);
            } else if player.blocked
                && now.duration_since(player.progress.min(player.whole)) >= self.owner.stall_timeout
            {
                verdict = Verdict::Leave("took nothing for too long");
            }
            if report {
                player.head.report(now, &player.place);
            }
            match verdict {
                Verdict::Stay => i += 1,
                verdict => self.leave(i, verdict),
            }
            seen += 1;
            if seen % (4 * TURN) == 0 {
                tokio::task::yield_now().await;
            }
        }
        self.blocked = self.players.iter().filter(|p| p.blocked).count();
        self.window.packets.shrink_to(2 * self.window.packets.len()); // it is long only where somebody joins or lags
    }

    /// The stream is over: sees players off as they have all of it. Who takes too long is cut.
    async fn drain(&mut self) {
        let until = Instant::now() + DRAIN;
        loop {
            for mut player in self.players.extract_if(.., |player| !player.blocked) {
                self.load.fetch_sub(1, Relaxed);
                player.head.report(Instant::now(), &player.place);
                if let Some(mut control) = player.control {
                    control.end(Farewell::Over);
                    self.owner.spawn(control.take_back(player.socket, player.pending));
                }
            }
            if self.players.is_empty() || Instant::now() >= until {
                break;
            }
            tokio::time::sleep(RETRY).await;
            self.walk(true).await;
        }
        while !self.players.is_empty() {
            self.leave(0, Verdict::Leave("did not take the end in time"));
        }
    }

    fn leave(&mut self, index: usize, verdict: Verdict) {
        let mut player = self.players.swap_remove(index);
        self.load.fetch_sub(1, Relaxed);
        player.head.report(Instant::now(), &player.place);
        match (verdict, player.control) {
            (Verdict::TakeBack, Some(control)) => {
                let unsent = match player.answer.is_empty() {
                    true => player.pending,
                    false => [player.pending, player.answer].concat().into(),
                };
                self.owner.spawn(control.take_back(player.socket, unsent));
            }
            (Verdict::Leave(reason), _) => debug!(peer = %player.place.peer(), reason, "player left"),
            _ => {}
        }
    }
}

impl Window {
    fn refresh(&mut self, ring: &Ring) {
        loop {
            match ring.read(self.end(), usize::MAX, &mut self.packets) {
                Read::Packets(_) => break,
                // The walker itself was late: its players will find that they were, too.
                Read::Lagged(start) => {
                    self.packets.clear();
                    self.first = start.join.at;
                }
            }
        }
        self.release(ring.start());
    }

    /// Lets go of what is before `number`: every player has it.
    fn release(&mut self, number: u64) {
        while self.first < number && self.packets.pop_front().is_some() {
            self.first += 1;
        }
    }

    /// Somebody begins at `number`, which may have been let go of: the next refresh reads it again.
    fn begin_by(&mut self, number: u64) {
        if number < self.first {
            self.packets.clear();
            self.first = number;
        }
    }

    fn end(&self) -> u64 {
        self.first + self.packets.len() as u64
    }

    fn get(&self, number: u64) -> Option<&Packet> {
        self.packets.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

impl Player {
    /// Writes what the player lacks, until it has all or its socket is full.
    fn serve(&mut self, window: &Window, ring: &Ring) -> Verdict {
        loop {
            self.begin(window, ring);
            let (written, wanted) = match self.write(window) {
                Ok(None) => {
                    self.blocked = false;
                    return Verdict::Stay;
                }
                Ok(Some(result)) => result,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Verdict::Stay;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Verdict::Leave("connection lost"),
            };
            self.commit(window, written);
            self.progress = Instant::now();
            if written < wanted {
                self.blocked = true; // the socket is full: asking again would only be told so
                return Verdict::Stay;
            }
        }
    }

    /// Before a write: what does the player want, is there something to say, or a skip? What was
    /// begun is sent to its end first.
    fn begin(&mut self, window: &Window, ring: &Ring) {
        if self.stirred
            && let Some(control) = &mut self.control
        {
            let (audio, video) = control.wants();
            self.head.want(audio, video);
            if self.answer.is_empty() {
                self.answer = control.poll_output().unwrap_or_default();
                self.stirred = !self.answer.is_empty();
            }
        }
        if !self.pending.is_empty() {
            return;
        }
        if !self.answer.is_empty() {
            self.pending = std::mem::take(&mut self.answer);
        } else if self.head.next < window.first {
            let start = ring.skip();
            debug!(peer = %self.place.peer(), lost = start.join.at - self.head.next, "player skips to the newest keyframe");
            self.head.skip_to(start.join);
            self.pending = start.prologue;
        }
    }

    /// One write of up to [`MAX_SLICES`] buffers: how much was written of how much. `None` where
    /// there is nothing to write.
    fn write(&mut self, window: &Window) -> io::Result<Option<(usize, usize)>> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut count = 0;
        let mut wanted = 0;
        if !self.pending.is_empty() {
            slices[0] = IoSlice::new(&self.pending);
            count = 1;
            wanted = self.pending.len();
        }
        let mut filter = self.head.filter();
        let mut number = self.head.next;
        // An answer comes before the next packet.
        while count < MAX_SLICES && self.answer.is_empty() {
            let Some(packet) = window.get(number) else { break };
            number += 1;
            if filter.pass(packet.kind) {
                slices[count] = IoSlice::new(&packet.bytes);
                count += 1;
                wanted += packet.bytes.len();
            }
        }
        if count == 0 {
            self.commit(window, 0); // moves over what the player does not want
            return Ok(None);
        }
        let written = self.socket.try_write_vectored(&slices[..count])?;
        Ok(Some((written, wanted)))
    }

    /// Moves on by what was written. Of a packet that was cut, the rest is kept.
    fn commit(&mut self, window: &Window, mut written: usize) {
        self.head.sent(written);
        let of_pending = written.min(self.pending.len());
        self.pending.advance(of_pending);
        written -= of_pending;
        if !self.pending.is_empty() {
            return;
        }
        self.pending = Bytes::new();
        self.whole = Instant::now();
        while let Some(packet) = window.get(self.head.next) {
            let passes = self.head.filter().pass(packet.kind);
            if passes && written == 0 {
                break;
            }
            self.head.take(packet);
            if passes {
                let of_packet = written.min(packet.bytes.len());
                written -= of_packet;
                if of_packet < packet.bytes.len() {
                    self.pending = packet.bytes.slice(of_packet..);
                    break;
                }
            }
        }
    }

    /// Sends the player away, with a word where its protocol has one.
    fn dismiss(&mut self, reason: &'static str) -> Verdict {
        match &mut self.control {
            Some(control) => {
                control.end(Farewell::Dismissed(reason));
                Verdict::TakeBack
            }
            None => Verdict::Leave(reason),
        }
    }

    /// Reads what the player says. A connection that is only written to tells so that its peer left.
    fn listen(&mut self) -> Verdict {
        let mut scratch = [0; SCRATCH];
        // A player that talks without end is heard a little at a time.
        for _ in 0..4 {
            match self.socket.try_read(&mut scratch) {
                Ok(0) => return Verdict::Leave("the player left"),
                Ok(n) => {
                    self.stirred = true;
                    let verdict = match &mut self.control {
                        Some(control) => control.input(&scratch[..n]),
                        None => Verdict::Stay,
                    };
                    if verdict != Verdict::Stay {
                        return verdict;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Verdict::Leave("connection lost"),
            }
        }
        Verdict::Stay
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
