//! Program association and program map tables (ISO/IEC 13818-1, 2.4.4).

use crate::packet::Stream;

/// What the program map table lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Program {
    /// `stream_type` of the video stream.
    pub(crate) video: Option<u8>,
    /// `stream_type` of the audio stream.
    pub(crate) audio: Option<u8>,
    /// Format identifier of the audio stream's registration descriptor.
    pub(crate) audio_registration: Option<[u8; 4]>,
}

impl Program {
    /// The stream whose packets carry the program clock.
    pub(crate) fn clock_pid(&self) -> u16 {
        if self.video.is_some() { VIDEO_PID } else { AUDIO_PID }
    }
}

/// Both tables, and the version that tells players of a change.
#[derive(Debug)]
pub(crate) struct Tables {
    pat: Stream,
    pmt: Stream,
    program: Program,
    version: u8,
    written: bool,
}

impl Tables {
    pub(crate) fn new() -> Self {
        Self { pat: Stream::new(0), pmt: Stream::new(PMT_PID), program: Program::default(), version: 0, written: false }
    }

    pub(crate) fn program(&self) -> Program {
        self.program
    }

    /// Sets what the map lists from now on; true where that is a change that must be announced.
    pub(crate) fn set(&mut self, program: Program) -> bool {
        let changed = self.program != program && self.written;
        if changed {
            self.version = (self.version + 1) & 0x1f;
            self.written = false;
        }
        self.program = program;
        changed
    }

    pub(crate) fn write(&mut self, out: &mut Vec<u8>) {
        let pat = Section::new(0x00, TRANSPORT_STREAM_ID, 0).u16(PROGRAM).u16(0xe000 | PMT_PID).finish();
        self.pat.write_section(out, pat.bytes());
        let mut pmt = Section::new(0x02, PROGRAM, self.version).u16(0xe000 | self.program.clock_pid()).u16(0xf000);
        if let Some(stream_type) = self.program.video {
            pmt = pmt.u8(stream_type).u16(0xe000 | VIDEO_PID).u16(0xf000);
        }
        if let Some(stream_type) = self.program.audio {
            pmt = pmt.u8(stream_type).u16(0xe000 | AUDIO_PID);
            pmt = match self.program.audio_registration {
                Some(format) => format.iter().fold(pmt.u16(0xf006).u8(REGISTRATION).u8(4), |pmt, b| pmt.u8(*b)),
                None => pmt.u16(0xf000),
            };
        }
        self.pmt.write_section(out, pmt.finish().bytes());
        self.written = true;
    }
}

pub(crate) const VIDEO_PID: u16 = 0x100;
pub(crate) const AUDIO_PID: u16 = 0x101;
const PMT_PID: u16 = 0x1000;
const PROGRAM: u16 = 1;
const TRANSPORT_STREAM_ID: u16 = 1;

const REGISTRATION: u8 = 5;
/// The longest section that is written: a map of two streams, one with a descriptor.
const MAX_SECTION: usize = 8 + 4 + 2 * 5 + 6 + 4;

/// A section in the making (2.4.4.11): long form, current, the only one of its table.
struct Section {
    data: [u8; MAX_SECTION],
    len: usize,
}

impl Section {
    fn new(table_id: u8, extension: u16, version: u8) -> Self {
        let section = Self { data: [0; MAX_SECTION], len: 0 };
        section.u8(table_id).u16(0).u16(extension).u8(0xc1 | version << 1).u16(0)
    }

    fn u8(mut self, v: u8) -> Self {
        self.data[self.len] = v;
        self.len += 1;
        self
    }

    fn u16(self, v: u16) -> Self {
        let [hi, lo] = v.to_be_bytes();
        self.u8(hi).u8(lo)
    }

    fn finish(mut self) -> Self {
        #[allow(clippy::cast_possible_truncation)] // at most MAX_SECTION
        let rest = (self.len + 4 - 3) as u8;
        self.data[1..3].copy_from_slice(&[0xb0, rest]);
        let [a, b, c, d] = crc32(&self.data[..self.len]).to_be_bytes();
        self.u8(a).u8(b).u8(c).u8(d)
    }

    fn bytes(&self) -> &[u8] {
        &self.data[..self.len]
    }
}

/// The CRC of annex A: polynomial 04c11db7, all ones first, neither reflected nor inverted.
fn crc32(data: &[u8]) -> u32 {
    data.iter().fold(!0, |crc, byte| crc << 8 ^ CRC_TABLE[usize::from((crc >> 24) as u8 ^ byte)])
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = (i as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 << 31 != 0 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_check_value() {
        // CRC-32/MPEG-2 in the catalogue of parametrised CRC algorithms: check 0376e6e7.
        assert_eq!(crc32(b"123456789"), 0x0376_e6e7);
    }

    #[test]
    fn pat_as_specified() {
        let mut out = Vec::new();
        Tables::new().write(&mut out);
        // The same table as other muxers write for program 1 on PID 1000, CRC included.
        assert_eq!(
            out[..21],
            [0x47, 0x40, 0, 0x10, 0, 0, 0xb0, 0x0d, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 0x2a, 0xb1, 0x04, 0xb2]
        );
        assert!(out[21..188].iter().all(|b| *b == 0xff));
    }

    #[test]
    fn the_version_moves_with_what_was_announced() {
        let mut t = Tables::new();
        let audio = Program { audio: Some(0x0f), ..Program::default() };
        let both = Program { video: Some(0x1b), ..audio };
        assert!(!t.set(audio), "nothing was announced yet");
        t.write(&mut Vec::new());
        assert!(!t.set(audio));
        assert_eq!(t.version, 0);
        assert!(t.set(both));
        assert_eq!(t.version, 1);
        let mut out = Vec::new();
        t.write(&mut out);
        let pmt = &out[188..];
        assert_eq!(pmt[5..12], [2, 0xb0, 23, 0, 1, 0xc3, 0]);
        assert_eq!(pmt[13..17], [0xe1, 0x00, 0xf0, 0x00]);
        assert_eq!(crc32(&pmt[5..5 + 26]), 0, "a section and its CRC leave no remainder");
    }
}
