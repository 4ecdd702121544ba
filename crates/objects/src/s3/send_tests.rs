use std::collections::VecDeque;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::*;
use crate::place::{Credentials, Place};

/// What a storage does with a request.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// What S3 does with a part: it looks whether its bytes are those that were meant.
    Take,
    /// The same, with bytes that come slowly.
    TakeSlowly,
    /// The same, with a byte that changed on its way.
    TakeSpoiled,
    /// Answers this, once all of it is there.
    Say(&'static str, &'static str),
    /// Neither reads on nor answers.
    Nothing,
    /// Ends the connection.
    Lose,
}

/// A storage that does one after the other with what it is asked, and the methods of that.
struct Storage {
    s3: Arc<S3>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Storage {
    async fn new(acts: &[Act], patience: Patience) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // So that little of what is sent is under way.
        socket.set_recv_buffer_size(1 << 20).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(8).unwrap();
        let address = listener.local_addr().unwrap();
        let (acts, asked) = (Arc::new(Mutex::new(VecDeque::from(acts.to_vec()))), Arc::default());
        let methods: Arc<Mutex<Vec<String>>> = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&acts), Arc::clone(&methods)));
            }
        });
        Self { s3: s3(address, patience), asked }
    }

    /// Sends the only part of a file.
    async fn send(&self, blob: &Blob) -> Result<PartId, Error> {
        self.s3.send_part(&Path::from("key.mp4"), "id", 1, blob, 0..blob.size()).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn s3(address: SocketAddr, patience: Patience) -> Arc<S3> {
    let Place::Bucket(bucket) = format!("s3://media?endpoint=http://{address}").parse().unwrap() else { panic!() };
    let credentials = Credentials { access_key_id: "key".to_owned(), secret_access_key: "secret".to_owned() };
    let mut s3 = S3::open(bucket, &Access { credentials: Some(credentials), public_url: None }).unwrap();
    s3.sender.patience = patience;
    Arc::new(s3)
}

async fn serve(mut socket: TcpStream, acts: Arc<Mutex<VecDeque<Act>>>, asked: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut got = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = got.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            (socket.read_buf(&mut got).await.ok()? > 0).then_some(())?;
        };
        let head = String::from_utf8(got.drain(..end).collect()).unwrap();
        asked.lock().unwrap().push(head.split(' ').next().unwrap().to_owned());
        let act = acts.lock().unwrap().pop_front().unwrap_or(Act::Take);
        match act {
            Act::Nothing => std::future::pending().await,
            Act::Lose => return None,
            _ => {}
        }
        let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        while got.len() < length {
            if matches!(act, Act::TakeSlowly) {
                sleep(Duration::from_millis(60)).await;
            }
            let mut some = (&mut socket).take(256 << 10);
            (some.read_buf(&mut got).await.ok()? > 0).then_some(())?;
        }
        let mut bytes: Vec<u8> = got.drain(..length).collect();
        if matches!(act, Act::TakeSpoiled) {
            bytes[0] ^= 1;
        }
        let (status, body) = match act {
            Act::Say(status, body) => (status, body),
            _ if header(&head, "content-md5").is_some_and(|sum| sum == STANDARD.encode(Md5::digest(&bytes))) => {
                ("200 OK", "")
            }
            _ => ("400 Bad Request", "<Error><Code>BadDigest</Code></Error>"),
        };
        let length = if head.starts_with("HEAD") { 3 << 20 } else { body.len() };
        let date = "Last-Modified: Fri, 27 Nov 2026 21:00:00 GMT";
        let answer = format!("HTTP/1.1 {status}\r\nETag: \"tag\"\r\n{date}\r\nContent-Length: {length}\r\n\r\n{body}");
        socket.write_all(answer.as_bytes()).await.ok()?;
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

async fn file(size: usize) -> (tempfile::NamedTempFile, Blob) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, (0..size).map(|n| (n % 251) as u8).collect::<Vec<_>>()).unwrap();
    let blob = crate::disk::open_file(file.path()).await.unwrap();
    (file, blob)
}

const MINUTE: Duration = Duration::from_secs(60);
const PATIENT: Patience = Patience { still: MINUTE, again: MINUTE, pause: Duration::from_millis(1) };

#[tokio::test]
async fn what_may_pass_is_tried_again_until_the_right_bytes_are_there() {
    let (_file, blob) = file(3 << 20).await;
    let idle = "<Error><Code>RequestTimeout</Code></Error>";
    let acts = [
        Act::Lose,
        Act::Say("503 Service Unavailable", ""),
        Act::Say("400 Bad Request", idle),
        Act::TakeSpoiled,
        Act::Take,
    ];
    let storage = Storage::new(&acts, PATIENT).await;
    assert_eq!(storage.send(&blob).await.unwrap().content_id, "\"tag\"");
    assert_eq!(storage.asked(), ["PUT"; 5]);
}

#[tokio::test]
async fn what_stays_refused_is_not_tried_again() {
    let (_file, blob) = file(2 << 20).await;
    let refused = Act::Say("403 Forbidden", "<Error><Code>AccessDenied</Code><Message>No.</Message></Error>");
    let storage = Storage::new(&[refused], PATIENT).await;
    let error = storage.send(&blob).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { says, .. } if says == "No. (AccessDenied)"), "{error}");
    assert_eq!(storage.asked().len(), 1);
}

#[tokio::test]
async fn a_slow_way_takes_its_time() {
    let (_file, blob) = file(24 << 20).await;
    let patience = Patience { still: Duration::from_secs(4), again: Duration::ZERO, ..PATIENT };
    let storage = Storage::new(&[Act::TakeSlowly], patience).await;
    let begun = Instant::now();
    storage.send(&blob).await.unwrap();
    assert!(begun.elapsed() > patience.still, "longer than nothing may move");
}

#[tokio::test]
async fn a_storage_that_takes_no_more_is_given_up() {
    let (_file, blob) = file(24 << 20).await;
    let patience = Patience { still: Duration::from_millis(500), again: Duration::ZERO, ..PATIENT };
    let storage = Storage::new(&[Act::Nothing], patience).await;
    let error = storage.send(&blob).await.unwrap_err();
    assert!(matches!(&error, Error::Remote { says, .. } if says.contains("nothing moved")), "{error}");
    assert_eq!(storage.asked().len(), 1);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_told_as_that() {
    let (file, blob) = file(3 << 20).await;
    file.as_file().set_len(1 << 20).unwrap();
    let storage = Storage::new(&[], PATIENT).await;
    assert!(matches!(storage.send(&blob).await, Err(Error::File { .. })));
    assert_eq!(storage.asked().len(), 0);
    // Where that happens as it is sent.
    let part = Part {
        file: &blob,
        range: 0..blob.size(),
        sum: HeaderValue::from_static("AAAA"),
        options: SignedUrlOptions::default(),
    };
    let failed = storage.s3.try_part(&Path::from("key.mp4"), &part).await.err().unwrap();
    assert!(matches!(failed.error, Error::File { .. }) && !failed.may_pass, "{}", failed.error);
}

#[tokio::test]
async fn a_file_is_there_where_the_last_answer_was_lost() {
    let (_file, blob) = file(3 << 20).await;
    let begun = "<InitiateMultipartUploadResult><Bucket>media</Bucket><Key>k</Key><UploadId>id</UploadId>\
                 </InitiateMultipartUploadResult>";
    let acts = [
        Act::Say("200 OK", begun),
        Act::Take,
        Act::Lose,
        Act::Say("404 Not Found", "<Error><Code>NoSuchUpload</Code></Error>"),
        Act::Say("200 OK", ""),
    ];
    let storage = Storage::new(&acts, PATIENT).await;
    storage.s3.put_file(&Key::new("mp4"), &blob).await.unwrap();
    assert_eq!(storage.asked(), ["POST", "PUT", "POST", "POST", "HEAD"]);
}
