//! The site's API, as somebody who has logged in uses it.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{Server, eventually, http};

/// A creator with a channel, `engine`, logged in by a cookie.
#[derive(Debug, Clone)]
pub struct Creator {
    http: SocketAddr,
    cookie: String,
}

/// An upload that has begun.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Where its bytes go.
    pub place: String,
    /// The id of its video.
    pub video: String,
}

impl Creator {
    /// Sets the site up.
    #[track_caller]
    pub fn set_up(server: &Server) -> Self {
        let token = eventually("the link to set up", || {
            let shown = server.process().stdout().join("\n") + &server.process().stderr().join("\n");
            let (_, rest) = shown.split_once("/setup?token=")?;
            Some(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect::<String>())
        });
        let account = json!({ "handle": "ada", "password": "correct horse battery", "token": token }).to_string();
        let creator = Self::register(server, &account);
        creator.make_channel("engine");
        creator
    }

    /// The same by another address of the site, such as a proxy's.
    pub fn through(self, http: SocketAddr) -> Self {
        Self { http, ..self }
    }

    /// Somebody else, with a channel of their name; the site lets creators in.
    #[track_caller]
    pub fn join(server: &Server, handle: &str) -> Self {
        let account = json!({ "handle": handle, "password": "correct horse battery" }).to_string();
        let creator = Self::register(server, &account);
        creator.make_channel(handle);
        creator
    }

    #[track_caller]
    fn register(server: &Server, account: &str) -> Self {
        let made = http::send(server.http, "POST", "/api/v1/users", &[JSON], account.as_bytes());
        assert_eq!(made.status, 201, "{}", made.text());
        let cookie = made.head.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Self { http: server.http, cookie: format!("Cookie: {cookie}") }
    }

    #[track_caller]
    fn make_channel(&self, handle: &str) {
        assert_eq!(self.post("/api/v1/channels", &json!({ "handle": handle })).status, 201);
    }

    /// Changes the site's settings.
    #[track_caller]
    pub fn set(&self, settings: &Value) {
        let path = "/api/v1/admin/settings";
        let tag = format!("If-Match: {}", self.send("GET", path, &[], b"").header("etag").unwrap());
        let set = self.send("PATCH", path, &[JSON, &tag], settings.to_string().as_bytes());
        assert_eq!(set.status, 200, "{}", set.text());
    }

    /// Has a timer's work done now.
    #[track_caller]
    pub fn run_timer(&self, name: &str) {
        assert_eq!(self.send("POST", &format!("/api/v1/admin/timers/{name}/run"), &[], b"").status, 200);
    }

    /// Sends JSON.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> http::Response {
        self.send("POST", path, &[JSON], body.to_string().as_bytes())
    }

    /// The head of a request with a JSON body, and the body: for who sends it bit by bit, or where nobody may answer.
    pub fn posting(&self, path: &str, body: &Value) -> String {
        let (cookie, body) = (&self.cookie, body.to_string());
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n{JSON}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    /// Sends a request with a body.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> http::Response {
        http::send(self.http, method, path, &[headers, &[&self.cookie]].concat(), body)
    }

    /// A JSON answer.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let response = self.send("GET", path, &[], b"");
        assert_eq!(response.status, 200, "{path}");
        serde_json::from_slice(&response.body).unwrap()
    }

    /// Begins an upload of so many bytes, of a video for everybody.
    #[track_caller]
    pub fn begin_upload(&self, length: usize) -> Upload {
        let length = format!("Upload-Length: {length}");
        // `filename clip.mp4` and `visibility public`.
        let metadata = "Upload-Metadata: filename Y2xpcC5tcDQ=,visibility cHVibGlj";
        let begun = self.send("POST", "/api/v1/uploads", &[TUS, &length, metadata], b"");
        assert_eq!(begun.status, 201);
        let header = |name: &str| begun.head.header(name).unwrap().to_owned();
        Upload { place: header("location"), video: header("millrace-video") }
    }

    /// How many bytes of an upload have come.
    #[track_caller]
    pub fn received(&self, upload: &Upload) -> usize {
        let head = self.send("HEAD", &upload.place, &[TUS], b"");
        assert_eq!(head.status, 200);
        head.head.header("upload-offset").unwrap().parse().unwrap()
    }

    /// The head of a request that sends `length` more bytes of an upload from `offset` on: the bytes go behind it.
    pub fn continue_upload(&self, upload: &Upload, offset: usize, length: usize) -> String {
        let (place, cookie) = (&upload.place, &self.cookie);
        format!(
            "PATCH {place} HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n{TUS}\r\nUpload-Offset: {offset}\r\n\
             Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\n"
        )
    }

    /// Sends the rest of an upload.
    #[track_caller]
    pub fn finish_upload(&self, upload: &Upload, offset: usize, bytes: &[u8]) {
        let offset = format!("Upload-Offset: {offset}");
        let kind = "Content-Type: application/offset+octet-stream";
        let sent = self.send("PATCH", &upload.place, &[TUS, kind, &offset], bytes);
        assert_eq!(sent.status, 204);
    }

    /// Uploads a video, and waits until it can be watched; its id.
    #[track_caller]
    pub fn publish(&self, bytes: &[u8]) -> String {
        let upload = self.begin_upload(bytes.len());
        self.finish_upload(&upload, 0, bytes);
        self.wait_for_video(&upload.video, "ready");
        upload.video
    }

    /// Waits until a video is in that state.
    #[track_caller]
    pub fn wait_for_video(&self, id: &str, state: &str) -> Value {
        eventually(&format!("video {id} is {state}"), || {
            Some(self.get(&format!("/api/v1/videos/{id}"))).filter(|video| video["state"] == state)
        })
    }
}

const JSON: &str = "Content-Type: application/json";
const TUS: &str = "Tus-Resumable: 1.0.0";
