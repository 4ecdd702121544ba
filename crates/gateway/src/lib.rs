//! Sockets to protocol to hub: one file per protocol.
//!
//! - [`rtmp`]: publishers and players over RTMP.
//! - [`http`]: the HTTP port: media here, everything else to the site.
//! - [`ops`]: the operator's port, which has a router of its own.
//! - [`admission`]: who may connect.
//! - [`walker`](mod@walker): one task writes the shared packets to all plain players of a stream.
//!
//! **Invariant:** this crate and the site meet only through the hub and its
//! [`Authorizer`](millrace_hub::Authorizer).

mod accept;
pub mod admission;
mod answers;
mod conversation;
mod file_body;
#[doc(hidden)]
pub mod fuzzing;
mod hls;
pub mod http;
mod http_flv;
mod media_path;
pub mod ops;
mod paced;
mod playhead;
mod problem;
mod proxies;
pub mod rtmp;
mod socket;
mod thumbnail;
mod tls;
mod walker;
mod ws_flv;

pub use answers::{Answers, SentBytes};
pub use file_body::FileBody;
pub use media_path::{MediaPath, RESERVED_APPS};
pub use proxies::TrustedProxies;
pub use thumbnail::ThumbnailConfig;
pub use tls::Tls;
