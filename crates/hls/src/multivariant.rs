//! The multivariant playlist: which media playlists a stream has, and what is said of them.
//!
//! Both formats carry the same pictures and sound, so that both have the same `BANDWIDTH`: players
//! have no reason to change from one to the other, and take the first that they can play.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_fmp4::{audio_codec_string, check_audio, check_video, video_codec_string};
use millrace_media::{AudioConfig, Metadata, VideoConfig};
use millrace_mpegts::Muxer;

use crate::{ContainerError, Content, Error, HlsFormat};

/// A stream as far as its multivariant playlist speaks of it.
#[derive(Debug)]
pub struct Multivariant<'a> {
    /// The stream's name, without its application.
    pub name: &'a str,
    /// What the publisher says of it.
    pub metadata: &'a Metadata,
    /// Its pictures.
    pub video: Option<&'a Arc<VideoConfig>>,
    /// Its sound.
    pub audio: Option<&'a Arc<AudioConfig>>,
    /// What was measured, of each format that is being made.
    pub measured: &'a [Measured],
}

/// What was measured of the segments of a stream in one format.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    /// Most bits a second of any run of segments of about a target duration.
    pub peak: u64,
    /// Bits a second of all segments; 0 before the first.
    pub average: u64,
    /// Pictures a second.
    pub frame_rate: Option<f64>,
}

impl Multivariant<'_> {
    /// The playlist, with the formats that can carry the stream, the one to prefer first.
    ///
    /// # Errors
    /// When no format can carry the stream.
    pub fn render(&self) -> Result<Content, Error> {
        let mut refusal = None;
        let mut carried = Vec::new();
        for format in self.preferred() {
            match self.carried_by(format) {
                Ok(()) => carried.push(format),
                Err(why) => refusal = refusal.or(Some(why)),
            }
        }
        match refusal {
            Some(why) if carried.is_empty() => return Err(Error::Unsupported(why)),
            _ => {}
        }
        let mut text = String::with_capacity(600);
        self.write(&mut text, &carried).unwrap_or_default(); // writing to a string does not fail
        Ok(Bytes::from(text).into())
    }

    /// CMAF has parts, and carries every codec. Sound in MP3 is the exception: browsers that play it
    /// out of MPEG-TS may not out of MP4.
    fn preferred(&self) -> [HlsFormat; 2] {
        match self.audio.map(|audio| &**audio) {
            Some(AudioConfig::Mp3(_)) => [HlsFormat::Ts, HlsFormat::Cmaf],
            _ => [HlsFormat::Cmaf, HlsFormat::Ts],
        }
    }

    fn carried_by(&self, format: HlsFormat) -> Result<(), ContainerError> {
        let (video, audio) = (self.video, self.audio);
        match format {
            HlsFormat::Ts => {
                video.map_or(Ok(()), Muxer::check_video)?;
                audio.map_or(Ok(()), Muxer::check_audio)?;
            }
            HlsFormat::Cmaf => {
                video.map_or(Ok(()), |video| check_video(video))?;
                audio.map_or(Ok(()), |audio| check_audio(audio))?;
            }
        }
        Ok(())
    }

    fn write(&self, text: &mut String, formats: &[HlsFormat]) -> std::fmt::Result {
        let most = |of: fn(&Measured) -> u64| self.measured.iter().map(of).max().unwrap_or(0);
        let average = most(|m| m.average);
        let peak = if average == 0 { self.estimate() } else { most(|m| m.peak).max(average) };
        write!(text, "#EXTM3U\n#EXT-X-VERSION:3\n")?;
        for format in formats {
            write!(text, "#EXT-X-STREAM-INF:BANDWIDTH={peak}")?;
            if average > 0 {
                write!(text, ",AVERAGE-BANDWIDTH={average}")?;
            }
            let codecs = self.codecs(*format);
            if !codecs.is_empty() {
                write!(text, ",CODECS=\"{}\"", codecs.join(","))?;
            }
            if let Some((width, height)) = self.video.and_then(|v| v.resolution()) {
                write!(text, ",RESOLUTION={width}x{height}")?;
            }
            if let Some(rate) = self.video.and_then(|v| self.frame_rate(v)) {
                write!(text, ",FRAME-RATE={rate:.3}")?;
            }
            writeln!(text, "\n{}/{}", self.name, format.playlist())?;
        }
        Ok(())
    }

    fn codecs(&self, format: HlsFormat) -> Vec<String> {
        let (video, audio) = (self.video.map(AsRef::as_ref), self.audio.map(AsRef::as_ref));
        let (video, audio) = match format {
            HlsFormat::Ts => (video.map(VideoConfig::codec_string), audio.map(AudioConfig::codec_string)),
            HlsFormat::Cmaf => (video.map(video_codec_string), audio.map(audio_codec_string)),
        };
        video.into_iter().chain(audio).collect()
    }

    /// The bitstream's frame rate where it agrees with what was counted, which is exact there.
    fn frame_rate(&self, video: &VideoConfig) -> Option<f64> {
        match (video.frame_rate(), self.measured.iter().find_map(|m| m.frame_rate)) {
            (Some(said), Some(counted)) if (said / counted - 1.0).abs() > 0.1 => Some(counted),
            (said, counted) => said.or(counted),
        }
    }

    /// Before the first segment: what the publisher declares, or a tenth of a bit per pixel.
    fn estimate(&self) -> u64 {
        let declared = [self.metadata.video_kbit_s, self.metadata.audio_kbit_s].into_iter().flatten();
        let declared: f64 = declared.filter(|rate| rate.is_finite() && *rate > 0.0).sum();
        let kbit_s = Some(declared).filter(|sum| *sum > 0.0).unwrap_or_else(|| {
            let picture = self.video.map_or(0.0, |v| {
                let (width, height) = v.resolution().unwrap_or((1280, 720));
                f64::from(width) * f64::from(height) * v.frame_rate().unwrap_or(30.0).min(120.0) / 10_000.0
            });
            picture + if self.audio.is_some() || self.video.is_none() { 160.0 } else { 0.0 }
        });
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive and bounded
        let bits = (kbit_s.min(MAX_KBIT_S) * 1000.0 * OVERHEAD) as u64;
        bits
    }
}

/// Measures the segments of a stream in one format.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    total_bytes: u64,
    total: Duration,
    peak: u64,
    /// The newest segments, for the peak.
    recent: VecDeque<(u64, Duration)>,
    frame_rate: Option<f64>,
}

impl Meter {
    pub(crate) fn add(&mut self, bytes: u64, pictures: u32, duration: Duration, target: Duration) {
        self.total_bytes += bytes;
        self.total += duration;
        self.recent.push_back((bytes, duration));
        // The peak is that of any run of segments between half and one and a half target durations
        // (RFC 8216, 4.3.4.2).
        let (mut run_bytes, mut run) = (0, Duration::ZERO);
        let mut used = 0;
        for (bytes, duration) in self.recent.iter().rev() {
            if run + *duration > target * 3 / 2 {
                break;
            }
            run_bytes += bytes;
            run += *duration;
            used += 1;
            if run >= target / 2 {
                self.peak = self.peak.max(bit_rate(run_bytes, run));
            }
        }
        while self.recent.len() > used.max(1) {
            self.recent.pop_front();
        }
        if self.frame_rate.is_none() && pictures > 1 && duration > Duration::from_millis(500) {
            self.frame_rate = Some(f64::from(pictures) / duration.as_secs_f64());
        }
    }

    /// The track changed: rates are measured anew.
    pub(crate) fn restart_frame_rate(&mut self) {
        self.frame_rate = None;
    }

    pub(crate) fn measured(&self) -> Measured {
        let average = bit_rate(self.total_bytes, self.total);
        Measured { peak: self.peak.max(average), average, frame_rate: self.frame_rate }
    }
}

/// What packets, tables and headers add, roughly.
const OVERHEAD: f64 = 1.1;
/// More is taken for a mistake.
const MAX_KBIT_S: f64 = 1e6;

fn bit_rate(bytes: u64, duration: Duration) -> u64 {
    let millis = duration.as_millis().max(1);
    u64::try_from(u128::from(bytes) * 8000 / millis).unwrap_or(u64::MAX)
}
