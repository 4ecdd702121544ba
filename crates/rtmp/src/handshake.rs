//! The handshake that opens every connection, both sides of it.
//!
//! Specification: Adobe, *RTMP 1.0*, section 5.2 (the simple handshake). The digest ("complex")
//! handshake is not in it; it is described in the public notes on Flash Player 9 and known to
//! every encoder and player. In both, each side sends one version byte, 1,536 bytes of its own and
//! 1,536 bytes in answer to the other's.
//!
//! In the digest handshake a side hides an HMAC-SHA256 of its 1,536 bytes inside them, at a place
//! that four of the bytes name; where those four are is the *scheme* (0: from byte 8, 1: from byte
//! 772). The answer is signed with a key that is derived from the other side's digest. FFmpeg
//! verifies both when it plays, if the server's version says 3 or later.
//!
//! Invariants:
//! - At most 3,073 bytes are held for a connection, and none once the handshake is over.
//! - The peer's answer is taken whatever it says: it proves nothing worth knowing, and several
//!   encoders send an empty one.

use bytes::{BufMut, Bytes, BytesMut};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Error;

/// Length of either side's packet and of the answer to it.
pub const PACKET_LENGTH: usize = 1536;

/// Which handshake a client opens with, or a server found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// As specified: random bytes, echoed.
    #[default]
    Simple,
    /// Signed with Adobe's public keys.
    Digest,
}

/// The server's side.
#[derive(Debug)]
pub struct ServerHandshake {
    state: State,
    seed: u64,
}

/// The client's side.
#[derive(Debug)]
pub struct ClientHandshake {
    state: State,
    seed: u64,
    kind: Kind,
}

/// What to do next, as both sides' `handle_input` say.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// All input is consumed and more is needed.
    NeedsInput,
    /// Send this, then go on with the rest of the input.
    Send(Bytes),
    /// Over: the rest of the input belongs to the chunk stream.
    Done,
}

#[derive(Debug)]
enum State {
    /// Collecting the peer's version byte and packet.
    Packet(BytesMut),
    /// Skipping the peer's answer, of which so many bytes are missing.
    Answer(usize),
}

impl ServerHandshake {
    /// A handshake that waits for a client. `seed` varies the bytes sent; they need not be secret.
    pub fn new(seed: u64) -> Self {
        Self { state: State::Packet(BytesMut::new()), seed }
    }

    /// Consumes input until something is to be sent, the handshake is over or the input is used up.
    pub fn handle_input(&mut self, input: &mut &[u8]) -> Result<Progress, Error> {
        let Some(packet) = self.state.collect(input)? else {
            return Ok(self.state.progress());
        };
        let client = &packet[1..];
        let digest = if client[4..8] == [0; 4] { None } else { find_digest(client, CLIENT_KEY) };
        let mut out = BytesMut::with_capacity(1 + 2 * PACKET_LENGTH);
        out.put_u8(VERSION);
        let mut random = Random(self.seed);
        match digest {
            Some((scheme, digest)) => {
                put_signed_packet(&mut out, SERVER_VERSION, scheme, SERVER_KEY, &mut random);
                put_signed_answer(&mut out, &digest, &SERVER_FULL_KEY, &mut random);
            }
            None => {
                put_plain_packet(&mut out, &mut random);
                out.put_slice(client);
            }
        }
        Ok(Progress::Send(out.freeze()))
    }
}

impl ClientHandshake {
    /// A handshake to open a connection with, and the bytes to send first.
    pub fn new(kind: Kind, seed: u64) -> (Self, Bytes) {
        let mut random = Random(seed);
        let mut out = BytesMut::with_capacity(1 + PACKET_LENGTH);
        out.put_u8(VERSION);
        match kind {
            Kind::Simple => put_plain_packet(&mut out, &mut random),
            Kind::Digest => {
                put_signed_packet(&mut out, CLIENT_VERSION, Scheme::Zero, CLIENT_KEY, &mut random);
            }
        }
        (Self { state: State::Packet(BytesMut::new()), seed: random.0, kind }, out.freeze())
    }

    /// Consumes input until something is to be sent, the handshake is over or the input is used up.
    pub fn handle_input(&mut self, input: &mut &[u8]) -> Result<Progress, Error> {
        let Some(packet) = self.state.collect(input)? else {
            return Ok(self.state.progress());
        };
        let server = &packet[1..];
        let digest = match self.kind {
            Kind::Simple => None,
            // A server that knows only the simple handshake has no digest, and wants its echo.
            Kind::Digest => find_digest(server, SERVER_KEY),
        };
        let mut out = BytesMut::with_capacity(PACKET_LENGTH);
        match digest {
            Some((_, digest)) => {
                put_signed_answer(&mut out, &digest, &CLIENT_FULL_KEY, &mut Random(self.seed));
            }
            None => out.put_slice(server),
        }
        Ok(Progress::Send(out.freeze()))
    }
}

impl State {
    /// The peer's version byte and packet once they are whole, which they are once.
    fn collect(&mut self, input: &mut &[u8]) -> Result<Option<BytesMut>, Error> {
        match self {
            Self::Packet(packet) => {
                if packet.is_empty() {
                    match input.first() {
                        None => return Ok(None),
                        Some(&VERSION) => {}
                        Some(&version) => return Err(Error::Version { version }),
                    }
                    packet.reserve(1 + PACKET_LENGTH);
                }
                let taken = input.len().min(1 + PACKET_LENGTH - packet.len());
                packet.put_slice(&input[..taken]);
                *input = &input[taken..];
                if packet.len() < 1 + PACKET_LENGTH {
                    return Ok(None);
                }
                let packet = std::mem::take(packet);
                *self = Self::Answer(PACKET_LENGTH);
                Ok(Some(packet))
            }
            Self::Answer(missing) => {
                let taken = input.len().min(*missing);
                *missing -= taken;
                *input = &input[taken..];
                Ok(None)
            }
        }
    }

    fn progress(&self) -> Progress {
        match self {
            Self::Answer(0) => Progress::Done,
            _ => Progress::NeedsInput,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Zero,
    One,
}

impl Scheme {
    /// Where a packet says that its digest is.
    fn place(self, packet: &[u8]) -> usize {
        let base = match self {
            Self::Zero => 8,
            Self::One => 772,
        };
        let sum: usize = packet[base..base + 4].iter().copied().map(usize::from).sum();
        base + 4 + sum % 728
    }
}

type Digest = [u8; DIGEST_LENGTH];

/// The digest of a packet that was signed with `key`, and the scheme of its place.
fn find_digest(packet: &[u8], key: &[u8]) -> Option<(Scheme, Digest)> {
    [Scheme::Zero, Scheme::One].into_iter().find_map(|scheme| {
        let place = scheme.place(packet);
        let (before, rest) = packet.split_at(place);
        let (digest, after) = rest.split_first_chunk()?;
        (hmac(key, &[before, after]) == *digest).then_some((scheme, *digest))
    })
}

fn put_plain_packet(out: &mut BytesMut, random: &mut Random) {
    out.put_bytes(0, 8);
    random.fill(out, PACKET_LENGTH - 8);
}

fn put_signed_packet(out: &mut BytesMut, version: [u8; 4], scheme: Scheme, key: &[u8], random: &mut Random) {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(&version);
    random.fill(out, PACKET_LENGTH - 8);
    let packet = &mut out[start..];
    let place = scheme.place(packet);
    let digest = hmac(key, &[&packet[..place], &packet[place + DIGEST_LENGTH..]]);
    packet[place..place + DIGEST_LENGTH].copy_from_slice(&digest);
}

fn put_signed_answer(out: &mut BytesMut, to: &Digest, full_key: &[u8], random: &mut Random) {
    let start = out.len();
    random.fill(out, PACKET_LENGTH - DIGEST_LENGTH);
    let key = hmac(full_key, &[to]);
    let signature = hmac(&key, &[&out[start..]]);
    out.put_slice(&signature);
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Digest {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// SplitMix64. The handshake wants bytes that differ, not secrets.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn fill(&mut self, out: &mut BytesMut, length: usize) {
        let end = out.len() + length;
        while out.len() < end {
            let word = self.next().to_be_bytes();
            let taken = word.len().min(end - out.len());
            out.put_slice(&word[..taken]);
        }
    }
}

const VERSION: u8 = 3;
const DIGEST_LENGTH: usize = 32;

/// The version fields that mark a digest handshake; clients look for a first byte of at least 3.
const SERVER_VERSION: [u8; 4] = [4, 5, 0, 1];
const CLIENT_VERSION: [u8; 4] = [9, 0, 124, 2];

const CLIENT_KEY: &[u8] = b"Genuine Adobe Flash Player 001";
const SERVER_KEY: &[u8] = b"Genuine Adobe Flash Media Server 001";
const KEY_TAIL: [u8; 32] = [
    0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57, 0x6e, 0xec, 0x5d,
    0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
];
const CLIENT_FULL_KEY: [u8; 62] = full_key(CLIENT_KEY);
const SERVER_FULL_KEY: [u8; 68] = full_key(SERVER_KEY);

const fn full_key<const N: usize>(open: &[u8]) -> [u8; N] {
    let mut key = [0; N];
    let (head, tail) = key.split_at_mut(open.len());
    head.copy_from_slice(open);
    tail.copy_from_slice(&KEY_TAIL);
    key
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Feeds `input` in pieces and returns what was sent and how much was consumed.
    fn feed(
        mut step: impl FnMut(&mut &[u8]) -> Result<Progress, Error>,
        input: &[u8],
        piece: usize,
    ) -> (Vec<u8>, usize) {
        let mut sent = Vec::new();
        let mut consumed = 0;
        for mut bytes in input.chunks(piece) {
            let length = bytes.len();
            let done = loop {
                match step(&mut bytes).unwrap() {
                    Progress::Send(bytes) => sent.extend_from_slice(&bytes),
                    progress => break progress == Progress::Done,
                }
            };
            consumed += length - bytes.len();
            if done {
                break;
            }
        }
        (sent, consumed)
    }

    fn answer_to(packet: &[u8], piece: usize) -> Vec<u8> {
        let mut server = ServerHandshake::new(7);
        let mut input = packet.to_vec();
        input.extend([0; PACKET_LENGTH]);
        input.extend(b"chunks");
        let (sent, consumed) = feed(|bytes| server.handle_input(bytes), &input, piece);
        assert_eq!(consumed, 1 + 2 * PACKET_LENGTH);
        assert_eq!(sent.len(), 1 + 2 * PACKET_LENGTH);
        assert_eq!(sent[0], 3);
        sent
    }

    fn signed(scheme: Scheme) -> Vec<u8> {
        let mut packet = BytesMut::from(&[3][..]);
        put_signed_packet(&mut packet, CLIENT_VERSION, scheme, CLIENT_KEY, &mut Random(9));
        packet.to_vec()
    }

    #[test]
    fn simple_packet_is_echoed() {
        let (_, packet) = ClientHandshake::new(Kind::Simple, 1);
        for piece in [1, 1000, 10_000] {
            let sent = answer_to(&packet, piece);
            assert_eq!(sent[5..9], [0; 4]);
            assert_eq!(sent[1 + PACKET_LENGTH..], packet[1..]);
        }
    }

    #[test]
    fn ffmpeg_finds_its_digest_answered_in_both_schemes() {
        for scheme in [Scheme::Zero, Scheme::One] {
            let packet = signed(scheme);
            let (_, digest) = find_digest(&packet[1..], CLIENT_KEY).unwrap();
            for piece in [1, 10_000] {
                let sent = answer_to(&packet, piece);
                let (server, answer) = sent[1..].split_at(PACKET_LENGTH);
                assert!(server[4] >= 3, "FFmpeg verifies from version 3 on");
                assert_eq!(find_digest(server, SERVER_KEY).unwrap().0, scheme);
                let key = hmac(&SERVER_FULL_KEY, &[&digest]);
                let (random, signature) = answer.split_at(PACKET_LENGTH - DIGEST_LENGTH);
                assert_eq!(hmac(&key, &[random]), signature);
            }
        }
    }

    #[test]
    fn a_version_without_a_digest_gets_the_simple_answer() {
        let mut packet = signed(Scheme::Zero);
        packet[100] ^= 1;
        packet[1400] ^= 1;
        let sent = answer_to(&packet, 10_000);
        assert_eq!(sent[1 + PACKET_LENGTH..], packet[1..]);
    }

    #[test]
    fn client_and_server_agree() {
        for kind in [Kind::Simple, Kind::Digest] {
            let (mut client, first) = ClientHandshake::new(kind, 5);
            let mut server = ServerHandshake::new(6);
            let mut input = &first[..];
            let Progress::Send(answer) = server.handle_input(&mut input).unwrap() else { panic!("the server answers") };
            let mut input = &answer[..];
            let Progress::Send(last) = client.handle_input(&mut input).unwrap() else { panic!("the client answers") };
            assert_eq!(client.handle_input(&mut input), Ok(Progress::Done));
            let mut input = &last[..];
            assert_eq!(server.handle_input(&mut input), Ok(Progress::Done));
            if kind == Kind::Digest {
                let (_, digest) = find_digest(&answer[1..][..PACKET_LENGTH], SERVER_KEY).unwrap();
                let key = hmac(&CLIENT_FULL_KEY, &[&digest]);
                let (random, signature) = last.split_at(PACKET_LENGTH - DIGEST_LENGTH);
                assert_eq!(hmac(&key, &[random]), signature);
            }
        }
    }

    #[test]
    fn digest_client_echoes_a_server_that_has_none() {
        let (mut client, _) = ClientHandshake::new(Kind::Digest, 5);
        let mut server = BytesMut::from(&[3][..]);
        put_plain_packet(&mut server, &mut Random(1));
        let sent = client.handle_input(&mut &server[..]).unwrap();
        assert_eq!(sent, Progress::Send(Bytes::copy_from_slice(&server[1..])));
    }

    #[test]
    fn another_protocol_is_named_by_its_first_byte() {
        let mut input = &b"GET / HTTP/1.1"[..];
        let error = ServerHandshake::new(0).handle_input(&mut input).unwrap_err();
        assert_eq!(error, Error::Version { version: b'G' });
    }

    #[test]
    fn nothing_is_held_before_the_first_byte_and_one_packet_after_it() {
        let mut server = ServerHandshake::new(0);
        let held = |server: &ServerHandshake| match &server.state {
            State::Packet(packet) => packet.capacity(),
            State::Answer(_) => 0,
        };
        assert_eq!(held(&server), 0);
        server.handle_input(&mut &[3][..]).unwrap();
        assert!(held(&server) <= 2 * PACKET_LENGTH);
        server.handle_input(&mut &[0; PACKET_LENGTH][..]).unwrap();
        assert_eq!(held(&server), 0);
    }

    /// RFC 4231, test case 2.
    #[test]
    fn hmac_is_hmac_sha256() {
        let digest = hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(digest[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        assert_eq!(digest[28..], [0x64, 0xec, 0x38, 0x43]);
    }
}
