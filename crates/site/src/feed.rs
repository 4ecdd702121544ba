//! What changes on air, told to all who listen as server-sent events.
//!
//! One task looks once a second, as long as anybody listens, and makes a [`Picture`] where something has changed. The
//! events in it are made once and shared; who was too slow for a picture gets the next one whole.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::Frame;
use millrace_hub::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::api::live::{LiveOrder, in_order};
use crate::{LiveStream, Site};

/// Where those who listen find what changes.
#[derive(Debug)]
pub(crate) struct Feed {
    pictures: watch::Sender<Option<Arc<Picture>>>,
    looking: Mutex<bool>,
    places: Arc<Semaphore>,
    /// Tells this process's events from those of an earlier one.
    process: u64,
    /// That of the newest picture; never given twice.
    version: AtomicU64,
}

/// What is on air at one time.
#[derive(Debug)]
struct Picture {
    /// Rises by one with each that differs from the one before.
    version: u64,
    /// Of the process, see [`Feed::process`].
    process: u64,
    /// By `app/name`.
    all: HashMap<String, Arc<Told>>,
    /// Those that are shown to everybody, the latest first.
    list: Vec<Arc<Told>>,
    /// What is new in the list since the version before; none where nothing is.
    change: Option<Bytes>,
    whole: OnceLock<Bytes>,
}

/// A stream as it was when it last changed.
#[derive(Debug)]
struct Told {
    id: String,
    stream: LiveStream,
    /// Changes when those who may watch do.
    epoch: Option<i64>,
    listed: bool,
    event: OnceLock<Bytes>,
}

/// What somebody listens to.
#[derive(Debug)]
pub(crate) enum Subject {
    /// All that is shown to everybody.
    List,
    /// One stream, to which they were admitted under this epoch of its channel.
    Stream {
        /// `app/name`
        id: String,
        /// See [`millrace_store::Channel::play_epoch`]; none where the stream is no channel's.
        epoch: Option<i64>,
    },
}

/// As many listen as may.
#[derive(Debug)]
pub(crate) struct Full;

impl Feed {
    /// Nobody listens yet.
    pub(crate) fn new() -> Self {
        Self {
            pictures: watch::Sender::new(None),
            looking: Mutex::new(false),
            places: Arc::new(Semaphore::new(MAX_LISTENERS)),
            process: getrandom::u64().unwrap_or_default(),
            version: AtomicU64::new(0),
        }
    }

    /// The events for one who listens, as the body of an answer. One who has had the event `last` and missed nothing
    /// since is not told again.
    pub(crate) fn listen(site: &Site, subject: Subject, last: Option<&str>) -> Result<Body, Full> {
        let feed = &site.feed;
        let place = Arc::clone(&feed.places).try_acquire_owned().map_err(|_| Full)?;
        let mut looking = feed.lock();
        let pictures = feed.pictures.subscribe();
        if !std::mem::replace(&mut *looking, true) {
            tokio::spawn(look(site.clone()));
        }
        drop(looking);
        let seen = last.and_then(|last| {
            let (process, version) = last.split_once('-')?;
            let version = version.parse().ok()?;
            (u64::from_str_radix(process, 16).ok()? == feed.process).then_some(version)
        });
        let listener = Listener {
            pictures,
            subject,
            seen,
            told: None,
            greeted: false,
            begun: false,
            until: Instant::now() + LONGEST,
            _place: place,
        };
        Ok(Body::new(Events { next: Box::pin(listener.next()) }))
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.looking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks until nobody listens or the server stops.
async fn look(site: Site) {
    let mut ended = Ended(Some(Arc::clone(&site.feed)));
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // One is left out, so that nobody takes the first picture for the one after that they saw before nobody looked.
    let mut version = site.feed.version.load(Relaxed) + 1;
    let mut before: Option<Arc<Picture>> = None;
    loop {
        ticks.tick().await;
        if site.live.is_closing() {
            return;
        }
        let told = site.all_on_air().await.into_iter().map(|(stream, known)| Told {
            id: format!("{}/{}", stream.app, stream.name),
            epoch: known.as_ref().map(|known| known.channel.play_epoch),
            listed: known.as_ref().is_none_or(|known| known.is_listed()),
            stream,
            event: OnceLock::new(),
        });
        if let Some(picture) = Picture::after(before.as_deref(), told.collect(), site.feed.process, version + 1) {
            version = picture.version;
            site.feed.version.store(version, Relaxed);
            before = Some(Arc::new(picture));
            site.feed.pictures.send_replace(before.clone());
        }
        let mut looking = site.feed.lock();
        if site.feed.pictures.receiver_count() == 0 {
            // Under the lock: whoever comes next begins anew.
            ended.0 = None;
            site.feed.pictures.send_replace(None);
            *looking = false;
            return;
        }
    }
}

/// Whoever still listens is let go when nobody looks any more, also where that failed.
struct Ended(Option<Arc<Feed>>);

impl Drop for Ended {
    fn drop(&mut self) {
        let Some(feed) = &self.0 else { return };
        let mut looking = feed.lock();
        *looking = false;
        feed.pictures.send_replace(None);
    }
}

impl Picture {
    /// The next picture, where it differs from the one before.
    fn after(before: Option<&Self>, now: Vec<Told>, process: u64, version: u64) -> Option<Self> {
        let known =
            |told: &Told| before.and_then(|before| before.all.get(&told.id)).filter(|old| old.says(told)).cloned();
        let all: HashMap<String, Arc<Told>> = now
            .into_iter()
            .map(|told| known(&told).unwrap_or_else(|| Arc::new(told)))
            .map(|told| (told.id.clone(), told))
            .collect();
        let mut list: Vec<_> = in_order(
            all.values().filter(|told| told.listed).map(|told| told.stream.clone()).collect(),
            LiveOrder::Newest,
        )
        .iter()
        .filter_map(|stream| all.get(&format!("{}/{}", stream.app, stream.name)).cloned())
        .collect();
        list.truncate(MAX_TOLD);
        let Some(before) = before else {
            return Some(Self { version, process, all, list, change: None, whole: OnceLock::new() });
        };
        let same = |told: &Arc<Told>| before.all.get(&told.id).is_some_and(|old| Arc::ptr_eq(old, told));
        if all.len() == before.all.len() && all.values().all(same) {
            return None;
        }
        let (now, old): (HashMap<_, _>, HashMap<_, _>) = (by_id(&list), by_id(&before.list));
        let is_old = |told: &Arc<Told>| old.get(&*told.id).is_some_and(|old| Arc::ptr_eq(old, told));
        let changed: Vec<_> = list.iter().filter(|told| !is_old(told)).map(|told| &told.stream).collect();
        let gone: Vec<_> =
            before.list.iter().filter(|told| !now.contains_key(&*told.id)).map(|told| &told.id).collect();
        let change = (!changed.is_empty() || !gone.is_empty())
            .then(|| event("change", process, version, &serde_json::json!({ "changed": changed, "gone": gone })));
        Some(Self { version, process, all, list, change, whole: OnceLock::new() })
    }

    /// The whole list as an event.
    fn whole(&self) -> Bytes {
        let make = || {
            let items: Vec<_> = self.list.iter().map(|told| &told.stream).collect();
            event("list", self.process, self.version, &serde_json::json!({ "items": items }))
        };
        self.whole.get_or_init(make).clone()
    }
}

fn by_id(list: &[Arc<Told>]) -> HashMap<&str, &Arc<Told>> {
    list.iter().map(|told| (&*told.id, told)).collect()
}

impl Told {
    /// Whether it tells of another what people see: rates change all the time.
    fn says(&self, other: &Self) -> bool {
        (self.epoch, self.listed) == (other.epoch, other.listed) && steady(&self.stream) == steady(&other.stream)
    }

    fn event(&self, picture: &Picture) -> Bytes {
        self.event.get_or_init(|| event("stream", picture.process, picture.version, &self.stream)).clone()
    }
}

/// A stream without what changes all the time.
fn steady(stream: &LiveStream) -> LiveStream {
    let mut stream = LiveStream { gop_seconds: None, damaged_frames: 0, ..stream.clone() };
    if let Some(video) = &mut stream.video {
        (video.kbit_s, video.frame_rate) = (0, None);
    }
    if let Some(audio) = &mut stream.audio {
        audio.kbit_s = 0;
    }
    stream
}

/// One event; JSON has no line breaks.
fn event(name: &str, process: u64, version: u64, data: &impl serde::Serialize) -> Bytes {
    let data = serde_json::to_string(data).expect("plain data");
    format!("event: {name}\nid: {process:x}-{version}\ndata: {data}\n\n").into()
}

/// One who listens.
struct Listener {
    pictures: watch::Receiver<Option<Arc<Picture>>>,
    subject: Subject,
    /// The version that was told last.
    seen: Option<u64>,
    /// What was told last of one stream; none where it was off air.
    told: Option<Arc<Told>>,
    greeted: bool,
    /// Whether anybody has looked since.
    begun: bool,
    /// They have to ask for leave again then.
    until: Instant,
    _place: OwnedSemaphorePermit,
}

enum News {
    Nothing,
    Event(Bytes),
    /// They may no longer listen.
    End,
}

impl Listener {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if !std::mem::replace(&mut self.greeted, true) {
            return Some((Bytes::from_static(RETRY), self));
        }
        let beat = Instant::now() + BEAT;
        loop {
            let picture = self.pictures.borrow_and_update().clone();
            match picture {
                Some(picture) => match self.news(&picture) {
                    News::Event(event) => return Some((event, self)),
                    News::Nothing => {}
                    News::End => return None,
                },
                // Nobody looks any more.
                None if self.begun => return None,
                None => {}
            }
            match timeout_at(beat.min(self.until), self.pictures.changed()).await {
                Ok(Ok(())) => self.begun = true,
                Ok(Err(_)) => return None,
                Err(_) if Instant::now() >= self.until => return None,
                Err(_) => return Some((Bytes::from_static(HEARTBEAT), self)),
            }
        }
    }

    fn news(&mut self, picture: &Picture) -> News {
        self.begun = true;
        let seen = self.seen.replace(picture.version);
        match &self.subject {
            Subject::List if seen == Some(picture.version) => News::Nothing,
            Subject::List if seen.is_some_and(|seen| seen + 1 == picture.version) => {
                picture.change.clone().map_or(News::Nothing, News::Event)
            }
            Subject::List => News::Event(picture.whole()),
            Subject::Stream { id, epoch } => {
                let now = picture.all.get(id);
                if now.is_some_and(|now| now.epoch != *epoch) {
                    return News::End;
                }
                let before = std::mem::replace(&mut self.told, now.cloned());
                match (now, &before) {
                    (Some(now), Some(before)) if Arc::ptr_eq(now, before) => News::Nothing,
                    _ if seen == Some(picture.version) => News::Nothing,
                    (Some(now), _) => News::Event(now.event(picture)),
                    (None, None) if seen.is_some() => News::Nothing,
                    (None, _) => News::Event(event("stream", picture.process, picture.version, &())),
                }
            }
        }
    }
}

/// Events as a body.
struct Events {
    next: BoxFuture<'static, Option<(Bytes, Listener)>>,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(match ready!(self.next.as_mut().poll(context)) {
            Some((event, listener)) => {
                self.next = Box::pin(listener.next());
                Some(Ok(Frame::data(event)))
            }
            None => {
                self.next = Box::pin(std::future::ready(None));
                None
            }
        })
    }
}

/// How often somebody looks.
const PERIOD: Duration = Duration::from_secs(1);
/// Something is sent at least so often, so that nobody on the way takes the connection for dead.
const BEAT: Duration = Duration::from_secs(15);
/// One who listens asks for leave again after so long.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Who listens at a time.
const MAX_LISTENERS: usize = 10_000;
/// Streams of the list that are told of, as many as the home page shows.
const MAX_TOLD: usize = 100;
/// A browser that loses the connection comes back after so many milliseconds.
const RETRY: &[u8] = b"retry: 3000\n\n";
const HEARTBEAT: &[u8] = b":\n\n";
