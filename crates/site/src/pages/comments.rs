//! The comments below a video: part of the page to watch it, and alone, as scripts put it there anew.

use askama::Template;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use axum::response::Response;
use millrace_store::{Comment, CommentId, Error, ListedComment, Page, PageRequest};
use serde::Deserialize;

use super::{Avatar, Shell, When, error, render, urlencode};
use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::api::comments::{Asker, CommentSort};
use crate::api::list;
use crate::i18n::Messages;
use crate::rich_text::RichText;
use crate::videos::KnownVideo;
use crate::videos::comments::{self as rules, Thread};
use crate::visitor::Visitor;
use crate::{ErrorCode, Problem, Site};

/// Which comments, by the page's query.
#[derive(Debug, Default, Deserialize)]
pub(super) struct CommentsQuery {
    sort: Option<String>,
    /// Where the list goes on; with `thread`, where its replies do.
    comments: Option<String>,
    /// One comment with all its replies, by its id or by that of one of these.
    thread: Option<String>,
}

/// What `comments.html` shows, as the field `comments` of the template that includes it beside `shell`.
pub(super) struct CommentsView {
    /// The video's id.
    pub(super) video: String,
    /// Path of the video's page.
    pub(super) page: String,
    /// Comments and replies that everybody sees.
    pub(super) count: u64,
    /// Whether its owner lets viewers comment.
    pub(super) open: bool,
    /// The visitor's picture, where they may comment.
    pub(super) writer: Option<Avatar>,
    pub(super) logged_in: bool,
    /// Value, message, and whether it is the present one.
    pub(super) sorts: Vec<(&'static str, &'static str, bool)>,
    /// Whether one comment was asked for.
    pub(super) alone: bool,
    pub(super) threads: Vec<ThreadView>,
    /// Address of the next page.
    pub(super) next: Option<String>,
    /// What waits to be approved, for those who do so.
    pub(super) held: Vec<CommentView>,
}

pub(super) struct ThreadView {
    pub(super) first: CommentView,
    pub(super) replies: Vec<CommentView>,
    /// Address of the replies that are not here.
    pub(super) more: Option<String>,
}

pub(super) struct CommentView {
    pub(super) id: String,
    /// The id of the comment below which one replies to this one.
    pub(super) thread: String,
    pub(super) is_reply: bool,
    /// None where it is deleted.
    pub(super) author: Option<AuthorView>,
    pub(super) text: RichText,
    pub(super) at: When,
    pub(super) edited: bool,
    pub(super) held: bool,
    pub(super) pinned: bool,
    pub(super) likes: u64,
    pub(super) liked: bool,
    pub(super) replies: u64,
    /// Address of this very comment.
    pub(super) link: String,
    pub(super) can_like: bool,
    pub(super) can_reply: bool,
    pub(super) can_edit: bool,
    pub(super) can_delete: bool,
    pub(super) can_pin: bool,
    pub(super) can_approve: bool,
}

pub(super) struct AuthorView {
    pub(super) handle: String,
    pub(super) name: String,
    pub(super) avatar: Avatar,
    /// Whether the video is theirs.
    pub(super) owner: bool,
}

impl CommentsView {
    /// The comments of a video that the visitor may watch.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn of(
        site: &Site,
        known: &KnownVideo,
        actor: Option<&Actor>,
        query: &CommentsQuery,
        t: &'static Messages,
    ) -> Result<Self, Error> {
        let store = &site.accounts.store;
        let reader = actor.map(|actor| &actor.user.id);
        let looker = Looker { known, actor, page: format!("/w/{}", known.video().short_id), t };
        let asked = query.sort.as_deref();
        let (sort, sort_name, _) =
            CommentSort::ALL.into_iter().find(|(_, name, _)| asked == Some(*name)).unwrap_or(CommentSort::ALL[0]);
        let request = |limit| {
            // A cursor that was never handed out begins the list.
            list::request(Some(limit), query.comments.clone()).unwrap_or(PageRequest { limit, after: None })
        };
        let (threads, next) = match &query.thread {
            Some(id) => {
                let found = looker.thread(site, id, &request(REPLIES)).await?;
                (found.into_iter().collect(), None)
            }
            None => {
                let Page { items, next } = rules::threads(store, known, sort.into(), reader, &request(PAGE)).await?;
                let next = next
                    .map(|cursor| format!("{}?sort={sort_name}&comments={}#comments", looker.page, urlencode(&cursor)));
                (items, next)
            }
        };
        let keeps_order = actor.is_some_and(|actor| rules::keeps_order(actor, known));
        let held = match keeps_order && query.thread.is_none() && query.comments.is_none() {
            true => {
                let page = PageRequest { limit: HELD, after: None };
                store.held_comments(&known.video().id, reader, &page).await?.items
            }
            false => Vec::new(),
        };
        let count = store.count_comments(&known.video().id).await?;
        let writer = actor.filter(|actor| actor.may(Act::Comment));
        Ok(Self {
            video: known.video().short_id.clone(),
            count: u64::try_from(count).unwrap_or(0),
            open: known.video().comments_open,
            writer: writer.map(|actor| Avatar::of(&actor.user.display_name, actor.user.avatar.as_deref())),
            logged_in: actor.is_some(),
            sorts: CommentSort::ALL.map(|(one, name, message)| (name, message, one == sort)).to_vec(),
            alone: query.thread.is_some(),
            threads: threads.into_iter().map(|thread| looker.thread_view(thread)).collect(),
            next,
            held: held.into_iter().map(|found| looker.view(found)).collect(),
            page: looker.page,
        })
    }
}

impl CommentsView {
    pub(super) fn title(&self, t: &Messages) -> String {
        t.count("comments.count", self.count)
    }

    pub(super) fn held_title(&self, t: &Messages) -> String {
        t.count("comments.held", self.held.len() as u64)
    }
}

impl ThreadView {
    pub(super) fn more_title(&self, t: &Messages) -> String {
        t.count("comments.more_replies", self.first.replies)
    }
}

/// Who looks at the comments of which video.
struct Looker<'a> {
    known: &'a KnownVideo,
    actor: Option<&'a Actor>,
    page: String,
    t: &'static Messages,
}

impl Looker<'_> {
    /// The comment of that id, or to which that of that id replies, where it is to be seen below this video.
    async fn thread(&self, site: &Site, id: &str, page: &PageRequest) -> Result<Option<Thread>, Error> {
        let store = &site.accounts.store;
        let reader = self.actor.map(|actor| &actor.user.id);
        let Ok(id) = id.parse::<CommentId>() else { return Ok(None) };
        let Some(mut found) = store.comment(&id, reader).await? else { return Ok(None) };
        if let Some(parent) = &found.comment.parent_id {
            let Some(parent) = store.comment(parent, reader).await? else { return Ok(None) };
            found = parent;
        }
        let seen = !found.comment.held || self.may_see_held(&found.comment);
        if found.comment.video_id != self.known.video().id || !seen {
            return Ok(None);
        }
        rules::thread(store, found, reader, page).await.map(Some)
    }

    fn may_see_held(&self, comment: &Comment) -> bool {
        self.actor.is_some_and(|actor| rules::is_own(actor, comment) || rules::keeps_order(actor, self.known))
    }

    fn thread_view(&self, thread: Thread) -> ThreadView {
        let id = thread.first.comment.id.to_string();
        let more = thread
            .replies
            .next
            .map(|cursor| format!("{}?thread={id}&comments={}#comments", self.page, urlencode(&cursor)));
        ThreadView {
            first: self.view(thread.first),
            replies: thread.replies.items.into_iter().map(|reply| self.view(reply)).collect(),
            more,
        }
    }

    fn view(&self, found: ListedComment) -> CommentView {
        let row = found.comment;
        let writer = self.actor.filter(|actor| actor.may(Act::Comment));
        let own = writer.is_some_and(|actor| rules::is_own(actor, &row));
        let keeps_order = self.actor.is_some_and(|actor| rules::keeps_order(actor, self.known));
        let deleted = row.deleted_at.is_some();
        let open = self.known.video().comments_open;
        let author = found.author_handle.zip(found.author_name).map(|(handle, name)| AuthorView {
            avatar: Avatar::of(&name, found.author_avatar.as_deref()),
            owner: row.author_id.as_ref() == Some(self.known.owner()),
            handle,
            name,
        });
        CommentView {
            thread: row.parent_id.as_ref().unwrap_or(&row.id).to_string(),
            is_reply: row.parent_id.is_some(),
            author,
            text: RichText::new(&row.text, &self.page),
            at: When::ago(row.created_at, self.t),
            edited: row.edited_at.is_some(),
            held: row.held,
            pinned: row.pinned,
            likes: u64::try_from(row.likes).unwrap_or(0),
            liked: found.liked,
            replies: u64::try_from(row.replies).unwrap_or(0),
            link: format!("{}?thread={}#comments", self.page, row.id),
            can_like: writer.is_some() && !deleted && !row.held,
            can_reply: writer.is_some() && !deleted && !row.held && open,
            can_edit: own && !deleted && open,
            can_delete: (own || keeps_order) && !deleted,
            can_pin: keeps_order && !deleted && !row.held && row.parent_id.is_none(),
            can_approve: keeps_order && row.held,
            id: row.id.to_string(),
        }
    }
}

impl CommentView {
    /// What stands at the beginning of a reply to this one: to a reply, whom it is for.
    pub(super) fn salutation(&self) -> String {
        let to = self.author.as_ref().filter(|_| self.is_reply);
        to.map(|author| format!("@{} ", author.handle)).unwrap_or_default()
    }

    /// Where a like of the visitor's goes, or one that is taken back.
    pub(super) fn like(&self) -> String {
        format!("{} /api/v1/comments/{}/like", if self.liked { "DELETE" } else { "PUT" }, self.id)
    }

    /// A message that counts its likes.
    pub(super) fn counted(&self, key: &str, t: &Messages) -> String {
        t.count(key, self.likes)
    }

    pub(super) fn likes_short(&self, t: &Messages) -> String {
        t.abbreviate(self.likes)
    }
}

/// The comments alone.
#[derive(Template)]
#[template(path = "comments.html")]
struct Alone {
    shell: Shell,
    comments: CommentsView,
}

pub(super) async fn alone(
    State(site): State<Site>,
    visitor: Visitor,
    asker: Result<Asker, Problem>,
    Path(id): Path<String>,
    query: Result<Query<CommentsQuery>, QueryRejection>,
) -> Response {
    let (Ok(asker), Ok(Query(query))) = (asker, query) else { return error::page(&site, visitor, error::NOT_FOUND) };
    let known = match asker.watches(&site, &id).await {
        Ok(known) => known,
        Err(problem) if problem.code() == ErrorCode::NotFound => {
            return error::page(&site, visitor, error::NOT_FOUND);
        }
        Err(_) => return error::broken(),
    };
    match CommentsView::of(&site, &known, visitor.user.as_ref(), &query, visitor.language.messages()).await {
        Ok(comments) => render(&Alone { shell: Shell::new(&site, visitor, "").unlisted(), comments }),
        Err(failure) => {
            Problem::database(failure); // for the log
            error::broken()
        }
    }
}

/// Comments of a page, without their replies.
const PAGE: u32 = 20;
/// Replies of a page, where one comment is asked for.
const REPLIES: u32 = 100;
/// Comments that wait, of those that are shown; there are more where these are done with.
const HELD: u32 = 50;
