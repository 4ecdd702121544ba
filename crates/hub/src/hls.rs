//! HLS of a stream: begun by the first request, paused when nobody asks any more.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use millrace_hls::{HlsConfig, HlsPackager, HlsSnapshot};
use millrace_media::Unit;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::warn;

use crate::format::Tracks;
use crate::gop::GopCache;
use crate::{HubConfig, StreamId};

/// What HTTP requests for a stream's HLS are answered from.
#[derive(Debug, Clone, Default)]
pub struct HlsView {
    /// The multivariant playlist.
    pub multivariant: Bytes,
    /// Media playlist and segments; none before the first segment is complete.
    pub snapshot: Option<Arc<HlsSnapshot>>,
    /// Why the stream cannot be had as HLS.
    pub refusal: Option<Arc<str>>,
}

/// What readers and the owner share.
#[derive(Debug, Default)]
pub(crate) struct HlsShared {
    pub(crate) view: OnceLock<watch::Receiver<HlsView>>,
    /// Set by every request, cleared by the owner once a second.
    asked: AtomicBool,
}

impl HlsShared {
    /// The newest view, if HLS runs and has a segment or a refusal. Counts as a request.
    pub(crate) fn ready(&self) -> Option<HlsView> {
        if !self.asked.load(Relaxed) {
            self.asked.store(true, Relaxed);
        }
        let view = self.view.get()?.borrow();
        (view.snapshot.is_some() || view.refusal.is_some()).then(|| view.clone())
    }
}

/// The owner's side.
#[derive(Debug)]
pub(crate) struct Hls {
    config: HlsConfig,
    packager: HlsPackager,
    view: watch::Sender<HlsView>,
    shared: Arc<HlsShared>,
    id: StreamId,
    active: bool,
    last_asked: Instant,
}

impl Hls {
    pub(crate) fn new(
        id: &StreamId,
        config: &HubConfig,
        longest_gop: Option<Duration>,
        shared: Arc<HlsShared>,
    ) -> Self {
        let config = HlsConfig { segment: config.hls_segment, window: config.hls_window, longest_gop };
        let (view, reader) = watch::channel(HlsView::default());
        // The owner makes one packager, so that nobody has set this before.
        let _ = shared.view.set(reader);
        Self {
            packager: HlsPackager::new(&config, id.name.as_str(), SystemTime::now()),
            config,
            view,
            shared,
            id: id.clone(),
            active: false,
            last_asked: Instant::now(),
        }
    }

    pub(crate) fn reader(&self) -> watch::Receiver<HlsView> {
        self.view.subscribe()
    }

    /// Somebody asks: begins with what the GOP cache has, unless it runs already.
    pub(crate) fn activate(&mut self, tracks: &Tracks, gop: &GopCache) {
        self.last_asked = Instant::now();
        if std::mem::replace(&mut self.active, true) {
            return;
        }
        self.tracks(tracks);
        for frame in gop.replay() {
            self.push(&Unit::Frame(frame.clone()));
        }
        let multivariant = self.packager.multivariant();
        self.view.send_modify(|view| view.multivariant = multivariant);
    }

    /// The tracks as they are now.
    pub(crate) fn tracks(&mut self, tracks: &Tracks) {
        // What could not be carried may be gone.
        self.view.send_if_modified(|view| view.refusal.take().is_some());
        self.push(&Unit::Metadata(Arc::clone(&tracks.metadata)));
        if let Some(config) = &tracks.video {
            self.push(&Unit::VideoConfig(Arc::clone(config)));
        }
        if let Some(config) = &tracks.audio {
            self.push(&Unit::AudioConfig(Arc::clone(config)));
        }
    }

    pub(crate) fn push(&mut self, unit: &Unit) {
        if !self.active {
            return;
        }
        match self.packager.push(unit, SystemTime::now()) {
            Ok(None) => {}
            Ok(Some(snapshot)) => self.show(snapshot),
            Err(error) => {
                warn!(stream = %self.id, %error, "no HLS for this stream");
                self.view.send_modify(|view| view.refusal = Some(error.to_string().into()));
            }
        }
    }

    /// A track is gone for good: players begin with a new list, as playlists cannot lose a track.
    pub(crate) fn start_over(&mut self) {
        self.packager = HlsPackager::new(&self.config, self.id.name.as_str(), SystemTime::now());
        self.view.send_modify(|view| view.snapshot = None);
    }

    /// Completes the open segment: nothing comes for now.
    pub(crate) fn interrupt(&mut self) {
        if let Some(snapshot) = self.packager.pause() {
            self.show(snapshot);
        }
    }

    /// Pauses where nobody has asked for so long.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.shared.asked.swap(false, Relaxed) {
            self.last_asked = now;
        }
        if self.active && now.duration_since(self.last_asked) >= IDLE {
            self.active = false;
            self.packager.suspend();
            // What is there is old by the time when somebody asks again.
            self.view.send_modify(|view| view.snapshot = None);
        }
    }

    /// The last view, with the end in its playlist.
    pub(crate) fn end(self) -> Option<HlsView> {
        let multivariant = self.packager.multivariant();
        let snapshot = self.packager.end().filter(|_| self.active)?;
        let last = HlsView { multivariant, snapshot: Some(snapshot), refusal: None };
        self.view.send_replace(last.clone());
        Some(last)
    }

    fn show(&self, snapshot: Arc<HlsSnapshot>) {
        self.view.send_modify(|view| {
            view.multivariant = snapshot.multivariant.clone();
            view.snapshot = Some(snapshot);
        });
    }
}

/// Segments are made for so long after the last request.
const IDLE: Duration = Duration::from_secs(60);
