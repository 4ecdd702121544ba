//! Files in another place, as the operator meets it: `millrace storage move` and what `millrace check` says.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// A working directory of a test's own.
struct Directory(TempDir);

impl Directory {
    /// With some files where they are by default.
    fn with_files() -> Self {
        let directory = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(directory.path("data/objects")).unwrap();
        for name in NAMES {
            fs::write(directory.path("data/objects").join(name), name).unwrap();
        }
        directory
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    /// Whether it succeeds, and what it says.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MILLRACE_") || name.starts_with("AWS_"))
        {
            command.env_remove(name);
        }
        let output = command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap();
        let words = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(words).unwrap())
    }
}

#[test]
fn files_move_to_another_directory() {
    let directory = Directory::with_files();
    let place = |name| format!("file://{}", directory.path(name).display());
    let (there, elsewhere) = ("file://objects", place("elsewhere"));
    let moving = |more: &[&str]| {
        directory.run(&[&["storage", "move", "--from", there, "--to", elsewhere.as_str()], more].concat())
    };
    let (done, words) = moving(&[]);
    assert!(done, "{words}");
    assert!(words.contains("2 copied, 0 there before"), "{words}");
    assert_eq!(files(&directory.path("elsewhere")), NAMES);
    assert_eq!(files(&directory.path("data/objects")), NAMES);
    assert!(moving(&[]).1.contains("0 copied, 2 there before"));

    let (done, words) = moving(&["--delete"]);
    assert!(!done && words.contains("set storage.url"), "{words}");
    assert_eq!(files(&directory.path("data/objects")), NAMES, "the site still uses them");
    let now = format!("storage.url={elsewhere}");
    let (done, words) = moving(&["--delete", "--set", &now]);
    assert!(done && words.contains("2 deleted from"), "{words}");
    assert_eq!(files(&directory.path("data/objects")), [""; 0]);
    assert_eq!(files(&directory.path("elsewhere")), NAMES);
}

#[test]
fn a_move_that_cannot_be_says_why() {
    let directory = Directory::with_files();
    let moving = |from: &str, to: &str| directory.run(&["storage", "move", "--from", from, "--to", to]);
    let same = format!("file://{}", directory.path("data/objects").display());
    for (from, to, expected) in [
        ("file://objects", same.as_str(), "the same place"),
        ("objects", "file://other", "--from: storage is file://"),
        ("file://objects", "s3://x", "--to: s3:// wants the name of a bucket"),
        ("file://objects", "s3://media?endpoint=http://127.0.0.1:1", "set storage.access_key_id"),
        ("file://objects", "file:///dev/null/x", "--to: /dev/null/x: the directory cannot be made"),
    ] {
        let (done, words) = moving(from, to);
        assert!(!done && words.contains(expected), "{from} {to}: {words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_move_to_a_bucket() {
    let directory = Directory::with_files();
    let url = format!("s3://media/site?endpoint=http://{}", serve(&directory.path("server")).await);
    fs::write(
        directory.path("millrace.toml"),
        "[storage]\naccess_key_id = \"key\"\nsecret_access_key = \"hush-hush\"\n",
    )
    .unwrap();
    let (done, words) = directory.run(&["storage", "move", "--from", "file://objects", "--to", &url]);
    assert!(done && words.contains("2 copied"), "{words}");
    assert_eq!(files(&directory.path("server/media/site")), NAMES);

    fs::write(directory.path("wrong"), "key\nguessed\n").unwrap();
    fs::write(directory.path("right"), "key\nhush-hush\n").unwrap();
    let back = |file: &str| {
        let move_back = ["storage", "move", "--from", url.as_str(), "--to", "file://back", "--from-credentials", file];
        directory.run(&move_back)
    };
    let (done, words) = back("wrong");
    assert!(!done && words.contains("the credentials are refused") && !words.contains("guessed"), "{words}");
    let (done, words) = back("nowhere");
    assert!(!done && words.contains("nowhere: expected the id"), "{words}");
    let (done, words) = back("right");
    assert!(done, "{words}");
    assert_eq!(files(&directory.path("data/back")), NAMES);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tries_the_storage() {
    let directory = Directory::with_files();
    let address = serve(&directory.path("server")).await;
    let (bucket, missing) =
        (format!("s3://media?endpoint=http://{address}"), format!("s3://other?endpoint=http://{address}"));
    let check = |url: &str, secret: &str| {
        let any = "127.0.0.1:0";
        let (url, secret) = (format!("storage.url={url}"), format!("storage.secret_access_key={secret}"));
        let ports = ["check", "--http", any, "--rtmp", any, "--ops", any, "--set", "storage.access_key_id=key"];
        let (_, words) = directory.run(&[ports.as_slice(), &["--set", &url, "--set", &secret]].concat());
        words.lines().find(|line| line.contains(" storage: ")).unwrap_or(&words).to_owned()
    };
    assert_eq!(check("file://objects", "x"), "ok    storage: ./data/objects: writable");
    assert!(check("file:///dev/null/x", "x").starts_with("fail  storage: /dev/null is not a directory to write to"));
    let sound = format!("ok    storage: s3://media at http://{address}: a file can be kept, read and deleted");
    assert_eq!(check(&bucket, "hush-hush"), sound);
    assert_eq!(files(&directory.path("server/media")), [""; 0], "nothing is left of the trial");
    let refused = check(&bucket, "guessed");
    assert!(refused.starts_with("fail  storage: bucket media: the credentials are refused"), "{refused}");
    let none = check(&missing, "hush-hush");
    assert_eq!(none, "fail  storage: there is no bucket other, or not at this endpoint; see [storage]");
    assert!(check(&bucket, "").contains("belong together"));
}

/// A server of S3 with the bucket `media`, for as long as the test.
async fn serve(root: &Path) -> std::net::SocketAddr {
    fs::create_dir_all(root.join("media")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
    service.set_auth(SimpleAuth::from_single("key", "hush-hush"));
    let service = service.build();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                // A client that goes is no concern of a server.
                let _ = server.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    address
}

/// Names of the files of a directory.
fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<_> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

const NAMES: [&str; 2] = ["00000000000000000000000000000001.mp4", "00000000000000000000000000000002.jpg"];
