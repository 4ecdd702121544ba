//! `GET /metrics`: what Prometheus and its kin read. Everything is gathered when it is asked for, from counters that
//! are there anyway.

use std::{
    fmt, fs,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use millrace_gateway::{
    Answers,
    admission::{Admission, Excess, Port},
};
use millrace_hub::{Hub, HubTotals, Protocol, RefusedTotals};
use millrace_jobs::{KindMetrics, Metrics};
use millrace_site::{DownloadExcess, Downloads};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use tokio::sync::watch;

use crate::videos::{Kind, VideoTraffic};

/// What any process tells: of itself, and of the jobs.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// As they were a few seconds ago.
    jobs: watch::Receiver<Metrics>,
    /// When the process began to serve, or to work.
    started: Instant,
}

/// What a server tells beyond that.
#[derive(Clone, Debug)]
pub(crate) struct Serving {
    /// Streams, publishers, players.
    pub(crate) hub: Hub,
    /// Connections.
    pub(crate) admission: Arc<Admission>,
    /// Requests.
    pub(crate) answers: Answers,
    /// Files of videos.
    pub(crate) downloads: Downloads,
    /// What viewers take of videos.
    pub(crate) videos: VideoTraffic,
}

/// What is read of the jobs of a kind.
type Figure = fn(&KindMetrics) -> u64;

/// `GET /metrics`.
pub(crate) fn router(process: Process, serving: Option<Serving>) -> Router {
    let mut registry = Registry::with_prefix("millrace");
    if let Some(serving) = serving {
        registry.register_collector(Box::new(serving));
    }
    registry.register_collector(Box::new(process));
    Router::new().route("/metrics", get(metrics)).with_state(Arc::new(registry))
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    // Counting the descriptors of many players takes its time, which is theirs on a thread of the runtime.
    let text = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        encode(&mut text, &registry).map(|()| text)
    });
    match text.await {
        Ok(Ok(text)) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Collector for Serving {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut page = Page(encoder);
        self.streams(&mut page, &self.hub.totals())?;
        self.connections(&mut page)?;
        self.videos(&mut page)
    }
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut page = Page(encoder);
        jobs(&mut page, &self.jobs.borrow())?;
        self.process(&mut page)
    }
}

impl Serving {
    fn streams(&self, page: &mut Page<'_>, totals: &HubTotals) -> fmt::Result {
        let states = [("live", totals.live), ("reconnecting", totals.reconnecting), ("waiting", totals.waiting)];
        page.gauges("streams", "Streams by state.", states.map(|(state, n)| ([("state", state)], n)))?;
        page.gauge("publishers", "Publishers that are connected, or may yet return.", totals.publishers)?;
        let limits = |of: RefusedTotals, total, of_address| {
            [("streams", of.streams), (total, of.total), (of_address, of.of_address)]
                .map(|(limit, n)| ([("limit", limit)], n))
        };
        let refused = limits(totals.refused_publishers, "publishers", "publishers_per_address");
        page.counters("refused_publishers", "Publishers beyond a limit.", None, refused)?;
        let refused = limits(totals.refused_players, "players", "players_per_address");
        page.counters("refused_players", "Players beyond a limit, those of HLS not among them.", None, refused)?;
        let received = totals.received;
        let bytes = [("video", received.video_bytes), ("audio", received.audio_bytes)];
        let help = "Coded media from publishers.";
        page.counters("received", help, Some(Unit::Bytes), bytes.map(|(kind, n)| ([("kind", kind)], n)))?;
        let frames = [("video", received.video_frames), ("audio", received.audio_frames)];
        page.counters("received_frames", "Frames from publishers.", None, frames.map(|(k, n)| ([("kind", k)], n)))?;
        let help = "Frames from publishers that could not be read.";
        page.counters("damaged_frames", help, None, [([], totals.damaged_frames)])?;

        let by_protocol = || Protocol::ALL.iter().map(|p| ([("protocol", p.as_str())], totals.sent[*p as usize]));
        page.gauges("players", "Players that watch now.", by_protocol().map(|(l, sent)| (l, sent.players)))?;
        let help = "Bytes to players, framing included.";
        page.counters("sent", help, Some(Unit::Bytes), by_protocol().map(|(l, sent)| (l, sent.bytes)))?;
        page.counters("sent_frames", "Frames to players.", None, by_protocol().map(|(l, sent)| (l, sent.frames)))?;
        let help = "How often players fell behind and skipped to a keyframe.";
        page.counters("player_skips", help, None, by_protocol().map(|(l, sent)| (l, sent.skips)))?;
        let help = "Frames that players lost by skipping.";
        page.counters("dropped_frames", help, None, by_protocol().map(|(l, sent)| (l, sent.dropped_frames)))
    }

    fn connections(&self, page: &mut Page<'_>) -> fmt::Result {
        let open = Port::ALL.map(|port| ([("port", port.as_str())], self.admission.open(port)));
        page.gauges("connections", "Connections that are open.", open)?;
        let refused = Excess::ALL.map(|excess| ([("limit", excess.as_str())], self.admission.refused(excess)));
        page.counters("refused_connections", "Connections beyond a limit.", None, refused)?;
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        let answers = classes.into_iter().zip(self.answers.by_class()).map(|(name, (_, n))| ([("status", name)], n));
        page.counters("http_requests", "Requests that were answered, by class of status.", None, answers)
    }

    fn videos(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge("downloads", "Files of videos that are being sent.", self.downloads.open())?;
        let refused = DownloadExcess::ALL.map(|excess| ([("limit", excess.as_str())], self.downloads.refused(excess)));
        page.counters("refused_downloads", "Files of videos beyond a limit.", None, refused)?;
        let help = "Addresses that asked for something of a video to play within a minute, once for each video.";
        page.gauge("video_viewers", help, self.videos.viewers())?;
        let by_kind = |count: fn(&VideoTraffic, Kind) -> u64| {
            Kind::ALL.map(|kind| ([("kind", kind.as_str())], count(&self.videos, kind)))
        };
        let help = "Requests for what there is of videos that were answered with it.";
        page.counters("video_requests", help, None, by_kind(VideoTraffic::requests))?;
        page.counters("video_sent", "What was sent of videos.", Some(Unit::Bytes), by_kind(VideoTraffic::sent))
    }
}

impl Process {
    /// From now on.
    pub(crate) fn new(jobs: watch::Receiver<Metrics>) -> Self {
        Self { jobs, started: Instant::now() }
    }

    fn process(&self, page: &mut Page<'_>) -> fmt::Result {
        let build = [("version", env!("CARGO_PKG_VERSION"))];
        page.gauges("build_info", "What is running; always 1.", [(build, 1)])?;
        let started = SystemTime::now() - self.started.elapsed();
        let started = started.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        page.gauges_of(
            "start_time",
            "When it began to serve, or to work.",
            Some(Unit::Seconds),
            [([], whole(started))],
        )?;
        page.gauges_of(
            "uptime",
            "For how long it serves, or works.",
            Some(Unit::Seconds),
            [([], whole(self.started.elapsed().as_secs()))],
        )?;
        if let Some(bytes) = resident_bytes() {
            page.gauges_of("resident_memory", "Memory of the process.", Some(Unit::Bytes), [([], whole(bytes))])?;
        }
        if let Some(files) = open_files() {
            page.gauge("open_files", "File descriptors of the process.", files)?;
        }
        let most = usize::try_from(crate::limits::open_files()).unwrap_or(usize::MAX);
        page.gauge("max_open_files", "File descriptors that it may have.", most)
    }
}

fn jobs(page: &mut Page<'_>, Metrics { kinds }: &Metrics) -> fmt::Result {
    let states: [(&str, Figure); 3] =
        [("waiting", |of| of.waiting), ("running", |of| of.running), ("failed", |of| of.failed)];
    let by_state = kinds
        .iter()
        .flat_map(|of| states.map(|(state, count)| ([("kind", of.kind.as_str()), ("state", state)], whole(count(of)))));
    page.gauges_of("jobs", "Jobs of all nodes by kind and state.", None, by_state)?;
    let oldest = kinds.iter().map(|of| ([("kind", of.kind.as_str())], whole(of.oldest_waiting.as_secs())));
    let help = "For how long the first that waits could have been done.";
    page.gauges_of("jobs_oldest_waiting", help, Some(Unit::Seconds), oldest)?;
    let here = kinds.iter().map(|of| ([("kind", of.kind.as_str())], whole(of.running_here)));
    page.gauges_of("jobs_running_here", "Jobs that run in this process.", None, here)?;
    let outcomes: [(&str, Figure); 5] = [
        ("done", |of| of.done_total),
        ("failed", |of| of.failed_total),
        ("retried", |of| of.retried_total),
        ("cancelled", |of| of.cancelled_total),
        ("lost", |of| of.lost_total),
    ];
    let ended = kinds.iter().flat_map(|of| {
        outcomes.map(|(outcome, count)| ([("kind", of.kind.as_str()), ("outcome", outcome)], count(of)))
    });
    page.counters("jobs_ended", "Attempts of this process by kind and outcome.", None, ended)
}

/// Memory that is the process's own or shared, in RAM now. None where the system does not say.
pub(crate) fn resident_bytes() -> Option<u64> {
    // Sizes in pages: total, resident… (proc_pid_statm(5)).
    let pages: u64 = fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn open_files() -> Option<usize> {
    // One of them is the directory itself.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1))
}

fn whole(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The page that is written. A metric's labels are the same for all of its values.
struct Page<'a>(DescriptorEncoder<'a>);

type Labels<'a, const N: usize> = [(&'a str, &'a str); N];

impl Page<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: usize) -> fmt::Result {
        self.gauges(name, help, [([], value)])
    }

    fn gauges<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a, N>, usize)>,
    ) -> fmt::Result {
        self.gauges_of(name, help, None, values.into_iter().map(|(labels, n)| (labels, whole(n as u64))))
    }

    fn gauges_of<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        values: impl IntoIterator<Item = (Labels<'a, N>, i64)>,
    ) -> fmt::Result {
        self.family(name, help, unit, MetricType::Gauge, values.into_iter().map(|(l, n)| (l, ConstGauge::new(n))))
    }

    fn counters<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        values: impl IntoIterator<Item = (Labels<'a, N>, u64)>,
    ) -> fmt::Result {
        self.family(name, help, unit, MetricType::Counter, values.into_iter().map(|(l, n)| (l, ConstCounter::new(n))))
    }

    fn family<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        kind: MetricType,
        values: impl Iterator<Item = (Labels<'a, N>, impl EncodeMetric)>,
    ) -> fmt::Result
    where
        Labels<'a, N>: EncodeLabelSet,
    {
        let mut family = self.0.encode_descriptor(name, help, unit.as_ref(), kind)?;
        for (labels, value) in values {
            if N == 0 {
                return value.encode(family);
            }
            value.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
