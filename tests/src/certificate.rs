//! Certificates for this machine, made for a test.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::Temporary;

/// A certificate for `localhost` and 127.0.0.1, signed by itself, with its key. Gone when dropped.
#[derive(Debug)]
pub struct Certificate {
    directory: Temporary,
}

impl Certificate {
    /// Makes one.
    pub fn make() -> Self {
        let directory = Temporary::new("certificate");
        fs::create_dir(directory.path()).unwrap();
        let new = Self { directory };
        new.renew();
        new
    }

    /// Puts another in its place.
    pub fn renew(&self) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        fs::write(self.certificate(), cert.pem()).unwrap();
        fs::write(self.key(), signing_key.serialize_pem()).unwrap();
        fs::set_permissions(self.key(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The certificate's file.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("cert.pem")
    }

    /// The key's file.
    pub fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    /// A copy of the certificate as it is now, to trust.
    pub fn trusted(&self, name: &str) -> String {
        let copy = self.directory.path().join(name);
        fs::copy(self.certificate(), &copy).unwrap();
        copy.to_str().unwrap().to_owned()
    }

    /// The server's settings for RTMPS with it.
    pub fn settings(&self) -> [String; 3] {
        [
            "rtmps.listen=127.0.0.1:0".to_owned(),
            format!("tls.certificate={}", self.certificate().display()),
            format!("tls.key={}", self.key().display()),
        ]
    }
}
