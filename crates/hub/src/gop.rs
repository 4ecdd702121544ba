use millrace_media::{Frame, Timestamp, TrackKind};

use crate::window::{Item, ItemKind, Limits, Window};

/// The frames that a format which starts now is fed first: the last GOPs, sound included.
#[derive(Debug)]
pub(crate) struct GopCache {
    frames: Window<Frame>,
    limits: Limits,
}

impl GopCache {
    pub(crate) fn new(limits: Limits) -> Self {
        let limits = limits.without_lag();
        Self { frames: Window::new(limits), limits }
    }

    pub(crate) fn push(&mut self, frame: Frame) {
        self.frames.push(frame);
    }

    /// Lets go of all: what comes next has another configuration.
    pub(crate) fn clear(&mut self, has_video: bool) {
        self.frames = Window::new(self.limits);
        self.frames.set_barrier(has_video);
    }

    /// The frames from the first keyframe that is kept; none where there is none yet.
    pub(crate) fn replay(&self) -> impl Iterator<Item = &Frame> {
        self.frames.since(self.frames.join().at)
    }

    /// As [`Self::replay`], to let the frames' payloads share the memory of what is made of them.
    pub(crate) fn replay_mut(&mut self) -> impl Iterator<Item = &mut Frame> {
        self.frames.since_mut(self.frames.join().at)
    }
}

impl Item for Frame {
    fn kind(&self) -> ItemKind {
        kind_of(self)
    }

    fn dts(&self) -> Timestamp {
        self.dts
    }

    fn bytes(&self) -> usize {
        self.payload.len()
    }
}

pub(crate) fn kind_of(frame: &Frame) -> ItemKind {
    match (frame.track, frame.keyframe) {
        (TrackKind::Audio, _) => ItemKind::Audio,
        (TrackKind::Video, true) => ItemKind::Keyframe,
        (TrackKind::Video, false) => ItemKind::Inter,
    }
}
