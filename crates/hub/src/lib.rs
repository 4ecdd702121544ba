//! The hub: live streams between those who publish and those who play.
//!
//! - [`Hub`]: registry of live streams; publish, play, who is on air.
//! - [`Publisher`]: sends [`Unit`](millrace_media::Unit)s into a stream.
//! - [`Events`]: streams that came on air, and that ended.
//! - [`Ring`]: a format's packets, made once, shared by all players.
//! - [`Authorizer`]: who may publish and who may play.
//!
//! **Invariants**
//! - One task owns each stream's state; others send it commands or hold read handles.
//! - A frame is packaged at most once per format, and only for formats that somebody takes.
//! - Nothing a player does can slow the publisher or another player: readers are never waited for.
//! - What a stream keeps is bounded in bytes, frames and seconds, whatever its publisher sends.

mod auth;
mod config;
mod events;
mod format;
mod gop;
mod hls;
mod info;
mod log_limit;
mod names;
mod network;
mod places;
mod player;
mod publisher;
mod registry;
mod ring;
mod session;
mod splice;
mod stats;
mod stream;
mod totals;
mod window;

pub use auth::{Authorizer, BoxFuture, Credentials, Grant, Leave, PlayRequest, PublishRequest, Refusal};
pub use config::{HubConfig, HubLimits, MAX_GOP_COUNT};
pub use events::{EndReason, Ended, Event, Events};
pub use format::Format;
pub use hls::{HlsReader, HlsView};
pub use info::{AudioInfo, PublisherInfo, StreamInfo, StreamState, VideoInfo};
pub use log_limit::{Allowed, LogLimit};
pub use millrace_hls::{
    CLOCK, Content, HlsFormat, HlsSnapshot, MediaSegment, PlaylistQuery, Refused, ResourceName, Turn, clock,
    manifest_with, playlist_with,
};
pub use names::{AppName, MAX_NAME, NameError, StreamId, StreamName};
pub use network::{AddressRange, Network};
pub use places::RefusedTotals;
pub use player::{PlayerGuard, PlayerInfo, PlayerStats, Protocol};
pub use publisher::{CutReason, PublishError, Publisher, PublisherMeta};
pub use registry::{Hub, PlayError, Subscription};
pub use ring::{Head, Packet, Read, Ring, Start};
pub use stats::{RATE_WINDOW, RateMeter, Rates, Traffic};
pub use totals::{HubTotals, SentTotals};
pub use window::{ItemKind, Join};
