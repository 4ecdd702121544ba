//! Other programs than FFmpeg.

use millrace_e2e::{
    Clip, Program, Server, Temporary,
    flv::{Kind, read_file},
    frames::{Frames, Reading, Sound, assert_consecutive, assert_order},
    process::{ffmpeg, installed},
};

/// Starts a GStreamer pipeline, which ends in good order on SIGINT.
fn gstreamer(pipeline: &str) -> Program {
    Program::start("gst-launch-1.0", ["-q", "-e"].into_iter().chain(pipeline.split_whitespace()))
}

#[test]
fn gstreamer_publishes() {
    if !installed("gst-launch-1.0") {
        return;
    }
    let server = Server::start(&[]);
    let publisher = gstreamer(&format!(
        "flvmux name=mux streamable=true ! rtmp2sink location={} \
         videotestsrc num-buffers=200 is-live=true pattern=ball ! video/x-raw,width=320,height=180,framerate=25/1 \
         ! x264enc key-int-max=25 bframes=2 tune=zerolatency speed-preset=ultrafast ! h264parse ! mux. \
         audiotestsrc num-buffers=345 is-live=true wave=ticks ! audio/x-raw,rate=44100,channels=2 \
         ! avenc_aac ! aacparse ! mux.",
        server.publish_url()
    ));
    let stream =
        server.wait_for_stream("movie", "with both tracks", |s| s["state"] == "live" && s["audio"].is_object());
    assert_eq!((&stream["video"]["width"], &stream["audio"]["sample_rate"]), (&320.into(), &44100.into()));
    let readings = [server.rtmp_url(), server.http_url("/live/movie.flv")].map(|url| Reading::start(&url, Sound::Aac));
    publisher.wait().success();
    server.wait_off_air("movie");
    for reading in readings {
        let frames = reading.finish();
        assert_order(&frames.video);
        assert_order(&frames.audio);
        assert!(frames.video.len() > 50 && frames.audio.len() > 80, "{} {}", frames.video.len(), frames.audio.len());
        let (video, audio) = (frames.video.last().unwrap(), frames.audio.last().unwrap());
        assert!((video.pts - audio.pts).abs() < 300.0, "both end together: {video:?} {audio:?}");
    }
    assert_eq!(server.logged("stream ended")[0]["reason"], "the publisher finished");
}

#[test]
fn gstreamer_plays() {
    if !installed("gst-launch-1.0") {
        return;
    }
    let server = Server::start(&[]);
    let clip = Clip::standard();
    let file = Temporary::new("gstreamer.flv");
    // It comes first, and waits.
    let player = gstreamer(&format!("rtmp2src location={} ! filesink location={}", server.rtmp_url(), file.as_str()));
    server.publish(&clip).wait().silent();
    let ended = player.wait();
    assert!(ended.status.success(), "{:#?}", ended.stderr);
    // It drops its last message where the stream's end comes right behind.
    compare(&clip, &file, 1);
}

#[test]
fn rtmpdump_plays() {
    if !installed("rtmpdump") {
        return;
    }
    let server = Server::start(&[]);
    let clip = Clip::standard();
    let publisher = server.publish(&clip);
    server.wait_on_air();
    let file = Temporary::new("rtmpdump.flv");
    let player = Program::start("rtmpdump", ["--live", "-r", &server.rtmp_url(), "-o", file.as_str()]);
    publisher.wait().silent();
    let ended = player.wait();
    assert!(ended.stderr.iter().all(|line| !line.contains("ERROR")), "{:#?}", ended.stderr);
    compare(&clip, &file, 0);
}

/// Panics unless the file has all of the clip from some keyframe on, but for so many frames at the end.
#[track_caller]
fn compare(clip: &Clip, file: &Temporary, lost: usize) {
    let (source, got) = (clip.frames(), Frames::of(file.as_str(), clip.sound));
    for (source, got) in [(&source.video, &got.video), (&source.audio, &got.audio)] {
        assert_order(got);
        let (first, _) = assert_consecutive(source, got);
        assert!(first + got.len() + lost >= source.len(), "{} of {}", first + got.len(), source.len());
    }
    assert!(read_file(file.path()).iter().any(|tag| tag.kind == Kind::Script), "metadata");
}

#[test]
fn ffmpeg_plays_hls_while_it_goes_on() {
    let server = Server::start(&["hls.segment=1s"]);
    let publisher = server.publish(&Clip::standard());
    server.wait_on_air();
    let url = server.http_url("/live/movie.m3u8");
    let player =
        Program::start(&ffmpeg(), ["-v", "warning", "-nostats", "-nostdin", "-i", &url, "-f", "framehash", "-"]);
    publisher.wait().silent();
    // FFmpeg 5 reads what a decoder needs first again with each playlist, and says so.
    let ended = player.wait().but_for(&["duplicated MOOV", "Last message repeated"]).silent();
    let pictures = ended.stdout.iter().filter(|line| line.starts_with("0,")).count();
    assert!(pictures > 75, "{pictures}");
}
