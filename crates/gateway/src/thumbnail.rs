//! The live picture as JPEG: the newest keyframe, decoded by FFmpeg.

mod still;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use millrace_hub::{Hub, StreamId};
use millrace_media::{Frame, VideoConfig};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::problem::Problem;

/// How the live picture is made.
#[derive(Debug, Clone)]
pub struct ThumbnailConfig {
    /// Whether it is made at all.
    pub enabled: bool,
    /// How old it may be.
    pub interval: Duration,
    /// The FFmpeg program, by name or path.
    pub ffmpeg: PathBuf,
}

impl Default for ThumbnailConfig {
    fn default() -> Self {
        Self { enabled: true, interval: Duration::from_secs(10), ffmpeg: "ffmpeg".into() }
    }
}

/// The newest pictures of all streams, made when somebody asks.
#[derive(Debug)]
pub(crate) struct Thumbnails {
    config: ThumbnailConfig,
    made: RwLock<HashMap<StreamId, Thumbnail>>,
    /// Decoders that may run at a time.
    running: Semaphore,
    /// Requests that may wait for one.
    waiting: Semaphore,
    missing: AtomicBool,
}

#[derive(Debug, Clone)]
struct Thumbnail {
    at: Instant,
    /// `None` where the picture could not be decoded.
    jpeg: Option<Bytes>,
}

impl Thumbnails {
    pub(crate) fn new(config: ThumbnailConfig) -> Self {
        Self {
            config,
            made: RwLock::default(),
            running: Semaphore::new(1),
            waiting: Semaphore::new(MAX_WAITING),
            missing: AtomicBool::new(false),
        }
    }

    /// The stream's picture, at most as old as configured where a decoder is to be had.
    pub(crate) async fn get(&self, hub: &Hub, id: &StreamId) -> Result<Response<Body>, Problem> {
        if !self.config.enabled || self.missing.load(Relaxed) {
            return Err(Problem::not_found("this server makes no thumbnails"));
        }
        if hub.info(id).is_none() {
            self.write().remove(id);
            return Err(Problem::not_found("the stream is not on air"));
        }
        if let Some(made) = self.fresh(id) {
            return made.answer();
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(Problem::unavailable("too many pictures are being made"));
        };
        let Ok(_turn) = self.running.acquire().await else {
            return Err(Problem::unavailable("the server is shutting down"));
        };
        // Whoever had the turn before may have made it.
        if let Some(made) = self.fresh(id) {
            return made.answer();
        }
        let (config, frame) = hub.keyframe(id).ok_or_else(|| Problem::not_found("the stream has no picture"))?;
        let decoded = self.decode(id, &config, &frame).await;
        // A failure is kept as well: the next request would only fail again.
        let made = Thumbnail { at: Instant::now(), jpeg: decoded.as_ref().ok().cloned() };
        let mut all = self.write();
        // Streams that ended while nobody asked for their picture.
        all.retain(|_, t| t.at.elapsed() < FORGET);
        all.insert(id.clone(), made.clone());
        drop(all);
        decoded.and_then(|_| made.answer())
    }

    async fn decode(&self, id: &StreamId, config: &VideoConfig, frame: &Frame) -> Result<Bytes, Problem> {
        let Some((format, input)) = still::file(config, frame) else {
            return Err(Problem::not_found("no thumbnails of this codec"));
        };
        match tokio::time::timeout(DECODE, self.run(format, input)).await {
            Ok(Ok(jpeg)) if jpeg.starts_with(&[0xff, 0xd8]) => Ok(jpeg),
            Ok(Ok(_)) => Err(Problem::unavailable("the picture could not be decoded")),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                if !self.missing.swap(true, Relaxed) {
                    warn!(ffmpeg = %self.config.ffmpeg.display(), "FFmpeg is missing: there are no thumbnails");
                }
                Err(Problem::not_found("this server makes no thumbnails"))
            }
            Ok(Err(error)) => {
                debug!(stream = %id, %error, "no thumbnail");
                Err(Problem::unavailable("the picture could not be decoded"))
            }
            Err(_) => Err(Problem::unavailable("the picture took too long to decode")),
        }
    }

    async fn run(&self, format: &str, input: Vec<u8>) -> std::io::Result<Bytes> {
        let mut child = Command::new(&self.config.ffmpeg)
            .args(["-nostdin", "-v", "error", "-f", format, "-i", "pipe:0", "-frames:v", "1", "-vf", SCALE])
            .args(["-f", "image2pipe", "-c:v", "mjpeg", "-q:v", "4", "-threads", "1", "pipe:1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A decoder that has its picture may close its input early.
                let _ = stdin.write_all(&input).await;
            }
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        Ok(output?.stdout.into())
    }

    fn fresh(&self, id: &StreamId) -> Option<Thumbnail> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        made.get(id).filter(|t| t.at.elapsed() < self.config.interval).cloned()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<StreamId, Thumbnail>> {
        self.made.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Thumbnail {
    fn answer(&self) -> Result<Response<Body>, Problem> {
        match &self.jpeg {
            Some(jpeg) => Ok(answer(jpeg)),
            None => Err(Problem::unavailable("the picture could not be decoded")),
        }
    }
}

fn answer(jpeg: &Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(jpeg.clone()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=5"));
    response
}

/// Wide enough for a card on a dense screen, never larger than the stream.
const SCALE: &str = "scale='min(640,iw)':-2";
/// Requests for pictures that may wait at a time.
const MAX_WAITING: usize = 32;
const DECODE: Duration = Duration::from_secs(5);
const FORGET: Duration = Duration::from_secs(300);
