//! HLS and MPEG-DASH over HTTP: playlists and segments from memory.
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
use std::time::{Duration, SystemTime};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::{Frame, SizeHint};
use millrace_hub::{
    Content, HlsFormat, HlsView, Hub, PlayerGuard, PlaylistQuery, Protocol, Rates, Refused, ResourceName, StreamId,
    Traffic, Turn,
};
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
pub(crate) fn multivariant(server: &Server, id: &StreamId) -> Result<Answer, Problem> {
    let content = server.hub.hls_multivariant(id)?.map_err(|words| Problem::unsupported(&*words))?;
    Ok(playlist(content))
}

/// `/{app}/{name}/ts.m3u8` and `cmaf.m3u8`. The first requests wait until there is enough to begin with; one with
/// delivery directives until the playlist has what they ask for.
pub(crate) async fn media_playlist(
    server: &Server,
    id: &StreamId,
    format: HlsFormat,
    query: &str,
    viewer: Viewer,
) -> Result<Answer, Problem> {
    server.audience.admit(id, viewer)?;
    let query = PlaylistQuery::parse(query).map_err(|error| Problem::bad_request(error.to_string()))?;
    let mut reader = server.hub.hls(id, format).await?;
    let there = |view: &HlsView| match &view.refusal {
        Some(words) => Some(Err(Problem::unsupported(&**words))),
        None => view.snapshot.as_ref().map(|snapshot| Ok(snapshot.target)),
    };
    let held_until = Instant::now() + HELD;
    let target = within(LONGEST_WAIT, reader.until(there)).await???;
    let suffices = |view: &HlsView| view.snapshot.as_ref().is_none_or(|snapshot| snapshot.suffices()).then_some(());
    // Whoever has waited long enough gets what there is.
    let _ = tokio::time::timeout_at(held_until, reader.until(suffices)).await;
    let look = |view: &HlsView| {
        let snapshot = view.snapshot.as_ref()?;
        match snapshot.playlist(&query) {
            Turn::Now(content) => Some(Ok((content, snapshot.ended))),
            Turn::Wait => None,
            Turn::Never(why) => Some(Err(Problem::bad_request(why.to_string()))),
        }
    };
    let (content, ended) = within(LONGEST_WAIT.min(target * BLOCKED), reader.until(look)).await???;
    if !ended {
        server.audience.watch(&server.hub, id, viewer);
    }
    Ok(playlist(content))
}

/// `/{app}/{name}.mpd`, over the segments of `cmaf.m3u8`. The first request waits for the first
/// segment.
pub(crate) async fn manifest(server: &Server, id: &StreamId, viewer: Viewer) -> Result<Answer, Problem> {
    server.audience.admit(id, viewer)?;
    let mut reader = server.hub.hls(id, HlsFormat::Cmaf).await?;
    let look = |view: &HlsView| match (&view.refusal, &view.snapshot) {
        (Some(words), _) => Some(Err(Problem::unsupported(&**words))),
        (None, Some(snapshot)) => snapshot.mpd(id.name.as_str()).map(|content| Ok((content, snapshot.ended))),
        (None, None) => None,
    };
    let (content, ended) = within(LONGEST_WAIT, reader.until(look)).await???;
    if !ended {
        server.audience.watch(&server.hub, id, viewer);
    }
    Ok(Answer { content_type: MANIFEST, cache_control: SHORT, content })
}

/// `/{app}/{name}/clock`
pub(crate) fn clock() -> Answer {
    Answer { content_type: "text/plain", cache_control: "no-store", content: millrace_hub::clock(SystemTime::now()) }
}

/// `/{app}/{name}/{segment}`: a segment, a part, or what a decoder needs first. The part that the
/// playlist hints at is waited for.
pub(crate) async fn resource(
    server: &Server,
    id: &StreamId,
    name: ResourceName,
    viewer: Viewer,
    head_only: bool,
) -> Result<Answer, Problem> {
    server.audience.admit(id, viewer)?;
    let mut reader = server.hub.hls(id, name.format()).await?;
    let look = |view: &HlsView| match view.snapshot.as_ref().map(|snapshot| snapshot.resource(name)) {
        Some(Turn::Now(content)) => Some(Ok(content)),
        Some(Turn::Wait) => None,
        Some(Turn::Never(why)) => Some(Err(Problem::not_found(why.to_string()))),
        None => Some(Err(Problem::not_found(Refused::Unknown.to_string()))),
    };
    let content = within(LONGEST_WAIT, reader.until(look)).await???;
    if !head_only {
        server.audience.sent(id, viewer, content.len());
    }
    Ok(Answer { content_type: name.format().content_type(), cache_control: IMMUTABLE, content })
}

async fn within<T>(longest: Duration, answer: impl Future<Output = T>) -> Result<T, Problem> {
    let late = |_| Problem::unavailable("the stream does not go on; ask again later");
    tokio::time::timeout(longest, answer).await.map_err(late)
}

/// Every playlist leaves here. Its text is the same for all who ask.
fn playlist(content: Content) -> Answer {
    Answer { content_type: PLAYLIST, cache_control: SHORT, content }
}

impl Answer {
    /// A playlist or manifest for one who came with a token: segments have to be asked for with it as well.
    pub(crate) fn handing_on(self, query: &str) -> Self {
        let Some(token) = token(query) else { return self };
        let content = match self.content_type {
            MANIFEST => millrace_hub::manifest_with(&self.content, token),
            _ => millrace_hub::playlist_with(&self.content, token),
        };
        Self { content, ..self }
    }

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

/// `token=…` out of a query, where its value may be repeated in a playlist.
fn token(query: &str) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let of =
        |pair: &str| pair.strip_prefix("token=").is_some_and(|token| !token.is_empty() && token.bytes().all(plain));
    query.split('&').find(|pair| pair.len() <= MAX_TOKEN && of(pair))
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
    /// Whom an operator sent away, and until when.
    sent_away: HashMap<(StreamId, Viewer), Instant>,
}

#[derive(Debug)]
struct Seat {
    place: PlayerGuard,
    last_seen: Instant,
    bytes: u64,
}

impl Audience {
    /// Refuses whom an operator sent away, for a while: they would only ask again.
    fn admit(&self, id: &StreamId, viewer: Viewer) -> Result<(), Problem> {
        let now = Instant::now();
        let key = (id.clone(), viewer);
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if seats.taken.get(&key).is_some_and(|seat| seat.place.is_kicked()) {
            seats.taken.remove(&key);
            if let Some(n) = seats.of_address.get_mut(&viewer.address) {
                *n -= 1;
            }
            seats.sent_away.insert(key.clone(), now + SENT_AWAY);
        }
        match seats.sent_away.get(&key) {
            Some(until) if *until > now => Err(Problem::forbidden("you were disconnected by the administrator")),
            _ => Ok(()),
        }
    }

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
        let Seats { taken, of_address, sent_away } = &mut *seats;
        sent_away.retain(|_, until| *until > now);
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

/// Longest token that is handed on, with its name.
const MAX_TOKEN: usize = 1024;
const PLAYLIST: &str = "application/vnd.apple.mpegurl";
const MANIFEST: &str = "application/dash+xml";
/// Less than half a segment: a cache may serve many players, and none of them stalls by it.
const SHORT: &str = "public, max-age=1";
/// A segment's name never stands for other bytes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// A request waits so long at most: longer than GOPs are, for the first segment.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// A request waits so long at most for a playlist that suffices to begin with, when there is one already. It is long
/// enough for two segments of the usual two seconds.
const HELD: Duration = Duration::from_secs(5);
/// In target durations, how long a playlist may be waited for that is to have what is yet to come.
const BLOCKED: u32 = 3;
/// Viewers of HLS that are counted at a time.
const MAX_SEATS: usize = 20_000;
/// Of these from one address, which may stand for a whole house.
const MAX_SEATS_OF_ADDRESS: usize = 256;
/// A viewer whom an operator sent away is refused for so long.
const SENT_AWAY: Duration = Duration::from_secs(300);
/// A viewer who has not asked for so long is gone: players ask once per target duration.
const AWAY: Duration = Duration::from_secs(20);
