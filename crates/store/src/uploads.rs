//! Uploads on their way. Their bytes are beside the database, in a file named after the upload's id; how many there are
//! is that file's length.

use crate::db::{rows, rows_in, run, run_in};
use crate::files::put_file;
use crate::jobs::enqueue_in;
use crate::{At, Error, NewFile, NewJob, Store, UploadId, UserId, VideoId, VideoState};

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
    /// When it began.
    pub created_at: At,
    /// When it is given up, unless more comes.
    pub expires_at: At,
}

/// A file that begins to come.
#[derive(Debug, Clone, Copy)]
pub struct NewUpload<'a> {
    /// See [`Upload::video_id`].
    pub video_id: &'a VideoId,
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
}

impl Store {
    /// Begins an upload.
    ///
    /// # Errors
    /// [`Error::TooMany`] where the user has as many as one may.
    pub async fn create_upload(&self, new: &NewUpload<'_>) -> Result<Upload, Error> {
        rows!(
            self.pool,
            fetch_optional,
            Upload,
            "INSERT INTO uploads (id, video_id, user_id, length, metadata, created_at, expires_at)
             SELECT $1, $2, $3, $4, $5, $6, $7
             WHERE (SELECT COUNT(*) FROM uploads WHERE user_id = $3) < $8 RETURNING *",
            UploadId::new(),
            new.video_id,
            new.user_id,
            new.length,
            new.metadata,
            At::now(),
            new.expires_at,
            new.most,
        )?
        .ok_or(Error::TooMany("uploads at a time"))
    }

    /// One upload.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn upload(&self, id: &UploadId) -> Result<Option<Upload>, Error> {
        Ok(rows!(self.pool, fetch_optional, Upload, "SELECT * FROM uploads WHERE id = $1", id)?)
    }

    /// A user's uploads, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn uploads_of(&self, user: &UserId) -> Result<Vec<Upload>, Error> {
        let sql = "SELECT * FROM uploads WHERE user_id = $1 ORDER BY id";
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

    /// Uploads that were given up by `now`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn expired_uploads(&self, now: At, most: i64) -> Result<Vec<Upload>, Error> {
        let sql = "SELECT * FROM uploads WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2";
        Ok(rows!(self.pool, fetch_all, Upload, sql, now, most)?)
    }

    /// Gives an upload up, with the video that it was to become.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_upload(&self, id: &UploadId) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "DELETE FROM videos WHERE state = 'uploading' AND id = (SELECT video_id FROM uploads WHERE id = $1)";
        run_in!(tx, sql, id)?;
        // The file of one that has arrived is another matter.
        run_in!(tx, "DELETE FROM uploads WHERE id = $1", id)?;
        tx.commit().await
    }

    /// Notes that an upload is whole and its object in its place: the video has its file, and `job` goes on with it. All of
    /// that is noted, or nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it was given up, or noted before.
    pub async fn receive_upload(&self, id: &UploadId, file: &NewFile<'_>, job: &NewJob) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "DELETE FROM uploads WHERE id = $1 RETURNING video_id";
        let (video,) = rows_in!(tx, fetch_optional, (VideoId,), sql, id)?.ok_or(Error::NotFound)?;
        put_file(&mut tx, &video, file).await?;
        let sql = "UPDATE videos SET state = $1, failure = '' WHERE id = $2";
        run_in!(tx, sql, VideoState::Received.as_str(), &video)?;
        let queued = enqueue_in(&mut tx, job).await?;
        tx.commit().await?;
        self.wake_workers(queued.is_some()).await;
        Ok(())
    }
}
