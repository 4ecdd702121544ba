//! The server at a glance.

use axum::Json;
use axum::extract::{Query, State, rejection::QueryRejection};
use millrace_store::Kind;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::{IntoParams, ToSchema};

use crate::accounts::permissions::Act;
use crate::accounts::sessions::Actor;
use crate::dashboard::{Disk, Sample, disk, memory};
use crate::{ErrorCode, Problem, Site};

/// The server at a glance: this node's, of several.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    /// Accounts.
    pub(crate) users: u64,
    /// Of these, those who wait to be let in.
    pub(crate) pending_users: u64,
    /// Channels.
    pub(crate) channels: u64,
    /// Streams on air now.
    pub(crate) on_air: u32,
    /// Players that watch now.
    pub(crate) viewers: u32,
    /// The version of the server.
    #[schema(example = "0.1.0")]
    pub(crate) version: &'static str,
    /// Which database it has: `sqlite` or `postgres`.
    #[schema(example = "sqlite")]
    pub(crate) database: &'static str,
    /// Seconds since it was started.
    pub(crate) uptime_seconds: u64,
    /// Memory that it has, where the system tells.
    pub(crate) memory_bytes: Option<u64>,
    /// The disk that holds its data, where the system tells.
    pub(crate) disk: Option<Disk>,
    /// The last hour, the oldest sample first; or what is newer than `after`.
    pub(crate) samples: Vec<Sample>,
}

/// Which samples.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Since {
    /// Only samples later than this one's `at`.
    #[param(format = "date-time")]
    after: Option<String>,
}

/// See how the server is doing
#[utoipa::path(get, path = "/api/v1/admin/overview", operation_id = "get_overview", tag = "admin", params(Since), responses(
    (status = 200, description = "The numbers", body = Overview),
    (status = 400, description = "A parameter is not correct", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "Not allowed", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn get(
    State(site): State<Site>,
    actor: Actor,
    since: Result<Query<Since>, QueryRejection>,
) -> Result<Json<Overview>, Problem> {
    actor.must(Act::ManageUsers)?;
    let incorrect = || Problem::new(ErrorCode::BadRequest, "after must be a time as in 2026-01-02T03:04:05Z");
    let Query(since) = since.map_err(|_| incorrect())?;
    let after = since.after.map(|text| OffsetDateTime::parse(&text, &Rfc3339)).transpose();
    overview(&site, after.map_err(|_| incorrect())?).await.map(Json).map_err(Problem::database)
}

/// The numbers, with the samples later than `after`.
pub(crate) async fn overview(site: &Site, after: Option<OffsetDateTime>) -> Result<Overview, millrace_store::Error> {
    let counts = site.accounts.store.counts().await?;
    let load = site.live.load();
    Ok(Overview {
        users: counts.users,
        pending_users: counts.pending,
        channels: counts.channels,
        on_air: load.on_air,
        viewers: load.viewers,
        version: env!("CARGO_PKG_VERSION"),
        database: match site.accounts.store.kind() {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
        },
        uptime_seconds: site.dashboard.started.elapsed().as_secs(),
        memory_bytes: memory(),
        disk: site.config.data_dir.as_deref().and_then(disk),
        samples: site.dashboard.samples(after),
    })
}
