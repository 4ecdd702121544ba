//! Videos: what there is, what is said of it, the trash.

use axum::Json;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use millrace_store::{
    Action, At, Error, FileKind, Job, JobFilter, JobState, ListedVideo, NewUpload, NewVideo as New, PageRequest,
    Review, SearchOrder, Shelf, Upload as UploadRow, Video as Row, VideoChange as Change, VideoSearch, VideoState,
    Visibility,
};
use millrace_vod::jobs::{ProcessVideo, Work};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::body::Body;
use super::refusals::Refusals;
use super::uploads::Upload;
use super::users::{audit, version};
use super::watch::Ticket;
use crate::accounts::permissions::{Act, may};
use crate::accounts::rules::incorrect;
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::channels::rules as channel_rules;
use crate::pictures;
use crate::settings::ReviewMode;
use crate::videos::{KnownVideo, VideoLeave, rules};
use crate::{ErrorCode, Problem, Site};

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
    /// What its file was called where it came from.
    pub(crate) file_name: String,
    /// Bytes that are stored for it, renditions and pictures included.
    pub(crate) stored_bytes: u64,
    /// Its upload, where it is on its way.
    pub(crate) upload: Option<Upload>,
    /// What is being done with it, or waits to be.
    pub(crate) work: Vec<VideoWork>,
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
        let own = OwnPart::of(site, known.video(), stored).await?;
        Ok(Self { own: Some(own), ..Self::whole(known) })
    }
}

impl OwnPart {
    async fn of(site: &Site, row: &Row, stored_bytes: u64) -> Result<Self, Problem> {
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
        let open = jobs.items.into_iter().filter(|job| matches!(job.state, JobState::Waiting | JobState::Running));
        Ok(Self {
            failure: row.failure.clone(),
            review: row.review.into(),
            review_reason: row.review_reason.clone(),
            publish_at: row.publish_at.map(Into::into),
            trashed_at: row.trashed_at.map(Into::into),
            purge_at: row.purge_at.map(Into::into),
            file_name: row.file_name.clone(),
            stored_bytes,
            upload,
            work: open.map(VideoWork::new).collect(),
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

fn millis(thousandths: i64) -> f64 {
    // Exact up to 2^53 thousandths, which is longer than any video.
    thousandths as f64 / 1000.0
}

/// Which videos.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Search {
    /// With these words in title, tags or description, or in the channel's handle; each is found by its beginning.
    #[param(max_length = 200)]
    q: Option<String>,
    /// Of this channel only, by its handle.
    channel: Option<String>,
    /// Of this category only.
    category: Option<String>,
    /// In this language only: a BCP 47 tag, which stands for all its regions and scripts.
    language: Option<String>,
    /// `short`: less than 4 minutes; `medium`: 4 to 20; `long`: 20 and more.
    #[param(inline)]
    duration: Option<VideoLength>,
    /// Published within the last `day`, `week`, `month` or `year`.
    #[param(inline)]
    since: Option<VideoAge>,
    /// `relevance`: those with the words in their title first, and the most watched of them; `newest`: the newest first;
    /// `views`: the most watched first. As usual `relevance` with words, and `newest` without. Where more than 500 videos
    /// are found, `relevance` and `views` put the newest 500 of them into order, and those that are among the 500 most watched
    /// of the site; `newest` lists all.
    #[param(inline)]
    sort: Option<VideoSort>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The order of a list of videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum VideoSort {
    /// What fits best first.
    Relevance,
    /// The newest first.
    Newest,
    /// The most watched first.
    Views,
}

impl From<VideoSort> for SearchOrder {
    fn from(sort: VideoSort) -> Self {
        match sort {
            VideoSort::Relevance => Self::Relevance,
            VideoSort::Newest => Self::Newest,
            VideoSort::Views => Self::Views,
        }
    }
}

/// How long a video is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum VideoLength {
    /// Less than 4 minutes.
    Short,
    /// 4 to 20 minutes.
    Medium,
    /// 20 minutes and more.
    Long,
}

impl From<VideoLength> for millrace_store::VideoLength {
    fn from(length: VideoLength) -> Self {
        match length {
            VideoLength::Short => Self::Short,
            VideoLength::Medium => Self::Medium,
            VideoLength::Long => Self::Long,
        }
    }
}

/// How long ago a video was published, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum VideoAge {
    /// A day.
    Day,
    /// Seven days.
    Week,
    /// 30 days.
    Month,
    /// 365 days.
    Year,
}

impl VideoAge {
    /// That long before `now`.
    pub(crate) fn before(self, now: At) -> At {
        let days = match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 30,
            Self::Year => 365,
        };
        now.plus(-time::Duration::days(days))
    }
}

/// List and search public videos
#[utoipa::path(get, path = "/api/v1/videos", operation_id = "list_videos", tag = "videos", params(Search), responses(
    (status = 200, description = "A page of videos", body = VideoPage),
    (status = 400, description = "A parameter is not correct", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such channel", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(site): State<Site>,
    search: Result<Query<Search>, QueryRejection>,
) -> Result<Json<VideoPage>, Problem> {
    let Query(search) = search.map_err(|rejection| Problem::new(ErrorCode::BadRequest, rejection.body_text()))?;
    let words = search.q.unwrap_or_default();
    if words.chars().count() > super::channels::MAX_QUERY {
        return Err(incorrect("q must have at most 200 letters"));
    }
    let category = search.category.unwrap_or_default();
    channel_rules::category(&category).map_err(incorrect)?;
    let language = search.language.unwrap_or_default().to_ascii_lowercase();
    channel_rules::language(&language).map_err(incorrect)?;
    let store = &site.accounts.store;
    let channel = match &search.channel {
        Some(handle) => {
            let found = store.channel_by_handle(&handle.to_lowercase()).await.map_err(Problem::database)?;
            Some(found.ok_or_else(super::channels::none)?.id)
        }
        None => None,
    };
    let page = super::list::request(search.limit, search.cursor)?;
    let (channel, category) = (channel.as_ref(), category.as_str());
    let usual = if words.is_empty() { VideoSort::Newest } else { VideoSort::Relevance };
    let search = VideoSearch {
        words: &words,
        channel,
        category,
        language: &language,
        length: search.duration.map(Into::into),
        since: search.since.map(|age| age.before(At::now())),
        order: search.sort.unwrap_or(usual).into(),
    };
    let page = store.search_videos(&search, &page).await.map_err(Problem::database)?;
    Ok(Json(VideoPage { items: page.items.into_iter().map(Video::new).collect(), next_cursor: page.next }))
}

/// Which of the own videos.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OwnSearch {
    /// Those in the trash, and no others.
    #[serde(default)]
    trash: bool,
    /// How many items at most.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List the own videos
///
/// Whatever their state, the newest first.
#[utoipa::path(get, path = "/api/v1/users/me/videos", operation_id = "list_own_videos", tag = "videos", params(OwnSearch),
responses(
    (status = 200, description = "A page of videos", body = VideoPage),
    Refusals,
))]
pub(crate) async fn mine(
    State(site): State<Site>,
    actor: Actor,
    search: Result<Query<OwnSearch>, QueryRejection>,
) -> Result<Json<VideoPage>, Problem> {
    actor.must(Act::OwnChannels)?;
    let Query(search) = search.map_err(|rejection| Problem::new(ErrorCode::BadRequest, rejection.body_text()))?;
    let shelf = if search.trash { Shelf::Trash } else { Shelf::Kept };
    let page = super::list::request(search.limit, search.cursor)?;
    Ok(Json(own_page(&site, &actor, shelf, &page).await?))
}

/// A page of somebody's own videos, with what they see of them.
pub(crate) async fn own_page(
    site: &Site,
    actor: &Actor,
    shelf: Shelf,
    page: &PageRequest,
) -> Result<VideoPage, Problem> {
    let store = &site.accounts.store;
    let page = store.videos_of(&actor.user.id, shelf, page).await.map_err(Problem::database)?;
    let mut items = Vec::new();
    for listed in page.items {
        let stored = store.stored_bytes_of_video(&listed.video.id).await.map_err(Problem::database)?;
        let own = OwnPart::of(site, &listed.video, u64::try_from(stored).unwrap_or(0)).await?;
        items.push(Video { own: Some(own), ..Video::new(listed) });
    }
    Ok(VideoPage { items, next_cursor: page.next })
}

/// Get one video
///
/// Whoever may not watch a private one, or one that is not out, gets 404, as if there were none; one by password says its
/// title, and no more.
#[utoipa::path(get, path = "/api/v1/videos/{id}", operation_id = "get_video", tag = "videos",
params(("id" = String, Path, description = "The video's id")), responses(
    (status = 200, description = "The video", body = Video),
    Refusals,
))]
pub(crate) async fn one(
    State(site): State<Site>,
    actor: Option<Actor>,
    headers: HeaderMap,
    Address(address): Address,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let known = site.accounts.videos.find(&id).await.map_err(Problem::database)?.ok_or_else(none)?;
    if let Some(actor) = &actor
        && may_change(actor, &known).is_ok()
    {
        return Ok(tagged(known.video().version, &Video::own(&site, &known).await?));
    }
    let ticket = Ticket { actor: actor.as_ref(), headers: &headers, address, token: None };
    match site.accounts.videos.leave(&known, ticket).await.map_err(Problem::database)? {
        Some(_) => Ok(tagged(known.video().version, &Video::whole(&known))),
        None if known.video().is_out() && known.video().visibility == Visibility::Password => {
            Err(Problem::new(ErrorCode::Forbidden, "this video is watched by password"))
        }
        None => Err(none()),
    }
}

/// What is said of a video that is to be uploaded.
#[derive(Debug, Default)]
pub(crate) struct NewVideo {
    channel: Option<String>,
    title: Option<String>,
    description: Option<String>,
    language: Option<String>,
    category: Option<String>,
    visibility: Option<VideoVisibility>,
    file_name: String,
}

impl NewVideo {
    /// Takes one thing that is said of it, by its name.
    pub(super) fn say(&mut self, name: &str, value: String) -> Result<(), Problem> {
        match name {
            "channel" => self.channel = Some(value),
            "title" => self.title = Some(value),
            "description" => self.description = Some(value),
            "language" => self.language = Some(value),
            "category" => self.category = Some(value),
            "filename" => self.file_name = rules::file_name(&value),
            "visibility" => {
                self.visibility = Some(match value.as_str() {
                    "public" => VideoVisibility::Public,
                    "unlisted" => VideoVisibility::Unlisted,
                    "private" => VideoVisibility::Private,
                    _ => return Err(incorrect("visibility of a new video must be public, unlisted or private")),
                });
            }
            _ => {} // what other programs say of their files harms nobody
        }
        Ok(())
    }
}

/// Makes a video whose file is still to come, and its upload.
pub(super) async fn make(
    site: &Site,
    actor: &Actor,
    new: &NewVideo,
    upload: &NewUpload<'_>,
) -> Result<(Row, UploadRow), Problem> {
    let store = &site.accounts.store;
    let channel = match &new.channel {
        Some(handle) => super::channels::owned(site, actor, &handle.to_lowercase(), Act::ManageVideos).await?,
        None => {
            let own = store.channels_of(&actor.user.id).await.map_err(Problem::database)?;
            own.into_iter().next().ok_or_else(|| Problem::new(ErrorCode::Conflict, "make a channel first"))?
        }
    };
    let title = new.title.clone().unwrap_or_else(|| rules::title_of_file(&new.file_name));
    let title = channel_rules::title(&title).map_err(incorrect)?;
    let description = new.description.as_deref().unwrap_or_default();
    let description = channel_rules::description(description).map_err(incorrect)?;
    let language = channel_rules::language(new.language.as_deref().unwrap_or_default()).map_err(incorrect)?;
    let category = channel_rules::category(new.category.as_deref().unwrap_or_default()).map_err(incorrect)?;
    let search_text = channel_rules::search_text(&channel.handle, title, description, "[]");
    let short_id = rules::new_short_id();
    let video = New {
        short_id: &short_id,
        channel_id: &channel.id,
        title,
        description,
        language,
        category,
        tags: "[]",
        search_text: &search_text,
        visibility: new.visibility.map_or(Visibility::Private, Into::into),
        password_hash: None,
        publish_at: None,
        review: review_of(site, actor).await?,
        file_name: &new.file_name,
    };
    store.create_upload(&video, upload).await.map_err(failed)
}

/// Whether a new video of somebody waits for moderators.
async fn review_of(site: &Site, actor: &Actor) -> Result<Review, Problem> {
    let trusted = may(actor.user.role, Act::ManageVideos);
    let needed = match site.accounts.settings.now().review {
        _ if trusted => false,
        ReviewMode::Off => false,
        ReviewMode::All => true,
        ReviewMode::New => {
            let approved = site.accounts.store.approved_videos_of(&actor.user.id).await;
            approved.map_err(Problem::database)? == 0
        }
    };
    Ok(if needed { Review::Pending } else { Review::None })
}

/// What is changed of a video; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VideoChange {
    /// Its name for people: 1 to 100 letters.
    title: Option<String>,
    /// What it is about: at most 5,000 letters.
    description: Option<String>,
    /// A BCP 47 tag, or empty.
    language: Option<String>,
    /// One of the site's categories, or empty.
    category: Option<String>,
    /// At most 10 words.
    tags: Option<Vec<String>>,
    visibility: Option<VideoVisibility>,
    /// The password to watch with, where `visibility` is `password`: at least 4 characters.
    #[schema(min_length = 4, max_length = 512)]
    password: Option<String>,
    /// When it is to be published: until then only its owner watches.
    #[serde(default, with = "time::serde::rfc3339::option")]
    publish_at: Option<OffsetDateTime>,
    /// Whether a time to be published is forgotten: it is published at once, as `visibility` says.
    publish_now: Option<bool>,
    /// Whether viewers may keep a copy.
    downloadable: Option<bool>,
    /// Whether viewers may comment.
    comments_open: Option<bool>,
}

/// Change a video
///
/// `If-Match` names the version that was read. One that moderators sent back for changes waits for them anew.
#[utoipa::path(patch, path = "/api/v1/videos/{id}", operation_id = "update_video", tag = "videos",
request_body = VideoChange, params(
    ("id" = String, Path, description = "The video's id"),
    ("If-Match" = String, Header, description = "The `ETag` of the video as it was read", example = "\"1\""),
), responses(
    (status = 200, description = "The video as it is now", body = Video),
    (status = 409, description = "It was changed meanwhile", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too busy", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn update(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<String>,
    Body(body): Body<VideoChange>,
) -> Result<Response, Problem> {
    let known = changeable(&site, &actor, &id).await?;
    let old = known.video();
    let version = version(&headers)?;
    let title = body.title.as_deref().map(channel_rules::title).transpose().map_err(incorrect)?;
    let description = body.description.as_deref().map(channel_rules::description).transpose().map_err(incorrect)?;
    let language = body.language.as_deref().map(channel_rules::language).transpose().map_err(incorrect)?;
    let category = body.category.as_deref().map(channel_rules::category).transpose().map_err(incorrect)?;
    let tags = body.tags.as_deref().map(channel_rules::tags).transpose().map_err(incorrect)?;
    let visibility = body.visibility.map(Visibility::from);
    let password_hash = match body.password {
        Some(password) => Some(super::channels::hashed(&site, password).await?),
        None => None,
    };
    if visibility == Some(Visibility::Password) && password_hash.is_none() && old.password_hash.is_none() {
        return Err(incorrect("viewers' password is missing: say which one they need"));
    }
    let publish_at = match (body.publish_at, body.publish_now) {
        (Some(_), Some(true)) => return Err(incorrect("publish_at and publish_now exclude each other")),
        (Some(at), _) => Some(Some(rules::publish_at(at.into(), At::now()).map_err(incorrect)?)),
        (None, Some(true)) => Some(None),
        (None, _) => None,
    };
    let search_text = channel_rules::search_text(
        &known.channel.handle,
        title.unwrap_or(&old.title),
        description.unwrap_or(&old.description),
        tags.as_deref().unwrap_or(&old.tags),
    );
    let change = Change {
        title,
        description,
        language,
        category,
        tags: tags.as_deref(),
        search_text: Some(&search_text),
        visibility,
        password_hash: password_hash.as_deref().map(Some),
        publish_at,
        downloadable: body.downloadable,
        comments_open: body.comments_open,
        review: (old.review == Review::Changes && actor.user.id == *known.owner()).then_some(Review::Pending),
        ..Change::default()
    };
    site.accounts.store.update_video(&old.id, version, &change).await.map_err(failed)?;
    if actor.user.id != *known.owner() {
        audit(&site, &actor, Action::ChangeVideo, &id, address).await?;
    }
    show(&site, &id).await
}

/// Put a video into the trash
///
/// Nobody sees it any more, at once and on every path. Until its time there is over it can be restored whole; then it is
/// deleted for good.
#[utoipa::path(delete, path = "/api/v1/videos/{id}", operation_id = "delete_video", tag = "videos",
params(("id" = String, Path, description = "The video's id")), responses(
    (status = 200, description = "The video as it is now: `own.purge_at` is when it is deleted for good", body = Video),
    Refusals,
))]
pub(crate) async fn delete(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let known = changeable(&site, &actor, &id).await?;
    let purge_at = At::now().plus(site.config.trash_keep());
    site.accounts.store.trash_video(&known.video().id, &actor.user.id, purge_at).await.map_err(failed)?;
    audit(&site, &actor, Action::TrashVideo, &id, address).await?;
    show(&site, &id).await
}

/// Take a video out of the trash
///
/// It is as it was before.
#[utoipa::path(post, path = "/api/v1/videos/{id}/restore", operation_id = "restore_video", tag = "videos",
params(("id" = String, Path, description = "The video's id")), responses(
    (status = 200, description = "The video as it is now", body = Video),
    (status = 409, description = "It is not in the trash", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn restore(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let known = changeable(&site, &actor, &id).await?;
    // What a moderator took away its owner does not bring back.
    if known.video().trashed_by.as_ref().is_some_and(|by| by != known.owner()) {
        actor.must(Act::ManageVideos)?;
    }
    site.accounts.store.restore_video(&known.video().id, At::now()).await.map_err(|error| match error {
        Error::NotFound => Problem::new(ErrorCode::Conflict, "this video is not in the trash"),
        other => Problem::database(other),
    })?;
    audit(&site, &actor, Action::RestoreVideo, &id, address).await?;
    show(&site, &id).await
}

/// Try a failed video again
#[utoipa::path(post, path = "/api/v1/videos/{id}/retry", operation_id = "retry_video", tag = "videos",
params(("id" = String, Path, description = "The video's id")), responses(
    (status = 200, description = "The video as it is now", body = Video),
    (status = 409, description = "It did not fail", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn retry(State(site): State<Site>, actor: Actor, Path(id): Path<String>) -> Result<Response, Problem> {
    let known = changeable(&site, &actor, &id).await?;
    if known.video().state != VideoState::Failed {
        return Err(Problem::new(ErrorCode::Conflict, "this video did not fail"));
    }
    let store = &site.accounts.store;
    store.set_video_state(&known.video().id, VideoState::Received, "").await.map_err(failed)?;
    let job = ProcessVideo { video: id.clone() }.job().about(id.clone());
    store.enqueue(&job).await.map_err(Problem::database)?;
    show(&site, &id).await
}

/// The video of that id as it is in the database, for those who may change it.
pub(crate) async fn changeable(site: &Site, actor: &Actor, id: &str) -> Result<KnownVideo, Problem> {
    let known = site.accounts.videos.read(id).await.map_err(Problem::database)?.ok_or_else(none)?;
    may_change(actor, &known)?;
    Ok(known)
}

/// Whether somebody may change a video: its owner, and moderators.
fn may_change(actor: &Actor, known: &KnownVideo) -> Result<(), Problem> {
    match actor.user.id == *known.owner() {
        true => actor.must(Act::OwnChannels),
        false => actor.must(Act::ManageVideos).map_err(|_| none()),
    }
}

/// Tells every node that a video has changed, and gives it as it is now.
pub(crate) async fn show(site: &Site, id: &str) -> Result<Response, Problem> {
    site.accounts.videos.changed(id).await.map_err(Problem::database)?;
    let known = site.accounts.videos.read(id).await.map_err(Problem::database)?.ok_or_else(none)?;
    Ok(tagged(known.video().version, &Video::own(site, &known).await?))
}

/// The video that somebody may watch.
pub(super) async fn watchable(
    site: &Site,
    id: &str,
    ticket: Ticket<'_>,
) -> Result<(std::sync::Arc<KnownVideo>, VideoLeave), Problem> {
    let known = site.accounts.videos.find(id).await.map_err(Problem::database)?.ok_or_else(none)?;
    let leave = site.accounts.videos.leave(&known, ticket).await.map_err(Problem::database)?.ok_or_else(none)?;
    Ok((known, leave))
}

pub(super) fn none() -> Problem {
    Problem::new(ErrorCode::NotFound, "there is no such video")
}

pub(crate) fn failed(error: Error) -> Problem {
    match error {
        Error::Taken(_) | Error::Changed | Error::TooMany(_) => Problem::new(ErrorCode::Conflict, error.to_string()),
        Error::NotFound => none(),
        other => Problem::database(other),
    }
}

fn tagged(version: i64, video: &Video) -> Response {
    let tag = HeaderValue::from_str(&format!("\"{version}\"")).expect("a number in quotes");
    ([(header::ETAG, tag)], Json(video)).into_response()
}

/// Jobs of one video that are shown.
const MAX_WORK: u32 = 50;
