//! The queue of jobs and the timers, on both databases.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashSet;
use std::path::Path;

use millrace_store::testing::fresh_postgres;
use millrace_store::*;
use time::Duration;
use tokio::task::JoinSet;

#[macro_use]
mod both;

on_both! {
    jobs_come_by_priority_and_then_by_when_they_are_due
    a_job_is_not_taken_before_it_is_due
    many_who_claim_at_once_share_the_jobs
    a_job_whose_worker_was_lost_is_taken_up_and_the_lost_one_can_write_nothing
    a_lease_that_is_renewed_is_kept
    an_attempt_that_failed_comes_again_and_one_that_was_given_back_does_not_count
    one_of_a_key_waits_or_runs
    what_waits_is_cancelled_at_once_and_what_runs_is_asked
    what_is_to_be_cancelled_does_not_wait_again
    jobs_about_a_subject_are_cancelled_together
    failed_jobs_are_done_again
    lists_are_filtered_and_come_by_page
    jobs_are_counted
    history_is_pruned
    words_are_bounded
    who_follows_hears_of_jobs
    a_timer_fires_once_for_all_who_see_it_due
    a_timer_with_another_schedule_is_planned_anew
    a_timer_waits_for_the_job_of_its_last_time
}

const LEASE: Duration = Duration::minutes(1);

fn job(kind: &'static str) -> NewJob {
    NewJob::new(kind, "{}".to_owned())
}

async fn enqueue(store: &Store, new: &NewJob) -> JobId {
    store.enqueue(new).await.unwrap().unwrap()
}

async fn claim(store: &Store, kind: &str, worker: &str, now: At) -> Job {
    match store.claim_job(kind, worker, now, LEASE).await.unwrap() {
        Claim::Job(job) => *job,
        other => panic!("{other:?}"),
    }
}

async fn get(store: &Store, id: &JobId) -> Job {
    store.job(id).await.unwrap().unwrap()
}

fn first(limit: u32) -> PageRequest {
    PageRequest { limit, after: None }
}

async fn jobs_come_by_priority_and_then_by_when_they_are_due(store: Store) {
    let now = At::now();
    let late = enqueue(&store, &job("a").at(now.plus(-Duration::SECOND))).await;
    let early = enqueue(&store, &job("a").at(now.plus(-Duration::MINUTE))).await;
    let urgent = enqueue(&store, &NewJob { priority: 5, ..job("a").at(now) }).await;
    let other = enqueue(&store, &job("b").at(now)).await;
    for id in [&urgent, &early, &late] {
        let job = claim(&store, "a", "w", now).await;
        assert_eq!((&job.id, job.state, job.attempts, job.worker.as_deref()), (id, JobState::Running, 1, Some("w")));
        assert_eq!((job.due_at, job.started_at), (Some(now.plus(LEASE)), Some(now)));
    }
    let none = store.claim_job("a", "w", now, LEASE).await.unwrap();
    assert_eq!(none, Claim::NotBefore(now.plus(LEASE)), "when the first lease ends");
    assert_eq!(claim(&store, "b", "w", now).await.id, other);
    assert_eq!(store.claim_job("c", "w", now, LEASE).await.unwrap(), Claim::Nothing);
}

async fn a_job_is_not_taken_before_it_is_due(store: Store) {
    let now = At::now();
    let then = now.plus(Duration::HOUR);
    let id = enqueue(&store, &NewJob { priority: 9, ..job("a").at(then) }).await;
    assert_eq!(store.claim_job("a", "w", now, LEASE).await.unwrap(), Claim::NotBefore(then));
    let due = enqueue(&store, &job("a").at(now)).await;
    assert_eq!(claim(&store, "a", "w", now).await.id, due, "one with more priority that is not due is no hindrance");
    assert_eq!(claim(&store, "a", "w", then).await.id, id);
}

async fn many_who_claim_at_once_share_the_jobs(store: Store) {
    const JOBS: usize = 60;
    let mut ids = HashSet::new();
    for _ in 0..JOBS {
        ids.insert(enqueue(&store, &job("a")).await);
    }
    let now = At::now();
    let mut workers = JoinSet::new();
    for number in 0..6 {
        let store = store.clone();
        workers.spawn(async move {
            let worker = format!("w{number}");
            let mut taken = Vec::new();
            while let Claim::Job(job) = store.claim_job("a", &worker, now, LEASE).await.unwrap() {
                assert_eq!(job.worker.as_deref(), Some(&*worker));
                taken.push(job.id);
            }
            taken
        });
    }
    let taken: Vec<JobId> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken.len(), JOBS, "none twice");
    assert_eq!(taken.into_iter().collect::<HashSet<_>>(), ids, "and each");
}

async fn a_job_whose_worker_was_lost_is_taken_up_and_the_lost_one_can_write_nothing(store: Store) {
    let now = At::now();
    let id = enqueue(&store, &job("a").at(now)).await;
    let lost = claim(&store, "a", "lost", now).await;
    let later = now.plus(LEASE);
    let taken = claim(&store, "a", "other", later).await;
    assert_eq!((&taken.id, taken.attempts, taken.worker.as_deref()), (&id, 2, Some("other")));
    let beat = store.renew_job(&lost.lease(), later, later.plus(LEASE), Some((500, "x"))).await.unwrap();
    assert_eq!(beat, Beat::Lost);
    let outcomes = [
        JobOutcome::Done,
        JobOutcome::Failed("no".to_owned()),
        JobOutcome::Again("no".to_owned(), later),
        JobOutcome::Cancelled,
        JobOutcome::GivenBack,
    ];
    for outcome in &outcomes {
        assert!(!store.settle_job(&lost.lease(), outcome).await.unwrap(), "{outcome:?}");
    }
    assert_eq!(get(&store, &id).await, taken);
    assert!(store.settle_job(&taken.lease(), &JobOutcome::Done).await.unwrap());
    let done = get(&store, &id).await;
    assert_eq!((done.state, done.due_at, done.progress, done.error), (JobState::Done, None, 1000, None));
    assert!(done.ended_at.is_some());
    for outcome in &outcomes {
        assert!(!store.settle_job(&taken.lease(), outcome).await.unwrap(), "it has ended: {outcome:?}");
    }
}

async fn a_lease_that_is_renewed_is_kept(store: Store) {
    let now = At::now();
    enqueue(&store, &job("a").at(now)).await;
    let held = claim(&store, "a", "w", now).await;
    let until = now.plus(LEASE * 3);
    assert_eq!(store.renew_job(&held.lease(), now, until, Some((250, "reading"))).await.unwrap(), Beat::Held);
    let next = store.claim_job("a", "other", now.plus(LEASE * 2), LEASE).await.unwrap();
    assert_eq!(next, Claim::NotBefore(until));
    assert_eq!(store.renew_job(&held.lease(), now, until, None).await.unwrap(), Beat::Held);
    let job = get(&store, &held.id).await;
    assert_eq!((job.progress, job.progress_note.as_str()), (250, "reading"), "what is not said stays");
}

async fn an_attempt_that_failed_comes_again_and_one_that_was_given_back_does_not_count(store: Store) {
    let now = At::now();
    let id = enqueue(&store, &job("a").at(now)).await;
    let then = now.plus(Duration::MINUTE);
    let held = claim(&store, "a", "w", now).await;
    assert!(store.settle_job(&held.lease(), &JobOutcome::Again("no room".to_owned(), then)).await.unwrap());
    let waits = get(&store, &id).await;
    assert_eq!((waits.state, waits.attempts, waits.due_at), (JobState::Waiting, 1, Some(then)));
    assert_eq!(waits.error.as_deref(), Some("no room"));
    let held = claim(&store, "a", "w", then).await;
    assert_eq!(held.attempts, 2);
    assert!(store.settle_job(&held.lease(), &JobOutcome::GivenBack).await.unwrap());
    let back = get(&store, &id).await;
    assert_eq!((back.state, back.attempts, back.error.as_deref()), (JobState::Waiting, 1, Some("no room")));
    let again = claim(&store, "a", "w", back.due_at.unwrap()).await;
    assert_eq!(again.attempts, 2);
    assert!(
        !store.settle_job(&held.lease(), &JobOutcome::Done).await.unwrap(),
        "same worker, same attempt, earlier lease"
    );
    assert!(store.settle_job(&again.lease(), &JobOutcome::Failed("no way".to_owned())).await.unwrap());
    let failed = get(&store, &id).await;
    assert_eq!((failed.state, failed.error.as_deref()), (JobState::Failed, Some("no way")));
    assert!(failed.ended_at.is_some());
}

async fn one_of_a_key_waits_or_runs(store: Store) {
    let one = job("a").only("a:7");
    enqueue(&store, &one).await;
    assert_eq!(store.enqueue(&one).await.unwrap(), None, "one waits");
    enqueue(&store, &job("a").only("a:8").at(At::now().plus(Duration::HOUR))).await;
    let held = claim(&store, "a", "w", At::now()).await;
    assert_eq!(store.enqueue(&one).await.unwrap(), None, "one runs");
    store.settle_job(&held.lease(), &JobOutcome::Failed("no".to_owned())).await.unwrap();
    enqueue(&store, &one).await;
    let place = store.retry_job(&held.id).await;
    assert!(matches!(place, Err(Error::Taken(_))), "{place:?}");
}

async fn what_waits_is_cancelled_at_once_and_what_runs_is_asked(store: Store) {
    let mut changes = store.changes();
    let id = enqueue(&store, &job("a").only("key")).await;
    let cancelled = store.cancel_job(&id).await.unwrap();
    assert_eq!((cancelled.state, cancelled.due_at), (JobState::Cancelled, None));
    assert!(cancelled.ended_at.is_some());
    assert!(matches!(store.cancel_job(&id).await, Err(Error::Changed)));
    assert!(matches!(store.cancel_job(&JobId::new()).await, Err(Error::NotFound)));

    let id = enqueue(&store, &job("a").only("key")).await;
    let now = At::now();
    let held = claim(&store, "a", "w", now).await;
    let asked = store.cancel_job(&id).await.unwrap();
    assert_eq!((asked.state, asked.cancel_requested, asked.ended_at), (JobState::Running, true, None));
    while changes.next().await.unwrap() != Change::CancelJob(id.clone()) {}
    let until = now.plus(LEASE);
    assert_eq!(store.renew_job(&held.lease(), now, until, None).await.unwrap(), Beat::Cancel);
    assert!(store.settle_job(&held.lease(), &JobOutcome::Cancelled).await.unwrap());
    assert_eq!(get(&store, &id).await.state, JobState::Cancelled);
}

async fn what_is_to_be_cancelled_does_not_wait_again(store: Store) {
    let then = At::now().plus(Duration::HOUR);
    for outcome in [JobOutcome::GivenBack, JobOutcome::Again("no".to_owned(), then)] {
        let id = enqueue(&store, &job("a")).await;
        let held = claim(&store, "a", "w", At::now()).await;
        store.cancel_job(&id).await.unwrap();
        assert!(store.settle_job(&held.lease(), &outcome).await.unwrap());
        let taken = claim(&store, "a", "other", At::now()).await;
        assert!(taken.id == id && taken.cancel_requested, "it is due, to be ended: {outcome:?}");
        assert!(store.settle_job(&taken.lease(), &JobOutcome::Cancelled).await.unwrap());
        let ended = get(&store, &id).await;
        assert_eq!((ended.state, ended.due_at), (JobState::Cancelled, None), "{outcome:?}");
        assert!(ended.ended_at.is_some());
    }
    let id = enqueue(&store, &job("a")).await;
    let held = claim(&store, "a", "w", At::now()).await;
    store.cancel_job(&id).await.unwrap();
    assert!(store.settle_job(&held.lease(), &JobOutcome::Done).await.unwrap());
    let done = get(&store, &id).await;
    assert_eq!((done.state, done.due_at), (JobState::Done, None), "it came too late");
    assert!(done.ended_at.is_some());
}

async fn jobs_about_a_subject_are_cancelled_together(store: Store) {
    let running = enqueue(&store, &job("a").about("video")).await;
    claim(&store, "a", "w", At::now()).await;
    let waiting = enqueue(&store, &job("b").about("video")).await;
    let other = enqueue(&store, &job("b").about("another")).await;
    let mut ended = store.cancel_jobs_about("video").await.unwrap();
    ended.sort_by(|a, b| a.id.cmp(&b.id));
    let states: Vec<_> = ended.iter().map(|job| (&job.id, job.state)).collect();
    assert_eq!(states, [(&running, JobState::Running), (&waiting, JobState::Cancelled)]);
    assert_eq!(get(&store, &other).await.state, JobState::Waiting);
}

async fn failed_jobs_are_done_again(store: Store) {
    let id = enqueue(&store, &job("a")).await;
    let held = claim(&store, "a", "w", At::now()).await;
    assert!(matches!(store.retry_job(&id).await, Err(Error::Changed)), "it runs");
    store.renew_job(&held.lease(), At::now(), At::now().plus(LEASE), Some((400, "half"))).await.unwrap();
    store.settle_job(&held.lease(), &JobOutcome::Failed("no".to_owned())).await.unwrap();
    let again = store.retry_job(&id).await.unwrap();
    assert_eq!((again.state, again.attempts, again.progress, again.ended_at), (JobState::Waiting, 0, 0, None));
    let held = claim(&store, "a", "w", At::now()).await;
    store.cancel_job(&id).await.unwrap();
    store.settle_job(&held.lease(), &JobOutcome::Cancelled).await.unwrap();
    assert!(!store.retry_job(&id).await.unwrap().cancel_requested);
    let held = claim(&store, "a", "w", At::now()).await;
    store.settle_job(&held.lease(), &JobOutcome::Again("no".to_owned(), At::now().plus(Duration::HOUR))).await.unwrap();
    store.retry_job(&id).await.unwrap();
    let held = claim(&store, "a", "w", At::now()).await;
    store.settle_job(&held.lease(), &JobOutcome::Done).await.unwrap();
    assert!(matches!(store.retry_job(&id).await, Err(Error::Changed)), "it is done");
    assert!(matches!(store.retry_job(&JobId::new()).await, Err(Error::NotFound)));
}

async fn lists_are_filtered_and_come_by_page(store: Store) {
    let mut ids = Vec::new();
    for (kind, subject) in [("a", "x"), ("b", "x"), ("a", "y"), ("b", "y")] {
        ids.push(enqueue(&store, &job(kind).about(subject)).await);
    }
    claim(&store, "a", "w", At::now()).await;
    let (waiting, running) = (Some(JobState::Waiting), Some(JobState::Running));
    for (state, kind, subject, expected) in [
        (None, None, None, vec![3, 2, 1, 0]),
        (waiting, None, None, vec![3, 2, 1]),
        (running, None, None, vec![0]),
        (None, Some("a"), None, vec![2, 0]),
        (waiting, Some("a"), None, vec![2]),
        (None, None, Some("x"), vec![1, 0]),
        (running, None, Some("x"), vec![0]),
        (waiting, Some("b"), Some("y"), vec![3]),
        (running, Some("b"), Some("y"), vec![]),
    ] {
        let filter = JobFilter { state, kind, subject };
        let (mut page, mut found) = (first(1), Vec::new());
        loop {
            let part = store.jobs(&filter, &page).await.unwrap();
            found.extend(part.items.into_iter().map(|job| job.id));
            match part.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        let expected: Vec<_> = expected.into_iter().map(|n: usize| ids[n].clone()).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

async fn jobs_are_counted(store: Store) {
    assert_eq!(store.job_counts().await.unwrap(), []);
    let now = At::now();
    for seconds in [3, 5, 4] {
        enqueue(&store, &job("a").at(now.plus(-Duration::seconds(seconds)))).await;
    }
    for outcome in [None, Some(JobOutcome::Failed("no".to_owned())), Some(JobOutcome::Done)] {
        enqueue(&store, &job("b").at(now)).await;
        let held = claim(&store, "b", "w", now).await;
        if let Some(outcome) = outcome {
            store.settle_job(&held.lease(), &outcome).await.unwrap();
        }
    }
    let counted: Vec<_> = store.job_counts().await.unwrap();
    let counted: Vec<_> = counted.iter().map(|c| (c.kind.as_str(), c.state, c.jobs, c.first_due_at)).collect();
    let expected = [
        ("a", JobState::Waiting, 3, Some(now.plus(-Duration::seconds(5)))),
        ("b", JobState::Failed, 1, None),
        ("b", JobState::Running, 1, Some(now.plus(LEASE))),
    ];
    assert_eq!(counted, expected);
}

async fn history_is_pruned(store: Store) {
    for _ in 0..3 {
        enqueue(&store, &job("a")).await;
        let held = claim(&store, "a", "w", At::now()).await;
        store.settle_job(&held.lease(), &JobOutcome::Done).await.unwrap();
    }
    let waiting = enqueue(&store, &job("a")).await;
    assert_eq!(store.prune_jobs(At::now().plus(-Duration::HOUR), 10).await.unwrap(), 0);
    let soon = At::now().plus(Duration::HOUR);
    assert_eq!(store.prune_jobs(soon, 2).await.unwrap(), 2);
    assert_eq!(store.prune_jobs(soon, 2).await.unwrap(), 1);
    let left = store.jobs(&JobFilter::default(), &first(10)).await.unwrap().items;
    assert_eq!(left.iter().map(|job| &job.id).collect::<Vec<_>>(), [&waiting]);
    assert!(matches!(store.delete_job(&waiting).await, Err(Error::NotFound)), "it has not ended");
    store.cancel_job(&waiting).await.unwrap();
    store.delete_job(&waiting).await.unwrap();
    assert_eq!(store.job(&waiting).await.unwrap(), None);
}

async fn words_are_bounded(store: Store) {
    let id = enqueue(&store, &job("a")).await;
    let held = claim(&store, "a", "w", At::now()).await;
    let long = "字\0".repeat(5000);
    let now = At::now();
    store.renew_job(&held.lease(), now, now.plus(LEASE), Some((u16::MAX, &long))).await.unwrap();
    store.settle_job(&held.lease(), &JobOutcome::Failed(long)).await.unwrap();
    let job = get(&store, &id).await;
    assert_eq!((job.progress, job.progress_note), (1000, "字".repeat(200)));
    assert_eq!(job.error, Some("字".repeat(2000)));
}

async fn who_follows_hears_of_jobs(store: Store) {
    let mut changes = store.changes();
    let id = enqueue(&store, &job("a")).await;
    assert_eq!(changes.next().await, Some(Change::Jobs));
    let held = claim(&store, "a", "w", At::now()).await;
    store.settle_job(&held.lease(), &JobOutcome::GivenBack).await.unwrap();
    assert_eq!(changes.next().await, Some(Change::Jobs));
    store.retry_job(&id).await.unwrap();
    assert_eq!(changes.next().await, Some(Change::Jobs));
}

async fn timer(store: &Store, name: &str) -> Timer {
    store.timers().await.unwrap().into_iter().find(|timer| timer.name == name).unwrap()
}

async fn a_timer_fires_once_for_all_who_see_it_due(store: Store) {
    let now = At::now();
    store.set_timer("nightly", "0 4 * * *", now).await.unwrap();
    let mut due = timer(&store, "nightly").await;
    assert_eq!((due.next_at, due.last_at), (now, None));
    for round in 1..=5 {
        let next = now.plus(Duration::days(round));
        let mut nodes = JoinSet::new();
        for _ in 0..6 {
            let (store, due) = (store.clone(), due.clone());
            nodes.spawn(async move { store.fire_timer(&due, due.next_at, next, &job("a")).await.unwrap() });
        }
        let fired = nodes.join_all().await;
        assert_eq!(fired.iter().filter(|fired| **fired).count(), 1, "{fired:?}");
        let fired = timer(&store, "nightly").await;
        assert_eq!((fired.next_at, fired.last_at), (next, Some(due.next_at)));
        let jobs = store.jobs(&JobFilter::default(), &first(10)).await.unwrap().items;
        assert_eq!(jobs.len(), usize::try_from(round).unwrap());
        due = fired;
    }
}

async fn a_timer_with_another_schedule_is_planned_anew(store: Store) {
    let now = At::now();
    let then = now.plus(Duration::HOUR);
    store.set_timer("nightly", "0 4 * * *", now).await.unwrap();
    let old = timer(&store, "nightly").await;
    store.set_timer("nightly", "0 4 * * *", then).await.unwrap();
    assert_eq!(timer(&store, "nightly").await, old, "one that is there keeps its time, even if it was missed");
    store.set_timer("nightly", "0 5 * * *", then).await.unwrap();
    assert_eq!(timer(&store, "nightly").await.next_at, then);
    assert!(!store.fire_timer(&old, now, then, &job("a")).await.unwrap());
    store.set_timer("hourly", "0 * * * *", now).await.unwrap();
    let names: Vec<_> = store.timers().await.unwrap().into_iter().map(|timer| timer.name).collect();
    assert_eq!(names, ["hourly", "nightly"], "the next one first");
    assert_eq!(store.keep_timers(&["nightly", "weekly"]).await.unwrap(), 1);
    assert_eq!(store.timers().await.unwrap().len(), 1);
}

async fn a_timer_waits_for_the_job_of_its_last_time(store: Store) {
    let now = At::now();
    store.set_timer("often", "* * * * *", now).await.unwrap();
    for round in 1..=3 {
        let due = timer(&store, "often").await;
        let next = now.plus(Duration::minutes(round));
        assert!(store.fire_timer(&due, now, next, &job("a").only("timer:often")).await.unwrap());
    }
    assert_eq!(store.jobs(&JobFilter::default(), &first(10)).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn other_nodes_hear_of_jobs() {
    let Some(url) = fresh_postgres("jobs_nodes").await else { return };
    let here = Store::open(&url, Path::new("")).await.unwrap();
    let there = Store::open(&url, Path::new("")).await.unwrap();
    let mut changes = there.changes();
    let id = enqueue(&here, &job("a")).await;
    assert_eq!(changes.next().await, Some(Change::Jobs));
    claim(&there, "a", "w", At::now()).await;
    here.cancel_job(&id).await.unwrap();
    assert_eq!(changes.next().await, Some(Change::CancelJob(id)));
    there.close().await;
    here.close().await;
}
