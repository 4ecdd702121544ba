use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use millrace_transcode::{
    AudioCodec, AudioSettings, Keyframes, LadderConfig, Progress, Ratio, Rung, Transcode, VideoCodec, ladder,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, PLAIN, aac, assert_times, ffmpeg, judge, probe, rung, transcode, video};

fn at(times: &[f64]) -> Keyframes {
    Keyframes::At(times.iter().map(|t| Duration::from_secs_f64(*t)).collect())
}

/// The same pictures, to be turned a quarter clockwise.
pub(crate) fn rotated(bench: &Bench, source: &Path) -> PathBuf {
    let path = bench.path("rotated.mp4");
    let source = source.to_str().unwrap();
    let run = |before: &[&str], after: &[&str]| {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostdin", "-v", "error", "-y"]).args(before).args(["-i", source, "-c", "copy"]).args(after);
        ffmpeg.arg(&path).output().unwrap().status.success()
    };
    // FFmpeg 6 has an option; before, there is a tag.
    let made = run(&["-display_rotation:v:0", "-90"], &[]) || run(&[], &["-metadata:s:v:0", "rotate=90"]);
    assert!(made);
    path
}

#[tokio::test]
async fn a_rendition_is_what_was_asked_for() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let tagged = "-metadata title=mine -metadata location=+48.2+016.3/ -metadata:s:a:0 language=chi";
    let input = bench.make("a.mp4", &format!("{PLAIN} {tagged}"));
    let output = bench.path("out.mp4");
    let (progress, seen) = watch::channel(Progress::default());
    let probe = probe(&ffmpeg, &input).await;
    let (rung, keyframes) = (rung(160, 90), at(&[0.0, 1.0, 2.0]));
    let spec = Transcode { input: &input, probe: &probe, rung: &rung, keyframes: &keyframes, output: &output };
    let made = ffmpeg.transcode(&spec, &progress, &CancellationToken::new()).await.unwrap();
    assert_eq!(made.size, output.metadata().unwrap().len());
    assert_eq!(made.notes, Vec::<String>::new());
    assert!(seen.borrow().fraction > 0.95, "{:?}", seen.borrow());

    let (source, judged) = (judge(&input), judge(&output));
    assert_eq!(judged.kinds(), ["video", "audio"]);
    assert_eq!(judged.size(), (160, 90));
    assert_eq!((judged.text("video", "codec_name"), judged.text("video", "profile")), ("h264", "High"));
    assert_eq!((judged.text("video", "pix_fmt"), judged.text("audio", "codec_name")), ("yuv420p", "aac"));
    assert_eq!((judged.number("audio", "channels"), judged.number("audio", "sample_rate")), (2.0, 44_100.0));
    assert_times(&judged.keyframes(), &source.keyframes());
    assert_times(&judged.times(), &source.times());
    assert!((judged.duration() - source.duration()).abs() < 1.0 / 30.0);
    let tags = judged.tags();
    assert!(!tags.contains("mine") && !tags.contains("48.2") && tags.contains("chi"), "{tags}");
    // The index stands before the media.
    let bytes = std::fs::read(&output).unwrap();
    let place = |kind: &[u8]| bytes.windows(4).position(|w| w == kind).unwrap();
    assert!(place(b"moov") < place(b"mdat"));
    assert_eq!(bench.names(), ["a.mp4", "out.mp4"]);
}

/// Boundaries of the source, at odd places and far apart: in each codec keyframes are there and nowhere else.
#[tokio::test]
async fn keyframes_stand_where_the_sources_do_in_every_codec() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let odd = "-force_key_frames 0.3,0.7,1.6,1.9 -g 300 -sc_threshold 0";
    let input = bench.make("a.mp4", &PLAIN.replace("-g 30 ", &format!("{odd} ")));
    let source = judge(&input);
    assert_eq!(source.keyframes().len(), 5);
    for codec in VideoCodec::ALL {
        let rung = Rung { name: "90".to_owned(), video: Some(video(codec, 160, 90)), audio: Some(aac()) };
        if !ffmpeg.encodes_video(codec) {
            continue;
        }
        let output = bench.path("out.mp4");
        transcode(&ffmpeg, &input, &rung, at(&source.keyframes()), &output).await.unwrap();
        let judged = judge(&output);
        assert_eq!(judged.size(), (160, 90), "{codec}");
        assert_times(&judged.keyframes(), &source.keyframes());
        assert_times(&judged.times(), &source.times());
    }
}

#[tokio::test]
async fn keyframes_come_regularly_where_no_times_are_given() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let input = bench.make("a.mp4", &PLAIN.replace("-g 30", "-g 7"));
    let output = bench.path("out.mp4");
    transcode(&ffmpeg, &input, &rung(160, 90), Keyframes::Every(Duration::from_millis(1500)), &output).await.unwrap();
    assert_times(&judge(&output).keyframes(), &[0.0, 1.5]);
}

#[tokio::test]
async fn more_keyframes_than_a_command_line_holds_are_the_sources() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let input = bench.make("a.mp4", PLAIN);
    let output = bench.path("out.mp4");
    let many: Vec<_> = (0..20_000).map(f64::from).collect();
    transcode(&ffmpeg, &input, &rung(160, 90), at(&many), &output).await.unwrap();
    assert_times(&judge(&output).keyframes(), &judge(&input).keyframes());
}

/// Frames at uneven distances, at a rate that no decimal says, and in a container that counts in milliseconds.
#[tokio::test]
async fn each_frame_keeps_its_time() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let encode = "-c:v libx264 -preset ultrafast -bf 2 -g 12 -pix_fmt yuv420p";
    let uneven = format!(
        "-f lavfi -i testsrc2=s=160x90:r=30:d=3 -vf select='not(eq(mod(n,7),3))*not(between(n,40,55))' -vsync vfr {encode}"
    );
    let ntsc = format!("-f lavfi -i testsrc2=s=160x90:r=60000/1001:d=1 {encode}");
    for (name, words) in [("a.mp4", &uneven), ("b.mp4", &ntsc), ("c.mkv", &ntsc)] {
        let input = bench.make(name, words);
        let source = judge(&input);
        let output = bench.path("out.mp4");
        transcode(&ffmpeg, &input, &rung(80, 44), at(&source.keyframes()), &output).await.unwrap();
        let judged = judge(&output);
        assert_times(&judged.times(), &source.times());
        assert_times(&judged.keyframes(), &source.keyframes());
    }
}

#[tokio::test]
async fn tracks_keep_their_distance_and_the_time_line_its_beginning() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let codecs = "-c:v libx264 -preset ultrafast -g 30 -pix_fmt yuv420p -c:a aac";
    let (pictures, sound) = ("-f lavfi -i testsrc2=s=160x90:r=30:d=2", "-f lavfi -i sine=d=2");
    let cases = [
        ("late pictures", format!("-itsoffset 0.5 {pictures} {sound} {codecs}")),
        ("late sound", format!("{pictures} -itsoffset 0.5 {sound} {codecs}")),
        ("both late", format!("{pictures} {sound} {codecs} -output_ts_offset 0.7")),
    ];
    for (name, words) in cases {
        let input = bench.make("a.mp4", &words);
        let source = judge(&input);
        let output = bench.path("out.mp4");
        transcode(&ffmpeg, &input, &rung(80, 44), at(&source.keyframes()), &output).await.unwrap();
        let judged = judge(&output);
        for kind in ["video", "audio"] {
            let (a, b) = (source.number(kind, "start_time"), judged.number(kind, "start_time"));
            assert!((a - b).abs() < 0.025, "{name}: {kind} began at {a}, begins at {b}");
        }
        assert_times(&judged.keyframes(), &source.keyframes());
    }
}

#[tokio::test]
async fn another_container_begins_at_zero() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    // A transport stream's clock begins somewhere.
    let input = bench.make("a.ts", &format!("{PLAIN} -output_ts_offset 100"));
    let output = bench.path("out.mp4");
    transcode(&ffmpeg, &input, &rung(160, 90), at(&[0.0, 1.0, 2.0]), &output).await.unwrap();
    let judged = judge(&output);
    assert!(judged.number("audio", "start_time").min(judged.number("video", "start_time")).abs() < 0.05);
    assert_eq!(judged.times().len(), 90);
    assert_eq!(judged.keyframes().len(), 3);
}

#[tokio::test]
async fn a_turned_video_is_turned() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let input = rotated(&bench, &bench.make("a.mp4", PLAIN));
    let found = probe(&ffmpeg, &input).await;
    assert_eq!(found.video().unwrap().1.display(), (180, 320));
    let config = LadderConfig { heights: vec![90], ..LadderConfig::default() };
    let rung = ladder(&found, &config).remove(0);
    let output = bench.path("out.mp4");
    transcode(&ffmpeg, &input, &rung, at(&[0.0]), &output).await.unwrap();
    let judged = judge(&output);
    assert_eq!(judged.size(), (90, 160));
    assert!(!judged.has_rotation());
}

#[tokio::test]
async fn sources_of_many_shapes_become_renditions() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let pictures = |size: &str| format!("-f lavfi -i testsrc2=s={size}:r=25:d=0.6,format=yuv420p");
    let sound = "-f lavfi -i sine=d=0.6";
    let hevc = "-c:v libx265 -preset ultrafast -x265-params log-level=error";
    let x264 = "-c:v libx264 -preset ultrafast";
    let mut cases = vec![
        ("hevc.mp4", format!("{} {hevc}", pictures("160x90")), (80, 44)),
        (
            "vp9.webm",
            format!("{} {sound} -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus", pictures("160x90")),
            (80, 44),
        ),
        ("fragmented.mp4", format!("{} {x264} -movflags frag_keyframe+empty_moov", pictures("160x90")), (80, 44)),
        ("tall.mp4", format!("{} {x264}", pictures("90x160")), (44, 80)),
        ("four_k.mp4", format!("-f lavfi -i testsrc2=s=3840x2160:r=25:d=0.2,format=yuv420p {x264}"), (640, 360)),
        ("odd.mkv", "-f lavfi -i testsrc2=s=161x91:r=25:d=0.6 -c:v ffv1".to_owned(), (160, 90)),
        ("old.avi", format!("{} {sound} -c:v mpeg4 -c:a mp3", pictures("160x90")), (80, 44)),
        ("surround.mkv", format!("{} {sound} {x264} -ac 6 -c:a ac3", pictures("160x90")), (80, 44)),
    ];
    if ffmpeg.encodes_video(VideoCodec::Av1) {
        cases.push(("av1.mp4", format!("{} -c:v libsvtav1 -preset 12", pictures("160x90")), (80, 44)));
    }
    for (name, words, (width, height)) in cases {
        let input = bench.make(name, &words);
        let source = judge(&input);
        let output = bench.path("out.mp4");
        let made = transcode(&ffmpeg, &input, &rung(width, height), at(&[0.0]), &output).await.unwrap();
        let judged = judge(&output);
        assert_eq!(judged.size(), (width, height), "{name}");
        assert_eq!(judged.times().len(), source.times().len(), "{name}");
        assert_eq!(judged.kinds().len(), source.kinds().len(), "{name}");
        assert!((judged.duration() - source.duration()).abs() < 0.05, "{name}: {}", judged.duration());
        assert!(made.notes.is_empty(), "{name}: {made:?}");
    }
}

#[tokio::test]
async fn too_many_frames_become_fewer() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let input = bench.make("a.mp4", "-f lavfi -i testsrc2=s=160x90:r=120:d=1 -c:v libx264 -preset ultrafast");
    let mut rung = rung(80, 44);
    rung.video.as_mut().unwrap().frame_rate = Ratio::new(60, 1);
    let output = bench.path("out.mp4");
    transcode(&ffmpeg, &input, &rung, at(&[0.0, 0.5]), &output).await.unwrap();
    let judged = judge(&output);
    assert_eq!((judged.times().len(), judged.text("video", "avg_frame_rate")), (60, "60/1"));
    assert_times(&judged.keyframes(), &[0.0, 0.5]);
}

#[tokio::test]
async fn hdr_becomes_sdr() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let pictures = "-f lavfi -i testsrc2=s=160x90:d=0.4 -c:v libx264 -preset ultrafast -pix_fmt yuv420p10le";
    for light in [
        "-color_trc smpte2084 -color_primaries bt2020 -colorspace bt2020nc",
        "-color_trc arib-std-b67 -color_primaries bt2020 -colorspace bt2020nc",
        "-color_trc smpte2084",
    ] {
        let input = bench.make("a.mp4", &format!("{pictures} {light}"));
        let output = bench.path("out.mp4");
        let made = transcode(&ffmpeg, &input, &rung(80, 44), at(&[0.0]), &output).await.unwrap();
        let judged = judge(&output);
        assert_eq!(judged.text("video", "pix_fmt"), "yuv420p");
        let lacks = ffmpeg.lacking(&LadderConfig::default()).iter().any(|words| words.contains("HDR"));
        assert_eq!(lacks, made.notes.iter().any(|note| note.contains("HDR")), "what is not done is told");
        if !lacks {
            assert_eq!(judged.text("video", "color_transfer"), "bt709");
        }
    }
}

#[tokio::test]
async fn combs_are_removed() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let words = "-f lavfi -i testsrc2=s=160x96:r=50:d=0.6,tinterlace=interleave_top -c:v libx264 -preset ultrafast \
                 -flags +ildct+ilme -x264-params tff=1 -pix_fmt yuv420p";
    let input = bench.make("a.mp4", words);
    let output = bench.path("out.mp4");
    transcode(&ffmpeg, &input, &rung(160, 96), at(&[0.0]), &output).await.unwrap();
    let judged = judge(&output);
    assert_eq!(judged.times().len(), 15);
    assert_ne!(judge(&input).text("video", "field_order"), "progressive");
    assert_eq!(judged.text("video", "field_order"), "progressive");
}

#[tokio::test]
async fn sound_alone_and_pictures_alone_are_renditions() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let input = bench.make("a.wav", "-f lavfi -i sine=d=1 -ar 96000");
    let found = probe(&ffmpeg, &input).await;
    let rungs = ladder(&found, &LadderConfig::default());
    let output = bench.path("out.mp4");
    transcode(&ffmpeg, &input, &rungs[0], at(&[]), &output).await.unwrap();
    let judged = judge(&output);
    assert_eq!((judged.kinds(), judged.number("audio", "sample_rate")), (vec!["audio"], 48_000.0));
    assert!((judged.duration() - 1.0).abs() < 0.05);

    let input = bench.make("b.mp4", PLAIN);
    let opus = AudioSettings { codec: AudioCodec::Opus, bit_rate: 64_000, channels: 1 };
    let silent = Rung { audio: None, ..rung(160, 90) };
    let heard = Rung { audio: Some(opus), ..rung(160, 90) };
    transcode(&ffmpeg, &input, &silent, at(&[0.0]), &output).await.unwrap();
    assert_eq!(judge(&output).kinds(), ["video"]);
    transcode(&ffmpeg, &input, &heard, at(&[0.0]), &output).await.unwrap();
    assert_eq!(judge(&output).text("audio", "codec_name"), "opus");
}
