//! Hub, gateway and site put together as the configuration says.

use std::sync::Arc;

use axum::{
    middleware::{from_fn_with_state, map_response},
    response::Response,
};
use millrace_gateway::{
    Answers, FileBody, ThumbnailConfig, Tls, TrustedProxies,
    admission::Admission,
    http::{self, HttpConfig, Watching},
    ops::OpsConfig,
    rtmp::{self, RtmpConfig, RtmpListeners},
};
use millrace_hub::{Authorizer, Hub, HubConfig, HubLimits};
use millrace_jobs::Metrics;
use millrace_site::{Accounts, SiteConfig};
use millrace_vod::Part;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Language},
    health::Health,
    limits, metrics, ops,
    videos::{self, VideoTraffic},
};

/// The listeners, bound before anything starts.
#[derive(Debug)]
pub(crate) struct Listeners<T> {
    /// Pages, API and playback.
    pub(crate) http: T,
    /// Publishing and playback over RTMP.
    pub(crate) rtmp: T,
    /// The same over TLS, where there is a certificate.
    pub(crate) rtmps: Option<T>,
    /// Diagnostics, where they are wanted.
    pub(crate) ops: Option<T>,
}

/// What connections pass through.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Who may connect.
    pub(crate) admission: Arc<Admission>,
    /// Whom to believe who asks.
    pub(crate) proxies: TrustedProxies,
    /// The certificate, where there is one.
    pub(crate) tls: Option<Tls>,
}

/// What ends the servers.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    /// RTMP, and whatever publishes here.
    pub(crate) rtmp: CancellationToken,
    /// HTTP, diagnostics included.
    pub(crate) http: CancellationToken,
}

/// Starts all servers. Each ends when `stop` says so and its connections are done, and gives its name.
#[allow(clippy::too_many_arguments)] // each is a part of the whole, named where it is made
pub(crate) fn start(
    config: &Config,
    hub: &Hub,
    authorizer: Arc<dyn Authorizer>,
    accounts: Accounts,
    listeners: Listeners<TcpListener>,
    gate: &Gate,
    jobs: watch::Receiver<Metrics>,
    health: &Health,
    stop: &Stop,
) -> JoinSet<&'static str> {
    let downloads = accounts.downloads();
    let site = millrace_site::router(hub.clone(), accounts, site_config(config)).merge(health.routes());
    let (answers, videos) = (Answers::default(), VideoTraffic::default());
    let site = site.layer(map_response(out_of_file)).layer(from_fn_with_state(videos.clone(), videos::count));
    let watched = videos.clone();
    let serving = metrics::Serving {
        hub: hub.clone(),
        admission: Arc::clone(&gate.admission),
        answers: answers.clone(),
        downloads,
        videos,
    };
    let metrics = metrics::router(metrics::Process::new(jobs), Some(serving));
    let ops = ops::streams(hub.clone()).merge(health.routes()).merge(metrics);
    let mut servers = JoinSet::new();
    let (hub_of_rtmp, leave_of_rtmp, stop_rtmp) = (hub.clone(), Arc::clone(&authorizer), stop.rtmp.clone());
    let (rtmp_config, admission_of_rtmp) = (rtmp_config(config), Arc::clone(&gate.admission));
    let rtmp_listeners = RtmpListeners { plain: listeners.rtmp, tls: listeners.rtmps.zip(gate.tls.clone()) };
    servers.spawn(async move {
        rtmp::serve(rtmp_listeners, hub_of_rtmp, leave_of_rtmp, rtmp_config, admission_of_rtmp, stop_rtmp).await;
        "RTMP"
    });
    let (hub, stop_http) = (hub.clone(), stop.http.clone());
    let watching = Watching::new(move |address| watched.watches(address));
    let http_config = HttpConfig { watching, ..http_config(config, answers, gate.proxies.clone()) };
    let admission = Arc::clone(&gate.admission);
    servers.spawn(async move {
        http::serve(listeners.http, hub, authorizer, site, http_config, admission, stop_http).await;
        "HTTP"
    });
    if let Some(listener) = listeners.ops {
        let (ops_config, stop_ops) = (ops_config(config), stop.http.clone());
        servers.spawn(async move {
            millrace_gateway::ops::serve(listener, ops, ops_config, stop_ops).await;
            "diagnostics"
        });
    }
    servers
}

/// Tells the gateway of what is sent out of files.
async fn out_of_file(mut response: Response) -> Response {
    if let Some(Part { head, blob, ranges }) = response.extensions_mut().remove()
        && let Some(file) = blob.file().map(Arc::clone)
    {
        response.extensions_mut().insert(FileBody { head, file, ranges });
    }
    response
}

/// The hub's part of the configuration, on a system that lets this process open so many files.
pub(crate) fn hub_config(config: &Config, open_files: u64) -> HubConfig {
    HubConfig {
        gop_count: config.gop.count.get(),
        gop_max_bytes: config.gop.max_bytes.get(),
        gop_max_frames: config.gop.max_frames.get(),
        gop_max_duration: config.gop.max_duration.get(),
        play_window: config.play.window.get(),
        stall_timeout: config.play.stall_timeout.get(),
        publish_grace: config.publish.grace.get(),
        hls_segment: config.hls.segment.get(),
        hls_part: config.hls.part.get(),
        hls_window: config.hls.window.get(),
        hls_keep_after_end: config.hls.keep_after_end.get(),
        limits: hub_limits(config, open_files),
    }
}

/// What the hub may hold at a time.
pub(crate) fn hub_limits(config: &Config, open_files: u64) -> HubLimits {
    HubLimits {
        streams: config.limits.streams.get(),
        publishers: config.limits.publishers.get(),
        publishers_per_address: config.limits.publishers_per_address.get(),
        players: limits::connections(open_files, config.limits.players.get()),
        players_per_address: config.limits.players_per_address.get(),
        trusted: limits::trusted(config),
    }
}

fn rtmp_config(config: &Config) -> RtmpConfig {
    RtmpConfig { handshake_timeout: config.rtmp.handshake_timeout.get(), idle_timeout: config.rtmp.idle_timeout.get() }
}

fn http_config(config: &Config, answers: Answers, proxies: TrustedProxies) -> HttpConfig {
    HttpConfig {
        head_timeout: config.http.header_timeout.get(),
        thumbnails: ThumbnailConfig {
            enabled: config.thumbnails.enabled,
            interval: config.thumbnails.interval.get(),
            ffmpeg: config.ffmpeg.path.clone(),
        },
        answers,
        proxies,
        watching: Watching::default(),
    }
}

/// How the port for diagnostics behaves.
pub(crate) fn ops_config(config: &Config) -> OpsConfig {
    OpsConfig { head_timeout: config.http.header_timeout.get(), stall_timeout: config.play.stall_timeout.get() }
}

fn site_config(config: &Config) -> SiteConfig {
    let port = match config.rtmp.public_port.get() {
        0 => config.rtmp.listen.port(),
        port => port,
    };
    SiteConfig {
        name: config.site.name.as_str().to_owned(),
        rtmp_public_port: port,
        default_language: match config.site.default_language {
            Language::English => millrace_site::Language::En,
            Language::Chinese => millrace_site::Language::ZhCn,
        },
        public_url: config.site.public_url.as_ref().map(|url| url.as_str().to_owned()),
        trash_keep: config.trash.keep.get(),
        data_dir: Some(config.data_dir.clone()),
        cors: config.http.cors_origins.to_site(),
        source_url: config.site.source_url.as_ref().map(|url| url.as_str().to_owned()),
    }
}
