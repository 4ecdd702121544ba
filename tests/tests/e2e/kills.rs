//! What holds wherever the server, or a command of the operator, is killed in the middle of many changes.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use millrace_e2e::{Program, Server, clip::Recipe, clip::Temporary, eventually, http, site::Creator};
use serde_json::{Value, json};

use crate::videos::{mp4, padded};

/// Sends a request to a server that may be killed at any moment; the status, where an answer came.
fn ask(server: SocketAddr, request: &str) -> Option<u16> {
    let mut socket = TcpStream::connect(server).ok()?;
    socket.write_all(request.as_bytes()).ok()?;
    let mut head = [0; 12];
    socket.read_exact(&mut head).ok()?;
    std::str::from_utf8(&head[9..]).ok()?.parse().ok()
}

/// Sends one request after the other, and kills the server once so many are answered, wherever the next one is. How many were
/// answered, all well; the server runs again.
fn killed_amid(server: &mut Server, requests: Vec<String>, killed_after: usize) -> usize {
    let answered = Arc::new(AtomicUsize::new(0));
    let sending = {
        let (answered, address) = (Arc::clone(&answered), server.http);
        thread::spawn(move || {
            let sent = requests.iter().map_while(|request| ask(address, request));
            sent.inspect(|_| _ = answered.fetch_add(1, Ordering::SeqCst)).collect::<Vec<_>>()
        })
    };
    while answered.load(Ordering::SeqCst) < killed_after && !sending.is_finished() {
        thread::sleep(Duration::from_millis(1));
    }
    server.crash_and_restart();
    let statuses = sending.join().unwrap();
    assert!(statuses.len() >= killed_after, "it answers until it is killed: {statuses:?}");
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    statuses.len()
}

/// What a moderator does with one video.
struct Case {
    video: String,
    verdict: &'static str,
    reason: &'static str,
}

impl Case {
    fn decision(&self, moderator: &Creator) -> String {
        let path = format!("/api/v1/videos/{}", self.video);
        let version = &moderator.get(&path)["version"];
        let body = json!({ "decision": self.verdict, "reason": self.reason, "version": version });
        moderator.posting(&format!("/api/v1/admin/review/{}", self.video), &body)
    }

    fn close(&self, moderator: &Creator) -> String {
        moderator.posting(&format!("/api/v1/admin/reports/{}/close", self.video), &json!({}))
    }

    /// Whether it is decided, on every side that can be looked at from.
    fn is_decided(&self, server: &Server, moderator: &Creator, owner: &Creator) -> bool {
        let own = owner.get(&format!("/api/v1/videos/{}", self.video))["own"].clone();
        let decided = own["review"] != "pending";
        let expected = match self.verdict {
            _ if !decided => "pending",
            "approve" => "approved",
            "reject" => "rejected",
            _ => "changes",
        };
        let reason = if decided { self.reason } else { "" };
        assert_eq!((&own["review"], own["review_reason"].as_str().unwrap_or("")), (&json!(expected), reason), "{own}");
        let status = if expected == "approved" { 200 } else { 404 };
        for path in [format!("/api/v1/videos/{}", self.video), format!("/videos/{}/index.m3u8", self.video)] {
            assert_eq!(http::get(server.http, &path).status, status, "{path}: {expected}");
        }
        let queue = moderator.get("/api/v1/admin/review?limit=100");
        assert_eq!(has(&queue, |item| item["id"] == self.video.as_str()), usize::from(!decided), "in the queue");
        let log = moderator.get("/api/v1/admin/audit?action=review-video&limit=100");
        let entry = |entry: &Value| entry["subject"] == self.video.as_str() && entry["details"] == self.verdict;
        assert_eq!(has(&log, entry), usize::from(decided), "in the log");
        decided
    }

    /// Whether its reports are closed, and the log says so.
    fn is_closed(&self, moderator: &Creator) -> bool {
        let reports = moderator.get("/api/v1/admin/reports?limit=100");
        let closed = has(&reports, |report| report["video"]["id"] == self.video.as_str()) == 0;
        let log = moderator.get("/api/v1/admin/audit?action=close-reports&limit=100");
        assert_eq!(has(&log, |entry| entry["subject"] == self.video.as_str()), usize::from(closed), "in the log");
        closed
    }
}

fn has(list: &Value, wish: impl Fn(&Value) -> bool) -> usize {
    list["items"].as_array().unwrap().iter().filter(|item| wish(item)).count()
}

#[test]
fn what_a_moderator_decided_holds_and_the_rest_is_whole_wherever_the_server_is_killed() {
    let mut server = Server::start(&["ffmpeg.path=/nonexistent/ffmpeg"]);
    let moderator = Creator::set_up(&server);
    moderator.set(&json!({ "registration": "open", "default_role": "creator", "review": "all" }));
    let owner = Creator::join(&server, "cora");
    let (_file, bytes) = mp4(&Recipe::new(1));
    let verdicts = [("approve", ""), ("reject", "Not here."), ("changes", "Name the singer.")];
    // Each round it is killed after another number of answers, wherever the next request is at that moment.
    for killed_after in [1, 4, 6, 9] {
        let cases = (0..5).map(|n| {
            let (verdict, reason) = verdicts[n % 3];
            let video = owner.publish(&bytes);
            let report = json!({ "reason": "spam" });
            assert_eq!(moderator.post(&format!("/api/v1/videos/{video}/reports"), &report).status, 204);
            Case { video, verdict, reason }
        });
        let cases: Vec<_> = cases.collect();
        let requests: Vec<_> =
            cases.iter().flat_map(|case| [case.decision(&moderator), case.close(&moderator)]).collect();
        let answered = killed_amid(&mut server, requests, killed_after);
        for (n, case) in cases.iter().enumerate() {
            let holds = [case.is_decided(&server, &moderator, &owner), case.is_closed(&moderator)];
            for (request, holds) in [2 * n, 2 * n + 1].into_iter().zip(holds) {
                match request {
                    told if told < answered => assert!(holds, "{told} was answered"),
                    // This one was on its way: it is done or not.
                    under_way if under_way == answered => {}
                    later => assert!(!holds, "{later} was never sent"),
                }
            }
        }
    }
}

#[test]
fn what_was_taken_out_of_the_trash_is_whole_and_the_rest_hidden_wherever_the_server_is_killed() {
    let mut server = Server::start(&["ffmpeg.path=/nonexistent/ffmpeg"]);
    let owner = Creator::set_up(&server);
    let (_file, bytes) = mp4(&Recipe::new(1));
    let videos: Vec<_> = (0..6).map(|_| owner.publish(&bytes)).collect();
    for killed_after in [1, 3, 5] {
        for video in &videos {
            assert_eq!(owner.send("DELETE", &format!("/api/v1/videos/{video}"), &[], b"").status, 200);
        }
        let restore = |video| owner.posting(&format!("/api/v1/videos/{video}/restore"), &json!({}));
        let answered = killed_amid(&mut server, videos.iter().map(restore).collect(), killed_after);
        for (n, video) in videos.iter().enumerate() {
            let hidden = owner.get(&format!("/api/v1/videos/{video}"))["own"]["trashed_at"].is_string();
            match n {
                told if told < answered => assert!(!hidden, "{told} was answered"),
                under_way if under_way == answered => {}
                later => assert!(hidden, "{later} was never sent"),
            }
            let listed = owner.get("/api/v1/videos?limit=100");
            assert_eq!(has(&listed, |item| item["id"] == video.as_str()), usize::from(!hidden), "in the lists");
            let status = if hidden { 404 } else { 200 };
            for path in ["", "/index.m3u8", "/original/video/0.m4s"] {
                let answer = http::get(server.http, &format!("/videos/{video}{path}"));
                assert_eq!(answer.status, status, "{path}");
                assert!(hidden || !path.is_empty() || answer.body == bytes);
            }
            if hidden {
                assert_eq!(owner.post(&format!("/api/v1/videos/{video}/restore"), &json!({})).status, 200);
            }
        }
    }
}

/// The files of a directory, by name, with what is in them.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(directory) else { return BTreeMap::new() };
    let files = entries.map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_file());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

/// Bytes of the files of a directory. They may come and go.
fn size(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .filter(|file| file.is_file())
        .map(|file| file.len())
        .sum()
}

#[test]
fn files_that_are_moved_are_whole_wherever_the_move_is_killed() {
    let mut server = Server::start(&["ffmpeg.path=/nonexistent/ffmpeg"]);
    let creator = Creator::set_up(&server);
    let (_file, clip) = mp4(&Recipe::new(1));
    let mut videos: Vec<_> = (1..=6)
        .map(|n| {
            let bytes = padded(&clip, n * (4 << 20));
            (creator.publish(&bytes), bytes)
        })
        .collect();
    let elsewhere = Temporary::new("elsewhere");
    let url = format!("file://{}", elsewhere.path().display());
    let (source, parts) = (server.data().join("objects"), elsewhere.path().join(".parts"));
    let before = files(&source);
    assert_eq!(before.len(), videos.len());
    let move_all = |server: &Server, more: &[&str]| {
        let words = ["storage", "move", "--from", "file://objects", "--to", &url];
        Program::spawn(&mut server.command(&[&words, more].concat()))
    };

    let all = before.values().map(Vec::len).sum::<usize>() as u64;
    let arrived = || size(&parts) + size(elsewhere.path());
    for tenths in [1, 3, 5, 8] {
        let moving = move_all(&server, &[]);
        eventually("some of it has arrived", || (arrived() >= all * tenths / 10).then_some(()));
        moving.kill();
        assert!(files(&source) == before, "nothing is lost here");
        for (name, bytes) in files(elsewhere.path()) {
            assert!(before[&name] == bytes, "{name} is there and is not what it was");
        }
        let (video, bytes) = &videos[0];
        assert!(http::get(server.http, &format!("/videos/{video}")).body == *bytes, "the site goes on");
    }
    // What comes meanwhile is moved as well.
    videos.push((creator.publish(&clip), clip.clone()));
    let words = move_all(&server, &[]).wait().success().stdout.join("\n");
    assert!(words.contains("Every copy was read back and compared"), "{words}");
    let after = files(&source);
    assert_eq!(after.len(), videos.len());
    assert!(files(elsewhere.path()) == after, "all of it, and nothing else");
    assert_eq!(fs::read_dir(&parts).unwrap().count(), 0, "nothing half written is left");

    // The site uses the new place, and the old one is emptied, in two goes.
    server.restart_with(&[&format!("storage.url={url}")]);
    let emptying = move_all(&server, &["--delete"]);
    let held = size(&source);
    eventually("some of it has gone", || (size(&source) < held).then_some(()));
    emptying.kill();
    assert!(files(elsewhere.path()) == after);
    move_all(&server, &["--delete"]).wait().success();
    assert!(files(&source).is_empty());
    for (video, bytes) in &videos {
        assert!(http::get(server.http, &format!("/videos/{video}")).body == *bytes, "not a byte more or less");
        assert_eq!(http::get(server.http, &format!("/videos/{video}/original/video/0.m4s")).status, 200);
    }
}
