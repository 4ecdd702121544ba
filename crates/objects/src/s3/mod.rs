//! Objects in a bucket of S3, or of what speaks like it.
//!
//! What is written in parts and never finished costs room there that no list shows. A writer that is dropped takes its
//! parts away, and so does a file that does not arrive; what a killed process leaves, the bucket's own rule for incomplete uploads has to.

mod read;
mod send;
mod write;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Method};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{DnsFuture, DnsResolver};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::media_type::{ANY, MEDIA_TYPES};
use crate::place::{Access, Bucket, origin};
use crate::{Entry, Error, Key};

pub(crate) use read::RemoteFile;
use send::Sender;
pub(crate) use write::S3Writer;

/// A bucket.
#[derive(Debug)]
pub(crate) struct S3 {
    store: AmazonS3,
    /// The same, as viewers reach it.
    public: Option<AmazonS3>,
    sender: Sender,
    bucket: Bucket,
    prefix: Path,
}

impl S3 {
    /// Nothing is asked of the bucket yet.
    pub(crate) fn open(bucket: Bucket, access: &Access) -> Result<Self, Error> {
        let endpoint = bucket.endpoint.clone();
        let store = client(&bucket, endpoint.as_deref(), access, for_readers())?;
        let public = match &access.public_url {
            Some(url) => Some(client(&bucket, Some(origin(url)?), access, for_readers())?),
            None => None,
        };
        let prefix = bucket.prefix.split('/').filter(|name| !name.is_empty()).collect();
        let sender = Sender::new(&bucket, access)?;
        Ok(Self { store, public, sender, bucket, prefix })
    }

    pub(crate) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Whether the bucket can be listed.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        match self.store.list(Some(&self.prefix)).next().await {
            Some(Err(error)) => Err(self.wrong(error)),
            _ => Ok(()),
        }
    }

    pub(crate) async fn put(&self, key: &Key, bytes: Bytes) -> Result<(), Error> {
        self.store.put(&self.path(key), bytes.into()).await.map_err(|error| self.wrong(error))?;
        Ok(())
    }

    pub(crate) async fn file(self: &Arc<Self>, key: &Key) -> Result<(u64, RemoteFile), Error> {
        let path = self.path(key);
        let size = self.store.head(&path).await.map_err(|error| self.wrong(error))?.size;
        Ok((size, RemoteFile::new(Arc::clone(self), path)))
    }

    pub(crate) async fn delete_all(&self, keys: Vec<Key>) -> Result<(), Error> {
        let paths: Vec<_> = keys.iter().map(|key| Ok(self.path(key))).collect();
        let mut gone = self.store.delete_stream(stream::iter(paths).boxed());
        while let Some(one) = gone.next().await {
            match one.map_err(|error| self.wrong(error)) {
                Ok(_) | Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn list(self: &Arc<Self>) -> BoxStream<'static, Result<Entry, Error>> {
        let s3 = Arc::clone(self);
        let listed = self.store.list(Some(&self.prefix));
        listed
            .filter_map(move |one| {
                let entry = match one {
                    Ok(meta) => s3
                        .key(&meta.location)
                        .map(|key| Ok(Entry { key, size: meta.size, modified: meta.last_modified.into() })),
                    Err(error) => Some(Err(s3.wrong(error))),
                };
                std::future::ready(entry)
            })
            .boxed()
    }

    /// An address by which whoever has it reads an object for a while.
    pub(crate) async fn public_url(&self, key: &Key, life: Duration) -> Result<Option<String>, Error> {
        let Some(public) = &self.public else { return Ok(None) };
        let url = public.signed_url(Method::GET, &self.path(key), life).await.map_err(|error| self.wrong(error))?;
        Ok(Some(url.into()))
    }

    fn path(&self, key: &Key) -> Path {
        self.prefix.clone().join(key.as_str())
    }

    /// The key of what is right below the prefix.
    fn key(&self, path: &Path) -> Option<Key> {
        let mut rest = path.prefix_match(&self.prefix)?;
        let name = rest.next()?;
        if rest.next().is_some() { None } else { Key::parse(name.as_ref()) }
    }

    /// What went wrong, in words for the operator.
    fn wrong(&self, error: object_store::Error) -> Error {
        let whole = error.to_string();
        let code = element(&whole, "Code").unwrap_or_default();
        let bucket = || self.bucket.name.clone();
        if whole.contains(MACHINE_ROLE) {
            let says = "there are none: set storage.access_key_id and storage.secret_access_key".to_owned();
            return Error::Refused { bucket: bucket(), says };
        }
        let says = || match element(&whole, "Message") {
            Some(message) if !message.is_empty() => format!("{message} ({code})"),
            _ if !code.is_empty() => code.to_owned(),
            _ => in_full(&error),
        };
        match &error {
            _ if code == "NoSuchBucket" => Error::NoBucket { bucket: bucket() },
            _ if FULL.contains(&code) => Error::Full,
            _ if REFUSED.contains(&code) => Error::Refused { bucket: bucket(), says: says() },
            object_store::Error::NotFound { .. } => Error::NotFound,
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                Error::Refused { bucket: bucket(), says: says() }
            }
            _ => Error::Remote { bucket: bucket(), says: says() },
        }
    }
}

/// A client of a bucket at an endpoint.
fn client(bucket: &Bucket, endpoint: Option<&str>, access: &Access, retry: RetryConfig) -> Result<AmazonS3, Error> {
    let environment = || {
        let known = |(name, value): (String, String)| Some((name.to_ascii_lowercase().parse().ok()?, value));
        std::env::vars().filter(|(name, _)| name.starts_with("AWS_")).filter_map(known)
    };
    let region = bucket.region.clone().or_else(|| {
        environment().find_map(|(key, value)| {
            matches!(key, AmazonS3ConfigKey::Region | AmazonS3ConfigKey::DefaultRegion).then_some(value)
        })
    });
    let region = region.unwrap_or_else(|| DEFAULT_REGION.to_owned());
    let amazons = format!("https://s3.{region}.amazonaws.com");
    let endpoint = endpoint.unwrap_or(&amazons);

    let mut builder = AmazonS3Builder::new();
    match &access.credentials {
        Some(credentials) => {
            builder = builder
                .with_access_key_id(&credentials.access_key_id)
                .with_secret_access_key(&credentials.secret_access_key);
        }
        None => {
            let mut found = false;
            for (key, value) in environment().filter(|(key, _)| is_credential(key)) {
                builder = builder.with_config(key, value);
                found = true;
            }
            // Only Amazon's machines have a role. Elsewhere one would wait for nobody.
            if !found && bucket.endpoint.is_some() {
                return Err(Error::Refused {
                    bucket: bucket.name.clone(),
                    says: "there are none: set storage.access_key_id and storage.secret_access_key".to_owned(),
                });
            }
        }
    }
    builder
        .with_bucket_name(&bucket.name)
        .with_region(region)
        .with_endpoint(bucket.address(endpoint))
        .with_virtual_hosted_style_request(!bucket.path_style)
        .with_retry(retry)
        .with_client_options(options(endpoint))
        .build()
        .map_err(|error| Error::Remote { bucket: bucket.name.clone(), says: error.to_string() })
}

/// How a request is sent again that may be, while somebody waits.
fn for_readers() -> RetryConfig {
    RetryConfig { max_retries: 4, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() }
}

fn options(endpoint: &str) -> ClientOptions {
    let (scheme, _) = endpoint.split_once("://").unwrap_or_default();
    let mut options = ClientOptions::new()
        .with_user_agent(HeaderValue::from_static("millrace"))
        .with_allow_http(scheme == "http")
        .with_connect_timeout(CONNECT_TIMEOUT)
        // A whole film takes its time; what matters is that bytes come.
        .with_timeout_disabled()
        .with_read_timeout(READ_TIMEOUT)
        .with_default_content_type(ANY);
    if is_localhost(endpoint) {
        options = options.with_dns_resolver(Arc::new(Localhost));
    }
    // For those who get objects straight from the storage.
    MEDIA_TYPES
        .iter()
        .fold(options, |options, (extension, kind)| options.with_content_type_for_suffix(*extension, *kind))
}

/// Names below `localhost` are this machine (RFC 6761, section 6.3), which not every system knows.
#[derive(Debug)]
struct Localhost;

impl DnsResolver for Localhost {
    fn resolve(&self, _: &str) -> DnsFuture {
        Box::pin(std::future::ready(Ok(LOCALHOST.to_vec())))
    }
}

impl Resolve for Localhost {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(LOCALHOST.into_iter().map(|address| (address, 0).into()));
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

fn is_localhost(endpoint: &str) -> bool {
    let (_, host) = endpoint.split_once("://").unwrap_or_default();
    host.split(':').next() == Some("localhost")
}

const LOCALHOST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

fn is_credential(key: &AmazonS3ConfigKey) -> bool {
    use AmazonS3ConfigKey as Is;
    matches!(
        key,
        Is::AccessKeyId
            | Is::SecretAccessKey
            | Is::Token
            | Is::WebIdentityTokenFile
            | Is::RoleArn
            | Is::RoleSessionName
            | Is::StsEndpoint
            | Is::ContainerCredentialsRelativeUri
            | Is::ContainerCredentialsFullUri
            | Is::ContainerAuthorizationTokenFile
    )
}

/// What an error says, and what lies at its bottom.
fn in_full(error: &dyn std::error::Error) -> String {
    let last = std::iter::successors(error.source(), |source| source.source()).last();
    match last.map(ToString::to_string) {
        Some(last) if !error.to_string().contains(&last) => format!("{error}: {last}"),
        _ => error.to_string(),
    }
}

/// What stands in an element of the storage's answer, which is part of the client's error.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner)
}

const DEFAULT_REGION: &str = "us-east-1";
/// Where Amazon's machines ask for the credentials of their role.
const MACHINE_ROLE: &str = "169.254.169.254";
/// Codes that say that there is no room: of Ceph and others, and of MinIO.
const FULL: [&str; 2] = ["QuotaExceeded", "XMinioStorageFull"];
/// Codes that say that the credentials are wrong or do not suffice, whatever else the client makes of them.
const REFUSED: [&str; 5] =
    ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"];
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long nothing may come, or a part of a [`S3Writer`] that is sent may take.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_an_answer() {
        let text = "Server returned 403: <Error><Code>AccessDenied</Code><Message>No.</Message></Error>";
        assert_eq!(element(text, "Code"), Some("AccessDenied"));
        assert_eq!(element(text, "Message"), Some("No."));
        assert_eq!(element(text, "Key"), None);
        assert_eq!(element("<Code>cut", "Code"), None);
    }
}
