use std::path::Path;

use millrace_transcode::{AudioHandling, Ffmpeg, Made, Remux, Verdict, verdict};
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, Judged, PLAIN, assert_times, ffmpeg, judge, probe, send, unheard};

/// As its verdict says.
async fn remux(ffmpeg: &Ffmpeg, input: &Path, output: &Path) -> (AudioHandling, Made, Judged) {
    let probe = probe(ffmpeg, input).await;
    let Verdict::Remux { audio, .. } = verdict(&probe) else { panic!("{:?}", verdict(&probe)) };
    let spec = Remux { input, probe: &probe, audio, output };
    let made = send(ffmpeg.remux(&spec, &unheard(), &CancellationToken::new())).await.unwrap();
    assert_eq!(made.notes, Vec::<String>::new());
    (audio, made, judge(output))
}

#[tokio::test]
async fn what_browsers_decode_is_copied_from_any_container() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let source = bench.make("a.mp4", PLAIN);
    let wanted = judge(&source);
    for name in ["a.mkv", "a.ts", "a.flv"] {
        let input = bench.make(name, &format!("-i {} -c copy", source.display()));
        let (audio, _, judged) = remux(&ffmpeg, &input, &bench.path("out.mp4")).await;
        assert_eq!(audio, AudioHandling::Copy);
        assert_eq!((judged.text("video", "codec_name"), judged.text("audio", "codec_name")), ("h264", "aac"));
        assert_eq!(judged.times().len(), wanted.times().len(), "{name}");
        assert_eq!(judged.keyframes().len(), 3, "{name}");
        assert!((judged.duration() - 3.0).abs() < 0.1, "{name}: {}", judged.duration());
    }
}

#[tokio::test]
async fn webm_becomes_mp4() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let words = "-f lavfi -i testsrc2=s=160x90:d=1 -f lavfi -i sine=d=1 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus";
    let input = bench.make("a.webm", words);
    let (_, _, judged) = remux(&ffmpeg, &input, &bench.path("out.mp4")).await;
    assert_eq!((judged.text("video", "codec_name"), judged.text("audio", "codec_name")), ("vp9", "opus"));
    assert_eq!(judged.times().len(), 25);
}

#[tokio::test]
async fn hevc_has_the_tag_that_apples_players_know() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let words = "-f lavfi -i testsrc2=s=160x90:d=0.4 -c:v libx265 -preset ultrafast -x265-params log-level=error -pix_fmt yuv420p";
    let input = bench.make("a.mkv", words);
    let (_, _, judged) = remux(&ffmpeg, &input, &bench.path("out.mp4")).await;
    assert_eq!(judged.text("video", "codec_tag_string"), "hvc1");
    assert_eq!(judged.kinds(), ["video"]);
}

#[tokio::test]
async fn sound_that_browsers_do_not_decode_is_coded_anew_beside_the_same_pictures() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let input = bench.make("a.mkv", &PLAIN.replace("-c:a aac", "-ac 6 -c:a ac3"));
    let (audio, _, judged) = remux(&ffmpeg, &input, &bench.path("out.mp4")).await;
    assert_eq!(audio, AudioHandling::Encode);
    assert_eq!((judged.text("audio", "codec_name"), judged.number("audio", "channels")), ("aac", 2.0));
    assert_times(&judged.times(), &judge(&input).times());
    // QuickTime of cameras: the container is right, the sound is not.
    let input = bench.make("b.mov", &PLAIN.replace("-c:a aac", "-c:a pcm_s16le"));
    let (audio, ..) = remux(&ffmpeg, &input, &bench.path("out.mp4")).await;
    assert_eq!(audio, AudioHandling::Encode);
}

#[tokio::test]
async fn sound_alone_is_copied() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    for (name, codec) in [("a.flac", "flac"), ("a.aac", "aac")] {
        let input = bench.make(name, "-f lavfi -i sine=d=1 -ac 2");
        let (_, _, judged) = remux(&ffmpeg, &input, &bench.path("out.mp4")).await;
        assert_eq!((judged.kinds(), judged.text("audio", "codec_name")), (vec!["audio"], codec));
        assert!((judged.duration() - 1.0).abs() < 0.1, "{name}: {}", judged.duration());
    }
}
