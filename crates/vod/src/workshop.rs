//! What all jobs of videos work with.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrace_jobs::{Failure, GaveUp};
use millrace_objects::{Key, Objects};
use millrace_store::{
    Change, File, FileKind, JobId, JobState, Lease, ListedVideo, NewFile, Store, VideoId, VideoState,
};
use millrace_transcode::{Ffmpeg, LadderConfig};

use crate::staging::blocking;
use crate::{Staging, Title, TitleError, Vod};

/// Where videos are worked on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workshop {
    /// The database.
    pub store: Store,
    /// What plays files.
    pub vod: Vod,
    /// FFmpeg, where there is one: without it, what browsers play as it is plays, and whatever more there is to do is left to
    /// others.
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

    /// Whether there is any file of a kind.
    pub(crate) fn has(&self, kind: FileKind) -> bool {
        self.files.iter().any(|file| file.kind == kind)
    }

    /// The file that it is played from.
    pub(crate) fn main_file(&self) -> Option<&File> {
        self.file(FileKind::Remux, "").or_else(|| self.file(FileKind::Original, ""))
    }
}

/// A directory for one job, which is removed with all that is in it. Large files take a while: nobody waits for that but who
/// clears it.
pub(crate) struct Bench(PathBuf);

impl Bench {
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Removes it, and waits until it is gone.
    pub(crate) async fn clear(mut self) {
        let path = std::mem::take(&mut self.0);
        // It does not panic.
        let _ = tokio::task::spawn_blocking(move || remove_or_tell(&path)).await;
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.0);
        if path.as_os_str().is_empty() {
            return; // it is cleared
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || remove_or_tell(&path))),
            Err(_) => remove_or_tell(&path),
        }
    }
}

/// A job, and the claim on it.
type Attempt = (JobId, i64);

/// What is in a directory for work in progress, with the attempt that it is of.
fn benches(scratch: &Path) -> io::Result<Vec<(PathBuf, Option<Attempt>)>> {
    let entries = match std::fs::read_dir(scratch) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let of = |name: &std::ffi::OsStr| {
        let (job, number) = name.to_str()?.split_once('.')?;
        Some((job.parse().ok()?, number.parse().ok()?))
    };
    entries.map(|entry| entry.map(|entry| (entry.path(), of(&entry.file_name())))).collect()
}

/// Removes what an attempt at a job left. That it is gone is no error.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The same; what cannot be removed now is removed by the next attempt, or with all that is left over.
fn remove_or_tell(path: &Path) {
    if let Err(error) = remove(path) {
        tracing::warn!(%error, path = %path.display(), "what work has left behind cannot be removed; it is tried again");
    }
}

impl Workshop {
    pub(crate) fn objects(&self) -> &Objects {
        self.vod.objects()
    }

    /// The video of that short id; `None` where it was deleted meanwhile, so that nothing is left to do.
    pub(crate) async fn piece(&self, short_id: &str) -> Result<Option<Piece>, Failure> {
        let Some(listed) = self.store.video_by_short_id(short_id).await? else { return Ok(None) };
        let files = self.store.files(&listed.video.id).await?;
        Ok(Some(Piece { listed, files }))
    }

    /// An MP4 as it is played; `None` where the packager does not read it, or not in passing.
    pub(crate) async fn title(&self, key: &Key) -> Result<Option<Arc<Title>>, Failure> {
        match self.vod.title(key).await {
            Ok(title) => Ok(Some(title)),
            Err(error) if error.is_the_files() || matches!(error, TitleError::Slow) => Ok(None),
            Err(error) => Err(Failure::retry(error.to_string())),
        }
    }

    /// An empty directory for an attempt at a job. What attempts before it left is gone; one of them that has lost its lease
    /// and does not know yet takes nothing from this one.
    pub(crate) async fn bench(&self, lease: &Lease) -> Result<Bench, Failure> {
        let (scratch, job) = (self.scratch.clone(), lease.job().clone());
        let path = scratch.join(format!("{job}.{}", lease.number()));
        let made = blocking(move || {
            for (left, of) in benches(&scratch)? {
                if of.is_some_and(|(of, _)| of == job) {
                    remove(&left)?;
                }
            }
            std::fs::create_dir_all(&path)?;
            Ok(Bench(path))
        });
        made.await
            .map_err(|error| Failure::retry(format!("the directory for work in progress cannot be used: {error}")))
    }

    /// Keeps this process tidy for as long as it runs: see [`Self::tidy`].
    pub async fn keep_tidy(self) {
        let mut ticks = tokio::time::interval(TIDIED_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.tidy().await {
                tracing::warn!(%error, "what work has left behind could not be removed; it is tried again");
            }
        }
    }

    /// Removes what attempts at jobs left here that have ended or gone to others, a crash in their midst perhaps, and lets go
    /// of files that nobody plays.
    async fn tidy(&self) -> Result<(), millrace_store::Error> {
        self.vod.let_go(TIDIED_EVERY);
        let scratch = self.scratch.clone();
        let left = blocking(move || benches(&scratch)).await.unwrap_or_else(|error| {
            tracing::warn!(%error, path = %self.scratch.display(), "the directory for work in progress cannot be read");
            Vec::new()
        });
        for (path, of) in left {
            let running = match of {
                Some((id, number)) => self
                    .store
                    .job(&id)
                    .await?
                    .is_some_and(|job| job.state == JobState::Running && job.lease().number() == number),
                None => false,
            };
            if !running {
                // It does not panic.
                let _ = tokio::task::spawn_blocking(move || remove_or_tell(&path)).await;
            }
        }
        Ok(())
    }

    /// The file of an object, for FFmpeg: in its place, or copied to the bench.
    pub(crate) async fn local(&self, file: &File, bench: &Bench) -> Result<PathBuf, Failure> {
        let key = key_of(file)?;
        if let Some(path) = self.objects().local(&key) {
            return Ok(path);
        }
        if let Some(ffmpeg) = &self.ffmpeg
            && ffmpeg.room(&bench.0).map_err(ffmpeg_failed)? < u64::try_from(file.size).unwrap_or(0)
        {
            return Err(ffmpeg_failed(ffmpeg.no_room()));
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

    /// Notes that a video cannot be made playable, unless it is already.
    pub(crate) async fn failed(&self, short_id: &str, why: &GaveUp) -> Result<(), Failure> {
        let words = match why {
            GaveUp::Failed(words) => words.as_str(),
            GaveUp::Cancelled => "its processing was cancelled",
        };
        let Some(piece) = self.piece(short_id).await? else { return Ok(()) };
        if piece.listed.video.state != VideoState::Ready {
            match self.store.set_video_state(piece.id(), VideoState::Failed, words).await {
                Ok(_) | Err(millrace_store::Error::NotFound) => self.changed(short_id).await,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
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

const TIDIED_EVERY: std::time::Duration = std::time::Duration::from_secs(10 * 60);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use millrace_store::testing::fresh_store;
    use millrace_store::{At, Claim, NewJob};

    use super::*;

    #[tokio::test]
    async fn an_attempt_that_is_late_takes_nothing_from_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let store = fresh_store(directory.path()).await;
        let workshop = Workshop {
            vod: Vod::new(Objects::open("file://objects", directory.path()).unwrap()),
            ffmpeg: None,
            ladder: Arc::default(),
            scratch: directory.path().join("scratch"),
            staging: None,
            store,
        };
        for name in ["test.one", "test.other"] {
            workshop.store.enqueue(&NewJob::new(name, "{}".to_owned())).await.unwrap();
        }
        let claim =
            async |kind| match workshop.store.claim_job(kind, "w", At::now(), time::Duration::ZERO).await.unwrap() {
                Claim::Job(job) => workshop.bench(&job.lease()).await.unwrap(),
                other => panic!("{other:?}"),
            };
        let (other, first) = (claim("test.other").await, claim("test.one").await);
        std::fs::write(first.file("half.mp4"), "half").unwrap();
        std::fs::write(other.file("whole.mp4"), "whole").unwrap();
        let next = claim("test.one").await;
        assert!(!first.file("half.mp4").exists(), "what it left is gone");
        std::fs::write(next.file("whole.mp4"), "whole").unwrap();
        first.clear().await;
        assert!(next.file("whole.mp4").exists() && other.file("whole.mp4").exists());
        // Of a worker that was killed, what it left stays until its job has ended or gone to another.
        let (lost, held) = (next.0.clone(), other.0.clone());
        std::mem::forget((next, other));
        let stray = workshop.scratch.join("stray");
        std::fs::create_dir(&stray).unwrap();
        workshop.tidy().await.unwrap();
        assert!(lost.exists() && held.exists() && !stray.exists());
        let elsewhere = claim("test.one").await;
        std::fs::create_dir_all(&lost).unwrap(); // as it would be on a machine of its own
        workshop.tidy().await.unwrap();
        assert!(elsewhere.0.exists() && held.exists() && !lost.exists());
        elsewhere.clear().await;
        Bench(held).clear().await;
        assert!(benches(&workshop.scratch).unwrap().is_empty(), "and each removes its own");
    }
}
