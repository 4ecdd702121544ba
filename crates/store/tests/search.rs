//! Finding videos, on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, missing_docs)]

#[macro_use]
mod both;

use millrace_store::testing::{OldVideo, put_videos, settle};
use millrace_store::*;
use time::Duration;

on_both! {
    videos_are_found_by_their_words
    what_a_query_language_would_mean_is_harmless
    nothing_is_found_that_lists_do_not_show
    what_is_found_follows_what_is_changed
    results_are_narrowed_and_put_into_order
    of_a_word_that_very_many_have_the_most_watched_are_found
}

struct Shelves {
    store: Store,
    owner: User,
    channel: Channel,
}

impl Shelves {
    async fn new(store: Store) -> Self {
        let (role, state) = (Role::Creator, UserState::Active);
        let new = NewUser { handle: "ada", display_name: "Ada", email: None, password_hash: "x", role, state };
        let owner = store.create_user(&new).await.unwrap();
        let channel = channel(&store, &owner, "night_market").await;
        Self { store, owner, channel }
    }

    fn video<'a>(&'a self, short_id: &'a str, title: &'a str, description: &'a str, tags: &'a str) -> NewVideo<'a> {
        NewVideo {
            short_id,
            channel_id: &self.channel.id,
            title,
            description,
            language: "",
            category: "",
            tags,
            search_text: "",
            visibility: Visibility::Public,
            password_hash: None,
            publish_at: None,
            review: Review::None,
            file_name: "",
        }
    }

    async fn put(&self, new: NewVideo<'_>) -> Video {
        let video = self.store.create_video(&new).await.unwrap();
        self.store.set_video_state(&video.id, VideoState::Ready, "").await.unwrap()
    }

    async fn find(&self, words: &str) -> Vec<String> {
        self.search(&VideoSearch { words, ..VideoSearch::default() }).await
    }

    /// All pages, of two each.
    async fn search(&self, search: &VideoSearch<'_>) -> Vec<String> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.search_videos(search, &PageRequest { limit: 2, after }).await.unwrap();
            all.extend(page.items.into_iter().map(|found| found.video.short_id));
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }
}

async fn channel(store: &Store, owner: &User, handle: &str) -> Channel {
    let new = NewChannel { owner_id: &owner.id, handle, title: handle, search_text: "", most: 9 };
    store.create_channel(&new).await.unwrap()
}

async fn videos_are_found_by_their_words(store: Store) {
    let shelves = Shelves::new(store).await;
    shelves.put(shelves.video("café", "The Café at the river", "Coffee, slowly.", r#"["espresso","咖啡"]"#)).await;
    shelves.put(shelves.video("market", "台北的夜市美食", "We eat 臭豆腐 and drink tea.", "[]")).await;
    shelves.put(shelves.video("한국", "한국어 배우기", "", "[]")).await;
    for (words, found) in [
        ("river", "café"),
        ("RIV", "café"),
        ("at the riv", "café"),
        ("cafe river", "café"),
        ("Café", "café"),
        ("slowly", "café"),
        ("#espresso", "café"),
        ("咖啡", "café"),
        ("夜市", "market"),
        ("美食", "market"),
        ("市", "market"),
        ("食", "market"),
        ("夜市美食 tea", "market"),
        ("豆腐", "market"),
        ("한국", "한국"),
    ] {
        assert_eq!(shelves.find(words).await, [found], "{words}");
    }
    for words in ["iver", "ri", "river tea", "市夜", "夜食", "rivers"] {
        assert!(shelves.find(words).await.is_empty(), "{words}");
    }
    assert_eq!(shelves.find("night market").await.len(), 3, "by the channel's handle");
    assert_eq!(shelves.find("").await, ["한국", "market", "café"], "without words all, the newest first");
}

async fn what_a_query_language_would_mean_is_harmless(store: Store) {
    let shelves = Shelves::new(store).await;
    shelves.put(shelves.video("one", "AND OR NOT near title words", "100% it's \"quoted\" 2", "[]")).await;
    for words in
        ["AND", "OR NOT", "NEAR(title, 2)", "title:words", "it's", "\"quoted\"", "100%", "wor*", "(and", "^and"]
    {
        assert_eq!(shelves.find(words).await, ["one"], "{words}");
    }
    for words in ["%", "_", "*", "\"", "'", "-", "&", "|", "!", ":", "\\", "title NOT other", "or xyz", "'; DROP TABLE"]
    {
        assert!(shelves.find(words).await.is_empty(), "{words}");
    }
    assert_eq!(shelves.find(&"and ".repeat(1000)).await, ["one"]);
}

async fn nothing_is_found_that_lists_do_not_show(store: Store) {
    let shelves = Shelves::new(store).await;
    let uploading = shelves.store.create_video(&shelves.video("uploading", "word", "", "[]")).await.unwrap();
    for (short_id, visibility) in
        [("unlisted", Visibility::Unlisted), ("private", Visibility::Private), ("password", Visibility::Password)]
    {
        shelves.put(NewVideo { visibility, ..shelves.video(short_id, "word", "", "[]") }).await;
    }
    shelves.put(NewVideo { review: Review::Pending, ..shelves.video("pending", "word", "", "[]") }).await;
    let due = At::now().plus(Duration::hours(1));
    shelves.put(NewVideo { publish_at: Some(due), ..shelves.video("later", "word", "", "[]") }).await;
    assert!(shelves.find("word").await.is_empty() && shelves.find("").await.is_empty());
    shelves.store.publish_due_videos(due).await.unwrap();
    assert_eq!(shelves.find("word").await, ["later"]);
    shelves.store.set_video_state(&uploading.id, VideoState::Ready, "").await.unwrap();
    assert_eq!(shelves.find("word").await, ["uploading", "later"]);
}

async fn what_is_found_follows_what_is_changed(store: Store) {
    let shelves = Shelves::new(store).await;
    let video = shelves.put(shelves.video("one", "before", "", "[]")).await;
    let change = VideoChange { title: Some("after"), ..VideoChange::default() };
    let video = shelves.store.update_video(&video.id, video.version, &change).await.unwrap();
    assert_eq!((shelves.find("before").await, shelves.find("after").await), (vec![], vec!["one".to_owned()]));
    let until = At::now().plus(Duration::days(1));
    shelves.store.trash_video(&video.id, &shelves.owner.id, until).await.unwrap();
    assert!(shelves.find("after").await.is_empty());
    shelves.store.restore_video(&video.id, Some(&shelves.owner.id), At::now()).await.unwrap();
    assert_eq!(shelves.find("after").await, ["one"]);
    shelves.store.trash_videos_of(&shelves.owner.id, &shelves.owner.id, until).await.unwrap();
    assert!(shelves.find("after").await.is_empty());
    shelves.store.restore_videos_of(&shelves.owner.id, At::now()).await.unwrap();
    assert_eq!(shelves.find("after").await, ["one"]);
    let video = shelves.store.video(&video.id).await.unwrap().unwrap();
    let entry = NewAuditEntry { actor: "max", action: Action::ReviewVideo, subject: "", address: "", details: "" };
    let decide =
        async |version, review| shelves.store.review_video(&video.id, version, review, "", &entry).await.unwrap();
    let rejected = decide(video.version, Review::Rejected).await;
    assert!(shelves.find("after").await.is_empty());
    decide(rejected.version, Review::Approved).await;
    assert_eq!(shelves.find("after").await, ["one"]);
    shelves.store.trash_video(&video.id, &shelves.owner.id, until).await.unwrap();
    shelves.store.delete_channel(&shelves.channel.id).await.unwrap();
    assert!(shelves.find("after").await.is_empty() && shelves.find("").await.is_empty());
}

async fn results_are_narrowed_and_put_into_order(store: Store) {
    let shelves = Shelves::new(store).await;
    let other = channel(&shelves.store, &shelves.owner, "other").await;
    let music = NewVideo { category: "music", language: "zh-CN", ..shelves.video("music", "tea song", "", "[]") };
    let elsewhere = NewVideo { channel_id: &other.id, ..shelves.video("elsewhere", "song for tea", "", "[]") };
    let beside = shelves.video("beside", "a song", "tea is in the text", "[]");
    for (new, minutes, views) in [(music, 3, 1), (elsewhere, 10, 2), (beside, 30, 3)] {
        let video = shelves.put(new).await;
        let facts = VideoFacts { duration: minutes * 60_000, ..VideoFacts::default() };
        shelves.store.set_video_facts(&video.id, &facts).await.unwrap();
        for viewer in 0..views {
            shelves.store.note_view(&video.id, &[viewer; 32], 1).await.unwrap();
        }
    }
    shelves.store.roll_up_views(0).await.unwrap();
    let all = VideoSearch { words: "tea", ..VideoSearch::default() };
    assert_eq!(shelves.search(&all).await, ["elsewhere", "music", "beside"]);
    let newest = VideoSearch { order: SearchOrder::Newest, ..all };
    assert_eq!(shelves.search(&newest).await, ["beside", "elsewhere", "music"]);
    let views = VideoSearch { order: SearchOrder::Views, ..all };
    assert_eq!(shelves.search(&views).await, ["beside", "elsewhere", "music"]);
    for (search, found) in [
        (VideoSearch { category: "music", ..all }, &["music"][..]),
        (VideoSearch { language: "zh", ..all }, &["music"]),
        (VideoSearch { language: "en", ..all }, &[]),
        (VideoSearch { channel: Some(&other.id), ..all }, &["elsewhere"]),
        (VideoSearch { language: "zh-CN", ..all }, &["music"]),
        (VideoSearch { language: "zh-c", ..all }, &[]),
        (VideoSearch { length: Some(VideoLength::Short), ..all }, &["music"]),
        (VideoSearch { length: Some(VideoLength::Medium), ..all }, &["elsewhere"]),
        (VideoSearch { length: Some(VideoLength::Long), ..all }, &["beside"]),
        (VideoSearch { since: Some(At::now().plus(Duration::hours(1))), ..all }, &[]),
        (VideoSearch { since: Some(At::now().plus(-Duration::hours(1))), category: "music", ..all }, &["music"]),
        (VideoSearch { words: "", category: "music", ..all }, &["music"]),
        (VideoSearch { words: "", language: "zh", ..all }, &["music"]),
        (VideoSearch { words: "", since: Some(At(1)), ..all }, &["beside", "elsewhere", "music"]),
        (VideoSearch { words: "\u{e003}music", ..all }, &[]),
    ] {
        assert_eq!(shelves.search(&search).await, found, "{search:?}");
    }
}

async fn of_a_word_that_very_many_have_the_most_watched_are_found(store: Store) {
    let shelves = Shelves::new(store).await;
    let old = |n: u32, title, views| OldVideo {
        new: NewVideo { title, ..shelves.video("", "", "", "[]") },
        published_at: At(i64::from(n)),
        duration: 0,
        views,
    };
    let names: Vec<String> = (0..=MAX_NEWEST + 2).map(|n| format!("v{n}")).collect();
    let mut videos: Vec<_> = (0..=MAX_NEWEST + 2).map(|n| old(n, "a common word", i64::from(n == 1) * 5)).collect();
    videos[0].views = 9;
    videos[2].new.title = "commonly";
    videos[2].views = 7;
    for (video, name) in videos.iter_mut().zip(&names) {
        video.new.short_id = name;
    }
    put_videos(&shelves.store, &videos).await.unwrap();
    settle(&shelves.store).await.unwrap();
    let first = |order| {
        let search = VideoSearch { words: "common", order, ..VideoSearch::default() };
        let store = shelves.store.clone();
        async move {
            let found = store.search_videos(&search, &PageRequest { limit: 3, after: None }).await.unwrap();
            found.items.into_iter().map(|found| found.video.short_id).collect::<Vec<_>>()
        }
    };
    let newest = names.iter().rev().take(3).cloned().collect::<Vec<_>>();
    assert_eq!(first(SearchOrder::Relevance).await, ["v0", "v2", "v1"], "though others are newer");
    assert_eq!(first(SearchOrder::Views).await, ["v0", "v2", "v1"]);
    assert_eq!(first(SearchOrder::Newest).await, newest);
    // What was hidden is no longer found, and what comes back stands where it stood.
    let hidden = shelves.store.video_by_short_id("v0").await.unwrap().unwrap().video;
    let newest_one = shelves.store.video_by_short_id(&newest[0]).await.unwrap().unwrap().video;
    for id in [&hidden.id, &newest_one.id] {
        shelves.store.trash_video(id, &shelves.owner.id, At::now().plus(Duration::days(1))).await.unwrap();
    }
    assert_eq!(first(SearchOrder::Views).await[..2], ["v2", "v1"]);
    assert_eq!(first(SearchOrder::Newest).await[..2], newest[1..]);
    for id in [&newest_one.id, &hidden.id] {
        shelves.store.restore_video(id, Some(&shelves.owner.id), At::now()).await.unwrap();
    }
    assert_eq!(first(SearchOrder::Views).await, ["v0", "v2", "v1"]);
    assert_eq!(first(SearchOrder::Newest).await, newest);
    // Views that are counted make another the most watched, though it is old.
    let late = shelves.store.video_by_short_id("v1").await.unwrap().unwrap().video;
    for viewer in 0..9 {
        shelves.store.note_view(&late.id, &[viewer; 32], 1).await.unwrap();
    }
    shelves.store.roll_up_views(0).await.unwrap();
    assert_eq!(first(SearchOrder::Relevance).await, ["v1", "v0", "v2"]);
}
