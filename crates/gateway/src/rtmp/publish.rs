use std::net::SocketAddr;
use std::time::Duration;

use millrace_flv::{Depacketizer, Error};
use millrace_hub::{CutReason, LogLimit, Publisher};
use millrace_media::{TrackKind, Unit};
use millrace_rtmp::Media;
use tokio::time::Instant;
use tracing::warn;

/// A publisher's media on its way to the hub.
pub(super) struct Publishing {
    publisher: Publisher,
    depacketizer: Depacketizer,
    since: Instant,
    peer: SocketAddr,
    damaged: u64,
    /// What came and is not handed over yet.
    units: Vec<Unit>,
    /// When the newest picture came.
    picture: Option<Instant>,
    /// When sound that waits for the next picture goes without it.
    due: Option<Instant>,
}

/// A publisher sends what cannot be carried: why, in words.
pub(super) struct Uncarried(pub(super) String);

impl Publishing {
    pub(super) fn new(publisher: Publisher, peer: SocketAddr) -> Self {
        Self {
            publisher,
            depacketizer: Depacketizer::new(),
            since: Instant::now(),
            peer,
            damaged: 0,
            units: Vec::new(),
            picture: None,
            due: None,
        }
    }

    /// Reads one message. What it holds waits for [`Self::deliver`].
    pub(super) async fn media(&mut self, media: Media) -> Result<(), Uncarried> {
        self.depacketizer.set_now(self.since.elapsed());
        let units = match media {
            Media::Video { timestamp, payload } => self.depacketizer.video(timestamp, &payload),
            Media::Audio { timestamp, payload } => self.depacketizer.audio(timestamp, &payload),
            Media::Data { payload, .. } => self.depacketizer.script(&payload),
        };
        match units {
            Ok(units) => {
                self.units.extend(units);
                Ok(())
            }
            Err(error @ Error::Codec { .. }) => Err(Uncarried(error.to_string())),
            Err(error) => {
                self.damaged(&error).await;
                Ok(())
            }
        }
    }

    /// Hands over what came. Sound waits for the next picture, with which players get it in one write: so the stream and
    /// its players are woken half as often.
    pub(super) async fn deliver(&mut self) -> Result<(), CutReason> {
        if self.units.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        if self.units.iter().all(|unit| track(unit) == Some(TrackKind::Audio)) {
            let pictures = self.picture.is_some_and(|at| now.duration_since(at) < PICTURES_COME);
            if pictures && now < *self.due.get_or_insert(now + SOUND_WAITS) {
                return Ok(());
            }
        } else if self.units.iter().any(|unit| track(unit) == Some(TrackKind::Video)) {
            self.picture = Some(now);
        }
        self.due = None;
        self.publisher.send_all(std::mem::take(&mut self.units)).await
    }

    /// When [`Self::deliver`] has something to do, though nothing came.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Waits until the hub no longer wants this publisher.
    pub(super) async fn cut(&mut self) -> CutReason {
        self.publisher.cut().await
    }

    /// The publisher is done.
    pub(super) async fn finish(mut self) {
        // One that was cut meanwhile has no stream to end.
        let _ = self.publisher.send_all(std::mem::take(&mut self.units)).await;
        self.publisher.finish();
    }

    /// One bad message is no reason to end a broadcast; a line now and then says that there are some.
    async fn damaged(&mut self, error: &Error) {
        self.damaged += 1;
        self.publisher.damaged().await;
        if DAMAGED.allow(self.peer.ip()).is_some() {
            warn!(stream = %self.publisher.stream(), peer = %self.peer, %error, so_far = self.damaged, "a message of the publisher cannot be read");
        }
    }
}

fn track(unit: &Unit) -> Option<TrackKind> {
    match unit {
        Unit::Frame(frame) => Some(frame.track),
        _ => None,
    }
}

/// Sound waits so long for the next picture.
const SOUND_WAITS: Duration = Duration::from_millis(40);
/// While the newest picture is no older, another is expected.
const PICTURES_COME: Duration = Duration::from_secs(1);

static DAMAGED: LogLimit = LogLimit::new(1);
