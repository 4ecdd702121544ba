//! What the operator decides about the site.

use std::path::PathBuf;
use std::time::Duration;

use crate::{CorsOrigins, Language};

/// Settings of the site; the server fills them from its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteConfig {
    /// The site's name, shown in the top bar and in titles.
    pub name: String,
    /// The RTMP port as encoders see it from outside.
    pub rtmp_public_port: u16,
    /// The language for visitors who ask for none that the site speaks.
    pub default_language: Language,
    /// Scheme and host under which visitors reach the site (`https://video.example`), without a slash at the end.
    /// `None` builds addresses from each request's `Host` header.
    pub public_url: Option<String>,
    /// Where the source code of this server can be had; linked in the footer.
    pub source_url: Option<String>,
    /// Other sites whose pages may use the API.
    pub cors: CorsOrigins,
    /// How long deleted videos can be restored.
    pub trash_keep: Duration,
    /// Where data is kept, for administrators to see how much room there is.
    pub data_dir: Option<PathBuf>,
}

impl SiteConfig {
    /// How long deleted videos can be restored.
    pub(crate) fn trash_keep(&self) -> time::Duration {
        time::Duration::try_from(self.trash_keep).unwrap_or(time::Duration::MAX)
    }
}

impl Default for SiteConfig {
    fn default() -> Self {
        Self {
            name: "Millrace".to_owned(),
            rtmp_public_port: 1935,
            default_language: Language::En,
            public_url: None,
            source_url: None,
            cors: CorsOrigins::Own,
            trash_keep: Duration::from_secs(30 * 24 * 60 * 60),
            data_dir: None,
        }
    }
}
