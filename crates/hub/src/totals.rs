//! Counters of the whole hub. They only rise, whoever comes and goes: what monitoring takes rates from.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::places::RefusedTotals;
use crate::player::Protocol;
use crate::stats::Traffic;

/// What a hub is doing, and has done.
#[derive(Debug, Clone, Default)]
pub struct HubTotals {
    /// Streams on air, with their publisher.
    pub live: usize,
    /// Streams whose publisher may come back.
    pub reconnecting: usize,
    /// Streams that only wait for a publisher.
    pub waiting: usize,
    /// Publishers that are connected, or may yet return.
    pub publishers: usize,
    /// Publishers that a limit refused.
    pub refused_publishers: RefusedTotals,
    /// Players that a limit refused.
    pub refused_players: RefusedTotals,
    /// What came from publishers.
    pub received: Traffic,
    /// Frames from publishers that could not be read.
    pub damaged_frames: u64,
    /// What went to players, by [`Protocol`].
    pub sent: [SentTotals; Protocol::ALL.len()],
}

/// What went to the players of one protocol.
#[derive(Debug, Clone, Copy, Default)]
pub struct SentTotals {
    /// Players that watch now.
    pub players: usize,
    /// Bytes, framing included.
    pub bytes: u64,
    /// Pictures and sound frames; none of HLS, which sends segments.
    pub frames: u64,
    /// How often players fell behind and skipped to a keyframe.
    pub skips: u64,
    /// Frames that they lost by that.
    pub dropped_frames: u64,
}

/// The counters themselves.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) received: Received,
    pub(crate) sent: [Sent; Protocol::ALL.len()],
}

#[derive(Debug, Default)]
pub(crate) struct Received {
    video_bytes: AtomicU64,
    audio_bytes: AtomicU64,
    video_frames: AtomicU64,
    audio_frames: AtomicU64,
    damaged: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) players: AtomicUsize,
    pub(crate) bytes: AtomicU64,
    pub(crate) frames: AtomicU64,
    pub(crate) skips: AtomicU64,
    pub(crate) dropped_frames: AtomicU64,
}

impl Received {
    /// Counts what came since `old`.
    pub(crate) fn add(&self, new: Traffic, old: Traffic, damaged: u64) {
        self.video_bytes.fetch_add(new.video_bytes - old.video_bytes, Relaxed);
        self.audio_bytes.fetch_add(new.audio_bytes - old.audio_bytes, Relaxed);
        self.video_frames.fetch_add(new.video_frames - old.video_frames, Relaxed);
        self.audio_frames.fetch_add(new.audio_frames - old.audio_frames, Relaxed);
        self.damaged.fetch_add(damaged, Relaxed);
    }

    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            video_bytes: self.video_bytes.load(Relaxed),
            audio_bytes: self.audio_bytes.load(Relaxed),
            video_frames: self.video_frames.load(Relaxed),
            audio_frames: self.audio_frames.load(Relaxed),
        }
    }

    pub(crate) fn damaged(&self) -> u64 {
        self.damaged.load(Relaxed)
    }
}

impl Sent {
    pub(crate) fn read(&self) -> SentTotals {
        SentTotals {
            players: self.players.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            frames: self.frames.load(Relaxed),
            skips: self.skips.load(Relaxed),
            dropped_frames: self.dropped_frames.load(Relaxed),
        }
    }
}
