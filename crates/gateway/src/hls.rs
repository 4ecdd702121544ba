//! HLS over HTTP: playlists and segments from memory.
//!
//! What is answered knows no HTTP library ([`Answer`]), so that any way of writing to a socket can
//! send it; hyper's is the one conversion at the end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::{Frame, SizeHint};
use millrace_hub::{Content, HlsView, Hub, PlayerGuard, Protocol, Rates, SegmentLookup, StreamId, Traffic};
use tokio::time::Instant;

use crate::http::Server;
use crate::problem::Problem;

/// What a request gets: a status of 200, two headers, and shared bytes.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) content_type: &'static str,
    pub(crate) cache_control: &'static str,
    pub(crate) content: Content,
}

/// `/{app}/{name}.m3u8`
pub(crate) async fn multivariant(server: &Server, id: &StreamId, _query: &str) -> Result<Answer, Problem> {
    let view = server.hub.hls_multivariant(id).await?;
    refuse(&view)?;
    Ok(Answer { content_type: PLAYLIST, cache_control: SHORT, content: view.multivariant.into() })
}

/// `/{app}/{name}/ts.m3u8`. The first request waits for the first segment.
pub(crate) async fn media_playlist(
    server: &Server,
    id: &StreamId,
    _query: &str,
    viewer: Viewer,
) -> Result<Answer, Problem> {
    let view = tokio::time::timeout(FIRST_SEGMENT, server.hub.hls(id))
        .await
        .map_err(|_| Problem::unavailable("the stream's first segment is not complete yet"))??;
    refuse(&view)?;
    let snapshot = view.snapshot.ok_or_else(|| Problem::unavailable("the stream has no segment yet"))?;
    if !snapshot.ended {
        server.audience.watch(&server.hub, id, viewer);
    }
    Ok(Answer { content_type: PLAYLIST, cache_control: SHORT, content: snapshot.media_playlist.clone().into() })
}

/// `/{app}/{name}/{segment}.ts`
pub(crate) async fn segment(server: &Server, id: &StreamId, name: &str, viewer: Viewer) -> Result<Answer, Problem> {
    let view = server.hub.hls_multivariant(id).await?;
    let lookup = view.snapshot.map_or(SegmentLookup::Unknown, |s| s.segment(name));
    match lookup {
        SegmentLookup::Found(segment) => {
            server.audience.sent(id, viewer, segment.bytes.len());
            let content = segment.bytes.clone().into();
            Ok(Answer { content_type: "video/mp2t", cache_control: IMMUTABLE, content })
        }
        other => Err(Problem::not_found(other.reason().unwrap_or_default())),
    }
}

impl Answer {
    /// For hyper.
    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(match self.content.pieces() {
            [whole] => Body::from(whole.clone()),
            _ => Body::new(Pieces { content: self.content, next: 0, sent: 0 }),
        });
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.cache_control));
        response
    }
}

/// Content of several pieces as a body; none is copied.
struct Pieces {
    content: Content,
    /// How many pieces, and how many bytes, were handed out.
    next: usize,
    sent: usize,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.content.pieces().get(self.next).cloned();
        self.next += 1;
        self.sent += piece.as_ref().map_or(0, Bytes::len);
        Poll::Ready(piece.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.next >= self.content.pieces().len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.content.len() - self.sent) as u64)
    }
}

/// Who asks for HLS: its requests stand alone, so that an address and a program's name must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Viewer {
    address: IpAddr,
    program: u64,
}

impl Viewer {
    pub(crate) fn new(peer: SocketAddr, user_agent: Option<&[u8]>) -> Self {
        let mut hasher = DefaultHasher::new();
        user_agent.hash(&mut hasher);
        Self { address: peer.ip(), program: hasher.finish() }
    }
}

/// The viewers of all HLS streams: those whose last request for a playlist is not long ago.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    taken: HashMap<(StreamId, Viewer), Seat>,
    of_address: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Seat {
    place: PlayerGuard,
    last_seen: Instant,
    bytes: u64,
}

impl Audience {
    /// Counts a viewer, or counts it still. Whoever is beyond the bounds watches uncounted: a seat
    /// costs nothing to ask for, so that nobody may be refused for want of one.
    fn watch(&self, hub: &Hub, id: &StreamId, viewer: Viewer) {
        let now = Instant::now();
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = seats.taken.get_mut(&(id.clone(), viewer))
            && hub.is_attached(id, &seat.place)
        {
            seat.last_seen = now;
            return;
        }
        let full = seats.taken.len() >= MAX_SEATS;
        if full || seats.of_address.get(&viewer.address).is_some_and(|n| *n >= MAX_SEATS_OF_ADDRESS) {
            return;
        }
        // A stream that ended since it was asked for its playlist has no seats any more.
        let Ok(place) = hub.attach(id, Protocol::Hls, SocketAddr::new(viewer.address, 0)) else { return };
        if seats.taken.insert((id.clone(), viewer), Seat { place, last_seen: now, bytes: 0 }).is_none() {
            *seats.of_address.entry(viewer.address).or_default() += 1;
        }
    }

    /// Whether anybody at that address watches.
    pub(crate) fn watches(&self, address: IpAddr) -> bool {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner).of_address.contains_key(&address)
    }

    fn sent(&self, id: &StreamId, viewer: Viewer, bytes: usize) {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = seats.taken.get_mut(&(id.clone(), viewer)) {
            seat.bytes += bytes as u64;
            seat.place.update(seat.bytes, Traffic::default(), Rates::default(), 0, 0);
        }
    }

    /// Lets those go who have not asked for long. To be called now and then.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let Seats { taken, of_address } = &mut *seats;
        taken.retain(|(_, viewer), seat| {
            let stays = now.duration_since(seat.last_seen) < AWAY;
            if !stays && let Some(n) = of_address.get_mut(&viewer.address) {
                *n -= 1;
            }
            stays
        });
        of_address.retain(|_, n| *n > 0);
    }
}

fn refuse(view: &HlsView) -> Result<(), Problem> {
    match &view.refusal {
        Some(words) => Err(Problem::unsupported(&**words)),
        None => Ok(()),
    }
}

const PLAYLIST: &str = "application/vnd.apple.mpegurl";
/// Less than half a segment: a cache may serve many players, and none of them stalls by it.
const SHORT: &str = "public, max-age=1";
/// A segment's name never stands for other bytes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// The first request waits so long for the first segment: longer than GOPs are.
const FIRST_SEGMENT: Duration = Duration::from_secs(15);
/// Viewers of HLS that are counted at a time.
const MAX_SEATS: usize = 20_000;
/// Of these from one address, which may stand for a whole house.
const MAX_SEATS_OF_ADDRESS: usize = 256;
/// A viewer who has not asked for so long is gone: players ask once per target duration.
const AWAY: Duration = Duration::from_secs(20);
