//! A video in another size.

use std::sync::Arc;

use millrace_jobs::{Context, Failure, GaveUp, Handler, Work};
use millrace_store::{FileKind, VideoState};
use millrace_transcode::{Ffmpeg, Keyframes, Limits, Transcode, ladder};
use serde::{Deserialize, Serialize};

use super::reporting;
use crate::Workshop;
use crate::workshop::{Bench, Made, Piece, ffmpeg_failed, key_of};

/// Make one rendition of a video.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeRendition {
    /// The video's short id.
    pub video: String,
    /// Which rung of the ladder: the shorter side's pixels.
    pub name: String,
}

impl Work for MakeRendition {
    const KIND: &'static str = "video.transcode";
    const ATTEMPTS: u32 = 3;
}

pub(super) struct Renditions(pub(super) Workshop, pub(super) Arc<Ffmpeg>);

impl Handler for Renditions {
    type Work = MakeRendition;

    async fn run(&self, job: &Context, work: MakeRendition) -> Result<(), Failure> {
        let Some(piece) = self.0.piece(&work.video).await? else { return Ok(()) };
        let bench = self.0.bench(&job.lease()).await?;
        let made = self.make(job, &work, &piece, &bench).await;
        bench.clear().await;
        made?;
        if matches!(piece.listed.video.state, VideoState::Processing | VideoState::Failed) {
            self.0.store.set_video_state(piece.id(), VideoState::Ready, "").await?;
        }
        self.0.changed(&work.video).await;
        Ok(())
    }

    async fn gave_up(&self, _: &Context, work: MakeRendition, why: &GaveUp) -> Result<(), Failure> {
        self.0.failed(&work.video, why).await
    }
}

impl Renditions {
    async fn make(&self, job: &Context, work: &MakeRendition, piece: &Piece, bench: &Bench) -> Result<(), Failure> {
        let file = piece.main_file().ok_or_else(|| Failure::last("its file is not there"))?;
        let input = self.0.local(file, bench).await?;
        let probe = self.1.probe(&input, &Limits::default()).await.map_err(ffmpeg_failed)?;
        let rungs = ladder(&probe, &self.0.ladder);
        let Some(rung) = rungs.iter().find(|rung| rung.name == work.name) else {
            // The ladder was changed since.
            return Err(Failure::last("this size is no longer made on this server"));
        };
        let output = bench.file("rendition.mp4");
        let keyframes = self.keyframes(piece).await;
        let spec = Transcode { input: &input, probe: &probe, rung, keyframes: &keyframes, output: &output };
        let cancel = job.cancellation();
        let note = match &rung.video {
            Some(_) => format!("making {}p", work.name),
            None => "making a sound that browsers play".to_owned(),
        };
        let done =
            reporting(job, (10, 980), &note, async |progress: &_| self.1.transcode(&spec, progress, &cancel).await);
        let done = done.await.map_err(ffmpeg_failed)?;
        job.go_on()?;
        let made = Made {
            width: rung.video.as_ref().map_or(0, |video| video.width.into()),
            height: rung.video.as_ref().map_or(0, |video| video.height.into()),
            details: done.notes.join("; ").into(),
            ..Made::new(FileKind::Rendition, work.name.clone(), "mp4", "video/mp4")
        };
        self.0.keep(piece.id(), &output, made).await
    }

    /// Where the file's own segments begin, so that a player may change between all of them at any; evenly where it has too few
    /// keyframes for that.
    async fn keyframes(&self, piece: &Piece) -> Keyframes {
        let Some(key) = piece.main_file().and_then(|file| key_of(file).ok()) else { return EVENLY };
        match self.0.vod.title(&key).await {
            Ok(title) if title.is_seekable() => Keyframes::At(title.boundaries()),
            _ => EVENLY,
        }
    }
}

const EVENLY: Keyframes = Keyframes::Every(std::time::Duration::from_secs(4));
