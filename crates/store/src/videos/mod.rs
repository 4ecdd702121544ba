//! Videos: what is said of them, in which state they are, and which lists show them.

mod changed;
mod shown;
mod trash;

use crate::texts::texts;
use crate::{At, ChannelId, UserId, VideoId, Visibility};

pub(crate) use changed::create_in;
pub(crate) use shown::listed;

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
    /// Whether it is one of the most watched, see [`crate::MAX_WATCHED`].
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

/// A video in the trash.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TrashedVideo {
    /// The video.
    #[sqlx(flatten)]
    pub listed: ListedVideo,
    /// The handle of who threw it away; `None` where that account is no more.
    pub trasher: Option<String>,
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
