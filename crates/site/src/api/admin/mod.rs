//! Running the site: numbers, accounts of others, settings, the audit log.

pub(crate) mod audit;
pub(crate) mod dashboard;
pub(crate) mod settings;
pub(crate) mod users;
