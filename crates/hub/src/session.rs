//! Which tracks the publisher sends, judged by what comes and not only by what it announced.

use std::sync::Arc;
use std::time::Duration;

use millrace_media::{AudioConfig, TrackKind, VideoConfig};
use tokio::time::Instant;

/// What the publisher that is there has sent.
#[derive(Debug)]
pub(crate) struct Session {
    /// When it came.
    since: Instant,
    pub(crate) video: Sent<VideoConfig>,
    pub(crate) audio: Sent<AudioConfig>,
}

/// What it has sent of one track.
#[derive(Debug)]
pub(crate) struct Sent<C> {
    /// The newest configuration.
    pub(crate) config: Option<Arc<C>>,
    /// When the last frame came.
    last: Option<Instant>,
    /// Longest time between two frames.
    longest: Duration,
}

/// A publisher that sends sound without a break for so long, but no picture, or the other way round,
/// does not have that track, unless it has announced it. Sound that was announced has no more time.
pub(crate) const TRACK_GONE: Duration = Duration::from_secs(3);
/// Pictures that were announced, or came before, may be so far apart, and further where they were
/// before.
pub(crate) const PICTURES_GONE: Duration = Duration::from_secs(10);
/// A publisher of which nothing was heard for so long does not hold its stream against another, and
/// players are told that it is away.
pub(crate) const SILENT: Duration = Duration::from_secs(5);

impl Session {
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, video: Sent::new(), audio: Sent::new() }
    }

    /// A frame came.
    pub(crate) fn heard(&mut self, track: TrackKind, now: Instant) {
        match track {
            TrackKind::Video => self.video.heard(now),
            TrackKind::Audio => self.audio.heard(now),
        }
    }

    /// Whether it has announced both tracks.
    pub(crate) fn is_complete(&self) -> bool {
        self.video.config.is_some() && self.audio.config.is_some()
    }

    /// Whether nothing has been heard of it for too long.
    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        let heard = self.video.last.max(self.audio.last).unwrap_or(self.since);
        now.duration_since(heard) > SILENT
    }

    /// Whether there are no pictures any more, while there is sound.
    pub(crate) fn video_is_gone(&self, now: Instant) -> bool {
        let patience = match self.video.config {
            Some(_) => PICTURES_GONE.max(self.video.longest * 3),
            None => TRACK_GONE,
        };
        self.audio.flows(now) && self.video.missing(self.since, now) >= patience
    }

    /// Whether there is no sound any more, while there are pictures.
    pub(crate) fn audio_is_gone(&self, now: Instant) -> bool {
        self.video.flows(now) && self.audio.missing(self.since, now) >= TRACK_GONE
    }
}

impl<C> Sent<C> {
    fn new() -> Self {
        Self { config: None, last: None, longest: Duration::ZERO }
    }

    fn heard(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            self.longest = self.longest.max(now.duration_since(last));
        }
    }

    fn missing(&self, since: Instant, now: Instant) -> Duration {
        now.duration_since(self.last.unwrap_or(since))
    }

    fn flows(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now.duration_since(last) < TRACK_GONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether pictures and sound are gone after frames of each came so far apart.
    fn gone(seconds: u64, video_every: Option<u64>, audio_every: Option<u64>) -> (bool, bool) {
        let start = Instant::now();
        let mut session = Session::new(start);
        let record = [1, 100, 0, 31, 0xff, 0xe1, 0, 2, 0x67, 0x64, 1, 0, 1, 0x68];
        let avc = millrace_media::AvcConfig::parse(bytes::Bytes::copy_from_slice(&record)).expect("a record");
        session.video.config = Some(Arc::new(VideoConfig::Avc(avc)));
        let (mut video, mut audio) = (false, false);
        for ms in (0..=seconds * 1000).step_by(20) {
            let now = start + Duration::from_millis(ms);
            for (track, every) in [(TrackKind::Video, video_every), (TrackKind::Audio, audio_every)] {
                if every.is_some_and(|every| ms % every == 0) {
                    session.heard(track, now);
                }
            }
            video |= session.video_is_gone(now);
            audio |= session.audio_is_gone(now);
        }
        (video, audio)
    }

    #[test]
    fn a_track_that_does_not_come_is_gone_while_the_other_does() {
        assert_eq!(gone(60, Some(40), Some(20)), (false, false));
        assert_eq!(gone(60, Some(40), None), (false, true));
        assert_eq!(gone(60, None, Some(20)), (true, false));
        assert_eq!(gone(60, None, None), (false, false), "a publisher that stalls has lost no track");
    }

    #[test]
    fn pictures_seconds_apart_are_not_gone() {
        assert_eq!(gone(100, Some(9000), Some(20)), (false, false));
    }

    #[test]
    fn whose_frames_stop_is_silent() {
        let start = Instant::now();
        let mut session = Session::new(start);
        assert!(!session.is_silent(start + SILENT));
        assert!(session.is_silent(start + SILENT * 2));
        session.heard(TrackKind::Audio, start + SILENT * 2);
        assert!(!session.is_silent(start + SILENT * 3));
    }
}
