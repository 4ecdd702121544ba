//! What all jobs of videos work with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrace_jobs::{Context, Failure};
use millrace_objects::{Key, Objects};
use millrace_store::{Change, File, FileKind, ListedVideo, NewFile, Store, VideoId};
use millrace_transcode::{Ffmpeg, LadderConfig};

use crate::{Staging, Vod};

/// Where videos are worked on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workshop {
    /// The database.
    pub store: Store,
    /// What plays files.
    pub vod: Vod,
    /// FFmpeg, where there is one: without it, what browsers play as it is plays, and nothing else.
    pub ffmpeg: Option<Arc<Ffmpeg>>,
    /// What renditions are made.
    pub ladder: Arc<LadderConfig>,
    /// A directory of this machine for what is being made. Nothing else belongs into it.
    pub scratch: PathBuf,
    /// Where uploads are, on machines that take them.
    pub staging: Option<Staging>,
}

/// A video as a job finds it.
pub(crate) struct Piece {
    pub(crate) listed: ListedVideo,
    pub(crate) files: Vec<File>,
}

impl Piece {
    pub(crate) fn id(&self) -> &VideoId {
        &self.listed.video.id
    }

    pub(crate) fn file(&self, kind: FileKind, name: &str) -> Option<&File> {
        self.files.iter().find(|file| file.kind == kind && file.name == name)
    }

    /// The file that it is played from.
    pub(crate) fn main_file(&self) -> Option<&File> {
        self.file(FileKind::Remux, "").or_else(|| self.file(FileKind::Original, ""))
    }
}

/// A directory for one job, which is removed with all that is in it.
pub(crate) struct Bench(PathBuf);

impl Bench {
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next attempt, or with all that is left over.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Workshop {
    pub(crate) fn objects(&self) -> &Objects {
        self.vod.objects()
    }

    /// FFmpeg, or why nothing can be done without it.
    pub(crate) fn ffmpeg(&self) -> Result<&Ffmpeg, Failure> {
        self.ffmpeg.as_deref().ok_or_else(|| Failure::last("this server has no FFmpeg, which is needed for such files"))
    }

    /// The video of that short id; `None` where it was deleted meanwhile, so that nothing is left to do.
    pub(crate) async fn piece(&self, short_id: &str) -> Result<Option<Piece>, Failure> {
        let Some(listed) = self.store.video_by_short_id(short_id).await? else { return Ok(None) };
        let files = self.store.files(&listed.video.id).await?;
        Ok(Some(Piece { listed, files }))
    }

    /// An empty directory for a job. What an attempt before left in it is gone.
    pub(crate) fn bench(&self, job: &Context) -> Result<Bench, Failure> {
        let path = self.scratch.join(job.id().as_str());
        let made = match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => std::fs::create_dir_all(&path),
        };
        made.map_err(|error| Failure::retry(format!("the directory for work in progress cannot be used: {error}")))?;
        Ok(Bench(path))
    }

    /// The file of an object, for FFmpeg: in its place, or copied to the bench.
    pub(crate) async fn local(&self, file: &File, bench: &Bench) -> Result<PathBuf, Failure> {
        let key = key_of(file)?;
        if let Some(path) = self.objects().local(&key) {
            return Ok(path);
        }
        let path = bench.file("source");
        self.objects().fetch_to(&key, &path).await.map_err(storage)?;
        Ok(path)
    }

    /// Stores a file that was made, and gives it to its video.
    pub(crate) async fn keep(&self, video: &VideoId, made: &Path, new: Made<'_>) -> Result<(), Failure> {
        let size = std::fs::metadata(made).map_err(|error| Failure::retry(error.to_string()))?.len();
        let key = Key::new(new.extension);
        // Whatever happens from here on, the object is not forgotten.
        self.store.add_garbage_later(key.as_str()).await?;
        self.objects().put_file_as(&key, made).await.map_err(storage)?;
        self.give(video, &[(key, size, new)]).await
    }

    /// Stores bytes that were made as files of a video.
    pub(crate) async fn keep_all(&self, video: &VideoId, made: Vec<(bytes::Bytes, Made<'_>)>) -> Result<(), Failure> {
        let mut kept = Vec::new();
        for (bytes, new) in made {
            let size = bytes.len() as u64;
            let key = self.objects().put(new.extension, bytes).await.map_err(storage)?;
            kept.push((key, size, new));
        }
        self.give(video, &kept).await
    }

    async fn give(&self, video: &VideoId, kept: &[(Key, u64, Made<'_>)]) -> Result<(), Failure> {
        let files: Vec<_> = kept
            .iter()
            .map(|(key, size, made)| NewFile {
                kind: made.kind,
                name: &made.name,
                object_key: key.as_str(),
                size: *size,
                media_type: made.media_type,
                width: made.width,
                height: made.height,
                details: &made.details,
            })
            .collect();
        match self.store.put_files(video, &files).await {
            // It was deleted meanwhile, and what was made with it.
            Ok(()) | Err(millrace_store::Error::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets every node know that a video has changed.
    pub(crate) async fn changed(&self, short_id: &str) {
        // Where they cannot be told, they look again within a minute.
        let _ = self.store.tell(&Change::Video(short_id.to_owned())).await;
    }
}

/// What a file that was made is.
pub(crate) struct Made<'a> {
    pub(crate) kind: FileKind,
    pub(crate) name: String,
    pub(crate) extension: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) width: i64,
    pub(crate) height: i64,
    pub(crate) details: std::borrow::Cow<'a, str>,
}

impl Made<'_> {
    pub(crate) fn new(
        kind: FileKind,
        name: impl Into<String>,
        extension: &'static str,
        media_type: &'static str,
    ) -> Self {
        Self { kind, name: name.into(), extension, media_type, width: 0, height: 0, details: "".into() }
    }
}

pub(crate) fn key_of(file: &File) -> Result<Key, Failure> {
    Key::parse(&file.object_key).ok_or_else(|| Failure::last("the file's key is damaged in the database"))
}

/// The storage may work another time, unless what is wanted is not there.
pub(crate) fn storage(error: millrace_objects::Error) -> Failure {
    match error {
        millrace_objects::Error::NotFound => Failure::last("the file is missing in the storage"),
        error => Failure::retry(error.to_string()),
    }
}

/// A file that is at fault stays so; whatever else went wrong may not.
pub(crate) fn ffmpeg_failed(error: millrace_transcode::Error) -> Failure {
    if error.is_the_files() { Failure::last(error.to_string()) } else { Failure::retry(error.to_string()) }
}
