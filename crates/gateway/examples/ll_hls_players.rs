//! Plays one Low-Latency HLS stream as many players at once, and says how they fared: the part of `docs/performance.md`
//! that the load generator does not know.
//!
//! ```sh
//! cargo run --release -p millrace-gateway --example ll_hls_players -- 127.0.0.1:8080 /live/demo 2000 20
//! ```
//!
//! A player asks for the playlist that has the next part, waits for it, and fetches that part, over one kept connection,
//! as hls.js does. It is held if it got every part of its time and none later than [`LATE`]. The delay of a part is
//! counted from its end by the playlist's calendar to its last byte at the player.

#![allow(clippy::print_stdout)] // what it is for

use std::error::Error;
use std::time::{Duration, Instant, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A part that arrives so long after its end came too late to be played.
const LATE: Duration = Duration::from_millis(1000);
/// Players begin within this time, evenly.
const SPREAD: Duration = Duration::from_secs(3);
/// Longest answer that is read, bytes.
const MAX_ANSWER: usize = 64 << 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, stream, players, seconds] = &arguments[..] else {
        return Err("usage: ll_hls_players HOST:PORT /APP/NAME PLAYERS SECONDS".into());
    };
    let (players, seconds): (u32, u64) = (players.parse()?, seconds.parse()?);
    let tasks: Vec<_> = (0..players)
        .map(|n| {
            let (address, stream) = (address.clone(), stream.clone());
            let start = SPREAD * n / players.max(1);
            tokio::spawn(async move {
                tokio::time::sleep(start).await;
                play(&address, &stream, Duration::from_secs(seconds)).await
            })
        })
        .collect();
    let mut delays = Vec::new();
    let (mut held, mut bytes) = (0, 0);
    for task in tasks {
        match task.await? {
            Ok(mut played) => {
                held += u32::from(played.missed == 0 && played.delays.iter().all(|delay| *delay <= LATE));
                bytes += played.bytes;
                delays.append(&mut played.delays);
            }
            Err(error) => println!("a player failed: {error}"),
        }
    }
    delays.sort_unstable();
    let at = |share: usize| delays.get((delays.len() * share / 1000).min(delays.len().saturating_sub(1)));
    println!(
        "players {players}, held {held}, parts {}, {} MB, delay p50 {:?}, p99 {:?}, most {:?}",
        delays.len(),
        bytes / 1_000_000,
        at(500),
        at(990),
        delays.last()
    );
    Ok(())
}

/// What one player got.
#[derive(Default)]
struct Played {
    delays: Vec<Duration>,
    missed: u64,
    bytes: usize,
}

async fn play(address: &str, stream: &str, time: Duration) -> Result<Played> {
    let mut connection = Connection::open(address).await?;
    let mut played = Played::default();
    let playlist = connection.get(&format!("{stream}/cmaf.m3u8")).await?;
    let mut next = Newest::read(&playlist)?.next;
    let end = Instant::now() + time;
    while Instant::now() < end {
        let (sequence, part) = next;
        let path = format!("{stream}/cmaf.m3u8?_HLS_msn={sequence}&_HLS_part={part}");
        let newest = Newest::read(&connection.get(&path).await?)?;
        // A part beyond the one that was asked for means that the one between was missed.
        played.missed += newest.next.1.saturating_sub(part + 1) * u64::from(newest.next.0 == sequence);
        let bytes = connection.get(&format!("{stream}/{}", newest.uri)).await?;
        played.bytes += bytes.len();
        let now = SystemTime::now();
        played.delays.push(now.duration_since(newest.ends.into()).unwrap_or_default());
        next = newest.next;
    }
    Ok(played)
}

/// The newest part of a playlist.
struct Newest {
    uri: String,
    ends: OffsetDateTime,
    /// Numbers of the segment and the part after it.
    next: (u64, u64),
}

impl Newest {
    fn read(playlist: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(playlist)?;
        let (mut sequence, mut part) = (0u64, 0);
        let (mut date, mut found) = (None, None);
        for line in text.lines() {
            if let Some(number) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                sequence = number.parse()?;
            } else if let Some(at) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
                date = Some(OffsetDateTime::parse(at, &Rfc3339)?);
            } else if let Some(attributes) = line.strip_prefix("#EXT-X-PART:") {
                let seconds: f64 = attribute(attributes, "DURATION=", ',').ok_or("a part without duration")?.parse()?;
                let ends = date.ok_or("a part without date")? + Duration::from_secs_f64(seconds);
                date = Some(ends);
                part += 1;
                let uri = attribute(attributes, "URI=\"", '"').ok_or("a part without address")?.to_owned();
                found = Some((uri, ends));
            } else if !line.starts_with('#') && !line.is_empty() {
                sequence += 1;
                part = 0;
            }
        }
        let (uri, ends) = found.ok_or("a playlist without parts")?;
        Ok(Self { uri, ends, next: (sequence, part) })
    }
}

fn attribute<'a>(attributes: &'a str, name: &str, end: char) -> Option<&'a str> {
    attributes.split_once(name)?.1.split(end).next()
}

/// A kept HTTP connection.
struct Connection {
    socket: TcpStream,
    address: String,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: &str) -> Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, address: address.to_owned(), buffer: Vec::new() })
    }

    async fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
        self.socket.write_all(request.as_bytes()).await?;
        loop {
            if let Some(head) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let lines = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
                if !lines.starts_with("http/1.1 200") {
                    return Err(format!("{path}: {}", lines.lines().next().unwrap_or_default()).into());
                }
                let length = lines.lines().find_map(|line| line.strip_prefix("content-length:"));
                let end = head + 4 + length.ok_or("an answer without length")?.trim().parse::<usize>()?.min(MAX_ANSWER);
                if self.buffer.len() >= end {
                    let body = self.buffer[head + 4..end].to_vec();
                    self.buffer.drain(..end);
                    return Ok(body);
                }
            }
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
    }
}
