//! Videos that are thrown away, brought back, and deleted for good.

use crate::db::{rows, rows_in, run_in};
use crate::search::index_in;
use crate::{At, Error, Store, UserId, Video, VideoId};

impl Store {
    /// Puts a video into the trash: from now on nobody sees it, and at `purge_at` it is deleted for good. One that is
    /// there stays as it is; but what its owner threw away becomes that of whoever else throws it away after that.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn trash_video(&self, id: &VideoId, by: &UserId, purge_at: At) -> Result<Video, Error> {
        let mut tx = self.begin().await?;
        run_in!(
            tx,
            "UPDATE videos SET trashed_at = $1, trashed_by = $2, purge_at = $3, trashed_with_others = FALSE,
                    own_trash_left = NULL, play_epoch = play_epoch + 1, version = version + 1
             WHERE id = $4 AND (trashed_at IS NULL OR (trashed_by <> $2 AND trashed_by = (
                 SELECT owner_id FROM channels WHERE channels.id = videos.channel_id)))",
            At::now(),
            by,
            purge_at,
            id,
        )?;
        let sql = "SELECT * FROM videos WHERE id = $1";
        let video = rows_in!(tx, fetch_optional, Video, sql, id)?.ok_or(Error::NotFound)?;
        index_in(&mut tx, &video).await?;
        tx.commit().await?;
        Ok(video)
    }

    /// Puts all videos of an account into the trash. What its owner had thrown away is that of `by` as well, until it is
    /// undone, and kept as long as the others. The short ids of all these.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trash_videos_of(&self, owner: &UserId, by: &UserId, purge_at: At) -> Result<Vec<String>, Error> {
        let now = At::now();
        let mut tx = self.begin().await?;
        let trashed = rows_in!(
            tx,
            fetch_all,
            Video,
            "UPDATE videos SET trashed_at = $1, trashed_by = $2, purge_at = $3, trashed_with_others = TRUE,
                    own_trash_left = NULL, play_epoch = play_epoch + 1, version = version + 1
             WHERE trashed_at IS NULL AND channel_id IN (SELECT id FROM channels WHERE owner_id = $4)
             RETURNING *",
            now,
            by,
            purge_at,
            owner,
        )?;
        for video in &trashed {
            index_in(&mut tx, video).await?;
        }
        let taken = rows_in!(
            tx,
            fetch_all,
            (String,),
            "UPDATE videos SET trashed_by = $1, own_trash_left = purge_at - $3,
                    purge_at = CASE WHEN purge_at < $4 THEN $4 ELSE purge_at END, version = version + 1
             WHERE trashed_by = $2 AND trashed_by <> $1 AND purge_at > $3
               AND channel_id IN (SELECT id FROM channels WHERE owner_id = $2)
             RETURNING short_id",
            by,
            owner,
            now,
            purge_at,
        )?;
        tx.commit().await?;
        Ok(trashed.into_iter().map(|video| video.short_id).chain(taken.into_iter().map(|(id,)| id)).collect())
    }

    /// Takes a video out of the trash, as it was, if it is still `trashed_by` who threw it away: whoever may take it out may not
    /// where it is another's by now. An account that is no more is `None`.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is not there, or its time is over.
    pub async fn restore_video(&self, id: &VideoId, trashed_by: Option<&UserId>, now: At) -> Result<Video, Error> {
        let sql =
            "UPDATE videos SET trashed_at = NULL, trashed_by = NULL, purge_at = NULL, trashed_with_others = FALSE,
                          own_trash_left = NULL, version = version + 1
                   WHERE id = $1 AND purge_at > $2 AND trashed_by IS NOT DISTINCT FROM $3 RETURNING *";
        let mut tx = self.begin().await?;
        let video = rows_in!(tx, fetch_optional, Video, sql, id, now, trashed_by)?.ok_or(Error::NotFound)?;
        index_in(&mut tx, &video).await?;
        tx.commit().await?;
        Ok(video)
    }

    /// Takes all videos of an account out of the trash that were put there at once with [`Self::trash_videos_of`]; what was
    /// put there one by one stays. What its owner had thrown away before, at once perhaps, is its owner's again, for as long as
    /// it was to be kept then. The short ids of all these.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn restore_videos_of(&self, owner: &UserId, now: At) -> Result<Vec<String>, Error> {
        let mut tx = self.begin().await?;
        let restored = rows_in!(
            tx,
            fetch_all,
            Video,
            "UPDATE videos SET trashed_at = NULL, trashed_by = NULL, purge_at = NULL, trashed_with_others = FALSE,
                    version = version + 1
             WHERE trashed_with_others AND own_trash_left IS NULL AND purge_at > $1
               AND channel_id IN (SELECT id FROM channels WHERE owner_id = $2)
             RETURNING *",
            now,
            owner,
        )?;
        for video in &restored {
            index_in(&mut tx, video).await?;
        }
        let given_back = rows_in!(
            tx,
            fetch_all,
            (String,),
            "UPDATE videos SET trashed_by = $1, purge_at = own_trash_left + $2, own_trash_left = NULL,
                    version = version + 1
             WHERE own_trash_left IS NOT NULL AND purge_at > $2
               AND channel_id IN (SELECT id FROM channels WHERE owner_id = $1)
             RETURNING short_id",
            owner,
            now,
        )?;
        tx.commit().await?;
        Ok(restored.into_iter().map(|video| video.short_id).chain(given_back.into_iter().map(|(id,)| id)).collect())
    }

    /// The videos whose time in the trash is over, the longest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn videos_to_purge(&self, now: At, most: i64) -> Result<Vec<VideoId>, Error> {
        let sql = "SELECT id FROM videos WHERE purge_at IS NOT NULL AND purge_at <= $1 ORDER BY purge_at LIMIT $2";
        let due = rows!(self.pool, fetch_all, (VideoId,), sql, now, most)?;
        Ok(due.into_iter().map(|(id,)| id).collect())
    }

    /// Deletes a video for good with all that belongs to it; its objects become garbage in the same transaction. Nothing
    /// is done where it was restored meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn purge_video(&self, id: &VideoId, now: At) -> Result<bool, Error> {
        let mut tx = self.begin().await?;
        let sql = "INSERT INTO garbage (object_key, added_at) SELECT object_key, $1 FROM files WHERE video_id = $2
                   ON CONFLICT DO NOTHING";
        run_in!(tx, sql, now, id)?;
        // It may have been restored up to here: nothing of this holds then.
        if run_in!(tx, "DELETE FROM videos WHERE id = $1 AND purge_at <= $2", id, now)? == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }
}
