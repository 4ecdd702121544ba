//! A file that was received becomes something to watch.

use millrace_jobs::{Context, Failure, GaveUp, Handler, Work};
use millrace_store::{FileKind, VideoFacts, VideoState};
use millrace_transcode::{Container, HEAD_BYTES, Limits, Probe, Remux, Rung, Verdict, ladder, verdict};
use serde::{Deserialize, Serialize};

use super::{MakePictures, MakeRendition, reporting};
use crate::Workshop;
use crate::workshop::{Bench, Made, Piece, ffmpeg_failed, key_of, storage};

/// Look at a video's file, and make it playable.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessVideo {
    /// The video's short id.
    pub video: String,
}

impl Work for ProcessVideo {
    const KIND: &'static str = "video.process";
}

pub(super) struct Processing(pub(super) Workshop);

impl Handler for Processing {
    type Work = ProcessVideo;

    async fn run(&self, job: &Context, work: ProcessVideo) -> Result<(), Failure> {
        let Some(piece) = self.0.piece(&work.video).await? else { return Ok(()) };
        if piece.listed.video.state != VideoState::Ready {
            self.0.store.set_video_state(piece.id(), VideoState::Processing, "").await?;
            self.0.changed(&work.video).await;
        }
        let (facts, probe) = self.prepare(job, &piece).await?;
        self.0.store.set_video_facts(piece.id(), &facts).await?;
        // What is still to be coded anew is ready with its first rendition.
        let playable = self.0.piece(&work.video).await?.is_some_and(|piece| is_playable(&piece, probe.as_ref()));
        if playable {
            self.0.store.set_video_state(piece.id(), VideoState::Ready, "").await?;
        }
        self.0.changed(&work.video).await;
        // The smallest first: it is there soon, and plays on every connection.
        let rungs: Vec<_> = probe.iter().flat_map(|probe| ladder(probe, &self.0.ladder)).rev().collect();
        if !playable && rungs.is_empty() {
            let words = "browsers do not play this file as it is, and no other sizes are made on this server";
            return Err(Failure::last(words));
        }
        self.enqueue_the_rest(&work.video, probe.is_some(), rungs).await
    }

    async fn gave_up(&self, _: &Context, work: ProcessVideo, why: &GaveUp) {
        let words = match why {
            GaveUp::Failed(words) => words.as_str(),
            GaveUp::Cancelled => "its processing was cancelled",
        };
        self.0.failed(&work.video, words).await;
    }
}

impl Processing {
    /// Finds out what the file is, and puts it into another container where that is enough.
    async fn prepare(&self, job: &Context, piece: &Piece) -> Result<(VideoFacts, Option<Probe>), Failure> {
        let original = piece.file(FileKind::Original, "").ok_or_else(|| Failure::last("its file is not there"))?;
        let key = key_of(original)?;
        let blob = self.0.objects().blob(&key).await.map_err(storage)?;
        let head = blob.read(0..blob.size().min(HEAD_BYTES as u64)).await.map_err(storage)?;
        let container = Container::of(&head).map_err(|not_media| Failure::last(not_media.to_string()))?;
        let title = match container {
            Container::Mp4 => match self.0.vod.title(&key).await {
                Ok(title) => Some(title),
                Err(error) if error.is_the_files() && self.0.ffmpeg.is_none() => {
                    return Err(Failure::last(error.to_string()));
                }
                // FFmpeg reads more than the packager does, and says better what is wrong.
                Err(error) if error.is_the_files() => None,
                Err(error) => return Err(Failure::retry(error.to_string())),
            },
            _ => None,
        };
        let Some(ffmpeg) = &self.0.ffmpeg else {
            let title = title.filter(|title| title.is_playable());
            let words = "browsers do not play this file as it is, and this server has no FFmpeg to change that";
            return Ok((title.ok_or_else(|| Failure::last(words))?.facts(), None));
        };
        let bench = self.0.bench(job)?;
        if let Some(title) = title.as_ref().filter(|title| title.is_playable())
            && piece.listed.video.state != VideoState::Ready
        {
            // It plays from here on; what else there is to know of it comes after.
            self.0.store.set_video_facts(piece.id(), &title.facts()).await?;
            self.0.store.set_video_state(piece.id(), VideoState::Ready, "").await?;
            self.0.changed(&piece.listed.video.short_id).await;
        }
        let path = self.0.local(original, &bench).await?;
        let probe = ffmpeg.probe(&path, &Limits::default()).await.map_err(ffmpeg_failed)?;
        let facts = facts_of(&probe);
        let remux = match (verdict(&probe), &title) {
            (Verdict::Remux { audio, .. }, _) => Some(audio),
            // Another form of MP4 than the packager reads.
            (Verdict::PlayOriginal { .. }, None) => Some(match probe.audio() {
                Some(_) => millrace_transcode::AudioHandling::Copy,
                None => millrace_transcode::AudioHandling::None,
            }),
            _ => None,
        };
        if let Some(audio) = remux {
            self.remux(job, piece, (&path, &probe), audio, &bench).await?;
        }
        Ok((facts, Some(probe)))
    }

    async fn remux(
        &self,
        job: &Context,
        piece: &Piece,
        (input, probe): (&std::path::Path, &Probe),
        audio: millrace_transcode::AudioHandling,
        bench: &Bench,
    ) -> Result<(), Failure> {
        let output = bench.file("remux.mp4");
        let spec = Remux { input, probe, audio, output: &output };
        let (ffmpeg, cancel) = (self.0.ffmpeg()?, job.cancellation());
        let note = "copying it into a container that browsers play";
        let done = reporting(job, (50, 950), note, async |progress: &_| ffmpeg.remux(&spec, progress, &cancel).await);
        done.await.map_err(ffmpeg_failed)?;
        self.0.keep(piece.id(), &output, Made::new(FileKind::Remux, "", "mp4", "video/mp4")).await
    }

    async fn enqueue_the_rest(&self, short_id: &str, pictures: bool, rungs: Vec<Rung>) -> Result<(), Failure> {
        if !pictures {
            return Ok(());
        }
        let store = &self.0.store;
        let pictures = MakePictures { video: short_id.to_owned() };
        store.enqueue(&pictures.job().about(short_id).only(format!("pictures:{short_id}"))).await?;
        for rung in rungs {
            let rendition = MakeRendition { video: short_id.to_owned(), name: rung.name };
            let only = format!("rendition:{short_id}:{}", rendition.name);
            store.enqueue(&rendition.job().about(short_id).only(only)).await?;
        }
        Ok(())
    }
}

impl Workshop {
    /// Notes that a video cannot be made playable, unless it is already.
    pub(super) async fn failed(&self, short_id: &str, words: &str) {
        let Ok(Some(piece)) = self.piece(short_id).await else { return };
        if piece.listed.video.state == VideoState::Ready {
            return;
        }
        if let Err(error) = self.store.set_video_state(piece.id(), VideoState::Failed, words).await {
            tracing::warn!(%error, video = short_id, "that a video failed could not be noted");
        }
        self.changed(short_id).await;
    }
}

/// Whether there is something that browsers play.
fn is_playable(piece: &Piece, probe: Option<&Probe>) -> bool {
    let plays_as_it_is = probe.is_none_or(|probe| matches!(verdict(probe), Verdict::PlayOriginal { .. }));
    piece.file(FileKind::Remux, "").is_some()
        || piece.files.iter().any(|file| file.kind == FileKind::Rendition)
        || plays_as_it_is
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
