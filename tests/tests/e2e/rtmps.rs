//! RTMP over TLS, with FFmpeg's own TLS on the other side.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use millrace_e2e::{
    Certificate, Clip, Program, Server, Temporary,
    clip::Recipe,
    eventually,
    flv::{FlvReader, Kind, Tag, read_file},
    http,
    process::ffmpeg,
    rtmp::Client,
    server::publish_with,
};
use rustix::process::Signal;

fn start(certificate: &Certificate, more: &[&str]) -> (Server, SocketAddr) {
    let settings = certificate.settings();
    let settings: Vec<&str> = settings.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let server = Server::start(&settings);
    let rtmps = server.wait_for_log("serving")["rtmps"].as_str().unwrap().parse().unwrap();
    (server, rtmps)
}

/// FFmpeg plays until the end of the stream, into a file.
fn play(rtmps: SocketAddr, file: &Temporary) -> Program {
    let url = format!("rtmps://{rtmps}/live/movie");
    let arguments = ["-v", "warning", "-nostats", "-tls_verify", "0", "-i", &url, "-c", "copy", "-f", "flv"];
    Program::start(&ffmpeg(), [&arguments[..], &["-flvflags", "no_duration_filesize", file.as_str()]].concat())
}

/// Panics unless these are frames of the clip without a gap.
#[track_caller]
fn assert_unbroken(clip: &Clip, got: &[Tag]) {
    let source = read_file(&clip.path);
    for kind in [Kind::Video, Kind::Audio] {
        let bodies = |tags: &[Tag]| -> Vec<_> {
            tags.iter().filter(|t| t.kind == kind && t.is_frame()).map(|t| t.body.clone()).collect()
        };
        let (source, got) = (bodies(&source), bodies(got));
        let first = source.iter().position(|body| *body == got[0]).expect("a frame of the clip");
        assert!(got.len() > 50, "{kind:?}: {}", got.len());
        assert!(source[first..].starts_with(&got), "{kind:?}: {} from {first} on", got.len());
    }
}

#[test]
fn ffmpeg_publishes_and_plays_over_tls() {
    let certificate = Certificate::make();
    let (server, rtmps) = start(&certificate, &[]);
    let clip = Recipe::new(6).make();
    let publisher = publish_with(&clip, &["-tls_verify", "0"], &format!("rtmps://{rtmps}/live/{}", server.key));
    server.wait_on_air();
    let file = Temporary::new("over-tls.flv");
    let player = play(rtmps, &file);
    let plain = http::open(server.http, "/live/movie.flv").1;
    let plain = std::thread::spawn(move || FlvReader::new(plain).rest());
    let peers = eventually("the player's address", || {
        let players = server.stream("movie")?["players"].as_array()?.clone();
        players.iter().any(|player| player["protocol"] == "rtmp").then_some(players)
    });
    assert!(peers.iter().all(|player| player["peer"].as_str().unwrap().starts_with("127.0.0.1:")), "{peers:?}");
    publisher.wait().silent();
    // The end of the stream goes through TLS as well: FFmpeg stops by itself.
    player.wait().success();
    assert_unbroken(&clip, &read_file(file.path()));
    assert_unbroken(&clip, &plain.join().unwrap());
}

#[test]
fn a_renewed_certificate_is_taken_on_sighup_and_those_who_are_connected_stay() {
    let certificate = Certificate::make();
    let (server, rtmps) = start(&certificate, &[]);
    let old = certificate.trusted("old.pem");
    let url = format!("rtmps://{rtmps}/live/{}", server.key);
    let verified = |ca: &str, clip: &Clip| publish_with(clip, &["-tls_verify", "1", "-ca_file", ca], &url);
    let first = verified(&old, &Recipe::new(20).make());
    server.wait_on_air();
    certificate.renew();
    let new = certificate.trusted("new.pem");
    server.process().signal(Signal::HUP);
    server.wait_for_log("the certificate is reloaded");
    assert!(!verified(&old, &Clip::standard()).wait().status.success(), "the old certificate is still served");
    let frames = server.stream("movie").unwrap()["received"]["video_frames"].as_u64().unwrap();
    server.wait_for_stream("movie", "going on", |s| {
        s["state"] == "live" && s["received"]["video_frames"].as_u64() > Some(frames + 25)
    });
    let second = verified(&new, &Clip::standard());
    server.wait_for_log("publisher cut");
    second.wait().silent();
    assert!(!first.wait().status.success(), "the first was told that another took over");

    // What is wrong changes nothing.
    std::fs::write(certificate.key(), "no key").unwrap();
    server.process().signal(Signal::HUP);
    // An error of the log is one of this test's own making: the server goes on.
    let wrong = server.wait_for_log("the certificate is wrong; nothing is changed");
    assert!(wrong["error"].as_str().unwrap().contains("(tls.key): there is no private key in it"), "{wrong}");
    verified(&new, &Clip::standard()).wait().silent();
    server.terminate().success();
}

#[test]
fn whoever_does_not_speak_tls_is_closed_with_one_line() {
    let certificate = Certificate::make();
    let (server, rtmps) = start(&certificate, &["rtmp.handshake_timeout=1s"]);
    for _ in 0..5 {
        let mut plain = TcpStream::connect(rtmps).unwrap();
        plain.set_read_timeout(Some(millrace_e2e::PATIENCE)).unwrap();
        plain.write_all(&[3; 1537]).unwrap();
        let _ = plain.read_to_end(&mut Vec::new()); // perhaps a reset: it is closed
    }
    let mut silent = TcpStream::connect(rtmps).unwrap();
    silent.set_read_timeout(Some(millrace_e2e::PATIENCE)).unwrap();
    assert_eq!(silent.read_to_end(&mut Vec::new()).unwrap(), 0, "closed in time");
    server.wait_for_log("TLS handshake failed");
    assert_eq!(server.logged("TLS handshake failed").len(), 1);
    // Nobody else is concerned.
    Client::publish(server.rtmp, "live", &server.key).started().unwrap();
}
