//! Broadcasts, as rows that stay.

use crate::db::{rows, run};
use crate::texts::texts;
use crate::{At, ChannelId, Error, LiveSessionId, Page, PageRequest, Store};

/// Why a broadcast ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LiveEnd {
    /// The publisher said that it is done.
    Finished,
    /// The publisher was lost and did not return.
    Lost,
    /// An operator ended it, or its key was reset.
    Kicked,
    /// The server was stopped.
    Stopped,
    /// The server ended without a word.
    Crashed,
}

texts!(LiveEnd {
    Finished = "finished",
    Lost = "lost",
    Kicked = "kicked",
    Stopped = "stopped",
    Crashed = "crashed",
});

/// A broadcast.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct LiveSession {
    /// Its id.
    pub id: LiveSessionId,
    /// The channel that was on air.
    pub channel_id: ChannelId,
    /// When it came on air.
    pub started_at: At,
    /// When it went off air; none while it is on.
    pub ended_at: Option<At>,
    /// Why it ended: the text of a [`LiveEnd`], perhaps of a newer version.
    pub end_reason: Option<String>,
    /// Most who watched at one time.
    pub peak_viewers: i64,
    /// Seconds watched by all together: divided by the broadcast's own, the mean number of viewers.
    pub viewer_seconds: i64,
    /// Bytes that came from the publisher.
    pub received_bytes: i64,
    /// Bytes that went to players.
    pub sent_bytes: i64,
    /// RFC 6381 name of the video codec; empty where there is none.
    pub video_codec: String,
    /// RFC 6381 name of the audio codec; empty where there is none.
    pub audio_codec: String,
    /// Pixels; 0 where not known.
    pub width: i64,
    /// Pixels; 0 where not known.
    pub height: i64,
    /// When the server that has it last wrote this row.
    pub seen_at: At,
}

/// A broadcast that begins.
#[derive(Debug, Clone)]
pub struct NewLiveSession<'a> {
    /// See [`LiveSession::channel_id`].
    pub channel_id: &'a ChannelId,
    /// See [`LiveSession::started_at`].
    pub started_at: At,
}

/// What is known of a broadcast once it is over, or so far.
#[derive(Debug, Clone, Default)]
pub struct LiveSessionEnd<'a> {
    /// See [`LiveSession::ended_at`].
    pub ended_at: Option<At>,
    /// See [`LiveSession::end_reason`].
    pub end_reason: Option<LiveEnd>,
    /// See [`LiveSession::peak_viewers`].
    pub peak_viewers: i64,
    /// See [`LiveSession::viewer_seconds`].
    pub viewer_seconds: i64,
    /// See [`LiveSession::received_bytes`].
    pub received_bytes: i64,
    /// See [`LiveSession::sent_bytes`].
    pub sent_bytes: i64,
    /// See [`LiveSession::video_codec`].
    pub video_codec: &'a str,
    /// See [`LiveSession::audio_codec`].
    pub audio_codec: &'a str,
    /// See [`LiveSession::width`].
    pub width: i64,
    /// See [`LiveSession::height`].
    pub height: i64,
}

impl Store {
    /// Notes that a channel came on air.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_live_session(&self, new: &NewLiveSession<'_>) -> Result<LiveSession, Error> {
        let sql = "INSERT INTO live_sessions (id, channel_id, started_at, seen_at) VALUES ($1, $2, $3, $4) RETURNING *";
        Ok(rows!(
            self.pool,
            fetch_one,
            LiveSession,
            sql,
            LiveSessionId::new(),
            new.channel_id,
            new.started_at,
            At::now()
        )?)
    }

    /// Notes what is known of a broadcast by now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update_live_session(&self, id: &LiveSessionId, now: &LiveSessionEnd<'_>) -> Result<(), Error> {
        run!(
            self.pool,
            "UPDATE live_sessions SET ended_at = $1, end_reason = $2, peak_viewers = $3, viewer_seconds = $4,
                    received_bytes = $5, sent_bytes = $6, video_codec = $7, audio_codec = $8, width = $9, height = $10,
                    seen_at = $11
             WHERE id = $12",
            now.ended_at,
            now.end_reason.map(LiveEnd::as_str),
            now.peak_viewers,
            now.viewer_seconds,
            now.received_bytes,
            now.sent_bytes,
            now.video_codec,
            now.audio_codec,
            now.width,
            now.height,
            At::now(),
            id,
        )?;
        Ok(())
    }

    /// Ends the broadcasts that are open and were last written before `seen_before`: their server is no more. They ended
    /// when they were last heard of. How many there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_abandoned_live_sessions(&self, seen_before: At) -> Result<u64, Error> {
        let sql = "UPDATE live_sessions
                   SET ended_at = CASE WHEN seen_at > started_at THEN seen_at ELSE started_at END, end_reason = $1
                   WHERE ended_at IS NULL AND seen_at < $2";
        Ok(run!(self.pool, sql, LiveEnd::Crashed.as_str(), seen_before)?)
    }

    /// A channel's broadcasts, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_sessions(&self, channel: &ChannelId, page: &PageRequest) -> Result<Page<LiveSession>, Error> {
        let sql = "SELECT * FROM live_sessions WHERE channel_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
        let sessions = rows!(self.pool, fetch_all, LiveSession, sql, channel, page.below(), page.rows())?;
        Ok(page.page(sessions, |session| session.id.as_str()))
    }
}
