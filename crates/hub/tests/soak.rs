//! Six hours of a broadcast in seconds: sound and picture stay together on every way out.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use millrace_flv::Depacketizer;
use millrace_hub::{
    Format, HlsFormat, Hub, HubConfig, Packet, Protocol, Publisher, PublisherMeta, Read, Ring, StreamId,
};

const SECOND: i64 = 1_000_000_000;
/// How far sound and picture may part, nanoseconds.
const APART: i64 = 20_000_000;

fn id() -> StreamId {
    StreamId::parse("live", "movie").unwrap()
}

/// When a picture is decoded and shown, by its number in decoding order: 29.97 of them a second, two
/// B-frames between others, nanoseconds.
fn picture(n: i64) -> (i64, i64) {
    let at = |n: i64| n * 1001 * SECOND / 30_000;
    let shown = match n % 3 {
        _ if n == 0 => 0,
        1 => n + 2,
        _ => n - 1,
    };
    (at(n), at(shown + 1))
}

/// When a frame of sound is heard: AAC at 44.1 kHz.
fn sound(n: i64) -> i64 {
    n * 1024 * SECOND / 44_100
}

/// A number in bytes that look like no start code.
fn number(n: i64) -> [u8; 4] {
    std::array::from_fn(|i| 0x80 | (n >> (7 * i) & 0x7f) as u8)
}

fn read_number(bytes: &[u8]) -> i64 {
    bytes[..4].iter().enumerate().map(|(i, b)| i64::from(b & 0x7f) << (7 * i)).sum()
}

/// By how much the two tracks were moved on one way out.
struct Shifts {
    way: &'static str,
    video: Option<i64>,
    audio: Option<i64>,
    checked: u64,
}

impl Shifts {
    fn new(way: &'static str) -> Self {
        Self { way, video: None, audio: None, checked: 0 }
    }

    fn picture(&mut self, n: i64, at: i64) {
        self.video = Some(at - picture(n).1);
        self.check(n);
    }

    fn sound(&mut self, n: i64, at: i64) {
        self.audio = Some(at - sound(n));
        self.check(n);
    }

    fn check(&mut self, n: i64) {
        if let (Some(video), Some(audio)) = (self.video, self.audio) {
            assert!((video - audio).abs() <= APART, "{}: {} ns apart at {n}", self.way, video - audio);
            self.checked += 1;
        }
    }

    fn next_publisher(&mut self) {
        (self.video, self.audio) = (None, None);
    }
}

/// Reads FLV tags.
fn read_flv(ring: &Ring, from: &mut u64, shifts: &mut Shifts) {
    let mut packets: Vec<Packet> = Vec::new();
    assert!(matches!(ring.read(*from, usize::MAX, &mut packets), Read::Packets(_)), "the reader is quick enough");
    *from += packets.len() as u64;
    for packet in packets {
        let tag = &packet.bytes;
        let at = i64::from(u32::from_be_bytes([tag[7], tag[4], tag[5], tag[6]])) * 1_000_000;
        match (tag[0], &tag[11..]) {
            (9, [_, 1, a, b, c, nal @ ..]) => {
                let composition = i64::from(i32::from_be_bytes([*a, *b, *c, 0]) >> 8) * 1_000_000;
                shifts.picture(read_number(&nal[5..]), at + composition);
            }
            (8, [_, 1, payload @ ..]) => shifts.sound(read_number(payload), at),
            _ => {}
        }
    }
}

/// Reads a transport stream whose every PES packet fits in one packet.
fn read_ts(segment: &[u8], shifts: &mut Shifts) {
    for packet in segment.chunks_exact(188).filter(|p| p[1] & 0x40 != 0) {
        let start = if packet[3] & 0x20 == 0 { 4 } else { 5 + usize::from(packet[4]) };
        let Some([0, 0, 1, stream, pes @ ..]) = packet.get(start..) else { continue };
        let [a, b, c, d, e] = pes[5..10].try_into().unwrap();
        let [a, b, c, d, e] = [a, b, c, d, e].map(i64::from);
        let pts = (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1;
        let at = pts * 100_000 / 9;
        match stream {
            0xe0 => shifts.picture(read_number(&packet[184..]), at),
            // After the PES header, the ADTS header.
            0xc0 => shifts.sound(read_number(&pes[5 + usize::from(pes[4]) + 7..]), at),
            other => panic!("stream {other:x}"),
        }
    }
}

struct Encoder {
    publisher: Publisher,
    depacketizer: Depacketizer,
    clock: u32,
    pictures: i64,
    sounds: i64,
}

impl Encoder {
    /// An encoder whose clock shows `clock` now.
    async fn connect(hub: &Hub, clock: u32) -> Self {
        let meta = PublisherMeta { peer: "127.0.0.1:4000".parse().unwrap(), encoder: None, takeover: true };
        let publisher = hub.publish(&id(), meta).await.unwrap();
        let mut encoder = Self { publisher, depacketizer: Depacketizer::new(), clock, pictures: 0, sounds: 0 };
        let avc = [0x17, 0, 0, 0, 0, 1, 100, 0, 31, 0xff, 0xe1, 0, 2, 0x67, 0x64, 1, 0, 1, 0x68];
        encoder.send(true, 0, &avc).await;
        encoder.send(false, 0, &[0xaf, 0, 0x12, 0x10]).await;
        encoder
    }

    async fn send(&mut self, video: bool, at: i64, body: &[u8]) {
        // FLV has whole milliseconds.
        let clock = self.clock.wrapping_add((at / 1_000_000) as u32);
        let body = Bytes::copy_from_slice(body);
        let units = match video {
            true => self.depacketizer.video(clock, &body),
            false => self.depacketizer.audio(clock, &body),
        };
        for unit in units.unwrap() {
            self.publisher.send(unit).await.unwrap();
        }
    }

    /// Sends what is due until `end`.
    async fn send_until(&mut self, end: i64) {
        self.depacketizer.set_now(Duration::from_nanos(end.unsigned_abs()));
        loop {
            let (n, (dts, pts), heard) = (self.pictures, picture(self.pictures), sound(self.sounds));
            if dts.min(heard) >= end {
                return;
            }
            if dts <= heard {
                let [.., a, b, c] = (pts / 1_000_000 - dts / 1_000_000).to_be_bytes();
                let (kind, nal) = if n % 60 == 1 || n == 0 { (0x17, 0x65) } else { (0x27, 0x41) };
                let body = [&[kind, 1, a, b, c, 0, 0, 0, 5, nal], &number(n)[..]].concat();
                self.send(true, dts, &body).await;
                self.pictures += 1;
            } else {
                let body = [&[0xaf, 1], &number(self.sounds)[..]].concat();
                self.send(false, heard, &body).await;
                self.sounds += 1;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sound_and_picture_stay_together_for_six_hours_over_the_wrap_of_the_clock_and_a_return() {
    let hub = Hub::new(HubConfig::default());
    let mut flv = Shifts::new("FLV");
    let mut ts = Shifts::new("MPEG-TS");
    // The clock wraps after an hour of the first publisher; the second has a clock of its own.
    let mut encoder = Encoder::connect(&hub, u32::MAX - 3_600_000).await;
    encoder.send_until(SECOND).await;
    let player =
        hub.play(&id(), Format::Flv, Protocol::HttpFlv, "127.0.0.1:4001".parse().unwrap(), false).await.unwrap();
    let mut from = player.ring.join().join.at;
    let mut newest = 0;
    let first = tokio::spawn({
        let hub = hub.clone();
        async move { hub.hls(&id(), HlsFormat::Ts).await.map(drop) }
    });
    for run in 0..2 {
        for second in 2..=3 * 3600 {
            encoder.send_until(second * SECOND).await;
            tokio::time::advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
            read_flv(&player.ring, &mut from, &mut flv);
            if second % 8 == 0 {
                read_hls(&hub, &mut newest, &mut ts).await;
            }
        }
        if run == 0 {
            drop(encoder);
            tokio::time::sleep(Duration::from_secs(3)).await;
            read_flv(&player.ring, &mut from, &mut flv);
            read_hls(&hub, &mut newest, &mut ts).await;
            flv.next_publisher();
            ts.next_publisher();
            encoder = Encoder::connect(&hub, 77_777).await;
        } else {
            drop(encoder);
            break;
        }
    }
    assert!(first.await.unwrap().is_ok());
    let (frames, groups) = (6 * 3600 * 73, 6 * 3600 * (29 + 14));
    assert!(flv.checked > frames * 99 / 100, "{}", flv.checked);
    assert!(ts.checked > groups * 99 / 100, "{}", ts.checked);
}

async fn read_hls(hub: &Hub, newest: &mut u64, shifts: &mut Shifts) {
    let mut reader = hub.hls(&id(), HlsFormat::Ts).await.unwrap();
    let snapshot = reader.until(|view| view.snapshot.clone()).await.unwrap();
    let seen = *newest;
    for segment in snapshot.segments().iter().filter(|s| s.sequence > seen) {
        assert!(*newest == 0 || segment.sequence == *newest + 1, "no segment is missed");
        read_ts(&segment.content.to_vec(), shifts);
        *newest = segment.sequence;
    }
}
