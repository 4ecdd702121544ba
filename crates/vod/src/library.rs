//! The files that are played, with their indexes in memory as long as there is room.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millrace_mp4::{Plan, Reader, TARGET_DURATION};
use millrace_objects::{Blob, Key, Objects};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout_at;

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
    large: Large,
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

/// Large indexes are read a few at a time: while it is read, each takes more memory than the shelf counts.
#[derive(Debug)]
struct Large {
    turns: Arc<Semaphore>,
    /// How long a turn may last, so that whoever waits for one gets it.
    longest: Duration,
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
    /// Its index is large, and lies in more pieces than can be read in passing.
    #[error("the index takes too long to read")]
    Slow,
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
            large: Large { turns: Arc::new(Semaphore::new(LARGE_AT_ONCE)), longest: LARGE_FOR },
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
async fn plan(blob: &Blob, large: &Large) -> Result<Plan, TitleError> {
    let mut reader = Reader::new(blob.size())?;
    let mut turn = None;
    loop {
        if turn.is_none() && reader.memory() >= LARGE {
            let permit = Arc::clone(&large.turns).acquire_owned().await.ok();
            turn = permit.map(|permit| (permit, Instant::now() + large.longest));
        }
        let Some(range) = reader.wants() else { break };
        let offset = range.start;
        let bytes = match &turn {
            None => blob.read(range).await?,
            Some((_, end)) if Instant::now() < *end => {
                timeout_at((*end).into(), blob.read(range)).await.map_err(|_| TitleError::Slow)??
            }
            Some(_) => return Err(TitleError::Slow),
        };
        reader.feed(offset, &bytes)?;
    }
    // It goes on where whoever asked has gone, and so has its turn.
    let made = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let movie = Arc::new(reader.finish()?);
        Plan::new(movie, TARGET_DURATION)
    });
    Ok(made.await.map_err(|_| millrace_objects::Error::NotFound)??)
}

/// Bytes that indexes may take in memory, all together.
const MOST_MEMORY: usize = 256 << 20;
/// An index is large that takes more bytes while it is read: that of an hour or two takes as many.
const LARGE: usize = 2 << 20;
/// Large indexes that are read at a time. The largest takes some 200 MiB meanwhile.
const LARGE_AT_ONCE: usize = 4;
/// How long one of them is read: in one piece, it is there in seconds.
const LARGE_FOR: Duration = Duration::from_secs(60);
/// Files whose indexes are kept at most: each keeps an open file, too.
const MOST_TITLES: usize = 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// A box of a file.
    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        [&u32::try_from(content.len() + 8).unwrap().to_be_bytes()[..], kind, content].concat()
    }

    /// The index of a file without tracks, with `more` in it.
    fn index(more: &[u8]) -> Vec<u8> {
        let mut head = [0; 100];
        head[12..16].copy_from_slice(&1000_u32.to_be_bytes()); // ticks per second
        [boxed(b"ftyp", b"isom\0\0\0\0"), boxed(b"moov", &[&boxed(b"mvhd", &head), more].concat())].concat()
    }

    fn large_index() -> Vec<u8> {
        index(&boxed(b"free", &vec![0; 2 * LARGE]))
    }

    /// A file of many fragments, each of which is asked for by itself, with nothing in them.
    fn fragments() -> Vec<u8> {
        let fragment = [boxed(b"moof", b""), boxed(b"mdat", &[0; 8192])].concat();
        let index = index(&boxed(b"mvex", b""));
        index.iter().chain(fragment.iter().cycle().take(600 * fragment.len())).copied().collect()
    }

    async fn blob(bytes: Vec<u8>) -> (tempfile::TempDir, Blob) {
        let directory = tempfile::tempdir().unwrap();
        let objects = Objects::open("file://objects", directory.path()).unwrap();
        let key = objects.put("mp4", bytes).await.unwrap();
        (directory, objects.blob(&key).await.unwrap())
    }

    fn turns(count: usize, longest: Duration) -> Large {
        Large { turns: Arc::new(Semaphore::new(count)), longest }
    }

    fn once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn many_pieces_of_little_take_no_turn() {
        let (_directory, blob) = blob(fragments()).await;
        let made = tokio::time::timeout(LARGE_FOR, plan(&blob, &turns(0, LARGE_FOR))).await;
        assert!(matches!(made, Ok(Err(TitleError::File(_)))), "it has no tracks: {made:?}");
    }

    #[tokio::test]
    async fn a_large_index_waits_for_its_turn_and_has_it_for_a_while() {
        let (_directory, blob) = blob(large_index()).await;
        let none = turns(0, LARGE_FOR);
        let mut waiting = pin!(plan(&blob, &none));
        assert!(once(waiting.as_mut()).is_pending());
        none.turns.add_permits(1);
        assert!(matches!(waiting.await, Err(TitleError::File(_))));

        let short = turns(1, Duration::ZERO);
        let made = plan(&blob, &short).await;
        assert!(matches!(made, Err(TitleError::Slow)), "{made:?}");
        assert_eq!(short.turns.available_permits(), 1);
    }

    #[test]
    fn a_turn_lasts_as_long_as_the_work_though_nobody_waits_for_it() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (_directory, blob) = blob(large_index()).await;
            let (go_on, held_up) = mpsc::channel::<()>();
            let elsewhere = tokio::task::spawn_blocking(move || held_up.recv());
            let one = turns(1, LARGE_FOR);
            {
                let mut working = pin!(plan(&blob, &one));
                assert!(once(working.as_mut()).is_pending());
            }
            assert_eq!(one.turns.available_permits(), 0);
            go_on.send(()).unwrap();
            elsewhere.await.unwrap().unwrap();
            drop(one.turns.acquire().await.unwrap());
        });
    }

    #[tokio::test]
    async fn what_nobody_played_for_a_while_is_let_go() {
        let directory = tempfile::tempdir().unwrap();
        let vod = Vod::new(Objects::open("file://objects", directory.path()).unwrap());
        let key = || Key::new("mp4");
        let (played, resting, being_read) = (key(), key(), key());
        let reader = {
            let mut shelf = vod.shelf();
            let place = |memory| Place { memory, used_at: Some(Instant::now()), ..Place::default() };
            let hour = Duration::from_secs(3600);
            let rested = Instant::now().checked_sub(hour);
            shelf.places.insert(played.clone(), place(10));
            shelf.places.insert(resting.clone(), Place { used_at: rested, ..place(20) });
            let reading = Place { used_at: rested, ..place(0) };
            let reader = Arc::clone(&reading.title);
            shelf.places.insert(being_read.clone(), reading);
            shelf.memory = 30;
            reader
        };
        let left = |unused| {
            vod.let_go(unused);
            let shelf = vod.shelf();
            let mut left: Vec<_> = shelf.places.keys().cloned().collect();
            left.sort_by_key(|key| [&played, &resting, &being_read].iter().position(|known| *known == key));
            (left, shelf.memory)
        };
        assert_eq!(left(Duration::from_secs(60)), (vec![played.clone(), being_read.clone()], 10));
        drop(reader);
        assert_eq!(left(Duration::from_secs(60)), (vec![played.clone()], 10), "whoever read it has gone");
        assert_eq!(left(Duration::ZERO), (vec![], 0));
    }
}
