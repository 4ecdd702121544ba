//! How videos come to be and change: what is said of them, how far they are, whether they are out.

use crate::audit;
use crate::db::{Tx, rows, rows_in, run_in};
use crate::error::found;
use crate::jobs::enqueue_in;
use crate::search::index_in;
use crate::{
    At, Error, NewAuditEntry, NewJob, NewVideo, Review, Store, Video, VideoChange, VideoFacts, VideoId, VideoState,
};

impl Store {
    /// Makes a video whose file is still to come.
    ///
    /// # Errors
    /// [`Error::Taken`] where the short id is another video's.
    pub async fn create_video(&self, new: &NewVideo<'_>) -> Result<Video, Error> {
        let mut tx = self.begin().await?;
        let video = create_in(&mut tx, new).await?;
        tx.commit().await?;
        Ok(video)
    }

    /// Changes a video that is still at `version`.
    ///
    /// # Errors
    /// [`Error::Changed`] where it no longer is, [`Error::NotFound`].
    pub async fn update_video(&self, id: &VideoId, version: i64, to: &VideoChange<'_>) -> Result<Video, Error> {
        let mut tx = self.begin().await?;
        let old = rows_in!(tx, fetch_optional, Video, "SELECT * FROM videos WHERE id = $1", id)?;
        let old = old.ok_or(Error::NotFound)?;
        let publish_at = to.publish_at.unwrap_or(old.publish_at);
        let new = rows_in!(
            tx,
            fetch_optional,
            Video,
            "UPDATE videos SET channel_id = $1, title = $2, description = $3, language = $4, category = $5, tags = $6,
                    search_text = COALESCE($7, search_text), visibility = $8, password_hash = $9, publish_at = $10,
                    downloadable = $11, comments_open = $12, review = $13, play_epoch = play_epoch + $14,
                    version = version + 1
             WHERE id = $15 AND version = $16 RETURNING *",
            to.channel_id.unwrap_or(&old.channel_id),
            to.title.unwrap_or(&old.title),
            to.description.unwrap_or(&old.description),
            to.language.unwrap_or(&old.language),
            to.category.unwrap_or(&old.category),
            to.tags.unwrap_or(&old.tags),
            to.search_text,
            to.visibility.unwrap_or(old.visibility).as_str(),
            to.password_hash.unwrap_or(old.password_hash.as_deref()),
            publish_at,
            to.downloadable.unwrap_or(old.downloadable),
            to.comments_open.unwrap_or(old.comments_open),
            to.review.unwrap_or(old.review).as_str(),
            // Whoever knew the way in does so no longer.
            i64::from(
                to.visibility.is_some_and(|to| to != old.visibility)
                    || to.password_hash.is_some()
                    || publish_at != old.publish_at,
            ),
            id,
            version,
        )?;
        new.ok_or(Error::Changed)?;
        let new = publish(&mut tx, id).await?;
        tx.commit().await?;
        Ok(new)
    }

    /// Notes how far a video is, and why it is no further. One in the trash goes on like any other.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn set_video_state(&self, id: &VideoId, state: VideoState, failure: &str) -> Result<Video, Error> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE videos SET state = $1, failure = $2 WHERE id = $3";
        found(run_in!(tx, sql, state.as_str(), failure, id)?)?;
        let video = publish(&mut tx, id).await?;
        tx.commit().await?;
        Ok(video)
    }

    /// Has `job` done to a video that failed, which counts as received again, or to one that is ready, which stays so.
    ///
    /// # Errors
    /// [`Error::Changed`] where it is neither, or in the trash; [`Error::NotFound`].
    pub async fn retry_video(&self, id: &VideoId, job: &NewJob) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE videos SET state = CASE WHEN state = 'failed' THEN 'received' ELSE state END, failure = ''
                   WHERE id = $1 AND state IN ('failed', 'ready') AND trashed_at IS NULL";
        if run_in!(tx, sql, id)? == 0 {
            let there = rows_in!(tx, fetch_optional, (VideoId,), "SELECT id FROM videos WHERE id = $1", id)?;
            return Err(there.map_or(Error::NotFound, |_| Error::Changed));
        }
        let new = enqueue_in(&mut tx, job).await?;
        tx.commit().await?;
        self.wake_workers(new.is_some()).await;
        Ok(())
    }

    /// Notes what was found out about a video's file.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn set_video_facts(&self, id: &VideoId, facts: &VideoFacts) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let video = rows_in!(
            tx,
            fetch_optional,
            Video,
            "UPDATE videos SET duration = $1, width = $2, height = $3, frame_rate = $4, bit_rate = $5,
                    video_codec = $6, audio_codec = $7
             WHERE id = $8 RETURNING *",
            facts.duration,
            facts.width,
            facts.height,
            facts.frame_rate,
            facts.bit_rate,
            &facts.video_codec,
            &facts.audio_codec,
            id,
        )?;
        // How long it is is something to be found by.
        index_in(&mut tx, &video.ok_or(Error::NotFound)?).await?;
        tx.commit().await
    }

    /// Publishes what was to be published by `now`. The videos that are out now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn publish_due_videos(&self, now: At) -> Result<Vec<Video>, Error> {
        let sql =
            "SELECT id FROM videos WHERE publish_at IS NOT NULL AND publish_at <= $1 ORDER BY publish_at LIMIT 100";
        let due = rows!(self.pool, fetch_all, (VideoId,), sql, now)?;
        let mut out = Vec::new();
        for (id,) in due {
            let mut tx = self.begin().await?;
            let sql = "UPDATE videos SET publish_at = NULL WHERE id = $1 AND publish_at <= $2";
            // Its owner may have thought better of it.
            if run_in!(tx, sql, &id, now)? == 1 {
                out.push(publish(&mut tx, &id).await?);
            }
            tx.commit().await?;
        }
        Ok(out)
    }

    /// Notes what moderators said of a video, and why; in the log as well.
    ///
    /// # Errors
    /// [`Error::Changed`] where it is no longer at `version`.
    pub async fn review_video(
        &self,
        id: &VideoId,
        version: i64,
        review: Review,
        reason: &str,
        entry: &NewAuditEntry<'_>,
    ) -> Result<Video, Error> {
        let mut tx = self.begin().await?;
        let sql =
            "UPDATE videos SET review = $1, review_reason = $2, version = version + 1, play_epoch = play_epoch + 1
                   WHERE id = $3 AND version = $4";
        if run_in!(tx, sql, review.as_str(), reason, id, version)? == 0 {
            return Err(Error::Changed);
        }
        let video = publish(&mut tx, id).await?;
        audit::add_in(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(video)
    }
}

pub(crate) async fn create_in(tx: &mut Tx, new: &NewVideo<'_>) -> Result<Video, Error> {
    rows_in!(
        *tx,
        fetch_one,
        Video,
        "INSERT INTO videos (id, short_id, channel_id, title, description, language, category, tags, search_text,
                             visibility, password_hash, publish_at, state, review, file_name, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'uploading', $13, $14, $15) RETURNING *",
        VideoId::new(),
        new.short_id,
        new.channel_id,
        new.title,
        new.description,
        new.language,
        new.category,
        new.tags,
        new.search_text,
        new.visibility.as_str(),
        new.password_hash,
        new.publish_at,
        new.review.as_str(),
        new.file_name,
        At::now(),
    )
    .map_err(|error| Error::taken(error, |_| "the video's short id"))
}

/// Sets when a video was first there for others, once it is, has it found if it is listed, and gives it as it is now.
async fn publish(tx: &mut Tx, id: &VideoId) -> Result<Video, Error> {
    run_in!(
        *tx,
        "UPDATE videos SET published_at = $1
         WHERE id = $2 AND published_at IS NULL AND state = 'ready' AND review IN ('none', 'approved')
           AND publish_at IS NULL AND visibility <> 'private'",
        At::now(),
        id,
    )?;
    let video = rows_in!(*tx, fetch_optional, Video, "SELECT * FROM videos WHERE id = $1", id)?;
    let video = video.ok_or(Error::NotFound)?;
    index_in(tx, &video).await?;
    Ok(video)
}
