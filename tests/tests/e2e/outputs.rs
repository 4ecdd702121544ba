//! What FFmpeg publishes comes out of every output: each frame once, in order, in time.

use std::{fs, io::Read, thread, time::Duration};

use millrace_e2e::{
    Clip, Program, Server,
    clip::{Recipe, Temporary},
    flv::{FlvReader, Kind, Tag, read_file},
    frames::{Frame, Frames, Reading, Sound, assert_consecutive, assert_order, probe},
    hls, http,
    process::ffmpeg,
    rtmp, server,
    websocket::WebSocket,
};
use millrace_media::MAX_APART;

/// The most by which frames of either track may be away from where they were in the source, relative
/// to all others. Viewers notice 50; what is done by counting needs a rounding or two.
const AV_OFFSET_MS: f64 = 5.0;

/// Has FFmpeg publish a clip in real time, takes it by every output, and compares.
#[track_caller]
fn comes_out_everywhere(clip: &Clip) -> Published {
    comes_out_everywhere_from(clip, |server| server.publish(clip).wait().silent())
}

/// The same, published in another way, of which this is a thread.
#[track_caller]
fn comes_out_everywhere_from<T: Send>(clip: &Clip, publish: impl FnOnce(&Server) -> T + Send) -> Published {
    // So many segments that none leaves before the end.
    let server = Server::start(&["hls.segment=1s", "hls.window=60"]);
    let published = take_everywhere(&server, clip.sound, || _ = publish(&server));
    let source = clip.frames();
    assert!(source.video.len() + source.audio.len() > 100);
    for (output, got) in &published.outputs {
        eprintln!("{output}");
        compare(&source, got);
    }
    published
}

struct Published {
    /// What FFmpeg reads from each output.
    outputs: Vec<(&'static str, Frames)>,
    /// Tags as they came over HTTP.
    tags: Vec<Tag>,
    /// The flags of the FLV header.
    flags: (bool, bool),
    /// Streams by ffprobe: of what came as FLV, and of HLS.
    flv: Vec<serde_json::Value>,
    hls: Vec<serde_json::Value>,
    /// `CODECS` of the multivariant playlist.
    codecs: String,
}

fn take_everywhere(server: &Server, sound: Sound, publish: impl FnOnce() + Send) -> Published {
    thread::scope(|scope| {
        let publisher = scope.spawn(publish);
        take_while(server, sound, publisher)
    })
}

fn take_while(server: &Server, sound: Sound, publisher: thread::ScopedJoinHandle<'_, ()>) -> Published {
    server.wait_on_air();
    let (http, playlist) = (server.http, "/live/movie/ts.m3u8");
    let multivariant = hls::multivariant(http, "/live/movie.m3u8");
    let rtmp = Reading::start(&server.rtmp_url(), sound);
    let http_flv = Reading::start(&server.http_url("/live/movie.flv"), sound);
    let plain = thread::spawn(move || {
        let (head, mut body) = http::open(http, "/live/movie.flv");
        assert_eq!((head.status, head.header("content-type")), (200, Some("video/x-flv")));
        save(&mut body, "http.flv")
    });
    let websocket = thread::spawn(move || {
        let mut websocket = WebSocket::open(http, "/live/movie.flv");
        let path = save(&mut websocket, "ws.flv");
        assert_eq!(websocket.closed, Some(1000), "a normal end");
        path
    });
    hls::media(http, playlist);
    publisher.join().unwrap();

    let (plain, websocket) = (plain.join().unwrap(), websocket.join().unwrap());
    let segments = hls::save(http, playlist);
    let hls_url = server.http_url(playlist);
    for input in [plain.as_str(), segments.as_str(), &hls_url] {
        Program::start(&ffmpeg(), ["-v", "warning", "-nostats", "-i", input, "-f", "null", "-"]).wait().silent();
    }
    Published {
        outputs: vec![
            ("RTMP", rtmp.finish()),
            ("HTTP-FLV by FFmpeg", http_flv.finish()),
            ("HTTP-FLV", Frames::of(plain.as_str(), sound)),
            ("WS-FLV", Frames::of(websocket.as_str(), sound)),
            ("HLS", Frames::of(segments.as_str(), sound)),
        ],
        tags: read_file(plain.path()),
        flags: FlvReader::new(fs::File::open(plain.path()).unwrap()).flags,
        flv: probe(plain.as_str()),
        hls: probe(&hls_url),
        codecs: multivariant.variants[0].codecs.clone().unwrap(),
    }
}

fn save(source: &mut impl Read, name: &str) -> Temporary {
    let file = Temporary::new(name);
    std::io::copy(source, &mut fs::File::create(file.path()).unwrap()).unwrap();
    file
}

/// Panics unless all frames of the source from some keyframe on are there, with their times.
#[track_caller]
fn compare(source: &Frames, got: &Frames) {
    let mut shifts = Vec::new();
    for (source, got) in [(&source.video, &got.video), (&source.audio, &got.audio)] {
        if source.is_empty() {
            assert!(got.is_empty());
            continue;
        }
        assert_order(got);
        let (first, track) = assert_consecutive(source, got);
        assert_eq!(first + got.len(), source.len(), "the end is missing");
        assert!(span(got) > 2000.0, "{} ms from frame {first} on are too little to judge", span(got));
        let (least, most) = extremes(&track);
        eprintln!("  from frame {first} on, {least:.3} to {most:.3} ms later");
        shifts.extend(track);
    }
    let (least, most) = extremes(&shifts);
    assert!(most - least <= AV_OFFSET_MS, "times are shifted by {least} to {most} ms");
}

fn extremes(numbers: &[f64]) -> (f64, f64) {
    (numbers.iter().copied().fold(f64::INFINITY, f64::min), numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// From the first frame to the last, milliseconds.
fn span(frames: &[Frame]) -> f64 {
    frames[frames.len() - 1].dts - frames[0].dts
}

#[track_caller]
fn assert_streams(streams: &[serde_json::Value], expected: &[(&str, &str)]) {
    let mut found: Vec<_> =
        streams.iter().map(|s| (s["codec_type"].as_str().unwrap(), s["codec_name"].as_str().unwrap())).collect();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn h264_with_b_frames_and_aac() {
    let clip = Clip::standard();
    let source = clip.frames();
    let reordered = source.video.windows(2).filter(|pair| pair[0].pts > pair[1].pts).count();
    assert!(reordered > 50, "the source has B-frames");

    let published = comes_out_everywhere(&clip);
    assert_eq!(published.flags, (true, true));
    assert_streams(&published.flv, &[("audio", "aac"), ("video", "h264")]);
    assert_streams(&published.hls, &[("audio", "aac"), ("video", "h264")]);
    assert_eq!(published.codecs, "avc1.64000c,mp4a.40.2");
    let video = published.flv.iter().find(|s| s["codec_type"] == "video").unwrap();
    assert_eq!((&video["width"], &video["height"]), (&320.into(), &180.into()));
    assert_eq!((&video["r_frame_rate"], &video["has_b_frames"]), (&"25/1".into(), &2.into()));

    let kinds: Vec<_> = published.tags.iter().take(4).map(|tag| (tag.kind, tag.is_sequence_header())).collect();
    let expected = [(Kind::Script, false), (Kind::Video, true), (Kind::Audio, true)];
    assert_eq!(kinds[..3], expected, "metadata, then the decoders' configuration");
    assert!(published.tags[3].is_keyframe());
    assert_eq!(published.tags.iter().filter(|tag| !tag.is_frame()).count(), 3, "and that once");
}

#[test]
fn mp3() {
    let published = comes_out_everywhere(&Recipe::new(6).mp3().b_frames(0).make());
    assert_streams(&published.flv, &[("audio", "mp3"), ("video", "h264")]);
    assert_streams(&published.hls, &[("audio", "mp3"), ("video", "h264")]);
    assert_eq!(published.codecs, "avc1.64000c,mp4a.40.34");
}

#[test]
fn sound_without_pictures() {
    let published = comes_out_everywhere(&Recipe::new(6).without_video().make());
    assert_eq!(published.flags, (true, false));
    assert_streams(&published.flv, &[("audio", "aac")]);
    assert_streams(&published.hls, &[("audio", "aac")]);
    assert_eq!(published.codecs, "mp4a.40.2");
}

#[test]
fn pictures_without_sound() {
    let published = comes_out_everywhere(&Recipe::new(6).without_audio().make());
    assert_eq!(published.flags, (false, true));
    assert_streams(&published.flv, &[("video", "h264")]);
    assert_streams(&published.hls, &[("video", "h264")]);
    assert_eq!(published.codecs, "avc1.64000c");
}

/// No encoder for HE-AAC comes with Debian. Its outer form is what a server sees: an AAC-LC stream of
/// half the sample rate, whose configuration announces spectral band replication. Whoever counts
/// time in output samples is wrong by a factor of two.
#[test]
fn he_aac_as_announced() {
    // AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1): SBR (5) at 24 kHz, two channels, output at 48 kHz, AAC-LC (2).
    const HE_AAC: [u8; 4] = [0x2b, 0x11, 0x88, 0x00];
    let clip = Recipe::new(6).sample_rate(24_000).make();
    let mut tags = read_file(&clip.path);
    let header = tags.iter_mut().find(|tag| tag.kind == Kind::Audio && tag.is_sequence_header()).unwrap();
    header.body.truncate(2);
    header.body.extend(HE_AAC);
    let published =
        comes_out_everywhere_from(&clip, |server| rtmp::publish_tags(server.rtmp, "live", &server.key, &tags, 0));
    assert_eq!(published.codecs, "avc1.64000c,mp4a.40.5");
    let header = published.tags.iter().find(|tag| tag.kind == Kind::Audio && tag.is_sequence_header()).unwrap();
    assert_eq!(header.body[2..], HE_AAC);
    let audio = published.flv.iter().find(|s| s["codec_type"] == "audio").unwrap();
    assert_eq!(audio["sample_rate"], "48000");
}

#[test]
fn a_clock_that_is_hours_old() {
    let clip = Recipe::new(6).make();
    let options = ["-output_ts_offset", "25200"]; // 7 h
    let published = comes_out_everywhere_from(&clip, |server| {
        server::publish_with(&clip, &options, &server.publish_url()).wait().silent()
    });
    assert_begins_early(&published.tags);
}

#[test]
fn a_clock_that_wraps() {
    let clip = Clip::standard();
    let tags = read_file(&clip.path);
    let offset = 0u32.wrapping_sub(4000);
    let published =
        comes_out_everywhere_from(&clip, |server| rtmp::publish_tags(server.rtmp, "live", &server.key, &tags, offset));
    assert_begins_early(&published.tags);
}

/// Players count from the stream's start, whatever the publisher's clock says. A stream whose clock is old does not start
/// at nought but at [`MAX_APART`], by design: before the other track has come nobody knows whether it is behind the
/// first, and by how much; and no time is below nought.
#[track_caller]
fn assert_begins_early(tags: &[Tag]) {
    let first = tags.iter().find(|tag| tag.is_frame()).unwrap();
    let begun = Duration::from_millis(first.timestamp.into());
    // A player that joins gets what the GOP cache has, which need not be the first GOP.
    assert!(begun <= MAX_APART + Duration::from_secs(3), "{begun:?}");
}
