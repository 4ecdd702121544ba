//! What may be said in comments, by whom, and what waits for approval.

use millrace_store::{At, Comment, CommentOrder, Error, ListedComment, Page, PageRequest, Store, UserId};
use time::Duration;

use super::KnownVideo;
use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::rich_text;

/// A comment with the first replies to it.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) first: ListedComment,
    pub(crate) replies: Page<ListedComment>,
}

/// The words of a comment.
pub(crate) fn text(text: &str) -> Result<String, &'static str> {
    let text = text.trim().replace("\r\n", "\n");
    if !(1..=MAX_TEXT).contains(&text.chars().count()) {
        return Err("text must have 1 to 2,000 letters");
    }
    if text.chars().any(|letter| letter != '\n' && (letter.is_control() || is_override(letter))) {
        return Err("text must have no control characters but ends of lines");
    }
    if rich_text::links(&text) > MAX_LINKS { Err("text must have at most 3 links") } else { Ok(text) }
}

/// What turns the direction of the text around it.
fn is_override(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a comment of these words has to wait for the video's owner or a moderator: links of accounts that are new, or
/// that nobody there knows yet.
pub(crate) async fn is_held(store: &Store, actor: &Actor, known: &KnownVideo, text: &str) -> Result<bool, Error> {
    if rich_text::links(text) == 0 || keeps_order(actor, known) {
        return Ok(false);
    }
    let new = actor.user.created_at.plus(NEW_ACCOUNT) > At::now();
    Ok(new || !store.has_commented(&actor.user.id, &known.video().channel_id).await?)
}

/// Whether somebody keeps order below a video: its owner, and moderators.
pub(crate) fn keeps_order(actor: &Actor, known: &KnownVideo) -> bool {
    actor.may(Act::ManageVideos) || actor.user.id == *known.owner() && actor.may(Act::OwnChannels)
}

/// Whether it is somebody's own.
pub(crate) fn is_own(actor: &Actor, comment: &Comment) -> bool {
    comment.author_id.as_ref() == Some(&actor.user.id)
}

/// A part of a video's comments that reply to none, each with the first replies; the pinned one is the first of the first
/// part.
pub(crate) async fn threads(
    store: &Store,
    known: &KnownVideo,
    order: CommentOrder,
    reader: Option<&UserId>,
    page: &PageRequest,
) -> Result<Page<Thread>, Error> {
    let video = &known.video().id;
    let pinned = match page.after {
        None => store.pinned_comment(video, reader).await?,
        Some(_) => None,
    };
    let found = store.comments(video, order, reader, page).await?;
    let mut items = Vec::new();
    for first in pinned.into_iter().chain(found.items) {
        items.push(thread(store, first, reader, &PageRequest { limit: FIRST_REPLIES, after: None }).await?);
    }
    Ok(Page { items, next: found.next })
}

/// A comment with a part of its replies.
pub(crate) async fn thread(
    store: &Store,
    first: ListedComment,
    reader: Option<&UserId>,
    page: &PageRequest,
) -> Result<Thread, Error> {
    // The reader's own may be held, and are not counted: only who is somebody may have such.
    let some = first.comment.parent_id.is_none() && (first.comment.replies > 0 || reader.is_some());
    let replies = match some {
        true => store.replies(&first.comment.id, reader, page).await?,
        false => Page { items: Vec::new(), next: None },
    };
    Ok(Thread { first, replies })
}

const MAX_TEXT: usize = 2000;
const MAX_LINKS: usize = 3;
/// So long an account is new.
const NEW_ACCOUNT: Duration = Duration::days(3);
/// Replies that are shown with a comment before one asks for more.
const FIRST_REPLIES: u32 = 3;

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn what_may_be_said() {
        assert_eq!(text(" two\r\nlines 两行 ").as_deref(), Ok("two\nlines 两行"));
        assert!(text(&"字".repeat(2000)).is_ok() && text(&"字".repeat(2001)).is_err());
        assert!(text(" \n ").is_err() && text("a\u{7}").is_err() && text("a\tb").is_err());
        assert!(text("\u{202e}evil").is_err());
        let links = |n| "https://example.org/ ".repeat(n);
        assert!(text(&links(3)).is_ok() && text(&links(4)).is_err());
    }
}
