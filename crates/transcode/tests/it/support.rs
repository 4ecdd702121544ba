//! Sources, and a judge of what is made of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use millrace_transcode::{
    AudioCodec, AudioSettings, Error, Ffmpeg, FfmpegConfig, Keyframes, Limits, Made, Probe, Progress, Rung, Speed,
    Transcode, VideoCodec, VideoSettings,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) async fn ffmpeg() -> Ffmpeg {
    let config = FfmpegConfig { threads: 2, nice: 0, ..FfmpegConfig::default() };
    Ffmpeg::find(config).await.expect("these tests need FFmpeg")
}

/// A directory with files in it.
pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a source: words for FFmpeg, without the output's name.
    pub(crate) fn make(&self, name: &str, words: &str) -> PathBuf {
        let path = self.path(name);
        let words = words.replace("{dir}", self.dir.path().to_str().unwrap());
        let done = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-y", "-threads", "2"])
            .args(words.split_whitespace())
            .arg(&path)
            .output()
            .unwrap();
        assert!(done.status.success(), "{words}: {}", String::from_utf8_lossy(&done.stderr));
        path
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Names of all that is there, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Three seconds of moving pictures, a keyframe each second, with sound.
pub(crate) const PLAIN: &str = "-f lavfi -i testsrc2=s=320x180:r=30:d=3 -f lavfi -i sine=d=3 \
     -c:v libx264 -preset ultrafast -bf 2 -g 30 -pix_fmt yuv420p -c:a aac";

pub(crate) async fn probe(ffmpeg: &Ffmpeg, path: &Path) -> Probe {
    send(ffmpeg.probe(path, &Limits::default())).await.unwrap()
}

pub(crate) fn video(codec: VideoCodec, width: u32, height: u32) -> VideoSettings {
    let (max_bit_rate, speed) = (500_000, Speed::Fast);
    VideoSettings { codec, width, height, frame_rate: None, max_bit_rate, crf: 30, speed }
}

pub(crate) fn aac() -> AudioSettings {
    AudioSettings { codec: AudioCodec::Aac, bit_rate: 96_000, channels: 2 }
}

pub(crate) fn rung(width: u32, height: u32) -> Rung {
    let name = width.min(height).to_string();
    Rung { name, video: Some(video(VideoCodec::H264, width, height)), audio: Some(aac()) }
}

pub(crate) async fn transcode(
    ffmpeg: &Ffmpeg,
    input: &Path,
    rung: &Rung,
    keyframes: Keyframes,
    output: &Path,
) -> Result<Made, Error> {
    let probe = &probe(ffmpeg, input).await;
    let spec = Transcode { input, probe, rung, keyframes: &keyframes, output };
    send(ffmpeg.transcode(&spec, &unheard(), &CancellationToken::new())).await
}

/// What is awaited on any thread.
pub(crate) fn send<F: Future + Send>(future: F) -> F {
    future
}

/// Progress that nobody asks for.
pub(crate) fn unheard() -> watch::Sender<Progress> {
    watch::channel(Progress::default()).0
}

/// What ffprobe says of a file.
pub(crate) struct Judged(Value);

pub(crate) fn judge(path: &Path) -> Judged {
    let words =
        "-v error -show_streams -show_format -show_chapters -show_entries packet=stream_index,pts_time,flags -of json";
    let done = Command::new("ffprobe").args(words.split(' ')).arg(path).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    Judged(serde_json::from_slice(&done.stdout).unwrap())
}

impl Judged {
    fn stream(&self, kind: &str) -> Option<&Value> {
        self.0["streams"].as_array().unwrap().iter().find(|s| s["codec_type"] == kind)
    }

    pub(crate) fn kinds(&self) -> Vec<&str> {
        self.0["streams"].as_array().unwrap().iter().map(|s| s["codec_type"].as_str().unwrap()).collect()
    }

    pub(crate) fn text(&self, kind: &str, key: &str) -> &str {
        self.stream(kind).unwrap()[key].as_str().unwrap_or_default()
    }

    pub(crate) fn number(&self, kind: &str, key: &str) -> f64 {
        let value = &self.stream(kind).unwrap()[key];
        value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap()
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        (self.number("video", "width") as u32, self.number("video", "height") as u32)
    }

    pub(crate) fn duration(&self) -> f64 {
        self.0["format"]["duration"].as_str().unwrap().parse().unwrap()
    }

    /// All tags of the file and its tracks, as text.
    pub(crate) fn tags(&self) -> String {
        let tracks = self.0["streams"].as_array().unwrap().iter().map(|s| s["tags"].to_string());
        tracks.chain([self.0["format"]["tags"].to_string(), self.0["chapters"].to_string()]).collect()
    }

    pub(crate) fn has_rotation(&self) -> bool {
        self.stream("video").unwrap().to_string().contains("rotation")
    }

    /// When pictures are shown, in order.
    pub(crate) fn times(&self) -> Vec<f64> {
        self.packets(|_| true)
    }

    pub(crate) fn keyframes(&self) -> Vec<f64> {
        self.packets(|flags| flags.starts_with('K'))
    }

    fn packets(&self, wanted: impl Fn(&str) -> bool) -> Vec<f64> {
        let index = &self.stream("video").unwrap()["index"];
        let packets = self.0["packets"].as_array().unwrap().iter().filter(|p| p["stream_index"] == *index);
        let wanted = packets.filter(|p| wanted(p["flags"].as_str().unwrap()));
        let mut times: Vec<f64> = wanted.map(|p| p["pts_time"].as_str().unwrap().parse().unwrap()).collect();
        times.sort_by(f64::total_cmp);
        times
    }
}

/// Equal to a tenth of a millisecond, which all units of time are finer than.
pub(crate) fn assert_times(left: &[f64], right: &[f64]) {
    let same = left.len() == right.len() && left.iter().zip(right).all(|(a, b)| (a - b).abs() < 1e-4);
    assert!(same, "{left:?}\n{right:?}");
}

/// Numbers of the processes that have `text` among their arguments.
pub(crate) fn processes_with(text: &str) -> Vec<u32> {
    let has = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    };
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    entries.filter(has).filter(|pid| *pid != std::process::id()).collect()
}
