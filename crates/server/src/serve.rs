//! `millrace serve` from start to end: ports, servers, signals, and ending in good order.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use millrace_gateway::{Tls, TrustedProxies, admission::Admission};
use millrace_hub::{Hub, Protocol};
use millrace_site::{Accounts, Downloads, OperatorError, Recorder, SiteKey};
use millrace_store::Store;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{error, info, warn};

use crate::{
    config::{Config, ConfigError},
    demo::{self, Demo},
    ffmpeg::Ffmpeg,
    greeting,
    health::Health,
    limits, log,
    mail::{self, MailError},
    notify::{self, Watchdog},
    ports::{self, PortError},
    storage,
    streams::{ConfiguredStreams, Leaves},
    tls::{self, Certificate, TlsError},
    wire::{self, Gate, Listeners, Stop},
    work,
};

/// Why serving did not start, or ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The certificate is wrong.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Letters cannot be written.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// Ports that cannot be had.
    #[error("{}", lines(.0))]
    Ports(Vec<PortError>),
    /// The data directory cannot be made.
    #[error("{path}: the data directory cannot be made: {source}; set data_dir, or --data-dir DIR", path = .path.display())]
    DataDirectory {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The site's key cannot be had.
    #[error("{path}: the site's key: {source}", path = .path.display())]
    Key {
        /// Where it is kept.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The demonstration's account cannot be made.
    #[error("the demonstration's administrator: {0}")]
    Operator(#[from] OperatorError),
    /// The database cannot be used.
    #[error("database.url: {0}")]
    Database(#[from] millrace_store::Error),
    /// The directory of uploads cannot be made.
    #[error("the directory of uploads below data_dir cannot be made: {0}")]
    Uploads(io::Error),
    /// The place for files cannot be used.
    #[error("storage: {0}")]
    Storage(#[from] millrace_objects::Error),
    /// The operating system gave no threads or no signals.
    #[error("the runtime does not start: {0}")]
    Runtime(io::Error),
    /// A server ended by itself.
    #[error("{0}")]
    Ended(String),
}

/// Serves until a signal asks to end, as a demonstration or not. `load` reads the configuration, now and on each SIGHUP.
pub(crate) fn serve(load: impl Fn() -> Result<Config, ConfigError>, demonstrate: bool) -> Result<(), ServeError> {
    let load = || {
        let mut config = load()?;
        if demonstrate {
            demo::make_room(&mut config);
        }
        Ok::<_, ConfigError>(config)
    };
    let config = load()?;
    log::start(&config);
    let open_files = limits::raise_open_files();
    let certificate = tls::load(&config)?;
    let listeners = listen(&config).map_err(ServeError::Ports)?;
    make_data_directory(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServeError::Runtime)?;
    let result = runtime.block_on(run(&config, load, demonstrate, open_files, certificate, listeners));
    // What is still running has had its time.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

async fn run(
    config: &Config,
    load: impl Fn() -> Result<Config, ConfigError>,
    demonstrate: bool,
    open_files: u64,
    certificate: Option<Certificate>,
    listeners: Listeners<TcpListener>,
) -> Result<(), ServeError> {
    let mut signals = Signals::new().map_err(ServeError::Runtime)?;
    let listeners = listeners.into_tokio().map_err(ServeError::Runtime)?;
    let addresses = listeners.addresses().map_err(ServeError::Runtime)?;
    let hub = Hub::new(wire::hub_config(config, open_files));
    let streams = Arc::new(ConfiguredStreams::new(config));
    let (health, stop) = (Health::default(), Stop::default());
    let gate = Gate {
        admission: Admission::new(limits::connection_limits(config, open_files)),
        proxies: TrustedProxies::new(config.http.trusted_proxies.ranges().to_vec()),
        tls: certificate.as_ref().map(|certificate| Tls::new(Arc::clone(&certificate.config))),
    };
    let mail = mail::load(config)?;
    let store = Store::open(config.database.url.expose(), &config.data_dir).await?;
    let key = site_key(config)?;
    let objects = storage::open(config)?;
    tokio::spawn(storage::try_out(objects.clone()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let accounts = Accounts::new(store.clone(), objects, &key, threads).with_mail(mail);
    let ffmpeg = work::ffmpeg(config).await;
    let uploads = work::upload_config(config, ffmpeg.as_ref());
    let accounts = accounts.with_uploads(uploads).map_err(ServeError::Uploads)?;
    let downloads = accounts.downloads();
    downloads.set_limits(limits::download_limits(config));
    accounts.load_settings().await?;
    let mut setup = accounts.setup_link().await?;
    let log_in = match demonstrate {
        true => Some(demo::set_up(&accounts, setup.take().is_some()).await?),
        false => None,
    };
    let following = AbortOnDropHandle::new(tokio::spawn(accounts.follow()));
    let configured = Arc::clone(&streams);
    accounts.channels().leave_out(move |name| configured.has_name(name));
    let leaves = Arc::new(Leaves { configured: Arc::clone(&streams), channels: accounts.channels() });
    let recorder = Recorder::new(&hub, store.clone());
    let recorded = CancellationToken::new();
    let recording = tokio::spawn(recorder.run(recorded.clone().cancelled_owned()));
    let (figures, jobs) = watch::channel(millrace_jobs::Metrics::default());
    let mut servers = wire::start(config, &hub, leaves, accounts.clone(), listeners, &gate, jobs, &health, &stop);
    let workshop = work::workshop(config, &accounts, ffmpeg);
    let runner = work::runner(config, &accounts, &workshop);
    let tidying = AbortOnDropHandle::new(tokio::spawn(workshop.keep_tidy()));
    let counting = AbortOnDropHandle::new(tokio::spawn(work::keep_figures(runner.clone(), figures)));
    let working = {
        let stop = stop.rtmp.clone();
        tokio::spawn(async move { runner.run(&stop).await })
    };
    let resuming = AbortOnDropHandle::new(tokio::spawn(keep_receiving(accounts.clone())));
    info!(
        version = env!("CARGO_PKG_VERSION"),
        http = %addresses.http, rtmp = %addresses.rtmp, rtmps = addresses.rtmps.map(tracing::field::display),
        ops = addresses.ops.map(tracing::field::display), streams = config.streams.len(),
        "serving"
    );
    if let Some(words) = certificate.and_then(|certificate| certificate.warning()) {
        warn!("{words}");
    }
    greeting::print(config, &addresses, log_in.as_ref(), setup.as_ref());
    let demo = match demonstrate {
        true => start_demo(config, Demo::new(accounts), addresses.rtmp, &stop.rtmp).await,
        false => None,
    };
    let running = Running { config, streams: &streams, hub: &hub, gate: &gate, downloads, open_files };

    notify::ready();
    let mut watchdog = Watchdog::new();

    let result = loop {
        tokio::select! {
            () = watchdog.tick() => {}
            asked = signals.next() => match asked {
                Asked::Reload => {
                    notify::reloading();
                    running.reload(&load).await;
                    notify::ready();
                }
                Asked::End(signal) => {
                    info!(signal, timeout_s = config.shutdown.timeout.get().as_secs(), "ending");
                    break Ok(());
                }
            },
            Some(ended) = servers.join_next() => {
                break Err(ServeError::Ended(match ended {
                    Ok(name) => format!("the {name} server ended by itself"),
                    Err(error) => format!("a server failed: {error}"),
                }));
            }
        }
    };

    notify::stopping();
    health.drain();
    stop.rtmp.cancel();
    let ending = async {
        let hls = hub.totals().sent[Protocol::Hls as usize].players > 0;
        hub.shutdown().await;
        recorded.cancel();
        if hls {
            // Playlists have their end now: whoever plays them comes for it within a segment's length.
            sleep((config.hls.segment.get() + LAST_PLAYLIST).min(config.shutdown.timeout.get() / 2)).await;
        }
        stop.http.cancel();
        while servers.join_next().await.is_some() {}
        // Jobs that did not end were given back.
        let _ = working.await;
        drop((resuming, following, counting, tidying));
        // One that panicked has said so.
        let _ = recording.await;
        store.close().await;
        if let Some(demo) = demo {
            // A demonstration that failed has ended as well.
            let _ = demo.await;
        }
    };
    tokio::select! {
        ended = timeout(config.shutdown.timeout.get(), ending) => match ended {
            Ok(()) => info!("ended"),
            Err(_) => warn!("shutdown.timeout is over; what was still connected is cut"),
        },
        signal = signals.end() => warn!(signal, "asked again; what was still connected is cut"),
    }
    result
}

/// A player of HLS asks again after a segment's length, and so much later at most.
const LAST_PLAYLIST: Duration = Duration::from_secs(1);

/// Keys that a reload puts in place, beside the limits and the certificate.
const AT_ONCE: [&str; 3] = ["publish.open", "log.level", "http.trusted_proxies"];

/// Binds all ports, and tells of all that cannot be had at once.
fn listen(config: &Config) -> Result<Listeners<TcpListener>, Vec<PortError>> {
    let http = ports::HTTP.listen(config.http.listen);
    let rtmp = ports::RTMP.listen(config.rtmp.listen);
    let rtmps = config.tls.certificate.as_ref().map(|_| ports::RTMPS.listen(config.rtmps.listen)).transpose();
    let ops = listen_for_ops(config);
    match (http, rtmp, rtmps, ops) {
        (Ok(http), Ok(rtmp), Ok(rtmps), Ok(ops)) => Ok(Listeners { http, rtmp, rtmps, ops }),
        (http, rtmp, rtmps, ops) => {
            Err([http.err(), rtmp.err(), rtmps.err(), ops.err()].into_iter().flatten().collect())
        }
    }
}

/// Binds the port for diagnostics, where they are wanted.
pub(crate) fn listen_for_ops(config: &Config) -> Result<Option<TcpListener>, PortError> {
    config.ops.listen.map(|address| ports::OPS.listen(address)).transpose()
}

pub(crate) fn make_data_directory(config: &Config) -> Result<(), ServeError> {
    let path = config.data_dir.clone();
    std::fs::create_dir_all(&path).map_err(|source| ServeError::DataDirectory { path, source })
}

pub(crate) fn site_key(config: &Config) -> Result<SiteKey, ServeError> {
    if let Some(key) = &config.site.key {
        return Ok(SiteKey::from_hex(key.expose()).expect("the configuration takes nothing else"));
    }
    let path = config.data_dir.join("site.key");
    SiteKey::in_file(&path).map_err(|source| ServeError::Key { path, source })
}

/// Puts uploads into their place that are whole, as soon as that can be.
async fn keep_receiving(accounts: Accounts) {
    loop {
        accounts.resume_uploads().await;
        sleep(Duration::from_secs(60)).await;
    }
}

async fn start_demo(config: &Config, demo: Demo, rtmp: SocketAddr, stop: &CancellationToken) -> Option<JoinHandle<()>> {
    let path = config.ffmpeg.path.clone();
    let found = tokio::task::spawn_blocking(move || Ffmpeg::find(&path)).await.ok().flatten();
    match found {
        None => warn!(
            path = %config.ffmpeg.path.display(),
            "the demonstration channel stays off air: FFmpeg does not start; `apt install ffmpeg`, or set ffmpeg.path"
        ),
        Some(ffmpeg) if !ffmpeg.encodes("libx264") => {
            warn!("the demonstration channel stays off air: this FFmpeg was built without libx264");
        }
        Some(ffmpeg) => return Some(tokio::spawn(demo.run(ffmpeg, rtmp, stop.clone()))),
    }
    None
}

/// What a reload changes in the running server.
struct Running<'a> {
    config: &'a Config,
    streams: &'a ConfiguredStreams,
    hub: &'a Hub,
    gate: &'a Gate,
    downloads: Downloads,
    open_files: u64,
}

impl Running<'_> {
    /// Takes over what can be changed in the running server, or nothing where the new configuration is wrong.
    async fn reload(&self, load: &impl Fn() -> Result<Config, ConfigError>) {
        let config = match load() {
            Ok(config) => config,
            Err(error) => return error!(%error, "the configuration is wrong; nothing is changed"),
        };
        let certificate = match tls::load(&config) {
            Ok(certificate) => certificate,
            Err(error) => return error!(%error, "the certificate is wrong; nothing is changed"),
        };
        log::set_level(&config);
        self.gate.admission.set_limits(limits::connection_limits(&config, self.open_files));
        self.gate.proxies.set(config.http.trusted_proxies.ranges().to_vec());
        self.hub.set_limits(wire::hub_limits(&config, self.open_files));
        self.downloads.set_limits(limits::download_limits(&config));
        if let (Some(tls), Some(certificate)) = (&self.gate.tls, certificate) {
            info!(until = certificate.until(), "the certificate is reloaded");
            if let Some(words) = certificate.warning() {
                warn!("{words}");
            }
            tls.replace(certificate.config);
        }
        for id in self.streams.replace(&config, || self.hub.published()) {
            if self.hub.kick_publisher(&id).await {
                info!(stream = %id, "the publisher's key is no longer valid; it is cut");
            }
        }
        info!(streams = config.streams.len(), "streams are reloaded");
        let at_once = |key: &str| {
            let certificate = key.starts_with("tls.") && self.gate.tls.is_some() && config.tls.certificate.is_some();
            certificate || key.starts_with("limits.") || AT_ONCE.contains(&key)
        };
        let waiting: Vec<_> = config.differences(self.config).into_iter().filter(|key| !at_once(key)).collect();
        if !waiting.is_empty() {
            warn!(keys = waiting.join(", "), "changed, but wait for a restart");
        }
    }
}

impl Listeners<TcpListener> {
    fn into_tokio(self) -> io::Result<Listeners<tokio::net::TcpListener>> {
        let into = tokio::net::TcpListener::from_std;
        let (rtmps, ops) = (self.rtmps.map(into).transpose()?, self.ops.map(into).transpose()?);
        Ok(Listeners { http: into(self.http)?, rtmp: into(self.rtmp)?, rtmps, ops })
    }
}

impl Listeners<tokio::net::TcpListener> {
    fn addresses(&self) -> io::Result<Listeners<SocketAddr>> {
        let address = tokio::net::TcpListener::local_addr;
        Ok(Listeners {
            http: address(&self.http)?,
            rtmp: address(&self.rtmp)?,
            rtmps: self.rtmps.as_ref().map(address).transpose()?,
            ops: self.ops.as_ref().map(address).transpose()?,
        })
    }
}

pub(crate) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            () = wait(&mut self.hangup) => Asked::Reload,
            () = wait(&mut self.terminate) => Asked::End("SIGTERM"),
            () = wait(&mut self.interrupt) => Asked::End("SIGINT"),
        }
    }

    /// Waits until one asks to end.
    pub(crate) async fn end(&mut self) -> &'static str {
        loop {
            if let Asked::End(signal) = self.next().await {
                return signal;
            }
        }
    }
}

enum Asked {
    Reload,
    End(&'static str),
}

/// Waits for the next signal. A stream of signals ends only with the runtime.
async fn wait(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

fn lines(errors: &[impl fmt::Display]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
