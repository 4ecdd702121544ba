//! However it ends, nothing runs on and nothing is left.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use millrace_transcode::{Error, Ffmpeg, FfmpegConfig, Keyframes, Made, Probe, Progress, Rung, Speed, Transcode};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, PLAIN, ffmpeg, probe, processes_with, rung, unheard};

/// A source that takes long: the same seconds over and over.
fn long(bench: &Bench) -> PathBuf {
    let short = bench.make("short.mp4", PLAIN);
    let path = bench.make("long.mp4", &format!("-stream_loop 200 -i {} -c copy", short.display()));
    std::fs::remove_file(short).unwrap();
    path
}

struct Slow {
    bench: Bench,
    ffmpeg: Ffmpeg,
    input: PathBuf,
    probe: Probe,
    rung: Rung,
    output: PathBuf,
}

impl Slow {
    async fn new() -> Self {
        let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
        let input = long(&bench);
        let probe = probe(&ffmpeg, &input).await;
        let mut rung = rung(320, 180);
        rung.video.as_mut().unwrap().speed = Speed::Thorough;
        let output = bench.path("out.mp4");
        Self { bench, ffmpeg, input, probe, rung, output }
    }

    async fn run(&self, progress: &watch::Sender<Progress>, cancel: &CancellationToken) -> Result<Made, Error> {
        let keyframes = Keyframes::Every(Duration::from_secs(1));
        let Self { input, probe, rung, output, .. } = self;
        self.ffmpeg.transcode(&Transcode { input, probe, rung, keyframes: &keyframes, output }, progress, cancel).await
    }

    /// FFmpeg's number, once it is at work.
    async fn at_work(&self, mut seen: watch::Receiver<Progress>) -> u32 {
        seen.wait_for(|p| p.fraction > 0.0).await.unwrap();
        assert_eq!(self.bench.names(), [".out.mp4.part", "long.mp4"]);
        let pids = processes_with(self.output.with_file_name(".out.mp4.part").to_str().unwrap());
        assert_eq!(pids.len(), 1);
        pids[0]
    }
}

fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// A zombie is gone but for its parent, who takes its time.
async fn gone(pid: u32) {
    let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    while is_there(pid) && !state().contains(") Z ") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn cancelling_ends_it_at_once() {
    let slow = Slow::new().await;
    let (progress, seen) = watch::channel(Progress::default());
    let cancel = CancellationToken::new();
    let stop = async {
        let pid = slow.at_work(seen).await;
        cancel.cancel();
        pid
    };
    let (made, pid) = tokio::join!(slow.run(&progress, &cancel), stop);
    assert!(matches!(made, Err(Error::Cancelled)));
    assert!(!is_there(pid), "it is reaped as well");
    assert_eq!(slow.bench.names(), ["long.mp4"]);
}

#[tokio::test]
async fn dropping_ends_it_too() {
    let slow = Slow::new().await;
    let (progress, seen) = watch::channel(Progress::default());
    let cancel = CancellationToken::new();
    let pid = tokio::select! {
        made = slow.run(&progress, &cancel) => panic!("{made:?}"),
        pid = slow.at_work(seen) => pid,
    };
    assert_eq!(slow.bench.names(), ["long.mp4"]);
    gone(pid).await;
}

#[tokio::test]
async fn a_kill_from_outside_is_told_and_leaves_nothing() {
    let slow = Slow::new().await;
    let (progress, seen) = watch::channel(Progress::default());
    let cancel = CancellationToken::new();
    let kill = async {
        let pid = slow.at_work(seen).await;
        assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    };
    let (made, ()) = tokio::join!(slow.run(&progress, &cancel), kill);
    let words = made.unwrap_err().to_string();
    assert_eq!(words, "FFmpeg was ended by signal 9, as systems do where memory is short");
    assert_eq!(slow.bench.names(), ["long.mp4"]);
}

/// The server itself is killed: its FFmpeg does not go on without it.
#[tokio::test]
async fn it_ends_with_a_server_that_is_killed() {
    let bench = Bench::new();
    let input = long(&bench);
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ends::a_server_that_waits_to_be_killed", "--ignored"])
        .env(INPUT, &input)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let part = bench.path(".out.mp4.part");
    while !part.exists() {
        assert!(server.try_wait().unwrap().is_none(), "it ended by itself");
        tokio::task::yield_now().await;
    }
    let pids = processes_with(part.to_str().unwrap());
    assert_eq!(pids.len(), 1);
    server.kill().unwrap();
    server.wait().unwrap();
    gone(pids[0]).await;
}

#[tokio::test]
#[ignore = "started by another test, which kills it"]
async fn a_server_that_waits_to_be_killed() {
    let Some(input) = std::env::var_os(INPUT).map(PathBuf::from) else { return };
    let ffmpeg = ffmpeg().await;
    let probe = probe(&ffmpeg, &input).await;
    let mut rung = rung(320, 180);
    rung.video.as_mut().unwrap().speed = Speed::Thorough;
    let (keyframes, output) = (Keyframes::At(Vec::new()), input.with_file_name("out.mp4"));
    let spec = Transcode { input: &input, probe: &probe, rung: &rung, keyframes: &keyframes, output: &output };
    ffmpeg.transcode(&spec, &unheard(), &CancellationToken::new()).await.unwrap();
}

/// What a program that calls itself FFmpeg makes of a transcode.
async fn with_fake(script: &str, stall: Duration) -> (Error, Vec<String>) {
    with_fake_as(script, FfmpegConfig { stall, ..FfmpegConfig::default() }).await
}

async fn with_fake_as(script: &str, config: FfmpegConfig) -> (Error, Vec<String>) {
    let bench = Bench::new();
    let real = ffmpeg().await;
    let input = bench.make("a.mp4", PLAIN);
    let probe = probe(&real, &input).await;
    let lists = "case \"$*\" in *-version*) echo ffmpeg version 7.0;; *-encoders*) echo ' V libx264'; echo ' A aac';; *-filters*) ;;";
    for (name, rest) in [("ffmpeg", script), ("ffprobe", "exit 1")] {
        let program = bench.write(name, format!("#!/bin/sh\n{lists} *) {rest};; esac\n"));
        std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let fake = Ffmpeg::find(FfmpegConfig { path: bench.path("ffmpeg"), ..config }).await.unwrap();
    let (rung, output) = (rung(160, 90), bench.path("out.mp4"));
    let keyframes = Keyframes::At(Vec::new());
    let spec = Transcode { input: &input, probe: &probe, rung: &rung, keyframes: &keyframes, output: &output };
    let error = fake.transcode(&spec, &unheard(), &CancellationToken::new()).await.unwrap_err();
    assert_eq!(processes_with(bench.path("ffmpeg").to_str().unwrap()), Vec::<u32>::new());
    (error, bench.names())
}

/// The last argument is the file to be written.
const WRITE: &str = "for last; do :; done; echo x > \"${last#file:}\"";

#[tokio::test]
async fn one_that_stands_still_is_given_up() {
    let blocks = "while :; do echo frame=1; echo out_time_us=40000; echo progress=continue; sleep 0.01; done";
    let (error, names) = with_fake(&format!("{WRITE}; {blocks}"), Duration::from_millis(300)).await;
    assert!(matches!(error, Error::Stalled(_)), "{error:?}");
    assert_eq!(names, ["a.mp4", "ffmpeg", "ffprobe"]);
    let (error, _) = with_fake("sleep 600", Duration::from_millis(300)).await;
    assert!(matches!(error, Error::Stalled(_)), "{error:?}");
}

#[tokio::test]
async fn a_full_disk_is_told_and_leaves_nothing() {
    let minute = Duration::from_secs(60);
    let words = "echo '[out#0/mp4 @ 0x55] Error writing trailer: No space left on device' >&2";
    // FFmpeg's status is good in some versions where this happens at the very end.
    for status in [0, 1] {
        let (error, names) = with_fake(&format!("{WRITE}; {words}; exit {status}"), minute).await;
        assert!(matches!(error, Error::DiskFull), "{error:?}");
        assert_eq!(names, ["a.mp4", "ffmpeg", "ffprobe"]);
    }
}

#[tokio::test]
async fn what_is_to_be_left_free_is_left_free() {
    let goes_on = "echo out_time_us=40000; echo progress=continue; while :; do :; done";
    let config = FfmpegConfig { reserve: u64::MAX, ..FfmpegConfig::default() };
    let (error, names) = with_fake_as(&format!("{WRITE}; {goes_on}"), config).await;
    assert!(matches!(error, Error::Reserve), "{error:?}");
    assert_eq!(names, ["a.mp4", "ffmpeg", "ffprobe"]);
}

#[tokio::test]
async fn a_flood_of_words_is_bounded_and_the_last_are_told() {
    let flood = "yes noise | head -c 3000000 >&2; echo '[x264 @ 0x55d0] the last words' >&2; exit 1";
    let (error, _) = with_fake(flood, Duration::from_secs(60)).await;
    assert_eq!(error.to_string(), "FFmpeg failed: the last words");
}

#[tokio::test]
async fn what_this_ffmpeg_lacks_is_told_before_it_starts() {
    let bench = Bench::new();
    let input = bench.make("a.mp4", PLAIN);
    let probe = probe(&ffmpeg().await, &input).await;
    for name in ["ffmpeg", "ffprobe"] {
        let program = bench.write(name, "#!/bin/sh\n");
        std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let bare = Ffmpeg::find(FfmpegConfig { path: bench.path("ffmpeg"), ..FfmpegConfig::default() }).await.unwrap();
    let (rung, output, keyframes) = (rung(160, 90), bench.path("out.mp4"), Keyframes::At(Vec::new()));
    let spec = Transcode { input: &input, probe: &probe, rung: &rung, keyframes: &keyframes, output: &output };
    let error = bare.transcode(&spec, &unheard(), &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "this server's FFmpeg lacks libx264");
    assert!(!error.is_the_files());
}

const INPUT: &str = "MILLRACE_TRANSCODE_TEST_INPUT";
