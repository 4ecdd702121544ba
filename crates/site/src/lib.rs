//! The web site: pages that read without JavaScript, the JSON API under `/api/v1`, and the embedded front-end.
//!
//! ```text
//! request -> visitor (language, theme, host) -> page (askama) or API (JSON) -> headers (CSP, Vary) -> compression
//! ```
//!
//! The site knows live streams only through [`LiveSource`], which the hub implements; of media it serves videos alone,
//! through `millrace_vod`.
//! Other media URLs in pages and answers are paths on the same origin, which the gateway serves.
//!
//! Invariants:
//! - No user-visible string outside `messages/`; every language has the same keys (tested).
//! - No inline script on any page; the content security policy forbids it.
//! - Every API answer has a schema in the OpenAPI document, which is generated from the handlers.

mod accounts;
mod actor;
mod api;
mod assets;
mod cache;
mod channels;
mod config;
mod cors;
mod dashboard;
mod feed;
mod headers;
mod i18n;
mod letters;
mod listing;
mod mail;
mod pages;
mod pictures;
mod problem;
mod readable;
mod recorder;
mod rich_text;
mod settings;
mod source;
mod videos;
mod visitor;
mod whole;
mod work_words;
mod workers;

use std::sync::Arc;

use axum::{Router, middleware};
use dashboard::Dashboard;
use feed::Feed;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer};

pub use accounts::{Accounts, OperatorError, ResetLink, SetupLink, SiteKey};
pub use api::live::{LiveAudio, LivePage, LiveState, LiveStream, LiveUrls, LiveVideo};
pub use api::streams::{LivePlayer, LivePublisher, LiveTraffic};
pub use channels::Channels;
pub use config::SiteConfig;
pub use cors::CorsOrigins;
pub use dashboard::LiveLoad;
pub use i18n::Language;
pub use mail::{Mail, MailSender, MailServer, NoMailSender, NoMailServer};
pub use problem::{ErrorCode, Problem};
pub use recorder::Recorder;
pub use source::LiveSource;
pub use videos::{DownloadExcess, DownloadLimits, Downloads, Makes, UploadConfig};

/// The site's routes: pages, API and assets, with a designed answer for every path that no other router takes.
///
/// The returned router owns the fallback, so merge it with routers that have none.
pub fn router(live: impl LiveSource, accounts: Accounts, config: SiteConfig) -> Router {
    if !assets::are_built() {
        tracing::warn!("the front-end is not built into this program: pages have no style and no player");
    }
    let live: Arc<dyn LiveSource> = Arc::new(live);
    accounts.channels.attach(Arc::clone(&live));
    let dashboard = Dashboard::start(Arc::clone(&live));
    let site = Site { live, accounts, dashboard, feed: Arc::new(Feed::new()), config: Arc::new(config) };
    Router::new()
        .merge(pages::routes())
        .merge(api::routes())
        .fallback(pages::error::not_found)
        .method_not_allowed_fallback(pages::error::method_not_allowed)
        .layer(CatchPanicLayer::custom(pages::error::on_panic))
        .layer(middleware::from_fn_with_state(site.clone(), pages::error::explain_panic))
        .layer(middleware::from_fn(whole::done_whole))
        .layer(middleware::from_fn_with_state(site.clone(), actor::own_pages_only))
        .layer(middleware::from_fn_with_state(site.clone(), readable::only_readable))
        .layer(middleware::from_fn(headers::secure))
        .layer(middleware::from_fn_with_state(site.clone(), visitor::recognise))
        .layer(middleware::from_fn_with_state(site.clone(), cors::allow_foreign))
        .layer(CompressionLayer::new())
        .merge(assets::routes())
        .merge(pictures::routes())
        .merge(videos::routes())
        .with_state(site)
}

/// The OpenAPI 3.1 document of the JSON API, as indented JSON.
pub fn openapi() -> String {
    api::document().to_string()
}

/// What every handler can reach.
#[derive(Clone)]
pub(crate) struct Site {
    live: Arc<dyn LiveSource>,
    accounts: Accounts,
    dashboard: Arc<Dashboard>,
    feed: Arc<Feed>,
    config: Arc<SiteConfig>,
}

impl Site {
    /// The site's name, as administrators set it or the configuration has it.
    fn name(&self) -> String {
        self.accounts.settings.now().name.clone().unwrap_or_else(|| self.config.name.clone())
    }
}
