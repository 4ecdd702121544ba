//! The publishing side of a stream.

use std::net::SocketAddr;

use millrace_media::Unit;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use crate::StreamId;
use crate::places::{Place, Taker};
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
    pub(crate) cut: oneshot::Receiver<CutReason>,
    /// Why it was cut, once that is known.
    pub(crate) reason: Option<CutReason>,
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
    /// The address has as many publishers as it may have.
    #[error("your address has as many publishers as it may have")]
    FullForAddress,
    /// The server stops.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl From<Taker> for PublishError {
    fn from(taker: Taker) -> Self {
        match taker {
            Taker::All => Self::Full,
            Taker::Address => Self::FullForAddress,
        }
    }
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
    pub async fn send(&mut self, unit: Unit) -> Result<(), CutReason> {
        self.send_all(vec![unit]).await
    }

    /// Hands over what came at one time, which players get at one time.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_all(&mut self, units: Vec<Unit>) -> Result<(), CutReason> {
        let command = Command::Units { publication: self.publication, units };
        let sent = self.commands.send(command).await;
        if self.reason.is_none() {
            self.reason = match self.cut.try_recv() {
                Ok(reason) => Some(reason),
                Err(TryRecvError::Closed) => Some(CutReason::ShuttingDown),
                Err(TryRecvError::Empty) => sent.is_err().then_some(CutReason::ShuttingDown),
            };
        }
        self.reason.map_or(Ok(()), Err)
    }

    /// Counts a frame that could not be read.
    pub async fn damaged(&self) {
        // A stream that is gone needs no count.
        let _ = self.commands.send(Command::Damaged).await;
    }

    /// Waits until this publisher is cut.
    pub async fn cut(&mut self) -> CutReason {
        if let Some(reason) = self.reason {
            return reason;
        }
        let reason = (&mut self.cut).await.unwrap_or(CutReason::ShuttingDown);
        self.reason = Some(reason);
        reason
    }

    /// The publisher is done: the stream ends without waiting for its return.
    pub fn finish(self) {
        let _ = self.alive.send(());
    }
}

/// The stream owner's side of a [`Publisher`].
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) id: u64,
    pub(crate) meta: PublisherMeta,
    pub(crate) gone: oneshot::Receiver<()>,
    pub(crate) cut: oneshot::Sender<CutReason>,
    /// Its place among the server's publishers.
    pub(crate) place: Place,
}

impl Publication {
    /// Whether the publisher is gone: true where it said so, false where it was lost.
    pub(crate) fn is_gone(&mut self) -> Option<bool> {
        match self.gone.try_recv() {
            Ok(()) => Some(true),
            Err(TryRecvError::Closed) => Some(false),
            Err(TryRecvError::Empty) => None,
        }
    }
}
