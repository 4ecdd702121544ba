//! A site that keeps its files in a bucket.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, thread};

use millrace_e2e::{
    Server,
    clip::Recipe,
    eventually, http,
    http::Connection,
    s3::{Addressing, S3},
    site::{Creator, Upload},
};
use serde_json::{Value, json};

use crate::videos::{decoded, from_zero, mp4, padded};

/// A server with these settings, and its files in that bucket.
fn server(s3: &S3, addressing: Addressing, settings: &[&str]) -> Server {
    let bucket = s3.settings(addressing);
    let bucket: Vec<&str> = bucket.iter().map(String::as_str).collect();
    Server::start(&[&bucket, settings].concat())
}

/// Files below the data directory that belong to uploads on their way, or would be objects on the disk.
fn on_disk(server: &Server) -> usize {
    let below = |name| fs::read_dir(server.data().join(name)).map_or(0, Iterator::count);
    below("uploads") + below("objects")
}

/// A video of the API's form, which takes it in one go.
fn send_form(creator: &Creator, bytes: &[u8]) -> String {
    let field = |name: &str, value: &str| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes()
    };
    let file = b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"clip.mp4\"\r\n\r\n";
    let body = [&field("visibility", "public"), &file[..], bytes, b"\r\n--x--\r\n"].concat();
    let made = creator.send("POST", "/api/v1/videos", &["Content-Type: multipart/form-data; boundary=x"], &body);
    assert_eq!(made.status, 201, "{}", made.text());
    serde_json::from_slice::<Value>(&made.body).unwrap()["id"].as_str().unwrap().to_owned()
}

#[test]
fn files_in_a_bucket_are_watched_worked_on_and_deleted() {
    for addressing in [Addressing::Path, Addressing::Host] {
        let s3 = S3::start();
        let server = server(&s3, addressing, &["transcode.heights=144", "trash.keep=0s"]);
        let creator = Creator::set_up(&server);
        let (file, bytes) = mp4(&Recipe::new(4));
        let file = file.path().to_str().unwrap();
        let videos = [creator.publish(&bytes), send_form(&creator, &bytes)];
        for video in &videos {
            creator.wait_for_video(video, "ready");
            let path = format!("/videos/{video}");
            for track in ["0:v", "0:a"] {
                let played = decoded(&server.http_url(&format!("{path}/index.m3u8")), track);
                assert_eq!(from_zero(played), from_zero(decoded(file, track)), "{track}");
            }
            assert!(http::get(server.http, &path).body == bytes, "not a byte more or less");
            let size = bytes.len();
            for (range, part) in [
                ("0-0".to_owned(), 0..1),
                ("-1000".to_owned(), size - 1000..size),
                (format!("{}-", size / 3), size / 3..size),
                (format!("{}-{}", size / 2, size / 2 + 4999), size / 2..size / 2 + 5000),
            ] {
                let got = http::send(server.http, "GET", &path, &[&format!("Range: bytes={range}")], b"");
                assert_eq!(got.status, 206);
                assert!(got.body == bytes[part], "{range}");
            }
        }
        for video in &videos {
            let video = eventually("all work is done", || {
                let video = creator.get(&format!("/api/v1/videos/{video}"));
                Some(video).filter(|video| video["own"]["work"].as_array().is_some_and(Vec::is_empty))
            });
            assert_eq!(video["media"]["renditions"], json!(["144"]));
            let rendition = format!("/videos/{}/144/video.m3u8", video["id"].as_str().unwrap());
            assert_eq!(decoded(&server.http_url(&rendition), "0:v").len(), 4 * 25, "not a picture more or less");
            let pictures = video["media"]["thumbnails"].as_array().unwrap();
            assert_eq!(pictures.len(), 3);
            for picture in pictures.iter().chain([&video["thumbnail_url"]]) {
                let got = http::get(server.http, picture.as_str().unwrap());
                assert_eq!((got.status, &got.body[..3]), (200, &b"\xff\xd8\xff"[..]), "a picture in JPEG");
            }
        }
        assert!(s3.objects().len() >= 2 * 6, "all of it is in the bucket: {:?}", s3.objects());
        assert_eq!(on_disk(&server), 0, "and nothing here");

        for video in &videos {
            assert_eq!(creator.send("DELETE", &format!("/api/v1/videos/{video}"), &[], b"").status, 200);
        }
        eventually("nothing is left in the bucket", || {
            ["videos.purge", "objects.collect"].into_iter().for_each(|timer| creator.run_timer(timer));
            s3.objects().is_empty().then_some(())
        });
    }
}

/// Sends what is missing of an upload, without waiting for the answer.
fn send_all(server: &Server, creator: &Creator, upload: &Upload, bytes: &[u8]) -> Connection {
    let mut sender = Connection::open(server.http);
    sender.send_raw(creator.continue_upload(upload, 0, bytes.len()).as_bytes());
    sender.send_raw(bytes);
    sender
}

/// The memory that a server has for its data, bytes: its code is not counted, which is read from disk whenever it is first needed.
fn memory(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process().pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Sets what it has at its end, whichever way that comes.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The most memory that a server has while something is done, bytes.
fn peak<T>(server: &Server, work: impl FnOnce() -> T) -> (u64, T) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let at_end = Done(&done);
        let most = scope.spawn(|| {
            let mut most = memory(server);
            while !done.load(Ordering::Relaxed) {
                most = most.max(memory(server));
                thread::sleep(Duration::from_millis(2));
            }
            most
        });
        let result = work();
        drop(at_end);
        (most.join().unwrap(), result)
    })
}

#[test]
fn large_files_go_into_a_bucket_without_being_held_in_memory() {
    const AT_ONCE: usize = 4;
    let s3 = S3::start();
    let server = server(&s3, Addressing::Path, &["ffmpeg.path=/nonexistent/ffmpeg"]);
    let creator = Creator::set_up(&server);
    let (_file, bytes) = mp4(&Recipe::new(1));
    // What is needed once and for all.
    for _ in 0..3 {
        creator.publish(&padded(&bytes, 9 << 20));
    }
    let before = memory(&server);
    let large = padded(&bytes, 40 << 20);
    let (most, videos) = peak(&server, || {
        thread::scope(|scope| {
            let sent: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| creator.publish(&large))).collect();
            sent.into_iter().map(|video| video.join().unwrap()).collect::<Vec<String>>()
        })
    });
    let more = most.saturating_sub(before) / AT_ONCE as u64;
    assert!(more < 2 << 20, "{more} bytes more for each of {AT_ONCE} files of {}", large.len());
    for video in videos {
        assert!(http::get(server.http, &format!("/videos/{video}")).body == large);
    }
}

#[test]
fn an_upload_to_a_bucket_goes_on_wherever_the_server_is_killed() {
    let s3 = S3::start();
    let mut server = server(&s3, Addressing::Path, &["ffmpeg.path=/nonexistent/ffmpeg"]);
    let creator = Creator::set_up(&server);
    let (_file, bytes) = mp4(&Recipe::new(12).video_kbit_s(800));

    // While bytes come from the sender.
    let upload = creator.begin_upload(bytes.len());
    let mut sender = Connection::open(server.http);
    sender.send_raw(creator.continue_upload(&upload, 0, bytes.len()).as_bytes());
    sender.send_raw(&bytes[..bytes.len() / 2]);
    eventually("some of it has come", || {
        let uploads = creator.get("/api/v1/users/me/uploads");
        uploads["items"][0]["received"].as_u64().filter(|received| *received > 0)
    });
    server.crash_and_restart();
    let received = creator.received(&upload);
    creator.finish_upload(&upload, received, &bytes[received..]);
    let (first, clip) = (upload.video, bytes.len());

    // While they go to the bucket, which takes them in parts: nobody has to send anything again.
    s3.hold();
    let bytes = padded(&bytes, 20 << 20);
    let upload = creator.begin_upload(bytes.len());
    let _sender = send_all(&server, &creator, &upload, &bytes);
    eventually("it is on its way to the bucket", || (s3.held() > 0).then_some(()));
    assert_eq!(creator.received(&upload), bytes.len(), "it is received");
    server.crash_and_restart();
    s3.release();
    for (video, bytes) in [(&first, &bytes[..clip]), (&upload.video, &bytes[..])] {
        creator.wait_for_video(video, "ready");
        assert!(http::get(server.http, &format!("/videos/{video}")).body == bytes);
    }
    assert_eq!((s3.objects().len(), on_disk(&server)), (2, 0));
}

#[test]
fn a_video_that_is_deleted_on_its_way_to_a_bucket_leaves_nothing() {
    let s3 = S3::start();
    let server = server(&s3, Addressing::Path, &["ffmpeg.path=/nonexistent/ffmpeg", "trash.keep=0s"]);
    let creator = Creator::set_up(&server);
    let (_file, bytes) = mp4(&Recipe::new(1));
    s3.hold();
    let upload = creator.begin_upload(bytes.len());
    let mut sender = send_all(&server, &creator, &upload, &bytes);
    eventually("it is on its way to the bucket", || (s3.held() > 0).then_some(()));
    let given_up = creator.send("DELETE", &upload.place, &["Tus-Resumable: 1.0.0"], b"");
    assert_eq!(given_up.status, 409, "it is received already");
    let video = format!("/api/v1/videos/{}", upload.video);
    assert_eq!(creator.send("DELETE", &video, &[], b"").status, 200);
    eventually("it is out of the trash", || {
        creator.run_timer("videos.purge");
        (creator.send("GET", &video, &[], b"").status == 404).then_some(())
    });
    s3.release();
    // The answer is there once the server is done with it.
    sender.response(true);
    assert_eq!((s3.objects().len(), on_disk(&server)), (0, 0));
    assert_eq!(creator.get("/api/v1/users/me/videos")["items"], json!([]));
}
