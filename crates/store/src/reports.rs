//! What viewers report to the moderators.

use crate::audit;
use crate::db::{rows, run, run_in};
use crate::texts::texts;
use crate::{At, Error, NewAuditEntry, Page, PageRequest, ReportId, Store, UserId, VideoId};

/// Why a video is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportReason {
    /// Advertising, fraud, what has nothing to do with its title.
    Spam,
    /// Hatred, threats, cruelty.
    Abuse,
    /// Not for everybody's eyes.
    Sexual,
    /// It is somebody else's.
    Rights,
    /// Something else, which the words say.
    Other,
}

texts!(ReportReason {
    Spam = "spam",
    Abuse = "abuse",
    Sexual = "sexual",
    Rights = "rights",
    Other = "other",
});

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Report {
    /// Its id.
    pub id: ReportId,
    /// The video.
    pub video_id: VideoId,
    /// Why.
    #[sqlx(try_from = "String")]
    pub reason: ReportReason,
    /// What else was said.
    pub words: String,
    /// When.
    pub created_at: At,
    /// When moderators were done with it.
    pub closed_at: Option<At>,
    /// The reporter's handle.
    pub reporter: Option<String>,
    /// The video's name in addresses.
    pub short_id: String,
    /// The video's title.
    pub title: String,
}

/// A report to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewReport<'a> {
    /// See [`Report::video_id`].
    pub video_id: &'a VideoId,
    /// Who reports.
    pub reporter_id: &'a UserId,
    /// See [`Report::reason`].
    pub reason: ReportReason,
    /// See [`Report::words`].
    pub words: &'a str,
}

impl Store {
    /// Notes a report, in place of one that the same account made of the same video.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn report_video(&self, new: &NewReport<'_>) -> Result<(), Error> {
        run!(
            self.pool,
            "INSERT INTO reports (id, video_id, reporter_id, reason, words, created_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (video_id, reporter_id) DO UPDATE
             SET reason = excluded.reason, words = excluded.words, created_at = excluded.created_at, closed_at = NULL",
            ReportId::new(),
            new.video_id,
            new.reporter_id,
            new.reason.as_str(),
            new.words,
            At::now(),
        )?;
        Ok(())
    }

    /// The reports that moderators are not done with, the oldest first; not those of videos in the trash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_reports(&self, page: &PageRequest) -> Result<Page<Report>, Error> {
        let sql = "SELECT reports.*, users.handle AS reporter, videos.short_id, videos.title
                   FROM reports JOIN videos ON videos.id = reports.video_id
                   LEFT JOIN users ON users.id = reports.reporter_id
                   WHERE reports.closed_at IS NULL AND videos.trashed_at IS NULL AND reports.id > $1
                   ORDER BY reports.id LIMIT $2";
        let found = rows!(self.pool, fetch_all, Report, sql, page.above(), page.rows())?;
        Ok(page.page(found, |report| report.id.as_str()))
    }

    /// How much waits for moderators: videos to decide on, and videos with open reports.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_for_moderators(&self) -> Result<u64, Error> {
        let sql = "SELECT (SELECT COUNT(*) FROM videos
                           WHERE review = 'pending' AND state = 'ready' AND trashed_at IS NULL)
                        + (SELECT COUNT(DISTINCT reports.video_id) FROM reports
                           JOIN videos ON videos.id = reports.video_id
                           WHERE reports.closed_at IS NULL AND videos.trashed_at IS NULL)";
        let (count,) = rows!(self.pool, fetch_one, (i64,), sql)?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Notes that moderators are done with all that was reported of a video; where there was something, in the log as well.
    /// How many there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn close_reports(&self, video: &VideoId, entry: &NewAuditEntry<'_>) -> Result<u64, Error> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE reports SET closed_at = $1 WHERE video_id = $2 AND closed_at IS NULL";
        let closed = run_in!(tx, sql, At::now(), video)?;
        if closed > 0 {
            audit::add_in(&mut tx, entry).await?;
        }
        tx.commit().await?;
        Ok(closed)
    }
}
