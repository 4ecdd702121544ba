//! What is so on disk alone.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use millrace_objects::{Error, Objects};

use crate::{Storage, keys, pattern, read};

pub(crate) async fn storage() -> Storage {
    let directory = tempfile::tempdir().unwrap();
    let objects = Objects::open("file://objects", directory.path()).unwrap();
    Storage { objects, unfinished: (directory.path().join("objects/.parts"), ""), directory }
}

#[tokio::test]
async fn an_object_is_the_file_that_its_key_names() {
    let storage = storage().await;
    let key = storage.objects.put("jpg", "picture").await.unwrap();
    let path = storage.directory.path().join("objects").join(key.as_str());
    assert_eq!(storage.objects.local(&key).unwrap(), path);
    assert_eq!(fs::read(&path).unwrap(), b"picture");
    assert_eq!(storage.left(), 0, "nothing is left of the writing");

    let reopened = Objects::open("file://objects", storage.directory.path()).unwrap();
    assert_eq!(read(&reopened, &key).await, b"picture");
}

#[tokio::test]
async fn a_file_of_another_file_system_is_copied() {
    let (storage, elsewhere) = (storage().await, Path::new("/dev/shm"));
    if !elsewhere.is_dir() {
        return;
    }
    let file = tempfile::NamedTempFile::new_in(elsewhere).unwrap();
    fs::write(&file, pattern(1_000_000)).unwrap();
    let key = storage.objects.put_file("mp4", file.path()).await.unwrap();
    assert!(!file.path().exists());
    assert_eq!(read(&storage.objects, &key).await, pattern(1_000_000));
    assert_eq!(storage.left(), 0);
}

#[tokio::test]
async fn what_is_to_stay_free_stays_free_where_files_are_copied() {
    let (storage, elsewhere) = (storage().await, Path::new("/dev/shm"));
    let objects = storage.objects.clone().leaving_free(u64::MAX);
    let here = storage.directory.path().join("here");
    fs::write(&here, "moved").unwrap();
    let key = objects.put_file("mp4", &here).await.expect("what is moved takes no room");
    if elsewhere.is_dir() {
        let file = tempfile::NamedTempFile::new_in(elsewhere).unwrap();
        fs::write(&file, "copied").unwrap();
        let error = objects.put_file("mp4", file.path()).await.unwrap_err();
        assert!(matches!(error, Error::Reserve), "{error}");
        assert_eq!(fs::read(&file).unwrap(), b"copied");
    }
    let copy = storage.directory.path().join("copy");
    assert!(matches!(objects.fetch_to(&key, &copy).await.unwrap_err(), Error::Reserve));
    assert!(!copy.exists());
    assert_eq!(keys(&objects).await, [key].into());
}

#[tokio::test]
async fn what_is_no_object_is_not_listed() {
    let storage = storage().await;
    let key = storage.objects.put("jpg", "picture").await.unwrap();
    let root = storage.directory.path().join("objects");
    fs::write(root.join("notes.txt"), "").unwrap();
    fs::write(root.join(format!("{key}#1")), "").unwrap();
    fs::create_dir(root.join(format!("{}.jpg", "0".repeat(32)))).unwrap();
    let mut writer = storage.objects.writer("mp4").await.unwrap();
    writer.write("begun".into()).await.unwrap();
    assert_eq!(keys(&storage.objects).await, [key].into());
}

#[tokio::test]
async fn what_killed_writers_left_is_swept_and_nothing_else() {
    let storage = storage().await;
    let (parts, hour) = (storage.directory.path().join("objects/.parts"), Duration::from_secs(3600));
    let stale = parts.join(format!("{}.mp4", "0".repeat(32)));
    let other = parts.join("notes.txt");
    for path in [&stale, &other] {
        fs::write(path, "begun").unwrap();
        let long_ago = FileTimes::new().set_modified(SystemTime::now() - hour - Duration::from_secs(60));
        File::options().write(true).open(path).unwrap().set_times(long_ago).unwrap();
    }
    let mut writer = storage.objects.writer("mp4").await.unwrap();
    writer.write("begun just now".into()).await.unwrap();
    assert_eq!(storage.objects.sweep(hour).await.unwrap(), 1);
    assert!(!stale.exists() && other.exists());
    let key = writer.finish().await.unwrap();
    assert_eq!(read(&storage.objects, &key).await, b"begun just now");
}

#[tokio::test]
async fn a_writer_whose_file_was_swept_fails() {
    let storage = storage().await;
    let mut writer = storage.objects.writer("mp4").await.unwrap();
    writer.write(Bytes::from_static(b"begun")).await.unwrap();
    assert_eq!(storage.objects.sweep(Duration::ZERO).await.unwrap(), 1);
    let error = writer.finish().await.unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
    assert_eq!(keys(&storage.objects).await, [].into());
}

#[tokio::test]
async fn what_is_open_stays_readable_after_it_is_deleted() {
    let storage = storage().await;
    let key = storage.objects.put("mp4", pattern(10_000)).await.unwrap();
    let blob = storage.objects.blob(&key).await.unwrap();
    storage.objects.delete(&key).await.unwrap();
    assert_eq!(blob.read(0..10_000).await.unwrap(), pattern(10_000));
}

#[tokio::test]
async fn a_file_that_was_cut_short_is_an_error() {
    let storage = storage().await;
    let key = storage.objects.put("mp4", pattern(10_000)).await.unwrap();
    let blob = storage.objects.blob(&key).await.unwrap();
    File::options().write(true).open(storage.objects.local(&key).unwrap()).unwrap().set_len(5000).unwrap();
    let error = blob.read(0..10_000).await.unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
}
