//! Packets and adaptation fields (ISO/IEC 13818-1, 2.4.3), PES headers (2.4.3.6).

/// Length of a transport stream packet, bytes.
pub const PACKET_LEN: usize = 188;

/// A packet identifier and the continuity counter of the packets under it.
#[derive(Debug)]
pub(crate) struct Stream {
    pid: u16,
    next: u8,
}

/// What the first packet of a payload says in its adaptation field.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Adaptation {
    pub(crate) random_access: bool,
    pub(crate) clock: Option<Clock>,
}

/// A program clock reference, in ticks of 90 kHz, not wrapped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) at: i64,
    /// It does not continue from the one before.
    pub(crate) discontinuity: bool,
}

/// A PES header (2.4.3.6).
#[derive(Debug, Clone, Copy)]
pub(crate) struct PesHeader {
    pub(crate) stream_id: u8,
    /// In ticks of 90 kHz, not wrapped.
    pub(crate) pts: i64,
    /// In ticks of 90 kHz, not wrapped; written only where it differs from `pts`.
    pub(crate) dts: i64,
}

impl Stream {
    pub(crate) const fn new(pid: u16) -> Self {
        Self { pid, next: 0 }
    }

    /// One packet that carries nothing but the clock; it does not count for continuity.
    pub(crate) fn write_clock(&self, out: &mut Vec<u8>, clock: Clock) {
        let [hi, lo] = self.pid.to_be_bytes();
        out.extend_from_slice(&[SYNC, hi, lo, 0x20 | (self.next.wrapping_sub(1) & 0x0f)]);
        let adaptation = Adaptation { random_access: false, clock: Some(clock) };
        adaptation.write(out, PACKET_LEN - HEADER_LEN);
    }

    /// A table that fits one packet, with its pointer field.
    pub(crate) fn write_section(&mut self, out: &mut Vec<u8>, section: &[u8]) {
        debug_assert!(section.len() < PACKET_LEN - HEADER_LEN);
        let start = out.len();
        let [hi, lo] = self.pid.to_be_bytes();
        out.extend_from_slice(&[SYNC, 0x40 | hi, lo, 0x10 | self.count(), 0]);
        out.extend_from_slice(section);
        out.resize(start + PACKET_LEN, STUFFING); // after a section, ff fills the packet (2.4.4)
    }

    /// Begins a payload whose length, `total`, is known; exactly that much must then be written.
    pub(crate) fn begin<'a>(
        &'a mut self,
        out: &'a mut Vec<u8>,
        adaptation: Adaptation,
        total: usize,
    ) -> PayloadWriter<'a> {
        let first = PACKET_LEN - HEADER_LEN - adaptation.len();
        let packets = 1 + total.saturating_sub(first).div_ceil(PACKET_LEN - HEADER_LEN);
        out.reserve(packets * PACKET_LEN);
        let mut writer = PayloadWriter { stream: self, out, remaining: total, room: 0 };
        writer.start_packet(0x40, adaptation);
        writer
    }

    fn count(&mut self) -> u8 {
        let counter = self.next;
        self.next = (self.next + 1) & 0x0f;
        counter
    }
}

/// Spreads a payload over packets as its parts come; the last packet is filled by stuffing in front.
pub(crate) struct PayloadWriter<'a> {
    stream: &'a mut Stream,
    out: &'a mut Vec<u8>,
    remaining: usize,
    room: usize,
}

impl PayloadWriter<'_> {
    pub(crate) fn write(&mut self, mut data: &[u8]) {
        debug_assert!(data.len() <= self.remaining);
        while !data.is_empty() {
            if self.room == 0 {
                self.start_packet(0, Adaptation::default());
            }
            let (now, later) = data.split_at(self.room.min(data.len()));
            self.out.extend_from_slice(now);
            self.room -= now.len();
            self.remaining -= now.len();
            data = later;
        }
    }

    /// Asserts that what was announced has come: else the last packet would be short.
    pub(crate) fn finish(self) {
        debug_assert_eq!((self.remaining, self.room), (0, 0));
    }

    fn start_packet(&mut self, unit_start: u8, adaptation: Adaptation) {
        let least = adaptation.len();
        let room = (PACKET_LEN - HEADER_LEN - least).min(self.remaining);
        let field = PACKET_LEN - HEADER_LEN - room;
        let [hi, lo] = self.stream.pid.to_be_bytes();
        let control = if field > 0 { 0x30 } else { 0x10 };
        self.out.extend_from_slice(&[SYNC, unit_start | hi, lo, control | self.stream.count()]);
        if field > 0 {
            adaptation.write(self.out, field);
        }
        self.room = room;
    }
}

impl Adaptation {
    /// Bytes that the field needs at least, its length included.
    fn len(&self) -> usize {
        match (self.clock, self.random_access) {
            (Some(_), _) => 8,
            (None, true) => 2,
            (None, false) => 0,
        }
    }

    /// Writes the field so that it takes `len` bytes, its length included. A field of one byte
    /// is the length alone, 0.
    fn write(&self, out: &mut Vec<u8>, len: usize) {
        debug_assert!(len >= self.len().max(1) && len <= PACKET_LEN - HEADER_LEN);
        let start = out.len();
        #[allow(clippy::cast_possible_truncation)] // at most 184
        out.push((len - 1) as u8);
        if len == 1 {
            return;
        }
        let mut flags = u8::from(self.random_access) << 6;
        if let Some(clock) = self.clock {
            flags |= 0x10 | u8::from(clock.discontinuity) << 7;
        }
        out.push(flags);
        if let Some(clock) = self.clock {
            // 33 bits of base, 6 reserved, 9 of extension: the clock is kept in whole ticks of the base.
            let field = (wrap(clock.at) << 15) | 0x3f << 9;
            out.extend_from_slice(&field.to_be_bytes()[2..]);
        }
        out.resize(start + len, STUFFING);
    }
}

impl PesHeader {
    /// Bytes that [`Self::write`] writes.
    pub(crate) fn len(&self) -> usize {
        if wrap(self.pts) == wrap(self.dts) { 14 } else { 19 }
    }

    /// Writes the header of a packet with `payload` bytes. A length that the field cannot hold is
    /// written as 0, "unbounded", which is allowed for video alone.
    pub(crate) fn write(&self, out: &mut PayloadWriter<'_>, payload: usize) {
        let optional = self.len() - 9;
        let length = u16::try_from(payload + 3 + optional).unwrap_or(0).to_be_bytes();
        let with_dts = optional == 10;
        #[allow(clippy::cast_possible_truncation)] // 5 or 10
        let fixed = [
            0,
            0,
            1,
            self.stream_id,
            length[0],
            length[1],
            0x84, // marker bits; the payload begins with an access unit
            if with_dts { 0xc0 } else { 0x80 },
            optional as u8,
        ];
        out.write(&fixed);
        if with_dts {
            out.write(&timestamp(0x30, self.pts));
            out.write(&timestamp(0x10, self.dts));
        } else {
            out.write(&timestamp(0x20, self.pts));
        }
    }
}

const HEADER_LEN: usize = 4;
const SYNC: u8 = 0x47;
const STUFFING: u8 = 0xff;

/// The 33 bits that a timestamp has in the stream.
#[allow(clippy::cast_sign_loss)] // two's complement is the wrap that is wanted
pub(crate) const fn wrap(ticks: i64) -> u64 {
    ticks as u64 & ((1 << 33) - 1)
}

/// 33 bits in five bytes with marker bits (2.4.3.7).
#[allow(clippy::cast_possible_truncation)] // each shift is masked to the bits of its byte
fn timestamp(prefix: u8, ticks: i64) -> [u8; 5] {
    let t = wrap(ticks);
    [
        prefix | ((t >> 29) as u8 & 0x0e) | 1,
        (t >> 22) as u8,
        ((t >> 14) as u8 & 0xfe) | 1,
        (t >> 7) as u8,
        ((t << 1) as u8 & 0xfe) | 1,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads packets back by the letter of 2.4.3.2, independent of the writer.
    fn payloads(ts: &[u8]) -> Vec<(bool, u8, Option<u64>, Vec<u8>)> {
        assert_eq!(ts.len() % PACKET_LEN, 0);
        ts.chunks(PACKET_LEN)
            .map(|p| {
                assert_eq!(p[0], 0x47);
                let (mut at, mut clock) = (4, None);
                if p[3] & 0x20 != 0 {
                    let len = usize::from(p[4]);
                    at = 5 + len;
                    assert!(at <= PACKET_LEN);
                    if len > 0 {
                        let mut stuffing = 6;
                        if p[5] & 0x10 != 0 {
                            let base = p[6..11].iter().fold(0u64, |v, b| v << 8 | u64::from(*b)) >> 7;
                            clock = Some(base);
                            stuffing += 6;
                        }
                        assert!(p[stuffing..at].iter().all(|b| *b == 0xff));
                    }
                }
                let payload = if p[3] & 0x10 != 0 { p[at..].to_vec() } else { Vec::new() };
                assert_eq!(p[3] & 0x10 != 0, !payload.is_empty());
                (p[1] & 0x40 != 0, p[3] & 0x0f, clock, payload)
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        /// Every length up to three packets and a bit, with every kind of adaptation field.
        #[test]
        fn any_length_in_any_parts(part in 1usize..200, fill: u8) {
            for total in 1..600 {
                for adaptation in [
                    Adaptation::default(),
                    Adaptation { random_access: true, clock: None },
                    Adaptation { random_access: true, clock: Some(Clock { at: 1 << 32, discontinuity: true }) },
                ] {
                    let data: Vec<u8> = (0..total).map(|i| (i as u8).wrapping_add(fill)).collect();
                    let mut stream = Stream::new(0x100);
                    let mut out = Vec::new();
                    let mut writer = stream.begin(&mut out, adaptation, total);
                    data.chunks(part).for_each(|c| writer.write(c));
                    writer.finish();
                    let read = payloads(&out);
                    prop_assert_eq!(read.iter().flat_map(|p| p.3.clone()).collect::<Vec<_>>(), data);
                    prop_assert!(read.iter().enumerate().all(|(i, p)| p.0 == (i == 0) && usize::from(p.1) == i % 16));
                    prop_assert_eq!(read[0].2, adaptation.clock.map(|_| 1 << 32));
                }
            }
        }

        #[test]
        fn timestamps_wrap_at_33_bits(t: i64) {
            let b = timestamp(0x20, t);
            let read = u64::from(b[0] >> 1 & 7) << 30 | u64::from(b[1]) << 22 | u64::from(b[2] >> 1) << 15
                | u64::from(b[3]) << 7 | u64::from(b[4] >> 1);
            prop_assert_eq!(read, t.rem_euclid(1 << 33) as u64);
            prop_assert!(b[0] & 1 == 1 && b[2] & 1 == 1 && b[4] & 1 == 1);
        }
    }

    #[test]
    fn a_clock_packet_repeats_the_last_counter() {
        let mut stream = Stream::new(0x1ff);
        let mut out = Vec::new();
        let mut writer = stream.begin(&mut out, Adaptation::default(), 10);
        writer.write(&[1; 10]);
        writer.finish();
        stream.write_clock(&mut out, Clock { at: 90_000, discontinuity: false });
        let read = payloads(&out);
        assert_eq!((read[1].1, read[1].2, read[1].3.len()), (0, Some(90_000), 0));
    }

    #[test]
    fn pes_lengths() {
        let write = |payload: usize| {
            let header = PesHeader { stream_id: 0xe0, pts: 3600, dts: 0 };
            let (mut stream, mut out) = (Stream::new(0x100), Vec::new());
            let mut writer = stream.begin(&mut out, Adaptation::default(), header.len());
            header.write(&mut writer, payload);
            writer.finish();
            let pes = payloads(&out).remove(0).3;
            u16::from_be_bytes([pes[4], pes[5]])
        };
        assert_eq!(write(100), 113);
        assert_eq!(write(65_535 - 13), 65_535);
        assert_eq!(write(65_535 - 12), 0);
    }
}
