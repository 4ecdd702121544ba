//! Pictures that stand for a video, and small ones along its time line.

use std::sync::Arc;

use millrace_jobs::{Context, Failure, Handler, Work};
use millrace_store::FileKind;
use millrace_transcode::{Ffmpeg, Limits, storyboard_vtt};
use serde::{Deserialize, Serialize};

use crate::Workshop;
use crate::workshop::{Bench, Made, Piece, ffmpeg_failed};

/// Make the pictures of a video.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakePictures {
    /// The video's short id.
    pub video: String,
}

impl Work for MakePictures {
    const KIND: &'static str = "video.pictures";
    /// Somebody waits to choose.
    const PRIORITY: i64 = 10;
}

pub(super) struct Pictures(pub(super) Workshop, pub(super) Arc<Ffmpeg>);

impl Handler for Pictures {
    type Work = MakePictures;

    async fn run(&self, job: &Context, work: MakePictures) -> Result<(), Failure> {
        let Some(piece) = self.0.piece(&work.video).await? else { return Ok(()) };
        let bench = self.0.bench(&job.lease()).await?;
        let drawn = self.draw(job, &piece, &bench).await;
        bench.clear().await;
        drawn
    }
}

impl Pictures {
    async fn draw(&self, job: &Context, piece: &Piece, bench: &Bench) -> Result<(), Failure> {
        let file = piece.main_file().ok_or_else(|| Failure::last("its file is not there"))?;
        let short_id = &piece.listed.video.short_id;
        let path = self.0.local(file, bench).await?;
        let probe = self.1.probe(&path, &Limits::default()).await.map_err(ffmpeg_failed)?;
        job.progress(50, "choosing pictures");
        let pictures = self.1.thumbnails(&path, &probe, CHOICE, LARGEST).await.map_err(ffmpeg_failed)?;
        job.go_on()?;
        let has_poster = piece.file(FileKind::Poster, "").is_some();
        let mut made = Vec::new();
        for (number, picture) in pictures.iter().enumerate() {
            made.push((picture.clone(), jpeg(FileKind::Thumbnail, number.to_string())));
        }
        // The one in the middle stands for it until its owner chooses.
        if let Some(middle) = pictures.get(pictures.len() / 2).filter(|_| !has_poster) {
            made.push((middle.clone(), jpeg(FileKind::Poster, "")));
        }
        self.0.keep_all(piece.id(), made).await?;
        self.0.changed(short_id).await;

        job.progress(300, "drawing the time line's pictures");
        if let Some(board) = self.1.storyboard(&path, &probe).await.map_err(ffmpeg_failed)? {
            let index = storyboard_vtt(&board.layout, "storyboard/{n}.jpg");
            let mut made: Vec<_> = board
                .sheets
                .into_iter()
                .enumerate()
                .map(|(number, sheet)| (sheet, jpeg(FileKind::Storyboard, number.to_string())))
                .collect();
            made.push((index.into(), Made::new(FileKind::StoryboardIndex, "", "vtt", "text/vtt; charset=utf-8")));
            self.0.keep_all(piece.id(), made).await?;
        }
        self.0.changed(short_id).await;
        Ok(())
    }
}

fn jpeg(kind: FileKind, name: impl Into<String>) -> Made<'static> {
    Made::new(kind, name, "jpg", "image/jpeg")
}

/// Pictures to choose from.
const CHOICE: usize = 3;
/// The longer side of a picture, in pixels.
const LARGEST: u32 = 1280;
