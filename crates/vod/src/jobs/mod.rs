//! The work on videos, as jobs.

mod housekeeping;
mod open;
mod pictures;
mod process;
mod transcode;

use millrace_jobs::{Context, Registry, Schedule};
use millrace_transcode::Progress;
use tokio::sync::watch;

pub use housekeeping::{CollectGarbage, ExpireUploads, PublishVideos, PurgeVideos, Reconcile, RollUpViews};
pub use millrace_jobs::Work;
pub use open::OpenVideo;
pub use pictures::MakePictures;
pub use process::ProcessVideo;
pub use transcode::MakeRendition;

use crate::Workshop;

/// Adds all that is done with videos to a registry, with its timers. What needs FFmpeg is done where there is one, and waits
/// for others elsewhere.
///
/// # Panics
/// Never: the schedules are constants that are tested.
#[must_use]
pub fn register(registry: Registry, workshop: &Workshop) -> Registry {
    let every = |text: &str| text.parse::<Schedule>().expect("it is a schedule");
    let mut registry = registry
        .handle(open::Opening(workshop.clone()))
        .handle(housekeeping::Publishing(workshop.clone()))
        .handle(housekeeping::Purging(workshop.clone()))
        .handle(housekeeping::Collecting(workshop.clone()))
        .handle(housekeeping::Reconciling(workshop.clone()))
        .handle(housekeeping::Counting(workshop.clone()));
    if let Some(ffmpeg) = &workshop.ffmpeg {
        registry = registry
            .handle(process::Processing(workshop.clone(), ffmpeg.clone()))
            .handle(pictures::Pictures(workshop.clone(), ffmpeg.clone()))
            .handle(transcode::Renditions(workshop.clone(), ffmpeg.clone()));
    }
    if workshop.staging.is_some() {
        registry = registry.handle(housekeeping::Expiring(workshop.clone()));
    }
    registry
        .every("videos.publish", every("* * * * *"), &PublishVideos {})
        .every("videos.purge", every("*/10 * * * *"), &PurgeVideos {})
        .every("objects.collect", every("*/5 * * * *"), &CollectGarbage {})
        .every("uploads.expire", every("7 * * * *"), &ExpireUploads {})
        .every("views.roll_up", every("* * * * *"), &RollUpViews {})
        .every("storage.reconcile", every("23 4 * * *"), &Reconcile {})
}

/// Passes on what FFmpeg says of its progress, between two places of a job's own, in thousandths.
pub(crate) async fn reporting<T>(
    job: &Context,
    (from, to): (u16, u16),
    note: &str,
    work: impl AsyncFnOnce(&watch::Sender<Progress>) -> T,
) -> T {
    let (sender, mut progress) = watch::channel(Progress::default());
    let telling = async {
        while progress.changed().await.is_ok() {
            let fraction = progress.borrow_and_update().fraction.clamp(0.0, 1.0);
            // Within 0 to 1000 by construction.
            job.progress(from + (f64::from(to - from) * fraction) as u16, note);
        }
        std::future::pending::<()>().await;
    };
    job.progress(from, note);
    tokio::select! {
        done = work(&sender) => done,
        () = telling => unreachable!("it waits for ever"),
    }
}
