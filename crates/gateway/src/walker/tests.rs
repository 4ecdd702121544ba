use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;

use millrace_hub::{Format, Hub, HubConfig, ItemKind, Protocol, Publisher, PublisherMeta, StreamId, Subscription};
use millrace_media::{AacConfig, AudioConfig, AvcConfig, Frame, Timestamp, TrackKind, Unit, VideoConfig};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};

use super::*;

/// More than a pair of sockets holds, so that its writer is blocked within it.
const MUCH: usize = 400_000;

fn id() -> StreamId {
    StreamId::parse("live", "movie").unwrap()
}

fn peer() -> SocketAddr {
    "127.0.0.1:4000".parse().unwrap()
}

/// A stream, and a place in it. There are four packets: a keyframe, sound twice, and a keyframe.
async fn stream() -> (Hub, Publisher, Subscription) {
    let hub = Hub::new(HubConfig::default());
    let meta = PublisherMeta { peer: peer(), encoder: None, takeover: true };
    let mut publisher = hub.publish(&id(), meta).await.unwrap();
    let video = Bytes::from_static(&[1, 100, 0, 31, 0xff, 0xe1, 0, 2, 0x67, 31, 1, 0, 1, 0x68]);
    let video = VideoConfig::Avc(AvcConfig::parse(video).unwrap());
    let audio = AudioConfig::Aac(AacConfig::parse(Bytes::from_static(&[0x12, 0x10])).unwrap());
    publisher.send(Unit::VideoConfig(Arc::new(video))).await.unwrap();
    publisher.send(Unit::AudioConfig(Arc::new(audio))).await.unwrap();
    publisher.send(frame(TrackKind::Video, 0, 10)).await.unwrap();
    let mut subscription = hub.play(&id(), Format::Flv, Protocol::HttpFlv, peer(), false).await.unwrap();
    for (n, track) in [(1, TrackKind::Audio), (2, TrackKind::Audio), (3, TrackKind::Video)] {
        publisher.send(frame(track, n, 10)).await.unwrap();
    }
    while subscription.ring.head().end < 4 {
        subscription.ring.changed().await;
    }
    (hub, publisher, subscription)
}

fn frame(track: TrackKind, n: i64, size: usize) -> Unit {
    let t = Timestamp::from_millis(n * 20);
    Unit::Frame(Frame { track, keyframe: true, dts: t, pts: t, payload: vec![7; size].into() })
}

/// Both ends of a connection with small buffers: the player's on the server, and its peer's.
async fn connection() -> (Socket, TcpStream) {
    let listener = TcpSocket::new_v4().unwrap();
    listener.set_send_buffer_size(16 * 1024).unwrap();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = listener.listen(1).unwrap();
    let there = TcpSocket::new_v4().unwrap();
    there.set_recv_buffer_size(16 * 1024).unwrap();
    let (there, accepted) = tokio::join!(there.connect(listener.local_addr().unwrap()), listener.accept());
    (Socket::new(accepted.unwrap().0, None), there.unwrap())
}

/// A protocol that does as it is told.
#[derive(Clone, Default)]
struct Puppet(Arc<Hand>);

#[derive(Default)]
struct Hand {
    output: Mutex<Vec<&'static [u8]>>,
    deaf: AtomicBool,
    blind: AtomicBool,
    taken_back: Mutex<Option<(Socket, Bytes)>>,
}

impl Control for Puppet {
    fn input(&mut self, _: &[u8]) -> Verdict {
        Verdict::TakeBack
    }

    fn poll_output(&mut self) -> Option<Bytes> {
        let mut output = self.0.output.lock().unwrap();
        (!output.is_empty()).then(|| Bytes::from_static(output.remove(0)))
    }

    fn wants(&self) -> (bool, bool) {
        (!self.0.deaf.load(Relaxed), !self.0.blind.load(Relaxed))
    }

    fn end(&mut self, _: Farewell) {
        self.0.output.lock().unwrap().push(b"END");
    }

    fn take_back(self: Box<Self>, socket: Socket, unsent: Bytes) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            *self.0.taken_back.lock().unwrap() = Some((socket, unsent));
        })
    }
}

/// A player without a walker, before a window of these packets.
struct Scene {
    player: Player,
    window: Window,
    ring: Ring,
    there: TcpStream,
    puppet: Puppet,
    _publisher: Publisher,
}

impl Scene {
    async fn new(packets: &[(ItemKind, u8, usize)]) -> Self {
        let (_, publisher, Subscription { ring, player: place }) = stream().await;
        let (socket, there) = connection().await;
        let puppet = Puppet::default();
        let packet = |&(kind, byte, len): &(ItemKind, u8, usize)| Packet {
            bytes: vec![byte; len].into(),
            kind,
            dts: Timestamp::ZERO,
        };
        let player = Player {
            socket,
            place,
            head: Playhead::new(millrace_hub::Join { at: 0, await_keyframe: false }),
            pending: Bytes::new(),
            answer: Bytes::new(),
            blocked: false,
            progress: Instant::now(),
            whole: Instant::now(),
            control: Some(Box::new(puppet.clone())),
            stirred: true,
        };
        let window = Window { packets: packets.iter().map(packet).collect(), first: 0 };
        Self { player, window, ring, there, puppet, _publisher: publisher }
    }

    /// Serves the player once it can take something.
    async fn serve(&mut self) {
        self.player.socket.writable().await.unwrap();
        assert_eq!(self.player.serve(&self.window, &self.ring), Verdict::Stay);
    }

    /// Serves the player until it has all; what its peer got, as runs of equal bytes.
    async fn until_over(mut self) -> Vec<(u8, usize)> {
        self.player.stirred = true; // as when it heard what the puppet was told
        let mut got = Vec::new();
        let mut scratch = vec![0; 7777];
        while self.player.blocked {
            tokio::select! {
                n = self.there.read(&mut scratch) => got.extend_from_slice(&scratch[..n.unwrap()]),
                _ = self.player.socket.writable() => {
                    assert_eq!(self.player.serve(&self.window, &self.ring), Verdict::Stay);
                }
            }
        }
        drop(self.player);
        self.there.read_to_end(&mut got).await.unwrap();
        got.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect()
    }
}

#[tokio::test]
async fn what_is_half_sent_is_sent_before_an_answer() {
    let packets = [(ItemKind::Keyframe, b'k', MUCH), (ItemKind::Inter, b'i', 1000), (ItemKind::Audio, b'a', 10)];
    let mut scene = Scene::new(&packets).await;
    scene.serve().await;
    assert!(scene.player.blocked && !scene.player.pending.is_empty());
    scene.puppet.0.output.lock().unwrap().extend([&b"1111"[..], b"22"]);
    assert_eq!(scene.until_over().await, [(b'k', MUCH), (b'1', 4), (b'2', 2), (b'i', 1000), (b'a', 10)]);
}

#[tokio::test]
async fn wishes_hold_from_the_packet_after_that_which_is_half_sent() {
    let packets = [
        (ItemKind::Keyframe, b'k', MUCH),
        (ItemKind::Audio, b'a', 10),
        (ItemKind::Inter, b'i', 1000),
        (ItemKind::Header, b'h', 5),
        (ItemKind::Audio, b'a', 20),
    ];
    let mut scene = Scene::new(&packets).await;
    scene.serve().await;
    scene.puppet.0.blind.store(true, Relaxed);
    assert_eq!(scene.until_over().await, [(b'k', MUCH), (b'a', 10), (b'h', 5), (b'a', 20)]);

    let mut scene = Scene::new(&packets).await;
    scene.serve().await;
    scene.puppet.0.deaf.store(true, Relaxed);
    assert_eq!(scene.until_over().await, [(b'k', MUCH), (b'i', 1000), (b'h', 5)]);
}

#[tokio::test]
async fn nothing_unwanted_comes_with_the_first_write() {
    let mut scene = Scene::new(&[(ItemKind::Keyframe, b'k', 100), (ItemKind::Audio, b'a', 10)]).await;
    scene.player.pending = Bytes::from_static(b"pppp");
    scene.puppet.0.blind.store(true, Relaxed);
    scene.serve().await;
    assert_eq!(scene.until_over().await, [(b'p', 4), (b'a', 10)]);
}

#[tokio::test]
async fn a_skip_comes_after_what_is_half_sent_and_after_an_answer() {
    let mut scene = Scene::new(&[(ItemKind::Keyframe, b'k', MUCH), (ItemKind::Inter, b'i', 1000)]).await;
    scene.serve().await;
    assert_eq!(scene.player.head.next, 1);
    // The window has moved on, and the packet that is half sent is no longer in it.
    let headers = scene.ring.skip();
    let rest = Packet { bytes: vec![b'r'; 9].into(), kind: ItemKind::Keyframe, dts: Timestamp::ZERO };
    scene.window = Window { packets: VecDeque::from([rest]), first: headers.join.at };
    assert!(headers.join.at > scene.player.head.next);
    scene.puppet.0.output.lock().unwrap().push(b"1111");
    let mut expected = vec![b'k'; MUCH];
    expected.extend_from_slice(b"1111");
    expected.extend_from_slice(&headers.prologue);
    expected.extend_from_slice(&[b'r'; 9]);
    let runs: Vec<_> = expected.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
    assert_eq!(scene.until_over().await, runs);
}

#[tokio::test]
async fn more_packets_than_one_write_takes() {
    let packets: Vec<_> = (0..5 * MAX_SLICES).map(|n| (ItemKind::Audio, n as u8, 3 + n % 5)).collect();
    let mut scene = Scene::new(&packets).await;
    scene.serve().await;
    assert!(!scene.player.blocked);
    assert_eq!(scene.player.head.next, packets.len() as u64);
    let expected: Vec<_> = packets.iter().map(|&(_, byte, len)| (byte, len)).collect();
    assert_eq!(scene.until_over().await, expected);
}

#[tokio::test]
async fn a_player_is_given_back_with_exactly_what_it_lacks_of_its_packet() {
    let (_hub, mut publisher, Subscription { ring, player: place }) = stream().await;
    let (socket, mut there) = connection().await;
    let puppet = Puppet::default();
    let walkers = Walkers::new(Duration::from_secs(30));
    publisher.send(frame(TrackKind::Video, 4, MUCH)).await.unwrap();
    let mut head = ring.clone();
    while head.head().end < 5 {
        head.changed().await;
    }
    let (start, mut packets) = (ring.join(), Vec::new());
    ring.read(start.join.at, usize::MAX, &mut packets);
    let whole = packets.iter().fold(start.prologue.to_vec(), |sum, packet: &Packet| [&sum, &packet.bytes[..]].concat());
    let control = Some(Box::new(puppet.clone()) as Box<dyn Control>);
    walkers.add(ring, NewPlayer { socket, head: Bytes::from_static(b"head"), place, control }).await;
    let mut got = vec![0; 4];
    there.read_exact(&mut got).await.unwrap();
    assert_eq!(got, b"head");
    there.try_write(b"stop").unwrap();
    publisher.finish();
    walkers.finish().await; // it is given back long before it would be cut
    let (socket, unsent) = puppet.0.taken_back.lock().unwrap().take().unwrap();
    drop(socket);
    got.clear();
    there.read_to_end(&mut got).await.unwrap();
    assert!(!unsent.is_empty() && got.len() > 1000);
    got.extend_from_slice(&unsent);
    assert!(got == whole, "{} bytes of {}", got.len(), whole.len());
}

#[tokio::test]
async fn who_comes_when_the_stream_has_ended_gets_its_last_and_is_seen_off() {
    let (_hub, publisher, Subscription { ring, player: place }) = stream().await;
    publisher.finish();
    let mut end = ring.clone();
    while !end.changed().await.ended {}
    let walkers = Walkers::new(Duration::from_secs(30));
    let puppet = Puppet::default();
    let (socket, mut there) = connection().await;
    let expected = ring.join().prologue;
    let control = Some(Box::new(puppet.clone()) as Box<dyn Control>);
    walkers.add(ring, NewPlayer { socket, head: Bytes::new(), place, control }).await;
    walkers.finish().await;
    assert_eq!(*puppet.0.output.lock().unwrap(), [b"END"], "its protocol is told");
    let (socket, unsent) = puppet.0.taken_back.lock().unwrap().take().unwrap();
    assert!(unsent.is_empty());
    drop(socket);
    let mut got = Vec::new();
    there.read_to_end(&mut got).await.unwrap();
    assert!(got.starts_with(&expected) && got.len() > expected.len());
    assert!(walkers.by_ring.lock().unwrap().is_empty());
}

#[tokio::test]
async fn one_walker_serves_many_before_another_is_begun() {
    let (hub, publisher, Subscription { ring, .. }) = stream().await;
    let walkers = Walkers::new(Duration::from_secs(30));
    let mut peers = Vec::new();
    for _ in 0..10 {
        let Subscription { player: place, .. } =
            hub.play(&id(), Format::Flv, Protocol::HttpFlv, peer(), false).await.unwrap();
        let (socket, there) = connection().await;
        peers.push(there);
        walkers.add(ring.clone(), NewPlayer { socket, head: Bytes::new(), place, control: None }).await;
    }
    let loads = || -> Vec<usize> {
        walkers.by_ring.lock().unwrap().values().flatten().map(|handle| handle.load.load(Relaxed)).collect()
    };
    assert_eq!(loads(), [10]);
    peers.clear();
    publisher.finish();
    walkers.finish().await;
    assert_eq!(loads(), Vec::<usize>::new());
    assert_eq!(hub.player_count(), 0);
}
