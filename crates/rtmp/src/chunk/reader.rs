//! Chunks to messages.

use bytes::{Buf, Bytes};

use super::{
    DEFAULT_CHUNK_SIZE, EXTENDED, MAX_AGGREGATE, MAX_CHUNK_STREAMS, MAX_MESSAGE, MAX_UNFINISHED, Message, MessageKind,
};
use crate::Error;

/// Puts messages together from the bytes of a connection, in whatever pieces these come.
///
/// Set Chunk Size and Abort concern only the chunk stream and are obeyed here; aggregate messages
/// come out as the messages inside them. Each payload is copied once, into memory of its own size.
#[derive(Debug)]
pub struct ChunkReader {
    streams: Vec<ChunkStream>,
    chunk_size: usize,
    max_message: usize,
    unfinished: usize,
    position: u64,
    partial: Partial,
    chunk: Option<OpenChunk>,
    aggregate: Option<Box<Aggregate>>,
}

/// A chunk of which payload is still to come.
#[derive(Debug, Clone, Copy)]
struct OpenChunk {
    stream: usize,
    missing: usize,
}

#[derive(Debug)]
struct ChunkStream {
    id: u32,
    /// Of the message being read, or the last one.
    timestamp: u32,
    /// The timestamp field of the last header that had one. A message that opens with type 3 adds
    /// it, also after type 0, where it is the whole timestamp (section 5.3.1.2.4).
    field: u32,
    /// Whether that field was an extended one.
    extended: bool,
    message_length: usize,
    kind: MessageKind,
    message_stream: u32,
    /// What has come of the message being read. Empty between messages.
    body: Vec<u8>,
}

impl Default for ChunkReader {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkReader {
    /// A reader for a connection whose handshake is over.
    pub fn new() -> Self {
        Self {
            streams: Vec::new(),
            chunk_size: DEFAULT_CHUNK_SIZE as usize,
            max_message: MAX_MESSAGE,
            unfinished: 0,
            position: 0,
            partial: Partial::EMPTY,
            chunk: None,
            aggregate: None,
        }
    }

    /// Refuses messages longer than `limit` from here on.
    pub fn set_max_message(&mut self, limit: usize) {
        self.max_message = limit.min(MAX_MESSAGE);
    }

    /// The peer's chunk size in force.
    pub fn chunk_size(&self) -> usize {
        self.chunk_size
    }

    /// How much memory unfinished messages take.
    pub fn allocated(&self) -> usize {
        self.streams.iter().map(|stream| stream.body.capacity()).sum()
    }

    /// Consumes input up to the end of the next message and returns it, or `None` when the input
    /// is used up.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        while !self.partial.is_empty() {
            let partial = self.partial;
            let mut bytes = partial.as_slice();
            let message = self.advance(&mut bytes)?;
            self.partial.set(bytes);
            if message.is_some() {
                return Ok(message);
            }
            if !self.partial.is_empty() {
                let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
                self.partial.push(byte);
                *input = rest;
            }
        }
        let message = self.advance(input)?;
        if message.is_none() {
            self.partial.set(input);
            *input = &[];
        }
        Ok(message)
    }

    /// Like `read`, but leaves the start of a header whose end is not in the input.
    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        loop {
            if let Some(aggregate) = &mut self.aggregate {
                match aggregate.next()? {
                    Some(message) => return Ok(Some(message)),
                    None => self.aggregate = None,
                }
            }
            let chunk = match self.chunk {
                Some(chunk) => chunk,
                None => {
                    let Some(header) = self.parse_header(input) else { return Ok(None) };
                    let chunk = self.open(&header)?;
                    *input = &input[header.length..];
                    self.position += header.length as u64;
                    chunk
                }
            };
            let stream = &mut self.streams[chunk.stream];
            let at_hand = input.len();
            let (payload, rest) = input.split_at(at_hand.min(chunk.missing));
            *input = rest;
            // What is at hand is most likely of this message, unless others are under way as well.
            let likely = if self.unfinished == stream.body.len() { at_hand } else { payload.len() };
            stream.append(payload, likely);
            self.position += payload.len() as u64;
            self.unfinished += payload.len();
            let missing = chunk.missing - payload.len();
            self.chunk = (missing > 0).then_some(OpenChunk { missing, ..chunk });
            if self.unfinished > MAX_UNFINISHED {
                return Err(Error::TooMuchUnfinished { position: self.position });
            }
            if missing > 0 {
                return Ok(None);
            }
            if stream.body.len() == stream.message_length {
                self.unfinished -= stream.body.len();
                let message = stream.finish();
                if let Some(message) = self.obey(message)? {
                    return Ok(Some(message));
                }
            }
        }
    }

    /// Obeys a message that concerns the chunk stream; returns any other.
    fn obey(&mut self, message: Message) -> Result<Option<Message>, Error> {
        match message.kind {
            MessageKind::SetChunkSize => {
                // The first bit must be zero; one that is not is as good as masked.
                let size = number(&message, "4 bytes of chunk size")? & 0x7fff_ffff;
                self.chunk_size = size.max(1) as usize;
                Ok(None)
            }
            MessageKind::Abort => {
                let id = number(&message, "4 bytes of chunk stream id")?;
                if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == id) {
                    self.unfinished -= stream.body.len();
                    stream.body = Vec::new();
                }
                Ok(None)
            }
            MessageKind::Aggregate if message.payload.len() > MAX_AGGREGATE => Err(Error::MessageTooLong {
                position: self.position,
                kind: message.kind,
                length: message.payload.len(),
                limit: MAX_AGGREGATE,
            }),
            MessageKind::Aggregate => {
                self.aggregate = Some(Box::new(Aggregate {
                    rest: message.payload,
                    timestamp: message.timestamp,
                    message_stream: message.stream_id,
                    first: None,
                }));
                Ok(None)
            }
            _ => Ok(Some(message)),
        }
    }

    /// The header at the start of `input`, or `None` if its end is not there.
    fn parse_header(&self, input: &[u8]) -> Option<Header> {
        let mut bytes = input;
        let first = bytes.try_get_u8().ok()?;
        let format = first >> 6;
        let chunk_stream = match first & 0x3f {
            0 => 64 + u32::from(bytes.try_get_u8().ok()?),
            1 => 64 + u32::from(bytes.try_get_u16_le().ok()?),
            id => u32::from(id),
        };
        let stream = self.streams.iter().position(|stream| stream.id == chunk_stream);
        let mut header = Header { format, chunk_stream, stream, field: None, message: None, length: 0 };
        if format < 3 {
            let mut field = bytes.try_get_uint(3).ok()? as u32;
            if format < 2 {
                header.message = Some(MessageHeader {
                    length: bytes.try_get_uint(3).ok()? as usize,
                    kind: bytes.try_get_u8().ok()?.into(),
                    stream_id: match format {
                        0 => Some(bytes.try_get_u32_le().ok()?),
                        _ => None,
                    },
                });
            }
            let extended = field == EXTENDED;
            if extended {
                field = bytes.try_get_u32().ok()?;
            }
            header.field = Some((field, extended));
        } else if let Some(stream) = stream.map(|stream| &self.streams[stream])
            && stream.extended
        {
            // The specification has the extended timestamp repeated here. Some encoders do so,
            // some go on with the payload at once: only the value tells.
            let repeated = stream.field.to_be_bytes();
            if bytes.starts_with(&repeated) {
                bytes.advance(repeated.len());
            } else if repeated.starts_with(bytes) {
                return None;
            }
        }
        header.length = input.len() - bytes.len();
        Some(header)
    }

    /// Begins a chunk.
    fn open(&mut self, header: &Header) -> Result<OpenChunk, Error> {
        let &Header { format, chunk_stream, .. } = header;
        let index = match header.stream {
            Some(index) => index,
            // librtmp opens its control stream with type 1.
            None if format > 1 => {
                let position = self.position;
                return Err(Error::NoPreviousHeader { position, chunk_stream, format });
            }
            None if self.streams.len() == MAX_CHUNK_STREAMS => {
                let position = self.position;
                return Err(Error::TooManyChunkStreams { position, chunk_stream });
            }
            None => {
                self.streams.push(ChunkStream::new(chunk_stream));
                self.streams.len() - 1
            }
        };
        let stream = &mut self.streams[index];
        if format < 3 && !stream.body.is_empty() {
            // A new message where the old one should go on: the old one is lost.
            self.unfinished -= stream.body.len();
            stream.body = Vec::new();
        }
        if let Some((field, extended)) = header.field {
            stream.field = field;
            stream.extended = extended;
        }
        if let Some(message) = header.message {
            stream.message_length = message.length;
            stream.kind = message.kind;
            stream.message_stream = message.stream_id.unwrap_or(stream.message_stream);
        }
        if stream.body.is_empty() {
            if stream.message_length > self.max_message {
                return Err(Error::MessageTooLong {
                    position: self.position,
                    kind: stream.kind,
                    length: stream.message_length,
                    limit: self.max_message,
                });
            }
            stream.timestamp = match format {
                0 => stream.field,
                _ => stream.timestamp.wrapping_add(stream.field),
            };
        }
        let missing = (stream.message_length - stream.body.len()).min(self.chunk_size);
        Ok(OpenChunk { stream: index, missing })
    }
}

impl ChunkStream {
    fn new(id: u32) -> Self {
        Self {
            id,
            timestamp: 0,
            field: 0,
            extended: false,
            message_length: 0,
            kind: MessageKind::Other(0),
            message_stream: 0,
            body: Vec::new(),
        }
    }

    /// Appends payload, making room for what has come and as much again, or for what is likely to be
    /// had at once, but not for more than the message can have.
    fn append(&mut self, payload: &[u8], likely: usize) {
        let needed = self.body.len() + payload.len();
        if needed > self.body.capacity() {
            let likely = self.body.len() + likely;
            let capacity = needed.max(2 * self.body.capacity()).max(likely).min(self.message_length);
            self.body.reserve_exact(capacity - self.body.len());
        }
        self.body.extend_from_slice(payload);
    }

    fn finish(&mut self) -> Message {
        Message {
            kind: self.kind,
            timestamp: self.timestamp,
            stream_id: self.message_stream,
            payload: Bytes::from(std::mem::take(&mut self.body)),
        }
    }
}

/// A chunk header as read.
#[derive(Debug)]
struct Header {
    format: u8,
    chunk_stream: u32,
    /// Where that stream is, if it has had a chunk before.
    stream: Option<usize>,
    /// The timestamp, or its difference, and whether it was extended.
    field: Option<(u32, bool)>,
    message: Option<MessageHeader>,
    /// How many bytes the header takes.
    length: usize,
}

#[derive(Debug, Clone, Copy)]
struct MessageHeader {
    length: usize,
    kind: MessageKind,
    stream_id: Option<u32>,
}

/// The messages left in an aggregate message (section 7.1.6): FLV tags, of which the first one's
/// timestamp stands for that of the aggregate itself.
#[derive(Debug)]
struct Aggregate {
    rest: Bytes,
    timestamp: u32,
    message_stream: u32,
    first: Option<u32>,
}

impl Aggregate {
    fn next(&mut self) -> Result<Option<Message>, Error> {
        const TAG_HEADER: usize = 11;
        const BACK_POINTER: usize = 4;
        while !self.rest.is_empty() {
            let malformed =
                Error::Malformed { kind: MessageKind::Aggregate, length: self.rest.len(), expected: "whole FLV tags" };
            if self.rest.len() < TAG_HEADER {
                return Err(malformed);
            }
            let kind = MessageKind::from(self.rest.get_u8());
            let length = self.rest.get_uint(3) as usize;
            let low = self.rest.get_uint(3) as u32;
            let timestamp = u32::from(self.rest.get_u8()) << 24 | low;
            self.rest.advance(3);
            if self.rest.len() < length {
                return Err(malformed);
            }
            let payload = self.rest.split_to(length);
            // Some leave out the last one.
            self.rest.advance(BACK_POINTER.min(self.rest.len()));
            let first = *self.first.get_or_insert(timestamp);
            if matches!(kind, MessageKind::Audio | MessageKind::Video | MessageKind::DataAmf0) {
                return Ok(Some(Message {
                    kind,
                    timestamp: self.timestamp.wrapping_add(timestamp.wrapping_sub(first)),
                    stream_id: self.message_stream,
                    payload,
                }));
            }
        }
        Ok(None)
    }
}

/// The start of a header whose end has not come, and perhaps a few bytes of payload that have to be
/// seen to know where the header ends.
#[derive(Debug, Clone, Copy)]
struct Partial {
    bytes: [u8; MAX_HEADER],
    length: u8,
}

impl Partial {
    const EMPTY: Self = Self { bytes: [0; MAX_HEADER], length: 0 };

    fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    fn set(&mut self, bytes: &[u8]) {
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        self.length = bytes.len() as u8;
    }

    fn push(&mut self, byte: u8) {
        self.bytes[usize::from(self.length)] = byte;
        self.length += 1;
    }
}

/// The number that is all of a protocol control message.
fn number(message: &Message, expected: &'static str) -> Result<u32, Error> {
    let (kind, length) = (message.kind, message.payload.len());
    (&message.payload[..]).try_get_u32().map_err(|_| Error::Malformed { kind, length, expected })
}

/// Three bytes of chunk stream id, eleven of message header, four of extended timestamp.
const MAX_HEADER: usize = 18;
