//! What was received is opened: what browsers play as it is plays at once.

use millrace_jobs::{Context, Failure, GaveUp, Handler, Work};
use millrace_store::{FileKind, NewJob, VideoState};
use millrace_transcode::{Container, HEAD_BYTES};
use serde::{Deserialize, Serialize};

use super::ProcessVideo;
use crate::Workshop;
use crate::workshop::{key_of, storage};

/// Look at what was received, without FFmpeg: what browsers play as it is plays from here on, and whatever more there is to
/// do is left to those who have FFmpeg.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenVideo {
    /// The video's short id.
    pub video: String,
}

impl Work for OpenVideo {
    const KIND: &'static str = "video.open";
    /// Somebody waits to watch.
    const PRIORITY: i64 = 10;
}

impl OpenVideo {
    /// The job that makes a video of what was received, or what it lacks still; there is one at a time.
    #[must_use]
    pub fn of(short_id: &str) -> NewJob {
        let work = Self { video: short_id.to_owned() };
        work.job().about(short_id).only(format!("open:{short_id}"))
    }
}

pub(super) struct Opening(pub(super) Workshop);

impl Handler for Opening {
    type Work = OpenVideo;

    async fn run(&self, _: &Context, work: OpenVideo) -> Result<(), Failure> {
        let Some(piece) = self.0.piece(&work.video).await? else { return Ok(()) };
        if piece.listed.video.state != VideoState::Ready {
            self.0.store.set_video_state(piece.id(), VideoState::Processing, "").await?;
            self.0.changed(&work.video).await;
        }
        let original = piece.file(FileKind::Original, "").ok_or_else(|| Failure::last("its file is not there"))?;
        let key = key_of(original)?;
        let blob = self.0.objects().blob(&key).await.map_err(storage)?;
        let head = blob.read(0..blob.size().min(HEAD_BYTES as u64)).await.map_err(storage)?;
        let container = Container::of(&head).map_err(|not_media| Failure::last(not_media.to_string()))?;
        if container == Container::Mp4
            && let Some(title) = self.0.title(&key).await?.filter(|title| title.is_playable())
            // FFmpeg may read what is not read here; without it, a part is better than nothing.
            && (title.is_whole() || self.0.ffmpeg.is_none())
            && piece.listed.video.state != VideoState::Ready
        {
            self.0.store.set_video_facts(piece.id(), &title.facts()).await?;
            self.0.store.set_video_state(piece.id(), VideoState::Ready, "").await?;
            self.0.changed(&work.video).await;
        }
        self.0.store.enqueue(&ProcessVideo::of(&work.video)).await?;
        Ok(())
    }

    async fn gave_up(&self, _: &Context, work: OpenVideo, why: &GaveUp) -> Result<(), Failure> {
        self.0.failed(&work.video, why).await
    }
}
