//! Identifiers: UUIDv7 as text, one type per kind of thing.

use std::fmt;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type, serde::Serialize)]
        #[sqlx(transparent)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A new one, later in order than those before.
            #[must_use]
            #[allow(clippy::new_without_default)] // no two are equal
            pub fn new() -> Self {
                Self(uuid::Uuid::now_v7().to_string())
            }

            /// Its text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(Self(uuid::Uuid::try_parse(text)?.to_string()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

id! {
    /// Names a user.
    UserId
    /// Names a session of a browser.
    SessionId
    /// Names a personal token for the API.
    TokenId
    /// Names a link that works once.
    LinkId
    /// Names a channel.
    ChannelId
    /// Names a stream key.
    KeyId
    /// Names a broadcast.
    LiveSessionId
    /// Names a video in the database.
    VideoId
    /// Names a file of a video.
    FileId
    /// Names an upload on its way.
    UploadId
    /// Names a comment.
    CommentId
    /// Names a report.
    ReportId
    /// Names a job.
    JobId
    /// Names an entry of the audit log.
    AuditId
}
