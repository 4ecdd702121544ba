//! AMF0, the value format of RTMP commands and FLV script data.
//!
//! Specification: Adobe, *Action Message Format -- AMF 0* (2007).
//!
//! Invariants:
//! - Decoding never allocates from a declared count or length: it stores what is present, at most
//!   [`MAX_VALUES`] values nested at most [`MAX_DEPTH`] deep.
//! - Text is decoded lossily: an encoder that writes its title in another charset than UTF-8 is
//!   still heard.
//! - What [`Value::encode`] writes, [`decode`] reads back as the same value, unless a name or
//!   string is too long for the format.

use bytes::BufMut;

/// How deep containers may be nested.
pub const MAX_DEPTH: usize = 32;

/// How many values, those inside containers included, one call may decode. A file's keyframe index
/// has a few thousand.
pub const MAX_VALUES: usize = 65_536;

/// The members of an object or an ECMA array, in the order of the wire.
pub type Properties = Vec<(String, Value)>;

/// One AMF0 value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A double, the only kind of number.
    Number(f64),
    /// A boolean.
    Boolean(bool),
    /// Text. Read from a string, long string or XML document; written as a long string only beyond
    /// 65,535 bytes.
    String(String),
    /// An anonymous object. A typed object is read as one, without its class name.
    Object(Properties),
    /// An associative array, the usual form of `onMetaData`.
    EcmaArray(Properties),
    /// A dense array.
    StrictArray(Vec<Value>),
    /// Null.
    Null,
    /// Undefined. References and the "unsupported" marker are read as this.
    Undefined,
    /// A date.
    Date {
        /// Milliseconds since 1970-01-01 UTC.
        unix_ms: f64,
        /// Reserved by the specification, which says zero; some encoders put the time zone's offset
        /// in minutes here.
        zone: i16,
    },
}

/// Why bytes are not AMF0. Offsets count from the first byte given to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Amf0Error {
    /// The input ends inside a value.
    #[error("AMF0 ends at byte {offset}, inside {expected}")]
    Truncated {
        /// Where the missing bytes should have been.
        offset: usize,
        /// What was being read.
        expected: &'static str,
    },
    /// A marker that AMF0 does not have, or reserves (movie clip, record set), or that switches to
    /// AMF3.
    #[error("AMF0 marker {marker:#04x} at byte {offset} is not supported")]
    Marker {
        /// Where the marker is.
        offset: usize,
        /// The marker.
        marker: u8,
    },
    /// Containers nested more than [`MAX_DEPTH`] deep.
    #[error("AMF0 nested deeper than {MAX_DEPTH} at byte {offset}")]
    TooDeep {
        /// Where the container begins that is one too deep.
        offset: usize,
    },
    /// More than [`MAX_VALUES`] values.
    #[error("AMF0 has more than {MAX_VALUES} values, at byte {offset}")]
    TooMany {
        /// Where the value begins that is one too many.
        offset: usize,
    },
}

/// Decodes one value and advances `input` past it. On error `input` stays where it was.
pub fn decode(input: &mut &[u8]) -> Result<Value, Amf0Error> {
    let mut decoder = Decoder::new(input);
    let value = decoder.value(0)?;
    *input = &input[decoder.at..];
    Ok(value)
}

/// Decodes values until the input ends.
pub fn decode_all(input: &[u8]) -> Result<Vec<Value>, Amf0Error> {
    let mut decoder = Decoder::new(input);
    let mut values = Vec::new();
    while decoder.at < input.len() {
        values.push(decoder.value(0)?);
    }
    Ok(values)
}

/// Encodes values one after another.
pub fn encode_all<'a>(values: impl IntoIterator<Item = &'a Value>, out: &mut impl BufMut) {
    for value in values {
        value.encode(out);
    }
}

impl Value {
    /// An object from names and values.
    pub fn object<N: Into<String>, V: Into<Value>>(members: impl IntoIterator<Item = (N, V)>) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// Appends the encoded value.
    ///
    /// A property name beyond 65,535 bytes is cut to fit, at a character boundary: the format has
    /// no longer ones.
    pub fn encode(&self, out: &mut impl BufMut) {
        match self {
            Self::Number(number) => {
                out.put_u8(marker::NUMBER);
                out.put_f64(*number);
            }
            Self::Boolean(boolean) => {
                out.put_u8(marker::BOOLEAN);
                out.put_u8(u8::from(*boolean));
            }
            Self::String(text) => match u16::try_from(text.len()) {
                Ok(length) => {
                    out.put_u8(marker::STRING);
                    out.put_u16(length);
                    out.put_slice(text.as_bytes());
                }
                Err(_) => {
                    let text = prefix(text, u32::MAX as usize);
                    out.put_u8(marker::LONG_STRING);
                    out.put_u32(text.len() as u32);
                    out.put_slice(text.as_bytes());
                }
            },
            Self::Object(properties) => {
                out.put_u8(marker::OBJECT);
                encode_properties(properties, out);
            }
            Self::EcmaArray(properties) => {
                out.put_u8(marker::ECMA_ARRAY);
                out.put_u32(properties.len() as u32);
                encode_properties(properties, out);
            }
            Self::StrictArray(values) => {
                out.put_u8(marker::STRICT_ARRAY);
                out.put_u32(values.len() as u32);
                encode_all(values, out);
            }
            Self::Null => out.put_u8(marker::NULL),
            Self::Undefined => out.put_u8(marker::UNDEFINED),
            Self::Date { unix_ms, zone } => {
                out.put_u8(marker::DATE);
                out.put_f64(*unix_ms);
                out.put_i16(*zone);
            }
        }
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The members, if it is an object or an ECMA array.
    pub fn properties(&self) -> Option<&[(String, Value)]> {
        match self {
            Self::Object(properties) | Self::EcmaArray(properties) => Some(properties),
            _ => None,
        }
    }

    /// The first member of that name, if it is an object or an ECMA array that has one.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.properties()?.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

fn encode_properties(properties: &[(String, Value)], out: &mut impl BufMut) {
    for (name, value) in properties {
        let name = prefix(name, usize::from(u16::MAX));
        out.put_u16(name.len() as u16);
        out.put_slice(name.as_bytes());
        value.encode(out);
    }
    out.put_slice(&[0, 0, marker::OBJECT_END]);
}

/// The longest start of `text` that has at most `limit` bytes and ends at a character boundary.
fn prefix(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

struct Decoder<'a> {
    input: &'a [u8],
    at: usize,
    values: usize,
}

impl<'a> Decoder<'a> {
    fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0, values: 0 }
    }

    /// Reads one value that is inside `depth` containers.
    fn value(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        let offset = self.at;
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(Amf0Error::TooMany { offset });
        }
        let [marker] = self.array("a marker")?;
        let container =
            matches!(marker, marker::OBJECT | marker::ECMA_ARRAY | marker::STRICT_ARRAY | marker::TYPED_OBJECT);
        if container && depth == MAX_DEPTH {
            return Err(Amf0Error::TooDeep { offset });
        }
        Ok(match marker {
            marker::NUMBER => Value::Number(f64::from_be_bytes(self.array("a number")?)),
            marker::BOOLEAN => Value::Boolean(self.array::<1>("a boolean")? != [0]),
            marker::STRING => Value::String(self.short_text()?),
            marker::LONG_STRING | marker::XML_DOCUMENT => {
                let length = u32::from_be_bytes(self.array("the length of a long string")?);
                Value::String(self.text(length as usize)?)
            }
            marker::OBJECT => Value::Object(self.properties(depth)?),
            marker::TYPED_OBJECT => {
                self.short_text()?;
                Value::Object(self.properties(depth)?)
            }
            marker::ECMA_ARRAY => {
                // The count is only a hint: encoders write zero, or a count that is one off.
                self.array::<4>("the count of an ECMA array")?;
                Value::EcmaArray(self.properties(depth)?)
            }
            marker::STRICT_ARRAY => {
                let count = u32::from_be_bytes(self.array("the count of a strict array")?);
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(depth + 1)?);
                }
                Value::StrictArray(values)
            }
            marker::NULL => Value::Null,
            marker::UNDEFINED | marker::UNSUPPORTED => Value::Undefined,
            marker::REFERENCE => {
                self.array::<2>("a reference")?;
                Value::Undefined
            }
            marker::DATE => Value::Date {
                unix_ms: f64::from_be_bytes(self.array("a date")?),
                zone: i16::from_be_bytes(self.array("the time zone of a date")?),
            },
            _ => return Err(Amf0Error::Marker { offset, marker }),
        })
    }

    fn properties(&mut self, depth: usize) -> Result<Properties, Amf0Error> {
        let mut properties = Properties::new();
        loop {
            let name = self.short_text()?;
            if name.is_empty() && self.input.get(self.at) == Some(&marker::OBJECT_END) {
                self.at += 1;
                return Ok(properties);
            }
            properties.push((name, self.value(depth + 1)?));
        }
    }

    fn short_text(&mut self) -> Result<String, Amf0Error> {
        let length = u16::from_be_bytes(self.array("the length of a string")?);
        self.text(usize::from(length))
    }

    fn text(&mut self, length: usize) -> Result<String, Amf0Error> {
        Ok(String::from_utf8_lossy(self.take(length, "a string")?).into_owned())
    }

    fn array<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], Amf0Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, expected)?);
        Ok(array)
    }

    fn take(&mut self, length: usize, expected: &'static str) -> Result<&'a [u8], Amf0Error> {
        let rest = &self.input[self.at..];
        let Some(taken) = rest.get(..length) else {
            return Err(Amf0Error::Truncated { offset: self.input.len(), expected });
        };
        self.at += length;
        Ok(taken)
    }
}

/// Type markers, section 2.1 of the specification.
mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const REFERENCE: u8 = 0x07;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0a;
    pub(super) const DATE: u8 = 0x0b;
    pub(super) const LONG_STRING: u8 = 0x0c;
    pub(super) const UNSUPPORTED: u8 = 0x0d;
    pub(super) const XML_DOCUMENT: u8 = 0x0f;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    }

    fn one(bytes: &[u8]) -> Result<Value, Amf0Error> {
        decode(&mut &bytes[..])
    }

    #[test]
    fn each_marker_has_the_bytes_of_the_specification() {
        let cases: [(Value, &[u8]); 9] = [
            (Value::Number(1.0), &[0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
            (Value::Boolean(true), &[1, 1]),
            (Value::from("live"), b"\x02\x00\x04live"),
            (Value::object([("a", 0.0)]), b"\x03\x00\x01a\x00\0\0\0\0\0\0\0\0\x00\x00\x09"),
            (Value::Null, &[5]),
            (Value::Undefined, &[6]),
            (Value::EcmaArray(vec![("b".into(), Value::Null)]), b"\x08\0\0\0\x01\x00\x01b\x05\x00\x00\x09"),
            (Value::StrictArray(vec![Value::Null, Value::Boolean(false)]), &[0x0a, 0, 0, 0, 2, 5, 1, 0]),
            (Value::Date { unix_ms: 0.0, zone: -60 }, &[0x0b, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xc4]),
        ];
        for (value, bytes) in cases {
            assert_eq!(encoded(&value), bytes, "{value:?}");
            assert_eq!(one(bytes), Ok(value));
        }
    }

    #[test]
    fn rare_markers_are_read_as_their_nearest_value() {
        assert_eq!(one(b"\x10\x00\x03Foo\x00\x01a\x05\x00\x00\x09"), Ok(Value::object([("a", Value::Null)])));
        assert_eq!(one(b"\x0f\0\0\0\x04<a/>"), Ok(Value::from("<a/>")));
        assert_eq!(one(&[7, 0, 1]), Ok(Value::Undefined));
        assert_eq!(one(&[0x0d]), Ok(Value::Undefined));
        for marker in [0x04, 0x09, 0x0e, 0x11, 0x12, 0xff] {
            assert_eq!(one(&[marker]), Err(Amf0Error::Marker { offset: 0, marker }));
        }
    }

    #[test]
    fn the_count_of_an_ecma_array_is_only_a_hint() {
        let expected = Value::EcmaArray(vec![("a".into(), Value::Null), ("b".into(), Value::Null)]);
        for count in [0, 1, 2, 3, u32::MAX] {
            let mut bytes = vec![8];
            bytes.extend(count.to_be_bytes());
            bytes.extend(b"\x00\x01a\x05\x00\x01b\x05\x00\x00\x09");
            assert_eq!(one(&bytes).as_ref(), Ok(&expected));
        }
    }

    #[test]
    fn text_in_another_charset_is_read_lossily() {
        assert_eq!(one(b"\x02\x00\x04caf\xe9"), Ok(Value::from("caf\u{fffd}")));
    }

    #[test]
    fn a_declared_count_without_bytes_is_truncated_not_allocated() {
        assert_eq!(one(&[0x0a, 0xff, 0xff, 0xff, 0xff]), Err(Amf0Error::Truncated { offset: 5, expected: "a marker" }));
        assert_eq!(
            one(&[0x0c, 0xff, 0xff, 0xff, 0xff, b'a']),
            Err(Amf0Error::Truncated { offset: 6, expected: "a string" })
        );
    }

    #[test]
    fn every_prefix_of_a_value_is_truncated() {
        let bytes = encoded(&Value::object([
            ("text", Value::from("value")),
            ("list", Value::StrictArray(vec![Value::Number(1.0), Value::Date { unix_ms: 1.0, zone: 0 }])),
        ]));
        for length in 0..bytes.len() {
            assert!(matches!(one(&bytes[..length]), Err(Amf0Error::Truncated { .. })), "{length}");
        }
    }

    #[test]
    fn depth_32_is_read_and_33_refused() {
        for container in [Value::StrictArray as fn(Vec<Value>) -> Value, |values| {
            Value::Object(values.into_iter().map(|value| ("a".to_owned(), value)).collect())
        }] {
            let nested = |depth| (0..depth).fold(Value::Null, |inner, _| container(vec![inner]));
            let deepest = nested(MAX_DEPTH);
            assert_eq!(one(&encoded(&deepest)), Ok(deepest));
            assert!(matches!(one(&encoded(&nested(MAX_DEPTH + 1))), Err(Amf0Error::TooDeep { .. })));
        }
    }

    #[test]
    fn the_last_value_allowed_is_read_and_one_more_refused() {
        // The array itself is a value too.
        let array = |count| Value::StrictArray(vec![Value::Null; count]);
        let full = array(MAX_VALUES - 1);
        assert_eq!(one(&encoded(&full)), Ok(full));
        assert_eq!(one(&encoded(&array(MAX_VALUES))), Err(Amf0Error::TooMany { offset: 5 + MAX_VALUES - 1 }));
        assert_eq!(decode_all(&vec![5; MAX_VALUES + 1]), Err(Amf0Error::TooMany { offset: MAX_VALUES }));
    }

    #[test]
    fn a_long_string_is_written_only_where_a_string_is_too_short() {
        let short = Value::from("a".repeat(65_535));
        let long = Value::from("a".repeat(65_536));
        assert_eq!(encoded(&short)[0], marker::STRING);
        assert_eq!(encoded(&long)[0], marker::LONG_STRING);
        assert_eq!(one(&encoded(&short)), Ok(short));
        assert_eq!(one(&encoded(&long)), Ok(long));
    }

    #[test]
    fn a_name_too_long_is_cut_at_a_character() {
        let object = Value::object([("é".repeat(40_000), Value::Null)]);
        assert_eq!(one(&encoded(&object)), Ok(Value::object([("é".repeat(32_767), Value::Null)])));
    }

    #[test]
    fn an_error_leaves_the_input_where_it_was() {
        let mut input: &[u8] = &[5, 2, 0, 9];
        assert_eq!(decode(&mut input), Ok(Value::Null));
        assert!(decode(&mut input).is_err());
        assert_eq!(input, [2, 0, 9]);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            prop::num::f64::NORMAL.prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            ".{0,20}".prop_map(Value::String),
            Just(Value::Null),
            Just(Value::Undefined),
            (prop::num::f64::NORMAL, any::<i16>()).prop_map(|(unix_ms, zone)| Value::Date { unix_ms, zone }),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            let properties = prop::collection::vec((".{0,8}", inner.clone()), 0..5);
            prop_oneof![
                properties.clone().prop_map(Value::Object),
                properties.prop_map(Value::EcmaArray),
                prop::collection::vec(inner, 0..5).prop_map(Value::StrictArray),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(values in prop::collection::vec(any_value(), 0..4)) {
            let mut bytes = Vec::new();
            encode_all(&values, &mut bytes);
            prop_assert_eq!(decode_all(&bytes), Ok(values));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(values) = decode_all(&bytes) {
                let mut again = Vec::new();
                encode_all(&values, &mut again);
                // Compared as bytes, since a decoded NaN is not equal to itself.
                let mut third = Vec::new();
                encode_all(&decode_all(&again).unwrap(), &mut third);
                prop_assert_eq!(again, third);
            }
        }
    }
}
