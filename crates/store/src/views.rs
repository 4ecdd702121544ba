//! How often videos are watched, and who likes them.

use crate::db::{rows, rows_in, run, run_in};
use crate::{At, Error, Hash, Store, UserId, VideoId};

impl Store {
    /// Notes that somebody watched a video on a day (days since 1970). Each viewer is counted once a day, at the next
    /// [`Self::roll_up_views`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_view(&self, video: &VideoId, viewer: &Hash, day: i64) -> Result<(), Error> {
        let sql = "INSERT INTO video_views (video_id, day, viewer) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        run!(self.pool, sql, video, day, &viewer[..])?;
        Ok(())
    }

    /// Counts the views that were noted, and forgets who watched before the day `keep_from`. How many were counted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn roll_up_views(&self, keep_from: i64) -> Result<i64, Error> {
        let mut all = 0;
        loop {
            let sql = "SELECT DISTINCT video_id FROM video_views WHERE NOT counted LIMIT 100";
            let videos = rows!(self.pool, fetch_all, (VideoId,), sql)?;
            if videos.is_empty() {
                break;
            }
            for (video,) in videos {
                let mut tx = self.begin().await?;
                let sql = "UPDATE video_views SET counted = TRUE WHERE video_id = $1 AND NOT counted";
                let counted = i64::try_from(run_in!(tx, sql, &video)?).unwrap_or(i64::MAX);
                run_in!(tx, "UPDATE videos SET views = views + $1 WHERE id = $2", counted, &video)?;
                run_in!(tx, "UPDATE video_terms SET views = views + $1 WHERE video_id = $2", counted, &video)?;
                tx.commit().await?;
                all += counted;
            }
        }
        if all > 0 {
            self.note_most_watched().await?;
        }
        run!(self.pool, "DELETE FROM video_views WHERE day < $1 AND counted", keep_from)?;
        Ok(all)
    }

    /// Notes that an account likes a video, or no longer does. The number of those who do.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn like_video(&self, video: &VideoId, user: &UserId, likes: bool) -> Result<i64, Error> {
        let mut tx = self.begin().await?;
        let sql = "SELECT id FROM videos WHERE id = $1";
        rows_in!(tx, fetch_optional, (VideoId,), sql, video)?.ok_or(Error::NotFound)?;
        let changed = if likes {
            let sql = "INSERT INTO video_likes (video_id, user_id, created_at) VALUES ($1, $2, $3)
                       ON CONFLICT DO NOTHING";
            run_in!(tx, sql, video, user, At::now())?
        } else {
            run_in!(tx, "DELETE FROM video_likes WHERE video_id = $1 AND user_id = $2", video, user)?
        };
        let step = i64::from(changed > 0) * if likes { 1 } else { -1 };
        let sql = "UPDATE videos SET likes = likes + $1 WHERE id = $2 RETURNING likes";
        let (count,) = rows_in!(tx, fetch_one, (i64,), sql, step, video)?;
        tx.commit().await?;
        Ok(count)
    }

    /// Whether an account likes a video.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn likes_video(&self, video: &VideoId, user: &UserId) -> Result<bool, Error> {
        let sql = "SELECT video_id FROM video_likes WHERE video_id = $1 AND user_id = $2";
        Ok(rows!(self.pool, fetch_optional, (VideoId,), sql, video, user)?.is_some())
    }
}
