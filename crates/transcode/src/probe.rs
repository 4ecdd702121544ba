//! What a file has in it, as ffprobe says, within bounds.

mod json;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::container::Container;
use crate::error::{self, Error};
use crate::process;
use crate::tools::{Ffmpeg, Input};

/// What is taken at most. What is beyond is refused in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest side of a picture, in pixels.
    pub max_side: u32,
    /// Pixels of a picture. What is beyond the default is never decoded.
    pub max_pixels: u64,
    /// How long a video may last.
    pub max_duration: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_side: MAX_SIDE, max_pixels: MAX_PIXELS, max_duration: MAX_DURATION }
    }
}

/// What a file has in it. There is sound or a video, of a codec that this FFmpeg knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// What holds the tracks.
    pub container: Container,
    /// Bytes of the file.
    pub size: u64,
    /// When its first track begins, in seconds: other than 0 where all begin late, as of transport streams.
    pub start: f64,
    /// How long it lasts from then on.
    pub duration: Duration,
    /// Bits per second, of all tracks with their container.
    pub bit_rate: u64,
    /// All tracks, at most 64, in the file's order.
    pub tracks: Vec<Track>,
}

/// A track.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// Its place among the file's tracks, from 0: FFmpeg's `0:index`.
    pub index: u32,
    /// FFmpeg's name of its codec, such as `h264`; empty where it knows none.
    pub codec: String,
    /// RFC 6381's, such as `avc1.640028`, where it follows from what is known. H.264's constraint flags are not: they are
    /// given as 0.
    pub codecs: Option<String>,
    /// The codec's profile, as FFmpeg calls it.
    pub profile: Option<String>,
    /// Bits per second, where the container says.
    pub bit_rate: Option<u64>,
    /// ISO 639-2 mostly, as the file says; None where it is undetermined.
    pub language: Option<String>,
    /// When it begins on the file's time line, in seconds.
    pub start: f64,
    /// How long it lasts, where the container says.
    pub duration: Option<Duration>,
    /// Seconds per unit of its timestamps.
    pub time_base: Ratio,
    /// Whether the file wants it to be played first.
    pub default: bool,
    /// What kind of track it is.
    pub kind: Kind,
}

/// What a track carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Moving pictures.
    Video(Video),
    /// Sound.
    Audio(Audio),
    /// A picture that is attached: a cover.
    Cover,
    /// Text, or pictures of text.
    Subtitle,
    /// Data, time codes, attached files.
    Other,
}

/// Moving pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Video {
    /// Pixels in a row, as coded.
    pub width: u32,
    /// Rows, as coded.
    pub height: u32,
    /// Quarter turns clockwise that a player has to make: 0 to 3.
    pub quarter_turns: u8,
    /// A pixel's width by its height.
    pub pixel_aspect: Ratio,
    /// Frames per second, on the average. None where it is not known.
    pub frame_rate: Option<Ratio>,
    /// The lowest rate at which all times of its frames can be said: other than `frame_rate` where the rate varies.
    pub base_rate: Option<Ratio>,
    /// FFmpeg's name of its pixel format, such as `yuv420p`.
    pub pixel_format: Option<String>,
    /// Bits per sample.
    pub bit_depth: u8,
    /// How light is coded.
    pub transfer: Transfer,
    /// Whether its frames are pairs of fields.
    pub interlaced: bool,
}

/// Sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// Channels.
    pub channels: u32,
    /// Samples per second.
    pub sample_rate: u32,
}

/// How light is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// For displays of standard dynamic range.
    Sdr,
    /// Perceptual quantiser (SMPTE ST 2084): HDR10 and its kin.
    Pq,
    /// Hybrid log-gamma (ARIB STD-B67).
    Hlg,
}

/// A fraction of positive whole numbers.
#[derive(Debug, Clone, Copy)]
pub struct Ratio {
    /// Above the line.
    pub num: u32,
    /// Below it; never 0.
    pub den: u32,
}

impl Ffmpeg {
    /// Looks into the file.
    ///
    /// # Errors
    /// Why it is no video that can be played: [`Error::is_the_files`] tells those apart from failures of the server.
    pub async fn probe(&self, path: &Path, limits: &Limits) -> Result<Probe, Error> {
        let size = tokio::fs::metadata(path).await?.len();
        let input = Input::open(path).await?;
        let mut arguments: Vec<_> = PROBE.map(Into::into).into();
        arguments.extend(input.arguments());
        let done = process::output(&self.ffprobe, &arguments, self.config.nice, MAX_OUTPUT, PROBE_TIME).await?;
        if !done.status.success() {
            return Err(Error::of_exit(done.status, &done.said, path));
        }
        let (mut tracks, said) = json::read(&done.stdout)?;
        if tracks.len() > MAX_TRACKS {
            return Err(Error::TooManyTracks { limit: MAX_TRACKS });
        }
        check_sizes(&tracks, limits)?;
        let playable = |t: &Track| matches!(t.kind, Kind::Video(_) | Kind::Audio(_)) && !t.codec.is_empty();
        if !tracks.iter().any(playable) {
            return Err(error::monstrous(&done.said).unwrap_or_else(|| nothing_to_play(&tracks)));
        }
        tracks.sort_by_key(|t| t.index);
        let duration = match said.duration {
            Some(seconds) => seconds,
            // As of WebM that a browser has recorded.
            None => self.measure(&input, limits).await?,
        };
        let duration = Duration::try_from_secs_f64(duration).ok().filter(|d| *d <= limits.max_duration);
        let duration = duration.ok_or(Error::TooLong { limit: limits.max_duration })?;
        let seconds = duration.as_secs_f64();
        let average = if seconds > 0.0 { (size as f64 * 8.0 / seconds) as u64 } else { 0 };
        let (container, start, bit_rate) = (input.container, said.start, said.bit_rate.unwrap_or(average));
        Ok(Probe { container, size, start, duration, bit_rate, tracks })
    }

    /// Reads the whole file without decoding: how many seconds it lasts.
    async fn measure(&self, input: &Input<'_>, limits: &Limits) -> Result<f64, Error> {
        let mut arguments: Vec<std::ffi::OsString> = ["-nostdin", "-v", "error", "-nostats"].map(Into::into).into();
        arguments.extend(input.arguments());
        arguments.extend(["-map", "0:v?", "-map", "0:a?", "-c", "copy", "-t"].map(Into::into));
        arguments.push((limits.max_duration.as_secs() + 60).to_string().into());
        arguments.extend(["-progress", "pipe:1", "-stats_period", "5", "-f", "null", "-"].map(Into::into));
        let most = MAX_OUTPUT;
        let done = process::output(&self.config.path, &arguments, self.config.nice, most, MEASURE_TIME).await?;
        if !done.status.success() {
            return Err(Error::of_exit(done.status, &done.said, input.path));
        }
        let text = String::from_utf8_lossy(&done.stdout);
        let last = text.lines().rev().find_map(|line| line.strip_prefix("out_time_us="));
        let micros = last.and_then(|n| n.trim().parse::<i64>().ok()).unwrap_or(0);
        Ok(micros.max(0) as f64 / 1e6)
    }
}

impl Probe {
    /// The video that is played: the first that the file wants, or else the first.
    #[must_use]
    pub fn video(&self) -> Option<(&Track, &Video)> {
        self.first(|kind| if let Kind::Video(video) = kind { Some(video) } else { None })
    }

    /// The sound that is played: the first that the file wants, or else the first.
    #[must_use]
    pub fn audio(&self) -> Option<(&Track, &Audio)> {
        self.first(|kind| if let Kind::Audio(audio) = kind { Some(audio) } else { None })
    }

    /// The attached picture.
    #[must_use]
    pub fn cover(&self) -> Option<&Track> {
        self.tracks.iter().find(|t| t.kind == Kind::Cover)
    }

    /// Bits per second of the video alone: as the container says, or what sound leaves of the whole.
    #[must_use]
    pub fn video_bit_rate(&self) -> u64 {
        let of = |track: &Track| track.bit_rate.filter(|rate| *rate > 0);
        let audio = || self.audio().and_then(|(track, _)| of(track)).unwrap_or(0);
        self.video().and_then(|(track, _)| of(track)).unwrap_or_else(|| self.bit_rate.saturating_sub(audio()))
    }

    fn first<'a, T>(&'a self, of: impl Fn(&'a Kind) -> Option<T>) -> Option<(&'a Track, T)> {
        let all = || self.tracks.iter().filter(|t| !t.codec.is_empty()).filter_map(|t| Some((t, of(&t.kind)?)));
        all().find(|(t, _)| t.default).or_else(|| all().next())
    }
}

impl Video {
    /// Width and height as they are shown: turned, and with square pixels.
    #[must_use]
    pub fn display(&self) -> (u32, u32) {
        // The side that is stretched is the one that grows: no pixel is thrown away.
        let (num, den) = (u64::from(self.pixel_aspect.num), u64::from(self.pixel_aspect.den));
        let (w, h) = (u64::from(self.width), u64::from(self.height));
        let (w, h) = if num >= den { ((w * num + den / 2) / den, h) } else { (w, (h * den + num / 2) / num) };
        let (w, h) = (u32::try_from(w).unwrap_or(u32::MAX), u32::try_from(h).unwrap_or(u32::MAX));
        if self.quarter_turns % 2 == 1 { (h, w) } else { (w, h) }
    }
}

impl Ratio {
    /// `num` / `den`; None where either is 0.
    #[must_use]
    pub fn new(num: u32, den: u32) -> Option<Self> {
        (num > 0 && den > 0).then_some(Self { num, den })
    }

    /// Its value.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }
}

/// By value: 50/2 is 25/1.
impl PartialEq for Ratio {
    fn eq(&self, other: &Self) -> bool {
        u64::from(self.num) * u64::from(other.den) == u64::from(other.num) * u64::from(self.den)
    }
}

impl Eq for Ratio {}

/// As FFmpeg reads it.
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

fn check_sizes(tracks: &[Track], limits: &Limits) -> Result<(), Error> {
    for track in tracks {
        let Kind::Video(video) = &track.kind else { continue };
        // As shown as well: a pixel's shape can be anything.
        for (width, height) in [(video.width, video.height), video.display()] {
            let (w, h) = (u64::from(width), u64::from(height));
            if width.max(height) > limits.max_side || w * h > limits.max_pixels {
                return Err(Error::TooLarge { width: w, height: h });
            }
        }
    }
    Ok(())
}

fn nothing_to_play(tracks: &[Track]) -> Error {
    let media = tracks.iter().filter(|t| matches!(t.kind, Kind::Video(_) | Kind::Audio(_)));
    Error::NothingToPlay(match (tracks.len(), media.count()) {
        (0, _) => "it has no tracks".to_owned(),
        (_, 0) => "its tracks are of other kinds".to_owned(),
        _ => "their codec is not known, or they are damaged".to_owned(),
    })
}

/// Tracks that are looked at.
pub(crate) const MAX_TRACKS: usize = 64;
/// 8K of all shapes, and wide panoramas.
const MAX_SIDE: u32 = 16384;
/// A little more than 8192 x 4320.
pub(crate) const MAX_PIXELS: u64 = 8192 * 4352;
const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);
const MAX_OUTPUT: usize = 4 << 20;
const PROBE_TIME: Duration = Duration::from_secs(60);
const MEASURE_TIME: Duration = Duration::from_secs(600);

const PROBE: [&str; 11] = [
    "-v",
    "error",
    "-probesize",
    "20000000",
    "-analyzeduration",
    "10000000",
    "-show_format",
    "-show_streams",
    "-of",
    "json=compact=1",
    "-hide_banner",
];
