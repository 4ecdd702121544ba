//! Work in the background: what is done, waits, failed; the timers; and the history.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use millrace_store::{Error, Job, JobFilter, JobState, PageRequest, Timer};
use serde::Deserialize;
use time::OffsetDateTime;

use super::super::{Shell, render};
use super::{Due, Moment, Rail, enter, failed};
use crate::accounts::permissions::Act;
use crate::api::list::is_cursor;
use crate::work_words::{sentence, translated};
use crate::{Site, i18n::Messages, visitor::Visitor};

#[derive(Template)]
#[template(path = "admin_jobs.html")]
struct Jobs {
    shell: Shell,
    rail: Rail,
    state: String,
    kind: String,
    states: Vec<(&'static str, &'static str)>,
    kinds: &'static [(&'static str, &'static str)],
    /// What needs a look, where the list is not narrowed.
    parts: Vec<Part>,
    /// Where the list is not narrowed.
    timers: Vec<TimerRow>,
    history: Vec<Row>,
    next: Option<String>,
    /// Whether anything narrows the list.
    narrowed: bool,
    /// This page, to come back to.
    here: String,
}

/// The jobs in one state.
struct Part {
    message: &'static str,
    state: &'static str,
    rows: Vec<Row>,
    more: bool,
}

struct Row {
    id: String,
    kind: String,
    /// Its video's id.
    video: Option<String>,
    state: JobState,
    state_message: &'static str,
    /// Percent, and in words.
    progress: u64,
    note: String,
    attempts: String,
    /// Where it waits.
    due: Option<Due>,
    /// When it was begun, where it runs; ended, where it has; else enqueued.
    when: Moment,
    when_message: &'static str,
    worker: String,
    error: String,
    cancelling: bool,
}

struct TimerRow {
    name: String,
    what: String,
    schedule: String,
    next: Due,
    last: Option<Moment>,
}

#[derive(Default, Deserialize)]
pub(super) struct Which {
    state: Option<String>,
    kind: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn page(State(site): State<Site>, visitor: Visitor, Query(which): Query<Which>) -> Response {
    let (_, shell, rail) = match enter(&site, visitor, Act::RunSite, "admin.jobs").await {
        Ok(entered) => entered,
        Err(instead) => return *instead,
    };
    let state = which.state.and_then(|state| JobState::try_from(state).ok());
    let kind = which.kind.filter(|kind| kind.len() <= 100 && kind.bytes().all(is_of_kinds)).unwrap_or_default();
    let cursor = which.cursor.filter(|cursor| is_cursor(cursor));
    let narrowed = state.is_some() || !kind.is_empty();
    let here = format!("/admin/jobs?state={}&kind={kind}", state.map_or("", JobState::as_str));
    let (store, now) = (&site.accounts.store, OffsetDateTime::now_utc());
    let read = async {
        let (mut parts, mut timers) = (Vec::new(), Vec::new());
        if !narrowed && cursor.is_none() {
            for (state, message) in PARTS {
                let filter = JobFilter { state: Some(*state), ..JobFilter::default() };
                let page = store.jobs(&filter, &PageRequest { limit: SHORT, after: None }).await?;
                let rows = page.items.into_iter().map(|job| Row::new(job, now, shell.t)).collect();
                parts.push(Part { message, state: state.as_str(), rows, more: page.next.is_some() });
            }
            timers = store.timers().await?;
        }
        let filter = JobFilter { state, kind: Some(kind.as_str()).filter(|kind| !kind.is_empty()), subject: None };
        let history = store.jobs(&filter, &PageRequest { limit: ROWS, after: cursor }).await?;
        Ok::<_, Error>((parts, timers, history))
    };
    let (parts, timers, history) = match read.await {
        Ok(read) => read,
        Err(error) => return failed(error),
    };
    render(&Jobs {
        state: state.map_or("", JobState::as_str).to_owned(),
        kind,
        states: STATES.iter().map(|(state, message)| (state.as_str(), *message)).collect(),
        kinds: KINDS,
        parts,
        timers: timers.into_iter().map(|timer| TimerRow::new(timer, now, shell.t)).collect(),
        history: history.items.into_iter().map(|job| Row::new(job, now, shell.t)).collect(),
        next: history.next,
        narrowed,
        here: if narrowed { here } else { "/admin/jobs".to_owned() },
        shell,
        rail,
    })
}

impl Row {
    fn new(job: Job, now: OffsetDateTime, t: &Messages) -> Self {
        let (when, when_message) = match (job.state, job.started_at, job.ended_at) {
            (JobState::Running, Some(at), _) => (at, "admin.job_begun"),
            (_, _, Some(at)) => (at, "admin.job_ended"),
            _ => (job.created_at, "admin.job_made"),
        };
        let attempts = t.with("admin.job_attempts", "n", job.attempts).replace("{most}", &job.max_attempts.to_string());
        Self {
            id: job.id.to_string(),
            video: job.subject.filter(|_| job.kind.starts_with("video.")),
            kind: said(&job.kind, t),
            state: job.state,
            state_message: STATES.iter().find(|(state, _)| *state == job.state).map_or("", |(_, message)| message),
            progress: u64::try_from(job.progress.clamp(0, 1000) / 10).unwrap_or(0),
            note: translated(&job.progress_note, t),
            attempts: if job.attempts > 1 { attempts } else { String::new() },
            due: job.due_at.filter(|_| job.state == JobState::Waiting).map(|at| Due::new(at.into(), now, t)),
            when: Moment::new(when.into(), now, t),
            when_message,
            worker: job.worker.filter(|_| job.state == JobState::Running).unwrap_or_default(),
            error: sentence(&job.error.unwrap_or_default(), t),
            cancelling: job.cancel_requested && job.state == JobState::Running,
        }
    }

    fn can_be_cancelled(&self) -> bool {
        matches!(self.state, JobState::Waiting | JobState::Running) && !self.cancelling
    }

    fn can_be_retried(&self) -> bool {
        // One that waits after an attempt that failed need not wait.
        matches!(self.state, JobState::Failed | JobState::Cancelled)
            || (self.state == JobState::Waiting && !self.error.is_empty())
    }

    fn runs(&self) -> bool {
        self.state == JobState::Running
    }

    fn failed(&self) -> bool {
        self.state == JobState::Failed
    }
}

impl TimerRow {
    fn new(timer: Timer, now: OffsetDateTime, t: &Messages) -> Self {
        Self {
            what: said(&timer.name, t),
            schedule: timer.schedule,
            next: Due::new(timer.next_at.into(), now, t),
            last: timer.last_at.map(|at| Moment::new(at.into(), now, t)),
            name: timer.name,
        }
    }
}

/// Whether names of kinds have that letter.
fn is_of_kinds(letter: u8) -> bool {
    letter.is_ascii_lowercase() || matches!(letter, b'.' | b'_')
}

/// What is done, in words; what a newer version does as it is.
fn said(kind: &str, t: &Messages) -> String {
    KINDS.iter().find(|(known, _)| *known == kind).map_or_else(|| kind.to_owned(), |(_, key)| t.get(key).to_owned())
}

/// The message of each kind of job.
const KINDS: &[(&str, &str)] = &[
    ("video.open", "job.video_open"),
    ("video.process", "job.video_process"),
    ("video.pictures", "job.video_pictures"),
    ("video.transcode", "job.video_transcode"),
    ("videos.publish", "job.videos_publish"),
    ("videos.purge", "job.videos_purge"),
    ("objects.collect", "job.objects_collect"),
    ("uploads.expire", "job.uploads_expire"),
    ("views.roll_up", "job.views_roll_up"),
    ("storage.reconcile", "job.storage_reconcile"),
    ("sessions.expire", "job.sessions_expire"),
    ("jobs.prune", "job.jobs_prune"),
    ("database.backup", "job.database_backup"),
];

/// The message of each state.
const STATES: &[(JobState, &str)] = &[
    (JobState::Running, "job.running"),
    (JobState::Waiting, "job.waiting"),
    (JobState::Failed, "job.failed"),
    (JobState::Done, "job.done"),
    (JobState::Cancelled, "job.cancelled"),
];

/// What needs a look, in the order of the page.
const PARTS: &[(JobState, &str)] =
    &[(JobState::Running, "job.running"), (JobState::Waiting, "job.waiting"), (JobState::Failed, "job.failed")];

/// Rows of a part.
const SHORT: u32 = 10;
/// Rows of the history.
const ROWS: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_words() {
        let mut known: Vec<_> = STATES.iter().map(|(state, _)| state.as_str()).collect();
        let mut all: Vec<_> = JobState::ALL.iter().map(|state| state.as_str()).collect();
        known.sort_unstable();
        all.sort_unstable();
        assert_eq!(known, all);
    }
}
