//! Comments, on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, missing_docs)]

#[macro_use]
mod both;

use millrace_store::*;

on_both! {
    comments_are_listed_in_each_order_over_their_pages
    a_video_counts_what_everybody_sees
    a_reply_is_written_below_a_comment_and_nowhere_else
    a_deleted_comment_leaves_its_place_where_others_replied
    one_comment_of_a_video_is_pinned
    what_an_account_wrote_and_liked_goes_with_it
    held_comments_are_seen_by_their_authors
}

struct Talk {
    store: Store,
    owner: User,
    guest: User,
    channel: Channel,
    video: Video,
}

impl Talk {
    async fn new(store: Store) -> Self {
        let (owner, guest) = (user(&store, "ada").await, user(&store, "eve").await);
        // There is always an administrator; the others may be deleted.
        store.set_standing(&owner.id, Role::Admin, UserState::Active).await.unwrap();
        let new = NewChannel { owner_id: &owner.id, handle: "engine", title: "Engine", search_text: "", most: 9 };
        let channel = store.create_channel(&new).await.unwrap();
        let video = video(&store, &channel, "aaaaaaaaaaa").await;
        Self { store, owner, guest, channel, video }
    }

    async fn say(&self, author: &User, parent: Option<&CommentId>, text: &str) -> CommentId {
        self.store.create_comment(&self.new_comment(author, parent, text)).await.unwrap()
    }

    async fn hold(&self, author: &User, parent: Option<&CommentId>) -> CommentId {
        let new = NewComment { held: true, ..self.new_comment(author, parent, "https://example.org/") };
        self.store.create_comment(&new).await.unwrap()
    }

    fn new_comment<'a>(&'a self, author: &'a User, parent: Option<&'a CommentId>, text: &'a str) -> NewComment<'a> {
        NewComment { video_id: &self.video.id, author_id: &author.id, parent_id: parent, text, held: false }
    }

    /// The words of all pages, of two each.
    async fn texts(&self, order: CommentOrder, reader: Option<&User>) -> Vec<String> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = PageRequest { limit: 2, after };
            let reader = reader.map(|user| &user.id);
            let found = self.store.comments(&self.video.id, order, reader, &page).await.unwrap();
            all.extend(found.items.into_iter().map(|found| found.comment.text));
            after = found.next;
            if after.is_none() {
                return all;
            }
        }
    }

    async fn replies(&self, parent: &CommentId, reader: Option<&User>) -> Vec<String> {
        let page = PageRequest { limit: 100, after: None };
        let found = self.store.replies(parent, reader.map(|user| &user.id), &page).await.unwrap();
        found.items.into_iter().map(|found| found.comment.text).collect()
    }

    async fn get(&self, id: &CommentId) -> Option<Comment> {
        self.store.comment(id, None).await.unwrap().map(|found| found.comment)
    }

    /// What the video counts, and how many there are by looking.
    async fn count(&self) -> i64 {
        let count = self.store.count_comments(&self.video.id).await.unwrap();
        assert_eq!(count, self.store.video(&self.video.id).await.unwrap().unwrap().comments);
        count
    }
}

async fn user(store: &Store, handle: &str) -> User {
    let (role, state) = (Role::Creator, UserState::Active);
    let new = NewUser { handle, display_name: handle, email: None, password_hash: "x", role, state };
    store.create_user(&new).await.unwrap()
}

async fn video(store: &Store, channel: &Channel, short_id: &str) -> Video {
    let new = NewVideo {
        short_id,
        channel_id: &channel.id,
        title: "A video",
        description: "",
        language: "",
        category: "",
        tags: "[]",
        search_text: "",
        visibility: Visibility::Public,
        password_hash: None,
        publish_at: None,
        review: Review::None,
        file_name: "",
    };
    store.create_video(&new).await.unwrap()
}

async fn comments_are_listed_in_each_order_over_their_pages(store: Store) {
    let talk = Talk::new(store).await;
    let mut ids = Vec::new();
    for text in ["a", "b", "c", "d", "e"] {
        ids.push(talk.say(&talk.guest, None, text).await);
    }
    talk.say(&talk.owner, Some(&ids[0]), "a reply is no comment").await;
    for (id, users) in [(&ids[1], vec![&talk.owner, &talk.guest]), (&ids[3], vec![&talk.owner])] {
        for user in users {
            talk.store.like_comment(id, &user.id, true).await.unwrap();
            talk.store.like_comment(id, &user.id, true).await.unwrap(); // once is once
        }
    }
    assert_eq!(talk.texts(CommentOrder::Newest, None).await, ["e", "d", "c", "b", "a"]);
    assert_eq!(talk.texts(CommentOrder::Oldest, None).await, ["a", "b", "c", "d", "e"]);
    assert_eq!(talk.texts(CommentOrder::Top, None).await, ["b", "d", "e", "c", "a"]);
    talk.store.like_comment(&ids[1], &talk.owner.id, false).await.unwrap();
    talk.store.like_comment(&ids[1], &talk.guest.id, false).await.unwrap();
    talk.store.like_comment(&ids[1], &talk.guest.id, false).await.unwrap();
    assert_eq!(talk.texts(CommentOrder::Top, None).await, ["d", "e", "c", "b", "a"]);
    let liked = talk.store.comment(&ids[3], Some(&talk.owner.id)).await.unwrap().unwrap();
    assert_eq!((liked.comment.likes, liked.liked, liked.video_short_id.as_str()), (1, true, "aaaaaaaaaaa"));
    assert_eq!((liked.author_handle.as_deref(), liked.author_name.as_deref()), (Some("eve"), Some("eve")));
    assert!(!talk.store.comment(&ids[3], Some(&talk.guest.id)).await.unwrap().unwrap().liked);
}

async fn a_video_counts_what_everybody_sees(store: Store) {
    let talk = Talk::new(store).await;
    let first = talk.say(&talk.guest, None, "first").await;
    let reply = talk.say(&talk.owner, Some(&first), "reply").await;
    let held = talk.hold(&talk.guest, None).await;
    let held_reply = talk.hold(&talk.guest, Some(&first)).await;
    assert_eq!((talk.count().await, talk.get(&first).await.unwrap().replies), (2, 1));
    for _ in 0..2 {
        talk.store.approve_comment(&held_reply).await.unwrap(); // twice is once
    }
    assert_eq!((talk.count().await, talk.get(&first).await.unwrap().replies), (3, 2));
    talk.store.approve_comment(&held).await.unwrap();
    assert_eq!(talk.count().await, 4);
    talk.store.delete_comment(&reply).await.unwrap();
    assert_eq!((talk.count().await, talk.get(&first).await.unwrap().replies), (3, 1));
    talk.store.delete_comment(&talk.hold(&talk.guest, None).await).await.unwrap();
    assert_eq!(talk.count().await, 3, "what was held was not counted");
    talk.store.edit_comment(&first, "other words").await.unwrap();
    let edited = talk.get(&first).await.unwrap();
    assert!(edited.text == "other words" && edited.edited_at.is_some());
    assert_eq!(talk.count().await, 3);
}

async fn a_reply_is_written_below_a_comment_and_nowhere_else(store: Store) {
    let talk = Talk::new(store).await;
    let other = video(&talk.store, &talk.channel, "bbbbbbbbbbb").await;
    let first = talk.say(&talk.guest, None, "first").await;
    let reply = talk.say(&talk.guest, Some(&first), "reply").await;
    let held = talk.hold(&talk.guest, None).await;
    let gone = talk.say(&talk.guest, None, "gone").await;
    talk.say(&talk.guest, Some(&gone), "left").await;
    talk.store.delete_comment(&gone).await.unwrap();
    for parent in [&reply, &held, &gone, &CommentId::new()] {
        let new = talk.new_comment(&talk.guest, Some(parent), "no");
        assert!(matches!(talk.store.create_comment(&new).await, Err(Error::NotFound)), "{parent}");
    }
    let elsewhere = NewComment { video_id: &other.id, ..talk.new_comment(&talk.guest, Some(&first), "no") };
    assert!(matches!(talk.store.create_comment(&elsewhere).await, Err(Error::NotFound)));
    assert_eq!((talk.replies(&first, None).await, talk.count().await), (vec!["reply".to_owned()], 3));
}

async fn a_deleted_comment_leaves_its_place_where_others_replied(store: Store) {
    let talk = Talk::new(store).await;
    let first = talk.say(&talk.guest, None, "first").await;
    let reply = talk.say(&talk.owner, Some(&first), "reply").await;
    talk.store.like_comment(&first, &talk.owner.id, true).await.unwrap();
    talk.store.delete_comment(&first).await.unwrap();
    let place = talk.get(&first).await.unwrap();
    assert!(place.deleted_at.is_some() && place.text.is_empty() && place.author_id.is_none() && place.likes == 0);
    assert_eq!(talk.texts(CommentOrder::Newest, None).await, [""]);
    assert_eq!((talk.replies(&first, None).await, talk.count().await), (vec!["reply".to_owned()], 1));
    let id = &first;
    assert!(matches!(talk.store.delete_comment(id).await, Err(Error::NotFound)), "once is enough");
    assert!(matches!(talk.store.edit_comment(id, "back").await, Err(Error::NotFound)));
    assert!(matches!(talk.store.like_comment(id, &talk.owner.id, true).await, Err(Error::NotFound)));
    assert!(matches!(talk.store.pin_comment(id).await, Err(Error::NotFound)));
    talk.store.delete_comment(&reply).await.unwrap();
    assert!(talk.get(&first).await.is_none(), "nothing is left to hold the place for");
    assert_eq!(talk.count().await, 0);
}

async fn one_comment_of_a_video_is_pinned(store: Store) {
    let talk = Talk::new(store).await;
    let (first, second) = (talk.say(&talk.guest, None, "a").await, talk.say(&talk.guest, None, "b").await);
    let reply = talk.say(&talk.guest, Some(&first), "reply").await;
    let held = talk.hold(&talk.guest, None).await;
    for refused in [&reply, &held] {
        assert!(matches!(talk.store.pin_comment(refused).await, Err(Error::NotFound)));
    }
    for id in [&first, &first, &second] {
        talk.store.pin_comment(id).await.unwrap();
        let pinned = talk.store.pinned_comment(&talk.video.id, None).await.unwrap().unwrap();
        assert_eq!(&pinned.comment.id, id);
    }
    assert_eq!(talk.texts(CommentOrder::Newest, None).await, ["a"], "what is pinned stands above the list");
    talk.store.unpin_comment(&first).await.unwrap();
    assert!(talk.store.pinned_comment(&talk.video.id, None).await.unwrap().is_some(), "another is pinned");
    talk.store.unpin_comment(&second).await.unwrap();
    assert_eq!(talk.texts(CommentOrder::Newest, None).await, ["b", "a"]);
}

async fn what_an_account_wrote_and_liked_goes_with_it(store: Store) {
    let talk = Talk::new(store).await;
    let third = user(&talk.store, "bob").await;
    let kept = talk.say(&third, None, "kept").await;
    talk.say(&talk.guest, Some(&kept), "gone").await;
    talk.say(&third, Some(&kept), "kept as well").await;
    talk.store.like_comment(&kept, &talk.guest.id, true).await.unwrap();
    let place = talk.say(&talk.guest, None, "words").await;
    talk.store.pin_comment(&place).await.unwrap();
    talk.say(&third, Some(&place), "reply").await;
    let gone = talk.say(&talk.guest, None, "gone with its own reply").await;
    talk.say(&talk.guest, Some(&gone), "gone").await;
    let empty = talk.say(&third, None, "deleted before").await;
    talk.say(&talk.guest, Some(&empty), "gone").await;
    talk.store.delete_comment(&empty).await.unwrap();
    talk.hold(&talk.guest, None).await;
    assert_eq!(talk.count().await, 8);

    talk.store.delete_user(&talk.guest.id).await.unwrap();
    assert_eq!(talk.count().await, 3);
    let kept = talk.get(&kept).await.unwrap();
    assert_eq!((kept.replies, kept.likes), (1, 0));
    let place = talk.get(&place).await.unwrap();
    assert!(place.text.is_empty() && place.deleted_at.is_some() && !place.pinned && place.replies == 1);
    assert!(talk.get(&gone).await.is_none() && talk.get(&empty).await.is_none());
    assert!(
        talk.store
            .held_comments(&talk.video.id, None, &PageRequest { limit: 9, after: None })
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

async fn held_comments_are_seen_by_their_authors(store: Store) {
    let talk = Talk::new(store).await;
    let first = talk.say(&talk.owner, None, "first").await;
    let held = talk.hold(&talk.guest, None).await;
    let reply = talk.hold(&talk.guest, Some(&first)).await;
    let link = "https://example.org/";
    assert_eq!(talk.texts(CommentOrder::Newest, None).await, ["first"]);
    assert_eq!(talk.texts(CommentOrder::Newest, Some(&talk.owner)).await, ["first"]);
    assert_eq!(talk.texts(CommentOrder::Newest, Some(&talk.guest)).await, [link, "first"]);
    assert!(talk.replies(&first, None).await.is_empty());
    assert_eq!(talk.replies(&first, Some(&talk.guest)).await, [link]);
    let page = PageRequest { limit: 9, after: None };
    let waiting = talk.store.held_comments(&talk.video.id, None, &page).await.unwrap().items;
    assert_eq!(waiting.into_iter().map(|found| found.comment.id).collect::<Vec<_>>(), [held.clone(), reply]);
    let other = user(&talk.store, "otto").await;
    let count = async |owner: Option<&User>| {
        let owner = owner.map(|owner| &owner.id);
        talk.store.count_held_comments(owner).await.unwrap()
    };
    assert_eq!((count(None).await, count(Some(&talk.owner)).await, count(Some(&other)).await), (2, 2, 0));
    for (owner, some) in [(None, true), (Some(&talk.owner.id), true), (Some(&other.id), false)] {
        let first = talk.store.all_held_comments(owner, None, &PageRequest { limit: 1, after: None }).await.unwrap();
        assert_eq!(first.next.is_some(), some);
        let Some(after) = first.next else { continue };
        let page = PageRequest { limit: 1, after: Some(after) };
        let second = talk.store.all_held_comments(owner, None, &page).await.unwrap();
        let (one, two) = (&first.items[0], &second.items[0]);
        assert!(one.listed.comment.id < two.listed.comment.id && second.next.is_none(), "the longest first");
        assert_eq!((one.video_title.as_str(), &one.video_owner), ("A video", &talk.owner.id));
        assert_eq!(one.listed.video_short_id, "aaaaaaaaaaa");
    }
    let end = At::now().plus(time::Duration::DAY);
    talk.store.trash_video(&talk.video.id, &talk.owner.id, end).await.unwrap();
    assert_eq!((count(None).await, count(Some(&talk.owner)).await), (0, 0), "what nobody sees waits for nobody");
    talk.store.restore_video(&talk.video.id, Some(&talk.owner.id), At::now()).await.unwrap();
    assert!(!talk.store.has_commented(&talk.guest.id, &talk.channel.id).await.unwrap());
    talk.store.approve_comment(&held).await.unwrap();
    assert!(talk.store.has_commented(&talk.guest.id, &talk.channel.id).await.unwrap());
    assert_eq!(talk.texts(CommentOrder::Newest, None).await, [link, "first"]);
}
