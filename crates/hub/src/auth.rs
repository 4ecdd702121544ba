use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use crate::{AppName, StreamId, StreamName};

/// A future that an object-safe trait can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Decides who may publish and who may play.
///
/// This is all that the live core knows of users: implementations ask a configuration or a
/// database. They must not log keys, and must compare them in constant time.
pub trait Authorizer: Send + Sync + 'static {
    /// Which stream may be published with this key?
    fn publish<'a>(&'a self, request: PublishRequest<'a>) -> BoxFuture<'a, Result<Grant, Refusal>>;

    /// May this stream be played?
    fn play<'a>(&'a self, request: PlayRequest<'a>) -> BoxFuture<'a, Result<Leave, Refusal>>;

    /// Is this a request of somebody who runs the server or keeps order on it? Such a one can work while it is full. Nobody,
    /// unless an implementation knows better.
    fn administers<'a>(&'a self, credentials: Credentials<'a>) -> BoxFuture<'a, bool> {
        let _ = credentials;
        Box::pin(std::future::ready(false))
    }
}

/// Somebody wants to publish.
#[derive(Clone, Copy)]
pub struct PublishRequest<'a> {
    /// The application that was connected to.
    pub app: &'a AppName,
    /// What was given in place of the stream's name. A secret: never log it.
    pub key: &'a str,
    /// What followed the key behind `?`, perhaps empty. May hold secrets.
    pub query: &'a str,
    /// Where the publisher connects from.
    pub peer: SocketAddr,
}

/// Somebody wants to play.
#[derive(Clone, Copy)]
pub struct PlayRequest<'a> {
    /// The stream.
    pub stream: &'a StreamId,
    /// What followed the name behind `?`, perhaps empty. May hold secrets.
    pub query: &'a str,
    /// The cookies that came with it, as the header has them; empty where there are none. May hold secrets.
    pub cookies: &'a str,
    /// Where the player connects from.
    pub peer: SocketAddr,
}

/// By what a request over HTTP shows whose it is. May hold secrets.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// Its cookies, as the header has them; empty where there are none.
    pub cookies: &'a str,
    /// Its `Authorization`; empty where there is none.
    pub authorization: &'a str,
    /// Where it comes from.
    pub peer: SocketAddr,
}

/// Leave to publish.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The public name under which the stream plays.
    pub name: StreamName,
    /// The publisher proved that the stream is its own, so it replaces whoever is on it: most
    /// often its own ghost.
    pub takeover: bool,
}

/// Leave to play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leave {
    /// Anybody may: what is answered may be kept by caches that many share.
    Anybody,
    /// This one may, by what came with the request: what is answered is for nobody else.
    Bearer,
    /// As [`Leave::Bearer`], by an account of this id, which may lose leave: [`Hub::kick_user`](crate::Hub::kick_user).
    User(Arc<str>),
}

/// No leave. The words reach the peer and the log: no secrets in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such stream.
    #[error("there is no such stream")]
    NotFound,
    /// The key is missing, wrong or no longer valid.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// Ask again later.
    #[error("{0}")]
    Unavailable(&'static str),
}
