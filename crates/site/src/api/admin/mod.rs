//! Running the site: numbers, accounts of others, settings, the audit log.

pub(crate) mod audit;
pub(crate) mod dashboard;
pub(crate) mod jobs;
pub(crate) mod review;
pub(crate) mod settings;
pub(crate) mod storage;
pub(crate) mod trash;
pub(crate) mod user_videos;
pub(crate) mod users;
