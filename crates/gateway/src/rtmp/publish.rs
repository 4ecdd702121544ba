use std::net::SocketAddr;

use millrace_flv::{Depacketizer, Error};
use millrace_hub::{CutReason, LogLimit, Publisher};
use millrace_rtmp::Media;
use tokio::time::Instant;
use tracing::warn;

/// A publisher's media on its way to the hub.
pub(super) struct Publishing {
    publisher: Publisher,
    depacketizer: Depacketizer,
    since: Instant,
    peer: SocketAddr,
    damaged: u64,
}

/// Why a publisher cannot go on.
pub(super) enum Stop {
    /// The hub no longer wants it.
    Cut(CutReason),
    /// It sends what cannot be carried.
    Refused(String),
}

impl Publishing {
    pub(super) fn new(publisher: Publisher, peer: SocketAddr) -> Self {
        Self { publisher, depacketizer: Depacketizer::new(), since: Instant::now(), peer, damaged: 0 }
    }

    /// Passes on one message.
    pub(super) async fn media(&mut self, media: Media) -> Result<(), Stop> {
        self.depacketizer.set_now(self.since.elapsed());
        let units = match media {
            Media::Video { timestamp, payload } => self.depacketizer.video(timestamp, &payload),
            Media::Audio { timestamp, payload } => self.depacketizer.audio(timestamp, &payload),
            Media::Data { payload, .. } => self.depacketizer.script(&payload),
        };
        match units {
            Ok(units) => {
                for unit in units {
                    self.publisher.send(unit).await.map_err(Stop::Cut)?;
                }
                Ok(())
            }
            Err(error @ Error::Codec { .. }) => Err(Stop::Refused(error.to_string())),
            Err(error) => {
                self.damaged(&error).await;
                Ok(())
            }
        }
    }

    /// Waits until the hub no longer wants this publisher.
    pub(super) async fn cut(&mut self) -> CutReason {
        self.publisher.cut().await
    }

    /// The publisher is done.
    pub(super) fn finish(self) {
        self.publisher.finish();
    }

    /// One bad message is no reason to end a broadcast; a line now and then says that there are some.
    async fn damaged(&mut self, error: &Error) {
        self.damaged += 1;
        self.publisher.damaged().await;
        if DAMAGED.allow(self.peer.ip()).is_some() {
            warn!(stream = %self.publisher.stream(), peer = %self.peer, %error, so_far = self.damaged, "a message of the publisher cannot be read");
        }
    }
}

static DAMAGED: LogLimit = LogLimit::new(1);
