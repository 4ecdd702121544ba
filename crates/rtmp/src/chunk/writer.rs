//! Messages to chunks.

use bytes::{BufMut, Bytes, BytesMut};

use super::{DEFAULT_CHUNK_SIZE, EXTENDED, MAX_MESSAGE, MessageKind};
use crate::Error;

/// Encodes one message so that it can go to any number of peers: its header is absolute and repeats
/// nothing of an earlier one.
///
/// `parts` one after another are the payload. The peers must have been told `chunk_size`. Fails
/// only if the payload is longer than [`MAX_MESSAGE`].
pub fn write_shared(
    chunk_stream: u32,
    message_stream: u32,
    timestamp: u32,
    kind: MessageKind,
    parts: &[&[u8]],
    chunk_size: u32,
) -> Result<Bytes, Error> {
    let mut out = BytesMut::new();
    let header = Header::Whole { message_stream, kind, length: length_of(kind, parts)? };
    put_message(&mut out, chunk_stream, header, timestamp, parts, chunk_size);
    Ok(out.freeze())
}

/// Appends a message with a whole header, at time zero. It must not be longer than [`MAX_MESSAGE`].
pub(crate) fn put_whole(
    out: &mut BytesMut,
    chunk_stream: u32,
    message_stream: u32,
    kind: MessageKind,
    payload: &[u8],
    chunk_size: u32,
) {
    debug_assert!(payload.len() <= MAX_MESSAGE);
    let header = Header::Whole { message_stream, kind, length: payload.len() };
    put_message(out, chunk_stream, header, 0, &[payload], chunk_size);
}

/// Writes messages of one connection, each with the smallest header that fits.
#[derive(Debug)]
pub struct ChunkWriter {
    chunk_size: u32,
    last: Vec<(u32, Last)>,
}

/// The last message of a chunk stream.
#[derive(Debug, Clone, Copy)]
struct Last {
    timestamp: u32,
    /// Not known after a whole header: readers differ in what type 3 means there.
    delta: Option<u32>,
    length: usize,
    kind: MessageKind,
    message_stream: u32,
}

impl Default for ChunkWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkWriter {
    /// A writer for a connection whose handshake is over.
    pub fn new() -> Self {
        Self { chunk_size: DEFAULT_CHUNK_SIZE, last: Vec::new() }
    }

    /// Uses chunks of that size from here on. The peer must be told, by a Set Chunk Size message
    /// written before.
    pub fn set_chunk_size(&mut self, size: u32) {
        self.chunk_size = size.clamp(1, 0x7fff_ffff);
    }

    /// Writes a message. Fails only if the payload is longer than [`MAX_MESSAGE`].
    pub fn write(
        &mut self,
        out: &mut BytesMut,
        chunk_stream: u32,
        message_stream: u32,
        timestamp: u32,
        kind: MessageKind,
        payload: &[u8],
    ) -> Result<(), Error> {
        let length = length_of(kind, &[payload])?;
        let place = self.last.iter().position(|(id, _)| *id == chunk_stream);
        let last = place.map(|place| self.last[place].1);
        let mut delta = None;
        let header = match last {
            // A step of half the range or more is a step back.
            Some(last) if last.message_stream == message_stream && timestamp.wrapping_sub(last.timestamp) < 1 << 31 => {
                let step = timestamp.wrapping_sub(last.timestamp);
                delta = Some(step);
                if last.length != length || last.kind != kind {
                    Header::SameStream { kind, length }
                } else if last.delta != delta {
                    Header::SameMessage
                } else {
                    Header::SameStep
                }
            }
            _ => Header::Whole { message_stream, kind, length },
        };
        put_message(out, chunk_stream, header, delta.unwrap_or(timestamp), &[payload], self.chunk_size);
        let last = Last { timestamp, delta, length, kind, message_stream };
        match place {
            Some(place) => self.last[place].1 = last,
            None => self.last.push((chunk_stream, last)),
        }
        Ok(())
    }
}

/// The four header types, with what each says beside a timestamp.
#[derive(Debug, Clone, Copy)]
enum Header {
    Whole { message_stream: u32, kind: MessageKind, length: usize },
    SameStream { kind: MessageKind, length: usize },
    SameMessage,
    SameStep,
}

fn length_of(kind: MessageKind, parts: &[&[u8]]) -> Result<usize, Error> {
    let length = parts.iter().map(|part| part.len()).sum();
    match length <= MAX_MESSAGE {
        true => Ok(length),
        false => Err(Error::PayloadTooLong { kind, length, limit: MAX_MESSAGE }),
    }
}

/// Appends a message. `field` is the timestamp, or its difference unless the header is whole.
fn put_message(out: &mut BytesMut, chunk_stream: u32, header: Header, field: u32, parts: &[&[u8]], chunk_size: u32) {
    let chunk_size = chunk_size.max(1) as usize;
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let extended = (field >= EXTENDED).then_some(field);
    let continuation = basic_header_length(chunk_stream) + extended.map_or(0, |_| 4);
    let continuations = length.div_ceil(chunk_size).saturating_sub(1);
    out.reserve(continuation * (continuations + 1) + 11 + length);

    let short_field = field.min(EXTENDED);
    match header {
        Header::Whole { message_stream, kind, length } => {
            put_basic_header(out, 0, chunk_stream);
            out.put_uint(short_field.into(), 3);
            out.put_uint(length as u64, 3);
            out.put_u8(kind.into());
            out.put_u32_le(message_stream);
        }
        Header::SameStream { kind, length } => {
            put_basic_header(out, 1, chunk_stream);
            out.put_uint(short_field.into(), 3);
            out.put_uint(length as u64, 3);
            out.put_u8(kind.into());
        }
        Header::SameMessage => {
            put_basic_header(out, 2, chunk_stream);
            out.put_uint(short_field.into(), 3);
        }
        Header::SameStep => put_basic_header(out, 3, chunk_stream),
    }
    if let Some(extended) = extended {
        out.put_u32(extended);
    }
    let mut room = chunk_size;
    for mut part in parts.iter().copied() {
        while !part.is_empty() {
            if room == 0 {
                put_basic_header(out, 3, chunk_stream);
                if let Some(extended) = extended {
                    out.put_u32(extended);
                }
                room = chunk_size;
            }
            let (payload, rest) = part.split_at(part.len().min(room));
            out.put_slice(payload);
            room -= payload.len();
            part = rest;
        }
    }
}

fn basic_header_length(chunk_stream: u32) -> usize {
    match chunk_stream {
        0..64 => 1,
        64..320 => 2,
        _ => 3,
    }
}

fn put_basic_header(out: &mut BytesMut, format: u8, chunk_stream: u32) {
    debug_assert!((2..=65_599).contains(&chunk_stream), "chunk stream {chunk_stream}");
    match chunk_stream {
        0..64 => out.put_u8(format << 6 | chunk_stream as u8),
        64..320 => {
            out.put_u8(format << 6);
            out.put_u8((chunk_stream - 64) as u8);
        }
        _ => {
            out.put_u8(format << 6 | 1);
            out.put_u16_le((chunk_stream - 64) as u16);
        }
    }
}
