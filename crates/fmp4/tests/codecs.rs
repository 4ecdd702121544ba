//! Each codec: frames that FFmpeg coded, fragmented here, read and decoded by FFmpeg again.
#![allow(clippy::unwrap_used)]

#[path = "../../mpegts/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_fmp4::{EPOCH, Fragmenter, audio_codec_string, init_segment, video_codec_string};
use millrace_media::{
    AacConfig, Ac3Config, AudioConfig, Av1Config, AvcConfig, FlacConfig, Frame, HevcConfig, Mp3Config, OpusConfig,
    Timestamp, TrackKind, VideoConfig, Vp9Config,
};
use support::ffmpeg::TempFile;

/// What FFmpeg coded.
struct Source {
    file: TempFile,
    bytes: Vec<u8>,
    frames: Vec<Frame>,
}

impl Source {
    fn encode(name: &str, arguments: &str) -> Self {
        let file = TempFile::new(&format!("{name}-source.mp4"));
        run(Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-f", "lavfi", "-i"])
            .args(arguments.split_whitespace())
            .args(["-strict", "experimental", "-t", "2"])
            .arg(file.path()));
        let bytes = std::fs::read(file.path()).unwrap();
        let frames = packets(file.path(), &["codec_type", "pts_time", "dts_time", "size", "pos", "flags"])
            .into_iter()
            .map(|f| {
                let at = |text: &str| Timestamp::from_nanos((text.parse::<f64>().unwrap() * 1e9).round() as i64);
                let (size, pos) = (f[3].parse::<usize>().unwrap(), f[4].parse::<usize>().unwrap());
                Frame {
                    track: if f[0] == "video" { TrackKind::Video } else { TrackKind::Audio },
                    keyframe: f[5].starts_with('K'),
                    pts: at(&f[1]),
                    dts: at(&f[2]),
                    payload: Bytes::copy_from_slice(&bytes[pos..pos + size]),
                }
            })
            .collect();
        Self { file, bytes, frames }
    }

    /// What is in the box `kind`, which FFmpeg wrote.
    fn record(&self, kind: &[u8; 4]) -> Bytes {
        let at = self.bytes.windows(4).rposition(|w| w == kind).unwrap();
        let size = u32::from_be_bytes(*self.bytes[at - 4..].first_chunk().unwrap()) as usize;
        Bytes::copy_from_slice(&self.bytes[at + 4..at - 4 + size])
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn packets(file: &Path, fields: &[&str]) -> Vec<Vec<String>> {
    let entries = format!("packet={}", fields.join(","));
    let text =
        run(Command::new("ffprobe").args(["-v", "warning", "-of", "csv=p=0", "-show_entries", &entries]).arg(file));
    text.lines().filter(|l| !l.is_empty()).map(|l| l.split(',').map(str::to_owned).collect()).collect()
}

fn streams(file: &Path) -> Vec<String> {
    let entries =
        "stream=codec_name,profile,codec_tag_string,width,height,pix_fmt,sample_rate,channels,bits_per_raw_sample";
    let text =
        run(Command::new("ffprobe").args(["-v", "warning", "-of", "csv=p=0", "-show_entries", entries]).arg(file));
    text.lines().map(str::to_owned).collect()
}

/// One hash of all that is decoded.
fn decoded(file: &Path, map: &str) -> String {
    run(Command::new("ffmpeg").args(["-v", "warning", "-i"]).arg(file).args([
        "-map",
        map,
        "-fps_mode",
        "passthrough",
        "-f",
        "md5",
        "-",
    ]))
}

fn fragmented(mut fragmenter: Fragmenter, init: &[u8], frames: &[Frame]) -> Vec<u8> {
    let mut file = init.to_vec();
    let mut start = frames[0].dts;
    for frame in frames {
        if frame.dts.since(start) > Duration::from_millis(400) {
            file.extend_from_slice(&fragmenter.end(Some(frame.dts), 1).unwrap().bytes);
            start = frame.dts;
        }
        fragmenter.push(frame).unwrap();
    }
    file.extend_from_slice(&fragmenter.end(None, 1).unwrap().bytes);
    file
}

/// Every packet is found at its time, with its size and flag; what is decoded is the same.
fn check_video(name: &str, source: &Source, config: VideoConfig) {
    let config = Arc::new(config);
    let init = init_segment(Some(&config), None).unwrap();
    let file = fragmented(Fragmenter::video(config).unwrap(), &init, &source.frames);
    let file = TempFile::with(&format!("{name}.mp4"), &file);
    let found = packets(file.path(), &["pts", "dts", "size", "flags"]);
    let given: Vec<Vec<String>> = source
        .frames
        .iter()
        .map(|f| {
            let in_file = |t: Timestamp| (t + EPOCH).as_90khz().to_string();
            let flags = if f.keyframe { "K_" } else { "__" };
            vec![in_file(f.pts), in_file(f.dts), f.payload.len().to_string(), flags.to_owned()]
        })
        .collect();
    assert_eq!(found, given, "{name}");
    assert_eq!(streams(file.path()), streams(source.file.path()), "{name}");
    assert_eq!(decoded(file.path(), "0:v"), decoded(source.file.path(), "0:v"), "{name}");
}

/// Every packet is found, one at the end of the other, and decoded; what is lossless is the same.
fn check_audio(name: &str, source: &Source, config: AudioConfig) {
    let config = Arc::new(config);
    let init = init_segment(None, Some(&config)).unwrap();
    let file = fragmented(Fragmenter::audio(config.clone()).unwrap(), &init, &source.frames);
    let file = TempFile::with(&format!("{name}.mp4"), &file);
    let found = packets(file.path(), &["pts", "size"]);
    let mut at = (source.frames[0].dts + EPOCH).as_ticks(config.sample_rate());
    let mut given = vec![];
    for frame in &source.frames {
        given.push(vec![at.to_string(), frame.payload.len().to_string()]);
        at += i64::from(config.samples_in(&frame.payload).unwrap());
    }
    assert_eq!(found, given, "{name}");
    assert_eq!(streams(file.path()), streams(source.file.path()), "{name}");
    let (here, there) = (decoded(file.path(), "0:a"), decoded(source.file.path(), "0:a"));
    // Elsewhere the source's edit list takes the encoder's delay away.
    if matches!(*config, AudioConfig::Flac(_)) {
        assert_eq!(here, there, "{name}");
    }
}

const PICTURES: &str = "testsrc2=size=320x180:rate=25 -pix_fmt yuv420p";

#[test]
fn h264() {
    let source = Source::encode("h264", &format!("{PICTURES} -c:v libx264 -preset veryfast -bf 3 -g 25"));
    let config = VideoConfig::Avc(AvcConfig::parse(source.record(b"avcC")).unwrap());
    assert!(video_codec_string(&config).starts_with("avc1.64"));
    check_video("h264", &source, config);
}

#[test]
fn hevc() {
    let x265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none:bframes=3:keyint=25 -tag:v hvc1";
    let source = Source::encode("hevc", &format!("{PICTURES} {x265}"));
    assert!(source.frames[0].dts < Timestamp::ZERO, "pictures are decoded before the stream's zero");
    // A publisher's record may not say that it has all parameter sets, and be of version 0.
    let mut record = source.record(b"hvcC").to_vec();
    let as_ffmpeg_writes_it = record.clone();
    record[0] = 0;
    record[23] &= 0x7f;
    let config = VideoConfig::Hevc(HevcConfig::parse(record.into()).unwrap());
    assert!(video_codec_string(&config).starts_with("hvc1.1.6."));
    let init = init_segment(Some(&config), None).unwrap();
    assert!(init.windows(as_ffmpeg_writes_it.len()).any(|w| w == as_ffmpeg_writes_it));
    check_video("hevc", &source, config);
}

#[test]
fn av1() {
    let source = Source::encode("av1", &format!("{PICTURES} -c:v libaom-av1 -cpu-used 8 -usage realtime -g 25"));
    let config = VideoConfig::Av1(Av1Config::parse(source.record(b"av1C")).unwrap());
    assert_eq!(video_codec_string(&config), "av01.0.00M.08");
    check_video("av1", &source, config);
}

#[test]
fn vp9() {
    let source = Source::encode("vp9", &format!("{PICTURES} -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25"));
    let config = VideoConfig::Vp9(Vp9Config::parse(&source.record(b"vpcC")).unwrap().with_size((320, 180)));
    assert_eq!(video_codec_string(&config), "vp09.00.11.08");
    check_video("vp9", &source, config);
}

#[test]
fn aac_and_he_aac_as_publishers_announce_it() {
    let source = Source::encode("aac", "sine=sample_rate=44100 -ac 2 -c:a aac");
    let aac = |config: &[u8]| AudioConfig::Aac(AacConfig::parse(Bytes::copy_from_slice(config)).unwrap());
    check_audio("aac", &source, aac(&[0x12, 0x10, 0x56, 0xe5, 0x00]));
    let explicit = aac(&[0x2b, 0x92, 0x08, 0x00]);
    assert_eq!(audio_codec_string(&explicit), "mp4a.40.5");
    let init = init_segment(None, Some(&explicit)).unwrap();
    // DecoderSpecificInfo with the configuration as it came, and the rate at the loudspeaker.
    assert!(init.windows(6).any(|w| w == [5, 4, 0x2b, 0x92, 0x08, 0x00]));
    assert!(init.windows(4).any(|w| w == [0xac, 0x44, 0, 0]));
}

#[test]
fn mp3() {
    for (rate, codec) in [(44_100, "mp4a.6B"), (22_050, "mp4a.69")] {
        let name = format!("mp3-{rate}");
        let source = Source::encode(&name, &format!("sine=sample_rate={rate} -ac 2 -c:a libmp3lame"));
        let config = AudioConfig::Mp3(Mp3Config::parse(&source.frames[0].payload).unwrap());
        assert_eq!(audio_codec_string(&config), codec);
        check_audio(&name, &source, config);
    }
}

#[test]
fn opus() {
    for (name, arguments) in [
        ("opus-stereo", "-ac 2 -c:a libopus"),
        ("opus-short", "-ac 1 -c:a libopus -frame_duration 2.5 -application lowdelay"),
        ("opus-surround", "-af pan=5.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0 -c:a libopus -mapping_family 1"),
    ] {
        let source = Source::encode(name, &format!("sine=sample_rate=48000 {arguments}"));
        // From MP4's byte order to that of the identification header, which publishers send.
        let d = source.record(b"dOps");
        let mut head = b"OpusHead\x01".to_vec();
        head.extend_from_slice(&[d[1], d[3], d[2], d[7], d[6], d[5], d[4], d[9], d[8]]);
        head.extend_from_slice(&d[10..]);
        let config = AudioConfig::Opus(OpusConfig::parse(head.into()).unwrap());
        let init = init_segment(None, Some(&config)).unwrap();
        assert!(init.windows(d.len()).any(|w| w == d), "{name}");
        check_audio(name, &source, config);
    }
}

#[test]
fn flac() {
    for (name, arguments) in [("flac", "-c:a flac"), ("flac-24-96", "-af aresample=96000 -sample_fmt s32 -c:a flac")] {
        let source = Source::encode(name, &format!("sine=sample_rate=48000 -ac 2 {arguments}"));
        let config = AudioConfig::Flac(FlacConfig::parse(&source.record(b"dfLa").slice(4..)).unwrap());
        check_audio(name, &source, config);
    }
}

#[test]
fn ac3_and_e_ac3() {
    let surround = "-af pan=5.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0";
    for (encoder, arguments) in [("ac3", "-ac 2 -b:a 192k"), ("ac3", surround), ("eac3", "-ac 2"), ("eac3", surround)] {
        let name = format!("{encoder}-{}", arguments.len());
        let source = Source::encode(&name, &format!("sine=sample_rate=48000 {arguments} -c:a {encoder}"));
        let first = &source.frames[0].payload;
        let (config, kind) = match encoder {
            "ac3" => (AudioConfig::Ac3(Ac3Config::parse_ac3(first).unwrap()), b"dac3"),
            _ => (AudioConfig::Eac3(Ac3Config::parse_eac3(first).unwrap()), b"dec3"),
        };
        let (init, record) = (init_segment(None, Some(&config)).unwrap(), source.record(kind));
        assert!(init.windows(record.len()).any(|w| w == record), "{name}: {record:02x?}");
        check_audio(&name, &source, config);
    }
}
