//! Comments on videos: who may watch a video may read them, and write where its owner lets them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use http::{HeaderMap, StatusCode};
use millrace_store::{
    Action, Comment as Row, CommentId, CommentOrder, Error, ListedComment, NewComment as New, Page, PageRequest, UserId,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::body::Body;
use super::list::Part;
use super::refusals::Refusals;
use super::users::audit_with;
use super::videos::watchable;
use super::watch::Ticket;
use crate::accounts::permissions::Act;
use crate::accounts::rules::incorrect;
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::pictures;
use crate::videos::KnownVideo;
use crate::videos::comments::{self as rules, Thread};
use crate::{ErrorCode, Problem, Site};

/// A comment on a video, or a reply to one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Comment {
    /// Its id.
    id: String,
    /// The id of the video.
    #[schema(example = "q7RbT2mXv0K")]
    video: String,
    /// The id of the comment that this one replies to; null where it replies to none.
    parent: Option<String>,
    /// Who wrote it; null where it is deleted.
    author: Option<Author>,
    /// The words; line feeds are the only control characters. Empty where it is deleted.
    text: String,
    /// Whether it was deleted; it stays because of its replies.
    deleted: bool,
    /// Whether it waits to be approved: until then its author sees it, and those who approve.
    held: bool,
    /// Whether it stands above the others.
    pinned: bool,
    /// Accounts that like it.
    likes: u64,
    /// Whether you do.
    liked: bool,
    /// Replies that everybody sees.
    replies: u64,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When its author last changed it; null where that was never.
    #[serde(with = "time::serde::rfc3339::option")]
    edited_at: Option<OffsetDateTime>,
}

/// Who wrote a comment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Author {
    /// The account's handle.
    #[schema(example = "ada")]
    handle: String,
    /// The name that others see.
    #[schema(example = "Ada Lovelace")]
    display_name: String,
    /// Path of the picture; null where there is none.
    avatar_url: Option<String>,
    /// Whether the video is theirs.
    owner: bool,
}

/// A comment with the first replies to it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommentThread {
    #[serde(flatten)]
    comment: Comment,
    /// The oldest replies, at most three: the others are in the list of its replies.
    first_replies: Vec<Comment>,
}

/// Part of a list of comments.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ThreadPage {
    /// In the order that was asked for; the pinned one is the first of the first page.
    items: Vec<CommentThread>,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
    /// Comments and replies that everybody sees, on all pages.
    count: u64,
}

/// Part of a list of comments, one by one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommentPage {
    /// The oldest first.
    items: Vec<Comment>,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
}

/// A comment that waits to be approved.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitingComment {
    #[serde(flatten)]
    comment: Comment,
    /// What the video is called.
    video_title: String,
}

/// Part of a list of comments that wait to be approved, on several videos.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitingPage {
    /// The oldest first.
    items: Vec<WaitingComment>,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
    /// How many there are, on all pages.
    count: u64,
}

impl WaitingPage {
    /// Of those on the videos of an account, or on all.
    async fn of(site: &Site, reader: &Actor, owner: Option<&UserId>, page: &PageRequest) -> Result<Self, Error> {
        let (store, reader) = (&site.accounts.store, &reader.user.id);
        let found = store.all_held_comments(owner, Some(reader), page).await?;
        let (page, count) = (found, store.count_held_comments(owner).await?);
        let items = page.items.into_iter().map(|held| WaitingComment {
            comment: Comment::new(held.listed, &held.video_owner),
            video_title: held.video_title,
        });
        Ok(Self { items: items.collect(), next_cursor: page.next, count })
    }
}

impl Comment {
    /// `owner` is the video's.
    fn new(found: ListedComment, owner: &UserId) -> Self {
        let row = found.comment;
        let author = found.author_handle.zip(found.author_name).map(|(handle, display_name)| Author {
            handle,
            display_name,
            avatar_url: found.author_avatar.as_deref().map(pictures::url),
            owner: row.author_id.as_ref() == Some(owner),
        });
        Self {
            id: row.id.to_string(),
            video: found.video_short_id,
            parent: row.parent_id.map(|id| id.to_string()),
            author,
            text: row.text,
            deleted: row.deleted_at.is_some(),
            held: row.held,
            pinned: row.pinned,
            likes: u64::try_from(row.likes).unwrap_or(0),
            liked: found.liked,
            replies: u64::try_from(row.replies).unwrap_or(0),
            created_at: row.created_at.into(),
            edited_at: row.edited_at.map(Into::into),
        }
    }
}

impl CommentThread {
    fn new(thread: Thread, known: &KnownVideo) -> Self {
        let first_replies = thread.replies.items.into_iter().map(|reply| Comment::new(reply, known.owner()));
        Self { first_replies: first_replies.collect(), comment: Comment::new(thread.first, known.owner()) }
    }
}

impl CommentPage {
    fn new(page: Page<ListedComment>, known: &KnownVideo) -> Self {
        let items = page.items.into_iter().map(|found| Comment::new(found, known.owner()));
        Self { items: items.collect(), next_cursor: page.next }
    }
}

/// The order of a list of comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CommentSort {
    /// Those that most like first.
    #[default]
    Top,
    /// The newest first.
    Newest,
    /// The oldest first.
    Oldest,
}

impl CommentSort {
    /// All, as addresses have them, with the messages of their names.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Top, "top", "comments.top"),
        (Self::Newest, "newest", "comments.newest"),
        (Self::Oldest, "oldest", "comments.oldest"),
    ];
}

impl From<CommentSort> for CommentOrder {
    fn from(sort: CommentSort) -> Self {
        match sort {
            CommentSort::Top => Self::Top,
            CommentSort::Newest => Self::Newest,
            CommentSort::Oldest => Self::Oldest,
        }
    }
}

/// Which comments.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Search {
    /// `top`: those that most like first; `newest`: the newest first; `oldest`: the oldest first.
    #[serde(default)]
    #[param(inline)]
    sort: CommentSort,
    /// How many items at most.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List the comments on a video
///
/// Each with the first replies to it; on the first page the pinned one comes first, and above `limit`.
#[utoipa::path(get, path = "/api/v1/videos/{id}/comments", operation_id = "list_comments", tag = "comments", params(
    ("id" = String, Path, description = "The video's id"),
    Search,
), responses(
    (status = 200, description = "A page of comments", body = ThreadPage),
    Refusals,
))]
pub(crate) async fn list(
    State(site): State<Site>,
    asker: Asker,
    Path(id): Path<String>,
    search: Result<Query<Search>, QueryRejection>,
) -> Result<Json<ThreadPage>, Problem> {
    let search = super::list::asked(search)?;
    let page = super::list::request(search.limit, search.cursor)?;
    let known = asker.watches(&site, &id).await?;
    let store = &site.accounts.store;
    let page = rules::threads(store, &known, search.sort.into(), asker.reader(), &page).await;
    let page = page.map_err(Problem::database)?;
    let count = store.count_comments(&known.video().id).await.map_err(Problem::database)?;
    let items = page.items.into_iter().map(|thread| CommentThread::new(thread, &known));
    let count = u64::try_from(count).unwrap_or(0);
    Ok(Json(ThreadPage { items: items.collect(), next_cursor: page.next, count }))
}

/// What is said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewComment {
    /// 1 to 2,000 letters with at most 3 links; no control characters but line feeds.
    text: String,
    /// The id of the comment that is replied to; one that itself replies to none.
    parent: Option<String>,
}

/// Comment on a video
///
/// A comment with links waits for the video's owner or a moderator where its author is new: `held` says so.
#[utoipa::path(post, path = "/api/v1/videos/{id}/comments", operation_id = "create_comment", tag = "comments",
request_body = NewComment, params(("id" = String, Path, description = "The video's id")), responses(
    (status = 201, description = "The comment", body = Comment),
    (status = 429, description = "Too many", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn create(
    State(site): State<Site>,
    actor: Actor,
    asker: Asker,
    Path(id): Path<String>,
    Body(body): Body<NewComment>,
) -> Result<(StatusCode, Json<Comment>), Problem> {
    actor.must(Act::Comment)?;
    let text = rules::text(&body.text).map_err(incorrect)?;
    let parent = body.parent.as_deref().map(|id| id.parse::<CommentId>().map_err(|_| none())).transpose()?;
    let known = asker.watches(&site, &id).await?;
    if !known.video().comments_open {
        return Err(closed());
    }
    site.accounts.tries.comment(actor.user.id.as_str()).map_err(Problem::too_often)?;
    let store = &site.accounts.store;
    let held = rules::is_held(store, &actor, &known, &text).await.map_err(Problem::database)?;
    let new =
        New { video_id: &known.video().id, author_id: &actor.user.id, parent_id: parent.as_ref(), text: &text, held };
    let id = store.create_comment(&new).await.map_err(failed)?;
    Ok((StatusCode::CREATED, shown(&site, &actor, &known, &id).await?))
}

/// List the replies to a comment
#[utoipa::path(get, path = "/api/v1/comments/{id}/replies", operation_id = "list_replies", tag = "comments", params(
    ("id" = String, Path, description = "The comment's id"),
    Part,
), responses(
    (status = 200, description = "A page of replies, the oldest first", body = CommentPage),
    Refusals,
))]
pub(crate) async fn replies(
    State(site): State<Site>,
    asker: Asker,
    Path(id): Path<String>,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<CommentPage>, Problem> {
    let page = Part::request(part)?;
    let (known, comment) = asker.reads(&site, &id).await?;
    let page = site.accounts.store.replies(&comment.id, asker.reader(), &page).await.map_err(Problem::database)?;
    Ok(Json(CommentPage::new(page, &known)))
}

/// List the comments on a video that wait to be approved
///
/// For the video's owner and moderators.
#[utoipa::path(get, path = "/api/v1/videos/{id}/comments/held", operation_id = "list_held_comments", tag = "comments",
params(
    ("id" = String, Path, description = "The video's id"),
    Part,
), responses(
    (status = 200, description = "A page of comments, the oldest first", body = CommentPage),
    Refusals,
))]
pub(crate) async fn held(
    State(site): State<Site>,
    actor: Actor,
    asker: Asker,
    Path(id): Path<String>,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<CommentPage>, Problem> {
    let page = Part::request(part)?;
    let known = asker.watches(&site, &id).await?;
    must_keep_order(&actor, &known)?;
    let held = site.accounts.store.held_comments(&known.video().id, asker.reader(), &page).await;
    Ok(Json(CommentPage::new(held.map_err(Problem::database)?, &known)))
}

/// List the comments on the own videos that wait to be approved
///
/// Those on videos in the trash wait until these are restored.
#[utoipa::path(get, path = "/api/v1/users/me/held-comments", operation_id = "list_own_held_comments", tag = "comments",
params(Part), responses(
    (status = 200, description = "A page of comments, the oldest first", body = WaitingPage),
    Refusals,
))]
pub(crate) async fn held_of_mine(
    State(site): State<Site>,
    actor: Actor,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<WaitingPage>, Problem> {
    actor.must(Act::OwnChannels)?;
    let page = Part::request(part)?;
    WaitingPage::of(&site, &actor, Some(&actor.user.id), &page).await.map(Json).map_err(Problem::database)
}

/// List the comments of the site that wait to be approved
///
/// For moderators; the owners of the videos approve them as well.
#[utoipa::path(get, path = "/api/v1/admin/held-comments", operation_id = "list_all_held_comments", tag = "admin",
params(Part), responses(
    (status = 200, description = "A page of comments, the oldest first", body = WaitingPage),
    Refusals,
))]
pub(crate) async fn held_of_all(
    State(site): State<Site>,
    actor: Actor,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<WaitingPage>, Problem> {
    actor.must(Act::ManageVideos)?;
    let page = Part::request(part)?;
    WaitingPage::of(&site, &actor, None, &page).await.map(Json).map_err(Problem::database)
}

/// What is changed of a comment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommentChange {
    /// As in a new comment.
    text: String,
}

/// Change a comment
///
/// Its author does; everybody sees that it was changed. Who would have to wait with links cannot put some in.
#[utoipa::path(patch, path = "/api/v1/comments/{id}", operation_id = "update_comment", tag = "comments",
request_body = CommentChange, params(("id" = String, Path, description = "The comment's id")), responses(
    (status = 200, description = "The comment as it is now", body = Comment),
    (status = 429, description = "Too many", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn update(
    State(site): State<Site>,
    actor: Actor,
    asker: Asker,
    Path(id): Path<String>,
    Body(body): Body<CommentChange>,
) -> Result<Json<Comment>, Problem> {
    actor.must(Act::Comment)?;
    let text = rules::text(&body.text).map_err(incorrect)?;
    let (known, comment) = asker.reads(&site, &id).await?;
    if !rules::is_own(&actor, &comment) {
        return Err(Problem::new(ErrorCode::Forbidden, "this comment is not yours"));
    }
    if !known.video().comments_open {
        return Err(closed());
    }
    site.accounts.tries.comment(actor.user.id.as_str()).map_err(Problem::too_often)?;
    let store = &site.accounts.store;
    // Else words that everybody sees would become links that nobody approved.
    if !comment.held && text != comment.text {
        let held = rules::is_held(store, &actor, &known, &text).await.map_err(Problem::database)?;
        if held && !links_are_in(&text, &comment.text) {
            return Err(Problem::new(
                ErrorCode::Forbidden,
                "links have to be approved: write another comment with them",
            ));
        }
    }
    if text != comment.text {
        store.edit_comment(&comment.id, &text).await.map_err(failed)?;
    }
    shown(&site, &actor, &known, &comment.id).await
}

/// Delete a comment
///
/// Its author does, the video's owner, and moderators. Where others replied to it, an empty place stays above their words.
#[utoipa::path(delete, path = "/api/v1/comments/{id}", operation_id = "delete_comment", tag = "comments",
params(("id" = String, Path, description = "The comment's id")), responses(
    (status = 204, description = "It is gone"),
    Refusals,
))]
pub(crate) async fn delete(
    State(site): State<Site>,
    Address(address): Address,
    actor: Actor,
    asker: Asker,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    actor.must(Act::Comment)?;
    let (known, comment) = match own(&site, &actor, &id).await? {
        // Whoever may no longer watch may still take back what they said.
        Some(own) => own,
        None => asker.reads(&site, &id).await?,
    };
    if !rules::is_own(&actor, &comment) {
        must_keep_order(&actor, &known)?;
    }
    site.accounts.store.delete_comment(&comment.id).await.map_err(failed)?;
    if !rules::is_own(&actor, &comment) && actor.user.id != *known.owner() {
        let video = &known.video().short_id;
        let author = match &comment.author_id {
            Some(author) => site.accounts.store.user(author).await.map_err(Problem::database)?,
            None => None,
        };
        let author = author.map(|author| author.handle).unwrap_or_default();
        audit_with(&site, &actor, Action::DeleteComment, video, address, &author).await?;
    }
    site.accounts.videos.forget(&known.video().short_id);
    Ok(StatusCode::NO_CONTENT)
}

/// Pin a comment
///
/// It stands above the others, in place of the one that did before. For the video's owner and moderators.
#[utoipa::path(put, path = "/api/v1/comments/{id}/pin", operation_id = "pin_comment", tag = "comments",
params(("id" = String, Path, description = "The comment's id")), responses(
    (status = 204, description = "It stands above the others"),
    (status = 409, description = "It is a reply, or waits to be approved; or another is pinned at the same moment",
     body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn pin(
    State(site): State<Site>,
    actor: Actor,
    asker: Asker,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let (known, comment) = asker.reads(&site, &id).await?;
    must_keep_order(&actor, &known)?;
    site.accounts.store.pin_comment(&comment.id).await.map_err(|error| match error {
        Error::NotFound => {
            Problem::new(ErrorCode::Conflict, "only a comment that everybody sees is pinned, and no reply")
        }
        other => failed(other),
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// Pin a comment no longer
#[utoipa::path(delete, path = "/api/v1/comments/{id}/pin", operation_id = "unpin_comment", tag = "comments",
params(("id" = String, Path, description = "The comment's id")), responses(
    (status = 204, description = "It stands among the others"),
    Refusals,
))]
pub(crate) async fn unpin(
    State(site): State<Site>,
    actor: Actor,
    asker: Asker,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let (known, comment) = asker.reads(&site, &id).await?;
    must_keep_order(&actor, &known)?;
    site.accounts.store.unpin_comment(&comment.id).await.map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Approve a comment that waits
///
/// For the video's owner and moderators; to refuse it is to delete it.
#[utoipa::path(post, path = "/api/v1/comments/{id}/approve", operation_id = "approve_comment", tag = "comments",
params(("id" = String, Path, description = "The comment's id")), responses(
    (status = 200, description = "Everybody sees it", body = Comment),
    Refusals,
))]
pub(crate) async fn approve(
    State(site): State<Site>,
    actor: Actor,
    asker: Asker,
    Path(id): Path<String>,
) -> Result<Json<Comment>, Problem> {
    let (known, comment) = asker.reads(&site, &id).await?;
    must_keep_order(&actor, &known)?;
    site.accounts.store.approve_comment(&comment.id).await.map_err(failed)?;
    shown(&site, &actor, &known, &comment.id).await
}

/// Like a comment
#[utoipa::path(put, path = "/api/v1/comments/{id}/like", operation_id = "like_comment", tag = "comments",
params(("id" = String, Path, description = "The comment's id")), responses(
    (status = 200, description = "The comment as it is now", body = Comment),
    Refusals,
))]
pub(crate) async fn like(
    State(site): State<Site>,
    actor: Actor,
    asker: Asker,
    Path(id): Path<String>,
) -> Result<Json<Comment>, Problem> {
    set_like(&site, &actor, &asker, &id, true).await
}

/// Like a comment no longer
#[utoipa::path(delete, path = "/api/v1/comments/{id}/like", operation_id = "unlike_comment", tag = "comments",
params(("id" = String, Path, description = "The comment's id")), responses(
    (status = 200, description = "The comment as it is now", body = Comment),
    Refusals,
))]
pub(crate) async fn unlike(
    State(site): State<Site>,
    actor: Actor,
    asker: Asker,
    Path(id): Path<String>,
) -> Result<Json<Comment>, Problem> {
    set_like(&site, &actor, &asker, &id, false).await
}

async fn set_like(site: &Site, actor: &Actor, asker: &Asker, id: &str, likes: bool) -> Result<Json<Comment>, Problem> {
    actor.must(Act::Comment)?;
    let (known, comment) = asker.reads(site, id).await?;
    site.accounts.store.like_comment(&comment.id, &actor.user.id, likes).await.map_err(failed)?;
    shown(site, actor, &known, &comment.id).await
}

/// Who asks for comments: somebody known, or not, with all by which they may watch.
pub(crate) struct Asker {
    actor: Option<Actor>,
    headers: HeaderMap,
    address: std::net::IpAddr,
}

impl axum::extract::FromRequestParts<Site> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut http::request::Parts, site: &Site) -> Result<Self, Problem> {
        let actor = Option::<Actor>::from_request_parts(parts, site).await?;
        let address = crate::actor::address_of(&parts.extensions);
        Ok(Self { actor, headers: parts.headers.clone(), address })
    }
}

impl Asker {
    fn reader(&self) -> Option<&UserId> {
        self.actor.as_ref().map(|actor| &actor.user.id)
    }

    /// The video, where they may watch it.
    pub(crate) async fn watches(&self, site: &Site, id: &str) -> Result<Arc<KnownVideo>, Problem> {
        let ticket = Ticket { actor: self.actor.as_ref(), headers: &self.headers, address: self.address, token: None };
        Ok(watchable(site, id, ticket).await?.0)
    }

    /// The comment and its video, where they may watch that and read this.
    async fn reads(&self, site: &Site, id: &str) -> Result<(Arc<KnownVideo>, Row), Problem> {
        let found = find(site, id).await?;
        let known = self.watches(site, &found.video_short_id).await.map_err(|problem| match problem.code() {
            ErrorCode::NotFound => none(),
            _ => problem,
        })?;
        let own = |actor: &Actor| rules::is_own(actor, &found.comment) || rules::keeps_order(actor, &known);
        if found.comment.held && !self.actor.as_ref().is_some_and(own) {
            return Err(none());
        }
        Ok((known, found.comment))
    }
}

/// The comment and its video, where it is the actor's own.
async fn own(site: &Site, actor: &Actor, id: &str) -> Result<Option<(Arc<KnownVideo>, Row)>, Problem> {
    let found = find(site, id).await?;
    if !rules::is_own(actor, &found.comment) {
        return Ok(None);
    }
    let known = site.accounts.videos.find(&found.video_short_id).await.map_err(Problem::database)?;
    Ok(known.map(|known| (known, found.comment)))
}

async fn find(site: &Site, id: &str) -> Result<ListedComment, Problem> {
    let id: CommentId = id.parse().map_err(|_| none())?;
    site.accounts.store.comment(&id, None).await.map_err(Problem::database)?.ok_or_else(none)
}

/// A comment as it is now, after a change: what is remembered of its video counts anew.
async fn shown(site: &Site, actor: &Actor, known: &KnownVideo, id: &CommentId) -> Result<Json<Comment>, Problem> {
    site.accounts.videos.forget(&known.video().short_id);
    let found = site.accounts.store.comment(id, Some(&actor.user.id)).await.map_err(Problem::database)?;
    Ok(Json(Comment::new(found.ok_or_else(none)?, known.owner())))
}

/// Whether each link of a text is in another already.
fn links_are_in(text: &str, old: &str) -> bool {
    use crate::rich_text::{Piece, links, pieces};
    let of = |text| pieces(text).into_iter().filter(|piece| matches!(piece, Piece::Link(_)));
    links(text) <= links(old) && of(text).all(|link| of(old).any(|known| known == link))
}

fn must_keep_order(actor: &Actor, known: &KnownVideo) -> Result<(), Problem> {
    match rules::keeps_order(actor, known) {
        true => Ok(()),
        false => Err(Problem::new(ErrorCode::Forbidden, "you may not do this")),
    }
}

fn closed() -> Problem {
    Problem::new(ErrorCode::Forbidden, "comments on this video are closed")
}

fn none() -> Problem {
    Problem::new(ErrorCode::NotFound, "there is no such comment")
}

fn failed(error: Error) -> Problem {
    match error {
        Error::Taken(_) => Problem::new(ErrorCode::Conflict, error.to_string()),
        Error::NotFound => none(),
        other => Problem::database(other),
    }
}
