//! The database: accounts, sessions, channels, keys, videos and their files, jobs, settings, audit log.
//!
//! One SQL text per query runs on SQLite (embedded, the default) and on PostgreSQL: placeholders `$1`, `ON CONFLICT`,
//! `RETURNING`, and columns of the kinds TEXT, BIGINT, BOOLEAN and bytes. Queries are sorted by topic, one module each,
//! as methods of [`Store`].
//!
//! Invariants:
//! - Secrets come in as hashes or sealed: nothing here can be used to log in, publish or watch if it leaks.
//! - Every list is in the order of its ids (UUIDv7: of creation), by page, and its query has an index.
//! - What must hold together is changed in one transaction.

mod audit;
mod backup;
mod changes;
mod channels;
mod comments;
mod counts;
mod db;
mod error;
mod files;
mod ids;
mod jobs;
mod keys;
mod links;
mod live;
mod look;
mod page;
mod reports;
mod search;
mod sessions;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;
mod texts;
mod timers;
mod tokens;
mod uploads;
mod users;
mod videos;
mod views;

pub use audit::{Action, AuditEntry, AuditFilter, NewAuditEntry};
pub use backup::{BackupError, backup};
pub use changes::{Change, Changes};
pub use channels::{Channel, ChannelChange, ChannelFilter, ChannelOrder, MAX_WORDS, NewChannel, Visibility};
pub use comments::{Comment, CommentOrder, HeldComment, ListedComment, NewComment};
pub use counts::Counts;
pub use db::{Kind, Store};
pub use error::Error;
pub use files::{File, FileKind, MissingFile, NewFile, StoredKind, StoredOfUser};
pub use ids::{
    AuditId, ChannelId, CommentId, FileId, JobId, KeyId, LinkId, LiveSessionId, ReportId, SessionId, TokenId, UploadId,
    UserId, VideoId,
};
pub use jobs::{Beat, Claim, Job, JobCount, JobFilter, JobOutcome, JobState, Lease, NewJob};
pub use keys::{NewStreamKey, StreamKey};
pub use links::{Link, LinkKind, NewLink};
pub use live::{LiveEnd, LiveSession, LiveSessionEnd, NewLiveSession};
pub use look::{Found, look};
pub use page::{Page, PageRequest};
pub use reports::{NewReport, Report, ReportReason};
pub use search::{MAX_FOUND, MAX_NEWEST, MAX_WATCHED, SearchOrder, VideoLength, VideoSearch};
pub use sessions::{NewSession, Session};
pub use settings::StoredSettings;
pub use timers::Timer;
pub use tokens::{ApiToken, NewApiToken};
pub use uploads::{NewUpload, Upload};
pub use users::{NewUser, Profile, Role, User, UserFilter, UserState};
pub use videos::{
    ListedVideo, NewVideo, Review, Shelf, TrashedVideo, Video, VideoChange, VideoFacts, VideoFilter, VideoOrder,
    VideoState,
};

/// SHA-256 of a secret that is high-entropy by itself.
pub type Hash = [u8; 32];

/// A point in time: milliseconds since 1970, UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type, serde::Serialize, serde::Deserialize,
)]
#[sqlx(transparent)]
pub struct At(pub i64);

impl At {
    /// Now, by the system's clock.
    #[must_use]
    pub fn now() -> Self {
        time::OffsetDateTime::now_utc().into()
    }

    /// That much later, or earlier where `duration` is negative.
    #[must_use]
    pub fn plus(self, duration: time::Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.whole_milliseconds()).unwrap_or(i64::MAX)))
    }
}

impl From<time::OffsetDateTime> for At {
    fn from(time: time::OffsetDateTime) -> Self {
        Self(i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX))
    }
}

impl From<At> for time::OffsetDateTime {
    /// Times beyond the years that can be written become 1970.
    fn from(at: At) -> Self {
        Self::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000).unwrap_or(Self::UNIX_EPOCH)
    }
}
