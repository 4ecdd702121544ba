//! The gateway over real sockets: a hub, `rtmp::serve`, `http::serve`, and players written for the test.
//!
//! Publishers hand synthetic frames to the hub. Every frame says in its bytes which one it is, so that
//! players can tell whether they got it whole, at its time, and in its place.
#![allow(clippy::unwrap_used)]

mod support;

mod endings;
mod hls;
mod http;
mod leave;
mod leaving;
mod limits;
mod proxies;
mod refusals;
mod rtmp;
mod shutdown;
mod slow_players;
mod whole_packets;
