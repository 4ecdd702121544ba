//! HLS in parts: what is waited for comes to all who wait, at once.

use std::sync::Arc;

use bytes::Bytes;
use millrace_hub::{Hub, HubConfig, Publisher, PublisherMeta, StreamId};
use millrace_media::{AacConfig, AudioConfig, Frame, Timestamp, TrackKind, Unit};

use crate::support::server::movie;
use crate::support::web::Head;
use crate::support::{Server, Web};

/// A publisher of sound: a frame each 20 ms, so that ten make a part and fifty the first segment.
pub(crate) struct Radio {
    publisher: Publisher,
    next: i64,
}

impl Radio {
    pub(crate) async fn begin(hub: &Hub, id: &StreamId) -> Self {
        let peer = "127.0.0.1:9".parse().unwrap();
        let mut publisher = hub.publish(id, PublisherMeta { peer, encoder: None, takeover: true }).await.unwrap();
        let aac = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap();
        publisher.send(Unit::AudioConfig(Arc::new(AudioConfig::Aac(aac)))).await.unwrap();
        let mut radio = Self { publisher, next: 0 };
        // On air a second after its first frame, as pictures might have come.
        radio.frames(1).await;
        while hub.info(id).is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            radio.frames(1).await;
        }
        radio
    }

    pub(crate) async fn frames(&mut self, count: i64) {
        for n in self.next..self.next + count {
            let at = Timestamp::from_millis(n * 20);
            let payload = vec![0x21; 100].into();
            let frame = Frame { track: TrackKind::Audio, keyframe: true, dts: at, pts: at, payload };
            self.publisher.send(Unit::Frame(frame)).await.unwrap();
        }
        self.next += count;
    }

    /// Goes on until something has come about.
    pub(crate) async fn plays_until(&mut self, done: impl Future<Output = ()>) {
        let publishing = async {
            loop {
                self.frames(1).await;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = publishing => {}
            () = done => {}
        }
    }
}

async fn get(web: &mut Web, path: &str) -> (Head, Vec<u8>) {
    let head = web.ask(&format!("GET /live/movie{path} HTTP/1.1")).await;
    let body = web.body(&head).await;
    (head, body)
}

async fn playlist(web: &mut Web, query: &str) -> String {
    let (head, body) = get(web, &format!("/cmaf.m3u8{query}")).await;
    let text = String::from_utf8(body).unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/vnd.apple.mpegurl")), "{text}");
    text
}

/// A player that has the first playlist, its publisher, and what the playlist hints at: its name, and
/// the query of the playlist that will have it.
async fn begin(server: &Server) -> (Radio, Web, String, String) {
    let mut radio = Radio::begin(&server.hub, &movie()).await;
    let mut web = Web::connect(server).await;
    let hub = server.hub.clone();
    // Begun by this question; what was sent before is not its own.
    drop(hub.hls(&movie(), millrace_hub::HlsFormat::Cmaf).await.unwrap());
    radio.frames(120).await;
    let text = playlist(&mut web, "").await;
    let hinted =
        text.rsplit("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"").next().unwrap().trim_end_matches("\"\n").to_owned();
    let mut numbers = hinted.split(['-', '.']).skip(1);
    let query = format!("?_HLS_msn={}&_HLS_part={}", numbers.next().unwrap(), numbers.next().unwrap());
    (radio, web, hinted, query)
}

#[tokio::test]
async fn five_hundred_who_wait_are_answered_by_one_part() {
    let server = Server::start(HubConfig::default());
    let (mut radio, mut web, hinted, query) = begin(&server).await;
    let mut waiting = Vec::new();
    for n in 0..500 {
        let mut one = Web::connect(&server).await;
        // Half of them wait for the playlist, half for the part itself.
        let path = if n % 2 == 0 { format!("/cmaf.m3u8{query}") } else { format!("/{hinted}") };
        one.send(&format!("GET /live/movie{path} HTTP/1.1\r\nhost: test\r\n\r\n")).await;
        waiting.push(one);
    }
    // All questions are there before the one that is put now is answered.
    assert!(playlist(&mut web, "").await.contains(&format!("PART,URI=\"{hinted}\"")));
    for one in &waiting {
        let nothing = one.socket.try_read(&mut [0; 1]).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock, "it is not there yet");
    }
    radio.frames(11).await;
    let mut answers = Vec::new();
    for mut one in waiting {
        let head = one.head().await;
        assert_eq!(head.status, 200);
        answers.push(one.body(&head).await);
    }
    let (_, part) = get(&mut web, &format!("/{hinted}")).await;
    assert!(part.windows(4).any(|w| w == b"moof") && part.windows(4).any(|w| w == b"mdat"));
    for (n, answer) in answers.iter().enumerate() {
        match n % 2 {
            0 => assert!(String::from_utf8_lossy(answer).contains(&format!("URI=\"{hinted}\",INDEPENDENT"))),
            _ => assert!(*answer == part),
        }
    }
}

#[tokio::test]
async fn what_is_listed_can_be_had_and_a_segment_is_its_parts() {
    let server = Server::start(HubConfig::default());
    let (_radio, mut web, ..) = begin(&server).await;
    let text = playlist(&mut web, "").await;
    let quoted = |line: &str| line.split('"').nth(1).unwrap().to_owned();
    let (first, _) = text.split_once("#EXTINF").unwrap();
    let mut parts = Vec::new();
    for line in first.lines().filter(|line| line.starts_with("#EXT-X-PART:")) {
        let (head, part) = get(&mut web, &format!("/{}", quoted(line))).await;
        assert_eq!((head.status, head.header("content-type")), (200, Some("video/mp4")));
        assert_eq!(head.header("cache-control"), Some("public, max-age=31536000, immutable"));
        parts.extend(part);
    }
    let segment = text.lines().find(|line| line.ends_with(".m4s")).unwrap();
    assert!(get(&mut web, &format!("/{segment}")).await.1 == parts);
    let map = quoted(text.lines().find(|line| line.starts_with("#EXT-X-MAP:")).unwrap());
    let (head, init) = get(&mut web, &format!("/{map}")).await;
    assert_eq!((head.status, &init[4..8]), (200, &b"ftyp"[..]));
    let head = web.ask(&format!("HEAD /live/movie/{segment} HTTP/1.1")).await;
    assert_eq!(head.header("content-length"), Some(&*parts.len().to_string()));
}

#[tokio::test]
async fn the_first_list_of_whole_segments_has_two_so_that_its_players_do_not_run_dry() {
    let server = Server::start(HubConfig::default());
    let mut radio = Radio::begin(&server.hub, &movie()).await;
    let mut reader = server.hub.hls(&movie(), millrace_hub::HlsFormat::Ts).await.unwrap();
    let mut web = Web::connect(&server).await;
    web.send("GET /live/movie/ts.m3u8 HTTP/1.1\r\nhost: test\r\n\r\n").await;
    radio.frames(110).await;
    let suffices = reader.until(|view| view.snapshot.as_ref().map(|s| s.suffices())).await;
    assert!(!suffices.unwrap(), "there is one segment");
    radio.frames(100).await;
    let head = web.head().await;
    let text = String::from_utf8(web.body(&head).await).unwrap();
    assert_eq!((head.status, text.matches("#EXTINF").count()), (200, 2), "{text}");
}

#[tokio::test]
async fn a_first_list_is_not_held_back_for_ever_nor_beyond_the_end() {
    for ends in [false, true] {
        let server = Server::start(HubConfig::default());
        let mut radio = Radio::begin(&server.hub, &movie()).await;
        let mut web = Web::connect(&server).await;
        web.send("GET /live/movie/ts.m3u8 HTTP/1.1\r\nhost: test\r\n\r\n").await;
        let mut reader = server.hub.hls(&movie(), millrace_hub::HlsFormat::Ts).await.unwrap();
        radio.frames(110).await;
        reader.until(|view| view.snapshot.clone()).await.unwrap();
        // Else it says nothing more for now.
        let _silent = match ends {
            true => {
                radio.publisher.finish();
                None
            }
            false => Some(radio),
        };
        let head = web.head().await;
        let text = String::from_utf8(web.body(&head).await).unwrap();
        assert_eq!((head.status, text.contains("#EXT-X-ENDLIST")), (200, ends), "{text}");
    }
}

#[tokio::test]
async fn dash_has_a_manifest_its_tracks_apart_and_the_servers_clock() {
    let server = Server::start(HubConfig::default());
    let mut stranger = Web::connect(&server).await;
    let (head, body) = get(&mut stranger, ".mpd").await;
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((head.status, &problem["error_code"]), (404, &"006".into()), "{problem}");

    let (_radio, mut web, ..) = begin(&server).await;
    let (head, body) = get(&mut web, ".mpd").await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/dash+xml")));
    assert_eq!(head.header("cache-control"), Some("public, max-age=1"));
    assert_eq!(head.header("access-control-allow-origin"), Some("*"));
    let mpd = String::from_utf8(body).unwrap();
    let value = |name: &str| mpd.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!((value("type"), value("codecs")), ("dynamic".to_owned(), "mp4a.40.2".to_owned()));
    for (path, first) in [(value("initialization"), b"ftyp"), (value("media").replace("$Time$", &value("t")), b"moof")]
    {
        let (head, body) = get(&mut web, path.strip_prefix("movie").unwrap()).await;
        assert_eq!((head.status, head.header("content-type")), (200, Some("video/mp4")), "{path}");
        assert_eq!(head.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert_eq!(&body[4..8], first);
    }
    assert!(mpd.contains(r#"value="movie/clock""#), "{mpd}");
    let (head, clock) = get(&mut web, "/clock").await;
    assert_eq!((head.status, head.header("cache-control")), (200, Some("no-store")));
    assert_eq!(head.header("access-control-allow-origin"), Some("*"));
    let clock = String::from_utf8(clock).unwrap();
    assert!(
        clock.starts_with("20") && clock.ends_with('Z') && clock.len() == "2026-01-01T00:00:00.000Z".len(),
        "{clock}"
    );
}

#[tokio::test]
async fn nonsense_is_refused_in_words() {
    let server = Server::start(HubConfig::default());
    let (_radio, mut web, hinted, _) = begin(&server).await;
    for (query, words) in [
        ("?_HLS_msn=99999999999", "too far ahead"),
        ("?_HLS_part=1", "_HLS_part needs _HLS_msn"),
        ("?_HLS_msn=soon", "decimal number"),
        ("?_HLS_skip=please", "YES or v2"),
    ] {
        let (head, body) = get(&mut web, &format!("/cmaf.m3u8{query}")).await;
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((head.status, &problem["error_code"]), (400, &"001".into()));
        assert!(problem["error"].as_str().unwrap().contains(words), "{problem}");
    }
    let never = hinted.replace(".m4s", "9.m4s");
    assert_eq!(get(&mut web, &format!("/{never}")).await.0.status, 404);
}

#[tokio::test]
async fn the_end_wakes_all_who_wait() {
    let server = Server::start(HubConfig::default());
    let (radio, mut web, _, query) = begin(&server).await;
    let mut part = Web::connect(&server).await;
    let mut list = Web::connect(&server).await;
    let request = |path: &str| format!("GET /live/movie/{path} HTTP/1.1\r\nhost: test\r\n\r\n");
    list.send(&request(&format!("cmaf.m3u8{query}"))).await;
    let next = query.replace("_HLS_part=", "_HLS_part=1");
    part.send(&request(&format!("cmaf.m3u8{next}"))).await;
    playlist(&mut web, "").await;
    radio.publisher.finish();
    for web in [&mut list, &mut part] {
        let head = web.head().await;
        let text = String::from_utf8(web.body(&head).await).unwrap();
        assert!(head.status == 200 && text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
    }
}

#[tokio::test]
async fn only_what_was_sent_counts_as_sent() {
    let server = Server::start(HubConfig::default());
    let (_radio, mut web, _, _) = begin(&server).await;
    let text = playlist(&mut web, "").await;
    let init = text.split("#EXT-X-MAP:URI=\"").nth(1).unwrap().split('"').next().unwrap();
    let sent = || server.hub.players(&movie())[0].bytes;
    let head = web.ask(&format!("HEAD /live/movie/{init} HTTP/1.1")).await;
    assert_eq!((head.status, sent()), (200, 0));
    let (_, body) = get(&mut web, &format!("/{init}")).await;
    assert_eq!((head.header("content-length"), sent()), (Some(&*body.len().to_string()), body.len() as u64));
}

#[tokio::test]
async fn a_viewer_who_is_sent_away_is_refused_and_others_are_not() {
    let server = Server::start(HubConfig::default());
    let (_radio, mut web, _, _) = begin(&server).await;
    let text = playlist(&mut web, "").await;
    let segment = text.lines().find(|line| line.contains(".m4s") && !line.starts_with('#')).unwrap();
    let player = server.hub.players(&movie())[0].id;
    assert!(server.hub.kick_player(&movie(), player));
    for path in [&format!("/{segment}"), "/cmaf.m3u8", "/ts.m3u8"] {
        let (head, body) = get(&mut web, path).await;
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((head.status, &problem["error_code"]), (403, &"005".into()), "{path}");
    }
    assert!(server.hub.players(&movie()).is_empty(), "and counts no longer");
    let head = web.ask("GET /live/movie/cmaf.m3u8 HTTP/1.1\r\nuser-agent: another").await;
    assert_eq!(head.status, 200);
}
