//! Files by FFmpeg, read here; segments made here, read by FFmpeg.
#![allow(dead_code, unreachable_pub)] // not every test uses all of it

pub mod build;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use millrace_mp4::{Error, Movie, Packaged, Plan, Reader};

/// A directory that goes when it is dropped.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("millrace-mp4-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs FFmpeg; `arguments` end with the name of a file in `dir`. Returns the file.
pub fn ffmpeg(dir: &TempDir, arguments: &str) -> PathBuf {
    let (arguments, name) = arguments.rsplit_once(' ').unwrap();
    let file = dir.path(name);
    let arguments = arguments.replace("DIR", dir.0.to_str().unwrap());
    run(Command::new("ffmpeg").args(["-v", "error", "-y"]).args(arguments.split_whitespace()).arg(&file));
    file
}

/// What the program says; panics where it complains.
pub fn run(command: &mut Command) -> String {
    let output = command.output().expect("ffmpeg and ffprobe are installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Reads the index of a file that is in memory.
pub fn read(file: &[u8]) -> Result<Movie, Error> {
    read_counting(file).map(|(movie, _)| movie)
}

/// Also says how many bytes were asked for.
pub fn read_counting(file: &[u8]) -> Result<(Movie, u64), Error> {
    let mut reader = Reader::new(file.len() as u64)?;
    let mut read = 0;
    while let Some(range) = reader.wants() {
        assert!(range.end - range.start <= millrace_mp4::MAX_PIECE && range.start < range.end);
        read += range.end - range.start;
        reader.feed(range.start, &file[range.start as usize..range.end as usize])?;
    }
    Ok((reader.finish()?, read))
}

pub fn plan(file: &[u8], target: Duration) -> Plan {
    Plan::new(Arc::new(read(file).unwrap()), target).unwrap()
}

/// The bytes of a segment.
pub fn segment(track: Packaged<'_>, n: usize, file: &[u8]) -> Vec<u8> {
    let segment = track.segment(n).unwrap();
    let mut bytes = segment.head.to_vec();
    for pair in segment.ranges.windows(2) {
        assert!(pair[0].end != pair[1].start, "adjacent ranges are one");
    }
    for range in &segment.ranges {
        bytes.extend_from_slice(&file[range.start as usize..range.end as usize]);
    }
    assert_eq!(bytes.len() as u64, segment.size);
    bytes
}

/// The init segment and all others.
pub fn joined(track: Packaged<'_>, file: &[u8]) -> Vec<u8> {
    let mut bytes = track.init_segment().to_vec();
    (0..track.segments()).for_each(|n| bytes.extend(segment(track, n, file)));
    assert!(track.segment(track.segments()).is_none());
    bytes
}

/// Packages all of a movie; panics where anything of it is not within the file, or not as it must be.
pub fn exercise(movie: Movie) {
    let size = movie.size();
    for track in movie.tracks() {
        let _ = (track.codec(), track.playback(), track.display_size(), track.rotation(), track.frame_rate());
        let _ = (track.begins(), track.duration(), track.language(), track.defect().map(ToString::to_string));
    }
    let _ = movie.duration();
    let Ok(plan) = Plan::new(Arc::new(movie), Duration::from_secs(2)) else { return };
    for track in plan.tracks() {
        assert!(track.segments() > 0 && track.media_playlist("").ends_with("#EXT-X-ENDLIST\n"));
        let boundaries: Vec<_> = track.boundaries().collect();
        assert_eq!(boundaries.len(), track.segments());
        assert!(track.durations().all(|d| d > Duration::ZERO) && track.bit_rate().peak >= track.bit_rate().average);
        assert!(track.init_segment().len() < millrace_mp4::MAX_SAMPLE_ENTRY + 1024);
        for n in 0..track.segments().min(64) {
            let segment = track.segment(n).unwrap();
            assert!(segment.ranges.iter().all(|r| r.start < r.end && r.end <= size));
            let payload: u64 = segment.ranges.iter().map(|r| r.end - r.start).sum();
            assert_eq!(segment.size, segment.head.len() as u64 + payload);
            assert!(segment.head.len() < 16 * (millrace_mp4::MAX_SEGMENT_SAMPLES + 16));
        }
    }
}

/// A packet as ffprobe sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    /// Ticks.
    pub pts: i64,
    pub seconds: f64,
    pub keyframe: bool,
    /// The edit list cuts it off.
    pub discarded: bool,
    pub hash: String,
}

/// The packets of one stream, in stream order: `v:0`, `a:0`, …
pub fn packets(file: &Path, stream: &str) -> Vec<Packet> {
    let entries = ["-show_entries", "packet=pts,pts_time,flags,data_hash", "-show_data_hash", "md5"];
    let text = run(Command::new("ffprobe")
        .args(["-v", "error", "-of", "compact=p=0", "-select_streams", stream])
        .args(entries)
        .arg(file));
    // What is said beside a packet has lines of its own.
    let packets = text.split("\npts=").filter(|packet| !packet.is_empty());
    packets
        .map(|line| {
            let line = format!("pts={}", line.trim_start_matches("pts="));
            let field = |name: &str| {
                let mut fields = line.split(['|', '\n']).filter_map(|field| field.split_once('='));
                fields.find(|(key, _)| *key == name).unwrap_or_else(|| panic!("{name} in {line}")).1.to_owned()
            };
            Packet {
                pts: field("pts").parse().unwrap(),
                seconds: field("pts_time").parse().unwrap(),
                keyframe: field("flags").starts_with('K'),
                discarded: field("flags").contains('D'),
                hash: field("data_hash"),
            }
        })
        .collect()
}

/// What is decoded of one stream: when each frame is shown, and a hash of it.
pub fn frames(file: &Path, stream: &str) -> Vec<(f64, String)> {
    let decoded = run(Command::new("ffmpeg").args(["-v", "error", "-noautorotate", "-i"]).arg(file).args([
        "-map",
        &format!("0:{stream}"),
        "-fps_mode",
        "passthrough",
        "-f",
        "framemd5",
        "-",
    ]));
    let hashes =
        decoded.lines().filter(|l| !l.starts_with('#')).map(|l| l.rsplit(',').next().unwrap().trim().to_owned());
    let times = run(Command::new("ffprobe")
        .args(["-v", "error", "-of", "csv=p=0", "-select_streams", stream, "-show_entries", "frame=pts_time"])
        .arg(file));
    let times = times.lines().filter(|l| !l.is_empty()).map(|l| l.trim_end_matches(',').parse().unwrap());
    let (hashes, times): (Vec<_>, Vec<f64>) = (hashes.collect(), times.collect());
    assert_eq!(hashes.len(), times.len());
    times.into_iter().zip(hashes).collect()
}
