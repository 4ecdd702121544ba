//! What happens to streams, told to whoever wants to know.
//!
//! Invariant: telling waits for nobody. Who listens too slowly misses the oldest events, and is told so.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::broadcast::{Receiver, Sender, error::RecvError, error::TryRecvError};

use crate::StreamInfo;

/// Something that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A stream came on air.
    OnAir(Arc<StreamInfo>),
    /// A stream that was on air has ended, and is no longer in any list.
    Ended(Arc<Ended>),
    /// So many events came faster than they were taken, and are lost: [`Hub::on_air`](crate::Hub::on_air) tells what
    /// there is now.
    Missed(u64),
}

/// A stream that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// What was known of it at its end: who published, and what was received and sent in all. What players that are
    /// still connected get of its last second is not counted.
    pub stream: StreamInfo,
    /// When it ended.
    pub at: SystemTime,
    /// Why.
    pub reason: EndReason,
}

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EndReason {
    /// The publisher said that it is done.
    #[error("the publisher finished")]
    Finished,
    /// The publisher was lost, and did not return within the grace time.
    #[error("the publisher did not return")]
    Lost,
    /// An administrator ended it, or its key was reset.
    #[error("ended by the administrator")]
    Kicked,
    /// The server stops.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// Events as they happen, from the moment of asking on.
#[derive(Debug)]
pub struct Events(Receiver<Event>);

impl Events {
    /// Waits for the next one; `None` once the hub is no more.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => Some(Event::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }

    /// The next one, where it has happened already.
    pub fn try_next(&mut self) -> Option<Event> {
        match self.0.try_recv() {
            Ok(event) => Some(event),
            Err(TryRecvError::Lagged(missed)) => Some(Event::Missed(missed)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}

/// Where events are told.
#[derive(Debug)]
pub(crate) struct Exchange(Sender<Event>);

impl Exchange {
    pub(crate) fn new() -> Self {
        Self(Sender::new(KEPT))
    }

    pub(crate) fn tell(&self, event: Event) {
        let _ = self.0.send(event); // nobody needs to listen
    }

    pub(crate) fn listen(&self) -> Events {
        Events(self.0.subscribe())
    }
}

/// Events that are kept for the slowest listener.
const KEPT: usize = 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_slow_is_told_what_was_missed_and_holds_nobody() {
        let exchange = Exchange::new();
        let mut slow = exchange.listen();
        for _ in 0..KEPT + 3 {
            exchange.tell(Event::Missed(0));
        }
        assert!(matches!(slow.next().await, Some(Event::Missed(3))));
        let mut rest = 0;
        while slow.try_next().is_some() {
            rest += 1;
        }
        assert_eq!(rest, KEPT);
        drop(exchange);
        assert!(slow.next().await.is_none());
    }
}
