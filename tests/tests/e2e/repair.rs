//! Publishers whose clock, configuration or connection goes wrong: players go on.

use std::{
    thread,
    time::{Duration, Instant},
};

use millrace_e2e::{
    Clip, Program, Server,
    clip::Recipe,
    eventually,
    flv::{FlvReader, Kind, Tag, read_file},
    hls, http,
    process::ffmpeg,
    rtmp::{Client, Over},
};
use socket2::SockRef;

const PLAYLIST: &str = "/live/movie/ts.m3u8";

/// Sends tags when their time has come, each stamped as `stamp` says.
fn send(client: &mut Client, tags: &[Tag], stamp: impl Fn(&Tag) -> u32) {
    let begun = Instant::now();
    let first = tags[0].timestamp;
    for tag in tags {
        let due = Duration::from_millis((tag.timestamp - first).into());
        thread::sleep(due.saturating_sub(begun.elapsed()));
        client.send(tag, stamp(tag)).unwrap();
    }
}

fn publisher(server: &Server) -> Client {
    let mut client = Client::publish(server.rtmp, "live", &server.key);
    client.started().unwrap();
    client
}

/// Records FLV to the end, in a thread of its own.
fn record(server: &Server) -> thread::JoinHandle<Vec<Tag>> {
    let http = server.http;
    thread::spawn(move || FlvReader::new(http::open(http, "/live/movie.flv").1).rest())
}

/// By how many milliseconds each frame of a kind came to be later than in the source. Panics where one
/// is missing or time does not rise.
#[track_caller]
fn shifts(kind: Kind, source: &[Tag], got: &[Tag]) -> Vec<i64> {
    let frames =
        |tags: &[Tag]| -> Vec<Tag> { tags.iter().filter(|t| t.kind == kind && t.is_frame()).cloned().collect() };
    let (source, got) = (frames(source), frames(got));
    let first = source.iter().position(|s| s.body[5..] == got[0].body[5..]).expect("a frame of the source");
    assert!(got.len() > 100, "{kind:?}: {} frames", got.len());
    for pair in got.windows(2) {
        assert!(pair[0].timestamp < pair[1].timestamp, "{kind:?}: {} {}", pair[0].timestamp, pair[1].timestamp);
    }
    let shift = |(source, got): (&Tag, &Tag)| {
        // The composition offset, in a picture's prefix, may have been mended.
        assert!(source.body[5..] == got.body[5..], "a frame is missing before {}", got.timestamp);
        i64::from(got.timestamp) - i64::from(source.timestamp)
    };
    source[first..].iter().zip(&got).map(shift).collect()
}

struct Seen {
    server: Server,
    source: Vec<Tag>,
    tags: Vec<Tag>,
    discontinuities: u64,
}

/// Broadcasts a clip whose tags are stamped so, and plays it by FLV and HLS. FFmpeg must decode all of
/// HLS without a word.
#[track_caller]
fn broadcast(stamp: impl Fn(&Tag) -> u32) -> Seen {
    let server = Server::start(&["hls.segment=1s", "hls.window=12"]);
    let source = read_file(&Clip::standard().path);
    let mut client = publisher(&server);
    let split = source.iter().position(|tag| tag.timestamp > 400).unwrap();
    send(&mut client, &source[..split], &stamp);
    server.wait_on_air();
    let flv = record(&server);
    let waiting = thread::spawn({
        let http = server.http;
        move || hls::media(http, PLAYLIST)
    });
    send(&mut client, &source[split..], &stamp);
    client.stop();
    let first = waiting.join().unwrap();
    let last = eventually("the end", || Some(hls::media(server.http, PLAYLIST)).filter(|p| p.end_list));
    let marks = last.segments.iter().filter(|s| s.discontinuity).count() as u64;
    let discontinuities = marks + last.discontinuity_sequence - first.discontinuity_sequence;
    decodes(&server);
    Seen { source, tags: flv.join().unwrap(), discontinuities, server }
}

#[track_caller]
fn decodes(server: &Server) {
    let segments = hls::save(server.http, PLAYLIST);
    let arguments = ["-v", "error", "-nostats", "-i", segments.as_str(), "-f", "null", "-"];
    let mut said = Program::start(&ffmpeg(), arguments).wait().success().stderr;
    // Its null output counts in pictures: those that a repair puts a millisecond apart fall together there.
    said.retain(|line| {
        !(line.contains("non monotonically increasing dts to muxer") || line.contains("Last message repeated"))
    });
    assert!(said.is_empty(), "{said:#?}");
}

/// Panics unless sound is `apart` ms later than in the source against the picture, from beginning to
/// end, there were so many jumps, and no time is lost in them.
#[track_caller]
fn assert_repaired(seen: &Seen, apart: i64, discontinuities: u64) {
    let video = shifts(Kind::Video, &seen.source, &seen.tags);
    let audio = shifts(Kind::Audio, &seen.source, &seen.tags);
    for (video, audio) in [(video[0], audio[0]), (video[video.len() - 1], audio[audio.len() - 1])] {
        let found = audio - video;
        assert!((found - apart).abs() <= 45, "sound is {found} ms later than the picture, {apart} expected");
    }
    assert_eq!(seen.discontinuities, discontinuities);
    for shifts in [&video, &audio] {
        let moved = shifts[shifts.len() - 1] - shifts[0];
        assert!(moved.abs() <= 400, "the end moved by {moved} ms against the beginning");
    }
    seen.server.wait_for_log("stream ended");
    assert_eq!(seen.server.logged("stream ended").len(), 1, "one stream");
}

#[test]
fn the_clock_wraps_at_32_bits() {
    let seen = broadcast(|tag| tag.timestamp.wrapping_add(u32::MAX - 3000));
    assert_repaired(&seen, 0, 0);
    let shift = shifts(Kind::Video, &seen.source, &seen.tags);
    assert!(shift.iter().all(|s| *s == shift[0]), "to the millisecond");
}

#[test]
fn the_clock_jumps_forward_by_hours() {
    let jump = |tag: &Tag| tag.timestamp + if tag.timestamp < 4000 { 0 } else { 7_200_000 };
    assert_repaired(&broadcast(jump), 0, 1);
}

#[test]
fn the_clock_is_reset_to_zero() {
    let reset = |tag: &Tag| if tag.timestamp < 4000 { tag.timestamp + 100_000 } else { tag.timestamp - 4000 };
    assert_repaired(&broadcast(reset), 0, 1);
}

#[test]
fn the_clock_steps_back_a_little() {
    let back = |tag: &Tag| 1000 + tag.timestamp - if tag.timestamp < 4000 { 0 } else { 300 };
    assert_repaired(&broadcast(back), 0, 0);
}

#[test]
fn the_clocks_of_sound_and_picture_start_apart() {
    for apart in [300, 3000] {
        let seen = broadcast(|tag| 1000 + tag.timestamp + if tag.kind == Kind::Audio { apart } else { 0 });
        assert_repaired(&seen, apart.into(), 0);
    }
}

#[test]
fn the_clocks_of_sound_and_picture_start_absurdly_apart() {
    let seen = broadcast(|tag| tag.timestamp + if tag.kind == Kind::Audio { 30_000 } else { 0 });
    let last = |kind| *shifts(kind, &seen.source, &seen.tags).last().unwrap();
    let apart = last(Kind::Audio) - last(Kind::Video);
    assert!(apart.abs() < 500, "{apart} ms apart");
    assert_eq!(seen.discontinuities, 0);
}

#[test]
fn all_timestamps_are_zero() {
    let seen = broadcast(|_| 0);
    for kind in [Kind::Video, Kind::Audio] {
        let shifts = shifts(kind, &seen.source, &seen.tags);
        let last = shifts.last().unwrap();
        assert!(last.abs() < 2000, "{kind:?} ends {last} ms from where it should");
    }
}

#[test]
fn a_ghost_on_a_half_open_connection_gives_way_to_its_successor_at_once() {
    let server = Server::start(&[]);
    let tags = read_file(&Clip::standard().path);
    let half = tags.iter().position(|tag| tag.timestamp > 2000).unwrap();
    let mut ghost = publisher(&server);
    send(&mut ghost, &tags[..half], |tag| tag.timestamp);
    server.wait_on_air();
    let flv = record(&server);
    server.wait_for_stream("movie", "watched", |s| s["players"].as_array().unwrap().len() == 1);
    // The ghost says nothing more, and its connection stays.
    let asked = Instant::now();
    let mut successor = publisher(&server);
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    send(&mut successor, &tags, |tag| tag.timestamp + 50_000);
    successor.stop();
    let got = flv.join().unwrap();
    let cut =
        got.iter().rposition(|tag| tag.is_frame() && tag.body == tags.iter().find(|t| t.is_keyframe()).unwrap().body);
    shifts(Kind::Video, &tags, &got[cut.expect("the successor's first picture")..]);
    assert!(matches!(ghost.event(), Ok(_) | Err(Over::Closed(_) | Over::Error(_))), "it is told, or cut");
}

#[test]
fn a_publisher_whose_connection_is_reset_keeps_its_players_and_goes_on() {
    let server = Server::start(&["publish.grace=20s"]);
    let tags = read_file(&Clip::standard().path);
    let half = tags.iter().position(|tag| tag.timestamp > 2000).unwrap();
    let mut client = publisher(&server);
    send(&mut client, &tags[..half], |tag| tag.timestamp);
    server.wait_on_air();
    let flv = record(&server);
    let mut player = Client::play(server.rtmp, "live", "movie");
    let rtmp = thread::spawn(move || std::iter::from_fn(|| player.tag().unwrap()).collect::<Vec<_>>());
    server.wait_for_stream("movie", "watched", |s| s["players"].as_array().unwrap().len() == 2);
    // Closed so, the connection ends with a reset in place of an orderly end.
    SockRef::from(client.socket()).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    server.wait_for_log("publisher lost, waiting for its return");
    let away = server.wait_for_stream("movie", "away", |s| s["state"] == "reconnecting");
    assert_eq!(away["players"].as_array().unwrap().len(), 2, "players stay");
    let mut client = publisher(&server);
    send(&mut client, &tags, |tag| tag.timestamp);
    client.stop();
    for got in [flv.join().unwrap(), rtmp.join().unwrap()] {
        let first = tags.iter().find(|tag| tag.is_keyframe()).unwrap();
        let cut = got.iter().rposition(|tag| tag.body == first.body).expect("the first picture after the return");
        for kind in [Kind::Video, Kind::Audio] {
            let times: Vec<_> = got.iter().filter(|t| t.kind == kind && t.is_frame()).map(|t| t.timestamp).collect();
            assert!(times.windows(2).all(|w| w[0] < w[1]), "{kind:?}");
        }
        assert_eq!(shifts(Kind::Video, &tags, &got[cut..]).len(), 200, "every picture from there on");
    }
    server.wait_for_log("stream ended");
    assert_eq!(server.logged("stream ended").len(), 1, "one stream");
}

#[test]
fn takeovers_in_quick_succession_and_wrong_keys_disturb_no_player() {
    let server = Server::start(&[]);
    let tags = read_file(&Clip::standard().path);
    let second = tags.iter().position(|tag| tag.timestamp > 1000).unwrap();
    let mut first = publisher(&server);
    send(&mut first, &tags[..second], |tag| tag.timestamp);
    server.wait_on_air();
    let flv = record(&server);
    let mut ghosts = vec![first];
    for n in 0..10 {
        assert!(Client::publish(server.rtmp, "live", "a-wr0ng-key-0f-n0b0dy").started().is_err());
        let mut next = publisher(&server);
        send(&mut next, &tags[..10], |tag| tag.timestamp + n * 1000);
        ghosts.push(next);
    }
    let mut last = publisher(&server);
    send(&mut last, &tags, |tag| tag.timestamp);
    last.stop();
    let got = flv.join().unwrap();
    for kind in [Kind::Video, Kind::Audio] {
        let times: Vec<_> = got.iter().filter(|t| t.kind == kind && t.is_frame()).map(|t| t.timestamp).collect();
        assert!(times.windows(2).all(|w| w[0] < w[1]), "{kind:?}");
        assert!(
            got.iter().rev().find(|t| t.kind == kind && t.is_frame()).map(|t| &t.body)
                == tags.iter().rev().find(|t| t.kind == kind && t.is_frame()).map(|t| &t.body)
        );
    }
    server.wait_for_log("stream ended");
    assert_eq!(server.logged("stream ended").len(), 1);
}

#[test]
fn a_publisher_that_stalls_in_silence_is_shown_as_away_and_goes_on() {
    let server = Server::start(&[]);
    let tags = read_file(&Clip::standard().path);
    let half = tags.iter().position(|tag| tag.timestamp >= 3000).unwrap();
    let mut client = publisher(&server);
    send(&mut client, &tags[..half], |tag| tag.timestamp);
    server.wait_on_air();
    let flv = record(&server);
    let begun = Instant::now();
    server.wait_for_stream("movie", "shown as away", |s| s["state"] == "reconnecting");
    let away = u32::try_from(begun.elapsed().as_millis()).unwrap();
    send(&mut client, &tags[half..], |tag| tag.timestamp + away);
    server.wait_on_air();
    client.stop();
    let got = flv.join().unwrap();
    assert!(got.iter().any(|tag| tag.is_keyframe() && tag.timestamp > 3000 + away), "the picture after the pause");
    server.wait_for_log("stream ended");
    assert_eq!(server.logged("stream ended").len(), 1);
}

#[test]
fn a_resolution_that_changes_on_one_connection_reaches_every_player_with_its_header_first() {
    let server = Server::start(&["hls.segment=1s", "hls.window=12"]);
    let (small, large) =
        (read_file(&Recipe::new(4).make().path), read_file(&Recipe::new(4).size("640x360").make().path));
    let mut client = publisher(&server);
    let split = small.iter().position(|tag| tag.timestamp > 400).unwrap();
    send(&mut client, &small[..split], |tag| tag.timestamp);
    server.wait_on_air();
    let flv = record(&server);
    let mut player = Client::play(server.rtmp, "live", "movie");
    let rtmp = thread::spawn(move || std::iter::from_fn(|| player.tag().unwrap()).collect::<Vec<_>>());
    let http = server.http;
    let waiting = thread::spawn(move || hls::media(http, PLAYLIST));
    send(&mut client, &small[split..], |tag| tag.timestamp);
    send(&mut client, &large, |tag| 4050 + tag.timestamp);
    let late = server.wait_for_stream("movie", "large", |s| s["video"]["width"] == 640);
    assert_eq!(late["state"], "live");
    waiting.join().unwrap();
    client.stop();
    for got in [flv.join().unwrap(), rtmp.join().unwrap()] {
        let header =
            |tags: &[Tag]| tags.iter().find(|t| t.kind == Kind::Video && t.is_sequence_header()).unwrap().body.clone();
        let change = got.iter().rposition(|tag| tag.body == header(&large)).expect("the other header");
        let of = |source: &[Tag], tag: &Tag| source.iter().any(|s| s.body == tag.body);
        let is_picture = |tag: &&Tag| tag.kind == Kind::Video && tag.is_frame();
        assert!(got[..change].iter().filter(is_picture).all(|tag| of(&small, tag)), "small before the header");
        let after: Vec<_> = got[change..].iter().filter(is_picture).collect();
        assert!(after.len() == 100 && after[0].is_keyframe() && after.iter().all(|tag| of(&large, tag)));
    }
    let last = eventually("the end", || Some(hls::media(server.http, PLAYLIST)).filter(|p| p.end_list));
    assert_eq!(last.segments.iter().filter(|s| s.discontinuity).count(), 1, "{last:#?}");
    decodes(&server);
}

#[test]
fn a_publisher_whose_parameter_sets_come_within_pictures_only() {
    let server = Server::start(&["hls.segment=1s"]);
    let mut tags = read_file(&Clip::standard().path);
    let header = tags.iter().position(|t| t.kind == Kind::Video && t.is_sequence_header()).unwrap();
    let avc = millrace_media::AvcConfig::parse(tags.remove(header).body[5..].to_vec().into()).unwrap();
    let sets: Vec<u8> = [&avc.sps()[0], &avc.pps()[0]]
        .iter()
        .flat_map(|set| [&u32::try_from(set.len()).unwrap().to_be_bytes()[..], set].concat())
        .collect();
    for tag in tags.iter_mut().filter(|tag| tag.is_keyframe()) {
        tag.body.splice(5..5, sets.iter().copied());
    }
    let mut client = publisher(&server);
    let split = tags.iter().position(|tag| tag.timestamp > 400).unwrap();
    send(&mut client, &tags[..split], |tag| tag.timestamp);
    let stream = server.wait_on_air();
    assert_eq!((&stream["video"]["width"], &stream["video"]["height"]), (&320.into(), &180.into()));
    let flv = record(&server);
    let waiting = thread::spawn({
        let http = server.http;
        move || hls::media(http, PLAYLIST)
    });
    send(&mut client, &tags[split..], |tag| tag.timestamp);
    waiting.join().unwrap();
    client.stop();
    let got = flv.join().unwrap();
    let headers = got.iter().filter(|t| t.kind == Kind::Video && t.is_sequence_header());
    assert_eq!(headers.map(|t| t.body[5..].to_vec()).collect::<Vec<_>>(), [avc.raw().to_vec()]);
    eventually("the end", || Some(hls::media(server.http, PLAYLIST)).filter(|p| p.end_list));
    decodes(&server);
}
