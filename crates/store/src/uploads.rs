//! Uploads on their way. Their bytes are beside the database, in a file named after the upload's id; how many there are
//! is that file's length.

use crate::db::{Tx, rows, rows_in, run, run_in};
use crate::files::{STORED_BYTES, put_file};
use crate::jobs::enqueue_in;
use crate::videos::create_in;
use crate::{At, Error, NewFile, NewJob, NewVideo, Store, UploadId, UserId, Video, VideoId, VideoState};

/// A file that is on its way.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// The video that it becomes.
    pub video_id: VideoId,
    /// Who sends it.
    pub user_id: UserId,
    /// Bytes of the whole file.
    pub length: i64,
    /// What the sender said of it, as it was said.
    pub metadata: String,
    /// The object that its file becomes, once it is whole.
    pub object_key: Option<String>,
    /// When it was received: the row stays for a while, so that whoever sent it can see that.
    pub done_at: Option<At>,
    /// When it began.
    pub created_at: At,
    /// When it is given up, unless more comes.
    pub expires_at: At,
}

/// A file that begins to come.
#[derive(Debug, Clone, Copy)]
pub struct NewUpload<'a> {
    /// See [`Upload::user_id`].
    pub user_id: &'a UserId,
    /// See [`Upload::length`].
    pub length: i64,
    /// See [`Upload::metadata`].
    pub metadata: &'a str,
    /// See [`Upload::expires_at`].
    pub expires_at: At,
    /// Uploads that a user may have at a time.
    pub most: i64,
    /// Bytes that may be stored for the user, this upload included; `i64::MAX` where there is no limit.
    pub quota: i64,
}

impl Store {
    /// Begins an upload, with the video that it becomes.
    ///
    /// # Errors
    /// [`Error::TooMany`] where the user has as many as one may; [`Error::OverQuota`]; [`Error::Taken`] where the short id is
    /// another video's.
    pub async fn create_upload(&self, video: &NewVideo<'_>, new: &NewUpload<'_>) -> Result<(Video, Upload), Error> {
        let mut tx = self.begin().await?;
        if let Tx::Postgres(_) = tx {
            // One of a user's is counted after the other, as SQLite does it anyway.
            run_in!(tx, "SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE", new.user_id)?;
        }
        // To add up what somebody has takes a while, in which nobody else writes on SQLite.
        if new.quota < i64::MAX {
            let (stored,) = rows_in!(tx, fetch_one, (i64,), STORED_BYTES, new.user_id)?;
            if stored.saturating_add(new.length) > new.quota {
                return Err(Error::OverQuota);
            }
        }
        let video = create_in(&mut tx, video).await?;
        let upload = rows_in!(
            tx,
            fetch_optional,
            Upload,
            "INSERT INTO uploads (id, video_id, user_id, length, metadata, created_at, expires_at)
             SELECT $1, $2, $3, $4, $5, $6, $7
             WHERE (SELECT COUNT(*) FROM uploads WHERE user_id = $3 AND done_at IS NULL) < $8 RETURNING *",
            UploadId::new(),
            &video.id,
            new.user_id,
            new.length,
            new.metadata,
            At::now(),
            new.expires_at,
            new.most,
        )?;
        let upload = upload.ok_or(Error::TooMany("uploads at a time"))?;
        tx.commit().await?;
        Ok((video, upload))
    }

    /// One upload.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn upload(&self, id: &UploadId) -> Result<Option<Upload>, Error> {
        Ok(rows!(self.pool, fetch_optional, Upload, "SELECT * FROM uploads WHERE id = $1", id)?)
    }

    /// The upload that becomes a video.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn upload_of_video(&self, video: &VideoId) -> Result<Option<Upload>, Error> {
        Ok(rows!(self.pool, fetch_optional, Upload, "SELECT * FROM uploads WHERE video_id = $1", video)?)
    }

    /// A user's uploads of which more is to come, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn uploads_of(&self, user: &UserId) -> Result<Vec<Upload>, Error> {
        let sql = "SELECT * FROM uploads WHERE user_id = $1 AND object_key IS NULL ORDER BY id";
        Ok(rows!(self.pool, fetch_all, Upload, sql, user)?)
    }

    /// Notes that more of it came.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prolong_upload(&self, id: &UploadId, expires_at: At) -> Result<(), Error> {
        run!(self.pool, "UPDATE uploads SET expires_at = $1 WHERE id = $2", expires_at, id)?;
        Ok(())
    }

    /// Notes how long an upload is whose length was not known when it began.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_upload_length(&self, id: &UploadId, length: i64) -> Result<(), Error> {
        run!(self.pool, "UPDATE uploads SET length = $1 WHERE id = $2", length, id)?;
        Ok(())
    }

    /// Notes where the file of an upload goes that is whole now, before it is moved. From here on it is received, whatever
    /// happens.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it was given up, or is sealed.
    pub async fn seal_upload(&self, id: &UploadId, object_key: &str) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE uploads SET object_key = $1 WHERE id = $2 AND object_key IS NULL RETURNING video_id";
        let (video,) = rows_in!(tx, fetch_optional, (VideoId,), sql, object_key, id)?.ok_or(Error::NotFound)?;
        run_in!(tx, "UPDATE videos SET state = $1 WHERE id = $2", VideoState::Received.as_str(), video)?;
        tx.commit().await
    }

    /// Uploads whose files were whole, and are not yet in their place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sealed_uploads(&self) -> Result<Vec<Upload>, Error> {
        let sql = "SELECT * FROM uploads WHERE object_key IS NOT NULL AND done_at IS NULL ORDER BY id";
        Ok(rows!(self.pool, fetch_all, Upload, sql)?)
    }

    /// Uploads that were given up by `now`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn expired_uploads(&self, now: At, most: i64) -> Result<Vec<Upload>, Error> {
        let sql = "SELECT * FROM uploads WHERE expires_at <= $1 AND (object_key IS NULL OR done_at IS NOT NULL)
                   ORDER BY expires_at LIMIT $2";
        Ok(rows!(self.pool, fetch_all, Upload, sql, now, most)?)
    }

    /// Gives an upload up, with the video that it was to become. Of one that was received the video stays, and all of it as
    /// long as its file is not in its place: this is `false`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_upload(&self, id: &UploadId) -> Result<bool, Error> {
        let mut tx = self.begin().await?;
        let sql =
            "DELETE FROM uploads WHERE id = $1 AND (object_key IS NULL OR done_at IS NOT NULL) RETURNING video_id";
        let Some((video,)) = rows_in!(tx, fetch_optional, (VideoId,), sql, id)? else { return Ok(false) };
        run_in!(tx, "DELETE FROM videos WHERE id = $1 AND state = 'uploading'", &video)?;
        tx.commit().await?;
        Ok(true)
    }

    /// The same for one that rested until `now`. One that is whole by then stays, and so does one of which more came: this is
    /// `false`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn expire_upload(&self, id: &UploadId, now: At) -> Result<bool, Error> {
        let mut tx = self.begin().await?;
        let sql =
            "DELETE FROM uploads WHERE id = $1 AND expires_at <= $2 AND (object_key IS NULL OR done_at IS NOT NULL)
                   RETURNING video_id";
        let Some((video,)) = rows_in!(tx, fetch_optional, (VideoId,), sql, id, now)? else { return Ok(false) };
        run_in!(tx, "DELETE FROM videos WHERE id = $1 AND state = 'uploading'", &video)?;
        tx.commit().await?;
        Ok(true)
    }

    /// Bytes of all files that are on their way, as they were announced.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn announced_bytes(&self) -> Result<i64, Error> {
        let sql = "SELECT CAST(COALESCE(SUM(length), 0) AS BIGINT) FROM uploads WHERE done_at IS NULL";
        let (bytes,) = rows!(self.pool, fetch_one, (i64,), sql)?;
        Ok(bytes)
    }

    /// Notes that an upload is whole and its object in its place: the video has its file, and `job` goes on with it. All of
    /// that is noted, or nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it was given up, or noted before.
    pub async fn receive_upload(&self, id: &UploadId, file: &NewFile<'_>, job: &NewJob) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE uploads SET done_at = $1 WHERE id = $2 AND done_at IS NULL RETURNING video_id";
        let (video,) = rows_in!(tx, fetch_optional, (VideoId,), sql, At::now(), id)?.ok_or(Error::NotFound)?;
        put_file(&mut tx, &video, file).await?;
        let sql = "UPDATE videos SET state = $1, failure = '' WHERE id = $2";
        run_in!(tx, sql, VideoState::Received.as_str(), &video)?;
        let queued = enqueue_in(&mut tx, job).await?;
        tx.commit().await?;
        self.wake_workers(queued.is_some()).await;
        Ok(())
    }
}
