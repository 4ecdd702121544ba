//! What administrators set while the server runs.

use std::collections::BTreeMap;

use crate::db::{Tx, rows, rows_in, run_in};
use crate::{Error, Store};

/// All settings that were ever set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredSettings {
    /// Rises with every change; 0 before the first.
    pub version: i64,
    /// Values by name.
    pub values: BTreeMap<String, String>,
}

impl Store {
    /// All settings that were ever set.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settings(&self) -> Result<StoredSettings, Error> {
        let all = rows!(self.pool, fetch_all, (String, String), "SELECT name, value FROM settings")?;
        Ok(StoredSettings::from(all))
    }

    /// Sets all of these, or none, where the settings are still at `version`.
    ///
    /// # Errors
    /// [`Error::Changed`] where they no longer are.
    pub async fn change_settings(&self, version: i64, settings: &[(&str, &str)]) -> Result<StoredSettings, Error> {
        let mut tx = self.begin().await?;
        let sql = "INSERT INTO settings (name, value) VALUES ($1, '0') ON CONFLICT (name) DO NOTHING";
        run_in!(tx, sql, VERSION)?;
        let sql = "UPDATE settings SET value = $1 WHERE name = $2 AND value = $3";
        let next = version.saturating_add(1).to_string();
        if run_in!(tx, sql, next, VERSION, version.to_string())? == 0 {
            return Err(Error::Changed);
        }
        set(&mut tx, settings).await?;
        let all = rows_in!(tx, fetch_all, (String, String), "SELECT name, value FROM settings")?;
        tx.commit().await?;
        Ok(StoredSettings::from(all))
    }
}

async fn set(tx: &mut Tx, settings: &[(&str, &str)]) -> Result<(), Error> {
    for (name, value) in settings {
        let sql = "INSERT INTO settings (name, value) VALUES ($1, $2)
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        run_in!(*tx, sql, *name, *value)?;
    }
    Ok(())
}

impl From<Vec<(String, String)>> for StoredSettings {
    fn from(all: Vec<(String, String)>) -> Self {
        let mut values: BTreeMap<_, _> = all.into_iter().collect();
        let version = values.remove(VERSION).and_then(|version| version.parse().ok()).unwrap_or(0);
        Self { version, values }
    }
}

/// The row that counts the changes.
const VERSION: &str = "version";
