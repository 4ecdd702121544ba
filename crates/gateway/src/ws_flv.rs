//! FLV over a WebSocket (RFC 6455): `/{app}/{name}.flv` by upgrade.
//!
//! Messages come framed from the hub, the same for every player. Here are the handshake and the
//! few frames that a player may send.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use millrace_hub::{BoxFuture, Format, PlayRequest, Protocol, Subscription};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tracing::debug;

use crate::conversation::Io;
use crate::http::Server;
use crate::problem::Problem;
use crate::socket::Socket;
use crate::walker::{Control, Farewell, NewPlayer, Verdict};

/// Whether a request asks for a WebSocket. HTTP/1.0 has no upgrades (RFC 9110, 7.8).
pub(crate) fn is_upgrade<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_11 && has_token(request.headers(), header::UPGRADE, "websocket")
}

/// Answers the handshake; the player goes to a walker once the answer is sent.
pub(crate) async fn play(
    server: &Arc<Server>,
    asked: PlayRequest<'_>,
    request: &Request<Incoming>,
    upgrade: OnUpgrade,
) -> Result<Response<Body>, Problem> {
    if request.method() != Method::GET {
        return Err(Problem::bad_request("a WebSocket begins with GET (RFC 6455)")); // (4.1)
    }
    let headers = request.headers();
    if !has_token(headers, header::CONNECTION, "upgrade")
        || headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|v| v != "13")
    {
        let mut response =
            Problem::bad_request("a WebSocket of version 13 is expected here (RFC 6455)").into_response();
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")); // (4.2.2)
        return Ok(response);
    }
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        return Err(Problem::bad_request("the header Sec-WebSocket-Key is missing"));
    };
    if !STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16) {
        return Err(Problem::bad_request("Sec-WebSocket-Key is not 16 bytes in base64")); // (4.1)
    }
    let accept = accept_key(key.as_bytes());
    let subscription = server.admit(asked, Format::WsFlv, Protocol::WsFlv).await?;
    server.walkers.spawn(upgraded(Arc::clone(server), asked.peer, upgrade, subscription));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

async fn upgraded(server: Arc<Server>, peer: SocketAddr, upgrade: OnUpgrade, subscription: Subscription) {
    let upgraded: Upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => return debug!(%peer, %error, "the WebSocket's handshake broke off"),
    };
    let Ok(Parts { io, read_buf, .. }) = upgraded.downcast::<Io>() else {
        return debug!(%peer, "a WebSocket on a transport that is not TCP");
    };
    let mut control = Box::new(WsPlayer::default());
    if control.input(&read_buf) != Verdict::Stay {
        return;
    }
    let Subscription { ring, player: place } = subscription;
    let player = NewPlayer {
        socket: io.into_inner().into_inner().into_inner(),
        head: Bytes::new(),
        place,
        control: Some(control),
    };
    server.walkers.add(ring, player).await;
}

/// `Sec-WebSocket-Accept` for a key (4.2.2).
fn accept_key(key: &[u8]) -> HeaderValue {
    let digest = Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    HeaderValue::from_str(&STANDARD.encode(digest)).unwrap_or_else(|_| HeaderValue::from_static("")) // base64 is ASCII
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .any(|t| t.trim().eq_ignore_ascii_case(token))
}

/// What a player sends is not for us, but for pings and its goodbye.
#[derive(Debug, Default)]
pub(crate) struct WsPlayer {
    frame: BytesMut,
    /// Bytes of a message's payload still to be thrown away.
    discard: u64,
    output: BytesMut,
    /// The player said goodbye.
    closed: bool,
}

/// Longest payload of a control frame (5.5).
const MAX_CONTROL: usize = 125;
const CLOSE: u8 = 8;
const PING: u8 = 9;
/// Pongs that wait to be taken; a player that asks for more is not well.
const MAX_OUTPUT: usize = 64 * 1024;
/// Bytes that a player's input can have kept, at most.
pub(crate) const MAX_HELD: usize = 14 + MAX_CONTROL + MAX_OUTPUT + 2 * (2 + MAX_CONTROL);
/// How long a player may take for the end and its answer.
const GOODBYE: Duration = Duration::from_secs(5);

impl Control for WsPlayer {
    fn input(&mut self, mut bytes: &[u8]) -> Verdict {
        while !bytes.is_empty() {
            let skip = usize::try_from(self.discard).unwrap_or(usize::MAX).min(bytes.len());
            self.discard -= skip as u64;
            bytes = &bytes[skip..];
            let Some((&byte, rest)) = bytes.split_first() else { break };
            self.frame.put_u8(byte);
            bytes = rest;
            match self.frame_complete() {
                Ok(()) if self.closed => {
                    self.end(Farewell::Over); // the answer to a goodbye is the same (5.5.1)
                    return Verdict::TakeBack;
                }
                Ok(()) => {}
                Err(reason) => return Verdict::Leave(reason),
            }
        }
        Verdict::Stay
    }

    fn poll_output(&mut self) -> Option<Bytes> {
        (!self.output.is_empty()).then(|| self.output.split().freeze())
    }

    fn end(&mut self, farewell: Farewell) {
        let (status, reason) = match farewell {
            Farewell::Over => (1000, ""),                  // normal closure (7.4.1)
            Farewell::Dismissed(reason) => (1008, reason), // violation of a policy: not to come back at once
        };
        debug_assert!(2 + reason.len() <= MAX_CONTROL);
        #[allow(clippy::cast_possible_truncation)] // so much a control frame carries
        self.output.put_slice(&[0x80 | CLOSE, 2 + reason.len() as u8]);
        self.output.put_u16(status);
        self.output.put_slice(reason.as_bytes());
    }

    /// Says what is left to say and closes (7.1.1). What the player still sends is read: a connection
    /// that is closed over unread input is reset, and what is under way to the player would be lost.
    fn take_back(mut self: Box<Self>, mut socket: Socket, unsent: Bytes) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let goodbye = async {
                socket.write_all(&unsent).await?;
                socket.write_all(&self.output).await?;
                socket.shutdown().await?;
                self.output.resize(MAX_CONTROL, 0);
                while socket.read(&mut self.output).await? > 0 {}
                io::Result::Ok(())
            };
            // One that neither takes it nor answers is cut; nothing is lost but the goodbye.
            let _ = timeout(GOODBYE, goodbye).await;
        })
    }
}

impl WsPlayer {
    /// Bytes that are kept.
    pub(crate) fn held(&self) -> usize {
        self.frame.len() + self.output.len()
    }

    /// Looks whether what was gathered is a header, or a whole control frame.
    fn frame_complete(&mut self) -> Result<(), &'static str> {
        let &[first, second, ..] = &self.frame[..] else { return Ok(()) };
        if second & 0x80 == 0 {
            return Err("sent a WebSocket frame without mask"); // (5.1)
        }
        let (length_size, short) = match second & 0x7f {
            126 => (2, None),
            127 => (8, None),
            n => (0, Some(n)),
        };
        let header = 2 + length_size + 4;
        let Some(extended) = self.frame.get(2..2 + length_size) else { return Ok(()) };
        let len = short.map_or_else(|| extended.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)), u64::from);
        let opcode = first & 0x0f;
        if opcode & 8 == 0 {
            if self.frame.len() == header {
                self.discard = len;
                self.frame.clear();
            }
            return Ok(());
        }
        let len =
            usize::try_from(len).ok().filter(|n| *n <= MAX_CONTROL).ok_or("sent a control frame that is too long")?;
        if self.frame.len() < header + len {
            return Ok(());
        }
        match opcode {
            CLOSE => self.closed = true,
            PING => self.pong(header, len)?,
            _ => {}
        }
        self.frame.clear();
        Ok(())
    }

    fn pong(&mut self, header: usize, len: usize) -> Result<(), &'static str> {
        if self.output.len() > MAX_OUTPUT {
            return Err("sent pings without end");
        }
        let (head, payload) = self.frame.split_at(header);
        let mask = &head[header - 4..];
        #[allow(clippy::cast_possible_truncation)] // at most MAX_CONTROL
        self.output.put_slice(&[0x8a, len as u8]);
        self.output.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_accept_key_of_the_specification() {
        // RFC 6455, 1.3
        assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_ping_is_answered_and_messages_are_thrown_away_byte_by_byte() {
        let mut p = WsPlayer::default();
        // A text message of 200 bytes, then the masked "Hello" ping of RFC 6455, 5.7.
        let mut input = vec![0x81, 0x80 | 126, 0, 200, 1, 2, 3, 4];
        input.extend([0x89; 200]);
        input.extend([0x89, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        for byte in input {
            assert_eq!(p.input(&[byte]), Verdict::Stay);
        }
        assert_eq!(&p.poll_output().unwrap()[..], b"\x8a\x05Hello");
        assert!(p.poll_output().is_none());
    }

    #[test]
    fn a_goodbye_is_answered_and_broken_frames_end_the_connection() {
        let mut p = WsPlayer::default();
        assert_eq!(p.input(&[0x88, 0x80, 0, 0, 0, 0]), Verdict::TakeBack);
        assert_eq!(&p.poll_output().unwrap()[..], [0x88, 2, 3, 0xe8]);
        for bad in [&[0x81, 0x05][..], &[0x89, 0x80 | 126, 0, 126]] {
            assert!(matches!(WsPlayer::default().input(bad), Verdict::Leave(_)), "{bad:02x?}");
        }
    }

    proptest! {
        #[test]
        fn any_input_is_bounded(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut p = WsPlayer::default();
            let _ = p.input(&bytes);
            prop_assert!(p.held() <= MAX_HELD);
        }
    }
}
