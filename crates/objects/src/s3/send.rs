//! A file of this machine on its way into a bucket. It is read as it is sent: however large it is, it takes no more memory than
//! what is under way between disk and socket.

use std::iter;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use http::header::{CONTENT_LENGTH, ETAG};
use http::{Method, StatusCode};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::write::{given_up, part_size};
use super::{CONNECT_TIMEOUT, LOCALHOST, READ_TIMEOUT, RETRIES, S3, is_localhost};
use crate::{Blob, Error, Key};

/// Sends parts to where a signature lets it.
#[derive(Debug)]
pub(super) struct Sender(reqwest::Client);

/// Parts that were sent, which are taken away again where this is dropped before they are put together.
struct Begun {
    s3: Arc<S3>,
    path: Path,
    id: String,
    done: bool,
}

impl Sender {
    pub(super) fn new(endpoint: &str) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .user_agent("millrace")
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT);
        let client = if is_localhost(endpoint) { client.dns_resolver(Arc::new(Localhost)) } else { client };
        Ok(Self(client.build()?))
    }
}

struct Localhost;

impl Resolve for Localhost {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(LOCALHOST.into_iter().map(|address| (address, 0).into()));
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

impl S3 {
    /// Puts the bytes of a file under a key. After an error nothing is there.
    pub(crate) async fn put_file(self: &Arc<Self>, key: &Key, file: &Blob) -> Result<(), Error> {
        let (path, size) = (self.path(key), file.size());
        if size <= SMALL {
            return self.put(key, file.read(0..size).await?).await;
        }
        let id = self.store.create_multipart(&path).await.map_err(|error| self.wrong(error))?;
        let mut begun = Begun { s3: Arc::clone(self), path: path.clone(), id: id.clone(), done: false };
        let part = part_size(size) as u64;
        let ranges = (0..size.div_ceil(part)).map(|n| n * part..size.min((n + 1) * part));
        let sending = ranges.enumerate().map(|(n, range)| self.send_part(&path, &id, n + 1, file, range));
        let parts: Vec<PartId> = stream::iter(sending).buffered(AT_ONCE).try_collect().await?;
        let put = self.store.complete_multipart(&path, &id, parts).await;
        put.map_err(|error| self.wrong(error))?;
        begun.done = true;
        Ok(())
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
        let query = [("partNumber", number.to_string()), ("uploadId", id.to_owned())];
        let options = SignedUrlOptions::default().with_query(query);
        let mut attempt = 0;
        loop {
            let url = self.store.signed_url_opts(Method::PUT, path, SIGNED_FOR, &options).await;
            let url = url.map_err(|error| self.wrong(error))?;
            let body = reqwest::Body::wrap_stream(file.stream(iter::once(range.clone())));
            let length = range.end - range.start;
            let sent = self.sender.0.put(url).header(CONTENT_LENGTH, length).body(body).send().await;
            let (may_pass, says) = match sent {
                Ok(answer) if answer.status().is_success() => {
                    let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
                    let content_id = tag.ok_or_else(|| self.refused("it gave a part no tag".to_owned()))?.to_owned();
                    return Ok(PartId { content_id });
                }
                Ok(answer) => {
                    let status = answer.status();
                    let again = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
                    let text = answer.text().await.unwrap_or_default();
                    (again || status.is_server_error(), format!("the storage answered {status}: {text}"))
                }
                // The address, whose signature is a secret, is not part of it.
                Err(error) => (true, super::in_full(&error.without_url())),
            };
            if !may_pass || attempt == RETRIES {
                return Err(self.refused(says));
            }
            tokio::time::sleep(PAUSE * 2_u32.pow(attempt as u32)).await;
            attempt += 1;
        }
    }

    fn refused(&self, says: String) -> Error {
        self.wrong(object_store::Error::Generic { store: "S3", source: says.into() })
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let (s3, path, id) = (Arc::clone(&self.s3), self.path.clone(), std::mem::take(&mut self.id));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                given_up(s3.store.abort_multipart(&path, &id).await);
            });
        }
    }
}

/// Files of so many bytes are sent with one request, out of memory.
const SMALL: u64 = 1 << 20;
/// Parts that are under way at a time.
const AT_ONCE: usize = 2;
/// A part has so long to arrive.
const SIGNED_FOR: Duration = Duration::from_secs(60 * 60);
/// Before a part is sent anew; longer each time.
const PAUSE: Duration = Duration::from_millis(200);
