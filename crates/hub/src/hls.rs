//! HLS of a stream: each format begun by the first request for it, paused when nobody asks any more.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use millrace_hls::{
    CmafContainer, Content, Error, HlsConfig, HlsFormat, HlsPackager, HlsSnapshot, Multivariant, TsContainer,
};
use millrace_media::Unit;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::warn;

use crate::format::Tracks;
use crate::gop::GopCache;
use crate::info::StreamInfo;
use crate::{HubConfig, LogLimit, PlayError, StreamId};

/// What HTTP requests for one format of a stream are answered from.
#[derive(Debug, Clone, Default)]
pub struct HlsView {
    /// Media playlist and segments; none before there is a playlist.
    pub snapshot: Option<Arc<HlsSnapshot>>,
    /// Why the stream cannot be had in this format.
    pub refusal: Option<Arc<str>>,
}

/// Shows one format of a stream to a request, now and as it goes on. However many wait, they are
/// woken by one change, and share what they then see.
#[derive(Debug)]
pub struct HlsReader(Source);

#[derive(Debug)]
enum Source {
    Live(watch::Receiver<HlsView>),
    Ended(HlsView),
}

impl HlsReader {
    pub(crate) fn ended(view: HlsView) -> Self {
        Self(Source::Ended(view))
    }

    pub(crate) fn live(view: watch::Receiver<HlsView>) -> Self {
        Self(Source::Live(view))
    }

    /// Waits until `look` finds something in the view, which it is shown now and after each change.
    /// Drop the future to give up.
    ///
    /// # Errors
    /// When the stream has ended and nothing was found.
    pub async fn until<T>(&mut self, mut look: impl FnMut(&HlsView) -> Option<T>) -> Result<T, PlayError> {
        match &mut self.0 {
            Source::Ended(view) => look(view).ok_or(PlayError::NotOnAir),
            Source::Live(view) => loop {
                if let Some(found) = look(&view.borrow_and_update()) {
                    return Ok(found);
                }
                view.changed().await.map_err(|_| PlayError::NotOnAir)?;
            },
        }
    }
}

/// What readers and the owner share.
#[derive(Debug, Default)]
pub(crate) struct HlsShared {
    formats: [FormatShared; 2],
    /// As of the information that it was made from.
    multivariant: ArcSwapOption<(Arc<StreamInfo>, MultivariantText)>,
}

/// The multivariant playlist, or why no format can carry the stream.
pub(crate) type MultivariantText = Result<Content, Arc<str>>;

#[derive(Debug, Default)]
struct FormatShared {
    view: OnceLock<watch::Receiver<HlsView>>,
    /// Set by every request, cleared by the owner once a second.
    asked: AtomicBool,
}

impl HlsShared {
    fn of(&self, format: HlsFormat) -> &FormatShared {
        &self.formats[format as usize]
    }

    /// A view of the format, if it is being made and has something to show. Counts as a request.
    pub(crate) fn reader(&self, format: HlsFormat) -> Option<HlsReader> {
        let shared = self.of(format);
        if !shared.asked.load(Relaxed) {
            shared.asked.store(true, Relaxed);
        }
        let view = shared.view.get()?;
        let ready = {
            let view = view.borrow();
            view.snapshot.is_some() || view.refusal.is_some()
        };
        ready.then(|| HlsReader::live(view.clone()))
    }

    /// The multivariant playlist, made once for each change of what is known of the stream. No format
    /// is begun by it.
    pub(crate) fn multivariant(&self, info: &Arc<StreamInfo>) -> MultivariantText {
        if let Some(made) = &*self.multivariant.load()
            && Arc::ptr_eq(&made.0, info)
        {
            return made.1.clone();
        }
        let views = self.formats.iter().filter_map(|format| format.view.get());
        let measured: Vec<_> = views.filter_map(|view| view.borrow().snapshot.as_ref().map(|s| s.measured)).collect();
        let text = Multivariant {
            name: info.id.name.as_str(),
            metadata: &info.metadata,
            video: info.video.as_ref().map(|video| &video.config),
            audio: info.audio.as_ref().map(|audio| &audio.config),
            measured: &measured,
        };
        let text = text.render().map_err(|error| error.to_string().into());
        self.multivariant.store(Some(Arc::new((Arc::clone(info), text.clone()))));
        text
    }
}

/// HLS of a stream that has ended.
#[derive(Debug, Clone)]
pub(crate) struct EndedHls {
    pub(crate) multivariant: MultivariantText,
    views: [Option<HlsView>; 2],
}

impl EndedHls {
    /// Of a format that was being made at the end.
    pub(crate) fn view(&self, format: HlsFormat) -> Option<&HlsView> {
        self.views[format as usize].as_ref()
    }
}

/// The owner's side.
#[derive(Debug)]
pub(crate) struct Hls {
    config: HlsConfig,
    shared: Arc<HlsShared>,
    origin: Origin,
    outputs: Vec<Output>,
}

/// Where frames come from.
#[derive(Debug, Clone)]
struct Origin {
    stream: StreamId,
    /// The newest publisher's address.
    publisher: IpAddr,
}

impl Hls {
    pub(crate) fn new(stream: &StreamId, publisher: IpAddr, config: &HubConfig, shared: Arc<HlsShared>) -> Self {
        let config = HlsConfig {
            segment: config.hls_segment,
            part: config.hls_part,
            window: config.hls_window,
            longest_gop: None,
        };
        Self { config, shared, origin: Origin { stream: stream.clone(), publisher }, outputs: Vec::new() }
    }

    /// Another publisher sends from now on.
    pub(crate) fn set_publisher(&mut self, publisher: IpAddr) {
        self.origin.publisher = publisher;
        self.outputs.iter_mut().for_each(|output| output.origin.publisher = publisher);
    }

    /// Somebody asks for a format: it begins with what the GOP cache has, unless it runs already.
    pub(crate) fn activate(
        &mut self,
        format: HlsFormat,
        tracks: &Tracks,
        gop: &GopCache,
        longest_gop: Option<Duration>,
    ) -> HlsReader {
        let known = self.outputs.iter().position(|output| output.format == format);
        let index = known.unwrap_or_else(|| {
            let config = HlsConfig { longest_gop, ..self.config.clone() };
            self.outputs.push(Output::new(format, config, &self.shared, &self.origin));
            self.outputs.len() - 1
        });
        let output = &mut self.outputs[index];
        output.last_asked = Instant::now();
        if !std::mem::replace(&mut output.active, true) {
            output.tracks(tracks);
            // Shown when all of it is there, and not once for each part.
            let frames = gop.replay().filter(|frame| output.take(&Unit::Frame((*frame).clone()))).count();
            if frames > 0 {
                output.show();
            }
        }
        HlsReader::live(output.view.subscribe())
    }

    /// The tracks as they are now.
    pub(crate) fn tracks(&mut self, tracks: &Tracks) {
        for output in &mut self.outputs {
            output.tracks(tracks);
        }
    }

    pub(crate) fn push(&mut self, unit: &Unit) {
        for output in &mut self.outputs {
            output.push(unit);
        }
    }

    /// A track is gone for good: players begin with a new list, as playlists cannot lose a track.
    pub(crate) fn start_over(&mut self) {
        for output in &mut self.outputs {
            output.packager = output.packager.start_over(&output.config);
            output.view.send_modify(|view| view.snapshot = None);
        }
    }

    /// Completes the open segments: nothing comes for now.
    pub(crate) fn interrupt(&mut self) {
        for output in self.outputs.iter_mut().filter(|output| output.active) {
            if output.packager.pause() {
                output.show();
            }
        }
    }

    /// Pauses what nobody has asked for so long.
    pub(crate) fn tick(&mut self, now: Instant) {
        for output in &mut self.outputs {
            if self.shared.of(output.format).asked.swap(false, Relaxed) {
                output.last_asked = now;
            }
            if output.active && now.duration_since(output.last_asked) >= IDLE {
                output.active = false;
                output.packager.suspend();
                // What is there is old by the time when somebody asks again.
                output.view.send_modify(|view| view.snapshot = None);
            }
        }
    }

    /// The last views, with the end in their playlists.
    pub(crate) fn end(self, info: &Arc<StreamInfo>) -> Option<EndedHls> {
        let multivariant = self.shared.multivariant(info);
        let mut views = [None, None];
        for output in self.outputs.into_iter().filter(|output| output.active) {
            if let Some(snapshot) = output.packager.end() {
                let last = HlsView { snapshot: Some(snapshot), refusal: None };
                output.view.send_replace(last.clone());
                views[output.format as usize] = Some(last);
            }
        }
        views.iter().any(Option::is_some).then_some(EndedHls { multivariant, views })
    }
}

/// One format.
#[derive(Debug)]
struct Output {
    format: HlsFormat,
    config: HlsConfig,
    packager: Packager,
    view: watch::Sender<HlsView>,
    origin: Origin,
    active: bool,
    last_asked: Instant,
}

impl Output {
    fn new(format: HlsFormat, config: HlsConfig, shared: &HlsShared, origin: &Origin) -> Self {
        let (view, reader) = watch::channel(HlsView::default());
        // The owner makes one of each format, so that nobody has set this before.
        let _ = shared.of(format).view.set(reader);
        let packager = Packager::new(format, &config);
        Self { format, config, packager, view, origin: origin.clone(), active: false, last_asked: Instant::now() }
    }

    fn tracks(&mut self, tracks: &Tracks) {
        // What could not be carried may be gone.
        self.view.send_if_modified(|view| view.refusal.take().is_some());
        if let Some(config) = &tracks.video {
            self.push(&Unit::VideoConfig(Arc::clone(config)));
        }
        if let Some(config) = &tracks.audio {
            self.push(&Unit::AudioConfig(Arc::clone(config)));
        }
    }

    fn push(&mut self, unit: &Unit) {
        if self.active && self.take(unit) {
            self.show();
        }
    }

    /// True where there is something new to show.
    fn take(&mut self, unit: &Unit) -> bool {
        self.packager.push(unit).unwrap_or_else(|error| {
            if let Some(allowed) = UNFIT.allow(self.origin.publisher) {
                warn!(stream = %self.origin.stream, format = ?self.format, %error, unsaid = allowed.unsaid, "no HLS for this stream");
            }
            self.view.send_modify(|view| view.refusal = Some(error.to_string().into()));
            false
        })
    }

    fn show(&mut self) {
        if let Some(snapshot) = self.packager.publish() {
            self.view.send_modify(|view| view.snapshot = Some(snapshot));
        }
    }
}

/// The packager of either format.
#[derive(Debug)]
enum Packager {
    Ts(Box<HlsPackager<TsContainer>>),
    Cmaf(Box<HlsPackager<CmafContainer>>),
}

macro_rules! either {
    ($self:expr, $packager:ident => $call:expr) => {
        match $self {
            Packager::Ts($packager) => $call,
            Packager::Cmaf($packager) => $call,
        }
    };
}

impl Packager {
    fn new(format: HlsFormat, config: &HlsConfig) -> Self {
        let now = SystemTime::now();
        match format {
            HlsFormat::Ts => Self::Ts(Box::new(HlsPackager::new(config, TsContainer::default(), now))),
            HlsFormat::Cmaf => Self::Cmaf(Box::new(HlsPackager::new(config, CmafContainer::default(), now))),
        }
    }

    fn start_over(&self, config: &HlsConfig) -> Self {
        let now = SystemTime::now();
        match self {
            Self::Ts(old) => Self::Ts(Box::new(old.start_over(config, TsContainer::default(), now))),
            Self::Cmaf(old) => Self::Cmaf(Box::new(old.start_over(config, CmafContainer::default(), now))),
        }
    }

    fn push(&mut self, unit: &Unit) -> Result<bool, Error> {
        either!(self, packager => packager.push(unit, SystemTime::now()))
    }

    fn publish(&mut self) -> Option<Arc<HlsSnapshot>> {
        either!(self, packager => packager.publish())
    }

    fn pause(&mut self) -> bool {
        either!(self, packager => packager.pause())
    }

    fn suspend(&mut self) {
        either!(self, packager => packager.suspend());
    }

    fn end(self) -> Option<Arc<HlsSnapshot>> {
        either!(self, packager => packager.end())
    }
}

/// A publisher that changes to what does not fit, again and again, does not fill the log.
static UNFIT: LogLimit = LogLimit::new(5);

/// Segments are made for so long after the last request.
const IDLE: Duration = Duration::from_secs(60);
