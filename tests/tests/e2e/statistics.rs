//! The diagnostics agree with what was sent and taken.

use std::thread;

use millrace_e2e::{
    Clip, Server,
    clip::Recipe,
    eventually,
    flv::{FlvReader, Kind, read_file},
    hls, http,
    rtmp::Client,
    websocket::WebSocket,
};
use serde_json::Value;

#[test]
fn a_stream_is_described_as_it_is() {
    let server = Server::start(&[]);
    let clip = Recipe::new(12).make();
    let _publisher = server.publish(&clip);
    server.wait_on_air();
    let stream =
        server.wait_for_stream("movie", "eight seconds old", |s| s["received"]["video_frames"].as_u64() >= Some(200));
    assert_eq!((&stream["app"], &stream["name"], &stream["state"]), (&"live".into(), &"movie".into(), &"live".into()));
    assert_eq!((&stream["video"]["codec"], &stream["audio"]["codec"]), (&"avc1.64000c".into(), &"mp4a.40.2".into()));
    assert_eq!((&stream["video"]["width"], &stream["video"]["height"]), (&320.into(), &180.into()));
    assert_eq!((&stream["audio"]["sample_rate"], &stream["audio"]["channels"]), (&48_000.into(), &2.into()));
    assert_eq!((&stream["gop_seconds"], &stream["damaged_frames"]), (&1.0.into(), &0.into()));
    let near = |value: &Value, expected: f64, tolerance: f64| {
        let value = value.as_f64().unwrap();
        assert!((value - expected).abs() <= tolerance, "{value} in place of {expected}: {stream:#}");
    };
    near(&stream["video"]["frame_rate"], 25.0, 1.5);
    near(&stream["rates"]["frame_rate"], 25.0, 1.5);
    near(&stream["uptime_seconds"], 8.5, 2.0);
    assert!(stream["publisher"]["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(stream["publisher"]["encoder"].as_str().unwrap().starts_with("Lavf"), "{stream:#}");

    // What came in is exactly the beginning of the file.
    let tags = read_file(&clip.path);
    for (kind, header, bytes, frames, rate) in [
        (Kind::Video, 5, "video_bytes", "video_frames", "video_kbit_s"),
        (Kind::Audio, 2, "audio_bytes", "audio_frames", "audio_kbit_s"),
    ] {
        let frames = usize::try_from(stream["received"][frames].as_u64().unwrap()).unwrap();
        let of_kind = tags.iter().filter(|tag| tag.kind == kind && tag.is_frame()).take(frames);
        let sizes: Vec<_> = of_kind.map(|tag| tag.body.len() - header).collect();
        assert_eq!(stream["received"][bytes], sizes.iter().sum::<usize>());
        // The last five seconds.
        let recent = if kind == Kind::Video { 125 } else { 234 };
        #[allow(clippy::cast_precision_loss)]
        let kbit_s = sizes[frames - recent..].iter().sum::<usize>() as f64 * 8.0 / 1000.0 / 5.0;
        near(&stream["rates"][rate], kbit_s, kbit_s * 0.15);
    }
}

#[test]
fn players_are_counted_by_protocol_with_what_they_took() {
    let server = Server::start(&["hls.segment=1s"]);
    let clip = Clip::standard();
    let publisher = server.publish(&clip);
    server.wait_on_air();
    let http = server.http;
    let mut rtmp = Client::play(server.rtmp, "live", "movie");
    let readers = [
        thread::spawn(move || while rtmp.event().is_ok() {}),
        thread::spawn(move || drop(FlvReader::new(http::open(http, "/live/movie.flv").1).rest())),
        thread::spawn(move || drop(FlvReader::new(WebSocket::open(http, "/live/movie.flv")).rest())),
    ];
    let playlist = hls::media(http, "/live/movie/ts.m3u8");
    let segment = hls::segment(http, "/live/movie/ts.m3u8", &playlist.segments[0].uri).body.len();
    let stream = server.wait_for_stream("movie", "watched by four", |s| {
        let players = s["players"].as_array().unwrap();
        players.len() == 4 && s["received"]["video_frames"].as_u64() >= Some(150)
    });
    let players = stream["players"].as_array().unwrap();
    let mut protocols: Vec<_> = players.iter().map(|p| p["protocol"].as_str().unwrap()).collect();
    protocols.sort_unstable();
    assert_eq!(protocols, ["hls", "http-flv", "rtmp", "ws-flv"]);
    assert_eq!(server.diagnostics()["players"], 4);

    let received = |what: &str| stream["received"][what].as_f64().unwrap();
    let mut sum = 0;
    for player in players {
        let bytes = player["bytes"].as_u64().unwrap();
        sum += bytes;
        assert_eq!((&player["dropped_frames"], &player["skips"]), (&0.into(), &0.into()));
        if player["protocol"] == "hls" {
            assert_eq!(bytes, segment as u64);
            continue;
        }
        // They came within the first seconds, and are counted once a second.
        let frames = player["traffic"]["video_frames"].as_f64().unwrap();
        assert!((received("video_frames") - 110.0..=received("video_frames") + 30.0).contains(&frames), "{player:#}");
        #[allow(clippy::cast_precision_loss)]
        let (bytes, media) = (
            bytes as f64,
            player["traffic"]["video_bytes"].as_f64().unwrap() + player["traffic"]["audio_bytes"].as_f64().unwrap(),
        );
        assert!(bytes >= media && bytes < media * 1.2 + 2000.0, "media and a little framing: {player:#}");
        let rate = player["rates"]["video_kbit_s"].as_f64().unwrap();
        assert!(rate > 100.0 && rate < 800.0, "{player:#}");
    }
    assert!(stream["sent_bytes"].as_u64() >= Some(sum));
    publisher.wait().silent();
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    server.wait_off_air("movie");
    assert_eq!(server.diagnostics(), serde_json::json!({"players": 0, "streams": []}));
}

/// The samples of `/metrics`: name and labels, and value.
fn metrics(server: &Server) -> std::collections::HashMap<String, f64> {
    let response = http::get(server.ops, "/metrics");
    assert_eq!(response.status, 200);
    assert!(response.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = response.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

#[test]
fn metrics_count_what_comes_and_goes_and_never_fall() {
    let server = Server::start(&[]);
    let before = metrics(&server);
    assert_eq!(before["millrace_streams{state=\"live\"}"], 0.0);
    assert_eq!(before["millrace_sent_bytes_total{protocol=\"http-flv\"}"], 0.0);
    assert!(before["millrace_resident_memory_bytes"] > 1e6 && before["millrace_open_files"] > 3.0);
    let publisher = server.publish(&Clip::standard());
    server.wait_on_air();
    let (_, mut body) = http::open(server.http, "/live/movie.flv");
    let reader = std::thread::spawn(move || std::io::Read::read_to_end(&mut body, &mut Vec::new()).unwrap());
    eventually("a player in the metrics", || {
        let now = metrics(&server);
        (now["millrace_players{protocol=\"http-flv\"}"] == 1.0 && now["millrace_publishers"] == 1.0).then_some(())
    });
    let during = metrics(&server);
    assert_eq!(during["millrace_streams{state=\"live\"}"], 1.0);
    assert_eq!(
        (during["millrace_connections{port=\"rtmp\"}"], during["millrace_connections{port=\"http\"}"]),
        (1.0, 1.0)
    );
    publisher.wait().silent();
    let sent = reader.join().unwrap();
    server.wait_off_air("movie");
    let after = eventually("the last counts", || {
        let now = metrics(&server);
        (now["millrace_sent_bytes_total{protocol=\"http-flv\"}"] >= sent as f64 - 400.0).then_some(now)
    });
    let frames = millrace_e2e::flv::read_file(&Clip::standard().path).iter().filter(|tag| tag.is_frame()).count();
    let received = after["millrace_received_frames_total{kind=\"video\"}"]
        + after["millrace_received_frames_total{kind=\"audio\"}"];
    assert_eq!(received, frames as f64, "they stay when the stream is gone");
    assert_eq!(after["millrace_players{protocol=\"http-flv\"}"], 0.0);
    assert_eq!(after["millrace_http_requests_total{status=\"2xx\"}"], 1.0);
}
