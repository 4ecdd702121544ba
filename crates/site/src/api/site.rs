//! What a client needs to know about this site.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Language, Site, settings::RegistrationMode, source::DEFAULT_APP, visitor::Visitor};

/// About this site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SiteInfo {
    /// The site's name.
    #[schema(example = "Millrace")]
    name: String,
    /// What it is about, in a sentence or two; may be empty.
    description: String,
    registration: RegistrationMode,
    /// Whether the site sends mail: it confirms addresses, and helps those who lost their password.
    mail: bool,
    /// The version of the server.
    #[schema(example = "0.1.0")]
    version: &'static str,
    rtmp: RtmpAddress,
    /// The languages that the site speaks.
    languages: Vec<Language>,
    default_language: Language,
}

/// Where encoders publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RtmpAddress {
    /// The address to enter as "server"; the stream key goes beside it.
    #[schema(example = "rtmp://video.example:1935/live")]
    url: String,
    #[schema(example = "video.example")]
    host: String,
    #[schema(example = 1935)]
    port: u16,
    /// The app to publish to.
    #[schema(example = "live")]
    app: &'static str,
}

/// Get the site's name, version and addresses
#[utoipa::path(get, path = "/api/v1/site", operation_id = "get_site", tag = "site", responses(
    (status = 200, description = "About this site", body = SiteInfo),
))]
pub(crate) async fn site(State(site): State<Site>, visitor: Visitor) -> Json<SiteInfo> {
    let port = site.config.rtmp_public_port;
    let settings = site.accounts.settings.now();
    Json(SiteInfo {
        name: site.name(),
        description: settings.description.clone(),
        registration: settings.registration,
        mail: site.accounts.mail.is_some(),
        version: env!("CARGO_PKG_VERSION"),
        rtmp: RtmpAddress { url: publish_url(&visitor, port), host: visitor.host, port, app: DEFAULT_APP },
        languages: Language::ALL.to_vec(),
        default_language: site.config.default_language,
    })
}

/// The address that an encoder publishes to, as this visitor can reach it.
pub(crate) fn publish_url(visitor: &Visitor, port: u16) -> String {
    format!("rtmp://{}:{port}/{DEFAULT_APP}", visitor.host)
}
