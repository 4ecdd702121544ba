//! Running the site.

pub(crate) mod settings;
