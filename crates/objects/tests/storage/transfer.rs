//! Moves from each kind of storage to the other.

use std::path::PathBuf;

use millrace_objects::Key;
use millrace_objects::transfer::{Copied, Ledger, copy_all, delete_copied};

use crate::{Storage, disk, keys, pattern, read, s3};

struct Move {
    from: Storage,
    to: Storage,
    ledger: PathBuf,
}

impl Move {
    fn new(from: Storage, to: Storage) -> Self {
        Self { ledger: from.directory.path().join("ledger"), from, to }
    }

    fn ledger(&self) -> Ledger {
        Ledger::open(&self.ledger, &self.from.objects, &self.to.objects).unwrap()
    }

    async fn run(&self) -> Copied {
        copy_all(&self.from.objects, &self.to.objects, &mut self.ledger(), |_| ()).await.unwrap()
    }

    /// Where the file of a copy is.
    fn copy(&self, key: &Key) -> PathBuf {
        self.to
            .objects
            .local(key)
            .unwrap_or_else(|| self.to.directory.path().join("server/media/site").join(key.as_str()))
    }
}

#[tokio::test]
async fn from_disk_to_a_bucket_and_back() {
    for (from, to) in [(disk::storage().await, s3::by_path().await), (s3::by_path().await, disk::storage().await)] {
        let moving = Move::new(from, to);
        let mut put = Vec::new();
        for size in [0, 1, 100_000, 20 << 20] {
            put.push((moving.from.objects.put("mp4", pattern(size)).await.unwrap(), pattern(size)));
        }
        let mut seen = Vec::new();
        let copied =
            copy_all(&moving.from.objects, &moving.to.objects, &mut moving.ledger(), |now| seen.push(now)).await;
        let copied = copied.unwrap();
        assert_eq!((copied.copied, copied.found, copied.failed.len()), (4, 0, 0));
        assert_eq!(seen.iter().map(|now| (now.done, now.of)).collect::<Vec<_>>(), [(1, 4), (2, 4), (3, 4), (4, 4)]);
        assert_eq!(seen[3].bytes, (20 << 20) + 100_001);
        for (key, bytes) in &put {
            assert!(read(&moving.to.objects, key).await == *bytes, "{key} is the same there");
            assert!(read(&moving.from.objects, key).await == *bytes, "{key} is still here");
        }

        let late = moving.from.objects.put("jpg", "late").await.unwrap();
        let copied = moving.run().await;
        assert_eq!((copied.copied, copied.found), (1, 4), "what is there is not copied again");
        assert_eq!(read(&moving.to.objects, &late).await, b"late");
    }
}

#[tokio::test]
async fn what_is_there_with_other_bytes_is_copied_anew() {
    for to in [disk::storage().await, s3::by_path().await] {
        let moving = Move::new(disk::storage().await, to);
        let objects = &moving.from.objects;
        let (one, other) = (objects.put("mp4", "right").await.unwrap(), objects.put("mp4", "right").await.unwrap());
        assert_eq!(moving.run().await.copied, 2);
        std::fs::remove_file(&moving.ledger).unwrap();
        std::fs::write(moving.copy(&one), "wrong").unwrap();
        let copied = moving.run().await;
        assert_eq!((copied.copied, copied.found), (1, 1));
        assert_eq!(read(&moving.to.objects, &one).await, b"right");

        std::fs::write(moving.copy(&other), "cut").unwrap();
        let copied = moving.run().await;
        assert_eq!(
            (copied.copied, copied.found),
            (1, 1),
            "a copy of another length is one that the ledger does not know"
        );
        assert_eq!(read(&moving.to.objects, &other).await, b"right");
    }
}

#[tokio::test]
async fn a_move_that_was_killed_goes_on() {
    let moving = Move::new(disk::storage().await, disk::storage().await);
    let (one, other) = (
        moving.from.objects.put("mp4", "first").await.unwrap(),
        moving.from.objects.put("mp4", "second").await.unwrap(),
    );
    assert_eq!(moving.run().await.copied, 2);
    // Killed in the middle of a line, and of a file.
    let ledger = std::fs::read_to_string(&moving.ledger).unwrap();
    std::fs::write(&moving.ledger, &ledger[..ledger.len() - 4]).unwrap();
    std::fs::remove_file(moving.copy(&other)).unwrap();
    let part = moving.to.directory.path().join("objects/.parts").join(other.as_str());
    std::fs::write(part, "second, or what was to be").unwrap();

    assert_eq!(moving.run().await.copied, 1);
    assert_eq!(read(&moving.to.objects, &other).await, b"second");
    assert_eq!(read(&moving.to.objects, &one).await, b"first");
    let copied = moving.run().await;
    assert_eq!((copied.copied, copied.found), (0, 2));
}

#[tokio::test]
async fn the_source_goes_only_as_far_as_it_was_copied() {
    let moving = Move::new(disk::storage().await, s3::by_path().await);
    let objects = &moving.from.objects;
    let moved = objects.put("mp4", "moved").await.unwrap();
    let lost = objects.put("mp4", "lost").await.unwrap();
    moving.run().await;
    let late = objects.put("mp4", "late").await.unwrap();
    moving.to.objects.delete(&lost).await.unwrap();
    let deleted = delete_copied(objects, &moving.to.objects, &moving.ledger()).await.unwrap();
    assert_eq!(deleted, 1);
    assert_eq!(keys(objects).await, [lost, late].into());
    assert_eq!(read(&moving.to.objects, &moved).await, b"moved");
}

#[tokio::test]
async fn what_cannot_be_read_holds_up_nothing_else() {
    let moving = Move::new(disk::storage().await, disk::storage().await);
    let objects = &moving.from.objects;
    let (good, bad) = (objects.put("mp4", "good").await.unwrap(), objects.put("mp4", "bad").await.unwrap());
    // Where the copy should be, a directory is.
    let obstacle = moving.copy(&bad);
    std::fs::create_dir(&obstacle).unwrap();
    let copied = moving.run().await;
    assert_eq!((copied.copied, copied.failed.len()), (1, 1));
    assert_eq!(copied.failed[0].0, bad);
    assert_eq!(read(&moving.to.objects, &good).await, b"good");

    std::fs::remove_dir(&obstacle).unwrap();
    let copied = moving.run().await;
    assert_eq!((copied.copied, copied.found, copied.failed.len()), (1, 1, 0));
}

#[tokio::test]
async fn what_comes_and_goes_meanwhile_is_seen_to() {
    let moving = Move::new(disk::storage().await, disk::storage().await);
    let objects = &moving.from.objects;
    for _ in 0..20 {
        objects.put("mp4", pattern(10_000)).await.unwrap();
    }
    let new = Key::parse(&format!("{}.mp4", "1".repeat(32))).unwrap();
    let (mut new_path, mut all) = (objects.local(&new), keys(objects).await.into_iter());
    let mut ledger = moving.ledger();
    let copying = copy_all(objects, &moving.to.objects, &mut ledger, |_| {
        // The site adds one and deletes one after the list was taken.
        if let Some(path) = new_path.take() {
            std::fs::write(path, "new").unwrap();
            let gone = all.find(|key| !moving.copy(key).exists()).unwrap();
            std::fs::remove_file(objects.local(&gone).unwrap()).unwrap();
        }
    });
    let copied = copying.await.unwrap();
    assert!(copied.failed.is_empty(), "{:?}", copied.failed);
    assert_eq!(read(&moving.to.objects, &new).await, b"new");
    assert!(keys(&moving.to.objects).await.is_superset(&keys(objects).await));
}
