//! What runners do with jobs.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use millrace_jobs::{Config, GaveUp, Work};
use millrace_store::testing::fresh_store;
use millrace_store::{At, Claim, JobOutcome, JobState, Kind, NewJob};
use tempfile::tempdir;

use crate::puppet::{Act, Event, Other, Play, Runs, Stage, brisk, enqueue, patient, two_nodes, until};

#[tokio::test]
async fn two_nodes_share_jobs_and_do_none_twice() {
    const JOBS: usize = 60;
    let directory = tempdir().unwrap();
    let (here, there) = two_nodes(directory.path()).await;
    let mut ids = HashSet::new();
    for _ in 0..JOBS {
        ids.insert(enqueue(&here, &Play(Act::Succeed)).await);
    }
    let mut stage = Stage::new();
    let config = Config { other_slots: 4, ..patient() };
    let (one, other) = (stage.runner(&here, config.clone()), stage.runner(&there, config));
    let (first, second) = tokio::join!(one.run_until_idle(), other.run_until_idle());
    first.and(second).unwrap();
    let began: Vec<_> = stage
        .rest()
        .into_iter()
        .filter_map(|event| match event {
            Event::Began(id, 1) => Some(id),
            Event::Ended(_) => None,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(began.len(), JOBS, "none twice");
    assert_eq!(began.into_iter().collect::<HashSet<_>>(), ids);
    for id in ids {
        assert_eq!(here.job(&id).await.unwrap().unwrap().state, JobState::Done);
    }
    let done = [&one, &other].map(|runner| runner.metrics());
    let [one, other] = done;
    assert_eq!(one.await.unwrap().kinds[1].done_total + other.await.unwrap().kinds[1].done_total, JOBS as u64);
}

#[tokio::test]
async fn a_job_whose_worker_dies_is_taken_up_by_another() {
    let directory = tempdir().unwrap();
    let (here, there) = two_nodes(directory.path()).await;
    let mut stage = Stage::new();
    let id = enqueue(&here, &Play(Act::Wait)).await;
    let dies = Runs::start(&stage.runner(&here, brisk()));
    assert_eq!(stage.next().await, Event::Began(id.clone(), 1));
    let lives = Runs::start(&stage.runner(&there, Config { worker: "lives".to_owned(), ..brisk() }));
    let later = enqueue(&there, &Other(Act::Succeed)).await;
    until(&there, &later, |job| job.state == JobState::Done).await;
    while stage.next().await != Event::Ended(later.clone()) {}
    dies.task.abort();
    assert_eq!(stage.next().await, Event::Ended(id.clone()), "what it did ends with it");
    assert_eq!(stage.next().await, Event::Began(id.clone(), 2));
    stage.go.add_permits(1);
    let done = until(&here, &id, |job| job.state == JobState::Done).await;
    assert_eq!((done.attempts, done.worker.as_deref(), done.error), (2, Some("lives"), None));
    lives.stop().await;
}

#[tokio::test]
async fn a_lease_is_renewed_for_as_long_as_the_job_takes() {
    let directory = tempdir().unwrap();
    let (here, there) = two_nodes(directory.path()).await;
    let mut stage = Stage::new();
    let id = enqueue(&here, &Play(Act::Wait)).await;
    let has = Runs::start(&stage.runner(&here, brisk()));
    let first = until(&here, &id, |job| job.state == JobState::Running).await;
    let wants = Runs::start(&stage.runner(&there, brisk()));
    // Twice the lease that it was taken with.
    let renewed = At(first.due_at.unwrap().0 + 1500);
    until(&here, &id, |job| job.due_at.unwrap() > renewed).await;
    stage.go.add_permits(1);
    let done = until(&here, &id, |job| job.state == JobState::Done).await;
    assert_eq!(done.attempts, 1);
    assert_eq!(stage.rest(), [Event::Began(id.clone(), 1), Event::Ended(id)]);
    has.stop().await;
    wants.stop().await;
}

#[tokio::test]
async fn who_lost_the_lease_stops_and_writes_nothing() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let id = enqueue(&store, &Play(Act::Wait)).await;
    let runner = stage.runner(&store, brisk());
    let runs = Runs::start(&runner);
    assert_eq!(stage.next().await, Event::Began(id.clone(), 1));
    // By a clock that is an hour ahead the lease is over.
    let ahead = At::now().plus(time::Duration::HOUR);
    let claim = store.claim_job(Play::KIND, "thief", ahead, time::Duration::HOUR).await.unwrap();
    let Claim::Job(stolen) = claim else { panic!("{claim:?}") };
    assert_eq!(stage.next().await, Event::Ended(id.clone()), "it is told");
    runs.stop().await;
    assert_eq!(store.job(&id).await.unwrap().as_ref(), Some(&*stolen), "and writes nothing");
    assert!(store.settle_job(&stolen.lease(), &JobOutcome::Done).await.unwrap());
    assert_eq!(stage.rest(), [], "nor tells anybody");
    assert_eq!(runner.metrics().await.unwrap().kinds[1].lost_total, 1);
}

#[tokio::test]
async fn a_job_that_runs_is_cancelled_at_once() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let runner = stage.runner(&store, patient());
    let runs = Runs::start(&runner);
    let id = enqueue(&store, &Play(Act::Wait)).await;
    assert_eq!(stage.next().await, Event::Began(id.clone(), 1));
    store.cancel_job(&id).await.unwrap();
    assert_eq!(stage.next().await, Event::Ended(id.clone()));
    assert_eq!(stage.next().await, Event::GaveUp(id.clone(), GaveUp::Cancelled));
    let job = until(&store, &id, |job| job.ended_at.is_some()).await;
    assert_eq!((job.state, job.error), (JobState::Cancelled, None));
    runs.stop().await;
    assert_eq!(runner.metrics().await.unwrap().kinds[1].cancelled_total, 1);
}

#[tokio::test]
async fn a_job_is_cancelled_where_nobody_could_be_told() {
    let directory = tempdir().unwrap();
    let (here, there) = two_nodes(directory.path()).await; // on SQLite they do not hear of each other
    let mut stage = Stage::new();
    let runs = Runs::start(&stage.runner(&here, brisk()));
    let id = enqueue(&there, &Play(Act::Wait)).await;
    assert_eq!(stage.next().await, Event::Began(id.clone(), 1), "found by a look");
    there.cancel_job(&id).await.unwrap();
    until(&there, &id, |job| job.state == JobState::Cancelled).await;
    runs.stop().await;
}

#[tokio::test]
async fn what_does_not_hear_that_it_is_cancelled_is_dropped() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let runs = Runs::start(&stage.runner(&store, Config { grace: Duration::from_millis(10), ..patient() }));
    let id = enqueue(&store, &Play(Act::Deaf)).await;
    assert_eq!(stage.next().await, Event::Began(id.clone(), 1));
    store.cancel_job(&id).await.unwrap();
    assert_eq!(stage.next().await, Event::Ended(id.clone()));
    until(&store, &id, |job| job.state == JobState::Cancelled).await;
    runs.stop().await;
}

#[tokio::test]
async fn what_is_cancelled_before_it_begins_never_does() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let id = enqueue(&store, &Play(Act::Succeed)).await;
    assert_eq!(store.cancel_job(&id).await.unwrap().state, JobState::Cancelled);
    stage.runner(&store, patient()).run_until_idle().await.unwrap();
    assert_eq!(stage.rest(), []);
}

#[tokio::test]
async fn what_is_cancelled_while_its_worker_is_dead_is_ended_by_another() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let id = enqueue(&store, &Play(Act::Succeed)).await;
    let now = At::now();
    store.claim_job(Play::KIND, "dead", now, time::Duration::ZERO).await.unwrap();
    assert_eq!(store.cancel_job(&id).await.unwrap().state, JobState::Running);
    stage.runner(&store, patient()).run_until_idle().await.unwrap();
    assert_eq!(stage.rest(), [Event::GaveUp(id.clone(), GaveUp::Cancelled)]);
    assert_eq!(store.job(&id).await.unwrap().unwrap().state, JobState::Cancelled);
}

#[tokio::test]
async fn an_attempt_that_failed_is_repeated_until_the_last() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let runner = stage.runner(&store, patient());
    let runs = Runs::start(&runner);
    let id = enqueue(&store, &Play(Act::Fail)).await;
    let job = until(&store, &id, |job| job.state == JobState::Failed).await;
    assert_eq!((job.attempts, job.error.as_deref()), (3, Some("there was no room")));
    let attempt = |n| [Event::Began(id.clone(), n), Event::Ended(id.clone())];
    let mut expected: Vec<_> = (1..=3).flat_map(attempt).collect();
    expected.push(Event::GaveUp(id.clone(), GaveUp::Failed("there was no room".to_owned())));
    assert_eq!(stage.rest(), expected);
    let metrics = runner.metrics().await.unwrap().kinds.swap_remove(1);
    assert_eq!(
        (metrics.kind.as_str(), metrics.retried_total, metrics.failed_total, metrics.failed),
        (Play::KIND, 2, 1, 1)
    );
    // Somebody wants it once more.
    store.retry_job(&id).await.unwrap();
    assert_eq!(stage.next().await, Event::Began(id.clone(), 1));
    until(&store, &id, |job| job.state == JobState::Failed).await;
    runs.stop().await;
}

#[tokio::test]
async fn between_attempts_a_job_waits() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let id = enqueue(&store, &Play(Act::Fail)).await;
    let config = Config { backoff: millrace_jobs::Backoff::default(), ..patient() };
    stage.runner(&store, config).run_until_idle().await.unwrap();
    assert_eq!(stage.rest(), [Event::Began(id.clone(), 1), Event::Ended(id.clone())]);
    let job = store.job(&id).await.unwrap().unwrap();
    assert_eq!((job.state, job.error.as_deref()), (JobState::Waiting, Some("there was no room")));
    let wait = job.due_at.unwrap().0 - job.started_at.unwrap().0;
    assert!(wait >= 7_500, "three quarters of ten seconds: {wait} ms");
}

#[tokio::test]
async fn what_will_never_work_is_tried_once() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let stage = Stage::new();
    let no_video = enqueue(&store, &Play(Act::FailForGood)).await;
    let nonsense = store.enqueue(&NewJob::new(Play::KIND, "{\"from\": \"a newer version\"}".to_owned())).await;
    let nonsense = nonsense.unwrap().unwrap();
    stage.runner(&store, patient()).run_until_idle().await.unwrap();
    for (id, words) in [(no_video, "it is no video"), (nonsense, "this version does not understand")] {
        let job = store.job(&id).await.unwrap().unwrap();
        assert_eq!((job.state, job.attempts), (JobState::Failed, 1));
        assert!(job.error.as_ref().unwrap().contains(words), "{:?}", job.error);
    }
}

#[tokio::test]
async fn a_job_does_not_end_before_whoever_waits_for_it_is_told() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    stage.untold.store(2, Ordering::Relaxed);
    let id = enqueue(&store, &Play(Act::FailForGood)).await;
    let runs = Runs::start(&stage.runner(&store, patient()));
    until(&store, &id, |job| job.state == JobState::Failed).await;
    let told = Event::GaveUp(id.clone(), GaveUp::Failed("it is no video".to_owned()));
    let mut expected = vec![Event::Began(id.clone(), 1), Event::Ended(id.clone())];
    expected.extend([told.clone(), told.clone(), told]);
    assert_eq!(stage.rest(), expected);
    runs.stop().await;
}

#[tokio::test]
async fn what_nobody_could_be_told_is_left_to_the_next_worker() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    stage.untold.store(u32::MAX, Ordering::Relaxed);
    let id = enqueue(&store, &Play(Act::FailForGood)).await;
    let runs = Runs::start(&stage.runner(&store, Config { drain: Duration::ZERO, grace: Duration::ZERO, ..patient() }));
    while !matches!(stage.next().await, Event::GaveUp(..)) {}
    runs.stop().await;
    let job = store.job(&id).await.unwrap().unwrap();
    assert_eq!((job.state, job.ended_at), (JobState::Waiting, None));
    stage.untold.store(0, Ordering::Relaxed);
    stage.runner(&store, patient()).run_until_idle().await.unwrap();
    assert_eq!(store.job(&id).await.unwrap().unwrap().state, JobState::Failed);
}

#[tokio::test]
async fn a_panic_is_an_attempt_that_failed() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let stage = Stage::new();
    let id = enqueue(&store, &Play(Act::Panic)).await;
    let good = enqueue(&store, &Play(Act::Succeed)).await;
    let runs = Runs::start(&stage.runner(&store, patient()));
    let job = until(&store, &id, |job| job.state == JobState::Failed).await;
    assert_eq!((job.attempts, job.error.as_deref()), (3, Some("a fault of the program: out of cheese")));
    until(&store, &good, |job| job.state == JobState::Done).await;
    runs.stop().await;
}

#[tokio::test]
async fn a_job_that_kills_its_workers_is_given_up() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let id = enqueue(&store, &Play(Act::Succeed)).await;
    for _ in 0..Play::ATTEMPTS {
        let claim = store.claim_job(Play::KIND, "dead", At::now(), time::Duration::ZERO).await.unwrap();
        assert!(matches!(claim, Claim::Job(_)), "{claim:?}");
    }
    stage.runner(&store, patient()).run_until_idle().await.unwrap();
    let job = store.job(&id).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Failed);
    assert_eq!(stage.rest(), [Event::GaveUp(id, GaveUp::Failed(job.error.unwrap()))], "who waits for it is told");
}

#[tokio::test]
async fn so_many_run_of_each_kind_and_in_all() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let mut kinds = HashMap::new();
    for _ in 0..5 {
        kinds.insert(enqueue(&store, &Play(Act::Wait)).await, 0);
        kinds.insert(enqueue(&store, &Other(Act::Wait)).await, 1);
    }
    let kind_slots = [(Play::KIND.to_owned(), 2)].into();
    let runner = stage.runner(&store, Config { slots: 4, kind_slots, other_slots: 3, ..patient() });
    let runs = Runs::start(&runner);
    let (mut now, mut most, mut most_in_all, mut ended) = ([0, 0], [0, 0], 0, 0);
    while ended < kinds.len() {
        match stage.next().await {
            Event::Began(id, _) => now[kinds[&id]] += 1,
            Event::Ended(id) => {
                now[kinds[&id]] -= 1;
                ended += 1;
            }
            other @ Event::GaveUp(..) => panic!("{other:?}"),
        }
        most = [most[0].max(now[0]), most[1].max(now[1])];
        most_in_all = most_in_all.max(now[0] + now[1]);
        let left = kinds.len() - ended;
        if now[0] + now[1] == 4.min(left) || now[0] + now[1] == left {
            stage.go.add_permits(1);
        }
    }
    assert!(most[0] <= 2 && most[1] <= 3 && most_in_all == 4, "{most:?}, {most_in_all} in all");
    runs.stop().await;
}

#[tokio::test]
async fn a_kind_without_room_keeps_no_other_waiting() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let runs = Runs::start(&stage.runner(&store, patient()));
    let long = enqueue(&store, &Play(Act::Wait)).await;
    enqueue(&store, &Play(Act::Wait)).await;
    assert_eq!(stage.next().await, Event::Began(long, 1));
    let short = enqueue(&store, &Other(Act::Succeed)).await;
    until(&store, &short, |job| job.state == JobState::Done).await;
    stage.go.add_permits(2);
    runs.stop().await;
}

#[tokio::test]
async fn kinds_without_slots_are_left_to_others() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let id = enqueue(&store, &Play(Act::Succeed)).await;
    let kind_slots = [(Play::KIND.to_owned(), 0)].into();
    stage.runner(&store, Config { kind_slots, ..patient() }).run_until_idle().await.unwrap();
    assert_eq!(stage.rest(), []);
    assert_eq!(store.job(&id).await.unwrap().unwrap().state, JobState::Waiting);
}

#[tokio::test]
async fn jobs_come_to_their_end_before_a_runner_does() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let runs = Runs::start(&stage.runner(&store, patient()));
    let id = enqueue(&store, &Play(Act::Wait)).await;
    assert_eq!(stage.next().await, Event::Began(id.clone(), 1));
    let late = enqueue(&store, &Play(Act::Succeed)).await;
    runs.stop.cancel();
    stage.go.add_permits(1);
    runs.ends().await;
    assert_eq!(store.job(&id).await.unwrap().unwrap().state, JobState::Done);
    assert_eq!(store.job(&late).await.unwrap().unwrap().state, JobState::Waiting, "no other was begun");
}

#[tokio::test]
async fn what_a_runner_cannot_end_it_gives_back() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let config = Config { drain: Duration::ZERO, grace: Duration::from_millis(10), other_slots: 2, ..patient() };
    let runs = Runs::start(&stage.runner(&store, config));
    let ids = [enqueue(&store, &Play(Act::Wait)).await, enqueue(&store, &Play(Act::Deaf)).await];
    for _ in &ids {
        assert!(matches!(stage.next().await, Event::Began(_, 1)));
    }
    runs.stop().await;
    for id in &ids {
        let job = store.job(id).await.unwrap().unwrap();
        assert_eq!((job.state, job.attempts, job.error), (JobState::Waiting, 0, None));
        assert!(job.due_at.unwrap() <= At::now());
    }
    assert_eq!(stage.rest().len(), 2, "both have ended, and none was given up");
    stage.go.add_permits(1);
    let next = Runs::start(&stage.runner(&store, patient()));
    assert_eq!(stage.next().await, Event::Began(ids[0].clone(), 1), "another takes it at once");
    until(&store, &ids[0], |job| job.state == JobState::Done).await;
    next.task.abort();
}

#[tokio::test]
async fn progress_is_seen() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let progress_every = Duration::from_millis(1);
    let runs = Runs::start(&stage.runner(&store, Config { progress_every, ..patient() }));
    let id = enqueue(&store, &Play(Act::Tell)).await;
    let job = until(&store, &id, |job| job.progress > 0).await;
    assert_eq!((job.state, job.progress, job.progress_note.as_str()), (JobState::Running, 420, "reading"));
    assert_eq!(stage.next().await, Event::Began(id.clone(), 1));
    stage.go.add_permits(1);
    let done = until(&store, &id, |job| job.state == JobState::Done).await;
    assert_eq!(done.progress, 1000);
    runs.stop().await;

    // What was said last is not lost, however short the job was.
    let id = enqueue(&store, &Play(Act::Tell)).await;
    let runs = Runs::start(&stage.runner(&store, patient()));
    stage.go.add_permits(1);
    let done = until(&store, &id, |job| job.state == JobState::Done).await;
    assert_eq!((done.progress, done.progress_note.as_str()), (1000, "reading"));
    runs.stop().await;
}

#[tokio::test]
async fn jobs_begin_when_they_are_enqueued_and_when_they_are_due() {
    let directory = tempdir().unwrap();
    let (here, there) = two_nodes(directory.path()).await;
    let mut stage = Stage::new();
    let runs = Runs::start(&stage.runner(&here, patient()));
    for _ in 0..3 {
        let id = enqueue(&here, &Play(Act::Succeed)).await;
        assert_eq!(stage.next().await, Event::Began(id.clone(), 1));
        assert_eq!(stage.next().await, Event::Ended(id));
    }
    let due = At::now().plus(time::Duration::milliseconds(50));
    let id = here.enqueue(&Play(Act::Succeed).job().at(due)).await.unwrap().unwrap();
    assert_eq!(stage.next().await, Event::Began(id.clone(), 1));
    assert!(At::now() >= due);
    assert_eq!(stage.next().await, Event::Ended(id));
    if there.kind() == Kind::Postgres {
        let id = enqueue(&there, &Play(Act::Succeed)).await;
        assert_eq!(stage.next().await, Event::Began(id, 1), "other nodes tell as well");
    }
    runs.stop().await;
}

#[tokio::test]
async fn what_there_is_to_do_is_measured() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let stage = Stage::new();
    let runner = stage.runner(&store, patient());
    let long_ago = At::now().plus(-time::Duration::HOUR);
    store.enqueue(&Play(Act::Succeed).job().at(long_ago)).await.unwrap();
    store.enqueue(&Play(Act::Succeed).job()).await.unwrap();
    store.enqueue(&NewJob::new("another.version", String::new())).await.unwrap();
    let metrics = runner.metrics().await.unwrap();
    let kinds: Vec<_> = metrics.kinds.iter().map(|kind| (kind.kind.as_str(), kind.waiting)).collect();
    assert_eq!(kinds, [("another.version", 1), (Other::KIND, 0), (Play::KIND, 2)]);
    let age = metrics.kinds[2].oldest_waiting;
    assert!(age >= Duration::from_secs(3600), "{age:?}");
    runner.run_until_idle().await.unwrap();
    let play = runner.metrics().await.unwrap().kinds.swap_remove(2);
    assert_eq!((play.waiting, play.running_here, play.done_total), (0, 0, 2));
    assert_eq!(play.oldest_waiting, Duration::ZERO);
}
