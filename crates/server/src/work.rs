//! Work in the background: who does it in this process, and `millrace worker`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use millrace_jobs::{
    BackUpDatabase, Config as RunnerConfig, Context, DatabaseBackup, Failure, Handler, JobsPrune, Metrics, PruneJobs,
    Registry, Runner, Schedule, Work,
};
use millrace_site::{Accounts, Makes, UploadConfig};
use millrace_store::{Kind, Store};
use millrace_transcode::{Ffmpeg, FfmpegConfig, LadderConfig};
use millrace_vod::{Workshop, jobs};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{info, warn};

use crate::{
    config::Config,
    health::Health,
    log, metrics,
    serve::{self, ServeError, Signals},
    storage, wire,
};

/// Does jobs, and tells of that, until a signal asks to end.
pub(crate) fn work(config: Config) -> Result<(), ServeError> {
    log::start(&config);
    let ops = serve::listen_for_ops(&config).map_err(|error| ServeError::Ports(vec![error]))?;
    serve::make_data_directory(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServeError::Runtime)?;
    let result = runtime.block_on(async {
        let mut signals = Signals::new().map_err(ServeError::Runtime)?;
        let store = Store::open(config.database.url.expose(), &config.data_dir).await?;
        let accounts = Accounts::new(store.clone(), storage::open(&config)?, &serve::site_key(&config)?, 1);
        let workshop = workshop(&config, &accounts, ffmpeg(&config).await);
        let runner = runner(&config, &accounts, &workshop);
        let _tidying = AbortOnDropHandle::new(tokio::spawn(workshop.keep_tidy()));
        let (health, stop, stop_telling) = (Health::default(), CancellationToken::new(), CancellationToken::new());
        let ops = ops.map(TcpListener::from_std).transpose().map_err(ServeError::Runtime)?;
        let address = ops.as_ref().map(TcpListener::local_addr).transpose().map_err(ServeError::Runtime)?;
        let telling = ops.map(|listener| {
            let (figures, jobs) = watch::channel(Metrics::default());
            let counting = AbortOnDropHandle::new(tokio::spawn(keep_figures(runner.clone(), figures)));
            let router = health.routes().merge(metrics::router(metrics::Process::new(jobs), None));
            let (config, stop) = (wire::ops_config(&config), stop_telling.clone());
            tokio::spawn(async move {
                millrace_gateway::ops::serve(listener, router, config, stop).await;
                drop(counting);
            })
        });
        let working = {
            let stop = stop.clone();
            tokio::spawn(async move { runner.run(&stop).await })
        };
        info!(version = env!("CARGO_PKG_VERSION"), ops = address.map(tracing::field::display), "working");
        let signal = signals.end().await;
        info!(signal, "ending");
        health.drain();
        stop.cancel();
        // One that panicked has said so.
        let _ = working.await;
        stop_telling.cancel();
        if let Some(telling) = telling {
            // Whoever does not take an answer is cut.
            let _ = timeout(LAST_ANSWERS, telling).await;
        }
        store.close().await;
        Ok(())
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

/// What the jobs of videos work with in this process.
pub(crate) fn workshop(config: &Config, accounts: &Accounts, ffmpeg: Option<Ffmpeg>) -> Workshop {
    Workshop {
        store: accounts.store(),
        vod: accounts.vod(),
        ffmpeg: ffmpeg.map(Arc::new),
        ladder: Arc::new(ladder(config)),
        scratch: config.data_dir.join("scratch"),
        staging: accounts.staging(),
    }
}

/// What does the jobs in this process. Those of uploads are done where `accounts` take them.
pub(crate) fn runner(config: &Config, accounts: &Accounts, workshop: &Workshop) -> Runner {
    let every = |text: &str| text.parse::<Schedule>().expect("it is a schedule");
    let store = accounts.store();
    let mut registry = jobs::register(Registry::new(), workshop)
        .handle(Tidying(accounts.clone()))
        .handle(JobsPrune { store: store.clone(), keep: JOBS_ARE_KEPT })
        .every("sessions.expire", every("3 * * * *"), &ExpireSessions {})
        .every("jobs.prune", every("41 3 * * *"), &PruneJobs {});
    let copies: usize = config.database.backups.get();
    if store.kind() == Kind::Sqlite && copies > 0 {
        let backup = DatabaseBackup {
            url: config.database.url.expose().to_owned(),
            data_dir: config.data_dir.clone(),
            directory: config.data_dir.join("backups"),
            keep: copies,
        };
        registry = registry.handle(backup).every("database.backup", every("17 3 * * *"), &BackUpDatabase {});
    }
    let at_once = |kind: &str, slots: usize| (kind.to_owned(), slots);
    let kind_slots = BTreeMap::from([
        at_once(jobs::MakeRendition::KIND, config.transcode.at_once.get()),
        at_once(jobs::OpenVideo::KIND, PROCESSED_AT_ONCE),
        at_once(jobs::ProcessVideo::KIND, PROCESSED_AT_ONCE),
        at_once(jobs::MakePictures::KIND, PROCESSED_AT_ONCE),
    ]);
    // However much there is of the work that takes long, other work has its own room.
    let slots = RunnerConfig::default().slots + kind_slots.values().sum::<usize>();
    let drain = config.shutdown.timeout.get() / 2;
    let lease = config.jobs.lease.get();
    Runner::new(store, registry, RunnerConfig { slots, kind_slots, drain, lease, ..RunnerConfig::default() })
}

/// Keeps the figures of jobs at hand, a few seconds old, until nobody reads them.
pub(crate) async fn keep_figures(runner: Runner, figures: watch::Sender<Metrics>) {
    let mut ticks = interval(FIGURES_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !figures.is_closed() {
        ticks.tick().await;
        match runner.metrics().await {
            Ok(metrics) => _ = figures.send_replace(metrics),
            Err(error) => warn!(%error, "jobs could not be counted"),
        }
    }
}

/// What uploads may be, as configured, and what becomes of them.
pub(crate) fn upload_config(config: &Config, ffmpeg: Option<&Ffmpeg>) -> UploadConfig {
    // Where workers do it, it is for them to have it.
    let at_once: usize = config.transcode.at_once.get();
    let has_ffmpeg = ffmpeg.is_some() || at_once == 0;
    let makes = match (has_ffmpeg, config.transcode.heights.get().is_empty()) {
        (false, _) => Makes::Nothing,
        (true, true) => Makes::Pictures,
        (true, false) => Makes::All,
    };
    let quota = config.upload.quota.get() as u64;
    UploadConfig {
        directory: config.data_dir.join("uploads"),
        max_size: config.upload.max_size.get() as u64,
        quota: (quota > 0).then_some(quota),
        reserve: config.upload.reserve.get() as u64,
        keep: config.upload.keep.get(),
        makes,
    }
}

/// FFmpeg, where it starts.
pub(crate) async fn ffmpeg(config: &Config) -> Option<Ffmpeg> {
    let wanted = FfmpegConfig {
        path: config.ffmpeg.path.clone(),
        threads: config.transcode.threads.get(),
        reserve: config.upload.reserve.get() as u64,
        ..FfmpegConfig::default()
    };
    match Ffmpeg::find(wanted).await {
        Ok(ffmpeg) => {
            for lack in ffmpeg.lacking(&ladder(config)) {
                warn!("{lack}");
            }
            Some(ffmpeg)
        }
        Err(error) => {
            warn!(%error, "videos play as they were uploaded, where browsers can; other sizes, pictures and conversions wait for a \
                 process that has FFmpeg");
            None
        }
    }
}

/// What sizes are made, as configured.
fn ladder(config: &Config) -> LadderConfig {
    LadderConfig {
        heights: config.transcode.heights.get(),
        video: config.transcode.video_codec,
        audio: config.transcode.audio_codec,
        ..LadderConfig::default()
    }
}

/// Remove what is over from the database: sessions, links, old entries of the log.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct ExpireSessions {}

impl Work for ExpireSessions {
    const KIND: &'static str = "sessions.expire";
}

struct Tidying(Accounts);

impl Handler for Tidying {
    type Work = ExpireSessions;

    async fn run(&self, _: &Context, _: ExpireSessions) -> Result<(), Failure> {
        Ok(self.0.tidy().await?)
    }
}

/// What was asked of a worker that has ended its work is answered for so long.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// So long ended jobs can be looked at.
const JOBS_ARE_KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// So old figures of jobs are at most.
const FIGURES_EVERY: Duration = Duration::from_secs(5);
/// Videos that are looked at at once: that takes little but waiting for the disk.
const PROCESSED_AT_ONCE: usize = 2;
