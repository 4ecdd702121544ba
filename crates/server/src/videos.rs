//! Who watches videos, and what they take: seen in what the site answers below `/videos/`.
//!
//! Invariant: what is kept of viewers is bounded by [`MAX_VIEWERS`], whoever comes.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{Method, StatusCode, Uri},
    middleware::Next,
    response::Response,
};
use millrace_gateway::SentBytes;
use millrace_hub::Network;

/// What of a video is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A whole file, or ranges of it.
    File,
    /// What HLS plays.
    Segment,
    /// What that is listed in.
    Playlist,
    /// Pictures and captions.
    Other,
}

/// The figures. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct VideoTraffic(Arc<Figures>);

#[derive(Debug, Default)]
struct Figures {
    requests: [AtomicU64; Kind::ALL.len()],
    sent: [SentBytes; Kind::ALL.len()],
    viewers: Mutex<Viewers>,
}

/// Who watches what, by an address and a hash of a video's id, and when that was last seen.
#[derive(Debug, Default)]
struct Viewers {
    seen: HashMap<(Network, u64), Instant>,
    /// When an address was last seen, whatever it watches.
    addresses: HashMap<Network, Instant>,
    hasher: RandomState,
    /// When it was last looked who is gone, where there was no room.
    looked: Option<Instant>,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::File, Self::Segment, Self::Playlist, Self::Other];

    /// Its name in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Segment => "segment",
            Self::Playlist => "playlist",
            Self::Other => "other",
        }
    }
}

impl VideoTraffic {
    /// Requests that were answered with what was asked for.
    pub(crate) fn requests(&self, kind: Kind) -> u64 {
        self.0.requests[kind as usize].load(Relaxed)
    }

    /// Bytes that were sent.
    pub(crate) fn sent(&self, kind: Kind) -> u64 {
        self.0.sent[kind as usize].get()
    }

    /// Who has asked for something to play within the last minute.
    pub(crate) fn viewers(&self) -> usize {
        let mut viewers = self.seen();
        viewers.forget(Instant::now());
        viewers.seen.len()
    }

    /// Whether an address watches something, or did a while ago: it may be in a pause.
    pub(crate) fn watches(&self, address: IpAddr) -> bool {
        self.seen().watches(address.into(), Instant::now())
    }

    fn seen(&self) -> MutexGuard<'_, Viewers> {
        // They are never left half changed.
        self.0.viewers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Viewers {
    fn watches(&self, client: Network, now: Instant) -> bool {
        self.addresses.get(&client).is_some_and(|seen| now.saturating_duration_since(*seen) < COMES_BACK_WITHIN)
    }

    fn saw(&mut self, client: Network, id: &str, now: Instant) {
        let viewer = (client, self.hasher.hash_one(id));
        let is_full = self.seen.len() >= MAX_VIEWERS && !self.seen.contains_key(&viewer);
        let too_many = is_full || self.addresses.len() >= MAX_VIEWERS && !self.addresses.contains_key(&client);
        if too_many && self.looked.is_none_or(|looked| now.duration_since(looked) >= LOOKED_EVERY) {
            self.looked = Some(now);
            self.forget(now);
        }
        if !is_full || self.seen.len() < MAX_VIEWERS {
            self.seen.insert(viewer, now);
        }
        if self.addresses.len() < MAX_VIEWERS || self.addresses.contains_key(&client) {
            self.addresses.insert(client, now);
        }
    }

    fn forget(&mut self, now: Instant) {
        self.seen.retain(|_, seen| now.saturating_duration_since(*seen) < WATCHES_FOR);
        self.addresses.retain(|_, seen| now.saturating_duration_since(*seen) < COMES_BACK_WITHIN);
    }
}

/// Counts what is answered of videos.
pub(crate) async fn count(State(traffic): State<VideoTraffic>, request: Request, next: Next) -> Response {
    // Others, such as what a browser asks before it asks for a file of another site, take nothing.
    let takes = matches!(*request.method(), Method::GET | Method::HEAD);
    let Some((id, kind)) = asked(request.uri().path()).filter(|_| takes) else { return next.run(request).await };
    let plays =
        matches!(kind, Kind::File | Kind::Segment) && request.method() == Method::GET && !downloads(request.uri());
    let viewer = request
        .extensions()
        .get()
        .filter(|_| plays)
        .map(|ConnectInfo(client): &ConnectInfo<SocketAddr>| (client.ip(), id.to_owned()));
    let mut response = next.run(request).await;
    if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
        traffic.0.requests[kind as usize].fetch_add(1, Relaxed);
        response.extensions_mut().insert(traffic.0.sent[kind as usize].clone());
        if let Some((client, id)) = viewer {
            traffic.seen().saw(client.into(), &id, Instant::now());
        }
    }
    response
}

/// Which video, and what of it.
fn asked(path: &str) -> Option<(&str, Kind)> {
    let (id, rest) = path.strip_prefix("/videos/").map(|path| path.split_once('/').unwrap_or((path, "")))?;
    let kind = match rest.rsplit_once('.').map(|(_, extension)| extension) {
        None if rest.is_empty() => Kind::File,
        Some("m4s" | "mp4") => Kind::Segment,
        Some("m3u8") => Kind::Playlist,
        _ => Kind::Other,
    };
    Some((id, kind))
}

fn downloads(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some("download")))
}

/// So long after it asked for something to play somebody is taken to watch it.
const WATCHES_FOR: Duration = Duration::from_secs(60);
/// So long after it somebody is let in beyond the limits of those who come anew.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(10 * 60);
/// Viewers that are told apart, and addresses; further ones are not counted.
const MAX_VIEWERS: usize = 131_072;
/// Where there are so many, it is looked so often who is gone.
const LOOKED_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::{Router, body::Body, middleware::from_fn_with_state, routing::get};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn what_is_answered_of_videos_is_counted() {
        let traffic = VideoTraffic::default();
        let router: Router = Router::new()
            .route("/videos/one", get(|| async { "a file" }))
            .route("/videos/one/{*rest}", get(|| async { "a part" }))
            .route("/other", get(|| async { "a page" }))
            .layer(from_fn_with_state(traffic.clone(), count));
        let ask = async |method: Method, last, path: &str| {
            let client = SocketAddr::from(([192, 0, 2, last], 1));
            let request = Request::builder().method(method).uri(path).extension(ConnectInfo(client));
            let mut answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            answer.extensions_mut().remove::<SentBytes>().is_some()
        };
        for (last, path) in [
            (1, "/videos/one"),
            (1, "/videos/one/480/video/0.m4s"),
            (2, "/videos/one/480/audio/init.mp4"),
            (3, "/videos/one?t=1&download"),
            (3, "/videos/one/index.m3u8"),
            (3, "/videos/one/thumbnails/1.jpg"),
        ] {
            assert!(ask(Method::GET, last, path).await, "{path}");
        }
        assert!(ask(Method::HEAD, 4, "/videos/one").await);
        assert!(!ask(Method::OPTIONS, 4, "/videos/one").await, "it takes nothing");
        assert!(!ask(Method::GET, 4, "/videos/two").await, "there is none");
        assert!(!ask(Method::GET, 4, "/other").await);
        assert_eq!(Kind::ALL.map(|kind| traffic.requests(kind)), [3, 2, 1, 1]);
        assert_eq!(traffic.viewers(), 2);
        assert_eq!([1, 2, 3, 4].map(|last| traffic.watches([192, 0, 2, last].into())), [true, true, false, false]);
    }

    #[test]
    fn viewers_are_seen_for_a_minute_and_their_memory_has_a_bound() {
        let (mut viewers, start) = (Viewers::default(), Instant::now());
        let network = |n: u32| Network::V4(n.into());
        let at = |seconds| start + Duration::from_secs(seconds);
        for n in 0..MAX_VIEWERS as u32 + 10 {
            viewers.saw(network(n), "one", start);
        }
        assert_eq!((viewers.seen.len(), viewers.addresses.len()), (MAX_VIEWERS, MAX_VIEWERS));
        viewers.saw(network(0), "one", at(59));
        viewers.saw(network(0), "two", at(60));
        assert_eq!(viewers.seen.len(), 2, "room was made");
        viewers.forget(at(119));
        assert_eq!(viewers.seen.len(), 1);
        assert!(viewers.watches(network(1), at(599)) && !viewers.watches(network(1), at(600)), "a pause has an end");
        assert!(viewers.watches(network(0), at(600)));
        viewers.forget(at(600));
        assert_eq!(viewers.addresses.len(), 1);
    }
}
