//! ffprobe's JSON as types.

use std::time::Duration;

use serde::Deserialize;

use super::{Audio, Kind, MAX_TRACKS, Ratio, Track, Transfer, Video};
use crate::error::Error;

/// What is said of the file as a whole.
#[derive(Debug)]
pub(super) struct Said {
    /// Seconds, as the next.
    pub(super) start: f64,
    pub(super) duration: Option<f64>,
    pub(super) bit_rate: Option<u64>,
}

/// Reads the tracks, one more than are allowed at most.
pub(super) fn read(json: &[u8]) -> Result<(Vec<Track>, Said), Error> {
    let document: Document =
        serde_json::from_slice(json).map_err(|e| Error::Failed(format!("ffprobe's answer cannot be read: {e}")))?;
    let tracks: Vec<_> = document.streams.into_iter().take(MAX_TRACKS + 1).map(Stream::track).collect();
    let format = document.format.unwrap_or_default();
    let of_tracks = || tracks.iter().filter_map(|t| t.duration).max().map(|d| d.as_secs_f64());
    // 0 is said of a live recording, or one that was cut off.
    let duration = number(format.duration.as_deref()).or_else(of_tracks).filter(|d| *d > 0.0);
    let start = number(format.start_time.as_deref()).unwrap_or(0.0);
    Ok((tracks, Said { start, duration, bit_rate: format.bit_rate.and_then(|n| n.parse().ok()) }))
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    streams: Vec<Stream>,
    format: Option<Format>,
}

#[derive(Deserialize, Default)]
struct Format {
    start_time: Option<String>,
    duration: Option<String>,
    bit_rate: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Stream {
    index: u32,
    codec_name: Option<String>,
    codec_type: Option<String>,
    profile: Option<String>,
    level: i32,
    width: u32,
    height: u32,
    sample_aspect_ratio: Option<String>,
    pix_fmt: Option<String>,
    color_transfer: Option<String>,
    field_order: Option<String>,
    r_frame_rate: Option<String>,
    avg_frame_rate: Option<String>,
    time_base: Option<String>,
    start_time: Option<String>,
    duration: Option<String>,
    bit_rate: Option<String>,
    bits_per_raw_sample: Option<String>,
    channels: u32,
    sample_rate: Option<String>,
    disposition: Disposition,
    tags: Tags,
    side_data_list: Vec<SideData>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Disposition {
    default: u8,
    attached_pic: u8,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tags {
    language: Option<String>,
    rotate: Option<String>,
    /// Matroska has no other place for a track's duration.
    #[serde(rename = "DURATION")]
    duration: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SideData {
    rotation: Option<f64>,
}

impl Stream {
    fn track(self) -> Track {
        let kind = match self.codec_type.as_deref() {
            Some("video") if self.disposition.attached_pic != 0 => Kind::Cover,
            Some("video") => Kind::Video(self.video()),
            Some("audio") => Kind::Audio(Audio { channels: self.channels, sample_rate: self.sample_rate() }),
            Some("subtitle") => Kind::Subtitle,
            _ => Kind::Other,
        };
        // What has no size cannot be decoded, whatever it is.
        let known = |name: &String| {
            let sized = self.width > 0 && self.height > 0 || self.codec_type.as_deref() != Some("video");
            name != "unknown" && name != "none" && sized
        };
        let codec = self.codec_name.clone().filter(known).unwrap_or_default();
        let tagged = || self.tags.duration.as_deref().and_then(clock);
        let duration = number(self.duration.as_deref()).or_else(tagged).filter(|d| *d > 0.0);
        Track {
            index: self.index,
            codecs: self.codecs(&codec, &kind),
            codec,
            bit_rate: self.bit_rate.as_deref().and_then(|n| n.parse().ok()),
            language: self.tags.language.clone().filter(|l| l != "und" && is_language(l)),
            start: number(self.start_time.as_deref()).unwrap_or(0.0),
            duration: duration.and_then(|d| Duration::try_from_secs_f64(d).ok()),
            time_base: self.time_base.as_deref().and_then(|r| ratio(r, '/')).unwrap_or(MICROSECONDS),
            default: self.disposition.default != 0,
            profile: self.profile,
            kind,
        }
    }

    fn video(&self) -> Video {
        let depth = self.bits_per_raw_sample.as_deref().and_then(|n| n.parse().ok()).filter(|n| (1..=32).contains(n));
        Video {
            width: self.width,
            height: self.height,
            quarter_turns: self.quarter_turns(),
            pixel_aspect: self.sample_aspect_ratio.as_deref().and_then(|r| ratio(r, ':')).unwrap_or(SQUARE),
            frame_rate: self.avg_frame_rate.as_deref().and_then(|r| ratio(r, '/')),
            base_rate: self.r_frame_rate.as_deref().and_then(|r| ratio(r, '/')),
            bit_depth: self.pix_fmt.as_deref().and_then(depth_of).or(depth).unwrap_or(8),
            pixel_format: self.pix_fmt.clone(),
            transfer: match self.color_transfer.as_deref() {
                Some("smpte2084") => Transfer::Pq,
                Some("arib-std-b67") => Transfer::Hlg,
                _ => Transfer::Sdr,
            },
            interlaced: matches!(self.field_order.as_deref(), Some("tt" | "bb" | "tb" | "bt")),
        }
    }

    /// The display matrix's rotation counts counterclockwise, the older tag clockwise. Others than quarter turns are left
    /// to the decoder, and keep the size.
    fn quarter_turns(&self) -> u8 {
        let matrix = self.side_data_list.iter().find_map(|side| side.rotation).map(|r| -r);
        let tag = || self.tags.rotate.as_deref().and_then(|r| r.parse::<f64>().ok());
        let degrees = matrix.or_else(tag).filter(|d| d.is_finite()).unwrap_or(0.0).rem_euclid(360.0);
        [(1, 90.0), (2, 180.0), (3, 270.0)]
            .into_iter()
            .find(|(_, quarter): &(u8, f64)| (degrees - quarter).abs() < 1.0)
            .map_or(0, |(turns, _)| turns)
    }

    fn sample_rate(&self) -> u32 {
        self.sample_rate.as_deref().and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    /// RFC 6381 and the codecs' own bindings to ISO BMFF, where ffprobe says enough.
    fn codecs(&self, codec: &str, kind: &Kind) -> Option<String> {
        let profile = self.profile.as_deref().unwrap_or_default();
        let depth = if let Kind::Video(video) = kind { video.bit_depth } else { 8 };
        Some(match codec {
            "h264" => {
                let level = u8::try_from(self.level).ok()?;
                let (number, constraints) = match profile {
                    "Constrained Baseline" => (0x42, 0x40),
                    "Baseline" => (0x42, 0),
                    "Main" => (0x4d, 0),
                    "Extended" => (0x58, 0),
                    "High" => (0x64, 0),
                    "High 10" | "High 10 Intra" => (0x6e, 0),
                    "High 4:2:2" | "High 4:2:2 Intra" => (0x7a, 0),
                    "High 4:4:4 Predictive" | "High 4:4:4 Intra" => (0xf4, 0),
                    _ => return None,
                };
                format!("avc1.{number:02x}{constraints:02x}{level:02x}")
            }
            "hevc" => match profile {
                "Main" => format!("hvc1.1.6.L{}.B0", u8::try_from(self.level).ok()?),
                "Main 10" => format!("hvc1.2.4.L{}.B0", u8::try_from(self.level).ok()?),
                _ => return None,
            },
            "av1" => {
                let number = ["Main", "High", "Professional"].iter().position(|p| *p == profile)?;
                let level = u8::try_from(self.level).ok().filter(|l| *l < 32)?;
                format!("av01.{number}.{level:02}M.{depth:02}")
            }
            "vp9" => {
                let number = profile.strip_prefix("Profile ")?.parse::<u8>().ok()?;
                // WebM seldom says the level: one that everything plays at 1080p.
                let level = u8::try_from(self.level).ok().filter(|l| (10..=62).contains(l)).unwrap_or(41);
                format!("vp09.{number:02}.{level}.{depth:02}")
            }
            "vp8" => "vp8".to_owned(),
            "aac" => match profile {
                "HE-AAC" => "mp4a.40.5".to_owned(),
                "HE-AACv2" => "mp4a.40.29".to_owned(),
                _ => "mp4a.40.2".to_owned(),
            },
            "mp3" => "mp4a.6B".to_owned(),
            "opus" => "Opus".to_owned(),
            "flac" => "fLaC".to_owned(),
            "ac3" => "ac-3".to_owned(),
            "eac3" => "ec-3".to_owned(),
            _ => return None,
        })
    }
}

/// Bits of a sample, of the names that say more than 8: `yuv420p10le`, `p010le`, `gray12`.
fn depth_of(format: &str) -> Option<u8> {
    let name = format.trim_end_matches("le").trim_end_matches("be");
    let digits = name.rsplit(|c: char| !c.is_ascii_digit()).next()?;
    match digits.parse::<u8>().ok()? {
        depth @ (9 | 10 | 14 | 16) => Some(depth),
        12 if !name.starts_with("nv") => Some(12),
        _ => None,
    }
}

fn number(text: Option<&str>) -> Option<f64> {
    text.and_then(|t| t.parse().ok()).filter(|n: &f64| n.is_finite())
}

/// `00:01:02.500000000`
fn clock(text: &str) -> Option<f64> {
    let mut seconds = 0.0;
    for part in text.splitn(3, ':') {
        seconds = seconds * 60.0 + number(Some(part))?;
    }
    Some(seconds)
}

fn ratio(text: &str, between: char) -> Option<Ratio> {
    let (num, den) = text.split_once(between)?;
    Ratio::new(num.parse().ok()?, den.parse().ok()?)
}

fn is_language(tag: &str) -> bool {
    (2..=MAX_LANGUAGE).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

const SQUARE: Ratio = Ratio { num: 1, den: 1 };
const MICROSECONDS: Ratio = Ratio { num: 1, den: 1_000_000 };
/// The longest that RFC 5646 (4.4.1) asks to be kept.
const MAX_LANGUAGE: usize = 35;

#[cfg(test)]
mod tests {
    use super::*;

    fn one(stream: &str) -> Track {
        read(format!(r#"{{"streams":[{stream}]}}"#).as_bytes()).unwrap().0.remove(0)
    }

    fn video(stream: &str) -> Video {
        let Kind::Video(video) = one(stream).kind else { panic!("no video") };
        video
    }

    #[test]
    fn both_ways_to_say_a_rotation_turn_the_same_way() {
        let of =
            |more: &str| video(&format!(r#"{{"codec_type":"video","width":64,"height":36,{more}}}"#)).quarter_turns;
        assert_eq!(of(r#""side_data_list":[{"rotation":-90}]"#), 1);
        assert_eq!(of(r#""tags":{"rotate":"90"}"#), 1);
        assert_eq!(of(r#""side_data_list":[{"rotation":90}]"#), 3);
        assert_eq!(of(r#""side_data_list":[{"rotation":180}]"#), 2);
        assert_eq!(of(r#""side_data_list":[{"rotation":-45}]"#), 0);
    }

    #[test]
    fn sizes_are_as_shown() {
        let of = |more: &str| video(&format!(r#"{{"codec_type":"video","width":720,"height":576{more}}}"#)).display();
        assert_eq!(of(""), (720, 576));
        assert_eq!(of(r#","sample_aspect_ratio":"64:45""#), (1024, 576));
        assert_eq!(of(r#","sample_aspect_ratio":"64:45","tags":{"rotate":"270"}"#), (576, 1024));
        assert_eq!(of(r#","sample_aspect_ratio":"1:2""#), (720, 1152));
        assert_eq!(of(r#","sample_aspect_ratio":"0:1""#), (720, 576));
    }

    #[test]
    fn depths_are_read_from_names() {
        assert_eq!(depth_of("yuv420p"), None);
        assert_eq!(depth_of("yuv420p10le"), Some(10));
        assert_eq!(depth_of("p010le"), Some(10));
        assert_eq!(depth_of("gray12le"), Some(12));
        assert_eq!(depth_of("nv12"), None);
        assert_eq!(depth_of("rgb24"), None);
    }

    #[test]
    fn covers_are_no_videos() {
        let cover = r#"{"codec_type":"video","width":9,"height":9,"disposition":{"attached_pic":1}}"#;
        assert_eq!(one(cover).kind, Kind::Cover);
        assert_eq!(one(r#"{"codec_type":"video","codec_name":"h264"}"#).codec, "", "one without a size is not decoded");
    }

    #[test]
    fn tracks_are_counted_to_one_past_their_limit() {
        let of = |count: usize| {
            let streams = vec![r#"{"codec_type":"audio"}"#; count].join(",");
            read(format!(r#"{{"streams":[{streams}]}}"#).as_bytes()).unwrap().0.len()
        };
        assert_eq!(of(MAX_TRACKS), MAX_TRACKS);
        assert_eq!(of(10_000), MAX_TRACKS + 1);
    }

    #[test]
    fn codecs_are_as_rfc_6381_has_them() {
        let of = |stream: &str| one(&format!(r#"{{"codec_type":"video","width":2,"height":2,{stream}}}"#)).codecs;
        assert_eq!(of(r#""codec_name":"h264","profile":"High","level":40"#).as_deref(), Some("avc1.640028"));
        let baseline = r#""codec_name":"h264","profile":"Constrained Baseline","level":30"#;
        assert_eq!(of(baseline).as_deref(), Some("avc1.42401e"));
        assert_eq!(of(r#""codec_name":"hevc","profile":"Main","level":93"#).as_deref(), Some("hvc1.1.6.L93.B0"));
        let av1 = r#""codec_name":"av1","profile":"Main","level":8,"pix_fmt":"yuv420p10le""#;
        assert_eq!(of(av1).as_deref(), Some("av01.0.08M.10"));
        let vp9 = r#""codec_name":"vp9","profile":"Profile 0","level":-99"#;
        assert_eq!(of(vp9).as_deref(), Some("vp09.00.41.08"));
        assert_eq!(of(r#""codec_name":"mpeg2video""#), None);
    }

    #[test]
    fn nonsense_is_a_failure_not_a_panic() {
        assert!(read(b"").is_err());
        assert!(read(b"[]").is_err());
        assert!(read(br#"{"streams":[{"width":-1}]}"#).is_err());
        let (tracks, said) = read(br#"{"streams":[],"format":{"duration":"NaN","bit_rate":"x"}}"#).unwrap();
        assert!(tracks.is_empty() && said.duration.is_none() && said.bit_rate.is_none());
    }
}
