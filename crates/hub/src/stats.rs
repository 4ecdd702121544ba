//! Counters and rates.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Bytes and frames of the two kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Traffic {
    /// Bytes of coded pictures.
    pub video_bytes: u64,
    /// Bytes of coded sound.
    pub audio_bytes: u64,
    /// Pictures.
    pub video_frames: u64,
    /// Frames of sound.
    pub audio_frames: u64,
}

impl Traffic {
    /// Frames of both kinds.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.video_frames + self.audio_frames
    }
}

/// Rates over the last [`RATE_WINDOW`].
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Rates {
    /// Video, kbit/s.
    pub video_kbit_s: u32,
    /// Audio, kbit/s.
    pub audio_kbit_s: u32,
    /// Pictures per second.
    pub frame_rate: f32,
}

/// The time over which rates are taken.
pub const RATE_WINDOW: Duration = Duration::from_secs(5);

/// Takes rates from counters that are sampled about once a second.
#[derive(Debug, Default)]
pub struct RateMeter {
    samples: VecDeque<(Instant, Traffic)>,
}

impl RateMeter {
    /// Takes a sample and gives the rates from the oldest sample inside the window to now.
    pub fn sample(&mut self, now: Instant, traffic: Traffic) -> Rates {
        // One sample older than the window stays, so that the window is always covered.
        while self.samples.len() > 1 && now.duration_since(self.samples[1].0) >= RATE_WINDOW {
            self.samples.pop_front();
        }
        let rates = self.samples.front().map_or_else(Rates::default, |(then, before)| {
            let seconds = now.duration_since(*then).as_secs_f64();
            if seconds <= 0.0 {
                return Rates::default();
            }
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            // for people
            let kbit_s =
                |new: u64, old: u64| ((new.saturating_sub(old)) as f64 * 8.0 / 1000.0 / seconds).round() as u32;
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
            let frame_rate = (traffic.video_frames.saturating_sub(before.video_frames) as f64 / seconds) as f32;
            Rates {
                video_kbit_s: kbit_s(traffic.video_bytes, before.video_bytes),
                audio_kbit_s: kbit_s(traffic.audio_bytes, before.audio_bytes),
                frame_rate,
            }
        });
        self.samples.push_back((now, traffic));
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_last_five_seconds() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        let mut traffic = Traffic::default();
        let mut rates = Rates::default();
        for second in 0..20u64 {
            rates = meter.sample(start + Duration::from_secs(second), traffic);
            // 1 Mbit/s for ten seconds, then nothing but sound.
            traffic.video_bytes += if second < 10 { 125_000 } else { 0 };
            traffic.video_frames += if second < 10 { 25 } else { 0 };
            traffic.audio_bytes += 8_000;
            if second == 9 {
                assert_eq!((rates.video_kbit_s, rates.frame_rate), (1000, 25.0));
            }
        }
        assert_eq!((rates.video_kbit_s, rates.audio_kbit_s), (0, 64));
    }
}
