//! What FFmpeg reads from a file or a URL: frames with their times and checksums.

use std::collections::HashMap;

use crate::{Program, process::ffmpeg};

/// The frames of an input, each track in decoding order.
#[derive(Debug, Default, Clone)]
pub struct Frames {
    /// Pictures.
    pub video: Vec<Frame>,
    /// Frames of sound.
    pub audio: Vec<Frame>,
    /// The codec of each track.
    pub codecs: Vec<String>,
    /// Width and height of each track of pictures, such as `160x90`.
    pub sizes: Vec<String>,
}

/// A coded frame, without what a container adds to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// When it is decoded, milliseconds.
    pub dts: f64,
    /// When it is shown, milliseconds.
    pub pts: f64,
    /// Of its payload.
    pub hash: String,
}

/// A running FFmpeg that reads an input to its end.
#[derive(Debug)]
pub struct Reading(Program);

/// How sound is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sound {
    /// AAC.
    Aac,
    /// MP3.
    Mp3,
}

impl Frames {
    /// Reads an input that ends, without a warning.
    #[track_caller]
    pub fn of(input: &str, sound: Sound) -> Self {
        Reading::start(input, sound).finish()
    }
}

impl Reading {
    /// Begins to read.
    ///
    /// Parameter sets and access unit delimiters, which containers add and leave out as they please,
    /// are left out, as are ADTS headers: what remains is the same in every container.
    #[track_caller]
    pub fn start(input: &str, sound: Sound) -> Self {
        let mut filters = vec!["-bsf:v", "h264_mp4toannexb,filter_units=remove_types=7-9"];
        if sound == Sound::Aac {
            filters.extend(["-bsf:a", "aac_adtstoasc"]);
        }
        Self::start_with(&ffmpeg(), input, &filters)
    }

    /// Begins to read with this FFmpeg, and with these options of the output: its filters of coded frames.
    #[track_caller]
    pub fn start_with(ffmpeg: &str, input: &str, filters: &[&str]) -> Self {
        let mut arguments = vec!["-v", "warning", "-nostats", "-nostdin", "-copyts", "-i", input];
        arguments.extend(["-map", "0", "-c", "copy", "-copyinkf"]);
        arguments.extend(filters);
        arguments.extend(["-f", "framehash", "-hash", "md5", "-"]);
        Self(Program::start(ffmpeg, arguments))
    }

    /// Waits for the end.
    #[track_caller]
    pub fn finish(self) -> Frames {
        let ended = self.0.wait().success();
        let said = without_harmless(ended.stderr);
        assert!(said.is_empty(), "{said:#?}");
        parse(&ended.stdout)
    }

    /// What it has read so far.
    pub fn so_far(&self) -> Frames {
        parse(&self.0.stdout())
    }

    /// The process.
    pub fn program(&mut self) -> &mut Program {
        &mut self.0
    }
}

/// Without what FFmpeg says of every HTTP body that ends with its connection, which it takes for one cut
/// short (`libavformat/http.c`, `http_buf_read`), though HTTP/1.1 allows that (RFC 9112, 6.3).
fn without_harmless(mut lines: Vec<String>) -> Vec<String> {
    let open_end = |line: &String| line.ends_with("should be 18446744073709551615");
    if lines.iter().any(open_end) {
        let repeated = |line: &String| line.trim_start().starts_with("Last message repeated");
        lines.retain(|line| !(open_end(line) || repeated(line) || line.ends_with("Input/output error")));
    }
    lines
}

fn parse(lines: &[String]) -> Frames {
    let mut ticks = HashMap::new();
    let mut kinds = HashMap::new();
    let mut frames = Frames::default();
    for line in lines {
        if let Some(about) = line.strip_prefix('#') {
            let (name, value) = about.split_once(':').unwrap_or((about, ""));
            match name.split_once(' ') {
                Some(("tb", stream)) => {
                    let (num, den) = value.trim().split_once('/').unwrap();
                    let tick = 1000.0 * num.parse::<f64>().unwrap() / den.parse::<f64>().unwrap();
                    ticks.insert(stream.to_owned(), tick);
                }
                Some(("codec_id", _)) => frames.codecs.push(value.trim().to_owned()),
                Some(("dimensions", _)) => frames.sizes.push(value.trim().to_owned()),
                Some(("media_type", stream)) => _ = kinds.insert(stream.to_owned(), value.trim().to_owned()),
                _ => {}
            }
            continue;
        }
        let fields: Vec<_> = line.split(',').map(str::trim).collect();
        let [stream, dts, pts, _duration, _size, hash, ..] = fields[..] else { continue };
        let milliseconds = |text: &str| text.parse::<f64>().unwrap() * ticks[stream];
        let frame = Frame { dts: milliseconds(dts), pts: milliseconds(pts), hash: hash.to_owned() };
        match kinds[stream].as_str() {
            "video" => frames.video.push(frame),
            "audio" => frames.audio.push(frame),
            other => panic!("a track of {other}"),
        }
    }
    frames
}

/// Panics unless `got` is an uninterrupted stretch of `source`: each frame once, none missing
/// between, in order. Gives the number of its first frame in the source, and by how many
/// milliseconds each frame is shown later than in the source.
#[track_caller]
pub fn assert_consecutive(source: &[Frame], got: &[Frame]) -> (usize, Vec<f64>) {
    assert!(!got.is_empty(), "there is no frame");
    let place = |frame: &Frame| {
        let mut places = source.iter().enumerate().filter(|(_, s)| s.hash == frame.hash).map(|(i, _)| i);
        let place = places.next();
        assert!(places.next().is_none(), "frames of the source are alike");
        place
    };
    let first = place(&got[0]).unwrap_or_else(|| panic!("{:?} is not in the source", got[0]));
    for (i, frame) in got.iter().enumerate() {
        assert_eq!(place(frame), Some(first + i), "after {i} frames that followed number {first}: {frame:?}");
    }
    let shifts = got.iter().zip(&source[first..]).map(|(got, source)| got.pts - source.pts).collect();
    (first, shifts)
}

/// Panics unless times of decoding rise and none is after that of showing.
#[track_caller]
pub fn assert_order(frames: &[Frame]) {
    for pair in frames.windows(2) {
        assert!(pair[0].dts < pair[1].dts, "{pair:?}");
    }
    for frame in frames {
        assert!(frame.dts <= frame.pts, "{frame:?}");
    }
}

/// Streams of an input, as ffprobe describes them.
#[track_caller]
pub fn probe(input: &str) -> Vec<serde_json::Value> {
    let arguments = ["-v", "warning", "-of", "json", "-show_streams", input];
    let ended = Program::start("ffprobe", arguments).wait().silent();
    let mut all: serde_json::Value = serde_json::from_str(&ended.stdout.join("\n")).unwrap();
    let serde_json::Value::Array(streams) = all["streams"].take() else { panic!("{all}") };
    streams
}
