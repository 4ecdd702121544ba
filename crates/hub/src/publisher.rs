//! The publishing side of a stream.

use std::net::SocketAddr;

use millrace_media::Unit;
use tokio::sync::{mpsc, oneshot, watch};

use crate::StreamId;
use crate::registry::Place;
use crate::stream::Command;

/// Who publishes, as its protocol knows it.
#[derive(Debug, Clone)]
pub struct PublisherMeta {
    /// Where it connects from.
    pub peer: SocketAddr,
    /// The program, as it calls itself.
    pub encoder: Option<String>,
    /// It proved that the stream is its own, and so replaces a publisher that is there.
    pub takeover: bool,
}

/// Leave to send frames into a stream.
///
/// Dropping it means that the connection was lost: the stream waits for the publisher to return.
/// [`Self::finish`] means that the publisher is done.
#[derive(Debug)]
pub struct Publisher {
    pub(crate) id: StreamId,
    pub(crate) publication: u64,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) alive: oneshot::Sender<()>,
    pub(crate) cut: watch::Receiver<Option<CutReason>>,
}

/// Why a publisher must go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CutReason {
    /// The same key publishes from another connection.
    #[error("another publisher with the same key took over")]
    TakenOver,
    /// An administrator, or a key that was reset.
    #[error("disconnected by the administrator")]
    Kicked,
    /// The server stops.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// Why a stream cannot be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Somebody else publishes it, and this one has not proved to be its owner.
    #[error("the stream is being published already")]
    Busy,
    /// The server has as many publishers or streams as it may have.
    #[error("the server has as many publishers as it may have")]
    Full,
    /// The server stops.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl Publisher {
    /// The stream that is published.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.id
    }

    /// Hands a unit to the stream, waiting while the stream is behind.
    ///
    /// # Errors
    /// When this publisher has been cut.
    pub async fn send(&self, unit: Unit) -> Result<(), CutReason> {
        let command = Command::Unit { publication: self.publication, unit };
        self.commands.send(command).await.map_err(|_| self.reason())?;
        match *self.cut.borrow() {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }

    /// Counts a frame that could not be read.
    pub async fn damaged(&self) {
        // A stream that is gone needs no count.
        let _ = self.commands.send(Command::Damaged).await;
    }

    /// Waits until this publisher is cut.
    pub async fn cut(&mut self) -> CutReason {
        let _ = self.cut.wait_for(Option::is_some).await;
        self.reason()
    }

    /// The publisher is done: the stream ends without waiting for its return.
    pub fn finish(self) {
        let _ = self.alive.send(());
    }

    fn reason(&self) -> CutReason {
        self.cut.borrow().unwrap_or(CutReason::ShuttingDown)
    }
}

/// The stream owner's side of a [`Publisher`].
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) id: u64,
    pub(crate) meta: PublisherMeta,
    pub(crate) gone: oneshot::Receiver<()>,
    pub(crate) cut: watch::Sender<Option<CutReason>>,
    /// Its place among the server's publishers.
    pub(crate) place: Place,
}

impl Publication {
    /// Whether the publisher is gone: true where it said so, false where it was lost.
    pub(crate) fn is_gone(&mut self) -> Option<bool> {
        match self.gone.try_recv() {
            Ok(()) => Some(true),
            Err(oneshot::error::TryRecvError::Closed) => Some(false),
            Err(oneshot::error::TryRecvError::Empty) => None,
        }
    }
}
