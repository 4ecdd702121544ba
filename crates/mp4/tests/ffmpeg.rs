//! Files of many shapes that FFmpeg wrote: what is packaged decodes to the same pictures and sound at the same times.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::time::Duration;

use m3u8_rs::Playlist;
use millrace_mp4::{EPOCH, Packaged, Plan, Playback, TARGET_DURATION};
use support::{TempDir, ffmpeg, frames, joined, packets, plan, segment};

/// Pictures that tell each other apart, a keyframe a second or so.
const PICTURES: &str = "-f lavfi -i testsrc2=size=320x180:rate=30";
const SOUND: &str = "-f lavfi -i sine=frequency=440:sample_rate=48000";
const X264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 2 -g 40";
const AAC: &str = "-c:a aac -ac 2";

/// What a file must have.
#[derive(Default)]
struct Expected<'a> {
    video: Option<&'a str>,
    audio: Option<&'a str>,
    /// Pictures that are decoded and not shown.
    hidden: usize,
    /// Seconds by which FFmpeg shows pictures later than the file says: in fragments, where a picture is shown before it
    /// is decoded.
    late: f64,
}

/// Encodes, reads, packages and compares.
fn check(name: &str, arguments: &str, expected: &Expected<'_>) -> (TempDir, Vec<u8>, Plan) {
    let dir = TempDir::new(name);
    let path = ffmpeg(&dir, arguments);
    let (file, plan) = compare(name, &dir, &path, expected);
    (dir, file, plan)
}

fn compare(name: &str, dir: &TempDir, path: &Path, expected: &Expected<'_>) -> (Vec<u8>, Plan) {
    let file = std::fs::read(path).unwrap();
    let plan = plan(&file, Duration::from_secs(2));
    let codec = |track: Option<Packaged<'_>>| track.map(|t| t.track().codec());
    assert_eq!(codec(plan.video()).as_deref(), expected.video, "{name}");
    assert_eq!(codec(plan.audio()).as_deref(), expected.audio, "{name}");
    let mut moved = vec![];
    for (track, stream) in [(plan.video(), "v:0"), (plan.audio(), "a:0")] {
        let Some(track) = track else { continue };
        let name = format!("{name} {stream}");
        let ours = dir.path(&format!("ours-{}.mp4", track.name()));
        std::fs::write(&ours, joined(track, &file)).unwrap();
        let hidden = if stream == "v:0" { expected.hidden } else { 0 };
        moved.push((same_packets(&name, path, &ours, stream, hidden), 1.0 / f64::from(track.track().timescale())));
        if stream == "v:0" {
            same_pictures(&name, path, &ours, hidden);
        }
        check_playlist(&name, track);
        check_segments(&name, track, &file, dir);
    }
    if let [(video, tick), (audio, other)] = moved[..] {
        assert!(
            (video + expected.late - audio).abs() <= tick.max(other) + 2e-6,
            "{name}: {video} {audio}: the tracks keep their distance"
        );
    }
    (file, plan)
}

/// The same packets in the same order, moved by a constant, which is returned in seconds.
fn same_packets(name: &str, original: &Path, ours: &Path, stream: &str, hidden: usize) -> f64 {
    let (given, mut found) = (packets(original, stream), packets(ours, stream[..1].to_owned().as_str()));
    // In fragments, FFmpeg now and then marks sound in the middle as well.
    let first = given.iter().filter(|p| !p.discarded).map(|p| p.pts).min().unwrap();
    let (cut, given): (Vec<_>, Vec<_>) = given.into_iter().partition(|p| p.discarded && p.pts < first);
    let cut: Vec<_> = cut.into_iter().map(|p| p.hash).collect();
    assert!(!given.is_empty(), "{name}");
    // What is not shown is there all the same, right before what is shown.
    let start = given.iter().map(|p| p.seconds).fold(f64::MAX, f64::min);
    let shown = found.len() - given.len();
    if stream == "v:0" {
        assert_eq!(shown, hidden, "{name}");
        found.retain(|p| !cut.contains(&p.hash) || given.iter().any(|g| g.hash == p.hash));
    } else {
        assert!(shown <= 1, "{name}: {} given, {} found", given.len(), found.len());
        found.drain(..shown);
    }
    let hashes = |packets: &[support::Packet]| packets.iter().map(|p| p.hash.clone()).collect::<Vec<_>>();
    assert_eq!(hashes(&found), hashes(&given), "{name}");
    let moved = found[0].pts - given[0].pts;
    for (n, (found, given)) in found.iter().zip(&given).enumerate() {
        assert_eq!((found.pts - moved, found.keyframe), (given.pts, given.keyframe), "{name}: packet {n}");
    }
    assert!(start >= -0.1);
    found[0].seconds - given[0].seconds
}

/// The same pictures are seen at the same times; those that are not to be seen take no time.
fn same_pictures(name: &str, original: &Path, ours: &Path, hidden: usize) {
    let (given, found) = (frames(original, "v:0"), frames(ours, "v:0"));
    assert_eq!(found.len(), given.len() + hidden, "{name}");
    let shown = &found[hidden..];
    let moved = shown[0].0 - given[0].0;
    for (n, (found, given)) in shown.iter().zip(&given).enumerate() {
        assert!((found.0 - moved - given.0).abs() < 4e-6, "{name}: picture {n}: {found:?} {given:?} {moved}");
        assert_eq!(found.1, given.1, "{name}: picture {n}");
    }
    let instant = shown[0].0 - found[0].0;
    assert!(hidden == 0 || instant < 0.02, "{name}: {instant}");
}

/// As another reads it; durations are those of the plan, and no more than the target.
fn check_playlist(name: &str, track: Packaged<'_>) {
    let text = track.media_playlist("?token=T");
    let Ok(Playlist::MediaPlaylist(list)) = m3u8_rs::parse_playlist_res(text.as_bytes()) else {
        panic!("{name}: {text}")
    };
    assert_eq!((list.version, list.end_list, list.segments.len()), (Some(7), true, track.segments()), "{name}");
    assert_eq!(list.independent_segments, track.is_independent(), "{name}");
    let sum: f64 = list.segments.iter().map(|s| f64::from(s.duration)).sum();
    let whole = (track.track().begins().unwrap() + track.track().duration().unwrap()).as_secs_f64();
    assert!((sum - whole).abs() < 1e-3 * (list.segments.len() as f64 + 1.0), "{name}: {sum} {whole}");
    for (n, segment) in list.segments.iter().enumerate() {
        assert_eq!(segment.uri, format!("{}/{n}.m4s?token=T", track.name()), "{name}");
        assert!(segment.duration <= list.target_duration as f32, "{name}: segment {n}");
    }
    let map = list.segments[0].map.as_ref().unwrap();
    assert_eq!(map.uri, format!("{}/init.mp4?token=T", track.name()), "{name}");
}

/// Each segment stands for itself, and begins when the playlist says.
fn check_segments(name: &str, track: Packaged<'_>, file: &[u8], dir: &TempDir) {
    for (n, begins) in track.boundaries().enumerate().take(4) {
        let alone = dir.path("alone.mp4");
        let init = track.init_segment();
        std::fs::write(&alone, [&init[..], &segment(track, n, file)].concat()).unwrap();
        let packets = packets(&alone, if track.name() == "video" { "v" } else { "a" });
        assert!(packets[0].keyframe || !track.is_independent(), "{name}: segment {n}");
        let begins = (EPOCH + begins).as_secs_f64();
        assert!(n == 0 || (packets[0].seconds - begins).abs() < 1e-5, "{name}: segment {n}: {begins} {:?}", packets[0]);
    }
}

const H264: Option<&str> = Some("avc1.42c00d");
const LC: Option<&str> = Some("mp4a.40.2");

fn tracks<'a>(video: Option<&'a str>, audio: Option<&'a str>) -> Expected<'a> {
    Expected { video, audio, hidden: 0, late: 0.0 }
}

#[test]
fn pictures_in_another_order_than_decoded_and_sound_with_an_encoders_delay() {
    let arguments = format!("{PICTURES} {SOUND} -t 9 {X264} {AAC} a.mp4");
    let (_dir, file, plan) = check("order", &arguments, &tracks(Some("avc1.4d400d"), LC));
    let video = plan.video().unwrap();
    // Keyframes are 4/3 s apart: each segment ends at the second one.
    let boundaries: Vec<_> = video.boundaries().map(|b| b.as_secs_f64()).collect();
    assert_eq!(boundaries.len(), 4);
    for (n, boundary) in boundaries.iter().enumerate() {
        assert!((boundary - n as f64 * 8.0 / 3.0).abs() < 1e-6, "{boundaries:?}");
    }
    // A player that begins at one of them has sound at once.
    for (sound, pictures) in plan.audio().unwrap().boundaries().zip(video.boundaries()) {
        assert!(sound <= pictures && pictures - sound < Duration::from_millis(22), "{sound:?} {pictures:?}");
    }
    let rate = video.bit_rate();
    let payload = (0..video.segments()).map(|n| video.segment(n).unwrap().size).sum::<u64>();
    let average = payload as f64 * 8.0 / 9.0;
    assert!((rate.average as f64 / average - 1.0).abs() < 0.02 && rate.peak >= rate.average, "{rate:?} {average}");
    let (_, read) = support::read_counting(&file).unwrap();
    assert!(read < file.len() as u64 / 10 + 16_384, "the media is not read");
    assert_eq!(plan.movie().video().unwrap().playback(), Playback::Everywhere);
    assert_eq!(plan.movie().duration().as_millis(), 9000);
}

#[test]
fn the_index_may_come_first_or_last() {
    for (name, flags) in [("last", ""), ("first", "-movflags faststart")] {
        let arguments = format!("{PICTURES} {SOUND} -t 5 {X264} -bf 0 {AAC} {flags} a.mp4");
        check(name, &arguments, &tracks(H264, LC));
    }
}

#[test]
fn without_edit_lists() {
    for (name, flags) in [("noedit", "-use_editlist 0"), ("negative", "-movflags negative_cts_offsets -use_editlist 0")]
    {
        let arguments = format!("{PICTURES} {SOUND} -t 5 {X264} {AAC} {flags} a.mp4");
        check(name, &arguments, &tracks(Some("avc1.4d400d"), LC));
    }
}

#[test]
fn a_part_that_was_cut_out_begins_where_it_was_cut() {
    let dir = TempDir::new("cut");
    ffmpeg(&dir, &format!("{PICTURES} {SOUND} -t 9 {X264} {AAC} whole.mp4"));
    // 2.1 s is the 24th picture after the keyframe at 4/3 s. Where pictures are shown in another order,
    // one more is decoded before.
    for (at, hidden) in [("2.1", 23), ("1.4", 2), ("2.6666", 0)] {
        let path = ffmpeg(&dir, &format!("-ss {at} -i DIR/whole.mp4 -c copy -t 5 part.mp4"));
        let expected = Expected { hidden, ..tracks(Some("avc1.4d400d"), LC) };
        compare(&format!("cut at {at}"), &dir, &path, &expected);
    }
}

#[test]
fn one_track_begins_later() {
    for (name, inputs) in [
        ("sound", format!("{PICTURES} -itsoffset 0.7 {SOUND}")),
        ("pictures", format!("-itsoffset 1.3 {PICTURES} {SOUND}")),
    ] {
        let arguments = format!("{inputs} -t 6 -fps_mode vfr {X264} {AAC} a.mp4");
        let (_dir, _, plan) = check(&format!("late-{name}"), &arguments, &tracks(Some("avc1.4d400d"), LC));
        let begins = |track: Option<Packaged<'_>>| track.unwrap().track().begins().unwrap().as_millis();
        let expected = if name == "sound" { (0, 700) } else { (1300, 0) };
        // What FFmpeg's encoder puts before the sound is a part of it here.
        let found = (begins(plan.video()), begins(plan.audio()));
        assert!(found.0.abs_diff(expected.0) <= 1 && found.1.abs_diff(expected.1) <= 22, "{found:?}");
    }
}

#[test]
fn pictures_at_varying_distances() {
    let arguments = format!(
        r"{PICTURES} {SOUND} -t 6 -vf select=not(mod(n\,7))+gt(mod(n\,11)\,5) -fps_mode vfr {X264} {AAC} a.mp4"
    );
    check("vfr", &arguments, &tracks(Some("avc1.4d400d"), LC));
}

#[test]
fn pictures_that_are_turned_or_not_of_squares() {
    let dir = TempDir::new("turned");
    ffmpeg(&dir, &format!("{PICTURES} -t 3 -vf setsar=4/3 {X264} upright.mp4"));
    for (turned, rotation, shown) in [("90", 270, (180, 427)), ("180", 180, (427, 180)), ("270", 90, (180, 427))] {
        let path = ffmpeg(&dir, &format!("-i DIR/upright.mp4 -c copy -metadata:s:v:0 rotate={turned} turned.mp4"));
        let (file, plan) = compare("turned", &dir, &path, &tracks(Some("avc1.4d400d"), None));
        let video = plan.video().unwrap();
        assert_eq!((video.track().rotation(), video.track().display_size()), (rotation, shown));
        assert_eq!((video.track().size(), video.track().pixel_aspect()), ((320, 180), (4, 3)));
        let ours = dir.path("turned-ours.mp4");
        std::fs::write(&ours, joined(video, &file)).unwrap();
        let side_data = |path: &Path| {
            let entries = ["-show_entries", "stream=sample_aspect_ratio:stream_side_data=rotation"];
            support::run(
                std::process::Command::new("ffprobe").args(["-v", "error", "-of", "csv"]).args(entries).arg(path),
            )
        };
        assert_eq!(side_data(&ours), side_data(&path));
    }
}

#[test]
fn sound_alone_and_pictures_alone() {
    let (_dir, _, plan) = check("sound-alone", &format!("{SOUND} -t 9 {AAC} a.m4a"), &tracks(None, LC));
    assert_eq!(plan.audio().unwrap().segments(), 5);
    check("pictures-alone", &format!("{PICTURES} -t 5 {X264} a.mp4"), &tracks(Some("avc1.4d400d"), None));
    check("mono", &format!("{SOUND} -t 3 -c:a aac -ac 1 -ar 22050 a.mp4"), &tracks(None, LC));
}

#[test]
fn each_codec_of_pictures() {
    let x265 = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=none:keyint=40:bframes=3";
    for tag in ["hvc1", "hev1"] {
        let arguments = format!("{PICTURES} {SOUND} -t 5 {x265} -tag:v {tag} {AAC} a.mp4");
        let (dir, file, plan) = check(tag, &arguments, &tracks(Some("hvc1.1.6.L60.90"), LC));
        // Players of Apple's know the one name only.
        let init = plan.video().unwrap().init_segment();
        assert!(init.windows(4).any(|w| w == b"hvc1") && !init.windows(4).any(|w| w == b"hev1"));
        drop((dir, file));
    }
    let av1 = "-c:v libaom-av1 -cpu-used 8 -usage realtime -g 40 -pix_fmt yuv420p -strict experimental";
    check("av1", &format!("{PICTURES} {SOUND} -t 4 {av1} {AAC} a.mp4"), &tracks(Some("av01.0.00M.08"), LC));
    let vp9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 40 -pix_fmt yuv420p -c:a libopus";
    check("vp9", &format!("{PICTURES} {SOUND} -t 4 {vp9} a.mp4"), &tracks(Some("vp09.00.11.08"), Some("opus")));
}

#[test]
fn each_codec_of_sound() {
    for (name, arguments, codec) in [
        ("opus", "-c:a libopus a.mp4", "opus"),
        ("flac", "-c:a flac -strict experimental a.mp4", "fLaC"),
        ("mp3", "-c:a libmp3lame a.mp4", "mp4a.6B"),
        ("mp3-low", "-c:a libmp3lame -ar 22050 a.mp4", "mp4a.69"),
        ("ac3", "-c:a ac3 a.mp4", "ac-3"),
        ("eac3", "-c:a eac3 a.mp4", "ec-3"),
    ] {
        check(name, &format!("{SOUND} -t 5 {arguments}"), &tracks(None, Some(codec)));
    }
}

#[test]
fn quicktime() {
    let arguments = format!("{PICTURES} {SOUND} -t 5 {X264} {AAC} a.mov");
    let (_dir, _, plan) = check("mov", &arguments, &tracks(Some("avc1.4d400d"), LC));
    // Sound is described as MP4 does it, without QuickTime's further fields.
    let init = plan.audio().unwrap().init_segment();
    assert!(!init.windows(4).any(|w| w == b"wave"));
    let (_dir, _, plan) =
        check("mov-mp3", &format!("{SOUND} -t 5 -c:a libmp3lame a.mov"), &tracks(None, Some("mp4a.6B")));
    assert_eq!(plan.movie().audio().unwrap().channels(), 1);
}

#[test]
fn sound_that_no_browser_plays_is_told_and_does_not_stand_in_the_way() {
    let dir = TempDir::new("pcm");
    let path = ffmpeg(&dir, &format!("{PICTURES} {SOUND} -t 3 {X264} -c:a pcm_s16le a.mov"));
    let plan = plan(&std::fs::read(path).unwrap(), TARGET_DURATION);
    assert_eq!(plan.movie().video().unwrap().playback(), Playback::Everywhere);
    let audio = plan.movie().audio().unwrap();
    assert_eq!((audio.playback(), audio.codec(), audio.samples()), (Playback::Nowhere, "sowt".to_owned(), 144_000));
}

#[test]
fn fragments() {
    for (name, flags) in [
        ("empty", "frag_keyframe+empty_moov"),
        ("base", "frag_keyframe+empty_moov+default_base_moof"),
        ("separate", "frag_keyframe+empty_moov+separate_moof"),
        ("hybrid", "frag_keyframe"),
        ("delayed", "frag_keyframe+delay_moov"),
        ("negative", "frag_keyframe+empty_moov+negative_cts_offsets"),
        ("cmaf", "cmaf+frag_every_frame"),
        ("dash", "dash+global_sidx+frag_keyframe"),
    ] {
        let arguments = format!("{PICTURES} {SOUND} -t 6 {X264} {AAC} -movflags {flags} a.mp4");
        let late = if matches!(name, "negative" | "cmaf") { 1.0 / 30.0 } else { 0.0 };
        let expected = Expected { late, ..tracks(Some("avc1.4d400d"), LC) };
        let (_dir, _, plan) = check(&format!("fragments-{name}"), &arguments, &expected);
        assert!(plan.movie().is_fragmented());
        assert_eq!(plan.video().unwrap().segments(), 3, "{name}");
    }
}

#[test]
fn several_sounds() {
    let arguments = format!(
        "{PICTURES} {SOUND} -f lavfi -i sine=frequency=880:sample_rate=44100 -map 0 -map 1 -map 2 -t 5 {X264} {AAC} \
         -metadata:s:a:0 language=eng -metadata:s:a:1 language=zho -disposition:a:1 0 a.mp4"
    );
    let (dir, file, plan) = check("several", &arguments, &tracks(Some("avc1.4d400d"), LC));
    let names: Vec<_> = plan.tracks().map(|t| (t.name(), t.track().language(), t.track().sample_rate())).collect();
    assert_eq!(names, [("video", None, 0), ("audio", Some("eng"), 48_000), ("audio1", Some("zho"), 44_100)]);
    let ours = dir.path("second.mp4");
    std::fs::write(&ours, joined(plan.track("audio1").unwrap(), &file)).unwrap();
    same_packets("second", &dir.path("a.mp4"), &ours, "a:1", 0);
}

#[test]
fn a_single_keyframe_is_no_single_segment() {
    let arguments = "-f lavfi -i testsrc2=size=64x36:rate=5 -t 130 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 9999 -bf 0 a.mp4";
    let (_dir, _, plan) = check("single", arguments, &tracks(Some("avc1.42c00a"), None));
    let video = plan.video().unwrap();
    assert_eq!((video.segments(), video.is_independent()), (3, false));
}

#[test]
fn a_file_that_is_cut_off_is_played_as_far_as_it_goes() {
    let dir = TempDir::new("cut-off");
    for flags in ["faststart", "frag_keyframe+empty_moov"] {
        let whole = ffmpeg(&dir, &format!("{PICTURES} {SOUND} -t 6 {X264} {AAC} -movflags {flags} whole.mp4"));
        let file = std::fs::read(whole).unwrap();
        let part = &file[..file.len() / 2];
        let plan = plan(part, Duration::from_secs(2));
        assert!(plan.movie().is_truncated());
        let length = plan.movie().duration();
        assert!(length > Duration::from_secs(1) && length < Duration::from_secs(5), "{flags}: {length:?}");
        let ours = dir.path("ours.mp4");
        std::fs::write(&ours, joined(plan.video().unwrap(), part)).unwrap();
        let (given, found) = (frames(&dir.path("whole.mp4"), "v:0"), frames(&ours, "v:0"));
        let same = found.iter().zip(&given).filter(|(f, g)| f.1 == g.1).count();
        // Pictures at the end may lack one that is shown later and decoded before.
        assert!(found.len() > 30 && same + 3 >= found.len(), "{flags}: {same} of {}", found.len());
    }
}

#[test]
fn a_player_of_hls_finds_it_all() {
    use millrace_mp4::{AudioRendition, Multivariant, Subtitles, VideoVariant};
    let arguments = format!("{PICTURES} {SOUND} -t 9 {X264} {AAC} -metadata:s:a:0 language=eng a.mp4");
    let (dir, file, plan) = check("hls", &arguments, &tracks(Some("avc1.4d400d"), LC));
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    for track in plan.tracks() {
        let name = track.name();
        write(&format!("o/{name}.m3u8"), track.media_playlist("").as_bytes());
        write(&format!("o/{name}/init.mp4"), &track.init_segment());
        (0..track.segments()).for_each(|n| write(&format!("o/{name}/{n}.m4s"), &segment(track, n, &file)));
    }
    let (video, audio) = (plan.video().unwrap(), plan.audio().unwrap());
    let mut list = Multivariant {
        video: vec![VideoVariant::of(video, "o/video.m3u8".to_owned())],
        audio: vec![AudioRendition::of(audio, "o/audio.m3u8".to_owned())],
        subtitles: vec![],
    };
    write("index.m3u8", list.render("").as_bytes());
    let found = frames(&dir.path("index.m3u8"), "v:0");
    let given = frames(&dir.path("a.mp4"), "v:0");
    assert_eq!(found.iter().map(|f| &f.1).collect::<Vec<_>>(), given.iter().map(|f| &f.1).collect::<Vec<_>>());
    let (sound, whole) = (packets(&dir.path("index.m3u8"), "a:0"), packets(&dir.path("a.mp4"), "a:0"));
    assert_eq!(sound.len(), whole.len());
    let apart = |sound: &[support::Packet], pictures: &[(f64, String)]| sound[5].seconds - pictures[0].0;
    assert!((apart(&sound, &found) - apart(&whole, &given)).abs() < 1e-4);

    list.subtitles = vec![Subtitles { uri: "s.m3u8".into(), name: "\"English\"".into(), language: "en".into() }];
    let text = list.render("?token=T");
    let Ok(Playlist::MasterPlaylist(read)) = m3u8_rs::parse_playlist_res(text.as_bytes()) else { panic!("{text}") };
    let variant = &read.variants[0];
    assert_eq!(variant.uri, "o/video.m3u8?token=T");
    assert_eq!(variant.codecs.as_deref(), Some("avc1.4d400d,mp4a.40.2"));
    assert_eq!(variant.bandwidth, video.bit_rate().peak + audio.bit_rate().peak);
    assert_eq!(variant.resolution.map(|r| (r.width, r.height)), Some((320, 180)));
    assert_eq!(variant.frame_rate, Some(30.0));
    assert_eq!((variant.audio.as_deref(), variant.subtitles.as_deref()), (Some("audio"), Some("subtitles")));
    let media: Vec<_> =
        read.alternatives.iter().map(|m| (m.uri.as_deref(), m.name.as_str(), m.language.as_deref())).collect();
    assert_eq!(
        media,
        [(Some("o/audio.m3u8?token=T"), "audio", Some("eng")), (Some("s.m3u8?token=T"), "'English'", Some("en")),]
    );
}
