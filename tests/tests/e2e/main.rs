//! The server from outside: every way in, every way out.

#![allow(clippy::unwrap_used)]

mod buckets;
mod enhanced;
mod hostile;
mod http_details;
mod joining;
mod kills;
mod lifecycle;
mod low_latency;
mod outputs;
mod peers;
mod playlists;
mod proxy;
mod refusals;
mod repair;
mod restarts;
mod rtmps;
mod slow_players;
mod statistics;
mod videos;
mod workers;
