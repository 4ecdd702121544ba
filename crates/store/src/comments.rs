//! Comments on videos: two levels, some held until they are approved, at most one of a video pinned.
//!
//! `videos.comments` and `comments.replies` count what everybody sees, and change with it in one transaction. Whatever
//! changes several rows takes them in the order reply, comment, video, so that no two wait for each other.

use crate::db::{Tx, rows, rows_in, run_in};
use crate::error::found;
use crate::{At, ChannelId, CommentId, Error, Page, PageRequest, Store, UserId, VideoId};

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Comment {
    /// Its id.
    pub id: CommentId,
    /// What is commented.
    pub video_id: VideoId,
    /// Whose words these are; `None` where the comment is deleted.
    pub author_id: Option<UserId>,
    /// The comment that this one replies to.
    pub parent_id: Option<CommentId>,
    /// The words; empty where the comment is deleted.
    pub text: String,
    /// Whether it waits to be approved: until then its author sees it, and those who approve.
    pub held: bool,
    /// Whether it stands above the others.
    pub pinned: bool,
    /// Accounts that like it.
    pub likes: i64,
    /// Replies that everybody sees.
    pub replies: i64,
    /// When it was written.
    pub created_at: At,
    /// When its author last changed it.
    pub edited_at: Option<At>,
    /// When it was deleted; it stays because of its replies.
    pub deleted_at: Option<At>,
}

/// A comment as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ListedComment {
    /// The comment.
    #[sqlx(flatten)]
    pub comment: Comment,
    /// The video's name in addresses.
    pub video_short_id: String,
    /// The author's handle.
    pub author_handle: Option<String>,
    /// The author's name for people.
    pub author_name: Option<String>,
    /// The author's picture.
    pub author_avatar: Option<String>,
    /// Whether the one for whom it was read likes it.
    pub liked: bool,
}

/// A comment that waits to be approved, as lists of several videos show it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct HeldComment {
    /// The comment.
    #[sqlx(flatten)]
    pub listed: ListedComment,
    /// What the video is called.
    pub video_title: String,
    /// Whose video it is.
    pub video_owner: UserId,
}

/// A comment to be written.
#[derive(Debug, Clone, Copy)]
pub struct NewComment<'a> {
    /// See [`Comment::video_id`].
    pub video_id: &'a VideoId,
    /// See [`Comment::author_id`].
    pub author_id: &'a UserId,
    /// See [`Comment::parent_id`].
    pub parent_id: Option<&'a CommentId>,
    /// See [`Comment::text`].
    pub text: &'a str,
    /// See [`Comment::held`].
    pub held: bool,
}

/// The order of a list of comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommentOrder {
    /// Those that most like first.
    #[default]
    Top,
    /// The newest first.
    Newest,
    /// The oldest first.
    Oldest,
}

/// A query of comments as lists show them, perhaps with further columns; $1 is the one for whom they are read, or empty.
macro_rules! listed {
    ($rest:literal) => {
        listed!("", $rest)
    };
    ($columns:literal, $rest:expr) => {
        concat!(
            "SELECT comments.*, videos.short_id AS video_short_id, users.handle AS author_handle,
                    users.display_name AS author_name, users.avatar AS author_avatar,
                    EXISTS (SELECT 1 FROM comment_likes
                            WHERE comment_likes.comment_id = comments.id AND comment_likes.user_id = $1) AS liked",
            $columns,
            " FROM comments JOIN videos ON videos.id = comments.video_id
             LEFT JOIN users ON users.id = comments.author_id ",
            $rest
        )
    };
}

/// A query of those that wait to be approved, on whichever video.
macro_rules! held {
    ($rest:literal) => {
        listed!(
            ", videos.title AS video_title, channels.owner_id AS video_owner",
            concat!(
                "JOIN channels ON channels.id = videos.channel_id
                 WHERE comments.held AND videos.trashed_at IS NULL ",
                $rest
            )
        )
    };
}

/// A query of a video's comments that reply to none, but for the pinned one, which stands above: those that everybody
/// sees, and one's own.
macro_rules! top {
    ($rest:literal) => {
        concat!(
            listed!(
                "WHERE comments.video_id = $2 AND comments.parent_id IS NULL AND NOT comments.pinned
                   AND (NOT comments.held OR comments.author_id = $1)
                   AND (comments.deleted_at IS NULL OR comments.replies > 0) "
            ),
            $rest
        )
    };
}

impl Store {
    /// Writes a comment.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the video is gone, or what is replied to is not a comment of that video that everybody sees
    /// and that replies to none.
    pub async fn create_comment(&self, new: &NewComment<'_>) -> Result<CommentId, Error> {
        let mut tx = self.begin().await?;
        let seen = i64::from(!new.held);
        if let Some(parent) = new.parent_id {
            let sql = "UPDATE comments SET replies = replies + $1
                       WHERE id = $2 AND video_id = $3 AND parent_id IS NULL AND NOT held AND deleted_at IS NULL";
            found(run_in!(tx, sql, seen, parent, new.video_id)?)?;
        }
        let sql = "UPDATE videos SET comments = comments + $1 WHERE id = $2";
        found(run_in!(tx, sql, seen, new.video_id)?)?;
        let id = CommentId::new();
        run_in!(
            tx,
            "INSERT INTO comments (id, video_id, author_id, parent_id, text, held, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &id,
            new.video_id,
            new.author_id,
            new.parent_id,
            new.text,
            new.held,
            At::now(),
        )?;
        tx.commit().await?;
        Ok(id)
    }

    /// One comment, whoever may see it, as `reader` reads it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn comment(&self, id: &CommentId, reader: Option<&UserId>) -> Result<Option<ListedComment>, Error> {
        let sql = listed!("WHERE comments.id = $2");
        Ok(rows!(self.pool, fetch_optional, ListedComment, sql, name(reader), id)?)
    }

    /// A video's comments that reply to none, without the pinned one: those that everybody sees, deleted ones with replies
    /// among them, and those of `reader`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn comments(
        &self,
        video: &VideoId,
        order: CommentOrder,
        reader: Option<&UserId>,
        page: &PageRequest,
    ) -> Result<Page<ListedComment>, Error> {
        let reader = name(reader);
        let (sql, cursor) = match order {
            CommentOrder::Newest => (top!("AND comments.id < $3 ORDER BY comments.id DESC LIMIT $4"), page.below()),
            CommentOrder::Oldest => (top!("AND comments.id > $3 ORDER BY comments.id LIMIT $4"), page.above()),
            CommentOrder::Top => {
                let sql = top!(
                    "AND (comments.likes, comments.id) < ($3, $4)
                     ORDER BY comments.likes DESC, comments.id DESC LIMIT $5"
                );
                let (likes, id) = page.below_ranked();
                let found = rows!(self.pool, fetch_all, ListedComment, sql, reader, video, likes, id, page.rows())?;
                return Ok(page.page_from(found, |ListedComment { comment, .. }| {
                    PageRequest::ranked(comment.likes, comment.id.as_str())
                }));
            }
        };
        let found = rows!(self.pool, fetch_all, ListedComment, sql, reader, video, cursor, page.rows())?;
        Ok(page.page(found, |found| found.comment.id.as_str()))
    }

    /// A video's pinned comment.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pinned_comment(
        &self,
        video: &VideoId,
        reader: Option<&UserId>,
    ) -> Result<Option<ListedComment>, Error> {
        let sql = listed!("WHERE comments.video_id = $2 AND comments.pinned");
        Ok(rows!(self.pool, fetch_optional, ListedComment, sql, name(reader), video)?)
    }

    /// The replies to a comment that everybody sees, and those of `reader`, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replies(
        &self,
        parent: &CommentId,
        reader: Option<&UserId>,
        page: &PageRequest,
    ) -> Result<Page<ListedComment>, Error> {
        let sql = listed!(
            "WHERE comments.parent_id = $2 AND (NOT comments.held OR comments.author_id = $1) AND comments.id > $3
             ORDER BY comments.id LIMIT $4"
        );
        let found = rows!(self.pool, fetch_all, ListedComment, sql, name(reader), parent, page.above(), page.rows())?;
        Ok(page.page(found, |found| found.comment.id.as_str()))
    }

    /// A video's comments and replies that wait to be approved, the longest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn held_comments(
        &self,
        video: &VideoId,
        reader: Option<&UserId>,
        page: &PageRequest,
    ) -> Result<Page<ListedComment>, Error> {
        let sql = listed!(
            "WHERE comments.video_id = $2 AND comments.held AND comments.id > $3 ORDER BY comments.id LIMIT $4"
        );
        let found = rows!(self.pool, fetch_all, ListedComment, sql, name(reader), video, page.above(), page.rows())?;
        Ok(page.page(found, |found| found.comment.id.as_str()))
    }

    /// The comments and replies that wait to be approved, as `reader` sees them, the longest first: on the videos of `owner`, or
    /// on all; without those on videos in the trash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all_held_comments(
        &self,
        owner: Option<&UserId>,
        reader: Option<&UserId>,
        page: &PageRequest,
    ) -> Result<Page<HeldComment>, Error> {
        let (above, count) = (page.above(), page.rows());
        let found = match owner {
            Some(owner) => {
                let sql = held!("AND comments.id > $2 AND channels.owner_id = $3 ORDER BY comments.id LIMIT $4");
                rows!(self.pool, fetch_all, HeldComment, sql, name(reader), above, owner, count)?
            }
            None => {
                let sql = held!("AND comments.id > $2 ORDER BY comments.id LIMIT $3");
                rows!(self.pool, fetch_all, HeldComment, sql, name(reader), above, count)?
            }
        };
        Ok(page.page(found, |found| found.listed.comment.id.as_str()))
    }

    /// How many comments and replies [`Self::all_held_comments`] has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_held_comments(&self, owner: Option<&UserId>) -> Result<u64, Error> {
        let found = match owner {
            Some(owner) => rows!(self.pool, fetch_one, (i64,), HELD_OF, owner)?,
            None => {
                let sql = "SELECT COUNT(*) FROM comments JOIN videos ON videos.id = comments.video_id
                           WHERE comments.held AND videos.trashed_at IS NULL";
                rows!(self.pool, fetch_one, (i64,), sql)?
            }
        };
        Ok(u64::try_from(found.0).unwrap_or(0))
    }

    /// How many of a video's comments and replies everybody sees.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_comments(&self, video: &VideoId) -> Result<i64, Error> {
        let sql = "SELECT comments FROM videos WHERE id = $1";
        Ok(rows!(self.pool, fetch_optional, (i64,), sql, video)?.map_or(0, |(count,)| count))
    }

    /// Whether everybody sees a comment of an account on a video of that channel.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_commented(&self, author: &UserId, channel: &ChannelId) -> Result<bool, Error> {
        let sql = "SELECT comments.id FROM comments JOIN videos ON videos.id = comments.video_id
                   WHERE comments.author_id = $1 AND NOT comments.held AND videos.channel_id = $2 LIMIT 1";
        Ok(rows!(self.pool, fetch_optional, (CommentId,), sql, author, channel)?.is_some())
    }

    /// Changes the words of a comment, and notes when.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn edit_comment(&self, id: &CommentId, text: &str) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE comments SET text = $1, edited_at = $2 WHERE id = $3 AND deleted_at IS NULL";
        found(run_in!(tx, sql, text, At::now(), id)?)?;
        tx.commit().await
    }

    /// Deletes a comment. Where others replied to it, it stays as a place without words and author.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_comment(&self, id: &CommentId) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        // Takes the row, so that no reply comes in between.
        let sql = "UPDATE comments SET pinned = FALSE WHERE id = $1 AND deleted_at IS NULL RETURNING *";
        let old = rows_in!(tx, fetch_optional, Comment, sql, id)?.ok_or(Error::NotFound)?;
        let sql = "SELECT id FROM comments WHERE parent_id = $1 LIMIT 1";
        if rows_in!(tx, fetch_optional, (CommentId,), sql, id)?.is_some() {
            run_in!(tx, "DELETE FROM comment_likes WHERE comment_id = $1", id)?;
            let sql = "UPDATE comments SET text = '', author_id = NULL, likes = 0, edited_at = NULL, deleted_at = $1
                       WHERE id = $2";
            run_in!(tx, sql, At::now(), id)?;
        } else {
            run_in!(tx, "DELETE FROM comments WHERE id = $1", id)?;
        }
        if !old.held {
            count(&mut tx, &old, -1).await?;
        }
        if let Some(parent) = &old.parent_id {
            let sql = "DELETE FROM comments WHERE id = $1 AND deleted_at IS NOT NULL
                       AND NOT EXISTS (SELECT 1 FROM comments AS reply WHERE reply.parent_id = $1)";
            run_in!(tx, sql, parent)?;
        }
        tx.commit().await
    }

    /// Puts a comment above the others of its video, in place of the one that stood there.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is not one that everybody sees and that replies to none; [`Error::Taken`] where another
    /// is pinned at the same moment.
    pub async fn pin_comment(&self, id: &CommentId) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE comments SET pinned = FALSE
                   WHERE pinned AND video_id = (SELECT video_id FROM comments WHERE id = $1)";
        run_in!(tx, sql, id)?;
        let sql = "UPDATE comments SET pinned = TRUE
                   WHERE id = $1 AND parent_id IS NULL AND NOT held AND deleted_at IS NULL";
        let pinned = run_in!(tx, sql, id).map_err(|error| Error::taken(error, |_| "the place above the others"))?;
        found(pinned)?;
        tx.commit().await
    }

    /// Takes that back; nothing is done where it is not pinned.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unpin_comment(&self, id: &CommentId) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        run_in!(tx, "UPDATE comments SET pinned = FALSE WHERE id = $1 AND pinned", id)?;
        tx.commit().await
    }

    /// Lets everybody see a comment that was held; nothing is done with another.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn approve_comment(&self, id: &CommentId) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE comments SET held = FALSE WHERE id = $1 AND held RETURNING *";
        if let Some(comment) = rows_in!(tx, fetch_optional, Comment, sql, id)? {
            count(&mut tx, &comment, 1).await?;
        }
        tx.commit().await
    }

    /// Notes that an account likes a comment, or no longer does.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn like_comment(&self, id: &CommentId, user: &UserId, likes: bool) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE comments SET likes = likes WHERE id = $1 AND deleted_at IS NULL";
        found(run_in!(tx, sql, id)?)?;
        let (changed, step) = if likes {
            let sql = "INSERT INTO comment_likes (comment_id, user_id, created_at) VALUES ($1, $2, $3)
                       ON CONFLICT DO NOTHING";
            (run_in!(tx, sql, id, user, At::now())?, 1_i64)
        } else {
            (run_in!(tx, "DELETE FROM comment_likes WHERE comment_id = $1 AND user_id = $2", id, user)?, -1)
        };
        if changed > 0 {
            run_in!(tx, "UPDATE comments SET likes = likes + $1 WHERE id = $2", step, id)?;
        }
        tx.commit().await
    }
}

/// Begins with those that wait, which are few: an account may have many videos. A cross join is in that order on SQLite.
const HELD_OF: &str = "
    WITH waiting AS MATERIALIZED (SELECT video_id FROM comments WHERE held)
    SELECT COUNT(*) FROM waiting CROSS JOIN videos CROSS JOIN channels
    WHERE videos.id = waiting.video_id AND videos.trashed_at IS NULL
      AND channels.id = videos.channel_id AND channels.owner_id = $1";

/// Deletes what an account wrote, before the account is: its comments stay as empty places where others replied. What it
/// liked is no longer liked by it.
pub(crate) async fn forget_comments_of(tx: &mut Tx, author: &UserId) -> Result<(), Error> {
    for sql in [
        "UPDATE comments SET replies = replies - (
             SELECT COUNT(*) FROM comments AS reply
             WHERE reply.parent_id = comments.id AND reply.author_id = $1 AND NOT reply.held)
         WHERE id IN (SELECT parent_id FROM comments WHERE author_id = $1 AND parent_id IS NOT NULL AND NOT held)",
        "UPDATE videos SET comments = comments - (
             SELECT COUNT(*) FROM comments
             WHERE comments.video_id = videos.id AND comments.author_id = $1 AND NOT comments.held)
         WHERE id IN (SELECT video_id FROM comments WHERE author_id = $1 AND NOT held)",
        "DELETE FROM comments WHERE author_id = $1
         AND NOT EXISTS (SELECT 1 FROM comments AS reply
                         WHERE reply.parent_id = comments.id AND reply.author_id <> $1)",
        "UPDATE comments SET likes = likes - 1
         WHERE id IN (SELECT comment_id FROM comment_likes WHERE user_id = $1)",
        "DELETE FROM comment_likes WHERE comment_id IN (SELECT id FROM comments WHERE author_id = $1)",
    ] {
        run_in!(*tx, sql, author)?;
    }
    let sql = "UPDATE comments SET text = '', pinned = FALSE, likes = 0, edited_at = NULL, deleted_at = $1
               WHERE author_id = $2";
    run_in!(*tx, sql, At::now(), author)?;
    let sql = "DELETE FROM comments WHERE deleted_at IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM comments AS reply WHERE reply.parent_id = comments.id)";
    run_in!(*tx, sql)?;
    Ok(())
}

/// Counts a comment that everybody now sees, or no longer.
async fn count(tx: &mut Tx, comment: &Comment, step: i64) -> Result<(), Error> {
    if let Some(parent) = &comment.parent_id {
        run_in!(*tx, "UPDATE comments SET replies = replies + $1 WHERE id = $2", step, parent)?;
    }
    run_in!(*tx, "UPDATE videos SET comments = comments + $1 WHERE id = $2", step, &comment.video_id)?;
    Ok(())
}

/// An account's id, or what is nobody's.
fn name(reader: Option<&UserId>) -> &str {
    reader.map_or("", UserId::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::tests::plan;

    #[tokio::test]
    async fn sqlite_begins_with_the_comments_that_wait() {
        let steps = plan(HELD_OF).await;
        let place = |begins: &str| {
            steps.iter().position(|step| step.starts_with(begins)).unwrap_or_else(|| panic!("{begins}: {steps:#?}"))
        };
        assert!(place("SCAN comments USING INDEX comments_held") < place("SCAN waiting"));
        assert!(place("SCAN waiting") < place("SEARCH videos") && place("SEARCH videos") < place("SEARCH channels"));
    }
}
