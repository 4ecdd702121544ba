//! A program that runs, and ends with whoever started it.
//!
//! It is the leader of a process group of its own, so that whatever it may start ends with it and a terminal's Ctrl-C
//! does not reach it. Beside it a shell waits for the end of a pipe that this process holds: if this process is killed,
//! the shell kills the group. Where there is no shell, a killed server's FFmpeg goes on until it is done.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, setpriority_pgrp};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::error::Error;

/// A program that runs. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// None once it is reaped: its number may be another's then.
    group: Option<Pid>,
    pub(crate) stdout: ChildStdout,
    pub(crate) stderr: ChildStderr,
    /// Dropped in this order: the watcher is gone before its pipe is closed.
    _watcher: Option<(Child, ChildStdin)>,
}

/// What a short task has written.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stdout: Vec<u8>,
    pub(crate) said: String,
    pub(crate) status: ExitStatus,
}

impl Running {
    /// Starts `program`, which gets `nice` of what others leave (0 to 19; on Linux and its kin).
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub(crate) fn start(program: &Path, arguments: &[impl AsRef<OsStr>], nice: u8) -> Result<Self, Error> {
        let missing = |source| Error::Missing { program: program.display().to_string(), source };
        let mut child = Command::new(program)
            .args(arguments)
            // Messages are read: they must be the untranslated ones.
            .env("LC_ALL", "C")
            .env_remove("AV_LOG_FORCE_COLOR")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(missing)?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(missing(std::io::Error::other("it has no pipes")));
        };
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(group) = group {
            // Of the group: on Linux that reaches threads which are there already. Not to be nice is no failure.
            let _ = setpriority_pgrp(Some(group), nice.min(19).into());
        }
        Ok(Self { child, group, stdout, stderr, _watcher: group.and_then(watcher) })
    }

    /// Kills it, and returns when it is gone.
    pub(crate) async fn kill(mut self) {
        self.kill_group();
        let _ = self.wait().await;
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let status = self.child.wait().await;
        if status.is_ok() {
            self.group = None;
        }
        status
    }

    fn kill_group(&mut self) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_group();
    }
}

/// Runs a short task: at most `limit` long, with at most `most` bytes of output.
///
/// # Errors
/// [`Error::Missing`], [`Error::TimedOut`], [`Error::Failed`] where it writes more. What its end means is for the caller.
pub(crate) async fn output(
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
    nice: u8,
    most: usize,
    limit: Duration,
) -> Result<Output, Error> {
    let mut running = Running::start(program, arguments, nice)?;
    let task = async {
        let mut tail = Tail::default();
        let listen = async {
            tail.follow(&mut running.stderr).await;
            Ok(())
        };
        // One that writes too much may never end: its failure does not wait for the other.
        let (stdout, ()) = tokio::try_join!(read_most(&mut running.stdout, most), listen)?;
        let status = running.wait().await?;
        Ok(Output { stdout, said: tail.text(), status })
    };
    match tokio::time::timeout(limit, task).await {
        Ok(done) => done,
        Err(_) => {
            running.kill().await;
            Err(Error::TimedOut(limit))
        }
    }
}

/// Reads all. More than `most` bytes are a failure, upon which the caller drops the program.
async fn read_most(from: &mut (impl AsyncRead + Unpin), most: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    from.take(most as u64 + 1).read_to_end(&mut bytes).await?;
    if bytes.len() > most {
        return Err(Error::Failed(format!("it wrote more than {most} bytes")));
    }
    Ok(bytes)
}

/// The last that a program has said.
#[derive(Debug, Default)]
pub(crate) struct Tail(VecDeque<u8>);

impl Tail {
    /// Reads to the end.
    pub(crate) async fn follow(&mut self, from: &mut (impl AsyncRead + Unpin)) {
        let mut buffer = [0; 2048];
        // What cannot be read is not there to be told.
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            self.0.extend(&buffer[..length]);
            self.0.drain(..self.0.len().saturating_sub(MAX_TAIL));
        }
    }

    pub(crate) fn text(&self) -> String {
        let (a, b) = self.0.as_slices();
        String::from_utf8_lossy(&[a, b].concat()).replace('\r', "\n")
    }
}

/// A shell that kills the group once this process is gone. A newline never comes: `read` fails at the pipe's end alone.
fn watcher(group: Pid) -> Option<(Child, ChildStdin)> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", "read -r _ || kill -s KILL -- \"-$1\"", "sh", &group.as_raw_nonzero().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .inspect_err(|error| tracing::debug!(%error, "no shell to watch over FFmpeg"))
        .ok()?;
    let stdin = child.stdin.take()?;
    Some((child, stdin))
}

/// Bytes of what a program says that are kept.
const MAX_TAIL: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str, most: usize, limit: Duration) -> Result<Output, Error> {
        output(Path::new("/bin/sh"), &["-c", script], 10, most, limit).await
    }

    #[tokio::test]
    async fn output_is_bounded_at_its_limit() {
        let minute = Duration::from_secs(60);
        assert_eq!(sh("printf 12345", 5, minute).await.unwrap().stdout, b"12345");
        assert!(matches!(sh("printf 123456", 5, minute).await, Err(Error::Failed(_))));
        assert!(matches!(sh("yes", 1 << 16, minute).await, Err(Error::Failed(_))));
    }

    #[tokio::test]
    async fn the_last_words_are_kept_and_no_more() {
        let done = sh("yes | head -c 100000 >&2; echo end >&2; exit 3", 0, Duration::from_secs(60)).await.unwrap();
        assert!(done.said.ends_with("y\nend\n"));
        assert!(done.said.len() <= MAX_TAIL);
        assert_eq!(done.status.code(), Some(3));
    }

    #[tokio::test]
    async fn it_is_nice() {
        let running = Running::start(Path::new("/bin/sh"), &["-c", "sleep 600 & wait"], 10).unwrap();
        assert_eq!(rustix::process::getpriority_process(running.group), Ok(10));
        running.kill().await;
    }

    #[tokio::test]
    async fn what_takes_too_long_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        let script = format!("sleep 600 & echo $! > {0}.new; echo $$ >> {0}.new; mv {0}.new {0}; wait", pids.display());
        let run = sh(&script, 10, Duration::from_millis(300));
        assert!(matches!(run.await, Err(Error::TimedOut(_))));
        // Where the shell was too slow to begin at all, there is nothing to look for.
        for pid in std::fs::read_to_string(&pids).unwrap_or_default().lines() {
            let gone = || std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |s| s.contains(") Z "));
            while !gone() {
                tokio::task::yield_now().await;
            }
        }
    }
}
