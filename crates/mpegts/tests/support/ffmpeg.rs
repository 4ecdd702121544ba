//! FFmpeg and ffprobe as source and as judge. They are prerequisites of the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use millrace_media::Unit;

/// A file that goes when it is dropped.
pub struct TempFile(PathBuf);

impl TempFile {
    pub fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("millrace-{}-{name}", std::process::id())))
    }

    pub fn with(name: &str, content: &[u8]) -> Self {
        let file = Self::new(name);
        std::fs::write(&file.0, content).unwrap();
        file
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Encodes as `arguments` say, as FLV; returns it as units.
pub fn encode(name: &str, arguments: &str) -> Vec<Unit> {
    let file = TempFile::new(&format!("{name}.flv"));
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(arguments.split_whitespace())
        .args(["-f", "flv"])
        .arg(file.path())
        .output()
        .expect("ffmpeg is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    super::flv::read(std::fs::read(file.path()).unwrap())
}

/// A packet as ffprobe sees it.
#[derive(Debug)]
pub struct Packet {
    pub video: bool,
    pub pts: f64,
    pub dts: f64,
    pub keyframe: bool,
}

/// The packets of a transport stream, in stream order. Panics where ffprobe warns of anything.
pub fn packets(ts: &Path) -> Vec<Packet> {
    let out = silent(Command::new("ffprobe").args(["-v", "warning", "-of", "csv=p=0", "-show_entries"]).args([
        "packet=codec_type,pts_time,dts_time,flags",
        "-i",
        ts.to_str().unwrap(),
    ]));
    out.lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let f: Vec<_> = line.split(',').collect();
            Packet {
                video: f[0] == "video",
                pts: f[1].parse().unwrap(),
                dts: f[2].parse().unwrap(),
                keyframe: f[3].starts_with('K'),
            }
        })
        .collect()
}

/// The codecs of the streams, as FFmpeg names them.
pub fn codecs(ts: &Path) -> String {
    let entries = ["-v", "warning", "-of", "csv=p=0", "-show_entries", "stream=codec_name"];
    let out = silent(Command::new("ffprobe").args(entries).arg(ts));
    let mut names: Vec<_> = out.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    names.dedup(); // once for the program, once for itself
    names.truncate(names.len().min(2));
    names.join(",")
}

/// Decodes everything; panics where FFmpeg warns of anything. Returns the number of pictures and
/// of sound samples.
pub fn decode(input: &Path) -> (usize, usize) {
    let count = |select: &str, entry: &str| {
        let out = silent(Command::new("ffprobe").args(["-v", "warning", "-of", "csv=p=0", "-select_streams"]).args([
            select,
            "-show_entries",
            entry,
            "-i",
            input.to_str().unwrap(),
        ]));
        out.lines().filter_map(|l| l.split(',').next().map(str::to_owned)).filter(|l| !l.is_empty()).collect::<Vec<_>>()
    };
    let pictures = count("v", "frame=key_frame").len();
    let samples = count("a", "frame=nb_samples").iter().map(|n| n.parse::<usize>().unwrap()).sum();
    (pictures, samples)
}

fn silent(command: &mut Command) -> String {
    let output = command.output().expect("ffprobe is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
