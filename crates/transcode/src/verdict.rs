//! Whether browsers play a file as it is, once it is in another container, or not at all.

use crate::container::Container;
use crate::probe::{Audio, Probe, Track, Video};

/// What has to be done before a file plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the packager serves it from the stored file.
    PlayOriginal {
        /// Whether every browser plays it, not only most.
        everywhere: bool,
        /// Why, in words.
        reason: String,
    },
    /// Its pictures are copied into an MP4 unchanged.
    Remux {
        /// What becomes of the sound.
        audio: AudioHandling,
        /// Whether every browser plays it then.
        everywhere: bool,
        /// Why, in words.
        reason: String,
    },
    /// Its pictures, or its sound where it has no pictures, must be coded anew.
    TranscodeOnly {
        /// Why, in words.
        reason: String,
    },
}

/// What becomes of the sound in a remux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioHandling {
    /// There is none.
    None,
    /// It is copied.
    Copy,
    /// It is coded anew, as AAC.
    Encode,
}

/// What has to be done before the file plays.
#[must_use]
pub fn verdict(probe: &Probe) -> Verdict {
    let (video, sound) = (probe.video(), probe.audio());
    let pictures = match video.map(|(track, video)| pictures_play(track, video)).transpose() {
        Ok(pictures) => pictures,
        Err(reason) => return Verdict::TranscodeOnly { reason },
    };
    let container = probe.container;
    let everywhere = pictures.unwrap_or(true);
    match sound.map(|(track, audio)| sound_plays(track, audio)).transpose() {
        Ok(heard) if container == Container::Mp4 => {
            let everywhere = everywhere && heard.unwrap_or(true);
            Verdict::PlayOriginal { everywhere, reason: plays(probe, everywhere) }
        }
        Ok(heard) => Verdict::Remux {
            audio: if sound.is_some() { AudioHandling::Copy } else { AudioHandling::None },
            everywhere: everywhere && heard.unwrap_or(true),
            reason: format!("{container} does not play in browsers, what is in it does"),
        },
        Err(reason) if video.is_none() => Verdict::TranscodeOnly { reason },
        Err(reason) => Verdict::Remux { audio: AudioHandling::Encode, everywhere, reason },
    }
}

impl Verdict {
    /// Whether every browser plays it as it is, or remuxed.
    #[must_use]
    pub fn plays_everywhere(&self) -> bool {
        matches!(self, Self::PlayOriginal { everywhere: true, .. } | Self::Remux { everywhere: true, .. })
    }

    /// Why, in words for whoever uploaded the file.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::PlayOriginal { reason, .. } | Self::Remux { reason, .. } | Self::TranscodeOnly { reason } => reason,
        }
    }
}

/// Whether every browser decodes it, or only most; or why none does.
fn pictures_play(track: &Track, video: &Video) -> Result<bool, String> {
    let format = video.pixel_format.as_deref().unwrap_or("yuv420p");
    let eight = matches!(format, "yuv420p" | "yuvj420p");
    let ten = format == "yuv420p10le";
    let name = spoken(&track.codec);
    match track.codec.as_str() {
        "h264" if eight => Ok(true),
        "hevc" | "av1" | "vp9" if eight || ten => Ok(false),
        "h264" | "hevc" | "av1" | "vp9" => {
            Err(format!("browsers do not decode {name} of {} bits as {format}", video.bit_depth))
        }
        _ => Err(format!("browsers do not decode {name} in MP4")),
    }
}

fn sound_plays(track: &Track, audio: &Audio) -> Result<bool, String> {
    let name = spoken(&track.codec);
    if audio.channels == 0 || audio.sample_rate == 0 {
        return Err(format!("what its {name} sound is made of is not known"));
    }
    match (track.codec.as_str(), track.profile.as_deref()) {
        ("aac", Some(profile @ ("Main" | "SSR" | "LTP"))) => {
            Err(format!("browsers do not decode AAC of the profile {profile}"))
        }
        ("aac", _) => Ok(true),
        ("opus" | "flac", _) => Ok(false),
        // It plays out of its own files, and as a whole; not out of segments in Chromium.
        ("mp3", _) => Err("not all browsers play MP3 sound in MP4".to_owned()),
        _ => Err(format!("browsers do not decode {name} sound")),
    }
}

fn plays(probe: &Probe, everywhere: bool) -> String {
    let tracks = [probe.video().map(|(t, _)| t), probe.audio().map(|(t, _)| t)];
    let names: Vec<_> = tracks.into_iter().flatten().map(|t| spoken(&t.codec)).collect();
    let who = if everywhere { "all browsers play" } else { "most browsers play" };
    format!("{who} {} in MP4", names.join(" and "))
}

/// A codec as people call it.
fn spoken(codec: &str) -> String {
    let known = [
        ("h264", "H.264"),
        ("hevc", "HEVC"),
        ("mpeg2video", "MPEG-2"),
        ("mpeg4", "MPEG-4 Part 2"),
        ("prores", "ProRes"),
        ("dnxhd", "DNxHD"),
        ("opus", "Opus"),
        ("vorbis", "Vorbis"),
        ("ac3", "AC-3"),
        ("eac3", "E-AC-3"),
        ("dts", "DTS"),
        ("truehd", "TrueHD"),
    ];
    let name = known.iter().find(|(own, _)| *own == codec).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| if codec.starts_with("pcm_") { "PCM".to_owned() } else { codec.to_uppercase() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{audio, probe, video};

    fn of(container: Container, tracks: &[Track]) -> Verdict {
        let mut probe = probe(tracks);
        probe.container = container;
        verdict(&probe)
    }

    #[test]
    fn mp4_with_what_browsers_decode_plays_as_it_is() {
        let tracks = [video("h264", 1280, 720), audio("aac")];
        let reason = "all browsers play H.264 and AAC in MP4".to_owned();
        assert_eq!(of(Container::Mp4, &tracks), Verdict::PlayOriginal { everywhere: true, reason });
        let reason = "most browsers play AV1 and Opus in MP4".to_owned();
        let rare = [video("av1", 1280, 720), audio("opus")];
        assert_eq!(of(Container::Mp4, &rare), Verdict::PlayOriginal { everywhere: false, reason });
        assert!(matches!(of(Container::Mp4, &[audio("aac")]), Verdict::PlayOriginal { everywhere: true, .. }));
    }

    #[test]
    fn another_container_is_changed() {
        let verdict = of(Container::Matroska, &[video("h264", 1280, 720)]);
        assert!(matches!(verdict, Verdict::Remux { audio: AudioHandling::None, everywhere: true, .. }));
        let verdict = of(Container::Matroska, &[video("vp9", 1280, 720), audio("opus")]);
        assert!(matches!(verdict, Verdict::Remux { audio: AudioHandling::Copy, everywhere: false, .. }));
        assert_eq!(verdict.reason(), "Matroska does not play in browsers, what is in it does");
    }

    #[test]
    fn sound_alone_is_coded_anew_where_it_must() {
        for container in [Container::Mp4, Container::Matroska] {
            let verdict = of(container, &[video("h264", 1280, 720), audio("ac3")]);
            assert!(matches!(verdict, Verdict::Remux { audio: AudioHandling::Encode, everywhere: true, .. }));
            assert_eq!(verdict.reason(), "browsers do not decode AC-3 sound");
        }
        let verdict = of(Container::Mp4, &[video("h264", 1280, 720), audio("mp3")]);
        assert!(matches!(verdict, Verdict::Remux { audio: AudioHandling::Encode, everywhere: true, .. }));
        assert!(matches!(of(Container::Wav, &[audio("pcm_s16le")]), Verdict::TranscodeOnly { .. }));
    }

    #[test]
    fn pictures_that_browsers_do_not_decode_are_coded_anew() {
        let mut deep = video("h264", 1280, 720);
        deep.kind_video().pixel_format = Some("yuv420p10le".to_owned());
        deep.kind_video().bit_depth = 10;
        assert_eq!(of(Container::Mp4, &[deep]).reason(), "browsers do not decode H.264 of 10 bits as yuv420p10le");
        let verdict = of(Container::Mp4, &[video("prores", 1280, 720), audio("aac")]);
        assert_eq!(verdict, Verdict::TranscodeOnly { reason: "browsers do not decode ProRes in MP4".to_owned() });
    }
}
