//! What becomes of files that were received, by jobs, on processes with FFmpeg and without.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use millrace_jobs::{Config, Registry, Runner, Work};
use millrace_objects::{Key, Objects};
use millrace_store::testing::fresh_store;
use millrace_store::{
    Error, FileKind, Job, JobFilter, JobState, NewChannel, NewFile, NewUser, NewVideo, PageRequest, Review, Role,
    Store, UserState, Video, VideoState, Visibility,
};
use millrace_transcode::{Ffmpeg, FfmpegConfig, LadderConfig};
use millrace_vod::jobs::{MakeRendition, OpenVideo, ProcessVideo, register};
use millrace_vod::{Title, Variant, Vod, Workshop, multivariant};
use tempfile::TempDir;

/// A process that does jobs, and the rest of a site.
struct Site {
    store: Store,
    objects: Objects,
    directory: TempDir,
}

impl Site {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = fresh_store(directory.path()).await;
        let objects = Objects::open("file://objects", directory.path()).unwrap();
        let new = NewUser {
            handle: "ada",
            display_name: "ada",
            email: None,
            password_hash: "x",
            role: Role::Creator,
            state: UserState::Active,
        };
        let owner = store.create_user(&new).await.unwrap();
        let new = NewChannel { owner_id: &owner.id, handle: "engine", title: "Engine", search_text: "", most: 9 };
        store.create_channel(&new).await.unwrap();
        Self { store, objects, directory }
    }

    /// A video whose file, which FFmpeg makes in this way, was received.
    async fn receive(&self, short_id: &str, name: &str, coding: &str) {
        let path = self.make(name, coding);
        self.receive_file(short_id, name, &path).await;
    }

    fn make(&self, name: &str, coding: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        let arguments = format!("-v error -f lavfi -i testsrc2=s=256x144:r=10 -f lavfi -i sine=440 -t 1 {coding}");
        assert!(Command::new("ffmpeg").args(arguments.split(' ')).arg(&path).status().unwrap().success());
        path
    }

    async fn receive_file(&self, short_id: &str, name: &str, path: &Path) {
        let size = std::fs::metadata(path).unwrap().len();
        let key = Key::new(name.rsplit('.').next().unwrap());
        self.objects.put_file_as(&key, path).await.unwrap();
        let channel = self.store.channel_by_handle("engine").await.unwrap().unwrap();
        let new = NewVideo {
            short_id,
            channel_id: &channel.id,
            title: "A video",
            description: "",
            language: "",
            category: "",
            tags: "[]",
            search_text: "",
            visibility: Visibility::Public,
            password_hash: None,
            publish_at: None,
            review: Review::None,
            file_name: name,
        };
        let video = self.store.create_video(&new).await.unwrap();
        let file = NewFile {
            kind: FileKind::Original,
            name: "",
            object_key: key.as_str(),
            size,
            media_type: "video/mp4",
            width: 0,
            height: 0,
            details: "",
        };
        self.store.put_files(&video.id, &[file]).await.unwrap();
        self.store.set_video_state(&video.id, VideoState::Received, "").await.unwrap();
        self.store.enqueue(&OpenVideo::of(short_id)).await.unwrap();
    }

    /// Does all that waits and that a process can do which has FFmpeg or not, and makes these sizes; `at_once` of them.
    async fn work(&self, ffmpeg: bool, heights: &[u32], at_once: usize) {
        let ffmpeg = match ffmpeg {
            true => Some(Arc::new(Ffmpeg::find(FfmpegConfig::default()).await.unwrap())),
            false => None,
        };
        let workshop = Workshop {
            store: self.store.clone(),
            vod: Vod::new(self.objects.clone()),
            ffmpeg,
            ladder: Arc::new(LadderConfig {
                heights: heights.to_vec(),
                skip_what_the_original_is: false,
                ..LadderConfig::default()
            }),
            scratch: self.directory.path().join("scratch"),
            staging: None,
        };
        let kind_slots = BTreeMap::from([(MakeRendition::KIND.to_owned(), at_once)]);
        let runner = Runner::new(
            self.store.clone(),
            register(Registry::new(), &workshop),
            Config { kind_slots, ..Config::default() },
        );
        runner.run_until_idle().await.unwrap();
    }

    /// A file of a video as it is played.
    async fn title(&self, short_id: &str, kind: FileKind) -> Arc<Title> {
        let files = self.store.files(&self.video(short_id).await.id).await.unwrap();
        let file = files.iter().find(|file| file.kind == kind).unwrap();
        Vod::new(self.objects.clone()).title(&Key::parse(&file.object_key).unwrap()).await.unwrap()
    }

    async fn video(&self, short_id: &str) -> Video {
        self.store.video_by_short_id(short_id).await.unwrap().unwrap().video
    }

    /// The names of its files of a kind.
    async fn files(&self, short_id: &str, kind: FileKind) -> Vec<String> {
        let files = self.store.files(&self.video(short_id).await.id).await.unwrap();
        files.into_iter().filter(|file| file.kind == kind).map(|file| file.name).collect()
    }

    async fn jobs(&self, kind: &str) -> Vec<Job> {
        let filter = JobFilter { kind: Some(kind), ..JobFilter::default() };
        self.store.jobs(&filter, &PageRequest { limit: 100, after: None }).await.unwrap().items
    }

    async fn again(&self, short_id: &str) -> Result<(), Error> {
        self.store.retry_video(&self.video(short_id).await.id, &OpenVideo::of(short_id)).await
    }
}

const H264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p";

#[tokio::test]
async fn without_ffmpeg_what_plays_plays_and_the_rest_waits_for_it() {
    let site = Site::new().await;
    site.receive("mp4", "a.mp4", &format!("{H264} -c:a aac")).await;
    site.receive("mkv", "a.mkv", &format!("{H264} -c:a aac")).await;
    site.work(false, &[72], 1).await;
    let plays = site.video("mp4").await;
    assert_eq!((plays.state, plays.width, plays.height), (VideoState::Ready, 256, 144));
    assert_eq!(site.video("mkv").await.state, VideoState::Processing);
    let waiting = site.jobs(ProcessVideo::KIND).await;
    assert_eq!(waiting.len(), 2);
    assert!(waiting.iter().all(|job| job.state == JobState::Waiting && job.attempts == 0), "{waiting:?}");

    // A process that has it comes.
    site.work(true, &[72], 1).await;
    for id in ["mp4", "mkv"] {
        assert_eq!(site.video(id).await.state, VideoState::Ready, "{id}");
        assert_eq!(site.files(id, FileKind::Rendition).await, ["72"], "{id}");
        assert!(!site.files(id, FileKind::Thumbnail).await.is_empty(), "{id}");
    }
    assert_eq!(site.files("mkv", FileKind::Remux).await, [""]);
    assert_eq!(site.files("mp4", FileKind::Remux).await.len(), 0, "it plays as it is");
}

#[tokio::test]
async fn a_video_is_made_again_where_it_lacks_something() {
    let site = Site::new().await;
    site.receive("mkv", "a.mkv", &format!("{H264} -c:a aac")).await;
    site.work(true, &[72], 1).await;
    let remux = site.store.files(&site.video("mkv").await.id).await.unwrap();
    let remux = remux.into_iter().find(|file| file.kind == FileKind::Remux).unwrap();
    // The site has another size now. Pressed twice, it is done once.
    site.again("mkv").await.unwrap();
    site.again("mkv").await.unwrap();
    assert_eq!(site.jobs(OpenVideo::KIND).await.len(), 2, "the first, and one more");
    site.work(true, &[144, 72], 1).await;
    assert_eq!(site.files("mkv", FileKind::Rendition).await.len(), 2);
    let done = (site.jobs("video.pictures").await.len(), site.jobs(MakeRendition::KIND).await.len());
    assert_eq!(done, (1, 2), "what was there is not made again");
    let files = site.store.files(&site.video("mkv").await.id).await.unwrap();
    assert!(files.contains(&remux), "{files:?}");
    assert_eq!(site.video("mkv").await.state, VideoState::Ready);
}

#[tokio::test]
async fn what_is_worked_on_is_not_made_again() {
    let site = Site::new().await;
    site.receive("mkv", "a.mkv", &format!("{H264} -c:a aac")).await;
    assert!(matches!(site.again("mkv").await, Err(Error::Changed)), "it was received");
    site.work(false, &[72], 1).await;
    assert!(matches!(site.again("mkv").await, Err(Error::Changed)), "it waits for FFmpeg");
}

#[tokio::test]
async fn what_can_become_nothing_that_plays_fails_in_words() {
    let site = Site::new().await;
    site.receive("avi", "old.avi", "-c:v mpeg4 -an").await;
    site.work(true, &[], 1).await;
    let video = site.video("avi").await;
    assert_eq!(video.state, VideoState::Failed);
    assert!(video.failure.contains("no other sizes are made"), "{}", video.failure);
    // The same where sizes were to be made, and are no longer, before any was.
    site.again("avi").await.unwrap();
    site.work(true, &[144], 0).await;
    assert_eq!(site.video("avi").await.state, VideoState::Processing);
    site.work(true, &[72], 1).await;
    let video = site.video("avi").await;
    assert_eq!(video.state, VideoState::Failed);
    assert!(video.failure.contains("no longer made"), "{}", video.failure);
    site.again("avi").await.unwrap();
    site.work(true, &[72], 1).await;
    assert_eq!(site.video("avi").await.state, VideoState::Ready);
    assert_eq!(site.files("avi", FileKind::Rendition).await, ["72"]);
}

#[tokio::test]
async fn mp3_sound_is_coded_anew_while_the_file_plays() {
    let site = Site::new().await;
    site.receive("mp3", "a.mp4", &format!("{H264} -c:a libmp3lame")).await;
    site.work(false, &[], 1).await;
    assert_eq!(site.video("mp3").await.state, VideoState::Ready, "browsers play the file, if not its segments");
    site.work(true, &[], 1).await;
    assert_eq!(site.files("mp3", FileKind::Remux).await, [""]);
    assert_eq!(site.title("mp3", FileKind::Remux).await.facts().audio_codec, "mp4a.40.2");
}

#[tokio::test]
async fn sound_that_few_browsers_play_does_not_stand_in_the_way_of_other_sound() {
    let site = Site::new().await;
    let both = "-map 0 -map 1 -map 1 -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu";
    site.receive("two", "a.mp4", &format!("{both} {H264} -c:a:0 aac -c:a:1 ac3")).await;
    site.receive("same", "b.mp4", &format!("{both} {H264} -c:a aac")).await;
    site.work(false, &[], 1).await;
    for (id, sounds) in [("two", 1), ("same", 2)] {
        let variant = Variant { name: "original".to_owned(), title: site.title(id, FileKind::Original).await };
        let playlist = multivariant(&[variant], "");
        assert_eq!(playlist.matches("TYPE=AUDIO").count(), sounds, "{playlist}");
        assert!(playlist.contains("CODECS=\"avc1.42c00b,mp4a.40.2\""), "{playlist}");
    }
}

#[tokio::test]
async fn pictures_that_are_not_read_here_are_copied_into_what_is() {
    let site = Site::new().await;
    let path = site.make("a.mp4", &format!("{H264} -c:a aac"));
    let mut file = std::fs::read(&path).unwrap();
    // The pictures' edit list (ISO/IEC 14496-12, 8.6.6) asks for double speed.
    let edits = file.windows(4).position(|bytes| bytes == b"elst").unwrap();
    let rate = edits + 4 + 4 + 4 + 8;
    assert_eq!(file[rate..rate + 4], [0, 1, 0, 0]);
    file[rate + 1] = 2;
    std::fs::write(&path, file).unwrap();
    site.receive_file("fast", "a.mp4", &path).await;
    let original = site.title("fast", FileKind::Original).await;
    assert!(original.is_playable() && !original.is_whole(), "there is its sound");
    site.work(true, &[], 1).await;
    assert_eq!(site.video("fast").await.state, VideoState::Ready);
    assert!(site.title("fast", FileKind::Remux).await.is_whole());
}

#[tokio::test]
async fn a_file_with_one_keyframe_is_entered_anywhere_in_its_other_sizes() {
    let site = Site::new().await;
    site.receive("one", "a.mp4", &format!("-t 70 -r 5 {H264} -g 9999 -an")).await;
    site.work(true, &[72], 1).await;
    assert!(!site.title("one", FileKind::Original).await.is_seekable());
    let rendition = site.title("one", FileKind::Rendition).await;
    assert!(rendition.is_seekable() && rendition.boundaries().len() > 10, "{:?}", rendition.boundaries());
}
