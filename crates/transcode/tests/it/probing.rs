use std::time::Duration;

use millrace_transcode::{Container, Kind, Ratio, Transfer, Verdict, verdict};

use crate::support::{Bench, PLAIN, ffmpeg, probe};

#[tokio::test]
async fn a_plain_mp4_is_told_whole() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let path = bench.make("a.mp4", &format!("{PLAIN} -metadata:s:a:0 language=chi"));
    let probe = probe(&ffmpeg, &path).await;
    assert_eq!(probe.container, Container::Mp4);
    assert_eq!(probe.size, path.metadata().unwrap().len());
    assert!(probe.duration.abs_diff(Duration::from_secs(3)) < Duration::from_millis(50));
    assert!(probe.bit_rate > 0 && probe.video_bit_rate() > 0);
    let (track, video) = probe.video().unwrap();
    assert_eq!((track.codec.as_str(), video.width, video.height), ("h264", 320, 180));
    assert_eq!(video.frame_rate, Ratio::new(30, 1));
    assert_eq!((video.pixel_format.as_deref(), video.bit_depth), (Some("yuv420p"), 8));
    assert_eq!((video.transfer, video.interlaced, video.quarter_turns), (Transfer::Sdr, false, 0));
    let (track, audio) = probe.audio().unwrap();
    assert_eq!((track.codec.as_str(), track.codecs.as_deref()), ("aac", Some("mp4a.40.2")));
    assert_eq!((audio.channels, audio.sample_rate), (1, 44_100));
    assert_eq!(track.language.as_deref(), Some("chi"));
    assert!(matches!(verdict(&probe), Verdict::PlayOriginal { everywhere: true, .. }));
}

#[tokio::test]
async fn containers_are_told_by_content_not_by_name() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let source = bench.make("a.mp4", PLAIN);
    for (format, container) in [
        ("matroska", Container::Matroska),
        ("mpegts", Container::MpegTs),
        ("flv", Container::Flv),
        ("avi", Container::Avi),
        ("asf", Container::Asf),
        ("mov", Container::Mp4),
    ] {
        let path = bench.make("x.txt", &format!("-i {} -c copy -f {format}", source.display()));
        let probe = probe(&ffmpeg, &path).await;
        assert_eq!(probe.container, container);
        assert!(probe.video().is_some() && probe.audio().is_some(), "{format}");
        assert!(probe.duration.abs_diff(Duration::from_secs(3)) < Duration::from_millis(200), "{format}: {probe:?}");
    }
}

#[tokio::test]
async fn a_recording_without_a_duration_is_measured() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let live = "-f lavfi -i testsrc2=s=64x36:d=2 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -live 1 -f webm";
    let path = bench.make("a.webm", live);
    let probe = probe(&ffmpeg, &path).await;
    assert!(probe.duration.abs_diff(Duration::from_secs(2)) < Duration::from_millis(100), "{:?}", probe.duration);
}

#[tokio::test]
async fn pixels_that_are_not_square_fields_and_light_are_told() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let wide = "-f lavfi -i testsrc2=s=180x144:d=0.2,setsar=64/45 -c:v libx264 -preset ultrafast -flags +ildct+ilme \
                -x264-params tff=1";
    let probe_ = probe(&ffmpeg, &bench.make("wide.mp4", wide)).await;
    let (_, video) = probe_.video().unwrap();
    assert_eq!((video.display(), video.interlaced), ((256, 144), true));

    let hdr = "-f lavfi -i testsrc2=s=64x36:d=0.2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p10le \
               -color_trc smpte2084 -color_primaries bt2020 -colorspace bt2020nc";
    let probe_ = probe(&ffmpeg, &bench.make("hdr.mp4", hdr)).await;
    let (_, video) = probe_.video().unwrap();
    assert_eq!((video.transfer, video.bit_depth), (Transfer::Pq, 10));
    assert!(matches!(verdict(&probe_), Verdict::TranscodeOnly { .. }));
}

#[tokio::test]
async fn a_cover_is_no_video() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let cover = bench.make("cover.jpg", "-f lavfi -i testsrc2=s=64x64:d=0.04 -frames:v 1");
    let words =
        format!("-f lavfi -i sine=d=1 -i {} -map 0 -map 1 -c:v copy -disposition:v attached_pic", cover.display());
    for name in ["a.mp3", "a.m4a"] {
        let probe = probe(&ffmpeg, &bench.make(name, &words)).await;
        assert!(probe.video().is_none());
        assert_eq!(probe.cover().map(|track| &track.kind), Some(&Kind::Cover));
        assert!(probe.audio().is_some());
    }
}
