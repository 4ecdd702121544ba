//! What the API says of a video.

use millrace_store::{
    FileKind, Job, JobFilter, JobState, ListedVideo, PageRequest, Review, UserId, Video as Row, VideoState, Visibility,
};
use millrace_vod::jobs::{MakeRendition, OpenVideo, ProcessVideo, Work};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::api::uploads::Upload;
use crate::channels::rules as channel_rules;
use crate::pictures;
use crate::videos::KnownVideo;
use crate::{Problem, Site};

/// A video.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Video {
    /// Its name in addresses.
    #[schema(example = "q7RbT2mXv0K")]
    pub(crate) id: String,
    pub(crate) channel: VideoChannel,
    /// Its name for people.
    #[schema(example = "The night market at the river")]
    pub(crate) title: String,
    /// What it is about. Times such as `1:02:03` in it can be jumped to.
    pub(crate) description: String,
    /// The language spoken, as a BCP 47 tag; empty where not said.
    pub(crate) language: String,
    /// What kind of thing is shown: one of those that the site lists; empty where not said.
    pub(crate) category: String,
    /// Words to be found by.
    pub(crate) tags: Vec<String>,
    pub(crate) visibility: VideoVisibility,
    pub(crate) state: ProcessingState,
    /// When it was first there for others; null where it was not yet.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) published_at: Option<OffsetDateTime>,
    /// Seconds.
    pub(crate) duration: f64,
    /// Pixels; 0 where there is no picture.
    pub(crate) width: u32,
    /// Pixels; 0 where there is no picture.
    pub(crate) height: u32,
    /// Times that it was watched: once for each viewer and day.
    pub(crate) views: u64,
    /// Accounts that like it.
    pub(crate) likes: u64,
    /// Comments that everybody sees.
    pub(crate) comments: u64,
    /// Whether viewers may comment.
    pub(crate) comments_open: bool,
    /// Whether viewers may keep a copy.
    pub(crate) downloadable: bool,
    /// Path of the picture that stands for it; null where there is none yet.
    pub(crate) thumbnail_url: Option<String>,
    pub(crate) urls: VideoUrls,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    /// Changes with every change; `If-Match` takes it in quotes.
    pub(crate) version: i64,
    /// What its owner and moderators see; null for others, and in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) own: Option<OwnPart>,
    /// What there is of it, where one video was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) media: Option<VideoMedia>,
}

/// The channel of a video.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VideoChannel {
    /// Its name in addresses.
    pub(crate) handle: String,
    /// Its name for people.
    pub(crate) title: String,
    /// Path of its picture; null where it has none.
    pub(crate) avatar_url: Option<String>,
}

/// Where a video is. Paths on this origin.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VideoUrls {
    /// Its page.
    #[schema(example = "/w/q7RbT2mXv0K")]
    pub(crate) page: String,
    /// The HLS playlist.
    #[schema(example = "/videos/q7RbT2mXv0K/index.m3u8")]
    pub(crate) hls: String,
    /// The file, by ranges.
    #[schema(example = "/videos/q7RbT2mXv0K")]
    pub(crate) file: String,
}

/// What there is of a video.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VideoMedia {
    /// Thousandths of pictures per second.
    pub(crate) frame_rate: u32,
    /// Bits per second of the file.
    pub(crate) bit_rate: u64,
    /// RFC 6381 name of the video codec; empty where there is none.
    pub(crate) video_codec: String,
    /// RFC 6381 name of the audio codec; empty where there is none.
    pub(crate) audio_codec: String,
    /// Heights of the renditions beside the original.
    pub(crate) renditions: Vec<String>,
    /// Captions.
    pub(crate) captions: Vec<Caption>,
    /// Paths of the pictures to choose from.
    pub(crate) thumbnails: Vec<String>,
    /// Path of the small pictures along the time line (WebVTT); null where there are none.
    pub(crate) storyboard_url: Option<String>,
}

/// Captions in one language.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Caption {
    /// A BCP 47 tag.
    pub(crate) language: String,
    /// Where they are (WebVTT).
    pub(crate) url: String,
}

/// What its owner sees of a video.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnPart {
    /// Why it failed, in plain words; empty where it did not.
    pub(crate) failure: String,
    pub(crate) review: ReviewState,
    /// Why moderators decided so; may be empty.
    pub(crate) review_reason: String,
    /// When it is to be published; null where it is not scheduled.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) publish_at: Option<OffsetDateTime>,
    /// When it was put into the trash; null where it is not there.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) trashed_at: Option<OffsetDateTime>,
    /// When it is deleted for good; null where it is not in the trash.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) purge_at: Option<OffsetDateTime>,
    /// Whether it is in the trash and moderators alone restore it, since its owner did not put it there.
    pub(crate) kept_by_moderators: bool,
    /// What its file was called where it came from.
    pub(crate) file_name: String,
    /// Bytes that are stored for it, renditions and pictures included.
    pub(crate) stored_bytes: u64,
    /// Its upload, where it is on its way.
    pub(crate) upload: Option<Upload>,
    /// What is being done with it, or waits to be.
    pub(crate) work: Vec<VideoWork>,
    /// What could not be done with it, and is not tried again by itself: making it again does that. It is known as long as jobs
    /// that have ended are.
    pub(crate) failed_work: Vec<FailedWork>,
}

/// Something that is done with a video.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VideoWork {
    /// What is done.
    #[schema(example = "video.transcode")]
    pub(crate) kind: String,
    /// Whether it is being done at this moment, or waits.
    pub(crate) running: bool,
    /// How far it is: 0 to 1.
    pub(crate) progress: f64,
    /// What is being done, in plain words; may be empty.
    pub(crate) note: String,
    /// Why the last attempt failed, where one did; it is tried again.
    pub(crate) error: Option<String>,
}

/// Something that could not be done with a video.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FailedWork {
    /// What was to be done.
    #[schema(example = "video.transcode")]
    pub(crate) kind: String,
    /// Which of its sizes was to be made: the shorter side's pixels, or `audio`; null where it was none.
    #[schema(example = "720")]
    pub(crate) size: Option<String>,
    /// Why not, in plain words.
    pub(crate) error: String,
    /// When it was given up.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) ended_at: Option<OffsetDateTime>,
}

/// Who finds and watches a video, once it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum VideoVisibility {
    /// Everybody.
    Public,
    /// Who knows the address.
    Unlisted,
    /// Its owner, and moderators.
    Private,
    /// Who knows the password.
    Password,
}

impl From<VideoVisibility> for Visibility {
    fn from(visibility: VideoVisibility) -> Self {
        match visibility {
            VideoVisibility::Public => Self::Public,
            VideoVisibility::Unlisted => Self::Unlisted,
            VideoVisibility::Private => Self::Private,
            VideoVisibility::Password => Self::Password,
        }
    }
}

impl From<Visibility> for VideoVisibility {
    fn from(visibility: Visibility) -> Self {
        match visibility {
            Visibility::Public => Self::Public,
            Visibility::Unlisted => Self::Unlisted,
            Visibility::Private => Self::Private,
            Visibility::Password => Self::Password,
        }
    }
}

/// How far a video is on its way from a file to something to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProcessingState {
    /// Its file is on the way.
    Uploading,
    /// Its file is safe here, and waits to be looked at.
    Received,
    /// It is being made playable.
    Processing,
    /// It can be watched; more renditions may still come.
    Ready,
    /// It cannot be made playable.
    Failed,
}

impl From<VideoState> for ProcessingState {
    fn from(state: VideoState) -> Self {
        match state {
            VideoState::Uploading => Self::Uploading,
            VideoState::Received => Self::Received,
            VideoState::Processing => Self::Processing,
            VideoState::Ready => Self::Ready,
            VideoState::Failed => Self::Failed,
        }
    }
}

/// What moderators said of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReviewState {
    /// It needs none.
    None,
    /// It waits for them.
    Pending,
    /// It may be shown.
    Approved,
    /// It may not be shown.
    Rejected,
    /// It may be shown once something is changed.
    Changes,
}

impl From<Review> for ReviewState {
    fn from(review: Review) -> Self {
        match review {
            Review::None => Self::None,
            Review::Pending => Self::Pending,
            Review::Approved => Self::Approved,
            Review::Rejected => Self::Rejected,
            Review::Changes => Self::Changes,
        }
    }
}

/// Part of a list of videos.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VideoPage {
    /// In the order that was asked for.
    pub(crate) items: Vec<Video>,
    /// The `cursor` of the next page; null on the last.
    pub(crate) next_cursor: Option<String>,
}

impl Video {
    /// As lists show it.
    pub(crate) fn new(listed: ListedVideo) -> Self {
        let row = listed.video;
        let path = format!("/videos/{}", row.short_id);
        let unsigned = |number: i64| u32::try_from(number).unwrap_or(0);
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        Self {
            channel: VideoChannel {
                handle: listed.channel_handle,
                title: listed.channel_title,
                avatar_url: listed.channel_avatar.as_deref().map(pictures::url),
            },
            title: row.title,
            description: row.description,
            language: row.language,
            category: row.category,
            tags: channel_rules::list(&row.tags),
            visibility: row.visibility.into(),
            state: row.state.into(),
            published_at: row.published_at.map(Into::into),
            duration: millis(row.duration),
            width: unsigned(row.width),
            height: unsigned(row.height),
            views: count(row.views),
            likes: count(row.likes),
            comments: count(row.comments),
            comments_open: row.comments_open,
            downloadable: row.downloadable,
            // The picture's own key is in the address, so that caches never show an old one.
            thumbnail_url: listed.thumbnail.map(|key| format!("{path}/thumbnail.jpg?v={}", &key[..key.len().min(8)])),
            urls: VideoUrls { page: format!("/w/{}", row.short_id), hls: format!("{path}/index.m3u8"), file: path },
            created_at: row.created_at.into(),
            version: row.version,
            id: row.short_id,
            own: None,
            media: None,
        }
    }

    /// With all that there is of it.
    pub(super) fn whole(known: &KnownVideo) -> Self {
        let row = known.video();
        let path = format!("/videos/{}", row.short_id);
        let mut renditions: Vec<String> = known.files_of(FileKind::Rendition).map(|file| file.name.clone()).collect();
        renditions.sort_by_key(|name| std::cmp::Reverse(name.parse::<u32>().unwrap_or(0)));
        let media = VideoMedia {
            frame_rate: u32::try_from(row.frame_rate).unwrap_or(0),
            bit_rate: u64::try_from(row.bit_rate).unwrap_or(0),
            video_codec: row.video_codec.clone(),
            audio_codec: row.audio_codec.clone(),
            renditions,
            captions: known
                .files_of(FileKind::Caption)
                .map(|file| Caption { language: file.name.clone(), url: format!("{path}/captions/{}.vtt", file.name) })
                .collect(),
            thumbnails: known
                .files_of(FileKind::Thumbnail)
                .map(|file| format!("{path}/thumbnails/{}.jpg", file.name))
                .collect(),
            storyboard_url: known.file(FileKind::StoryboardIndex, "").map(|_| format!("{path}/storyboard.vtt")),
        };
        Self { media: Some(media), ..Self::new(known.listed.clone()) }
    }

    /// With what its owner sees.
    pub(crate) async fn own(site: &Site, known: &KnownVideo) -> Result<Self, Problem> {
        let stored = u64::try_from(known.stored_bytes()).unwrap_or(0);
        let own = OwnPart::of(site, known.video(), known.owner(), stored).await?;
        Ok(Self { own: Some(own), ..Self::whole(known) })
    }
}

impl OwnPart {
    /// `owner` is the video's.
    pub(super) async fn of(site: &Site, row: &Row, owner: &UserId, stored_bytes: u64) -> Result<Self, Problem> {
        let store = &site.accounts.store;
        let upload = match row.state {
            VideoState::Uploading => store.upload_of_video(&row.id).await.map_err(Problem::database)?,
            _ => None,
        };
        let upload = match upload {
            Some(upload) => Some(Upload::of(site, &upload).await?),
            None => None,
        };
        let filter = JobFilter { subject: Some(&row.short_id), ..JobFilter::default() };
        let page = PageRequest { limit: MAX_WORK, after: None };
        let jobs = store.jobs(&filter, &page).await.map_err(Problem::database)?;
        let failed_work = FailedWork::of(&jobs.items);
        let open = jobs.items.into_iter().filter(|job| matches!(job.state, JobState::Waiting | JobState::Running));
        Ok(Self {
            failure: row.failure.clone(),
            review: row.review.into(),
            review_reason: row.review_reason.clone(),
            publish_at: row.publish_at.map(Into::into),
            trashed_at: row.trashed_at.map(Into::into),
            purge_at: row.purge_at.map(Into::into),
            kept_by_moderators: row.trashed_at.is_some() && row.trashed_by.as_ref() != Some(owner),
            file_name: row.file_name.clone(),
            stored_bytes,
            upload,
            work: open.map(VideoWork::new).collect(),
            failed_work,
        })
    }
}

impl VideoWork {
    fn new(job: Job) -> Self {
        Self {
            running: job.state == JobState::Running,
            progress: millis(job.progress.clamp(0, 1000)),
            note: job.progress_note,
            error: job.error,
            kind: job.kind,
        }
    }
}

impl FailedWork {
    /// Of a video's jobs, the newest first: those that failed and that no newer one stands for. Whatever was made before
    /// the video was looked at anew was made anew then, if it still lacked.
    fn of(jobs: &[Job]) -> Vec<Self> {
        let looks = |job: &&Job| [OpenVideo::KIND, ProcessVideo::KIND].contains(&job.kind.as_str());
        let newest = jobs.iter().find(looks).map(|job| &job.id);
        let mut known = Vec::new();
        let mut failed = Vec::new();
        for job in jobs.iter().filter(|job| newest.is_none_or(|newest| job.id >= *newest)) {
            if !known.contains(&&job.unique_key) {
                known.push(&job.unique_key);
                failed.extend(Self::new(job));
            }
        }
        failed
    }

    fn new(job: &Job) -> Option<Self> {
        let error = match job.state {
            JobState::Failed => job.error.clone().unwrap_or_default(),
            JobState::Cancelled => CANCELLED.to_owned(),
            _ => return None,
        };
        let rendition = match job.kind.as_str() {
            MakeRendition::KIND => serde_json::from_str::<MakeRendition>(&job.payload).ok(),
            _ => None,
        };
        Some(Self {
            kind: job.kind.clone(),
            size: rendition.map(|rendition| rendition.name),
            error,
            ended_at: job.ended_at.map(Into::into),
        })
    }
}

fn millis(thousandths: i64) -> f64 {
    // Exact up to 2^53 thousandths, which is longer than any video.
    thousandths as f64 / 1000.0
}

/// What is said of work that an operator ended, as it is of a video that was to become playable by it.
pub(crate) const CANCELLED: &str = "its processing was cancelled";
/// Jobs of one video that are shown.
const MAX_WORK: u32 = 50;
