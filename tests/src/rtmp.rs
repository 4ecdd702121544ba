//! An RTMP client on a blocking socket.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use bytes::Bytes;
use millrace_rtmp::{
    ClientSession, Error, Media,
    client::{ClientConfig, Event},
};

use crate::{
    PATIENCE,
    flv::{Kind, Tag},
};

/// A connection that publishes or plays.
#[derive(Debug)]
pub struct Client {
    socket: TcpStream,
    session: ClientSession,
    epoch: Instant,
    events: VecDeque<Event>,
}

/// Why nothing comes any more.
#[derive(Debug)]
pub enum Over {
    /// The server closed the connection.
    Closed(io::Error),
    /// The server refused, or broke the protocol.
    Error(Error),
}

impl Client {
    /// Connects for publishing; [`Self::started`] says whether one may.
    #[track_caller]
    pub fn publish(address: SocketAddr, app: &str, key: &str) -> Self {
        Self::open(address, app, key, ClientSession::publish)
    }

    /// Connects for playing.
    #[track_caller]
    pub fn play(address: SocketAddr, app: &str, name: &str) -> Self {
        Self::open(address, app, name, ClientSession::play)
    }

    #[track_caller]
    fn open(
        address: SocketAddr,
        app: &str,
        name: &str,
        session: fn(millrace_rtmp::RtmpUrl, ClientConfig, u64, Duration) -> ClientSession,
    ) -> Self {
        let url = format!("rtmp://{address}/{app}/{name}").parse().unwrap();
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        let session = session(url, ClientConfig::default(), 7, Duration::ZERO);
        Self { socket, session, epoch: Instant::now(), events: VecDeque::new() }
    }

    /// Waits until the stream has begun.
    pub fn started(&mut self) -> Result<(), Over> {
        match self.event()? {
            Event::Started => Ok(()),
            other => panic!("{other:?} in place of a start"),
        }
    }

    /// The next thing that the server says.
    pub fn event(&mut self) -> Result<Event, Over> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            self.flush().map_err(Over::Closed)?;
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let n = match self.socket.read(&mut buffer) {
                Ok(0) => return Err(Over::Closed(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => n,
                Err(error) => return Err(Over::Closed(error)),
            };
            let mut input = &buffer[..n];
            while let Some(event) = self.session.handle_input(&mut input, self.epoch.elapsed()).map_err(Over::Error)? {
                self.events.push_back(event);
            }
        }
    }

    /// The next tag, or none where the server ends the stream.
    pub fn tag(&mut self) -> Result<Option<Tag>, Over> {
        let tag = |kind, timestamp, payload: Bytes| Ok(Some(Tag { kind, timestamp, body: payload.into() }));
        loop {
            return match self.event()? {
                Event::Media(Media::Audio { timestamp, payload }) => tag(Kind::Audio, timestamp, payload),
                Event::Media(Media::Video { timestamp, payload }) => tag(Kind::Video, timestamp, payload),
                Event::Media(Media::Data { timestamp, payload }) => tag(Kind::Script, timestamp, payload),
                Event::Ended { .. } => Ok(None),
                _ => continue,
            };
        }
    }

    /// Sends a tag of an FLV file, at another time. Metadata is left out.
    pub fn send(&mut self, tag: &Tag, timestamp: u32) -> io::Result<()> {
        let sent = match tag.kind {
            Kind::Audio => self.session.send_audio(timestamp, &tag.body),
            Kind::Video => self.session.send_video(timestamp, &tag.body),
            Kind::Script => Ok(()),
        };
        sent.unwrap();
        self.flush()
    }

    /// Says that the stream is over.
    pub fn stop(&mut self) {
        self.session.stop();
        self.flush().unwrap();
    }

    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(output) = self.session.poll_output() {
            self.socket.write_all(&output)?;
        }
        Ok(())
    }
}

impl Over {
    /// The status code of a refusal.
    #[track_caller]
    pub fn refusal(&self) -> &str {
        match self {
            Self::Error(Error::Refused { code, .. }) => code,
            other => panic!("{other:?} in place of a refusal"),
        }
    }
}

/// Publishes an FLV file's tags in real time with `offset` added to their time, wrapping at 32 bits
/// as RTMP's clock does, and says goodbye.
pub fn publish_tags(address: SocketAddr, app: &str, key: &str, tags: &[Tag], offset: u32) {
    let mut client = Client::publish(address, app, key);
    client.started().unwrap();
    let begun = Instant::now();
    for tag in tags {
        let due = Duration::from_millis(tag.timestamp.into());
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        client.send(tag, tag.timestamp.wrapping_add(offset)).unwrap();
    }
    client.stop();
}
