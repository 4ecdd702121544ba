//! Six hours of a broadcast in seconds: sound and picture stay together on every way out.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use millrace_flv::Depacketizer;
use millrace_hub::{
    Format, HlsFormat, HlsSnapshot, Hub, HubConfig, Packet, Protocol, Publisher, PublisherMeta, Read, ResourceName,
    Ring, StreamId, Turn,
};
use shiguredo_mp4::{TrackKind, demux::Fmp4SegmentDemuxer};

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

/// The clock by which the sound is sampled: AAC at 44.1 kHz, as the encoder takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sound {
    /// As exact as that of the pictures.
    Exact,
    /// 100 millionths fast. Frames are stamped when they come, a little less than their length apart.
    FastByStamps,
    /// 100 millionths fast. Frames are stamped by their samples, and run ahead of the pictures' clock.
    FastByCount,
}

impl Sound {
    /// When a frame is heard, as it is stamped.
    fn stamp(self, n: i64) -> i64 {
        let by_count = n * 1024 * SECOND / 44_100;
        if self == Self::FastByStamps { without_drift(by_count) } else { by_count }
    }

    /// When it is sent, by the pictures' clock.
    fn comes(self, n: i64) -> i64 {
        let by_count = n * 1024 * SECOND / 44_100;
        if self == Self::Exact { by_count } else { without_drift(by_count) }
    }
}

fn without_drift(at: i64) -> i64 {
    at - at / 10_000
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
    sound: Sound,
    video: Option<i64>,
    audio: Option<i64>,
    checked: u64,
}

impl Shifts {
    fn new(way: &'static str) -> Self {
        Self { way, sound: Sound::Exact, video: None, audio: None, checked: 0 }
    }

    fn picture(&mut self, n: i64, at: i64) {
        self.video = Some(at - picture(n).1);
        self.check(n);
    }

    fn sound(&mut self, n: i64, at: i64) {
        self.audio = Some(at - self.sound.stamp(n));
        self.check(n);
    }

    fn check(&mut self, n: i64) {
        if let (Some(video), Some(audio)) = (self.video, self.audio) {
            assert!(
                (video - audio).abs() <= APART,
                "{}: {} ns apart at {n}, {:?}",
                self.way,
                video - audio,
                self.sound
            );
            self.checked += 1;
        }
    }

    fn next_publisher(&mut self, sound: Sound) {
        (self.video, self.audio, self.sound) = (None, None, sound);
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

/// Reads fragments, each a `moof` and an `mdat` of one track.
fn read_cmaf(init: &[u8], segment: &[u8], shifts: &mut Shifts) {
    let mut demuxer = Fmp4SegmentDemuxer::new();
    demuxer.handle_init_segment(init).unwrap();
    let box_at = |at: usize| u32::from_be_bytes(segment[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 0;
    while at < segment.len() {
        let mdat = at + box_at(at);
        let fragment = &segment[at..mdat + box_at(mdat)];
        at += fragment.len();
        for sample in demuxer.handle_media_segment(fragment).unwrap() {
            let payload = &fragment[usize::try_from(sample.data_offset).unwrap()..][..sample.data_size];
            let ticks = i128::from(sample.timestamp) + i128::from(sample.composition_time_offset.unwrap_or(0));
            let at = i64::try_from(ticks * i128::from(SECOND) / i128::from(sample.track.timescale.get())).unwrap();
            match sample.track.kind {
                TrackKind::Video => shifts.picture(read_number(&payload[5..]), at),
                TrackKind::Audio => shifts.sound(read_number(payload), at),
                other => panic!("{other:?}"),
            }
        }
    }
}

struct Encoder {
    publisher: Publisher,
    sound: Sound,
    depacketizer: Depacketizer,
    clock: u32,
    pictures: i64,
    sounds: i64,
}

impl Encoder {
    /// An encoder whose clock shows `clock` now.
    async fn connect(hub: &Hub, clock: u32, sound: Sound) -> Self {
        let meta = PublisherMeta { peer: "127.0.0.1:4000".parse().unwrap(), encoder: None, takeover: true };
        let publisher = hub.publish(&id(), meta).await.unwrap();
        let mut encoder = Self { publisher, sound, depacketizer: Depacketizer::new(), clock, pictures: 0, sounds: 0 };
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
            let (n, (dts, pts), comes) = (self.pictures, picture(self.pictures), self.sound.comes(self.sounds));
            if dts.min(comes) >= end {
                return;
            }
            if dts <= comes {
                let [.., a, b, c] = (pts / 1_000_000 - dts / 1_000_000).to_be_bytes();
                let (kind, nal) = if n % 60 == 1 || n == 0 { (0x17, 0x65) } else { (0x27, 0x41) };
                let body = [&[kind, 1, a, b, c, 0, 0, 0, 5, nal], &number(n)[..]].concat();
                self.send(true, dts, &body).await;
                self.pictures += 1;
            } else {
                let body = [&[0xaf, 1], &number(self.sounds)[..]].concat();
                self.send(false, self.sound.stamp(self.sounds), &body).await;
                self.sounds += 1;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sound_and_picture_stay_together_for_six_hours_over_the_wrap_of_the_clock_and_a_return() {
    broadcast([Sound::Exact, Sound::Exact]).await;
}

#[tokio::test(start_paused = true)]
async fn sound_whose_clock_runs_fast_for_six_hours_is_where_its_stamps_say_without_a_break() {
    broadcast([Sound::FastByStamps, Sound::FastByCount]).await;
}

/// Six hours of two publishers, three each. Panics where sound and picture part against their stamps, or
/// a discontinuity is marked beside that between the publishers.
async fn broadcast(sounds: [Sound; 2]) {
    let hub = Hub::new(HubConfig::default());
    // The clock wraps after an hour of the first publisher; the second has a clock of its own.
    let mut first = Encoder::connect(&hub, u32::MAX - 3_600_000, sounds[0]).await;
    first.send_until(SECOND).await;
    let peer = "127.0.0.1:4001".parse().unwrap();
    let player = hub.play(&id(), Format::Flv, Protocol::HttpFlv, peer, false).await.unwrap();
    let mut from = player.ring.join().join.at;
    let mut flv = Shifts::new("FLV");
    let mut hls = HlsFormat::ALL.map(HlsPlayer::new);
    for player in &mut hls {
        hub.hls(&id(), player.format).await.unwrap();
    }
    let mut first = Some(first);
    for sound in sounds {
        let mut encoder = match first.take() {
            Some(first) => first,
            None => {
                // The one before is lost.
                tokio::time::sleep(Duration::from_secs(3)).await;
                read_flv(&player.ring, &mut from, &mut flv);
                for player in &mut hls {
                    player.read(&hub).await;
                }
                Encoder::connect(&hub, 77_777, sound).await
            }
        };
        flv.next_publisher(sound);
        hls.iter_mut().for_each(|player| player.shifts.next_publisher(sound));
        for second in 2..=3 * 3600 {
            encoder.send_until(second * SECOND).await;
            tokio::time::advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
            read_flv(&player.ring, &mut from, &mut flv);
            if second % 8 == 0 {
                for player in &mut hls {
                    player.read(&hub).await;
                }
            }
        }
    }
    // In MPEG-TS several frames of sound share a packet, and a time.
    let (frames, groups) = (6 * 3600 * 73, 6 * 3600 * (29 + 14));
    let [ts, cmaf] = &hls;
    for (shifts, expected) in [(&flv, frames), (&ts.shifts, groups), (&cmaf.shifts, frames)] {
        assert!(shifts.checked > expected * 99 / 100, "{}: {}", shifts.way, shifts.checked);
    }
    assert_eq!(hls.map(|player| player.discontinuities), [1, 1]);
}

/// Reads every segment of a format.
struct HlsPlayer {
    format: HlsFormat,
    newest: u64,
    discontinuities: usize,
    shifts: Shifts,
}

impl HlsPlayer {
    fn new(format: HlsFormat) -> Self {
        let way = match format {
            HlsFormat::Ts => "MPEG-TS",
            HlsFormat::Cmaf => "CMAF",
        };
        Self { format, newest: 0, discontinuities: 0, shifts: Shifts::new(way) }
    }

    async fn read(&mut self, hub: &Hub) {
        let mut reader = hub.hls(&id(), self.format).await.unwrap();
        let snapshot = reader.until(|view| view.snapshot.clone()).await.unwrap();
        let seen = self.newest;
        for segment in snapshot.segments().iter().filter(|s| s.sequence > seen) {
            assert!(self.newest == 0 || segment.sequence == self.newest + 1, "no segment is missed");
            self.newest = segment.sequence;
            self.discontinuities += usize::from(segment.discontinuity);
            let bytes = segment.content.to_vec();
            match self.format {
                HlsFormat::Ts => read_ts(&bytes, &mut self.shifts),
                HlsFormat::Cmaf => read_cmaf(&init(&snapshot), &bytes, &mut self.shifts),
            }
        }
    }
}

/// What a decoder needs first, from where the playlist says.
fn init(snapshot: &HlsSnapshot) -> Vec<u8> {
    let playlist = String::from_utf8(snapshot.playlist.to_vec()).unwrap();
    let name = playlist.split("#EXT-X-MAP:URI=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    match snapshot.resource(ResourceName::parse(name).unwrap()) {
        Turn::Now(content) => content.to_vec(),
        other => panic!("{other:?} in place of {name}"),
    }
}
