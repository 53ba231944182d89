//! The state of the scheduled backups, in `mirror_info`: when they are due, and the last results.

use rusqlite::{Connection, Transaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// `mirror_info`: when and where, as JSON. Missing while backups are off.
const RULES: &str = "backup.rules";
/// `mirror_info`: the last good backup.
const LAST: &str = "backup.last";
/// `mirror_info`: why there is none since.
const TROUBLE: &str = "backup.trouble";

/// The state of the scheduled backups. Times are Unix seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct BackupState {
    /// `None` while they are off.
    pub rules: Option<BackupRules>,
    pub last: Option<LastBackup>,
    pub trouble: Option<BackupFailure>,
}

/// When and where backups are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRules {
    /// A cron expression of six fields, seconds first; UTC.
    pub schedule: String,
    /// The folder.
    pub path: String,
    pub keep: usize,
    /// Since when these rules hold.
    pub since: i64,
}

/// A good backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastBackup {
    /// When it was started: it shows that moment.
    pub at: i64,
    pub path: String,
    pub bytes: u64,
    pub talks: i64,
    /// How long it took.
    pub seconds: f64,
}

/// Why the last one failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFailure {
    /// The first failure after the last good one, …
    pub since: i64,
    /// … and the last.
    pub at: i64,
    pub error: String,
}

impl BackupState {
    /// Backups due before this are done or not wanted. A time after `now` comes from a wrong clock.
    pub fn settled_until(&self, now: i64) -> Option<i64> {
        let since = self.rules.as_ref()?.since;
        Some(self.last.as_ref().map_or(since, |last| last.at.max(since)).min(now))
    }

    /// Replaces the stored state.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn write(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        put(tx, RULES, self.rules.as_ref())?;
        put(tx, LAST, self.last.as_ref())?;
        put(tx, TROUBLE, self.trouble.as_ref())
    }

    /// Reads the stored state.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn read(connection: &Connection) -> rusqlite::Result<BackupState> {
        Ok(BackupState {
            rules: get(connection, RULES)?,
            last: get(connection, LAST)?,
            trouble: get(connection, TROUBLE)?,
        })
    }
}

fn put(tx: &Transaction<'_>, key: &str, value: Option<&impl Serialize>) -> rusqlite::Result<()> {
    match value {
        Some(value) => tx
            .prepare_cached("INSERT OR REPLACE INTO mirror_info (key, value) VALUES (?1, ?2)")?
            .execute((key, serde_json::json!(value).to_string()))?,
        None => tx.prepare_cached("DELETE FROM mirror_info WHERE key = ?1")?.execute([key])?,
    };
    Ok(())
}

fn get<T: DeserializeOwned>(connection: &Connection, key: &str) -> rusqlite::Result<Option<T>> {
    Ok(super::super::info(connection, key)?.and_then(|text| serde_json::from_str(&text).ok()))
}
