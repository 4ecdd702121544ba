//! A reverse proxy in front: who asks, and whether all passes through nginx as the documentation has it.

use std::{
    fs,
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
};

use millrace_e2e::{
    PATIENCE, Program, Server,
    clip::{Recipe, Temporary},
    eventually,
    flv::FlvReader,
    http::{self, Connection},
    site::Creator,
    websocket::WebSocket,
};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::videos::mp4;

const JSON: &str = "Content-Type: application/json";
const BROWSER: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

#[test]
fn two_viewers_behind_one_proxy_are_two() {
    let server = Server::start(&["ffmpeg.path=/nonexistent/ffmpeg", "http.trusted_proxies=127.0.0.1"]);
    let creator = Creator::set_up(&server);
    let (_file, bytes) = mp4(&Recipe::new(1));
    let upload = creator.begin_upload(bytes.len());
    creator.finish_upload(&upload, 0, &bytes);
    creator.wait_for_video(&upload.video, "ready");
    let views = format!("/api/v1/videos/{}/views", upload.video);
    // The last claims to be another one, in front of what the proxy says.
    for forwarded in ["192.0.2.1", "192.0.2.2", "198.51.100.9, 192.0.2.2"] {
        let forwarded = format!("X-Forwarded-For: {forwarded}");
        assert_eq!(http::send(server.http, "POST", &views, &[BROWSER, &forwarded], b"").status, 204);
    }
    assert_eq!(creator.send("POST", "/api/v1/admin/timers/views.roll_up/run", &[], b"").status, 200);
    eventually("two views", || {
        // A list is read anew each time.
        let videos = creator.get("/api/v1/users/me/videos");
        (videos["items"][0]["views"] == 2).then_some(())
    });
}

#[test]
fn a_client_behind_a_proxy_uses_up_its_own_tries_and_no_others() {
    let server = Server::start(&["http.trusted_proxies=127.0.0.1"]);
    let creator = Creator::set_up(&server);
    let log_in = |number: u32, password: &str, headers: &[&str]| {
        let handle = if number == 0 { "ada".to_owned() } else { format!("nobody{number}") };
        let body = json!({ "username": handle, "password": password }).to_string();
        http::send(server.http, "POST", "/api/v1/sessions", &[&[JSON], headers].concat(), body.as_bytes())
    };
    // Many names, so that it is the address that has tried too often.
    let refused =
        (1..1000).map(|n| log_in(n, "wrong", &["X-Forwarded-For: 192.0.2.1"]).status).find(|status| *status != 401);
    assert_eq!(refused, Some(429));
    assert_eq!(log_in(0, "correct horse battery", &["X-Forwarded-For: 192.0.2.1"]).status, 429);
    let headers = ["X-Forwarded-For: 2001:db8::2", "X-Forwarded-Proto: https"];
    let logged_in = log_in(0, "correct horse battery", &headers);
    assert_eq!(logged_in.status, 201, "{}", logged_in.text());
    assert!(logged_in.header("set-cookie").unwrap().contains("; Secure"), "the visitor came by HTTPS");
    let sessions = creator.get("/api/v1/sessions");
    let addresses: Vec<_> = sessions["items"].as_array().unwrap().iter().map(|session| &session["address"]).collect();
    assert!(addresses.contains(&&json!("2001:db8::2")) && addresses.contains(&&json!("127.0.0.1")), "{sessions}");
}

#[test]
fn a_proxy_that_is_not_trusted_is_not_believed_and_the_log_says_so() {
    let server = Server::start(&[]);
    let creator = Creator::set_up(&server);
    let headers = [JSON, "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"];
    let body = json!({ "username": "ada", "password": "correct horse battery" }).to_string();
    let logged_in = http::send(server.http, "POST", "/api/v1/sessions", &headers, body.as_bytes());
    assert_eq!(logged_in.status, 201);
    assert!(!logged_in.header("set-cookie").unwrap().contains("Secure"));
    let sessions = creator.get("/api/v1/sessions");
    assert!(
        sessions["items"].as_array().unwrap().iter().all(|session| session["address"] == "127.0.0.1"),
        "{sessions}"
    );
    let said: Vec<Value> =
        server.log().into_iter().filter(|line| line.to_string().contains("http.trusted_proxies")).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0]["peer"], "127.0.0.1");
}

/// nginx with the configuration that `docs/operate.md` has, before a server.
struct Nginx {
    address: SocketAddr,
    program: Program,
    _directory: Temporary,
}

impl Nginx {
    /// None where it is not installed.
    fn start(server: &Server) -> Option<Self> {
        let there = |name: &&&str| Command::new(name).arg("-v").output().is_ok_and(|output| output.status.success());
        let binary = ["nginx", "/usr/sbin/nginx"].iter().find(there)?;
        let directory = Temporary::new("nginx");
        fs::create_dir(directory.path()).unwrap();
        // Nobody else is given the port between its end here and its beginning there.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let path = directory.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {path}/{kind};\n"))
            .collect();
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid {path}/pid;\nerror_log stderr;\nevents {{}}\n\
             http {{\naccess_log off;\n{temporary}{}\n}}\n",
            documented(address, server.http)
        );
        let file = directory.path().join("nginx.conf");
        fs::write(&file, configuration).unwrap();
        let arguments = ["-p", directory.path().to_str().unwrap(), "-c", file.to_str().unwrap()];
        let program = Program::start(binary, arguments);
        eventually("nginx listens", || TcpStream::connect(address).ok());
        Some(Self { address, program, _directory: directory })
    }

    /// A connection from another address of this machine.
    fn connect_from(&self, address: [u8; 4]) -> Connection {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
        socket.connect_timeout(&self.address.into(), PATIENCE).unwrap();
        Connection::new(socket.into())
    }
}

/// The block of the documentation, with other addresses and without a certificate.
fn documented(listen: SocketAddr, upstream: SocketAddr) -> String {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operate.md")).unwrap();
    let block = text.split_once("```nginx\n").unwrap().1.split_once("```").unwrap().0;
    let lines = block.lines().filter(|line| !line.trim().starts_with("ssl_"));
    let block = lines.collect::<Vec<_>>().join("\n");
    let replaced = [("443 ssl", listen.to_string()), ("127.0.0.1:8080", upstream.to_string())];
    replaced.into_iter().fold(block, |block, (documented, here)| {
        assert_eq!(block.matches(documented).count(), 1, "{documented} in {block}");
        block.replace(documented, &here)
    })
}

#[test]
fn everything_passes_through_nginx_as_it_is_documented() {
    let server = Server::start(&["ffmpeg.path=/nonexistent/ffmpeg", "http.trusted_proxies=127.0.0.1"]);
    let Some(mut nginx) = Nginx::start(&server) else {
        return eprintln!("skipped: nginx is not installed");
    };
    let creator = Creator::set_up(&server).through(nginx.address);

    // Live, by every way that HTTP has.
    let clip = Recipe::new(60).make();
    let _publisher = server.publish(&clip);
    server.wait_on_air();
    let mut connection = nginx.connect_from([127, 0, 0, 2]);
    connection.send("GET", "/live/movie.flv", &["X-Forwarded-For: 198.51.100.9"]);
    let (head, flv) = connection.streaming();
    assert_eq!(head.status, 200);
    let mut flv = FlvReader::new(flv);
    let mut ws = FlvReader::new(WebSocket::open(nginx.address, "/live/movie.flv"));
    for _ in 0..50 {
        assert!(flv.frame().is_some() && ws.frame().is_some());
    }
    let players = server.stream("movie").unwrap()["players"].clone();
    let peer = |protocol: &str| {
        let player = players.as_array().unwrap().iter().find(|player| player["protocol"] == protocol).unwrap();
        player["peer"].as_str().unwrap().rsplit_once(':').unwrap().0.to_owned()
    };
    assert_eq!((peer("http-flv").as_str(), peer("ws-flv").as_str()), ("127.0.0.2", "127.0.0.1"));

    let playlist = http::get(nginx.address, "/live/movie/cmaf.m3u8");
    assert_eq!(playlist.status, 200);
    let hinted = playlist.text().rsplit_once("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"").unwrap().1;
    let part = format!("/live/movie/{}", hinted.split('"').next().unwrap());
    // It is waited for, and comes through while the stream goes on.
    let waited = http::get(nginx.address, &part);
    assert_eq!((waited.status, waited.header("content-type")), (200, Some("video/mp4")));

    let (head, mut events) = http::open(nginx.address, "/api/v1/events");
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    let mut first = [0; 6];
    events.read_exact(&mut first).unwrap();

    // An upload in pieces of 48 MiB, of which the first breaks off.
    let (_file, mut bytes) = mp4(&Recipe::new(2));
    let rest = 60 << 20;
    bytes.extend(u32::try_from(rest).unwrap().to_be_bytes());
    bytes.extend(b"free");
    bytes.resize(bytes.len() + rest - 8, 7);
    let upload = creator.begin_upload(bytes.len());
    let mut sender = Connection::open(nginx.address);
    sender.send_raw(creator.continue_upload(&upload, 0, PIECE).as_bytes());
    sender.send_raw(&bytes[..PIECE / 2]);
    eventually("some of it has come", || (creator.received(&upload) > 0).then_some(()));
    drop(sender);
    // The server may still be at what came of the first.
    let mut offset = eventually("it goes on where it stopped", || {
        let (received, more) = (creator.received(&upload), 1 << 20);
        let offset = format!("Upload-Offset: {received}");
        let kind = "Content-Type: application/offset+octet-stream";
        let piece = &bytes[received..received + more];
        let sent = creator.send("PATCH", &upload.place, &["Tus-Resumable: 1.0.0", kind, &offset], piece);
        (sent.status == 204).then_some(received + more)
    });
    while offset < bytes.len() {
        let piece = &bytes[offset..bytes.len().min(offset + PIECE)];
        creator.finish_upload(&upload, offset, piece);
        offset += piece.len();
    }
    creator.wait_for_video(&upload.video, "ready");
    let mut connection = Connection::open(nginx.address);
    let path = format!("/videos/{}", upload.video);
    connection.send("GET", &path, &["Range: bytes=1000-1999"]);
    let range = connection.response(true);
    assert_eq!((range.status, &range.body[..]), (206, &bytes[1000..2000]));
    assert!(http::get(nginx.address, &path).body == bytes);
    assert!(nginx.program.is_running(), "{:#?}", nginx.program.stderr());
}

/// What the studio sends at a time, bytes.
const PIECE: usize = 48 << 20;
