//! Videos as lists and pages show them.

use crate::db::rows;
use crate::{
    At, Error, ListedVideo, Page, PageRequest, Shelf, Store, TrashedVideo, UserId, Video, VideoFilter, VideoId,
    VideoOrder,
};

/// A query of videos as lists show them, perhaps with further columns.
macro_rules! listed {
    (with $columns:literal, $($rest:tt)+) => {
        concat!(
            "SELECT videos.*, channels.handle AS channel_handle, channels.title AS channel_title,
                    channels.avatar AS channel_avatar, channels.owner_id,
                    (SELECT object_key FROM files WHERE files.video_id = videos.id AND files.kind = 'poster' LIMIT 1)
                    AS thumbnail",
            $columns,
            " FROM videos JOIN channels ON channels.id = videos.channel_id ",
            $($rest)+
        )
    };
    ($($rest:tt)+) => {
        listed!(with "", $($rest)+)
    };
}

pub(crate) use listed;

/// A page of those that everybody may see and that meet a condition, the highest of a column first: $1 and $2 are the cursor,
/// $3 how many.
macro_rules! listed_by {
    ($column:literal, $condition:literal) => {
        listed!(
            "WHERE videos.listed AND (videos.",
            $column,
            ", videos.id) < ($1, $2) ",
            $condition,
            " ORDER BY videos.",
            $column,
            " DESC, videos.id DESC LIMIT $3"
        )
    };
}

impl Store {
    /// One video, trash included.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn video(&self, id: &VideoId) -> Result<Option<Video>, Error> {
        Ok(rows!(self.pool, fetch_optional, Video, "SELECT * FROM videos WHERE id = $1", id)?)
    }

    /// The video of that name in addresses, trash included.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn video_by_short_id(&self, short_id: &str) -> Result<Option<ListedVideo>, Error> {
        let sql = listed!("WHERE videos.short_id = $1");
        Ok(rows!(self.pool, fetch_optional, ListedVideo, sql, short_id)?)
    }

    /// The videos that everybody may see and that pass.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn listed_videos(
        &self,
        filter: &VideoFilter<'_>,
        page: &PageRequest,
    ) -> Result<Page<ListedVideo>, Error> {
        let ((below, id), category) = (page.below_ranked(), filter.category);
        let found = match (filter.channel, category) {
            (Some(channel), category) => {
                let sql = match filter.order {
                    VideoOrder::Newest => {
                        listed_by!("published_at", "AND videos.channel_id = $4 AND ($5 = '' OR videos.category = $5)")
                    }
                    VideoOrder::Views => {
                        listed_by!("views", "AND videos.channel_id = $4 AND ($5 = '' OR videos.category = $5)")
                    }
                };
                rows!(self.pool, fetch_all, ListedVideo, sql, below, id, page.rows(), channel, category)
            }
            (None, "") => {
                let sql = match filter.order {
                    VideoOrder::Newest => listed_by!("published_at", ""),
                    VideoOrder::Views => listed_by!("views", ""),
                };
                rows!(self.pool, fetch_all, ListedVideo, sql, below, id, page.rows())
            }
            (None, category) => {
                let sql = match filter.order {
                    VideoOrder::Newest => listed_by!("published_at", "AND videos.category = $4"),
                    VideoOrder::Views => listed_by!("views", "AND videos.category = $4"),
                };
                rows!(self.pool, fetch_all, ListedVideo, sql, below, id, page.rows(), category)
            }
        };
        Ok(page.page_from(found?, |ListedVideo { video, .. }| {
            let number = match filter.order {
                VideoOrder::Newest => video.published_at.map_or(0, |at| at.0),
                VideoOrder::Views => video.views,
            };
            PageRequest::ranked(number, video.id.as_str())
        }))
    }

    /// What all videos of a user's channels are called in addresses.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn short_ids_of(&self, owner: &UserId) -> Result<Vec<String>, Error> {
        let sql = "SELECT short_id FROM videos WHERE channel_id IN (SELECT id FROM channels WHERE owner_id = $1)";
        let ids = rows!(self.pool, fetch_all, (String,), sql, owner)?;
        Ok(ids.into_iter().map(|(id,)| id).collect())
    }

    /// The videos of a user's channels, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn videos_of(
        &self,
        owner: &UserId,
        shelf: Shelf,
        page: &PageRequest,
    ) -> Result<Page<ListedVideo>, Error> {
        let sql = match shelf {
            Shelf::Kept => listed!(
                "WHERE channels.owner_id = $1 AND videos.trashed_at IS NULL AND videos.id < $2
                 ORDER BY videos.id DESC LIMIT $3"
            ),
            Shelf::Trash => listed!(
                "WHERE channels.owner_id = $1 AND videos.trashed_at IS NOT NULL AND videos.id < $2
                 ORDER BY videos.id DESC LIMIT $3"
            ),
        };
        let found = rows!(self.pool, fetch_all, ListedVideo, sql, owner, page.below(), page.rows())?;
        Ok(page.page(found, |found| found.video.id.as_str()))
    }

    /// The videos of all that are in the trash and can be restored, the last that went there first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trashed_videos(&self, now: At, page: &PageRequest) -> Result<Page<TrashedVideo>, Error> {
        let sql = listed!(
            with ", trashers.handle AS trasher",
            "LEFT JOIN users AS trashers ON trashers.id = videos.trashed_by
             WHERE videos.trashed_at IS NOT NULL AND videos.purge_at > $1 AND (videos.trashed_at, videos.id) < ($2, $3)
             ORDER BY videos.trashed_at DESC, videos.id DESC LIMIT $4"
        );
        let (below, id) = page.below_ranked();
        let found = rows!(self.pool, fetch_all, TrashedVideo, sql, now, below, id, page.rows())?;
        Ok(page.page_from(found, |TrashedVideo { listed: ListedVideo { video, .. }, .. }| {
            PageRequest::ranked(video.trashed_at.map_or(0, |at| at.0), video.id.as_str())
        }))
    }

    /// The videos that can be watched and wait for moderators, the longest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn videos_in_review(&self, page: &PageRequest) -> Result<Page<ListedVideo>, Error> {
        let sql = listed!(
            "WHERE videos.review = 'pending' AND videos.state = 'ready' AND videos.trashed_at IS NULL AND videos.id > $1
             ORDER BY videos.id LIMIT $2"
        );
        let found = rows!(self.pool, fetch_all, ListedVideo, sql, page.above(), page.rows())?;
        Ok(page.page(found, |found| found.video.id.as_str()))
    }

    /// How many approved or unreviewed videos of an account are out: one that has some is no new creator.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn approved_videos_of(&self, owner: &UserId) -> Result<i64, Error> {
        let sql = "SELECT COUNT(*) FROM videos JOIN channels ON channels.id = videos.channel_id
                   WHERE channels.owner_id = $1 AND videos.state = 'ready' AND videos.review IN ('none', 'approved')";
        let (count,) = rows!(self.pool, fetch_one, (i64,), sql, owner)?;
        Ok(count)
    }
}
