//! What is so in a bucket alone. The server is s3s over a directory, in this process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use millrace_objects::{Access, Credentials, Error, Objects};
use s3s::auth::SimpleAuth;
use s3s::host::SingleDomain;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::{TcpListener, TcpStream};

use crate::{Storage, keys, pattern, read};

pub(crate) async fn by_path() -> Storage {
    storage("s3://media/site?endpoint=http://ADDRESS").await
}

/// The names that the bucket is reached by lie below `localhost`, which leads to this machine whatever stands before it.
pub(crate) async fn by_host() -> Storage {
    storage("s3://media?path_style=false&region=eu-west-1&endpoint=http://localhost:PORT").await
}

async fn storage(url: &str) -> Storage {
    let directory = tempfile::tempdir().unwrap();
    let address = serve(directory.path()).await;
    let objects = open(url, address, "secret").unwrap();
    Storage { objects, unfinished: (directory.path().join("server"), ".upload"), directory }
}

fn open(url: &str, address: SocketAddr, secret: &str) -> Result<Objects, Error> {
    let url = url.replace("ADDRESS", &address.to_string()).replace("PORT", &address.port().to_string());
    let credentials = Credentials { access_key_id: "key".to_owned(), secret_access_key: secret.to_owned() };
    let access = Access { credentials: Some(credentials), public_url: Some(format!("http://{address}")) };
    Objects::open_with(&url, Path::new("/nonexistent"), &access)
}

/// A server with the bucket `media`.
async fn serve(directory: &Path) -> SocketAddr {
    let root = directory.join("server");
    std::fs::create_dir_all(root.join("media")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut service = S3ServiceBuilder::new(FileSystem::new(root).unwrap());
    service.set_auth(SimpleAuth::from_single("key", "secret"));
    service.set_host(SingleDomain::new(&format!("localhost:{}", address.port())).unwrap());
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

#[tokio::test]
async fn an_object_stands_below_the_prefix() {
    let storage = by_path().await;
    let key = storage.objects.put("jpg", "picture").await.unwrap();
    let media = storage.directory.path().join("server/media");
    assert_eq!(std::fs::read(media.join("site").join(key.as_str())).unwrap(), b"picture");
    assert!(storage.objects.local(&key).is_none());
    std::fs::copy(media.join("site").join(key.as_str()), media.join(key.as_str().replace('a', "b"))).unwrap();
    std::fs::write(media.join("site/notes.txt"), "").unwrap();
    assert_eq!(keys(&storage.objects).await, [key].into(), "what is beside the prefix or no object is not listed");
}

#[tokio::test]
async fn wrong_credentials_are_told() {
    let storage = by_path().await;
    let address = serve(storage.directory.path()).await;
    let objects = open("s3://media?endpoint=http://ADDRESS", address, "guessed").unwrap();
    let error = objects.check().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(error.to_string().contains("credentials are refused"), "{error}");
    assert!(!error.to_string().contains("guessed"), "{error}");
    let key = storage.objects.put("jpg", "picture").await.unwrap();
    assert!(matches!(objects.size(&key).await.unwrap_err(), Error::Refused { .. }));
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_told() {
    let storage = by_path().await;
    let address = serve(storage.directory.path()).await;
    let objects = open("s3://another?endpoint=http://ADDRESS", address, "secret").unwrap();
    let error = objects.check().await.unwrap_err();
    assert_eq!(error.to_string(), "there is no bucket another, or not at this endpoint");
    let error = objects.list().next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::NoBucket { .. }), "{error}");
}

#[tokio::test]
async fn an_endpoint_where_nobody_is_is_told() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = open("s3://media?endpoint=http://ADDRESS", address, "secret").unwrap().check().await.unwrap_err();
    assert!(matches!(error, Error::Remote { .. }), "{error}");
    assert!(error.to_string().starts_with("bucket media: "), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_viewer_reads_by_a_signed_address() {
    let storage = by_path().await;
    let key = storage.objects.put("mp4", pattern(1000)).await.unwrap();
    let url = storage.objects.public_url(&key, Duration::from_secs(60)).await.unwrap().unwrap();
    let http = reqwest::Client::new();
    let answer = http.get(&url).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (200, "video/mp4"));
    assert_eq!(answer.bytes().await.unwrap(), pattern(1000));

    let other = storage.objects.put("mp4", "other").await.unwrap();
    let forged = url.replace(key.as_str(), other.as_str());
    assert_eq!(http.get(forged).send().await.unwrap().status(), 403, "an address is good for one object");
    let bare = url.split_once('?').unwrap().0;
    assert_eq!(http.get(bare).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_file_stays_where_the_storage_fails() {
    let storage = by_path().await;
    let address = serve(storage.directory.path()).await;
    let objects = open("s3://media?endpoint=http://ADDRESS", address, "guessed").unwrap();
    let path = storage.directory.path().join("upload");
    for size in [10, 20 << 20] {
        std::fs::write(&path, pattern(size)).unwrap();
        objects.put_file("mp4", &path).await.unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap().len(), size);
    }
    let key = storage.objects.put_file("mp4", &path).await.unwrap();
    assert!(read(&storage.objects, &key).await == pattern(20 << 20));
}

/// The way to a server, on which the first connections are lost that send parts.
async fn losing(server: SocketAddr, connections: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, lost) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let count = Arc::clone(&lost);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = [0; 512];
            let n = client.peek(&mut head).await.unwrap_or(0);
            if head[..n].starts_with(b"PUT") && count.load(Relaxed) < connections {
                count.fetch_add(1, Relaxed);
                continue;
            }
            tokio::spawn(async move {
                let mut server = TcpStream::connect(server).await.unwrap();
                // Whoever goes first ends it.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, lost)
}

#[tokio::test]
async fn a_part_that_is_lost_on_its_way_is_sent_again() {
    let storage = by_path().await;
    let (address, lost) = losing(serve(storage.directory.path()).await, 2).await;
    let objects = open("s3://media/site?endpoint=http://ADDRESS", address, "secret").unwrap();
    let path = storage.directory.path().join("upload");
    std::fs::write(&path, pattern(20 << 20)).unwrap();
    let key = objects.put_file("mp4", &path).await.unwrap();
    assert_eq!(lost.load(Relaxed), 2);
    assert!(read(&objects, &key).await == pattern(20 << 20));
    assert!(!path.exists());
}
