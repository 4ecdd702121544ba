//! Work in the background: what is done, waits, failed, and when timers fire.

use axum::Json;
use axum::extract::{Path, Query, State, rejection::QueryRejection};
use millrace_store::{Action, Error, Job as Row, JobFilter, JobId, JobState, Timer as TimerRow, VideoState};
use millrace_vod::jobs::{MakeRendition, OpenVideo, ProcessVideo, Work};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::actor::Address;
use crate::api::list;
use crate::api::refusals::Refusals;
use crate::api::users::audit_with;
use crate::api::videos::view::CANCELLED;
use crate::{ErrorCode, Problem, Site};

/// Something that is done in the background.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Job {
    id: String,
    /// What is done.
    #[schema(example = "video.transcode")]
    kind: String,
    /// What it is about, such as a video's id; null where it is about none.
    subject: Option<String>,
    state: JobStatus,
    /// Waiting, when it may begin; running, when another worker takes it up should its own not be heard of by then. Null
    /// once it has ended.
    #[serde(with = "time::serde::rfc3339::option")]
    due_at: Option<OffsetDateTime>,
    /// How often it was begun.
    attempts: u32,
    /// How often it is tried at most.
    max_attempts: u32,
    /// Who does it, or did so last; null where nobody has yet.
    worker: Option<String>,
    /// How far it is: 0 to 1.
    progress: f64,
    /// What is being done, in plain words; may be empty.
    note: String,
    /// Whether it runs, and is to end.
    cancelling: bool,
    /// Why the last attempt failed, in plain words.
    error: Option<String>,
    /// When it was enqueued.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it was last begun.
    #[serde(with = "time::serde::rfc3339::option")]
    started_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JobStatus {
    /// It is to be done, now or later.
    Waiting,
    /// A worker has it.
    Running,
    /// It was done.
    Done,
    /// It could not be done, and is not tried again by itself.
    Failed,
    /// Somebody did not want it any more.
    Cancelled,
}

impl From<JobState> for JobStatus {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Waiting => Self::Waiting,
            JobState::Running => Self::Running,
            JobState::Done => Self::Done,
            JobState::Failed => Self::Failed,
            JobState::Cancelled => Self::Cancelled,
        }
    }
}

impl From<JobStatus> for JobState {
    fn from(status: JobStatus) -> Self {
        match status {
            JobStatus::Waiting => Self::Waiting,
            JobStatus::Running => Self::Running,
            JobStatus::Done => Self::Done,
            JobStatus::Failed => Self::Failed,
            JobStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl From<Row> for Job {
    fn from(row: Row) -> Self {
        let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            id: row.id.to_string(),
            kind: row.kind,
            subject: row.subject,
            state: row.state.into(),
            due_at: row.due_at.map(Into::into),
            attempts: count(row.attempts),
            max_attempts: count(row.max_attempts),
            worker: row.worker,
            progress: f64::from(u16::try_from(row.progress.clamp(0, 1000)).unwrap_or(0)) / 1000.0,
            note: row.progress_note,
            cancelling: row.state == JobState::Running && row.cancel_requested,
            error: row.error,
            created_at: row.created_at.into(),
            started_at: row.started_at.map(Into::into),
            ended_at: row.ended_at.map(Into::into),
        }
    }
}

/// Part of the list of jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobPage {
    /// The newest first.
    items: Vec<Job>,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
}

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only those in this state.
    #[param(inline)]
    state: Option<JobStatus>,
    /// Only those of this kind, such as `video.transcode`.
    kind: Option<String>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What does something at its times.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Timer {
    /// The kind of job that it enqueues.
    #[schema(example = "storage.reconcile")]
    name: String,
    /// When: a cron expression, in UTC.
    #[schema(example = "23 4 * * *")]
    schedule: String,
    /// When next.
    #[serde(with = "time::serde::rfc3339")]
    next_at: OffsetDateTime,
    /// When last; null where it has not yet.
    #[serde(with = "time::serde::rfc3339::option")]
    last_at: Option<OffsetDateTime>,
}

impl From<TimerRow> for Timer {
    fn from(row: TimerRow) -> Self {
        Self {
            name: row.name,
            schedule: row.schedule,
            next_at: row.next_at.into(),
            last_at: row.last_at.map(Into::into),
        }
    }
}

/// The timers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Timers {
    /// That which fires next first.
    items: Vec<Timer>,
}

/// List work in the background
///
/// What ended is kept for two weeks.
#[utoipa::path(get, path = "/api/v1/admin/jobs", operation_id = "list_jobs", tag = "admin", params(Which), responses(
    (status = 200, description = "A page of jobs", body = JobPage),
    Refusals,
))]
pub(crate) async fn list(
    State(site): State<Site>,
    actor: Actor,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<JobPage>, Problem> {
    actor.must(Act::RunSite)?;
    let which = list::asked(which)?;
    let page = list::request(which.limit, which.cursor)?;
    let filter = JobFilter { state: which.state.map(Into::into), kind: which.kind.as_deref(), ..JobFilter::default() };
    let page = site.accounts.store.jobs(&filter, &page).await.map_err(Problem::database)?;
    Ok(Json(JobPage { items: page.items.into_iter().map(Job::from).collect(), next_cursor: page.next }))
}

/// Do a job again
///
/// One that failed or was cancelled is done anew; one that waits for its next attempt is done now. It has all its attempts
/// again.
#[utoipa::path(post, path = "/api/v1/admin/jobs/{id}/retry", operation_id = "retry_job", tag = "admin",
params(("id" = String, Path, description = "The job's id")), responses(
    (status = 200, description = "The job as it is now", body = Job),
    (status = 409, description = "It runs, is done, or another one does the same", body = Problem,
     content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn retry(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    actor.must(Act::RunSite)?;
    let job = site.accounts.store.retry_job(&named(&id)?).await.map_err(|error| match error {
        Error::Changed => Problem::new(ErrorCode::Conflict, "this job runs, or is done"),
        Error::Taken(_) => Problem::new(ErrorCode::Conflict, "another job does the same already"),
        other => failed(other),
    })?;
    carry_over(&site, &job, VideoState::Failed, VideoState::Received, "").await?;
    audit_with(&site, &actor, Action::RetryJob, &about(&job), address, &job.kind).await?;
    Ok(Json(job.into()))
}

/// Cancel a job
///
/// One that waits has ended then; one that runs is asked to end, and does so within seconds.
#[utoipa::path(post, path = "/api/v1/admin/jobs/{id}/cancel", operation_id = "cancel_job", tag = "admin",
params(("id" = String, Path, description = "The job's id")), responses(
    (status = 200, description = "The job as it is now", body = Job),
    (status = 409, description = "It has ended", body = Problem, content_type = "application/problem+json"),
    Refusals,
))]
pub(crate) async fn cancel(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    actor.must(Act::RunSite)?;
    let job = site.accounts.store.cancel_job(&named(&id)?).await.map_err(|error| match error {
        Error::Changed => Problem::new(ErrorCode::Conflict, "this job has ended"),
        other => failed(other),
    })?;
    // Nobody works on one that waited, who would say so.
    if job.state == JobState::Cancelled {
        for unfinished in [VideoState::Received, VideoState::Processing] {
            carry_over(&site, &job, unfinished, VideoState::Failed, CANCELLED).await?;
        }
    }
    audit_with(&site, &actor, Action::CancelJob, &about(&job), address, &job.kind).await?;
    Ok(Json(job.into()))
}

/// List timers
#[utoipa::path(get, path = "/api/v1/admin/timers", operation_id = "list_timers", tag = "admin", responses(
    (status = 200, description = "All timers", body = Timers),
    Refusals,
))]
pub(crate) async fn timers(State(site): State<Site>, actor: Actor) -> Result<Json<Timers>, Problem> {
    actor.must(Act::RunSite)?;
    let timers = site.accounts.store.timers().await.map_err(Problem::database)?;
    Ok(Json(Timers { items: timers.into_iter().map(Timer::from).collect() }))
}

/// Run a timer now
///
/// Its job is enqueued within moments, unless the one before still waits or runs; it then goes on at its times.
#[utoipa::path(post, path = "/api/v1/admin/timers/{name}/run", operation_id = "run_timer", tag = "admin",
params(("name" = String, Path, description = "The timer's name", example = "storage.reconcile")), responses(
    (status = 200, description = "The timer as it is now: due", body = Timer),
    Refusals,
))]
pub(crate) async fn run_timer(
    State(site): State<Site>,
    actor: Actor,
    Address(address): Address,
    Path(name): Path<String>,
) -> Result<Json<Timer>, Problem> {
    actor.must(Act::RunSite)?;
    let timer = site.accounts.store.hurry_timer(&name).await.map_err(|error| match error {
        Error::NotFound => Problem::new(ErrorCode::NotFound, "there is no such timer"),
        other => Problem::database(other),
    })?;
    audit_with(&site, &actor, Action::RunTimer, &timer.name, address, "").await?;
    Ok(Json(timer.into()))
}

/// Where a job decides whether its video can be watched, and that stands at `from`, it stands at `to` from now on.
async fn carry_over(site: &Site, job: &Row, from: VideoState, to: VideoState, failure: &str) -> Result<(), Problem> {
    let Some(short_id) = job.subject.as_deref().filter(|_| MAKE_PLAYABLE.contains(&job.kind.as_str())) else {
        return Ok(());
    };
    let known = site.accounts.videos.read(short_id).await.map_err(Problem::database)?;
    let Some(known) = known.filter(|known| known.video().state == from) else { return Ok(()) };
    match site.accounts.store.set_video_state(&known.video().id, to, failure).await {
        Ok(_) | Err(Error::NotFound) => site.accounts.videos.changed(short_id).await.map_err(Problem::database),
        Err(error) => Err(Problem::database(error)),
    }
}

/// What a job is about, for the log; where it is about nothing, the job.
fn about(job: &Row) -> String {
    job.subject.clone().unwrap_or_else(|| job.id.to_string())
}

fn named(id: &str) -> Result<JobId, Problem> {
    id.parse().map_err(|_| none())
}

fn failed(error: Error) -> Problem {
    match error {
        Error::NotFound => none(),
        other => Problem::database(other),
    }
}

fn none() -> Problem {
    Problem::new(ErrorCode::NotFound, "there is no such job")
}

/// Kinds of jobs without which a video may not become one to watch.
const MAKE_PLAYABLE: [&str; 3] = [OpenVideo::KIND, ProcessVideo::KIND, MakeRendition::KIND];
