//! How videos arrive: what is taken, and how a file that is whole becomes a video's.

use std::collections::HashSet;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_core::Stream;
use http::StatusCode;
use millrace_objects::{Key, Objects, media_type};
use millrace_store::{At, Error, FileKind, NewFile, Upload, UploadId, User};
use millrace_transcode::{Container, HEAD_BYTES, NotMedia};
use millrace_vod::jobs::OpenVideo;
use millrace_vod::{AppendError, Checksum, Staging};
use time::Duration;
use tokio::sync::Semaphore;

use super::Videos;
use crate::{ErrorCode, Problem};

/// What is taken, and what is made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadConfig {
    /// Where files are while they come. Best on the file system of the objects: then they are moved, not copied.
    pub directory: PathBuf,
    /// Bytes of the largest file.
    pub max_size: u64,
    /// Bytes that may be stored for one account; none where there is no such limit.
    pub quota: Option<u64>,
    /// Bytes of the disk that uploads leave free.
    pub reserve: u64,
    /// How long an upload may rest before it is given up.
    pub keep: std::time::Duration,
    /// What is made of it.
    pub makes: Makes,
}

/// What is made of a video, beside playing it as it was uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Makes {
    /// Pictures and other sizes.
    All,
    /// Pictures alone: there are to be no other sizes.
    Pictures,
    /// Nothing: there is no FFmpeg.
    Nothing,
}

/// Takes uploads. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    pub(crate) config: Arc<UploadConfig>,
    pub(crate) staging: Staging,
    /// The uploads that are being received.
    receiving: Arc<Mutex<HashSet<UploadId>>>,
    /// Files go to a bucket a few at a time, so that each arrives.
    handing_over: Arc<Semaphore>,
}

/// That an upload is being received, until it is dropped.
struct Receiving {
    all: Arc<Mutex<HashSet<UploadId>>>,
    id: UploadId,
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Intake {
    pub(super) fn open(config: UploadConfig) -> std::io::Result<Self> {
        Ok(Self {
            staging: Staging::open(&config.directory, config.reserve)?,
            config: Arc::new(config),
            receiving: Arc::default(),
            handing_over: Arc::new(Semaphore::new(HANDED_OVER)),
        })
    }

    /// When an upload that rests from now on is given up.
    pub(crate) fn expires_at(&self, now: At) -> At {
        now.plus(Duration::try_from(self.config.keep).unwrap_or(Duration::MAX))
    }

    /// One receives an upload at a time: `None` where somebody does.
    fn receiving(&self, id: &UploadId) -> Option<Receiving> {
        let new = self.receiving.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        new.then(|| Receiving { all: Arc::clone(&self.receiving), id: id.clone() })
    }
}

impl Videos {
    /// What takes uploads here.
    pub(crate) fn intake(&self) -> Result<&Intake, Problem> {
        self.intake.as_ref().ok_or_else(|| Problem::new(ErrorCode::Unavailable, "this server takes no uploads"))
    }

    /// Whether `user` may store another file of so many bytes, or of a length that nobody knows: told before they are sent.
    /// Gives the bytes that may come.
    pub(crate) async fn admit(&self, user: &User, length: Option<u64>) -> Result<u64, Problem> {
        let intake = self.intake()?;
        let config = &intake.config;
        let least = length.unwrap_or(1);
        let file = match length {
            Some(length) => format!("the file has {}", size(length)),
            None => "the length of the file is not told".to_owned(),
        };
        let mut most = length.unwrap_or(config.max_size);
        if least > config.max_size {
            let words = format!("{file}; the largest that is taken has {}", size(config.max_size));
            return Err(Problem::new(ErrorCode::TooLarge, words));
        }
        if let Some(quota) = config.quota {
            let stored = self.store.stored_bytes_of(&user.id).await.map_err(Problem::database)?;
            let left = quota.saturating_sub(u64::try_from(stored).unwrap_or(0));
            if least > left {
                let (left, quota) = (size(left), size(quota));
                let words = format!("{file}, and {left} of your {quota} are left; delete videos for good to make room");
                return Err(Problem::new(ErrorCode::TooLarge, words));
            }
            most = most.min(left);
        }
        let announced = self.store.announced_bytes().await.map_err(Problem::database)?;
        let room = intake.staging.room(u64::try_from(announced).unwrap_or(0)).await.map_err(|error| disk(&error))?;
        // What comes may go on to another disk.
        let free = self.vod.objects().free().await.map_err(|error| {
            tracing::error!(%error, "the storage cannot be used");
            Problem::new(ErrorCode::Internal, "uploads cannot be kept at present; try again later")
        })?;
        let room = free.map_or(room, |free| room.min(free.saturating_sub(config.reserve)));
        if least > room {
            let words = format!("{file}, and this server has room for {}; ask who runs it", size(room));
            return Err(Problem::new(ErrorCode::Unavailable, words));
        }
        Ok(most.min(room))
    }

    /// Takes more bytes of an upload, from `offset` on, and receives it where it is whole then. Bytes that are there now.
    pub(crate) async fn take<E>(
        &self,
        upload: &Upload,
        offset: u64,
        checksum: Option<Checksum>,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<u64, Problem> {
        let intake = self.intake()?;
        let length = u64::try_from(upload.length).unwrap_or(0);
        let look = Look::new(offset == 0);
        let taking = intake.staging.append(&upload.id, offset, length, checksum, look.at(body));
        let taken = self.busy(&upload.id, taking).await?;
        if let Some(not_media) = look.verdict() {
            self.give_up(&upload.id).await?;
            return Err(refused(not_media));
        }
        let received = taken.map_err(|error| self.refusal(error))?;
        self.prolong(&upload.id).await?;
        if received == length {
            self.receive(&upload.id).await?;
        }
        Ok(received)
    }

    /// Takes an upload in one go, of which no more is known than that it has at most so many bytes. Gives those that came, to
    /// be received. Where it breaks off, nothing is kept.
    pub(crate) async fn take_whole<E>(
        &self,
        upload: &Upload,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<u64, Problem> {
        let intake = self.intake()?;
        let look = Look::new(true);
        let most = u64::try_from(upload.length).unwrap_or(0);
        let taken = self.busy(&upload.id, intake.staging.append(&upload.id, 0, most, None, look.at(body))).await?;
        let received = match (look.verdict(), taken) {
            (Some(not_media), _) => Err(refused(not_media)),
            (None, taken) => taken.map_err(|error| self.refusal(error)),
        };
        if received.is_err() {
            self.give_up(&upload.id).await?;
        }
        received
    }

    /// Receives an upload that was taken in one go.
    pub(crate) async fn receive_taken(&self, upload: &Upload, received: u64) -> Result<(), Problem> {
        let length = i64::try_from(received).unwrap_or(i64::MAX);
        self.store.set_upload_length(&upload.id, length).await.map_err(Problem::database)?;
        self.receive(&upload.id).await
    }

    /// Does what takes long for an upload, which does not rest meanwhile.
    async fn busy<T>(&self, id: &UploadId, work: impl Future<Output = T>) -> Result<T, Problem> {
        let mut work = pin!(work);
        loop {
            match tokio::time::timeout(self.intake()?.config.keep / 4, &mut work).await {
                Ok(done) => return Ok(done),
                Err(_) => self.prolong(id).await?,
            }
        }
    }

    async fn prolong(&self, id: &UploadId) -> Result<(), Problem> {
        let expires_at = self.intake()?.expires_at(At::now());
        self.store.prolong_upload(id, expires_at).await.map_err(Problem::database)
    }

    /// Receives an upload that is whole: from here on it is safe, whoever goes away. Where it takes long to bring it to its
    /// place, that goes on while its sender is told.
    async fn receive(&self, id: &UploadId) -> Result<(), Problem> {
        let Some(receiving) = self.intake()?.receiving(id) else { return Ok(()) };
        let videos = self.clone();
        let done = tokio::spawn(async move {
            let upload = videos.store.upload(&receiving.id).await.map_err(Problem::database)?;
            match upload.filter(|upload| upload.done_at.is_none()) {
                Some(upload) => videos.receive_whole(&upload).await,
                None => Ok(()),
            }
        });
        match tokio::time::timeout(PATIENCE, done).await {
            Ok(done) => {
                done.map_err(|_| Problem::new(ErrorCode::Internal, "the upload could not be received; try again"))?
            }
            Err(_) => Ok(()),
        }
    }

    async fn receive_whole(&self, upload: &Upload) -> Result<(), Problem> {
        let intake = self.intake()?;
        let path = intake.staging.path(&upload.id);
        let head = match &upload.object_key {
            None => match head_of(&path).await {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(no_upload()),
                head => head.map_err(|error| disk(&error))?,
            },
            Some(_) => Vec::new(),
        };
        let (key, media_type) = match upload.object_key.as_deref().and_then(Key::parse) {
            // It was whole before, and something ended in between.
            Some(key) => {
                let media_type = media_type(key.extension());
                (key, media_type)
            }
            None => match Container::of(&head) {
                Ok(container) => {
                    let extension = container.extension(&head);
                    (Key::new(extension), media_type(extension))
                }
                Err(not_media) => {
                    self.give_up(&upload.id).await?;
                    return Err(refused(not_media));
                }
            },
        };
        if upload.object_key.is_none() {
            match self.store.seal_upload(&upload.id, key.as_str()).await {
                Err(Error::NotFound) => return Ok(()), // another request was faster, or it was given up
                done => done.map_err(Problem::database)?,
            }
        }
        let objects: &Objects = self.vod.objects();
        let turn = intake.handing_over.acquire().await;
        let put = objects.put_file_as(&key, &path).await;
        drop(turn);
        if let Err(error) = put {
            if !self.is_wanted(upload).await? {
                self.discard(&key).await;
                return Ok(());
            }
            // It may have been moved before something ended.
            let sealed = Upload { object_key: Some(key.to_string()), ..upload.clone() };
            if !self.is_in_place(&sealed).await {
                tracing::error!(%error, upload = %upload.id, "an upload cannot be stored; it is tried again later");
                return Ok(());
            }
        }
        let video = self.store.video(&upload.video_id).await.map_err(Problem::database)?;
        let Some(video) = video else {
            self.discard(&key).await;
            return Ok(());
        };
        let file = NewFile {
            kind: FileKind::Original,
            name: "",
            object_key: key.as_str(),
            size: u64::try_from(upload.length).unwrap_or(0),
            media_type,
            width: 0,
            height: 0,
            details: "",
        };
        match self.store.receive_upload(&upload.id, &file, &OpenVideo::of(&video.short_id)).await {
            Ok(()) => tracing::info!(video = video.short_id, bytes = upload.length, "an upload is received"),
            Err(Error::NotFound) if self.is_wanted(upload).await? => {} // another request was faster
            Err(Error::NotFound) => self.discard(&key).await,
            Err(error) => return Err(Problem::database(error)),
        }
        self.changed(&video.short_id).await.map_err(Problem::database)
    }

    /// Whether its video is there still: it goes with its account, and out of the trash.
    async fn is_wanted(&self, upload: &Upload) -> Result<bool, Problem> {
        Ok(self.store.video(&upload.video_id).await.map_err(Problem::database)?.is_some())
    }

    /// Deletes the object of an upload that nobody wants any more. What is left, reconciliation finds.
    async fn discard(&self, key: &Key) {
        if let Err(error) = self.vod.objects().delete(key).await {
            tracing::warn!(%error, "the object of an upload that was given up is left");
        }
    }

    /// Goes on with uploads that are whole and not in their place, because the server ended or the storage or database was
    /// away: to be called at the start, and every now and then. What is of another node is passed over.
    pub(crate) async fn resume(&self) -> Result<(), Problem> {
        let Some(intake) = &self.intake else { return Ok(()) };
        for upload in self.store.sealed_uploads().await.map_err(Problem::database)? {
            let here = intake.staging.received(&upload.id).await.map_err(|error| disk(&error))?.is_some();
            if here || self.is_in_place(&upload).await {
                // What goes wrong is in the log; the others go on.
                let _ = self.receive(&upload.id).await;
            }
        }
        for id in intake.staging.all().await.map_err(|error| disk(&error))? {
            let upload = self.store.upload(&id).await.map_err(Problem::database)?;
            let received = intake.staging.received(&id).await.map_err(|error| disk(&error))?;
            if let Some(upload) = upload.filter(|upload| upload.object_key.is_none())
                && received == u64::try_from(upload.length).ok()
            {
                let _ = self.receive(&upload.id).await;
            }
        }
        Ok(())
    }

    /// Whether the file of a sealed upload is among the objects: something may end after it was moved.
    async fn is_in_place(&self, upload: &Upload) -> bool {
        let Some(key) = upload.object_key.as_deref().and_then(Key::parse) else { return false };
        self.vod.objects().size(&key).await.ok() == u64::try_from(upload.length).ok()
    }

    /// Gives an upload up, with what came of it and the video that it was to become. `false` where it is received, and on its
    /// way to its place.
    pub(crate) async fn give_up(&self, id: &UploadId) -> Result<bool, Problem> {
        let intake = self.intake()?;
        let given_up = self.store.delete_upload(id).await.map_err(Problem::database)?;
        if given_up {
            intake.staging.remove(id).await.map_err(|error| disk(&error))?;
        }
        Ok(given_up)
    }

    fn refusal(&self, error: AppendError) -> Problem {
        match error {
            AppendError::NotFound => no_upload(),
            AppendError::Offset { .. } | AppendError::TakenOver => Problem::new(ErrorCode::Conflict, error.to_string()),
            AppendError::TooLong => Problem::new(ErrorCode::TooLarge, error.to_string()),
            AppendError::Checksum => {
                let status = StatusCode::from_u16(CHECKSUM_MISMATCH).expect("it is a status");
                Problem::with_status(status, ErrorCode::BadRequest, error.to_string())
            }
            AppendError::Full => {
                Problem::new(ErrorCode::Unavailable, "this server's disk is full; what came is kept, go on later")
            }
            AppendError::Stopped => Problem::with_status(
                StatusCode::REQUEST_TIMEOUT,
                ErrorCode::BadRequest,
                "the sender stopped; what came is kept, go on from there",
            ),
            other => {
                tracing::error!(error = %other, "an upload cannot be written");
                Problem::new(ErrorCode::Internal, "the upload cannot be written; what came is kept, try again")
            }
        }
    }
}

/// Looks at the first bytes of a file as they pass, so that what is no video is refused before the rest is sent.
struct Look(Arc<Mutex<Seen>>);

struct Seen {
    head: Vec<u8>,
    /// Whether there is anything to look at still.
    open: bool,
    verdict: Option<NotMedia>,
}

impl Look {
    fn new(from_the_beginning: bool) -> Self {
        Self(Arc::new(Mutex::new(Seen { head: Vec::new(), open: from_the_beginning, verdict: None })))
    }

    fn verdict(&self) -> Option<NotMedia> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).verdict
    }

    fn at<E>(&self, body: impl Stream<Item = Result<Bytes, E>>) -> impl Stream<Item = Result<Bytes, ()>> {
        Looked { body: Box::pin(body), seen: Arc::clone(&self.0) }
    }
}

struct Looked<S> {
    body: std::pin::Pin<Box<S>>,
    seen: Arc<Mutex<Seen>>,
}

impl<E, S: Stream<Item = Result<Bytes, E>>> Stream for Looked<S> {
    type Item = Result<Bytes, ()>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.body.as_mut().poll_next(context));
        std::task::Poll::Ready(next.map(|bytes| {
            let bytes = bytes.map_err(drop)?;
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.open {
                let wanted = HEAD_BYTES - seen.head.len();
                seen.head.extend_from_slice(&bytes[..bytes.len().min(wanted)]);
                // A shorter head is judged once the file is whole.
                if seen.head.len() == HEAD_BYTES {
                    seen.open = false;
                    seen.verdict = Container::of(&seen.head).err();
                    seen.head = Vec::new();
                }
            }
            if seen.verdict.is_some() { Err(()) } else { Ok(bytes) }
        }))
    }
}

async fn head_of(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    use tokio::io::AsyncReadExt;
    let mut head = Vec::new();
    tokio::fs::File::open(path).await?.take(HEAD_BYTES as u64).read_to_end(&mut head).await?;
    Ok(head)
}

fn refused(not_media: NotMedia) -> Problem {
    Problem::new(ErrorCode::UnsupportedMedia, not_media.to_string())
}

pub(crate) fn no_upload() -> Problem {
    Problem::new(ErrorCode::NotFound, "there is no such upload: it was given up, or belongs to somebody else")
}

fn disk(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "the directory of uploads cannot be used");
    Problem::new(ErrorCode::Internal, "uploads cannot be kept at present; try again later")
}

/// A number of bytes, for people.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let unit = (0..UNITS.len() - 1).take_while(|unit| bytes >> (10 * (unit + 1)) > 0).count();
    let of_unit = 1_u128 << (10 * unit);
    let tenths = (u128::from(bytes) * 10 + of_unit / 2) / of_unit;
    match unit {
        0 => format!("{bytes} bytes"),
        _ if tenths.is_multiple_of(10) => format!("{} {}", tenths / 10, UNITS[unit]),
        _ => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
    }
}

/// A receiver of a whole file waits for its place so long before it tells its sender.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
/// Files that are handed over to the storage at a time.
const HANDED_OVER: usize = 2;
/// Of tus 1.0: the bytes are not those that were meant.
const CHECKSUM_MISMATCH: u16 = 460;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_their_unit() {
        let cases = [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (8 << 30, "8 GiB"),
            ((8 << 30) + (8 << 30) / 10, "8.8 GiB"),
            (u64::MAX, "16777216 TiB"),
        ];
        for (bytes, words) in cases {
            assert_eq!(size(bytes), words);
        }
    }
}
