//! Videos on demand: uploads that outlive the server, and files that play from where they lie.

use std::{fs, net::SocketAddr, process::Command};

use millrace_e2e::{
    Server,
    clip::{Recipe, Temporary},
    eventually, http,
    http::Connection,
    process::ffmpeg,
    site::Creator,
};

/// An MP4 with its index at the end, as encoders leave it.
pub(crate) fn mp4(recipe: &Recipe) -> (Temporary, Vec<u8>) {
    copied(recipe, "mp4")
}

/// The same in another container, by FFmpeg's name for it.
pub(crate) fn copied(recipe: &Recipe, container: &str) -> (Temporary, Vec<u8>) {
    let clip = recipe.make();
    let file = Temporary::new(container);
    let made = Command::new(ffmpeg())
        .args(["-v", "error", "-i"])
        .arg(&clip.path)
        .args(["-c", "copy", "-f", container])
        .arg(file.path())
        .status()
        .unwrap();
    assert!(made.success());
    let bytes = fs::read(file.path()).unwrap();
    (file, bytes)
}

/// The same file with so many further bytes, which no reader minds.
pub(crate) fn padded(mp4: &[u8], further: usize) -> Vec<u8> {
    let size = u32::try_from(further).unwrap().to_be_bytes();
    // A box of the kind `free` (ISO/IEC 14496-12 §8.1.2), whose bytes tell their place.
    let filling = (8..further).map(|n| (n % 251) as u8);
    [mp4, &size, b"free", &filling.collect::<Vec<_>>()].concat()
}

/// What is seen and heard: time and hash of each decoded frame of a track, from the first picture's time on.
pub(crate) fn decoded(input: &str, track: &str) -> Vec<(i64, String)> {
    let output = Command::new(ffmpeg())
        .args(["-v", "error", "-i", input, "-map", track, "-f", "framemd5", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let frames = lines.map(|line| {
        let fields: Vec<_> = line.split(',').map(str::trim).collect();
        (fields[2].parse::<i64>().unwrap(), fields[5].to_owned())
    });
    frames.collect()
}

/// The same without the time at which the first of them is.
pub(crate) fn from_zero(mut frames: Vec<(i64, String)>) -> Vec<(i64, String)> {
    let first = frames[0].0;
    frames.iter_mut().for_each(|(time, _)| *time -= first);
    frames
}

fn url(http: SocketAddr, path: &str) -> String {
    format!("http://{http}{path}")
}

#[test]
fn an_upload_goes_on_after_the_server_was_killed_and_plays_as_it_is() {
    let mut server = Server::start(&["ffmpeg.path=/nonexistent/ffmpeg"]);
    let creator = Creator::set_up(&server);
    let (file, bytes) = mp4(&Recipe::new(12).video_kbit_s(800));
    let upload = creator.begin_upload(bytes.len());

    // Killed while bytes come.
    let mut sender = Connection::open(server.http);
    let half = bytes.len() / 2;
    sender.send_raw(creator.continue_upload(&upload, 0, bytes.len()).as_bytes());
    sender.send_raw(&bytes[..half]);
    eventually("some of it has come", || {
        let uploads = creator.get("/api/v1/users/me/uploads");
        uploads["items"][0]["received"].as_u64().filter(|received| *received > 0)
    });
    server.crash_and_restart();
    let received = creator.received(&upload);
    assert!(received > 0 && received <= half, "{received} of {half}");
    creator.finish_upload(&upload, received, &bytes[received..]);
    creator.wait_for_video(&upload.video, "ready");

    let path = format!("/videos/{}", upload.video);
    assert!(http::get(server.http, &path).body == bytes, "not a byte more or less");
    let (hls, file) = (url(server.http, &format!("{path}/index.m3u8")), file.path().to_str().unwrap().to_owned());
    for track in ["0:v", "0:a"] {
        let (played, original) = (decoded(&hls, track), decoded(&file, track));
        assert_eq!(from_zero(played), from_zero(original), "{track}");
    }
    let metrics = String::from_utf8(http::get(server.ops, "/metrics").body).unwrap();
    let whole = format!("millrace_video_sent_bytes_total{{kind=\"file\"}} {}\n", bytes.len());
    assert!(metrics.contains(&whole), "what the kernel sends is counted as well: {metrics}");
    assert!(metrics.contains("millrace_video_viewers 1\n"), "{metrics}");
}

#[test]
fn a_server_that_was_killed_once_all_was_sent_has_it() {
    let mut server = Server::start(&["ffmpeg.path=/nonexistent/ffmpeg"]);
    let creator = Creator::set_up(&server);
    let (_file, bytes) = mp4(&Recipe::new(3));
    for _ in 0..3 {
        let upload = creator.begin_upload(bytes.len());
        let mut sender = Connection::open(server.http);
        sender.send_raw(creator.continue_upload(&upload, 0, bytes.len()).as_bytes());
        sender.send_raw(&bytes);
        // Wherever it is at this moment.
        server.crash_and_restart();
        let received = creator.received(&upload);
        if received < bytes.len() {
            creator.finish_upload(&upload, received, &bytes[received..]);
        }
        creator.wait_for_video(&upload.video, "ready");
        assert!(http::get(server.http, &format!("/videos/{}", upload.video)).body == bytes);
    }
}

#[test]
fn what_is_deleted_goes_and_what_is_kept_stays_wherever_the_server_is_killed() {
    let mut server = Server::start(&["ffmpeg.path=/nonexistent/ffmpeg", "trash.keep=0s", "jobs.lease=3s"]);
    let creator = Creator::set_up(&server);
    let (_file, bytes) = mp4(&Recipe::new(1));
    let publish = || creator.publish(&bytes);
    let kept = publish();
    for _ in 0..3 {
        let others: Vec<_> = (0..6).map(|_| publish()).collect();
        for video in &others {
            assert_eq!(creator.send("DELETE", &format!("/api/v1/videos/{video}"), &[], b"").status, 200);
        }
        creator.run_timer("videos.purge");
        // Wherever it is at this moment.
        server.crash_and_restart();
        for video in &others {
            assert_eq!(http::get(server.http, &format!("/videos/{video}")).status, 404);
        }
    }
    let stored = || {
        let entries = fs::read_dir(server.data().join("objects")).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_file()).count()
    };
    eventually("nothing is stored of what was deleted", || {
        ["videos.purge", "objects.collect"].into_iter().for_each(|timer| creator.run_timer(timer));
        (stored() == 1).then_some(())
    });
    assert!(http::get(server.http, &format!("/videos/{kept}")).body == bytes);
    creator.wait_for_video(&kept, "ready");
}
