//! What is written, as FFmpeg reads it.
#![allow(clippy::unwrap_used)]

#[path = "../../mpegts/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use millrace_fmp4::{EPOCH, Fragment, Fragmenter, init_segment};
use millrace_media::{AudioConfig, Frame, TrackKind, Unit, VideoConfig};
use support::ffmpeg::{self, TempFile};
use support::flv;

/// A stream's tracks, fragmented as a segmenter would.
struct Packaged {
    video: Option<(Arc<VideoConfig>, Vec<Fragment>)>,
    audio: Option<(Arc<AudioConfig>, Vec<Fragment>)>,
}

impl Packaged {
    /// Fragments of about `length`; the time of the next frame is told where `exact`.
    fn new(units: &[Unit], length: Duration, exact: bool) -> Self {
        let video = units.iter().find_map(|unit| match unit {
            Unit::VideoConfig(c) => Some(c.clone()),
            _ => None,
        });
        let audio = units.iter().find_map(|unit| match unit {
            Unit::AudioConfig(c) => Some(c.clone()),
            _ => None,
        });
        Self {
            video: video
                .map(|c| (c.clone(), fragments(Fragmenter::video(c).unwrap(), units, TrackKind::Video, length, exact))),
            audio: audio
                .map(|c| (c.clone(), fragments(Fragmenter::audio(c).unwrap(), units, TrackKind::Audio, length, exact))),
        }
    }

    /// One file of both tracks, a fragment of sound after each of pictures.
    fn muxed(&self) -> Vec<u8> {
        let config = |(c, _): &(Arc<VideoConfig>, _)| c.clone();
        let (video, audio) = (self.video.as_ref().map(config), self.audio.as_ref().map(|(c, _)| c.clone()));
        let mut file = init_segment(video.as_deref(), audio.as_deref()).unwrap().to_vec();
        let (video, audio) =
            (self.video.as_ref().map_or(&[][..], |v| &v.1), self.audio.as_ref().map_or(&[][..], |a| &a.1));
        for n in 0..video.len().max(audio.len()) {
            for fragment in [video.get(n), audio.get(n)].into_iter().flatten() {
                file.extend_from_slice(&fragment.bytes);
            }
        }
        file
    }

    fn video_alone(&self) -> Option<Vec<u8>> {
        let (config, fragments) = self.video.as_ref()?;
        Some(joined(&init_segment(Some(config), None).unwrap(), fragments))
    }

    fn audio_alone(&self) -> Option<Vec<u8>> {
        let (config, fragments) = self.audio.as_ref()?;
        Some(joined(&init_segment(None, Some(config)).unwrap(), fragments))
    }
}

fn joined(init: &[u8], fragments: &[Fragment]) -> Vec<u8> {
    init.iter().chain(fragments.iter().flat_map(|f| f.bytes.iter())).copied().collect()
}

fn fragments(mut f: Fragmenter, units: &[Unit], track: TrackKind, length: Duration, exact: bool) -> Vec<Fragment> {
    let mut fragments: Vec<Fragment> = vec![];
    let mut begun = None;
    for frame in flv::frames(units, track) {
        let start = *begun.get_or_insert(frame.dts);
        if frame.dts.since(start) >= length {
            fragments.extend(f.end(exact.then_some(frame.dts), u32::try_from(fragments.len()).unwrap()));
            begun = Some(frame.dts);
        }
        f.push(frame).unwrap();
    }
    fragments.extend(f.end(None, u32::try_from(fragments.len()).unwrap()));
    for pair in fragments.windows(2) {
        if exact {
            assert_eq!(pair[0].start + pair[0].duration, pair[1].start);
        } else {
            assert!(pair[0].start + pair[0].duration <= pair[1].start);
        }
    }
    fragments
}

/// A packet as ffprobe sees it, times in ticks of its track.
#[derive(Debug)]
struct Packet {
    video: bool,
    pts: i64,
    dts: i64,
    /// ffprobe 5 does not say it of a file's first packet of sound, whoever wrote the file, and guesses at that of pictures.
    duration: Option<i64>,
    size: usize,
    keyframe: bool,
}

/// Panics where ffprobe warns of anything.
fn packets(file: &Path) -> Vec<Packet> {
    let output = Command::new("ffprobe")
        .args(["-v", "warning", "-of", "csv=p=0", "-show_entries"])
        .args(["packet=codec_type,pts,dts,duration,size,flags", "-i"])
        .arg(file)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let f: Vec<_> = line.split(',').collect();
            Packet {
                video: f[0] == "video",
                pts: f[1].parse().unwrap(),
                dts: f[2].parse().unwrap(),
                duration: f[3].parse().ok(),
                size: f[4].parse().unwrap(),
                keyframe: f[5].starts_with('K'),
            }
        })
        .collect()
}

/// Every picture exactly once, at its time.
fn assert_pictures(name: &str, found: &[&Packet], given: &[&Frame]) {
    assert_eq!(found.len(), given.len(), "{name}");
    for (n, (found, given)) in found.iter().zip(given).enumerate() {
        let in_file = |t| millrace_media::Timestamp::as_90khz(t + EPOCH);
        assert_eq!((found.dts, found.pts), (in_file(given.dts), in_file(given.pts)), "{name}: picture {n}");
        assert_eq!((found.keyframe, found.size), (given.keyframe, given.payload.len()), "{name}: picture {n}");
    }
}

/// Every frame exactly once, within a millisecond of its stamp, and no gap between them.
fn assert_sound(name: &str, found: &[&Packet], given: &[&Frame], config: &AudioConfig) {
    assert_eq!(found.len(), given.len(), "{name}");
    let per_frame = i64::from(config.samples_in(&given[0].payload).unwrap());
    for (n, (found, given)) in found.iter().zip(given).enumerate() {
        let stamp = (given.dts + EPOCH).as_ticks(config.sample_rate());
        let millisecond = i64::from(config.sample_rate()) / 1000 + 2;
        assert!((found.pts - stamp).abs() <= millisecond, "{name}: frame {n} {found:?} {given:?}");
        assert_eq!(found.dts, found.pts, "{name}: frame {n}");
        assert!(
            found.duration == Some(per_frame) || (n == 0 && found.duration.is_none()),
            "{name}: frame {n} {found:?}"
        );
        assert_eq!(found.size, given.payload.len(), "{name}: frame {n}");
    }
    for pair in found.windows(2) {
        assert_eq!(pair[0].dts + per_frame, pair[1].dts, "{name}");
    }
}

fn check(name: &str, units: &[Unit]) {
    for (length, exact) in [(Duration::from_secs(2), true), (Duration::from_millis(200), true)] {
        let packaged = Packaged::new(units, length, exact);
        let views = [Some(packaged.muxed()), packaged.video_alone(), packaged.audio_alone()];
        for (view, file) in ["muxed", "video", "audio"].into_iter().zip(views) {
            let Some(file) = file else { continue };
            let name = format!("{name} {view} {length:?}");
            let file = TempFile::with(&format!("{}.mp4", name.replace(' ', "-")), &file);
            let packets = packets(file.path());
            let (video, audio): (Vec<_>, Vec<_>) = packets.iter().partition(|p| p.video);
            let pictures = flv::frames(units, TrackKind::Video);
            let sounds = flv::frames(units, TrackKind::Audio);
            if view != "audio" {
                assert_pictures(&name, &video, &pictures);
            }
            if let (true, Some((config, _))) = (view != "video", &packaged.audio) {
                assert_sound(&name, &audio, &sounds, config);
            }
            let (decoded, samples) = ffmpeg::decode(file.path());
            assert_eq!(decoded, if view == "audio" { 0 } else { pictures.len() }, "{name}");
            assert_eq!(samples > 0, view != "video" && packaged.audio.is_some(), "{name}");
        }
    }
}

#[test]
fn every_frame_is_found_once_at_its_time_and_decodes() {
    for (name, arguments) in [
        (
            "b-frames",
            "-f lavfi -i testsrc2=size=640x360:rate=30 -f lavfi -i sine=sample_rate=44100 -t 5 \
             -c:v libx264 -preset veryfast -bf 3 -g 60 -pix_fmt yuv420p -c:a aac -b:a 96k",
        ),
        (
            "variable-rate",
            "-f lavfi -i testsrc2=size=320x180:rate=30 -f lavfi -i sine=sample_rate=48000 -t 6 \
             -vf select='not(mod(n\\,7))+gt(random(1)\\,0.4)' -fps_mode vfr \
             -c:v libx264 -preset veryfast -bf 2 -force_key_frames expr:gte(t,n_forced*2) -pix_fmt yuv420p -c:a libmp3lame",
        ),
        (
            "low-rate-mp3",
            "-f lavfi -i testsrc2=size=320x180:rate=5 -f lavfi -i sine=sample_rate=22050 -t 4 \
             -c:v libx264 -preset veryfast -bf 0 -g 10 -pix_fmt yuv420p -c:a libmp3lame -ac 1 -b:a 32k",
        ),
    ] {
        check(name, &ffmpeg::encode(name, arguments));
    }
}

#[test]
fn recorded_streams_are_read_as_they_came() {
    for name in ["h264-aac.flv", "h264-mp3.flv", "video-h264.flv", "audio-aac.flv", "audio-mp3.flv"] {
        check(name, &flv::fixture(name));
    }
}
