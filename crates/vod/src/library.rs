//! The files that are played, with their indexes in memory as long as there is room.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millrace_mp4::{Plan, Reader, TARGET_DURATION};
use millrace_objects::{Blob, Key, Objects};
use tokio::sync::{OnceCell, Semaphore};

use crate::Title;

/// Plays stored files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Vod {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    objects: Objects,
    shelf: Mutex<Shelf>,
    clock: AtomicU64,
    most_memory: usize,
    /// Large indexes are read a few at a time: while it is read, each takes more memory than the shelf counts.
    large: Semaphore,
}

#[derive(Debug, Default)]
struct Shelf {
    places: HashMap<Key, Place>,
    memory: usize,
}

#[derive(Debug, Default)]
struct Place {
    /// Filled by the first who asks, while others wait.
    title: Arc<OnceCell<Arc<Title>>>,
    memory: usize,
    used: u64,
    used_at: Option<Instant>,
}

impl Place {
    /// Whether nobody reads it at present: it was read, or whoever did has gone.
    fn is_idle(&self) -> bool {
        self.memory > 0 || Arc::strong_count(&self.title) == 1
    }
}

/// Why a file cannot be played from where it lies.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TitleError {
    /// It is not what can be packaged.
    #[error("{0}")]
    File(#[from] millrace_mp4::Error),
    /// It cannot be read.
    #[error("{0}")]
    Storage(#[from] millrace_objects::Error),
}

impl TitleError {
    /// Whether the file itself is at fault, so that to try again is in vain.
    #[must_use]
    pub fn is_the_files(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

impl Vod {
    /// Plays what is among `objects`.
    #[must_use]
    pub fn new(objects: Objects) -> Self {
        Self::with_memory(objects, MOST_MEMORY)
    }

    fn with_memory(objects: Objects, most_memory: usize) -> Self {
        let inner = Inner {
            objects,
            shelf: Mutex::default(),
            clock: AtomicU64::new(0),
            most_memory,
            large: Semaphore::new(LARGE_AT_ONCE),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Where the files are.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.inner.objects
    }

    /// A file, ready to be played. Its index is read once, and kept until others need the room.
    ///
    /// # Errors
    /// [`TitleError`].
    pub async fn title(&self, key: &Key) -> Result<Arc<Title>, TitleError> {
        let now = self.inner.clock.fetch_add(1, Relaxed);
        let cell = {
            let mut shelf = self.shelf();
            let place = shelf.places.entry(key.clone()).or_default();
            place.used = now;
            place.used_at = Some(Instant::now());
            Arc::clone(&place.title)
        };
        if let Some(title) = cell.get() {
            return Ok(Arc::clone(title));
        }
        let read = cell.get_or_try_init(|| async { self.read(key).await.map(Arc::new) }).await;
        let mut shelf = self.shelf();
        match read {
            Ok(title) => {
                let memory = title.memory();
                if let Some(place) = shelf.places.get_mut(key)
                    && place.memory == 0
                {
                    place.memory = memory;
                    shelf.memory += memory;
                    shelf.make_room(self.inner.most_memory, key);
                }
                Ok(Arc::clone(title))
            }
            Err(error) => {
                // Another may try again.
                if Arc::strong_count(&cell) <= 2 {
                    shelf.forget(key);
                }
                Err(error)
            }
        }
    }

    /// Lets go of files that nobody has played for so long. A file that another process deletes takes room on the disk for as
    /// long as it is open here.
    pub fn let_go(&self, unused: Duration) {
        let mut shelf = self.shelf();
        let resting = |place: &Place| place.is_idle() && place.used_at.is_none_or(|at| at.elapsed() >= unused);
        let keys: Vec<Key> =
            shelf.places.iter().filter(|(_, place)| resting(place)).map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| shelf.forget(key));
    }

    /// Forgets a file that is deleted.
    pub fn forget(&self, key: &Key) {
        self.shelf().forget(key);
    }

    async fn read(&self, key: &Key) -> Result<Title, TitleError> {
        let blob = self.inner.objects.blob(key).await?;
        let plan = plan(&blob, &self.inner.large).await?;
        Ok(Title::new(blob, plan))
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // It is never left half changed.
        self.inner.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn forget(&mut self, key: &Key) {
        if let Some(place) = self.places.remove(key) {
            self.memory -= place.memory;
        }
    }

    /// Lets go of those that were not used for longest, but for one. Who plays them keeps them.
    fn make_room(&mut self, most: usize, but: &Key) {
        while self.memory > most || self.places.len() > MOST_TITLES {
            let unused = self.places.iter().filter(|(key, place)| *key != but && place.is_idle());
            let Some(key) = unused.min_by_key(|(_, place)| place.used).map(|(key, _)| key.clone()) else { return };
            self.forget(&key);
        }
    }
}

/// Reads what of a file tells where its samples are, and cuts it into segments.
async fn plan(blob: &Blob, large: &Semaphore) -> Result<Plan, TitleError> {
    let mut reader = Reader::new(blob.size())?;
    let (mut read, mut turn) = (0, None);
    while let Some(range) = reader.wants() {
        if read >= LARGE && turn.is_none() {
            turn = large.acquire().await.ok();
        }
        let offset = range.start;
        let bytes = blob.read(range).await?;
        read += bytes.len();
        reader.feed(offset, &bytes)?;
    }
    let made = tokio::task::spawn_blocking(move || {
        let movie = Arc::new(reader.finish()?);
        Plan::new(movie, TARGET_DURATION)
    });
    let made = made.await.map_err(|_| millrace_objects::Error::NotFound)?;
    drop(turn);
    Ok(made?)
}

/// Bytes that indexes may take in memory, all together.
const MOST_MEMORY: usize = 256 << 20;
/// An index of more bytes is large: that of an hour or two has as many.
const LARGE: usize = 2 << 20;
/// Large indexes that are read at a time. The largest takes some 200 MiB meanwhile.
const LARGE_AT_ONCE: usize = 4;
/// Files whose indexes are kept at most: each keeps an open file, too.
const MOST_TITLES: usize = 1024;
