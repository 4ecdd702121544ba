//! A small HTTP client that hides nothing.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::PATIENCE;

/// One connection.
#[derive(Debug)]
pub struct Connection {
    socket: BufReader<TcpStream>,
}

/// Status line and headers.
#[derive(Debug, Clone)]
pub struct Head {
    /// The status line.
    pub line: String,
    /// The status.
    pub status: u16,
    headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Status line and headers.
    pub head: Head,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

/// A body that is read as it comes.
#[derive(Debug)]
pub struct Body {
    socket: BufReader<TcpStream>,
    framing: Framing,
}

#[derive(Debug)]
enum Framing {
    Close,
    /// What is left.
    Length(u64),
    /// What is left of this chunk; none after the last.
    Chunked(Option<u64>),
}

/// Fetches a path.
#[track_caller]
pub fn get(address: SocketAddr, path: &str) -> Response {
    request(address, "GET", path, &[])
}

/// Sends a request with headers beside `Host`, and takes the whole answer.
#[track_caller]
pub fn request(address: SocketAddr, method: &str, path: &str, headers: &[&str]) -> Response {
    let mut connection = Connection::open(address);
    connection.send(method, path, headers);
    connection.response(method != "HEAD")
}

/// Sends a request with a body, and takes the whole answer.
#[track_caller]
pub fn send(address: SocketAddr, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Response {
    let mut connection = Connection::open(address);
    let length = format!("Content-Length: {}", body.len());
    connection.send(method, path, &[headers, &[&length]].concat());
    connection.send_raw(body);
    connection.response(method != "HEAD")
}

/// Sends bytes as they are, and takes all that comes until the server closes.
pub fn raw(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = Connection::open(address).socket.into_inner();
    // A server that has seen enough may close before it has all.
    let _ = socket.write_all(bytes);
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(n @ 1..) = socket.read(&mut piece) {
        answer.extend_from_slice(&piece[..n]);
    }
    answer
}

/// Opens a path whose body does not end, such as a live stream.
#[track_caller]
pub fn open(address: SocketAddr, path: &str) -> (Head, Body) {
    let mut connection = Connection::open(address);
    connection.send("GET", path, &[]);
    connection.streaming()
}

impl Connection {
    /// Connects.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).unwrap())
    }

    /// Takes over a socket.
    pub fn new(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { socket: BufReader::with_capacity(16 * 1024, socket) }
    }

    /// Sends a request without a body.
    #[track_caller]
    pub fn send(&mut self, method: &str, path: &str, headers: &[&str]) {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        self.socket.get_mut().write_all(request.as_bytes()).unwrap();
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).unwrap();
    }

    /// The socket below.
    pub fn into_inner(self) -> TcpStream {
        self.socket.into_inner()
    }

    /// Takes an answer; a body only where there can be one.
    #[track_caller]
    pub fn response(&mut self, has_body: bool) -> Response {
        let head = Head::read(&mut self.socket).unwrap();
        let mut body = Vec::new();
        if has_body && head.status != 204 && head.status != 304 {
            let mut framing = Framing::of(&head);
            framing.read_to_end(&mut self.socket, &mut body).unwrap();
        }
        Response { status: head.status, head, body }
    }

    /// Takes the head of an answer, and gives the body as it comes.
    #[track_caller]
    pub fn streaming(mut self) -> (Head, Body) {
        let head = Head::read(&mut self.socket).unwrap();
        let framing = Framing::of(&head);
        (head, Body { socket: self.socket, framing })
    }

    /// Takes the head of an answer, and gives the connection for what follows.
    #[track_caller]
    pub fn upgrade(mut self) -> (Head, BufReader<TcpStream>) {
        (Head::read(&mut self.socket).unwrap(), self.socket)
    }
}

impl Head {
    fn read(socket: &mut impl BufRead) -> io::Result<Self> {
        let mut line = || -> io::Result<String> {
            let mut line = String::new();
            match socket.read_line(&mut line)? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
            }
        };
        let status_line = line()?;
        let status = status_line.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let mut headers = Vec::new();
        loop {
            match line()? {
                end if end.is_empty() => return Ok(Self { line: status_line, status, headers }),
                header => {
                    let (name, value) = header.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
                    headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
        }
    }

    /// A header's value. Panics where the header is there twice.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| &**value);
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice: {self:#?}");
        value
    }
}

impl Response {
    /// A header's value.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Panics unless this is a problem with that status and that code; gives its words.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["error_code"], code, "{problem}");
        problem["error"].as_str().unwrap().to_owned()
    }
}

impl Body {
    /// The socket below, to look at or to close.
    pub fn socket(&self) -> &TcpStream {
        self.socket.get_ref()
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.framing.read(&mut self.socket, buffer)
    }
}

impl Framing {
    fn of(head: &Head) -> Self {
        if head.header("transfer-encoding").is_some_and(|t| t.eq_ignore_ascii_case("chunked")) {
            return Self::Chunked(Some(0));
        }
        head.header("content-length").map_or(Self::Close, |length| Self::Length(length.parse().unwrap()))
    }

    fn read_to_end(&mut self, socket: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
        let mut piece = vec![0; 64 * 1024];
        loop {
            match self.read(socket, &mut piece)? {
                0 => return Ok(()),
                n => body.extend_from_slice(&piece[..n]),
            }
        }
    }

    fn read(&mut self, socket: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<usize> {
        let left = match self {
            Self::Close => return socket.read(buffer),
            Self::Length(left) => left,
            Self::Chunked(None) => return Ok(0),
            Self::Chunked(Some(left)) => {
                if *left == 0 {
                    *left = next_chunk(socket)?;
                    if *left == 0 {
                        *self = Self::Chunked(None);
                        return Ok(0);
                    }
                }
                left
            }
        };
        if *left == 0 {
            return Ok(0);
        }
        let most = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
        let n = socket.read(&mut buffer[..most])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *left -= n as u64;
        if *left == 0 && matches!(self, Self::Chunked(_)) {
            let mut line = String::new();
            socket.read_line(&mut line)?;
        }
        Ok(n)
    }
}

fn next_chunk(socket: &mut impl BufRead) -> io::Result<u64> {
    let mut line = String::new();
    if socket.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let size = u64::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16);
    let size = size.map_err(|_| io::ErrorKind::InvalidData)?;
    if size == 0 {
        line.clear();
        socket.read_line(&mut line)?;
    }
    Ok(size)
}
