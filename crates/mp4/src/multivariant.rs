use std::fmt::{self, Write as _};

use crate::{BitRate, Packaged};

/// The multivariant playlist of a video (RFC 8216, 4.3.4): pictures in several sizes, one group of sound, subtitles.
///
/// Where there are no pictures, sound is the variant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Multivariant {
    /// Pictures, the one to begin with first.
    pub video: Vec<VideoVariant>,
    /// Sound, the one to be heard unless another is chosen first. All of the same codec, best.
    pub audio: Vec<AudioRendition>,
    /// Subtitles.
    pub subtitles: Vec<Subtitles>,
}

/// A playlist of pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoVariant {
    /// Address of its media playlist.
    pub uri: String,
    /// Of the pictures alone.
    pub bit_rate: BitRate,
    /// Of the pictures alone, as RFC 6381 writes it.
    pub codec: String,
    /// Width and height in pixels as they are shown.
    pub resolution: (u32, u32),
    /// Pictures a second.
    pub frame_rate: Option<f64>,
    /// `PQ` or `HLG`; none for the usual brightness.
    pub video_range: Option<&'static str>,
}

/// A playlist of sound.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioRendition {
    /// Address of its media playlist.
    pub uri: String,
    /// Of the sound alone.
    pub bit_rate: BitRate,
    /// As RFC 6381 writes it.
    pub codec: String,
    /// For people; no two may be the same.
    pub name: String,
    /// RFC 5646, where it is known.
    pub language: Option<String>,
    /// 0 where it is not known.
    pub channels: u8,
}

/// A playlist of subtitles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subtitles {
    /// Address of its media playlist.
    pub uri: String,
    /// For people; no two may be the same.
    pub name: String,
    /// RFC 5646.
    pub language: String,
}

impl VideoVariant {
    /// Of a track that is packaged, with the address of its playlist.
    #[must_use]
    pub fn of(track: Packaged<'_>, uri: String) -> Self {
        let (packaged, track) = (track, track.track());
        Self {
            uri,
            bit_rate: packaged.bit_rate(),
            codec: track.codec(),
            resolution: track.display_size(),
            frame_rate: track.frame_rate(),
            video_range: track.video_range(),
        }
    }
}

impl AudioRendition {
    /// Of a track that is packaged, with the address of its playlist. Its name is its language, or its name in
    /// addresses.
    #[must_use]
    pub fn of(track: Packaged<'_>, uri: String) -> Self {
        let (packaged, track) = (track, track.track());
        Self {
            uri,
            bit_rate: packaged.bit_rate(),
            codec: track.codec(),
            name: packaged.name().to_owned(),
            language: track.language().map(str::to_owned),
            channels: track.channels(),
        }
    }
}

impl Multivariant {
    /// The playlist; `query`, empty or with its question mark, is put behind each address.
    #[must_use]
    pub fn render(&self, query: &str) -> String {
        let mut text = String::with_capacity(1024);
        self.write(&mut text, query).unwrap_or_default(); // writing to a string does not fail
        text
    }

    fn write(&self, text: &mut String, query: &str) -> fmt::Result {
        text.push_str("#EXTM3U\n#EXT-X-VERSION:7\n");
        let grouped = !self.video.is_empty();
        for (n, audio) in self.audio.iter().enumerate().filter(|_| grouped) {
            write!(text, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"{}\"", quotable(&audio.name))?;
            if let Some(language) = &audio.language {
                write!(text, ",LANGUAGE=\"{}\"", quotable(language))?;
            }
            write!(text, ",DEFAULT={},AUTOSELECT=YES", if n == 0 { "YES" } else { "NO" })?;
            if audio.channels > 0 {
                write!(text, ",CHANNELS=\"{}\"", audio.channels)?;
            }
            writeln!(text, ",URI=\"{}{query}\"", quotable(&audio.uri))?;
        }
        for subtitles in &self.subtitles {
            let (name, language) = (quotable(&subtitles.name), quotable(&subtitles.language));
            write!(text, "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subtitles\",NAME=\"{name}\",LANGUAGE=\"{language}\"")?;
            writeln!(text, ",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI=\"{}{query}\"", quotable(&subtitles.uri))?;
        }
        for video in &self.video {
            self.write_video(text, video)?;
            writeln!(text, "{}{query}", video.uri)?;
        }
        for audio in self.audio.iter().filter(|_| !grouped) {
            write_rate(text, audio.bit_rate)?;
            write!(text, ",CODECS=\"{}\"", quotable(&audio.codec))?;
            self.write_subtitles(text)?;
            writeln!(text, "\n{}{query}", audio.uri)?;
        }
        Ok(())
    }

    fn write_video(&self, text: &mut String, video: &VideoVariant) -> fmt::Result {
        let most = |of: fn(&BitRate) -> u64| self.audio.iter().map(|audio| of(&audio.bit_rate)).max().unwrap_or(0);
        let rate = BitRate {
            peak: video.bit_rate.peak.saturating_add(most(|rate| rate.peak)),
            average: video.bit_rate.average.saturating_add(most(|rate| rate.average)),
        };
        write_rate(text, rate)?;
        let mut codecs = vec![&*video.codec];
        self.audio.iter().for_each(|audio| codecs.push(&audio.codec));
        codecs[1..].sort_unstable();
        codecs.dedup();
        write!(text, ",CODECS=\"{}\"", quotable(&codecs.join(",")))?;
        let (width, height) = video.resolution;
        if width > 0 && height > 0 {
            write!(text, ",RESOLUTION={width}x{height}")?;
        }
        if let Some(rate) = video.frame_rate {
            write!(text, ",FRAME-RATE={rate:.3}")?;
        }
        if let Some(range) = video.video_range {
            write!(text, ",VIDEO-RANGE={range}")?;
        }
        if !self.audio.is_empty() {
            text.push_str(",AUDIO=\"audio\"");
        }
        self.write_subtitles(text)?;
        text.push('\n');
        Ok(())
    }

    fn write_subtitles(&self, text: &mut String) -> fmt::Result {
        if self.subtitles.is_empty() { Ok(()) } else { text.write_str(",SUBTITLES=\"subtitles\"") }
    }
}

fn write_rate(text: &mut String, rate: BitRate) -> fmt::Result {
    write!(text, "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={}", rate.peak, rate.average)
}

/// What may stand in a quoted string (RFC 8216, 4.2).
fn quotable(text: &str) -> String {
    text.chars().map(|c| if c == '"' { '\'' } else { c }).filter(|c| !c.is_control()).collect()
}
