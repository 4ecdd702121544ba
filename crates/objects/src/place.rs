use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::Error;

/// Where objects are kept, as an address says it:
/// `file://DIRECTORY` or `s3://BUCKET/PREFIX?endpoint=URL&region=NAME&path_style=BOOL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A directory, as it is written.
    Directory(PathBuf),
    /// A bucket of S3, or of what speaks like it.
    Bucket(Bucket),
}

/// A bucket, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    pub(crate) name: String,
    /// What the keys stand below. Empty, or names with slashes between them.
    pub(crate) prefix: String,
    /// Scheme, host and port, without the bucket. `None` is Amazon's.
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    /// Whether the bucket stands in the path of an address, and not in its host.
    pub(crate) path_style: bool,
}

/// What the storage lets in by.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Names the key.
    pub access_key_id: String,
    /// The key. A secret.
    pub secret_access_key: String,
}

/// What is needed of a storage beside its address. A directory needs nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Without them, those of the environment are used: `AWS_ACCESS_KEY_ID` and the like, or the machine's role.
    pub credentials: Option<Credentials>,
    /// Scheme, host and port by which viewers reach the storage: see [`public_url`](crate::Objects::public_url).
    pub public_url: Option<String>,
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(path) = text.strip_prefix("file://") {
            if path.is_empty() || path.contains(['?', '#', '%', '\0']) {
                return Err(Error::Address("file:// wants the path of a directory"));
            }
            return Ok(Self::Directory(path.into()));
        }
        let rest = text
            .strip_prefix("s3://")
            .ok_or(Error::Address("storage is file:// and a directory, or s3:// and a bucket"))?;
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
        if !is_bucket(name) {
            return Err(Error::Address("s3:// wants the name of a bucket: 3 to 63 of a-z, 0-9, point and hyphen"));
        }
        let prefix = prefix.trim_end_matches('/');
        if !prefix.is_empty() && !prefix.split('/').all(is_name) {
            return Err(Error::Address("behind the bucket may stand names of letters, digits, points, hyphens and _"));
        }
        let mut bucket = Bucket {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: None,
            region: None,
            path_style: false,
        };
        let mut path_style = None;
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("endpoint", endpoint)) => bucket.endpoint = Some(origin(endpoint)?.to_owned()),
                Some(("region", region)) if is_name(region) => bucket.region = Some(region.to_owned()),
                Some(("path_style", "true")) => path_style = Some(true),
                Some(("path_style", "false")) => path_style = Some(false),
                _ => return Err(Error::Address("s3:// takes endpoint=URL, region=NAME and path_style=true or false")),
            }
        }
        // No certificate fits a bucket with a point in front of the endpoint's name.
        bucket.path_style = path_style.unwrap_or(bucket.endpoint.is_some() || name.contains('.'));
        Ok(Self::Bucket(bucket))
    }
}

impl Bucket {
    /// Whether these are one place, however their addresses are written. Amazon has each name once in all regions; of others
    /// that is to be feared.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.name, &self.prefix, self.host()) == (&other.name, &other.prefix, other.host())
    }

    fn host(&self) -> String {
        let host = self.endpoint.as_deref().unwrap_or(AMAZON).to_ascii_lowercase();
        let host = host.split_once("://").map_or(host.as_str(), |(_, host)| host).trim_end_matches('/');
        let host = host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).unwrap_or(host);
        if host.ends_with(AMAZON) { AMAZON.to_owned() } else { host.to_owned() }
    }

    /// Where requests go: the address of the bucket where that is part of the host, else of the endpoint.
    pub(crate) fn address(&self, endpoint: &str) -> String {
        match endpoint.split_once("://") {
            Some((scheme, host)) if !self.path_style => format!("{scheme}://{}.{host}", self.name),
            _ => endpoint.to_owned(),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.name)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        match &self.endpoint {
            Some(endpoint) => write!(f, " at {endpoint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// What the hosts of Amazon's buckets end in.
const AMAZON: &str = "amazonaws.com";

/// Scheme, host and port of a web address, without a slash at the end.
pub(crate) fn origin(text: &str) -> Result<&str, Error> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let sound = |host: &str| {
        host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
    };
    match host {
        Some(host) if sound(host) => Ok(text),
        _ => {
            Err(Error::Address("an endpoint is https:// or http://, a host, and a port where it is another than usual"))
        }
    }
}

fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
        && !name.starts_with(['.', '-'])
        && !name.ends_with(['.', '-'])
}

fn is_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !text.is_empty() && text.bytes().all(known) && !text.bytes().all(|byte| byte == b'.')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bucket(text: &str) -> Bucket {
        match text.parse().unwrap() {
            Place::Bucket(bucket) => bucket,
            Place::Directory(path) => panic!("{}", path.display()),
        }
    }

    #[test]
    fn a_bucket_is_the_same_however_its_address_is_written() {
        let one = bucket("s3://media/site?region=eu-west-1");
        for other in ["s3://media/site", "s3://media/site/?endpoint=https://s3.us-east-1.amazonaws.com&path_style=true"]
        {
            assert!(one.is_same(&bucket(other)), "{other}");
        }
        let own = bucket("s3://media?endpoint=https://Minio.example:443");
        assert!(own.is_same(&bucket("s3://media?endpoint=http://minio.example/&region=x&path_style=false")));
        for other in
            ["s3://media/site?endpoint=https://minio.example", "s3://media?endpoint=https://b.example", "s3://media"]
        {
            assert!(!own.is_same(&bucket(other)), "{other}");
        }
    }

    #[test]
    fn an_address_says_where_a_bucket_is() {
        let amazons = bucket("s3://media?region=eu-west-1");
        assert_eq!((amazons.name.as_str(), amazons.prefix.as_str(), amazons.path_style), ("media", "", false));
        assert_eq!(amazons.region.as_deref(), Some("eu-west-1"));
        assert_eq!(amazons.address("https://s3.eu-west-1.amazonaws.com"), "https://media.s3.eu-west-1.amazonaws.com");

        let own = bucket("s3://media/site/one/?endpoint=http://127.0.0.1:9000/");
        assert_eq!((own.prefix.as_str(), own.endpoint.as_deref()), ("site/one", Some("http://127.0.0.1:9000")));
        assert!(own.path_style, "what is not Amazon's mostly has no names for buckets");
        assert_eq!(own.address("http://127.0.0.1:9000"), "http://127.0.0.1:9000");
        assert_eq!(own.to_string(), "s3://media/site/one at http://127.0.0.1:9000");

        let named = bucket("s3://media?path_style=false&endpoint=https://objects.example");
        assert_eq!(named.address("https://objects.example"), "https://media.objects.example");
        assert!(bucket("s3://media.example").path_style);
    }

    #[test]
    fn what_is_no_address_is_refused_in_words() {
        for (text, word) in [
            ("", "file://"),
            ("objects", "s3://"),
            ("FILE://a", "file://"),
            ("file://", "directory"),
            ("file://a?b", "directory"),
            ("s3://", "bucket"),
            ("s3://a", "bucket"),
            ("s3://Media", "bucket"),
            ("s3://key:secret@media", "bucket"),
            ("s3://media/..", "behind the bucket"),
            ("s3://media//a", "behind the bucket"),
            ("s3://media?endpoint=objects.example", "endpoint"),
            ("s3://media?endpoint=https://objects.example/path", "endpoint"),
            ("s3://media?endpoint=https://", "endpoint"),
            ("s3://media?secret_access_key=x", "takes endpoint"),
            ("s3://media?path_style=yes", "takes endpoint"),
            ("s3://media?region=", "takes endpoint"),
        ] {
            let error = text.parse::<Place>().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn credentials_are_not_printed() {
        let credentials = Some(Credentials { access_key_id: "name".to_owned(), secret_access_key: "hush".to_owned() });
        let shown = format!("{:?}", Access { credentials, public_url: None });
        assert!(!shown.contains("hush"), "{shown}");
    }
}
