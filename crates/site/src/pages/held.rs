//! Comments that wait to be approved, as the studio and the moderators' page list them.

use millrace_store::{Error, PageRequest, Store, UserId};

use super::{Avatar, When};
use crate::api::list::is_cursor;
use crate::i18n::Messages;
use crate::rich_text::RichText;

/// What `held_comments.html` shows.
pub(super) struct Held {
    pub(super) comments: Vec<HeldView>,
    /// The cursor of the next page.
    pub(super) next: Option<String>,
    /// How many wait, on all pages.
    pub(super) count: u64,
}

pub(super) struct HeldView {
    pub(super) id: String,
    pub(super) avatar: Avatar,
    pub(super) name: String,
    pub(super) handle: String,
    pub(super) text: RichText,
    pub(super) at: When,
    /// Path of the video's page.
    pub(super) page: String,
    pub(super) title: String,
}

impl Held {
    /// Those on the videos of an account, or on all.
    pub(super) async fn of(
        store: &Store,
        owner: Option<&UserId>,
        cursor: Option<String>,
        t: &Messages,
    ) -> Result<Self, Error> {
        let after = cursor.filter(|cursor| is_cursor(cursor));
        let part = async |after| store.all_held_comments(owner, None, &PageRequest { limit: PAGE, after }).await;
        let count = store.count_held_comments(owner).await?;
        let (is_later, mut page) = (after.is_some(), part(after).await?);
        if is_later && page.items.is_empty() {
            // All that stood there was decided on meanwhile.
            page = part(None).await?;
        }
        let comments = page.items.into_iter().map(|found| {
            let (comment, page) = (found.listed.comment, format!("/w/{}", found.listed.video_short_id));
            // Of one that is deleted with its author nothing waits.
            let name = found.listed.author_name.unwrap_or_default();
            HeldView {
                id: comment.id.to_string(),
                avatar: Avatar::of(&name, found.listed.author_avatar.as_deref()),
                name,
                handle: found.listed.author_handle.unwrap_or_default(),
                text: RichText::new(&comment.text, &page),
                at: When::ago(comment.created_at, t),
                page,
                title: found.video_title,
            }
        });
        Ok(Self { comments: comments.collect(), next: page.next, count })
    }

    /// How many, in words.
    pub(super) fn title(&self, t: &Messages) -> String {
        t.count("comments.held", self.count)
    }
}

/// Comments of a page.
const PAGE: u32 = 30;
