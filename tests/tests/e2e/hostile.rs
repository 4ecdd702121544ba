//! Peers that mean harm, or are broken: the server's memory stays bounded, its log short, and those who
//! watch another stream get every frame meanwhile.

use std::{
    cell::Cell,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use millrace_e2e::{
    Clip, PATIENCE, Program, Server,
    clip::Recipe,
    eventually,
    flv::{FlvReader, Kind, Tag, read_file},
    http,
    rtmp::Client,
};
use socket2::{Domain, Socket, Type};

const MIB: u64 = 1 << 20;

/// A stream that is watched while something else goes on, by HTTP and by RTMP.
struct Watched {
    server: Server,
    clip: Clip,
    publisher: Program,
    flv: JoinHandle<Vec<Tag>>,
    rtmp: JoinHandle<Vec<Tag>>,
    /// The server's memory before the rest.
    before: u64,
}

impl Watched {
    fn begin(seconds: u32, settings: &[&str]) -> Self {
        let server = Server::start(&[&["publish.open=true"], settings].concat());
        let clip = Recipe::new(seconds).make();
        let publisher = server.publish(&clip);
        server.wait_on_air();
        let flv = http::open(server.http, "/live/movie.flv").1;
        let flv = std::thread::spawn(move || FlvReader::new(flv).rest());
        let mut client = Client::play(server.rtmp, "live", "movie");
        let rtmp = std::thread::spawn(move || {
            client.started().unwrap();
            std::iter::from_fn(|| client.tag().unwrap()).collect()
        });
        eventually("two players", || (server.stream("movie")?["players"].as_array()?.len() == 2).then_some(()));
        let before = resident(&server);
        Self { server, clip, publisher, flv, rtmp, before }
    }

    /// What memory has grown by, bytes.
    fn growth(&self) -> u64 {
        resident(&self.server).saturating_sub(self.before)
    }

    /// Panics where the server has grown by more than that.
    #[track_caller]
    fn assert_growth(&self, most: u64) {
        let growth = self.growth();
        eprintln!("grown by {} KiB", growth >> 10);
        assert!(growth < most, "grown by {} MiB", growth / MIB);
    }

    /// Lets the stream end, and panics unless its players got all of it from where they came in.
    #[track_caller]
    fn end(self) -> Server {
        self.publisher.wait().silent();
        let source = read_file(&self.clip.path);
        for (via, got) in [("HTTP", self.flv.join().unwrap()), ("RTMP", self.rtmp.join().unwrap())] {
            for kind in [Kind::Video, Kind::Audio] {
                let bodies = |tags: &[Tag]| -> Vec<Vec<u8>> {
                    tags.iter().filter(|t| t.kind == kind && t.is_frame()).map(|t| t.body.clone()).collect()
                };
                let (source, got) = (bodies(&source), bodies(&got));
                let first = source.iter().position(|body| *body == got[0]).expect("a frame of the clip");
                assert_eq!(source[first..].len(), got.len(), "{kind:?} by {via}: every frame to the end");
                assert!(source[first..] == got[..], "{kind:?} by {via}: in order");
            }
        }
        self.server
    }
}

/// Resident memory of the server's process, bytes.
fn resident(server: &Server) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{}/statm", server.process().pid())).unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * rustix::param::page_size() as u64
}

/// Connects from one of this machine's addresses, with a small buffer for what comes.
fn connect_from(last: u8, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let socket = TcpStream::from(socket);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A publisher of a stream of its own, whose socket is then used at will.
fn publisher(server: &Server, name: &str) -> TcpStream {
    let mut client = Client::publish(server.rtmp, "live", name);
    client.started().unwrap();
    let mut socket = client.socket().try_clone().unwrap();
    // Set Chunk Size, to what it is at the beginning.
    socket.write_all(&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 128]).unwrap();
    socket
}

/// The header of an RTMP message on a chunk stream: type 0, a video message on message stream 1.
fn header(chunk_stream: u16, length: u32) -> Vec<u8> {
    let mut header = match chunk_stream {
        0..=63 => vec![chunk_stream as u8],
        64..=319 => vec![0, (chunk_stream - 64) as u8],
        _ => [&[1][..], &(chunk_stream - 64).to_le_bytes()].concat(),
    };
    header.extend([0, 0, 0]);
    header.extend(&length.to_be_bytes()[1..]);
    header.push(9);
    header.extend(1u32.to_le_bytes());
    header
}

/// Whether the server closes the connection, by whatever way.
#[track_caller]
fn assert_closed(mut socket: &TcpStream) {
    let mut scratch = [0; 4096];
    loop {
        match socket.read(&mut scratch) {
            Ok(0) => return,
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("it is not closed"),
            Err(_) => return,
        }
    }
}

/// Lines of the log beside those that streams cause which come and go.
fn noise(server: &Server) -> usize {
    let usual = ["serving", "publisher", "on air", "stream ended", "the stream did not come on air", "discontinuity"];
    let log = server.log();
    let noise = log.iter().filter(|line| {
        let message = line["message"].as_str().unwrap_or_default();
        !usual.iter().any(|usual| message.starts_with(usual))
    });
    noise.inspect(|line| eprintln!("{line}")).count()
}

#[test]
fn lengths_without_bytes_and_a_thousand_chunk_streams() {
    let watched = Watched::begin(12, &["limits.trusted="]);
    let server = &watched.server;
    let mut kept = Vec::new();
    for n in 0..100 {
        let mut socket = publisher(server, &format!("liar-{n}"));
        // 16 MiB are announced on each of so many chunk streams as there may be, and a chunk of them comes.
        for chunk_stream in 10..60 {
            socket.write_all(&[header(chunk_stream, 0x00ff_ffff), vec![7; 128]].concat()).unwrap();
        }
        kept.push(socket);
    }
    watched.assert_growth(40 * MIB);
    let mut many = Vec::new();
    for n in 0..20 {
        let mut socket = publisher(server, &format!("many-{n}"));
        let chunks: Vec<u8> = (10..1010).flat_map(|stream| [header(stream, 100_000), vec![7; 128]].concat()).collect();
        let _ = socket.write_all(&chunks); // perhaps it is closed within them
        many.push(socket);
    }
    many.iter().for_each(assert_closed);
    watched.assert_growth(48 * MIB);
    drop(kept);
    let server = watched.end();
    let lines = server.logged("RTMP connection closed").len();
    assert!((1..=8).contains(&lines), "{lines} lines");
}

/// What a stream may take whose pictures have [`PICTURE`] bytes, and whose `gop.max_bytes` are [`GOP`], while
/// players of two formats take nothing.
fn large_gop_bound() -> u64 {
    // A window is exceeded by what comes before the oldest is given up.
    let window = GOP + PICTURE;
    let kept = 3 * window; // the GOP cache, and a ring of each format
    let held = 2 * window; // what has left the rings while a walker has it
    // Of the publisher what 16 reads brought waits, and that of 16 is being handled: at most one picture each.
    let waiting = (16 + 16) * PICTURE;
    let unfinished = 3 * PICTURE; // the message that is coming, with the room made for it
    let sum = kept + held + waiting + unfinished;
    sum + sum / 3 // the allocator gives pages back late
}

const GOP: u64 = 8 * MIB;
const PICTURE: u64 = MIB;

#[test]
fn pictures_without_keyframes_for_ever_and_a_gop_of_two_hundred_megabytes() {
    let settings = ["gop.max_bytes=8MiB", "limits.trusted=", "play.stall_timeout=2s"];
    let watched = Watched::begin(16, &settings);
    let server = &watched.server;
    let source = read_file(&Clip::standard().path);
    let headers: Vec<Tag> = source.iter().filter(|tag| tag.is_sequence_header()).cloned().collect();
    for (name, first) in [("no-keyframe", 0x27), ("fat", 0x17)] {
        let mut client = Client::publish(server.rtmp, "live", name);
        client.started().unwrap();
        headers.iter().for_each(|tag| client.send(tag, 0).unwrap());
        // With a sound frame it is on air at once, whatever its pictures are.
        let sound = source.iter().find(|tag| tag.kind == Kind::Audio && tag.is_frame()).unwrap();
        let mut picture = vec![0; PICTURE as usize];
        let mut sleepers = Vec::new();
        for n in 0..200u32 {
            picture[..5].copy_from_slice(&[if n == 0 { first } else { 0x27 }, 1, 0, 0, 0]);
            let body = [&picture[..5], &(PICTURE as u32 - 9).to_be_bytes()[..], &[0x41], &picture[10..]].concat();
            client.send(&Tag { kind: Kind::Video, timestamp: n * 40, body }, n * 40).unwrap();
            client.send(sound, n * 40 + 20).unwrap();
            if n == 10 {
                server.wait_for_stream(name, "on air", |s| s["state"] == "live");
                // They take nothing, each in another format.
                let ask = format!("GET /live/{name}.flv HTTP/1.1\r\n\r\n");
                let upgrade = format!(
                    "GET /live/{name}.flv HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                );
                for request in [ask, upgrade] {
                    for _ in 0..5 {
                        let mut socket = connect_from(1, server.http);
                        socket.write_all(request.as_bytes()).unwrap();
                        sleepers.push(socket);
                    }
                }
            }
        }
        watched.assert_growth(large_gop_bound());
        client.stop();
        server.wait_off_air(name);
    }
    watched.end();
}

#[test]
fn handshakes_that_are_never_finished_and_bytes_that_come_one_by_one() {
    let settings = ["rtmp.handshake_timeout=2s", "http.header_timeout=2s", "limits.trusted="];
    let watched = Watched::begin(12, &settings);
    let server = &watched.server;
    let mut slow = Vec::new();
    for n in 0..200 {
        let mut socket = connect_from(2, if n % 2 == 0 { server.rtmp } else { server.http });
        // A part of a handshake, and of a request's head.
        socket.write_all(if n % 2 == 0 { &[3; 700] } else { b"GET /live/movie.flv HTTP/1.1\r\nX: " }).unwrap();
        slow.push(socket);
    }
    watched.assert_growth(24 * MIB);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        // One byte after the other does not buy more time.
        slow.iter_mut().for_each(|socket| _ = socket.write(b"x"));
        std::thread::sleep(Duration::from_millis(200));
    }
    slow.iter().for_each(assert_closed);
    let server = watched.end();
    let lines = noise(&server);
    assert!(lines <= 8, "{lines} lines");
}

#[test]
fn garbage_over_http() {
    let watched = Watched::begin(10, &["http.header_timeout=2s", "limits.trusted="]);
    let server = &watched.server;
    let garbage: Vec<u8> = (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let big_head = [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'a'; 300_000], b"\r\n\r\n".to_vec()].concat();
    let many_headers = [b"GET / HTTP/1.1\r\n".to_vec(), b"A: b\r\n".repeat(5000), b"\r\n".to_vec()].concat();
    let pipelined = [b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".repeat(500), garbage.clone()].concat();
    let long_path = [b"GET /live/".to_vec(), vec![b'a'; 60_000], b".flv HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()].concat();
    for bytes in [&garbage, &big_head, &many_headers, &pipelined, &long_path] {
        let sockets: Vec<_> = (0..20)
            .map(|_| {
                let mut socket = connect_from(3, server.http);
                let (bytes, mut half) = (bytes.clone(), socket.try_clone().unwrap());
                // It may be closed before it has taken all.
                let writer = std::thread::spawn(move || _ = half.write_all(&bytes));
                let mut answer = Vec::new();
                let _ = socket.read_to_end(&mut answer);
                writer.join().unwrap();
                answer
            })
            .collect();
        assert!(sockets.iter().all(|answer| answer.is_empty() || answer.starts_with(b"HTTP/1.1 ")));
    }
    watched.assert_growth(32 * MIB);
    assert_eq!(http::get(server.http, "/healthz").status, 200);
    let server = watched.end();
    assert_eq!(noise(&server), 0, "no line at all");
}

#[test]
fn players_that_never_read() {
    let watched = Watched::begin(14, &["play.stall_timeout=3s", "limits.trusted="]);
    let server = &watched.server;
    let mut sleepers = Vec::new();
    for _ in 0..200 {
        let mut socket = connect_from(4, server.http);
        socket.write_all(b"GET /live/movie.flv HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        sleepers.push(socket);
    }
    // Looked at while they are there.
    let most = Cell::new(0);
    let players = |n: usize| {
        most.set(watched.growth().max(most.get()));
        let count = server.stream("movie")?["players"].as_array()?.len();
        (count == n).then_some(())
    };
    eventually("all of them", || players(202));
    eventually("those gone that take nothing", || players(2));
    let most = most.get();
    eprintln!("grown by up to {} KiB", most >> 10);
    assert!(most < 16 * MIB, "grown by {} MiB", most / MIB);
    watched.end();
}

#[test]
fn a_storm_of_connections() {
    let watched = Watched::begin(12, &["limits.trusted=127.0.0.1", "limits.connects_per_second=1"]);
    let server = &watched.server;
    let begun = Instant::now();
    for n in 0..4000 {
        let to = if n % 2 == 0 { server.rtmp } else { server.http };
        drop(connect_from(200 + (n % 4) as u8, to));
        if n % 500 == 0 {
            assert_eq!(http::get(server.http, "/readyz").status, 200);
            assert_eq!(http::get(server.ops, "/metrics").status, 200);
        }
    }
    eprintln!("{:.0} connections a second", 4000.0 / begun.elapsed().as_secs_f64());
    // From an address that makes too many: told so, and why.
    let refusal = (0..50).find_map(|_| {
        let mut socket = connect_from(200, server.http);
        socket.write_all(b"GET /api/v1/site HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        let _ = socket.read_to_string(&mut answer);
        answer.starts_with("HTTP/1.1 429 ").then_some(answer)
    });
    assert!(refusal.unwrap().contains("retry-after: "));
    watched.assert_growth(24 * MIB);
    let lines = server.logged("connection refused");
    let seconds = begun.elapsed().as_secs() as usize;
    assert!((1..=4 * (2 + seconds / 10)).contains(&lines.len()), "{} lines in {seconds} s", lines.len());
    assert_eq!(lines[0]["reason"], "your address makes connections too fast");
    watched.end();
}
