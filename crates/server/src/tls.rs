//! The certificate: reading it, and words for what is wrong with it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use x509_parser::parse_x509_certificate;

use crate::config::Config;

/// A certificate with its key, ready for use.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// How to speak TLS with it.
    pub(crate) config: Arc<ServerConfig>,
    /// When it ends.
    pub(crate) not_after: OffsetDateTime,
}

/// What is wrong with certificate or key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The one is set without the other.
    #[error("{set} is set, and {missing} is not; TLS needs both")]
    Half {
        /// The key that is set.
        set: &'static str,
        /// The other.
        missing: &'static str,
    },
    /// A file cannot be read.
    #[error("{path} ({key}): cannot be read: {source}", path = .path.display())]
    Unreadable {
        /// The configuration key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} ({key}): {words}", path = .path.display())]
    Wrong {
        /// The configuration key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it. Never what it holds.
        words: String,
    },
}

/// Reads certificate and key; none where neither is configured.
pub(crate) fn load(config: &Config) -> Result<Option<Certificate>, TlsError> {
    let (certificate, key) = match (&config.tls.certificate, &config.tls.key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => return Err(TlsError::Half { set: CERTIFICATE, missing: KEY }),
        (None, Some(_)) => return Err(TlsError::Half { set: KEY, missing: CERTIFICATE }),
    };
    let wrong = |words: &str| TlsError::Wrong { key: CERTIFICATE, path: certificate.clone(), words: words.to_owned() };
    let wrong_key = |words: String| TlsError::Wrong { key: KEY, path: key.clone(), words };
    let text = read(CERTIFICATE, certificate)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, pem::Error>>()
        .map_err(|_| wrong("this is no sound PEM"))?;
    let first = chain.first().ok_or_else(|| wrong("there is no certificate in it (PEM expected)"))?;
    let (_, parsed) = parse_x509_certificate(first).map_err(|_| wrong("the certificate is not X.509"))?;
    let not_after = parsed.validity().not_after.to_datetime();
    let private = PrivateKeyDer::from_pem_slice(&read(KEY, key)?)
        .map_err(|_| wrong_key("there is no private key in it (PEM expected)".to_owned()))?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, private).map_err(
        |error| match error {
            rustls::Error::InconsistentKeys(_) => {
                wrong_key(format!("this is not the key of the certificate in {}", certificate.display()))
            }
            other => wrong_key(other.to_string()),
        },
    )?;
    // What has been sent can be resumed nowhere: sessions are long, and few.
    config.send_tls13_tickets = 0;
    Ok(Some(Certificate { config: Arc::new(config), not_after }))
}

impl Certificate {
    /// What the operator should know of its end, if that is near.
    pub(crate) fn warning(&self) -> Option<String> {
        let left = self.not_after - OffsetDateTime::now_utc();
        if left.is_negative() {
            Some(format!("the certificate has expired on {}; clients refuse it", self.until()))
        } else if left < SOON {
            Some(format!("the certificate expires in {} days, on {}", left.whole_days(), self.until()))
        } else {
            None
        }
    }

    /// When it ends, in words.
    pub(crate) fn until(&self) -> String {
        self.not_after.format(&Rfc3339).unwrap_or_else(|_| self.not_after.to_string())
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { key, path: path.to_owned(), source };
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > FILE_MAX {
        return Err(TlsError::Wrong { key, path: path.to_owned(), words: format!("{size} bytes are no PEM file") });
    }
    fs::read(path).map_err(unreadable)
}

const CERTIFICATE: &str = "tls.certificate";
const KEY: &str = "tls.key";
/// A file beyond this size is a mistake: somebody gave the wrong one.
const FILE_MAX: u64 = 1 << 20;
/// Certificates are renewed a month before they end, or something is wrong.
const SOON: time::Duration = time::Duration::days(14);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rcgen::{CertificateParams, CertifiedKey, KeyPair, date_time_ymd, generate_simple_self_signed};

    use super::*;

    struct Files(PathBuf);

    impl Files {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("millrace-tls-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn load(&self, certificate: &str, key: &str) -> Result<Option<Certificate>, TlsError> {
            let mut config = Config::default();
            for (name, text, field) in
                [("cert.pem", certificate, &mut config.tls.certificate), ("key.pem", key, &mut config.tls.key)]
            {
                fs::write(self.0.join(name), text).unwrap();
                *field = Some(self.0.join(name));
            }
            load(&config)
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn pair() -> (String, String) {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_with_its_key_is_taken() {
        let (certificate, key) = pair();
        let loaded = Files::new("good").load(&certificate, &key).unwrap().unwrap();
        assert_eq!(loaded.warning(), None);
        assert!(load(&Config::default()).unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_said_and_no_key_is_shown() {
        let files = Files::new("wrong");
        let ((certificate, key), (_, other)) = (pair(), pair());
        let (cert_path, key_path) = (files.0.join("cert.pem"), files.0.join("key.pem"));
        let (cert_path, key_path) = (cert_path.display(), key_path.display());
        for (certificate, key, expected) in [
            (
                &certificate,
                &other,
                format!("{key_path} (tls.key): this is not the key of the certificate in {cert_path}"),
            ),
            (&key, &key, format!("{cert_path} (tls.certificate): there is no certificate in it (PEM expected)")),
            (&certificate, &certificate, format!("{key_path} (tls.key): there is no private key in it (PEM expected)")),
            (
                &"-----BEGIN CERTIFICATE-----\n@@\n-----END CERTIFICATE-----\n".to_owned(),
                &key,
                format!("{cert_path} (tls.certificate): this is no sound PEM"),
            ),
        ] {
            assert_eq!(files.load(certificate, key).unwrap_err().to_string(), expected);
        }
        let mut config = Config::default();
        config.tls.key = Some("/nonexistent/key.pem".into());
        assert_eq!(
            load(&config).unwrap_err().to_string(),
            "tls.key is set, and tls.certificate is not; TLS needs both"
        );
        config.tls.certificate = Some("/nonexistent/cert.pem".into());
        let error = load(&config).unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/cert.pem (tls.certificate): cannot be read: No such file"), "{error}");
    }

    #[test]
    fn an_end_that_is_near_is_told() {
        let ending = |year| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(year, 1, 1);
            let certificate = params.self_signed(&key).unwrap();
            Files::new(&format!("end-{year}")).load(&certificate.pem(), &key.serialize_pem()).unwrap().unwrap()
        };
        assert_eq!(
            ending(2001).warning().unwrap(),
            "the certificate has expired on 2001-01-01T00:00:00Z; clients refuse it"
        );
        assert_eq!(ending(2900).warning(), None);
        let mut near = ending(2900);
        near.not_after = OffsetDateTime::now_utc() + time::Duration::hours(24 * 10 + 1);
        assert!(near.warning().unwrap().starts_with("the certificate expires in 10 days, on "));
    }
}
