//! What renditions are made of a video: pure arithmetic.
//!
//! A rung is named by its shorter side, so that 720 is 1280 x 720 as well as 720 x 1280. Nothing is made larger than it
//! is, and no rung repeats an original that plays as it is.

use std::fmt;

use crate::probe::{Probe, Ratio, Video};
use crate::verdict::verdict;

/// What renditions are wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct LadderConfig {
    /// Shorter sides in pixels, in any order. Odd ones are rounded down; those below 64 are passed over.
    pub heights: Vec<u32>,
    /// Frames per second at most. Whoever has more gets a whole fraction of its own rate.
    pub max_frame_rate: u32,
    /// How pictures are coded.
    pub video: VideoCodec,
    /// Bits per second that H.264 of 1920 x 1080 at 30 frames a second has at most. The others follow from it.
    pub bit_rate_1080: u32,
    /// How much time is spent for quality.
    pub speed: Speed,
    /// How sound is coded.
    pub audio: AudioCodec,
    /// Bits per second of stereo.
    pub audio_bit_rate: u32,
    /// Whether what every browser plays already is not made again: a rung as large as the original (or its remux), where
    /// that has no higher rate, and sound alone.
    pub skip_what_the_original_is: bool,
}

impl Default for LadderConfig {
    fn default() -> Self {
        Self {
            heights: vec![1080, 720, 480, 360],
            max_frame_rate: 60,
            video: VideoCodec::H264,
            bit_rate_1080: 4_500_000,
            speed: Speed::Fast,
            audio: AudioCodec::Aac,
            audio_bit_rate: 128_000,
            skip_what_the_original_is: true,
        }
    }
}

/// A rendition to be made. It has pictures, sound or both.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    /// Its shorter side, or `audio`.
    pub name: String,
    /// The pictures; None for sound alone.
    pub video: Option<VideoSettings>,
    /// The sound; None where there is none.
    pub audio: Option<AudioSettings>,
}

/// How pictures are coded: at constant quality, as far as the rate allows.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoSettings {
    /// By what.
    pub codec: VideoCodec,
    /// Pixels in a row, even.
    pub width: u32,
    /// Rows, even.
    pub height: u32,
    /// Frames per second where the source has too many; None keeps each frame and its time.
    pub frame_rate: Option<Ratio>,
    /// Bits per second at most, over two seconds.
    pub max_bit_rate: u32,
    /// The codec's own measure of quality: lower is better.
    pub crf: u8,
    /// How much time is spent.
    pub speed: Speed,
}

/// How sound is coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioSettings {
    /// By what.
    pub codec: AudioCodec,
    /// Bits per second.
    pub bit_rate: u32,
    /// 1 or 2.
    pub channels: u32,
}

/// How pictures may be coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// H.264 by x264: plays everywhere.
    H264,
    /// HEVC by x265: plays where hardware does.
    Hevc,
    /// AV1 by SVT-AV1.
    Av1,
    /// VP9 by libvpx.
    Vp9,
}

/// How sound may be coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// AAC-LC by FFmpeg's own encoder: plays everywhere.
    Aac,
    /// Opus by libopus.
    Opus,
}

/// How much time is spent for quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speed {
    /// As most sites do.
    Fast,
    /// Some four times slower than fast, for a tenth fewer bits or so.
    Balanced,
    /// Twice as slow again.
    Thorough,
}

/// The rungs of a video, largest first.
#[must_use]
pub fn ladder(probe: &Probe, config: &LadderConfig) -> Vec<Rung> {
    let audio = probe.audio().map(|(_, audio)| {
        let channels = audio.channels.clamp(1, 2);
        AudioSettings { codec: config.audio, bit_rate: config.audio_bit_rate / 2 * channels, channels }
    });
    let original_plays = config.skip_what_the_original_is && verdict(probe).plays_everywhere();
    let Some((_, video)) = probe.video() else {
        let rung = |audio| Rung { name: AUDIO.to_owned(), video: None, audio: Some(audio) };
        return audio.filter(|_| !original_plays).map(rung).into_iter().collect();
    };
    let (width, height) = video.display();
    let frame_rate = capped(video, config.max_frame_rate);
    let own = width.min(height) & !1;
    let mut heights: Vec<_> = config.heights.iter().map(|h| h & !1).filter(|h| *h >= MIN_SIDE && *h <= own).collect();
    if heights.is_empty() && !config.heights.is_empty() {
        heights.push(own.max(2));
    }
    heights.sort_unstable_by(|a, b| b.cmp(a));
    heights.dedup();
    let rung = |short: u32| {
        let (width, height) = size(width, height, short);
        let fps = frame_rate.or(video.frame_rate).map_or(USUAL_RATE, Ratio::value);
        let max_bit_rate = bit_rate(config, width, height, fps);
        let (crf, speed) = (config.video.crf(), config.speed);
        let video = VideoSettings { codec: config.video, width, height, frame_rate, max_bit_rate, crf, speed };
        Rung { name: short.to_string(), video: Some(video), audio: audio.clone() }
    };
    let is_original = |rung: &Rung| {
        let rate = rung.video.as_ref().map_or(0, |v| u64::from(v.max_bit_rate));
        let same = frame_rate.is_none() && rung.name == own.to_string();
        original_plays && same && probe.video_bit_rate() <= rate
    };
    heights.into_iter().map(rung).filter(|rung| !is_original(rung)).collect()
}

impl VideoCodec {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::H264, Self::Hevc, Self::Av1, Self::Vp9];

    /// FFmpeg's name of what encodes it.
    #[must_use]
    pub fn encoder(self) -> &'static str {
        match self {
            Self::H264 => "libx264",
            Self::Hevc => "libx265",
            Self::Av1 => "libsvtav1",
            Self::Vp9 => "libvpx-vp9",
        }
    }

    /// The quality at which most people see no difference on the move.
    fn crf(self) -> u8 {
        match self {
            Self::H264 => 23,
            Self::Hevc => 26,
            Self::Av1 => 35,
            Self::Vp9 => 33,
        }
    }

    /// Bits that it needs for what H.264 needs one for.
    fn share(self) -> f64 {
        match self {
            Self::H264 => 1.0,
            Self::Hevc | Self::Vp9 => 0.65,
            Self::Av1 => 0.55,
        }
    }
}

impl AudioCodec {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Aac, Self::Opus];

    /// FFmpeg's name of what encodes it.
    #[must_use]
    pub fn encoder(self) -> &'static str {
        match self {
            Self::Aac => "aac",
            Self::Opus => "libopus",
        }
    }
}

/// As people call it.
impl fmt::Display for VideoCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::Hevc => "HEVC",
            Self::Av1 => "AV1",
            Self::Vp9 => "VP9",
        })
    }
}

/// As people call it.
impl fmt::Display for AudioCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aac => "AAC",
            Self::Opus => "Opus",
        })
    }
}

/// The picture's size where its shorter side is `short`: even, in the same proportion.
fn size(width: u32, height: u32, short: u32) -> (u32, u32) {
    let (own_short, own_long) = (u64::from(width.min(height).max(1)), u64::from(width.max(height)));
    // To the nearest even number, and not beyond what there is.
    let long = (own_long * u64::from(short) + own_short) / (2 * own_short) * 2;
    let long = long.clamp(2, (own_long & !1).max(2));
    let long = u32::try_from(long).unwrap_or(u32::MAX - 1);
    if width >= height { (long, short) } else { (short, long) }
}

/// The frame rate, where it has to be another than the source's: that by the smallest whole number that makes it fit.
fn capped(video: &Video, most: u32) -> Option<Ratio> {
    let own = video.frame_rate?;
    // 60 stands for 60 and a little: clocks are not exact.
    let step = (own.value() / (f64::from(most.max(1)) * 1.01)).ceil();
    if step <= 1.0 {
        return None;
    }
    Ratio::new(own.num, own.den.checked_mul(step as u32)?).or(Ratio::new(most, 1))
}

/// Larger pictures and higher rates need fewer bits a pixel: 3/4 and 1/2 are about how x264's bits grow.
fn bit_rate(config: &LadderConfig, width: u32, height: u32, fps: f64) -> u32 {
    let pixels = f64::from(width) * f64::from(height) / (1920.0 * 1080.0);
    let rate = f64::from(config.bit_rate_1080) * config.video.share() * pixels.powf(0.75) * (fps / USUAL_RATE).sqrt();
    ((rate / 1000.0).round() * 1000.0).max(f64::from(MIN_BIT_RATE)) as u32
}

/// The name of a rendition of sound alone.
const AUDIO: &str = "audio";
/// The smallest rung that makes sense. Videos that are smaller have one of their own size.
const MIN_SIDE: u32 = 64;
const USUAL_RATE: f64 = 30.0;
const MIN_BIT_RATE: u32 = 100_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_data::{audio, probe, video};

    fn sizes(probe: &Probe, config: &LadderConfig) -> Vec<(u32, u32)> {
        let rungs = ladder(probe, config);
        rungs.iter().filter_map(|r| r.video.as_ref()).map(|v| (v.width, v.height)).collect()
    }

    fn all() -> LadderConfig {
        LadderConfig { skip_what_the_original_is: false, ..LadderConfig::default() }
    }

    #[test]
    fn rungs_go_down_from_the_source_and_never_up() {
        let of = |w, h| sizes(&probe(&[video("h264", w, h)]), &all());
        assert_eq!(of(1920, 1080), [(1920, 1080), (1280, 720), (854, 480), (640, 360)]);
        assert_eq!(of(3840, 2160), [(1920, 1080), (1280, 720), (854, 480), (640, 360)]);
        assert_eq!(of(1280, 719), [(854, 480), (640, 360)]);
        assert_eq!(of(1080, 1920), [(1080, 1920), (720, 1280), (480, 854), (360, 640)]);
        assert_eq!(of(1920, 800), [(1728, 720), (1152, 480), (864, 360)]);
        assert_eq!(of(321, 241), [(320, 240)], "what is smaller than all has one of its own size");
        assert_eq!(of(1, 1), [(2, 2)]);
    }

    #[test]
    fn higher_rungs_come_by_setting() {
        let config = LadderConfig { heights: vec![2160, 360, 1440, 360, 0, 63], ..all() };
        assert_eq!(sizes(&probe(&[video("hevc", 3840, 2160)]), &config), [(3840, 2160), (2560, 1440), (640, 360)]);
        let none = LadderConfig { heights: Vec::new(), ..all() };
        assert!(ladder(&probe(&[video("hevc", 3840, 2160)]), &none).is_empty());
    }

    #[test]
    fn rates_are_capped_to_a_whole_fraction() {
        let of = |num, den| {
            let mut v = video("h264", 1280, 720);
            v.kind_video().frame_rate = Ratio::new(num, den);
            ladder(&probe(&[v]), &all())[0].video.as_ref().unwrap().frame_rate
        };
        assert_eq!(of(30, 1), None);
        assert_eq!(of(60, 1), None);
        assert_eq!(of(60_000, 1001), None);
        assert_eq!(of(120_000, 1001), Ratio::new(60_000, 1001));
        assert_eq!(of(100, 1), Ratio::new(50, 1));
        assert_eq!(of(240, 1), Ratio::new(60, 1));
        assert_eq!(of(0, 1), None);
    }

    #[test]
    fn bits_follow_size_and_rate() {
        let of = |w, h, fps| bit_rate(&LadderConfig::default(), w, h, fps);
        assert_eq!(of(1920, 1080, 30.0), 4_500_000);
        assert_eq!(of(1280, 720, 30.0), 2_449_000);
        assert_eq!(of(1920, 1080, 60.0), 6_364_000);
        assert_eq!(of(2, 2, 1.0), MIN_BIT_RATE);
    }

    #[test]
    fn the_original_is_not_made_again() {
        let config = LadderConfig::default();
        let mut plain = probe(&[video("h264", 1280, 720), audio("aac")]);
        plain.tracks[0].bit_rate = Some(2_000_000);
        assert_eq!(sizes(&plain, &config), [(854, 480), (640, 360)]);
        let mut rich = plain.clone();
        rich.tracks[0].bit_rate = Some(20_000_000);
        assert_eq!(sizes(&rich, &config)[0], (1280, 720), "at a higher rate it is made");
        let mut rare = plain.clone();
        rare.tracks[0].codec = "hevc".to_owned();
        assert_eq!(sizes(&rare, &config)[0], (1280, 720), "of a codec that not all play it is made");
    }

    #[test]
    fn sound_alone_is_one_rung_where_it_does_not_play() {
        assert_eq!(ladder(&probe(&[audio("aac")]), &LadderConfig::default()), []);
        let rungs = ladder(&probe(&[audio("dts")]), &LadderConfig::default());
        assert_eq!(rungs.len(), 1);
        assert_eq!(rungs[0].name, "audio");
        assert_eq!(rungs[0].audio, Some(AudioSettings { codec: AudioCodec::Aac, bit_rate: 128_000, channels: 2 }));
    }

    #[test]
    fn video_alone_gets_no_sound_and_mono_gets_half() {
        assert_eq!(ladder(&probe(&[video("h264", 1280, 720)]), &all())[0].audio, None);
        let mut mono = audio("aac");
        mono.kind_audio().channels = 1;
        let rungs = ladder(&probe(&[video("h264", 1280, 720), mono]), &all());
        assert_eq!(rungs[0].audio.as_ref().map(|a| (a.bit_rate, a.channels)), Some((64_000, 1)));
    }

    proptest! {
        #[test]
        fn every_rung_is_even_smaller_and_of_the_same_shape(w in 1..=16384u32, h in 1..=16384u32) {
            for (rw, rh) in sizes(&probe(&[video("h264", w, h)]), &all()) {
                prop_assert!(rw % 2 == 0 && rh % 2 == 0 && rw >= 2 && rh >= 2);
                prop_assert!(rw <= w.max(2) && rh <= h.max(2));
                // An even side is off by a pixel at most, the other follows from it.
                let (short, long) = (rw.min(rh), rw.max(rh));
                let exact = f64::from(w.max(h)) / f64::from(w.min(h)) * f64::from(short);
                prop_assert!((f64::from(long) - exact).abs() <= 2.0 || h.min(w) < 64, "{w}x{h} -> {rw}x{rh}");
            }
        }
    }
}
