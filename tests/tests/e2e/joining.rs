//! Players that come late, or early.

use std::{
    io::Read,
    thread,
    time::{Duration, Instant},
};

use millrace_e2e::{
    Clip, Program, Server,
    clip::Recipe,
    flv::{FlvReader, Kind, Tag},
    frames::{Reading, Sound},
    http,
    rtmp::Client,
    websocket::WebSocket,
};
use millrace_rtmp::client::Event;

/// Four seconds into a stream whose keyframes are ten seconds apart.
fn between_keyframes() -> (Server, Program) {
    let server = Server::start(&[]);
    let publisher = server.publish(&Recipe::new(20).gop(250).make());
    server.wait_for_stream("movie", "four seconds old", |s| s["received"]["video_frames"].as_u64() >= Some(100));
    (server, publisher)
}

/// Panics unless these frames, which came within `took`, begin with a keyframe and its sound, and
/// reach up to now.
#[track_caller]
fn assert_picture_and_sound_at_once(frames: &[Tag], took: Duration) {
    // The next keyframe is some six seconds away.
    assert!(took < Duration::from_secs(3), "it took {took:?}");
    let first = frames.iter().find(|tag| tag.kind == Kind::Video).unwrap();
    assert!(first.is_keyframe());
    let sound = frames.iter().find(|tag| tag.kind == Kind::Audio).unwrap();
    let distance = i64::from(sound.timestamp) - i64::from(first.timestamp);
    assert!((0..=100).contains(&distance), "sound begins {distance} ms after the picture");
    let pictures = frames.iter().filter(|tag| tag.kind == Kind::Video).count();
    assert!(pictures >= 90 && frames.len() - pictures >= 160, "{pictures} pictures of {} frames", frames.len());
}

/// So many frames as the stream has had, and not those to come.
const AT_ONCE: usize = 280;

fn read_at_once(source: impl Read) -> Vec<Tag> {
    let mut flv = FlvReader::new(source);
    std::iter::from_fn(|| flv.frame()).take(AT_ONCE).collect()
}

#[test]
fn a_late_player_has_picture_and_sound_at_once() {
    let (server, _publisher) = between_keyframes();

    let asked = Instant::now();
    let frames = read_at_once(http::open(server.http, "/live/movie.flv").1);
    assert_picture_and_sound_at_once(&frames, asked.elapsed());

    let asked = Instant::now();
    let frames = read_at_once(WebSocket::open(server.http, "/live/movie.flv"));
    assert_picture_and_sound_at_once(&frames, asked.elapsed());

    let asked = Instant::now();
    let mut player = Client::play(server.rtmp, "live", "movie");
    player.started().unwrap();
    let tags = std::iter::from_fn(|| player.tag().unwrap());
    let frames: Vec<_> = tags.filter(Tag::is_frame).take(AT_ONCE).collect();
    assert_picture_and_sound_at_once(&frames, asked.elapsed());
}

#[test]
fn without_gop_cache_a_late_player_has_sound_at_once_and_waits_for_a_keyframe() {
    let server = Server::start(&["gop.count=0"]);
    let _publisher = server.publish(&Recipe::new(12).make());
    server.wait_on_air();
    let mut flv = FlvReader::new(http::open(server.http, "/live/movie.flv").1);
    let frames: Vec<_> = std::iter::from_fn(|| flv.frame()).take(120).collect();
    assert!(frames.iter().find(|tag| tag.kind == Kind::Video).unwrap().is_keyframe());
    assert!(frames[..10].iter().any(|tag| tag.kind == Kind::Audio));
}

#[test]
fn an_rtmp_player_that_comes_first_is_attached_when_its_publisher_comes() {
    let server = Server::start(&[]);
    let clip = Clip::standard();
    let reading = Reading::start(&server.rtmp_url(), Sound::Aac);
    let mut player = Client::play(server.rtmp, "live", "movie");
    player.started().unwrap();
    server.publish(&clip).wait().silent();

    let Event::Media(_) = player.event().unwrap() else { panic!("media is expected") };
    let end = loop {
        match player.event().unwrap() {
            Event::Media(_) => {}
            Event::Ended { code } => break code,
            other => panic!("{other:?}"),
        }
    };
    assert!(end.starts_with("NetStream.Play."), "{end}");
    let (source, got) = (clip.frames(), reading.finish());
    assert_eq!(got.video.len(), source.video.len(), "from the very first picture on");
    assert!(got.audio.len() + 5 >= source.audio.len(), "{} of {}", got.audio.len(), source.audio.len());
}

#[test]
fn players_that_come_and_go_leave_nothing_behind() {
    let server = Server::start(&[]);
    let _publisher = server.publish(&Recipe::new(20).make());
    server.wait_on_air();
    let players: Vec<_> = (0..40)
        .map(|n| {
            let http = server.http;
            thread::spawn(move || match n % 2 {
                0 => drop(FlvReader::new(http::open(http, "/live/movie.flv").1).frame()),
                _ => drop(FlvReader::new(WebSocket::open(http, "/live/movie.flv")).frame()),
            })
        })
        .collect();
    players.into_iter().for_each(|player| player.join().unwrap());
    server.wait_for_stream("movie", "without players", |s| s["players"].as_array().unwrap().is_empty());
    assert_eq!(server.diagnostics()["players"], 0);
}
