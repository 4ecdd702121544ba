//! A small WebSocket client (RFC 6455), strict in what it takes.

use std::{
    collections::VecDeque,
    io::{self, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::http::{Connection, Head};

/// A connection whose binary messages are read as one stream of bytes.
#[derive(Debug)]
pub struct WebSocket {
    socket: BufReader<TcpStream>,
    buffer: VecDeque<u8>,
    /// The code with which the server said goodbye.
    pub closed: Option<u16>,
}

/// The key of the example in RFC 6455, 1.3, and what a server makes of it.
pub const KEY: (&str, &str) = ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");

impl WebSocket {
    /// Opens a path.
    #[track_caller]
    pub fn open(address: SocketAddr, path: &str) -> Self {
        let key = format!("Sec-WebSocket-Key: {}", KEY.0);
        let (head, socket) = Self::handshake(
            address,
            path,
            &["Upgrade: websocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Version: 13", &key],
        );
        assert_eq!(head.status, 101, "{head:#?}");
        assert_eq!(head.header("sec-websocket-accept"), Some(KEY.1));
        assert!(head.header("upgrade").is_some_and(|u| u.eq_ignore_ascii_case("websocket")));
        assert!(head.header("connection").is_some_and(|c| c.eq_ignore_ascii_case("upgrade")));
        Self { socket, buffer: VecDeque::new(), closed: None }
    }

    /// Sends a request with these headers, and takes the head of the answer.
    #[track_caller]
    pub fn handshake(address: SocketAddr, path: &str, headers: &[&str]) -> (Head, BufReader<TcpStream>) {
        let mut connection = Connection::open(address);
        connection.send("GET", path, headers);
        connection.upgrade()
    }

    /// Sends a frame, masked as it must be.
    pub fn send(&mut self, opcode: u8, payload: &[u8]) {
        let mask = [0x12, 0x34, 0x56, 0x78];
        let mut frame = vec![0x80 | opcode, 0x80 | u8::try_from(payload.len()).unwrap()];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        self.socket.get_mut().write_all(&frame).unwrap();
    }

    /// Takes one frame: opcode and payload.
    pub fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.socket.read_exact(&mut head)?;
        assert_eq!(head[0] & 0xf0, 0x80, "one frame a message, no extension");
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let mut extended = [0; 8];
        let length = match head[1] {
            126 => {
                self.socket.read_exact(&mut extended[6..])?;
                u64::from_be_bytes(extended)
            }
            127 => {
                self.socket.read_exact(&mut extended)?;
                u64::from_be_bytes(extended)
            }
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.socket.read_exact(&mut payload)?;
        Ok((head[0] & 0x0f, payload))
    }
}

impl Read for WebSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.buffer.is_empty() {
            if self.closed.is_some() {
                return Ok(0);
            }
            match self.frame()? {
                (2, payload) => self.buffer.extend(payload),
                (8, payload) => self.closed = Some(u16::from_be_bytes([payload[0], payload[1]])),
                (10, _) => {}
                (opcode, _) => panic!("a frame of type {opcode}"),
            }
        }
        self.buffer.read(buffer)
    }
}
