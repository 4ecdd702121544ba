//! The server's own end, in good order and not.

use std::{
    thread,
    time::{Duration, Instant},
};

use millrace_e2e::{
    Clip, Server,
    clip::Recipe,
    eventually,
    flv::FlvReader,
    hls, http,
    rtmp::{Client, Over},
    websocket::WebSocket,
};
use millrace_rtmp::client::Event;
use rustix::process::Signal;

#[test]
fn a_server_that_was_killed_starts_again_at_once_on_the_same_ports() {
    let mut server = Server::start(&["hls.segment=1s"]);
    let publisher = server.publish(&Recipe::new(20).make());
    server.wait_on_air();
    let mut flv = FlvReader::new(http::open(server.http, "/live/movie.flv").1);
    flv.frame().unwrap();
    let before = hls::media(server.http, "/live/movie/ts.m3u8");
    let ports = (server.http, server.rtmp, server.ops);

    server.crash_and_restart();
    assert_eq!((server.http, server.rtmp, server.ops), ports);
    while flv.try_tag().is_ok_and(|tag| tag.is_some()) {}
    assert!(!publisher.wait().status.success(), "the publisher notices");

    let publisher = server.publish(&Clip::standard());
    server.wait_on_air();
    FlvReader::new(http::open(server.http, "/live/movie.flv").1).frame().unwrap();
    let after = hls::media(server.http, "/live/movie/ts.m3u8");
    // A player that has the old playlist takes the new one for its continuation.
    assert!(after.media_sequence >= before.media_sequence, "{} {}", before.media_sequence, after.media_sequence);
    assert!(after.segments.iter().all(|new| before.segments.iter().all(|old| old.uri != new.uri)));
    let old = &before.segments[0].uri;
    let words = hls::segment(server.http, "/live/movie/ts.m3u8", old).problem(404, "006");
    assert_eq!(words, "the segment has left the live window; reload the playlist");
    publisher.wait().silent();
}

#[test]
fn a_server_that_is_asked_to_end_ends_everything_in_good_order() {
    let server = Server::start(&["shutdown.timeout=10s", "hls.segment=1s", "publish.open=true"]);
    let publisher = server.publish(&Recipe::new(20).make());
    server.wait_on_air();
    let (http, rtmp) = (server.http, server.rtmp);
    let flv = thread::spawn(move || FlvReader::new(http::open(http, "/live/movie.flv").1).rest().len());
    let kept_alive = thread::spawn(move || {
        let mut connection = http::Connection::open(http);
        connection.send("GET", "/live/movie.m3u8", &[]);
        connection.response(true);
        connection.send("GET", "/live/movie.flv", &[]);
        FlvReader::new(connection.streaming().1).rest().len()
    });
    let websocket = thread::spawn(move || {
        let mut websocket = WebSocket::open(http, "/live/movie.flv");
        (FlvReader::new(&mut websocket).rest().len(), websocket.closed)
    });
    let rtmp = thread::spawn(move || {
        let mut player = Client::play(rtmp, "live", "movie");
        player.started().unwrap();
        loop {
            match player.event() {
                Ok(Event::Media(_)) => {}
                other => break other,
            }
        }
    });
    let mut waiting = Client::play(server.rtmp, "live", "movie-that-waits");
    waiting.started().unwrap();
    hls::media(http, "/live/movie/ts.m3u8");
    // It comes back for its playlist each second, and so for the end as well.
    let hls = thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_secs(1));
            let playlist = hls::media(http, "/live/movie/ts.m3u8");
            if playlist.end_list {
                return hls::segment(http, "/live/movie/ts.m3u8", &playlist.segments.last().unwrap().uri).status;
            }
        }
    });
    server.wait_for_stream("movie", "watched", |s| s["players"].as_array().unwrap().len() == 5);
    let idle = std::net::TcpStream::connect(http).unwrap();

    let asked = Instant::now();
    let ended = server.terminate();
    assert!(ended.status.success(), "{}: {:#?}", ended.status, ended.stderr);
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    assert!(ended.stderr.iter().any(|line| line.contains(r#""message":"ended""#)), "{:#?}", ended.stderr);
    assert!(flv.join().unwrap() > 10, "it ends after a whole tag");
    assert!(kept_alive.join().unwrap() > 10);
    let (tags, closed) = websocket.join().unwrap();
    assert!(tags > 10);
    assert_eq!(closed, Some(1000));
    assert_eq!(hls.join().unwrap(), 200, "the last segment of the playlist with its end");
    match rtmp.join().unwrap() {
        Ok(Event::Ended { .. }) => {}
        other => panic!("{other:?}"),
    }
    // Closed, with words or without: it has nothing to lose.
    assert!(!matches!(waiting.event(), Ok(Event::Media(_))));
    // The publisher is told, and does not go on sending to nobody.
    let ended = publisher.wait();
    assert!(!ended.status.success(), "{:#?}", ended.stderr);
    assert!(ended.stderr.iter().any(|line| line.contains("the server is shutting down")), "{:#?}", ended.stderr);
    drop(idle);
}

#[test]
fn a_player_that_takes_nothing_is_cut_when_the_time_to_end_is_over() {
    let server = Server::start(&["shutdown.timeout=1s", "play.stall_timeout=1h"]);
    let _publisher = server.publish(&Recipe::new(14).video_kbit_s(8000).make());
    server.wait_on_air();
    let (_, stuck) = http::open(server.http, "/live/movie.flv");
    server.wait_for_stream("movie", "five seconds old", |s| s["received"]["video_frames"].as_u64() >= Some(125));
    let ended = server.terminate();
    assert!(ended.status.success(), "{}", ended.status);
    let words = "shutdown.timeout is over; what was still connected is cut";
    assert!(ended.stderr.iter().any(|line| line.contains(words)), "{:#?}", ended.stderr);
    drop(stuck);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let server = Server::start(&["shutdown.timeout=1h"]);
    // It is told that it is over, and left to close the connection.
    let mut stays = Client::play(server.rtmp, "live", "movie");
    stays.started().unwrap();
    server.process().signal(Signal::TERM);
    server.wait_for_log("ending");
    let ended = server.terminate();
    assert!(ended.status.success(), "{}", ended.status);
    let words = "asked again; what was still connected is cut";
    assert!(ended.stderr.iter().any(|line| line.contains(words)), "{:#?}", ended.stderr);
    drop(stays);
}

#[test]
fn while_it_ends_nobody_new_comes_in() {
    let server = Server::start(&[]);
    let address = server.rtmp;
    let mut early = Client::play(address, "live", "movie");
    early.started().unwrap();
    let ended = server.terminate();
    assert!(ended.status.success(), "{:#?}", ended.stderr);
    let end = early.event();
    assert!(matches!(end, Ok(Event::Ended { .. }) | Err(Over::Error(_) | Over::Closed(_))), "{end:?}");
    eventually("a closed port", || std::net::TcpStream::connect(address).is_err().then_some(()));
}
