//! The server under test.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Instant,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    Clip, Program,
    clip::Temporary,
    eventually, http,
    process::{Ended, ffmpeg},
};

/// A server process with the stream `live/movie`.
///
/// When dropped it must still run, and must have logged no error: a test may pass only if the
/// server got through it as well.
#[derive(Debug)]
pub struct Server {
    program: Option<Program>,
    directory: Temporary,
    settings: Vec<String>,
    /// The stream's key.
    pub key: String,
    /// The HTTP port.
    pub http: SocketAddr,
    /// The RTMP port.
    pub rtmp: SocketAddr,
    /// The diagnostics port.
    pub ops: SocketAddr,
}

impl Server {
    /// Starts a server with these settings (`hls.segment=1s`) beside the defaults.
    #[track_caller]
    pub fn start(settings: &[&str]) -> Self {
        let directory = Temporary::new("server");
        fs::create_dir(directory.path()).unwrap();
        let key = format!("k3y-{}-q7f2m9xa", directory.path().file_name().unwrap().to_str().unwrap());
        let configuration = format!("[[streams]]\napp = \"live\"\nname = \"movie\"\nkey = \"{key}\"\n");
        fs::write(directory.path().join("millrace.toml"), configuration).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = settings.iter().map(|s| (*s).to_owned()).collect();
        let mut server = Self { program: None, directory, settings, key, http: any, rtmp: any, ops: any };
        server.run();
        server
    }

    /// One of the program's commands (`storage move --from …`), with the settings of this server.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary());
        let inherited = std::env::vars().filter(|(name, _)| name.starts_with("MILLRACE_"));
        inherited.for_each(|(name, _)| _ = command.env_remove(name));
        command.args(words).current_dir(self.directory.path());
        for setting in
            ["log.format=json", "thumbnails.enabled=false"].into_iter().chain(self.settings.iter().map(|s| &**s))
        {
            command.args(["--set", setting]);
        }
        command
    }

    /// Starts it, on the ports that it had before if any.
    fn run(&mut self) {
        let mut command = self.command(&["serve"]);
        for (flag, address) in [("--http", self.http), ("--rtmp", self.rtmp), ("--ops", self.ops)] {
            command.args([flag, &address.to_string()]);
        }
        self.program = Some(Program::spawn(&mut command));
        let serving = self.wait_for_log("serving");
        let address = |name: &str| serving[name].as_str().unwrap().parse().unwrap();
        (self.http, self.rtmp, self.ops) = (address("http"), address("rtmp"), address("ops"));
    }

    /// Starts `millrace worker` beside it, with the same settings and further ones.
    #[track_caller]
    pub fn worker(&self, settings: &[&str]) -> Program {
        let mut command = self.command(&["worker"]);
        settings.iter().for_each(|setting| _ = command.args(["--set", setting]));
        Program::spawn(&mut command)
    }

    /// Where it keeps what it keeps.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Kills the process as a power cut would, and starts another on the same ports.
    pub fn crash_and_restart(&mut self) {
        self.program.take().unwrap().kill();
        self.run();
    }

    /// Asks it to end, and starts another on the same ports, with further settings.
    #[track_caller]
    pub fn restart_with(&mut self, settings: &[&str]) {
        let program = self.program.take().unwrap();
        program.signal(Signal::TERM);
        program.wait().success();
        self.settings.extend(settings.iter().map(|s| (*s).to_owned()));
        self.run();
    }

    /// Asks it to end, and waits until it has. The test goes on without it.
    #[track_caller]
    pub fn terminate(mut self) -> Ended {
        let program = self.program.take().unwrap();
        program.signal(Signal::TERM);
        program.wait()
    }

    /// The running process.
    pub fn process(&self) -> &Program {
        self.program.as_ref().unwrap()
    }

    /// What it has logged so far, those lines that are JSON.
    pub fn log(&self) -> Vec<Value> {
        self.process().stderr().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// All lines of the log with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        self.log().into_iter().filter(|line| line["message"] == message).collect()
    }

    /// Waits for the first line with this message.
    #[track_caller]
    pub fn wait_for_log(&self, message: &str) -> Value {
        eventually(&format!("{message:?} in {:#?}", self.process().stderr()), || {
            self.logged(message).into_iter().next()
        })
    }

    /// The diagnostics.
    #[track_caller]
    pub fn diagnostics(&self) -> Value {
        let response = http::get(self.ops, "/streams");
        assert_eq!(response.status, 200);
        serde_json::from_slice(&response.body).unwrap()
    }

    /// What the diagnostics say of a stream.
    pub fn stream(&self, name: &str) -> Option<Value> {
        self.diagnostics()["streams"].as_array().unwrap().iter().find(|s| s["name"] == name).cloned()
    }

    /// Waits until a stream is as wished.
    #[track_caller]
    pub fn wait_for_stream(&self, name: &str, what: &str, wish: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        let started = Instant::now();
        while started.elapsed() < crate::PATIENCE {
            last = self.stream(name);
            if let Some(stream) = last.take_if(|stream| wish(stream)) {
                return stream;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("stream {name} is not {what}: {last:#?}\n{:#?}", self.process().stderr());
    }

    /// Waits until `live/movie` has a publisher and tracks.
    #[track_caller]
    pub fn wait_on_air(&self) -> Value {
        self.wait_for_stream("movie", "on air", |stream| stream["state"] == "live")
    }

    /// Waits until there is no such stream any more.
    #[track_caller]
    pub fn wait_off_air(&self, name: &str) {
        eventually("the end of the stream", || self.stream(name).is_none().then_some(()));
    }

    /// Where `live/movie` is published.
    pub fn publish_url(&self) -> String {
        format!("rtmp://{}/live/{}", self.rtmp, self.key)
    }

    /// Where `live/movie` is played over RTMP.
    pub fn rtmp_url(&self) -> String {
        format!("rtmp://{}/live/movie", self.rtmp)
    }

    /// A URL of the HTTP port.
    pub fn http_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// Starts FFmpeg, which publishes the clip as `live/movie` in real time.
    pub fn publish(&self, clip: &Clip) -> Program {
        publish(clip, &self.publish_url())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut program) = self.program.take()
            && !std::thread::panicking()
        {
            assert!(program.is_running(), "the server is down: {:#?}", program.stderr());
            let log = program.stderr();
            let bad = |line: &&String| line.contains("panicked") || line.contains(r#""level":"ERROR""#);
            let bad: Vec<_> = log.iter().filter(bad).collect();
            assert!(bad.is_empty(), "{bad:#?}");
        }
    }
}

/// Starts FFmpeg, which publishes the clip to a URL in real time.
pub fn publish(clip: &Clip, url: &str) -> Program {
    publish_with(clip, &[], url)
}

/// The same, with further options of the output.
pub fn publish_with(clip: &Clip, options: &[&str], url: &str) -> Program {
    let before = ["-v", "warning", "-nostats", "-re", "-i", clip.file(), "-c", "copy"];
    // Without the flags it complains that it cannot go back to the header.
    let after = ["-flvflags", "no_duration_filesize", "-f", "flv", url];
    Program::start(&ffmpeg(), [&before, options, &after].concat())
}

/// The server's program: that of `MILLRACE_BIN`, or what Cargo builds now.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var_os("MILLRACE_BIN").map_or_else(build, PathBuf::from))
}

/// Has Cargo build the server in the profile and the directory of this test. Where it is fresh, this
/// takes no time; and a stale one would be worse than none.
fn build() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let profile = program.ancestors().nth(2).unwrap();
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--quiet", "--package", "millrace-server", "--target-dir"]).arg(profile.parent().unwrap());
    match profile.file_name().unwrap().to_str().unwrap() {
        "debug" => {}
        other => _ = command.args(["--profile", other]),
    }
    let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "the server does not build: run `cargo build -p millrace-server`, or set MILLRACE_BIN");
    profile.join("millrace")
}
