//! Videos: what is said of them, in which state they are, and which lists show them.

use crate::db::{Tx, rows, rows_in, run_in};
use crate::error::found;
use crate::search::index_in;
use crate::texts::texts;
use crate::{At, ChannelId, Error, Page, PageRequest, Store, UserId, VideoId, Visibility};

/// How far a video is on its way from a file to something to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoState {
    /// Its file is on the way.
    Uploading,
    /// Its file is safe here, and waits to be looked at.
    Received,
    /// It is being made playable.
    Processing,
    /// It can be watched. More renditions may still come.
    Ready,
    /// It cannot be made playable; why is said in words.
    Failed,
}

texts!(VideoState {
    Uploading = "uploading",
    Received = "received",
    Processing = "processing",
    Ready = "ready",
    Failed = "failed",
});

/// What moderators said of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Review {
    /// It needs none.
    None,
    /// It waits for them.
    Pending,
    /// It may be shown.
    Approved,
    /// It may not be shown.
    Rejected,
    /// It may be shown once its owner has changed something.
    Changes,
}

texts!(Review {
    None = "none",
    Pending = "pending",
    Approved = "approved",
    Rejected = "rejected",
    Changes = "changes",
});

/// A video.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Video {
    /// Its id.
    pub id: VideoId,
    /// Its name in addresses.
    pub short_id: String,
    /// The channel whose it is.
    pub channel_id: ChannelId,
    /// Its name for people.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// The language spoken, as a BCP 47 tag; empty where not said.
    pub language: String,
    /// What kind of thing is shown; empty where not said.
    pub category: String,
    /// JSON list of words.
    pub tags: String,
    /// Who may watch, once it is published.
    #[sqlx(try_from = "String")]
    pub visibility: Visibility,
    /// Argon2id of the password to watch with, in PHC form.
    pub password_hash: Option<String>,
    /// When it is to be published: until then only its owner watches.
    pub publish_at: Option<At>,
    /// When it was first there for others.
    pub published_at: Option<At>,
    /// How far it is.
    #[sqlx(try_from = "String")]
    pub state: VideoState,
    /// Why it failed, in plain words.
    pub failure: String,
    /// What moderators said.
    #[sqlx(try_from = "String")]
    pub review: Review,
    /// Why they said so.
    pub review_reason: String,
    /// When it was put into the trash.
    pub trashed_at: Option<At>,
    /// Who did that.
    pub trashed_by: Option<UserId>,
    /// When it is deleted for good.
    pub purge_at: Option<At>,
    /// What its file was called where it came from.
    pub file_name: String,
    /// Milliseconds.
    pub duration: i64,
    /// Pixels, as it is shown; 0 where there is no picture.
    pub width: i64,
    /// Pixels, as it is shown; 0 where there is no picture.
    pub height: i64,
    /// Thousandths of pictures per second.
    pub frame_rate: i64,
    /// Bits per second.
    pub bit_rate: i64,
    /// RFC 6381 name of the video codec; empty where there is none.
    pub video_codec: String,
    /// RFC 6381 name of the audio codec; empty where there is none.
    pub audio_codec: String,
    /// Whether viewers may keep a copy.
    pub downloadable: bool,
    /// Whether viewers may comment.
    pub comments_open: bool,
    /// Times that it was watched: once for each viewer and day.
    pub views: i64,
    /// Accounts that like it.
    pub likes: i64,
    /// Comments that everybody sees.
    pub comments: i64,
    /// Rises when somebody loses leave to watch.
    pub play_epoch: i64,
    /// Rises with every change by people.
    pub version: i64,
    /// When it was made.
    pub created_at: At,
    /// Whether lists show it to everybody.
    pub listed: bool,
    /// Whether it is one of the most watched, see [`crate::MAX_RANKED`].
    pub popular: bool,
}

impl Video {
    /// Whether those who may watch it can do so now.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.state == VideoState::Ready
            && matches!(self.review, Review::None | Review::Approved)
            && self.trashed_at.is_none()
            && self.publish_at.is_none()
    }
}

/// A video whose file is still to come.
#[derive(Debug, Clone)]
pub struct NewVideo<'a> {
    /// See [`Video::short_id`].
    pub short_id: &'a str,
    /// See [`Video::channel_id`].
    pub channel_id: &'a ChannelId,
    /// See [`Video::title`].
    pub title: &'a str,
    /// See [`Video::description`].
    pub description: &'a str,
    /// See [`Video::language`].
    pub language: &'a str,
    /// See [`Video::category`].
    pub category: &'a str,
    /// See [`Video::tags`].
    pub tags: &'a str,
    /// What is searched: words in lower case.
    pub search_text: &'a str,
    /// See [`Video::visibility`].
    pub visibility: Visibility,
    /// See [`Video::password_hash`].
    pub password_hash: Option<&'a str>,
    /// See [`Video::publish_at`].
    pub publish_at: Option<At>,
    /// See [`Video::review`].
    pub review: Review,
    /// See [`Video::file_name`].
    pub file_name: &'a str,
}

/// What its owner changes of a video; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct VideoChange<'a> {
    /// See [`Video::channel_id`].
    pub channel_id: Option<&'a ChannelId>,
    /// See [`Video::title`].
    pub title: Option<&'a str>,
    /// See [`Video::description`].
    pub description: Option<&'a str>,
    /// See [`Video::language`].
    pub language: Option<&'a str>,
    /// See [`Video::category`].
    pub category: Option<&'a str>,
    /// See [`Video::tags`].
    pub tags: Option<&'a str>,
    /// See [`NewVideo::search_text`].
    pub search_text: Option<&'a str>,
    /// See [`Video::visibility`].
    pub visibility: Option<Visibility>,
    /// See [`Video::password_hash`].
    pub password_hash: Option<Option<&'a str>>,
    /// See [`Video::publish_at`].
    pub publish_at: Option<Option<At>>,
    /// See [`Video::downloadable`].
    pub downloadable: Option<bool>,
    /// See [`Video::comments_open`].
    pub comments_open: Option<bool>,
    /// See [`Video::review`].
    pub review: Option<Review>,
}

/// What was found out about a video's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VideoFacts {
    /// See [`Video::duration`].
    pub duration: i64,
    /// See [`Video::width`].
    pub width: i64,
    /// See [`Video::height`].
    pub height: i64,
    /// See [`Video::frame_rate`].
    pub frame_rate: i64,
    /// See [`Video::bit_rate`].
    pub bit_rate: i64,
    /// See [`Video::video_codec`].
    pub video_codec: String,
    /// See [`Video::audio_codec`].
    pub audio_codec: String,
}

/// A video as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ListedVideo {
    /// The video.
    #[sqlx(flatten)]
    pub video: Video,
    /// The channel's handle.
    pub channel_handle: String,
    /// The channel's title.
    pub channel_title: String,
    /// The channel's picture.
    pub channel_avatar: Option<String>,
    /// Whose channel it is.
    pub owner_id: UserId,
    /// The object of the picture that stands for it.
    pub thumbnail: Option<String>,
}

/// The order of a list of videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VideoOrder {
    /// The newest first.
    #[default]
    Newest,
    /// The most watched first.
    Views,
}

/// Which videos that everybody may see.
#[derive(Debug, Clone, Copy, Default)]
pub struct VideoFilter<'a> {
    /// Of this channel only.
    pub channel: Option<&'a ChannelId>,
    /// Of this category only; of all where it is empty.
    pub category: &'a str,
    /// In which order.
    pub order: VideoOrder,
}

/// Which of the own videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// Those that are not in the trash.
    Kept,
    /// Those in the trash.
    Trash,
}

/// A query of videos as lists show them.
macro_rules! listed {
    ($($rest:tt)+) => {
        concat!(
            "SELECT videos.*, channels.handle AS channel_handle, channels.title AS channel_title,
                    channels.avatar AS channel_avatar, channels.owner_id,
                    (SELECT object_key FROM files WHERE files.video_id = videos.id AND files.kind = 'poster' LIMIT 1)
                    AS thumbnail
             FROM videos JOIN channels ON channels.id = videos.channel_id ",
            $($rest)+
        )
    };
}

/// A page of those that everybody may see and that meet a condition, the highest of a column first: $1 is the cursor, $2 how
/// many. A cursor is turned into a bound, so that an index is entered there.
macro_rules! listed_by {
    ($column:literal, $condition:literal) => {
        listed!(
            "WHERE videos.listed AND (videos.",
            $column,
            ", videos.id) < (CASE WHEN $1 = '' THEN 9223372036854775807 ELSE (SELECT ",
            $column,
            " FROM videos WHERE id = $1) END, CASE WHEN $1 = '' THEN '~' ELSE $1 END) ",
            $condition,
            " ORDER BY videos.",
            $column,
            " DESC, videos.id DESC LIMIT $2"
        )
    };
}

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
        let (after, category) = (page.above(), filter.category);
        let found = match (filter.channel, category) {
            (Some(channel), category) => {
                let sql = match filter.order {
                    VideoOrder::Newest => {
                        listed_by!("published_at", "AND videos.channel_id = $3 AND ($4 = '' OR videos.category = $4)")
                    }
                    VideoOrder::Views => {
                        listed_by!("views", "AND videos.channel_id = $3 AND ($4 = '' OR videos.category = $4)")
                    }
                };
                rows!(self.pool, fetch_all, ListedVideo, sql, after, page.rows(), channel, category)
            }
            (None, "") => {
                let sql = match filter.order {
                    VideoOrder::Newest => listed_by!("published_at", ""),
                    VideoOrder::Views => listed_by!("views", ""),
                };
                rows!(self.pool, fetch_all, ListedVideo, sql, after, page.rows())
            }
            (None, category) => {
                let sql = match filter.order {
                    VideoOrder::Newest => listed_by!("published_at", "AND videos.category = $3"),
                    VideoOrder::Views => listed_by!("views", "AND videos.category = $3"),
                };
                rows!(self.pool, fetch_all, ListedVideo, sql, after, page.rows(), category)
            }
        };
        Ok(page.page(found?, |found| found.video.id.as_str()))
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

    /// Puts a video into the trash: from now on nobody sees it, and at `purge_at` it is deleted for good. One that is
    /// there stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn trash_video(&self, id: &VideoId, by: &UserId, purge_at: At) -> Result<Video, Error> {
        let mut tx = self.begin().await?;
        run_in!(
            tx,
            "UPDATE videos SET trashed_at = $1, trashed_by = $2, purge_at = $3, play_epoch = play_epoch + 1,
                    version = version + 1
             WHERE id = $4 AND trashed_at IS NULL",
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

    /// Puts all videos of an account into the trash. Their short ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trash_videos_of(&self, owner: &UserId, by: &UserId, purge_at: At) -> Result<Vec<String>, Error> {
        let mut tx = self.begin().await?;
        let trashed = rows_in!(
            tx,
            fetch_all,
            Video,
            "UPDATE videos SET trashed_at = $1, trashed_by = $2, purge_at = $3, trashed_with_others = TRUE,
                    play_epoch = play_epoch + 1, version = version + 1
             WHERE trashed_at IS NULL AND channel_id IN (SELECT id FROM channels WHERE owner_id = $4)
             RETURNING *",
            At::now(),
            by,
            purge_at,
            owner,
        )?;
        for video in &trashed {
            index_in(&mut tx, video).await?;
        }
        tx.commit().await?;
        Ok(trashed.into_iter().map(|video| video.short_id).collect())
    }

    /// Takes a video out of the trash, as it was.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is not there, or its time is over.
    pub async fn restore_video(&self, id: &VideoId, now: At) -> Result<Video, Error> {
        let sql =
            "UPDATE videos SET trashed_at = NULL, trashed_by = NULL, purge_at = NULL, trashed_with_others = FALSE,
                          version = version + 1
                   WHERE id = $1 AND purge_at > $2 RETURNING *";
        let mut tx = self.begin().await?;
        let video = rows_in!(tx, fetch_optional, Video, sql, id, now)?.ok_or(Error::NotFound)?;
        index_in(&mut tx, &video).await?;
        tx.commit().await?;
        Ok(video)
    }

    /// Takes all videos of an account out of the trash that `by` put there at once with [`Self::trash_videos_of`]; what they
    /// put there one by one stays. Their short ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn restore_videos_of(&self, owner: &UserId, by: &UserId, now: At) -> Result<Vec<String>, Error> {
        let mut tx = self.begin().await?;
        let restored = rows_in!(
            tx,
            fetch_all,
            Video,
            "UPDATE videos SET trashed_at = NULL, trashed_by = NULL, purge_at = NULL, trashed_with_others = FALSE,
                    version = version + 1
             WHERE trashed_by = $1 AND trashed_with_others AND purge_at > $2 AND channel_id IN (SELECT id FROM channels WHERE owner_id = $3)
             RETURNING *",
            by,
            now,
            owner,
        )?;
        for video in &restored {
            index_in(&mut tx, video).await?;
        }
        tx.commit().await?;
        Ok(restored.into_iter().map(|video| video.short_id).collect())
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
        let sql = "INSERT INTO garbage (object_key, added_at)
                   SELECT object_key, $1 FROM files JOIN videos ON videos.id = files.video_id
                   WHERE videos.id = $2 AND videos.purge_at <= $1 ON CONFLICT DO NOTHING";
        run_in!(tx, sql, now, id)?;
        let deleted = run_in!(tx, "DELETE FROM videos WHERE id = $1 AND purge_at <= $2", id, now)?;
        tx.commit().await?;
        Ok(deleted > 0)
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

    /// Notes what moderators said of a video, and why.
    ///
    /// # Errors
    /// [`Error::Changed`] where it is no longer at `version`.
    pub async fn review_video(&self, id: &VideoId, version: i64, review: Review, reason: &str) -> Result<Video, Error> {
        let mut tx = self.begin().await?;
        let sql =
            "UPDATE videos SET review = $1, review_reason = $2, version = version + 1, play_epoch = play_epoch + 1
                   WHERE id = $3 AND version = $4";
        if run_in!(tx, sql, review.as_str(), reason, id, version)? == 0 {
            return Err(Error::Changed);
        }
        let video = publish(&mut tx, id).await?;
        tx.commit().await?;
        Ok(video)
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
