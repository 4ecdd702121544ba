//! Videos and what belongs to them, on SQLite, or on the PostgreSQL server that `MILLRACE_TEST_POSTGRES` names.
#![allow(clippy::unwrap_used, missing_docs)]

use millrace_store::testing::fresh_store;
use millrace_store::*;
use tempfile::TempDir;
use time::Duration;

struct Site {
    store: Store,
    owner: User,
    channel: Channel,
    _directory: TempDir,
}

impl Site {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = fresh_store(directory.path()).await;
        let owner = user(&store, "ada").await;
        let new = NewChannel { owner_id: &owner.id, handle: "engine", title: "Engine", search_text: "", most: 9 };
        let channel = store.create_channel(&new).await.unwrap();
        Self { store, owner, channel, _directory: directory }
    }

    async fn video(&self, short_id: &str) -> Video {
        self.store.create_video(&self.new_video(short_id)).await.unwrap()
    }

    fn new_video<'a>(&'a self, short_id: &'a str) -> NewVideo<'a> {
        NewVideo {
            short_id,
            channel_id: &self.channel.id,
            title: "A video",
            description: "",
            language: "",
            category: "music",
            tags: "[]",
            search_text: "a video",
            visibility: Visibility::Public,
            password_hash: None,
            publish_at: None,
            review: Review::None,
            file_name: "video.mp4",
        }
    }

    async fn ready(&self, short_id: &str) -> Video {
        let video = self.video(short_id).await;
        self.store.set_video_state(&video.id, VideoState::Ready, "").await.unwrap()
    }

    async fn listed(&self, filter: VideoFilter<'_>) -> Vec<String> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = PageRequest { limit: 2, after };
            let found = self.store.listed_videos(&filter, &page).await.unwrap();
            all.extend(found.items.into_iter().map(|found| found.video.short_id));
            after = found.next;
            if after.is_none() {
                return all;
            }
        }
    }
}

async fn user(store: &Store, handle: &str) -> User {
    account(store, handle, Role::Creator).await
}

async fn account(store: &Store, handle: &str, role: Role) -> User {
    let new = NewUser { handle, display_name: handle, email: None, password_hash: "x", role, state: UserState::Active };
    store.create_user(&new).await.unwrap()
}

fn file<'a>(kind: FileKind, name: &'a str, object_key: &'a str) -> NewFile<'a> {
    NewFile { kind, name, object_key, size: 100, media_type: "video/mp4", width: 0, height: 0, details: "" }
}

const WEEK: Duration = Duration::days(7);

#[tokio::test]
async fn lists_show_what_everybody_may_see_and_nothing_else() {
    let site = Site::new().await;
    let ready = site.ready("ready").await;
    assert!(ready.listed && ready.is_out() && ready.published_at.is_some());
    site.video("uploading").await;
    let failed = site.video("failed").await;
    site.store.set_video_state(&failed.id, VideoState::Failed, "no video").await.unwrap();
    for (short_id, visibility) in
        [("unlisted", Visibility::Unlisted), ("private", Visibility::Private), ("password", Visibility::Password)]
    {
        let video = site.store.create_video(&NewVideo { visibility, ..site.new_video(short_id) }).await.unwrap();
        site.store.set_video_state(&video.id, VideoState::Ready, "").await.unwrap();
    }
    for (short_id, review) in [("pending", Review::Pending), ("rejected", Review::Rejected)] {
        let video = site.store.create_video(&NewVideo { review, ..site.new_video(short_id) }).await.unwrap();
        let video = site.store.set_video_state(&video.id, VideoState::Ready, "").await.unwrap();
        assert!(video.published_at.is_none() && !video.is_out());
    }
    let trashed = site.ready("trashed").await;
    site.store.trash_video(&trashed.id, &site.owner.id, At::now().plus(WEEK)).await.unwrap();
    let later = NewVideo { publish_at: Some(At::now().plus(WEEK)), ..site.new_video("later") };
    let later = site.store.create_video(&later).await.unwrap();
    assert!(!site.store.set_video_state(&later.id, VideoState::Ready, "").await.unwrap().is_out());

    assert_eq!(site.listed(VideoFilter::default()).await, ["ready"]);
    assert_eq!(site.listed(VideoFilter { channel: Some(&site.channel.id), ..VideoFilter::default() }).await, ["ready"]);
    assert_eq!(site.listed(VideoFilter { category: "music", ..VideoFilter::default() }).await, ["ready"]);
    assert!(site.listed(VideoFilter { category: "art", ..VideoFilter::default() }).await.is_empty());
    let by_views = VideoFilter { order: VideoOrder::Views, ..VideoFilter::default() };
    assert_eq!(site.listed(by_views).await, ["ready"]);
}

#[tokio::test]
async fn lists_are_in_order_over_their_pages() {
    let site = Site::new().await;
    for n in 0..5 {
        let video = site.ready(&format!("v{n}")).await;
        for viewer in 0..[3, 1, 4, 1, 5][n] {
            site.store.note_view(&video.id, &[viewer; 32], 1).await.unwrap();
        }
    }
    assert_eq!(site.store.roll_up_views(0).await.unwrap(), 14);
    assert_eq!(site.listed(VideoFilter::default()).await, ["v4", "v3", "v2", "v1", "v0"]);
    let of_channel = VideoFilter { channel: Some(&site.channel.id), ..VideoFilter::default() };
    assert_eq!(site.listed(of_channel).await, ["v4", "v3", "v2", "v1", "v0"]);
    let by_views = VideoFilter { order: VideoOrder::Views, ..VideoFilter::default() };
    assert_eq!(site.listed(by_views).await, ["v4", "v2", "v0", "v3", "v1"]);
}

#[tokio::test]
async fn what_is_due_is_published_once() {
    let site = Site::new().await;
    let due = At::now().plus(WEEK);
    let new = NewVideo { publish_at: Some(due), ..site.new_video("later") };
    let video = site.store.create_video(&new).await.unwrap();
    site.store.set_video_state(&video.id, VideoState::Ready, "").await.unwrap();
    assert!(site.store.publish_due_videos(At(due.0 - 1)).await.unwrap().is_empty());
    let out = site.store.publish_due_videos(due).await.unwrap();
    assert!(out.len() == 1 && out[0].is_out() && out[0].listed && out[0].published_at.is_some());
    assert!(site.store.publish_due_videos(due).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_trashed_video_comes_back_whole_until_its_time_is_over() {
    let site = Site::new().await;
    let video = site.ready("one").await;
    site.store.put_files(&video.id, &[file(FileKind::Original, "", "a")]).await.unwrap();
    let purge_at = At::now().plus(WEEK);
    let trashed = site.store.trash_video(&video.id, &site.owner.id, purge_at).await.unwrap();
    assert!(!trashed.is_out() && trashed.play_epoch > video.play_epoch, "who watches is sent away");
    let again = site.store.trash_video(&video.id, &site.owner.id, purge_at.plus(WEEK)).await.unwrap();
    assert_eq!(again.purge_at, Some(purge_at), "a second time changes nothing");
    let moderator = user(&site.store, "mia").await;
    for by in [&moderator, &site.owner] {
        let taken = site.store.trash_video(&video.id, &by.id, purge_at).await.unwrap();
        assert_eq!(taken.trashed_by.as_ref(), Some(&moderator.id), "what a moderator throws away is that moderator's");
    }

    assert!(!site.store.purge_video(&video.id, At(purge_at.0 - 1)).await.unwrap(), "too early");
    assert!(site.store.garbage(purge_at, 10).await.unwrap().is_empty(), "and nothing of it is to be deleted");
    let late = site.store.restore_video(&video.id, Some(&site.owner.id), At(purge_at.0 - 1)).await;
    assert!(matches!(late, Err(Error::NotFound)), "nor does its owner bring it back who read that it is the own");
    let back = site.store.restore_video(&video.id, Some(&moderator.id), At(purge_at.0 - 1)).await.unwrap();
    assert!(back.is_out() && back.published_at == video.published_at);
    assert_eq!(site.store.files(&video.id).await.unwrap().len(), 1);
    assert!(!site.store.purge_video(&video.id, purge_at).await.unwrap(), "what was restored stays");

    site.store.trash_video(&video.id, &site.owner.id, purge_at).await.unwrap();
    let late = site.store.restore_video(&video.id, Some(&site.owner.id), purge_at).await;
    assert!(matches!(late, Err(Error::NotFound)), "too late");
    assert_eq!(site.store.videos_to_purge(purge_at, 10).await.unwrap(), std::slice::from_ref(&video.id));
    assert!(site.store.purge_video(&video.id, purge_at).await.unwrap());
    assert!(!site.store.purge_video(&video.id, purge_at).await.unwrap(), "once more does no harm");
    assert_eq!(site.store.garbage(purge_at, 10).await.unwrap(), ["a"]);
    assert!(site.store.video(&video.id).await.unwrap().is_none());
    site.store.forget_garbage("a").await.unwrap();
    assert!(site.store.garbage(purge_at, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn all_of_an_account_go_and_come_back_together() {
    let site = Site::new().await;
    let moderator = user(&site.store, "mia").await;
    site.ready("one").await;
    site.ready("two").await;
    let own = site.ready("own").await;
    let purge_at = At::now().plus(WEEK);
    let own_end = At::now().plus(WEEK / 2);
    site.store.trash_video(&own.id, &site.owner.id, own_end).await.unwrap();
    let bad = site.ready("bad").await;
    site.store.trash_video(&bad.id, &moderator.id, purge_at).await.unwrap();
    let mut gone = site.store.trash_videos_of(&site.owner.id, &moderator.id, purge_at).await.unwrap();
    gone.sort();
    assert_eq!(gone, ["one", "own", "two"]);
    let read = async |id| site.store.video(id).await.unwrap().unwrap();
    let held = read(&own.id).await;
    assert_eq!(held.trashed_by.as_ref(), Some(&moderator.id), "nor is what was there its owner's to bring back");
    assert_eq!(held.purge_at, Some(purge_at), "and it is there as long as the others");
    // Two days later.
    let later = At::now().plus(WEEK / 3);
    let mut back = site.store.restore_videos_of(&site.owner.id, later).await.unwrap();
    back.sort();
    assert_eq!(back, ["one", "own", "two"], "what the moderator put there for itself stays there");
    let own = read(&own.id).await;
    assert_eq!(
        (own.trashed_by.as_ref(), own.trashed_at),
        (Some(&site.owner.id), held.trashed_at),
        "it is its owner's again"
    );
    let left = own.purge_at.unwrap().0 - later.0;
    assert!((left - WEEK.whole_milliseconds() as i64 / 2).abs() < 60_000, "for as long as it had left: {left} ms");
    let bad = read(&bad.id).await;
    assert_eq!((bad.trashed_by.as_ref(), bad.purge_at), (Some(&moderator.id), Some(purge_at)));
    // What came back by itself is no part of it any more.
    site.store.trash_videos_of(&site.owner.id, &moderator.id, purge_at).await.unwrap();
    let one = site.store.video_by_short_id("one").await.unwrap().unwrap().video;
    site.store.restore_video(&one.id, Some(&moderator.id), At::now()).await.unwrap();
    site.store.trash_video(&one.id, &moderator.id, purge_at).await.unwrap();
    assert_eq!(site.store.restore_videos_of(&site.owner.id, At::now()).await.unwrap(), ["two", "own"]);
    site.store.restore_video(&one.id, Some(&moderator.id), At::now()).await.unwrap();
    assert_eq!(site.listed(VideoFilter::default()).await, ["two", "one"]);
}

#[tokio::test]
async fn what_an_account_threw_away_at_once_is_its_own_again_after_another_did_so_too() {
    let site = Site::new().await;
    let moderator = user(&site.store, "mia").await;
    let (one, two) = (site.ready("one").await, site.ready("two").await);
    let (own_end, end) = (At::now().plus(WEEK / 2), At::now().plus(WEEK));
    let read = async |id| site.store.video(id).await.unwrap().unwrap();
    let trash_all = async |by: &User, end| {
        let mut all = site.store.trash_videos_of(&site.owner.id, &by.id, end).await.unwrap();
        all.sort();
        all
    };
    let restore_all = async || {
        let mut all = site.store.restore_videos_of(&site.owner.id, At::now()).await.unwrap();
        all.sort();
        all
    };
    assert_eq!(trash_all(&site.owner, own_end).await, ["one", "two"]);
    site.ready("new").await;
    assert_eq!(trash_all(&moderator, end).await, ["new", "one", "two"]);
    assert_eq!(read(&one.id).await.trashed_by.as_ref(), Some(&moderator.id), "nor does its owner bring it back");
    assert_eq!(restore_all().await, ["new", "one", "two"]);
    assert_eq!(site.listed(VideoFilter::default()).await, ["new"]);
    for id in [&one.id, &two.id] {
        let video = read(id).await;
        let left = video.purge_at.unwrap().0 - own_end.0;
        assert!(video.trashed_by.as_ref() == Some(&site.owner.id) && left.abs() < 60_000, "{left} ms");
    }

    // One of them a moderator takes away by itself: that is no part of either any more.
    site.store.trash_video(&two.id, &moderator.id, end).await.unwrap();
    assert_eq!(restore_all().await, ["one"]);
    assert_eq!(site.listed(VideoFilter::default()).await, ["new", "one"]);
    let two = read(&two.id).await;
    assert_eq!((two.trashed_by.as_ref(), two.purge_at), (Some(&moderator.id), Some(end)));
    // Nor is what came back ever again given to whom it was before.
    site.store.trash_video(&one.id, &moderator.id, end).await.unwrap();
    assert!(restore_all().await.is_empty());
    let one = read(&one.id).await;
    assert_eq!((one.trashed_by.as_ref(), one.purge_at), (Some(&moderator.id), Some(end)));
}

#[tokio::test]
async fn what_is_in_the_trash_is_not_made_again() {
    let site = Site::new().await;
    let video = site.ready("one").await;
    let retried = async || site.store.retry_video(&video.id, &NewJob::new("test.make", "{}".to_owned())).await;
    site.store.trash_video(&video.id, &site.owner.id, At::now().plus(WEEK)).await.unwrap();
    assert!(matches!(retried().await, Err(Error::Changed)));
    site.store.restore_video(&video.id, Some(&site.owner.id), At::now()).await.unwrap();
    retried().await.unwrap();
}

#[tokio::test]
async fn the_trash_of_all_is_listed_with_who_threw_away_what() {
    let site = Site::new().await;
    let moderator = user(&site.store, "mia").await;
    let (one, two) = (site.ready("one").await, site.ready("two").await);
    site.ready("kept").await;
    let end = At::now().plus(WEEK);
    site.store.trash_video(&two.id, &site.owner.id, end.plus(WEEK)).await.unwrap();
    let first = site.store.video(&two.id).await.unwrap().unwrap().trashed_at.unwrap();
    while At::now() <= first {}
    site.store.trash_video(&one.id, &moderator.id, end).await.unwrap();
    let listed = async |now: At| {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = site.store.trashed_videos(now, &PageRequest { limit: 1, after }).await.unwrap();
            all.extend(page.items.into_iter().map(|found| (found.listed.video.short_id, found.trasher.unwrap())));
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    };
    let (of_one, of_two) = (("one".to_owned(), "mia".to_owned()), ("two".to_owned(), "ada".to_owned()));
    assert_eq!(listed(At::now()).await, [of_one, of_two.clone()], "the last first");
    assert_eq!(listed(end).await, [of_two], "what is to be deleted now is not brought back");
}

#[tokio::test]
async fn a_file_in_the_place_of_another_makes_that_garbage() {
    let site = Site::new().await;
    let video = site.video("one").await;
    let files = [file(FileKind::Original, "", "a"), file(FileKind::Rendition, "720", "b")];
    site.store.put_files(&video.id, &files).await.unwrap();
    site.store.put_files(&video.id, &[file(FileKind::Rendition, "720", "c")]).await.unwrap();
    let keys = |files: Vec<File>| files.into_iter().map(|file| file.object_key).collect::<Vec<_>>();
    assert_eq!(keys(site.store.files(&video.id).await.unwrap()), ["a", "c"]);
    assert_eq!(site.store.garbage(At::now(), 10).await.unwrap(), ["b"]);
    site.store.delete_file(&video.id, FileKind::Original, "").await.unwrap();
    let again = site.store.delete_file(&video.id, FileKind::Original, "").await;
    assert!(matches!(again, Err(Error::NotFound)));
    assert!(site.store.refers_to("c").await.unwrap() && !site.store.refers_to("a").await.unwrap());

    // A job that comes too late leaves nothing behind.
    let gone = VideoId::new();
    let late = site.store.put_files(&gone, &[file(FileKind::Rendition, "480", "d")]).await;
    assert!(matches!(late, Err(Error::NotFound)));
    let mut garbage = site.store.garbage(At::now(), 10).await.unwrap();
    garbage.sort();
    assert_eq!(garbage, ["a", "b", "d"]);
}

#[tokio::test]
async fn with_a_channel_or_an_account_goes_what_it_stored() {
    let site = Site::new().await;
    let video = site.ready("one").await;
    site.store.put_files(&video.id, &[file(FileKind::Original, "", "a")]).await.unwrap();
    let new = NewChannel { owner_id: &site.owner.id, handle: "second", title: "S", search_text: "", most: 9 };
    let second = site.store.create_channel(&new).await.unwrap();
    let other = NewVideo { channel_id: &second.id, ..site.new_video("two") };
    let other = site.store.create_video(&other).await.unwrap();
    site.store.put_files(&other.id, &[file(FileKind::Original, "", "b")]).await.unwrap();
    let upload =
        NewUpload { user_id: &site.owner.id, length: 7, metadata: "", expires_at: At::now(), most: 1, quota: i64::MAX };
    site.store.create_upload(&site.new_video("three"), &upload).await.unwrap();
    assert_eq!(site.store.stored_bytes_of(&site.owner.id).await.unwrap(), 207);
    let refused = site.store.delete_channel(&site.channel.id).await;
    assert!(matches!(refused, Err(Error::InUse(2))), "a video, and an upload on its way: {refused:?}");
    assert!(site.store.garbage(At::now(), 10).await.unwrap().is_empty());
    site.store.trash_videos_of(&site.owner.id, &site.owner.id, At::now().plus(WEEK)).await.unwrap();
    site.store.restore_video(&other.id, Some(&site.owner.id), At::now()).await.unwrap();
    site.store.delete_channel(&site.channel.id).await.unwrap();
    assert!(matches!(site.store.delete_channel(&site.channel.id).await, Err(Error::NotFound)));
    assert_eq!(site.store.garbage(At::now(), 10).await.unwrap(), ["a"]);
    account(&site.store, "root", Role::Admin).await;
    site.store.delete_user(&site.owner.id).await.unwrap();
    let mut garbage = site.store.garbage(At::now(), 10).await.unwrap();
    garbage.sort();
    assert_eq!(garbage, ["a", "b"]);
}

#[tokio::test]
async fn uploads_are_so_many_and_end() {
    let site = Site::new().await;
    let two = site.video("two").await;
    let end = At::now().plus(WEEK);
    let new = NewUpload {
        user_id: &site.owner.id,
        length: 1 << 33,
        metadata: "filename YQ==",
        expires_at: end,
        most: 1,
        quota: i64::MAX,
    };
    let (one, upload) = site.store.create_upload(&site.new_video("one"), &new).await.unwrap();
    let second = site.store.create_upload(&site.new_video("more"), &new).await;
    assert!(matches!(second, Err(Error::TooMany(_))));
    let large = NewUpload { quota: (1 << 34) - 1, most: 2, ..new };
    let large = site.store.create_upload(&site.new_video("more"), &large).await;
    assert!(matches!(large, Err(Error::OverQuota)), "what is on its way counts: {large:?}");
    assert!(site.store.video_by_short_id("more").await.unwrap().is_none(), "nor is there its video");
    assert_eq!(site.store.upload(&upload.id).await.unwrap().unwrap().length, 1 << 33);
    site.store.prolong_upload(&upload.id, end.plus(WEEK)).await.unwrap();
    assert!(site.store.expired_uploads(end, 10).await.unwrap().is_empty());
    assert_eq!(site.store.expired_uploads(end.plus(WEEK), 10).await.unwrap().len(), 1);
    assert_eq!(site.store.announced_bytes().await.unwrap(), 1 << 33);
    assert!(!site.store.expire_upload(&upload.id, end).await.unwrap(), "more of it came");
    assert!(site.store.expire_upload(&upload.id, end.plus(WEEK)).await.unwrap());
    assert!(!site.store.delete_upload(&upload.id).await.unwrap());
    assert!(site.store.video(&one.id).await.unwrap().is_none(), "nothing is left of what never came");
    assert!(site.store.video(&two.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_viewer_counts_once_a_day() {
    let site = Site::new().await;
    let video = site.ready("one").await;
    for day in [1, 1, 2] {
        site.store.note_view(&video.id, &[7; 32], day).await.unwrap();
        site.store.roll_up_views(0).await.unwrap();
    }
    site.store.roll_up_views(3).await.unwrap();
    let views = || async { site.store.video(&video.id).await.unwrap().unwrap().views };
    assert_eq!(views().await, 2);
    site.store.roll_up_views(3).await.unwrap();
    assert_eq!(views().await, 2, "what is forgotten is not uncounted");
}

#[tokio::test]
async fn likes_are_counted_by_account() {
    let site = Site::new().await;
    let video = site.ready("one").await;
    let viewer = user(&site.store, "vera").await;
    for (likes, count) in [(true, 1), (true, 1), (false, 0), (false, 0)] {
        assert_eq!(site.store.like_video(&video.id, &viewer.id, likes).await.unwrap(), count);
        assert_eq!(site.store.likes_video(&video.id, &viewer.id).await.unwrap(), likes);
    }
    assert!(matches!(site.store.like_video(&VideoId::new(), &viewer.id, true).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn moderators_see_what_waits_and_what_is_reported() {
    let site = Site::new().await;
    let new = NewVideo { review: Review::Pending, ..site.new_video("waits") };
    let video = site.store.create_video(&new).await.unwrap();
    site.store.set_video_state(&video.id, VideoState::Ready, "").await.unwrap();
    let page = PageRequest { limit: 10, after: None };
    assert_eq!(site.store.videos_in_review(&page).await.unwrap().items.len(), 1);
    assert_eq!(site.store.approved_videos_of(&site.owner.id).await.unwrap(), 0);
    let entry = NewAuditEntry { actor: "max", action: Action::ReviewVideo, subject: "waits", address: "", details: "" };
    let approve = async |version| site.store.review_video(&video.id, version, Review::Approved, "", &entry).await;
    let noted = async || site.store.audit_log(&page).await.unwrap().items.len();
    assert!(matches!(approve(video.version + 1).await, Err(Error::Changed)));
    assert_eq!(noted().await, 0, "nothing was decided");
    let approved = approve(video.version).await.unwrap();
    assert_eq!(noted().await, 1);
    assert!(approved.listed && approved.published_at.is_some());
    assert!(site.store.videos_in_review(&page).await.unwrap().items.is_empty());
    assert_eq!(site.store.approved_videos_of(&site.owner.id).await.unwrap(), 1);

    let viewer = user(&site.store, "vera").await;
    for words in ["first", "better words"] {
        let report = NewReport { video_id: &video.id, reporter_id: &viewer.id, reason: ReportReason::Spam, words };
        site.store.report_video(&report).await.unwrap();
    }
    let reports = site.store.open_reports(&page).await.unwrap().items;
    assert_eq!(reports.len(), 1);
    let new = NewVideo { review: Review::Pending, ..site.new_video("comes") };
    let coming = site.store.create_video(&new).await.unwrap();
    assert_eq!(site.store.count_for_moderators().await.unwrap(), 1, "nobody can watch the other yet");
    site.store.set_video_state(&coming.id, VideoState::Ready, "").await.unwrap();
    assert_eq!(site.store.count_for_moderators().await.unwrap(), 2);
    for id in [&video.id, &coming.id] {
        site.store.trash_video(id, &site.owner.id, At::now().plus(WEEK)).await.unwrap();
    }
    assert_eq!(site.store.count_for_moderators().await.unwrap(), 0, "what is in the trash needs no decision");
    assert!(site.store.open_reports(&page).await.unwrap().items.is_empty());
    site.store.restore_video(&video.id, Some(&site.owner.id), At::now()).await.unwrap();
    assert_eq!((reports[0].words.as_str(), reports[0].reporter.as_deref()), ("better words", Some("vera")));
    for (closed, entries) in [(1, 2), (0, 2)] {
        assert_eq!(site.store.close_reports(&video.id, &entry).await.unwrap(), closed);
        assert_eq!(noted().await, entries, "what changes nothing is not noted");
    }
    assert!(site.store.open_reports(&page).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn what_is_stored_is_summed_by_kind_and_account() {
    let site = Site::new().await;
    assert!(site.store.stored_by_kind().await.unwrap().is_empty());
    let (one, two) = (site.ready("one").await, site.ready("two").await);
    let files = [file(FileKind::Original, "", "a"), file(FileKind::Rendition, "720", "b")];
    site.store.put_files(&one.id, &files).await.unwrap();
    site.store.put_files(&two.id, &[file(FileKind::Rendition, "480", "c")]).await.unwrap();
    let kinds = site.store.stored_by_kind().await.unwrap();
    let sums: Vec<_> = kinds.iter().map(|of| (of.kind, of.files, of.bytes)).collect();
    assert_eq!(sums, [(FileKind::Rendition, 2, 200), (FileKind::Original, 1, 100)]);
    // Both have as much, so that the order among them must hold across pages.
    let vera = user(&site.store, "vera").await;
    let new = NewChannel { owner_id: &vera.id, handle: "vera", title: "Vera", search_text: "", most: 9 };
    let channel = site.store.create_channel(&new).await.unwrap();
    let hers = NewVideo { channel_id: &channel.id, ..site.new_video("hers") };
    let hers = site.store.create_video(&hers).await.unwrap();
    let files = ["x", "y", "z"].map(|key| file(FileKind::Rendition, key, key));
    site.store.put_files(&hers.id, &files).await.unwrap();
    let first = site.store.stored_by_user(&PageRequest { limit: 1, after: None }).await.unwrap();
    let second = site.store.stored_by_user(&PageRequest { limit: 1, after: first.next }).await.unwrap();
    let of =
        |handle: &str, videos| StoredOfUser { handle: handle.into(), display_name: handle.into(), videos, bytes: 300 };
    assert_eq!((first.items, second.items, second.next), (vec![of("ada", 2)], vec![of("vera", 1)], None));
    site.store.add_garbage("d").await.unwrap();
    site.store.add_garbage_later("e").await.unwrap();
    assert_eq!(site.store.count_garbage(At::now()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_video_that_was_changed_meanwhile_is_not_overwritten() {
    let site = Site::new().await;
    let video = site.ready("one").await;
    let change = VideoChange { title: Some("New"), ..VideoChange::default() };
    let new = site.store.update_video(&video.id, video.version, &change).await.unwrap();
    assert_eq!((new.title.as_str(), new.play_epoch), ("New", video.play_epoch));
    assert!(matches!(site.store.update_video(&video.id, video.version, &change).await, Err(Error::Changed)));
    let hide = VideoChange { visibility: Some(Visibility::Private), ..VideoChange::default() };
    let hidden = site.store.update_video(&video.id, new.version, &hide).await.unwrap();
    assert!(hidden.play_epoch > new.play_epoch && !hidden.listed);
    let shelf = site.store.videos_of(&site.owner.id, Shelf::Kept, &PageRequest { limit: 9, after: None }).await;
    assert_eq!(shelf.unwrap().items.len(), 1);
}

#[tokio::test]
async fn an_upload_is_received_once_with_the_job_that_goes_on() {
    let site = Site::new().await;
    let new = NewUpload {
        user_id: &site.owner.id,
        length: 100,
        metadata: "",
        expires_at: At::now().plus(WEEK),
        most: 1,
        quota: i64::MAX,
    };
    let (video, upload) = site.store.create_upload(&site.new_video("one"), &new).await.unwrap();
    site.store.seal_upload(&upload.id, "a").await.unwrap();
    let state = || async { site.store.video(&video.id).await.unwrap().unwrap().state };
    assert_eq!(state().await, VideoState::Received);
    assert_eq!(site.store.sealed_uploads().await.unwrap().len(), 1);
    let other = site.store.seal_upload(&upload.id, "b").await;
    assert!(matches!(other, Err(Error::NotFound)), "its place is settled once");
    assert!(site.store.refers_to("a").await.unwrap() && !site.store.is_picture("a").await.unwrap());
    let later = new.expires_at.plus(WEEK);
    assert!(!site.store.expire_upload(&upload.id, later).await.unwrap(), "it does not rest: it is received");
    assert!(!site.store.delete_upload(&upload.id).await.unwrap());
    assert!(site.store.uploads_of(&site.owner.id).await.unwrap().is_empty(), "nothing more is to come");
    let job = NewJob::new("video.process", "{}".to_owned()).about("one");
    site.store.receive_upload(&upload.id, &file(FileKind::Original, "", "a"), &job).await.unwrap();
    let again = site.store.receive_upload(&upload.id, &file(FileKind::Original, "", "b"), &job).await;
    assert!(matches!(again, Err(Error::NotFound)));
    assert_eq!(state().await, VideoState::Received);
    assert!(site.store.sealed_uploads().await.unwrap().is_empty());
    assert_eq!(site.store.files(&video.id).await.unwrap().len(), 1);
    let page = PageRequest { limit: 9, after: None };
    assert_eq!(site.store.jobs(&JobFilter::default(), &page).await.unwrap().items.len(), 1);
    assert_eq!(site.store.stored_bytes_of(&site.owner.id).await.unwrap(), 100, "it is counted once");
    assert!(site.store.delete_upload(&upload.id).await.unwrap());
    assert_eq!(state().await, VideoState::Received, "what was received stays");
}
