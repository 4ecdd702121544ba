//! A file that was received becomes something to watch, in whatever shape it came.

use std::sync::Arc;

use millrace_jobs::{Context, Failure, GaveUp, Handler, Work};
use millrace_store::{FileKind, NewJob, VideoFacts, VideoState};
use millrace_transcode::{AudioHandling, Ffmpeg, Limits, Probe, Remux, Rung, Verdict, ladder, verdict};
use serde::{Deserialize, Serialize};

use super::{MakePictures, MakeRendition, reporting};
use crate::Workshop;
use crate::workshop::{Bench, Made, Piece, ffmpeg_failed, key_of};

/// Find out with FFmpeg what a video's file is, make it playable where it is not, and have made what it lacks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessVideo {
    /// The video's short id.
    pub video: String,
}

impl Work for ProcessVideo {
    const KIND: &'static str = "video.process";
}

impl ProcessVideo {
    /// The job for a video; there is one at a time.
    pub(super) fn of(short_id: &str) -> NewJob {
        let work = Self { video: short_id.to_owned() };
        work.job().about(short_id).only(format!("process:{short_id}"))
    }
}

pub(super) struct Processing(pub(super) Workshop, pub(super) Arc<Ffmpeg>);

impl Handler for Processing {
    type Work = ProcessVideo;

    async fn run(&self, job: &Context, work: ProcessVideo) -> Result<(), Failure> {
        let Some(piece) = self.0.piece(&work.video).await? else { return Ok(()) };
        if piece.listed.video.state != VideoState::Ready {
            self.0.store.set_video_state(piece.id(), VideoState::Processing, "").await?;
            self.0.changed(&work.video).await;
        }
        let bench = self.0.bench(&job.lease()).await?;
        let probe = self.prepare(job, &piece, &bench).await;
        bench.clear().await;
        let probe = probe?;
        self.0.store.set_video_facts(piece.id(), &facts_of(&probe)).await?;
        let Some(piece) = self.0.piece(&work.video).await? else { return Ok(()) };
        // What is still to be coded anew is ready with its first rendition.
        let playable = is_playable(&piece, &probe);
        if playable {
            self.0.store.set_video_state(piece.id(), VideoState::Ready, "").await?;
        }
        self.0.changed(&work.video).await;
        // The smallest first: it is there soon, and plays on every connection.
        let rungs: Vec<_> = ladder(&probe, &self.0.ladder).into_iter().rev().collect();
        if !playable && rungs.is_empty() {
            let words = "browsers do not play this file as it is, and no other sizes are made on this server";
            return Err(Failure::last(words));
        }
        self.enqueue_what_lacks(&piece, rungs).await
    }

    async fn gave_up(&self, _: &Context, work: ProcessVideo, why: &GaveUp) -> Result<(), Failure> {
        self.0.failed(&work.video, why).await
    }
}

impl Processing {
    /// Finds out what the file is, and puts it into another container where that is enough.
    async fn prepare(&self, job: &Context, piece: &Piece, bench: &Bench) -> Result<Probe, Failure> {
        let original = piece.file(FileKind::Original, "").ok_or_else(|| Failure::last("its file is not there"))?;
        let path = self.0.local(original, bench).await?;
        let probe = self.1.probe(&path, &Limits::default()).await.map_err(ffmpeg_failed)?;
        if piece.file(FileKind::Remux, "").is_some() {
            return Ok(probe);
        }
        let remux = match verdict(&probe) {
            Verdict::Remux { audio, .. } => Some(audio),
            // Another form of MP4 than the packager reads, or reads wholly.
            Verdict::PlayOriginal { .. } if !self.0.title(&key_of(original)?).await?.is_some_and(|t| t.is_whole()) => {
                Some(if probe.audio().is_some() { AudioHandling::Copy } else { AudioHandling::None })
            }
            _ => None,
        };
        if let Some(audio) = remux {
            self.remux(job, piece, (&path, &probe), audio, bench).await?;
        }
        Ok(probe)
    }

    async fn remux(
        &self,
        job: &Context,
        piece: &Piece,
        (input, probe): (&std::path::Path, &Probe),
        audio: AudioHandling,
        bench: &Bench,
    ) -> Result<(), Failure> {
        let output = bench.file("remux.mp4");
        let spec = Remux { input, probe, audio, output: &output };
        let (ffmpeg, cancel) = (&self.1, job.cancellation());
        let note = "copying it into a container that browsers play";
        let done = reporting(job, (50, 950), note, async |progress: &_| ffmpeg.remux(&spec, progress, &cancel).await);
        done.await.map_err(ffmpeg_failed)?;
        job.go_on()?;
        self.0.keep(piece.id(), &output, Made::new(FileKind::Remux, "", "mp4", "video/mp4")).await
    }

    async fn enqueue_what_lacks(&self, piece: &Piece, rungs: Vec<Rung>) -> Result<(), Failure> {
        let (store, short_id) = (&self.0.store, piece.listed.video.short_id.as_str());
        if !piece.has(FileKind::Thumbnail) || !piece.has(FileKind::StoryboardIndex) {
            let pictures = MakePictures { video: short_id.to_owned() };
            store.enqueue(&pictures.job().about(short_id).only(format!("pictures:{short_id}"))).await?;
        }
        for Rung { name, .. } in rungs {
            if piece.file(FileKind::Rendition, &name).is_none() {
                let only = format!("rendition:{short_id}:{name}");
                let rendition = MakeRendition { video: short_id.to_owned(), name };
                store.enqueue(&rendition.job().about(short_id).only(only)).await?;
            }
        }
        Ok(())
    }
}

/// Whether there is something that browsers play.
fn is_playable(piece: &Piece, probe: &Probe) -> bool {
    piece.has(FileKind::Remux)
        || piece.has(FileKind::Rendition)
        || matches!(verdict(probe), Verdict::PlayOriginal { .. })
}

fn facts_of(probe: &Probe) -> VideoFacts {
    let video = probe.video();
    let (width, height) = video.map_or((0, 0), |(_, video)| video.display());
    let codec = |track: &millrace_transcode::Track| track.codecs.clone().unwrap_or_else(|| track.codec.clone());
    VideoFacts {
        duration: i64::try_from(probe.duration.as_millis()).unwrap_or(i64::MAX),
        width: width.into(),
        height: height.into(),
        frame_rate: video
            .and_then(|(_, video)| video.frame_rate)
            .map_or(0, |rate| (rate.value() * 1000.0).round() as i64),
        bit_rate: i64::try_from(probe.bit_rate).unwrap_or(i64::MAX),
        video_codec: video.map(|(track, _)| codec(track)).unwrap_or_default(),
        audio_codec: probe.audio().map(|(track, _)| codec(track)).unwrap_or_default(),
    }
}
