//! Running the site: accounts of others, settings, the audit log.

pub(crate) mod audit;
pub(crate) mod settings;
pub(crate) mod users;
