//! Programs that a test runs: FFmpeg, GStreamer, the server itself.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{PATIENCE, eventually};

/// A running program, whose output is gathered. Ended by its process number when dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    stdout: Gathered,
    stderr: Gathered,
}

/// How a program ended, and all that it said.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Lines of its standard output.
    pub stdout: Vec<String>,
    /// Lines of its standard error.
    pub stderr: Vec<String>,
}

#[derive(Debug)]
struct Gathered {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts a program with these arguments.
    #[track_caller]
    pub fn start<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::spawn(&mut command)
    }

    /// Starts a prepared command.
    #[track_caller]
    pub fn spawn(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|e| panic!("{name} does not start: {e}; `make test` installs it"));
        let stdout = Gathered::new(child.stdout.take().unwrap());
        let stderr = Gathered::new(child.stderr.take().unwrap());
        Self { name, child, stdout, stderr }
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input.
    pub fn stdin(&mut self) -> &mut ChildStdin {
        self.child.stdin.as_mut().unwrap()
    }

    /// What it has said so far on standard output.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.lines()
    }

    /// What it has said so far on standard error.
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.lines()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid().try_into().unwrap()).unwrap(), signal).unwrap();
    }

    /// Ends it without a chance to say goodbye, and waits until it is gone.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.wait()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(self) -> Ended {
        self.wait_for(PATIENCE)
    }

    /// Waits for its end for so long, and panics where that is not enough.
    #[track_caller]
    pub fn wait_for(mut self, patience: Duration) -> Ended {
        let deadline = Instant::now() + patience;
        let status = eventually(&format!("the end of {}: {:#?}", self.name, self.stderr()), || {
            assert!(
                Instant::now() < deadline || self.child.try_wait().unwrap().is_some(),
                "{} runs for more than {patience:?}: {:#?}",
                self.name,
                self.stderr()
            );
            self.child.try_wait().unwrap()
        });
        Ended { status, stdout: self.stdout.finish(), stderr: self.stderr.finish() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Panics unless it ended well.
    #[track_caller]
    pub fn success(self) -> Self {
        assert!(self.status.success(), "{}: {:#?}", self.status, self.stderr);
        self
    }

    /// Takes no notice of the lines on standard error that have these words in them.
    pub fn but_for(mut self, words: &[&str]) -> Self {
        self.stderr.retain(|line| !words.iter().any(|word| line.contains(word)));
        self
    }

    /// Panics unless it ended well and without a word on standard error.
    #[track_caller]
    pub fn silent(self) -> Self {
        assert!(self.status.success() && self.stderr.is_empty(), "{}: {:#?}", self.status, self.stderr);
        self
    }
}

impl Gathered {
    fn new(source: impl std::io::Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                shared.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                line.clear();
            }
        });
        Self { lines, reader: Some(reader) }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything, once the program has closed it.
    fn finish(&mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.lines()
    }
}

/// Whether a program is installed. Says so where it is not: a test that is skipped should be seen.
pub fn installed(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(program).is_file()));
    if !found {
        // Not by `eprintln!`, whose output is hidden where a test passes.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {program} is not installed (`make test` installs it)");
    }
    found
}

/// FFmpeg: the one of the system, or another that `MILLRACE_TEST_FFMPEG` names.
pub fn ffmpeg() -> String {
    std::env::var("MILLRACE_TEST_FFMPEG").unwrap_or_else(|_| "ffmpeg".to_owned())
}

/// A current FFmpeg, which knows Enhanced RTMP: the one that `make test-programs` puts below the target
/// directory, or another that `MILLRACE_TEST_FFMPEG_CURRENT` names.
pub fn current_ffmpeg() -> String {
    if let Ok(named) = std::env::var("MILLRACE_TEST_FFMPEG_CURRENT") {
        return named;
    }
    let program = std::env::current_exe().unwrap();
    let target = program.ancestors().nth(3).expect("tests run in target/<profile>/deps");
    let path = target.join("tools/ffmpeg-current");
    assert!(path.exists(), "{} is missing; `make test-programs` installs it", path.display());
    path.to_str().unwrap().to_owned()
}
