use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use millrace_hub::BoxFuture;
use millrace_rtmp::ServerSession;
use millrace_rtmp::command::code;
use millrace_rtmp::server::Event;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::Server;
use super::connection::{Connection, SEND_TIMEOUT, Wanted};
use crate::socket::Socket;
use crate::walker::{Control, Farewell, Verdict};

/// An RTMP session whose stream a walker writes.
pub(super) struct RtmpPlayer {
    server: Arc<Server>,
    peer: SocketAddr,
    session: ServerSession,
    epoch: Instant,
    wanted: Wanted,
    /// What came after the player stopped: for the connection's own task.
    later: Vec<Event>,
}

impl RtmpPlayer {
    pub(super) fn new(
        server: Arc<Server>,
        peer: SocketAddr,
        session: ServerSession,
        epoch: Instant,
        wanted: Wanted,
    ) -> Self {
        Self { server, peer, session, epoch, wanted, later: Vec::new() }
    }
}

impl Control for RtmpPlayer {
    fn input(&mut self, mut bytes: &[u8]) -> Verdict {
        let now = self.epoch.elapsed();
        let mut verdict = Verdict::Stay;
        loop {
            match self.session.handle_input(&mut bytes, now) {
                Ok(None) => return verdict,
                Ok(Some(Event::StopPlay)) => verdict = Verdict::TakeBack,
                Ok(Some(event)) if verdict == Verdict::TakeBack => self.later.push(event),
                Ok(Some(event)) => self.wanted.hear(&event),
                Err(error) => {
                    debug!(peer = %self.peer, %error, "RTMP player closed");
                    return Verdict::Leave("broke the protocol");
                }
            }
        }
    }

    fn tick(&mut self) -> Verdict {
        let now = self.epoch.elapsed();
        if now >= self.session.next_timeout() {
            // A player that takes its stream need not say anything: the walker knows if it stalls.
            let _ = self.session.handle_timeout(now);
        }
        Verdict::Stay
    }

    fn poll_output(&mut self) -> Option<Bytes> {
        self.session.poll_output()
    }

    fn wants(&self) -> (bool, bool) {
        (self.wanted.audio && !self.wanted.paused, self.wanted.video && !self.wanted.paused)
    }

    fn end(&mut self, farewell: Farewell) {
        self.session.set_now(self.epoch.elapsed());
        match farewell {
            Farewell::Over => self.session.stream_eof(),
            Farewell::Dismissed(reason) => self.session.close_stream(code::PLAY_FAILED, reason),
        }
    }

    fn take_back(self: Box<Self>, mut socket: Socket, unsent: Bytes) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if timeout(SEND_TIMEOUT, socket.write_all(&unsent)).await.is_ok_and(|sent| sent.is_ok()) {
                Connection::resume(self.server, socket, self.peer, self.session, self.epoch).run(self.later).await;
            }
        })
    }
}
