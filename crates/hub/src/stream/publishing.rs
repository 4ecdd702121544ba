//! The life of a stream's publisher: arrival, takeover, loss and grace, and which tracks it sends.

use std::sync::Arc;
use std::time::SystemTime;

use millrace_media::{AudioConfig, TrackKind, VideoConfig};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Owner;
use crate::events::EndReason;
use crate::info::PublisherInfo;
use crate::places::Place;
use crate::publisher::{CutReason, Publication, PublishError, Publisher, PublisherMeta};
use crate::ring::Earlier;
use crate::session::Session;
use crate::{LogLimit, PlayError};

/// A peer that publishes more often than that does not fill the log.
static PUBLICATIONS: LogLimit = LogLimit::new(20);
/// Nor does one whose tracks come and go.
static MISSING: LogLimit = LogLimit::new(5);

impl Owner {
    /// Takes a publisher; cuts the one that is there, where the newcomer may.
    pub(super) fn publish(&mut self, meta: PublisherMeta) -> Result<Publisher, PublishError> {
        if self.registry.is_closing() {
            return Err(PublishError::ShuttingDown);
        }
        let now = Instant::now();
        if self.publication.is_some() && !meta.takeover && !self.session.is_silent(now) {
            return Err(PublishError::Busy);
        }
        let Some(commands) = self.commands.upgrade() else { return Err(PublishError::ShuttingDown) };
        let place = match self.cut(CutReason::TakenOver).or_else(|| self.kept_place.take()) {
            Some(mut place) => {
                place.hand_on(meta.peer.ip());
                place
            }
            None => self.registry.publisher_place(meta.peer.ip())?,
        };
        self.publications += 1;
        let (alive, gone) = oneshot::channel();
        let (cut, cut_receiver) = oneshot::channel();
        let id = self.shared.id.clone();
        let allowed = PUBLICATIONS.allow(meta.peer.ip());
        self.told = allowed.is_some();
        if let Some(allowed) = allowed {
            info!(stream = %id, peer = %meta.peer, encoder = meta.encoder.as_deref(), again = self.publications > 1, unsaid = allowed.unsaid, "publisher connected");
        }
        if let Some(last) = self.last_frame {
            self.splice.next_publisher(now.duration_since(last));
            self.discontinuity();
        }
        self.publisher =
            Some(PublisherInfo { peer: meta.peer, encoder: meta.encoder.clone(), since: SystemTime::now() });
        if let Some(hls) = &mut self.hls {
            hls.set_publisher(meta.peer.ip());
        }
        self.publication = Some(Publication { id: self.publications, meta, gone, cut, place });
        self.grace_until = None;
        self.await_keyframe = true;
        self.session = Session::new(now);
        self.publish_info();
        Ok(Publisher { id, publication: self.publications, commands, alive, cut: cut_receiver, reason: None })
    }

    /// Cuts the publisher, if there is one, and gives back its place.
    pub(super) fn cut(&mut self, reason: CutReason) -> Option<Place> {
        let old = self.publication.take()?;
        if self.told {
            info!(stream = %self.shared.id, peer = %old.meta.peer, %reason, "publisher cut");
        }
        let _ = old.cut.send(reason); // one that has left meanwhile need not know
        Some(old.place)
    }

    /// The publisher is gone: the stream ends, or waits for its return.
    pub(super) fn publisher_gone(&mut self, finished: bool) {
        let place = self.publication.take().map(|publication| publication.place);
        self.flush();
        let grace = self.registry.config.publish_grace;
        let (ended, reason) = match finished {
            true => (EndReason::Finished, "the publisher finished"),
            false => (EndReason::Lost, "the publisher was lost"),
        };
        if self.on_air.is_none() {
            if self.told {
                info!(stream = %self.shared.id, reason, "the stream did not come on air");
            }
            for asked in self.waiting.extract_if(.., |asked| !asked.patient) {
                let _ = asked.reply.send(Err(PlayError::NotOnAir));
            }
            self.over = self.waiting.is_empty().then_some(ended);
            self.opening = None;
        } else if finished || grace.is_zero() {
            if self.told {
                info!(stream = %self.shared.id, reason, "stream ended");
            }
            self.over = Some(ended);
        } else {
            if self.told {
                info!(stream = %self.shared.id, grace_s = grace.as_secs_f32(), "publisher lost, waiting for its return");
            }
            self.grace_until = Some(Instant::now() + grace);
            self.kept_place = place;
            if let Some(hls) = &mut self.hls {
                hls.interrupt();
            }
            self.publish_info();
        }
    }

    /// A frame of a track came: one that was given up is there again.
    pub(super) fn heard(&mut self, track: TrackKind, now: Instant) {
        self.session.heard(track, now);
        match track {
            TrackKind::Video if self.tracks.video.is_none() => {
                if let Some(config) = self.session.video.config.clone() {
                    self.set_video(config);
                }
            }
            TrackKind::Audio if self.tracks.audio.is_none() => {
                if let Some(config) = self.session.audio.config.clone() {
                    self.set_audio(config);
                }
            }
            _ => {}
        }
    }

    pub(super) fn set_video(&mut self, config: Arc<VideoConfig>) {
        if self.tracks.video.as_ref() != Some(&config) {
            self.tracks.video = Some(config);
            self.await_keyframe = true;
            self.tracks_changed(Earlier::Unfit);
        }
    }

    pub(super) fn set_audio(&mut self, config: Arc<AudioConfig>) {
        if self.tracks.audio.as_ref() != Some(&config) {
            // Pictures that came before the first sound are as good as they were.
            let earlier = if self.tracks.audio.is_none() { Earlier::Fit } else { Earlier::Unfit };
            self.tracks.audio = Some(config);
            self.tracks_changed(earlier);
        }
    }

    /// Gives up tracks that the publisher no longer sends: players would wait for them.
    pub(super) fn forget_missing_tracks(&mut self, now: Instant) {
        let video = self.tracks.video.is_some() && self.session.video_is_gone(now);
        let audio = self.tracks.audio.is_some() && self.session.audio_is_gone(now);
        if !(video || audio) {
            return;
        }
        let allowed = self.publisher.as_ref().and_then(|publisher| MISSING.allow(publisher.peer.ip()));
        if let Some(allowed) = allowed {
            warn!(stream = %self.shared.id, video, audio, unsaid = allowed.unsaid, "the publisher no longer sends a track");
        }
        if video {
            self.tracks.video = None;
        }
        if audio {
            self.tracks.audio = None;
        }
        if let Some(hls) = &mut self.hls {
            hls.start_over();
        }
        self.tracks_changed(Earlier::Unfit);
    }

    fn tracks_changed(&mut self, earlier: Earlier) {
        if earlier == Earlier::Unfit {
            self.gop.clear(self.tracks.video.is_some());
        }
        let at = self.splice.end().unwrap_or_default();
        if self.on_air.is_some() {
            debug!(stream = %self.shared.id, "tracks changed");
            for ring in &mut self.rings {
                ring.set_tracks(&self.tracks, at, earlier);
            }
            if let Some(hls) = &mut self.hls {
                hls.tracks(&self.tracks);
            }
        }
        self.publish_info();
    }
}
