use std::pin::Pin;
use std::task::{Context, Poll};

use tempfile::TempDir;

use super::*;

/// A body in parts, then its end.
struct Parts(Vec<&'static [u8]>, End);

#[derive(Clone, Copy)]
enum End {
    Whole,
    Broken,
    Never,
}

impl Stream for Parts {
    type Item = Result<Bytes, ()>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match (self.0.is_empty(), self.1) {
            (false, _) => Poll::Ready(Some(Ok(Bytes::from_static(self.0.remove(0))))),
            (true, End::Whole) => Poll::Ready(None),
            (true, End::Broken) => Poll::Ready(Some(Err(()))),
            (true, End::Never) => Poll::Pending,
        }
    }
}

fn whole(parts: &[&'static [u8]]) -> Parts {
    Parts(parts.to_vec(), End::Whole)
}

async fn staging() -> (Staging, UploadId, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let staging = Staging::open(&directory.path().join("uploads"), 0).unwrap();
    let id = UploadId::new();
    staging.begin(&id).await.unwrap();
    (staging, id, directory)
}

fn bytes(staging: &Staging, id: &UploadId) -> Vec<u8> {
    std::fs::read(staging.path(id)).unwrap()
}

#[tokio::test]
async fn a_file_grows_and_goes_on_after_a_restart() {
    let (staging, id, directory) = staging().await;
    assert_eq!(staging.received(&id).await.unwrap(), Some(0));
    assert_eq!(staging.append(&id, 0, 9, None, whole(&[b"one", b"two"])).await.unwrap(), 6);
    let again = Staging::open(&directory.path().join("uploads"), 0).unwrap();
    assert_eq!(again.received(&id).await.unwrap(), Some(6));
    assert_eq!(again.append(&id, 6, 9, None, whole(&[b"six"])).await.unwrap(), 9);
    assert_eq!(bytes(&again, &id), b"onetwosix");
    assert_eq!(again.all().await.unwrap(), std::slice::from_ref(&id));
    again.remove(&id).await.unwrap();
    again.remove(&id).await.unwrap();
    assert_eq!(again.received(&id).await.unwrap(), None);
    let gone = again.append(&id, 0, 9, None, whole(&[b"x"])).await;
    assert!(matches!(gone, Err(AppendError::NotFound)));
    assert!(staging.begin(&id).await.is_ok() && staging.begin(&id).await.is_err(), "nothing is overwritten");
}

#[tokio::test]
async fn bytes_for_another_place_are_refused() {
    let (staging, id, _directory) = staging().await;
    staging.append(&id, 0, 9, None, whole(&[b"one"])).await.unwrap();
    for offset in [0, 2, 4] {
        let refused = staging.append(&id, offset, 9, None, whole(&[b"two"])).await;
        assert!(matches!(refused, Err(AppendError::Offset { received: 3 })));
    }
    assert_eq!(bytes(&staging, &id), b"one");
}

#[tokio::test]
async fn more_than_was_announced_is_not_kept() {
    let (staging, id, _directory) = staging().await;
    staging.append(&id, 0, 5, None, whole(&[b"one"])).await.unwrap();
    let long = staging.append(&id, 3, 5, None, whole(&[b"ab", b"c"])).await;
    assert!(matches!(long, Err(AppendError::TooLong)));
    assert_eq!(bytes(&staging, &id), b"one");
    assert_eq!(staging.append(&id, 3, 5, None, whole(&[b"ab"])).await.unwrap(), 5);
}

#[tokio::test]
async fn what_came_before_a_connection_broke_is_kept_unless_it_has_a_checksum() {
    let (staging, id, _directory) = staging().await;
    let broken = staging.append(&id, 0, 9, None, Parts(vec![b"one"], End::Broken)).await;
    assert!(matches!(broken, Err(AppendError::Stopped)));
    assert_eq!(bytes(&staging, &id), b"one");
    // base64 of the SHA-1 of "abc", FIPS 180-2.
    let sum = || Some(Checksum::parse("sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=").unwrap());
    let broken = staging.append(&id, 3, 9, sum(), Parts(vec![b"abc"], End::Broken)).await;
    assert!(matches!(broken, Err(AppendError::Stopped)));
    let other = staging.append(&id, 3, 9, sum(), whole(&[b"abd"])).await;
    assert!(matches!(other, Err(AppendError::Checksum)));
    assert_eq!(bytes(&staging, &id), b"one");
    assert_eq!(staging.append(&id, 3, 9, sum(), whole(&[b"ab", b"c"])).await.unwrap(), 6);
}

#[tokio::test]
async fn the_newest_request_takes_over() {
    let (staging, id, _directory) = staging().await;
    let first = {
        let (staging, id) = (staging.clone(), id.clone());
        tokio::spawn(async move { staging.append(&id, 0, 9, None, Parts(vec![b"one"], End::Never)).await })
    };
    loop {
        if staging.received(&id).await.unwrap() == Some(3) {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(staging.append(&id, 3, 9, None, whole(&[b"two"])).await.unwrap(), 6);
    assert!(matches!(first.await.unwrap(), Err(AppendError::TakenOver)));
    assert_eq!(bytes(&staging, &id), b"onetwo");
}

#[tokio::test]
async fn what_came_is_kept_where_nobody_waits_for_it_any_more() {
    let (staging, id, _directory) = staging().await;
    let body = Parts(vec![b"one"], End::Never);
    let given_up = tokio::select! {
        biased;
        done = staging.append(&id, 0, 9, None, body) => done.map(drop).is_ok(),
        () = async {
            while staging.received(&id).await.unwrap() != Some(3) {
                tokio::task::yield_now().await;
            }
        } => true,
    };
    assert!(given_up);
    staging.interrupt(&id).await;
    assert_eq!(bytes(&staging, &id), b"one");
}

#[tokio::test]
async fn a_sender_that_goes_quiet_is_left() {
    let (staging, id, directory) = staging().await;
    let path = directory.path().join("uploads");
    let inner = Inner { directory: path, reserve: 0, slots: Mutex::default(), quiet: Duration::from_millis(20) };
    drop(staging);
    let staging = Staging { inner: Arc::new(inner) };
    let quiet = staging.append(&id, 0, 9, None, Parts(vec![b"one"], End::Never)).await;
    assert!(matches!(quiet, Err(AppendError::Stopped)));
    assert_eq!(bytes(&staging, &id), b"one");
}

#[tokio::test]
async fn a_full_disk_is_told() {
    // Where files may not grow beyond a limit, the kernel says the same as on a full disk; /dev/full says it at once.
    let (staging, id, _directory) = staging().await;
    std::fs::remove_file(staging.path(&id)).unwrap();
    std::os::unix::fs::symlink("/dev/full", staging.path(&id)).unwrap();
    let full = staging.append(&id, 0, 9, None, whole(&[b"one"])).await;
    assert!(matches!(full, Err(AppendError::Full)), "{full:?}");
}

#[tokio::test]
async fn what_was_to_agree_is_not_kept_where_nobody_waits_for_it_any_more() {
    let (staging, id, _directory) = staging().await;
    let sum = Some(Checksum::parse("sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=").unwrap());
    tokio::select! {
        biased;
        _ = staging.append(&id, 0, 9, sum, Parts(vec![b"abc"], End::Never)) => unreachable!("its body never ends"),
        () = async {
            while staging.received(&id).await.unwrap() != Some(3) {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    staging.interrupt(&id).await;
    assert_eq!(bytes(&staging, &id), b"");
}

#[test]
fn senders_who_wait_hold_up_nobody() {
    let one_thread =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    one_thread.block_on(async {
        let (staging, slow, _directory) = staging().await;
        let quick = UploadId::new();
        staging.begin(&quick).await.unwrap();
        tokio::select! {
            biased;
            _ = staging.append(&slow, 0, 9, None, Parts(vec![b"one"], End::Never)) => unreachable!("its body never ends"),
            done = async {
                while staging.received(&slow).await.unwrap() != Some(3) {
                    tokio::task::yield_now().await;
                }
                staging.append(&quick, 0, 9, None, whole(&[b"two"])).await
            } => assert_eq!(done.unwrap(), 3),
        }
    });
}

#[tokio::test]
async fn a_request_for_a_place_that_is_behind_stops_nobody() {
    let (staging, id, _directory) = staging().await;
    tokio::select! {
        biased;
        done = staging.append(&id, 0, 9, None, Parts(vec![b"one"], End::Never)) => unreachable!("it was stopped: {done:?}"),
        again = async {
            while staging.received(&id).await.unwrap() != Some(3) {
                tokio::task::yield_now().await;
            }
            staging.append(&id, 0, 9, None, whole(&[b"one"])).await
        } => assert!(matches!(again, Err(AppendError::Offset { received: 3 }))),
    }
}

#[tokio::test]
async fn what_others_were_promised_is_no_room() {
    let (staging, id, directory) = staging().await;
    staging.append(&id, 0, 9, None, whole(&[b"one"])).await.unwrap();
    let free = staging.free().unwrap();
    // Others write to this disk, too.
    let near = |room: u64, expected: u64| room.abs_diff(expected) < 1 << 30;
    assert!(near(staging.room(0).await.unwrap(), free));
    assert!(near(staging.room(free / 2 + 3).await.unwrap(), free - free / 2));
    let filled = Staging::open(&directory.path().join("uploads"), u64::MAX).unwrap();
    assert_eq!(filled.room(0).await.unwrap(), 0);
}
