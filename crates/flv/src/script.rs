//! Script data: `onMetaData` (section E.5).

use bytes::{Bytes, BytesMut};
use millrace_media::{AudioConfig, Metadata, VideoConfig};

use crate::Error;
use crate::amf0::{self, Value};
use crate::body;

/// Reads the script data of a publisher. `None` where it is not `onMetaData`.
///
/// RTMP's `@setDataFrame` in front is passed over.
///
/// # Errors
/// When the values are not AMF0.
pub fn parse(data: &[u8]) -> Result<Option<Metadata>, Error> {
    let mut rest = data;
    let mut name = amf0::decode(&mut rest)?;
    if name.as_str() == Some("@setDataFrame") {
        name = amf0::decode(&mut rest)?;
    }
    if name.as_str() != Some("onMetaData") || rest.is_empty() {
        return Ok(None);
    }
    let values = amf0::decode(&mut rest)?;
    let number = |key| values.get(key).and_then(Value::as_f64).filter(|n| n.is_finite() && *n > 0.0);
    let encoder = values.get("encoder").and_then(Value::as_str);
    Ok(Some(Metadata {
        encoder: encoder.map(|e| e.chars().filter(|c| !c.is_control()).take(MAX_ENCODER).collect()),
        video_kbit_s: number("videodatarate"),
        audio_kbit_s: number("audiodatarate"),
        frame_rate: number("framerate").or_else(|| number("fps")),
        width: number("width"),
        height: number("height"),
        color_info: None,
    }))
}

/// Reads the content of an enhanced tag's metadata. `None` where it is not about colours; `Some(None)`
/// where the colours are those of the bitstream again.
///
/// # Errors
/// When the values are not AMF0, or longer than [`MAX_COLOR_INFO`].
pub(crate) fn color_info(data: &[u8]) -> Result<Option<Option<Bytes>>, Error> {
    let mut rest = data;
    if amf0::decode(&mut rest)?.as_str() != Some("colorInfo") {
        return Ok(None);
    }
    let value = if rest.is_empty() { Value::Undefined } else { amf0::decode(&mut rest)? };
    if !tells(&value) {
        return Ok(Some(None));
    }
    if data.len() > MAX_COLOR_INFO {
        return Err(Error::ColorInfoTooLong { len: data.len() });
    }
    let mut out = BytesMut::with_capacity(data.len());
    amf0::encode_all(&[Value::String("colorInfo".to_owned()), value], &mut out);
    Ok(Some(Some(out.freeze())))
}

/// Something is in it, however deep: encoders send objects of empty objects.
fn tells(value: &Value) -> bool {
    match value.properties() {
        Some(members) => members.iter().any(|(_, v)| tells(v)),
        None => !matches!(value, Value::Undefined | Value::Null),
    }
}

/// `onMetaData` as players are told, from what the bitstream says, else what the publisher said.
#[must_use]
pub fn on_metadata(publisher: &Metadata, video: Option<&VideoConfig>, audio: Option<&AudioConfig>) -> Bytes {
    let mut list: Vec<(String, Value)> = Vec::with_capacity(12);
    let mut put = |key: &str, value: Value| list.push((key.to_owned(), value));
    let number = |n: u32| Value::Number(f64::from(n));
    if let Some(v) = video {
        let said = publisher.width.zip(publisher.height);
        let size = v.resolution().map(|(w, h)| (f64::from(w), f64::from(h))).or(said);
        if let Some((w, h)) = size {
            put("width", Value::Number(w));
            put("height", Value::Number(h));
        }
        if let Some(rate) = v.frame_rate().or(publisher.frame_rate) {
            put("framerate", Value::Number(rate));
        }
        if let Some(id) = body::video_codec_id(v) {
            put("videocodecid", number(id));
        }
        put("videodatarate", Value::Number(publisher.video_kbit_s.unwrap_or(0.0)));
    }
    if let Some(a) = audio {
        if let Some(id) = body::audio_codec_id(a) {
            put("audiocodecid", number(id));
        }
        put("audiosamplerate", number(a.output_sample_rate()));
        put("audiosamplesize", number(16));
        put("stereo", Value::Boolean(a.channels() != 1));
        put("audiodatarate", Value::Number(publisher.audio_kbit_s.unwrap_or(0.0)));
    }
    put("hasVideo", Value::Boolean(video.is_some()));
    put("hasAudio", Value::Boolean(audio.is_some()));
    put("encoder", Value::String(concat!("Millrace ", env!("CARGO_PKG_VERSION")).to_owned()));
    let mut out = BytesMut::new();
    Value::String("onMetaData".to_owned()).encode(&mut out);
    Value::EcmaArray(list).encode(&mut out);
    out.freeze()
}

/// The colours are those of the bitstream again.
pub const NO_COLOR_INFO: &[u8] = b"\x02\0\x09colorInfo\x06";

/// Longest colour information that is passed on, bytes. All that is specified takes about 500.
pub const MAX_COLOR_INFO: usize = 4096;

/// Characters of an encoder's name that are kept.
const MAX_ENCODER: usize = 120;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use millrace_media::AacConfig;

    #[test]
    fn what_is_written_is_read() {
        let aac = AudioConfig::Aac(AacConfig::parse(Bytes::from_static(&[0x12, 0x10])).unwrap());
        let said = Metadata { frame_rate: Some(25.0), width: Some(640.0), ..Metadata::default() };
        let bytes = on_metadata(&said, None, Some(&aac));
        let values = amf0::decode_all(&bytes).unwrap();
        assert_eq!(values[1].get("audiosamplerate"), Some(&Value::Number(44_100.0)));
        assert_eq!(values[1].get("hasVideo"), Some(&Value::Boolean(false)));
        assert_eq!(values[1].get("width"), None, "no picture, no size");
        assert!(parse(&bytes).unwrap().unwrap().encoder.unwrap().starts_with("Millrace "));
    }

    #[test]
    fn set_data_frame_is_passed_over_and_nonsense_values_are_ignored() {
        let mut out = BytesMut::new();
        for v in [Value::String("@setDataFrame".into()), Value::String("onMetaData".into())] {
            v.encode(&mut out);
        }
        Value::EcmaArray(vec![
            ("width".into(), Value::Number(f64::NAN)),
            ("height".into(), Value::Number(-3.0)),
            ("framerate".into(), Value::String("x".into())),
            ("encoder".into(), Value::String("a\nb".into())),
        ])
        .encode(&mut out);
        let m = parse(&out).unwrap().unwrap();
        assert_eq!(m, Metadata { encoder: Some("ab".into()), ..Metadata::default() });
    }

    #[test]
    fn colours_are_kept_where_something_is_told() {
        // As FFmpeg sends it of a video without colours: two objects without members.
        let nothing = b"\x02\0\x09colorInfo\x03\0\x0bcolorConfig\x03\0\0\x09\0\0\x09";
        assert_eq!(color_info(nothing).unwrap(), Some(None));
        assert_eq!(color_info(b"\x02\0\x09colorInfo").unwrap(), Some(None));
        assert_eq!(color_info(NO_COLOR_INFO).unwrap(), Some(None));
        assert_eq!(color_info(b"\x02\0\x04else\x05").unwrap(), None);
        let colours =
            b"\x02\0\x09colorInfo\x03\0\x0bcolorConfig\x03\0\x08bitDepth\0\x40\x24\0\0\0\0\0\0\0\0\x09\0\0\x09";
        assert_eq!(color_info(colours).unwrap().unwrap().unwrap(), &colours[..]);
        assert!(color_info(b"\x02\0\x09colorInfo\x03").is_err());
    }

    #[test]
    fn colour_length_limit() {
        let of_length = |len: usize| {
            let mut out = BytesMut::new();
            let text = Value::String("x".repeat(len - 12 - 3));
            amf0::encode_all(&[Value::String("colorInfo".into()), text], &mut out);
            assert_eq!(out.len(), len);
            color_info(&out)
        };
        assert!(of_length(MAX_COLOR_INFO).is_ok());
        assert!(matches!(of_length(MAX_COLOR_INFO + 1), Err(Error::ColorInfoTooLong { .. })));
    }

    #[test]
    fn other_script_data_is_not_metadata() {
        let mut out = BytesMut::new();
        Value::String("onCuePoint".into()).encode(&mut out);
        Value::Null.encode(&mut out);
        assert_eq!(parse(&out).unwrap(), None);
        assert!(parse(&[0x7f]).is_err());
    }
}
