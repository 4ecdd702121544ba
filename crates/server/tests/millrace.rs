//! The binary as its operator meets it: messages, exit codes, signals.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{self, Receiver},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const KEY: &str = "k3v9xa-0q7f2m-a-key-of-the-tests";
/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A working directory of a test's own.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("millrace-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with_configuration(toml: &str) -> Self {
        let directory = Self::new();
        fs::write(directory.0.join("millrace.toml"), toml).unwrap();
        directory
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        let inherited = std::env::vars().filter(|(name, _)| name.starts_with("MILLRACE_"));
        inherited.for_each(|(name, _)| _ = command.env_remove(name));
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null());
        command
    }

    /// Runs to the end.
    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server on ports of the system's choice, with a log that can be read.
struct Server {
    child: Child,
    log: Receiver<String>,
    seen: Vec<String>,
    http: SocketAddr,
    rtmp: SocketAddr,
    ops: SocketAddr,
}

impl Server {
    fn start(directory: &Directory, command: &str, arguments: &[&str]) -> Self {
        Self::start_with(directory, command, arguments, &[])
    }

    /// The same with further variables in its environment.
    fn start_with(directory: &Directory, command: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let any = "127.0.0.1:0";
        let arguments = [&["--http", any, "--rtmp", any, "--ops", any], arguments].concat();
        let (mut server, serving) = Self::spawn(directory, command, "serving", &arguments, variables);
        let address = |name: &str| serving[name].as_str().unwrap().parse().unwrap();
        (server.http, server.rtmp, server.ops) = (address("http"), address("rtmp"), address("ops"));
        server
    }

    /// A worker, and what it says when it begins. Its ports are nowhere.
    fn worker(directory: &Directory, arguments: &[&str]) -> (Self, Value) {
        Self::spawn(directory, "worker", "working", arguments, &[])
    }

    fn spawn(
        directory: &Directory,
        command: &str,
        begun: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> (Self, Value) {
        let mut child = directory
            .command(&[command, "--set", "log.format=json"])
            .args(arguments)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, log) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { child, log, seen: Vec::new(), http: nowhere, rtmp: nowhere, ops: nowhere };
        let said = server.wait_for(begun);
        (server, said)
    }

    /// The next line of the log that has this message.
    fn wait_for(&mut self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left).unwrap_or_else(|_| panic!("no {message:?} in {:#?}", self.seen));
            self.seen.push(line.clone());
            if let Ok(value) = serde_json::from_str::<Value>(&line)
                && value["message"] == message
            {
                return value;
            }
        }
    }

    /// The process that the server has started.
    fn only_child(&self) -> Pid {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let lists = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap());
        let children: Vec<i32> = lists
            .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
            .collect();
        let [child] = children[..] else { panic!("one child is expected, found {children:?}") };
        Pid::from_raw(child).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().try_into().unwrap()).unwrap(), signal).unwrap();
    }

    /// Waits for the end; gives the exit status, what was printed and not yet read, and what was logged.
    fn end(mut self) -> (ExitStatus, String, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end: {:#?}", self.seen);
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut printed = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut printed).unwrap();
        }
        self.seen.extend(self.log.iter());
        (status, printed, self.seen.join("\n"))
    }

    fn stop(self) -> (ExitStatus, String, String) {
        self.signal(Signal::TERM);
        self.end()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status line and body of an answer.
fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

/// Status line of the answer to a request with JSON.
fn send(address: SocketAddr, method: &str, path: &str, json: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = json.len();
    write!(
        socket,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{json}"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn serving_without_streams_shows_how_to_add_one_and_that_works() {
    let directory = Directory::new();
    let mut server = Server::start(&directory, "serve", &[]);
    assert_eq!(get(server.http, "/healthz"), ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    assert_eq!(get(server.http, "/readyz").1, "ready\n");
    assert_eq!(get(server.ops, "/healthz").1, "ok\n");
    assert_eq!(
        serde_json::from_str::<Value>(&get(server.ops, "/streams").1).unwrap(),
        serde_json::json!({"players": 0, "streams": []})
    );

    // What was printed is in the pipe before the log says "serving"; take the snippet as an operator would.
    let mut printed = BufReader::new(server.child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let snippet: Vec<_> = printed.by_ref().skip_while(|line| line.trim() != "[[streams]]").take(4).collect();
    assert_eq!(snippet[3].trim(), r#"key = "SECRET""#, "what is not read in a terminal may be kept by anyone");
    let advice: Vec<_> = printed.by_ref().take(6).collect();
    assert!(advice.iter().any(|line| line.trim() == "Stream key  SECRET"), "{advice:#?}");
    assert!(
        advice.iter().any(|line| line.ends_with(&format!("-f flv rtmp://{}/live/SECRET", server.rtmp))),
        "{advice:#?}"
    );
    fs::write(directory.0.join("millrace.toml"), snippet.join("\n")).unwrap();
    server.signal(Signal::HUP);
    server.wait_for("the configuration is wrong; nothing is changed");
    fs::write(directory.0.join("millrace.toml"), snippet.join("\n").replace("SECRET", KEY)).unwrap();
    server.signal(Signal::HUP);
    assert_eq!(server.wait_for("streams are reloaded")["streams"], 1);

    let (status, _, log) = server.stop();
    assert!(status.success(), "{status}: {log}");
    assert!(!log.contains(KEY), "{log}");
}

#[test]
fn a_wrong_reload_changes_nothing_and_names_the_line() {
    let directory = Directory::with_configuration(&format!("[[streams]]\nname = \"movie\"\nkey = \"{KEY}\"\n"));
    let mut server = Server::start(&directory, "serve", &[]);
    fs::write(directory.0.join("millrace.toml"), "[gop]\ncount = 9\n").unwrap();
    server.signal(Signal::HUP);
    let line = server.wait_for("the configuration is wrong; nothing is changed");
    assert_eq!(line["error"], "millrace.toml:2: gop.count: expected a whole number from 0 to 8, found 9");

    fs::write(directory.0.join("millrace.toml"), "[gop]\ncount = 2\n").unwrap();
    server.signal(Signal::HUP);
    assert_eq!(server.wait_for("changed, but wait for a restart")["keys"], "gop.count");
    assert!(server.stop().0.success());
}

#[test]
fn keys_are_neither_printed_nor_logged() {
    let toml = format!("[log]\nlevel = \"trace\"\n[[streams]]\nname = \"movie\"\nkey = \"{KEY}\"\n");
    let server = Server::start(&Directory::with_configuration(&toml), "serve", &[]);
    let (status, printed, log) = server.stop();
    assert!(status.success());
    assert!(!printed.contains("[[streams]]"), "with a stream there is nothing to explain: {printed}");
    assert!(!printed.contains(KEY) && !log.contains(KEY));
}

#[test]
fn connections_that_stay_do_not_hold_up_the_end() {
    let server = Server::start(&Directory::new(), "serve", &["--set", "shutdown.timeout=5m"]);
    let silent = [server.rtmp, server.http, server.ops].map(|port| TcpStream::connect(port).unwrap());
    let half_said = [server.http, server.ops].map(|port| {
        let mut stream = TcpStream::connect(port).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nx: ").unwrap();
        stream
    });
    let (status, _, log) = server.stop();
    assert!(status.success(), "{log}");
    assert!(log.contains(r#""message":"ended""#), "{log}");
    drop((silent, half_said));
}

#[test]
fn systemd_is_told_what_the_server_does() {
    let directory = Directory::new();
    let path = directory.0.join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = |wanted: &str| {
        let mut buffer = [0; 256];
        loop {
            let n = socket.recv(&mut buffer).unwrap_or_else(|e| panic!("no {wanted}: {e}"));
            let text = text(&buffer[..n]);
            if text.lines().any(|line| line == wanted) {
                return text;
            }
        }
    };
    let path = path.to_str().unwrap();
    let server = Server::start_with(&directory, "serve", &[], &[("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "200000")]);
    heard("READY=1");
    heard("WATCHDOG=1");
    server.signal(Signal::HUP);
    assert!(heard("RELOADING=1").contains("MONOTONIC_USEC="));
    heard("READY=1");
    let stop = std::thread::spawn(move || server.stop());
    heard("STOPPING=1");
    assert!(stop.join().unwrap().0.success());
}

#[test]
fn limits_and_the_level_of_the_log_are_taken_on_reload() {
    let directory = Directory::with_configuration("[limits]\ntrusted = \"\"\nconnections_per_address = 1\n");
    let mut server = Server::start(&directory, "serve", &[]);
    let kept = TcpStream::connect(server.rtmp).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !get(server.ops, "/metrics").1.contains("millrace_connections{port=\"rtmp\"} 1") {
        assert!(Instant::now() < deadline);
    }
    let (status, body) = get(server.http, "/");
    assert_eq!(status, "HTTP/1.1 429 Too Many Requests");
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["error_code"], "009");
    // A connection is counted for a moment after its client has closed it.
    let toml = "[limits]\ntrusted = \"\"\nconnections_per_address = 10\n[log]\nlevel = \"debug\"\n";
    fs::write(directory.0.join("millrace.toml"), toml).unwrap();
    server.signal(Signal::HUP);
    server.wait_for("streams are reloaded");
    assert_eq!(get(server.http, "/healthz").0, "HTTP/1.1 200 OK");
    assert_eq!(get(server.http, "/").0, "HTTP/1.1 200 OK");
    drop(kept);
    let (status, _, log) = server.stop();
    assert!(status.success());
    assert!(!log.contains("wait for a restart"), "{log}");
    assert!(log.contains(r#""level":"DEBUG""#), "{log}");
}

#[test]
fn check_reads_the_certificate() {
    let directory = Directory::new();
    let any = "127.0.0.1:0";
    let check = |more: &[&str]| {
        let arguments = ["check", "--http", any, "--rtmp", any, "--ops", any, "--set", "rtmps.listen=127.0.0.1:0"];
        let output = directory.run(&[&arguments, more].concat());
        (output.status.success(), text(&output.stdout))
    };
    assert!(check(&[]).1.contains("ok    tls: no certificate, so no RTMPS\n"));
    let files = ["--set", "tls.certificate=cert.pem", "--set", "tls.key=key.pem"];
    let (sound, found) = check(&files);
    assert!(!sound && found.contains("fail  tls: cert.pem (tls.certificate): cannot be read: No such file"), "{found}");
    let write = || {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(directory.0.join("cert.pem"), pair.cert.pem()).unwrap();
        pair.signing_key.serialize_pem()
    };
    let (first, second) = (write(), write());
    fs::write(directory.0.join("key.pem"), first).unwrap();
    let (sound, found) = check(&files);
    assert!(
        !sound && found.contains("fail  tls: key.pem (tls.key): this is not the key of the certificate in cert.pem"),
        "{found}"
    );
    fs::write(directory.0.join("key.pem"), second).unwrap();
    fs::set_permissions(directory.0.join("key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let (sound, found) = check(&files);
    assert!(sound && found.contains("ok    tls: certificate valid until 4096-01-01T00:00:00Z\n"), "{found}");
    assert!(found.contains("warn  tls: every user can read the private key; chmod o-r key.pem\n"), "{found}");
    assert!(found.contains("(rtmps.listen) is free"), "{found}");
}

#[test]
fn the_demonstration_without_ffmpeg_says_so_and_serves() {
    let directory = Directory::new();
    let mut server = Server::start(&directory, "demo", &["--set", "ffmpeg.path=/nonexistent/ffmpeg"]);
    let missing =
        "the demonstration channel stays off air: FFmpeg does not start; `apt install ffmpeg`, or set ffmpeg.path";
    assert_eq!(server.wait_for(missing)["path"], "/nonexistent/ffmpeg");
    assert_eq!(get(server.http, "/readyz").1, "ready\n");
    let page = format!("Open     http://{}/@demo", server.http);
    let http = server.http;
    let (status, printed, log) = {
        // The password that it prints is the administrator's.
        let mut lines = BufReader::new(server.child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut printed: Vec<String> = Vec::new();
        while !printed.last().is_some_and(|line| line.contains("Stop ")) {
            printed.push(lines.next().expect("the greeting is whole"));
        }
        let printed = printed.join("\n");
        let password = printed.split("as demo, password ").nth(1).unwrap().lines().next().unwrap();
        let log_in = format!(r#"{{"username": "demo", "password": "{password}"}}"#);
        assert!(send(http, "POST", "/api/v1/sessions", &log_in).contains(" 201 "), "{printed}");
        let (status, _, log) = server.stop();
        assert!(!log.contains(password));
        (status, printed, log)
    };
    assert!(status.success());
    assert!(printed.contains(&page), "{printed}");
    let again = Server::start(&directory, "demo", &["--set", "ffmpeg.path=/nonexistent/ffmpeg"]);
    let (_, printed, _) = again.stop();
    assert!(printed.contains("as demo; where the password is lost"), "the account stays: {printed}");
    assert_eq!(log.matches(missing).count(), 1, "once is enough");
    assert!(directory.0.join("data/demo").is_dir(), "its data is apart");
}

#[test]
fn the_demonstration_is_on_air_comes_back_and_ends_with_the_server() {
    let directory = Directory::new();
    let mut server = Server::start(&directory, "demo", &[]);
    let on_air = server.wait_for("on air");
    assert_eq!((&on_air["stream"], &on_air["audio"]), (&"live/demo".into(), &"mp4a.40.2".into()));
    let streams: Value = serde_json::from_str(&get(server.ops, "/streams").1).unwrap();
    assert_eq!(streams["streams"][0]["video"]["width"], 1280);

    let first = server.only_child();
    kill_process(first, Signal::KILL).unwrap();
    server.wait_for("the demonstration channel's FFmpeg ended");
    server.wait_for("the demonstration channel starts");
    assert_eq!(server.wait_for("publisher connected")["again"], true);
    let second = server.only_child();
    assert_ne!(first, second);

    let (status, _, log) = server.stop();
    assert!(status.success(), "{log}");
    assert!(!Path::new(&format!("/proc/{second}")).exists(), "FFmpeg ends with the server");
}

#[test]
fn a_port_in_use_names_port_and_holder() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let any = "127.0.0.1:0";
    let output = Directory::new().run(&["serve", "--http", &address, "--rtmp", any, "--ops", any]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    let expected = format!(
        "millrace: cannot listen on {address} (http.listen): port {} is held by ",
        taken.local_addr().unwrap().port()
    );
    assert!(error.starts_with(&expected), "{error}");
    let holder = format!("(process {}); stop it, or choose another with --http ADDRESS\n", std::process::id());
    assert!(error.ends_with(&holder), "{error}");
    assert_eq!(error.lines().count(), 1, "no backtrace: {error}");

    let output = Directory::new().run(&["check", "--http", &address, "--rtmp", any, "--ops", any]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).contains(&format!("fail  port: cannot listen on {address}")),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn a_worker_tells_of_its_work_where_it_is_told_to() {
    let directory = Directory::new();
    let (worker, working) = Server::worker(&directory, &["--ops", "127.0.0.1:0"]);
    let ops: SocketAddr = working["ops"].as_str().unwrap().parse().unwrap();
    assert_eq!(get(ops, "/healthz"), ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    assert_eq!(get(ops, "/readyz").1, "ready\n");
    let deadline = Instant::now() + PATIENCE;
    // Jobs are counted a moment after the start.
    let metrics = loop {
        let (_, metrics) = get(ops, "/metrics");
        if metrics.contains("millrace_jobs_ended_total") {
            break metrics;
        }
        assert!(Instant::now() < deadline, "{metrics}");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(metrics.contains("millrace_jobs_running_here{kind=\"jobs.prune\"} 0"), "{metrics}");
    assert!(metrics.contains("millrace_build_info{"), "{metrics}");
    assert!(!metrics.contains("millrace_players"), "a worker has none: {metrics}");

    let address = ops.to_string();
    let output = directory.run(&["worker", "--ops", &address]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.contains(&format!("cannot listen on {address} (ops.listen): port {} is held by", ops.port())),
        "{error}"
    );
    assert!(error.contains("choose another with --ops ADDRESS"), "{error}");
    // The server's default is not a worker's.
    let (quiet, working) = Server::worker(&directory, &[]);
    assert_eq!(working.get("ops"), None);
    for worker in [worker, quiet] {
        let (status, _, log) = worker.stop();
        assert!(status.success(), "{log}");
    }
}

#[test]
fn a_wrong_configuration_stops_the_start() {
    let directory = Directory::with_configuration("[http]\nlisen = \"127.0.0.1:0\"\n[gop]\ncount = 9\n");
    let output = directory.run(&["serve"]);
    assert_eq!(output.status.code(), Some(1));
    let expected = "millrace: millrace.toml:2: unknown key http.lisen; did you mean http.listen?\n\
                    millrace: millrace.toml:4: gop.count: expected a whole number from 0 to 8, found 9\n";
    assert_eq!(text(&output.stderr), expected);

    let output = directory.command(&["check"]).env("MILLRACE_HLS__WINDOWS", "5").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let expected = "fail  configuration: millrace.toml:2: unknown key http.lisen; did you mean http.listen?\n\
                    fail  configuration: millrace.toml:4: gop.count: expected a whole number from 0 to 8, found 9\n\
                    fail  configuration: environment: unknown key MILLRACE_HLS__WINDOWS; did you mean MILLRACE_HLS__WINDOW?\n";
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn check_passes_where_all_is_well_and_warns_of_the_rest() {
    let any = "127.0.0.1:0";
    let toml = format!("[ffmpeg]\npath = \"/nonexistent/ffmpeg\"\n[[streams]]\nname = \"movie\"\nkey = \"{KEY}\"\n");
    let directory = Directory::with_configuration(&toml);
    fs::set_permissions(directory.0.join("millrace.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    let output = directory.run(&["check", "--http", any, "--rtmp", any, "--ops", any]);
    let found = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{found}");
    for line in [
        "ok    configuration: millrace.toml",
        "ok    streams: 1 configured",
        "warn  streams: millrace.toml holds stream keys and every user can read it; chmod o-r millrace.toml",
        "ok    port: 127.0.0.1:0 (rtmp.listen) is free",
        "warn  ffmpeg: /nonexistent/ffmpeg does not start; there are no pictures and other sizes, only videos in MP4 and \
         MOV play, and the demonstration channel is off. \
         `apt install ffmpeg`, or set ffmpeg.path",
    ] {
        assert!(found.lines().any(|found| found == line), "{line}\n---\n{found}");
    }
    assert!(found.contains("data_dir: ./data: ") && found.contains("open files: "), "{found}");
    assert!(!directory.0.join("data").exists(), "it looks and leaves nothing behind");
    assert!(!found.contains(KEY) && !found.contains("proxy"));
    let check = |settings: &[&str]| {
        let arguments = [&["check", "--http", any, "--rtmp", any, "--ops", any], settings].concat();
        text(&directory.run(&arguments).stdout)
    };
    let by_https = ["--set", "site.public_url=https://video.example"];
    assert!(check(&by_https).contains("name its address in http.trusted_proxies\n"));
    assert!(!check(&[&by_https[..], &["--set", "http.trusted_proxies=127.0.0.1"]].concat()).contains("proxy: "));
}

#[test]
fn what_is_no_directory_is_no_data_directory() {
    let directory = Directory::with_configuration("");
    let any = "127.0.0.1:0";
    let output =
        directory.run(&["serve", "--http", any, "--rtmp", any, "--ops", any, "--data-dir", "millrace.toml/data"]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.starts_with("millrace: millrace.toml/data: the data directory cannot be made: "), "{error}");
    assert!(error.ends_with("; set data_dir, or --data-dir DIR\n"), "{error}");
}

#[test]
fn documents_are_printed() {
    let directory = Directory::new();
    let openapi: Value = serde_json::from_slice(&directory.run(&["openapi"]).stdout).unwrap();
    assert!(openapi["openapi"].as_str().unwrap().starts_with("3.1"));
    let version = text(&directory.run(&["--version"]).stdout);
    assert_eq!(version, format!("millrace {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_copy_of_the_database_is_made_while_it_serves_and_can_be_restored() {
    let directory = Directory::new();
    let server = Server::start(&directory, "serve", &[]);
    let done = directory.run(&["backup", "copy.db"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(text(&done.stdout).contains("site.key"), "{}", text(&done.stdout));
    let again = directory.run(&["backup", "copy.db"]);
    assert!(!again.status.success() && text(&again.stderr).contains("already"), "{}", text(&again.stderr));
    server.stop();
    fs::rename(directory.0.join("copy.db"), directory.0.join("data/millrace.db")).unwrap();
    let restored = Server::start(&directory, "serve", &[]);
    assert!(get(restored.http, "/readyz").0.contains("200"));
}

#[test]
fn the_operator_has_a_hand_on_accounts_while_it_serves() {
    let directory = Directory::with_configuration("[site]\npublic_url = \"https://video.example\"\n");
    let server = Server::start(&directory, "serve", &[]);
    let user = |arguments: &[&str]| {
        let output = directory.run(&[&["user"], arguments].concat());
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let (done, words, error) = user(&["add", "ada", "--role", "admin"]);
    assert!(done && words.contains("https://video.example/reset?token="), "{words}{error}");
    let token = words.split("token=").nth(1).unwrap().split_whitespace().next().unwrap();
    let page = get(server.http, &format!("/reset?token={token}"));
    assert!(page.0.contains("200"), "{}", page.0);
    let set = format!(r#"{{"token": "{token}", "password": "a long sentence of mine"}}"#);
    assert!(send(server.http, "PUT", "/api/v1/password-resets", &set).contains(" 204 "));
    let log_in = r#"{"username": "ada", "password": "a long sentence of mine"}"#;
    assert!(send(server.http, "POST", "/api/v1/sessions", log_in).contains(" 201 "));

    let (done, _, error) = user(&["add", "ada"]);
    assert!(!done && error.contains("taken"), "{error}");
    let (done, _, error) = user(&["set-role", "ada", "viewer"]);
    assert!(!done && error.contains("last administrator"), "{error}");
    let (done, _, error) = user(&["reset-password", "nobody"]);
    assert!(!done && error.contains("millrace user list"), "{error}");
    assert!(user(&["reset-password", "@Ada"]).0, "as it is shown is as good");
    assert!(user(&["reset-password", "ada", "--second-factor"]).0, "also where there is none");
    assert!(user(&["add", "eve"]).0 && user(&["set-role", "eve", "moderator"]).0);
    let (_, list, _) = user(&["list"]);
    let rows: Vec<Vec<&str>> = list.lines().skip(1).map(|line| line.split_whitespace().take(3).collect()).collect();
    assert_eq!(rows, [["ada", "admin", "active"], ["eve", "moderator", "active"]], "{list}");
}

#[test]
fn check_knows_whether_sizes_of_videos_can_be_made() {
    let any = "127.0.0.1:0";
    let directory = Directory::new();
    // An FFmpeg that encodes nothing but H.264 and AAC.
    let program = |name: &str, script: &str| {
        let path = directory.0.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        format!("ffmpeg.path={}", path.display())
    };
    let listed = " V....D libx264  H.264\n A....D aac  AAC";
    let script = format!("case \"$*\" in *-version*) echo ffmpeg version 7.1;; *-encoders*) echo '{listed}';; esac");
    let path = program("ffmpeg", &script);
    program("ffprobe", "echo ffprobe version 7.1");
    let check = |settings: &[&str]| {
        let mut arguments = vec!["check", "--http", any, "--rtmp", any, "--ops", any, "--set", &path];
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        let output = directory.run(&arguments);
        assert_eq!(output.status.code(), Some(0));
        let found = text(&output.stdout);
        found.lines().filter(|line| line.contains(" transcode: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(check(&[]), ["ok    transcode: other sizes of videos in H.264 and AAC"]);
    assert_eq!(
        check(&["transcode.video_codec=av1"]),
        ["warn  transcode: no sizes of videos are made here: this FFmpeg lacks libsvtav1, which codes AV1; \
          set transcode.video_codec, or install one that has it"]
    );
    assert_eq!(
        check(&["transcode.audio_codec=opus"]),
        ["warn  transcode: no sizes of videos are made here: this FFmpeg lacks libopus, which codes Opus; \
          set transcode.audio_codec, or install one that has it"]
    );
    assert!(check(&["transcode.heights=", "transcode.video_codec=av1"]).is_empty());
}

#[test]
fn check_looks_at_the_database_and_changes_nothing() {
    let any = "127.0.0.1:0";
    let check = |directory: &Directory, more: &[&str]| {
        let output = directory.run(&[&["check", "--http", any, "--rtmp", any, "--ops", any], more].concat());
        let found = text(&output.stdout);
        let line = found.lines().find(|line| line.contains("  database: ")).unwrap_or_default().to_owned();
        (output.status.success(), line)
    };
    let directory = Directory::new();
    let nothing = (true, "ok    database: SQLite, empty: the first start makes the tables".to_owned());
    assert_eq!(check(&directory, &[]), nothing);
    let migrated = directory.run(&["migrate"]);
    assert!(migrated.status.success(), "{}", text(&migrated.stderr));
    assert_eq!(check(&directory, &[]), (true, "ok    database: SQLite, of this version".to_owned()));

    fs::write(
        directory.0.join("data/millrace.db"),
        "this is no database, and long enough to be taken for one".repeat(9),
    )
    .unwrap();
    let (sound, line) = check(&directory, &[]);
    assert!(!sound && line.contains("fail  database: ") && line.ends_with("see database.url"), "{line}");
    let nobody = TcpListener::bind(any).unwrap().local_addr().unwrap();
    let url = format!("database.url=postgres://millrace:hidden@{nobody}/millrace");
    let (sound, line) = check(&directory, &["--set", &url]);
    assert!(!sound && line.starts_with("fail  database: ") && !line.contains("hidden"), "{line}");
}

#[test]
fn check_looks_at_the_mail_server() {
    let any = "127.0.0.1:0";
    let directory = Directory::new();
    let check = |more: &[&str]| {
        let set: Vec<_> = more.iter().flat_map(|setting| ["--set", setting]).collect();
        let output = directory.run(&[&["check", "--http", any, "--rtmp", any, "--ops", any], set.as_slice()].concat());
        let words = text(&output.stdout);
        let line = words.lines().find(|line| line.contains("  mail: ")).unwrap_or(&words).to_owned();
        (output.status.success(), line)
    };
    assert_eq!(check(&[]), (true, "ok    mail: none is sent: mail.url is not set".to_owned()));
    let gone = TcpListener::bind(any).unwrap().local_addr().unwrap();
    let (url, from) = (format!("mail.url=smtp://{gone}"), "mail.from=noreply@video.example");
    let (sound, line) = check(&[&url]);
    assert!(!sound && line.contains("set it to the address that letters come from"), "{line}");
    let (sound, line) = check(&[&url, from]);
    assert!(!sound && line.contains("site.public_url is not"), "{line}");
    let (sound, line) = check(&[&url, from, "site.public_url=https://video.example"]);
    assert!(sound && line.starts_with("warn  mail: the mail server cannot be used: "), "{line}");
    let (sound, line) = check(&["mail.url=mail.example"]);
    assert!(!sound && line.contains("smtps://USER:PASSWORD@HOST"), "{line}");
}
