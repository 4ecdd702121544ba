//! Work in the background by processes of its own, which come and go.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use millrace_e2e::{Server, clip::Recipe, clip::Temporary, eventually, http, process::ffmpeg, site::Creator};
use serde_json::Value;

use crate::videos::{copied, decoded, mp4};

/// FFmpeg and ffprobe; the former reads no faster than a file plays, so that it can be met in the middle of its work.
fn slow_ffmpeg() -> Temporary {
    let directory = Temporary::new("slow-ffmpeg");
    fs::create_dir(directory.path()).unwrap();
    let program = |name: &str| -> String {
        let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).output().unwrap();
        String::from_utf8(found.stdout).unwrap().trim().to_owned()
    };
    let ffmpeg = program(&ffmpeg());
    let script = format!(
        "#!/bin/sh\nfor a; do shift; [ \"$a\" = -i ] && set -- \"$@\" -re; set -- \"$@\" \"$a\"; done\nexec {ffmpeg} \"$@\"\n"
    );
    let path = directory.path().join("ffmpeg");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let ffprobe = program(&ffmpeg.replace("ffmpeg", "ffprobe"));
    std::os::unix::fs::symlink(ffprobe, directory.path().join("ffprobe")).unwrap();
    directory
}

#[test]
fn a_worker_that_is_killed_in_the_middle_of_its_work_is_replaced_by_another() {
    let server = Server::start(&["jobs.lease=3s", "transcode.at_once=0", "transcode.heights=240"]);
    let creator = Creator::set_up(&server);
    let slow = slow_ffmpeg();
    let path = format!("ffmpeg.path={}", slow.path().join("ffmpeg").display());
    let first = server.worker(&["transcode.at_once=1", &path]);
    let seconds = 15;
    let (_file, bytes) = mp4(&Recipe::new(seconds).video_kbit_s(800));
    let upload = creator.begin_upload(bytes.len());
    creator.finish_upload(&upload, 0, &bytes);
    let job = |wish: &dyn Fn(&Value) -> bool| {
        let jobs = creator.get("/api/v1/admin/jobs?kind=video.transcode");
        Some(jobs["items"][0].clone()).filter(|job| wish(job))
    };
    let begun = eventually("a rendition is half made", || {
        job(&|job| job["state"] == "running" && job["progress"].as_f64() > Some(0.1))
    });
    assert_eq!(begun["note"], "making 240p");
    first.kill();
    let scratch = || fs::read_dir(server.data().join("scratch")).map_or(0, Iterator::count);
    assert!(scratch() > 0, "what it was at is left behind");

    let _second = server.worker(&["transcode.at_once=1"]);
    let done = eventually("another worker has made it", || job(&|job| job["state"] == "done"));
    assert_eq!(done["id"], begun["id"]);
    assert_ne!(done["worker"], begun["worker"]);
    assert!(done["attempts"].as_u64() >= Some(2), "{done}");
    let video = eventually("all work is done", || {
        let video = creator.get(&format!("/api/v1/videos/{}", upload.video));
        Some(video).filter(|video| video["own"]["work"].as_array().is_some_and(Vec::is_empty))
    });
    assert_eq!(video["media"]["renditions"], serde_json::json!(["240"]));
    let playlist = server.http_url(&format!("/videos/{}/240/video.m3u8", upload.video));
    assert_eq!(decoded(&playlist, "0:v").len(), seconds as usize * 25, "not a picture more or less");
    assert_eq!(scratch(), 0, "nothing of the first worker's is left");
}

#[test]
fn whatever_it_is_at_when_a_worker_is_killed_the_result_is_right() {
    let server = Server::start(&["jobs.lease=3s", "ffmpeg.path=/nonexistent/ffmpeg", "transcode.heights=144"]);
    let creator = Creator::set_up(&server);
    let slow = slow_ffmpeg();
    let path = format!("ffmpeg.path={}", slow.path().join("ffmpeg").display());
    let mut worker = server.worker(&[&path]);
    let seconds = 6;
    // In Matroska, so that it is copied into another container before anything else.
    let (_file, bytes) = copied(&Recipe::new(seconds), "matroska");
    let upload = creator.begin_upload(bytes.len());
    creator.finish_upload(&upload, 0, &bytes);
    let job = |kind: &str| creator.get(&format!("/api/v1/admin/jobs?kind={kind}"))["items"][0].clone();
    let mut killed = Vec::new();
    for kind in ["video.process", "video.pictures", "video.transcode"] {
        // What a worker had that was killed stays its own for a while.
        let begun = eventually(kind, || {
            Some(job(kind)).filter(|job| job["state"] == "running" && !killed.contains(&job["worker"]))
        });
        worker.kill();
        killed.push(begun["worker"].clone());
        worker = server.worker(&[&path]);
        let done = eventually("another worker does it", || {
            Some(job(kind)).filter(|job| job["worker"].is_string() && !killed.contains(&job["worker"]))
        });
        assert_eq!(done["id"], begun["id"]);
    }
    let made = |video: &Value| {
        let media = &video["media"];
        media["renditions"] == serde_json::json!(["144"]) && media["storyboard_url"].is_string()
    };
    let video = eventually("all is made", || {
        Some(creator.get(&format!("/api/v1/videos/{}", upload.video))).filter(|video| made(video))
    });
    assert_eq!((&video["state"], &video["own"]["work"]), (&"ready".into(), &serde_json::json!([])), "{video}");
    for name in ["original", "144"] {
        let playlist = server.http_url(&format!("/videos/{}/{name}/video.m3u8", upload.video));
        assert_eq!(decoded(&playlist, "0:v").len(), seconds as usize * 25, "{name}");
    }
    for picture in ["thumbnails/0.jpg", "storyboard.vtt", "storyboard/0.jpg"] {
        let path = format!("/videos/{}/{picture}", upload.video);
        assert_eq!(http::get(server.http, &path).status, 200, "{picture}");
    }
    assert_eq!(
        fs::read_dir(server.data().join("scratch")).unwrap().count(),
        0,
        "nothing is left of those who were killed"
    );
}
