//! Publishers that vanish, return, or say goodbye.

use std::{
    io::Read,
    thread,
    time::{Duration, Instant},
};

use m3u8_rs::MediaPlaylist;
use millrace_e2e::{
    Clip, Program, Server,
    clip::Recipe,
    eventually,
    flv::{FlvReader, Kind, Tag, read_file},
    hls, http,
    process::ffmpeg,
    rtmp::Client,
    websocket::WebSocket,
};
use millrace_rtmp::client::Event;
use rustix::process::Signal;

const PLAYLIST: &str = "/live/movie/ts.m3u8";

/// Reads to the end in a thread of its own.
fn record(source: impl Read + Send + 'static) -> thread::JoinHandle<Vec<Tag>> {
    thread::spawn(move || FlvReader::new(source).rest())
}

/// The publisher is gone without a word, and the server knows.
fn lose(server: &Server, publisher: Program) {
    publisher.kill();
    server.wait_for_stream("movie", "waiting for its publisher", |s| s["state"] == "reconnecting");
}

fn wait_for_playlist(server: &Server, what: &str, wish: impl Fn(&MediaPlaylist) -> bool) -> MediaPlaylist {
    eventually(what, || Some(hls::media(server.http, PLAYLIST)).filter(&wish))
}

#[test]
fn players_stay_when_a_killed_publisher_returns() {
    let server = Server::start(&["hls.segment=1s"]);
    let clip = Clip::standard();
    let first = server.publish(&clip);
    server.wait_on_air();
    let flv = record(http::open(server.http, "/live/movie.flv").1);
    let websocket = record(WebSocket::open(server.http, "/live/movie.flv"));
    let mut player = Client::play(server.rtmp, "live", "movie");
    let rtmp = thread::spawn(move || std::iter::from_fn(|| player.tag().unwrap()).collect());
    let before = wait_for_playlist(&server, "two segments", |p| p.segments.len() >= 2);
    lose(&server, first);
    let away = hls::media(server.http, PLAYLIST);
    assert!(!away.end_list, "it may come back");

    let second = server.publish(&clip);
    let after = wait_for_playlist(&server, "a segment after the discontinuity", |p| {
        p.segments.iter().any(|segment| segment.discontinuity)
    });
    second.wait().silent();
    let last = wait_for_playlist(&server, "the end", |p| p.end_list);

    // One playlist from beginning to end: no segment has got another number.
    for (earlier, later) in [(&before, &away), (&away, &after), (&after, &last)] {
        assert!(earlier.media_sequence <= later.media_sequence);
        assert!(earlier.discontinuity_sequence <= later.discontinuity_sequence);
        assert_eq!(earlier.target_duration, later.target_duration);
        let skip = usize::try_from(later.media_sequence - earlier.media_sequence).unwrap();
        for (old, new) in earlier.segments.iter().skip(skip).zip(&later.segments) {
            assert_eq!((&old.uri, old.discontinuity), (&new.uri, new.discontinuity));
        }
    }
    let marks = |playlist: &MediaPlaylist| playlist.segments.iter().filter(|s| s.discontinuity).count();
    let gone = last.discontinuity_sequence - away.discontinuity_sequence;
    assert_eq!(marks(&last) as u64 + gone, 1, "one discontinuity: {last:#?}");

    for player in [flv, websocket, rtmp] {
        assert_goes_on(&player.join().unwrap(), &clip);
    }
}

/// Panics unless the tags are two stretches of the clip, the second of which begins with its
/// beginning, later than the first has ended, with sound and picture together.
#[track_caller]
fn assert_goes_on(tags: &[Tag], clip: &Clip) {
    let source = read_file(&clip.path);
    let mut starts = Vec::new();
    for kind in [Kind::Video, Kind::Audio] {
        let of_kind = |tags: &[Tag]| -> Vec<Tag> {
            tags.iter().filter(|tag| tag.kind == kind && tag.is_frame()).cloned().collect()
        };
        let (source, got) = (of_kind(&source), of_kind(tags));
        for pair in got.windows(2) {
            assert!(pair[0].timestamp < pair[1].timestamp, "{kind:?}: {} {}", pair[0].timestamp, pair[1].timestamp);
        }
        let cut = got.iter().rposition(|tag| tag.body == source[0].body).expect("the beginning of the second run");
        let place = |tag: &Tag| source.iter().position(|s| s.body == tag.body).unwrap();
        for stretch in [&got[..cut], &got[cut..]] {
            let first = place(&stretch[0]);
            for (n, tag) in stretch.iter().enumerate() {
                assert_eq!(place(tag), first + n);
            }
        }
        assert_eq!(got.len() - cut, source.len(), "all of the second run");
        starts.push(i64::from(got[cut].timestamp) - i64::from(source[0].timestamp));
    }
    assert!((starts[0] - starts[1]).abs() <= 5, "sound and picture are shifted by {starts:?}");
}

#[test]
fn the_stream_ends_when_a_killed_publisher_stays_away() {
    let server = Server::start(&["hls.segment=1s", "publish.grace=1s", "hls.keep_after_end=3s"]);
    let publisher = server.publish(&Recipe::new(20).make());
    server.wait_on_air();
    let flv = record(http::open(server.http, "/live/movie.flv").1);
    let websocket = record(WebSocket::open(server.http, "/live/movie.flv"));
    let mut rtmp = Client::play(server.rtmp, "live", "movie");
    rtmp.started().unwrap();
    wait_for_playlist(&server, "two segments", |p| p.segments.len() >= 2);
    lose(&server, publisher);

    let lost = Instant::now();
    let last = wait_for_playlist(&server, "the end", |p| p.end_list);
    assert!(lost.elapsed() < Duration::from_secs(5), "{:?}", lost.elapsed());
    for player in [flv, websocket] {
        assert!(player.join().unwrap().len() > 50, "it ends after a whole tag");
    }
    loop {
        match rtmp.event().unwrap() {
            Event::Media(_) => {}
            Event::Ended { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    let uri = &last.segments.last().unwrap().uri;
    assert_eq!(hls::segment(server.http, PLAYLIST, uri).status, 200, "what is listed can be had");
    server.wait_for_log("stream ended");
    http::get(server.http, "/live/movie.flv").problem(404, "006");
    // Later that is gone, too.
    eventually("the playlist's end", || (http::get(server.http, PLAYLIST).status == 404).then_some(()));
    hls::segment(server.http, PLAYLIST, uri).problem(404, "006");
}

#[test]
fn a_publisher_that_says_goodbye_ends_the_stream_at_once() {
    for (n, stop) in ["q on the keyboard", "SIGINT", "SIGTERM"].into_iter().enumerate() {
        let server = Server::start(&["hls.segment=1s", "publish.grace=1h"]);
        let mut publisher = server.publish(&Recipe::new(20).make());
        server.wait_on_air();
        let flv = record(http::open(server.http, "/live/movie.flv").1);
        wait_for_playlist(&server, "a segment", |_| true);
        match n {
            0 => std::io::Write::write_all(publisher.stdin(), b"q").unwrap(),
            1 => publisher.signal(Signal::INT),
            _ => publisher.signal(Signal::TERM),
        }
        let stopped = Instant::now();
        wait_for_playlist(&server, "the end", |p| p.end_list);
        flv.join().unwrap();
        assert!(stopped.elapsed() < Duration::from_secs(5), "{stop}: {:?}", stopped.elapsed());
        assert_eq!(server.wait_for_log("stream ended")["reason"], "the publisher finished", "{stop}");
    }
}

#[test]
fn a_publisher_that_returns_with_other_tracks_is_taken() {
    let server = Server::start(&["hls.segment=1s"]);
    let first = server.publish(&Clip::standard());
    server.wait_on_air();
    let flv = record(http::open(server.http, "/live/movie.flv").1);
    wait_for_playlist(&server, "a segment", |_| true);
    lose(&server, first);
    let other = Recipe::new(8).size("640x360").without_audio().make();
    let second = server.publish(&other);
    server.wait_for_stream("movie", "of another size", |s| s["video"]["width"] == 640 && s["audio"].is_null());
    second.wait().silent();

    let tags = flv.join().unwrap();
    let headers = tags.iter().filter(|tag| tag.kind == Kind::Video && tag.is_sequence_header()).count();
    assert!(headers >= 2, "the other configuration was sent");
    let last_sound = tags.iter().rposition(|tag| tag.kind == Kind::Audio).unwrap();
    assert!(tags[last_sound..].iter().any(Tag::is_keyframe), "pictures go on without sound");
    let segments = hls::save(server.http, PLAYLIST);
    let arguments = ["-v", "error", "-nostats", "-i", segments.as_str(), "-f", "null", "-"];
    Program::start(&ffmpeg(), arguments).wait().silent();
}

#[test]
fn a_stream_begins_again_after_its_end() {
    let server = Server::start(&["hls.segment=1s"]);
    let clip = Recipe::new(6).make();
    let mut last: Option<MediaPlaylist> = None;
    for _ in 0..2 {
        let publisher = server.publish(&clip);
        server.wait_on_air();
        let flv = record(http::open(server.http, "/live/movie.flv").1);
        let playlist = wait_for_playlist(&server, "a playlist that goes on", |p| !p.end_list);
        publisher.wait().silent();
        if let Some(last) = &last {
            assert!(playlist.segments.iter().all(|s| last.segments.iter().all(|l| l.uri != s.uri)), "new names");
        }
        assert!(flv.join().unwrap().iter().any(Tag::is_keyframe));
        last = Some(wait_for_playlist(&server, "the end", |p| p.end_list));
    }
}
