//! What is received of a stream, at either end.

use bytes::{Buf, Bytes};
use millrace_flv::amf0::{self, Value};

use crate::Error;
use crate::chunk::{Message, MessageKind};
use crate::command::without_amf3_prefix;

/// The longest data message. Metadata with a long keyframe index has about 100 KiB.
pub const MAX_DATA: usize = 1024 * 1024;

/// A piece of a stream. Timestamps are milliseconds that wrap every 49.7 days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Media {
    /// The body of an FLV audio tag, never empty.
    Audio {
        /// When it is heard.
        timestamp: u32,
        /// The body.
        payload: Bytes,
    },
    /// The body of an FLV video tag, never empty.
    Video {
        /// When it is decoded.
        timestamp: u32,
        /// The body.
        payload: Bytes,
    },
    /// The body of an FLV script tag: AMF0 from the handler's name (`onMetaData`) on, without the
    /// `@setDataFrame` that publishers put before it.
    Data {
        /// When it holds.
        timestamp: u32,
        /// The body.
        payload: Bytes,
    },
}

impl Media {
    /// What a message carries, if it is one of media.
    pub(crate) fn new(message: Message) -> Result<Option<Self>, Error> {
        let Message { kind, timestamp, payload, .. } = message;
        Ok(match kind {
            // GStreamer and hardware encoders send empty ones.
            _ if payload.is_empty() => None,
            MessageKind::Audio => Some(Self::Audio { timestamp, payload }),
            MessageKind::Video => Some(Self::Video { timestamp, payload }),
            MessageKind::DataAmf0 | MessageKind::DataAmf3 => {
                data(kind, payload)?.map(|payload| Self::Data { timestamp, payload })
            }
            _ => None,
        })
    }
}

/// The part of a data message that is for players.
fn data(kind: MessageKind, mut payload: Bytes) -> Result<Option<Bytes>, Error> {
    let length = payload.len();
    if length > MAX_DATA {
        return Err(Error::PayloadTooLong { kind, length, limit: MAX_DATA });
    }
    payload.advance(length - without_amf3_prefix(kind, &payload).len());
    let mut rest = &payload[..];
    match amf0::decode(&mut rest) {
        Ok(Value::String(name)) if name == "@setDataFrame" => {
            let rest = rest.len();
            payload.advance(payload.len() - rest);
            Ok((!payload.is_empty()).then_some(payload))
        }
        // There is nothing kept that could be cleared.
        Ok(Value::String(name)) if name == "@clearDataFrame" => Ok(None),
        Ok(Value::String(_)) => Ok(Some(payload)),
        // Without a name nobody can tell what it is.
        _ => Ok(None),
    }
}
