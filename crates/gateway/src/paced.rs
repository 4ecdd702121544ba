//! A peer may take an answer as slowly as a real one does, and no slower.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A connection that fails once its peer has taken what waits for it too slowly, since what waits keeps
/// memory. The kernel sees to a peer that takes nothing; this one to those that take a little now and then.
///
/// Whoever writes has to flush it once nothing is left to be written, and only then, as hyper does.
#[derive(Debug)]
pub(crate) struct Paced<S> {
    inner: S,
    /// How long a peer may take nothing.
    stall_timeout: Duration,
    /// Bytes that were written since nothing was left to be.
    written: u64,
    backlog: Option<Backlog>,
}

/// More was to be written than the connection takes.
#[derive(Debug)]
struct Backlog {
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<S> Paced<S> {
    pub(crate) fn new(inner: S, stall_timeout: Duration) -> Self {
        Self { inner, stall_timeout, written: 0, backlog: None }
    }

    pub(crate) fn into_inner(self) -> S {
        self.inner
    }

    /// Counts what was written, and waits no longer than is fair for the rest.
    fn wrote(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(Ok(n)) => self.written += n as u64,
            Poll::Ready(Err(_)) => {}
            Poll::Pending if self.is_late(context) => {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the peer takes its answer too slowly",
                )));
            }
            Poll::Pending => {}
        }
        outcome
    }

    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let fair = self.stall_timeout + Duration::from_millis(self.written.saturating_mul(1000) / SLOWEST);
        let backlog = self.backlog.get_or_insert_with(|| {
            let since = Instant::now();
            Backlog { since, timer: Box::pin(tokio::time::sleep_until(since + fair)) }
        });
        while backlog.timer.as_mut().poll(context).is_ready() {
            // More may have been taken since the timer was set.
            let until = backlog.since + fair;
            if until <= Instant::now() {
                return true;
            }
            backlog.timer.as_mut().reset(until);
        }
        false
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(context, buf);
        self.wrote(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(context, bufs);
        self.wrote(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        (self.written, self.backlog) = (0, None);
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Bytes per second that a peer has to take on average: slower than any connection by which one watches. What
/// the kernel has taken for it counts as well.
const SLOWEST: u64 = 8 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const STALL: Duration = Duration::from_secs(30);
    /// What the kernel would take.
    const BUFFER: usize = 4096;

    fn pair() -> (Paced<DuplexStream>, DuplexStream) {
        let (server, peer) = duplex(BUFFER);
        (Paced::new(server, STALL), peer)
    }

    /// Takes so many bytes again and again, and says how many it got.
    async fn take(mut peer: DuplexStream, bytes: usize, every: Duration) -> usize {
        let (mut got, mut buffer) = (0, vec![0; bytes]);
        loop {
            tokio::time::sleep(every).await;
            match peer.read(&mut buffer).await.unwrap() {
                0 => return got,
                n => got += n,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_a_little_now_and_then_is_cut() {
        let (mut server, peer) = pair();
        let begun = Instant::now();
        let peer = tokio::spawn(take(peer, 2048, Duration::from_secs(20)));
        let error = server.write_all(&[7; 1_000_000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!((STALL..2 * STALL).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        drop(server);
        assert!(peer.await.unwrap() <= BUFFER + 2 * 2048);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_nothing_is_cut_when_it_stalled() {
        let (mut server, _peer) = pair();
        let begun = Instant::now();
        server.write_all(&[7; 1_000_000]).await.unwrap_err();
        // The 4 KiB in between are worth half a second.
        assert_eq!(begun.elapsed().as_millis(), (STALL + Duration::from_millis(500)).as_millis());
    }

    #[tokio::test(start_paused = true)]
    async fn a_telephone_takes_ten_megabytes_in_its_time() {
        let (mut server, peer) = pair();
        let begun = Instant::now();
        // 1 Mbit/s, in gulps.
        let peer = tokio::spawn(take(peer, BUFFER, Duration::from_millis(33)));
        server.write_all(&vec![7; 10_000_000]).await.unwrap();
        server.flush().await.unwrap();
        assert!(begun.elapsed() > 2 * STALL);
        drop(server);
        assert_eq!(peer.await.unwrap(), 10_000_000);
    }

    #[tokio::test(start_paused = true)]
    async fn between_two_answers_a_peer_may_take_its_time() {
        let (mut server, mut peer) = pair();
        for _ in 0..3 {
            let answer = tokio::spawn(async move {
                server.write_all(&[7; 3 * BUFFER]).await.unwrap();
                server.flush().await.unwrap();
                server
            });
            peer.read_exact(&mut [0; 3 * BUFFER]).await.unwrap();
            server = answer.await.unwrap();
            tokio::time::sleep(2 * STALL).await;
        }
    }
}
