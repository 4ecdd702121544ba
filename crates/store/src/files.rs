//! What is kept among the objects for videos, and what is to be deleted there.

use crate::db::{Tx, rows, rows_in, run, run_in};
use crate::texts::texts;
use crate::{At, Error, FileId, Page, PageRequest, Store, UserId, VideoId};

/// What a file of a video is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// As it was uploaded.
    Original,
    /// The same pictures and sound in a container that can be played; its name is empty.
    Remux,
    /// In another size; its name is the shorter side's pixels.
    Rendition,
    /// A picture to choose from; its name is its number, or `own`.
    Thumbnail,
    /// The picture that stands for the video; its name is empty.
    Poster,
    /// A sheet of small pictures; its name is its number.
    Storyboard,
    /// Where the small pictures are on the sheets (WebVTT); its name is empty.
    StoryboardIndex,
    /// Captions (WebVTT); its name is their language.
    Caption,
}

texts!(FileKind {
    Original = "original",
    Remux = "remux",
    Rendition = "rendition",
    Thumbnail = "thumbnail",
    Poster = "poster",
    Storyboard = "storyboard",
    StoryboardIndex = "storyboard-index",
    Caption = "caption",
});

/// A file whose object is missing.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct MissingFile {
    /// What it is.
    #[sqlx(try_from = "String")]
    pub kind: FileKind,
    /// Which of its kind.
    pub name: String,
    /// Its key among the objects.
    pub object_key: String,
    /// The video's name in addresses.
    pub short_id: String,
    /// What the video is called.
    pub title: String,
}

/// A file of a video.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct File {
    /// Its id.
    pub id: FileId,
    /// The video whose it is.
    pub video_id: VideoId,
    /// What it is.
    #[sqlx(try_from = "String")]
    pub kind: FileKind,
    /// Which of its kind.
    pub name: String,
    /// Its key among the objects.
    pub object_key: String,
    /// Bytes.
    pub size: i64,
    /// Its media type.
    pub media_type: String,
    /// Pixels; 0 where it has none.
    pub width: i64,
    /// Pixels; 0 where it has none.
    pub height: i64,
    /// What else its kind needs, as its kind has it.
    pub details: String,
    /// When it was made.
    pub created_at: At,
}

/// How much is stored of a kind of files.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct StoredKind {
    /// The kind.
    #[sqlx(try_from = "String")]
    pub kind: FileKind,
    /// How many.
    pub files: i64,
    /// Their bytes.
    pub bytes: i64,
}

/// How much is stored for an account's videos.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct StoredOfUser {
    /// Its handle.
    pub handle: String,
    /// Its name for people.
    pub display_name: String,
    /// Videos, trash included.
    pub videos: i64,
    /// Bytes of all their files.
    pub bytes: i64,
}

/// A file that is there now.
#[derive(Debug, Clone, Copy)]
pub struct NewFile<'a> {
    /// See [`File::kind`].
    pub kind: FileKind,
    /// See [`File::name`].
    pub name: &'a str,
    /// See [`File::object_key`].
    pub object_key: &'a str,
    /// See [`File::size`].
    pub size: u64,
    /// See [`File::media_type`].
    pub media_type: &'a str,
    /// See [`File::width`].
    pub width: i64,
    /// See [`File::height`].
    pub height: i64,
    /// See [`File::details`].
    pub details: &'a str,
}

impl Store {
    /// Gives a video files, in place of those of the same kind and name, whose objects become garbage. All of them are
    /// there afterwards, or none.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such video any more: the objects are garbage then.
    pub async fn put_files(&self, video: &VideoId, files: &[NewFile<'_>]) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let there = rows_in!(tx, fetch_optional, (VideoId,), "SELECT id FROM videos WHERE id = $1", video)?;
        for file in files {
            match there {
                Some(_) => put_file(&mut tx, video, file).await?,
                None => discard(&mut tx, file.object_key).await?,
            }
        }
        tx.commit().await?;
        there.map(drop).ok_or(Error::NotFound)
    }

    /// Takes a file of a video away; its object becomes garbage.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_file(&self, video: &VideoId, kind: FileKind, name: &str) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "DELETE FROM files WHERE video_id = $1 AND kind = $2 AND name = $3 RETURNING object_key";
        let (key,) =
            rows_in!(tx, fetch_optional, (String,), sql, video, kind.as_str(), name)?.ok_or(Error::NotFound)?;
        discard(&mut tx, &key).await?;
        tx.commit().await
    }

    /// All files of a video, in the order in which they were made.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn files(&self, video: &VideoId) -> Result<Vec<File>, Error> {
        let sql = "SELECT * FROM files WHERE video_id = $1 ORDER BY id";
        Ok(rows!(self.pool, fetch_all, File, sql, video)?)
    }

    /// Whether a row holds that object: a file of a video, an upload that is about to be one, or a picture of an account or
    /// channel.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refers_to(&self, object_key: &str) -> Result<bool, Error> {
        let sql =
            "SELECT 1 FROM files WHERE object_key = $1 UNION ALL SELECT 1 FROM uploads WHERE object_key = $1 LIMIT 1";
        let held = rows!(self.pool, fetch_optional, (i32,), sql, object_key)?.is_some();
        Ok(held || self.is_picture(object_key).await?)
    }

    /// Whether that object is a picture of an account or channel, which everybody may see.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_picture(&self, object_key: &str) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM users WHERE avatar = $1 UNION ALL SELECT 1 FROM channels WHERE avatar = $1
                   UNION ALL SELECT 1 FROM channels WHERE banner = $1 LIMIT 1";
        Ok(rows!(self.pool, fetch_optional, (i32,), sql, object_key)?.is_some())
    }

    /// Files in the order of their keys, from one on: to be compared with the objects that are there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn files_from(&self, after: &str, most: i64) -> Result<Vec<File>, Error> {
        let sql = "SELECT * FROM files WHERE object_key > $1 ORDER BY object_key LIMIT $2";
        Ok(rows!(self.pool, fetch_all, File, sql, after, most)?)
    }

    /// Notes which objects of files are missing, in place of those that were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_missing_files(&self, object_keys: &[String]) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        run_in!(tx, "DELETE FROM missing_files")?;
        for key in object_keys {
            run_in!(tx, "INSERT INTO missing_files (object_key) VALUES ($1) ON CONFLICT DO NOTHING", key)?;
        }
        tx.commit().await
    }

    /// The files whose objects were missing, as far as they were not replaced or thrown away since; those of a video together.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn missing_files(&self) -> Result<Vec<MissingFile>, Error> {
        Ok(rows!(self.pool, fetch_all, MissingFile, MISSING_FILES)?)
    }

    /// Bytes that are stored for an account's videos, trash included, and those that its uploads were promised.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stored_bytes_of(&self, owner: &UserId) -> Result<i64, Error> {
        let (bytes,) = rows!(self.pool, fetch_one, (i64,), STORED_BYTES, owner)?;
        Ok(bytes)
    }

    /// Bytes that are stored for a video.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stored_bytes_of_video(&self, video: &VideoId) -> Result<i64, Error> {
        let sql = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM files WHERE video_id = $1";
        let (bytes,) = rows!(self.pool, fetch_one, (i64,), sql, video)?;
        Ok(bytes)
    }

    /// How much is stored of each kind, trash included, the most first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stored_by_kind(&self) -> Result<Vec<StoredKind>, Error> {
        let sql = "SELECT kind, COUNT(*) AS files, CAST(SUM(size) AS BIGINT) AS bytes
                   FROM files GROUP BY kind ORDER BY bytes DESC, kind";
        Ok(rows!(self.pool, fetch_all, StoredKind, sql)?)
    }

    /// Those whose videos take most, trash included. Every file is looked at: for those who run the site.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stored_by_user(&self, page: &PageRequest) -> Result<Page<StoredOfUser>, Error> {
        let after = page.after.as_deref().and_then(|cursor| cursor.split_once(':'));
        let (bytes, handle) = match after.map(|(bytes, handle)| (bytes.parse::<i64>(), handle)) {
            Some((Ok(bytes), handle)) => (bytes, handle),
            _ => (i64::MAX, ""),
        };
        let sql = "SELECT * FROM (SELECT users.handle, users.display_name, COUNT(DISTINCT videos.id) AS videos,
                                         CAST(SUM(files.size) AS BIGINT) AS bytes
                                  FROM files JOIN videos ON videos.id = files.video_id
                                  JOIN channels ON channels.id = videos.channel_id
                                  JOIN users ON users.id = channels.owner_id
                                  GROUP BY users.id, users.handle, users.display_name) AS stored
                   WHERE bytes < $1 OR (bytes = $1 AND handle > $2) ORDER BY bytes DESC, handle LIMIT $3";
        let mut items = rows!(self.pool, fetch_all, StoredOfUser, sql, bytes, handle, page.rows())?;
        let more = items.len() > page.limit as usize;
        items.truncate(page.limit as usize);
        let next = items.last().filter(|_| more).map(|last| format!("{}:{}", last.bytes, last.handle));
        Ok(Page { items, next })
    }

    /// How many objects are to be deleted by `now`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_garbage(&self, now: At) -> Result<u64, Error> {
        let sql = "SELECT COUNT(*) FROM garbage WHERE added_at <= $1";
        let (count,) = rows!(self.pool, fetch_one, (i64,), sql, now)?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Objects to be deleted by `now`, the longest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn garbage(&self, now: At, most: i64) -> Result<Vec<String>, Error> {
        let sql = "SELECT object_key FROM garbage WHERE added_at <= $1 ORDER BY added_at LIMIT $2";
        let keys = rows!(self.pool, fetch_all, (String,), sql, now, most)?;
        Ok(keys.into_iter().map(|(key,)| key).collect())
    }

    /// Notes an object that nothing refers to.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_garbage(&self, object_key: &str) -> Result<(), Error> {
        self.garbage_from(object_key, At::now()).await
    }

    /// Notes an object that is about to be made: where its row is not written within a day, it is deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_garbage_later(&self, object_key: &str) -> Result<(), Error> {
        self.garbage_from(object_key, At::now().plus(time::Duration::DAY)).await
    }

    async fn garbage_from(&self, object_key: &str, at: At) -> Result<(), Error> {
        let sql = "INSERT INTO garbage (object_key, added_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        run!(self.pool, sql, object_key, at)?;
        Ok(())
    }

    /// Notes that an object is deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_garbage(&self, object_key: &str) -> Result<(), Error> {
        run!(self.pool, "DELETE FROM garbage WHERE object_key = $1", object_key)?;
        Ok(())
    }
}

/// Gives a video a file, in place of one of the same kind and name.
pub(crate) async fn put_file(tx: &mut Tx, video: &VideoId, file: &NewFile<'_>) -> Result<(), Error> {
    let sql = "DELETE FROM files WHERE video_id = $1 AND kind = $2 AND name = $3 RETURNING object_key";
    let old = rows_in!(*tx, fetch_optional, (String,), sql, video, file.kind.as_str(), file.name)?;
    if let Some((key,)) = old {
        discard(tx, &key).await?;
    }
    run_in!(*tx, "DELETE FROM garbage WHERE object_key = $1", file.object_key)?;
    run_in!(
        *tx,
        "INSERT INTO files (id, video_id, kind, name, object_key, size, media_type, width, height, details, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        FileId::new(),
        video,
        file.kind.as_str(),
        file.name,
        file.object_key,
        i64::try_from(file.size).unwrap_or(i64::MAX),
        file.media_type,
        file.width,
        file.height,
        file.details,
        At::now(),
    )?;
    Ok(())
}

/// Notes, within a transaction, an object that nothing refers to.
async fn discard(tx: &mut Tx, object_key: &str) -> Result<(), Error> {
    let sql = "INSERT INTO garbage (object_key, added_at) VALUES ($1, $2)
               ON CONFLICT (object_key) DO UPDATE SET added_at = excluded.added_at";
    run_in!(*tx, sql, object_key, At::now())?;
    Ok(())
}

/// SQLite takes the tables of a cross join in the order in which they stand: it would look at every file that there is else.
const MISSING_FILES: &str = "
    SELECT files.kind, files.name, files.object_key, videos.short_id, videos.title
    FROM missing_files CROSS JOIN files CROSS JOIN videos
    WHERE files.object_key = missing_files.object_key AND videos.id = files.video_id AND videos.trashed_at IS NULL
    ORDER BY videos.id DESC, files.id";

/// Bytes that are stored for a user, and announced by uploads.
pub(crate) const STORED_BYTES: &str = "
    SELECT CAST(COALESCE((SELECT SUM(files.size) FROM files JOIN videos ON videos.id = files.video_id
                          JOIN channels ON channels.id = videos.channel_id
                          WHERE channels.owner_id = $1), 0)
         + COALESCE((SELECT SUM(length) FROM uploads WHERE user_id = $1 AND done_at IS NULL), 0) AS BIGINT)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::tests::plan;

    #[tokio::test]
    async fn sqlite_looks_at_no_file_that_is_not_missing() {
        let steps = plan(MISSING_FILES).await;
        let begins = ["SCAN missing_files", "SEARCH files USING INDEX", "SEARCH videos USING"];
        assert!(steps.iter().zip(begins).all(|(step, begin)| step.starts_with(begin)), "{steps:#?}");
    }
}
