use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use millrace_media::{AudioConfig, Metadata, VideoConfig};

use crate::Segment;

/// What the multivariant playlist says of its variant, gathered from the segments.
#[derive(Debug, Default)]
pub(crate) struct Variant {
    declared_kbit_s: Option<f64>,
    total_bytes: u64,
    total: Duration,
    peak: u64,
    /// The newest segments, for the peak.
    recent: VecDeque<(u64, Duration)>,
    frame_rate: Option<f64>,
}

impl Variant {
    /// Bit rates as the publisher declares them serve until there are segments.
    pub(crate) fn describe(&mut self, metadata: &Metadata) {
        let declared = [metadata.video_kbit_s, metadata.audio_kbit_s].into_iter().flatten();
        let sum: f64 = declared.filter(|rate| rate.is_finite() && *rate > 0.0).sum();
        self.declared_kbit_s = Some(sum.min(MAX_KBIT_S)).filter(|sum| *sum > 0.0);
    }

    pub(crate) fn add(&mut self, segment: &Segment, target: Duration) {
        let bytes = segment.bytes.len() as u64;
        self.total_bytes += bytes;
        self.total += segment.duration;
        self.recent.push_back((bytes, segment.duration));
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
        if self.frame_rate.is_none() && segment.pictures > 1 && segment.duration > Duration::from_millis(500) {
            self.frame_rate = Some(f64::from(segment.pictures) / segment.duration.as_secs_f64());
        }
    }

    /// The track changed: rates are measured anew.
    pub(crate) fn restart_frame_rate(&mut self) {
        self.frame_rate = None;
    }

    pub(crate) fn render(&self, uri: &str, video: Option<&VideoConfig>, audio: Option<&AudioConfig>) -> Bytes {
        let mut text = String::with_capacity(300);
        self.write(&mut text, uri, video, audio).unwrap_or_default(); // writing to a string does not fail
        text.into()
    }

    fn write(
        &self,
        text: &mut String,
        uri: &str,
        video: Option<&VideoConfig>,
        audio: Option<&AudioConfig>,
    ) -> std::fmt::Result {
        let average = bit_rate(self.total_bytes, self.total);
        let peak = if average == 0 { self.estimate(video, audio) } else { self.peak.max(average) };
        write!(text, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-STREAM-INF:BANDWIDTH={peak}")?;
        if average > 0 {
            write!(text, ",AVERAGE-BANDWIDTH={average}")?;
        }
        let codecs: Vec<_> =
            video.map(VideoConfig::codec_string).into_iter().chain(audio.map(AudioConfig::codec_string)).collect();
        if !codecs.is_empty() {
            write!(text, ",CODECS=\"{}\"", codecs.join(","))?;
        }
        if let Some((width, height)) = video.and_then(VideoConfig::resolution) {
            write!(text, ",RESOLUTION={width}x{height}")?;
        }
        if let Some(rate) = video.and_then(|v| self.frame_rate(v)) {
            write!(text, ",FRAME-RATE={rate:.3}")?;
        }
        writeln!(text, "\n{uri}")
    }

    /// The bitstream's frame rate where it agrees with what was counted, which is exact there.
    fn frame_rate(&self, video: &VideoConfig) -> Option<f64> {
        match (video.frame_rate(), self.frame_rate) {
            (Some(said), Some(counted)) if (said / counted - 1.0).abs() > 0.1 => Some(counted),
            (said, counted) => said.or(counted),
        }
    }

    /// Before the first segment: what the publisher declares, or a tenth of a bit per pixel.
    fn estimate(&self, video: Option<&VideoConfig>, audio: Option<&AudioConfig>) -> u64 {
        let kbit_s = self.declared_kbit_s.unwrap_or_else(|| {
            let picture = video.map_or(0.0, |v| {
                let (width, height) = v.resolution().unwrap_or((1280, 720));
                f64::from(width) * f64::from(height) * v.frame_rate().unwrap_or(30.0).min(120.0) / 10_000.0
            });
            picture + if audio.is_some() || video.is_none() { 160.0 } else { 0.0 }
        });
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive and bounded
        let bits = (kbit_s.min(MAX_KBIT_S) * 1000.0 * OVERHEAD) as u64;
        bits
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
