//! A file of this machine on its way into a bucket. It is read as it is sent: however large it is, it takes no more memory than
//! what is under way between disk and socket. Each part is read once before that, for the sum that the storage compares it
//! with.
//!
//! The way may be slow, as long as something moves, and the storage may be away for a while: what was sent is not lost.

use std::iter;
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::header::{CONTENT_LENGTH, ETAG};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use md5::{Digest, Md5};
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{BackoffConfig, RetryConfig};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::write::{given_up, part_size};
use super::{CONNECT_TIMEOUT, Localhost, S3, client, element, in_full, is_localhost};
use crate::place::{Access, Bucket};
use crate::{Blob, Chunks, Error, Key};

/// Sends parts to where a signature lets it.
#[derive(Debug)]
pub(super) struct Sender {
    http: reqwest::Client,
    /// The bucket, for requests that a whole file depends on.
    store: AmazonS3,
    patience: Patience,
}

#[derive(Debug, Clone, Copy)]
struct Patience {
    /// How long nothing may move of a part, or its answer stay out.
    still: Duration,
    /// How long what fails is sent again.
    again: Duration,
    /// Before it is sent again first; longer each time.
    pause: Duration,
}

/// Parts that were sent, which are taken away again where this is dropped before they are put together.
struct Begun {
    s3: Arc<S3>,
    path: Path,
    id: String,
    done: bool,
}

/// A part of a file.
struct Part<'a> {
    file: &'a Blob,
    range: Range<u64>,
    /// The header that says what its bytes add up to (RFC 1864).
    sum: HeaderValue,
    /// What is signed beside its address.
    options: SignedUrlOptions,
}

/// Why a part did not arrive.
struct Failed {
    error: Error,
    may_pass: bool,
}

/// How far a part is that is being sent.
struct Outgoing {
    /// When bytes of it were last taken.
    moved: Instant,
    /// Why it cannot be read any further.
    unread: Option<Error>,
}

impl Sender {
    pub(super) fn new(bucket: &Bucket, access: &Access) -> Result<Self, Error> {
        let endpoint = bucket.endpoint.as_deref();
        let http = reqwest::Client::builder()
            .user_agent("millrace")
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT);
        let at_home = is_localhost(endpoint.unwrap_or_default());
        let http = if at_home { http.dns_resolver(Arc::new(Localhost)) } else { http };
        let http =
            http.build().map_err(|error| Error::Remote { bucket: bucket.name.clone(), says: error.to_string() })?;
        let backoff = BackoffConfig { max_backoff: LONGEST_PAUSE, ..BackoffConfig::default() };
        let retry = RetryConfig { backoff, max_retries: usize::MAX, retry_timeout: PATIENCE.again };
        Ok(Self { http, store: client(bucket, endpoint, access, retry)?, patience: PATIENCE })
    }
}

impl S3 {
    /// Puts the bytes of a file under a key. After an error nothing is there, unless it is the last answer alone that was lost.
    pub(crate) async fn put_file(self: &Arc<Self>, key: &Key, file: &Blob) -> Result<(), Error> {
        let (path, size) = (self.path(key), file.size());
        if size <= SMALL {
            return self.put(key, file.read(0..size).await?).await;
        }
        let store = &self.sender.store;
        let id = store.create_multipart(&path).await.map_err(|error| self.wrong(error))?;
        let mut begun = Begun { s3: Arc::clone(self), path: path.clone(), id: id.clone(), done: false };
        let part = part_size(size) as u64;
        let ranges = (0..size.div_ceil(part)).map(|n| n * part..size.min((n + 1) * part));
        let sending = ranges.enumerate().map(|(n, range)| self.send_part(&path, &id, n + 1, file, range));
        let parts: Vec<PartId> = stream::iter(sending).buffered(AT_ONCE).try_collect().await?;
        match store.complete_multipart(&path, &id, parts).await {
            // It was asked for again, and had been done.
            Err(object_store::Error::NotFound { .. }) if self.has(key, size).await => {}
            put => drop(put.map_err(|error| self.wrong(error))?),
        }
        begun.done = true;
        Ok(())
    }

    async fn has(self: &Arc<Self>, key: &Key, size: u64) -> bool {
        self.file(key).await.is_ok_and(|(there, _)| there == size)
    }

    /// Sends a part, again where it may help.
    async fn send_part(
        &self,
        path: &Path,
        id: &str,
        number: usize,
        file: &Blob,
        range: Range<u64>,
    ) -> Result<PartId, Error> {
        let sum = sum(file.stream(iter::once(range.clone()))).await?;
        let query = [("partNumber", number.to_string()), ("uploadId", id.to_owned())];
        let options = SignedUrlOptions::default().with_query(query).with_signed_header(CONTENT_MD5, sum.clone());
        let part = Part { file, range, sum, options };
        let Patience { again, mut pause, .. } = self.sender.patience;
        let mut failing = None;
        loop {
            let Failed { error, may_pass } = match self.try_part(path, &part).await {
                Ok(part) => return Ok(part),
                Err(failed) => failed,
            };
            let since: &mut Instant = failing.get_or_insert_with(Instant::now);
            if !may_pass || since.elapsed() + pause > again {
                return Err(error);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_part(&self, path: &Path, part: &Part<'_>) -> Result<PartId, Failed> {
        let Sender { http, store, patience: Patience { still, .. } } = &self.sender;
        let url = store.signed_url_opts(Method::PUT, path, SIGNED_FOR, &part.options).await;
        let url = url.map_err(|error| Failed { error: self.wrong(error), may_pass: false })?;
        let failed = |says, may_pass| Failed { error: self.refused(says), may_pass };

        let outgoing = Arc::new(Mutex::new(Outgoing { moved: Instant::now(), unread: None }));
        let request = http
            .put(url)
            .header(CONTENT_LENGTH, part.range.end - part.range.start)
            .header(CONTENT_MD5, part.sum.clone())
            .body(body(part.file.stream(iter::once(part.range.clone())), &outgoing));
        let mut sent = pin!(request.send());
        let answer = loop {
            let end = lock(&outgoing).moved + *still;
            match timeout_at(end, &mut sent).await {
                Ok(answer) => break answer,
                Err(_) if lock(&outgoing).moved + *still <= Instant::now() => {
                    return Err(failed(format!("nothing moved for {} seconds", still.as_secs()), true));
                }
                Err(_) => {}
            }
        };
        if let Some(error) = lock(&outgoing).unread.take() {
            return Err(Failed { error, may_pass: false });
        }
        // The address, whose signature is a secret, is not part of what it says.
        let answer = answer.map_err(|error| failed(in_full(&error.without_url()), true))?;
        let status = answer.status();
        if status.is_success() {
            let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
            let tag = tag.ok_or_else(|| failed("it gave a part no tag".to_owned(), false))?;
            return Ok(PartId { content_id: tag.to_owned() });
        }
        let text = timeout(*still, answer.text()).await.ok().and_then(Result::ok).unwrap_or_default();
        let may_pass = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status)
            || status.is_server_error()
            || element(&text, "Code").is_some_and(|code| PASSING.contains(&code));
        Err(failed(format!("the storage answered {status}: {text}"), may_pass))
    }

    fn refused(&self, says: String) -> Error {
        self.wrong(object_store::Error::Generic { store: "S3", source: says.into() })
    }
}

/// What the storage compares the bytes that arrive with.
async fn sum(mut chunks: Chunks) -> Result<HeaderValue, Error> {
    let mut sum = Md5::new();
    while let Some(chunk) = chunks.next().await {
        sum.update(&chunk?);
        // What the page cache has is there at once, however much.
        tokio::task::consume_budget().await;
    }
    let sum = STANDARD.encode(sum.finalize());
    Ok(HeaderValue::from_str(&sum).expect("base64 is a header's value"))
}

/// Bytes as they are taken to be sent, which is noted.
fn body(chunks: Chunks, outgoing: &Arc<Mutex<Outgoing>>) -> reqwest::Body {
    let outgoing = Arc::clone(outgoing);
    let noted = chunks.map(move |chunk| {
        let mut outgoing = lock(&outgoing);
        outgoing.moved = Instant::now();
        chunk.map_err(|error| {
            let says = error.to_string();
            outgoing.unread = Some(error);
            says
        })
    });
    reqwest::Body::wrap_stream(noted)
}

fn lock(outgoing: &Mutex<Outgoing>) -> MutexGuard<'_, Outgoing> {
    // It is never left half changed.
    outgoing.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Begun {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let (s3, path, id) = (Arc::clone(&self.s3), self.path.clone(), std::mem::take(&mut self.id));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                given_up(s3.sender.store.abort_multipart(&path, &id).await);
            });
        }
    }
}

/// Files of so many bytes are sent with one request, out of memory.
const SMALL: u64 = 1 << 20;
/// Parts that are under way at a time.
const AT_ONCE: usize = 2;
/// A part has so long to begin to arrive.
const SIGNED_FOR: Duration = Duration::from_secs(60 * 60);
const PATIENCE: Patience =
    Patience { still: Duration::from_secs(60), again: Duration::from_secs(120), pause: Duration::from_millis(200) };
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
/// Codes of refusals that say that something happened on the way.
const PASSING: [&str; 2] = ["RequestTimeout", "BadDigest"];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "send_tests.rs"]
mod tests;
