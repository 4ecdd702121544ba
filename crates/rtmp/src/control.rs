//! Protocol control and user control messages (*RTMP 1.0*, sections 5.4 and 7.1.7).

use bytes::{Buf, BufMut};

use crate::Error;
use crate::chunk::{Message, MessageKind};

/// A message about the connection itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// The sender's chunk size from here on. A [`ChunkReader`](crate::chunk::ChunkReader) obeys
    /// it and keeps it to itself.
    SetChunkSize(u32),
    /// How many bytes the sender has received, modulo 2³².
    Acknowledgement(u32),
    /// How many bytes the sender sends before it expects an acknowledgement.
    WindowAckSize(u32),
    /// The receiver's window shall be this.
    SetPeerBandwidth {
        /// The window in bytes.
        window: u32,
        /// 0: at most this; 1: as small as this or less; 2: as the limit before it.
        limit: u8,
    },
    /// A stream event or a ping.
    User(UserControl),
}

/// A stream event or a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserControl {
    /// A message stream can be used.
    StreamBegin(u32),
    /// There is no more of what was played on a message stream.
    StreamEof(u32),
    /// There is nothing for now of what is played on a message stream.
    StreamDry(u32),
    /// How much a player buffers.
    SetBufferLength {
        /// The message stream.
        stream: u32,
        /// The length in milliseconds.
        milliseconds: u32,
    },
    /// What is played on a message stream is a recording.
    StreamIsRecorded(u32),
    /// Asks for a response with the same number.
    PingRequest(u32),
    /// Answers a request.
    PingResponse(u32),
    /// An event that has no meaning here, or is cut short.
    Other(u16),
}

impl Control {
    /// Reads a message, or returns `None` if it is of another kind.
    pub fn decode(message: &Message) -> Result<Option<Self>, Error> {
        let mut payload = &message.payload[..];
        let malformed = |expected| Error::Malformed { kind: message.kind, length: message.payload.len(), expected };
        Ok(Some(match message.kind {
            MessageKind::SetChunkSize => {
                Self::SetChunkSize(payload.try_get_u32().map_err(|_| malformed("4 bytes of chunk size"))?)
            }
            MessageKind::Acknowledgement => {
                Self::Acknowledgement(payload.try_get_u32().map_err(|_| malformed("4 bytes of sequence number"))?)
            }
            MessageKind::WindowAckSize => {
                Self::WindowAckSize(payload.try_get_u32().map_err(|_| malformed("4 bytes of window size"))?)
            }
            MessageKind::SetPeerBandwidth => Self::SetPeerBandwidth {
                window: payload.try_get_u32().map_err(|_| malformed("4 bytes of window size"))?,
                // Some leave out the byte.
                limit: payload.try_get_u8().unwrap_or(2),
            },
            MessageKind::UserControl => {
                let event = payload.try_get_u16().map_err(|_| malformed("2 bytes of event"))?;
                Self::User(UserControl::decode(event, payload))
            }
            _ => return Ok(None),
        }))
    }

    /// What kind of message this is.
    pub fn kind(&self) -> MessageKind {
        match self {
            Self::SetChunkSize(_) => MessageKind::SetChunkSize,
            Self::Acknowledgement(_) => MessageKind::Acknowledgement,
            Self::WindowAckSize(_) => MessageKind::WindowAckSize,
            Self::SetPeerBandwidth { .. } => MessageKind::SetPeerBandwidth,
            Self::User(_) => MessageKind::UserControl,
        }
    }

    /// Appends the message's payload.
    pub fn encode(&self, out: &mut impl BufMut) {
        match *self {
            Self::SetChunkSize(number) | Self::Acknowledgement(number) | Self::WindowAckSize(number) => {
                out.put_u32(number);
            }
            Self::SetPeerBandwidth { window, limit } => {
                out.put_u32(window);
                out.put_u8(limit);
            }
            Self::User(event) => event.encode(out),
        }
    }
}

impl UserControl {
    fn decode(event: u16, mut payload: &[u8]) -> Self {
        let Ok(number) = payload.try_get_u32() else { return Self::Other(event) };
        match event {
            0 => Self::StreamBegin(number),
            1 => Self::StreamEof(number),
            2 => Self::StreamDry(number),
            3 => match payload.try_get_u32() {
                Ok(milliseconds) => Self::SetBufferLength { stream: number, milliseconds },
                Err(_) => Self::Other(event),
            },
            4 => Self::StreamIsRecorded(number),
            6 => Self::PingRequest(number),
            7 => Self::PingResponse(number),
            _ => Self::Other(event),
        }
    }

    fn encode(self, out: &mut impl BufMut) {
        let (event, number) = match self {
            Self::StreamBegin(stream) => (0, stream),
            Self::StreamEof(stream) => (1, stream),
            Self::StreamDry(stream) => (2, stream),
            Self::SetBufferLength { stream, .. } => (3, stream),
            Self::StreamIsRecorded(stream) => (4, stream),
            Self::PingRequest(number) => (6, number),
            Self::PingResponse(number) => (7, number),
            Self::Other(event) => return out.put_u16(event),
        };
        out.put_u16(event);
        out.put_u32(number);
        if let Self::SetBufferLength { milliseconds, .. } = self {
            out.put_u32(milliseconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: MessageKind, payload: Vec<u8>) -> Message {
        Message { kind, timestamp: 0, stream_id: 0, payload: payload.into() }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for control in [
            Control::SetChunkSize(4096),
            Control::Acknowledgement(u32::MAX),
            Control::WindowAckSize(2_500_000),
            Control::SetPeerBandwidth { window: 5, limit: 1 },
            Control::User(UserControl::StreamBegin(1)),
            Control::User(UserControl::StreamEof(1)),
            Control::User(UserControl::StreamDry(1)),
            Control::User(UserControl::SetBufferLength { stream: 1, milliseconds: 3000 }),
            Control::User(UserControl::StreamIsRecorded(1)),
            Control::User(UserControl::PingRequest(77)),
            Control::User(UserControl::PingResponse(77)),
            Control::User(UserControl::Other(31)),
        ] {
            let mut payload = Vec::new();
            control.encode(&mut payload);
            assert_eq!(Control::decode(&message(control.kind(), payload)), Ok(Some(control)));
        }
    }

    #[test]
    fn a_short_number_is_malformed_and_a_short_event_is_ignored() {
        for number in [3, 5, 6] {
            let kind = MessageKind::from(number);
            let error = Control::decode(&message(kind, vec![0; 3]));
            assert!(matches!(error, Err(Error::Malformed { length: 3, .. })), "{kind}");
        }
        let event = |payload| Control::decode(&message(MessageKind::UserControl, payload));
        assert!(event(vec![0]).is_err());
        let other = |event| Ok(Some(Control::User(UserControl::Other(event))));
        assert_eq!(event(vec![0, 6, 1, 2, 3]), other(6));
        assert_eq!(event(vec![0, 3, 0, 0, 0, 1, 9]), other(3));
    }

    #[test]
    fn other_messages_are_none() {
        assert_eq!(Control::decode(&message(MessageKind::Video, vec![])), Ok(None));
    }
}
