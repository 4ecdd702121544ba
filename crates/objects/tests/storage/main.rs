//! What every storage does, on each of them.
#![allow(clippy::unwrap_used)]

mod disk;
mod s3;
mod transfer;

use std::collections::HashSet;
use std::iter;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use millrace_objects::{Chunks, Error, Key, Objects};

/// A storage that is empty, and what has to live as long as it.
struct Storage {
    objects: Objects,
    directory: tempfile::TempDir,
    /// Where what is not finished is, with these first letters.
    unfinished: (PathBuf, &'static str),
}

impl Storage {
    /// Files of what is not finished.
    fn left(&self) -> usize {
        let (directory, start) = &self.unfinished;
        let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().starts_with(start)).count()
    }
}

/// Makes a module with each test of every storage, for one storage.
macro_rules! tests {
    ($storage:ident, $make:path) => {
        tests! {
            @ $storage, $make:
            what_is_put_is_there_until_it_is_deleted
            nothing_is_there_before_a_writer_finishes
            a_writer_that_is_aborted_or_dropped_leaves_nothing
            a_file_is_taken_over
            a_file_that_is_not_there_is_an_error
            an_object_becomes_a_file
            parts_are_read_as_asked_for
            parts_beyond_the_end_are_refused
            many_are_listed_and_deleted
            what_is_not_there_is_not_found
            a_storage_is_checked
        }
    };
    (@ $storage:ident, $make:path: $($test:ident)+) => {
        mod $storage {
            $(#[tokio::test]
            async fn $test() {
                super::$test($make().await).await;
            })+
        }
    };
}

tests!(on_disk, crate::disk::storage);
tests!(on_s3, crate::s3::by_path);
tests!(on_s3_by_host, crate::s3::by_host);

async fn what_is_put_is_there_until_it_is_deleted(storage: Storage) {
    let objects = &storage.objects;
    let large = pattern(300_000);
    let (one, other) =
        (objects.put("jpg", large.clone()).await.unwrap(), objects.put("jpg", large.clone()).await.unwrap());
    assert_ne!(one, other, "each has a key of its own");
    assert_eq!(one.extension(), "jpg");
    assert_eq!(read(objects, &one).await, large);
    assert_eq!(objects.size(&one).await.unwrap(), 300_000);
    objects.delete(&one).await.unwrap();
    objects.delete(&one).await.expect("that there is nothing to delete is no error");
    assert!(matches!(objects.get(&one).await, Err(Error::NotFound)));
    assert_eq!(read(objects, &other).await, large);
    let empty = objects.put("txt", Vec::new()).await.unwrap();
    assert_eq!(read(objects, &empty).await, b"");
}

async fn nothing_is_there_before_a_writer_finishes(storage: Storage) {
    let objects = &storage.objects;
    // More than two parts of what S3 takes at a time.
    let whole = pattern(18 << 20);
    for size in [0, 1, 1000, whole.len()] {
        let mut writer = objects.writer("mp4").await.unwrap();
        for piece in whole[..size].chunks(100_000) {
            writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        assert_eq!(writer.written(), size as u64);
        assert_eq!(keys(objects).await, [].into());
        let key = writer.finish().await.unwrap();
        assert_eq!(keys(objects).await, [key.clone()].into());
        assert!(read(objects, &key).await == whole[..size], "{size} bytes are as they were written");
        objects.delete(&key).await.unwrap();
    }
}

async fn a_writer_that_is_aborted_or_dropped_leaves_nothing(storage: Storage) {
    let objects = &storage.objects;
    for size in [0, 10_000, 18 << 20] {
        let mut writer = objects.writer("mp4").await.unwrap();
        writer.write(pattern(size).into()).await.unwrap();
        writer.abort().await;
        assert_eq!(storage.left(), 0);
    }
    let mut writer = objects.writer("mp4").await.unwrap();
    writer.write(pattern(18 << 20).into()).await.unwrap();
    drop(writer);
    tokio::time::timeout(Duration::from_secs(20), async {
        while storage.left() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("what was written goes");
    assert_eq!(keys(objects).await, [].into());
}

async fn a_file_is_taken_over(storage: Storage) {
    for size in [0, 7, 30 << 20] {
        let path = storage.directory.path().join("upload");
        let whole = pattern(size);
        std::fs::write(&path, &whole).unwrap();
        let key = storage.objects.put_file("mp4", &path).await.unwrap();
        assert!(!path.exists());
        assert!(read(&storage.objects, &key).await == whole, "{size} bytes are as they were in the file");
    }
}

async fn a_file_that_is_not_there_is_an_error(storage: Storage) {
    for path in ["nothing", ""] {
        let path = storage.directory.path().join(path);
        let error = storage.objects.put_file("mp4", &path).await.unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
    assert_eq!(keys(&storage.objects).await, [].into());
}

async fn an_object_becomes_a_file(storage: Storage) {
    let objects = &storage.objects;
    let whole = pattern(3_000_000);
    let key = objects.put("mp4", whole.clone()).await.unwrap();
    let path = storage.directory.path().join("scratch");
    assert_eq!(objects.fetch_to(&key, &path).await.unwrap(), 3_000_000);
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    let error = objects.fetch_to(&key, &path).await.unwrap_err();
    assert!(matches!(error, Error::File { .. }), "what is there stays: {error}");
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    if let Some(path) = objects.local(&key) {
        assert_eq!(std::fs::read(path).unwrap(), whole);
    }
}

async fn parts_are_read_as_asked_for(storage: Storage) {
    let whole = pattern(1_000_000);
    let key = storage.objects.put("mp4", whole.clone()).await.unwrap();
    let blob = storage.objects.blob(&key).await.unwrap();
    assert_eq!(blob.size(), 1_000_000);
    for range in [0..0, 0..1, 17..300_000, 999_999..1_000_000, 1_000_000..1_000_000, 0..1_000_000] {
        let part = &whole[range.start as usize..range.end as usize];
        assert_eq!(blob.read(range.clone()).await.unwrap(), part, "{range:?}");
        assert_eq!(all(blob.stream(iter::once(range.clone()))).await, part, "{range:?}");
    }
    assert_eq!(storage.objects.get_range(&key, 5..9).await.unwrap(), whole[5..9]);

    let near: Vec<_> = (0..500).map(|n| n * 1900..n * 1900 + 700).collect();
    let scattered = vec![700_000..999_000, 3..5, 5..5, 5..300_000, 0..1, 0..1];
    for ranges in [near, scattered, vec![], vec![4..4, 9..9]] {
        let expected: Vec<u8> =
            ranges.iter().flat_map(|range| &whole[range.start as usize..range.end as usize]).copied().collect();
        assert!(all(blob.stream(ranges.clone())).await == expected, "{ranges:?}");
    }
}

async fn parts_beyond_the_end_are_refused(storage: Storage) {
    let key = storage.objects.put("mp4", pattern(1000)).await.unwrap();
    let blob = storage.objects.blob(&key).await.unwrap();
    #[allow(clippy::reversed_empty_ranges)]
    for range in [0..1001, 1000..1001, 1001..1001, 5..3, u64::MAX - 1..u64::MAX] {
        let refused = |error| matches!(error, Error::Range { size: 1000 });
        assert!(refused(blob.read(range.clone()).await.unwrap_err()), "{range:?}");
        assert!(refused(storage.objects.get_range(&key, range.clone()).await.unwrap_err()), "{range:?}");
        if !range.is_empty() {
            let mut stream = blob.stream([0..5, range.clone()]);
            assert!(refused(stream.next().await.unwrap().unwrap_err()), "{range:?}");
            assert!(stream.next().await.is_none());
        }
    }
}

async fn many_are_listed_and_deleted(storage: Storage) {
    let objects = &storage.objects;
    let before = SystemTime::now() - Duration::from_secs(5);
    let mut put = Vec::new();
    // More than a page of a list has.
    for _ in 0..1100 {
        put.push(objects.put("bin", vec![1; 3]).await.unwrap());
    }
    let mut entries = objects.list();
    let mut listed = HashSet::new();
    while let Some(entry) = entries.next().await {
        let entry = entry.unwrap();
        assert_eq!(entry.size, 3);
        assert!(entry.modified >= before && entry.modified <= SystemTime::now() + Duration::from_secs(5), "{entry:?}");
        assert!(listed.insert(entry.key), "none is listed twice");
    }
    assert_eq!(listed, put.iter().cloned().collect());

    let (kept, mut gone) = (put.split_off(1050), put);
    gone.push(gone[0].clone());
    objects.delete_all(gone).await.expect("what is deleted twice is no error");
    assert_eq!(keys(objects).await, kept.into_iter().collect());
    objects.delete_all(Vec::new()).await.unwrap();
}

async fn what_is_not_there_is_not_found(storage: Storage) {
    let objects = &storage.objects;
    let key = Key::parse(&format!("{}.mp4", "0".repeat(32))).unwrap();
    assert!(matches!(objects.blob(&key).await, Err(Error::NotFound)));
    assert!(matches!(objects.size(&key).await, Err(Error::NotFound)));
    assert!(matches!(objects.get(&key).await, Err(Error::NotFound)));
    assert!(matches!(objects.get_range(&key, 0..1).await, Err(Error::NotFound)));
    let path = storage.directory.path().join("scratch");
    assert!(matches!(objects.fetch_to(&key, &path).await, Err(Error::NotFound)));
    assert!(!path.exists());
}

async fn a_storage_is_checked(storage: Storage) {
    storage.objects.check().await.unwrap();
    assert_eq!(keys(&storage.objects).await, [].into(), "nothing is left of it");
}

async fn keys(objects: &Objects) -> HashSet<Key> {
    let mut entries = objects.list();
    let mut keys = HashSet::new();
    while let Some(entry) = entries.next().await {
        keys.insert(entry.unwrap().key);
    }
    keys
}

async fn read(objects: &Objects, key: &Key) -> Vec<u8> {
    let object = objects.get(key).await.unwrap();
    let read = all(object.chunks).await;
    assert_eq!(object.size, read.len() as u64);
    read
}

async fn all(mut chunks: Chunks) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.unwrap();
        assert!(!chunk.is_empty());
        all.extend_from_slice(&chunk);
    }
    all
}

/// Bytes that are not the same at any two places near each other.
fn pattern(size: usize) -> Vec<u8> {
    (0..size.div_ceil(4) as u32).flat_map(|n| n.wrapping_mul(0x9E37_79B9).to_le_bytes()).take(size).collect()
}
