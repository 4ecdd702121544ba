//! Timers enqueue jobs.

use millrace_jobs::{Runner, Schedule, Work};
use millrace_store::testing::fresh_store;
use millrace_store::{At, JobFilter, PageRequest, Store, Timer};
use tempfile::tempdir;
use time::Duration;
use tokio::time::{sleep, timeout};

use crate::puppet::{Act, Event, Play, Runs, Stage, patient, two_nodes};

async fn jobs(store: &Store) -> usize {
    let page = PageRequest { limit: 100, after: None };
    store.jobs(&JobFilter::default(), &page).await.unwrap().items.len()
}

/// The timers, once they are as wanted.
async fn until(store: &Store, wanted: impl Fn(&[Timer]) -> bool) -> Vec<Timer> {
    let found = async {
        loop {
            let timers = store.timers().await.unwrap();
            if wanted(&timers) {
                break timers;
            }
            sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    timeout(std::time::Duration::from_secs(60), found).await.expect("the timers are as wanted")
}

fn with_timers(stage: &Stage, store: &Store, timers: &[(&'static str, &str)]) -> Runner {
    let add = |registry: millrace_jobs::Registry, (name, schedule): &(&'static str, &str)| {
        registry.every(name, schedule.parse::<Schedule>().unwrap(), &Play(Act::Succeed))
    };
    Runner::new(store.clone(), timers.iter().fold(stage.registry(), add), patient())
}

#[tokio::test]
async fn a_time_that_was_missed_is_made_up_for_once_by_one_of_many() {
    let directory = tempdir().unwrap();
    let (here, there) = two_nodes(directory.path()).await;
    let mut stage = Stage::new();
    let long_ago = At::now().plus(-Duration::days(30));
    here.set_timer("daily", "0 4 * * *", long_ago).await.unwrap();
    let runners: Vec<_> = (0..6)
        .map(|n| Runs::start(&with_timers(&stage, if n % 2 == 0 { &here } else { &there }, &[("daily", "0 4 * * *")])))
        .collect();
    assert!(matches!(stage.next().await, Event::Began(_, 1)));
    assert!(matches!(stage.next().await, Event::Ended(_)));
    let timer = until(&here, |timers| timers[0].next_at > At::now()).await.swap_remove(0);
    let schedule: Schedule = "0 4 * * *".parse().unwrap();
    assert_eq!(timer.next_at, schedule.after(timer.last_at.unwrap()));
    for runner in runners {
        runner.stop().await;
    }
    assert_eq!(stage.rest(), [], "once, however many days were missed");
    assert_eq!(jobs(&here).await, 1);
}

#[tokio::test]
async fn timers_that_are_no_more_are_forgotten_and_new_ones_wait_for_their_time() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let stage = Stage::new();
    store.set_timer("of an earlier version", "* * * * *", At(0)).await.unwrap();
    store.set_timer("changed", "0 4 1 1 *", At::now().plus(Duration::HOUR)).await.unwrap();
    let runs = Runs::start(&with_timers(&stage, &store, &[("new", "0 5 1 1 *"), ("changed", "0 6 1 1 *")]));
    let timers = until(&store, |timers| timers.iter().any(|timer| timer.schedule == "0 6 1 1 *")).await;
    let names: Vec<_> = timers.iter().map(|timer| timer.name.as_str()).collect();
    assert_eq!(names, ["new", "changed"]);
    for timer in &timers {
        let schedule: Schedule = timer.schedule.parse().unwrap();
        assert_eq!((timer.next_at, timer.last_at), (schedule.after(At::now()), None));
    }
    runs.stop().await;
    assert_eq!(jobs(&store).await, 0);
}

#[tokio::test]
async fn a_timer_fires_when_its_time_comes() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let soon = At::now().plus(Duration::milliseconds(100));
    store.set_timer("yearly", "0 4 1 1 *", soon).await.unwrap();
    let runs = Runs::start(&with_timers(&stage, &store, &[("yearly", "0 4 1 1 *")]));
    assert!(matches!(stage.next().await, Event::Began(_, 1)));
    let timer = until(&store, |timers| timers[0].last_at.is_some()).await.swap_remove(0);
    assert!(timer.last_at.unwrap() >= soon);
    runs.stop().await;
}

#[tokio::test]
async fn a_timer_that_is_hurried_fires_now_and_then_as_before() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let mut stage = Stage::new();
    let runs = Runs::start(&with_timers(&stage, &store, &[("yearly", "0 4 1 1 *")]));
    let planned = until(&store, |timers| !timers.is_empty()).await.swap_remove(0);
    assert!(store.hurry_timer("yearly").await.unwrap().next_at < planned.next_at);
    assert!(matches!(stage.next().await, Event::Began(_, 1)));
    let timer = until(&store, |timers| timers[0].last_at.is_some()).await.swap_remove(0);
    assert_eq!(timer.next_at, planned.next_at);
    assert!(matches!(store.hurry_timer("none").await, Err(millrace_store::Error::NotFound)));
    runs.stop().await;
}

#[tokio::test]
async fn while_the_job_of_the_last_time_waits_there_is_no_other() {
    let directory = tempdir().unwrap();
    let store = fresh_store(directory.path()).await;
    let stage = Stage::new();
    let waiting = Play(Act::Succeed).job().only("timer:daily").at(At::now().plus(Duration::HOUR));
    store.enqueue(&waiting).await.unwrap().unwrap();
    store.set_timer("daily", "0 4 * * *", At(0)).await.unwrap();
    let runs = Runs::start(&with_timers(&stage, &store, &[("daily", "0 4 * * *")]));
    until(&store, |timers| timers[0].last_at.is_some()).await;
    runs.stop().await;
    assert_eq!(jobs(&store).await, 1);
}
