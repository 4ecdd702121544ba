//! Enhanced RTMP with a current FFmpeg: codecs that classic FLV does not know come out as they came in.

use std::thread;

use bytes::Bytes;
use millrace_e2e::{
    Program, Server,
    clip::Temporary,
    eventually,
    flv::{FlvReader, Kind, Tag, read_file},
    frames::{Frames, Reading, assert_consecutive, assert_order},
    hls, http,
    process::current_ffmpeg,
    rtmp::{Client, publish_tags},
};
use millrace_media::HevcConfig;

const HEVC: &str =
    "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25:scenecut=0:open-gop=0:bframes=2";
const AV1: &str = "-c:v libsvtav1 -preset 12 -svtav1-params keyint=25:pred-struct=1";
const VP9: &str = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25";
const H264: &str = "-c:v libx264 -preset ultrafast -g 25 -bf 2";
const AAC: &str = "-c:a aac";
const OPUS: &str = "-c:a libopus -b:a 64k";
const FLAC: &str = "-c:a flac";
const AC3: &str = "-c:a ac3";
const EAC3: &str = "-c:a eac3";

#[test]
fn hevc_with_aac_to_every_output() {
    let server = Server::start(&["hls.segment=1s", "hls.window=60", "thumbnails.enabled=true"]);
    let clip = clip(HEVC, AAC);
    let source = start(clip.as_str(), "hevc").finish();
    let rtmp = passes(&server, &clip, &source, ["hevc", "aac"], |server| {
        hls::media(server.http, "/live/movie/ts.m3u8");
        assert_eq!(
            hls::multivariant(server.http, "/live/movie.m3u8").variants[0].codecs.as_deref().unwrap(),
            codecs(server)
        );
    });
    let segments = hls::save(server.http, "/live/movie/ts.m3u8");
    let from_hls = start(segments.as_str(), "hevc").finish();
    assert_eq!(from_hls.codecs, ["hevc", "aac"]);
    assert_eq!((from_hls.video.len(), from_hls.audio.len()), (rtmp.video.len(), rtmp.audio.len()));
    assert_order(&from_hls.video);
}

#[test]
fn av1_with_opus() {
    passes_alone(AV1, OPUS, ["av1", "opus"]);
}

#[test]
fn vp9_with_flac() {
    passes_alone(VP9, FLAC, ["vp9", "flac"]);
}

#[test]
fn h264_with_ac3() {
    passes_alone(H264, AC3, ["h264", "ac3"]);
}

#[test]
fn hevc_with_eac3() {
    passes_alone(HEVC, EAC3, ["hevc", "eac3"]);
}

#[test]
fn h264_with_opus() {
    passes_alone(H264, OPUS, ["h264", "opus"]);
}

#[test]
fn hevc_that_changes_its_size_by_parameter_sets_within_pictures() {
    let server = Server::start(&["hls.segment=1s", "hls.window=60"]);
    let small = read_file(clip(HEVC, AAC).path());
    let larger = Temporary::new("larger.flv");
    encode(&format!("{} {HEVC} {AAC} -t 4", inputs().replace("160x90", "320x180")), &larger);
    let mut large = read_file(larger.path());
    // The second half has no header; each of its keyframes has what that said.
    let is_header = |tag: &Tag| tag.body.starts_with(b"\x90hvc1");
    let header = large.remove(large.iter().position(is_header).unwrap());
    let config = HevcConfig::parse(header.body[5..].to_vec().into()).unwrap();
    let with_length = |set: &Bytes| [&u32::try_from(set.len()).unwrap().to_be_bytes()[..], set].concat();
    let sets: Vec<u8> = config.parameter_sets().flat_map(with_length).collect();
    for tag in &mut large {
        let at = match tag.body.get(..5) {
            Some(b"\x91hvc1") => 8, // after the composition offset
            Some(b"\x93hvc1") => 5,
            _ => continue,
        };
        tag.body.splice(at..at, sets.iter().copied());
    }
    large.iter_mut().for_each(|tag| tag.timestamp += 4050);

    let tags = [small, large].concat();
    let (address, key) = (server.rtmp, server.key.clone());
    let publisher = thread::spawn(move || publish_tags(address, "live", &key, &tags, 0));
    server.wait_on_air();
    let (_, body) = http::open(server.http, "/live/movie.flv");
    let flv = thread::spawn(move || FlvReader::new(body).rest());
    let playlists = ["/live/movie/ts.m3u8", "/live/movie/cmaf.m3u8"];
    let text = |playlist: &str| http::get(server.http, playlist).text().to_owned();
    assert!(playlists.iter().all(|playlist| text(playlist).starts_with("#EXTM3U")));
    server.wait_for_stream("movie", "large", |s| s["video"]["width"] == 320);
    publisher.join().unwrap();

    let headers: Vec<_> = flv.join().unwrap().into_iter().filter(is_header).collect();
    let sizes = headers.iter().map(|tag| HevcConfig::parse(tag.body[5..].to_vec().into()).unwrap().picture().unwrap());
    assert_eq!(sizes.map(|p| (p.width, p.height)).collect::<Vec<_>>(), [(160, 90), (320, 180)]);
    for playlist in playlists {
        let ended = eventually("the end", || Some(text(playlist)).filter(|text| text.contains("#EXT-X-ENDLIST")));
        assert_eq!(ended.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{ended}");
        let url = server.http_url(playlist);
        let arguments = ["-v", "error", "-nostats", "-nostdin", "-i", &url, "-f", "null", "-"];
        Program::start(&current_ffmpeg(), arguments).wait().silent();
    }
}

#[test]
fn of_several_tracks_the_default_ones_are_played() {
    let server = Server::start(&[]);
    let file = Temporary::new("tracks.flv");
    // The other tracks differ in size and in number of channels.
    let inputs = "-f lavfi -i testsrc2=size=160x90:rate=25 -f lavfi -i testsrc2=size=320x180:rate=25 \
                  -f lavfi -i aevalsrc=0.1*random(0)|0.1*random(1):s=48000 -f lavfi -i aevalsrc=0.1*random(2):s=48000";
    let maps = "-map 0:v -map 1:v -map 2:a -map 3:a";
    encode(&format!("{inputs} {maps} {H264} {OPUS} -t 3"), &file);
    let publisher = publish(&server, &file);
    server.wait_on_air();
    let reading = start(&server.rtmp_url(), "h264");
    publisher.wait().success();
    let got = reading.finish();
    assert_eq!(got.codecs, ["h264", "opus"], "one track of each kind");
    assert_eq!((got.video.len(), got.sizes.as_slice()), (75, &["160x90".to_owned()][..]));
    assert_order(&got.video);
}

#[test]
fn finer_times_and_colours_go_to_rtmp_players_alone() {
    const COLOURS: &[u8] =
        b"\xd4hvc1\x02\0\x09colorInfo\x03\0\x0bcolorConfig\x03\0\x08bitDepth\0\x40\x24\0\0\0\0\0\0\0\0\x09\0\0\x09";
    let server = Server::start(&[]);
    let clip = clip(HEVC, OPUS);
    // FFmpeg reads modifiers of time but writes none: put half a millisecond into every enhanced frame.
    let mut tags = read_file(clip.path());
    for tag in tags.iter_mut().filter(|tag| is_enhanced_frame(tag)) {
        let (head, packet) = (tag.body[0] & 0xf0, tag.body[0] & 0x0f);
        let modified = [&[head | MOD_EX, 2, 0x07, 0xa1, 0x20, packet], &tag.body[1..]].concat();
        tag.body = modified;
    }
    let at = tags.iter().position(|tag| tag.body.starts_with(b"\xd4hvc1")).unwrap();
    tags[at].body = COLOURS.to_vec();
    let (address, key) = (server.rtmp, server.key.clone());
    let publisher = thread::spawn(move || publish_tags(address, "live", &key, &tags, 0));
    server.wait_on_air();
    let reading = start(&server.rtmp_url(), "hevc");
    let (_, body) = http::open(server.http, "/live/movie.flv");
    let flv = thread::spawn(move || {
        let mut flv = FlvReader::new(body);
        std::iter::from_fn(|| flv.tag()).collect::<Vec<_>>()
    });
    let mut player = Client::play(server.rtmp, "live", "movie");
    player.started().unwrap();
    let rtmp: Vec<_> = std::iter::from_fn(|| player.tag().unwrap()).collect();
    publisher.join().unwrap();

    let modified =
        |tag: &&Tag| tag.body.len() > 6 && tag.body[0] & 0x0f == MOD_EX && tag.body[1..5] == [2, 0x07, 0xa1, 0x20];
    let frames = rtmp.iter().filter(|tag| modified(tag)).count();
    assert!(frames > 100, "{frames} frames with half a millisecond");
    assert!(rtmp.iter().any(|tag| tag.body == COLOURS), "colours, as they came");
    let got = reading.finish();
    assert!(got.video.len() > 40 && got.audio.len() > 100, "FFmpeg reads them all the same");
    assert_order(&got.video);
    let flv = flv.join().unwrap();
    assert!(flv.iter().filter(|tag| is_enhanced_frame(tag)).count() > 100, "frames without a modifier");
    let beyond =
        |tag: &&Tag| tag.kind != Kind::Script && tag.body.len() > 5 && matches!(tag.body[0], 0x97 | 0xa7 | 0xd4);
    assert_eq!(flv.iter().find(beyond), None, "players in browsers give up at these");
}

/// A frame of HEVC or Opus in an enhanced tag.
fn is_enhanced_frame(tag: &Tag) -> bool {
    matches!(tag.body[..], [0x91 | 0x93 | 0xa1 | 0xa3, b'h' | b'O', ..])
}

const MOD_EX: u8 = 7;

#[test]
fn a_codec_that_is_not_carried_is_refused_by_its_name() {
    let server = Server::start(&[]);
    let file = Temporary::new("sorenson.flv");
    encode(&format!("{} -c:v flv1 -an -t 1", inputs()), &file);
    publish(&server, &file).wait();
    let line = server.wait_for_log("publisher refused");
    assert!(
        line.to_string().contains("video codec 2 (Sorenson H.263) is not supported: H.264, HEVC, AV1 or VP9 expected"),
        "{line}"
    );
}

/// Publishes in real time what the clip has, on a server of its own.
#[track_caller]
fn passes_alone(video: &str, audio: &str, names: [&str; 2]) {
    let server = Server::start(&["thumbnails.enabled=true"]);
    let clip = clip(video, audio);
    let source = start(clip.as_str(), names[0]).finish();
    passes(&server, &clip, &source, names, |server| _ = codecs(server));
}

/// Publishes the clip in real time and compares what FFmpeg reads over RTMP and HTTP. Returns the former.
#[track_caller]
fn passes(
    server: &Server,
    clip: &Temporary,
    source: &Frames,
    names: [&str; 2],
    meanwhile: impl FnOnce(&Server),
) -> Frames {
    let publisher = publish(server, clip);
    server.wait_on_air();
    let picture = http::get(server.http, "/live/movie.jpg");
    assert_eq!(picture.status, 200, "a live picture: {}", String::from_utf8_lossy(&picture.body));
    assert!(picture.body.starts_with(&[0xff, 0xd8, 0xff]), "JPEG");
    let (rtmp, http_flv) = (start(&server.rtmp_url(), names[0]), start(&server.http_url("/live/movie.flv"), names[0]));
    meanwhile(server);
    publisher.wait().success();
    let [rtmp, http_flv] = [("RTMP", rtmp), ("HTTP-FLV", http_flv)].map(|(output, reading)| {
        eprintln!("{output}");
        let got = reading.finish();
        assert_eq!(got.codecs, names);
        for (source, got) in [(&source.video, &got.video), (&source.audio, &got.audio)] {
            let (first, shifts) = assert_consecutive(source, got);
            assert_eq!(first + got.len(), source.len(), "to the last frame");
            assert!(got.len() > 40, "{} frames", got.len());
            let spread =
                shifts.iter().fold(f64::MIN, |a, b| a.max(*b)) - shifts.iter().fold(f64::MAX, |a, b| a.min(*b));
            assert!(spread <= 1.0, "times as in the source: they differ by up to {spread} ms");
        }
        assert_order(&got.video);
        got
    });
    assert_eq!(rtmp.sizes, http_flv.sizes);
    rtmp
}

/// Pictures and sound of four seconds, every frame unlike every other.
fn clip(video: &str, audio: &str) -> Temporary {
    let file = Temporary::new("enhanced.flv");
    encode(&format!("{} {video} {audio} -t 4", inputs()), &file);
    file
}

fn inputs() -> String {
    "-f lavfi -i testsrc2=size=160x90:rate=25 -f lavfi -i aevalsrc=0.1*random(0)|0.1*random(1):s=48000".to_owned()
}

#[track_caller]
fn encode(arguments: &str, file: &Temporary) {
    let arguments = ["-v", "error", "-nostdin"].into_iter().chain(arguments.split_whitespace());
    let last = ["-pix_fmt", "yuv420p", "-f", "flv", "-y", file.as_str()];
    Program::start(&current_ffmpeg(), arguments.chain(last)).wait().success();
}

fn publish(server: &Server, file: &Temporary) -> Program {
    let url = server.publish_url();
    let arguments = ["-v", "warning", "-nostats", "-nostdin", "-re", "-i", file.as_str(), "-map", "0", "-c", "copy"];
    let last = ["-flvflags", "no_duration_filesize", "-f", "flv", &url];
    Program::start(&current_ffmpeg(), arguments.iter().chain(&last))
}

/// Reads with the current FFmpeg, which alone knows Enhanced RTMP.
#[track_caller]
fn start(input: &str, video: &str) -> Reading {
    let filters: &[&str] = match video {
        // Containers leave out temporal delimiters as they please.
        "av1" => &["-bsf:v", "av1_metadata=td=remove"],
        _ => &[],
    };
    Reading::start_with(&current_ffmpeg(), input, filters)
}

/// The codecs that the diagnostics tell, as a playlist writes them.
fn codecs(server: &Server) -> String {
    let stream = server.wait_for_stream("movie", "both tracks", |s| s["video"].is_object() && s["audio"].is_object());
    let codec = |track: &str| stream[track]["codec"].as_str().unwrap().to_owned();
    format!("{},{}", codec("video"), codec("audio"))
}
