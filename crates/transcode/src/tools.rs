//! FFmpeg and ffprobe: where they are, and what this build of them can do.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::container::{Container, HEAD_BYTES};
use crate::error::Error;
use crate::ladder::{AudioCodec, LadderConfig, VideoCodec};
use crate::process;

/// How FFmpeg is started.
#[derive(Debug, Clone)]
pub struct FfmpegConfig {
    /// The FFmpeg program, by name or path. ffprobe is looked for beside it.
    pub path: PathBuf,
    /// Threads of a transcode. 0: as many as FFmpeg likes, one or so per core.
    pub threads: u32,
    /// How far it stands back behind the server itself: 0 to 19, as of nice(1).
    pub nice: u8,
    /// How long it may make no progress before it is given up.
    pub stall: Duration,
    /// Bytes that it leaves free on the disk to which it writes.
    pub reserve: u64,
}

impl Default for FfmpegConfig {
    fn default() -> Self {
        Self { path: "ffmpeg".into(), threads: 0, nice: 10, stall: Duration::from_secs(600), reserve: 0 }
    }
}

/// An FFmpeg with its ffprobe, both of which have answered. What they can do is read once.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    pub(crate) config: FfmpegConfig,
    pub(crate) ffprobe: PathBuf,
    version: String,
    encoders: HashSet<String>,
    filters: HashSet<String>,
}

/// A file as FFmpeg is told of it.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    pub(crate) path: &'a Path,
    pub(crate) container: Container,
}

impl Ffmpeg {
    /// Starts both programs and asks what they are.
    ///
    /// # Errors
    /// [`Error::Missing`] names the one that does not start; [`Error::Failed`] where it answers strangely.
    pub async fn find(config: FfmpegConfig) -> Result<Self, Error> {
        let ffprobe = config.path.with_file_name("ffprobe");
        let banner = ask(&config.path, "-version").await?;
        ask(&ffprobe, "-version").await?;
        let version = banner.split_whitespace().skip_while(|word| *word != "version").nth(1).unwrap_or("unknown");
        let encoders = names(&ask(&config.path, "-encoders").await?);
        let filters = names(&ask(&config.path, "-filters").await?);
        Ok(Self { ffprobe, version: version.to_owned(), encoders, filters, config })
    }

    /// Its version, as it says itself.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether it encodes pictures so.
    #[must_use]
    pub fn encodes_video(&self, codec: VideoCodec) -> bool {
        self.encoders.contains(codec.encoder())
    }

    /// Whether it encodes sound so.
    #[must_use]
    pub fn encodes_audio(&self, codec: AudioCodec) -> bool {
        self.encoders.contains(codec.encoder())
    }

    /// What this build lacks of what a ladder asks for, and what follows, a sentence each.
    #[must_use]
    pub fn lacking(&self, ladder: &LadderConfig) -> Vec<String> {
        let (video, sound) = (ladder.video, ladder.audio);
        let video = [(self.encodes_video(video), video.encoder(), format!("no sizes in {video}"))];
        // What browsers do not play is coded as AAC, whatever the ladder says.
        let audio = AudioCodec::ALL.iter().filter(|codec| **codec == sound || **codec == AudioCodec::Aac);
        let audio = audio.map(|codec| (self.encodes_audio(*codec), codec.encoder(), format!("no sound in {codec}")));
        let filters = FILTERS.iter().map(|(name, off)| (self.filters.contains(*name), *name, (*off).to_owned()));
        let all = video.into_iter().chain(audio).chain(filters);
        all.filter(|(there, ..)| !there).map(|(_, name, off)| format!("FFmpeg lacks {name}: {off}")).collect()
    }

    /// Bytes that may be written into a directory before its disk is as full as it may be.
    ///
    /// # Errors
    /// When the disk does not tell.
    pub fn room(&self, directory: &Path) -> Result<u64, Error> {
        let disk = rustix::fs::statvfs(directory).map_err(std::io::Error::from)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize).saturating_sub(self.config.reserve))
    }

    /// What is in the way where that is not enough.
    #[must_use]
    pub fn no_room(&self) -> Error {
        if self.config.reserve > 0 { Error::Reserve } else { Error::DiskFull }
    }

    pub(crate) fn has_filter(&self, name: &str) -> bool {
        self.filters.contains(name)
    }

    /// Whether it is at least of this version. One that was built from no release is new enough for all.
    pub(crate) fn is_at_least(&self, major: u32, minor: u32) -> bool {
        let mut numbers = self.version.trim_start_matches('n').split(|c: char| !c.is_ascii_digit());
        let mut next = || numbers.next().and_then(|n| n.parse::<u32>().ok());
        next().is_none_or(|own| (own, next().unwrap_or(0)) >= (major, minor))
    }
}

impl<'a> Input<'a> {
    /// What is at `path`, by its content.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::NotMedia`].
    pub(crate) async fn open(path: &'a Path) -> Result<Self, Error> {
        let own = path.to_owned();
        let head = tokio::task::spawn_blocking(move || {
            let mut head = Vec::new();
            File::open(own)?.take(HEAD_BYTES as u64).read_to_end(&mut head).map(|_| head)
        });
        let head = head.await.map_err(std::io::Error::other)??;
        Ok(Self { path, container: Container::of(&head)? })
    }

    /// What goes before `-i`, and `-i`: this file, read as what it is, and nothing else that it may point at.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut url = OsString::from("file:");
        url.push(self.path);
        let mut all: Vec<OsString> = ["-protocol_whitelist", "file,pipe", "-format_whitelist"].map(Into::into).into();
        all.extend([whitelist(self.container), "-max_streams"].map(OsString::from));
        all.push(crate::probe::MAX_TRACKS.to_string().into());
        all.extend(["-f", self.container.demuxer(), "-i"].map(OsString::from));
        all.push(url);
        all
    }
}

/// The reader's whole name: the list is compared with it.
fn whitelist(container: Container) -> &'static str {
    match container {
        Container::Mp4 => "mov,mp4,m4a,3gp,3g2,mj2",
        Container::Matroska => "matroska,webm",
        other => other.demuxer(),
    }
}

async fn ask(program: &Path, what: &str) -> Result<String, Error> {
    let done = process::output(program, &["-hide_banner", what], 0, MAX_LIST, ANSWER).await?;
    if !done.status.success() {
        return Err(Error::of_exit(done.status, &done.said, program));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Lists of FFmpeg have flags, name, description.
fn names(list: &str) -> HashSet<String> {
    list.lines().filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned).collect()
}

const FILTERS: &[(&str, &str)] = &[
    ("zscale", "renditions of HDR videos look pale, since their colours are not converted"),
    ("tonemap", "renditions of HDR videos look pale, since their colours are not converted"),
    ("bwdif", "interlaced videos keep their combs"),
];

const MAX_LIST: usize = 1 << 20;
const ANSWER: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: &str) -> Ffmpeg {
        let none = HashSet::new;
        let config = FfmpegConfig::default();
        Ffmpeg { config, ffprobe: "ffprobe".into(), version: version.to_owned(), encoders: none(), filters: none() }
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(of("5.1.9-0+deb12u1").is_at_least(5, 1));
        assert!(of("n7.0").is_at_least(5, 1));
        assert!(of("10.0").is_at_least(5, 1));
        assert!(!of("4.4.2-0ubuntu0.22.04.1").is_at_least(5, 1));
        assert!(!of("5.0").is_at_least(5, 1));
        assert!(of("N-115000-gabcdef").is_at_least(5, 1));
    }

    #[test]
    fn what_is_lacking_is_told() {
        let lacking = of("5.1").lacking(&LadderConfig::default());
        assert!(lacking.contains(&"FFmpeg lacks libx264: no sizes in H.264".to_owned()), "{lacking:?}");
        assert!(lacking.contains(&"FFmpeg lacks aac: no sound in AAC".to_owned()));
        assert!(!lacking.iter().any(|words| words.contains("AV1") || words.contains("Opus")), "those nobody asks for");
        let rare = LadderConfig { video: VideoCodec::Av1, audio: AudioCodec::Opus, ..LadderConfig::default() };
        let lacking = of("5.1").lacking(&rare);
        assert!(lacking.contains(&"FFmpeg lacks libsvtav1: no sizes in AV1".to_owned()), "{lacking:?}");
        assert!(["opus", "aac"].iter().all(|name| lacking.iter().any(|words| words.contains(name))), "{lacking:?}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let config = FfmpegConfig { path: "/nonexistent/ffmpeg".into(), ..FfmpegConfig::default() };
        let error = Ffmpeg::find(config).await.unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/ffmpeg does not start: "), "{error}");
    }
}
