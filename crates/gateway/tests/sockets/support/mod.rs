//! A server, a publisher, and players of every protocol.

pub(crate) mod frames;
pub(crate) mod player;
pub(crate) mod server;
pub(crate) mod web;

pub(crate) use frames::{Item, Show, What, examine, unbroken};
pub(crate) use player::{Player, Via};
pub(crate) use server::{Server, eventually, soon};
pub(crate) use web::Web;
