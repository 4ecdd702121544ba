//! What administrators set while the server runs.

use std::collections::BTreeMap;

use crate::db::{rows, run_in};
use crate::{Error, Store};

impl Store {
    /// All settings that were ever set.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settings(&self) -> Result<BTreeMap<String, String>, Error> {
        let all = rows!(self.pool, fetch_all, (String, String), "SELECT name, value FROM settings")?;
        Ok(all.into_iter().collect())
    }

    /// Sets all of these, or none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_settings(&self, settings: &[(&str, &str)]) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        for (name, value) in settings {
            let sql = "INSERT INTO settings (name, value) VALUES ($1, $2)
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            run_in!(tx, sql, *name, *value)?;
        }
        tx.commit().await
    }
}
