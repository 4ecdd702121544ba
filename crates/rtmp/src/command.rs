//! Commands and the statuses that answer them (*RTMP 1.0*, section 7.2).

use bytes::{Bytes, BytesMut};
use millrace_flv::amf0::{self, Value};

use crate::Error;
use crate::chunk::MessageKind;

/// The longest command that is looked at. A `connect` with tokens in all its fields has 2 KiB.
pub const MAX_COMMAND: usize = 64 * 1024;

/// A command: a call, or the answer to one.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Its name: what is called, or `_result`, `_error`, `onStatus`.
    pub name: String,
    /// Pairs an answer with its call. 0 asks for no answer.
    pub transaction: f64,
    /// The command object; null but for `connect`.
    pub object: Value,
    /// Everything after it.
    pub arguments: Vec<Value>,
}

impl Command {
    /// A call without a command object.
    pub fn new(name: &str, transaction: f64, arguments: impl IntoIterator<Item = impl Into<Value>>) -> Self {
        Self {
            name: name.to_owned(),
            transaction,
            object: Value::Null,
            arguments: arguments.into_iter().map(Into::into).collect(),
        }
    }

    /// An `onStatus` that says how a request went.
    pub fn status(level: &str, code: &str, description: &str) -> Self {
        Self::new("onStatus", 0.0, [info(level, code, description)])
    }

    /// Reads the payload of a command message of either kind.
    ///
    /// The name must be there. What follows is taken as far as it can be read: a command whose
    /// last argument is in AMF3 is still good for what comes before it.
    pub fn decode(kind: MessageKind, payload: &[u8]) -> Result<Self, Error> {
        let length = payload.len();
        if length > MAX_COMMAND {
            return Err(Error::PayloadTooLong { kind, length, limit: MAX_COMMAND });
        }
        let mut input = without_amf3_prefix(kind, payload);
        let name = match amf0::decode(&mut input) {
            Ok(Value::String(name)) => name,
            Ok(_) => return Err(Error::Malformed { kind, length, expected: "a command's name" }),
            Err(source) => return Err(Error::Amf0 { kind, source }),
        };
        let mut next = || amf0::decode(&mut input).ok();
        let transaction = next().and_then(|value| value.as_f64()).unwrap_or(0.0);
        let object = next().unwrap_or(Value::Null);
        let arguments = std::iter::from_fn(next).collect();
        Ok(Self { name, transaction, object, arguments })
    }

    /// The payload of an AMF0 command message.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        Value::from(self.name.as_str()).encode(&mut out);
        Value::Number(self.transaction).encode(&mut out);
        self.object.encode(&mut out);
        amf0::encode_all(&self.arguments, &mut out);
        out.freeze()
    }

    /// The text at a place among the arguments.
    pub fn text(&self, place: usize) -> Option<&str> {
        self.arguments.get(place)?.as_str()
    }

    /// The number at a place among the arguments.
    pub fn number(&self, place: usize) -> Option<f64> {
        self.arguments.get(place)?.as_f64()
    }

    /// The truth at a place among the arguments, which may be written as a number.
    pub fn flag(&self, place: usize) -> Option<bool> {
        let value = self.arguments.get(place)?;
        value.as_bool().or_else(|| value.as_f64().map(|number| number != 0.0))
    }
}

/// The information object of a status.
pub(crate) fn info(level: &str, code: &str, description: &str) -> Value {
    Value::object([("level", level), ("code", code), ("description", description)])
}

/// What a message says in AMF0. In the AMF3 kinds that is all but a first byte, which is zero.
pub(crate) fn without_amf3_prefix(kind: MessageKind, payload: &[u8]) -> &[u8] {
    match (kind, payload) {
        (MessageKind::CommandAmf3 | MessageKind::DataAmf3, [0, rest @ ..]) => rest,
        _ => payload,
    }
}

/// The codes of `onStatus` and `_error`.
pub mod code {
    /// The connection is open.
    pub const CONNECT_SUCCESS: &str = "NetConnection.Connect.Success";
    /// Whoever connects may not.
    pub const CONNECT_REJECTED: &str = "NetConnection.Connect.Rejected";
    /// There is no such application.
    pub const CONNECT_INVALID_APP: &str = "NetConnection.Connect.InvalidApp";
    /// There is no such command.
    pub const CALL_FAILED: &str = "NetConnection.Call.Failed";
    /// Publishing may begin.
    pub const PUBLISH_START: &str = "NetStream.Publish.Start";
    /// The name to publish under is not good, or taken.
    pub const PUBLISH_BAD_NAME: &str = "NetStream.Publish.BadName";
    /// Whoever publishes may not.
    pub const PUBLISH_DENIED: &str = "NetStream.Publish.Denied";
    /// Publishing has ended.
    pub const UNPUBLISH_SUCCESS: &str = "NetStream.Unpublish.Success";
    /// What was played before is cleared away.
    pub const PLAY_RESET: &str = "NetStream.Play.Reset";
    /// Playing begins.
    pub const PLAY_START: &str = "NetStream.Play.Start";
    /// Playing has ended.
    pub const PLAY_STOP: &str = "NetStream.Play.Stop";
    /// Playing has ended since all was played.
    pub const PLAY_COMPLETE: &str = "NetStream.Play.Complete";
    /// Playing cannot be.
    pub const PLAY_FAILED: &str = "NetStream.Play.Failed";
    /// There is no such stream.
    pub const PLAY_STREAM_NOT_FOUND: &str = "NetStream.Play.StreamNotFound";
    /// The stream being played has no publisher any more. librtmp and FFmpeg end here.
    pub const PLAY_UNPUBLISH_NOTIFY: &str = "NetStream.Play.UnpublishNotify";
    /// Paused.
    pub const PAUSE_NOTIFY: &str = "NetStream.Pause.Notify";
    /// Not paused any more.
    pub const UNPAUSE_NOTIFY: &str = "NetStream.Unpause.Notify";
    /// A live stream cannot be sought in.
    pub const SEEK_FAILED: &str = "NetStream.Seek.Failed";
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_in_both_kinds() {
        let mut command = Command::new("play", 4.0, ["movie"]);
        command.arguments.push(Value::Number(-2000.0));
        command.arguments.push(Value::Boolean(true));
        let payload = command.encode();
        assert_eq!(Command::decode(MessageKind::CommandAmf0, &payload).unwrap(), command);
        let amf3 = [&[0][..], &payload].concat();
        assert_eq!(Command::decode(MessageKind::CommandAmf3, &amf3).unwrap(), command);
        // Some leave out the zero.
        assert_eq!(Command::decode(MessageKind::CommandAmf3, &payload).unwrap(), command);
        assert_eq!(
            (command.text(0), command.number(1), command.flag(2), command.flag(1), command.flag(9)),
            (Some("movie"), Some(-2000.0), Some(true), Some(true), None)
        );
    }

    #[test]
    fn what_cannot_be_read_ends_the_arguments() {
        let mut payload = Command::new("publish", 5.0, ["key"]).encode().to_vec();
        payload.extend([0x11, 0x0a, 0x0b]);
        let command = Command::decode(MessageKind::CommandAmf0, &payload).unwrap();
        assert_eq!(command, Command::new("publish", 5.0, ["key"]));
    }

    #[test]
    fn a_command_has_a_name() {
        let decode = |payload: &[u8]| Command::decode(MessageKind::CommandAmf0, payload);
        assert!(matches!(decode(&[5]), Err(Error::Malformed { .. })));
        assert!(matches!(decode(&[]), Err(Error::Amf0 { .. })));
        let only_name = decode(b"\x02\x00\x01x").unwrap();
        assert_eq!(only_name, Command::new("x", 0.0, [Value::Null; 0]));
    }

    #[test]
    fn the_longest_command_is_read_and_a_longer_one_refused() {
        let command = |length: usize| {
            let overhead = Command::new("x", 0.0, [""]).encode().len();
            Command::new("x", 0.0, ["a".repeat(length - overhead)]).encode()
        };
        let decode = |payload: &[u8]| Command::decode(MessageKind::CommandAmf0, payload);
        assert!(decode(&command(MAX_COMMAND)).is_ok());
        let error = decode(&command(MAX_COMMAND + 1)).unwrap_err();
        assert!(matches!(error, Error::PayloadTooLong { limit: MAX_COMMAND, .. }));
    }
}
