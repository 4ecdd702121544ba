//! A small TR 101 290 monitor, written from ISO/IEC 13818-1 and sharing nothing with the muxer.
//!
//! Time in it is that of the program clock: a packet between two clocks arrives at the moment that
//! its place between them says (2.4.2.2).

use std::collections::BTreeMap;

/// What was found in a stream without errors.
#[derive(Debug, Default)]
pub struct Report {
    pub video: Vec<Pes>,
    pub audio: Vec<Pes>,
    pub video_type: Option<u8>,
    pub audio_type: Option<u8>,
    /// `PCR_PID` and the version of each map that differs from the one before.
    pub maps: Vec<(u16, u8)>,
    /// Program clocks in ticks of 90 kHz, unwrapped, with their discontinuity indicator.
    pub clocks: Vec<(i64, bool)>,
    /// Longest time between two program clocks, ms, discontinuities excepted.
    pub clock_interval: f64,
    /// Longest time between two maps, ms, discontinuities excepted.
    pub tables_interval: f64,
    pub packets: usize,
    pub table_packets: usize,
}

#[derive(Clone)]
pub struct Pes {
    /// In ticks of 90 kHz, unwrapped.
    pub pts: i64,
    pub dts: i64,
    pub random_access: bool,
    pub payload: Vec<u8>,
    /// From the arrival of its last packet to its DTS, ms; none after the last clock.
    pub early: Option<f64>,
}

/// Reads a stream from its first packet; panics at the first error, saying where.
pub fn check(ts: &[u8]) -> Report {
    assert_eq!(ts.len() % 188, 0, "whole packets");
    let mut m = Monitor { arrivals: arrivals(ts), ..Monitor::default() };
    for (n, p) in ts.chunks(188).enumerate() {
        m.packet(n, p);
    }
    m.finish()
}

impl std::fmt::Debug for Pes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}: {} bytes, {:?} ms early", self.dts, self.pts, self.payload.len(), self.early)
    }
}

#[derive(Default)]
struct Monitor {
    report: Report,
    arrivals: Vec<Option<(usize, f64)>>,
    counters: BTreeMap<u16, u8>,
    open: BTreeMap<u16, (Vec<u8>, bool, usize)>,
    pmt_pid: Option<u16>,
    clock_pid: Option<u16>,
    streams: BTreeMap<u16, u8>,
    last_map: Option<(usize, f64)>,
    last_dts: BTreeMap<u16, i64>,
    epoch: usize,
}

impl Monitor {
    fn packet(&mut self, n: usize, p: &[u8]) {
        self.report.packets += 1;
        assert_eq!(p[0], 0x47, "sync byte of packet {n}");
        assert_eq!(p[1] & 0x80, 0, "transport error in packet {n}");
        assert_eq!(p[3] & 0xc0, 0, "scrambling in packet {n}");
        let pid = u16::from_be_bytes([p[1] & 0x1f, p[2]]);
        let start = p[1] & 0x40 != 0;
        let control = p[3] >> 4 & 3;
        assert_ne!(control, 0, "adaptation_field_control of packet {n}");
        let counter = p[3] & 0x0f;
        let has_payload = control & 1 != 0;
        if let Some(last) = self.counters.insert(pid, counter) {
            let expected = if has_payload { (last + 1) & 0x0f } else { last };
            assert_eq!(counter, expected, "continuity of PID {pid:#x} in packet {n}");
        }
        let mut at = 4;
        let (mut random_access, mut clock) = (false, None);
        if control & 2 != 0 {
            let len = usize::from(p[4]);
            assert!(if has_payload { len <= 182 } else { len == 183 }, "adaptation field of {len} in packet {n}");
            at = 5 + len;
            if len > 0 {
                random_access = p[5] & 0x40 != 0;
                if p[5] & 0x10 != 0 {
                    clock = Some((base(p), p[5] & 0x80 != 0));
                }
            }
        }
        if let Some((base, discontinuity)) = clock {
            self.clock(n, pid, base, discontinuity);
        }
        if !has_payload {
            return;
        }
        match pid {
            0 => self.association(n, &p[at..], start),
            _ if Some(pid) == self.pmt_pid => self.map(n, &p[at..], start),
            _ => {
                assert!(self.streams.contains_key(&pid), "PID {pid:#x} of packet {n} is in no map");
                if start {
                    self.end_pes(pid);
                    self.open.insert(pid, (p[at..].to_vec(), random_access, n));
                } else {
                    let open = self.open.get_mut(&pid).unwrap_or_else(|| panic!("packet {n} continues nothing"));
                    open.0.extend_from_slice(&p[at..]);
                    open.2 = n;
                }
            }
        }
    }

    fn clock(&mut self, n: usize, pid: u16, base: u64, discontinuity: bool) {
        assert_eq!(Some(pid), self.clock_pid, "clock of packet {n} on another PID than the map says");
        let last = self.report.clocks.last().map(|c| c.0);
        let at = last.map_or(base as i64, |last| unwrap(base, last));
        if let Some(last) = last.filter(|_| !discontinuity) {
            let interval = (at - last) as f64 / 90.0;
            assert!(interval > 0.0, "clock of packet {n} goes back by {interval} ms");
            assert!(interval <= 100.0, "clock of packet {n} comes after {interval} ms");
            self.report.clock_interval = self.report.clock_interval.max(interval);
        }
        self.epoch += usize::from(discontinuity);
        self.report.clocks.push((at, discontinuity));
    }

    fn association(&mut self, n: usize, payload: &[u8], start: bool) {
        self.report.table_packets += 1;
        let section = section(n, payload, start, 0x00);
        assert_eq!(section.len(), 8 + 4 + 4, "one program in packet {n}");
        assert_eq!(section[8..10], [0, 1], "program number in packet {n}");
        let pid = u16::from_be_bytes([section[10] & 0x1f, section[11]]);
        assert!(self.pmt_pid.is_none_or(|p| p == pid), "map on another PID");
        self.pmt_pid = Some(pid);
    }

    fn map(&mut self, n: usize, payload: &[u8], start: bool) {
        self.report.table_packets += 1;
        let section = section(n, payload, start, 0x02);
        let clock_pid = u16::from_be_bytes([section[8] & 0x1f, section[9]]);
        let version = section[5] >> 1 & 0x1f;
        let mut streams = BTreeMap::new();
        let mut at = 12 + (usize::from(section[10] & 0x0f) << 8 | usize::from(section[11]));
        while at < section.len() - 4 {
            let pid = u16::from_be_bytes([section[at + 1] & 0x1f, section[at + 2]]);
            streams.insert(pid, section[at]);
            at += 5 + (usize::from(section[at + 3] & 0x0f) << 8 | usize::from(section[at + 4]));
        }
        if self.report.maps.last() != Some(&(clock_pid, version)) {
            self.report.maps.push((clock_pid, version));
        } else {
            assert_eq!(streams, self.streams, "the map of packet {n} changed without a new version");
        }
        for stream_type in streams.values() {
            match stream_type {
                0x1b | 0x24 => self.report.video_type = Some(*stream_type),
                0x0f | 0x03 | 0x04 | 0x81 | 0x87 => self.report.audio_type = Some(*stream_type),
                other => panic!("stream type {other:#x} in packet {n}"),
            }
        }
        self.streams = streams;
        self.clock_pid = Some(clock_pid);
        if let Some((epoch, at)) = self.arrivals[n] {
            if let Some((last_epoch, last)) = self.last_map
                && last_epoch == epoch
            {
                self.report.tables_interval = self.report.tables_interval.max(at - last);
            }
            self.last_map = Some((epoch, at));
        }
    }

    fn end_pes(&mut self, pid: u16) {
        let Some((bytes, random_access, last_packet)) = self.open.remove(&pid) else { return };
        assert_eq!(bytes[..3], [0, 0, 1], "PES start code before packet {last_packet}");
        let video = bytes[3] == 0xe0;
        assert!(video || matches!(bytes[3], 0xc0 | 0xbd), "stream_id {:#x}", bytes[3]);
        assert_eq!(bytes[6] & 0xc0, 0x80);
        let length = usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
        assert!(length == bytes.len() - 6 || (video && length == 0), "PES length {length} of {}", bytes.len());
        let header = 9 + usize::from(bytes[8]);
        let last = self.last_dts.get(&pid).copied().or_else(|| self.report.clocks.first().map(|c| c.0)).unwrap_or(0);
        let pts = unwrap(timestamp(&bytes[9..14]), last);
        let dts = match bytes[7] >> 6 {
            2 => {
                assert_eq!((bytes[9] >> 4, header), (2, 14));
                pts
            }
            3 => {
                assert_eq!((bytes[9] >> 4, bytes[14] >> 4, header), (3, 1, 19));
                unwrap(timestamp(&bytes[14..19]), last)
            }
            flags => panic!("PTS_DTS_flags {flags}"),
        };
        assert!(pts >= dts, "PTS {pts} before DTS {dts}");
        let payload = bytes[header..].to_vec();
        if video {
            let (delimiter, set): (&[u8], _) = match self.streams.get(&pid) {
                Some(0x24) => (&[0, 0, 0, 1, 0x46, 1, 0x50], 0x40),
                _ => (&[0, 0, 0, 1, 9, 0xf0], 0x67),
            };
            let rest = payload.strip_prefix(delimiter).expect("a delimiter begins the access unit");
            assert!(!random_access || rest.starts_with(&[0, 0, 0, 1, set]), "parameter sets where decoding begins");
        } else if self.streams.get(&pid) == Some(&0x0f) {
            assert!(adts_frames(&payload) > 0);
        }
        let early = self.arrivals[last_packet].map(|(_, at)| dts as f64 / 90.0 - at);
        self.last_dts.insert(pid, dts);
        let pes = Pes { pts, dts, random_access, payload, early };
        if video { &mut self.report.video } else { &mut self.report.audio }.push(pes);
    }

    fn finish(mut self) -> Report {
        for pid in self.open.keys().copied().collect::<Vec<_>>() {
            self.end_pes(pid);
        }
        self.report
    }
}

impl Report {
    /// DTS rises, and every access unit has arrived before it.
    pub fn assert_in_time(&self) {
        for track in [&self.video, &self.audio] {
            for pair in track.windows(2) {
                assert!(pair[1].dts > pair[0].dts, "DTS {} after {}", pair[1].dts, pair[0].dts);
            }
            for pes in track {
                assert!(pes.early.is_none_or(|early| early > 0.0), "DTS {} came {:?} ms early", pes.dts, pes.early);
            }
        }
    }

    pub fn adts_frames(&self) -> usize {
        self.audio.iter().map(|pes| adts_frames(&pes.payload)).sum()
    }
}

/// Number of ADTS frames, which must fill the payload.
pub fn adts_frames(mut payload: &[u8]) -> usize {
    let mut n = 0;
    while !payload.is_empty() {
        assert!(payload.len() >= 7 && payload[0] == 0xff && payload[1] & 0xf6 == 0xf0, "ADTS sync");
        let len = usize::from(payload[3] & 3) << 11 | usize::from(payload[4]) << 3 | usize::from(payload[5] >> 5);
        payload = &payload[len..];
        n += 1;
    }
    n
}

/// When each packet arrives: the epoch (a discontinuity begins another) and ms. None before the
/// first clock and after the last.
fn arrivals(ts: &[u8]) -> Vec<Option<(usize, f64)>> {
    let mut arrivals = vec![None; ts.len() / 188];
    let mut last: Option<(usize, i64)> = None;
    let mut epoch = 0;
    for (n, p) in ts.chunks(188).enumerate() {
        if p[3] & 0x20 == 0 || p[4] == 0 || p[5] & 0x10 == 0 {
            continue;
        }
        if p[5] & 0x80 != 0 {
            epoch += 1;
            last = Some((n, last.map_or(base(p) as i64, |(_, l)| unwrap(base(p), l))));
        } else {
            let at = last.map_or(base(p) as i64, |(_, l)| unwrap(base(p), l));
            if let Some((first, from)) = last {
                for (i, arrival) in arrivals[first..n].iter_mut().enumerate() {
                    let part = i as f64 / (n - first) as f64;
                    *arrival = Some((epoch, (from as f64 + (at - from) as f64 * part) / 90.0));
                }
            }
            last = Some((n, at));
        }
        arrivals[n] = last.map(|(_, at)| (epoch, at as f64 / 90.0));
    }
    arrivals
}

fn section(n: usize, payload: &[u8], start: bool, table_id: u8) -> &[u8] {
    assert!(start && payload[0] == 0, "a section begins packet {n}");
    let section = &payload[1..];
    assert_eq!(section[0], table_id, "table of packet {n}");
    assert_eq!(section[1] & 0xf0, 0xb0);
    let len = 3 + (usize::from(section[1] & 0x0f) << 8 | usize::from(section[2]));
    assert_eq!(crc(&section[..len]), 0, "CRC of packet {n}");
    assert_eq!(section[5] & 1, 1, "table in force");
    assert!(section[len..].iter().all(|b| *b == 0xff), "stuffing of packet {n}");
    &section[..len]
}

/// Bit by bit, as annex A draws it.
fn crc(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        for bit in (0..8).rev() {
            let high = crc >> 31 ^ u32::from(byte >> bit & 1);
            crc = crc << 1 ^ if high != 0 { 0x04c1_1db7 } else { 0 };
        }
    }
    crc
}

fn base(p: &[u8]) -> u64 {
    assert_eq!(p[10] & 0x7e, 0x7e, "reserved bits of the clock");
    p[6..11].iter().fold(0, |v, b| v << 8 | u64::from(*b)) >> 7
}

fn timestamp(b: &[u8]) -> u64 {
    assert!(b[0] & 1 == 1 && b[2] & 1 == 1 && b[4] & 1 == 1, "marker bits");
    u64::from(b[0] >> 1 & 7) << 30
        | u64::from(b[1]) << 22
        | u64::from(b[2] >> 1) << 15
        | u64::from(b[3]) << 7
        | u64::from(b[4] >> 1)
}

/// The value nearest to `near` that has these 33 bits.
fn unwrap(bits: u64, near: i64) -> i64 {
    let period = 1i64 << 33;
    let step = (bits as i64 - near).rem_euclid(period);
    near + if step >= period / 2 { step - period } else { step }
}
