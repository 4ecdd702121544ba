//! Long calculations: off the async threads, only so many at a time, and only so many that wait.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Does one kind of long calculation. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Workers {
    places: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

/// So many wait already that another had better come back later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many ask for this at the same moment; try again")]
pub(crate) struct Busy;

impl Workers {
    /// Uses so many threads at a time, for so many who are served or wait.
    pub(crate) fn new(threads: usize, queue: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(threads.max(1))), queue: Arc::new(Semaphore::new(queue)) }
    }

    /// Does `work` when its turn has come.
    pub(crate) async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let _waits = self.queue.try_acquire().map_err(|_| Busy)?;
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let _place = place; // kept until the work is done, even if nobody waits for it any more
            work()
        });
        done.await.map_err(|_| Busy) // a server that ends takes its work along
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn a_crowd_is_told_to_come_back() {
        let workers = Workers::new(1, 3);
        let taken = Arc::clone(&workers.places).acquire_owned().await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..3 {
            let mut one = Box::pin(workers.work(|| 7));
            let waits = poll_fn(|context| Poll::Ready(one.as_mut().poll(context).is_pending())).await;
            assert!(waits);
            waiting.push(one);
        }
        assert_eq!(workers.work(|| 7).await, Err(Busy));
        drop(taken);
        for one in waiting {
            assert_eq!(one.await, Ok(7));
        }
        assert_eq!(workers.work(|| 7).await, Ok(7), "there is room again");
    }
}
