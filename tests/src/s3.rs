//! A server of S3 that others wrote (s3s), over a directory, on a port of this machine.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use hyper::{Method, Request, body::Incoming, service::Service};
use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::{
    auth::SimpleAuth,
    host::SingleDomain,
    service::{S3Service, S3ServiceBuilder},
};
use tokio::{net::TcpListener, runtime::Runtime, sync::watch};

use crate::Temporary;

/// A server with the bucket `media`, which is there as long as this is.
#[derive(Debug)]
pub struct S3 {
    directory: Temporary,
    address: SocketAddr,
    gate: Gate,
    _runtime: Runtime,
}

/// How a bucket is named in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// As the beginning of the path.
    Path,
    /// As the beginning of the host's name.
    Host,
}

/// Lets what is to be written wait.
#[derive(Debug, Clone)]
struct Gate {
    open: watch::Sender<bool>,
    waiting: Arc<AtomicUsize>,
}

impl S3 {
    /// Starts one.
    pub fn start() -> Self {
        let directory = Temporary::new("s3");
        fs::create_dir_all(directory.path().join(BUCKET)).unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(directory.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        service.set_host(SingleDomain::new(&format!("localhost:{}", address.port())).unwrap());
        let gate = Gate { open: watch::Sender::new(true), waiting: Arc::default() };
        runtime.spawn(serve(listener, service.build(), gate.clone()));
        Self { directory, address, gate, _runtime: runtime }
    }

    /// The settings of a server that keeps its files here.
    pub fn settings(&self, addressing: Addressing) -> [String; 3] {
        let (address, port) = (self.address, self.address.port());
        let url = match addressing {
            Addressing::Path => format!("s3://{BUCKET}?endpoint=http://{address}"),
            // What is below `localhost` is this machine.
            Addressing::Host => {
                format!("s3://{BUCKET}?path_style=false&region=eu-west-1&endpoint=http://localhost:{port}")
            }
        };
        [
            format!("storage.url={url}"),
            format!("storage.access_key_id={KEY}"),
            format!("storage.secret_access_key={SECRET}"),
        ]
    }

    /// The objects in the bucket, which are files.
    pub fn objects(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory.path().join(BUCKET)).unwrap().map(|entry| entry.unwrap().path());
        // Names with a dot at their beginning are the server's own.
        entries.filter(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.')).collect()
    }

    /// Has what is to be written wait from here on.
    pub fn hold(&self) {
        self.gate.open.send_replace(false);
    }

    /// Requests that wait.
    pub fn held(&self) -> usize {
        self.gate.waiting.load(Ordering::Relaxed)
    }

    /// Lets what waits, and what comes, go on.
    pub fn release(&self) {
        self.gate.open.send_replace(true);
    }
}

async fn serve(listener: TcpListener, service: S3Service, gate: Gate) {
    while let Ok((socket, _)) = listener.accept().await {
        let (service, gate) = (service.clone(), gate.clone());
        tokio::spawn(async move {
            let through_the_gate = hyper::service::service_fn(|request: Request<Incoming>| {
                let (service, gate) = (service.clone(), gate.clone());
                async move {
                    if matches!(*request.method(), Method::PUT | Method::POST) {
                        gate.pass().await;
                    }
                    Service::call(&service, request).await
                }
            });
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // A client that goes is no concern of a server.
            let _ = server.serve_connection(TokioIo::new(socket), through_the_gate).await;
        });
    }
}

impl Gate {
    async fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&self.waiting);
        // The one who opens it is there as long as the server.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
        drop(waiting);
    }
}

/// One that waits, until it does not.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

const BUCKET: &str = "media";
const KEY: &str = "key";
const SECRET: &str = "hush-hush";
