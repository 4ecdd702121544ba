//! One task owns each stream's state: tracks, GOP cache, packagers, publisher. Others send it
//! [`Command`]s, or read what it puts into [`Shared`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use millrace_hls::HlsFormat;
use millrace_media::{Frame, TrackKind, Unit, VideoConfig};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{debug, info};

use crate::events::{EndReason, Ended, Event};
use crate::format::{Format, Tracks};
use crate::gop::{GopCache, kind_of};
use crate::hls::{Hls, HlsReader, HlsShared};
use crate::info::{AudioInfo, PublisherInfo, StreamInfo, StreamState, VideoInfo};
use crate::places::Place;
use crate::player::Players;
use crate::publisher::{CutReason, Publication, PublishError, Publisher, PublisherMeta};
use crate::registry::Registry;
use crate::ring::{Ring, RingWriter};
use crate::session::Session;
use crate::splice::Splice;
use crate::stats::{RateMeter, Rates, Traffic};
use crate::window::Limits;
use crate::{PlayError, StreamId};

mod publishing;

/// What a stream's owner is asked.
#[derive(Debug)]
pub(crate) enum Command {
    /// Somebody wants to publish.
    Publish { meta: Box<PublisherMeta>, reply: oneshot::Sender<Result<Publisher, PublishError>> },
    /// The publisher with that number sends.
    Units { publication: u64, units: Vec<Unit> },
    /// The publisher sent a frame that could not be read.
    Damaged,
    /// Somebody wants to play; `wait` until there is a publisher.
    Play { format: Format, wait: bool, reply: oneshot::Sender<Result<Ring, PlayError>> },
    /// Somebody asks for HLS in one of its formats.
    Hls { format: HlsFormat, reply: oneshot::Sender<Result<HlsReader, PlayError>> },
    /// Cut the publisher, and end the stream without grace.
    End { reason: CutReason },
}

/// What others may read of a stream.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: StreamId,
    pub(crate) players: Arc<Players>,
    /// `None` until the first publisher.
    pub(crate) info: ArcSwapOption<StreamInfo>,
    pub(crate) hls: Arc<HlsShared>,
    pub(crate) keyframe: Mutex<Option<(Arc<VideoConfig>, Frame)>>,
}

/// The way to a stream's owner.
#[derive(Debug, Clone)]
pub(crate) struct StreamHandle {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) shared: Arc<Shared>,
}

impl StreamHandle {
    /// Starts the owner of a stream that nobody publishes yet.
    pub(crate) fn start(id: StreamId, registry: Arc<Registry>) -> Self {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let shared = Arc::new(Shared {
            id,
            players: Arc::new(Players::new(Arc::clone(&registry.totals))),
            info: ArcSwapOption::empty(),
            hls: Arc::default(),
            keyframe: Mutex::new(None),
        });
        let handle = Self { commands: commands.clone(), shared: Arc::clone(&shared) };
        let owner = Owner::new(shared, registry, commands.downgrade());
        let tracker = owner.registry.tasks.clone();
        tracker.spawn(owner.run(receiver));
        handle
    }
}

/// Commands that wait for the owner; a publisher waits when they are so many.
const COMMANDS: usize = 16;
/// Commands that are handled before readers are told.
const BATCH: usize = 16;
/// How often statistics are taken and what is over is looked for.
const TICK: Duration = Duration::from_secs(1);
/// A format that nobody has taken for so long is no longer made.
const FORMAT_IDLE: Duration = Duration::from_secs(10);
/// Time by which the second track of a stream must have shown itself to be in the first headers.
const TRACKS_KNOWN: Duration = Duration::from_millis(1000);
/// Players that wait on one stream for a publisher.
const MAX_WAITING: usize = 1024;

struct Owner {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
    commands: mpsc::WeakSender<Command>,
    publication: Option<Publication>,
    /// The place of a publisher that may return.
    kept_place: Option<Place>,
    publications: u64,
    /// Whether the log is told of the newest publication: not where its peer publishes again and again.
    told: bool,
    /// The newest publisher, kept while it is away.
    publisher: Option<PublisherInfo>,
    /// Set once the tracks are known and players are let in.
    on_air: Option<SystemTime>,
    /// No picture of this publisher is of use before its next keyframe.
    await_keyframe: bool,
    /// When the first frame came, until the tracks are known.
    opening: Option<Instant>,
    grace_until: Option<Instant>,
    /// Why it ends, once it does.
    over: Option<EndReason>,
    tracks: Tracks,
    session: Session,
    splice: Splice,
    gop: GopCache,
    limits: Limits,
    rings: Vec<RingWriter>,
    hls: Option<Hls>,
    waiting: Vec<Asked>,
    received: Traffic,
    damaged: u64,
    /// What of that the hub's counters know.
    counted: (Traffic, u64),
    meter: RateMeter,
    rates: Rates,
    last_frame: Option<Instant>,
    last_keyframe: Option<millrace_media::Timestamp>,
    gop_duration: Option<Duration>,
    longest_gop: Option<Duration>,
}

/// Somebody who wants to play what is not on air.
struct Asked {
    format: Format,
    /// Waits for a publisher, and not only for the one that is there to begin.
    patient: bool,
    reply: oneshot::Sender<Result<Ring, PlayError>>,
}

impl Owner {
    fn new(shared: Arc<Shared>, registry: Arc<Registry>, commands: mpsc::WeakSender<Command>) -> Self {
        let limits = Limits::new(&registry.config);
        Self {
            shared,
            commands,
            publication: None,
            kept_place: None,
            publications: 0,
            told: true,
            publisher: None,
            on_air: None,
            await_keyframe: true,
            opening: None,
            grace_until: None,
            over: None,
            tracks: Tracks::default(),
            session: Session::new(Instant::now()),
            splice: Splice::default(),
            gop: GopCache::new(limits),
            limits,
            rings: Vec::new(),
            hls: None,
            waiting: Vec::new(),
            received: Traffic::default(),
            damaged: 0,
            counted: Default::default(),
            meter: RateMeter::default(),
            rates: Rates::default(),
            last_frame: None,
            last_keyframe: None,
            gop_duration: None,
            longest_gop: None,
            registry,
        }
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut batch = Vec::with_capacity(BATCH);
        // Not at once: whoever started the stream has its question still to put.
        let mut tick = tokio::time::interval_at(Instant::now() + TICK, TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while self.over.is_none() {
            tokio::select! {
                biased; // what a publisher sent before it went is played
                n = commands.recv_many(&mut batch, BATCH) => {
                    if n == 0 { break }
                    batch.reverse();
                    while self.over.is_none() && let Some(command) = batch.pop() {
                        self.handle(command);
                    }
                    self.flush();
                }
                finished = gone(&mut self.publication) => self.publisher_gone(finished),
                _ = tick.tick() => self.tick(Instant::now()),
            }
        }
        self.end();
        self.registry.remove(&self.shared);
        self.tell_end();
        // Whoever asked in the last moment finds the door closed, only now, and asks the registry again.
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Units { publication, units } => {
                // What a publisher that was cut had still on its way is dropped.
                if self.publication.as_ref().is_some_and(|p| p.id == publication) {
                    units.into_iter().for_each(|unit| self.unit(unit));
                }
            }
            Command::Damaged => self.damaged += 1,
            Command::Publish { meta, reply } => {
                // One that is done may publish again before its end was seen here.
                if let Some(finished) = self.publication.as_mut().and_then(Publication::is_gone) {
                    self.publisher_gone(finished);
                }
                if self.over.is_some() {
                    return;
                }
                let answer = self.publish(*meta);
                // A publisher that no longer wants the answer drops it, and is then seen as gone.
                let _ = reply.send(answer);
            }
            Command::Play { format, wait, reply } => self.play(format, wait, reply),
            Command::Hls { format, reply } => {
                // Whoever no longer waits for the answer needs none.
                let _ = reply.send(self.hls(format));
            }
            Command::End { reason } => {
                self.cut(reason);
                if self.told {
                    info!(stream = %self.shared.id, %reason, "stream ended");
                }
                self.over = Some(match reason {
                    CutReason::ShuttingDown => EndReason::ShuttingDown,
                    CutReason::Kicked | CutReason::TakenOver => EndReason::Kicked,
                });
            }
        }
    }

    fn unit(&mut self, unit: Unit) {
        match unit {
            Unit::Metadata(metadata) => {
                if let Some(publisher) = &mut self.publisher {
                    publisher.encoder = metadata.encoder.clone().or_else(|| publisher.encoder.take());
                }
                self.tracks.metadata = metadata;
                let at = self.splice.end().unwrap_or_default();
                for ring in &mut self.rings {
                    ring.set_metadata(&self.tracks, at);
                }
            }
            Unit::VideoConfig(config) => {
                self.session.video.config = Some(Arc::clone(&config));
                self.set_video(config);
            }
            Unit::AudioConfig(config) => {
                self.session.audio.config = Some(Arc::clone(&config));
                self.set_audio(config);
            }
            Unit::Discontinuity => self.discontinuity(),
            Unit::Frame(frame) => self.frame(frame),
        }
    }

    fn discontinuity(&mut self) {
        debug!(stream = %self.shared.id, "discontinuity");
        self.last_keyframe = None; // what lies between is no GOP
        if let Some(hls) = &mut self.hls {
            hls.push(&Unit::Discontinuity);
        }
    }

    fn frame(&mut self, mut frame: Frame) {
        let now = Instant::now();
        self.splice.apply(&mut frame);
        self.last_frame = Some(now);
        self.heard(frame.track, now);
        self.count(&frame);
        self.await_keyframe &= !frame.is_video_keyframe();
        // A publisher that begins within a GOP refers to pictures that nobody has.
        if frame.track == TrackKind::Audio || !self.await_keyframe {
            if self.on_air.is_some() {
                self.package(&mut frame);
            }
            if frame.is_video_keyframe() {
                self.keyframe(&frame);
            }
            self.gop.push(frame);
        }
        if self.on_air.is_none() {
            let since = *self.opening.get_or_insert(now);
            if self.session.is_complete() || now.duration_since(since) >= TRACKS_KNOWN {
                self.go_on_air();
            }
        }
    }

    /// Makes the frame's packet in each format. What keeps the frame longer shares the memory of one of them.
    fn package(&mut self, frame: &mut Frame) {
        let kind = kind_of(frame);
        let mut within = None;
        for ring in &mut self.rings {
            if let Some(packet) = ring.format().frame(frame, &self.tracks) {
                within = within.or_else(|| ring.format().payload_within(&packet, frame.payload.len()));
                ring.push(packet, kind, frame.dts);
            }
        }
        if let Some(payload) = within {
            frame.payload = payload;
        }
        if let Some(hls) = &mut self.hls {
            hls.push(&Unit::Frame(frame.clone()));
        }
    }

    fn count(&mut self, frame: &Frame) {
        let bytes = frame.payload.len() as u64;
        match frame.track {
            TrackKind::Video => {
                self.received.video_bytes += bytes;
                self.received.video_frames += 1;
            }
            TrackKind::Audio => {
                self.received.audio_bytes += bytes;
                self.received.audio_frames += 1;
            }
        }
    }

    fn keyframe(&mut self, frame: &Frame) {
        if let Some(last) = self.last_keyframe.replace(frame.dts) {
            self.gop_duration = Some(frame.dts.since(last));
            self.longest_gop = self.longest_gop.max(self.gop_duration);
        }
        if let Some(config) = &self.tracks.video {
            let newest = Some((Arc::clone(config), frame.clone()));
            *self.shared.keyframe.lock().unwrap_or_else(PoisonError::into_inner) = newest;
        }
    }

    fn go_on_air(&mut self) {
        self.on_air = Some(SystemTime::now());
        self.opening = None;
        let name = |on: Option<String>| on.unwrap_or_else(|| "none".to_owned());
        if self.told {
            info!(
                stream = %self.shared.id,
                video = name(self.tracks.video.as_ref().map(|c| c.codec_string())),
                audio = name(self.tracks.audio.as_ref().map(|c| c.codec_string())),
                "on air"
            );
        }
        self.publish_info();
        if let Some(stream) = self.shared.info.load_full() {
            self.registry.events.tell(Event::OnAir(stream));
        }
        for Asked { format, reply, .. } in std::mem::take(&mut self.waiting) {
            let _ = reply.send(Ok(self.ring(format)));
        }
    }

    fn play(&mut self, format: Format, wait: bool, reply: oneshot::Sender<Result<Ring, PlayError>>) {
        self.waiting.retain(|asked| !asked.reply.is_closed());
        let answer = if self.on_air.is_some() {
            Ok(self.ring(format))
        } else if (wait || self.publication.is_some()) && self.waiting.len() < MAX_WAITING {
            self.waiting.push(Asked { format, patient: wait, reply });
            return;
        } else {
            Err(if wait { PlayError::Full } else { PlayError::NotOnAir })
        };
        let _ = reply.send(answer);
    }

    /// The ring of a format, begun from the GOP cache where nobody has asked for it yet.
    fn ring(&mut self, format: Format) -> Ring {
        if let Some(ring) = self.rings.iter().find(|r| r.format() == format) {
            return ring.reader();
        }
        let mut ring = RingWriter::new(format, self.limits, self.tracks.clone(), Instant::now());
        for frame in self.gop.replay_mut() {
            if let Some(packet) = format.frame(frame, &self.tracks) {
                if let Some(payload) = format.payload_within(&packet, frame.payload.len()) {
                    frame.payload = payload;
                }
                ring.push(packet, kind_of(frame), frame.dts);
            }
        }
        ring.flush();
        let reader = ring.reader();
        self.rings.push(ring);
        debug!(stream = %self.shared.id, ?format, "format started");
        reader
    }

    fn hls(&mut self, format: HlsFormat) -> Result<HlsReader, PlayError> {
        // On air there is a publisher, or was.
        let Some(publisher) = self.publisher.as_ref().filter(|_| self.on_air.is_some()) else {
            return Err(PlayError::NotOnAir);
        };
        let hls = self.hls.get_or_insert_with(|| {
            let shared = Arc::clone(&self.shared.hls);
            Hls::new(&self.shared.id, publisher.peer.ip(), &self.registry.config, shared)
        });
        Ok(hls.activate(format, &self.tracks, &self.gop, self.longest_gop))
    }

    fn flush(&mut self) {
        for ring in &mut self.rings {
            ring.flush();
        }
    }

    /// Passes on what came to the hub's counters.
    fn count_in(&mut self) {
        let (received, damaged) = self.counted;
        self.registry.totals.received.add(self.received, received, self.damaged - damaged);
        self.counted = (self.received, self.damaged);
    }

    fn tick(&mut self, now: Instant) {
        self.count_in();
        self.rates = self.meter.sample(now, self.received);
        self.rings.retain_mut(|ring| !ring.is_idle(now, FORMAT_IDLE));
        self.waiting.retain(|asked| !asked.reply.is_closed());
        if let Some(hls) = &mut self.hls {
            hls.tick(now);
        }
        if self.publication.is_some() {
            self.forget_missing_tracks(now);
        }
        if self.grace_until.is_some_and(|until| until <= now) {
            if self.told {
                info!(stream = %self.shared.id, reason = "the publisher did not return", "stream ended");
            }
            self.over = Some(EndReason::Lost);
        }
        // A stream that only waits lives as long as somebody waits.
        if self.on_air.is_none() && self.publication.is_none() && self.waiting.is_empty() {
            self.over = Some(EndReason::Lost);
        }
        self.publish_info();
    }

    fn publish_info(&mut self) {
        let state = match (self.on_air, &self.publication) {
            (None, _) => StreamState::Waiting,
            (Some(_), Some(_)) if !self.session.is_silent(Instant::now()) => StreamState::Live,
            (Some(_), _) => StreamState::Reconnecting,
        };
        let measured = (self.rates.frame_rate > 0.0).then(|| f64::from(self.rates.frame_rate));
        self.shared.info.store(Some(Arc::new(StreamInfo {
            id: self.shared.id.clone(),
            state,
            started_at: self.on_air.unwrap_or_else(SystemTime::now),
            publisher: self.publisher.clone(),
            metadata: Arc::clone(&self.tracks.metadata),
            video: self
                .tracks
                .video
                .clone()
                .map(|config| VideoInfo { frame_rate: measured.or_else(|| config.frame_rate()), config }),
            audio: self.tracks.audio.clone().map(|config| AudioInfo { config }),
            gop: self.gop_duration,
            received: self.received,
            rates: self.rates,
            damaged_frames: self.damaged,
            // The reader fills in how many there are now.
            viewers: 0,
            sent_bytes: self.shared.players.bytes(),
        })));
    }

    fn end(&mut self) {
        self.count_in();
        self.publish_info();
        self.flush();
        for ring in &mut self.rings {
            ring.end();
        }
        if self.on_air.is_some() {
            self.registry.went_off_air(&self.shared.id);
            let hls = self.hls.take().zip(self.shared.info.load_full());
            self.registry.keep_hls(&self.shared.id, hls.and_then(|(hls, info)| hls.end(&info)));
        }
        for asked in self.waiting.drain(..) {
            let _ = asked.reply.send(Err(PlayError::NotOnAir));
        }
    }

    /// Tells that a stream which was on air no longer is.
    fn tell_end(&self) {
        let Some(info) = self.shared.info.load_full().filter(|_| self.on_air.is_some()) else { return };
        let stream = StreamInfo { viewers: self.shared.players.len(), ..(*info).clone() };
        // Without a reason, whoever had the hub let go of it.
        let reason = self.over.unwrap_or(EndReason::ShuttingDown);
        self.registry.events.tell(Event::Ended(Arc::new(Ended { stream, at: SystemTime::now(), reason })));
    }
}

/// Resolves when the publisher is gone: true where it said so, false where it was lost.
async fn gone(publication: &mut Option<Publication>) -> bool {
    match publication {
        Some(p) => (&mut p.gone).await.is_ok(),
        None => std::future::pending().await,
    }
}
