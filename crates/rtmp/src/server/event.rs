//! What a server session learns from its client.

use std::fmt;

#[cfg(doc)]
use super::ServerSession;
use crate::{Media, Target};

/// What a client wants or sends.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A client introduces itself. Call [`ServerSession::accept_connect`] or
    /// [`ServerSession::reject_connect`].
    Connect(Box<Connect>),
    /// It wants to publish. Call [`ServerSession::accept_publish`] or
    /// [`ServerSession::reject_publish`].
    Publish(Box<PublishRequest>),
    /// It wants to play. Call [`ServerSession::accept_play`] or [`ServerSession::reject_play`].
    Play(Box<PlayRequest>),
    /// Sound, picture or data of the stream being published.
    Media(Media),
    /// The client publishes no more. It may ask for something else, but seldom does.
    StopPublish,
    /// The client plays no more.
    StopPlay,
    /// The player pauses (true) or goes on (false). The answer has been given.
    Pause(bool),
    /// Whether the player wants sound from here on.
    ReceiveAudio(bool),
    /// Whether the player wants pictures from here on.
    ReceiveVideo(bool),
    /// A command that is not known, which has been answered so. Worth a line in a log.
    UnknownCommand(String),
}

/// What a client says of itself.
#[derive(Clone, PartialEq)]
pub struct Connect {
    /// The application, without instance and query.
    pub app: String,
    /// The URL that the client believes it is connected to. May hold a key; not to be trusted.
    pub tc_url: String,
    /// The client's name and version; `FMLE/3.0 (compatible; …)` for most encoders.
    pub flash_version: String,
    /// The AMF version it would like; 0 or 3.
    pub object_encoding: f64,
}

/// Without the URL, since it may hold a key.
impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("app", &self.app)
            .field("flash_version", &self.flash_version)
            .field("object_encoding", &self.object_encoding)
            .finish_non_exhaustive()
    }
}

/// A request to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishRequest {
    /// Which stream, or by which key.
    pub target: Target,
    /// What the client would like done with it.
    pub kind: PublishKind,
}

/// What a publisher would like done with its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishKind {
    /// Played live.
    Live,
    /// Recorded too.
    Record,
    /// Recorded at the end of an earlier recording.
    Append,
}

/// A request to play.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayRequest {
    /// Which stream.
    pub target: Target,
    /// Where to begin: −2 for live or recorded, −1 for live only, or a time. Clients disagree
    /// about the unit, and ask for 0 of a live stream.
    pub start: f64,
    /// How much to play; −1 for all.
    pub duration: f64,
    /// Whether to forget what was played before.
    pub reset: bool,
}
