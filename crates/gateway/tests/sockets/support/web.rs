use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::{Server, connect, soon};

/// A plain HTTP client on one connection.
pub(crate) struct Web {
    pub(crate) socket: TcpStream,
    /// Read, and not yet looked at.
    pub(crate) buffer: BytesMut,
}

/// A response's head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let header = all.next();
        assert_eq!(all.next(), None, "{name} twice");
        header
    }
}

impl Web {
    pub(crate) async fn connect(server: &Server) -> Self {
        Self { socket: connect(server.http).await, buffer: BytesMut::new() }
    }

    /// Sends the head of a request, of which the first line is given and perhaps headers.
    pub(crate) async fn ask(&mut self, request: &str) -> Head {
        self.send(&format!("{request}\r\nhost: test\r\n\r\n")).await;
        self.head().await
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).await.unwrap();
    }

    pub(crate) async fn head(&mut self) -> Head {
        let len = loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.fill().await, "the connection ended within a head: {:?}", self.buffer);
        };
        let head = String::from_utf8(self.buffer.split_to(len).to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().strip_prefix("HTTP/1.").expect(&head)[2..5].parse().unwrap();
        let pair = |line: &str| line.split_once(": ").map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()));
        Head { status, headers: lines.filter_map(pair).collect() }
    }

    /// A body of known length.
    pub(crate) async fn body(&mut self, head: &Head) -> Vec<u8> {
        let len: usize = head.header("content-length").map_or(0, |n| n.parse().unwrap());
        while self.buffer.len() < len {
            assert!(self.fill().await, "the connection ended within a body");
        }
        self.buffer.split_to(len).to_vec()
    }

    /// A body that ends when its stream does.
    pub(crate) async fn stream(&mut self, head: &Head) -> Vec<u8> {
        let mut body = Vec::new();
        let chunked = head.header("transfer-encoding") == Some("chunked");
        loop {
            if !chunked {
                body.extend_from_slice(&self.buffer.split());
            }
            while let Some(chunk) = next_chunk(&mut self.buffer).filter(|_| chunked) {
                if chunk.is_empty() {
                    return body;
                }
                body.extend_from_slice(&chunk);
            }
            if !self.fill().await {
                assert!(!chunked, "the connection ended within a body");
                return body;
            }
        }
    }

    /// Whether the connection ends here, in order.
    pub(crate) async fn is_over(&mut self) -> bool {
        !self.buffer.has_remaining() && !self.fill().await
    }

    async fn fill(&mut self) -> bool {
        soon(self.socket.read_buf(&mut self.buffer)).await.unwrap() > 0
    }
}

/// The content of the next chunk of a chunked body; nothing for the last.
pub(crate) fn next_chunk(buffer: &mut BytesMut) -> Option<BytesMut> {
    let line = buffer.windows(2).position(|w| w == b"\r\n")?;
    let len = usize::from_str_radix(std::str::from_utf8(&buffer[..line]).unwrap(), 16).unwrap();
    if buffer.len() < line + 2 + len + 2 {
        return None;
    }
    buffer.advance(line + 2);
    let chunk = buffer.split_to(len);
    assert_eq!(buffer.split_to(2)[..], *b"\r\n");
    Some(chunk)
}
