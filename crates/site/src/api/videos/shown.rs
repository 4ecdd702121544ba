//! Videos that are listed, found, and asked for.

use axum::Json;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use axum::response::Response;
use http::HeaderMap;
use millrace_store::{At, PageRequest, SearchOrder, Shelf, VideoSearch, Visibility};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::view::{OwnPart, Video, VideoPage};
use super::{may_change, none, tagged};
use crate::accounts::permissions::Act;
use crate::accounts::rules::incorrect;
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::api::refusals::Refusals;
use crate::api::watch::Ticket;
use crate::api::{channels, list as lists};
use crate::channels::rules as channel_rules;
use crate::{ErrorCode, Problem, Site};

/// Which videos.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Search {
    /// With these words in title, tags or description, or in the channel's handle; each of three letters and more is found by its beginning.
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
    /// `views`: the most watched first. As usual `relevance` with words, and `newest` without. Where more than 250 videos
    /// are found, `relevance` and `views` put the newest 250 of them into order, and those that are among the 1000 most watched
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
    let search = lists::asked(search)?;
    let words = search.q.unwrap_or_default();
    if words.chars().count() > channels::MAX_QUERY {
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
            Some(found.ok_or_else(channels::none)?.id)
        }
        None => None,
    };
    let page = lists::request(search.limit, search.cursor)?;
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
    let search = lists::asked(search)?;
    let shelf = if search.trash { Shelf::Trash } else { Shelf::Kept };
    let page = lists::request(search.limit, search.cursor)?;
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
        let stored = u64::try_from(stored).unwrap_or(0);
        let own = OwnPart::of(site, &listed.video, &listed.owner_id, stored).await?;
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
