//! What is done at its times: publishing, deletion, counting, and a look at what is stored.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use millrace_jobs::{Context, Failure, Handler, Work};
use millrace_objects::Key;
use millrace_store::At;
use serde::{Deserialize, Serialize};

use crate::Workshop;
use crate::workshop::storage;

macro_rules! work {
    ($($(#[$doc:meta])* $name:ident = $kind:literal)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
        pub struct $name {}

        impl Work for $name {
            const KIND: &'static str = $kind;
        }
    )*};
}

work! {
    /// Publish the videos whose time has come.
    PublishVideos = "videos.publish"
    /// Delete for good the videos whose time in the trash is over.
    PurgeVideos = "videos.purge"
    /// Delete the objects that nothing refers to any more.
    CollectGarbage = "objects.collect"
    /// Give up uploads that rested too long, and remove what is left of others.
    ExpireUploads = "uploads.expire"
    /// Count views.
    RollUpViews = "views.roll_up"
    /// Compare what is stored with what is known of it.
    Reconcile = "storage.reconcile"
}

pub(super) struct Publishing(pub(super) Workshop);

impl Handler for Publishing {
    type Work = PublishVideos;

    async fn run(&self, job: &Context, _: PublishVideos) -> Result<(), Failure> {
        loop {
            job.go_on()?;
            let out = self.0.store.publish_due_videos(At::now()).await?;
            if out.is_empty() {
                return Ok(());
            }
            for video in out {
                tracing::info!(video = video.short_id, "a video is published at its time");
                self.0.changed(&video.short_id).await;
            }
        }
    }
}

pub(super) struct Purging(pub(super) Workshop);

impl Handler for Purging {
    type Work = PurgeVideos;

    async fn run(&self, job: &Context, _: PurgeVideos) -> Result<(), Failure> {
        let mut deleted = 0_u64;
        loop {
            let due = self.0.store.videos_to_purge(At::now(), BATCH).await?;
            if due.is_empty() {
                break;
            }
            for id in due {
                job.go_on()?;
                deleted += u64::from(self.0.store.purge_video(&id, At::now()).await?);
            }
            job.progress(500, format!("{deleted} videos deleted"));
        }
        if deleted > 0 {
            tracing::info!(videos = deleted, "videos are deleted for good");
            self.0.store.enqueue(&CollectGarbage {}.job().only("collect")).await?;
        }
        Ok(())
    }
}

pub(super) struct Collecting(pub(super) Workshop);

impl Handler for Collecting {
    type Work = CollectGarbage;

    async fn run(&self, job: &Context, _: CollectGarbage) -> Result<(), Failure> {
        loop {
            job.go_on()?;
            let garbage = self.0.store.garbage(At::now(), BATCH).await?;
            if garbage.is_empty() {
                return Ok(());
            }
            let keys: Vec<Key> = garbage.iter().filter_map(|key| Key::parse(key)).collect();
            for key in &keys {
                self.0.vod.forget(key);
            }
            // First the objects: what is forgotten before it is deleted would stay for ever.
            self.0.objects().delete_all(keys).await.map_err(storage)?;
            for key in &garbage {
                self.0.store.forget_garbage(key).await?;
            }
        }
    }
}

pub(super) struct Expiring(pub(super) Workshop);

impl Handler for Expiring {
    type Work = ExpireUploads;

    async fn run(&self, job: &Context, _: ExpireUploads) -> Result<(), Failure> {
        let Some(staging) = &self.0.staging else { return Ok(()) };
        let gone = |error: std::io::Error| Failure::retry(format!("the directory of uploads: {error}"));
        loop {
            let expired = self.0.store.expired_uploads(At::now(), BATCH).await?;
            if expired.is_empty() {
                break;
            }
            for upload in expired {
                job.go_on()?;
                // One that is whole and waits for its place is no longer an upload's to give up.
                if self.0.store.expire_upload(&upload.id, At::now()).await? {
                    staging.remove(&upload.id).await.map_err(gone)?;
                }
            }
        }
        // Files whose upload is gone: their account was deleted, or somebody ended in between.
        for id in staging.all().await.map_err(gone)? {
            if self.0.store.upload(&id).await?.is_none() {
                staging.remove(&id).await.map_err(gone)?;
            }
        }
        Ok(())
    }
}

pub(super) struct Counting(pub(super) Workshop);

impl Handler for Counting {
    type Work = RollUpViews;

    async fn run(&self, _: &Context, _: RollUpViews) -> Result<(), Failure> {
        let today = At::now().0 / DAY_MILLIS;
        self.0.store.roll_up_views(today - 1).await?;
        Ok(())
    }
}

pub(super) struct Reconciling(pub(super) Workshop);

impl Handler for Reconciling {
    type Work = Reconcile;

    async fn run(&self, job: &Context, _: Reconcile) -> Result<(), Failure> {
        let objects = self.0.objects();
        objects.sweep(GRACE).await.map_err(storage)?;
        // What nothing refers to, and is no longer new: a row may be about to be written.
        let (mut listing, mut orphans, mut seen) = (objects.list(), 0_u64, 0_u64);
        while let Some(entry) = listing.next().await {
            let entry = entry.map_err(storage)?;
            seen += 1;
            if seen.is_multiple_of(1000) {
                job.go_on()?;
                job.progress(250, format!("{seen} objects looked at"));
            }
            let age = SystemTime::now().duration_since(entry.modified).unwrap_or(Duration::ZERO);
            if age > GRACE && !self.0.store.refers_to(entry.key.as_str()).await? {
                tracing::warn!(key = %entry.key, bytes = entry.size, "an object that nothing refers to is removed");
                self.0.store.add_garbage(entry.key.as_str()).await?;
                orphans += 1;
            }
        }
        // What is referred to, and not there.
        let (mut after, mut missing, mut named) = (String::new(), HashSet::new(), Vec::new());
        loop {
            job.go_on()?;
            let files = self.0.store.files_from(&after, BATCH).await?;
            let Some(last) = files.last() else { break };
            after.clone_from(&last.object_key);
            for file in files {
                let Some(key) = Key::parse(&file.object_key) else { continue };
                match objects.size(&key).await {
                    Ok(size) if i64::try_from(size) == Ok(file.size) => {}
                    Ok(_) | Err(millrace_objects::Error::NotFound) => {
                        tracing::error!(%key, video = %file.video_id, kind = file.kind.as_str(), "a file is missing or cut off");
                        missing.insert(file.video_id);
                        if named.len() < MOST_NAMED {
                            named.push(file.object_key);
                        }
                    }
                    Err(error) => return Err(storage(error)),
                }
            }
        }
        self.0.store.set_missing_files(&named).await?;
        let note = format!("{seen} objects: {orphans} orphans removed, {} videos lack files", missing.len());
        job.progress(1000, note);
        Ok(())
    }
}

/// Rows that are taken at a time.
const BATCH: i64 = 100;
/// Files that are missing and said to be so by name; the log has them all.
const MOST_NAMED: usize = 50;
/// So old an object must be before it counts as forgotten.
const GRACE: Duration = Duration::from_secs(24 * 60 * 60);
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
